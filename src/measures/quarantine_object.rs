//! `quarantine-object`: the finding's objects, and whatever GuardDuty has tagged as a threat, can not be read.

use std::collections::BTreeSet;

use super::document::{add_deny, statement_info};
use super::{Context, Disposition, Info, Stop, Tactic};
use crate::guard::Guard;
use crate::settings::Settings;
use crate::statements::{By, Deny, Hits};

pub(super) const INFO: Info = statement_info(
    "quarantine-object",
    Tactic::Isolate,
    Disposition::Safe,
    "denies reads of the finding's objects, in every version, and of objects that GuardDuty has tagged as a threat",
);

const TAG: By = By::Condition(
    "StringEquals",
    "s3:ExistingObjectTag/GuardDutyMalwareScanStatus",
);
const READS: [&str; 2] = ["s3:GetObject", "s3:GetObjectVersion"];

pub(super) fn amend(context: &Context, desired: &mut Settings) -> Result<Vec<String>, Stop> {
    let bucket_arn = context.bucket_arn()?;
    let objects = context
        .bucket
        .map(|bucket| bucket.objects.as_slice())
        .unwrap_or_default();
    let keys: BTreeSet<String> = objects.iter().map(|object| literal(&object.key)).collect();
    if keys.is_empty() {
        return Err(Stop::new(
            Guard::NoObject,
            "the finding names no object of the bucket",
        ));
    }
    let tag = BTreeSet::from(["THREATS_FOUND".to_owned()]);
    let mut amended = desired.clone();
    for (sid, by, values) in [
        ("PortcullisQuarantineObject", By::Object, keys),
        ("PortcullisQuarantineTagged", TAG, tag),
    ] {
        let deny = Deny {
            sid: sid.to_owned(),
            actions: READS.iter().map(|action| (*action).to_owned()).collect(),
            hits: Some(Hits { by, values }),
            only: Vec::new(),
            spare_services: false,
            spared: context.spared_with_service_linked(),
        };
        add_deny(&deny, &bucket_arn, context, &mut amended)?;
    }
    *desired = amended;
    Ok(Vec::new())
}

/// A key in a Resource: what would be a wildcard or a variable there stands for one character, which takes in the key itself.
fn literal(key: &str) -> String {
    key.replace(['*', '$'], "?")
}
