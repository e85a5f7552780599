//! The FIFOs between the daemon and its clients, on real FIFOs in a directory of the test: the daemon's ends in one
//! thread, the clients in others.

use ha::clients::request::{self, field};
use ha::ids::ClientId;
use ha::ipc::client::{Client, ClientError};
use ha::ipc::command::send_command_to;
use ha::ipc::{CommandFifo, Server, ServerEvent};
use ha::msg::{Message, classic};
use ha::sys::now;
use ha::sys::poll::{Want, wait};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Far longer than anything here takes; only a hang comes near it.
const BOUND: Duration = Duration::from_secs(20);

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ha-ipc-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// What the daemon's side saw, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    Request(ClientId, u32, Message),
    Gone(ClientId),
    Command(Message),
}

/// A daemon that answers every question with `result=OK` and does what the field `please` says.
struct Daemon {
    state: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Seen>>>,
}

impl Daemon {
    fn start(name: &str) -> Self {
        let state = folder(name);
        let register = Server::create(&state).unwrap();
        let fifo = CommandFifo::create(&state.join("fifo")).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (stop, state) = (Arc::clone(&stop), state.clone());
            move || serve(Server::new(register, state), CommandFifo::new(fifo), &stop)
        });
        Self {
            state,
            stop,
            thread: Some(thread),
        }
    }

    fn client(&self, id: u32) -> Result<Client, ClientError> {
        Client::connect_as(&self.state, &id.to_string(), BOUND)
    }

    /// Ends the daemon and gives what it saw.
    fn end(mut self) -> Vec<Seen> {
        self.stop.store(true, Ordering::SeqCst);
        let seen = self.thread.take().unwrap().join().unwrap();
        let _ = fs::remove_dir_all(&self.state);
        seen
    }
}

fn serve(mut server: Server, mut commands: CommandFifo, stop: &AtomicBool) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let ready = {
            let mut wants = vec![Want::read(commands.fd())];
            wants.extend(server.wants());
            wait(&wants, now() + Duration::from_millis(20)).unwrap()
        };
        if ready[0].read {
            seen.extend(commands.read().into_iter().map(Seen::Command));
        }
        for event in server.pump(&ready[1..], 250) {
            match event {
                ServerEvent::Gone { client, .. } => seen.push(Seen::Gone(client)),
                ServerEvent::Request { client, who, message } => {
                    answer(&mut server, client, &message);
                    seen.push(Seen::Request(client, who.uid, message));
                }
            }
        }
    }
    seen
}

fn answer(server: &mut Server, client: ClientId, message: &Message) {
    let reqtype = message.get(field::REQTYPE).unwrap_or("");
    let ok = request::answer(reqtype).with("result", "OK");
    match message.get("please") {
        Some("drop me") => {
            server.reply(client, &ok.with("large", "x".repeat(150_000)));
            server.drop_client(client);
        }
        Some("flood me") => {
            for i in 0..20_000 {
                server.reply(
                    client,
                    &Message::new("status")
                        .with("i", i.to_string())
                        .with("pad", "x".repeat(100)),
                );
            }
        }
        Some("list") => {
            server.reply(client, &Message::new("status").with("st", "up"));
            server.reply(client, &request::answer("other").with("result", "OK"));
            server.reply(
                client,
                &request::answer(reqtype).with("n", "1").with("result", "ok/more"),
            );
            server.reply(client, &request::answer(reqtype).with("n", "2").with("result", "OK"));
        }
        Some("refuse") => server.reply(client, &request::refusal(reqtype, "EINVAL")),
        Some(_) => {}
        None if reqtype == request::SIGNOFF => server.drop_client(client),
        None => server.reply(client, &ok.with("node", "n1")),
    }
}

