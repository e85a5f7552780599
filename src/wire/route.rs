//! Rtnetlink: the kernel's interfaces, addresses and routes (rtnetlink(7)).

use super::ethernet::Mac;
use super::netlink::{
    self, ACK, CREATE, DUMP, EXCLUSIVE, Malformed, Message, REPLACE, REQUEST, Request, attributes, u16_at, u32_at,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_BROADCAST: u16 = 4;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;

/// Flags of an interface.
const IFF_UP: u32 = 0x1;
const IFF_RUNNING: u32 = 0x40;
const IFF_LOOPBACK: u32 = 0x8;
const IFF_NOARP: u32 = 0x80;
/// Hardware type of Ethernet and all that looks like it: bonds, bridges, VLANs, veth.
const ARPHRD_ETHER: u16 = 1;

/// Flags of an address.
pub const SECONDARY: u32 = 0x01;
pub const NO_DUPLICATE_CHECK: u32 = 0x02;
/// Another machine of the segment has it: the kernel does not use the address.
pub const DUPLICATE: u32 = 0x08;
pub const NO_PREFIX_ROUTE: u32 = 0x200;

/// The table `ip route` shows.
pub const MAIN_TABLE: u32 = 254;
const UNICAST: u8 = 1;
/// The next hop is dead, or its cable is out.
const RTNH_DEAD_OR_LINK_DOWN: u32 = 0x1 | 0x10;
const FOREVER: u32 = u32::MAX;

/// Which half of the world a request is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    fn address(number: u8, bytes: &[u8]) -> Option<IpAddr> {
        match number {
            2 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
            10 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
            _ => None,
        }
    }
}

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// Only Ethernet-like interfaces have one here.
    pub mac: Option<Mac>,
    pub flags: u32,
}

impl Link {
    pub fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    /// It is up and its cable is in.
    pub fn is_running(&self) -> bool {
        self.is_up() && self.flags & IFF_RUNNING != 0
    }

    pub fn is_loopback(&self) -> bool {
        self.flags & IFF_LOOPBACK != 0
    }

    /// Whether its neighbours find it by ARP or neighbour discovery.
    pub fn has_neighbours(&self) -> bool {
        self.mac.is_some() && self.flags & (IFF_LOOPBACK | IFF_NOARP) == 0
    }
}

/// An address of an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Of the interface.
    pub index: u32,
    pub ip: IpAddr,
    /// The other end, on point-to-point interfaces.
    pub peer: Option<IpAddr>,
    pub prefix: u8,
    pub broadcast: Option<Ipv4Addr>,
    pub label: Option<String>,
    pub flags: u32,
    pub scope: u8,
    /// Seconds until the kernel drops it; none is for ever.
    pub valid: Option<u32>,
    /// When it was set, in hundredths of a second since the start of the machine; renewing does not change it.
    pub created: u32,
}

/// A route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    pub table: u32,
    pub destination: IpAddr,
    pub prefix: u8,
    /// Of the interface; none for routes to nowhere or over several.
    pub index: Option<u32>,
    pub gateway: bool,
    pub metric: u32,
    pub link_down: bool,
    /// An ordinary route, not "unreachable", "blackhole", "local" or the like.
    pub unicast: bool,
}

/// One message of an answer, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    Link(Link),
    /// An interface is gone.
    LinkGone(Link),
    Address(Address),
    /// An address is gone.
    AddressGone(Address),
    Route(Route),
    Done,
    /// The number of the error; 0 is the acknowledgement.
    Ended(i32),
    /// Something we did not ask for.
    Other,
}

/// Whether an address that is there already is an error or gets the new lifetime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    Refuse,
    Renew,
}

pub fn get_links(sequence: u32) -> Vec<u8> {
    Request::new(GET_LINK, REQUEST | DUMP, sequence, &[0; 16]).finish()
}

/// `ip link set … up`
pub fn set_up(sequence: u32, index: u32) -> Vec<u8> {
    let mut head = vec![0; 4];
    head.extend(index.to_ne_bytes());
    head.extend(IFF_UP.to_ne_bytes());
    // Which flags the request is about.
    head.extend(IFF_UP.to_ne_bytes());
    Request::new(NEW_LINK, REQUEST | ACK, sequence, &head).finish()
}

