//! Who uses a UDP port: the words behind "address already in use".

use std::fs;
use std::path::Path;

/// Descriptors looked at before we stop searching: the master must not spend seconds on a busy machine.
const MAX_LOOKS: usize = 20_000;

/// `named (process 123)`, or where to look when we cannot tell.
pub fn who(port: u16, v6: bool) -> String {
    let table = if v6 { "udp6" } else { "udp" };
    // `net` of this thread, not of the process: they differ in the tests.
    let text = fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
    inodes(&text, port)
        .iter()
        .find_map(|inode| owner(inode))
        .unwrap_or_else(|| format!("another program (ss -ulnp 'sport = :{port}' shows it)"))
}

/// Inodes of the sockets bound to `port`, from the text of /proc/net/udp.
fn inodes(text: &str, port: u16) -> Vec<String> {
    let lines = text
        .lines()
        .skip(1)
        .map(|l| l.split_ascii_whitespace().collect::<Vec<_>>());
    lines
        .filter(|words| {
            let local = words.get(1).and_then(|w| w.rsplit_once(':'));
            local.and_then(|(_, hex)| u16::from_str_radix(hex, 16).ok()) == Some(port)
        })
        .filter_map(|words| words.get(9).map(|w| (*w).to_owned()))
        .collect()
}

fn owner(inode: &str) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    let mut looks = 0;
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().filter(|n| n.bytes().all(|b| b.is_ascii_digit())) else {
            continue;
        };
        for fd in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            looks += 1;
            if looks > MAX_LOOKS {
                return None;
            }
            if fs::read_link(fd.path()).is_ok_and(|to| to == Path::new(&wanted)) {
                let program = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("{} (process {pid})", program.trim()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_a_port_are_found() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            1: 00000000:02B6 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 2222 2 0 0\n\
            2: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1111 2 0 0\n\
            3: broken\n";
        assert_eq!(inodes(text, 694), ["2222"]);
        assert_eq!(inodes(text, 53), ["1111"]);
        assert!(inodes(text, 1).is_empty());
        assert!(inodes("", 1).is_empty());
    }

    #[test]
    fn our_own_socket_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let said = who(socket.local_addr().unwrap().port(), false);
        assert!(said.ends_with(&format!("(process {})", std::process::id())), "{said}");
    }
}
