//! Directives that take the whole rest of their line: what their words do to the draft.

use super::draft::Draft;
use super::fencing::{self, FenceLine};
use super::values::{self, shown};
use super::{ClientLine, MediumKind};
use crate::clients::request::{self, Kind};
use crate::conf::access::ApiAuth;
use crate::time::Duration;

/// What a client program may take to end; heartbeat 3.0.6 waits an hour.
pub(super) const CLIENT_PATIENCE: Duration = Duration::from_secs(10);

impl Draft {
    /// Applies the whole rest of a line. `Ok(Some(text))` is a warning.
    pub(super) fn whole_line(&mut self, name: &str, line: usize, words: &[&str]) -> Result<Option<String>, String> {
        let extra = |words: &[&str]| match words {
            [] => None,
            [word, ..] => Some(format!("\"{}\" and what follows is ignored: remove it", shown(word))),
        };
        match (name, words) {
            ("ucast", [dev, to, rest @ ..]) => {
                let (dev, to) = (values::interface(dev)?, values::host4(to)?);
                let warning = self.medium(MediumKind::Ucast { dev, to }, line);
                Ok(warning.or_else(|| extra(rest)))
            }
            ("ucast6", [dev, to, rest @ ..]) => {
                let (dev, to) = (values::interface(dev)?, values::host6(to)?);
                let warning = self.medium(MediumKind::Ucast6 { dev, to }, line);
                Ok(warning.or_else(|| extra(rest)))
            }
            ("mcast", [dev, group, port, ttl, own, rest @ ..]) => {
                let kind = MediumKind::Mcast {
                    dev: values::interface(dev)?,
                    group: values::group4(group)?,
                    port: values::number(port, 1, u16::MAX).map_err(|e| format!("port: {e}"))?,
                    ttl: values::number(ttl, 0, 4).map_err(|e| format!("time to live: {e}"))?,
                    loopback: values::number::<u8>(own, 0, 1).map_err(|e| format!("loop: {e}"))? == 1,
                };
                Ok(self.medium(kind, line).or_else(|| extra(rest)))
            }
            ("mcast6", [dev, group, port, hops, own, rest @ ..]) => {
                let kind = MediumKind::Mcast6 {
                    dev: values::interface(dev)?,
                    group: values::group6(group)?,
                    port: values::number(port, 1, u16::MAX).map_err(|e| format!("port: {e}"))?,
                    hops: values::number(hops, 0, u8::MAX).map_err(|e| format!("hops: {e}"))?,
                    loopback: values::number::<u8>(own, 0, 1).map_err(|e| format!("loop: {e}"))? == 1,
                };
                Ok(self.medium(kind, line).or_else(|| extra(rest)))
            }
            ("mcast", given) => Err(missing(
                given,
                &["interface", "group", "port", "time to live", "loop (0 or 1)"],
            )),
            ("mcast6", given) => Err(missing(given, &["interface", "group", "port", "hops", "loop (0 or 1)"])),
            ("ucast" | "ucast6", given) => Err(missing(given, &["interface", "address"])),
            ("ping_group", [group, hosts @ ..]) if !hosts.is_empty() => {
                let host = |host: &&str| match host.contains(':') {
                    true => Ok((values::host6(host)?, true)),
                    false => Ok((values::host4(host)?, false)),
                };
                let hosts: Vec<_> = hosts.iter().map(host).collect::<Result<_, String>>()?;
                self.ping(group, true, &hosts, line)
            }
            ("ping_group", given) => Err(missing(given, &["name of the group", "addresses"])),
            ("respawn" | "failfast", [user, program, args @ ..]) => {
                self.cf.clients.push(ClientLine {
                    failfast: name == "failfast",
                    user: (*user).to_owned(),
                    program: values::absolute(program)?,
                    args: args.iter().map(|w| (*w).to_owned()).collect(),
                    line,
                    patience: CLIENT_PATIENCE,
                });
                Ok(None)
            }
            ("respawn" | "failfast", given) => Err(missing(given, &["user", "program"])),
            ("apiauth", [client, lists @ ..]) => self.apiauth(client, lists, line),
            ("stonith", [_, file, rest @ ..]) => {
                if let Some(why) = fencing::file_fault(file) {
                    return Err(why);
                }
                self.fence_line("stonith", &words[..2], line);
                Ok(extra(rest))
            }
            ("stonith", given) => Err(missing(given, &["type", "file"])),
            ("stonith_host", [_, _, ..]) => {
                self.fence_line("stonith_host", words, line);
                Ok(None)
            }
            ("stonith_host", given) => Err(missing(given, &["host", "type"])),
            ("apiauth", []) => Err("the client is missing".to_owned()),
            (_, given) => {
                self.foreign_medium |= name == "rds";
                if given.is_empty() {
                    Err("its value is missing".to_owned())
                } else {
                    Ok(None)
                }
            }
        }
    }

    fn fence_line(&mut self, directive: &'static str, words: &[&str], line: usize) {
        self.fencing.push(FenceLine {
            directive,
            words: words.iter().map(|w| (*w).to_owned()).collect(),
            line,
        });
    }

    fn apiauth(&mut self, client: &str, lists: &[&str], line: usize) -> Result<Option<String>, String> {
        if let Some(before) = self.cf.apiauth.iter().find(|a| a.client == client) {
            return Err(format!(
                "client {} is already in line {}: write one line a client",
                shown(client),
                before.line
            ));
        }
        if request::kind_of_id(client) != Some(Kind::Named) {
            return Err(format!(
                "\"{}\" is not a name of a client: a letter, then letters, digits, - and _, at most 31 in all",
                shown(client)
            ));
        }
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        for list in lists {
            let (names, into) = match (list.strip_prefix("uid="), list.strip_prefix("gid=")) {
                (Some(names), _) => (names, &mut users),
                (None, Some(names)) => (names, &mut groups),
                (None, None) => ("", &mut users),
            };
            if names.is_empty() || names.split(',').any(str::is_empty) {
                return Err(format!(
                    "\"{}\" is neither uid=NAME,... nor gid=NAME,... (no blanks)",
                    shown(list)
                ));
            }
            into.extend(names.split(',').map(str::to_owned));
        }
        if lists.is_empty() {
            return Err(format!("client {} has no list: write who may use it", shown(client)));
        }
        self.cf.apiauth.push(ApiAuth {
            client: client.to_owned(),
            users,
            groups,
            line,
        });
        Ok(None)
    }
}

fn missing(given: &[&str], wanted: &[&str]) -> String {
    format!("missing: {}", wanted[given.len().min(wanted.len() - 1)..].join(", "))
}
