//! What only the whole file can tell: values that must fit each other, the own node, the order of lines.

use super::draft::Draft;
use super::fencing;
use super::whole_line::CLIENT_PATIENCE;
use super::{AutoFailback, Autojoin, ClientLine, HaCf, MediumKind, MediumSpec, NodeKind, NodeSpec};
use crate::conf::{Complaints, access};
use crate::ids::NodeName;
use crate::time::Duration;

/// A boot may take this long until the network works (heartbeat 3.0.6 warns below it).
const SHORT_INITDEAD: Duration = Duration::from_secs(10);

/// A crmd ends when the resources of its node are down. It gives up by itself before this (`shutdown-escalation`).
const CRMD_PATIENCE: Duration = Duration::from_secs(30 * 60);

pub(super) fn finish(mut draft: Draft, me: &NodeName, bad: &mut Complaints) -> HaCf {
    times(&mut draft, bad);
    joining(&mut draft, me);
    nodes(&draft, me, bad);
    media(&draft, bad);
    failback(&mut draft, bad);
    logs(&draft, bad);
    takeovers(&mut draft, bad);
    let mut cf = draft.cf;
    if cf.crm {
        let line = draft.seen.get("crm").or(draft.seen.get("pacemaker"));
        cf.clients.extend(crm(line.copied().unwrap_or(0)));
    }
    cf.apiauth = access::with_defaults(std::mem::take(&mut cf.apiauth));
    cf.fencing = fencing::devices(draft.fencing, me, bad);
    cf.parameters = draft.parameters.into_iter().collect();
    cf
}

/// The programs of the crm, as if they had `respawn` lines after all others: so they are stopped before them.
fn crm(line: usize) -> impl Iterator<Item = ClientLine> {
    let program = move |(user, path, patience): (&str, &str, Duration)| ClientLine {
        failfast: false,
        user: user.to_owned(),
        program: path.into(),
        args: Vec::new(),
        line,
        patience,
    };
    let all = [
        ("root", "/usr/lib/heartbeat/lrmd", CLIENT_PATIENCE),
        (access::OWN_USER, "/usr/lib/heartbeat/crmd", CRMD_PATIENCE),
    ];
    all.into_iter().map(program)
}

/// A node that hears nobody at all is cut off, not alone: where there is somebody to hear, the default is to wait.
fn takeovers(draft: &mut Draft, bad: &mut Complaints) {
    let pings = draft.cf.nodes.iter().any(|n| n.kind == NodeKind::Ping);
    draft.cf.isolated_takeover = draft.isolated_takeover.unwrap_or(!pings);
    if draft.isolated_takeover == Some(false) && !pings {
        bad.warn(
            draft.seen.get("isolated_takeover").copied().unwrap_or(0),
            "isolated_takeover off has no effect without ping nodes: write `ping ADDRESS`, for instance of the router"
                .to_owned(),
        );
    }
    let word = if draft.cf.isolated_takeover { "on" } else { "off" };
    let shown = draft.parameters.entry("isolated_takeover".to_owned());
    shown.or_insert_with(|| word.to_owned());
    if draft.cf.tickle && draft.cf.media.iter().all(|m| m.is_serial() || m.is_ping()) {
        bad.warn(
            draft.seen.get("tickle").copied().unwrap_or(0),
            "tickle: the list of connections is not sent over serial lines, and there is no other medium".to_owned(),
        );
    }
}

fn written(t: Duration) -> String {
    format!("{}ms", t.as_millis())
}

/// As heartbeat 3.0.6: deadtime when it is long, 12 s when it is very short, twice deadtime between.
fn default_initdead(deadtime: Duration) -> Duration {
    if deadtime > Duration::from_secs(10) {
        deadtime
    } else if deadtime < Duration::from_secs(6) {
        Duration::from_secs(12)
    } else {
        deadtime * 2
    }
}

