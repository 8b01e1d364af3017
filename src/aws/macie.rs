//! Macie: what it knows of the data in a bucket.
//!
//! Macie is regional, an administrator's account sees its members' buckets, and a member only its own. So the stack's own
//! credentials ask first, and the member role where that leads nowhere.

use aws_config::{Region, SdkConfig};
use aws_sdk_macie2::Client;
use aws_sdk_macie2::types::{
    AutomatedDiscoveryMonitoringStatus, BucketCriteriaAdditionalProperties, BucketMetadata,
};
use aws_smithy_types::DateTime;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::{Aws, AwsError, Meaning, Place, quick};
use crate::enrichment::{Detection, MacieAnswer, MacieBucket, Unanswered};
use crate::settings::TOO_LATE;

/// The IAM actions of [`describe`].
pub const READS: [&str; 2] = [
    "macie2:DescribeBuckets",
    "macie2:ListResourceProfileDetections",
];

/// The scores of [51, 100] are those of a bucket with sensitive data.
const SENSITIVE: i32 = 51;
/// The most that ListResourceProfileDetections gives at once.
const DETECTIONS: i32 = 25;
const DETECTION_PAGES: usize = 10;
const BUCKET_PAGES: usize = 3;

/// What Macie says of a bucket. Answers within two seconds, whatever Macie does.
pub async fn describe(aws: &Aws, place: &Place) -> MacieAnswer {
    let until = Instant::now() + quick::BUDGET;
    let found = match timeout_at(until, find(aws, place, quick::config)).await {
        Ok(found) => found,
        Err(_) => Err(Silence::too_late("DescribeBuckets")),
    };
    let (client, found) = match found {
        Ok(found) => found,
        Err(Silence { reason, detail, .. }) => return MacieAnswer::Unanswered { reason, detail },
    };
    let mut bucket = bucket(&found);
    if bucket.score.is_some_and(|score| score >= SENSITIVE) {
        let listed = timeout_at(until, list_detections(&client, place, &mut bucket)).await;
        if listed.is_err() {
            bucket.detections_unread =
                Some(Silence::too_late("ListResourceProfileDetections").detail);
        }
    }
    MacieAnswer::Bucket(bucket)
}

/// Why there is no bucket to tell of.
pub(super) struct Silence {
    reason: Unanswered,
    detail: String,
    error: Option<AwsError>,
}

impl Silence {
    fn too_late(operation: &str) -> Self {
        Self {
            reason: Unanswered::TimedOut,
            detail: format!("{operation}: {TOO_LATE}"),
            error: None,
        }
    }

    fn not_listed(detail: String) -> Self {
        Self {
            reason: Unanswered::NotListed,
            detail,
            error: None,
        }
    }

    fn of(error: AwsError) -> Self {
        let says = |words: &str| {
            error
                .message
                .as_ref()
                .is_some_and(|message| message.contains(words))
        };
        let reason = match error.meaning {
            // The same code as for a real denial, and a status of 403 or, against the model, 401.
            Meaning::Denied if says("Macie is not enabled") => Unanswered::NotEnabled,
            Meaning::Denied => Unanswered::Denied,
            Meaning::NoAnswer if error.code == TOO_LATE => Unanswered::TimedOut,
            // A member role that could not be assumed is no answer of Macie's, but a denial all the same.
            Meaning::NoAnswer if says("AccessDenied") => Unanswered::Denied,
            _ => Unanswered::Failed,
        };
        Self {
            reason,
            detail: error.in_short(),
            error: Some(error),
        }
    }

    /// What two attempts came to: the member's own account knows best.
    fn after(self, first: Self) -> Self {
        Self {
            detail: format!(
                "{}; with the member role: {}",
                first.detail.trim_end_matches('.'),
                self.detail
            ),
            ..self
        }
    }

    pub(super) fn into_error(self, place: &Place) -> AwsError {
        self.error.unwrap_or_else(|| AwsError {
            operation: "DescribeBuckets",
            resource: place.name(),
            code: self.reason.word().to_owned(),
            message: Some(self.detail),
            meaning: Meaning::Other,
        })
    }
}

