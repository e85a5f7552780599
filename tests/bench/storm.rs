//! A pair of nodes in bad weather: a network that loses much, and junk as fast as it comes. What the pair makes of it.

use ha::clients::json::Json;
use ha::lab::flood::{Carrier, Kind, Source};
use ha::lab::{Config, Flood, Lab, Options, Watcher};
use std::fmt;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
pub const NODES: [&str; 2] = ["node1", "node2"];
const HA_CF: &str = "logfile /var/log/ha-log\nkeepalive 100ms\nwarntime 500ms\ndeadtime 1000ms\ninitdead 2\nudpport 694\n\
                     bcast eth0\nauto_failback on\nnode node1 node2\n";
/// As long as the classic may take to start.
const BOUND: Duration = Duration::from_secs(60);
/// The classic does not say when all is calm; ours has learned where its peer is.
const CALM: Duration = Duration::from_secs(5);
/// Of the times in /proc/PID/stat.
const TICKS_A_SECOND: f64 = 100.0;

/// Two nodes that run, with the address on the first one.
#[derive(Debug)]
pub struct Pair {
    // The watch ends before what it watches.
    watcher: Watcher,
    pub lab: Lab,
}

/// What a node has used, logged and noticed since it was switched on.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    cpu: f64,
    lines: u64,
    deaths: u64,
    late: u64,
    gaps: u64,
}

/// What happened in a storm, at the first node unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Packets of junk.
    pub sent: u64,
    /// Share of one core that all processes of the node took, in percent.
    pub cpu: f64,
    pub lines: u64,
    /// Of either node by the other.
    pub deaths: u64,
    pub late: u64,
    /// Times that messages of the peer were missing.
    pub gaps: u64,
    /// The address was at the first node, and nowhere else, all the time.
    pub stayed: bool,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stayed, o) = (if self.stayed { "yes" } else { "no" }, self);
        let numbers = format!(
            "{} | {:.1} % | {} | {} | {} | {}",
            o.sent, o.cpu, o.lines, o.late, o.gaps, o.deaths
        );
        write!(f, "{numbers} | {stayed}")
    }
}

impl Pair {
    /// `why` is said when there can be no lab here.
    pub fn start(name: &str, program: PathBuf, classic: bool) -> io::Result<Self> {
        let mut options = Options::new(&format!("{name}-{}", std::process::id()));
        options.program = Some(program);
        options.config = Config::Texts {
            ha_cf: HA_CF.to_owned(),
            haresources: format!("node1 {ADDRESS}\n"),
            authkeys: "auth 1\n1 sha1 a-lab-is-no-secret\n".to_owned(),
        };
        if classic {
            options.classic = NODES.map(str::to_owned).to_vec();
        }
        let lab = Lab::up(&options)?;
        for node in NODES {
            let said = lab.start(node)?;
            if !said.status.success() {
                let why = String::from_utf8_lossy(&said.stderr).into_owned();
                return Err(io::Error::other(format!("{node} does not start: {why}")));
            }
        }
        let watcher = lab.watch(ADDRESS)?;
        if !watcher.wait_for_owner("node1", 0, BOUND) {
            return Err(io::Error::other(format!(
                "node1 does not get the address\n{}",
                lab.log("node1")
            )));
        }
        thread::sleep(CALM);
        Ok(Self { watcher, lab })
    }

    /// Junk for node1.
    pub fn flood(&self, kind: Kind, source: Source, rate: u32, time: Duration) -> io::Result<Outcome> {
        let flood = Flood {
            target: NODES[0].to_owned(),
            peer: NODES[1].to_owned(),
            kind,
            source,
            carrier: Carrier::Heartbeat,
            rate,
            time,
        };
        self.during(time, || {
            let mut child = self.lab.flood(&flood)?;
            let mut said = String::new();
            if let Some(out) = &mut child.stdout {
                out.read_to_string(&mut said)?;
            }
            child.wait()?;
            said.trim()
                .parse()
                .map_err(|e| io::Error::other(format!("the flood said \"{said}\": {e}")))
        })
    }

