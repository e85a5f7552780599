//! README.md promises nothing that is not there: commands, files, pages, directives, and files that are good.

use ha::conf::ha_cf::{self, DIRECTIVES, Effect};
use ha::conf::haresources;
use ha::ids::NodeName;
use ha::paths;
use std::collections::BTreeSet;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The text between `title` and the next title.
fn section<'a>(readme: &'a str, title: &str) -> &'a str {
    let start = readme
        .find(&format!("\n## {title}\n"))
        .unwrap_or_else(|| panic!("no section {title}"));
    let rest = &readme[start + 1..];
    &rest[..rest[1..].find("\n## ").map_or(rest.len(), |i| i + 1)]
}

/// A block fenced with three backquotes and a word, its indentation removed.
fn block(readme: &str, word: &str) -> String {
    let mut lines = readme.lines().skip_while(|l| l.trim() != format!("```{word}"));
    lines.next().unwrap_or_else(|| panic!("no block {word}"));
    lines
        .take_while(|l| l.trim() != "```")
        .map(|l| format!("{}\n", l.trim()))
        .collect()
}

/// Everything in single backquotes outside the blocks.
fn quoted(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// The first column of a table, without its quotes.
fn first_column(table: &str) -> BTreeSet<String> {
    let rows = table.lines().filter_map(|l| l.strip_prefix("| `"));
    rows.filter_map(|l| Some(l.split_once('`')?.0.to_owned())).collect()
}

fn programs() -> BTreeSet<String> {
    let cargo = read("Cargo.toml");
    let names = cargo.split("[[bin]]").skip(1);
    names
        .map(|s| s.split('"').nth(1).expect("a [[bin]] has a name").to_owned())
        .collect()
}

#[test]
fn the_two_commands_to_begin_with_stand_there_and_work_here() {
    let readme = read("README.md");
    let start = section(&readme, "Try it");
    for command in ["cargo build --release && target/release/hb_lab demo", "tests/run"] {
        assert!(start.lines().any(|l| l == format!("    {command}")), "{command}");
    }
    assert!(root().join("tests/run").exists());
    assert!(programs().contains("hb_lab"));
}

#[test]
fn every_program_is_in_the_table_and_no_other() {
    let readme = read("README.md");
    assert_eq!(first_column(section(&readme, "Commands")), programs());
}

#[test]
fn files_are_where_the_table_says() {
    let readme = read("README.md");
    let table = first_column(section(&readme, "Files"));
    let real = [
        paths::ha_cf(),
        paths::haresources(),
        paths::authkeys(),
        paths::monitors(),
        paths::resource_d(),
        paths::config().join("nodeinfo"),
        paths::state(),
        paths::crm(),
        paths::pengine(),
        paths::status(),
        paths::pid_file(),
        paths::held(),
        paths::respawned(),
        paths::scripts(),
    ];
    let real: BTreeSet<String> = real.iter().map(|p| p.display().to_string()).collect();
    assert_eq!(table, real);
}

#[test]
fn paths_of_this_tree_exist() {
    let readme = read("README.md");
    let ours = ["src/", "init/", "ha.d/", "tests/", "man/", "bin/"];
    let is_path =
        |word: &&str| ours.iter().any(|o| word.starts_with(o)) || word.ends_with(".md") || word.starts_with("LICENSE");
    let named: Vec<&str> = quoted(&readme)
        .into_iter()
        .filter_map(|q| q.split(' ').next())
        .filter(is_path)
        .collect();
    assert!(named.len() > 4, "{named:?}");
    for path in named
        .into_iter()
        .chain(["init/install.sh", "init/heartbeat", "init/heartbeat.service"])
    {
        assert!(root().join(path).exists(), "README.md names {path}");
    }
}

#[test]
fn pages_that_are_named_exist() {
    let readme = read("README.md");
    let mut count = 0;
    for (at, _) in readme.match_indices('(') {
        let mut rest = readme[at + 1..].chars();
        let (Some(number @ ('1' | '5' | '7' | '8')), Some(')')) = (rest.next(), rest.next()) else {
            continue;
        };
        let name = readme[..at]
            .rsplit(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c))
            .next();
        let page = format!("man/{}.{number}", name.unwrap_or(""));
        assert!(root().join(&page).exists(), "README.md names {page}");
        count += 1;
    }
    assert!(count > 20, "{count}");
}

#[test]
fn directives_without_effect_are_those_of_the_reader() {
    let listed = block(&read("README.md"), "without-effect");
    let listed: BTreeSet<&str> = listed.split_ascii_whitespace().collect();
    let real = DIRECTIVES.iter().filter(|d| d.effect != Effect::Works);
    assert_eq!(listed, real.map(|d| d.name).collect());
}

#[test]
fn the_files_of_the_guide_are_good() {
    let readme = read("README.md");
    let me: NodeName = "node1".parse().unwrap();
    let parsed = ha_cf::parse(Path::new("ha.cf"), &block(&readme, "ha.cf"), &me);
    assert!(parsed.complaints.is_empty(), "{:?}", parsed.complaints);
    let nodes: Vec<NodeName> = parsed.value.expect("it is good").normal_nodes().cloned().collect();
    let parsed = haresources::parse(Path::new("haresources"), &block(&readme, "haresources"), &nodes);
    assert!(parsed.complaints.is_empty(), "{:?}", parsed.complaints);
}

#[test]
fn the_version_that_is_built_is_in_the_changelog() {
    let version = format!("\n## {}", env!("CARGO_PKG_VERSION"));
    assert!(read("CHANGELOG.md").contains(&version));
}
