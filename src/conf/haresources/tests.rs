use super::*;
use crate::conf::Severity;
use proptest::prelude::*;

fn read(text: &str) -> Parsed<Haresources> {
    let nodes = ["n1".parse().unwrap(), "n2".parse().unwrap()];
    parse(Path::new("haresources"), text, &nodes)
}

fn groups(text: &str) -> Vec<String> {
    let parsed = read(text);
    let complaints = parsed.complaints;
    let all = parsed.value.unwrap_or_else(|| panic!("{text:?}: {complaints:?}"));
    all.groups
        .iter()
        .map(|g| format!("{}: {}", g.line, g.canonical()))
        .collect()
}

#[test]
fn lines_comments_and_continuations() {
    #[rustfmt::skip]
    let table: [(&str, &[&str], usize); 12] = [
        // text                                          groups                          warnings
        ("n1 10.0.0.1 httpd # web\n",                    &["1: n1 10.0.0.1 httpd"],      0),
        ("# a\n\n \tN1\t10.0.0.1   httpd\r\n",           &["3: n1 10.0.0.1 httpd"],      0),
        ("n1 10.0.0.1 \\\n  httpd \\\n\ttomcat\nn2 x\n", &["1: n1 10.0.0.1 httpd tomcat", "4: n2 x"], 0),
        ("n1 10.0.0.1 ht\\\ntpd tomcat\n",               &["1: n1 10.0.0.1 httpd tomcat"], 0),
        ("n1 a\\\n b\n",                                 &["1: n1 a b"],                 0),
        ("n1 a \\\n b # text\nn2 c\n",                   &["1: n1 a b", "3: n2 c"],      1),
        ("n1 a \\\n# text\nn2 c\n",                      &["1: n1 a", "3: n2 c"],        1),
        ("n1 a # text \\\nn2 c\n",                       &["1: n1 a", "2: n2 c"],        1),
        ("n1 a \\",                                      &["1: n1 a"],                   1),
        ("n1 a\\",                                       &["1: n1 a"],                   1),
        ("",                                             &[],                            1),
        ("n1\nn2 c\n",                                   &["2: n2 c"],                   1),
    ];
    for (text, expected, warnings) in table {
        assert_eq!(groups(text), expected, "{text:?}");
        assert_eq!(
            read(text).complaints.len(),
            warnings,
            "{text:?}: {:?}",
            read(text).complaints
        );
    }
}

#[test]
fn scripts_and_arguments() {
    #[rustfmt::skip]
    let table: [(&str, &str, &[&str]); 8] = [
        ("192.168.8.240/19/eth0/192.168.31.251",     "IPaddr",     &["192.168.8.240/19/eth0/192.168.31.251"]),
        ("IPaddr::10.0.0.1/24",                      "IPaddr",     &["10.0.0.1/24"]),
        ("Filesystem::/dev/sda1::/data::ext3",       "Filesystem", &["/dev/sda1", "/data", "ext3"]),
        ("httpd",                                    "httpd",      &[]),
        ("1.2.3",                                    "1.2.3",      &[]),
        ("a::",                                      "a",          &[""]),
        ("tomcat::a::b",                             "tomcat",     &["a", "b"]),
        ("tomcat::1::2",                             "tomcat",     &["1", "2"]),
    ];
    for (word, script, args) in table {
        let spec = resource(word).unwrap();
        assert_eq!((spec.script.as_str(), spec.name.as_str()), (script, word));
        assert_eq!(spec.args, args, "{word}");
    }
}

#[test]
fn addresses() {
    #[rustfmt::skip]
    let table = [
        ("10.0.0.1", true), ("10.0.0.1/24", true), ("10.0.0.1/255.255.255.0", true), ("10.0.0.1/0", true),
        ("10.0.0.1/32", true), ("10.0.0.1/255.255.255.255", true), ("10.0.0.1/0.0.0.0", true),
        ("10.0.0.1/33", false), ("10.0.0.1/255.0.255.0", false), ("10.0.0.1/", false),
        ("10.0.0.1/24/eth0:5", true), ("10.0.0.1/24/10.0.0.255", true), ("10.0.0.1/24/eth0/10.0.0.255", true),
        ("10.0.0.1/24//10.0.0.255", false), ("10.0.0.1/24/eth0/x", false), ("10.0.0.1/24/10.0.0.256", false),
        ("10.0.0.1/24/eth0/10.0.0.255/x", false), ("10.0.0.300", false), ("10.0.0.1.5", false),
    ];
    for (word, good) in table {
        assert_eq!(resource(word).is_ok(), good, "{word}: {:?}", resource(word));
    }
    assert!(resource("IPaddr").is_err());
}

