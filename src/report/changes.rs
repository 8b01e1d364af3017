//! What became of each change of a plan.

use super::rows::{Text, Tone};
use super::{LINE, Style, padded, shown, widest};
use crate::record::{ChangeResult, ChangeStatus, FollowUpResult, FollowUpStatus};

/// How a change ended.
pub(crate) fn ended(change: &ChangeResult) -> Text {
    match change.status {
        ChangeStatus::Verified => Text::new(Tone::Good, "written and read back"),
        ChangeStatus::Unverified => Text::new(Tone::Doubtful, "perhaps written, not verified"),
        ChangeStatus::Failed => Text::new(Tone::Bad, "not written"),
    }
}

/// The error of a change, and whether to try again; none where it has none.
pub(crate) fn error(change: &ChangeResult) -> Option<String> {
    let detail = shown(change.detail.as_ref()?, 4 * LINE);
    Some(match change.may_succeed_later {
        true => format!("{detail} (the same command may succeed later)"),
        false => detail,
    })
}

/// How a follow-up ended.
pub(crate) fn followed_up(result: &FollowUpResult) -> Text {
    let tone = match result.status {
        FollowUpStatus::Done => Tone::Good,
        FollowUpStatus::Withheld => Tone::Doubtful,
        FollowUpStatus::Failed => Tone::Bad,
    };
    let detail = shown(&result.detail, 4 * LINE);
    Text::new(tone, result.status.word()).plain(format!(": {detail}"))
}

/// One line for each change, with its error where it has one.
pub fn changes(changes: &[ChangeResult], style: Style) -> String {
    let width = widest(changes.iter().map(|change| change.setting.title()));
    let mut text = String::new();
    for change in changes {
        let title = padded(change.setting.title(), width);
        text += &format!("  {title}  {}\n", ended(change).dressed(style));
        if let Some(error) = error(change) {
            text += &format!("      {error}\n");
        }
    }
    text
}

/// One line for each follow-up.
pub fn follow_ups(results: &[FollowUpResult], style: Style) -> String {
    let lines = results.iter().map(|result| {
        let name = result.follow_up.word();
        format!("  {name}  {}\n", followed_up(result).dressed(style))
    });
    lines.collect()
}
