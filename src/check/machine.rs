//! What only the machine can tell: interfaces, serial devices, scripts, users, services.

use super::read::complain;
use crate::conf::ha_cf::ClientLine;
use crate::conf::{ApiAuth, Complaint, HaCf, Haresources, MediumKind, MediumSpec, ResourceSpec, Severity};
use crate::jobs::{fence, ocf};
use crate::paths;
use crate::sys::files::{self, Interface};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::ToSocketAddrs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

const SERVICES: &str = "/etc/services";
/// There exactly while systemd is the init of this machine: sd_booted(3).
const SYSTEMD_RUNS: &str = "/run/systemd/system";
const UNITS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

pub(super) fn ha_cf(file: &Path, cf: &HaCf, all: &mut Vec<Complaint>) {
    media(file, cf, all);
    for client in &cf.clients {
        for (severity, message) in client_faults(client) {
            complain(all, file, client.line, severity, message);
        }
    }
    for (line, message) in apiauth_faults(&cf.apiauth) {
        complain(all, file, line, Severity::Warning, message);
    }
    if let Some(device) = cf.watchdog.as_deref().filter(|d| !d.exists()) {
        let message = format!(
            "watchdog {}: there is no such device: load its driver (modprobe softdog), or remove the line",
            device.display()
        );
        complain(all, file, 0, Severity::Warning, message);
    }
    for device in &cf.fencing {
        if let Some(why) = fence::fault(device) {
            let message = format!("{}: {why}", device.name());
            complain(all, file, device.line, Severity::Error, message);
        }
    }
    for log in [&cf.logfile, &cf.debugfile].into_iter().flatten() {
        if let Some(dir) = log.parent().filter(|d| !d.is_dir()) {
            let message = format!(
                "log {}: there is no directory {}: make it",
                log.display(),
                dir.display()
            );
            complain(all, file, 0, Severity::Warning, message);
        }
    }
    if let Ok(text) = fs::read_to_string(SERVICES) {
        for (line, message) in ports(cf, &text) {
            complain(all, file, line, Severity::Warning, message);
        }
    }
}

/// A medium that does not work is tried again by the daemon; only when none works there is no point in starting.
fn media(file: &Path, cf: &HaCf, all: &mut Vec<Complaint>) {
    let interfaces = files::interfaces();
    let faults: Vec<(usize, Option<String>)> = cf
        .media
        .iter()
        .filter(|m| !m.is_ping())
        .map(|m| (m.line, medium_fault(m, interfaces.as_ref().ok())))
        .collect();
    let works = faults.iter().any(|(_, fault)| fault.is_none());
    let (severity, end) = if works {
        (
            Severity::Warning,
            "until it works, the daemon tries again and uses the other media",
        )
    } else {
        (Severity::Error, "no medium of this file works")
    };
    for (line, fault) in faults {
        if let Some(fault) = fault {
            complain(all, file, line, severity, format!("{fault}; {end}"));
        }
    }
}

fn medium_fault(medium: &MediumSpec, interfaces: Option<&BTreeMap<String, Interface>>) -> Option<String> {
    let (name, link) = (medium.medium(), medium.link());
    let dev = match &medium.kind {
        MediumKind::Serial { device, .. } => {
            return match fs::metadata(device) {
                Ok(facts) if facts.file_type().is_char_device() => None,
                Ok(_) => Some(format!(
                    "serial {link}: is not a serial device: write one such as /dev/ttyS0"
                )),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Some(format!(
                    "serial {link}: there is no such device: look for it with `ls /dev/tty*`"
                )),
                Err(e) => Some(format!("serial {link}: {e}")),
            };
        }
        MediumKind::Bcast { dev }
        | MediumKind::Ucast { dev, .. }
        | MediumKind::Mcast { dev, .. }
        | MediumKind::Ucast6 { dev, .. }
        | MediumKind::Mcast6 { dev, .. } => dev,
        // Needs an address and no interface of its own.
        MediumKind::Ping { .. } => return None,
    };
    // Without the list of interfaces nothing is known to be wrong.
    let interfaces = interfaces?;
    if let Some((whole, _)) = dev.split_once(':') {
        return Some(format!(
            "{name} {link}: is a label, not an interface: write `{name} {whole}`"
        ));
    }
    let Some(interface) = interfaces.get(dev) else {
        let names: Vec<&str> = interfaces
            .keys()
            .map(String::as_str)
            .filter(|n| *n != "lo" && !n.contains(':'))
            .collect();
        let names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        return Some(format!(
            "{name} {link}: there is no such interface (there are: {names})"
        ));
    };
    if medium.medium() == "bcast" && interface.broadcast.is_none() {
        return Some(format!(
            "{name} {link}: the interface has no IPv4 broadcast address: give it an address, or use mcast"
        ));
    }
    None
}

