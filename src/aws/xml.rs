//! Settings that go over the wire as the very XML that S3 returned.
//!
//! The SDK addresses, signs, checks and retries; only the body is ours: reads keep what came in, and writes replace what
//! the SDK would have made of an empty model.

use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_types::body::SdkBody;

use super::body::Kept;
use super::settings::not_writable;
use super::{Aws, AwsError, Meaning, Place};
use crate::settings::{Document, Setting, SettingKind, XmlDocument};

/// Parts of a setting that S3 returns in a header, and resets to their defaults when a write leaves them out.
const HEADERS: [&str; 1] = ["x-amz-transition-default-minimum-object-size"];

/// Reads a setting that S3 keeps as XML.
pub(super) async fn read(
    aws: &Aws,
    place: &Place,
    kind: SettingKind,
) -> Result<Document, AwsError> {
    let s3 = aws.s3(place);
    let kept = Kept::with_headers(&HEADERS);
    macro_rules! get {
        ($call:ident, $operation:literal) => {{
            let request = s3.$call().bucket(place.bucket());
            let request = request.expected_bucket_owner(&place.account).customize();
            let answer = request.interceptor(kept.clone()).send().await;
            answer.map_err(|error| AwsError::new($operation, &place.name(), &error))?;
            $operation
        }};
    }
    let operation = match kind {
        SettingKind::Versioning => get!(get_bucket_versioning, "GetBucketVersioning"),
        SettingKind::Lifecycle => get!(
            get_bucket_lifecycle_configuration,
            "GetBucketLifecycleConfiguration"
        ),
        SettingKind::Encryption => get!(get_bucket_encryption, "GetBucketEncryption"),
        SettingKind::OwnershipControls => {
            get!(get_bucket_ownership_controls, "GetBucketOwnershipControls")
        }
        SettingKind::Cors => get!(get_bucket_cors, "GetBucketCors"),
        SettingKind::Logging => get!(get_bucket_logging, "GetBucketLogging"),
        SettingKind::Replication => get!(get_bucket_replication, "GetBucketReplication"),
        SettingKind::Website => get!(get_bucket_website, "GetBucketWebsite"),
        SettingKind::PolicyStatus => get!(get_bucket_policy_status, "GetBucketPolicyStatus"),
        _ => return Err(not_writable(place, kind)),
    };
    document(&kept).map_err(|why| AwsError {
        operation,
        resource: place.name(),
        code: "MalformedXML".to_owned(),
        message: Some(why),
        meaning: Meaning::Other,
    })
}

/// Writes a setting that S3 keeps as XML, or deletes it where S3 can.
pub(super) async fn write(
    aws: &Aws,
    place: &Place,
    kind: SettingKind,
    setting: &Setting,
) -> Result<(), AwsError> {
    let s3 = aws.s3(place);
    macro_rules! call {
        ($call:ident, $operation:literal) => {{
            let request = s3.$call().bucket(place.bucket());
            let answer = request.expected_bucket_owner(&place.account).send().await;
            answer
                .map(drop)
                .map_err(|error| AwsError::new($operation, &place.name(), &error))
        }};
        ($call:ident, $operation:literal, $document:expr) => {{
            let request = s3.$call().bucket(place.bucket());
            let request = request.expected_bucket_owner(&place.account).customize();
            let answer = request.interceptor(Sent($document.clone())).send().await;
            answer
                .map(drop)
                .map_err(|error| AwsError::new($operation, &place.name(), &error))
        }};
    }
    match (kind, setting) {
        (SettingKind::Versioning, Setting::Present(Document::Xml(xml))) => {
            call!(put_bucket_versioning, "PutBucketVersioning", xml)
        }
        (SettingKind::Lifecycle, Setting::Present(Document::Xml(xml))) => {
            call!(
                put_bucket_lifecycle_configuration,
                "PutBucketLifecycleConfiguration",
                xml
            )
        }
        (SettingKind::Encryption, Setting::Present(Document::Xml(xml))) => {
            call!(put_bucket_encryption, "PutBucketEncryption", xml)
        }
        (SettingKind::Encryption, Setting::Absent) => {
            call!(delete_bucket_encryption, "DeleteBucketEncryption")
        }
        (SettingKind::OwnershipControls, Setting::Present(Document::Xml(xml))) => {
            call!(
                put_bucket_ownership_controls,
                "PutBucketOwnershipControls",
                xml
            )
        }
        (SettingKind::OwnershipControls, Setting::Absent) => {
            call!(
                delete_bucket_ownership_controls,
                "DeleteBucketOwnershipControls"
            )
        }
        (SettingKind::Cors, Setting::Present(Document::Xml(xml))) => {
            call!(put_bucket_cors, "PutBucketCors", xml)
        }
        (SettingKind::Cors, Setting::Absent) => call!(delete_bucket_cors, "DeleteBucketCors"),
        (SettingKind::Logging, Setting::Present(Document::Xml(xml))) => {
            call!(put_bucket_logging, "PutBucketLogging", xml)
        }
        (SettingKind::Replication, Setting::Present(Document::Xml(xml))) => {
            call!(put_bucket_replication, "PutBucketReplication", xml)
        }
        (kind, _) => Err(not_writable(place, kind)),
    }
}

/// The document in the body, with what belongs to it in the headers.
fn document(kept: &Kept) -> Result<Document, String> {
    let answer = kept.take().ok_or("the answer had no body")?;
    let text = String::from_utf8(answer.body).map_err(|error| error.to_string())?;
    let document = XmlDocument::parse(&text).map_err(|error| error.to_string())?;
    Ok(Document::Xml(document.with_headers(answer.headers)))
}

/// Sends a document of ours.
#[derive(Debug)]
struct Sent(XmlDocument);

impl Intercept for Sent {
    fn name(&self) -> &'static str {
        "SendTheBody"
    }

    /// After the SDK's serializer, and before its checksum, which S3 requires, and its signature.
    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let text = self.0.text();
        let headers = request.headers_mut();
        headers.insert("content-type", "application/xml");
        headers.insert("content-length", text.len().to_string());
        for (name, value) in self.0.headers() {
            headers.try_insert(name.clone(), value.clone())?;
        }
        *request.body_mut() = SdkBody::from(text);
        Ok(())
    }
}
