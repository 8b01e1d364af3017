//! The JSON Schema of the policy file, made from the types that the file is read into.

use std::borrow::Cow;

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Value as Json, json};

use super::Policy;
use super::file::POLICY;
use super::file::measures::CATALOGUE;
use crate::measures::Measure;
use crate::yaml::{self, OneOrMany};

/// The JSON Schema of the policy file. It is draft-07, which is what editors understand best.
pub fn schema() -> Json {
    yaml::schema::<Policy>("Portcullis policy", POLICY)
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
pub(crate) struct MeasureName;

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
