//! The dead-man's switch: the kernel keeps the addresses of held groups only as long as the master renews them, and the
//! master renews them only when this node beats.
//!
//! With a beat, at most four times a lease, the master is asked to renew; it answers with what it found. An address that
//! is gone although its group runs here is set again. A master that does not answer for half a lease cannot renew and
//! cannot stop anything: the groups are given up in words, and offered to the others once the kernel must have dropped
//! their addresses.

use super::group::Group;
use super::manager::{Groups, Order, Phase};
use crate::ids::ResourceName;
use crate::time::{Duration, Instant, Now};
use std::collections::{BTreeMap, VecDeque};

/// The kernel drops an address up to 806 ms late (measured on Linux 6.18).
const KERNEL_LATE: Duration = Duration::from_secs(1);

/// Without leases, an address that was not there is looked at again so often.
const OFF_AGAIN: Duration = Duration::from_secs(1);

/// What the master found of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    Renewed,
    /// It is not there.
    Gone,
    /// It is there for ever; somebody else has set it.
    Permanent,
}

impl Found {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Gone => "gone",
            Self::Permanent => "permanent",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Renewed, Self::Gone, Self::Permanent]
            .into_iter()
            .find(|f| f.as_str() == word)
    }
}

#[derive(Debug, Default)]
pub(super) struct Leases {
    /// `None` when `vip_lease` is off.
    pub length: Option<Duration>,
    /// Of the last renewal.
    number: u64,
    asked_at: Option<Instant>,
    /// Answers up to this number mean nothing any more.
    void: u64,
    /// What the master has not answered yet, the oldest first.
    unanswered: VecDeque<(u64, Instant)>,
    /// What was found last, for what is held.
    found: BTreeMap<String, Found>,
    /// Groups of which the log knows that their address cannot have a lease.
    without: Vec<ResourceName>,
}

impl Leases {
    pub fn found(&self, address: &str) -> Option<Found> {
        self.found.get(address).copied()
    }

    pub fn forget_found(&mut self) {
        self.found.clear();
    }
}

impl Groups {
    /// A beat goes out: whoever hears it may rely on our addresses for one deadtime more.
    pub fn beat(&mut self, now: Now) {
        if self.waking.is_some() {
            return;
        }
        let pause = self.leases.length.map_or(OFF_AGAIN, |length| length / 4);
        let due = self.leases.asked_at.is_none_or(|at| now.mono - at >= pause);
        if !due {
            return;
        }
        let renewing = self.leases.length.is_some();
        if renewing {
            self.say_without();
        }
        let addresses: Vec<String> = self
            .groups
            .iter()
            .flat_map(Group::addresses_up)
            .map(str::to_owned)
            .collect();
        self.leases.found.retain(|address, _| addresses.contains(address));
        // Without leases the master makes sure once that none is left from before a reload.
        let settled = |a: &String| self.leases.found.get(a).is_some_and(|f| *f != Found::Gone);
        if addresses.is_empty() || !renewing && addresses.iter().all(settled) {
            self.leases.asked_at = None;
            self.leases.unanswered.clear();
            return;
        }
        let number = self.leases.number + 1;
        self.leases.number = number;
        self.leases.asked_at = Some(now.mono);
        if renewing {
            self.leases.unanswered.push_back((number, now.mono));
        }
        self.orders.push(Order::Renew { number, addresses });
    }

    /// The master has answered.
    pub fn renewed(&mut self, now: Now, number: u64, found: Vec<(String, Found)>) {
        self.bench.now = now;
        self.touch();
        if number <= self.leases.void {
            return;
        }
        self.leases.unanswered.retain(|(n, _)| *n > number);
        let renewing = self.leases.length.is_some();
        for (address, found) in found {
            let before = self.leases.found.insert(address.clone(), found);
            match found {
                Found::Renewed => {}
                Found::Permanent | Found::Gone if !renewing => {}
                Found::Permanent if before == Some(Found::Permanent) => {}
                Found::Permanent => log::warn!(
                    "address {address}: has no lease, it is there for ever: it was set by hand, or by a script that \
                     knows no leases; it stays when heartbeat is killed"
                ),
                Found::Gone => self.address_gone(&address),
            }
        }
    }

