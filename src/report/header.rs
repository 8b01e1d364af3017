//! The lines that say which finding, which target and which rule.

use super::rows::{Row, Text, Tone};
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

/// The finding: its type, severity and id.
pub(super) fn finding(finding: &Finding) -> Row {
    let severity = severity(finding.severity);
    let text = Text::new(Tone::Strong, shown(&finding.kind, LINE))
        .plain(format!("  {severity}  "))
        .and(Tone::Faint, shown(&finding.id, LINE));
    Row::one("Finding", text)
}

/// The target and where it is.
pub(super) fn target(finding: &Finding, target: &Target) -> Row {
    match target {
        Target::Bucket(bucket) => {
            let region = bucket.region.as_deref().unwrap_or(&finding.region);
            let place = format!(
                " ({}, {})",
                shown(&bucket.account, LINE),
                shown(region, LINE)
            );
            let name = Text::new(Tone::Strong, shown(&bucket.name, LINE));
            Row::one("Bucket", name.plain(place))
        }
        Target::Account(account) => {
            let name = Text::new(Tone::Strong, shown(account, LINE));
            let place = format!(" ({})", shown(&finding.region, LINE));
            Row::one("Account", name.plain(place))
        }
    }
}

/// The rule and its place in the policy file.
pub(super) fn rule(decision: &Decision) -> Text {
    let place = format!("({})", shown(&decision.place, LINE));
    Text::from(format!("\"{}\" ", shown(&decision.rule, LINE))).and(Tone::Faint, place)
}

/// The mode, and what makes it so.
pub(super) fn mode(decision: &Decision) -> Row {
    let tone = match decision.mode {
        Mode::Observe => Tone::Doubtful,
        Mode::Enforce => Tone::Strong,
    };
    let because = format!(" ({})", shown(&decision.mode_because, 2 * LINE));
    Row::one("Mode", Text::new(tone, decision.mode.word()).plain(because))
}

/// The bucket's name, or the account's id in words.
pub(crate) fn target_name(target: &Target) -> String {
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
pub(crate) fn bucket_arn(finding: &Finding, target: &Target) -> String {
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
