//! cl_status: questions to the daemon of this node, in the words and with the exit codes of heartbeat 3.0.6.

use super::client::{Client, ClientError};
use super::last_state::LastState;
use super::watch;
use crate::clients::json::Json;
use crate::clients::request::{self, field};
use crate::clients::{prometheus, screen};
use crate::msg::{Message, fields};
use crate::paths;
use crate::sys::clock::local_time;
use crate::sys::terminal;
use crate::time::{Duration, parse_time};
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;

/// An ordinary "no": down, dead, offline.
pub const NO: u8 = 1;
pub const BAD_PARAMETER: u8 = 11;
pub const NO_ANSWER: u8 = 12;
pub const OTHER: u8 = 13;

/// How long an answer may take. As in heartbeat 3.0.6.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What `watch -n` takes.
const WATCH_EVERY: std::ops::RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(3600);

pub const USAGE: &str = "\
usage: cl_status SUBCOMMAND [OPTIONS] [PARAMETERS]

  hbstatus [-v]                      does heartbeat run on this machine?
  status [--json|--prometheus]       everything at once
  watch [-n SECONDS] [--once]        the same on the whole terminal, as it changes
  listnodes [-n|-p] [-v]             all nodes, normal nodes, ping nodes
  nodestatus NODE                    active, up, init, dead, ping
  nodetype NODE                      normal, ping
  nodeweight NODE
  nodesite NODE
  listhblinks NODE [-v]              the links a node is heard on
  hblinkstatus NODE LINK             up, dead
  clientstatus NODE CLIENT [MS]      online, offline
  rscstatus                          none, local, foreign, all, transition
  hbparameter -p NAME                a parameter of ha.cf

  -m  sentences instead of words     -v  more
  -n  normal nodes only              -p  ping nodes only; with hbparameter: NAME
  --json, --prometheus  for programs -h, --help
  --once  one screen, then end       with watch, -n: ask every so many seconds (1)
";

/// What is to be printed, and the exit code.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    pub code: u8,
    pub out: String,
    pub err: String,
}

/// Why there is no answer to print.
#[derive(Debug)]
struct Failure {
    code: u8,
    text: String,
}

impl From<ClientError> for Failure {
    fn from(e: ClientError) -> Self {
        let code = match e {
            ClientError::NoAnswer(_) | ClientError::Busy => NO_ANSWER,
            ClientError::NotRunning
            | ClientError::NotPermitted(_)
            | ClientError::Refused { .. }
            | ClientError::Closed
            | ClientError::TooLong { .. }
            | ClientError::Spoilt(_)
            | ClientError::NameTaken(_)
            | ClientError::BadName(_)
            | ClientError::Os(..) => OTHER,
        };
        Self {
            code,
            text: format!("cl_status: {e}"),
        }
    }
}

/// The command line, options anywhere.
#[derive(Debug, Default)]
struct Line {
    verb: String,
    words: Vec<String>,
    sentences: bool,
    normal: bool,
    ping: bool,
    verbose: bool,
    json: bool,
    prometheus: bool,
    once: bool,
    every: Option<String>,
    help: bool,
    parameter: Option<String>,
}

impl Line {
    fn parse(args: &[String]) -> Result<Self, Failure> {
        let mut line = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--json" => line.json = true,
                "--prometheus" => line.prometheus = true,
                "--once" => line.once = true,
                "--help" => line.help = true,
                "-n" if line.verb == "watch" => line.every = args.next().cloned().or(Some(String::new())),
                "-p" if line.verb == "hbparameter" => line.parameter = args.next().cloned(),
                a if a.starts_with('-') && a.len() > 1 => {
                    for letter in a.chars().skip(1) {
                        match letter {
                            'm' => line.sentences = true,
                            'n' => line.normal = true,
                            'p' => line.ping = true,
                            'v' => line.verbose = true,
                            'h' => line.help = true,
                            _ => return Err(bad(format!("cl_status: {a}: there is no such option\n{USAGE}"))),
                        }
                    }
                }
                word if line.verb.is_empty() => word.clone_into(&mut line.verb),
                word => line.words.push(word.to_owned()),
            }
        }
        Ok(line)
    }

    /// The parameters of the sub-command, which wants exactly `N`.
    fn parameters<const N: usize>(&self, names: [&str; N]) -> Result<[&str; N], Failure> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        words.try_into().map_err(|_| {
            let verb = &self.verb;
            bad(match N {
                0 => format!("cl_status: {verb}: takes no parameter"),
                _ => format!("cl_status: {verb}: wants {}", names.join(" and ")),
            })
        })
    }
}

