//! What a node has until it leaves the cluster: fail counts, promotion scores, the attributes of agents. crm_failcount,
//! crm_master and attrd_updater.

use super::attribute::{
    Scope, deeds, delete, get, lifetime_option, missing, node_option, quiet_option, set, show, the_node,
};
use super::changes::forget::forget;
use super::client::Access;
use super::protocol::{Attribute, code};
use super::tool::{self, Failure, Outcome, flag, one, value, verbose};
use crate::cib::words;
use crate::policy::history::fail_count;
use crate::time::Duration;
use clap::{ArgMatches, Command};
use std::fmt::Write;

pub fn crm_failcount(args: &[String], mut access: Access) -> Outcome {
    let command = deeds(Command::new("crm_failcount"))
        .about("Shows and changes how often a resource has failed on a node")
        .arg(
            value("resource", 'r', "ID", "the resource")
                .visible_alias("resource-id")
                .required(true),
        )
        .arg(node_option())
        .arg(value("operation", 'n', "OP", "the failures of this operation only"))
        .arg(value("interval", 'I', "TIME", "with -n: of the one with this interval"))
        .arg(quiet_option())
        .arg(verbose());
    tool::run(command, args, |m, out| {
        let cib = access.cib()?;
        let node = the_node(m, &mut access, &cib)?;
        let rsc = one(m, "resource").unwrap_or_default();
        let operation = one(m, "operation").map(|op| {
            let interval = one(m, "interval").and_then(words::interval).unwrap_or_default();
            format!("#{op}_{}", interval.as_millis())
        });
        let name = format!("fail-count-{rsc}{}", operation.as_deref().unwrap_or_default());
        let scope = Scope::Status(node.clone());
        let view = tool::view(&cib);
        if let Some(value) = one(m, "update") {
            // As old scripts have it, of no operation in particular.
            set(&mut access, &cib, &scope, &name, value)?;
        } else if m.get_flag("delete") {
            match (operation, access.path().is_some()) {
                (Some(_), _) => {
                    let mut silent = String::new();
                    delete(&mut access, &cib, &scope, (None, None), &name, &mut silent)?;
                    let last = name.replacen("fail-count-", "last-failure-", 1);
                    delete(&mut access, &cib, &scope, (None, None), &last, &mut silent)?;
                }
                (None, true) => {
                    let forgotten = forget(&cib, &view.input, Some(rsc), Some(&node), true);
                    access.apply(&forgotten.edits)?;
                }
                (None, false) => drop(access.cleanup(Some(rsc), Some(&node))?),
            }
            let _ = writeln!(out, "Cleaned up {rsc} on {node}");
        } else {
            let value = match operation {
                Some(_) => get(&cib, &scope, &name)?.unwrap_or_else(|| "0".to_owned()),
                None => {
                    let n = view.input.node(&node);
                    n.map_or("0".to_owned(), |n| fail_count(&view.input, rsc, n).0.to_string())
                }
            };
            let name = format!("fail-count-{rsc}");
            show(out, m.get_flag("quiet"), "status", &name, &value);
        }
        Ok(code::OK)
    })
}

pub fn crm_master(args: &[String], mut access: Access) -> Outcome {
    let command = deeds(Command::new("crm_master"))
        .about("Shows and changes how well a resource would do as master on a node; for resource agents")
        .arg(value(
            "resource",
            'r',
            "ID",
            "the resource; without it $OCF_RESOURCE_INSTANCE",
        ))
        .arg(node_option())
        .arg(lifetime_option())
        .arg(value(
            "default",
            'd',
            "VALUE",
            "with -G: what to print when there is none",
        ))
        .arg(quiet_option())
        .arg(verbose());
    tool::run(command, args, |m, out| {
        let instance = std::env::var("OCF_RESOURCE_INSTANCE").ok();
        let rsc = one(m, "resource")
            .map(str::to_owned)
            .or(instance.filter(|i| !i.is_empty()));
        let rsc = rsc.ok_or_else(|| {
            Failure::usage("which resource? This is for agents, which find it in OCF_RESOURCE_INSTANCE; -r names one")
        })?;
        // All instances of a clone that are alike have one score a node.
        let name = format!("master-{}", rsc.split(':').next().unwrap_or(&rsc));
        if let Some(value) = one(m, "update")
            && !matches!(one(m, "lifetime"), Some("forever" | "nodes"))
        {
            put(&mut access, m, &name, Some(value), Duration::ZERO)?;
            return Ok(code::OK);
        }
        let cib = access.cib()?;
        let node = the_node(m, &mut access, &cib)?;
        // Agents mean the present life of the node unless they say otherwise.
        let scope = match one(m, "lifetime") {
            Some("forever" | "nodes") => Scope::Node(node),
            _ => Scope::Status(node),
        };
        if let Some(value) = one(m, "update") {
            set(&mut access, &cib, &scope, &name, value)?;
        } else if m.get_flag("delete") {
            let mut silent = String::new();
            delete(&mut access, &cib, &scope, (None, None), &name, &mut silent)?;
        } else {
            let default = one(m, "default").map(str::to_owned);
            let value = get(&cib, &scope, &name)?.or(default).ok_or_else(missing)?;
            show(out, m.get_flag("quiet"), scope.word(), &name, &value);
        }
        Ok(code::OK)
    })
}

