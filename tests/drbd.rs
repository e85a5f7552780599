//! What DRBD says, and what we read in it: outputs of real nodes, in tests/data/drbd.

use ha::drbd::generations::Generations;
use ha::drbd::promotion::{Verdict, after_primary, after_secondary};
use ha::drbd::row::Progress;
use ha::drbd::{Connection, Disk, Role, Row, events, proc_file, show};
use proptest::prelude::*;
use std::path::Path;

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/drbd").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn s4_04_states_of_real_nodes_are_read_alike_from_both_sources() {
    #[rustfmt::skip]
    let moments = [
        // directory                 out of sync  suspended  tenths of a percent in /proc/drbd
        ("connected-primary",        0,           false,     None),
        ("connected-secondary",      0,           false,     None),
        ("sync-source",              63_000,      false,     Some(63)),
        ("sync-target",              63_640,      false,     Some(63)),
        ("paused-source",            62_744,      false,     None),
        ("wfconnection-primary",     62_680,      false,     None),
        ("standalone-inconsistent",  62_680,      false,     None),
        ("split-brain-node2",        4228,        false,     None),
    ];
    for (moment, oos, suspended, done) in moments {
        let file = |name: &str| data(&format!("{moment}/{name}"));
        let of_proc = proc_file::rows(&file("proc"));
        let of_events = events::rows(&file("events2")).unwrap_or_else(|| panic!("{moment}: events2"));
        let ([from_proc], [from_events]) = (&of_proc[..], &of_events[..]) else {
            panic!("{moment}: {of_proc:?} {of_events:?}");
        };
        // What drbdadm prints is what both are read as.
        for row in [from_proc, from_events] {
            assert_eq!(row.minor, Some(0), "{moment}");
            assert_eq!(row.roles(), file("role").trim(), "{moment}");
            assert_eq!(row.connection.as_str(), file("cstate").trim(), "{moment}");
            assert_eq!(row.disks(), file("dstate").trim(), "{moment}");
            assert_eq!(row.suspended, suspended, "{moment}");
        }
        assert_eq!(from_events.resource, "r0", "{moment}");
        assert_eq!(from_proc.out_of_sync_kib, Some(oos), "{moment}");
        assert_eq!(from_proc.progress.as_ref().map(|p| p.done), done, "{moment}");
        assert_eq!(
            from_proc.protocol,
            (from_proc.connection != Connection::StandAlone).then_some('C'),
            "{moment}"
        );
        assert_eq!(
            from_proc.flags,
            if moment == "paused-source" { "r--u--" } else { "r-----" },
            "{moment}"
        );
        assert!(file("get-gi").parse::<Generations>().is_ok(), "{moment}");
    }
    let down = (data("down/proc"), data("down/events2"));
    assert_eq!(proc_file::rows(&down.0), []);
    assert_eq!(events::rows(&down.1), Some(Vec::new()));
    assert_eq!(proc_file::version(&down.0), Some("8.4.11"));
}

#[test]
fn progress_is_that_of_the_kernel() {
    let row = &proc_file::rows(&data("sync-target/proc"))[0];
    let want = Progress {
        done: 63,
        left_kib: Some(63_640),
        total_kib: Some(65_496),
        finish_seconds: Some(159),
        kib_a_second: Some(368),
    };
    assert_eq!(row.progress.as_ref(), Some(&want));
    assert_eq!(
        show::progress(&want),
        "[=>..................] 6.3%, 62.1 MiB to go, 0:02:39 at 368 KiB/s"
    );
    // Without the kernel's own number, paused or with DRBD 9, it follows from the size.
    let paused = &events::rows(&data("paused-source/events2")).unwrap()[0];
    assert_eq!(
        paused.progress.as_ref().map(|p| (p.done, p.left_kib)),
        Some((42, Some(62_744)))
    );
}

/// As the articles of 2013 show them: DRBD 8.4.3, numbers with commas, two devices, an empty minor, frozen I/O, a verify.
#[test]
fn older_and_rarer_lines_of_proc_drbd() {
    let text = "\
version: 8.4.3 (api:1/proto:86-101)
GIT-hash: 89a294209144b68adb3ee85a73221f964d3ee515 build by gardner@, 2013-05-27 04:30:21
 0: cs:SyncSource ro:Primary/Secondary ds:UpToDate/Inconsistent C r---n-
    ns:1897624 nr:0 dw:0 dr:1901216 al:0 bm:115 lo:0 pe:3 ua:3 ap:0 ep:1 wo:f oos:207988
\t[=================>..] sync'ed: 90.3% (207988/2103412)K
\tfinish: 0:00:07 speed: 26,792 (27,076) K/sec
 1: cs:Unconfigured
10: cs:VerifyS ro:Secondary/Secondary ds:UpToDate/UpToDate A r-----
    ns:0 nr:0 dw:0 dr:0 al:0 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:d oos:0
\t[====>...............] verified: 25.0% (1500/2000)M
11: cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C s-----
    ns:0
12: cs:Improving ro:Primary/Unknown ds:UpToDate/DUnknown C r-----
";
    let rows = proc_file::rows(text);
    let seen: Vec<(Option<u32>, &str)> = rows.iter().map(|r| (r.minor, r.connection.as_str())).collect();
    let want = [
        (Some(0), "SyncSource"),
        (Some(1), "Unconfigured"),
        (Some(10), "VerifyS"),
        (Some(11), "WFConnection"),
    ];
    assert_eq!(seen, want);
    let progress = |i: usize| rows[i].progress.clone().unwrap();
    assert_eq!(
        (progress(0).done, progress(0).kib_a_second, progress(0).finish_seconds),
        (903, Some(26_792), Some(7))
    );
    assert_eq!((progress(2).done, progress(2).left_kib), (250, Some(1500 * 1024)));
    assert!(rows[3].suspended && !rows[0].suspended);
    assert_eq!(rows[1].role, Role::Unconfigured);
}

