//! The words of a line, read from left to right.

use crate::cib::schema::is_xml_name;
use crate::shell::words::{Complaint, Word};

#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    words: &'a [Word],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(words: &'a [Word]) -> Self {
        Self { words, at: 0 }
    }

    pub fn peek(&self) -> Option<&'a Word> {
        self.words.get(self.at)
    }

    pub fn next_if(&mut self, wanted: impl Fn(&Word) -> bool) -> Option<&'a Word> {
        let word = self.peek().filter(|w| wanted(w))?;
        self.at += 1;
        Some(word)
    }

    /// Where the next word stands, or would stand.
    pub fn column(&self) -> usize {
        match (self.peek(), self.words.last()) {
            (Some(word), _) => word.column,
            (None, Some(last)) => last.column + last.text.chars().count() + 2 * usize::from(last.quoted) + 1,
            (None, None) => 1,
        }
    }

    /// The complaint that the next word is not what it should be.
    pub fn expected(&self, what: &str) -> Complaint {
        let found = match self.peek() {
            Some(word) => format!("found \"{}\"", word.text),
            None => "but the line ends here".to_owned(),
        };
        Complaint::new(self.column(), format!("expected {what}, {found}"))
    }

    pub fn expect(&mut self, what: &str) -> Result<&'a Word, Complaint> {
        self.next().ok_or_else(|| self.expected(what))
    }

    /// The name of a new object.
    pub fn id(&mut self, what: &str) -> Result<&'a Word, Complaint> {
        match self.peek() {
            Some(word) if is_xml_name(&word.text) => Ok(self.next().expect("it was peeked at")),
            _ => Err(self.expected(&format!(
                "{what} (letters, digits, - _ and ., not starting with a digit)"
            ))),
        }
    }

    pub fn end(&self, what: &str) -> Result<(), Complaint> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected(what)),
        }
    }
}

impl<'a> Iterator for Cursor<'a> {
    type Item = &'a Word;

    fn next(&mut self) -> Option<&'a Word> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }
}
