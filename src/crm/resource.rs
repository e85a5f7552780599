//! crm_resource: what is known of resources, and what an administrator does to them.

use super::changes::attributes::{self, Kind, Owner};
use super::changes::forget::forget;
use super::changes::moves::{self, Move, Wish};
use super::changes::removal;
use super::client::Access;
use super::protocol::code;
use super::resource_options;
use super::resource_show as show;
use super::tool::{self, Failure, Outcome, node_name, one};
use crate::cib::{Cib, Edit, words};
use crate::policy::input::Role;
use crate::policy::rules::{iso_text, iso_time};
use crate::text::status::View;
use crate::time::{Duration, Wall};
use clap::ArgMatches;
use std::fmt::Write;

pub fn run(args: &[String], access: Access) -> Outcome {
    tool::run(resource_options::command(), args, |matches, out| {
        let access = match one(matches, "xml-file") {
            Some(file) => Access::file("crm_resource", file),
            None => access,
        };
        Job { matches, access, out }.run()
    })
}

struct Job<'a> {
    matches: &'a ArgMatches,
    access: Access,
    out: &'a mut String,
}

impl<'a> Job<'a> {
    fn run(mut self) -> Result<u8, Failure> {
        let deed = self
            .matches
            .get_one::<clap::Id>("deed")
            .map_or("list", clap::Id::as_str);
        let cib = self.access.cib()?;
        let view = tool::view(&cib);
        let rsc = one(self.matches, "resource");
        if let Some(id) = rsc
            && view.input.resource(id).is_none()
            && attributes::resource(&cib, id).is_none()
        {
            return Err(Failure::no_such("Resource", id));
        }
        let node = one(self.matches, "node").map(|n| node_name(&cib, n)).transpose()?;
        let node = node.as_deref();
        let quiet = self.matches.get_flag("quiet");
        match deed {
            "list" => *self.out += &show::list(&view),
            "list-raw" => *self.out += &show::raw(&view),
            "list-operations" => *self.out += &show::operations(&view, rsc, node, false),
            "list-all-operations" => *self.out += &show::operations(&view, rsc, node, true),
            "query-xml" => *self.out += &show::definition(&view, self.rsc()?, true),
            "query-xml-raw" => *self.out += &show::definition(&view, self.rsc()?, false),
            "locate" => {
                let id = self.rsc()?;
                let here = show::locate(&view, id, quiet);
                if here.is_empty() && !quiet {
                    return Err(Failure::bare(code::OK, format!("resource {id} is NOT running")));
                }
                *self.out += &here;
            }
            "stack" => *self.out += &show::constraints(&view, self.rsc()?, true),
            "constraints" => *self.out += &show::constraints(&view, self.rsc()?, false),
            "why" => *self.out += &show::why(&view, rsc),
            "set-parameter" => self.set_parameter(&cib)?,
            "get-parameter" => return self.get_parameter(&view),
            "delete-parameter" => self.delete_parameter(&cib)?,
            "get-property" => self.get_property(&cib)?,
            "set-property" => self.set_property(&cib)?,
            "move" => return self.go(&view, node),
            "ban" => return self.ban(&view, node),
            "un-move" => self.clear(&cib, node)?,
            "delete" => self.delete(&cib)?,
            "fail" => self.fail(node)?,
            "cleanup" => self.forget(&view, rsc, node, true)?,
            "refresh" => self.forget(&view, rsc, node, false)?,
            "reprobe" => self.forget(&view, None, node, false)?,
            other => unreachable!("{other} is no deed"),
        }
        Ok(code::OK)
    }

