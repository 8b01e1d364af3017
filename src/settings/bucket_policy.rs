//! A bucket policy that keeps every byte of the statements that are not ours.
//!
//! S3 rewrites what it stores (a one-element list comes back as a scalar, `false` as `"false"`), so documents compare by
//! meaning; but a statement that is written back keeps the text that S3 returned, for nobody should find their policy
//! reformatted after an incident.

use std::collections::BTreeMap;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use wildmatch::WildMatch;

/// S3's limit on a bucket policy, in bytes, measured after it has removed white space.
pub const MAX_POLICY_BYTES: usize = 20_480;

/// A bucket policy document.
#[derive(Debug, Clone)]
pub struct PolicyDocument {
    text: String,
    members: Vec<(String, String)>,
    statements: Vec<Statement>,
}

/// One statement: its exact text, and its value for reading.
#[derive(Debug, Clone)]
pub struct Statement {
    text: String,
    value: Value,
}

/// Why a text is no bucket policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not JSON, or not a JSON object.
    #[error("the bucket policy is not a JSON object: {0}")]
    NotJson(#[from] serde_json::Error),
    /// `Statement` holds something that is no statement.
    #[error("statement {0} of the bucket policy is not an object")]
    NotAStatement(usize),
}

impl PolicyDocument {
    /// Reads a policy as S3 returns it; `Statement` may be a list or a single object.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let Members(raw) = serde_json::from_str(text)?;
        let mut members = Vec::new();
        let mut statements = Vec::new();
        for (name, value) in raw {
            if name == "Statement" {
                statements = parse_statements(value.get())?;
            }
            members.push((name, value.get().to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            members,
            statements,
        })
    }

    /// A new policy that holds `statements` and nothing else.
    pub fn new(statements: Vec<Statement>) -> Self {
        Self {
            text: String::new(),
            members: vec![("Version".to_owned(), "\"2012-10-17\"".to_owned())],
            statements,
        }
        .recompose()
    }

    /// The same document with other statements; version, id and order of members stay.
    pub fn with_statements(&self, statements: Vec<Statement>) -> Self {
        Self {
            text: String::new(),
            members: self.members.clone(),
            statements,
        }
        .recompose()
    }

    /// The document as it was read, or as it is to be written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its statements, in their order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Its size as S3 measures it, in bytes.
    pub fn size(&self) -> usize {
        serde_json::from_str::<Value>(&self.text)
            .map_or(self.text.len(), |value| value.to_string().len())
    }

    /// Whether everybody can use some Allow of it, by S3's definition of a public policy.
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(Statement::is_public)
    }

    fn recompose(mut self) -> Self {
        let statements: Vec<&str> = self.statements.iter().map(Statement::text).collect();
        let list = format!("[{}]", statements.join(","));
        match self
            .members
            .iter_mut()
            .find(|(name, _)| name == "Statement")
        {
            Some((_, text)) => *text = list,
            None => self.members.push(("Statement".to_owned(), list)),
        }
        let members: Vec<String> = self
            .members
            .iter()
            .map(|(name, text)| format!("{}:{text}", Value::from(name.as_str())))
            .collect();
        self.text = format!("{{{}}}", members.join(","));
        self
    }
}

impl PartialEq for PolicyDocument {
    fn eq(&self, other: &Self) -> bool {
        fn canonical(document: &PolicyDocument) -> (BTreeMap<&String, Option<Value>>, Vec<String>) {
            let mut statements: Vec<String> = document
                .statements
                .iter()
                .map(Statement::canonical)
                .collect();
            statements.sort();
            let others = document
                .members
                .iter()
                .filter(|(name, _)| name != "Statement");
            // By value: S3 is free to escape a character of an Id in another way.
            let members = others
                .map(|(name, text)| (name, serde_json::from_str(text).ok()))
                .collect();
            (members, statements)
        }
        canonical(self) == canonical(other)
    }
}

impl Serialize for PolicyDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for PolicyDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl Statement {
    /// A statement of our own.
    pub fn new(value: Value) -> Self {
        Self {
            text: value.to_string(),
            value,
        }
    }

    /// Its exact text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Its Sid, or none.
    pub fn sid(&self) -> Option<&str> {
        self.value.get("Sid").and_then(Value::as_str)
    }

