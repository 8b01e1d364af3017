//! The evidence: stored before the first write, never overwritten.

use jiff::Timestamp;
use serde::Serialize;

use super::stored::{numbered, read};
use super::{EngineError, unique};
use crate::record::{ChangeResult, ChangeStatus, Outcome, Record, RunResult, VERSION};
use crate::settings::Settings;
use crate::store::{Created, Store, StoreError, record_key, result_key};

/// Attempts at one delivery that are kept apart: more than Lambda ever makes, and a week of a containment that is held and undone
/// every hour.
const ATTEMPTS: usize = 200;

/// The evidence of a run.
pub(super) struct Kept {
    /// The id under which it is kept.
    pub(super) id: String,
    /// The record, where it is that of an earlier run, which may have written before it was cut off.
    pub(super) inherited: Option<Record>,
}

/// Stores a record before anything is written.
///
/// A run that was cut off left its evidence behind. If that covers what is still to do, it is the evidence of this run too,
/// for it alone knows the state before the first write. Otherwise it is closed, and this record is kept beside it, under a
/// number.
pub(super) async fn store(store: &Store, record: &Record) -> Result<Kept, EngineError> {
    for attempt in 1..=ATTEMPTS {
        let id = numbered(&record.id, attempt);
        let numbered = Record {
            id: id.clone(),
            ..record.clone()
        };
        let key = record_key(&id)?;
        if let Created::Done { .. } = store
            .create(&key, &bytes(&numbered))
            .await
            .map_err(EngineError::Evidence)?
        {
            let inherited = None;
            return Ok(Kept { id, inherited });
        }
        let earlier = store.get(&key).await.map_err(EngineError::Evidence)?;
        let earlier =
            earlier.and_then(|object| serde_json::from_slice::<Record>(&object.bytes).ok());
        let Some(earlier) = earlier else { continue };
        let told = record.outcome.is_some();
        // A decision that changes nothing is told once.
        if told && earlier.outcome == record.outcome && earlier.decision == record.decision {
            let inherited = None;
            return Ok(Kept { id, inherited });
        }
        // Whoever changes nothing may hold no lease, and somebody else may be at work.
        if !told && is_open(store, &earlier).await? {
            if earlier.decision.plan.covers(&record.decision.plan) {
                let inherited = Some(earlier);
                return Ok(Kept { id, inherited });
            }
            close(store, &earlier, &record.before, record.at).await?;
        }
    }
    Err(EngineError::Unstable)
}

/// The attempts at a delivery that may have changed something, the first first, and what became of each: none where it was cut
/// off.
pub(super) async fn attempts(
    store: &Store,
    first: &str,
) -> Result<Vec<(Record, Option<RunResult>)>, EngineError> {
    let mut attempts = Vec::new();
    for attempt in 1..=ATTEMPTS {
        let id = numbered(first, attempt);
        let Some(record) = read::<Record>(store, &record_key(&id)?).await? else {
            break;
        };
        if record.outcome.is_none() && record.rollback.is_none() {
            let result: Option<RunResult> = read(store, &result_key(&id)?).await?;
            let given_up = |result: &RunResult| result.outcome == Outcome::Planned;
            if !result.as_ref().is_some_and(given_up) {
                attempts.push((record, result));
            }
        }
    }
    Ok(attempts)
}

/// What became of a plan whose run was cut off, as far as the settings tell it.
pub(super) fn cut_off(record: &Record, seen: &Settings, now: Timestamp) -> RunResult {
    let changes: Vec<ChangeResult> = record
        .decision
        .plan
        .changes
        .iter()
        .map(|change| {
            let is_made = seen
                .get(change.setting)
                .is_some_and(|seen| change.is_made(seen));
            let (status, detail) = match is_made {
                true => (ChangeStatus::Verified, None),
                false => (
                    ChangeStatus::Unverified,
                    Some("the run was cut off, so that it is not known whether this was written"),
                ),
            };
            ChangeResult {
                setting: change.setting,
                status,
                detail: detail.map(str::to_owned),
                may_succeed_later: false,
            }
        })
        .collect();
    let all = changes
        .iter()
        .all(|change| change.status == ChangeStatus::Verified);
    RunResult {
        version: VERSION,
        record: record.id.clone(),
        run: unique(),
        at: now,
        outcome: match all {
            true => Outcome::Contained,
            false => Outcome::Partial,
        },
        changes,
        followed_up: Vec::new(),
        sensitivity: None,
    }
}

/// Closes the record of a run that was cut off. Only the holder of the target's lease knows that nobody is at work on it.
pub(super) async fn close(
    store: &Store,
    record: &Record,
    seen: &Settings,
    now: Timestamp,
) -> Result<(), EngineError> {
    let result = cut_off(record, seen, now);
    let stored = store_result(store, &result).await;
    stored.map_err(EngineError::Evidence)
}

/// Closes a record whose plan was not carried out, because the target had changed by the time it was stored: the state before
/// that it holds is out of date, and no later run may take it for its evidence.
pub(super) async fn give_up(store: &Store, id: &str, now: Timestamp) -> Result<(), EngineError> {
    let result = RunResult {
        version: VERSION,
        record: id.to_owned(),
        run: unique(),
        at: now,
        outcome: Outcome::Planned,
        changes: Vec::new(),
        followed_up: Vec::new(),
        sensitivity: None,
    };
    store_result(store, &result)
        .await
        .map_err(EngineError::Evidence)
}

/// Stores what became of a record.
pub(super) async fn store_result(store: &Store, result: &RunResult) -> Result<(), StoreError> {
    let key = result_key(&result.record)?;
    store.create(&key, &bytes(result)).await.map(drop)
}

async fn is_open(store: &Store, record: &Record) -> Result<bool, EngineError> {
    if record.outcome.is_some() || record.rollback.is_some() {
        return Ok(false);
    }
    let result = store
        .get(&result_key(&record.id)?)
        .await
        .map_err(EngineError::Evidence)?;
    Ok(result.is_none())
}

/// What we serialize has string keys only, which cannot fail.
fn bytes(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
