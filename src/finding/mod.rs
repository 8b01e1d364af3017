//! What GuardDuty says, in one shape, whatever casing, wrapping or vintage it arrived in.
//!
//! [`read`] is the only way in. It never fails on what GuardDuty may send tomorrow (an unknown type, a new field, a number
//! for a string) and never succeeds on what is no event at all.

mod actor;
mod buckets;
mod detail;
mod error;
mod lenient;
mod names;
mod read;
mod sequence;
mod straight;
mod trail;
mod wire;

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use error::EventError;
pub use read::{Event, Ignored, IgnoredReason, Request, read, read_part};
pub use trail::TrailEvent;

/// One GuardDuty finding that concerns S3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// The finding's id: the same for every later update of it.
    pub id: String,
    /// The finding's ARN, where the event carries it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arn: Option<String>,
    /// The finding type, an open set: `ThreatPurpose:Resource/Family.Mechanism!Artifact`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The account of the affected resource (`detail.accountId`), never the envelope's.
    pub account: String,
    /// The Region in which the finding was made; a bucket may be in another.
    pub region: String,
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// 1.0 to 10.0, or 0.0 where the event does not say.
    pub severity: f64,
    /// GuardDuty's title, untrusted text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// GuardDuty's description, untrusted text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// When GuardDuty made the finding.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_at: Option<Timestamp>,
    /// When GuardDuty last changed it: with the id, what tells a new delivery from a duplicate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub updated_at: Option<Timestamp>,
    /// When the activity was first seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_seen: Option<Timestamp>,
    /// When the activity was last seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_seen: Option<Timestamp>,
    /// How often the activity was seen; at least 1.
    pub count: u64,
    /// Archived by a person. Archived findings are still delivered.
    pub archived: bool,
    /// Made by CreateSampleFindings: its buckets are nobody's or somebody else's.
    pub sample: bool,
    /// The member's detector, as the finding names it. Not the detector to read the finding through.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detector: Option<String>,
    /// `customDetectionRuleName`, for findings of custom detection rules.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detection_rule: Option<String>,
    /// ARN of the attack sequence that this finding is a signal of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attack_sequence: Option<String>,
    /// What is affected. Empty when the finding concerns S3 and names no bucket.
    pub targets: Vec<Target>,
    /// Who did it; several for an attack sequence.
    pub actors: Vec<Actor>,
    /// What was called; several for an attack sequence.
    pub calls: Vec<Call>,
    /// From where; several for an attack sequence.
    pub remotes: Vec<Remote>,
    /// Names of threat lists, threats and malware that the finding gives.
    pub threats: Vec<String>,
    /// Indicator keys of an attack sequence and their values, such as `TOR_IP`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub indicators: BTreeMap<String, Vec<String>>,
}

impl Finding {
    /// The Region whose detector has the finding. `region` can differ from it, says GuardDuty's model; the ARN names the
    /// detector's.
    pub fn detector_region(&self) -> &str {
        let arn = self.arn.as_deref().unwrap_or_default();
        // It becomes part of a host name, so that it must be one.
        let region = arn
            .split(':')
            .nth(3)
            .filter(|text| buckets::is_region(text));
        region.unwrap_or(&self.region)
    }
}

/// One thing to contain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A bucket.
    Bucket(Bucket),
    /// A whole account, by its id (`Policy:S3/AccountBlockPublicAccessDisabled`).
    Account(String),
}

/// A bucket as the finding describes it; live state is read separately and wins.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Bucket {
    /// The bucket's name, valid for S3 (the reader refuses others).
    pub name: String,
    /// The account that owns it, as far as the finding says.
    pub account: String,
    /// Its Region, where the finding says; otherwise the finding's is the first guess.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub region: Option<String>,
    /// Directory buckets (`…--x-s3`) lack most settings.
    pub directory: bool,
    /// `Source` or `Destination` of the call, opaque.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<String>,
    /// Tags as the finding gives them, perhaps stale.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub tags: BTreeMap<String, String>,
    /// The objects named, for malware.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub objects: Vec<Object>,
    /// GuardDuty's `effectivePermission`: `PUBLIC`, `NOT_PUBLIC`, `UNKNOWN`. Evidence, never the truth.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reported_permission: Option<String>,
}

impl Bucket {
    /// The bucket's ARN. `region` is the finding's, which counts where the bucket's own is not known.
    pub fn arn(&self, partition: &str, region: &str) -> String {
        let Self { name, account, .. } = self;
        let region = self.region.as_deref().unwrap_or(region);
        match self.directory {
            true => format!("arn:{partition}:s3express:{region}:{account}:bucket/{name}"),
            false => format!("arn:{partition}:s3:::{name}"),
        }
    }
}

/// An object that a finding names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Object {
    /// Its key, untrusted text.
    pub key: String,
    /// Its version, in a versioned bucket.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
}

/// Who made the calls, as the finding says it. [`crate::classification`] draws the conclusions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Actor {
    /// The kind of identity.
    pub user_type: UserType,
    /// The unique id: `AROA…:session`, `AIDA…`, an account id (root) or `account:name` (federated).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub principal_id: Option<String>,
    /// The principal's ARN, with its path, where the event carries it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arn: Option<String>,
    /// User or role name, without its path.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The account the identity belongs to, where known; not assumed to be the bucket's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<String>,
    /// Whether a foreign `account` belongs to the same organization's GuardDuty (`affiliated`), where said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub affiliated: Option<bool>,
    /// The access key id: `ASIA…` temporary, `AKIA…` long-term.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub access_key: Option<String>,
    /// The EC2 instance whose credentials these are, where the finding names one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<String>,
}

impl Actor {
    /// The EC2 instance whose role session this is: one that the finding names, or that the session is named after, as EC2
    /// does it.
    pub fn instance_of_session(&self) -> Option<&str> {
        let session = || {
            self.principal_id
                .as_deref()?
                .split_once(':')
                .map(|(_, name)| name)
        };
        let named = || session().filter(|name| actor::is_instance(name));
        let is_role = matches!(self.user_type, UserType::AssumedRole | UserType::Unknown);
        self.instance
            .as_deref()
            .or_else(|| named().filter(|_| is_role))
    }
}

/// CloudTrail's `userIdentity.type`, compared without case or underscores; anonymous callers have their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum UserType {
    Anonymous,
    Root,
    IamUser,
    AssumedRole,
    FederatedUser,
    IdentityCenterUser,
    Directory,
    AwsAccount,
    AwsService,
    #[default]
    Unknown,
}

/// One API as the finding names it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Call {
    /// The operation, such as `GetObject`.
    pub api: String,
    /// The service's endpoint, such as `s3.amazonaws.com`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service: Option<String>,
    /// The error code; its presence says that the call failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// The user agent, untrusted text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_agent: Option<String>,
}

/// From where the calls came.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Remote {
    /// The address, v4 or v6.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<IpAddr>,
    /// The AWS service's domain, when a service made the call: never to be denied.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub domain: Option<String>,
    /// Country name or code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub country: Option<String>,
    /// Autonomous system number, digits only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub asn: Option<String>,
    /// The network's owner.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub organization: Option<String>,
    /// The other account that made the call, where the finding names one. For credentials used from elsewhere
    /// (`…CredentialExfiltration…`) it is the user's of the credentials, not their owner's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<String>,
    /// Whether that account belongs to the same GuardDuty environment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub affiliated: Option<bool>,
}
