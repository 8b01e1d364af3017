//! What rules, exceptions, guards and measures did, and to which buckets.

use maud::{Markup, html};

use super::days::key;
use super::filter::{Facets, family};
use super::table::{Head, table, unseen, wide};
use super::{bar, counted};
use crate::backtest::{
    Backtest, Broken, Count, Example, ExceptionHits, Instance, PolicyPart, RuleHits, WithheldHits,
};
use crate::measures::Measure;
use crate::report::{LINE, shown};
use crate::verdict::Effect;

/// Targets by outcome, and what each outcome means.
pub(super) fn effects(backtest: &Backtest) -> Markup {
    let most = backtest.effects.iter().map(|count| count.count).max();
    let heads = [
        Head::Text("Outcome"),
        Head::Number("Targets"),
        Head::Bar,
        Head::Text("Meaning"),
    ];
    let rows = html! {
        @for Count { is, count } in &backtest.effects {
            @let facets = Facets { outcomes: vec![is.word()], ..Facets::default() };
            @let [_, outcomes, _] = facets.attributes();
            tr data-row data-outcomes=[outcomes] {
                th scope="row" { (key(*is)) (is.word()) }
                td.number { (count) }
                td.bars { (bar(*count, most.unwrap_or(0), is.word())) }
                td { (meaning(*is)) }
            }
        }
    };
    let caption = unseen("Targets by outcome");
    wide("Outcomes", &table("outcome", &caption, &heads, &rows))
}

fn meaning(effect: Effect) -> &'static str {
    match effect {
        Effect::Contained => {
            "measures are carried out, none is withheld; without the target's settings as far as can be told"
        }
        Effect::Partly => "some measures are carried out, others are withheld",
        Effect::AlreadyContained => "the target is as the measures want it",
        Effect::Observed => "nothing is carried out, some of it only because of observe mode",
        Effect::Withheld => "every measure is withheld, for other reasons",
        Effect::Nothing => "the rule asks for no measure",
    }
}

/// Every rule; it opens to examples, and each of these to its explanation.
pub(super) fn rules(backtest: &Backtest) -> Markup {
    let most = backtest.rules.iter().map(|rule| rule.count).max();
    html! {
        ul.rows data-facets="outcome rule" {
            @for rule in &backtest.rules { (one(rule, &backtest.examples, most.unwrap_or(0))) }
        }
    }
}

fn one(rule: &RuleHits, examples: &[Example], most: u64) -> Markup {
    let name = shown(&rule.rule, LINE);
    let facets = Facets {
        rules: vec![name.clone()],
        outcomes: rule.effects.iter().map(|count| count.is.word()).collect(),
        ..Facets::default()
    };
    // A rule that decided nothing has no outcome, and belongs to none.
    let [_, outcomes, rules] = facets.attributes();
    let outcomes = outcomes.or_else(|| Some("[]".to_owned()));
    let head = html! {
        span.name { (name) } span.faint { (shown(&rule.place, LINE)) }
        span.number { (rule.count) } (bar(rule.count, most, "any"))
    };
    html! {
        li data-row data-outcomes=[outcomes] data-rules=[rules] {
            @if rule.count == 0 {
                p.row { (head) }
            } @else {
                details {
                    summary.row { (head) }
                    ul.legend {
                        @for Count { is, count } in &rule.effects { li { (key(*is)) (is.word()) " " (count) } }
                    }
                    @let of = |example: &&Example| example.rule == rule.rule;
                    @if examples.iter().any(|example| of(&example)) {
                        p.faint { "For example:" }
                        ul.rows { @for example in examples.iter().filter(of) { (explained(example)) } }
                    }
                }
            }
        }
    }
}

fn explained(example: &Example) -> Markup {
    let facets = Facets {
        families: vec![family(&example.instance.kind)],
        outcomes: vec![example.effect.word()],
        rules: vec![shown(&example.rule, LINE)],
    };
    let [families, outcomes, rules] = facets.attributes();
    html! {
        li data-row data-families=[families] data-outcomes=[outcomes] data-rules=[rules] {
            details {
                summary { (key(example.effect)) (example.effect.word()) ": " (instance(&example.instance)) }
                pre tabindex="0" role="group" aria-label="Explanation" {
                    @for line in &example.explanation { (line) "\n" }
                }
            }
        }
    }
}

/// A finding and its target in one line, and where the source has it.
pub(super) fn instance(instance: &Instance) -> Markup {
    html! {
        span.strong { (shown(&instance.target, LINE)) } ", " (shown(&instance.kind, LINE))
        @if let Some(at) = instance.at { ", " time datetime=(at) { (format!("{at:.0}")) } }
        " " span.faint { "finding " (shown(&instance.finding, 64)) ", " (shown(&instance.place, LINE)) }
    }
}

