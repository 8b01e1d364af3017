//! `isolate`: everybody out but break-glass, Portcullis, AWS services and service-linked roles.

use std::collections::BTreeSet;

use super::bystanders::bystanders;
use super::document::{add_deny, everyone_info};
use super::{Access, Context, Info, Stop, Tactic};
use crate::settings::Settings;
use crate::statements::Deny;

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
    let actions: Vec<&str> = match access {
        Access::Data => [READS.as_slice(), WRITES.as_slice()].concat(),
        Access::Writes => WRITES.to_vec(),
        Access::All => vec!["s3:*"],
    };
    let sid = match access {
        Access::Data => "PortcullisIsolateData",
        Access::Writes => "PortcullisIsolateWrites",
        Access::All => "PortcullisIsolateAll",
    };
    let deny = Deny {
        sid: sid.to_owned(),
        actions: actions
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>(),
        hits: None,
        only: Vec::new(),
        spare_services: true,
        spared: context.spared_with_service_linked(),
    };
    let notes = bystanders(context, desired)?;
    add_deny(&deny, &bucket_arn, context, desired)?;
    Ok(notes)
}
