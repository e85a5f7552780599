//! The level `resource`: each command is one of crm_resource, in fewer words.

use super::session::{Call, Done, Failure, Session};
use crate::cib::words::interval;
use crate::crm::changes::attributes;
use crate::crm::client::AccessError;
use crate::crm::protocol::Attribute;
use crate::crm::tool;
use crate::policy::{history, plan, summary};
use crate::text::status::View;
use crate::time::Duration;
use std::io::{self, Write};

impl Session {
    pub fn resource(&mut self, call: Call<'_>) -> Done {
        let rsc = |at: usize| call.need(at, "the name of a resource");
        match call.name {
            "status" => match call.texts()[..] {
                [] => self.tool(&["-L"]),
                [id] => {
                    self.known(id)?;
                    self.tool(&["-W", "-r", id])
                }
                _ => call.at_most(1),
            },
            "start" | "stop" => {
                rsc(0)?;
                let role = if call.name == "start" { "Started" } else { "Stopped" };
                for id in call.texts() {
                    self.set_role(id, role)?;
                }
                self.settle()
            }
            "promote" | "demote" => {
                call.at_most(1)?;
                let role = if call.name == "promote" { "Master" } else { "Slave" };
                let id = rsc(0)?;
                self.tool(&["-r", id, "-m", "-p", "target-role", "-v", role])
            }
            "restart" => {
                call.at_most(1)?;
                self.restart(rsc(0)?)
            }
            "manage" | "unmanage" => {
                call.at_most(1)?;
                let value = if call.name == "manage" { "true" } else { "false" };
                self.set_meta(rsc(0)?, "is-managed", value)?;
                self.settle()
            }
            "maintenance" => {
                call.at_most(2)?;
                let value = match call.words.get(1).map(|w| &*w.text) {
                    None | Some("on" | "true") => "true",
                    Some("off" | "false") => "false",
                    Some(_) => return Err(call.expected(1, "on or off")),
                };
                self.set_meta(rsc(0)?, "maintenance", value)?;
                self.settle()
            }
            "migrate" | "ban" => self.migrate(call),
            "unmigrate" => {
                call.at_most(1)?;
                let id = rsc(0)?;
                self.known(id)?;
                self.tool(&["-U", "-r", id])?;
                self.info(&format!("Removed migration constraints for {id}"));
                Ok(())
            }
            "param" => self.attribute(call, &[]),
            "meta" => self.attribute(call, &["-m"]),
            "utilization" => self.attribute(call, &["-z"]),
            "failcount" => self.failcount(call),
            "cleanup" => self.forget(call, "-C"),
            "refresh" => self.forget(call, "-R"),
            "reprobe" => {
                call.at_most(1)?;
                let mut args = vec!["-P"];
                if let Some(node) = call.words.first() {
                    args.extend(["-N", &node.text]);
                }
                self.tool(&args)
            }
            "constraints" => {
                call.at_most(1)?;
                self.tool(&["-a", "-r", rsc(0)?])
            }
            "locate" => {
                call.at_most(1)?;
                self.tool(&["-W", "-r", rsc(0)?])
            }
            "operations" => {
                call.at_most(2)?;
                let mut args = vec!["-O"];
                for (option, word) in ["-r", "-N"].iter().zip(call.words) {
                    args.extend([*option, &*word.text]);
                }
                self.tool(&args)
            }
            _ => {
                let cib = self.access().cib()?;
                let view = View::new(&cib, crate::sys::wall());
                let plan = plan::plan(&view.input, &view.state);
                self.out(&summary::scores(&view.input, &plan));
                Ok(())
            }
        }
    }

    /// crm_resource with these arguments, and what it says.
    fn tool(&mut self, args: &[&str]) -> Done {
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        self.debug(&format!("crm_resource {}", args.join(" ")));
        let outcome = crate::crm::resource::run(&args, self.access());
        self.told(outcome)
    }

    fn known(&self, id: &str) -> Done {
        let cib = self.access().cib()?;
        let view = tool::view(&cib);
        if attributes::resource(&cib, id).is_none() && view.input.resource(id).is_none() {
            return Err(format!("resource {id} does not exist").into());
        }
        Ok(())
    }

    /// Without a word, as the classic shell: only what goes wrong is said.
    fn set_meta(&mut self, id: &str, name: &str, value: &str) -> Done {
        let args = ["-r", id, "-m", "-p", name, "-v", value].map(str::to_owned);
        let outcome = crate::crm::resource::run(&args, self.access());
        match outcome.code {
            0 => {
                self.debug(outcome.out.trim_end());
                Ok(())
            }
            _ => {
                let text = outcome.err.trim_end();
                Err(Failure::Text(
                    text.strip_prefix("crm_resource: ").unwrap_or(text).to_owned(),
                ))
            }
        }
    }

    /// What the members of a group or clone say of their own goes, if one wants that.
    fn set_role(&mut self, id: &str, role: &str) -> Done {
        self.known(id)?;
        let cib = self.access().cib()?;
        let inner: Vec<String> = attributes::resource(&cib, id)
            .into_iter()
            .flat_map(|e| e.walk().skip(1))
            .filter(|e| ["primitive", "group"].contains(&&*e.name) && target_role(e).is_some())
            .map(|e| e.id().to_owned())
            .collect();
        for child in inner {
            if self.ask(
                &format!("Do you want to override target-role for child resource {child}"),
                true,
            ) {
                let args = ["-r", &child, "-m", "-d", "target-role", "-f"].map(str::to_owned);
                let outcome = crate::crm::resource::run(&args, self.access());
                if outcome.code != 0 {
                    return self.told(outcome);
                }
            }
        }
        self.set_meta(id, "target-role", role)
    }

