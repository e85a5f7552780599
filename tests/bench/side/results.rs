//! What was measured: every single run, medians, and how they are written as JSON and Markdown.

use crate::crm;
use crate::programs::Program;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One thing measured of one program.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    pub section: &'static str,
    pub row: String,
    pub unit: &'static str,
    pub program: Program,
    pub runs: Vec<f64>,
}

impl Figure {
    pub fn sorted(&self) -> Vec<f64> {
        let mut runs = self.runs.clone();
        runs.sort_by(f64::total_cmp);
        runs
    }

    pub fn median(&self) -> f64 {
        let runs = self.sorted();
        let (low, high) = (runs[(runs.len() - 1) / 2], runs[runs.len() / 2]);
        (low + high) / 2.0
    }
}

/// Filled by several threads.
#[derive(Debug, Default)]
pub struct Results(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    figures: Vec<Figure>,
    failed: Vec<String>,
}

impl Results {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, section: &'static str, row: &str, unit: &'static str, program: Program, value: f64) {
        let figures = &mut self.lock().figures;
        let same = |f: &Figure| f.section == section && f.row == row && f.program == program;
        match figures.iter_mut().find(|f| same(f)) {
            Some(figure) => figure.runs.push(value),
            None => figures.push(Figure {
                section,
                row: row.to_owned(),
                unit,
                program,
                runs: vec![value],
            }),
        }
    }

    /// A run that ended early, or was left out: said, never hidden.
    pub fn failed(&self, what: &str) {
        eprintln!("side: {what}");
        let first = what.lines().next().unwrap_or_default().to_owned();
        self.lock().failed.push(first);
    }

    pub fn figures(&self) -> Vec<Figure> {
        self.lock().figures.clone()
    }

    pub fn failures(&self) -> Vec<String> {
        self.lock().failed.clone()
    }
}

/// When and where it was measured.
#[derive(Clone, Debug)]
pub struct Occasion {
    pub date: String,
    pub machine: String,
    pub versions: String,
    pub load_before: String,
    pub load_after: String,
    pub seconds: u64,
}

impl Occasion {
    fn said(&self) -> String {
        format!(
            "{}, {}; load average {} before and {} after, {} s; {}",
            self.date, self.machine, self.load_before, self.load_after, self.seconds, self.versions
        )
    }
}

pub fn json(occasion: &Occasion, results: &Results) -> String {
    let mut out = format!(
        "{{\n \"date\": {:?},\n \"machine\": {:?},\n \"versions\": {:?},\n \"load_before\": {:?},\n \"load_after\": {:?},\n \
         \"seconds\": {},\n \"figures\": [",
        occasion.date, occasion.machine, occasion.versions, occasion.load_before, occasion.load_after, occasion.seconds
    );
    for (n, f) in results.figures().iter().enumerate() {
        let runs: Vec<String> = f.runs.iter().map(|r| format!("{r:.3}")).collect();
        let _ = write!(
            out,
            "{}\n  {{\"section\": {:?}, \"row\": {:?}, \"unit\": {:?}, \"program\": {:?}, \"runs\": [{}]}}",
            if n == 0 { "" } else { "," },
            f.section,
            f.row,
            f.unit,
            f.program.to_string(),
            runs.join(", ")
        );
    }
    let failed: Vec<String> = results.failures().iter().map(|f| format!("\n  {f:?}")).collect();
    let _ = writeln!(out, "\n ],\n \"ended_early\": [{}]\n}}", failed.join(","));
    out
}

/// As many digits as mean something.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 10.0 => format!("{value:.1}"),
        v if v < 10_000.0 => format!("{value:.0}"),
        v if v < 10_000_000.0 => format!("{:.0} k", value / 1e3),
        _ => format!("{:.1} M", value / 1e6),
    }
}

/// `median (least to most)`.
fn cell(figure: &Figure) -> String {
    let runs = figure.sorted();
    let (least, most) = (number(runs[0]), number(runs[runs.len() - 1]));
    let median = number(figure.median());
    match runs.len() {
        1 => median,
        _ if least == most => median,
        _ => format!("{median} ({least} to {most})"),
    }
}

fn head(programs: &[Program]) -> String {
    let names: Vec<String> = programs.iter().map(|p| format!(" {p} |")).collect();
    format!("| |{}\n|---|{}\n", names.concat(), "---:|".repeat(programs.len()))
}

