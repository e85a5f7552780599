//! What ours do otherwise than Pacemaker 2.1.5, or what that cannot do on a file.

use super::Copy;
use ha::cib::Cib;
use ha::crm::client::Access;
use ha::crm::tool::{Outcome, Tool};
use ha::crm::{admin, attribute, mon, node, resource, transient, verify};

fn tool(name: &str) -> Tool {
    match name {
        "crm_resource" => resource::run,
        "crm_mon" => mon::run,
        "crm_verify" => verify::run,
        "cibadmin" => admin::run,
        "crm_attribute" => attribute::crm_attribute,
        "crm_standby" => attribute::crm_standby,
        "crm_failcount" => transient::crm_failcount,
        "crm_master" => transient::crm_master,
        "attrd_updater" => transient::attrd_updater,
        "crm_node" => node::crm_node,
        "crmadmin" => node::crmadmin,
        "crm_error" => node::crm_error,
        other => panic!("{other}"),
    }
}

/// Blanks inside a word are written as `~`.
fn run(line: &str, access: Access) -> Outcome {
    let mut words = line.split_whitespace().map(|w| w.replace('~', " "));
    let name = words.next().unwrap();
    tool(&name)(&words.collect::<Vec<_>>(), access)
}

/// A row: what is typed one after the other; the last one's exit code, and what it prints.
fn table(name: &str, rows: &[(&[&str], u8, &str)]) {
    for (i, (lines, code, text)) in rows.iter().enumerate() {
        let copy = Copy::new(&format!("{name}-{i}"));
        let outcomes: Vec<Outcome> = lines.iter().map(|l| run(l, Access::file("test", &copy.0))).collect();
        let last = outcomes.last().unwrap();
        let said = format!("{}{}", last.out, last.err);
        assert_eq!((last.code, &*said), (*code, *text), "{lines:?}");
        let cib = Cib::parse(&copy.text()).unwrap();
        assert_eq!(
            ha::cib::schema::check(&cib),
            [],
            "{lines:?} left a file that is not valid"
        );
    }
}

#[test]
fn resources() {
    #[rustfmt::skip]
    table("resources", &[
        (&["crm_resource"], 0,
         " vip\t(ocf::heartbeat:IPaddr2):\tStarted\n www\t(lsb:apache2):\tStarted FAILED\n Resource Group: g\n     \
          y1\t(ocf::pacemaker:Dummy):\tStopped\n     y2\t(ocf::pacemaker:Dummy):\tStopped\n Clone Set: cl [p_ping]\n     \
          Started: [ compute-1 ]\n     Stopped: [ p_ping:1 ]\n"),
        // The article's line, on its own configuration.
        (&["crm_resource -D -r www -t primitive"], 0,
         "Removing constraint: vip_and_www\nRemoving constraint: o\nDeleted primitive www\n"),
        // What runs there runs on until the cluster has stopped it.
        (&["crm_resource -D -r www -t primitive", "crm_resource -L"], 0,
         " vip\t(ocf::heartbeat:IPaddr2):\tStarted\n Resource Group: g\n     y1\t(ocf::pacemaker:Dummy):\tStopped\n     \
          y2\t(ocf::pacemaker:Dummy):\tStopped\n Clone Set: cl [p_ping]\n     Started: [ compute-1 ]\n     \
          Stopped: [ p_ping:1 ]\n www\t(lsb:apache2) ORPHANED:\tStarted FAILED\n"),
        (&["crm_resource -D -r vip -t group"], 105, "crm_resource: vip is a primitive, not a group\n"),
        (&["crm_resource -D -r vip"], 105,
         "crm_resource: You need to specify a resource type with -t\nError performing operation: No such object\n"),
        (&["crm_resource -D -r g -t group"], 0, "Deleted group g\nDeleted primitive y1\nDeleted primitive y2\n"),
        // Classic spellings.
        (&["crm_resource --migrate --resource vip --host-uname compute-2"], 0, ""),
        (&["crm_resource -M -r vip -H compute-2", "crm_resource --un-migrate -r vip"], 0, "Removing constraint: cli-prefer-vip\n"),
        (&["crm_resource -M -r vip", "crm_resource -U -r vip"], 0, "Removing constraint: cli-ban-vip-on-compute-1\n"),
        // Back to where it was kept from: the ban goes.
        (&["crm_resource -M -r vip", "crm_resource -M -r vip -N compute-1 -f", "cibadmin -Q -A //rsc_location -e"], 0,
         "/cib/configuration/constraints/rsc_location[@id='compute-2']\n/cib/configuration/constraints/rsc_location[@id='cli-prefer-vip']\n"),
        (&["crm_resource -M -r vip -N compute-2 -u nonsense"], 64,
         "crm_resource: -u nonsense: is neither a time (PT2M, 1h) nor a date (2026-11-21 08:14:18Z)\n"),
        (&["crm_resource -M -r vip -N compute-2 -u 1999-01-01"], 64,
         "crm_resource: -u 1999-01-01: is over already\n"),
        (&["crm_resource -i vip-instance_attributes-ip -p ip -v 9 -r vip"], 0,
         "Set 'vip' option: id=vip-instance_attributes-ip name=ip value=9\n"),
        (&["crm_resource -m -p target-role -v Stopped -r cl", "crm_resource -m -d target-role -r p_ping"], 0,
         "Performing update of 'target-role' on 'cl', the parent of 'p_ping'\n\
          Deleted 'cl' option: id=cl-meta_attributes-target-role name=target-role\n"),
        (&["crm_resource -C -r www"], 0, "Cleaned up www on compute-1\n"),
        (&["crm_resource -C -r www -N compute-1", "crm_failcount -G -r www -N compute-1"], 0,
         "scope=status  name=fail-count-www value=0\n"),
        (&["crm_resource -C -r vip"], 0, ""),
        (&["crm_resource -C"], 0, "Cleaned up all resources on all nodes\n"),
        (&["crm_resource -R -r vip", "crm_resource -W -r vip"], 0, "resource vip is NOT running\n"),
        (&["crm_resource -P", "crm_resource -o"], 0, ""),
    ]);
}

