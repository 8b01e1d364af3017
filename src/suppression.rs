//! For access that is authorized AWS recommends a suppression rule: a GuardDuty filter that archives what it matches.
//!
//! A filter hides findings from everybody, so that one made here matches no more than what the finding says: what was
//! called, on which bucket, by whom and from where. A finding that does not say all of this makes no filter.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::classification::words;
use crate::finding::{Actor, Finding, Remote, Target, UserType};

/// A filter, as CreateFilter takes it with the action `ARCHIVE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Suppression {
    /// The same for the same criteria, so that a filter which is there already is recognized.
    pub name: String,
    /// What it is for, in the characters that GuardDuty allows.
    pub description: String,
    /// The Region whose detector it is for.
    pub region: String,
    /// All of them must match.
    pub criteria: Vec<Criterion>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Criterion {
    /// Which question it answers.
    pub is: Aspect,
    /// The field, by the path that CreateFilter has for it.
    pub field: String,
    /// The values, one of which it must have.
    pub equals: Vec<String>,
}

words! {
    /// The questions that a narrow filter answers.
    Aspect {
        /// What happened.
        What = "what",
        /// On which account and bucket.
        Where = "where",
        /// Who did it.
        Who = "who",
        /// From where.
        From = "from",
    }
}

/// How much of the caller counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sessions {
    /// This session of a role alone.
    #[default]
    This,
    /// Every session of the role.
    Any,
}

/// Why no filter is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuppression {
    /// Nothing happened.
    #[error("it is a sample, so that there is nothing to suppress")]
    Sample,
    /// Several findings that belong together.
    #[error(
        "it is an attack sequence, made of several findings: suppress those of them that are authorized, one by one"
    )]
    Sequence,
    /// A finding whose details are where these filters do not look.
    #[error(
        "it is of the custom detection rule {0:?}: change the rule, rather than hide what it finds"
    )]
    CustomRule(String),
    /// A filter would hide more than this finding.
    #[error("it does not say {}, so that a filter would hide more than this access", .0.join(", nor "))]
    TooBroad(Vec<&'static str>),
}

/// The filter that matches findings like this one and, as far as it can tell, no others.
pub fn suppression(finding: &Finding, sessions: Sessions) -> Result<Suppression, NoSuppression> {
    if finding.sample {
        return Err(NoSuppression::Sample);
    }
    if let Some(rule) = &finding.detection_rule {
        return Err(NoSuppression::CustomRule(rule.clone()));
    }
    let several = [
        finding.actors.len(),
        finding.calls.len(),
        finding.remotes.len(),
    ];
    if finding.kind.starts_with("AttackSequence:") || several.iter().any(|count| *count > 1) {
        return Err(NoSuppression::Sequence);
    }
    let api = finding.calls.first().map(|call| call.api.clone());
    let who = finding
        .actors
        .first()
        .and_then(|actor| who(actor, sessions));
    let from = finding.remotes.first().and_then(from);
    let missing = [
        (finding.targets.is_empty(), "which bucket it is about"),
        (api.is_none(), "which API was called"),
        (who.is_none(), "who called"),
        (from.is_none(), "from where"),
    ];
    let missing: Vec<&str> = missing
        .into_iter()
        .filter_map(|(is_missing, what)| is_missing.then_some(what))
        .collect();
    let (Some(api), Some(who), Some(from), true) = (api, who, from, missing.is_empty()) else {
        return Err(NoSuppression::TooBroad(missing));
    };
    let mut criteria = vec![
        one(Aspect::What, "type", &finding.kind),
        one(Aspect::What, "service.action.awsApiCallAction.api", &api),
        one(Aspect::Where, "accountId", &finding.account),
    ];
    let buckets = finding.targets.iter().filter_map(|target| match target {
        Target::Bucket(bucket) => Some(bucket.name.clone()),
        // The account is among the criteria already.
        Target::Account(_) => None,
    });
    let buckets: Vec<String> = buckets.collect();
    if !buckets.is_empty() {
        criteria.push(Criterion {
            is: Aspect::Where,
            field: "resource.s3BucketDetails.name".to_owned(),
            equals: buckets,
        });
    }
    criteria.extend([who, from]);
    Ok(Suppression {
        name: name(&finding.kind, &criteria),
        description: description(finding),
        region: finding.detector_region().to_owned(),
        criteria,
    })
}

fn one(is: Aspect, field: &str, value: &str) -> Criterion {
    Criterion {
        is,
        field: field.to_owned(),
        equals: vec![value.to_owned()],
    }
}

/// The caller, by the id that no other has where there is one. A role's holds the name of the session.
fn who(actor: &Actor, sessions: Sessions) -> Option<Criterion> {
    let by = |field: &str, value: &Option<String>| {
        Some(one(
            Aspect::Who,
            &format!("resource.accessKeyDetails.{field}"),
            value.as_deref()?,
        ))
    };
    let id = || by("principalId", &actor.principal_id);
    let name = || by("userName", &actor.name);
    match (actor.user_type, sessions) {
        (UserType::AssumedRole, Sessions::Any) => name(),
        // Anonymous callers have a name and no id of their own.
        (UserType::Anonymous, _) => name().or_else(id),
        _ => id().or_else(name),
    }
}

fn from(remote: &Remote) -> Option<Criterion> {
    let at = |field: &str, value: &str| {
        Some(one(
            Aspect::From,
            &format!("service.action.awsApiCallAction.{field}"),
            value,
        ))
    };
    match (&remote.address, &remote.domain, &remote.account) {
        (Some(address), _, _) if address.is_ipv4() => {
            at("remoteIpDetails.ipAddressV4", &address.to_string())
        }
        (Some(address), _, _) => at("remoteIpDetails.ipAddressV6", &address.to_string()),
        (None, Some(domain), _) => at("domainDetails.domain", domain),
        (None, None, Some(account)) => at("remoteAccountDetails.accountId", account),
        (None, None, None) => None,
    }
}

/// At most 64 letters, digits, periods, underscores and hyphens.
fn name(kind: &str, criteria: &[Criterion]) -> String {
    let mut digest = Sha256::new();
    for criterion in criteria {
        digest.update(&criterion.field);
        for value in &criterion.equals {
            // Lengths, so that no two lists of values read alike.
            digest.update(value.len().to_be_bytes());
            digest.update(value);
        }
    }
    let digest: String = digest
        .finalize()
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let kind: String = kind
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '.' })
        .take(44)
        .collect();
    format!("portcullis-{kind}-{digest}")
}

/// At most 512 of the characters that GuardDuty allows in a description.
fn description(finding: &Finding) -> String {
    let text = format!(
        "Authorized access. Made by portcullis suppress for finding {} of account {}.",
        finding.id, finding.account
    );
    let allowed = |c: char| c.is_ascii_alphanumeric() || " -.:_{}[]()/".contains(c);
    text.chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .take(512)
        .collect()
}
