//! The whole environment of scripts: nothing comes from whoever started the daemon, nothing from the network.

use crate::address::agent::LEASE_SECONDS;
use crate::conf::{AutoFailback, HaCf};
use crate::ids::NodeName;
use crate::paths;
use std::collections::BTreeMap;
use std::path::Path;

/// Fixed: a script must behave the same whether the daemon was started at boot or from somebody's shell.
pub const SAFE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where OCF agents are; the name is theirs.
pub const OCF_ROOT: &str = "/usr/lib/ocf";
/// As heartbeat 3.0.6 hands it down: scripts print the date of their log lines with it.
const DATE_FORMAT: &str = "%Y/%m/%d_%T ";
/// Passed on as they are, because they say where this installation is. In a lab the last two keep lrmd from the devices
/// that switch the site's real machines off.
const MOVED: [&str; 6] = [
    "HA_VARLIB",
    "HA_RUN",
    "HA_LIBDIR",
    "HA_INITDIR",
    "HA_STONITHDIR",
    "HA_FENCEDIR",
];

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
    // Whoever writes `env VIP_LEASE=1` does not mean this.
    env.remove(LEASE_SECONDS);
    env.into_iter().collect()
}

/// What resource scripts that heartbeat runs get beside it: for how long to set an address. By hand it is set for ever.
pub fn resource_env(cf: &HaCf, me: &NodeName) -> Vec<(String, String)> {
    let mut env = script_env(cf, me);
    if let Some(lease) = cf.lease() {
        env.push((LEASE_SECONDS.to_owned(), lease.as_secs().to_string()));
    }
    env
}

/// The same for scripts that a client program of heartbeat runs: what the daemon gave it, and nothing of whoever else
/// may have started it by hand.
pub fn of_client() -> Vec<(String, String)> {
    let ours = |name: &str| name.starts_with("HA_") || name == "OCF_ROOT";
    let mut env: Vec<(String, String)> = std::env::vars().filter(|(name, _)| ours(name)).collect();
    env.push(("PATH".to_owned(), SAFE_PATH.to_owned()));
    env
}

/// Temporary files of resource scripts: made (mode 1777) and emptied by the master at start.
pub fn rsctmp() -> std::path::PathBuf {
    paths::run().join("heartbeat/rsctmp")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::ha_cf;

    fn env(text: &str) -> BTreeMap<String, String> {
        let me: NodeName = "n1".parse().unwrap();
        let text = format!("node n1 n2\nbcast eth0\n{text}");
        let parsed = ha_cf::parse(Path::new("ha.cf"), &text, &me);
        script_env(&parsed.value.unwrap(), &me).into_iter().collect()
    }

    #[test]
    fn scripts_find_the_parameters_of_ha_cf_and_fixed_names() {
        #[rustfmt::skip]
        let table = [
            // ha.cf                             name              value
            ("",                                 "PATH",           Some(SAFE_PATH)),
            ("",                                 "OCF_ROOT",       Some("/usr/lib/ocf")),
            ("",                                 "HA_CURHOST",     Some("n1")),
            ("",                                 "HA_NICEFAILBACK", None),
            ("auto_failback on",                 "HA_NICEFAILBACK", Some("yes")),
            ("auto_failback off",                "HA_NICEFAILBACK", Some("yes")),
            ("keepalive 500ms",                  "HA_keepalive",   Some("500ms")),
            ("deadtime 7",                       "HA_deadtime",    Some("7")),
            ("logfile /var/log/ha-log",          "HA_LOGFILE",     Some("/var/log/ha-log")),
            ("debugfile /var/log/ha-debug",      "HA_DEBUGLOG",    Some("/var/log/ha-debug")),
            ("logfacility local0",               "HA_LOGFACILITY", Some("local0")),
            ("debug 0",                          "HA_debug",       Some("0")),
            ("debug 2",                          "HA_debug",       Some("2")),
            ("env SITE=one",                     "HA_SITE",        Some("one")),
            ("env CURHOST=somebody-else",        "HA_CURHOST",     Some("n1")),
        ];
        for (text, name, value) in table {
            assert_eq!(env(text).get(name).map(String::as_str), value, "{text}: {name}");
        }
    }

    #[test]
    fn nothing_of_the_environment_of_this_process_is_handed_on() {
        let env = env("");
        let ours = |name: &String| name.starts_with("HA_") || ["PATH", "OCF_ROOT"].contains(&name.as_str());
        assert!(env.keys().all(ours), "{env:?}");
        assert!(
            std::env::vars().count() > 0,
            "there is something that could have been handed on"
        );
    }
}
