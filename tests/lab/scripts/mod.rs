//! The scripts of resource.d with the real things they are for: file systems, web servers, firewalls, mailers, OCF agents.
//!
//! Each is walked through what every resource script promises ([`Script::walk`]); what is its own comes beside it.

mod disks;
mod network;
mod ocf;
mod promises;
mod services;
mod small;

use crate::cluster::{Cluster, Said, Setup};
use ha::groups::group::says_running;
use std::io::Write;
use std::time::Instant;

/// The node that the scripts run on.
const NODE: &str = "hello";

/// A lab in which heartbeat does not run: the scripts are called by hand.
fn bench(test: &str) -> Option<Cluster> {
    Setup::default().make(test)
}

/// A script with its arguments on a node.
struct Script<'a> {
    cluster: &'a Cluster,
    node: &'a str,
    words: Vec<String>,
}

impl<'a> Script<'a> {
    fn new(cluster: &'a Cluster, words: &[&str]) -> Self {
        Self::on(cluster, NODE, words)
    }

    fn on(cluster: &'a Cluster, node: &'a str, words: &[&str]) -> Self {
        let mut words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let path = cluster.lab.files(node).ha_d().join("resource.d").join(&words[0]);
        words[0] = path.display().to_string();
        Self { cluster, node, words }
    }

    fn name(&self) -> &str {
        self.words[0].rsplit('/').next().expect("a path")
    }

    fn run(&self, verb: &str) -> Said {
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        words.push(verb);
        self.cluster.run(self.node, &words)
    }

    /// Must say yes.
    #[track_caller]
    fn good(&self, verb: &str) -> Said {
        let said = self.run(verb);
        assert_eq!(said.code, Some(0), "{:?} {verb}: {said:?}", self.words);
        said
    }

    /// Must say no, with these words for people.
    #[track_caller]
    fn refuses(&self, verb: &str, words: &str) -> Said {
        let said = self.run(verb);
        assert!(
            said.code != Some(0) && said.err.contains(words),
            "{:?} {verb}: {said:?}",
            self.words
        );
        said
    }

    /// As heartbeat hears it; the exit status must say the same.
    #[track_caller]
    fn runs(&self) -> bool {
        let said = self.run("status");
        let runs = says_running(&format!("{}{}", said.out, said.err));
        let code = if runs { 0 } else { 7 };
        assert_eq!(said.code, Some(code), "{:?} status: {said:?}", self.words);
        runs
    }

    /// What every script promises: a stop of what does not run and a start of what runs are good and change nothing, and
    /// `status` says how it is. `proof` is asked whether the real thing is there. Notes how long start and stop take.
    #[track_caller]
    fn walk(&self, with: &str, mut proof: impl FnMut() -> bool) {
        assert!(!self.runs(), "not started yet");
        self.good("stop");
        assert!(!proof(), "not there yet");
        let began = Instant::now();
        self.good("start");
        let start = began.elapsed().as_secs_f64();
        assert!(self.runs() && proof(), "{:?}: started", self.words);
        self.good("start");
        assert!(self.runs() && proof(), "{:?}: started twice", self.words);
        self.good("monitor");
        let began = Instant::now();
        self.good("stop");
        let stop = began.elapsed().as_secs_f64();
        assert!(!self.runs() && !proof(), "{:?}: stopped", self.words);
        self.good("stop");
        note(self.name(), with, start, stop);
    }
}

/// Puts an executable file into the node's own directory; says where it is.
fn put(c: &Cluster, node: &str, file: &str, text: &str) -> String {
    let files = c.lab.files(node);
    let path = files.ha_d().parent().expect("the node's own directory").join(file);
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    c.lab.script(node, file, text).expect("written");
    path.display().to_string()
}

/// For tests/scripts-table, which fills the table in ha.d/README.
fn note(script: &str, with: &str, start: f64, stop: f64) {
    let Some(file) = std::env::var_os("HA_SCRIPT_TIMES") else {
        return;
    };
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .expect("HA_SCRIPT_TIMES is a file");
    writeln!(file, "{script}\t{with}\t{start:.2}\t{stop:.2}").expect("written");
}
