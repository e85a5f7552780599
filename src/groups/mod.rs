//! The v1 resource manager: who holds which group of haresources.

pub mod job;
