//! monitors: what hb_monitor looks at, a line a check or a rule; monitors(5).
//!
//! Groups and resources are those of haresources, by their names there. Targets are addresses, never names of hosts: a name
//! server that hangs must not be taken for a service that does.

use super::{Complaints, Haresources, Parsed, ResourceSpec, lines};
use crate::ids::ResourceName;
use crate::time::{Duration, parse_time};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Each check that runs costs a descriptor or two.
const MOST_CHECKS: usize = 256;
/// Below this a check would be most of what the machine does.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
const HIGHEST_COUNT: u32 = 100;

/// The options of checks, and of `repair`.
const OF_CHECKS: [&str; 7] = ["every", "timeout", "retries", "pause", "fall", "rise", "from"];
const OF_HTTP: [&str; 2] = ["expect", "host"];
const OF_REPAIR: [&str; 4] = ["restarts", "within", "forget", "grace"];

/// What is done about a group that fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repair {
    /// In place, so often …
    pub restarts: u32,
    /// … in this time; then the group goes to another node.
    pub within: Duration,
    /// The node is tried again after this time; `None`: when somebody says so.
    pub forget: Option<Duration>,
    /// From the start of a group to its first check.
    pub grace: Duration,
}

impl Default for Repair {
    fn default() -> Self {
        Self {
            restarts: 3,
            within: Duration::from_secs(600),
            forget: None,
            grace: Duration::from_secs(5),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CheckKind {
    /// `status` of a resource script; its words decide, as at every other place.
    Status(ResourceSpec),
    /// Good is exit code 0.
    Script { program: PathBuf, args: Vec<String> },
    /// Good is a connection.
    Tcp(SocketAddr),
    /// Good is an answer whose status lies between the two.
    Http {
        address: SocketAddr,
        host: String,
        path: String,
        expect: (u16, u16),
    },
}

impl fmt::Display for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(resource) => write!(f, "status of {}", resource.name),
            Self::Script { program, .. } => write!(f, "script {}", program.display()),
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::Http { address, path, .. } => write!(f, "http://{address}{path}"),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckSpec {
    pub kind: CheckKind,
    /// From the begin of a check to that of the next.
    pub every: Duration,
    pub timeout: Duration,
    /// Further tries of a check that fails, before it counts as failed, and the pause before each.
    pub retries: u32,
    pub pause: Duration,
    /// So many failed checks make a failed resource …
    pub fall: u32,
    /// … and so many good ones in a row make their number forgotten.
    pub rise: u32,
    /// What is restarted: this resource of the group and those behind it.
    pub from: ResourceName,
    pub line: usize,
}

/// The checks of one group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupMonitor {
    pub key: ResourceName,
    pub repair: Repair,
    pub checks: Vec<CheckSpec>,
}

/// Groups that have a check, in the order of haresources.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Monitors {
    pub groups: Vec<GroupMonitor>,
}

/// Reads monitors. Without haresources, which could not be read, only the words are looked at.
pub fn parse(file: &Path, text: &str, haresources: Option<&Haresources>) -> Parsed<Monitors> {
    let mut bad = Complaints::about(file);
    let mut read: Vec<Line> = Vec::new();
    for (number, raw) in lines(text) {
        let words: Vec<&str> = raw.split('#').next().unwrap_or("").split_ascii_whitespace().collect();
        let [group, kind, rest @ ..] = words.as_slice() else {
            if let [one] = words.as_slice() {
                bad.error(
                    number,
                    format!(
                        "nothing stands behind \"{}\": write what is checked",
                        one.escape_debug()
                    ),
                );
            }
            continue;
        };
        match Line::of(number, group, kind, rest) {
            Ok(line) => read.push(line),
            Err(faults) => faults.into_iter().for_each(|fault| bad.error(number, fault)),
        }
    }
    let all = haresources.map(|groups| joined(&read, groups, &mut bad));
    if read.iter().all(|l| matches!(l.what, What::Repair(_))) {
        bad.warn(
            0,
            "there is no check in it: hb_monitor has nothing to do; monitors(5) has examples",
        );
    }
    bad.finish(|| all)
}

/// A line before it is known which groups it is about.
struct Line {
    number: usize,
    group: String,
    what: What,
}

enum What {
    Repair(BTreeMap<String, String>),
    Check {
        kind: Word,
        options: BTreeMap<String, String>,
        timing: Timing,
    },
}

/// A check as it is written.
enum Word {
    /// The resources it names; none for all.
    Status(Vec<String>),
    Other(CheckKind),
}

struct Timing {
    every: Duration,
    timeout: Duration,
    retries: u32,
    pause: Duration,
    fall: u32,
    rise: u32,
}

impl Line {
    fn of(number: usize, group: &str, kind: &str, rest: &[&str]) -> Result<Self, Vec<String>> {
        let known: Vec<&str> = match kind {
            "status" | "script" | "tcp" => OF_CHECKS.to_vec(),
            "http" => [&OF_CHECKS[..], &OF_HTTP].concat(),
            "repair" => OF_REPAIR.to_vec(),
            _ => {
                return Err(vec![format!(
                    "\"{}\" is no check: write status, script, tcp or http, or a rule with repair",
                    kind.escape_debug()
                )]);
            }
        };
        let (mut options, mut words, mut faults) = (BTreeMap::new(), Vec::new(), Vec::new());
        for word in rest {
            // What follows the program belongs to it.
            let of_program = kind == "script" && !words.is_empty();
            match option(word).filter(|_| !of_program) {
                None => words.push((*word).to_owned()),
                Some((name, _)) if !known.contains(&name) => {
                    faults.push(format!("{kind} has no option {name}: it has {}", known.join(", ")));
                }
                Some((name, value)) => {
                    if options.insert(name.to_owned(), value.to_owned()).is_some() {
                        faults.push(format!("{name}= stands twice: remove one"));
                    }
                }
            }
        }
        let mut fine = |result: Result<(), String>| faults.extend(result.err());
        let what = if kind == "repair" {
            fine(match words.first() {
                None => Ok(()),
                Some(word) => Err(format!("\"{}\" is not NAME=VALUE", word.escape_debug())),
            });
            fine(repair(&Repair::default(), &options).map(drop));
            Some(What::Repair(options))
        } else {
            let timing = timing(kind, &options).map_err(|why| fine(Err(why))).ok();
            let check = target(kind, &words, &options).map_err(|why| fine(Err(why))).ok();
            timing
                .zip(check)
                .map(|(timing, kind)| What::Check { kind, options, timing })
        };
        match what {
            Some(what) if faults.is_empty() => Ok(Self {
                number,
                group: group.to_owned(),
                what,
            }),
            Some(_) | None => Err(faults),
        }
    }
}

/// `name=value`, where the name is one of lower case letters: a resource or an address never looks like that.
fn option(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
    plain.then_some((name, value))
}

fn time(
    options: &BTreeMap<String, String>,
    name: &str,
    default: Duration,
    least: Duration,
) -> Result<Duration, String> {
    let Some(word) = options.get(name) else {
        return Ok(default);
    };
    let time = parse_time(word).map_err(|e| format!("{name}: {e}"))?;
    if time < least || time > LONGEST {
        return Err(format!("{name}={word}: write a time from {least:?} to {LONGEST:?}"));
    }
    Ok(time)
}

fn count(options: &BTreeMap<String, String>, name: &str, default: u32, least: u32) -> Result<u32, String> {
    let Some(word) = options.get(name) else {
        return Ok(default);
    };
    match word.parse() {
        Ok(n) if (least..=HIGHEST_COUNT).contains(&n) => Ok(n),
        Ok(_) | Err(_) => Err(format!(
            "{name}={}: write a number from {least} to {HIGHEST_COUNT}",
            word.escape_debug()
        )),
    }
}

fn timing(kind: &str, options: &BTreeMap<String, String>) -> Result<Timing, String> {
    // Scripts may be slow, a connection is not.
    let patience = match kind {
        "status" | "script" => Duration::from_secs(20),
        _ => Duration::from_secs(5),
    };
    Ok(Timing {
        every: time(options, "every", Duration::from_secs(10), SHORTEST)?,
        timeout: time(options, "timeout", patience, Duration::from_millis(1))?,
        retries: count(options, "retries", 0, 0)?,
        pause: time(options, "pause", Duration::from_secs(1), Duration::ZERO)?,
        fall: count(options, "fall", 1, 1)?,
        rise: count(options, "rise", 1, 1)?,
    })
}

fn repair(base: &Repair, options: &BTreeMap<String, String>) -> Result<Repair, String> {
    let forget = match options.get("forget").map(String::as_str) {
        None => base.forget,
        Some("never") => None,
        Some(_) => Some(time(options, "forget", Duration::ZERO, Duration::from_secs(1))?),
    };
    Ok(Repair {
        restarts: count(options, "restarts", base.restarts, 0)?,
        within: time(options, "within", base.within, Duration::from_secs(1))?,
        forget,
        grace: time(options, "grace", base.grace, Duration::ZERO)?,
    })
}

fn target(kind: &str, words: &[String], options: &BTreeMap<String, String>) -> Result<Word, String> {
    match (kind, words) {
        ("status", words) => Ok(Word::Status(words.to_vec())),
        ("script", []) => Err("script: write the program behind it, with its full path".to_owned()),
        ("script", [program, args @ ..]) if program.starts_with('/') => Ok(Word::Other(CheckKind::Script {
            program: program.into(),
            args: args.to_vec(),
        })),
        ("script", [program, ..]) => Err(format!(
            "\"{}\" is not a full path: it begins with /",
            program.escape_debug()
        )),
        ("tcp", [place]) => tcp(place).map(|address| Word::Other(CheckKind::Tcp(address))),
        ("tcp", _) => Err("tcp: write one ADDRESS:PORT, or a PORT of this machine".to_owned()),
        ("http", [url]) => http(url, options).map(Word::Other),
        (_, _) => Err("http: write one http://ADDRESS:PORT/PATH".to_owned()),
    }
}

fn tcp(place: &str) -> Result<SocketAddr, String> {
    let address = match place.parse::<u16>() {
        Ok(port) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
        Err(_) => place.parse().map_err(|_| {
            format!(
                "\"{}\" is not ADDRESS:PORT; names of hosts are not looked up, write 127.0.0.1:3306 or [::1]:3306",
                place.escape_debug()
            )
        })?,
    };
    match address.port() {
        0 => Err("0 is no port to connect to".to_owned()),
        _ => Ok(address),
    }
}

fn http(url: &str, options: &BTreeMap<String, String>) -> Result<CheckKind, String> {
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(format!(
            "\"{}\" does not begin with http://; for https write a script that calls curl",
            url.escape_debug()
        ));
    };
    let (place, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let bare = place.trim_start_matches('[').trim_end_matches(']');
    let address = match bare.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, 80),
        Err(_) => tcp(place).map_err(|why| format!("{why}; the name of the site goes into host="))?,
    };
    if !path.chars().all(|c| c.is_ascii_graphic()) {
        return Err(format!("\"{}\": write what is not ASCII as %XX", url.escape_debug()));
    }
    let host = options.get("host").map_or(place, String::as_str);
    if host.is_empty() || !host.chars().all(|c| c.is_ascii_graphic()) {
        return Err(format!("host={}: that is no name of a site", host.escape_debug()));
    }
    Ok(CheckKind::Http {
        address,
        host: host.to_owned(),
        path: path.to_owned(),
        expect: expect(options.get("expect").map_or("200-399", String::as_str))?,
    })
}

