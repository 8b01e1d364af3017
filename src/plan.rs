//! The plan: the difference between the settings as observed and as desired, in the order in which it is applied.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::settings::{Document, PolicyDocument, Setting, SettingKind, Settings};

/// One setting, before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// Which setting.
    pub setting: SettingKind,
    /// As it was observed.
    pub before: Setting,
    /// As it is to be; never unreadable.
    pub after: Setting,
    /// The measures that want it.
    pub measures: Vec<String>,
}

impl Change {
    /// Whether `seen` is as this change leaves the setting. Of access points only those count whose policy it changes and
    /// that are still there: others come and go while it is made.
    pub fn is_made(&self, seen: &Setting) -> bool {
        self.is_as(&self.after, seen)
    }

    /// The same of how it was observed.
    pub fn is_unmade(&self, seen: &Setting) -> bool {
        self.is_as(&self.before, seen)
    }

    /// Whether it takes more than one write, of which one may fail where another was made.
    pub fn takes_several_writes(&self) -> bool {
        match (self.before.access_points(), self.after.access_points()) {
            (Some(before), Some(after)) => before.changed(after).nth(1).is_some(),
            _ => false,
        }
    }

    /// Whether it writes a policy that S3 takes only as long as BlockPublicPolicy is off: one that still admits everybody.
    pub fn leaves_a_policy_public(&self) -> bool {
        let is_public =
            |policy: Option<&PolicyDocument>| policy.is_some_and(PolicyDocument::is_public);
        match (self.before.access_points(), self.after.access_points()) {
            (Some(before), Some(after)) => before
                .changed(after)
                .any(|(_, point)| point.vpc.is_none() && is_public(point.policy.as_ref())),
            _ => is_public(self.after.policy()),
        }
    }

    /// Whether it turns on the flag with which S3 takes no policy any more that admits everybody. Flags that could not be read
    /// may have had it on.
    pub fn turns_on_block_public_policy(&self) -> bool {
        match (&self.before, &self.after) {
            (Setting::Unreadable { .. }, _) => false,
            (before, Setting::Present(Document::PublicAccessBlock(after))) => {
                let was_on = matches!(before, Setting::Present(Document::PublicAccessBlock(before)) if before.block_public_policy);
                after.block_public_policy && !was_on
            }
            _ => false,
        }
    }

    fn is_as(&self, expected: &Setting, seen: &Setting) -> bool {
        match (
            self.before.access_points(),
            self.after.access_points(),
            expected.access_points(),
            seen.access_points(),
        ) {
            (Some(before), Some(after), Some(expected), Some(seen)) => {
                before.changed(after).all(|(name, _)| {
                    let seen = seen.0.get(name);
                    let expected = expected.0.get(name).map(|point| &point.policy);
                    seen.is_none_or(|seen| Some(&seen.policy) == expected)
                })
            }
            _ => seen == expected,
        }
    }
}

/// Ordered changes, at most one for a setting.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plan {
    /// The changes, in the order in which they are applied.
    pub changes: Vec<Change>,
}

impl Plan {
    /// The changes that turn `observed` into `desired`. What means the same to S3 is no change.
    pub fn diff(
        observed: &Settings,
        desired: &Settings,
        wanted_by: &BTreeMap<SettingKind, Vec<String>>,
    ) -> Self {
        let changes = desired.0.iter().filter_map(|(kind, after)| {
            let before = observed.get(*kind)?;
            (before != after).then(|| Change {
                setting: *kind,
                before: before.clone(),
                after: after.clone(),
                measures: wanted_by.get(kind).cloned().unwrap_or_default(),
            })
        });
        Self {
            changes: changes.collect(),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether it writes a policy that still admits everybody.
    pub fn leaves_a_policy_public(&self) -> bool {
        self.changes.iter().any(Change::leaves_a_policy_public)
    }

    /// Whether `other` changes nothing that this plan does not change to the same end. The evidence of this plan then
    /// serves `other` too, though some of it may be done already.
    pub fn covers(&self, other: &Plan) -> bool {
        other.changes.iter().all(|change| {
            self.changes
                .iter()
                .any(|mine| mine.setting == change.setting && mine.after == change.after)
        })
    }
}
