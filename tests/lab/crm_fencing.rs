//! Fencing by the crm, with devices that do take the power from a node: nothing of a node that is lost runs elsewhere
//! before its device says that it is off.
//!
//! A device is a script by the contract of cluster-glue or of fence-agents. It reaches the switch of the lab as a
//! management board is reached: not by the network of the cluster.

use crate::cluster::VIP;
use crate::crm::{Crm, THREE, stays, vip};
use ha::lab::Watcher;
use std::time::Duration;

/// A plugin by the contract of cluster-glue. While there is `fence-broken` its device does not answer.
const PLUGIN: &str = r#"#!/bin/sh
cd @STATE@ || exit 1
case $1 in
getconfignames) echo hostlist ;;
getinfo-xml)
	echo '<parameters><parameter name="hostlist" unique="1" required="1"><content type="string"/>'
	echo '<shortdesc lang="en">Nodes</shortdesc></parameter></parameters>' ;;
gethosts) for h in $hostlist; do echo $h; done ;;
status) ;;
reset | off)
	echo "$1 $2" >>fence-calls
	if [ -e fence-broken ]; then echo 'the device does not answer'; exit 1; fi
	@OFF@ "$2" ;;
*) exit 1 ;;
esac
"#;

/// An agent by the contract of fence-agents.
const AGENT: &str = r#"#!/bin/sh
cd @STATE@ || exit 1
while read -r line; do
	case $line in
	action=*) action=${line#*=} ;;
	port=*) port=${line#*=} ;;
	esac
done
case $action in
monitor | status) exit 0 ;;
reboot | off)
	echo "$action $port" >>fence-calls
	if [ -e fence-broken ]; then echo 'Unable to connect to fencing device' >&2; exit 1; fi
	@OFF@ "$port" ;;
*) exit 1 ;;
esac
"#;

const DEVICE: &str = "<primitive id='power' class='stonith' type='external/lab'><instance_attributes id='power-p'>\
     <nvpair id='power-h' name='hostlist' value='node1 node2 node3'/></instance_attributes></primitive>";
const AGENT_DEVICE: &str = "<primitive id='power' class='stonith' type='fence_lab'><instance_attributes id='power-p'>\
     <nvpair id='power-h' name='pcmk_host_list' value='node1 node2 node3'/></instance_attributes></primitive>";

/// Puts the scripts of the device on all nodes.
fn equip(crm: &Crm) {
    let plan = &crm.c.lab.plan;
    let base = plan.directory.parent().expect("labs have a base").display();
    let off = format!("HB_LAB_DIR={base} {} off -l {}", plan.program.display(), plan.name);
    for node in &crm.nodes {
        let files = crm.c.lab.files(node);
        std::fs::create_dir_all(files.root.join("stonith")).expect("a directory");
        for (name, text) in [("lab", PLUGIN), ("fence_lab", AGENT)] {
            let text = text
                .replace("@STATE@", &files.state().display().to_string())
                .replace("@OFF@", &off);
            crm.c
                .lab
                .script(node, &format!("stonith/{name}"), &text)
                .expect("a script");
        }
    }
}

/// Three nodes with a device for all of them, and an address on one of them.
pub fn with_device(test: &str, device: &str) -> Option<Crm> {
    let crm = Crm::make(test, &THREE)?;
    equip(&crm);
    for node in THREE {
        crm.c.start(node);
    }
    crm.wait_partition(&THREE, true);
    crm.create("node1", "resources", &[device, &vip()]);
    crm.c.wait("one node has the address", || crm.holders().len() == 1);
    crm.wait_idle("node1");
    Some(crm)
}

pub fn external(test: &str) -> Option<Crm> {
    with_device(test, DEVICE)
}

/// What the devices were asked to do, on whichever node.
pub fn fence_calls(crm: &Crm) -> Vec<String> {
    let of = |node: &&str| {
        let file = crm.c.lab.files(node).state().join("fence-calls");
        std::fs::read_to_string(file).unwrap_or_default()
    };
    let text: String = crm.nodes.iter().map(of).collect();
    text.lines().map(str::to_owned).collect()
}

