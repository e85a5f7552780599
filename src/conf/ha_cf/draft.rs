//! What has been read so far, and what one word of a list directive does to it.

use super::fencing::FenceLine;
use super::values::{self, shown};
use super::{AutoFailback, DEFAULTS, HaCf, MediumKind, MediumSpec, NodeKind, NodeSpec};
use crate::conf::access::Accounts;
use crate::ids::LinkName;
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
    pub(super) isolated_takeover: Option<bool>,
    pub(super) use_logd: Option<bool>,
    /// A medium of the file that this version does not have.
    pub(super) foreign_medium: bool,
    pub(super) parameters: BTreeMap<String, String>,
    /// Line where each directive stood last; the defaults are not lines.
    pub(super) seen: BTreeMap<&'static str, usize>,
    /// Directives with a value that was refused: nothing is compared with them.
    pub(super) refused: BTreeSet<&'static str>,
    /// Lines `stonith` and `stonith_host`.
    pub(super) fencing: Vec<FenceLine>,
}

impl Draft {
    pub(super) fn new() -> Self {
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
            autojoin: super::Autojoin::None,
            autojoin_line: 0,
            crm: false,
            uuid_from_name: false,
            resource_timeout: Duration::ZERO,
            vip_lease: true,
            if_answered: super::IfAnswered::Fence,
            isolated_takeover: true,
            tickle: false,
            watchdog: None,
            clients: Vec::new(),
            apiauth: Vec::new(),
            accounts: Accounts::default(),
            fencing: Vec::new(),
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
            isolated_takeover: None,
            use_logd: None,
            foreign_medium: false,
            parameters: BTreeMap::new(),
            seen: BTreeMap::new(),
            refused: BTreeSet::new(),
            fencing: Vec::new(),
        };
        for (name, value, _) in DEFAULTS {
            let read = draft.single(name, value);
            debug_assert!(read.is_ok(), "default of {name}: {read:?}");
            draft.parameters.insert((*name).to_owned(), (*value).to_owned());
        }
        draft
    }

    /// Applies one value of a directive that has a single one.
    pub(super) fn single(&mut self, name: &str, word: &str) -> Result<(), String> {
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
                cf.auto_failback = AutoFailback::parse(word)
                    .ok_or_else(|| format!("\"{}\" is not known: write on, off or legacy", shown(word)))?;
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
            "isolated_takeover" => self.isolated_takeover = Some(values::boolean(word)?),
            "tickle" => cf.tickle = values::boolean(word)?,
            "takeover_if_vip_answers" => {
                cf.if_answered = super::IfAnswered::parse(word)
                    .ok_or_else(|| format!("\"{}\" is not known: write fence, on or off", shown(word)))?;
            }
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
            // Both are done, see run::state.
            "hbgenmethod" => values::one_of(word, &["file", "time"])?,
            "msgfmt" => {
                values::one_of(word, &["classic", "netstring"])?;
                cf.msgfmt_netstring = word == "netstring";
            }
            "compression" => values::one_of(word, &["zlib", "bz2"])?,
            "uuidfrom" => {
                values::one_of(word, &["file", "nodename"])?;
                cf.uuid_from_name = word == "nodename";
            }
            "autojoin" => {
                values::one_of(word, &["none", "other", "any"])?;
                cf.autojoin = match word {
                    "other" => super::Autojoin::Other,
                    "any" => super::Autojoin::Any,
                    _ => super::Autojoin::None,
                };
            }
            // In the classic `respawn` and the others differ in what follows when one of the crm's programs dies.
            "crm" | "pacemaker" => cf.crm = word == "respawn" || values::boolean(word)?,
            // cluster, quorum_server: any word is a name.
            _ => {}
        }
        Ok(())
    }

    /// Applies one word of a directive that may have many. `Ok(Some(text))` is a warning.
    pub(super) fn member(&mut self, name: &'static str, line: usize, word: &str) -> Result<Option<String>, String> {
        match name {
            "node" => self.node(word, NodeKind::Normal, line),
            "ping" => self.ping(word, false, &[(values::host4(word)?, false)], line),
            "ping6" => self.ping(word, false, &[(values::host6(word)?, true)], line),
            "bcast" | "udp" => {
                let dev = values::interface(word)?;
                let warning = self.medium(MediumKind::Bcast { dev }, line);
                let old = || format!("`udp` is the old name: write `bcast {word}`");
                Ok(warning.or_else(|| (name == "udp").then(old)))
            }
            "serial" => {
                let device = values::absolute(word)?;
                link_name(word)?;
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

    pub(super) fn node(&mut self, word: &str, kind: NodeKind, line: usize) -> Result<Option<String>, String> {
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

    /// A ping node of this name, alive as long as one of the hosts (and: is it an IPv6 one?) answers.
    pub(super) fn ping(
        &mut self,
        name: &str,
        group: bool,
        hosts: &[(String, bool)],
        line: usize,
    ) -> Result<Option<String>, String> {
        for (host, _) in hosts {
            link_name(host)?;
        }
        let warning = self.node(name, NodeKind::Ping, line)?;
        if warning.is_some() {
            return Ok(warning);
        }
        let node = self.cf.nodes.last().expect("it was just added").name.clone();
        let mut warning = None;
        for (host, v6) in hosts {
            let kind = MediumKind::Ping {
                node: node.clone(),
                host: host.clone(),
                v6: *v6,
                group,
            };
            warning = self.medium(kind, line).or(warning);
        }
        Ok(warning)
    }

    pub(super) fn medium(&mut self, kind: MediumKind, line: usize) -> Option<String> {
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
}

/// What [`MediumSpec::link`] will be called: found by fuzzing, a control character in the path of a serial line got past.
fn link_name(word: &str) -> Result<(), String> {
    word.parse::<LinkName>()
        .map(drop)
        .map_err(|e: crate::ids::BadName| e.to_string())
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
