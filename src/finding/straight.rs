//! The way of a common document: a finding alone, or in an EventBridge event, straight from its text into the types that it
//! is read from.
//!
//! It ends in the same [`Detail`] as the way over the value, and takes a document only where the two cannot differ: what is
//! around the finding is of the plainest kind, no key occurs twice, and nothing that a finding must have is missing. All
//! else, and every error, is the other way's. One difference is meant: what nobody reads is only checked for where it ends,
//! and not for what it says.

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::detail::{self, Required};
use super::error::{EventError, Place};
use super::names::{Key, Named, with_key};
use super::read::Event;
use super::wire::Detail;

/// A finding, and whether it is in an envelope.
pub(super) struct Straight {
    detail: Box<Detail>,
    required: Required,
    enveloped: bool,
}

impl Straight {
    pub(super) fn read(self, place: Place) -> Vec<Result<Event, EventError>> {
        let place = match self.enveloped {
            true => place.key("detail"),
            false => place,
        };
        detail::read_whole(self.detail, self.required, &place)
    }
}

/// The finding with which a text begins, and its length in bytes; none where it is to be read the other way.
pub(super) fn straight(text: &str) -> Option<(Straight, usize)> {
    // EventBridge writes `detail-type` near the beginning. A wrong guess costs time and nothing else.
    const NEAR: usize = 400;
    let near = text.as_bytes().get(..NEAR).unwrap_or(text.as_bytes());
    let enveloped = memchr::memmem::find(near, b"\"detail-type\"").is_some();
    let json = serde_json::Deserializer::from_str(text);
    let (mut detail, length) = match enveloped {
        true => first(json.into_iter::<Enveloped>()).map(|(found, length)| (found.0, length)),
        false => first(json.into_iter::<Bare>()).map(|(found, length)| (found.0, length)),
    }?;
    let anywhere = Place::document(String::new());
    let straight = Straight {
        required: Required::of(&mut detail, &anywhere).ok()?,
        detail,
        enveloped,
    };
    Some((straight, length))
}

fn first<'de, T: Deserialize<'de>>(
    mut stream: serde_json::StreamDeserializer<'de, serde_json::de::StrRead<'de>, T>,
) -> Option<(T, usize)> {
    let found = stream.next()?.ok()?;
    Some((found, stream.byte_offset()))
}

/// A finding with nothing around it.
struct Bare(Box<Detail>);

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Named(from).deserialize_map(BareVisitor)
    }
}

struct BareVisitor;

impl<'de> Visitor<'de> for BareVisitor {
    type Value = Bare;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a finding")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Bare, A::Error> {
        let detail = Box::<Detail>::deserialize(MapAccessDeserializer::new(Plain(map)))?;
        // With this type and a message it would be a notification of SNS.
        match detail.kind.as_deref() {
            Some("Notification") => Err(A::Error::custom("may be a notification")),
            _ => Ok(Bare(detail)),
        }
    }
}

/// An object that has no key by which it would be something else than a finding.
struct Plain<A>(A);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Plain<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let Some(key) = self.0.next_key_seed(Key)? else {
            return Ok(None);
        };
        match &*key {
            "portcullis" | "detail-type" | "detailType" | "detail" | "records" | "sns" | "body"
            | "requestPayload" | "findings" | "productArn" | "awsAccountId" => {
                Err(A::Error::custom("there is something around it"))
            }
            _ => with_key(key, seed).map(Some),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}

/// A finding in an EventBridge event.
struct Enveloped(Box<Detail>);

impl<'de> Deserialize<'de> for Enveloped {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Named(from).deserialize_map(EnvelopedVisitor)
    }
}

struct EnvelopedVisitor;

impl<'de> Visitor<'de> for EnvelopedVisitor {
    type Value = Enveloped;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Enveloped, A::Error> {
        let odd = |what: &str| Err(A::Error::custom(what));
        let (mut detail, mut kind, mut source) = (None, None, None);
        while let Some(key) = map.next_key_seed(Key)? {
            match &*key {
                "detail" if detail.is_none() => detail = Some(map.next_value::<Object>()?.0),
                "detail-type" if kind.is_none() => kind = Some(map.next_value::<String>()?),
                "source" if source.is_none() => source = Some(map.next_value::<String>()?),
                "portcullis" | "detail" | "detail-type" | "detailType" | "source" => {
                    return odd("it is no plain event");
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let plain = kind.as_deref() == Some("GuardDuty Finding")
            && source.as_deref() == Some("aws.guardduty");
        match detail {
            Some(detail) if plain => Ok(Enveloped(detail)),
            _ => odd("it is no plain event"),
        }
    }
}

/// A finding as an object, and as nothing else.
struct Object(Box<Detail>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a finding")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object, A::Error> {
        Box::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}
