//! Random CIBs of 1 to 5 nodes and 1 to 20 resources, with constraints of every kind and a status section with
//! histories. The same seed makes the same CIB.

use ha::cib::Element;
use ha::cib::document::digest;

/// When these CIBs are looked at: 2026-11-21 08:00:00 UTC.
pub const NOW: u64 = 1_795_248_000;

/// xorshift64*: short, and enough to draw test cases with.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give neighbouring cases.
        let mut dice = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            dice.next();
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn percent(&mut self, p: usize) -> bool {
        self.below(100) < p
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// A primitive as far as its history needs to know it.
struct Made {
    id: String,
    kind: &'static str,
    class: &'static str,
    params: Vec<(String, String)>,
    /// Interval in ms, timeout in ms, for the role of a master.
    monitors: Vec<(u64, u64, bool)>,
    promotable: bool,
    cloned: bool,
    group: Option<usize>,
    unique: usize,
}

struct Maker {
    dice: Dice,
    nodes: usize,
    made: Vec<Made>,
    /// What constraints may name: id, whether a master/slave set.
    tops: Vec<(String, bool)>,
    groups: usize,
    fencing: bool,
    ids: usize,
}

pub fn cib(seed: u64) -> Element {
    let mut dice = Dice::new(seed);
    let nodes = 1 + dice.below(5);
    let fencing = dice.percent(30);
    Maker {
        dice,
        nodes,
        made: Vec::new(),
        tops: Vec::new(),
        groups: 0,
        fencing,
        ids: 0,
    }
    .cib()
}

fn pair(id: String, name: &str, value: &str) -> Element {
    Element::new("nvpair")
        .with("id", id)
        .with("name", name)
        .with("value", value)
}

fn set(kind: &str, id: &str, pairs: &[(String, String)]) -> Element {
    let mut e = Element::new(kind).with("id", id);
    for (n, v) in pairs {
        e.children.push(pair(format!("{id}-{n}"), n, v));
    }
    e
}

const SCORES: [&str; 12] = [
    "INFINITY",
    "-INFINITY",
    "100",
    "-100",
    "50",
    "200",
    "10",
    "1",
    "0",
    "1000",
    "-1000",
    "500",
];

impl Maker {
    fn id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        format!("{prefix}{}", self.ids)
    }

    fn node(&mut self) -> String {
        format!("node{}", 1 + self.dice.below(self.nodes))
    }

    fn cib(mut self) -> Element {
        let quorate = self.dice.percent(88);
        let mut cib = Element::new("cib");
        for (name, value) in [
            ("admin_epoch", "0"),
            ("epoch", "6"),
            ("num_updates", "24"),
            ("crm_feature_set", "3.16.1"),
            ("validate-with", "pacemaker-3.9"),
            ("have-quorum", if quorate { "1" } else { "0" }),
            ("dc-uuid", "1"),
        ] {
            cib.set(name, value);
        }
        cib.set("execution-date", NOW);
        let properties = self.properties();
        let nodes = self.node_elements();
        let resources = self.resources();
        let constraints = self.constraints();
        let mut configuration = Element::new("configuration")
            .holding(Element::new("crm_config").holding(set("cluster_property_set", "options", &properties)))
            .holding(nodes)
            .holding(resources)
            .holding(constraints);
        let mut defaults = Vec::new();
        if self.dice.percent(30) {
            defaults.push((
                "resource-stickiness".to_owned(),
                self.dice.pick(&["1", "100", "INFINITY", "50"]).to_owned(),
            ));
        }
        if self.dice.percent(15) {
            defaults.push((
                "migration-threshold".to_owned(),
                self.dice.pick(&["1", "2", "3"]).to_owned(),
            ));
        }
        if self.dice.percent(8) {
            defaults.push((
                "failure-timeout".to_owned(),
                self.dice.pick(&["60", "600", "86400"]).to_owned(),
            ));
        }
        if !defaults.is_empty() {
            configuration.children.push(Element::new("rsc_defaults").holding(set(
                "meta_attributes",
                "rsc-options",
                &defaults,
            )));
        }
        let status = self.status();
        cib.holding(configuration).holding(status)
    }

    fn properties(&mut self) -> Vec<(String, String)> {
        let mut out = vec![("stonith-enabled".to_owned(), self.fencing.to_string())];
        let d = &mut self.dice;
        let mut say = |percent: usize, name: &str, values: &[&str]| {
            if d.percent(percent) {
                out.push((name.to_owned(), d.pick(values).to_owned()));
            }
        };
        say(30, "no-quorum-policy", &["stop", "freeze", "ignore", "suicide"]);
        say(8, "symmetric-cluster", &["false"]);
        say(4, "maintenance-mode", &["true"]);
        say(8, "start-failure-is-fatal", &["false"]);
        say(5, "enable-startup-probes", &["false"]);
        say(2, "stop-all-resources", &["true"]);
        say(5, "stop-orphan-resources", &["false"]);
        say(4, "stop-orphan-actions", &["false"]);
        say(5, "startup-fencing", &["false"]);
        say(5, "stonith-action", &["off", "reboot"]);
        out
    }

    fn node_elements(&mut self) -> Element {
        let mut out = Element::new("nodes");
        for n in 1..=self.nodes {
            let mut e = Element::new("node").with("id", n).with("uname", format!("node{n}"));
            let mut pairs = Vec::new();
            if self.dice.percent(7) {
                pairs.push(("standby".to_owned(), "on".to_owned()));
            }
            if self.dice.percent(2) {
                pairs.push(("maintenance".to_owned(), "true".to_owned()));
            }
            if self.dice.percent(20) {
                pairs.push(("site".to_owned(), self.dice.pick(&["1", "2"]).to_owned()));
            }
            if !pairs.is_empty() {
                e.children
                    .push(set("instance_attributes", &format!("nodes-{n}"), &pairs));
            }
            out.children.push(e);
        }
        out
    }

    fn meta(&mut self, id: &str, more: Vec<(String, String)>) -> Option<Element> {
        let mut pairs = more;
        let d = &mut self.dice;
        let mut say = |percent: usize, name: &str, values: &[&str]| {
            if d.percent(percent) {
                pairs.push((name.to_owned(), d.pick(values).to_owned()));
            }
        };
        say(7, "resource-stickiness", &["0", "1", "100", "1000", "INFINITY"]);
        say(6, "target-role", &["Stopped", "Started", "Started"]);
        say(3, "is-managed", &["false"]);
        say(2, "maintenance", &["true"]);
        say(6, "priority", &["5", "10", "-5"]);
        say(8, "migration-threshold", &["1", "2", "3"]);
        say(5, "failure-timeout", &["60", "3600"]);
        say(3, "multiple-active", &["stop_only", "block", "stop_start"]);
        (!pairs.is_empty()).then(|| set("meta_attributes", &format!("{id}-meta"), &pairs))
    }

    fn primitive(&mut self, group: Option<usize>, cloned: bool, promotable: bool, unique: usize) -> Element {
        let id = format!("r{}", self.made.len() + 1);
        let kind = if promotable { "Stateful" } else { "Dummy" };
        let mut e = Element::new("primitive")
            .with("id", &id)
            .with("class", "ocf")
            .with("provider", "pacemaker")
            .with("type", kind);
        let chance = if group.is_some() || cloned { 25 } else { 100 };
        if self.dice.percent(chance)
            && let Some(meta) = self.meta(&id, Vec::new())
        {
            e.children.push(meta);
        }
        let mut params = Vec::new();
        if self.dice.percent(20) {
            params.push(("fake".to_owned(), self.dice.pick(&["x", "y z"]).to_owned()));
            e.children
                .push(set("instance_attributes", &format!("{id}-params"), &params));
        }
        let mut ops = Element::new("operations");
        let mut monitors = Vec::new();
        if self.dice.percent(60) {
            let (interval, timeout) = (10_000, if self.dice.percent(30) { 30_000 } else { 20_000 });
            let mut op = Element::new("op")
                .with("id", format!("{id}-m"))
                .with("name", "monitor")
                .with("interval", "10s");
            if timeout != 20_000 {
                op.set("timeout", "30s");
            }
            if promotable && self.dice.percent(50) {
                op.set("role", "Slave");
            }
            if self.dice.percent(15) {
                let word = self
                    .dice
                    .pick(&["ignore", "restart", "block", "stop", "standby", "fence"]);
                op.set("on-fail", word);
            }
            ops.children.push(op);
            monitors.push((interval, timeout, false));
            if promotable && self.dice.percent(70) {
                let op = Element::new("op")
                    .with("id", format!("{id}-mm"))
                    .with("name", "monitor");
                ops.children.push(op.with("interval", "11s").with("role", "Master"));
                monitors.push((11_000, 20_000, true));
            }
        }
        for name in ["start", "stop"] {
            if self.dice.percent(10) {
                let word = self
                    .dice
                    .pick(&["block", "restart", "stop", "ignore", "standby", "fence"]);
                if name == "stop" && word == "standby" {
                    continue;
                }
                let op = Element::new("op")
                    .with("id", format!("{id}-{name}"))
                    .with("name", name)
                    .with("interval", "0");
                ops.children.push(op.with("on-fail", word));
            }
        }
        if !ops.children.is_empty() {
            e.children.push(ops);
        }
        self.made.push(Made {
            id,
            kind,
            class: "ocf",
            params,
            monitors,
            promotable,
            cloned,
            group,
            unique,
        });
        e
    }

    fn resources(&mut self) -> Element {
        let mut out = Element::new("resources");
        if self.fencing && self.dice.percent(97) {
            let mut e = Element::new("primitive")
                .with("id", "fence")
                .with("class", "stonith")
                .with("type", "fence_dummy");
            let mut monitors = Vec::new();
            if self.dice.percent(50) {
                let op = Element::new("op")
                    .with("id", "fence-m")
                    .with("name", "monitor")
                    .with("interval", "60s");
                e.children.push(Element::new("operations").holding(op));
                monitors.push((60_000, 20_000, false));
            }
            out.children.push(e);
            self.made.push(Made {
                id: "fence".into(),
                kind: "fence_dummy",
                class: "stonith",
                params: Vec::new(),
                monitors,
                promotable: false,
                cloned: false,
                group: None,
                unique: 0,
            });
        }
        let size = [3, 6, 12, 20][self.dice.below(4)];
        let wanted = self.made.len() + 1 + self.dice.below(size);
        while self.made.len() < wanted {
            let element = match self.dice.below(100) {
                0..50 => {
                    let e = self.primitive(None, false, false, 0);
                    self.tops.push((e.id().to_owned(), false));
                    e
                }
                50..68 => self.group(false, false, 0),
                kind => self.clone(kind),
            };
            out.children.push(element);
        }
        out
    }

    fn group(&mut self, cloned: bool, promotable: bool, unique: usize) -> Element {
        self.groups += 1;
        let id = format!("g{}", self.groups);
        let number = self.groups;
        let mut e = Element::new("group").with("id", &id);
        if !cloned {
            if let Some(meta) = self.meta(&id, Vec::new()) {
                e.children.push(meta);
            }
            self.tops.push((id, false));
        }
        for _ in 0..1 + self.dice.below(3) {
            e.children
                .push(self.primitive(Some(number), cloned, promotable, unique));
        }
        e
    }

    fn clone(&mut self, kind: usize) -> Element {
        let id = self.id("c");
        let promotable = kind >= 84;
        let d = &mut self.dice;
        let mut pairs = Vec::new();
        let mut unique = 0;
        let mut say = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
        if promotable {
            say("promotable", "true");
            if d.percent(15) {
                say("promoted-max", "2");
            }
        }
        if d.percent(25) {
            say("clone-max", d.pick(&["1", "2", "3"]));
        }
        if d.percent(4) && !promotable {
            unique = 2;
            say("globally-unique", "true");
            say("clone-max", "2");
            if d.percent(60) {
                say("clone-node-max", "2");
            }
        }
        if d.percent(40) {
            say("interleave", "true");
        }
        if d.percent(10) {
            say("ordered", "true");
        }
        if d.percent(12) {
            say("notify", "true");
        }
        if promotable && d.percent(6) {
            say("target-role", "Slave");
        }
        let mut seen = Vec::new();
        pairs.retain(|(n, _): &(String, String)| {
            let fresh = !seen.contains(n);
            seen.push(n.clone());
            fresh
        });
        let said_role = pairs.iter().any(|(n, _)| n == "target-role");
        let mut e = Element::new("clone").with("id", &id);
        let meta = if said_role {
            Some(set("meta_attributes", &format!("{id}-meta"), &pairs))
        } else {
            self.meta(&id, pairs)
        };
        e.children.extend(meta);
        let child = if self.dice.percent(25) {
            self.group(true, promotable, unique)
        } else {
            self.primitive(None, true, promotable, unique)
        };
        e.children.push(child);
        self.tops.push((id, promotable));
        e
    }

    fn top(&mut self) -> Option<(String, bool)> {
        (!self.tops.is_empty()).then(|| self.tops[self.dice.below(self.tops.len())].clone())
    }

    fn constraints(&mut self) -> Element {
        let mut out = Element::new("constraints");
        let many = [0, 1, 3, 6][self.dice.below(4)];
        let per_top = self.tops.len().min(6);
        for _ in 0..self.dice.below(many * per_top / 3 + 2) {
            let made = match self.dice.below(100) {
                0..40 => self.location(),
                40..62 => self.colocation(),
                62..84 => self.order(),
                84..93 => self.colocated_set(),
                _ => self.ordered_set(),
            };
            out.children.extend(made);
        }
        out
    }

    fn location(&mut self) -> Option<Element> {
        let (rsc, promotable) = self.top()?;
        let id = self.id("l");
        let mut e = Element::new("rsc_location").with("id", &id).with("rsc", rsc);
        let score = self.dice.pick(&SCORES);
        if self.dice.percent(60) {
            e.set("node", self.node());
            e.set("score", score);
            return Some(e);
        }
        let mut rule = Element::new("rule").with("id", format!("{id}-r")).with("score", score);
        if promotable && self.dice.percent(60) {
            rule.set("role", "Master");
        }
        let expression = |attribute: &str, operation: &str, value: Option<&str>, n: usize| {
            let mut x = Element::new("expression")
                .with("id", format!("{id}-e{n}"))
                .with("attribute", attribute);
            x.set("operation", operation);
            if let Some(value) = value {
                x.set("value", value);
            }
            x
        };
        match self.dice.below(6) {
            0 => {
                rule.set("boolean-op", "or");
                rule.set("score", "-INFINITY");
                rule.children.push(expression("pingd", "not_defined", None, 0));
                rule.children.push(expression("pingd", "lte", Some("0"), 1));
            }
            1 => {
                let node = self.node();
                rule.children.push(expression("#uname", "eq", Some(&node), 0));
            }
            2 => {
                let node = self.node();
                rule.children.push(expression("#uname", "ne", Some(&node), 0));
            }
            3 => rule.children.push(expression("site", "eq", Some("1"), 0)),
            4 => {
                rule.unset("score");
                rule.set("score-attribute", "pingd");
                rule.children.push(expression("pingd", "defined", None, 0));
            }
            _ => {
                let mut date = Element::new("date_expression")
                    .with("id", format!("{id}-d"))
                    .with("operation", "lt");
                date.set("end", self.dice.pick(&["2026-11-21 07:00:00Z", "2026-11-21 09:00:00Z"]));
                let node = self.node();
                rule.children.push(expression("#uname", "eq", Some(&node), 0));
                rule.children.push(date);
            }
        }
        e.children.push(rule);
        Some(e)
    }

    fn two(&mut self) -> Option<((String, bool), (String, bool))> {
        let (a, b) = (self.top()?, self.top()?);
        (a.0 != b.0).then_some((a, b))
    }

    fn colocation(&mut self) -> Option<Element> {
        let (rsc, with) = self.two()?;
        let score = if self.dice.percent(50) {
            "INFINITY"
        } else {
            self.dice.pick(&SCORES)
        };
        let mut e = Element::new("rsc_colocation")
            .with("id", self.id("k"))
            .with("score", score);
        e.set("rsc", &rsc.0);
        e.set("with-rsc", &with.0);
        if rsc.1 && self.dice.percent(20) {
            e.set("rsc-role", "Master");
        }
        if with.1 && self.dice.percent(60) {
            e.set("with-rsc-role", "Master");
        }
        Some(e)
    }

    fn order(&mut self) -> Option<Element> {
        let (first, then) = self.two()?;
        let mut e = Element::new("rsc_order")
            .with("id", self.id("o"))
            .with("first", &first.0)
            .with("then", &then.0);
        match self.dice.below(10) {
            0..6 => {}
            6..8 => e.set("kind", "Optional"),
            8 => e.set("kind", "Mandatory"),
            _ => e.set("kind", "Serialize"),
        }
        if first.1 && self.dice.percent(60) {
            e.set("first-action", "promote");
            e.set(
                "then-action",
                if then.1 && self.dice.percent(50) {
                    "promote"
                } else {
                    "start"
                },
            );
        } else if self.dice.percent(5) {
            e.set("first-action", "stop");
            e.set("then-action", self.dice.pick(&["start", "stop"]));
        }
        if self.dice.percent(15) && e.get("kind") != Some("Serialize") {
            e.set("symmetrical", "false");
        }
        Some(e)
    }

    fn sets(&mut self, e: &mut Element, all_needed: bool) -> Option<()> {
        let mut left: Vec<String> = self.tops.iter().map(|(id, _)| id.clone()).collect();
        if left.len() < 2 {
            return None;
        }
        let mut total = 0;
        for _ in 0..1 + self.dice.below(3) {
            let id = self.id("s");
            let mut set = Element::new("resource_set").with("id", id);
            for _ in 0..1 + self.dice.below(3) {
                if !left.is_empty() {
                    let at = self.dice.below(left.len());
                    set.children
                        .push(Element::new("resource_ref").with("id", left.remove(at)));
                    total += 1;
                }
            }
            if self.dice.percent(35) {
                set.set("sequential", "false");
            }
            if !all_needed && self.dice.percent(15) {
                set.set("require-all", "false");
                set.set("sequential", "false");
            }
            if !set.children.is_empty() {
                e.children.push(set);
            }
        }
        (total > 1).then_some(())
    }

    fn colocated_set(&mut self) -> Option<Element> {
        let mut e = Element::new("rsc_colocation").with("id", self.id("k"));
        e.set(
            "score",
            if self.dice.percent(70) {
                "INFINITY"
            } else {
                self.dice.pick(&SCORES)
            },
        );
        self.sets(&mut e, true)?;
        Some(e)
    }

    fn ordered_set(&mut self) -> Option<Element> {
        let mut e = Element::new("rsc_order").with("id", self.id("o"));
        e.set("kind", self.dice.pick(&["Mandatory", "Mandatory", "Optional"]));
        self.sets(&mut e, false)?;
        Some(e)
    }
}

