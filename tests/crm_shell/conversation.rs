//! The shell on a terminal: prompts, questions, completion, history, the editor.

use super::Bed;
use ha::sys::namespace::Pty;
use ha::sys::poll::{Want, wait};
use std::fs::OpenOptions;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Much longer than any answer takes on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

struct Talk {
    pty: Pty,
    child: Child,
    /// What came after the last thing that was waited for.
    rest: String,
    all: String,
}

impl Talk {
    fn begin(bed: &Bed, words: &[&str]) -> Self {
        let pty = Pty::open().unwrap();
        let end = || Stdio::from(OpenOptions::new().read(true).write(true).open(&pty.path).unwrap());
        let mut command = bed.command();
        let child = command
            .env("EDITOR", bed.dir.join("editor"))
            .args(words)
            .stdin(end())
            .stdout(end())
            .stderr(end());
        let child = child.spawn().unwrap();
        Self {
            pty,
            child,
            rest: String::new(),
            all: String::new(),
        }
    }

    /// Reads until `text` has come; what came before it.
    fn expect(&mut self, text: &str) -> String {
        let until = ha::sys::now() + PATIENCE;
        loop {
            if let Some(at) = self.rest.find(text) {
                let before = self.rest[..at].to_owned();
                self.rest.drain(..at + text.len());
                return before;
            }
            assert!(ha::sys::now() < until, "{text:?} did not come:\n{}", self.all);
            let _ = wait(&[Want::read(self.pty.fd())], until);
            let mut buffer = [0; 4096];
            let got = String::from_utf8_lossy(self.pty.read(&mut buffer)).into_owned();
            self.all += &got;
            self.rest += &got;
        }
    }

    fn send(&mut self, keys: &str) {
        self.pty.write(keys.as_bytes());
    }

    /// A line at the prompt that is there now.
    fn line(&mut self, text: &str) {
        self.send(&format!("{text}\r"));
    }