    fn restart(&mut self, id: &str) -> Done {
        self.known(id)?;
        let cib = self.access().cib()?;
        let before = attributes::resource(&cib, id).and_then(target_role);
        if before.as_deref().is_some_and(|r| r.eq_ignore_ascii_case("Stopped")) {
            return Err(format!("resource {id} is stopped: start it instead").into());
        }
        self.info(&format!("ordering {id} to stop"));
        self.set_meta(id, "target-role", "Stopped")?;
        let idle = self.access().wait_idle(Duration::from_secs(3600));
        // Whatever has become of the waiting: it must run again.
        self.info(&format!("ordering {id} to start"));
        self.set_meta(id, "target-role", before.as_deref().unwrap_or("Started"))?;
        if !idle? {
            return Err(format!("{id} was not stopped within an hour; it is to run again").into());
        }
        self.settle()
    }

    /// `RSC [NODE] [LIFETIME] [force]`
    fn migrate(&mut self, call: Call<'_>) -> Done {
        let id = call.need(0, "the name of a resource")?;
        self.known(id)?;
        let verb = if call.name == "ban" { "-B" } else { "-M" };
        let mut args = vec![verb, "-r", id];
        let cib = self.access().cib()?;
        let (mut node, mut lifetime) = (None, None);
        for (at, word) in call.words.iter().enumerate().skip(1) {
            let text = &*word.text;
            if text == "force" {
                args.push("-f");
            } else if node.is_none() && attributes::node(&cib, text).is_some() {
                node = Some(text);
            } else if lifetime.is_none() && interval(text).is_some() {
                lifetime = Some(text);
            } else {
                return Err(call.expected(at, "the name of a node, a lifetime like PT2M, or force"));
            }
        }
        if let Some(node) = node {
            args.extend(["-N", node]);
        }
        if let Some(lifetime) = lifetime {
            args.extend(["-u", lifetime]);
        }
        self.tool(&args)
    }

    /// `RSC set NAME VALUE | delete NAME | show NAME`
    fn attribute(&mut self, call: Call<'_>, kind: &[&str]) -> Done {
        let id = call.need(0, "the name of a resource")?;
        let what = "set, delete or show";
        let verb = call.need(1, what)?;
        let name = || call.need(2, "the name of an attribute");
        let mut args = vec!["-r", id];
        args.extend(kind);
        match verb {
            "set" => {
                call.at_most(4)?;
                args.extend(["-p", name()?, "-v", call.need(3, "a value")?]);
            }
            "delete" => {
                call.at_most(3)?;
                args.extend(["-d", name()?]);
            }
            "show" => {
                call.at_most(3)?;
                args.extend(["-g", name()?]);
            }
            _ => return Err(call.expected(1, what)),
        }
        self.known(id)?;
        self.tool(&args)
    }

    /// `RSC show NODE | set NODE N | delete NODE`
    fn failcount(&mut self, call: Call<'_>) -> Done {
        let id = call.need(0, "the name of a resource")?;
        let what = "show, set or delete";
        let verb = call.need(1, what)?;
        let node = call.need(2, "the name of a node")?;
        self.known(id)?;
        let cib = self.access().cib()?;
        let view = tool::view(&cib);
        let n = view
            .input
            .node(node)
            .ok_or_else(|| format!("node {node} does not exist"))?;
        match verb {
            "show" => {
                call.at_most(3)?;
                let plain = view.input.resource(id).map_or(id, |r| &view.input.resources[r].plain);
                let (count, _) = history::fail_count(&view.input, plain, n);
                self.out(&format!("scope=status  name=fail-count-{id} value={count}\n"));
                Ok(())
            }
            "set" => {
                call.at_most(4)?;
                let value = call.need(3, "a number")?;
                if crate::cib::Score::parse(value).is_none_or(|s| s.value() < 0) {
                    return Err(call.expected(3, "a number, or INFINITY"));
                }
                // Counts of single operations would be added to it.
                for name in view.input.nodes[n].transient.keys() {
                    if name.starts_with(&format!("fail-count-{id}#")) {
                        self.transient(node, name, None)?;
                    }
                }
                self.transient(node, &format!("fail-count-{id}"), Some(value))?;
                self.settle()
            }
            "delete" => {
                call.at_most(3)?;
                self.tool(&["-C", "-r", id, "-N", node])
            }
            _ => Err(call.expected(1, what)),
        }
    }

    /// An attribute of a node that it has until it leaves.
    pub fn transient(&mut self, node: &str, name: &str, value: Option<&str>) -> Result<(), AccessError> {
        self.access().set_transient(Attribute {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            node: Some(node.to_owned()),
            dampen: Duration::ZERO,
            set: None,
        })
    }

    /// cleanup and refresh: `[RSC [NODE]]`
    fn forget(&mut self, call: Call<'_>, verb: &str) -> Done {
        call.at_most(2)?;
        let mut args = vec![verb];
        for (option, word) in ["-r", "-N"].iter().zip(call.words) {
            args.extend([*option, &*word.text]);
        }
        let _ = io::stdout().flush();
        self.tool(&args)
    }
}

/// What a resource itself says of its role.
fn target_role(element: &crate::cib::Element) -> Option<String> {
    let mut pairs = element
        .children_named("meta_attributes")
        .flat_map(|s| s.children_named("nvpair"));
    let pair = pairs.find(|p| p.get("name") == Some("target-role"))?;
    pair.get("value").map(str::to_owned)
}
