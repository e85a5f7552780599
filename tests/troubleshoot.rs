//! hb_troubleshoot(7) has an entry for every line that the code logs as ERROR, CRIT or WARN.
//!
//! An entry's heading is a part of the line, with `...` for what differs. A message without an entry fails the test with the
//! line to be written; so does an entry that no message has any more.

use std::path::{Path, PathBuf};

/// Lines whose words are put together elsewhere: file, what the call says, and the headings that they are found under.
/// Without headings: they are lines of `heartbeat -t`, of a script or of a client, in its own words.
#[rustfmt::skip]
const COMPUTED: &[(&str, &str, &[&str])] = &[
    ("src/clients/mod.rs",       "",                 &["client ...: its request names another client", "only named clients may send messages", "its message ... is refused:"]),
    ("src/clients/mod.rs",       "{name}: {text}",   &[]),
    ("src/clients/sending.rs",   "",                 &["only named clients may send messages", "its message ... is refused:"]),
    ("src/core/counters.rs",     "{what}",           &[]),
    ("src/core/counters.rs",     "{what} ({n} more like it since the last such line)", &[]),
    ("src/core/receive.rs",      "",                 &["two machines send under this name"]),
    ("src/daemon/mod.rs",        "{}: refused: {why}", &["is not followed here:"]),
    ("src/groups/messages.rs",   "{line}",           &["haresources: differs from the one of node"]),
    ("src/ipc/server.rs",        "{why}",            &["register: ignoring something that"]),
    ("src/ipc/server.rs",        "{why} (and {} more)", &["register: ignoring something that"]),
    ("src/jobs/output.rs",       "{}: {text}",       &[]),
    ("src/jobs/runner.rs",       "{title}: {why}",   &[": exit code ... after"]),
    ("src/jobs/runner.rs",       "{title}: {called}: {why}", &[": exit code ... after"]),
    ("src/run/crmd/disk.rs",     "{e}",              &["cib.xml"]),
    ("src/run/crmd/disk.rs",     "{said}",           &["cib.xml"]),
    ("src/run/crmd/here.rs",     "{} {}: {reason}",  &["failed with ... (status ..., expected ...) after"]),
    ("src/run/crmd/mod.rs",      "{}",               &["cib.xml"]),
    ("src/run/crmd/perform.rs",  "{e}",              &["a request of a tool:"]),
    ("src/run/crmd/perform.rs",  "{text}",           &[
        "crmd stood still for", "its CIB differs from that of the DC; it gets a full copy", "is not in the partition any more",
        "this node's own change was refused", "the state of the nodes could not be written",
        "the CIB of ... cannot be read; waiting for a new view", "... bytes is no CIB",
        "the DC's copy of the CIB cannot be read; asking again",
    ]),
    ("src/run/dopd/drbdadm.rs",  "{title}: {why}",   &[": drbdadm ...: ..."]),
    ("src/run/lrmd/calls.rs",    "{}: {reason}",     &["failed with ... (status ..., expected ...) after"]),
    ("src/run/master/begin.rs",  "{complaint}",      &[]),
    ("src/run/master.rs",        "reload: {complaint}", &["reload: the files have errors"]),
    ("src/run/monitor/mod.rs",   "{line}",           &["the checks stay as they were"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The literal that begins at `text`, and what stands behind it.
fn literal(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut rest = text.strip_prefix('"').expect("a literal");
    loop {
        let c = rest.chars().next().expect("a literal ends");
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => return (out, rest),
            '\\' => {
                let escaped = rest.chars().next().expect("something is escaped");
                rest = &rest[escaped.len_utf8()..];
                match escaped {
                    '\n' => rest = rest.trim_start(),
                    'n' | 't' => out.push(' '),
                    other => out.push(other),
                }
            }
            other => out.push(other),
        }
    }
}

/// The literals between the parentheses that `text` begins with.
fn literals(text: &str) -> (Vec<String>, &str) {
    let (mut found, mut depth, mut rest) = (Vec::new(), 0, text);
    loop {
        let c = rest.chars().next().expect("a call ends");
        if c == '"' {
            let (word, behind) = literal(rest);
            found.push(word);
            rest = behind;
            continue;
        }
        // A quote as a character: '"' and '\''.
        if let Some(behind) = rest.strip_prefix("'\"'").or_else(|| rest.strip_prefix("'\\''")) {
            rest = behind;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (found, &text[..text.len() - rest.len()]);
        }
    }
}

#[derive(Debug)]
struct Line {
    file: String,
    number: usize,
    /// With `{...}` for what differs. Empty when the call has no words of its own.
    template: String,
}

/// Every call in `text` that may write an ERROR or a WARN.
fn calls(file: &str, text: &str) -> Vec<Line> {
    // Tests at the end of the file, not those in a file of their own.
    let test = text.match_indices("#[cfg(test)]\nmod ").find(|(at, _)| {
        text[*at..]
            .lines()
            .nth(1)
            .is_some_and(|l| l.ends_with('{') || l.ends_with('}'))
    });
    let code = test.map_or(text, |(at, _)| &text[..at]);
    let mut found = Vec::new();
    for begin in ["log::error!(", "log::warn!(", "log::log!(", ".complain("] {
        for (at, _) in code.match_indices(begin) {
            let (words, call) = literals(&code[at + begin.len() - 1..]);
            // Programs' own functions of that name write to their terminal, or hand on to the one with a level.
            if begin == ".complain(" && !call.contains("Level::") && !file.starts_with("src/clients/") {
                continue;
            }
            // A name of a counter is one word.
            let template = words.into_iter().find(|w| begin != ".complain(" || w.contains(' '));
            found.push(Line {
                file: file.to_owned(),
                number: code[..at].lines().count(),
                template: template.unwrap_or_default(),
            });
        }
    }
    found
}

fn messages() -> Vec<Line> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("bin"), &mut files);
    files.sort();
    let mut all = Vec::new();
    for path in files {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        all.extend(calls(&name, &std::fs::read_to_string(&path).unwrap()));
    }
    all
}

