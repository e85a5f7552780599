//! The shape of a lab: its nodes, their interfaces and addresses. Pure, and written to the file `plan` so that every
//! later command finds the same lab.

use super::CLIENT;
use super::site::Site;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// Host part of the client's addresses; no site has that many nodes.
const CLIENT_HOST: u8 = 200;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    pub name: String,
    pub mac: [u8; 6],
    pub addresses: Vec<(IpAddr, u8)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    pub name: String,
    /// Its programs are those of heartbeat 3.0.6.
    pub classic: bool,
    pub role: Role,
    pub links: Vec<Link>,
}

/// What a node is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Cluster,
    /// Answers pings at one address, its name.
    Ping,
    /// The one from which the cluster is looked at.
    Client,
}

impl Role {
    /// The word that begins its line of a plan.
    fn word(self) -> &'static str {
        match self {
            Self::Cluster => "node",
            Self::Ping => "ping",
            Self::Client => "client",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    pub name: String,
    /// Everything of this lab.
    pub directory: PathBuf,
    /// hb_lab itself.
    pub program: PathBuf,
    /// Where heartbeat and its helpers are.
    pub programs: PathBuf,
    /// Where the packages of heartbeat 3.0.6 are unpacked, for the nodes that have it.
    pub packages: Option<PathBuf>,
    /// A serial line joins the first two nodes.
    pub serial: bool,
    /// The cluster's nodes, the client, and the ping nodes.
    pub nodes: Vec<Node>,
}

impl Plan {
    pub fn new(name: &str, directory: &Path, program: &Path, programs: &Path, site: &Site) -> Self {
        let mut links = site.links.clone();
        // The client and the default route need one that is always there.
        links.retain(|l| l != "eth0");
        links.insert(0, "eth0".into());
        let names = site.nodes.iter().map(String::as_str).chain([CLIENT]);
        let nodes = names
            .enumerate()
            .map(|(i, name)| Node {
                name: name.to_owned(),
                classic: false,
                role: if name == CLIENT { Role::Client } else { Role::Cluster },
                links: links
                    .iter()
                    .enumerate()
                    .map(|(k, link)| base_link(i, k, name, link))
                    .collect(),
            })
            .collect();
        let mut plan = Self {
            name: name.to_owned(),
            directory: directory.to_owned(),
            program: program.to_owned(),
            programs: programs.to_owned(),
            packages: None,
            serial: site.serial && site.nodes.len() >= 2,
            nodes,
        };
        plan.add_site(site);
        plan
    }

    fn add_site(&mut self, site: &Site) {
        let cluster = site.nodes.len();
        // The n-th address of an interface's ucast lines is the n-th node's.
        for link in site.links.iter() {
            let of_link = site.unicast.iter().filter(|(l, _)| l == link);
            for (node, (_, address)) in of_link.enumerate().take(cluster) {
                self.add_address(node, link, (*address).into(), 24);
            }
        }
        let mut taken: BTreeSet<Ipv4Addr> = site.services.iter().map(|s| s.address).collect();
        taken.extend(&site.ping);
        taken.extend(site.unicast.iter().map(|(_, a)| *a));
        for service in &site.services {
            let link = service.link.as_deref().unwrap_or("eth0");
            // Too small for an address a node: a wider one serves as well in a private network.
            let prefix = service.prefix.filter(|p| *p <= 28).unwrap_or(24);
            let mask = u32::MAX << (32 - u32::from(prefix));
            let network = service.address.to_bits() & mask;
            let inside = |a: &(IpAddr, u8)| match a.0 {
                IpAddr::V4(v4) => a.1 == prefix && v4.to_bits() & mask == network,
                IpAddr::V6(_) => false,
            };
            let mut host = 1;
            for node in 0..self.nodes.len() {
                if self.nodes[node]
                    .links
                    .iter()
                    .any(|l| l.name == link && l.addresses.iter().any(inside))
                {
                    continue;
                }
                while taken.contains(&Ipv4Addr::from_bits(network | host)) {
                    host += 1;
                }
                let address = Ipv4Addr::from_bits(network | host);
                taken.insert(address);
                self.add_address(node, link, address.into(), prefix);
            }
        }
        for host in site.ping.iter().filter(|h| !site.hosts.contains(&IpAddr::V4(**h))) {
            self.add_address(cluster, "eth0", (*host).into(), 32);
        }
        for host in &site.hosts {
            self.add_ping_node(*host);
        }
    }

    /// A host on the first segment. One that is in no network there cannot be reached; `lab::handle` refuses it.
    fn add_ping_node(&mut self, host: IpAddr) {
        let networks = self.nodes[0].links[0].addresses.clone();
        let near = networks.iter().find(|(a, prefix)| same_network(*a, host, *prefix));
        let number = self.nodes.len() as u8;
        self.nodes.push(Node {
            name: host.to_string(),
            classic: false,
            role: Role::Ping,
            links: vec![Link {
                name: "eth0".to_owned(),
                mac: [0x02, 0x77, 0, 1, 0, number],
                addresses: near.map(|(_, prefix)| (host, *prefix)).into_iter().collect(),
            }],
        });
    }

