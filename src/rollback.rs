//! Rollback: the inverse of a record's plan, for what is still as Portcullis left it.
//!
//! A bucket policy is undone statement by statement and tags one by one, so that what others have changed since stays.
//! Everything else that is not as we left it is drift: shown, and refused unless it is forced.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::plan::{Change, Plan};
use crate::settings::{Document, PolicyDocument, Setting, SettingKind, Settings, Statement};
use crate::statements::Deny;

/// What a rollback would do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inverse {
    /// The changes, in the reverse of the order of containment.
    pub plan: Plan,
    /// Settings that are left alone because somebody changed them since.
    pub drift: Vec<Drift>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

/// A setting that is no longer as Portcullis left it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drift {
    /// Which setting.
    pub setting: SettingKind,
    /// Before the containment.
    pub was: Setting,
    /// As Portcullis left it.
    pub left: Setting,
    /// As it is now.
    pub now: Setting,
    /// Why it is left alone.
    pub why: String,
}

/// Builds the inverse of `plan` against the settings as they are now. Settings in `forced` are put back whatever has become
/// of them. `bucket_arn` is empty where the target is the account.
pub fn inverse(plan: &Plan, now: &Settings, bucket_arn: &str, forced: &[SettingKind]) -> Inverse {
    let mut inverse = Inverse::default();
    for change in plan.changes.iter().rev() {
        let current = now
            .get(change.setting)
            .cloned()
            .unwrap_or(Setting::Unreadable {
                operation: "observe".to_owned(),
                code: "NotRead".to_owned(),
            });
        match undo(
            change,
            &current,
            bucket_arn,
            forced.contains(&change.setting),
        ) {
            Undo::Nothing(note) => inverse.notes.extend(note),
            Undo::To(after, note) => {
                inverse.notes.extend(note);
                inverse.plan.changes.push(Change {
                    setting: change.setting,
                    before: current,
                    after,
                    measures: change.measures.clone(),
                });
            }
            Undo::Refuse(why) => inverse.drift.push(Drift {
                setting: change.setting,
                was: change.before.clone(),
                left: change.after.clone(),
                now: current,
                why,
            }),
        }
    }
    inverse
}

enum Undo {
    Nothing(Option<String>),
    To(Setting, Option<String>),
    Refuse(String),
}

fn undo(change: &Change, current: &Setting, bucket_arn: &str, forced: bool) -> Undo {
    let title = change.setting.title();
    if matches!(change.before, Setting::Unreadable { .. }) {
        return Undo::Refuse(format!(
            "what the {title} was before could not be read, so only a person can say what it should be"
        ));
    }
    if *current == change.before {
        return Undo::Nothing(Some(format!("the {title} is already as it was before")));
    }
    let (goal, note) = goal(change);
    if *current == goal {
        return Undo::Nothing(note);
    }
    if *current == change.after || forced {
        return Undo::To(goal, note);
    }
    if let Setting::Unreadable { operation, code } = current {
        return Undo::Refuse(format!(
            "the {title} cannot be read now: {operation} answered {code}"
        ));
    }
    match change.setting {
        SettingKind::BucketPolicy => undo_policy(change, current, bucket_arn),
        SettingKind::Tags => undo_tags(change, current),
        _ => Undo::Refuse(format!(
            "somebody changed the {title} since; --force-setting {} puts it back all the same",
            change.setting
        )),
    }
}

/// What a rollback can put back: the state before, save that S3 never lets a bucket be unversioned again.
fn goal(change: &Change) -> (Setting, Option<String>) {
    let unversioned = match &change.before {
        Setting::Present(Document::Xml(before)) => before.root().child("Status").is_none(),
        before => *before == Setting::Absent,
    };
    if let (SettingKind::Versioning, true, Setting::Present(Document::Xml(after))) =
        (change.setting, unversioned, &change.after)
    {
        let edits = after
            .root()
            .all("Status")
            .map(|status| after.fill(status, "Suspended"))
            .collect();
        if let Ok(suspended) = after.with(edits) {
            let note = "the bucket had never been versioned, and S3 has no way back to that: versioning is suspended, and \
                        versions that exist stay";
            return (
                Setting::Present(Document::Xml(suspended)),
                Some(note.to_owned()),
            );
        }
    }
    (change.before.clone(), None)
}

