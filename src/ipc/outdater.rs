//! The program drbd-peer-outdater: asks dopd of this node, and ends with the number that DRBD wants to hear.

use crate::dopd::frame::{self, FrameError, Frames};
use crate::dopd::machine::{LONGEST, TIMEOUT};
use crate::dopd::{DrbdName, Outcome, word};
use crate::ids::NodeName;
use crate::ipc::pid_file;
use crate::msg::{Message, fields};
use crate::paths;
use crate::sys::poll::{Want, wait};
use crate::sys::{self, local};
use crate::time::{Duration, Instant};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

pub const USAGE: &str = "\
Usage: drbd-peer-outdater [-p PEER] [-r RESOURCE] [-t SECONDS]

Has heartbeat's dopd on node PEER mark its data of a DRBD resource outdated, and ends
with the number that DRBD's fence-peer handler wants: 3 inconsistent, 4 outdated,
5 unreachable, 6 primary, 20 not known, 21 asked already.

  -p PEER      the node; without it DRBD_PEER of the environment
  -r RESOURCE  the resource; without it DRBD_RESOURCE of the environment
  -t SECONDS   time to wait; the default is 60
  -h, --help   this text
";

/// Wrong arguments, as in heartbeat 3.0.6.
const WRONG_ARGUMENTS: u8 = 1;
/// heartbeat starts a dopd that has ended within a second; on a busy machine it may take longer.
const RESTART: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);
/// A dopd that ends before it answers is asked again, but one that always does is not asked for ever.
const TRIES: u32 = 3;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    pub peer: NodeName,
    pub resource: DrbdName,
    pub timeout: Duration,
}

/// Reads the arguments; `Ok(None)` asks for the help text. `env` gives DRBD's variables.
pub fn parse(args: &[String], env: impl Fn(&str) -> Option<String>) -> Result<Option<Order>, String> {
    let (mut peer, mut resource, mut timeout) = (None, None, TIMEOUT);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "-h" || arg == "--help" {
            return Ok(None);
        }
        // `-t 5` and `-t5`, as getopt takes them.
        let (option, value) = match arg.split_at_checked(2) {
            Some((option @ ("-p" | "-r" | "-t"), "")) => (option, rest.next().map(String::as_str)),
            Some((option @ ("-p" | "-r" | "-t"), value)) => (option, Some(value)),
            _ => {
                return Err(format!(
                    "{}: unknown argument; see drbd-peer-outdater --help",
                    arg.escape_debug()
                ));
            }
        };
        let value = value.ok_or(format!("{option}: wants a value"))?;
        match option {
            "-p" => peer = Some(value.to_owned()),
            "-r" => resource = Some(value.to_owned()),
            _ => timeout = seconds(value)?,
        }
    }
    let given = |value: Option<String>, name: &str, option: &str| {
        let value = value.or_else(|| env(name)).filter(|v| !v.is_empty());
        value.ok_or(format!("neither {option} nor {name} in the environment is given"))
    };
    let peer = given(peer, "DRBD_PEER", "-p")?;
    let resource = given(resource, "DRBD_RESOURCE", "-r")?;
    Ok(Some(Order {
        peer: peer.parse().map_err(|e| format!("{e}"))?,
        resource: resource.parse().map_err(|e| format!("{e}"))?,
        timeout,
    }))
}

fn seconds(word: &str) -> Result<Duration, String> {
    let most = LONGEST.as_secs();
    match word.parse() {
        Ok(n) if (1..=most).contains(&n) => Ok(Duration::from_secs(n)),
        Ok(_) | Err(_) => Err(format!(
            "-t: \"{}\" is not a number of seconds from 1 to {most}",
            word.escape_debug()
        )),
    }
}

/// Why dopd gave no answer.
#[derive(Debug)]
pub enum Fault {
    /// Nobody listens.
    Nobody(PathBuf, io::Error),
    Silent(Duration),
    /// It ended, or ended the conversation, each time.
    Closed,
    /// What it said is no answer.
    Rubbish(String),
    Os(PathBuf, io::Error),
}

