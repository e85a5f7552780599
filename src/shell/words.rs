//! A line as words, each with its column: blanks part them, quotes keep them together, a backslash takes the next
//! character as it is.

use std::fmt;

/// One word. Columns count characters from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    pub column: usize,
    /// Without its quotes.
    pub text: String,
    /// Some of it was quoted: it is no keyword and no bracket.
    pub quoted: bool,
}

impl Word {
    /// `NAME=VALUE`, whichever of it was quoted.
    pub fn pair(&self) -> Option<(&str, &str)> {
        self.text.split_once('=').filter(|(name, _)| !name.is_empty())
    }

    pub fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(keyword)
    }
}

/// Why a line was not taken: where, and what was expected there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    pub column: usize,
    pub what: String,
}

impl Complaint {
    pub fn new(column: usize, what: impl Into<String>) -> Self {
        Self {
            column,
            what: what.into(),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.what)
    }
}

impl std::error::Error for Complaint {}

/// Which quote a word stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single { since: usize },
    Double { since: usize },
}

/// The words of a line, or where its last quote was opened.
pub fn split(line: &str) -> Result<Vec<Word>, Complaint> {
    let mut words: Vec<Word> = Vec::new();
    let mut open: Option<Word> = None;
    let mut quote = Quote::None;
    let mut chars = (1..).zip(line.chars()).peekable();
    while let Some((column, c)) = chars.next() {
        let begun = |open: &mut Option<Word>, quoted| {
            let word = open.get_or_insert(Word {
                column,
                text: String::new(),
                quoted: false,
            });
            word.quoted |= quoted;
        };
        match (quote, c) {
            (Quote::None, c) if c.is_whitespace() => words.extend(open.take()),
            (Quote::None, '"' | '\'') => {
                begun(&mut open, true);
                quote = match c {
                    '"' => Quote::Double { since: column },
                    _ => Quote::Single { since: column },
                };
            }
            (Quote::Double { .. }, '"') | (Quote::Single { .. }, '\'') => quote = Quote::None,
            // Between double quotes only a quote and a backslash need one; any other keeps it.
            (Quote::Double { .. }, '\\') => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, next)) => push(&mut open, next),
                None => push(&mut open, '\\'),
            },
            (Quote::None, '\\') => {
                begun(&mut open, false);
                push(&mut open, chars.next().map_or('\\', |(_, next)| next));
            }
            (_, c) => {
                begun(&mut open, false);
                push(&mut open, c);
            }
        }
    }
    if let Quote::Single { since } | Quote::Double { since } = quote {
        return Err(Complaint::new(
            since,
            "this quote is never closed: expected another one before the end of the line",
        ));
    }
    words.extend(open);
    Ok(words)
}

fn push(open: &mut Option<Word>, c: char) {
    if let Some(word) = open {
        word.text.push(c);
    }
}

/// `text` so that [`split`] makes one word of it again: quoted unless it is plain.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-.:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(line: &str) -> Result<Vec<String>, usize> {
        split(line)
            .map(|words| words.into_iter().map(|w| format!("{}:{}", w.column, w.text)).collect())
            .map_err(|c| c.column)
    }

    #[test]
    fn words_and_their_columns() {
        #[rustfmt::skip]
        let table: &[(&str, Result<&[&str], usize>)] = &[
            ("",                         Ok(&[])),
            ("   ",                      Ok(&[])),
            ("a  b ",                    Ok(&["1:a", "4:b"])),
            ("\ta\tb",                   Ok(&["2:a", "4:b"])),
            ("a=\"1 2\" b",              Ok(&["1:a=1 2", "9:b"])),
            ("a='1 \"2' b",              Ok(&["1:a=1 \"2", "10:b"])),
            (r#"a="say \"no\" \\ \d""#,  Ok(&[r#"1:a=say "no" \ \d"#])),
            (r"a\ b\\",                  Ok(&[r"1:a b\"])),
            ("\"\" x",                   Ok(&["1:", "4:x"])),
            ("ä \"b",                    Err(3)),
            ("a 'b",                     Err(3)),
            ("$id=\"x\"",                Ok(&["1:$id=x"])),
        ];
        for (line, expected) in table {
            let expected = expected.map(|e| e.iter().map(|w| (*w).to_owned()).collect());
            assert_eq!(texts(line), expected, "{line}");
        }
    }

    #[test]
    fn what_must_be_quoted() {
        #[rustfmt::skip]
        let table = [
            ("10.1.6.100", "10.1.6.100"), ("", "\"\""), ("a b", "\"a b\""), ("/dev/sda", "\"/dev/sda\""),
            ("a\"b\\", r#""a\"b\\""#), ("fe80::1", "fe80::1"), ("#uname", "\"#uname\""), ("a=b", "\"a=b\""),
        ];
        for (text, expected) in table {
            assert_eq!(quoted(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_word_is_one_word_again(text in "[ -~ä]{0,20}") {
            let words = split(&format!("n={}", quoted(&text))).unwrap();
            prop_assert_eq!(words.len(), 1);
            prop_assert_eq!(words[0].pair(), Some(("n", &*text)));
        }

        #[test]
        fn any_line_is_split_without_panic(line in "[ -~\t\\\\'\"ä]{0,60}") {
            let _ = split(&line);
        }
    }
}
