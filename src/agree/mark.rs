//! What a node remembers beside its CIB.

use super::change::{Done, Recent};
use crate::cib::{Cib, Element, Version};

/// Of the changes of the configuration, so many are remembered on disk: more than can be on their way at once.
const REMEMBERED: usize = 64;
const NAME: &str = "agreed";

/// Up to where partitions with quorum have committed the configuration. Lies beside `cib.xml`, and is written after it:
/// one that is too old does no harm, one that promises what the CIB lacks would.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    /// The highest number of a view with quorum that this node had one CIB with.
    pub(super) view: u64,
    /// The last change that was committed with quorum: number of the view, number of the change in it. Of two CIBs the
    /// one with the higher pair has everything that was committed with quorum in the other one.
    pub(super) commit: (u64, u64),
    /// admin_epoch and epoch it led to.
    pub(super) version: (u64, u64),
    /// The last changes of the configuration: they are not made again when their senders repeat them.
    pub(super) recent: Vec<Done>,
}

/// What counts of a version for the configuration.
pub(super) fn epochs(version: Version) -> (u64, u64) {
    (version.admin_epoch, version.epoch)
}

impl Mark {
    /// No partition with quorum has committed what came after.
    pub(super) fn covers(&self, cib: &Cib) -> bool {
        self.version == epochs(cib.version())
    }

    pub(super) fn remember(&mut self, recent: &Recent) {
        self.recent = recent.of_configuration(REMEMBERED);
    }

    /// One line for the file beside cib.xml.
    pub fn to_text(&self) -> String {
        self.to_element().to_bare()
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::from_element(&Element::parse(text).ok()?)
    }

    /// The CIB that was found is older than what was committed (an old backup, say): it can promise nothing.
    #[must_use]
    pub fn for_cib(self, cib: &Cib) -> Self {
        if self.version <= epochs(cib.version()) {
            return self;
        }
        Self {
            view: self.view,
            ..Self::default()
        }
    }

    pub(super) fn to_element(&self) -> Element {
        Element {
            children: self.recent.iter().map(Done::to_element).collect(),
            ..Element::new(NAME)
        }
        .with("view", self.view)
        .with("commit-view", self.commit.0)
        .with("commit", self.commit.1)
        .with("admin_epoch", self.version.0)
        .with("epoch", self.version.1)
    }

    pub(super) fn from_element(element: &Element) -> Option<Self> {
        let number = |name: &str| element.get(name)?.parse::<u64>().ok();
        if element.name != NAME {
            return None;
        }
        Some(Self {
            view: number("view")?,
            commit: (number("commit-view")?, number("commit")?),
            version: (number("admin_epoch")?, number("epoch")?),
            recent: element.children.iter().filter_map(Done::from_element).collect(),
        })
    }
}
