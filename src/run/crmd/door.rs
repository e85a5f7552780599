//! What tools ask: [`crate::crm::protocol`].

use super::perform::{Asked, Why};
use super::words::Order;
use super::{Program, words};
use crate::agents::Agent;
use crate::cib::Score;
use crate::cib::{Cib, Edit, Element, Version};
use crate::clients::Identity;
use crate::crm::protocol::{self, Answer, Attribute, Cluster, Conversation, Request, cib_text, code};
use crate::ids::ClientId;
use crate::ipc::client::ClientError;
use crate::ipc::server::{Server, ServerEvent};
use crate::policy::history::fail_count;
use crate::policy::input::Input;
use crate::policy::record::Record;
use crate::policy::{history, unpack};
use crate::sys;
use crate::sys::poll::Ready;
use crate::transition::history as status;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Messages of named clients a turn; tools are casual ones.
const ROOM: usize = 64;
/// A tool asks one thing at a time.
const MOST_ASKED: usize = 64;
const GENERIC: i32 = 1;

#[derive(Debug, Default)]
struct Talk {
    conversation: Conversation,
    watches: bool,
}

/// The conversations with tools.
#[derive(Debug)]
pub(super) struct Door {
    pub server: Server,
    talks: BTreeMap<ClientId, Talk>,
    /// The CIB as text, for all who ask between two changes.
    text: Option<Arc<str>>,
    /// Something has changed since those who watch were told.
    changed: Option<Version>,
}

impl Door {
    pub fn open(directory: &Path) -> io::Result<Self> {
        Ok(Self {
            server: Server::new(Server::create(directory)?, directory),
            talks: BTreeMap::new(),
            text: None,
            changed: None,
        })
    }

    pub fn answer(&mut self, client: ClientId, word: &str, answer: &Answer) {
        self.server.reply(client, &answer.to_message(word));
    }

    pub fn changed(&mut self, version: Version) {
        self.text = None;
        self.changed = Some(version);
    }

    /// Once a turn, however much has changed in it.
    fn tell_watchers(&mut self) {
        let Some(version) = self.changed.take() else { return };
        let message = protocol::changed(version);
        for (client, _) in self.talks.iter().filter(|(_, t)| t.watches) {
            self.server.reply(*client, &message);
        }
    }

    fn read(&mut self, client: ClientId, offset: usize, cib: &Cib) -> Answer {
        let talk = self.talks.entry(client).or_default();
        let text = &mut self.text;
        talk.conversation
            .cib(offset, || text.get_or_insert_with(|| cib_text(cib)).clone())
    }
}

fn refused(code: u8, text: impl Into<String>) -> Answer {
    let text = text.into();
    Answer::Refused { code, text }
}

/// For `Last change`; the number where the machine has no such user.
fn user(uid: u32) -> String {
    if uid == 0 {
        return "root".to_owned();
    }
    // Not the user database: it may ask a name server.
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_line = |line: &str| {
        let words: Vec<&str> = line.split(':').collect();
        (words.get(2)?.parse() == Ok(uid)).then(|| words[0].to_owned())
    };
    passwd.lines().find_map(of_line).unwrap_or_else(|| uid.to_string())
}

impl Program {
    pub(super) fn requests(&mut self, ready: &[Ready]) {
        self.door.tell_watchers();
        for event in self.door.server.pump(ready, ROOM) {
            match event {
                ServerEvent::Gone { client, .. } => self.forget(client),
                ServerEvent::Request { client, who, message } => match Request::read(&message) {
                    Ok(request) => {
                        if let Err(e) = self.request(client, who, request) {
                            log::error!("a request of a tool: {e}");
                        }
                    }
                    Err(why) => {
                        let word = message
                            .get(crate::clients::request::field::REQTYPE)
                            .unwrap_or_default()
                            .to_owned();
                        self.door.answer(client, &word, &refused(code::USAGE, why));
                    }
                },
            }
        }
        self.door.tell_watchers();
    }

    fn forget(&mut self, client: ClientId) {
        self.door.talks.remove(&client);
        self.asked.retain(|_, a| a.client() != client);
    }

