//! Failures: how many there were, when they stop to count, and what the configuration says is to be done about one.

use super::entry::Entry;
use super::input::{Input, N, OnFail, Primitive, R};
use crate::cib::Score;
use crate::time::{Duration, Wall};

/// The sum of the counts of all operations of a resource, and when the last failure was.
pub fn fail_count(input: &Input, plain: &str, n: N) -> (Score, Wall) {
    let of = |name: &str, prefix: &str| {
        let rest = name.strip_prefix(prefix)?.strip_prefix(plain)?;
        (rest.is_empty() || rest.starts_with('#')).then_some(())
    };
    let (mut count, mut last) = (Score::ZERO, Wall(0));
    for (name, value) in &input.nodes[n].transient {
        if of(name, "fail-count-").is_some() {
            count = count + Score::parse(value).unwrap_or_default();
        }
        if of(name, "last-failure-").is_some() {
            last = last.max(Wall(value.parse().unwrap_or(0)));
        }
    }
    (count, last)
}

/// Not of what an administrator must look at first: one of the operations that failed says on-fail=block.
pub(super) fn has_expired<'a>(
    input: &Input,
    r: R,
    last: Wall,
    mut failed: impl Iterator<Item = (&'a str, Duration)>,
) -> bool {
    let rsc = &input.resources[r];
    let timeout = rsc.failure_timeout.as_secs();
    let operations = input.primitive(r).map_or(&[][..], |p| &p.operations);
    let is_blocking = |name: &str, interval| {
        let mut found = operations.iter().filter(|o| o.name == name && o.interval == interval);
        found.any(|o| o.on_fail == Some(OnFail::Block))
    };
    let blocks = failed.any(|(name, interval)| is_blocking(name, interval));
    timeout > 0 && last.0 > 0 && !blocks && input.settings.now.0 > last.0.saturating_add(timeout)
}

/// What is to be done about a failed operation.
pub(super) fn reaction(input: &Input, primitive: &Primitive, e: &Entry) -> OnFail {
    let stop = e.operation == "stop";
    let fencing = input.settings.fencing;
    let configured = primitive
        .operations
        .iter()
        .find(|o| o.name == e.operation && o.interval == e.interval)
        .and_then(|o| o.on_fail);
    match configured {
        // Nobody can be fenced: the next best is that it runs nowhere.
        Some(OnFail::Fence) if !fencing => OnFail::Stop,
        // What could not be stopped will not be by trying once more.
        Some(OnFail::Stop | OnFail::Standby) | None if stop && fencing => OnFail::Fence,
        Some(OnFail::Stop | OnFail::Standby) | None if stop => OnFail::Block,
        Some(configured) => configured,
        None => OnFail::Restart,
    }
}
