//! Whom a Deny can name: the finding's actors, by their unique ids, their account or their anonymity.
//!
//! Ids, not ARNs: GuardDuty gives the id and not the role's path, and an id is never given to another principal.

use std::collections::BTreeSet;

use super::document::add_deny;
use super::{Context, Scope, Stop, Whom};
use crate::classification::{ActorKind, Authorization, ClassifiedActor};
use crate::guard::Guard;
use crate::settings::Settings;
use crate::statements::{By, Deny, Hits};

/// The actors of a finding as statements name them.
pub(super) struct Named {
    /// What ends the Sid, and what the statement hits; one for each condition key, for the keys of one statement must all match.
    pub(super) hits: Vec<(&'static str, Hits)>,
    /// Who is not named, and why.
    pub(super) notes: Vec<String>,
}

/// Denies `actions` to the finding's actors, or to everybody.
pub(super) fn deny_actions(
    sid: &str,
    actions: &[&str],
    whom: Whom,
    context: &Context,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    let bucket_arn = context.bucket_arn()?;
    let (hits, notes) = match whom {
        Whom::Everyone => (vec![("", None)], Vec::new()),
        Whom::Actor => {
            let named = self::actors(Scope::Identity, context)?;
            (
                named
                    .hits
                    .into_iter()
                    .map(|(suffix, hits)| (suffix, Some(hits)))
                    .collect(),
                named.notes,
            )
        }
    };
    let mut amended = desired.clone();
    for (suffix, hits) in hits {
        let everyone = hits.is_none();
        let deny = Deny {
            sid: format!("{sid}{}{suffix}", if everyone { "" } else { "ForActor" }),
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            hits,
            only: Vec::new(),
            spare_services: everyone,
            spared: if everyone {
                context.spared_with_service_linked()
            } else {
                context.spared.clone()
            },
        };
        add_deny(&deny, &bucket_arn, context, &mut amended)?;
    }
    *desired = amended;
    Ok(notes)
}

/// Names every actor that may be named; stops where there is none.
pub(super) fn actors(scope: Scope, context: &Context) -> Result<Named, Stop> {
    let mut named: Vec<(&'static str, Hits)> = Vec::new();
    let mut skipped: Vec<Stop> = Vec::new();
    for actor in &context.classification.actors {
        match hits(actor, scope, context) {
            Ok((suffix, hits)) => match named.iter_mut().find(|(other, _)| *other == suffix) {
                Some((_, known)) => known.values.extend(hits.values),
                None => named.push((suffix, hits)),
            },
            Err(stop) => skipped.push(stop),
        }
    }
    if named.is_empty() {
        let none = || Stop::new(Guard::NoActor, "the finding names no actor");
        return Err(skipped.into_iter().next().unwrap_or_else(none));
    }
    let notes = skipped
        .into_iter()
        .map(|stop| format!("one actor is not denied ({}): {}", stop.guard, stop.why));
    Ok(Named {
        hits: named,
        notes: notes.collect(),
    })
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
        by: By::Condition(operator, key),
        values: BTreeSet::from([value]),
    };
    match actor.kind {
        ActorKind::AwsService => Err(Stop::new(
            Guard::AwsServiceActor,
            format!("{label} is an AWS service, which acts for somebody else"),
        )),
        ActorKind::Anonymous => Ok((
            "Anonymous",
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
                    "Account",
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
                Ok(("", one("StringLike", "aws:userid", value)))
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
