//! What all scripts have in common, without anything real behind them.

use super::{NODE, Script, bench, put};
use std::collections::BTreeSet;
use std::path::Path;

/// The scripts that the package of heartbeat 3.0.6 has in resource.d, but hto-mapfuncs, which is none.
const CLASSIC: [&str; 22] = [
    "AudibleAlarm",
    "Delay",
    "Filesystem",
    "ICP",
    "IPaddr",
    "IPaddr2",
    "IPsrcaddr",
    "IPv6addr",
    "LVM",
    "LinuxSCSI",
    "MailTo",
    "OCF",
    "Raid1",
    "SendArp",
    "ServeRAID",
    "WAS",
    "WinPopup",
    "Xinetd",
    "apache",
    "db2",
    "ids",
    "portblock",
];

/// Good arguments for each script that takes some, of things that are not there.
const ARGUMENTS: &[(&str, &[&str])] = &[
    ("AudibleAlarm", &["web"]),
    ("Delay", &["1"]),
    ("Filesystem", &["/dev/no-such-device", "/mnt/no-such-directory", "ext4"]),
    ("IPaddr", &["10.77.0.150"]),
    ("IPaddr2", &["10.77.0.150"]),
    ("IPsrcaddr", &["10.77.0.150"]),
    ("IPv6addr", &["fd00:77:0:0:0:0:0:200/64"]),
    ("LinuxSCSI", &["99:0:0"]),
    ("MailTo", &["root", "a subject"]),
    ("OCF", &["no-such-agent"]),
    ("SendArp", &["10.77.0.150/eth0"]),
    ("Xinetd", &["no-such-service"]),
    ("portblock", &["tcp", "80", "block"]),
];

fn scripts() -> BTreeSet<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("ha.d/resource.d");
    let entries = std::fs::read_dir(dir).expect("resource.d");
    let names = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
    let no_scripts = ["README", "functions", "hto-mapfuncs"];
    names.filter(|n| !no_scripts.contains(&n.as_str())).collect()
}

#[test]
fn s4_06_every_script_of_the_classic_is_there_and_tells_how_it_is_called() {
    let Some(c) = bench("scripts-usage") else { return };
    let all: BTreeSet<String> = scripts().into_iter().chain(CLASSIC.map(str::to_owned)).collect();
    for name in &all {
        let script = Script::new(&c, &[name]);
        let said = script.good("usage");
        assert!(
            said.out.starts_with(&format!("Usage: {name} ")) || said.out.starts_with("Usage: IPaddr "),
            "{said:?}"
        );
        for word in ["start", "stop", "status"] {
            assert!(said.out.contains(word), "{name}: {said:?}");
        }
        // Without anything, and with an action that is none.
        let said = c.run(NODE, &[&script.words[0]]);
        assert_eq!(said.code, Some(1), "{name}: {said:?}");
        assert!(said.err.contains(name.as_str()), "{name}: {said:?}");
        let said = script.run("jump");
        assert!(said.code.is_some_and(|code| code != 0), "{name}: {said:?}");
        assert!(!said.err.is_empty(), "{name}: {said:?}");
    }
}

#[test]
fn what_is_not_there_is_stopped_and_its_stop_succeeds() {
    let Some(c) = bench("scripts-absent") else { return };
    for (name, arguments) in ARGUMENTS {
        let words: Vec<&str> = [name].into_iter().chain(arguments.iter()).copied().collect();
        let script = Script::new(&c, &words);
        assert!(!script.runs(), "{words:?}");
        script.good("stop");
        assert!(!script.runs(), "{words:?}");
    }
}

