//! The program `send_arp`: announces an address on one interface, as often as it is told, whoever has the address.

use super::announce::{frames, is_router, socket};
use crate::sys::netlink::Netlink;
use crate::sys::now;
use crate::sys::packet::{PacketSocket, Pauses};
use crate::wire::Mac;
use crate::wire::route::Link;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process;
use std::time::Duration;

pub const USAGE: &str = "\
Usage: send_arp [-i INTERVAL] [-r COUNT] [-p PIDFILE] DEVICE IP MAC BROADCAST NETMASK

Tells all machines of the segment of DEVICE that IP is at the hardware address MAC:
a gratuitous ARP request and reply, or for IPv6 a neighbour advertisement.

  -i INTERVAL  milliseconds from one pair to the next; the default is 1000
  -r COUNT     number of pairs; the default is 1
  -p PIDFILE   write the number of the process there, and remove the file at the end
  -h, --help   print this

MAC is 525400123456, 52:54:00:12:34:56 or \"auto\", the hardware address of DEVICE.
BROADCAST and NETMASK are there for the callers of old and are not looked at.
SIGTERM ends it at once, with exit status 0.
";

/// Arguments of the classic command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    pub interval: Duration,
    pub count: u32,
    pid_file: Option<PathBuf>,
    pub device: String,
    pub ip: IpAddr,
    /// None is `auto`.
    pub mac: Option<Mac>,
}

/// Reads the arguments; `Ok(None)` asks for the help text.
pub fn parse(args: &[String]) -> Result<Option<Order>, String> {
    let (mut interval, mut count, mut pid_file, mut words) = (1000, 1, None, Vec::new());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "-h" || arg == "--help" {
            return Ok(None);
        }
        // `-i 500` and `-i500`, as getopt takes them; options end at the first other word.
        let option = arg.strip_prefix('-').filter(|_| words.is_empty());
        let Some(mut letters) = option.map(str::chars) else {
            words.push(arg.as_str());
            continue;
        };
        let letter = letters.next();
        let value = match (letters.as_str(), letter) {
            ("", Some('i' | 'r' | 'p')) => rest.next().map(String::as_str).ok_or(format!("{arg}: wants a value"))?,
            (value, _) => value,
        };
        let number = || match value.parse() {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(format!("{arg}: \"{value}\" is not a number above 0")),
        };
        match letter {
            Some('i') => interval = number()?,
            Some('r') => count = number()?,
            Some('p') => pid_file = Some(PathBuf::from(value)),
            _ => return Err(format!("{arg}: unknown option")),
        }
    }
    let [device, ip, mac, _broadcast, _netmask] = words[..] else {
        return Err(format!(
            "{} arguments given, 5 wanted; see send_arp --help",
            words.len()
        ));
    };
    Ok(Some(Order {
        interval: Duration::from_millis(u64::from(interval)),
        count,
        pid_file,
        device: device.to_owned(),
        ip: ip.parse().map_err(|_| format!("\"{ip}\" is not an IP address"))?,
        mac: match mac {
            "auto" => None,
            mac => Some(mac.parse().map_err(|e: crate::wire::ethernet::BadMac| e.to_string())?),
        },
    }))
}

/// Why the packets could not be sent.
#[derive(Debug)]
pub struct Failure {
    object: String,
    source: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.source)
    }
}

/// Removes the pid file, whichever way the work ends.
struct PidFile<'a>(&'a PathBuf);

impl Drop for PidFile<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0);
    }
}

impl Order {
    pub fn carry_out(&self) -> Result<(), Failure> {
        let about = |object: &str| {
            let object = object.to_owned();
            |source| Failure { object, source }
        };
        let on_device = about(&self.device);
        let link = Netlink::open().and_then(|mut n| n.links()).map_err(about("netlink"))?;
        let (link, mac) = match link.into_iter().find(|l| l.name == self.device) {
            Some(link) => self.hardware(link).map_err(on_device)?,
            None => return Err(on_device(io::Error::other("unknown interface"))),
        };
        // Blocked before the pid file tells anybody whom to signal.
        let pauses = Pauses::new().map_err(about("signals"))?;
        let _pid_file = match &self.pid_file {
            Some(path) => {
                let text = format!("{}\n", process::id());
                fs::write(path, text).map_err(about(&path.to_string_lossy()))?;
                Some(PidFile(path))
            }
            None => None,
        };
        let socket = socket(link.index, self.ip).map_err(about(&self.device))?;
        let frames = frames(self.ip, mac, self.ip.is_ipv6() && is_router(&link));
        self.send(&socket, &frames, &pauses).map_err(about(&self.device))
    }

    fn hardware(&self, link: Link) -> io::Result<(Link, Mac)> {
        let mac = self.mac.or(link.mac).filter(|_| link.has_neighbours());
        mac.map(|mac| (link, mac)).ok_or_else(|| {
            io::Error::other("not an Ethernet interface: it has no neighbours that keep hardware addresses")
        })
    }

    /// Request and reply are half an interval apart.
    fn send(&self, socket: &PacketSocket, frames: &[Vec<u8>], pauses: &Pauses) -> io::Result<()> {
        let pause = self.interval / frames.len() as u32;
        let mut next = now();
        for frame in (0..self.count).flat_map(|_| frames) {
            if !pauses.pause_until(next)? {
                break;
            }
            socket.send(frame)?;
            next += pause;
        }
        Ok(())
    }
}

/// The whole program: the exit status.
pub fn run(args: &[String], out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let complaint = match parse(args) {
        Ok(None) => return u8::from(out.write_all(USAGE.as_bytes()).is_err()),
        Ok(Some(order)) => match order.carry_out() {
            Ok(()) => return 0,
            Err(e) => e.to_string(),
        },
        Err(e) => e,
    };
    let _ = writeln!(err, "send_arp: {complaint}");
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classic_command_lines() {
        let order = |interval, count, pid: Option<&str>, ip: &str, mac: Option<Mac>| {
            Ok(Some(Order {
                interval: Duration::from_millis(interval),
                count,
                pid_file: pid.map(PathBuf::from),
                device: "eth0".to_owned(),
                ip: ip.parse().expect("test data"),
                mac,
            }))
        };
        let mac = Some(Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        let table = [
            (
                "eth0 10.0.0.9 auto 10.0.0.255 ffffffffffff",
                order(1000, 1, None, "10.0.0.9", None),
            ),
            (
                "-i 500 -r 10 -p /run/x.pid eth0 10.0.0.9 525400123456 not_used not_used",
                order(500, 10, Some("/run/x.pid"), "10.0.0.9", mac),
            ),
            (
                "-i500 -r2 eth0 2001:db8::9 52:54:00:12:34:56 x y",
                order(500, 2, None, "2001:db8::9", mac),
            ),
            ("--help", Ok(None)),
            (
                "eth0 10.0.0.9 auto",
                Err("3 arguments given, 5 wanted; see send_arp --help"),
            ),
            ("-r 0 eth0 10.0.0.9 auto x y", Err("-r: \"0\" is not a number above 0")),
            ("-r", Err("-r: wants a value")),
            ("-x eth0 10.0.0.9 auto x y", Err("-x: unknown option")),
            ("eth0 web auto x y", Err("\"web\" is not an IP address")),
            (
                "eth0 10.0.0.9 here x y",
                Err("\"here\" is not a hardware address: write 52:54:00:12:34:56 or 525400123456"),
            ),
        ];
        for (line, expected) in table {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(parse(&args), expected.map_err(str::to_owned), "{line}");
        }
    }
}
