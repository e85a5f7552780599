//! What a lab is made from.

use super::files::Contents;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

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
    /// Nodes with heartbeat 3.0.6 …
    pub classic: Vec<String>,
    /// … from packages unpacked there; `None`: see [`classic::packages`](super::classic::packages).
    pub packages: Option<PathBuf>,
    /// Ping nodes: hosts of their own on the lab's switch, each named by its address. Those that a file names and that are
    /// not here are addresses of the client.
    pub ping: Vec<IpAddr>,
    /// The lab ends when this process does, however it dies, or when the [`Lab`] is dropped.
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
            classic: Vec::new(),
            packages: None,
            ping: Vec::new(),
            owned: true,
            program: None,
        }
    }
}

/// The files of every node.
pub(super) fn contents(options: &Options) -> io::Result<Contents> {
    match &options.config {
        Config::Plain { ha_cf, haresources } => {
            let mut nodes = options.nodes.clone();
            if nodes.is_empty() {
                nodes = vec!["node1".into(), "node2".into()];
            }
            let mut text = String::from(
                "logfile /var/log/ha-log\nkeepalive 100ms\nwarntime 300ms\ndeadtime 500ms\ninitdead 1\nudpport 694\n\
                 bcast eth0\nauto_failback on\n",
            );
            if options.serial {
                text.push_str("baud 19200\nserial /dev/ttyS0\n");
            }
            text.push_str(&format!("node {}\n", nodes.join(" ")));
            for host in &options.ping {
                let directive = if host.is_ipv6() { "ping6" } else { "ping" };
                text.push_str(&format!("{directive} {host}\n"));
            }
            text.push_str(ha_cf);
            Ok(Contents {
                ha_cf: text,
                haresources: haresources.clone(),
                authkeys: "auth 1\n1 sha1 a-lab-is-no-secret\n".into(),
                copy: None,
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
        }),
        Config::Site(dir) => {
            let read = |name: &str| {
                let path = dir.join(name);
                fs::read_to_string(&path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
            };
            Ok(Contents {
                ha_cf: read("ha.cf")?,
                // A cluster with the cluster resource manager has none.
                haresources: read("haresources").or_else(|e| match e.kind() {
                    io::ErrorKind::NotFound => Ok(String::new()),
                    _ => Err(e),
                })?,
                authkeys: read("authkeys")?,
                copy: Some(dir.clone()),
            })
        }
    }
}
