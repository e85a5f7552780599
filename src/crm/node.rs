//! crm_node and crmadmin: the members of the cluster, and what its daemons do; crm_error: what exit codes mean.

use super::client::{Access, AccessError};
use super::protocol::code;
use super::tool::{self, Failure, Outcome, flag, one, value, verbose};
use crate::cib::Cib;
use crate::time::Duration;
use clap::{Arg, ArgAction, Command};
use std::fmt::Write;

fn nodes(cib: &Cib) -> Vec<(&str, &str)> {
    let all = cib.section("nodes").into_iter().flat_map(|s| s.children_named("node"));
    let members = all.filter(|n| n.get("type") != Some("ping"));
    members.map(|n| (n.id(), n.get("uname").unwrap_or(n.id()))).collect()
}

pub fn crm_node(args: &[String], mut access: Access) -> Outcome {
    let command = Command::new("crm_node")
        .about("Shows the nodes of the cluster, and removes one")
        .arg(flag("name", 'n', "the name of this node"))
        .arg(flag("list", 'l', "all nodes: id, name, member or lost"))
        .arg(flag("partition", 'p', "the names of the nodes of this partition"))
        .arg(flag("quorum", 'q', "1 when this partition has quorum, else 0"))
        .arg(flag("cluster-id", 'i', "the id of this node"))
        .arg(value("name-for-id", 'N', "ID", "the name of the node with this id"))
        .arg(value("remove", 'R', "NODE", "remove a node that has left for good"))
        .arg(flag("force", 'f', "accepted for old scripts"))
        .arg(flag("quiet", 'Q', "accepted for old scripts"))
        .arg(flag(
            "heartbeat",
            'H',
            "accepted for old scripts: the cluster is heartbeat's",
        ))
        .arg(verbose())
        .group(
            clap::ArgGroup::new("deed")
                .args([
                    "name",
                    "list",
                    "partition",
                    "quorum",
                    "cluster-id",
                    "name-for-id",
                    "remove",
                ])
                .required(true),
        );
    tool::run(command, args, |m, out| {
        let cluster = access.cluster()?;
        if m.get_flag("name") {
            let _ = writeln!(out, "{}", cluster.node);
        } else if m.get_flag("cluster-id") {
            let _ = writeln!(out, "{}", cluster.uuid);
        } else if m.get_flag("quorum") {
            let _ = writeln!(out, "{}", u8::from(cluster.quorum));
        } else if m.get_flag("partition") {
            let _ = writeln!(out, "{} ", cluster.members.join(" "));
        } else if m.get_flag("list") {
            let cib = access.cib()?;
            for (id, name) in nodes(&cib) {
                let there = cluster.members.iter().any(|n| n == name);
                let _ = writeln!(out, "{id} {name} {}", if there { "member" } else { "lost" });
            }
        } else if let Some(id) = one(m, "name-for-id") {
            let cib = access.cib()?;
            let found = nodes(&cib).into_iter().find(|(i, _)| *i == id);
            let (_, name) = found.ok_or_else(|| Failure::no_such("Node", id))?;
            let _ = writeln!(out, "{name}");
        } else if let Some(node) = one(m, "remove") {
            let cib = access.cib()?;
            let name = tool::node_name(&cib, node)?;
            if cluster.members.contains(&name) {
                return Err(Failure::new(
                    code::ERROR,
                    format!("node {name}: is still a member: stop heartbeat there first"),
                ));
            }
            access.remove_node(&name)?;
        }
        Ok(code::OK)
    })
}

/// So long what is going on may go on before the DC counts as busy.
const IDLE: Duration = Duration::from_secs(1);

