//! Metrics: what one invocation did, as one document in CloudWatch's embedded metric format.
//!
//! Pure. CloudWatch takes the metrics out of the log line that the document becomes. Bucket, finding, record and account are
//! properties of it and never dimensions: every value of a dimension is a metric of its own, paid for as one.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::classification::words;
use crate::engine::Report;
use crate::enrichment::Standing;
use crate::policy::Mode;
use crate::record::{ChangeStatus, FollowUpStatus, Outcome};

/// The namespace of every metric.
pub const NAMESPACE: &str = "Portcullis";

/// The dimensions of every metric.
pub const DIMENSIONS: [&str; 1] = ["Mode"];

/// The dimensions that findings are counted by besides.
pub const BY_OUTCOME: [&str; 2] = ["Mode", "Outcome"];

/// CloudWatch takes this many values of one metric from a document; of properties we tell as many.
const VALUES: usize = 100;

words! {
    /// What is counted or timed.
    Metric {
        /// Findings.
        FindingsReceived = "FindingsReceived",
        /// Findings left alone.
        FindingsIgnored = "FindingsIgnored",
        /// Plans.
        PlansMade = "PlansMade",
        /// Changes made.
        ChangesApplied = "ChangesApplied",
        /// Changes not made.
        ChangesFailed = "ChangesFailed",
        /// Measures withheld.
        MeasuresWithheld = "MeasuresWithheld",
        /// From the finding to containment.
        TimeToContain = "TimeToContain",
        /// From the event to containment.
        ReceivedToContained = "ReceivedToContained",
        /// The policy file.
        PolicyInvalid = "PolicyInvalid",
        /// Records.
        RecordsWritten = "RecordsWritten",
        /// Findings that GuardDuty does not have.
        UnverifiedFindings = "UnverifiedFindings",
        /// Follow-ups.
        FollowUpsFailed = "FollowUpsFailed",
        /// Notices.
        NoticesFailed = "NoticesFailed",
        /// Drift.
        DriftFound = "DriftFound",
    }
}

impl Metric {
    /// CloudWatch's unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::TimeToContain | Self::ReceivedToContained => "Milliseconds",
            _ => "Count",
        }
    }

    /// What it says, for the documentation.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::FindingsReceived => {
                "events that came in, whatever became of them; requests of operators and of the schedule are none, nor are CloudTrail's events"
            }
            Self::FindingsIgnored => "of these, those with nothing to do: outcome `ignored`",
            Self::PlansMade => "targets with at least one change to make, made or withheld",
            Self::ChangesApplied => "changes written, and read back as written",
            Self::ChangesFailed => "changes not written, or not read back as written",
            Self::MeasuresWithheld => "measures that a guard held back",
            Self::TimeToContain => {
                "from the finding's `updatedAt` to the last change read back, for each target that an event had contained"
            }
            Self::ReceivedToContained => "the same, from when the function had the event",
            Self::PolicyInvalid => {
                "1 while the policy file is not valid and an earlier policy serves, else 0"
            }
            Self::RecordsWritten => "targets whose record was stored",
            Self::UnverifiedFindings => "findings that GuardDuty does not have",
            Self::FollowUpsFailed => "follow-ups that a service refused or did not answer",
            Self::NoticesFailed => "notices that could not be sent; only where notices are sent",
            Self::DriftFound => {
                "containments that somebody has undone or changed; only from the sweep and from CloudTrail's events"
            }
        }
    }
}

/// Who asked for something to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// An event.
    Event,
    /// An operator, the schedule, or CloudTrail.
    Request,
}

/// How long a containment took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// From the finding's `updatedAt`; none where the finding does not say.
    pub since_finding: Option<u64>,
    /// From when the event was received.
    pub since_receipt: u64,
}

impl Took {
    /// Of a target that was contained now; none of any other.
    pub fn of(report: &Report, received_at: Timestamp) -> Option<Self> {
        let (record, result) = (report.record.as_ref()?, report.result.as_ref()?);
        (result.outcome == Outcome::Contained).then(|| Self {
            since_finding: record
                .finding
                .updated_at
                .map(|at| milliseconds(at, result.at)),
            since_receipt: milliseconds(received_at, result.at),
        })
    }
}

/// The milliseconds between two times; none are negative, for clocks differ.
pub fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or_default()
}

/// An invocation.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// Lambda's id of it.
    pub request_id: &'a str,
    /// Whether it is the first one of its process.
    pub cold_start: bool,
    /// The mode of the deployment.
    pub mode: Mode,
    /// When it had its event.
    pub received_at: Timestamp,
}