/// The fixed pieces of a template: `{...}` is what differs.
fn pieces(template: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.peek() == Some(&c) => {
                chars.next();
                found.last_mut().expect("there is one").push(c);
            }
            '{' => {
                for c in chars.by_ref() {
                    if c == '}' {
                        break;
                    }
                }
                found.push(String::new());
            }
            c => found.last_mut().expect("there is one").push(c),
        }
    }
    found
}

fn words(text: &str) -> usize {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| w.len() > 1)
        .count()
}

/// Whether the parts of the heading stand in the pieces of the template, one after the other; two parts with `...` between
/// them, in two pieces.
fn fits(heading: &str, template: &str) -> bool {
    let pieces = pieces(template);
    let (mut piece, mut from) = (0, 0);
    for (i, part) in heading.split("...").map(str::trim).enumerate() {
        if i > 0 {
            (piece, from) = (piece + 1, 0);
        }
        if part.is_empty() {
            continue;
        }
        loop {
            let Some(text) = pieces.get(piece) else { return false };
            if let Some(at) = text[from..].find(part) {
                from += at + part.len();
                break;
            }
            (piece, from) = (piece + 1, 0);
        }
    }
    true
}

fn headings() -> Vec<String> {
    let page = std::fs::read_to_string(root().join("man/hb_troubleshoot.7")).unwrap();
    let items = page
        .lines()
        .filter_map(|l| l.strip_prefix(".It Sy \"")?.strip_suffix('"'));
    items.map(|h| h.replace("\\(dq", "\"").replace("\\e", "\\")).collect()
}

fn is_computed(line: &Line) -> bool {
    COMPUTED
        .iter()
        .any(|(file, says, _)| *file == line.file && *says == line.template)
}

