//! Whether the services of this node still work: when to look, when to believe what was seen, when to ask for a repair.
//!
//! Pure. [`machine`] says what is to be looked at and what is to be repaired; [`http`] are the bytes of one question. What a
//! repair is decides the resource manager ([`crate::groups`]), which knows how often it has repaired and who else is there.

pub mod http;
pub mod machine;

pub use machine::{Action, Checks, Event};
