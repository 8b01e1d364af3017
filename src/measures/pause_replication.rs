//! `pause-replication`: no rule copies objects, or what was done to them, to other buckets.

use super::setting::{disable_rules, general_purpose};
use super::{Context, Disposition, Info, Stop, Tactic};
use crate::settings::{SettingKind, Settings};

pub(super) const INFO: Info = Info {
    name: "pause-replication",
    tactic: Tactic::Isolate,
    disposition: Disposition::Disruptive,
    reads: &[SettingKind::Replication],
    amends: &[SettingKind::Replication],
    // Whoever writes a replication configuration hands its role to S3.
    actions: &[
        "iam:PassRole",
        "s3:GetReplicationConfiguration",
        "s3:PutReplicationConfiguration",
    ],
    summary: "sets every replication rule of the bucket to Disabled and deletes none",
};

pub(super) fn amend(context: &Context, desired: &mut Settings) -> Result<Vec<String>, Stop> {
    general_purpose(context, SettingKind::Replication)?;
    let paused = disable_rules(SettingKind::Replication, |_| true, desired)?;
    let note =
        "objects that are written meanwhile are not copied later; S3 Batch Replication does that";
    Ok(match paused.is_empty() {
        true => Vec::new(),
        false => vec![note.to_owned()],
    })
}
