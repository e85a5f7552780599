//! The crm's policy: from a CIB to where each resource belongs, and what is to be done for it, in which order.
//!
//! * [`input`]: nodes, resources and constraints with everything about them brought together;
//! * [`unpack`], [`constraints`]: the same from the CIB's configuration;
//! * [`rules`]: rules with expressions and dates;
//! * [`history`]: what the CIB's status says: what runs where, and what failed;
//! * [`place`], [`clones`]: scores, and the node and role they give each resource;
//! * [`needs`]: what that means for each, and for those that depend on it;
//! * [`plan`]: the actions, each with those it waits for.
//!
//! Pure: the same CIB and the same "now" give the same answer on every node, and in `crm_simulate`.

mod clones;
mod constraints;
pub mod history;
pub mod input;
pub mod needs;
pub mod place;
pub mod plan;
pub mod rules;
pub mod unpack;
