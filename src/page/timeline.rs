//! What happened when, as far as a finding, its record and the store tell.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::record::{Outcome, Record, Since, Stands};
use crate::report::{Account, LINE, ended, error, followed_up, shown};

struct Event {
    at: Timestamp,
    what: Markup,
}

/// A table, oldest first. What is still to come is in it, too.
pub(super) fn timeline(account: &Account) -> Markup {
    let mut events: Vec<Event> = seen(&account.record)
        .into_iter()
        .chain(done(account))
        .chain(account.since.iter().flat_map(since))
        .collect();
    events.sort_by_key(|event| event.at);
    html! {
        div.wide tabindex="0" role="group" aria-label="Timeline" {
            table {
                caption.unseen { "What happened when" }
                thead { tr { th scope="col" { "Time" } th scope="col" { "What" } } }
                tbody {
                    @for Event { at, what } in &events {
                        tr { th scope="row" { (time(*at)) } td { (what) } }
                    }
                }
            }
        }
    }
}

/// A time, to the second, for people and machines.
fn time(at: Timestamp) -> Markup {
    let text = at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    html! { time datetime=(at) { (text) } }
}

fn seen(record: &Record) -> Vec<Event> {
    let finding = &record.finding;
    let last = finding
        .last_seen
        .filter(|at| finding.first_seen != Some(*at));
    let last_told = match finding.count {
        1 => "GuardDuty saw the activity last".to_owned(),
        count => format!("GuardDuty saw the activity last, the {count}th time"),
    };
    [
        (
            finding.first_seen,
            "GuardDuty saw the activity first".to_owned(),
        ),
        (last, last_told),
        (finding.created_at, "GuardDuty made the finding".to_owned()),
        (
            finding.updated_at,
            "GuardDuty updated the finding".to_owned(),
        ),
    ]
    .into_iter()
    .filter_map(|(at, what)| {
        Some(Event {
            at: at?,
            what: html! { (what) },
        })
    })
    .collect()
}

fn done(account: &Account) -> Vec<Event> {
    let record = &account.record;
    let decided = match record.outcome {
        None => {
            "Portcullis had decided, and stored the evidence before it changed anything".to_owned()
        }
        Some(outcome) => format!("Portcullis had decided, and stored the record: {outcome}"),
    };
    let mut events = vec![Event {
        at: record.at,
        what: html! { (decided) },
    }];
    events.extend(account.result.as_ref().map(|result| Event {
        at: result.at,
        what: html! {
            "The last change was read back: " (result.outcome)
            @if !result.changes.is_empty() || !result.followed_up.is_empty() {
                ul {
                    @for change in &result.changes {
                        li {
                            (change.setting.title()) ": " (ended(change))
                            @if let Some(error) = error(change) { "; " (error) }
                        }
                    }
                    @for result in &result.followed_up {
                        li { (result.follow_up.word()) ": " (followed_up(result)) }
                    }
                }
            }
        },
    }));
    events
}

fn since(since: &Since) -> Vec<Event> {
    let mut events = Vec::new();
    for rollback in &since.rollbacks {
        let outcome = rollback.outcome.map_or("has not ended", Outcome::word);
        events.push(Event {
            at: rollback.at,
            what: html! {
                "Rolled back by " (shown(&rollback.by, LINE)) ": " (outcome)
                " (record " code { (shown(&rollback.record, LINE)) } ")"
            },
        });
    }
    events.extend(since.release.as_ref().map(|release| Event {
        at: release.at,
        what: html! { "Released by " (shown(&release.by, LINE)) ": updates of the finding change nothing" },
    }));
    match &since.stands {
        Stands::Never | Stands::MayStand { expires: None, .. } => {}
        Stands::MayStand {
            expires: Some(at), ..
        } => events.push(Event {
            at: *at,
            what: html! { "The containment is to end by itself" },
        }),
        Stands::Ended { at, why } => events.push(Event {
            at: *at,
            what: html! { "The containment ended: " (shown(why, 2 * LINE)) },
        }),
    }
    events
}
