//! Directives that take the whole rest of their line: what their words do to the draft.

use super::draft::Draft;
use super::values::{self, shown};
use super::{ClientLine, MediumKind};

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
                });
                Ok(None)
            }
            ("respawn" | "failfast", given) => Err(missing(given, &["user", "program"])),
            ("apiauth", [client, lists @ ..]) => self.apiauth(client, lists, line),
            ("stonith", [_, file, rest @ ..]) => {
                values::absolute(file)?;
                Ok(extra(rest))
            }
            ("stonith", given) => Err(missing(given, &["type", "file"])),
            ("stonith_host", [_, _, ..]) => Ok(None),
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

    fn apiauth(&mut self, client: &str, lists: &[&str], line: usize) -> Result<Option<String>, String> {
        if let Some(before) = self.apiauth.insert(client.to_owned(), line) {
            return Err(format!(
                "client {} is already in line {before}: write one line a client",
                shown(client)
            ));
        }
        for list in lists {
            let names = list.strip_prefix("uid=").or_else(|| list.strip_prefix("gid="));
            if names.is_none_or(|n| n.is_empty() || n.split(',').any(str::is_empty)) {
                return Err(format!(
                    "\"{}\" is neither uid=NAME,... nor gid=NAME,... (no blanks)",
                    shown(list)
                ));
            }
        }
        if lists.is_empty() {
            return Err(format!("client {} has no list: write who may use it", shown(client)));
        }
        Ok(None)
    }
}

fn missing(given: &[&str], wanted: &[&str]) -> String {
    format!("missing: {}", wanted[given.len().min(wanted.len() - 1)..].join(", "))
}