/// What a node knows of a resource.
struct Line {
    operation: &'static str,
    interval: u64,
    rc: i32,
    status: i32,
    expected: i32,
    age: u64,
    failure: bool,
}

impl Maker {
    fn status(&mut self) -> Element {
        let mut out = Element::new("status");
        let fresh = self.dice.percent(20);
        // Where each top resource's parts are found, when all is well.
        let homes: Vec<usize> = (0..self.made.len()).map(|_| self.dice.below(self.nodes)).collect();
        let group_homes: Vec<usize> = (0..=self.groups).map(|_| self.dice.below(self.nodes)).collect();
        let up: Vec<bool> = (0..self.made.len()).map(|_| self.dice.percent(75)).collect();
        let group_up: Vec<bool> = (0..=self.groups).map(|_| self.dice.percent(75)).collect();
        for n in 0..self.nodes {
            let kind = self.dice.below(100);
            let mut e = Element::new("node_state")
                .with("id", n + 1)
                .with("uname", format!("node{}", n + 1));
            let words = match kind {
                0..82 => ["true", "online", "member", "member"],
                82..88 => ["false", "offline", "down", "down"],
                88..93 => ["false", "offline", "down", "member"],
                93..96 => ["true", "online", "down", "member"],
                96..98 => ["true", "offline", "down", "member"],
                // Never heard of.
                _ => continue,
            };
            for (name, value) in ["in_ccm", "crmd", "join", "expected"].iter().zip(words) {
                e.set(name, value);
            }
            let clean = (82..88).contains(&kind);
            let mut attributes = Vec::new();
            let mut lrm = Element::new("lrm_resources");
            if !fresh && !clean {
                for i in 0..self.made.len() {
                    let home = match self.made[i].group {
                        Some(g) if !self.made[i].cloned => (group_homes[g], group_up[g]),
                        _ => (homes[i], up[i]),
                    };
                    lrm.children.extend(self.history(i, n, home, &mut attributes));
                }
                if self.dice.percent(4) {
                    lrm.children.push(self.orphan(n));
                }
            }
            if self.dice.percent(20) && !clean {
                attributes.push(("pingd".to_owned(), self.dice.pick(&["100", "0", "200"]).to_owned()));
            }
            if self.dice.percent(3) && !clean {
                attributes.push(("shutdown".to_owned(), (NOW - 10).to_string()));
            }
            if !attributes.is_empty() {
                let set = set("instance_attributes", &format!("status-{}", n + 1), &[]);
                let mut set = set;
                for (i, (name, value)) in attributes.iter().enumerate() {
                    set.children.push(pair(format!("status-{}-{i}", n + 1), name, value));
                }
                e.children
                    .push(Element::new("transient_attributes").with("id", n + 1).holding(set));
            }
            if !clean {
                e.children.push(Element::new("lrm").with("id", n + 1).holding(lrm));
            }
            out.children.push(e);
        }
        out
    }

