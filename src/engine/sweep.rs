//! The sweep: containments whose time is up are rolled back, what somebody has undone is told or put back, what a run left
//! unfinished is named, and so are Macie's jobs until they end. Two sweeps at once meet at the lease of each target, and the
//! second finds nothing to do.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::future::join;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::standing::{self, Standing};
use super::undo::{self, Cause};
use super::{Engine, EngineError, Report, RollbackError, RollbackRequest, evidence, jobs, observe};
use crate::aws::{Meaning, Place};
use crate::drift::{Undone, undone};
use crate::finding::{Finding, Target, TrailEvent};
use crate::plan::{Change, Plan};
use crate::policy::Mode;
use crate::record::{Outcome, Record, RunResult, first_id};
use crate::settings::SettingKind;
use crate::store::LEASES;
use crate::sweep::{Sweep, Swept, SweptState, ending};

/// Containments that are looked at at the same time.
const AT_ONCE: usize = 4;
/// A run is over after this, whatever became of it: no lease is longer.
const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(1);
/// An event is delivered again for as long as a day by EventBridge, and then for six hours by Lambda: what failed may yet be
/// done.
const LAST_DELIVERY: SignedDuration = SignedDuration::from_hours(48);
/// A sweep that cannot reach all begins this many containments further on the next hour, so that none is never reached.
const STRIDE: u64 = 200;
/// What was put back is not put back again within this time but by the schedule: two programs that each undo the other at once
/// would never end.
const REST: SignedDuration = SignedDuration::from_mins(10);
/// What must be left of the time to begin with another containment.
pub(super) const RESERVE: SignedDuration = SignedDuration::from_secs(15);

/// Why what stands is looked after, and how far that may go.
pub(super) struct Occasion<'a> {
    /// Whether anything may be written.
    pub(super) acts: bool,
    /// What somebody wrote, where that is why.
    pub(super) event: Option<&'a TrailEvent>,
}

/// A record, and what became of it; none where its run was cut off.
type Attempt = (Record, Option<RunResult>);

/// One containment that may stand, with the records of the attempts that have left something behind, or may have.
struct Contained {
    mark: Standing,
    /// When the last attempt was made, whatever became of it.
    last: Timestamp,
    attempts: Vec<Attempt>,
}

