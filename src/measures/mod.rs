//! The catalogue of measures: what a rule can ask for.
//!
//! Each measure is a file with two items: `INFO`, what it is and needs, and `amend`, which changes a desired copy of the
//! settings and does nothing else. To add one: write that file, add a variant to [`Measure`] and an arm to [`Measure::info`]
//! and [`Measure::amend`]; the schema, `portcullis measures`, the plan, evidence and rollback follow, and a test tells which
//! IAM actions `template.yaml` and `stacksets/member.yaml` lack.

mod block_account_public_access;
mod block_customer_keys;
mod block_public_access;
mod bystanders;
mod deny_actor;
mod deny_outside;
mod deny_presigned_urls;
mod deny_source_ip;
mod directory;
mod disable_acls;
mod document;
mod freeze_configuration;
mod isolate;
mod lock_access_points;
mod mark_contained;
mod pause_replication;
mod preserve_data;
mod quarantine_object;
mod remove_cors;
mod remove_public_grants;
mod restore_logging;
mod restrict_network;
mod setting;
mod who;

use std::collections::BTreeSet;
use std::mem::discriminant;
use std::sync::LazyLock;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::classification::{Classification, words};
use crate::enrichment::Enrichment;
use crate::finding::{Bucket, Finding};
use crate::guard::Guard;
use crate::policy::Policy;
use crate::settings::{SettingKind, Settings};

/// A measure as the policy file asks for it, with its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum Measure {
    /// Turns on the bucket's Block Public Access flags.
    BlockPublicAccess {
        /// Which flags; all four by default.
        #[serde(default = "Flag::all")]
        flags: Vec<Flag>,
    },
    /// Turns on all four Block Public Access flags of the account.
    BlockAccountPublicAccess {},
    /// Removes the grants to everybody from the bucket policy and the access control list.
    RemovePublicGrants {},
    /// Denies the actor every S3 action on the bucket.
    DenyActor {
        /// How much of the actor's identity is denied.
        #[serde(default)]
        scope: Scope,
    },
    /// Denies the finding's remote addresses.
    DenySourceIp {},
    /// Denies principals outside the organizations and accounts named; without them, outside what `trusted` names.
    DenyOutside {
        /// Organization ids.
        #[serde(default)]
        organizations: Vec<String>,
        /// Account ids; the bucket's own account is always inside.
        #[serde(default)]
        accounts: Vec<String>,
    },
    /// Denies what comes by none of the ways named.
    RestrictNetwork {
        /// Ids of VPC endpoints.
        #[serde(default)]
        vpc_endpoints: Vec<String>,
        /// Ids of VPCs that have an endpoint for S3.
        #[serde(default)]
        vpcs: Vec<String>,
        /// Networks on the internet.
        #[serde(default)]
        #[schemars(with = "Vec<String>")]
        cidrs: Vec<IpNet>,
    },
    /// Denies links that were signed before.
    DenyPresignedUrls {
        /// Denies only signatures older than this, such as `10m`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Age")]
        older_than: Option<Age>,
    },
    /// Denies changes of the bucket's settings.
    FreezeConfiguration {
        /// Whom.
        #[serde(default, rename = "for")]
        whom: Whom,
    },
    /// Denies reads of the finding's objects, and of objects that GuardDuty has tagged as a threat.
    QuarantineObject {},
    /// Denies everybody but break-glass, Portcullis and AWS services.
    Isolate {
        /// Which actions are denied.
        #[serde(default)]
        access: Access,
    },
    /// Denies what destroys data, keeps versions, and stops expiry.
    PreserveData {
        /// Whom the Deny hits; the settings serve all.
        #[serde(default = "Whom::everyone", rename = "for")]
        whom: Whom,
    },
    /// Copies the statements that deny into the policies of access points.
    LockAccessPoints {},
    /// Has S3 ignore the access control lists of the bucket and of its objects.
    DisableAcls {},
    /// Removes the CORS rules.
    RemoveCors {},
    /// Disables the replication rules.
    PauseReplication {},
    /// Refuses new objects under customer-provided keys.
    BlockCustomerKeys {},
    /// Turns server access logs on where they are off.
    RestoreLogging {
        /// The bucket that takes the logs, of the same account and Region.
        target_bucket: String,
        /// What the keys of the logs begin with.
        #[serde(default)]
        prefix: String,
    },
    /// Adds the tag portcullis:contained.
    MarkContained {},
}

