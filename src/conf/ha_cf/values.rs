//! Single words of ha.cf: `Ok(value)` or the sentence that says what to write instead.

use crate::time::{Duration, parse_time};
use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// Rates that heartbeat 3.0.6 accepts.
const BAUD: [u32; 7] = [9600, 19200, 38400, 57600, 115_200, 230_400, 460_800];

/// Names that syslog.h has, as heartbeat 3.0.6 takes them.
const FACILITIES: [&str; 21] = [
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "security", "syslog", "user", "uucp",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

pub(super) fn shown(word: &str) -> String {
    word.chars().take(80).collect::<String>().escape_debug().to_string()
}

pub(super) fn time(word: &str) -> Result<Duration, String> {
    parse_time(word).map_err(|e| e.to_string())
}

pub(super) fn time_above_zero(word: &str) -> Result<Duration, String> {
    match time(word)? {
        Duration::ZERO => Err("0 is too short: write a time above 0, for example 1 or 500ms".to_owned()),
        t => Ok(t),
    }
}

pub(super) fn boolean(word: &str) -> Result<bool, String> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "y" | "1" => Ok(true),
        "false" | "off" | "no" | "n" | "0" => Ok(false),
        _ => Err(format!(
            "\"{}\" is neither on nor off: write on, yes or true, or off, no or false",
            shown(word)
        )),
    }
}

pub(super) fn number<T: std::str::FromStr + PartialOrd + Display>(word: &str, least: T, most: T) -> Result<T, String> {
    let digits = word.bytes().all(|b| b.is_ascii_digit());
    match word.parse::<T>() {
        Ok(n) if digits && n >= least && n <= most => Ok(n),
        _ => Err(format!("\"{}\" is not a number from {least} to {most}", shown(word))),
    }
}

pub(super) fn one_of(word: &str, words: &[&str]) -> Result<(), String> {
    if words.contains(&word) {
        return Ok(());
    }
    Err(format!(
        "\"{}\" is not known: write {}",
        shown(word),
        words.join(" or ")
    ))
}

pub(super) fn baud(word: &str) -> Result<u32, String> {
    word.parse().ok().filter(|n| BAUD.contains(n)).ok_or_else(|| {
        let rates: Vec<String> = BAUD.iter().map(u32::to_string).collect();
        format!(
            "\"{}\" is not a rate of a serial line: write one of {}",
            shown(word),
            rates.join(", ")
        )
    })
}

pub(super) fn facility(word: &str) -> Result<Option<String>, String> {
    match word {
        "none" => Ok(None),
        w if FACILITIES.contains(&w) => Ok(Some(w.to_owned())),
        _ => Err(format!(
            "\"{}\" is not a syslog facility: write daemon, local0 to local7, or none",
            shown(word)
        )),
    }
}

pub(super) fn absolute(word: &str) -> Result<PathBuf, String> {
    if word.starts_with('/') {
        return Ok(PathBuf::from(word));
    }
    Err(format!("\"{}\" is not a full path: write it from / on", shown(word)))
}

/// The name of a network interface: what the kernel accepts (at most 15 bytes, IFNAMSIZ).
pub(super) fn interface(word: &str) -> Result<String, String> {
    let good = word.len() <= 15 && !word.contains('/') && !word.chars().any(|c| c.is_whitespace() || c.is_control());
    if good && word != "." && word != ".." {
        return Ok(word.to_owned());
    }
    let hint = if word.starts_with("/dev/") {
        "; for a serial line write `serial`"
    } else {
        ""
    };
    Err(format!(
        "\"{}\" is not the name of a network interface such as eth0{hint}",
        shown(word)
    ))
}

/// An IPv4 address or a name; names are looked up when the daemon starts.
pub(super) fn host4(word: &str) -> Result<String, String> {
    if word.contains(':') {
        return Err(format!(
            "\"{}\" is not an IPv4 address or a host name: for IPv6 write ucast6",
            shown(word)
        ));
    }
    let numeric = word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric && word.parse::<Ipv4Addr>().is_err() {
        return Err(format!(
            "\"{}\" is not an IPv4 address: write four numbers from 0 to 255",
            shown(word)
        ));
    }
    name(word)
}

/// An IPv6 address or a name.
pub(super) fn host6(word: &str) -> Result<String, String> {
    if word.contains(':') {
        let address = word.split('%').next().unwrap_or(word);
        return match address.parse::<Ipv6Addr>() {
            Ok(_) => Ok(word.to_owned()),
            Err(_) => Err(format!("\"{}\" is not an IPv6 address", shown(word))),
        };
    }
    if word.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(format!(
            "\"{}\" is not an IPv6 address: for IPv4 leave the 6 of the directive away",
            shown(word)
        ));
    }
    name(word)
}

fn name(word: &str) -> Result<String, String> {
    let good = !word.is_empty()
        && word.len() <= 253
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if good {
        return Ok(word.to_owned());
    }
    Err(format!("\"{}\" is neither an address nor a host name", shown(word)))
}

pub(super) fn group4(word: &str) -> Result<Ipv4Addr, String> {
    word.parse().ok().filter(Ipv4Addr::is_multicast).ok_or_else(|| {
        format!(
            "\"{}\" is not a multicast address: write one from 224.0.0.0 to 239.255.255.255",
            shown(word)
        )
    })
}

pub(super) fn group6(word: &str) -> Result<Ipv6Addr, String> {
    let group = word.parse().ok().filter(Ipv6Addr::is_multicast);
    group.ok_or_else(|| {
        format!(
            "\"{}\" is not an IPv6 multicast address: write one such as ff02::694",
            shown(word)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_at_their_bounds() {
        assert_eq!(number::<u8>("255", 0, 255), Ok(255));
        for word in ["256", "-1", "+1", "", "1x", "0x10"] {
            assert!(number::<u8>(word, 0, 255).is_err(), "{word}");
        }
        assert_eq!(number::<u16>("1", 1, u16::MAX), Ok(1));
        assert!(number::<u16>("0", 1, u16::MAX).is_err());
        for word in ["Y", "TRUE", "on", "1"] {
            assert_eq!(boolean(word), Ok(true), "{word}");
        }
        for word in ["n", "False", "OFF", "0", "no"] {
            assert_eq!(boolean(word), Ok(false), "{word}");
        }
        assert!(boolean("maybe").is_err());
        assert!(interface("abcdefghijklmno").is_ok());
        assert!(interface("abcdefghijklmnop").is_err());
        assert!(interface("/dev/ttyS0").unwrap_err().contains("serial"));
        assert!(host4("10.0.0.300").is_err());
        assert!(host4("fe80::1").unwrap_err().contains("ucast6"));
        assert!(host4("node-2.example.com").is_ok());
        assert!(host6("fe80::1%eth0").is_ok());
        assert!(host6("10.0.0.1").is_err());
        assert!(baud("300").unwrap_err().contains("9600"));
        assert_eq!(facility("none"), Ok(None));
    }
}
