//! Files: those of the administrator, and those in which the daemon finds its own state again.

use ha::clients::json::Json;
use ha::conf::access::Accounts;
use ha::conf::{self, Complaint, Parsed, Severity};
use ha::ids::NodeName;
use std::path::Path;

fn node(name: &str) -> NodeName {
    name.parse().expect("a good name")
}

/// A value, or an error; and every complaint is about a line that is there.
fn sound<T>(parsed: &Parsed<T>, text: &str) {
    let error = |c: &Complaint| c.severity == Severity::Error;
    assert_eq!(parsed.value.is_none(), parsed.complaints.iter().any(error));
    let lines = text.split('\n').count();
    for complaint in &parsed.complaints {
        assert!(complaint.line <= lines, "{complaint}");
    }
}

pub fn ha_cf(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parsed = conf::ha_cf::parse(Path::new("ha.cf"), &text, &node("n1"));
    sound(&parsed, &text);
    if let Some(cf) = parsed.value {
        assert!(
            cf.normal_nodes().any(|n| *n == node("n1")),
            "without this node it is refused"
        );
        for medium in &cf.media {
            let _ = (medium.link(), medium.medium(), medium.whole());
        }
    }
}

pub fn haresources(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let nodes = [node("n1"), node("n2")];
    for nodes in [&nodes[..], &[]] {
        let parsed = conf::haresources::parse(Path::new("haresources"), &text, nodes);
        sound(&parsed, &text);
        let Some(read) = parsed.value else { continue };
        let plain: String = read.groups.iter().map(|g| g.canonical() + "\n").collect();
        // A word may hold anything, but no line can be written that ends in a backslash.
        if plain.contains("\\\n") {
            continue;
        }
        let again = conf::haresources::parse(Path::new("haresources"), &plain, nodes);
        let why = again.complaints;
        let again = again.value.unwrap_or_else(|| panic!("{plain:?} of {text:?}: {why:?}"));
        assert_eq!(conf::haresources::digest(&read), conf::haresources::digest(&again));
    }
}

pub fn authkeys(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parsed = conf::authkeys::parse(Path::new("authkeys"), &text);
    sound(&parsed, &text);
    if let Some(keys) = parsed.value {
        let token = keys.sign(b"x").expect("the active key is there");
        assert_eq!(keys.check(&token, b"x"), Ok(()));
    }
}

/// State of an earlier life, damaged in any way.
pub fn state(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let hosts = conf::hostcache::parse(Path::new("hostcache"), &text);
    let entries = hosts.value.expect("a damaged line costs that line");
    let again = conf::hostcache::parse(Path::new("hostcache"), &conf::hostcache::print(&entries));
    assert_eq!((again.value, again.complaints.len()), (Some(entries), 0));

    let peers = conf::lives::parse(Path::new("hb_peers"), &text);
    let lives = peers.value.expect("a damaged line costs that line");
    let again = conf::lives::parse(Path::new("hb_peers"), &conf::lives::print(&lives));
    assert_eq!((again.value, again.complaints.len()), (Some(lives), 0));

    if let Ok(json) = Json::parse(&text) {
        let printed = json.to_string();
        assert_eq!(Json::parse(&printed).expect("what we print, we read"), json);
    }
    let accounts = Accounts::read(&text);
    assert_eq!(Accounts::read(&accounts.to_string()).to_string(), accounts.to_string());
}
