//! An operation of an agent, with all that the node which runs it must know, and its form as a message.

use super::notify::Told;
use crate::msg::Message;
use crate::policy::history::op_digest;
use crate::policy::input::{Input, N, Operation as Configured, Primitive, R, Role};
use crate::policy::plan::Task;
use crate::policy::record::Record;
use crate::time::{Duration, Wall};
use std::collections::BTreeMap;

/// The message that carries one from the DC to a node.
pub const RUN: &str = "crmd-run";

/// What a node is to run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Operation {
    pub node: String,
    /// As the history calls it.
    pub rsc: String,
    pub class: String,
    pub provider: String,
    pub kind: String,
    pub name: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub start_delay: Duration,
    /// `ACTION:TRANSITION:EXPECTED-RC:UUID`
    pub key: String,
    pub digest: String,
    /// The resource's own, and the words of the crm; without `OCF_RESKEY_`.
    pub params: BTreeMap<String, String>,
}

/// The exit codes that are looked for.
const RUNNING: i32 = 0;
const NOT_RUNNING: i32 = 7;
const MASTER: i32 = 8;

/// What is expected of a task.
pub fn expected(input: &Input, rsc: R, task: &Task) -> i32 {
    match task {
        Task::Probe => NOT_RUNNING,
        Task::Monitor(interval) if role_of(input, rsc, *interval) == Some(Role::Master) => MASTER,
        _ => RUNNING,
    }
}

fn configured<'a>(primitive: &'a Primitive, name: &str, interval: Duration) -> Option<&'a Configured> {
    let mut all = primitive.operations.iter();
    all.find(|o| o.name == name && o.interval == interval)
}

fn role_of(input: &Input, rsc: R, interval: Duration) -> Option<Role> {
    configured(input.primitive(rsc)?, "monitor", interval)?.role
}

/// The name of the operation and its interval; of a cancellation those of what is cancelled.
pub fn name_of(task: &Task) -> (&'static str, Duration) {
    match task {
        Task::Probe => ("monitor", Duration::ZERO),
        Task::Stop => ("stop", Duration::ZERO),
        Task::Start => ("start", Duration::ZERO),
        Task::Demote => ("demote", Duration::ZERO),
        Task::Promote => ("promote", Duration::ZERO),
        Task::Monitor(interval) | Task::Cancel(interval) => ("monitor", *interval),
        Task::Notify { .. } => ("notify", Duration::ZERO),
    }
}

/// Of a first look: that of the monitor without interval, else of the one that looks most often.
fn time_limit(input: &Input, primitive: &Primitive, task: &Task, op: Option<&Configured>) -> Duration {
    let own = op.and_then(|o| o.timeout);
    let of_monitors = || {
        let monitors = primitive.operations.iter().filter(|o| o.name == "monitor");
        monitors.min_by_key(|o| o.interval)?.timeout
    };
    let found = match task {
        Task::Probe => own.or_else(of_monitors),
        _ => own,
    };
    found.unwrap_or(input.settings.default_timeout)
}