    fn request(&mut self, client: ClientId, who: Identity, request: Request) -> Result<(), ClientError> {
        let word = request.word();
        let waiting = self.asked.values().filter(|a| a.client() == client).count();
        if waiting >= MOST_ASKED && !matches!(request, Request::SignOff) {
            let answer = refused(
                code::UNAVAILABLE,
                format!("{waiting} requests of this program wait already"),
            );
            self.door.answer(client, word, &answer);
            return Ok(());
        }
        let answer = match request {
            Request::SignOn => {
                self.door.talks.insert(client, Talk::default());
                self.door.server.reply(client, &protocol::welcome(self.me.as_str()));
                return Ok(());
            }
            Request::SignOff => {
                self.forget(client);
                self.door.server.drop_client(client);
                return Ok(());
            }
            Request::Cluster => Answer::Cluster(Box::new(self.cluster())),
            Request::Cib { offset } => self.door.read(client, offset, self.agree.cib()),
            Request::Apply { text, last, program } => {
                let talk = self.door.talks.entry(client).or_default();
                match talk.conversation.edits(&text, last) {
                    Ok(Some(edits)) => {
                        let origin = self.origin(&program, &user(who.uid));
                        let text = None;
                        return self.submit_as(edits, origin, Why::Tool { client, word, text });
                    }
                    Ok(None) => Answer::Done(String::new()),
                    Err(answer) => answer,
                }
            }
            Request::Cleanup { rsc, node } => {
                return self.clean(client, word, rsc.as_deref(), node.as_deref(), rsc.is_none());
            }
            Request::Refresh { rsc, node } => return self.clean(client, word, rsc.as_deref(), node.as_deref(), false),
            Request::Fail { rsc, node } => match self.failure(&rsc, &node) {
                Ok(edits) => {
                    let text = Some(String::new());
                    return self.submit(edits, Why::Tool { client, word, text });
                }
                Err(answer) => answer,
            },
            Request::Attribute(attribute) => return self.attribute(client, word, attribute),
            Request::Idle => {
                let id = self.number();
                self.asked.insert(id, Asked::Idle { client, word });
                return self.ask_idle(id);
            }
            Request::Watch => {
                self.door.talks.entry(client).or_default().watches = true;
                Answer::Done(String::new())
            }
            Request::Meta { class, provider, kind } => match self.meta(client, word, &class, &provider, &kind) {
                Some(answer) => answer,
                None => return Ok(()),
            },
            Request::NodeRemove { node } => match self.removal(&node) {
                Ok(edits) => {
                    let text = None;
                    return self.submit(edits, Why::Tool { client, word, text });
                }
                Err(answer) => answer,
            },
        };
        self.door.answer(client, word, &answer);
        Ok(())
    }

    fn cluster(&self) -> Cluster {
        let mut members: Vec<String> = self.agree.members().iter().map(ToString::to_string).collect();
        members.sort();
        let state = match (&self.dc, self.agree.is_active()) {
            (_, false) if self.agree.members().is_empty() => "S_STARTING",
            (_, false) => "S_INTEGRATION",
            (Some(dc), true) => dc.state(),
            (None, true) => "S_NOT_DC",
        };
        Cluster {
            node: self.me.to_string(),
            uuid: self.uuid.clone(),
            dc: self.agree.dc().map(ToString::to_string),
            quorum: self.agree.has_quorum(),
            members,
            state: state.to_owned(),
            version: self.agree.cib().version(),
        }
    }

    fn meta(
        &mut self,
        client: ClientId,
        word: &'static str,
        class: &str,
        provider: &str,
        kind: &str,
    ) -> Option<Answer> {
        let provider = Some(provider).filter(|p| !p.is_empty());
        let agent = match Agent::new(class, provider, kind) {
            Ok(agent) => agent,
            Err(why) => return Some(refused(code::NO_SUCH_OBJECT, why.to_string())),
        };
        let Some(id) = self.here.meta(agent) else {
            return Some(refused(code::UNAVAILABLE, "lrmd is not running on this node"));
        };
        let key = self.number();
        self.asked.insert(key, Asked::Meta { client, word, id });
        None
    }

    fn attribute(&mut self, client: ClientId, word: &'static str, attribute: Attribute) -> Result<(), ClientError> {
        let node = attribute.node.clone().unwrap_or_else(|| self.me.to_string());
        if self.id_of(&node).is_none() {
            let text = format!("node {node}: there is no such node");
            self.door.answer(client, word, &refused(code::NO_SUCH_OBJECT, text));
            return Ok(());
        }
        self.attributes.forget(&node, &attribute.name);
        if self.attributes.put(sys::now(), &node, attribute.clone()) {
            self.door.answer(client, word, &Answer::Done(String::new()));
            return Ok(());
        }
        let text = Some(String::new());
        self.write_attribute(&node, &attribute, Why::Tool { client, word, text })
    }

    fn input(&self) -> Input {
        let mut input = unpack::unpack(self.agree.cib(), sys::wall());
        history::read(self.agree.cib(), &mut input);
        input
    }

