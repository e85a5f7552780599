//! Clusters of crmds that agree, on a virtual network: partitions, replication, faults.

mod bed;
mod commits;
mod faults;
mod partitions;