    /// `Allow` or `Deny`; empty where it is missing.
    pub fn effect(&self) -> &str {
        self.value
            .get("Effect")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Values of an element that may be a scalar or a list.
    pub fn list(&self, element: &str) -> Vec<&str> {
        self.value.get(element).map(strings).unwrap_or_default()
    }

    /// The AWS services named in `Principal.Service`.
    pub fn services(&self) -> Vec<&str> {
        let principal = self.value.get("Principal");
        let services = principal.and_then(|principal| principal.get("Service"));
        services.map(strings).unwrap_or_default()
    }

    /// Whether its actions include `action`; the case of actions has no meaning.
    pub fn may_do(&self, action: &str) -> bool {
        let named = |element: &str| {
            let patterns = self.list(element);
            patterns
                .iter()
                .any(|pattern| WildMatch::new_case_insensitive(pattern).matches(action))
        };
        match self.value.get("NotAction") {
            Some(_) => !named("NotAction"),
            None => named("Action"),
        }
    }

    /// Its actions in a few words: `s3:GetObject, s3:ListBucket and 2 more`.
    pub fn actions_in_short(&self) -> String {
        const NAMED: usize = 3;
        let (element, all_but) = match self.value.get("NotAction") {
            Some(_) => ("NotAction", "all but "),
            None => ("Action", ""),
        };
        let actions = self.list(element);
        let named = actions.iter().take(NAMED).copied().collect::<Vec<_>>();
        let more = match actions.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{all_but}{}{more}", named.join(", "))
    }

    /// The principals named in `Principal.AWS`.
    pub fn aws_principals(&self) -> Vec<&str> {
        self.principals_in("Principal")
    }

    fn principals_in(&self, element: &str) -> Vec<&str> {
        match self.value.get(element) {
            Some(Value::String(all)) => vec![all],
            Some(Value::Object(map)) => map.get("AWS").map(strings).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Whether it may admit somebody outside `account`. AWS services are not meant: Block Public Access spares them.
    pub fn admits_outside(&self, account: &str) -> bool {
        // The id of somebody who was deleted admits nobody.
        let inside = |principal: &&str| {
            *principal == account
                || principal.split(':').nth(4) == Some(account)
                || is_unique_id(principal)
        };
        let others = match self.value.get("Principal") {
            Some(Value::Object(map)) => map.keys().any(|kind| kind != "AWS" && kind != "Service"),
            _ => false,
        };
        let named = || self.aws_principals().iter().all(inside);
        self.effect() == "Allow" && (others || self.value.get("NotPrincipal").is_some() || !named())
    }

    /// The principal of a deleted user or role that it names, if any: S3 refuses a document that holds one.
    pub fn deleted_principal(&self) -> Option<&str> {
        let mut named = ["Principal", "NotPrincipal"]
            .into_iter()
            .flat_map(|element| self.principals_in(element));
        named.find(|principal| is_unique_id(principal))
    }

    /// The statement's meaning as text: equal for statements that differ only in ways that S3 makes no difference of.
    pub fn canonical(&self) -> String {
        let Some(statement) = self.value.as_object() else {
            return self.value.to_string();
        };
        let mut sorted: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, value) in statement {
            // S3 makes no difference between an empty Sid and none.
            if name == "Sid" && value == "" {
                continue;
            }
            let value = match name.as_str() {
                "Condition" => canonical_condition(value),
                "Principal" | "NotPrincipal" => canonical_principal(value),
                "Sid" | "Effect" => value.clone(),
                _ => canonical_list(value),
            };
            sorted.insert(name, value);
        }
        Value::from_iter(sorted.into_iter().map(|(k, v)| (k.to_owned(), v))).to_string()
    }
}

/// IAM's id of a user or role, which a policy shows in place of an ARN once the user or role is deleted.
fn is_unique_id(principal: &str) -> bool {
    principal.len() >= 16
        && principal.starts_with('A')
        && principal
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

impl PartialEq for Statement {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

/// Strings of a scalar or a list; numbers and booleans have no place in these elements and are skipped.
pub(super) fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn parse_statements(text: &str) -> Result<Vec<Statement>, PolicyError> {
    let raw: Vec<Box<RawValue>> = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(text)?,
        false => vec![serde_json::from_str(text)?],
    };
    let parsed = raw.iter().enumerate().map(|(index, raw)| {
        let value: Value = serde_json::from_str(raw.get())?;
        match value.is_object() {
            true => Ok(Statement {
                text: raw.get().to_owned(),
                value,
            }),
            false => Err(PolicyError::NotAStatement(index + 1)),
        }
    });
    parsed.collect()
}

fn canonical_list(value: &Value) -> Value {
    let mut items: Vec<String> = match value {
        Value::Array(items) => items.iter().map(scalar).collect(),
        other => vec![scalar(other)],
    };
    items.sort();
    items.dedup();
    json!(items)
}

/// `"*"` and `{"AWS": "*"}` are the same principal, and so are an account's id and its root ARN.
fn canonical_principal(value: &Value) -> Value {
    let Value::Object(map) = value else {
        return json!({ "AWS": canonical_list(value) });
    };
    let mut kinds: BTreeMap<&str, Value> = BTreeMap::new();
    for (kind, principals) in map {
        let names: Vec<String> = strings(principals)
            .into_iter()
            .map(account_id_of_root)
            .collect();
        kinds.insert(kind, canonical_list(&json!(names)));
    }
    json!(kinds)
}

fn account_id_of_root(principal: &str) -> String {
    match principal.split(':').collect::<Vec<_>>()[..] {
        ["arn", _, "iam", "", account, "root"] => account.to_owned(),
        _ => principal.to_owned(),
    }
}

/// Keys of conditions are case-insensitive; their values are not.
fn canonical_condition(value: &Value) -> Value {
    let Some(operators) = value.as_object() else {
        return value.clone();
    };
    let mut sorted: BTreeMap<&str, BTreeMap<String, Value>> = BTreeMap::new();
    for (operator, keys) in operators {
        let entry = sorted.entry(operator).or_default();
        for (key, values) in keys.as_object().unwrap_or(&Map::new()) {
            entry.insert(key.to_ascii_lowercase(), canonical_list(values));
        }
    }
    json!(sorted)
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The members of a JSON object in their order, with their exact text.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a bucket policy object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
