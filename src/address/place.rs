//! Where an address belongs: interface, prefix and broadcast address, out of the machine's interfaces and routes. Pure.

use super::spec::{NAME_MAX, Spec};
use crate::wire::route::{Address, Link, MAIN_TABLE, Route};
use std::cmp::Reverse;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// All that was left away, worked out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub link: Link,
    pub prefix: u8,
    pub broadcast: Option<Ipv4Addr>,
}

/// Why there is no place for an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoPlace {
    UnknownInterface(String),
    NoRoute(IpAddr),
    NoRouteOn { ip: IpAddr, interface: String },
}

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownInterface(name) => write!(f, "{name}: unknown interface"),
            Self::NoRoute(ip) => write!(f, "{ip}: no route fits it; write {ip}/MASK/INTERFACE in haresources"),
            Self::NoRouteOn { ip, interface } => {
                write!(
                    f,
                    "{ip}: no route of {interface} fits it; write {ip}/MASK/{interface} in haresources"
                )
            }
        }
    }
}

/// Whether both are in one network of `prefix` bits.
pub fn same_network(a: IpAddr, b: IpAddr, prefix: u8) -> bool {
    let prefix = u32::from(prefix);
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros() >= prefix.min(32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros() >= prefix.min(128),
        _ => false,
    }
}

/// The route that decides, as heartbeat 3.0.6 takes it: the longest prefix of the main table. Better are routes whose
/// cable is in and networks we are in. One behind a router (the default route above all) counts only when the mask was
/// given: its own mask says nothing about an address of ours.
fn best_route<'a>(spec: &Spec, index: Option<u32>, routes: &'a [Route]) -> Option<&'a Route> {
    routes
        .iter()
        .filter(|r| r.table == MAIN_TABLE && r.unicast && same_network(r.destination, spec.ip, r.prefix))
        .filter(|r| r.index.is_some() && (index.is_none() || r.index == index))
        .filter(|r| spec.prefix.is_some() || !r.gateway && r.prefix > 0)
        .min_by_key(|r| (r.gateway, r.link_down, Reverse(r.prefix), r.metric))
}

pub fn find_place(spec: &Spec, links: &[Link], routes: &[Route]) -> Result<Place, NoPlace> {
    let given = match &spec.interface {
        Some(name) => Some(
            links
                .iter()
                .find(|l| l.name == *name)
                .ok_or_else(|| NoPlace::UnknownInterface(name.clone()))?,
        ),
        None => None,
    };
    let route = best_route(spec, given.map(|l| l.index), routes);
    let routed = || links.iter().find(|l| route.is_some_and(|r| r.index == Some(l.index)));
    let link = given.or_else(routed).ok_or(NoPlace::NoRoute(spec.ip))?;
    let prefix = spec
        .prefix
        .or_else(|| route.map(|r| r.prefix))
        .ok_or_else(|| NoPlace::NoRouteOn {
            ip: spec.ip,
            interface: link.name.clone(),
        })?;
    Ok(Place {
        link: link.clone(),
        prefix,
        broadcast: match spec.ip {
            // As written, also when it is not the one the mask gives.
            IpAddr::V4(_) if spec.broadcast.is_some() => spec.broadcast,
            // Networks of one or two addresses have none (RFC 3021), nor has the loopback interface.
            IpAddr::V4(ip) if prefix <= 30 && !link.is_loopback() => {
                Some(Ipv4Addr::from(u32::from(ip) | u32::MAX >> prefix))
            }
            _ => None,
        },
    })
}

