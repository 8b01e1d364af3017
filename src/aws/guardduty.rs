//! GuardDuty: the finding as it has it now, and what is told it about a finding.
//!
//! Always through our own detector. A finding names its account's, which only that account may use; the administrator's
//! account reads its members' findings through its own, and a member or a stand-alone account its own findings.

use std::sync::Arc;

use aws_config::{Region, SdkConfig};
use aws_sdk_guardduty::Client;
use aws_sdk_guardduty::types::{
    Condition, Feedback, FilterAction, FindingCriteria, OrderBy, SortCriteria,
};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::body::Kept;
use super::{Aws, AwsError, Meaning, quick};
use crate::enrichment::Reread;
use crate::finding::{self, Event, EventError, Finding};
use crate::settings::TOO_LATE;
use crate::suppression::Suppression;

/// The IAM actions of [`reread`].
pub const READS: [&str; 2] = ["guardduty:GetFindings", "guardduty:ListDetectors"];
/// Those that [`archive`] and [`feedback`] need as well.
pub const WRITES: [&str; 2] = [
    "guardduty:ArchiveFindings",
    "guardduty:UpdateFindingsFeedback",
];

/// The most types that CreateSampleFindings takes at once.
const SAMPLE_TYPES: usize = 50;
/// The most findings that ListFindings lists, and that GetFindings takes, at once.
const FINDINGS: i32 = 50;
/// An account has at most 100 filters in a Region, and a page at least one.
const FILTER_PAGES: usize = 100;

/// Why a finding of another account may be missing.
const ADMINISTRATOR: &str =
    "other accounts' findings are only in the detector of their GuardDuty administrator";

/// The finding as GuardDuty has it now. Answers within two seconds, whatever GuardDuty does.
pub async fn reread(aws: &Aws, finding: &Finding) -> Reread {
    let until = Instant::now() + quick::BUDGET;
    match timeout_at(until, get(aws, finding)).await {
        Ok(reread) => reread,
        Err(_) => Reread::Unknown(format!("GetFindings: {TOO_LATE}")),
    }
}

/// Archives a finding, which only a GuardDuty administrator or a stand-alone account may.
pub async fn archive(aws: &Aws, finding: &Finding) -> Result<(), AwsError> {
    let region = finding.detector_region();
    let client = client(aws.config(), region);
    let request = client
        .archive_findings()
        .detector_id(detector(aws, &client, region).await?)
        .finding_ids(&finding.id);
    let answer = request.send().await;
    answer
        .map(drop)
        .map_err(|error| AwsError::new("ArchiveFindings", &about(finding), &error))
}

/// Tells GuardDuty whether a finding was of use.
pub async fn feedback(
    aws: &Aws,
    finding: &Finding,
    useful: bool,
    comment: &str,
) -> Result<(), AwsError> {
    let region = finding.detector_region();
    let client = client(aws.config(), region);
    let feedback = match useful {
        true => Feedback::Useful,
        false => Feedback::NotUseful,
    };
    let request = client
        .update_findings_feedback()
        .detector_id(detector(aws, &client, region).await?)
        .finding_ids(&finding.id)
        .feedback(feedback)
        .comments(comment);
    let answer = request.send().await;
    answer
        .map(drop)
        .map_err(|error| AwsError::new("UpdateFindingsFeedback", &about(finding), &error))
}

