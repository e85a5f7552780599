//! A program and its page say the same: every program has a page, every flag that `--help` prints stands in it, and the
//! pages are well formed.

use ha::conf::ha_cf::{self, DIRECTIVES, Effect};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Pages of other packages that ours name.
const FOREIGN: &[&str] = &[
    "curl.1",
    "drbd.conf.5",
    "drbdadm.8",
    "ifconfig.8",
    "ip.8",
    "namespaces.7",
    "vi.1",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The `[[bin]]` sections of Cargo.toml.
fn programs() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let names: Vec<String> = text
        .split("[[bin]]")
        .skip(1)
        .map(|section| {
            let name = section
                .lines()
                .find_map(|l| l.strip_prefix("name = \"")?.strip_suffix('"'));
            name.expect("a [[bin]] has a name").to_owned()
        })
        .collect();
    assert!(!names.is_empty());
    names
}

/// The page of a program: a command (1), or a daemon or helper for the administrator (8).
fn page_of(program: &str) -> Option<PathBuf> {
    let candidates = ["8", "1"].map(|section| root().join(format!("man/{program}.{section}")));
    candidates.into_iter().find(|p| p.exists())
}

fn pages() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("man")).unwrap();
    let mut pages: Vec<PathBuf> = entries
        .map(|e| e.unwrap().path())
        .filter(|p| {
            p.extension()
                .is_some_and(|e| matches!(e.to_str(), Some("1" | "5" | "7" | "8")))
        })
        .collect();
    pages.sort();
    pages
}

/// What a page says; the page that it is another name of, when it is one.
fn text(page: &Path) -> Result<String, PathBuf> {
    let text = std::fs::read_to_string(page).unwrap();
    match text.trim().strip_prefix(".so ") {
        Some(other) => Err(root().join("man").join(other.split_once('/').expect("man8/NAME.8").1)),
        None => Ok(text),
    }
}

/// Dashes as a reader sees them, from mdoc (`.Fl -json`) and man (`\-\-json`).
fn plain(page: &str) -> String {
    let fonts = ["\\fB", "\\fI", "\\fR", "\\fP"];
    let page = fonts.iter().fold(page.to_owned(), |text, font| text.replace(font, " "));
    page.replace("\\-", "-").replace("Fl ", "-")
}

fn flags(help: &str) -> Vec<String> {
    let is_flag = |w: &&str| {
        let name = w.trim_start_matches('-');
        let dashes = w.len() - name.len();
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && (dashes == 2 || (dashes == 1 && name.len() == 1))
    };
    let mut flags: Vec<String> = help
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .filter(is_flag)
        .map(str::to_owned)
        .collect();
    flags.sort();
    flags.dedup();
    flags
}

fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.split(|c: char| !part_of_word(c)).any(|w| w == word)
}

#[test]
fn every_program_has_a_page() {
    let missing: Vec<String> = programs().into_iter().filter(|p| page_of(p).is_none()).collect();
    assert!(missing.is_empty(), "no man/NAME.8 or man/NAME.1 for: {missing:?}");
}

#[test]
fn every_flag_of_help_stands_in_the_page() {
    let built = Path::new(env!("CARGO_BIN_EXE_heartbeat")).parent().unwrap();
    let mut bad = Vec::new();
    for program in programs() {
        let output = Command::new(built.join(&program))
            .arg("--help")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        if !output.status.success() || help.trim().is_empty() {
            bad.push(format!(
                "{program}: --help ends with {} and {} bytes",
                output.status,
                help.len()
            ));
            continue;
        }
        let Some(path) = page_of(&program) else {
            continue; // the business of the test above
        };
        let page = plain(&std::fs::read_to_string(path).unwrap());
        for flag in flags(&help).iter().filter(|f| !has_word(&page, f)) {
            bad.push(format!("{program}: {flag} is in --help but not in the page"));
        }
    }
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

/// Flags that `--help` does not show to newcomers, though the page explains them.
const HIDDEN: &[(&str, &str)] = &[
    ("heartbeat", "-C"), // with -R
    ("heartbeat", "-R"), // what a restart of 3.0.6 called itself with
];

/// The words of the list `Commands:` in a help text.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|l| *l != "Commands:").skip(1);
    let names = lines
        .map_while(|l| l.strip_prefix("  "))
        .filter(|l| !l.starts_with(' '));
    let words = names.filter_map(|l| l.split(' ').next());
    words.filter(|w| *w != "help").map(str::to_owned).collect()
}

