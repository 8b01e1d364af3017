//! The inverse plan: what a rollback would do, and what it leaves alone because somebody changed it since.

use serde::Serialize;

use super::{LINE, Style, Symbol, count, difference, header, rows, shown};
use crate::finding::{Finding, Target};
use crate::record::Record;
use crate::rollback::{Drift, Inverse};

/// A rollback of one record, before it is done.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Undo {
    /// The record that is to be undone.
    pub record: Record,
    /// What would be done, and what would be left.
    pub inverse: Inverse,
}

/// The inverse plan as text.
pub fn undo(undo: &Undo, style: Style) -> String {
    let Record {
        id,
        at,
        finding,
        target,
        ..
    } = &undo.record;
    let mut text = header::line(
        "Undo",
        &format!("{} of {at:.0}", style.strong(&shown(id, LINE))),
        style,
    );
    let rows = [header::finding(finding), header::target(finding, target)];
    text += &rows::write(&rows, style);
    let body = inverse(&undo.inverse, finding, target, style);
    if !body.is_empty() {
        text += &format!("\n{body}");
    }
    text + &format!("\n{}\n", conclusion(&undo.inverse, target))
}

/// The changes, notes and drift of an inverse plan.
pub(super) fn inverse(
    inverse: &Inverse,
    finding: &Finding,
    target: &Target,
    style: Style,
) -> String {
    let arn = header::bucket_arn(finding, target);
    let mut text = String::new();
    for change in &inverse.plan.changes {
        text += &format!(
            "  {} {}\n",
            style.symbol(Symbol::Change),
            style.strong(change.setting.title())
        );
        let lines = difference::difference(change.setting, &change.before, &change.after, &arn);
        text += &difference::write(&lines, 6, style);
    }
    for drift in &inverse.drift {
        text += &three_way(drift, &arn, style);
    }
    for note in &inverse.notes {
        text += &format!("  {}\n", shown(note, 3 * LINE));
    }
    text
}

/// What was, what Portcullis left and what is there now, side by side.
fn three_way(drift: &Drift, bucket_arn: &str, style: Style) -> String {
    let state = |setting| difference::state(drift.setting, setting, bucket_arn);
    format!(
        "  {} {}  left alone\n      was   {}\n      left  {}\n      now   {}\n      {}\n",
        style.symbol(Symbol::Attention),
        style.strong(drift.setting.title()),
        state(&drift.was),
        state(&drift.left),
        state(&drift.now),
        shown(&drift.why, 3 * LINE),
    )
}

fn conclusion(inverse: &Inverse, target: &Target) -> String {
    let the_target = header::the_target(target);
    match (inverse.plan.changes.len(), inverse.drift.len()) {
        (0, 0) => format!(
            "No changes. {} is as it was before. Updates of this finding will leave {the_target} alone from now on.",
            header::target_name(target)
        ),
        (0, left) => format!("No changes. {} left alone.", count(left, "setting")),
        (some, 0) => format!(
            "Rollback: {some} to put back. Updates of this finding will leave {the_target} alone after it."
        ),
        (some, left) => format!(
            "Rollback: {some} to put back, {left} left alone. Updates of this finding will leave {the_target} alone after it."
        ),
    }
}
