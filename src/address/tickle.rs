//! The program `tickle_tcp`: tells the clients of a service that moved that their old connections are gone.

use crate::sys::raw_ip::RawIp;
use crate::wire::tcp::{connection, tickle};
use std::io::{self, BufRead, Write};
use std::time::Duration;

pub const USAGE: &str = "\
Usage: tickle_tcp [-n COUNT] < CONNECTIONS

Sends a TCP acknowledgement that fits nothing to the client of each connection, so that
it finds out at once that its server is another one now, and connects again. A line is
SERVER:PORT CLIENT:PORT, with an IPv6 address in brackets. Only root may do that.

  -n COUNT     how often, a tenth of a second apart; the default is 1
  -h, --help   print this
";

const FAILED: u8 = 1;
const WRONG: u8 = 2;
/// As many connections as a server may have in tens of megabytes of memory here.
const MOST_LINES: usize = 200_000;
const PAUSE: Duration = Duration::from_millis(100);

/// The whole program: the exit status.
pub fn run(args: &[String], input: &mut dyn BufRead, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let count: u32 = match words[..] {
        ["-h" | "--help"] => {
            let _ = out.write_all(USAGE.as_bytes());
            return 0;
        }
        [] => 1,
        ["-n", n] if n.parse::<u32>().is_ok_and(|n| (1..=100).contains(&n)) => n.parse().unwrap_or(1),
        _ => {
            let _ = writeln!(err, "tickle_tcp: {}: not understood; see --help", words.join(" "));
            return WRONG;
        }
    };
    match send_all(count, input, err) {
        Ok(true) => 0,
        Ok(false) => FAILED,
        Err(e) => {
            let _ = writeln!(err, "tickle_tcp: {e}");
            FAILED
        }
    }
}

/// False if a line could not be read, or a packet not be sent.
fn send_all(count: u32, input: &mut dyn BufRead, err: &mut dyn Write) -> io::Result<bool> {
    let mut good = true;
    let mut packets = Vec::new();
    for (i, line) in input.lines().take(MOST_LINES).enumerate() {
        let line = line?;
        let packet = connection(&line).and_then(|(server, client)| Some((client.ip(), tickle(server, client)?)));
        match packet {
            Some(packet) => packets.push(packet),
            None if line.trim().is_empty() => {}
            None => {
                let _ = writeln!(
                    err,
                    "tickle_tcp: line {}: \"{}\" is no connection",
                    i + 1,
                    line.escape_debug()
                );
                good = false;
            }
        }
    }
    let [mut v4, mut v6]: [Option<RawIp>; 2] = [None, None];
    for round in 0..count {
        if round > 0 {
            std::thread::sleep(PAUSE);
        }
        for (client, packet) in &packets {
            let socket = if client.is_ipv6() { &mut v6 } else { &mut v4 };
            let socket = match socket {
                Some(socket) => socket,
                None => socket.insert(RawIp::open(client.is_ipv6())?),
            };
            // A client without a route is no reason to leave the others waiting.
            if let Err(e) = socket.send(packet, *client) {
                if round == 0 {
                    let _ = writeln!(err, "tickle_tcp: {client}: {e}");
                }
                good = false;
            }
        }
    }
    Ok(good)
}
