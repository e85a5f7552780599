//! The crm as its users meet it: the conversation of the tools with crmd, and the tools.
//!
//! * [`changes`]: what the commands do to a CIB, as edits (pure);
//! * [`protocol`]: what tools and crmd say to each other (pure);
//! * [`store`]: the CIB on disk;
//! * [`client`]: a cluster, or a file with a CIB, for a tool to look at and to change.
//! * [`client`]: a cluster, or a file with a CIB, for a tool to look at and to change;
//! * [`shell`]: the shell `crm`.
//!
//! May use `ipc`, `cib`, `policy`, `text`, `sys`, `paths`. Promises that a tool waits for crmd only as long as it says.

pub mod admin;
pub mod attribute;
pub mod changes;
pub mod client;
pub mod mon;
pub mod node;
pub mod protocol;
pub mod resource;
mod resource_show;
pub mod shell;
pub mod store;
pub mod tool;
pub mod verify;
