//! What is allowed in a policy, and probably not meant; and what concerns several rules at once.

use jiff::civil::Date;

use super::conditions::{Conditions, Glob};
use super::finding_types::finding_types;
use super::{Asked, Mode, Rule};
use crate::measures::Disposition;
use crate::yaml::{Code, Place, Placed, Report, nearest};

/// The least severity that GuardDuty calls medium.
const MEDIUM: f64 = 4.0;

/// The last rule must match everything, so that no finding is passed over in silence.
pub(super) fn catch_all(report: &mut Report<'_>, last: &Placed<Rule>) {
    if last.value.when.is_empty() && last.value.unless.is_none() {
        return;
    }
    report
        .add(Code::NoCatchAll, last.at, "the last rule does not match everything")
        .help("add a last rule without `when` and `unless`: `- { id: everything-else, measures: [] }`");
}

/// A rule never matches if an earlier one takes everything that it could.
pub(super) fn unreachable(report: &mut Report<'_>, rules: &[Placed<Rule>]) {
    for (index, later) in rules.iter().enumerate() {
        let Some(earlier) = rules[..index]
            .iter()
            .find(|earlier| takes_all(&earlier.value, &later.value))
        else {
            continue;
        };
        report
            .add(
                Code::UnreachableRule,
                later.at,
                format!("rule \"{}\" can never match", later.value.id),
            )
            .related(earlier.at, "this rule takes everything that it could")
            .help(format!(
                "the first rule that matches decides: move it above \"{}\", or remove it",
                earlier.value.id
            ));
    }
}

/// A rule can hold the policy's mode back, not raise it.
pub(super) fn mode(
    report: &mut Report<'_>,
    rule: Option<&Placed<Mode>>,
    policy: Option<&Placed<Mode>>,
) {
    let (Some(rule), Some(policy)) = (rule, policy) else {
        return;
    };
    if rule.value <= policy.value {
        return;
    }
    report
        .add(Code::ModeHasNoEffect, rule.at, format!("`mode: {}` has no effect here", rule.value))
        .related(policy.at, format!("the policy's mode is {}", policy.value))
        .help("the mode that takes effect is the least of the deployment's, the policy's and the rule's");
}

/// An archived finding is left alone, by the sweep too: what it is about is not put back.
pub(super) fn hold_of_archived(report: &mut Report<'_>, hold: Place, follow_up: Place) {
    report
        .add(
            Code::HoldOfArchived,
            hold,
            "nothing is held of a finding that is archived",
        )
        .related(follow_up, "here the rule archives it")
        .help("leave `archive-finding` out, or `hold`");
}

/// A disruptive measure should need more than a finding of low severity.
pub(super) fn disruptive(
    report: &mut Report<'_>,
    when: &Conditions,
    asked: &[(Asked, String, Place)],
) {
    if when.min_severity.is_some_and(|least| least >= MEDIUM) {
        return;
    }
    for (asked, name, at) in asked {
        if asked.measure.info().disposition != Disposition::Disruptive {
            continue;
        }
        let message =
            format!("\"{name}\" is disruptive, and this rule admits findings of low severity");
        report
            .add(Code::DisruptiveOnLowSeverity, *at, message)
            .help("add `min-severity: 7` to the rule's `when`, or a measure that takes less away");
    }
}

/// An exception past its last day no longer holds.
pub(super) fn expired(report: &mut Report<'_>, expires: &Placed<Date>, today: Date) {
    if expires.value >= today {
        return;
    }
    report
        .add(Code::ExpiredException, expires.at, format!("the exception expired on {} and no longer holds", expires.value))
        .help("if what it spares is still right, have it confirmed and give it a new date; else remove it");
}

/// Types of finding are open, so that an unknown one is only a doubt.
pub(super) fn unknown_finding_type(report: &mut Report<'_>, glob: &Glob, at: Place) {
    let written = glob.as_str();
    if finding_types().any(|known| glob.matches(known)) {
        return;
    }
    let diagnostic = report.add(
        Code::UnknownFindingType,
        at,
        format!("\"{written}\" matches no type of finding that this version knows"),
    );
    match nearest(written, finding_types()) {
        Some(meant) => diagnostic.help(format!("did you mean \"{meant}\"?")),
        None => diagnostic
            .help("patterns match the whole type, and case matters: \"Exfiltration:S3/*\""),
    };
}

/// Whether everything that `later` matches is surely matched by `earlier`.
fn takes_all(earlier: &Rule, later: &Rule) -> bool {
    let spared_too = match (&earlier.unless, &later.unless) {
        (None, _) => true,
        (Some(ours), Some(theirs)) => theirs.covers(ours),
        (Some(_), None) => false,
    };
    earlier.when.covers(&later.when) && spared_too
}
