//! How an agent is called: the words behind its name, and what stands in its environment beside what every script gets.

use super::operation::{FEATURES, META, Order, is_own};
use super::{Agent, Class};
use crate::cib::document::FEATURE_SET;

/// The version of the interface that agents can count on.
const VERSION: [(&str, &str); 2] = [("OCF_RA_VERSION_MAJOR", "1"), ("OCF_RA_VERSION_MINOR", "1")];
/// Parameters with this in front are variables as they are.
const PLAIN: &str = "OCF_";

/// The words behind the name of the program.
pub fn arguments(order: &Order) -> Vec<String> {
    let op = match (order.agent.class, &*order.op) {
        (Class::Lsb | Class::Service | Class::Heartbeat, "monitor") => "status",
        (_, op) => op,
    };
    match order.agent.class {
        Class::Ocf | Class::Lsb | Class::Service | Class::Stonith => vec![op.to_owned()],
        Class::Heartbeat => positional(order).chain([op]).map(str::to_owned).collect(),
        Class::Systemd => {
            let unit = unit(&order.agent);
            let words = match op {
                "monitor" | "status" => ["is-active", "--", &unit],
                op => [op, "--", &unit],
            };
            words.map(str::to_owned).to_vec()
        }
    }
}

/// The unit of that name; a service, unless it says something else.
pub fn unit(agent: &Agent) -> String {
    const KINDS: [&str; 8] = [
        ".service", ".socket", ".mount", ".timer", ".path", ".target", ".slice", ".swap",
    ];
    match KINDS.iter().any(|kind| agent.name.ends_with(kind)) {
        true => agent.name.clone(),
        false => format!("{}.service", agent.name),
    }
}

/// The parameters 1, 2, … in the order of their numbers; a number that is left out is left out.
fn positional(order: &Order) -> impl Iterator<Item = &str> {
    let mut all: Vec<(u32, &str)> = order
        .params
        .iter()
        .filter_map(|(name, value)| Some((name.parse().ok()?, value.as_str())))
        .collect();
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, value)| value)
}

/// What the call adds to the environment: of an OCF agent everything it is told, of scripts nothing.
pub fn variables(order: &Order, node: &str) -> Vec<(String, String)> {
    match order.agent.class {
        Class::Ocf => {}
        Class::Lsb | Class::Service | Class::Heartbeat | Class::Stonith | Class::Systemd => return Vec::new(),
    }
    let mut env = of_agent(&order.agent, &order.rsc);
    let mut set = |name: String, value: &str| env.push((name, value.to_owned()));
    let told = |name: &str| order.params.contains_key(name);
    let mut meta = |name: &str, value: &str| {
        let name = format!("{META}{name}");
        if !told(&name) {
            set(format!("OCF_RESKEY_{name}"), value);
        }
    };
    meta("timeout", &order.limit().as_millis().to_string());
    meta("name", &order.op);
    meta("on_node", node);
    if !order.interval.is_zero() {
        meta("interval", &order.interval.as_millis().to_string());
    }
    if !told(FEATURES) {
        set(format!("OCF_RESKEY_{FEATURES}"), FEATURE_SET);
    }
    for (name, value) in &order.params {
        match name.starts_with(PLAIN) {
            true => set(name.clone(), value),
            // Not a name that a shell could have as a variable; Pacemaker hands it on all the same.
            false => set(format!("OCF_RESKEY_{}", name.replace('-', "_")), value),
        }
    }
    env
}

/// What an OCF agent is told even when it is asked for its meta-data only.
pub fn of_agent(agent: &Agent, instance: &str) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = VERSION.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    let mut set = |name: &str, value: &str| env.push((name.to_owned(), value.to_owned()));
    set("OCF_RESOURCE_INSTANCE", instance);
    set("OCF_RESOURCE_TYPE", &agent.name);
    set("OCF_RESOURCE_PROVIDER", agent.provider.as_deref().unwrap_or(""));
    set("OCF_EXIT_REASON_PREFIX", super::status::REASON);
    set("OCF_OUTPUT_FORMAT", "text");
    env
}

