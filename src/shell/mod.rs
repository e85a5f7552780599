//! The language of the `crm` shell: what its lines mean, and how the configuration is written in it.
//!
//! * [`words`], [`lines`]: a text as lines, a line as words with their columns;
//! * [`parse`]: a line as an element of the CIB;
//! * [`mod@print`]: an element as lines, such that they load again unchanged;
//! * [`draft`]: the working copy: what goes in, what goes with it, the difference as edits;
//! * [`levels`], [`complete`]: the commands, and what a line may go on with;
//! * [`verify`]: what is wrong with a configuration; what an agent says of itself, as text.
//!
//! Pure: the program around it is `crm::shell`.

pub mod complete;
pub mod draft;
pub mod levels;
pub mod lines;
pub mod parse;
pub mod print;
pub mod verify;
pub mod words;

#[cfg(test)]
mod tests;