    /// Set again, but not while another node claims the group too: who keeps it is settled first.
    fn address_gone(&mut self, address: &str) {
        let serving = self.phase == Phase::Serving && self.waking.is_none();
        for group in &mut self.groups {
            if serving && !group.contested && group.addresses_up().any(|a| a == address) {
                group.set_again(&mut self.bench, address);
            }
        }
    }

    /// Due when the master has not answered for half a lease.
    fn answer_due(&self) -> Instant {
        match (self.leases.length, self.leases.unanswered.front()) {
            (Some(length), Some((_, asked))) => *asked + length / 2,
            (Some(_) | None, _) => Instant::NEVER,
        }
    }

    /// To be called when the clock has come that far, after everything was read that the master said.
    pub fn look_at_leases(&mut self, now: Now) {
        self.bench.now = now;
        let Some(length) = self.leases.length else { return };
        if now.mono < self.answer_due() {
            return;
        }
        self.touch();
        let last = self.leases.asked_at.unwrap_or(now.mono);
        self.leases.unanswered.clear();
        self.leases.asked_at = None;
        log::error!(
            "CRIT: the master has not renewed the addresses of this node for {} ms: its resources are lost; others may \
             take them when the kernel has dropped the addresses",
            (length / 2).as_millis()
        );
        let until = last + length + KERNEL_LATE;
        for group in &mut self.groups {
            if group.addresses_up().next().is_some() {
                group.lose(&mut self.bench, until);
            }
        }
    }

    pub(super) fn leases_deadline(&self) -> Instant {
        self.answer_due()
    }

    /// A pause of this process: answers of before it are waiting, and what was renewed then has ended.
    pub(super) fn forget_renewals(&mut self) {
        self.leases.unanswered.clear();
        self.leases.asked_at = None;
        self.leases.void = self.leases.number;
    }

    pub(super) fn set_lease(&mut self, length: Option<Duration>) {
        if length != self.leases.length {
            self.forget_renewals();
            self.leases.found.clear();
        }
        self.leases.length = length;
    }

    /// Says of each group once that its agent sets an address for ever.
    fn say_without(&mut self) {
        for group in self.groups.iter().filter(|g| g.is_running() && g.has_other_address()) {
            if !self.leases.without.contains(group.key()) {
                log::warn!(
                    "group {}: its OCF agent sets the address for ever: it stays when heartbeat is killed. Write the \
                     address as IPaddr::ADDRESS to give it a lease",
                    group.key()
                );
                self.leases.without.push(group.key().clone());
            }
        }
        let groups = &self.groups;
        self.leases.without.retain(|key| groups.iter().any(|g| g.key() == key));
    }

