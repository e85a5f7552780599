//! The bytes of a text field. Most are a few digits or a word: these stand in the field itself, not in a buffer of
//! their own, because a beat has a dozen of them and is built, read and kept every two seconds by every node.

use std::fmt;
use std::ops::Deref;

/// The longest text that fits where the pointer to a longer one would be.
const SHORT: usize = 22;

#[derive(Clone)]
enum Repr {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

/// Text without NUL. Bytes, not `String`: what a peer signed must be written back unchanged.
#[derive(Clone)]
pub struct Text(Repr);

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Long(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Text {
    fn from(text: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..text.len()) {
            Some(short) => {
                short.copy_from_slice(text);
                let len = text.len() as u8;
                Self(Repr::Short { len, bytes })
            }
            None => Self(Repr::Long(text.into())),
        }
    }
}

impl From<Vec<u8>> for Text {
    fn from(text: Vec<u8>) -> Self {
        if text.len() <= SHORT {
            text.as_slice().into()
        } else {
            Self(Repr::Long(text.into()))
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_text_reads_back_and_compares() {
        for len in [0, 1, SHORT - 1, SHORT, SHORT + 1, 1000] {
            let text = vec![b'x'; len];
            let (a, b) = (Text::from(text.as_slice()), Text::from(text.clone()));
            assert_eq!((&*a, &a), (text.as_slice(), &b), "{len}");
            assert_ne!(a, Text::from(vec![b'x'; len + 1]), "{len}");
            assert_eq!(a.clone(), a, "{len}");
        }
    }
}
