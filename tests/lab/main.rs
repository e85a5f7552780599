//! The real programs on nodes made of namespaces, one test a promise; `s2_NN_` is the step of the scenario it plays.
//!
//! Every test makes a lab of its own and removes it. Nothing is waited for by the clock: a test looks until a condition
//! holds, and fails with the logs of all nodes when it does not within [`cluster::BOUND`]. Where the machine allows no
//! namespaces the tests say `SKIPPED: reason` and pass.

mod address;
mod bad_input;
mod by_hand;
mod clients;
mod cluster;
mod configured;
mod crm;
mod crm_articles;
mod crm_cuts;
mod crm_failures;
mod crm_fencing;
mod crm_gaps;
mod crm_kills;
mod crm_moves;
mod crm_partitions;
mod crm_quorum;
mod differing;
mod dopd;
mod faults;
mod fencing;
mod installed;
mod ipfail;
mod lease;
mod looking;
mod media;
mod monitor;
mod moves;
mod nodes;
mod packets;
mod partitions;
mod ping;
mod rc_scripts;
mod reloading;
mod replaying;
mod resources;
mod respawn;
mod scripts;
mod storage;
#[path = "../bench/storm.rs"]
mod storm;
mod storms;
mod succession;
mod watchdog;
mod watching;
