//! S0, S1, S3.6: what the readers of the articles type, with the real commands, agents and servers.

use crate::cluster::{Cluster, Said, VIP, skipped};
use crate::crm::{Crm, THREE, TWO, stays};
use ha::lab::CLIENT;
use std::time::Duration;

const COMPUTE: [&str; 2] = ["compute-1", "compute-2"];
/// The text of the article, as it stands there.
const ARTICLE: &str = include_str!("../data/crm/openstack.crm");

fn has(program: &str) -> bool {
    let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .any(|dir| std::path::Path::new(dir).join(program).is_file());
    if !found {
        skipped(&format!("the articles: {program} is not installed"));
    }
    found
}

/// One line for the crm shell of a node.
fn crm(c: &Crm, node: &str, line: &str) -> Said {
    c.c.shell(node, &format!("crm {line}"))
}

/// Lines typed into it.
fn typed(c: &Crm, node: &str, lines: &str) -> Said {
    c.c.shell(node, &format!("crm <<'END'\n{lines}\nEND\n"))
}

fn status(c: &Crm, node: &str) -> String {
    crm(c, node, "status").good("crm status")
}

/// An LSB script of this name that runs a real nginx, which says the name of its node.
fn server(c: &Cluster, nodes: &[&str], name: &str, port: u16) {
    for node in nodes {
        let (state, run) = (c.lab.files(node).state(), c.lab.files(node).run());
        let (state, run) = (state.display(), run.display());
        let conf = format!(
            "user root;\nworker_processes 1;\npid {run}/{name}.pid;\nevents {{ }}\nhttp {{\n  access_log off;\n  \
             client_body_temp_path {run}/{name}1;\n  proxy_temp_path {run}/{name}2;\n  fastcgi_temp_path {run}/{name}3;\n  \
             uwsgi_temp_path {run}/{name}4;\n  scgi_temp_path {run}/{name}5;\n  \
             server {{ listen {port}; location / {{ return 200 {node}; }} }}\n}}\n"
        );
        std::fs::write(c.lab.files(node).state().join(format!("{name}.conf")), conf).expect("written");
        let script = format!(
            r#"#!/bin/sh
### BEGIN INIT INFO
# Provides: {name}
# Short-Description: a web server
### END INIT INFO
runs() {{ [ -s {run}/{name}.pid ] && kill -0 "$(cat {run}/{name}.pid)" 2>/dev/null; }}
case $1 in
start) runs || exec /usr/sbin/nginx -e {state}/{name}.log -c {state}/{name}.conf ;;
stop)
	if runs; then kill -TERM "$(cat {run}/{name}.pid)"; fi
	while runs; do sleep 0.02; done ;;
status) if runs; then echo running; else echo stopped; exit 3; fi ;;
*) exit 2 ;;
esac
"#
        );
        c.lab
            .script(node, &format!("init.d/{name}"), &script)
            .expect("a script");
    }
}

fn page(c: &Crm) -> String {
    c.c.shell(CLIENT, &format!("curl -sf --noproxy '*' -m 2 http://{VIP}/"))
        .out
}

#[test]
fn s0_01_a_key_is_made_by_one_command_and_copied_and_both_nodes_are_one_cluster() {
    let Some(c) = Crm::make("s0-01", &TWO) else { return };
    let key = |node: &str| c.c.lab.files(node).ha_d().join("authkeys");
    for node in TWO {
        std::fs::remove_file(key(node)).expect("there was one");
    }
    c.c.run("node1", &["hb_keygen"]).good("hb_keygen");
    c.c.shell(
        "node1",
        &format!("cp -p {} {}", key("node1").display(), key("node2").display()),
    )
    .good("scp -p");
    for node in TWO {
        c.c.start(node);
    }
    c.wait_partition(&TWO, true);
    // S0.2
    let shown = status(&c, "node1");
    for line in [
        "Stack: Heartbeat\n",
        "Online: [ node1 node2 ]\n",
        " - partition with quorum\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn s0_03_crm_verify_names_stonith_until_it_is_switched_off_and_s0_04_a_commit_is_seen_everywhere() {
    let Some(c) = Crm::make("s0-03", &TWO) else { return };
    for node in TWO {
        c.c.start(node);
    }
    c.wait_partition(&TWO, true);
    let verify = |node: &str, how: &str| c.c.run(node, &["crm_verify", how]);
    let said = verify("node1", "-LV");
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!((said.out.clone() + &said.err).contains("STONITH"), "{said:?}");
    assert_ne!(verify("node1", "-L").code, Some(0));
    typed(&c, "node1", "configure\nproperty stonith-enabled=false\ncommit").good("a commit");
    for node in TWO {
        // At once: the prompt returns when all have it.
        let said = verify(node, "-L");
        assert_eq!(
            (said.code, said.out.as_str(), said.err.as_str()),
            (Some(0), "", ""),
            "{node}"
        );
        let file = c.c.lab.files(node).state().join("crm/cib.xml");
        let text = std::fs::read_to_string(file).expect("cib.xml");
        assert!(text.contains("name=\"stonith-enabled\" value=\"false\""), "{text}");
    }
    // A line that cannot be read changes nothing, and says where.
    let bad = crm(
        &c,
        "node1",
        "configure primitive x ocf:heartbeat:IPaddr parms ip=1.2.3.4",
    );
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.err.contains("ERROR") && bad.err.contains("parms"), "{bad:?}");
    assert!(!c.cib("node2").expect("a CIB").root().to_bare().contains("primitive"));
}

