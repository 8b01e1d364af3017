//! The only writes: one change after the other, each read back.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, timeout};

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
/// How long a look is as good as a new one before the first write. Evidence is most often stored within this; where S3 is slow,
/// another look costs little beside what others may have written meanwhile.
const FRESH: Duration = Duration::from_millis(250);
/// What must be left of the lease for a write to begin.
const MARGIN: SignedDuration = SignedDuration::from_secs(2);

/// What became of a plan.
pub(super) struct Applied {
    pub(super) result: RunResult,
    /// Why the rest was not written, where it needs a new plan.
    pub(super) anew: Option<Anew>,
}

/// Why a plan is not the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anew {
    /// Somebody changed a setting before its turn came.
    Overtaken,
    /// A policy that still admits everybody was not taken, and BlockPublicPolicy would have S3 never take it.
    PolicyRefused,
    /// Such a policy was taken after all, and BlockPublicPolicy is still to be turned on.
    PolicyTaken,
}

impl Anew {
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Overtaken => "another setting of the plan was changed by somebody",
            Self::PolicyRefused => {
                "a policy could not be changed, and with block-public-policy on it never could"
            }
            Self::PolicyTaken => "block-public-policy, which waited for this, comes next",
        }
    }
}

/// How a plan is carried out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// When its settings were last looked at.
    pub(super) looked: Instant,
    /// Whether it leaves BlockPublicPolicy for later, because S3 has not taken a policy.
    pub(super) waits: bool,
    /// Whether no other plan may follow.
    pub(super) is_last: bool,
}

impl Engine<'_> {
    /// Carries out a record's plan. Never fails as a whole: what became of each change is in the result.
    pub(super) async fn apply(
        &self,
        record: &Record,
        place: &Place,
        lease: &Lease,
        terms: Terms,
    ) -> Applied {
        let plan = &record.decision.plan;
        let mut changes: Vec<ChangeResult> = Vec::new();
        let (mut anew, mut refused) = (None, false);
        for change in &plan.changes {
            // Nothing was written yet, so that the look beside the evidence is as good as another one.
            let looks = !changes.is_empty() || terms.looked.elapsed() > FRESH;
            // The flags have waited for this policy once.
            let pauses: &[u64] = match terms.waits && change.leaves_a_policy_public() {
                true => &[],
                false => &WRITE_PAUSES,
            };
            if refused && change.turns_on_block_public_policy() && !terms.is_last {
                anew = anew.or(Some(Anew::PolicyRefused));
            }
            let result = match anew {
                Some(why) => NotMade::yet(&format!("not written: {}", why.why())).result(change),
                None => match self.change(change, place, lease, looks, pauses).await {
                    Ok(result) => result,
                    Err(not_made) => {
                        anew = not_made.overtaken.then_some(Anew::Overtaken);
                        not_made.result(change)
                    }
                },
            };
            refused |= change.leaves_a_policy_public() && result.status != ChangeStatus::Verified;
            changes.push(result);
        }
        if terms.waits && !refused && anew.is_none() {
            anew = Some(Anew::PolicyTaken);
            for (change, result) in plan.changes.iter().zip(&mut changes) {
                if change.leaves_a_policy_public() {
                    result.detail = Some(format!("written: {}", Anew::PolicyTaken.why()));
                    result.may_succeed_later = true;
                }
            }
        }
        let count = |status| {
            let changes = changes.iter();
            changes.filter(|change| change.status == status).count()
        };
        let verified = count(ChangeStatus::Verified) == changes.len();
        let failed = count(ChangeStatus::Failed) == changes.len();
        let outcome = match (verified, failed) {
            (true, _) if terms.waits => Outcome::Partial,
            (true, _) => match &record.rollback {
                None => Outcome::Contained,
                Some(rollback) if rollback.inverse.drift.is_empty() => Outcome::RolledBack,
                Some(_) => Outcome::Partial,
            },
            (false, true) => Outcome::Failed,
            (false, false) => Outcome::Partial,
        };
        let result = RunResult {
            version: VERSION,
            record: record.id.clone(),
            run: unique(),
            at: (self.clock)(),
            outcome,
            changes,
            followed_up: Vec::new(),
            sensitivity: None,
        };
        Applied { result, anew }
    }

    async fn change(
        &self,
        change: &Change,
        place: &Place,
        lease: &Lease,
        looks: bool,
        pauses: &[u64],
    ) -> Result<ChangeResult, NotMade> {
        self.write(change, place, lease, looks, pauses).await?;
        self.read_back(change, place).await?;
        Ok(ChangeResult {
            setting: change.setting,
            status: ChangeStatus::Verified,
            detail: None,
            may_succeed_later: false,
        })
    }

    /// S3 has no conditional write of settings: a last look is what keeps another's change from being overwritten, and each
    /// pause makes the one before worthless. A refusal as busy is most often that very change.
    async fn write(
        &self,
        change: &Change,
        place: &Place,
        lease: &Lease,
        mut looks: bool,
        pauses: &[u64],
    ) -> Result<(), NotMade> {
        let mut pauses = pauses.iter();
        // Whether a write without an answer took is for the reading back to say, whatever comes after it.
        let mut is_unanswered = false;
        let mut in_part = false;
        loop {
            if looks && let Some(seen) = self.seen(change, place).await {
                if change.is_made(&seen) {
                    return Ok(());
                }
                if !change.is_unmade(&seen) {
                    return Err(NotMade::overtaken(in_part));
                }
            }
            looks = true;
            let now = (self.clock)();
            let soon = now.saturating_add(MARGIN).unwrap_or(lease.expires);
            if !lease.holds_at(soon) {
                if is_unanswered {
                    return Ok(());
                }
                let why = "the time for this run is over; deliver the event again";
                return Err(NotMade::unwritten(in_part, why));
            }
            // The SDK's own attempts must not go on when somebody else may have the lease.
            let left = Duration::try_from(lease.expires.duration_since(now)).unwrap_or_default();
            let error = match timeout(left, aws::write(self.aws, place, change)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => {
                    let why = "there was no answer before the time for this run was over, so that it may have been written; deliver the event again";
                    return Err(NotMade::unknown(why.to_owned()));
                }
            };
            is_unanswered |= error.meaning == Meaning::NoAnswer;
            in_part |= change.takes_several_writes();
            match (is_worth_a_retry(&error), pauses.next()) {
                (true, Some(pause)) => tokio::time::sleep(Duration::from_millis(*pause)).await,
                (_, _) if is_unanswered => return Ok(()),
                (may_succeed_later, _) => {
                    let why = error.to_string();
                    // The status of a change says that it was not written.
                    let not_made = match in_part {
                        true => NotMade::unwritten(true, &why),
                        false => NotMade::yet(&why),
                    };
                    return Err(NotMade {
                        may_succeed_later,
                        ..not_made
                    });
                }
            }
        }
    }

    /// The setting as it is now; none where it cannot be seen, or could not when the plan was made.
    async fn seen(&self, change: &Change, place: &Place) -> Option<Setting> {
        let is_readable = |setting: &Setting| !matches!(setting, Setting::Unreadable { .. });
        if !is_readable(&change.before) {
            return None;
        }
        let seen = aws::read(self.aws, place, change.setting).await.ok()?;
        is_readable(&seen).then_some(seen)
    }

    async fn read_back(&self, change: &Change, place: &Place) -> Result<(), NotMade> {
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
                _ => return Err(NotMade::unknown(why)),
            }
        }
    }
}

