//! The programs that are compared, and how each is told the same thing: two nodes, one address, a beat and a time after
//! which a silent node is dead.
//!
//! All run in labs of `hb_lab`; what is not ours runs from its unpacked Debian package, laid over the node's directories.

use crate::managers;
use ha::lab::{Config, Lab, Options};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
pub const NODES: [&str; 2] = ["node1", "node2"];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Program {
    Ours,
    Classic,
    Keepalived,
    Ucarp,
    /// Ours with `crm on`; the address is that of Debian's OCF agent, as with Pacemaker.
    OurCrm,
    /// The same; the address is that of our own script.
    OurCrmScript,
    Pacemaker,
}

impl Program {
    pub const ALL: [Self; 4] = [Self::Ours, Self::Classic, Self::Keepalived, Self::Ucarp];
    /// Those with a cluster resource manager, which have a stage of their own.
    pub const MANAGERS: [Self; 3] = [Self::OurCrm, Self::OurCrmScript, Self::Pacemaker];

    /// Those that read ha.cf.
    pub fn is_heartbeat(self) -> bool {
        self.is_ours() || self == Self::Classic
    }

    pub fn is_ours(self) -> bool {
        matches!(self, Self::Ours | Self::OurCrm | Self::OurCrmScript)
    }

    pub fn is_manager(self) -> bool {
        Self::MANAGERS.contains(&self)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ours => "ours",
            Self::Classic => "heartbeat 3.0.6",
            Self::Keepalived => "keepalived",
            Self::Ucarp => "ucarp",
            Self::OurCrm => "our crm, IPaddr2",
            Self::OurCrmScript => "our crm, IPaddr",
            Self::Pacemaker => "Pacemaker, IPaddr2",
        })
    }
}

/// How fast a pair is; milliseconds. README.md here says where the figures come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    pub beat: u32,
    pub dead: u32,
}

impl Pace {
    /// Three beats may be lost, as VRRP has it: a death is noticed after `dead`, and the gap is up to a beat shorter.
    pub fn of(dead: u32) -> Self {
        Self { beat: dead / 3, dead }
    }

    /// keepalived counts beats in hundredths of a second; the backup's priority of 200 makes it wait 3 and 56/256 of them.
    fn advert(self) -> u32 {
        (self.dead * 256 / (3 * 256 + 56) / 10).max(1) * 10
    }

    /// ucarp's whole seconds and 256ths.
    fn skew(millis: u32) -> (u32, u32) {
        (millis / 1000, (millis % 1000) * 256 / 1000)
    }
}

/// Each one's fastest sane setting; README.md here says why.
pub fn fastest(program: Program) -> Pace {
    match program {
        Program::Classic => Pace::of(250),
        Program::Ours | Program::Keepalived => Pace::of(200),
        Program::Ucarp => Pace::of(3000),
        // Compared at one pace only.
        Program::OurCrm | Program::OurCrmScript | Program::Pacemaker => Pace::of(1000),
    }
}

/// A program, its pace, and the interfaces its beats go over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    pub program: Program,
    pub pace: Pace,
    pub media: usize,
}

/// Where things are on this machine.
#[derive(Clone, Debug)]
pub struct Place {
    pub hb_lab: PathBuf,
    pub packages: PathBuf,
}

/// A lab, and what is needed to do something in it.
#[derive(Debug)]
pub struct Pair {
    pub kind: Kind,
    pub lab: Lab,
}

impl Pair {
    /// The nodes are on, nothing runs in them.
    pub fn make(place: &Place, kind: Kind) -> io::Result<Self> {
        Self::with(place, kind, &NODES.map(str::to_owned), "")
    }

