//! Golden cases of the policy: `cases/NAME.cib.xml` in, `cases/NAME.actions` out: what is done, and what runs where in the
//! end. All were also asked of Pacemaker 2.1.5's crm_simulate, which gave the same answer; see README.md beside them.

#[path = "debian.rs"]
mod debian;
#[path = "ours.rs"]
mod ours;
#[path = "random.rs"]
mod random;

use ha::cib::{Cib, Element};
use ha::policy::{apply, history, plan::plan, show, summary, unpack};
use ha::time::Wall;
use std::path::{Path, PathBuf};

fn cases() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy/cases");
    let files = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut cases: Vec<PathBuf> = files.filter(|p| p.to_string_lossy().ends_with(".cib.xml")).collect();
    cases.sort();
    cases
}

fn golden(case: &Path) -> PathBuf {
    PathBuf::from(case.to_string_lossy().replace(".cib.xml", ".actions"))
}

#[test]
fn golden_cases() {
    let cases = cases();
    assert!(cases.len() >= 270, "only {} golden cases", cases.len());
    let mut wrong = String::new();
    for case in &cases {
        let cib = Element::parse(&std::fs::read_to_string(case).unwrap()).unwrap();
        let (expected, got) = (
            std::fs::read_to_string(golden(case)).unwrap(),
            ours::outcome(&cib).to_text(),
        );
        if expected != got {
            wrong += &format!("{}:\nexpected\n{expected}got\n{got}\n", case.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// All that crm_simulate prints.
fn text(element: &Element) -> String {
    let cib = Cib::from_element(element.clone()).unwrap();
    let mut input = unpack::unpack(&cib, Wall(0));
    let state = history::read(&cib, &mut input);
    let plan = plan(&input, &state);
    for (i, action) in plan.actions.iter().enumerate() {
        assert!(
            action.after.iter().all(|a| *a < i),
            "action {i} waits for a later one: {:?}",
            action.what
        );
    }
    let after = apply::apply(&cib, &input, &plan);
    let mut then = unpack::unpack(&after, Wall(0));
    let state_then = history::read(&after, &mut then);
    [
        show::nodes(&input, &state),
        show::resources(&input, &state),
        summary::scores(&input, &plan),
        summary::transition(&input, &state, &plan),
        summary::actions(&input, &plan),
        summary::json(&input, &plan),
        show::resources(&then, &state_then),
        plan.complaints.join("\n"),
    ]
    .concat()
}

#[test]
fn the_same_cib_gives_the_same_text_and_no_cib_panics() {
    for seed in 0..400 {
        let cib = random::cib(seed);
        assert_eq!(text(&cib), text(&cib), "seed {seed}");
    }
}

/// Values, names and whole elements changed at random: what still parses must end in some plan.
#[test]
fn a_damaged_cib_does_no_harm() {
    let words = [
        "",
        "INFINITY",
        "-1",
        "true",
        "node1",
        "r1",
        "c1",
        "99999999999999999999",
        "\u{e4}:0",
        "start",
        "r1:7",
    ];
    for seed in 0..400 {
        let mut cib = random::cib(seed);
        let mut dice = random::Dice::new(seed + 1_000_000);
        for _ in 0..1 + dice.below(12) {
            let count = cib.walk().count();
            let at = dice.below(count);
            damage(&mut cib, at, &mut dice, &words);
        }
        let _ = text(&cib);
    }
}

fn damage(e: &mut Element, at: usize, dice: &mut random::Dice, words: &[&str]) {
    let mut left = at;
    fn find<'a>(e: &'a mut Element, left: &mut usize) -> Option<&'a mut Element> {
        if *left == 0 {
            return Some(e);
        }
        *left -= 1;
        e.children.iter_mut().find_map(|c| find(c, left))
    }
    let Some(found) = find(e, &mut left) else { return };
    if at > 0 && dice.percent(20) {
        found.children.clear();
    } else if !found.attributes.is_empty() {
        let which = dice.below(found.attributes.len());
        let (name, _) = found.attributes.iter().nth(which).expect("there are so many");
        let name = name.to_owned();
        found.set(&name, words[dice.below(words.len())]);
    }
}

#[test]
fn orders_that_go_round_in_a_circle_end_with_a_complaint() {
    let one = |id: &str| format!("<primitive id='{id}' class='ocf' provider='pacemaker' type='Dummy'/>");
    let order = |a: &str, b: &str| format!("<rsc_order id='{a}-{b}' first='{a}' then='{b}'/>");
    let cib = format!(
        "<cib have-quorum='1'><configuration><crm_config><cluster_property_set id='o'>\
         <nvpair id='s' name='stonith-enabled' value='false'/></cluster_property_set></crm_config>\
         <nodes><node id='1' uname='node1'/></nodes><resources>{}{}{}</resources>\
         <constraints>{}{}{}</constraints></configuration><status>\
         <node_state id='1' uname='node1' in_ccm='true' crmd='online' join='member' expected='member'/></status></cib>",
        one("a"),
        one("b"),
        one("c"),
        order("a", "b"),
        order("b", "c"),
        order("c", "a"),
    );
    let cib = Cib::parse(&cib).unwrap();
    let mut input = unpack::unpack(&cib, Wall(0));
    let state = history::read(&cib, &mut input);
    let plan = plan(&input, &state);
    assert!(
        plan.complaints.iter().any(|c| c.contains("circle")),
        "{:?}",
        plan.complaints
    );
}
