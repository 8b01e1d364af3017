//! Settings that measures replace whole: who has them, what they hold, and rules that are switched off in them.

use super::{Context, Stop};
use crate::finding::Bucket;
use crate::guard::Guard;
use crate::settings::{Document, Element, SettingKind, Settings, Unknown, XmlDocument, XmlError};

/// The bucket, if it is of the kind that has these settings.
pub(super) fn general_purpose<'a>(
    context: &Context<'a>,
    kind: SettingKind,
) -> Result<&'a Bucket, Stop> {
    match context.bucket {
        None => Err(Stop::new(
            Guard::WrongTarget,
            "the finding is about the account and names no bucket",
        )),
        Some(bucket) if bucket.directory => {
            let why = match kind {
                SettingKind::Encryption => {
                    "a directory bucket takes no customer-provided keys".to_owned()
                }
                SettingKind::Tags => {
                    "the tags of a directory bucket are another API's, which this version does not know"
                        .to_owned()
                }
                kind => format!("a directory bucket has no {} to change", kind.title()),
            };
            Err(Stop::new(Guard::DirectoryBucket, why))
        }
        Some(bucket) => Ok(bucket),
    }
}

/// A setting that is kept as XML, or none where it is not configured.
pub(super) fn xml(kind: SettingKind, desired: &Settings) -> Result<Option<XmlDocument>, Stop> {
    desired
        .xml(kind)
        .map(Option::<&_>::cloned)
        .map_err(unreadable)
}

/// Makes an edited document the desired one.
pub(super) fn set_xml(
    kind: SettingKind,
    document: Result<XmlDocument, XmlError>,
    desired: &mut Settings,
) -> Result<(), Stop> {
    let document = document.map_err(|error| {
        let why = format!("the {} could not be amended: {error}", kind.title());
        Stop::new(Guard::Unreadable, why)
    })?;
    desired.set(kind, Document::Xml(document));
    Ok(())
}

/// Sets the rules that `concerned` picks to Disabled; nothing else of them changes, and none is deleted. Returns the names
/// of those that were on.
pub(super) fn disable_rules(
    kind: SettingKind,
    concerned: impl Fn(&Element) -> bool,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    let Some(document) = xml(kind, desired)? else {
        return Ok(Vec::new());
    };
    let mut edits = Vec::new();
    let mut names = Vec::new();
    for (index, rule) in document.root().all("Rule").enumerate() {
        let status = rule
            .child("Status")
            .filter(|status| status.text == "Enabled");
        if let Some(status) = status.filter(|_| concerned(rule)) {
            edits.push(document.fill(status, "Disabled"));
            names.push(match rule.value("ID") {
                "" => format!("number {}", index + 1),
                id => id.to_owned(),
            });
        }
    }
    if !edits.is_empty() {
        set_xml(kind, document.with(edits), desired)?;
    }
    Ok(names)
}

pub(super) fn unreadable(unknown: Unknown) -> Stop {
    Stop::new(Guard::Unreadable, unknown.told())
}
