//! The levels of the shell and their commands: one table for running, help and completion.

use std::fmt::Write;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Root,
    Configure,
    Resource,
    Node,
    Ra,
    Cib,
}

/// What a word of a command is, for completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg {
    Resource,
    Node,
    Object,
    Group,
    /// `ocf:heartbeat:IPaddr2`
    Agent,
    Class,
    Provider,
    /// NAME=VALUE of a cluster property.
    Property,
    /// What an object of the configuration goes on with, by its first word.
    Statement,
    Words(&'static [&'static str]),
    Any,
}

#[derive(Debug)]
pub struct Command {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// What follows the name.
    pub usage: &'static str,
    pub help: &'static str,
    pub args: &'static [Arg],
}

const fn c(
    name: &'static str,
    aliases: &'static [&'static str],
    usage: &'static str,
    help: &'static str,
    args: &'static [Arg],
) -> Command {
    Command {
        name,
        aliases,
        usage,
        help,
        args,
    }
}

use Arg::{Agent, Any, Class, Group, Node, Object, Property, Provider, Resource, Statement, Words};

const ON_OFF: Arg = Words(&["on", "off"]);
const LIFETIMES: Arg = Words(&["reboot", "forever"]);
const SET_SHOW_DELETE: Arg = Words(&["set", "show", "delete"]);
const STATUS_WORDS: Arg = Words(&[
    "bynode",
    "inactive",
    "ops",
    "timing",
    "failcounts",
    "verbose",
    "quiet",
    "html",
    "xml",
    "simple",
    "tickets",
    "noheaders",
    "detail",
    "brief",
    "full",
]);

/// In every level.
#[rustfmt::skip]
pub const EVERYWHERE: &[Command] = &[
    c("help", &["?"], "[COMMAND]", "what the commands of this level do, or how one is used", &[Any]),
    c("ls", &[], "", "the commands and levels that can be used here", &[]),
    c("cd", &[], "LEVEL|..", "go to a level, or one up", &[Any]),
    c("up", &["end", "back", ".."], "", "leave this level", &[]),
    c("quit", &["exit", "bye"], "", "leave the shell", &[]),
];

#[rustfmt::skip]
const ROOT: &[Command] = &[
    c("status", &[], "[OPTION ...]", "nodes, resources and failures, as crm_mon -1r", &[STATUS_WORDS, STATUS_WORDS, STATUS_WORDS]),
    c("verify", &[], "", "whether the cluster's configuration is in order", &[]),
];

