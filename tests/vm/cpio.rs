//! Writes a cpio archive in the form the kernel unpacks as the first file system of a guest ("newc").

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTERS: u32 = 0o020_000;

#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    directories: BTreeSet<String>,
}

/// The guest has one tree in /usr, and /bin, /sbin and /lib are links into it.
fn merged(path: &str) -> String {
    let path = path.trim_matches('/');
    let first = path.split('/').next().unwrap_or("");
    match first {
        "bin" | "sbin" | "lib" | "lib64" if first != path => format!("usr/{path}"),
        _ => path.to_owned(),
    }
}

impl Archive {
    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(content.len()).expect("no file of a guest has 4 GiB");
        let numbers = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            size,
            0,
            0,
            device.0,
            device.1,
            name.len() as u32 + 1,
            0,
        ];
        self.bytes.extend(b"070701");
        for number in numbers {
            self.bytes.extend(format!("{number:08X}").bytes());
        }
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn parents(&mut self, path: &str) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent, 0o755);
        }
    }

    pub fn directory(&mut self, path: &str, mode: u32) {
        let path = merged(path);
        if !path.is_empty() && self.directories.insert(path.clone()) {
            self.parents(&path);
            self.entry(&path, DIRECTORY | mode, (0, 0), &[]);
        }
    }

    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        let path = merged(path);
        self.parents(&path);
        self.entry(&path, FILE | mode, (0, 0), content);
    }

    pub fn link(&mut self, path: &str, target: &str) {
        let path = path.trim_matches('/');
        self.parents(path);
        self.entry(path, LINK | 0o777, (0, 0), target.as_bytes());
    }

    pub fn console(&mut self) {
        self.directory("dev", 0o755);
        self.entry("dev/console", CHARACTERS | 0o600, (5, 1), &[]);
    }

    /// A file, or everything below a directory.
    pub fn tree(&mut self, host: &Path, guest: &str) -> Result<(), String> {
        let said = |e: std::io::Error| format!("{}: {e}", host.display());
        let about = fs::symlink_metadata(host).map_err(said)?;
        if about.is_symlink() {
            let target = fs::read_link(host).map_err(said)?;
            self.link(&merged(guest), &target.to_string_lossy());
        } else if about.is_dir() {
            self.directory(guest, about.permissions().mode() & 0o7777);
            let mut entries: Vec<_> = fs::read_dir(host)
                .map_err(said)?
                .flatten()
                .map(|e| e.file_name())
                .collect();
            entries.sort();
            for name in entries {
                self.tree(&host.join(&name), &format!("{guest}/{}", name.to_string_lossy()))?;
            }
        } else if about.is_file() {
            let content = fs::read(host).map_err(said)?;
            self.file(guest, about.permissions().mode() & 0o7777, &content);
        }
        Ok(())
    }

    pub fn done(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }
}
