//! The lines `stonith` and `stonith_host`: by what another machine is switched off or reset.
//!
//! Parameters may be passwords: nothing here prints them, `Debug` included.

use super::values::{self, shown};
use crate::conf::Complaints;
use crate::ids::NodeName;
use std::fmt;
use std::path::PathBuf;

/// By which contract a device is driven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FenceKind {
    /// An external plugin of cluster-glue, without `external/`.
    External(String),
    /// An agent of fence-agents, with `fence_`.
    Agent(String),
    /// A person who confirms with meatclient(8).
    Meatware,
    /// For tests: says that it has done it, and does nothing.
    Null,
}

#[derive(Clone, PartialEq, Eq)]
pub enum FenceParameters {
    Words(Vec<String>),
    File(PathBuf),
    /// By name, as the CIB has them.
    Pairs(Vec<(String, String)>),
}

impl fmt::Debug for FenceParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => write!(f, "{} word(s)", words.len()),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Pairs(pairs) => write!(f, "{} parameter(s)", pairs.len()),
        }
    }
}

/// A device that this node may use.
#[derive(Clone, PartialEq, Eq)]
pub struct FenceDevice {
    pub kind: FenceKind,
    pub parameters: FenceParameters,
    /// Line of ha.cf; 0 when it does not stand there.
    pub line: usize,
}

impl fmt::Debug for FenceDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FenceDevice")
            .field(&self.title())
            .finish_non_exhaustive()
    }
}

impl FenceDevice {
    /// As ha.cf names its type.
    pub fn name(&self) -> String {
        match &self.kind {
            FenceKind::External(name) => format!("external/{name}"),
            FenceKind::Agent(name) => name.clone(),
            FenceKind::Meatware => "meatware".to_owned(),
            FenceKind::Null => "null".to_owned(),
        }
    }

    /// Which one it is, for people and for whoever runs it.
    pub fn title(&self) -> String {
        match self.line {
            0 => self.name(),
            line => format!("{} (ha.cf:{line})", self.name()),
        }
    }

    /// The nodes it can reset, when the line itself says so.
    pub fn hosts(&self) -> Option<Vec<String>> {
        match (&self.kind, &self.parameters) {
            (FenceKind::External(_), _) | (_, FenceParameters::File(_)) => None,
            (FenceKind::Meatware | FenceKind::Null, FenceParameters::Words(words)) => Some(people(&words.join(" "))),
            (FenceKind::Meatware | FenceKind::Null, FenceParameters::Pairs(pairs)) => {
                let list = pairs.iter().find(|(name, _)| name == "hostlist");
                Some(people(list.map_or("", |(_, hosts)| hosts)))
            }
            (FenceKind::Agent(_), FenceParameters::Words(words)) => {
                let pairs = pairs(words.iter().map(String::as_str)).ok()?;
                Some(plugs(&pairs).ok()?.into_iter().map(|(host, _)| host).collect())
            }
            (FenceKind::Agent(_), FenceParameters::Pairs(pairs)) => {
                Some(plugs(pairs).ok()?.into_iter().map(|(host, _)| host).collect())
            }
        }
    }
}

/// A line as the reader found it; whether it is for this node is known at the end of the file only.
#[derive(Debug)]
pub(super) struct FenceLine {
    pub(super) directive: &'static str,
    pub(super) words: Vec<String>,
    pub(super) line: usize,
}

/// The devices of node `me`; what is wrong with their lines is a complaint.
pub(super) fn devices(lines: Vec<FenceLine>, me: &NodeName, bad: &mut Complaints) -> Vec<FenceDevice> {
    let mut devices = Vec::new();
    for FenceLine { directive, words, line } in lines {
        let (kind, parameters) = match directive {
            "stonith" => (&words[0], FenceParameters::File(PathBuf::from(&words[1]))),
            _ if words[0] != "*" && !words[0].eq_ignore_ascii_case(me.as_str()) => continue,
            _ => (&words[1], FenceParameters::Words(words[2..].to_vec())),
        };
        let device = fence_kind(kind).map(|kind| FenceDevice { kind, parameters, line });
        match device.and_then(|d| parameters_fault(&d).map_or(Ok(d), Err)) {
            Ok(device) => {
                if device.kind == FenceKind::Null {
                    bad.warn(
                        line,
                        format!(
                            "{directive}: null does not reset anything, it only says so: a node that merely hangs goes on \
                             with what is started on the other one; for tests only"
                        ),
                    );
                }
                devices.push(device);
            }
            Err(why) => bad.error(line, format!("{directive}: {why}")),
        }
    }
    devices
}