    fn add_address(&mut self, node: usize, link: &str, address: IpAddr, prefix: u8) {
        let known = self.nodes.iter().flat_map(|n| &n.links).flat_map(|l| &l.addresses);
        if known.clone().any(|(a, _)| *a == address) {
            return;
        }
        if let Some(link) = self.nodes[node].links.iter_mut().find(|l| l.name == link) {
            link.addresses.push((address, prefix));
        }
    }

    /// Where packets to everywhere else go: the client, which answers for the ping nodes.
    pub fn gateway() -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, CLIENT_HOST)
    }

    /// The cluster's nodes, without the client.
    pub fn cluster(&self) -> impl Iterator<Item = &str> {
        let cluster = self.nodes.iter().filter(|n| n.role == Role::Cluster);
        cluster.map(|n| n.name.as_str())
    }

    /// The node has heartbeat 3.0.6, from packages unpacked in `packages`.
    pub fn set_classic(&mut self, name: &str, packages: &Path) -> bool {
        self.packages = Some(packages.to_owned());
        let node = self
            .nodes
            .iter_mut()
            .find(|n| n.name == name && n.role == Role::Cluster);
        node.map(|n| n.classic = true).is_some()
    }

    pub fn is_classic(&self, name: &str) -> bool {
        self.node(name).is_some_and(|n| n.classic)
    }

    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.name == name)
    }

    /// Name of the switch's end of a cable, at most 15 bytes long.
    pub fn port(&self, node: &str, link: &str) -> String {
        let node_at = self.nodes.iter().position(|n| n.name == node).unwrap_or(0);
        let links = self.nodes.get(node_at).map_or(&[][..], |n| &n.links);
        let link_at = links.iter().position(|l| l.name == link).unwrap_or(0);
        format!("n{node_at}l{link_at}")
    }

    /// Which node has a hardware address.
    pub fn owner_of(&self, mac: [u8; 6]) -> Option<&str> {
        let has = |n: &&Node| n.links.iter().any(|l| l.mac == mac);
        self.nodes.iter().find(has).map(|n| n.name.as_str())
    }

    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "name {}", self.name);
        let _ = writeln!(out, "program {}", self.program.display());
        let _ = writeln!(out, "programs {}", self.programs.display());
        if let Some(packages) = &self.packages {
            let _ = writeln!(out, "packages {}", packages.display());
        }
        if self.serial {
            out.push_str("serial yes\n");
        }
        for node in &self.nodes {
            let _ = writeln!(out, "{} {}", node.role.word(), node.name);
            if node.classic {
                out.push_str("classic yes\n");
            }
            for link in &node.links {
                let mac = link.mac.map(|b| format!("{b:02x}")).join(":");
                let _ = write!(out, "link {} {mac}", link.name);
                for (address, prefix) in &link.addresses {
                    let _ = write!(out, " {address}/{prefix}");
                }
                out.push('\n');
            }
        }
        out
    }

    pub fn parse(directory: &Path, text: &str) -> Result<Self, String> {
        let mut plan = Self {
            name: String::new(),
            directory: directory.to_owned(),
            program: PathBuf::new(),
            programs: PathBuf::new(),
            packages: None,
            serial: false,
            nodes: Vec::new(),
        };
        for line in text.lines() {
            let bad = || format!("{}: \"{line}\" is not a line of a plan", directory.display());
            let (word, rest) = line.split_once(' ').ok_or_else(bad)?;
            match word {
                "name" => plan.name = rest.to_owned(),
                "program" => plan.program = rest.into(),
                "programs" => plan.programs = rest.into(),
                "packages" => plan.packages = Some(rest.into()),
                "serial" => plan.serial = true,
                "classic" => plan.nodes.last_mut().ok_or_else(bad)?.classic = rest == "yes",
                "link" => {
                    let link = parse_link(rest).ok_or_else(bad)?;
                    plan.nodes.last_mut().ok_or_else(bad)?.links.push(link);
                }
                _ => {
                    let roles = [Role::Cluster, Role::Ping, Role::Client];
                    plan.nodes.push(Node {
                        name: rest.to_owned(),
                        classic: false,
                        role: roles.into_iter().find(|r| r.word() == word).ok_or_else(bad)?,
                        links: Vec::new(),
                    });
                }
            }
        }
        Ok(plan)
    }
}

fn same_network(a: IpAddr, b: IpAddr, prefix: u8) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()) >> (32 - prefix.min(31)) == 0 && prefix < 32,
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()) >> (128 - prefix.min(127)) == 0 && prefix < 128,
        _ => false,
    }
}

fn base_link(node: usize, link: usize, name: &str, link_name: &str) -> Link {
    let host = if name == CLIENT { CLIENT_HOST } else { node as u8 + 1 };
    let segment = link as u8;
    Link {
        name: link_name.to_owned(),
        // Locally administered; the same in every lab, so that captures can be compared.
        mac: [0x02, 0x77, 0, 0, segment, host],
        addresses: vec![
            (Ipv4Addr::new(10, 77, segment, host).into(), 24),
            (
                Ipv6Addr::new(0xfd77, 0, 0, u16::from(segment), 0, 0, 0, u16::from(host)).into(),
                64,
            ),
        ],
    }
}

