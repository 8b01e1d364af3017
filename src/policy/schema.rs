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
    use crate::yaml::same_keys;

    #[test]
    fn schema_and_validator_accept_the_same_keys() {
        let schema = schema();
        same_keys(&schema, "", POLICY);
        same_keys(&schema, "/definitions/Trusted", TRUSTED);
        same_keys(&schema, "/definitions/Limits", LIMITS);
        same_keys(&schema, "/definitions/Exception", EXCEPTION);
        same_keys(&schema, "/definitions/Rule", RULE);
        same_keys(&schema, "/definitions/Conditions", conditions::KEYS);
    }
}
