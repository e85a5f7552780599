//! The two decisions about a group: who starts it when nobody has it, who keeps it when two have it.

use super::peer::{Claim, ClaimState};
use crate::ids::NodeName;

/// Who starts an orphan: its preferred node when that can, else the first node that can. `able` are the nodes that may
/// serve it, in the order of ha.cf.
pub fn choose<'a>(preferred: &NodeName, able: &[&'a NodeName]) -> Option<&'a NodeName> {
    able.iter().find(|n| **n == preferred).or_else(|| able.first()).copied()
}

/// Who of two claimers keeps a group: one that cannot let go; else the preferred node, when groups go home at all; else
/// the one that has claimed it longer; else the lower name. Both sides compare the same facts, so both find the same.
pub fn keeper<'a>(
    preferred: &NodeName,
    goes_home: bool,
    a: (&'a NodeName, &Claim),
    b: (&'a NodeName, &Claim),
) -> &'a NodeName {
    let rank = |(name, claim): (&'a NodeName, &Claim)| {
        let blocked = claim.state == ClaimState::Blocked;
        (!blocked, !(goes_home && name == preferred), claim.stamp, name)
    };
    if rank(a) <= rank(b) { a.0 } else { b.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orphans_go_home_or_to_the_first_that_can() {
        let [a, b, c]: [NodeName; 3] = ["a", "b", "c"].map(|n| n.parse().unwrap());
        #[rustfmt::skip]
        let table = [
            // preferred  able          chosen
            (&a, vec![&a, &b], Some(&a)),
            (&b, vec![&a, &b], Some(&b)),
            (&c, vec![&a, &b], Some(&a)),
            (&c, vec![],       None),
        ];
        for (preferred, able, want) in table {
            assert_eq!(choose(preferred, &able), want, "{preferred} {able:?}");
        }
    }

    #[test]
    fn one_of_two_keeps_it_whoever_asks() {
        let [a, b]: [NodeName; 2] = ["a", "b"].map(|n| n.parse().unwrap());
        let claim = |state, stamp| Claim { state, stamp };
        use ClaimState::{Blocked, Running, Starting};
        #[rustfmt::skip]
        let table = [
            // preferred home   a's claim            b's claim            keeper
            (&b, true,  claim(Running, 5),   claim(Running, 9),   &b),
            (&b, false, claim(Running, 5),   claim(Running, 9),   &a),
            (&b, false, claim(Running, 9),   claim(Starting, 5),  &b),
            (&a, false, claim(Running, 5),   claim(Running, 5),   &a),
            (&b, true,  claim(Blocked, 9),   claim(Running, 5),   &a),
        ];
        for (preferred, home, ca, cb, want) in table {
            assert_eq!(keeper(preferred, home, (&a, &ca), (&b, &cb)), want, "{ca:?} {cb:?}");
            assert_eq!(
                keeper(preferred, home, (&b, &cb), (&a, &ca)),
                want,
                "{ca:?} {cb:?} asked by b"
            );
        }
    }
}
