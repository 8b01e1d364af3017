//! Rollback and an operator's apply, from a record.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::apply::Terms;
use super::since::UNDO;
use super::{Engine, EngineError, Report, evidence, observe, standing, unique};
use crate::aws::Place;
use crate::decision::Decision;
use crate::finding::Target;
use crate::record::{
    Outcome, Record, Release, RollbackOf, VERSION, compact, first_id, target_digest,
};
use crate::rollback::{Inverse, inverse};
use crate::settings::SettingKind;
use crate::store::{self, Store, StoreError};

/// What is to be undone.
#[derive(Debug, Clone, Default)]
pub struct RollbackRequest {
    /// Settings that are put back even though somebody changed them since.
    pub force: Vec<SettingKind>,
}

/// Why a record cannot be rolled back at all.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// There is no such record.
    #[error("there is no record {id} in {store}; `portcullis records` lists them")]
    NoRecord {
        /// The id asked for.
        id: String,
        /// The store.
        store: String,
    },
    /// The record cannot be read.
    #[error("record {id} cannot be read: {why}")]
    Unreadable {
        /// The id asked for.
        id: String,
        /// Why.
        why: String,
    },
    /// The record is a rollback's.
    #[error("record {id} is a rollback itself; apply record {of} to contain again")]
    IsRollback {
        /// The id asked for.
        id: String,
        /// The record that it undid.
        of: String,
    },
    /// The record changed nothing.
    #[error("record {id} changed nothing, so there is nothing to undo")]
    NothingDone {
        /// The id asked for.
        id: String,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Why something is undone.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause<'a> {
    /// A person asked for it.
    Person,
    /// Its time was up; the mark is this one.
    Expiry { mark: &'a str },
}

/// Who asks for a rollback that nobody asked for.
const EXPIRY: &str = "expiry";

/// Whether a rollback did all that it could: what is left is what somebody changed.
pub(super) fn is_over(report: &Report) -> bool {
    let outcome = report.summary.outcome;
    matches!(
        outcome,
        Outcome::RolledBack | Outcome::Partial | Outcome::Withheld
    ) && !report.fails_the_invocation()
}

impl Engine<'_> {
    /// Reads a record.
    pub async fn load(store: &Store, id: &str) -> Result<Record, RollbackError> {
        let failed = |error: StoreError| RollbackError::Engine(EngineError::Store(error));
        let key = store::record_key(id).map_err(EngineError::from)?;
        let object = store.get(&key).await.map_err(failed)?;
        let no_record = || RollbackError::NoRecord {
            id: id.to_owned(),
            store: store.describe(),
        };
        let object = object.ok_or_else(no_record)?;
        serde_json::from_slice(&object.bytes).map_err(|error| RollbackError::Unreadable {
            id: id.to_owned(),
            why: error.to_string(),
        })
    }

    /// What a rollback would do now; writes nothing.
    pub async fn plan_rollback(
        &self,
        record: &Record,
        request: &RollbackRequest,
    ) -> Result<Inverse, RollbackError> {
        let (inverse, _, _) = self.inverse(record, request).await?;
        Ok(inverse)
    }

    /// Undoes what a record did, with the other attempts at the same delivery, and leaves a release, so that later updates of
    /// the same finding are left alone.
    pub async fn rollback(
        &self,
        record: &Record,
        request: &RollbackRequest,
    ) -> Result<Report, RollbackError> {
        self.undo(record, request, Cause::Person).await
    }

    /// The same for whatever cause there is. Only a person's word outlives the next update of the finding: an actor who comes
    /// back after the time was up must be met again.
    pub(super) async fn undo(
        &self,
        record: &Record,
        request: &RollbackRequest,
        cause: Cause<'_>,
    ) -> Result<Report, RollbackError> {
        let place = Place::of(&record.finding, &record.target);
        let lease = self.lease(&record.finding, &place, true).await?;
        let work = self.roll_back_under(record, request, cause, lease.as_ref());
        let done = Box::pin(work).await;
        if let Some(Err(error)) =
            futures_util::future::OptionFuture::from(lease.map(|lease| lease.release(self.store)))
                .await
        {
            tracing::warn!(%error, "the lease could not be released and will expire");
        }
        done
    }

    async fn roll_back_under(
        &self,
        record: &Record,
        request: &RollbackRequest,
        cause: Cause<'_>,
        lease: Option<&store::Lease>,
    ) -> Result<Report, RollbackError> {
        let (inverse, place, before) = self.inverse(record, request).await?;
        let now = (self.clock)();
        let mut undo = Record {
            version: VERSION,
            id: format!(
                "{UNDO}{}-{}-{}",
                compact(now),
                &unique()[..8],
                target_digest(&record.finding, &record.target)
            ),
            run: unique(),
            at: now,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            asked_by: match cause {
                Cause::Person => self.operator.unwrap_or("operator").to_owned(),
                Cause::Expiry { .. } => EXPIRY.to_owned(),
            },
            before,
            decision: Decision {
                plan: inverse.plan.clone(),
                ..record.decision.clone()
            },
            rollback: Some(RollbackOf {
                record: record.id.clone(),
                inverse,
            }),
            outcome: None,
            followed_up: Vec::new(),
            ..record.clone()
        };
        // The release goes first: an update of the finding that comes in now must not contain the bucket again.
        if matches!(cause, Cause::Person) {
            self.release(record, &place).await?;
        }
        let report = match (undo.decision.plan.is_empty(), lease) {
            (false, Some(lease)) => {
                let terms = Terms {
                    looked: Instant::now(),
                    waits: false,
                    is_last: true,
                };
                undo.id = evidence::store(self.store, &undo).await?.id;
                let result = self.apply(&undo, &place, lease, terms).await.result;
                let stored = evidence::store_result(self.store, &result).await;
                Report::done(undo, result, stored.err())
            }
            _ => {
                let drifted = undo
                    .rollback
                    .as_ref()
                    .is_some_and(|rollback| !rollback.inverse.drift.is_empty());
                undo.outcome = Some(if drifted {
                    Outcome::Withheld
                } else {
                    Outcome::RolledBack
                });
                undo.id = evidence::store(self.store, &undo).await?.id;
                Report::planned(undo)
            }
        };
        // Before the lease is given back: nobody shall find the one undone and the other still standing.
        let ended = self.end(record, &report, cause).await;
        Ok(match ended.map_err(EngineError::after_undoing) {
            Ok(()) => report,
            Err(error) => report.but(error),
        })
    }

    /// Marks that what a rollback has undone has ended.
    async fn end(
        &self,
        record: &Record,
        report: &Report,
        cause: Cause<'_>,
    ) -> Result<(), EngineError> {
        let (now, outcome) = ((self.clock)(), report.summary.outcome);
        match cause {
            Cause::Person if outcome == Outcome::RolledBack => {
                let why = "a person rolled it back";
                standing::end_all(self.store, &record.id, why, now).await
            }
            Cause::Expiry { mark } if is_over(report) => {
                let why = match outcome {
                    Outcome::RolledBack => "its time was up",
                    _ => "its time was up; what somebody had changed is left to a person",
                };
                standing::end(self.store, mark, why, now).await
            }
            _ => Ok(()),
        }
    }

    async fn inverse(
        &self,
        record: &Record,
        request: &RollbackRequest,
    ) -> Result<(Inverse, Place, crate::settings::Settings), RollbackError> {
        if let Some(of) = &record.rollback {
            return Err(RollbackError::IsRollback {
                id: record.id.clone(),
                of: of.record.clone(),
            });
        }
        if record.outcome.is_some() || record.decision.plan.is_empty() {
            return Err(RollbackError::NothingDone {
                id: record.id.clone(),
            });
        }
        let attempts = evidence::attempts(self.store, first_id(&record.id)).await?;
        let id = &record.id;
        if attempts.iter().all(|(attempt, _)| attempt.id != *id) {
            return Err(RollbackError::NothingDone { id: id.clone() });
        }
        let plans: Vec<_> = attempts
            .iter()
            .rev()
            .map(|(attempt, _)| &attempt.decision.plan)
            .collect();
        let guess = Place::of(&record.finding, &record.target);
        let changes = plans.iter().flat_map(|plan| &plan.changes);
        let kinds: BTreeSet<_> = changes.map(|change| change.setting).collect();
        let kinds: Vec<_> = kinds.into_iter().collect();
        let (now, place) = observe::observe_at_home(self.aws, &guess, &kinds)
            .await
            .map_err(EngineError::Observe)?;
        let arn = match &record.target {
            Target::Bucket(bucket) => bucket.arn(&record.finding.partition, &record.finding.region),
            Target::Account(_) => String::new(),
        };
        Ok((inverse(&plans, &now, &arn, &request.force), place, now))
    }

    async fn release(&self, record: &Record, place: &Place) -> Result<(), EngineError> {
        let key = store::release_key(&record.finding.id, &place.account, place.bucket.as_deref())?;
        let release = Release {
            version: VERSION,
            record: record.id.clone(),
            at: (self.clock)(),
            by: self.operator.unwrap_or("operator").to_owned(),
        };
        let bytes = serde_json::to_vec_pretty(&release).unwrap_or_default();
        // One release says it all; a second rollback of the same finding leaves the first one's note.
        self.store
            .create(&key, &bytes)
            .await
            .map(drop)
            .map_err(EngineError::Store)
    }
}

/// Time that an operator's command has for its work.
pub const OPERATOR_TIME: SignedDuration = SignedDuration::from_mins(2);
