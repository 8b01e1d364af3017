//! The catalogue of measures, as its own JSON Schema describes it, and the reading of what a rule asks for.
//!
//! The names and parameters come from the type [`Measure`] itself, so that a measure added there is at once known to the
//! validator, to "did you mean", and to the schema that editors use.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::measures::Measure;
use crate::policy::{Asked, Withhold};
use crate::yaml::{
    Code, Node, Place, Report, Value, entries, list, nearest, text, word, wrong_type,
};

/// A measure as its schema describes it.
#[derive(Debug)]
pub(in crate::policy) struct Entry {
    /// The name by which rules ask for it.
    pub(in crate::policy) name: String,
    /// What it does.
    pub(in crate::policy) description: String,
    parameters: Map<String, Json>,
    required: Vec<String>,
}

/// Every measure there is.
#[derive(Debug)]
pub(in crate::policy) struct Catalogue {
    /// The measures, in the order of their type.
    pub(in crate::policy) entries: Vec<Entry>,
    definitions: Json,
}

/// The catalogue, made once.
pub(in crate::policy) static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<Measure>()
        .to_value();
    let strings = |list: &Json| {
        list.as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .map(str::to_owned)
            .collect()
    };
    let entry = |variant: &Json| {
        let (name, body) = variant.get("properties")?.as_object()?.iter().next()?;
        Some(Entry {
            name: name.clone(),
            description: variant
                .get("description")
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned(),
            parameters: body
                .get("properties")
                .and_then(Json::as_object)
                .cloned()
                .unwrap_or_default(),
            required: body.get("required").map(strings).unwrap_or_default(),
        })
    };
    let variants = schema.get("oneOf").and_then(Json::as_array);
    Catalogue {
        entries: variants.into_iter().flatten().filter_map(entry).collect(),
        definitions: schema.get("definitions").cloned().unwrap_or_default(),
    }
});

impl Entry {
    /// Whether the bare name is enough to ask for it.
    pub(in crate::policy) fn bare(&self) -> bool {
        self.required.is_empty()
    }
}

impl Catalogue {
    fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    fn resolve<'s>(&'s self, schema: &'s Json) -> &'s Json {
        // Where a reference has a description beside it, it is wrapped in a list of one.
        let schema = schema.pointer("/allOf/0").unwrap_or(schema);
        let name = schema
            .get("$ref")
            .and_then(Json::as_str)
            .and_then(|path| path.rsplit('/').next());
        name.and_then(|name| self.definitions.get(name))
            .unwrap_or(schema)
    }

    /// The words that a schema allows, if it is a list of words.
    fn words<'s>(&'s self, schema: &'s Json) -> Vec<&'s str> {
        let listed = schema
            .get("enum")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str);
        let choices = schema
            .get("oneOf")
            .and_then(Json::as_array)
            .into_iter()
            .flatten();
        let consts = choices
            .filter_map(|choice| choice.get("const").or(choice.pointer("/enum/0"))?.as_str());
        listed.chain(consts).collect()
    }
}

/// Reads the measures of a rule, and where each is named.
pub(super) fn measures(
    report: &mut Report<'_>,
    node: &Node,
) -> Option<Vec<(Asked, String, Place)>> {
    let mut asked: Vec<(Asked, String, Place)> = Vec::new();
    for item in list(report, node, "a list of measures")? {
        let Some((measure, name, at)) = measure(report, item) else {
            continue;
        };
        match asked.iter().find(|(_, earlier, _)| *earlier == name) {
            Some((.., first)) => {
                let message = format!("the rule asks for \"{name}\" twice");
                report
                    .add(Code::DuplicateMeasure, at, message)
                    .related(*first, "it is first asked for here");
            }
            None => asked.push((
                Asked {
                    measure,
                    line: at.line,
                },
                name,
                at,
            )),
        }
    }
    Some(asked)
}