pub fn get_addresses(sequence: u32, family: Family) -> Vec<u8> {
    Request::new(
        GET_ADDRESS,
        REQUEST | DUMP,
        sequence,
        &[family.number(), 0, 0, 0, 0, 0, 0, 0],
    )
    .finish()
}

pub fn get_routes(sequence: u32, family: Family) -> Vec<u8> {
    let mut head = [0; 12];
    head[0] = family.number();
    Request::new(GET_ROUTE, REQUEST | DUMP, sequence, &head).finish()
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn about_address(kind: u16, flags: u16, sequence: u32, address: &Address) -> Request {
    let mut head = vec![Family::of(address.ip).number(), address.prefix, 0, address.scope];
    head.extend(address.index.to_ne_bytes());
    Request::new(kind, REQUEST | ACK | flags, sequence, &head).attribute(IFA_LOCAL, &octets(address.ip))
}

/// Sets an address, or gives one that is there another lifetime. Only what a program may choose is taken from `flags`.
pub fn new_address(sequence: u32, address: &Address, existing: Existing) -> Vec<u8> {
    let how = match existing {
        Existing::Refuse => CREATE | EXCLUSIVE,
        Existing::Renew => REPLACE,
    };
    let mut request = about_address(NEW_ADDRESS, how, sequence, address)
        .attribute(IFA_ADDRESS, &octets(address.peer.unwrap_or(address.ip)));
    if let Some(broadcast) = address.broadcast {
        request = request.attribute(IFA_BROADCAST, &broadcast.octets());
    }
    if let Some(label) = &address.label {
        request = request.attribute(IFA_LABEL, &[label.as_bytes(), &[0]].concat());
    }
    let flags = address.flags & (NO_DUPLICATE_CHECK | NO_PREFIX_ROUTE);
    // Preferred and valid seconds, then two times only the kernel writes.
    let seconds = address.valid.unwrap_or(FOREVER).to_ne_bytes();
    request
        .attribute(IFA_FLAGS, &flags.to_ne_bytes())
        .attribute(IFA_CACHEINFO, &[&seconds[..], &seconds, &[0; 8]].concat())
        .finish()
}

pub fn delete_address(sequence: u32, address: &Address) -> Vec<u8> {
    about_address(DELETE_ADDRESS, 0, sequence, address)
        .attribute(IFA_ADDRESS, &octets(address.peer.unwrap_or(address.ip)))
        .finish()
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

fn link(body: &[u8]) -> Result<Link, Malformed> {
    let hardware = u16_at(body, 2).ok_or(Malformed)?;
    let mut link = Link {
        index: u32_at(body, 4).ok_or(Malformed)?,
        name: String::new(),
        mac: None,
        flags: u32_at(body, 8).ok_or(Malformed)?,
    };
    for (kind, value) in attributes(body.get(16..).ok_or(Malformed)?)? {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_ADDRESS if hardware == ARPHRD_ETHER => link.mac = value.try_into().ok().map(Mac),
            _ => {}
        }
    }
    Ok(link)
}

fn address(body: &[u8]) -> Result<Option<Address>, Malformed> {
    let [family, prefix, flags, scope] = *body.first_chunk().ok_or(Malformed)?;
    let index = u32_at(body, 4).ok_or(Malformed)?;
    let (mut near, mut far, mut flags) = (None, None, u32::from(flags));
    let (mut broadcast, mut label, mut valid, mut created) = (None, None, None, 0);
    for (kind, value) in attributes(body.get(8..).ok_or(Malformed)?)? {
        match kind {
            IFA_LOCAL => near = Family::address(family, value),
            IFA_ADDRESS => far = Family::address(family, value),
            IFA_BROADCAST => broadcast = <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from),
            IFA_LABEL => label = Some(text(value)),
            IFA_FLAGS => flags = u32_at(value, 0).ok_or(Malformed)?,
            IFA_CACHEINFO => {
                valid = Some(u32_at(value, 4).ok_or(Malformed)?).filter(|s| *s != FOREVER);
                created = u32_at(value, 8).ok_or(Malformed)?;
            }
            _ => {}
        }
    }
    // IPv6 writes only IFA_ADDRESS when there is no peer.
    Ok(near.or(far).map(|ip| Address {
        index,
        ip,
        peer: far.filter(|far| *far != ip),
        prefix,
        broadcast,
        label,
        flags,
        scope,
        valid,
        created,
    }))
}