pub fn crmadmin(args: &[String], mut access: Access) -> Outcome {
    let command = Command::new("crmadmin")
        .about("Asks the controllers of the cluster")
        .arg(flag("dc_lookup", 'D', "which node decides").visible_alias("dc-lookup"))
        .arg(value("status", 'S', "NODE", "what the controller of a node is doing"))
        .arg(flag("nodes", 'N', "all nodes"))
        .arg(flag("quiet", 'q', "print bare values"))
        .arg(verbose())
        .group(
            clap::ArgGroup::new("deed")
                .args(["dc_lookup", "status", "nodes"])
                .required(true),
        );
    tool::run(command, args, |m, out| {
        let quiet = m.get_flag("quiet");
        if m.get_flag("nodes") {
            for (id, name) in nodes(&access.cib()?) {
                let _ = match quiet {
                    true => writeln!(out, "{name}"),
                    false => writeln!(out, "cluster node: {name} ({id})"),
                };
            }
            return Ok(code::OK);
        }
        let cluster = access.cluster()?;
        if m.get_flag("dc_lookup") {
            let dc = cluster.dc.unwrap_or_else(|| "<null>".to_owned());
            let _ = match quiet {
                true => writeln!(out, "{dc}"),
                false => writeln!(out, "Designated Controller is: {dc}"),
            };
            return Ok(code::OK);
        }
        let node = tool::node_name(&access.cib()?, one(m, "status").unwrap_or_default())?;
        if !cluster.members.contains(&node) {
            return Err(Failure::new(
                code::UNAVAILABLE,
                format!("node {node}: is not a member of this partition"),
            ));
        }
        let state = if node == cluster.node && !cluster.state.is_empty() {
            cluster.state
        } else if cluster.dc.as_ref() != Some(&node) {
            "S_NOT_DC".to_owned()
        } else {
            match access.wait_idle(IDLE) {
                Ok(true) => "S_IDLE".to_owned(),
                Ok(false) | Err(AccessError::NoAnswer { .. }) => "S_TRANSITION_ENGINE".to_owned(),
                Err(e) => return Err(e.into()),
            }
        };
        let _ = match quiet {
            true => writeln!(out, "{state}"),
            false => writeln!(out, "Controller on {node} in state {state}: ok"),
        };
        Ok(code::OK)
    })
}

/// Number, name, meaning.
const ERRORS: &[(u8, &str, &str)] = &[
    (code::OK, "CRM_EX_OK", "OK"),
    (code::ERROR, "CRM_EX_ERROR", "Error occurred"),
    (code::USAGE, "CRM_EX_USAGE", "Incorrect usage"),
    (code::BAD_DATA, "CRM_EX_DATAERR", "Invalid data given"),
    (code::NO_INPUT, "CRM_EX_NOINPUT", "Input file not available"),
    (code::UNAVAILABLE, "CRM_EX_UNAVAILABLE", "Service unavailable"),
    (70, "CRM_EX_SOFTWARE", "Internal software bug"),
    (73, "CRM_EX_CANTCREAT", "File could not be created"),
    (code::IO, "CRM_EX_IOERR", "I/O error occurred"),
    (code::NOT_PERMITTED, "CRM_EX_NOPERM", "Not permitted"),
    (code::INVALID, "CRM_EX_CONFIG", "Invalid configuration"),
    (code::NOT_CONNECTED, "CRM_EX_DISCONNECT", "Not connected"),
    (
        code::OLDER,
        "CRM_EX_OLD",
        "Update was older than existing configuration",
    ),
    (104, "CRM_EX_DIGEST", "Digest comparison failed"),
    (code::NO_SUCH_OBJECT, "CRM_EX_NOSUCH", "No such object"),
    (code::QUORUM, "CRM_EX_QUORUM", "Quorum required"),
    (code::UNSAFE, "CRM_EX_UNSAFE", "Operation not safe"),
    (code::EXISTS, "CRM_EX_EXISTS", "Requested item already exists"),
    (code::SEVERAL, "CRM_EX_MULTIPLE", "Multiple items match request"),
    (code::TIMEOUT, "CRM_EX_TIMEOUT", "Timeout occurred"),
];

pub fn crm_error(args: &[String], _access: Access) -> Outcome {
    let command = Command::new("crm_error")
        .about("Says what the number means that a tool of the crm ended with")
        .arg(flag("name", 'n', "the name, too"))
        .arg(flag("list", 'l', "all of them"))
        .arg(flag("exit", 'X', "accepted for old scripts: numbers are exit codes"))
        .arg(
            Arg::new("number")
                .action(ArgAction::Append)
                .value_name("NUMBER")
                .value_parser(clap::value_parser!(u8)),
        )
        .arg(verbose());
    tool::run(command, args, |m, out| {
        let with_name = m.get_flag("name");
        if m.get_flag("list") {
            for (number, name, meaning) in ERRORS {
                let _ = match with_name {
                    true => writeln!(out, "{number:>3}: {name:<25}  {meaning}"),
                    false => writeln!(out, "{number:>3}: {meaning}"),
                };
            }
            return Ok(code::OK);
        }
        for number in m.get_many::<u8>("number").into_iter().flatten() {
            let known = ERRORS.iter().find(|(n, ..)| n == number);
            let _ = match known {
                Some((_, name, meaning)) if with_name => writeln!(out, "{name} - {meaning}"),
                Some((_, _, meaning)) => writeln!(out, "{meaning}"),
                None => writeln!(out, "Unknown exit status"),
            };
        }
        Ok(code::OK)
    })
}
