//! Logs: JSON lines on standard output, and one line that tells the whole of each target.

use portcullis::engine::Report;
use portcullis::record::Outcome;
use portcullis::sweep::{Sweep, SweptState};
use tracing_subscriber::EnvFilter;

/// Starts logging at the level of `PORTCULLIS_LOG`, or of Lambda's own `AWS_LAMBDA_LOG_LEVEL`, else info.
pub(crate) fn start() {
    let level = ["PORTCULLIS_LOG", "AWS_LAMBDA_LOG_LEVEL"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let filter = EnvFilter::try_new(level.as_deref().unwrap_or("info"))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .init();
}

/// The decision line: everything that a query needs about one target, without joining lines. Bucket policies, object keys
/// and the finding itself stay out of the log; the record has them.
pub(crate) fn decision(report: &Report, request_id: &str) {
    let summary = &report.summary;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let failed = matches!(summary.outcome, Outcome::Failed | Outcome::Partial);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request_id,
                finding_id = summary.finding,
                finding_type = summary.kind,
                account = summary.account,
                bucket = text(&summary.bucket),
                record_id = text(&summary.id),
                rule = text(&summary.rule),
                mode = text(&summary.mode),
                outcome = %summary.outcome,
                taken = summary.taken.join(","),
                withheld = summary.withheld.join(","),
                reason = text(&summary.reason),
                "decision"
            )
        };
    }
    if failed { line!(error) } else { line!(info) }
}

/// One line for the sweep, and one for each containment that it has something to tell of.
pub(crate) fn sweep(sweep: &Sweep, request_id: &str) {
    for swept in &sweep.found {
        let detail = swept.detail.join("; ");
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request_id,
                    record_id = swept.record,
                    target_name = swept.target,
                    state = %swept.state,
                    detail,
                    "swept"
                )
            };
        }
        match swept.state {
            SweptState::Expired | SweptState::Held | SweptState::Gone => line!(info),
            _ => line!(error),
        }
    }
    tracing::info!(
        request_id,
        standing = sweep.standing,
        left = sweep.left,
        exceptions = sweep.exceptions.join("; "),
        "sweep"
    );
}
