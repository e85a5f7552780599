//! What an agent says of itself, and what is true of classes whose scripts say nothing.
//!
//! Agents are shell scripts: around their XML may stand what they write besides, and that is cut off. XML with entities of
//! its own, with too many levels, or too long is refused.

use super::agent::{Agent, Class};
use crate::cib::words::{interval, truth};
use crate::cib::xml::DEEPEST;
use crate::time::Duration;
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::BTreeSet;
use std::fmt::{self, Write};

/// The longest of 138 agents of Debian's resource-agents 4.12 has 13 KB.
pub const LONGEST: usize = 128 * 1024;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MetaData {
    pub name: String,
    pub version: String,
    pub shortdesc: String,
    pub longdesc: String,
    pub parameters: Vec<Parameter>,
    pub actions: Vec<Action>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parameter {
    pub name: String,
    pub required: bool,
    /// No two resources of this agent may have the same value.
    pub unique: bool,
    /// A change needs no restart; said by agents that can `reload-agent`.
    pub reloadable: bool,
    pub deprecated: bool,
    /// `string`, `integer`, `boolean`, `time`, …; `string` when the agent does not say.
    pub kind: String,
    pub default: Option<String>,
    /// The only values, of kind `select`.
    pub values: Vec<String>,
    pub shortdesc: String,
    pub longdesc: String,
}

/// The words are those of the agent: `20s`, `20`, `10`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Action {
    pub name: String,
    pub timeout: Option<String>,
    pub interval: Option<String>,
    pub depth: Option<String>,
    pub start_delay: Option<String>,
    pub role: Option<String>,
}

impl Action {
    pub fn timeout(&self) -> Option<Duration> {
        interval(self.timeout.as_deref()?)
    }

    pub fn interval(&self) -> Option<Duration> {
        interval(self.interval.as_deref()?)
    }
}

/// Why a text is no meta-data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadMetaData(String);

impl fmt::Display for BadMetaData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadMetaData {}

impl MetaData {
    /// What an agent of class `ocf`, or a fence agent, wrote.
    pub fn parse(text: &str) -> Result<Self, BadMetaData> {
        let bad = |why: String| Err(BadMetaData(why));
        if text.len() > LONGEST {
            return bad(format!(
                "meta-data of {} bytes are too long: at most {LONGEST} are read",
                text.len()
            ));
        }
        const END: &str = "</resource-agent>";
        let begin = ["<?xml", "<!DOCTYPE", "<resource-agent"];
        let begin = begin.iter().filter_map(|b| text.find(b)).min();
        let (Some(begin), Some(end)) = (begin, text.rfind(END)) else {
            return bad("there is no <resource-agent> in what the agent wrote".to_owned());
        };
        let Some(xml) = text.get(begin..end + END.len()).filter(|xml| !xml.is_empty()) else {
            return bad("</resource-agent> stands before <resource-agent>".to_owned());
        };
        let document = read(xml)?;
        let root = document.root_element();
        if !root.has_tag_name("resource-agent") {
            return bad(format!(
                "the outermost element is {}, not resource-agent",
                root.tag_name().name()
            ));
        }
        let of = |name| root.attribute(name).unwrap_or("").to_owned();
        Ok(Self {
            name: of("name"),
            version: of("version"),
            shortdesc: description(root, "shortdesc").unwrap_or_else(|| of("shortdesc")),
            longdesc: description(root, "longdesc").unwrap_or_default(),
            parameters: inside(root, "parameters", "parameter").map(Parameter::read).collect(),
            actions: inside(root, "actions", "action").map(Action::read).collect(),
        })
    }

    /// What a plugin of cluster-glue answers to `getinfo-xml`: its parameters.
    pub fn of_plugin(name: &str, text: &str) -> Result<Self, BadMetaData> {
        const END: &str = "</parameters>";
        let none = || BadMetaData("there are no <parameters> in what the plugin wrote".to_owned());
        let begin = text.find("<parameters").ok_or_else(none)?;
        let end = text.rfind(END).filter(|end| *end > begin).ok_or_else(none)?;
        let parameters = &text[begin..end + END.len()];
        let mut whole = Self::parse(&format!("<resource-agent>{parameters}</resource-agent>"))?;
        whole.name = name.to_owned();
        whole.shortdesc = format!("STONITH plugin {name} of cluster-glue");
        whole.actions = limits(&[("start", "60"), ("stop", "15"), ("status", "60"), ("monitor", "60")]);
        Ok(whole)
    }