#[test]
fn two_deeds_at_once_and_deeds_that_need_a_cluster_are_refused() {
    let copy = Copy::new("refused");
    let both = run("crm_resource -L -W", Access::file("test", &copy.0));
    assert_eq!(both.code, 64);
    assert!(
        both.err.starts_with("crm_resource: ") && both.err.contains("--list"),
        "{}",
        both.err
    );
    let fail = run("crm_resource -F -r vip -N compute-1", Access::file("test", &copy.0));
    assert_eq!(fail.code, 69);
    assert!(fail.err.contains("needs a cluster that runs"), "{}", fail.err);
}

#[test]
fn attributes() {
    #[rustfmt::skip]
    table("attributes", &[
        (&["crm_attribute -t rsc_defaults -n migration-threshold -v 1", "crm_attribute -t rsc_defaults -n migration-threshold"], 0,
         "scope=rsc_defaults  name=migration-threshold value=1\n"),
        (&["crm_attribute -t op_defaults -n timeout -v 60s", "cibadmin -Q -A //op_defaults//nvpair"], 0,
         "<nvpair id=\"op-options-timeout\" name=\"timeout\" value=\"60s\"/>\n"),
        (&["crm_attribute --type crm_config --attr-name stonith_enabled --attr-value true", "crm_attribute -n stonith-enabled -GQ"], 0, "true\n"),
        (&["crm_attribute -n x -N compute-1 -v 1 -l reboot", "attrd_updater -n x -Q -A"], 0,
         "name=\"x\" host=\"compute-1\" value=\"1\"\n"),
        (&["crm_standby -U compute-2 -v true", "crm_mon -1D"], 0,
         "Node compute-2 (2): standby\nOnline: [ compute-1 ]\n\n vip\t(ocf::heartbeat:IPaddr2):\tStarted compute-1\n \
          www\t(lsb:apache2):\tStarted compute-1 FAILED\n Clone Set: cl [p_ping]\n     Started: [ compute-1 ]\n     \
          Stopped: [ p_ping:1 ]\n\nFailed actions:\n    www_monitor_10000 (node=compute-1, call=13, rc=7, status=complete): not running\n"),
        (&["crm_standby -N compute-2 -v on -l reboot", "crm_standby -N compute-2 -G"], 0, "scope=status  name=standby value=on\n"),
        (&["crm_standby -N compute-2 -v on -l reboot", "crm_standby -N compute-2 -v on", "crm_standby -N compute-2 -D"], 0,
         "Deleted status attribute: id=status-2-standby name=standby\nDeleted nodes attribute: id=nodes-2-standby name=standby\n"),
        (&["crm_failcount -r vip -U compute-2 -v 3", "crm_failcount -G -r vip -N compute-2"], 0,
         "scope=status  name=fail-count-vip value=3\n"),
        (&["crm_failcount -D -r www -N compute-1", "crm_failcount -G -q -r www -N compute-1"], 0, "0\n"),
        (&["crm_failcount -G -r www -N compute-1 -n monitor -I 10s"], 0, "scope=status  name=fail-count-www value=1\n"),
        (&["crm_failcount -D -r www -N compute-1 -n monitor -I 10s"], 0, "Cleaned up www on compute-1\n"),
        (&["crm_master -r drbd0:1 -N compute-1 -v 10", "attrd_updater -n master-drbd0 -Q -N compute-1"], 0,
         "name=\"master-drbd0\" host=\"compute-1\" value=\"10\"\n"),
        (&["crm_master -r drbd0 -N compute-1 -v 10", "crm_master -r drbd0 -N compute-1 -D", "crm_master -r drbd0 -N compute-1 -G"], 105,
         "crm_master: Error performing operation: No such device or address\n"),
        (&["attrd_updater -n pingd -U value+=50 -N compute-1 -d 5s", "attrd_updater -n pingd -Q -N compute-1"], 0,
         "name=\"pingd\" host=\"compute-1\" value=\"150\"\n"),
        (&["attrd_updater -n pingd -D -N compute-1", "attrd_updater -n pingd -Q -N compute-1"], 105,
         "attrd_updater: Could not query value of pingd: attribute does not exist\n"),
        (&["attrd_updater -n pingd -U 1 -N compute-1 -d soon"], 64, "attrd_updater: -d soon: is no time: 5s, 500ms\n"),
        (&["crm_standby -G -N nosuch"], 105,
         "crm_standby: Node 'nosuch' not found\nError performing operation: No such object\n"),
    ]);
}

