//! How sensitive a bucket's data is, from what Macie says of it.

use super::{Reasoned, Sensitivity};
use crate::enrichment::{MacieAnswer, MacieBucket, Unanswered};

/// The least score that Macie calls sensitive.
const SENSITIVE: i32 = 51;
/// The score of a bucket that was not analyzed yet, or that Macie has no access to.
const NOT_ANALYZED: i32 = 50;
/// How many kinds of data a sentence names.
const NAMED: usize = 5;

/// Draws the conclusion. Whatever is not a score that says something is unknown, and unknown is never "not sensitive".
pub(super) fn sensitivity(answer: Option<&MacieAnswer>) -> Reasoned<Sensitivity> {
    match answer {
        None => Reasoned::new(Sensitivity::Unknown, "Macie was not asked"),
        Some(MacieAnswer::Bucket(bucket)) => of_bucket(bucket),
        Some(MacieAnswer::Unanswered { reason, detail }) => {
            let why = match reason {
                Unanswered::NotEnabled => {
                    "Macie is not enabled there; `aws macie2 enable-macie` turns it on, and automated discovery then \
                     needs a day or two for a first score"
                        .to_owned()
                }
                Unanswered::NotListed => format!("Macie does not list the bucket: {detail}"),
                Unanswered::Denied => {
                    format!("Portcullis may not ask Macie: {detail}; check the role's permissions")
                }
                Unanswered::TimedOut => format!("Macie did not answer in time: {detail}"),
                Unanswered::Failed => format!("Macie could not be asked: {detail}"),
            };
            Reasoned::new(Sensitivity::Unknown, why)
        }
    }
}

fn of_bucket(bucket: &MacieBucket) -> Reasoned<Sensitivity> {
    let unknown = |why: String| Reasoned::new(Sensitivity::Unknown, why);
    match (&bucket.error, bucket.monitored, bucket.score) {
        (Some(code), _, _) => unknown(format!("Macie cannot look into the bucket: {code}")),
        (None, Some(false), _) => {
            unknown("Macie's automated discovery does not monitor the bucket".to_owned())
        }
        (None, _, None) => unknown("Macie has no score for the bucket".to_owned()),
        (None, _, Some(-1)) => unknown("Macie failed to analyze the bucket (score -1)".to_owned()),
        (None, _, Some(NOT_ANALYZED)) => unknown(
            "Macie has not analyzed the bucket yet, or has no access to it (score 50)".to_owned(),
        ),
        (None, _, Some(score @ SENSITIVE..=100)) => {
            let why = format!("Macie's score is {score} of 100{}", found(bucket));
            Reasoned::new(Sensitivity::Sensitive, why)
        }
        (None, _, Some(1)) => Reasoned::new(
            Sensitivity::NotSensitive,
            "Macie's score is 1 of 100: what it analyzed is not sensitive, or the bucket was empty",
        ),
        (None, _, Some(score @ 2..NOT_ANALYZED)) => Reasoned::new(
            Sensitivity::NotSensitive,
            format!("Macie's score is {score} of 100"),
        ),
        (None, _, Some(score)) => unknown(format!(
            "Macie gives a score that it does not document: {score}"
        )),
    }
}

/// `; found CREDIT_CARD_NUMBER (12), NAME (3) and 2 more kinds`.
fn found(bucket: &MacieBucket) -> String {
    let mut text = String::new();
    let named = bucket.detections.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|detection| format!("{} ({})", detection.name, detection.count))
        .collect();
    if !named.is_empty() {
        text += &format!("; found {}", named.join(", "));
    }
    let more = bucket.detections.len().saturating_sub(NAMED);
    if more > 0 {
        text += &format!(" and {more} more kinds");
    }
    if let Some(why) = &bucket.detections_unread {
        text += &format!("; not every kind of data could be listed: {why}");
    }
    text
}
