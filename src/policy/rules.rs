//! Rules: whether one holds on a node at a time of day, and the score it then gives.

use super::input::Node;
use crate::cib::{Element, Score, words};
use crate::time::Wall;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// On what a rule is tried.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// `None` for rules about nothing but time, as in sets of properties.
    pub node: Option<&'a Node>,
    pub now: Wall,
}

/// What a rule gives on a node: nothing where it does not hold.
pub fn score(rule: &Element, place: Place<'_>) -> Option<Score> {
    if !holds(rule, place) {
        return None;
    }
    match rule.get("score-attribute") {
        Some(name) => Score::parse(place.node?.attributes.get(name)?),
        None => Some(rule.get("score").and_then(Score::parse).unwrap_or_default()),
    }
}

/// Expressions joined by `and` (when nothing is said) or `or`; a rule without any holds.
pub fn holds(rule: &Element, place: Place<'_>) -> bool {
    let any = rule.get("boolean-op").is_some_and(|op| op.eq_ignore_ascii_case("or"));
    let mut parts = rule.children.iter().filter_map(|part| match &*part.name {
        "rule" => Some(holds(part, place)),
        "expression" => Some(expression(part, place.node)),
        "date_expression" => Some(date(part, place.now)),
        // About resources and operations: tried where those are known.
        _ => None,
    });
    if any { parts.any(|p| p) } else { parts.all(|p| p) }
}

fn expression(e: &Element, node: Option<&Node>) -> bool {
    let attribute = e.get("attribute").unwrap_or_default();
    let operation = e.get("operation").unwrap_or_default();
    let found = node.and_then(|n| match attribute {
        "#uname" => Some(&*n.uname),
        "#id" => Some(&*n.id),
        "#kind" => Some("cluster"),
        name => n.attributes.get(name).map(|v| &**v),
    });
    let wanted = e.get("value");
    match (operation, found, wanted) {
        ("defined", found, _) => found.is_some(),
        ("not_defined", found, _) => found.is_none(),
        ("ne", None, _) => true,
        (_, None, _) | (_, _, None) => false,
        (operation, Some(found), Some(wanted)) => {
            let order = compare(e.get("type"), operation, found, wanted);
            match operation {
                "eq" => order == Some(Ordering::Equal),
                "ne" => order != Some(Ordering::Equal),
                "lt" => order == Some(Ordering::Less),
                "lte" => order.is_some_and(Ordering::is_le),
                "gt" => order == Some(Ordering::Greater),
                "gte" => order.is_some_and(Ordering::is_ge),
                _ => false,
            }
        }
    }
}

/// Without a type, greater and less compare numbers where both sides are some, else text in any case.
fn compare(kind: Option<&str>, operation: &str, found: &str, wanted: &str) -> Option<Ordering> {
    let numbers = || {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        number(found)?.partial_cmp(&number(wanted)?)
    };
    let text = || found.to_ascii_lowercase().cmp(&wanted.to_ascii_lowercase());
    match kind {
        Some("integer" | "number") => numbers(),
        Some("version") => Some(versions(found, wanted)),
        Some(_) => Some(text()),
        None if ["lt", "gt", "lte", "gte"].contains(&operation) => numbers().or_else(|| Some(text())),
        None => Some(text()),
    }
}

/// 1.2.10 is later than 1.2.9, and 1.2 the same as 1.2.0.
fn versions(a: &str, b: &str) -> Ordering {
    let parts = |v: &str| -> Vec<u64> { v.split('.').map(|p| p.parse().unwrap_or(0)).collect() };
    let (mut a, mut b) = (parts(a), parts(b));
    let longest = a.len().max(b.len());
    a.resize(longest, 0);
    b.resize(longest, 0);
    a.cmp(&b)
}

fn date(e: &Element, now: Wall) -> bool {
    let moment = |name: &str| e.get(name).and_then(iso_time);
    let (start, end) = (moment("start"), moment("end"));
    let end = end.or_else(|| Some(Wall(start?.0.saturating_add(seconds(e.child("duration")?)))));
    match e.get("operation").unwrap_or("in_range") {
        "gt" => start.is_some_and(|s| now > s),
        "lt" => end.is_some_and(|e| now < e),
        "date_spec" => e.child("date_spec").is_some_and(|spec| within(spec, now)),
        _ => start.is_none_or(|s| now >= s) && end.is_none_or(|e| now <= e),
    }
}

