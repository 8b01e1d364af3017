//! What a sweep found and did, as text.

use super::{LINE, Style, count, shown};
use crate::drift::Undone;
use crate::sweep::{JobState, Sweep, SweptState};

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
            SweptState::Due
            | SweptState::Drift
            | SweptState::Unfinished
            | SweptState::Overwritten => style.doubtful(swept.state.word()),
        };
        text += &format!(
            "\n  {word}  {}  {}\n",
            style.strong(&shown(&swept.target, LINE)),
            shown(&swept.record, LINE)
        );
        let undone = swept.undone.iter().map(Undone::in_full);
        for line in undone.chain(swept.detail.iter().cloned()) {
            text += &format!("      {}\n", shown(&line, 3 * LINE));
        }
        if let Some(kept) = &swept.kept {
            text += &format!("      all of it is kept in {}\n", shown(kept, 3 * LINE));
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
    if !sweep.leases.is_empty() {
        text += "\nLeases that a run left behind; they have expired and block nobody:\n";
        for lease in &sweep.leases {
            let released = match lease.released {
                true => ", and was given back",
                false => "",
            };
            text += &format!(
                "  {}  held for finding {} since {}, expired {}{released}\n",
                shown(&lease.key, LINE),
                shown(&lease.finding, LINE),
                lease.since,
                lease.expired
            );
        }
    }
    if !sweep.jobs.is_empty() {
        text += "\nMacie jobs that follow-ups asked for:\n";
        for job in &sweep.jobs {
            let word = match job.state {
                JobState::Pending => style.faint(job.state.word()),
                JobState::Complete => style.strong(job.state.word()),
                JobState::Paused | JobState::Cancelled | JobState::Unknown => {
                    style.doubtful(job.state.word())
                }
            };
            text += &format!(
                "  {word}  {}  bucket {}  {}\n      {}\n",
                shown(&job.job, LINE),
                shown(&job.bucket, LINE),
                shown(&job.record, LINE),
                shown(&job.detail, 4 * LINE)
            );
            if let Some(command) = &job.findings {
                text += &format!("      {}\n", shown(command, 4 * LINE));
            }
        }
    }
    if !sweep.exceptions.is_empty() {
        text += "\nExceptions to look at:\n";
        for exception in &sweep.exceptions {
            text += &format!("  {}\n", shown(&exception.what, 3 * LINE));
        }
    }
    text
}
