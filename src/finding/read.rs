//! Finding the events in an input: documents, lists, envelopes and wrappings.

use serde::Serialize;
use serde_json::{Deserializer, Map, Value};

use super::Finding;
use super::detail;
use super::error::{EventError, Place, quoted};
use super::lenient::as_object;
use super::names::wire_names;
use super::straight::{Straight, straight};
use super::trail::{self, TrailEvent};

/// How many wrappings are taken off before giving up. SNS in SQS in a failed invocation's report has four.
const LAYERS: usize = 8;
/// What a request may say of who asks: a name, an address, an ARN.
const LONGEST_BY: usize = 256;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A finding that concerns S3.
    Finding(Box<Finding>),
    /// An event that is understood and none of ours.
    Ignored(Ignored),
    /// An operator's request.
    Request(Request),
    /// Somebody wrote to the settings of a bucket.
    Trail(Box<TrailEvent>),
}

/// An event that is left alone, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ignored {
    /// Why.
    pub reason: IgnoredReason,
    /// The same, for a person.
    pub what: String,
    /// The finding's id, where it is a finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
}

/// Why an event is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IgnoredReason {
    /// From GuardDuty, but no finding: a scan result, a coverage change, an API call.
    OtherDetailType,
    /// An EventBridge event of another source.
    #[serde(rename = "not-guardduty")]
    NotGuardDuty,
    /// A call that CloudTrail logged.
    ApiCall,
    /// A finding that names no S3 bucket.
    #[serde(rename = "no-s3")]
    NoS3,
}

/// What an operator, or the schedule, asks of the function itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Look for expired containments and for drift.
    Sweep,
    /// Carry out the plan of a record that was only planned.
    Apply {
        /// The record's id.
        record: String,
        /// Who asks, as the request says.
        by: Option<String>,
    },
    /// Undo what a record did.
    Rollback {
        /// The record's id.
        record: String,
        /// Who asks, as the request says.
        by: Option<String>,
    },
}

/// Reads every event in `input`: one result for each, and at least one.
///
/// A finding of which some buckets cannot be named is read, and followed by one error for each of these buckets, so that the
/// others are contained all the same.
pub fn read(input: &[u8]) -> Vec<Result<Event, EventError>> {
    let text = match text(input) {
        Ok(text) => text,
        Err(error) => return vec![Err(error)],
    };
    let mut documents = Documents::new(text, 1);
    let Some(first) = documents.next() else {
        return vec![Err(EventError::Empty)];
    };
    let second = documents.next();
    let several = second.is_some();
    let mut events = Vec::new();
    for (line, document) in std::iter::once(first).chain(second).chain(documents) {
        let prefix = match several {
            true => format!("line {line}: "),
            false => String::new(),
        };
        document.read(prefix, &mut events);
    }
    events
}

/// Reads every event in a part of an input, whose first line is the input's `line`, one document after the other. Each is
/// handed on with the line on which its document starts; nothing is where there is no document.
pub fn read_part(text: &str, line: usize, mut then: impl FnMut(usize, Result<Event, EventError>)) {
    let mut events = Vec::new();
    for (line, document) in Documents::new(text, line) {
        document.read(String::new(), &mut events);
        for event in events.drain(..) {
            then(line, event);
        }
    }
}

/// The input as text.
fn text(input: &[u8]) -> Result<&str, EventError> {
    let text = std::str::from_utf8(input).map_err(|error| {
        let byte = error.valid_up_to();
        let before = input.get(..byte).unwrap_or_default();
        EventError::NotUtf8 {
            byte,
            line: 1 + before.iter().filter(|b| **b == b'\n').count(),
        }
    })?;
    Ok(text.trim_start_matches('\u{feff}'))
}

/// One JSON document of the input.
enum Document {
    /// A finding that needed no second look.
    Straight(Straight),
    /// Anything else.
    Value(Value),
    Broken(EventError),
}

impl Document {
    fn read(self, prefix: String, events: &mut Events) {
        let place = Place::document(prefix);
        match self {
            Self::Straight(straight) => events.extend(straight.read(place)),
            Self::Value(value) => event(wire_names(value), place, events),
            Self::Broken(error) => events.push(Err(error)),
        }
    }
}

/// The JSON documents of a text, each with the line on which it starts.
struct Documents<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Documents<'a> {
    fn new(text: &'a str, line: usize) -> Self {
        Self { text, at: 0, line }
    }
}

impl Iterator for Documents<'_> {
    type Item = (usize, Document);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let blank = rest.len() - rest.trim_start().len();
        self.line += line_ends(rest, blank);
        self.at += blank;
        let (rest, line) = (rest.trim_start(), self.line);
        if rest.is_empty() {
            return None;
        }
        let (document, length) = match straight(rest) {
            Some((straight, length)) => (Document::Straight(straight), length),
            None => {
                let mut stream = Deserializer::from_str(rest).into_iter::<Value>();
                match stream.next()? {
                    Ok(value) => (Document::Value(value), stream.byte_offset()),
                    Err(error) => {
                        let before = self.text.get(..self.at).unwrap_or_default();
                        let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1);
                        let error = not_json("the input", (line - 1, column), &error);
                        let length = next_document(rest).unwrap_or(rest.len());
                        (Document::Broken(error), length)
                    }
                }
            }
        };
        self.line += line_ends(rest, length);
        self.at += length;
        Some((line, document))
    }
}

