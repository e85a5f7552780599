//! The part of XPath that is used with a CIB: steps with names or `*`, below (`/`) or anywhere below (`//`), each with
//! conditions on attributes: `//nvpair[@name='ip']`, `/cib/configuration//op[@timeout]`, `//primitive[@id="a" and @class]`.

use super::xml::Element;

/// Where an element of the answer stands: it, and those around it, the outermost first.
pub type Path<'a> = Vec<&'a Element>;

#[derive(Clone, PartialEq, Eq, Debug)]
struct Step {
    anywhere: bool,
    /// `None` is `*`.
    name: Option<String>,
    conditions: Vec<Condition>,
}

/// An attribute that must be there, with this value where one is given.
type Condition = (String, Option<String>);

/// Every element that the expression means, in the order of the document, each once. The error says what of the
/// expression is not understood.
pub fn find<'a>(root: &'a Element, expression: &str) -> Result<Vec<Path<'a>>, String> {
    let steps = parse(expression)?;
    let mut all = Vec::new();
    let mut around = Vec::new();
    walk(root, &steps, &mut around, &mut all);
    Ok(all)
}

/// `/cib/configuration/resources/primitive[@id='www']`: leads to it again.
pub fn text(path: &[&Element]) -> String {
    let one = |e: &&Element| match e.get("id") {
        Some(id) => format!("/{}[@id='{id}']", e.name),
        None => format!("/{}", e.name),
    };
    path.iter().map(one).collect()
}

fn walk<'a>(element: &'a Element, steps: &[Step], around: &mut Path<'a>, all: &mut Vec<Path<'a>>) {
    around.push(element);
    if leads_to(around, steps) {
        all.push(around.clone());
    }
    for child in &element.children {
        walk(child, steps, around, all);
    }
    around.pop();
}

/// Whether the steps lead from the root to the last element of the path. From behind: the last step is that element.
fn leads_to(path: &[&Element], steps: &[Step]) -> bool {
    let (Some((element, above)), Some((step, before))) = (path.split_last(), steps.split_last()) else {
        return path.is_empty() && steps.is_empty();
    };
    if !fits(element, step) {
        return false;
    }
    match step.anywhere {
        false => leads_to(above, before),
        true if before.is_empty() => true,
        true => (0..above.len()).any(|n| leads_to(&above[..=n], before)),
    }
}

fn fits(element: &Element, step: &Step) -> bool {
    let holds = |(name, value): &Condition| match value {
        Some(value) => element.get(name) == Some(value),
        None => element.get(name).is_some(),
    };
    step.name.as_ref().is_none_or(|n| *n == element.name) && step.conditions.iter().all(holds)
}

fn parse(expression: &str) -> Result<Vec<Step>, String> {
    let refuse = |rest: &str| {
        let at = expression.len() - rest.len() + 1;
        Err(format!("{expression}: not understood from character {at} on"))
    };
    let (mut steps, mut rest) = (Vec::new(), expression.trim_end());
    while !rest.is_empty() {
        let Some(below) = rest.strip_prefix('/') else {
            return refuse(rest);
        };
        let anywhere = below.starts_with('/');
        rest = below.strip_prefix('/').unwrap_or(below);
        let end = rest.find(['/', '[']).unwrap_or(rest.len());
        let name = &rest[..end];
        let is_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name != "*" && !name.chars().all(is_name) {
            return refuse(rest);
        }
        rest = &rest[end..];
        let mut conditions = Vec::new();
        while let Some(inside) = rest.strip_prefix('[') {
            let Some((mut found, after)) = predicate(inside) else {
                return refuse(rest);
            };
            conditions.append(&mut found);
            rest = after;
        }
        steps.push(Step {
            anywhere,
            name: (name != "*").then(|| name.to_owned()),
            conditions,
        });
    }
    if steps.is_empty() { refuse(rest) } else { Ok(steps) }
}

/// `@name='x' and @id]`, and what follows it.
fn predicate(text: &str) -> Option<(Vec<Condition>, &str)> {
    let (mut conditions, mut rest) = (Vec::new(), text);
    loop {
        rest = rest.trim_start().strip_prefix('@')?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && !"-_.".contains(c))?;
        let name = rest[..end].to_owned();
        rest = rest[end..].trim_start();
        let value = match rest.strip_prefix('=') {
            None => None,
            Some(after) => {
                let after = after.trim_start();
                let quote = after.chars().next().filter(|c| ['"', '\''].contains(c))?;
                let (value, after) = after[1..].split_once(quote)?;
                rest = after.trim_start();
                Some(value.to_owned())
            }
        };
        conditions.push((name, value));
        if let Some(after) = rest.strip_prefix(']') {
            return Some((conditions, after));
        }
        rest = rest.strip_prefix("and")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DOCUMENT: &str =
        "<cib><a id='1'><b id='2' x='y'><b id='3'/></b><c><b id='4' x='/z]'/></c></a><d><a id='5'/></d></cib>";

    #[test]
    fn what_expressions_mean() {
        let root = Element::parse(DOCUMENT).unwrap();
        #[rustfmt::skip]
        let table: &[(&str, Option<&str>)] = &[
            ("//b",                      Some("2 3 4")),
            ("/cib/a/b",                 Some("2")),
            ("/cib//b",                  Some("2 3 4")),
            ("//a//b",                   Some("2 3 4")),
            ("//a/b",                    Some("2")),
            ("//b/b",                    Some("3")),
            ("/a",                       Some("")),
            ("//b[@id='3']",             Some("3")),
            ("//b[@x]",                  Some("2 4")),
            ("//b[ @x = \"y\" and @id ]", Some("2")),
            ("//b[@x][@id='4']",         Some("4")),
            ("//b[@x='/z]']",            Some("4")),
            ("//*[@x]",                  Some("2 4")),
            ("/cib/*",                   Some("1 -")),
            ("//a",                      Some("1 5")),
            ("/cib",                     Some("-")),
            ("//nosuch",                 Some("")),
            ("",                         None),
            ("b",                        None),
            ("//",                       None),
            ("//b[1]",                   None),
            ("//b[@x='y]",               None),
            ("//b[@x] | //a",            None),
            ("//b[@x or @y]",            None),
        ];
        for (expression, ids) in table {
            let found = find(&root, expression).ok().map(|all| {
                let id = |p: &Path<'_>| p.last().unwrap().get("id").unwrap_or("-").to_owned();
                all.iter().map(id).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(found.as_deref(), *ids, "{expression}");
        }
    }

    #[test]
    fn the_path_of_an_element_leads_to_it() {
        let root = Element::parse(DOCUMENT).unwrap();
        for path in find(&root, "//*[@id]").unwrap() {
            let again = find(&root, &text(&path)).unwrap();
            assert_eq!(again, [path]);
        }
    }

    proptest! {
        #[test]
        fn any_expression_is_looked_at_without_panic(text in "[/a-b@\\[\\]='\" *ä]{0,30}") {
            let _ = find(&Element::new("a"), &text);
        }
    }
}
