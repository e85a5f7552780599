//! The program `IPaddr` (also called `IPaddr2` and `IPv6addr`): a resource script in both forms.
//!
//! Classic: `IPaddr SPEC ACTION`, from haresources. OCF: `IPaddr ACTION` with the parameters in the environment. What an
//! action does is the same in both; a text tells the classic form's caller what the exit status tells the other.

use super::place::find_place;
use super::spec::BadSpec;
use super::{Error, Held, Spec, add, announce, find, remove, sockets};
use crate::sys::netlink::Netlink;
use crate::wire::route::Family;
use std::io::{self, Write};
use std::time::Duration;

const DONE: u8 = 0;
const FAILED: u8 = 1;
const NOT_IMPLEMENTED: u8 = 3;
const NOT_PERMITTED: u8 = 4;
const NOT_CONFIGURED: u8 = 6;
const NOT_RUNNING: u8 = 7;

/// In the environment of resource scripts: how long an address lives that nobody renews.
pub const LEASE_SECONDS: &str = "HA_VIP_LEASE";

pub const USAGE: &str = "\
Usage: IPaddr IP[/MASK[/INTERFACE[/BROADCAST]]] start|stop|status|monitor|validate-all
       IPaddr ADDRESS[/PREFIX[/INTERFACE]] start|stop|status|monitor|validate-all
       IPaddr start|stop|status|monitor|validate-all     (parameters in OCF_RESKEY_*)
       IPaddr meta-data|usage|--help

Sets and removes a service address and tells the network where it is. What is left
away is found from the routes. IPaddr2 and IPv6addr are other names of this program.

OCF parameters: ip (or ipv6addr), cidr_netmask, nic, broadcast, iflabel
";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Start,
    Stop,
    Status,
    Monitor,
    Validate,
}

impl Action {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "start" => Self::Start,
            "stop" => Self::Stop,
            "status" => Self::Status,
            "monitor" => Self::Monitor,
            "validate-all" => Self::Validate,
            _ => return None,
        })
    }
}

/// One run of the program.
pub struct Agent<'a> {
    /// The name it was called by.
    pub name: &'a str,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    pub out: &'a mut dyn Write,
    pub err: &'a mut dyn Write,
}

