//! `backtest`: what a policy would have done with past findings.

mod facts;
mod files;
mod parts;
mod progress;
mod supply;
mod work;

use std::pin::pin;
use std::sync::Arc;

use jiff::Timestamp;
use portcullis::backtest::{Backtest, Tally, Trial};
use portcullis::classification::Own;
use portcullis::page;
use portcullis::policy::Policy;
use portcullis::report;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::interval;

use crate::args::{self, FactsFrom, PolicyArgs};
use crate::exit::{Exit, Failure};
use crate::out::Out;
use crate::session::Session;
use crate::{input, session};

use facts::Informer;
use progress::{Bar, OFTEN};
use supply::Supply;
use work::{Progress, Workers};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    version: u32,
    #[serde(flatten)]
    backtest: &'a Backtest,
}

pub(crate) async fn run(args: &args::Backtest, out: &mut Out) -> Result<Exit, Failure> {
    args.page.check(out)?;
    let (policy, against) = policies(args, out).await?;
    let now = Timestamp::now();
    let (supply, source, own) = supply(args, now).await?;
    let informer = informer(args).await?;
    let trial = Arc::new(Trial {
        source,
        policy,
        against,
        own,
        now,
        as_new: args.as_new,
    });
    let (tally, ending) = judged(&trial, supply, informer).await?;
    let backtest = tally.finish(!matches!(ending, Ending::Whole));
    if !args.page.is_stdout() {
        print(&backtest, out)?;
    }
    args.page.write(|| page::backtest(&backtest), out)?;
    let told = "what was read until then is told above, and is only a part";
    Ok(match ending {
        Ending::Interrupted => {
            out.error(&format!("interrupted: {told}"));
            Exit::Failed
        }
        Ending::Failed(failure) => {
            out.error(&format!("{}; {told}", failure.message));
            failure.exit
        }
        Ending::Whole if backtest.read.broken > 0 => Exit::Invalid,
        Ending::Whole if backtest.facts.unread > 0 => Exit::Partly,
        Ending::Whole => Exit::Done,
    })
}

/// How it ended.
#[derive(Debug)]
enum Ending {
    Whole,
    Interrupted,
    /// The source failed on the way.
    Failed(Failure),
}

/// Where the findings come from, the same for a person, and who we are there.
async fn supply(args: &args::Backtest, now: Timestamp) -> Result<(Supply, String, Own), Failure> {
    if let Some(since) = args.since {
        let aws = session::open_aws().await?;
        let region = aws.config().region();
        let region = region.map(ToString::to_string).unwrap_or_default();
        let since = now.saturating_sub(since).unwrap_or(now);
        let source = format!("GuardDuty in {region}, updated since {since:.0}");
        let aws = Box::new(aws);
        let supply = Supply::GuardDuty { aws, region, since };
        return Ok((supply, source, Own::default()));
    }
    if args.records {
        let operator = session::open_store_as(&args.deployment.store).await?;
        let source = format!("the records of {}", operator.store.describe());
        return Ok((Supply::Records(operator.store), source, operator.own));
    }
    let names: Vec<String> = args.source.iter().map(|path| input::name(path)).collect();
    let source = names.join(", ");
    let supply = match &names[..] {
        [place] if place.starts_with("s3://") => {
            let config = portcullis::aws::load_config().await;
            supply::in_s3(&config, place).map(Supply::Export)
        }
        _ => None,
    };
    let supply = match supply {
        Some(supply) => supply,
        None if names.iter().any(|name| name.starts_with("s3://")) => {
            return Err(Failure::usage(
                "an export in S3 is read alone; give one s3://bucket/prefix, or files and folders",
            ));
        }
        None => Supply::Files(files::found(&args.source)?),
    };
    Ok((supply, source, Own::default()))
}

/// Who knows of the targets; none where nobody is to be asked, or could tell anything.
async fn informer(args: &args::Backtest) -> Result<Option<Informer>, Failure> {
    if args.records || args.facts == FactsFrom::None {
        return Ok(None);
    }
    let session = match args.facts {
        FactsFrom::Live => Some(Session::open(&args.deployment).await?),
        _ => None,
    };
    let store = session::open_store(&args.deployment.store).await?;
    Informer::new(store, session).await
}

/// The policy that is tried and the one that it is compared with. Where both have the same name, they go by their paths.
async fn policies(
    args: &args::Backtest,
    out: &mut Out,
) -> Result<(Arc<Policy>, Option<Arc<Policy>>), Failure> {
    let options = &args.deployment;
    let policy = session::open_policy(&options.store, &options.policy).await?;
    session::tell_built_in(&policy, &options.policy, out);
    let Some(named) = &args.against else {
        return Ok((policy, None));
    };
    let other = PolicyArgs {
        policy: Some(named.clone()),
    };
    let against = session::open_policy(&options.store, &other).await?;
    if policy.name != against.name || named == "built-in" {
        return Ok((policy, Some(against)));
    }
    let by_path = |policy: &Policy, path: &str| {
        Arc::new(Policy {
            name: path.to_owned(),
            ..policy.clone()
        })
    };
    let path = options.policy.policy.as_deref().unwrap_or(&policy.name);
    Ok((by_path(&policy, path), Some(by_path(&against, named))))
}

/// Reads and judges it all, or what there is until Ctrl-C.
async fn judged(
    trial: &Arc<Trial>,
    supply: Supply,
    informer: Option<Informer>,
) -> Result<(Tally, Ending), Failure> {
    let progress = Arc::new(Progress::default());
    let mut interrupts = signal(SignalKind::interrupt())
        .map_err(|error| Failure::failed(format!("Ctrl-C cannot be listened for: {error}")))?;
    let (mut workers, jobs) = Workers::start(trial, &progress);
    let supplying = async {
        let reads = progress.clone();
        match informer {
            None => supply.run(jobs, reads).await,
            Some(informer) => {
                let (parts, come) = mpsc::channel(1);
                let informing = informer.run(come, jobs);
                let (supplied, ()) = futures_util::join!(supply.run(parts, reads), informing);
                supplied
            }
        }
    };
    let mut supplying = pin!(supplying);
    let (mut supplies, mut ending) = (true, Ending::Whole);
    let (mut tally, mut arrived) = (Tally::new(trial.clone()), 0);
    let bar = Bar::new();
    let mut ticks = interval(OFTEN);
    while arrived < workers.count {
        tokio::select! {
            supplied = &mut supplying, if supplies => {
                supplies = false;
                if let (Err(failure), Ending::Whole) = (supplied, &ending) {
                    ending = Ending::Failed(failure);
                }
            }
            one = workers.tallies.recv() => match one {
                Some(one) => {
                    tally.merge(one);
                    arrived += 1;
                }
                None => return Err(Failure::failed("a thread ended before its work was done")),
            },
            _ = interrupts.recv() => {
                if matches!(ending, Ending::Interrupted) {
                    return Err(Failure::failed("interrupted"));
                }
                ending = Ending::Interrupted;
                workers.stop(&progress);
            }
            _ = ticks.tick() => bar.draw(&progress),
        }
    }
    bar.clear();
    Ok((tally, ending))
}

fn print(backtest: &Backtest, out: &mut Out) -> Result<(), Failure> {
    match out.is_json() {
        true => out.json(&Document {
            version: 1,
            backtest,
        }),
        false => out.print(&report::backtest(backtest, out.style())),
    }
}
