//! The JSON Schema of the test file.

use std::borrow::Cow;

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Map, Value as Json, json};

use super::Aspect;
use super::facts::{ENRICHMENT, document};
use super::file::FILE;
use crate::classification::{AccessPath, ActorKind, Authorization, Exposure, Sensitivity};
use crate::guard::Guard;
use crate::policy::{FollowUp, MeasureName, Mode};
use crate::settings::SettingKind;
use crate::verdict::Effect;
use crate::yaml;

/// The JSON Schema of the test file.
pub fn schema() -> Json {
    yaml::schema::<File>("Portcullis policy tests", FILE)
}

/// Tests of a policy: findings, and what shall come of them.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "the type exists for its schema")]
struct File {
    /// The tests.
    #[schemars(length(min = 1))]
    tests: Vec<Test>,
}

/// A finding, what is known of its target, and what shall come of it.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "the type exists for its schema")]
struct Test {
    /// What the policy shall do, in a few words; no other test of the file has the name.
    #[schemars(length(min = 1))]
    name: String,
    /// The path of an event as `explain` takes it or of a record, seen from the folder of the test file, or the finding itself.
    finding: PathOrMapping,
    /// The bucket that the test is about, or the account's id. A finding with several targets needs it, a record does not.
    target: Option<String>,
    /// What is known of the target: the path of a record or of what it holds under `before`, or these themselves. Without it
    /// nothing but the finding is known.
    facts: Option<FactsAsWritten>,
    /// The time at which the policy decides, or a date for its beginning in UTC; the present if left out.
    now: Option<String>,
    /// What shall come of it. What is not named is not compared.
    expect: ExpectAsWritten,
}

/// A path, or what would be in the file.
struct PathOrMapping;

impl JsonSchema for PathOrMapping {
    fn schema_name() -> Cow<'static, str> {
        "FindingAsWritten".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "object" }] })
    }
}

/// A path, settings, or settings and what other services say.
struct FactsAsWritten;

impl JsonSchema for FactsAsWritten {
    fn schema_name() -> Cow<'static, str> {
        "FactsAsWritten".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let settings = generator.subschema_for::<SettingsAsWritten>().to_value();
        let answers: Map<String, Json> = ENRICHMENT
            .iter()
            .map(|key| ((*key).to_owned(), json!({ "type": "object" })))
            .collect();
        json_schema!({ "anyOf": [
            { "type": "string", "minLength": 1 },
            settings,
            {
                "type": "object",
                "properties": {
                    "before": settings,
                    "enrichment": { "type": "object", "properties": answers, "additionalProperties": false },
                },
                "additionalProperties": false,
            },
        ] })
    }
}

/// Settings as a record holds them under `before`.
struct SettingsAsWritten;

impl JsonSchema for SettingsAsWritten {
    fn schema_name() -> Cow<'static, str> {
        "SettingsAsWritten".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds = SettingKind::WORDS
            .iter()
            .filter_map(|word| SettingKind::from_word(word));
        let settings: Map<String, Json> = kinds
            .map(|kind| {
                let held = document(kind);
                let present = json!({
                    "type": "object",
                    "properties": { held: {} },
                    "required": [held],
                    "additionalProperties": false,
                });
                let forms = json!({ "description": format!("The {}.", kind.title()), "anyOf": [
                    { "description": "S3 says that it is not configured.", "const": "absent" },
                    keyed("present", &present),
                    keyed("unreadable", &json!({ "type": "object" })),
                ] });
                (kind.word().to_owned(), forms)
            })
            .collect();
        json_schema!({ "type": "object", "properties": settings, "additionalProperties": false })
    }
}

/// A mapping of one key.
fn keyed(key: &str, value: &Json) -> Json {
    json!({ "type": "object", "properties": { key: value }, "required": [key], "additionalProperties": false })
}

/// What shall come of a test.
struct ExpectAsWritten;

impl JsonSchema for ExpectAsWritten {
    fn schema_name() -> Cow<'static, str> {
        "Expect".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let words = Aspect::json_schema(generator).to_value();
        let words = words.get("oneOf").and_then(Json::as_array);
        let properties: Map<String, Json> = words
            .into_iter()
            .flatten()
            .filter_map(|word| {
                let aspect = Aspect::from_word(word.get("const")?.as_str()?)?;
                // Beside a reference a description would not be seen.
                let form = json!({ "description": word.get("description")?, "allOf": [form(aspect, generator)] });
                Some((aspect.word().to_owned(), form))
            })
            .collect();
        json_schema!({
            "type": "object",
            "minProperties": 1,
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

fn form(aspect: Aspect, generator: &mut SchemaGenerator) -> Json {
    let id = json!({ "type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$" });
    let measure = generator.subschema_for::<MeasureName>().to_value();
    match aspect {
        Aspect::Rule => id,
        Aspect::Mode => generator.subschema_for::<Mode>().to_value(),
        Aspect::Effect => generator.subschema_for::<Effect>().to_value(),
        Aspect::Asked | Aspect::Measures => some(&measure),
        Aspect::Withheld => json!({
            "type": "object",
            "propertyNames": measure,
            "additionalProperties": generator.subschema_for::<Guard>().to_value(),
        }),
        Aspect::Exceptions => some(&id),
        Aspect::FollowUp => some(&generator.subschema_for::<FollowUp>().to_value()),
        Aspect::Actor => some(&generator.subschema_for::<ActorKind>().to_value()),
        Aspect::Authorization => generator.subschema_for::<Authorization>().to_value(),
        Aspect::AccessPath => generator.subschema_for::<AccessPath>().to_value(),
        Aspect::Exposure => generator.subschema_for::<Exposure>().to_value(),
        Aspect::Sensitivity => generator.subschema_for::<Sensitivity>().to_value(),
    }
}

/// One value, or a list of them, which may be empty.
fn some(item: &Json) -> Json {
    json!({ "anyOf": [item, { "type": "array", "items": item }] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_test::facts::FACTS;
    use crate::policy_test::file::TEST;
    use crate::yaml::same_keys;

    #[test]
    fn schema_and_reader_accept_the_same_keys() {
        let schema = schema();
        let whole = "/definitions/FactsAsWritten/anyOf/2";
        same_keys(&schema, "", FILE);
        same_keys(&schema, "/definitions/Test", TEST);
        same_keys(&schema, "/definitions/Expect", Aspect::WORDS);
        same_keys(&schema, whole, FACTS);
        same_keys(
            &schema,
            &format!("{whole}/properties/enrichment"),
            ENRICHMENT,
        );
        same_keys(
            &schema,
            "/definitions/SettingsAsWritten",
            SettingKind::WORDS,
        );
    }
}