fn times(draft: &mut Draft, bad: &mut Complaints) {
    let (keepalive, deadtime) = (draft.cf.keepalive, draft.cf.deadtime);
    draft.cf.warntime = draft.warntime.unwrap_or(deadtime / 2);
    draft.cf.initdead = draft.initdead.unwrap_or_else(|| default_initdead(deadtime));
    draft.cf.deadping = draft.deadping.unwrap_or(deadtime);
    let computed = [
        ("warntime", draft.cf.warntime),
        ("initdead", draft.cf.initdead),
        ("deadping", draft.cf.deadping),
    ];
    for (name, value) in computed {
        draft
            .parameters
            .entry(name.to_owned())
            .or_insert_with(|| written(value));
    }
    let draft = &*draft;
    let known = |names: &[&str]| names.iter().all(|n| !draft.refused.contains(n));
    let line = |names: &[&str]| names.iter().find_map(|n| draft.seen.get(n)).copied().unwrap_or(0);
    let (warntime, initdead, deadping) = (draft.cf.warntime, draft.cf.initdead, draft.cf.deadping);
    if known(&["keepalive", "deadtime"]) && deadtime <= keepalive * 2 {
        bad.error(
            line(&["deadtime", "keepalive"]),
            format!(
                "deadtime: {} is too short for a keepalive of {}: one lost beat would be a dead node; write more than {}",
                written(deadtime),
                written(keepalive),
                written(keepalive * 2)
            ),
        );
    }
    if draft.deadping.is_some() && known(&["keepalive", "deadping"]) && deadping <= keepalive * 2 {
        bad.error(
            line(&["deadping"]),
            format!(
                "deadping: {} is too short for a keepalive of {}: write more than {}",
                written(deadping),
                written(keepalive),
                written(keepalive * 2)
            ),
        );
    }
    if known(&["initdead", "deadtime"]) && initdead < deadtime {
        bad.error(
            line(&["initdead"]),
            format!(
                "initdead: {} is shorter than deadtime ({}): write at least that, better twice as much",
                written(initdead),
                written(deadtime)
            ),
        );
    } else if draft.initdead.is_some() && known(&["initdead"]) && initdead < SHORT_INITDEAD {
        bad.warn(
            line(&["initdead"]),
            format!(
                "initdead: {} is short: after a boot the network may need longer, and this node would take over what \
                 the other one holds; write at least 10",
                written(initdead)
            ),
        );
    }
    if draft.warntime.is_some() && known(&["warntime", "deadtime"]) && warntime >= deadtime {
        bad.warn(
            line(&["warntime"]),
            format!(
                "warntime: {} is not below deadtime ({}): a late beat is never told; write about half of deadtime",
                written(warntime),
                written(deadtime)
            ),
        );
    } else if draft.warntime.is_some() && known(&["warntime", "keepalive"]) && warntime <= keepalive {
        bad.warn(
            line(&["warntime"]),
            format!(
                "warntime: {} is not above keepalive ({}): every beat would be late; write more than that",
                written(warntime),
                written(keepalive)
            ),
        );
    }
}

/// `autojoin any` needs no node line for this node: it is one all the same.
fn joining(draft: &mut Draft, me: &NodeName) {
    draft.cf.autojoin_line = draft.seen.get("autojoin").copied().unwrap_or(0);
    if draft.cf.autojoin == Autojoin::Any && !draft.cf.nodes.iter().any(|n| n.name == *me) {
        draft.cf.nodes.push(NodeSpec {
            name: me.clone(),
            kind: NodeKind::Normal,
            line: 0,
        });
    }
}

fn nodes(draft: &Draft, me: &NodeName, bad: &mut Complaints) {
    let normal: Vec<&NodeName> = draft.cf.normal_nodes().collect();
    if normal.is_empty() {
        if !draft.refused.contains("node") {
            bad.error(
                0,
                format!("no node is named: write `node {me}` and a node line for the other machine"),
            );
        }
        return;
    }
    if normal.contains(&me) {
        return;
    }
    let names: Vec<&str> = normal.iter().map(|n| n.as_str()).collect();
    let short = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
    let hint = match normal.iter().find(|n| short(n.as_str()) == short(me.as_str())) {
        Some(near) => format!("{near} and {me} are different names: "),
        None => String::new(),
    };
    let line = draft
        .cf
        .nodes
        .iter()
        .find(|n| n.kind == NodeKind::Normal)
        .map_or(0, |n| n.line);
    bad.error(
        line,
        format!(
            "this node is called {me} (uname -n), the file names {}: {hint}write `node {me}`, or put the name of the \
             file into /etc/ha.d/nodeinfo",
            names.join(", ")
        ),
    );
}

