//! Recorded sessions of heartbeat 3.0.6 (`tests/data/sessions/README.md`), played to our machine in the place of the node
//! that heard them: everything in them is believed, and each status of the sender is noticed as the classic noticed it.

use ha::daemon::{Action, Daemon, Event, Settings};
use ha::groups::job::{Exit, Outcome};
use ha::groups::lease::Found;
use ha::groups::lookout::{Ask, Sighting};
use ha::ids::{Generation, MediumId, NodeName};
use ha::time::{Instant, Now, Wall};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

thread_local! {
    /// What our machine complained of.
    static WARNINGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Collector;

impl log::Log for Collector {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            WARNINGS.with_borrow_mut(|w| w.push(record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// From now on, of this thread.
fn collect_warnings() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Collector).expect("it is the first one");
        log::set_max_level(log::LevelFilter::Warn);
    });
    WARNINGS.with_borrow_mut(Vec::clear);
}

/// One datagram: microseconds since the first, and what it holds.
type Packet = (u64, [u8; 4], Vec<u8>);

fn sessions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sessions")
}

/// A silence of both nodes as long as this was cut out of the recording (they send every second), and is played as one of
/// [`CUT_TO`].
const CUT: u64 = 2_500_000;
const CUT_TO: u64 = 1_000_000;

/// The UDP datagrams of a capture of Ethernet frames. Fragments and everything else are left out.
fn datagrams(name: &str) -> Vec<Packet> {
    let bytes = std::fs::read(sessions().join(name)).expect(name);
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    assert_eq!(
        number(0),
        0xa1b2_c3d4,
        "{name}: written with microseconds on a little endian machine"
    );
    let (mut at, mut out, mut last, mut then) = (24, Vec::new(), None, 0);
    while at + 16 <= bytes.len() {
        let (time, length) = (
            u64::from(number(at)) * 1_000_000 + u64::from(number(at + 4)),
            number(at + 8),
        );
        let frame = &bytes[at + 16..at + 16 + length as usize];
        at += 16 + length as usize;
        if frame.len() > 42 && frame[12..14] == [8, 0] && frame[23] == 17 {
            let header = 14 + usize::from(frame[14] & 15) * 4;
            let end = header + usize::from(u16::from_be_bytes([frame[header + 4], frame[header + 5]]));
            let from = frame[26..30].try_into().expect("four bytes");
            let gap = time - last.replace(time).unwrap_or(time);
            then += if gap >= CUT { CUT_TO } else { gap };
            out.push((then, from, frame[header + 8..end.min(frame.len())].to_vec()));
        }
    }
    out
}

struct Played {
    daemon: Daemon,
    now: Now,
}

/// Plays what `from` sent in a session to a machine that has the other name. Returns it and the words the sender's
/// status had in turn.
fn play(session: &Session) -> (Played, Vec<String>) {
    let Session {
        name, keys, mode, from, ..
    } = *session;
    // In 07 the two do not hear each other at first; what is recorded is on one side of the cut.
    let deaf = if name.starts_with("07") {
        500_000..5_000_000
    } else {
        0..0
    };
    let (me, other) = if from == 1 { ("n2", "n1") } else { ("n1", "n2") };
    let name_of = |n: &str| n.parse::<NodeName>().expect("a name");
    let cf = format!("keepalive 1\ndeadtime 5\ninitdead 10\nbcast eth0\nauto_failback {mode}\nnode n1 n2\n");
    let file = Path::new("ha.cf");
    let cf = ha::conf::ha_cf::parse(file, &cf, &name_of(me))
        .value
        .expect("ha.cf is good");
    let nodes = [name_of("n1"), name_of("n2")];
    let resources = ha::conf::haresources::parse(file, "n1 10.66.0.100\n", &nodes)
        .value
        .expect("good");
    let keys = ha::conf::authkeys::parse(file, keys).value.expect("good");
    let at = |micros: u64| Now {
        mono: Instant::from_millis(1_000_000 + micros / 1000),
        wall: Wall(1_795_000_000 + micros / 1_000_000),
    };
    let settings = Settings {
        me: name_of(me),
        uuid: [7; 16],
        generation: Generation(1),
        cf,
        haresources: resources,
        keys,
        seed: 1,
        resumed: None,
        remembered: Default::default(),
    };
    collect_warnings();
    let (daemon, begun) = Daemon::new(at(0), settings);
    let mut played = Played { daemon, now: at(0) };
    played.work(begun);
    let mut seen = Vec::new();
    for (micros, address, bytes) in datagrams(name) {
        let then = at(micros);
        if address[3] != from || deaf.contains(&micros) {
            continue;
        }
        while played.daemon.deadline() < then.mono {
            played.now.mono = played.daemon.deadline().max(played.now.mono);
            played.now.wall = then.wall;
            let actions = played.daemon.handle(played.now, Event::Timer);
            played.work(actions);
            note(&played, other, &mut seen);
        }
        played.now = then;
        let actions = played.daemon.receive(then, MediumId(0), &bytes);
        played.work(actions);
        note(&played, other, &mut seen);
    }
    (played, seen)
}

