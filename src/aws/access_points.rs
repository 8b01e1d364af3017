//! The policies of a bucket's access points, each read and written by a call of its own.

use aws_sdk_s3control::types::AccessPoint as Listed;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::settings::parse_policy;
use super::{Aws, AwsError, Meaning, Place};
use crate::settings::{AccessPoint, AccessPoints, Document, PolicyDocument};

/// How many policies are asked for at once: a bucket may have thousands of access points, and s3control throttles.
const AT_ONCE: usize = 8;
/// The access point was deleted.
const GONE: &str = "NoSuchAccessPoint";

/// Reads the access points that the bucket's own account has, with their policies. S3 shows those of other accounts to
/// their owners alone.
pub(super) async fn read(aws: &Aws, place: &Place) -> Result<Document, AwsError> {
    let s3control = aws.s3control(place);
    let request = s3control.list_access_points().account_id(&place.account);
    let mut pages = request.bucket(place.bucket()).into_paginator().send();
    let mut listed = Vec::new();
    while let Some(page) = pages.next().await {
        let page =
            page.map_err(|error| AwsError::new("ListAccessPoints", &place.name(), &error))?;
        listed.extend(page.access_point_list.unwrap_or_default());
    }
    let s3control = &s3control;
    let points = stream::iter(listed)
        .map(|listed| async move {
            let policy = match policy(s3control, place, listed.name()).await {
                Ok(policy) => policy,
                Err(error) if error.code == GONE => return Ok(None),
                Err(error) => return Err(error),
            };
            Ok(Some((
                listed.name().to_owned(),
                point(listed, place, policy),
            )))
        })
        .buffer_unordered(AT_ONCE);
    let points: Vec<Option<(String, AccessPoint)>> = points.try_collect().await?;
    let points = points.into_iter().flatten().collect();
    Ok(Document::AccessPointPolicies(AccessPoints(points)))
}

/// Writes the policies that differ from those in `before`; an access point that is gone has none to be written.
pub(super) async fn write(
    aws: &Aws,
    place: &Place,
    before: &AccessPoints,
    after: &AccessPoints,
) -> Result<(), AwsError> {
    let s3control = aws.s3control(place);
    let mut failed = None;
    for (name, point) in before.changed(after) {
        let written = match &point.policy {
            Some(policy) => {
                let request = s3control.put_access_point_policy();
                let request = request.account_id(&place.account).name(name);
                let answer = request.policy(policy.text()).send().await;
                answer.map(drop).map_err(|error| {
                    AwsError::new("PutAccessPointPolicy", &of(name, place), &error)
                })
            }
            None => {
                let request = s3control.delete_access_point_policy();
                let answer = request.account_id(&place.account).name(name).send().await;
                answer.map(drop).map_err(|error| {
                    AwsError::new("DeleteAccessPointPolicy", &of(name, place), &error)
                })
            }
        };
        match written {
            Ok(()) => {}
            Err(error) if error.code == GONE || error.meaning == Meaning::NotConfigured => {}
            // One that fails keeps none of the others open.
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn policy(
    s3control: &aws_sdk_s3control::Client,
    place: &Place,
    name: &str,
) -> Result<Option<PolicyDocument>, AwsError> {
    let operation = "GetAccessPointPolicy";
    let request = s3control.get_access_point_policy();
    let answer = request.account_id(&place.account).name(name).send().await;
    match answer.map_err(|error| AwsError::new(operation, &of(name, place), &error)) {
        Ok(answer) => {
            let text = answer.policy().unwrap_or_default();
            parse_policy(text, operation, &of(name, place)).map(Some)
        }
        Err(error) if error.meaning == Meaning::NotConfigured => Ok(None),
        Err(error) => Err(error),
    }
}

fn point(listed: Listed, place: &Place, policy: Option<PolicyDocument>) -> AccessPoint {
    let Place {
        account,
        region,
        partition,
        ..
    } = place;
    let arn = || {
        let name = listed.name();
        format!("arn:{partition}:s3:{region}:{account}:accesspoint/{name}")
    };
    AccessPoint {
        arn: listed.access_point_arn().map_or_else(arn, str::to_owned),
        vpc: listed
            .vpc_configuration()
            .map(|vpc| vpc.vpc_id().to_owned()),
        policy,
    }
}

fn of(name: &str, place: &Place) -> String {
    format!("access point {name} of account {}", place.account)
}
