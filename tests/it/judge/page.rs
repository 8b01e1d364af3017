//! The page of the documentation: what everybody may do before, and loses under each measure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use portcullis::settings::Settings;

use super::callers::{ACTS, COMMON, Caller, Kind, MALWARE_READ, SETTINGS, callers};
use super::variants::{TABLES, VARIANTS, Variant, observed};
use crate::evaluator::{Batch, Judged, Verdict, judge};

/// What everybody may do before, and under each of [`VARIANTS`].
pub(super) struct Table {
    pub(super) callers: Vec<Caller>,
    pub(super) before: Vec<BTreeSet<usize>>,
    pub(super) after: Vec<Vec<BTreeSet<usize>>>,
}

impl Table {
    pub(super) fn judge() -> Self {
        let callers = callers();
        let observed = observed();
        let contained = VARIANTS.iter().map(|variant| variant.contained(&observed));
        let settings: Vec<Settings> = std::iter::once(observed.clone()).chain(contained).collect();
        let mut abilities = abilities(&callers, &settings).into_iter();
        Self {
            callers,
            before: abilities.next().unwrap(),
            after: abilities.collect(),
        }
    }

    /// Every variant with every caller: what it could do, and what it can do still.
    pub(super) fn each(
        &self,
        mut check: impl FnMut(&Variant, &Caller, &BTreeSet<usize>, &BTreeSet<usize>),
    ) {
        for (variant, after) in VARIANTS.iter().zip(&self.after) {
            for ((caller, had), has) in self.callers.iter().zip(&self.before).zip(after) {
                check(variant, caller, had, has);
            }
        }
    }

    pub(super) fn page(&self) -> String {
        let mut before = "| caller | may |\n|---|---|\n".to_owned();
        for (caller, had) in self.callers.iter().zip(&self.before) {
            let may = words(caller, had, &BTreeSet::new());
            writeln!(before, "| {} | {may} |", caller.name).unwrap();
        }
        let tables: Vec<String> = (0..TABLES.len()).map(|table| self.table(table)).collect();
        include_str!("../../judge/who-loses-what.md")
            .replace("@before@\n", &before)
            .replace("@tables@\n", &tables.join("\n"))
    }

    fn table(&self, table: usize) -> String {
        let columns: Vec<usize> = (0..VARIANTS.len())
            .filter(|column| VARIANTS[*column].table == table)
            .collect();
        let headings = columns.iter().map(|column| VARIANTS[*column].heading);
        let headings: Vec<&str> = headings.collect();
        let mut text = format!(
            "## {}\n\n| loses | {} |\n|---|{}\n",
            TABLES[table],
            headings.join(" | "),
            "---|".repeat(columns.len())
        );
        let mut untouched = Vec::new();
        for (row, caller) in self.callers.iter().enumerate() {
            let had = &self.before[row];
            let cells: Vec<String> = columns
                .iter()
                .map(|column| words(caller, had, &self.after[*column][row]))
                .collect();
            match cells.iter().all(String::is_empty) {
                true => untouched.push(caller.name),
                false => {
                    writeln!(text, "| {} | {} |", caller.name, cells.join(" | ")).unwrap();
                }
            }
        }
        writeln!(
            text,
            "\nLose nothing by any of these: {}.",
            untouched.join("; ")
        )
        .unwrap();
        text
    }
}

/// What is in `had` and not in `has`, as a reader would say it.
fn words(caller: &Caller, had: &BTreeSet<usize>, has: &BTreeSet<usize>) -> String {
    let lost: BTreeSet<usize> = had.difference(has).copied().collect();
    match caller.kind {
        Kind::Root if lost == *had => return "everything but the policy ¹".to_owned(),
        _ if lost.len() == COMMON => return "everything".to_owned(),
        _ => {}
    }
    let mut words: Vec<&str> = Vec::new();
    for act in &lost {
        let group = ACTS[*act].group;
        let whole = had
            .iter()
            .filter(|other| ACTS[**other].group == group)
            .all(|other| lost.contains(other));
        // Of the settings, root was asked for Block Public Access only.
        let whole = whole && (caller.kind != Kind::Root || group != SETTINGS);
        let word = if whole { group } else { ACTS[*act].alone };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    // Reads are those of all objects.
    if words.contains(&"reads") {
        words.retain(|word| *word != MALWARE_READ);
    }
    words.join(", ")
}

/// What every caller may do, act by act, under each of `settings`.
fn abilities(callers: &[Caller], settings: &[Settings]) -> Vec<Vec<BTreeSet<usize>>> {
    let batch = Batch {
        requests: callers.iter().flat_map(Caller::requests).collect(),
        documents: settings.iter().map(Judged::new).collect(),
    };
    let verdicts = judge(&[batch]).remove(0);
    verdicts
        .into_iter()
        .map(|verdicts| {
            let mut verdicts = verdicts.into_iter();
            let able = callers.iter().map(|caller| {
                let tries = caller.tries.iter().copied();
                tries
                    .filter(|_| verdicts.next().unwrap() == Verdict::Allowed)
                    .collect()
            });
            able.collect()
        })
        .collect()
}
