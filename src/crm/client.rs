//! A cluster, or a file with a CIB, for a tool to look at and to change.
//!
//! `CIB_file` in the environment names a file to work on instead of the cluster, as in Pacemaker. Everything that needs
//! no daemon works on a file as it does on a cluster.

use super::file::{apply_to_file, cluster_of, read_file, transient_edit};
use super::protocol::{self, Answer, Attribute, Cluster, Request, code};
use crate::cib::{Cib, Edit, Element, Version, wire};
use crate::ipc::client::{Client, ClientError};
use crate::paths;
use crate::sys::fifo::{self, Access as Mode};
use crate::sys::files;
use crate::sys::poll::{Want, wait};
use crate::sys::process;
use crate::time::{Duration, Instant};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How long crmd may take to answer what it knows itself.
const ANSWER: Duration = Duration::from_secs(10);
/// A change is answered when all members have it, and one that is lost meanwhile counts as a member until its deadtime.
const CHANGE: Duration = Duration::from_secs(60);
/// An agent that is asked for its meta-data; lrmd gives up on it before.
const META: Duration = Duration::from_secs(40);
/// Parts of a CIB that were changed under the reader: so often it begins anew.
const TRIES: usize = 5;

/// Why something could not be seen or done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccessError {
    /// crmd is not there. Why, as far as it can be seen.
    NotConnected(String),
    NotPermitted(String),
    NoAnswer {
        what: &'static str,
        within: Duration,
    },
    /// crmd, or the CIB, said no.
    Refused {
        code: u8,
        text: String,
    },
    /// What was said is not what was asked for.
    Spoilt(String),
    NoSuchFile(PathBuf),
    File {
        path: PathBuf,
        why: String,
    },
    /// Only a cluster that runs can do that.
    NeedsCluster {
        what: &'static str,
        path: PathBuf,
    },
}

impl AccessError {
    /// The number to end with.
    pub fn code(&self) -> u8 {
        match self {
            Self::NotConnected(_) => code::NOT_CONNECTED,
            Self::NotPermitted(_) => code::NOT_PERMITTED,
            Self::NoAnswer { .. } => code::TIMEOUT,
            Self::Refused { code, .. } => *code,
            Self::Spoilt(_) | Self::File { .. } => code::BAD_DATA,
            Self::NoSuchFile(_) => code::NO_INPUT,
            Self::NeedsCluster { .. } => code::UNAVAILABLE,
        }
    }

    pub(super) fn file(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NoSuchFile(path.to_owned()),
            io::ErrorKind::PermissionDenied => Self::NotPermitted(format!("{}: {error}", path.display())),
            _ => Self::File {
                path: path.to_owned(),
                why: error.to_string(),
            },
        }
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected(why) => write!(f, "cannot connect: crmd is not running on this node ({why})"),
            Self::NotPermitted(what) => write!(f, "{what}: ask as root, or as a member of the group haclient"),
            Self::NoAnswer { what, within } => {
                write!(f, "crmd did not answer {what} within {} s", within.as_secs())
            }
            Self::Refused { text, .. } => f.write_str(text),
            Self::Spoilt(why) => write!(f, "what crmd answered cannot be understood: {why}"),
            Self::NoSuchFile(path) => write!(f, "{}: there is no such file", path.display()),
            Self::File { path, why } => write!(f, "{}: {why}", path.display()),
            Self::NeedsCluster { what, path } => {
                write!(f, "{what}: needs a cluster that runs, not the file {}", path.display())
            }
        }
    }
}

impl std::error::Error for AccessError {}

/// A cluster or a file.
#[derive(Debug)]
pub struct Access {
    /// The name of the program, for `Last change`.
    program: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Connected when it is first asked, and again after an answer that did not come.
    Live {
        door: PathBuf,
        client: Option<Box<Client>>,
    },
    File(PathBuf),
}

