//! JSON Schemas of files, made from the types that they are read into.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value as Json, json};

/// The JSON Schema of a file that is read into `T`, its keys in the order of `keys`. It is draft-07, which is what editors
/// understand best.
pub(crate) fn schema<T: JsonSchema>(title: &str, keys: &[&str]) -> Json {
    let mut schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    forbid_null(&mut schema);
    schema["title"] = title.into();
    let version = json!({ "description": "The version of this format.", "const": 1 });
    // The version is of the file and not of what it says, so that the type does not have it.
    if let Some(properties) = schema.get_mut("properties").and_then(Json::as_object_mut) {
        properties.insert("version".to_owned(), version);
        for key in keys {
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
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(#[schemars(length(min = 1))] Vec<T>),
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

/// Asserts that a schema has these keys at a place, and refuses others.
#[cfg(test)]
#[track_caller]
pub(crate) fn same_keys(schema: &Json, pointer: &str, keys: &[&str]) {
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
