//! The test bed: two nodes, an address with a small service, and a client that watches both all the time.

use crate::tcp::TcpWatch;
use ha::lab::timeline::{Micros, millis};
use ha::lab::{Config, Lab, Options, Watcher};
use std::io;
use std::net::Ipv4Addr;
use std::process::Output;
use std::thread;
use std::time::Duration;

pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
pub const PORT: u16 = 7700;
pub const NODES: [&str; 2] = ["node1", "node2"];
/// Everything here takes a second or two, with the classic a dozen; what takes this long has failed.
pub const BOUND: Duration = Duration::from_secs(30);
/// Linux takes a neighbour's second change within a second for a lie: moves must be further apart than that.
const REST: Duration = Duration::from_millis(1100);

#[derive(Debug)]
pub struct Bed {
    // The watches end before what they watch.
    arp: Watcher,
    tcp: TcpWatch,
    pub lab: Lab,
}

/// What the client saw of one event.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Longest time in which nobody answered for the address.
    pub address: f64,
    /// Longest time in which no connection to the service succeeded.
    pub service: f64,
    /// Time in which two nodes answered for the address.
    pub two_owners: f64,
}

impl Bed {
    /// With the small service of hb_lab.
    pub fn make(what: &str) -> Result<Self, String> {
        Self::of(what, "", PORT, hello)
    }

    /// With further lines of ha.cf, and a script `hello` that starts something that says the name of its node at `port`.
    pub fn of(what: &str, ha_cf: &str, port: u16, hello: fn(&Lab, &str) -> String) -> Result<Self, String> {
        let mut options = Options::new(&format!("bench-{what}-{}", std::process::id()));
        options.program = Some(env!("CARGO_BIN_EXE_hb_lab").into());
        options.config = Config::Plain {
            // As the figures say; nodes of the lab wait longer, so that a busy machine does not start one alone.
            ha_cf: format!("initdead {}ms\n{ha_cf}", super::ours::INITDEAD),
            haresources: format!("node1 {ADDRESS} hello\n"),
        };
        let up = || -> io::Result<Self> {
            let lab = Lab::up(&options)?;
            for node in NODES {
                lab.script(node, "ha.d/resource.d/hello", &hello(&lab, node))?;
            }
            let arp = lab.watch(ADDRESS)?;
            let tcp = TcpWatch::start(&lab, ADDRESS, port)?;
            Ok(Self { lab, arp, tcp })
        };
        up().map_err(|e| format!("the lab could not be made: {e}"))
    }

    /// Both nodes boot with nothing running in them.
    pub fn reboot(&self) -> Result<(), String> {
        for node in NODES {
            said(
                &format!("reboot of {node}"),
                self.lab.power_off(node).and_then(|()| self.lab.power_on(node)),
            )?;
        }
        Ok(())
    }

    /// Does something after which `node` has everything, and returns what the client saw from then on.
    pub fn event(&self, what: &str, node: &str, event: impl FnOnce(&Lab) -> io::Result<()>) -> Result<Seen, String> {
        let since = self.rest();
        said(what, event(&self.lab))?;
        self.settled_on(what, node, since)?;
        Ok(self.seen(since))
    }

    /// Waits until the network has forgotten the last move; the time now.
    pub fn rest(&self) -> Micros {
        thread::sleep(REST);
        Watcher::now()
    }

    pub fn settled_on(&self, what: &str, node: &str, since: Micros) -> Result<(), String> {
        if !self.arp.wait_for_owner(node, since, BOUND) {
            let owners = self.arp.owners();
            return Err(self.logs(&format!("{what}: {node} did not get the address; it is at {owners:?}")));
        }
        self.served_by(what, node, since)
    }

    /// Waits until the service on `node` answers the client.
    pub fn served_by(&self, what: &str, node: &str, since: Micros) -> Result<(), String> {
        let answers = || self.tcp.timeline(since).last().is_some_and(|s| s.owners == [node]);
        let served = self.lab.wait_for(&format!("{what}: service on {node}"), BOUND, answers);
        self.arp.settle();
        served.map(drop)
    }

    /// Both nodes have answered the same question.
    pub fn both_answer(&self, since: Micros) -> bool {
        !self.arp.doubles(since).is_empty()
    }

    pub fn seen(&self, since: Micros) -> Seen {
        let length = |gap: Option<ha::lab::Gap>| gap.map_or(0.0, |g| g.millis());
        Seen {
            address: length(self.arp.longest_gap(since)),
            service: length(self.tcp.timeline(since).longest_gap(0)),
            two_owners: millis(self.arp.timeline().double_time(since)),
        }
    }

    /// From `since` until the first answer of `node`.
    pub fn first_answer(&self, node: &str, since: Micros) -> Option<f64> {
        let timeline = self.arp.timeline();
        let first = timeline.spans().iter().find(|s| s.from > since && s.owners == [node]);
        first.map(|s| millis(s.from - since))
    }

    /// The sentence, and what the nodes have logged.
    fn logs(&self, sentence: &str) -> String {
        let logs = NODES.map(|n| format!("--- log of {n}\n{}", self.lab.log(n)));
        format!("{sentence}\n{}", logs.concat())
    }
}

fn said<T>(what: &str, result: io::Result<T>) -> Result<T, String> {
    result.map_err(|e| format!("{what}: {e}"))
}

/// A command that must have gone well.
pub fn well(output: Output) -> io::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(io::Error::other(format!(
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&text)
    )))
}

/// A resource script as administrators write them, around hb_lab's small service.
pub fn hello(lab: &Lab, node: &str) -> String {
    format!(
        r#"#!/bin/sh
pidfile={run}/hello.pid
running() {{ [ -s "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }}
case $1 in
start)
	running && exit 0
	{program} __serve {PORT} {node} </dev/null >/dev/null 2>&1 &
	echo $! >"$pidfile" ;;
stop)
	running && kill "$(cat "$pidfile")"
	rm -f "$pidfile" ;;
status)
	if running; then echo running; else echo stopped; exit 3; fi ;;
esac
"#,
        run = lab.files(node).run().display(),
        program = lab.plan.program.display(),
    )
}