/// The label under which `ifconfig` shows the address: the one asked for, or the first free `eth0:N` from 0. `Err` has the
/// label that would be longer than the kernel allows.
pub fn choose_label(interface: &str, wanted: Option<&str>, taken: &[Address]) -> Result<String, String> {
    let label = match wanted {
        Some(suffix) => format!("{interface}:{suffix}"),
        None => (0..)
            .map(|n: u32| format!("{interface}:{n}"))
            .find(|label| !taken.iter().any(|a| a.label.as_ref() == Some(label)))
            .expect("fewer than 2^32 addresses"),
    };
    if label.len() <= NAME_MAX { Ok(label) } else { Err(label) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.to_owned(),
            mac: None,
            flags: if name == "lo" { 9 } else { 1 },
        }
    }

    fn route(network: &str, index: u32) -> Route {
        let (ip, prefix) = network.split_once('/').expect("test data");
        Route {
            table: MAIN_TABLE,
            destination: ip.parse().expect("test data"),
            prefix: prefix.parse().expect("test data"),
            index: Some(index),
            gateway: false,
            metric: 0,
            link_down: false,
            unicast: true,
        }
    }

    fn via(network: &str, index: u32) -> Route {
        Route {
            gateway: true,
            ..route(network, index)
        }
    }

    #[test]
    fn places() {
        let links = [link(1, "lo"), link(2, "eth0"), link(3, "eth1"), link(4, "eth2")];
        let routes = [
            via("0.0.0.0/0", 2),
            route("10.66.0.0/24", 2),
            route("10.66.0.0/16", 3),
            via("10.99.0.0/16", 3),
            // Two interfaces in one network: the better metric, and the one whose cable is in.
            Route {
                metric: 100,
                ..route("172.16.0.0/24", 2)
            },
            Route {
                metric: 50,
                ..route("172.16.0.0/24", 3)
            },
            Route {
                link_down: true,
                ..route("172.17.0.0/24", 2)
            },
            Route {
                metric: 50,
                ..route("172.17.0.0/16", 3)
            },
            Route {
                unicast: false,
                ..route("172.18.0.0/24", 2)
            },
            Route {
                table: 255,
                ..route("172.19.0.0/24", 2)
            },
            Route {
                index: None,
                ..route("172.20.0.0/24", 2)
            },
            via("::/0", 2),
            route("2001:db8::/64", 4),
        ];
        #[rustfmt::skip]
        let table = [
            ("10.66.0.240",                        Ok(("eth0", 24, "10.66.0.255"))),
            ("10.66.1.240",                        Ok(("eth1", 16, "10.66.255.255"))),
            ("10.66.0.240/28",                     Ok(("eth0", 28, "10.66.0.255"))),
            ("10.66.0.240/19/eth0/10.66.31.251",   Ok(("eth0", 19, "10.66.31.251"))),
            ("10.66.0.240/24/10.66.0.250",         Ok(("eth0", 24, "10.66.0.250"))),
            ("10.66.0.240//eth1",                  Ok(("eth1", 16, "10.66.255.255"))),
            ("10.66.0.240/31",                     Ok(("eth0", 31, ""))),
            ("10.66.0.240/30",                     Ok(("eth0", 30, "10.66.0.243"))),
            ("127.0.0.9/8/lo",                     Ok(("lo", 8, ""))),
            ("192.168.7.9/24/eth2",                Ok(("eth2", 24, "192.168.7.255"))),
            ("192.168.7.9/24",                     Ok(("eth0", 24, "192.168.7.255"))),
            ("10.99.0.9/24",                       Ok(("eth1", 24, "10.99.0.255"))),
            ("172.16.0.9",                         Ok(("eth1", 24, "172.16.0.255"))),
            ("172.17.0.9",                         Ok(("eth1", 16, "172.17.255.255"))),
            ("2001:db8::9",                        Ok(("eth2", 64, ""))),
            ("2001:db8::9/128/eth0",               Ok(("eth0", 128, ""))),
            ("192.168.7.9",      Err("192.168.7.9: no route fits it; write 192.168.7.9/MASK/INTERFACE in haresources")),
            ("10.99.0.9",        Err("10.99.0.9: no route fits it; write 10.99.0.9/MASK/INTERFACE in haresources")),
            ("172.18.0.9",       Err("172.18.0.9: no route fits it; write 172.18.0.9/MASK/INTERFACE in haresources")),
            ("172.19.0.9",       Err("172.19.0.9: no route fits it; write 172.19.0.9/MASK/INTERFACE in haresources")),
            ("172.20.0.9",       Err("172.20.0.9: no route fits it; write 172.20.0.9/MASK/INTERFACE in haresources")),
            ("fd00::9",          Err("fd00::9: no route fits it; write fd00::9/MASK/INTERFACE in haresources")),
            ("10.66.0.240/24/eth9",                Err("eth9: unknown interface")),
            ("10.66.0.240//eth2", Err("10.66.0.240: no route of eth2 fits it; write 10.66.0.240/MASK/eth2 in haresources")),
        ];
        for (text, expected) in table {
            let spec: Spec = text.parse().expect(text);
            let got = find_place(&spec, &links, &routes).map_err(|e| e.to_string()).map(|p| {
                let broadcast = p.broadcast.map(|b| b.to_string()).unwrap_or_default();
                (p.link.name, p.prefix, broadcast)
            });
            let expected = expected.map(|(i, p, b)| (i.to_owned(), p, b.to_owned()));
            assert_eq!(got, expected.map_err(str::to_owned), "{text}");
        }
        let behind_router: Spec = "10.99.0.9/24".parse().expect("test data");
        assert!(find_place(&behind_router, &links, &[]).is_err(), "no route at all");
    }

    #[test]
    fn labels() {
        let labelled = |label: &str| Address {
            index: 2,
            ip: Ipv4Addr::LOCALHOST.into(),
            peer: None,
            prefix: 24,
            broadcast: None,
            label: Some(label.to_owned()),
            flags: 0,
            scope: 0,
            valid: None,
            created: 0,
        };
        let taken = ["eth0", "eth0:0", "eth0:2", "eth1:1"].map(labelled);
        #[rustfmt::skip]
        let table = [
            ("eth0",            None,             Ok("eth0:1")),
            ("eth1",            None,             Ok("eth1:0")),
            ("eth0",            Some("web"),      Ok("eth0:web")),
            ("thirteen-char",   None,             Ok("thirteen-char:0")),
            ("fourteen-chars",  None,             Err("fourteen-chars:0")),
            ("eth0",            Some("elevenchars"), Err("eth0:elevenchars")),
        ];
        for (interface, wanted, expected) in table {
            let got = choose_label(interface, wanted, &taken);
            assert_eq!(
                got,
                expected.map(str::to_owned).map_err(str::to_owned),
                "{interface} {wanted:?}"
            );
        }
    }
}