/// The parameters that are the agent's own, with their names.
pub fn own(order: &Order) -> impl Iterator<Item = (&str, &str)> {
    let own = order.params.iter().filter(|(name, _)| is_own(name));
    own.map(|(name, value)| (name.as_str(), value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;
    use std::collections::BTreeMap;

    fn order(agent: &str, op: &str, interval: u64, params: &[(&str, &str)]) -> Order {
        Order {
            id: 1,
            rsc: "vip:0".into(),
            agent: agent.parse().unwrap(),
            op: op.into(),
            interval: Duration::from_millis(interval),
            timeout: Duration::from_secs(30),
            start_delay: Duration::ZERO,
            params: params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            key: String::new(),
        }
    }

    #[test]
    fn words_behind_the_program() {
        let ip: &[_] = &[
            ("2", "eth0"),
            ("10", "last"),
            ("1", "10.0.0.1"),
            ("CRM_meta_timeout", "1"),
            ("x", "y"),
        ];
        #[rustfmt::skip]
        let table: &[(&str, &str, &[&str])] = &[
            ("ocf:heartbeat:IPaddr2", "monitor", &["monitor"]),
            ("lsb:apache2",           "monitor", &["status"]),
            ("service:apache2",       "monitor", &["status"]),
            ("lsb:apache2",           "start",   &["start"]),
            ("heartbeat:IPaddr",      "start",   &["10.0.0.1", "eth0", "last", "start"]),
            ("heartbeat:IPaddr",      "monitor", &["10.0.0.1", "eth0", "last", "status"]),
            ("systemd:nginx",         "start",   &["start", "--", "nginx.service"]),
            ("systemd:a.mount",       "monitor", &["is-active", "--", "a.mount"]),
        ];
        for (agent, op, want) in table {
            assert_eq!(arguments(&order(agent, op, 0, ip)), *want, "{agent} {op}");
        }
    }

    #[test]
    fn environment_of_an_ocf_agent() {
        let params: &[_] = &[
            ("ip", "10.0.0.1"),
            ("OCF_CHECK_LEVEL", "10"),
            ("CRM_meta_on_node", "told"),
            ("CRM_meta_notify_active_resource", " "),
            ("clone-max", "2"),
        ];
        let env: BTreeMap<_, _> = variables(&order("ocf:heartbeat:IPaddr2", "monitor", 10_000, params), "n1")
            .into_iter()
            .collect();
        #[rustfmt::skip]
        let table = [
            ("OCF_RA_VERSION_MAJOR",         Some("1")),
            ("OCF_RA_VERSION_MINOR",         Some("1")),
            ("OCF_RESOURCE_INSTANCE",        Some("vip:0")),
            ("OCF_RESOURCE_TYPE",            Some("IPaddr2")),
            ("OCF_RESOURCE_PROVIDER",        Some("heartbeat")),
            ("OCF_RESKEY_ip",                Some("10.0.0.1")),
            ("OCF_CHECK_LEVEL",              Some("10")),
            ("OCF_RESKEY_OCF_CHECK_LEVEL",   None),
            ("OCF_RESKEY_crm_feature_set",   Some("3.16.1")),
            ("OCF_RESKEY_CRM_meta_timeout",  Some("30000")),
            ("OCF_RESKEY_CRM_meta_interval", Some("10000")),
            ("OCF_RESKEY_CRM_meta_name",     Some("monitor")),
            ("OCF_RESKEY_CRM_meta_on_node",  Some("told")),
            ("OCF_RESKEY_CRM_meta_notify_active_resource", Some(" ")),
            ("OCF_RESKEY_clone_max",         Some("2")),
            ("OCF_EXIT_REASON_PREFIX",       Some("ocf-exit-reason:")),
        ];
        for (name, value) in table {
            assert_eq!(env.get(name).map(String::as_str), value, "{name}");
        }
        let once: BTreeMap<_, _> = variables(&order("ocf:heartbeat:IPaddr2", "start", 0, &[]), "n1")
            .into_iter()
            .collect();
        assert_eq!(once.get("OCF_RESKEY_CRM_meta_interval"), None);
        assert_eq!(once.get("OCF_RESKEY_CRM_meta_on_node").map(String::as_str), Some("n1"));
        assert_eq!(variables(&order("heartbeat:IPaddr", "start", 0, params), "n1"), []);
        assert_eq!(own(&order("lsb:x", "start", 0, params)).count(), 3);
    }
}
