//! Rollback: the inverse of a record's plan, for what is still as Portcullis left it.
//!
//! Policies of buckets and access points are undone statement by statement and tags one by one, so that what others have
//! changed since stays. Access points that others have created or deleted since are neither touched nor missed.
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

/// Builds the inverse of `plans`, the newest first, against the settings as they are now. The attempts at one containment are
/// undone together: the settings that one has changed can keep S3 from taking back what another did. Settings in `forced` are
/// put back whatever has become of them. `bucket_arn` is empty where the target is the account.
pub fn inverse(
    plans: &[&Plan],
    now: &Settings,
    bucket_arn: &str,
    forced: &[SettingKind],
) -> Inverse {
    let changes = plans.iter().flat_map(|plan| &plan.changes);
    let mut by_setting: BTreeMap<SettingKind, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        by_setting.entry(change.setting).or_default().push(change);
    }
    let mut inverse = Inverse::default();
    for (setting, changes) in by_setting.into_iter().rev() {
        let current = now.get(setting).cloned().unwrap_or(Setting::Unreadable {
            operation: "observe".to_owned(),
            code: "NotRead".to_owned(),
        });
        undo_all(
            &changes,
            current,
            bucket_arn,
            forced.contains(&setting),
            &mut inverse,
        );
    }
    inverse
}

/// Undoes the changes of one setting, the newest first: all of them or none.
fn undo_all(
    changes: &[&Change],
    current: Setting,
    bucket_arn: &str,
    forced: bool,
    inverse: &mut Inverse,
) {
    let mut state = current.clone();
    let mut undone: Option<Change> = None;
    for change in changes {
        match undo(change, &state, bucket_arn, forced) {
            // What a newer attempt's undoing has put back is no news.
            Undo::Nothing(note) if undone.is_none() => inverse.notes.extend(note),
            Undo::Nothing(_) => {}
            Undo::To(after, note) => {
                inverse.notes.extend(note);
                state = after.clone();
                undone = Some(Change {
                    setting: change.setting,
                    before: current.clone(),
                    after,
                    measures: change.measures.clone(),
                });
            }
            Undo::Refuse(why) => {
                inverse.drift.push(Drift {
                    setting: change.setting,
                    was: change.before.clone(),
                    left: change.after.clone(),
                    now: current,
                    why,
                });
                return;
            }
        }
    }
    inverse.plan.changes.extend(undone);
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
    let (goal, note) = goal(change, current);
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
        SettingKind::BucketPolicy => undo_bucket_policy(change, current, bucket_arn),
        SettingKind::AccessPointPolicies => undo_access_points(change, current),
        SettingKind::Tags => undo_tags(change, current),
        _ => Undo::Refuse(format!(
            "somebody changed the {title} since; --force-setting {} puts it back all the same",
            change.setting
        )),
    }
}

