//! The crm as its users meet it.
//!
//! * [`store`]: the CIB on disk.

pub mod store;
