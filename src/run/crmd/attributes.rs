//! Transient attributes that wait for further changes before they are written.

use crate::crm::protocol::Attribute;
use crate::time::Instant;
use std::collections::BTreeMap;

/// What tools can have waiting here.
const MOST: usize = 10_000;

/// By node and name: the newest wish.
#[derive(Debug, Default)]
pub struct Attributes {
    waiting: BTreeMap<(String, String), Attribute>,
    due: Option<Instant>,
}

impl Attributes {
    /// Keeps it until nothing has changed for `dampen`. False: there is no room; it is to be written at once.
    pub fn put(&mut self, now: Instant, node: &str, attribute: Attribute) -> bool {
        let dampen = attribute.dampen;
        if dampen.is_zero() || self.waiting.len() >= MOST {
            return false;
        }
        self.due = Some(now + dampen);
        self.waiting
            .insert((node.to_owned(), attribute.name.clone()), attribute);
        true
    }

    /// An older wish for the same does not count any more.
    pub fn forget(&mut self, node: &str, name: &str) {
        self.waiting.remove(&(node.to_owned(), name.to_owned()));
    }

    pub fn deadline(&self) -> Instant {
        self.due.unwrap_or(Instant::NEVER)
    }

    /// What is to be written now, all together.
    pub fn take(&mut self, now: Instant) -> Vec<(String, Attribute)> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.due = None;
        let all = std::mem::take(&mut self.waiting);
        all.into_iter().map(|((node, _), a)| (node, a)).collect()
    }
}

/// As `pingd` uses it: a value that comes back within the time was never gone.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    fn pingd(value: &str) -> Attribute {
        Attribute {
            name: "pingd".into(),
            value: Some(value.into()),
            dampen: Duration::from_secs(5),
            ..Attribute::default()
        }
    }

    #[test]
    fn the_newest_counts_when_nothing_has_changed_for_a_while() {
        let at = |s: u64| Instant::from_millis(s * 1000);
        let mut all = Attributes::default();
        assert!(all.put(at(0), "n1", pingd("0")));
        assert!(all.put(at(3), "n1", pingd("100")));
        assert!(all.put(at(3), "n2", pingd("7")));
        assert_eq!(all.take(at(7)), []);
        assert_eq!(all.deadline(), at(8));
        let got: Vec<_> = all.take(at(8)).into_iter().map(|(n, a)| (n, a.value)).collect();
        assert_eq!(
            got,
            [("n1".into(), Some("100".into())), ("n2".into(), Some("7".into()))]
        );
        assert_eq!(all.deadline(), Instant::NEVER);
        let now = Attribute {
            dampen: Duration::ZERO,
            ..pingd("1")
        };
        assert!(!all.put(at(9), "n1", now), "at once");
    }
}
