//! The words of the conversation: request types, results, field names that occur nowhere else.

use crate::msg::{Message, fields};

/// Message type of a request, and of an answer.
pub const REQUEST: &str = "hbapi-req";
pub const ANSWER: &str = "hbapi-resp";

pub const SIGNON: &str = "signon";
pub const SIGNOFF: &str = "signoff";
pub const SETFILTER: &str = "setfilter";
pub const SETSIGNAL: &str = "setsignal";
pub const NODELIST: &str = "nodelist";
pub const NODESTATUS: &str = "nodestatus";
pub const NODETYPE: &str = "nodetype";
pub const NODEWEIGHT: &str = "nodeweight";
pub const NODESITE: &str = "nodesite";
pub const GETUUID: &str = "getuuid";
pub const GETNODENAME: &str = "getnodename";
pub const NUMNODES: &str = "numnodes";
pub const IFLIST: &str = "iflist";
pub const IFSTATUS: &str = "ifstatus";
pub const GETPARM: &str = "getparm";
pub const GETRSC: &str = "getrsc";
pub const CLIENTSTATUS: &str = "clientstatus";
/// The questions between daemons about clients, and their answers.
pub const QUERY_CSTATUS: &str = "query-cstatus";
pub const RESPOND_CSTATUS: &str = "respond-cstatus";
/// A client has signed on, or left.
pub const CLSTAT: &str = "hbapi-clstat";
/// Ours: a line for the log of the daemon.
pub const LOG: &str = "log";
pub const SET_SENDQLEN: &str = "set_sendqlen";
/// `reqtype` of the refusal of a message that is no request; ours, since heartbeat 3.0.6 refuses none.
pub const MESSAGE: &str = "message";
/// Ours: the whole view as JSON, in the field `json`.
pub const GETSTATUS: &str = "getstatus";

pub const OK: &str = "OK";
pub const MORE: &str = "ok/more";
pub const BADREQ: &str = "badreq";

pub const EINVAL: &str = "EINVAL";
pub const EPERM: &str = "EPERM";
/// The peers are behind with their acknowledgements; ask again a little later.
pub const EAGAIN: &str = "EAGAIN";

/// Field names of requests and answers.
pub mod field {
    pub const REQTYPE: &str = "reqtype";
    pub const PID: &str = "pid";
    pub const LEVEL: &str = "level";
    pub const TEXT: &str = "text";
    pub const FMASK: &str = "fmask";
    pub const SIGNAL: &str = "signal";
    pub const NODETYPE: &str = "nodetype";
    pub const WEIGHT: &str = "weight";
    pub const SITE: &str = "site";
    pub const QUERYNAME: &str = "queryname";
    pub const QUERYUUID: &str = "queryuuid";
    pub const NUMNODES: &str = "numnodes";
    pub const PNAME: &str = "pname";
    pub const PVALUE: &str = "pvalue";
    pub const CLIENT: &str = "cn";
    /// Which sign-on of this name in this daemon it is, from 0.
    pub const CLIENT_GEN: &str = "client_gen";
    /// Type of the message that was refused.
    pub const MSGTYPE: &str = "msgtype";
    pub const CLIENT_STATUS: &str = "cs";
    pub const SUBTYPE: &str = "subt";
    pub const KEEPALIVE: &str = "keepalive";
    pub const DEADTIME: &str = "deadtime";
    pub const LOGFACILITY: &str = "logfacility";
    pub const HBVERSION: &str = "hbversion";
    pub const PACEMAKER: &str = "pacemaker";
    pub const JSON: &str = "json";
    pub const REQID: &str = "reqid";
    pub const PHASE: &str = "phase";
    pub const GIVER: &str = "giver";
    pub const TAKER: &str = "taker";
}

/// A request, to be given its own fields.
pub fn of(reqtype: &str) -> Message {
    Message::new(REQUEST).with(field::REQTYPE, reqtype)
}

/// The beginning of an answer; `result` comes last, as in heartbeat 3.0.6.
pub fn answer(reqtype: &str) -> Message {
    Message::new(ANSWER).with(field::REQTYPE, reqtype)
}

pub fn refusal(reqtype: &str, why: &str) -> Message {
    answer(reqtype).with(fields::RESULT, BADREQ).with(fields::INFO, why)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Its id is its process number; it may only ask.
    Casual,
    /// Its id is a name; it may also talk to its like on other nodes.
    Named,
}

/// 31 bytes, as in heartbeat 1.0 (from source).
const MAX_NAME: usize = 31;
/// Process numbers have at most 7 digits on Linux (PID_MAX_LIMIT is 4194304).
const MAX_DIGITS: usize = 10;

/// What sort of client has this id; `None` when no client can have it. The id becomes part of a file name: nothing but
/// letters, digits, `-` and `_`.
pub fn kind_of_id(id: &str) -> Option<Kind> {
    let of = |good: fn(char) -> bool, max: usize| !id.is_empty() && id.len() <= max && id.chars().all(good);
    if of(|c| c.is_ascii_digit(), MAX_DIGITS) {
        Some(Kind::Casual)
    } else if of(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_', MAX_NAME)
        && id.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        Some(Kind::Named)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_pid_or_a_name_and_never_a_path() {
        #[rustfmt::skip]
        let table = [
            ("70",              Some(Kind::Casual)),
            ("4194304",         Some(Kind::Casual)),
            ("1234567890",      Some(Kind::Casual)),
            ("12345678901",     None),
            ("ipfail",          Some(Kind::Named)),
            ("hb-monitor_2",    Some(Kind::Named)),
            ("",                None),
            ("7x",              None),
            ("../fifo",         None),
            ("a/b",             None),
            ("a.req",           None),
            ("-x",              None),
            ("a b",             None),
        ];
        for (id, kind) in table {
            assert_eq!(kind_of_id(id), kind, "{id:?}");
        }
        assert_eq!(kind_of_id(&"n".repeat(31)), Some(Kind::Named));
        assert_eq!(kind_of_id(&"n".repeat(32)), None);
    }
}
