//! `apply`: the plan, a person's consent, then the engine.

use std::sync::Arc;

use portcullis::engine::{Engine, Report};
use portcullis::finding::{Finding, Target};
use portcullis::record::{ChangeStatus, Outcome, Record};
use portcullis::report::{self, Planned};

use crate::args::Apply;
use crate::ask::{Consent, consent};
use crate::entry::{self, Entry};
use crate::exit::{Exit, Failure};
use crate::input;
use crate::out::Out;
use crate::plan::preview;
use crate::session::{self, Session};

pub(crate) async fn run(args: &Apply, out: &mut Out) -> Result<Exit, Failure> {
    let mut entries = Vec::new();
    let source = source(args)?;
    let (findings, mut exit, session) = match &source {
        Source::Event(bytes) => {
            let (findings, exit) =
                input::findings(bytes, &input::name(&args.source), &mut entries, out);
            if findings.is_empty() {
                entry::print(&entries, out)?;
                return Ok(exit);
            }
            (findings, exit, Session::open(&args.deployment).await?)
        }
        Source::Record(id) => {
            let session = Session::open(&args.deployment).await?;
            (vec![finding_of(&session, id).await?], Exit::Done, session)
        }
    };
    session::tell_built_in(&session.policy, &args.deployment.policy, out);
    let command = format!(
        "portcullis apply {}{}",
        session::quoted(&input::name(&args.source)),
        session::flags(&args.deployment)
    );
    let mut plans = Vec::new();
    for finding in &findings {
        let (previews, worst) = preview(&session, finding, &command, false, out).await;
        exit = exit.max(worst);
        plans.push((finding, previews));
    }
    for planned in plans
        .iter_mut()
        .flat_map(|(_, previews)| previews)
        .filter_map(planned_mut)
    {
        // The next command is the one that runs already, and the function's mode is not what is asked about.
        (planned.next, planned.deployed) = (None, None);
    }
    show(&plans, &mut entries, out)?;

    let acting: Vec<&Planned> = plans
        .iter()
        .flat_map(|(_, previews)| previews)
        .filter_map(acting_in)
        .collect();
    if !acting.is_empty() {
        let given = Consent {
            yes: args.yes,
            confirmed: &args.confirm,
            may_ask: !input::is_stdin(&args.source),
        };
        if !consent(&acting, given, out)? {
            return Err(Failure::failed(
                "nothing was changed: the plan was not confirmed",
            ));
        }
    }
    let mut done = Vec::new();
    for (finding, previews) in &plans {
        let acting: Vec<&Planned> = previews.iter().filter_map(acting_in).collect();
        let targets: Vec<Target> = acting
            .iter()
            .map(|planned| planned.record.target.clone())
            .collect();
        if targets.is_empty() {
            continue;
        }
        let finding = Finding {
            targets,
            ..(*finding).clone()
        };
        let confirmed: Vec<&Record> = acting.iter().map(|planned| &planned.record).collect();
        let engine = Engine {
            confirmed: Some(&confirmed),
            ..session.engine()
        };
        let reports = engine.respond(&finding).await;
        for report in &reports {
            exit = exit.max(weight(report));
            done.push(Entry::outcome(report, out));
        }
    }
    if out.is_json() {
        entries.extend(plans.into_iter().flat_map(|(_, previews)| previews));
        entries.extend(done);
        entry::print(&entries, out)?;
    } else if !done.is_empty() {
        out.print("\n")?;
        entry::print(&done, out)?;
    }
    Ok(exit)
}

enum Source {
    Event(Vec<u8>),
    Record(String),
}

/// A file where there is one; otherwise a record, if it is named as records are.
fn source(args: &Apply) -> Result<Source, Failure> {
    let path = args.source.as_path();
    let id = path
        .to_str()
        .filter(|id| (id.starts_with("r-") || id.starts_with("u-")) && !id.contains(['/', '.']));
    match id {
        Some(id) if !path.exists() => Ok(Source::Record(id.to_owned())),
        _ => input::read(path, "event").map(Source::Event),
    }
}

/// The finding and the one target of a record. It is planned anew: what the record saw may have changed.
async fn finding_of(session: &Session, id: &str) -> Result<Finding, Failure> {
    let record = session::load(&session.store, id).await?.record;
    if let Some(rollback) = &record.rollback {
        let message = format!(
            "record {id} is a rollback; apply record {} to contain again what it undid",
            rollback.record
        );
        return Err(Failure::invalid(report::shown(&message, 2 * report::LINE)));
    }
    Ok(Finding {
        targets: vec![record.target],
        ..Arc::unwrap_or_clone(record.finding)
    })
}

/// Whoever is asked must have seen the plan, so with JSON it goes to standard error.
fn show(
    plans: &[(&Finding, Vec<Entry>)],
    entries: &mut [Entry],
    out: &mut Out,
) -> Result<(), Failure> {
    let previews = plans.iter().flat_map(|(_, previews)| previews);
    if out.is_json() {
        let style = out.error_style();
        for planned in previews.filter_map(acting_in) {
            out.say(&report::plan(planned, style));
        }
        return Ok(());
    }
    let texts: Vec<String> = entries
        .iter()
        .chain(previews)
        .map(|entry| entry.text(out.style()))
        .collect();
    out.print(
        &texts
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

fn weight(report: &Report) -> Exit {
    let summary = &report.summary;
    let unsure = summary
        .changes
        .iter()
        .any(|change| change.status != ChangeStatus::Verified);
    match summary.outcome {
        _ if report.error.is_some() => Exit::Failed,
        Outcome::Failed => Exit::Failed,
        Outcome::Partial | Outcome::Withheld => Exit::Partly,
        _ if unsure || !summary.withheld.is_empty() => Exit::Partly,
        _ => Exit::Done,
    }
}

fn acting_in(entry: &Entry) -> Option<&Planned> {
    match entry {
        Entry::Plan(planned) if planned.record.decision.acts() => Some(planned),
        _ => None,
    }
}

fn planned_mut(entry: &mut Entry) -> Option<&mut Planned> {
    match entry {
        Entry::Plan(planned) => Some(planned),
        _ => None,
    }
}
