//! Reads the source and holds the rooms to what src/lib.rs says of them: a pure room touches neither the machine nor an
//! impure room, and only `sys` speaks to the kernel. Tests inside the rooms are free to do both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What makes a room impure, or its traces differ from run to run.
const IMPURE: &[&str] = &[
    "nix",
    "libc",
    "std::fs",
    "std::process",
    "std::env",
    "std::thread",
    "std::os",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::collections::HashMap",
    "std::collections::HashSet",
];
/// The same under other names; `unsafe` is a word, not a path.
const IMPURE_WORDS: &[&str] = &[
    "unsafe",
    "SystemTime",
    "HashMap",
    "HashSet",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "UnixDatagram",
];
/// What only `sys` may have.
const KERNEL: &[&str] = &["nix", "libc"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The room table of src/lib.rs: name and whether it is pure.
fn rooms() -> BTreeMap<String, bool> {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    text.lines()
        .filter_map(|l| l.strip_prefix("//! | [`"))
        .map(|l| {
            let (name, rest) = l.split_once("`] | ").expect("a row is: room, pure, is for");
            (name.to_owned(), rest.starts_with("yes"))
        })
        .collect()
}

/// Replaces comments and the contents of strings and characters by blanks; lines stay where they are.
fn code_only(text: &str) -> String {
    let c: Vec<char> = text.chars().collect();
    let at = |i: usize| c.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < c.len() {
        let word_before = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_');
        let end = match at(i) {
            '/' if at(i + 1) == '/' => (i..c.len()).find(|&j| at(j) == '\n').unwrap_or(c.len()),
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                let mut j = i;
                loop {
                    match (at(j), at(j + 1)) {
                        ('/', '*') => (depth, j) = (depth + 1, j + 2),
                        ('*', '/') => (depth, j) = (depth - 1, j + 2),
                        _ => j += 1,
                    }
                    if depth == 0 || j >= c.len() {
                        break j;
                    }
                }
            }
            'r' if !word_before && (at(i + 1) == '"' || at(i + 1) == '#') => {
                let hashes = (i + 1..c.len()).take_while(|&j| at(j) == '#').count();
                if at(i + 1 + hashes) == '"' {
                    let ends = |j: &usize| at(*j) == '"' && (1..=hashes).all(|k| at(j + k) == '#');
                    (i + 2 + hashes..c.len()).find(ends).map_or(c.len(), |j| j + 1 + hashes)
                } else {
                    i
                }
            }
            '"' => {
                let mut j = i + 1;
                while j < c.len() && at(j) != '"' {
                    j += if at(j) == '\\' { 2 } else { 1 };
                }
                j + 1
            }
            // A character, not a lifetime: 'x' or '\…'
            '\'' if at(i + 1) == '\\' => (i + 3..c.len()).find(|&j| at(j) == '\'').map_or(c.len(), |j| j + 1),
            '\'' if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        if end == i {
            out.push(at(i));
            i += 1;
        } else {
            out.extend((i..end.min(c.len())).map(|j| if at(j) == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    out
}

/// Without the test modules, which stand at the end of a file.
fn without_tests(code: &str) -> &str {
    code.split("#[cfg(test)]\nmod ").next().unwrap_or("")
}

/// Every path that the code names, those of nested `use` trees written out.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let word_before = rest[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_');
        let Some(end) = rest[at..].find(';') else { break };
        if !word_before {
            let tree: String = rest[at + 4..at + end].chars().filter(|c| *c != '\n').collect();
            expand("", &tree, &mut found);
        }
        rest = &rest[at + 4..];
    }
    let mut path = String::new();
    for c in code.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' || c == ':' {
            path.push(c);
        } else if !path.is_empty() {
            found.push(std::mem::take(&mut path));
        }
    }
    found
}

fn expand(prefix: &str, tree: &str, out: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, inside)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or("").trim();
        out.push(format!("{prefix}{name}"));
        return;
    };
    let prefix = format!("{prefix}{}", head.trim());
    let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
    let (mut depth, mut start) = (0, 0);
    for (i, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inside[start..i], out);
                start = i + 1;
            }
            _ => {}
        }
    }
    if !inside[start..].trim().is_empty() {
        expand(&prefix, &inside[start..], out);
    }
}

fn begins(path: &str, with: &str) -> bool {
    let path = path.strip_prefix("::").unwrap_or(path);
    path.strip_prefix(with)
        .is_some_and(|rest| rest.starts_with("::") || (rest.is_empty() && with.contains("::")))
}

