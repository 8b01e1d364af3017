//! Where a store is, as `PORTCULLIS_STORE` and `--store` say it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use aws_sdk_s3::Client;
use thiserror::Error;

use super::{Folder, S3Store, Store, keys};

/// Where a store is: `s3://bucket[/prefix]`, or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket, or a prefix of one.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// Without slashes at its ends; empty for the whole bucket.
        prefix: String,
    },
}

/// A text that names no store.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no store: {problem}; write s3://bucket, s3://bucket/prefix or a folder")]
pub struct LocationError {
    text: String,
    problem: &'static str,
}

impl StoreLocation {
    /// Reads `s3://bucket[/prefix]` or the path of a folder.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let refuse = |problem| {
            Err(LocationError {
                text: text.to_owned(),
                problem,
            })
        };
        if text.trim().is_empty() {
            return refuse("it is empty");
        }
        let Some(rest) = text.strip_prefix("s3://") else {
            if text.contains("://") {
                return refuse("only the scheme s3:// is known, in lower case");
            }
            return Ok(Self::Folder(PathBuf::from(text)));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if bucket.len() < 3 || !bucket.bytes().all(plain) {
            return refuse("it names no bucket");
        }
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() && keys::check_key(prefix).is_err() {
            return refuse("its prefix has an empty part, or one that begins with a dot");
        }
        Ok(Self::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    /// The store at this place; the client is asked for only where the store is a bucket.
    pub fn open(&self, client: impl FnOnce() -> Client) -> Store {
        match self {
            Self::Folder(path) => Store::Folder(Folder::new(path)),
            Self::S3 { bucket, prefix } => Store::S3(S3Store::new(client(), bucket, prefix)),
        }
    }
}

impl FromStr for StoreLocation {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        Self::parse(text)
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}