    pub fn with(place: &Place, kind: Kind, nodes: &[String], ha_cf: &str) -> io::Result<Self> {
        static LABS: AtomicU32 = AtomicU32::new(0);
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let mut options = Options::new(&format!("side-{}-{number}", std::process::id()));
        options.program = Some(place.hb_lab.clone());
        let links: Vec<String> = (0..kind.media).map(|n| format!("eth{n}")).collect();
        let Pace { beat, dead } = kind.pace;
        options.config = Config::Texts {
            ha_cf: format!(
                "logfile /var/log/ha-log\nkeepalive {beat}ms\nwarntime {}ms\ndeadtime {dead}ms\ninitdead {}ms\n\
                 udpport 694\nbcast {}\nauto_failback on\n{}node {}\n{ha_cf}",
                beat * 2,
                dead.max(1000),
                links.join(" "),
                if kind.program.is_manager() { "crm on\n" } else { "" },
                nodes.join(" ")
            ),
            haresources: match kind.program.is_manager() {
                true => String::new(),
                false => format!("node1 {ADDRESS}\n"),
            },
            authkeys: "auth 1\n1 sha1 a-lab-is-no-secret\n".to_owned(),
        };
        if !kind.program.is_ours() {
            options.classic = nodes.to_vec();
            options.packages = Some(place.packages.clone());
        }
        let pair = Self {
            kind,
            lab: Lab::up(&options)?,
        };
        for node in nodes.iter().filter(|_| kind.program.is_manager()) {
            managers::configure(&pair, place, node)?;
        }
        for node in nodes
            .iter()
            .filter(|_| matches!(kind.program, Program::Keepalived | Program::Ucarp))
        {
            pair.lab
                .write(node, "ha.d/keepalived.conf", &pair.keepalived(node, false))?;
            pair.lab
                .write(node, "ha.d/keepalived.low", &pair.keepalived(node, true))?;
            for (script, verb) in [("up", "add"), ("down", "del")] {
                let text = format!("#!/bin/sh\nexec ip address {verb} {ADDRESS}/24 dev \"$1\"\n");
                pair.lab.script(node, &format!("ha.d/{script}"), &text)?;
            }
        }
        Ok(pair)
    }

    /// `low`: below the other node, which is how keepalived is told to let go.
    fn keepalived(&self, node: &str, low: bool) -> String {
        let priority = match (node == NODES[0], low) {
            (true, false) => 250,
            (true, true) => 150,
            (false, _) => 200,
        };
        format!(
            "global_defs {{\n vrrp_version 3\n}}\nvrrp_instance side {{\n state BACKUP\n interface eth0\n\
             virtual_router_id 51\n priority {priority}\n advert_int {}\n virtual_ipaddress {{\n {ADDRESS}/24\n }}\n}}\n",
            f64::from(self.kind.pace.advert()) / 1000.0
        )
    }

    /// The command that starts the program on a node. It returns when the program says that it runs.
    fn starter(&self, node: &str) -> String {
        let Pace { beat, dead } = self.kind.pace;
        match self.kind.program {
            Program::Ours | Program::Classic => String::new(),
            Program::OurCrm | Program::OurCrmScript | Program::Pacemaker => managers::BOOT.to_owned(),
            Program::Keepalived => {
                "keepalived --vrrp -f /etc/ha.d/keepalived.conf -p /run/k.pid -r /run/kv.pid".to_owned()
            }
            Program::Ucarp => {
                // A master beats every advbase and skew; a backup waits advbase times the ratio, and its own skew.
                let long = dead >= 3000;
                let ((base, skew), ratio) = match (node == NODES[0], long) {
                    (first, true) => ((1, u32::from(!first)), dead / 1000),
                    (true, false) => (Pace::skew(beat), 3),
                    (false, false) => (Pace::skew(dead.min(996)), 3),
                };
                let own = self.own_address(node);
                let prefers = if node == NODES[0] { "-P" } else { "" };
                format!(
                    "ucarp -i eth0 -s {own} -v 51 -p side -a {ADDRESS} -b {base} -k {skew} -r {ratio} {prefers} -z -S \
                     -u /etc/ha.d/up -d /etc/ha.d/down </dev/null >/var/log/ucarp 2>&1 & echo $! >/run/k.pid"
                )
            }
        }
    }

