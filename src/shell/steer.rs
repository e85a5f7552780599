//! The level `resource`: where resources run, and the constraints that move them.

use super::draft::{Draft, Mode, objects};
use crate::cib::{Cib, Element, Score};
use crate::policy::history::{self, State};
use crate::policy::input::{Input, N, R, Role};
use crate::policy::{show, unpack};
use crate::time::{Duration, Wall};
use std::fmt::Write;

/// The constraints that migrate and ban make; `cli-standby-` is of older shells.
const PREFIXES: [&str; 3] = ["cli-prefer-", "cli-ban-", "cli-standby-"];

/// A CIB with what its status says.
#[derive(Debug)]
pub struct Seen {
    pub input: Input,
    pub state: State,
}

impl Seen {
    pub fn new(cib: &Cib, now: Wall) -> Self {
        let mut input = unpack::unpack(cib, now);
        let state = history::read(cib, &mut input);
        Self { input, state }
    }

    pub fn resource(&self, id: &str) -> Option<R> {
        self.input.resource(id)
    }

    /// The nodes where something of a resource runs, with the highest role it has there.
    pub fn places(&self, r: R) -> Vec<(N, Role)> {
        let mut places: Vec<(N, Role)> = Vec::new();
        for p in self.input.primitives(r) {
            for n in self.state.running_on(p) {
                let role = self.state.role(p, n);
                match places.iter_mut().find(|(at, _)| *at == n) {
                    Some((_, before)) => *before = (*before).max(role),
                    None => places.push((n, role)),
                }
            }
        }
        // Masters first.
        places.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
        places
    }

    pub fn is_running(&self, id: &str) -> bool {
        self.resource(id).is_some_and(|r| !self.places(r).is_empty())
    }

    pub fn uname(&self, n: N) -> &str {
        &self.input.nodes[n].uname
    }

    /// `resource vip is running on: node1 `
    pub fn whereabouts(&self, id: &str, r: R) -> Result<String, String> {
        let places = self.places(r);
        if places.is_empty() {
            return Err(format!("resource {id} is NOT running"));
        }
        let mut out = String::new();
        for (n, role) in places {
            let word = match role {
                Role::Master => "Master",
                Role::Started | Role::Slave | Role::Stopped => "",
            };
            let _ = writeln!(out, "resource {id} is running on: {} {word}", self.uname(n));
        }
        Ok(out)
    }

    /// `node1: online` and the like, for the level `node`.
    pub fn mode(&self, n: N) -> &'static str {
        show::mode(&self.input.nodes[n], || {
            self.state
                .on
                .iter()
                .any(|((_, m), here)| *m == n && here.role != Role::Stopped)
        })
    }
}

/// Until when a migration holds.
pub fn lifetime(word: &str) -> Option<Duration> {
    crate::cib::words::interval(word).filter(|d| !d.is_zero())
}

/// `2026-11-21 08:14:18Z`
pub fn iso(at: Wall) -> String {
    let (mut days, seconds) = (at.0 / 86_400, at.0 % 86_400);
    let is_leap = |y: u64| y.is_multiple_of(4) && !y.is_multiple_of(100) || y.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!(
        "{year:04}-{month:02}-{:02} {hour:02}:{minute:02}:{second:02}Z",
        days + 1
    )
}

/// The ids of the constraints that were made for a resource by migrate and ban.
pub fn moved_by(draft: &Draft, rsc: &str) -> Vec<String> {
    let of = |o: &super::draft::Listed<'_>| {
        let id = o.element.id();
        let for_it = o.element.get("rsc") == Some(rsc);
        o.section == "constraints" && for_it && PREFIXES.iter().any(|p| id.starts_with(p))
    };
    let all = objects(draft.configuration());
    all.iter()
        .filter(|o| of(o))
        .map(|o| o.element.id().to_owned())
        .collect()
}

/// Takes back what migrate and ban did; the ids of what was taken away.
pub fn clear(draft: &mut Draft, rsc: &str) -> Result<Vec<String>, String> {
    let ids = moved_by(draft, rsc);
    let names: Vec<&str> = ids.iter().map(|i| &**i).collect();
    draft.delete(&names, &|_| false)?;
    Ok(ids)
}

