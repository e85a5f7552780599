//! What the commands of the crm do to a CIB, as [`crate::cib::Edit`]s: the same for every tool, the shell and crmd.
//!
//! * [`attributes`]: name and value pairs of resources, nodes and the cluster;
//! * [`moves`]: constraints that send a resource somewhere, or away;
//! * [`removal`]: taking a resource away with everything that names it;
//! * [`forget`]: failures and histories.
//!
//! Pure.

pub mod attributes;
pub mod forget;
pub mod moves;
pub mod removal;
