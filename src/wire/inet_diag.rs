//! The kernel's list of TCP connections, and the order to end one (sock_diag(7)).

use super::netlink::{ACK, DUMP, Malformed, Message, REQUEST, Request};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;
const BYTECODE: u16 = 1;
/// "The local end is …"
const LOCAL_IS: u8 = 7;
const TCP: u8 = 6;
const INET: u8 = 2;
const INET6: u8 = 10;

const ESTABLISHED: u32 = 1 << 1;
/// Everything with another end, but what only waits for late packets (TIME_WAIT): established, being set up, being closed.
const CONNECTED: u32 = ESTABLISHED | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;

/// What a connection is called in the kernel: ports, addresses, interface, and a number that is never used again.
const NAME: usize = 48;

/// Which connections are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Established,
    Connected,
}

/// An established connection or one that is being closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    family: u8,
    name: [u8; NAME],
}

/// The two lists in which connections of `ip` may be: one of a service that listens on `::` is in that of IPv6.
pub fn families(ip: IpAddr) -> &'static [u8] {
    match ip {
        IpAddr::V4(_) => &[INET, INET6],
        IpAddr::V6(_) => &[INET6],
    }
}

/// Lists the connections whose local end is `ip`; the kernel leaves out the others.
pub fn list(sequence: u32, family: u8, ip: IpAddr, state: State) -> Vec<u8> {
    let states = match state {
        State::Established => ESTABLISHED,
        State::Connected => CONNECTED,
    };
    let mut head = vec![family, TCP, 0, 0];
    head.extend(states.to_ne_bytes());
    head.extend([0; NAME]);
    let (kind, bits, address) = match ip {
        IpAddr::V4(ip) => (INET, 32, ip.octets().to_vec()),
        IpAddr::V6(ip) => (INET6, 128, ip.octets().to_vec()),
    };
    // One test of its own length; behind it is "yes", four bytes further "no". Port -1 is any.
    let length = 12 + address.len();
    let mut test = vec![LOCAL_IS, length as u8];
    test.extend((length as u16 + 4).to_ne_bytes());
    test.extend([kind, bits, 0, 0]);
    test.extend((-1i32).to_ne_bytes());
    test.extend(address);
    Request::new(BY_FAMILY, REQUEST | DUMP, sequence, &head)
        .attribute(BYTECODE, &test)
        .finish()
}

/// Ends a connection: the other end gets a reset, the program here an error.
pub fn destroy(sequence: u32, connection: &Connection) -> Vec<u8> {
    let mut head = vec![connection.family, TCP, 0, 0];
    head.extend(CONNECTED.to_ne_bytes());
    head.extend(connection.name);
    Request::new(DESTROY, REQUEST | ACK, sequence, &head).finish()
}

/// One connection of a list; `None` for another kind of message.
pub fn read(message: &Message<'_>) -> Result<Option<Connection>, Malformed> {
    if message.kind != BY_FAMILY {
        return Ok(None);
    }
    let [family, ..] = *message.body.first_chunk::<4>().ok_or(Malformed)?;
    let name: [u8; NAME] = *message.body.get(4..).and_then(|b| b.first_chunk()).ok_or(Malformed)?;
    let ip = |at: usize| -> Option<IpAddr> {
        let bytes: [u8; 16] = *name[at..].first_chunk()?;
        match family {
            INET => Some(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into()),
            INET6 => Some(Ipv6Addr::from(bytes).to_canonical()),
            _ => None,
        }
    };
    let port = |at: usize| u16::from_be_bytes([name[at], name[at + 1]]);
    let (Some(local), Some(remote)) = (ip(4), ip(20)) else {
        return Err(Malformed);
    };
    Ok(Some(Connection {
        local: SocketAddr::new(local, port(0)),
        remote: SocketAddr::new(remote, port(2)),
        family,
        name,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::netlink::messages;
    use proptest::prelude::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn a_question_byte_by_byte() {
        let bytes = list(3, INET, Ipv4Addr::new(10, 66, 0, 240).into(), State::Established);
        #[rustfmt::skip]
        let expected = [
            92, 0, 0, 0,  20, 0,  1, 3,  3, 0, 0, 0,  0, 0, 0, 0,
            2, 6, 0, 0,  2, 0, 0, 0,
        ];
        assert_eq!(bytes[..24], expected);
        assert_eq!(bytes[24..72], [0; NAME]);
        #[rustfmt::skip]
        let test = [
            20, 0,  1, 0,
            7, 16,  20, 0,  2, 32, 0, 0,  255, 255, 255, 255,  10, 66, 0, 240,
        ];
        assert_eq!(bytes[72..], test);
    }

    #[test]
    fn a_connection_is_read_and_named_as_it_was() {
        let mut body = vec![INET6, 1, 0, 0];
        body.extend(80u16.to_be_bytes());
        body.extend(40_000u16.to_be_bytes());
        body.extend(Ipv4Addr::new(10, 66, 0, 240).to_ipv6_mapped().octets());
        body.extend(Ipv4Addr::new(10, 66, 0, 7).to_ipv6_mapped().octets());
        body.extend([5, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        body.extend([0; 20]);
        let bytes = Request::new(BY_FAMILY, 0, 1, &body).finish();
        let message = messages(&bytes).unwrap()[0];
        let connection = read(&message).unwrap().expect("it is one");
        assert_eq!(connection.local, "10.66.0.240:80".parse().unwrap());
        assert_eq!(connection.remote, "10.66.0.7:40000".parse().unwrap());
        assert_eq!(destroy(9, &connection)[24..], body[4..52]);
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_a_panic(kind in 19u16..22, body: Vec<u8>) {
            let bytes = Request::new(kind, 0, 1, &body).finish();
            for message in messages(&bytes).unwrap() {
                let _ = read(&message);
            }
        }
    }
}