#[test]
fn wrong_arguments_are_refused_in_words() {
    let Some(c) = bench("scripts-wrong") else { return };
    #[rustfmt::skip]
    let table: [(&[&str], &str); 26] = [
        (&["Delay", "soon"],                                     "\"soon\" is not a number of seconds"),
        (&["Delay", "1", "2", "3"],                              "more than two delays"),
        (&["MailTo"],                                            "at least one address"),
        (&["MailTo", "a", "b", "c"],                             "more than an address and a subject"),
        (&["MailTo", "-x"],                                      "\"-x\" is not an address"),
        (&["SendArp", "10.0.0.1"],                               "the form is ADDRESS/INTERFACE"),
        (&["SendArp", "10.0.0.1/nosuch"],                        "there is no such interface"),
        (&["AudibleAlarm"],                                      "/dev/no-such-console: cannot be written to"),
        (&["IPsrcaddr", "web"],                                  "\"web\" is not an IPv4 address"),
        (&["IPsrcaddr", "10.77.0.150"],                          "no interface has it"),
        (&["portblock", "tcp", "80"],                            "are needed"),
        (&["portblock", "icmp", "80", "block"],                  "\"icmp\" is not tcp or udp"),
        (&["portblock", "tcp", "http", "block"],                 "\"http\" are not ports"),
        (&["portblock", "tcp", "80", "open"],                    "\"open\" is not block or unblock"),
        (&["portblock", "udp", "80", "unblock", "10.0.0.1", "/"], "goes with tcp, unblock and an address"),
        (&["Filesystem", "/dev/null"],                           "a device and a directory are needed"),
        (&["Filesystem", "/dev/null", "srv"],                    "is not a path that begins with /"),
        (&["Filesystem", "/dev/null", "/"],                      "/ is no place for a resource"),
        (&["Filesystem", "/dev/null", "/srv", "ext4", "", "yes"], "is not fsck=auto, fsck=yes or fsck=no"),
        (&["Filesystem", "/dev/no-such", "/mnt/x", "ext4"],      "there is no such device"),
        (&["Filesystem", "/etc/hostname", "/mnt/x", "ext4"],     "is no block device; for a file add the option loop"),
        (&["apache", "/no/such.conf"],                           "/no/such.conf: there is none that can be read"),
        (&["Xinetd", "../x"],                                    "\"../x\" is not the name of a service"),
        (&["LinuxSCSI", "0:0"],                                  "the form is HOST:CHANNEL:TARGET[:LUN]"),
        (&["LinuxSCSI", "99:0:0"],                               "there is no SCSI host 99 here"),
        (&["OCF", "heartbeat:IPaddr2", "ip"],                    "conf/OCF/IPaddr2/ip"),
    ];
    for (words, sentence) in table {
        let script = Script::new(&c, words);
        let mut all = vec!["env", "HA_CONSOLE=/dev/no-such-console"];
        all.extend(script.words.iter().map(String::as_str));
        all.push("start");
        let said = c.run(NODE, &all);
        assert!(said.code.is_some_and(|code| code != 0), "{words:?}: {said:?}");
        assert!(said.err.contains(sentence), "{words:?}: {said:?}");
    }
}

/// They have an agent behind them that this machine may not have; what they hand to it can be seen.
#[test]
fn the_scripts_of_hardware_and_databases_hand_their_arguments_to_an_ocf_agent() {
    let Some(c) = bench("scripts-handed-on") else { return };
    #[rustfmt::skip]
    let table: [(&[&str], &[&str]); 8] = [
        (&["db2", "db2inst1"],                 &["instance=db2inst1"]),
        (&["ids", "/informix", "ids1", "on"],  &["informixdir=/informix", "informixserver=ids1", "onconfig=on"]),
        (&["ids"],                             &[]),
        (&["WAS", "9080"],                     &["port=9080"]),
        (&["WAS", "/etc/hostname"],            &["config=/etc/hostname"]),
        (&["ICP", "c0h1", "/dev/sdb1"],        &["driveid=c0h1", "device=/dev/sdb1"]),
        (&["ServeRAID", "1", "2"],             &["serveraid=1", "mergegroup=2"]),
        (&["WinPopup", "/etc/hosts"],          &["hostfile=/etc/hosts"]),
    ];
    let root = c.lab.files(NODE).state().join("ocf");
    let agent =
        "#!/bin/sh\nenv | sed -n 's/^OCF_RESKEY_//p' | grep -v CRM_meta | sort\necho action=$1\n[ $1 != monitor ]\n";
    for (words, parameters) in table {
        put(&c, NODE, &format!("lib/ocf/resource.d/heartbeat/{}", words[0]), agent);
        let script = Script::new(&c, words);
        let mut all = vec!["env".to_owned(), format!("OCF_ROOT={}", root.display())];
        all.extend(script.words.clone());
        all.push("start".to_owned());
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let said = c.run(NODE, &all);
        let mut expected: Vec<&str> = parameters.to_vec();
        expected.sort_unstable();
        expected.push("action=start");
        assert_eq!(said.out.lines().collect::<Vec<_>>(), expected, "{words:?}: {said:?}");
        assert_eq!(said.code, Some(0), "{words:?}: {said:?}");
    }
}
