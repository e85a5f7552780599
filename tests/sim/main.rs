//! Clusters under a virtual clock: named short scenarios, and many seeds of random faults.
//!
//! One seed, with the log of the daemons: `SIM_SEED=17 SIM_KIND=anything SIM_NODES=3 cargo test --test sim one_seed --
//! --nocapture --ignored`.

mod leases;
mod replay;
mod scenarios;
mod seeds;
