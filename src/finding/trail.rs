//! What somebody did to the settings of a bucket, as CloudTrail tells it: EventBridge's `AWS API Call via CloudTrail`.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::buckets::{is_account, is_bucket_name, is_region};
use super::detail::partition_of;
use super::error::{EventError, Place, quoted};
use super::lenient::as_object;
use super::read::{Event, Ignored, IgnoredReason};
use super::wire::{TrailRecord, TrailResource, UserIdentity};
use super::{Bucket, Target};
use crate::settings::PolicyDocument;

/// The detail-type of CloudTrail's events, whatever service they are about.
pub(super) const API_CALL: &str = "AWS API Call via CloudTrail";
/// The sources of those about buckets.
pub(super) const SOURCES: [&str; 2] = ["aws.s3", "aws.s3express"];
/// What an event's id must fit into: it becomes part of a key of the store.
const LONGEST_ID: usize = 64;

/// A call that changed a setting of a bucket, or of the account, or was to.
#[derive(Debug, Clone, PartialEq)]
pub struct TrailEvent {
    /// CloudTrail's id of it.
    pub id: String,
    /// The call, such as `PutBucketPolicy`.
    pub name: String,
    /// When, to the second.
    pub at: Timestamp,
    /// The ARN of who made it, or what else CloudTrail has of them.
    pub by: String,
    /// The role that they acted with; none where it was no role.
    pub role: Option<String>,
    /// The error that it was refused with; none where it took.
    pub error: Option<String>,
    /// The bucket, or the account.
    pub target: Target,
    /// The Region of the call.
    pub region: String,
    /// The partition.
    pub partition: String,
    /// The bucket policy that it wrote; none where it wrote none, or where CloudTrail does not have it, as with a request of
    /// more than 100 KB.
    pub policy: Option<PolicyDocument>,
}

impl TrailEvent {
    /// Whether it changed the bucket policy.
    pub fn is_of_policy(&self) -> bool {
        self.error.is_none()
            && matches!(self.name.as_str(), "PutBucketPolicy" | "DeleteBucketPolicy")
    }

    /// What it is where only findings are asked for.
    pub fn ignored(&self) -> Ignored {
        Ignored {
            reason: IgnoredReason::ApiCall,
            what: format!(
                "{} is no finding but a call that CloudTrail logged; the deployed function compares what stands on {} with it",
                self.name,
                match &self.target {
                    Target::Bucket(bucket) => format!("bucket {}", bucket.name),
                    Target::Account(account) => format!("account {account}"),
                }
            ),
            finding: None,
        }
    }
}

/// Reads the record of an event, whose keys have their wire names but for those of the request.
pub(super) fn read(mut detail: Map<String, Value>, place: &Place) -> Result<Event, EventError> {
    let request = detail.remove("requestParameters").unwrap_or_default();
    let record: TrailRecord = as_object(Value::Object(detail));
    let missing = |key: &str| EventError::Missing {
        place: place.key(key).to_string(),
    };
    let name = record.event_name.ok_or_else(|| missing("eventName"))?;
    if !changes_a_setting(&name) {
        let what = format!("the call {} changes no setting of a bucket", quoted(&name));
        return Ok(ignored(what));
    }
    let id = place.required("eventID", record.event_id, is_id, "an id of CloudTrail")?;
    let region = place.required("awsRegion", record.aws_region, is_region, "a Region")?;
    // Whoever calls into another account has an event of it, too. The owner is among the resources, where there are any.
    let is_bucket = |resource: &TrailResource| {
        let kind = resource.kind.as_deref().unwrap_or_default();
        kind.ends_with("Bucket")
    };
    let bucket = record.resources.into_iter().find(is_bucket);
    let bucket = bucket.unwrap_or_default();
    let owner = bucket.account_id.or(record.recipient_account_id);
    // A request of more than 100 KB is left out of the event.
    let named = bucket
        .arn
        .as_deref()
        .and_then(|arn| arn.rsplit([':', '/']).next());
    let named = named.map(str::to_owned);
    let account = place.required(
        "recipientAccountId",
        owner,
        is_account,
        "an account id (digits only)",
    )?;
    let target = match name.contains("Account") {
        true => Target::Account(account),
        false => {
            let said = request.get("bucketName").and_then(Value::as_str);
            let Some(bucket) = said.map(str::to_owned).or(named) else {
                return Ok(ignored(format!(
                    "CloudTrail's event of {name} does not name the bucket; the sweep looks at it"
                )));
            };
            let bucket = place.required(
                "requestParameters.bucketName",
                Some(bucket),
                is_bucket_name,
                "the name of an S3 bucket",
            )?;
            Target::Bucket(Bucket {
                directory: bucket.ends_with("--x-s3"),
                name: bucket,
                account,
                region: Some(region.clone()),
                ..Bucket::default()
            })
        }
    };
    let identity = record.user_identity;
    Ok(Event::Trail(Box::new(TrailEvent {
        at: record.event_time.ok_or_else(|| missing("eventTime"))?,
        policy: policy(&request),
        partition: partition_of(identity.arn.as_deref(), &region),
        role: identity.session_context.session_issuer.arn.clone(),
        by: by(identity),
        error: record.error_code,
        id,
        name,
        target,
        region,
    })))
}

fn ignored(what: String) -> Event {
    Event::Ignored(Ignored {
        reason: IgnoredReason::ApiCall,
        what,
        finding: None,
    })
}

/// By the names, of which S3 gives its settings new ones: whatever is written to a bucket, or to what holds for all of them.
fn changes_a_setting(name: &str) -> bool {
    let written = ["Put", "Delete"].iter();
    let mut rest = written.filter_map(|verb| name.strip_prefix(verb));
    rest.any(|of| of.starts_with("Bucket") || of == "AccountPublicAccessBlock")
        && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_id(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(plain)
}

/// The policy of the request, as an object; some senders hand its text on.
fn policy(request: &Value) -> Option<PolicyDocument> {
    let text = match request.get("bucketPolicy")? {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    PolicyDocument::parse(&text).ok()
}

fn by(identity: UserIdentity) -> String {
    let named = identity.arn.or(identity.user_name);
    let named = named.or(identity.principal_id).or(identity.invoked_by);
    named
        .or(identity.kind)
        .unwrap_or_else(|| "somebody whom CloudTrail does not name".to_owned())
}
