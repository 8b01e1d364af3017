//! Who acted, whether the team trusts them, and whether they are among those who may never be locked out.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use super::{ActorKind, Authorization, Own};
use crate::enrichment::{Enrichment, Membership};
use crate::finding::{Actor, Bucket, Finding, UserType};
use crate::policy::Policy;

/// One actor, with what follows from the policy file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClassifiedActor {
    /// The kind; `external-account` wins over the kind of identity.
    pub kind: ActorKind,
    /// User or role name, or the service.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The unique id, as `aws:userid` has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub principal_id: Option<String>,
    /// The account it belongs to, where known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<String>,
    /// Whether this actor is trusted.
    pub authorization: Authorization,
    /// Why.
    pub because: String,
    /// The break-glass pattern that it matches, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub break_glass: Option<String>,
    /// Whether it is Portcullis itself.
    pub own: bool,
}

impl ClassifiedActor {
    /// The actor in a sentence.
    pub fn label(&self) -> String {
        match (&self.name, &self.principal_id) {
            (Some(name), _) => format!("{} {name}", self.kind),
            (None, Some(id)) => format!("{} {id}", self.kind),
            (None, None) => format!("{} actor", self.kind),
        }
    }
}

/// The break-glass patterns as they hold for a target of `account`.
///
/// A pattern with a wildcard for its account means the accounts that the team is known to have: the target's, our own and
/// the trusted ones. Taken literally it would spare a role of that name in an attacker's account.
pub fn break_glass(policy: &Policy, own: &Own, account: &str) -> Vec<String> {
    let known: BTreeSet<&str> = std::iter::once(account)
        .chain(own.account.as_deref())
        .chain(policy.trusted.accounts.iter().map(String::as_str))
        .collect();
    let resolved = policy.break_glass.iter().flat_map(|pattern| {
        let parts: Vec<&str> = pattern.splitn(6, ':').collect();
        match parts[..] {
            ["arn", partition, "iam", "", accounts, resource] if accounts.contains(['*', '?']) => {
                let ours = known
                    .iter()
                    .filter(|account| WildMatch::new(accounts).matches(account));
                let ours: Vec<String> = ours
                    .map(|account| format!("arn:{partition}:iam::{account}:{resource}"))
                    .collect();
                // Better a pattern that is too wide than a break-glass role that is shut out.
                if ours.is_empty() {
                    vec![pattern.clone()]
                } else {
                    ours
                }
            }
            _ => vec![pattern.clone()],
        }
    });
    resolved.collect::<BTreeSet<String>>().into_iter().collect()
}

pub(super) fn classify(
    actor: &Actor,
    finding: &Finding,
    bucket: Option<&Bucket>,
    enrichment: &Enrichment,
    policy: &Policy,
    own: &Own,
) -> ClassifiedActor {
    let account = bucket.map_or(&finding.account, |bucket| &bucket.account);
    let kind = kind(actor, account);
    let candidates = arns(actor, finding);
    let matching = |patterns: &[String], doubt: Doubt| {
        patterns
            .iter()
            .find(|pattern| {
                candidates
                    .iter()
                    .any(|candidate| candidate.matches(pattern, doubt))
            })
            .cloned()
    };
    let trusted_account = actor
        .account
        .as_ref()
        .filter(|account| policy.trusted.accounts.contains(account));
    let trusted_organization = || {
        let account = actor
            .account
            .as_ref()
            .filter(|_| kind == ActorKind::ExternalAccount)?;
        let Membership::Member(id) = enrichment.memberships.get(account)? else {
            return None;
        };
        let trusted = policy.trusted.organizations.contains(id);
        trusted.then(|| {
            format!("account {account} is of organization {id}, which is in trusted.organizations")
        })
    };
    let pattern = matching(&policy.trusted.principals, Doubt::No);
    // As it is written, a pattern matches all that it matches as it holds for the target.
    let break_glass = matching(&policy.break_glass, Doubt::Yes)
        .and_then(|_| matching(&break_glass(policy, own, account), Doubt::Yes));
    let trust = pattern
        .map(|pattern| format!("{pattern} is in trusted.principals"))
        .or_else(|| {
            Some(format!(
                "account {} is in trusted.accounts",
                trusted_account?
            ))
        })
        .or_else(trusted_organization);
    let (authorization, because) = match trust {
        Some(because) => (Authorization::Authorized, because),
        None => (Authorization::Undetermined, "not in trusted".to_owned()),
    };
    ClassifiedActor {
        kind,
        name: actor.name.clone(),
        principal_id: actor.principal_id.clone(),
        account: actor.account.clone(),
        authorization,
        because,
        break_glass,
        own: matching(&own.principals, Doubt::Yes).is_some(),
    }
}

