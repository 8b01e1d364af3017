//! The names of keys, whatever their casing, for values that are there and for values that are still text.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, CowStrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

/// Gives every key of `value` the name it has on the wire.
///
/// EventBridge and GetFindings write `accountId`; the CLI, the SDKs and CloudFormation write `AccountId`. In the service's
/// model the wire name is the member's with its first letter lowered (`S3BucketDetails`, `ETag`, `IpAddressV4`), but for a
/// few members, none of which is read here: `Account.Name` is `account`, `Latitude` is `lat`, `Code` is `productCodeId`.
/// Keys that are data, such as `AWS::S3::Bucket`, hold more than letters and digits and stay as they are, and so does what
/// was requested in an event of CloudTrail, for its keys are the other service's. Where both forms of a key occur, the wire
/// form wins.
pub(super) fn wire_names(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut named = Map::with_capacity(map.len());
            for (key, value) in map {
                let value = match key.as_str() {
                    "requestParameters" => value,
                    _ => wire_names(value),
                };
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

/// A deserializer, and all that it hands on, whose keys have their wire names: [`wire_names`] without the value between.
///
/// It cannot tell which of two forms of a key wins. Whatever is derived for the keys refuses the second one, which is not
/// where a finding comes to its end: its reader then takes the way over the value.
pub(super) struct Named<T>(pub(super) T);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Named<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(Named(visitor))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_ignored_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Named<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.expecting(f)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<V::Value, E> {
        self.0.visit_bool(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<V::Value, E> {
        self.0.visit_i64(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<V::Value, E> {
        self.0.visit_u64(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        self.0.visit_f64(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<V::Value, E> {
        self.0.visit_str(value)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<V::Value, E> {
        self.0.visit_borrowed_str(value)
    }

    fn visit_string<E: Error>(self, value: String) -> Result<V::Value, E> {
        self.0.visit_string(value)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Named(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Named(items))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Named<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let Some(key) = self.0.next_key_seed(Key)? else {
            return Ok(None);
        };
        let key = match wire_name(&key) {
            Some(name) => Cow::Owned(name),
            None => key,
        };
        with_key(key, seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Named(seed))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Named<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Named(seed))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Named<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Named(from))
    }
}

/// A key as text, borrowed where the input can lend it.
pub(super) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }

    fn visit_string<E: Error>(self, key: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key))
    }
}

/// Hands a key that was read on to whoever asked for it.
pub(super) fn with_key<'de, S: DeserializeSeed<'de>, E: Error>(
    key: Cow<'de, str>,
    seed: S,
) -> Result<S::Value, E> {
    match key {
        Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key)),
        Cow::Owned(key) => {
            let key: CowStrDeserializer<'_, E> = Cow::<str>::Owned(key).into_deserializer();
            seed.deserialize(key)
        }
    }
}

/// Reads an object or a list to its end and forgets it.
pub(super) fn skip_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// The same for a list.
pub(super) fn skip_seq<'de, A: SeqAccess<'de>>(mut items: A) -> Result<(), A::Error> {
    while items.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}
