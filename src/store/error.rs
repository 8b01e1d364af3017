//! What can go wrong with the store, in words that say what to do about it.

use std::fmt;
use std::io;
use std::path::Path;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error;

use super::KeyError;

/// An operation on the store that failed, or that nobody knows the end of.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The key was refused before anything was asked of the store.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file system refused.
    #[error("cannot {operation} {path}: {error}{}", folder_help(*.operation, .error))]
    Folder {
        /// What was tried.
        operation: Operation,
        /// The path of the file.
        path: String,
        /// What the file system said.
        error: io::Error,
    },
    /// S3 refused, or was not reached.
    #[error(
        "cannot {operation} {place}: {code}{}{}",
        answer(*.status, .message),
        s3_help(*.operation, .code, *.status)
    )]
    S3 {
        /// What was tried.
        operation: Operation,
        /// `s3://bucket/key`.
        place: String,
        /// S3's error code, or what kept it from answering: `Timeout`, `NotReached`, `NotSent`,
        /// `UnreadableAnswer`.
        code: String,
        /// The HTTP status, where there was an answer.
        status: Option<u16>,
        /// What S3 said.
        message: String,
    },
    /// Others kept creating and deleting the object while we tried.
    #[error("cannot {operation} {place}: others keep creating and deleting it; try again")]
    Unsettled {
        /// What was tried.
        operation: Operation,
        /// Where.
        place: String,
    },
}

/// What was asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// GetObject, or reading a file.
    Read,
    /// PutObject with If-None-Match, or linking a file.
    Create,
    /// PutObject with If-Match, or renaming a file.
    Replace,
    /// DeleteObject with If-Match, or unlinking a file.
    Delete,
    /// ListObjectsV2, or reading a directory.
    List,
}

impl StoreError {
    /// S3's error code, where S3 answered with one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::S3 { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether the same call may well succeed later, with nothing changed by anybody.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::S3 { code, status, .. } => transient(code, *status),
            Self::Unsettled { .. } => true,
            Self::Key(_) | Self::Folder { .. } => false,
        }
    }

    pub(super) fn folder(operation: Operation, path: &Path, error: io::Error) -> Self {
        let path = path.display().to_string();
        Self::Folder {
            operation,
            path,
            error,
        }
    }

    pub(super) fn s3<E>(
        operation: Operation,
        place: String,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let code = match error {
            SdkError::TimeoutError(_) => "Timeout",
            SdkError::DispatchFailure(failure) if failure.is_timeout() => "Timeout",
            SdkError::DispatchFailure(_) => "NotReached",
            SdkError::ConstructionFailure(_) => "NotSent",
            SdkError::ResponseError(_) => "UnreadableAnswer",
            _ => error.code().unwrap_or("no error code"),
        };
        Self::S3 {
            operation,
            place,
            code: code.to_owned(),
            status: error.raw_response().map(|r| r.status().as_u16()),
            message: error
                .message()
                .map_or_else(|| innermost(error), str::to_owned),
        }
    }

    /// An answer that S3 never gives: half a body, or no ETag.
    pub(super) fn unreadable(operation: Operation, place: String, message: String) -> Self {
        Self::S3 {
            operation,
            place,
            code: "UnreadableAnswer".to_owned(),
            status: None,
            message,
        }
    }
}

impl Operation {
    fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Replace | Self::Delete)
    }

    /// What a caller needs for the operation, as IAM and KMS name it.
    fn permissions(self) -> &'static str {
        match self {
            // Without s3:ListBucket S3 answers 403 where it would say that there is no such object.
            Self::Read => {
                "s3:GetObject on its objects, s3:ListBucket on the bucket (without it an absent \
                 object is refused, too) and kms:Decrypt on its key"
            }
            Self::Create => "s3:PutObject on its objects and kms:GenerateDataKey on its key",
            // If-Match makes S3 ask for the read permission, too.
            Self::Replace => {
                "s3:PutObject and s3:GetObject on its objects, kms:GenerateDataKey and \
                 kms:Decrypt on its key"
            }
            Self::Delete => "s3:DeleteObject and s3:GetObject on its objects",
            Self::List => "s3:ListBucket on the bucket",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::List => "list",
        })
    }
}

fn answer(status: Option<u16>, message: &str) -> String {
    match (status, message) {
        (Some(status), "") => format!(" (status {status})"),
        (Some(status), message) => format!(" (status {status}: {message})"),
        (None, "") => String::new(),
        (None, message) => format!(" ({message})"),
    }
}

fn s3_help(operation: Operation, code: &str, status: Option<u16>) -> String {
    let help = match (code, status) {
        ("NoSuchBucket", _) => "the store's bucket does not exist: check the name of the store",
        ("PermanentRedirect" | "AuthorizationHeaderMalformed", _) | (_, Some(301)) => {
            "the store's bucket is in another Region: use the Region of the bucket"
        }
        (
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "RequestTimeTooSkewed",
            _,
        ) => "S3 does not accept the credentials: renew them, and check this machine's clock",
        ("NotImplemented", _) => {
            "the endpoint does not know conditional requests, which the store cannot do without"
        }
        ("NotSent", _) => "no request was sent: check the credentials and the Region",
        (_, Some(403)) => {
            let kind = if operation.writes() {
                "writes"
            } else {
                "reads"
            };
            let needed = operation.permissions();
            return format!(
                "; the store refuses {kind}: check that the caller has {needed}, and that the \
                 bucket's policy does not deny them"
            );
        }
        _ if transient(code, status) && operation.writes() => {
            "try again, which is safe: whether it was written is not known"
        }
        _ if transient(code, status) => "try again",
        _ => return String::new(),
    };
    format!("; {help}")
}

fn folder_help(operation: Operation, error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            if operation.writes() {
                "; the store refuses writes: check the folder's owner and permissions"
            } else {
                "; the store refuses reads: check the folder's owner and permissions"
            }
        }
        io::ErrorKind::NotADirectory => {
            "; a part of the path is a file: name another folder for the store"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; nothing was written: make room and try again"
        }
        io::ErrorKind::Unsupported => {
            "; the store needs a file system with hard links and locks: name another folder"
        }
        _ => "",
    }
}

fn transient(code: &str, status: Option<u16>) -> bool {
    matches!(
        code,
        "Timeout"
            | "NotReached"
            | "UnreadableAnswer"
            | "SlowDown"
            | "RequestTimeout"
            | "ConditionalRequestConflict"
            | "OperationAborted"
    ) || (code != "NotImplemented" && status.is_some_and(|status| status == 429 || status >= 500))
}

/// The cause at the bottom of the SDK's chain: the layers above it only say that a call failed.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
