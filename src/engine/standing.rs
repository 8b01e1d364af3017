//! Which containments may stand: a mark beside the evidence, and another once one has ended. Nothing is deleted, so that the
//! function needs no permission to, and a lost answer costs nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::EngineError;
use crate::record::{Record, VERSION, first_id};
use crate::store::{self, ENDED, STANDING, Store, StoreError};

/// A containment that may stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Standing {
    version: u32,
    /// The first record of the delivery.
    pub(super) record: String,
    /// The rule, for whoever reads the file.
    rule: String,
    /// When it is to end by itself.
    pub(super) expires: Option<Timestamp>,
    /// Whether what somebody undoes is put back.
    pub(super) hold: bool,
}

/// Why a containment no longer stands.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Ended {
    version: u32,
    record: String,
    at: Timestamp,
    why: String,
}

/// Marks that a containment may stand from now on. It goes with the evidence, before the first write.
pub(super) async fn mark(store: &Store, record: &Record) -> Result<(), EngineError> {
    let id = first_id(&record.id);
    let standing = Standing {
        version: VERSION,
        record: id.to_owned(),
        rule: record.decision.rule.clone(),
        expires: record.decision.expires,
        hold: record.decision.hold,
    };
    create(store, &store::standing_key(id)?, &standing).await
}

/// Marks that a containment has ended.
pub(super) async fn end(
    store: &Store,
    record: &str,
    why: &str,
    at: Timestamp,
) -> Result<(), EngineError> {
    let id = first_id(record);
    let ended = Ended {
        version: VERSION,
        record: id.to_owned(),
        at,
        why: why.to_owned(),
    };
    create(store, &store::ended_key(id)?, &ended).await
}

/// The ids of the containments that may stand, oldest first.
pub(super) async fn list(store: &Store) -> Result<Vec<String>, StoreError> {
    let (standing, ended) =
        futures_util::future::try_join(store.list(STANDING), store.list(ENDED)).await?;
    let id =
        |key: &str, prefix: &str| Some(key.strip_prefix(prefix)?.strip_suffix(".json")?.to_owned());
    let ended: BTreeSet<String> = ended.iter().filter_map(|key| id(key, ENDED)).collect();
    let mut ids: Vec<String> = standing
        .iter()
        .filter_map(|key| id(key, STANDING))
        .filter(|id| !ended.contains(id))
        .collect();
    ids.sort();
    Ok(ids)
}

/// The mark of a containment; none where it is gone, or is none of ours.
pub(super) async fn load(store: &Store, id: &str) -> Result<Option<Standing>, EngineError> {
    let object = store
        .get(&store::standing_key(id)?)
        .await
        .map_err(EngineError::Store)?;
    Ok(object.and_then(|object| serde_json::from_slice(&object.bytes).ok()))
}

/// One mark says it all: one that is there already says the same.
async fn create(store: &Store, key: &str, mark: &impl Serialize) -> Result<(), EngineError> {
    let mut bytes = serde_json::to_vec_pretty(mark).unwrap_or_default();
    bytes.push(b'\n');
    let created = store.create(key, &bytes).await;
    created.map(drop).map_err(EngineError::Evidence)
}
