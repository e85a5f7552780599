//! Line by line: each directive with its words goes into the draft of an `HaCf`.

use super::directives::{self, Directive, Effect, Shape};
use super::values::{self, shown};
use super::{AutoFailback, ClientLine, DEFAULTS, HaCf, MediumKind, MediumSpec, NodeKind, NodeSpec};
use crate::conf::{Complaints, lines};
use crate::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// What has been read so far.
pub(super) struct Draft {
    pub(super) cf: HaCf,
    pub(super) warntime: Option<Duration>,
    pub(super) initdead: Option<Duration>,
    pub(super) deadping: Option<Duration>,
    /// In force for the media lines that follow.
    pub(super) port: u16,
    pub(super) baud: u32,
    pub(super) nice_failback: Option<bool>,
    pub(super) use_logd: Option<bool>,
    /// A medium of the file that this version does not have.
    pub(super) foreign_medium: bool,
    pub(super) parameters: BTreeMap<String, String>,
    /// Line where each directive stood last; the defaults are not lines.
    pub(super) seen: BTreeMap<&'static str, usize>,
    /// Directives with a value that was refused: nothing is compared with them.
    pub(super) refused: BTreeSet<&'static str>,
    apiauth: BTreeMap<String, usize>,
}

impl Draft {
    fn new() -> Self {
        let cf = HaCf {
            nodes: Vec::new(),
            media: Vec::new(),
            keepalive: Duration::ZERO,
            deadtime: Duration::ZERO,
            warntime: Duration::ZERO,
            initdead: Duration::ZERO,
            deadping: Duration::ZERO,
            max_rexmit_delay: Duration::ZERO,
            hopfudge: 0,
            auto_failback: AutoFailback::default(),
            msgfmt_netstring: false,
            logfile: None,
            debugfile: None,
            logfacility: None,
            syslogmsgfmt: true,
            debug: 0,
            realtime: true,
            rtprio: 1,
            generation_from_time: false,
            resource_timeout: Duration::ZERO,
            vip_lease: true,
            watchdog: None,
            clients: Vec::new(),
            env: Vec::new(),
            parameters: Vec::new(),
        };
        let mut draft = Self {
            cf,
            warntime: None,
            initdead: None,
            deadping: None,
            port: 0,
            baud: 0,
            nice_failback: None,
            use_logd: None,
            foreign_medium: false,
            parameters: BTreeMap::new(),
            seen: BTreeMap::new(),
            refused: BTreeSet::new(),
            apiauth: BTreeMap::new(),
        };
        for (name, value, _) in DEFAULTS {
            let read = draft.single(name, value);
            debug_assert!(read.is_ok(), "default of {name}: {read:?}");
            draft.parameters.insert((*name).to_owned(), (*value).to_owned());
        }
        draft
    }

    /// Applies one value of a directive that has a single one.
    fn single(&mut self, name: &str, word: &str) -> Result<(), String> {
        let cf = &mut self.cf;
        match name {
            "keepalive" => cf.keepalive = values::time_above_zero(word)?,
            "deadtime" => cf.deadtime = values::time_above_zero(word)?,
            "warntime" => self.warntime = Some(values::time_above_zero(word)?),
            "initdead" => self.initdead = Some(values::time(word)?),
            "deadping" => self.deadping = Some(values::time(word)?),
            "resource_timeout" => cf.resource_timeout = values::time_above_zero(word)?,
            "conn_logd_time" => drop(values::time(word)?),
            "max_rexmit_delay" => {
                // The classic's unit is the millisecond here, without saying so.
                let digits = word.strip_suffix("ms").unwrap_or(word);
                let ms = values::number(digits, 1, 3_600_000).map_err(|e| format!("{e} (milliseconds)"))?;
                cf.max_rexmit_delay = Duration::from_millis(ms);
            }
            "udpport" => self.port = values::number(word, 1, u16::MAX)?,
            "baud" => self.baud = values::baud(word)?,
            "hopfudge" => cf.hopfudge = values::number(word, 0, u8::MAX)?,
            "debug" => cf.debug = values::number(word, 0, u8::MAX)?,
            "rtprio" => cf.rtprio = values::number(word, 1, 99)?,
            "memreserve" | "compression_threshold" => drop(values::number::<u32>(word, 1, i32::MAX as u32)?),
            "auto_failback" => {
                cf.auto_failback = match (word, values::boolean(word)) {
                    ("legacy", _) => AutoFailback::Legacy,
                    (_, Ok(true)) => AutoFailback::On,
                    (_, Ok(false)) => AutoFailback::Off,
                    _ => return Err(format!("\"{}\" is not known: write on, off or legacy", shown(word))),
                }
            }
            "nice_failback" => self.nice_failback = Some(values::boolean(word)?),
            "logfile" => cf.logfile = Some(values::absolute(word)?),
            "debugfile" => cf.debugfile = Some(values::absolute(word)?),
            "logfacility" => cf.logfacility = values::facility(word)?,
            "use_logd" => self.use_logd = Some(values::boolean(word)?),
            "watchdog" => cf.watchdog = Some(values::absolute(word)?),
            "coreroot" | "crm_daemon_dir" => drop(values::absolute(word)?),
            "syslogmsgfmt" => cf.syslogmsgfmt = values::boolean(word)?,
            "realtime" => cf.realtime = values::boolean(word)?,
            "vip_lease" => cf.vip_lease = values::boolean(word)?,
            "log_badpack"
            | "coredumps"
            | "traditional_compression"
            | "normalpoll"
            | "use_apphbd"
            | "crmd_spawns_pengine"
            | "record_config_changes"
            | "record_pengine_inputs"
            | "enable_config_writes" => {
                let _ = values::boolean(word)?;
            }
            "hbgenmethod" => {
                values::one_of(word, &["file", "time"])?;
                cf.generation_from_time = word == "time";
            }
            "msgfmt" => {
                values::one_of(word, &["classic", "netstring"])?;
                cf.msgfmt_netstring = word == "netstring";
            }
            "compression" => values::one_of(word, &["zlib", "bz2"])?,
            "uuidfrom" => values::one_of(word, &["file", "nodename"])?,
            "autojoin" => {
                values::one_of(word, &["none", "other", "any"])?;
                if word != "none" {
                    return Err(format!(
                        "`autojoin {word}` does not go together with haresources: write `autojoin none` and a node line"
                    ));
                }
            }
            "crm" | "pacemaker" => {
                if values::boolean(word) != Ok(false) {
                    return Err(format!(
                        "the cluster resource manager is not built yet: write `{name} off` and use haresources"
                    ));
                }
            }
            // cluster, quorum_server: any word is a name.
            _ => {}
        }
        Ok(())
    }