#[test]
fn every_mistake_has_its_line() {
    #[rustfmt::skip]
    let table = [
        ("n1 a\nn9 b\n",                   2, Severity::Error,   "n9 is not a node of ha.cf (there are: n1, n2)"),
        ("10.0.0.1 httpd\n",               1, Severity::Error,   "first word of a line is the node"),
        ("n1 a\nn2 a\n",                   2, Severity::Error,   "names the group of line 1"),
        ("n1 a b\nn2 b\n",                 1, Severity::Error,   "b names the group of line 2"),
        ("n1 a x\nn2 b x\n",               2, Severity::Warning, "x stands in line 1 too"),
        ("n1 a x x\n",                     1, Severity::Warning, "twice"),
        ("n1 a \\ \nn2 b\n",               1, Severity::Error,   "must be its last character"),
        ("n1 a \\ # x\n",                  1, Severity::Error,   "must be its last character"),
        ("n1 a \\\n 10.0.0.256\n",         2, Severity::Error,   "not an IPv4 address"),
        ("n1 /etc/init.d/httpd\n",         1, Severity::Error,   "(`httpd`)"),
        ("n1 OCF\n",                     1, Severity::Error,   "write OCF::AGENT::NAME=VALUE"),
        ("n1 OCF::IPaddr2::a::b=1\n",    1, Severity::Error,   "\"a\" is not a parameter"),
        ("n1 IPv6addr::2001:db8::1/64\n", 1, Severity::Error,   "write IPv6addr::2001:db8:0:0:0:0:0:1"),
        ("n1 ::x\n",                       1, Severity::Error,   "names no script"),
    ];
    for (text, line, severity, words) in table {
        let parsed = read(text);
        let found = parsed
            .complaints
            .iter()
            .any(|c| c.line == line && c.severity == severity && c.message.contains(words));
        assert!(found, "{text:?}: {:?}", parsed.complaints);
    }
}

#[test]
fn digests_see_words_and_order_not_blanks_or_comments() {
    let all = |text: &str| read(text).value.unwrap();
    let one = all("n1 10.0.0.1 httpd\nn2 10.0.0.2\n");
    let same = all("# x\nN1\t10.0.0.1 \\\n httpd # web\n\nn2 10.0.0.2");
    let other = all("n1 10.0.0.1 tomcat\nn2 10.0.0.2\n");
    let turned = all("n2 10.0.0.2\nn1 10.0.0.1 httpd\n");
    assert_eq!(digest(&one), digest(&same));
    assert_ne!(digest(&one), digest(&other));
    assert_ne!(digest(&one), digest(&turned));
    let (a, b) = (line_digests(&one), line_digests(&other));
    assert_eq!((a[0].0, a[1].0, a[0].1.len()), (1, 2, 8));
    assert_ne!(a[0], b[0]);
    assert_eq!(a[1], b[1]);
    assert_eq!(
        digest(&Haresources::default()),
        "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\PC{0,20}|n1|\\\\|\n|#| |::|10\\.0\\.0\\.1/?){0,30}") {
        let parsed = read(&text);
        let errors = parsed.complaints.iter().any(|c| c.severity == Severity::Error);
        prop_assert_eq!(parsed.value.is_none(), errors);
    }

    /// What is read and printed reads back the same.
    #[test]
    fn canonical_lines_read_back(words in prop::collection::vec("[a-z][a-z0-9:./_-]{0,12}", 1..6)) {
        let text = format!("n1 {}\n", words.join(" "));
        if let Some(all) = read(&text).value {
            let printed: Vec<String> = all.groups.iter().map(GroupSpec::canonical).collect();
            prop_assert_eq!(read(&printed.join("\n")).value, Some(all));
        }
    }
}
