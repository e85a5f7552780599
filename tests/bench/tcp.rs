//! Asking the service itself every few milliseconds, from the client: does a connection succeed, and who is there?
//!
//! The questions overlap, so that one which waits in a gap does not keep the next one from being asked. An answer
//! belongs to the moment its question was asked.

use ha::lab::service;
use ha::lab::timeline::{Micros, Timeline};
use ha::lab::{CLIENT, Lab, Watcher, watch};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// The word by which this program asks itself to be the prober.
pub const PROBER: &str = "__tcp";
const INTERVAL: Duration = Duration::from_millis(5);
/// A connection in a lab takes a fraction of a millisecond; the kernel repeats a lost beginning after a second only.
const PATIENCE: Duration = Duration::from_millis(50);
const AT_A_TIME: u32 = 10;
/// Here is a web server, which wants to be asked.
pub const HTTP: u16 = 80;
const BEFORE: Micros = 200_000;

/// The prober's whole life; it ends when nobody reads what it says.
pub fn probe(address: Ipv4Addr, port: u16) -> io::Result<()> {
    let (tell, told) = mpsc::channel::<String>();
    let begun = Instant::now();
    for n in 0..AT_A_TIME {
        let tell = tell.clone();
        thread::spawn(move || {
            let mut next = begun + INTERVAL * n;
            loop {
                thread::sleep(next.saturating_duration_since(Instant::now()));
                next = (next + INTERVAL * AT_A_TIME).max(Instant::now());
                let at = Watcher::now();
                let said = match port {
                    HTTP => page(address).ok(),
                    _ => service::ask(address.into(), port, PATIENCE).ok(),
                };
                let owner = said.filter(|name| !name.is_empty());
                if tell.send(watch::print(at, owner.as_slice())).is_err() {
                    return;
                }
            }
        });
    }
    drop(tell);
    let mut out = io::stdout();
    for line in told {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The last line of the page at the address.
fn page(address: Ipv4Addr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(address.into(), HTTP), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}

/// When it was asked, and who answered.
type Answers = Arc<Mutex<Vec<(Micros, Vec<String>)>>>;

/// Everything the prober said.
#[derive(Debug)]
pub struct TcpWatch {
    prober: Child,
    answers: Answers,
}

impl TcpWatch {
    pub fn start(lab: &Lab, address: Ipv4Addr, port: u16) -> io::Result<Self> {
        let me = std::env::current_exe()?;
        let words = [&*me.to_string_lossy(), PROBER, &address.to_string(), &port.to_string()];
        let mut command = lab.command(CLIENT, &words);
        let mut prober = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(prober.stdout.take().expect("standard output is a pipe"));
        let answers = Answers::default();
        let shared = Arc::clone(&answers);
        thread::spawn(move || {
            for answer in lines.lines().map_while(Result::ok).filter_map(|l| watch::parse(&l)) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
            }
        });
        Ok(Self { prober, answers })
    }

    /// What was asked after `since` and shortly before, in the order of asking.
    pub fn timeline(&self, since: Micros) -> Timeline {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A gap can begin at once: the last answer before it must be known.
        answers.retain(|(at, _)| *at + BEFORE >= since);
        answers.sort();
        let mut timeline = Timeline::default();
        for (at, owners) in answers {
            timeline.push(at, owners);
        }
        timeline
    }
}

impl Drop for TcpWatch {
    fn drop(&mut self) {
        let _ = self.prober.kill();
        let _ = self.prober.wait();
    }
}