fn parse_link(text: &str) -> Option<Link> {
    let mut words = text.split_ascii_whitespace();
    let name = words.next()?.to_owned();
    let bytes: Option<Vec<u8>> = words
        .next()?
        .split(':')
        .map(|b| u8::from_str_radix(b, 16).ok())
        .collect();
    let addresses = words.map(|w| {
        let (address, prefix) = w.split_once('/')?;
        Some((address.parse().ok()?, prefix.parse().ok()?))
    });
    Some(Link {
        name,
        mac: bytes?.try_into().ok()?,
        addresses: addresses.collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(ha_cf: &str, haresources: &str) -> Plan {
        let site = Site::read(ha_cf, haresources);
        Plan::new("x", Path::new("/x"), Path::new("/bin/hb_lab"), Path::new("/lib"), &site)
    }

    fn addresses(plan: &Plan, node: usize, link: usize) -> Vec<String> {
        let all = &plan.nodes[node].links[link].addresses;
        all.iter()
            .filter(|a| a.0.is_ipv4())
            .map(|(a, p)| format!("{a}/{p}"))
            .collect()
    }

    #[test]
    fn the_plain_lab() {
        let plan = plan("bcast eth0\nnode a b\n", "a 10.77.0.100 hello\n");
        assert_eq!(plan.nodes.len(), 3);
        assert_eq!(addresses(&plan, 0, 0), ["10.77.0.1/24"]);
        assert_eq!(addresses(&plan, 1, 0), ["10.77.0.2/24"]);
        assert_eq!(addresses(&plan, 2, 0), ["10.77.0.200/24"]);
        assert_eq!(plan.owner_of(plan.nodes[1].links[0].mac), Some("b"));
    }

    #[test]
    fn a_site_gets_addresses_that_fit_its_own() {
        let plan = plan(
            "ucast eth1 192.168.5.9\nucast eth1 192.168.5.8\nping 192.168.31.251\nserial /dev/ttyS0\nnode a\nnode b\n",
            "a 192.168.0.1/19/eth0 x 172.16.70.11 192.168.0.3/19/eth0\n",
        );
        assert!(plan.serial);
        assert_eq!(
            plan.nodes[0].links.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(),
            ["eth0", "eth1"]
        );
        assert_eq!(
            addresses(&plan, 0, 0),
            ["10.77.0.1/24", "192.168.0.2/19", "172.16.70.1/24"]
        );
        assert_eq!(
            addresses(&plan, 1, 0),
            ["10.77.0.2/24", "192.168.0.4/19", "172.16.70.2/24"]
        );
        assert_eq!(
            addresses(&plan, 2, 0),
            [
                "10.77.0.200/24",
                "192.168.0.5/19",
                "172.16.70.3/24",
                "192.168.31.251/32"
            ]
        );
        assert_eq!(addresses(&plan, 0, 1), ["10.77.1.1/24", "192.168.5.9/24"]);
        assert_eq!(addresses(&plan, 1, 1), ["10.77.1.2/24", "192.168.5.8/24"]);
    }

    #[test]
    fn ping_nodes_are_hosts_of_their_own_in_a_network_of_the_lab() {
        let mut site = Site::read("bcast eth0 eth1\nping 10.77.0.250 10.77.0.251\nnode a b\n", "");
        site.hosts = ["10.77.0.250", "fd77::250", "192.0.2.1"]
            .map(|a| a.parse().unwrap())
            .to_vec();
        let plan = Plan::new("x", Path::new("/x"), Path::new("/bin/hb_lab"), Path::new("/lib"), &site);
        assert_eq!(plan.cluster().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(addresses(&plan, 2, 0), ["10.77.0.200/24", "10.77.0.251/32"]);
        let host = |i: usize| (plan.nodes[i].name.as_str(), &plan.nodes[i].links[0].addresses[..]);
        assert_eq!(host(3), ("10.77.0.250", &[("10.77.0.250".parse().unwrap(), 24)][..]));
        assert_eq!(host(4), ("fd77::250", &[("fd77::250".parse().unwrap(), 64)][..]));
        assert_eq!(host(5), ("192.0.2.1", &[][..]), "in no network");
        assert_eq!(Plan::parse(Path::new("/x"), &plan.to_text()), Ok(plan));
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let mut plan = plan("bcast eth0 eth1\nserial x\nnode a b c\n", "a 1.2.3.4/8\n");
        assert!(plan.set_classic("b", Path::new("/packages")));
        assert!(!plan.set_classic("client", Path::new("/packages")));
        assert_eq!(Plan::parse(Path::new("/x"), &plan.to_text()), Ok(plan));
        for bad in ["x", "link eth0 02", "node a\nlink eth0 zz", "what is it"] {
            assert!(Plan::parse(Path::new("/x"), bad).is_err(), "{bad}");
        }
    }
}
