//! Two machines with a DRBD resource between them, and the questions a test asks them.

use crate::guest::{Answer, Cable, Guest};
use crate::image::image;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For anything that is waited for: emulated machines are slow, and this one may do other things, too.
pub const BOUND: Duration = Duration::from_secs(180);
/// Of one order.
const SECONDS: u32 = 180;

/// One pair of machines at a time: they have two processors between them.
static TURN: Mutex<()> = Mutex::new(());

#[derive(Debug)]
pub struct Lab {
    guests: [Option<Guest>; 2],
    dir: PathBuf,
    /// Files that a machine has whenever it is switched on: place, mode, content.
    files: Vec<(String, u32, String)>,
    _turn: MutexGuard<'static, ()>,
}

pub fn skipped(why: &str) {
    println!("SKIPPED: {why}");
}

/// Both sides of r0; small times, so that a test does not wait for what is not its subject.
const R0: &str = r#"resource r0 {
  protocol C;
  net { cram-hmac-alg sha1; shared-secret "of-the-lab"; ping-int 2; timeout 30; connect-int 2; }
  disk { c-max-rate 100M; c-fill-target 1M; }
  on node1 { device /dev/drbd0; disk /dev/vda; address 10.77.1.1:7789; meta-disk internal; }
  on node2 { device /dev/drbd0; disk /dev/vda; address 10.77.1.2:7789; meta-disk internal; }
}
"#;

/// Of the cluster: long enough for machines that another test run makes wait.
const HA_CF: &str = "logfile /var/log/ha-log\nkeepalive 500ms\nwarntime 3\ndeadtime 6\ninitdead 20\nauto_failback off\n\
                     resource_timeout 120\nnode node1 node2\n";
const AUTHKEYS: &str = "auth 1\n1 sha1 of-the-virtual-machines\n";

/// How haresources names the file system of r0.
pub fn file_system() -> &'static str {
    "Filesystem::/dev/drbd0::/mnt::ext4"
}

impl Lab {
    /// Both machines with the files of a cluster: further lines of ha.cf, the groups.
    pub fn cluster(name: &str, ha_cf: &str, haresources: &str, more: &[(&str, u32, &str)]) -> Option<Self> {
        let (ha_cf, haresources) = (format!("{HA_CF}{ha_cf}\n"), format!("{haresources}\n"));
        let mut files = vec![
            ("/etc/ha.d/ha.cf", 0o644, ha_cf.as_str()),
            ("/etc/ha.d/haresources", 0o644, haresources.as_str()),
            ("/etc/ha.d/authkeys", 0o600, AUTHKEYS),
        ];
        files.extend(more);
        Self::with(name, &files)
    }

