use super::*;
use crate::conf::haresources;
use proptest::prelude::*;

const GROUPS: &str = "a 10.0.0.1 nginx\nb IPaddr::10.0.0.2 Filesystem::/dev/sda1::/a Filesystem::/dev/sdb1::/b mysql\n";

fn read(text: &str) -> Parsed<Monitors> {
    let groups = haresources::parse(Path::new("haresources"), GROUPS, &[]);
    parse(Path::new("monitors"), text, Some(&groups.value.unwrap()))
}

fn complaints(text: &str) -> Vec<String> {
    read(text).complaints.iter().map(ToString::to_string).collect()
}

fn good(text: &str) -> Monitors {
    let parsed = read(text);
    assert!(parsed.complaints.is_empty(), "{:?}", parsed.complaints);
    parsed.value.unwrap()
}

#[test]
fn checks_have_defaults_and_options() {
    let all = good(
        "# a comment\n\n10.0.0.1 http every=2s expect=200 host=www.example.org http://10.0.0.1:8080/ok?a=b  # and one\n\
         10.0.0.1 script retries=2 pause=500ms /bin/check -v every=3\n\
         10.0.0.1 tcp 3306 fall=3 rise=2 from=10.0.0.1\n\
         10.0.0.1 repair restarts=1 within=60 forget=30 grace=0\n",
    );
    let [group] = all.groups.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!(group.key.as_str(), "10.0.0.1");
    let want = Repair {
        restarts: 1,
        within: Duration::from_secs(60),
        forget: Some(Duration::from_secs(30)),
        grace: Duration::ZERO,
    };
    assert_eq!(group.repair, want);
    let [http, script, tcp] = group.checks.as_slice() else {
        panic!("{group:?}")
    };
    assert_eq!(
        http.kind,
        CheckKind::Http {
            address: "10.0.0.1:8080".parse().unwrap(),
            host: "www.example.org".to_owned(),
            path: "/ok?a=b".to_owned(),
            expect: (200, 200),
        }
    );
    assert_eq!(
        (http.every, http.timeout),
        (Duration::from_secs(2), Duration::from_secs(5))
    );
    assert_eq!((http.from.as_str(), http.line), ("nginx", 3));
    assert_eq!(
        script.kind,
        CheckKind::Script {
            program: "/bin/check".into(),
            args: vec!["-v".to_owned(), "every=3".to_owned()],
        }
    );
    assert_eq!((script.retries, script.pause), (2, Duration::from_millis(500)));
    assert_eq!(
        (script.every, script.timeout),
        (Duration::from_secs(10), Duration::from_secs(20))
    );
    assert_eq!(tcp.kind, CheckKind::Tcp("127.0.0.1:3306".parse().unwrap()));
    assert_eq!((tcp.fall, tcp.rise, tcp.from.as_str()), (3, 2, "10.0.0.1"));
}

#[test]
fn a_star_is_every_group_and_what_names_one_wins() {
    let all = good("10.0.0.1 repair grace=1\n* repair grace=9 restarts=7\n* status every=30\n* tcp from=mysql 3306\n");
    let seen: Vec<(&str, u64, u32, Vec<String>)> = all
        .groups
        .iter()
        .map(|g| {
            let checks = g.checks.iter().map(|c| format!("{} from {}", c.kind, c.from)).collect();
            (g.key.as_str(), g.repair.grace.as_secs(), g.repair.restarts, checks)
        })
        .collect();
    let texts = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        seen,
        [
            (
                "10.0.0.1",
                1,
                7,
                texts(&["status of 10.0.0.1 from 10.0.0.1", "status of nginx from nginx"])
            ),
            (
                "IPaddr::10.0.0.2",
                9,
                7,
                texts(&[
                    "status of IPaddr::10.0.0.2 from IPaddr::10.0.0.2",
                    "status of Filesystem::/dev/sda1::/a from Filesystem::/dev/sda1::/a",
                    "status of Filesystem::/dev/sdb1::/b from Filesystem::/dev/sdb1::/b",
                    "status of mysql from mysql",
                    "tcp 127.0.0.1:3306 from mysql",
                ])
            ),
        ]
    );
}