#[rustfmt::skip]
const CONFIGURE: &[Command] = &[
    c("node", &[], "[$id=ID] NODE[:TYPE] [attributes N=V ...]", "a node and its attributes", &[Node, Statement]),
    c("primitive", &[], "ID [CLASS:[PROVIDER:]]TYPE|@TEMPLATE [params N=V ...] [meta N=V ...] [op NAME N=V ...] ...", "a resource", &[Any, Agent, Statement]),
    c("monitor", &[], "ID[:ROLE] INTERVAL[:TIMEOUT]", "looks after a primitive at that interval", &[Resource, Any]),
    c("group", &[], "ID MEMBER ... [params N=V ...] [meta N=V ...]", "resources that run together, one after the other", &[Any, Statement]),
    c("clone", &[], "ID RSC [params N=V ...] [meta N=V ...]", "a resource that runs on several nodes", &[Any, Resource, Statement]),
    c("ms", &["master"], "ID RSC [params N=V ...] [meta N=V ...]", "a clone of which some instances are masters", &[Any, Resource, Statement]),
    c("location", &[], "ID RSC SCORE: NODE, or ID RSC rule [$role=ROLE] SCORE: EXPR [and|or EXPR ...]", "where a resource likes to be", &[Any, Resource, Statement]),
    c("colocation", &["collocation"], "ID SCORE: RSC[:ROLE] WITH-RSC[:ROLE] ...", "where the second is, the first wants to be", &[Any, Any, Resource, Resource, Resource]),
    c("order", &[], "ID KIND|SCORE: FIRST[:ACTION] THEN[:ACTION] ... [symmetrical=BOOL]", "what is done first and what then", &[Any, Words(&["Mandatory:", "Optional:", "Serialize:", "inf:"]), Resource, Resource, Resource]),
    c("rsc_ticket", &[], "ID TICKET: RSC[:ROLE] ... [loss-policy=POLICY]", "resources that need a ticket", &[Any, Any, Resource]),
    c("property", &[], "[$id=SET] NAME=VALUE ...", "settings of the cluster", &[Property, Property, Property]),
    c("rsc_defaults", &[], "[$id=SET] NAME=VALUE ...", "meta attributes of every resource that does not say otherwise", &[Any]),
    c("op_defaults", &[], "[$id=SET] NAME=VALUE ...", "attributes of every operation that does not say otherwise", &[Any]),
    c("rsc_template", &[], "ID [CLASS:[PROVIDER:]]TYPE [params N=V ...] ...", "what several primitives have in common", &[Any, Agent, Statement]),
    c("fencing_topology", &[], "NODE: DEVICE[,DEVICE] ... [NODE: ...]", "which devices fence a node, level by level", &[Any]),
    c("tag", &[], "ID: OBJECT ...", "a name for several objects", &[Any, Object, Object]),
    c("xml", &[], "<ELEMENT>", "an object as XML", &[Any]),
    c("show", &[], "[xml] [changed | type:KIND | ID ...]", "the configuration as it would be after commit", &[Object, Object, Object]),
    c("get_property", &[], "NAME", "the value of a property", &[Any]),
    c("edit", &[], "[xml] [ID ...]", "change objects in $EDITOR", &[Object, Object, Object]),
    c("delete", &[], "[force] ID ...", "take objects away, and the constraints on them", &[Object, Object, Object]),
    c("rename", &[], "OLD NEW", "another name for an object, wherever it is referred to", &[Object, Any]),
    c("modgroup", &[], "GROUP add MEMBER [before|after MEMBER] | GROUP remove MEMBER", "change the members of a group", &[Group, Words(&["add", "remove"]), Resource, Words(&["before", "after"]), Resource]),
    c("verify", &[], "", "whether this configuration could be committed", &[]),
    c("commit", &[], "[force]", "make it the cluster's configuration", &[Words(&["force"])]),
    c("refresh", &[], "", "begin anew with the cluster's configuration", &[]),
    c("erase", &[], "[nodes]", "take everything away but the nodes, or these as well", &[Words(&["nodes"])]),
    c("load", &[], "[xml] replace|update|push FILE|-", "take the objects in that a file has", &[Words(&["replace", "update", "push", "xml"]), Any]),
    c("save", &[], "[xml] FILE", "write the configuration into a file", &[Any]),
    c("simulate", &["ptest"], "[nograph] [scores]", "what the cluster would do after commit", &[Words(&["nograph", "scores"])]),
    c("schema", &[], "", "the schema that the configuration is said to follow", &[]),
];

#[rustfmt::skip]
const RESOURCE: &[Command] = &[
    c("status", &["show", "list"], "[RSC]", "the resources, or where one runs", &[Resource]),
    c("start", &[], "RSC ...", "let it run", &[Resource, Resource]),
    c("stop", &[], "RSC ...", "let it not run", &[Resource, Resource]),
    c("restart", &[], "RSC", "stop it, wait, let it run again", &[Resource]),
    c("promote", &[], "RSC", "let it be master", &[Resource]),
    c("demote", &[], "RSC", "let it be slave", &[Resource]),
    c("manage", &[], "RSC", "look after it", &[Resource]),
    c("unmanage", &[], "RSC", "leave it alone", &[Resource]),
    c("maintenance", &[], "RSC [on|off]", "leave it alone and do not look at it", &[Resource, ON_OFF]),
    c("migrate", &["move"], "RSC [NODE] [LIFETIME] [force]", "have it go to a node, or away from where it is", &[Resource, Node]),
    c("unmigrate", &["unmove", "clear"], "RSC", "take back what migrate and ban did", &[Resource]),
    c("ban", &[], "RSC [NODE] [LIFETIME]", "keep it away from a node", &[Resource, Node]),
    c("param", &[], "RSC set NAME VALUE | delete NAME | show NAME", "its parameters", &[Resource, SET_SHOW_DELETE]),
    c("meta", &[], "RSC set NAME VALUE | delete NAME | show NAME", "its meta attributes", &[Resource, SET_SHOW_DELETE]),
    c("utilization", &[], "RSC set NAME VALUE | delete NAME | show NAME", "its utilization attributes", &[Resource, SET_SHOW_DELETE]),
    c("failcount", &[], "RSC show NODE | set NODE N | delete NODE", "how often it failed on a node", &[Resource, SET_SHOW_DELETE, Node]),
    c("cleanup", &[], "[RSC [NODE]]", "forget its failures", &[Resource, Node]),
    c("refresh", &[], "[RSC [NODE]]", "forget all that is known of it, and look again", &[Resource, Node]),
    c("reprobe", &[], "[NODE]", "look for resources that run", &[Node]),
    c("constraints", &[], "RSC", "the constraints on it", &[Resource]),
    c("locate", &[], "RSC", "the nodes it runs on", &[Resource]),
    c("operations", &[], "[RSC [NODE]]", "what was done with it, and what came of it", &[Resource, Node]),
    c("scores", &[], "", "how much each resource wants each node", &[]),
];

