//! The plan display: what would change and why, what is withheld and why, and what to do next.

use std::collections::BTreeMap;

use serde::Serialize;

use super::header;
use super::{LINE, Style, Symbol, count, difference, padded, shown, widest};
use crate::decision::{Decision, Withheld};
use crate::measures::{Disposition, Measure, Tactic};
use crate::plan::Change;
use crate::record::Record;
use crate::settings::Setting;

/// A plan for one target, and what a person has to know beside it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Planned {
    /// The record that would be stored.
    pub record: Record,
    /// The principals that nothing locks out.
    pub break_glass: Vec<String>,
    /// What the deployed function would do, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed: Option<String>,
    /// The command that comes next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Planned {
    /// Whether carrying the plan out can take access from somebody who did no harm.
    pub fn is_disruptive(&self) -> bool {
        let decision = &self.record.decision;
        decision.acts()
            && decision
                .taken
                .iter()
                .any(|taken| disposition(&taken.measure) == Some(Disposition::Disruptive))
    }
}

/// The plan as text.
pub fn plan(planned: &Planned, style: Style) -> String {
    let Record {
        finding,
        target,
        classification,
        decision,
        ..
    } = &planned.record;
    let mut text = header::finding(finding, style) + &header::target(finding, target, style);
    let actors: Vec<_> = classification
        .actors
        .iter()
        .map(|actor| shown(&actor.label(), LINE))
        .collect();
    let actors = if actors.is_empty() {
        "nobody named".to_owned()
    } else {
        actors.join(", ")
    };
    let because = format!(
        "rule {}: {actors}; {}, access path {}, exposure {}",
        header::rule(decision, style),
        classification.authorization.is,
        classification.access_path.is,
        classification.exposure.is
    );
    text += &header::line("Because", &because, style);
    text += &header::mode(decision, style);

    let arn = header::bucket_arn(finding, target);
    let body = changes(decision, &arn, style)
        + &notes(decision, style)
        + &withheld(decision, style)
        + &follow_ups(decision, style)
        + &alerts(decision, style);
    if !body.is_empty() {
        text += &format!("\n{body}");
    }
    text += &format!("\n{}\n", conclusion(planned, style));
    if let Some(deployed) = &planned.deployed {
        text += &format!("{}\n", shown(deployed, 3 * LINE));
    }
    if let Some(next) = &planned.next {
        text += &format!("Next: {}\n", style.strong(&shown(next, 3 * LINE)));
    }
    text
}

/// The changes, each with the measures that want it and what becomes of the document.
pub(super) fn changes(decision: &Decision, bucket_arn: &str, style: Style) -> String {
    let width = widest(
        decision
            .plan
            .changes
            .iter()
            .map(|change| change.setting.title()),
    );
    let mut text = String::new();
    for change in &decision.plan.changes {
        let title = style.strong(&padded(change.setting.title(), width));
        let because = style.faint(&change.measures.join(", "));
        let row = format!(
            "  {} {title}  {}  {because}",
            style.symbol(symbol(change)),
            kinds(change)
        );
        text += &format!("{}\n", row.trim_end());
        let lines =
            difference::difference(change.setting, &change.before, &change.after, bucket_arn);
        text += &difference::write(&lines, 6, style);
    }
    text
}

/// The measures that are withheld, those for the same reason together.
pub(super) fn withheld(decision: &Decision, style: Style) -> String {
    let mut groups: Vec<Vec<&Withheld>> = Vec::new();
    for withheld in &decision.withheld {
        let alike = |group: &&mut Vec<&Withheld>| {
            group.first().is_some_and(|first| {
                first.guard == withheld.guard
                    && first.why == withheld.why
                    && first.place == withheld.place
            })
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push(withheld),
            None => groups.push(vec![withheld]),
        }
    }
    let mut text = String::new();
    for group in groups {
        let names: Vec<&str> = group
            .iter()
            .map(|withheld| withheld.measure.as_str())
            .collect();
        let disruptive = names
            .iter()
            .any(|name| disposition(name) == Some(Disposition::Disruptive));
        let disposition = if disruptive { "  disruptive" } else { "" };
        let symbol = style.symbol(Symbol::Attention);
        text += &format!(
            "  {symbol} {}  withheld{disposition}\n",
            style.strong(&shown(&names.join(", "), LINE))
        );
        if let Some(Withheld {
            guard, why, place, ..
        }) = group.first()
        {
            // The reason may name the line already.
            let see = match why.contains(place.as_str()) {
                true => String::new(),
                false => style.faint(&format!("; see {}", shown(place, LINE))),
            };
            text += &format!("      guard \"{guard}\": {}{see}\n", shown(why, 3 * LINE));
        }
    }
    text
}

