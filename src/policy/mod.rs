//! The crm's policy: from a CIB to where each resource belongs, and what is to be done for it, in which order.
//!
//! * [`input`]: nodes, resources and constraints with everything about them brought together;
//! * [`unpack`], [`constraints`]: the same from the CIB's configuration;
//! * [`rules`]: rules with expressions and dates;
//! * [`history`]: what the CIB's status says: what runs where, and what failed;
//! * [`place`], [`clones`]: scores, and the node and role they give each resource;
//! * `graph`, `steps`, `orders`: every act that could be, and what each means for the others;
//! * [`plan`]: the actions, each with those it waits for.
//!
//! Pure: the same CIB and the same "now" give the same answer on every node, and in `crm_simulate`.

pub mod apply;
mod clones;
mod constraints;
mod graph;
pub mod history;
pub mod input;
mod notify;
mod orders;
pub mod place;
pub mod plan;
pub mod rules;
pub mod show;
mod steps;
pub mod summary;
pub mod unpack;
