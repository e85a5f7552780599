//! Which agent is meant: class, provider and type, and where a program of that name may be.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// By which convention an agent is called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    Ocf,
    /// A script of init.d.
    Lsb,
    /// A script of resource.d, as haresources has them: parameters 1, 2, … before the operation.
    Heartbeat,
    Stonith,
    Systemd,
    /// What of the machine has that name: a unit of systemd, else a script of init.d.
    Service,
}

impl Class {
    pub const ALL: [Self; 6] = [
        Self::Ocf,
        Self::Lsb,
        Self::Heartbeat,
        Self::Stonith,
        Self::Systemd,
        Self::Service,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ocf => "ocf",
            Self::Lsb => "lsb",
            Self::Heartbeat => "heartbeat",
            Self::Stonith => "stonith",
            Self::Systemd => "systemd",
            Self::Service => "service",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == word)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The provider of an `ocf` agent that names none.
pub const FIRST_PROVIDER: &str = crate::ocf::call::FIRST_PROVIDER;

/// An agent by its name. The names are parts of paths and never paths themselves.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Agent {
    pub class: Class,
    /// Of class `ocf` only.
    pub provider: Option<String>,
    pub name: String,
}

/// Why a text names no agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadAgent(String);

impl fmt::Display for BadAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadAgent {}

