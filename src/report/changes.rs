//! What became of each change of a plan.

use super::{LINE, Style, padded, shown, widest};
use crate::record::{ChangeResult, ChangeStatus, FollowUpResult, FollowUpStatus};

/// One line for each change, with its error where it has one.
pub fn changes(changes: &[ChangeResult], style: Style) -> String {
    let width = widest(changes.iter().map(|change| change.setting.title()));
    let mut text = String::new();
    for change in changes {
        let title = padded(change.setting.title(), width);
        let status = match change.status {
            ChangeStatus::Verified => style.good("written and read back"),
            ChangeStatus::Unverified => style.doubtful("written, not verified"),
            ChangeStatus::Failed => style.bad("not written"),
        };
        text += &format!("  {title}  {status}\n");
        if let Some(detail) = &change.detail {
            let later = if change.may_succeed_later {
                " (the same command may succeed later)"
            } else {
                ""
            };
            text += &format!("      {}{later}\n", shown(detail, 4 * LINE));
        }
    }
    text
}

/// One line for each follow-up.
pub fn follow_ups(results: &[FollowUpResult], style: Style) -> String {
    let lines = results.iter().map(|result| {
        let status = match result.status {
            FollowUpStatus::Done => style.good(result.status.word()),
            FollowUpStatus::Withheld => style.doubtful(result.status.word()),
            FollowUpStatus::Failed => style.bad(result.status.word()),
        };
        let name = result.follow_up.word();
        format!("  {name}  {status}: {}\n", shown(&result.detail, 4 * LINE))
    });
    lines.collect()
}
