//! The JSON Schema of the policy file, made from the types that the file is read into.

use std::borrow::Cow;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Value as Json, json};

use super::Policy;
use super::file::POLICY;
use super::file::measures::CATALOGUE;
use crate::measures::Measure;

/// The JSON Schema of the policy file. It is draft-07, which is what editors understand best.
pub fn schema() -> Json {
    let mut schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<Policy>()
        .to_value();
    forbid_null(&mut schema);
    schema["title"] = "Portcullis policy".into();
    let version = json!({ "description": "The version of this format.", "const": 1 });
    // The version is of the file and not of the policy, so that the type does not have it.
    if let Some(properties) = schema.get_mut("properties").and_then(Json::as_object_mut) {
        properties.insert("version".to_owned(), version);
        for key in POLICY {
            // Editors offer the keys in the order of the schema.
            if let Some(value) = properties.shift_remove(*key) {
                properties.insert((*key).to_owned(), value);
            }
        }
    }
    if let Some(required) = schema.get_mut("required").and_then(Json::as_array_mut) {
        required.insert(0, "version".into());
    }
    schema
}

/// One value, or a list of alternatives.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "the type exists for its schema")]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(#[schemars(length(min = 1))] Vec<T>),
}

/// A measure as rules ask for it: its name, or its name with parameters.
pub(super) struct MeasureAsWritten;

impl JsonSchema for MeasureAsWritten {
    fn schema_name() -> Cow<'static, str> {
        "MeasureAsWritten".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let bare = CATALOGUE.entries.iter().filter(|entry| entry.bare());
        let mut forms: Vec<Json> = bare
            .map(|entry| json!({ "description": entry.description, "const": entry.name }))
            .collect();
        forms.push(generator.subschema_for::<Measure>().to_value());
        json_schema!({ "description": "A measure: its name, or its name with parameters.", "anyOf": forms })
    }
}

/// What an exception withholds: `all`, or the names of measures.
pub(super) struct WithholdAsWritten;

impl JsonSchema for WithholdAsWritten {
    fn schema_name() -> Cow<'static, str> {
        "WithholdAsWritten".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = generator
            .subschema_for::<OneOrMany<MeasureName>>()
            .to_value();
        json_schema!({ "anyOf": [{ "description": "Every measure.", "const": "all" }, names] })
    }
}

/// The name of a measure.
struct MeasureName;

impl JsonSchema for MeasureName {
    fn schema_name() -> Cow<'static, str> {
        "MeasureName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = CATALOGUE
            .entries
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        json_schema!({ "description": "The name of a measure.", "enum": names })
    }
}

/// Takes `null` out of a schema. Keys that may be left out are optional in the types, and nothing in the file may be null.
fn forbid_null(schema: &mut Json) {
    match schema {
        Json::Object(object) => {
            if let Some(Json::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Json::Array(words)) = object.get_mut("enum") {
                words.retain(|word| !word.is_null());
            }
            if let Some(Json::Array(forms)) = object.get_mut("anyOf") {
                forms.retain(|form| form.get("type").and_then(Json::as_str) != Some("null"));
            }
            object.values_mut().for_each(forbid_null);
        }
        Json::Array(items) => items.iter_mut().for_each(forbid_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::file::{EXCEPTION, LIMITS, RULE, TRUSTED, conditions};

    #[test]
    fn schema_and_validator_accept_the_same_keys() {
        let schema = schema();
        check(&schema, "", POLICY);
        check(&schema, "/definitions/Trusted", TRUSTED);
        check(&schema, "/definitions/Limits", LIMITS);
        check(&schema, "/definitions/Exception", EXCEPTION);
        check(&schema, "/definitions/Rule", RULE);
        check(&schema, "/definitions/Conditions", conditions::KEYS);
    }

    #[track_caller]
    fn check(schema: &Json, pointer: &str, keys: &[&str]) {
        let properties = schema
            .pointer(&format!("{pointer}/properties"))
            .and_then(Json::as_object);
        let mut accepted: Vec<&str> = properties
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect();
        let mut known = keys.to_vec();
        accepted.sort_unstable();
        known.sort_unstable();
        assert_eq!(accepted, known, "at {pointer:?}");
        let open = schema.pointer(&format!("{pointer}/additionalProperties"));
        assert_eq!(open, Some(&Json::Bool(false)), "at {pointer:?}");
    }
}
