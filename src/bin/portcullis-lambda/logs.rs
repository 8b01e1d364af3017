//! Logs: JSON lines on standard output. One line tells the whole of each target, and one holds an invocation's metrics.

use std::io::Write;

use jiff::Timestamp;
use portcullis::deployment::log_level;
use portcullis::drift::Undone;
use portcullis::engine::Report;
use portcullis::finding::{Event, EventError, Request, Target};
use portcullis::metrics::{Document, Invocation, Took, milliseconds};
use portcullis::record::Outcome;
use portcullis::report::written_out;
use portcullis::sweep::Sweep;
use tracing::level_filters::LevelFilter;

/// Starts logging at the level of `PORTCULLIS_LOG`, or of Lambda's own `AWS_LAMBDA_LOG_LEVEL`, else info. A level that is none
/// is no reason to leave a bucket open: then it logs at info, and says so.
pub(crate) fn start() {
    let names = ["PORTCULLIS_LOG", "AWS_LAMBDA_LOG_LEVEL"];
    let level = log_level(&names, |name| std::env::var(name).ok());
    let known = level.as_ref().ok().copied().flatten();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_max_level(known.unwrap_or(LevelFilter::INFO))
        .with_writer(|| Lines)
        .init();
    if let Err(error) = level {
        tracing::warn!(%error, "logging at info");
    }
}

/// Standard output, for lines of JSON whose texts others may have chosen.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        std::io::stdout().write_all(written_out(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stdout().flush()
    }
}

/// Writes a document in the embedded metric format. It goes around the log levels and is the line as it stands: CloudWatch
/// takes metrics only from a line with nothing before or after them, and Lambda leaves a line that is JSON already alone.
pub(crate) fn metrics(document: &Document) {
    let line = serde_json::to_vec(document).map_err(std::io::Error::from);
    let written = line.and_then(|mut line| {
        line.push(b'\n');
        Lines.write_all(&line)
    });
    if let Err(error) = written {
        tracing::error!(%error, "the metrics could not be written");
    }
}

/// The decision line: everything that a query needs about one target, without joining lines. Bucket policies, object keys
/// and the finding itself stay out of the log; the record has them.
#[derive(Debug, Default)]
pub(crate) struct Line {
    finding_id: String,
    finding_type: String,
    account: String,
    region: String,
    bucket: String,
    record_id: String,
    rule: String,
    mode: String,
    taken: String,
    withheld: String,
    guards: String,
    reason: String,
    took: Option<Took>,
}

impl Line {
    /// What an event says of itself.
    pub(crate) fn of(event: &Result<Event, EventError>) -> Self {
        let mut line = Self::default();
        match event {
            Ok(Event::Finding(finding)) => {
                line.finding_id.clone_from(&finding.id);
                line.finding_type.clone_from(&finding.kind);
                line.account.clone_from(&finding.account);
                line.region.clone_from(&finding.region);
            }
            Ok(Event::Ignored(ignored)) => {
                line.finding_id = ignored.finding.clone().unwrap_or_default();
            }
            Ok(Event::Trail(event)) => {
                let (account, bucket) = match &event.target {
                    Target::Bucket(bucket) => (&bucket.account, bucket.name.as_str()),
                    Target::Account(account) => (account, ""),
                };
                line.account.clone_from(account);
                line.region.clone_from(&event.region);
                bucket.clone_into(&mut line.bucket);
            }
            Ok(Event::Request(
                Request::Apply { record, .. } | Request::Rollback { record, .. },
            )) => {
                line.record_id.clone_from(record);
            }
            Ok(Event::Request(Request::Sweep)) | Err(_) => {}
        }
        line
    }

    /// What became of a target.
    pub(crate) fn settled(report: &Report, received_at: Timestamp) -> Self {
        let summary = &report.summary;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let withheld = report.record.iter();
        let withheld = withheld.flat_map(|record| &record.decision.withheld);
        let mut guards: Vec<&str> = withheld.map(|withheld| withheld.guard.word()).collect();
        guards.sort_unstable();
        guards.dedup();
        Self {
            finding_id: summary.finding.clone(),
            finding_type: summary.kind.clone(),
            account: summary.account.clone(),
            region: summary.region.clone(),
            bucket: text(&summary.bucket),
            record_id: text(&summary.id),
            rule: text(&summary.rule),
            mode: text(&summary.mode),
            taken: summary.taken.join(","),
            withheld: summary.withheld.join(","),
            guards: guards.join(","),
            reason: text(&summary.reason),
            took: Took::of(report, received_at),
        }
    }

    /// The same with a reason.
    pub(crate) fn because(self, reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            ..self
        }
    }

    /// Writes it, as an error where something was to be done and was not.
    pub(crate) fn write(&self, outcome: Outcome, invocation: &Invocation) {
        let duration_ms = milliseconds(invocation.received_at, Timestamp::now());
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request_id = invocation.request_id,
                    cold_start = invocation.cold_start,
                    finding_id = self.finding_id,
                    finding_type = self.finding_type,
                    account = self.account,
                    region = self.region,
                    bucket = self.bucket,
                    record_id = self.record_id,
                    rule = self.rule,
                    mode = self.mode,
                    outcome = %outcome,
                    taken = self.taken,
                    withheld = self.withheld,
                    guards = self.guards,
                    reason = self.reason,
                    duration_ms,
                    time_to_contain_ms = self.took.and_then(|took| took.since_finding),
                    received_to_contained_ms = self.took.map(|took| took.since_receipt),
                    "decision"
                )
            };
        }
        match outcome {
            Outcome::Failed | Outcome::Partial => line!(error),
            _ => line!(info),
        }
    }
}

/// One line for the sweep, or the look at one target, and one for each containment that it has something to tell of.
pub(crate) fn sweep(sweep: &Sweep, request_id: &str) {
    for swept in &sweep.found {
        let undone = swept.undone.iter().map(Undone::in_full);
        let detail = undone.chain(swept.detail.iter().cloned());
        let kept = swept.kept.iter().map(|kept| format!("kept in {kept}"));
        let detail: Vec<String> = detail.chain(kept).collect();
        let detail = detail.join("; ");
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
        match swept.state.is_settled() {
            true => line!(info),
            false => line!(error),
        }
    }
    for job in &sweep.jobs {
        tracing::info!(
            request_id,
            record_id = job.record,
            target_name = job.bucket,
            job = job.job,
            state = %job.state,
            detail = job.detail,
            "macie job"
        );
    }
    let exceptions = sweep.exceptions.iter();
    let exceptions: Vec<&str> = exceptions.map(|ending| ending.what.as_str()).collect();
    let exceptions = exceptions.join("; ");
    tracing::info!(
        request_id,
        standing = sweep.standing,
        left = sweep.left,
        leases = sweep.leases.len(),
        exceptions,
        "sweep"
    );
}
