//! The evidence: stored before the first write, never overwritten.

use jiff::Timestamp;
use serde::Serialize;

use super::{EngineError, unique};
use crate::record::{Outcome, Record, RunResult, VERSION};
use crate::store::{Created, Store, StoreError, record_key, result_key};

/// Attempts at one delivery that are kept apart; more than Lambda ever makes.
const ATTEMPTS: usize = 20;

/// Stores a record before anything is written, and returns the id under which it is kept.
///
/// A run that was cut off left its evidence behind. If that covers what is still to do, it is the evidence of this run too,
/// for it alone knows the state before the first write. Otherwise this record is kept beside it, under a number.
pub(super) async fn store(store: &Store, record: &Record) -> Result<String, EngineError> {
    for attempt in 1..=ATTEMPTS {
        let id = match attempt {
            1 => record.id.clone(),
            _ => format!("{}-{attempt}", record.id),
        };
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
            return Ok(id);
        }
        let earlier = store.get(&key).await.map_err(EngineError::Evidence)?;
        let earlier =
            earlier.and_then(|object| serde_json::from_slice::<Record>(&object.bytes).ok());
        let Some(earlier) = earlier else { continue };
        // A decision that changes nothing is told once.
        let told = record.outcome.is_some()
            && earlier.outcome == record.outcome
            && earlier.decision == record.decision;
        if told
            || (is_open(store, &earlier).await?
                && earlier.decision.plan.covers(&record.decision.plan))
        {
            return Ok(id);
        }
    }
    Err(EngineError::Unstable)
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
