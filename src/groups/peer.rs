//! What this node knows of another node's groups.

use super::set::Set;
use crate::ids::{Generation, NodeName, ResourceName, Seq};
use crate::time::Instant;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a node says about one group. `Failed` is no claim: it tried and could not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClaimState {
    Starting,
    Running,
    Stopping,
    /// A stop script failed and the resource may still be there.
    Blocked,
    /// Released and meant for this node; nobody else takes it.
    Moving(NodeName),
    Failed,
}

/// A claim, and when it was first made (wall clock of the claimer; both sides compare the same two numbers).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    pub state: ClaimState,
    pub stamp: u64,
}

impl Claim {
    /// The claimer has released it for another node.
    pub fn is_moving(&self) -> bool {
        matches!(self.state, ClaimState::Moving(_))
    }

    /// The claimer has the group, or may have it.
    pub fn holds(&self) -> bool {
        match self.state {
            ClaimState::Starting | ClaimState::Running | ClaimState::Stopping | ClaimState::Blocked => true,
            ClaimState::Moving(_) | ClaimState::Failed => false,
        }
    }
}

pub type Claims = BTreeMap<ResourceName, Claim>;

/// `KEY STATE STAMP` for each group, in the order of the keys, separated by blanks.
pub fn write_claims<'a>(claims: impl Iterator<Item = (&'a ResourceName, Cow<'a, Claim>)>) -> String {
    let sorted: BTreeMap<_, _> = claims.collect();
    let words: Vec<String> = sorted
        .iter()
        .map(|(key, claim)| {
            let state = match &claim.state {
                ClaimState::Starting => "starting".to_owned(),
                ClaimState::Running => "running".to_owned(),
                ClaimState::Stopping => "stopping".to_owned(),
                ClaimState::Blocked => "blocked".to_owned(),
                ClaimState::Moving(to) => format!("moving={to}"),
                ClaimState::Failed => "failed".to_owned(),
            };
            format!("{key} {state} {:x}", claim.stamp)
        })
        .collect();
    words.join(" ")
}

/// `None` when it is not such a list.
pub fn read_claims(text: &str) -> Option<Claims> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let mut claims = Claims::new();
    for triple in words.chunks(3) {
        let [key, state, stamp] = triple else { return None };
        let state = match *state {
            "starting" => ClaimState::Starting,
            "running" => ClaimState::Running,
            "stopping" => ClaimState::Stopping,
            "blocked" => ClaimState::Blocked,
            "failed" => ClaimState::Failed,
            other => ClaimState::Moving(other.strip_prefix("moving=")?.parse().ok()?),
        };
        claims.insert(
            key.parse().ok()?,
            Claim {
                state,
                stamp: u64::from_str_radix(stamp, 16).ok()?,
            },
        );
    }
    Some(claims)
}

#[derive(Debug)]
pub struct Peer {
    pub name: NodeName,
    pub alive: bool,
    /// Its status is `active`: it may be given groups.
    pub active: bool,
    /// It has said what it holds since it started or came back.
    pub told: bool,
    /// Since when it is active without having told.
    pub silent_since: Instant,
    /// When it was last asked for that.
    pub asked_at: Instant,
    /// It speaks claims, i.e. it is one of ours.
    pub ours: bool,
    /// It fences, and does not hear us.
    pub deaf: bool,
    /// It is stopping, or has released everything.
    pub leaving: bool,
    /// It has just joined: what prefers it is to go home (`auto_failback on`).
    pub failback_due: bool,
    pub newest: (Generation, Seq),
    /// When that was heard.
    pub said_at: Instant,
    pub claims: Claims,
    /// The text they were read from, so that the same one need not be read again.
    pub claims_text: String,
    /// What a classic peer says in `rsc_hold`, from its own view.
    pub set: Set,
    pub stable: bool,
    /// Since when a classic peer has held what it holds and been as stable as it is.
    pub calm_since: Instant,
    /// A classic peer that came back after a partition: it gives everything up and starts anew, whoever has what, unless
    /// it still does nothing of that kind then: it has heard us all the time.
    pub gives_up: Option<Instant>,
    /// A classic peer has finished its takeover of everything.
    pub has_all: bool,
    pub digest: Option<String>,
    /// Our lines that its haresources does not have, as text; empty when equal.
    pub differs: Vec<String>,
}

impl Peer {
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            alive: false,
            active: false,
            told: false,
            silent_since: Instant::default(),
            asked_at: Instant::default(),
            ours: false,
            deaf: false,
            leaving: false,
            failback_due: false,
            newest: (Generation(0), Seq(0)),
            said_at: Instant::default(),
            claims: Claims::new(),
            claims_text: String::new(),
            set: Set::NONE,
            stable: false,
            calm_since: Instant::default(),
            gives_up: None,
            has_all: false,
            digest: None,
            differs: Vec::new(),
        }
    }

    pub fn forget_claims(&mut self) {
        self.claims.clear();
        self.claims_text.clear();
    }

    pub fn holds(&self, key: &ResourceName) -> bool {
        self.claims.get(key).is_some_and(Claim::holds)
    }

    pub fn failed(&self, key: &ResourceName) -> bool {
        self.claims.get(key).is_some_and(|c| c.state == ClaimState::Failed)
    }

    /// May it be given groups?
    pub fn can_serve(&self) -> bool {
        self.alive && self.active && !self.leaving
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn claims_read_back_as_written() {
        let mut claims = Claims::new();
        let states = [
            ClaimState::Starting,
            ClaimState::Running,
            ClaimState::Stopping,
            ClaimState::Blocked,
            ClaimState::Moving("n2".parse().unwrap()),
            ClaimState::Failed,
        ];
        for (i, state) in states.into_iter().enumerate() {
            claims.insert(
                format!("IPaddr::10.0.0.{i}").parse().unwrap(),
                Claim {
                    state,
                    stamp: i as u64 * 1000,
                },
            );
        }
        assert_eq!(
            read_claims(&write_claims(claims.iter().map(|(k, c)| (k, Cow::Borrowed(c))))),
            Some(claims)
        );
        assert_eq!(read_claims(""), Some(Claims::new()));
        for bad in ["a", "a running", "a flying 1", "a running xyz", "a moving= 1"] {
            assert_eq!(read_claims(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".*") {
            let _ = read_claims(&text);
        }
    }
}
