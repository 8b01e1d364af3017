//! `deny-actor`: the actor's unique id, account or anonymity, denied everything on the bucket.
//!
//! Ids, not ARNs: GuardDuty gives the id and not the role's path, and an id is never given to another principal.

use std::collections::BTreeSet;

use super::document::add_deny;
use super::{Context, Disposition, Info, Scope, Stop, Tactic};
use crate::classification::{ActorKind, Authorization, ClassifiedActor};
use crate::guard::Guard;
use crate::settings::{SettingKind, Settings};
use crate::statements::{Deny, Hits};

pub(super) const INFO: Info = Info {
    name: "deny-actor",
    tactic: Tactic::Evict,
    disposition: Disposition::Safe,
    reads: &[SettingKind::BucketPolicy, SettingKind::PublicAccessBlock],
    amends: &[SettingKind::BucketPolicy],
    actions: &[
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:PutBucketPolicy",
    ],
    summary: "denies the finding's actor every S3 action on the bucket, by unique id (session, identity) or account",
};

pub(super) fn amend(
    scope: Scope,
    context: &Context,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    let bucket_arn = context.bucket_arn()?;
    let mut denies: Vec<Deny> = Vec::new();
    let mut skipped: Vec<Stop> = Vec::new();
    for actor in &context.classification.actors {
        match hits(actor, scope, context) {
            Ok((sid, hits)) => match denies.iter_mut().find(|deny| deny.sid == sid) {
                Some(deny) => deny
                    .hits
                    .iter_mut()
                    .for_each(|known| known.values.extend(hits.values.clone())),
                None => denies.push(Deny {
                    sid: sid.to_owned(),
                    actions: BTreeSet::from(["s3:*".to_owned()]),
                    hits: Some(hits),
                    spare_services: false,
                    spared: context.spared.clone(),
                }),
            },
            Err(stop) => skipped.push(stop),
        }
    }
    if denies.is_empty() {
        let none = || Stop::new(Guard::NoActor, "the finding names no actor");
        return Err(skipped.into_iter().next().unwrap_or_else(none));
    }
    let mut amended = desired.clone();
    for deny in &denies {
        add_deny(deny, &bucket_arn, context, &mut amended)?;
    }
    *desired = amended;
    Ok(skipped
        .into_iter()
        .map(|stop| format!("one actor is not denied ({}): {}", stop.guard, stop.why))
        .collect())
}

fn hits(
    actor: &ClassifiedActor,
    scope: Scope,
    context: &Context,
) -> Result<(&'static str, Hits), Stop> {
    let label = actor.label();
    if actor.own {
        return Err(Stop::new(
            Guard::OwnActivity,
            format!("{label} is Portcullis itself"),
        ));
    }
    if let Some(pattern) = &actor.break_glass {
        let why = format!(
            "{label} is break-glass ({pattern}), which nothing that Portcullis writes may lock out"
        );
        return Err(Stop::new(Guard::BreakGlass, why));
    }
    if actor.authorization == Authorization::Authorized {
        return Err(Stop::new(
            Guard::Authorized,
            format!("{label} is in trusted"),
        ));
    }
    let one = |operator, key, value: String| Hits {
        operator,
        key,
        values: BTreeSet::from([value]),
    };
    match actor.kind {
        ActorKind::AwsService => Err(Stop::new(
            Guard::AwsServiceActor,
            format!("{label} is an AWS service, which acts for somebody else"),
        )),
        ActorKind::Anonymous => Ok((
            "PortcullisDenyActorAnonymous",
            one("StringEquals", "aws:PrincipalType", "Anonymous".to_owned()),
        )),
        ActorKind::Root => {
            let why = "the actor is the account's root user, the last that can undo a bucket policy and the one that no \
                       bucket policy keeps from changing it; secure root itself";
            Err(Stop::new(Guard::BreakGlass, why))
        }
        _ => match (scope, &actor.account) {
            (Scope::Account, Some(account))
                if Some(account) != context.bucket.map(|bucket| &bucket.account) =>
            {
                Ok((
                    "PortcullisDenyActorAccount",
                    one("StringEquals", "aws:PrincipalAccount", account.clone()),
                ))
            }
            (Scope::Account, account) => {
                let account = account.as_deref().unwrap_or("unknown to the finding");
                let why = format!(
                    "the account of {label} is {account}: only an account other than the bucket's is denied whole"
                );
                Err(Stop::new(Guard::NoActor, why))
            }
            (Scope::Session | Scope::Identity, _) => {
                let value = userid(actor, scope).ok_or_else(|| {
                    let given = actor.principal_id.as_deref().unwrap_or("none");
                    let why = format!("the principal id of {label} ({given}) is not one that a bucket policy can name");
                    Stop::new(Guard::NoActor, why)
                })?;
                Ok((
                    "PortcullisDenyActor",
                    one("StringLike", "aws:userid", value),
                ))
            }
        },
    }
}

/// The value of `aws:userid` that the actor's requests carry. Principal ids come from the event: nothing that could act as
/// a wildcard or a policy variable gets through.
fn userid(actor: &ClassifiedActor, scope: Scope) -> Option<String> {
    let id = actor.principal_id.as_deref()?;
    let (principal, session) = match id.split_once(':') {
        Some((principal, session)) => (principal, Some(session)),
        None => (id, None),
    };
    let is_unique_id = principal.len() >= 16
        && principal.starts_with('A')
        && principal
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let is_account = principal.len() == 12 && principal.chars().all(|c| c.is_ascii_digit());
    let is_session = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c))
    };
    match (session, scope) {
        (None, _) if is_unique_id && principal.starts_with("AROA") => {
            Some(format!("{principal}:*"))
        }
        (None, _) if is_unique_id || is_account => Some(principal.to_owned()),
        (Some(session), _) if is_account && is_session(session) => Some(id.to_owned()),
        (Some(session), Scope::Session) if is_unique_id && is_session(session) => {
            Some(id.to_owned())
        }
        (Some(session), _) if is_unique_id && is_session(session) => Some(format!("{principal}:*")),
        _ => None,
    }
}
