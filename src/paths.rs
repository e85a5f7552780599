//! Where things are. `HA_DIR`, `HA_VARLIB`, `HA_RUN` and `HA_LIBDIR` move the directories, so that several nodes can
//! live on one machine (`hb_lab` does that) and an installation can have another prefix.

use std::env;
use std::path::PathBuf;

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

pub fn ha_cf() -> PathBuf {
    config().join("ha.cf")
}

pub fn haresources() -> PathBuf {
    config().join("haresources")
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

pub fn generation() -> PathBuf {
    state().join("hb_generation")
}

pub fn uuid() -> PathBuf {
    state().join("hb_uuid")
}

pub fn pid_file() -> PathBuf {
    run().join("heartbeat.pid")
}

/// The last state the daemon told, as JSON; for `cl_status` when it does not answer.
pub fn status() -> PathBuf {
    run().join("heartbeat/status")
}

/// The groups this node holds: written by the master, read by the next one (`heartbeat -R`).
pub fn held() -> PathBuf {
    run().join("heartbeat.held")
}