/// By the name of its type: `external/NAME`, `fence_NAME`, `meatware`, `null`.
pub fn fence_kind(word: &str) -> Result<FenceKind, String> {
    let is_file = |name: &str| !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    match word.split_once('/') {
        Some(("external", name)) if is_file(name) => Ok(FenceKind::External(name.to_owned())),
        None if word == "meatware" => Ok(FenceKind::Meatware),
        None if word == "null" => Ok(FenceKind::Null),
        None if word.starts_with("fence_") => Ok(FenceKind::Agent(word.to_owned())),
        _ => Err(format!(
            "\"{}\" is no type of this version, which has external/NAME (plugins of cluster-glue), fence_NAME (agents of \
             fence-agents), meatware and null{}",
            shown(word),
            instead(word)
        )),
    }
}

/// What does the work of a plugin that was built into the classic's library.
fn instead(word: &str) -> &'static str {
    match word {
        "ssh" => ": write external/ssh (for tests only)",
        "ipmilan" | "drac3" | "bladehpi" => ": write external/ipmi, or fence_ipmilan",
        "apcmaster" | "apcmastersnmp" | "apcsmart" | "wti_nps" | "wti_mpc" | "baytech" | "rps10" | "cyclades" => {
            ": write external/rackpdu or external/nut, or fence_apc, fence_apc_snmp, fence_wti, fence_cyclades"
        }
        "ibmhmc" => ": write external/hmchttp, or fence_lpar",
        "rhcs" => ": write the name of the agent itself, fence_NAME",
        "suicide" => ", and none of them is asked by the node that is to die",
        _ => "",
    }
}

fn parameters_fault(device: &FenceDevice) -> Option<String> {
    let FenceParameters::Words(words) = &device.parameters else {
        return None;
    };
    match device.kind {
        FenceKind::External(_) => None,
        FenceKind::Meatware | FenceKind::Null if device.hosts().is_none_or(|h| h.is_empty()) => Some(format!(
            "{}: the nodes that it is for are missing: write their names",
            device.name()
        )),
        FenceKind::Meatware | FenceKind::Null => None,
        FenceKind::Agent(_) => pairs(words.iter().map(String::as_str)).and_then(|p| plugs(&p)).err(),
    }
}

/// `NAME=VALUE` each. A word that is none is counted, not shown: it may be a password.
fn pairs<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<(String, String)>, String> {
    words
        .enumerate()
        .map(|(i, word)| pair(word).ok_or_else(|| format!("parameter {} is not NAME=VALUE", i + 1)))
        .collect()
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let mut letters = name.chars();
    let good = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    good.then(|| (name.to_owned(), value.to_owned()))
}

/// Lines that say something: of a file of parameters.
fn lines(text: &str) -> Vec<&str> {
    let said = |l: &&str| !l.is_empty() && !l.starts_with('#');
    text.lines().map(str::trim).filter(said).collect()
}

/// The nodes of `hosts=NODE[:PLUG],...`, each with what the device calls it.
pub fn plugs(pairs: &[(String, String)]) -> Result<Vec<(String, Option<String>)>, String> {
    let missing = "hosts=NODE,... is missing: say which nodes this device switches off (NODE:PLUG when the device has \
                   another name for it)";
    let hosts = pairs.iter().find(|(n, _)| n == "hosts").ok_or(missing)?;
    let list: Vec<(String, Option<String>)> = hosts
        .1
        .split([',', ' '])
        .filter(|h| !h.is_empty())
        .map(|h| match h.split_once(':') {
            Some((host, plug)) => (host.to_owned(), Some(plug.to_owned())),
            None => (h.to_owned(), None),
        })
        .collect();
    if list.is_empty() {
        Err(missing.to_owned())
    } else {
        Ok(list)
    }
}

/// The parameters of an agent, from a file (one a line, the value may hold blanks) or from words.
pub fn agent_parameters(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    for (i, line) in lines(text).into_iter().enumerate() {
        match pairs(line.split_ascii_whitespace()) {
            Ok(pairs) => all.extend(pairs),
            Err(_) => all.push(pair(line).ok_or_else(|| format!("parameter {} is not NAME=VALUE", i + 1))?),
        }
    }
    Ok(all)
}

