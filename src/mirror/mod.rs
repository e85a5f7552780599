//! The programs around DRBD: `drbddisk`, the resource script, and `drbdctl`, for the administrator. Both run `drbdadm` and
//! `drbdsetup`; what their output means, and what follows from it, is in [`crate::drbd`].
//!
//! * [`tools`]: runs of those programs, with a time limit;
//! * [`look`]: how the devices of this machine are, and who uses them;
//! * [`disk`]: the program drbddisk;
//! * [`ctl`]: the program drbdctl;
//! * [`perform`]: one step of a recovery on this node;
//! * [`answer`]: the same for another node that asks over the cluster;
//! * [`recover`]: a whole recovery, on both nodes.

pub mod answer;
pub mod ctl;
pub mod disk;
pub mod look;
pub mod perform;
pub mod recover;
pub mod tools;
