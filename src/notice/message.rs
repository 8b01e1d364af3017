//! The notice as SNS takes it: a message for each protocol, a subject, and attributes that subscriptions filter by.

use serde_json::json;

use super::Notice;
use crate::report::shown;

/// What SNS takes at most: bytes of the message with its attributes.
pub const LARGEST: usize = 262_144;
/// SNS says "less than 100 characters".
const SUBJECT: usize = 99;
/// Values of a list in an attribute.
const LISTED: usize = 20;
/// Characters of one SMS.
const SMS: usize = 140;

/// What is published.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The subject of an e-mail: ASCII, one line, less than 100 characters.
    pub subject: String,
    /// An object of texts, by protocol; `MessageStructure` must be `json`.
    pub body: String,
    /// What filter policies of subscriptions can ask for.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// The value of a message attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// `String.Array`: a JSON array; a filter holds if any of them matches.
    Words(Vec<String>),
    /// `Number`.
    Number(f64),
}

pub(super) fn message(notice: &Notice) -> Message {
    // Amazon Q Developer subscribes by https, which has no form of its own here: machines all get the same.
    let body = json!({
        "default": notice.chat().to_string(),
        "email": notice.text(),
        "sms": shown(&format!("Portcullis: {}", notice.title), SMS),
    });
    let mut accounts: Vec<String> = Vec::new();
    for target in &notice.targets {
        super::push_new(&mut accounts, target.account.clone());
    }
    accounts.truncate(LISTED);
    let words = |words: Vec<String>| (!words.is_empty()).then_some(Attribute::Words(words));
    let attributes = [
        (
            "outcome",
            words(notice.outcomes.iter().map(ToString::to_string).collect()),
        ),
        (
            "mode",
            words(notice.modes.iter().map(ToString::to_string).collect()),
        ),
        ("account", words(accounts)),
        ("severity", Some(Attribute::Number(notice.severity))),
    ];
    Message {
        subject: subject(notice),
        body: body.to_string(),
        attributes: attributes
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
    }
}

fn subject(notice: &Notice) -> String {
    let text = format!("Portcullis: {} ({})", notice.title, notice.finding);
    // The dot that is no link any more is a dot again: a subject is no place for links.
    let ascii = text.chars().map(|c| match c {
        '\u{2024}' => '.',
        c if c.is_ascii_graphic() || c == ' ' => c,
        _ => '?',
    });
    let subject: String = ascii.take(SUBJECT).collect();
    subject.trim_end().to_owned()
}