/// DRBD 9 with two peers, in the words of drbd-utils 9: read, not recorded.
#[test]
fn resources_of_drbd_9_have_a_row_for_each_peer() {
    let text = "\
exists resource name:data role:Secondary suspended:no may_promote:no promotion_score:10102 write-ordering:flush
exists connection name:data peer-node-id:0 conn-name:alpha connection:Connected role:Primary congested:no ap-in-flight:0 rs-in-flight:0
exists connection name:data peer-node-id:2 conn-name:gamma connection:Connecting role:Unknown congested:no
exists device name:data volume:0 minor:1000 disk:Inconsistent client:no quorum:yes size:765868 read:0 written:0
exists path name:data peer-node-id:0 conn-name:alpha local:ipv4:10.0.0.2:7000 peer:ipv4:10.0.0.1:7000 established:yes
exists peer-device name:data peer-node-id:0 conn-name:alpha volume:0 replication:SyncTarget peer-disk:UpToDate peer-client:no resync-suspended:no received:1 sent:0 out-of-sync:382934 pending:0 unacked:0 done:50.00
exists peer-device name:data peer-node-id:2 conn-name:gamma volume:0 replication:Off peer-disk:DUnknown peer-client:no resync-suspended:no out-of-sync:0
exists -
";
    let rows = events::rows(text).unwrap();
    let seen: Vec<String> = rows
        .iter()
        .map(|r| format!("{} {} {} {}", r.peer, r.connection, r.roles(), r.disks()))
        .collect();
    let want = [
        "alpha SyncTarget Secondary/Primary Inconsistent/UpToDate",
        "gamma WFConnection Secondary/Unknown Inconsistent/DUnknown",
    ];
    assert_eq!(seen, want);
    assert_eq!(rows[0].progress.as_ref().map(|p| p.done), Some(500));
    let cut = text.trim_end().trim_end_matches("exists -");
    assert_eq!(events::rows(cut), None, "not told to its end");
}

#[test]
fn refusals_of_real_nodes() {
    let said = |name: &str| {
        let text = data(name);
        let (before, code) = text
            .trim_end()
            .rsplit_once("exit ")
            .expect("the exit code is the last line");
        (code.parse::<i32>().ok(), before.to_owned())
    };
    let mut row = Row::unconfigured("r0", 0, Some(0));
    (row.disk, row.connection) = (Disk::Inconsistent, Connection::StandAlone);
    let primary = |name: &str| {
        let (code, text) = said(name);
        after_primary(code, &text, Some(&row))
    };
    assert_eq!(
        primary("primary-two"),
        Verdict::Again("Multiple primaries not allowed by config".into())
    );
    assert_eq!(primary("primary-down"), Verdict::BringUp);
    assert!(matches!(primary("primary-unknown"), Verdict::GiveUp(why) if why.contains("'nosuch' not defined")));
    assert!(matches!(primary("primary-inconsistent"), Verdict::GiveUp(why) if why.contains("data are Inconsistent")));
    let secondary = |name: &str| {
        let (code, text) = said(name);
        after_secondary(code, &text)
    };
    assert_eq!(
        secondary("secondary-open"),
        Verdict::Again("Device is held open by someone".into())
    );
    assert_eq!(secondary("secondary-down"), Verdict::Done);
    assert_eq!(secondary("secondary-inconsistent"), Verdict::Done);
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in "(\\PC| |\n|\t){0,300}", words in prop::collection::vec("(exists|resource|device|connection|peer-device|name:r0|volume:0|minor:0|done:[0-9.]{0,9}|size:[0-9]{0,20}|out-of-sync:[0-9]{0,20}|replication:SyncSource|connection:Connected|cs:SyncSource|ro:Primary/Secondary|ds:UpToDate/UpToDate|sync'ed: [0-9.]{0,5}%|finish: [0-9:]{0,20}|\n| 0: )", 0..40)) {
        for text in [text, words.join(" "), words.concat() + "\nexists -\n"] {
            proc_file::rows(&text);
            events::rows(&text);
            let _ = text.parse::<Generations>();
        }
    }
}