/// The nodes that people reset: names, also behind `hostlist=`.
pub fn people(text: &str) -> Vec<String> {
    let words = lines(text).join(" ");
    let words = words.strip_prefix("hostlist=").unwrap_or(&words);
    words
        .split([',', ' ', '\t'])
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The parameters of an external plugin by name: `NAME=VALUE`, or values in the order of `names`, the last of which
/// takes the rest of the line, as in heartbeat 3.0.6.
pub fn external_parameters(names: &[&str], text: &str) -> Result<Vec<(String, String)>, String> {
    let lines = lines(text);
    let known = |p: &(String, String)| names.contains(&p.0.as_str());
    let all_known = |p: &Vec<(String, String)>| !p.is_empty() && p.iter().all(known);
    if let Some(given) = lines
        .iter()
        .map(|line| {
            let each = pairs(line.split_ascii_whitespace()).ok().filter(all_known);
            each.or_else(|| pair(line).map(|p| vec![p]).filter(all_known))
        })
        .collect::<Option<Vec<_>>>()
        .filter(|given| !given.is_empty())
    {
        return Ok(given.concat());
    }
    let wants = || format!("it takes {} parameter(s): {}", names.len(), names.join(" "));
    let mut rest = match lines[..] {
        [] if names.is_empty() => return Ok(Vec::new()),
        [] => return Err(format!("no parameters are given; {}", wants())),
        [line] => line,
        _ => {
            return Err(format!(
                "the parameters are neither NAME=VALUE, one a line, nor one line of values; {}",
                wants()
            ));
        }
    };
    let mut given = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let end = match i + 1 == names.len() {
            true => rest.len(),
            false => rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len()),
        };
        let (value, more) = rest.split_at(end);
        if value.is_empty() {
            return Err(format!("{i} value(s) are given; {}", wants()));
        }
        given.push(((*name).to_owned(), value.to_owned()));
        rest = more.trim_start();
    }
    if rest.is_empty() {
        Ok(given)
    } else {
        Err(format!("more values are given than it takes; {}", wants()))
    }
}

/// Is the value of this parameter one that nobody but the device may see?
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["pass", "pwd", "secret", "key", "token", "community", "credential"];
    words.iter().any(|w| name.contains(w))
}

/// `stonith TYPE FILE`, for the reader.
pub(super) fn file_fault(file: &str) -> Option<String> {
    values::absolute(file).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn parameters_of_external_plugins_are_named_or_in_order() {
        type Row = (&'static [&'static str], &'static str, Option<Vec<(String, String)>>);
        #[rustfmt::skip]
        let table: [Row; 12] = [
            (&["hostlist"],           "web",                        Some(given(&[("hostlist", "web")]))),
            (&["hostlist"],           "# who\n\n web hello \n",     Some(given(&[("hostlist", "web hello")]))),
            (&["ip", "hostlist"],     "10.0.0.1 web hello",         Some(given(&[("ip", "10.0.0.1"), ("hostlist", "web hello")]))),
            (&["ip", "hostlist"],     "hostlist=web\nip=10.0.0.1",  Some(given(&[("hostlist", "web"), ("ip", "10.0.0.1")]))),
            (&["ip", "hostlist"],     "ip=10.0.0.1 hostlist=web",   Some(given(&[("ip", "10.0.0.1"), ("hostlist", "web")]))),
            (&["hostlist", "opt"],    "hostlist=web hello",         Some(given(&[("hostlist", "web hello")]))),
            (&["ip", "passwd"],       "10.0.0.1 a=b",               Some(given(&[("ip", "10.0.0.1"), ("passwd", "a=b")]))),
            (&["ip", "hostlist"],     "10.0.0.1",                   None),
            (&["ip", "hostlist"],     "",                           None),
            (&["ip"],                 "a\nb",                       None),
            (&[],                     "",                           Some(vec![])),
            (&[],                     "a",                          None),
        ];
        for (names, text, want) in table {
            assert_eq!(external_parameters(names, text).ok(), want, "{names:?} {text:?}");
        }
    }

    #[test]
    fn agents_say_whom_they_switch_off() {
        let of = |text: &str| agent_parameters(text).and_then(|p| plugs(&p));
        assert_eq!(of("ip=1 hosts=web"), Ok(vec![("web".into(), None)]));
        assert_eq!(
            of("hosts=web:3, hello:4\npassword=a b"),
            Ok(vec![
                ("web".into(), Some("3".into())),
                ("hello".into(), Some("4".into()))
            ])
        );
        for bad in ["ip=1", "hosts=", "hosts=web secret-word"] {
            let why = of(bad);
            assert!(bad.starts_with("hosts=web") || why.is_err(), "{bad}: {why:?}");
            assert!(!format!("{why:?}").contains("secret-word") || why.is_ok());
        }
        assert_eq!(people("hostlist=web,hello"), ["web", "hello"]);
        assert_eq!(people("# x\nweb hello\n"), ["web", "hello"]);
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "passwd",
            "password",
            "PASSWORD",
            "snmp_community",
            "ssh_private_key",
            "userpwd",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["hostlist", "ipaddr", "userid", "plug"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
