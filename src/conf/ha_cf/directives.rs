//! Every directive that heartbeat 3.0.6 knows, and ours.

/// How the rest of a line is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Words separated by blanks or commas; each is applied, and of a single value the last one counts.
    One,
    /// As `One`, but every word adds something.
    Many,
    /// The rest of the line is one argument, commas are no separators.
    Line,
}

/// What this version does with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    Works,
    /// Accepted so that old files go on working, but without effect whatever its value.
    Nothing(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub struct Directive {
    pub name: &'static str,
    pub shape: Shape,
    /// What to write, for complaints.
    pub usage: &'static str,
    pub effect: Effect,
}

const fn row(name: &'static str, shape: Shape, usage: &'static str, effect: Effect) -> Directive {
    Directive {
        name,
        shape,
        usage,
        effect,
    }
}

use Effect::{Nothing, Works};
use Shape::{Line, Many, One};

const NO_CRM: Effect = Nothing("the programs of the crm need no such setting");
const NO_LOGD: Effect = Nothing("there is no logging daemon; write `logfile` or `logfacility`");

#[rustfmt::skip]
pub const DIRECTIVES: &[Directive] = &[
    row("apiauth",                 Line, "apiauth CLIENT [uid=USER,...] [gid=GROUP,...]", Works),
    row("auto_failback",           One,  "auto_failback on|off|legacy",        Works),
    row("autojoin",                One,  "autojoin none|other|any",            Works),
    row("baud",                    One,  "baud RATE",                          Works),
    row("bcast",                   Many, "bcast INTERFACE...",                 Works),
    row("cluster",                 One,  "cluster NAME",                       Works),
    row("compression",             One,  "compression zlib|bz2",               Nothing("messages are never compressed")),
    row("compression_threshold",   One,  "compression_threshold KIBIBYTES",    Nothing("messages are never compressed")),
    row("conn_logd_time",          One,  "conn_logd_time TIME",                NO_LOGD),
    row("coredumps",               One,  "coredumps true|false",               Nothing("the limits of the system decide about core files")),
    row("coreroot",                One,  "coreroot DIRECTORY",                 Nothing("the kernel's core_pattern decides where core files go")),
    row("crm",                     One,  "crm on|off",                            Works),
    row("crm_daemon_dir",          One,  "crm_daemon_dir DIRECTORY",           NO_CRM),
    row("crmd_spawns_pengine",     One,  "crmd_spawns_pengine true|false",     NO_CRM),
    row("deadping",                One,  "deadping TIME",                      Works),
    row("deadtime",                One,  "deadtime TIME",                      Works),
    row("debug",                   One,  "debug LEVEL",                        Works),
    row("debugfile",               One,  "debugfile PATH",                     Works),
    row("enable_config_writes",    One,  "enable_config_writes true|false",    NO_CRM),
    row("env",                     Many, "env NAME=VALUE",                     Works),
    row("failfast",                Line, "failfast USER PROGRAM [ARGUMENT...]", Works),
    row("hbaping",                 Line, "hbaping NAME WWN",                   Nothing("there is no Fibre Channel ping; use `ping ADDRESS`")),
    row("hbgenmethod",             One,  "hbgenmethod file|time",              Works),
    row("hopfudge",                One,  "hopfudge NUMBER",                    Works),
    row("initdead",                One,  "initdead TIME",                      Works),
    row("isolated_takeover",       One,  "isolated_takeover on|off",           Works),
    row("keepalive",               One,  "keepalive TIME",                     Works),
    row("log_badpack",             One,  "log_badpack true|false",             Nothing("bad packets are always logged, a repeated cause once in a while with a count")),
    row("logfacility",             One,  "logfacility FACILITY|none",          Works),
    row("logfile",                 One,  "logfile PATH",                       Works),
    row("max_rexmit_delay",        One,  "max_rexmit_delay MILLISECONDS",      Works),
    row("mcast",                   Line, "mcast INTERFACE GROUP PORT TTL LOOP", Works),
    row("mcast6",                  Line, "mcast6 INTERFACE GROUP PORT HOPS LOOP", Works),
    row("memreserve",              One,  "memreserve KIBIBYTES",               Nothing("memory is locked as it is used")),
    row("msgfmt",                  One,  "msgfmt classic|netstring",           Works),
    row("nice_failback",           One,  "auto_failback on|off",               Works),
    row("node",                    Many, "node NAME...",                       Works),
    row("normalpoll",              One,  "normalpoll true|false",              Nothing("there is one way to poll")),
    row("pacemaker",               One,  "pacemaker on|off",                      Works),
    row("ping",                    Many, "ping ADDRESS...",                    Works),
    row("ping6",                   Many, "ping6 ADDRESS...",                   Works),
    row("ping_group",              Line, "ping_group NAME ADDRESS...",         Works),
    row("quorum_server",           One,  "quorum_server HOST",                 Nothing("there is no quorum server client")),
    row("rds",                     Line, "rds ADDRESS",                        Nothing("there is no such medium; use bcast, ucast, mcast or serial")),
    row("realtime",                One,  "realtime true|false",                Works),
    row("record_config_changes",   One,  "record_config_changes true|false",   NO_CRM),
    row("record_pengine_inputs",   One,  "record_pengine_inputs true|false",   NO_CRM),
    row("resource_timeout",        One,  "resource_timeout TIME",              Works),
    row("respawn",                 Line, "respawn USER PROGRAM [ARGUMENT...]", Works),
    row("rtprio",                  One,  "rtprio PRIORITY",                    Works),
    row("serial",                  Many, "serial DEVICE...",                   Works),
    row("stonith",                 Line, "stonith TYPE FILE",                  Works),
    row("stonith_host",            Line, "stonith_host HOST TYPE PARAMETER...", Works),
    row("syslogmsgfmt",            One,  "syslogmsgfmt true|false",            Works),
    row("takeover_if_vip_answers", One,  "takeover_if_vip_answers fence|on|off", Works),
    row("tickle",                  One,  "tickle on|off",                      Works),
    row("tipc",                    Many, "tipc NAME",                          Nothing("there is no such medium; use bcast, ucast, mcast or serial")),
    row("traditional_compression", One,  "traditional_compression true|false", Nothing("messages are never compressed")),
    row("ucast",                   Line, "ucast INTERFACE ADDRESS",            Works),
    row("ucast6",                  Line, "ucast6 INTERFACE ADDRESS",           Works),
    row("udp",                     Many, "bcast INTERFACE...",                 Works),
    row("udpport",                 One,  "udpport PORT",                       Works),
    row("use_apphbd",              One,  "use_apphbd off",                     Works),
    row("use_logd",                One,  "use_logd off",                       Works),
    row("uuidfrom",                One,  "uuidfrom file|nodename",             Works),
    row("vip_lease",               One,  "vip_lease on|off",                   Works),
    row("warntime",                One,  "warntime TIME",                      Works),
    row("watchdog",                One,  "watchdog DEVICE",                    Works),
];

pub(super) fn find(name: &str) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|d| d.name == name)
}

