//! Putting a policy file in force: only over the very version that was shown, and never without keeping both.
//!
//! A bucket keeps versions by itself; a folder has none, so that in both a dated copy of every pushed policy stays, and of
//! what it replaced, where that came by another way.

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    Created, Deleted, Object, POLICIES, POLICY_KEY, Replaced, Store, StoreError, policy_copy_key,
    policy_note_key,
};

/// A policy file to put in force.
#[derive(Debug, Clone, Copy)]
pub struct Push<'a> {
    /// Its text, which must be valid.
    pub text: &'a str,
    /// What was in force when the change was shown; none where there was no file.
    pub replaces: Option<&'a Object>,
    /// Who pushes.
    pub by: &'a str,
    /// The time.
    pub at: Timestamp,
}

/// A policy file that was put in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pushed {
    /// The version of this layout.
    pub version: u32,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
    /// The program's version.
    pub program: String,
    /// SHA-256 of the text, in hex.
    pub digest: String,
    /// The key of its copy.
    pub copy: String,
    /// SHA-256 of what it replaced; none where there was no file.
    pub replaced: Option<String>,
}

/// Why a policy file is not in force, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The store failed before the policy was written.
    #[error("nothing was pushed: {0}")]
    Store(StoreError),
    /// It is unknown whether the policy was written.
    #[error("it is not known whether the policy was written: {0}; push it again to find out")]
    Unsure(StoreError),
    /// Somebody else replaced the policy since it was shown.
    #[error(
        "nothing was pushed: {0} is no longer the version that was shown, for somebody replaced it; push again to see what differs now"
    )]
    Replaced(String),
    /// What is read back is something else.
    #[error(
        "the policy was written, but {0} reads otherwise already: somebody else wrote it right after; look at it, then push again"
    )]
    NotAsWritten(String),
    /// The policy is in force, and who pushed it could not be stored.
    #[error("the policy is in force, but who pushed it could not be stored: {0}")]
    Note(StoreError),
}

impl Store {
    /// Writes the policy file over the version that was shown, and over no other, and reads it back.
    pub async fn push_policy(&self, push: &Push<'_>) -> Result<Pushed, PushError> {
        let digest = digest(push.text.as_bytes());
        let replaced = push.replaces.map(Object::digest);
        if let (Some(object), Some(digest)) = (push.replaces, &replaced) {
            self.keep(object, digest).await.map_err(PushError::Store)?;
        }
        let copy = policy_copy_key(push.at, &digest);
        let bytes = push.text.as_bytes();
        let kept = self.create(&copy, bytes).await.map_err(PushError::Store)?;
        match self.put_in_force(bytes, push.replaces).await {
            Ok(true) => {}
            // An answer that was lost may have been a yes.
            Err(error) if error.is_transient() => return Err(PushError::Unsure(error)),
            refused => {
                self.forget(&copy, kept).await;
                return Err(match refused {
                    Err(error) => PushError::Store(error),
                    Ok(_) => PushError::Replaced(self.place(POLICY_KEY)),
                });
            }
        }
        let read = self.get(POLICY_KEY).await.map_err(PushError::Unsure)?;
        if read.is_none_or(|object| object.bytes != bytes) {
            return Err(PushError::NotAsWritten(self.place(POLICY_KEY)));
        }
        let pushed = Pushed {
            version: 1,
            at: push.at,
            by: push.by.to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            copy,
            replaced,
            digest,
        };
        let note = serde_json::to_vec_pretty(&pushed).unwrap_or_default();
        self.create(&policy_note_key(push.at, &pushed.digest), &note)
            .await
            .map_err(PushError::Note)?;
        Ok(pushed)
    }

    /// Whether the policy file was still the version that was shown, and is the new one now.
    async fn put_in_force(
        &self,
        bytes: &[u8],
        replaces: Option<&Object>,
    ) -> Result<bool, StoreError> {
        Ok(match replaces {
            None => self.create(POLICY_KEY, bytes).await? != Created::Exists,
            Some(object) => {
                self.replace(POLICY_KEY, bytes, &object.etag).await? != Replaced::Changed
            }
        })
    }

    /// Keeps what is about to be replaced, unless a push has left a copy of it.
    async fn keep(&self, object: &Object, digest: &str) -> Result<(), StoreError> {
        let copies = self.list(POLICIES).await?;
        let at = object.modified.unwrap_or(Timestamp::UNIX_EPOCH);
        let key = policy_copy_key(at, digest);
        let ending = key.rsplit_once('-').map_or("", |(_, ending)| ending);
        match copies.iter().any(|copy| copy.ends_with(ending)) {
            true => Ok(()),
            false => self.create(&key, &object.bytes).await.map(drop),
        }
    }

    /// A copy of what never served would mislead.
    async fn forget(&self, copy: &str, kept: Created) {
        let Created::Done { etag } = kept else { return };
        match self.delete(copy, &etag).await {
            Ok(Deleted::Done | Deleted::Absent) => {}
            Ok(Deleted::Changed) => {
                tracing::warn!(copy, "a copy of a policy that never served stays");
            }
            Err(error) => {
                tracing::warn!(copy, %error, "a copy of a policy that never served stays");
            }
        }
    }
}

impl Object {
    /// The SHA-256 of the content, in hex.
    pub fn digest(&self) -> String {
        digest(&self.bytes)
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