fn media(draft: &Draft, bad: &mut Complaints) {
    let kinds = ["bcast", "udp", "ucast", "mcast", "ucast6", "mcast6", "serial"];
    if draft.cf.media.iter().all(MediumSpec::is_ping) && kinds.iter().all(|k| !draft.refused.contains(k)) {
        let text = if draft.foreign_medium {
            "no medium that this version has: add a line such as `bcast eth0`, `ucast eth0 ADDRESS` or `serial /dev/ttyS0`"
        } else {
            "no medium is named: write at least one line such as `bcast eth0`, `ucast eth0 ADDRESS` or `serial /dev/ttyS0`"
        };
        bad.error(0, text);
    }
    // Values count from their line on, as in the classic: say so where it makes a difference.
    for medium in &draft.cf.media {
        let (name, now, then) = match medium.kind {
            MediumKind::Serial { baud, .. } => ("baud", draft.baud, baud),
            MediumKind::Mcast { .. } | MediumKind::Mcast6 { .. } | MediumKind::Ping { .. } => continue,
            MediumKind::Bcast { .. } | MediumKind::Ucast { .. } | MediumKind::Ucast6 { .. } => {
                ("udpport", u32::from(draft.port), u32::from(medium.port))
            }
        };
        if now == then || draft.refused.contains(name) {
            continue;
        }
        let line = draft.seen.get(name).copied().unwrap_or(0);
        bad.warn(
            medium.line,
            format!(
                "{} {}: uses {name} {then}, because `{name} {now}` comes later (line {line}): move that line above this one",
                medium.medium(),
                medium.link()
            ),
        );
    }
}

fn failback(draft: &mut Draft, bad: &mut Complaints) {
    let auto = draft.seen.get("auto_failback").copied();
    if let (Some(nice), Some(&line)) = (draft.nice_failback, draft.seen.get("nice_failback")) {
        let (mode, word) = if nice {
            (AutoFailback::Off, "off")
        } else {
            (AutoFailback::Legacy, "legacy")
        };
        match auto {
            Some(other) => bad.warn(
                line,
                format!("nice_failback: obsolete and ignored, auto_failback in line {other} counts: remove this line"),
            ),
            None => {
                draft.cf.auto_failback = mode;
                draft.parameters.insert("auto_failback".to_owned(), word.to_owned());
                bad.warn(
                    line,
                    format!(
                        "nice_failback: obsolete, taken as `auto_failback {word}`: write that instead \
                         (heartbeat 3.0.6 would take it as legacy)"
                    ),
                );
            }
        }
    } else if auto.is_none() && !draft.refused.contains("auto_failback") && !draft.refused.contains("nice_failback") {
        bad.warn(
            0,
            "auto_failback is not set, legacy is used: write `auto_failback on` (groups go home when their node is \
             back) or `auto_failback off` (they stay)",
        );
    }
}

fn logs(draft: &Draft, bad: &mut Complaints) {
    let cf = &draft.cf;
    let refused = ["logfile", "debugfile", "logfacility"]
        .iter()
        .any(|n| draft.refused.contains(n));
    if refused || cf.logfile.is_some() || cf.debugfile.is_some() || cf.logfacility.is_some() {
        return;
    }
    if draft.use_logd == Some(false) {
        bad.error(
            draft.seen.get("use_logd").copied().unwrap_or(0),
            "use_logd: off, and there is no other log: write `logfacility local0` or `logfile /var/log/ha-log`",
        );
    } else {
        bad.warn(
            0,
            "no log is named: write `logfacility local0` (syslog) or `logfile /var/log/ha-log`",
        );
    }
}
