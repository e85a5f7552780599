//! Clusters under a virtual clock: named short scenarios, long times, and random schedules of faults by the thousand.

mod classic;
mod judge;
mod leases;
mod replay;
mod scenarios;
mod seeds;
