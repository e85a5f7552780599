//! What DRBD says of its devices, and what follows from it: for the programs drbddisk and drbdctl.
//!
//! * [`words`]: roles, connections and states of disks, by the words of DRBD 8.4 and 9;
//! * [`row`]: one device seen from one node, towards one peer;
//! * [`proc_file`], [`events`]: `/proc/drbd` of 8.4 and `drbdsetup events2` of both, as rows;
//! * [`generations`]: the identifiers of the data, and what two nodes' say about each other;
//! * [`account`]: what one node has to tell about a resource, for the other node and for a person;
//! * [`promotion`]: when drbddisk tries again, and when it says why not;
//! * [`recovery`]: the steps out of a split brain, one at a time;
//! * [`show`]: tables and bars for people, JSON for programs.
//!
//! Pure. Promises: a word that is not known is kept as it came and never taken for a good one; and no step is given that
//! discards data of a node that nobody named.

pub mod account;
pub mod events;
pub mod generations;
pub mod proc_file;
pub mod promotion;
pub mod recovery;
pub mod row;
pub mod show;
pub mod words;

pub use account::Account;
pub use row::Row;
pub use words::{Connection, Disk, Role};