/// Takes our tags out of the current ones, and leaves what others have made of them since.
fn undo_tags(change: &Change, current: &Setting) -> Undo {
    let (before, after) = (tags(&change.before), tags(&change.after));
    let now = tags(current);
    let mut result = now.clone();
    for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
        if now.get(key) == Some(value) {
            result.remove(key);
        }
    }
    match (result == now, result.is_empty()) {
        (true, _) => Undo::Nothing(Some("the tags of Portcullis are gone already".to_owned())),
        (false, true) => Undo::To(Setting::Absent, None),
        (false, false) => Undo::To(Setting::Present(Document::Tags(result)), None),
    }
}

fn tags(setting: &Setting) -> BTreeMap<String, String> {
    match setting {
        Setting::Present(Document::Tags(tags)) => tags.clone(),
        _ => BTreeMap::new(),
    }
}

/// Takes our statements (or our entries in them) out of the current policy and puts back the foreign ones that we removed.
fn undo_policy(change: &Change, current: &Setting, bucket_arn: &str) -> Undo {
    let (before, after, now) = (
        statements(&change.before),
        statements(&change.after),
        statements(current),
    );
    let added: Vec<&Statement> = after
        .iter()
        .filter(|statement| !before.contains(statement))
        .collect();
    let removed: Vec<(usize, &Statement)> = before
        .iter()
        .enumerate()
        .filter(|(_, statement)| !after.contains(statement))
        .collect();

    let mut result = now.clone();
    let mut notes = Vec::new();
    for statement in added {
        let Some(ours) = Deny::parse(statement, bucket_arn) else {
            return Undo::Refuse(
                "the record holds a statement that is not of Portcullis's shape".to_owned(),
            );
        };
        let earlier = before
            .iter()
            .filter_map(|s| Deny::parse(s, bucket_arn))
            .find(|deny| deny.sid == ours.sid);
        let entries: BTreeSet<String> = ours
            .values()
            .difference(&earlier.as_ref().map(Deny::values).unwrap_or_default())
            .cloned()
            .collect();
        if earlier.is_some() && ours.hits.is_none() {
            // It hits everybody, and did before: this containment has only renewed who is spared.
            continue;
        }
        let place = result
            .iter()
            .position(|s| Deny::parse(s, bucket_arn).is_some_and(|deny| deny.sid == ours.sid));
        match place {
            Some(index) => match Deny::parse(&result[index], bucket_arn)
                .and_then(|deny| deny.without(&entries))
            {
                Some(rest) => result[index] = rest.statement(bucket_arn),
                None => drop(result.remove(index)),
            },
            None if result.iter().any(|s| s.sid() == Some(&ours.sid)) => {
                return Undo::Refuse(format!(
                    "statement {} was changed by somebody; compare it with the record, then use --force-setting {}",
                    ours.sid, change.setting
                ));
            }
            None => notes.push(format!("statement {} is gone already", ours.sid)),
        }
    }
    for (index, statement) in removed {
        // Our own earlier form of a merged statement was dealt with above; only foreign ones are put back.
        if Deny::parse(statement, bucket_arn).is_none() && !result.contains(statement) {
            if let Some(sid) = statement
                .sid()
                .filter(|sid| result.iter().any(|s| s.sid() == Some(*sid)))
            {
                return Undo::Refuse(format!(
                    "statement {sid} was removed and somebody has written another of that name since; compare it with the \
                     record, then use --force-setting {}",
                    change.setting
                ));
            }
            result.insert(index.min(result.len()), statement.clone());
        }
    }
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    if result == now {
        return Undo::Nothing(note);
    }
    let restored = match (current, result.is_empty()) {
        (_, true) => Setting::Absent,
        (Setting::Present(Document::BucketPolicy(policy)), false) => {
            present(policy.with_statements(result))
        }
        (_, false) => present(PolicyDocument::new(result)),
    };
    // Where the outcome means the same as the policy before, its very bytes go back.
    let restored = if restored == change.before {
        change.before.clone()
    } else {
        restored
    };
    Undo::To(restored, note)
}

fn present(policy: PolicyDocument) -> Setting {
    Setting::Present(Document::BucketPolicy(policy))
}

fn statements(setting: &Setting) -> Vec<Statement> {
    match setting {
        Setting::Present(Document::BucketPolicy(policy)) => policy.statements().to_vec(),
        _ => Vec::new(),
    }
}
