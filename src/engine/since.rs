//! What became of a record's containment since, as far as the store tells.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::stored::read;
use super::{AT_ONCE, EngineError, standing};
use crate::aws::Place;
use crate::record::{Record, RollbackOf, RolledBack, RunResult, Since, first_id, target_digest};
use crate::store::{self, RECORDS, Store};

/// What the ids of rollbacks begin with.
pub(super) const UNDO: &str = "u-";

/// Asks the store about the record that it keeps under `id`. A rollback that cannot be read is an error: it could be of this one.
pub async fn since(store: &Store, id: &str, record: &Record) -> Result<Since, EngineError> {
    let keys = store.list(&format!("{RECORDS}{UNDO}")).await;
    let keys = keys.map_err(EngineError::Store)?;
    let target = target_digest(&record.finding, &record.target);
    // The target is in the id, so that only its rollbacks need be read.
    let ids = keys.iter().filter_map(|key| {
        let id = key.strip_prefix(RECORDS)?.strip_suffix(".json")?;
        let is_record = !id.ends_with(".result");
        (is_record && first_id(id).ends_with(&target)).then_some(id)
    });
    let rollbacks = stream::iter(ids.map(|undo| rollback(store, undo, id)));
    let rollbacks: Vec<Option<RolledBack>> = rollbacks.buffered(AT_ONCE).try_collect().await?;

    let place = Place::of(&record.finding, &record.target);
    let key = store::release_key(&record.finding.id, &place.account, place.bucket.as_deref());
    let release = match key {
        Ok(key) => read(store, &key).await?,
        // What cannot name a release was never released.
        Err(_) => None,
    };
    Ok(Since {
        stands: standing::stands(store, id).await?,
        rollbacks: rollbacks.into_iter().flatten().collect(),
        release,
    })
}

/// The rollback of an id, if it is one of the delivery of `record`.
async fn rollback(
    store: &Store,
    id: &str,
    record: &str,
) -> Result<Option<RolledBack>, EngineError> {
    let undo: Option<Record> = read(store, &store::record_key(id)?).await?;
    // The attempts at one delivery are undone together.
    let is_of = |of: &RollbackOf| first_id(&of.record) == first_id(record);
    let of = |undo: &Record| undo.rollback.as_ref().is_some_and(is_of);
    let Some(undo) = undo.filter(of) else {
        return Ok(None);
    };
    let result: Option<RunResult> = read(store, &store::result_key(id)?).await?;
    Ok(Some(RolledBack {
        outcome: result.map(|result| result.outcome).or(undo.outcome),
        record: undo.id,
        at: undo.at,
        by: undo.asked_by,
    }))
}
