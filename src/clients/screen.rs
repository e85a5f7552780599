//! The status for people: one screen that says in its first lines whether all is well, and if not, what is wrong.
//!
//! Each section is a table of its own; [`frame`] fits them into the height. What does not fit is cut, the bad rows stay.

use super::json::Json;
use super::problems::{Problem, Severity, ago, loss, owners, problems};
use super::table::{Line, Row, Style, cut, lines};

/// How and where it is shown.
#[derive(Clone, Debug)]
pub struct Face {
    pub width: usize,
    pub height: usize,
    /// Seconds since 1970 as local date and time.
    pub clock: fn(u64) -> String,
    /// The state is not of now, and why.
    pub notice: Option<String>,
    /// So many of the last transitions.
    pub transitions: usize,
}

/// A title row and what belongs under it.
struct Section {
    title: Row,
    rows: Vec<Row>,
    /// Rows that stay when room is scarce.
    least: usize,
    /// Rows that were taken from it.
    cut: usize,
}

impl Section {
    fn of<const N: usize>(title: [&str; N], rows: Vec<Row>, least: usize) -> Self {
        Self {
            title: Row::new(Style::Title, title),
            rows,
            least,
            cut: 0,
        }
    }

    fn is_last(&self) -> bool {
        self.title.cells[0] == LAST
    }
}

pub fn frame(status: &Json, face: &Face) -> Vec<Line> {
    let found = problems(status);
    let mut top = vec![headline(status, &found, face)];
    if let Some(notice) = &face.notice {
        top.insert(0, Line::new(Style::Bad, notice));
    }
    // However many there are: the rest of the screen must still tell who has what.
    let room = (face.height / 3).max(4);
    let shown = if found.len() > room { room - 1 } else { found.len() };
    top.extend(found[..shown].iter().map(|p| problem_line(p, status, face)));
    if shown < found.len() {
        top.push(Line::new(Style::Bad, format!("! .. and {} more", found.len() - shown)));
    }
    let sections = || {
        vec![
            resources(status, face),
            nodes(status),
            fencing(status),
            ping_nodes(status),
            media(status),
            programs(status),
            transitions(status, face),
        ]
    };
    let room = face.height.saturating_sub(top.len());
    // Blank lines between the sections are worth some old transitions, nothing more.
    let airy = fit(sections(), room.saturating_sub(sections().len()));
    let is_airy = airy.iter().all(|s| s.cut == 0 || s.is_last() && s.rows.len() > AIRY);
    for section in if is_airy { airy } else { fit(sections(), room) } {
        if is_airy {
            top.push(Line::default());
        }
        top.extend(lines(&[vec![section.title], section.rows].concat(), face.width));
    }
    top.truncate(face.height);
    for line in &mut top {
        line.text = cut(&line.text, face.width);
    }
    top
}

/// The whole as plain text.
pub fn text(status: &Json, clock: fn(u64) -> String) -> String {
    let face = Face {
        width: 10_000,
        height: 10_000,
        clock,
        notice: None,
        transitions: 10,
    };
    frame(status, &face).into_iter().map(|l| l.text + "\n").collect()
}

fn headline(status: &Json, found: &[Problem], face: &Face) -> Line {
    let bad = found.iter().filter(|p| p.severity == Severity::Bad).count();
    let active = status.get("active").is_true();
    let (style, verdict) = match (bad, found.len()) {
        (0, 0) if active => (Style::Good, "ALL IS WELL".to_owned()),
        (0, 0) => (Style::Warning, "STARTING".to_owned()),
        (0, 1) => (Style::Warning, "1 WARNING".to_owned()),
        (0, n) => (Style::Warning, format!("{n} WARNINGS")),
        (_, 1) => (Style::Bad, "1 PROBLEM".to_owned()),
        (_, n) => (Style::Bad, format!("{n} PROBLEMS")),
    };
    let time = (face.clock)(status.get("time").number());
    let who = format!(
        "{verdict}   {}, {}, holds {} resources; heartbeat {}",
        status.get("node").text(),
        if active { "active" } else { "starting" },
        status.get("rsc_hold").text(),
        status.get("version").text(),
    );
    let room = face.width.min(100).saturating_sub(time.len() + 2);
    let who = cut(&super::table::clean(&who), room);
    Line::new(style, format!("{who:room$}  {time}"))
}

