//! What a sweep tells: containments whose time is up, what somebody has undone, what a run left behind, Macie's jobs that have
//! ended or not, and exceptions that end.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::classification::words;
use crate::drift::Undone;
use crate::policy::Policy;
use crate::record::{Outcome, Record};

/// How long before its last day an exception is named.
const NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What a sweep found and did.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sweep {
    /// How many containments stand.
    pub standing: usize,
    /// What became of each that was looked at, where there is something to tell.
    pub found: Vec<Swept>,
    /// How many could not be looked at in the time that there was; the sweep of the next hour begins elsewhere.
    pub left: usize,
    /// Leases that a run left behind when it was cut off.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub leases: Vec<LeaseLeft>,
    /// The Macie jobs that follow-ups asked for, until their end was told.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub jobs: Vec<JobSeen>,
    /// Exceptions of the policy file that end within two weeks, or have ended.
    pub exceptions: Vec<Ending>,
}

/// What the sweep says of one containment.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Swept {
    /// The record.
    pub record: String,
    /// The bucket, or the account's id.
    pub target: String,
    /// What was found, or done.
    pub state: SweptState,
    /// The facts, in words.
    pub detail: Vec<String>,
    /// What somebody has undone.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub undone: Vec<Undone>,
    /// Where in the store is kept what somebody wrote and nobody finds in the bucket.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kept: Option<String>,
    /// How what was done ended; none where nothing was done.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<Outcome>,
    /// The record itself, for the notice; none where it could not be read.
    #[serde(skip)]
    pub of: Option<Box<Record>>,
}

/// A lease that a run left behind. It is expired, and blocks nobody.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LeaseLeft {
    /// Its key in the store, which names account and bucket.
    pub key: String,
    /// The finding that it was held for.
    pub finding: String,
    /// Since when.
    pub since: Timestamp,
    /// When it expired.
    pub expired: Timestamp,
    /// Whether it was given back.
    pub released: bool,
}

/// A Macie job that a follow-up asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobSeen {
    /// Its id.
    pub job: String,
    /// The bucket that it looks into.
    pub bucket: String,
    /// The bucket's account.
    pub account: String,
    /// The record whose follow-up it is.
    pub record: String,
    /// The finding of that record.
    pub finding: String,
    /// How it stands.
    pub state: JobState,
    /// What follows, in words.
    pub detail: String,
    /// The command that lists what it found; none before it has ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub findings: Option<String>,
}

/// An exception of the policy file that ends, or has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ending {
    /// Its id.
    pub id: String,
    /// Its last day.
    pub expires: Date,
    /// Whether that day is over.
    pub ended: bool,
    /// The same in words, with its place and its reason.
    pub what: String,
}

words! {
    /// How a Macie job stands.
    JobState {
        /// It goes on.
        Pending = "pending",
        /// A person paused it; Macie ends it after 30 days.
        Paused = "paused",
        /// It has come to its end.
        Complete = "complete",
        /// A person cancelled it, or Macie did.
        Cancelled = "cancelled",
        /// Macie could not be asked.
        Unknown = "unknown",
    }
}

words! {
    /// What the sweep found of a containment, or did about it.
    SweptState {
        /// Its time is up, and it was rolled back.
        Expired = "expired",
        /// Its time is up, and it was not rolled back, or not all of it.
        Due = "due",
        /// Somebody has undone a part of it.
        Drift = "drift",
        /// Somebody had undone a part of it, and it was put back.
        Held = "held",
        /// A run was cut off before it could say how it ended.
        Unfinished = "unfinished",
        /// What somebody else wrote at the same time is not there.
        Overwritten = "overwritten",
        /// The bucket is gone, and the containment with it.
        Gone = "gone",
        /// It could not be looked at.
        Failed = "failed",
    }
}

impl Sweep {
    /// How many containments somebody has undone a part of, and that were not put back.
    pub fn drifted(&self) -> u64 {
        let drifted = self
            .found
            .iter()
            .filter(|swept| swept.state == SweptState::Drift);
        drifted.count() as u64
    }

    /// Whether a sweep that acts would do anything but look.
    pub fn leaves_work(&self) -> bool {
        let due = |swept: &Swept| matches!(swept.state, SweptState::Due | SweptState::Drift);
        let over = |job: &JobSeen| matches!(job.state, JobState::Complete | JobState::Cancelled);
        self.found.iter().any(due) || self.jobs.iter().any(over) || !self.leases.is_empty()
    }

    /// Whether a person has something to look at.
    pub fn needs_a_person(&self) -> bool {
        let open = |job: &JobSeen| matches!(job.state, JobState::Paused | JobState::Unknown);
        self.left > 0
            || self.found.iter().any(|swept| !swept.state.is_settled())
            || self.jobs.iter().any(open)
    }
}

impl SweptState {
    /// Whether nobody has to look at it.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Expired | Self::Held | Self::Gone)
    }
}

/// The exceptions that no longer hold soon, or already.
pub fn ending(policy: &Policy, today: Date) -> Vec<Ending> {
    let soon = today.saturating_add(NOTICE);
    let ending = policy
        .exceptions
        .iter()
        .filter(|exception| exception.expires <= soon);
    ending
        .map(|exception| {
            let ended = exception.expires < today;
            let verb = match ended {
                true => "ended on",
                false => "holds until",
            };
            Ending {
                id: exception.id.clone(),
                expires: exception.expires,
                ended,
                what: format!(
                    "exception {} ({}) {verb} {}: {}",
                    exception.id,
                    policy.place(exception.line),
                    exception.expires,
                    exception.reason
                ),
            }
        })
        .collect()
}