    fn rsc(&self) -> Result<&'a str, Failure> {
        one(self.matches, "resource").ok_or_else(|| Failure::usage("Must supply a resource id with -r"))
    }

    fn value(&self) -> Result<&'a str, Failure> {
        let value = one(self.matches, "parameter-value");
        value.ok_or_else(|| Failure::usage("You need to supply a value with the -v option"))
    }

    fn kind(&self) -> Kind {
        match (self.matches.get_flag("meta"), self.matches.get_flag("utilization")) {
            (true, _) => Kind::Meta,
            (_, true) => Kind::Utilization,
            _ => Kind::Instance,
        }
    }

    /// Calls `then` with where the attributes of the resource are.
    fn with_owner<T>(&self, cib: &Cib, id: &str, then: impl FnOnce(Owner<'_>) -> T) -> Result<T, Failure> {
        let element = attributes::resource(cib, id).ok_or_else(|| Failure::no_such("Resource", id))?;
        let kind = self.kind();
        Ok(then(Owner {
            section: "resources",
            element,
            kind,
            set: one(self.matches, "set-name"),
            pair: one(self.matches, "nvpair"),
            new_set: &format!("{}-{}", element.id(), kind.element()),
        }))
    }

    /// An option of the only child of a clone is its clone's, unless the child has it itself.
    fn meant(&mut self, cib: &Cib, id: &str, name: &str) -> Result<String, Failure> {
        // An instance of a clone by its number is written by its id without it.
        let id = if attributes::resource(cib, id).is_none() {
            id.split(':').next().unwrap_or(id)
        } else {
            id
        };
        let clone = attributes::parent(cib, id).filter(|p| ["clone", "master"].contains(&&*p.name));
        let own = self.with_owner(cib, id, |o| !o.find(name).is_empty())?;
        match clone {
            Some(clone) if self.kind() == Kind::Meta && !own && !self.matches.get_flag("force") => {
                let _ = writeln!(
                    self.out,
                    "Performing update of '{name}' on '{}', the parent of '{id}'",
                    clone.id()
                );
                Ok(clone.id().to_owned())
            }
            _ => Ok(id.to_owned()),
        }
    }

    fn set_parameter(&mut self, cib: &Cib) -> Result<(), Failure> {
        let name = one(self.matches, "set-parameter").unwrap_or_default();
        let (rsc, value) = (self.rsc()?, self.value()?);
        let id = self.meant(cib, rsc, name)?;
        let (edit, pair, is_new) = self.with_owner(cib, &id, |owner| owner.set(name, value))?;
        self.access.apply(&[edit])?;
        let set = if is_new {
            format!(" set={}", pair.set)
        } else {
            String::new()
        };
        let _ = writeln!(
            self.out,
            "Set '{id}' option: id={}{set} name={name} value={value}",
            pair.id
        );
        Ok(())
    }

    fn delete_parameter(&mut self, cib: &Cib) -> Result<(), Failure> {
        let name = one(self.matches, "delete-parameter").unwrap_or_default();
        let rsc = self.rsc()?;
        let id = self.meant(cib, rsc, name)?;
        let found = self.with_owner(cib, &id, |owner| {
            let pair = owner.find(name).into_iter().next()?;
            Some((owner.delete(&pair), pair))
        })?;
        // What is not there need not be taken away.
        if let Some((edit, pair)) = found {
            self.access.apply(&[edit])?;
            let _ = writeln!(self.out, "Deleted '{id}' option: id={} name={name}", pair.id);
        }
        Ok(())
    }

    fn get_parameter(&mut self, view: &View<'_>) -> Result<u8, Failure> {
        let name = one(self.matches, "get-parameter").unwrap_or_default();
        let id = self.rsc()?;
        let r = view.input.resource(id);
        let value = match self.kind() {
            Kind::Meta => r.and_then(|r| view.input.resources[r].meta.get(name).cloned()),
            Kind::Instance => r.and_then(|r| view.input.primitive(r)?.params.get(name).cloned()),
            Kind::Utilization | Kind::Property => None,
        };
        let written = || {
            self.with_owner(view.cib, id, |o| o.find(name).into_iter().next()?.value)
                .ok()?
        };
        match value.or_else(written) {
            Some(value) => {
                let _ = writeln!(self.out, "{value}");
                Ok(code::OK)
            }
            // 0, as in Pacemaker 2.1.5.
            None => Err(Failure::bare(
                code::OK,
                format!("Attribute '{name}' not found for '{id}'"),
            )),
        }
    }

    fn get_property(&mut self, cib: &Cib) -> Result<(), Failure> {
        let name = one(self.matches, "get-property").unwrap_or_default();
        let id = self.rsc()?;
        let element = attributes::resource(cib, id).ok_or_else(|| Failure::no_such("Resource", id))?;
        if let Some(value) = element.get(name) {
            let _ = writeln!(self.out, "{value}");
        }
        Ok(())
    }

    fn set_property(&mut self, cib: &Cib) -> Result<(), Failure> {
        let name = one(self.matches, "set-property").unwrap_or_default();
        let (id, value) = (self.rsc()?, self.value()?);
        let element = attributes::resource(cib, id).ok_or_else(|| Failure::no_such("Resource", id))?;
        let xml = crate::cib::Element::new(&element.name).with("id", id).with(name, value);
        self.access.apply(&[Edit::Modify {
            section: "resources".to_owned(),
            xml,
            or_create: false,
        }])?;
        Ok(())
    }

    fn until(&mut self) -> Result<Option<Wall>, Failure> {
        let Some(word) = one(self.matches, "lifetime") else {
            return Ok(None);
        };
        let now = crate::sys::wall();
        let after = words::interval(word).map(|d: Duration| Wall(now.0.saturating_add(d.as_secs())));
        let until = after.or_else(|| iso_time(word)).ok_or_else(|| {
            Failure::usage(format!(
                "-u {word}: is neither a time (PT2M, 1h) nor a date (2026-11-21 08:14:18Z)"
            ))
        })?;
        if until <= now {
            return Err(Failure::usage(format!("-u {word}: is over already")));
        }
        let _ = writeln!(self.out, "Migration will take effect until: {}", iso_text(until));
        Ok(Some(until))
    }

    /// Where a resource is that is somewhere at all: its one place, or that of its one master.
    fn place(&self, view: &View<'_>, id: &str) -> Result<(String, bool), Failure> {
        let r = view
            .input
            .resource(id)
            .ok_or_else(|| Failure::no_such("Resource", id))?;
        let here = show::places(view, r);
        let masters: Vec<_> = here.iter().filter(|(_, role)| *role == Role::Master).collect();
        let name = |n: usize| view.input.nodes[n].uname.clone();
        match (&here[..], &masters[..]) {
            ([(n, _)], _) => Ok((name(*n), self.matches.get_flag("master"))),
            (_, [(n, _)]) => Ok((name(*n), true)),
            _ => Err(Failure::usage(format!(
                "Resource '{id}' not moved: active in {} locations.\n\
                 To prevent '{id}' from running on a specific location, specify a node.",
                here.len()
            ))),
        }
    }

    fn go(&mut self, view: &View<'_>, node: Option<&str>) -> Result<u8, Failure> {
        let Some(node) = node else {
            return self.ban(view, None);
        };
        let id = self.rsc()?;
        let force = self.matches.get_flag("force");
        let r = view
            .input
            .resource(id)
            .ok_or_else(|| Failure::no_such("Resource", id))?;
        let here = show::places(view, r);
        let there = |(n, role): &(usize, Role)| {
            view.input.nodes[*n].uname == node && (!self.matches.get_flag("master") || *role == Role::Master)
        };
        let until = self.until()?;
        if here.len() == 1 && there(&here[0]) && !force {
            return Err(Failure::new(
                code::EXISTS,
                format!("{id} is already active on {node}\nError performing operation: Requested item already exists"),
            ));
        }
        let of_master = self.matches.get_flag("master");
        let wish = |node, wish| Move {
            rsc: id,
            node,
            wish,
            of_master,
            until,
        };
        // What sent it somewhere else, or kept it from there, holds no longer.
        let old = moves::made(view.cib, id, Some(node)).into_iter();
        let mut edits: Vec<Edit> = old
            .filter(|c| c.id() != wish(node, Wish::Prefer).id())
            .map(moves::clear)
            .collect();
        edits.push(wish(node, Wish::Prefer).edit(view.cib));
        if force && let [(n, _)] = here[..] {
            let from = &*view.input.nodes[n].uname;
            if from != node {
                edits.push(self.warned(view.cib, wish(from, Wish::Ban)));
            }
        }
        self.access.apply(&edits)?;
        Ok(code::OK)
    }

    fn ban(&mut self, view: &View<'_>, node: Option<&str>) -> Result<u8, Failure> {
        let id = self.rsc()?;
        let (node, of_master) = match node {
            Some(node) => (node.to_owned(), self.matches.get_flag("master")),
            None => self.place(view, id)?,
        };
        let until = self.until()?;
        let edit = self.warned(
            view.cib,
            Move {
                rsc: id,
                node: &node,
                wish: Wish::Ban,
                of_master,
                until,
            },
        );
        self.access.apply(&[edit])?;
        Ok(code::OK)
    }

    /// The change, and the warning that goes with it.
    fn warned(&mut self, cib: &Cib, ban: Move<'_>) -> Edit {
        let Move { rsc, node, .. } = ban;
        if !self.matches.get_flag("quiet") {
            let _ = writeln!(
                self.out,
                "WARNING: Creating rsc_location constraint '{}' with a score of -INFINITY for resource {rsc} on {node}.\n\
                 \tThis will prevent {rsc} from running on {node} until the constraint is removed using the clear option \
                 or by editing the CIB with an appropriate tool\n\
                 \tThis will be the case even if {node} is the last node in the cluster",
                ban.id()
            );
        }
        ban.edit(cib)
    }

    fn clear(&mut self, cib: &Cib, node: Option<&str>) -> Result<(), Failure> {
        let made = moves::made(cib, self.rsc()?, node);
        let edits: Vec<Edit> = made.iter().map(|c| moves::clear(c)).collect();
        if !edits.is_empty() {
            self.access.apply(&edits)?;
        }
        for constraint in made {
            let _ = writeln!(self.out, "Removing constraint: {}", constraint.id());
        }
        Ok(())
    }

    fn delete(&mut self, cib: &Cib) -> Result<(), Failure> {
        let id = self.rsc()?;
        let kind = one(self.matches, "resource-type").ok_or_else(|| {
            Failure::new(
                code::NO_SUCH_OBJECT,
                "You need to specify a resource type with -t\nError performing operation: No such object",
            )
        })?;
        let element = attributes::resource(cib, id).ok_or_else(|| Failure::no_such("Resource", id))?;
        if element.name != kind {
            return Err(Failure::new(
                code::NO_SUCH_OBJECT,
                format!("{id} is a {}, not a {kind}", element.name),
            ));
        }
        let removal = removal::remove(cib, id).ok_or_else(|| Failure::no_such("Resource", id))?;
        self.access.apply(&removal.edits)?;
        for constraint in &removal.constraints {
            let _ = writeln!(self.out, "Removing constraint: {constraint}");
        }
        for constraint in &removal.changed {
            let _ = writeln!(self.out, "Changing constraint: {constraint}");
        }
        for (kind, id) in &removal.resources {
            let _ = writeln!(self.out, "Deleted {kind} {id}");
        }
        Ok(())
    }

    fn fail(&mut self, node: Option<&str>) -> Result<(), Failure> {
        let rsc = self.rsc()?;
        let node = node.ok_or_else(|| Failure::usage("Must supply a node name with -N"))?;
        Ok(self.access.fail(rsc, node)?)
    }

    fn forget(
        &mut self,
        view: &View<'_>,
        rsc: Option<&str>,
        node: Option<&str>,
        only_failed: bool,
    ) -> Result<(), Failure> {
        let lines = match (self.access.path().is_some(), only_failed) {
            (true, _) => {
                let forgotten = forget(view.cib, &view.input, rsc, node, only_failed);
                self.access.apply(&forgotten.edits)?;
                forgotten.lines()
            }
            (false, true) => self.access.cleanup(rsc, node)?,
            (false, false) => self.access.refresh(rsc, node)?,
        };
        match (rsc, node) {
            (None, None) => *self.out += "Cleaned up all resources on all nodes\n",
            (None, Some(node)) => {
                let _ = writeln!(self.out, "Cleaned up all resources on {node}");
            }
            (Some(_), _) => {
                let lines = lines.trim_end();
                if !lines.is_empty() {
                    let _ = writeln!(self.out, "{lines}");
                }
            }
        }
        Ok(())
    }
}
