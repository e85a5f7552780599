//! What is counted: the names under which `cl_status` shows it, and what each means.

/// Name and meaning of every counter; one that has not counted yet is shown as 0. `bad_packets_CAUSE` is one count a
/// cause.
pub const COUNTED: &[(&str, &str)] = &[
    ("acquisitions", "Resource groups started on this node."),
    (
        "takeovers",
        "Resource groups started on this node that another node had before.",
    ),
    ("releases", "Resource groups stopped on this node."),
    (
        "failures",
        "Resource groups that could not be started, or did not work, on this node.",
    ),
    (
        "restarts",
        "Times a part of a resource group was restarted in place on this node.",
    ),
    (
        "addresses_lost",
        "Times a service address was taken from this machine by somebody else.",
    ),
    ("addresses_restored", "Times such an address was set again."),
    (
        "foreign_announcements",
        "Times another machine said that it has a service address of this node.",
    ),
    (
        "answered_takeovers",
        "Resource groups taken over although somebody still answered for their addresses.",
    ),
    ("deaths", "Nodes that were declared dead."),
    (
        "late_heartbeats",
        "Heartbeats of other nodes that came later than warntime.",
    ),
    ("stalls", "Times this node did nothing for half a deadtime or more."),
    ("gaps", "Times packets of another node were found missing."),
    ("lost_for_good", "Packets of other nodes that were asked for in vain."),
    (
        "retransmissions",
        "Packets of this node sent again because another node missed them.",
    ),
    ("retransmission_requests_sent", "Requests for packets that were missed."),
    (
        "bad_retransmission_requests",
        "Requests of other nodes for packets that make no sense.",
    ),
    ("duplicates", "Packets that came again; normal with several media."),
    ("stale_packets", "Packets that came too late to be of use."),
    (
        "own_name_used_by_another",
        "Packets of another machine that has the name of this node.",
    ),
    ("fencings_ok", "Nodes that were reset, or said to be down by a person."),
    ("fencings_failed", "Tries to reset a node that failed."),
    ("bad_packets_malformed", "Dropped packets, by cause."),
    ("bad_packets_unsigned", "Dropped packets, by cause."),
    ("bad_packets_unknown_key", "Dropped packets, by cause."),
    ("bad_packets_wrong_signature", "Dropped packets, by cause."),
    ("bad_packets_incomplete", "Dropped packets, by cause."),
    ("bad_packets_unknown_node", "Dropped packets, by cause."),
    ("bad_packets_replayed", "Dropped packets, by cause."),
];

/// Every counter with its number, in the order of the table; those that the table does not know come last.
pub fn all(counted: impl Iterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut all: Vec<(String, u64)> = COUNTED.iter().map(|(name, _)| ((*name).to_owned(), 0)).collect();
    for (name, n) in counted {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, number)) => *number += n,
            None => all.push((name, n)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_has_not_counted_is_nought_and_an_unknown_one_is_not_lost() {
        let all = all([("stalls".to_owned(), 2), ("surprises".to_owned(), 1)].into_iter());
        assert_eq!(all.len(), COUNTED.len() + 1);
        let of = |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, n)| *n);
        assert_eq!((of("stalls"), of("gaps"), of("surprises")), (Some(2), Some(0), Some(1)));
    }
}
