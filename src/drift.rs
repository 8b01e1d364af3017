//! What of a containment is no longer in place, so that somebody, or the sweep, can put it back.
//!
//! More than we left is no drift: another containment adds to the same statements, and an owner may close what is open. Only
//! what we wrote and is gone, or took away and is back, is told.

use serde::{Deserialize, Serialize};

use crate::plan::{Change, Plan};
use crate::settings::{
    Document, PolicyDocument, PublicAccessBlock, Setting, SettingKind, Settings,
};
use crate::statements::Deny;

/// A part of a containment that somebody has undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Undone {
    /// In which setting.
    pub setting: SettingKind,
    /// What is gone or back, in words.
    pub what: String,
    /// The principals, addresses or objects that a statement lacks.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub lacks: Vec<String>,
}

impl Undone {
    /// All of it in one line.
    pub fn in_full(&self) -> String {
        let lacks = match self.lacks.is_empty() {
            true => String::new(),
            false => format!(" {}", self.lacks.join(", ")),
        };
        format!("{}: {}{lacks}", self.setting.title(), self.what)
    }

    /// The same for those who may not see everything: the key of an object can tell what is in it.
    pub fn in_short(&self) -> String {
        let lacks = match self.lacks.len() {
            0 => String::new(),
            number => format!(" {number} of what it named"),
        };
        format!("{}: {}{lacks}", self.setting.title(), self.what)
    }
}

/// What is gone or back, and what a statement lacks.
type Missing = (String, Vec<String>);

/// What of `plan` is not in place now. `bucket_arn` is empty where the target is the account. What cannot be read is told as
/// such: it may be in place or not.
pub fn undone(plan: &Plan, now: &Settings, bucket_arn: &str) -> Vec<Undone> {
    let mut found = Vec::new();
    for change in &plan.changes {
        let what = match now.get(change.setting) {
            Some(Setting::Unreadable { operation, code }) => {
                vec![plainly(format!(
                    "it cannot be read: {operation} answered {code}"
                ))]
            }
            None => vec![plainly("it was not read".to_owned())],
            Some(now) => missing(change, now, bucket_arn),
        };
        found.extend(what.into_iter().map(|(what, lacks)| Undone {
            setting: change.setting,
            what,
            lacks,
        }));
    }
    found
}

fn missing(change: &Change, now: &Setting, bucket_arn: &str) -> Vec<Missing> {
    match change.setting {
        SettingKind::BucketPolicy => {
            let policies = [&change.before, &change.after, now].map(Setting::policy);
            of_policy(policies, bucket_arn)
        }
        SettingKind::AccessPointPolicies => of_access_points(change, now),
        SettingKind::PublicAccessBlock | SettingKind::AccountPublicAccessBlock => {
            of_flags(&change.after, now)
        }
        SettingKind::Acl => of_acl(change, now),
        // A mark for people closes nothing.
        SettingKind::Tags => Vec::new(),
        _ if *now == change.after => Vec::new(),
        _ => vec![plainly(format!(
            "the {} is not as it was left",
            change.setting.title()
        ))],
    }
}

/// The policies are those before, as we left it, and now.
fn of_policy([before, after, now]: [Option<&PolicyDocument>; 3], arn: &str) -> Vec<Missing> {
    let statements = |policy: Option<&PolicyDocument>| {
        policy.map(|p| p.statements().to_vec()).unwrap_or_default()
    };
    let (was, left, is) = (statements(before), statements(after), statements(now));
    let theirs: Vec<Deny> = is.iter().filter_map(|s| Deny::parse(s, arn)).collect();
    let mut missing = Vec::new();
    for ours in left.iter().filter_map(|s| Deny::parse(s, arn)) {
        let Some(found) = theirs.iter().find(|deny| deny.sid == ours.sid) else {
            missing.push(plainly(format!(
                "statement {} is gone or was changed",
                ours.sid
            )));
            continue;
        };
        let gone: Vec<String> = ours.values().difference(&found.values()).cloned().collect();
        if !gone.is_empty() {
            missing.push((format!("statement {} lacks", ours.sid), gone));
        }
    }
    let removed = was
        .iter()
        .filter(|s| !left.contains(s) && Deny::parse(s, arn).is_none());
    for back in removed.filter(|statement| is.contains(statement)) {
        missing.push(plainly(format!(
            "statement {} is back",
            back.sid().unwrap_or("without a Sid")
        )));
    }
    missing
}

fn of_access_points(change: &Change, now: &Setting) -> Vec<Missing> {
    let (Some(before), Some(after), Some(now)) = (
        change.before.access_points(),
        change.after.access_points(),
        now.access_points(),
    ) else {
        return Vec::new();
    };
    let mut missing = Vec::new();
    for (name, left) in before.changed(after) {
        // One that was deleted admits nobody.
        let Some(point) = now.0.get(name) else {
            continue;
        };
        let was = before.0.get(name).and_then(|point| point.policy.as_ref());
        let told = of_policy(
            [was, left.policy.as_ref(), point.policy.as_ref()],
            &left.arn,
        );
        missing.extend(
            told.into_iter()
                .map(|(what, lacks)| (format!("access point {name}: {what}"), lacks)),
        );
    }
    missing
}

fn of_flags(left: &Setting, now: &Setting) -> Vec<Missing> {
    let flags = |setting: &Setting| match setting {
        Setting::Present(Document::PublicAccessBlock(flags)) => *flags,
        _ => PublicAccessBlock::default(),
    };
    let (left, now) = (flags(left).flags(), flags(now).flags());
    let off = left
        .into_iter()
        .zip(now)
        .filter(|((_, left), (_, now))| *left && !now);
    off.map(|((name, _), _)| plainly(format!("{name} is off again")))
        .collect()
}

fn of_acl(change: &Change, now: &Setting) -> Vec<Missing> {
    let (was, left, is) = (change.before.grants(), change.after.grants(), now.grants());
    let back = was
        .iter()
        .filter(|grant| !left.contains(grant) && is.contains(grant));
    back.map(|grant| format!("{} for {} is back", grant.permission, grant.grantee))
        .map(plainly)
        .collect()
}

fn plainly(what: String) -> Missing {
    (what, Vec::new())
}
