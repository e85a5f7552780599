//! hb_standby and hb_takeover: ask for a move of resources, and say what becomes of it.
//!
//! The classic commands wrote a message and knew nothing more. These sign on first, so that no event is missed, then
//! write the message with their process number as `reqid`, and show the daemon's `hb_phase` events about it.

use super::client::{Client, ClientError};
use super::command::send_command_to;
use crate::clients::request::{self, field};
use crate::msg::{Message, fields};
use crate::sys::interrupt::Told;
use crate::sys::poll::{Want, wait};
use crate::time::{Duration, Instant, parse_time};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// How long an answer to the sign-on may take.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// This node gives resources to the other one.
    Standby,
    /// This node takes resources from the other one.
    Takeover,
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Self::Standby => "hb_standby",
            Self::Takeover => "hb_takeover",
        }
    }

    pub fn usage(self) -> String {
        let (name, verb) = match self {
            Self::Standby => (self.name(), "Gives resources to the other node"),
            Self::Takeover => (self.name(), "Takes resources from the other node"),
        };
        let home = match self {
            Self::Standby => "foreign",
            Self::Takeover => "local",
        };
        format!(
            "usage: {name} [--no-wait] [--timeout SECONDS] [all|local|foreign|failback]\n\n\
             {verb} and waits until it is done.\n\n\
             \x20 all       every resource (default)\n\
             \x20 local     those that haresources gives to this node\n\
             \x20 foreign   those that it gives to the other node\n\
             \x20 failback  the same as {home}: each resource to the node it belongs to\n\n\
             \x20 --no-wait          only ask, as the classic command did\n\
             \x20 --timeout SECONDS  wait no longer (default 0: as long as it takes)\n\
             \x20 -h, --help         this text\n"
        )
    }

    /// What the daemon is told. Sets are named from the view of this node in both commands.
    fn message(self, set: &str, reqid: &str) -> Message {
        match self {
            Self::Standby => Message::new("ask_resources").with(fields::INFO, "me"),
            Self::Takeover => Message::new("hb_takeover"),
        }
        .with(fields::RSC_HOLD, set)
        .with(field::REQID, reqid)
    }
}

/// The command line, understood.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Order {
    set: &'static str,
    wait: bool,
    timeout: Option<Duration>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Line {
    Move(Order),
    Help,
    Wrong(String),
}

fn parse(command: Command, args: &[String]) -> Line {
    let name = command.name();
    let mut order = Order {
        set: "all",
        wait: true,
        timeout: None,
    };
    let mut sets = 0;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let time = match arg.as_str() {
            "--help" | "-h" => return Line::Help,
            "--no-wait" => {
                order.wait = false;
                continue;
            }
            "--timeout" => args.next().map_or("", String::as_str),
            a if a.starts_with("--timeout=") => &a["--timeout=".len()..],
            set => {
                sets += 1;
                order.set = match (set, command) {
                    ("all", _) => "all",
                    ("local", _) | ("failback", Command::Takeover) => "local",
                    ("foreign", _) | ("failback", Command::Standby) => "foreign",
                    (wrong, _) => return Line::Wrong(format!("{name}: wrong resources({wrong}).")),
                };
                continue;
            }
        };
        match parse_time(time) {
            Ok(t) => order.timeout = Some(t).filter(|t| !t.is_zero()),
            Err(why) => return Line::Wrong(format!("{name}: --timeout: {why}")),
        }
    }
    if sets > 1 {
        return Line::Wrong(format!("{name}: too many arguments"));
    }
    Line::Move(order)
}

/// Why the move is not (known to be) done.
#[derive(Debug)]
enum Failure {
    Client(ClientError),
    /// The conversation ended while the move was under way.
    Lost,
    Ended {
        phase: String,
        info: String,
    },
    Interrupted,
    TooLong(Duration),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client(e) => write!(f, "{e}"),
            Self::Lost => f.write_str(
                "heartbeat ended while this waited; whether resources moved is not known, see cl_status status",
            ),
            Self::Ended { phase, info } if info.is_empty() => write!(f, "{phase}; the log of heartbeat tells more"),
            Self::Ended { phase, info } => write!(f, "{phase}: {info}"),
            Self::Interrupted => f.write_str("no longer waiting; the move goes on, see cl_status status"),
            Self::TooLong(t) => write!(
                f,
                "not done within {} s; the move goes on, see cl_status status",
                t.as_secs_f32()
            ),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(e: ClientError) -> Self {
        Self::Client(e)
    }
}

/// The program of this command.
pub fn main_of(command: Command) -> ExitCode {
    super::program(|args, state, out, err| run(command, args, state, out, err))
}

/// Does what the command line says with the daemon that has this state directory. The exit code is 0 or 1, as in the
/// classic.
pub fn run(command: Command, args: &[String], state: &Path, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    // Nobody may be listening any more; the move does not depend on that.
    let order = match parse(command, args) {
        Line::Move(order) => order,
        Line::Help => {
            let _ = write!(out, "{}", command.usage());
            return 0;
        }
        Line::Wrong(why) => {
            let _ = write!(err, "{why}\n{}", command.usage());
            return 1;
        }
    };
    match do_move(command, &order, state, out, err) {
        Ok(()) => 0,
        Err(why) => {
            let _ = writeln!(err, "{}: {why}", command.name());
            1
        }
    }
}

