//! What a test says is known of its target: a record, or settings as a record holds them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::ReadFile;
use super::finding::contents;
use crate::enrichment::Enrichment;
use crate::settings::{Setting, SettingKind, Settings};
use crate::verdict::Facts;
use crate::yaml::{
    Code, Fields, Node, Place, Report, Value, entries, fields, filled, nearest, sound, wrong_type,
};

/// The keys of facts that are more than settings, as a record has them.
pub(super) const FACTS: &[&str] = &["before", "enrichment"];
/// The keys of `enrichment`.
pub(super) const ENRICHMENT: &[&str] = &["macie", "guardduty", "log-targets", "memberships"];

/// Reads facts: the path of a record or of settings, or these themselves.
pub(super) fn facts(report: &mut Report<'_>, node: &Node, files: &ReadFile<'_>) -> Option<Facts> {
    match &node.value {
        Value::Text(_) => stored(report, node, files),
        Value::Map(pairs) => {
            let is_whole = |key: &Node| key.text().is_some_and(|key| FACTS.contains(&key));
            if !pairs.iter().any(|(key, _)| is_whole(key)) {
                let settings = settings(report, node, "\"facts\"")?;
                return Some(Facts {
                    settings,
                    enrichment: Enrichment::default(),
                });
            }
            let fields = fields(report, node, "\"facts\"", FACTS)?;
            let settings = fields
                .get("before")
                .map(|node| settings(report, node, "\"before\""));
            let enrichment = fields
                .get("enrichment")
                .map(|node| enrichment(report, node));
            Some(Facts {
                settings: settings.unwrap_or_else(|| Some(Settings::default()))?,
                enrichment: enrichment.unwrap_or_else(|| Some(Enrichment::default()))?,
            })
        }
        _ => {
            wrong_type(report, node, "the path of a record, or settings");
            None
        }
    }
}

fn stored(report: &mut Report<'_>, node: &Node, files: &ReadFile<'_>) -> Option<Facts> {
    let path = filled(report, node, "the path of a record")?;
    let bytes = contents(report, node, &path, files)?;
    let read = serde_json::from_slice::<Json>(&bytes).and_then(Facts::from_json);
    if let Err(error) = &read {
        report
            .add(
                Code::BadFacts,
                node.at,
                format!("\"{path}\" holds no facts: {error}"),
            )
            .help("give a record, or what it holds under \"before\"");
    }
    read.ok()
}

/// Reads settings one by one, so that each mistake has its place.
fn settings(report: &mut Report<'_>, node: &Node, what: &str) -> Option<Settings> {
    let mut settings = Settings::default();
    for (key, at, value) in entries(report, node, what)? {
        let Some(kind) = SettingKind::from_word(key) else {
            let help = match nearest(key, SettingKind::WORDS.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("the settings are {}", SettingKind::WORDS.join(", ")),
            };
            report
                .add(Code::UnknownKey, at, format!("\"{key}\" is not a setting"))
                .help(help);
            continue;
        };
        if let Some(setting) = setting(report, kind, value) {
            settings.0.insert(kind, setting);
        }
    }
    Some(settings)
}

fn setting(report: &mut Report<'_>, kind: SettingKind, node: &Node) -> Option<Setting> {
    let word = document(kind);
    let help = format!(
        "write `{kind}: absent`, or `{kind}: {{ present: {{ {word}: … }} }}` as a record does"
    );
    let other = present(node).filter(|(key, _)| *key != word);
    if let Some((key, at)) = other {
        let message = format!("\"{kind}\" holds \"{word}\", and not \"{key}\"");
        report.add(Code::BadFacts, at, message).help(help);
        return None;
    }
    read(report, kind.word(), node, &help)
}