fn expect(word: &str) -> Result<(u16, u16), String> {
    let (from, to) = word.split_once('-').unwrap_or((word, word));
    let code = |w: &str| w.parse().ok().filter(|n| (100..=599).contains(n));
    match (code(from), code(to)) {
        (Some(from), Some(to)) if from <= to => Ok((from, to)),
        _ => Err(format!(
            "expect={}: write a status such as 200, or a range such as 200-299",
            word.escape_debug()
        )),
    }
}

/// Gives every line to the groups it is about.
fn joined(read: &[Line], haresources: &Haresources, bad: &mut Complaints) -> Monitors {
    let mut all = Monitors::default();
    let is_about = |line: &Line, key: &ResourceName| line.group == "*" || *key == *line.group.as_str();
    for line in read {
        if line.group != "*" && !haresources.groups.iter().any(|g| is_about(line, g.key())) {
            let keys: Vec<&str> = haresources.groups.iter().map(|g| g.key().as_str()).collect();
            bad.error(
                line.number,
                format!(
                    "\"{}\" is not a group of haresources: write the first resource of one as it stands there ({}), or * \
                     for all",
                    line.group.escape_debug(),
                    keys.join(", ")
                ),
            );
        }
    }
    let mut number = 0;
    for group in &haresources.groups {
        let mut monitor = GroupMonitor {
            key: group.key().clone(),
            repair: Repair::default(),
            checks: Vec::new(),
        };
        let mut rules = Vec::new();
        // What is said of all comes first, what is said of this one wins.
        for line in read
            .iter()
            .filter(|l| l.group == "*")
            .chain(read.iter().filter(|l| l.group != "*"))
        {
            if !is_about(line, group.key()) {
                continue;
            }
            match &line.what {
                What::Repair(options) => {
                    // It was tried when it was read.
                    if let Ok(rule) = repair(&monitor.repair, options) {
                        monitor.repair = rule;
                    }
                    if line.group != "*" {
                        rules.push(line.number);
                    }
                }
                What::Check { kind, options, timing } => {
                    match checks(kind, options, timing, line, &group.resources) {
                        Ok(checks) => monitor.checks.extend(checks),
                        // `from=nginx` behind a `*` is about the groups that have it.
                        Err(_) if line.group == "*" && anywhere(line, haresources) => {}
                        Err(why) => bad.error(line.number, format!("{why} of the group {}", group.key())),
                    }
                }
            }
        }
        if let [_, second, ..] = rules[..] {
            bad.warn(
                second,
                format!("{} has a line repair already: put both into one", group.key()),
            );
        }
        if let (Some(rule), true) = (rules.first(), monitor.checks.is_empty()) {
            bad.warn(*rule, format!("{} has no check, so it is never repaired", group.key()));
        }
        number += monitor.checks.len();
        if !monitor.checks.is_empty() {
            all.groups.push(monitor);
        }
    }
    if number > MOST_CHECKS {
        bad.error(0, format!("these are {number} checks: {MOST_CHECKS} are possible"));
    }
    all
}

