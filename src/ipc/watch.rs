//! `cl_status watch`: the status on the whole terminal, drawn again whenever something happens.
//!
//! The daemon's events wake it, a clock tick brings the figures up to date. Only lines that changed are written. A
//! daemon that hangs or ends is said in the first line, above the last known state, and asked again until it answers.

use super::client::{Client, ClientError};
use super::last_state::LastState;
use crate::clients::json::Json;
use crate::clients::request::{self, field};
use crate::clients::screen::{Face, frame, span};
use crate::clients::table::{Line, Style};
use crate::msg::{Message, fields};
use crate::sys::clock::local_time;
use crate::sys::poll::{Want, wait};
use crate::sys::terminal::{Asked, Terminal};
use crate::time::{Duration, Instant};
use crate::{paths, sys};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// While the daemon is asked nothing is drawn and no key is seen: short.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// A daemon that hangs is not asked more often: its FIFOs hold what it did not read.
const AGAIN: Duration = Duration::from_secs(2);
/// However much happens: what changes faster cannot be read.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// The clock of the screen goes on although nothing happens.
const CLOCK: Duration = Duration::from_secs(1);
const FORM_FEED: u8 = 12;

/// What is known of the daemon, and how it is asked.
struct Source<'a> {
    state: &'a Path,
    client: Option<Client>,
    status: Option<Json>,
    /// The last answer.
    heard: Instant,
    trouble: Option<String>,
    ask_at: Instant,
    every: Duration,
}

impl<'a> Source<'a> {
    fn new(state: &'a Path, every: Duration) -> Self {
        Self {
            state,
            client: None,
            status: None,
            heard: sys::now(),
            trouble: None,
            ask_at: Instant::default(),
            every,
        }
    }

    fn ask(&mut self) {
        match self.answer() {
            Ok(status) => {
                self.status = Some(status);
                self.heard = sys::now();
                self.trouble = None;
                self.ask_at = self.heard + self.every;
            }
            Err(e) => {
                // A conversation goes on after an answer that did not come; after everything else it begins anew.
                if !matches!(e, ClientError::NoAnswer(_)) {
                    self.client = None;
                }
                self.trouble = Some(match e {
                    ClientError::NoAnswer(_) | ClientError::Busy => "NO ANSWER from heartbeat".to_owned(),
                    ClientError::NotRunning | ClientError::Closed => "heartbeat is NOT RUNNING on this node".to_owned(),
                    other => other.to_string(),
                });
                self.ask_at = sys::now() + AGAIN;
                self.look_into_file();
            }
        }
    }

    fn answer(&mut self) -> Result<Json, ClientError> {
        let client = match &mut self.client {
            Some(client) => client,
            None => {
                let id = std::process::id().to_string();
                let mut client = Client::connect_as(self.state, &id, ANSWER_WITHIN)?;
                // Without events the clock alone wakes us, which is slower and no worse.
                let filter = request::of(request::SETFILTER).with(field::FMASK, "1");
                if let Err(e @ (ClientError::NoAnswer(_) | ClientError::Closed)) = client.ask_one(&filter) {
                    return Err(e);
                }
                self.client.insert(client)
            }
        };
        let answer = client.ask_one(&request::of(request::GETSTATUS))?;
        let text = answer.get(field::JSON).unwrap_or("");
        Json::parse(text).map_err(|e| ClientError::Os("the status".into(), io::Error::other(e.to_string())))
    }

    /// The file may know more than we do: what happened before we came, or since the daemon hangs for us only.
    fn look_into_file(&mut self) {
        let known = self.status.as_ref().map_or(0, |s| s.get("time").number());
        if let Some(last) = LastState::read(&paths::status())
            && last.time() > known
        {
            self.status = Some(last.json);
        }
    }

    /// Takes the events that wait; one that is news brings the next question forward.
    fn take_events(&mut self) {
        let Some(client) = &mut self.client else { return };
        let mut news = false;
        loop {
            match client.event() {
                Ok(Some(event)) => news |= is_news(&event, self.status.as_ref()),
                Ok(None) => break,
                Err(_) => {
                    self.client = None;
                    news = true;
                    break;
                }
            }
        }
        if news {
            self.ask_at = self.ask_at.min(self.heard + DRAW_EVERY);
        }
    }

    fn notice(&self) -> Option<String> {
        let trouble = self.trouble.as_ref()?;
        let known = match &self.status {
            Some(status) => format!(", last known state of {}", local_time(status.get("time").number())),
            None => ", no state is known".to_owned(),
        };
        let silent = (sys::now() - self.heard).as_millis() as u64;
        Some(format!("{trouble} for {}{known}", span(silent)))
    }

    fn lines(&self, size: (usize, usize)) -> Vec<Line> {
        let (width, height) = size;
        let face = Face {
            width,
            height,
            clock: local_time,
            notice: self.notice(),
            transitions: usize::MAX,
        };
        match &self.status {
            Some(status) => frame(status, &face),
            None => {
                let text = face.notice.unwrap_or_else(|| "asking heartbeat ..".to_owned());
                let text = crate::clients::table::cut(&crate::clients::table::clean(&text), width);
                vec![Line::new(Style::Bad, text)]
            }
        }
    }
}

