//! What is simulated: the configuration, the chances of scripts to fail, and the faults with their moments.

use super::incident::{self, CALM, Incident};
use crate::core::random::Random;
use crate::groups::Set;
use crate::time::{Duration, Instant};
use std::fmt::Write;

/// The resources of a group, and the node it prefers.
pub type GroupLine = (usize, &'static [&'static str]);

/// Everything that does not change while the clock runs.
#[derive(Clone, Debug)]
pub struct Config {
    pub nodes: usize,
    pub nets: usize,
    pub keepalive: Duration,
    pub deadtime: Duration,
    pub initdead: Duration,
    pub auto_failback: &'static str,
    pub groups: Vec<GroupLine>,
    /// A script takes between these two times.
    pub script: (Duration, Duration),
    /// Scripts that hang are killed after this time.
    pub resource_timeout: Duration,
    /// Of 1000 starts, and of 1000 stops, so many fail; a quarter of them by hanging.
    pub start_fails: u64,
    pub stop_fails: u64,
    /// `stonith_host` line of every node, or nothing.
    pub fencing: &'static str,
    /// Of 1000 things that a STONITH device is asked to do, so many fail.
    pub fence_fails: u64,
    /// No fault but loss below deadtime, and no daemon that dies: a group must never be up on two nodes, not even for a
    /// moment. With fencing neither, whatever happens.
    pub strict: bool,
    /// A ping node on the first network, which answers whoever has an interface that works there.
    pub ping: bool,
    /// On these nodes runs heartbeat 3.0.6.
    pub classic: &'static [usize],
    /// After each event every node looks at all its groups, also when it takes that for needless; it must be.
    pub doubtful: bool,
}

/// What it is called.
pub const PING: &str = "10.0.0.254";

impl Config {
    /// Beats of 100 ms, for short scenarios.
    pub fn quick(nodes: usize) -> Self {
        Self {
            nodes,
            nets: 1,
            keepalive: Duration::from_millis(100),
            deadtime: Duration::from_millis(500),
            initdead: Duration::from_secs(2),
            auto_failback: "on",
            groups: vec![
                (0, &["10.0.0.1", "web"]),
                (1, &["10.0.0.2"]),
                (0, &["10.0.0.3", "db", "mail"]),
            ],
            script: (Duration::from_millis(5), Duration::from_millis(80)),
            resource_timeout: Duration::from_secs(20),
            start_fails: 0,
            stop_fails: 0,
            fencing: "",
            fence_fails: 0,
            strict: false,
            ping: false,
            classic: &[],
            doubtful: false,
        }
    }

    /// Beats of 2 s, for long times.
    pub fn slow(nodes: usize) -> Self {
        Self {
            keepalive: Duration::from_secs(2),
            deadtime: Duration::from_secs(10),
            initdead: Duration::from_secs(20),
            ..Self::quick(nodes)
        }
    }

    /// After the last fault everything has found its place within this time. A reload that is waited for
    /// (`Fault::Repair`) and a start that nobody answers; deaths that are still to be noticed, a retry of what nobody could
    /// start (30 s) and scripts; with fencing what a device takes, and two boots.
    pub fn settles_within(&self) -> Duration {
        let start = self.resource_timeout * 2 + self.initdead + self.deadtime;
        let scripts = self.script.1 * 6 + Duration::from_secs(60);
        let fencing = if self.fencing.is_empty() { 0 } else { 200 };
        start + scripts + Duration::from_secs(fencing) + self.classic_restarts_within()
    }

    /// A classic that finds its peer returning gives everything up, after 2 s and when nothing else is on its way, which
    /// may be its wait of 10 s; sleeps a deadtime and a second; starts, and may wait once more.
    pub fn classic_restarts_within(&self) -> Duration {
        match self.classic {
            [] => Duration::ZERO,
            _ => self.deadtime + Duration::from_secs(30) + self.script.1 * 12,
        }
    }

    pub fn node_name(i: usize) -> String {
        format!("n{}", i + 1)
    }