/// What a setting that is present is called there, and where.
fn present(node: &Node) -> Option<(&str, Place)> {
    let Value::Map(pairs) = &node.value else {
        return None;
    };
    let (_, document) = pairs
        .iter()
        .find(|(key, _)| key.text() == Some("present"))?;
    let Value::Map(pairs) = &document.value else {
        return None;
    };
    pairs
        .first()
        .and_then(|(key, _)| Some((key.text()?, key.at)))
}

/// What the document of a setting is called in a record.
pub(super) fn document(kind: SettingKind) -> &'static str {
    match kind {
        SettingKind::BucketPolicy => "bucket-policy",
        SettingKind::AccessPointPolicies => "access-point-policies",
        SettingKind::Acl => "acl",
        SettingKind::PublicAccessBlock | SettingKind::AccountPublicAccessBlock => {
            "public-access-block"
        }
        SettingKind::Tags => "tags",
        SettingKind::Versioning
        | SettingKind::Lifecycle
        | SettingKind::Encryption
        | SettingKind::OwnershipControls
        | SettingKind::Cors
        | SettingKind::Logging
        | SettingKind::Replication
        | SettingKind::Website
        | SettingKind::PolicyStatus => "xml",
    }
}

/// Reads what other services say, answer by answer.
fn enrichment(report: &mut Report<'_>, node: &Node) -> Option<Enrichment> {
    let fields = fields(report, node, "\"enrichment\"", ENRICHMENT)?;
    let macie = answer(report, &fields, "macie");
    let guardduty = answer(report, &fields, "guardduty");
    let log_targets = answer(report, &fields, "log-targets");
    let memberships = answer(report, &fields, "memberships");
    Some(Enrichment {
        macie: macie?,
        guardduty: guardduty?,
        log_targets: log_targets?,
        memberships: memberships?,
    })
}

fn answer<T: Default + DeserializeOwned + Serialize>(
    report: &mut Report<'_>,
    fields: &Fields<'_>,
    key: &str,
) -> Option<T> {
    let help = "`portcullis show RECORD --output json` has answers to copy";
    match fields.get(key) {
        Some(node) => read(report, key, node, help),
        None => Some(T::default()),
    }
}

/// Reads what a type of ours reads. Keys that it would pass over are refused: they are not in what it is written as again.
fn read<T: DeserializeOwned + Serialize>(
    report: &mut Report<'_>,
    key: &str,
    node: &Node,
    help: &str,
) -> Option<T> {
    if !sound(report, node, &format!("\"{key}\"")) {
        return None;
    }
    let value: T = match serde_json::from_value(node.to_json()) {
        Ok(value) => value,
        Err(error) => {
            let message = format!("\"{key}\" does not accept this: {error}");
            report
                .add(Code::BadFacts, node.pointer(), message)
                .help(help);
            return None;
        }
    };
    let errors = report.errors();
    let kept = serde_json::to_value(&value).unwrap_or_default();
    passed_over(report, key, node, &kept);
    (report.errors() == errors).then_some(value)
}

fn passed_over(report: &mut Report<'_>, key: &str, node: &Node, kept: &Json) {
    let pairs = match (&node.value, kept) {
        (Value::Map(pairs), Json::Object(_)) => pairs,
        (Value::List(items), Json::Array(kept)) => {
            for (item, kept) in items.iter().zip(kept) {
                passed_over(report, key, item, kept);
            }
            return;
        }
        _ => return,
    };
    for (name, value) in pairs {
        let Some(word) = name.text() else {
            continue;
        };
        let is_empty = match &value.value {
            Value::Null => true,
            Value::List(items) => items.is_empty(),
            Value::Map(pairs) => pairs.is_empty(),
            _ => false,
        };
        match kept.get(word) {
            Some(kept) => passed_over(report, word, value, kept),
            // What is empty is left out where it is written again.
            None if is_empty => {}
            None => {
                let message = format!("\"{key}\" has no key \"{word}\"");
                report
                    .add(Code::UnknownKey, name.at, message)
                    .help("records name the keys: `portcullis show RECORD --output json`");
            }
        }
    }
}
