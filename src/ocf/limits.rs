//! How long an agent may take: what its meta-data advises, kept in a small file so that it is asked once.

use crate::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Start,
    Stop,
    Monitor,
}

impl Action {
    pub const ALL: [Self; 3] = [Self::Start, Self::Stop, Self::Monitor];

    /// As an agent calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Monitor => "monitor",
        }
    }

    /// `status` is the monitor of haresources.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "status" => Some(Self::Monitor),
            _ => Self::ALL.into_iter().find(|a| a.as_str() == word),
        }
    }
}

/// A limit for each action that has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    start: Option<Duration>,
    stop: Option<Duration>,
    monitor: Option<Duration>,
}

/// A day: more is a mistake of the agent, and must not become a limit that never comes.
const MOST: Duration = Duration::from_secs(24 * 60 * 60);

impl Limits {
    pub fn get(&self, action: Action) -> Option<Duration> {
        match action {
            Action::Start => self.start,
            Action::Stop => self.stop,
            Action::Monitor => self.monitor,
        }
    }

    pub fn set(&mut self, action: Action, limit: Duration) {
        match action {
            Action::Start => self.start = Some(limit),
            Action::Stop => self.stop = Some(limit),
            Action::Monitor => self.monitor = Some(limit),
        }
    }

    /// The line of the file: `start=20000 stop=20000`, in milliseconds.
    pub fn to_line(self) -> String {
        let words: Vec<String> = Action::ALL
            .into_iter()
            .filter_map(|a| Some(format!("{}={}", a.as_str(), self.get(a)?.as_millis())))
            .collect();
        words.join(" ") + "\n"
    }

    /// Reads that line; what is not understood counts as not there.
    pub fn from_line(line: &str) -> Self {
        let mut limits = Self::default();
        for word in line.split_ascii_whitespace() {
            if let Some((action, ms)) = word.split_once('=')
                && let (Some(action), Ok(ms)) = (Action::from_word(action), ms.parse())
                && let limit = Duration::from_millis(ms)
                && limit > Duration::ZERO
                && limit <= MOST
            {
                limits.set(action, limit);
            }
        }
        limits
    }
}

/// The `timeout` of each `<action>` of an agent's meta-data. No XML reader: agents are shell scripts, whose meta-data are
/// often not well-formed, and two attributes are all that is wanted. Of several monitors the longest counts.
pub fn of_meta_data(text: &str) -> Limits {
    let mut limits = Limits::default();
    let text = without_comments(text);
    for element in text.split("<action").skip(1) {
        if !element.starts_with(|c: char| c.is_ascii_whitespace()) {
            continue; // <actions>
        }
        let element = element.split('>').next().unwrap_or("");
        let action = attribute(element, "name").and_then(|name| match name {
            "status" => None,
            name => Action::from_word(name),
        });
        let limit = attribute(element, "timeout").and_then(duration);
        if let (Some(action), Some(limit)) = (action, limit) {
            limits.set(action, limits.get(action).unwrap_or(Duration::ZERO).max(limit));
        }
    }
    limits
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, after)| after);
    }
    out + rest
}

/// The value of `name="…"`.
fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = element;
    while let Some((before, after)) = rest.split_once('=') {
        let value = after.trim_start();
        let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'')?;
        let (value, behind) = value[1..].split_once(quote)?;
        if before.trim_end().rsplit(|c: char| c.is_ascii_whitespace()).next() == Some(name) {
            return Some(value);
        }
        rest = behind;
    }
    None
}

/// `20`, `20s`, `20000ms`, `2min`, `1h`, as agents write them. Nothing, if it is above a day or zero.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "ms" | "msec" => 1,
        "" | "s" | "sec" => 1000,
        "m" | "min" => 60_000,
        "h" | "hr" => 3_600_000,
        _ => return None,
    };
    let limit = Duration::from_millis(number.checked_mul(unit)?);
    (limit > Duration::ZERO && limit <= MOST).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const META: &str = r#"<?xml version="1.0"?>
<resource-agent name="x"><longdesc>a start is <b>long</b></longdesc>
<!-- <action name="start" timeout="1s"/> -->
<actions>
<action name="start"   timeout="20s" />
<action timeout='90' name = 'stop'/>
<action name="monitor" depth="0" timeout="20s" interval="10s"/>
<action name="monitor" depth="10" timeout="2min"
 interval="10s"/>
<action name="status" timeout="1h"/>
<action name="meta-data" timeout="5"/>
</actions>"#;

    #[test]
    fn limits_of_meta_data() {
        let limits = of_meta_data(META);
        assert_eq!(limits.to_line(), "start=20000 stop=90000 monitor=120000\n");
        assert_eq!(Limits::from_line(&limits.to_line()), limits);
    }

    #[test]
    fn odd_meta_data_have_no_limits() {
        for text in [
            "",
            "<action",
            "<action name=start timeout=20/>",
            "<action name=\"start\" timeout=\"20",
            "<action name=\"start\" timeout=\"0\"/>",
            "<action name=\"start\" timeout=\"25h\"/>",
            "<action name=\"start\" timeout=\"99999999999999999999s\"/>",
            "<action name=\"start\" timeout=\"soon\"/>",
            "<action name=\"promote\" timeout=\"20\"/>",
            "<!-- <action name=\"start\" timeout=\"20\"/>",
        ] {
            assert_eq!(of_meta_data(text), Limits::default(), "{text}");
        }
    }

    #[test]
    fn times_as_agents_write_them() {
        #[rustfmt::skip]
        let table = [
            ("20", Some(20_000)), ("20s", Some(20_000)), (" 20 s ", Some(20_000)), ("500ms", Some(500)),
            ("2m", Some(120_000)), ("2min", Some(120_000)), ("24h", Some(86_400_000)), ("86401", None),
            ("s", None), ("", None), ("-1", None), ("1.5s", None),
        ];
        for (text, ms) in table {
            assert_eq!(duration(text), ms.map(Duration::from_millis), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "(<action|name=|timeout=|\"|'|<!--|-->|>|start|[0-9]{1,25}|.){0,40}") {
            let limits = of_meta_data(&text);
            prop_assert_eq!(Limits::from_line(&limits.to_line()), limits);
            let _ = Limits::from_line(&text);
        }
    }
}
