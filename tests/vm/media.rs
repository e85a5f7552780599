//! What only a machine of its own can show: a serial cable between two of them, a line that loses packets, a watchdog that
//! resets.

use crate::guest::Cable;
use crate::lab::Lab;
use std::time::Instant;

#[test]
fn s4_06_a_serial_cable_holds_the_cluster_together_and_the_watchdog_ends_a_hung_node() {
    let lines = "bcast eth0\nbaud 19200\nserial /dev/ttyS1\nwatchdog /dev/watchdog";
    let Some(mut lab) = Lab::cluster("media", lines, "node1 10.77.0.100", &[]) else {
        return;
    };
    lab.start_heartbeat();
    let serves = "ip -4 addr | grep -q 10.77.0.100";
    lab.until(1, "node1 has the address", serves);
    let link = |state: &str, name: &str| format!("cl_status hblinkstatus node2 {name} | grep -qx {state}");
    lab.until(
        1,
        "both media work",
        &format!("{} && {}", link("up", "eth0"), link("up", "/dev/ttyS1")),
    );

    // A bad line: a third of the packets is lost, the others are late and out of order.
    lab.good(1, "tc qdisc add dev eth0 root netem loss 33% delay 60ms 50ms");
    // Then none at all: the serial line carries the beats alone.
    lab.until(
        1,
        "packets were lost",
        "tc -s qdisc show dev eth0 | grep -qE 'dropped [1-9]'",
    );
    lab.cable(2, Cable::Public, false);
    lab.until(1, "the link is noticed", &link("dead", "eth0"));
    for (n, other) in [(1, 2), (2, 1)] {
        lab.good(n, &format!("cl_status nodestatus node{other} | grep -qx active"));
    }
    lab.good(1, serves);
    assert_ne!(lab.run(2, serves).code, 0, "the address is on both");
    lab.good(1, "tc qdisc del dev eth0 root");
    lab.cable(2, Cable::Public, true);
    lab.until(1, "the link is back", &link("up", "eth0"));
    for n in [1, 2] {
        let log = lab.good(n, "cat /var/log/ha-log");
        assert!(!log.contains("is dead") || log.contains("eth0 dead"), "{log}");
        assert!(
            !log.contains("node node1: is dead") && !log.contains("node node2: is dead"),
            "{log}"
        );
        assert!(
            log.contains("watchdog /dev/watchdog: resets this machine after 7 s without a beat"),
            "{log}"
        );
    }

    // All of heartbeat stands still: nobody feeds the watchdog, the machine resets, the other one serves.
    let began = Instant::now();
    lab.good(
        1,
        "for p in /proc/[0-9]*; do case $(readlink $p/exe) in */heartbeat) kill -STOP ${p#/proc/} ;; esac; done",
    );
    lab.until_off(1);
    println!("reset {:.1} s after the last beat", began.elapsed().as_secs_f32());
    lab.until(2, "node2 has the address", serves);
}