#[rustfmt::skip]
const NODE: &[Command] = &[
    c("status", &[], "[NODE]", "the nodes as XML", &[Node]),
    c("show", &["list"], "[NODE]", "the nodes and their attributes", &[Node]),
    c("standby", &[], "[NODE] [reboot|forever]", "let no resources run there", &[Node, LIFETIMES]),
    c("online", &[], "[NODE]", "let resources run there again", &[Node]),
    c("maintenance", &[], "[NODE]", "leave its resources alone", &[Node]),
    c("ready", &[], "[NODE]", "look after its resources again", &[Node]),
    c("attribute", &[], "NODE set NAME VALUE | delete NAME | show NAME", "its attributes", &[Node, SET_SHOW_DELETE]),
    c("utilization", &[], "NODE set NAME VALUE | delete NAME | show NAME", "what it can carry", &[Node, SET_SHOW_DELETE]),
    c("status-attr", &[], "NODE set NAME VALUE | delete NAME | show NAME", "its attributes until it leaves", &[Node, SET_SHOW_DELETE]),
    c("server", &[], "[NODE]", "the names of the nodes", &[Node]),
    c("fence", &[], "NODE", "have it fenced", &[Node]),
    c("clearstate", &[], "NODE", "tell the cluster that a node is known to be down", &[Node]),
    c("delete", &[], "NODE", "take a node that has left out of the cluster", &[Node]),
];

#[rustfmt::skip]
const RA: &[Command] = &[
    c("classes", &[], "", "classes of agents, and the providers of class ocf", &[]),
    c("list", &[], "CLASS [PROVIDER]", "the agents of a class", &[Class, Provider]),
    c("providers", &[], "TYPE [CLASS]", "who has an agent of that type", &[Any, Class]),
    c("meta", &["info"], "[CLASS:[PROVIDER:]]TYPE, or TYPE CLASS [PROVIDER]", "what an agent does, its parameters and operations", &[Agent, Class, Provider]),
];

#[rustfmt::skip]
const CIB: &[Command] = &[
    c("new", &[], "NAME", "a copy of the configuration to try things with, and use it", &[Any]),
    c("use", &[], "[NAME|live]", "work on a copy, or on the cluster again", &[Any]),
    c("list", &[], "", "the copies there are", &[]),
    c("delete", &[], "NAME", "take a copy away", &[Any]),
    c("commit", &[], "[NAME]", "make a copy the cluster's configuration", &[Any]),
];

impl Level {
    pub const ALL: [Self; 6] = [
        Self::Root,
        Self::Configure,
        Self::Resource,
        Self::Node,
        Self::Ra,
        Self::Cib,
    ];

    /// As it is in the prompt; nothing for the root.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "",
            Self::Configure => "configure",
            Self::Resource => "resource",
            Self::Node => "node",
            Self::Ra => "ra",
            Self::Cib => "cib",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Self::Root => "the crm shell",
            Self::Configure => "the configuration: resources, constraints, properties",
            Self::Resource => "resources: start, stop, move, clean up",
            Self::Node => "nodes: standby, online, attributes",
            Self::Ra => "resource agents: which there are, what they do",
            Self::Cib => "copies of the configuration to try things with",
        }
    }

    /// The levels below.
    pub fn sublevels(self) -> &'static [Self] {
        match self {
            Self::Root => &[Self::Configure, Self::Resource, Self::Node, Self::Ra, Self::Cib],
            Self::Configure => &[Self::Ra, Self::Cib],
            Self::Resource | Self::Node | Self::Ra | Self::Cib => &[],
        }
    }

    /// Its own commands, not those of every level.
    pub fn commands(self) -> &'static [Command] {
        match self {
            Self::Root => ROOT,
            Self::Configure => CONFIGURE,
            Self::Resource => RESOURCE,
            Self::Node => NODE,
            Self::Ra => RA,
            Self::Cib => CIB,
        }
    }
}

/// What the first word of a line is.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    Command(&'static Command),
    Level(Level),
}

impl Found {
    fn name(&self) -> &'static str {
        match self {
            Self::Command(command) => command.name,
            Self::Level(level) => level.name(),
        }
    }
}

