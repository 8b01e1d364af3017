//! The notice as plain text, for e-mail.

use super::Notice;
use super::account::Account;
use super::inert::{cut, inert};

/// Targets that are told in full; of the others there is a line each.
const IN_FULL: usize = 10;
/// Bytes. SNS takes 256 KiB for all forms together, in JSON, where a byte of this can become two.
const LONGEST: usize = 100_000;

pub(super) fn text(notice: &Notice) -> String {
    let mut text = format!(
        "{}\n\n{}\n\nFinding: {}\n",
        notice.title, notice.happened, notice.finding
    );
    let (full, brief) = notice.targets.split_at(notice.targets.len().min(IN_FULL));
    for target in full {
        text += &format!("\n{}: {}\n", place(target), target.outcome);
        for (name, line) in &target.lines {
            text += &format!("  {name}: {line}\n");
        }
        for step in &target.steps {
            text += &format!("  {}: {}\n", step.what, step.command);
        }
    }
    if !brief.is_empty() {
        text += &format!("\nAnd {} more:\n", brief.len());
    }
    for target in brief {
        // The last step is the one that is open: undo, or apply.
        let next = target
            .steps
            .last()
            .map(|step| format!(": {}", step.command));
        text += &format!(
            "  {}: {}{}\n",
            place(target),
            target.outcome,
            next.unwrap_or_default()
        );
    }
    cut(
        &text,
        LONGEST,
        "the records have the rest: portcullis records",
    )
}

fn place(target: &Account) -> String {
    match target.is_bucket {
        true => format!(
            "Bucket {} (account {})",
            inert(&target.name),
            inert(&target.account)
        ),
        false => format!("Account {}", inert(&target.name)),
    }
}
