//! The investigation as a person would write it up: what happened, what follows, what is not known.
//!
//! One value serves text and JSON. Everything in it that a finding or a bucket said is untrusted: the texts here are clean.

use serde::Serialize;

use super::{LINE, count, shown};
use crate::classification::{
    ActorKind, ApiOutcome, Classification, ClassifiedActor, Exposure, Sensitivity,
};
use crate::enrichment::{Enrichment, Standing};
use crate::finding::{Finding, Remote, Target};

/// APIs and actors that a sentence names before it counts the rest.
const NAMED: usize = 3;

/// What was found out, and what was not.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Investigation {
    /// Who did what, where, from where, when and how often, and whether it went through.
    pub summary: String,
    /// By which settings somebody outside the account is admitted, and what closes them.
    pub openings: Vec<String>,
    /// What is not known, and why.
    pub unknown: Vec<String>,
}

/// Writes up what a finding and its classification say of a target.
pub fn investigation(
    finding: &Finding,
    target: &Target,
    classification: &Classification,
    enrichment: &Enrichment,
    settings_known: bool,
) -> Investigation {
    let openings = classification.openings.iter().map(|opening| {
        let closed = opening
            .closed_by
            .as_ref()
            .map(|by| format!(", closed by {by}"));
        let text = format!("{}: {}", opening.exposure, opening.how);
        shown(&(text + &closed.unwrap_or_default()), 3 * LINE)
    });
    Investigation {
        summary: summary(finding, target, classification),
        openings: openings.collect(),
        unknown: unknown(finding, target, classification, enrichment, settings_known),
    }
}

/// The summary for those who may not see everything: without the key of an object, which can tell what is in it.
pub fn brief(finding: &Finding, target: &Target, classification: &Classification) -> String {
    let mut nameless = target.clone();
    if let Target::Bucket(bucket) = &mut nameless
        && bucket.objects.len() == 1
    {
        bucket.objects.clear();
    }
    summary(finding, &nameless, classification)
}

fn summary(finding: &Finding, target: &Target, classification: &Classification) -> String {
    let place = match target {
        Target::Bucket(bucket) => format!("bucket {}", shown(&bucket.name, LINE)),
        Target::Account(account) => format!("account {}", shown(account, LINE)),
    };
    let mut text = match finding.kind.contains("MaliciousFile") {
        true => malware(finding, target, &place),
        false => activity(finding, classification, &place),
    };
    if finding.kind.starts_with("AttackSequence:") {
        text = format!("In a sequence of steps of an attack: {text}");
    }
    if finding.archived {
        text += " A person has archived the finding.";
    }
    if finding.sample {
        text += " The finding is a sample: none of it happened.";
    }
    text
}

fn malware(finding: &Finding, target: &Target, place: &str) -> String {
    let threats: Vec<String> = finding
        .threats
        .iter()
        .take(NAMED)
        .map(|threat| shown(threat, 64))
        .collect();
    let threats = match threats.is_empty() {
        true => "malware".to_owned(),
        false => threats.join(", "),
    };
    let objects = match target {
        Target::Bucket(bucket) => bucket.objects.as_slice(),
        Target::Account(_) => &[],
    };
    match objects {
        [] => format!("GuardDuty found {threats} in {place}."),
        [object] => format!(
            "GuardDuty found {threats} in object {} of {place}.",
            shown(&object.key, LINE)
        ),
        _ => format!(
            "GuardDuty found {threats} in {} of {place}.",
            count(objects.len(), "object")
        ),
    }
}

fn activity(finding: &Finding, classification: &Classification, place: &str) -> String {
    let mut apis: Vec<String> = Vec::new();
    for call in &finding.calls {
        let api = shown(&call.api, 64);
        if !apis.contains(&api) {
            apis.push(api);
        }
    }
    let did = match apis.is_empty() {
        true => "did something that the finding does not name".to_owned(),
        false => format!("called {}", some_of(&apis)),
    };
    let from = finding.remotes.first().map(from).unwrap_or_default();
    let more = finding.remotes.len().saturating_sub(1);
    let more = match more {
        0 => String::new(),
        1 => " and one other address".to_owned(),
        _ => format!(" and {more} other addresses"),
    };
    let ended = match classification.api_outcome {
        Some(ApiOutcome::Succeeded) => " The finding gives no error, so it went through.",
        Some(ApiOutcome::Denied) => " Every call was refused.",
        None => "",
    };
    format!(
        "{} {did} on {place}{from}{more}, {}.{ended}",
        who(classification),
        when(finding)
    )
}

