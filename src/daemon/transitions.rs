//! The last things that happened, for whoever comes to look afterwards.

use crate::time::Wall;
use std::collections::VecDeque;

/// A night's incident, not a history: that is the log.
pub const KEPT: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Node,
    Link,
    Medium,
    Group,
    /// hb_standby and hb_takeover.
    Move,
    Reload,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Link => "link",
            Self::Medium => "medium",
            Self::Group => "group",
            Self::Move => "move",
            Self::Reload => "reload",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transition {
    pub at: Wall,
    pub kind: Kind,
    /// Which node, link, group; empty for a reload.
    pub subject: String,
    /// What became of it: `is dead`, `acquired: …`
    pub text: String,
    /// Somebody should look.
    pub bad: bool,
}

impl Transition {
    pub fn good(at: Wall, kind: Kind, subject: impl ToString, text: impl Into<String>) -> Self {
        Self {
            at,
            kind,
            subject: subject.to_string(),
            text: text.into(),
            bad: false,
        }
    }

    pub fn bad(at: Wall, kind: Kind, subject: impl ToString, text: impl Into<String>) -> Self {
        Self {
            bad: true,
            ..Self::good(at, kind, subject, text)
        }
    }
}

/// The newest last.
#[derive(Debug, Default)]
pub struct Transitions {
    kept: VecDeque<Transition>,
}

impl Transitions {
    /// A link that flaps all night must not push out the death of a node: links have half of the room.
    pub fn add(&mut self, transition: Transition) {
        if self.kept.len() >= KEPT {
            let of_links = self.kept.iter().filter(|t| t.kind == Kind::Link).count();
            let oldest_link = self.kept.iter().position(|t| t.kind == Kind::Link);
            match oldest_link.filter(|_| of_links > KEPT / 2) {
                Some(i) => self.kept.remove(i),
                None => self.kept.pop_front(),
            };
        }
        self.kept.push_back(transition);
    }

    pub fn list(&self) -> Vec<Transition> {
        self.kept.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_and_a_flapping_link_leaves_room() {
        let mut t = Transitions::default();
        t.add(Transition::bad(Wall(1), Kind::Node, "web", "is dead"));
        for n in 0..1000 {
            t.add(Transition::bad(Wall(2 + n), Kind::Link, "web:eth0", "dead"));
        }
        let kept = t.list();
        assert_eq!(kept.len(), KEPT);
        assert_eq!((kept[0].kind, kept[KEPT - 1].at), (Kind::Node, Wall(1001)));
        for n in 0..100 {
            t.add(Transition::good(Wall(2000 + n), Kind::Group, "ip", "acquired"));
        }
        let kept = t.list();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[KEPT - 1].at, Wall(2099));
        assert_eq!(kept.iter().filter(|t| t.kind == Kind::Link).count(), 0);
    }
}
