//! The same commands with Debian's pacemaker 2.1.5 and with ours, each on its own copy of a file: what they print on
//! standard output and end with. Where ours is meant to differ, `commands.rs` says how.

use super::Copy;
use std::path::Path;
use std::process::{Command, Stdio};

const THEIRS: &str = "/usr/sbin";

/// Where sentences of ours begin with another word, or say more, only standard output and exit code count.
const SAME: &[&str] = &[
    "crm_resource -l",
    "crm_resource -O",
    "crm_resource -o",
    "crm_resource -o -r www",
    "crm_resource -o -r g",
    "crm_resource -O -N compute-2",
    "crm_resource -q -r vip",
    "crm_resource -w -r www",
    "crm_resource -q -r g",
    "crm_resource -W -r vip",
    "crm_resource -W -r g",
    "crm_resource -W -r cl",
    "crm_resource -W -r p_ping",
    "crm_resource -Q -W -r vip",
    "crm_resource -a -r vip",
    "crm_resource -A -r vip",
    "crm_resource -a -r www",
    "crm_resource -A -r www",
    "crm_resource -a -r g",
    "crm_resource -a -r nosuch",
    "crm_resource -g ip -r vip",
    "crm_resource -g nosuch -r vip",
    "crm_resource -m -g target-role -r vip",
    "crm_resource -p cidr_netmask -v 24 -r vip",
    "crm_resource -p ip -v 1.2.3.4 -r vip",
    "crm_resource -m -p target-role -v Stopped -r g",
    "crm_resource -m -p target-role -v Stopped -r y1",
    "crm_resource -m -p target-role -v Started -r cl",
    "crm_resource -m -p target-role -v Started -r p_ping",
    "crm_resource -z -p cpu -v 1 -r vip",
    "crm_resource -d ip -r vip",
    "crm_resource -d cidr_netmask -r vip",
    "crm_resource -s foo -p a -v b -r vip",
    "crm_resource -p x -r vip",
    "crm_resource -p x -v y",
    "crm_resource -M -r vip -N compute-2",
    "crm_resource -M -r vip -N compute-1",
    "crm_resource -M -r vip -N compute-9",
    "crm_resource -M -r vip",
    "crm_resource -M -r g",
    "crm_resource -M -r cl",
    "crm_resource -M -r vip -N compute-2 -f",
    "crm_resource -B -r vip -N compute-1",
    "crm_resource -U -r vip",
    "crm_resource -D -r www",
    "crm_resource -D -r nosuch -t primitive",
    "crm_resource -F -r vip",
    "crm_resource -Y -r vip",
    "crm_resource --get-property class -r vip",
    "crm_resource --nosuch",
    "crm_attribute -n stonith-enabled -G",
    "crm_attribute -n stonith-enabled -G -q",
    "crm_attribute -n foo -G",
    "crm_attribute -n foo -G -d bar",
    "crm_attribute -n foo -v bar",
    "crm_attribute -n stonith-enabled -D",
    "crm_attribute -n foo -D",
    "crm_attribute -t nodes -N compute-1 -n standby -v on",
    "crm_attribute -N nosuch -n x -v 1",
    "crm_attribute -t status -N compute-1 -n pingd -G",
    "crm_attribute -n x -N compute-1 -l reboot -G",
    "crm_standby -v on -N compute-2",
    "crm_standby -G -N compute-2",
    "crm_standby -D -N compute-2",
    "crm_standby -G -N nosuch",
    "crm_failcount -G -r www -N compute-1",
    "crm_failcount -G -r vip -N compute-1",
    "crm_failcount -G -r nosuch -N compute-1",
    "crmadmin -N",
    "crm_verify -x FILE",
    "crm_verify -x /nosuch",
    "crm_verify",
    "cibadmin -Q -o crm_config",
    "cibadmin -Q -A //primitive",
    "cibadmin -Q -A //nvpair[@name='ip']",
    "cibadmin -Q -A //primitive[@id='www'] -e",
    "cibadmin -Q -A //nosuch",
    "cibadmin -Q -n -o resources",
    "cibadmin -5 -x FILE",
    "cibadmin -E",
    "cibadmin -B",
    "cibadmin -D -A //primitive[@id='www']",
    "cibadmin -D -A //rsc_order[@id='o']",
    "cibadmin -C -o resources -X <primitive~id='vip'~class='lsb'~type='x'/>",
    "cibadmin -C -o resources -X <primitive~id='new'~class='lsb'~type='x'/>",
    "cibadmin -M -o resources -X <primitive~id='new'~class='lsb'~type='x'/>",
    "cibadmin -M -c -o resources -X <primitive~id='new'~class='lsb'~type='x'/>",
    "cibadmin -D -o resources -X <primitive~id='new'/>",
    "cibadmin -C -o constraints -X <rsc_order~id='q'~first='vip'~then='nosuch'/>",
    "cibadmin -R -X <cib/>",
    "cibadmin -C -o resources -X <bad",
];

/// Standard output, exit code.
fn run(program: &Path, args: &[String], copy: &Copy) -> (String, Option<i32>) {
    let output = Command::new(program)
        .args(args.iter().map(|a| a.replace('~', " ")))
        .env("CIB_file", &copy.0)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        output.status.code(),
    )
}

