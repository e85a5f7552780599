//! A tree of XML elements that can be changed: attributes in their order, no text, no comments (the CIB has neither).

use super::attributes::Attributes;
use roxmltree::{Document, Node, ParsingOptions};
use std::fmt::{self, Write};

/// A CIB of 5,000 resources on 16 nodes has 45 MB; what is longer is no CIB.
pub const LONGEST: usize = 64 * 1024 * 1024;
/// The deepest CIB in use has 12 levels; nested rules make it deeper.
pub const DEEPEST: usize = 64;

/// One element. `line` is where it stood in the text it was read from, 0 for one made here; it is not compared.
#[derive(Clone, Debug, Default)]
pub struct Element {
    pub name: String,
    pub attributes: Attributes,
    pub children: Vec<Element>,
    pub line: u32,
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.attributes == other.attributes && self.children == other.children
    }
}

impl Eq for Element {}

/// Why a text is no tree of elements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// 0 when no line is to blame.
    pub line: u32,
    pub why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.why),
            line => write!(f, "line {line}: {}", self.why),
        }
    }
}

impl std::error::Error for Unreadable {}

impl Element {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// For building: the element with one more attribute.
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.set(name, value);
        self
    }

    /// For building: the element with one more child.
    pub fn holding(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)
    }

    /// Empty when the element has no id.
    pub fn id(&self) -> &str {
        self.get("id").unwrap_or_default()
    }

    /// Keeps the attribute's place when it is there already.
    pub fn set(&mut self, name: &str, value: impl fmt::Display) {
        self.attributes.set(name, value);
    }

    pub fn unset(&mut self, name: &str) -> Option<String> {
        self.attributes.remove(name)
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|c| c.name == name)
    }

    pub fn child_mut(&mut self, name: &str) -> Option<&mut Self> {
        self.children.iter_mut().find(|c| c.name == name)
    }

    /// The first child of that name, made when there is none.
    pub fn child_or_new(&mut self, name: &str) -> &mut Self {
        let at = self.children.iter().position(|c| c.name == name).unwrap_or_else(|| {
            self.children.push(Self::new(name));
            self.children.len() - 1
        });
        &mut self.children[at]
    }

    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |c| c.name == name)
    }

    /// This element and all below it, in the order of the document.
    pub fn walk(&self) -> Walk<'_> {
        Walk { waiting: vec![self] }
    }

    /// The first element below this one, or itself, for which `wanted` holds.
    pub fn find_mut(&mut self, wanted: &impl Fn(&Self) -> bool) -> Option<&mut Self> {
        if wanted(self) {
            return Some(self);
        }
        self.children.iter_mut().find_map(|c| c.find_mut(wanted))
    }

    /// Removes every element below this one for which `unwanted` holds; how many there were.
    pub fn remove_all(&mut self, unwanted: &impl Fn(&Self) -> bool) -> usize {
        let before = self.children.len();
        self.children.retain(|c| !unwanted(c));
        let gone = before - self.children.len();
        gone + self.children.iter_mut().map(|c| c.remove_all(unwanted)).sum::<usize>()
    }

    /// One tree out of `text`. Entities of its own, text between the tags, too many levels: refused.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let refuse = |line, why: String| Err(Unreadable { line, why });
        if text.len() > LONGEST {
            return refuse(
                0,
                format!(
                    "{} bytes are too many: at most {LONGEST} bytes of XML are read",
                    text.len()
                ),
            );
        }
        let options = ParsingOptions {
            allow_dtd: false,
            ..ParsingOptions::default()
        };
        match Document::parse_with_options(text, options) {
            Ok(document) => Reader::new(text).element(document.root_element(), 1),
            Err(e) => refuse(e.pos().row, e.to_string()),
        }
    }

    /// On one line, nothing between the tags: what is signed, compared and sent.
    pub fn to_bare(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, None);
        out
    }

    /// A line an element, indented by two blanks a level: what is stored and shown.
    pub fn to_indented(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, Some(0));
        out
    }

    fn write(&self, out: &mut String, level: Option<usize>) {
        let indent = |out: &mut String| {
            if let Some(level) = level {
                out.extend(std::iter::repeat_n(' ', 2 * level));
            }
        };
        let end = if level.is_some() { ">\n" } else { ">" };
        indent(out);
        out.push('<');
        out.push_str(&self.name);
        for (name, value) in &self.attributes {
            let _ = write!(out, " {name}=\"{}\"", Escaped(value));
        }
        if self.children.is_empty() {
            out.push('/');
            out.push_str(end);
            return;
        }
        out.push_str(end);
        for child in &self.children {
            child.write(out, level.map(|l| l + 1));
        }
        indent(out);
        let _ = write!(out, "</{}{end}", self.name);
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_bare())
    }
}

/// See [`Element::walk`].
#[derive(Debug)]
pub struct Walk<'a> {
    waiting: Vec<&'a Element>,
}

impl<'a> Iterator for Walk<'a> {
    type Item = &'a Element;
    fn next(&mut self) -> Option<&'a Element> {
        let next = self.waiting.pop()?;
        self.waiting.extend(next.children.iter().rev());
        Some(next)
    }
}