    /// Applies one word of a directive that may have many. `Ok(Some(text))` is a warning.
    fn member(&mut self, name: &'static str, line: usize, word: &str) -> Result<Option<String>, String> {
        match name {
            "node" => self.node(word, NodeKind::Normal, line),
            "ping" => self.node(&values::host4(word)?, NodeKind::Ping, line),
            "ping6" => self.node(&values::host6(word)?, NodeKind::Ping, line),
            "bcast" | "udp" => {
                let dev = values::interface(word)?;
                let warning = self.medium(MediumKind::Bcast { dev }, line);
                let old = || format!("`udp` is the old name: write `bcast {word}`");
                Ok(warning.or_else(|| (name == "udp").then(old)))
            }
            "serial" => {
                let device = values::absolute(word)?;
                let baud = self.baud;
                Ok(self.medium(MediumKind::Serial { device, baud }, line))
            }
            "env" => match word.split_once('=') {
                Some((key, value)) if is_variable(key) => {
                    self.cf.env.retain(|(k, _)| k != key);
                    self.cf.env.push((key.to_owned(), value.to_owned()));
                    Ok(None)
                }
                _ => Err(format!(
                    "\"{}\" is not NAME=VALUE (blanks and commas separate: a value cannot hold them)",
                    shown(word)
                )),
            },
            _ => {
                self.foreign_medium |= name == "tipc";
                Ok(None)
            }
        }
    }

    fn node(&mut self, word: &str, kind: NodeKind, line: usize) -> Result<Option<String>, String> {
        let name = word.parse().map_err(|e: crate::ids::BadName| e.to_string())?;
        if let Some(before) = self.cf.nodes.iter().find(|n| n.name == name) {
            if before.kind != kind {
                return Err(format!(
                    "{name} is a node and a ping node (line {}): remove one of them",
                    before.line
                ));
            }
            return Ok(Some(format!(
                "{name} is already in line {}: remove it here",
                before.line
            )));
        }
        self.cf.nodes.push(NodeSpec { name, kind, line });
        Ok(None)
    }

    fn medium(&mut self, kind: MediumKind, line: usize) -> Option<String> {
        let spec = MediumSpec {
            kind,
            port: self.port,
            line,
        };
        if let Some(before) = self.cf.media.iter().find(|m| m.kind == spec.kind) {
            return Some(format!(
                "the same {} {} is already in line {}: this one is ignored, remove it",
                spec.medium(),
                spec.link(),
                before.line
            ));
        }
        self.cf.media.push(spec);
        None
    }