fn kind(actor: &Actor, owner: &str) -> ActorKind {
    let external = actor
        .account
        .as_ref()
        .is_some_and(|account| account != owner);
    match actor.user_type {
        UserType::Anonymous => ActorKind::Anonymous,
        UserType::AwsService => ActorKind::AwsService,
        _ if external => ActorKind::ExternalAccount,
        UserType::Root => ActorKind::Root,
        UserType::IamUser => ActorKind::IamUser,
        UserType::AssumedRole => ActorKind::AssumedRole,
        UserType::FederatedUser | UserType::IdentityCenterUser | UserType::Directory => {
            ActorKind::FederatedUser
        }
        UserType::AwsAccount => ActorKind::ExternalAccount,
        UserType::Unknown => ActorKind::Unknown,
    }
}

/// What an ARN pattern is compared with. A finding mostly gives a name without its path, so a pattern's path cannot be
/// checked then. An account has only one role of a name, whatever its path, so a pattern that ends in a whole name is
/// answered all the same.
struct Candidate {
    arn: String,
    path_known: bool,
}

/// What a pattern with a path and a wildcard in its name says of a name whose path is not known. For break-glass and for
/// ourselves it is right to err towards a match, for they are spared in any case; trust must be certain.
#[derive(Clone, Copy, PartialEq)]
enum Doubt {
    Yes,
    No,
}

impl Candidate {
    fn matches(&self, pattern: &str, doubt: Doubt) -> bool {
        if self.path_known {
            return fits(pattern, &self.arn);
        }
        let (has_path, name) = match (pattern.split_once('/'), pattern.rsplit_once('/')) {
            (Some((head, _)), Some((rest, name))) => (head != rest, name),
            _ => (false, pattern),
        };
        let in_doubt = has_path && name.contains(['*', '?']);
        // `role/team/*` says nothing about a name: without its path it would match everybody.
        let says_nothing = has_path && name.chars().all(|c| c == '*' || c == '?');
        if says_nothing || (in_doubt && doubt == Doubt::No) {
            return false;
        }
        fits(&without_path(pattern), &self.arn)
    }
}

/// Whether a pattern matches an ARN. Making a pattern costs more than it takes to see that most cannot match.
fn fits(pattern: &str, arn: &str) -> bool {
    let is_wild = ['*', '?'];
    let first = pattern.split(is_wild).next().unwrap_or_default();
    let last = pattern.rsplit(is_wild).next().unwrap_or_default();
    arn.starts_with(first) && arn.ends_with(last) && WildMatch::new(pattern).matches(arn)
}

fn arns(actor: &Actor, finding: &Finding) -> Vec<Candidate> {
    let account = actor.account.as_deref().unwrap_or(&finding.account);
    let iam =
        |account, kind, name| ["arn:", &finding.partition, ":iam::", account, kind, name].concat();
    let mut candidates = Vec::new();
    if let Some(arn) = &actor.arn {
        match session_role(arn) {
            // The ARN of a session has the role's name and no path.
            Some((account, role)) => {
                candidates.push(Candidate {
                    arn: iam(account, ":role/", role),
                    path_known: false,
                });
            }
            None => candidates.push(Candidate {
                arn: arn.clone(),
                path_known: true,
            }),
        }
    }
    if let (Some(name), true) = (&actor.name, candidates.is_empty()) {
        let kind = match actor.user_type {
            UserType::AssumedRole => Some(":role/"),
            UserType::IamUser => Some(":user/"),
            _ => None,
        };
        if let Some(kind) = kind {
            candidates.push(Candidate {
                arn: iam(account, kind, name),
                path_known: false,
            });
        }
    }
    if actor.user_type == UserType::Root {
        candidates.push(Candidate {
            arn: iam(account, ":root", ""),
            path_known: true,
        });
    }
    candidates
}

/// Account and role of an STS session's ARN.
fn session_role(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, _, account, resource) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let role = resource.strip_prefix("assumed-role/")?.split('/').next()?;
    (service == "sts").then_some((account, role))
}

/// `arn:aws:iam::1:role/team/Name` as `arn:aws:iam::1:role/Name`.
fn without_path(pattern: &str) -> Cow<'_, str> {
    match (pattern.split_once('/'), pattern.rsplit_once('/')) {
        (Some((head, _)), Some((rest, name))) if head != rest => {
            Cow::Owned([head, "/", name].concat())
        }
        _ => Cow::Borrowed(pattern),
    }
}
