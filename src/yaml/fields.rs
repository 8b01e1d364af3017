//! Mappings with known keys, and lists.

use super::diagnostic::{Code, Diagnostic, Report};
use super::tree::{Node, Place, Placed, Value, nearest};

/// A mapping whose keys were checked.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    what: &'static str,
    at: Place,
    entries: Vec<(&'n str, Place, &'n Node)>,
}

/// Reads a mapping, and reports what is no mapping, no known key, or given twice.
pub(crate) fn fields<'n>(
    report: &mut Report<'_>,
    node: &'n Node,
    what: &'static str,
    known: &[&str],
) -> Option<Fields<'n>> {
    let entries = entries(report, node, what)?;
    let at = entries
        .iter()
        .find(|(key, ..)| *key == "id")
        .or(entries.first());
    let at = at.map_or(node.at, |(_, place, _)| *place);
    let (entries, unknown): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|(key, ..)| known.contains(key));
    for (key, place, _) in unknown {
        let help = match nearest(key, known.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("the keys are {}", known.join(", ")),
        };
        report
            .add(
                Code::UnknownKey,
                place,
                format!("{what} has no key \"{key}\""),
            )
            .help(help);
    }
    Some(Fields { what, at, entries })
}

/// Reads a mapping whose keys are free, and reports what is no mapping or given twice.
pub(crate) fn entries<'n>(
    report: &mut Report<'_>,
    node: &'n Node,
    what: &str,
) -> Option<Vec<(&'n str, Place, &'n Node)>> {
    let Value::Map(pairs) = &node.value else {
        wrong_type(report, node, &format!("a mapping for {what}"));
        return None;
    };
    let mut entries: Vec<(&str, Place, &Node)> = Vec::new();
    for (key, value) in pairs {
        let Some(name) = key.text() else {
            wrong_type(report, key, "a text as a key");
            continue;
        };
        match entries.iter().find(|(earlier, ..)| *earlier == name) {
            Some((_, first, _)) => {
                let message = format!("{what} has the key \"{name}\" twice");
                report
                    .add(Code::DuplicateKey, key.at, message)
                    .related(*first, "it is first given here");
            }
            None => entries.push((name, key.at, value)),
        }
    }
    Some(entries)
}

/// Reports keys, at any depth, that JSON cannot hold: those that are given twice, and those that are no texts. Whatever is read
/// as JSON goes through this first.
pub(crate) fn sound(report: &mut Report<'_>, node: &Node, what: &str) -> bool {
    let errors = report.errors();
    match &node.value {
        Value::List(items) => {
            for item in items {
                sound(report, item, what);
            }
        }
        Value::Map(_) => {
            for (key, _, value) in entries(report, node, what).unwrap_or_default() {
                sound(report, value, &format!("\"{key}\""));
            }
        }
        _ => {}
    }
    report.errors() == errors
}

impl<'n> Fields<'n> {
    /// The value of a key, if it is given.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries
            .iter()
            .find(|(name, ..)| *name == key)
            .map(|(.., value)| *value)
    }

    /// The value of a key that must be given.
    pub(crate) fn require(
        &self,
        report: &mut Report<'_>,
        key: &str,
        help: &str,
    ) -> Option<&'n Node> {
        let value = self.get(key);
        if value.is_none() {
            report
                .add(
                    Code::MissingKey,
                    self.at,
                    format!("{} needs the key \"{key}\"", self.what),
                )
                .help(help);
        }
        value
    }

    /// Where a key is, or else where the mapping begins.
    pub(crate) fn place(&self, key: &str) -> Place {
        self.entries
            .iter()
            .find(|(name, ..)| *name == key)
            .map_or(self.at, |(_, place, _)| *place)
    }
}

/// Reads a list.
pub(crate) fn list<'n>(report: &mut Report<'_>, node: &'n Node, what: &str) -> Option<&'n [Node]> {
    match &node.value {
        Value::List(items) => Some(items),
        _ => {
            wrong_type(report, node, what);
            None
        }
    }
}

/// Reads a list in a place where one value may stand for a list of one. An empty list would match nothing, ever.
pub(crate) fn one_or_many<'n>(
    report: &mut Report<'_>,
    node: &'n Node,
    key: &str,
) -> Option<&'n [Node]> {
    match &node.value {
        Value::List(items) if items.is_empty() => {
            let message = format!("the list of \"{key}\" is empty, so that nothing can match it");
            report
                .add(Code::EmptyList, node.at, message)
                .help(format!("name a value, or leave \"{key}\" out"));
            None
        }
        Value::List(items) => Some(items),
        _ => Some(std::slice::from_ref(node)),
    }
}

/// Reads every entry of a list.
pub(crate) fn all<T>(
    report: &mut Report<'_>,
    node: Option<&Node>,
    what: &str,
    read: impl Fn(&mut Report<'_>, &Node) -> Option<T>,
) -> Vec<T> {
    let Some(items) = node.and_then(|node| list(report, node, what)) else {
        return Vec::new();
    };
    items.iter().filter_map(|item| read(report, item)).collect()
}

/// Reads the values of a key whose values are alternatives.
pub(crate) fn each<T>(
    report: &mut Report<'_>,
    node: Option<&Node>,
    key: &str,
    mut read: impl FnMut(&mut Report<'_>, &Node) -> Option<T>,
) -> Vec<T> {
    let Some(items) = node.and_then(|node| one_or_many(report, node, key)) else {
        return Vec::new();
    };
    items.iter().filter_map(|item| read(report, item)).collect()
}

/// Reports a name that another entry of the same list has, and remembers one that is new. `twice` says it of a name.
pub(crate) fn once(
    report: &mut Report<'_>,
    named: &Placed<String>,
    earlier: &mut Vec<Placed<String>>,
    twice: impl Fn(&str) -> String,
) {
    match earlier.iter().find(|other| other.value == named.value) {
        Some(other) => {
            report
                .add(Code::DuplicateId, named.at, twice(&named.value))
                .related(other.at, "it is first used here");
        }
        None => earlier.push(named.clone()),
    }
}

/// Checks the version of the format. `what` is the file in words.
pub(crate) fn version(report: &mut Report<'_>, fields: &Fields<'_>, what: &str) {
    let Some(node) = fields.require(report, "version", "write `version: 1`") else {
        return;
    };
    match node.value {
        Value::Integer(1) => {}
        Value::Integer(other) => {
            report
                .add(
                    Code::UnsupportedVersion,
                    node.at,
                    format!("version {other} of {what} is not known"),
                )
                .help("this program reads version 1");
        }
        _ => {
            wrong_type(report, node, "the number 1");
        }
    }
}

/// Reports a value of the wrong type.
pub(crate) fn wrong_type<'r>(
    report: &'r mut Report<'_>,
    node: &Node,
    wanted: &str,
) -> &'r mut Diagnostic {
    report.add(
        Code::WrongType,
        node.pointer(),
        format!("expected {wanted}, found {}", node.kind()),
    )
}
