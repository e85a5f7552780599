//! S4.4: a device from its metadata to its second owner, under the resource scripts, as the articles walk it by hand.

use crate::lab::{Lab, file_system};
use std::time::{Duration, Instant};

#[test]
fn s4_04_a_device_from_create_md_to_a_switch_of_roles() {
    let groups = format!("node1 10.77.0.100 drbddisk::r0 {}", file_system());
    let Some(mut lab) = Lab::cluster("s4-04", "bcast eth0", &groups, &[]) else {
        return;
    };
    let script = "/etc/ha.d/resource.d/drbddisk";

    // Nothing is loaded or made yet.
    assert_eq!(lab.good(1, "rmmod drbd && drbdctl overview").trim(), "drbd not loaded");
    lab.good(1, &format!("{script} r0 stop && insmod /lib/modules/drbd.ko"));
    let unknown = lab.run(1, &format!("{script} nosuch start"));
    assert!(
        unknown.code == 1 && unknown.text.contains("'nosuch' not defined"),
        "{unknown:?}"
    );
    assert!(
        !unknown.text.contains("attempt"),
        "there is nothing to wait for: {unknown:?}"
    );

    // New disks: no side has data, so neither is promoted, and it is said why at once.
    for n in [1, 2] {
        lab.good(n, "drbdadm create-md --force r0 && drbdadm up r0");
    }
    lab.until(1, "the nodes are connected", "drbdctl cstate r0 | grep -qx Connected");
    assert_eq!(
        lab.good(1, "drbdctl role r0 && drbdctl dstate r0"),
        "Secondary/Secondary\nInconsistent/Inconsistent\n"
    );
    let refused = lab.run(1, &format!("{script} r0 start"));
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.text.contains("ERROR: resource r0: the data are Inconsistent"),
        "{refused:?}"
    );
    assert!(!refused.text.contains("attempt"), "{refused:?}");

    // The administrator says whose disk it is; the copy is followed to its end.
    lab.good(1, "drbdadm primary --force r0");
    let waited = lab.good(1, "drbdctl wait r0");
    assert!(
        waited.contains("SyncSource [") && waited.contains('%'),
        "a bar: {waited:?}"
    );
    assert_eq!(lab.good(1, "drbdctl dstate r0"), "UpToDate/UpToDate\n");
    lab.good(1, "mkfs.ext4 -q /dev/drbd0 && drbdctl secondary r0");

    // From here on the cluster has it.
    lab.start_heartbeat();
    lab.until_serving(1);
    lab.good(1, "echo one >/mnt/one && sync");
    let overview = lab.good(1, "drbdctl overview");
    let want = " 0:r0/0  Connected Primary/Secondary UpToDate/UpToDate /mnt ext4 ";
    assert!(overview.starts_with(want), "{overview:?}");
    assert_eq!(lab.run(1, &format!("{script} r0 status")).text, "running (Primary)\n");
    let stopped = lab.run(2, &format!("{script} r0 status"));
    assert_eq!((stopped.code, stopped.text.as_str()), (3, "stopped (Secondary)\n"));
    let json = lab.good(2, "drbdctl status r0 --json");
    assert!(
        json.contains(r#""role":"Secondary","peer_role":"Primary","disk":"UpToDate""#),
        "{json}"
    );

    // A live peer that is primary: tried for some seconds, then given up, with the reason.
    let began = Instant::now();
    let held = lab.run(2, &format!("{script} r0 start"));
    assert_eq!(held.code, 1, "{held:?}");
    assert_eq!(held.text.matches("; attempt ").count(), 5, "{held:?}");
    assert!(
        held.text
            .contains("cannot become primary after 6 attempt(s): Multiple primaries not allowed"),
        "{held:?}"
    );
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
    // A stop while it is mounted does not lie.
    let mounted = lab.run(1, &format!("{script} r0 stop"));
    assert_eq!(mounted.code, 1, "{mounted:?}");
    assert!(
        mounted
            .text
            .contains("after 3 attempt(s): Device is held open by someone: mounted on /mnt"),
        "{mounted:?}"
    );

    // The roles change, the data are there.
    lab.good(1, "hb_standby");
    lab.until_serving(2);
    assert_eq!(
        lab.good(2, "cat /mnt/one && drbdctl role r0"),
        "one\nPrimary/Secondary\n"
    );
    assert_eq!(
        lab.good(1, "drbdctl role r0 && ip -4 addr | grep -c 10.77.0.100 || true"),
        "Secondary/Primary\n0\n"
    );

    // A node whose data are old does not take over: it says so, and the service stays where it is.
    lab.good(1, "drbdadm disconnect r0 && drbdadm outdate r0");
    let old = lab.run(1, &format!("{script} r0 start"));
    assert_eq!(old.code, 1, "{old:?}");
    assert!(
        old.text
            .contains("the data are Outdated: the peer has newer ones: will not take over"),
        "{old:?}"
    );
    lab.good(1, "drbdadm connect r0");
    lab.until(1, "it has caught up", "drbdctl dstate r0 | grep -qx UpToDate/UpToDate");

    // Not up when it is wanted: brought up, connected, then promoted.
    lab.good(2, "heartbeat -k");
    lab.until_serving(1);
    lab.good(1, "heartbeat -k");
    lab.good(1, "drbdadm down r0");
    let up = lab.good(1, &format!("{script} r0 start && drbdctl cstate r0"));
    assert!(up.contains("INFO: resource r0: is not up; bringing it up"), "{up}");
    assert!(up.ends_with("primary\nConnected\n"), "{up}");
    // For the table in ha.d/README.
    for verb in ["stop", "start"] {
        let order = format!(
            "b=$(cut -d' ' -f1 /proc/uptime); {script} r0 {verb} >/dev/null && echo $b $(cut -d' ' -f1 /proc/uptime)"
        );
        let took = lab.good(1, &order);
        println!("drbddisk r0 {verb}: from and to second {}", took.trim());
    }
}