    /// Of classes whose scripts have none: limits and intervals as Pacemaker 2.1.5 gives them. `script` is the script,
    /// whose header may describe it.
    pub fn of_class(agent: &Agent, script: &str) -> Self {
        let seconds = match agent.class {
            Class::Systemd => "100",
            Class::Service | Class::Lsb | Class::Heartbeat | Class::Ocf | Class::Stonith => "15",
        };
        let mut verbs = vec![
            ("start", seconds),
            ("stop", seconds),
            ("status", seconds),
            ("monitor", seconds),
        ];
        if matches!(agent.class, Class::Lsb | Class::Service) {
            verbs.extend([("restart", seconds), ("force-reload", seconds)]);
        }
        let mut actions = limits(&verbs);
        for monitor in actions.iter_mut().filter(|a| a.name == "monitor") {
            let interval = if agent.class == Class::Systemd { "60" } else { seconds };
            monitor.interval = Some(interval.to_owned());
        }
        let header = |name: &str| lsb_header(script, name);
        let (shortdesc, longdesc) = match agent.class {
            Class::Systemd => (format!("systemd unit {}", agent.name), String::new()),
            _ => (header("Short-Description"), header("Description")),
        };
        let shortdesc = match shortdesc.is_empty() {
            true => format!("{} of class {}", agent.name, agent.class),
            false => shortdesc,
        };
        Self {
            name: agent.name.clone(),
            version: String::new(),
            shortdesc,
            longdesc,
            parameters: Vec::new(),
            actions,
        }
    }

    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// The action of that name; of several monitors the one for `role`, else the first.
    pub fn action(&self, name: &str, role: Option<&str>) -> Option<&Action> {
        let mut named = self.actions.iter().filter(|a| a.name == name);
        let first = named.clone().next();
        named.find(|a| a.role.as_deref() == role).or(first)
    }

    /// The parameters whose change needs a restart, of agents that can take others without one: as Pacemaker 2.1.5, those
    /// not marked `reloadable`, or of agents that only know the `reload` of old, the unique ones.
    pub fn restart_parameters(&self) -> Option<Vec<String>> {
        let can = |action: &str| self.actions.iter().any(|a| a.name == action);
        let by_mark = can("reload-agent");
        if !by_mark && !can("reload") {
            return None;
        }
        let needs = |p: &&Parameter| if by_mark { !p.reloadable } else { p.unique };
        Some(self.parameters.iter().filter(needs).map(|p| p.name.clone()).collect())
    }

    pub fn to_xml(&self) -> String {
        let mut out = format!(
            "<?xml version=\"1.0\"?>\n<resource-agent name=\"{}\" version=\"{}\">\n",
            Escaped(&self.name),
            Escaped(&self.version)
        );
        describe(&mut out, "", &self.longdesc, &self.shortdesc);
        out += "<parameters>\n";
        for p in &self.parameters {
            let bit = |name: &str, on: bool| if on { format!(" {name}=\"1\"") } else { String::new() };
            let _ = writeln!(
                out,
                "<parameter name=\"{}\" unique=\"{}\" required=\"{}\"{}{}>",
                Escaped(&p.name),
                u8::from(p.unique),
                u8::from(p.required),
                bit("reloadable", p.reloadable),
                bit("deprecated", p.deprecated)
            );
            describe(&mut out, "  ", &p.longdesc, &p.shortdesc);
            let _ = write!(out, "  <content type=\"{}\"", Escaped(&p.kind));
            if let Some(default) = &p.default {
                let _ = write!(out, " default=\"{}\"", Escaped(default));
            }
            out += if p.values.is_empty() { "/>\n" } else { ">\n" };
            for value in &p.values {
                let _ = writeln!(out, "    <option value=\"{}\"/>", Escaped(value));
            }
            out += if p.values.is_empty() { "" } else { "  </content>\n" };
            out += "</parameter>\n";
        }
        out += "</parameters>\n<actions>\n";
        for a in &self.actions {
            let _ = write!(out, "<action name=\"{}\"", Escaped(&a.name));
            let words = [
                ("timeout", &a.timeout),
                ("interval", &a.interval),
                ("depth", &a.depth),
                ("start-delay", &a.start_delay),
                ("role", &a.role),
            ];
            for (name, value) in words {
                if let Some(value) = value {
                    let _ = write!(out, " {name}=\"{}\"", Escaped(value));
                }
            }
            out += "/>\n";
        }
        out + "</actions>\n</resource-agent>\n"
    }
}

fn describe(out: &mut String, indent: &str, long: &str, short: &str) {
    for (name, text) in [("longdesc", long), ("shortdesc", short)] {
        if !text.is_empty() {
            let _ = writeln!(out, "{indent}<{name} lang=\"en\">{}</{name}>", Escaped(text));
        }
    }
}

