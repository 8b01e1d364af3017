//! What became of one target, in a few lines: what `apply` and `rollback` say at their end.

use portcullis::engine::Summary;
use portcullis::record::{ChangeStatus, Outcome};
use portcullis::report::{self, LINE, Style, count, shown};

/// The outcome as text, with the record and how to undo it.
pub(crate) fn outcome(summary: &Summary, style: Style) -> String {
    let mut text = format!(
        "{}\n{}",
        sentence(summary, style),
        report::changes(&summary.changes, style)
    );
    // A change that failed has said why already.
    let unsaid = |reason: &&String| {
        summary
            .changes
            .iter()
            .all(|change| change.detail.as_ref() != Some(reason))
    };
    if let Some(reason) = summary.reason.as_ref().filter(unsaid) {
        text += &format!("  {}\n", shown(reason, 3 * LINE));
    }
    for withheld in &summary.withheld {
        text += &format!(
            "  {} {}  withheld\n",
            style.doubtful("!"),
            shown(withheld, LINE)
        );
    }
    text += &report::follow_ups(&summary.followed_up, style);
    for alert in &summary.alerts {
        text += &format!("  {} {}\n", style.doubtful("!"), shown(alert, 3 * LINE));
    }
    if let Some(id) = summary
        .id
        .as_deref()
        .filter(|_| summary.outcome != Outcome::AlreadyContained)
    {
        let id = shown(id, LINE);
        text += &format!(
            "Record: {}\n",
            style.strong(&format!("portcullis show {id}"))
        );
        if !is_rollback(summary)
            && summary
                .changes
                .iter()
                .any(|change| change.status != ChangeStatus::Failed)
        {
            text += &format!(
                "Undo:   {}\n",
                style.strong(&format!("portcullis rollback {id}"))
            );
        }
    }
    text
}

fn sentence(summary: &Summary, style: Style) -> String {
    let target = match &summary.bucket {
        Some(bucket) => shown(bucket, LINE),
        None => format!("account {}", shown(&summary.account, LINE)),
    };
    let made = summary
        .changes
        .iter()
        .filter(|change| change.status == ChangeStatus::Verified)
        .count();
    let asked = summary.changes.len();
    let changes = count(made, "change");
    match summary.outcome {
        Outcome::Contained => style.good(&format!("Contained {target}: {changes}, read back as written.")),
        Outcome::Partial if made == asked && is_rollback(summary) => style.doubtful(&format!(
            "Rolled back {target} in part: {changes}, read back as written; what somebody changed since is left alone."
        )),
        Outcome::Partial => style.bad(&format!("Partly done for {target}: {made} of {} made.", count(asked, "change"))),
        Outcome::AlreadyContained => {
            style.good(&format!("Nothing to do: {target} is already contained as the policy asks."))
        }
        Outcome::Withheld => style.doubtful(&format!("Nothing changed: what there was to do for {target} is withheld.")),
        Outcome::Ignored => format!("Nothing to do for {target}."),
        Outcome::Planned => format!("Planned for {target}, and not carried out."),
        Outcome::Failed => style.bad(&format!("Failed for {target}: no change was made that is known of.")),
        Outcome::RolledBack if asked == 0 => style.good(&format!("Nothing to undo: {target} is as it was before.")),
        Outcome::RolledBack => style.good(&format!("Rolled back {target}: {changes}, read back as written.")),
    }
}

/// The ids of rollbacks begin with their own letter.
fn is_rollback(summary: &Summary) -> bool {
    summary.id.as_ref().is_some_and(|id| id.starts_with("u-"))
}
