//! crm_mon: the state of the cluster, once or as it changes.

use super::client::{Access, AccessError};
use super::protocol::code;
use super::tool::{self, Failure, Outcome, date, flag, one, value, verbose};
use crate::sys::terminal::{Asked, Terminal};
use crate::text::status::{self, Options};
use crate::text::status_xml;
use crate::time::{Duration, Instant};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// It is drawn again at least so often: what runs out with time shows without a change.
const EVERY: Duration = Duration::from_secs(5);
/// However much happens: what changes faster cannot be read, and costs crmd a copy of the CIB each.
const AT_MOST: Duration = Duration::from_millis(200);
/// A cluster that is away is asked again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// In the environment of the process that goes on for one with `-d`.
const IN_BACKGROUND: &str = "HA_CRM_MON_IN_BACKGROUND";

/// What the articles show for it.
pub const NO_CONNECTION: &str = "Connection to cluster failed: connection failed";

fn command() -> Command {
    Command::new("crm_mon")
        .about("Shows the state of the cluster")
        .arg(flag("one-shot", '1', "once, then end"))
        .arg(flag("inactive", 'r', "resources that run nowhere, too"))
        .arg(flag("group-by-node", 'n', "resources below their node"))
        .arg(flag("failcounts", 'f', "how often resources have failed"))
        .arg(flag("operations", 'o', "what was done"))
        .arg(flag("timing-details", 't', "when it was done, and how long it took"))
        .arg(flag("show-node-attributes", 'A', "attributes of nodes"))
        .arg(flag("tickets", 'c', "tickets"))
        .arg(flag("neg-locations", 'L', "constraints that keep resources from nodes"))
        .arg(flag("brief", 'b', "how many of a kind, instead of each"))
        .arg(flag("show-detail", 'R', "each instance of a clone"))
        .arg(flag("hide-headers", 'D', "without the header"))
        .arg(flag("simple-status", 's', "one line, for a monitoring system"))
        .arg(flag("as-xml", 'X', "for programs, once"))
        .arg(
            value("as-html", 'h', "FILE", "into FILE, for a browser")
                .visible_short_alias('w')
                .visible_alias("html"),
        )
        .arg(flag(
            "web-cgi",
            'W',
            "for a browser, once, with a header for a web server",
        ))
        .arg(value("interval", 'i', "SECONDS", "draw it again at least so often"))
        .arg(flag("daemonize", 'd', "with -h: go on in the background"))
        .arg(value(
            "pid-file",
            'p',
            "FILE",
            "with -d: where its process number is written",
        ))
        .arg(flag(
            "disable-ncurses",
            'N',
            "write it again and again instead of drawing on the terminal",
        ))
        .arg(value(
            "xml-file",
            'x',
            "FILE",
            "the state in FILE instead of the cluster's",
        ))
        .arg(
            Arg::new("help")
                .long("help")
                .short('?')
                .action(ArgAction::Help)
                .help("print the options"),
        )
        .disable_help_flag(true)
        .arg(verbose())
}

fn options(m: &ArgMatches) -> Options {
    let is = |name: &str| m.get_flag(name);
    Options {
        inactive: is("inactive"),
        by_node: is("group-by-node"),
        fail_counts: is("failcounts"),
        operations: is("operations") || is("timing-details"),
        timing: is("timing-details"),
        attributes: is("show-node-attributes"),
        tickets: is("tickets"),
        bans: is("neg-locations"),
        brief: is("brief"),
        detail: is("show-detail"),
        no_header: is("hide-headers"),
        no_nodes: false,
    }
}

/// What `crm status` prints, with these words behind it, and the number for it: most of them choose what is shown,
/// three in which form.
pub fn in_words(access: &mut Access, words: &[&str]) -> Result<(String, u8), Failure> {
    let options = Options::of_words(words.iter().copied());
    if words.contains(&"simple") {
        return one_line(access);
    }
    let text = if words.contains(&"xml") {
        as_xml(access, options)?
    } else if words.contains(&"html") {
        html(&once(access, options)?, EVERY)
    } else {
        once(access, options)?
    };
    Ok((text, code::OK))
}

fn one_line(access: &mut Access) -> Result<(String, u8), Failure> {
    let cib = access.cib().map_err(no_connection)?;
    Ok(status::one_line(&cib, crate::sys::wall()))
}

fn as_xml(access: &mut Access, options: Options) -> Result<String, Failure> {
    let cib = access.cib().map_err(no_connection)?;
    let tree = status_xml::status(&cib, options, crate::sys::wall(), &date);
    Ok(format!("<?xml version=\"1.0\"?>\n{}", tree.to_indented()))
}

