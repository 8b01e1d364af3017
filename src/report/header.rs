//! The lines that say which finding, which target and which rule.

use super::{LINE, Style, shown};
use crate::decision::Decision;
use crate::finding::{Finding, Target};
use crate::policy::Mode;

/// The width of the column of names, so that all reports line up.
const NAMES: usize = 10;

/// One named line: `Bucket    acme-orders-prod`.
pub(super) fn line(name: &str, text: &str, style: Style) -> String {
    format!("{}{text}\n", style.strong(&super::padded(name, NAMES)))
}

/// The line of the finding: its type, severity and id.
pub(super) fn finding(finding: &Finding, style: Style) -> String {
    let kind = style.strong(&shown(&finding.kind, LINE));
    let severity = severity(finding.severity);
    line(
        "Finding",
        &format!(
            "{kind}  {severity}  {}",
            style.faint(&shown(&finding.id, LINE))
        ),
        style,
    )
}

/// The line of the target.
pub(super) fn target(finding: &Finding, target: &Target, style: Style) -> String {
    match target {
        Target::Bucket(bucket) => {
            let region = bucket.region.as_deref().unwrap_or(&finding.region);
            let place = format!(
                "({}, {})",
                shown(&bucket.account, LINE),
                shown(region, LINE)
            );
            line(
                "Bucket",
                &format!("{} {place}", style.strong(&shown(&bucket.name, LINE))),
                style,
            )
        }
        Target::Account(account) => {
            let place = format!("({})", shown(&finding.region, LINE));
            line(
                "Account",
                &format!("{} {place}", style.strong(&shown(account, LINE))),
                style,
            )
        }
    }
}

/// The rule and its place in the policy file.
pub(super) fn rule(decision: &Decision, style: Style) -> String {
    let place = format!("({})", shown(&decision.place, LINE));
    format!(
        "\"{}\" {}",
        shown(&decision.rule, LINE),
        style.faint(&place)
    )
}

/// The line of the mode, and what makes it so.
pub(super) fn mode(decision: &Decision, style: Style) -> String {
    let word = match decision.mode {
        Mode::Observe => style.doubtful(decision.mode.word()),
        Mode::Enforce => style.strong(decision.mode.word()),
    };
    line(
        "Mode",
        &format!("{word} ({})", shown(&decision.mode_because, 2 * LINE)),
        style,
    )
}

/// The bucket's name, or the account's id in words.
pub(super) fn target_name(target: &Target) -> String {
    match target {
        Target::Bucket(bucket) => shown(&bucket.name, LINE),
        Target::Account(account) => format!("account {}", shown(account, LINE)),
    }
}

/// What the target is called where a sentence says what it is like.
pub(super) fn the_target(target: &Target) -> &'static str {
    match target {
        Target::Bucket(_) => "the bucket",
        Target::Account(_) => "the account",
    }
}

/// The ARN by which Portcullis's own statements are told, empty for an account.
pub(super) fn bucket_arn(finding: &Finding, target: &Target) -> String {
    match target {
        Target::Bucket(bucket) => bucket.arn(&finding.partition, &finding.region),
        Target::Account(_) => String::new(),
    }
}

/// `8.0 high`, with GuardDuty's bounds.
pub(crate) fn severity(value: f64) -> String {
    let word = match value {
        value if value >= 9.0 => "critical",
        value if value >= 7.0 => "high",
        value if value >= 4.0 => "medium",
        value if value > 0.0 => "low",
        _ => return "severity not given".to_owned(),
    };
    format!("{value:.1} {word}")
}