fn route(body: &[u8]) -> Result<Option<Route>, Malformed> {
    let [family, prefix, _, _, table, _, _, kind] = *body.first_chunk().ok_or(Malformed)?;
    let mut destination = match family {
        2 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        10 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return Ok(None),
    };
    let mut route = Route {
        table: u32::from(table),
        destination,
        prefix,
        index: None,
        gateway: false,
        metric: 0,
        link_down: u32_at(body, 8).ok_or(Malformed)? & RTNH_DEAD_OR_LINK_DOWN != 0,
        unicast: kind == UNICAST,
    };
    for (kind, value) in attributes(body.get(12..).ok_or(Malformed)?)? {
        match kind {
            RTA_DST => destination = Family::address(family, value).ok_or(Malformed)?,
            RTA_OIF => route.index = u32_at(value, 0),
            RTA_GATEWAY | RTA_VIA => route.gateway = true,
            RTA_PRIORITY => route.metric = u32_at(value, 0).ok_or(Malformed)?,
            RTA_TABLE => route.table = u32_at(value, 0).ok_or(Malformed)?,
            _ => {}
        }
    }
    route.destination = destination;
    Ok(Some(route))
}

/// Reads one message of an answer.
pub fn read(message: &Message<'_>) -> Result<Reply, Malformed> {
    Ok(match message.kind {
        NEW_LINK => Reply::Link(link(message.body)?),
        DELETE_LINK => Reply::LinkGone(link(message.body)?),
        NEW_ADDRESS => address(message.body)?.map_or(Reply::Other, Reply::Address),
        DELETE_ADDRESS => address(message.body)?.map_or(Reply::Other, Reply::AddressGone),
        NEW_ROUTE => route(message.body)?.map_or(Reply::Other, Reply::Route),
        netlink::DONE => Reply::Done,
        netlink::ERROR => {
            let negative = u32_at(message.body, 0).ok_or(Malformed)? as i32;
            Reply::Ended(negative.checked_neg().ok_or(Malformed)?)
        }
        _ => Reply::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::netlink::messages;
    use proptest::prelude::*;

    fn vip() -> Address {
        Address {
            index: 5,
            ip: Ipv4Addr::new(10, 66, 0, 240).into(),
            peer: None,
            prefix: 24,
            broadcast: Some(Ipv4Addr::new(10, 66, 0, 255)),
            label: Some("eth0:0".to_owned()),
            flags: 0,
            scope: 0,
            valid: Some(3),
            created: 0,
        }
    }

    fn replies(bytes: &[u8]) -> Vec<Reply> {
        messages(bytes)
            .expect("well formed")
            .iter()
            .map(|m| read(m).expect("readable"))
            .collect()
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn setting_an_address_byte_by_byte() {
        #[rustfmt::skip]
        let expected = [
            88, 0, 0, 0,  20, 0,  5, 6,  9, 0, 0, 0,  0, 0, 0, 0,
            2, 24, 0, 0,  5, 0, 0, 0,
            8, 0,  2, 0,  10, 66, 0, 240,
            8, 0,  1, 0,  10, 66, 0, 240,
            8, 0,  4, 0,  10, 66, 0, 255,
            11, 0, 3, 0,  b'e', b't', b'h', b'0', b':', b'0', 0, 0,
            8, 0,  8, 0,  0, 0, 0, 0,
            20, 0, 6, 0,  3, 0, 0, 0,  3, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
        ];
        assert_eq!(new_address(9, &vip(), Existing::Refuse), expected);
        // Renewal: NLM_F_REPLACE instead of NLM_F_CREATE | NLM_F_EXCL.
        assert_eq!(new_address(9, &vip(), Existing::Renew)[6..8], [5, 1]);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn requests_byte_by_byte() {
        #[rustfmt::skip]
        let table: [(Vec<u8>, &[u8]); 5] = [
            (get_links(1), &[32, 0, 0, 0,  18, 0,  1, 3,  1, 0, 0, 0,  0, 0, 0, 0,
                             0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0]),
            (set_up(2, 5), &[32, 0, 0, 0,  16, 0,  5, 0,  2, 0, 0, 0,  0, 0, 0, 0,
                             0, 0, 0, 0,  5, 0, 0, 0,  1, 0, 0, 0,  1, 0, 0, 0]),
            (get_addresses(3, Family::V6), &[24, 0, 0, 0,  22, 0,  1, 3,  3, 0, 0, 0,  0, 0, 0, 0,
                             10, 0, 0, 0,  0, 0, 0, 0]),
            (get_routes(4, Family::V4), &[28, 0, 0, 0,  26, 0,  1, 3,  4, 0, 0, 0,  0, 0, 0, 0,
                             2, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0]),
            (delete_address(5, &vip()), &[40, 0, 0, 0,  21, 0,  5, 0,  5, 0, 0, 0,  0, 0, 0, 0,
                             2, 24, 0, 0,  5, 0, 0, 0,
                             8, 0, 2, 0,  10, 66, 0, 240,  8, 0, 1, 0,  10, 66, 0, 240]),
        ];
        for (i, (bytes, expected)) in table.into_iter().enumerate() {
            assert_eq!(bytes, expected, "row {i}");
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_route_and_an_acknowledgement_byte_by_byte() {
        #[rustfmt::skip]
        let bytes = [
            // 10.66.0.0/24 dev 5 metric 100, then "default via 10.66.0.1 dev 5", then an acknowledgement and EEXIST.
            60, 0, 0, 0,  24, 0,  2, 0,  4, 0, 0, 0,  0, 0, 0, 0,
            2, 24, 0, 0,  254, 2, 253, 1,  0, 0, 0, 0,
            8, 0, 15, 0,  254, 0, 0, 0,
            8, 0,  1, 0,  10, 66, 0, 0,
            8, 0,  6, 0,  100, 0, 0, 0,
            8, 0,  4, 0,  5, 0, 0, 0,
            44, 0, 0, 0,  24, 0,  2, 0,  4, 0, 0, 0,  0, 0, 0, 0,
            2, 0, 0, 0,  254, 3, 0, 1,  16, 0, 0, 0,
            8, 0,  5, 0,  10, 66, 0, 1,
            8, 0,  4, 0,  5, 0, 0, 0,
            36, 0, 0, 0,  2, 0,  0, 1,  4, 0, 0, 0,  0, 0, 0, 0,
            0, 0, 0, 0,   0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
            36, 0, 0, 0,  2, 0,  0, 0,  4, 0, 0, 0,  0, 0, 0, 0,
            0xef, 0xff, 0xff, 0xff,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
        ];
        let connected = Route {
            table: MAIN_TABLE,
            destination: Ipv4Addr::new(10, 66, 0, 0).into(),
            prefix: 24,
            index: Some(5),
            gateway: false,
            metric: 100,
            link_down: false,
            unicast: true,
        };
        let default = Route {
            destination: Ipv4Addr::UNSPECIFIED.into(),
            prefix: 0,
            gateway: true,
            metric: 0,
            link_down: true,
            ..connected.clone()
        };
        assert_eq!(
            replies(&bytes),
            [
                Reply::Route(connected),
                Reply::Route(default),
                Reply::Ended(0),
                Reply::Ended(17)
            ]
        );
    }

    #[test]
    fn an_address_written_is_the_address_read() {
        let six = Address {
            ip: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9).into(),
            prefix: 64,
            broadcast: None,
            label: None,
            flags: NO_DUPLICATE_CHECK,
            valid: None,
            ..vip()
        };
        let tunnel = Address {
            peer: Some(Ipv4Addr::new(10, 66, 1, 1).into()),
            prefix: 32,
            ..vip()
        };
        for address in [vip(), six, tunnel] {
            let bytes = new_address(1, &address, Existing::Refuse);
            assert_eq!(replies(&bytes), [Reply::Address(address)]);
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_a_panic(kind in 0u16..32, body: Vec<u8>) {
            let _ = read(&Message { kind, flags: 0, sequence: 0, body: &body });
        }

        #[test]
        fn a_cut_answer_is_read_without_a_panic(keep in 0usize..88) {
            let bytes = new_address(1, &vip(), Existing::Refuse);
            if let Ok(all) = messages(&bytes[..keep]) {
                prop_assert!(all.is_empty());
            }
            let body = &bytes[16..keep.max(16)];
            let _ = read(&Message { kind: NEW_ADDRESS, flags: 0, sequence: 0, body });
        }
    }
}
