//! The attributes of an element, one behind the other in a single text: a CIB has ten for each of its elements, and to
//! keep each name and each value for itself took longer than to read them.

use std::fmt;

/// Names and values in the order of the document; a name is there once.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Attributes {
    /// Name, value, name, value.
    text: String,
    /// Where each name and each value ends in it. No document is longer than a `u32` can say.
    ends: Vec<Ends>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Ends {
    name: u32,
    value: u32,
}

impl Attributes {
    /// Room for so many attributes with so many bytes in all.
    pub(super) fn with_capacity(count: usize, bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            ends: Vec::with_capacity(count),
        }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn iter(&self) -> Iter<'_> {
        Iter {
            text: &self.text,
            ends: self.ends.iter(),
            at: 0,
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Keeps the attribute's place when it is there already.
    pub fn set(&mut self, name: &str, value: impl fmt::Display) {
        match self.iter().position(|(n, _)| n == name) {
            Some(at) => {
                let (from, to) = (self.ends[at].name as usize, self.ends[at].value as usize);
                let value = value.to_string();
                self.text.replace_range(from..to, &value);
                self.shift(at, to, from + value.len());
            }
            None => self.push(name, &value.to_string()),
        }
    }

    /// For a name that is not there yet.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let name = offset(self.text.len());
        self.text.push_str(value);
        let value = offset(self.text.len());
        self.ends.push(Ends { name, value });
    }

    pub fn remove(&mut self, name: &str) -> Option<String> {
        let at = self.iter().position(|(n, _)| n == name)?;
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before].value as usize);
        let Ends { name, value } = self.ends[at];
        let gone = self.text[name as usize..value as usize].to_owned();
        self.text.replace_range(from..value as usize, "");
        self.shift(at, value as usize, from);
        self.ends.remove(at);
        Some(gone)
    }

    /// By name.
    pub fn sort(&mut self) {
        let mut all: Vec<(&str, &str)> = self.iter().collect();
        all.sort_unstable();
        *self = all.into_iter().collect();
    }

    /// What ended at `was`, the value of the attribute `at`, ends at `is` now, and all behind it as much later or sooner.
    fn shift(&mut self, at: usize, was: usize, is: usize) {
        let moved = |end: u32| offset(end as usize - was + is);
        self.ends[at].value = offset(is);
        for ends in &mut self.ends[at + 1..] {
            *ends = Ends {
                name: moved(ends.name),
                value: moved(ends.value),
            };
        }
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("the attributes of an element are shorter than 4 GiB")
}

impl<'a> FromIterator<(&'a str, &'a str)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(all: I) -> Self {
        let mut out = Self::default();
        for (name, value) in all {
            out.set(name, value);
        }
        out
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Of [`Attributes::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    text: &'a str,
    ends: std::slice::Iter<'a, Ends>,
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let ends = self.ends.next()?;
        let (name, value) = (ends.name as usize, ends.value as usize);
        let pair = (&self.text[self.at..name], &self.text[name..value]);
        self.at = value;
        Some(pair)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ends.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Set(String, String),
        Remove(String),
        Sort,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let (name, value) = ("[a-cä]{0,2}", "[ -~ä€]{0,6}");
        prop_oneof![
            6 => (name, value).prop_map(|(n, v)| Step::Set(n, v)),
            3 => name.prop_map(Step::Remove),
            1 => Just(Step::Sort),
        ]
    }

    proptest! {
        /// A list of pairs is the same thing, only slower.
        #[test]
        fn it_is_a_list_of_pairs(steps in proptest::collection::vec(any_step(), 0..40)) {
            let (mut ours, mut pairs) = (Attributes::default(), Vec::<(String, String)>::new());
            for step in steps {
                match step {
                    Step::Set(name, value) => {
                        ours.set(&name, &value);
                        match pairs.iter_mut().find(|(n, _)| *n == name) {
                            Some((_, old)) => *old = value,
                            None => pairs.push((name, value)),
                        }
                    }
                    Step::Remove(name) => {
                        let at = pairs.iter().position(|(n, _)| *n == name);
                        prop_assert_eq!(ours.remove(&name), at.map(|at| pairs.remove(at).1));
                    }
                    Step::Sort => {
                        ours.sort();
                        pairs.sort();
                    }
                }
                let same: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (&**n, &**v)).collect();
                prop_assert_eq!(ours.iter().collect::<Vec<_>>(), same.clone());
                prop_assert_eq!(ours.len(), same.len());
                for (name, value) in &same {
                    prop_assert_eq!(ours.get(name), Some(*value));
                }
                prop_assert_eq!(&same.into_iter().collect::<Attributes>(), &ours);
            }
        }
    }
}
