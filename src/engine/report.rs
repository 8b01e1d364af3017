//! What the engine says of each target: the record, what became of it, and a summary for the response and the log.

use serde::{Deserialize, Serialize};

use super::{EngineError, outcome_without_writes};
use crate::classification::{Reasoned, Sensitivity};
use crate::decision::Withheld;
use crate::finding::{Finding, Target};
use crate::guard::Guard;
use crate::policy::Mode;
use crate::record::{ChangeResult, FollowUpResult, Outcome, Record, RunResult};
use crate::settings::{Setting, passes};
use crate::store::StoreError;

/// The account of one target.
#[derive(Debug)]
pub struct Report {
    /// What was decided; none where it did not come to a decision.
    pub record: Option<Record>,
    /// What became of the changes; none where there were none to make.
    pub result: Option<RunResult>,
    /// The same in short.
    pub summary: Summary,
    /// What kept it from its end.
    pub error: Option<EngineError>,
    /// The containment of the same delivery that an earlier run made, where there was nothing left to do: that run may have
    /// ended before anybody was told.
    pub earlier: Option<Box<(Record, RunResult)>>,
}

/// One line of an account: what the Lambda answers and logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// The record's id, where there is a record.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in a sentence, where the outcome alone does not say it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The finding's id.
    pub finding: String,
    /// The finding's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The account of the target.
    pub account: String,
    /// The Region of the target, as far as the finding knows it.
    #[serde(default)]
    pub region: String,
    /// The bucket; none where the target is the account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bucket: Option<String>,
    /// The rule that held.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// The effective mode.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<String>,
    /// Measures taken.
    pub taken: Vec<String>,
    /// Measures withheld, each with its guard.
    pub withheld: Vec<String>,
    /// What became of each change.
    pub changes: Vec<ChangeResult>,
    /// How sensitive the data is, and why; none where Macie was not asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sensitivity: Option<Reasoned<Sensitivity>>,
    /// What became of the follow-ups.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub followed_up: Vec<FollowUpResult>,
    /// What a person should look at.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub alerts: Vec<String>,
}

impl Report {
    /// A decision that made no change.
    pub(super) fn planned(record: Record) -> Self {
        let outcome = record
            .outcome
            .unwrap_or_else(|| outcome_without_writes(&record.decision));
        let reason = match outcome {
            Outcome::Withheld => match &record.rollback {
                Some(of) => of.inverse.drift.first().map(|drift| drift.why.clone()),
                None => record
                    .decision
                    .withheld
                    .first()
                    .map(|withheld| withheld.why.clone()),
            },
            Outcome::Ignored => Some(format!("rule {} asks for no measure", record.decision.rule)),
            _ => None,
        };
        let summary = Summary {
            reason: unread(&record).or(reason),
            ..Summary::of(&record, outcome)
        };
        Self {
            record: Some(record),
            result: None,
            summary,
            error: None,
            earlier: None,
        }
    }

    /// A plan that was carried out.
    pub(super) fn done(record: Record, result: RunResult, unstored: Option<StoreError>) -> Self {
        let reason = result
            .changes
            .iter()
            .find_map(|change| change.detail.clone());
        let summary = Summary {
            reason: reason.or_else(|| unread(&record)),
            changes: result.changes.clone(),
            followed_up: result.followed_up.clone(),
            sensitivity: result.sensitivity.clone().or_else(|| told(&record)),
            ..Summary::of(&record, result.outcome)
        };
        let report = Self {
            record: Some(record),
            result: Some(result),
            summary,
            error: None,
            earlier: None,
        };
        match unstored {
            Some(error) => report.but(EngineError::Result(error)),
            None => report,
        }
    }

    /// The same, where something went wrong after it. It is told with what went wrong before.
    pub(super) fn but(mut self, error: EngineError) -> Self {
        let before = self.summary.reason.take().into_iter();
        let reasons: Vec<String> = before.chain([error.to_string()]).collect();
        self.summary.reason = Some(reasons.join("; "));
        self.error = Some(error);
        self
    }

    /// The same, where an earlier run of the same delivery did it.
    pub(super) fn after(self, record: Record, result: RunResult) -> Self {
        Self {
            earlier: Some(Box::new((record, result))),
            ..self
        }
    }

