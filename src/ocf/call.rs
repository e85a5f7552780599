//! The words behind `OCF::`: which agent, with which parameters.

use super::limits::{Action, Limits};
use crate::time::{self, Duration};

/// Where agents of no named provider are looked for first: the provider of Debian's package resource-agents.
pub const FIRST_PROVIDER: &str = "heartbeat";

/// One agent with its parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// `None`: [`FIRST_PROVIDER`], else the only provider that has it.
    pub provider: Option<String>,
    pub agent: String,
    pub with: With,
    /// `start-timeout=90s` and the like: they win over the agent's own.
    pub limits: Limits,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum With {
    /// Names without `OCF_RESKEY_`, in the order of the words.
    Parameters(Vec<(String, String)>),
    /// As heartbeat 3.0.6 has them: the file `conf/OCF/AGENT/INSTANCE` of ha.d.
    Instance(String),
}

/// Reads the words behind `OCF::`, or the arguments of the program `OCF` without its action.
pub fn parse(words: &[String]) -> Result<Call, String> {
    let (agent, rest) = words.split_first().ok_or_else(form)?;
    let (provider, agent) = match agent.split_once(':') {
        Some((provider, agent)) => (Some(provider), agent),
        None => (None, agent.as_str()),
    };
    for name in provider.into_iter().chain([agent]) {
        if !is_file_name(name) {
            return Err(format!(
                "\"{}\" is not the name of an agent; {}",
                name.escape_debug(),
                form()
            ));
        }
    }
    let mut call = Call {
        provider: provider.map(str::to_owned),
        agent: agent.to_owned(),
        with: With::Parameters(Vec::new()),
        limits: Limits::default(),
    };
    if let [instance] = rest
        && !instance.contains('=')
    {
        if !is_file_name(instance) {
            return Err(format!(
                "OCF::{agent}: \"{}\" is neither a parameter (NAME=VALUE) nor the name of a file of parameters",
                instance.escape_debug()
            ));
        }
        call.with = With::Instance(instance.clone());
        return Ok(call);
    }
    let mut parameters = Vec::new();
    for word in joined(agent, rest)? {
        let (name, value) = word.split_once('=').unwrap_or((&word, ""));
        match name.strip_suffix("-timeout") {
            Some(action) => call.limits.set(limit_action(agent, action)?, limit(name, value)?),
            None => parameters.push(parameter(agent, name, value)?),
        }
    }
    call.with = With::Parameters(parameters);
    Ok(call)
}

fn form() -> String {
    "write OCF::AGENT::NAME=VALUE or OCF::PROVIDER:AGENT::NAME=VALUE".to_owned()
}

/// `::` separates the words, also inside an IPv6 address: a word without `=` belongs to the value before it.
fn joined(agent: &str, words: &[String]) -> Result<Vec<String>, String> {
    let mut all: Vec<String> = Vec::new();
    for word in words {
        match (word.contains('='), all.last_mut()) {
            (true, _) => all.push(word.clone()),
            (false, Some(before)) => {
                before.push_str("::");
                before.push_str(word);
            }
            (false, None) => {
                return Err(format!(
                    "OCF::{agent}: \"{}\" is not a parameter: write NAME=VALUE",
                    word.escape_debug()
                ));
            }
        }
    }
    Ok(all)
}

fn limit_action(agent: &str, word: &str) -> Result<Action, String> {
    Action::from_word(word).ok_or_else(|| {
        format!("OCF::{agent}: \"{word}-timeout\" is not start-timeout, stop-timeout or monitor-timeout")
    })
}

fn limit(name: &str, value: &str) -> Result<Duration, String> {
    match time::parse_time(value) {
        Ok(limit) if limit > Duration::ZERO => Ok(limit),
        Ok(_) => Err(format!("{name}={value}: must be above 0")),
        Err(e) => Err(format!("{name}: {e}")),
    }
}

/// A name has to become one of the environment.
fn parameter(agent: &str, name: &str, value: &str) -> Result<(String, String), String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(good) {
        return Err(format!(
            "OCF::{agent}: \"{}\" is not the name of a parameter: letters, digits and _",
            name.escape_debug()
        ));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains('/') && !name.contains('\0')
}

