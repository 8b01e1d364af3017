//! The account of what was found, decided and done: immutable, and all that a rollback needs.
//!
//! A record is stored before anything is written (the evidence); what became of it follows in a [`RunResult`] of its own.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::classification::{Classification, Reasoned, Sensitivity, words};
use crate::decision::Decision;
use crate::enrichment::Enrichment;
use crate::finding::{Finding, Target};
use crate::policy::FollowUp;
use crate::rollback::Inverse;
use crate::settings::{SettingKind, Settings};

/// The version of the layout of records.
pub const VERSION: u32 = 1;

/// One finding and one target: what was known and what was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// Sorts by the time of the finding; see [`record_id`].
    pub id: String,
    /// Unique to the run that wrote it, so that a write whose answer was lost can be recognized.
    pub run: String,
    /// When it was written.
    pub at: Timestamp,
    /// The program's version.
    pub program: String,
    /// Who asked: `event`, or the principal of an operator.
    pub asked_by: String,
    /// The finding, which may have hundreds of targets, each with a record.
    pub finding: Arc<Finding>,
    /// The target.
    pub target: Target,
    /// What the finding means.
    pub classification: Classification,
    /// The policy file that decided.
    pub policy: PolicyRef,
    /// The settings before anything was changed.
    pub before: Settings,
    /// What other services said.
    #[serde(skip_serializing_if = "Enrichment::is_empty", default)]
    pub enrichment: Enrichment,
    /// The decision, with its plan.
    pub decision: Decision,
    /// For a rollback: which record, and how.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollback: Option<RollbackOf>,
    /// Set when nothing was to be written, so that no [`RunResult`] follows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<Outcome>,
    /// What became of the follow-ups, where no [`RunResult`] follows.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub followed_up: Vec<FollowUpResult>,
}

/// The policy file a decision rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyRef {
    /// Its name.
    pub name: String,
    /// SHA-256 of its text, in hex.
    pub digest: String,
}

/// The rollback that a record is the evidence of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RollbackOf {
    /// The record that is rolled back.
    pub record: String,
    /// What it does and what it leaves.
    pub inverse: Inverse,
}

words! {
    /// How it ended.
    Outcome {
        /// Every change was made and read back.
        Contained = "contained",
        /// Some changes were made, some failed or could not be verified.
        Partial = "partial",
        /// The bucket was as the policy asks.
        AlreadyContained = "already-contained",
        /// A guard held back all there was to do.
        Withheld = "withheld",
        /// There was nothing to do.
        Ignored = "ignored",
        /// No change could be made.
        Failed = "failed",
        /// A containment was undone.
        RolledBack = "rolled-back",
        /// There is something to do, and nothing was done yet: what `plan` answers.
        Planned = "planned",
    }
}

/// What became of a record's plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunResult {
    /// [`VERSION`].
    pub version: u32,
    /// The record.
    pub record: String,
    /// Unique to the run that wrote it.
    pub run: String,
    /// When the last change was read back.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// The changes, in the order in which they were made.
    pub changes: Vec<ChangeResult>,
    /// What became of the follow-ups.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub followed_up: Vec<FollowUpResult>,
    /// How sensitive the data is, where nothing waited for Macie to say so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sensitivity: Option<Reasoned<Sensitivity>>,
}

impl RunResult {
    /// Takes in what an earlier plan of the same delivery has changed and this one had not to.
    pub fn take_in(&mut self, earlier: &RunResult) {
        let is_own =
            |change: &ChangeResult| self.changes.iter().any(|own| own.setting == change.setting);
        let made = earlier.changes.iter();
        let made = made.filter(|change| change.status == ChangeStatus::Verified && !is_own(change));
        // What it left open, the later plan has settled.
        let made = made.map(|change| ChangeResult {
            detail: None,
            may_succeed_later: false,
            ..change.clone()
        });
        let made: Vec<ChangeResult> = made.collect();
        self.changes.splice(0..0, made);
    }
}

