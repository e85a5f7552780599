//! Every question in all its forms, asked of the real rooms behind real FIFOs.

use super::*;
use crate::clients::tests::{copy, with_view};
use crate::clients::{Answer, Clients};
use crate::ipc::{Server, ServerEvent};
use crate::sys::poll::wait;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn ask(state: &Path, line: &str) -> Outcome {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    run(&args, state)
}

/// The real rooms, server and clients, on real FIFOs; only the view is made up.
fn with_daemon(name: &str, active: bool, test: impl FnOnce(&Path)) {
    let state: PathBuf = std::env::temp_dir().join(format!("ha-cl_status-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&state);
    std::fs::create_dir_all(&state).unwrap();
    let mut server = Server::new(Server::create(&state).unwrap(), &state);
    let stop = Arc::new(AtomicBool::new(false));
    let served = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            with_view(|view| {
                let mut view = copy(view);
                if !active {
                    view.active = false;
                    view.nodes[0].status = "up";
                }
                let mut clients = Clients::default();
                while !stop.load(Ordering::SeqCst) {
                    let ready = wait(&server.wants(), crate::sys::now() + Duration::from_millis(10)).unwrap();
                    for event in server.pump(&ready, 250) {
                        let answers = match event {
                            ServerEvent::Request { client, who, message } => {
                                clients.request(crate::sys::clock(), client, who, &message, &view, 250)
                            }
                            ServerEvent::Gone { client, why } => {
                                let _ = clients.gone(client, why);
                                Vec::new()
                            }
                        };
                        for answer in answers {
                            match answer {
                                Answer::Reply { client, message } => server.reply(client, &message),
                                Answer::Drop { client } => server.drop_client(client),
                                Answer::Send { .. } | Answer::Order { .. } | Answer::Signal { .. } => {}
                            }
                        }
                    }
                }
            });
        }
    });
    test(&state);
    stop.store(true, Ordering::SeqCst);
    served.join().unwrap();
    std::fs::remove_dir_all(&state).unwrap();
}