fn until(what: &str, mut good: impl FnMut() -> bool) {
    let end = now() + BOUND;
    while !good() {
        assert!(now() < end, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn please(what: &str) -> Message {
    request::of("x").with("please", what)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_client_signs_on_asks_gets_events_and_leaves_nothing_behind() {
    let daemon = Daemon::start("life");
    let mut client = daemon.client(70).unwrap();
    assert_eq!(client.node(), "n1");
    assert_eq!(mode(&daemon.state.join("casual/70.req")), 0o640);
    assert_eq!(mode(&daemon.state.join("casual/70.rsp")), 0o620);
    let answers = client.ask(&please("list")).unwrap();
    let numbers: Vec<_> = answers.iter().map(|m| m.get("n").unwrap()).collect();
    assert_eq!(numbers, ["1", "2"]);
    let event = client.next_event(now() + BOUND).unwrap().unwrap();
    assert_eq!(event.get("st"), Some("up"));
    assert_eq!(client.next_event(now()).unwrap(), None);
    match client.ask(&please("refuse")) {
        Err(ClientError::Refused { info: Some(info), .. }) => assert_eq!(info, "EINVAL"),
        other => panic!("{other:?}"),
    }
    client.signoff().unwrap();
    assert_eq!(fs::read_dir(daemon.state.join("casual")).unwrap().count(), 0);
    let seen = daemon.end();
    let Seen::Request(id, uid, first) = &seen[0] else {
        panic!("{seen:?}")
    };
    assert_eq!(first.get(field::REQTYPE), Some(request::SIGNON));
    assert_eq!(*uid, fs::metadata("/proc/self").unwrap().uid());
    let last = seen.iter().rev().find_map(|s| match s {
        Seen::Request(client, _, message) if client == id => message.get(field::REQTYPE),
        _ => None,
    });
    assert_eq!(last, Some(request::SIGNOFF));
}

#[test]
fn without_a_daemon_nothing_is_made_and_the_reason_is_said() {
    let state = folder("none");
    let command = || send_command_to(&state.join("fifo"), &Message::new("x"));
    let connect = || Client::connect_as(&state, "70", BOUND);
    assert!(matches!(command(), Err(ClientError::NotRunning)));
    assert!(matches!(connect(), Err(ClientError::NotRunning)));
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
    // The FIFOs are there, the daemon is not.
    drop(CommandFifo::create(&state.join("fifo")).unwrap());
    drop(Server::create(&state).unwrap());
    assert!(matches!(command(), Err(ClientError::NotRunning)));
    assert!(matches!(connect(), Err(ClientError::NotRunning)));
    assert_eq!(fs::read_dir(state.join("casual")).unwrap().count(), 0);
    // What the classic hb_standby leaves.
    fs::remove_file(state.join("fifo")).unwrap();
    fs::write(state.join("fifo"), "left").unwrap();
    assert!(matches!(command(), Err(ClientError::NotRunning)));
    assert_eq!(fs::read_to_string(state.join("fifo")).unwrap(), "left");
    drop(CommandFifo::create(&state.join("fifo")).unwrap());
    assert!(fs::metadata(state.join("fifo")).unwrap().file_type().is_fifo());
    fs::remove_dir_all(state).unwrap();
}

#[test]
fn commands_of_many_writers_arrive_whole_and_a_full_fifo_says_so() {
    let state = folder("commands");
    let path = state.join("fifo");
    let mut fifo = CommandFifo::new(CommandFifo::create(&path).unwrap());
    assert_eq!(mode(&path), 0o600);
    // 4096 bytes with the start of a writer and `>>>`, `t=x`, `pad=…`, `<<<`: 3 + 4 + 4 + 4 + n + 1 + 4.
    let largest = |n: usize| Message::new("x").with("pad", "p".repeat(n));
    assert!(matches!(
        send_command_to(&path, &largest(4077)),
        Err(ClientError::TooLong { len: 4097 })
    ));
    let writers: Vec<_> = (0..4)
        .map(|w| {
            let path = path.clone();
            thread::spawn(move || {
                for i in 0..200 {
                    let message = Message::new("x")
                        .with("n", format!("{w}/{i}"))
                        .with("pad", "p".repeat(i * 17));
                    let end = now() + BOUND;
                    while let Err(e) = send_command_to(&path, &message) {
                        assert!(matches!(e, ClientError::Busy), "{e}");
                        assert!(now() < end);
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            })
        })
        .collect();
    let mut got = 0;
    until("all commands", || {
        got += fifo.read().len();
        got == 800
    });
    for writer in writers {
        writer.join().unwrap();
    }
    let mut sent = 0;
    while send_command_to(&path, &largest(4076)).is_ok() {
        sent += 1;
        assert!(sent < 100_000);
    }
    assert!(matches!(
        send_command_to(&path, &largest(0)),
        Ok(()) | Err(ClientError::Busy)
    ));
    assert!(matches!(send_command_to(&path, &largest(4076)), Err(ClientError::Busy)));
    until("the flood is read", || {
        sent -= fifo.read().iter().filter(|m| m.get("pad") != Some("")).count();
        sent == 0
    });
    fs::remove_dir_all(state).unwrap();
}

#[test]
fn rubbish_in_the_many_writer_fifos_does_not_spoil_the_next_message() {
    let daemon = Daemon::start("rubbish");
    let rubbish: [&[u8]; 5] = [
        b"no line end",
        b">>>\nt=x\nhalf",
        b"\0\xff\n\n>>>",
        b">>>\n>>>\n>>>\n",
        b"<<<\n",
    ];
    for (i, bytes) in (70..).zip(rubbish) {
        for name in ["register", "fifo"] {
            let mut file = OpenOptions::new().write(true).open(daemon.state.join(name)).unwrap();
            file.write_all(bytes).unwrap();
        }
        let mut client = daemon.client(i).unwrap();
        client.ask(&request::of("x")).unwrap();
        send_command_to(&daemon.state.join("fifo"), &Message::new("x")).unwrap();
    }
    let mut client = daemon.client(99).unwrap();
    client.ask(&request::of("x")).unwrap();
    let seen = daemon.end();
    let commands = seen.iter().filter(|s| matches!(s, Seen::Command(_))).count();
    assert_eq!(commands, rubbish.len(), "{seen:?}");
}

#[test]
fn clients_that_die_are_noticed() {
    let daemon = Daemon::start("dies");
    for id in 70..75 {
        drop(daemon.client(id).unwrap());
    }
    // The daemon tells of the end within its turns; a further client proves that turns went by.
    let mut client = daemon.client(999).unwrap();
    for _ in 0..5 {
        client.ask(&request::of("x")).unwrap();
    }
    let seen = daemon.end();
    assert_eq!(
        seen.iter().filter(|s| matches!(s, Seen::Gone(_))).count(),
        5,
        "{seen:?}"
    );
}

#[test]
fn a_client_that_writes_rubbish_is_dropped_and_others_are_served() {
    let daemon = Daemon::start("bad-client");
    let client = daemon.client(70).unwrap();
    let mut req = OpenOptions::new()
        .write(true)
        .open(daemon.state.join("casual/70.req"))
        .unwrap();
    req.write_all(b">>>\nnonsense\n<<<\n").unwrap();
    let mut client = client;
    let why = client.next_event(now() + BOUND).unwrap().expect("it is told");
    assert!(why.get("info").is_some_and(|w| w.starts_with("badclient")), "{why:?}");
    let end = client.next_event(now() + BOUND);
    assert!(matches!(end, Err(ClientError::Closed)), "{end:?}");
    daemon.client(71).unwrap().ask(&request::of("x")).unwrap();
    assert!(daemon.end().iter().any(|s| matches!(s, Seen::Gone(_))));
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_the_daemon_never_waits() {
    let daemon = Daemon::start("not-reading");
    let mut slow = daemon.client(70).unwrap();
    // 20000 events of 150 bytes: far more than FIFO and queue hold. The question itself stays unanswered.
    let asked = thread::spawn({
        let state = daemon.state.clone();
        move || {
            let mut req = OpenOptions::new()
                .write(true)
                .open(state.join("casual/70.req"))
                .unwrap();
            req.write_all(&classic::encode(&please("flood me"))).unwrap();
        }
    });
    asked.join().unwrap();
    let mut other = daemon.client(71).unwrap();
    for _ in 0..50 {
        other.ask(&request::of("x")).unwrap();
    }
    // What the FIFO still held can be read, then it ends.
    until("the end", || {
        loop {
            match slow.event() {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(e) => {
                    assert!(matches!(e, ClientError::Closed | ClientError::Spoilt(_)), "{e:?}");
                    return true;
                }
            }
        }
    });
    assert!(daemon.end().iter().any(|s| matches!(s, Seen::Gone(_))));
}

#[test]
fn a_client_that_floods_with_requests_does_not_keep_others_waiting() {
    let daemon = Daemon::start("flood");
    let flooder = daemon.client(70).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let path = daemon.state.join("casual/70.req");
    let mut req = OpenOptions::new().write(true).open(path).unwrap();
    let writer = thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let bytes = classic::encode(&please("nothing"));
            while !stop.load(Ordering::SeqCst) {
                if req.write_all(&bytes).is_err() {
                    break;
                }
            }
        }
    });
    for id in 71..75 {
        daemon.client(id).unwrap().ask(&request::of("x")).unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    drop(flooder);
    let seen = daemon.end();
    writer.join().unwrap();
    assert!(seen.len() > 10);
}

#[test]
fn a_dropped_client_still_gets_what_was_said_before() {
    let daemon = Daemon::start("drop");
    let mut client = daemon.client(70).unwrap();
    let answer = client.ask_one(&please("drop me")).unwrap();
    assert_eq!(answer.get("large").unwrap().len(), 150_000, "more than the FIFO holds");
    assert!(matches!(client.next_event(now() + BOUND), Err(ClientError::Closed)));
    drop(client);
    let seen = daemon.end();
    assert!(!seen.iter().any(|s| matches!(s, Seen::Gone(_))), "{seen:?}");
}

#[test]
fn when_the_daemon_ends_its_clients_are_told() {
    let daemon = Daemon::start("ends");
    let mut client = daemon.client(70).unwrap();
    daemon.end();
    assert!(matches!(client.next_event(now() + BOUND), Err(ClientError::Closed)));
    assert!(matches!(client.ask(&request::of("x")), Err(ClientError::Closed)));
}

#[test]
fn pairs_that_do_not_prove_their_owner_are_refused() {
    let daemon = Daemon::start("unsafe");
    let casual = daemon.state.join("casual");
    let fifo = |name: &str, mode: u32| {
        let path = casual.join(name);
        let _ = fs::remove_file(&path);
        ha::sys::fifo::make(&path, mode).unwrap();
    };
    let register = |id: &str| {
        let bytes = classic::encode(&request::of(request::SIGNON).with("from_id", id));
        let mut file = OpenOptions::new()
            .write(true)
            .open(daemon.state.join("register"))
            .unwrap();
        file.write_all(&bytes).unwrap();
    };
    let listen = |name: &str| -> File {
        OpenOptions::new()
            .read(true)
            .custom_flags(0o4000)
            .open(casual.join(name))
            .unwrap()
    };
    let refused = |id: &str, why: &str| {
        let mut answers = listen(&format!("{id}.rsp"));
        register(id);
        let mut text = Vec::new();
        until(why, || {
            let _ = answers.read_to_end(&mut text);
            String::from_utf8_lossy(&text).contains(why)
        });
    };
    fifo("1.req", 0o660);
    fifo("1.rsp", 0o620);
    refused("1", "others may write");
    fifo("2.req", 0o640);
    fifo("2.rsp", 0o640);
    refused("2", "others may read");
    fifo("3.req", 0o640);
    fifo("3.rsp", 0o620);
    fs::hard_link(casual.join("3.req"), casual.join("3.more")).unwrap();
    refused("3", "second name");
    // Not there, not FIFOs, not names of clients: ignored without harm.
    fs::write(casual.join("4.req"), "").unwrap();
    fs::write(casual.join("4.rsp"), "").unwrap();
    std::os::unix::fs::symlink(casual.join("2.req"), casual.join("5.req")).unwrap();
    std::os::unix::fs::symlink(casual.join("2.rsp"), casual.join("5.rsp")).unwrap();
    for id in ["4", "5", "6", "../fifo", "", "x/y"] {
        register(id);
    }
    assert_eq!(fs::read(casual.join("4.rsp")).unwrap(), b"");
    daemon.client(70).unwrap();
    let seen = daemon.end();
    let requests = seen.iter().filter(|s| matches!(s, Seen::Request(..))).count();
    assert_eq!(requests, 1, "{seen:?}");
}

#[test]
fn one_user_cannot_take_all_places_and_a_second_sign_on_is_ignored() {
    let daemon = Daemon::start("many");
    let mut clients = Vec::new();
    // 256 for root, 32 for anybody else.
    let refused = loop {
        match daemon.client(100 + clients.len() as u32) {
            Ok(client) => clients.push(client),
            Err(e) => break e,
        }
    };
    assert!(matches!(clients.len(), 32 | 256), "{}", clients.len());
    match refused {
        ClientError::Refused { info: Some(why), .. } => assert!(why.starts_with("too many clients"), "{why}"),
        other => panic!("{other:?}"),
    }
    drop(clients);
    until("a place is free", || daemon.client(301).is_ok());
    let mut client = daemon.client(302).unwrap();
    let again = classic::encode(&request::of(request::SIGNON).with("from_id", "302"));
    let mut file = OpenOptions::new()
        .write(true)
        .open(daemon.state.join("register"))
        .unwrap();
    file.write_all(&again).unwrap();
    client.ask(&request::of("x")).unwrap();
    client.ask(&request::of("x")).unwrap();
    daemon.end();
}

#[test]
fn a_name_is_for_one_at_a_time_and_free_again_when_its_owner_is_gone() {
    let daemon = Daemon::start("named");
    let sign_on = || Client::connect_as(&daemon.state, "pair", BOUND);
    let first = sign_on().unwrap();
    assert!(matches!(sign_on(), Err(ClientError::NameTaken(_))));
    // One that does not look first is refused by the daemon.
    for end in ["req", "rsp"] {
        fs::remove_file(daemon.state.join(format!("api/pair.{end}"))).unwrap();
    }
    match sign_on() {
        Err(ClientError::Refused { info: Some(why), .. }) => assert!(why.starts_with("duplicate add request"), "{why}"),
        other => panic!("{other:?}"),
    }
    drop(first);
    drop(sign_on().expect("the name is free at once"));
    let bad = Client::connect_as(&daemon.state, "../fifo", BOUND);
    assert!(matches!(bad, Err(ClientError::BadName(_))), "{bad:?}");
    let left = daemon.end();
    assert!(left.iter().any(|s| matches!(s, Seen::Gone(_))), "{left:?}");
}

/// A daemon that answers one move: `script` lists the phases it publishes, `PHASE` or `PHASE:REASON`; `other` is a
/// phase of somebody else's move, `end` ends the daemon, `hang` says nothing more.
fn moving(name: &str, script: &'static [&'static str], test: impl FnOnce(&Path)) -> Vec<Message> {
    let state = folder(name);
    let mut server = Server::new(Server::create(&state).unwrap(), &state);
    let mut commands = CommandFifo::new(CommandFifo::create(&state.join("fifo")).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let daemon = thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut got = Vec::new();
            let mut listeners = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let ready = {
                    let mut wants = vec![Want::read(commands.fd())];
                    wants.extend(server.wants());
                    wait(&wants, now() + Duration::from_millis(20)).unwrap()
                };
                for event in server.pump(&ready[1..], 250) {
                    if let ServerEvent::Request { client, message, .. } = event {
                        if message.get(field::REQTYPE) == Some(request::SETFILTER) {
                            assert_eq!(message.get(field::FMASK), Some("1"));
                            listeners.push(client);
                        }
                        answer(&mut server, client, &message);
                    }
                }
                for command in commands.read() {
                    let reqid = command.get(field::REQID).unwrap().to_owned();
                    let set = command.get("rsc_hold").unwrap().to_owned();
                    got.push(command);
                    for step in script {
                        let (phase, info) = step.split_once(':').unwrap_or((step, ""));
                        let (reqid, phase) = match phase {
                            "end" => return got,
                            "hang" => break,
                            "other" => ("1", "failed"),
                            phase => (reqid.as_str(), phase),
                        };
                        let event = Message::new("hb_phase")
                            .with("reqid", reqid)
                            .with("phase", phase)
                            .with("info", info)
                            .with("giver", "n1")
                            .with("taker", "n2")
                            .with("rsc_hold", set.as_str());
                        for &client in &listeners {
                            server.reply(client, &event);
                        }
                    }
                }
            }
            got
        }
    });
    test(&state);
    stop.store(true, Ordering::SeqCst);
    let got = daemon.join().unwrap();
    assert_eq!(
        fs::read_dir(state.join("casual")).unwrap().count(),
        0,
        "{name}: FIFOs are left"
    );
    fs::remove_dir_all(state).unwrap();
    got
}

fn program(path: &str, state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(args).env("HA_VARLIB", state);
    command
}

/// Exit code, stdout, stderr.
fn said(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const STANDBY: &str = env!("CARGO_BIN_EXE_hb_standby");
const TAKEOVER: &str = env!("CARGO_BIN_EXE_hb_takeover");

#[test]
fn hb_standby_shows_the_phases_and_ends_well_only_when_the_move_is_done() {
    let script = &[
        "queued:a start is under way",
        "other:not ours",
        "asked",
        "releasing",
        "acquiring",
        "done",
    ];
    let got = moving("standby-done", script, |state| {
        let (code, out, err) = said(program(STANDBY, state, &["local"]));
        assert_eq!(code, 0, "{err}");
        assert_eq!(
            out,
            "queued: local resources, n1 to n2 (a start is under way)\n\
             asked: local resources, n1 to n2\n\
             releasing: local resources, n1 to n2\n\
             acquiring: local resources, n1 to n2\n\
             done: local resources, n1 to n2\n"
        );
        assert_eq!(err, "Going standby [local].\n");
    });
    assert_eq!(got[0].kind(), "ask_resources");
    assert_eq!(got[0].get("info"), Some("me"));
    let got = moving("takeover-done", &["done"], |state| {
        assert_eq!(said(program(TAKEOVER, state, &["failback"])).0, 0);
    });
    assert_eq!((got[0].kind(), got[0].get("rsc_hold")), ("hb_takeover", Some("local")));
}

#[test]
fn a_move_that_is_not_done_says_why() {
    let table: &[(&'static [&'static str], &[&str], &str)] = &[
        (
            &["refused:the other node is dead"],
            &[],
            "hb_standby: refused: the other node is dead\n",
        ),
        (
            &["asked", "failed:httpd did not stop"],
            &[],
            "hb_standby: failed: httpd did not stop\n",
        ),
        (&["asked", "end"], &[], "hb_standby: heartbeat ended while this waited"),
        (
            &["asked", "hang"],
            &["--timeout", "0.2"],
            "hb_standby: not done within 0.2 s; the move goes on",
        ),
    ];
    for (i, (script, args, why)) in table.iter().enumerate() {
        moving(&format!("not-done-{i}"), script, |state| {
            let (code, _, err) = said(program(STANDBY, state, args));
            assert_eq!(code, 1, "{script:?}");
            assert!(
                err.lines().last().unwrap().starts_with(why.trim_end()),
                "{script:?}: {err}"
            );
        });
    }
}

#[test]
fn a_move_that_is_not_waited_for_or_cannot_begin() {
    let got = moving("no-wait", &["hang"], |state| {
        assert_eq!(
            said(program(STANDBY, state, &["--no-wait"])),
            (0, String::new(), "Going standby [all].\n".to_owned())
        );
        until("the command is read", || {
            // The FIFO is empty again: nothing to read for a second reader.
            let fifo = OpenOptions::new()
                .read(true)
                .custom_flags(0o4000)
                .open(state.join("fifo"))
                .unwrap();
            !wait(&[Want::read(std::os::fd::AsFd::as_fd(&fifo))], now()).unwrap()[0].read
        });
    });
    assert_eq!(got.len(), 1);
    let nowhere = Path::new("/nonexistent");
    for args in [&["--no-wait"][..], &[]] {
        let (code, _, err) = said(program(TAKEOVER, nowhere, args));
        assert_eq!(
            (code, err.as_str()),
            (1, "hb_takeover: heartbeat is not running on this node\n")
        );
    }
    let (code, _, err) = said(program(TAKEOVER, nowhere, &["everything"]));
    assert_eq!(code, 1);
    assert!(
        err.starts_with("hb_takeover: wrong resources(everything).\nusage: hb_takeover "),
        "{err}"
    );
}

#[test]
fn an_interrupt_ends_the_waiting_not_the_move() {
    moving("interrupt", &["asked", "hang"], |state| {
        let mut child = program(STANDBY, state, &[])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut first = [0; 5];
        out.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"asked");
        let killed = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.contains("no longer waiting; the move goes on"), "{err}");
    });
}