/// The command or level that a word is, whole or as the beginning of only one.
pub fn find(level: Level, word: &str) -> Result<Found, String> {
    let commands = level.commands().iter().chain(EVERYWHERE);
    let named = commands.flat_map(|c| {
        std::iter::once(&c.name)
            .chain(c.aliases)
            .map(move |n| (*n, Found::Command(c)))
    });
    let levels = level.sublevels().iter().map(|l| (l.name(), Found::Level(*l)));
    let all: Vec<(&str, Found)> = named.chain(levels).collect();
    if let Some((_, found)) = all.iter().find(|(name, _)| *name == word) {
        return Ok(*found);
    }
    let mut candidates: Vec<&(&str, Found)> = all.iter().filter(|(name, _)| name.starts_with(word)).collect();
    candidates.dedup_by_key(|(_, found)| found.name());
    match candidates[..] {
        [] => Err(format!("{}: No such command", qualified(level, word))),
        [(_, found)] => Ok(*found),
        _ => {
            let names: Vec<&str> = candidates.iter().map(|(name, _)| *name).collect();
            Err(format!(
                "{}: may be each of {}",
                qualified(level, word),
                names.join(", ")
            ))
        }
    }
}

/// `configure.nosuchcmd`
fn qualified(level: Level, word: &str) -> String {
    match level {
        Level::Root => word.to_owned(),
        level => format!("{}.{word}", level.name()),
    }
}

/// `crm(live)configure ra# `
pub fn prompt(cib: &str, levels: &[Level]) -> String {
    let names: Vec<&str> = levels.iter().map(|l| l.name()).collect();
    format!("crm({cib}){}# ", names.join(" "))
}

/// What `help` prints in a level.
pub fn help(level: Level) -> String {
    let mut out = format!("{}\n\n", level.about());
    let mut line = |name: &str, help: &str| {
        let _ = writeln!(out, "  {name:<16} {help}");
    };
    for command in level.commands() {
        line(command.name, command.help);
    }
    for sub in level.sublevels() {
        line(sub.name(), &format!("-> {}", sub.about()));
    }
    for command in EVERYWHERE {
        line(command.name, command.help);
    }
    out + "\nhelp COMMAND tells how one is used.\n"
}

/// What `help COMMAND` prints.
pub fn help_of(command: &Command) -> String {
    let mut out = format!("usage: {} {}\n{}\n", command.name, command.usage, command.help);
    if !command.aliases.is_empty() {
        let _ = writeln!(out, "also: {}", command.aliases.join(", "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_found_by_its_name_or_a_beginning_that_is_clear() {
        #[rustfmt::skip]
        let table: &[(Level, &str, Result<&str, &str>)] = &[
            (Level::Root,      "conf",       Ok("configure")),
            (Level::Root,      "res",        Ok("resource")),
            (Level::Root,      "r",          Err("r: may be each of resource, ra")),
            (Level::Root,      "primitive",  Err("primitive: No such command")),
            (Level::Configure, "prim",       Ok("primitive")),
            (Level::Configure, "master",     Ok("ms")),
            (Level::Configure, "c",          Err("configure.c: may be each of clone, colocation, commit, cd, cib")),
            (Level::Configure, "col",        Ok("colocation")),
            (Level::Configure, "nosuchcmd",  Err("configure.nosuchcmd: No such command")),
            (Level::Configure, "ra",         Ok("ra")),
            (Level::Configure, "resource",   Err("configure.resource: No such command")),
            (Level::Configure, "end",        Ok("up")),
            (Level::Configure, "..",         Ok("up")),
            (Level::Configure, "exit",       Ok("quit")),
            (Level::Resource,  "move",       Ok("migrate")),
            (Level::Node,      "stand",      Ok("standby")),
            (Level::Ra,        "info",       Ok("meta")),
            (Level::Ra,        "?",          Ok("help")),
        ];
        for (level, word, expected) in table {
            let found = find(*level, word).map(|f| f.name());
            assert_eq!(
                found.as_deref().map_err(|e| &**e),
                expected.as_ref().map(|n| *n).map_err(|e| *e),
                "{level:?} {word}"
            );
        }
    }

    #[test]
    fn prompts_are_those_of_the_articles() {
        assert_eq!(prompt("live", &[]), "crm(live)# ");
        assert_eq!(prompt("live", &[Level::Configure]), "crm(live)configure# ");
        assert_eq!(
            prompt("live", &[Level::Configure, Level::Ra]),
            "crm(live)configure ra# "
        );
        assert_eq!(prompt("test", &[Level::Ra]), "crm(test)ra# ");
    }

    #[test]
    fn every_command_and_level_is_in_the_help_of_its_level() {
        for level in Level::ALL {
            let text = help(level);
            for command in level.commands().iter().chain(EVERYWHERE) {
                assert!(
                    text.contains(&format!("  {} ", command.name)),
                    "{level:?} {}",
                    command.name
                );
                assert!(help_of(command).starts_with(&format!("usage: {}", command.name)));
            }
        }
    }
}