/// What an invocation has done so far.
#[derive(Debug)]
pub struct Tally<'a> {
    /// Whether the policy file is not valid.
    pub policy_invalid: bool,
    /// Notices that could not be sent; none where none are sent.
    pub notices_failed: Option<u64>,
    /// Containments that are not as they were left; none where nobody looked.
    pub drift_found: Option<u64>,
    invocation: Invocation<'a>,
    received: u64,
    outcomes: Vec<Outcome>,
    plans: u64,
    applied: u64,
    not_applied: u64,
    withheld: u64,
    took: Vec<Took>,
    records: BTreeSet<String>,
    unverified: u64,
    follow_ups_failed: u64,
    findings: BTreeSet<String>,
    buckets: BTreeSet<String>,
    accounts: BTreeSet<String>,
}

impl<'a> Tally<'a> {
    /// Nothing yet.
    pub fn of(invocation: Invocation<'a>) -> Self {
        Self {
            policy_invalid: false,
            notices_failed: None,
            drift_found: None,
            invocation,
            received: 0,
            outcomes: Vec::new(),
            plans: 0,
            applied: 0,
            not_applied: 0,
            withheld: 0,
            took: Vec::new(),
            records: BTreeSet::new(),
            unverified: 0,
            follow_ups_failed: 0,
            findings: BTreeSet::new(),
            buckets: BTreeSet::new(),
            accounts: BTreeSet::new(),
        }
    }

    /// What is none of ours, or leaves nothing to do.
    pub fn ignored(&mut self, origin: Origin) {
        // Calls to buckets on which nothing was contained come by the thousand, and are no findings.
        if origin == Origin::Event {
            self.event(origin, Outcome::Ignored);
        }
    }

    /// An event or a request that came to nothing.
    pub fn failed(&mut self, origin: Origin) {
        self.event(origin, Outcome::Failed);
    }

    /// What became of the targets of one finding or request.
    pub fn settled(&mut self, origin: Origin, reports: &[Report]) {
        let outcomes = reports.iter().map(|report| report.summary.outcome);
        self.event(origin, gravest(outcomes));
        let is_unverified = |report: &Report| {
            let record = report.record.as_ref();
            let check = record.and_then(|record| record.enrichment.guardduty.as_ref());
            check.is_some_and(|check| check.is == Standing::Missing)
        };
        self.unverified += u64::from(reports.iter().any(is_unverified));
        for report in reports {
            self.target(origin, report);
        }
    }

    /// The document, at the end of the invocation.
    pub fn document(&self, now: Timestamp) -> Document<'_> {
        Document {
            tally: self,
            at: now.as_millisecond(),
            values: self.values(),
        }
    }

    fn event(&mut self, origin: Origin, outcome: Outcome) {
        self.received += u64::from(origin == Origin::Event);
        self.outcomes.push(outcome);
    }

    fn target(&mut self, origin: Origin, report: &Report) {
        let summary = &report.summary;
        let count = |status: &[ChangeStatus]| {
            let changes = summary.changes.iter();
            changes
                .filter(|change| status.contains(&change.status))
                .count() as u64
        };
        self.applied += count(&[ChangeStatus::Verified]);
        self.not_applied += count(&[ChangeStatus::Unverified, ChangeStatus::Failed]);
        self.withheld += summary.withheld.len() as u64;
        let follow_ups = summary.followed_up.iter();
        self.follow_ups_failed += follow_ups
            .filter(|result| result.status == FollowUpStatus::Failed)
            .count() as u64;
        if let Some(record) = &report.record {
            self.plans += u64::from(!record.decision.plan.is_empty());
            // What is contained already is told of, and not stored again.
            if summary.outcome != Outcome::AlreadyContained {
                self.records.insert(record.id.clone());
            }
        }
        // How long an operator thought about it is nothing that the function could be faster at.
        if origin == Origin::Event {
            self.took
                .extend(Took::of(report, self.invocation.received_at));
        }
        self.findings.insert(summary.finding.clone());
        self.buckets.extend(summary.bucket.clone());
        self.accounts.insert(summary.account.clone());
    }

    /// Counts are told even where they are nothing, so that an alarm sees that all is well; times only where there are any.
    fn values(&self) -> Vec<(Metric, Measured)> {
        let ignored = self.outcomes.iter();
        let ignored = ignored
            .filter(|outcome| **outcome == Outcome::Ignored)
            .count();
        let counts = [
            (Metric::FindingsReceived, Some(self.received)),
            (Metric::FindingsIgnored, Some(ignored as u64)),
            (Metric::PlansMade, Some(self.plans)),
            (Metric::ChangesApplied, Some(self.applied)),
            (Metric::ChangesFailed, Some(self.not_applied)),
            (Metric::MeasuresWithheld, Some(self.withheld)),
            (Metric::PolicyInvalid, Some(self.policy_invalid.into())),
            (Metric::RecordsWritten, Some(self.records.len() as u64)),
            (Metric::UnverifiedFindings, Some(self.unverified)),
            (Metric::FollowUpsFailed, Some(self.follow_ups_failed)),
            (Metric::NoticesFailed, self.notices_failed),
            (Metric::DriftFound, self.drift_found),
        ];
        let since_finding = self.took.iter().filter_map(|took| took.since_finding);
        let since_receipt = self.took.iter().map(|took| took.since_receipt);
        let times = [
            (Metric::TimeToContain, slowest(since_finding.collect())),
            (
                Metric::ReceivedToContained,
                slowest(since_receipt.collect()),
            ),
        ];
        let counts = counts
            .into_iter()
            .filter_map(|(metric, count)| Some((metric, Measured::Count(count?))));
        let times = times
            .into_iter()
            .filter(|(_, times)| !times.is_empty())
            .map(|(metric, times)| (metric, Measured::Times(times)));
        counts.chain(times).collect()
    }
}

