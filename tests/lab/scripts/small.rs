//! Scripts that do something once: wait, tell, beep, announce.

use super::{NODE, Script, bench, put};
use std::time::{Duration, Instant};

#[test]
fn delay_waits_once_before_and_once_behind() {
    let Some(c) = bench("scripts-delay") else { return };
    let script = Script::new(&c, &["Delay", "1", "0"]);
    let began = Instant::now();
    script.walk("a delay of 1 s", || script.runs());
    assert!(began.elapsed() >= Duration::from_secs(1));
    // A second start does not wait again, nor does the stop of what never started.
    let script = Script::new(&c, &["Delay", "3600"]);
    script.good("stop");
    let script = Script::new(&c, &["Delay", "0", "3600"]);
    script.good("start");
    script.good("start");
}

/// A mail server that takes every mail into a file, of busybox and a few lines of shell.
const SINK: &str = r#"#!/bin/sh
echo "220 sink"
while IFS= read -r line; do
	line=${line%?}
	case $line in
	EHLO* | HELO* | MAIL* | RSET*) echo "250 good" ;;
	RCPT*) echo "$line" >>MAILBOX; echo "250 good" ;;
	DATA*)
		echo "354 go on"
		while IFS= read -r line; do
			line=${line%?}
			if [ "$line" = . ]; then break; fi
			echo "$line" >>MAILBOX
		done
		echo "250 taken" ;;
	QUIT*) echo "221 bye"; exit 0 ;;
	*) echo "500 what?" ;;
	esac
done
"#;

#[test]
fn mailto_tells_of_takeover_and_release_and_holds_nothing_up() {
    let Some(c) = bench("scripts-mail") else { return };
    let state = c.lab.files(NODE).state();
    let mailbox = state.join("mailbox");
    let sink = SINK.replace("MAILBOX", &mailbox.display().to_string());
    put(&c, NODE, "sink", &sink);
    let root = state.parent().expect("the node's own directory").to_owned();
    let _server = c.spawn(
        NODE,
        &[
            "busybox",
            "nc",
            "-ll",
            "-p",
            "2525",
            "-e",
            &root.join("sink").display().to_string(),
        ],
    );
    // The sendmail of msmtp, sending to that server.
    let mailer = "#!/bin/sh\nexec msmtp --host=127.0.0.1 --port=2525 --from=root@hello \"$@\"\n";
    put(&c, NODE, "bin/sendmail", mailer);
    let run = |verb: &str| {
        let script = Script::new(&c, &["MailTo", "root@example.org,admin@example.org", "Web_cluster"]);
        let line = format!("PATH={}:$PATH exec \"$@\"", root.join("bin").display());
        let mut words = vec!["sh", "-c", &line, "sh"];
        words.extend(script.words.iter().map(String::as_str));
        words.push(verb);
        let began = Instant::now();
        let said = c.run(NODE, &words);
        assert_eq!(said.code, Some(0), "{verb}: {said:?}");
        (said, began.elapsed().as_secs_f64())
    };
    c.wait("the mail server answers", || {
        c.shell(NODE, "echo QUIT | busybox nc 127.0.0.1 2525 | grep -q 220")
            .code
            == Some(0)
    });
    let (_, start) = run("start");
    run("start");
    run("status");
    let text = std::fs::read_to_string(&mailbox).expect("mails");
    assert_eq!(
        text.matches("Subject: Web_cluster taken over by hello").count(),
        1,
        "{text}"
    );
    for address in ["root@example.org", "admin@example.org"] {
        assert!(text.contains(&format!("RCPT TO:<{address}>")), "{text}");
    }
    let (_, stop) = run("stop");
    run("stop");
    let text = std::fs::read_to_string(&mailbox).expect("mails");
    assert_eq!(
        text.matches("Subject: Web_cluster given up by hello").count(),
        1,
        "{text}"
    );
    super::note("MailTo", "a mail server of its own", start, stop);

    // A mailer that fails is told of, and the group goes on.
    put(&c, NODE, "bin/sendmail", "#!/bin/sh\nexit 75\n");
    let (said, _) = run("start");
    assert!(said.err.contains("was not sent"), "{said:?}");
    run("stop");
}

#[test]
fn audiblealarm_beeps_until_it_is_stopped_and_not_at_home() {
    let Some(c) = bench("scripts-alarm") else { return };
    let console = c.lab.files(NODE).state().join("console");
    std::fs::write(&console, "").expect("written");
    let beeps = || std::fs::read(&console).expect("a console").len();
    let variable = format!("HA_CONSOLE={}", console.display());
    let run = |words: &[&str], verb: &str| {
        let script = Script::new(&c, words);
        let mut all = vec!["env", &variable];
        all.extend(script.words.iter().map(String::as_str));
        all.push(verb);
        c.run(NODE, &all)
    };
    let began = Instant::now();
    assert_eq!(run(&["AudibleAlarm", "web"], "start").code, Some(0));
    let start = began.elapsed().as_secs_f64();
    assert_eq!(run(&["AudibleAlarm", "web"], "start").code, Some(0));
    assert_eq!(run(&["AudibleAlarm", "web"], "status").code, Some(0));
    // Every beep opens the file anew; what is heard is that it is written again after it was emptied.
    for _ in 0..2 {
        std::fs::write(&console, "").expect("written");
        c.wait("a beep", || beeps() > 0);
    }
    let began = Instant::now();
    assert_eq!(run(&["AudibleAlarm", "web"], "stop").code, Some(0));
    let stop = began.elapsed().as_secs_f64();
    assert_eq!(run(&["AudibleAlarm", "web"], "status").code, Some(7));
    let count =
        "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null; echo; done | grep -c 'AudibleAlarm beep[s]'";
    c.wait("the beeper is gone", || c.shell(NODE, count).out.trim() == "0");
    super::note("AudibleAlarm", "a file as console", start, stop);

    std::fs::write(&console, "").expect("written");
    assert_eq!(run(&["AudibleAlarm", "hello"], "start").code, Some(0));
    assert_eq!(run(&["AudibleAlarm", "hello"], "status").code, Some(0));
    assert_eq!(c.shell(NODE, count).out.trim(), "0", "at home there is silence");
    assert_eq!(run(&["AudibleAlarm", "hello"], "stop").code, Some(0));
    assert_eq!(run(&["AudibleAlarm", "hello"], "status").code, Some(7));
}

#[test]
fn sendarp_corrects_what_a_neighbour_believes() {
    let Some(c) = bench("scripts-arp") else { return };
    let wrong = "02:00:00:00:00:99";
    let believes = || c.shell("web", "ip neigh show 10.77.0.150").out;
    let spoil = format!("ip neigh replace 10.77.0.150 lladdr {wrong} dev eth0 nud stale");
    c.shell("web", &spoil).good("ip neigh");
    let script = Script::new(&c, &["SendArp", "10.77.0.150/eth0"]);
    script.walk("a neighbour's table", || script.runs());
    let mac = c.shell(NODE, "cat /sys/class/net/eth0/address").good("cat");
    c.wait("web has learned it", || believes().contains(mac.trim()));
    // The later announcements reach one who was busy at the first; a stop ends them.
    script.good("start");
    c.shell("web", &spoil).good("ip neigh");
    c.wait("web has learned it again", || believes().contains(mac.trim()));
    script.good("stop");
    let senders =
        "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null; echo; done | grep -c 'send_arp -[r] 9'";
    c.wait("nobody announces any more", || c.shell(NODE, senders).out.trim() == "0");
}