/// What pulls a resource to a node, or keeps it away: with an end, a rule that says until when.
pub fn pull(draft: &mut Draft, rsc: &str, node: &str, score: Score, end: Option<Wall>) -> Result<String, String> {
    let id = match score {
        Score::BANNED => format!("cli-ban-{rsc}-on-{node}"),
        _ => format!("cli-prefer-{rsc}"),
    };
    let made = Element::new("rsc_location")
        .with("id", &id)
        .with("rsc", rsc)
        .with("role", "Started");
    let made = match end {
        None => made.with("node", node).with("score", score),
        Some(end) => {
            let rule = format!("{id}-rule");
            made.holding(
                Element::new("rule")
                    .with("id", &rule)
                    .with("score", score)
                    .with("boolean-op", "and")
                    .holding(
                        Element::new("expression")
                            .with("id", format!("{rule}-node"))
                            .with("attribute", "#uname")
                            .with("operation", "eq")
                            .with("value", node),
                    )
                    .holding(
                        Element::new("date_expression")
                            .with("id", format!("{rule}-end"))
                            .with("operation", "lt")
                            .with("end", iso(end)),
                    ),
            )
        }
    };
    if draft.find(&id) == Some(&made) {
        return Err("Requested item already exists".to_owned());
    }
    draft.put(made, Mode::Update).map_err(|c| c.what)?;
    Ok(id)
}

/// `Locations:` and what is colocated, as crm_resource -a.
pub fn constraints(draft: &Draft, rsc: &str) -> String {
    let all = objects(draft.configuration());
    let of = |name: &'static str| all.iter().filter(move |o| o.element.name == name).map(|o| o.element);
    let word = |e: &Element, name: &str| e.get(name).unwrap_or_default().to_owned();
    let mut out = String::new();
    let mut list = |heading: String, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = writeln!(out, "{heading}");
            for line in lines {
                let _ = writeln!(out, "  * {line}");
            }
        }
    };
    let located = of("rsc_location")
        .filter(|e| e.get("rsc") == Some(rsc))
        .map(|e| match e.get("node") {
            Some(node) => format!("Node {node} (score={}, id={}, rsc={rsc})", word(e, "score"), e.id()),
            None => format!("by rule (id={}, rsc={rsc})", e.id()),
        });
    list("Locations:".to_owned(), located.collect());
    for (here, other, heading) in [
        ("rsc", "with-rsc", format!("Resources {rsc} is colocated with:")),
        ("with-rsc", "rsc", format!("Resources colocated with {rsc}:")),
    ] {
        let lines = of("rsc_colocation")
            .filter(|e| e.get(here) == Some(rsc))
            .map(|e| format!("{} (score={}, id={})", word(e, other), word(e, "score"), e.id()));
        list(heading, lines.collect());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_the_rules_write_them() {
        #[rustfmt::skip]
        let table = [
            (0, "1970-01-01 00:00:00Z"), (951_782_400, "2000-02-29 00:00:00Z"), (1_795_248_858, "2026-11-21 08:14:18Z"),
            (1_735_689_599, "2024-12-31 23:59:59Z"), (1_735_689_600, "2025-01-01 00:00:00Z"),
        ];
        for (seconds, text) in table {
            assert_eq!(iso(Wall(seconds)), text);
            assert_eq!(crate::policy::rules::iso_time(text), Some(Wall(seconds)));
        }
    }

    #[test]
    fn migrations_are_made_and_taken_back() {
        let cib = "<cib><configuration><resources><primitive id='vip' class='lsb' type='x'/></resources></configuration></cib>";
        let mut draft = Draft::new(Cib::parse(cib).unwrap());
        assert_eq!(
            pull(&mut draft, "vip", "n2", Score::INFINITY, None).as_deref(),
            Ok("cli-prefer-vip")
        );
        let made = "<rsc_location id=\"cli-prefer-vip\" rsc=\"vip\" role=\"Started\" node=\"n2\" score=\"INFINITY\"/>";
        assert_eq!(draft.find("cli-prefer-vip").unwrap().to_bare(), made);
        assert!(
            pull(&mut draft, "vip", "n2", Score::INFINITY, None)
                .unwrap_err()
                .contains("already exists")
        );
        let until = Some(Wall(1_795_248_858));
        assert_eq!(
            pull(&mut draft, "vip", "n1", Score::BANNED, until).as_deref(),
            Ok("cli-ban-vip-on-n1")
        );
        assert!(
            draft
                .find("cli-ban-vip-on-n1")
                .unwrap()
                .to_bare()
                .contains("end=\"2026-11-21 08:14:18Z\"")
        );
        assert_eq!(crate::cib::schema::check(&draft.cib()), vec![]);
        assert_eq!(clear(&mut draft, "vip").unwrap().len(), 2);
        assert!(!draft.is_changed());
    }
}