/// The names of the filters, suppression rules among them, that there are in a Region.
pub async fn filters(aws: &Aws, region: &str) -> Result<Vec<String>, AwsError> {
    let client = client(aws.config(), region);
    let detector = detector(aws, &client, region).await?;
    let mut names = Vec::new();
    let mut token = None;
    for _ in 0..FILTER_PAGES {
        let request = client
            .list_filters()
            .detector_id(&detector)
            .set_next_token(token);
        let page = request
            .send()
            .await
            .map_err(|error| AwsError::new("ListFilters", &in_region(region), &error))?;
        names.extend(page.filter_names().iter().cloned());
        token = page
            .next_token()
            .filter(|token| !token.is_empty())
            .map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    Ok(names)
}

/// Creates a filter that archives what matches it.
pub async fn create_filter(aws: &Aws, suppression: &Suppression) -> Result<(), AwsError> {
    let region = &suppression.region;
    let client = client(aws.config(), region);
    let mut criteria = FindingCriteria::builder();
    for criterion in &suppression.criteria {
        let condition = Condition::builder()
            .set_equals(Some(criterion.equals.clone()))
            .build();
        criteria = criteria.criterion(&criterion.field, condition);
    }
    let request = client
        .create_filter()
        .detector_id(detector(aws, &client, region).await?)
        .name(&suppression.name)
        .description(&suppression.description)
        .action(FilterAction::Archive)
        .finding_criteria(criteria.build());
    let answer = request.send().await;
    answer
        .map(drop)
        .map_err(|error| AwsError::new("CreateFilter", &in_region(region), &error))
}

/// Has GuardDuty make sample findings of these types, which go to everything that listens to findings.
pub async fn sample_findings(aws: &Aws, region: &str, types: &[String]) -> Result<(), AwsError> {
    let client = client(aws.config(), region);
    let detector = detector(aws, &client, region).await?;
    for types in types.chunks(SAMPLE_TYPES) {
        let request = client
            .create_sample_findings()
            .detector_id(&detector)
            .set_finding_types(Some(types.to_vec()));
        request
            .send()
            .await
            .map_err(|error| AwsError::new("CreateSampleFindings", &in_region(region), &error))?;
    }
    Ok(())
}

/// The findings of a Region that GuardDuty updated since a time, the archived ones too, in the order of their updates.
#[derive(Debug)]
pub struct Past {
    client: Client,
    detector: String,
    region: String,
    since: Timestamp,
    /// Where the next page begins; none at the end.
    token: Option<Option<String>>,
}

impl Past {
    /// Finds our detector.
    pub async fn new(aws: &Aws, region: &str, since: Timestamp) -> Result<Self, AwsError> {
        let client = client(aws.config(), region);
        Ok(Self {
            detector: detector(aws, &client, region).await?,
            client,
            region: region.to_owned(),
            since,
            token: Some(None),
        })
    }

    /// GuardDuty's answer with the next of them, 50 at most, as [`finding::read`] reads it; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, AwsError> {
        while let Some(token) = self.token.take() {
            let updated = Condition::builder()
                .greater_than_or_equal(self.since.as_millisecond())
                .build();
            let sort = SortCriteria::builder()
                .attribute_name("updatedAt")
                .order_by(OrderBy::Asc)
                .build();
            let request = self
                .client
                .list_findings()
                .detector_id(&self.detector)
                .finding_criteria(
                    FindingCriteria::builder()
                        .criterion("updatedAt", updated)
                        .build(),
                )
                .sort_criteria(sort)
                .max_results(FINDINGS)
                .set_next_token(token);
            let page = request
                .send()
                .await
                .map_err(|error| AwsError::new("ListFindings", &in_region(&self.region), &error))?;
            let token = page.next_token().filter(|token| !token.is_empty());
            self.token = token.map(|token| Some(token.to_owned()));
            let ids = page.finding_ids();
            if !ids.is_empty() {
                let body = get_all(&self.client, &self.detector, ids, &self.region).await?;
                return Ok(Some(body));
            }
        }
        Ok(None)
    }
}

/// GuardDuty's answer with these findings, as it came.
async fn get_all(
    client: &Client,
    detector: &str,
    ids: &[String],
    region: &str,
) -> Result<Vec<u8>, AwsError> {
    let kept = Kept::default();
    let request = client
        .get_findings()
        .detector_id(detector)
        .set_finding_ids(Some(ids.to_vec()))
        .customize()
        .interceptor(kept.clone());
    if let Err(error) = request.send().await {
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        // What the SDK cannot read, our own reader may.
        if status != Some(200) {
            return Err(AwsError::new("GetFindings", &in_region(region), &error));
        }
    }
    Ok(kept.take().map(|answer| answer.body).unwrap_or_default())
}

