//! What a finding means: the steps of AWS's "Remediating a potentially compromised S3 bucket", each conclusion with the
//! facts it rests on.
//!
//! Pure: a [`Finding`], the observed [`Settings`] and the policy's `trusted` list in; conclusions in words out.

mod actor;
mod exposure;
mod vocabulary;

use serde::{Deserialize, Serialize};

pub use actor::{ClassifiedActor, break_glass};
pub(crate) use vocabulary::words;
pub use vocabulary::{
    AccessPath, ActorKind, ApiOutcome, Authorization, BucketUse, Credentials, Exposure, Network,
    Sensitivity,
};

use crate::finding::{Bucket, Finding, UserType};
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
    /// How exposed the bucket is, from live state; unknown where that was not read.
    pub exposure: Reasoned<Exposure>,
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
    policy: &Policy,
    own: &Own,
) -> Classification {
    let actors: Vec<ClassifiedActor> = finding
        .actors
        .iter()
        .map(|actor| actor::classify(actor, finding, bucket, policy, own))
        .collect();
    let networks = networks(finding, policy);
    let authorization = authorization(finding, &actors, &networks);
    let access_path = access_path(finding, &actors, observed);
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
            _ if actor.instance.is_some() => Some(Credentials::Instance),
            (_, Some(key)) if key.starts_with("ASIA") => Some(Credentials::Temporary),
            (_, Some(key)) if key.starts_with("AKIA") => Some(Credentials::LongTerm),
            _ => None,
        },
    ));
    let exposure = exposure::exposure(observed, bucket);
    Classification {
        actors,
        authorization,
        access_path,
        networks,
        credentials,
        api_outcome,
        exposure,
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

/// Trust is asked first: a team's own penetration test from a threat-listed address is still its own. With several actors,
/// one that is not trusted is enough to deny it.
fn authorization(
    finding: &Finding,
    actors: &[ClassifiedActor],
    networks: &[Network],
) -> Reasoned<Authorization> {
    let trusted: Vec<&ClassifiedActor> = actors
        .iter()
        .filter(|actor| actor.authorization == Authorization::Authorized)
        .collect();
    if !actors.is_empty() && trusted.len() == actors.len() {
        let because = trusted
            .iter()
            .map(|actor| actor.because.clone())
            .collect::<Vec<_>>()
            .join("; ");
        return Reasoned::new(Authorization::Authorized, because);
    }
    let addresses = finding
        .remotes
        .iter()
        .filter(|remote| remote.address.is_some())
        .count();
    if addresses > 0 && networks == [Network::Trusted] {
        return Reasoned::new(
            Authorization::Authorized,
            "every remote address is in trusted.networks",
        );
    }
    let listed = |network: Network| networks.contains(&network);
    let because = if finding.kind.starts_with("AttackSequence:") {
        "GuardDuty saw a sequence of steps of an attack"
    } else if finding.kind.contains("MaliciousFile") {
        "the object is malware"
    } else if listed(Network::Tor) {
        "the call came from a Tor exit"
    } else if listed(Network::ThreatList) {
        "the call came from an address on a threat list"
    } else if listed(Network::CustomList) {
        "the call came from an address on the team's own threat list"
    } else if actors
        .iter()
        .any(|actor| actor.kind == ActorKind::Anonymous)
    {
        "the call was anonymous"
    } else {
        return Reasoned::new(
            Authorization::Undetermined,
            "nothing in trusted matches and the finding alone does not decide it",
        );
    };
    Reasoned::new(Authorization::Unauthorized, because)
}

fn access_path(
    finding: &Finding,
    actors: &[ClassifiedActor],
    observed: &Settings,
) -> Reasoned<AccessPath> {
    let kind = finding.kind.as_str();
    let anonymous = actors
        .iter()
        .any(|actor| actor.kind == ActorKind::Anonymous);
    let actor = finding.actors.first();
    if kind.contains("MaliciousFile") {
        return Reasoned::new(
            AccessPath::MaliciousObject,
            "the finding is about an object that is malware",
        );
    }
    if anonymous
        && finding
            .calls
            .iter()
            .any(|call| call.api == "PreflightRequest")
    {
        return Reasoned::new(
            AccessPath::Cors,
            "a browser's preflight request was anonymous",
        );
    }
    if anonymous {
        let by_acl = observed.acl().is_ok_and(|acl| acl.is_public());
        let by_policy = matches!(observed.bucket_policy(), Ok(Some(policy)) if policy.is_public());
        return match (by_policy, by_acl) {
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
        };
    }
    let changed = [
        "Policy:S3/",
        "Stealth:S3/",
        "DefenseImpairment:S3/",
        "Impact:S3/AnomalousBehavior.Permission",
    ];
    if changed.iter().any(|prefix| kind.starts_with(prefix)) || finding.detection_rule.is_some() {
        return Reasoned::new(
            AccessPath::ConfigurationChange,
            "the finding is about a change of settings",
        );
    }
    if kind.contains("InstanceCredentialExfiltration")
        || actor.is_some_and(|actor| actor.instance.is_some())
    {
        return Reasoned::new(
            AccessPath::InstanceCredentials,
            "the credentials are those of an EC2 instance",
        );
    }
    if actors
        .iter()
        .any(|actor| actor.kind == ActorKind::ExternalAccount)
    {
        return Reasoned::new(
            AccessPath::CrossAccountGrant,
            "the caller belongs to another account",
        );
    }
    match actor.map(|actor| actor.user_type) {
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

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items.dedup();
    items
}
