//! What a sweep tells: containments whose time is up, what somebody has undone, what a run left unfinished, and exceptions
//! that end.

use jiff::SignedDuration;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::classification::words;
use crate::policy::Policy;
use crate::record::Outcome;

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
    /// Exceptions of the policy file that end within two weeks, or have ended.
    pub exceptions: Vec<String>,
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
    /// How what was done ended; none where nothing was done.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<Outcome>,
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

    /// Whether a person has something to look at.
    pub fn needs_a_person(&self) -> bool {
        self.left > 0 || self.found.iter().any(|swept| !swept.state.is_settled())
    }
}

impl SweptState {
    /// Whether nobody has to look at it.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Expired | Self::Held | Self::Gone)
    }
}

/// The exceptions that no longer hold soon, or already.
pub fn ending(policy: &Policy, today: Date) -> Vec<String> {
    let soon = today.saturating_add(NOTICE);
    let ending = policy
        .exceptions
        .iter()
        .filter(|exception| exception.expires <= soon);
    ending
        .map(|exception| {
            let verb = match exception.expires < today {
                true => "ended on",
                false => "holds until",
            };
            format!(
                "exception {} ({}) {verb} {}: {}",
                exception.id,
                policy.place(exception.line),
                exception.expires,
                exception.reason
            )
        })
        .collect()
}
