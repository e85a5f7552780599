//! The way out of a split brain, as the manual of DRBD has it, one step at a time: what to do next follows from what both
//! nodes say now, so that it does not matter where an earlier run was cut off.

use super::account::{Account, Situation};
use super::words::{Connection, Disk, Role};

/// What a node can be told to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Nothing but to say how it is.
    Report,
    Disconnect,
    Unmount,
    Secondary,
    ConnectDiscarding,
    Connect,
}

impl Order {
    pub const ALL: [Self; 6] = [
        Self::Report,
        Self::Disconnect,
        Self::Unmount,
        Self::Secondary,
        Self::ConnectDiscarding,
        Self::Connect,
    ];

    /// Its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Disconnect => "disconnect",
            Self::Unmount => "unmount",
            Self::Secondary => "secondary",
            Self::ConnectDiscarding => "connect-discarding",
            Self::Connect => "connect",
        }
    }

    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.as_str() == word)
    }

    /// The command that a person would type.
    pub fn command(self, resource: &str) -> String {
        match self {
            Self::Report => format!("drbdadm get-gi {resource}"),
            Self::Disconnect => format!("drbdadm disconnect {resource}"),
            Self::Unmount => "umount".to_owned(),
            Self::Secondary => format!("drbdadm secondary {resource}"),
            Self::ConnectDiscarding => format!("drbdadm connect --discard-my-data {resource}"),
            Self::Connect => format!("drbdadm connect {resource}"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Its changes since the split are thrown away.
    Victim,
    Survivor,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    Do(Side, Order),
    /// For the nodes to find each other, or for the copy to end.
    Wait,
    Done,
    Refuse(String),
}

/// How often the survivor is told to connect: it may be on its way to StandAlone when it is told first.
const CONNECTS: u32 = 3;

#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// The administrator allowed it.
    pub may_unmount: bool,
    /// The victim has agreed to lose its changes in this run.
    discarding: bool,
    connects: u32,
}

impl Recovery {
    pub fn new(may_unmount: bool) -> Self {
        Self {
            may_unmount,
            ..Self::default()
        }
    }

    pub fn next(&mut self, victim: &Account, survivor: &Account) -> Next {
        let (v, s) = (victim.connection(), survivor.connection());
        if v.is_up() && s.is_up() {
            let settled = [victim, survivor]
                .iter()
                .all(|a| a.sync().is_none() && a.disk() == Disk::UpToDate);
            return if settled { Next::Done } else { Next::Wait };
        }
        if self.discarding {
            return match (v, s) {
                (_, Connection::StandAlone) if self.connects < CONNECTS => {
                    self.connects += 1;
                    Next::Do(Side::Survivor, Order::Connect)
                }
                (Connection::StandAlone, _) | (_, Connection::StandAlone) => {
                    let node = if v == Connection::StandAlone {
                        &victim.node
                    } else {
                        &survivor.node
                    };
                    Next::Refuse(format!(
                        "{node} has dropped the connection again; its kernel log says why (dmesg)"
                    ))
                }
                _ => Next::Wait,
            };
        }
        match victim.situation(survivor) {
            Situation::SplitBrain => {}
            Situation::Same | Situation::Behind => return Next::Refuse(no_split_brain(victim, survivor)),
            Situation::Unrelated => {
                return Next::Refuse(
                    "the data of the two nodes have no common past: this is no split brain, look for a wrong disk"
                        .to_owned(),
                );
            }
            Situation::Unknown => {
                return Next::Refuse(
                    "the generations of the data are not known on both nodes; is it up on both?".to_owned(),
                );
            }
        }
        if survivor.disk() != Disk::UpToDate {
            return Next::Refuse(format!(
                "the data of {} are {}: they cannot be the ones to keep",
                survivor.node,
                survivor.disk()
            ));
        }
        if let Some(why) = victim.in_use() {
            let only_mounted = victim
                .volumes
                .iter()
                .all(|v| v.mounted.is_some() || v.held_by.is_empty());
            if self.may_unmount && only_mounted {
                return Next::Do(Side::Victim, Order::Unmount);
            }
            return Next::Refuse(format!(
                "{}: {why}: stop there what uses it, then run this again{}",
                victim.node,
                if only_mounted {
                    " (--unmount has it unmounted)"
                } else {
                    ""
                }
            ));
        }
        if v != Connection::StandAlone {
            return Next::Do(Side::Victim, Order::Disconnect);
        }
        if victim.role() == Role::Primary {
            return Next::Do(Side::Victim, Order::Secondary);
        }
        self.discarding = true;
        Next::Do(Side::Victim, Order::ConnectDiscarding)
    }
}

/// Why the nodes are apart although neither has lost anything.
pub fn no_split_brain(one: &Account, other: &Account) -> String {
    let alone = |a: &Account| a.connection() == Connection::StandAlone;
    let names: Vec<&str> = [one, other]
        .into_iter()
        .filter(|a| alone(a))
        .map(|a| a.node.as_str())
        .collect();
    if names.is_empty() {
        return "this is no split brain: nothing has to be thrown away; the nodes look for each other, see to the cable \
                between them"
            .to_owned();
    }
    format!(
        "this is no split brain: nothing has to be thrown away. {} is StandAlone after a drbdadm disconnect, a wrong \
         shared-secret or different options in the net section (dmesg says which); then: drbdadm connect {}",
        names.join(" and "),
        one.resource
    )
}

#[cfg(test)]
mod tests {
    use super::super::account::Mounted;
    use super::super::account::tests::volume;
    use super::*;

    const ONE: &str = "540CD07870CF82E5:78AB9E8AD5AA2C9D:0000000000000000:0000000000000000";
    const TWO: &str = "CA5A33C43B86D46D:78AB9E8AD5AA2C9C:0000000000000000:0000000000000000";
    const OLD: &str = "78AB9E8AD5AA2C9C:0000000000000000:0000000000000000:0000000000000000";

    fn account(node: &str, cs: &str, role: Role, gi: &str) -> Account {
        let cs = Connection::of(cs).unwrap();
        Account {
            node: node.parse().unwrap(),
            resource: "r0".parse().unwrap(),
            volumes: vec![volume(cs, role, gi)],
        }
    }

    #[test]
    fn each_step_follows_from_what_the_nodes_say() {
        use {Next::*, Order::*, Side::*};
        const PRI: Role = Role::Primary;
        const SEC: Role = Role::Secondary;
        #[rustfmt::skip]
        let table = [
            // victim                       survivor                       discarding  next
            (("StandAlone", PRI, ONE), ("StandAlone", PRI, TWO), false, Do(Victim, Secondary)),
            (("WFConnection", PRI, ONE), ("StandAlone", PRI, TWO), false, Do(Victim, Disconnect)),
            (("StandAlone", SEC, ONE), ("StandAlone", PRI, TWO), false, Do(Victim, ConnectDiscarding)),
            (("StandAlone", SEC, ONE), ("WFConnection", PRI, TWO), false, Do(Victim, ConnectDiscarding)),
            // Cut off after the connect: the flag is not seen from here, so it is set again.
            (("WFConnection", SEC, ONE), ("StandAlone", PRI, TWO), false, Do(Victim, Disconnect)),
            (("WFConnection", SEC, ONE), ("StandAlone", PRI, TWO), true,  Do(Survivor, Connect)),
            (("WFConnection", SEC, ONE), ("WFConnection", PRI, TWO), true,  Wait),
            (("SyncTarget", SEC, ONE), ("SyncSource", PRI, TWO), false, Wait),
            (("Connected", SEC, TWO), ("Connected", PRI, TWO), false, Done),
        ];
        for ((v, v_role, v_gi), (s, s_role, s_gi), discarding, want) in table {
            let mut recovery = Recovery {
                discarding,
                ..Recovery::default()
            };
            let got = recovery.next(&account("node1", v, v_role, v_gi), &account("node2", s, s_role, s_gi));
            assert_eq!(got, want, "{v} {v_role} {s} {s_role}");
        }
    }

    #[test]
    fn nothing_is_thrown_away_without_need() {
        let refusal = |v: &Account, s: &Account| match Recovery::default().next(v, s) {
            Next::Refuse(why) => why,
            other => panic!("{other:?}"),
        };
        let one = account("node1", "StandAlone", Role::Secondary, ONE);
        let two = account("node2", "StandAlone", Role::Primary, TWO);
        // A wrong secret: the same data on both.
        let same = account("node2", "StandAlone", Role::Primary, ONE);
        assert!(refusal(&one, &same).contains("no split brain"));
        let behind = account("node2", "WFConnection", Role::Secondary, OLD);
        assert!(refusal(&one, &behind).contains("no split brain"));
        let down = Account {
            volumes: Vec::new(),
            ..two.clone()
        };
        assert!(refusal(&one, &down).contains("is it up on both"));
        let other = account(
            "node2",
            "StandAlone",
            Role::Primary,
            "39C7D48E500BF85A:B030039E64D4A246:0000000000000000:0000000000000000",
        );
        assert!(refusal(&one, &other).contains("no common past"));
        let mut bad = two.clone();
        bad.volumes[0].row.disk = Disk::Outdated;
        assert!(refusal(&one, &bad).contains("cannot be the ones to keep"));
        let mut used = one.clone();
        used.volumes[0].mounted = Some(Mounted {
            place: "/mnt".into(),
            ..Mounted::default()
        });
        assert!(refusal(&used, &two).contains("node1: /dev/drbd0 is mounted on /mnt"));
        assert_eq!(
            Recovery::new(true).next(&used, &two),
            Next::Do(Side::Victim, Order::Unmount)
        );
        used.volumes[0].mounted = None;
        used.volumes[0].held_by = "mysqld (12)".into();
        assert!(matches!(Recovery::new(true).next(&used, &two), Next::Refuse(why) if why.contains("in use by mysqld")));
    }

    #[test]
    fn a_survivor_that_drops_the_connection_is_not_told_for_ever() {
        let mut recovery = Recovery {
            discarding: true,
            ..Recovery::default()
        };
        let one = account("node1", "WFConnection", Role::Secondary, ONE);
        let two = account("node2", "StandAlone", Role::Primary, TWO);
        for _ in 0..CONNECTS {
            assert_eq!(recovery.next(&one, &two), Next::Do(Side::Survivor, Order::Connect));
        }
        assert!(matches!(recovery.next(&one, &two), Next::Refuse(why) if why.contains("node2 has dropped")));
    }

    #[test]
    fn names_of_orders() {
        for order in Order::ALL {
            assert_eq!(Order::of(order.as_str()), Some(order));
        }
        assert_eq!(Order::of("primary --force"), None);
    }
}