    /// Applies the whole rest of a line. `Ok(Some(text))` is a warning.
    fn whole_line(&mut self, name: &str, line: usize, words: &[&str]) -> Result<Option<String>, String> {
        let extra = |words: &[&str]| match words {
            [] => None,
            [word, ..] => Some(format!("\"{}\" and what follows is ignored: remove it", shown(word))),
        };
        match (name, words) {
            ("ucast", [dev, to, rest @ ..]) => {
                let (dev, to) = (values::interface(dev)?, values::host4(to)?);
                let warning = self.medium(MediumKind::Ucast { dev, to }, line);
                Ok(warning.or_else(|| extra(rest)))
            }
            ("ucast6", [dev, to, rest @ ..]) => {
                let (dev, to) = (values::interface(dev)?, values::host6(to)?);
                let warning = self.medium(MediumKind::Ucast6 { dev, to }, line);
                Ok(warning.or_else(|| extra(rest)))
            }
            ("mcast", [dev, group, port, ttl, own, rest @ ..]) => {
                let kind = MediumKind::Mcast {
                    dev: values::interface(dev)?,
                    group: values::group4(group)?,
                    port: values::number(port, 1, u16::MAX).map_err(|e| format!("port: {e}"))?,
                    ttl: values::number(ttl, 0, 4).map_err(|e| format!("time to live: {e}"))?,
                    loopback: values::number::<u8>(own, 0, 1).map_err(|e| format!("loop: {e}"))? == 1,
                };
                Ok(self.medium(kind, line).or_else(|| extra(rest)))
            }
            ("mcast6", [dev, group, port, hops, own, rest @ ..]) => {
                let kind = MediumKind::Mcast6 {
                    dev: values::interface(dev)?,
                    group: values::group6(group)?,
                    port: values::number(port, 1, u16::MAX).map_err(|e| format!("port: {e}"))?,
                    hops: values::number(hops, 0, u8::MAX).map_err(|e| format!("hops: {e}"))?,
                    loopback: values::number::<u8>(own, 0, 1).map_err(|e| format!("loop: {e}"))? == 1,
                };
                Ok(self.medium(kind, line).or_else(|| extra(rest)))
            }
            ("mcast", given) => Err(missing(
                given,
                &["interface", "group", "port", "time to live", "loop (0 or 1)"],
            )),
            ("mcast6", given) => Err(missing(given, &["interface", "group", "port", "hops", "loop (0 or 1)"])),
            ("ucast" | "ucast6", given) => Err(missing(given, &["interface", "address"])),
            ("ping_group", [group, hosts @ ..]) if !hosts.is_empty() => {
                for host in hosts {
                    values::host4(host)?;
                }
                self.node(group, NodeKind::Ping, line)
            }
            ("ping_group", given) => Err(missing(given, &["name of the group", "addresses"])),
            ("respawn" | "failfast", [user, program, args @ ..]) => {
                self.cf.clients.push(ClientLine {
                    failfast: name == "failfast",
                    user: (*user).to_owned(),
                    program: values::absolute(program)?,
                    args: args.iter().map(|w| (*w).to_owned()).collect(),
                    line,
                });
                Ok(None)
            }
            ("respawn" | "failfast", given) => Err(missing(given, &["user", "program"])),
            ("apiauth", [client, lists @ ..]) => self.apiauth(client, lists, line),
            ("stonith", [_, file, rest @ ..]) => {
                values::absolute(file)?;
                Ok(extra(rest))
            }
            ("stonith", given) => Err(missing(given, &["type", "file"])),
            ("stonith_host", [_, _, ..]) => Ok(None),
            ("stonith_host", given) => Err(missing(given, &["host", "type"])),
            ("apiauth", []) => Err("the client is missing".to_owned()),
            (_, given) => {
                self.foreign_medium |= name == "rds";
                if given.is_empty() {
                    Err("its value is missing".to_owned())
                } else {
                    Ok(None)
                }
            }
        }
    }

