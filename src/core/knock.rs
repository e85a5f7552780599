//! Knocking: while a node counts as dead, it is asked several times a beat whether it hears us again.
//!
//! When a network heals, two halves that both have everything would go on until one of them hears a beat of the other.
//! A knock is heard earlier. It carries no number, so anybody may have recorded it: it changes nothing but that
//! whoever takes its sender for dead beats at once, and that beat is believed as any other. Heartbeat 3.0.6 knows
//! no knocks and drops them.

use super::layer::Core;
use crate::msg::Message;
use crate::time::{Duration, Instant, Now};

pub(super) const KIND: &str = "NS_hb_knock";
/// So many in the time of a beat, while that leaves `AT_LEAST` between two.
const A_BEAT: u32 = 10;
const AT_LEAST: Duration = Duration::from_millis(50);

/// Whether and when this node has knocked.
#[derive(Debug, Default)]
pub(super) struct Knocking {
    never: bool,
    last: Instant,
}

impl Core {
    /// As heartbeat 3.0.6 is.
    pub fn without_knocking(mut self) -> Self {
        self.knocking.never = true;
        self
    }

    /// When it is time to knock, unless a beat goes out before: each beat is as good as a knock.
    pub(super) fn knock_due(&self) -> Instant {
        let knocks = self.nodes.iter().any(|n| n.is_dead() && !n.is_ping()) && !self.knocking.never;
        match knocks {
            true => self.last_beat.max(self.knocking.last) + self.between_knocks(),
            false => Instant::NEVER,
        }
    }

    pub(super) fn knock(&mut self, now: Now) {
        self.knocking.last = now.mono;
        self.send_aside(now, Message::new(KIND));
    }

    /// Beats at once when it comes of a node that we have given up.
    pub(super) fn answer_knock(&mut self, now: Now, who: usize) {
        let rested = now.mono - self.last_beat >= self.between_knocks();
        if self.nodes[who].is_dead() && rested && !self.knocking.never {
            self.beat(now);
        }
    }

    fn between_knocks(&self) -> Duration {
        (self.cf.keepalive / A_BEAT).max(AT_LEAST)
    }
}