    fn own_address(&self, node: &str) -> String {
        let links = self.lab.plan.node(node).map(|n| &n.links[..]).unwrap_or_default();
        let all = links.first().map(|l| &l.addresses[..]).unwrap_or_default();
        let v4 = all.iter().find(|(a, _)| matches!(a, IpAddr::V4(_)));
        v4.map_or_else(String::new, |(a, _)| a.to_string())
    }

    pub fn start(&self, node: &str) -> io::Result<()> {
        self.lab.power_on(node)?;
        let starter = self.starter(node);
        if !starter.is_empty() {
            self.shell(node, &starter)?;
        }
        match self.kind.program.is_heartbeat() {
            true => self.lab.start(node).and_then(well),
            false => Ok(()),
        }
    }

    pub fn stop(&self, node: &str) -> io::Result<()> {
        if self.kind.program.is_heartbeat() {
            return self.lab.stop(node).and_then(well);
        }
        match self.kind.program {
            Program::Pacemaker => self.shell(node, managers::STOP),
            _ => self.shell(node, "kill $(cat /run/k.pid)"),
        }
    }

    /// The first node gives the address away and stays in the cluster.
    pub fn give(&self) -> io::Result<()> {
        let node = NODES[0];
        match self.kind.program {
            Program::Ours | Program::Classic => self.lab.exec(node, &["hb_standby"]).and_then(well),
            Program::Keepalived => self.reload("low"),
            Program::Ucarp => self.shell(node, "kill -USR2 $(cat /run/k.pid)"),
            Program::OurCrm | Program::OurCrmScript | Program::Pacemaker => self.shell(node, managers::GIVE),
        }
    }

    /// The first node has it back. ucarp does that by itself.
    pub fn take(&self) -> io::Result<()> {
        match self.kind.program {
            Program::Ours | Program::Classic => self.lab.exec(NODES[0], &["hb_takeover"]).and_then(well),
            Program::Keepalived => self.reload("conf"),
            Program::Ucarp => Ok(()),
            Program::OurCrm | Program::OurCrmScript | Program::Pacemaker => self.shell(NODES[0], managers::TAKE),
        }
    }

    fn reload(&self, which: &str) -> io::Result<()> {
        if which == "conf" {
            self.lab
                .write(NODES[0], "ha.d/keepalived.conf", &self.keepalived(NODES[0], false))?;
        } else {
            self.lab
                .write(NODES[0], "ha.d/keepalived.conf", &self.keepalived(NODES[0], true))?;
        }
        self.shell(NODES[0], "kill -HUP $(cat /run/k.pid)")
    }

    pub fn shell(&self, node: &str, script: &str) -> io::Result<()> {
        self.lab.exec(node, &["sh", "-c", script]).and_then(well)
    }

    /// Whether the first node has the second one as a member; those that do not tell are given time instead.
    pub fn knows_peer(&self) -> bool {
        if self.kind.program.is_manager() {
            return managers::is_calm(self);
        }
        let asked = self.lab.exec(NODES[0], &["cl_status", "nodestatus", NODES[1]]);
        !self.kind.program.is_heartbeat() || asked.is_ok_and(|o| o.stdout.starts_with(b"active"))
    }

    /// The end of what both nodes have logged, for a run that failed.
    pub fn logs(&self) -> String {
        let tail = |node: &str| {
            let log = self.lab.log(node);
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(12);
            format!("--- {node}\n{}\n", lines[from..].join("\n"))
        };
        NODES.map(tail).concat()
    }
}

/// A command that must have gone well.
pub fn well(output: Output) -> io::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).trim().replace('\n', "; ");
    Err(io::Error::other(format!("{}: {text}", output.status)))
}

/// The version that a package has, from the name that Debian gave its archive.
pub fn versions(packages: &Path) -> String {
    std::fs::read_to_string(packages.join("versions"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}