/// The flags that a page explains: those that an item of a list begins with, in mdoc and in man.
fn explained(page: &str) -> Vec<String> {
    let heads = page.lines().filter_map(|l| l.strip_prefix(".It Fl "));
    let heads = heads.flat_map(|l| l.split(" , ").map(str::to_owned).collect::<Vec<_>>());
    let names = heads.map(|h| format!("-{}", h.trim_start_matches("Fl ").split(' ').next().unwrap_or("")));
    names.filter(|n| flags(n).len() == 1).collect()
}

#[test]
fn every_flag_and_command_of_the_page_is_one() {
    let built = Path::new(env!("CARGO_BIN_EXE_heartbeat")).parent().unwrap();
    let (mut bad, mut seen) = (Vec::new(), 0);
    for program in programs() {
        let help_of = |words: &[&str]| {
            let mut command = Command::new(built.join(&program));
            let output = command.args(words).arg("--help").stdin(Stdio::null()).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let mut help = help_of(&[]);
        let Some(page) = page_of(&program).and_then(|p| text(&p).ok()) else {
            continue; // the business of a test above
        };
        for command in commands(&help) {
            if !has_word(&plain(&page), &command) {
                bad.push(format!("{program}: command {command} is in --help but not in the page"));
            }
            let of_command = help_of(&[&command]);
            for flag in flags(&of_command).iter().filter(|f| !has_word(&plain(&page), f)) {
                bad.push(format!("{program} {command}: {flag} is in --help but not in the page"));
            }
            help += &of_command;
            seen += 1;
        }
        let short = Command::new(built.join(&program))
            .arg("-h")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if short.status.success() {
            help += " -h ";
        }
        let known = |f: &String| has_word(&help, f) || HIDDEN.contains(&(program.as_str(), f.as_str()));
        for flag in explained(&page).iter().filter(|f| !known(f)) {
            bad.push(format!("{program}: {flag} is in the page but not in --help"));
        }
    }
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
    assert!(seen > 10, "only {seen} commands");
}

#[test]
fn pages_have_their_parts_in_order() {
    let mut bad = Vec::new();
    for page in pages() {
        let Ok(text) = text(&page) else { continue };
        let titles: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix(".Sh ")).collect();
        let at = |title: &str| titles.iter().position(|t| *t == title);
        let program = page.extension().is_some_and(|e| e == "1" || e == "8");
        let mut needed = vec!["NAME", "DESCRIPTION", "SEE ALSO"];
        if program {
            needed = vec!["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"];
        }
        let places: Vec<Option<usize>> = needed.iter().map(|title| at(title)).collect();
        let in_order = places.iter().all(Option::is_some) && places.is_sorted();
        if !in_order {
            bad.push(format!(
                "{}: {titles:?} without {needed:?} in this order",
                page.display()
            ));
        }
    }
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

/// A page that no other one names is not found.
#[test]
fn every_page_is_named_by_another_one() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let texts: Vec<(PathBuf, String)> = pages()
        .into_iter()
        .filter_map(|p| Some((text(&p).ok()?, p)))
        .map(|(t, p)| (p, t))
        .collect();
    for (page, _) in &texts {
        let (name, section) = (
            page.file_stem().unwrap().to_str().unwrap(),
            page.extension().unwrap().to_str().unwrap(),
        );
        let reference = format!(".Xr {name} {section}");
        let refers = |(other, text): &(PathBuf, String)| {
            let mut lines = text.lines().filter_map(|l| l.strip_prefix(&reference));
            other != page && lines.any(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        assert!(texts.iter().any(refers), "no page names {name}({section})");
        assert!(
            readme.contains(&format!("{name}({section})")),
            "README.md does not name {name}({section})"
        );
    }
}

/// Nothing that the page of the times proposes is refused or warned about.
#[test]
fn the_proposed_times_are_good() {
    let page = std::fs::read_to_string(root().join("man/hb_timing.7")).unwrap();
    let names = ["keepalive", "warntime", "deadtime", "initdead"];
    let table = page.split(".Bl -column").nth(1).unwrap();
    let rows = table
        .lines()
        .take_while(|l| *l != ".El")
        .filter(|l| l.starts_with(".It ") && !l.contains(" Ic "));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split(" Ta ").skip(1).collect();
        assert_eq!(cells.len(), names.len(), "{row}");
        let lines: String = names
            .iter()
            .zip(&cells)
            .map(|(name, time)| format!("{name} {time}\n"))
            .collect();
        let text = format!("logfile /var/log/ha-log\n{lines}bcast eth0\nauto_failback on\nnode a b\n");
        let parsed = ha_cf::parse(Path::new("ha.cf"), &text, &"a".parse().unwrap());
        assert!(parsed.complaints.is_empty(), "{row}: {:?}", parsed.complaints);
        let cf = parsed.value.expect("it is good");
        assert!(cf.deadtime >= 4 * cf.keepalive, "{row}: the page's own rule");
        count += 1;
    }
    assert!(count > 2, "{count} rows");
}

#[test]
fn pages_of_programs_tell_their_exit_status() {
    let of_programs = |p: &PathBuf| p.extension().is_some_and(|e| e == "1" || e == "8");
    for page in pages().into_iter().filter(of_programs) {
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(
            text.contains("EXIT STATUS") || text.starts_with(".so "),
            "{}: no section EXIT STATUS",
            page.display()
        );
    }
}

#[test]
fn pages_are_well_formed() {
    if Command::new("mandoc").arg("-V").stdin(Stdio::null()).output().is_err() {
        println!("SKIPPED: pages_are_well_formed: mandoc is not installed");
        return;
    }
    let mut bad = String::new();
    for page in pages().iter().filter(|p| text(p).is_ok()) {
        let output = Command::new("mandoc")
            .args(["-T", "lint", "-W", "warning"])
            .arg(page)
            .output()
            .unwrap();
        bad.push_str(&String::from_utf8_lossy(&output.stdout));
        bad.push_str(&String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() || !bad.is_empty(), "{}", page.display());
    }
    assert!(bad.is_empty(), "\n{bad}");
}

#[test]
fn other_names_lead_to_a_page() {
    for name in pages() {
        if let Err(page) = text(&name) {
            assert!(page.exists(), "{}: there is no {}", name.display(), page.display());
        }
    }
    let links = std::fs::read_to_string(root().join("init/install.sh")).unwrap();
    for name in ["IPaddr", "IPaddr2", "IPv6addr"] {
        assert!(
            links.contains(name) && root().join(format!("man/{name}.8")).exists(),
            "{name}"
        );
    }
}

#[test]
fn pages_name_pages_that_exist() {
    let mut bad = Vec::new();
    for page in pages() {
        let Ok(text) = text(&page) else { continue };
        let own = page.file_name().unwrap().to_str().unwrap().to_owned();
        let named: Vec<String> = text
            .lines()
            .filter_map(|l| l.strip_prefix(".Xr "))
            .map(|l| l.split(' ').take(2).collect::<Vec<_>>().join("."))
            .collect();
        for other in &named {
            if !root().join("man").join(other).exists() && !FOREIGN.contains(&other.as_str()) {
                bad.push(format!("{own}: there is no page {other}"));
            }
        }
        let see_also = text.split(".Sh SEE ALSO\n").nth(1).unwrap_or("");
        if own != "heartbeat.8" && !see_also.contains(".Xr heartbeat 8") {
            bad.push(format!("{own}: SEE ALSO does not name heartbeat(8)"));
        }
    }
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

/// The directives of ha.cf(5) and what stands below each; several in a row share their text.
fn directives(page: &str) -> Vec<(String, String)> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    let mut below = String::new();
    for line in page.lines() {
        let head = line.strip_prefix(".It Ic ");
        if (head.is_some() || line.starts_with(".Ss") || line.starts_with(".Sh")) && !below.is_empty() {
            found.extend(open.drain(..).map(|name| (name, below.clone())));
            below.clear();
        }
        match head {
            Some(head) => open.push(head.split(' ').next().unwrap_or("").to_owned()),
            None if open.is_empty() => {}
            None => below += &format!("{line}\n"),
        }
    }
    found
}

#[test]
fn the_page_of_ha_cf_says_which_directives_have_no_effect() {
    let page = std::fs::read_to_string(root().join("man/ha.cf.5")).unwrap();
    let told = directives(&page);
    // These work for one of their values.
    let partly = ["use_logd", "use_apphbd"];
    for d in DIRECTIVES {
        let Some((_, below)) = told.iter().find(|(name, _)| name == d.name) else {
            panic!("ha.cf(5) lacks {}", d.name);
        };
        let says = below.contains("ithout effect");
        let nothing = d.effect != Effect::Works;
        assert!(
            says == nothing || partly.contains(&d.name),
            "ha.cf(5): {}: {below}",
            d.name
        );
    }
}

#[test]
fn flags_are_found_in_help_and_page() {
    let help = "Usage: x [OPTIONS]\n  -f, --fore-ground  stay -- in the foreground (auto-failback)\n  -C <STATE>\n";
    assert_eq!(flags(help), ["--fore-ground", "-C", "-f"]);
    let page = plain(".It Fl f , Fl -fore-ground\n.It \\fB\\-C\\fR \\fISTATE\\fR");
    for flag in flags(help) {
        assert!(has_word(&page, &flag), "{flag}");
    }
    assert!(!has_word(&page, "--fore"));
}
