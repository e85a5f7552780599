//! Messages of clients to the cluster: who may send what. What is refused is answered, with the reason.

use super::{Answer, Clients};
use crate::clients::request::{self, Kind, field};
use crate::conf::ha_cf::NodeKind;
use crate::daemon::view::View;
use crate::groups::repair;
use crate::ids::ClientId;
use crate::msg::{Message, fields};
use crate::time::Now;

/// The fields that we add must find room below the limit of every reader.
const MAX_FIELDS: usize = crate::msg::message::MAX_FIELDS - 64;
/// Types and ids are shorter than this, as in heartbeat 3.0.6.
const MAX_TYPE: usize = 31;

/// Types that only the daemons say to each other, or to clients. Heartbeat 3.0.6 sends them for any client, and believes
/// them.
fn is_of_daemons(kind: &str) -> bool {
    kind.starts_with("NS_")
        || kind.starts_with("hbapi-")
        || kind.starts_with("hb_")
        || matches!(
            kind,
            "status"
                | "reqnodes"
                | "repnodes"
                | "addnode"
                | "delnode"
                | "setweight"
                | "setsite"
                | "starting"
                | "resource"
                | "shutdone"
                | "ip-request"
                | "ip-request-resp"
                | "stonith"
                | "ifstat"
                | request::QUERY_CSTATUS
                | request::RESPOND_CSTATUS
        )
}

/// Fields that the daemon writes, or that would be taken for its own.
const OURS: [&str; 8] = [
    fields::SRCUUID,
    fields::DESTUUID,
    fields::SEQ,
    fields::GENERATION,
    fields::TS,
    fields::LOAD,
    fields::TTL,
    fields::AUTH,
];

impl Clients {
    /// A message of a signed-on client that is no request.
    pub(super) fn message(&mut self, now: Now, client: ClientId, message: &Message, view: &View<'_>) -> Vec<Answer> {
        let Some(sender) = self.signed.get(&client) else {
            return Vec::new();
        };
        let name = sender.name.clone();
        let kind = message.kind();
        let refusal = |why: &str| Answer::Reply {
            client,
            message: request::refusal(request::MESSAGE, why).with(field::MSGTYPE, kind),
        };
        if sender.kind == Kind::Casual {
            let line = format!("client {name}: only named clients may send messages; it is removed");
            self.complain(now, "bad_clients", &line);
            let mut answers = vec![refusal("badclient: only named clients may send messages")];
            answers.push(Answer::Drop { client });
            answers.extend(self.gone(client, "badclient"));
            return answers;
        }
        let (uid, generation) = (sender.who.uid, sender.generation);
        let trusted = view.cf.accounts.is_trusted(uid);
        match judge(message, trusted, view) {
            Ok(Way::Order) => {
                // The other one is asked for again and again.
                if kind != repair::REPAIR {
                    log::info!("client {name}: asks for {kind}");
                }
                vec![Answer::Order {
                    message: message.clone().with(fields::FROM_ID, name),
                }]
            }
            Ok(Way::Cluster) => {
                let mut message = message.clone();
                for field in OURS {
                    message.remove(field);
                }
                let message = message
                    .with(fields::FROM_ID, name.as_str())
                    .with(fields::TO_ID, name)
                    .with(field::CLIENT_GEN, generation.to_string());
                vec![Answer::Send {
                    client: Some(client),
                    message,
                }]
            }
            Err(why) => {
                let kind = kind.escape_debug();
                let line = format!("client {name} of uid {uid}: its message \"{kind}\" is refused: {why}");
                self.complain(now, "refused_client_messages", &line);
                vec![refusal(&why)]
            }
        }
    }
}

enum Way {
    /// To the resource manager of this node, which tells the others.
    Order,
    /// To the clients of the same name.
    Cluster,
}

fn judge(message: &Message, trusted: bool, view: &View<'_>) -> Result<Way, String> {
    let kind = message.kind();
    if kind.is_empty() || kind.len() > MAX_TYPE {
        return Err(format!(
            "{}: t is missing or longer than {MAX_TYPE} bytes",
            request::EINVAL
        ));
    }
    if message.fields().len() > MAX_FIELDS {
        return Err(format!("{}: more than {MAX_FIELDS} fields", request::EINVAL));
    }
    // What ipfail and hb_monitor ask of the resource manager, and the counterpart of the first.
    let order = match kind {
        "ask_resources" => message.get(fields::INFO) == Some("me"),
        "hb_takeover" | repair::REPAIR => true,
        _ => false,
    };
    if order {
        return match trusted {
            true => Ok(Way::Order),
            false => Err(format!(
                "{}: only clients of root and hacluster may move resources",
                request::EPERM
            )),
        };
    }
    if kind == "ask_resources" || is_of_daemons(kind) {
        return Err(format!("{}: this type of message is for daemons only", request::EPERM));
    }
    match message.value(fields::DEST) {
        None => Ok(Way::Cluster),
        Some(_) => {
            let dest = message.get(fields::DEST).unwrap_or("").to_ascii_lowercase();
            let normal = |n: &&crate::daemon::view::NodeView| n.kind == NodeKind::Normal && n.name == *dest;
            match view.nodes.iter().find(normal) {
                Some(_) => Ok(Way::Cluster),
                None => Err(format!(
                    "{}: there is no node \"{}\"",
                    request::EINVAL,
                    dest.escape_debug()
                )),
            }
        }
    }
}
