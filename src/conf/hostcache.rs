//! hostcache and delhostcache: what a node remembers of the nodes of its cluster, and which of them were deleted.
//!
//! The format is heartbeat 3.0.6 behaviour (looked at in its running program): a line a node, `name uuid weight site`
//! with one tab between, the uuid in the usual hexadecimal form and all zeros while it is unknown, the site empty until
//! somebody sets it.

use super::{Complaints, Parsed, lines};
use crate::ids::NodeName;
use std::fmt::Write;
use std::path::Path;

/// Nodes a cluster may have, as in heartbeat 3.0.6 (from source). More are neither read nor let in.
pub const MAX_NODES: usize = 100;
/// What a node weighs that nobody gave a weight, as in heartbeat 3.0.6.
pub const DEFAULT_WEIGHT: i32 = 100;
/// Bytes of a site, 255 as in heartbeat 3.0.6 (from source).
pub const MAX_SITE: usize = 255;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub name: NodeName,
    pub uuid: Option<[u8; 16]>,
    pub weight: i32,
    pub site: String,
}

impl Entry {
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            uuid: None,
            weight: DEFAULT_WEIGHT,
            site: String::new(),
        }
    }
}

/// Both files, and [`super::lives`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Remembered {
    pub nodes: Vec<Entry>,
    pub deleted: Vec<Entry>,
    pub peers: Vec<super::lives::Life>,
}

/// `eb65c0ca-f8d0-4053-9f5e-1b612508c6db`
pub fn uuid_text(uuid: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (i, byte) in uuid.iter().enumerate() {
        if [4, 6, 8, 10].contains(&i) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|i| bytes[*i] != b'-') {
        return None;
    }
    let digits: Vec<u8> = bytes
        .iter()
        .filter(|b| **b != b'-')
        .map(|b| char::from(*b).to_digit(16).map(|d| d as u8))
        .collect::<Option<_>>()?;
    let pairs: Vec<u8> = digits.chunks_exact(2).map(|p| p[0] << 4 | p[1]).collect();
    pairs.try_into().ok()
}

/// The uuid of a node whose ha.cf says `uuidfrom nodename`: a digest of the name, the same at every start and written
/// nowhere. heartbeat 3.0.6 computes another number from the name; its peers learn ours from our messages.
pub fn uuid_of_name(name: &NodeName) -> [u8; 16] {
    use md5::Digest;
    md5::Md5::digest(name.as_str().as_bytes()).into()
}

/// Why this is no site.
pub fn site_error(site: &str) -> Option<String> {
    if site.len() > MAX_SITE {
        return Some(format!("the site has {} bytes: write at most {MAX_SITE}", site.len()));
    }
    if site.chars().any(char::is_control) || site.trim() != site {
        return Some("the site begins or ends with a blank, or holds a control character: leave that away".to_owned());
    }
    None
}

/// Reads one of the two files: what is good in it, and what is not. The value is always there: a line that is damaged
/// costs that line only.
pub fn parse(file: &Path, text: &str) -> Parsed<Vec<Entry>> {
    let mut bad = Complaints::about(file);
    let mut found: Vec<Entry> = Vec::new();
    for (number, line) in lines(text) {
        if line.trim().is_empty() {
            continue;
        }
        match entry(line) {
            Err(why) => bad.warn(number, why),
            Ok(entry) if found.iter().any(|e| e.name == entry.name) => {
                bad.warn(number, format!("{} is in it twice: the first line counts", entry.name));
            }
            Ok(_) if found.len() == MAX_NODES => {
                bad.warn(number, format!("more than {MAX_NODES} nodes: the rest is ignored"));
                break;
            }
            Ok(entry) => found.push(entry),
        }
    }
    bad.finish(|| Some(found))
}

fn entry(line: &str) -> Result<Entry, String> {
    let mut words = line.split('\t');
    let name = words.next().unwrap_or("");
    let name = name.parse().map_err(|e: crate::ids::BadName| e.to_string())?;
    let uuid = words.next().ok_or("the line ends after the name: a uuid is missing")?;
    let shown: String = uuid.chars().take(40).collect();
    let uuid = parse_uuid(uuid).ok_or_else(|| format!("\"{}\" is not a uuid", shown.escape_debug()))?;
    let weight = match words.next() {
        None => DEFAULT_WEIGHT,
        Some(word) => word.parse().map_err(|_| {
            let shown: String = word.chars().take(40).collect();
            format!("\"{}\" is not a weight: it is a whole number", shown.escape_debug())
        })?,
    };
    let site = words.next().unwrap_or("").to_owned();
    if words.next().is_some() {
        return Err("the line has more than four fields".to_owned());
    }
    match site_error(&site) {
        Some(why) => Err(why),
        None => Ok(Entry {
            name,
            uuid: Some(uuid).filter(|u| *u != [0; 16]),
            weight,
            site,
        }),
    }
}