impl Parameter {
    fn read(node: Node<'_, '_>) -> Self {
        let yes = |name: &str| node.attribute(name).and_then(truth) == Some(true);
        let content = node.children().find(|c| c.has_tag_name("content"));
        let of = |name: &str| content.and_then(|c| c.attribute(name)).map(str::to_owned);
        let options = content.into_iter().flat_map(|c| c.children());
        let options = options.filter(|o| o.has_tag_name("option"));
        Self {
            name: node.attribute("name").unwrap_or("").to_owned(),
            required: yes("required"),
            unique: yes("unique") || node.attribute("unique-group").is_some_and(|g| !g.is_empty()),
            reloadable: yes("reloadable"),
            deprecated: yes("deprecated") || node.children().any(|c| c.has_tag_name("deprecated")),
            kind: of("type").unwrap_or_else(|| "string".to_owned()),
            default: of("default"),
            values: options
                .filter_map(|o| o.attribute("value"))
                .map(str::to_owned)
                .collect(),
            shortdesc: description(node, "shortdesc").unwrap_or_default(),
            longdesc: description(node, "longdesc").unwrap_or_default(),
        }
    }
}

impl Action {
    fn read(node: Node<'_, '_>) -> Self {
        let of = |name: &str| node.attribute(name).map(str::to_owned);
        Self {
            name: of("name").unwrap_or_default(),
            timeout: of("timeout"),
            interval: of("interval"),
            depth: of("depth"),
            start_delay: of("start-delay"),
            role: of("role"),
        }
    }
}

fn read(xml: &str) -> Result<Document<'_>, BadMetaData> {
    // The head of most agents names a DTD, which says nothing; one that brings its own could grow without end.
    let head = xml.split_once("<resource-agent").map_or(xml, |(head, _)| head);
    if head.contains('[') || head.contains("<!ENTITY") {
        return Err(BadMetaData("meta-data with a DTD of its own are not read".to_owned()));
    }
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(xml, options).map_err(|e| BadMetaData(e.to_string()))?;
    // Each is inside itself, and all in the document.
    let too_deep = |n: &Node<'_, '_>| n.is_element() && n.ancestors().nth(DEEPEST + 1).is_some();
    if let Some(deep) = document.descendants().find(too_deep) {
        let line = document.text_pos_at(deep.range().start).row;
        return Err(BadMetaData(format!(
            "line {line}: too many elements stand inside one another"
        )));
    }
    Ok(document)
}

fn inside<'a>(root: Node<'a, 'a>, list: &'static str, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    let lists = root.children().filter(move |c| c.has_tag_name(list));
    lists.flat_map(|l| l.children()).filter(move |c| c.has_tag_name(name))
}

/// In English, if it is there in several languages; the blanks around it are for the eye of the agent's author.
fn description(node: Node<'_, '_>, name: &str) -> Option<String> {
    let mut all = node.children().filter(|c| c.has_tag_name(name));
    let first = all.clone().next()?;
    let english = |c: &Node<'_, '_>| c.attribute("lang").is_none_or(|l| l == "en" || l.starts_with("en-"));
    let chosen = all.find(english).unwrap_or(first);
    let text: String = chosen
        .descendants()
        .filter(Node::is_text)
        .filter_map(|t| t.text())
        .collect();
    Some(text.trim().to_owned())
}

fn limits(verbs: &[(&str, &str)]) -> Vec<Action> {
    let action = |(name, seconds): &(&str, &str)| Action {
        name: (*name).to_owned(),
        timeout: Some((*seconds).to_owned()),
        ..Action::default()
    };
    verbs.iter().map(action).collect()
}

/// A field of the comment that scripts of init.d begin with, its continuation lines included.
fn lsb_header(script: &str, field: &str) -> String {
    let lines = script.lines().skip_while(|l| !l.starts_with("### BEGIN INIT INFO"));
    let lines = lines.skip(1).take_while(|l| !l.starts_with("### END INIT INFO"));
    let mut said: Vec<&str> = Vec::new();
    for line in lines {
        let text = line.trim_start_matches('#');
        match text
            .trim_start()
            .strip_prefix(field)
            .and_then(|rest| rest.strip_prefix(':'))
        {
            Some(value) => said.push(value.trim()),
            None if !said.is_empty() && (text.starts_with("\t") || text.starts_with("  ")) => said.push(text.trim()),
            None if !said.is_empty() => break,
            None => {}
        }
    }
    said.join(" ").trim().to_owned()
}

/// Names of parameters that are given and that the agent does not have, and of those it needs and that are not given.
pub fn faults<'a>(meta: &'a MetaData, given: &BTreeSet<&'a str>) -> (Vec<&'a str>, Vec<&'a str>) {
    let known = |name: &&&str| meta.parameter(name).is_none() && !name.starts_with("CRM_meta_");
    let unknown = given.iter().filter(known).copied().collect();
    let needed = meta.parameters.iter().filter(|p| p.required && !p.deprecated);
    let missing = needed.map(|p| p.name.as_str()).filter(|n| !given.contains(n)).collect();
    (unknown, missing)
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