    fn orphan(&mut self, n: usize) -> Element {
        let id = self.dice.pick(&["old1", "old2"]);
        let running = self.dice.percent(60);
        let line = if running {
            Line {
                operation: "start",
                interval: 0,
                rc: 0,
                status: 0,
                expected: 0,
                age: 4000,
                failure: false,
            }
        } else {
            Line {
                operation: "monitor",
                interval: 0,
                rc: 7,
                status: 0,
                expected: 7,
                age: 4000,
                failure: false,
            }
        };
        let mut e = Element::new("lrm_resource")
            .with("id", id)
            .with("type", "Dummy")
            .with("class", "ocf");
        e.set("provider", "pacemaker");
        e.children.push(self.entry(id, n, 3, &line, &[], None, false));
        e
    }

    fn history(
        &mut self,
        i: usize,
        n: usize,
        home: (usize, bool),
        attributes: &mut Vec<(String, String)>,
    ) -> Option<Element> {
        if self.dice.percent(4) {
            return None; // Nothing known: to be probed.
        }
        let made = &self.made[i];
        let (cloned, promotable, unique, class) = (made.cloned, made.promotable, made.unique, made.class);
        let mut runs = if cloned {
            self.dice.percent(85)
        } else {
            home == (n, true)
        };
        if self.dice.percent(2) {
            runs = !runs;
        }
        let instance = if unique > 0 {
            format!(":{}", n.min(unique - 1))
        } else {
            String::new()
        };
        if unique > 0 && n >= unique {
            runs = false;
        }
        let id = format!("{}{instance}", self.made[i].id);
        let good = |operation: &'static str, rc: i32, expected: i32| Line {
            operation,
            interval: 0,
            rc,
            status: 0,
            expected,
            age: 4000,
            failure: false,
        };
        let mut lines = Vec::new();
        let age = [30, 200, 2000][self.dice.below(3)];
        let failed = |operation: &'static str, rc: i32, status: i32, expected: i32| Line {
            operation,
            interval: 0,
            rc,
            status,
            expected,
            age,
            failure: true,
        };
        let master = promotable && self.dice.percent(if n == 0 { 60 } else { 10 });
        let monitors = self.made[i].monitors.clone();
        if promotable && self.dice.percent(80) {
            let score = self.dice.pick(&["10", "5", "100", "-1", "0"]);
            attributes.push((format!("master-{}", self.made[i].id), score.to_owned()));
        }
        let mut fails = None;
        if !runs {
            match self.dice.below(100) {
                0..80 => lines.push(good("monitor", 7, 7)),
                80..90 => lines.push(good("stop", 0, 0)),
                90..93 => {
                    lines.push(failed("start", *[1, 5, 6, 2].get(self.dice.below(4))?, 4, 0));
                    fails = Some(("start_0", "INFINITY"));
                }
                93..95 => lines.push(failed("monitor", 5, 0, 7)),
                95..96 => lines.push(failed("monitor", 1, 4, 7)),
                96..97 => lines.push(Line {
                    operation: "monitor",
                    interval: 0,
                    rc: 193,
                    status: -1,
                    expected: 7,
                    age: 5,
                    failure: false,
                }),
                97..98 => lines.push(Line {
                    operation: "start",
                    interval: 0,
                    rc: 193,
                    status: -1,
                    expected: 0,
                    age: 5,
                    failure: false,
                }),
                _ => {
                    lines.push(good("monitor", 7, 7));
                    fails = Some(("monitor_10000", "1"));
                }
            }
        } else {
            match self.dice.below(100) {
                0..4 => lines.push(good("monitor", if master { 8 } else { 0 }, 7)),
                4..6 => lines.push(Line {
                    operation: "stop",
                    interval: 0,
                    rc: 193,
                    status: -1,
                    expected: 0,
                    age: 5,
                    failure: false,
                }),
                6..8 => {
                    lines.push(failed("stop", 1, 4, 0));
                    fails = Some(("stop_0", "INFINITY"));
                }
                _ => {
                    lines.push(if master {
                        good("promote", 0, 0)
                    } else {
                        good("start", 0, 0)
                    });
                    let mut broken = self.dice.percent(8);
                    for (interval, _, of_master) in monitors {
                        if of_master != master && promotable || self.dice.percent(4) {
                            continue;
                        }
                        let expected = if of_master { 8 } else { 0 };
                        let mut line = Line {
                            interval,
                            ..good("monitor", expected, expected)
                        };
                        if broken {
                            broken = false;
                            let (rc, status) = [(1, 4), (7, 4), (7, 4), (2, 4), (5, 4), (6, 4), (3, 4), (1, 2), (4, 4)]
                                [self.dice.below(9)];
                            line = Line {
                                interval,
                                ..failed("monitor", rc, status, expected)
                            };
                            let n = self.dice.pick(&["1", "1", "2", "3"]);
                            fails = Some((
                                if interval == 10_000 {
                                    "monitor_10000"
                                } else {
                                    "monitor_11000"
                                },
                                n,
                            ));
                        }
                        lines.push(line);
                    }
                }
            }
        }
        if class == "stonith" {
            fails = fails.filter(|(_, n)| *n != "INFINITY");
        }
        if let Some((op, count)) = fails {
            let plain = &self.made[i].id;
            attributes.push((format!("fail-count-{plain}#{op}"), count.to_owned()));
            attributes.push((format!("last-failure-{plain}#{op}"), (NOW - age).to_string()));
        }
        let mut changed = self.dice.percent(2);
        let made = &self.made[i];
        let (params, monitors) = (made.params.clone(), made.monitors.clone());
        let mut e = Element::new("lrm_resource")
            .with("id", &id)
            .with("type", made.kind)
            .with("class", made.class);
        if made.class == "ocf" {
            e.set("provider", "pacemaker");
        }
        for (k, line) in lines.iter().enumerate() {
            let timeout = monitors.iter().find(|m| m.0 == line.interval).map(|m| m.1);
            e.children
                .push(self.entry(&id, n, 10 + 2 * k, line, &params, timeout, changed));
            if line.failure {
                let mut copy = e.children.last().expect("just pushed").clone();
                copy.set("id", format!("{id}_last_failure_0"));
                e.children.push(copy);
            }
            changed = false;
        }
        Some(e)
    }

    #[expect(clippy::too_many_arguments)]
    fn entry(
        &self,
        id: &str,
        n: usize,
        call: usize,
        line: &Line,
        params: &[(String, String)],
        timeout: Option<u64>,
        changed: bool,
    ) -> Element {
        let name = if line.interval > 0 {
            format!("{id}_{}_{}", line.operation, line.interval)
        } else {
            format!("{id}_last_0")
        };
        let key = format!("19:1:{}:5aba61cc-0000-0000-0000-000000000000", line.expected);
        let mut parameters: Vec<(String, String)> = params.to_vec();
        if changed {
            parameters.push(("gone".to_owned(), "1".to_owned()));
        }
        if line.interval > 0 {
            parameters.push(("CRM_meta_timeout".to_owned(), timeout.unwrap_or(20_000).to_string()));
        }
        parameters.sort();
        let mut all = Element::new("parameters");
        for (n, v) in &parameters {
            all.set(n, v);
        }
        let mut e = Element::new("lrm_rsc_op").with("id", name);
        e.set("operation_key", format!("{id}_{}_{}", line.operation, line.interval));
        e.set("operation", line.operation);
        e.set("interval", line.interval);
        e.set(
            "call-id",
            if line.status < 0 {
                "-1".to_owned()
            } else {
                call.to_string()
            },
        );
        e.set("rc-code", line.rc);
        e.set("op-status", line.status);
        e.set("transition-key", &key);
        e.set("transition-magic", format!("{}:{};{key}", line.status, line.rc));
        e.set("on_node", format!("node{}", n + 1));
        e.set("last-rc-change", NOW - line.age);
        e.set("exec-time", 20);
        e.set("queue-time", 0);
        e.set("op-digest", digest(&all));
        e.set("crm_feature_set", "3.16.1");
        e
    }
}
