//! The whole environment of scripts: nothing comes from whoever started the daemon, nothing from the network.

use crate::conf::{AutoFailback, HaCf};
use crate::ids::NodeName;
use crate::paths;
use std::collections::BTreeMap;
use std::path::Path;

/// Fixed: a script must behave the same whether the daemon was started at boot or from somebody's shell.
pub const SAFE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where OCF agents are; the name is theirs.
const OCF_ROOT: &str = "/usr/lib/ocf";
/// As heartbeat 3.0.6 hands it down: scripts print the date of their log lines with it.
const DATE_FORMAT: &str = "%Y/%m/%d_%T ";
/// Passed on as they are, because they say where this installation is.
const MOVED: [&str; 4] = ["HA_VARLIB", "HA_RUN", "HA_LIBDIR", "HA_INITDIR"];

/// What every resource script, `harc` and the `respawn` clients get. `HA_<name>` for each parameter of ha.cf and each `env`
/// line first; the fixed names win over them.
pub fn script_env(cf: &HaCf, me: &NodeName) -> Vec<(String, String)> {
    let mut env = BTreeMap::new();
    for (name, value) in cf.parameters.iter().chain(&cf.env) {
        env.insert(format!("HA_{name}"), value.clone());
    }
    if cf.debug > 0 {
        env.insert("HA_debug".to_owned(), cf.debug.to_string());
    }
    if cf.auto_failback != AutoFailback::Legacy {
        env.insert("HA_NICEFAILBACK".to_owned(), "yes".to_owned());
    }
    let mut set = |name: &str, value: &str| env.insert(name.to_owned(), value.to_owned());
    let text = |path: &Path| path.display().to_string();
    set("PATH", SAFE_PATH);
    set("OCF_ROOT", OCF_ROOT);
    set("HA_DATEFMT", DATE_FORMAT);
    set("HA_CURHOST", me.as_str());
    set("HA_LOGD", "no");
    set("HA_DIR", &text(&paths::config()));
    set("HA_FUNCS", &text(&paths::config().join("shellfuncs")));
    set("HA_RSCTMP", &text(&rsctmp()));
    if let Some(file) = &cf.logfile {
        set("HA_LOGFILE", &text(file));
    }
    if let Some(file) = &cf.debugfile {
        set("HA_DEBUGLOG", &text(file));
    }
    if let Some(facility) = &cf.logfacility {
        set("HA_LOGFACILITY", facility);
    }
    for name in MOVED {
        match std::env::var(name) {
            Ok(value) if !value.is_empty() => set(name, &value),
            Ok(_) | Err(_) => None,
        };
    }
    env.into_iter().collect()
}

/// Temporary files of resource scripts: made (mode 1777) and emptied by the master at start.
pub fn rsctmp() -> std::path::PathBuf {
    paths::run().join("heartbeat/rsctmp")
}
