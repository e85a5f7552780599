//! Somebody writes down what goes over the cables for minutes, and plays it again: in the same life, after a restart of
//! either side or both, during a start, while a node is dead. Each story is told twice, with and without the replay: the
//! two clusters must not differ in anything but the counters of what was dropped.

use ha::clients::Identity;
use ha::clients::request::{self, field};
use ha::daemon::Event;
use ha::groups::Set;
use ha::ids::{ClientId, MediumId};
use ha::msg::{Message, fields};
use ha::sim::plan::Config;
use ha::sim::{Fault, Sim};
use ha::time::Duration;
use std::sync::Arc;

/// A beat of 100 ms over two networks, a ping node, scripts that take the same time whatever the dice say.
fn config() -> Config {
    let script = Duration::from_millis(20);
    Config {
        nets: 2,
        ping: true,
        script: (script, script),
        ..Config::quick(2)
    }
}

fn run(sim: &mut Sim, seconds: u64) {
    sim.run_for(Duration::from_secs(seconds))
        .unwrap_or_else(|why| panic!("{why}"));
}

/// A program signs on and sends a message to the other nodes.
fn client_says(sim: &mut Sim, node: usize) {
    let who = Identity { uid: 0, gid: 0 };
    let tell = |sim: &mut Sim, message: Message| {
        let client = ClientId(1);
        sim.event(node, Event::Request { client, who, message });
    };
    tell(
        sim,
        request::of(request::SIGNON)
            .with(fields::FROM_ID, "replayer")
            .with(field::PID, "77"),
    );
    for n in 0..20 {
        let text = Message::new("of_a_client").with(fields::INFO, n.to_string());
        tell(sim, text.with(fields::FROM_ID, "replayer"));
        run(sim, 1);
    }
    let why = "EOF";
    sim.event(
        node,
        Event::ClientGone {
            client: ClientId(1),
            why,
        },
    );
}

/// Minutes in which everything happens that nodes say something about. At the end both serve what prefers them.
fn recorded_life(sim: &mut Sim) {
    sim.record();
    run(sim, 20);
    sim.fault(Fault::Standby(0, Set::ALL));
    run(sim, 15);
    sim.fault(Fault::Takeover(0, Set::ALL));
    run(sim, 15);
    client_says(sim, 0);
    client_says(sim, 1);
    // n2 leaves in good order, comes back, dies, comes back; the daemon of n1 is killed and replaced.
    for fault in [
        Fault::Stop(1),
        Fault::Start(1),
        Fault::PowerOff(1),
        Fault::Start(1),
        Fault::DaemonDies {
            node: 0,
            back_after: Duration::from_millis(50),
        },
        Fault::Standby(1, Set::ALL),
        Fault::Takeover(1, Set::LOCAL),
    ] {
        sim.fault(fault);
        run(sim, 15);
    }
    sim.check_settled().unwrap_or_else(|why| panic!("{why}"));
}

fn start() -> Sim {
    let mut sim = Sim::started(11, config());
    run(&mut sim, 5);
    recorded_life(&mut sim);
    sim
}

/// What was dropped, as node `node` counts it.
fn dropped(sim: &Sim, node: usize) -> u64 {
    let causes = [
        "bad_packets_replayed",
        "stale_packets",
        "duplicates",
        "bad_packets_strange_echo",
    ];
    causes.iter().map(|cause| sim.counter(node, cause)).sum()
}

