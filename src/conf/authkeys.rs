//! authkeys: which key signs, and the keys.
//!
//! No complaint ever shows a word that could be a key: complaints go to logs that others read.

use super::{Complaints, Parsed, lines};
use crate::auth::{Key, Keyring, Method};
use std::collections::BTreeMap;
use std::path::Path;

/// Numbers of key lines are 0 to 15, as in heartbeat 3.0.6.
const HIGHEST_NUMBER: u8 = 15;

/// Reads authkeys. Unlike in heartbeat 3.0.6 the `auth` line may also stand after the key it names.
pub fn parse(file: &Path, text: &str) -> Parsed<Keyring> {
    let mut bad = Complaints::about(file);
    let mut active: Option<(u8, usize)> = None;
    let mut keys: BTreeMap<u8, (Option<Key>, usize)> = BTreeMap::new();
    for (line, raw) in lines(text) {
        let mut words = raw.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        if first.starts_with('#') {
            continue;
        }
        let rest: Vec<&str> = words.collect();
        if first == "auth" {
            match (auth_line(&rest), active) {
                (Err(message), _) => bad.error(line, message),
                (Ok(_), Some((_, before))) => bad.error(
                    line,
                    format!("a second `auth` line (the first is line {before}): keep the one whose key must sign"),
                ),
                (Ok(number), None) => active = Some((number, line)),
            }
            continue;
        }
        let Some(number) = number(first) else {
            bad.error(
                line,
                format!("{}: write `auth NUMBER` or `NUMBER METHOD KEY`", not_a_number(first)),
            );
            continue;
        };
        if let Some((_, before)) = keys.get(&number) {
            bad.error(
                line,
                format!("key {number} is already in line {before}: give this one another number"),
            );
            continue;
        }
        match key_line(number, &rest) {
            Ok(key) => {
                if key.method() != Method::Crc {
                    after_key(&mut bad, line, &rest);
                }
                keys.insert(number, (Some(key), line));
            }
            Err(message) => {
                bad.error(line, message);
                keys.insert(number, (None, line));
            }
        }
    }
    match active {
        None => bad.error(
            0,
            "no `auth NUMBER` line: it says which of the keys signs; write for example `auth 1`",
        ),
        Some((number, line)) if !keys.contains_key(&number) => {
            let known: Vec<String> = keys.keys().map(u8::to_string).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            bad.error(
                line,
                format!(
                    "`auth {number}` names a key that is not in the file (there are: {known}): \
                     write a line `{number} sha1 KEY`"
                ),
            );
        }
        Some(_) => {}
    }
    bad.finish(|| {
        Some(Keyring {
            active: active?.0,
            keys: keys.into_iter().filter_map(|(n, (key, _))| Some((n, key?))).collect(),
        })
    })
}

fn number(word: &str) -> Option<u8> {
    // `parse` alone would also take a sign.
    let digits = word.bytes().all(|b| b.is_ascii_digit());
    word.parse().ok().filter(|n| digits && *n <= HIGHEST_NUMBER)
}

/// What is wrong with a word that should be a key number; the word itself is shown only when it is a number.
fn not_a_number(word: &str) -> String {
    if word.len() <= 6 && word.bytes().all(|b| b.is_ascii_digit()) {
        format!("{word} is not a key number, they go from 0 to {HIGHEST_NUMBER}")
    } else {
        format!("the line does not begin with `auth` or a number from 0 to {HIGHEST_NUMBER}")
    }
}

fn auth_line(words: &[&str]) -> Result<u8, String> {
    match words {
        [] => Err("`auth` without a number: write the number of the key that signs, for example `auth 1`".to_owned()),
        [word, rest @ ..] => {
            let Some(number) = number(word) else {
                return Err(format!(
                    "`auth` needs the number of a key, from 0 to {HIGHEST_NUMBER}: write for example `auth 1`"
                ));
            };
            match rest.first() {
                Some(w) if !w.starts_with('#') => Err(format!(
                    "`auth {number}` is followed by more words: write the key on a line of its own"
                )),
                _ => Ok(number),
            }
        }
    }
}

fn key_line(number: u8, words: &[&str]) -> Result<Key, String> {
    let (method, secret) = match words {
        [] => return Err(format!("key {number} has no method: write `{number} sha1 KEY`")),
        ["crc"] => (Method::Crc, ""),
        ["crc", ..] => {
            return Err(format!(
                "crc takes no key: write `{number} crc` alone, and comments on lines of their own"
            ));
        }
        [m @ ("md5" | "sha1" | "sha256")] => return Err(format!("method {m} needs a key: write `{number} {m} KEY`")),
        ["md5", secret, ..] => (Method::Md5, *secret),
        ["sha1", secret, ..] => (Method::Sha1, *secret),
        ["sha256", secret, ..] => (Method::Sha256, *secret),
        _ => {
            return Err(format!(
                "key {number} has an unknown method: write sha1, sha256, md5 or crc, as in `{number} sha1 KEY`"
            ));
        }
    };
    Ok(Key::new(method, secret.as_bytes().to_vec()))
}