/// What a measure is and needs, stated once.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Info {
    /// The name in the policy file.
    pub name: &'static str,
    /// What it is for.
    pub tactic: Tactic,
    /// Whether it can take access from somebody who did no harm.
    pub disposition: Disposition,
    /// The settings it must know.
    pub reads: &'static [SettingKind],
    /// The settings it may change.
    pub amends: &'static [SettingKind],
    /// The IAM actions that its changes need, reads included.
    pub actions: &'static [&'static str],
    /// What it does, in a sentence.
    pub summary: &'static str,
}

words! {
    /// OCSF's words for what a response is for.
    Tactic {
        /// Cuts the resource off.
        Isolate = "isolate",
        /// Shuts the actor out.
        Evict = "evict",
        /// Puts back what was taken away.
        Restore = "restore",
        /// Closes the way in.
        Harden = "harden",
    }
}
words! {
    /// Whether a measure can take access from somebody who did no harm.
    Disposition {
        /// It hits only what the finding names, or what nobody should rely on.
        Safe = "safe",
        /// It can stop legitimate use.
        Disruptive = "disruptive",
    }
}

/// Why a measure does nothing: the guard, and the facts of this case in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The reason.
    pub guard: Guard,
    /// The facts.
    pub why: String,
}

impl Stop {
    pub(crate) fn new(guard: Guard, why: impl Into<String>) -> Self {
        Self {
            guard,
            why: why.into(),
        }
    }
}

/// What a measure may know.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// The bucket; none where the target is the account.
    pub bucket: Option<&'a Bucket>,
    /// What the finding means.
    pub classification: &'a Classification,
    /// What other services said.
    pub enrichment: &'a Enrichment,
    /// The team's policy.
    pub policy: &'a Policy,
    /// What was read of the target.
    pub observed: &'a Settings,
    /// Whether S3 has just not taken a policy that a plan of this delivery writes.
    pub policy_refused: bool,
    /// Patterns of `aws:PrincipalArn` that no Deny may hit: break-glass and Portcullis's own role.
    pub spared: &'a BTreeSet<String>,
    /// Whether the rule asks for a measure that writes the bucket policy.
    pub writes_policy: bool,
    /// Whether the rule is written for buckets that take logs.
    pub means_log_targets: bool,
}

impl Context<'_> {
    /// Whom a Deny to everybody spares: also GuardDuty's and Macie's own roles, which are roles of the account and not
    /// service principals.
    fn spared_with_service_linked(&self) -> BTreeSet<String> {
        let partition = &self.finding.partition;
        let roles = self.bucket.map(|bucket| {
            format!(
                "arn:{partition}:iam::{}:role/aws-service-role/*",
                bucket.account
            )
        });
        self.spared.iter().cloned().chain(roles).collect()
    }

    fn bucket_arn(&self) -> Result<String, Stop> {
        match self.bucket {
            Some(bucket) => Ok(bucket.arn(&self.finding.partition, &self.finding.region)),
            None => Err(Stop::new(
                Guard::WrongTarget,
                "the finding is about the account and names no bucket",
            )),
        }
    }
}

