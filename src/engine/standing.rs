//! Which containments may stand: a mark beside the evidence, and another once one has ended. Nothing is deleted, so that the
//! function needs no permission to, and a lost answer costs nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::EngineError;
use super::stored::{numbered, read};
use crate::record::{Record, Stands, VERSION, first_id};
use crate::store::{self, Created, ENDED, STANDING, Store, StoreError};

/// A containment that may stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Standing {
    version: u32,
    /// The first record of the delivery.
    pub(super) record: String,
    /// When the delivery was decided on.
    pub(super) at: Timestamp,
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

/// Marks that a containment may stand from now on. It goes with the evidence, before the first write. Where the mark of an
/// earlier attempt has ended, it is a new one: `<id>-2` and so on.
pub(super) async fn mark(store: &Store, record: &Record) -> Result<(), EngineError> {
    let standing = Standing {
        version: VERSION,
        record: first_id(&record.id).to_owned(),
        at: record.at,
        rule: record.decision.rule.clone(),
        expires: record.decision.expires,
        hold: record.decision.hold,
    };
    let mut number = 1;
    loop {
        let id = numbered(&standing.record, number);
        let created = create(store, &store::standing_key(&id)?, &standing).await?;
        if created || !is_there(store, &store::ended_key(&id)?).await? {
            return Ok(());
        }
        number += 1;
    }
}

/// Marks that the containment of a mark has ended.
pub(super) async fn end(
    store: &Store,
    id: &str,
    why: &str,
    at: Timestamp,
) -> Result<(), EngineError> {
    let ended = Ended {
        version: VERSION,
        record: first_id(id).to_owned(),
        at,
        why: why.to_owned(),
    };
    let created = create(store, &store::ended_key(id)?, &ended).await;
    created.map(drop)
}

/// The same for all marks of a record.
pub(super) async fn end_all(
    store: &Store,
    record: &str,
    why: &str,
    at: Timestamp,
) -> Result<(), EngineError> {
    let mut number = 1;
    loop {
        let id = numbered(first_id(record), number);
        if !is_there(store, &store::standing_key(&id)?).await? {
            return Ok(());
        }
        end(store, &id, why, at).await?;
        number += 1;
    }
}

/// The ids of the marks of containments that may stand, oldest first.
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

/// A mark; none where there is none.
pub(super) async fn load(store: &Store, id: &str) -> Result<Option<Standing>, EngineError> {
    read(store, &store::standing_key(id)?).await
}

/// What all marks of a record come to.
pub(super) async fn stands(store: &Store, record: &str) -> Result<Stands, EngineError> {
    let mut stands = Stands::Never;
    let mut number = 1;
    loop {
        let id = numbered(first_id(record), number);
        let Some(mark) = load(store, &id).await? else {
            return Ok(stands);
        };
        let ended: Option<Ended> = read(store, &store::ended_key(&id)?).await?;
        let Some(Ended { at, why, .. }) = ended else {
            return Ok(Stands::MayStand {
                expires: mark.expires,
                hold: mark.hold,
            });
        };
        stands = Stands::Ended { at, why };
        number += 1;
    }
}

async fn is_there(store: &Store, key: &str) -> Result<bool, EngineError> {
    let object = store.get(key).await.map_err(EngineError::Store)?;
    Ok(object.is_some())
}

/// Whether it was not there before. One mark says it all: one that is there already says the same.
async fn create(store: &Store, key: &str, mark: &impl Serialize) -> Result<bool, EngineError> {
    let mut bytes = serde_json::to_vec_pretty(mark).unwrap_or_default();
    bytes.push(b'\n');
    let created = store.create(key, &bytes).await;
    let created = created.map_err(EngineError::Evidence)?;
    Ok(matches!(created, Created::Done { .. }))
}