    /// The same, where a plan before it had been carried out in part: what this one found done, or could not do, is not all.
    pub(super) fn with_changes_of(mut self, earlier: &RunResult) -> Self {
        let nothing = || RunResult {
            changes: Vec::new(),
            followed_up: self.summary.followed_up.clone(),
            sensitivity: self.summary.sensitivity.clone(),
            ..earlier.clone()
        };
        let mut result = self.result.take().unwrap_or_else(nothing);
        let own = result.changes.len();
        result.take_in(earlier);
        if result.changes.len() > own {
            self.summary.outcome = match self.summary.outcome {
                Outcome::AlreadyContained => Outcome::Contained,
                Outcome::Failed | Outcome::Withheld => Outcome::Partial,
                outcome => outcome,
            };
        }
        result.outcome = self.summary.outcome;
        self.summary.changes.clone_from(&result.changes);
        self.result = (!result.changes.is_empty()).then_some(result);
        self
    }

    /// A plan that was carried out in part, where the next one came to nothing.
    pub(super) fn interrupted(record: Record, result: RunResult, error: EngineError) -> Self {
        let error = EngineError::Interrupted(Box::new(error));
        let mut report = Self::done(record, result, None);
        report.summary.reason = Some(error.to_string());
        report.error = Some(error);
        report
    }

    pub(super) fn ignored(finding: &Finding, target: &Target, reason: &str) -> Self {
        Self {
            record: None,
            result: None,
            summary: Summary {
                reason: Some(reason.to_owned()),
                ..Summary::new(finding, target, Outcome::Ignored)
            },
            error: None,
            earlier: None,
        }
    }

    pub(super) fn failed(finding: &Finding, target: &Target, error: EngineError) -> Self {
        let summary = Summary {
            reason: Some(error.to_string()),
            ..Summary::new(finding, target, Outcome::Failed)
        };
        Self {
            record: None,
            result: None,
            summary,
            error: Some(error),
            earlier: None,
        }
    }

    /// Whether the invocation must fail, so that the event comes again and in the end reaches the dead-letter queue: when
    /// nothing was achieved that should have been, or more may be achieved later.
    pub fn fails_the_invocation(&self) -> bool {
        self.error.is_some()
            || self.summary.outcome == Outcome::Failed
            || self
                .record
                .as_ref()
                .is_some_and(|record| unread(record).is_some())
            || self
                .summary
                .changes
                .iter()
                .any(|change| change.may_succeed_later)
    }
}

impl Summary {
    fn of(record: &Record, outcome: Outcome) -> Self {
        let decision = &record.decision;
        Self {
            id: Some(record.id.clone()),
            rule: Some(decision.rule.clone()),
            mode: Some(decision.mode.to_string()),
            taken: decision
                .taken
                .iter()
                .map(|taken| taken.measure.clone())
                .collect(),
            withheld: decision
                .withheld
                .iter()
                .map(|withheld| format!("{}: {}", withheld.measure, withheld.guard))
                .collect(),
            sensitivity: told(record),
            followed_up: record.followed_up.clone(),
            alerts: decision.alerts.clone(),
            ..Self::new(&record.finding, &record.target, outcome)
        }
    }

    fn new(finding: &Finding, target: &Target, outcome: Outcome) -> Self {
        let (account, bucket) = match target {
            Target::Bucket(bucket) => (bucket.account.clone(), Some(bucket)),
            Target::Account(account) => (account.clone(), None),
        };
        let region = bucket.and_then(|bucket| bucket.region.as_ref());
        Self {
            id: None,
            outcome,
            reason: None,
            finding: finding.id.clone(),
            kind: finding.kind.clone(),
            account,
            region: region.unwrap_or(&finding.region).clone(),
            bucket: bucket.map(|bucket| bucket.name.clone()),
            rule: None,
            mode: None,
            taken: Vec::new(),
            withheld: Vec::new(),
            changes: Vec::new(),
            sensitivity: None,
            followed_up: Vec::new(),
            alerts: Vec::new(),
        }
    }
}

/// Why more may be decided later: what could not be read stood in the way, and S3 may well tell it soon.
fn unread(record: &Record) -> Option<String> {
    let decision = &record.decision;
    let is_unread = |withheld: &Withheld| withheld.guard == Guard::Unreadable;
    let hindered = decision.withheld.iter().any(is_unread) || !decision.alerts.is_empty();
    if decision.mode != Mode::Enforce || !hindered {
        return None;
    }
    record.before.0.values().find_map(|setting| match setting {
        Setting::Unreadable { operation, code } if passes(code) => Some(format!(
            "{operation} answered {code}, so that not all could be decided; deliver the event again"
        )),
        _ => None,
    })
}

/// What the record says of the data, where Macie was asked.
fn told(record: &Record) -> Option<Reasoned<Sensitivity>> {
    let asked = record.enrichment.macie.is_some();
    asked.then(|| record.classification.sensitivity.clone())
}