/// The bucket as Macie lists it, and the client that saw it.
pub(super) async fn find(
    aws: &Aws,
    place: &Place,
    pace: fn(&SdkConfig) -> SdkConfig,
) -> Result<(Client, BucketMetadata), Silence> {
    if place.bucket.is_none() {
        let detail = "Macie describes buckets, and the target is an account".to_owned();
        return Err(Silence::not_listed(detail));
    }
    let own = client(&pace(aws.config()), place);
    let first = match listed(&own, place).await {
        Ok(found) => return Ok((own, found)),
        Err(silence) => silence,
    };
    let elsewhere = matches!(first.reason, Unanswered::NotListed | Unanswered::NotEnabled);
    if !elsewhere || aws.members.role_in(place).is_none() {
        return Err(first);
    }
    let member = client(&pace(&aws.members.config(place)), place);
    match listed(&member, place).await {
        Ok(found) => Ok((member, found)),
        Err(second) => Err(second.after(first)),
    }
}

async fn listed(client: &Client, place: &Place) -> Result<BucketMetadata, Silence> {
    let mut token = None;
    let mut others = 0;
    for _ in 0..BUCKET_PAGES {
        let named = BucketCriteriaAdditionalProperties::builder()
            .eq(place.bucket())
            .build();
        let request = client
            .describe_buckets()
            .criteria("bucketName", named)
            .set_next_token(token);
        let page = request.send().await.map_err(|error| {
            Silence::of(AwsError::new("DescribeBuckets", &place.name(), &error))
        })?;
        for found in page.buckets() {
            // A bucket of the same name in other hands is another bucket.
            if found.bucket_name() == Some(place.bucket())
                && found.account_id() == Some(place.account.as_str())
            {
                return Ok(found.clone());
            }
            others += 1;
        }
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    Err(Silence::not_listed(match others {
        0 => format!("Macie lists no {} in {}", place.name(), place.region),
        _ => format!(
            "Macie lists no {} in {}, but another bucket in answer to its name",
            place.name(),
            place.region
        ),
    }))
}

async fn list_detections(client: &Client, place: &Place, bucket: &mut MacieBucket) {
    let arn = format!("arn:{}:s3:::{}", place.partition, place.bucket());
    let mut token = None;
    for _ in 0..DETECTION_PAGES {
        let request = client
            .list_resource_profile_detections()
            .resource_arn(&arn)
            .max_results(DETECTIONS)
            .set_next_token(token);
        let page = match request.send().await {
            Ok(page) => page,
            Err(error) => {
                let error = AwsError::new("ListResourceProfileDetections", &place.name(), &error);
                bucket.detections_unread = Some(error.in_short());
                return;
            }
        };
        let detections = page.detections().iter();
        bucket.detections.extend(detections.filter_map(|detection| {
            Some(Detection {
                name: detection.name().or(detection.id())?.to_owned(),
                count: detection.count().unwrap_or_default(),
            })
        }));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return;
        }
    }
    bucket.detections_unread = Some(format!(
        "more than {} kinds of data were found; the others were not listed",
        bucket.detections.len()
    ));
}

fn bucket(found: &BucketMetadata) -> MacieBucket {
    let monitored = found
        .automated_discovery_monitoring_status()
        .and_then(|status| match status {
            AutomatedDiscoveryMonitoringStatus::Monitored => Some(true),
            AutomatedDiscoveryMonitoringStatus::NotMonitored => Some(false),
            _ => None,
        });
    MacieBucket {
        score: found.sensitivity_score(),
        monitored,
        error: found.error_code().map(|code| code.as_str().to_owned()),
        analyzed_at: found.last_automated_discovery_time().and_then(timestamp),
        last_job: found
            .job_details()
            .and_then(|details| details.last_job_id())
            .map(str::to_owned),
        classifiable_objects: found.classifiable_object_count(),
        classifiable_bytes: found.classifiable_size_in_bytes(),
        detections: Vec::new(),
        detections_unread: None,
    }
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(time.subsec_nanos()).ok()?;
    Timestamp::new(time.secs(), nanoseconds).ok()
}

pub(super) fn client(config: &SdkConfig, place: &Place) -> Client {
    let region = Region::new(place.region.clone());
    let config = aws_sdk_macie2::config::Builder::from(config).region(region);
    Client::from_conf(config.build())
}
