//! What a policy would have done with past findings: the findings over time, what rules and guards did, what would change.

mod changes;
mod days;
mod filter;
mod table;
mod tables;

use maud::{Markup, html};

use super::frame::{Section, page};
use super::parts::rows;
use crate::backtest::{Backtest, Read};
use crate::record::PolicyRef;
use crate::report::{LINE, Row, Text, Tone, count, shown};

/// The page of a backtest. Without scripts it has no filters and shows everything.
pub fn backtest(backtest: &Backtest) -> String {
    let title = format!(
        "{} over {}",
        shown(&backtest.policy.name, LINE),
        counted(backtest.read.findings, "past finding")
    );
    let top = html! {
        @if backtest.partial {
            p.lead.bad { "Interrupted: only a part of the findings is in here." }
        }
        p.lead { (lead(backtest)) }
        (rows(&heading(backtest)))
        (filter::form(backtest))
    };
    let mut sections = vec![
        Section::new(
            "effects",
            "What would have come of them",
            tables::effects(backtest),
        ),
        Section::new("days", "Findings over time", days::days(backtest)),
        Section::new("rules", "Rules", tables::rules(backtest)),
        Section::new("exceptions", "Exceptions", tables::exceptions(backtest)),
        Section::new("withheld", "Withheld, and why", tables::withheld(backtest)),
        Section::new("measures", "Measures", tables::measures(backtest)),
        Section::new(
            "contained",
            "Contained most often",
            tables::contained(backtest),
        ),
    ];
    if let Some(changes) = &backtest.changes {
        let body = changes::changes(changes);
        sections.insert(1, Section::new("changes", "What changes", body));
    }
    let facts = &backtest.facts;
    let all_read = backtest.read.first_broken.is_empty() && facts.first_unread.is_empty();
    if !(all_read && facts.missed.is_empty()) {
        sections.push(Section::new(
            "gaps",
            "What was not known",
            tables::gaps(backtest),
        ));
    }
    page(&title, &top, &sections, env!("CARGO_PKG_VERSION"))
}

fn lead(backtest: &Backtest) -> String {
    let Read {
        findings, targets, ..
    } = backtest.read;
    let against = match &backtest.changes {
        None => String::new(),
        Some(changes) => format!(
            " Of these, {} would be decided differently than now.",
            changes.differ
        ),
    };
    format!(
        "{} about {}, decided again as a deployment that enforces would.{against}",
        counted(findings, "finding"),
        counted(targets, "target")
    )
}

fn heading(backtest: &Backtest) -> Vec<Row> {
    let policy = |policy: &PolicyRef| {
        let digest: String = policy.digest.chars().take(12).collect();
        format!(
            "{}, sha256 {}…",
            shown(&policy.name, LINE),
            shown(&digest, 12)
        )
    };
    let Read {
        ignored,
        without_target,
        samples,
        archived,
        broken,
        ..
    } = backtest.read;
    let besides = [
        (ignored, "of no concern: not GuardDuty's, or not about S3"),
        (without_target, "that concern S3 and name no bucket"),
        (samples, "samples, about which nothing is ever done"),
        (archived, "archived by a person"),
    ];
    let besides = besides.iter().filter(|(number, _)| *number > 0);
    let mut read: Vec<Text> = besides
        .map(|(number, what)| format!("{number} {what}").into())
        .collect();
    if broken > 0 {
        let told = format!("{broken} that are no event or cannot be read");
        read.push(Text::new(Tone::Bad, told));
    }
    let facts = &backtest.facts;
    let known = [
        (facts.recorded, "from the records that were made of them"),
        (facts.live, "read from AWS now"),
        (
            facts.unknown,
            "not known, so that what measures change is open",
        ),
    ];
    let known = known.iter().filter(|(number, _)| *number > 0);
    let known = known.map(|(number, what)| format!("{}: {what}", counted(*number, "target")));
    let against = backtest.against.as_ref();
    [
        Some(Row::one("Policy", policy(&backtest.policy))),
        against.map(|against| Row::one("Against", policy(against))),
        Some(Row::one("Findings", shown(&backtest.source, 2 * LINE))),
        Row::some("Besides", read),
        Row::some("Facts", known),
        Some(Row::one("As of", format!("{:.0}", backtest.as_of))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `one finding`, `2 findings`.
fn counted(number: u64, thing: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), thing)
}

/// A bar, for the eye only: the number stands beside it.
fn bar(number: u64, most: u64, class: &str) -> Markup {
    // Exact enough for a bar, whatever the number.
    let width = number as f64 / most.max(1) as f64 * 100.0;
    html! {
        svg.bar viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
            rect class=(class) x="0" y="0" width=(format!("{width:.2}")) height="10" {}
        }
    }
}
