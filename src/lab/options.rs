//! What a lab is made from.

use super::files::Contents;
use crate::paths;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Where the nodes' ha.d comes from.
#[derive(Clone, Debug)]
pub enum Config {
    /// A lab of its own: these nodes, a beat of 100 ms, and the lines given.
    Plain {
        /// Lines after the lab's own in ha.cf.
        ha_cf: String,
        haresources: String,
    },
    /// These texts and no other; the nodes are those of ha.cf.
    Texts {
        ha_cf: String,
        haresources: String,
        authkeys: String,
    },
    /// A site's ha.d, whole.
    Site(PathBuf),
}

impl Default for Config {
    fn default() -> Self {
        Self::Plain {
            ha_cf: String::new(),
            haresources: "node1 10.77.0.100\n".into(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Options {
    pub name: String,
    /// For [`Config::Plain`]; the others name their nodes themselves. Empty: `node1` and `node2`.
    pub nodes: Vec<String>,
    pub config: Config,
    /// A serial line between the first two nodes.
    pub serial: bool,
    /// For [`Config::Plain`]: the nodes have the cluster resource manager instead of haresources.
    pub crm: bool,
    /// Nodes with heartbeat 3.0.6 …
    pub classic: Vec<String>,
    /// … from packages unpacked there; `None`: see [`classic::packages`](super::classic::packages).
    pub packages: Option<PathBuf>,
    /// Ping nodes: hosts of their own on the lab's switch, each named by its address. Those that a file names and that are
    /// not here are addresses of the client.
    pub ping: Vec<IpAddr>,
    /// The lab ends when this process does, however it dies, or when the [`Lab`](super::Lab) is dropped.
    pub owned: bool,
    /// `None`: hb_lab is this program or lies near it.
    pub program: Option<PathBuf>,
}

impl Options {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            nodes: Vec::new(),
            config: Config::default(),
            serial: false,
            crm: false,
            classic: Vec::new(),
            packages: None,
            ping: Vec::new(),
            owned: true,
            program: None,
        }
    }
}

/// The files of every node; `programs` is where those of heartbeat are.
pub(super) fn contents(options: &Options, programs: &Path) -> io::Result<Contents> {
    match &options.config {
        Config::Plain { ha_cf, haresources } => {
            let mut nodes = options.nodes.clone();
            if nodes.is_empty() {
                nodes = vec!["node1".into(), "node2".into()];
            }
            let mut text = String::from(
                "logfile /var/log/ha-log\nkeepalive 100ms\nwarntime 300ms\ndeadtime 500ms\ninitdead 10\nudpport 694\n\
                 bcast eth0\nauto_failback on\n",
            );
            if options.serial {
                text.push_str("baud 19200\nserial /dev/ttyS0\n");
            }
            if options.crm {
                text.push_str("crm on\n");
            }
            text.push_str(&format!("node {}\n", nodes.join(" ")));
            for host in &options.ping {
                let directive = if host.is_ipv6() { "ping6" } else { "ping" };
                text.push_str(&format!("{directive} {host}\n"));
            }
            text.push_str(ha_cf);
            Ok(Contents {
                ha_cf: text,
                haresources: if options.crm {
                    String::new()
                } else {
                    haresources.clone()
                },
                authkeys: "auth 1\n1 sha1 a-lab-is-no-secret\n".into(),
                copy: None,
                left_out: Vec::new(),
            })
        }
        Config::Texts {
            ha_cf,
            haresources,
            authkeys,
        } => Ok(Contents {
            ha_cf: ha_cf.clone(),
            haresources: haresources.clone(),
            authkeys: authkeys.clone(),
            copy: None,
            left_out: Vec::new(),
        }),
        Config::Site(dir) => {
            let read = |name: &str| {
                let path = dir.join(name);
                fs::read_to_string(&path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
            };
            // What the packages of the classic have is seen in its nodes only.
            let there = |program: &Path| {
                let ours = paths::packaged(program).map(|name| programs.join(name));
                program.exists() || ours.is_some_and(|p| p.exists()) || !options.classic.is_empty()
            };
            let (ha_cf, left_out) = rehearsed(&read("ha.cf")?, &there);
            Ok(Contents {
                ha_cf,
                // A cluster with the cluster resource manager has none.
                haresources: read("haresources").or_else(|e| match e.kind() {
                    io::ErrorKind::NotFound => Ok(String::new()),
                    _ => Err(e),
                })?,
                authkeys: read("authkeys")?,
                copy: Some(dir.clone()),
                left_out,
            })
        }
    }
}

/// The ha.cf of a site without what a rehearsal must not do, or cannot do on this machine; and what that is. The lines keep
/// their numbers. `there` tells whether a program exists.
fn rehearsed(ha_cf: &str, there: &dyn Fn(&Path) -> bool) -> (String, Vec<String>) {
    let (mut text, mut left_out) = (String::new(), Vec::new());
    for line in ha_cf.lines() {
        let words: Vec<&str> = line.split('#').next().unwrap_or("").split_ascii_whitespace().collect();
        let why = match words[..] {
            // A person who is asked may be asked in a lab, too.
            ["stonith", "meatware", ..] | ["stonith_host", _, "meatware", ..] => None,
            ["stonith" | "stonith_host", ..] => Some("a rehearsal switches no machine off"),
            ["watchdog", ..] => Some("it would reset this machine"),
            ["respawn" | "failfast", _, program, ..] if !there(Path::new(program)) => {
                Some("this machine has no such program")
            }
            _ => None,
        };
        if let Some(why) = why {
            left_out.push(format!("{}: {why}", words.join(" ")));
            text.push_str("# left out by hb_lab: ");
        }
        text.push_str(line);
        text.push('\n');
    }
    (text, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_leaves_out_what_it_must_not_do_and_keeps_the_lines_in_their_places() {
        #[rustfmt::skip]
        let table = [
            // a line of the site                              left out
            ("bcast eth0",                                     None),
            ("# stonith_host * external/ssh web",              None),
            ("stonith_host * external/ssh web # x",            Some("stonith_host * external/ssh web: a rehearsal switches no machine off")),
            ("stonith external/ipmi /etc/ha.d/ipmi",           Some("stonith external/ipmi /etc/ha.d/ipmi: a rehearsal switches no machine off")),
            ("stonith_host * meatware web",                    None),
            ("stonith meatware /etc/ha.d/meat",                None),
            ("watchdog /dev/watchdog",                         Some("watchdog /dev/watchdog: it would reset this machine")),
            ("respawn hacluster /there/is --it",               None),
            ("failfast hacluster /there/is/not",               Some("failfast hacluster /there/is/not: this machine has no such program")),
        ];
        let site: String = table.iter().map(|(line, _)| format!("{line}\n")).collect();
        let (text, left_out) = rehearsed(&site, &|program| program == Path::new("/there/is"));
        let want: Vec<&str> = table.iter().filter_map(|(_, out)| *out).collect();
        assert_eq!(left_out, want);
        for ((line, out), written) in table.iter().zip(text.lines()) {
            let mark = if out.is_some() { "# left out by hb_lab: " } else { "" };
            assert_eq!(written, format!("{mark}{line}"));
        }
    }
}
