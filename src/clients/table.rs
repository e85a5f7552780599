//! Lines for a terminal: cells in columns, cut to a width, with a style that only adds to what the words say.

/// Between two columns.
const GAP: usize = 2;
/// Stands where something was cut off.
const CUT: &str = "..";
/// No column becomes narrower.
const NARROWEST: usize = 6;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Style {
    #[default]
    Plain,
    Title,
    Good,
    Warning,
    Bad,
}

/// A line of one style: nothing on these screens needs more.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Line {
    pub style: Style,
    pub text: String,
}

impl Line {
    pub fn new(style: Style, text: impl AsRef<str>) -> Self {
        Self {
            style,
            text: clean(text.as_ref()),
        }
    }

    /// With the colours of a terminal, or without.
    pub fn paint(&self, colours: bool) -> String {
        let code = match self.style {
            _ if !colours => return self.text.clone(),
            Style::Plain => return self.text.clone(),
            Style::Title => "1",
            Style::Good => "1;32",
            Style::Warning => "33",
            Style::Bad => "1;31",
        };
        format!("\x1b[{code}m{}\x1b[0m", self.text)
    }
}

/// What other nodes, scripts and files say could be anything; here a character is one column, and no terminal obeys it.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
        .collect()
}

/// At most `width` characters of clean text, with a mark where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.len() <= width {
        return text.to_owned();
    }
    let kept = &text[..width.saturating_sub(CUT.len())];
    let mark = &CUT[..CUT.len().min(width)];
    format!("{kept}{mark}")
}

#[derive(Clone, Debug)]
pub struct Row {
    pub style: Style,
    pub cells: Vec<String>,
}

impl Row {
    pub fn new(style: Style, cells: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self {
            style,
            cells: cells.into_iter().map(|c| clean(c.as_ref())).collect(),
        }
    }

    pub fn is_bad(&self) -> bool {
        matches!(self.style, Style::Bad | Style::Warning)
    }
}

/// The rows as lines of equal columns, none wider than `width`. Where the room is too small the last column gives way
/// first, then whichever is widest.
pub fn lines(rows: &[Row], width: usize) -> Vec<Line> {
    let columns = rows.iter().map(|r| r.cells.len()).max().unwrap_or(0);
    let natural = |i: usize| {
        rows.iter()
            .filter_map(|r| r.cells.get(i))
            .map(String::len)
            .max()
            .unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..columns).map(natural).collect();
    let gaps = GAP * columns.saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        let last = columns - 1;
        let i = if widths[last] > NARROWEST * 4 {
            last
        } else {
            let widest = widths.iter().copied().max().unwrap_or(0);
            widths.iter().position(|w| *w == widest).unwrap_or(last)
        };
        if widths[i] <= NARROWEST {
            break;
        }
        widths[i] -= 1;
    }
    let line = |row: &Row| {
        let mut text = String::new();
        for (i, (cell, w)) in row.cells.iter().zip(&widths).enumerate() {
            let gap = if i == 0 { 0 } else { GAP };
            text.push_str(&" ".repeat(gap));
            text.push_str(&format!("{:w$}", cut(cell, *w), w = *w));
        }
        Line {
            style: row.style,
            text: cut(text.trim_end(), width),
        }
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn columns_line_up_and_what_does_not_fit_is_marked() {
        let rows = [
            Row::new(Style::Title, ["NODE", "STATE", "WHY"]),
            Row::new(
                Style::Bad,
                ["web", "dead", "silent for a very long time indeed, says the log"],
            ),
        ];
        let texts = |width| lines(&rows, width).into_iter().map(|l| l.text).collect::<Vec<_>>();
        assert_eq!(texts(80)[0], "NODE  STATE  WHY");
        assert_eq!(
            texts(80)[1],
            "web   dead   silent for a very long time indeed, says the log"
        );
        assert_eq!(texts(40)[1], "web   dead   silent for a very long ti..");
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(clean("a\x1b[2Jb\nü"), "a?[2Jb??");
        assert_eq!(Line::new(Style::Bad, "x").paint(false), "x");
        assert_eq!(Line::new(Style::Bad, "x").paint(true), "\x1b[1;31mx\x1b[0m");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_asked(
            rows in prop::collection::vec(prop::collection::vec(".{0,60}", 0..6), 0..8),
            width in 0usize..100,
        ) {
            let rows: Vec<Row> = rows.into_iter().map(|cells| Row::new(Style::Plain, cells)).collect();
            for line in lines(&rows, width) {
                prop_assert!(line.text.len() <= width, "{:?}", line);
            }
        }
    }
}