#[test]
fn cl_status_and_hb_msg_as_programs() {
    let nowhere = Path::new("/nonexistent");
    let (code, out, _) = said(program(env!("CARGO_BIN_EXE_cl_status"), nowhere, &["hbstatus"]));
    assert_eq!((code, out.as_str()), (1, "Heartbeat is stopped on this machine.\n"));
    let daemon = Daemon::start("programs");
    let hb_msg = |args: &[&str]| said(program(env!("CARGO_BIN_EXE_hb_msg"), &daemon.state, args)).0;
    assert_eq!(hb_msg(&["hello", "to=world"]), 0);
    assert_eq!(hb_msg(&["hello", "world"]), 2);
    let parameter = said(program(
        env!("CARGO_BIN_EXE_cl_status"),
        &daemon.state,
        &["hbparameter", "-p", "keepalive"],
    ));
    assert_eq!(parameter.0, 1, "this daemon answers OK without a value");
    let seen = daemon.end();
    let hello = Seen::Command(Message::new("hello").with("to", "world"));
    assert!(seen.contains(&hello), "{seen:?}");
}

#[test]
fn a_shell_can_speak_it() {
    const SCRIPT: &str = r#"
        set -e
        cd "$1/casual"
        mkfifo -m 640 $$.req
        mkfifo -m 620 $$.rsp
        trap 'rm -f $$.req $$.rsp' EXIT
        exec 4<>$$.rsp
        answer() { while read -r line <&4; do echo "$line"; test "$line" != "<<<" || break; done; }
        printf '>>>\nt=hbapi-req\nreqtype=signon\nfrom_id=%s\n<<<\n' $$ >../register
        answer
        printf '>>>\nt=hbapi-req\nreqtype=nodestatus\nnode=n1\n<<<\n' >$$.req
        answer
    "#;
    let daemon = Daemon::start("shell");
    let mut shell = Command::new("timeout");
    shell.args(["20", "sh", "-c", SCRIPT, "sh"]).arg(&daemon.state);
    let (code, out, err) = said(shell);
    assert_eq!(
        (code, out.as_str()),
        (
            0,
            ">>>\nt=hbapi-resp\nreqtype=signon\nresult=OK\nnode=n1\n<<<\n\
             >>>\nt=hbapi-resp\nreqtype=nodestatus\nresult=OK\nnode=n1\n<<<\n"
        ),
        "{err}"
    );
    let seen = daemon.end();
    assert!(seen.iter().any(|s| matches!(s, Seen::Gone(_))), "{seen:?}");
}