/// How many lines end in the first `length` bytes of `text`.
fn line_ends(text: &str, length: usize) -> usize {
    let passed = text.as_bytes().get(..length).unwrap_or_default();
    memchr::memchr_iter(b'\n', passed).count()
}

/// Where to go on after a broken document: one bad line of an archive must not hide the lines after it. Documents start
/// with a brace at the start of a line; a broken list is given up whole, because its items do so too.
fn next_document(broken: &str) -> Option<usize> {
    broken.strip_prefix('{')?;
    Some(broken.find("\n{")? + 1)
}

/// `before` is the position at which the text that was parsed starts: complete lines, and columns of the next.
fn not_json(place: &str, before: (usize, usize), error: &serde_json::Error) -> EventError {
    let text = error.to_string();
    let reason = match text.rsplit_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    };
    EventError::NotJson {
        place: place.to_owned(),
        line: before.0 + error.line(),
        column: error.column() + if error.line() == 1 { before.1 } else { 0 },
        reason,
    }
}

type Events = Vec<Result<Event, EventError>>;

/// Reads one value that should be an event, a list of events or a wrapping of one.
fn event(value: Value, place: Place, events: &mut Events) {
    if place.layers > LAYERS {
        events.push(Err(EventError::TooDeep {
            place: place.to_string(),
            layers: LAYERS,
        }));
        return;
    }
    match value {
        Value::Array(items) => each(items, place, events),
        Value::Object(map) => wrapping(map, place, events),
        other => events.push(Err(EventError::NotAnObject {
            place: place.to_string(),
            found: kind_of(&other),
        })),
    }
}

fn each(items: Vec<Value>, place: Place, events: &mut Events) {
    if items.is_empty() {
        events.push(Err(EventError::EmptyList {
            place: place.to_string(),
        }));
    }
    for (index, item) in items.into_iter().enumerate() {
        event(item, place.index(index).unwrapped(), events);
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Takes off what is around an event, as far as something is.
fn wrapping(mut map: Map<String, Value>, place: Place, events: &mut Events) {
    if map.contains_key("portcullis") {
        events.push(request(map, &place).map(Event::Request));
    } else if is_envelope(&map) {
        envelope(map, &place, events);
    } else if let Some(Value::Array(records)) = map.remove("records") {
        each(records, place.key("Records"), events);
    } else if let Some(Value::Object(mut notification)) = map.remove("sns") {
        let message = notification.remove("message").unwrap_or_default();
        message_text(message, place.key("Sns.Message"), events);
    } else if map.get("type").is_some_and(|kind| kind == "Notification")
        && let Some(message) = map.remove("message")
    {
        message_text(message, place.key("Message"), events);
    } else if let Some(body) = map.remove("body") {
        message_text(body, place.key("body"), events);
    } else if let Some(payload) = map.remove("requestPayload") {
        // What Lambda sends to an on-failure destination: the event that failed, inside a report.
        event(payload, place.key("requestPayload").unwrapped(), events);
    } else if let Some(Value::Array(findings)) = map.remove("findings") {
        each(findings, place.key("Findings"), events);
    } else if let Some(what) = no_finding(&map) {
        events.push(Err(EventError::NotAnEvent {
            place: place.to_string(),
            found: what,
        }));
    } else {
        events.extend(detail::read(as_object(Value::Object(map)), &place));
    }
}

/// Reads the JSON text of a message. Some senders put the object itself there.
fn message_text(message: Value, place: Place, events: &mut Events) {
    let place = place.message();
    match message {
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(value) => event(wire_names(value), place, events),
            Err(error) => events.push(Err(not_json(&place.to_string(), (0, 0), &error))),
        },
        other => event(other, place, events),
    }
}

fn is_envelope(map: &Map<String, Value>) -> bool {
    map.contains_key("detail-type") || map.contains_key("detailType") || map.contains_key("detail")
}

/// Reads an EventBridge event.
///
/// Read by hand and not as `aws_lambda_events`' `EventBridgeEvent`: that type requires `detail-type`, `source` and a valid
/// `time`, none of which is needed here and some of which input transformers and hand-made events leave out. Entries for
/// PutEvents write `DetailType`, and `Detail` as text.
fn envelope(mut map: Map<String, Value>, place: &Place, events: &mut Events) {
    let of = |key: &str| map.get(key).and_then(Value::as_str);
    let ignored = |reason, what| {
        Ok(Event::Ignored(Ignored {
            reason,
            what,
            finding: None,
        }))
    };
    let kind = of("detail-type").or_else(|| of("detailType"));
    let is_of_bucket = of("source").is_some_and(|source| trail::SOURCES.contains(&source));
    let is_trail = is_of_bucket && kind == Some(trail::API_CALL);
    if let Some(source) = of("source").filter(|source| *source != "aws.guardduty" && !is_trail) {
        let what = format!("the event's source is {}, not GuardDuty", quoted(source));
        events.push(ignored(IgnoredReason::NotGuardDuty, what));
        return;
    }
    if let Some(kind) = kind.filter(|kind| *kind != "GuardDuty Finding" && !is_trail) {
        let what = format!("the event's detail-type is {}, not a finding", quoted(kind));
        events.push(ignored(IgnoredReason::OtherDetailType, what));
        return;
    }
    let place = place.key("detail");
    let detail = match map.remove("detail").unwrap_or_default() {
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(value) => wire_names(value),
            Err(error) => {
                events.push(Err(not_json(&place.to_string(), (0, 0), &error)));
                return;
            }
        },
        other => other,
    };
    match detail {
        Value::Null => events.push(Err(EventError::EmptyDetail {
            place: place.to_string(),
        })),
        Value::Object(map) if map.is_empty() => events.push(Err(EventError::EmptyDetail {
            place: place.to_string(),
        })),
        Value::Object(map) if is_trail => events.push(trail::read(map, &place)),
        Value::Object(map) => events.extend(detail::read(as_object(Value::Object(map)), &place)),
        other => events.push(Err(EventError::NotAnObject {
            place: place.to_string(),
            found: kind_of(&other),
        })),
    }
}