    /// ha.cf; `variant` differs after a reload.
    pub fn ha_cf(&self, variant: usize) -> String {
        let keepalive = if variant % 2 == 1 {
            self.keepalive / 2
        } else {
            self.keepalive
        };
        let mut text = format!(
            "keepalive {}ms\ndeadtime {}ms\ninitdead {}ms\nresource_timeout {}ms\nauto_failback {}\nmsgfmt netstring\nbcast",
            keepalive.as_millis(),
            self.deadtime.as_millis(),
            self.initdead.as_millis(),
            self.resource_timeout.as_millis(),
            self.auto_failback
        );
        for n in 0..self.nets {
            let _ = write!(text, " eth{n}");
        }
        for i in 0..self.nodes {
            let _ = write!(text, "\nnode {}", Self::node_name(i));
        }
        text.push('\n');
        if !self.fencing.is_empty() {
            let _ = writeln!(text, "stonith_host * {}", self.fencing);
        }
        if self.ping {
            let _ = writeln!(text, "ping {PING}");
        }
        text
    }

    /// haresources; the variants after a reload: as it was, without the last group, the last group with one resource more.
    pub fn haresources(&self, variant: usize) -> String {
        let mut text = String::new();
        for (i, (node, resources)) in self.groups.iter().enumerate() {
            let last = i + 1 == self.groups.len() && i > 0;
            if last && variant % 3 == 1 {
                continue;
            }
            let more = if last && variant % 3 == 2 { " extra" } else { "" };
            let _ = writeln!(text, "{} {}{more}", Self::node_name(*node), resources.join(" "));
        }
        text
    }
}

/// Something that happens to the cluster, or that its administrator does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Packets of one node no longer reach the other one, on one network or all.
    Cut {
        net: Option<usize>,
        from: usize,
        to: usize,
    },
    Mend {
        net: Option<usize>,
        from: usize,
        to: usize,
    },
    /// Everything about all paths but the cuts.
    Weather {
        loss: u8,
        repeats: u8,
        delay: Duration,
        jitter: Duration,
    },
    MediumBreaks {
        net: usize,
        node: usize,
    },
    MediumMends {
        net: usize,
        node: usize,
    },
    /// The daemon gets no processor time; scripts and addresses stay.
    Freeze(usize),
    Thaw(usize),
    /// The machine loses power: all that ran on it is gone.
    PowerOff(usize),
    /// The daemon dies and leaves everything running; its master starts it again after this time.
    DaemonDies {
        node: usize,
        back_after: Duration,
    },
    /// SIGTERM.
    Stop(usize),
    /// Starts the daemon, and the machine when it is off. Nothing when it runs.
    Start(usize),
    Standby(usize, Set),
    /// hb_monitor of a node finds that a group does not work there: its last resource is down, and a repair is asked for.
    Sick {
        node: usize,
        group: usize,
        /// That so many may be done in place.
        restarts: u32,
    },
    Takeover(usize, Set),
    /// All nodes get this variant of the files; each hears of it a little later than the one before.
    Reload(usize),
    ReloadOne(usize, usize),
    /// From now on so many of 1000 starts and stops fail.
    Scripts {
        start_fails: u64,
        stop_fails: u64,
    },
    /// From now on so many of 1000 requests to a STONITH device fail.
    Device {
        fails: u64,
    },
    /// A person says to the heartbeat of a node that another one is off.
    Confirm {
        by: usize,
        node: usize,
    },
    /// The wall clock of a node is set forward or back.
    ClockStep {
        node: usize,
        seconds: i64,
    },
    /// Nothing can be written to the disk with the node's state any more.
    DiskFails(usize),
    DiskMends(usize),
    /// The administrator repairs everything: networks, machines, scripts, groups that nobody could start or stop.
    Repair,
}

/// A configuration, faults by moment, and when the promises for quiet times are looked at.
#[derive(Clone, Debug)]
pub struct Plan {
    pub config: Config,
    pub faults: Vec<(Instant, Fault)>,
}

