//! `sweep`: what the schedule has the deployed function do, shown first, then done on consent.

use std::io::IsTerminal;

use portcullis::engine::Engine;
use portcullis::report;
use portcullis::sweep::Sweep;
use serde::Serialize;

use crate::args::Sweep as Args;
use crate::ask;
use crate::exit::{Exit, Failure};
use crate::out::Out;
use crate::session::{self, Session};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    version: u32,
    found: &'a Sweep,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<&'a Sweep>,
}

pub(crate) async fn run(args: &Args, out: &mut Out) -> Result<Exit, Failure> {
    let session = Session::open(&args.deployment).await?;
    session::tell_built_in(&session.policy, &args.deployment.policy, out);
    // As the schedule has it: an operator's word would override what a person released.
    let engine = Engine {
        operator: None,
        ..session.engine()
    };
    let found = engine.sweep(false).await.map_err(Failure::failed)?;
    if !out.is_json() {
        out.print(&report::sweep(&found, out.style()))?;
    }
    let done = match found.leaves_work() && agreed(args, out)? {
        true => Some(engine.sweep(true).await.map_err(Failure::failed)?),
        false => None,
    };
    match (&done, out.is_json()) {
        (done, true) => out.json(&Document {
            version: 1,
            found: &found,
            done: done.as_ref(),
        })?,
        (Some(done), false) => {
            out.print(&format!("\n{}", report::sweep(done, out.style())))?;
        }
        (None, false) => {}
    }
    let last = done.as_ref().unwrap_or(&found);
    Ok(match last.needs_a_person() {
        true => Exit::Partly,
        false => Exit::Done,
    })
}

/// Without a terminal and without --yes the sweep only tells.
fn agreed(args: &Args, out: &mut Out) -> Result<bool, Failure> {
    if args.yes {
        return Ok(true);
    }
    match std::io::stdin().is_terminal() {
        true => ask::agreed(
            "Roll back what is due, put back what is to be held, and note what has ended?",
            true,
            out,
        ),
        false => {
            out.note(
                "nothing was done; --yes rolls back what is due, puts back what is to be held, and notes what has ended",
            );
            Ok(false)
        }
    }
}