/// Reads what an exception withholds.
pub(super) fn withhold(report: &mut Report<'_>, node: &Node) -> Option<Withhold> {
    if node.text() == Some("all") {
        return Some(Withhold::All);
    }
    let items = match &node.value {
        Value::List(items) if items.is_empty() => {
            let help = "name the measures that must not be taken, or write `withhold: all`";
            report
                .add(Code::EmptyList, node.at, "the exception withholds nothing")
                .help(help);
            return None;
        }
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut names = Vec::new();
    for item in items {
        if item.text() == Some("all") {
            let message = "\"all\" stands by itself";
            report
                .add(Code::UnknownMeasure, item.at, message)
                .help("write `withhold: all`");
        } else if let Some(name) = measure_name(report, item) {
            names.push(name.to_owned());
        }
    }
    Some(Withhold::Only(names))
}

/// Reads the name of a measure.
pub(crate) fn measure_name<'n>(report: &mut Report<'_>, node: &'n Node) -> Option<&'n str> {
    let name = text(report, node, "the name of a measure")?;
    let known = Measure::catalogue()
        .iter()
        .any(|measure| measure.name() == name);
    if !known {
        unknown_measure(report, name, node.at);
    }
    known.then_some(name)
}

/// Reads one measure: its name, or a mapping of its name to its parameters.
fn measure(report: &mut Report<'_>, node: &Node) -> Option<(Measure, String, Place)> {
    let (name, at, parameters) = match &node.value {
        Value::Text(name) => (name.as_str(), node.at, None),
        Value::Map(entries) => match entries.as_slice() {
            [(key, parameters)] => (
                text(report, key, "the name of a measure")?,
                key.at,
                Some(parameters),
            ),
            keys => {
                let message = format!(
                    "expected one measure, found a mapping of {} keys",
                    keys.len()
                );
                report.add(Code::WrongType, node.pointer(), message).help(
                    "write each measure as an entry of its own: `- deny-actor: { scope: session }`",
                );
                return None;
            }
        },
        _ => {
            wrong_type(
                report,
                node,
                "a measure: its name, or its name with parameters",
            );
            return None;
        }
    };
    let written = json!({ name: parameters.map_or_else(|| json!({}), Node::to_json) });
    // Making the catalogue takes longer than all the rest of a policy, and a cold start waits for it.
    if parameters.is_none_or(says_something)
        && let Ok(measure) = Measure::deserialize(&written)
    {
        return Some((measure, name.to_owned(), at));
    }
    let Some(entry) = CATALOGUE.find(name) else {
        unknown_measure(report, name, at);
        return None;
    };
    let errors = report.errors();
    let given = match parameters {
        Some(parameters) => check_parameters(report, entry, parameters)?,
        None => Vec::new(),
    };
    for missing in entry
        .required
        .iter()
        .filter(|required| !given.contains(&required.as_str()))
    {
        let help = format!("write `{name}: {{ {missing}: … }}`");
        report
            .add(
                Code::MissingKey,
                at,
                format!("\"{name}\" needs the parameter \"{missing}\""),
            )
            .help(help);
    }
    if report.errors() > errors {
        return None;
    }
    match serde_json::from_value(written) {
        Ok(measure) => Some((measure, name.to_owned(), at)),
        Err(error) => {
            let place = parameters.map_or(at, Node::pointer);
            report.add(
                Code::BadParameter,
                place,
                format!("\"{name}\" does not accept this: {error}"),
            );
            None
        }
    }
}

/// Whether there is a value wherever one belongs, once and under a text: types take what is empty for what is left out, and JSON
/// has no other keys.
fn says_something(node: &Node) -> bool {
    match &node.value {
        Value::Null => false,
        Value::List(items) => !items.is_empty() && items.iter().all(says_something),
        Value::Map(entries) => entries.iter().enumerate().all(|(index, (key, value))| {
            let is_new = |name| {
                entries[..index]
                    .iter()
                    .all(|(other, _)| other.text() != Some(name))
            };
            key.text().is_some_and(is_new) && says_something(value)
        }),
        _ => true,
    }
}

/// Checks the parameters of a measure one by one, so that each mistake has its own place.
fn check_parameters<'n>(
    report: &mut Report<'_>,
    entry: &Entry,
    node: &'n Node,
) -> Option<Vec<&'n str>> {
    let mut given = Vec::new();
    for (key, at, value) in entries(
        report,
        node,
        &format!("the parameters of \"{}\"", entry.name),
    )? {
        let Some(schema) = entry.parameters.get(key) else {
            let known: Vec<&str> = entry.parameters.keys().map(String::as_str).collect();
            let help = match nearest(key, known.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None if known.is_empty() => "it has none".to_owned(),
                None => format!("its parameters are {}", known.join(", ")),
            };
            report
                .add(
                    Code::UnknownKey,
                    at,
                    format!("\"{}\" has no parameter \"{key}\"", entry.name),
                )
                .help(help);
            continue;
        };
        check_value(report, key, schema, value);
        given.push(key);
    }
    Some(given)
}

/// Checks a value as far as words and types go; the rest is for the type's own deserialization to say.
fn check_value(report: &mut Report<'_>, key: &str, schema: &Json, node: &Node) {
    let schema = CATALOGUE.resolve(schema);
    let words = CATALOGUE.words(schema);
    if !words.is_empty() {
        word(report, node, key, &words, |written| {
            words.contains(&written).then_some(())
        });
        return;
    }
    let wanted = match (schema.get("type").and_then(Json::as_str), &node.value) {
        (Some("array"), Value::List(items)) => {
            if items.is_empty() {
                let message =
                    format!("the list of \"{key}\" is empty, so that the measure would do nothing");
                report
                    .add(Code::EmptyList, node.at, message)
                    .help(format!("name a value, or leave \"{key}\" out"));
            }
            for item in items {
                check_value(
                    report,
                    key,
                    schema.get("items").unwrap_or(&Json::Null),
                    item,
                );
            }
            return;
        }
        (Some("array"), _) => "a list",
        (Some("string"), Value::Text(_)) | (Some("boolean"), Value::Bool(_)) => return,
        (Some("integer" | "number"), Value::Integer(_)) | (Some("number"), Value::Number(_)) => {
            return;
        }
        (Some("string"), _) => "a text",
        (Some("boolean"), _) => "true or false",
        (Some("integer"), _) => "a whole number",
        (Some("number"), _) => "a number",
        _ => return,
    };
    wrong_type(report, node, &format!("{wanted} for \"{key}\""));
}

fn unknown_measure(report: &mut Report<'_>, name: &str, at: Place) {
    let list = "run \"portcullis measures\" for the list";
    let help = match nearest(name, CATALOGUE.names()) {
        Some(meant) => format!(
            "did you mean \"{meant}\"? {}",
            "Run \"portcullis measures\" for the list"
        ),
        None => list.to_owned(),
    };
    report
        .add(
            Code::UnknownMeasure,
            at,
            format!("\"{name}\" is not a measure"),
        )
        .help(help);
}