/// What an object is that is no finding, or none if it may be one. A finding that lacks a field should be told which, so
/// that three of the usual fields are enough.
fn no_finding(map: &Map<String, Value>) -> Option<String> {
    const USUAL: [&str; 8] = [
        "accountId",
        "id",
        "region",
        "resource",
        "schemaVersion",
        "service",
        "severity",
        "type",
    ];
    if map.contains_key("productArn") || map.contains_key("awsAccountId") {
        return Some("it is a Security Hub finding".to_owned());
    }
    if USUAL.iter().filter(|key| map.contains_key(**key)).count() >= 3 {
        return None;
    }
    let keys: Vec<String> = map.keys().take(5).map(|key| quoted(key)).collect();
    Some(if keys.is_empty() {
        "it is an empty object".to_owned()
    } else {
        format!("its keys begin with {}", keys.join(", "))
    })
}

fn request(map: Map<String, Value>, place: &Place) -> Result<Request, EventError> {
    if place.in_message {
        return Err(EventError::RequestInMessage {
            place: place.to_string(),
        });
    }
    let error = |place: &Place, problem: String| EventError::Request {
        place: place.to_string(),
        problem,
    };
    if let Some(other) = map.keys().find(|key| *key != "portcullis") {
        let problem = format!("has {} beside \"portcullis\"", quoted(other));
        return Err(error(place, problem));
    }
    let place = place.key("portcullis");
    let mut requests = match map.into_iter().next() {
        Some((_, Value::Object(requests))) => requests.into_iter(),
        _ => return Err(error(&place, "is not an object".to_owned())),
    };
    let Some((word, arguments)) = requests.next() else {
        return Err(error(&place, "asks for nothing".to_owned()));
    };
    if let Some((other, _)) = requests.next() {
        let problem = format!("asks for {} and {} at once", quoted(&word), quoted(&other));
        return Err(error(&place, problem));
    }
    if !matches!(word.as_str(), "sweep" | "apply" | "rollback") {
        return Err(error(&place, format!("asks for {}", quoted(&word))));
    }
    let place = place.key(&word);
    let mut arguments = match arguments {
        Value::Object(arguments) => arguments,
        Value::Null => Map::new(),
        other => {
            let problem = format!("is {}, not an object", kind_of(&other));
            return Err(error(&place, problem));
        }
    };
    let (record, by) = if word == "sweep" {
        (None, None)
    } else {
        (arguments.remove("record"), arguments.remove("by"))
    };
    if let Some(key) = arguments.keys().next() {
        return Err(error(
            &place,
            format!("has the unknown key {}", quoted(key)),
        ));
    }
    if word == "sweep" {
        return Ok(Request::Sweep);
    }
    let record = match record {
        Some(Value::String(record)) if !record.trim().is_empty() => record,
        _ => return Err(error(&place, "names no record".to_owned())),
    };
    let by = match by {
        None | Some(Value::Null) => None,
        Some(Value::String(by)) if !by.trim().is_empty() && by.len() <= LONGEST_BY => Some(by),
        Some(_) => {
            let problem = format!("has a \"by\" that is no text of 1 to {LONGEST_BY} bytes");
            return Err(error(&place, problem));
        }
    };
    Ok(if word == "apply" {
        Request::Apply { record, by }
    } else {
        Request::Rollback { record, by }
    })
}