impl Agent {
    /// Out of the attributes `class`, `provider` and `type` of a primitive.
    pub fn new(class: &str, provider: Option<&str>, name: &str) -> Result<Self, BadAgent> {
        let shown = || match provider {
            Some(provider) => format!("{class}:{provider}:{name}"),
            None => format!("{class}:{name}"),
        };
        let bad = |why: String| Err(BadAgent(format!("agent {}: {why}", shown().escape_debug())));
        let Some(class) = Class::parse(class) else {
            let classes: Vec<&str> = Class::ALL.iter().map(|c| c.as_str()).collect();
            return bad(format!(
                "there is no such class; these there are: {}",
                classes.join(", ")
            ));
        };
        let provider = provider.filter(|p| !p.is_empty());
        let provider = match (class, provider) {
            (Class::Ocf, provider) => Some(provider.unwrap_or(FIRST_PROVIDER)),
            (_, None) => None,
            (_, Some(_)) => return bad(format!("class {class} has no providers")),
        };
        // `external/ssh` is a name of its own.
        let file = match class {
            Class::Stonith => name.strip_prefix("external/").unwrap_or(name),
            _ => name,
        };
        for part in provider.into_iter().chain([file]) {
            if !is_file_name(part) {
                return bad(format!("\"{}\" is not the name of a file", part.escape_debug()));
            }
        }
        Ok(Self {
            class,
            provider: provider.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    /// The programs that it may be, in order; none for a unit of systemd, and for `meatware` and `null`.
    pub fn places(&self, roots: &Roots) -> Vec<PathBuf> {
        let in_each = |folders: &[&Path]| folders.iter().map(|f| f.join(&self.name)).collect();
        match self.class {
            Class::Ocf => {
                let provider = self.provider.as_deref().unwrap_or(FIRST_PROVIDER);
                vec![roots.ocf.join("resource.d").join(provider).join(&self.name)]
            }
            Class::Lsb | Class::Service => in_each(&[&roots.init_d]),
            Class::Heartbeat => in_each(&[&roots.resource_d, &roots.init_d]),
            Class::Stonith => match self.name.strip_prefix("external/") {
                Some(plugin) => vec![roots.stonith_plugins.join(plugin)],
                None if self.name.starts_with("fence_") => in_each(&[&roots.fence_agents]),
                None => Vec::new(),
            },
            Class::Systemd => Vec::new(),
        }
    }
}

/// Where agents are on this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Roots {
    /// `/usr/lib/ocf`
    pub ocf: PathBuf,
    pub init_d: PathBuf,
    pub resource_d: PathBuf,
    pub stonith_plugins: PathBuf,
    pub fence_agents: PathBuf,
}

fn is_file_name(name: &str) -> bool {
    let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    !name.is_empty() && name.len() <= 255 && !name.starts_with(['.', '-']) && !name.contains(odd)
}

/// `ocf:heartbeat:IPaddr2` and `ocf::heartbeat:IPaddr2`, `ocf:Dummy`, `lsb:apache2`, `stonith:external/ssh`; what
/// names no class is of class `ocf`.
impl FromStr for Agent {
    type Err = BadAgent;
    fn from_str(text: &str) -> Result<Self, BadAgent> {
        let text = text.trim();
        let (class, rest) = match text.split_once(':') {
            Some((class, rest)) if Class::parse(class).is_some() => (class, rest),
            // `heartbeat:IPaddr2` is of class heartbeat, `linbit:drbd` can only be of class ocf.
            Some(_) | None => ("ocf", text),
        };
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        match rest.split_once(':') {
            Some((provider, name)) => Self::new(class, Some(provider), name),
            None => Self::new(class, None, rest),
        }
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.provider {
            Some(provider) => write!(f, "{}:{provider}:{}", self.class, self.name),
            None => write!(f, "{}:{}", self.class, self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_agents() {
        #[rustfmt::skip]
        let table: &[(&str, Option<&str>)] = &[
            // written                  read as
            ("ocf:heartbeat:IPaddr2",   Some("ocf:heartbeat:IPaddr2")),
            ("ocf::heartbeat:IPaddr2",  Some("ocf:heartbeat:IPaddr2")),
            ("ocf:Dummy",               Some("ocf:heartbeat:Dummy")),
            ("Dummy",                   Some("ocf:heartbeat:Dummy")),
            ("linbit:drbd",             Some("ocf:linbit:drbd")),
            ("heartbeat:IPaddr2",       Some("heartbeat:IPaddr2")),
            ("heartbeat::IPaddr",       Some("heartbeat:IPaddr")),
            ("lsb:apache2",             Some("lsb:apache2")),
            ("systemd:nginx@a.service", Some("systemd:nginx@a.service")),
            ("service:nginx",           Some("service:nginx")),
            ("stonith:external/ssh",    Some("stonith:external/ssh")),
            ("stonith:fence_ipmilan",   Some("stonith:fence_ipmilan")),
            ("stonith:null",            Some("stonith:null")),
            ("lsb:heartbeat:x",         None),
            ("lsb:../x",                None),
            ("lsb:a/b",                 None),
            ("lsb:",                    None),
            ("lsb:-x",                  None),
            ("ocf:../x:y",              None),
            ("ocf:a:b:c",               None),
            ("stonith:external/../x",   None),
            ("stonith:external/",       None),
            ("stonith:x/y",             None),
            ("",                        None),
            ("a b",                     None),
        ];
        for (written, read) in table {
            let got = written.parse::<Agent>().map(|a| a.to_string());
            assert_eq!(got.as_deref().ok(), *read, "{written}: {got:?}");
        }
        assert!(
            Agent::new("upstart", None, "x")
                .unwrap_err()
                .to_string()
                .contains("no such class")
        );
        assert!(Agent::new("lsb", Some(""), "x").is_ok(), "an empty provider is none");
    }

    #[test]
    fn places_of_agents() {
        let roots = Roots {
            ocf: "/ocf".into(),
            init_d: "/init.d".into(),
            resource_d: "/resource.d".into(),
            stonith_plugins: "/external".into(),
            fence_agents: "/sbin".into(),
        };
        #[rustfmt::skip]
        let table: &[(&str, &[&str])] = &[
            ("ocf:pacemaker:Dummy",   &["/ocf/resource.d/pacemaker/Dummy"]),
            ("lsb:apache2",           &["/init.d/apache2"]),
            ("service:apache2",       &["/init.d/apache2"]),
            ("heartbeat:IPaddr",      &["/resource.d/IPaddr", "/init.d/IPaddr"]),
            ("stonith:external/ssh",  &["/external/ssh"]),
            ("stonith:fence_virt",    &["/sbin/fence_virt"]),
            ("stonith:null",          &[]),
            ("systemd:nginx",         &[]),
        ];
        for (agent, places) in table {
            let got = agent.parse::<Agent>().unwrap().places(&roots);
            let want: Vec<PathBuf> = places.iter().map(PathBuf::from).collect();
            assert_eq!(got, want, "{agent}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_no_path_and_prints_back(text in "(ocf|lsb|stonith|external|[a-z./:-]){1,8}") {
            if let Ok(agent) = text.parse::<Agent>() {
                prop_assert_eq!(agent.to_string().parse::<Agent>().unwrap(), agent.clone());
                let name = agent.name.strip_prefix("external/").unwrap_or(&agent.name);
                prop_assert!(!name.contains('/') && !name.starts_with('.'));
            }
        }
    }
}