/// Some group has all that the line names.
fn anywhere(line: &Line, haresources: &Haresources) -> bool {
    let What::Check { kind, options, timing } = &line.what else {
        return true;
    };
    let fits = |resources: &[ResourceSpec]| checks(kind, options, timing, line, resources).is_ok();
    haresources.groups.iter().any(|g| fits(&g.resources))
}

fn checks(
    kind: &Word,
    options: &BTreeMap<String, String>,
    timing: &Timing,
    line: &Line,
    resources: &[ResourceSpec],
) -> Result<Vec<CheckSpec>, String> {
    let from = options.get("from").map(|word| find(word, resources)).transpose()?;
    let spec = |kind: CheckKind, from: &ResourceSpec| CheckSpec {
        kind,
        every: timing.every,
        timeout: timing.timeout,
        retries: timing.retries,
        pause: timing.pause,
        fall: timing.fall,
        rise: timing.rise,
        from: from.name.clone(),
        line: line.number,
    };
    let last = &resources[resources.len() - 1];
    match kind {
        Word::Other(kind) => Ok(vec![spec(kind.clone(), from.unwrap_or(last))]),
        Word::Status(words) => {
            let named: Vec<&ResourceSpec> = match words.as_slice() {
                [] => resources.iter().collect(),
                words => words.iter().map(|w| find(w, resources)).collect::<Result<_, _>>()?,
            };
            let each = |r: &&ResourceSpec| spec(CheckKind::Status((*r).clone()), from.unwrap_or(r));
            Ok(named.iter().map(each).collect())
        }
    }
}

/// A resource by its name in haresources, or by that of its script when no other one has it.
fn find<'a>(word: &str, resources: &'a [ResourceSpec]) -> Result<&'a ResourceSpec, String> {
    if let Some(exact) = resources.iter().find(|r| r.name == *word) {
        return Ok(exact);
    }
    let mut of_script = resources.iter().filter(|r| r.script == word);
    match (of_script.next(), of_script.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(format!(
            "\"{}\" is the script of several resources: write the whole name of one",
            word.escape_debug()
        )),
        (None, _) => Err(format!("\"{}\" is not a resource", word.escape_debug())),
    }
}

#[cfg(test)]
mod tests;
