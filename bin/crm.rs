//! The crm shell; crm(8).

use clap::{Arg, ArgAction, ArgMatches, Command};
use ha::crm::shell::{Display, Options, run};
use std::process::ExitCode;

fn command() -> Command {
    let flag = |name: &'static str, short, help: &'static str| {
        Arg::new(name)
            .long(name)
            .short(short)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    let value = |name: &'static str, short, word: &'static str, help: &'static str| {
        Arg::new(name).long(name).short(short).value_name(word).help(help)
    };
    Command::new("crm")
        .override_usage("crm [OPTIONS] [LEVEL [COMMAND [ARGUMENT ...]]]")
        .about("Shows and changes the configuration and the state of the cluster")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(
            "Without a command it is a shell: \"help\" tells what there is. \"crm help LEVEL\" does so at once.",
        )
        .arg(value(
            "file",
            'f',
            "FILE",
            "read commands from FILE, or from standard input for -",
        ))
        .arg(flag(
            "force",
            'F',
            "answer every question with yes, and delete what runs, too",
        ))
        .arg(flag("no", 'n', "answer every question with no").conflicts_with("force"))
        .arg(flag(
            "wait",
            'w',
            "wait after each change until the cluster has followed",
        ))
        .arg(flag("debug", 'd', "say what is done"))
        .arg(
            value("display", 'D', "plain|color|uppercase", "how texts are shown").value_parser([
                "plain",
                "color",
                "color-always",
                "uppercase",
            ]),
        )
        .arg(value(
            "cib",
            'c',
            "NAME",
            "work on a copy of the configuration, made by \"cib new\"",
        ))
        .arg(
            Arg::new("words")
                .value_name("WORD")
                .help("a level, a command of it, its arguments")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true),
        )
}

fn options(matches: &ArgMatches) -> Options {
    let one = |name: &str| matches.get_one::<String>(name).cloned();
    Options {
        force: matches.get_flag("force"),
        no: matches.get_flag("no"),
        wait: matches.get_flag("wait"),
        debug: matches.get_flag("debug"),
        display: match one("display").as_deref() {
            Some("color" | "color-always") => Display::Color,
            Some("uppercase") => Display::Uppercase,
            _ => Display::Plain,
        },
        copy: one("cib"),
        file: one("file"),
        words: matches.get_many("words").into_iter().flatten().cloned().collect(),
    }
}

fn main() -> ExitCode {
    match command().try_get_matches() {
        Ok(matches) => ExitCode::from(run(options(&matches))),
        Err(e) => {
            let _ = e.print();
            ExitCode::from(u8::from(e.use_stderr()))
        }
    }
}