#[test]
fn every_error_and_warning_has_its_entry() {
    let (messages, headings) = (messages(), headings());
    assert!(messages.len() > 200, "only {} are found", messages.len());
    let lacks = |m: &&Line| !is_computed(m) && !headings.iter().any(|h| fits(h, &m.template));
    let missing: Vec<String> = messages
        .iter()
        .filter(lacks)
        .map(|m| format!("  {}:{}: {:?}", m.file, m.number, m.template))
        .collect();
    assert!(
        missing.is_empty(),
        "{} message(s) have no entry in man/hb_troubleshoot.7.\nBelow the symptom they go with, write:\n\
         .It Sy \"WORDS OF THE LINE, ... FOR WHAT DIFFERS\"\nWhat it means.\nWhat to do.\n{}",
        missing.len(),
        missing.join("\n")
    );
}

#[test]
fn every_entry_is_about_a_message() {
    let (messages, headings) = (messages(), headings());
    let named: Vec<&str> = COMPUTED.iter().flat_map(|(_, _, h)| h.iter().copied()).collect();
    let mut bad = Vec::new();
    for heading in &headings {
        let about = messages.iter().filter(|m| fits(heading, &m.template)).count();
        if about == 0 && !named.contains(&heading.as_str()) {
            bad.push(format!("no message is like {heading:?}"));
        }
        // One that fits everything would hide what is missing.
        if about > 8 {
            bad.push(format!("{heading:?} fits {about} messages: more words, please"));
        }
        if words(heading) < 2 && !named.contains(&heading.as_str()) {
            bad.push(format!("{heading:?} has fewer than two words"));
        }
        if headings.iter().filter(|h| *h == heading).count() > 1 {
            bad.push(format!("{heading:?} stands there twice"));
        }
    }
    for (file, says, leads_to) in COMPUTED {
        if !messages.iter().any(|m| m.file == *file && m.template == *says) {
            bad.push(format!("{file} no longer logs {says:?}: strike it from COMPUTED"));
        }
        for heading in leads_to.iter().filter(|h| !headings.iter().any(|x| x == *h)) {
            bad.push(format!("{file}: {says:?}: no entry {heading:?}"));
        }
    }
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

#[test]
fn every_entry_says_something() {
    let page = std::fs::read_to_string(root().join("man/hb_troubleshoot.7")).unwrap();
    let lines: Vec<&str> = page.lines().collect();
    for (i, line) in lines.iter().enumerate().filter(|(_, l)| l.starts_with(".It Sy \"")) {
        let next = lines[i + 1..].iter().find(|l| !l.starts_with(".It "));
        assert!(
            next.is_some_and(|l| *l != ".El" && !l.starts_with(".Ss") && !l.starts_with(".Sh")),
            "{line} has no text"
        );
    }
}

#[test]
fn calls_are_found_and_compared() {
    let code = "log::warn!(\"node {n}: has \\\"{x}\\\" \\\n    of {}\", f(\"x\"));\nc.complain(now, Level::Warn, \"gaps\", || {\n format!(\"{a} lost {b}\")\n});\n\
                self.complain(\"to the terminal\");\nlog::error!(\"{why}\");\n#[cfg(test)]\nmod tests { log::warn!(\"no\"); }";
    let found = calls("src/x.rs", code);
    let templates: Vec<&str> = found.iter().map(|l| l.template.as_str()).collect();
    assert_eq!(templates, ["{why}", "node {n}: has \"{x}\" of {}", "{a} lost {b}"]);
    #[rustfmt::skip]
    let table = [
        // heading             template                      fits
        ("is dead",            "node {}: is dead ({} ms)",   true),
        ("node ...: is dead",  "node {}: is dead ({} ms)",   true),
        ("node ...: is gone",  "node {}: is dead ({} ms)",   false),
        ("dead ... node",      "node {}: is dead ({} ms)",   false),
        ("is ... dead",        "node {}: is dead ({} ms)",   false),
        ("a { b",              "a {{ b",                     true),
        ("node n",             "node {n}",                   false),
        ("link ...: ... does", "link {}:{} does",            true),
        ("Link ... dead.",     "Link {}:{name} dead.",       true),
    ];
    for (heading, template, expected) in table {
        assert_eq!(fits(heading, template), expected, "{heading:?} {template:?}");
    }
}
