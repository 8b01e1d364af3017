//! Macie's discovery jobs: one is created where nothing of ours runs, and its end is asked for.

use aws_config::SdkConfig;
use aws_sdk_macie2::Client;
use aws_sdk_macie2::types::{
    JobComparator, JobStatus, JobSummary, JobType, ListJobsFilterCriteria, ListJobsFilterKey,
    ListJobsFilterTerm, S3BucketDefinitionForJob, S3JobDefinition,
};
use sha2::{Digest, Sha256};

use super::macie::{client, find};
use super::{Aws, AwsError, Meaning, Place};
use crate::sweep::JobState;

/// The IAM actions of [`discover`] and [`state`].
pub const WRITES: [&str; 3] = [
    "macie2:CreateClassificationJob",
    "macie2:DescribeClassificationJob",
    "macie2:ListClassificationJobs",
];

const JOB_PAGES: usize = 10;

/// What became of asking for a discovery job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discovery {
    /// A job was created, now or by an earlier call with the same token.
    Started {
        /// Its id.
        job: String,
    },
    /// A job of ours for the bucket has not ended.
    AlreadyRunning {
        /// Its id.
        job: String,
    },
}

/// Has Macie look for sensitive data in a bucket, once, unless a job of ours for it has not ended.
///
/// `token` stands for the request: Macie answers a second one with the same token with the first one's job.
pub async fn discover(
    aws: &Aws,
    place: &Place,
    token: &str,
    why: &str,
) -> Result<Discovery, AwsError> {
    let name = |part: &str| format!("portcullis-{}-{part}", place.bucket());
    // Who may create the job is who sees the bucket, which for another account's is to be found out.
    let client = match aws.members.role_in(place) {
        None => client(aws.config(), place),
        Some(_) => match find(aws, place, SdkConfig::clone).await {
            Ok((client, _)) => client,
            Err(silence) => return Err(silence.into_error(place)),
        },
    };
    if let Some(job) = unended(&client, place, &name("")).await? {
        return Ok(Discovery::AlreadyRunning { job });
    }
    let definition = S3BucketDefinitionForJob::builder()
        .account_id(&place.account)
        .buckets(place.bucket())
        .build();
    let job = S3JobDefinition::builder()
        .bucket_definitions(definition)
        .build();
    let digest = Sha256::digest(token.as_bytes());
    let digest: String = digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let request = client
        .create_classification_job()
        .job_type(JobType::OneTime)
        .client_token(token)
        // The same token must come with the same request, so that the name rests on nothing else.
        .name(name(&digest))
        .description(why.chars().take(200).collect::<String>())
        .s3_job_definition(job);
    let answer = request
        .send()
        .await
        .map_err(|error| AwsError::new("CreateClassificationJob", &place.name(), &error))?;
    Ok(Discovery::Started {
        job: answer.job_id().unwrap_or_default().to_owned(),
    })
}

/// How a job of ours stands. Whoever created it is asked: our own account, or the member's.
pub async fn state(aws: &Aws, place: &Place, job: &str) -> Result<JobState, AwsError> {
    let own = asked(&client(aws.config(), place), place, job).await;
    match own {
        Err(_) if aws.members.role_in(place).is_some() => {
            asked(&client(&aws.members.config(place), place), place, job).await
        }
        own => own,
    }
}

async fn asked(client: &Client, place: &Place, job: &str) -> Result<JobState, AwsError> {
    let answer = client
        .describe_classification_job()
        .job_id(job)
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(match answer.job_status() {
            Some(JobStatus::Complete) => JobState::Complete,
            Some(JobStatus::Cancelled) => JobState::Cancelled,
            Some(JobStatus::UserPaused) => JobState::Paused,
            // Macie goes on by itself with what it paused at the month's quota.
            _ => JobState::Pending,
        }),
        Err(error) => Err(AwsError::new(
            "DescribeClassificationJob",
            &format!("job {job} for {}", place.name()),
            &error,
        )),
    }
}

/// A job whose name begins so, for exactly this bucket, that runs or may go on running.
async fn unended(
    client: &Client,
    place: &Place,
    beginning: &str,
) -> Result<Option<String>, AwsError> {
    let term = |key, comparator, values: &[&str]| {
        ListJobsFilterTerm::builder()
            .key(key)
            .comparator(comparator)
            .set_values(Some(values.iter().map(|&value| value.to_owned()).collect()))
            .build()
    };
    // Macie pauses a job at the account's monthly quota, and a person may: both go on.
    let open = [
        JobStatus::Running.as_str(),
        JobStatus::Paused.as_str(),
        JobStatus::UserPaused.as_str(),
    ];
    let criteria = ListJobsFilterCriteria::builder()
        .includes(term(
            ListJobsFilterKey::Name,
            JobComparator::StartsWith,
            &[beginning],
        ))
        .includes(term(ListJobsFilterKey::JobStatus, JobComparator::Eq, &open))
        .build();
    let mut token = None;
    for _ in 0..JOB_PAGES {
        let request = client
            .list_classification_jobs()
            .filter_criteria(criteria.clone())
            .set_next_token(token);
        let page = request
            .send()
            .await
            .map_err(|error| AwsError::new("ListClassificationJobs", &place.name(), &error))?;
        // A name that begins so may be that of a longer bucket's job.
        if let Some(job) = page.items().iter().find(|job| is_for(job, place)) {
            return Ok(Some(job.job_id().unwrap_or_default().to_owned()));
        }
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok(None);
        }
    }
    Err(AwsError {
        operation: "ListClassificationJobs",
        resource: place.name(),
        code: "TooManyJobs".to_owned(),
        message: Some("there are too many jobs to tell whether one runs for the bucket".to_owned()),
        meaning: Meaning::Other,
    })
}

fn is_for(job: &JobSummary, place: &Place) -> bool {
    job.bucket_definitions().iter().any(|definition| {
        definition.account_id() == Some(place.account.as_str())
            && definition
                .buckets()
                .iter()
                .any(|bucket| bucket == place.bucket())
    })
}
