//! `block-public-access`: the bucket's four flags, turned on and never off.

use std::collections::BTreeMap;

use super::{Context, Disposition, Flag, Info, Stop, Tactic};
use crate::guard::Guard;
use crate::plan::Plan;
use crate::settings::{Document, PublicAccessBlock, Setting, SettingKind, Settings};

pub(super) const INFO: Info = Info {
    name: "block-public-access",
    tactic: Tactic::Harden,
    disposition: Disposition::Safe,
    reads: &[SettingKind::PublicAccessBlock],
    amends: &[SettingKind::PublicAccessBlock],
    actions: &[
        "s3:GetBucketPublicAccessBlock",
        "s3:PutBucketPublicAccessBlock",
    ],
    summary: "turns on the bucket's Block Public Access flags, all four by default, and never turns one off",
};

pub(super) fn amend(
    flags: &[Flag],
    context: &Context,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    match context.bucket {
        None => {
            return Err(Stop::new(
                Guard::WrongTarget,
                "the finding is about the account and names no bucket",
            ));
        }
        Some(bucket) if bucket.directory => {
            let why =
                "a directory bucket always blocks public access, and S3 lets nobody change that";
            return Err(Stop::new(Guard::DirectoryBucket, why));
        }
        Some(_) => {}
    }
    turn_on(SettingKind::PublicAccessBlock, flags, context, desired)
}

/// Turns `flags` on. Flags that cannot be read are all turned on: that can only tighten, and whoever exposed the bucket may
/// also have denied us the read.
pub(super) fn turn_on(
    kind: SettingKind,
    flags: &[Flag],
    context: &Context,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    let current = match desired.public_access_block(kind) {
        Ok(current) => current,
        // Without an attempt to read them there is no evidence, and nothing to compare with.
        Err(unknown) if desired.get(kind).is_none() => {
            return Err(Stop::new(Guard::Unreadable, unknown.to_string()));
        }
        Err(unknown) => {
            let note = format!(
                "{unknown}; all four flags are turned on all the same, and rollback leaves them to a person"
            );
            desired.set(kind, Document::PublicAccessBlock(PublicAccessBlock::ALL));
            return Ok(vec![note]);
        }
    };
    let waits = until(context, desired).filter(|_| !current.block_public_policy);
    let mut wanted = current;
    for flag in flags {
        match flag {
            Flag::BlockPublicAcls => wanted.block_public_acls = true,
            Flag::IgnorePublicAcls => wanted.ignore_public_acls = true,
            Flag::BlockPublicPolicy => wanted.block_public_policy = true,
            Flag::RestrictPublicBuckets => wanted.restrict_public_buckets = true,
        }
    }
    let mut notes = Vec::new();
    if let (Some(until), true) = (waits, wanted.block_public_policy) {
        wanted.block_public_policy = false;
        notes.push(format!(
            "block-public-policy waits until {until}: with it on, S3 takes no policy that still admits everybody"
        ));
    }
    if wanted != current {
        desired.set(kind, Document::PublicAccessBlock(wanted));
    }
    Ok(notes)
}

/// What BlockPublicPolicy waits for: a policy that the rule asks for more in, and that cannot be read or was not taken. With the
/// flag on, S3 would refuse it to every later delivery, as long as it still admits everybody; RestrictPublicBuckets closes it
/// until then.
fn until(context: &Context, desired: &Settings) -> Option<&'static str> {
    let policy = desired.get(SettingKind::BucketPolicy);
    if context.writes_policy && matches!(policy, Some(Setting::Unreadable { .. })) {
        return Some("the bucket policy can be read");
    }
    let stays_public = || {
        let plan = Plan::diff(context.observed, desired, &BTreeMap::new());
        plan.leaves_a_policy_public()
    };
    (context.policy_refused && stays_public()).then_some("the policy is written")
}