impl Access {
    /// The cluster of this node, unless `CIB_file` names a file.
    pub fn live(program: &str) -> Self {
        match std::env::var_os("CIB_file").filter(|f| !f.is_empty()) {
            Some(file) => Self::file(program, file),
            None => Self::at(program, &paths::state()),
        }
    }

    /// The cluster whose heartbeat has this state directory.
    pub fn at(program: &str, state: &Path) -> Self {
        Self {
            program: program.to_owned(),
            source: Source::Live {
                door: state.join("crm"),
                client: None,
            },
        }
    }

    pub fn file(program: &str, path: impl Into<PathBuf>) -> Self {
        Self {
            program: program.to_owned(),
            source: Source::File(path.into()),
        }
    }

    /// The file it works on; `None` for a cluster.
    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::Live { .. } => None,
            Source::File(path) => Some(path),
        }
    }

    pub fn cib(&mut self) -> Result<Cib, AccessError> {
        match &self.source {
            Source::File(path) => read_file(path),
            Source::Live { .. } => self.pull(),
        }
    }

    fn pull(&mut self) -> Result<Cib, AccessError> {
        let mut whole = String::new();
        for _ in 0..TRIES {
            whole.clear();
            loop {
                let offset = whole.len();
                match self.ask(&Request::Cib { offset }, ANSWER)? {
                    Answer::Part { total, text } => {
                        whole += &text;
                        if whole.len() >= total {
                            return Cib::parse(&whole).map_err(|e| AccessError::Spoilt(e.to_string()));
                        }
                        if text.is_empty() {
                            break;
                        }
                    }
                    other => return Err(unasked(&other)),
                }
            }
        }
        Err(AccessError::Spoilt(format!("the CIB ends after {} bytes", whole.len())))
    }

    /// Makes all the edits or none. On a cluster all members have them when this returns.
    pub fn apply(&mut self, edits: &[Edit]) -> Result<Version, AccessError> {
        if let Source::File(path) = &self.source {
            return apply_to_file(path, edits, &self.program);
        }
        let text = wire::to_element(edits).to_bare();
        // What a reader would refuse is refused here, where it can still be said of what was typed.
        Element::parse(&text).map_err(|e| AccessError::Refused {
            code: code::BAD_DATA,
            text: format!("this cannot be written as XML: {e}"),
        })?;
        let parts = protocol::parts(&text);
        for (i, part) in parts.iter().enumerate() {
            let last = i + 1 == parts.len();
            let request = Request::Apply {
                text: (*part).to_owned(),
                last,
                program: self.program.clone(),
            };
            match (self.ask(&request, CHANGE)?, last) {
                (Answer::Applied { version, warning }, true) => {
                    warn(warning);
                    return Ok(version);
                }
                (Answer::Done(_), false) => {}
                (other, _) => return Err(unasked(&other)),
            }
        }
        unreachable!("there is a last part");
    }

    /// Of a file: what its status says.
    pub fn cluster(&mut self) -> Result<Cluster, AccessError> {
        if let Source::File(path) = &self.source {
            return Ok(cluster_of(&read_file(path)?));
        }
        match self.ask(&Request::Cluster, ANSWER)? {
            Answer::Cluster(cluster) => Ok(*cluster),
            other => Err(unasked(&other)),
        }
    }

    /// The node that this program runs on, by the name that the cluster has for it.
    pub fn local_node(&mut self) -> Result<String, AccessError> {
        match &self.source {
            Source::Live { .. } => Ok(self.cluster()?.node),
            Source::File(path) => files::host_name().map_err(|e| AccessError::file(path, &e)),
        }
    }

    /// Forgets what failed, of all resources and on all nodes unless they are named. The lines say what was forgotten.
    pub fn cleanup(&mut self, rsc: Option<&str>, node: Option<&str>) -> Result<String, AccessError> {
        let (rsc, node) = (rsc.map(str::to_owned), node.map(str::to_owned));
        self.order(&Request::Cleanup { rsc, node }, CHANGE, "cleanup")
    }

    /// Forgets all that is known, and has it looked for again.
    pub fn refresh(&mut self, rsc: Option<&str>, node: Option<&str>) -> Result<String, AccessError> {
        let (rsc, node) = (rsc.map(str::to_owned), node.map(str::to_owned));
        self.order(&Request::Refresh { rsc, node }, CHANGE, "refresh")
    }

    pub fn fail(&mut self, rsc: &str, node: &str) -> Result<(), AccessError> {
        let (rsc, node) = (rsc.to_owned(), node.to_owned());
        self.order(&Request::Fail { rsc, node }, CHANGE, "fail").map(drop)
    }

    /// A transient attribute. In a file it stands in the status.
    pub fn set_transient(&mut self, attribute: Attribute) -> Result<(), AccessError> {
        if self.path().is_some() {
            let cib = self.cib()?;
            let node = match attribute.node {
                Some(node) => node,
                None => self.local_node()?,
            };
            let edit = transient_edit(&cib, &node, &attribute.name, attribute.value.as_deref())?;
            return self.apply(&[edit]).map(drop);
        }
        self.order(&Request::Attribute(attribute), CHANGE, "attribute")
            .map(drop)
    }

    /// Waits until the cluster has done all there is to do; `false` when that takes longer. A file has nothing to do.
    pub fn wait_idle(&mut self, limit: Duration) -> Result<bool, AccessError> {
        if self.path().is_some() {
            return Ok(true);
        }
        match self.ask(&Request::Idle, limit) {
            Ok(_) => Ok(true),
            Err(AccessError::NoAnswer { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The XML that an agent prints about itself.
    pub fn meta(&mut self, class: &str, provider: &str, kind: &str) -> Result<String, AccessError> {
        let [class, provider, kind] = [class, provider, kind].map(str::to_owned);
        self.order(&Request::Meta { class, provider, kind }, META, "meta-data")
    }

    pub fn remove_node(&mut self, node: &str) -> Result<(), AccessError> {
        if let Some(path) = self.path() {
            let (what, path) = ("removing a node", path.to_owned());
            return Err(AccessError::NeedsCluster { what, path });
        }
        let node = node.to_owned();
        match self.ask(&Request::NodeRemove { node }, CHANGE)? {
            Answer::Applied { warning, .. } => {
                warn(warning);
                Ok(())
            }
            other => Err(unasked(&other)),
        }
    }

    /// Has crmd say when something changes; then [`Access::wait_change`].
    pub fn watch(&mut self) -> Result<(), AccessError> {
        match self.path() {
            Some(_) => Ok(()),
            None => self.ask(&Request::Watch, ANSWER).map(drop),
        }
    }

    /// Waits until something changed, or `other` is readable, or the time has come; whether something changed. A file is
    /// not watched.
    pub fn wait_change(
        &mut self,
        other: Option<std::os::fd::BorrowedFd<'_>>,
        until: Instant,
    ) -> Result<bool, AccessError> {
        let mut changed = false;
        let client = match &mut self.source {
            Source::Live { client, .. } => client.as_mut(),
            Source::File(_) => None,
        };
        let Some(talk) = client else {
            let wants: Vec<Want<'_>> = other.into_iter().map(Want::read).collect();
            wait(&wants, until).map_err(|e| AccessError::Spoilt(e.to_string()))?;
            return Ok(false);
        };
        let take = |talk: &mut Client| -> Result<bool, ClientError> {
            let mut any = false;
            while let Some(event) = talk.event()? {
                any |= event.kind() == protocol::CHANGED;
            }
            Ok(any)
        };
        let lost = |e: ClientError| self_error(e, "watch", ANSWER);
        changed |= take(talk).map_err(lost)?;
        if !changed {
            let wants: Vec<Want<'_>> = [Some(Want::read(talk.fd())), other.map(Want::read)]
                .into_iter()
                .flatten()
                .collect();
            wait(&wants, until).map_err(|e| AccessError::Spoilt(e.to_string()))?;
            changed |= take(talk).map_err(lost)?;
        }
        Ok(changed)
    }

    /// Ends the conversation; the next question begins a new one.
    pub fn disconnect(&mut self) {
        if let Source::Live { client, .. } = &mut self.source {
            *client = None;
        }
    }

    fn order(&mut self, request: &Request, within: Duration, what: &'static str) -> Result<String, AccessError> {
        if let Some(path) = self.path() {
            let path = path.to_owned();
            return Err(AccessError::NeedsCluster { what, path });
        }
        match self.ask(request, within)? {
            Answer::Done(text) => Ok(text),
            other => Err(unasked(&other)),
        }
    }

    fn ask(&mut self, request: &Request, within: Duration) -> Result<Answer, AccessError> {
        let Source::Live { door, client } = &mut self.source else {
            unreachable!("files are asked nothing");
        };
        let result = converse(door, client, request, within);
        if result.is_err() {
            // An answer that comes too late must not be taken for that to the next question.
            *client = None;
        }
        match result {
            Ok(Answer::Refused { code, text }) => Err(AccessError::Refused { code, text }),
            Ok(answer) => Ok(answer),
            Err(e) => Err(self_error(e, request.word(), within)),
        }
    }
}

fn converse(
    door: &Path,
    client: &mut Option<Box<Client>>,
    request: &Request,
    within: Duration,
) -> Result<Answer, ClientError> {
    let talk = match client {
        Some(talk) => talk,
        // Of a process; and of its threads, each may have a conversation of its own.
        None => client.insert(Box::new(Client::connect_as(
            door,
            &process::thread_id().to_string(),
            ANSWER,
        )?)),
    };
    talk.set_timeout(within);
    let message = talk.ask_one(&request.to_message())?;
    Answer::read(request, &message).ok_or(ClientError::Refused {
        reqtype: request.word().to_owned(),
        info: None,
    })
}

/// The change is made, whatever there is to be said of it: every tool says it at once, in the same words.
fn warn(warning: Option<String>) {
    if let Some(text) = warning {
        let _ = writeln!(io::stderr(), "WARNING: {text}");
    }
}

fn unasked(answer: &Answer) -> AccessError {
    AccessError::Spoilt(format!("{answer:?}"))
}

fn self_error(error: ClientError, what: &'static str, within: Duration) -> AccessError {
    match error {
        ClientError::NotRunning => AccessError::NotConnected(why_not()),
        ClientError::Closed => AccessError::NotConnected("it has just ended".to_owned()),
        ClientError::NotPermitted(path) => AccessError::NotPermitted(path.display().to_string()),
        ClientError::Busy => AccessError::NoAnswer { what, within },
        ClientError::NoAnswer(within) => AccessError::NoAnswer { what, within },
        ClientError::Refused { info: Some(info), .. } => AccessError::NotConnected(info),
        other => AccessError::Spoilt(other.to_string()),
    }
}

/// What can be seen from here of why crmd does not run.
fn why_not() -> String {
    match fifo::open_fifo(&paths::state().join("register"), Mode::Write) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            return "whether heartbeat runs, root and members of the group haclient may see".to_owned();
        }
        Err(_) => return "heartbeat is not running on this node".to_owned(),
    }
    let ha_cf = paths::ha_cf();
    let on = std::fs::read_to_string(&ha_cf).unwrap_or_default().lines().any(|l| {
        let mut words = l.split_whitespace();
        words.next() == Some("crm") && words.next().is_some_and(|w| !["off", "no", "false", "0"].contains(&w))
    });
    match on {
        true => "heartbeat runs, crmd does not yet, or no longer: look into the log".to_owned(),
        false => format!("heartbeat runs without it: {} does not say \"crm on\"", ha_cf.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cib::document;
    use crate::cib::edit::Origin;
    use crate::crm::protocol::Conversation;
    use crate::ids::ClientId;
    use crate::ipc::{Server, ServerEvent};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("ha-crm-client-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn create(id: &str, about: &str) -> Edit {
        Edit::Create {
            section: "resources".into(),
            xml: Element::new("primitive")
                .with("id", id)
                .with("class", "lsb")
                .with("type", "x")
                .with("description", about),
        }
    }

    /// The real door, the real conversation, one CIB: what crmd has of them. It never answers `idle`.
    fn serve(state: &Path, stop: &AtomicBool) {
        let door = state.join("crm");
        let mut server = Server::new(Server::create(&door).unwrap(), &door);
        let mut talks: BTreeMap<ClientId, Conversation> = BTreeMap::new();
        let mut cib = Cib::empty();
        let mut watchers = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            let ready = wait(&server.wants(), crate::sys::now() + Duration::from_millis(10)).unwrap();
            for event in server.pump(&ready, 250) {
                let (client, message) = match event {
                    ServerEvent::Request { client, message, .. } => (client, message),
                    ServerEvent::Gone { client, .. } => {
                        talks.remove(&client);
                        continue;
                    }
                };
                let request = Request::read(&message).unwrap();
                let talk = talks.entry(client).or_default();
                let answer = match &request {
                    Request::SignOn => {
                        server.reply(client, &protocol::welcome("n1"));
                        continue;
                    }
                    Request::SignOff | Request::Idle => continue,
                    Request::Cluster => Answer::Cluster(Box::new(Cluster {
                        node: "n1".into(),
                        version: cib.version(),
                        ..Cluster::default()
                    })),
                    Request::Cib { offset } => talk.cib(*offset, || protocol::cib_text(&cib)),
                    Request::Apply { text, last, program } => match talk.edits(text, *last) {
                        Err(answer) => answer,
                        Ok(None) => Answer::Done(String::new()),
                        Ok(Some(edits)) => {
                            let origin = Origin {
                                client: program.clone(),
                                ..Origin::default()
                            };
                            let made = cib.apply(&edits, &origin);
                            for watcher in &watchers {
                                server.reply(*watcher, &protocol::changed(cib.version()));
                            }
                            let applied = |version| Answer::Applied { version, warning: None };
                            made.map_or_else(|refusal| Answer::from(&refusal), applied)
                        }
                    },
                    Request::Watch => {
                        watchers.push(client);
                        Answer::Done(String::new())
                    }
                    _ => Answer::Done(request.word().to_owned()),
                };
                server.reply(client, &answer.to_message(request.word()));
            }
        }
    }

    fn with_crmd(name: &str, test: impl FnOnce(&mut Access)) {
        let state = scratch(name);
        std::fs::create_dir_all(state.join("crm")).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let served = std::thread::spawn({
            let (state, stop) = (state.clone(), Arc::clone(&stop));
            move || serve(&state, &stop)
        });
        let mut access = Access::at("test", &state);
        let until = crate::sys::now() + Duration::from_secs(30);
        while access.cluster().is_err() {
            assert!(crate::sys::now() < until, "the door does not open");
            std::thread::sleep(Duration::from_millis(10));
        }
        test(&mut access);
        stop.store(true, Ordering::SeqCst);
        served.join().unwrap();
        std::fs::remove_dir_all(&state).unwrap();
    }

    #[test]
    fn a_cib_is_read_and_changed_over_the_door() {
        with_crmd("change", |access| {
            assert_eq!(access.local_node().unwrap(), "n1");
            assert_eq!(access.cib().unwrap(), Cib::empty());
            assert_eq!(access.apply(&[create("a", "")]).unwrap().to_string(), "0.1.0");
            let refused = access.apply(&[create("a", "")]).unwrap_err();
            assert_eq!(
                (refused.code(), &*refused.to_string()),
                (code::EXISTS, "a: is there already")
            );
            // More than a message holds, both ways.
            let many: Vec<Edit> = (0..40).map(|i| create(&format!("b{i}"), &"€".repeat(4000))).collect();
            access.apply(&many).unwrap();
            let cib = access.cib().unwrap();
            assert_eq!(cib.section("resources").unwrap().children.len(), 41);
            assert_eq!(cib.root().get("update-client"), Some("test"));
            assert_eq!(access.refresh(None, Some("n1")).unwrap(), "crm-refresh");
        });
    }

    #[test]
    fn who_watches_hears_of_changes_and_who_waits_waits_no_longer_than_it_said() {
        with_crmd("watch", |access| {
            access.watch().unwrap();
            assert!(
                !access
                    .wait_change(None, crate::sys::now() + Duration::from_millis(50))
                    .unwrap()
            );
            access.apply(&[create("a", "")]).unwrap();
            assert!(
                access
                    .wait_change(None, crate::sys::now() + Duration::from_secs(30))
                    .unwrap()
            );
            assert!(!access.wait_idle(Duration::from_millis(50)).unwrap());
            // The conversation begins anew after that.
            assert_eq!(access.cib().unwrap().version().to_string(), "0.1.0");
        });
    }

    #[test]
    fn without_crmd_it_is_said_why() {
        let state = scratch("nobody");
        let error = Access::at("test", &state).cib().unwrap_err();
        assert_eq!(error.code(), code::NOT_CONNECTED);
        let said = error.to_string();
        assert!(
            said.starts_with("cannot connect: crmd is not running on this node ("),
            "{said}"
        );
        std::fs::remove_dir_all(&state).unwrap();
    }

    #[test]
    fn a_file_is_changed_as_a_cluster_is() {
        let dir = scratch("file");
        let path = dir.join("cib.xml");
        let mut access = Access::file("test", &path);
        assert_eq!(access.cib().unwrap_err(), AccessError::NoSuchFile(path.clone()));
        std::fs::write(&path, "<cib><wrong>").unwrap();
        assert_eq!(access.cib().unwrap_err().code(), code::BAD_DATA);
        std::fs::write(&path, Cib::empty().root().to_indented()).unwrap();
        std::fs::write(dir.join("cib.xml.sig"), "old").unwrap();
        files::set_mode(&path, 0o640).unwrap();
        assert_eq!(access.apply(&[create("a", "")]).unwrap().to_string(), "0.1.0");
        assert_eq!(access.apply(&[create("a", "")]).unwrap_err().code(), code::EXISTS);
        let cib = access.cib().unwrap();
        assert_eq!(cib.version().to_string(), "0.1.0");
        assert_eq!(cib.root().get("update-client"), Some("test"));
        let signature = std::fs::read_to_string(dir.join("cib.xml.sig")).unwrap();
        assert_eq!(signature, document::digest(cib.root()), "what was signed stays signed");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o640);
        assert!(access.wait_idle(Duration::ZERO).unwrap());
        assert_eq!(access.cleanup(None, None).unwrap_err().code(), code::UNAVAILABLE);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn transient_attributes_stand_in_the_status() {
        let dir = scratch("transient");
        let path = dir.join("cib.xml");
        let node = "<cib><configuration><nodes><node id='u-1' uname='n1'/></nodes></configuration></cib>";
        std::fs::write(&path, node).unwrap();
        let mut access = Access::file("test", &path);
        let mut set = |node: &str, value: Option<&str>| {
            access.set_transient(Attribute {
                name: "fail-count-www#monitor".into(),
                value: value.map(str::to_owned),
                node: Some(node.into()),
                ..Attribute::default()
            })?;
            access.cib().map(|c| c.status().to_bare())
        };
        let with = |pairs: &str| {
            format!(
                "<status><node_state id=\"u-1\"><transient_attributes id=\"u-1\"><instance_attributes id=\"status-u-1\"{pairs}\
                 </transient_attributes></node_state></status>"
            )
        };
        let pair = "><nvpair id=\"status-u-1-fail-count-www.monitor\" name=\"fail-count-www#monitor\" value=\"1\"/></instance_attributes>";
        assert_eq!(set("n1", Some("1")).unwrap(), with(pair));
        assert_eq!(set("u-1", Some("2")).unwrap(), with(&pair.replace("\"1\"/", "\"2\"/")));
        assert_eq!(set("n1", None).unwrap(), with("/>"));
        assert_eq!(set("n9", None).unwrap_err().code(), code::NO_SUCH_OBJECT);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