/// The actors as the subject of a sentence.
fn who(classification: &Classification) -> String {
    let [first, others @ ..] = classification.actors.as_slice() else {
        return "Somebody whom the finding does not name".to_owned();
    };
    let also = match others.len() {
        0 => String::new(),
        number => format!(" and {}", count(number, "other")),
    };
    named(first) + &also
}

fn named(actor: &ClassifiedActor) -> String {
    let name = actor
        .name
        .as_ref()
        .or(actor.principal_id.as_ref())
        .map(|name| format!(" {}", shown(name, 64)))
        .unwrap_or_default();
    let of = actor
        .account
        .as_ref()
        .map(|account| format!(" of account {}", shown(account, 32)))
        .unwrap_or_default();
    match actor.kind {
        ActorKind::Anonymous => "Somebody who gave no credentials".to_owned(),
        ActorKind::Root => format!("The root user{of}"),
        ActorKind::IamUser => format!("IAM user{name}{of}"),
        ActorKind::AssumedRole => format!("A session of role{name}{of}"),
        ActorKind::FederatedUser => format!("Federated user{name}{of}"),
        ActorKind::ExternalAccount => {
            format!("{}{of}, which is not the bucket's,", principal(&name))
        }
        ActorKind::AwsService => format!("AWS service{name}, for somebody else,"),
        ActorKind::Unknown => format!("Somebody{name}{of}"),
    }
}

fn from(remote: &Remote) -> String {
    if let Some(domain) = &remote.domain {
        return format!(" by way of AWS service {}", shown(domain, 64));
    }
    let Some(address) = remote.address else {
        return String::new();
    };
    let details = [
        remote.country.as_ref().map(|country| shown(country, 64)),
        remote.organization.as_ref().map(|name| shown(name, 64)),
    ];
    let details: Vec<String> = details.into_iter().flatten().collect();
    match details.is_empty() {
        true => format!(" from {address}"),
        false => format!(" from {address} ({})", details.join(", ")),
    }
}

fn when(finding: &Finding) -> String {
    match (finding.count, finding.first_seen, finding.last_seen) {
        (1, Some(at), _) | (1, None, Some(at)) => format!("once, at {at}"),
        (1, None, None) => "once, at a time that the finding does not give".to_owned(),
        (times, Some(first), Some(last)) => {
            format!("{times} times between {first} and {last}")
        }
        (times, _, _) => format!("{times} times"),
    }
}

fn unknown(
    finding: &Finding,
    target: &Target,
    classification: &Classification,
    enrichment: &Enrichment,
    settings_known: bool,
) -> Vec<String> {
    let mut items = Vec::new();
    let is_bucket = matches!(target, Target::Bucket(_));
    if let Some(check) = &enrichment.guardduty
        && check.is != Standing::Confirmed
    {
        items.push(format!(
            "whether GuardDuty has the finding: {}",
            check.because
        ));
    }
    if is_bucket && !settings_known {
        items.push(
            "how exposed the bucket is and what it is for: its settings were not read".to_owned(),
        );
    } else if is_bucket {
        if classification.exposure.is == Exposure::Unknown {
            items.push(format!(
                "how exposed the bucket is: {}",
                classification.exposure.because
            ));
        }
        if !classification.uses.unread.is_empty() {
            items.push(format!(
                "what else the bucket is for: {}",
                classification.uses.unread.join("; ")
            ));
        }
    }
    if is_bucket && classification.sensitivity.is == Sensitivity::Unknown {
        items.push(format!(
            "how sensitive the data is: {}",
            classification.sensitivity.because
        ));
    }
    let identity = classification.actors.iter().any(|actor| {
        matches!(
            actor.kind,
            ActorKind::IamUser
                | ActorKind::AssumedRole
                | ActorKind::FederatedUser
                | ActorKind::Root
                | ActorKind::ExternalAccount
        )
    });
    if identity {
        items.push(
            "what else the identity can reach and did: Portcullis reads neither IAM nor CloudTrail"
                .to_owned(),
        );
    }
    if classification.exposure.is == Exposure::Public {
        items.push(
            "who else read it: GuardDuty does not process unsigned requests for objects that are public".to_owned(),
        );
    }
    if finding.calls.is_empty() && !finding.kind.contains("MaliciousFile") {
        items.push(
            "what was called, and whether it went through: the finding names no call".to_owned(),
        );
    }
    items.iter().map(|item| shown(item, 4 * LINE)).collect()
}

/// `A, B, C and 2 more`.
fn some_of(items: &[String]) -> String {
    let named = items
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match items.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn principal(name: &str) -> String {
    match name.is_empty() {
        true => "A principal".to_owned(),
        false => format!("Principal{name}"),
    }
}