/// What an invocation did, as a document in the embedded metric format.
#[derive(Debug)]
pub struct Document<'a> {
    tally: &'a Tally<'a>,
    /// Milliseconds since 1970.
    at: i64,
    values: Vec<(Metric, Measured)>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Measured {
    Count(u64),
    /// Milliseconds.
    Times(Vec<u64>),
}

/// What makes a line of the log metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directives {
    timestamp: i64,
    cloud_watch_metrics: [Directive; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [&'static [&'static str]; 1],
    metrics: Vec<Defined>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Defined {
    name: &'static str,
    unit: &'static str,
}

impl Directive {
    fn of(dimensions: &'static [&'static str], metrics: impl Iterator<Item = Metric>) -> Self {
        let defined = |metric: Metric| Defined {
            name: metric.word(),
            unit: metric.unit(),
        };
        Self {
            namespace: NAMESPACE,
            dimensions: [dimensions],
            metrics: metrics.map(defined).collect(),
        }
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (tally, invocation) = (self.tally, &self.tally.invocation);
        let all = self.values.iter().map(|(metric, _)| *metric);
        let findings = std::iter::once(Metric::FindingsReceived);
        let mut document = serializer.serialize_map(None)?;
        document.serialize_entry(
            "_aws",
            &Directives {
                timestamp: self.at,
                cloud_watch_metrics: [
                    Directive::of(&DIMENSIONS, all),
                    Directive::of(&BY_OUTCOME, findings),
                ],
            },
        )?;
        document.serialize_entry("Mode", invocation.mode.word())?;
        let outcome = gravest(tally.outcomes.iter().copied());
        document.serialize_entry("Outcome", outcome.word())?;
        for (metric, measured) in &self.values {
            document.serialize_entry(metric.word(), measured)?;
        }
        document.serialize_entry("RequestId", invocation.request_id)?;
        document.serialize_entry("ColdStart", &invocation.cold_start)?;
        for (name, values) in [
            ("Findings", &tally.findings),
            ("Records", &tally.records),
            ("Buckets", &tally.buckets),
            ("Accounts", &tally.accounts),
        ] {
            let told: Vec<&String> = values.iter().take(VALUES).collect();
            document.serialize_entry(name, &told)?;
        }
        document.end()
    }
}

/// The outcome that most wants somebody to look; `ignored` where there is none.
fn gravest(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    const GRAVEST_LAST: [Outcome; 8] = [
        Outcome::Ignored,
        Outcome::AlreadyContained,
        Outcome::RolledBack,
        Outcome::Contained,
        Outcome::Planned,
        Outcome::Withheld,
        Outcome::Partial,
        Outcome::Failed,
    ];
    let gravity = |outcome: &Outcome| GRAVEST_LAST.iter().position(|other| other == outcome);
    outcomes.max_by_key(gravity).unwrap_or(Outcome::Ignored)
}

/// The times that a document has room for. The quickest are left out, for it is the others that somebody looks for.
fn slowest(mut times: Vec<u64>) -> Vec<u64> {
    times.sort_unstable_by(|a, b| b.cmp(a));
    times.truncate(VALUES);
    times
}
