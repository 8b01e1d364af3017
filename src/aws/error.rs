//! What an AWS error means for a containment.
//!
//! S3 models none of the errors of its configuration APIs, so that their codes have to be compared as text.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::region;
use crate::settings::{BUSY, NO_CONNECTION, STATUS, TOO_LATE, is_busy};

/// An AWS call that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation} on {resource} answered {code}{}{}", message_part(.message), advice(operation, .meaning, .message))]
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
    /// The role of the target's account does not let us in, or there is none.
    NotLetIn,
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
const NOT_CONFIGURED: [&str; 10] = [
    "NoSuchAccessPointPolicy",
    "NoSuchBucketPolicy",
    "NoSuchCORSConfiguration",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchTagSet",
    "NoSuchWebsiteConfiguration",
    "OwnershipControlsNotFoundError",
    "ReplicationConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
];
const OTHER_REGION: [&str; 4] = [
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "TemporaryRedirect",
];

impl AwsError {
    /// The error without its resource and advice, for where it stops nothing.
    pub(super) fn in_short(&self) -> String {
        let verb = match self.meaning {
            Meaning::NoAnswer => ":",
            _ => " answered",
        };
        let message = message_part(&self.message);
        format!("{}{verb} {}{message}", self.operation, self.code)
    }

    /// What to do about it, to be put behind it.
    pub(super) fn advice(&self) -> &'static str {
        advice(self.operation, &self.meaning, &self.message)
    }

    pub(crate) fn new<E: ProvideErrorMetadata + std::error::Error + 'static>(
        operation: &'static str,
        resource: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self {
        let response = error.raw_response();
        let status = response.map(|response| response.status().as_u16());
        let code = match (error.meta().code(), status) {
            (Some(code), _) => code.to_owned(),
            (None, Some(status)) => format!("{STATUS}{status}"),
            (None, None) => match error {
                SdkError::TimeoutError(_) => TOO_LATE.to_owned(),
                SdkError::DispatchFailure(failure) if failure.is_timeout() => TOO_LATE.to_owned(),
                SdkError::DispatchFailure(_) => NO_CONNECTION.to_owned(),
                _ => "an error before the call".to_owned(),
            },
        };
        let region = response.and_then(region::named);
        let meaning = match (code.as_str(), status) {
            (code, _) if NOT_CONFIGURED.contains(&code) => Meaning::NotConfigured,
            ("NoSuchBucket", _) => Meaning::BucketGone,
            (code, _) if OTHER_REGION.contains(&code) => Meaning::OtherRegion(region),
            (_, Some(301 | 307)) => Meaning::OtherRegion(region),
            (code, _) if BUSY.contains(&code) => Meaning::Busy,
            (_, Some(status)) if is_busy(status) => Meaning::Busy,
            (_, Some(401 | 403 | 405)) => Meaning::Denied,
            // A success that cannot be understood.
            (_, None | Some(200..=299)) => Meaning::NoAnswer,
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

fn advice(operation: &str, meaning: &Meaning, message: &Option<String>) -> &'static str {
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
        _ if says("detectorId is not owned") => {
            "; PORTCULLIS_DETECTOR_ID must be the detector of this account and Region, or unset"
        }
        _ if says("Macie is not enabled") => {
            "; enable Macie in the bucket's account and Region, or ask for no discovery"
        }
        Meaning::NotLetIn => {
            "; deploy stacksets/member.yaml in that account, or check there whom the role trusts and with which external id, and here the control policies that hit us"
        }
        Meaning::Denied if says("guardduty:") || says("macie2:") => {
            "; check the role's permissions and control policies that hit it"
        }
        _ if operation == "Publish" && says("KMS") => {
            "; the function's role needs kms:GenerateDataKey and kms:Decrypt on the topic's key (parameter NoticeKeyArn)"
        }
        Meaning::Denied if operation == "Publish" => {
            "; check sns:Publish in the function's role and the topic's policy"
        }
        Meaning::Other if operation == "Publish" => {
            "; PORTCULLIS_TOPIC_ARN must be a topic that is there, and is not FIFO"
        }
        Meaning::Denied | Meaning::Other if operation == "ArchiveFindings" => {
            "; only the GuardDuty administrator can archive, and members cannot: do it in the administrator's account"
        }
        Meaning::Other if operation == "CreateSampleFindings" => {
            "; GuardDuty may have no sample of one of the types: name others with --finding"
        }
        Meaning::Other if operation == "CreateFilter" => {
            "; in an organization only the GuardDuty administrator can create suppression rules"
        }
        Meaning::Denied => {
            "; check the role's permissions, the bucket's owner, and Deny statements or control policies that hit it"
        }
        Meaning::Busy => "; the same call may succeed in a minute",
        Meaning::OtherRegion(Some(_)) => "; the bucket is in another Region",
        Meaning::OtherRegion(None) => {
            "; the bucket is in another Region, and S3 does not say in which"
        }
        Meaning::NoAnswer => "; it may or may not have had its effect",
        _ => "",
    }
}
