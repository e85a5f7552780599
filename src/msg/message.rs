//! A message: an ordered list of named fields.

use super::{Text, fields};
use std::borrow::Cow;
use std::fmt;

/// 256 KiB, the largest message on a medium, as in heartbeat 3.0.6 (from source).
pub const MAX_MESSAGE: usize = 256 * 1024;
/// Far above the 20 or so fields of the largest real message; bounds the work a hostile packet can cause.
pub const MAX_FIELDS: usize = 512;
/// 16 levels of child messages, as in heartbeat 3.0.6 (from source).
pub const MAX_DEPTH: usize = 16;

/// What a field holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    Text(Text),
    Binary(Vec<u8>),
    Struct(Message),
    List(Vec<Vec<u8>>),
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::Text(s.as_bytes().into())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::Text(s.into_bytes().into())
    }
}

impl Value {
    /// A number as text, in hexadecimal without prefix.
    pub fn hex(mut number: u64) -> Self {
        let mut digits = [0; 16];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b"0123456789abcdef"[(number % 16) as usize];
            number /= 16;
            if number == 0 {
                return Self::Text(digits[first..].into());
            }
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    pub name: Cow<'static, str>,
    pub value: Value,
}

/// Fields in order. A name may occur twice; look-ups return the first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Message {
    fields: Vec<Field>,
}

impl Message {
    /// A message of type `t=kind`.
    pub fn new(kind: &str) -> Self {
        Self::with_room().with(fields::TYPE, kind)
    }

    /// Empty, with room for the fields of a usual one.
    pub(super) fn with_room() -> Self {
        Self {
            fields: Vec::with_capacity(18),
        }
    }

    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The type, or the empty string when there is none.
    pub fn kind(&self) -> &str {
        self.get(fields::TYPE).unwrap_or("")
    }

    pub fn value(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|f| f.name == name).map(|f| &f.value)
    }

    /// The text of the first field called `name`; `None` also when it is not text or not UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Value::Text(bytes) => std::str::from_utf8(bytes).ok(),
            Value::Binary(_) | Value::Struct(_) | Value::List(_) => None,
        }
    }

    pub fn binary(&self, name: &str) -> Option<&[u8]> {
        match self.value(name)? {
            Value::Binary(bytes) => Some(bytes),
            Value::Text(_) | Value::Struct(_) | Value::List(_) => None,
        }
    }

    /// The field as a number in hexadecimal without prefix (`seq`, `hg`, `ts`, `dt`, …).
    pub fn hex(&self, name: &str) -> Option<u64> {
        let text = self.get(name)?;
        // The library would also take a sign.
        text.starts_with(|c: char| c.is_ascii_hexdigit())
            .then(|| u64::from_str_radix(text, 16).ok())?
    }

    /// The field as a decimal number (`ttl`, `protocol`, …).
    pub fn dec(&self, name: &str) -> Option<u64> {
        let text = self.get(name)?;
        text.starts_with(|c: char| c.is_ascii_digit())
            .then(|| text.parse().ok())?
    }

    /// Overwrites the first field called `name` in its place, or adds it at the end.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.fields.iter_mut().find(|f| f.name == name) {
            Some(field) => field.value = value,
            None => self.push(fields::name(name), value),
        }
    }

    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.fields.push(Field {
            name: name.into(),
            value: value.into(),
        });
    }

    /// `set`, for building a message in one expression.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|f| f.name != name);
    }
}

/// A field name as read from outside: in UTF-8, not empty, and nothing in it that classic text would read otherwise.
pub(super) fn checked_name(bytes: &[u8]) -> Result<Cow<'static, str>, MsgError> {
    if let Some(known) = fields::known(bytes) {
        return Ok(Cow::Borrowed(known));
    }
    let name = std::str::from_utf8(bytes).map_err(|_| MsgError::BadField)?;
    if name.is_empty() || name.starts_with('(') || name.contains(['\n', '\0', '=']) {
        return Err(MsgError::BadField);
    }
    Ok(Cow::Owned(name.to_owned()))
}

pub(super) fn checked_text(bytes: &[u8]) -> Result<&[u8], MsgError> {
    if bytes.contains(&0) {
        Err(MsgError::BadField)
    } else {
        Ok(bytes)
    }
}

/// Counts one more field of a message being read, its children's included.
pub(super) fn take_field(left: &mut usize) -> Result<(), MsgError> {
    *left = left.checked_sub(1).ok_or(MsgError::TooManyFields)?;
    Ok(())
}

/// Why bytes are not a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MsgError {
    /// Neither `>>>` nor `###` at the start.
    NoStart,
    /// No end marker, or cut off in a field.
    Unfinished,
    /// Bytes after the end.
    Trailing,
    /// A field without `=`, with an empty name, a bad type digit or a bad length.
    BadField,
    BadBase64,
    TooLong,
    TooManyFields,
    TooDeep,
}

impl fmt::Display for MsgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoStart => "begins with neither >>> nor ###",
            Self::Unfinished => "has no end",
            Self::Trailing => "goes on after its end",
            Self::BadField => "has a malformed field",
            Self::BadBase64 => "has a binary field that is not base64",
            Self::TooLong => "is longer than 256 KiB",
            Self::TooManyFields => "has more than 512 fields",
            Self::TooDeep => "is nested deeper than 16 levels",
        })
    }
}

impl std::error::Error for MsgError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        #[rustfmt::skip]
        let table = [
            // text               hex                dec
            ("0",                 Some(0),           Some(0)),
            ("10",                Some(16),          Some(10)),
            ("6b014bb4",          Some(0x6b01_4bb4), None),
            ("ffffffffffffffff",  Some(u64::MAX),    None),
            ("10000000000000000", None,              Some(10_000_000_000_000_000)),
            ("",                  None,              None),
            ("+1",                None,              None),
            ("-1",                None,              None),
            (" 1",                None,              None),
            ("0x1",               None,              None),
        ];
        for number in [0, 9, 10, 15, 16, 0x6b01_4bb4, u64::MAX] {
            assert_eq!(Value::hex(number), format!("{number:x}").into());
        }
        for (text, hex, dec) in table {
            let message = Message::new("t").with("n", text);
            assert_eq!((message.hex("n"), message.dec("n")), (hex, dec), "{text:?}");
        }
    }

    #[test]
    fn first_of_two_fields_is_found_and_overwritten_in_its_place() {
        let mut message = Message::new("t");
        message.push("x", "1");
        message.push("x", "2");
        assert_eq!(message.get("x"), Some("1"));
        message.set("x", "3");
        let names: Vec<_> = message.fields().iter().map(|f| (&*f.name, f.value.clone())).collect();
        assert_eq!(names, [("t", "t".into()), ("x", "3".into()), ("x", "2".into())]);
        message.remove("x");
        assert_eq!(message.fields().len(), 1);
    }
}
