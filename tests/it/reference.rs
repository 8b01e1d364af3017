//! The reference of the policy file, made from its JSON Schema. `BLESS=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use portcullis::policy;
use serde_json::{Map, Value};

#[test]
fn the_reference_of_the_policy_file_is_its_schema() {
    let page = page(&policy::schema());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy-reference.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, page,
        "look at docs/policy-reference.md, then run with BLESS=1"
    );
}

#[test]
fn every_key_and_word_of_the_schema_is_in_the_reference() {
    let schema = policy::schema();
    let page = page(&schema);
    let mut names = Vec::new();
    collect(&schema, &mut names);
    assert!(names.len() > 100);
    for name in names {
        assert!(
            page.contains(&format!("`{name}`")),
            "{name} is not in the reference"
        );
    }
}

const HEAD: &str = "\
# Reference of the policy file

Every key, written by a test from the [JSON Schema](policy.schema.json), which an editor shows as you type.
[The policy file](policy.md) explains how they work together. A key that is not here is an error.

";

/// The parts, each with the name of its definition.
const PARTS: [(&str, &str); 5] = [
    ("`trusted`", "Trusted"),
    ("`limits`", "Limits"),
    ("An entry of `exceptions`", "Exception"),
    ("An entry of `rules`", "Rule"),
    ("`when`, `unless` and `match`", "Conditions"),
];

fn page(schema: &Value) -> String {
    let mut text = HEAD.to_owned() + "## The file\n\n" + &table(schema, schema);
    for (title, name) in PARTS {
        let definition = &schema["definitions"][name];
        let about = definition["description"].as_str().unwrap_or_default();
        write!(
            text,
            "\n## {title}\n\n{about}\n\n{}",
            table(schema, definition)
        )
        .unwrap();
    }
    text += "\n## Measures\n\nA measure is its name, or its name with parameters: `{ deny-actor: { scope: session } }`.\n\n";
    text += "| measure | parameters | what it does |\n|---|---|---|\n";
    for form in schema["definitions"]["Measure"]["oneOf"]
        .as_array()
        .unwrap()
    {
        let (name, parameters) = properties(form).iter().next().unwrap();
        let required = parameters["required"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let said = parameters
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let said: Vec<String> = said
            .map(|(key, value)| {
                let need = if required.contains(&Value::from(key.as_str())) {
                    ", required"
                } else {
                    ""
                };
                let default =
                    default(value).map_or(String::new(), |default| format!(", default {default}"));
                format!(
                    "`{key}` ({}{need}{default}): {}",
                    kind(schema, value),
                    about(value)
                )
            })
            .collect();
        writeln!(
            text,
            "| `{name}` | {} | {} |",
            cell(&said.join("<br>")),
            cell(&about(form))
        )
        .unwrap();
    }
    text += "\n## Words\n";
    for (name, definition) in schema["definitions"].as_object().unwrap() {
        let words = words(definition);
        if words.is_empty()
            || ["MeasureAsWritten", "WithholdAsWritten", "Measure"].contains(&name.as_str())
        {
            continue;
        }
        let about = about(definition);
        write!(text, "\n### {name}\n\n{about}\n\n").unwrap();
        for (word, about) in words {
            let about = if about.is_empty() {
                String::new()
            } else {
                format!(": {about}")
            };
            writeln!(text, "- `{word}`{about}").unwrap();
        }
    }
    text
}

fn table(schema: &Value, definition: &Value) -> String {
    let required = definition["required"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut text = "| key | value | |\n|---|---|---|\n".to_owned();
    for (key, value) in properties(definition) {
        let mut about = about(value);
        if required.contains(&Value::from(key.as_str())) {
            about = format!("**Required.** {about}");
        }
        if let Some(default) = default(value) {
            about += &format!(" Default: {default}.");
        }
        writeln!(
            text,
            "| `{key}` | {} | {} |",
            cell(&kind(schema, value)),
            cell(&about)
        )
        .unwrap();
    }
    text
}

fn properties(definition: &Value) -> &Map<String, Value> {
    definition["properties"].as_object().unwrap()
}

fn about(value: &Value) -> String {
    value["description"].as_str().unwrap_or_default().to_owned()
}

fn default(value: &Value) -> Option<String> {
    match value.get("default")? {
        Value::Array(items) if items.is_empty() => None,
        Value::Object(_) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) => {
            let words: Vec<String> = items
                .iter()
                .map(|item| format!("`{}`", plain(item)))
                .collect();
            Some(words.join(", "))
        }
        other => Some(format!("`{}`", plain(other))),
    }
}

/// What a value is, in a few words; words are listed where they are explained.
fn kind(schema: &Value, value: &Value) -> String {
    if let Some(reference) = value["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        let definition = &schema["definitions"][name];
        return match name {
            "MeasureAsWritten" => "[measure](#measures)".to_owned(),
            "Conditions" => "[conditions](#when-unless-and-match)".to_owned(),
            "Trusted" => "[keys](#trusted)".to_owned(),
            "Limits" => "[keys](#limits)".to_owned(),
            "Exception" => "[exceptions](#an-entry-of-exceptions)".to_owned(),
            "Rule" => "[rules](#an-entry-of-rules)".to_owned(),
            _ if !words(definition).is_empty() => format!("[{name}](#{})", name.to_lowercase()),
            _ => kind(schema, definition),
        };
    }
    if let Some(word) = value.get("const") {
        return format!("`{}`", plain(word));
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        if let Some(forms) = value[key].as_array() {
            let kinds: Vec<String> = forms.iter().map(|form| kind(schema, form)).collect();
            return kinds.join(" or ");
        }
    }
    let bounds: Vec<String> = [("minimum", "from"), ("maximum", "to")]
        .iter()
        .filter_map(|(key, word)| Some(format!(" {word} {}", plain(value.get(key)?))))
        .collect();
    match value["type"].as_str() {
        Some("array") => format!("list of {}", kind(schema, &value["items"])),
        Some("object") => "names and values".to_owned(),
        Some("string") => match value["format"].as_str() {
            Some("date") => "date, as `2027-03-31`".to_owned(),
            _ => "text".to_owned(),
        },
        Some("boolean") => "`true` or `false`".to_owned(),
        Some(other) => format!("{other}{}", bounds.concat()),
        None => "any".to_owned(),
    }
}

/// The words of a definition, each with what it means.
fn words(definition: &Value) -> Vec<(String, String)> {
    if let Some(words) = definition["enum"].as_array() {
        return words
            .iter()
            .map(|word| (plain(word), String::new()))
            .collect();
    }
    let forms = definition["oneOf"].as_array().into_iter().flatten();
    forms
        .filter_map(|form| Some((plain(form.get("const")?), about(form))))
        .collect()
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Text that does not end a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The keys and words of a schema, wherever they are.
fn collect(schema: &Value, names: &mut Vec<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(properties) = object.get("properties").and_then(Value::as_object) {
                names.extend(properties.keys().cloned());
            }
            names.extend(object.get("const").map(plain));
            object.values().for_each(|value| collect(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}
