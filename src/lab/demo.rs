//! `hb_lab demo`: a newcomer's first half minute. Two nodes, one address, a small service, and everything that can
//! happen to them, measured from outside.

use super::handle::Lab;
use super::options::{Config, Options};
use super::timeline::{Micros, millis};
use super::watch::Watcher;
use super::{CLIENT, files};
use std::io::{self, IsTerminal, Write};
use std::net::Ipv4Addr;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const PORT: u16 = 7700;
/// Each step takes a second or two; a step that takes this long has failed.
const BOUND: Duration = Duration::from_secs(20);
/// A reader at a terminal needs a moment between the steps.
const READING: Duration = Duration::from_secs(3);

const INTRODUCTION: &str = "\
Two machines, node1 and node2, share one service. Clients reach it at one address,
10.77.0.100, and do not care which machine has it. heartbeat runs on both and gives
the address and the service to exactly one of them.

These machines are simulated on this computer (by namespaces of Linux); the programs in
them are the real ones. Ten times a second each tells the other that it lives. One that
is silent for half a second counts as dead, and the other one takes over. A third machine,
the client, asks a thousand times a second who has the address.
";

/// Runs all steps and says how they went: the exit code.
pub fn run() -> u8 {
    let mut screen = Screen::new();
    match play(&mut screen) {
        Ok(()) => 0,
        Err(e) => {
            screen.failed(&e);
            1
        }
    }
}

fn play(screen: &mut Screen) -> Result<(), String> {
    screen.text(INTRODUCTION);
    let name = format!("demo-{}", std::process::id());
    let mut demo = Demo::set_up(&name).map_err(|e| format!("the lab could not be made: {e}"))?;
    demo.start(screen)?;
    demo.crash(screen)?;
    demo.come_back(screen)?;
    demo.standby(screen)?;
    demo.stop(screen)?;
    demo.sum(screen)?;
    demo.clean_up(screen, &name)
}

#[derive(Debug)]
struct Demo {
    // Before the lab, so that it ends before its network does.
    watcher: Watcher,
    lab: Lab,
    /// What was done, and how long nobody answered.
    gaps: Vec<(&'static str, Micros)>,
}

impl Demo {
    fn set_up(name: &str) -> io::Result<Self> {
        let mut options = Options::new(name);
        options.config = Config::Plain {
            ha_cf: String::new(),
            haresources: format!("node1 {ADDRESS} hello\n"),
        };
        let lab = Lab::up(&options)?;
        for node in ["node1", "node2"] {
            lab.script(node, "ha.d/resource.d/hello", &hello(&lab, node))?;
        }
        let watcher = lab.watch(ADDRESS)?;
        Ok(Self {
            lab,
            watcher,
            gaps: Vec::new(),
        })
    }

    fn start(&mut self, screen: &mut Screen) -> Result<(), String> {
        screen.step(
            1,
            "Both machines start heartbeat. The service's home is node1, as long as that works.",
        );
        for node in ["node1", "node2"] {
            let output = self.lab.start(node);
            went_well(&format!("start of heartbeat on {node}"), output)?;
        }
        self.settled_on(screen, "node1", 0)?;
        screen.good("node1 has the address and the service answers. node2 waits, in case node1 fails.");
        Ok(())
    }

    fn crash(&mut self, screen: &mut Screen) -> Result<(), String> {
        screen.step(
            2,
            "node1 loses its power: it cannot say goodbye, everything in it is gone at once.",
        );
        let since = Watcher::now();
        self.lab.power_off("node1").map_err(|e| e.to_string())?;
        self.settled_on(screen, "node2", since)?;
        let gap = self.gap("power failure", since);
        screen.good(&format!(
            "500 ms after the last word of node1, node2 took over. Nobody answered for {gap}:\n      that last word came a little before the end. You choose how long the silence may be."
        ));
        Ok(())
    }

    fn come_back(&mut self, screen: &mut Screen) -> Result<(), String> {
        screen.step(
            3,
            "node1 boots again. The service goes home (auto_failback on; off: it stays on node2).",
        );
        let since = Watcher::now();
        went_well("start of heartbeat on node1", self.lab.start("node1"))?;
        self.settled_on(screen, "node1", since)?;
        let gap = self.gap("return", since);
        screen.good(&format!("node2 handed it back. Nobody answered for {gap}."));
        Ok(())
    }

    fn standby(&mut self, screen: &mut Screen) -> Result<(), String> {
        screen.step(
            4,
            "Somebody wants to repair node1, and types \"hb_standby\" there: the service is to go.",
        );
        let since = Watcher::now();
        went_well("hb_standby on node1", self.lab.exec("node1", &["hb_standby"]))?;
        self.settled_on(screen, "node2", since)?;
        let gap = self.gap("hb_standby", since);
        screen.good(&format!(
            "node2 has it, and node1 may be switched off now. Nobody answered for {gap}."
        ));
        Ok(())
    }

    fn stop(&mut self, screen: &mut Screen) -> Result<(), String> {
        screen.step(
            5,
            "heartbeat on node2 is stopped (\"heartbeat -k\"), as before a shutdown.",
        );
        let since = Watcher::now();
        went_well("stop of heartbeat on node2", self.lab.stop("node2"))?;
        self.settled_on(screen, "node1", since)?;
        let gap = self.gap("orderly stop", since);
        screen.good(&format!(
            "node2 gave up first, then node1 took over. Nobody answered for {gap}."
        ));
        Ok(())
    }

