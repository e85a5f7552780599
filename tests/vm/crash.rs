//! The promise of the whole: a machine loses its power while it serves; the other one has everything that was acknowledged.

use crate::lab::{Lab, file_system};
use std::collections::BTreeSet;

#[test]
fn every_acknowledged_record_survives_the_death_of_the_primary() {
    let groups = format!("node1 10.77.0.100 drbddisk::r0 {} recorder", file_system());
    let files = [
        ("/etc/ha.d/resource.d/recorder", 0o755, include_str!("guest/recorder")),
        ("/srv/cgi-bin/record", 0o755, include_str!("guest/record")),
        ("/root/writer", 0o755, include_str!("guest/writer")),
    ];
    let Some(mut lab) = Lab::cluster("crash", "bcast eth0", &groups, &files) else {
        return;
    };
    lab.new_r0();
    lab.good(
        1,
        "drbdadm primary r0 && mkfs.ext4 -q /dev/drbd0 && mount /dev/drbd0 /mnt && mkdir /mnt/records && umount /mnt && \
         drbdadm secondary r0",
    );
    lab.start_heartbeat();
    lab.until_serving(1);
    // The client is on the machine that lives on, and knows nothing but the address.
    lab.good(2, "setsid /root/writer </dev/null >/dev/null 2>&1 &");
    lab.until(2, "records are acknowledged", "[ $(wc -l </tmp/acknowledged) -ge 25 ]");
    lab.power_off(1);
    lab.until_serving(2);
    let before: Vec<u32> = numbers(&lab.good(2, "cat /tmp/acknowledged"));
    lab.until(
        2,
        "the service goes on",
        &format!("[ $(wc -l </tmp/acknowledged) -ge {} ]", before.len() + 10),
    );
    lab.good(2, "touch /tmp/enough");
    let acknowledged = numbers(&lab.good(2, "cat /tmp/acknowledged"));
    let stored: BTreeSet<u32> = numbers(&lab.good(2, "cat /mnt/records/all")).into_iter().collect();
    let lost: Vec<&u32> = acknowledged.iter().filter(|n| !stored.contains(n)).collect();
    assert!(
        acknowledged.len() >= 35 && lost.is_empty(),
        "of {} acknowledged, lost: {lost:?}",
        acknowledged.len()
    );
    let group = lab.good(2, "grep -E 'resource drbddisk.*exit code 0' /var/log/ha-log");
    println!("{} records, all there; {}", acknowledged.len(), group.trim());

    // The dead one comes back, catches up and stays the second.
    lab.switch_on(&[1]);
    lab.good(1, "drbdadm up r0 && drbdctl wait r0 --timeout 60");
    lab.heartbeat(1);
    lab.until(
        1,
        "it is a member again",
        "cl_status nodestatus node2 | grep -qx active",
    );
    assert_eq!(
        lab.good(2, "drbdctl role r0 && drbdctl dstate r0"),
        "Primary/Secondary\nUpToDate/UpToDate\n"
    );
}

fn numbers(text: &str) -> Vec<u32> {
    text.lines().filter_map(|l| l.trim().parse().ok()).collect()
}
