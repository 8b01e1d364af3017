//! An S3 bucket, or a prefix of one, as a store.
//!
//! S3 compares and writes in one step: PutObject knows If-None-Match and If-Match, DeleteObject
//! knows If-Match. S3's "no" answers are mostly unmodeled, so they are told apart by error code and
//! status.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use jiff::Timestamp;

use super::backoff::pause;
use super::{Created, Deleted, Fetched, Object, Operation, Replaced, StoreError};

/// How often a conditional write is sent that S3 answers with a conflict.
const CONFLICT_ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// An S3 bucket, or a prefix of one, as a store.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
    bucket: String,
    /// Empty, or with a slash at its end.
    prefix: String,
}

impl S3Store {
    /// The store in a bucket, below a prefix that may be empty. The client brings credentials,
    /// Region and time-outs; the SDK alone has no time-out for a server that hangs.
    pub fn new(client: Client, bucket: &str, prefix: &str) -> Self {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Self {
            client,
            bucket: bucket.to_owned(),
            prefix,
        }
    }

    pub(super) async fn get(&self, key: &str, etag: Option<&str>) -> Result<Fetched, StoreError> {
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .set_if_none_match(etag.map(str::to_owned))
            .send()
            .await;
        let output = match answer {
            Ok(output) => output,
            // The SDK takes every status outside 2xx for an error.
            Err(e) if status(&e) == Some(304) => return Ok(Fetched::Unchanged),
            // NoSuchBucket is a 404, too, and says nothing about the object.
            Err(e) if e.code() == Some("NoSuchKey") => return Ok(Fetched::Absent),
            Err(e) => return Err(StoreError::s3(Operation::Read, self.place(key), &e)),
        };
        let etag = self.etag(Operation::Read, key, output.e_tag)?;
        let modified = output.last_modified.and_then(timestamp);
        let body =
            output.body.collect().await.map_err(|e| {
                StoreError::unreadable(Operation::Read, self.place(key), e.to_string())
            })?;
        Ok(Fetched::New(Object {
            bytes: body.to_vec(),
            etag,
            modified,
        }))
    }

    pub(super) async fn create(&self, key: &str, bytes: &[u8]) -> Result<Created, StoreError> {
        match self.put(key, bytes, |put| put.if_none_match("*")).await {
            Ok(etag) => Ok(Created::Done {
                etag: self.etag(Operation::Create, key, etag)?,
            }),
            Err(e) if is_refused_condition(&e) => Ok(Created::Exists),
            Err(e) => Err(StoreError::s3(Operation::Create, self.place(key), &e)),
        }
    }

    pub(super) async fn replace(
        &self,
        key: &str,
        bytes: &[u8],
        etag: &str,
    ) -> Result<Replaced, StoreError> {
        match self.put(key, bytes, |put| put.if_match(etag)).await {
            Ok(etag) => Ok(Replaced::Done {
                etag: self.etag(Operation::Replace, key, etag)?,
            }),
            // If-Match on an object that is gone is answered with 404, not 412.
            Err(e) if is_refused_condition(&e) || e.code() == Some("NoSuchKey") => {
                Ok(Replaced::Changed)
            }
            Err(e) => Err(StoreError::s3(Operation::Replace, self.place(key), &e)),
        }
    }

    pub(super) async fn delete(&self, key: &str, etag: &str) -> Result<Deleted, StoreError> {
        let mut attempt = 0;
        loop {
            let answer = self
                .client
                .delete_object()
                .bucket(&self.bucket)
                .key(self.full_key(key))
                .if_match(etag)
                .send()
                .await;
            match answer {
                Ok(_) => return Ok(Deleted::Done),
                Err(e) if is_refused_condition(&e) => return Ok(Deleted::Changed),
                Err(e) if e.code() == Some("NoSuchKey") => return Ok(Deleted::Absent),
                Err(e) if is_conflict(&e) && attempt + 1 < CONFLICT_ATTEMPTS => {
                    tokio::time::sleep(pause(attempt, FIRST_PAUSE, LONGEST_PAUSE)).await;
                    attempt += 1;
                }
                Err(e) => return Err(StoreError::s3(Operation::Delete, self.place(key), &e)),
            }
        }
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(self.full_key(prefix))
            .into_paginator()
            .send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| StoreError::s3(Operation::List, self.place(prefix), &e))?;
            let found = page.contents.unwrap_or_default();
            keys.extend(found.into_iter().filter_map(|object| {
                let key = object.key?;
                key.strip_prefix(&self.prefix).map(str::to_owned)
            }));
        }
        Ok(keys)
    }

    pub(super) fn describe(&self) -> String {
        self.place("").trim_end_matches('/').to_owned()
    }

    pub(super) fn place(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.bucket, self.prefix)
    }

    fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Sends a conditional PutObject, again where S3 answers 409 ConditionalRequestConflict: then
    /// two writers met, neither is known to have won, and S3 asks for the request once more. The
    /// SDK does not retry a 409.
    async fn put(
        &self,
        key: &str,
        bytes: &[u8],
        condition: impl Fn(PutObjectFluentBuilder) -> PutObjectFluentBuilder,
    ) -> Result<Option<String>, SdkError<PutObjectError, HttpResponse>> {
        let kind = if key.ends_with(".json") {
            "application/json"
        } else {
            "text/plain; charset=utf-8"
        };
        let mut attempt = 0;
        loop {
            let put = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(self.full_key(key))
                .content_type(kind)
                .body(ByteStream::from(bytes.to_vec()));
            match condition(put).send().await {
                Ok(output) => return Ok(output.e_tag),
                Err(e) if is_conflict(&e) && attempt + 1 < CONFLICT_ATTEMPTS => {
                    tokio::time::sleep(pause(attempt, FIRST_PAUSE, LONGEST_PAUSE)).await;
                    attempt += 1;
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn etag(
        &self,
        operation: Operation,
        key: &str,
        etag: Option<String>,
    ) -> Result<String, StoreError> {
        etag.ok_or_else(|| {
            StoreError::unreadable(operation, self.place(key), "an answer without ETag".into())
        })
    }
}

fn is_refused_condition<E>(error: &SdkError<E, HttpResponse>) -> bool {
    status(error) == Some(412)
}

fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    matches!(
        error.code(),
        Some("ConditionalRequestConflict" | "OperationAborted")
    )
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|answer| answer.status().as_u16())
}

fn timestamp(time: DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), time.subsec_nanos().try_into().ok()?).ok()
}