    /// For a group with addresses that runs here: the lease of all of them; zero when one has none.
    pub(super) fn lease_of(&self, group: &Group) -> Option<Duration> {
        let permanent = |a: &str| self.leases.found.get(a) == Some(&Found::Permanent);
        let has_address = group.has_other_address() || group.addresses_up().next().is_some();
        if !has_address || !group.is_running() {
            return None;
        }
        let lost = group.has_other_address() || group.addresses_up().any(permanent);
        Some(self.leases.length.filter(|_| !lost).unwrap_or(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{ha_cf, haresources};
    use crate::core::{NodeStatus, Up};
    use crate::groups::job::{Exit, Outcome, Verb};
    use crate::groups::lookout::{Ask, Sighting};
    use crate::ids::NodeName;
    use crate::time::Wall;
    use std::path::Path;

    /// Node a of a and b, with a lease of 4 s, asked for every second; it is active and b is not there.
    struct Node {
        groups: Groups,
        now: Now,
    }

    fn at(ms: u64) -> Now {
        Now {
            mono: Instant::from_millis(ms),
            wall: Wall(1_000_000 + ms / 1000),
        }
    }

    impl Node {
        fn with(cf: &str, lines: &str) -> Self {
            let [me, other]: [NodeName; 2] = ["a", "b"].map(|n| n.parse().unwrap());
            let text = format!("keepalive 500ms\nauto_failback on\nnode a b\nbcast eth0\n{cf}");
            let cf = ha_cf::parse(Path::new("ha.cf"), &text, &me).value.expect("a good file");
            let groups = haresources::parse(Path::new("haresources"), lines, &[me.clone(), other]);
            let groups = groups.value.expect("good groups");
            let mut node = Self {
                groups: Groups::new(at(0), me.clone(), &cf, groups, None),
                now: at(0),
            };
            let active = Up::Status {
                node: me,
                status: NodeStatus::Active,
            };
            node.groups.up(at(0), &active);
            node.settle();
            node
        }

        /// Runs what is ordered until nothing is: scripts work at once. What else was ordered, in words.
        fn settle(&mut self) -> Vec<String> {
            let mut words = Vec::new();
            loop {
                self.groups.settle(self.now, &|_| true);
                let orders = self.groups.take_orders();
                if orders.is_empty() {
                    return words;
                }
                for order in orders {
                    match order {
                        Order::Run { job, command } => {
                            words.push(format!("{} {}", command.verb.as_str(), command.resource.name));
                            if command.resource.script == "hangs" && command.verb == Verb::Start {
                                continue;
                            }
                            let outcome = Outcome {
                                exit: Exit::Code(0),
                                output: "stopped".into(),
                                took: Duration::ZERO,
                            };
                            self.groups.job_ended(self.now, job, &outcome);
                        }
                        Order::Renew { number, addresses } => {
                            words.push(format!("renew {number} {}", addresses.join(" ")));
                        }
                        Order::Drop { addresses } => words.push(format!("drop {}", addresses.join(" "))),
                        // Nobody answers.
                        Order::Lookout(Ask::Whether { number, .. }) => {
                            let answers = Vec::new();
                            self.groups.sighted(self.now, Sighting::Answered { number, answers });
                        }
                        Order::Send(_)
                        | Order::SendAside(_)
                        | Order::Lookout(_)
                        | Order::Tell(_)
                        | Order::Fence { .. }
                        | Order::Remember { .. }
                        | Order::Stopped => {}
                    }
                }
            }
        }

        fn beat(&mut self, ms: u64) -> Vec<String> {
            self.now = at(ms);
            self.groups.beat(self.now);
            self.settle()
        }

        fn answer(&mut self, number: u64, found: &[(&str, Found)]) -> Vec<String> {
            let found = found.iter().map(|(a, f)| ((*a).to_owned(), *f)).collect();
            self.groups.renewed(self.now, number, found);
            self.settle()
        }

        fn look(&mut self, ms: u64) -> Vec<String> {
            self.now = at(ms);
            self.groups.look_at_leases(self.now);
            self.settle()
        }

        fn claim(&self, i: usize) -> String {
            self.groups.groups[i].word().to_owned()
        }
    }

    const ONE: &str = "a 10.0.0.1\n";

    #[test]
    fn a_lease_is_whole_seconds_and_ends_before_deadtime_does() {
        #[rustfmt::skip]
        let table = [
            // keepalive deadtime  more               lease
            ("500ms",    "5",      "",                Some(4)),
            ("500ms",    "5500ms", "",                Some(4)),
            ("500ms",    "5999ms", "",                Some(4)),
            ("100ms",    "2",      "",                Some(1)),
            ("100ms",    "1999ms", "",                None),
            ("1",        "3",      "",                Some(2)),
            ("1001ms",   "3",      "",                None),
            ("500ms",    "5",      "vip_lease off\n", None),
            ("500ms",    "5",      "vip_lease on\n",  Some(4)),
        ];
        let me = "a".parse().unwrap();
        for (keepalive, deadtime, more, want) in table {
            let text = format!("keepalive {keepalive}\ndeadtime {deadtime}\nnode a b\nbcast eth0\n{more}");
            let cf = ha_cf::parse(Path::new("ha.cf"), &text, &me).value.expect("good");
            assert_eq!(cf.lease(), want.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn addresses_are_renewed_with_the_first_beat_and_then_four_times_a_lease() {
        let mut a = Node::with("deadtime 5\n", ONE);
        assert_eq!(a.beat(100), ["renew 1 10.0.0.1"]);
        assert_eq!(a.beat(1_099), [""; 0], "one below");
        assert_eq!(a.beat(1_100), ["renew 2 10.0.0.1"]);
        assert_eq!(a.beat(2_101), ["renew 3 10.0.0.1"]);
    }

    #[test]
    fn what_is_renewed_is_what_is_up_or_may_be() {
        #[rustfmt::skip]
        let table = [
            // haresources                                    asked for
            ("a 10.0.0.1 web 10.0.0.2\n",                      "renew 1 10.0.0.1 10.0.0.2"),
            ("a 10.0.0.1/24/eth0 10.0.0.9\n",                  "renew 1 10.0.0.1/24/eth0 10.0.0.9"),
            ("a IPaddr2::10.0.0.1 IPv6addr::2001:db8:0:0:0:0:0:1/64\n", "renew 1 10.0.0.1 2001:db8:0:0:0:0:0:1/64"),
            ("a 10.0.0.1\na 10.0.0.2\n",                       "renew 1 10.0.0.1 10.0.0.2"),
            // The start of `hangs` does not end: what is before it is up, what is after it is not.
            ("a 10.0.0.1 hangs 10.0.0.2\n",                    "renew 1 10.0.0.1"),
        ];
        for (lines, want) in table {
            assert_eq!(Node::with("deadtime 5\n", lines).beat(100), [want], "{lines}");
        }
        assert_eq!(Node::with("deadtime 5\n", "a web\n").beat(100), [""; 0]);
    }

    #[test]
    fn an_address_that_is_gone_is_set_again_only_while_its_group_runs() {
        let mut a = Node::with("deadtime 5\n", "a 10.0.0.1 web 10.0.0.2\n");
        a.beat(100);
        let both = [("10.0.0.1", Found::Renewed), ("10.0.0.2", Found::Gone)];
        assert_eq!(a.answer(1, &both), ["start 10.0.0.2"]);
        assert_eq!(a.claim(0), "running");
        assert_eq!(a.answer(1, &[("10.0.0.7", Found::Gone)]), [""; 0], "not ours");
        let mut a = Node::with("deadtime 5\n", "a 10.0.0.1 hangs 10.0.0.2\n");
        a.beat(100);
        assert_eq!(a.answer(1, &[("10.0.0.1", Found::Gone)]), [""; 0], "it is starting");
    }

    #[test]
    fn a_master_without_an_answer_for_half_a_lease_loses_the_groups() {
        let mut a = Node::with("deadtime 5\n", ONE);
        a.beat(100);
        a.beat(1_100);
        assert_eq!(a.look(2_099), [""; 0], "one below");
        assert_eq!(a.claim(0), "running");
        assert_eq!(a.look(2_100), ["stop 10.0.0.1"]);
        assert_eq!(a.claim(0), "failed", "the script that works at once has stopped it");

        let mut a = Node::with("deadtime 5\n", ONE);
        a.beat(100);
        a.beat(1_100);
        a.answer(2, &[("10.0.0.1", Found::Renewed)]);
        assert_eq!(a.look(2_100), [""; 0], "the answer to the second was one to the first");
        assert_eq!(a.look(60_000), [""; 0], "nothing is due when nothing was asked");
    }

    /// The script of the stop waits for the master that does not answer.
    #[test]
    fn a_lost_group_is_offered_to_others_when_the_kernel_must_have_dropped_its_addresses() {
        let mut a = Node::with("deadtime 5\n", ONE);
        a.beat(100);
        a.beat(1_100);
        a.now = at(2_100);
        a.groups.look_at_leases(a.now);
        a.groups.settle(a.now, &|_| true);
        a.groups.take_orders();
        for (ms, word) in [(2_100, "stopping"), (6_099, "stopping"), (6_100, "failed")] {
            // Asked last at 1.1 s: 4 s of lease and one that the kernel may be late.
            a.groups.settle(at(ms), &|_| true);
            assert_eq!(a.claim(0), word, "{ms}");
        }
    }

    #[test]
    fn answers_of_before_a_pause_mean_nothing_and_addresses_go_at_once() {
        let mut a = Node::with("deadtime 5\n", ONE);
        a.beat(100);
        a.now = at(20_000);
        let asleep = Duration::from_secs(19);
        a.groups.up(a.now, &Up::Woke { asleep });
        assert_eq!(a.settle(), ["drop 10.0.0.1"]);
        assert_eq!(a.answer(1, &[("10.0.0.1", Found::Gone)]), [""; 0]);
        assert_eq!(a.beat(20_001), [""; 0], "nothing is renewed before all was heard");
        assert!(a.groups.must_catch_up());
        a.groups.caught_up(at(20_001));
        assert!(!a.groups.must_catch_up());
        for (ms, want) in [(24_999, &[][..]), (25_000, &["start 10.0.0.1"][..])] {
            a.now = at(ms);
            assert_eq!(a.settle(), want, "b is not heard: one deadtime; {ms}");
        }
        assert_eq!(a.beat(25_100), ["renew 2 10.0.0.1"]);
        assert_eq!(a.answer(2, &[("10.0.0.1", Found::Gone)]), ["start 10.0.0.1"]);
    }

    #[test]
    fn what_is_there_for_ever_stays_in_a_pause_and_counts_as_no_lease() {
        let lease = |a: &Node| a.groups.lease_of(&a.groups.groups[0]).map(|d| d.as_secs());
        let mut a = Node::with("deadtime 5\n", ONE);
        assert_eq!(lease(&a), Some(4));
        a.beat(100);
        a.answer(1, &[("10.0.0.1", Found::Permanent)]);
        assert_eq!(lease(&a), Some(0));
        let asleep = Duration::from_secs(19);
        a.now = at(20_000);
        a.groups.up(a.now, &Up::Woke { asleep });
        assert_eq!(a.settle(), [""; 0]);
        assert_eq!(lease(&Node::with("deadtime 5\nvip_lease off\n", ONE)), Some(0));
        assert_eq!(lease(&Node::with("deadtime 5\n", "a web\n")), None);
        for agent in ["IPaddr2", "heartbeat:IPaddr2"] {
            let line = format!("a OCF::{agent}::ip=10.0.0.1\n");
            assert_eq!(
                lease(&Node::with("deadtime 5\n", &line)),
                Some(0),
                "{agent} sets it for ever"
            );
        }
        assert_eq!(lease(&Node::with("deadtime 5\n", "a OCF::Dummy\n")), None);
    }

    #[test]
    fn without_leases_an_address_is_looked_at_until_it_is_known_to_be_there() {
        let mut a = Node::with("deadtime 5\nvip_lease off\n", ONE);
        assert_eq!(a.beat(100), ["renew 1 10.0.0.1"]);
        assert_eq!(a.look(60_000), [""; 0], "nobody is lost");
        a.answer(1, &[("10.0.0.1", Found::Gone)]);
        assert_eq!(a.beat(61_100), ["renew 2 10.0.0.1"]);
        a.answer(2, &[("10.0.0.1", Found::Permanent)]);
        assert_eq!(a.beat(63_000), [""; 0]);
    }
}
