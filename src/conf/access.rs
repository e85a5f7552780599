//! Who may sign on under which name: the `apiauth` lines, the defaults, and the numbers behind the names in them.
//!
//! The names are looked up by the master (a look-up may wait for a name server); the core gets the numbers as text.

use std::collections::BTreeMap;
use std::fmt;

/// An `apiauth` line, or a default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiAuth {
    pub client: String,
    /// Names or numbers, as written.
    pub users: Vec<String>,
    pub groups: Vec<String>,
    /// Of ha.cf; 0 for a default.
    pub line: usize,
}

/// The line for clients whose id is a process number.
pub const ANON: &str = "anon";
/// The line for names that have none of their own.
pub const DEFAULT: &str = "default";
/// Who may do what root may: the user heartbeat's own programs run as.
pub const OWN_USER: &str = "hacluster";

/// In force unless ha.cf has a line for the same client; as in heartbeat 3.0.6.
const DEFAULTS: [(&str, &[&str], &[&str]); 8] = [
    (ANON, &["root"], &["haclient"]),
    ("ccm", &[OWN_USER], &[]),
    // In heartbeat 3.0.6 with `crm on` only. Root: where there is no other user (hb_lab).
    ("crmd", &["root", OWN_USER], &[]),
    // Not in heartbeat 3.0.6.
    ("hb_monitor", &["root", OWN_USER], &[]),
    ("ipfail", &[OWN_USER], &[]),
    ("lha-snmpagent", &["root"], &[]),
    // Not in heartbeat 3.0.6.
    ("lrmd", &["root"], &[]),
    ("ping", &[], &["haclient"]),
];

/// Adds the defaults to what ha.cf says.
pub(super) fn with_defaults(mut lines: Vec<ApiAuth>) -> Vec<ApiAuth> {
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    for (client, users, groups) in DEFAULTS {
        if !lines.iter().any(|l| l.client == client) {
            lines.push(ApiAuth {
                client: client.to_owned(),
                users: owned(users),
                groups: owned(groups),
                line: 0,
            });
        }
    }
    lines
}

/// Numbers of the users and groups that the lines name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Accounts {
    users: BTreeMap<String, u32>,
    /// Number, and the users that belong to it: a FIFO shows one group, its owner may be in several.
    groups: BTreeMap<String, (u32, Vec<u32>)>,
}

impl Accounts {
    pub fn add_user(&mut self, name: &str, uid: u32) {
        self.users.insert(name.to_owned(), uid);
    }

    pub fn add_group(&mut self, name: &str, gid: u32, members: Vec<u32>) {
        self.groups.insert(name.to_owned(), (gid, members));
    }

    /// The number of a user; a number is one already. Root needs no look-up.
    fn user(&self, word: &str) -> Option<u32> {
        match word {
            "root" => Some(0),
            _ => self.users.get(word).copied().or_else(|| word.parse().ok()),
        }
    }

    fn belongs(&self, word: &str, uid: u32, gid: u32) -> bool {
        match self.groups.get(word) {
            Some((number, members)) => *number == gid || members.contains(&uid),
            None => word.parse() == Ok(gid),
        }
    }

    /// root, and the user of heartbeat's own programs.
    pub fn is_trusted(&self, uid: u32) -> bool {
        uid == 0 || self.users.get(OWN_USER) == Some(&uid)
    }

    /// May this owner of a pair of FIFOs sign on as `client`? The reason when not, in the words of heartbeat 3.0.6 with
    /// ours behind.
    pub fn check(&self, lines: &[ApiAuth], client: &str, casual: bool, uid: u32, gid: u32) -> Result<(), String> {
        let find = |name: &str| lines.iter().find(|l| l.client == name);
        let line = if casual {
            find(ANON)
        } else {
            find(client).or_else(|| find(DEFAULT))
        };
        let Some(line) = line else {
            return Err(format!(
                "no default client auth: ha.cf has no line `apiauth {client} ...` and no `apiauth default ...`"
            ));
        };
        let listed = line.users.iter().any(|u| self.user(u) == Some(uid))
            || line.groups.iter().any(|g| self.belongs(g, uid, gid));
        if listed {
            return Ok(());
        }
        let place = match line.line {
            0 => "by default".to_owned(),
            n => format!("in line {n} of ha.cf"),
        };
        Err(format!(
            "client failed authorization: uid {uid}, gid {gid} is not among those of `apiauth {}` {place}",
            line.client
        ))
    }