fn bad(text: String) -> Failure {
    Failure {
        code: BAD_PARAMETER,
        text,
    }
}

/// Does what the command line says, against the daemon with this state directory.
pub fn run(args: &[String], state: &Path) -> Outcome {
    let mut out = String::new();
    match answer(args, state, &mut out) {
        Ok(code) => Outcome {
            code,
            out,
            err: String::new(),
        },
        Err(failure) => Outcome {
            code: failure.code,
            out,
            err: failure.text + "\n",
        },
    }
}

fn answer(args: &[String], state: &Path, out: &mut String) -> Result<u8, Failure> {
    let line = Line::parse(args)?;
    if line.help || line.verb.is_empty() {
        out.push_str(USAGE);
        return Ok(0);
    }
    if line.verb == "watch" {
        return watching(&line, state, out);
    }
    let question: fn(&mut Asking, &Line) -> Result<u8, Failure> = match line.verb.as_str() {
        "hbstatus" => Asking::hbstatus,
        "status" => Asking::status,
        "listnodes" => Asking::listnodes,
        "nodestatus" => Asking::nodestatus,
        "nodetype" => |a, l| {
            a.about_node(l, request::NODETYPE, field::NODETYPE, |n, v| {
                format!("The node {n}'s type: {v}")
            })
        },
        "nodeweight" => |a, l| {
            a.about_node(l, request::NODEWEIGHT, field::WEIGHT, |n, v| {
                format!("The weight of the cluster node {n} is {v}")
            })
        },
        "nodesite" => |a, l| {
            a.about_node(l, request::NODESITE, field::SITE, |n, v| {
                format!("The site of the cluster node {n} is {v}")
            })
        },
        "listhblinks" => Asking::listhblinks,
        "hblinkstatus" => Asking::hblinkstatus,
        "clientstatus" => Asking::clientstatus,
        "rscstatus" => Asking::rscstatus,
        "hbparameter" => Asking::hbparameter,
        verb => return Err(bad(format!("{verb}: invalid sub-command.\n{USAGE}"))),
    };
    // The answer of another node may take as long as the caller says.
    let timeout = match (line.verb.as_str(), line.words.get(2)) {
        ("clientstatus", Some(ms)) => ms
            .parse()
            .map(Duration::from_millis)
            .map_err(|_| bad(format!("cl_status: {ms}: not a number of milliseconds")))?,
        _ => TIMEOUT,
    };
    let client = match Client::connect_as(state, &std::process::id().to_string(), timeout) {
        Err(ClientError::NotRunning) if line.verb == "hbstatus" => {
            out.push_str("Heartbeat is stopped on this machine.\n");
            return Ok(NO);
        }
        Err(e) if line.verb == "status" => return last_state(&line, e.into(), out),
        other => other?,
    };
    let mut asking = Asking {
        client,
        timeout,
        out: String::new(),
    };
    let code = question(&mut asking, &line);
    out.push_str(&asking.out);
    code
}

/// The daemon has no answer: what it told last, the failure beside it. The exit code stays that of the failure.
fn last_state(line: &Line, failure: Failure, out: &mut String) -> Result<u8, Failure> {
    let last = LastState::read(&paths::status());
    match (&last, line) {
        (_, line) if line.prometheus => out.push_str(&prometheus::down()),
        (Some(last), line) if line.json => {
            let _ = writeln!(out, "{}", last.marked());
        }
        (Some(last), _) => {
            let trouble = match failure.code {
                NO_ANSWER => "heartbeat DOES NOT ANSWER",
                _ => "heartbeat CANNOT BE ASKED",
            };
            let sentence = last.sentence(trouble);
            let _ = writeln!(out, "{sentence}\n");
            out.push_str(&screen::text(&last.json, local_time));
        }
        (None, _) => {}
    }
    Err(match last {
        Some(last) => Failure {
            text: last.sentence(&failure.text),
            ..failure
        },
        None => failure,
    })
}

fn watching(line: &Line, state: &Path, out: &mut String) -> Result<u8, Failure> {
    line.parameters([])?;
    let every = match &line.every {
        None => Duration::from_secs(1),
        Some(word) => parse_time(word)
            .ok()
            .filter(|t| WATCH_EVERY.contains(t))
            .ok_or_else(|| bad(format!("cl_status: -n {word}: wants seconds from 0.2 to 3600")))?,
    };
    if line.once {
        let (answered, text) = watch::once(state, terminal::size());
        out.push_str(&text);
        return Ok(if answered { 0 } else { NO_ANSWER });
    }
    if !std::io::stdout().is_terminal() {
        return Err(bad(
            "cl_status: watch: standard output is not a terminal; use watch --once, or status".to_owned(),
        ));
    }
    // https://no-color.org: any value but the empty one.
    let colours = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
    watch::watch(state, every, colours).map_err(|e| Failure {
        code: OTHER,
        text: format!("cl_status: the terminal: {e}"),
    })?;
    Ok(0)
}

