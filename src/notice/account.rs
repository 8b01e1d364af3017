//! What a notice says of one target: what was done, what was not and why, what the data is, and what a person can do next.

use super::Told;
use super::inert::inert;
use crate::classification::{Reasoned, Sensitivity};
use crate::decision::{Decision, Withheld};
use crate::finding::{Finding, Target};
use crate::guard::Guard;
use crate::plan::Plan;
use crate::record::{ChangeResult, ChangeStatus, FollowUpStatus, Outcome, Record, RollbackOf};
use crate::report::{LINE, shown};
use crate::settings::SettingKind;

/// One target's account. All texts are inert, but for `name`, `arn` and the commands, which are for copying.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) is_bucket: bool,
    pub(super) account: String,
    pub(super) arn: Option<String>,
    /// How it ended, or how it stands.
    pub(super) outcome: &'static str,
    pub(super) record: Option<String>,
    pub(super) rule: Option<String>,
    /// Named lines: what was done, what was not, what the data is.
    pub(super) lines: Vec<(&'static str, String)>,
    pub(super) steps: Vec<Step>,
}

/// What a person can do.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) what: &'static str,
    pub(super) command: String,
}

/// The accounts of all targets, in their order. What Macie says, or why it says nothing, is told once.
pub(super) fn accounts(finding: &Finding, told: &[&Told]) -> Vec<Account> {
    let mut data_told: Vec<String> = Vec::new();
    told.iter()
        .map(|told| {
            let mut account = account(finding, told);
            if let Some(data) = data(told).filter(|data| !data_told.contains(data)) {
                data_told.push(data.clone());
                account.lines.push(("Data", data));
            }
            account
        })
        .collect()
}

/// The targets of a finding that was not worked on.
pub(super) fn untouched(finding: &Finding) -> Vec<Account> {
    let of = |target: &Target| {
        let (name, account, is_bucket) = match target {
            Target::Bucket(bucket) => (&bucket.name, &bucket.account, true),
            Target::Account(id) => (id, id, false),
        };
        Account {
            name: named(name),
            is_bucket,
            account: named(account),
            arn: arn(finding, target),
            outcome: Outcome::Failed.word(),
            record: None,
            rule: None,
            lines: Vec::new(),
            steps: Vec::new(),
        }
    };
    finding.targets.iter().map(of).collect()
}

fn account(finding: &Finding, told: &Told) -> Account {
    let mut account = Account {
        name: named(told.bucket.unwrap_or(told.account)),
        is_bucket: told.bucket.is_some(),
        account: named(told.account),
        arn: told.record.and_then(|record| arn(finding, &record.target)),
        outcome: told.outcome.word(),
        record: None,
        rule: None,
        lines: Vec::new(),
        steps: Vec::new(),
    };
    let changes = told.result.map_or(&[][..], |result| &result.changes);
    let followed_up = match (told.result, told.record) {
        (Some(result), _) => &result.followed_up[..],
        (None, Some(record)) => &record.followed_up[..],
        (None, None) => &[],
    };
    match told.record {
        None => account.lines.extend(
            told.reason
                .map(|reason| ("Not done", inert(&shown(reason, 4 * LINE)))),
        ),
        Some(Record {
            rollback: Some(rollback),
            ..
        }) => {
            account.lines.extend(put_back(rollback, changes));
        }
        Some(record) => account.lines.extend(contained(&record.decision, changes)),
    }
    account.lines.extend(note(told, changes));
    for result in followed_up
        .iter()
        .filter(|result| result.status != FollowUpStatus::Withheld)
    {
        let text = format!("{}: {}", result.follow_up, shown(&result.detail, 2 * LINE));
        let name = match result.status {
            FollowUpStatus::Done => "Also done",
            FollowUpStatus::Failed | FollowUpStatus::Withheld => "Not done",
        };
        account.lines.push((name, inert(&text)));
    }
    if let Some(record) = told.record {
        let id = shown(&record.id, LINE);
        account.rule = Some(shown(&record.decision.rule, LINE));
        account.steps = steps(record, told, &id);
        account.record = Some(id);
        let alerts = record.decision.alerts.iter();
        account
            .lines
            .extend(alerts.map(|alert| ("Look at", inert(&shown(alert, 2 * LINE)))));
    }
    account
}

fn contained(decision: &Decision, changes: &[ChangeResult]) -> Vec<(&'static str, String)> {
    let mut lines = done("Done", changes, &decision.plan);
    let is_planned = |name: &String| {
        let changes = decision.plan.changes.iter();
        changes
            .into_iter()
            .any(|change| change.measures.contains(name))
    };
    let taken = decision.taken.iter().map(|taken| &taken.measure);
    let already: Vec<&str> = taken
        .filter(|name| !is_planned(name))
        .map(String::as_str)
        .collect();
    if !already.is_empty() {
        lines.push(("Already so", inert(&already.join(", "))));
    }
    if decision.taken.is_empty() && !decision.plan.is_empty() {
        let planned = decision.plan.changes.iter();
        let planned: Vec<String> = planned
            .map(|change| changed(change.setting, &decision.plan))
            .collect();
        lines.push(("Would change", inert(&planned.join(", "))));
    }
    for group in groups(&decision.withheld) {
        let names: Vec<&str> = group
            .iter()
            .map(|withheld| withheld.measure.as_str())
            .collect();
        if let Some(Withheld {
            guard, why, place, ..
        }) = group.first()
        {
            let place = match why.contains(place.as_str()) {
                true => String::new(),
                false => format!(" ({place})"),
            };
            let why = shown(&format!("{why}{place}"), 2 * LINE);
            let text = format!("{} withheld by guard {guard}: {why}", names.join(", "));
            lines.push(("Not done", inert(&text)));
        }
    }
    lines
}

