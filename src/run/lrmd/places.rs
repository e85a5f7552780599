//! Where agents are on this machine, and what every one of them finds in its environment.

use crate::agents::agent::Roots;
use crate::agents::{Agent, Class};
use crate::jobs::environment::{OCF_ROOT, SAFE_PATH, of_client, rsctmp};
use crate::paths;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What every agent gets.
#[derive(Clone, Debug)]
pub struct Surroundings {
    pub roots: Roots,
    pub env: BTreeMap<String, String>,
    /// The name of this node.
    pub node: String,
}

impl Surroundings {
    /// From what heartbeat has given this process; by hand the usual places.
    pub fn here() -> Self {
        let mut env: BTreeMap<String, String> = of_client().into_iter().collect();
        let text = |path: PathBuf| path.display().to_string();
        let usual = [
            ("OCF_ROOT", OCF_ROOT.to_owned()),
            ("HA_DIR", text(paths::config())),
            ("HA_FUNCS", text(paths::config().join("shellfuncs"))),
            ("HA_RSCTMP", text(rsctmp())),
        ];
        for (name, value) in usual {
            env.entry(name.to_owned()).or_insert(value);
        }
        // Agents call crm_master, crm_node, attrd_updater: ours, whatever else is installed. Some name the directory.
        env.insert("HA_SBIN_DIR".to_owned(), text(paths::lib()));
        env.insert("PATH".to_owned(), format!("{}:{SAFE_PATH}", paths::lib().display()));
        env.entry("HA_cluster_type".to_owned())
            .or_insert("heartbeat".to_owned());
        let host = || crate::sys::files::host_name().unwrap_or_default();
        let node = env.get("HA_CURHOST").cloned().unwrap_or_else(host);
        let roots = Roots {
            ocf: PathBuf::from(&env["OCF_ROOT"]),
            init_d: paths::init_d(),
            resource_d: paths::resource_d(),
            stonith_plugins: paths::stonith_plugins(),
            fence_agents: paths::fence_agents(),
        };
        Self { roots, env, node }
    }

    /// The program of an agent, or the sentence that says where was looked.
    pub fn program(&self, agent: &Agent) -> Result<PathBuf, String> {
        if agent.class == Class::Systemd {
            return systemctl();
        }
        let places = agent.places(&self.roots);
        let mut fault = None;
        for place in &places {
            match std::fs::metadata(place) {
                Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => return Ok(place.clone()),
                Ok(file) if file.is_file() => {
                    fault = fault.or(Some(format!("{} is not executable (chmod 755 it)", place.display())));
                }
                Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                    fault = fault.or(Some(format!("{}: {e}", place.display())));
                }
                Ok(_) | Err(_) => {}
            }
        }
        let missing = || match agent.class {
            Class::Service => format!("there is neither a unit {0} nor a script {0} of init.d", agent.name),
            _ => {
                let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
                format!("there is no {}", places.join(" and no "))
            }
        };
        Err(fault.unwrap_or_else(missing))
    }

    /// Class `service`: a unit of systemd if there is one of that name, else a script.
    pub fn settled(&self, agent: &Agent) -> Agent {
        if agent.class != Class::Service {
            return agent.clone();
        }
        const UNITS: [&str; 4] = [
            "/etc/systemd/system",
            "/run/systemd/system",
            "/usr/lib/systemd/system",
            "/lib/systemd/system",
        ];
        let unit = crate::agents::environment::unit(agent);
        let is_unit = systemctl().is_ok() && UNITS.iter().any(|folder| Path::new(folder).join(&unit).exists());
        let class = if is_unit { Class::Systemd } else { Class::Lsb };
        Agent { class, ..agent.clone() }
    }
}

/// Systemd is there when it runs the machine; that its command is installed says nothing.
fn systemctl() -> Result<PathBuf, String> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Err("this machine is not run by systemd: use an agent of class ocf or lsb".to_owned());
    }
    let places = ["/usr/bin/systemctl", "/bin/systemctl"].map(PathBuf::from);
    let found = places.into_iter().find(|p| p.is_file());
    found.ok_or_else(|| "there is no systemctl: install systemd".to_owned())
}