    /// Of all packets of heartbeat `percent` are lost, in both directions.
    pub fn lose(&self, percent: u8, time: Duration) -> io::Result<Outcome> {
        for node in NODES {
            self.rule(node, "-A", percent)?;
        }
        let outcome = self.during(time, || {
            thread::sleep(time);
            Ok(0)
        });
        for node in NODES {
            self.rule(node, "-D", percent)?;
        }
        outcome
    }

    fn rule(&self, node: &str, verb: &str, percent: u8) -> io::Result<()> {
        let share = format!("0.{percent:02}");
        let words = [
            "iptables",
            "-w",
            verb,
            "INPUT",
            "-p",
            "udp",
            "--dport",
            "694",
            "-m",
            "statistic",
        ];
        let more = ["--mode", "random", "--probability", &share, "-j", "DROP"];
        let said = self.lab.exec(node, &[&words[..], &more].concat())?;
        match said.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(String::from_utf8_lossy(&said.stderr).into_owned())),
        }
    }

    fn during(&self, time: Duration, storm: impl FnOnce() -> io::Result<u64>) -> io::Result<Outcome> {
        let (since, before) = (Watcher::now(), self.samples()?);
        let sent = storm()?;
        let after = self.samples()?;
        self.watcher.settle();
        let of = |part: fn(&Sample) -> u64, node: usize| part(&after[node]) - part(&before[node]);
        Ok(Outcome {
            sent,
            cpu: (after[0].cpu - before[0].cpu) / time.as_secs_f64() * 100.0,
            lines: of(|s| s.lines, 0),
            deaths: of(|s| s.deaths, 0) + of(|s| s.deaths, 1),
            late: of(|s| s.late, 0),
            gaps: of(|s| s.gaps, 0),
            stayed: self.watcher.timeline().owners(since) == [NODES[0]] && self.watcher.doubles(since).is_empty(),
        })
    }

    fn samples(&self) -> io::Result<[Sample; 2]> {
        Ok([self.sample(NODES[0])?, self.sample(NODES[1])?])
    }

    fn sample(&self, node: &str) -> io::Result<Sample> {
        let log = self.lab.log(node);
        let said = |words: &str| log.lines().filter(|l| l.contains(words)).count() as u64;
        let mut sample = Sample {
            cpu: self.cpu(node)?,
            lines: log.lines().count() as u64,
            deaths: said("is dead"),
            late: said("Late heartbeat"),
            gaps: said("lost packet"),
        };
        if !self.lab.plan.is_classic(node) {
            // Not everything that is counted is logged.
            let status = self.lab.exec(node, &["cl_status", "status", "--json"])?;
            let status = Json::parse(&String::from_utf8_lossy(&status.stdout)).unwrap_or(Json::Null);
            let counter = |name: &str| status.get("counters").get(name).number();
            (sample.deaths, sample.late, sample.gaps) =
                (counter("deaths"), counter("late_heartbeats"), counter("gaps"));
        }
        Ok(sample)
    }

    /// Seconds of all processes of the node but those that look.
    fn cpu(&self, node: &str) -> io::Result<f64> {
        let said = self
            .lab
            .exec(node, &["sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null; true"])?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let ticks = text.lines().filter_map(|line| {
            let (head, rest) = line.rsplit_once(") ")?;
            let name = head.split_once('(')?.1;
            let numbers: Vec<&str> = rest.split(' ').collect();
            let time = |at: usize| numbers.get(at)?.parse::<u64>().ok();
            let looks = ["sh", "cat", "hb_lab"].contains(&name);
            (!looks).then_some(time(11)? + time(12)?)
        });
        Ok(ticks.sum::<u64>() as f64 / TICKS_A_SECOND)
    }
}