#[test]
fn s0_05_classes_agents_and_their_parameters() {
    let Some(c) = Crm::started("s0-05", &TWO) else { return };
    let classes = typed(&c, "node1", "configure\nra\nclasses").good("classes");
    let lines: Vec<&str> = classes.lines().map(str::trim).collect();
    for class in ["heartbeat", "lsb", "stonith"] {
        assert!(lines.contains(&class), "{classes}");
    }
    assert!(
        lines.iter().any(|l| l.starts_with("ocf / ") && l.contains("heartbeat")),
        "{classes}"
    );
    let list = crm(&c, "node1", "ra list heartbeat").good("list");
    for agent in ["IPaddr", "IPaddr2", "IPsrcaddr", "Filesystem", "drbddisk"] {
        assert!(list.split_ascii_whitespace().any(|w| w == agent), "{agent}: {list}");
    }
    let meta = typed(&c, "node1", "ra\nmeta ocf:heartbeat:IPaddr2").good("meta");
    assert!(
        meta.contains("Parameters (*: required, []: default):") && meta.contains("ip*"),
        "{meta}"
    );
    // S3.6: the agent of virtual machines, as it is.
    let meta = crm(&c, "node1", "ra meta ocf:heartbeat:VirtualDomain").good("meta");
    assert!(
        meta.contains("config*") && meta.contains("migration_transport"),
        "{meta}"
    );
}

#[test]
fn s0_06_to_s0_09_the_articles_web_server_spreads_then_stays_with_its_address_and_moves() {
    if !has("nginx") || !has("curl") {
        return;
    }
    let Some(c) = Crm::started("s0-06-web", &TWO) else {
        return;
    };
    server(&c.c, &TWO, "httpd", 80);
    crm(
        &c,
        "node1",
        &format!("configure primitive  webip ocf:heartbeat:IPaddr  params ip={VIP}  "),
    )
    .good("webip");
    c.wait_runs("webip", &["node1"]);
    crm(&c, "node1", "configure primitive webserver lsb:httpd").good("webserver");
    c.wait_runs("webserver", &["node2"]);
    c.wait_idle("node1");
    let shown = status(&c, "node2");
    assert!(
        shown.contains(" webip\t(ocf::heartbeat:IPaddr):\tStarted node1\n"),
        "{shown}"
    );
    assert!(shown.contains(" webserver\t(lsb:httpd):\tStarted node2\n"), "{shown}");
    // S0.7
    crm(&c, "node1", "configure group  web  webip  webserver").good("group");
    c.wait_runs("webserver", &["node1"]);
    c.wait_idle("node1");
    assert_eq!(c.runs("node2", "webip"), ["node1"]);
    assert_eq!(page(&c), "node1");
    let shown = status(&c, "node1");
    assert!(shown.contains(" Resource Group: web\n"), "{shown}");
    // S0.8
    c.c.stop("node1");
    let gone = crm(&c, "node1", "status");
    assert_ne!(gone.code, Some(0), "{gone:?}");
    c.wait_partition(&["node2"], false);
    c.wait_idle("node2");
    let shown = status(&c, "node2");
    assert!(
        shown.contains("partition WITHOUT quorum") && shown.contains("OFFLINE: [ node1 ]"),
        "{shown}"
    );
    assert_eq!(c.holders(), [""; 0]);
    // S0.9
    for command in [
        "crm configure property no-quorum-policy=ignore",
        "crm_attribute -n batch-limit -v 30",
        "crm_resource -m -r webip -p priority -v 1",
        "cibadmin -B",
    ] {
        let said = c.c.shell("node2", command);
        assert!(
            said.code == Some(0) && said.err.contains("WARNING: a change was made WITHOUT quorum"),
            "{command}: {said:?}"
        );
    }
    c.wait_runs_seen("node2", "webserver", &["node2"]);
    assert_eq!(page(&c), "node2");
    c.c.start("node1");
    c.wait_partition(&TWO, true);
    c.wait_idle("node2");
    assert_eq!(
        (c.holders(), page(&c).as_str()),
        (vec!["node2"], "node2"),
        "nothing moves back"
    );
    let said = crm(&c, "node2", "configure property batch-limit=20");
    assert!(said.code == Some(0) && !said.err.contains("quorum"), "{said:?}");
}

