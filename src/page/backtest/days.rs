//! The findings over time: a chart for the eye, tables for everybody.

use std::collections::BTreeMap;

use jiff::civil::Date;
use maud::{Markup, html};

use super::filter::{Facets, family};
use super::table::{Head, table, unseen, wide};
use super::{bar, counted};
use crate::backtest::{Backtest, Day, Days, FamilyCount};
use crate::verdict::Effect;

/// The chart's units; its width is the page's.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 200.0;
/// A bar is at most as wide.
const WIDEST: f64 = 40.0;

/// Chart, families, and every day in a table.
pub(super) fn days(backtest: &Backtest) -> Markup {
    let Days {
        days,
        earlier,
        undated,
    } = &backtest.days;
    html! {
        p.faint {
            "By the day, in UTC, on which GuardDuty last saw or updated them."
            @if *earlier > 0 { " Not shown here: " (counted(*earlier, "target")) " of days before these." }
            @if *undated > 0 { " Not shown here: " (counted(*undated, "target")) " of findings that say no time." }
        }
        @if let (Some(first), Some(last)) = (days.first(), days.last()) {
            (chart(days, first.day, last.day))
            (families(days))
            details {
                summary { "Every day in a table" }
                (wide("Every day", &by_day(days)))
            }
        }
    }
}

fn chart(days: &[Day], first: Date, last: Date) -> Markup {
    let days_between = |day: Date| f64::from((day - first).get_days());
    let slot = WIDTH / (days_between(last) + 1.0);
    let width = (slot * 0.8).clamp(0.8, WIDEST);
    let most = days.iter().map(total).max().unwrap_or(0);
    let effects: Vec<Effect> = effects(days);
    let told = format!(
        "Targets a day from {first} to {last}, at most {most}; the tables below have the numbers"
    );
    html! {
        figure data-facets="family outcome" {
            svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(told) {
                @for day in days {
                    @let x = days_between(day.day) * slot + (slot - width) / 2.0;
                    g {
                        @for (count, top, high) in stacked(day, &effects, most) {
                            @let facets = Facets {
                                families: vec![family(&count.family)],
                                outcomes: vec![count.effect.word()],
                                ..Facets::default()
                            };
                            @let [families, outcomes, _] = facets.attributes();
                            rect class=(count.effect.word()) data-families=[families] data-outcomes=[outcomes]
                                x=(format!("{x:.2}")) y=(format!("{top:.2}"))
                                width=(format!("{width:.2}")) height=(format!("{high:.2}")) {}
                        }
                    }
                }
            }
            p.axis aria-hidden="true" { span { (first) } span { "at most " (most) " a day" } span { (last) } }
            figcaption {
                ul.legend {
                    @for effect in &effects {
                        li { (key(*effect)) (effect.word()) }
                    }
                }
            }
        }
    }
}

/// The parts of a day's bar from the axis up: what is counted, and where it begins and how high it is.
fn stacked<'a>(
    day: &'a Day,
    effects: &[Effect],
    most: u64,
) -> impl Iterator<Item = (&'a FamilyCount, f64, f64)> {
    let mut parts: Vec<&FamilyCount> = day.families.iter().collect();
    parts.sort_by_key(|count| effects.iter().position(|effect| *effect == count.effect));
    let mut top = HEIGHT;
    parts.into_iter().map(move |count| {
        let high = count.count as f64 / most.max(1) as f64 * HEIGHT;
        top -= high;
        (count, top, high)
    })
}

/// The color of an outcome; its word is to stand beside it.
pub(super) fn key(effect: Effect) -> Markup {
    html! {
        svg.key viewBox="0 0 10 10" aria-hidden="true" {
            rect class=(effect.word()) x="0" y="0" width="10" height="10" {}
        }
    }
}

fn families(days: &[Day]) -> Markup {
    let effects = effects(days);
    let mut families: BTreeMap<String, BTreeMap<Effect, u64>> = BTreeMap::new();
    for count in days.iter().flat_map(|day| &day.families) {
        let effects = families.entry(family(&count.family)).or_default();
        *effects.entry(count.effect).or_default() += count.count;
    }
    let sums: BTreeMap<&String, u64> = families
        .iter()
        .map(|(family, effects)| (family, effects.values().sum()))
        .collect();
    let most = sums.values().copied().max().unwrap_or(0);
    let heads = [Head::Text("Family"), Head::Number("All"), Head::Bar].into_iter();
    let heads: Vec<Head> = heads
        .chain(effects.iter().map(|effect| Head::Number(effect.word())))
        .collect();
    let rows = html! {
        @for (family, counts) in &families {
            @let facets = Facets { families: vec![family.clone()], ..Facets::default() };
            @let [families, ..] = facets.attributes();
            @let sum = sums.get(family).copied().unwrap_or(0);
            tr data-row data-families=[families] {
                th scope="row" { (family) }
                td.number { (sum) }
                td.bars { (bar(sum, most, "any")) }
                @for effect in &effects {
                    td.number { (counts.get(effect).copied().unwrap_or(0)) }
                }
            }
        }
    };
    let caption = html! { caption { "Targets by family and outcome, over all these days" } };
    wide("Families", &table("family", &caption, &heads, &rows))
}

fn by_day(days: &[Day]) -> Markup {
    let heads = [
        Head::Text("Day"),
        Head::Text("Family"),
        Head::Text("Outcome"),
        Head::Number("Targets"),
    ];
    let rows = html! {
        @for day in days {
            @for count in &day.families {
                @let facets = Facets {
                    families: vec![family(&count.family)],
                    outcomes: vec![count.effect.word()],
                    ..Facets::default()
                };
                @let [families, outcomes, _] = facets.attributes();
                tr data-row data-families=[families] data-outcomes=[outcomes] {
                    th scope="row" { (day.day) }
                    td { (family(&count.family)) }
                    td { (key(count.effect)) (count.effect.word()) }
                    td.number { (count.count) }
                }
            }
        }
    };
    let caption = unseen("Targets by day, family and outcome");
    table("family outcome", &caption, &heads, &rows)
}

fn total(day: &Day) -> u64 {
    day.families.iter().map(|count| count.count).sum()
}

/// The effects that occur, in their order.
fn effects(days: &[Day]) -> Vec<Effect> {
    let counts = || days.iter().flat_map(|day| &day.families);
    let all = Effect::WORDS
        .iter()
        .filter_map(|word| Effect::from_word(word));
    all.filter(|effect| counts().any(|count| count.effect == *effect))
        .collect()
}
