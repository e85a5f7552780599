//! The crm as its users meet it: the conversation of the tools with crmd, and the tools.
//!
//! * [`changes`]: what the commands do to a CIB, as edits (pure);
//! * [`protocol`]: what tools and crmd say to each other (pure);
//! * [`store`]: the CIB on disk;
//! * [`client`]: a cluster, or a [`mod@file`] with a CIB, for a tool to look at and to change;
//! * [`tool`]: what all tools have in common; [`mon`] is crm_mon, [`verify`] crm_verify, [`resource`] crm_resource
//!   (`resource_options`: its words, `resource_show`: what it only shows),
//!   [`admin`] cibadmin, [`attribute`] crm_attribute and crm_standby, [`transient`] crm_failcount, crm_master and
//!   attrd_updater, [`node`] crm_node, crmadmin and crm_error, [`shell`] the shell crm.
//!
//! May use `ipc`, `cib`, `policy`, `text`, `sys`, `paths`. Promises that a tool waits for crmd only as long as it says.

pub mod admin;
pub mod attribute;
pub mod changes;
pub mod client;
pub mod file;
pub mod mon;
pub mod node;
pub mod protocol;
pub mod resource;
mod resource_options;
mod resource_show;
pub mod shell;
pub mod store;
pub mod tool;
pub mod transient;
pub mod verify;