fn seconds(duration: &Element) -> u64 {
    let of = |name: &str, unit: u64| {
        duration
            .get(name)
            .and_then(|v| v.parse::<u64>().ok())
            .unwrap_or(0)
            .saturating_mul(unit)
    };
    [
        of("seconds", 1),
        of("minutes", 60),
        of("hours", 3600),
        of("days", 86_400),
        of("weeks", 7 * 86_400),
        // As good as a length of months and years can be without a calendar.
        of("months", 30 * 86_400),
        of("years", 365 * 86_400),
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

/// All the attributes of a date_spec: each a number or a range `a-b` of UTC time.
fn within(spec: &Element, now: Wall) -> bool {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        weekday,
        yearday,
    } = civil(now);
    let fields: BTreeMap<&str, u64> = BTreeMap::from([
        ("seconds", second),
        ("minutes", minute),
        ("hours", hour),
        ("monthdays", day),
        ("weekdays", weekday),
        ("yeardays", yearday),
        ("yearsdays", yearday),
        ("months", month),
        ("years", year),
    ]);
    let fits = |range: &str, value: u64| match range.split_once('-') {
        Some((low, high)) => {
            low.parse().is_ok_and(|low: u64| low <= value)
                && (high.is_empty() || high.parse().is_ok_and(|high| value <= high))
        }
        None => range.parse() == Ok(value),
    };
    spec.attributes
        .iter()
        .all(|(name, range)| fields.get(name).is_none_or(|value| fits(range, *value)))
}

struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    /// Monday is 1.
    weekday: u64,
    /// The first of January is 1.
    yearday: u64,
}

const BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days from 1970 to the first of January of `year`.
fn days_before(year: u64) -> u64 {
    let leaps = |y: u64| y / 4 - y / 100 + y / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

fn civil(now: Wall) -> Civil {
    let days = now.0 / 86_400;
    let mut year = 1970 + days / 366;
    while days_before(year + 1) <= days {
        year += 1;
    }
    let of_year = days - days_before(year);
    let before = |m: usize| BEFORE_MONTH[m] + u64::from(m > 1 && is_leap(year));
    let month = (0..12).rev().find(|m| before(*m) <= of_year).unwrap_or(0);
    Civil {
        year,
        month: month as u64 + 1,
        day: of_year - before(month) + 1,
        hour: now.0 / 3600 % 24,
        minute: now.0 / 60 % 60,
        second: now.0 % 60,
        weekday: (days + 3) % 7 + 1,
        yearday: of_year + 1,
    }
}

/// `2026-11-21 08:14:18Z`, which [`iso_time`] reads.
pub fn iso_text(time: Wall) -> String {
    let t = civil(time);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}Z",
        t.year, t.month, t.day, t.hour, t.minute, t.second
    )
}

