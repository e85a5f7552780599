//! A text as commands: comments and empty lines left out, lines that end in a backslash joined with the next.

use super::words::Complaint;

/// One command, and where each of its parts stood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    pub text: String,
    /// For each line of the text it came from: the line's number, and how many characters of the command are before it.
    parts: Vec<(usize, usize)>,
}

impl Command {
    /// A command that stands in one line.
    pub fn single(line: usize, text: &str) -> Self {
        Self {
            text: text.to_owned(),
            parts: vec![(line, 0)],
        }
    }

    /// The line its first word is in.
    pub fn line(&self) -> usize {
        self.parts[0].0
    }

    /// Line and column, in the text it came from, of a column of the command.
    pub fn place(&self, column: usize) -> (usize, usize) {
        let (line, before) = *self
            .parts
            .iter()
            .rev()
            .find(|(_, b)| *b < column)
            .unwrap_or(&self.parts[0]);
        (line, column.saturating_sub(before))
    }

    /// The sentence of a complaint, with its line when the command was not the only one.
    pub fn complain(&self, complaint: &Complaint) -> String {
        let (line, column) = self.place(complaint.column);
        format!("line {line}, column {column}: {}", complaint.what)
    }
}

/// Joins lines as they come in.
#[derive(Clone, Debug, Default)]
pub struct Joiner {
    line: usize,
    open: Option<Command>,
}

impl Joiner {
    /// The command that ends with this line.
    pub fn feed(&mut self, line: &str) -> Option<Command> {
        self.line += 1;
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let begins = line.trim_start();
        if self.open.is_none() && (begins.is_empty() || begins.starts_with('#')) {
            return None;
        }
        let (body, goes_on) = match continued(line) {
            Some(body) => (body, true),
            None => (line, false),
        };
        let open = self.open.get_or_insert(Command {
            text: String::new(),
            parts: Vec::new(),
        });
        if !open.parts.is_empty() {
            open.text.push(' ');
        }
        open.parts.push((self.line, open.text.chars().count()));
        open.text.push_str(body);
        if goes_on { None } else { self.open.take() }
    }

    /// What the text ended in the middle of.
    pub fn end(&mut self) -> Option<Command> {
        self.open.take()
    }

    /// Whether the next line goes on with a command.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

/// The line without the backslash that says that it goes on; two of them are one that does not.
fn continued(line: &str) -> Option<&str> {
    let bare = line.trim_end();
    let slashes = bare.len() - bare.trim_end_matches('\\').len();
    (slashes % 2 == 1).then(|| &bare[..bare.len() - 1])
}

/// All the commands of a text.
pub fn commands(text: &str) -> Vec<Command> {
    let mut joiner = Joiner::default();
    let mut all: Vec<_> = text.lines().filter_map(|l| joiner.feed(l)).collect();
    all.extend(joiner.end());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_their_places() {
        let text =
            "# a comment\n\nnode a\nprimitive p lsb:x \\\n\tmeta a=1 \\\n  b=2\r\n   # another\nend\\\\\nlast \\";
        let all = commands(text);
        let texts: Vec<&str> = all.iter().map(|c| &*c.text).collect();
        assert_eq!(
            texts,
            ["node a", "primitive p lsb:x  \tmeta a=1    b=2", "end\\\\", "last "]
        );
        assert_eq!(all[1].line(), 4);
        let at = |word: &str| all[1].place(all[1].text.find(word).unwrap() + 1);
        assert_eq!(
            [at("primitive"), at("lsb"), at("meta"), at("b=2")],
            [(4, 1), (4, 13), (5, 2), (6, 3)]
        );
    }
}
