//! The way in.

use super::evidence::grant_to;
use super::{AccessPath, ActorKind, ClassifiedActor, Reasoned};
use crate::finding::{Bucket, Finding, UserType};
use crate::settings::Settings;

/// Types of finding, by their beginning, that are about a change of settings.
const CHANGES: [&str; 4] = [
    "Policy:S3/",
    "Stealth:S3/",
    "DefenseImpairment:S3/",
    "Impact:S3/AnomalousBehavior.Permission",
];

pub(super) fn access_path(
    finding: &Finding,
    actors: &[ClassifiedActor],
    bucket: Option<&Bucket>,
    observed: &Settings,
) -> Reasoned<AccessPath> {
    let kind = finding.kind.as_str();
    if kind.contains("MaliciousFile") {
        return Reasoned::new(
            AccessPath::MaliciousObject,
            "the finding is about an object that is malware",
        );
    }
    if actors
        .iter()
        .any(|actor| actor.kind == ActorKind::Anonymous)
    {
        return anonymous(finding, observed);
    }
    if CHANGES.iter().any(|prefix| kind.starts_with(prefix)) || finding.detection_rule.is_some() {
        return Reasoned::new(
            AccessPath::ConfigurationChange,
            "the finding is about a change of settings",
        );
    }
    if kind.contains("InstanceCredentialExfiltration") {
        return Reasoned::new(
            AccessPath::InstanceCredentials,
            "GuardDuty saw the credentials of an EC2 instance used away from it",
        );
    }
    if let Some((actor, id)) = finding
        .actors
        .iter()
        .find_map(|actor| Some((actor, actor.instance_of_session()?)))
    {
        let where_from = match &actor.instance {
            Some(_) => "which the finding names, too",
            None => {
                "and the finding does not say that the call came from it: the credentials may be used away from the instance"
            }
        };
        return Reasoned::new(
            AccessPath::InstanceCredentials,
            format!("the session is that of EC2 instance {id}, {where_from}"),
        );
    }
    if let Some(actor) = actors
        .iter()
        .find(|actor| actor.kind == ActorKind::ExternalAccount)
    {
        let because = match grant_to(actor, bucket, observed) {
            Some(grant) => format!("the caller belongs to another account; {grant}"),
            None => "the caller belongs to another account".to_owned(),
        };
        return Reasoned::new(AccessPath::CrossAccountGrant, because);
    }
    match finding.actors.first().map(|actor| actor.user_type) {
        Some(UserType::Unknown | UserType::AwsService | UserType::AwsAccount) | None => {
            Reasoned::new(
                AccessPath::Unknown,
                "the finding does not say how the caller got in",
            )
        }
        Some(_) => Reasoned::new(
            AccessPath::CompromisedIdentity,
            "the caller signed as an identity of the account",
        ),
    }
}

fn anonymous(finding: &Finding, observed: &Settings) -> Reasoned<AccessPath> {
    if finding
        .calls
        .iter()
        .any(|call| call.api == "PreflightRequest")
    {
        return Reasoned::new(
            AccessPath::Cors,
            "a browser's preflight request was anonymous",
        );
    }
    let by_acl = observed.acl().is_ok_and(|acl| acl.is_public());
    let by_policy = matches!(observed.bucket_policy(), Ok(Some(policy)) if policy.is_public());
    match (by_policy, by_acl) {
        (false, true) => Reasoned::new(
            AccessPath::PublicAcl,
            "the caller was anonymous and the ACL admits everybody",
        ),
        (true, _) => Reasoned::new(
            AccessPath::PublicPolicy,
            "the caller was anonymous and the policy admits everybody",
        ),
        (false, false) => Reasoned::new(
            AccessPath::Unknown,
            "the caller was anonymous; no grant to everybody was seen",
        ),
    }
}
