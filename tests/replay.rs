//! Recorded sessions of heartbeat 3.0.6 (`tests/data/sessions/README.md`), played to our machine in the place of the node
//! that heard them: everything in them is believed, and each status of the sender is noticed as the classic noticed it.

use ha::daemon::{Daemon, Event, Settings};
use ha::ids::{Generation, MediumId, NodeName};
use ha::time::{Instant, Now, Wall};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One datagram: microseconds since the first, and what it holds.
type Packet = (u64, [u8; 4], Vec<u8>);

fn sessions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sessions")
}

/// The UDP datagrams of a capture of Ethernet frames. Fragments and everything else are left out.
fn datagrams(name: &str) -> Vec<Packet> {
    let bytes = std::fs::read(sessions().join(name)).expect(name);
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    assert_eq!(
        number(0),
        0xa1b2_c3d4,
        "{name}: written with microseconds on a little endian machine"
    );
    let (mut at, mut out, mut first) = (24, Vec::new(), None);
    while at + 16 <= bytes.len() {
        let (time, length) = (
            u64::from(number(at)) * 1_000_000 + u64::from(number(at + 4)),
            number(at + 8),
        );
        let frame = &bytes[at + 16..at + 16 + length as usize];
        at += 16 + length as usize;
        let first = *first.get_or_insert(time);
        if frame.len() > 42 && frame[12..14] == [8, 0] && frame[23] == 17 {
            let header = 14 + usize::from(frame[14] & 15) * 4;
            let end = header + usize::from(u16::from_be_bytes([frame[header + 4], frame[header + 5]]));
            let from = frame[26..30].try_into().expect("four bytes");
            out.push((time - first, from, frame[header + 8..end.min(frame.len())].to_vec()));
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
fn play(name: &str, keys: &str, mode: &str, from: u8) -> (Played, Vec<String>) {
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
    let (daemon, _) = Daemon::new(at(0), settings);
    let mut played = Played { daemon, now: at(0) };
    let mut seen = Vec::new();
    for (micros, address, bytes) in datagrams(name) {
        if address[3] != from {
            continue;
        }
        let then = at(micros);
        // The machine's own timers, as far as the session was not cut between two packets.
        while played.daemon.deadline() < then.mono && then.mono - played.now.mono < Duration::from_secs(60) {
            played.now.mono = played.daemon.deadline().max(played.now.mono);
            played.now.wall = then.wall;
            played.daemon.handle(played.now, Event::Timer);
            note(&played, other, &mut seen);
        }
        played.now = then;
        played.daemon.receive(then, MediumId(0), &bytes);
        note(&played, other, &mut seen);
    }
    (played, seen)
}

fn note(played: &Played, other: &str, seen: &mut Vec<String>) {
    let view = played.daemon.view(played.now);
    let node = view
        .nodes
        .iter()
        .find(|n| n.name.as_str() == other)
        .expect("it is in ha.cf");
    let word = node.status.to_owned();
    if seen.last() != Some(&word) {
        seen.push(word);
    }
}

const SHA1: &str = "auth 1\n1 sha1 labkey\n";

#[test]
fn every_recorded_packet_is_believed_and_each_status_noticed() {
    #[rustfmt::skip]
    let table: [(&str, &str, &str, u8, &[&str]); 10] = [
        // In 04 n1 is alone first; from 08 six seconds were cut out; in 02 and 13 it runs already.
        // session                              keys                        mode      from  status in turn
        ("01-sha1-start-both.pcap",             SHA1,                       "on",     1, &["init", "up", "active"]),
        ("01-sha1-start-both.pcap",             SHA1,                       "on",     2, &["init", "up", "active"]),
        ("02-sha1-standby-takeover.pcap",       SHA1,                       "on",     1, &["active"]),
        ("02-sha1-standby-takeover.pcap",       SHA1,                       "on",     2, &["init", "active"]),
        ("04-md5-alone-join-crash-return.pcap", "auth 3\n3 md5 Hello!\n",   "on",     2, &["init", "dead", "init", "up", "active"]),
        ("05-crc-start.pcap",                   "auth 1\n1 crc\n",          "on",     1, &["init", "up", "active"]),
        ("08-sha1-legacy.pcap",                 SHA1,                       "legacy", 2, &["init", "up", "active", "dead", "active"]),
        ("11-sha1-mcast.pcap",                  SHA1,                       "on",     1, &["init", "up", "active"]),
        ("12-sha1-ucast.pcap",                  SHA1,                       "on",     2, &["init", "up", "active"]),
        ("13-sha1-reload.pcap",                 "auth 2\n2 sha1 keyB\n",    "on",     1, &["active", "init", "up", "active"]),
    ];
    let mut wrong = Vec::new();
    for (name, keys, mode, from, wanted) in table {
        let (played, seen) = play(name, keys, mode, from);
        if seen != wanted {
            wrong.push(format!("{name} from n{from}: {seen:?}, wanted {wanted:?}"));
        }
        let view = played.daemon.view(played.now);
        for (counter, count) in view.counters {
            if counter.starts_with("bad_packets") && count > 0 {
                wrong.push(format!("{name} from n{from}: {counter} {count}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