struct Asking {
    client: Client,
    timeout: Duration,
    out: String,
}

impl Asking {
    fn say(&mut self, text: impl AsRef<str>) {
        // Writing into a String does not fail.
        let _ = writeln!(self.out, "{}", text.as_ref());
    }

    fn hbstatus(&mut self, line: &Line) -> Result<u8, Failure> {
        line.parameters([])?;
        let me = self.client.node().to_owned();
        let status = self
            .client
            .ask_one(&request::of(request::NODESTATUS).with(fields::NODE, me.as_str()))?;
        let status = status.get(fields::STATUS).unwrap_or("");
        if status != "active" {
            // The classic answered nobody before it was active, and said "stopped".
            let text = format!("Heartbeat is starting on this machine: node {me} is not active yet ({status}).");
            self.say(text);
            return Ok(NO);
        }
        if !line.verbose {
            self.say("Heartbeat is running on this machine.");
            return Ok(0);
        }
        let version = self.client.signon().get(field::HBVERSION).unwrap_or("").to_owned();
        self.say(format!("version:\t{version}"));
        self.say("managed by:\t\"haresources\"");
        self.nodes(line)?;
        Ok(0)
    }

    fn status(&mut self, line: &Line) -> Result<u8, Failure> {
        line.parameters([])?;
        let answer = match self.client.ask_one(&request::of(request::GETSTATUS)) {
            Err(e) => return last_state(line, e.into(), &mut self.out),
            Ok(answer) => answer,
        };
        let text = answer.get(field::JSON).unwrap_or("");
        if line.json {
            self.say(text);
            return Ok(0);
        }
        let status = Json::parse(text).map_err(|e| Failure {
            code: OTHER,
            text: format!("cl_status: {e}"),
        })?;
        self.out.push_str(&match line.prometheus {
            true => prometheus::text(&status),
            false => screen::text(&status, local_time),
        });
        Ok(0)
    }

    fn listnodes(&mut self, line: &Line) -> Result<u8, Failure> {
        line.parameters([])?;
        if line.sentences {
            self.say("The nodes are as follow:");
        }
        self.nodes(line)?;
        Ok(0)
    }

    /// In the reverse order of ha.cf, as heartbeat 3.0.6 prints them.
    fn nodes(&mut self, line: &Line) -> Result<(), Failure> {
        let nodes = self.client.ask(&request::of(request::NODELIST))?;
        for node in nodes.iter().rev() {
            let get = |name| node.get(name).unwrap_or("");
            let (name, kind) = (get(fields::NODE), get(field::NODETYPE));
            if line.normal && kind != "normal" || line.ping && kind != "ping" {
                continue;
            }
            if line.verbose || line.verb == "hbstatus" {
                self.say(format!("\n{name}\t{}\t(nodetype: {kind})", get(fields::STATUS)));
                self.links(name, true)?;
            } else {
                self.say(name);
            }
        }
        Ok(())
    }

    fn links(&mut self, node: &str, verbose: bool) -> Result<(), ClientError> {
        let links = self
            .client
            .ask(&request::of(request::IFLIST).with(fields::NODE, node))?;
        // A node without links: the answer has no link either.
        for link in links.iter().filter(|l| l.get(fields::IFNAME).is_some()) {
            let get = |name| link.get(name).unwrap_or("");
            match verbose {
                true => self.say(format!("\t{}\t{}", get(fields::IFNAME), get(fields::STATUS))),
                false => self.say(format!("\t{}", get(fields::IFNAME))),
            }
        }
        Ok(())
    }

    fn ask_about_node(&mut self, reqtype: &str, node: &str) -> Result<Message, Failure> {
        match self.client.ask_one(&request::of(reqtype).with(fields::NODE, node)) {
            Err(ClientError::Refused { .. }) => Err(bad("Error. May be due to incorrect node name".to_owned())),
            other => Ok(other?),
        }
    }

    fn nodestatus(&mut self, line: &Line) -> Result<u8, Failure> {
        let [node] = line.parameters(["a node"])?;
        let answer = self.ask_about_node(request::NODESTATUS, node)?;
        let status = answer.get(fields::STATUS).unwrap_or("");
        match line.sentences {
            true => self.say(format!("The cluster node {node} is {status}")),
            false => self.say(status),
        }
        Ok(if status == "dead" { NO } else { 0 })
    }