/// What is wrong with `code` if it stands in a room of this kind.
fn faults(code: &str, pure: bool, impure_rooms: &[String]) -> Vec<String> {
    let paths = paths(code);
    let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let mut bad: Vec<String> = Vec::new();
    for path in &paths {
        let list = if pure { IMPURE } else { KERNEL };
        if list.iter().any(|p| begins(path, p)) {
            bad.push(path.clone());
        }
        let of_room = |room: &String| begins(path, &format!("crate::{room}")) || begins(path, &format!("ha::{room}"));
        if pure && impure_rooms.iter().any(of_room) {
            bad.push(path.clone());
        }
    }
    let forbidden: &[&str] = if pure { IMPURE_WORDS } else { &["unsafe"] };
    bad.extend(forbidden.iter().filter(|w| words.contains(w)).map(|w| (*w).to_owned()));
    bad.sort();
    bad.dedup();
    bad
}

#[test]
fn rooms_keep_to_their_layer() {
    let rooms = rooms();
    assert!(
        rooms.len() > 10,
        "the table of src/lib.rs was not understood: {rooms:?}"
    );
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared = lib
        .lines()
        .filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';'));
    let impure: Vec<String> = declared
        .filter(|r| rooms.get(*r) != Some(&true))
        .map(str::to_owned)
        .collect();
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    rust_files(&root().join("bin"), &mut files);
    let mut bad = Vec::new();
    for file in files {
        let inside = file.strip_prefix(root()).unwrap();
        let room = inside.iter().nth(1).unwrap().to_str().unwrap().trim_end_matches(".rs");
        // Declared as a test module by its neighbour.
        if file.file_stem().is_some_and(|s| s == "tests") || inside.iter().any(|p| p == "tests") {
            continue;
        }
        if inside.starts_with("src/sys") {
            continue;
        }
        let pure = inside.starts_with("src") && rooms.get(room) == Some(&true);
        let text = std::fs::read_to_string(&file).unwrap();
        for fault in faults(without_tests(&code_only(&text)), pure, &impure) {
            let kind = if pure { "pure room" } else { "not sys" };
            bad.push(format!("{}: {kind}, but has {fault}", inside.display()));
        }
    }
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

#[test]
fn every_room_is_in_the_table() {
    let rooms = rooms();
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for room in lib
        .lines()
        .filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';'))
    {
        // Names of files, asked of the environment: too small for a row.
        assert!(
            room == "paths" || rooms.contains_key(room),
            "src/lib.rs: no row for {room}"
        );
    }
}

#[test]
fn this_test_sees_what_it_should() {
    let impure = ["sys".to_owned(), "paths".to_owned()];
    #[rustfmt::skip]
    let table: &[(&str, bool, &[&str])] = &[
        ("use crate::sys::now;",                           true,  &["crate::sys::now"]),
        ("use crate::{ids::Seq, sys::{now, wall}};",       true,  &["crate::sys::now", "crate::sys::wall"]),
        ("use crate::{\n    sys,\n    time,\n};",          true,  &["crate::sys"]),
        ("use crate::systems::x;",                         true,  &[]),
        ("let t = std::time::Instant::now();",             true,  &["std::time::Instant::now"]),
        ("use std::time::{Duration, Instant};",            true,  &["std::time::Instant"]),
        ("use std::time::Duration;",                       true,  &[]),
        ("use std::net::Ipv4Addr;",                        true,  &[]),
        ("fn f(m: HashMap<u8, u8>) {}",                    true,  &["HashMap"]),
        ("unsafe { x() }",                                 true,  &["unsafe"]),
        ("unsafe { x() }",                                 false, &["unsafe"]),
        ("// unsafe\nlet s = \"std::fs::read\";",          true,  &[]),
        ("let s = r#\"unsafe \" nix::x\"#; /* libc::x */", true,  &[]),
        ("let c = '\"'; nix::unistd::dup();",              false, &["nix::unistd::dup"]),
        ("fn f<'a>(x: &'a str) { libc::read() }",          false, &["libc::read"]),
        ("std::fs::read(p)",                               false, &[]),
        ("#![allow(x)]\nlet unsafety = 1;",                true,  &[]),
        ("fn x() {}\n#[cfg(test)]\nmod tests { use std::fs; }", true, &[]),
    ];
    for (code, pure, expected) in table {
        let found = faults(without_tests(&code_only(code)), *pure, &impure);
        assert_eq!(found, *expected, "{code}");
    }
}
