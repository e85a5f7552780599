//! S4.5: both nodes primary while they are apart; found, named, and healed when the administrator says whose changes go.

use crate::guest::Cable;
use crate::lab::{Lab, file_system};

/// Pulls DRBD's cable, has the other node write, too, and plugs it again: until neither wants to hear of the other.
fn split(lab: &mut Lab, serving: usize, other: usize, mark: &str) {
    lab.cable(1, Cable::Crossover, false);
    lab.good(serving, &format!("echo {mark} >/mnt/kept-{mark} && sync"));
    for n in [1, 2] {
        lab.until(n, "it is alone", "drbdctl cstate r0 | grep -qx WFConnection");
    }
    let alone = lab.good(
        other,
        "mkdir -p /other && drbdctl primary r0 2>&1 && mount /dev/drbd0 /other",
    );
    assert!(
        alone.contains("WARNING: resource r0: primary, WFConnection: how the peer's data are is not known"),
        "{alone}"
    );
    lab.good(
        other,
        &format!("echo {mark} >/other/lost-{mark} && dd if=/dev/urandom of=/other/big bs=1M count=6 && sync"),
    );
    lab.cable(1, Cable::Crossover, true);
    // Whoever notices it first is StandAlone; the other one may go on looking for its peer.
    lab.until_either("the split is noticed", "drbdctl cstate r0 | grep -qx StandAlone");
    // The proof is in the data, not in the log.
    for n in [1, 2] {
        lab.good(n, "dmesg -c >/dev/null");
    }
}

#[test]
fn s4_05_a_split_brain_is_named_and_healed_by_one_command_and_nothing_is_lost_unasked() {
    let groups = format!("node1 10.77.0.100 drbddisk::r0 {}", file_system());
    let Some(mut lab) = Lab::cluster("s4-05", "bcast eth0", &groups, &[]) else {
        return;
    };
    lab.new_r0();
    lab.new_file_system();
    lab.start_heartbeat();
    lab.until_serving(1);
    lab.good(1, "drbdctl recover r0 | grep -q 'connected; nothing has to be done'");

    // Apart, but for another reason: nobody is offered to lose anything.
    lab.good(
        2,
        "drbdadm disconnect r0 && sed -i 's/of-the-lab/another/' /etc/drbd.d/r0.res && drbdadm connect r0",
    );
    lab.until(2, "the secret is refused", "dmesg | grep -q 'uthentication'");
    lab.until(
        2,
        "it is apart",
        "drbdctl cstate r0 | grep -qxE 'StandAlone|WFConnection'",
    );
    let wrong = lab.run(2, "drbdctl recover r0 --victim node2");
    assert!(
        wrong.code == 1 && wrong.text.contains("no split brain: nothing has to be thrown away"),
        "{wrong:?}"
    );
    lab.good(
        2,
        "sed -i 's/another/of-the-lab/' /etc/drbd.d/r0.res; drbdadm disconnect r0; true",
    );
    lab.good(1, "drbdadm connect r0; true");
    lab.good(2, "drbdadm connect r0");
    lab.until(
        1,
        "they are connected again",
        "drbdctl dstate r0 | grep -qx UpToDate/UpToDate",
    );

    split(&mut lab, 1, 2, "first");
    let before = [1, 2].map(|n| lab.good(n, "drbdadm get-gi r0"));
    let told = lab.run(1, "drbdctl recover r0");
    assert_eq!(told.code, 1, "{told:?}");
    for words in [
        "r0: split brain: both nodes have written",
        "mounted on /mnt (ext4",
        "mounted on /other (ext4",
        "last written",
        "changed alone",
        "drbdctl recover r0 --victim node1    loses ",
        "drbdctl recover r0 --victim node2    loses ",
    ] {
        assert!(told.text.contains(words), "{words}: {}", told.text);
    }
    let json = lab.run(2, "drbdctl recover r0 --json").text;
    assert!(json.contains(r#""situation":"split-brain""#), "{json}");
    // What is in use is left alone, also on the node that is named.
    let used = lab.run(1, "drbdctl recover r0 --victim node2");
    assert!(
        used.code == 1 && used.text.contains("node2: /dev/drbd0 is mounted on /other: stop there"),
        "{used:?}"
    );
    assert_eq!(
        [1, 2].map(|n| lab.good(n, "drbdadm get-gi r0")),
        before,
        "looking changes nothing"
    );
    lab.good(1, "test -f /mnt/kept-first");
    lab.good(2, "test -f /other/lost-first");

    // Killed again and again on its way, it can be repeated.
    for seconds in ["0.5", "1.5", "3"] {
        let cut = format!(
            "drbdctl recover r0 --victim node2 --unmount >/tmp/cut 2>&1 & sleep {seconds}; kill -9 $!; wait $!; true"
        );
        lab.good(1, &cut);
        lab.good(1, "test -f /mnt/kept-first && grep -q ro:Primary /proc/drbd");
    }
    let healed = lab.good(1, "drbdctl recover r0 --victim node2 --unmount");
    assert!(
        healed.contains("r0: Connected UpToDate") || healed.contains("nothing has to be done"),
        "{healed}"
    );
    assert_eq!(
        lab.good(1, "drbdctl dstate r0 && ls /mnt | grep first"),
        "UpToDate/UpToDate\nkept-first\n"
    );
    assert_eq!(
        lab.good(2, "drbdctl role r0 && grep -c drbd0 /proc/mounts || true"),
        "Secondary/Primary\n0\n"
    );

    // The other way round: the node that serves is the one to lose. It has to be moved away first.
    split(&mut lab, 1, 2, "second");
    let serving = lab.run(1, "drbdctl recover r0 --victim node1");
    assert!(
        serving.code == 1
            && serving
                .text
                .contains("node1: /dev/drbd0 is mounted on /mnt: stop there"),
        "{serving:?}"
    );
    lab.good(2, "umount /other");
    lab.good(1, "hb_standby");
    lab.until_serving(2);
    let healed = lab.good(1, "drbdctl recover r0 --victim node1");
    for words in [
        "node1: drbdadm connect --discard-my-data r0",
        "thrown away: what node1 had written alone",
    ] {
        assert!(healed.contains(words), "{words}: {healed}");
    }
    let noted =
        "grep -q 'rc.d/drbdctl: node node1: resource r0: .*thrown away: what node1 had written' /var/log/ha-log";
    for n in [1, 2] {
        lab.until(n, "it is noted", noted);
    }
    assert_eq!(
        lab.good(2, "drbdctl dstate r0 && ls /mnt | grep second"),
        "UpToDate/UpToDate\nlost-second\n"
    );
    // The survivor of both: node1 has the same.
    lab.good(2, "hb_standby");
    lab.until_serving(1);
    assert_eq!(
        lab.good(1, "ls /mnt | grep -E 'first|second'"),
        "kept-first\nlost-second\n"
    );
}