pub fn is_off(crm: &Crm, node: &str) -> bool {
    let status = crm.c.lab.ask("status").expect("the lab answers");
    status.lines().any(|l| l == format!("node {node} off"))
}

fn break_devices(crm: &Crm, broken: bool) {
    for node in &crm.nodes {
        let file = crm.c.lab.files(node).state().join("fence-broken");
        match broken {
            true => std::fs::write(file, "").expect("written"),
            false => std::fs::remove_file(file).expect("removed"),
        }
    }
}

fn others(node: &str) -> Vec<&'static str> {
    THREE.iter().copied().filter(|n| *n != node).collect()
}

fn status(crm: &Crm, node: &str) -> String {
    crm.c.run(node, &["crm", "status"]).good("crm status")
}

/// The node freezes: it answers no heartbeat, and its kernel still has the address. While the device does not work it is
/// waited for; then it is asked again, and the node is off before the address is elsewhere.
fn only_after_success(test: &str, device: &str, call: &str) {
    let Some(crm) = with_device(test, device) else { return };
    let victim = crm.holders()[0];
    let left = others(victim);
    let watcher = crm.c.watch(VIP);
    crm.c.wait_owner(&watcher, victim, 0);
    let since = Watcher::now();
    break_devices(&crm, true);
    crm.c.lab.freeze(victim).expect("frozen");
    crm.wait_partition(&left, true);
    crm.c.wait("the device is asked", || !fence_calls(&crm).is_empty());
    crm.c.wait("it is asked again", || fence_calls(&crm).len() >= 3);
    assert_eq!(fence_calls(&crm)[0], format!("{call} {victim}"));
    let shown = status(&crm, left[0]);
    let unclean = |l: &str| l.starts_with(&format!("Node {victim} (")) && l.ends_with(": UNCLEAN (offline)");
    assert!(shown.lines().any(unclean), "{shown}");
    assert!(shown.contains(&format!("Started {victim} (UNCLEAN)")), "{shown}");
    stays("it is not taken over", Duration::from_secs(3), || {
        !is_off(&crm, victim) && left.iter().all(|n| !crm.has_vip(n))
    });
    assert_eq!(watcher.owners(), [victim]);
    break_devices(&crm, false);
    crm.c.wait("another node has the address", || {
        left.iter().filter(|n| crm.has_vip(n)).count() == 1
    });
    assert!(is_off(&crm, victim), "{:?}", fence_calls(&crm));
    watcher.settle();
    assert!(watcher.doubles(since).is_empty(), "{:?}", watcher.doubles(since));
    crm.wait_idle(left[0]);
    let shown = status(&crm, left[0]);
    assert!(
        shown.contains(&format!("OFFLINE: [ {victim} ]")) && !shown.contains("UNCLEAN"),
        "{shown}"
    );
    // It boots, and is one of them again: nobody fences it once more.
    let calls = fence_calls(&crm).len();
    crm.c.start(victim);
    crm.wait_partition(&THREE, true);
    crm.wait_idle("node1");
    assert_eq!(fence_calls(&crm).len(), calls, "{:?}", fence_calls(&crm));
    assert_eq!(crm.holders().len(), 1);
}

#[test]
fn a_lost_node_is_taken_over_only_after_a_plugin_of_cluster_glue_has_fenced_it() {
    only_after_success("crm-fence-glue", DEVICE, "reset");
}

#[test]
fn a_lost_node_is_taken_over_only_after_an_agent_of_fence_agents_has_fenced_it() {
    only_after_success("crm-fence-agent", AGENT_DEVICE, "reboot");
}