async fn get(aws: &Aws, finding: &Finding) -> Reread {
    let region = finding.detector_region();
    let client = client(&quick::config(aws.config()), region);
    let detector = match detector(aws, &client, region).await {
        Ok(detector) => detector,
        Err(error) => return unknown(&error),
    };
    let kept = Kept::default();
    let request = client
        .get_findings()
        .detector_id(&detector)
        .finding_ids(&finding.id)
        .customize()
        .interceptor(kept.clone());
    if let Err(error) = request.send().await {
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        // What the SDK cannot read, our own reader may.
        if status != Some(200) {
            return unknown(&AwsError::new("GetFindings", &about(finding), &error));
        }
    }
    match kept.take() {
        Some(answer) => match pick(&answer.body, finding, region) {
            Reread::Missing(why) if !aws.members.is_own(&finding.account) => {
                Reread::Missing(format!("{why}; {ADMINISTRATOR}"))
            }
            reread => reread,
        },
        None => Reread::Unknown("GetFindings: the answer had no body".to_owned()),
    }
}

fn unknown(error: &AwsError) -> Reread {
    let advice = match error.meaning {
        // A read has no effect to wonder about.
        Meaning::NoAnswer => "",
        _ => error.advice(),
    };
    Reread::Unknown(format!("{}{advice}", error.in_short()))
}

/// The finding among what GuardDuty answered, as our own reader reads it.
fn pick(body: &[u8], finding: &Finding, region: &str) -> Reread {
    let missing = |why: &str| {
        Reread::Missing(format!(
            "GuardDuty in {region} {why} the finding {} of account {}",
            finding.id, finding.account
        ))
    };
    let mut problem = None;
    for event in finding::read(body) {
        match event {
            Ok(Event::Finding(found)) if found.id == finding.id => {
                return Reread::Found(Arc::new(*found));
            }
            Ok(Event::Ignored(ignored)) if ignored.finding.as_ref() == Some(&finding.id) => {
                return missing("names no S3 bucket in");
            }
            Err(EventError::EmptyList { .. }) => {}
            Err(error) => problem = Some(error),
            Ok(_) => {}
        }
    }
    match problem {
        Some(error) => Reread::Unknown(format!("GetFindings: the answer cannot be read: {error}")),
        None => missing("does not have"),
    }
}

/// Our own detector in a Region.
async fn detector(aws: &Aws, client: &Client, region: &str) -> Result<String, AwsError> {
    let at_home = aws.config().region().map(Region::as_ref) == Some(region);
    if let Some(detector) = aws.detector.as_ref().filter(|_| at_home) {
        return Ok(detector.clone());
    }
    let known = || aws.detectors.lock().ok()?.get(region).cloned();
    if let Some(detector) = known() {
        return Ok(detector);
    }
    let answer = client.list_detectors().send().await;
    let answer =
        answer.map_err(|error| AwsError::new("ListDetectors", &in_region(region), &error))?;
    // An account has one detector in a Region, or none.
    let Some(detector) = answer.detector_ids().first() else {
        return Err(AwsError {
            operation: "ListDetectors",
            resource: in_region(region),
            code: "no detector".to_owned(),
            message: Some("GuardDuty is not enabled there for this account".to_owned()),
            meaning: Meaning::Other,
        });
    };
    if let Ok(mut detectors) = aws.detectors.lock() {
        detectors.insert(region.to_owned(), detector.clone());
    }
    Ok(detector.clone())
}

fn about(finding: &Finding) -> String {
    format!("finding {} of account {}", finding.id, finding.account)
}

fn in_region(region: &str) -> String {
    format!("the detector in {region}")
}

fn client(config: &SdkConfig, region: &str) -> Client {
    let region = Region::new(region.to_owned());
    let config = aws_sdk_guardduty::config::Builder::from(config).region(region);
    Client::from_conf(config.build())
}
