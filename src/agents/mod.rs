//! The conventions of agents: what a resource's class, provider and type mean, and how each class is spoken to.
//!
//! * [`agent`]: `ocf:heartbeat:IPaddr2`, and the places where such an agent may be;
//! * [`metadata`]: what an agent says of itself, and what is true of classes whose scripts say nothing;
//! * [`operation`]: what is ordered of an agent, and what came of it;
//! * [`protocol`]: the same as messages between crmd and lrmd;
//! * [`environment`]: arguments and environment of a call;
//! * [`status`]: what an exit code, or what was written, means: by class and operation;
//! * [`executor`]: who runs when: one operation of a resource at a time, the recurring ones, what is told of them.
//!
//! Pure. May use `cib`, `msg`, `ids` and `time`. The agents themselves are run by [`crate::run::lrmd`].

pub mod agent;
pub mod environment;
pub mod executor;
pub mod metadata;
pub mod operation;
pub mod protocol;
pub mod status;

pub use agent::{Agent, Class};
pub use metadata::MetaData;
pub use operation::{Finished, Known, Order, Status};
