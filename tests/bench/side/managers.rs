//! The clusters with a resource manager: our crm, and Pacemaker on corosync. Both get the same CIB: one address, which
//! prefers the first node; no fencing, and two nodes that go on without quorum.

use crate::programs::{ADDRESS, NODES, Pace, Pair, Place, Program};
use ha::crm::client::Access;
use std::io;
use std::time::Duration;

/// In a node that has booted: what a package's start would have made. Where the lab has put `boot`, each has it elsewhere.
pub const BOOT: &str = "sh ${HA_DIR:-/etc/ha.d}/boot";
pub const GIVE: &str = "crm_resource -M -r vip -N node2";
pub const TAKE: &str = "crm_resource -U -r vip";
/// As systemd stops the two: a signal each, Pacemaker first.
pub const STOP: &str = "for name in pacemakerd corosync; do
	pid=$(cat /run/$name.pid) && kill $pid || exit 1
	n=0
	while kill -0 $pid 2>/dev/null; do
		n=$((n + 1)); [ $n -lt 400 ] || exit 1
		sleep 0.05
	done
done";
/// Both nodes are in the cluster and it has nothing to do, within 15 s.
const CALM: &str = "n=0
until crm_mon -1 2>/dev/null | grep -q 'Online: \\[ node1 node2 \\]' &&
	crmadmin -S \"$(crmadmin -D -q 2>/dev/null)\" 2>/dev/null | grep -q S_IDLE; do
	n=$((n + 1)); [ $n -lt 50 ] || exit 1
	sleep 0.3
done";

pub fn is_calm(pair: &Pair) -> bool {
    if pair.kind.program == Program::Pacemaker {
        return pair.shell(NODES[0], CALM).is_ok();
    }
    let mut access = Access::at("side", &pair.lab.files(NODES[0]).state());
    access.cluster().is_ok_and(|c| c.members == NODES) && matches!(access.wait_idle(Duration::from_secs(5)), Ok(true))
}

/// Before anything runs in the node.
pub fn configure(pair: &Pair, place: &Place, node: &str) -> io::Result<()> {
    pair.lab.write(node, "ha.d/cib.xml", &cib(pair.kind.program))?;
    let put =
        |dir: &str| format!("install -o hacluster -g haclient -m 600 ${{HA_DIR:-/etc/ha.d}}/cib.xml {dir}/cib.xml");
    if pair.kind.program == Program::Pacemaker {
        pair.lab.write(node, "ha.d/boot", PACEMAKER)?;
        pair.lab.write(node, "ha.d/corosync.conf", &corosync(pair.kind.pace))?;
        // What the machine's own Pacemaker keeps there, if it has one, is not this cluster's.
        let made =
            "install -D -m 644 /etc/ha.d/corosync.conf /etc/corosync/corosync.conf && rm -rf /var/lib/pacemaker/* &&
            install -d -o hacluster -g haclient -m 750 /var/lib/pacemaker/blackbox /var/lib/pacemaker/cib \
            /var/lib/pacemaker/cores /var/lib/pacemaker/pengine";
        return pair.shell(node, &format!("{made} && {}", put("/var/lib/pacemaker/cib")));
    }
    pair.lab.write(node, "ha.d/boot", &ours(place))?;
    let made = "install -d -o hacluster -g haclient -m 750 $HA_VARLIB/crm";
    pair.shell(node, &format!("{made} && {}", put("$HA_VARLIB/crm")))
}

/// The agent of Debian's package, and what it calls, for a machine that has it or does not: the one that Pacemaker runs.
fn ours(place: &Place) -> String {
    let usr = place.packages.join("usr");
    format!(
        "[ -e /run/booted ] && exit 0\nmount -t overlay -o lowerdir={}:/usr overlay /usr && touch /run/booted\n",
        usr.display()
    )
}

/// Shared memory is the machine's if nobody does anything about it, and its files are named after process ids, which the
/// nodes have in common.
const PACEMAKER: &str = "if [ ! -e /run/booted ]; then
	mount -t tmpfs tmpfs /dev/shm && install -d -o hacluster -g haclient -m 750 /run/crm && touch /run/booted || exit 1
fi
corosync || exit 1
PCMK_logfile=/var/log/pacemaker.log setsid pacemakerd >/var/log/pacemakerd.out 2>&1 </dev/null &
echo $! >/run/pacemakerd.pid
";

/// Consensus is 1.2 times the token if nothing is said, and no less is allowed; a node is dead after both.
fn corosync(pace: Pace) -> String {
    let token = pace.dead * 10 / 22;
    let nodes: String = (1..=NODES.len())
        .map(|n| format!(" node {{\n  ring0_addr: 10.77.0.{n}\n  name: node{n}\n  nodeid: {n}\n }}\n"))
        .collect();
    format!(
        "totem {{\n version: 2\n cluster_name: side\n transport: knet\n crypto_cipher: none\n crypto_hash: none\n \
         token: {token}\n consensus: {}\n}}\nnodelist {{\n{nodes}}}\nquorum {{\n provider: corosync_votequorum\n \
         two_node: 1\n wait_for_all: 0\n}}\nlogging {{\n to_stderr: no\n to_syslog: no\n to_logfile: yes\n \
         logfile: /var/log/corosync.log\n}}\n",
        pace.dead - token
    )
}

/// `dc-deadtime`: how long Pacemaker's first node waits for others; it is as long as `initdead` of ours.
fn cib(program: Program) -> String {
    let pair = |of: &str, name: &str, value: &str| format!("<nvpair id='{of}-{name}' name='{name}' value='{value}'/>");
    let (kind, attributes) = match program {
        Program::OurCrmScript => (
            "class='heartbeat' type='IPaddr'",
            pair("vip", "1", &format!("{ADDRESS}/24/eth0")),
        ),
        _ => (
            "class='ocf' provider='heartbeat' type='IPaddr2'",
            pair("vip", "ip", &ADDRESS.to_string()) + &pair("vip", "cidr_netmask", "24") + &pair("vip", "nic", "eth0"),
        ),
    };
    let options: String = [
        ("stonith-enabled", "false"),
        ("no-quorum-policy", "ignore"),
        ("dc-deadtime", "1s"),
    ]
    .map(|(name, value)| pair("options", name, value))
    .concat();
    format!(
        "<cib epoch='1' num_updates='0' admin_epoch='0' validate-with='pacemaker-3.9'><configuration><crm_config>\
         <cluster_property_set id='cib-bootstrap-options'>{options}</cluster_property_set></crm_config><nodes/>\
         <resources><primitive id='vip' {kind}><instance_attributes id='vip-attributes'>{attributes}\
         </instance_attributes><operations><op id='vip-monitor' name='monitor' interval='10s' timeout='20s'/>\
         </operations></primitive></resources><constraints><rsc_location id='home' rsc='vip' node='{}' score='100'/>\
         </constraints></configuration></cib>\n",
        NODES[0]
    )
}
