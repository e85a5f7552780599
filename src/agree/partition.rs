//! Who hears whom in, sets of nodes that all hear one another out.
//!
//! The nodes in their configured order: the first one forms the largest set with itself in which all hear one another, of
//! equals the one whose members come first; these are taken away; the same with who is left. Every node that knows the
//! same comes to the same sets.

/// Nodes by their place in ha.cf. Heartbeat knows 100 at most.
pub(super) type Set = u128;

/// What the search for the largest set may cost. A graph on which it takes longer gets a set that cannot grow instead,
/// the same on all nodes: the steps are counted, not timed. 128 nodes of which every second pair is cut need less.
const STEPS: usize = 200_000;

pub(super) fn members(set: Set) -> impl Iterator<Item = usize> {
    (0..128).filter(move |i| set >> i & 1 == 1)
}

/// The set that node `me` is in. `hears[i]`: whom node i hears, as far as it is mutual.
pub(super) fn set_of(me: usize, hears: &[Set]) -> Set {
    let mut left: Set = if hears.len() >= 128 {
        Set::MAX
    } else {
        (1 << hears.len()) - 1
    };
    while left != 0 {
        let first = left.trailing_zeros() as usize;
        let set = largest_with(first, left, hears);
        if set >> me & 1 == 1 {
            return set;
        }
        left &= !set;
    }
    1 << me
}

/// The largest set of nodes of `among` with `first` in it that all hear one another.
fn largest_with(first: usize, among: Set, hears: &[Set]) -> Set {
    let mut search = Search {
        hears,
        best: 0,
        steps: STEPS,
    };
    search.grow(1 << first, hears[first] & among & !(1 << first));
    search.best
}

struct Search<'a> {
    hears: &'a [Set],
    best: Set,
    steps: usize,
}

impl Search<'_> {
    /// Tries candidates in order, so that of sets of one size the one whose members come first is found first.
    fn grow(&mut self, set: Set, mut candidates: Set) {
        if set.count_ones() > self.best.count_ones() {
            self.best = set;
        }
        while candidates != 0 && set.count_ones() + candidates.count_ones() > self.best.count_ones() {
            if self.steps == 0 {
                return;
            }
            self.steps -= 1;
            let next = candidates.trailing_zeros() as usize;
            candidates &= !(1 << next);
            self.grow(set | 1 << next, candidates & self.hears[next]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graph(nodes: usize, cut: &[(usize, usize)]) -> Vec<Set> {
        let all: Set = (1 << nodes) - 1;
        let mut hears: Vec<Set> = (0..nodes).map(|i| all & !(1 << i)).collect();
        for (a, b) in cut {
            hears[a - 1] &= !(1 << (b - 1));
            hears[b - 1] &= !(1 << (a - 1));
        }
        hears
    }

    fn sets(hears: &[Set]) -> Vec<Vec<usize>> {
        let mut sets: Vec<Set> = (0..hears.len()).map(|i| set_of(i, hears)).collect();
        sets.sort_by_key(|s| s.trailing_zeros());
        sets.dedup();
        sets.iter().map(|s| members(*s).map(|i| i + 1).collect()).collect()
    }

    /// Pairs that are cut, and the sets that come of it.
    type Cuts = &'static [(usize, usize)];
    type Sets = &'static [&'static [usize]];

    #[test]
    fn s3_cuts_of_three_nodes() {
        #[rustfmt::skip]
        let table: &[(Cuts, Sets)] = &[
            (&[],                       &[&[1, 2, 3]]),
            (&[(1, 3)],                 &[&[1, 2], &[3]]),
            (&[(1, 2)],                 &[&[1, 3], &[2]]),
            (&[(2, 3)],                 &[&[1, 2], &[3]]),
            (&[(1, 3), (1, 2)],         &[&[1], &[2, 3]]),
            (&[(1, 2), (2, 3)],         &[&[1, 3], &[2]]),
            (&[(1, 3), (2, 3)],         &[&[1, 2], &[3]]),
            (&[(1, 2), (1, 3), (2, 3)], &[&[1], &[2], &[3]]),
        ];
        for (cut, expected) in table {
            assert_eq!(sets(&graph(3, cut)), *expected, "{cut:?}");
        }
    }

    #[test]
    fn larger_clusters() {
        #[rustfmt::skip]
        let table: &[(usize, Cuts, Sets)] = &[
            (4, &[(1, 4)],                 &[&[1, 2, 3], &[4]]),
            // A ring.
            (4, &[(1, 3), (2, 4)],         &[&[1, 2], &[3, 4]]),
            (4, &[(1, 2)],                 &[&[1, 3, 4], &[2]]),
            (5, &[(1, 2), (1, 3), (1, 4)], &[&[1, 5], &[2, 3, 4]]),
        ];
        for (nodes, cut, expected) in table {
            assert_eq!(sets(&graph(*nodes, cut)), *expected, "{nodes} {cut:?}");
        }
    }

    /// 100 nodes of which half the pairs are cut, without rule: bounded, and the members still hear one another.
    #[test]
    fn a_hundred_nodes_end_in_time() {
        let mut hears = vec![0; 100];
        let mut random: u64 = 1;
        for a in 0..100 {
            for b in 0..a {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                if random >> 63 == 0 {
                    hears[a] |= 1 << b;
                    hears[b] |= 1 << a;
                }
            }
        }
        for set in sets(&hears) {
            assert!(
                set.iter()
                    .all(|a| set.iter().all(|b| a == b || hears[a - 1] >> (b - 1) & 1 == 1))
            );
        }
    }

    proptest! {
        #[test]
        fn sets_are_complete_disjoint_and_cannot_grow(nodes in 1usize..7, cut in proptest::collection::vec((0usize..7, 0usize..7), 0..15)) {
            let cut: Vec<_> = cut.into_iter().map(|(a, b)| (a % nodes + 1, b % nodes + 1)).filter(|(a, b)| a != b).collect();
            let hears = graph(nodes, &cut);
            let sets = sets(&hears);
            let mut all: Vec<usize> = sets.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (1..=nodes).collect::<Vec<_>>());
            let mut taken = vec![];
            for set in sets {
                for a in &set {
                    prop_assert!(set.iter().all(|b| a == b || hears[a - 1] >> (b - 1) & 1 == 1));
                }
                let more = (1..=nodes).filter(|n| !taken.contains(n) && !set.contains(n));
                for n in more {
                    prop_assert!(set.iter().any(|b| hears[n - 1] >> (b - 1) & 1 == 0), "{} fits", n);
                }
                taken.extend(set);
            }
        }
    }
}