impl Measure {
    /// One of each, with its default parameters, in the order in which they amend.
    ///
    /// Public grants go first: a policy that is no longer public is one that S3 accepts while BlockPublicPolicy is on. What
    /// copies statements goes after all that write them.
    pub fn catalogue() -> &'static [Measure] {
        static CATALOGUE: LazyLock<Vec<Measure>> = LazyLock::new(|| {
            vec![
                Measure::RemovePublicGrants {},
                Measure::DenyActor {
                    scope: Scope::default(),
                },
                Measure::DenySourceIp {},
                Measure::DenyOutside {
                    organizations: Vec::new(),
                    accounts: Vec::new(),
                },
                Measure::RestrictNetwork {
                    vpc_endpoints: Vec::new(),
                    vpcs: Vec::new(),
                    cidrs: Vec::new(),
                },
                Measure::DenyPresignedUrls { older_than: None },
                Measure::FreezeConfiguration {
                    whom: Whom::default(),
                },
                Measure::QuarantineObject {},
                Measure::Isolate {
                    access: Access::default(),
                },
                Measure::PreserveData {
                    whom: Whom::everyone(),
                },
                Measure::LockAccessPoints {},
                Measure::DisableAcls {},
                Measure::RemoveCors {},
                Measure::PauseReplication {},
                Measure::BlockCustomerKeys {},
                Measure::RestoreLogging {
                    target_bucket: String::new(),
                    prefix: String::new(),
                },
                Measure::BlockPublicAccess { flags: Flag::all() },
                Measure::BlockAccountPublicAccess {},
                Measure::MarkContained {},
            ]
        });
        &CATALOGUE
    }

    /// What the measure is and needs.
    pub fn info(&self) -> &'static Info {
        match self {
            Measure::BlockPublicAccess { .. } => &block_public_access::INFO,
            Measure::BlockAccountPublicAccess {} => &block_account_public_access::INFO,
            Measure::RemovePublicGrants {} => &remove_public_grants::INFO,
            Measure::DenyActor { .. } => &deny_actor::INFO,
            Measure::DenySourceIp {} => &deny_source_ip::INFO,
            Measure::DenyOutside { .. } => &deny_outside::INFO,
            Measure::RestrictNetwork { .. } => &restrict_network::INFO,
            Measure::DenyPresignedUrls { .. } => &deny_presigned_urls::INFO,
            Measure::FreezeConfiguration { .. } => &freeze_configuration::INFO,
            Measure::QuarantineObject {} => &quarantine_object::INFO,
            Measure::Isolate { .. } => &isolate::INFO,
            Measure::PreserveData { .. } => &preserve_data::INFO,
            Measure::LockAccessPoints {} => &lock_access_points::INFO,
            Measure::DisableAcls {} => &disable_acls::INFO,
            Measure::RemoveCors {} => &remove_cors::INFO,
            Measure::PauseReplication {} => &pause_replication::INFO,
            Measure::BlockCustomerKeys {} => &block_customer_keys::INFO,
            Measure::RestoreLogging { .. } => &restore_logging::INFO,
            Measure::MarkContained {} => &mark_contained::INFO,
        }
    }

    /// The measure's name in the policy file.
    pub fn name(&self) -> &'static str {
        self.info().name
    }

    /// Its place in [`Measure::catalogue`], which is the order in which measures amend.
    pub fn rank(&self) -> usize {
        Self::catalogue()
            .iter()
            .position(|other| discriminant(other) == discriminant(self))
            .unwrap_or(usize::MAX)
    }

    /// Amends `desired`, and returns what is worth telling of it; or says why it does nothing, leaving `desired` as it was.
    pub fn amend(&self, context: &Context, desired: &mut Settings) -> Result<Vec<String>, Stop> {
        let mut notes = self.amend_settings(context, desired)?;
        notes.extend(directory::note(self.info().amends, context));
        Ok(notes)
    }

    fn amend_settings(
        &self,
        context: &Context,
        desired: &mut Settings,
    ) -> Result<Vec<String>, Stop> {
        match self {
            Measure::BlockPublicAccess { flags } => {
                block_public_access::amend(flags, context, desired)
            }
            Measure::BlockAccountPublicAccess {} => {
                block_account_public_access::amend(context, desired)
            }
            Measure::RemovePublicGrants {} => remove_public_grants::amend(context, desired),
            Measure::DenyActor { scope } => deny_actor::amend(*scope, context, desired),
            Measure::DenySourceIp {} => deny_source_ip::amend(context, desired),
            Measure::DenyOutside {
                organizations,
                accounts,
            } => deny_outside::amend(organizations, accounts, context, desired),
            Measure::RestrictNetwork {
                vpc_endpoints,
                vpcs,
                cidrs,
            } => restrict_network::amend(vpc_endpoints, vpcs, cidrs, context, desired),
            Measure::DenyPresignedUrls { older_than } => {
                deny_presigned_urls::amend(*older_than, context, desired)
            }
            Measure::FreezeConfiguration { whom } => {
                freeze_configuration::amend(*whom, context, desired)
            }
            Measure::QuarantineObject {} => quarantine_object::amend(context, desired),
            Measure::Isolate { access } => isolate::amend(*access, context, desired),
            Measure::PreserveData { whom } => preserve_data::amend(*whom, context, desired),
            Measure::LockAccessPoints {} => lock_access_points::amend(context, desired),
            Measure::DisableAcls {} => disable_acls::amend(context, desired),
            Measure::RemoveCors {} => remove_cors::amend(context, desired),
            Measure::PauseReplication {} => pause_replication::amend(context, desired),
            Measure::BlockCustomerKeys {} => block_customer_keys::amend(context, desired),
            Measure::RestoreLogging {
                target_bucket,
                prefix,
            } => restore_logging::amend(target_bucket, prefix, context, desired),
            Measure::MarkContained {} => mark_contained::amend(context, desired),
        }
    }
}