fn problem_line(problem: &Problem, status: &Json, face: &Face) -> Line {
    let style = match problem.severity {
        Severity::Bad => Style::Bad,
        Severity::Warning => Style::Warning,
    };
    let since = problem.since_ms.map_or(String::new(), |ms| {
        let at = status.get("time").number().saturating_sub(ms / 1000);
        let full = (face.clock)(at);
        // `Nov 21 04:39:20`: the date is clear for what is not a day old.
        let short = full.rsplit(' ').next().unwrap_or_default();
        let clock = if ms < DAY_MS { short } else { &full };
        format!(" ({}, since {clock})", span(ms))
    });
    // Since when is worth more than the end of a long sentence.
    let text = super::table::clean(&problem.text);
    let text = cut(&text, face.width.saturating_sub(since.len() + 2));
    Line::new(style, format!("! {text}{since}"))
}

/// Takes rows from the longest section until everything fits; bad rows come first in a section that was cut.
fn fit(sections: Vec<Section>, height: usize) -> Vec<Section> {
    let mut sections: Vec<Section> = sections.into_iter().filter(|s| !s.rows.is_empty()).collect();
    let mut quota: Vec<usize> = sections.iter().map(|s| s.rows.len()).collect();
    let total = |quota: &[usize]| quota.iter().map(|q| if *q == 0 { 0 } else { q + 1 }).sum::<usize>();
    while total(&quota) > height {
        // First down to what each section wants at least, the last section before the others; then whatever is there.
        let over = |i: &usize| quota[*i] > sections[*i].least;
        let all = 0..quota.len();
        let pick = all
            .clone()
            .rev()
            .find(|i| sections[*i].is_last() && over(i))
            .or_else(|| all.clone().filter(over).max_by_key(|i| quota[*i]))
            .or_else(|| all.rev().find(|i| quota[*i] > 0));
        match pick {
            Some(i) => quota[i] -= 1,
            None => break,
        }
    }
    for (section, quota) in sections.iter_mut().zip(&quota) {
        let all = section.rows.len();
        if *quota == all {
            continue;
        }
        // The last transitions stay in the order of time.
        if !section.is_last() {
            section.rows.sort_by_key(|r| !r.is_bad());
        }
        section.rows.truncate(quota.saturating_sub(1));
        section.cut = all - section.rows.len();
        if *quota > 0 {
            let text = format!(".. {} more", section.cut);
            section.rows.push(Row::new(Style::Plain, [text]));
        }
    }
    sections.retain(|s| !s.rows.is_empty());
    sections
}

const DAY_MS: u64 = 86_400_000;
/// So many transitions stay on a screen that has blank lines.
const AIRY: usize = 5;
const LAST: &str = "LAST TRANSITIONS";

fn resources(status: &Json, face: &Face) -> Section {
    let me = status.get("node").text();
    let mut rows = Vec::new();
    for group in status.get("groups").items() {
        let owners = owners(group);
        let here = group.get("here").text();
        let (style, owner) = match owners.as_slice() {
            [] => (Style::Bad, "NOBODY".to_owned()),
            [one] if *one == me && here != "running" => (Style::Warning, format!("{one} ({here})")),
            [one] => (Style::Plain, (*one).to_owned()),
            several => (Style::Bad, format!("SEVERAL: {}", several.join(" "))),
        };
        let since = match ago(status, group.get("owner_since")) {
            Some(ms) if !owners.is_empty() => span(ms),
            _ => String::new(),
        };
        rows.push(Row::new(
            style,
            [
                group.get("key").text(),
                &owner,
                &since,
                group.get("preferred").text(),
                &why_here(group, &owners, face),
            ],
        ));
    }
    Section::of(
        ["RESOURCES", "OWNER", "SINCE", "PREFERS", "LAST MOVE ON THIS NODE"],
        rows,
        3,
    )
}

