//! The version of a CIB: three numbers, of which the first that differs decides.

use super::xml::Element;
use std::fmt;
use std::str::FromStr;

/// The order of the fields is the order of comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Version {
    /// The administrator's own; no program raises it, but for `cibadmin -E`.
    pub admin_epoch: u64,
    /// One more with every change of the configuration.
    pub epoch: u64,
    /// One more with every change of the status; 0 again with every change of the configuration.
    pub num_updates: u64,
}

/// Their names in the `cib` element.
pub const ATTRIBUTES: [&str; 3] = ["admin_epoch", "epoch", "num_updates"];

impl Version {
    /// What is missing or no number counts as 0, as for a cib.xml that was written by hand.
    pub fn of(cib: &Element) -> Self {
        let [admin_epoch, epoch, num_updates] =
            ATTRIBUTES.map(|name| cib.get(name).and_then(|v| v.trim().parse().ok()).unwrap_or(0));
        Self {
            admin_epoch,
            epoch,
            num_updates,
        }
    }

    pub fn write_to(self, cib: &mut Element) {
        for (name, value) in ATTRIBUTES.iter().zip([self.admin_epoch, self.epoch, self.num_updates]) {
            cib.set(name, value);
        }
    }

    /// After a change of the configuration.
    pub fn next_epoch(self) -> Self {
        Self {
            epoch: self.epoch.saturating_add(1),
            num_updates: 0,
            ..self
        }
    }

    /// After a change of the status alone.
    pub fn next_update(self) -> Self {
        Self {
            num_updates: self.num_updates.saturating_add(1),
            ..self
        }
    }
}

/// `0.13.2`
impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let mut numbers = text.split('.').map(|n| n.parse().map_err(|_| NoVersion));
        let mut next = || numbers.next().unwrap_or(Err(NoVersion));
        let version = Self {
            admin_epoch: next()?,
            epoch: next()?,
            num_updates: next()?,
        };
        match numbers.next() {
            None => Ok(version),
            Some(_) => Err(NoVersion),
        }
    }
}

/// It is not three numbers with dots between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoVersion;

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.admin_epoch, self.epoch, self.num_updates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn three_numbers_and_nothing_else() {
        for text in ["", "1", "1.2", "1.2.3.4", "1.2.x", "1..2", "-1.0.0"] {
            assert_eq!(text.parse::<Version>(), Err(NoVersion), "{text}");
        }
    }

    #[test]
    fn the_first_number_that_differs_decides() {
        let rising = [
            "0.0.0", "0.0.1", "0.1.0", "0.9.24", "0.10.0", "0.10.9", "0.10.10", "1.0.0", "1.2.0",
        ];
        for pair in rising.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
            assert_eq!(version(pair[0]).to_string(), pair[0]);
        }
    }

    #[test]
    fn steps() {
        assert_eq!(version("1.5.7").next_epoch(), version("1.6.0"));
        assert_eq!(version("1.5.7").next_update(), version("1.5.8"));
        let mut cib = Element::new("cib").with("epoch", "6").with("num_updates", "many");
        assert_eq!(Version::of(&cib), version("0.6.0"));
        version("2.7.3").write_to(&mut cib);
        assert_eq!(cib.to_bare(), "<cib epoch=\"7\" num_updates=\"3\" admin_epoch=\"2\"/>");
    }
}
