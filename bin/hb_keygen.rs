//! hb_keygen: writes authkeys with a random key.

use clap::{Arg, ArgAction, Command};
use ha::check::keygen::{self, KeygenError};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Command::new("hb_keygen")
        .about("Writes authkeys with a random key, mode 600")
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Write FILE instead of /etc/ha.d/authkeys"),
        )
        .arg(
            Arg::new("method")
                .long("method")
                .value_name("METHOD")
                .value_parser(["sha1", "sha256", "md5"])
                .default_value("sha1")
                .help("Method of the signature"),
        )
        .arg(
            Arg::new("force")
                .long("force")
                .action(ArgAction::SetTrue)
                .help("Replace an existing file; the old one is kept as FILE.bak"),
        )
        .try_get_matches();
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(e) if e.use_stderr() => {
            let text = e.render().to_string().replacen("error: ", "hb_keygen: ", 1);
            let _ = io::stderr().write_all(text.as_bytes());
            return ExitCode::from(2);
        }
        Err(e) => {
            let _ = e.print();
            return ExitCode::SUCCESS;
        }
    };
    let path = arguments
        .get_one::<PathBuf>("output")
        .cloned()
        .unwrap_or_else(ha::paths::authkeys);
    let method = arguments.get_one::<String>("method").map_or("sha1", String::as_str);
    match keygen::write(&path, method, arguments.get_flag("force")) {
        Ok(backup) => {
            let shown = path.display();
            let mut text = format!("hb_keygen: {shown}: written, with a new {method} key\n");
            if let Some(old) = backup {
                text += &format!(
                    "The old keys are in {}: remove it when all nodes use the new ones.\n",
                    old.display()
                );
            }
            text += &format!(
                "Now copy it to the other node, over a connection you trust:\n  scp -p {shown} root@OTHER-NODE:{shown}\n\
                 Where heartbeat runs, load it on both nodes within deadtime:\n  /etc/init.d/heartbeat reload\n"
            );
            // Nobody reads it: the file is written all the same.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(e) => {
            let _ = writeln!(io::stderr(), "hb_keygen: {e}");
            match e {
                KeygenError::Io(_, e) if e.kind() == io::ErrorKind::PermissionDenied => ExitCode::from(4),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