words! {
    /// A Block Public Access flag.
    Flag {
        /// New public ACLs are refused.
        BlockPublicAcls = "block-public-acls",
        /// Public ACLs are ignored.
        IgnorePublicAcls = "ignore-public-acls",
        /// New public policies are refused.
        BlockPublicPolicy = "block-public-policy",
        /// A public policy admits only the account and AWS services.
        RestrictPublicBuckets = "restrict-public-buckets",
    }
}

impl Flag {
    fn all() -> Vec<Flag> {
        vec![
            Flag::BlockPublicAcls,
            Flag::IgnorePublicAcls,
            Flag::BlockPublicPolicy,
            Flag::RestrictPublicBuckets,
        ]
    }
}

words! {
    /// How much of an actor's identity `deny-actor` denies.
    #[derive(Default)]
    Scope {
        /// This one session of a role.
        Session = "session",
        /// The user, or every session of the role.
        #[default]
        Identity = "identity",
        /// The actor's whole account, if it is not the bucket's own.
        Account = "account",
    }
}
words! {
    /// What `isolate` denies.
    #[derive(Default)]
    Access {
        /// Reading, writing and listing of data; the account's administrators keep the configuration.
        #[default]
        Data = "data",
        /// Writing and deleting of data.
        Writes = "writes",
        /// Everything.
        All = "all",
    }
}
words! {
    /// Whom a measure denies.
    #[derive(Default)]
    Whom {
        /// The finding's actors.
        #[default]
        Actor = "actor",
        /// Everybody but break-glass, Portcullis and AWS services.
        Everyone = "everyone",
    }
}

impl Whom {
    fn everyone() -> Self {
        Self::Everyone
    }
}

/// The age of a signature, from a text such as `90s`, `10m`, `12h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Age {
    seconds: u64,
}

impl Age {
    fn milliseconds(self) -> u64 {
        self.seconds.saturating_mul(1000)
    }
}

impl TryFrom<String> for Age {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refuse =
            || format!("{text:?} is not an age: write a number and s, m, h or d, such as 10m");
        let (number, unit) = text
            .split_at_checked(text.len().saturating_sub(1))
            .ok_or_else(refuse)?;
        let factor = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(refuse()),
        };
        let number: u64 = number.parse().map_err(|_| refuse())?;
        let seconds = number
            .checked_mul(factor)
            .filter(|seconds| *seconds > 0)
            .ok_or_else(refuse)?;
        Ok(Self { seconds })
    }
}

impl From<Age> for String {
    fn from(age: Age) -> Self {
        format!("{}s", age.seconds)
    }
}