/// What the configuration says, whatever else differs between two programs: elements with their attributes sorted.
fn configuration(copy: &Copy) -> Vec<String> {
    let cib = ha::cib::Cib::parse(&copy.text()).unwrap();
    let line = |e: &ha::cib::Element| {
        let mut attributes: Vec<String> = e.attributes.iter().map(|(n, v)| format!("{n}={v}")).collect();
        attributes.sort();
        format!("{} {}", e.name, attributes.join(" "))
    };
    let mut lines: Vec<String> = cib.configuration().walk().map(line).collect();
    lines.sort();
    lines
}

/// What crm_verify says on standard error of properties that cannot be what they are, and what it ends with.
#[test]
fn values_of_properties_are_judged_as_by_pacemaker() {
    let theirs = Path::new(THEIRS).join("crm_verify");
    if !theirs.exists() {
        eprintln!("SKIPPED: Debian's pacemaker-cli-utils is not installed");
        return;
    }
    let ours = Path::new(env!("CARGO_BIN_EXE_crm_verify"));
    let table: &[&[(&str, &str)]] = &[
        &[("no-quorum-policy", "foo"), ("stonith-enabled", "false")],
        &[("no-quorum-policy", "suicide"), ("stonith-enabled", "false")],
        &[("no-quorum-policy", "Ignore"), ("stonith-enabled", "false")],
        &[("stonith-timeout", "abc"), ("stonith-enabled", "false")],
        &[("stonith-timeout", "1d"), ("stonith-enabled", "no")],
        &[("stonith-timeout", "2min"), ("stonith-enabled", "OFF")],
        &[("stonith-enabled", "maybe")],
        &[("shutdown-escalation", "q"), ("stonith-enabled", "false")],
        &[
            ("placement-strategy", "q"),
            ("batch-limit", "q"),
            ("symmetric-cluster", "q"),
            ("maintenance-mode", ""),
            ("cluster-delay", "-1"),
            ("stonith-action", "kill"),
            ("node-health-red", "dark"),
            ("stonith-enabled", "0"),
        ],
    ];
    for (i, properties) in table.iter().enumerate() {
        let pair = |(n, v): &(&str, &str)| format!("<nvpair id=\"o-{n}\" name=\"{n}\" value=\"{v}\"/>");
        let pairs: String = properties.iter().map(pair).collect();
        let copy = Copy::new(&format!("properties-{i}"));
        let text = format!(
            "<cib crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\" epoch=\"1\" num_updates=\"0\" admin_epoch=\"0\" \
             have-quorum=\"1\"><configuration><crm_config><cluster_property_set id=\"o\">{pairs}</cluster_property_set></crm_config>\
             <nodes/><resources/><constraints/></configuration><status/></cib>"
        );
        std::fs::write(&copy.0, text).unwrap();
        let said = [&*theirs, ours].map(|program| {
            let output = Command::new(program).arg("-V").arg("-x").arg(&copy.0).output().unwrap();
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            // How it came to take a word for no number is Pacemaker's own affair.
            let helper = |l: &&str| l.starts_with("(scan_ll)") || l.starts_with("(crm_parse_interval_spec)");
            let lines: Vec<String> = err.lines().filter(|l| !helper(l)).map(str::to_owned).collect();
            (lines, output.status.code())
        });
        assert_eq!(said[0], said[1], "{properties:?}");
    }
}

#[test]
fn commands_do_and_say_what_pacemakers_do_and_say() {
    if !Path::new(THEIRS).join("crm_resource").exists() {
        eprintln!("SKIPPED: Debian's pacemaker-cli-utils is not installed");
        return;
    }
    let ours = Path::new(env!("CARGO_BIN_EXE_crm_resource")).parent().unwrap();
    let mut bad = Vec::new();
    for (i, line) in SAME.iter().enumerate() {
        let copies = [Copy::new(&format!("theirs-{i}")), Copy::new(&format!("ours-{i}"))];
        // Pacemaker's programs work on a file as hacluster.
        ha::sys::files::set_mode(&copies[0].0, 0o666).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let results = [(Path::new(THEIRS), &copies[0]), (ours, &copies[1])].map(|(folder, copy)| {
            let file = copy.0.display().to_string();
            let args: Vec<String> = words[1..].iter().map(|w| w.replace("FILE", &file)).collect();
            (run(&folder.join(words[0]), &args, copy), configuration(copy))
        });
        let [theirs, ours] = results;
        if theirs != ours {
            let more =
                |a: &[String], b: &[String]| -> Vec<String> { a.iter().filter(|l| !b.contains(l)).cloned().collect() };
            bad.push(format!(
                "{line}\n  theirs {:?}\n  ours   {:?}\n  only theirs {:?}\n  only ours {:?}",
                theirs.0,
                ours.0,
                more(&theirs.1, &ours.1),
                more(&ours.1, &theirs.1)
            ));
        }
    }
    assert!(
        bad.is_empty(),
        "{} of {} differ:\n{}",
        bad.len(),
        SAME.len(),
        bad.join("\n")
    );
}
