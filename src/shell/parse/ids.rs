//! The ids that the shell gives to the parts of an object: `vip-instance_attributes-ip`, the next of the same kind `-0`.

use std::collections::BTreeSet;

/// The ids of one object so far.
#[derive(Clone, Debug, Default)]
pub struct Ids(BTreeSet<String>);

impl Ids {
    /// An id that the line itself gives.
    pub fn take(&mut self, id: &str) -> String {
        self.0.insert(id.to_owned());
        id.to_owned()
    }

    /// `wish`, or with the first free number after it. Letters that an id cannot have become dots.
    pub fn new_one(&mut self, wish: &str) -> String {
        let mut clean = String::with_capacity(wish.len() + 1);
        for c in wish.chars() {
            let fits = c.is_alphanumeric() || "-_.".contains(c);
            clean.push(if fits { c } else { '.' });
        }
        if !clean.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            clean.insert(0, '_');
        }
        let free = std::iter::once(clean.clone()).chain((0..).map(|n| format!("{clean}-{n}")));
        let id = free
            .into_iter()
            .find(|id| !self.0.contains(id))
            .expect("numbers do not end");
        self.take(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_names_and_each_is_new() {
        let mut ids = Ids::default();
        let table = [
            ("vip-monitor-3s", "vip-monitor-3s"),
            ("vip-monitor-3s", "vip-monitor-3s-0"),
            ("vip-monitor-3s", "vip-monitor-3s-1"),
            ("a#b c", "a.b.c"),
            ("7-up", "_7-up"),
        ];
        for (wish, id) in table {
            assert_eq!(ids.new_one(wish), id);
        }
    }
}