/// What `crm_mon -1` prints.
fn once(access: &mut Access, options: Options) -> Result<String, Failure> {
    let cib = access.cib().map_err(no_connection)?;
    Ok(status::status(&cib, options, crate::sys::wall(), &date))
}

/// The sentence that everybody looks for, then why.
fn no_connection(e: AccessError) -> Failure {
    match e {
        AccessError::NotConnected(_) => Failure::new(e.code(), format!("{NO_CONNECTION}\n{e}")),
        other => other.into(),
    }
}

fn html(text: &str, every: Duration) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<html>\n<head>\n<title>Cluster status</title>\n<meta http-equiv=\"refresh\" content=\"{}\">\n</head>\n\
         <body>\n<pre>\n{escaped}</pre>\n</body>\n</html>\n",
        every.as_secs().max(1)
    )
}

pub fn run(args: &[String], access: Access) -> Outcome {
    let mut outcome = tool::run(command(), args, |m, out| show(m, access, out));
    // As the classic printed it: without the name of the program.
    if let Some(sentence) = outcome
        .err
        .strip_prefix("crm_mon: ")
        .filter(|e| e.starts_with(NO_CONNECTION))
    {
        outcome.err = sentence.to_owned();
    }
    outcome
}

fn show(m: &ArgMatches, mut access: Access, out: &mut String) -> Result<u8, Failure> {
    if let Some(file) = one(m, "xml-file") {
        access = Access::file("crm_mon", file);
    }
    let every = match one(m, "interval") {
        None => EVERY,
        Some(word) => {
            let time = crate::cib::words::interval(word).filter(|d| *d >= AT_MOST);
            time.ok_or_else(|| Failure::usage(format!("-i {word}: is no time of at least 200 ms: 5, 10s, 500ms")))?
        }
    };
    let options = options(m);
    if m.get_flag("simple-status") {
        let (line, code) = one_line(&mut access)?;
        *out += &line;
        return Ok(code);
    }
    if m.get_flag("as-xml") {
        *out += &as_xml(&mut access, options)?;
        return Ok(code::OK);
    }
    if m.get_flag("web-cgi") {
        *out += "Content-type: text/html\n\n";
        *out += &html(&once(&mut access, options)?, every);
        return Ok(code::OK);
    }
    let file = one(m, "as-html").map(Path::new);
    if m.get_flag("one-shot") {
        let text = once(&mut access, options)?;
        match file {
            None => *out += &text,
            Some(file) => write_file(file, &html(&text, every))?,
        }
        return Ok(code::OK);
    }
    if m.get_flag("daemonize") && std::env::var_os(IN_BACKGROUND).is_none() {
        return daemonize(m);
    }
    if let Some(file) = one(m, "pid-file") {
        write_file(Path::new(file), &format!("{}\n", std::process::id()))?;
    }
    let drawn = file.is_none() && io::stdout().is_terminal() && !m.get_flag("disable-ncurses");
    let terminal = match drawn {
        true => Some(Terminal::enter().map_err(|e| Failure::new(code::IO, format!("the terminal: {e}")))?),
        false => None,
    };
    Live {
        access,
        options,
        every,
        file,
        terminal,
        watched: false,
        shown: Vec::new(),
    }
    .run()
}

/// The same program again, apart from the terminal.
fn daemonize(m: &ArgMatches) -> Result<u8, Failure> {
    if one(m, "as-html").is_none() {
        return Err(Failure::usage("-d goes with -h FILE: it has nobody to show anything"));
    }
    let failed = |e: io::Error| Failure::new(code::ERROR, format!("cannot be started in the background: {e}"));
    crate::sys::process::in_background(std::env::args_os().skip(1), IN_BACKGROUND).map_err(failed)?;
    Ok(code::OK)
}

/// In place as a whole: a browser never sees half of it.
fn write_file(file: &Path, text: &str) -> Result<(), Failure> {
    let unwritable = |e| Failure::new(code::IO, format!("{}: {e}", file.display()));
    crate::sys::files::put(file, text.as_bytes(), 0o644, true).map_err(unwritable)
}

struct Live<'a> {
    access: Access,
    options: Options,
    every: Duration,
    file: Option<&'a Path>,
    terminal: Option<Terminal>,
    /// crmd says when something changes.
    watched: bool,
    /// The lines that stand on the terminal.
    shown: Vec<String>,
}