/// What the master will not find when it looks the names up.
pub(super) fn host_names(file: &Path, cf: &HaCf) -> Vec<Complaint> {
    let mut all = Vec::new();
    for medium in &cf.media {
        if let MediumKind::Ucast { to, .. } | MediumKind::Ucast6 { to, .. } | MediumKind::Ping { host: to, .. } =
            &medium.kind
        {
            let host = to.split('%').next().unwrap_or(to);
            if let Err(e) = (host, medium.port).to_socket_addrs() {
                let text = format!(
                    "{} {}: the name {to} cannot be looked up ({e}): write its address, or add it to /etc/hosts",
                    medium.medium(),
                    medium.link()
                );
                complain(&mut all, file, medium.line, Severity::Warning, text);
            }
        }
    }
    all
}

fn client_faults(client: &ClientLine) -> Vec<(Severity, String)> {
    let word = if client.failfast { "failfast" } else { "respawn" };
    let mut faults = Vec::new();
    if files::user_id(&client.user).is_none() {
        let message = format!(
            "{word}: there is no user {}: create it (useradd) or write another",
            client.user
        );
        faults.push((Severity::Error, message));
    }
    let (written, real) = (client.program.display(), paths::program(&client.program));
    let gone = paths::packaged(&client.program).filter(|_| !real.exists());
    if let Some(name) = gone {
        // An old file may name what only the old package had: the cluster must come up without it.
        let message =
            format!("{word} {written}: this heartbeat has no {name}, so it cannot run: put # before the line");
        faults.push((Severity::Warning, message));
    } else if let Some(fault) = program_fault(&real) {
        faults.push((Severity::Error, format!("{word} {written}: {fault}")));
    }
    faults
}

/// Names that let nobody in. The defaults, which are in no line, may name what this machine does not have.
fn apiauth_faults(lines: &[ApiAuth]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let number = |name: &str| name.parse::<u32>().is_ok();
    for auth in lines.iter().filter(|a| a.line > 0) {
        for name in auth.users.iter().filter(|n| !number(n) && files::user_id(n).is_none()) {
            let text = format!(
                "apiauth {}: there is no user {name}, so this lets nobody in: create it (useradd) or write another",
                auth.client
            );
            found.push((auth.line, text));
        }
        for name in auth.groups.iter().filter(|n| !number(n) && files::group(n).is_none()) {
            let text = format!(
                "apiauth {}: there is no group {name}, so this lets nobody in: create it (groupadd) or write another",
                auth.client
            );
            found.push((auth.line, text));
        }
    }
    found
}

pub(super) fn program_fault(path: &Path) -> Option<String> {
    match fs::metadata(path) {
        Ok(facts) if !facts.is_file() => Some("is not a program: write the path of one".to_owned()),
        Ok(facts) if facts.permissions().mode() & 0o111 == 0 => {
            Some(format!("is not executable: chmod +x {}", path.display()))
        }
        Ok(_) => None,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Some("there is no such program: install it, correct its path, or put # before the line".to_owned())
        }
        Err(e) => Some(e.to_string()),
    }
}

/// Ports that /etc/services gives to someone else, by the line of the medium.
fn ports(cf: &HaCf, services: &str) -> Vec<(usize, String)> {
    let mut names: BTreeMap<u16, &str> = BTreeMap::new();
    let mut ours = None;
    for line in services.lines() {
        let mut words = line.split('#').next().unwrap_or("").split_ascii_whitespace();
        let (Some(name), Some(at)) = (words.next(), words.next()) else {
            continue;
        };
        let Some(port) = at.strip_suffix("/udp").and_then(|p| p.parse().ok()) else {
            continue;
        };
        names.entry(port).or_insert(name);
        if name == "ha-cluster" || words.any(|alias| alias == "ha-cluster") {
            ours.get_or_insert(port);
            names.insert(port, "ha-cluster");
        }
    }
    let mut found = Vec::new();
    let mut told = BTreeSet::new();
    for medium in &cf.media {
        let shares = matches!(
            medium.kind,
            MediumKind::Bcast { .. } | MediumKind::Ucast { .. } | MediumKind::Ucast6 { .. }
        );
        if !shares || !told.insert(medium.port) {
            continue;
        }
        if let Some(name) = names.get(&medium.port).filter(|n| **n != "ha-cluster") {
            let text = format!(
                "udpport {}: {SERVICES} gives this port to {name}: make sure that it does not run",
                medium.port
            );
            found.push((medium.line, text));
        }
        if let Some(other) = ours.filter(|p| *p != 694 && medium.port == 694) {
            let text = format!(
                "udpport: {SERVICES} says that ha-cluster is port {other}, which heartbeat 3.0.6 takes when ha.cf does not \
                 say; write `udpport {other}` above the media if the other node still runs it"
            );
            found.push((medium.line, text));
        }
    }
    found
}

