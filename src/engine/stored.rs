//! What the store holds under a key, as a value, and the numbers by which later attempts are kept apart.

use serde::de::DeserializeOwned;

use super::EngineError;
use crate::store::Store;

/// An object of the store; none where there is none. One that cannot be read is an error, never none.
pub(super) async fn read<T: DeserializeOwned>(
    store: &Store,
    key: &str,
) -> Result<Option<T>, EngineError> {
    let object = store.get(key).await.map_err(EngineError::Store)?;
    let value = object.map(|object| serde_json::from_slice(&object.bytes));
    value.transpose().map_err(|error| EngineError::Unreadable {
        key: key.to_owned(),
        why: error.to_string(),
    })
}

/// The id of the attempt of this number: `<first>`, `<first>-2` and so on.
pub(super) fn numbered(first: &str, number: usize) -> String {
    match number {
        1 => first.to_owned(),
        _ => format!("{first}-{number}"),
    }
}
