//! The messages of the cluster: an ordered list of fields, and its two written forms.
//!
//! * [`classic`]: `>>>` … `<<<` text, for serial lines, FIFOs and shell scripts;
//! * [`netstring`]: `###` … `%%%`, for UDP and ICMP;
//! * [`stream`]: cutting classic messages out of a byte stream;
//! * `message`, [`fields`]: the list itself, and the names in it; `text`, `base64`: how values are written.
//!
//! Pure. Any bytes may be handed to the readers: they answer with a message or an error, never a panic, and never use
//! more memory than the limits below allow.

mod base64;
pub mod classic;
pub mod fields;
pub mod message;
pub mod netstring;
pub mod stream;
mod text;

#[cfg(test)]
pub(crate) mod arbitrary;

pub use message::{Field, Message, MsgError, Value};
pub use text::Text;
