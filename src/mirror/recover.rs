//! `drbdctl recover`: finds out what happened to a resource on both nodes, shows it, and, when a victim is named, leads
//! both nodes out of a split brain. What the other node has to do goes over the cluster, to `rc.d/drbdctl` there.

use super::answer::{ANSWER, ID, NOTE, OK, ORDER, QUESTION, RE, WHY};
use super::look;
use super::perform::perform;
use crate::clients::json::{Json, list, object};
use crate::dopd::DrbdName;
use crate::drbd::account::Situation;
use crate::drbd::recovery::{self, Next, Order, Recovery, Side};
use crate::drbd::{Account, Disk, Row, show};
use crate::ids::NodeName;
use crate::ipc::client::{Client, Filter};
use crate::ipc::command::send_command;
use crate::msg::{Message, fields};
use crate::sys::poll::wait;
use crate::sys::{clock, now, process, terminal};
use crate::time::Duration;
use std::io::Write;

const SIGN_ON: Duration = Duration::from_secs(5);
/// As long as the other node may take for a step: its drbdadm has two minutes, and scripts of rc.d wait for each other.
const STEP: Duration = Duration::from_secs(150);
const REPORT: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(500);
/// The other node runs a script for each look.
const LOOK_THERE: Duration = Duration::from_secs(3);

/// More than a whole way has, twice.
const MOST_STEPS: u32 = 12;

#[derive(Debug)]
pub struct Options {
    pub resource: DrbdName,
    pub victim: Option<NodeName>,
    pub unmount: bool,
    pub json: bool,
    /// For the nodes to connect; a copy that goes on is waited for as long as it takes.
    pub timeout: Duration,
}

/// The other node, by way of heartbeat.
struct Other {
    client: Client,
    node: NodeName,
    asked: u64,
}

impl Other {
    fn ask(&mut self, order: Order, resource: &DrbdName, ours: Option<&Account>) -> Result<Account, String> {
        let pid = std::process::id();
        self.asked += 1;
        let id = format!("{pid}-{}", self.asked);
        let question = Message::new(QUESTION)
            .with(fields::DEST, self.node.as_str())
            .with(ORDER, order.as_str())
            .with(ID, id.as_str())
            .with(RE, pid.to_string())
            .with("resource", resource.as_str());
        let question = match ours {
            Some(account) => account.write(question),
            None => question,
        };
        send_command(&question).map_err(|e| e.to_string())?;
        let limit = if order == Order::Report { REPORT } else { STEP };
        let deadline = now() + limit;
        while let Some(event) = self.client.next_event(deadline).map_err(|e| e.to_string())? {
            let from_it = event
                .get(fields::SRC)
                .is_some_and(|s| s.eq_ignore_ascii_case(self.node.as_str()));
            if event.kind() != ANSWER || event.get(ID) != Some(&id) || !from_it {
                continue;
            }
            if event.get(OK) != Some("yes") {
                return Err(format!(
                    "{}: {}",
                    self.node,
                    event.get(WHY).unwrap_or("refused without a reason")
                ));
            }
            return Account::read(&self.node, &event).ok_or(format!("{}: its answer is not understood", self.node));
        }
        Err(format!(
            "{}: no answer within {} s: does heartbeat run there, of a version with drbdctl, and is rc.d/drbdctl executable?",
            self.node,
            limit.as_secs()
        ))
    }
}

/// The node that has the other half.
fn other_node(client: &mut Client, me: &NodeName, resource: &DrbdName) -> Result<NodeName, String> {
    let nodes = client.nodes().map_err(|e| e.to_string())?;
    let others: Vec<_> = nodes
        .into_iter()
        .filter(|n| n.kind == "normal" && n.name != me.as_str())
        .collect();
    let hosts = look::hosts(resource).map_err(|e| e.to_string())?;
    let with_it: Vec<_> = others
        .iter()
        .filter(|n| hosts.is_empty() || hosts.contains(&n.name))
        .collect();
    match with_it[..] {
        [one] if one.status == "dead" => Err(format!(
            "{}: is dead, as heartbeat says: nothing can be compared",
            one.name
        )),
        [one] => one.name.parse().map_err(|e: crate::ids::BadName| e.to_string()),
        [] => Err(format!(
            "{resource}: none of its hosts in drbd.conf is another node of this cluster"
        )),
        _ => Err(format!("{resource}: has more than two nodes: use drbdadm")),
    }
}

/// Both sides of the resource.
struct Pair {
    me: NodeName,
    resource: DrbdName,
    other: Other,
    ours: Account,
    theirs: Account,
}

impl Pair {
    fn of(resource: &DrbdName) -> Result<Self, String> {
        let mut client = Client::connect(SIGN_ON).map_err(|e| e.to_string())?;
        client.set_filter(Filter::NEWS).map_err(|e| e.to_string())?;
        let me: NodeName = client.node().parse().map_err(|e: crate::ids::BadName| e.to_string())?;
        let node = other_node(&mut client, &me, resource)?;
        let mut other = Other { client, node, asked: 0 };
        let ours = perform(Order::Report, &me, resource, None)?;
        let theirs = other.ask(Order::Report, resource, None)?;
        Ok(Self {
            me,
            resource: resource.clone(),
            other,
            ours,
            theirs,
        })
    }