/// What happened to it here. A failed start here is the second thing to know, and only when somebody else serves it the
/// less urgent one.
fn why_here(group: &Json, owners: &[&str], face: &Face) -> String {
    let failed = group.get("failed").items();
    if failed.is_empty() || owners.is_empty() {
        let lease = match group.get("lease_s") {
            Json::Number(0) => "; its address has no lease".to_owned(),
            Json::Number(seconds) => format!("; lease {seconds} s"),
            _ => String::new(),
        };
        return format!("{}{lease}", group.get("last").text());
    }
    let each = failed.iter().map(|f| {
        let why = match f.get("why") {
            Json::Text(why) => format!(": {why}"),
            _ => String::new(),
        };
        let (node, at) = (f.get("node").text(), (face.clock)(f.get("time").number()));
        format!("failed on {node} at {at}{why}; cleared there by hb_monitor --clear, hb_takeover or a reload")
    });
    each.collect::<Vec<_>>().join("; ")
}

fn nodes(status: &Json) -> Section {
    let me = status.get("node").text();
    let mut rows = Vec::new();
    for node in status
        .get("nodes")
        .items()
        .iter()
        .filter(|n| n.get("kind").text() == "normal")
    {
        let (name, word) = (node.get("name").text(), node.get("status").text());
        let style = match word {
            "active" => Style::Plain,
            "dead" => Style::Bad,
            _ => Style::Warning,
        };
        let since = span(node.get("since_ms").number());
        if name == me {
            let label = format!("{name} (here)");
            rows.push(Row::new(style, [label.as_str(), word, &since]));
            // Whether its own packets come back is a matter of the medium.
            continue;
        }
        let shown = if word == "dead" { "DEAD" } else { word };
        rows.push(Row::new(
            style,
            [
                name,
                shown,
                &since,
                &lost(node),
                &node.get("late_beats").number().to_string(),
                &interval(node.get("longest_interval_ms").number()),
            ],
        ));
        for link in node.get("links").items() {
            let up = link.get("status").text() == "up";
            let (style, shown) = match (up, word) {
                (true, _) => (Style::Plain, "up"),
                (false, "dead") => (Style::Plain, "DEAD"),
                (false, _) => (Style::Bad, "DEAD"),
            };
            let label = format!("  {name}:{}", link.get("name").text());
            let since = span(link.get("since_ms").number());
            rows.push(Row::new(style, [label.as_str(), shown, &since, &lost(link)]));
        }
    }
    Section::of(
        [
            "NODES, LINKS",
            "STATE",
            "FOR",
            "LOST LATELY",
            "LATE BEATS",
            "LONGEST PAUSE",
        ],
        rows,
        3,
    )
}

fn lost(item: &Json) -> String {
    match loss(item) {
        (_, 0) => "-".to_owned(),
        (missed, expected) => format!("{missed} of {expected}"),
    }
}

fn interval(ms: u64) -> String {
    match ms {
        0 => "-".to_owned(),
        ms if ms < 10_000 => format!("{ms} ms"),
        ms => format!("{} s", ms / 1000),
    }
}

/// Nodes that were, or are to be, fenced.
fn fencing(status: &Json) -> Section {
    let mut rows = Vec::new();
    for node in status.get("nodes").items() {
        let fencing = node.get("fencing");
        let state = fencing.get("state").text();
        let style = match state {
            "done" => Style::Plain,
            "needed" | "running" | "failed" => Style::Bad,
            _ => continue,
        };
        let failures = fencing.get("failures").number().to_string();
        rows.push(Row::new(
            style,
            [node.get("name").text(), state, &failures, fencing.get("last").text()],
        ));
    }
    let least = usize::from(!rows.is_empty()) * 2;
    Section::of(["FENCING", "STATE", "FAILED TRIES", "LAST"], rows, least)
}

fn ping_nodes(status: &Json) -> Section {
    let mut rows = Vec::new();
    for node in status
        .get("nodes")
        .items()
        .iter()
        .filter(|n| n.get("kind").text() == "ping")
    {
        let (style, word) = match node.get("status").text() {
            "dead" => (Style::Bad, "NO ANSWER"),
            "init" => (Style::Plain, "no answer yet"),
            _ => (Style::Plain, "answers"),
        };
        rows.push(Row::new(
            style,
            [node.get("name").text(), word, &span(node.get("since_ms").number())],
        ));
    }
    Section::of(["PING NODES", "STATE", "FOR"], rows, 2)
}