/// What became of one follow-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FollowUpResult {
    /// Which.
    pub follow_up: FollowUp,
    /// How it ended.
    pub status: FollowUpStatus,
    /// What was done, or why it was not.
    pub detail: String,
}

words! {
    /// How one follow-up ended.
    FollowUpStatus {
        /// The service did it, or had done it already.
        Done = "done",
        /// It was not run.
        Withheld = "withheld",
        /// The service refused it, or did not answer.
        Failed = "failed",
    }
}

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChangeResult {
    /// Which setting.
    pub setting: SettingKind,
    /// How it ended.
    pub status: ChangeStatus,
    /// The error, with its operation, resource and code, and what to do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// Whether the same event, delivered again, may bring it about.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub may_succeed_later: bool,
}

words! {
    /// How one change ended.
    ChangeStatus {
        /// Written, and read back as written.
        Verified = "verified",
        /// Written, but what is read back is something else.
        Unverified = "unverified",
        /// Not written.
        Failed = "failed",
    }
}

/// What the store says became of a containment after its run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Since {
    /// Whether it stands.
    pub stands: Stands,
    /// The rollbacks of the record, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rollbacks: Vec<RolledBack>,
    /// A person's word that updates of the finding leave the target alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
}

/// Whether the containment of a delivery stands, all of its attempts together.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stands {
    /// None was begun.
    Never,
    /// It was begun and not ended.
    #[serde(rename_all = "kebab-case")]
    MayStand {
        /// When it is to end by itself.
        expires: Option<Timestamp>,
        /// Whether what somebody undoes is put back.
        hold: bool,
    },
    /// It has ended.
    #[serde(rename_all = "kebab-case")]
    Ended {
        /// When that was found.
        at: Timestamp,
        /// Why.
        why: String,
    },
}

/// A rollback of a record.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RolledBack {
    /// The rollback's own record.
    pub record: String,
    /// When it was begun.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// How it ended; none where it has not.
    pub outcome: Option<Outcome>,
}

/// The note that a person rolled a finding back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Release {
    /// [`VERSION`].
    pub version: u32,
    /// The record that was rolled back.
    pub record: String,
    /// When.
    pub at: Timestamp,
    /// Who did.
    pub by: String,
}

impl Record {
    /// The bucket's name, or the account's id.
    pub fn target_name(&self) -> &str {
        match &self.target {
            Target::Bucket(bucket) => &bucket.name,
            Target::Account(account) => account,
        }
    }
}

/// The id of the record of one delivery for one target: the same for the same delivery, so that a second run finds the
/// evidence of the first; a time in front, so that a listing is in order; the hash of the target behind, so that a listing
/// tells how many buckets were touched.
pub fn record_id(finding: &Finding, target: &Target, now: Timestamp) -> String {
    let updated = finding.updated_at.or(finding.last_seen);
    let identity = format!(
        "{}\n{}",
        finding.id,
        updated.map(|at| at.to_string()).unwrap_or_default()
    );
    format!(
        "r-{}-{}-{}",
        compact(updated.unwrap_or(now)),
        digest(&identity, 4),
        target_digest(finding, target)
    )
}

/// The id of the first record of a delivery: later attempts at the same one are numbered, `<id>-2` and so on.
pub fn first_id(id: &str) -> &str {
    let mut parts = id.match_indices('-').map(|(index, _)| index);
    parts.nth(3).map_or(id, |end| &id[..end])
}

/// The part of a record's id that tells the target.
pub fn target_digest(finding: &Finding, target: &Target) -> String {
    digest_of(&finding.partition, target)
}

/// The same without a finding.
pub fn digest_of(partition: &str, target: &Target) -> String {
    let identity = match target {
        Target::Bucket(bucket) => format!("{}\n{}", bucket.account, bucket.name),
        Target::Account(account) => format!("{partition}\n{account}"),
    };
    digest(&identity, 4)
}

/// `20260301T101500Z`.
pub fn compact(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn digest(text: &str, bytes: usize) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .take(bytes)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
