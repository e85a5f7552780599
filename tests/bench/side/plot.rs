//! An SVG of the gaps and of the times with two owners: a dot a run, a bar for the median, on a logarithmic scale.

use crate::programs::Program;
use crate::results::{Figure, Results, number};
use std::fmt::Write;

const LEFT: f64 = 250.0;
const WIDTH: f64 = 640.0;
const BAR: f64 = 11.0;
/// One millisecond to one minute.
const SCALE: (f64, f64) = (1.0, 60_000.0);
const MARKS: [(f64, &str); 5] = [
    (1.0, "1 ms"),
    (10.0, "10 ms"),
    (100.0, "100 ms"),
    (1000.0, "1 s"),
    (10_000.0, "10 s"),
];

fn colour(program: Program) -> &'static str {
    match program {
        Program::Ours | Program::OurCrm | Program::OurCrmScript => "#0b6e4f",
        Program::Classic | Program::Pacemaker => "#c8553d",
        Program::Keepalived => "#3d5a80",
        Program::Ucarp => "#9a8c98",
    }
}

fn x(millis: f64) -> f64 {
    let (low, high) = SCALE;
    LEFT + WIDTH * (millis.clamp(low, high) / low).log10() / (high / low).log10()
}

pub fn svg(title: &str, results: &Results) -> String {
    let figures: Vec<Figure> = results.figures();
    let shown = |f: &&Figure| f.section == "Gaps" || f.section == "Two owners";
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for f in figures.iter().filter(shown) {
        if !rows.contains(&(f.section, &f.row)) {
            rows.push((f.section, &f.row));
        }
    }
    rows.sort_unstable();
    let height = 70.0 + rows.len() as f64 * (BAR * 4.0 + 12.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"960\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"10\" y=\"18\" font-size=\"13\">\
         {title}</text>\n"
    );
    for (n, program) in Program::ALL.into_iter().enumerate() {
        let at = LEFT + n as f64 * 150.0;
        let _ = writeln!(
            out,
            "<rect x=\"{at}\" y=\"28\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"{}\" y=\"37\">{program}</text>",
            colour(program),
            at + 14.0
        );
    }
    for (millis, words) in MARKS {
        let at = x(millis);
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"46\" y2=\"{:.0}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{:.0}\" \
             text-anchor=\"middle\">{words}</text>",
            height - 18.0,
            height - 6.0
        );
    }
    let mut y = 52.0;
    for (section, row) in rows {
        let what = if section == "Gaps" { "gap" } else { "two owners" };
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{what}: {row}</text>",
            LEFT - 8.0,
            y + BAR * 2.0 + 4.0
        );
        for program in Program::ALL {
            let of = |f: &&Figure| f.section == section && f.row == row && f.program == program;
            if let Some(f) = figures.iter().find(of) {
                bar(&mut out, f, y);
            }
            y += BAR;
        }
        y += 12.0;
    }
    out.push_str("</svg>\n");
    out
}

fn bar(out: &mut String, figure: &Figure, y: f64) {
    let millis = |v: f64| if figure.unit == "s" { v * 1000.0 } else { v };
    let (median, fill) = (figure.median(), colour(figure.program));
    let _ = writeln!(
        out,
        "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"{fill}\" fill-opacity=\"0.55\"/>",
        (x(millis(median)) - LEFT).max(1.0),
        BAR - 2.0
    );
    for run in &figure.runs {
        let _ = writeln!(
            out,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2\" fill=\"{fill}\"/>",
            x(millis(*run)),
            y + (BAR - 2.0) / 2.0
        );
    }
    let most = figure.sorted().last().copied().unwrap_or(median);
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"9\">{} {}</text>",
        x(millis(most)) + 6.0,
        y + BAR - 3.0,
        number(median),
        figure.unit
    );
}
