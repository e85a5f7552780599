//! The CIB (cluster information base): the one document that says what the crm's cluster is meant to be, and what it is.
//!
//! * [`xml`]: a tree of elements, read with limits, written indented or bare; [`attributes`]: those of an element;
//! * [`version`]: admin_epoch, epoch and num_updates, and which of two is the later;
//! * [`document`]: the whole CIB: its sections, its ids, its digest;
//! * [`schema`]: which elements and attributes there are, and every place where a document is not like that;
//! * [`edit`]: what cibadmin and the daemons may do to it, and why one of them was refused;
//! * [`xpath`]: finding elements by what XPath says of them;
//! * [`wire`]: the same as one XML element, for those who send them;
//! * [`words`]: scores, times and truth values as the CIB writes them.
//!
//! Pure. The same edits on the same document give the same document and digest on every node. Sections that the crm does
//! not know are kept and written back.

pub mod attributes;
pub mod document;
pub mod edit;
pub mod schema;
pub mod version;
pub mod wire;
pub mod words;
pub mod xml;
pub mod xpath;

pub use document::Cib;
pub use edit::{Edit, Refusal};
pub use version::Version;
pub use words::Score;
pub use xml::Element;
