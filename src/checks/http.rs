//! One question of HTTP/1.0 and the first line of its answer.

/// Of the first line; more is no HTTP.
pub const LONGEST_LINE: usize = 4096;

pub fn question(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: hb_monitor\r\nConnection: close\r\n\r\n")
}

/// What the bytes that came so far say: the status, why it is none, or `None` when the line has no end yet.
pub fn status(bytes: &[u8]) -> Option<Result<u16, String>> {
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else {
        return (bytes.len() >= LONGEST_LINE).then(|| Err("its first line has no end: that is not HTTP".to_owned()));
    };
    let line = String::from_utf8_lossy(&bytes[..end.min(80)]).trim_end().to_owned();
    let mut words = line.split(' ').filter(|w| !w.is_empty());
    let version = words.next().is_some_and(|w| w.starts_with("HTTP/"));
    let code = words.next().filter(|w| w.len() == 3).and_then(|w| w.parse().ok());
    Some(match code {
        Some(code) if version => Ok(code),
        Some(_) | None => Err(format!("it answers \"{}\": that is not HTTP", line.escape_debug())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_line_has_the_status() {
        #[rustfmt::skip]
        let table = [
            ("HTTP/1.1 200 OK\r\nServer: x\r\n",  Some(Ok(200))),
            ("HTTP/1.0 503\r\n",                  Some(Ok(503))),
            ("HTTP/1.1 404 Not Found\n",          Some(Ok(404))),
            ("HTTP/1.1 200 O",                    None),
            ("",                                  None),
            ("SSH-2.0-OpenSSH_9.2\r\n",           Some(Err(()))),
            ("HTTP/1.1 abc\r\n",                  Some(Err(()))),
            ("HTTP/1.1 20000\r\n",                Some(Err(()))),
            ("\r\n",                              Some(Err(()))),
        ];
        for (bytes, want) in table {
            assert_eq!(status(bytes.as_bytes()).map(|r| r.map_err(drop)), want, "{bytes:?}");
        }
        assert!(matches!(status(&[b'x'; LONGEST_LINE]), Some(Err(_))));
        assert_eq!(
            question("h", "/a"),
            "GET /a HTTP/1.0\r\nHost: h\r\nUser-Agent: hb_monitor\r\nConnection: close\r\n\r\n"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = status(&bytes);
        }
    }
}
