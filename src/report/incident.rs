//! The account of one finding and one target: who did what, from where, what it means, what was decided and done.
//!
//! What is not known is said to be unknown; a blank would read as "none".

use serde::Serialize;

use super::changes::{changes as results, follow_ups};
use super::header::{self, line};
use super::meaning::meaning;
use super::said::{incident, objects};
use super::{Investigation, LINE, Style, investigation, plan, rollback, shown};
use crate::classification::Classification;
use crate::decision::{Decision, Weighed};
use crate::finding::{Finding, Target};
use crate::guard::Guard;
use crate::policy::Policy;
use crate::record::{Outcome, PolicyRef, Record, RunResult};
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
        }
    }

    /// How it ended; none while a run goes on, and for one that was cut off.
    pub fn outcome(&self) -> Option<Outcome> {
        self.result
            .as_ref()
            .map(|result| result.outcome)
            .or(self.record.outcome)
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
    let mut text = match is_next {
        true => {
            header::finding(finding, style)
                + &header::target(finding, target, style)
                + &objects(target, style)
        }
        false => incident(finding, target, investigation, style),
    };
    text.push('\n');
    text += &meaning(classification, investigation, style);
    text += &format!("\n{}", decided(decision, style));
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
        id,
        at,
        asked_by,
        program,
        finding,
        target,
        classification,
        policy,
        decision,
        rollback,
        ..
    } = &account.record;
    let outcome = match account.outcome() {
        Some(outcome) => style.strong(outcome.word()),
        None => style.doubtful(
            "unknown: the run has not ended, or was cut off before it could say how it ended",
        ),
    };
    let mut text = line(
        "Record",
        &format!("{} of {at:.0}", style.strong(&shown(id, LINE))),
        style,
    );
    text += &line("Outcome", &outcome, style);
    let asked_by = if asked_by == "event" {
        "the finding's event".to_owned()
    } else {
        shown(asked_by, LINE)
    };
    text += &line(
        "Asked by",
        &format!("{asked_by} (portcullis {})", shown(program, 32)),
        style,
    );
    text += &incident(finding, target, &account.investigation, style);
    text.push('\n');
    text += &meaning(classification, &account.investigation, style);

    if let Some(rollback) = rollback {
        text += &format!(
            "\nThis is the rollback of record {}.\n",
            style.strong(&shown(&rollback.record, LINE))
        );
        text += &rollback::inverse(&rollback.inverse, finding, target, style);
        return text + &done(account, style);
    }
    text += &format!("\n{}", decided(decision, style));
    let digest: String = policy.digest.chars().take(12).collect();
    text += &line(
        "Policy",
        &format!(
            "{}, sha256 {}…",
            shown(&policy.name, LINE),
            shown(&digest, 12)
        ),
        style,
    );
    let arn = header::bucket_arn(finding, target);
    if !decision.plan.is_empty() {
        let title = if decision.taken.is_empty() {
            "Would have changed"
        } else {
            "Planned"
        };
        text += &format!("{title}\n{}", plan::changes(decision, &arn, style));
    }
    text += &plan::notes(decision, style);
    text += &plan::withheld(decision, style);
    text += &plan::follow_ups(decision, style);
    text += &plan::alerts(decision, style);
    text + &done(account, style)
}

fn done(account: &Account, style: Style) -> String {
    let Some(result) = &account.result else {
        let unfinished = account.record.outcome.is_none();
        let text = match unfinished {
            true => {
                "\nThere is no result yet: compare the bucket with this record, and apply the record again to bring it to its end.\n"
            }
            false => "\nNothing was changed.\n",
        };
        let undo = unfinished && account.record.rollback.is_none();
        return text.to_owned()
            + &follow_ups(&account.record.followed_up, style)
            + &if undo {
                undo_line(&account.record, style)
            } else {
                String::new()
            };
    };
    let mut text = format!(
        "\nDone at {:.0}\n{}",
        result.at,
        results(&result.changes, style)
    );
    text += &follow_ups(&result.followed_up, style);
    let undoable = account.record.rollback.is_none() && result.outcome != Outcome::Failed;
    if undoable {
        text += &undo_line(&account.record, style);
    }
    text
}

fn undo_line(record: &Record, style: Style) -> String {
    format!(
        "Undo: {}\n",
        style.strong(&format!("portcullis rollback {}", shown(&record.id, LINE)))
    )
}

fn decided(decision: &Decision, style: Style) -> String {
    line("Rule", &header::rule(decision, style), style) + &header::mode(decision, style)
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