#[test]
fn every_question_in_words_and_sentences() {
    let version = env!("CARGO_PKG_VERSION");
    let verbose = "\n10.0.0.254\tping\t(nodetype: ping)\n\t10.0.0.254\tup\n\
                   \nn2\tdead\t(nodetype: normal)\n\teth0\tup\n\t/dev/ttyS0\tdead\n\
                   \nn1\tactive\t(nodetype: normal)\n\teth0\tup\n";
    let hbstatus = format!("version:\t{version}\nmanaged by:\t\"haresources\"\n{verbose}");
    #[rustfmt::skip]
    let table = [
        ("hbstatus",                    0, "Heartbeat is running on this machine.\n"),
        ("hbstatus -v",                 0, hbstatus.as_str()),
        ("listnodes",                   0, "10.0.0.254\nn2\nn1\n"),
        ("listnodes -n",                0, "n2\nn1\n"),
        ("listnodes -p",                0, "10.0.0.254\n"),
        ("listnodes -m",                0, "The nodes are as follow:\n10.0.0.254\nn2\nn1\n"),
        ("listnodes -v",                0, verbose),
        ("nodestatus n1",               0, "active\n"),
        ("nodestatus n2",               1, "dead\n"),
        ("nodestatus -m n2",            1, "The cluster node n2 is dead\n"),
        ("-m nodestatus n1",            0, "The cluster node n1 is active\n"),
        ("nodestatus 10.0.0.254",       0, "ping\n"),
        ("nodestatus n9",              11, ""),
        ("nodestatus",                 11, ""),
        ("nodestatus n1 n2",           11, ""),
        ("nodetype n1",                 0, "normal\n"),
        ("nodetype 10.0.0.254",         0, "ping\n"),
        ("nodetype -m n2",              0, "The node n2's type: normal\n"),
        ("nodetype n9",                11, ""),
        ("nodeweight n2",               0, "100\n"),
        ("nodeweight -m n2",            0, "The weight of the cluster node n2 is 100\n"),
        ("nodesite n2",                 0, "\n"),
        ("nodesite -m n2",              0, "The site of the cluster node n2 is \n"),
        ("listhblinks n2",              0, "\teth0\n\t/dev/ttyS0\n"),
        ("listhblinks -v n2",           0, "\teth0\tup\n\t/dev/ttyS0\tdead\n"),
        ("listhblinks -m n1",           0, "\tthis node has the following heartbeat links:\n\teth0\n"),
        ("listhblinks n9",             13, ""),
        ("hblinkstatus n2 eth0",        0, "up\n"),
        ("hblinkstatus n2 /dev/ttyS0",  1, "dead\n"),
        ("hblinkstatus -m n2 eth0",     0, "The node n2's heartbeat link eth0 is up\n"),
        ("hblinkstatus n2 eth9",       13, ""),
        ("hblinkstatus n2",            11, ""),
        ("clientstatus n1 ipfail",      1, "offline\n"),
        ("clientstatus n2 ipfail 2000", 1, "offline\n"),
        ("clientstatus -m n1 ipfail",   1, "The client ipfail on node n1 is offline\n"),
        ("clientstatus n9 ipfail",     11, ""),
        ("clientstatus n1",            11, ""),
        ("clientstatus n1 ipfail x",   11, ""),
        ("rscstatus",                   0, "local\n"),
        ("rscstatus -m",                0, "This node is holding local resources.\n"),
        ("hbparameter -p deadtime",     0, "5\n"),
        ("hbparameter -m -p deadtime",  0, "Heartbeat parameter deadtime's value: 5\n"),
        ("hbparameter -p nosuch",       1, ""),
        ("hbparameter",                11, ""),
        ("hbparameter -p",             11, ""),
        ("",                            0, USAGE),
        ("--help",                      0, USAGE),
        ("bogus",                      11, ""),
        ("listnodes -x",               11, ""),
    ];
    with_daemon("table", true, |state| {
        for (line, code, out) in table {
            let outcome = ask(state, line);
            assert_eq!(
                (outcome.code, outcome.out.as_str()),
                (code, out),
                "{line}: {}",
                outcome.err
            );
            assert_eq!(
                outcome.err.is_empty(),
                code < 11 && (code == 0 || !out.is_empty()),
                "{line}"
            );
        }
        assert!(ask(state, "bogus").err.starts_with("bogus: invalid sub-command.\n"));
        assert_eq!(
            ask(state, "nodestatus n9").err,
            "Error. May be due to incorrect node name\n"
        );
        let status = ask(state, "status --json");
        assert_eq!(Json::parse(&status.out).unwrap().get("node").text(), "n1");
        assert!(ask(state, "status").out.contains("PROBLEMS   n1, active"));
        assert!(ask(state, "status --prometheus").out.contains("\nheartbeat_up 1\n"));
    });
}

#[test]
fn a_daemon_that_starts_and_one_that_is_not_there_are_told_apart() {
    with_daemon("starting", false, |state| {
        let outcome = ask(state, "hbstatus");
        assert_eq!(outcome.code, NO);
        assert_eq!(
            outcome.out,
            "Heartbeat is starting on this machine: node n1 is not active yet (up).\n"
        );
        assert_eq!(ask(state, "nodestatus n1").out, "up\n");
    });
    let nowhere = Path::new("/nonexistent");
    let outcome = ask(nowhere, "hbstatus");
    assert_eq!(
        (outcome.code, outcome.out.as_str()),
        (NO, "Heartbeat is stopped on this machine.\n")
    );
    let outcome = ask(nowhere, "rscstatus");
    assert_eq!(outcome.code, OTHER);
    assert_eq!(outcome.err, "cl_status: heartbeat is not running on this node\n");
}
