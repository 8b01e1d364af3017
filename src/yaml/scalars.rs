//! Single values: texts, words, booleans, ids and dates.

use jiff::civil::Date;

use super::diagnostic::{Code, Report};
use super::fields::wrong_type;
use super::tree::{Node, Value, nearest};

/// Reads a text. Numbers and booleans are not taken for one, because YAML has already forgotten how they were written.
pub(crate) fn text<'n>(report: &mut Report<'_>, node: &'n Node, what: &str) -> Option<&'n str> {
    let text = node.text();
    if text.is_none() {
        let scalar = matches!(
            node.value,
            Value::Bool(_) | Value::Integer(_) | Value::Number(_)
        );
        let written = report
            .text
            .get(node.at.start..node.at.end)
            .filter(|_| scalar);
        let diagnostic = wrong_type(report, node, what);
        if let Some(written) = written {
            diagnostic.help(format!("put it in quotes: \"{written}\""));
        }
    }
    text
}

/// Reads a text that says something.
pub(crate) fn filled(report: &mut Report<'_>, node: &Node, what: &str) -> Option<String> {
    let text = text(report, node, what)?.trim();
    if text.is_empty() {
        report.add(
            Code::EmptyText,
            node.at,
            format!("{what} must not be empty"),
        );
        return None;
    }
    Some(text.to_owned())
}

/// Reads a word of a closed list.
pub(crate) fn word<W>(
    report: &mut Report<'_>,
    node: &Node,
    key: &str,
    words: &[&str],
    parse: impl Fn(&str) -> Option<W>,
) -> Option<W> {
    let Some(written) = node.text() else {
        wrong_type(report, node, &format!("one of {}", words.join(", ")));
        return None;
    };
    let found = parse(written);
    if found.is_none() {
        let help = match nearest(written, words.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("the words are {}", words.join(", ")),
        };
        report
            .add(
                Code::UnknownWord,
                node.at,
                format!("\"{written}\" is not a word of \"{key}\""),
            )
            .help(help);
    }
    found
}

/// Reads a boolean.
pub(crate) fn boolean(report: &mut Report<'_>, node: &Node) -> Option<bool> {
    if let Value::Bool(value) = node.value {
        return Some(value);
    }
    wrong_type(report, node, "true or false");
    None
}

/// Reads the id of a rule or an exception.
pub(crate) fn id(report: &mut Report<'_>, node: &Node) -> Option<String> {
    let written = text(report, node, "an id")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if written
        .split('-')
        .all(|part| !part.is_empty() && part.chars().all(plain))
    {
        return Some(written.to_owned());
    }
    report
        .add(Code::BadId, node.at, format!("\"{written}\" is not an id"))
        .help("ids are lower-case words and digits, joined by hyphens: \"stolen-credentials\"");
    None
}

/// Reads a date.
pub(crate) fn date(report: &mut Report<'_>, node: &Node) -> Option<Date> {
    let written = text(report, node, "a date such as 2027-03-31")?;
    let parsed = Some(written)
        .filter(|w| w.len() == 10)
        .and_then(|w| w.parse().ok());
    if parsed.is_none() {
        report
            .add(
                Code::BadDate,
                node.at,
                format!("\"{written}\" is not a date"),
            )
            .help("write year, month and day: 2027-03-31");
    }
    parsed
}