fn put_back(rollback: &RollbackOf, changes: &[ChangeResult]) -> Vec<(&'static str, String)> {
    let mut lines = done("Put back", changes, &rollback.inverse.plan);
    if lines.is_empty() && rollback.inverse.drift.is_empty() {
        lines.push(("Put back", "nothing: it was as before already".to_owned()));
    }
    lines.extend(rollback.inverse.drift.iter().map(|drift| {
        let text = format!("{}: {}", drift.setting.title(), shown(&drift.why, 2 * LINE));
        ("Left alone", inert(&text))
    }));
    lines
}

/// What the changes and guards do not say themselves, such as that a result could not be stored.
fn note(told: &Told, changes: &[ChangeResult]) -> Option<(&'static str, String)> {
    let (record, reason) = (told.record?, told.reason?);
    let of_change = |change: &ChangeResult| change.detail.as_deref() == Some(reason);
    let of_measure = |withheld: &Withheld| withheld.why == reason;
    let is_said = changes.iter().any(of_change) || record.decision.withheld.iter().any(of_measure);
    (!is_said).then(|| ("Note", inert(&shown(reason, 4 * LINE))))
}

/// What became of the changes: those that were read back, then each that was not.
fn done(name: &'static str, changes: &[ChangeResult], plan: &Plan) -> Vec<(&'static str, String)> {
    let verified = changes
        .iter()
        .filter(|change| change.status == ChangeStatus::Verified);
    let verified: Vec<String> = verified
        .map(|change| changed(change.setting, plan))
        .collect();
    let mut lines = Vec::new();
    if !verified.is_empty() {
        lines.push((
            name,
            inert(&format!("{}: written and read back", verified.join(", "))),
        ));
    }
    for change in changes {
        let status = match change.status {
            ChangeStatus::Verified => continue,
            ChangeStatus::Unverified => "perhaps written, not verified",
            ChangeStatus::Failed => "not written",
        };
        let detail = change.detail.as_deref().unwrap_or("no reason given");
        let later = match change.may_succeed_later {
            true => " (may succeed later, and is tried again)",
            false => "",
        };
        let text = format!(
            "{}: {status}: {}{later}",
            change.setting.title(),
            shown(detail, 4 * LINE)
        );
        lines.push(("Failed", inert(&text)));
    }
    lines
}

/// `bucket policy (deny-actor, deny-source-ip)`.
fn changed(setting: SettingKind, plan: &Plan) -> String {
    let change = plan.changes.iter().find(|change| change.setting == setting);
    let measures = change.map(|change| change.measures.join(", "));
    match measures.filter(|measures| !measures.is_empty()) {
        Some(measures) => format!("{} ({measures})", setting.title()),
        None => setting.title().to_owned(),
    }
}

fn groups(withheld: &[Withheld]) -> Vec<Vec<&Withheld>> {
    let mut groups: Vec<Vec<&Withheld>> = Vec::new();
    for one in withheld {
        let alike = |group: &&mut Vec<&Withheld>| {
            group.first().is_some_and(|first| {
                (first.guard, &first.why, &first.place) == (one.guard, &one.why, &one.place)
            })
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

fn data(told: &Told) -> Option<String> {
    let record = told.record.filter(|record| record.rollback.is_none())?;
    let asked = record.enrichment.macie.is_some();
    let later = told.result.and_then(|result| result.sensitivity.as_ref());
    let said: &Reasoned<Sensitivity> =
        later.or(asked.then_some(&record.classification.sensitivity))?;
    Some(inert(&format!(
        "{}: {}",
        said.is,
        shown(&said.because, 3 * LINE)
    )))
}

fn steps(record: &Record, told: &Told, id: &str) -> Vec<Step> {
    let step = |what, verb: &str| Step {
        what,
        command: format!("portcullis {verb} {id}"),
    };
    let mut steps = vec![step("Look", "show")];
    let changed = matches!(told.outcome, Outcome::Contained | Outcome::Partial);
    if changed && record.rollback.is_none() {
        steps.push(step("Undo", "rollback"));
    }
    let is_limit = |withheld: &Withheld| withheld.guard == Guard::BlastRadius;
    if record.decision.withheld.iter().any(is_limit) && record.rollback.is_none() {
        steps.push(step("If this is right too", "apply"));
    }
    steps
}

pub(super) fn arn(finding: &Finding, target: &Target) -> Option<String> {
    match target {
        Target::Bucket(bucket) if is_plain(&bucket.name) => {
            let arn = bucket.arn(&finding.partition, &finding.region);
            Some(shown(&arn, LINE))
        }
        _ => None,
    }
}

/// A name for copying, as it is; what can be no name of AWS's is made inert.
pub(super) fn named(name: &str) -> String {
    match is_plain(name) {
        true => shown(name, LINE),
        false => inert(&shown(name, LINE)),
    }
}

fn is_plain(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}