    fn apiauth(&mut self, client: &str, lists: &[&str], line: usize) -> Result<Option<String>, String> {
        if let Some(before) = self.apiauth.insert(client.to_owned(), line) {
            return Err(format!(
                "client {} is already in line {before}: write one line a client",
                shown(client)
            ));
        }
        for list in lists {
            let names = list.strip_prefix("uid=").or_else(|| list.strip_prefix("gid="));
            if names.is_none_or(|n| n.is_empty() || n.split(',').any(str::is_empty)) {
                return Err(format!(
                    "\"{}\" is neither uid=NAME,... nor gid=NAME,... (no blanks)",
                    shown(list)
                ));
            }
        }
        if lists.is_empty() {
            return Err(format!("client {} has no list: write who may use it", shown(client)));
        }
        Ok(None)
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn missing(given: &[&str], wanted: &[&str]) -> String {
    format!("missing: {}", wanted[given.len().min(wanted.len() - 1)..].join(", "))
}

/// Reads all lines; what only the whole file can tell is left to `whole`.
pub(super) fn read(text: &str, bad: &mut Complaints) -> Draft {
    let mut draft = Draft::new();
    for (number, raw) in lines(text) {
        bad.long_line(number, raw);
        let content = raw.split('#').next().unwrap_or("");
        let content = content.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        let end = content
            .find(|c: char| c.is_ascii_whitespace() || c == ',')
            .unwrap_or(content.len());
        let (name, rest) = content.split_at(end);
        if name.is_empty() {
            continue;
        }
        match directives::find(name) {
            Some(directive) => line(&mut draft, directive, number, rest, bad),
            None => bad.error(number, directives::unknown(name)),
        }
    }
    draft
}

fn line(draft: &mut Draft, directive: &'static Directive, number: usize, rest: &str, bad: &mut Complaints) {
    let (name, usage) = (directive.name, directive.usage);
    let refuse = |draft: &mut Draft, bad: &mut Complaints, why: String| {
        draft.refused.insert(name);
        bad.error(number, format!("{name}: {why}; the form is `{usage}`"));
    };
    let words: Vec<&str> = match directive.shape {
        Shape::Line => rest.split_ascii_whitespace().collect(),
        Shape::One | Shape::Many => {
            let blank = |c: char| c.is_ascii_whitespace() || c == ',';
            rest.split(blank).filter(|w| !w.is_empty()).collect()
        }
    };
    if words.is_empty() && directive.shape != Shape::Line {
        bad.warn(
            number,
            format!("{name}: without a value it does nothing; write `{usage}`"),
        );
        return;
    }
    match directive.shape {
        Shape::One => {
            repeated(draft, directive, number, &words, bad);
            for word in &words {
                match draft.single(name, word) {
                    Ok(()) if matches!(name, "nice_failback" | "use_apphbd") => {}
                    Ok(()) => drop(draft.parameters.insert(name.to_owned(), (*word).to_owned())),
                    Err(why) => refuse(draft, bad, why),
                }
            }
        }
        Shape::Many => {
            for word in &words {
                match draft.member(name, number, word) {
                    Ok(None) => {}
                    Ok(Some(text)) => bad.warn(number, format!("{name}: {text}")),
                    Err(why) => refuse(draft, bad, why),
                }
            }
        }
        Shape::Line => match draft.whole_line(name, number, &words) {
            Ok(None) => {}
            Ok(Some(text)) => bad.warn(number, format!("{name}: {text}")),
            Err(why) => refuse(draft, bad, why),
        },
    }
    if !draft.refused.contains(name) {
        no_effect(directive, number, &words, bad);
    }
    draft.seen.insert(name, number);
}

/// One value, written twice.
fn repeated(draft: &Draft, directive: &Directive, number: usize, words: &[&str], bad: &mut Complaints) {
    let name = directive.name;
    let last = words.last().copied().unwrap_or("");
    let before = match name {
        "crm" | "pacemaker" => draft.seen.get("crm").or(draft.seen.get("pacemaker")),
        _ => draft.seen.get(name),
    };
    let once = matches!(name, "baud" | "watchdog" | "crm" | "pacemaker");
    match before {
        Some(before) if once => bad.error(number, format!("{name}: already in line {before}: keep one of the two")),
        Some(before) => {
            bad.warn(
                number,
                format!(
                    "{name}: already in line {before}: \"{}\" counts, remove the other",
                    shown(last)
                ),
            );
        }
        None if words.len() > 1 && once => bad.error(number, format!("{name}: takes one value: keep one of them")),
        None if words.len() > 1 => {
            bad.warn(
                number,
                format!("{name}: takes one value: \"{}\" counts, remove the others", shown(last)),
            );
        }
        None => {}
    }
}

/// Says what an accepted directive does not do. A value that is the default asks for nothing: silence.
fn no_effect(directive: &Directive, number: usize, words: &[&str], bad: &mut Complaints) {
    let Some(last) = words.last() else { return };
    let name = directive.name;
    match (name, directive.effect) {
        ("use_logd", _) if values::boolean(last) == Ok(true) => {
            bad.warn(
                number,
                "use_logd: there is no logging daemon, it has no effect: write `logfile` or `logfacility`",
            );
        }
        ("use_apphbd", _) if values::boolean(last) == Ok(true) => {
            bad.warn(
                number,
                "use_apphbd: there is no apphbd, it has no effect: write `use_apphbd off`",
            );
        }
        (_, Effect::Nothing(why)) => {
            let default = DEFAULTS.iter().find(|d| d.0 == name).map(|d| d.1);
            let same = default.is_some_and(|d| {
                d == *last || (directive.usage.contains("true|false") && values::boolean(d) == values::boolean(last))
            });
            if !same {
                bad.warn(number, format!("{name}: accepted, but without effect: {why}"));
            }
        }
        (_, Effect::Works) => {}
    }
}
