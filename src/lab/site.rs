//! What a site's own ha.cf and haresources ask of the lab: nodes, interfaces, addresses. Pure.
//!
//! This is not the parser of those files: it takes the few words it needs and leaves complaints to `heartbeat -t`.

use std::net::{IpAddr, Ipv4Addr};

/// An address of haresources.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    pub address: Ipv4Addr,
    pub prefix: Option<u8>,
    pub link: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Site {
    pub nodes: Vec<String>,
    /// Interfaces in the order they are named.
    pub links: Vec<String>,
    /// Addresses of `ucast` lines: the nodes' own.
    pub unicast: Vec<(String, Ipv4Addr)>,
    /// Ping nodes that the client answers for.
    pub ping: Vec<Ipv4Addr>,
    /// Ping nodes that are hosts of their own.
    pub hosts: Vec<IpAddr>,
    pub serial: bool,
    pub services: Vec<Service>,
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

impl Site {
    pub fn read(ha_cf: &str, haresources: &str) -> Self {
        let mut site = Self::default();
        for line in ha_cf.lines() {
            let words: Vec<&str> = line.split('#').next().unwrap_or("").split_ascii_whitespace().collect();
            match words[..] {
                ["node", ref names @ ..] => names.iter().for_each(|n| push_new(&mut site.nodes, (*n).to_owned())),
                ["bcast", ref links @ ..] => links.iter().for_each(|l| push_new(&mut site.links, (*l).to_owned())),
                ["mcast" | "mcast6", link, ..] => push_new(&mut site.links, link.to_owned()),
                ["ucast", link, address] => {
                    push_new(&mut site.links, link.to_owned());
                    if let Ok(address) = address.parse() {
                        push_new(&mut site.unicast, (link.to_owned(), address));
                    }
                }
                ["ping", ref hosts @ ..] | ["ping_group", _, ref hosts @ ..] => {
                    for host in hosts.iter().filter_map(|h| h.parse().ok()) {
                        push_new(&mut site.ping, host);
                    }
                }
                ["serial", ..] => site.serial = true,
                _ => {}
            }
        }
        let joined = haresources.replace("\\\n", " ");
        for line in joined.lines() {
            let words = line.split('#').next().unwrap_or("").split_ascii_whitespace();
            site.services.extend(words.skip(1).filter_map(service));
        }
        for service in &site.services {
            if let Some(link) = &service.link {
                push_new(&mut site.links, link.clone());
            }
        }
        site
    }
}

/// `192.168.8.240/19/eth0/192.168.31.255` or `IPaddr::192.168.8.240/…`.
fn service(word: &str) -> Option<Service> {
    let (script, argument) = word.rsplit_once("::").unwrap_or(("", word));
    if !["", "IPaddr", "IPaddr2"].contains(&script) {
        return None;
    }
    let mut parts = argument.split('/');
    let address = parts.next()?.parse().ok()?;
    let mut found = Service {
        address,
        prefix: None,
        link: None,
    };
    for part in parts {
        if let Ok(prefix @ 1..=32) = part.parse::<u8>() {
            found.prefix = Some(prefix);
        } else if let Ok(mask) = part.parse::<Ipv4Addr>() {
            // A mask stands where a length could; what comes later is the broadcast address.
            if found.prefix.is_none() && found.link.is_none() {
                found.prefix = u8::try_from(mask.to_bits().leading_ones()).ok();
            }
        } else if !part.is_empty() {
            found.link = part.split(':').next().map(str::to_owned);
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sites_files() {
        let site = Site::read(
            "keepalive 2\nbcast eth0 eth1 # both\nucast eth2 192.168.5.1\nucast eth2 192.168.5.2\nserial /dev/ttyS0\n\
             ping 192.168.31.251\nping_group gw 10.0.0.1 10.0.0.2\nnode hello world\nnode\n#node x\n",
            "hello 192.168.8.240/19/eth0/192.168.31.251 httpd \\\n  IPaddr::172.16.70.11\nworld Filesystem::/dev/x::/mnt\n",
        );
        assert_eq!(site.nodes, ["hello", "world"]);
        assert_eq!(site.links, ["eth0", "eth1", "eth2"]);
        assert_eq!(site.unicast.len(), 2);
        assert_eq!(site.ping.len(), 3);
        assert!(site.serial);
        assert_eq!(site.services.len(), 2);
    }

    #[test]
    fn addresses_of_haresources() {
        let it = |address: [u8; 4], prefix, link: Option<&str>| {
            Some(Service {
                address: address.into(),
                prefix,
                link: link.map(str::to_owned),
            })
        };
        let table = [
            ("10.0.0.1", it([10, 0, 0, 1], None, None)),
            ("10.0.0.1/24", it([10, 0, 0, 1], Some(24), None)),
            ("10.0.0.1/24/eth0:3", it([10, 0, 0, 1], Some(24), Some("eth0"))),
            ("10.0.0.1/24/eth1/10.0.0.255", it([10, 0, 0, 1], Some(24), Some("eth1"))),
            ("10.0.0.1/255.255.0.0", it([10, 0, 0, 1], Some(16), None)),
            ("IPaddr2::10.0.0.1/24/eth0", it([10, 0, 0, 1], Some(24), Some("eth0"))),
            ("Other::10.0.0.1", None),
            ("httpd", None),
            ("IPaddr::", None),
        ];
        for (word, wanted) in table {
            assert_eq!(service(word), wanted, "{word}");
        }
    }
}