/// The file of an instance: lines `NAME=VALUE`, with or without `OCF_RESKEY_` and quotes.
pub fn instance_file(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    for (i, raw) in text.lines().enumerate() {
        let line = raw.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("line {}: \"{}\" is not NAME=VALUE", i + 1, line.escape_debug()));
        };
        let name = name.strip_prefix("OCF_RESKEY_").unwrap_or(name);
        let pair = parameter("", name, unquoted(value)).map_err(|_| {
            format!(
                "line {}: \"{}\" is not the name of a parameter",
                i + 1,
                name.escape_debug()
            )
        })?;
        all.push(pair);
    }
    Ok(all)
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|v| v.split_once(quote)) {
            return inside;
        }
    }
    // A comment needs a blank before it.
    value.split(" #").next().unwrap_or(value).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn words_of_haresources() {
        type Pairs<'a> = &'a [(&'a str, &'a str)];
        #[rustfmt::skip]
        let table: [(&str, Option<&str>, &str, Pairs<'_>); 7] = [
            ("IPaddr2::ip=10.0.0.1::cidr_netmask=24", None, "IPaddr2", &[("ip", "10.0.0.1"), ("cidr_netmask", "24")]),
            ("heartbeat:nginx",                  Some("heartbeat"), "nginx", &[]),
            ("pacemaker:Dummy::op_sleep=1",      Some("pacemaker"), "Dummy", &[("op_sleep", "1")]),
            ("IPaddr2::ip=fd00::1::nic=eth0",    None, "IPaddr2", &[("ip", "fd00::1"), ("nic", "eth0")]),
            ("IPaddr2::ip=fd00::",               None, "IPaddr2", &[("ip", "fd00::")]),
            ("x::opts=a=b,c=d",                  None, "x",       &[("opts", "a=b,c=d")]),
            ("x::empty=",                        None, "x",       &[("empty", "")]),
        ];
        for (text, provider, agent, pairs) in table {
            let call = parse(&words(text)).unwrap_or_else(|e| panic!("{text}: {e}"));
            let expected = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            assert_eq!(
                (call.provider.as_deref(), call.agent.as_str(), call.with),
                (provider, agent, With::Parameters(expected)),
                "{text}"
            );
        }
    }

    #[test]
    fn one_word_without_a_value_is_the_file_of_an_instance() {
        let call = parse(&words("IPaddr2::web")).unwrap();
        assert_eq!(call.with, With::Instance("web".to_owned()));
    }

    #[test]
    fn limits_are_no_parameters() {
        let call = parse(&words("x::start-timeout=90s::a=1::stop-timeout=1500ms")).unwrap();
        assert_eq!(call.with, With::Parameters(vec![("a".to_owned(), "1".to_owned())]));
        assert_eq!(call.limits.get(Action::Start), Some(Duration::from_secs(90)));
        assert_eq!(call.limits.get(Action::Stop), Some(Duration::from_millis(1500)));
        assert_eq!(call.limits.get(Action::Monitor), None);
    }

    #[test]
    fn mistakes_are_named() {
        #[rustfmt::skip]
        let table = [
            ("",                        "is not the name of an agent"),
            ("../IPaddr2::ip=1",        "is not the name of an agent"),
            (":x::ip=1",                "is not the name of an agent"),
            ("x::../y",                 "neither a parameter"),
            ("x::a::b=1",               "\"a\" is not a parameter"),
            ("x::a-b=1",                "\"a-b\" is not the name of a parameter"),
            ("x::=1",                   "\"\" is not the name of a parameter"),
            ("x::promote-timeout=1",    "is not start-timeout"),
            ("x::start-timeout=0",      "must be above 0"),
            ("x::start-timeout=soon",   "start-timeout: "),
        ];
        for (text, part) in table {
            let said = parse(&words(text)).unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
        }
        assert!(parse(&[]).unwrap_err().contains("write OCF::AGENT"));
    }

    #[test]
    fn files_of_instances() {
        let text =
            "# of web\nip=10.0.0.1\n export OCF_RESKEY_nic=\"eth0\" # the outer one\n\nx='a # b'\ny=a # b\nz=a#b\n";
        let pairs: Vec<(String, String)> = [
            ("ip", "10.0.0.1"),
            ("nic", "eth0"),
            ("x", "a # b"),
            ("y", "a"),
            ("z", "a#b"),
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .to_vec();
        assert_eq!(instance_file(text), Ok(pairs));
        assert!(instance_file("ip=1\nnonsense\n").unwrap_err().starts_with("line 2: "));
        assert!(instance_file("a b=1\n").unwrap_err().starts_with("line 1: "));
    }
}