/// Scripts of the groups: in resource.d, else in init.d, and executable.
pub(super) fn haresources(file: &Path, groups: &Haresources, all: &mut Vec<Complaint>) {
    let places = [paths::resource_d(), paths::init_d()];
    let mut told = BTreeSet::new();
    for group in &groups.groups {
        for resource in &group.resources {
            if let Some((severity, message)) = agent_fault(resource) {
                complain(all, file, group.line, severity, message);
            }
            if !told.insert(&resource.script) {
                continue;
            }
            if let Some(message) = script_fault(&resource.script, &places) {
                complain(all, file, group.line, Severity::Warning, message);
            }
        }
    }
}

/// What a script that hands on to something else would not find.
fn agent_fault(resource: &ResourceSpec) -> Option<(Severity, String)> {
    match resource.script.as_str() {
        ocf::SCRIPT => ocf::fault(resource).map(|why| (Severity::Warning, why)),
        "systemd" => systemd_fault(resource, Path::new(SYSTEMD_RUNS)),
        _ => None,
    }
}

/// Nowhere else can it ever work, and no node but one with systemd can take the group: so an error, other than a script
/// that is not installed yet.
fn systemd_fault(resource: &ResourceSpec, runs: &Path) -> Option<(Severity, String)> {
    let name = &resource.name;
    if resource.args.len() != 1 || resource.args[0].is_empty() {
        return Some((
            Severity::Error,
            format!("{name}: one unit is needed: write systemd::UNIT"),
        ));
    }
    (!runs.is_dir()).then(|| {
        let why = format!(
            "{name}: systemd does not run this machine: use a script of /etc/init.d, or an OCF agent (OCF::AGENT)"
        );
        (Severity::Error, why)
    })
}

/// Sites that have moved from init scripts to units find theirs here.
fn has_unit(script: &str) -> bool {
    Path::new(SYSTEMD_RUNS).is_dir()
        && UNITS
            .iter()
            .any(|dir| Path::new(dir).join(format!("{script}.service")).exists())
}