/// What is worth telling of the measures that are taken.
pub(super) fn notes(decision: &Decision, style: Style) -> String {
    let notes = decision
        .taken
        .iter()
        .flat_map(|taken| taken.notes.iter().map(|note| (&taken.measure, note)));
    notes
        .map(|(measure, note)| {
            format!(
                "  {} {}: {}\n",
                style.symbol(Symbol::Attention),
                shown(measure, LINE),
                shown(note, 3 * LINE)
            )
        })
        .collect()
}

/// What a person should look at.
pub(super) fn alerts(decision: &Decision, style: Style) -> String {
    let alerts = decision.alerts.iter().map(|alert| shown(alert, 3 * LINE));
    alerts
        .map(|alert| format!("  {} {alert}\n", style.symbol(Symbol::Attention)))
        .collect()
}

/// What follows besides, and cannot be undone.
pub(super) fn follow_ups(decision: &Decision, style: Style) -> String {
    let lines = decision.follow_up.iter().map(|asked| {
        let name = style.strong(asked.follow_up.word());
        match &asked.withheld {
            None => format!(
                "  {} {name}  follows, and cannot be undone\n",
                style.symbol(Symbol::Add)
            ),
            Some(withheld) => format!(
                "  {} {name}  is not run: guard \"{}\": {}\n",
                style.symbol(Symbol::Attention),
                withheld.guard,
                shown(&withheld.why, 3 * LINE)
            ),
        }
    });
    lines.collect()
}

/// One line that says what the plan comes to.
fn conclusion(planned: &Planned, style: Style) -> String {
    let decision = &planned.record.decision;
    let the_target = header::the_target(&planned.record.target);
    let (pending, withheld) = (decision.plan.changes.len(), decision.withheld.len());
    let also = if withheld > 0 {
        format!(", {withheld} withheld")
    } else {
        String::new()
    };
    match (decision.taken.is_empty(), pending) {
        (true, 0) if withheld == 0 => {
            format!(
                "No changes. Rule \"{}\" asks for no measure.",
                shown(&decision.rule, LINE)
            )
        }
        (true, 0) => format!("No changes. Every measure is withheld ({withheld})."),
        (true, _) => {
            let first = decision
                .withheld
                .iter()
                .map(|withheld| withheld.guard.word())
                .next()
                .unwrap_or("observe-mode");
            format!(
                "Would change {}; nothing is changed now (guard \"{first}\").",
                count(pending, "setting")
            )
        }
        (false, 0) if withheld == 0 => style.good(&format!(
            "No changes. {} is already contained as the policy asks.",
            capital(the_target)
        )),
        (false, 0) => {
            format!("No changes{also}. What is not withheld is already as the policy asks.")
        }
        (false, _) => {
            let kept: Vec<_> = planned
                .break_glass
                .iter()
                .map(|arn| shown(arn, LINE))
                .collect();
            format!(
                "{} Break-glass access kept: {}",
                style.strong(&format!("Plan: {pending} to change{also}.")),
                kept.join(", ")
            )
        }
    }
}

/// Tactics and disposition of the measures behind a change.
fn kinds(change: &Change) -> String {
    let mut tactics: BTreeMap<Tactic, ()> = BTreeMap::new();
    let mut disruptive = false;
    for info in change.measures.iter().filter_map(|name| info(name)) {
        tactics.insert(info.tactic, ());
        disruptive |= info.disposition == Disposition::Disruptive;
    }
    let tactics: Vec<_> = tactics.keys().map(|tactic| tactic.word()).collect();
    let disposition = if disruptive {
        Disposition::Disruptive
    } else {
        Disposition::Safe
    };
    format!("{}  {disposition}", tactics.join(", "))
}

fn symbol(change: &Change) -> Symbol {
    match (&change.before, &change.after) {
        (Setting::Absent, _) => Symbol::Add,
        (_, Setting::Absent) => Symbol::Remove,
        _ => Symbol::Change,
    }
}

fn disposition(measure: &str) -> Option<Disposition> {
    info(measure).map(|info| info.disposition)
}

/// A record may be older than this program and name a measure that it does not have.
fn info(measure: &str) -> Option<&'static crate::measures::Info> {
    Measure::catalogue()
        .iter()
        .map(Measure::info)
        .find(|info| info.name == measure)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