impl Played {
    /// Every script does what it is asked, at once.
    fn work(&mut self, actions: Vec<Action>) {
        let mut actions = std::collections::VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            // Scripts work, nobody else has an address, and leases are renewed.
            let event = match action {
                Action::Run { job, .. } => Event::JobEnded {
                    job,
                    outcome: Outcome {
                        exit: Exit::Code(0),
                        output: String::new(),
                        took: Duration::ZERO,
                    },
                },
                Action::Lookout {
                    ask: Ask::Whether { number, .. },
                } => Event::Sighted {
                    sighting: Sighting::Answered {
                        number,
                        answers: Vec::new(),
                    },
                },
                Action::Renew { number, addresses } => Event::Renewed {
                    number,
                    found: addresses.into_iter().map(|a| (a, Found::Renewed)).collect(),
                },
                _ => continue,
            };
            actions.extend(self.daemon.handle(self.now, event));
        }
    }
}

/// The status of the other node, and who is known to have the group: each when it changes.
fn note(played: &Played, other: &str, seen: &mut Vec<String>) {
    let view = played.daemon.view(played.now);
    let node = view
        .nodes
        .iter()
        .find(|n| n.name.as_str() == other)
        .expect("it is in ha.cf");
    let has = view.groups.iter().any(|g| g.owners.iter().any(|o| o.as_str() == other));
    let word = match has {
        true => format!("{} has", node.status),
        false => node.status.to_owned(),
    };
    if seen.last() != Some(&word) {
        seen.push(word);
    }
}

const SHA1: &str = "auth 1\n1 sha1 labkey\n";

/// The recorded node answers its own peer, not our `reqnodes`.
const NOT_ASKED: &str = "no node answered reqnodes 5 times";
/// As the classic: it sends two messages in the wrong order now and then. After a cut in the recording the rest.
const OUT_OF_ORDER: &str = "lost packet(s) before";
/// As the classic, of a node that is silent.
const DEAD: [&str; 5] = [
    "Link ",
    ": is dead (",
    "No STONITH device configured.",
    "Shared disks are not protected.",
    "returning after partition.",
];
const BOTH_OWN: &str = "Both machines own our resources!";

struct Session {
    name: &'static str,
    keys: &'static str,
    mode: &'static str,
    /// Whose packets are played, and who it is that hears them.
    from: u8,
    /// What its status was in turn, and when it had the group.
    seen: &'static [&'static str],
    /// Of [`DEAD`], when it was.
    silent: bool,
    /// Of [`BOTH_OWN`]: the recording has commands that were typed on the hearing node, or its crash.
    own: bool,
}