/// Whoever is DC afterwards has it fenced; what another node ran is left alone.
#[test]
fn the_dc_that_is_lost_is_fenced_by_the_next_one_and_one_that_stops_in_order_is_not() {
    let Some(crm) = external("crm-fence-dc") else { return };
    let dc = crm.dc("node1").expect("a DC");
    let left = others(&dc);
    crm.c.lab.cut_node(&dc).expect("cut");
    crm.wait_partition(&left, true);
    crm.c.wait("the DC is off", || is_off(&crm, &dc));
    crm.wait_idle(left[0]);
    crm.c.wait("one of the others has the address", || {
        crm.holders().len() == 1 && left.contains(&crm.holders()[0])
    });
    // Without quorum it was not entitled to fence anybody.
    assert_eq!(fence_calls(&crm), [format!("reset {dc}")]);
    crm.c.lab.heal().expect("healed");
    crm.c.start(&dc);
    crm.wait_partition(&THREE, true);
    crm.wait_idle("node1");
    let calls = fence_calls(&crm);
    let leaves = crm.holders()[0];
    crm.c.stop(leaves);
    let left = others(leaves);
    crm.wait_partition(&left, true);
    crm.wait_idle(left[0]);
    crm.c.wait("another one has the address", || {
        left.iter().filter(|n| crm.has_vip(n)).count() == 1
    });
    assert_eq!(fence_calls(&crm), calls);
}

/// No device works; a person has pulled the plug, and says so.
#[test]
fn a_person_who_has_switched_a_node_off_confirms_it() {
    let Some(crm) = external("crm-fence-person") else {
        return;
    };
    let victim = crm.holders()[0];
    let left = others(victim);
    break_devices(&crm, true);
    crm.c.lab.power_off(victim).expect("off");
    crm.wait_partition(&left, true);
    crm.c.wait("the device was tried", || !fence_calls(&crm).is_empty());
    assert!(left.iter().all(|n| !crm.has_vip(n)));
    crm.c
        .run(left[0], &["crm", "-F", "node", "clearstate", victim])
        .good("clearstate");
    crm.c.wait("another node has the address", || {
        left.iter().filter(|n| crm.has_vip(n)).count() == 1
    });
}

/// What cannot be stopped may still be running: only the power switch says that it is not.
#[test]
fn a_node_on_which_a_stop_fails_is_fenced_and_an_administrator_may_ask_for_it() {
    let Some(crm) = external("crm-fence-stop") else { return };
    for node in THREE {
        let flag = crm.c.lab.files(node).run().join("stuck").display().to_string();
        let script = format!(
            "#!/bin/sh\ncase $1 in\nstart) touch {flag} ;;\nstop) [ ! -e {flag} ] || exit 1 ;;\n\
             status) [ -e {flag} ] || exit 3 ;;\nesac\n"
        );
        crm.c.lab.script(node, "init.d/stuck", &script).expect("a script");
    }
    crm.create(
        "node1",
        "resources",
        &["<primitive id='stuck' class='lsb' type='stuck'/>"],
    );
    crm.c.wait("it runs", || crm.runs("node1", "stuck").len() == 1);
    crm.wait_idle("node1");
    let on = crm.runs("node1", "stuck")[0].clone();
    assert!(fence_calls(&crm).is_empty(), "{:?}", fence_calls(&crm));
    let left = others(&on);
    crm.c.run(left[0], &["crm", "node", "standby", &on]).good("standby");
    crm.c.wait("the node is off", || is_off(&crm, &on));
    crm.wait_partition(&left, true);
    crm.c.wait("it runs elsewhere", || {
        crm.runs(left[0], "stuck").len() == 1 && crm.runs(left[0], "stuck")[0] != on
    });
    crm.wait_idle(left[0]);
    // A DC that has itself fenced cannot say that it was done: the next one has it done again.
    let only = |nodes: &[&str]| {
        let calls = fence_calls(&crm);
        let of = |c: &String| nodes.iter().any(|n| *c == format!("reset {n}"));
        assert!(calls.iter().all(of), "{calls:?}");
    };
    only(&[&on]);
    // The one that runs it now is fenced on demand; the first one is still on standby.
    crm.c.start(&on);
    crm.wait_partition(&THREE, true);
    crm.wait_idle(left[0]);
    let now = crm.runs(left[0], "stuck")[0].clone();
    let asks = if now == left[0] { left[1] } else { left[0] };
    crm.c.run(asks, &["crm", "-F", "node", "fence", &now]).good("fence");
    crm.c.wait("it is off", || is_off(&crm, &now));
    crm.wait_partition(&others(&now), true);
    crm.wait_idle(asks);
    only(&[&on, &now]);
}
