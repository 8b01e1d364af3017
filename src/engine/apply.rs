//! The only writes: one change after the other, each read back.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Engine, unique};
use crate::aws::{self, AwsError, Meaning, Place};
use crate::plan::Change;
use crate::record::{ChangeResult, ChangeStatus, Outcome, Record, RunResult, VERSION};
use crate::settings::Setting;
use crate::store::Lease;

/// Pauses before a write is tried again: S3 refuses a change while another one is in progress on the bucket.
const WRITE_PAUSES: [u64; 5] = [100, 250, 600, 1_500, 3_000];
/// Pauses before a setting is read back again: S3's bucket settings become visible in their own time.
const READ_PAUSES: [u64; 5] = [50, 150, 400, 1_000, 2_500];
/// What must be left of the lease for a write to begin.
const MARGIN: SignedDuration = SignedDuration::from_secs(2);

impl Engine<'_> {
    /// Carries out a record's plan. Never fails as a whole: what became of each change is in the result.
    pub(super) async fn apply(&self, record: &Record, place: &Place, lease: &Lease) -> RunResult {
        let mut changes = Vec::new();
        for change in &record.decision.plan.changes {
            changes.push(self.change(change, place, lease).await);
        }
        let verified = changes
            .iter()
            .filter(|change| change.status == ChangeStatus::Verified)
            .count();
        let failed = changes
            .iter()
            .filter(|change| change.status == ChangeStatus::Failed)
            .count();
        let outcome = match (verified == changes.len(), failed == changes.len()) {
            (true, _) => match &record.rollback {
                None => Outcome::Contained,
                Some(rollback) if rollback.inverse.drift.is_empty() => Outcome::RolledBack,
                Some(_) => Outcome::Partial,
            },
            (false, true) => Outcome::Failed,
            (false, false) => Outcome::Partial,
        };
        RunResult {
            version: VERSION,
            record: record.id.clone(),
            run: unique(),
            at: (self.clock)(),
            outcome,
            changes,
        }
    }

    async fn change(&self, change: &Change, place: &Place, lease: &Lease) -> ChangeResult {
        let result = |status, detail, may_succeed_later| ChangeResult {
            setting: change.setting,
            status,
            detail,
            may_succeed_later,
        };
        if let Err(NotWritten {
            why,
            may_succeed_later,
        }) = self.write(change, place, lease).await
        {
            return result(ChangeStatus::Failed, Some(why), may_succeed_later);
        }
        match self.read_back(change, place).await {
            Ok(()) => result(ChangeStatus::Verified, None, false),
            Err(why) => result(ChangeStatus::Unverified, Some(why), true),
        }
    }

    async fn write(&self, change: &Change, place: &Place, lease: &Lease) -> Result<(), NotWritten> {
        let mut pauses = WRITE_PAUSES.iter();
        loop {
            let soon = (self.clock)()
                .saturating_add(MARGIN)
                .unwrap_or(lease.expires);
            if !lease.holds_at(soon) {
                let why = "not written: the time for this run is over; deliver the event again"
                    .to_owned();
                return Err(NotWritten {
                    why,
                    may_succeed_later: true,
                });
            }
            let error = match aws::write(self.aws, place, change).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match (is_worth_a_retry(&error), pauses.next()) {
                (true, Some(pause)) => tokio::time::sleep(Duration::from_millis(*pause)).await,
                // Whether a write without an answer took is for the reading back to say.
                (_, _) if error.meaning == Meaning::NoAnswer => return Ok(()),
                (may_succeed_later, _) => {
                    return Err(NotWritten {
                        why: error.to_string(),
                        may_succeed_later,
                    });
                }
            }
        }
    }

    async fn read_back(&self, change: &Change, place: &Place) -> Result<(), String> {
        let mut pauses = READ_PAUSES.iter();
        loop {
            let seen = aws::read(self.aws, place, change.setting).await;
            let why = match seen {
                Ok(seen) if change.is_made(&seen) => return Ok(()),
                Ok(Setting::Unreadable { operation, code }) => {
                    format!("it could not be read back: {operation} answered {code}")
                }
                Ok(_) => "what is read back is not what was written; somebody may have changed it at the same time".to_owned(),
                Err(error) => format!("it could not be read back: {error}"),
            };
            match pauses.next() {
                Some(pause) if (self.clock)() < self.deadline => {
                    tokio::time::sleep(Duration::from_millis(*pause)).await
                }
                _ => return Err(why),
            }
        }
    }
}

/// A change that was not made.
struct NotWritten {
    why: String,
    may_succeed_later: bool,
}

/// Every write of ours replaces a whole document, so that writing it twice is as good as once.
fn is_worth_a_retry(error: &AwsError) -> bool {
    matches!(error.meaning, Meaning::Busy | Meaning::NoAnswer)
}
