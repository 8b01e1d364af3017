//! The plan display: what would change and why, what is withheld and why, and what to do next.

use std::collections::BTreeMap;

use serde::Serialize;

use super::rows::{self, Row, Text, Tone};
use super::{LINE, Style, Symbol, count, difference, header, padded, shown, widest};
use crate::classification::Classification;
use crate::decision::{AskedFollowUp, Decision, Withheld};
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
    let rows = [
        header::finding(finding),
        header::target(finding, target),
        because(decision, classification, style),
        header::mode(decision),
    ];
    let mut text = rows::write(&rows, style);

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

/// The rule, and what of the finding it rests on.
pub(super) fn because(decision: &Decision, classification: &Classification, style: Style) -> Row {
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
    let rule = header::rule(decision).dressed(style);
    let because = format!(
        "rule {rule}: {actors}; {}, access path {}, exposure {}",
        classification.authorization.is, classification.access_path.is, classification.exposure.is
    );
    Row::one("Because", because)
}

/// A change as it is shown: the measures that want it, and what becomes of the document.
pub(crate) struct Changed<'a> {
    pub(crate) change: &'a Change,
    pub(crate) symbol: Symbol,
    /// Tactics and disposition of its measures.
    pub(crate) kinds: String,
    pub(crate) measures: String,
    pub(crate) lines: Vec<difference::Line>,
}

/// Measures that are withheld for one reason.
pub(crate) struct Held {
    pub(crate) measures: String,
    pub(crate) disruptive: bool,
    /// The guard, the facts and the line of the policy file.
    pub(crate) because: Text,
}

/// A follow-up, and whether it is run.
pub(crate) struct Followed {
    pub(crate) symbol: Symbol,
    pub(crate) name: &'static str,
    pub(crate) told: String,
}

/// The changes of a plan, in its order.
pub(crate) fn changed<'a>(changes: &'a [Change], bucket_arn: &str) -> Vec<Changed<'a>> {
    let of = |change: &'a Change| Changed {
        change,
        symbol: symbol(change),
        kinds: kinds(change),
        measures: shown(&change.measures.join(", "), 3 * LINE),
        lines: difference::difference(change.setting, &change.before, &change.after, bucket_arn),
    };
    changes.iter().map(of).collect()
}

/// The measures that are withheld, those for the same reason together.
pub(crate) fn held(decision: &Decision) -> Vec<Held> {
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
    let of = |group: Vec<&Withheld>| {
        let names: Vec<&str> = group.iter().map(|one| one.measure.as_str()).collect();
        let Withheld {
            guard, why, place, ..
        } = group.first()?;
        let because = Text::from(format!("guard \"{guard}\": {}", shown(why, 3 * LINE)));
        Some(Held {
            measures: shown(&names.join(", "), LINE),
            disruptive: names
                .iter()
                .any(|name| disposition(name) == Some(Disposition::Disruptive)),
            // The reason may name the line already.
            because: match why.contains(place.as_str()) {
                true => because,
                false => because.and(Tone::Faint, format!("; see {}", shown(place, LINE))),
            },
        })
    };
    groups.into_iter().filter_map(of).collect()
}

/// What is worth telling of the measures that are taken, and what a person should look at.
pub(crate) fn attention(decision: &Decision) -> (Vec<String>, Vec<String>) {
    let notes = decision.taken.iter().flat_map(|taken| {
        let measure = shown(&taken.measure, LINE);
        let notes = taken.notes.iter();
        notes.map(move |note| format!("{measure}: {}", shown(note, 3 * LINE)))
    });
    let alerts = decision.alerts.iter().map(|alert| shown(alert, 3 * LINE));
    (notes.collect(), alerts.collect())
}

/// What follows besides, and cannot be undone.
pub(crate) fn followed(decision: &Decision) -> Vec<Followed> {
    let of = |asked: &AskedFollowUp| {
        let (symbol, told) = match &asked.withheld {
            None => (Symbol::Add, "follows, and cannot be undone".to_owned()),
            Some(withheld) => {
                let why = shown(&withheld.why, 3 * LINE);
                let told = format!("is not run: guard \"{}\": {why}", withheld.guard);
                (Symbol::Attention, told)
            }
        };
        Followed {
            symbol,
            name: asked.follow_up.word(),
            told,
        }
    };
    decision.follow_up.iter().map(of).collect()
}

/// The changes as text.
pub(super) fn changes(decision: &Decision, bucket_arn: &str, style: Style) -> String {
    let changed = changed(&decision.plan.changes, bucket_arn);
    let width = widest(changed.iter().map(|one| one.change.setting.title()));
    let mut text = String::new();
    for one in &changed {
        let row = format!(
            "  {} {}  {}  {}",
            style.symbol(one.symbol),
            style.strong(&padded(one.change.setting.title(), width)),
            one.kinds,
            style.faint(&one.measures)
        );
        text += &format!("{}\n", row.trim_end());
        text += &difference::write(&one.lines, 6, style);
    }
    text
}

/// The measures that are withheld, as text.
pub(super) fn withheld(decision: &Decision, style: Style) -> String {
    let of = |held: &Held| {
        let disposition = if held.disruptive { "  disruptive" } else { "" };
        format!(
            "  {} {}  withheld{disposition}\n      {}\n",
            style.symbol(Symbol::Attention),
            style.strong(&held.measures),
            held.because.dressed(style)
        )
    };
    held(decision).iter().map(of).collect()
}

/// What is worth telling of the measures that are taken, as text.
pub(super) fn notes(decision: &Decision, style: Style) -> String {
    marked(&attention(decision).0, style)
}

/// What a person should look at, as text.
pub(super) fn alerts(decision: &Decision, style: Style) -> String {
    marked(&attention(decision).1, style)
}

fn marked(texts: &[String], style: Style) -> String {
    let symbol = style.symbol(Symbol::Attention);
    let lines = texts.iter().map(|text| format!("  {symbol} {text}\n"));
    lines.collect()
}

/// What follows besides, as text.
pub(super) fn follow_ups(decision: &Decision, style: Style) -> String {
    let of = |one: &Followed| {
        let symbol = style.symbol(one.symbol);
        format!("  {symbol} {}  {}\n", style.strong(one.name), one.told)
    };
    followed(decision).iter().map(of).collect()
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
