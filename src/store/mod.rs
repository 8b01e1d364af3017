//! The one place for records, leases, releases and the policy file: a folder for the command line
//! and the demo, an S3 bucket for the Lambda, with the same layout and the same conditional writes.
//!
//! A write either creates what was not there or replaces exactly what was read; nothing is ever
//! overwritten blindly. Readers see whole objects only.

mod backoff;
mod error;
mod folder;
mod keys;
mod lease;
mod location;
mod policy_file;
mod s3;

use jiff::Timestamp;

pub(crate) use backoff::pause;
pub use error::{Operation, StoreError};
pub use folder::Folder;
pub use keys::{
    ACTIVITY, ACTIVITY_KEY, ENDED, JOBS, KeyError, LEASES, NOTICES, OVERWRITTEN, POLICIES,
    POLICY_KEY, RECORDS, RELEASES, STANDING, ended_key, job_ended_key, job_key, lease_key,
    notice_key, overwritten_key, policy_copy_key, policy_note_key, record_key, release_key,
    result_key, standing_key,
};
pub use lease::{
    Lease, LeaseError, LeaseRequest, LeftOver, Released, acquire, etag as lease_etag, left_over,
    until_free,
};
pub use location::{LocationError, StoreLocation};
pub use policy_file::{Push, PushError, Pushed};
pub use s3::S3Store;

/// How often an object may vanish between a refused create and the read that follows it.
const CREATE_ATTEMPTS: usize = 4;

/// Where records, leases, releases and the policy file are kept.
#[derive(Debug, Clone)]
pub enum Store {
    /// A folder of this machine.
    Folder(Folder),
    /// An S3 bucket, or a prefix of one.
    S3(S3Store),
}

/// An object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The whole content.
    pub bytes: Vec<u8>,
    /// What [`Store::replace`] and [`Store::delete`] compare; opaque.
    pub etag: String,
    /// When the store says that the object was written, by the store's clock.
    pub modified: Option<Timestamp>,
}

/// What [`Store::get_if_changed`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The object still has the ETag that was given.
    Unchanged,
    /// There is no such object.
    Absent,
    /// The object is new, or was changed.
    New(Object),
}

/// What [`Store::create`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// The object is there and holds our bytes.
    Done {
        /// Its ETag.
        etag: String,
    },
    /// An object with other content was there already.
    Exists,
}

/// What [`Store::replace`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaced {
    /// The object holds our bytes.
    Done {
        /// Its new ETag.
        etag: String,
    },
    /// The object is no longer the one that was read, or is gone.
    Changed,
}

/// What [`Store::delete`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The object is gone.
    Done,
    /// The object is no longer the one that was read, and stays.
    Changed,
    /// There was no such object.
    Absent,
}

/// [`Created`], with the object that was in the way.
enum Claim {
    Done { etag: String },
    Taken(Object),
}

impl Store {
    /// The object of a key, or none where the store says that there is none. A refused read is an
    /// error, never none.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        Ok(match self.get_if_changed(key, None).await? {
            Fetched::New(object) => Some(object),
            Fetched::Absent | Fetched::Unchanged => None,
        })
    }

    /// The object of a key, unless it still has the given ETag.
    pub async fn get_if_changed(
        &self,
        key: &str,
        etag: Option<&str>,
    ) -> Result<Fetched, StoreError> {
        keys::check_key(key)?;
        match self {
            Self::Folder(folder) => folder.get(key, etag),
            Self::S3(bucket) => bucket.get(key, etag).await,
        }
    }

    /// Writes an object where there is none.
    ///
    /// The bytes must hold something that no other writer has (a lease its holder, a record the
    /// nonce of its attempt), because an object that is there already and equals ours counts as
    /// ours: see [`Created::Done`].
    pub async fn create(&self, key: &str, bytes: &[u8]) -> Result<Created, StoreError> {
        Ok(match self.create_or_read(key, bytes).await? {
            Claim::Done { etag } => Created::Done { etag },
            Claim::Taken(_) => Created::Exists,
        })
    }

    /// Writes over the object that has the given ETag, and over no other.
    ///
    /// As with [`Store::create`], an object that equals ours counts as written by us.
    pub async fn replace(
        &self,
        key: &str,
        bytes: &[u8],
        etag: &str,
    ) -> Result<Replaced, StoreError> {
        keys::check_key(key)?;
        let replaced = match self {
            Self::Folder(folder) => folder.replace(key, bytes, etag)?,
            Self::S3(bucket) => bucket.replace(key, bytes, etag).await?,
        };
        if replaced != Replaced::Changed {
            return Ok(replaced);
        }
        // Our own write may be what changed it: see `create_or_read`.
        Ok(match self.get(key).await? {
            Some(object) if object.bytes == bytes => Replaced::Done { etag: object.etag },
            _ => Replaced::Changed,
        })
    }

    /// Deletes the object that has the given ETag, and no other.
    pub async fn delete(&self, key: &str, etag: &str) -> Result<Deleted, StoreError> {
        keys::check_key(key)?;
        match self {
            Self::Folder(folder) => folder.delete(key, etag),
            Self::S3(bucket) => bucket.delete(key, etag).await,
        }
    }

    /// Every key that begins with the prefix, sorted.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        if let Some((folder, _)) = prefix.rsplit_once('/') {
            keys::check_key(folder)?;
        }
        let mut found = match self {
            Self::Folder(folder) => folder.list(prefix)?,
            Self::S3(bucket) => bucket.list(prefix).await?,
        };
        // What others put there under names that we could not read is not ours.
        found.retain(|key| keys::check_key(key).is_ok());
        found.sort_unstable();
        Ok(found)
    }

    /// The store in words: `s3://bucket/prefix` or `folder ./x`.
    pub fn describe(&self) -> String {
        match self {
            Self::Folder(folder) => format!("folder {}", folder.root().display()),
            Self::S3(bucket) => bucket.describe(),
        }
    }

    /// Where the object of a key is: `s3://bucket/prefix/key` or the path of a file.
    pub fn place(&self, key: &str) -> String {
        match self {
            Self::Folder(folder) => folder.path(key).display().to_string(),
            Self::S3(bucket) => bucket.place(key),
        }
    }

    /// Creates the object, or reads the one that is in the way.
    ///
    /// A create whose response is lost is sent again by the SDK, and the second one is refused
    /// with 412 because of the first. So a refusal proves nothing until the object was read: when
    /// it equals what we sent, and what we sent is in no other writer's hands, it is our own write.
    async fn create_or_read(&self, key: &str, bytes: &[u8]) -> Result<Claim, StoreError> {
        keys::check_key(key)?;
        for _ in 0..CREATE_ATTEMPTS {
            let created = match self {
                Self::Folder(folder) => folder.create(key, bytes)?,
                Self::S3(bucket) => bucket.create(key, bytes).await?,
            };
            if let Created::Done { etag } = created {
                return Ok(Claim::Done { etag });
            }
            match self.get(key).await? {
                Some(object) if object.bytes == bytes => {
                    return Ok(Claim::Done { etag: object.etag });
                }
                Some(object) => return Ok(Claim::Taken(object)),
                // Deleted since: the name is free again.
                None => {}
            }
        }
        Err(StoreError::Unsettled {
            operation: Operation::Create,
            place: self.place(key),
        })
    }
}
