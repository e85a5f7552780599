//! Where things are. `HA_DIR`, `HA_VARLIB`, `HA_RUN` and `HA_LIBDIR` move the directories, so that several nodes can
//! live on one machine (`hb_lab` does that) and an installation can have another prefix.

use std::env;
use std::path::{Path, PathBuf};

fn dir(variable: &str, default: &str) -> PathBuf {
    env::var_os(variable)
        .filter(|v| !v.is_empty())
        .map_or_else(|| PathBuf::from(default), PathBuf::from)
}

/// Configuration: ha.cf, haresources, authkeys, resource.d, rc.d. `/etc/ha.d`
pub fn config() -> PathBuf {
    dir("HA_DIR", "/etc/ha.d")
}

/// State that outlives a reboot: FIFOs, hb_generation, hb_uuid. `/var/lib/heartbeat`
pub fn state() -> PathBuf {
    dir("HA_VARLIB", "/var/lib/heartbeat")
}

/// State that does not: heartbeat.pid, held. `/run`; the classic's pid file is `/run/heartbeat.pid`.
pub fn run() -> PathBuf {
    dir("HA_RUN", "/run")
}

/// Daemons and helpers. `/usr/lib/heartbeat`
pub fn lib() -> PathBuf {
    dir("HA_LIBDIR", "/usr/lib/heartbeat")
}

/// Second place for resource scripts, after `resource.d`. `/etc/init.d`
pub fn init_d() -> PathBuf {
    dir("HA_INITDIR", "/etc/init.d")
}

/// External STONITH plugins, where cluster-glue has them. `/usr/lib/stonith/plugins/external`
pub fn stonith_plugins() -> PathBuf {
    dir("HA_STONITHDIR", "/usr/lib/stonith/plugins/external")
}

/// Fence agents, where fence-agents has them. `/usr/sbin`
pub fn fence_agents() -> PathBuf {
    dir("HA_FENCEDIR", "/usr/sbin")
}

pub fn ha_cf() -> PathBuf {
    config().join("ha.cf")
}

pub fn haresources() -> PathBuf {
    config().join("haresources")
}

/// What hb_monitor looks at.
pub fn monitors() -> PathBuf {
    config().join("monitors")
}

pub fn authkeys() -> PathBuf {
    config().join("authkeys")
}

pub fn resource_d() -> PathBuf {
    config().join("resource.d")
}

/// Messages of scripts and commands, root only.
pub fn fifo() -> PathBuf {
    state().join("fifo")
}

/// Sign-on requests of clients.
pub fn register() -> PathBuf {
    state().join("register")
}

/// FIFO pairs of casual clients.
pub fn casual() -> PathBuf {
    state().join("casual")
}

/// FIFO pairs of named clients.
pub fn api() -> PathBuf {
    state().join("api")
}

/// What is the crm's.
pub fn crm() -> PathBuf {
    state().join("crm")
}

/// The door of lrmd.
pub fn lrm() -> PathBuf {
    crm().join("lrm")
}

/// Notes of the agents that run now: written by themselves, read by the next lrmd.
pub fn agents() -> PathBuf {
    run().join("heartbeat.agents")
}

pub fn generation() -> PathBuf {
    state().join("hb_generation")
}

pub fn uuid() -> PathBuf {
    state().join("hb_uuid")
}

/// The nodes this one knows, with uuid, weight and site.
pub fn hostcache() -> PathBuf {
    state().join("hostcache")
}

/// The last life heard of each peer.
pub fn peers() -> PathBuf {
    state().join("hb_peers")
}

/// The nodes that hb_delnode deleted: they do not join again by themselves.
pub fn delhostcache() -> PathBuf {
    state().join("delhostcache")
}

pub fn pid_file() -> PathBuf {
    run().join("heartbeat.pid")
}

/// The last state the daemon told, as JSON; for `cl_status` when it does not answer.
pub fn status() -> PathBuf {
    run().join("heartbeat/status")
}

/// Where dopd hears drbd-peer-outdater. `/run/heartbeat/dopd/outdater`, as in heartbeat 3.0.6.
pub fn outdater() -> PathBuf {
    run().join("heartbeat/dopd/outdater")
}

/// The groups this node holds: written by the master, read by the next one (`heartbeat -R`).
pub fn held() -> PathBuf {
    run().join("heartbeat.held")
}

/// Notes of the scripts that run now: written by themselves, read by the next master.
pub fn scripts() -> PathBuf {
    run().join("heartbeat.scripts")
}

/// The client programs of this node and their processes: written by the master, read by the next one.
pub fn respawned() -> PathBuf {
    run().join("heartbeat.clients")
}

/// Where a program of a `respawn` line is. Old files name ours by the directories of many distributions: those that this
/// installation has are meant, wherever it has them.
pub fn program(written: &Path) -> PathBuf {
    let Some(name) = packaged(written) else {
        return written.to_owned();
    };
    let ours = lib().join(name);
    if ours.is_file() { ours } else { written.to_owned() }
}

/// The name of a program that the file takes for one of heartbeat's own.
pub fn packaged(written: &Path) -> Option<&str> {
    let parts: Vec<&str> = written.iter().filter_map(|p| p.to_str()).collect();
    match parts[..] {
        ["/", "usr", "lib" | "lib64" | "libexec", "heartbeat", name]
        | ["/", "usr", "local", "lib" | "lib64" | "libexec", "heartbeat", name]
        | ["/", "usr", "lib", _, "heartbeat", name] => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_old_files_are_known_by_their_directories() {
        #[rustfmt::skip]
        let table = [
            ("/usr/lib/heartbeat/ipfail",                  Some("ipfail")),
            ("/usr/lib64/heartbeat/ipfail",                Some("ipfail")),
            ("/usr/libexec/heartbeat/dopd",                Some("dopd")),
            ("/usr/lib/x86_64-linux-gnu/heartbeat/ipfail", Some("ipfail")),
            ("/usr/local/lib/heartbeat/ipfail",            Some("ipfail")),
            ("/usr/lib/heartbeat/plugins/x",               None),
            ("/opt/heartbeat/ipfail",                      None),
            ("/usr/lib/heartbeat",                         None),
        ];
        for (path, name) in table {
            assert_eq!(packaged(Path::new(path)), name, "{path}");
        }
    }
}