    fn end(mut self) -> i32 {
        self.expect("bye");
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// S0.4 and S0.5 without the cluster: the levels and prompts of the article.
#[test]
fn prompts_levels_and_the_working_copy() {
    let bed = Bed::new("talk");
    let mut talk = Talk::begin(&bed, &[]);
    talk.expect("crm(live)# ");
    talk.line("configure");
    talk.expect("crm(live)configure# ");
    talk.line("property stonith-enabled=false");
    talk.expect("crm(live)configure# ");
    assert!(!bed.text().contains("stonith"), "nothing is changed before commit");
    talk.line("commit");
    talk.expect("crm(live)configure# ");
    assert!(bed.text().contains("name=\"stonith-enabled\" value=\"false\""));
    talk.line("ra");
    talk.expect("crm(live)configure ra# ");
    talk.line("classes");
    talk.expect("heartbeat");
    talk.expect("ocf / heartbeat");
    talk.expect("crm(live)configure ra# ");
    talk.line("list heartbeat");
    talk.expect("IPaddr    drbddisk");
    talk.line("up");
    talk.expect("crm(live)configure# ");
    talk.line("primitive  webip ocf:heartbeat:IPaddr  params ip=192.168.1.100  ");
    talk.expect("crm(live)configure# ");
    talk.line("primitive webip lsb:httpd");
    talk.expect("ERROR: Cannot create primitive with ID 'webip'");
    talk.line("group web nosuch");
    talk.expect("ERROR: configure.group: column 11: web refers to missing object nosuch");
    talk.line("help group");
    talk.expect("usage: group ID MEMBER");
    talk.line("up");
    talk.expect("There are changes pending. Do you want to commit them (y/n)? ");
    talk.line("perhaps");
    talk.expect("There are changes pending. Do you want to commit them (y/n)? ");
    talk.line("n");
    talk.expect("crm(live)# ");
    assert!(!bed.text().contains("webip"));
    talk.line("cd configure");
    talk.expect("crm(live)configure# ");
    talk.line("primitive webserver lsb:httpd");
    talk.expect("crm(live)configure# ");
    talk.line("quit");
    talk.expect("There are changes pending. Do you want to commit them (y/n)? ");
    talk.line("y");
    assert_eq!(talk.end(), 0);
    assert!(bed.text().contains("\"webserver\""));
}

/// What a terminal sends for text that is pasted, and a text that comes line by line ahead of the prompts.
#[test]
fn the_article_is_pasted() {
    let article = super::commands::ARTICLE.replace('\n', "\r");
    for paste in [format!("\x1b[200~{article}\x1b[201~\r"), article] {
        let bed = Bed::new("paste");
        let mut talk = Talk::begin(&bed, &["configure"]);
        talk.expect("crm(live)configure# ");
        talk.send(&paste);
        talk.send("show changed\rget_property no-quorum-policy\rquit\r");
        talk.expect("ignore");
        assert_eq!(talk.end(), 0);
        assert_eq!(bed.well(&["configure", "show"]), super::commands::SHOWN);
    }
}

#[test]
fn tab_completes_and_up_repeats() {
    let bed = Bed::new("tab");
    let mut talk = Talk::begin(&bed, &["configure"]);
    talk.expect("crm(live)configure# ");
    talk.send("prim\tvip ocf:heartbeat:IPaddr2 par\ti\t1.2.3.4 n\teth1\r");
    talk.expect("crm(live)configure# ");
    talk.line("show vip");
    talk.expect("params ip=1.2.3.4 nic=eth1");
    talk.expect("crm(live)configure# ");
    // The line before last again, which is there already.
    talk.send("\x1b[A\x1b[A\r");
    talk.expect("ERROR: Cannot create primitive with ID 'vip'");
    talk.line("commit");
    talk.expect("crm(live)configure# ");
    // End of file at an empty line.
    talk.send("\x04");
    assert_eq!(talk.end(), 0);
    assert!(bed.text().contains("\"vip\""));
    let history = std::fs::read_to_string(bed.dir.join(".crm_history")).unwrap();
    assert!(history.contains("show vip\n"), "{history}");
    let mut talk = Talk::begin(&bed, &["configure"]);
    talk.expect("crm(live)configure# ");
    talk.send("\x1b[A\x1b[A\r");
    talk.expect("params ip=1.2.3.4 nic=eth1");
    talk.line("quit");
    talk.end();
}

#[test]
fn a_commit_that_somebody_was_faster_than_is_refused_and_kept() {
    let bed = Bed::new("faster");
    let mut talk = Talk::begin(&bed, &["configure"]);
    talk.expect("crm(live)configure# ");
    talk.line("monitor busy 10s");
    talk.expect("crm(live)configure# ");
    bed.well(&["configure", "monitor", "busy", "20s"]);
    talk.line("commit");
    talk.expect("busy: was changed by somebody else meanwhile");
    talk.expect("your changes are kept");
    assert!(bed.text().contains("20s") && !bed.text().contains("10s"));
    talk.line("show busy");
    talk.expect("op monitor interval=10s");
    talk.line("refresh");
    talk.expect("All changes will be dropped. Do you want to proceed (y/n)? ");
    talk.line("y");
    talk.line("show busy");
    talk.expect("op monitor interval=20s");
    talk.line("primitive x IPaddr2");
    talk.expect("crm(live)configure# ");
    talk.line("commit");
    talk.expect("ERROR: x: required parameter \"ip\" not defined");
    talk.expect("Do you still want to commit (y/n)? ");
    talk.line("n");
    talk.line("quit");
    talk.expect("There are changes pending. Do you want to commit them (y/n)? ");
    talk.line("n");
    talk.end();
    assert!(!bed.text().contains("\"x\""));
}

#[test]
fn the_editor_gives_back_what_is_taken_or_asked_about_again() {
    let bed = Bed::new("editor");
    // The first time it writes nonsense, then what is meant.
    bed.program(
        "editor",
        "#!/bin/sh\nif [ -e $0.once ]; then sed -i 's/wrong/op monitor interval=33s/' $1; else : >$0.once; sed -i 's/$/ wrong/' $1; fi\n",
    );
    let mut talk = Talk::begin(&bed, &["configure"]);
    talk.expect("crm(live)configure# ");
    talk.line("edit busy");
    talk.expect("ERROR: line 1, column 28: expected params, meta");
    talk.expect("Do you want to edit again (y/n)? ");
    talk.line("y");
    talk.expect("crm(live)configure# ");
    talk.line("show busy");
    talk.expect("op monitor interval=33s");
    talk.line("commit");
    talk.expect("crm(live)configure# ");
    talk.line("bye");
    talk.end();
    assert!(bed.text().contains("interval=\"33s\""));
}
