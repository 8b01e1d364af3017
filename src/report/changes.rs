//! What became of each change of a plan.

use super::{LINE, Style, padded, shown, widest};
use crate::record::{ChangeResult, ChangeStatus};

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
