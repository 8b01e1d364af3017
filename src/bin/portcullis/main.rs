//! The command line: the same engine as the deployed function, in a person's hands.

mod apply;
mod args;
mod ask;
mod backtest;
mod drill;
mod entry;
mod exit;
mod explain;
mod init;
mod input;
mod out;
mod outcome;
mod output;
mod page;
mod plan;
mod push;
mod records;
mod reference;
mod rollback;
mod session;
mod suppress;
mod sweep;
mod test;
mod validate;

use clap::Parser;
use mimalloc::MiMalloc;

use args::{Args, Verb};
use exit::{Exit, Failure};
use out::Out;

/// A backtest makes and drops a hundred small texts for each finding, on several threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Exit {
    let args = Args::parse();
    let mut out = Out::new(args.global.output, args.global.color);
    match run(args.verb, &mut out) {
        Ok(exit) => exit,
        Err(failure) => {
            out.error(&failure.message);
            failure.exit
        }
    }
}

fn run(verb: Verb, out: &mut Out) -> Result<Exit, Failure> {
    match verb {
        Verb::Init(args) => init::run(&args, out),
        Verb::Validate(args) => validate::run(&args, out),
        Verb::Measures => reference::measures(out),
        Verb::Schema(args) => reference::schema(&args, out),
        Verb::Completions(args) => reference::completions(&args, out),
        Verb::Test(args) => on_runtime(test::run(&args, out)),
        Verb::Push(args) => on_runtime(push::run(&args, out)),
        Verb::Explain(args) => on_runtime(explain::run(&args, out)),
        Verb::Backtest(args) => on_runtime(backtest::run(&args, out)),
        Verb::Plan(args) => on_runtime(plan::run(&args, out)),
        Verb::Apply(args) => on_runtime(apply::run(&args, out)),
        Verb::Rollback(args) => on_runtime(rollback::run(&args, out)),
        Verb::Records(args) => on_runtime(records::list(&args, out)),
        Verb::Show(args) => on_runtime(records::show(&args, out)),
        Verb::Sweep(args) => on_runtime(sweep::run(&args, out)),
        Verb::Drill(args) => on_runtime(drill::run(&args, out)),
        Verb::Suppress(args) => on_runtime(suppress::run(&args, out)),
    }
}

/// One thread is enough for a person's command, whose time is spent waiting for AWS.
fn on_runtime(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::failed(format!("the asynchronous runtime cannot start: {error}"))
    })?;
    session::log_to_stderr()?;
    runtime.block_on(work)
}