/// Plays everything to every living node on every network, and looks at both clusters while it goes on and afterwards.
fn replay_changes_nothing(what: &str, prepare: impl Fn(&mut Sim)) {
    let (mut quiet, mut played) = (start(), start());
    prepare(&mut quiet);
    prepare(&mut played);
    assert_eq!(quiet.state(), played.state(), "{what}: the same story twice");
    let tape: Vec<(MediumId, Arc<[u8]>)> = played.recorded().to_vec();
    assert!(tape.len() > 9000, "{what}: {} packets", tape.len());
    let before: Vec<u64> = (0..2).map(|node| dropped(&played, node)).collect();
    let starts = played.starts();
    let alive: Vec<usize> = (0..2).filter(|n| played.daemon(*n).is_some()).collect();
    // Half an hour in ten seconds.
    for piece in tape.chunks(tape.len() / 100 + 1) {
        for (medium, bytes) in piece {
            for node in &alive {
                played.inject(*node, *medium, bytes.clone());
            }
        }
        for sim in [&mut quiet, &mut played] {
            sim.run_for(Duration::from_millis(100))
                .unwrap_or_else(|why| panic!("{what}: {why}"));
        }
        assert_eq!(quiet.state(), played.state(), "{what}");
    }
    // The newest packets once more, as often as somebody likes.
    for (medium, bytes) in tape.iter().rev().take(40).cycle().take(4000) {
        for node in &alive {
            played.inject(*node, *medium, bytes.clone());
        }
    }
    for _ in 0..100 {
        for sim in [&mut quiet, &mut played] {
            sim.run_for(Duration::from_millis(100))
                .unwrap_or_else(|why| panic!("{what}: {why}"));
        }
        assert_eq!(quiet.state(), played.state(), "{what}");
    }
    assert_eq!(
        (played.starts(), starts),
        (quiet.starts(), starts),
        "{what}: no script was run"
    );
    for node in alive {
        let count = dropped(&played, node) - before[node];
        assert!(count as usize > tape.len() / 2, "{what}: n{} dropped {count}", node + 1);
    }
}

#[test]
fn in_the_same_life() {
    replay_changes_nothing("same life", |_| {});
}

#[test]
fn after_a_restart_of_the_peer_of_this_node_and_of_both() {
    for nodes in [&[1][..], &[0], &[0, 1]] {
        for faults in [
            [Fault::Stop as fn(usize) -> Fault, Fault::Start],
            [Fault::PowerOff, Fault::Start],
        ] {
            replay_changes_nothing(&format!("restart of {nodes:?}"), |sim| {
                for fault in faults {
                    for node in nodes {
                        sim.fault(fault(*node));
                    }
                    run(sim, 10);
                }
            });
        }
    }
}

#[test]
fn while_a_node_is_dead() {
    replay_changes_nothing("n2 is dead", |sim| {
        sim.fault(Fault::PowerOff(1));
        run(sim, 10);
    });
}

/// The moment at which a node knows least: it waits for its peer, which is dead.
#[test]
fn in_the_first_moment_of_a_life_while_the_peer_is_dead() {
    for fault in [Fault::Stop as fn(usize) -> Fault, Fault::PowerOff] {
        replay_changes_nothing("n2 is dead and n1 has just started", |sim| {
            sim.fault(Fault::PowerOff(1));
            run(sim, 10);
            sim.fault(fault(0));
            run(sim, 10);
            sim.fault(Fault::Start(0));
            sim.run_for(Duration::from_millis(1))
                .unwrap_or_else(|why| panic!("{why}"));
        });
    }
}

/// The limit. Both machines lose their power in the same moment, and one stays away: what it said after its numbers were
/// last remembered, up to ten seconds of it, can make it look alive once, for as long as it is played and a deadtime, and
/// what it had is left to it so long.
#[test]
fn what_two_machines_lost_at_once_can_be_played_once_and_no_longer_than_it_took() {
    let mut sim = start();
    let tape: Vec<(MediumId, Arc<[u8]>)> = sim.recorded().to_vec();
    for node in 0..2 {
        sim.fault(Fault::PowerOff(node));
    }
    run(&mut sim, 10);
    sim.fault(Fault::Start(0));
    sim.run_for(Duration::from_millis(1))
        .unwrap_or_else(|why| panic!("{why}"));
    // At the speed of life, which is the worst: 40 packets a second, over and over.
    let begin = sim.now();
    for piece in tape[tape.len() - 4000..].chunks(4).cycle() {
        for (medium, bytes) in piece {
            sim.inject(0, *medium, bytes.clone());
        }
        sim.run_for(Duration::from_millis(100))
            .unwrap_or_else(|why| panic!("{why}"));
        if sim.now() >= begin + Duration::from_secs(250) {
            break;
        }
    }
    assert_eq!(
        [sim.owners(0), sim.owners(1), sim.owners(2)],
        [vec![0], vec![0], vec![0]]
    );
    let deaths = sim.counter(0, "deaths");
    assert!(deaths <= 2, "dead, alive once, dead again and for ever: {deaths}");
}