/// `2026-11-21 08:14:18Z`, `2026-11-21T08:14:18+01:00`, `20261121T0814`, `2026-11-21`; without a zone UTC.
pub fn iso_time(text: &str) -> Option<Wall> {
    let text = text.trim();
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let digits: String = date.chars().filter(|c| *c != '-').collect();
    if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |s: &str| s.parse::<u64>().ok();
    let (year, month, day) = (number(&digits[..4])?, number(&digits[4..6])?, number(&digits[6..])?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let leap_day = u64::from(month > 2 && is_leap(year));
    let before = BEFORE_MONTH[usize::try_from(month - 1).ok()?];
    let midnight = (days_before(year) + before + leap_day + day - 1) * 86_400;
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let clock = clock_seconds(time[..zone_at].trim())?;
    let zone = &time[zone_at..];
    let offset = clock_seconds(zone.trim_start_matches(['Z', '+', '-']))?;
    let utc = midnight + clock;
    Some(Wall(match zone.as_bytes().first() {
        Some(b'+') => utc.checked_sub(offset)?,
        Some(b'-') => utc + offset,
        _ => utc,
    }))
}

/// `08:14:18`, `0814`, nothing.
fn clock_seconds(text: &str) -> Option<u64> {
    let digits: String = text.split('.').next()?.chars().filter(|c| *c != ':').collect();
    if digits.len() > 6 || !digits.len().is_multiple_of(2) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let pairs = digits.as_bytes().chunks(2).zip([3600, 60, 1]);
    Some(
        pairs
            .map(|(p, unit)| (u64::from(p[0] - b'0') * 10 + u64::from(p[1] - b'0')) * unit)
            .sum(),
    )
}

/// Name and value pairs of attribute sets: of those whose rule holds, the set with the higher score says a name first.
pub fn pairs<'a>(sets: impl Iterator<Item = &'a Element>, place: Place<'_>) -> BTreeMap<String, String> {
    let mut sets: Vec<_> = sets
        .filter(|s| s.children_named("rule").all(|r| holds(r, place)))
        .collect();
    sets.sort_by_key(|s| std::cmp::Reverse(s.get("score").and_then(Score::parse).unwrap_or_default()));
    let mut out = BTreeMap::new();
    for pair in sets.iter().flat_map(|s| s.children_named("nvpair")) {
        if let (Some(name), Some(value)) = (pair.get("name"), pair.get("value")) {
            out.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    out
}

/// A truth value of a map of attributes, or what holds when none is written.
pub fn truth(map: &BTreeMap<String, String>, name: &str, otherwise: bool) -> bool {
    map.get(name).and_then(|v| words::truth(v)).unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for time in [0, 951_782_399, 951_868_800, 1_795_248_858, 4_102_444_799] {
            assert_eq!(iso_time(&iso_text(Wall(time))), Some(Wall(time)));
        }
        assert_eq!(iso_text(Wall(1_795_248_858)), "2026-11-21 08:14:18Z");
        #[rustfmt::skip]
        let table: &[(&str, Option<u64>)] = &[
            ("1970-01-01", Some(0)), ("2026-11-21 08:14:18Z", Some(1_795_248_858)),
            ("2026-11-21T09:14:18+01:00", Some(1_795_248_858)), ("20261121T081418", Some(1_795_248_858)),
            ("2000-02-29", Some(951_782_400)), ("2000-03-01", Some(951_868_800)), ("1999-13-01", None), ("soon", None), ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(iso_time(text).map(|w| w.0), *expected, "{text}");
            if let Some(moment) = iso_time(text) {
                let c = civil(moment);
                assert!(
                    text.replace('-', "")
                        .starts_with(&format!("{:04}{:02}{:02}", c.year, c.month, c.day)),
                    "{text}"
                );
            }
        }
        assert_eq!(civil(Wall(1_795_248_858)).weekday, 6, "a Saturday");
    }

    #[test]
    fn rules() {
        let node = Node {
            uname: "node2".into(),
            id: "2".into(),
            attributes: BTreeMap::from([
                ("pingd".to_owned(), "100".to_owned()),
                ("v".to_owned(), "1.10".to_owned()),
            ]),
            ..Node::default()
        };
        let place = Place {
            node: Some(&node),
            now: Wall(1_795_248_858),
        };
        #[rustfmt::skip]
        let table = [
            ("<rule score='100'><expression attribute='#uname' operation='eq' value='node2'/></rule>", Some("100")),
            ("<rule score='100'><expression attribute='#uname' operation='ne' value='node2'/></rule>", None),
            ("<rule score-attribute='pingd'><expression attribute='pingd' operation='defined'/></rule>", Some("100")),
            ("<rule score-attribute='other'><expression attribute='pingd' operation='defined'/></rule>", None),
            ("<rule score='-INFINITY' boolean-op='or'><expression attribute='pingd' operation='not_defined'/><expression attribute='pingd' operation='lte' value='0'/></rule>", None),
            ("<rule score='-INFINITY' boolean-op='or'><expression attribute='x' operation='not_defined'/><expression attribute='x' operation='lte' value='0'/></rule>", Some("-INFINITY")),
            ("<rule score='1'><expression attribute='pingd' operation='gt' value='99'/></rule>", Some("1")),
            ("<rule score='1'><expression attribute='pingd' operation='gt' value='99' type='string'/></rule>", None),
            ("<rule score='1'><expression attribute='v' operation='gt' value='1.9' type='version'/></rule>", Some("1")),
            ("<rule score='1'><expression attribute='x' operation='ne' value='1'/></rule>", Some("1")),
            ("<rule score='1'><date_expression operation='lt' end='2026-11-21 08:14:19Z'/></rule>", Some("1")),
            ("<rule score='1'><date_expression operation='lt' end='2026-11-21 08:14:18Z'/></rule>", None),
            ("<rule score='1'><date_expression operation='in_range' start='2026-11-21'><duration days='1'/></date_expression></rule>", Some("1")),
            ("<rule score='1'><date_expression operation='in_range' start='2026-11-21'><duration years='600000000000' days='18446744073709551615'/></date_expression></rule>", Some("1")),
            ("<rule score='1'><date_expression operation='date_spec'><date_spec hours='8-17' weekdays='6-7'/></date_expression></rule>", Some("1")),
            ("<rule score='1'><date_expression operation='date_spec'><date_spec hours='9-17'/></date_expression></rule>", None),
            ("<rule score='1'><rule boolean-op='or'><expression attribute='x' operation='defined'/><expression attribute='v' operation='defined'/></rule></rule>", Some("1")),
        ];
        for (text, expected) in table {
            let rule = Element::parse(text).unwrap();
            assert_eq!(
                score(&rule, place).map(|s| s.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
