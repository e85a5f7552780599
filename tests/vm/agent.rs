//! The OCF agent on a real device: exit codes in each state, and the scores that it tells the cluster.

use crate::lab::Lab;

/// Notes what a cluster would be told; there is none here.
const CRM_MASTER: &str = "#!/bin/sh\necho \"$*\" >>/tmp/scores\n";

fn agent(lab: &mut Lab, n: usize, action: &str) -> i32 {
    let order = format!(
        "export OCF_RESKEY_drbd_resource=r0 OCF_RESKEY_CRM_meta_interval=10 OCF_RESKEY_CRM_meta_notify_type=post \
         OCF_RESKEY_CRM_meta_notify_operation=promote HA_SBIN_DIR=/root OCF_RESKEY_wfc_timeout=20; \
         /usr/lib/ocf/resource.d/heartbeat/drbd {action}"
    );
    lab.run(n, &order).code
}

fn last_score(lab: &mut Lab, n: usize) -> String {
    lab.good(n, "tail -n 1 /tmp/scores").trim().to_owned()
}

#[test]
fn the_agent_has_the_codes_and_scores_of_a_resource_with_two_roles() {
    let Some(mut lab) = Lab::with("agent", &[("/root/crm_master", 0o755, CRM_MASTER)]) else {
        return;
    };
    lab.new_r0();
    lab.good(1, "drbdadm down r0");
    lab.good(2, "drbdadm down r0");
    #[rustfmt::skip]
    let steps = [
        // node  action        code  last score told by that node
        (1,      "monitor",      7,  None),
        (1,      "promote",      7,  None),
        (1,      "demote",       7,  None),
        (2,      "start",        0,  None),
        (1,      "start",        0,  Some("-Q -l reboot -v 10000")),
        (1,      "start",        0,  Some("-Q -l reboot -v 10000")),
        (1,      "monitor",      0,  Some("-Q -l reboot -v 10000")),
        (1,      "promote",      0,  None),
        (1,      "promote",      0,  None),
        (1,      "monitor",      8,  Some("-Q -l reboot -v 10000")),
        (2,      "notify",       0,  Some("-Q -l reboot -v 10000")),
        (1,      "demote",       0,  None),
        (1,      "demote",       0,  None),
        (1,      "validate-all", 0,  None),
        (1,      "meta-data",    0,  None),
        (1,      "rubbish",      3,  None),
        (1,      "stop",         0,  Some("-l reboot -D")),
        (1,      "stop",         0,  Some("-l reboot -D")),
        (1,      "monitor",      7,  Some("-l reboot -D")),
        (2,      "monitor",      0,  Some("-Q -l reboot -v 1000")),
    ];
    for (i, (n, action, code, score)) in steps.into_iter().enumerate() {
        assert_eq!(
            agent(&mut lab, n, action),
            code,
            "step {i}: {action} on node{n}\n{}",
            lab.state()
        );
        if let Some(score) = score {
            assert_eq!(last_score(&mut lab, n), score, "step {i}: {action} on node{n}");
        }
    }
    // Old data are not promoted, and have no score.
    lab.good(2, "drbdadm disconnect r0; drbdadm outdate r0");
    assert_eq!(agent(&mut lab, 2, "promote"), 1);
    assert_eq!(agent(&mut lab, 2, "monitor"), 0);
    assert_eq!(last_score(&mut lab, 2), "-l reboot -D");
    // Without its name, and of a resource that is not in drbd.conf.
    let ocf = "/usr/lib/ocf/resource.d/heartbeat/drbd";
    assert_eq!(lab.run(1, &format!("{ocf} start")).code, 6);
    for (action, code) in [("start", 5), ("monitor", 7), ("stop", 0)] {
        assert_eq!(
            lab.run(1, &format!("OCF_RESKEY_drbd_resource=nosuch {ocf} {action}"))
                .code,
            code,
            "{action}"
        );
    }
}
