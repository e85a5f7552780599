//! The status file as `cl_status` reads it when the daemon does not answer.

use crate::clients::json::Json;
use crate::clients::screen::span;
use crate::sys;
use std::path::Path;

/// No status is longer; what is was not written by us.
const MAX: u64 = 1024 * 1024;

/// The last state that the daemon told.
#[derive(Clone, Debug)]
pub struct LastState {
    pub json: Json,
}

impl LastState {
    /// `None`: there is no such file, or it cannot be used.
    pub fn read(path: &Path) -> Option<Self> {
        use std::io::Read;
        let mut text = String::new();
        let file = std::fs::File::open(path).ok()?;
        file.take(MAX).read_to_string(&mut text).ok()?;
        let json = Json::parse(&text).ok()?;
        (json.get("time").number() > 0).then_some(Self { json })
    }

    pub fn time(&self) -> u64 {
        self.json.get("time").number()
    }

    /// Says of when it is, after what is the matter.
    pub fn sentence(&self, trouble: &str) -> String {
        let (at, now) = (self.time(), sys::wall().0);
        format!(
            "{trouble}; last known state, of {} ({} ago)",
            sys::clock::local_time(at),
            span(now.saturating_sub(at) * 1000)
        )
    }

    /// For programs: the same object, and that it did not come from the daemon.
    pub fn marked(&self) -> Json {
        let mut json = self.json.clone();
        if let Json::Object(members) = &mut json {
            members.push(("from_file".to_owned(), true.into()));
        }
        json
    }
}
