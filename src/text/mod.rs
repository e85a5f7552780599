//! What a cluster looks like, as text.
//!
//! * [`status`]: crm_mon's layout, as Pacemaker 1.1.7 printed it;
//! * [`summary`]: fail counts, operations, failed actions and attributes below it;
//! * [`status_xml`]: the same for programs;
//! * [`words`]: how exit statuses and roles are called.
//!
//! Pure: the CIB, the time and a function that writes a time come in.

pub mod status;
pub mod status_xml;
pub mod summary;
pub mod words;
