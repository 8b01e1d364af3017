//! One incident, from its record: what one attaches to a ticket.

use maud::{Markup, html};

use super::commands::looks;
use super::documents::documents;
use super::frame::{Section, page};
use super::parts::{command, lines, marked, rows, symbol};
use super::timeline::timeline;
use crate::record::{Outcome, Record, RollbackOf};
use crate::report::{
    Account, Changed, LINE, Symbol, attention, bucket_arn, changed, ended, error, findings,
    followed, followed_up, heading, held, now, planned, ruling, shown, state, subject, target_name,
};

/// The page of a record.
pub fn incident(account: &Account) -> String {
    let record = &account.record;
    let (said, meaning) = findings(account);
    let outcome = account.outcome();
    let title = format!(
        "{}: {}",
        target_name(&record.target),
        outcome.map_or("unfinished", Outcome::word)
    );
    let top = html! {
        p.lead { (account.investigation.summary) }
        (rows(&heading(account)))
        (rows(&subject(&record.finding, &record.target)))
    };
    let decided = match &record.rollback {
        Some(rollback) => undone(record, rollback),
        None => decision(record),
    };
    let sections = [
        Section::new("timeline", "Timeline", timeline(account)),
        Section::new("said", "What GuardDuty says", rows(&said)),
        Section::new("meaning", "What it means", rows(&meaning)),
        Section::new("decision", "What was decided", decided),
        Section::new("done", "What was done", done(account)),
        Section::new("undo", "How to undo it", undo(account)),
        Section::new("look", "How to look", looking(record)),
    ];
    page(&title, &top, &sections, &shown(&record.program, 32))
}

/// Rule, changes, and what was withheld and why.
fn decision(record: &Record) -> Markup {
    let decision = &record.decision;
    let arn = bucket_arn(&record.finding, &record.target);
    let changes = changed(&decision.plan.changes, &arn);
    let (notes, alerts) = attention(decision);
    let withheld = held(decision);
    let follow_ups = followed(decision);
    html! {
        (rows(&ruling(record)))
        @if !changes.is_empty() {
            h3 { (planned(decision)) }
            @for change in &changes { (one(change)) }
        }
        (marked(&notes))
        @if !withheld.is_empty() {
            h3 { "Withheld" }
            ul.plain {
                @for held in &withheld {
                    li {
                        (symbol(Symbol::Attention)) " " span.strong { (held.measures) } "  withheld"
                        @if held.disruptive { "  disruptive" }
                        p { (held.because) }
                    }
                }
            }
        }
        @if !follow_ups.is_empty() {
            h3 { "Besides" }
            ul.plain {
                @for one in &follow_ups {
                    li { (symbol(one.symbol)) " " span.strong { (one.name) } "  " (one.told) }
                }
            }
        }
        (marked(&alerts))
        @if changes.is_empty() && withheld.is_empty() && decision.taken.is_empty() {
            p { "The rule asks for no measure." }
        }
    }
}

fn one(one: &Changed) -> Markup {
    html! {
        div.change {
            h4 { (symbol(one.symbol)) " " (one.change.setting.title()) }
            p { (one.kinds) "  " span.faint { (one.measures) } }
            (lines(&one.lines))
            (documents(one.change))
        }
    }
}

/// What a rollback put back, and what it left.
fn undone(record: &Record, rollback: &RollbackOf) -> Markup {
    let arn = bucket_arn(&record.finding, &record.target);
    let inverse = &rollback.inverse;
    html! {
        p { "This is the rollback of record " code { (shown(&rollback.record, LINE)) } "." }
        @for change in &changed(&inverse.plan.changes, &arn) {
            div.change {
                h3 { (symbol(Symbol::Change)) " " (change.change.setting.title()) }
                (lines(&change.lines))
                (documents(change.change))
            }
        }
        @for drift in &inverse.drift {
            div.change {
                h3 { (symbol(Symbol::Attention)) " " (drift.setting.title()) "  left alone" }
                dl {
                    @for (name, setting) in [("was", &drift.was), ("left", &drift.left), ("now", &drift.now)] {
                        div { dt { (name) } dd { (state(drift.setting, setting, &arn)) } }
                    }
                }
                p { (shown(&drift.why, 3 * LINE)) }
            }
        }
        @for note in &inverse.notes { p { (shown(note, 3 * LINE)) } }
    }
}

fn done(account: &Account) -> Markup {
    let follow_ups = match &account.result {
        Some(result) => &result.followed_up,
        None => &account.record.followed_up,
    };
    html! {
        @match &account.result {
            None => p { (account.without_result()) },
            Some(result) => {
                p { "Done at " time datetime=(result.at) { (format!("{:.0}", result.at)) } }
                @if !result.changes.is_empty() {
                    div.wide tabindex="0" role="group" aria-label="Changes" {
                        table {
                            caption.unseen { "What became of each change" }
                            thead { tr { th scope="col" { "Setting" } th scope="col" { "Result" } } }
                            tbody {
                                @for change in &result.changes {
                                    tr {
                                        th scope="row" { (change.setting.title()) }
                                        td { (ended(change)) @if let Some(error) = error(change) { p { (error) } } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if !follow_ups.is_empty() {
            ul.plain {
                @for result in follow_ups {
                    li { span.strong { (result.follow_up.word()) } "  " (followed_up(result)) }
                }
            }
        }
        (rows(&now(account)))
    }
}

fn undo(account: &Account) -> Markup {
    html! {
        @match account.undo() {
            Some(undo) => {
                ol.commands {
                    (command("Shows first what it would put back, and asks. What others have changed since stays as it is.", &undo))
                }
            }
            None if account.record.rollback.is_some() => p { "This is a rollback. To contain the bucket again, apply the finding again." },
            None => p { "There is nothing to undo." },
        }
    }
}

fn looking(record: &Record) -> Markup {
    html! {
        p { "None of these commands changes anything." }
        ol.commands { @for (what, look) in looks(record) { (command(&what, &look)) } }
    }
}
