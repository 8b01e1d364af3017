//! What a sweep found and did, as text.

use super::{LINE, Style, count, shown};
use crate::sweep::{Sweep, SweptState};

/// The sweep as text; what needs a person is marked.
pub fn sweep(sweep: &Sweep, style: Style) -> String {
    let mut text = match sweep.standing {
        0 => "No containment stands.\n".to_owned(),
        1 => "One containment stands, or may.\n".to_owned(),
        number => format!("{number} containments stand, or may.\n"),
    };
    for swept in &sweep.found {
        let word = match swept.state {
            SweptState::Expired | SweptState::Held | SweptState::Gone => {
                style.strong(swept.state.word())
            }
            SweptState::Failed => style.bad(swept.state.word()),
            SweptState::Due | SweptState::Drift | SweptState::Unfinished => {
                style.doubtful(swept.state.word())
            }
        };
        text += &format!(
            "\n  {word}  {}  {}\n",
            style.strong(&shown(&swept.target, LINE)),
            shown(&swept.record, LINE)
        );
        for detail in &swept.detail {
            text += &format!("      {}\n", shown(detail, 3 * LINE));
        }
        if let Some(outcome) = swept.outcome {
            text += &format!("      outcome {outcome}\n");
        }
    }
    if sweep.left > 0 {
        text += &format!(
            "\n{} could not be looked at in time; sweep again.\n",
            count(sweep.left, "containment")
        );
    }
    if !sweep.exceptions.is_empty() {
        text += "\nExceptions to look at:\n";
        for exception in &sweep.exceptions {
            text += &format!("  {}\n", shown(exception, 3 * LINE));
        }
    }
    text
}
