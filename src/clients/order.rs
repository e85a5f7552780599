//! Joins and leaves of clients on other nodes, in the order in which they happened.
//!
//! A lost message comes later than those after it. For most that is as good; but a join that overtakes the leave before
//! it would make a client believe that its partner is gone. So a join or leave waits until nothing before it is missing.

use crate::ids::{Generation, NodeName, Seq};
use crate::msg::Message;
use std::collections::BTreeMap;
use std::sync::Arc;

/// As many as a peer's numbers can be missing.
const MOST: usize = 500;

/// What waits.
#[derive(Debug, Default)]
pub struct Order {
    waiting: BTreeMap<(NodeName, Generation, Seq), Arc<Message>>,
}

impl Order {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn hold(&mut self, from: NodeName, generation: Generation, seq: Seq, message: Arc<Message>) {
        self.waiting.insert((from, generation, seq), message);
    }

    /// Those that nothing is missing before any more, the oldest of a node first. `misses` says whether a message of
    /// this node and life with a lower number may still come; of a dead node and of an earlier life none will.
    pub fn release(&mut self, misses: impl Fn(&NodeName, Generation, Seq) -> bool) -> Vec<Arc<Message>> {
        let mut out = Vec::new();
        while self.waiting.len() > MOST {
            out.extend(self.waiting.pop_first().map(|(_, message)| message));
        }
        self.waiting.retain(|(node, generation, seq), message| {
            let wait = misses(node, *generation, *seq);
            if !wait {
                out.push(Arc::clone(message));
            }
            wait
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_gap_waits_for_it_and_nodes_do_not_wait_for_each_other() {
        let mut order = Order::default();
        let mut hold = |node: &str, generation, seq| {
            let message = Message::new(&format!("{node}{generation}.{seq}"));
            order.hold(node.parse().unwrap(), Generation(generation), Seq(seq), message.into());
        };
        hold("b", 1, 9);
        hold("b", 1, 7);
        hold("c", 1, 20);
        hold("b", 2, 3);
        let mut release = |missing_of_b: u64| -> Vec<String> {
            let misses = |n: &NodeName, g: Generation, s: Seq| *n == *"b" && g == Generation(1) && missing_of_b < s.0;
            order.release(misses).iter().map(|m| m.kind().to_owned()).collect()
        };
        assert_eq!(release(5), ["b2.3", "c1.20"]);
        assert_eq!(release(8), ["b1.7"]);
        assert_eq!(release(9), ["b1.9"]);
        assert_eq!(release(0), Vec::<String>::new());
    }

    #[test]
    fn a_number_that_never_comes_does_not_hold_back_more_and_more() {
        let mut order = Order::default();
        for n in 0..=MOST as u64 {
            order.hold(
                "b".parse().unwrap(),
                Generation(1),
                Seq(n),
                Message::new(&n.to_string()).into(),
            );
        }
        let out = order.release(|_, _, _| true);
        assert_eq!(out.iter().map(|m| m.kind()).collect::<Vec<_>>(), ["0"]);
        assert!(!order.is_empty());
    }
}
