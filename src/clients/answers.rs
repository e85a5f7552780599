//! Questions and their answers, field by field as heartbeat 3.0.6 gives them.

use super::request::{self, answer, field, refusal};
use super::status;
use crate::conf::ha_cf::NodeKind;
use crate::daemon::view::{NodeView, View};
use crate::ids::NodeName;
use crate::msg::{Message, Value, fields};
use crate::time::Duration;

/// What `hbversion` says.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An answer that says nothing but `OK`.
pub fn done(reqtype: &str) -> Message {
    answer(reqtype).with(fields::RESULT, request::OK)
}

fn done_with(reqtype: &str, name: &str, value: Value) -> Message {
    answer(reqtype).with(name, value).with(fields::RESULT, request::OK)
}

/// The answer to a sign-on that was accepted.
pub fn sign_on(view: &View<'_>) -> Message {
    let hex_ms = |d: Duration| format!("{:x}", d.as_millis());
    done(request::SIGNON)
        .with(field::DEADTIME, hex_ms(view.cf.deadtime))
        .with(field::KEEPALIVE, hex_ms(view.cf.keepalive))
        .with(fields::NODE, view.me.as_str())
        .with(field::HBVERSION, VERSION)
        .with(field::PACEMAKER, "false")
        .with(field::LOGFACILITY, facility(view.cf.logfacility.as_deref()).to_string())
}

