//! The account of one finding and one target: who did what, from where, what it means, what was decided and done.
//!
//! What is not known is said to be unknown; a blank would read as "none".

use serde::Serialize;

use super::changes::{changes as results, follow_ups};
use super::meaning::meaning;
use super::rows::{self, Row, Text, Tone};
use super::said::{incident, objects};
use super::{
    Investigation, LINE, Style, header, investigation, now, plan, quoted, rollback, shown,
};
use crate::classification::Classification;
use crate::decision::{Decision, Weighed};
use crate::finding::{Finding, Target};
use crate::guard::Guard;
use crate::policy::Policy;
use crate::record::{Outcome, PolicyRef, Record, RunResult, Since, Stands};
use crate::verdict::Case;

/// What a finding means and what the policy says to it, as far as the finding and given facts tell.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// The finding.
    pub finding: Finding,
    /// The target.
    pub target: Target,
    /// What the finding means.
    pub classification: Classification,
    /// The same, written up.
    pub investigation: Investigation,
    /// The policy file that decides.
    pub policy: PolicyRef,
    /// Whether the target's settings were given. Without them no measure can say what it would change.
    pub settings_known: bool,
    /// What would be decided.
    pub decision: Decision,
    /// The command that comes next, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Explanation {
    /// Writes up what a policy says of a case. `known` says whether facts were given, be they empty.
    pub fn of(
        case: &Case,
        weighed: Weighed,
        policy: &Policy,
        known: bool,
        next: Option<String>,
    ) -> Self {
        let Weighed {
            classification,
            decision,
            ..
        } = weighed;
        let (finding, target) = (case.finding, case.target);
        Self {
            finding: finding.clone(),
            target: target.clone(),
            investigation: investigation(finding, target, &classification, case.enrichment, known),
            classification,
            policy: PolicyRef {
                name: policy.name.clone(),
                digest: policy.digest.clone(),
            },
            settings_known: known,
            decision,
            next,
        }
    }
}

/// A record and what became of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Account {
    /// What it says of the incident, written up.
    pub investigation: Investigation,
    /// The record.
    pub record: Record,
    /// What became of its changes; none where there were none to make, or where the run has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
    /// What became of the containment since; none where the store was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
}

impl Account {
    /// Writes up a record.
    pub fn new(record: Record, result: Option<RunResult>) -> Self {
        let Record {
            finding,
            target,
            classification,
            enrichment,
            before,
            ..
        } = &record;
        let known = !before.0.is_empty();
        let mut classification = classification.clone();
        // Macie may have answered while the plan was carried out.
        if let Some(told) = result
            .as_ref()
            .and_then(|result| result.sensitivity.as_ref())
        {
            classification.sensitivity = told.clone();
        }
        Self {
            investigation: investigation(finding, target, &classification, enrichment, known),
            record: Record {
                classification,
                ..record
            },
            result,
            since: None,
        }
    }

    /// How it ended; none while a run goes on, and for one that was cut off.
    pub fn outcome(&self) -> Option<Outcome> {
        self.result
            .as_ref()
            .map(|result| result.outcome)
            .or(self.record.outcome)
    }

    /// The command that undoes it; none where there is nothing that may be undone.
    pub(crate) fn undo(&self) -> Option<String> {
        let may_have_written = match &self.result {
            Some(result) => result.outcome != Outcome::Failed,
            None => self.record.outcome.is_none(),
        };
        let since = self.since.as_ref().map(|since| &since.stands);
        let has_ended = matches!(since, Some(Stands::Ended { .. }));
        (may_have_written && self.record.rollback.is_none() && !has_ended).then(|| {
            format!(
                "portcullis rollback {}",
                quoted(&shown(&self.record.id, LINE))
            )
        })
    }

    /// What is to be said where there is no result.
    pub(crate) fn without_result(&self) -> &'static str {
        match self.record.outcome {
            None => {
                "There is no result yet: compare the bucket with this record, and apply the record again to bring it to its end."
            }
            Some(_) => "Nothing was changed.",
        }
    }
}

/// Which record it is, how it ended and who asked for it.
pub(crate) fn heading(account: &Account) -> Vec<Row> {
    let Record {
        id,
        at,
        asked_by,
        program,
        ..
    } = &account.record;
    let outcome = match account.outcome() {
        Some(outcome) => Text::new(Tone::Strong, outcome.word()),
        None => Text::new(
            Tone::Doubtful,
            "unknown: the run has not ended, or was cut off before it could say how it ended",
        ),
    };
    let asked_by = match asked_by.as_str() {
        "event" => "the finding's event".to_owned(),
        _ => shown(asked_by, LINE),
    };
    let program = shown(program, 32);
    vec![
        Row::one(
            "Record",
            Text::new(Tone::Strong, shown(id, LINE)).plain(format!(" of {at:.0}")),
        ),
        Row::one("Outcome", outcome),
        Row::one("Asked by", format!("{asked_by} (portcullis {program})")),
    ]
}

/// Which finding and which target.
pub(crate) fn subject(finding: &Finding, target: &Target) -> Vec<Row> {
    vec![header::finding(finding), header::target(finding, target)]
}

/// What GuardDuty says, and what follows from it.
pub(crate) fn findings(account: &Account) -> (Vec<Row>, Vec<Row>) {
    let Record {
        finding,
        target,
        classification,
        ..
    } = &account.record;
    (
        incident(finding, target),
        meaning(classification, &account.investigation),
    )
}

