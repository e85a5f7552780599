//! S3 in full: every cut of three nodes, both ways and one way in every direction, each for a minute, with figures.
//!
//! `cargo test --release --test lab crm_cuts -- --ignored --nocapture` prints a table: after how long all nodes show
//! their partition, DC and quorum; after how long the address is where it belongs; how long `crm status` took at most,
//! from the cut until all is whole again; whether all was the same to the end of the minute. `CRM_CUTS_AT_ONCE` clusters
//! (3) play side by side, `CRM_CUTS_FOR` seconds (60) a cut.

use crate::cluster::VIP;
use crate::crm::{Crm, THREE, vip};
use crate::crm_partitions::{CUTS, Cut};
use ha::lab::Watcher;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// deadtime 1 s, and 3 s.
const SETTLED_WITHIN: Duration = Duration::from_secs(4);
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(1);

fn number(name: &str, otherwise: usize) -> usize {
    let said = std::env::var(name).ok().and_then(|n| n.parse().ok());
    said.unwrap_or(otherwise)
}

fn all_cuts() -> Vec<Cut> {
    let of_kind = |kind: usize| {
        let ways = (0..1 << CUTS[kind].0.len()).map(Some);
        [None].into_iter().chain(ways).map(move |w| Cut::of(kind, w))
    };
    (0..CUTS.len()).flat_map(of_kind).collect()
}

/// What `crm status` showed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Shown {
    online: Vec<String>,
    dc: String,
    quorum: bool,
    unclean: bool,
}

impl Shown {
    fn read(text: &str) -> Self {
        let mut shown = Self {
            unclean: text.contains("UNCLEAN"),
            ..Self::default()
        };
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("Current DC: ") {
                shown.dc = rest.split(' ').next().unwrap_or_default().to_owned();
                shown.quorum = rest.contains("partition with quorum");
            }
            if let Some(rest) = line.strip_prefix("Online: [ ") {
                let names = rest.trim_end_matches(" ]").split(' ');
                shown.online = names.map(str::to_owned).collect();
            }
        }
        shown
    }
}

/// One `crm status` of a node, and whether the node had the address a moment later.
#[derive(Clone, Debug)]
struct Sample {
    node: &'static str,
    begun: Instant,
    took: Duration,
    shown: Shown,
    has_vip: bool,
}

/// Looks at a node until told to end.
fn look(crm: &Crm, node: &'static str, done: &AtomicBool, samples: &Mutex<Vec<Sample>>) {
    while !done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let said = crm.c.run(node, &["crm", "status"]);
        let took = begun.elapsed();
        let sample = Sample {
            node,
            begun,
            took,
            shown: Shown::read(&said.out),
            has_vip: crm.has_vip(node),
        };
        samples.lock().expect("no one panics with it").push(sample);
        std::thread::sleep(PAUSE.saturating_sub(begun.elapsed()));
    }
}

#[derive(Debug)]
struct Row {
    name: String,
    settled: Duration,
    address: Duration,
    two_had_it_ms: f64,
    status: Duration,
    asked: usize,
    faults: Vec<String>,
}

