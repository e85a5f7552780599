use super::*;
use crate::sys::poll::wait;
use std::net::{SocketAddr, TcpListener};
use std::thread;

fn spec(kind: CheckKind, timeout: u64) -> CheckSpec {
    CheckSpec {
        kind,
        every: Duration::from_secs(1),
        timeout: Duration::from_millis(timeout),
        retries: 0,
        pause: Duration::ZERO,
        fall: 1,
        rise: 1,
        from: "nginx".parse().unwrap(),
        line: 1,
    }
}

fn sh(script: &str, timeout: u64) -> CheckSpec {
    let kind = CheckKind::Script {
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), script.to_owned()],
    };
    spec(kind, timeout)
}

/// Turns until something was seen.
fn look(probes: &mut Probes) -> Vec<Seen> {
    loop {
        let seen = probes.tick(crate::sys::now());
        if !seen.is_empty() {
            return seen;
        }
        wait(&probes.wants(), probes.deadline()).unwrap();
    }
}

fn result(spec: &CheckSpec) -> Result<(), String> {
    let mut probes = Probes::new();
    probes.begin(crate::sys::now(), 3, 7, spec);
    let seen = look(&mut probes);
    assert_eq!(seen.iter().map(|s| (s.0, s.1)).collect::<Vec<_>>(), [(3, 7)]);
    seen.into_iter().next().unwrap().2
}

#[test]
fn scripts_are_judged_by_their_exit_code() {
    #[rustfmt::skip]
    let table = [
        ("exit 0",                             10_000, Ok(())),
        ("echo nobody home; exit 3",           10_000, Err("exit code 3: nobody home")),
        ("exit 1",                             10_000, Err("exit code 1")),
        ("kill -9 $$",                         10_000, Err("killed by signal 9")),
        ("sleep 600",                          100,    Err("no answer within 100 ms")),
    ];
    for (script, timeout, want) in table {
        assert_eq!(result(&sh(script, timeout)), want.map_err(str::to_owned), "{script}");
    }
    let none = CheckKind::Script {
        program: "/no/such/program".into(),
        args: Vec::new(),
    };
    assert!(result(&spec(none, 1000)).unwrap_err().contains("/no/such/program"));
}

#[test]
fn resource_scripts_are_judged_by_their_words() {
    let outcome = |exit, output: &str| Outcome {
        exit,
        output: output.to_owned(),
        took: Duration::ZERO,
    };
    #[rustfmt::skip]
    let table = [
        (Exit::Code(0), "nginx is running\n",      Ok(())),
        (Exit::Code(0), "nginx is stopped\n",      Err("\"nginx is stopped\"")),
        (Exit::Code(3), "nginx is not running\n",  Err("\"nginx is not running\"")),
        (Exit::Code(0), "",                        Err("it does not say that it is running")),
        (Exit::Signal(9), "running",               Err("killed by signal 9")),
    ];
    for (exit, output, want) in table {
        assert_eq!(
            verdict(&outcome(exit, output), true),
            want.map_err(str::to_owned),
            "{output}"
        );
    }
}

#[test]
fn a_script_that_hangs_has_failed_and_is_not_begun_again_beside_itself() {
    let mut probes = Probes::new();
    let hangs = sh("trap '' TERM; sleep 600 & wait; wait", 100);
    probes.begin(crate::sys::now(), 0, 1, &hangs);
    assert_eq!(look(&mut probes), [(0, 1, Err("no answer within 100 ms".to_owned()))]);
    probes.begin(crate::sys::now(), 0, 2, &hangs);
    assert_eq!(
        look(&mut probes),
        [(0, 2, Err("the script of the look before still hangs".to_owned()))]
    );
    // Another check is not disturbed, and when it was killed the first begins again.
    probes.begin(crate::sys::now(), 1, 3, &sh("exit 0", 10_000));
    assert_eq!(look(&mut probes), [(1, 3, Ok(()))]);
    while !probes.late.is_empty() {
        wait(&probes.wants(), probes.deadline()).unwrap();
        assert_eq!(probes.tick(crate::sys::now()), []);
    }
    probes.begin(crate::sys::now(), 0, 4, &sh("exit 0", 10_000));
    assert_eq!(look(&mut probes), [(0, 4, Ok(()))]);
}

/// Answers one connection, after it was asked.
fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 1000];
        let n = stream.read(&mut asked).unwrap_or(0);
        assert!(asked[..n].starts_with(b"GET /ok HTTP/1.0\r\nHost: site\r\n"));
        // In pieces, as a network may bring it.
        for piece in answer.as_bytes().chunks(5) {
            stream.write_all(piece).unwrap();
            stream.flush().unwrap();
        }
    });
    address
}

fn http(address: SocketAddr) -> CheckSpec {
    let kind = CheckKind::Http {
        address,
        host: "site".to_owned(),
        path: "/ok".to_owned(),
        expect: (200, 299),
    };
    spec(kind, 10_000)
}

#[test]
fn pages_are_judged_by_their_status() {
    #[rustfmt::skip]
    let table = [
        ("HTTP/1.1 200 OK\r\n\r\n",        Ok(())),
        ("HTTP/1.1 503 Sorry\r\n\r\n",     Err("status 503")),
        ("hello\r\n",                      Err("it answers \"hello\": that is not HTTP")),
        ("HTTP/1.1 20",                    Err("the connection was closed without an answer")),
    ];
    for (answer, want) in table {
        assert_eq!(result(&http(server(answer))), want.map_err(str::to_owned), "{answer:?}");
    }
}

#[test]
fn ports_are_judged_by_whether_they_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(result(&spec(CheckKind::Tcp(address), 10_000)), Ok(()));
    // It connects, and then says nothing.
    let silent = CheckSpec {
        timeout: Duration::from_millis(100),
        ..http(address)
    };
    assert_eq!(result(&silent), Err("no answer within 100 ms".to_owned()));
    drop(listener);
    assert_eq!(
        result(&spec(CheckKind::Tcp(address), 10_000)),
        Err("connection refused".to_owned())
    );
}

#[test]
fn what_was_dropped_is_not_seen() {
    let mut probes = Probes::new();
    let now = crate::sys::now();
    probes.begin(now, 0, 1, &sh("exit 1", 10_000));
    probes.drop_one(0);
    assert_eq!(probes.late, [(0, 1)]);
    probes.begin(now, 1, 2, &sh("sleep 0.2", 10_000));
    assert_eq!(look(&mut probes), [(1, 2, Ok(()))]);
    assert_eq!(probes.late, []);
}