impl Live<'_> {
    fn run(mut self) -> Result<u8, Failure> {
        loop {
            let (text, wait) = self.look();
            if !self.draw(&text)? {
                return Ok(code::OK);
            }
            let drawn = crate::sys::now();
            if !self.wait(drawn + wait)? || !self.pause(drawn + AT_MOST)? {
                return Ok(code::OK);
            }
        }
    }

    /// The state, and when it is to be looked at again if nothing is heard.
    fn look(&mut self) -> (String, Duration) {
        if !self.watched {
            self.watched = self.access.watch().is_ok();
        }
        match once(&mut self.access, self.options) {
            Ok(text) => (text, self.every),
            Err(e) => {
                self.watched = false;
                (format!("{}\n", e.text), AGAIN)
            }
        }
    }

    /// Waits for a change or the time; `false` when it is to end.
    fn wait(&mut self, until: Instant) -> Result<bool, Failure> {
        let mut changed = false;
        while !changed && crate::sys::now() < until {
            let signals = self.terminal.as_ref().map(Terminal::signals);
            match self.access.wait_change(signals, until) {
                Ok(heard) => changed = heard,
                // It has gone: that is to be shown.
                Err(_) => {
                    self.access.disconnect();
                    self.watched = false;
                    changed = true;
                }
            }
            match self.signal()? {
                Some(true) => changed = true,
                Some(false) => return Ok(false),
                None => {}
            }
        }
        Ok(true)
    }

    /// Signals are heard in the short rest between two drawings, too.
    fn pause(&mut self, until: Instant) -> Result<bool, Failure> {
        while crate::sys::now() < until {
            let signals = self.terminal.as_ref().map(Terminal::signals);
            let wants: Vec<_> = signals.into_iter().map(crate::sys::poll::Want::read).collect();
            let failed = |e| Failure::new(code::IO, format!("waiting: {e}"));
            crate::sys::poll::wait(&wants, until).map_err(failed)?;
            if self.signal()? == Some(false) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `Some(true)`: draw everything again; `Some(false)`: end.
    fn signal(&mut self) -> Result<Option<bool>, Failure> {
        let Some(terminal) = &mut self.terminal else {
            return Ok(None);
        };
        let Some(asked) = terminal.asked() else {
            return Ok(None);
        };
        match asked {
            Asked::End => return Ok(Some(false)),
            Asked::Resized => {}
            Asked::Suspend => {
                let failed = |e| Failure::new(code::IO, format!("the terminal: {e}"));
                terminal.suspend().map_err(failed)?;
            }
        }
        self.shown.clear();
        Ok(Some(true))
    }

    /// `false`: nobody reads it any more.
    fn draw(&mut self, text: &str) -> Result<bool, Failure> {
        if let Some(file) = self.file {
            write_file(file, &html(text, self.every))?;
            return Ok(true);
        }
        let Some(terminal) = &self.terminal else {
            let mut out = io::stdout().lock();
            return Ok(writeln!(out, "{text}").and_then(|()| out.flush()).is_ok());
        };
        let (columns, rows) = terminal.size();
        let fit = |line: &str| line.replace('\t', " ").chars().take(columns).collect::<String>();
        let mut lines: Vec<String> = text.lines().map(fit).collect();
        if lines.len() > rows {
            let more = lines.len() - rows + 1;
            lines.truncate(rows.saturating_sub(1));
            lines.push(fit(&format!("({more} more lines: crm_mon -1 shows all)")));
        }
        let screen = changed_lines(&self.shown, &lines);
        self.shown = lines;
        Ok(terminal.write(&screen).is_ok())
    }
}

/// What turns the screen with the old lines into one with the new lines: only lines that differ are written, so that
/// nothing flickers.
fn changed_lines(old: &[String], new: &[String]) -> String {
    let mut out = String::new();
    if old.is_empty() {
        out += "\x1b[2J";
    }
    for (row, line) in new.iter().enumerate() {
        if old.get(row) != Some(line) {
            out += &format!("\x1b[{};1H{line}\x1b[K", row + 1);
        }
    }
    if new.len() < old.len() {
        out += &format!("\x1b[{};1H\x1b[J", new.len() + 1);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_differ_are_written() {
        let lines = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let table = [
            ("", "a b", "\x1b[2J\x1b[1;1Ha\x1b[K\x1b[2;1Hb\x1b[K"),
            ("a b", "a b", ""),
            ("a b", "a c", "\x1b[2;1Hc\x1b[K"),
            ("a b c", "a", "\x1b[2;1H\x1b[J"),
            ("a", "a b", "\x1b[2;1Hb\x1b[K"),
        ];
        for (old, new, written) in table {
            assert_eq!(changed_lines(&lines(old), &lines(new)), written, "{old} -> {new}");
        }
    }

    #[test]
    fn a_page_for_a_browser_shows_what_is_written() {
        let page = html("a <b> & c\n", Duration::from_secs(5));
        assert!(
            page.contains("content=\"5\"") && page.contains("a &lt;b&gt; &amp; c"),
            "{page}"
        );
    }
}
