//! A very small TCP service: it says which node it runs on. The demo puts it beside the address.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Answers every connection with the node's name and ends only when it is ended.
pub fn serve(port: u16, name: &str) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    for stream in listener.incoming() {
        // A client that went away is no reason to stop.
        let _ = stream.and_then(|mut s| writeln!(s, "{name}"));
    }
    Ok(())
}

/// What the service at the address says.
pub fn ask(address: IpAddr, port: u16, patience: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), patience)?;
    stream.set_read_timeout(Some(patience))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.trim_end().to_owned())
}
