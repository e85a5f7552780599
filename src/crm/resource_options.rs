//! The options of crm_resource, in their modern and their classic spellings.

use super::tool::{flag, value, verbose};
use clap::{Arg, ArgAction, Command};

/// What it does: one of them. Without any it lists.
const DEEDS: &[&str] = &[
    "list",
    "list-raw",
    "list-operations",
    "list-all-operations",
    "query-xml",
    "query-xml-raw",
    "locate",
    "stack",
    "constraints",
    "why",
    "set-parameter",
    "get-parameter",
    "delete-parameter",
    "get-property",
    "set-property",
    "move",
    "ban",
    "un-move",
    "delete",
    "fail",
    "refresh",
    "cleanup",
    "reprobe",
];

pub(super) fn command() -> Command {
    Command::new("crm_resource")
        .about("Shows and changes the resources of the cluster")
        .group(clap::ArgGroup::new("deed").args(DEEDS))
        .args(queries())
        .args(changes())
        .args(details())
        .arg(verbose())
}

fn queries() -> Vec<Arg> {
    vec![
        flag("list", 'L', "list all resources with their state"),
        flag(
            "list-raw",
            'l',
            "list the ids of what is started and stopped: no groups, no clones",
        ),
        flag("list-operations", 'O', "list the operations of active resources"),
        flag("list-all-operations", 'o', "list all operations"),
        flag("query-xml", 'q', "show the definition of a resource"),
        flag("query-xml-raw", 'w', "the same, templates not filled in"),
        flag("locate", 'W', "show where a resource runs"),
        flag(
            "stack",
            'A',
            "show what a resource goes with, and what goes with it, all the way",
        ),
        flag("constraints", 'a', "show the constraints of a resource"),
        flag("why", 'Y', "show whether resources run, and why not"),
        value(
            "get-parameter",
            'g',
            "NAME",
            "show a parameter of a resource; see also -m and -z",
        ),
        Arg::new("get-property")
            .long("get-property")
            .value_name("NAME")
            .help("show an attribute of the resource's element: class, type, provider, description"),
    ]
}

fn changes() -> Vec<Arg> {
    vec![
        value(
            "set-parameter",
            'p',
            "NAME",
            "set a parameter of a resource to -v; see also -m and -z",
        ),
        value(
            "delete-parameter",
            'd',
            "NAME",
            "delete a parameter of a resource; see also -m and -z",
        ),
        value(
            "set-property",
            'S',
            "NAME",
            "set an attribute of the resource's element to -v",
        ),
        flag("move", 'M', "move a resource to -N, or away from where it is").visible_alias("migrate"),
        flag("ban", 'B', "keep a resource from -N, or from where it is"),
        flag("un-move", 'U', "remove the constraints that -M and -B have made")
            .visible_aliases(["un-migrate", "clear"]),
        flag(
            "delete",
            'D',
            "delete a resource, and the constraints that name it; -t says what it is",
        )
        .visible_alias("delete-resource"),
        flag("fail", 'F', "treat a resource on -N as if it had failed"),
        flag(
            "refresh",
            'R',
            "forget the history of resources, and look for them again",
        ),
        flag("cleanup", 'C', "forget the failures of resources"),
        flag("reprobe", 'P', "look for resources that were started by somebody else"),
    ]
}

fn details() -> Vec<Arg> {
    vec![
        value("resource", 'r', "ID", "the resource"),
        value("node", 'N', "NODE", "the node")
            .visible_aliases(["node-uname", "host-uname"])
            .visible_short_alias('H'),
        value(
            "resource-type",
            't',
            "TYPE",
            "primitive, group, clone, master or template",
        ),
        value("parameter-value", 'v', "VALUE", "the value for -p"),
        value(
            "lifetime",
            'u',
            "TIME",
            "how long a constraint holds: PT2M, 1h, or the date of its end",
        ),
        flag(
            "meta",
            'm',
            "with -p, -g, -d: an option of the resource, as target-role",
        ),
        flag("utilization", 'z', "with -p, -g, -d: what a resource uses"),
        value("set-name", 's', "ID", "the id of the set of attributes"),
        value("nvpair", 'i', "ID", "the id of the name and value"),
        flag("force", 'f', "do it all the same"),
        Arg::new("master")
            .long("master")
            .visible_alias("promoted")
            .action(ArgAction::SetTrue)
            .help("with -M, -B, -U: only where it is promoted"),
        flag("quiet", 'Q', "print bare values"),
        value("xml-file", 'x', "FILE", "work on FILE instead of the cluster"),
    ]
}