/// What a rollback can put back: the state before, save that S3 never lets a bucket be unversioned again, and that access
/// points which were not locked are nobody's business here.
fn goal(change: &Change, current: &Setting) -> (Setting, Option<String>) {
    if let (Some(before), Some(after), Some(now)) = (
        change.before.access_points(),
        change.after.access_points(),
        current.access_points(),
    ) {
        let changed = before.changed(after).map(|(name, _)| name);
        let goal = now.with_policies(changed, before);
        return (Setting::Present(Document::AccessPointPolicies(goal)), None);
    }
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

fn undo_bucket_policy(change: &Change, current: &Setting, bucket_arn: &str) -> Undo {
    let undone = undo_policy(
        [&change.before, &change.after, current].map(Setting::policy),
        bucket_arn,
        change.setting,
    );
    match undone {
        Ok((None, note)) => Undo::Nothing(note),
        Ok((Some(None), note)) => Undo::To(Setting::Absent, note),
        Ok((Some(Some(policy)), note)) => {
            Undo::To(Setting::Present(Document::BucketPolicy(policy)), note)
        }
        Err(why) => Undo::Refuse(why),
    }
}

/// Undoes the policies of the access points that were changed, each as a bucket policy is.
fn undo_access_points(change: &Change, current: &Setting) -> Undo {
    let (Some(before), Some(after), Some(now)) = (
        change.before.access_points(),
        change.after.access_points(),
        current.access_points(),
    ) else {
        return Undo::Refuse("the record holds no access points".to_owned());
    };
    let mut result = now.clone();
    let mut notes = Vec::new();
    for (name, left) in before.changed(after) {
        let (Some(was), Some(point)) = (before.0.get(name), result.0.get_mut(name)) else {
            notes.push(format!("access point {name} was deleted since"));
            continue;
        };
        let policies = [&was.policy, &left.policy, &point.policy].map(Option::as_ref);
        match undo_policy(policies, &left.arn, change.setting) {
            Ok((undone, note)) => {
                notes.extend(note.map(|note| format!("access point {name}: {note}")));
                if let Some(policy) = undone {
                    point.policy = policy;
                }
            }
            Err(why) => return Undo::Refuse(format!("access point {name}: {why}")),
        }
    }
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    match result == *now {
        true => Undo::Nothing(note),
        false => Undo::To(
            Setting::Present(Document::AccessPointPolicies(result)),
            note,
        ),
    }
}

/// What becomes of a policy: none where it stays as it is, otherwise what it is to be; and what is worth telling.
type Undone = (Option<Option<PolicyDocument>>, Option<String>);

/// Takes our statements (or our entries in them) out of the current policy and puts back the foreign ones that we removed.
/// The policies are those before, as we left it, and now; `arn` is of what they are attached to.
fn undo_policy(
    [before, after, now]: [Option<&PolicyDocument>; 3],
    arn: &str,
    setting: SettingKind,
) -> Result<Undone, String> {
    let statements = |policy: Option<&PolicyDocument>| -> Vec<Statement> {
        policy
            .map(|policy| policy.statements().to_vec())
            .unwrap_or_default()
    };
    let (was, left) = (statements(before), statements(after));
    let added: Vec<&Statement> = left
        .iter()
        .filter(|statement| !was.contains(statement))
        .collect();
    let removed: Vec<(usize, &Statement)> = was
        .iter()
        .enumerate()
        .filter(|(_, statement)| !left.contains(statement))
        .collect();

    let mut result = statements(now);
    let mut notes = Vec::new();
    for statement in added {
        let Some(ours) = Deny::parse(statement, arn) else {
            return Err(
                "the record holds a statement that is not of Portcullis's shape".to_owned(),
            );
        };
        let earlier = was
            .iter()
            .filter_map(|s| Deny::parse(s, arn))
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
            .position(|s| Deny::parse(s, arn).is_some_and(|deny| deny.sid == ours.sid));
        match place {
            Some(index) => {
                match Deny::parse(&result[index], arn).and_then(|deny| deny.without(&entries)) {
                    Some(rest) => result[index] = rest.statement(arn),
                    None => drop(result.remove(index)),
                }
            }
            None if result.iter().any(|s| s.sid() == Some(&ours.sid)) => {
                return Err(format!(
                    "statement {} was changed by somebody; compare it with the record, then use --force-setting {setting}",
                    ours.sid
                ));
            }
            None => notes.push(format!("statement {} is gone already", ours.sid)),
        }
    }
    for (index, statement) in removed {
        // Our own earlier form of a merged statement was dealt with above; only foreign ones are put back.
        if Deny::parse(statement, arn).is_none() && !result.contains(statement) {
            if let Some(sid) = statement
                .sid()
                .filter(|sid| result.iter().any(|s| s.sid() == Some(*sid)))
            {
                return Err(format!(
                    "statement {sid} was removed and somebody has written another of that name since; compare it with the \
                     record, then use --force-setting {setting}"
                ));
            }
            result.insert(index.min(result.len()), statement.clone());
        }
    }
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    if result == statements(now) {
        return Ok((None, note));
    }
    let restored = match (now, result.is_empty()) {
        (_, true) => None,
        (Some(now), false) => Some(now.with_statements(result)),
        (None, false) => Some(PolicyDocument::new(result)),
    };
    // Where the outcome means the same as the policy before, its very bytes go back.
    let restored = match restored.as_ref() == before {
        true => before.cloned(),
        false => restored,
    };
    Ok((Some(restored), note))
}