#[test]
fn every_mistake_is_told_with_its_line_and_what_to_write() {
    #[rustfmt::skip]
    let table = [
        // line                                       says
        ("10.0.0.1",                                  "write what is checked"),
        ("10.0.0.1 ping 10.0.0.2",                    "write status, script, tcp or http"),
        ("10.0.0.9 status",                           "is not a group of haresources"),
        ("10.0.0.1 status apache",                    "\"apache\" is not a resource of the group 10.0.0.1"),
        ("10.0.0.1 tcp from=apache 80",               "\"apache\" is not a resource of the group 10.0.0.1"),
        ("* tcp from=apache 80",                      "\"apache\" is not a resource"),
        ("IPaddr::10.0.0.2 status Filesystem",        "the script of several resources"),
        ("10.0.0.1 tcp",                              "write one ADDRESS:PORT"),
        ("10.0.0.1 tcp 80 81",                        "write one ADDRESS:PORT"),
        ("10.0.0.1 tcp 0",                            "no port"),
        ("10.0.0.1 tcp localhost:80",                 "names of hosts are not looked up"),
        ("10.0.0.1 tcp 70000",                        "is not ADDRESS:PORT"),
        ("10.0.0.1 http 10.0.0.1",                    "does not begin with http://"),
        ("10.0.0.1 http https://10.0.0.1/",           "curl"),
        ("10.0.0.1 http http://www.example.org/",     "host="),
        ("10.0.0.1 http expect=99 http://10.0.0.1/",  "expect=99"),
        ("10.0.0.1 http expect=300-200 http://10.0.0.1/", "expect=300-200"),
        ("10.0.0.1 http http://10.0.0.1/ä",           "%XX"),
        ("10.0.0.1 script",                           "full path"),
        ("10.0.0.1 script check.sh",                  "is not a full path"),
        ("10.0.0.1 status every=10min",               "every: "),
        ("10.0.0.1 status every=1ms",                 "every=1ms: write a time from 100ms"),
        ("10.0.0.1 status every=2 every=3",           "stands twice"),
        ("10.0.0.1 status retry=3",                   "status has no option retry: it has every, timeout, retries"),
        ("10.0.0.1 tcp expect=200 80",                "tcp has no option expect"),
        ("10.0.0.1 status fall=0",                    "a number from 1 to 100"),
        ("10.0.0.1 status retries=-1",                "a number from 0 to 100"),
        ("10.0.0.1 repair forget=always",             "forget: "),
        ("10.0.0.1 repair nginx",                     "is not NAME=VALUE"),
    ];
    for (line, says) in table {
        // The mistake stands in line 2; the first line is good.
        let told = complaints(&format!("10.0.0.1 status\n{line}\n"));
        assert!(
            told.iter().any(|t| t.starts_with("monitors:2: ") && t.contains(says)),
            "{line}: {told:?}"
        );
        assert!(read(&format!("10.0.0.1 status\n{line}\n")).value.is_none(), "{line}");
    }
    let told = complaints("x status\n10.0.0.1 tcp every=0 retries=x 0\n");
    assert_eq!(told.len(), 3, "one for every mistake of a line: {told:?}");
}

#[test]
fn what_does_nothing_is_warned_of() {
    #[rustfmt::skip]
    let table = [
        ("",                                                              "monitors: warning: there is no check in it"),
        ("# 10.0.0.1 status\n",                                           "monitors: warning: there is no check in it"),
        ("10.0.0.1 status\nIPaddr::10.0.0.2 repair grace=1\n",            "monitors:2: warning: IPaddr::10.0.0.2 has no check"),
        ("10.0.0.1 status\n10.0.0.1 repair grace=1\n10.0.0.1 repair grace=2\n", "monitors:3: warning: 10.0.0.1 has a line repair already"),
    ];
    for (text, says) in table {
        let told = complaints(text);
        assert!(told.len() == 1 && told[0].starts_with(says), "{text}: {told:?}");
        assert!(read(text).value.is_some());
    }
}

#[test]
fn more_checks_than_descriptors_are_refused() {
    let told = complaints(&"10.0.0.1 tcp 80\n".repeat(MOST_CHECKS + 1));
    assert!(told.len() == 1 && told[0].contains("257 checks"), "{told:?}");
}

#[test]
fn the_sample_is_read_and_does_nothing() {
    let text = include_str!("../../../ha.d/monitors");
    let told = complaints(text);
    assert!(
        told.len() == 1 && told[0].contains("there is no check in it"),
        "{told:?}"
    );
    // Its examples work when their sign of a comment is taken away.
    let examples: String = text
        .lines()
        .filter_map(|l| l.strip_prefix('#'))
        .filter(|l| l.starts_with("10.0.0.1 ") || l.starts_with("* "))
        .map(|l| format!("{l}\n"))
        .collect();
    assert!(examples.lines().count() >= 5, "{examples}");
    good(&examples);
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "(10.0.0.1|\\*|[ -~]{0,4}) (status|tcp|http|script|repair|[a-z]{0,3}) [ -~]{0,30}") {
        let parsed = read(&text);
        prop_assert!(parsed.value.is_some() || !parsed.complaints.is_empty());
    }
}
