//! `drill`: sample findings from GuardDuty, and what became of each of them in the deployed function.
//!
//! The whole way is used: GuardDuty, the event bus, the rule, the function, its policy and its store. A sample never reaches
//! a bucket, so that what the policy would do with it is told and not done.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::Duration;

use portcullis::aws::{AwsError, guardduty};
use portcullis::decision::Withheld;
use portcullis::guard::Guard;
use portcullis::policy::{Mode, S3_FINDING_TYPES};
use portcullis::record::Outcome;
use portcullis::report::{Account, LINE, Style, count, shown};
use portcullis::store::{RECORDS, Store};
use serde::Serialize;
use tokio::time::Instant;

use crate::args::Drill;
use crate::ask::agreed;
use crate::exit::{Exit, Failure};
use crate::out::Out;
use crate::records;
use crate::session::{self, DEFAULT_STORE, Session};

/// How often the store is looked at, where the wait is not shorter than that.
const INTERVAL: Duration = Duration::from_secs(5);
/// How often it is said that the wait goes on.
const SILENCE: Duration = Duration::from_secs(60);

/// What a drill came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Results {
    version: u32,
    region: String,
    account: Option<String>,
    store: String,
    results: Vec<Sample>,
}

/// One type, and the records of its sample.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Sample {
    #[serde(rename = "type")]
    kind: String,
    records: Vec<Recorded>,
}

/// What the deployed function decided about one target of a sample.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Recorded {
    id: String,
    target: String,
    rule: String,
    place: String,
    mode: Mode,
    outcome: Option<Outcome>,
    withheld: Vec<Withheld>,
}

pub(crate) async fn run(args: &Drill, out: &mut Out) -> Result<Exit, Failure> {
    if args.store.store == DEFAULT_STORE {
        return Err(Failure::usage(
            "the drill looks for records where the deployed function keeps them: give --store s3://BUCKET, with the bucket of \
             the stack's output StoreBucket, or set PORTCULLIS_STORE",
        ));
    }
    let mut samples = asked(&args.finding);
    let session = Session::open_without_policy(&args.store, None).await?;
    let region = session.aws.config().region();
    let region = region.map(ToString::to_string).unwrap_or_default();
    let account = session.caller.own.account.clone();
    // Before anything is made: a store that cannot be read would make the drill pointless.
    let mut known = keys(&session.store).await?;

    let whose = account.as_deref().unwrap_or("of the credentials");
    out.say(&announcement(&args.finding, samples.len(), &region, whose));
    if !args.yes && !agreed("Make them?", std::io::stdin().is_terminal(), out)? {
        return Err(Failure::failed("no sample was made: it was not confirmed"));
    }
    let types: Vec<String> = samples.iter().map(|sample| sample.kind.clone()).collect();
    guardduty::sample_findings(&session.aws, &region, &types)
        .await
        .map_err(refused)?;

    let until = Instant::now() + args.wait;
    let interval = INTERVAL.min(args.wait / 10);
    let mut told = (0, Instant::now());
    out.say(&progress(&samples, args.wait));
    let trouble = loop {
        let gathered = gather(&session.store, &region, &mut known, &mut samples, out).await;
        if gathered.is_err() {
            break gathered;
        }
        let left = until.saturating_duration_since(Instant::now());
        let arrived = arrived(&samples);
        if arrived == samples.len() || left.is_zero() {
            break Ok(());
        }
        if arrived != told.0 || told.1.elapsed() >= SILENCE {
            told = (arrived, Instant::now());
            out.say(&progress(&samples, left));
        }
        tokio::time::sleep(interval.min(left)).await;
    };
    let results = Results {
        version: 1,
        region,
        account,
        store: session.store.describe(),
        results: samples,
    };
    match out.is_json() {
        true => out.json(&results)?,
        false => out.print(&text(&results, out.style()))?,
    }
    // What arrived before the store failed is told all the same.
    trouble?;
    Ok(match arrived(&results.results) {
        0 => Exit::Failed,
        arrived if arrived < results.results.len() => Exit::Partly,
        _ => Exit::Done,
    })
}

/// The types, each once.
fn asked(named: &[String]) -> Vec<Sample> {
    let mut seen = BTreeSet::new();
    let all = S3_FINDING_TYPES.iter().map(|kind| (*kind).to_owned());
    let types: Vec<String> = match named {
        [] => all.collect(),
        named => named.to_vec(),
    };
    let once = types.into_iter().filter(|kind| seen.insert(kind.clone()));
    once.map(|kind| Sample {
        kind,
        records: Vec::new(),
    })
    .collect()
}

async fn keys(store: &Store) -> Result<BTreeSet<String>, Failure> {
    let keys = store.list(RECORDS).await.map_err(Failure::failed)?;
    Ok(keys.into_iter().collect())
}

