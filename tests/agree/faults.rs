//! Everything at once, at random: cuts, kills, power failures, pauses, losses, and changes all the while.

use super::bed::{BOUND, Bed, Random};

fn play(seed: u64) {
    let mut random = Random::new(seed);
    let nodes = 2 + random.below(4) as usize;
    let mut bed = Bed::new(seed, nodes);
    bed.disk = 1 + random.below(100);
    bed.run(6000);
    let what = format!("seed {seed}, {nodes} nodes");
    bed.check_settled(&what);
    if random.chance(30) {
        bed.loss = random.below(10);
    }
    for _ in 0..40 {
        let n = random.below(nodes as u64) as usize;
        let m = random.below(nodes as u64) as usize;
        match random.below(12) {
            0 if n != m => bed.cut(n, m),
            1 if n != m => bed.cut_both(n, m),
            2 | 3 => bed.heal(),
            4 => {
                bed.kill(n);
                let delay = random.below(3000);
                bed.start(n, delay);
            }
            5 => {
                bed.power_off(n);
                let delay = random.below(8000);
                bed.start(n, delay);
            }
            6 if !bed.machines[n].paused => bed.pause(n, random.below(6000)),
            _ => {
                for _ in 0..random.below(6) {
                    bed.create(n);
                }
            }
        }
        let most = if random.chance(50) { 50 } else { 3000 };
        bed.run(random.below(most));
    }
    bed.heal();
    bed.loss = 0;
    for n in 0..nodes {
        bed.start(n, 0);
    }
    // A pause may last for a while yet.
    bed.run(8000 + BOUND);
    bed.check_settled(&what);
    let views: Vec<_> = bed.machines.iter().map(|m| m.views.len()).collect();
    bed.run(30_000);
    let later: Vec<_> = bed.machines.iter().map(|m| m.views.len()).collect();
    assert_eq!(views, later, "{what}: a new view without a reason");
    bed.check_settled(&what);
    for n in 0..nodes {
        bed.check_changes(n, &what);
    }
}

#[test]
fn whatever_happens_nothing_answered_with_quorum_is_lost() {
    for seed in super::seeds(300) {
        play(seed);
    }
}