    /// Both machines, switched on, with files: place, mode, content. `None` where there can be none, which is said.
    pub fn with(name: &str, files: &[(&str, u32, &str)]) -> Option<Self> {
        if let Err(why) = image() {
            skipped(why);
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        // Short: sockets are in it, and their paths end at 107 bytes.
        let dir = std::env::temp_dir().join(format!("ha-vm-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory for the machines");
        let mut all = vec![("/etc/drbd.d/r0.res".to_owned(), 0o644, R0.to_owned())];
        all.extend(files.iter().map(|(p, m, c)| ((*p).to_owned(), *m, (*c).to_owned())));
        let mut lab = Self {
            guests: [None, None],
            dir,
            files: all,
            _turn: turn,
        };
        lab.switch_on(&[1, 2]);
        Some(lab)
    }

    /// Switches machines on and waits until they take orders.
    pub fn switch_on(&mut self, numbers: &[usize]) {
        for n in numbers {
            self.guests[n - 1] = Some(Guest::switch_on(&self.dir, *n).expect("qemu starts"));
        }
        for n in numbers {
            self.guest(*n).ready().unwrap_or_else(|e| panic!("node{n}: {e}"));
            for (path, mode, content) in self.files.clone() {
                let order = format!(
                    "mkdir -p $(dirname {path}); cat >{path} <<'END OF FILE'\n{content}END OF FILE\nchmod {mode:o} {path}"
                );
                self.good(*n, &order);
            }
        }
    }

    pub fn guest(&mut self, n: usize) -> &mut Guest {
        self.guests[n - 1].as_mut().unwrap_or_else(|| panic!("node{n} is off"))
    }

    pub fn power_off(&mut self, n: usize) {
        self.guest(n).power_off();
        self.guests[n - 1] = None;
    }

    /// Waits until a machine has switched itself off; a reset does that here.
    pub fn until_off(&mut self, n: usize) {
        let until = Instant::now() + BOUND;
        while !self.guest(n).is_off() {
            assert!(Instant::now() < until, "node{n}: still on\n{}", self.state());
            std::thread::sleep(Duration::from_millis(100));
        }
        self.guests[n - 1] = None;
    }

    pub fn cable(&mut self, n: usize, which: Cable, plugged: bool) {
        self.guest(n)
            .cable(which, plugged)
            .unwrap_or_else(|e| panic!("node{n}: {e}"));
    }

    /// Runs shell on a machine.
    pub fn run(&mut self, n: usize, shell: &str) -> Answer {
        let answer = self.guest(n).order(shell, SECONDS);
        answer.unwrap_or_else(|e| panic!("node{n}: {shell}: {e}\n{}", self.state()))
    }

    /// The same; it has to succeed.
    pub fn good(&mut self, n: usize, shell: &str) -> String {
        let Answer { code, text } = self.run(n, shell);
        assert_eq!(code, 0, "node{n}: {shell}\n{text}\n{}", self.state());
        text
    }

    /// Waits until a piece of shell succeeds.
    pub fn until(&mut self, n: usize, what: &str, shell: &str) {
        let until = Instant::now() + BOUND;
        loop {
            let seconds = u32::try_from((until - Instant::now()).as_secs())
                .unwrap_or(0)
                .clamp(1, 20);
            let order = format!("until {{ {shell}\n}} >/dev/null 2>&1; do sleep 0.1; done");
            let answer = self
                .guest(n)
                .order(&order, seconds)
                .unwrap_or_else(|e| panic!("node{n}: {what}: {e}"));
            if answer.code == 0 {
                return;
            }
            if Instant::now() + Duration::from_secs(1) >= until {
                panic!("node{n}: {what}: not within {BOUND:?}\n{}", self.state());
            }
        }
    }

    /// Waits until a piece of shell succeeds on one of the machines.
    pub fn until_either(&mut self, what: &str, shell: &str) {
        let until = Instant::now() + BOUND;
        while ![1, 2].into_iter().any(|n| self.run(n, shell).code == 0) {
            assert!(Instant::now() < until, "{what}: not within {BOUND:?}\n{}", self.state());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What a person would look at first when something went wrong.
    pub fn state(&mut self) -> String {
        let look = "cat /proc/drbd; grep drbd /proc/mounts; ip -4 -br addr; tail -n 60 /var/log/ha-log 2>/dev/null; \
                    dmesg | tail -n 15";
        let mut all = String::new();
        for guest in self.guests.iter_mut().flatten() {
            let text = match guest.order(look, 20) {
                Ok(answer) => answer.text,
                Err(e) => format!("{e}\n{}", guest.console()),
            };
            all += &format!("--- node{}\n{text}", guest.number);
        }
        all
    }

    /// A file system on it, node1 for a moment primary.
    pub fn new_file_system(&mut self) {
        self.good(
            1,
            "drbdadm primary r0 && mkfs.ext4 -q /dev/drbd0 && drbdadm secondary r0",
        );
    }

    /// Waits until a machine has the group: address, device and file system.
    pub fn until_serving(&mut self, n: usize) {
        self.until(
            n,
            "it has the group",
            "ip -4 addr | grep -q 10.77.0.100 && grep -q ro:Primary /proc/drbd && grep -q ' /mnt ' /proc/mounts && \
             cl_status rscstatus | grep -qxE 'local|foreign|all'",
        );
    }

    /// Both disks with metadata, connected, equal without a copy: they are new and empty.
    pub fn new_r0(&mut self) {
        for n in [1, 2] {
            self.good(n, "drbdadm create-md --force r0 && drbdadm up r0");
        }
        self.until(
            1,
            "r0 is connected",
            "grep -q 'cs:Connected ro:Secondary/Secondary' /proc/drbd",
        );
        self.good(1, "drbdadm -- --clear-bitmap new-current-uuid r0");
        self.until(2, "r0 is up to date", "grep -q ds:UpToDate/UpToDate /proc/drbd");
    }

    /// On both machines, until both are active.
    pub fn start_heartbeat(&mut self) {
        for n in [1, 2] {
            self.heartbeat(n);
        }
        for (n, other) in [(1, 2), (2, 1)] {
            let both = format!(
                "cl_status nodestatus node{n} | grep -qx active && cl_status nodestatus node{other} | grep -qx active"
            );
            self.until(n, "both nodes are active", &both);
        }
    }

    pub fn heartbeat(&mut self, n: usize) {
        self.good(
            n,
            "chgrp haclient /var/lib/heartbeat/api /var/lib/heartbeat/casual && \
             chmod 3730 /var/lib/heartbeat/api /var/lib/heartbeat/casual && \
             heartbeat -t && heartbeat",
        );
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for guest in self.guests.iter().flatten() {
                eprintln!("--- console of node{}\n{}", guest.number, guest.console());
            }
        }
        self.guests = [None, None];
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
