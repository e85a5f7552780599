//! JSON for the status that programs read: a writer that always gives one line of ASCII-safe text, and a reader for it.

use std::fmt;

/// Deep enough for any status, shallow enough for any stack.
const MAX_DEPTH: usize = 64;

/// A value. Numbers are whole and not negative: nothing else occurs in a status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Json>),
    /// In the order of writing.
    Object(Vec<(String, Json)>),
}

impl From<bool> for Json {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<u64> for Json {
    fn from(n: u64) -> Self {
        Self::Number(n)
    }
}

impl From<&str> for Json {
    fn from(s: &str) -> Self {
        Self::Text(s.to_owned())
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// An object from names and values.
pub fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())
}

/// A list of anything.
pub fn list<T>(items: impl IntoIterator<Item = T>, json: impl Fn(T) -> Json) -> Json {
    Json::List(items.into_iter().map(json).collect())
}

impl Json {
    /// The member called `name`; `Null` when there is none.
    pub fn get(&self, name: &str) -> &Json {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(n, _)| n == name)
                .map_or(&Self::Null, |(_, value)| value),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => &Self::Null,
        }
    }

    /// The text, or the empty one.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(s) => s,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => "",
        }
    }

    pub fn number(&self) -> u64 {
        match self {
            Self::Number(n) => *n,
            Self::Null | Self::Bool(_) | Self::Text(_) | Self::List(_) | Self::Object(_) => 0,
        }
    }

    pub fn is_true(&self) -> bool {
        *self == Self::Bool(true)
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Json] {
        match self {
            Self::List(items) => items,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Object(_) => &[],
        }
    }

    /// The members of an object; none of anything else.
    pub fn members(&self) -> &[(String, Json)] {
        match self {
            Self::Object(members) => members,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => &[],
        }
    }

    /// Reads one value. The error is the byte where it went wrong.
    pub fn parse(text: &str) -> Result<Self, BadJson> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.blanks();
        if reader.at == text.len() {
            Ok(value)
        } else {
            reader.bad()
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(s) => quoted(s, f),
            Self::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (i, (name, value)) in members.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { "," })?;
                    quoted(name, f)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Control characters are escaped: the text must fit into one line, and into one field of a classic message.
fn quoted(s: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in s.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if u32::from(c) < 0x20 || c == '\u{7f}' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadJson {
    pub at: usize,
}

impl fmt::Display for BadJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the status is not JSON from byte {} on", self.at)
    }
}

impl std::error::Error for BadJson {}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn bad<T>(&self) -> Result<T, BadJson> {
        Err(BadJson { at: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn takes(&mut self, word: &str) -> bool {
        let found = self.text[self.at..].starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), BadJson> {
        if self.takes(word) { Ok(()) } else { self.bad() }
    }

    fn value(&mut self, depth: usize) -> Result<Json, BadJson> {
        self.blanks();
        match self.peek() {
            _ if depth > MAX_DEPTH => self.bad(),
            Some(b'n') => self.expect("null").map(|()| Json::Null),
            Some(b't') => self.expect("true").map(|()| Json::Bool(true)),
            Some(b'f') => self.expect("false").map(|()| Json::Bool(false)),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'0'..=b'9') => self.digits(),
            Some(b'[') => {
                let mut items = Vec::new();
                self.series("[", "]", |reader| {
                    items.push(reader.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Json::List(items))
            }
            Some(b'{') => {
                let mut members = Vec::new();
                self.series("{", "}", |reader| {
                    let name = reader.string()?;
                    reader.blanks();
                    reader.expect(":")?;
                    members.push((name, reader.value(depth + 1)?));
                    Ok(())
                })?;
                Ok(Json::Object(members))
            }
            Some(_) | None => self.bad(),
        }
    }

    fn series(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<(), BadJson>,
    ) -> Result<(), BadJson> {
        self.expect(open)?;
        self.blanks();
        if self.takes(close) {
            return Ok(());
        }
        loop {
            self.blanks();
            item(self)?;
            self.blanks();
            if self.takes(close) {
                return Ok(());
            }
            self.expect(",")?;
        }
    }

    fn digits(&mut self) -> Result<Json, BadJson> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        match rest[..end].parse() {
            Ok(n) => {
                self.at += end;
                Ok(Json::Number(n))
            }
            Err(_) => self.bad(),
        }
    }

    fn string(&mut self) -> Result<String, BadJson> {
        self.expect("\"")?;
        let mut text = String::new();
        loop {
            let Some(c) = self.text[self.at..].chars().next() else {
                return self.bad();
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                c if u32::from(c) < 0x20 => return self.bad(),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, BadJson> {
        let Some(c) = self.peek() else { return self.bad() };
        self.at += 1;
        Ok(match c {
            b'"' | b'\\' | b'/' => char::from(c),
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let digits = self
                    .text
                    .get(self.at..self.at + 4)
                    .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                // Halves of a pair are not written by us and not read.
                let Some(c) = digits
                    .and_then(|d| u32::from_str_radix(d, 16).ok())
                    .and_then(char::from_u32)
                else {
                    return self.bad();
                };
                self.at += 4;
                c
            }
            _ => return self.bad(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written() {
        let value = object([
            ("a", Json::Null),
            ("b", true.into()),
            ("c", 7.into()),
            ("d", "x\"\\\n\t\u{1}ü".into()),
            ("e", list(["p", "q"], Json::from)),
            ("f", list([0u64; 0], Json::from)),
            ("g", object([])),
        ]);
        let text = r#"{"a":null,"b":true,"c":7,"d":"x\"\\\n\t\u0001ü","e":["p","q"],"f":[],"g":{}}"#;
        assert_eq!(value.to_string(), text);
        assert_eq!(Json::parse(text).unwrap(), value);
        assert_eq!(value.get("e").items()[1].text(), "q");
        assert_eq!(value.get("nothing"), &Json::Null);
    }

    #[test]
    fn what_is_not_read() {
        for text in [
            "",
            "nul",
            "{",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{a:1}",
            "\"\n\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\u12\"",
            "1 2",
            "-1",
            "1.5",
            "99999999999999999999",
            "\"\\u00é\"",
        ] {
            assert!(Json::parse(text).is_err(), "{text:?}");
        }
        assert!(Json::parse(&"[".repeat(100_000)).is_err());
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            any::<u64>().prop_map(Json::Number),
            any::<String>().prop_map(Json::Text),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
                prop::collection::vec((any::<String>(), inner), 0..4).prop_map(Json::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same_and_is_one_line(value in any_json()) {
            let text = value.to_string();
            prop_assert!(!text.contains(|c: char| u32::from(c) < 0x20));
            prop_assert_eq!(Json::parse(&text).unwrap(), value);
        }

        #[test]
        fn the_reader_never_panics(text in any::<String>()) {
            let _ = Json::parse(&text);
        }
    }
}
