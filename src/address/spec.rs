//! The words of haresources for an address: `IP[/MASK[/INTERFACE[/BROADCAST]]]`, `IP/MASK/BROADCAST`, and for IPv6
//! `ADDRESS[/PREFIX[/INTERFACE]]`. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address as the administrator wrote it; what was left away is worked out by [`super::place`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    pub ip: IpAddr,
    pub prefix: Option<u8>,
    pub interface: Option<String>,
    pub broadcast: Option<Ipv4Addr>,
    /// What follows the colon of the label (`iflabel` of the OCF form); a number is chosen if it is left away.
    pub label: Option<String>,
}

/// Why a text is no address specification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BadSpec {
    Address(String),
    /// An address no interface can have: 0.0.0.0, 255.255.255.255, multicast.
    Unusable(IpAddr),
    Mask {
        ip: IpAddr,
        mask: String,
    },
    Interface {
        ip: IpAddr,
        interface: String,
    },
    Broadcast {
        ip: IpAddr,
        broadcast: String,
    },
    TooMany {
        ip: IpAddr,
    },
}

impl fmt::Display for BadSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(text) => write!(f, "\"{text}\" is not an IP address"),
            Self::Unusable(ip) => write!(f, "{ip}: not an address an interface can have"),
            Self::Mask { ip, mask } if ip.is_ipv4() => {
                write!(
                    f,
                    "{ip}: \"{mask}\" is not a mask: write 1 to 32 or four numbers such as 255.255.255.0"
                )
            }
            Self::Mask { ip, mask } => write!(f, "{ip}: \"{mask}\" is not a prefix length: write 1 to 128"),
            Self::Interface { ip, interface } => {
                write!(
                    f,
                    "{ip}: \"{interface}\" is not the name of an interface (1 to 15 characters)"
                )
            }
            Self::Broadcast { ip, broadcast } => write!(f, "{ip}: \"{broadcast}\" is not a broadcast address"),
            Self::TooMany { ip } if ip.is_ipv4() => write!(f, "{ip}: write at most IP/MASK/INTERFACE/BROADCAST"),
            Self::TooMany { ip } => write!(f, "{ip}: write at most ADDRESS/PREFIX/INTERFACE"),
        }
    }
}

/// The longest name of an interface or a label: IFNAMSIZ less the final zero.
pub const NAME_MAX: usize = 15;

impl Spec {
    /// Takes the parts as texts; an empty part counts as left away. The OCF form gets them one by one.
    pub fn from_parts(ip: &str, mask: &str, interface: &str, broadcast: &str) -> Result<Self, BadSpec> {
        let ip: IpAddr = ip.parse().map_err(|_| BadSpec::Address(ip.to_owned()))?;
        if ip.is_unspecified() || ip.is_multicast() || ip == Ipv4Addr::BROADCAST {
            return Err(BadSpec::Unusable(ip));
        }
        let given = |text: &str| !text.is_empty();
        let prefix = if given(mask) {
            Some(prefix(ip, mask).ok_or_else(|| BadSpec::Mask {
                ip,
                mask: mask.to_owned(),
            })?)
        } else {
            None
        };
        let bad_broadcast = || BadSpec::Broadcast {
            ip,
            broadcast: broadcast.to_owned(),
        };
        let broadcast = if given(broadcast) {
            let address: Ipv4Addr = broadcast.parse().map_err(|_| bad_broadcast())?;
            Some(address).filter(|_| ip.is_ipv4()).ok_or_else(bad_broadcast)?.into()
        } else {
            None
        };
        let interface = if given(interface) {
            Some(interface_name(interface).ok_or_else(|| BadSpec::Interface {
                ip,
                interface: interface.to_owned(),
            })?)
        } else {
            None
        };
        Ok(Self {
            ip,
            prefix,
            interface,
            broadcast,
            label: None,
        })
    }
}

/// `eth0`, also when it was written as `eth0:5`: which alias number is free is ours to see (as heartbeat 3.0.6).
fn interface_name(text: &str) -> Option<String> {
    let name = match text.split_once(':') {
        Some((name, alias)) if alias.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) => return None,
        None => text,
    };
    let fits = (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
        && !matches!(name, "." | "..");
    fits.then(|| name.to_owned())
}

fn prefix(ip: IpAddr, text: &str) -> Option<u8> {
    let most = if ip.is_ipv4() { 32 } else { 128 };
    if let Ok(mask) = text.parse::<Ipv4Addr>() {
        let bits = u32::from(mask);
        // All ones stand in front of all zeros.
        let ones = bits.leading_ones();
        return (ip.is_ipv4() && ones >= 1 && bits.count_ones() == ones).then_some(ones as u8);
    }
    // `parse` alone would take "+24".
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| digits && (1..=most).contains(n))
}

