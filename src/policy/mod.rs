//! The crm's policy: from a CIB to where each resource belongs, and what is to be done for it, in which order.
//!
//! * [`input`]: nodes, resources and constraints with everything about them brought together;
//! * [`unpack`], `nodes`, `constraints`: the same from the CIB's configuration;
//! * [`properties`]: what the cluster's properties can be, and which are not;
//! * [`rules`]: rules with expressions and dates;
//! * [`history`]: what the CIB's status says: what runs where, and what failed (`entry`: a line of it, `replay`: all lines
//!   in turn, `failures`, `definition`: whether it still is what is configured);
//! * [`place`], `scores`, `wishes`, `clones`, `masters`: the node and role that each resource is given;
//! * `graph`, `steps`, `looks`, `orders`: every act that could be, and what each means for the others;
//! * [`plan`]: the actions, each with those it waits for;
//! * [`record`]: what an operation leaves in the status, `apply`: and of a plan, as if it had been carried out;
//! * `managed`, `notify`: what the cluster must not touch; who is told before and after;
//! * [`show`], [`summary`]: input and plan for people and as JSON.
//!
//! Pure: the same CIB and the same "now" give the same answer on every node, and in `crm_simulate`.

pub mod apply;
mod clones;
mod constraints;
mod definition;
mod entry;
mod failures;
mod graph;
pub mod history;
pub mod input;
mod looks;
mod managed;
mod masters;
pub mod nodes;
mod notify;
mod orders;
pub mod place;
pub mod plan;
pub mod properties;
pub mod record;
mod replay;
pub mod rules;
mod scores;
pub mod show;
mod steps;
pub mod summary;
pub mod unpack;
mod wishes;
