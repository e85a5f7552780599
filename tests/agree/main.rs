//! Clusters of crmds that agree, on a virtual network: partitions, replication, faults.
//!
//! A schedule that fails is named by its seed; `HA_TEST_SEED=… HA_TEST_COUNT=1 HA_TEST_LOG=1` plays it again with the
//! nodes' logs, `HA_TEST_TALK=1` with their messages.

mod bed;
mod commits;
mod faults;
mod partitions;

/// Which schedules are played: so many from the first on, or what `HA_TEST_COUNT` and `HA_TEST_SEED` say.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let first = number("HA_TEST_SEED").unwrap_or(0);
    first..first + number("HA_TEST_COUNT").unwrap_or(usual)
}