fn media(status: &Json) -> Section {
    let mut rows = Vec::new();
    for medium in status.get("media").items() {
        let (style, state) = match medium.get("broken") {
            Json::Text(why) => (Style::Bad, format!("BROKEN: {why}")),
            _ => (Style::Plain, "works".to_owned()),
        };
        rows.push(Row::new(
            style,
            [medium.get("link").text(), medium.get("kind").text(), &state],
        ));
    }
    Section::of(["MEDIA", "KIND", "STATE"], rows, 2)
}

/// Programs of `respawn` lines; nothing when there are none.
fn programs(status: &Json) -> Section {
    let mut rows = Vec::new();
    for program in status.get("clients").items() {
        let style = match program.get("state").text() {
            "given up" => Style::Bad,
            _ => Style::Plain,
        };
        let pid = match program.get("pid").number() {
            0 => String::new(),
            pid => pid.to_string(),
        };
        rows.push(Row::new(
            style,
            [
                program.get("command").text(),
                program.get("state").text(),
                &span(program.get("since_ms").number()),
                program.get("user").text(),
                &pid,
                &program.get("restarts").number().to_string(),
                program.get("last").text(),
            ],
        ));
    }
    // Programs that run are the first to go when room is scarce.
    let least = usize::from(rows.iter().any(Row::is_bad)) * 2;
    Section::of(
        ["PROGRAMS", "STATE", "FOR", "USER", "PID", "RESTARTS", "LAST"],
        rows,
        least,
    )
}

fn transitions(status: &Json, face: &Face) -> Section {
    let mut rows = Vec::new();
    for t in status.get("transitions").items().iter().rev().take(face.transitions) {
        let style = if t.get("bad").is_true() {
            Style::Warning
        } else {
            Style::Plain
        };
        let mark = if t.get("bad").is_true() { "! " } else { "  " };
        let what = format!(
            "{mark}{} {} {}",
            t.get("kind").text(),
            t.get("subject").text(),
            t.get("text").text()
        );
        rows.push(Row::new(style, [(face.clock)(t.get("time").number()), what]));
    }
    Section::of([LAST, ""], rows, 3)
}

