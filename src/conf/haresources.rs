//! haresources: a line a resource group.
//!
//! The file must be the same on all nodes: [`digest`] and [`line_digests`] are what the nodes tell each other to find out.

use super::{Complaints, Parsed, lines};
use crate::ids::{BadName, NodeName, ResourceName};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// One resource of a group: which script, with which arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceSpec {
    /// As written: `192.168.8.240/19`, `Filesystem::/dev/sda1::/data::ext3`.
    pub name: ResourceName,
    /// `IPaddr` for the address sugar.
    pub script: String,
    pub args: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupSpec {
    /// The preferred node.
    pub node: NodeName,
    /// At least one, started left to right, stopped right to left. The first one's name is the key of the group.
    pub resources: Vec<ResourceSpec>,
    pub line: usize,
}

impl GroupSpec {
    pub fn key(&self) -> &ResourceName {
        &self.resources[0].name
    }

    /// Node and resources with single blanks: what the nodes compare, and what ResourceManager prints.
    pub fn canonical(&self) -> String {
        let words: Vec<&str> = self.resources.iter().map(|r| r.name.as_str()).collect();
        format!("{} {}", self.node, words.join(" "))
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Haresources {
    pub groups: Vec<GroupSpec>,
}

/// Reads haresources; `nodes` are the normal nodes of ha.cf. An empty list means that ha.cf could not be read: then
/// every node name is taken.
pub fn parse(file: &Path, text: &str, nodes: &[NodeName]) -> Parsed<Haresources> {
    let mut bad = Complaints::about(file);
    let mut found = Haresources::default();
    for logical in logical_lines(text, &mut bad) {
        found.groups.extend(group(&logical, nodes, &mut bad));
    }
    if found.groups.is_empty() {
        bad.warn(
            0,
            "no resource group: this cluster guards nothing; write a line such as `NODE 192.168.1.10 httpd`",
        );
    }
    compare(&found, &mut bad);
    bad.finish(|| Some(found))
}

/// SHA-1 over the groups in the order of the file: equal on two nodes exactly when comments and blanks are the only
/// difference between their files.
pub fn digest(all: &Haresources) -> String {
    let mut sha = Sha1::new();
    for group in &all.groups {
        sha.update(group.canonical().as_bytes());
        sha.update(b"\n");
    }
    hex(&sha.finalize())
}

/// The line of each group and eight hex digits of its SHA-1, so that two nodes can say which lines differ.
pub fn line_digests(all: &Haresources) -> Vec<(usize, String)> {
    let short = |group: &GroupSpec| hex(&Sha1::digest(group.canonical().as_bytes())[..4]);
    all.groups.iter().map(|g| (g.line, short(g))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A line with what continues it; the words know where they stand.
struct Logical {
    line: usize,
    words: Vec<(usize, String)>,
}

/// Puts continued lines together. Comments are comments everywhere; where the classic program reads something else,
/// a warning says so, because the other node may still run it.
fn logical_lines(text: &str, bad: &mut Complaints) -> Vec<Logical> {
    let mut all: Vec<Logical> = Vec::new();
    // A word that ends in `\` goes on in the next line; `Some` while a continuation is open.
    let mut open: Option<String> = None;
    let mut comment_to_continue: Option<usize> = None;
    let mut last = 0;
    for (number, raw) in lines(text) {
        last = number;
        bad.long_line(number, raw);
        let (content, comment) = match raw.split_once('#') {
            Some((content, comment)) => (content, Some(comment)),
            None => (raw, None),
        };
        let continues = comment.is_none() && content.ends_with('\\');
        let content = if continues {
            &content[..content.len() - 1]
        } else {
            content
        };
        // A group that is commented out in all its lines is no reason to say anything.
        if let Some(before) = comment_to_continue.filter(|_| !content.trim().is_empty()) {
            bad.warn(
                before,
                "the comment ends with `\\`: here the line ends, heartbeat 3.0.6 may go on with the next one; remove it",
            );
        }
        comment_to_continue = comment.filter(|c| c.ends_with('\\')).map(|_| number);
        if comment.is_some() && open.is_some() {
            bad.warn(
                number,
                "a comment in a continued line: heartbeat 3.0.6 reads its words as resources; put it on a line of its own \
                 above the group",
            );
        }
        if !continues && content.trim_end().ends_with('\\') {
            bad.error(
                number,
                "something stands behind the `\\`: to continue the line, `\\` must be its last character",
            );
        }
        let joined = open.take().map(|half| half + content);
        let started = joined.is_some();
        let mut words: Vec<String> = joined
            .as_deref()
            .unwrap_or(content)
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect();
        if continues {
            let glued = content.ends_with(|c: char| !c.is_ascii_whitespace());
            open = Some(if glued {
                words.pop().unwrap_or_default()
            } else {
                String::new()
            });
        }
        let words = words.into_iter().map(|w| (number, w));
        match all.last_mut() {
            Some(before) if started => before.words.extend(words),
            _ => all.push(Logical {
                line: number,
                words: words.collect(),
            }),
        }
    }
    if let Some(half) = open {
        bad.warn(last, "the file ends with a `\\` that continues nothing: remove it");
        if let (Some(before), false) = (all.last_mut(), half.is_empty()) {
            before.words.push((last, half));
        }
    }
    all
}

fn group(logical: &Logical, nodes: &[NodeName], bad: &mut Complaints) -> Option<GroupSpec> {
    let ((first_line, first), rest) = logical.words.split_first()?;
    let node = match first.parse::<NodeName>() {
        Ok(node) => node,
        Err(e) => {
            bad.error(*first_line, format!("{e}; a line is `NODE RESOURCE...`"));
            return None;
        }
    };
    if !nodes.is_empty() && !nodes.contains(&node) {
        let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
        let hint = match resource(first) {
            Ok(spec) if spec.script == "IPaddr" => "; the first word of a line is the node".to_owned(),
            _ => String::new(),
        };
        bad.error(
            *first_line,
            format!(
                "{node} is not a node of ha.cf (there are: {}){hint}: write one of these",
                names.join(", ")
            ),
        );
    }
    let mut resources = Vec::new();
    for (line, word) in rest {
        match resource(word) {
            Ok(spec) => resources.push(spec),
            Err(why) => bad.error(*line, why),
        }
    }
    if rest.is_empty() {
        bad.warn(
            logical.line,
            format!(
                "{node} has no resource in this line: it does nothing; write for example `{node} 192.168.1.10 httpd`"
            ),
        );
    }
    if resources.is_empty() {
        return None;
    }
    Some(GroupSpec {
        node,
        resources,
        line: logical.line,
    })
}

/// Does the word look like an IPv4 address to the classic's shell, `[0-9]*.[0-9]*.[0-9]*.[0-9]*`?
fn looks_like_address(word: &str) -> bool {
    let bytes = word.as_bytes();
    let dots = bytes
        .windows(2)
        .filter(|w| w[0] == b'.' && w[1].is_ascii_digit())
        .count();
    bytes.first().is_some_and(u8::is_ascii_digit) && dots >= 3
}

fn resource(word: &str) -> Result<ResourceSpec, String> {
    let name: ResourceName = word.parse().map_err(|e: BadName| e.to_string())?;
    let (script, rest) = if looks_like_address(word) {
        ("IPaddr", Some(word))
    } else {
        match word.split_once("::") {
            Some((script, rest)) => (script, Some(rest)),
            None => (word, None),
        }
    };
    let args: Vec<String> = rest.map_or_else(Vec::new, |r| r.split("::").map(str::to_owned).collect());
    if script.is_empty() {
        return Err(format!("\"{name}\" names no script: write `SCRIPT::ARGUMENT`"));
    }
    if let Some((_, last)) = script.rsplit_once('/') {
        return Err(format!(
            "\"{name}\" is a path: write only the name of the script (`{}`), it is looked up in resource.d and init.d",
            last.escape_debug()
        ));
    }
    if script == "IPaddr" || script == "IPaddr2" {
        address(args.first().map_or("", String::as_str))?;
    }
    if script == "OCF" {
        crate::ocf::call::parse(&args)?;
    }
    // `::` inside an IPv6 address is a separator to every version; to other scripts `a::b` is just two arguments.
    let joined = rest
        .filter(|_| script == "IPv6addr")
        .and_then(|r| r.split('/').next())
        .and_then(|r| r.parse::<Ipv6Addr>().ok());
    if let (Some(ip), true) = (joined, args.len() > 1) {
        let groups: Vec<String> = ip.segments().iter().map(|g| format!("{g:x}")).collect();
        return Err(format!(
            "\"{name}\": `::` separates arguments, also inside an address: write {script}::{}",
            groups.join(":")
        ));
    }
    Ok(ResourceSpec {
        name,
        script: script.to_owned(),
        args,
    })
}

/// `IP[/MASK[/INTERFACE[:N]][/BROADCAST]]`
fn address(word: &str) -> Result<(), String> {
    let wrong = |why: String| Err(format!("address \"{}\": {why}", word.escape_debug()));
    let mut parts = word.split('/');
    let ip = parts.next().unwrap_or("");
    if ip.parse::<Ipv4Addr>().is_err() {
        return wrong(format!(
            "\"{}\" is not an IPv4 address; write it as 192.168.1.10, with /24 or /24/eth0/192.168.1.255 if needed",
            ip.escape_debug()
        ));
    }
    if let Some(mask) = parts.next() {
        let bits = mask.bytes().all(|b| b.is_ascii_digit()) && mask.parse::<u8>().is_ok_and(|n| n <= 32);
        let dotted = mask.parse::<Ipv4Addr>().map(u32::from);
        if !bits && !dotted.is_ok_and(|m| m.leading_ones() == 32 - m.trailing_zeros().min(32)) {
            return wrong(format!(
                "\"{}\" is not a netmask; write the number of its bits (24) or 255.255.255.0",
                mask.escape_debug()
            ));
        }
    }
    let is_address = |w: &str| w.starts_with(|c: char| c.is_ascii_digit());
    let rest: Vec<&str> = parts.collect();
    let broadcast = match rest[..] {
        [] => None,
        [one] if is_address(one) => Some(one),
        ["", ..] => return wrong("the interface behind the second / is empty".to_owned()),
        [_] => None,
        [_, broadcast] => Some(broadcast),
        _ => return wrong("too many parts; the form is ADDRESS/MASK/INTERFACE/BROADCAST".to_owned()),
    };
    match broadcast {
        Some(b) if b.parse::<Ipv4Addr>().is_err() => wrong(format!(
            "\"{}\" is not a broadcast address; write an IPv4 address",
            b.escape_debug()
        )),
        _ => Ok(()),
    }
}

/// What only several lines together can tell: a resource that stands more than once.
fn compare(all: &Haresources, bad: &mut Complaints) {
    let keys: BTreeMap<&ResourceName, usize> = all.groups.iter().rev().map(|g| (g.key(), g.line)).collect();
    let mut seen: BTreeMap<&ResourceName, usize> = BTreeMap::new();
    for group in &all.groups {
        let key_line = keys.get(group.key()).copied().unwrap_or(group.line);
        if key_line != group.line {
            bad.error(
                group.line,
                format!(
                    "{} also names the group of line {key_line}: a group is known by its first resource, begin this one \
                     with another",
                    group.key()
                ),
            );
        }
        for (i, resource) in group.resources.iter().enumerate() {
            let name = &resource.name;
            if let Some(line) = keys.get(name).filter(|l| i > 0 && **l != group.line) {
                bad.error(
                    group.line,
                    format!("{name} names the group of line {line} and stands in this one too: remove it here"),
                );
            } else if group.resources[..i].iter().any(|r| r.name == *name) {
                bad.warn(group.line, format!("{name} stands twice in this line: remove one"));
            } else if let Some(line) = seen.get(name).filter(|_| i > 0) {
                bad.warn(
                    group.line,
                    format!(
                        "{name} stands in line {line} too: when one group stops it, the other loses it; give each group \
                         its own, or put both into one line"
                    ),
                );
            }
        }
        for resource in &group.resources {
            seen.entry(&resource.name).or_insert(group.line);
        }
    }
}

#[cfg(test)]
mod tests;