/// A beat of a node that is what it was says nothing new.
fn is_news(event: &Message, status: Option<&Json>) -> bool {
    if event.kind() != "status" {
        return true;
    }
    let known = status.map(|s| s.get("nodes").items()).unwrap_or_default();
    let node = known
        .iter()
        .find(|n| Some(n.get("name").text()) == event.get(fields::SRC));
    node.is_none_or(|n| Some(n.get("status").text()) != event.get(fields::STATUS))
}

/// What the screen shows, so that only changes are written.
#[derive(Debug, Default)]
struct Shown {
    size: (usize, usize),
    lines: Vec<String>,
}

impl Shown {
    /// What to write to come from what is shown to `lines`.
    fn changes(&mut self, size: (usize, usize), lines: &[Line], colours: bool) -> String {
        let mut out = String::new();
        if size != self.size {
            out.push_str("\x1b[2J");
            self.lines.clear();
            self.size = size;
        }
        let new: Vec<String> = lines.iter().map(|l| l.paint(colours)).collect();
        for row in 0..new.len().max(self.lines.len()) {
            let (old, new) = (self.lines.get(row), new.get(row));
            if old.map_or("", String::as_str) != new.map_or("", String::as_str) {
                let text = new.map_or("", String::as_str);
                out.push_str(&format!("\x1b[{};1H{text}\x1b[K", row + 1));
            }
        }
        self.lines = new;
        out
    }
}

/// One frame as text; the exit code tells whether the daemon answered.
pub fn once(state: &Path, size: Option<(usize, usize)>) -> (bool, String) {
    let mut source = Source::new(state, CLOCK);
    source.ask();
    let lines = source.lines(size.unwrap_or((10_000, 10_000)));
    let text = lines.into_iter().map(|l| l.text + "\n").collect();
    (source.trouble.is_none(), text)
}

/// Draws until it is told to end.
pub fn watch(state: &Path, every: Duration, colours: bool) -> io::Result<()> {
    let mut terminal = Terminal::enter()?;
    let mut source = Source::new(state, every);
    let mut shown = Shown::default();
    loop {
        if sys::now() >= source.ask_at {
            source.ask();
        }
        let size = terminal.size();
        // The last column stays empty: some terminals wrap, or lose a character, when it is written to.
        let lines = source.lines((size.0.saturating_sub(1), size.1));
        let changes = shown.changes(size, &lines, colours);
        if !changes.is_empty() {
            terminal.write(&changes)?;
        }
        let deadline = source.ask_at.min(sys::now() + CLOCK);
        let stdin = io::stdin();
        let mut wants = vec![Want::read(terminal.signals())];
        if terminal.has_keys() {
            wants.push(Want::read(stdin.as_fd()));
        }
        if let Some(client) = &source.client {
            wants.push(Want::read(client.fd()));
        }
        wait(&wants, deadline)?;
        source.take_events();
        while let Some(asked) = terminal.asked() {
            match asked {
                Asked::End => return Ok(()),
                Asked::Resized => {}
                Asked::Suspend => {
                    terminal.suspend()?;
                    shown = Shown::default();
                }
            }
        }
        if terminal.has_keys() {
            while let Some(key) = terminal.key()? {
                match key {
                    b'q' => return Ok(()),
                    FORM_FEED => shown = Shown::default(),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_written() {
        let mut shown = Shown::default();
        let lines = |texts: &[&str]| texts.iter().map(|t| Line::new(Style::Plain, t)).collect::<Vec<_>>();
        let mut step = |size, texts: &[&str]| shown.changes(size, &lines(texts), false);
        #[rustfmt::skip]
        let table: [((usize, usize), &[&str], &str); 5] = [
            ((80, 24), &["a", "b"],      "\x1b[2J\x1b[1;1Ha\x1b[K\x1b[2;1Hb\x1b[K"),
            ((80, 24), &["a", "b"],      ""),
            ((80, 24), &["a", "c", "d"], "\x1b[2;1Hc\x1b[K\x1b[3;1Hd\x1b[K"),
            ((80, 24), &["a"],           "\x1b[2;1H\x1b[K\x1b[3;1H\x1b[K"),
            ((60, 20), &["a"],           "\x1b[2J\x1b[1;1Ha\x1b[K"),
        ];
        for (size, texts, want) in table {
            assert_eq!(step(size, texts), want, "{texts:?}");
        }
    }

    #[test]
    fn a_beat_is_no_news_and_a_change_is() {
        let status = Json::parse(r#"{"nodes":[{"name":"web","status":"active"}]}"#).unwrap();
        let beat = |src: &str, st: &str| Message::new("status").with(fields::SRC, src).with(fields::STATUS, st);
        assert!(!is_news(&beat("web", "active"), Some(&status)));
        assert!(is_news(&beat("web", "dead"), Some(&status)));
        assert!(is_news(&beat("other", "active"), Some(&status)));
        assert!(is_news(&beat("web", "active"), None));
        assert!(is_news(&Message::new("ifstat"), Some(&status)));
    }
}