#[test]
fn nodes_and_numbers() {
    #[rustfmt::skip]
    table("nodes", &[
        (&["crm_node -l"], 0, "1 compute-1 member\n2 compute-2 member\n"),
        (&["crm_node -p"], 0, "compute-1 compute-2 \n"),
        (&["crm_node -q"], 0, "1\n"),
        (&["crm_node -N 2"], 0, "compute-2\n"),
        (&["crm_node -N 9"], 105, "crm_node: Node '9' not found\nError performing operation: No such object\n"),
        (&["crm_node -R compute-2"], 1, "crm_node: node compute-2: is still a member: stop heartbeat there first\n"),
        (&["crmadmin -D"], 0, "Designated Controller is: compute-1\n"),
        (&["crmadmin -q -N"], 0, "compute-1\ncompute-2\n"),
        (&["crmadmin -S compute-1"], 0, "Controller on compute-1 in state S_IDLE: ok\n"),
        (&["crmadmin -S compute-2"], 0, "Controller on compute-2 in state S_NOT_DC: ok\n"),
        (&["crm_error -n 102"], 0, "CRM_EX_DISCONNECT - Not connected\n"),
        (&["crm_error -X 105"], 0, "No such object\n"),
    ]);
}

#[test]
fn the_cib() {
    #[rustfmt::skip]
    table("cib", &[
        (&["cibadmin -E -f", "cibadmin -Q -o resources"], 0, "<resources/>\n"),
        (&["cibadmin -C -o constraints -X <constraints><rsc_location~id='l'~rsc='vip'~node='n'~score='1'/></constraints>",
           "crm_resource -a -r vip"], 0,
         "Locations:\n  * Node compute-2 (score=100, id=compute-2, rsc=vip)\n  * Node n (score=1, id=l, rsc=vip)\n\
          Resources colocated with vip:\n  * www (score=INFINITY, id=vip_and_www)\n"),
        (&["cibadmin -d -A //constraints/*", "cibadmin -Q -o constraints"], 0, "<constraints/>\n"),
        (&["cibadmin -M -A //primitive[@id='www'] -X <primitive~description='x'/>", "crm_resource -r www --get-property description"], 0, "x\n"),
        (&["cibadmin -R -A //op -X <primitive/>"], 65, "cibadmin: //op: means the element op, not primitive\n"),
        (&["cibadmin -Q -A op"], 64, "cibadmin: op: not understood from character 1 on\n"),
        (&["cibadmin -C"], 64, "cibadmin: which element? -X gives it, -x names a file, -p reads it from standard input\n"),
        (&["cibadmin -C -X <primitive~id='n'~class='lsb'~type='x'/>", "crm_resource -W -r n"], 0, "resource n is NOT running\n"),
    ]);
    let copy = Copy::new("epoch");
    let up = run(
        "cibadmin -M -X <cib~admin_epoch='admin_epoch++'/>",
        Access::file("test", &copy.0),
    );
    assert_eq!(up.code, 0, "{}", up.err);
    assert_eq!(Cib::parse(&copy.text()).unwrap().version().admin_epoch, 1);
}

