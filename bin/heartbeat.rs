//! The daemon, and the command that starts, stops and checks it. See heartbeat(8).

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};
use ha::run::start;
use std::io::Write;
use std::process::ExitCode;

/// Words are ignored, as in heartbeat 3.0.6, except those that mean another option: `heartbeat stop` must not start it.
const WORDS: &[(&str, &str)] = &[
    ("help", "heartbeat --help"),
    ("reload", "heartbeat -r"),
    ("restart", "/etc/init.d/heartbeat restart"),
    ("standby", "hb_standby"),
    ("status", "heartbeat -s"),
    ("stop", "heartbeat -k"),
];
const WRONG_ARGUMENTS: u8 = 2;

fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        let short = name.chars().next().expect("every flag has a letter");
        Arg::new(name).short(short).action(ArgAction::SetTrue).help(help)
    };
    Command::new("heartbeat")
        .about("Keeps the resources of haresources alive on one of the nodes; without options: starts the daemon")
        .disable_version_flag(true)
        .arg(flag("s", "Status: is it running? (0 yes, 1 died, 3 stopped)"))
        .arg(flag("k", "Stop: release all resources, wait until the daemon is gone"))
        .arg(flag(
            "r",
            "Reload: check the files, then let the running daemon read them",
        ))
        .arg(flag(
            "t",
            "Check ha.cf, haresources and authkeys; every mistake with file and line",
        ))
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .requires("t")
                .help("With -t: as JSON"),
        )
        .arg(
            Arg::new("classic")
                .long("classic")
                .action(ArgAction::SetTrue)
                .requires("t")
                .help("With -t: also say what in the files heartbeat 3.0.6 takes differently"),
        )
        .arg(flag("f", "Stay in the foreground, log also to standard error"))
        .arg(flag("d", "Accepted as in the classic; use \"debug 1\" in ha.cf or SIGUSR1").action(ArgAction::Count))
        .arg(flag("l", "Accepted as in the classic; use \"realtime off\" in ha.cf"))
        .arg(flag("v", "Verbose: check the files first and show what they say"))
        .arg(flag("D", "Print the default values of ha.cf"))
        .arg(flag("W", "The same as wiki text"))
        .arg(flag("V", "Print the version"))
        .arg(flag("R", "Internal: carry on with the resources held").hide(true))
        .arg(
            Arg::new("C")
                .short('C')
                .value_name("STATE")
                .requires("R")
                .hide(true)
                .help("Internal, with -R"),
        )
        .arg(Arg::new("extra").num_args(0..).hide(true))
}

fn main() -> ExitCode {
    if let Some(role) = start::role() {
        return start::act(&role);
    }
    let args = match command().try_get_matches() {
        Ok(args) => args,
        Err(e) if e.kind() == ErrorKind::DisplayHelp => {
            let _ = e.print();
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            let text = e.render().to_string();
            // The rest of what clap says is a hint how to pass a value that begins with a dash; there is none.
            let lines: Vec<&str> = text.lines().map(str::trim).take_while(|l| !l.is_empty()).collect();
            let what = lines.join(" ").replacen("error: ", "", 1);
            complain(&format!("{what}; heartbeat --help lists the options"));
            return ExitCode::from(WRONG_ARGUMENTS);
        }
    };
    for word in args.get_many::<String>("extra").into_iter().flatten() {
        if let Some((_, instead)) = WORDS.iter().find(|(w, _)| w == word) {
            complain(&format!("\"{word}\" is not an option: it is {instead}"));
            return ExitCode::from(WRONG_ARGUMENTS);
        }
    }
    let on = |flag: &str| args.get_flag(flag);
    if on("V") {
        println!("{}", env!("CARGO_PKG_VERSION"));
        ExitCode::SUCCESS
    } else if on("D") || on("W") {
        start::defaults(on("W"))
    } else if on("t") {
        start::test_files(args.get_flag("json"), args.get_flag("classic"))
    } else if on("s") {
        start::status()
    } else if on("k") {
        start::stop()
    } else if on("R") {
        start::resume()
    } else if on("r") {
        start::reload()
    } else {
        if on("v") {
            start::test_files(false, false);
        }
        start::start(on("f"))
    }
}

fn complain(what: &str) {
    let _ = writeln!(std::io::stderr(), "heartbeat: {what}");
}
