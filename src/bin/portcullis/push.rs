//! `push`: a policy file into force, once a person has seen what it changes.

use std::io::IsTerminal;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use portcullis::classification::Own;
use portcullis::engine::Engine;
use portcullis::policy::{self, BUILT_IN, Policy, Written, compare};
use portcullis::replay::replay;
use portcullis::report::{self, Proposal, Records, Serving, count, shown};
use portcullis::store::{self, Object, POLICY_KEY, PushError, Pushed, Store};
use portcullis::yaml::{self, Severity};
use serde::Serialize;

use crate::args::Push;
use crate::ask::agreed;
use crate::exit::{Exit, Failure};
use crate::input;
use crate::out::Out;
use crate::records::{self, AT_ONCE};
use crate::session;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    version: u32,
    proposal: &'a Proposal,
    /// None where nothing was pushed.
    pushed: Option<&'a Pushed>,
}

pub(crate) async fn run(args: &Push, out: &mut Out) -> Result<Exit, Failure> {
    let (text, policy) = valid(args, out)?;
    let operator = session::open_store_as(&args.store).await?;
    let (store, now) = (&operator.store, Timestamp::now());
    let there = store.get(POLICY_KEY).await.map_err(Failure::failed)?;
    let proposal = propose(
        args,
        &Written {
            policy: &policy,
            text: &text,
        },
        there.as_ref(),
        store,
        &operator.own,
        now,
    )
    .await?;
    if proposal.in_force {
        tell(&proposal, None, out)?;
        return Ok(Exit::Done);
    }
    if out.is_json() {
        // Whoever is asked must have seen what the question is about.
        out.say(&report::proposal(&proposal, out.error_style()));
    } else {
        out.print(&report::proposal(&proposal, out.style()))?;
    }
    if !args.yes {
        let can_ask = !input::is_stdin(&args.policy) && std::io::stdin().is_terminal();
        match agreed("Put it in force?", can_ask, out) {
            Ok(true) => {}
            refused => {
                if out.is_json() {
                    tell(&proposal, None, out)?;
                }
                refused?;
                return Err(Failure::failed(
                    "nothing was pushed: the change was not confirmed",
                ));
            }
        }
    }
    let push = store::Push {
        text: &text,
        replaces: there.as_ref(),
        by: &operator.name,
        at: Timestamp::now(),
    };
    let pushed = store.push_policy(&push).await.map_err(|error| {
        let message = shown(&error.to_string(), 8 * report::LINE);
        match error {
            PushError::Store(_) | PushError::Unsure(_) | PushError::Note(_) => {
                Failure::failed(message)
            }
            PushError::Replaced(_) | PushError::NotAsWritten(_) => Failure {
                exit: Exit::Partly,
                message,
            },
        }
    })?;
    tell(&proposal, Some(&pushed), out)?;
    Ok(Exit::Done)
}

/// The file and the policy in it; what is wrong with it goes to standard error, as `validate` shows it.
fn valid(args: &Push, out: &mut Out) -> Result<(String, Policy), Failure> {
    let bytes = input::read(&args.policy, "policy")?;
    let name = input::name(&args.policy);
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::invalid(format!(
            "the policy {name} is not UTF-8 text; save it as UTF-8"
        ))
    })?;
    let loaded = policy::load(&name, &text, today(Timestamp::now()));
    let rendered = yaml::render(&loaded.diagnostics, &text, out.error_style().color);
    if !rendered.is_empty() {
        out.say(&format!("{rendered}\n"));
    }
    let errors = loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .count();
    let policy = loaded.policy.ok_or_else(|| {
        Failure::invalid(format!(
            "nothing was pushed: {name} is not valid: {}",
            count(errors, "error")
        ))
    })?;
    Ok((text, policy))
}

async fn propose(
    args: &Push,
    new: &Written<'_>,
    there: Option<&Object>,
    store: &Store,
    own: &Own,
    now: Timestamp,
) -> Result<Proposal, Failure> {
    let parsed = there.map(|object| {
        let text = String::from_utf8_lossy(&object.bytes).into_owned();
        let loaded = policy::load(POLICY_KEY, &text, today(now));
        (loaded.policy, text)
    });
    let (old, old_text, serving) = match parsed {
        Some((Some(policy), text)) => {
            let digest = policy.digest.clone();
            (policy, text, Serving::File(digest))
        }
        Some((None, _)) => {
            let digest = there.map(Object::digest).unwrap_or_default();
            let built_in = (Policy::built_in(), BUILT_IN.to_owned());
            (built_in.0, built_in.1, Serving::Invalid(digest))
        }
        None => (Policy::built_in(), BUILT_IN.to_owned(), Serving::BuiltIn),
    };
    let mut proposal = Proposal {
        file: input::name(&args.policy),
        place: store.place(POLICY_KEY),
        serving,
        in_force: there.is_some_and(|object| object.bytes == new.text.as_bytes()),
        differences: Vec::new(),
        records: Records::default(),
    };
    if !proposal.in_force {
        let written = Written {
            policy: &old,
            text: &old_text,
        };
        proposal.differences = compare(written, *new);
        proposal.records = decide_again(args.records, store, &old, new.policy, own, now).await?;
    }
    Ok(proposal)
}

/// The last records under both policies.
async fn decide_again(
    limit: usize,
    store: &Store,
    old: &Policy,
    new: &Policy,
    own: &Own,
    now: Timestamp,
) -> Result<Records, Failure> {
    let (ids, _) = records::newest(store, limit).await?;
    let loaded: Vec<_> = stream::iter(&ids)
        .map(|id| async move { (id, Engine::load(store, id).await) })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut records = Records::default();
    for (id, record) in loaded {
        // A record of another version of the program must not stand in the way of a policy.
        let Ok(record) = record else {
            records.unreadable.push(id.clone());
            continue;
        };
        records.decided += usize::from(record.rollback.is_none());
        records.differ.extend(replay(&record, old, new, own, now));
    }
    Ok(records)
}

fn tell(proposal: &Proposal, pushed: Option<&Pushed>, out: &mut Out) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(&Document {
            version: 1,
            proposal,
            pushed,
        });
    }
    match pushed {
        None => out.print(&report::proposal(proposal, out.style())),
        Some(pushed) => {
            let done = out.style().good(&format!(
                "Pushed: {} is in force.",
                shown(&proposal.place, report::LINE)
            ));
            out.print(&format!(
                "\n{done} The next finding is decided by it.\nA copy is kept as {}.\n",
                shown(&pushed.copy, report::LINE)
            ))
        }
    }
}

fn today(now: Timestamp) -> jiff::civil::Date {
    TimeZone::UTC.to_datetime(now).date()
}
