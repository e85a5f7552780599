//! crm_verify: whether a configuration can be carried out.

use super::client::Access;
use super::protocol::code;
use super::tool::{self, Failure, Outcome, flag, one, value, verbose};
use crate::cib::schema::{self, Fault};
use crate::cib::{Cib, Element};
use crate::policy::plan::plan;
use crate::policy::properties;
use crate::text::status::View;
use clap::{ArgMatches, Command};
use std::fmt::Write;
use std::io::Read;

fn command() -> Command {
    Command::new("crm_verify")
        .about("Says what is wrong with a configuration of the cluster")
        .group(
            clap::ArgGroup::new("source")
                .args(["live-check", "xml-file", "xml-pipe", "xml-text"])
                .multiple(false),
        )
        .arg(flag("live-check", 'L', "the configuration of the cluster that runs"))
        .arg(value("xml-file", 'x', "FILE", "the configuration in FILE"))
        .arg(flag("xml-pipe", 'p', "the configuration on standard input"))
        .arg(value("xml-text", 'X', "XML", "this configuration"))
        .arg(value("save-xml", 'S', "FILE", "write what was looked at to FILE"))
        .arg(verbose())
}

/// What is wrong, each as it is printed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// Places that are not as the schema has it, with their line.
    pub faults: Vec<Fault>,
    /// What keeps the configuration from being carried out.
    pub errors: Vec<(&'static str, String)>,
    pub warnings: Vec<(&'static str, String)>,
}

impl Findings {
    pub fn is_valid(&self) -> bool {
        self.faults.is_empty() && self.errors.is_empty()
    }
}

/// Everything that is wrong with a CIB.
pub fn findings(cib: &Cib, view: &View<'_>) -> Findings {
    let mut out = Findings {
        faults: schema::check(cib),
        ..Findings::default()
    };
    let settings = &view.input.settings;
    out.errors.extend(properties::faults(cib, settings.now));
    if settings.fencing && !settings.can_fence {
        let texts = [
            "Resource start-up disabled since no STONITH resources have been defined",
            "Either configure some or disable STONITH with the stonith-enabled option",
            "NOTE: Clusters with shared data need STONITH to ensure data integrity",
        ];
        out.errors.extend(texts.map(|t| ("unpack_resources", t.to_owned())));
    }
    // A plan for what is not valid says nothing.
    if out.faults.is_empty() {
        let plan = plan(&view.input, &view.state);
        let complaints = view.input.complaints.iter().chain(&plan.complaints).cloned();
        out.warnings.extend(complaints.map(|c| ("unpack_constraints", c)));
        for (_, node) in view.members().filter(|(_, n)| n.unclean && n.seen) {
            let text = format!("Node {} is unclean: {}", node.uname, node.lost);
            out.warnings.push(("determine_online_status", text));
        }
    }
    out
}

pub fn run(args: &[String], access: Access) -> Outcome {
    let outcome = tool::run(command(), args, |matches, found| check(matches, access, found));
    if outcome.code == code::OK {
        return outcome;
    }
    // What is wrong is no answer that somebody reads from a pipe.
    Outcome {
        err: outcome.out + &outcome.err,
        out: String::new(),
        ..outcome
    }
}

fn check(matches: &ArgMatches, mut access: Access, err: &mut String) -> Result<u8, Failure> {
    let parse = |name: &str, text: &str| {
        let bad = |e| Failure::new(code::INVALID, format!("{name}: {e}"));
        Cib::from_element(Element::parse(text).map_err(bad)?).map_err(bad)
    };
    let (name, cib) = if matches.get_flag("live-check") {
        let cib = access.cib()?;
        (
            access
                .path()
                .map_or("the cluster".to_owned(), |p| p.display().to_string()),
            cib,
        )
    } else if let Some(file) = one(matches, "xml-file") {
        let unreadable = |e| Failure::new(code::ERROR, format!("Couldn't parse input file: {file}: {e}"));
        let text = std::fs::read_to_string(file).map_err(unreadable)?;
        (file.to_owned(), parse(file, &text)?)
    } else if matches.get_flag("xml-pipe") {
        let mut text = String::new();
        let limit = crate::cib::xml::LONGEST as u64 + 1;
        let unreadable = |e| Failure::new(code::ERROR, format!("standard input: {e}"));
        std::io::stdin()
            .take(limit)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        ("standard input".to_owned(), parse("standard input", &text)?)
    } else if let Some(text) = one(matches, "xml-text") {
        ("-X".to_owned(), parse("-X", text)?)
    } else {
        let text = "No configuration source specified.  Use --help for usage information.";
        return Err(Failure::new(code::ERROR, text));
    };
    if let Some(file) = one(matches, "save-xml") {
        let unwritable = |e| Failure::new(code::IO, format!("{file}: {e}"));
        std::fs::write(file, cib.root().to_indented()).map_err(unwritable)?;
    }
    let found = findings(&cib, &tool::view(&cib));
    for fault in &found.faults {
        let _ = writeln!(err, "{name}:{fault}");
    }
    if matches.get_count("verbose") > 0 {
        for (level, all) in [("error", &found.errors), ("warning", &found.warnings)] {
            for (what, text) in all {
                let _ = writeln!(err, "({what}) \t{level}: {text}");
            }
        }
    }
    let text = match (found.is_valid(), found.warnings.is_empty()) {
        (true, true) => return Ok(code::OK),
        (true, false) => "Warnings found during check: config may not be valid",
        (false, _) => "Errors found during check: config not valid",
    };
    let more = match matches.get_count("verbose") {
        0 => "\n-V may provide more details",
        _ => "",
    };
    Err(Failure::new(code::INVALID, format!("{text}{more}")))
}