/// What a random plan is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Anything may happen.
    Anything,
    /// Only what an administrator does; a group is then never up twice.
    Planned,
    /// Anything, with STONITH devices that fail now and then: a group is never up twice either.
    Fenced,
    /// Two nodes, and one of them is heartbeat 3.0.6.
    Classic,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Anything, Self::Planned, Self::Fenced, Self::Classic];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anything => "anything",
            Self::Planned => "planned",
            Self::Fenced => "fenced",
            Self::Classic => "classic",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

impl Plan {
    pub fn new(config: Config, faults: Vec<(Instant, Fault)>) -> Self {
        Self { config, faults }
    }

    /// The network is never good: this `Weather` from the beginning, and again whenever it would clear up.
    #[must_use]
    pub fn always(mut self, weather: Fault) -> Self {
        for (_, fault) in &mut self.faults {
            if *fault == CALM {
                *fault = weather.clone();
            }
        }
        self.faults.insert(0, (Instant::from_millis(0), weather));
        self
    }

    /// About one fault every `every`, each undone after a while, until `until`; then everything is repaired.
    pub fn random(seed: u64, nodes: usize, kind: Kind, every: Duration, until: Instant) -> Self {
        Draft::random(seed, nodes, kind, every, until, incident::OLD_KINDS).plan()
    }
}

/// A plan whose incidents can still be left out one by one.
#[derive(Clone, Debug)]
pub struct Draft {
    pub config: Config,
    pub begin: Vec<(Instant, Fault)>,
    pub incidents: Vec<Incident>,
    pub until: Instant,
}

impl Draft {
    pub fn plan(&self) -> Plan {
        let mut faults = self.begin.clone();
        faults.extend(self.incidents.iter().flat_map(Incident::faults));
        faults.push((self.until, Fault::Repair));
        faults.sort_by_key(|(at, _)| *at);
        Plan::new(self.config.clone(), faults)
    }

    /// Incidents of the first `kinds` kinds.
    pub fn random(seed: u64, nodes: usize, kind: Kind, every: Duration, until: Instant, kinds: u64) -> Self {
        let mut r = Random::new(seed ^ 0x5e_ed0f_91a5_u64);
        let mut config = Config::slow(nodes);
        config.auto_failback = ["on", "off", "on", "off", "legacy"][r.below(5) as usize];
        config.nets = 1 + r.below(2) as usize;
        if nodes >= 3 {
            config.groups.push((2, &["10.0.0.4", "files"]));
        }
        if nodes >= 5 {
            config.groups.push((4, &["10.0.0.5"]));
        }
        config.script.1 = Duration::from_millis([50, 400, 3000][r.below(3) as usize]);
        let mut begin = Vec::new();
        for i in 0..nodes {
            begin.push((Instant::from_millis(r.below(4) * 1000), Fault::Start(i)));
        }
        if kind == Kind::Planned {
            config.strict = true;
            config.deadtime = Duration::from_secs(20);
        }
        if kind == Kind::Fenced {
            config.strict = true;
            config.fencing = "external/sim";
            config.fence_fails = [0, 300][r.below(2) as usize];
        }
        if kind == Kind::Classic {
            config.classic = [&[0], &[1]][r.below(2) as usize];
            if config.auto_failback == "legacy" {
                // Nobody says what it holds: beside it two owners can be for ever.
                config.auto_failback = "on";
            }
        }
        if r.below(3) == 0 {
            config.start_fails = 20;
            config.stop_fails = 10;
        }
        let mut incidents = Vec::new();
        let mut t = Instant::from_millis(20_000);
        loop {
            t += Duration::from_millis(1 + r.below(2 * every.as_millis() as u64));
            if t >= until {
                break;
            }
            let long = config.deadtime.as_millis() as u64;
            let lasting = Duration::from_millis(
                [
                    r.below(2000),
                    r.below(long),
                    long - 500 + r.below(1000),
                    r.below(4 * long),
                    r.below(20 * long),
                ][r.below(5) as usize],
            );
            let incident = Incident::random(&mut r, &config, kind, kinds, t, lasting);
            incidents.push(incident.beside(config.classic));
        }
        Self {
            config,
            begin,
            incidents,
            until,
        }
    }
}