#[test]
fn every_recorded_packet_is_believed_and_each_transition_noticed_without_another_warning() {
    let crc = "auth 1\n1 crc\n";
    let md5 = "auth 3\n3 md5 Hello!\n";
    let session = |name, keys, mode, from, seen| Session {
        name,
        keys,
        mode,
        from,
        seen,
        silent: false,
        own: false,
    };
    let silent = |s: Session| Session { silent: true, ..s };
    let own = |s: Session| Session { own: true, ..s };
    // In 04 n1 is alone first; 02, 03, 06, 07, 10 and 13 begin when both run, and n2 is heard from its first beat on.
    #[rustfmt::skip]
    let table = [
        session("01-sha1-start-both.pcap", SHA1, "on", 1, &["init", "up", "active", "active has"]),
        session("01-sha1-start-both.pcap", SHA1, "on", 2, &["init", "up", "active"]),
        own(session("02-sha1-standby-takeover.pcap", SHA1, "on", 1, &["active", "active has", "active", "active has"])),
        own(session("02-sha1-standby-takeover.pcap", SHA1, "on", 2, &["init", "active", "active has", "active", "active has", "active"])),
        session("03-sha1-shutdown-failback.pcap", SHA1, "on", 1, &["active", "init", "up", "active", "active has"]),
        session("03-sha1-shutdown-failback.pcap", SHA1, "on", 2, &["init", "active", "active has", "active"]),
        own(silent(session("04-md5-alone-join-crash-return.pcap", md5, "on", 2, &["init", "dead", "init", "up", "active", "active has", "active"]))),
        session("05-crc-start.pcap", crc, "on", 1, &["init", "up", "active", "active has"]),
        session("06-sha1-rexmit.pcap", SHA1, "on", 1, &["active"]),
        session("06-sha1-rexmit.pcap", SHA1, "on", 2, &["init", "active"]),
        own(silent(session("07-sha1-partition-heal.pcap", SHA1, "on", 1, &["active", "dead", "active", "active has", "active", "init", "up", "active", "active has"]))),
        own(silent(session("07-sha1-partition-heal.pcap", SHA1, "on", 2, &["init", "active", "dead", "active", "init", "up", "active"]))),
        session("08-sha1-legacy.pcap", SHA1, "legacy", 2, &["init", "up", "active"]),
        session("09-crc-ping-ipfail.pcap", crc, "on", 1, &["init", "up", "active"]),
        session("09-crc-ping-ipfail.pcap", crc, "on", 2, &["init", "up", "active", "active has"]),
        session("10-sha1-dopd.pcap", SHA1, "on", 1, &["active", "active has"]),
        session("10-sha1-dopd.pcap", SHA1, "on", 2, &["init", "active"]),
        session("11-sha1-mcast.pcap", SHA1, "on", 1, &["init", "up", "active"]),
        session("12-sha1-ucast.pcap", SHA1, "on", 2, &["init", "up", "active"]),
        session("13-sha1-reload.pcap", "auth 2\n2 sha1 keyB\n", "on", 1, &["active", "init", "up", "active", "active has"]),
    ];
    let mut wrong = Vec::new();
    for session in table {
        let (played, seen) = play(&session);
        let title = format!("{} from n{}", session.name, session.from);
        if seen != session.seen {
            wrong.push(format!("{title}: {seen:?}, wanted {:?}", session.seen));
        }
        let known = |warning: &str| {
            [NOT_ASKED, OUT_OF_ORDER].iter().any(|k| warning.contains(k))
                || session.silent && DEAD.iter().any(|k| warning.contains(k))
                || session.own && warning.contains(BOTH_OWN)
        };
        for warning in WARNINGS.take().into_iter().filter(|w| !known(w)) {
            wrong.push(format!("{title}: {warning}"));
        }
        let view = played.daemon.view(played.now);
        for (counter, count) in view.counters {
            if counter.starts_with("bad_packets") && count > 0 {
                wrong.push(format!("{title}: {counter} {count}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
