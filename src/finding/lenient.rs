//! Tolerance, in one place: values of another type than the documented one.
//!
//! Every function that serde calls from here is total. A value that cannot be understood is an absent one, so that an
//! optional field never costs the finding.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use super::names::{Key, Named, skip_map, skip_seq, wire_names, with_key};

/// A string or a number, as text; blank text is absent.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Loose::deserialize(from)?.into_text())
}

/// A list of strings or numbers, or one of them alone.
pub(super) fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    from.deserialize_any(Texts)
}

/// `true`, `"true"` or `1`, and their opposites.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    let value = Loose::deserialize(from)?;
    if let Loose::Flag(flag) = value {
        return Ok(Some(flag));
    }
    Ok(value.into_text().and_then(|text| {
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
    Ok(Loose::deserialize(from)?.number())
}

/// A moment: ISO 8601 with or without fraction and zone (UTC is meant), or an epoch in seconds or milliseconds.
pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let value = Loose::deserialize(from)?;
    if let Some(number) = value.number() {
        return Ok(epoch(number));
    }
    let Loose::Text(text) = value else {
        return Ok(None);
    };
    let text = text.trim();
    Ok(text.parse().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    }))
}

/// An object, or a list of one; anything else is the default.
pub(super) fn object<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    One(PhantomData).deserialize(from)
}

/// A list of objects, or one alone. An item that is no object keeps its place, as the default, so that a message can give
/// the index that the sender sees.
pub(super) fn list<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    from.deserialize_any(Listed(PhantomData))
}

/// An object, or the JSON text of one, as in `additionalInfo.value`.
pub(super) fn embedded<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: for<'t> Deserialize<'t> + Default,
{
    from.deserialize_any(Embedded(PhantomData))
}

/// Tags: `[{"key": "a", "value": "b"}]`.
pub(super) fn tags<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Default, Deserialize)]
    struct Tag {
        #[serde(default, deserialize_with = "text")]
        key: Option<String>,
        #[serde(default, deserialize_with = "text")]
        value: Option<String>,
    }
    let tags: Vec<Tag> = list(from)?;
    Ok(tags
        .into_iter()
        .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
        .collect())
}

/// A value as an object; anything else is the default.
pub(super) fn as_object<T: for<'de> Deserialize<'de> + Default>(value: Value) -> T {
    object(value).unwrap_or_default()
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

/// A value of which only text, number or flag counts.
enum Loose<'de> {
    Text(Cow<'de, str>),
    Number(Number),
    Flag(bool),
    /// Null, a list, an object.
    Other,
}

impl Loose<'_> {
    fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => {
                let is_blank = text.chars().all(char::is_whitespace);
                (!is_blank).then(|| text.into_owned())
            }
            Self::Number(number) => Some(number.to_string()),
            Self::Flag(_) | Self::Other => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Flag(_) | Self::Other => None,
        }
        .filter(|number: &f64| number.is_finite())
    }
}

impl<'de> Deserialize<'de> for Loose<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

/// The methods of a visitor that takes what is neither list nor object for a [`Loose`], and hands it to `$then`.
macro_rules! visit_loose {
    ($then:expr) => {
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("anything")
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
            Ok($then(Loose::Flag(value)))
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
            Ok($then(Loose::Number(value.into())))
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
            Ok($then(Loose::Number(value.into())))
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
            let number = Number::from_f64(value);
            Ok($then(number.map_or(Loose::Other, Loose::Number)))
        }

        fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
            Ok($then(Loose::Text(Cow::Borrowed(value))))
        }

        fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
            self.visit_string(value.to_owned())
        }

        fn visit_string<E: Error>(self, value: String) -> Result<Self::Value, E> {
            Ok($then(Loose::Text(Cow::Owned(value))))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok($then(Loose::Other))
        }
    };
}

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    visit_loose!(|one| one);

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Loose<'de>, A::Error> {
        skip_map(map).map(|()| Loose::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Loose<'de>, A::Error> {
        skip_seq(items).map(|()| Loose::Other)
    }
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = Vec<String>;

    visit_loose!(|one: Loose| one.into_text().into_iter().collect());

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<String>, A::Error> {
        skip_map(map).map(|()| Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
        let mut texts = Vec::new();
        while let Some(item) = items.next_element::<Loose>()? {
            texts.extend(item.into_text());
        }
        Ok(texts)
    }
}

/// A derived `Deserialize` also takes a list for a struct, by position; only an object may become one here.
struct Only<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> DeserializeSeed<'de> for Only<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Only<T> {
    type Value = T;

    visit_loose!(|_| T::default());

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
        skip_seq(items).map(|()| T::default())
    }
}

struct One<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> DeserializeSeed<'de> for One<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for One<T> {
    type Value = T;

    visit_loose!(|_| T::default());

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        Only(PhantomData).visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<T, A::Error> {
        let first = items.next_element_seed(Only(PhantomData))?;
        let is_more = items.next_element::<IgnoredAny>()?.is_some();
        skip_seq(items)?;
        Ok(first.filter(|_| !is_more).unwrap_or_default())
    }
}

struct Listed<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Listed<T> {
    type Value = Vec<T>;

    visit_loose!(|_| Vec::new());

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<T>, A::Error> {
        // An empty object is no item.
        let Some(key) = map.next_key_seed(Key)? else {
            return Ok(Vec::new());
        };
        let map = Ahead {
            key: Some(key),
            map,
        };
        Only(PhantomData).visit_map(map).map(|item| vec![item])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(One(PhantomData))? {
            list.push(item);
        }
        Ok(list)
    }
}

struct Embedded<T>(PhantomData<T>);

impl<'de, T: for<'t> Deserialize<'t> + Default> Visitor<'de> for Embedded<T> {
    type Value = T;

    visit_loose!(|one| match one {
        Loose::Text(text) => in_text(&text),
        _ => T::default(),
    });

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        Only(PhantomData).visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
        One(PhantomData).visit_seq(items)
    }
}

fn in_text<T: for<'t> Deserialize<'t> + Default>(text: &str) -> T {
    let straight = || {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = object(Named(&mut json))?;
        json.end().map(|()| read)
    };
    straight().unwrap_or_else(|_| {
        let value = serde_json::from_str(text).map_or(Value::Null, wire_names);
        as_object(value)
    })
}

/// An object of which the first key was read already.
struct Ahead<'de, A> {
    key: Option<Cow<'de, str>>,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Ahead<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        match self.key.take() {
            Some(key) => with_key(key, seed).map(Some),
            None => self.map.next_key_seed(seed),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}
