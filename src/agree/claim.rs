//! Which of the members' CIBs is the cluster's.

use super::mark::Mark;
use crate::cib::{Element, Version};
use crate::ids::NodeName;
use crate::msg::{Message, Value};
use crate::time::Duration;

/// What a member says of its CIB when it comes into a view. It changes nothing in it until it is told which one counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Claim {
    pub version: Version,
    pub mark: Mark,
    pub fingerprint: String,
    /// The view in which it last had one CIB with the others.
    pub lineage: Option<u64>,
    /// Its last view had quorum.
    pub quorum: bool,
    /// How long ago the nodes that are not in the view were with it.
    pub apart: Vec<(NodeName, Duration)>,
}

impl Claim {
    pub fn write_to(&self, message: &mut Message) {
        message.set("version", self.version.to_string());
        message.set("mark", self.mark.to_text());
        message.set("fingerprint", self.fingerprint.as_str());
        if let Some(lineage) = self.lineage {
            message.set("lineage", Value::hex(lineage));
        }
        message.set("quorum", if self.quorum { "1" } else { "0" });
        for (node, ago) in &self.apart {
            message.push("apart", Value::from(format!("{node} {}", ago.as_millis())));
        }
    }

    pub fn read(message: &Message) -> Option<Self> {
        let apart = message.fields().iter().filter(|f| f.name == "apart");
        let apart = apart.filter_map(|f| match &f.value {
            Value::Text(bytes) => {
                let (node, ago) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
                Some((node.parse().ok()?, Duration::from_millis(ago.parse().ok()?)))
            }
            Value::Binary(_) | Value::Struct(_) | Value::List(_) => None,
        });
        Some(Self {
            version: message.get("version")?.parse().ok()?,
            mark: Mark::from_element(&Element::parse(message.get("mark")?).ok()?)?,
            fingerprint: message.get("fingerprint")?.to_owned(),
            lineage: message.hex("lineage"),
            quorum: message.get("quorum") == Some("1"),
            apart: apart.collect(),
        })
    }

    /// The higher one has everything that was committed with quorum in the lower one; of equals the later version counts.
    fn rank(&self) -> ((u64, u64), Version) {
        (self.mark.commit, self.version)
    }
}

/// Of the members' claims the one that counts; of equals the DC's own, then the first.
pub(super) fn winner<'a>(claims: impl Iterator<Item = (usize, &'a Claim)> + Clone, dc: usize) -> Option<usize> {
    let highest = claims.clone().map(|(_, c)| c.rank()).max()?;
    let mut best = claims.filter(|(_, c)| c.rank() == highest).map(|(n, _)| n);
    let first = best.clone().next();
    best.find(|n| *n == dc).or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(commit: (u64, u64), version: (u64, u64, u64)) -> Claim {
        Claim {
            version: Version {
                admin_epoch: version.0,
                epoch: version.1,
                num_updates: version.2,
            },
            mark: Mark {
                commit,
                ..Mark::default()
            },
            fingerprint: String::new(),
            lineage: None,
            quorum: false,
            apart: vec![],
        }
    }

    #[test]
    fn the_highest_version_wins_but_never_over_what_was_committed_with_quorum() {
        let (old, new) = ((3, 5), (4, 1));
        #[rustfmt::skip]
        let table = [
            // what      minority's            majority's            DC  winner
            ("s3_04: 1 change, 2 with quorum",   claim(old, (0, 12, 0)), claim((4, 2), (0, 13, 0)), 0, 1),
            ("s3_04: 3 changes, 1 with quorum",  claim(old, (0, 16, 0)), claim(new, (0, 14, 0)), 0, 1),
            ("1 change, none with quorum",       claim(old, (0, 12, 0)), claim(old, (0, 11, 9)), 1, 0),
            ("the administrator's own, without", claim(old, (1, 0, 0)),  claim(new, (0, 14, 0)), 0, 1),
            ("none",                             claim(old, (0, 11, 7)), claim(old, (0, 11, 9)), 0, 1),
            ("equal, the DC's",                  claim(old, (0, 11, 7)), claim(old, (0, 11, 7)), 1, 1),
        ];
        for (what, minority, majority, dc, expected) in table {
            let claims = [(0, &minority), (1, &majority)];
            assert_eq!(winner(claims.into_iter(), dc), Some(expected), "{what}");
        }
    }

    #[test]
    fn a_claim_reads_back_as_written() {
        let mut claim = claim((7, 1), (0, 3, 4));
        claim.lineage = Some(u64::MAX);
        claim.apart = vec![("n3".parse().unwrap(), Duration::from_millis(17))];
        let mut message = Message::new("t");
        claim.write_to(&mut message);
        assert_eq!(Claim::read(&message), Some(claim));
    }
}
