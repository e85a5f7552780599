//! The identifiers that DRBD gives to generations of data, and what those of two nodes say about each other: the proof of
//! a split brain that needs no log and no connection.

use std::fmt;
use std::str::FromStr;

/// The lowest bit says only that the node was primary.
const MASK: u64 = !1;

/// Of one device on one node: `drbdadm get-gi` prints it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Generations {
    pub current: u64,
    /// Since when the node has noted what it has written without its peer; 0 when it has not.
    pub bitmap: u64,
    pub history: [u64; 2],
}

impl FromStr for Generations {
    type Err = ();

    /// `CURRENT:BITMAP:HISTORY1:HISTORY2:flags...`
    fn from_str(line: &str) -> Result<Self, ()> {
        let mut numbers = line.trim().split(':').map(|word| match word.len() {
            16 => u64::from_str_radix(word, 16).map_err(|_| ()),
            _ => Err(()),
        });
        let mut next = || numbers.next().unwrap_or(Err(()));
        Ok(Self {
            current: next()?,
            bitmap: next()?,
            history: [next()?, next()?],
        })
    }
}

impl fmt::Display for Generations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, two] = self.history;
        write!(f, "{:016X}:{:016X}:{one:016X}:{two:016X}", self.current, self.bitmap)
    }
}

/// What the data of two nodes are to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kinship {
    Same,
    OursNewer,
    TheirsNewer,
    /// Both have written since they were last the same.
    SplitBrain,
    Unrelated,
    /// One of them was never in use.
    New,
}

/// 4: "just created", as the kernel has it.
const JUST_CREATED: u64 = 4;

impl Kinship {
    pub fn of(ours: Generations, theirs: Generations) -> Self {
        let [our, their] = [ours.current, theirs.current].map(|c| c & MASK);
        let [our_map, their_map] = [ours.bitmap, theirs.bitmap].map(|b| b & MASK);
        let fresh = |c: u64| c == 0 || c == JUST_CREATED;
        let in_history = |g: &Generations, current: u64| g.history.iter().any(|h| h & MASK == current && current != 0);
        if fresh(our) || fresh(their) {
            Self::New
        } else if our == their {
            Self::Same
        } else if our_map == their {
            Self::OursNewer
        } else if our == their_map {
            Self::TheirsNewer
        } else if our_map == their_map && our_map != 0 {
            Self::SplitBrain
        } else if in_history(&ours, their) {
            Self::OursNewer
        } else if in_history(&theirs, our) {
            Self::TheirsNewer
        } else if [our_map].into_iter().chain(ours.history).any(|o| {
            let o = o & MASK;
            o != 0
                && [theirs.bitmap, theirs.history[0], theirs.history[1]]
                    .iter()
                    .any(|t| t & MASK == o)
        }) {
            // A common ancestor further back: both have gone on from it.
            Self::SplitBrain
        } else {
            Self::Unrelated
        }
    }

    pub fn turned(self) -> Self {
        match self {
            Self::OursNewer => Self::TheirsNewer,
            Self::TheirsNewer => Self::OursNewer,
            Self::Same | Self::SplitBrain | Self::Unrelated | Self::New => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// From two machines: what `drbdadm get-gi r0` printed on both, and what the kernel made of it when they met.
    #[test]
    fn pairs_of_real_nodes() {
        #[rustfmt::skip]
        let table = [
            // connected
            ("AA0FE9CB17B80F9E:0000000000000000:0000000000000000:0000000000000000:1:1:0:1:0:0:0",
             "AA0FE9CB17B80F9E:0000000000000000:0000000000000000:0000000000000000:1:1:0:1:0:0:0", Kinship::Same),
            // the same, one of them primary
            ("78AB9E8AD5AA2C9D:0000000000000000:0000000000000000:0000000000000000:1:1:1:1:0:0:0",
             "78AB9E8AD5AA2C9C:0000000000000000:0000000000000000:0000000000000000:1:1:0:1:0:0:0", Kinship::Same),
            // rule 90: both were primary while the cable was out
            ("540CD07870CF82E5:78AB9E8AD5AA2C9D:0000000000000000:0000000000000000:1:1:1:0:0:0:0",
             "CA5A33C43B86D46D:78AB9E8AD5AA2C9C:0000000000000000:0000000000000000:1:1:1:0:0:0:0", Kinship::SplitBrain),
            ("8416980602257C18:B030039E64D4A246:0000000000000000:0000000000000000:1:1:0:0:0:0:0",
             "39C7D48E500BF85A:B030039E64D4A246:0000000000000000:0000000000000000:1:1:0:0:0:0:0", Kinship::SplitBrain),
            // rule 50: only one has written
            ("540CD07870CF82E5:78AB9E8AD5AA2C9D:0000000000000000:0000000000000000:1:1:1:0:0:0:0",
             "78AB9E8AD5AA2C9C:0000000000000000:0000000000000000:0000000000000000:1:1:0:0:0:0:0", Kinship::OursNewer),
            // after create-md
            ("0000000000000004:0000000000000000:0000000000000000:0000000000000000:0:0:0:0:0:0:0",
             "AA0FE9CB17B80F9E:0000000000000000:0000000000000000:0000000000000000:1:1:0:1:0:0:0", Kinship::New),
            // disks of two clusters
            ("540CD07870CF82E5:78AB9E8AD5AA2C9D:0000000000000000:0000000000000000:1:1:1:0:0:0:0",
             "39C7D48E500BF85A:B030039E64D4A246:0000000000000000:0000000000000000:1:1:0:0:0:0:0", Kinship::Unrelated),
        ];
        for (ours, theirs, want) in table {
            let [a, b] = [ours, theirs].map(|t| t.parse::<Generations>().unwrap());
            assert_eq!(Kinship::of(a, b), want, "{ours} {theirs}");
            assert_eq!(Kinship::of(b, a), want.turned(), "{theirs} {ours}");
            assert_eq!(a.to_string().parse(), Ok(a));
        }
        for bad in [
            "",
            "Primary",
            "540CD07870CF82E5",
            "540CD07870CF82E5:78AB9E8AD5AA2C9D:0:0:1:1",
            "x",
        ] {
            assert!(bad.parse::<Generations>().is_err(), "{bad}");
        }
    }

    fn any_generations() -> impl Strategy<Value = Generations> {
        // Few different numbers, so that they meet.
        let number = prop_oneof![Just(0u64), 1u64..12, any::<u64>()];
        [number.clone(), number.clone(), number.clone(), number].prop_map(|[current, bitmap, one, two]| Generations {
            current,
            bitmap,
            history: [one, two],
        })
    }

    proptest! {
        #[test]
        fn both_nodes_come_to_the_same_conclusion(a in any_generations(), b in any_generations()) {
            let (ours, theirs) = (Kinship::of(a, b), Kinship::of(b, a));
            // Each the bitmap of the other: the kernel's rules look at ours first, and so do both nodes.
            let crossed = a.bitmap & MASK == b.current & MASK && b.bitmap & MASK == a.current & MASK;
            let crossed_history = ours == Kinship::OursNewer && theirs == Kinship::OursNewer;
            prop_assert!(crossed || crossed_history || ours == theirs.turned(), "{ours:?} {theirs:?}");
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") {
            let _ = text.parse::<Generations>();
        }
    }
}