fn script_fault(script: &str, places: &[PathBuf; 2]) -> Option<String> {
    let mut here = None;
    for place in places {
        let path = place.join(script);
        match program_fault(&path) {
            None => return None,
            Some(_) if path.exists() => here = here.or(Some(path)),
            Some(_) => {}
        }
    }
    Some(match here {
        Some(path) => format!(
            "script {script}: {} cannot be run: chmod +x {}",
            path.display(),
            path.display()
        ),
        None if has_unit(script) => format!(
            "script {script}: is neither in {} nor in {}, but there is a unit of that name: write systemd::{script}",
            places[0].display(),
            places[1].display()
        ),
        None => format!(
            "script {script}: is neither in {} nor in {}: install it, or correct its name",
            places[0].display(),
            places[1].display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::ha_cf;

    fn cf(lines: &str) -> HaCf {
        let text = format!("auto_failback on\nlogfacility none\n{lines}\nnode n1\n");
        let parsed = ha_cf::parse(Path::new("ha.cf"), &text, &"n1".parse().unwrap());
        parsed.value.expect("a good file")
    }

    #[test]
    fn unknown_names_of_apiauth_are_told_with_their_line() {
        let cf =
            cf("apiauth a uid=root,no-such-user,7 gid=0,no-such-group\napiauth b gid=root uid=4000000000\nbcast lo");
        let faults = apiauth_faults(&cf.apiauth);
        let lines: Vec<usize> = faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 3], "{faults:?}");
        assert!(faults[0].1.starts_with("apiauth a: there is no user no-such-user,"));
        assert!(faults[1].1.starts_with("apiauth a: there is no group no-such-group,"));
    }

    #[test]
    fn a_broken_medium_is_an_error_only_when_it_is_the_last_one() {
        #[rustfmt::skip]
        let table = [
            // media                                             severities by line
            ("ucast lo 127.0.0.1",                               vec![]),
            ("ucast no-such-dev 10.0.0.1",                       vec![(3, Severity::Error)]),
            ("ucast no-such-dev 10.0.0.1\nucast lo 127.0.0.1",   vec![(3, Severity::Warning)]),
            ("serial /dev/no-such\nbcast no-such-dev",           vec![(3, Severity::Error), (4, Severity::Error)]),
            ("serial /etc/passwd\nserial /dev/null",             vec![(3, Severity::Warning)]),
            ("ucast lo:0 127.0.0.1\nbcast lo",                   vec![(3, Severity::Error), (4, Severity::Error)]),
        ];
        for (lines, expected) in table {
            let mut all = Vec::new();
            media(Path::new("ha.cf"), &cf(lines), &mut all);
            let got: Vec<_> = all.iter().map(|c| (c.line, c.severity)).collect();
            assert_eq!(got, expected, "{lines}: {all:?}");
        }
    }

    #[test]
    fn addresses_are_not_looked_up() {
        let good = cf("ucast lo 127.0.0.1\nucast6 lo fe80::1%lo\nucast lo localhost");
        assert_eq!(host_names(Path::new("ha.cf"), &good), []);
        let bad = cf("ucast lo 127.0.0.1\nucast lo no-such-host.invalid");
        let lines: Vec<_> = host_names(Path::new("ha.cf"), &bad).iter().map(|c| c.line).collect();
        assert_eq!(lines, [4]);
    }

    #[test]
    fn ports_of_others_are_told_once() {
        let services = "ntp 123/udp # time\nha-cluster 694/udp\nha-cluster 694/tcp\nfoo\t695/udp\tbar\n";
        #[rustfmt::skip]
        let table = [
            ("bcast eth0 eth1",                services,                0),
            ("udpport 123\nbcast eth0 eth1",   services,                1),
            ("udpport 695\nbcast eth0",        services,                1),
            ("bcast eth0",                     "ha-cluster 1001/udp",   1),
            ("udpport 1001\nbcast eth0",       "ha-cluster 1001/udp",   0),
            ("bcast eth0",                     "x 694/udp ha-cluster",  0),
            ("mcast eth0 239.0.0.1 123 1 0",   services,                0),
        ];
        for (lines, services, count) in table {
            let found = ports(&cf(lines), services);
            assert_eq!(found.len(), count, "{lines}: {found:?}");
        }
    }

    #[test]
    fn units_need_systemd_and_agents_have_to_be_there() {
        let (here, nowhere) = (Path::new("/"), Path::new("/no/such/directory"));
        #[rustfmt::skip]
        let table = [
            // resource            systemd runs  complaint
            ("systemd::nginx",     here,         None),
            ("systemd::nginx",     nowhere,      Some("systemd::nginx: systemd does not run this machine")),
            ("systemd",            here,         Some("systemd: one unit is needed")),
            ("systemd::a::b",      here,         Some("systemd::a::b: one unit is needed")),
        ];
        let resource = |word: &str| {
            let mut words = word.split("::").map(str::to_owned);
            ResourceSpec {
                name: word.parse().unwrap(),
                script: words.next().unwrap(),
                args: words.collect(),
            }
        };
        for (word, runs, complaint) in table {
            let found = systemd_fault(&resource(word), runs);
            assert_eq!(
                found.as_ref().map(|(s, _)| *s),
                complaint.map(|_| Severity::Error),
                "{word}"
            );
            assert!(found.is_none_or(|(_, m)| m.starts_with(complaint.unwrap())), "{word}");
        }
        let (severity, message) = agent_fault(&resource("OCF::no-such-agent::a=1")).unwrap();
        assert_eq!(severity, Severity::Warning);
        assert!(
            message.starts_with("OCF::no-such-agent::a=1: there is no OCF agent no-such-agent in "),
            "{message}"
        );
        assert_eq!(agent_fault(&resource("httpd")), None);
    }

    #[test]
    fn clients_need_a_user_and_a_program() {
        #[rustfmt::skip]
        let table = [
            ("respawn root /bin/sh -c true",        0),
            ("respawn no-such-user-here /bin/sh",   1),
            ("respawn root /etc/passwd",            1),
            ("respawn no-such-user-here /no/such",  2),
            ("failfast root /tmp",                  1),
        ];
        for (line, count) in table {
            let faults = client_faults(&cf(&format!("bcast eth0\n{line}")).clients[0]);
            assert_eq!(faults.len(), count, "{line}: {faults:?}");
        }
    }
}
