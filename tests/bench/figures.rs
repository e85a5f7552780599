//! The figures: what was measured, how often, and how it is shown.

use std::fmt::Write;

/// One thing that is measured in every run; milliseconds.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its name in the JSON file.
    pub key: &'static str,
    /// What it says in the table.
    pub text: &'static str,
    /// The median that is wanted, at most.
    pub wanted: Option<f64>,
    pub runs: Vec<f64>,
}

impl Figure {
    fn sorted(&self) -> Vec<f64> {
        let mut runs = self.runs.clone();
        runs.sort_by(f64::total_cmp);
        runs
    }

    pub fn median(&self) -> Option<f64> {
        let runs = self.sorted();
        let (low, high) = (runs.get(runs.len().checked_sub(1)? / 2)?, runs.get(runs.len() / 2)?);
        Some((low + high) / 2.0)
    }

    fn row(&self, out: &mut String) {
        let runs = self.sorted();
        let (Some(median), Some(least), Some(most)) = (self.median(), runs.first(), runs.last()) else {
            return;
        };
        let wanted = self.wanted.map_or("".to_owned(), |w| format!("≤ {w:.0}"));
        let verdict = match self.wanted {
            Some(w) if median > w => "missed",
            Some(_) => "ok",
            None => "",
        };
        let _ = writeln!(
            out,
            "| {} | {least:.1} | {median:.1} | {most:.1} | {wanted} | {verdict} |",
            self.text
        );
    }
}

/// The figures of one program, in the order in which they were first measured.
#[derive(Clone, Debug)]
pub struct Figures {
    pub program: String,
    /// Whether what is wanted holds for it.
    judged: bool,
    pub all: Vec<Figure>,
    /// Runs that ended early, and why.
    pub failed: Vec<String>,
}

impl Figures {
    pub fn of(program: &str, judged: bool) -> Self {
        Self {
            program: program.to_owned(),
            judged,
            all: Vec::new(),
            failed: Vec::new(),
        }
    }

    pub fn add(&mut self, key: &'static str, text: &'static str, wanted: Option<f64>, millis: f64) {
        let at = self.all.iter().position(|f| f.key == key).unwrap_or_else(|| {
            self.all.push(Figure {
                key,
                text,
                wanted: wanted.filter(|_| self.judged),
                runs: Vec::new(),
            });
            self.all.len() - 1
        });
        self.all[at].runs.push(millis);
    }

    pub fn table(&self) -> String {
        let mut out = format!(
            "### {}\n\n| milliseconds | min | median | max | wanted | |\n|---|---:|---:|---:|---:|---|\n",
            self.program
        );
        for figure in &self.all {
            figure.row(&mut out);
        }
        for why in &self.failed {
            let _ = writeln!(out, "\nA run ended early: {why}");
        }
        out
    }

    fn json(&self) -> String {
        let figures = self.all.iter().map(|f| {
            let runs: Vec<String> = f.runs.iter().map(|r| format!("{r:.3}")).collect();
            format!("{:?}:[{}]", f.key, runs.join(","))
        });
        let failed: Vec<String> = self.failed.iter().map(|f| format!("{f:?}")).collect();
        format!(
            "{{\"program\":{:?},\"runs_ms\":{{{}}},\"failed\":[{}]}}",
            self.program,
            figures.collect::<Vec<_>>().join(","),
            failed.join(",")
        )
    }
}

pub fn json(machine: &str, programs: &[Figures]) -> String {
    let programs: Vec<String> = programs.iter().map(Figures::json).collect();
    format!("{{\"machine\":{machine:?},\"programs\":[{}]}}\n", programs.join(","))
}
