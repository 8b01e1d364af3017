//! Notices, sent when everything else is done: one that cannot be sent is said, and fails nothing.

use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::future::join_all;
use jiff::Timestamp;
use portcullis::aws::sns;
use portcullis::engine::Report;
use portcullis::finding::Finding;
use portcullis::notice::{Notice, Told, notice};
use portcullis::policy::{Notify, Policy};
use portcullis::store::{Store, notice_key};
use serde::Serialize;

/// What is kept of the time between the engine's deadline and the invocation's for answering.
const ANSWER: Duration = Duration::from_millis(400);

/// What became of a notice, for the response.
#[derive(Debug, Serialize)]
pub(crate) struct Noticed {
    thread: String,
    notice: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Noticed {
    /// The same where there is no response to say it in; none where it was sent.
    pub(crate) fn unsent(&self) -> Option<String> {
        let reason = self.reason.as_ref()?;
        Some(format!("the notice could not be sent: {reason}"))
    }
}

/// The notice of what became of a finding, or none.
pub(crate) fn of(finding: &Finding, policy: &Policy, reports: &[Report]) -> Option<Notice> {
    let errors: Vec<Option<String>> = reports
        .iter()
        .map(|report| report.error.as_ref().map(ToString::to_string))
        .collect();
    let told: Vec<Told> = reports
        .iter()
        .zip(&errors)
        .map(|(report, error)| {
            let told = Told {
                account: &report.summary.account,
                bucket: report.summary.bucket.as_deref(),
                outcome: report.summary.outcome,
                reason: error.as_deref().or(report.summary.reason.as_deref()),
                record: report.record.as_ref(),
                result: report.result.as_ref(),
                notify: notify(policy, report),
            };
            match report.earlier.as_deref() {
                None => told,
                // The run that did it may have ended before it could tell.
                Some((record, result)) => Told {
                    outcome: result.outcome,
                    record: Some(record),
                    result: Some(result),
                    ..told
                },
            }
        })
        .collect();
    notice(finding, &told)
}

/// Where no rule has decided, or one that is gone since, somebody should hear of it.
fn notify(policy: &Policy, report: &Report) -> Notify {
    let rule = report.summary.rule.as_ref();
    let rule = rule.and_then(|id| policy.rules.iter().find(|rule| rule.id == *id));
    rule.map(|rule| rule.notify).unwrap_or_default()
}

/// Sends what has not been sent, within the time that is left of the invocation.
pub(crate) async fn send(
    config: &SdkConfig,
    store: &Store,
    topic: &str,
    notices: &[Notice],
    deadline: Timestamp,
) -> Vec<Noticed> {
    let left = Timestamp::now().duration_until(deadline);
    let left = Duration::try_from(left).unwrap_or_default();
    let left = left.saturating_sub(ANSWER);
    let all = notices.iter().map(|notice| async move {
        let sent = tokio::time::timeout(left, send_one(config, store, topic, notice)).await;
        let (word, reason) = match sent {
            Ok(Ok(word)) => (word, None),
            Ok(Err(reason)) => ("failed", Some(reason)),
            Err(_) => (
                "failed",
                Some("no time was left of the invocation".to_owned()),
            ),
        };
        let thread = notice.thread.clone();
        match &reason {
            None => tracing::info!(thread, notice = word, "notice"),
            Some(reason) => tracing::error!(thread, notice = word, reason, "notice"),
        }
        Noticed {
            thread,
            notice: word,
            reason,
        }
    });
    join_all(all).await
}

/// Lambda tries a failed event three times and does not say which time it is, so that the store remembers what was said. A
/// store that cannot be asked, which may be the very failure, makes no notice fall out: three are better than none.
async fn send_one(
    config: &SdkConfig,
    store: &Store,
    topic: &str,
    notice: &Notice,
) -> Result<&'static str, String> {
    let mark = notice.once.as_deref().and_then(|id| notice_key(id).ok());
    if let Some(mark) = &mark {
        match store.get(mark).await {
            Ok(Some(_)) => return Ok("sent-before"),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "whether the notice was sent is not known"),
        }
    }
    sns::publish(config, topic, &notice.message())
        .await
        .map_err(|error| error.to_string())?;
    // Only now: a mark before a notice that then is not sent would silence the retry.
    if let Some(mark) = &mark {
        let bytes = format!("{{\"version\": 1, \"at\": \"{}\"}}\n", Timestamp::now());
        if let Err(error) = store.create(mark, bytes.as_bytes()).await {
            tracing::warn!(%error, "a retry will send the notice again");
        }
    }
    Ok("sent")
}