/// An attribute's value between double quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                // Written as they are, a reader would make blanks of them.
                '\n' => f.write_str("&#10;")?,
                '\r' => f.write_str("&#13;")?,
                '\t' => f.write_str("&#9;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Turns the parser's nodes into ours, counting lines as it goes: the parser's own way counts from the start each time.
struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: u32,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    fn line_of(&mut self, offset: usize) -> u32 {
        let passed = &self.text[self.at.min(offset)..offset];
        self.line += u32::try_from(passed.matches('\n').count()).unwrap_or(u32::MAX);
        self.at = self.at.max(offset);
        self.line
    }

    /// The parser goes down in a loop, this calls itself: `level` keeps it from going too far.
    fn element(&mut self, node: Node<'_, '_>, level: usize) -> Result<Element, Unreadable> {
        let line = self.line_of(node.range().start);
        if level > DEEPEST {
            let why = format!("more than {DEEPEST} elements stand inside one another");
            return Err(Unreadable { line, why });
        }
        let bytes = node.attributes().map(|a| a.name().len() + a.value().len()).sum();
        let mut element = Element {
            line,
            attributes: Attributes::with_capacity(node.attributes().len(), bytes),
            ..Element::new(node.tag_name().name())
        };
        for a in node.attributes() {
            element.attributes.push(a.name(), a.value());
        }
        // Most have one child; a list that grows takes four places for it.
        let count = node.children().filter(Node::is_element).count();
        element.children.reserve_exact(count);
        for child in node.children() {
            if child.is_element() {
                element.children.push(self.element(child, level + 1)?);
            } else if child.is_text() && child.text().is_some_and(|t| !t.trim().is_empty()) {
                return Err(Unreadable {
                    line: self.line_of(child.range().start),
                    why: format!("text stands inside element {}: there is none in a CIB", element.name),
                });
            }
        }
        Ok(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_tree_is_refused_with_its_line() {
        let deep = format!("{}{}", "<a>\n".repeat(65), "</a>".repeat(65));
        let fits = format!("{}{}", "<a>\n".repeat(64), "</a>".repeat(64));
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><a c=\"&c;\"/>";
        #[rustfmt::skip]
        let table: &[(&str, Option<u32>)] = &[
            // text                              line of the complaint
            ("<a/>",                             None),
            ("<?xml version=\"1.0\"?>\n<a></a>", None),
            ("<a>\n <!-- said --> <b/>\n</a>",   None),
            (&fits,                              None),
            ("",                                 Some(1)),
            ("<a>\n<b>\n</a>",                   Some(3)),
            ("<a>\n<b>text</b></a>",             Some(2)),
            ("<a x='1' x='2'/>",                 Some(1)),
            ("<a/><b/>",                         Some(1)),
            (bomb,                               Some(1)),
            (&deep,                              Some(65)),
        ];
        for (text, line) in table {
            let got = Element::parse(text).map(|_| ()).map_err(|e| e.line);
            assert_eq!(got.err(), *line, "{text}");
        }
        let long = " ".repeat(LONGEST + 1);
        assert!(Element::parse(&long).unwrap_err().to_string().contains("too many"));
        // A million levels must not be walked by a reader that calls itself, whatever their attributes look like.
        for tag in ["<a>", "<a x='/>'>"] {
            let text = format!("{}{}", tag.repeat(1_000_000), "</a>".repeat(1_000_000));
            assert!(
                Element::parse(&text)
                    .unwrap_err()
                    .to_string()
                    .contains("inside one another")
            );
        }
        assert!(Element::parse(&"<a>".repeat(1_000_000)).is_err());
    }

    #[test]
    fn every_element_knows_its_line() {
        let tree = Element::parse("<a>\n  <b/>\n\n  <c><d/>\n<e/></c></a>").unwrap();
        let lines: Vec<_> = tree.walk().map(|e| (&*e.name, e.line)).collect();
        assert_eq!(lines, [("a", 1), ("b", 2), ("c", 4), ("d", 4), ("e", 5)]);
    }

    #[test]
    fn stored_and_sent_forms() {
        let tree = Element::new("a")
            .with("x", "1 < \"2\" & 3\n")
            .holding(Element::new("b").holding(Element::new("c")));
        assert_eq!(
            tree.to_bare(),
            "<a x=\"1 &lt; &quot;2&quot; &amp; 3&#10;\"><b><c/></b></a>"
        );
        let indented = "<a x=\"1 &lt; &quot;2&quot; &amp; 3&#10;\">\n  <b>\n    <c/>\n  </b>\n</a>\n";
        assert_eq!(tree.to_indented(), indented);
    }

    fn any_element() -> impl Strategy<Value = Element> {
        let leaf = ("[a-z_][a-z0-9_-]{0,6}", "[ -~\n\tä€]{0,12}").prop_map(|(n, v)| Element::new(&n).with("v", v));
        leaf.prop_recursive(4, 24, 4, |inner| {
            ("[a-z]{1,6}", proptest::collection::vec(inner, 0..4)).prop_map(|(n, children)| Element {
                children,
                ..Element::new(&n)
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(tree in any_element()) {
            prop_assert_eq!(Element::parse(&tree.to_bare()).unwrap(), tree.clone());
            prop_assert_eq!(Element::parse(&tree.to_indented()).unwrap(), tree);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[<>/a-c =\"'&;#!\\[\\]\n-]{0,200}") {
            let _ = Element::parse(&text);
        }
    }
}
