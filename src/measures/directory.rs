//! Directory buckets: the one action that their policies know, and what they lack.

use std::collections::BTreeSet;

use super::Context;
use super::Stop;
use crate::guard::Guard;
use crate::settings::SettingKind;
use crate::statements::Deny;

/// Objects of a directory bucket are reached with the credentials of a session, which this action gives out.
const CREATE_SESSION: &str = "s3express:CreateSession";

/// Every action that a policy of the bucket can deny.
pub(super) fn every_action(context: &Context) -> BTreeSet<String> {
    let all = match is_directory(context) {
        true => CREATE_SESSION,
        false => "s3:*",
    };
    BTreeSet::from([all.to_owned()])
}

/// Whether the bucket is one.
pub(super) fn is_directory(context: &Context) -> bool {
    context.bucket.is_some_and(|bucket| bucket.directory)
}

/// Stops a statement that S3 would refuse in the policy of a directory bucket.
pub(super) fn knows(deny: &Deny, context: &Context) -> Result<(), Stop> {
    match is_directory(context) && deny.actions != every_action(context) {
        true => {
            let why = "the policy of a directory bucket can deny s3express:CreateSession alone: none of the actions and \
                       requests that this measure is about";
            Err(Stop::new(Guard::DirectoryBucket, why))
        }
        false => Ok(()),
    }
}

/// What is worth telling of a measure that amends the policy of a directory bucket.
pub(super) fn note(amends: &[SettingKind], context: &Context) -> Option<String> {
    let note = "sessions that were created before go on for up to 5 minutes, for S3 asks the policy of a directory bucket only \
                when one is created";
    let told = is_directory(context) && amends.contains(&SettingKind::BucketPolicy);
    told.then(|| note.to_owned())
}