impl std::fmt::Debug for Agent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Agent<'_> {
    /// The whole program: the exit status.
    pub fn run(&mut self, args: &[String]) -> u8 {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        match words[..] {
            ["usage" | "--help" | "-h"] | [_, "usage"] => self.print(USAGE),
            ["meta-data"] | [_, "meta-data"] => {
                let text = meta_data(self.name);
                self.print(&text)
            }
            [spec, action] => match (spec.parse(), Action::from_word(action)) {
                // As the classic: 1 for everything that is wrong with the arguments.
                (_, None) => self.fail(&format!("{action}: unknown action; see {} --help", self.name), FAILED),
                (Err(e), _) => self.fail(&bad(&e), FAILED),
                (Ok(spec), Some(action)) => self.act(&spec, action),
            },
            [action] => {
                let Some(action) = Action::from_word(action) else {
                    let code = if action.contains(['.', ':', '/']) {
                        FAILED
                    } else {
                        NOT_IMPLEMENTED
                    };
                    return self.fail(&format!("{action}: not an action; see {} --help", self.name), code);
                };
                match self.parameters() {
                    Ok(spec) => self.act(&spec, action),
                    Err(sentence) => self.fail(&sentence, NOT_CONFIGURED),
                }
            }
            _ => {
                let sentence = format!(
                    "{} arguments given, 1 or 2 wanted; see {} --help",
                    words.len(),
                    self.name
                );
                self.fail(&sentence, FAILED)
            }
        }
    }

    fn parameters(&self) -> Result<Spec, String> {
        let get = |name: &str| (self.env)(&format!("OCF_RESKEY_{name}")).filter(|v| !v.is_empty());
        let ip = get("ip").or_else(|| get("ipv6addr"));
        let ip = ip.ok_or("OCF_RESKEY_ip: not set; give the address, or call it as IPaddr IP ACTION")?;
        let part = |name: &str| get(name).unwrap_or_default();
        // IPv6addr takes "ADDRESS/PREFIX" in one parameter.
        let (ip, prefix) = ip.split_once('/').unwrap_or((&ip, ""));
        let mask = get("cidr_netmask").unwrap_or_else(|| prefix.to_owned());
        let mut spec = Spec::from_parts(ip, &mask, &part("nic"), &part("broadcast")).map_err(|e| bad(&e))?;
        spec.label = get("iflabel");
        Ok(spec)
    }

    fn act(&mut self, spec: &Spec, action: Action) -> u8 {
        let result = Netlink::open()
            .map_err(Error::from)
            .and_then(|mut netlink| match action {
                Action::Start => self.start(&mut netlink, spec),
                Action::Stop => self.stop(&mut netlink, spec),
                Action::Status => self.status(&mut netlink, spec),
                Action::Monitor => self.monitor(&mut netlink, spec),
                Action::Validate => validate(&mut netlink, spec),
            });
        match result {
            Ok(code) => code,
            Err(e) if e.is_permission() => self.fail(&format!("{e}; only root may do that"), NOT_PERMITTED),
            Err(e) => self.fail(&e.to_string(), FAILED),
        }
    }

    fn start(&mut self, netlink: &mut Netlink, spec: &Spec) -> Result<u8, Error> {
        let lease = self.lease(netlink, spec)?;
        let added = add(netlink, spec, lease)?;
        for warning in &added.warnings {
            self.complain(warning);
        }
        // The address is set and works; neighbours that missed the news learn it when their tables age.
        let announced = match announce::start(added.held.link.index, spec.ip) {
            Ok(_) if spec.ip.is_ipv4() => ", announced by gratuitous ARP",
            Ok(_) => ", announced by neighbour advertisements",
            Err(e) => {
                let sentence = format!(
                    "{}: is set, but could not be announced on {}: {e}",
                    spec.ip, added.held.link.name
                );
                self.complain(&sentence);
                ""
            }
        };
        let verb = if added.fresh {
            "Set"
        } else {
            "Announced again, was there already:"
        };
        Ok(self.print(&format!("INFO:  {verb} {}{announced}\n", describe(&added.held))))
    }

    /// What heartbeat asks for; nothing by hand. An address that is there for ever has another owner, who counts on it.
    fn lease(&mut self, netlink: &mut Netlink, spec: &Spec) -> Result<Option<Duration>, Error> {
        let seconds = (self.env)(LEASE_SECONDS).and_then(|text| text.parse().ok());
        let Some(lease) = seconds.filter(|s| *s > 0).map(Duration::from_secs) else {
            return Ok(None);
        };
        match find(netlink, spec)? {
            Some(held) if held.address.valid.is_none() => {
                let sentence = format!(
                    "{}: was there already, for ever: it gets no lease, and stays when heartbeat is killed",
                    spec.ip
                );
                self.complain(&sentence);
                Ok(None)
            }
            Some(_) | None => Ok(Some(lease)),
        }
    }

    fn stop(&mut self, netlink: &mut Netlink, spec: &Spec) -> Result<u8, Error> {
        let mut text = String::new();
        if find(netlink, spec)?.is_some() {
            match sockets::reset(spec.ip) {
                Ok(0) => {}
                Ok(n) => text = format!("INFO:  Reset {n} TCP connection(s) of {}\n", spec.ip),
                // The address goes all the same.
                Err(e) => self.complain(&format!("{}: its TCP connections cannot be reset: {e}", spec.ip)),
            }
        }
        let removed = remove(netlink, spec)?;
        text.extend(removed.iter().map(|h| format!("INFO:  Removed {}\n", describe(h))));
        Ok(self.print(&text))
    }

    /// The caller of old judges by the text: "running" (not "not running") or "OK" anywhere in it means yes.
    fn status(&mut self, netlink: &mut Netlink, spec: &Spec) -> Result<u8, Error> {
        Ok(match find(netlink, spec)? {
            Some(held) => self.print(&format!("INFO:  Running OK: {}\n", describe(&held))),
            None => {
                self.print("INFO:  Resource is stopped\n");
                NOT_RUNNING
            }
        })
    }

    /// As status; and the interface must not have been set down.
    fn monitor(&mut self, netlink: &mut Netlink, spec: &Spec) -> Result<u8, Error> {
        match find(netlink, spec)? {
            Some(held) if !held.link.is_up() => {
                let sentence = format!("{}: is on {}, which is down", spec.ip, held.link.name);
                Ok(self.fail(&sentence, FAILED))
            }
            Some(_) => self.status(netlink, spec),
            None => Ok(NOT_RUNNING),
        }
    }

    /// A caller that does not read (closed pipe) is no reason to fail.
    fn print(&mut self, text: &str) -> u8 {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        DONE
    }

    fn complain(&mut self, sentence: &str) {
        let _: io::Result<()> = writeln!(self.err, "{}: {sentence}", self.name);
    }

    fn fail(&mut self, sentence: &str, code: u8) -> u8 {
        self.complain(sentence);
        code
    }
}

/// Parses and finds a place, changes nothing.
fn validate(netlink: &mut Netlink, spec: &Spec) -> Result<u8, Error> {
    let (links, routes) = (netlink.links()?, netlink.routes(Family::of(spec.ip))?);
    find_place(spec, &links, &routes).map_err(Error::NoPlace)?;
    Ok(DONE)
}

fn bad(e: &BadSpec) -> String {
    e.to_string()
}

fn describe(held: &Held) -> String {
    let address = &held.address;
    let mut text = format!("{}/{} on {}", address.ip, address.prefix, held.link.name);
    if let Some(label) = address.label.as_ref().filter(|l| **l != held.link.name) {
        text.push_str(&format!(" as {label}"));
    }
    text
}

