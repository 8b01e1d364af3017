//! What other AWS services say of a finding and its bucket: Macie of the data, GuardDuty of the finding itself.
//!
//! Answers only, as they came. [`crate::classification`] draws the conclusions; a service that was not asked, or did not
//! answer, leaves an unknown with its reason and never fails a containment.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::classification::words;
use crate::finding::Finding;

/// Everything that was asked about one target beside its settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Enrichment {
    /// What Macie says of the bucket; none where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub macie: Option<MacieAnswer>,
    /// Whether GuardDuty has the finding; none where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub guardduty: Option<FindingCheck>,
    /// Buckets that are to take the bucket's logs, by name, and where S3 says that they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub log_targets: BTreeMap<String, LogTarget>,
    /// Where the actors' accounts belong; asked only where the policy trusts organizations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub memberships: BTreeMap<String, Membership>,
}

/// Where an account belongs, as Organizations tells our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Membership {
    /// To our organization, by its id.
    Member(String),
    /// Not to ours.
    Outside,
    /// It could not be found out; why, in words.
    Unknown(String),
}

/// Where a bucket is that is to take logs, seen from the bucket that writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogTarget {
    /// In the same Region.
    SameRegion,
    /// In this one, where S3 delivers no logs to.
    OtherRegion(String),
    /// It could not be found out, or there is no such bucket; why, in words.
    Unknown(String),
}

impl Enrichment {
    /// Whether nothing was asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What became of asking Macie about a bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MacieAnswer {
    /// Macie lists the bucket.
    Bucket(MacieBucket),
    /// It has nothing to say.
    Unanswered {
        /// Why.
        reason: Unanswered,
        /// The same in words, with the operation and its code where there is one.
        detail: String,
    },
}

words! {
    /// Why Macie says nothing of a bucket.
    Unanswered {
        /// Macie is not enabled for the account in that Region.
        NotEnabled = "not-enabled",
        /// Macie is enabled and does not list the bucket.
        NotListed = "not-listed",
        /// The role may not ask it.
        Denied = "denied",
        /// No answer within the time that containment can spare.
        TimedOut = "timed-out",
        /// Any other error.
        Failed = "failed",
    }
}

/// A bucket as Macie's DescribeBuckets has it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MacieBucket {
    /// `sensitivityScore`: -1 or 1 to 100. Only automated discovery feeds it, never the results of jobs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub score: Option<i32>,
    /// Whether automated discovery monitors the bucket, where Macie says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub monitored: Option<bool>,
    /// `errorCode`: `ACCESS_DENIED` or `BUCKET_COUNT_EXCEEDS_QUOTA`; most of the rest is missing then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// When automated discovery last analyzed objects of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub analyzed_at: Option<Timestamp>,
    /// The last classification job that covers it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_job: Option<String>,
    /// How many objects Macie could analyze.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub classifiable_objects: Option<i64>,
    /// How many bytes they have.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub classifiable_bytes: Option<i64>,
    /// What kinds of sensitive data were found; asked for only where the score says sensitive.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub detections: Vec<Detection>,
    /// Why `detections` could not be listed, or not all of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detections_unread: Option<String>,
}

/// A kind of sensitive data in a bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Detection {
    /// The data identifier's name, such as `CREDIT_CARD_NUMBER`; a custom one's is untrusted text.
    pub name: String,
    /// How often it occurs.
    pub count: i64,
}

/// Whether GuardDuty has the finding, and what that rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FindingCheck {
    /// The answer.
    pub is: Standing,
    /// Why, in words.
    pub because: String,
}

words! {
    /// What GuardDuty says of a finding that an event tells of.
    Standing {
        /// It has the finding.
        Confirmed = "confirmed",
        /// It does not have it.
        Missing = "missing",
        /// It could not be asked, or did not answer.
        Unknown = "unknown",
    }
}

/// What reading a finding again through our own detector gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Reread {
    /// The finding as GuardDuty has it now.
    Found(Arc<Finding>),
    /// GuardDuty answered, and does not have it.
    Missing(String),
    /// GuardDuty could not be asked, or did not answer; why, in words.
    Unknown(String),
}