#[test]
fn who_a_client_is_says_the_owner_of_its_fifos() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("skipped: only root can be somebody else");
        return;
    }
    // Numbers without names, as a user and the group haclient.
    const USER: u32 = 54_321;
    const GROUP: u32 = 54_322;
    let daemon = Daemon::start("owner");
    for (name, mode) in [("casual", 0o3730), ("register", 0o620)] {
        let path = daemon.state.join(name);
        chown(&path, None, Some(GROUP)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    // Where that user can read it, whatever the rights of the build directory are.
    let copy = daemon.state.join("cl_status");
    fs::copy(env!("CARGO_BIN_EXE_cl_status"), &copy).unwrap();
    let ask = |group: u32| {
        let mut command = program(copy.to_str().unwrap(), &daemon.state, &["hbparameter", "-p", "x"]);
        command.uid(USER).gid(group).current_dir("/");
        said(command)
    };
    assert_eq!(ask(GROUP).0, 1, "answered: no such parameter");
    let (code, _, err) = ask(USER);
    assert_eq!(code, 13);
    assert!(err.contains("not permitted"), "{err}");
    let seen = daemon.end();
    let users: Vec<u32> = seen
        .iter()
        .filter_map(|s| match s {
            Seen::Request(_, uid, _) => Some(*uid),
            Seen::Gone(_) | Seen::Command(_) => None,
        })
        .collect();
    assert!(users.len() >= 2 && users.iter().all(|u| *u == USER), "{seen:?}");
}