impl Fault {
    /// As heartbeat 3.0.6: without dopd the peer is taken for unreachable. A dopd that is there but not understood says
    /// nothing about the peer.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Nobody(..) | Self::Silent(_) | Self::Closed => Outcome::Unreachable,
            Self::Rubbish(_) | Self::Os(..) => Outcome::Failed,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody(path, e) => write!(
                f,
                "{}: dopd does not listen ({e}); does heartbeat run, and does ha.cf have a respawn line for it?",
                path.display()
            ),
            Self::Silent(time) => write!(f, "dopd: no answer within {} s", time.as_secs_f32()),
            Self::Closed => f.write_str("dopd: ended before it answered; see the log of heartbeat"),
            Self::Rubbish(what) => write!(f, "dopd: its answer {what}"),
            Self::Os(path, e) => write!(f, "{}: {e}", path.display()),
        }
    }
}

/// Asks until there is an answer or the time is over.
pub fn ask(socket: &Path, order: &Order, comes_back: impl Fn() -> bool) -> Result<Outcome, Fault> {
    let deadline = sys::now() + order.timeout;
    for _ in 0..TRIES {
        let stream = reach(socket, deadline, &comes_back)?;
        match talk(&stream, order, deadline) {
            Err(Fault::Closed) if comes_back() => {}
            other => return other,
        }
    }
    Err(Fault::Closed)
}

/// A dopd that is being started again is waited for, one that nobody starts is not.
fn reach(socket: &Path, deadline: Instant, comes_back: &impl Fn() -> bool) -> Result<UnixStream, Fault> {
    let patience = deadline.min(sys::now() + RESTART);
    loop {
        let error = match local::connect_now(socket) {
            Ok(stream) => return Ok(stream),
            Err(e) => e,
        };
        use io::ErrorKind::{ConnectionRefused, NotFound, WouldBlock};
        match error.kind() {
            NotFound | ConnectionRefused if comes_back() && sys::now() < patience => {}
            NotFound | ConnectionRefused => return Err(Fault::Nobody(socket.to_owned(), error)),
            // Its queue is full.
            WouldBlock if sys::now() < deadline => {}
            WouldBlock => return Err(Fault::Nobody(socket.to_owned(), error)),
            _ => return Err(Fault::Os(socket.to_owned(), error)),
        }
        std::thread::sleep(PAUSE);
    }
}

fn talk(mut stream: &UnixStream, order: &Order, deadline: Instant) -> Result<Outcome, Fault> {
    let left = deadline - sys::now();
    let request = Message::new(word::OUTDATER)
        .with(fields::SRC, "drbd-peer-outdater")
        .with(word::OUTDATER_PEER, order.peer.as_str())
        .with(word::OUTDATER_RES, order.resource.as_str())
        .with(word::OUTDATER_TIMEOUT, left.as_millis().to_string());
    // A new socket takes some hundred bytes at once.
    if stream.write_all(&frame::encode(&request)).is_err() {
        return Err(Fault::Closed);
    }
    let (mut frames, mut buffer) = (Frames::default(), [0; 1024]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(Fault::Closed),
            Ok(n) => frames.push(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                if sys::now() >= deadline {
                    return Err(Fault::Silent(order.timeout));
                }
                wait(&[Want::read(stream.as_fd())], deadline).map_err(|e| Fault::Os("poll".into(), e))?;
            }
            Err(_) => return Err(Fault::Closed),
        }
        let bad = |e: FrameError| Fault::Rubbish(e.to_string());
        if let Some(answer) = frames.next().map_err(bad)? {
            let value = answer.dec(word::DOP_VALUE).and_then(Outcome::of_number);
            return match value.filter(|_| answer.kind() == word::OUTDATER_RC) {
                Some(outcome) => Ok(outcome),
                None => Err(Fault::Rubbish("has no result in it".to_owned())),
            };
        }
    }
}

/// heartbeat runs here, and so starts a dopd that has ended again.
fn heartbeat_runs() -> bool {
    pid_file::running().is_some()
}

