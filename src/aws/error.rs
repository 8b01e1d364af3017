//! What an AWS error means for a containment.
//!
//! S3 models none of the errors of its configuration APIs, so that their codes have to be compared as text.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// An AWS call that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation} on {resource} answered {code}{}{}", message_part(.message), advice(.meaning, .message))]
pub struct AwsError {
    /// The API, such as `PutBucketPolicy`.
    pub operation: &'static str,
    /// The bucket or account.
    pub resource: String,
    /// The service's code, or what kept the call from being answered.
    pub code: String,
    /// The service's message, untrusted text.
    pub message: Option<String>,
    /// What follows from it.
    pub meaning: Meaning,
}

/// What follows from an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The setting is not configured.
    NotConfigured,
    /// The bucket does not exist.
    BucketGone,
    /// We may not.
    Denied,
    /// Another change was in progress, or we were too fast: the same call may succeed soon.
    Busy,
    /// The bucket is in another Region, named where S3 says which.
    OtherRegion(Option<String>),
    /// No answer that could be understood: the call may or may not have had its effect.
    NoAnswer,
    /// Anything else.
    Other,
}

/// Codes by which S3 says that a setting is not configured.
const NOT_CONFIGURED: [&str; 9] = [
    "NoSuchAccessPointPolicy",
    "NoSuchBucketPolicy",
    "NoSuchCORSConfiguration",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchTagSet",
    "OwnershipControlsNotFoundError",
    "ReplicationConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
];
const BUSY: [&str; 7] = [
    "ConditionalRequestConflict",
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottlingException",
];
const OTHER_REGION: [&str; 4] = [
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "TemporaryRedirect",
];

impl AwsError {
    pub(crate) fn new<E: ProvideErrorMetadata + std::error::Error + 'static>(
        operation: &'static str,
        resource: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self {
        let response = error.raw_response();
        let status = response.map(|response| response.status().as_u16());
        let code = match (error.meta().code(), status) {
            (Some(code), _) => code.to_owned(),
            (None, Some(status)) => format!("HTTP {status}"),
            (None, None) => match error {
                SdkError::TimeoutError(_) => "no answer in time".to_owned(),
                SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                    "no answer in time".to_owned()
                }
                SdkError::DispatchFailure(_) => "no connection".to_owned(),
                _ => "an error before the call".to_owned(),
            },
        };
        let region = response
            .and_then(|response| response.headers().get("x-amz-bucket-region"))
            .map(str::to_owned);
        let meaning = match (code.as_str(), status) {
            (code, _) if NOT_CONFIGURED.contains(&code) => Meaning::NotConfigured,
            ("NoSuchBucket", _) => Meaning::BucketGone,
            (code, _) if OTHER_REGION.contains(&code) => Meaning::OtherRegion(region),
            (_, Some(301 | 307)) => Meaning::OtherRegion(region),
            (code, _) if BUSY.contains(&code) => Meaning::Busy,
            (_, Some(409 | 429 | 500 | 502 | 503 | 504)) => Meaning::Busy,
            (_, Some(401 | 403 | 405)) => Meaning::Denied,
            (_, None) => Meaning::NoAnswer,
            _ => Meaning::Other,
        };
        let source = || match error {
            SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) => {
                Some(aws_smithy_types::error::display::DisplayErrorContext(error).to_string())
            }
            _ => None,
        };
        let message = error.meta().message().map(str::to_owned).or_else(source);
        Self {
            operation,
            resource: resource.to_owned(),
            code,
            message,
            meaning,
        }
    }
}

/// Messages can hold what a caller chose; one line of them is enough.
fn message_part(message: &Option<String>) -> String {
    let Some(message) = message else {
        return String::new();
    };
    let line: String = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    format!(" ({line})")
}

fn advice(meaning: &Meaning, message: &Option<String>) -> &'static str {
    let says = |text: &str| {
        message
            .as_ref()
            .is_some_and(|message| message.contains(text))
    };
    match meaning {
        _ if says("organizational S3 Block Public Access policy") => {
            "; an Organizations S3 policy owns this setting, so change it there"
        }
        _ if says("BlockPublicPolicy") => {
            "; S3 refuses a policy that is still public, so add remove-public-grants to the rule"
        }
        Meaning::Denied => {
            "; check the role's permissions, the bucket's owner, and Deny statements or control policies that hit it"
        }
        Meaning::Busy => "; the same call may succeed in a minute",
        Meaning::OtherRegion(_) => "; the bucket is in another Region",
        Meaning::NoAnswer => "; it may or may not have had its effect",
        _ => "",
    }
}
