//! A cluster on one machine, to try and to rehearse.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use ha::lab::{Config, Lab, Options, control, demo, files, flood, handle, keeper, service, switch, talk, verbs};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The lab that `up` makes when it is given no name.
const DEFAULT: &str = "lab";

fn arguments() -> Command {
    let node = || Arg::new("NODE").required(true).help("name of a node");
    let lab = || {
        let help = "the lab meant [default: the only one there is]";
        Arg::new("lab").long("lab").short('l').value_name("LAB").help(help)
    };
    let name = || Arg::new("LAB").default_value(DEFAULT).help("name of the lab");
    let verb = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let on_node = |name, about| verb(name, about).arg(lab()).arg(node());
    let hidden = |name: &'static str| {
        let words = Arg::new("words").num_args(0..).allow_hyphen_values(true);
        Command::new(name).hide(true).arg(words)
    };
    Command::new("hb_lab")
        .about("Makes a cluster on one machine, with the real programs inside, and breaks it on demand")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(verb(
            "demo",
            "shows in half a minute what heartbeat does; needs no configuration",
        ))
        .subcommand(
            verb("up", "makes a lab")
                .arg(
                    Arg::new("config")
                        .short('c')
                        .value_name("HA_DIR")
                        .value_parser(value_parser!(PathBuf))
                        .help("rehearse this configuration (ha.cf, haresources, authkeys), as /etc/ha.d"),
                )
                .arg(
                    Arg::new("nodes")
                        .short('n')
                        .value_name("NODES")
                        .value_parser(value_parser!(u8).range(1..=100))
                        .conflicts_with("config")
                        .help("how many nodes, without -c [default: 2]"),
                )
                .arg(
                    Arg::new("serial")
                        .long("serial")
                        .action(ArgAction::SetTrue)
                        .help("join the first two nodes by a serial line"),
                )
                .arg(
                    Arg::new("crm")
                        .long("crm")
                        .action(ArgAction::SetTrue)
                        .conflicts_with("config")
                        .help("the nodes have the cluster resource manager (crm on) instead of haresources"),
                )
                .arg(
                    Arg::new("classic")
                        .long("classic")
                        .value_name("NODE")
                        .action(ArgAction::Append)
                        .help("heartbeat 3.0.6 runs in this node; needs root, and Debian's packages unpacked"),
                )
                .arg(
                    Arg::new("packages")
                        .long("packages")
                        .value_name("DIR")
                        .value_parser(value_parser!(PathBuf))
                        .help("where they are unpacked [default: $HB_LAB_CLASSIC, or classic/root of the build]"),
                )
                .arg(
                    Arg::new("ping")
                        .long("ping")
                        .value_name("ADDRESS")
                        .action(ArgAction::Append)
                        .value_parser(value_parser!(IpAddr))
                        .help("add a ping node: a host of this address and name, which cut, off and the others know"),
                )
                .arg(name()),
        )
        .subcommand(
            on_node(
                "exec",
                "runs a command in a node (the one outside the cluster is \"client\")",
            )
            .arg(
                Arg::new("CMD")
                    .required(true)
                    .num_args(1..)
                    .last(true)
                    .help("the command and its arguments"),
            ),
        )
        .subcommand(on_node(
            "start",
            "starts heartbeat in a node; switches the node on if it is off",
        ))
        .subcommand(on_node("stop", "stops heartbeat in a node"))
        .subcommand(on_node(
            "kill",
            "kills every process of a node; its kernel and its addresses live on",
        ))
        .subcommand(on_node("freeze", "stops every process of a node from running"))
        .subcommand(on_node("thaw", "lets the processes of a frozen node run again"))
        .subcommand(on_node(
            "off",
            "takes the power from a node: processes, addresses and link are gone",
        ))
        .subcommand(on_node("on", "switches a node on, without starting heartbeat"))
        .subcommand(
            verb(
                "cut",
                "lets nothing pass between two nodes, or between one and all others",
            )
            .arg(lab())
            .arg(
                Arg::new("one-way")
                    .long("one-way")
                    .action(ArgAction::SetTrue)
                    .help("cut only what A sends to B"),
            )
            .arg(
                Arg::new("link")
                    .long("link")
                    .value_name("LINK")
                    .default_value("*")
                    .help(
                        "only this interface, as eth1; \"serial\" is the serial line, \"*\" every interface but that",
                    ),
            )
            .arg(
                Arg::new("loss")
                    .long("loss")
                    .value_name("PERCENT")
                    .value_parser(value_parser!(u8).range(0..=100))
                    .help("lose only this share of the packets"),
            )
            .arg(Arg::new("A").required(true).help("a node"))
            .arg(
                Arg::new("B")
                    .default_value("*")
                    .help("another node; \"*\": all of them"),
            ),
        )
        .subcommand(verb("heal", "ends all cuts").arg(lab()))
        .subcommand(
            verb("watch", "asks every millisecond, from the client, who has an address")
                .arg(lab())
                .arg(
                    Arg::new("for")
                        .long("for")
                        .value_name("SECONDS")
                        .value_parser(value_parser!(f64))
                        .help("how long; without it until Ctrl-C"),
                )
                .arg(
                    Arg::new("json")
                        .long("json")
                        .action(ArgAction::SetTrue)
                        .help("print one JSON object at the end"),
                )
                .arg(
                    Arg::new("ADDR")
                        .value_parser(value_parser!(Ipv4Addr))
                        .help("the address [default: the first of haresources]"),
                ),
        )
        .subcommand(
            verb("status", "shows the nodes and the cuts")
                .arg(Arg::new("LAB").help("name of the lab [default: the only one there is]")),
        )
        .subcommand(verb("down", "ends a lab, alive or dead, and removes all of it").arg(name()))
        .subcommands(
            [
                "__switch", "__keeper", "__probe", "__serve", "__ask", "__talk", "__flood",
            ]
            .map(hidden),
        )
}