impl Operation {
    /// `None` for what is no primitive.
    pub fn of(input: &Input, told: &Told, rsc: R, node: N, task: &Task, key: String) -> Option<Self> {
        let (resource, primitive) = (&input.resources[rsc], input.primitive(rsc)?);
        let (name, interval) = name_of(task);
        let op = configured(primitive, name, interval);
        let timeout = time_limit(input, primitive, task, op);
        let recurring = !interval.is_zero();
        let mut params = primitive.params.clone();
        if let Some(op) = op {
            params.extend(op.params.clone());
        }
        let mut meta = |name: &str, value: String| drop(params.insert(format!("CRM_meta_{name}"), value));
        meta("timeout", timeout.as_millis().to_string());
        if recurring {
            meta("interval", interval.as_millis().to_string());
        }
        if op.is_some() {
            meta("name", name.to_owned());
        }
        meta("on_node", input.nodes[node].uname.clone());
        meta("on_node_uuid", input.nodes[node].id.clone());
        if let Some((_, clones)) = input.clone_of(rsc) {
            let number = resource.id.rsplit_once(':').map_or("0", |(_, n)| n);
            meta("clone", number.to_owned());
            meta("clone_max", clones.max.to_string());
            meta("clone_node_max", clones.per_node.to_string());
            meta("globally_unique", clones.unique.to_string());
            meta("notify", clones.notify.to_string());
            if let Some((max, per_node)) = clones.promotable {
                for words in ["master", "promoted"] {
                    meta(&format!("{words}_max"), max.to_string());
                    meta(&format!("{words}_node_max"), per_node.to_string());
                }
            }
            if clones.notify {
                for (name, value) in told.about(input, rsc) {
                    meta(&name, value);
                }
            }
        }
        if let Task::Notify { after, verb } = task {
            meta("notify_type", if *after { "post" } else { "pre" }.to_owned());
            meta("notify_operation", verb.as_str().to_owned());
        }
        params.insert("crm_feature_set".to_owned(), input.settings.feature_set.clone());
        Some(Self {
            node: input.nodes[node].uname.clone(),
            rsc: resource.plain.clone(),
            class: primitive.class.clone(),
            provider: primitive.provider.clone(),
            kind: primitive.kind.clone(),
            name: name.to_owned(),
            interval,
            timeout,
            start_delay: op.map_or(Duration::ZERO, |o| o.start_delay),
            key,
            digest: op_digest(input, primitive, op, recurring),
            params,
        })
    }

    /// What is written when nobody says how it ended: its node is there, but does not answer.
    pub fn lost(&self, now: Wall) -> Record {
        const GENERIC: i32 = 1;
        const TIMED_OUT: i32 = 2;
        Record {
            rc: GENERIC,
            status: TIMED_OUT,
            at: now,
            took: self.timeout,
            reason: "its node did not say how it ended".to_owned(),
            ..self.record()
        }
    }

    /// What is known of its record before it runs.
    pub fn record(&self) -> Record {
        Record {
            rsc: self.rsc.clone(),
            class: self.class.clone(),
            provider: self.provider.clone(),
            kind: self.kind.clone(),
            operation: self.name.clone(),
            interval: self.interval,
            key: self.key.clone(),
            digest: self.digest.clone(),
            ..Record::default()
        }
    }

    pub fn to_message(&self) -> Message {
        let ms = |d: Duration| d.as_millis().to_string();
        let mut message = Message::new(RUN)
            .with("rsc", &*self.rsc)
            .with("class", &*self.class)
            .with("provider", &*self.provider)
            .with("type", &*self.kind)
            .with("op", &*self.name)
            .with("interval", ms(self.interval))
            .with("timeout", ms(self.timeout))
            .with("start_delay", ms(self.start_delay))
            .with("key", &*self.key)
            .with("digest", &*self.digest);
        for (name, value) in &self.params {
            message.push(format!("p_{name}"), &**value);
        }
        message
    }

    /// `node` is where it was sent to.
    pub fn from_message(message: &Message, node: &str) -> Option<Self> {
        let text = |name: &str| message.get(name).map(str::to_owned);
        let ms = |name: &str| message.dec(name).map(Duration::from_millis);
        let params = message.fields().iter().filter_map(|f| {
            let name = f.name.strip_prefix("p_")?;
            Some((name.to_owned(), message.get(&f.name)?.to_owned()))
        });
        Some(Self {
            node: node.to_owned(),
            rsc: text("rsc")?,
            class: text("class")?,
            provider: text("provider").unwrap_or_default(),
            kind: text("type")?,
            name: text("op")?,
            interval: ms("interval")?,
            timeout: ms("timeout")?,
            start_delay: ms("start_delay")?,
            key: text("key")?,
            digest: text("digest")?,
            params: params.collect(),
        })
    }
}