/// The whole program; gives its exit code.
pub fn run(args: &[String], out: &mut impl Write, err: &mut impl Write) -> u8 {
    let order = match parse(args, |name| std::env::var(name).ok()) {
        Ok(Some(order)) => order,
        Ok(None) => return u8::from(out.write_all(USAGE.as_bytes()).is_err()),
        Err(why) => {
            let _ = writeln!(err, "drbd-peer-outdater: {why}\n\n{USAGE}");
            return WRONG_ARGUMENTS;
        }
    };
    let outcome = ask(&paths::outdater(), &order, heartbeat_runs).unwrap_or_else(|fault| {
        let _ = writeln!(err, "drbd-peer-outdater: {fault}");
        fault.outcome()
    });
    let _ = writeln!(
        err,
        "drbd-peer-outdater: resource {}, node {}: {outcome}",
        order.resource, order.peer
    );
    outcome.number()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn arguments_as_in_heartbeat_3_0_6() {
        let full = |name: &str| Some(if name == "DRBD_PEER" { "node9" } else { "r9" }.to_owned());
        let empty = |_: &str| None;
        #[rustfmt::skip]
        let good = [
            // arguments         environment   peer     resource  seconds
            ("-p N1 -r r0",      false,        "n1",    "r0",     60),
            ("-pN1 -rr0 -t5",    false,        "n1",    "r0",     5),
            ("-t 5",             true,         "node9", "r9",     5),
            ("",                 true,         "node9", "r9",     60),
            ("-r r0",            true,         "node9", "r0",     60),
        ];
        for (args, has_env, peer, resource, seconds) in good {
            let args = words(args);
            let order = if has_env {
                parse(&args, full)
            } else {
                parse(&args, empty)
            };
            let order = order.unwrap().unwrap();
            let got = (order.peer.as_str(), order.resource.as_str(), order.timeout.as_secs());
            assert_eq!(got, (peer, resource, seconds), "{args:?}");
        }
        assert_eq!(parse(&words("-h"), empty), Ok(None));
        for bad in [
            "",
            "-p n1",
            "-r r0",
            "-p n1 -r",
            "-p n1 -r r0 -t",
            "-p n1 -r r0 -t 0",
            "-p n1 -r r0 -t x",
            "-x",
            "-p n1 -r -v",
            "-p n1 -r a/b",
            "-p n1 -r all",
            "-p n1 -r r0 more",
            "-p n1 -r r0 -t 86401",
            "é",
        ] {
            assert!(parse(&words(bad), empty).is_err(), "{bad}");
        }
        assert!(parse(&[], |_| Some(String::new())).is_err(), "empty variables are none");
    }

    /// A server that says `answers`, one a conversation, then nothing more but keeps the conversation.
    fn served(name: &str, answers: &[Option<Vec<u8>>]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("ha-outdater-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let answers = answers.to_vec();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut buffer = [0; 1024];
                assert!(stream.read(&mut buffer).unwrap() > 0);
                // None: it dies.
                if let Some(bytes) = answer {
                    let _ = stream.write_all(&bytes);
                    let _ = stream.read(&mut buffer);
                }
            }
        });
        path
    }

    #[test]
    fn what_dopd_says_and_what_it_does_not_say() {
        let says = |n: &str| frame::encode(&Message::new(word::OUTDATER_RC).with(word::DOP_VALUE, n));
        let other = frame::encode(&Message::new("x").with(word::DOP_VALUE, "4"));
        #[rustfmt::skip]
        let table = [
            ("4",       vec![Some(says("4"))],                       4),
            ("6",       vec![Some(says("6"))],                       6),
            ("21",      vec![Some(says("21"))],                      21),
            ("77",      vec![Some(says("77"))],                      77),
            ("zero",    vec![Some(says("0"))],                       20),
            ("word",    vec![Some(says("x"))],                       20),
            ("other",   vec![Some(other)],                           20),
            ("rubbish", vec![Some(b"HTTP/1.0 200 OK\r\n".to_vec())], 20),
            ("silent",  vec![Some(Vec::new())],                      5),
            ("again",   vec![None, None, Some(says("4"))],           4),
        ];
        let order = Order {
            peer: "n2".parse().unwrap(),
            resource: "r0".parse().unwrap(),
            timeout: Duration::from_secs(1),
        };
        for (name, answers, want) in table {
            let path = served(name, &answers);
            let long = Order {
                timeout: Duration::from_secs(30),
                ..order.clone()
            };
            let order = if name == "silent" { &order } else { &long };
            let got = ask(&path, order, || true).unwrap_or_else(|f| f.outcome()).number();
            assert_eq!(got, want, "{name}");
            let _ = std::fs::remove_file(&path);
        }
        let nowhere = std::env::temp_dir().join("ha-outdater-nowhere");
        let got = ask(&nowhere, &order, || false);
        assert!(matches!(got, Err(Fault::Nobody(..))), "{got:?}");
    }
}
