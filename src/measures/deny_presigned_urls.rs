//! `deny-presigned-urls`: links that were signed before, all of them or those older than a duration.

use std::collections::BTreeSet;

use super::document::{add_deny, statement_info};
use super::{Age, Context, Disposition, Info, Stop, Tactic};
use crate::settings::Settings;
use crate::statements::{Deny, Test};

pub(super) const INFO: Info = statement_info(
    "deny-presigned-urls",
    Tactic::Isolate,
    Disposition::Disruptive,
    "denies requests that are signed in the query string or a POST form, or only signatures older than a duration",
);

pub(super) fn amend(
    older_than: Option<Age>,
    context: &Context,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    let bucket_arn = context.bucket_arn()?;
    let test = |operator, key, values: &[&str]| Test {
        operator,
        key,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let only = match older_than {
        // In milliseconds. Signatures of version 2 always have the age 0.
        Some(age) => test(
            "NumericGreaterThan",
            "s3:signatureAge",
            &[&age.milliseconds().to_string()],
        ),
        // The documentation does not agree with itself on the case of the values.
        None => test(
            "StringEqualsIgnoreCase",
            "s3:authType",
            &["POST", "REST-QUERY-STRING"],
        ),
    };
    let deny = Deny {
        sid: "PortcullisDenyPresignedUrls".to_owned(),
        actions: BTreeSet::from(["s3:*".to_owned()]),
        hits: None,
        only: vec![only],
        spare_services: false,
        spared: context.spared.clone(),
    };
    add_deny(&deny, &bucket_arn, context, desired)?;
    Ok(Vec::new())
}
