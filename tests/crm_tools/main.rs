//! The tools of the crm on files: what they print, what they end with, what the file says then.

mod commands;
mod debian;
mod golden;

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn data(name: &str) -> PathBuf {
    root().join("tests/data/crm").join(name)
}

/// A copy of the articles' CIB to work on, gone with its owner.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str) -> Self {
        // Every change is synced: in memory that costs nothing.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let path = folder.join(format!("ha-crm-tools-{}-{name}.xml", std::process::id()));
        std::fs::copy(data("articles.cib.xml"), &path).unwrap();
        Self(path)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
