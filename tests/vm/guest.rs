//! One virtual machine: QEMU, orders to the shell in it, its cables, its power switch.

use crate::image::{Image, image};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A boot takes 4 to 16 s on two cores without hardware help; a machine that does much else needs longer.
const BOOT: Duration = Duration::from_secs(120);
/// Nothing in a test takes longer; a machine that is left behind ends itself.
const LIFE: &str = "600";
/// A first copy of it takes some seconds.
const DISK: u64 = 24 << 20;

/// What an order printed, both outputs, and its exit code; 124 and 143 when it took too long.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub text: String,
}

#[derive(Debug)]
pub struct Guest {
    pub number: usize,
    dir: PathBuf,
    qemu: Child,
    orders: BufReader<UnixStream>,
    last: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cable {
    /// eth0, with the addresses of the nodes.
    Public,
    /// eth1, DRBD's.
    Crossover,
}

fn path(dir: &Path, name: &str, number: usize) -> String {
    dir.join(format!("{name}{number}")).display().to_string()
}

impl Guest {
    /// Switches machine `number` (1 or 2) on; its disk is in `dir` and is kept, everything else is as after an
    /// installation. Gives it before it has booted: see [`Guest::ready`].
    pub fn switch_on(dir: &Path, number: usize) -> io::Result<Self> {
        let Image { kernel, initrd } = image().map_err(io::Error::other)?;
        let other = 3 - number;
        let disk = path(dir, "disk", number);
        if !Path::new(&disk).exists() {
            fs::File::create(&disk)?.set_len(DISK)?;
        }
        let orders = path(dir, "orders", number);
        let monitor = path(dir, "monitor", number);
        let mut args: Vec<String> = Vec::new();
        let mut add = |words: &str| args.extend(words.split(' ').map(str::to_owned));
        // The same everywhere: a machine that offers /dev/kvm inside another virtual machine may not keep the promise.
        add("-M pc,usb=off -nodefaults -no-user-config -accel tcg,tb-size=128 -cpu Nehalem -smp 1 -m 224");
        add("-display none -no-reboot");
        add(&format!(
            "-chardev file,id=console,path={}",
            path(dir, "console", number)
        ));
        add("-serial chardev:console");
        // The null-modem cable, ttyS1 of both.
        let side = if number == 1 {
            "server=on,wait=off"
        } else {
            "reconnect=1"
        };
        add(&format!("-chardev socket,id=cable,path={}/cable,{side}", dir.display()));
        add("-serial chardev:cable");
        add(&format!(
            "-drive if=none,id=disk,format=raw,cache=writeback,file={disk}"
        ));
        add("-device virtio-blk-pci,drive=disk -device virtio-rng-pci");
        for card in 0..2 {
            let end = |n: usize| dir.join(format!("eth{card}-{n}")).display().to_string();
            let _ = fs::remove_file(end(number));
            add(&format!(
                "-netdev dgram,id=eth{card},local.type=unix,local.path={},remote.type=unix,remote.path={}",
                end(number),
                end(other)
            ));
            add(&format!(
                "-device virtio-net-pci,netdev=eth{card},id=card{card},romfile=,mac=52:54:00:6c:0{card}:0{number}"
            ));
        }
        add("-device virtio-serial-pci");
        add(&format!("-chardev socket,id=orders,path={orders},server=on,wait=off"));
        add("-device virtserialport,chardev=orders,name=orders");
        add(&format!(
            "-qmp unix:{monitor},server=on,wait=off -pidfile {}",
            path(dir, "pid", number)
        ));
        for socket in [&orders, &monitor] {
            let _ = fs::remove_file(socket);
        }
        let log = fs::File::create(path(dir, "qemu", number))?;
        // A clock whose speed is known: the kernel measures that of the processor's, wrongly when this machine is busy.
        let kernel_words =
            "console=ttyS0 quiet panic=-1 clocksource=hpet mitigations=off nokaslr audit=0 8250.nr_uarts=2";
        let qemu = Command::new("timeout")
            .args(["--foreground", "-s", "KILL", LIFE, "qemu-system-x86_64"])
            .args(args)
            .args([
                "-kernel".as_ref(),
                kernel.as_os_str(),
                "-initrd".as_ref(),
                initrd.as_os_str(),
            ])
            .args(["-append", &format!("{kernel_words} random.trust_cpu=on guest={number}")])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let until = Instant::now() + BOOT;
        let orders = loop {
            match UnixStream::connect(&orders) {
                Ok(stream) => break stream,
                Err(e) if Instant::now() > until => return Err(e),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let orders = BufReader::new(orders);
        Ok(Self {
            number,
            dir: dir.to_owned(),
            qemu,
            orders,
            last: 0,
        })
    }

    /// Waits until it takes orders.
    pub fn ready(&mut self) -> io::Result<()> {
        self.orders.get_ref().set_read_timeout(Some(BOOT))?;
        let mut line = String::new();
        self.orders
            .read_line(&mut line)
            .map_err(|e| io::Error::other(format!("{e}\n{}", self.console())))?;
        match line.trim() {
            "ready" => Ok(()),
            other => Err(io::Error::other(format!(
                "said {other:?} instead of ready\n{}",
                self.console()
            ))),
        }
    }

    /// The last lines of its console: what the kernel said.
    pub fn console(&self) -> String {
        let text = fs::read(path(&self.dir, "console", self.number)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// Runs a piece of shell in it, for `seconds` at most.
    pub fn order(&mut self, shell: &str, seconds: u32) -> io::Result<Answer> {
        self.last += 1;
        let id = self.last;
        let limit = Duration::from_secs(u64::from(seconds) + 60);
        self.orders.get_ref().set_read_timeout(Some(limit))?;
        let order = format!("{id} {seconds} {}\n{shell}", shell.len());
        self.orders.get_mut().write_all(order.as_bytes())?;
        loop {
            let mut line = String::new();
            if self.orders.read_line(&mut line)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the machine is off"));
            }
            let words: Vec<i64> = line.split_whitespace().filter_map(|w| w.parse().ok()).collect();
            let [of, code, bytes] = words[..] else {
                return Err(io::Error::other(format!("answered {line:?}")));
            };
            let mut text = vec![0; usize::try_from(bytes).unwrap_or(0)];
            self.orders.read_exact(&mut text)?;
            if u64::try_from(of) == Ok(id) {
                let text = String::from_utf8_lossy(&text).into_owned();
                return Ok(Answer {
                    code: i32::try_from(code).unwrap_or(-1),
                    text,
                });
            }
        }
    }

    fn monitor(&self, command: &str) -> io::Result<()> {
        let mut stream = UnixStream::connect(path(&self.dir, "monitor", self.number))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut answers = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        for order in [r#"{"execute":"qmp_capabilities"}"#, command] {
            stream.write_all(format!("{order}\n").as_bytes())?;
            loop {
                line.clear();
                if answers.read_line(&mut line)? == 0 || line.contains(r#""error""#) {
                    return Err(io::Error::other(format!("monitor: {order}: {line}")));
                }
                if line.contains(r#""return""#) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Pulls or plugs its end of a cable: the card loses its carrier.
    pub fn cable(&self, which: Cable, plugged: bool) -> io::Result<()> {
        let card = match which {
            Cable::Public => "card0",
            Cable::Crossover => "card1",
        };
        self.monitor(&format!(
            r#"{{"execute":"set_link","arguments":{{"name":"{card}","up":{plugged}}}}}"#
        ))
    }

    /// Loses its power, at this very moment: what was not on its disk is gone.
    pub fn power_off(&mut self) {
        let pid = fs::read_to_string(path(&self.dir, "pid", self.number)).unwrap_or_default();
        let _ = Command::new("kill").args(["-9", pid.trim()]).status();
        self.end();
    }

    /// It has switched itself off: a reset ends it, too.
    pub fn is_off(&mut self) -> bool {
        !matches!(self.qemu.try_wait(), Ok(None))
    }

    fn end(&mut self) {
        let until = Instant::now() + Duration::from_secs(5);
        while !self.is_off() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !self.is_off() {
            self.power_off();
        }
    }
}
