//! A cluster on one machine: nodes made of namespaces, the real programs inside them, faults, and a client that watches.
//!
//! [`Lab`] is what tests and `hb_lab` use. Behind it runs one process, the switch ([`switch`]), which owns the virtual
//! network and is the parent of one keeper ([`keeper`]) a node. A keeper is process 1 of its node: when it ends the
//! kernel ends every process of the node and takes its network away. The keepers end when the switch ends, so however a
//! lab dies nothing but its directory is left, and the next `up` of that name removes it.
//!
//! ```text
//! node1 ─ eth0 ┐
//! node2 ─ eth0 ┤ switch: hands frames on, or loses them as told (cut, loss)
//! client─ eth0 ┘
//! ```
//!
//! * [`handle`], [`options`], `verbs`, [`demo`]: for tests, for `hb_lab`, for newcomers;
//! * [`plan`], [`site`], [`files`]: its shape, what a site's own files ask of it, its directories;
//! * `control`, `fabric`, `netlink`: talking to the switch, what that does with a frame, how interfaces are made;
//! * [`watch`], [`probe`], [`timeline`]: who answers, asked every millisecond;
//! * [`classic`], [`flood`], [`talk`], `service`: heartbeat 3.0.6, junk, a client and a service as neighbours.
//!
//! The switch is a program and not the kernel's bridge: cutting one pair of nodes, one direction, or every third frame
//! needs neither iptables nor a kernel module nor root.

pub mod classic;
pub mod control;
pub mod demo;
pub mod fabric;
pub mod files;
pub mod flood;
pub mod handle;
pub mod keeper;
pub mod netlink;
pub mod options;
pub mod plan;
pub mod probe;
pub mod service;
pub mod site;
pub mod switch;
pub mod talk;
pub mod timeline;
pub mod verbs;
pub mod watch;

pub use flood::Flood;
pub use handle::{Inside, Lab};
pub use options::{Config, Options};
pub use timeline::{Gap, Span, Timeline};
pub use watch::Watcher;

/// The node from which the cluster is looked at; it runs no cluster program.
pub const CLIENT: &str = "client";