/// What to say about a word that is no directive: the nearest one when it is near enough to be a slip.
pub(super) fn unknown(word: &str) -> String {
    let shown: String = word.chars().take(40).collect::<String>().escape_debug().to_string();
    if word == "ppp-udp" {
        return "`ppp-udp` is gone since heartbeat 2: write `serial DEVICE`, or `bcast ppp0` over a running PPP link"
            .to_owned();
    }
    let lower = word.to_ascii_lowercase().replace('-', "_");
    let best = DIRECTIVES
        .iter()
        .map(|d| (distance(&lower, d.name), d))
        .min_by_key(|(n, _)| *n)
        .filter(|(n, d)| word.len() <= 40 && *n <= 1 + d.name.len() / 4);
    match best {
        Some((_, d)) => format!("\"{shown}\" is not a directive: did you mean `{}`?", d.usage),
        None => format!("\"{shown}\" is not a directive: ha.cf(5) lists them; remove the line or put # before it"),
    }
}

/// Letters to insert, delete or exchange to get from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(60).collect(), b.chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_name_twice() {
        assert!(DIRECTIVES.windows(2).all(|w| w[0].name < w[1].name));
    }

    #[test]
    fn slips_get_the_nearest_directive() {
        #[rustfmt::skip]
        let table = [
            ("keepalve",      "keepalive TIME"),
            ("Keepalive",     "keepalive TIME"),
            ("dead_time",     "deadtime TIME"),
            ("nodes",         "node NAME"),
            ("auto-failback", "auto_failback on|off|legacy"),
            ("brcast",        "bcast INTERFACE"),
            ("ppp-udp",       "bcast ppp0"),
            ("foo_bar_zap",   "ha.cf(5)"),
        ];
        for (word, says) in table {
            assert!(unknown(word).contains(says), "{word}: {}", unknown(word));
        }
    }
}