/// `12s`, `3m05s`, `2h04m`, `5d03h`
pub fn span(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::super::status::to_json;
    use super::super::tests::{copy, with_view};
    use super::*;
    use crate::daemon::view::View;

    fn clock(seconds: u64) -> String {
        let day = seconds % 86_400;
        format!("Nov 21 {:02}:{:02}:{:02}", day / 3600, day / 60 % 60, day % 60)
    }

    fn shown(width: usize, height: usize, change: impl FnOnce(&mut View<'_>)) -> Vec<Line> {
        let mut shown = Vec::new();
        with_view(|view| {
            let mut view = copy(view);
            change(&mut view);
            let face = Face {
                width,
                height,
                clock,
                notice: None,
                transitions: 64,
            };
            shown = frame(&to_json(&view, "9.9"), &face);
        });
        shown
    }

    fn well(view: &mut View<'_>) {
        view.nodes[1].status = "active";
        view.nodes[1].links.pop();
        view.nodes[1].links[0].loss.missed = 0;
        view.nodes[1].haresources_differ.clear();
        view.media.pop();
        view.groups[0].failed.clear();
    }

    /// Enough of everything to fill any screen.
    fn many(view: &mut View<'_>) {
        for n in 0..40 {
            let mut group = view.groups[0].clone();
            group.key = format!("IPaddr::10.0.{n}.1/24/eth0:with-a-long-name").parse().unwrap();
            group.last = "acquired: a reason that is much longer than what a small terminal has room for".repeat(3);
            if n == 39 {
                group.owners.clear();
            }
            view.groups.push(group);
            let mut node = view.nodes[1].clone();
            node.name = format!("node{n}").parse().unwrap();
            node.status = if n == 38 { "dead" } else { "active" };
            view.nodes.push(node);
            let transition = view.transitions[1].clone();
            view.transitions.push(transition);
        }
    }

    #[test]
    fn every_state_fits_every_screen_and_the_first_line_says_how_it_is() {
        type Change = fn(&mut View<'_>);
        #[rustfmt::skip]
        let table: &[(&str, Change, &str, &str)] = &[
            ("well",     well, "ALL IS WELL", "RESOURCES"),
            ("medium",   |v| { well(v); v.media[0].broken = Some("no such device".into()); },
                         "1 PROBLEM", "! medium bcast eth0 is BROKEN: no such device"),
            ("node",     |v| { well(v); v.nodes[1].status = "dead"; },
                         "1 PROBLEM", "! node n2 is DEAD (1m05s, since 06:42:15)"),
            ("ping",     |v| { well(v); v.nodes[2].status = "dead"; },
                         "1 PROBLEM", "! ping node 10.0.0.254 does not answer"),
            ("resource", |v| { well(v); v.groups[0].owners.clear(); v.groups[0].here = "failed"; },
                         "1 PROBLEM", "! NOBODY serves resource IPaddr::10.0.0.1 (2h04m, since 04:39:20)"),
            ("all",      |_| {}, "4 PROBLEMS", "! "),
            ("many",     many, "89 PROBLEMS", "! NOBODY serves resource IPaddr::10.0.39.1/24"),
        ];
        for (name, change, verdict, line) in table {
            for (width, height) in [
                (80, 24),
                (79, 24),
                (200, 50),
                (132, 43),
                (40, 10),
                (20, 4),
                (3, 1),
                (0, 0),
            ] {
                let lines = shown(width, height, change);
                let texts: Vec<&str> = lines.iter().map(|l| l.text.as_str()).collect();
                assert!(lines.len() <= height, "{name}: {width}x{height}\n{}", texts.join("\n"));
                for l in &lines {
                    assert!(l.text.len() <= width, "{name}: {width}x{height}: {}", l.text);
                }
                if width >= 79 {
                    let whole = texts.join("\n");
                    assert!(
                        texts[0].starts_with(verdict) || *name == "all" || *name == "many",
                        "{name}: {whole}"
                    );
                    assert!(texts.iter().any(|t| t.starts_with(line)), "{name}: {line}\n{whole}");
                    for section in ["RESOURCES", "NODES, LINKS", "MEDIA", "LAST TRANSITIONS"] {
                        assert!(whole.contains(section), "{name}: {section}\n{whole}");
                    }
                }
            }
        }
    }

    #[test]
    fn bad_rows_stay_when_the_others_have_no_room() {
        let lines = shown(80, 24, many);
        let whole: Vec<&str> = lines.iter().map(|l| l.text.as_str()).collect();
        let has = |a: &str, b: &str| whole.iter().any(|l| l.starts_with(a) && l.contains(b));
        assert!(has("IPaddr::10.0.39.1", "NOBODY"), "{whole:#?}");
        assert!(has("n2", "DEAD") || has("node38", "DEAD"), "{whole:#?}");
        assert!(has("..", "more"), "{whole:#?}");
    }

    #[test]
    fn a_group_that_is_served_elsewhere_names_its_owner_first() {
        let text: Vec<String> = shown(300, 50, |v| {
            well(v);
            v.groups[0].owners = vec!["n2".parse().unwrap()];
            v.groups[0].here = "failed";
            v.groups[0].failed = vec![crate::daemon::view::FailedView {
                node: "n1".parse().unwrap(),
                at: crate::time::Wall(60),
                why: Some("start of httpd failed with exit code 1".into()),
            }];
        })
        .into_iter()
        .map(|l| l.text)
        .collect();
        let row = text.iter().find(|l| l.starts_with("IPaddr::10.0.0.1")).unwrap();
        assert!(
            row.contains("n2") && row.ends_with("failed on n1 at Nov 21 00:01:00: start of httpd failed with exit code 1; cleared there by hb_monitor --clear, hb_takeover or a reload"),
            "{row}"
        );
        assert!(text[0].starts_with("1 WARNING "), "{text:#?}");
    }

    #[test]
    fn spans() {
        #[rustfmt::skip]
        let table = [(0, "0s"), (59_999, "59s"), (60_000, "1m00s"), (3_599_999, "59m59s"), (7_440_000, "2h04m"),
                     (86_400_000, "1d00h")];
        for (ms, want) in table {
            assert_eq!(span(ms), want);
        }
    }
}
