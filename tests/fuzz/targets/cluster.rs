//! A whole node, between its peers, scripts and clients: no message, however wrong, may stop it or make it grow.
//!
//! An input is a script, so that a fuzzer can invent meaning and a person can read what it found: lines `name=value` and a
//! line that says what to do with them.
//!
//! | line | does |
//! |---|---|
//! | `<N` | a message of node n2 (N even) or n3 over medium N / 2, signed; `seq`, `hg`, `ts` are filled in if missing |
//! | `!` | the same from the command FIFO |
//! | `?N` | the same from client N |
//! | `@MS` | so much time passes |
//! | `.N` | script N ends, well if N is even |
//! | `-` | stop |

use super::messages::ring;
use ha::auth;
use ha::clients::Identity;
use ha::conf::{ha_cf, haresources};
use ha::daemon::{Action, Daemon, Event, Settings};
use ha::groups::job::{Exit, Outcome};
use ha::ids::{ClientId, Generation, JobId, MediumId, NodeName};
use ha::msg::{Message, Value, classic};
use ha::time::{Duration, Instant, Now, Wall};
use std::path::Path;
use std::sync::Once;

const CF: &str = "keepalive 100ms\ndeadtime 500ms\ninitdead 500ms\nauto_failback on\nautojoin none\nlogfacility none\n\
                  msgfmt netstring\nnode n1 n2 n3\nbcast eth0\nserial /dev/ttyS0\n";
const RESOURCES: &str = "n1 10.0.0.1 web\nn2 10.0.0.2\n";
const START: u64 = 1_000_000;
/// An input is played no further than this: a long one says nothing new.
const STEPS: usize = 200;

/// Writes every line of the log, and throws it away: what cannot be written is a finding, too.
struct Shredder;

impl log::Log for Shredder {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        let line = record.args().to_string();
        assert!(!line.is_empty());
    }
    fn flush(&self) {}
}

struct Node {
    daemon: Daemon,
    now: Now,
    jobs: Vec<JobId>,
    seq: u64,
}

impl Node {
    fn start() -> Self {
        let name = |n: &str| n.parse::<NodeName>().expect("a good name");
        let file = Path::new("x");
        let now = Now {
            mono: Instant::from_millis(START),
            wall: Wall(START),
        };
        let nodes = [name("n1"), name("n2"), name("n3")];
        let settings = Settings {
            me: name("n1"),
            uuid: [1; 16],
            generation: Generation(7),
            cf: ha_cf::parse(file, CF, &name("n1")).value.expect("a good file"),
            haresources: haresources::parse(file, RESOURCES, &nodes).value.expect("a good file"),
            keys: ring(),
            seed: 1,
            resumed: None,
            remembered: Default::default(),
        };
        let (daemon, actions) = Daemon::new(now, settings);
        let mut node = Self {
            daemon,
            now,
            jobs: Vec::new(),
            seq: 0,
        };
        node.obey(actions);
        node
    }

    fn obey(&mut self, actions: Vec<Action>) {
        assert!(actions.len() < 2000, "one event leads to {} actions", actions.len());
        for action in actions {
            match action {
                Action::Run { job, .. } | Action::Fence { job, .. } => self.jobs.push(job),
                Action::Send { bytes, .. } => assert!(bytes.len() < 65_508, "no datagram takes {} bytes", bytes.len()),
                _ => {}
            }
        }
    }

    fn tell(&mut self, event: Event) {
        let actions = self.daemon.handle(self.now, event);
        self.obey(actions);
    }

    fn wait(&mut self, ms: u64) {
        let end = self.now.mono + Duration::from_millis(ms);
        for _ in 0..100 {
            let due = self.daemon.deadline();
            if due > end {
                break;
            }
            self.now.mono = self.now.mono.max(due);
            self.tell(Event::Timer);
        }
        self.now.mono = self.now.mono.max(end);
        self.now.wall = Wall(START + (self.now.mono - Instant::from_millis(START)).as_secs());
        self.tell(Event::Timer);
    }

    fn hear(&mut self, number: u64, mut message: Message) {
        self.seq += 1;
        let fill = |message: &mut Message, name: &str, value: Value| {
            if message.value(name).is_none() {
                message.set(name, value);
            }
        };
        fill(
            &mut message,
            "src",
            (if number.is_multiple_of(2) { "n2" } else { "n3" }).into(),
        );
        fill(&mut message, "seq", Value::hex(self.seq));
        fill(&mut message, "hg", Value::hex(5));
        fill(&mut message, "ts", Value::hex(self.now.wall.0));
        let medium = MediumId((number / 2 % 2) as usize);
        let bytes = match medium.0 {
            0 => auth::seal_netstring(&message, &ring(), false),
            _ => auth::seal_classic(&message, &ring()),
        };
        let actions = self.daemon.receive(self.now, medium, &bytes);
        self.obey(actions);
    }
}

pub fn cluster(data: &[u8]) {
    static LOGGER: Once = Once::new();
    LOGGER.call_once(|| {
        // A test may have its own.
        if log::set_logger(&Shredder).is_ok() {
            log::set_max_level(log::LevelFilter::Trace);
        }
    });
    let mut node = Node::start();
    let mut fields: Vec<u8> = Vec::new();
    for line in data.split(|b| *b == b'\n').take(STEPS * 10) {
        let number = |rest: &[u8]| -> u64 { std::str::from_utf8(rest).ok().and_then(|t| t.parse().ok()).unwrap_or(0) };
        let said = |fields: &mut Vec<u8>| {
            let text = [b">>>\n", &fields[..], b"<<<\n"].concat();
            fields.clear();
            classic::decode(&text).ok()
        };
        match line {
            [b'<', rest @ ..] => {
                if let Some(message) = said(&mut fields) {
                    node.hear(number(rest), message);
                }
            }
            [b'!'] => {
                if let Some(message) = said(&mut fields) {
                    node.tell(Event::Local { message });
                }
            }
            [b'?', rest @ ..] => {
                if let Some(message) = said(&mut fields) {
                    let client = ClientId(number(rest) % 8);
                    let who = Identity {
                        uid: (client.0 % 2) as u32,
                        gid: 0,
                    };
                    node.tell(Event::Request { client, who, message });
                }
            }
            [b'@', rest @ ..] => node.wait(number(rest).min(5000)),
            [b'.', rest @ ..] => {
                let n = number(rest);
                if !node.jobs.is_empty() {
                    let job = node.jobs.remove(0);
                    let outcome = Outcome {
                        exit: Exit::Code((n % 2) as i32),
                        output: String::new(),
                        took: Duration::from_millis(1),
                    };
                    node.tell(Event::JobEnded { job, outcome });
                }
            }
            [b'-'] => node.tell(Event::Stop),
            line => {
                fields.extend_from_slice(line);
                fields.push(b'\n');
            }
        }
    }
    node.wait(3000);
}