    /// One step on one node; afterwards both are looked at.
    fn order(&mut self, node: &NodeName, order: Order) -> Result<(), String> {
        if *node == self.me {
            let done = perform(order, &self.me, &self.resource, Some(&self.theirs));
            self.ours = done.map_err(|why| format!("{node}: {why}"))?;
            self.theirs = self.other.ask(Order::Report, &self.resource, None)?;
        } else {
            self.theirs = self.other.ask(order, &self.resource, Some(&self.ours))?;
            self.ours = perform(Order::Report, &self.me, &self.resource, None)?;
        }
        Ok(())
    }

    fn sides(&self, victim: &NodeName) -> (&Account, &Account) {
        match *victim == self.me {
            true => (&self.ours, &self.theirs),
            false => (&self.theirs, &self.ours),
        }
    }
}

fn situation(pair: &Pair) -> (&'static str, String) {
    let resource = &pair.resource;
    let (a, b) = (&pair.ours, &pair.theirs);
    if a.connection().is_up() && b.connection().is_up() {
        return match a.sync().or(b.sync()) {
            Some(_) => ("synchronising", format!("{resource}: connected; blocks are copied")),
            None => ("connected", format!("{resource}: connected; nothing has to be done")),
        };
    }
    match a.situation(b) {
        Situation::SplitBrain => (
            "split-brain",
            format!("{resource}: split brain: both nodes have written since they were last connected"),
        ),
        Situation::Same | Situation::Behind => ("apart", format!("{resource}: {}", recovery::no_split_brain(a, b))),
        Situation::Unrelated => (
            "unrelated",
            format!("{resource}: the data of the two nodes have no common past"),
        ),
        Situation::Unknown => (
            "unknown",
            format!("{resource}: not up on both nodes: nothing can be compared"),
        ),
    }
}

fn json(pair: &Pair) -> Json {
    let node = |a: &Account| object([("node", a.node.as_str().into()), ("volumes", show::json(&a.volumes))]);
    object([
        ("resource", pair.resource.as_str().into()),
        ("situation", situation(pair).0.into()),
        ("nodes", list([&pair.ours, &pair.theirs], node)),
    ])
}

/// What a person does without us; also what is said when heartbeat cannot be asked.
fn guide(resource: &DrbdName) -> String {
    format!(
        "By hand, with VICTIM the node whose changes are thrown away:\n\
         \x20 1. VICTIM: stop what uses it, and unmount it\n\
         \x20 2. VICTIM: drbdadm disconnect {resource}\n\
         \x20 3. VICTIM: drbdadm secondary {resource}\n\
         \x20 4. VICTIM: drbdadm connect --discard-my-data {resource}\n\
         \x20 5. the other, if it is StandAlone: drbdadm connect {resource}\n"
    )
}

/// Gives the exit code: 0 when the nodes are in step, 1 when they are not.
pub fn run(options: &Options, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let fail = |err: &mut dyn Write, why: &str| {
        let _ = writeln!(err, "drbdctl: {why}");
        1
    };
    if !process::is_root() {
        return fail(err, "recover: needs root");
    }
    let mut pair = match Pair::of(&options.resource) {
        Ok(pair) => pair,
        Err(why) => {
            let code = fail(err, &why);
            let _ = write!(err, "{}", guide(&options.resource));
            return code;
        }
    };
    if options.json && options.victim.is_none() {
        let _ = writeln!(out, "{}", json(&pair));
        return u8::from(!matches!(situation(&pair).0, "connected" | "synchronising"));
    }
    let _ = writeln!(out, "{}", situation(&pair).1);
    for account in [&pair.ours, &pair.theirs] {
        let _ = write!(out, "{}", show::side(account, &clock::local_time));
    }
    let Some(victim) = &options.victim else {
        return offer(&pair, out);
    };
    if ![&pair.me, &pair.other.node].contains(&victim) {
        let why = format!("{victim}: is neither {} nor {}", pair.me, pair.other.node);
        return fail(err, &why);
    }
    let lost = lost_of(pair.sides(victim).0);
    let split = situation(&pair).0 == "split-brain";
    match lead(&mut pair, victim, options, out) {
        Ok(()) => {
            let mut text = format!("{}: {} {}", options.resource, pair.ours.connection(), pair.ours.disk());
            if split {
                text += &format!("; thrown away: what {victim} had written alone ({lost})");
                note(&pair, &text);
            }
            let _ = writeln!(out, "{text}");
            if options.json {
                let _ = writeln!(out, "{}", json(&pair));
            }
            0
        }
        Err(why) => {
            let code = fail(err, &why);
            let _ = writeln!(err, "drbdctl: {}: stopped here; it can be run again", options.resource);
            code
        }
    }
}