/// The self-description every OCF agent prints.
fn meta_data(name: &str) -> String {
    let parameter = |name: &str, required: bool, kind: &str, short: &str, long: &str| {
        format!(
            "<parameter name=\"{name}\" unique=\"0\" required=\"{}\">\n<longdesc lang=\"en\">{long}</longdesc>\n\
             <shortdesc lang=\"en\">{short}</shortdesc>\n<content type=\"{kind}\"/>\n</parameter>\n",
            u8::from(required)
        )
    };
    let parameters: String = [
        parameter(
            "ip",
            true,
            "string",
            "Service address",
            "The IPv4 or IPv6 address that moves between the nodes.",
        ),
        parameter(
            "cidr_netmask",
            false,
            "string",
            "Mask",
            "A number of bits (24) or, for IPv4, four numbers (255.255.255.0). Taken from the routes if left away.",
        ),
        parameter(
            "nic",
            false,
            "string",
            "Interface",
            "The interface, without alias number. The one the best route leads to if left away.",
        ),
        parameter(
            "broadcast",
            false,
            "string",
            "Broadcast address",
            "The broadcast address, IPv4 only. Worked out from the mask if left away.",
        ),
        parameter(
            "iflabel",
            false,
            "string",
            "Label",
            "What follows the colon in the label of an IPv4 address. The first free number if left away.",
        ),
    ]
    .concat();
    let actions: String = [
        ("start", 20),
        ("stop", 20),
        ("status", 20),
        ("monitor", 20),
        ("validate-all", 20),
        ("meta-data", 5),
    ]
    .map(|(action, seconds)| {
        let interval = if action == "monitor" { " interval=\"10s\"" } else { "" };
        format!("<action name=\"{action}\" timeout=\"{seconds}s\"{interval}/>\n")
    })
    .concat();
    format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE resource-agent SYSTEM \"ra-api-1.dtd\">\n\
         <resource-agent name=\"{name}\" version=\"1.0\">\n<version>1.0</version>\n\
         <longdesc lang=\"en\">Sets an address on an interface of this node, with a label that ifconfig shows, and \
         tells the network with gratuitous ARP or IPv6 neighbour advertisements.</longdesc>\n\
         <shortdesc lang=\"en\">Service address</shortdesc>\n<parameters>\n{parameters}</parameters>\n\
         <actions>\n{actions}</actions>\n</resource-agent>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str], env: &[(&str, &str)]) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        let code = Agent {
            name: "IPaddr",
            env: &env,
            out: &mut out,
            err: &mut err,
        }
        .run(&args);
        let text = |bytes| String::from_utf8(bytes).expect("we print UTF-8");
        (code, text(out), text(err))
    }

    type Words<'a> = &'a [&'a str];
    type Pairs<'a> = &'a [(&'a str, &'a str)];

    /// What can be told without touching an interface: nothing here finds its address on this machine.
    #[test]
    fn arguments_and_exit_statuses() {
        const IP: &str = "198.51.100.77";
        const STOPPED: &str = "INFO:  Resource is stopped\n";
        #[rustfmt::skip]
        let table: [(Words<'_>, Pairs<'_>, u8, &str, &str); 12] = [
            (&[],                       &[], 1, "", "IPaddr: 0 arguments given, 1 or 2 wanted; see IPaddr --help\n"),
            (&[IP],                     &[], 1, "", "IPaddr: 198.51.100.77: not an action; see IPaddr --help\n"),
            (&[IP, "x", "start"],       &[], 1, "", "IPaddr: 3 arguments given, 1 or 2 wanted; see IPaddr --help\n"),
            (&[IP, "jump"],             &[], 1, "", "IPaddr: jump: unknown action; see IPaddr --help\n"),
            (&["web", "start"],         &[], 1, "", "IPaddr: \"web\" is not an IP address\n"),
            (&[IP, "status"],           &[], 7, STOPPED, ""),
            (&[IP, "monitor"],          &[], 7, "", ""),
            (&[IP, "stop"],             &[], 0, "", ""),
            (&["promote"],              &[], 3, "", "IPaddr: promote: not an action; see IPaddr --help\n"),
            (&["monitor"],              &[], 6, "",
                "IPaddr: OCF_RESKEY_ip: not set; give the address, or call it as IPaddr IP ACTION\n"),
            (&["monitor"],              &[("OCF_RESKEY_ip", IP), ("OCF_RESKEY_cidr_netmask", "24")], 7, "", ""),
            (&["status"],               &[("OCF_RESKEY_ipv6addr", "2001:db8:77::77/64")], 7, STOPPED, ""),
        ];
        for (args, env, code, out, err) in table {
            assert_eq!(
                run(args, env),
                (code, out.to_owned(), err.to_owned()),
                "{args:?} {env:?}"
            );
        }
        assert!(!STOPPED.contains("running") && !STOPPED.contains("OK"));
    }

    #[test]
    fn meta_data_names_all_parameters_the_program_reads() {
        let (code, out, _) = run(&["meta-data"], &[]);
        assert_eq!(code, 0);
        for name in ["ip", "cidr_netmask", "nic", "broadcast", "iflabel"] {
            assert!(out.contains(&format!("<parameter name=\"{name}\"")), "{name}");
        }
        assert_eq!(out.matches("<parameter ").count(), out.matches("</parameter>").count());
        assert_eq!(run(&["--help"], &[]).1, USAGE);
    }
}
