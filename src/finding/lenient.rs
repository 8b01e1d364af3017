//! Tolerance, in one place: the casing of keys, and values of another type than the documented one.
//!
//! Every function that serde calls from here is total. A value that cannot be understood is an absent one, so that an
//! optional field never costs the finding.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Gives every key of `value` the name it has on the wire.
///
/// EventBridge and GetFindings write `accountId`; the CLI, the SDKs and CloudFormation write `AccountId`. In the service's
/// model the wire name is the member's with its first letter lowered (`S3BucketDetails`, `ETag`, `IpAddressV4`), but for a
/// few members, none of which is read here: `Account.Name` is `account`, `Latitude` is `lat`, `Code` is `productCodeId`.
/// Keys that are data, such as `AWS::S3::Bucket`, hold more than letters and digits and stay as they are. Where both forms
/// of a key occur, the wire form wins.
pub(super) fn wire_names(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut named = Map::with_capacity(map.len());
            for (key, value) in map {
                let value = wire_names(value);
                match wire_name(&key) {
                    Some(name) => {
                        named.entry(name).or_insert(value);
                    }
                    None => {
                        named.insert(key, value);
                    }
                }
            }
            Value::Object(named)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(wire_names).collect()),
        other => other,
    }
}

fn wire_name(key: &str) -> Option<String> {
    let mut letters = key.chars();
    let first = letters.next().filter(char::is_ascii_uppercase)?;
    let rest = letters.as_str();
    rest.chars()
        .all(|c| c.is_ascii_alphanumeric())
        .then(|| format!("{}{rest}", first.to_ascii_lowercase()))
}

/// A string or a number, as text; blank text is absent.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(as_text(Value::deserialize(from)?))
}

/// A list of strings or numbers, or one of them alone.
pub(super) fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Array(items) => items.into_iter().filter_map(as_text).collect(),
        other => as_text(other).into_iter().collect(),
    })
}

/// `true`, `"true"` or `1`, and their opposites.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    let value = Value::deserialize(from)?;
    if let Value::Bool(flag) = value {
        return Ok(Some(flag));
    }
    Ok(as_text(value).and_then(|text| {
        let text = text.trim();
        if text.eq_ignore_ascii_case("true") || text == "1" {
            Some(true)
        } else if text.eq_ignore_ascii_case("false") || text == "0" {
            Some(false)
        } else {
            None
        }
    }))
}

/// A number, or a string that holds one.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Ok(as_number(&Value::deserialize(from)?))
}

/// A moment: ISO 8601 with or without fraction and zone (UTC is meant), or an epoch in seconds or milliseconds.
pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let value = Value::deserialize(from)?;
    if let Some(number) = as_number(&value) {
        return Ok(epoch(number));
    }
    Ok(value.as_str().and_then(|text| {
        let text = text.trim();
        text.parse().ok().or_else(|| {
            let civil: DateTime = text.parse().ok()?;
            TimeZone::UTC.to_timestamp(civil).ok()
        })
    }))
}

/// An object, or a list of one; anything else is the default.
pub(super) fn object<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(as_object(Value::deserialize(from)?))
}

/// A list of objects, or one alone. An item that is no object keeps its place, as the default, so that a message can give
/// the index that the sender sees.
pub(super) fn list<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(match Value::deserialize(from)? {
        Value::Array(items) => items.into_iter().map(as_object).collect(),
        Value::Object(map) if !map.is_empty() => vec![as_object(Value::Object(map))],
        _ => Vec::new(),
    })
}

/// An object, or the JSON text of one, as in `additionalInfo.value`.
pub(super) fn embedded<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = match Value::deserialize(from)? {
        Value::String(text) => serde_json::from_str(&text).map_or(Value::Null, wire_names),
        other => other,
    };
    Ok(as_object(value))
}

/// Tags: `[{"key": "a", "value": "b"}]`.
pub(super) fn tags<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Tag {
        #[serde(deserialize_with = "text")]
        key: Option<String>,
        #[serde(deserialize_with = "text")]
        value: Option<String>,
    }
    let tags: Vec<Tag> = list(from)?;
    Ok(tags
        .into_iter()
        .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
        .collect())
}

fn as_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.trim().is_empty()).then_some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number: &f64| number.is_finite())
}

/// A derived `Deserialize` also takes a list for a struct, by position; only an object may become one here.
pub(super) fn as_object<T: DeserializeOwned + Default>(value: Value) -> T {
    let value = match value {
        Value::Array(items) if items.len() == 1 => items.into_iter().next().unwrap_or(Value::Null),
        other => other,
    };
    if value.is_object() {
        serde_json::from_value(value).unwrap_or_default()
    } else {
        T::default()
    }
}

/// Seconds reach 100 billion in the year 5138, milliseconds reached it in 1973, so the size tells the two apart.
fn epoch(number: f64) -> Option<Timestamp> {
    let milliseconds = if number.abs() < 1e11 {
        number * 1000.0
    } else {
        number
    };
    Timestamp::from_millisecond(milliseconds.round() as i64).ok()
}
