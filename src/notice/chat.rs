//! The notice as a custom notification of Amazon Q Developer in chat applications.
//!
//! Amazon Q Developer drops, without a word, whatever is not of exactly this shape. Its documentation gives no lengths; those
//! here are below what Slack and Teams show of a message.

use serde_json::{Value, json};

use super::Notice;
use super::account::Account;
use super::inert::{code, cut};
use crate::report::shown;

/// Targets that are told in full; the others are counted.
const IN_FULL: usize = 3;
/// Commands, ARNs and keywords that are listed.
const LISTED: usize = 10;
/// Characters of the title.
const TITLE: usize = 200;
/// Bytes of the description.
const DESCRIPTION: usize = 2800;

pub(super) fn chat(notice: &Notice) -> Value {
    let rest = match notice
        .targets
        .first()
        .and_then(|target| target.record.as_ref())
    {
        Some(record) => format!("the rest: `portcullis show {record}`"),
        None => "the function's log has the rest".to_owned(),
    };
    let arns = notice
        .targets
        .iter()
        .filter_map(|target| target.arn.as_deref());
    let first = notice.targets.first();
    let mut context = vec![("ActionGroup", "portcullis".to_owned())];
    context.extend(
        notice
            .outcomes
            .first()
            .map(|outcome| ("outcome", outcome.to_string())),
    );
    context.extend(notice.modes.first().map(|mode| ("mode", mode.to_string())));
    if let Some(target) = first {
        context.push(("account", target.account.clone()));
        context.extend(target.is_bucket.then(|| ("bucket", target.name.clone())));
        context.extend(target.record.clone().map(|record| ("record", record)));
        context.extend(target.rule.clone().map(|rule| ("rule", rule)));
    }
    let context: serde_json::Map<String, Value> = context
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    json!({
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": shown(&notice.title, TITLE),
            "description": cut(&description(notice), DESCRIPTION, &rest),
            "nextSteps": steps(notice),
            "keywords": notice.outcomes.iter().take(LISTED).collect::<Vec<_>>(),
        },
        "metadata": {
            "threadId": notice.thread,
            "summary": shown(&notice.title, TITLE),
            "eventType": notice.event,
            "relatedResources": arns.take(LISTED).collect::<Vec<_>>(),
            "additionalContext": context,
        }
    })
}

fn description(notice: &Notice) -> String {
    let mut text = format!("{}\n*Finding*: {}\n", notice.happened, notice.finding);
    let (full, brief) = notice.targets.split_at(notice.targets.len().min(IN_FULL));
    for target in full {
        text += &format!("\n{}: *{}*\n", place(target), target.outcome);
        for (name, line) in &target.lines {
            text += &format!("*{name}*: {line}\n");
        }
    }
    if !brief.is_empty() {
        let outcomes = notice.outcomes.iter().map(|outcome| {
            (
                outcome,
                brief
                    .iter()
                    .filter(|target| target.outcome == *outcome)
                    .count(),
            )
        });
        let counted: Vec<String> = outcomes
            .filter(|(_, number)| *number > 0)
            .map(|(outcome, number)| format!("{number} {outcome}"))
            .collect();
        text += &format!("\nAnd {} more: {}\n", brief.len(), counted.join(", "));
    }
    text.trim_end().to_owned()
}

/// What is open first: plans that wait for a person, then what can be undone, then what can be looked at; for a single target
/// all of it.
fn steps(notice: &Notice) -> Vec<String> {
    let mut steps: Vec<(u8, String)> = Vec::new();
    for target in &notice.targets {
        for step in &target.steps {
            let rank = match step.what {
                "Look" => 2,
                "Undo" => 1,
                _ => 0,
            };
            let of = match notice.targets.len() {
                1 => String::new(),
                _ => format!(" ({})", code(&target.name)),
            };
            steps.push((rank, format!("{}: {}{of}", step.what, code(&step.command))));
        }
    }
    if notice.targets.len() == 1 {
        return steps.into_iter().map(|(_, step)| step).collect();
    }
    steps.sort_by_key(|(rank, _)| *rank);
    let more = steps.len().saturating_sub(LISTED);
    let mut steps: Vec<String> = steps
        .into_iter()
        .map(|(_, step)| step)
        .take(LISTED)
        .collect();
    if more > 0 {
        steps.push(format!("and {more} more: {}", code("portcullis records")));
    }
    steps
}

fn place(target: &Account) -> String {
    match target.is_bucket {
        true => format!(
            "Bucket {} (account {})",
            code(&target.name),
            code(&target.account)
        ),
        false => format!("Account {}", code(&target.name)),
    }
}