/// Everything, with least and most. Sections in the order of measuring.
pub fn markdown(occasion: &Occasion, results: &Results) -> String {
    let figures = results.figures();
    let mut out = format!(
        "{}\n## Everything\n\nMedian (least to most).\n",
        short(occasion, results)
    );
    for section in unique(figures.iter().map(|f| f.section)) {
        let of = |f: &&Figure| f.section == section;
        let programs: Vec<Program> = [&Program::ALL[..], &Program::MANAGERS]
            .concat()
            .into_iter()
            .filter(|p| figures.iter().filter(of).any(|f| f.program == *p))
            .collect();
        let _ = write!(out, "\n### {section}\n\n{}", head(&programs));
        let mut rows: Vec<(&str, &str)> = figures.iter().filter(of).map(|f| (&*f.row, f.unit)).collect();
        rows.sort_unstable();
        rows.dedup();
        for (row, unit) in rows {
            let _ = write!(out, "| {row}, {unit} |");
            for program in &programs {
                let found = figures
                    .iter()
                    .filter(of)
                    .find(|f| f.row == row && f.program == *program);
                let _ = write!(out, " {} |", found.map_or_else(|| "–".to_owned(), cell));
            }
            out.push('\n');
        }
    }
    out.push_str("\n### Runs that ended early\n\n");
    match &results.failures()[..] {
        [] => out.push_str("None.\n"),
        failures => failures.iter().for_each(|f| {
            let _ = writeln!(out, "- {f}");
        }),
    }
    out
}

/// What the README shows: section, row, and its words there.
const SHOWN: [(&str, &str, &str); 12] = [
    ("Gaps", "planned move, 1 s", "planned move"),
    ("Gaps", "orderly stop, 1 s", "orderly stop"),
    ("Gaps", "crash, 1 s", "crash, noticed after 1 s"),
    ("Gaps", "crash, fastest", "crash, at the fastest setting"),
    ("Gaps", "failback, 1 s", "failback"),
    ("Two owners", "kill -9 of all", "two owners after `kill -9` of all"),
    ("Two owners", "pause of all", "two owners when all is stopped for 15 s"),
    (
        "Two owners",
        "partition, after it",
        "two owners after a partition has healed",
    ),
    (
        "Weather",
        "forged packets: moves",
        "moves of the address under 50,000 forged packets a second",
    ),
    ("Weather", "30 % loss: moves", "moves of the address at 30 % loss"),
    ("Cost", "PSS, 1 media", "memory (PSS)"),
    ("Cost", "CPU, beat 100 ms, 1 media", "CPU, beat of 100 ms"),
];

/// The same of the clusters with a resource manager.
const SHOWN_OF_MANAGERS: [(&str, &str, &str); 8] = [
    (crm::SECTION, crm::MOVE, "planned move"),
    (crm::SECTION, crm::STOP, "orderly stop"),
    (crm::SECTION, crm::CRASH, "crash, noticed after 1 s"),
    (crm::SECTION, crm::FAILBACK, "failback"),
    (crm::SECTION, crm::HEALED, "two owners after a partition has healed"),
    (crm::SECTION, crm::START, "start of a lone node to its address"),
    (crm::SECTION, crm::PROCESSES, "processes"),
    (crm::SECTION, crm::PSS, "memory (PSS)"),
];

/// A few rows of medians, with how many times ours each rival is.
pub fn short(occasion: &Occasion, results: &Results) -> String {
    let figures = results.figures();
    let mut out = format!("{}\n", occasion.said());
    for (programs, shown) in [
        (&Program::ALL[..], &SHOWN[..]),
        (&Program::MANAGERS, &SHOWN_OF_MANAGERS),
    ] {
        let rows: String = shown.iter().map(|shown| short_row(&figures, programs, shown)).collect();
        if !rows.is_empty() {
            let _ = write!(out, "\n{}{rows}", head(programs));
        }
    }
    let _ = write!(
        out,
        "\nMedians of all runs; in brackets how many times ours it is. Runs that ended early: {}.\n",
        results.failures().len()
    );
    out
}

/// The first of the programs is the measure of the others. Nothing when it has no such figure.
fn short_row(figures: &[Figure], programs: &[Program], (section, row, words): &(&str, &str, &str)) -> String {
    let find = |p: Program| {
        figures
            .iter()
            .find(|f| f.section == *section && f.row == *row && f.program == p)
    };
    let Some(first) = find(programs[0]) else {
        return String::new();
    };
    let mut out = format!("| {words}, {} |", first.unit);
    for program in programs {
        let _ = match find(*program) {
            None => write!(out, " – |"),
            // What is nearly nothing has no ratio.
            Some(f) if *program == programs[0] || first.median() < 0.05 => write!(out, " {} |", number(f.median())),
            Some(f) => write!(out, " {} (× {:.1}) |", number(f.median()), f.median() / first.median()),
        };
    }
    out.push('\n');
    out
}

fn unique<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut out = Vec::new();
    for item in items {
        if !out.contains(&item) {
            out.push(item);
        }
    }
    out
}
