//! By what rows can be filtered, and the form that does it. The script of the page reads the attributes.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::backtest::Backtest;
use crate::report::{LINE, shown};

/// What a row is about, each as the form offers it. What is empty is not told of rows of this kind, so that they are not
/// filtered by it.
#[derive(Debug, Default)]
pub(super) struct Facets {
    pub(super) families: Vec<String>,
    pub(super) outcomes: Vec<&'static str>,
    pub(super) rules: Vec<String>,
}

impl Facets {
    /// The attributes' values: JSON lists, or nothing.
    pub(super) fn attributes(&self) -> [Option<String>; 3] {
        let list = |items: &[String]| {
            let list = (!items.is_empty()).then(|| serde_json::to_string(items));
            list.and_then(Result::ok)
        };
        let outcomes: Vec<String> = self.outcomes.iter().map(ToString::to_string).collect();
        [list(&self.families), list(&outcomes), list(&self.rules)]
    }
}

/// The part of a type before its slash, as rows and form have it.
pub(super) fn family(kind: &str) -> String {
    shown(
        kind.split_once('/').map_or(kind, |(family, _)| family),
        LINE,
    )
}

/// Hidden until the script has taken it up.
pub(super) fn form(backtest: &Backtest) -> Markup {
    let days = backtest.days.days.iter();
    let counted = days.flat_map(|day| day.families.iter().map(|count| count.family.as_str()));
    let examples = backtest.examples.iter();
    let families: BTreeSet<String> = counted
        .chain(examples.map(|example| example.instance.kind.as_str()))
        .map(family)
        .collect();
    let outcomes = backtest
        .effects
        .iter()
        .map(|count| count.is.word().to_owned());
    let rules = backtest.rules.iter().map(|rule| shown(&rule.rule, LINE));
    html! {
        form hidden role="search" aria-label="Filter" {
            (choice("family", "Family", families))
            (choice("outcome", "Outcome", outcomes))
            (choice("rule", "Rule", rules))
            label { "Text " input type="search" name="text" autocomplete="off" spellcheck="false"; }
            button type="button" { "Show all" }
            output name="shown" {}
        }
    }
}

fn choice(name: &str, title: &str, options: impl IntoIterator<Item = String>) -> Markup {
    html! {
        label {
            (title) " "
            select name=(name) {
                option value="" { "all" }
                @for option in options { option value=(option) { (option) } }
            }
        }
    }
}