/// For whoever reads the logs later, on both nodes; without it everything is done all the same.
fn note(pair: &Pair, text: &str) {
    for node in [&pair.me, &pair.other.node] {
        let line = Message::new(QUESTION)
            .with(fields::DEST, node.as_str())
            .with(ORDER, NOTE)
            .with(WHY, format!("resource {text}"));
        let _ = send_command(&line);
    }
}

fn lost_of(victim: &Account) -> String {
    let kib: u64 = victim.volumes.iter().filter_map(|v| v.row.out_of_sync_kib).sum();
    format!("{} at most", show::size(kib))
}

fn offer(pair: &Pair, out: &mut dyn Write) -> u8 {
    match situation(pair).0 {
        "connected" | "synchronising" => return 0,
        "split-brain" => {}
        _ => return 1,
    }
    let _ = writeln!(
        out,
        "Nothing is done before you name the node whose changes are thrown away, one of"
    );
    for account in [&pair.ours, &pair.theirs] {
        let _ = writeln!(
            out,
            "  drbdctl recover {} --victim {}    loses {}",
            pair.resource,
            account.node,
            lost_of(account)
        );
    }
    1
}

/// All steps, until both nodes have the same.
fn lead(pair: &mut Pair, victim: &NodeName, options: &Options, out: &mut dyn Write) -> Result<(), String> {
    let mut recovery = Recovery::new(options.unmount);
    let mut bar = Bar::new();
    let mut until = now() + options.timeout;
    let mut steps = 0;
    loop {
        let (v, s) = pair.sides(victim);
        let next = recovery.next(v, s);
        let node = |side: Side| {
            if side == Side::Victim {
                v.node.clone()
            } else {
                s.node.clone()
            }
        };
        match next {
            Next::Do(side, order) => {
                let node = node(side);
                let _ = writeln!(out, "{node}: {}", order.command(options.resource.as_str()));
                let _ = out.flush();
                steps += 1;
                if steps > MOST_STEPS {
                    return Err(format!(
                        "{node}: its state does not follow from what is done; see drbdctl status there"
                    ));
                }
                pair.order(&node, order)?;
                until = now() + options.timeout;
            }
            Next::Wait => {
                if follow(pair, &mut bar, out)? {
                    until = now() + options.timeout;
                } else if now() >= until {
                    bar.end(out);
                    return Err(format!(
                        "the nodes did not come into step within {} s: {} {} and {} {}; see to the cable between them",
                        options.timeout.as_secs(),
                        pair.ours.connection(),
                        pair.ours.disk(),
                        pair.theirs.connection(),
                        pair.theirs.disk()
                    ));
                }
            }
            Next::Done => {
                bar.end(out);
                return Ok(());
            }
            Next::Refuse(why) => {
                bar.end(out);
                return Err(why);
            }
        }
    }
}

/// Looks at this node until its copy has ended or there is nothing to see; then at both. True when blocks were copied.
fn follow(pair: &mut Pair, bar: &mut Bar, out: &mut dyn Write) -> Result<bool, String> {
    let until = now() + LOOK_THERE;
    let mut copied = false;
    loop {
        let rows = look::rows_of(&pair.resource).map_err(|e| e.to_string())?;
        let sync = rows.iter().find(|r| r.connection.is_sync());
        if let Some(row) = sync {
            bar.show(row, out);
            copied = true;
        }
        let settled = !rows.is_empty() && rows.iter().all(|r| r.connection.is_up() && r.disk == Disk::UpToDate);
        if settled && sync.is_none() || sync.is_none() && now() >= until {
            break;
        }
        pause(LOOK);
    }
    pair.ours = perform(Order::Report, &pair.me, &pair.resource, None)?;
    pair.theirs = pair.other.ask(Order::Report, &pair.resource, None)?;
    Ok(copied)
}

pub fn pause(time: Duration) {
    // Nothing to wait for but the time; cut short by a signal it is looked at sooner.
    let _ = wait(&[], now() + time);
}

/// A line that is written over on a terminal; elsewhere a line for each tenth.
#[derive(Debug)]
pub struct Bar {
    on_terminal: bool,
    shown: Option<u32>,
}

impl Bar {
    pub fn new() -> Self {
        Self {
            on_terminal: terminal::size().is_some(),
            shown: None,
        }
    }

    pub fn show(&mut self, row: &Row, out: &mut dyn Write) {
        let Some(progress) = &row.progress else { return };
        let text = format!("{} {}", row.connection, show::progress(progress));
        let tenth = progress.done / 100;
        if self.on_terminal {
            let _ = write!(out, "\r{text}\x1b[K");
            self.shown = Some(tenth);
        } else if self.shown != Some(tenth) {
            let _ = writeln!(out, "{text}");
            self.shown = Some(tenth);
        }
        let _ = out.flush();
    }

    pub fn end(&mut self, out: &mut dyn Write) {
        if self.shown.take().is_some() && self.on_terminal {
            let _ = writeln!(out);
        }
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}