/// One cut of a cluster that is whole; it is whole again afterwards.
fn play(crm: &Crm, cut: &Cut, watcher: &Watcher, time: Duration) -> Row {
    let name = cut.name();
    let done = AtomicBool::new(false);
    let samples = Mutex::new(Vec::new());
    let mut faults = BTreeSet::new();
    let (mut settled, mut address, mut end) = (Duration::ZERO, Duration::ZERO, Instant::now());
    let (begun, since) = (Instant::now(), Watcher::now());
    std::thread::scope(|scope| {
        for node in THREE {
            let (done, samples) = (&done, &samples);
            scope.spawn(move || look(crm, node, done, samples));
        }
        cut.make(crm);
        crm.c.wait(&format!("cut {name}: the partitions"), || cut.is_seen(crm));
        settled = begun.elapsed();
        crm.c
            .wait(&format!("cut {name}: the address"), || cut.is_obeyed(&crm.holders()));
        address = begun.elapsed();
        let dcs = THREE.map(|n| crm.dc(n));
        while begun.elapsed() < settled + time {
            std::thread::sleep(Duration::from_millis(250));
            if !cut.is_seen(crm) || THREE.map(|n| crm.dc(n)) != dcs {
                faults.insert("other partitions or another DC later");
            }
        }
        end = Instant::now();
        crm.c.lab.heal().expect("healed");
        crm.wait_partition(&THREE, true);
        crm.c.wait("one node has the address", || crm.holders().len() == 1);
        crm.wait_idle("node1");
        done.store(true, Ordering::Relaxed);
    });
    let samples = samples.into_inner().expect("no one panicked with it");
    for s in &samples {
        let partition = cut.partition_of(s.node);
        let good =
            s.shown.online == partition && partition.contains(&&*s.shown.dc) && s.shown.quorum == (partition.len() > 1);
        let at_rest = s.begun + s.took < end;
        if s.begun >= begun + settled && at_rest && !good {
            faults.insert("crm status shows something else after it was settled");
        }
        if s.begun >= begun + address && at_rest && s.has_vip && partition.len() == 1 {
            faults.insert("the address without quorum");
        }
        if s.shown.unclean {
            faults.insert("UNCLEAN, with fencing off");
        }
    }
    let status = samples.iter().map(|s| s.took).max().unwrap_or_default();
    if settled > SETTLED_WITHIN {
        faults.insert("settled too late");
    }
    if status > ANSWERED_WITHIN {
        faults.insert("crm status took too long");
    }
    watcher.settle();
    Row {
        name,
        settled,
        address,
        two_had_it_ms: ha::lab::timeline::millis(watcher.timeline().double_time(since)),
        status,
        asked: samples.len(),
        faults: faults.into_iter().map(str::to_owned).collect(),
    }
}

#[test]
#[ignore = "takes a quarter of an hour and prints figures"]
fn s3_every_cut_for_a_minute() {
    let cuts = all_cuts();
    let time = Duration::from_secs(number("CRM_CUTS_FOR", 60) as u64);
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for n in 0..number("CRM_CUTS_AT_ONCE", 3) {
            let (cuts, next, rows) = (&cuts, &next, &rows);
            scope.spawn(move || {
                let Some(crm) = Crm::started(&format!("s3-cuts-{n}"), &THREE) else {
                    return;
                };
                crm.create("node2", "resources", &[&vip()]);
                crm.c.wait("one node has the address", || crm.holders().len() == 1);
                crm.wait_idle("node1");
                let watcher = crm.c.watch(VIP);
                while let Some(i) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|i| *i < cuts.len()) {
                    let row = play(&crm, &cuts[i], &watcher, time);
                    println!("{i}: {row:?}");
                    rows.lock().expect("no one panics with it").push((i, row));
                }
            });
        }
    });
    let mut rows = rows.into_inner().expect("no one panicked with it");
    if rows.is_empty() {
        return;
    }
    rows.sort_by_key(|(i, _)| *i);
    println!("| cut | settled | address obeys | two had it | longest crm status | asked | faults |");
    println!("|---|---|---|---|---|---|---|");
    let s = |d: Duration| format!("{:.2} s", d.as_secs_f64());
    for (_, r) in &rows {
        let (settled, address, status) = (s(r.settled), s(r.address), s(r.status));
        let (name, two, asked, faults) = (&r.name, r.two_had_it_ms, r.asked, r.faults.join("; "));
        println!("| {name} | {settled} | {address} | {two:.0} ms | {status} | {asked} | {faults} |");
    }
    let bad: Vec<&Row> = rows.iter().map(|(_, r)| r).filter(|r| !r.faults.is_empty()).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(rows.len(), cuts.len());
}