/// Every exception, and whether it still holds.
pub(super) fn exceptions(backtest: &Backtest) -> Markup {
    if backtest.exceptions.is_empty() {
        return html! { p { "The policy has none." } };
    }
    let heads = [
        Head::Text("Exception"),
        Head::Text("Line"),
        Head::Number("Targets spared"),
        Head::Number("Unproven"),
        Head::Text("Holds until"),
    ];
    let rows = html! {
        @for ExceptionHits { exception, place, expires, expired, count, unproven } in &backtest.exceptions {
            tr data-row {
                th scope="row" { (shown(exception, LINE)) }
                td.faint { (shown(place, LINE)) }
                td.number { (count) }
                td.number { (unproven) }
                td { (expires) @if *expired { " " span.doubtful { "expired" } } }
            }
        }
    };
    let caption = unseen("What exceptions spared");
    wide("Exceptions", &table("", &caption, &heads, &rows))
}

/// Every reason for withholding; it opens to the first measure that it stopped.
pub(super) fn withheld(backtest: &Backtest) -> Markup {
    let most = backtest.withheld.iter().map(|hits| hits.count).max();
    html! {
        @if backtest.withheld.is_empty() { p { "Nothing was withheld." } }
        ul.rows data-facets="" {
            @for WithheldHits { guard, place, count, example, measure, finding } in &backtest.withheld {
                li data-row {
                    details {
                        summary.row {
                            span.name { "guard \"" (guard) "\"" } span.faint { (shown(place, LINE)) }
                            span.number { (count) } (bar(*count, most.unwrap_or(0), "withheld"))
                        }
                        p { "For example " span.strong { (shown(measure, 64)) } ": " (shown(example, 3 * LINE)) }
                        p.faint { "finding " (shown(finding, 64)) }
                    }
                }
            }
        }
    }
}

/// Every measure that was asked for.
pub(super) fn measures(backtest: &Backtest) -> Markup {
    if backtest.measures.is_empty() {
        return html! { p { "No measure was asked for." } };
    }
    let catalogue = Measure::catalogue();
    let info = |name: &str| {
        catalogue
            .iter()
            .map(Measure::info)
            .find(|info| info.name == name)
    };
    let heads = [
        Head::Text("Measure"),
        Head::Text("Disposition"),
        Head::Number("Carried out"),
        Head::Number("As far as can be told"),
        Head::Number("Withheld"),
    ];
    let rows = html! {
        @for hits in &backtest.measures {
            tr data-row {
                th scope="row" { (shown(&hits.measure, LINE)) }
                td { @if let Some(info) = info(&hits.measure) { (info.disposition) } }
                td.number { (hits.taken) }
                td.number { (hits.open) }
                td.number { (hits.withheld) }
            }
        }
    };
    let caption = unseen("What became of each measure");
    wide("Measures", &table("", &caption, &heads, &rows))
}

/// The targets that would be contained most often.
pub(super) fn contained(backtest: &Backtest) -> Markup {
    let frequent = &backtest.contained;
    let most = frequent.top.iter().map(|target| target.count).max();
    let distinct = match frequent.distinct {
        Some(distinct) => counted(distinct, "target"),
        None => "more targets than were counted".to_owned(),
    };
    let heads = [
        Head::Text("Bucket or account"),
        Head::Text("Account"),
        Head::Number("Times"),
        Head::Bar,
    ];
    let rows = html! {
        @for target in &frequent.top {
            tr data-row {
                th scope="row" { (shown(&target.target, LINE)) }
                td { (shown(&target.account, 32)) }
                td.number { (target.count) @if target.over > 0 { " ±" (target.over) } }
                td.bars { (bar(target.count, most.unwrap_or(0), "contained")) }
            }
        }
    };
    let caption = unseen("Targets that would be contained most often");
    html! {
        p {
            "Observe mode aside, " (distinct) " would be contained."
            @if !frequent.exact {
                " A count can be too high by the number behind ±; a target that is not here can have occurred as often as the last one."
            }
        }
        @if !frequent.top.is_empty() { (wide("Targets", &table("", &caption, &heads, &rows))) }
    }
}

/// Facts that rules and exceptions asked for in vain, and what could not be read.
pub(super) fn gaps(backtest: &Backtest) -> Markup {
    let missed = &backtest.facts.missed;
    html! {
        @if !missed.is_empty() {
            p { "Lines of the policy that ask for a fact which was not known: a rule is passed over then, and an exception holds." }
            ul {
                @for missed in missed {
                    li {
                        (part(&missed.part)) " asks for " span.strong { (shown(&missed.fact, 64)) } ": "
                        (counted(missed.count, "target")) " " span.faint { (shown(&missed.place, LINE)) }
                    }
                }
            }
        }
        (named("Facts that are there and could not be read:", &backtest.facts.first_unread))
        (named("Not read:", &backtest.read.first_broken))
    }
}

fn named(title: &str, broken: &[Broken]) -> Markup {
    html! {
        @if !broken.is_empty() {
            p { (title) }
            ul {
                @for broken in broken { li { span.strong { (shown(&broken.place, LINE)) } ": " (shown(&broken.why, 2 * LINE)) } }
            }
        }
    }
}

/// A part of a policy file in words.
pub(super) fn part(part: &PolicyPart) -> String {
    match part {
        PolicyPart::Rule(id) => format!("rule {}", shown(id, LINE)),
        PolicyPart::Exception(id) => format!("exception {}", shown(id, LINE)),
        PolicyPart::Measure(name) => format!("measure {}", shown(name, LINE)),
        PolicyPart::Mode => "mode".to_owned(),
    }
}
