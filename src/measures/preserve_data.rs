//! `preserve-data`: nothing that is there gets lost while the incident lasts.

use super::setting::{disable_rules, general_purpose, set_xml, xml};
use super::who::deny_actions;
use super::{Context, Disposition, Info, Stop, Tactic, Whom};
use crate::settings::{Element, SettingKind, Settings, XmlDocument};

pub(super) const INFO: Info = Info {
    name: "preserve-data",
    tactic: Tactic::Harden,
    disposition: Disposition::Disruptive,
    reads: &[
        SettingKind::Versioning,
        SettingKind::Lifecycle,
        SettingKind::BucketPolicy,
        SettingKind::PublicAccessBlock,
    ],
    amends: &[
        SettingKind::Versioning,
        SettingKind::Lifecycle,
        SettingKind::BucketPolicy,
    ],
    actions: &[
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketVersioning",
        "s3:GetLifecycleConfiguration",
        "s3:PutBucketPolicy",
        "s3:PutBucketVersioning",
        "s3:PutLifecycleConfiguration",
    ],
    summary: "denies deletions and what leads to them, enables versioning, and disables lifecycle rules that expire objects",
};

/// What destroys data, or clears the way to it. Whoever may delete or replace the policy can take our Deny away.
const DESTROYS: [&str; 13] = [
    "s3:AbortMultipartUpload",
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutObjectRetention",
    "s3:PutReplicationConfiguration",
];

/// Elements by which a lifecycle rule deletes objects, versions or what marks them as deleted.
const EXPIRING: [&str; 2] = ["Expiration", "NoncurrentVersionExpiration"];

pub(super) fn amend(
    whom: Whom,
    context: &Context,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    general_purpose(context, SettingKind::Versioning)?;
    let mut amended = desired.clone();
    let mut notes = deny_actions(
        "PortcullisPreserveData",
        &DESTROYS,
        whom,
        context,
        &mut amended,
    )?;
    notes.extend(amend_settings(&mut amended)?);
    *desired = amended;
    Ok(notes)
}

/// Has S3 keep the versions of objects, and switches off the lifecycle rules that expire any.
fn amend_settings(desired: &mut Settings) -> Result<Vec<String>, Stop> {
    let mut amended = desired.clone();
    let mut notes = keep_versions(&mut amended)?;
    let expires = |rule: &Element| EXPIRING.iter().any(|name| rule.child(name).is_some());
    let disabled = disable_rules(SettingKind::Lifecycle, expires, &mut amended)?;
    if !disabled.is_empty() {
        notes.push(format!(
            "lifecycle rules that expire objects are switched off with all that they do: {}",
            disabled.join(", ")
        ));
    }
    *desired = amended;
    Ok(notes)
}

fn keep_versions(desired: &mut Settings) -> Result<Vec<String>, Stop> {
    let kind = SettingKind::Versioning;
    let current = match xml(kind, desired)? {
        Some(current) => Ok(current),
        None => XmlDocument::new("VersioningConfiguration", ""),
    };
    let enabled = match current {
        Ok(current) if current.root().value("Status") == "Enabled" => return Ok(Vec::new()),
        Ok(current) if current.root().value("MfaDelete") == "Enabled" => {
            let note = "versioning stays suspended: MFA delete is on, so that only the root user can change it";
            return Ok(vec![note.to_owned()]);
        }
        Ok(current) => {
            let edit = match current.root().child("Status") {
                Some(status) => current.fill(status, "Enabled"),
                None => current.append(current.root(), "<Status>Enabled</Status>"),
            };
            current.with(vec![edit])
        }
        Err(error) => Err(error),
    };
    set_xml(kind, enabled, desired)?;
    Ok(Vec::new())
}