#[test]
fn s0_10_a_clone_runs_everywhere_and_one_of_a_set_is_master() {
    let Some(c) = Crm::started("s0-10", &TWO) else { return };
    typed(
        &c,
        "node1",
        "configure\nprimitive d ocf:pacemaker:Dummy op monitor interval=10s\nclone everywhere d\n\
         primitive st ocf:pacemaker:Stateful op monitor interval=10s role=Master op monitor interval=11s role=Slave\n\
         ms ms_st st meta master-max=1\ncommit",
    )
    .good("a clone and a set");
    c.wait_runs("d", &TWO);
    c.c.wait("one is master", || status(&c, "node1").contains("     Masters: [ "));
    c.wait_idle("node1");
    let shown = status(&c, "node2");
    assert!(
        shown.contains(" Clone Set: everywhere [d]\n     Started: [ node1 node2 ]\n"),
        "{shown}"
    );
    assert!(shown.contains(" Master/Slave Set: ms_st [st]\n"), "{shown}");
    let master = |shown: &str| {
        let line = shown.lines().find(|l| l.contains("Masters: [")).map(str::to_owned);
        line.unwrap_or_default()
            .split_ascii_whitespace()
            .nth(2)
            .map(str::to_owned)
    };
    let first = master(&shown).expect("a master");
    // Standby: the other one is promoted.
    crm(&c, "node1", &format!("node standby {first}")).good("standby");
    c.c.wait("the other one is master", || {
        let now = master(&status(&c, "node1"));
        now.is_some() && now.as_deref() != Some(&first)
    });
    crm(&c, "node1", &format!("node online {first}")).good("online");
    c.wait_runs("d", &TWO);
}

/// The cluster of the article on OpenStack, with its bridge, its two services and its configuration.
fn openstack(test: &str) -> Option<Crm> {
    if !has("nginx") {
        return None;
    }
    let c = Crm::make(test, &COMPUTE)?;
    for (n, node) in COMPUTE.iter().enumerate() {
        c.c.shell(
            node,
            &format!(
                "ip link add br100 type veth peer name br100p && ip link set br100 up && ip link set br100p up && \
                 ip addr add 10.1.6.{}/24 dev br100",
                n + 1
            ),
        )
        .good("br100");
    }
    server(&c.c, &COMPUTE, "apache2", 80);
    server(&c.c, &COMPUTE, "nova-network", 81);
    for node in COMPUTE {
        c.c.start(node);
    }
    c.wait_partition(&COMPUTE, true);
    Some(c)
}

fn has_address(c: &Crm, node: &str) -> bool {
    c.c.shell(node, "ip -4 addr show dev br100")
        .out
        .contains("inet 10.1.6.100/")
}