    fn sum(&mut self, screen: &mut Screen) -> Result<(), String> {
        self.watcher.settle();
        let timeline = self.watcher.timeline();
        let double = timeline.double_time(0);
        let mut text = String::from("\nWhat the client saw:\n");
        for (what, gap) in &self.gaps {
            text.push_str(&format!("  {what:<16} {:>6.0} ms without an answer\n", millis(*gap)));
        }
        text.push_str(&format!("  owners in turn   {}\n", timeline.owners(0).join(", ")));
        screen.text(&text);
        if double > 0 {
            return Err(format!("two nodes answered at once, for {:.0} ms", millis(double)));
        }
        screen.good("There was never a moment with two owners, which would split the clients.");
        Ok(())
    }

    fn clean_up(self, screen: &mut Screen, name: &str) -> Result<(), String> {
        drop(self.watcher);
        drop(self.lab);
        if files::lab(name).exists() {
            return Err(format!("{}: is still there", files::lab(name).display()));
        }
        screen.text(
            "\nEverything is cleaned up. To play yourself: \"hb_lab up\", \"hb_lab start node1\", \"hb_lab watch\";\n\
             to rehearse your own cluster: \"hb_lab up -c /etc/ha.d\". hb_lab(8) has the rest.\n",
        );
        Ok(())
    }

    /// Waits until `node` alone has the address and the service there answers the client.
    fn settled_on(&self, screen: &mut Screen, node: &str, since: Micros) -> Result<(), String> {
        let what = format!("{node} has {ADDRESS}");
        let owner = |t: &super::Timeline| t.last().is_some_and(|s| s.to > since && s.owners == [node]);
        self.wait(screen, &what, || owner(&self.watcher.timeline()))?;
        self.wait(screen, &format!("the service on {node} answers"), || {
            self.service() == node
        })?;
        self.watcher.settle();
        Ok(())
    }

    fn service(&self) -> String {
        let program = self.lab.plan.program.display().to_string();
        let words = [program.as_str(), "__ask", &ADDRESS.to_string(), &PORT.to_string()];
        let output = self.lab.exec(CLIENT, &words);
        output.map_or_else(
            |_| String::new(),
            |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
        )
    }

    fn wait(&self, screen: &mut Screen, what: &str, holds: impl FnMut() -> bool) -> Result<(), String> {
        let begun = Instant::now();
        let mut holds = holds;
        let result = self.lab.wait_for(what, BOUND, || {
            screen.waiting(what, begun.elapsed());
            holds()
        });
        screen.clear_line();
        result.map(drop)
    }

    fn gap(&mut self, what: &'static str, since: Micros) -> String {
        let gap = self.watcher.longest_gap(since).map_or(0, |g| g.to - g.from);
        self.gaps.push((what, gap));
        format!("{:.0} ms", millis(gap))
    }
}

fn went_well(what: &str, output: io::Result<Output>) -> Result<(), String> {
    match output {
        Ok(o) if o.status.success() => Ok(()),
        Ok(o) => {
            let said = [o.stdout, o.stderr].concat();
            Err(format!("{what}: {}\n{}", o.status, String::from_utf8_lossy(&said)))
        }
        Err(e) => Err(format!("{what}: {e}")),
    }
}

/// A resource script as administrators write them.
fn hello(lab: &Lab, node: &str) -> String {
    format!(
        r#"#!/bin/sh
# The demo's service: says which node it runs on.
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
*)
	echo "usage: hello start|stop|status" >&2
	exit 2 ;;
esac
"#,
        run = lab.files(node).run().display(),
        program = lab.plan.program.display(),
    )
}

/// Plain lines; colours, waiting times and pauses only for a reader at a terminal.
#[derive(Debug)]
struct Screen {
    out: io::Stdout,
    terminal: bool,
}

impl Screen {
    fn new() -> Self {
        let out = io::stdout();
        let terminal = out.is_terminal();
        Self { out, terminal }
    }

    fn text(&mut self, text: &str) {
        // A reader who went away does not stop the cluster from being cleaned up.
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    fn step(&mut self, number: u8, text: &str) {
        if self.terminal {
            thread::sleep(READING);
            self.text(&format!("\n\x1b[1m[{number}/5] {text}\x1b[0m\n"));
        } else {
            self.text(&format!("\n[{number}/5] {text}\n"));
        }
    }

    fn waiting(&mut self, what: &str, time: Duration) {
        if self.terminal {
            self.text(&format!("\r      waiting until {what} … {:.1} s", time.as_secs_f64()));
        }
    }

    fn clear_line(&mut self) {
        if self.terminal {
            self.text("\r\x1b[K");
        }
    }

    fn good(&mut self, text: &str) {
        if self.terminal {
            self.text(&format!("\x1b[32m  ok  {text}\x1b[0m\n"));
        } else {
            self.text(&format!("  ok  {text}\n"));
        }
    }

    fn failed(&mut self, text: &str) {
        self.clear_line();
        if self.terminal {
            self.text(&format!("\x1b[31m  FAILED  {text}\x1b[0m\n"));
        } else {
            self.text(&format!("  FAILED  {text}\n"));
        }
    }
}