    /// The words a master must look up for these lines: users, groups.
    pub fn wanted(lines: &[ApiAuth]) -> (Vec<&str>, Vec<&str>) {
        let mut users: Vec<&str> = lines.iter().flat_map(|l| l.users.iter().map(String::as_str)).collect();
        users.push(OWN_USER);
        let mut groups: Vec<&str> = lines.iter().flat_map(|l| l.groups.iter().map(String::as_str)).collect();
        for words in [&mut users, &mut groups] {
            words.retain(|w| w.parse::<u32>().is_err());
            words.sort_unstable();
            words.dedup();
        }
        (users, groups)
    }

    /// Reads what `Display` wrote; a line that is none is left out.
    pub fn read(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["user", name, uid] => {
                    if let Ok(uid) = uid.parse() {
                        all.add_user(name, uid);
                    }
                }
                ["group", name, gid, members @ ..] => {
                    if let Ok(gid) = gid.parse() {
                        all.add_group(name, gid, members.iter().filter_map(|m| m.parse().ok()).collect());
                    }
                }
                _ => {}
            }
        }
        all
    }
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, uid) in &self.users {
            writeln!(f, "user {name} {uid}")?;
        }
        for (name, (gid, members)) in &self.groups {
            write!(f, "group {name} {gid}")?;
            for uid in members {
                write!(f, " {uid}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        let mut all = Accounts::default();
        all.add_user("hacluster", 103);
        all.add_user("bob", 1000);
        all.add_group("haclient", 106, vec![1000, 1001]);
        all.add_group("wheel", 10, vec![]);
        all
    }

    #[test]
    fn who_may_sign_on_as_what() {
        let line = |client: &str, users: &[&str], groups: &[&str], line| ApiAuth {
            client: client.to_owned(),
            users: users.iter().map(|u| (*u).to_owned()).collect(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            line,
        };
        let own = vec![
            line("mine", &["bob", "77"], &["wheel", "8"], 3),
            line("ccm", &["nobody"], &[], 4),
        ];
        let mut open = own.clone();
        open.push(line("default", &["bob"], &[], 5));
        type Row<'a> = (&'a [ApiAuth], &'a str, u32, u32, Result<(), &'a str>);
        #[rustfmt::skip]
        let table: &[Row] = &[
            // lines  client       uid   gid   what
            (&own,   "mine",        1000,   0, Ok(())),
            (&own,   "mine",          77,   0, Ok(())),
            (&own,   "mine",           5,  10, Ok(())),
            (&own,   "mine",           5,   8, Ok(())),
            (&own,   "mine",           0,   0, Err("client failed authorization: uid 0, gid 0 is not among those of `apiauth mine` in line 3")),
            (&own,   "ipfail",       103, 106, Ok(())),
            (&own,   "ipfail",      1000, 106, Err("client failed authorization")),
            (&own,   "ccm",          103, 106, Err("in line 4 of ha.cf")),
            (&own,   "ping",          55, 106, Ok(())),
            (&own,   "ping",        1001,   0, Ok(())),
            (&own,   "other",       1000, 106, Err("no default client auth")),
            (&open,  "other",       1000, 106, Ok(())),
            (&open,  "other",          0, 106, Err("`apiauth default` in line 5")),
            (&own,   "70",             0,   0, Ok(())),
            (&own,   "70",            99, 106, Ok(())),
            (&own,   "70",            99,  99, Err("`apiauth anon` by default")),
        ];
        for (lines, client, uid, gid, want) in table {
            let lines = with_defaults(lines.to_vec());
            let casual = client.parse::<u32>().is_ok();
            let got = accounts().check(&lines, client, casual, *uid, *gid);
            match (&got, want) {
                (Ok(()), Ok(())) => {}
                (Err(why), Err(part)) if why.contains(part) => {}
                _ => panic!("{client} {uid} {gid}: {got:?}"),
            }
        }
    }

    #[test]
    fn what_is_handed_to_the_core_reads_back() {
        let all = accounts();
        assert_eq!(Accounts::read(&all.to_string()), all);
        assert!(all.is_trusted(0) && all.is_trusted(103) && !all.is_trusted(1000));
        assert!(!Accounts::default().is_trusted(103));
        let lines = with_defaults(Vec::new());
        assert_eq!(Accounts::wanted(&lines), (vec!["hacluster", "root"], vec!["haclient"]));
    }
}