#[test]
fn s1_01_the_article_is_pasted_as_it_is_and_s1_02_a_service_that_is_stopped_moves_all() {
    let Some(c) = openstack("s1-01") else { return };
    typed(&c, "compute-1", &format!("configure\n{ARTICLE}")).good("the article");
    c.wait_runs("vip", &["compute-1"]);
    c.wait_runs("www", &["compute-1"]);
    c.wait_runs("nova-network", &["compute-2"]);
    c.wait_idle("compute-1");
    assert!(has_address(&c, "compute-1") && !has_address(&c, "compute-2"));
    for node in COMPUTE {
        let text = std::fs::read_to_string(c.c.lab.files(node).state().join("crm/cib.xml")).expect("saved");
        assert!(text.contains("<rsc_colocation id=\"vip_and_www\""), "{text}");
    }
    // What is shown loads again.
    let shown = crm(&c, "compute-2", "configure show").good("show");
    for part in [
        "primitive vip ",
        "colocation vip_and_www inf: www vip",
        "location compute-2 vip 100: compute-2",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }

    // S1.2: behind the cluster's back.
    c.c.shell("compute-1", "\"$HA_INITDIR\"/apache2 stop")
        .good("apache2 stop");
    c.wait_runs("www", &["compute-2"]);
    c.wait_runs("vip", &["compute-2"]);
    c.wait_idle("compute-1");
    assert!(has_address(&c, "compute-2") && !has_address(&c, "compute-1"));
    let failures = c.c.run("compute-2", &["crm_mon", "-1rf"]).good("crm_mon");
    assert!(failures.contains("fail-count=1"), "{failures}");
    assert!(
        failures.contains("www_monitor_10000") && failures.contains("not running"),
        "{failures}"
    );

    // S1.3
    crm(&c, "compute-2", "resource cleanup www").good("cleanup");
    c.wait_runs("vip", &["compute-1"]);
    c.wait_runs("www", &["compute-1"]);
    let shown = status(&c, "compute-1");
    assert!(!shown.contains("Failed actions"), "{shown}");
    let gone =
        c.c.run("compute-1", &["crm_resource", "-D", "-r", "www", "-t", "primitive"]);
    assert_eq!(gone.code, Some(0), "{gone:?}");
    c.wait_idle("compute-1");
    let config = c.cib("compute-2").expect("a CIB").configuration().to_bare();
    assert!(!config.contains("\"www\"") && config.contains("\"vip\""), "{config}");
    let stopped = c.c.shell("compute-1", "\"$HA_INITDIR\"/apache2 status");
    assert_eq!(
        stopped.code,
        Some(3),
        "what is configured no more is stopped: {stopped:?}"
    );
}

#[test]
fn s1_04_every_option_of_crm_resource_that_the_article_lists_works() {
    let Some(c) = openstack("s1-04") else { return };
    typed(&c, "compute-1", &format!("configure\n{ARTICLE}")).good("the article");
    c.wait_runs("www", &["compute-1"]);
    c.wait_idle("compute-1");
    let table = [
        "-L",
        "-l",
        "-O",
        "-o",
        "-q -r vip",
        "-w -r vip",
        "-W -r vip",
        "-A -r vip",
        "-a -r vip",
        "-r vip -p cidr_netmask -v 24",
        "-r vip -g cidr_netmask",
        "-r vip -d cidr_netmask",
        "-r vip -m -p is-managed -v true",
        "-r vip -m -g is-managed",
        "-r vip -m -d is-managed",
        "-r vip -z -p cpu -v 1",
        "-r vip -z -g cpu",
        "-r vip -z -d cpu",
        "-r vip -m -s vip-meta_attributes -i my-own-id -p priority -v 1",
        "-r vip -m -s vip-meta_attributes -i my-own-id -d priority",
        "-M -r vip -N compute-2 -u PT2M",
        "-U -r vip",
        "-M -r vip -f",
        "-U -r vip",
        "-F -r vip -N compute-1",
        "-C -r vip",
        "-R",
        "-P -N compute-2",
        "-P",
    ];
    for options in table {
        let said = c.c.shell("compute-1", &format!("crm_resource {options}"));
        assert_eq!(said.code, Some(0), "crm_resource {options}: {said:?}");
        c.wait_idle("compute-1");
    }
    for wrong in ["-y", "--no-such-option", "-D -r vip"] {
        let said = c.c.shell("compute-1", &format!("crm_resource {wrong}"));
        assert_ne!(said.code, Some(0), "{wrong}: {said:?}");
        assert!(!said.err.is_empty(), "{wrong}: {said:?}");
    }
    // Moved for two minutes, and un-moved: it is where the article has it.
    c.wait_runs("vip", &["compute-1"]);
}

