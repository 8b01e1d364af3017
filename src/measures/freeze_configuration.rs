//! `freeze-configuration`: the settings of the bucket stay as they are, for the actor or for everybody.

use super::document::statement_info;
use super::who::deny_actions;
use super::{Context, Disposition, Info, Stop, Tactic, Whom};
use crate::settings::Settings;

pub(super) const INFO: Info = statement_info(
    "freeze-configuration",
    Tactic::Harden,
    Disposition::Disruptive,
    "denies changes of the bucket's settings to the actor, or to everybody but break-glass",
);

/// What changes a bucket's settings. Whoever may delete or replace the policy can take our Deny away.
const CHANGES: [&str; 15] = [
    "s3:DeleteBucketPolicy",
    "s3:DeleteBucketWebsite",
    "s3:PutBucketAcl",
    "s3:PutBucketCORS",
    "s3:PutBucketLogging",
    "s3:PutBucketNotification",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutBucketWebsite",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
];

pub(super) fn amend(
    whom: Whom,
    context: &Context,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    deny_actions(
        "PortcullisFreezeConfiguration",
        &CHANGES,
        whom,
        context,
        desired,
    )
}