fn do_move(
    command: Command,
    order: &Order,
    state: &Path,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), Failure> {
    let reqid = std::process::id().to_string();
    let message = command.message(order.set, &reqid);
    let going = |err: &mut dyn Write| match command {
        Command::Standby => drop(writeln!(err, "Going standby [{}].", order.set)),
        Command::Takeover => {}
    };
    let fifo = state.join("fifo");
    if !order.wait {
        send_command_to(&fifo, &message)?;
        going(err);
        return Ok(());
    }
    let interrupt = Told::of_interruption().map_err(|e| ClientError::Os("signals".into(), e))?;
    let mut client = Client::connect_as(state, &reqid, TIMEOUT)?;
    client.ask_one(&request::of(request::SETFILTER).with(field::FMASK, "1"))?;
    send_command_to(&fifo, &message)?;
    going(err);
    let deadline = order.timeout.map_or(Instant::NEVER, |t| crate::sys::now() + t);
    loop {
        while let Some(event) = client.event().map_err(lost)? {
            if event.kind() == PHASE && event.get(field::REQID) == Some(&reqid) {
                match ended(&event) {
                    Some(end) => {
                        if end.is_ok() {
                            let _ = writeln!(out, "{}", words(&event));
                        }
                        return end;
                    }
                    None => drop(writeln!(out, "{}", words(&event)).and_then(|()| out.flush())),
                }
            }
        }
        if let Some(t) = order.timeout.filter(|_| crate::sys::now() >= deadline) {
            return Err(Failure::TooLong(t));
        }
        let wants = [Want::read(client.fd()), Want::read(interrupt.fd())];
        let ready = wait(&wants, deadline).map_err(|e| ClientError::Os("events of heartbeat".into(), e))?;
        if ready[1].read {
            return Err(Failure::Interrupted);
        }
    }
}

/// Type of the events about a move.
pub const PHASE: &str = "hb_phase";

fn lost(error: ClientError) -> Failure {
    match error {
        ClientError::Closed => Failure::Lost,
        other => Failure::Client(other),
    }
}

/// The result, if this event is the last one.
fn ended(event: &Message) -> Option<Result<(), Failure>> {
    let phase = event.get(field::PHASE).unwrap_or("");
    match phase {
        "done" => Some(Ok(())),
        "refused" | "failed" => Some(Err(Failure::Ended {
            phase: phase.to_owned(),
            info: event.get(fields::INFO).unwrap_or("").to_owned(),
        })),
        // queued, asked, releasing, acquiring, and what a later daemon may say.
        _ => None,
    }
}

/// `releasing: all resources, n1 to n2 (why)`
fn words(event: &Message) -> String {
    let get = |name| event.get(name).unwrap_or("");
    let mut text = get(field::PHASE).to_owned();
    if !get(fields::RSC_HOLD).is_empty() {
        text += &format!(": {} resources", get(fields::RSC_HOLD));
    }
    if !get(field::GIVER).is_empty() && !get(field::TAKER).is_empty() {
        text += &format!(", {} to {}", get(field::GIVER), get(field::TAKER));
    }
    if !get(fields::INFO).is_empty() {
        text += &format!(" ({})", get(fields::INFO));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        let order = |set, wait, seconds| {
            Line::Move(Order {
                set,
                wait,
                timeout: Some(Duration::from_secs(seconds)).filter(|t| !t.is_zero()),
            })
        };
        let wrong = |text: &str| Line::Wrong(text.to_owned());
        #[rustfmt::skip]
        let table = [
            (Command::Standby,  "",                        order("all", true, 0)),
            (Command::Standby,  "all",                     order("all", true, 0)),
            (Command::Standby,  "local",                   order("local", true, 0)),
            (Command::Standby,  "foreign",                 order("foreign", true, 0)),
            (Command::Standby,  "failback",                order("foreign", true, 0)),
            (Command::Takeover, "failback",                order("local", true, 0)),
            (Command::Takeover, "--no-wait local",         order("local", false, 0)),
            (Command::Takeover, "local --timeout 7",       order("local", true, 7)),
            (Command::Takeover, "--timeout=7",             order("all", true, 7)),
            (Command::Takeover, "--timeout 0",             order("all", true, 0)),
            (Command::Standby,  "--help",                  Line::Help),
            (Command::Standby,  "everything",              wrong("hb_standby: wrong resources(everything).")),
            (Command::Takeover, "-x",                      wrong("hb_takeover: wrong resources(-x).")),
            (Command::Standby,  "all local",               wrong("hb_standby: too many arguments")),
        ];
        for (command, line, expected) in table {
            let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(parse(command, &args), expected, "{command:?} {line}");
        }
        for line in ["--timeout", "--timeout -1", "--timeout=soon"] {
            let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert!(matches!(parse(Command::Standby, &args), Line::Wrong(_)), "{line}");
        }
    }

    #[test]
    fn what_the_daemon_is_told() {
        let fields = |m: Message| {
            let one = |f: &crate::msg::Field| format!("{}={}", f.name, m.get(&f.name).unwrap());
            m.fields().iter().map(one).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            fields(Command::Standby.message("all", "70")),
            "t=ask_resources info=me rsc_hold=all reqid=70"
        );
        assert_eq!(
            fields(Command::Takeover.message("local", "70")),
            "t=hb_takeover rsc_hold=local reqid=70"
        );
    }
}
