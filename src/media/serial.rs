//! Opening serial lines, for the master.

use super::{Opened, lock};
use crate::sys::tty;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

pub fn open(device: &Path, baud: u32) -> io::Result<Opened> {
    let name = device.display();
    let refuse = |kind, why: String| Err(io::Error::new(kind, format!("serial {name} {why}")));
    match std::fs::metadata(device) {
        Ok(meta) if meta.file_type().is_char_device() => {}
        Ok(_) => return refuse(io::ErrorKind::InvalidInput, "is not a character device".to_owned()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return refuse(e.kind(), "does not exist".to_owned()),
        Err(e) => return refuse(e.kind(), format!("cannot be used: {e}")),
    }
    lock::take(device)?;
    // Pseudo terminals and some adapters have no RTS and CTS; the first try says so at once.
    let opened = tty::open_serial(device, baud, true).or_else(|first| {
        let fd = tty::open_serial(device, baud, false).map_err(|_| first)?;
        log::warn!("serial {name}: has no hardware flow control; goes without");
        Ok(fd)
    });
    opened.map(|fd| Opened { fd, to: None }).or_else(|e: io::Error| {
        lock::release(device);
        // Only now: opening and closing a pseudo terminal once more would hang up on its other end.
        let why = match tty::is_tty(device) {
            Ok(false) => "is not a tty".to_owned(),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                "may not be opened: permission denied; heartbeat must be started by root, or its user be in the group of \
                 the device"
                    .to_owned()
            }
            Ok(true) | Err(_) => format!("cannot be set to {baud} baud, 8 bits, raw: {e}; is there such a port?"),
        };
        refuse(e.kind(), why)
    })
}