#[test]
fn s1_05_a_script_whose_status_lies_is_named_with_its_exit_code() {
    let Some(c) = Crm::started("s1-05", &TWO) else { return };
    for node in TWO {
        let flag = c.c.lab.files(node).run().join("odd").display().to_string();
        let script = format!(
            "#!/bin/sh\ncase $1 in\nstart) touch {flag} ;;\nstop) rm -f {flag} ;;\n\
             status) echo running; exit 3 ;;\nesac\n"
        );
        c.c.lab.script(node, "init.d/odd", &script).expect("a script");
    }
    crm(
        &c,
        "node1",
        "configure primitive odd lsb:odd op monitor interval=1s meta migration-threshold=1",
    )
    .good("odd");
    c.c.wait("its failure is shown", || {
        status(&c, "node1").contains("odd_monitor_1000")
    });
    let shown = status(&c, "node1");
    let line = shown
        .lines()
        .find(|l| l.contains("odd_monitor_1000"))
        .expect("the line");
    assert!(
        line.contains("node=node") && line.contains("rc=7") && line.ends_with("not running"),
        "{shown}"
    );
}

#[test]
fn s1_06_the_default_time_limit_and_a_start_that_may_fail() {
    let Some(c) = Crm::started("s1-06", &TWO) else { return };
    for node in TWO {
        let run = c.c.lab.files(node).run();
        let (flag, tried) = (
            run.join("shy").display().to_string(),
            run.join("tried").display().to_string(),
        );
        // Its first start on each node fails.
        let script = format!(
            "#!/bin/sh\ncase $1 in\nstart) if [ ! -e {tried} ]; then touch {tried}; exit 1; fi; touch {flag} ;;\n\
             stop) rm -f {flag} ;;\nstatus) [ -e {flag} ] || exit 3 ;;\nesac\n"
        );
        c.c.lab.script(node, "init.d/shy", &script).expect("a script");
        c.c.lab
            .script(
                node,
                "init.d/slow",
                "#!/bin/sh\ncase $1 in\nstart) sleep 60 ;;\nstatus) exit 3 ;;\nesac\n",
            )
            .expect("a script");
    }
    typed(
        &c,
        "node1",
        "configure\nproperty start-failure-is-fatal=false\nproperty default-action-timeout=2\ncommit",
    )
    .good("properties");
    crm(&c, "node1", "configure primitive shy lsb:shy").good("shy");
    // It failed there once, and is tried again: no node is ruled out.
    c.c.wait("it runs", || !c.runs("node1", "shy").is_empty());
    let failures = c.c.run("node1", &["crm_mon", "-1rf"]).good("crm_mon");
    assert!(failures.contains("fail-count=1 "), "{failures}");
    crm(
        &c,
        "node1",
        "configure primitive slow lsb:slow meta migration-threshold=1",
    )
    .good("slow");
    c.c.wait("its start took too long", || {
        let shown = status(&c, "node1");
        shown
            .lines()
            .any(|l| l.contains("slow_start_0") && l.contains("Timed Out"))
    });
}

/// No machine runs machines here: a process stands in for the virtual one. Its files are on a cloned file system.
#[test]
fn s3_06_a_stand_in_for_a_virtual_machine_on_a_cloned_file_system_moves_with_a_crash() {
    let Some(c) = Crm::started("s3-06", &THREE) else { return };
    let shared = c.c.lab.files("client").root.join("images").display().to_string();
    std::fs::create_dir_all(&shared).expect("made");
    let place = "/srv";
    typed(
        &c,
        "node1",
        &format!(
            "configure\nprimitive images ocf:heartbeat:Filesystem params device={shared} directory={place} fstype=none \
             options=bind op monitor interval=5s\nclone images_everywhere images\n\
             primitive vm ocf:heartbeat:anything params binfile=/bin/sleep cmdline_options=1000 op monitor interval=2s\n\
             order files_first inf: images_everywhere vm\ncolocation vm_on_files inf: vm images_everywhere\ncommit"
        ),
    )
    .good("a machine");
    c.wait_runs("images", &THREE);
    c.c.wait("the machine runs", || c.runs("node1", "vm").len() == 1);
    c.wait_idle("node1");
    let on = c.runs("node1", "vm").remove(0);
    let others: Vec<&str> = THREE.iter().copied().filter(|n| *n != on).collect();
    c.c.lab.power_off(&on).expect("off");
    c.wait_partition(&others, true);
    c.c.wait("it runs elsewhere", || {
        let now = c.runs(others[0], "vm");
        now.len() == 1 && now[0] != on
    });
    stays("it runs once", Duration::from_secs(1), || {
        c.runs(others[0], "vm").len() == 1
    });
}
