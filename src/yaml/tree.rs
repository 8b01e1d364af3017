//! YAML as a tree in which every node knows its place.
//!
//! A file is not deserialized into its types directly, because that stops at the first mistake. It is read into
//! this tree, and the tree is then checked by hand.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, Spanned};

use super::diagnostic::{Code, Report};

/// Parses the file. A file that is no YAML has nothing else to report. The reader calls itself for each level, and must not
/// be driven out of its stack: `deepest` is how many levels it takes.
pub(crate) fn parse(report: &mut Report<'_>, deepest: usize) -> Option<Node> {
    let options = serde_saphyr::options! {
        // Many tests may be written about one finding; what aliases may repeat in all is limited besides.
        budget: serde_saphyr::budget! { max_depth: deepest, enforce_alias_anchor_ratio: false },
        // Repeated keys are let through so that they can be reported with both of their places.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // Account ids may begin with a zero, and `yes` is not a boolean of YAML 1.2.
        leading_zero_numbers_as_strings: true,
        strict_booleans: true,
    };
    match serde_saphyr::from_str_with_options(report.text, options) {
        Ok(node) => Some(node),
        Err(error) => {
            report_syntax(report, error.without_snippet());
            None
        }
    }
}

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) at: Place,
}

/// A YAML value.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// Something and where to point at it.
#[derive(Debug, Clone)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) at: Place,
}

/// A stretch of the file: byte offsets, and the line and column of its beginning, counted from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Node {
    /// Where to point at the node. A mapping is pointed at by its id, or else by its first key, because its own place is
    /// only where it begins.
    pub(crate) fn pointer(&self) -> Place {
        match &self.value {
            Value::Map(entries) => {
                let id = entries.iter().find(|(key, _)| key.text() == Some("id"));
                id.map(|(_, value)| value.at)
                    .or(entries.first().map(|(key, _)| key.at))
                    .unwrap_or(self.at)
            }
            _ => self.at,
        }
    }

    /// The text of a scalar that is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What the value is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) => "a number",
            Value::Number(_) => "a decimal number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The value as JSON, for types that are read by serde.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => (*value).into(),
            Value::Number(value) => (*value).into(),
            Value::Text(value) => value.as_str().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .filter_map(|(key, value)| Some((key.text()?.to_owned(), value.to_json())))
                .collect(),
        }
    }
}

/// The word that was probably meant.
pub(crate) fn nearest<'w>(
    written: &str,
    words: impl IntoIterator<Item = &'w str>,
) -> Option<&'w str> {
    let most = written.chars().count() / 3;
    words
        .into_iter()
        .map(|word| {
            (
                strsim::osa_distance(&written.to_lowercase(), &word.to_lowercase()),
                word,
            )
        })
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

fn report_syntax(report: &mut Report<'_>, error: &Error) {
    let location = error.location();
    let (line, column) = location.map_or((1, 1), |l| (l.line().max(1), l.column().max(1)));
    let at = place_of_line(report.text, line, column);
    if matches!(error, Error::MultipleDocuments { .. }) {
        let message = "the file holds more than one YAML document";
        report
            .add(Code::YamlSyntax, at, message)
            .help("remove everything from `---` on");
        return;
    }
    let message = error.to_string();
    let message = message
        .strip_suffix(&format!(" at line {line}, column {column}"))
        .unwrap_or(&message);
    report
        .add(Code::YamlSyntax, at, format!("not valid YAML: {message}"))
        .help("if the line looks right, look above it for a bracket, a brace or a quote that is not closed");
}

/// The place of one character, for errors of the parser, which know lines and columns but no bytes.
fn place_of_line(text: &str, line: u64, column: u64) -> Place {
    let skipped = usize::try_from(line - 1).unwrap_or(usize::MAX);
    let before: usize = text.split_inclusive('\n').take(skipped).map(str::len).sum();
    let rest = text.get(before..).unwrap_or_default();
    let columns = usize::try_from(column - 1).unwrap_or(usize::MAX);
    let offset: usize = rest.chars().take(columns).map(char::len_utf8).sum();
    let length = rest[offset..]
        .chars()
        .next()
        .filter(|c| *c != '\n')
        .map_or(0, char::len_utf8);
    Place {
        start: before + offset,
        end: before + offset + length,
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        // Of an alias this is the place where it is used, which is where a rule that is wrong has to be put right.
        let location = spanned.referenced;
        let offset = |bytes: Option<u64>| bytes.and_then(|b| usize::try_from(b).ok()).unwrap_or(0);
        let start = offset(location.span().byte_offset());
        Ok(Node {
            value: spanned.value,
            at: Place {
                start,
                end: start + offset(location.span().byte_len()),
                line: u32::try_from(location.line()).unwrap_or(u32::MAX),
                column: u32::try_from(location.column()).unwrap_or(u32::MAX),
            },
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Number(value as f64), Value::Integer))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}