pub fn attrd_updater(args: &[String], mut access: Access) -> Outcome {
    let command = Command::new("attrd_updater")
        .about("Shows and changes attributes that a node has until it leaves the cluster")
        .arg(value("name", 'n', "NAME", "the attribute").required(true))
        .arg(value("update", 'U', "VALUE", "set it; VALUE++ and VALUE+=N count on").visible_short_alias('v'))
        .arg(flag("delete", 'D', "delete it"))
        .arg(flag("query", 'Q', "show it"))
        .arg(flag(
            "refresh",
            'R',
            "write all attributes again; there is nothing to do for that",
        ))
        .arg(flag("all", 'A', "with -Q: of all nodes"))
        .arg(
            value(
                "delay",
                'd',
                "TIME",
                "wait so long for further changes before it is written",
            )
            .visible_alias("dampen"),
        )
        .arg(value("node", 'N', "NODE", "the node; without it the one this runs on"))
        .arg(value("set", 's', "ID", "the id of the set of attributes"))
        .arg(flag("quiet", 'q', "print less"))
        .arg(verbose())
        .group(
            clap::ArgGroup::new("deed")
                .args(["update", "delete", "query", "refresh"])
                .required(true),
        );
    tool::run(command, args, |m, out| {
        let name = one(m, "name").unwrap_or_default();
        let dampen = one(m, "delay").map(|word| {
            let bad = || Failure::usage(format!("-d {word}: is no time: 5s, 500ms"));
            words::interval(word).ok_or_else(bad)
        });
        let dampen = dampen.transpose()?.unwrap_or(Duration::ZERO);
        if m.get_flag("refresh") {
            return Ok(code::OK);
        }
        let value = one(m, "update");
        if !m.get_flag("query") && value.is_none_or(|v| !v.starts_with("value+")) {
            put(&mut access, m, name, value, dampen)?;
            return Ok(code::OK);
        }
        let cib = access.cib()?;
        if m.get_flag("query") {
            let nodes = match (m.get_flag("all"), one(m, "node")) {
                (true, None) => {
                    let all = cib.section("nodes").into_iter().flat_map(|s| s.children_named("node"));
                    all.map(|n| n.get("uname").unwrap_or(n.id()).to_owned()).collect()
                }
                _ => vec![the_node(m, &mut access, &cib)?],
            };
            let before = out.len();
            for node in nodes {
                if let Some(value) = get(&cib, &Scope::Status(node.clone()), name)? {
                    let _ = writeln!(out, "name=\"{name}\" host=\"{node}\" value=\"{value}\"");
                }
            }
            return match out.len() > before {
                true => Ok(code::OK),
                false => Err(Failure::new(
                    code::NO_SUCH_OBJECT,
                    format!("Could not query value of {name}: attribute does not exist"),
                )),
            };
        }
        let node = the_node(m, &mut access, &cib)?;
        let now = get(&cib, &Scope::Status(node), name)?;
        let value = counted(value.unwrap_or_default(), now.as_deref());
        put(&mut access, m, name, Some(&value), dampen)?;
        Ok(code::OK)
    })
}

/// A transient attribute, without a look at the CIB: agents call it with every monitor.
fn put(access: &mut Access, m: &ArgMatches, name: &str, value: Option<&str>, dampen: Duration) -> Result<(), Failure> {
    let set = m.try_get_one::<String>("set").ok().flatten().cloned();
    Ok(access.set_transient(Attribute {
        name: name.to_owned(),
        value: value.map(str::to_owned),
        node: one(m, "node").map(str::to_owned),
        dampen,
        set,
    })?)
}

/// `value++` and `value+=5` count on from what is there; everything else is what it says.
fn counted(word: &str, now: Option<&str>) -> String {
    let add = match word.split_once("value+") {
        Some(("", "+")) => Some(1),
        Some(("", rest)) => rest.strip_prefix('=').and_then(|n| n.parse().ok()),
        _ => None,
    };
    let Some(add) = add else {
        return word.to_owned();
    };
    let now = now.and_then(crate::cib::Score::parse).unwrap_or_default();
    (now + crate::cib::Score::new(add)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_on() {
        let table = [
            ("5", Some("1"), "5"),
            ("value++", Some("1"), "2"),
            ("value++", None, "1"),
            ("value+=10", Some("INFINITY"), "INFINITY"),
            ("value+=10", Some("1"), "11"),
            ("value+=x", Some("1"), "value+=x"),
            ("", Some("1"), ""),
        ];
        for (word, now, then) in table {
            assert_eq!(counted(word, now), then, "{word} {now:?}");
        }
    }
}