/// The number of a syslog facility, already shifted as syslog(3) wants it; -1 for none.
fn facility(name: Option<&str>) -> i32 {
    const NAMES: [&str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "",
        "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ];
    let name = name.filter(|n| !n.is_empty());
    (0i32..)
        .zip(NAMES)
        .find(|(_, n)| Some(*n) == name)
        .map_or(-1, |(i, _)| i << 3)
}

/// Everything that asks and changes nothing.
pub fn question(reqtype: &str, message: &Message, view: &View<'_>) -> Vec<Message> {
    let ok = |name: &str, value: &str| answer(reqtype).with(name, value).with(fields::RESULT, request::OK);
    let about_node = |say: &dyn Fn(&NodeView) -> Message| match find(view, message) {
        Some(node) => say(node),
        None => refusal(reqtype, request::EINVAL),
    };
    let one = match reqtype {
        request::NODELIST => return node_list(view),
        request::IFLIST => {
            return match find(view, message) {
                Some(node) => link_list(node),
                None => vec![refusal(reqtype, request::EINVAL)],
            };
        }
        request::NODESTATUS => about_node(&|n| ok(fields::STATUS, n.status)),
        request::NODETYPE => about_node(&|n| ok(field::NODETYPE, status::kind_word(n.kind))),
        request::NODEWEIGHT => about_node(&|n| ok(field::WEIGHT, &n.weight.to_string())),
        request::NODESITE => about_node(&|n| ok(field::SITE, &n.site)),
        // Unknown here: the field is missing, the answer is OK.
        request::GETUUID => {
            let name = message.get(field::QUERYNAME).unwrap_or("").to_ascii_lowercase();
            match view.nodes.iter().find(|n| n.name == *name).and_then(|n| n.uuid) {
                Some(uuid) => done_with(reqtype, field::QUERYUUID, Value::Binary(uuid.to_vec())),
                None => done(reqtype),
            }
        }
        request::GETNODENAME => {
            let uuid = message.binary(field::QUERYUUID);
            let found = view
                .nodes
                .iter()
                .find(|n| n.uuid.as_ref().map(|u| &u[..]) == uuid && uuid.is_some());
            match found {
                Some(node) => ok(field::QUERYNAME, node.name.as_str()),
                None => done(reqtype),
            }
        }
        request::NUMNODES => {
            let normal = view.nodes.iter().filter(|n| n.kind == NodeKind::Normal).count();
            ok(field::NUMNODES, &normal.to_string())
        }
        request::IFSTATUS => {
            let link = message.get(fields::IFNAME).unwrap_or("");
            let found = find(view, message).and_then(|n| n.links.iter().find(|l| l.name == *link));
            match found {
                Some(l) => ok(fields::STATUS, status::link_word(l.up)),
                None => refusal(reqtype, request::EINVAL),
            }
        }
        request::GETPARM => match message.get(field::PNAME) {
            None => refusal(reqtype, request::EINVAL),
            // Unknown: the field is missing, the answer is OK.
            Some(name) => match parameter(view, name) {
                Some(value) => ok(field::PVALUE, value),
                None => done(reqtype),
            },
        },
        request::GETRSC => ok(fields::RSC_HOLD, view.rsc_hold),
        request::GETSTATUS => ok(field::JSON, &status::to_json(view, VERSION).to_string()),
        // No reason, which tells old clients that the request is unknown.
        _ => answer(reqtype).with(fields::RESULT, request::BADREQ),
    };
    vec![one]
}

/// The node a question is about; names are compared in lower case, as ha.cf has them.
fn find<'a>(view: &'a View<'_>, message: &Message) -> Option<&'a NodeView> {
    let name = message.get(fields::NODE)?.to_ascii_lowercase();
    view.nodes.iter().find(|n| n.name == *name)
}

fn parameter<'a>(view: &'a View<'_>, name: &str) -> Option<&'a str> {
    if name == field::HBVERSION {
        return Some(VERSION);
    }
    let found = view.cf.parameters.iter().find(|(n, _)| n == name);
    found.map(|(_, value)| value.as_str())
}

/// `ok/more` on all but the last.
fn series(messages: Vec<Message>) -> Vec<Message> {
    let last = messages.len().saturating_sub(1);
    let result = |i| if i == last { request::OK } else { request::MORE };
    messages
        .into_iter()
        .enumerate()
        .map(|(i, m)| m.with(fields::RESULT, result(i)))
        .collect()
}

fn node_list(view: &View<'_>) -> Vec<Message> {
    let node = |n: &NodeView| {
        answer(request::NODELIST)
            .with(fields::NODE, n.name.as_str())
            .with(field::NODETYPE, status::kind_word(n.kind))
            .with(fields::STATUS, n.status)
    };
    match view.nodes.len() {
        // Cannot be with a valid ha.cf, but no question stays without an answer.
        0 => vec![done(request::NODELIST)],
        _ => series(view.nodes.iter().map(node).collect()),
    }
}

fn link_list(node: &NodeView) -> Vec<Message> {
    if node.links.is_empty() {
        return vec![done(request::IFLIST)];
    }
    let links = node.links.iter().map(|l| {
        answer(request::IFLIST)
            .with(fields::IFNAME, l.name.as_str())
            .with(fields::STATUS, status::link_word(l.up))
    });
    series(links.collect())
}

/// What is known of a client.
#[derive(Debug)]
pub enum ClientStatus {
    Known(Message),
    /// Only that node knows.
    Ask {
        node: NodeName,
        client: String,
    },
}

pub fn online(is: bool) -> &'static str {
    if is { "online" } else { "offline" }
}

/// `is_here` knows the clients of this node.
pub fn client_status(message: &Message, view: &View<'_>, is_here: impl Fn(&str) -> bool) -> ClientStatus {
    let reqtype = request::CLIENTSTATUS;
    let (Some(node), Some(client)) = (find(view, message), message.get(field::CLIENT)) else {
        return ClientStatus::Known(refusal(reqtype, request::EINVAL));
    };
    let is = if node.name == *view.me {
        is_here(client)
    } else if node.status == "dead" || node.kind == NodeKind::Ping {
        false
    } else {
        return ClientStatus::Ask {
            node: node.name.clone(),
            client: client.to_owned(),
        };
    };
    ClientStatus::Known(
        answer(reqtype)
            .with(field::SUBTYPE, request::RESPOND_CSTATUS)
            .with(field::CLIENT_STATUS, online(is))
            .with(fields::RESULT, request::OK),
    )
}
