//! What bears on whether it was authorized, and does not decide it: a grant may be the owner's or the attacker's own.

use super::{ActorKind, ClassifiedActor};
use crate::enrichment::{Enrichment, Membership};
use crate::finding::{Bucket, Finding};
use crate::settings::{Settings, Statement};

/// The evidence, in words; nothing where the finding and what was read hold none.
pub(super) fn evidence(
    finding: &Finding,
    actors: &[ClassifiedActor],
    bucket: Option<&Bucket>,
    observed: &Settings,
    enrichment: &Enrichment,
) -> Vec<String> {
    let mut said = Vec::new();
    for (actor, classified) in finding.actors.iter().zip(actors) {
        if classified.kind == ActorKind::ExternalAccount {
            said.extend(grant_to(classified, bucket, observed));
        }
        let account = actor.account.as_deref().unwrap_or("of the caller");
        match actor.affiliated {
            Some(true) => said.push(format!(
                "GuardDuty says that account {account} belongs to the same GuardDuty administrator"
            )),
            Some(false) => said.push(format!(
                "GuardDuty says that account {account} is a stranger's to this GuardDuty administrator"
            )),
            None => {}
        }
        match enrichment.memberships.get(account) {
            Some(Membership::Member(id)) => {
                said.push(format!("account {account} is of organization {id}"));
            }
            Some(Membership::Outside) => said.push(format!(
                "account {account} is not of the organization that Portcullis's own account is of"
            )),
            Some(Membership::Unknown(why)) => said.push(format!(
                "whether account {account} is of a trusted organization is not known: {why}"
            )),
            None => {}
        }
    }
    let refused = finding.calls.iter().filter(|call| call.error.is_some());
    if !finding.calls.is_empty() && refused.count() == finding.calls.len() {
        said.push("every call that the finding names was refused".to_owned());
    }
    said.dedup();
    said
}

/// What the bucket policy grants to an actor of another account, in words; none where the policy was not read.
pub(super) fn grant_to(
    actor: &ClassifiedActor,
    bucket: Option<&Bucket>,
    observed: &Settings,
) -> Option<String> {
    let policy = observed.bucket_policy().ok()?;
    let (account, _) = (actor.account.as_deref()?, bucket?);
    let allows = || {
        let statements = policy.into_iter().flat_map(|policy| policy.statements());
        statements.filter(|statement| statement.effect() == "Allow")
    };
    let sid = |statement: &Statement| statement.sid().unwrap_or("without a Sid").to_owned();
    let naming = allows().find_map(|statement| {
        let principals = statement.aws_principals();
        let of_account = |principal: &&&str| {
            **principal == account || principal.split(':').nth(4) == Some(account)
        };
        let named = principals.iter().find(of_account)?;
        Some(format!(
            "statement {} of the bucket policy grants to {named}",
            sid(statement)
        ))
    });
    let public = || {
        let statement = allows().find(|statement| statement.is_public())?;
        Some(format!(
            "statement {} of the bucket policy grants to everybody, account {account} included",
            sid(statement)
        ))
    };
    let conditional = || {
        let statement = allows().find(|statement| statement.aws_principals().contains(&"*"))?;
        Some(format!(
            "no statement of the bucket policy names account {account}; statement {} grants to everybody who meets its condition",
            sid(statement)
        ))
    };
    let none = || {
        Some(format!(
            "no statement of the bucket policy grants to account {account}"
        ))
    };
    naming.or_else(public).or_else(conditional).or_else(none)
}