/// Reads the records that are new, and keeps those of the samples.
async fn gather(
    store: &Store,
    region: &str,
    known: &mut BTreeSet<String>,
    samples: &mut [Sample],
    out: &mut Out,
) -> Result<(), Failure> {
    for key in keys(store).await? {
        if !known.insert(key.clone()) {
            continue;
        }
        let Some(id) = records::id(&key) else {
            continue;
        };
        match session::load(store, id).await {
            Ok(account) => {
                let finding = &account.record.finding;
                let sample = samples
                    .iter_mut()
                    .find(|sample| sample.kind == finding.kind)
                    .filter(|_| finding.sample && finding.region == region);
                if let Some(sample) = sample {
                    sample.records.push(recorded(&account));
                }
            }
            // One record that cannot be read must not end the drill.
            Err(failure) => out.error(&failure.message),
        }
    }
    Ok(())
}

fn recorded(account: &Account) -> Recorded {
    let record = &account.record;
    Recorded {
        id: record.id.clone(),
        target: record.target_name().to_owned(),
        rule: record.decision.rule.clone(),
        place: record.decision.place.clone(),
        mode: record.decision.mode,
        outcome: account.outcome(),
        withheld: record.decision.withheld.clone(),
    }
}

fn refused(error: AwsError) -> Failure {
    Failure::failed(shown(&error.to_string(), 8 * LINE))
}

fn arrived(samples: &[Sample]) -> usize {
    let arrived = samples.iter().filter(|sample| !sample.records.is_empty());
    arrived.count()
}

fn announcement(named: &[String], number: usize, region: &str, account: &str) -> String {
    let which = match named {
        [] => String::new(),
        named => format!(": {}", shown(&named.join(", "), 4 * LINE)),
    };
    format!(
        "This has GuardDuty in {region} make {} in account {account}{which}.\n\
         They are sent as real ones are. Everything that listens to findings there acts on them: not only Portcullis, which\n\
         touches no bucket for a sample, but also tickets, pagers and other automation.\n",
        count(number, "sample finding")
    )
}

fn progress(samples: &[Sample], left: Duration) -> String {
    let left = match left.as_secs() {
        seconds if seconds < 90 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    };
    format!(
        "{} of {} arrived; waiting {left} at most\n",
        arrived(samples),
        samples.len()
    )
}

fn text(results: &Results, style: Style) -> String {
    let samples = &results.results;
    let mut text = String::new();
    for sample in samples {
        text += &format!("{}\n", style.strong(&shown(&sample.kind, LINE)));
        if sample.records.is_empty() {
            text += &format!("  {}\n", style.bad("nothing arrived"));
        }
        for record in &sample.records {
            text += &told(record, style);
        }
    }
    let (arrived, all) = (arrived(samples), samples.len());
    text += &format!("\nDrill: {arrived} of {all} arrived.\n");
    if arrived > 0 {
        text += "What sample-finding withholds is what the rule does for a real finding, as far as its mode allows.\n";
    }
    if arrived < all {
        text += &where_to_look(results);
    }
    text
}

fn told(record: &Recorded, style: Style) -> String {
    let mut text = format!(
        "  rule {:?} ({}), mode {}; {}  {}\n",
        shown(&record.rule, LINE),
        shown(&record.place, LINE),
        record.mode.word(),
        record.outcome.map_or("unfinished", Outcome::word),
        style.faint(&shown(&record.id, LINE))
    );
    if record.withheld.is_empty() {
        text += "    the rule asks for no measure\n";
    }
    let guards: BTreeSet<Guard> = record.withheld.iter().map(|held| held.guard).collect();
    for guard in guards {
        let held = record.withheld.iter().filter(|held| held.guard == guard);
        let measures: Vec<String> = held.map(|held| shown(&held.measure, LINE)).collect();
        text += &format!("    withheld by {guard}: {}\n", measures.join(", "));
    }
    text
}

fn where_to_look(results: &Results) -> String {
    format!(
        "For what did not arrive, look at:\n\
         \x20 the store       whether {} is the one of the stack, by its output StoreBucket\n\
         \x20 the Region      whether the stack is in {}, and the finding in GuardDuty there\n\
         \x20 the rule        whether it is enabled and listens to aws.guardduty, by the stack's output RuleArn and parameter EventSource\n\
         \x20 the queues      what could not be delivered or failed, by the outputs UndeliveredFindingsUrl and FailedFindingsUrl\n\
         \x20 the function    its log: findings that name no bucket are ignored, and leave no record\n\
         \x20 GuardDuty       whether a suppression rule archives the samples\n\
         What comes later is in `portcullis records`.\n",
        shown(&results.store, LINE),
        results.region,
    )
}
