//! lrmd as a program: the door, the jobs and the clock around [`crate::agents::executor`].
//!
//! * [`client`]: the library of crmd.

pub mod client;