impl FromStr for Spec {
    type Err = BadSpec;
    fn from_str(text: &str) -> Result<Self, BadSpec> {
        let parts: Vec<&str> = text.split('/').collect();
        let starts_with_digit = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
        match parts.as_slice() {
            [ip] => Self::from_parts(ip, "", "", ""),
            [ip, mask] => Self::from_parts(ip, mask, "", ""),
            [ip, mask, broadcast] if starts_with_digit(broadcast) && ip.parse::<Ipv6Addr>().is_err() => {
                Self::from_parts(ip, mask, "", broadcast)
            }
            [ip, mask, interface] => Self::from_parts(ip, mask, interface, ""),
            [ip, mask, interface, broadcast] if ip.parse::<Ipv6Addr>().is_err() => {
                Self::from_parts(ip, mask, interface, broadcast)
            }
            [ip, ..] => Err(BadSpec::TooMany {
                ip: Self::from_parts(ip, "", "", "")?.ip,
            }),
            [] => Err(BadSpec::Address(String::new())),
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        let prefix = self.prefix.map(|p| p.to_string()).unwrap_or_default();
        match (&self.interface, self.broadcast) {
            (None, None) if prefix.is_empty() => Ok(()),
            (None, None) => write!(f, "/{prefix}"),
            (Some(interface), None) => write!(f, "/{prefix}/{interface}"),
            (None, Some(broadcast)) => write!(f, "/{prefix}/{broadcast}"),
            (Some(interface), Some(broadcast)) => write!(f, "/{prefix}/{interface}/{broadcast}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn specifications_of_haresources() {
        #[rustfmt::skip]
        let table = [
            // text                                       prefix     interface     broadcast
            ("10.66.0.240",                               Some((None,      "",     ""))),
            ("10.66.0.240/24",                            Some((Some(24),  "",     ""))),
            ("10.66.0.240/255.255.255.0",                 Some((Some(24),  "",     ""))),
            ("192.168.8.240/19/eth0/192.168.31.251",      Some((Some(19),  "eth0", "192.168.31.251"))),
            ("10.66.0.240/24/10.66.0.255",                Some((Some(24),  "",     "10.66.0.255"))),
            ("10.66.0.240/24/eth0:5",                     Some((Some(24),  "eth0", ""))),
            ("10.66.0.240//eth0",                         Some((None,      "eth0", ""))),
            ("10.66.0.240/32",                            Some((Some(32),  "",     ""))),
            ("10.66.0.240/1",                             Some((Some(1),   "",     ""))),
            ("10.66.0.240/24/fifteen-letters",            Some((Some(24),  "fifteen-letters", ""))),
            ("2001:db8::9",                               Some((None,      "",     ""))),
            ("2001:db8::9/64",                            Some((Some(64),  "",     ""))),
            ("2001:db8::9/128/eth0",                      Some((Some(128), "eth0", ""))),
            ("2001:db8::9/64/0weird",                     Some((Some(64),  "0weird", ""))),
            ("",                                          None),
            ("10.66.0",                                   None),
            ("10.66.0.256",                               None),
            ("0.0.0.0",                                   None),
            ("224.0.0.1/24",                              None),
            ("255.255.255.255",                           None),
            ("ff02::1/64/eth0",                           None),
            ("10.66.0.240/0",                             None),
            ("10.66.0.240/33",                            None),
            ("10.66.0.240/+24",                           None),
            ("10.66.0.240/255.0.255.0",                   None),
            ("10.66.0.240/0.0.0.0",                       None),
            ("10.66.0.240/eth0",                          None),
            ("10.66.0.240/24/eth0:web",                   None),
            ("10.66.0.240/24/sixteen-letters-",           None),
            ("10.66.0.240/24/10.66.0.255/eth0",           None),
            ("10.66.0.240/24/eth0/nonsense",              None),
            ("10.66.0.240/24/eth0/10.66.0.255/more",      None),
            ("2001:db8::9/129",                           None),
            ("2001:db8::9/255.255.255.0",                 None),
            ("2001:db8::9/64/eth0/10.0.0.255",            None),
        ];
        for (text, expected) in table {
            let got = text.parse::<Spec>();
            let fields = got.as_ref().ok().map(|s| {
                let broadcast = s.broadcast.map(|b| b.to_string()).unwrap_or_default();
                (s.prefix, s.interface.clone().unwrap_or_default(), broadcast)
            });
            let expected = expected.map(|(p, i, b)| (p, i.to_owned(), b.to_owned()));
            assert_eq!(fields, expected, "{text}: {got:?}");
        }
    }

    #[test]
    fn complaints_name_the_object_and_what_to_write() {
        let table = [
            (
                "10.0.0.9/99",
                "10.0.0.9: \"99\" is not a mask: write 1 to 32 or four numbers such as 255.255.255.0",
            ),
            ("web", "\"web\" is not an IP address"),
            ("::1:2/64/eth0/x", "::1:2: write at most ADDRESS/PREFIX/INTERFACE"),
        ];
        for (text, sentence) in table {
            assert_eq!(text.parse::<Spec>().expect_err(text).to_string(), sentence);
        }
    }

    fn any_spec() -> impl Strategy<Value = Spec> {
        let interface = proptest::option::of("[a-z][a-z0-9.-]{0,14}");
        let four = (
            1u8..224,
            any::<[u8; 3]>(),
            proptest::option::of(1u8..=32),
            any::<Option<Ipv4Addr>>(),
        )
            .prop_map(|(a, [b, c, d], prefix, broadcast)| (IpAddr::from([a, b, c, d]), prefix, broadcast));
        let six = (any::<[u8; 15]>(), proptest::option::of(1u8..=128)).prop_map(|(rest, prefix)| {
            let mut bytes = [0x20; 16];
            bytes[1..].copy_from_slice(&rest);
            (IpAddr::from(bytes), prefix, None)
        });
        (prop_oneof![four, six], interface).prop_map(|((ip, prefix, broadcast), interface)| Spec {
            ip,
            prefix,
            interface,
            broadcast,
            label: None,
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(spec in any_spec()) {
            prop_assert_eq!(spec.to_string().parse(), Ok(spec));
        }

        #[test]
        fn any_text_is_taken_without_a_panic(text in "[0-9a-f:./eth]{0,40}|.*") {
            let _ = text.parse::<Spec>();
        }
    }
}
