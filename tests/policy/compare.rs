//! Runs CIBs through our policy and through Debian's crm_simulate and says where they differ:
//!
//!     cargo run --release --example compare_policy -- [--seed N] [--count N] [--shrink] [--show N] [FILE...]
//!
//! Without files it draws `count` random CIBs from the seeds `seed`, `seed` + 1, ... Places are what runs where as what in
//! the end; actions are the resource actions, fencing and cluster actions on the way. The numbers of instances of
//! anonymous clones do not count. `--shrink` takes from a differing CIB whatever it does not need to differ, and leaves
//! the rest in `--out DIR` (`.`). `--keep DIR` stores the cases that agree there, as golden cases are stored.

#[path = "debian.rs"]
mod debian;
#[path = "ours.rs"]
mod ours;
#[path = "random.rs"]
mod random;
#[path = "shrink.rs"]
mod shrink;

use debian::Outcome;
use ha::cib::Element;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

struct Options {
    seed: u64,
    count: u64,
    show: usize,
    shrink: bool,
    out: PathBuf,
    keep: Option<PathBuf>,
    files: Vec<PathBuf>,
}

fn options() -> Result<Options, String> {
    let mut o = Options {
        seed: 1,
        count: 2000,
        show: 20,
        shrink: false,
        out: ".".into(),
        keep: None,
        files: Vec::new(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let number = |args: &mut dyn Iterator<Item = String>| {
            args.next()
                .and_then(|v| v.parse::<u64>().ok())
                .ok_or(format!("{arg}: needs a number"))
        };
        match &*arg {
            "--seed" => o.seed = number(&mut args)?,
            "--count" => o.count = number(&mut args)?,
            "--show" => o.show = number(&mut args)? as usize,
            "--shrink" => o.shrink = true,
            "--out" => o.out = args.next().ok_or("--out: needs a directory")?.into(),
            "--keep" => o.keep = Some(args.next().ok_or("--keep: needs a directory")?.into()),
            file => o.files.push(file.into()),
        }
    }
    Ok(o)
}

/// Both, from the same text; `None` when Debian's tool does not take it.
pub fn both(cib: &Element, scratch: &Path) -> Option<(Outcome, Outcome)> {
    std::fs::write(scratch, cib.to_indented()).expect("the scratch file can be written");
    Some((ours::outcome(cib), debian::outcome(scratch)?))
}

fn difference(ours: &Outcome, debian: &Outcome) -> String {
    let mut out = String::new();
    for (what, a, b) in [
        ("place", &ours.places, &debian.places),
        ("action", &ours.actions, &debian.actions),
    ] {
        for line in a.difference(b) {
            out.push_str(&format!("  {what} only ours:   {line}\n"));
        }
        for line in b.difference(a) {
            out.push_str(&format!("  {what} only Debian: {line}\n"));
        }
    }
    out
}

fn main() -> ExitCode {
    let o = match options() {
        Ok(o) => o,
        Err(e) => {
            eprintln!("compare_policy: {e}");
            return ExitCode::from(2);
        }
    };
    if !Path::new(debian::PROGRAM).exists() {
        println!(
            "SKIPPED: {} is not there (Debian's package pacemaker-cli-utils)",
            debian::PROGRAM
        );
        return ExitCode::SUCCESS;
    }
    let scratch = std::env::temp_dir().join(format!("compare-{}.xml", std::process::id()));
    let cases: Vec<(String, Element)> = match o.files.is_empty() {
        true => (o.seed..o.seed + o.count)
            .map(|s| (format!("seed-{s}"), random::cib(s)))
            .collect(),
        false => o
            .files
            .iter()
            .map(|f| {
                let text = std::fs::read_to_string(f).unwrap_or_else(|e| panic!("{}: {e}", f.display()));
                let tree = Element::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", f.display()));
                (
                    f.file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .replace(".cib.xml", ""),
                    tree,
                )
            })
            .collect(),
    };
    let (mut total, mut places, mut actions, mut idle, mut shown) = (0, 0, 0, 0, 0);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for (name, cib) in &cases {
        let Some((ours, debian)) = both(cib, &scratch) else {
            let file = o.out.join(format!("{name}.refused.xml"));
            std::fs::write(&file, cib.to_indented()).expect("the directory of --out can be written to");
            println!("{}: Debian's crm_simulate does not take it", file.display());
            continue;
        };
        total += 1;
        let (same_places, same_actions) = (ours.places == debian.places, ours.actions == debian.actions);
        places += usize::from(same_places);
        actions += usize::from(same_actions);
        idle += usize::from(debian.actions.is_empty());
        if same_places && same_actions {
            if let Some(dir) = &o.keep {
                let kept = std::fs::write(dir.join(format!("{name}.cib.xml")), cib.to_indented());
                kept.expect("the directory of --keep can be written to");
                std::fs::write(dir.join(format!("{name}.actions")), debian.to_text()).expect("as before");
            }
            continue;
        }
        for line in difference(&ours, &debian).lines() {
            *kinds.entry(kind(line)).or_default() += 1;
        }
        if shown >= o.show {
            continue;
        }
        shown += 1;
        if o.shrink {
            let differs = |c: &Element| {
                both(c, &scratch).is_some_and(|(a, b)| match same_places {
                    true => a.actions != b.actions,
                    false => a.places != b.places,
                })
            };
            let small = shrink::shrink(cib, &differs);
            let file = o.out.join(format!("{name}.cib.xml"));
            std::fs::write(&file, small.to_indented()).expect("the directory of --out can be written to");
            if let Some((a, b)) = both(&small, &scratch) {
                println!(
                    "{} ({} elements)\n{}",
                    file.display(),
                    small.walk().count(),
                    difference(&a, &b)
                );
            }
        } else {
            println!("{name}\n{}", difference(&ours, &debian));
        }
    }
    let _ = std::fs::remove_file(&scratch);
    let percent = |n: usize| 100.0 * n as f64 / total.max(1) as f64;
    println!("lines of difference by kind: {kinds:#?}");
    println!(
        "{total} CIBs: {places} ({:.1} %) the same places, {actions} ({:.1} %) the same actions, {idle} ({:.1} %) need nothing",
        percent(places),
        percent(actions),
        percent(idle)
    );
    ExitCode::SUCCESS
}

/// A line of difference without its names.
fn kind(line: &str) -> String {
    let (head, rest) = line.split_once(": ").unwrap_or((line, ""));
    let middle = rest
        .split_whitespace()
        .nth(if rest.starts_with("fence") { 0 } else { 1 })
        .unwrap_or_default();
    format!("{} {}", head.trim(), middle.split('=').next().unwrap_or_default())
}