    /// `only_failed`: where nothing has failed nothing is forgotten.
    fn clean(
        &mut self,
        client: ClientId,
        word: &'static str,
        rsc: Option<&str>,
        node: Option<&str>,
        only_failed: bool,
    ) -> Result<(), ClientError> {
        let input = self.input();
        let wanted: BTreeSet<String> = match rsc {
            Some(id) => match input.resource(id) {
                Some(r) => input
                    .primitives(r)
                    .iter()
                    .map(|p| input.resources[*p].plain.clone())
                    .collect(),
                None => {
                    let text = format!("{id}: there is no such resource");
                    self.door.answer(client, word, &refused(code::NO_SUCH_OBJECT, text));
                    return Ok(());
                }
            },
            None => {
                let primitives = (0..input.resources.len()).filter(|r| input.primitive(*r).is_some());
                primitives.map(|r| input.resources[r].plain.clone()).collect()
            }
        };
        if let Some(node) = node.filter(|n| input.node(n).is_none()) {
            let text = format!("{node}: there is no such node");
            self.door.answer(client, word, &refused(code::NO_SUCH_OBJECT, text));
            return Ok(());
        }
        let members = self.agree.members();
        let (mut orders, mut edits, mut text) = (Vec::new(), Vec::new(), String::new());
        for (n, on) in input.nodes.iter().enumerate() {
            if node.is_some_and(|name| input.node(name) != Some(n)) || on.ping {
                continue;
            }
            for plain in &wanted {
                let failed = || fail_count(&input, plain, n).0 != Score::ZERO || self.has_failed(&on.id, plain);
                if !self.has_history(&on.id, plain) && !failed() || only_failed && !failed() {
                    continue;
                }
                text += &format!("Cleaned up {plain} on {}\n", on.uname);
                if members.iter().any(|m| m.as_str() == on.uname) {
                    orders.push((on.uname.clone(), plain.clone()));
                } else {
                    let of = status::Node {
                        id: &on.id,
                        uname: &on.uname,
                    };
                    edits.extend(status::forgotten(of, plain));
                    edits.extend(status::clear_counts(&on.id, &on.transient, plain));
                }
            }
        }
        let left = orders.len() + usize::from(!edits.is_empty());
        if left == 0 {
            self.door.answer(client, word, &Answer::Done(text));
            return Ok(());
        }
        let id = self.number();
        self.asked.insert(
            id,
            Asked::Several {
                client,
                word,
                left,
                text,
            },
        );
        if !edits.is_empty() {
            let reply = words::Reply {
                number: 0,
                id,
                good: true,
            };
            let to = self.me.clone();
            self.submit(edits, Why::Order { to, reply })?;
        }
        for (node, rsc) in orders {
            let failures = true;
            self.send_order(&node, &Order::Forget { rsc, failures }, 0, id)?;
        }
        Ok(())
    }

    fn lines(&self, node_id: &str, rsc: &str) -> Vec<&Element> {
        let node = status::Node { id: node_id, uname: "" };
        status::lines_of(self.agree.cib(), node, rsc).collect()
    }

    fn has_history(&self, node_id: &str, rsc: &str) -> bool {
        !self.lines(node_id, rsc).is_empty()
    }

    fn has_failed(&self, node_id: &str, rsc: &str) -> bool {
        let id = status::last_failure_id(rsc);
        self.lines(node_id, rsc).iter().any(|l| l.id() == id)
    }

    /// As if a monitor had found it broken.
    fn failure(&self, rsc: &str, node: &str) -> Result<Vec<Edit>, Answer> {
        let input = self.input();
        let missing =
            |what: &str, name: &str| refused(code::NO_SUCH_OBJECT, format!("{name}: there is no such {what}"));
        let n = input.node(node).ok_or_else(|| missing("node", node))?;
        let r = input.resource(rsc).ok_or_else(|| missing("resource", rsc))?;
        let Some(primitive) = input.primitive(r) else {
            return Err(refused(
                code::USAGE,
                format!("{rsc}: is no primitive: name one of those in it"),
            ));
        };
        let (resource, on) = (&input.resources[r], &input.nodes[n]);
        let lines = self.lines(&on.id, &resource.plain);
        let calls = lines.iter().filter_map(|l| l.get("call-id")?.parse::<i64>().ok());
        let call = calls.max().unwrap_or(0).saturating_add(1);
        // The monitor that looks most often.
        let monitors = primitive
            .operations
            .iter()
            .filter(|o| o.name == "monitor" && !o.interval.is_zero());
        let monitor = monitors.min_by_key(|o| o.interval);
        let record = Record {
            rsc: resource.plain.clone(),
            class: primitive.class.clone(),
            provider: primitive.provider.clone(),
            kind: primitive.kind.clone(),
            operation: if monitor.is_some() { "monitor" } else { "asyncmon" }.to_owned(),
            interval: monitor.map(|m| m.interval).unwrap_or_default(),
            call,
            rc: GENERIC,
            at: sys::wall(),
            reason: "said to have failed by crm_resource".to_owned(),
            key: format!("0:0:0:{}", self.uuid),
            digest: history::op_digest(&input, primitive, monitor, monitor.is_some()),
            ..Record::default()
        };
        let of = status::Node {
            id: &on.id,
            uname: &on.uname,
        };
        Ok(status::over(self.agree.cib(), of, &record))
    }

    fn removal(&self, node: &str) -> Result<Vec<Edit>, Answer> {
        if self.agree.members().iter().any(|m| m.as_str() == node) {
            let text = format!("node {node}: is in the partition; stop heartbeat there first");
            return Err(refused(code::UNSAFE, text));
        }
        let Some(id) = self.id_of(node) else {
            return Err(refused(
                code::NO_SUCH_OBJECT,
                format!("node {node}: there is no such node"),
            ));
        };
        let delete = |section: &str, name: &str| Edit::Delete {
            section: section.to_owned(),
            xml: Element::new(name).with("id", &id),
        };
        Ok(vec![delete("nodes", "node"), delete("status", "node_state")])
    }
}

impl Asked {
    fn client(&self) -> ClientId {
        match self {
            Self::Several { client, .. } | Self::Idle { client, .. } | Self::Meta { client, .. } => *client,
        }
    }
}
