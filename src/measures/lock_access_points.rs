//! `lock-access-points`: what the bucket policy denies, denied by the policies of access points as well.
//!
//! A Deny of the bucket policy hits requests through access points, too. The copies hold where somebody can change the
//! bucket policy and not those of access points.

use super::directory::is_directory;
use super::document::{Holder, acceptable, spares_who_must_stay};
use super::setting::unreadable;
use super::{Context, Disposition, Info, Stop, Tactic};
use crate::guard::Guard;
use crate::settings::{
    AccessPoint, AccessPoints, Document, PolicyDocument, SettingKind, Settings, Statement,
};
use crate::statements::Deny;

pub(super) const INFO: Info = Info {
    name: "lock-access-points",
    tactic: Tactic::Isolate,
    // It takes nothing that the bucket policy leaves.
    disposition: Disposition::Safe,
    reads: &[
        SettingKind::BucketPolicy,
        SettingKind::AccessPointPolicies,
        SettingKind::PublicAccessBlock,
    ],
    amends: &[SettingKind::AccessPointPolicies],
    actions: &[
        "s3:DeleteAccessPointPolicy",
        "s3:GetAccessPointPolicy",
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:ListAccessPoints",
        "s3:PutAccessPointPolicy",
    ],
    summary: "copies Portcullis's statements of the bucket policy to the access points whose policies admit others than the account",
};

/// How the names of actions begin that there are for access points and the objects behind them. S3 refuses a statement
/// with an action that goes with none of its resources.
const THROUGH_ACCESS_POINTS: [&str; 9] = [
    "s3:*",
    "s3:AbortMultipartUpload",
    "s3:BypassGovernanceRetention",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:RestoreObject",
];

pub(super) fn amend(context: &Context, desired: &mut Settings) -> Result<Vec<String>, Stop> {
    let bucket_arn = context.bucket_arn()?;
    if is_directory(context) {
        let why = "the access points of a directory bucket are another kind, which this version does not know";
        return Err(Stop::new(Guard::DirectoryBucket, why));
    }
    let policy = desired.bucket_policy().map_err(unreadable)?;
    let points = desired.access_points().map_err(unreadable)?;
    let copies: Vec<Deny> = statements(policy)
        .iter()
        .filter_map(|statement| Deny::parse(statement, &bucket_arn))
        .filter_map(|deny| copy(deny, context))
        .collect();
    if copies.is_empty() {
        let note = "the bucket policy holds no statement of Portcullis that is about requests through access points: give the \
                    rule a measure that denies";
        return Ok(vec![note.to_owned()]);
    }
    let mut amended = points.clone();
    let (mut locked, mut skipped) = (0, Vec::new());
    for (name, point) in open(points, context) {
        match with_copies(&copies, name, point, context, desired) {
            Ok(policy) => {
                locked += 1;
                if let Some(point) = amended.0.get_mut(name) {
                    point.policy = Some(policy);
                }
            }
            Err(stop) => skipped.push((name, stop)),
        }
    }
    if locked == 0 {
        return match skipped.into_iter().next() {
            Some((_, stop)) => Err(stop),
            None => Ok(vec![
                "no access point of the bucket has a policy that admits anybody outside the account".to_owned(),
            ]),
        };
    }
    let notes = skipped
        .into_iter()
        .map(|(name, Stop { guard, why })| {
            format!("access point {name} is not locked ({guard}): {why}")
        })
        .collect();
    if amended != *points {
        desired.set(
            SettingKind::AccessPointPolicies,
            Document::AccessPointPolicies(amended),
        );
    }
    Ok(notes)
}

/// The statement as access points take it; none where it is about the bucket's settings alone. Whom an older statement
/// does not spare yet, the copy spares.
fn copy(deny: Deny, context: &Context) -> Option<Deny> {
    let mut copy = deny;
    let goes_through = |action: &String| {
        let begins = |name: &&str| action.starts_with(name);
        THROUGH_ACCESS_POINTS.iter().any(begins)
    };
    copy.actions.retain(goes_through);
    copy.spared.extend(context.spared.iter().cloned());
    (!copy.actions.is_empty()).then_some(copy)
}

/// The access points whose policies let somebody of another account in.
fn open<'a>(
    points: &'a AccessPoints,
    context: &Context,
) -> impl Iterator<Item = (&'a str, &'a AccessPoint)> {
    let account = context.bucket.map_or("", |bucket| &bucket.account);
    points.0.iter().filter_map(move |(name, point)| {
        let mut statements = statements(point.policy.as_ref()).iter();
        let admits = statements.any(|statement| statement.admits_outside(account));
        admits.then_some((name.as_str(), point))
    })
}

/// The access point's policy with the copies in it.
fn with_copies(
    copies: &[Deny],
    name: &str,
    point: &AccessPoint,
    context: &Context,
    desired: &Settings,
) -> Result<PolicyDocument, Stop> {
    let mut amended = point.policy.clone();
    for copy in copies {
        spares_who_must_stay(copy, context)?;
        amended = Some(copy.amend(amended.as_ref(), &point.arn));
    }
    let amended = amended.unwrap_or_else(|| PolicyDocument::new(Vec::new()));
    if point.policy.as_ref() != Some(&amended) {
        acceptable(&amended, Holder::AccessPoint(name, point), desired)?;
    }
    Ok(amended)
}

fn statements(policy: Option<&PolicyDocument>) -> &[Statement] {
    policy.map_or(&[], PolicyDocument::statements)
}
