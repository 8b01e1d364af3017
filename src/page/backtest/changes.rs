//! What differs from the other policy, group by group.

use maud::{Markup, html};

use super::counted;
use super::days::key;
use super::filter::{Facets, family};
use super::tables::{instance, part};
use crate::backtest::{Cause, ChangeGroup, Changes, Side};
use crate::page::parts::symbol;
use crate::report::{LINE, Symbol, shown};
use crate::verdict::Verdict;

/// The groups; each opens to the lines that make the difference, and to examples.
pub(super) fn changes(changes: &Changes) -> Markup {
    html! {
        p {
            "Both policies decide alike about " (counted(changes.same, "target"))
            ", and differently about " (changes.differ) "."
            @if changes.ungrouped > 0 { " Of these, " (changes.ungrouped) " are in further groups that are not told here." }
        }
        ul.rows data-facets="outcome rule" { @for group in &changes.groups { (one(group)) } }
    }
}

fn one(group: &ChangeGroup) -> Markup {
    let ChangeGroup {
        count, old, new, ..
    } = group;
    let facets = |families| {
        let facets = Facets {
            families,
            outcomes: vec![old.effect.word(), new.effect.word()],
            rules: vec![shown(&old.rule, LINE), shown(&new.rule, LINE)],
        };
        facets.attributes()
    };
    let [_, outcomes, rules] = facets(Vec::new());
    html! {
        li data-row data-outcomes=[outcomes] data-rules=[rules] {
            details {
                summary {
                    span.strong { (counted(*count, "target")) } ": "
                    (key(old.effect)) (old.effect.word()) " by " (shown(&old.rule, LINE)) " -> "
                    (key(new.effect)) (new.effect.word()) " by " (shown(&new.rule, LINE))
                }
                div.wide tabindex="0" role="group" aria-label="Both decisions" {
                    table {
                        caption.unseen { "What each policy decides" }
                        thead { tr { th { span.unseen { "What" } } th scope="col" { "Now" } th scope="col" { "Then" } } }
                        tbody {
                            @for ((name, before), (_, after)) in said(old).into_iter().zip(said(new)) {
                                tr {
                                    th scope="row" { (name) }
                                    td { (before) }
                                    td { @if before != after { span.strong { (after) } } @else { (after) } }
                                }
                            }
                        }
                    }
                }
                @if !group.because.is_empty() {
                    p { "Because of" }
                    ul.lines { @for cause in &group.because { li { (told(cause)) } } }
                }
                p.faint { "For example:" }
                ul.rows {
                    @for example in &group.examples {
                        @let [families, outcomes, rules] = facets(vec![family(&example.kind)]);
                        li data-row data-families=[families] data-outcomes=[outcomes] data-rules=[rules] {
                            (instance(example))
                        }
                    }
                }
            }
        }
    }
}

fn told(cause: &Cause) -> Markup {
    let sign = match cause.side {
        Side::Old => Symbol::Remove,
        Side::New => Symbol::Add,
    };
    html! { (symbol(sign)) " " (part(&cause.part)) " " span.faint { (shown(&cause.place, LINE)) } }
}

fn said(verdict: &Verdict) -> [(&'static str, String); 7] {
    let list = |items: &[String]| match items.is_empty() {
        true => "nothing".to_owned(),
        false => shown(&items.join(", "), 3 * LINE),
    };
    let follow_up: Vec<String> = verdict.follow_up.iter().map(ToString::to_string).collect();
    let rule = format!(
        "{} ({})",
        shown(&verdict.rule, LINE),
        shown(&verdict.place, LINE)
    );
    [
        ("Outcome", verdict.effect.to_string()),
        ("Rule", rule),
        ("Mode", verdict.mode.to_string()),
        ("Carried out", list(&verdict.taken)),
        ("As far as can be told", list(&verdict.open)),
        ("Withheld", list(&verdict.withheld)),
        ("Follow-ups", list(&follow_up)),
    ]
}
