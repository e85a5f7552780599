//! The level `ra`: the agents there are, and what they do.

use super::local::width;
use super::session::{Call, Done, Failure, Session};
use crate::agents::{Agent, Class};
use crate::shell::{parse, verify};

/// As the articles show them; systemd's units follow when it is there.
const SHOWN: [Class; 4] = [Class::Heartbeat, Class::Lsb, Class::Ocf, Class::Stonith];

impl Session {
    pub fn ra(&mut self, call: Call<'_>) -> Done {
        match call.name {
            "classes" => {
                call.at_most(0)?;
                for class in SHOWN {
                    let line = match class {
                        Class::Ocf => format!("ocf / {}", self.agents.providers().join(" ")),
                        class => class.to_string(),
                    };
                    self.out(&format!("{}\n", line.trim_end_matches([' ', '/'])));
                }
                if !self.agents.agents(Class::Systemd, None).is_empty() {
                    self.out("systemd\n");
                }
                Ok(())
            }
            "list" => {
                let class = self.class(&call, 0)?;
                let provider = call.words.get(1).map(|w| &*w.text);
                call.at_most(if class == Class::Ocf { 2 } else { 1 })?;
                let names = self.agents.agents(class, provider);
                if names.is_empty()
                    && let Some(provider) = provider
                {
                    return Err(format!("provider {provider} has no agents on this node").into());
                }
                self.page(&verify::columns(&names, width()));
                Ok(())
            }
            "providers" => {
                let kind = call.need(0, "the type of an agent")?;
                if let Some(class) = call.words.get(1)
                    && class.text != "ocf"
                {
                    return Err(call.expected(1, "ocf: no other class has providers"));
                }
                let all = self.agents.providers_of(kind);
                if all.is_empty() {
                    return Err(format!("no agent of class ocf is called {kind} on this node").into());
                }
                self.out(&format!("{}\n", all.join(" ")));
                Ok(())
            }
            _ => self.meta(call),
        }
    }

    fn class(&self, call: &Call<'_>, at: usize) -> Result<Class, Failure> {
        let what = "a class: heartbeat, lsb, ocf, stonith, systemd or service";
        Class::parse(call.need(at, what)?).ok_or_else(|| call.expected(at, what))
    }

    /// `meta SPEC`, or in the classic order `meta TYPE CLASS [PROVIDER]`.
    fn meta(&mut self, call: Call<'_>) -> Done {
        let what = "an agent: TYPE, CLASS:TYPE or ocf:PROVIDER:TYPE";
        let first = call.need(0, what)?;
        let agent = match call.words.get(1) {
            None => {
                let (class, provider, kind) = parse::resources::agent(first).ok_or_else(|| call.expected(0, what))?;
                // Of the type alone: whoever has it, class ocf first.
                match (first.contains(':'), &self.agents.providers_of(kind)[..]) {
                    (false, [one, ..]) => Agent::new("ocf", Some(one), kind),
                    (false, []) if self.agents.agents(Class::Lsb, None).iter().any(|n| n == kind) => {
                        Agent::new("lsb", None, kind)
                    }
                    _ => Agent::new(class, provider, kind),
                }
            }
            Some(_) => {
                let class = self.class(&call, 1)?;
                let provider = call.words.get(2).map(|w| &*w.text);
                call.at_most(3)?;
                Agent::new(class.as_str(), provider, first)
            }
        };
        let agent = agent.map_err(|e| e.to_string())?;
        let Some(meta) = self.agents.meta(&agent) else {
            return Err(format!("{agent}: got no meta-data, does this RA exist?").into());
        };
        self.page(&verify::describe(&agent, &meta));
        Ok(())
    }
}