#[test]
fn what_is_wrong_with_a_configuration() {
    let copy = Copy::new("verify");
    let file = copy.0.display().to_string();
    let edit = |from: &str, to: &str| {
        let text = copy.text();
        let changed = text.replace(from, to);
        assert_ne!(text, changed, "{from}");
        std::fs::write(&copy.0, changed).unwrap();
    };
    let check = |options: &str| {
        let outcome = run(&format!("crm_verify -x {file} {options}"), Access::live("crm_verify"));
        assert_eq!(outcome.out, "", "what is wrong goes to stderr");
        (outcome.code, outcome.err.replace(&file, "FILE"))
    };
    assert_eq!(check(""), (0, String::new()));
    edit(
        "name=\"stonith-enabled\" value=\"false\"",
        "name=\"stonith-enabled\" value=\"true\"",
    );
    let short = "crm_verify: Errors found during check: config not valid\n-V may provide more details\n";
    assert_eq!(check(""), (78, short.to_owned()));
    let long = "(unpack_resources) \terror: Resource start-up disabled since no STONITH resources have been defined\n\
                (unpack_resources) \terror: Either configure some or disable STONITH with the stonith-enabled option\n\
                (unpack_resources) \terror: NOTE: Clusters with shared data need STONITH to ensure data integrity\n\
                crm_verify: Errors found during check: config not valid\n";
    assert_eq!(check("-V"), (78, long.to_owned()));
    edit(
        "name=\"stonith-enabled\" value=\"true\"",
        "name=\"stonith-enabled\" value=\"false\"",
    );
    edit(
        "name=\"stonith-enabled\" value=\"false\"",
        "name=\"stonith-enabled\" value=\"maybe\"",
    );
    let invalid = "(cluster_option_value) \terror: Using default value for cluster option 'stonith-enabled' because 'maybe' is invalid\n";
    assert_eq!(check("-V"), (78, format!("{invalid}{long}")));
    edit(
        "name=\"stonith-enabled\" value=\"maybe\"",
        "name=\"stonith-enabled\" value=\"false\"",
    );
    edit("then=\"www\"", "then=\"nosuch\"");
    let (code, text) = check("");
    let place = "FILE:20: element rsc_order: then refers to \"nosuch\", which does not exist\n";
    assert_eq!((code, &*text), (78, &*format!("{place}{short}")));
    let text = run("crm_verify -X <cib><configuration><nodes>", Access::live("crm_verify"));
    assert_eq!(text.code, 78);
    assert!(text.err.starts_with("crm_verify: -X: line 1: "), "{}", text.err);
}

#[test]
fn without_a_cluster_the_known_sentence_is_said_first() {
    let nowhere = || Access::at("crm_mon", std::path::Path::new("/nonexistent"));
    let outcome = run("crm_mon -1", nowhere());
    assert_eq!((outcome.code, &*outcome.out), (102, ""));
    let mut lines = outcome.err.lines();
    assert_eq!(lines.next(), Some("Connection to cluster failed: connection failed"));
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("cannot connect: crmd is not running on this node (")
    );
    for line in [
        "crm_resource -L",
        "crm_node -l",
        "crm_verify -L",
        "cibadmin -Q",
        "crm_attribute -n x -G",
    ] {
        let outcome = run(line, nowhere());
        let name = line.split_whitespace().next().unwrap();
        assert_eq!(outcome.code, 102, "{line}");
        assert!(
            outcome
                .err
                .starts_with(&format!("{name}: cannot connect: crmd is not running")),
            "{}",
            outcome.err
        );
    }
}