pub fn print(entries: &[Entry]) -> String {
    let mut text = String::new();
    for e in entries {
        let uuid = uuid_text(&e.uuid.unwrap_or_default());
        let _ = writeln!(text, "{}\t{uuid}\t{}\t{}", e.name, e.weight, e.site);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UUID: &str = "eb65c0ca-f8d0-4053-9f5e-1b612508c6db";
    const NONE: &str = "00000000-0000-0000-0000-000000000000";

    #[test]
    fn what_heartbeat_wrote_is_read_and_written_the_same() {
        // Written by heartbeat 3.0.6.
        let text = format!("n1\t{UUID}\t100\t\nn2\t{NONE}\t100\t\nn7\t{NONE}\t77\teast\n");
        let parsed = parse(Path::new("hostcache"), &text);
        assert_eq!(parsed.complaints, []);
        let entries = parsed.value.unwrap();
        assert_eq!(entries[0].uuid.map(|u| u[..2].to_vec()), Some(vec![0xeb, 0x65]));
        assert_eq!(entries[1].uuid, None);
        assert_eq!((entries[2].weight, entries[2].site.as_str()), (77, "east"));
        assert_eq!(print(&entries), text);
    }

    #[test]
    fn a_damaged_line_costs_that_line_and_is_named() {
        #[rustfmt::skip]
        let table = [
            ("n1".to_owned(),                               "a uuid is missing"),
            ("n1\tx".to_owned(),                            "is not a uuid"),
            (format!("n1\t{UUID}x"),                        "is not a uuid"),
            (format!("n1\t{UUID}\theavy\t"),                "is not a weight"),
            (format!("n1\t{UUID}\t1\ta\tb"),                "more than four fields"),
            (format!("n 1\t{UUID}\t1\ta"),                  "is not a node name"),
            (format!("\t{UUID}\t1\ta"),                     "is not a node name"),
            (format!("n1\t{UUID}\t1\t a"),                  "blank"),
            (format!("n1\t{UUID}\t1\t{}", "s".repeat(256)), "at most 255"),
            (format!("n2\t{UUID}\t1\t"),                    "twice"),
            ("\u{fffd}\u{1}".to_owned(),                    "is not a node name"),
        ];
        for (line, says) in table {
            let parsed = parse(
                Path::new("hostcache"),
                &format!("n2\t{NONE}\t1\t\n{line}\nn3\t{NONE}\t1\t\n"),
            );
            let texts: Vec<String> = parsed.complaints.iter().map(ToString::to_string).collect();
            assert_eq!(texts.len(), 1, "{line}: {texts:?}");
            assert!(
                texts[0].starts_with("hostcache:2: ") && texts[0].contains(says),
                "{line}: {texts:?}"
            );
            let names: Vec<_> = parsed.value.unwrap().into_iter().map(|e| e.name).collect();
            assert_eq!(format!("{names:?}"), "[n2, n3]", "{line}");
        }
    }

    #[test]
    fn a_hundred_nodes_and_no_more() {
        for (lines, read, complaints) in [(99, 99, 0), (100, 100, 0), (101, 100, 1)] {
            let text: String = (0..lines).map(|i| format!("n{i}\t{NONE}\t1\t\n")).collect();
            let parsed = parse(Path::new("hostcache"), &text);
            assert_eq!(
                (parsed.value.unwrap().len(), parsed.complaints.len()),
                (read, complaints)
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_what_is_read_prints_back(text in "(.|\n|\t){0,300}") {
            let entries = parse(Path::new("x"), &text).value.unwrap();
            let again = parse(Path::new("x"), &print(&entries));
            prop_assert_eq!(again.complaints.len(), 0);
            prop_assert_eq!(again.value.unwrap(), entries);
        }

        #[test]
        fn entries_print_and_read_back(uuid in any::<[u8; 16]>(), weight in any::<i32>(), site in "[a-z][a-z ]{0,20}[a-z]") {
            let entry = Entry { name: "n1".parse().unwrap(), uuid: Some(uuid).filter(|u| *u != [0; 16]), weight, site };
            let parsed = parse(Path::new("x"), &print(std::slice::from_ref(&entry)));
            prop_assert_eq!(parsed.value.unwrap(), vec![entry]);
        }

        #[test]
        fn a_damaged_file_is_read_without_panic(at in 0usize..90, byte in any::<u8>()) {
            let mut bytes = format!("n1\t{UUID}\t100\t\nn2\t{NONE}\t77\teast\n").into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = parse(Path::new("x"), &String::from_utf8_lossy(&bytes));
        }
    }
}