/// Which rule decided, in which mode and in which policy file.
pub(crate) fn ruling(record: &Record) -> Vec<Row> {
    let digest: String = record.policy.digest.chars().take(12).collect();
    let policy = format!(
        "{}, sha256 {}…",
        shown(&record.policy.name, LINE),
        shown(&digest, 12)
    );
    let mut rows = decided(&record.decision);
    rows.push(Row::one("Policy", policy));
    rows
}

/// What the changes of a decision are: planned, or what would have been.
pub(crate) fn planned(decision: &Decision) -> &'static str {
    match decision.taken.is_empty() {
        true => "Would have changed",
        false => "Planned",
    }
}

/// An explanation as text. After one of the same finding (`is_next`) the incident is not told again: an attack sequence can
/// have hundreds of targets.
pub fn explanation(explanation: &Explanation, is_next: bool, style: Style) -> String {
    let Explanation {
        finding,
        target,
        classification,
        investigation,
        settings_known,
        decision,
        next,
        ..
    } = explanation;
    let subject = subject(finding, target);
    let mut text = match is_next {
        true => rows::write(subject.iter().chain(&objects(target)), style),
        false => told(finding, target, investigation, style),
    };
    text.push('\n');
    text += &rows::write(&meaning(classification, investigation), style);
    text += &format!("\n{}", rows::write(&decided(decision), style));
    let arn = header::bucket_arn(finding, target);
    let body = match settings_known {
        true => {
            plan::changes(decision, &arn, style)
                + &plan::notes(decision, style)
                + &plan::withheld(decision, style)
        }
        false => unread(decision, style),
    };
    let body = body + &plan::follow_ups(decision, style) + &plan::alerts(decision, style);
    text += &body;
    if decision.taken.is_empty() && decision.withheld.is_empty() {
        text += "  The rule asks for no measure.\n";
    }
    match next {
        Some(next) => text + &format!("\nNext: {}\n", style.strong(&shown(next, 3 * LINE))),
        None => text,
    }
}

/// A past containment, or a rollback, as text.
pub fn account(account: &Account, style: Style) -> String {
    let Record {
        finding,
        target,
        classification,
        decision,
        rollback,
        ..
    } = &account.record;
    let mut text = rows::write(&heading(account), style);
    text += &told(finding, target, &account.investigation, style);
    text.push('\n');
    text += &rows::write(&meaning(classification, &account.investigation), style);

    if let Some(rollback) = rollback {
        text += &format!(
            "\nThis is the rollback of record {}.\n",
            style.strong(&shown(&rollback.record, LINE))
        );
        text += &rollback::inverse(&rollback.inverse, finding, target, style);
        return text + &done(account, style);
    }
    text += &format!("\n{}", rows::write(&ruling(&account.record), style));
    let arn = header::bucket_arn(finding, target);
    if !decision.plan.is_empty() {
        let changes = plan::changes(decision, &arn, style);
        text += &format!("{}\n{changes}", planned(decision));
    }
    text += &plan::notes(decision, style);
    text += &plan::withheld(decision, style);
    text += &plan::follow_ups(decision, style);
    text += &plan::alerts(decision, style);
    text + &done(account, style)
}

/// The incident as text: the subject and what happened to it, then what GuardDuty says.
fn told(finding: &Finding, target: &Target, investigation: &Investigation, style: Style) -> String {
    format!(
        "{}\n{}\n\n{}",
        rows::write(&subject(finding, target), style),
        investigation.summary,
        rows::write(&incident(finding, target), style)
    )
}

fn done(account: &Account, style: Style) -> String {
    let mut text = match &account.result {
        None => format!(
            "\n{}\n{}",
            account.without_result(),
            follow_ups(&account.record.followed_up, style)
        ),
        Some(result) => format!(
            "\nDone at {:.0}\n{}{}",
            result.at,
            results(&result.changes, style),
            follow_ups(&result.followed_up, style)
        ),
    };
    text += &rows::write(&now::now(account), style);
    if let Some(command) = account.undo() {
        text += &format!("Undo: {}\n", style.strong(&command));
    }
    text
}

fn decided(decision: &Decision) -> Vec<Row> {
    vec![
        Row::one("Rule", header::rule(decision)),
        header::mode(decision),
    ]
}

/// The measures of a decision that was made without the target's settings: what they would do only the settings tell.
fn unread(decision: &Decision, style: Style) -> String {
    let (open, held): (Vec<_>, Vec<_>) = decision
        .withheld
        .iter()
        .cloned()
        .partition(|withheld| matches!(withheld.guard, Guard::Unreadable));
    let taken = decision.taken.iter().map(|taken| taken.measure.as_str());
    let asked: Vec<&str> = taken
        .chain(open.iter().map(|withheld| withheld.measure.as_str()))
        .collect();
    let mut text = String::new();
    if !asked.is_empty() {
        let depends = style.faint("what they change depends on the target's settings");
        text += &format!(
            "  asks for {}; {depends}\n",
            style.strong(&shown(&asked.join(", "), LINE))
        );
    }
    text + &plan::withheld(
        &Decision {
            withheld: held,
            ..decision.clone()
        },
        style,
    )
}