/// A change that was not made, or may not have been.
struct NotMade {
    status: ChangeStatus,
    why: String,
    may_succeed_later: bool,
    overtaken: bool,
}

impl NotMade {
    fn yet(why: &str) -> Self {
        Self {
            status: ChangeStatus::Failed,
            why: why.to_owned(),
            may_succeed_later: true,
            overtaken: false,
        }
    }

    fn unknown(why: String) -> Self {
        Self {
            status: ChangeStatus::Unverified,
            ..Self::yet(&why)
        }
    }

    /// What was not written, or not all of it: of a change that takes several writes, some may have been made.
    fn unwritten(in_part: bool, why: &str) -> Self {
        match in_part {
            true => Self::unknown(format!("not all was written: {why}")),
            false => Self::yet(&format!("not written: {why}")),
        }
    }

    fn overtaken(in_part: bool) -> Self {
        let why = match in_part {
            true => "it is not as it was when it was looked at",
            false => "somebody has changed it since it was looked at",
        };
        Self {
            overtaken: true,
            ..Self::unwritten(in_part, why)
        }
    }

    fn result(self, change: &Change) -> ChangeResult {
        ChangeResult {
            setting: change.setting,
            status: self.status,
            detail: Some(self.why),
            may_succeed_later: self.may_succeed_later,
        }
    }
}

/// Every write of ours replaces a whole document, so that writing it twice is as good as once.
fn is_worth_a_retry(error: &AwsError) -> bool {
    matches!(error.meaning, Meaning::Busy | Meaning::NoAnswer)
}
