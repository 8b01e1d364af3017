//! What a finding means: the steps of AWS's "Remediating a potentially compromised S3 bucket", each conclusion with the
//! facts it rests on.
//!
//! Pure: a [`Finding`], the observed [`Settings`] and the policy's `trusted` list in; conclusions in words out.

mod access_path;
mod actor;
mod authorization;
mod evidence;
mod exposure;
mod sensitivity;
mod usage;
mod vocabulary;

use serde::{Deserialize, Serialize};

pub use actor::{ClassifiedActor, break_glass};
pub use exposure::Opening;
pub(crate) use exposure::TELLING as TELL_EXPOSURE;
pub(crate) use sensitivity::sensitivity;
pub use usage::Uses;
pub(crate) use usage::{TELLING as TELL_USE, delivery_by_acl, delivery_not_by_service};
pub(crate) use vocabulary::words;
pub use vocabulary::{
    AccessPath, ActorKind, ApiOutcome, Authorization, BucketUse, Credentials, Exposure, Network,
    Sensitivity,
};

use crate::enrichment::Enrichment;
use crate::finding::{Bucket, Finding};
use crate::policy::Policy;
use crate::settings::Settings;

/// The conclusions about one finding and one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Classification {
    /// Who acted; empty where the finding names nobody.
    pub actors: Vec<ClassifiedActor>,
    /// Whether it was authorized.
    pub authorization: Reasoned<Authorization>,
    /// The way in.
    pub access_path: Reasoned<AccessPath>,
    /// What is known of the networks the calls came from.
    pub networks: Vec<Network>,
    /// What kinds of credentials were used.
    pub credentials: Vec<Credentials>,
    /// Whether the calls went through; none where the finding names no call.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub api_outcome: Option<ApiOutcome>,
    /// What bears on the authorization without deciding it, in words.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub evidence: Vec<String>,
    /// What the bucket is for, as far as what was read tells.
    pub uses: Uses,
    /// How exposed the bucket is, from live state; unknown where that was not read.
    pub exposure: Reasoned<Exposure>,
    /// By which settings, and what closes them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub openings: Vec<Opening>,
    /// How sensitive its data is.
    pub sensitivity: Reasoned<Sensitivity>,
}

/// A conclusion and the facts that it rests on, in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reasoned<T> {
    /// The conclusion.
    pub is: T,
    /// Why.
    pub because: String,
}

impl<T> Reasoned<T> {
    fn new(is: T, because: impl Into<String>) -> Self {
        Self {
            is,
            because: because.into(),
        }
    }
}

/// Who Portcullis is, in terms of `aws:PrincipalArn`.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// ARN patterns of the role that it acts with.
    pub principals: Vec<String>,
    /// The account that it runs in.
    pub account: Option<String>,
}

/// Draws the conclusions. `bucket` is none where the target is the account.
pub fn classify(
    finding: &Finding,
    bucket: Option<&Bucket>,
    observed: &Settings,
    enrichment: &Enrichment,
    policy: &Policy,
    own: &Own,
) -> Classification {
    let actors: Vec<ClassifiedActor> = finding
        .actors
        .iter()
        .map(|actor| actor::classify(actor, finding, bucket, enrichment, policy, own))
        .collect();
    let networks = networks(finding, policy);
    let uses = usage::uses(observed, bucket);
    let authorization = authorization::authorization(finding, &actors, &networks, &uses);
    let access_path = access_path::access_path(finding, &actors, bucket, observed);
    let evidence = evidence::evidence(finding, &actors, bucket, observed, enrichment);
    let api_outcome = (!finding.calls.is_empty()).then(|| {
        let all_failed = finding.calls.iter().all(|call| call.error.is_some());
        if all_failed {
            ApiOutcome::Denied
        } else {
            ApiOutcome::Succeeded
        }
    });
    let credentials = sorted(finding.actors.iter().zip(&actors).filter_map(
        |(actor, classified)| match (classified.kind, &actor.access_key) {
            (ActorKind::Anonymous, _) => Some(Credentials::None),
            _ if actor.instance_of_session().is_some() => Some(Credentials::Instance),
            (_, Some(key)) if key.starts_with("ASIA") => Some(Credentials::Temporary),
            (_, Some(key)) if key.starts_with("AKIA") => Some(Credentials::LongTerm),
            _ => None,
        },
    ));
    let (exposure, openings) = exposure::exposure(observed, bucket);
    Classification {
        actors,
        authorization,
        access_path,
        networks,
        credentials,
        api_outcome,
        evidence,
        uses,
        exposure,
        openings,
        sensitivity: sensitivity(enrichment.macie.as_ref()),
    }
}

/// What is known of each network, from the finding's type, its indicators and the policy file.
fn networks(finding: &Finding, policy: &Policy) -> Vec<Network> {
    let kind = finding.kind.as_str();
    let indicated = |word: &str| finding.indicators.keys().any(|key| key.contains(word));
    let mut networks = Vec::new();
    if kind.contains("TorIPCaller") || indicated("TOR_IP") {
        networks.push(Network::Tor);
    }
    if kind.contains("MaliciousIPCaller.Custom") {
        networks.push(Network::CustomList);
    } else if kind.contains("MaliciousIPCaller") || indicated("MALICIOUS_IP") {
        networks.push(Network::ThreatList);
    }
    let listed = !networks.is_empty();
    for address in finding.remotes.iter().filter_map(|remote| remote.address) {
        match policy
            .trusted
            .networks
            .iter()
            .any(|network| network.contains(&address))
        {
            true => networks.push(Network::Trusted),
            false if !listed => networks.push(Network::Other),
            false => {}
        }
    }
    sorted(networks)
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items.dedup();
    items
}
