//! Field names and well-known values as they stand on the wire (see `heartbeat` 3.0.6).

use std::borrow::Cow;

pub const TYPE: &str = "t";
pub const SRC: &str = "src";
pub const SRCUUID: &str = "srcuuid";
pub const DEST: &str = "dest";
pub const DESTUUID: &str = "destuuid";
pub const SEQ: &str = "seq";
pub const GENERATION: &str = "hg";
pub const TS: &str = "ts";
pub const LOAD: &str = "ld";
pub const TTL: &str = "ttl";
pub const AUTH: &str = "auth";
pub const STATUS: &str = "st";
pub const DEADTIME: &str = "dt";
pub const PROTOCOL: &str = "protocol";
pub const INFO: &str = "info";
pub const ACKSEQ: &str = "ackseq";
pub const FIRSTSEQ: &str = "firstseq";
pub const LASTSEQ: &str = "lastseq";
pub const RSC_HOLD: &str = "rsc_hold";
pub const RTYPE: &str = "rtype";
pub const ISSTABLE: &str = "isstable";
pub const IPADDR: &str = "ipaddr";
pub const WEOWN: &str = "weown";
pub const OK: &str = "ok";
pub const NODE: &str = "node";
pub const RESULT: &str = "result";
pub const NODELIST: &str = "nodelist";
pub const DELNODELIST: &str = "delnodelist";
pub const FROM_ID: &str = "from_id";
pub const TO_ID: &str = "to_id";
pub const IFNAME: &str = "ifname";

/// The names that stand in beats and claims, the frequent ones first: these are not copied for every message.
const FREQUENT: [&str; 24] = [
    TYPE,
    STATUS,
    DEADTIME,
    PROTOCOL,
    SRC,
    SRCUUID,
    SEQ,
    GENERATION,
    TS,
    LOAD,
    TTL,
    RSC_HOLD,
    RTYPE,
    ISSTABLE,
    "hb_groups",
    "hb_digest",
    "hb_lines",
    DEST,
    DESTUUID,
    ACKSEQ,
    FIRSTSEQ,
    LASTSEQ,
    INFO,
    AUTH,
];

/// The name as it stands in the program, when it is a frequent one.
pub(super) fn known(name: &[u8]) -> Option<&'static str> {
    FREQUENT.into_iter().find(|known| known.as_bytes() == name)
}

pub(super) fn name(name: &str) -> Cow<'static, str> {
    known(name.as_bytes()).map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed)
}