impl Engine<'_> {
    /// Looks after every containment that may stand. With `acts` false nothing is written.
    pub async fn sweep(&self, acts: bool) -> Result<Sweep, EngineError> {
        let listed = futures_util::try_join!(
            standing::list(self.store),
            self.store.list(LEASES),
            jobs::list(self.store)
        );
        let (mut ids, leases, jobs) = listed.map_err(EngineError::Store)?;
        let hours = (self.clock)().as_second().unsigned_abs() / 3600;
        let start = hours.wrapping_mul(STRIDE) % (ids.len() as u64).max(1);
        ids.rotate_left(start as usize);
        let occasion = &Occasion { acts, event: None };
        let (found, left) = self.look_after_all(&ids, occasion).await;
        let (leases, jobs) =
            join(self.leases_left(&leases, acts), self.jobs_seen(&jobs, acts)).await;
        let today = TimeZone::UTC.to_datetime((self.clock)()).date();
        Ok(Sweep {
            standing: ids.len(),
            leases,
            jobs,
            left,
            found: found.into_iter().map(|(_, swept)| swept).collect(),
            exceptions: ending(self.policy, today),
        })
    }

    /// Looks after containments, several at once: what there is to tell, each with the id of its mark, and how many there was
    /// no time for.
    pub(super) async fn look_after_all(
        &self,
        ids: &[String],
        occasion: &Occasion<'_>,
    ) -> (Vec<(String, Swept)>, usize) {
        let look = ids.iter().map(|id| async move {
            let left = self.deadline.duration_since((self.clock)());
            match left < RESERVE {
                true => Err(()),
                false => {
                    let swept = Box::pin(self.sweep_one(id, occasion)).await;
                    Ok(swept.map(|swept| (id.clone(), swept)))
                }
            }
        });
        let looked: Vec<Result<Option<(String, Swept)>, ()>> = futures_util::stream::iter(look)
            .buffered(AT_ONCE)
            .collect()
            .await;
        let left = looked.iter().filter(|looked| looked.is_err()).count();
        (looked.into_iter().flatten().flatten().collect(), left)
    }

    async fn sweep_one(&self, id: &str, occasion: &Occasion<'_>) -> Option<Swept> {
        match self.look_after(id, occasion).await {
            Ok(swept) => swept,
            Err(error) => Some(Swept {
                record: first_id(id).to_owned(),
                target: String::new(),
                state: SweptState::Failed,
                detail: vec![error.to_string()],
                undone: Vec::new(),
                kept: None,
                outcome: None,
                of: None,
            }),
        }
    }

    async fn look_after(
        &self,
        id: &str,
        occasion: &Occasion<'_>,
    ) -> Result<Option<Swept>, RollbackError> {
        let (now, acts) = ((self.clock)(), occasion.acts);
        let Some(contained) = self.contained(id).await? else {
            return Ok(None);
        };
        let Some((newest, result)) = contained.attempts.last() else {
            if acts && now.duration_since(contained.last) > LAST_DELIVERY {
                standing::end(self.store, id, "nothing was changed", now).await?;
            }
            return Ok(None);
        };
        let swept = |state, detail| Swept {
            record: newest.id.clone(),
            target: newest.target_name().to_owned(),
            state,
            detail,
            undone: Vec::new(),
            kept: None,
            outcome: None,
            of: Some(Box::new(newest.clone())),
        };
        if contained.mark.expires.is_some_and(|expires| expires <= now) {
            return self.expire(id, newest, acts, swept).await.map(Some);
        }
        if result.is_none()
            && newest
                .at
                .saturating_add(LONGEST_RUN)
                .is_ok_and(|end| end < now)
        {
            let detail = "the run was cut off; apply the record again to bring it to its end";
            return Ok(Some(swept(SweptState::Unfinished, vec![detail.to_owned()])));
        }
        let undone = match self.undone(newest, &contained.attempts).await {
            Ok(undone) => undone,
            Err(EngineError::Observe(error)) if error.meaning == Meaning::BucketGone => {
                if acts {
                    standing::end(self.store, id, "the bucket is gone", now).await?;
                }
                let swept = swept(SweptState::Gone, vec![error.to_string()]);
                return Ok(Some(swept));
            }
            Err(error) => return Err(error.into()),
        };
        if undone.is_empty() {
            return Ok(None);
        }
        let mut detail: Vec<String> = occasion.event.iter().map(|event| seen(event)).collect();
        let again = occasion.event.is_some() && contained.attempts.len() > 1;
        let rests = again && now.duration_since(contained.last) < REST;
        if contained.mark.hold && acts && rests {
            let why = "it was put back only minutes ago; the next sweep does it again";
            detail.push(why.to_owned());
        }
        if !contained.mark.hold || !acts || rests {
            return Ok(Some(Swept {
                undone,
                ..swept(SweptState::Drift, detail)
            }));
        }
        let report = self.put_back(newest).await;
        let outcome = report.summary.outcome;
        detail.extend(report.summary.reason);
        let (state, undone) = match outcome {
            Outcome::Contained | Outcome::AlreadyContained => {
                match self.undone(newest, &contained.attempts).await {
                    Ok(still) if !still.is_empty() => {
                        detail.push("today's policy file does not ask for all of it".to_owned());
                        (SweptState::Drift, still)
                    }
                    Ok(_) if outcome == Outcome::Contained => (SweptState::Held, undone),
                    // Somebody else put it back meanwhile.
                    Ok(_) => return Ok(None),
                    // What was done is told all the same.
                    Err(error) => {
                        detail.push(format!("whether all of it is back is not known: {error}"));
                        (SweptState::Drift, undone)
                    }
                }
            }
            _ => (SweptState::Drift, undone),
        };
        Ok(Some(Swept {
            undone,
            outcome: Some(outcome),
            ..swept(state, detail)
        }))
    }

    /// Rolls back what all attempts did. What somebody changed since is left to a person, and told once.
    async fn expire(
        &self,
        id: &str,
        newest: &Record,
        acts: bool,
        swept: impl Fn(SweptState, Vec<String>) -> Swept,
    ) -> Result<Swept, RollbackError> {
        if !acts || self.stack_mode == Mode::Observe {
            let detail = "its time is up; `portcullis rollback` undoes it, and the function does where it is in enforce mode";
            return Ok(swept(SweptState::Due, vec![detail.to_owned()]));
        }
        let request = RollbackRequest::default();
        let cause = Cause::Expiry { mark: id };
        let report = self.undo(newest, &request, cause).await?;
        let outcome = report.summary.outcome;
        let (is_over, reason) = (undo::is_over(&report), report.summary.reason);
        let rollback = report.record.and_then(|record| record.rollback);
        let drift = rollback.into_iter().flat_map(|of| of.inverse.drift);
        let mut detail: Vec<String> = drift.map(|drift| drift.why).collect();
        let state = match is_over && detail.is_empty() {
            true => SweptState::Expired,
            false => SweptState::Due,
        };
        detail.extend(reason.filter(|reason| !is_over && !detail.contains(reason)));
        Ok(Swept {
            outcome: Some(outcome),
            ..swept(state, detail)
        })
    }

    /// Contains the target again, as the policy has it now.
    async fn put_back(&self, record: &Record) -> Report {
        let finding = Finding {
            targets: vec![record.target.clone()],
            ..(*record.finding).clone()
        };
        self.respond(&finding).await.remove(0)
    }

    /// What of all attempts is not in place: a setting that several have changed was before as the first one found it, and
    /// after as the last one left it.
    async fn undone(
        &self,
        record: &Record,
        attempts: &[Attempt],
    ) -> Result<Vec<Undone>, EngineError> {
        let mut changes: BTreeMap<SettingKind, Change> = BTreeMap::new();
        let all = attempts
            .iter()
            .flat_map(|(attempt, _)| &attempt.decision.plan.changes);
        for change in all {
            let known = changes
                .entry(change.setting)
                .or_insert_with(|| change.clone());
            known.after.clone_from(&change.after);
        }
        let plan = &Plan {
            changes: changes.into_values().collect(),
        };
        let kinds: Vec<_> = plan.changes.iter().map(|change| change.setting).collect();
        let guess = Place::of(&record.finding, &record.target);
        let (now, _) = observe::observe_at_home(self.aws, &guess, &kinds)
            .await
            .map_err(EngineError::Observe)?;
        let arn = match &record.target {
            Target::Bucket(bucket) => bucket.arn(&record.finding.partition, &record.finding.region),
            Target::Account(_) => String::new(),
        };
        Ok(undone(plan, &now, &arn))
    }

    /// What a mark stands for; none where there is no mark.
    async fn contained(&self, id: &str) -> Result<Option<Contained>, RollbackError> {
        let Some(mark) = standing::load(self.store, id).await? else {
            return Ok(None);
        };
        let mut attempts = evidence::attempts(self.store, &mark.record).await?;
        let last = attempts.iter().map(|(record, _)| record.at).max();
        let last = last.unwrap_or(mark.at).max(mark.at);
        let failed = |result: &RunResult| result.outcome == Outcome::Failed;
        attempts.retain(|(_, result)| !result.as_ref().is_some_and(failed));
        Ok(Some(Contained {
            mark,
            last,
            attempts,
        }))
    }
}

/// Who may have undone it. Others may have written, too: CloudTrail tells of each by itself, and in no order.
fn seen(event: &TrailEvent) -> String {
    format!("seen after {} by {} at {}", event.name, event.by, event.at)
}
