//! OCF agents as resources of haresources: what is meant, what an agent says of itself, what its exit status means.
//!
//! * [`call`]: what the words `OCF::IPaddr2::ip=10.0.0.1::cidr_netmask=24` say;
//! * [`limits`]: the time limits of an agent's meta-data, and the file they are kept in;
//! * [`status`]: exit statuses in words.
//!
//! Pure. May use `time`. The agents themselves are run by [`crate::jobs::ocf`].

pub mod call;
pub mod limits;
pub mod status;

pub use call::Call;
pub use limits::{Action, Limits};
