//! `isolate`: everybody out but break-glass, Portcullis, AWS services and service-linked roles.

use std::collections::BTreeSet;

use super::bystanders::bystanders;
use super::directory::{every_action, is_directory};
use super::document::{add_deny, everyone_info};
use super::{Access, Context, Info, Stop, Tactic};
use crate::settings::Settings;
use crate::statements::{Deny, Test};

pub(super) const INFO: Info = everyone_info(
    "isolate",
    Tactic::Isolate,
    "denies everybody the data (or writes, or everything) but break-glass, Portcullis and AWS services",
);

/// Wildcards take in the `…Version` actions: a Deny of `s3:GetObject` alone leaves every older version readable.
const WRITES: [&str; 7] = [
    "s3:AbortMultipartUpload",
    "s3:BypassGovernanceRetention",
    "s3:DeleteObject*",
    "s3:ObjectOwnerOverrideToBucketOwner",
    "s3:PutObject*",
    "s3:Replicate*",
    "s3:RestoreObject",
];
const READS: [&str; 3] = [
    "s3:GetObject*",
    "s3:ListBucket*",
    "s3:ListMultipartUploadParts",
];

pub(super) fn amend(
    access: Access,
    context: &Context,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    let bucket_arn = context.bucket_arn()?;
    let named = |actions: &[&str]| actions.iter().map(|action| (*action).to_owned()).collect();
    let mut only = Vec::new();
    let actions: BTreeSet<String> = match access {
        Access::All => every_action(context),
        Access::Data if is_directory(context) => every_action(context),
        Access::Writes if is_directory(context) => {
            only.push(read_only());
            every_action(context)
        }
        Access::Data => named(&[READS.as_slice(), WRITES.as_slice()].concat()),
        Access::Writes => named(&WRITES),
    };
    let sid = match access {
        Access::Data => "PortcullisIsolateData",
        Access::Writes => "PortcullisIsolateWrites",
        Access::All => "PortcullisIsolateAll",
    };
    let deny = Deny {
        sid: sid.to_owned(),
        actions,
        hits: None,
        only,
        spare_services: true,
        spared: context.spared_with_service_linked(),
    };
    let notes = bystanders(context, desired)?;
    add_deny(&deny, &bucket_arn, context, desired)?;
    Ok(notes)
}

/// The key is absent where no mode is asked for. The test then holds as well, as it must: S3 tries ReadWrite first, and
/// ReadOnly if that is not permitted.
fn read_only() -> Test {
    Test {
        operator: "StringNotEquals",
        key: "s3express:SessionMode",
        values: BTreeSet::from(["ReadOnly".to_owned()]),
    }
}
