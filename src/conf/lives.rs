//! hb_peers: the last life that a node has heard of each peer, and the newest number of it, for the life after a restart.
//!
//! Ours; heartbeat 3.0.6 forgets it when it ends, and believes then what somebody recorded years ago. A line a node:
//! name, generation and number in decimal, one tab between.

use super::hostcache::MAX_NODES;
use super::{Complaints, Parsed, lines};
use crate::ids::{Generation, NodeName, Seq};
use std::fmt::Write;
use std::path::Path;

/// Up to here everything a peer ever said is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Life {
    pub name: NodeName,
    pub generation: Generation,
    pub seq: Seq,
}

/// What is good in the file, and what is not. The value is always there: a damaged line costs that line only.
pub fn parse(file: &Path, text: &str) -> Parsed<Vec<Life>> {
    let mut bad = Complaints::about(file);
    let mut found: Vec<Life> = Vec::new();
    for (number, line) in lines(text) {
        if line.trim().is_empty() {
            continue;
        }
        match life(line) {
            Err(why) => bad.warn(number, why),
            Ok(life) if found.iter().any(|l| l.name == life.name) => {
                bad.warn(number, format!("{} is in it twice: the first line counts", life.name));
            }
            Ok(_) if found.len() == MAX_NODES => {
                bad.warn(number, format!("more than {MAX_NODES} nodes: the rest is ignored"));
                break;
            }
            Ok(life) => found.push(life),
        }
    }
    bad.finish(|| Some(found))
}

fn life(line: &str) -> Result<Life, String> {
    let words: Vec<&str> = line.split('\t').collect();
    let [name, generation, seq] = words[..] else {
        return Err("the line is not a name, a generation and a number".to_owned());
    };
    let number = |word: &str| -> Result<u64, String> {
        let digits = word.bytes().all(|b| b.is_ascii_digit());
        let shown: String = word.chars().take(40).collect();
        word.parse()
            .ok()
            .filter(|_| digits)
            .ok_or_else(|| format!("\"{}\" is not a whole number", shown.escape_debug()))
    };
    Ok(Life {
        name: name.parse().map_err(|e: crate::ids::BadName| e.to_string())?,
        generation: Generation(number(generation)?),
        seq: Seq(number(seq)?),
    })
}

pub fn print(lives: &[Life]) -> String {
    let mut text = String::new();
    for l in lives {
        let _ = writeln!(text, "{}\t{}\t{}", l.name, l.generation, l.seq);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_damaged_line_costs_that_line_and_is_named() {
        #[rustfmt::skip]
        let table = [
            ("n1",              "not a name, a generation and a number"),
            ("n1\t5",           "not a name, a generation and a number"),
            ("n1\t5\t6\t7",     "not a name, a generation and a number"),
            ("n1\t\t6",         "is not a whole number"),
            ("n1\t-5\t6",       "is not a whole number"),
            ("n1\t+5\t6",       "is not a whole number"),
            ("n1\t5\t18446744073709551616", "is not a whole number"),
            ("n 1\t5\t6",       "is not a node name"),
            ("n2\t5\t6",        "twice"),
        ];
        for (line, says) in table {
            let parsed = parse(Path::new("hb_peers"), &format!("n2\t1\t2\n{line}\nn3\t3\t4\n"));
            let texts: Vec<String> = parsed.complaints.iter().map(ToString::to_string).collect();
            assert_eq!(texts.len(), 1, "{line}: {texts:?}");
            assert!(
                texts[0].starts_with("hb_peers:2: ") && texts[0].contains(says),
                "{line}: {texts:?}"
            );
            let read = parsed.value.expect("always there");
            assert_eq!(print(&read), "n2\t1\t2\nn3\t3\t4\n", "{line}");
        }
    }

    #[test]
    fn a_hundred_nodes_and_no_more() {
        for (lines, read, complaints) in [(99, 99, 0), (100, 100, 0), (101, 100, 1)] {
            let text: String = (0..lines).map(|i| format!("n{i}\t1\t1\n")).collect();
            let parsed = parse(Path::new("hb_peers"), &text);
            assert_eq!(
                (parsed.value.map(|v| v.len()), parsed.complaints.len()),
                (Some(read), complaints)
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_what_is_read_prints_back(text in "(.|\n|\t){0,300}") {
            let lives = parse(Path::new("x"), &text).value.expect("always there");
            let again = parse(Path::new("x"), &print(&lives));
            prop_assert_eq!(again.complaints.len(), 0);
            prop_assert_eq!(again.value, Some(lives));
        }

        #[test]
        fn lives_print_and_read_back(generation: u64, seq: u64) {
            let life = Life { name: "n1".parse().unwrap(), generation: Generation(generation), seq: Seq(seq) };
            let parsed = parse(Path::new("x"), &print(std::slice::from_ref(&life)));
            prop_assert_eq!(parsed.value, Some(vec![life]));
        }
    }
}