fn main() -> ExitCode {
    let matches = match arguments().try_get_matches() {
        Ok(matches) => matches,
        Err(e) => {
            if e.use_stderr() {
                let text = e.render().to_string().replacen("error: ", "hb_lab: ", 1);
                let _ = io::stderr().write_all(text.as_bytes());
            } else {
                let _ = e.print();
            }
            // 2, wrong arguments, as LSB has it; 0 when help was asked for.
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    match run(&matches) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            let _ = writeln!(io::stderr(), "hb_lab: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(matches: &ArgMatches) -> io::Result<u8> {
    let Some((verb, args)) = matches.subcommand() else {
        return Ok(2);
    };
    let text = |name: &str| args.get_one::<String>(name).cloned().unwrap_or_default();
    if verb.starts_with("__") {
        return inner(verb, args).map(|()| 0);
    }
    match verb {
        "demo" => return Ok(demo::run()),
        "up" => return up(args).map(|()| 0),
        "down" => return verbs::down(&text("LAB")).map(|()| 0),
        "status" => return verbs::status(&attach(args.get_one("LAB"))?).map(|()| 0),
        _ => {}
    }
    let lab = attach(args.get_one("lab"))?;
    let node = || text("NODE");
    match verb {
        "exec" => {
            let words: Vec<String> = args.get_many("CMD").into_iter().flatten().cloned().collect();
            return handle::run_inside(&lab.plan, &node(), &words).map(verbs::exit_code);
        }
        "start" => return verbs::passed_on(&lab.start(&node())?),
        "stop" => return verbs::passed_on(&lab.stop(&node())?),
        "kill" => lab.kill(&node())?,
        "freeze" => lab.freeze(&node())?,
        "thaw" => lab.thaw(&node())?,
        "off" => lab.power_off(&node())?,
        "on" => lab.power_on(&node())?,
        "cut" => {
            let percent = args.get_one::<u8>("loss").copied().unwrap_or(100);
            let (a, b, link) = (text("A"), text("B"), text("link"));
            lab.fault(&a, &b, &link, percent)?;
            if !args.get_flag("one-way") {
                lab.fault(&b, &a, &link, percent)?;
            }
        }
        "heal" => lab.heal()?,
        "watch" => {
            let address = match args.get_one::<Ipv4Addr>("ADDR") {
                Some(address) => *address,
                None => verbs::first_address(&lab)?,
            };
            verbs::watch(&lab, address, args.get_one("for").copied(), args.get_flag("json"))?;
        }
        other => return Err(io::Error::other(format!("\"{other}\" is not a verb"))),
    }
    Ok(0)
}

/// The lab of this name; without a name the one called "lab", or else the only one.
fn attach(name: Option<&String>) -> io::Result<Lab> {
    if let Some(name) = name {
        return Lab::attach(name);
    }
    let labs = labs();
    match &labs[..] {
        many if many.len() > 1 && !many.iter().any(|n| n == DEFAULT) => {
            let message = format!("several labs are up ({}); say which one with its name", many.join(", "));
            Err(io::Error::other(message))
        }
        [only] => Lab::attach(only),
        _ => Lab::attach(DEFAULT),
    }
}

/// The labs that are up, in alphabetical order; those of the demo come and go.
fn labs() -> Vec<String> {
    let entries = std::fs::read_dir(files::base()).into_iter().flatten().flatten();
    let names = entries.filter_map(|e| e.file_name().into_string().ok());
    let mut labs: Vec<String> = names.filter(|n| control::alive(&files::lab(n))).collect();
    labs.sort();
    labs
}

fn up(args: &ArgMatches) -> io::Result<()> {
    let mut options = Options::new(args.get_one::<String>("LAB").map_or("lab", String::as_str));
    options.owned = false;
    options.serial = args.get_flag("serial");
    options.crm = args.get_flag("crm");
    options.ping = args.get_many("ping").into_iter().flatten().copied().collect();
    let count = args.get_one::<u8>("nodes").copied().unwrap_or(2);
    options.nodes = (1..=count).map(|n| format!("node{n}")).collect();
    options.classic = args
        .get_many::<String>("classic")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    options.packages = args.get_one::<PathBuf>("packages").cloned();
    if let Some(dir) = args.get_one::<PathBuf>("config") {
        options.config = Config::Site(dir.clone());
    }
    verbs::up(&options)
}

/// The parts of a lab that are processes of their own.
fn inner(verb: &str, args: &ArgMatches) -> io::Result<()> {
    let words: Vec<&String> = args.get_many("words").into_iter().flatten().collect();
    let word = |n: usize| words.get(n).map_or("", |w| w.as_str());
    let bad = |e: &dyn std::fmt::Display| io::Error::other(format!("{verb}: {e}"));
    let port = |n: usize| word(n).parse::<u16>().map_err(|e| bad(&e));
    match verb {
        "__switch" => switch::run(Path::new(word(0)), word(1) == "--owned"),
        "__keeper" => keeper::run(Path::new(word(0)), word(1)),
        "__probe" => verbs::probe(Path::new(word(0)), word(1).parse().map_err(|e| bad(&e))?),
        "__serve" => service::serve(port(0)?, word(1)),
        "__talk" => talk::talk(word(0), word(1).parse().map_err(|e| bad(&e))?, Path::new(word(2))),
        "__flood" => {
            let words: Vec<&str> = words.iter().skip(1).map(|w| w.as_str()).collect();
            flood::run(Path::new(word(0)), &words)
        }
        "__ask" => {
            let address: IpAddr = word(0).parse().map_err(|e| bad(&e))?;
            let text = service::ask(address, port(1)?, Duration::from_millis(500))?;
            writeln!(io::stdout(), "{text}")
        }
        _ => Err(bad(&"is not a part of a lab")),
    }
}