    fn about_node(
        &mut self,
        line: &Line,
        reqtype: &str,
        name: &str,
        sentence: fn(&str, &str) -> String,
    ) -> Result<u8, Failure> {
        let [node] = line.parameters(["a node"])?;
        let answer = self.ask_about_node(reqtype, node)?;
        let value = answer.get(name).unwrap_or("");
        match line.sentences {
            true => self.say(sentence(node, value)),
            false => self.say(value),
        }
        Ok(0)
    }

    fn listhblinks(&mut self, line: &Line) -> Result<u8, Failure> {
        let [node] = line.parameters(["a node"])?;
        // Asked first: no title above an error.
        self.client
            .ask(&request::of(request::IFLIST).with(fields::NODE, node))
            .map_err(|e| unknown(e, node))?;
        if line.sentences {
            self.say("\tthis node has the following heartbeat links:");
        }
        self.links(node, line.verbose)?;
        Ok(0)
    }

    fn hblinkstatus(&mut self, line: &Line) -> Result<u8, Failure> {
        let [node, link] = line.parameters(["a node", "a link"])?;
        let question = request::of(request::IFSTATUS)
            .with(fields::NODE, node)
            .with(fields::IFNAME, link);
        let answer = self
            .client
            .ask_one(&question)
            .map_err(|e| unknown(e, &format!("{node} {link}")))?;
        let status = answer.get(fields::STATUS).unwrap_or("");
        match line.sentences {
            true => self.say(format!("The node {node}'s heartbeat link {link} is {status}")),
            false => self.say(status),
        }
        Ok(if status == "dead" { NO } else { 0 })
    }

    fn clientstatus(&mut self, line: &Line) -> Result<u8, Failure> {
        let (node, name) = match line.words.as_slice() {
            [node, name] | [node, name, _] => (node.as_str(), name.as_str()),
            _ => return Err(bad("cl_status: clientstatus: wants a node and a client".to_owned())),
        };
        let other = |text: String| Failure { code: OTHER, text };
        let wait = self.timeout;
        let status = match self.client.client_status(node, name, wait) {
            Ok(true) => "online",
            Ok(false) => "offline",
            Err(ClientError::NoAnswer(_)) => return Err(other("No timely response.".to_owned())),
            Err(ClientError::Refused { info: Some(info), .. }) if info == request::EAGAIN => {
                return Err(other(format!("cl_status: {node}: the nodes are busy; ask again")));
            }
            Err(ClientError::Refused { .. }) => {
                return Err(bad("Error. May be due to incorrect node name".to_owned()));
            }
            Err(e) => return Err(e.into()),
        };
        match line.sentences {
            true => self.say(format!("The client {name} on node {node} is {status}")),
            false => self.say(status),
        }
        Ok(if status == "online" { 0 } else { NO })
    }

    fn rscstatus(&mut self, line: &Line) -> Result<u8, Failure> {
        line.parameters([])?;
        let answer = match self.client.ask_one(&request::of(request::GETRSC)) {
            // A daemon without v1 resources.
            Err(e @ ClientError::Refused { .. }) => {
                return Err(Failure {
                    code: NO,
                    text: format!("cl_status: {e}"),
                });
            }
            other => other?,
        };
        let set = answer.get(fields::RSC_HOLD).unwrap_or("");
        match line.sentences {
            true => self.say(format!("This node is holding {set} resources.")),
            false => self.say(set),
        }
        Ok(0)
    }

    fn hbparameter(&mut self, line: &Line) -> Result<u8, Failure> {
        let Some(name) = &line.parameter else {
            return Err(bad(
                "cl_status: hbparameter: wants -p and the name of a parameter".to_owned()
            ));
        };
        let answer = self
            .client
            .ask_one(&request::of(request::GETPARM).with(field::PNAME, name.as_str()))?;
        let Some(value) = answer.get(field::PVALUE) else {
            return Err(Failure {
                code: NO,
                text: format!("cl_status: {name}: heartbeat has no such parameter"),
            });
        };
        match line.sentences {
            true => self.say(format!("Heartbeat parameter {name}'s value: {value}")),
            false => self.say(value),
        }
        Ok(0)
    }
}

/// Other than for nodestatus the classic gives 13 for a node or link that it does not know.
fn unknown(error: ClientError, what: &str) -> Failure {
    match error {
        ClientError::Refused { .. } => Failure {
            code: OTHER,
            text: format!("cl_status: {what}: heartbeat does not know it"),
        },
        other => other.into(),
    }
}

#[cfg(test)]
mod tests;
