//! `rollback`: the inverse plan with its drift, a person's consent, then the engine.

use std::io::IsTerminal;

use portcullis::engine::RollbackRequest;
use portcullis::record::Outcome;
use portcullis::report::Undo;

use crate::args::Rollback;
use crate::ask;
use crate::entry::{self, Entry};
use crate::exit::{Exit, Failure};
use crate::out::Out;
use crate::session::{self, Session, record_failure};

pub(crate) async fn run(args: &Rollback, out: &mut Out) -> Result<Exit, Failure> {
    let session = Session::open_without_policy(&args.store, Some(&args.roles)).await?;
    let record = session::load(&session.store, &args.record).await?.record;
    let engine = session.engine();
    let request = RollbackRequest {
        force: args.force_setting.clone(),
    };
    let inverse = engine
        .plan_rollback(&record, &request)
        .await
        .map_err(record_failure)?;
    let is_blocked = inverse.plan.is_empty() && !inverse.drift.is_empty();
    let drift = !inverse.drift.is_empty();
    let undo = Entry::Rollback(Box::new(Undo {
        record: record.clone(),
        inverse,
    }));
    if is_blocked {
        entry::print(&[undo], out)?;
        return Ok(Exit::Partly);
    }
    match out.is_json() {
        true => {
            let text = undo.text(out.error_style());
            out.say(&text);
        }
        false => {
            let text = undo.text(out.style());
            out.print(&text)?;
        }
    }
    if !args.yes
        && !ask::agreed(
            "Undo this containment?",
            std::io::stdin().is_terminal(),
            out,
        )?
    {
        return Err(Failure::failed(
            "nothing was changed: the rollback was not confirmed",
        ));
    }
    let report = engine
        .rollback(&record, &request)
        .await
        .map_err(record_failure)?;
    let outcome = Entry::outcome(&report, out);
    match out.is_json() {
        true => entry::print(&[undo, outcome], out)?,
        false => {
            out.print("\n")?;
            entry::print(&[outcome], out)?;
        }
    }
    Ok(match report.summary.outcome {
        _ if report.error.is_some() => Exit::Failed,
        Outcome::Failed => Exit::Failed,
        Outcome::RolledBack if !drift => Exit::Done,
        _ => Exit::Partly,
    })
}