/// Warns about what looks like a comment or like a key of several words.
fn after_key(bad: &mut Complaints, line: usize, words: &[&str]) {
    if words.get(1).is_some_and(|key| key.starts_with('#')) {
        bad.warn(
            line,
            "the key begins with `#`: a comment begins only at the start of a line, so this is the key",
        );
    } else if words.get(2).is_some_and(|word| !word.starts_with('#')) {
        bad.warn(
            line,
            "there are words after the key, they are ignored: a key is one word",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Parsed<Keyring> {
        parse(Path::new("authkeys"), text)
    }

    #[test]
    fn good_files() {
        #[rustfmt::skip]
        let table = [
            // text                                        active  keys
            ("auth 1\n1 sha1 secret\n",                    1, vec![(1, Method::Sha1, "secret")]),
            ("auth 3\n#1 sha1 k\n  # x\n3 md5 Hello!\r\n", 3, vec![(3, Method::Md5, "Hello!")]),
            ("auth 1\n1 sha256 Hello!\n",                  1, vec![(1, Method::Sha256, "Hello!")]),
            ("auth 2\n2 crc\n",                            2, vec![(2, Method::Crc, "")]),
            ("1 crc\n15 md5 b\nauth 15 # ours\n",          15, vec![(1, Method::Crc, ""), (15, Method::Md5, "b")]),
            ("\u{feff}auth 0\n\t0\tsha1\tk\trest",         0, vec![(0, Method::Sha1, "k")]),
        ];
        for (text, active, keys) in table {
            let ring = read(text).value.unwrap_or_else(|| panic!("{text:?}: {:?}", read(text)));
            assert_eq!(ring.active, active, "{text:?}");
            let got: Vec<_> = ring
                .keys
                .iter()
                .map(|(n, k)| (*n, k.method(), std::str::from_utf8(k.secret()).unwrap()))
                .collect();
            assert_eq!(got, keys, "{text:?}");
        }
    }

    #[test]
    fn every_mistake_has_its_line_and_no_key_is_shown() {
        #[rustfmt::skip]
        let table = [
            ("",                                   0, "no `auth NUMBER` line"),
            ("1 sha1 s3cr3t",                      0, "no `auth NUMBER` line"),
            ("auth 2\n1 sha1 s3cr3t",              1, "there are: 1"),
            ("auth 16\n1 crc",                     1, "from 0 to 15"),
            ("auth\n1 crc",                        1, "without a number"),
            ("auth 1\nauth 1\n1 crc",              2, "second `auth`"),
            ("auth 1\n1 crc s3cr3t",               2, "crc takes no key"),
            ("auth 1\n1 md5",                      2, "method md5 needs a key"),
            ("auth 1\n1 sha256",                   2, "method sha256 needs a key"),
            ("auth 1\n1 sha512 s3cr3t",            2, "sha1, sha256, md5 or crc"),
            ("auth 1\n1 s3cr3t",                   2, "sha1, sha256, md5 or crc"),
            ("auth 1\n1 crc\n16 sha1 s3cr3t",      3, "16 is not a key number"),
            ("auth 1\n1 crc\ns3cr3t",              3, "does not begin with"),
            ("auth 1\n1 crc\n+2 crc",              3, "does not begin with"),
            ("auth 1\n1 crc\n1 sha1 s3cr3t",       3, "already in line 2"),
            ("auth 1 sha1 s3cr3t\n1 crc",          1, "line of its own"),
        ];
        for (text, line, words) in table {
            let parsed = read(text);
            assert!(parsed.value.is_none(), "{text:?}");
            let found = parsed
                .complaints
                .iter()
                .any(|c| c.line == line && c.message.contains(words));
            assert!(found, "{text:?}: {:?}", parsed.complaints);
            assert!(!format!("{parsed:?}").contains("s3cr3t"), "{text:?}");
        }
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let parsed = read("auth x\n1 sha2 k\n77 crc\n2 md5\n");
        let lines: Vec<_> = parsed.complaints.iter().map(|c| c.line).collect();
        assert_eq!(lines, [0, 1, 2, 3, 4]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*(\n(auth|[0-9]+|#)? ?(sha1|crc|md5)? ?\\PC*)*") {
            let parsed = read(&text);
            let errors = parsed.complaints.iter().any(|c| c.severity == crate::conf::Severity::Error);
            prop_assert_eq!(parsed.value.is_none(), errors);
        }
    }
}
