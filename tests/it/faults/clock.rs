//! A clock that jumps in the middle of a run: ahead, so that the lease seems to be over, or back, so that it seems to last.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use portcullis::engine::{Engine, Report};
use portcullis::finding::Finding;
use portcullis::record::Outcome;
use serde_json::Value;

use crate::stand_in::{ACCOUNT, Verdict, flags, policy_text};
use crate::world::{World, public_policy};

const HOURS: [i64; 2] = [3, -3];

/// How often the clock was read, at which reading it jumps, and by how many hours.
static READINGS: AtomicUsize = AtomicUsize::new(0);
static AT: AtomicUsize = AtomicUsize::new(usize::MAX);
static BY: AtomicI64 = AtomicI64::new(0);

/// What came of the jumps.
#[derive(Debug, Default)]
pub(super) struct Jumps {
    pub(super) tried: usize,
    pub(super) wrong: Vec<String>,
}

#[test]
fn a_clock_that_jumps_loses_nothing() {
    let jumps = jumps(4);
    assert!(jumps.tried > 4, "{jumps:?}");
    assert_eq!(jumps.wrong, Vec::<String>::new());
}

/// A jump at one in `step` readings of the clock, in both directions.
pub(super) fn jumps(step: usize) -> Jumps {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let mut jumps = Jumps::default();
        set(usize::MAX, 0);
        one(&mut jumps).await;
        let readings = READINGS.load(Ordering::SeqCst);
        assert!(readings > 5, "the clock was read {readings} times");
        for at in (0..readings).step_by(step) {
            for hours in HOURS {
                set(at, hours);
                one(&mut jumps).await;
            }
        }
        jumps
    })
}

fn set(at: usize, hours: i64) {
    READINGS.store(0, Ordering::SeqCst);
    AT.store(at, Ordering::SeqCst);
    BY.store(hours, Ordering::SeqCst);
}

fn clock() -> Timestamp {
    let jumped = READINGS.fetch_add(1, Ordering::SeqCst) >= AT.load(Ordering::SeqCst);
    let hours = if jumped { BY.load(Ordering::SeqCst) } else { 0 };
    Timestamp::now() + SignedDuration::from_hours(hours)
}

/// A delivery under the clock, and another one by a clock that is right.
async fn one(jumps: &mut Jumps) {
    let world = World::new("clock", |_| Verdict::Pass).await;
    let world = world.under("[deny-actor, block-public-access, mark-contained]");
    let finding = world.stolen("AROAEXAMPLEFIRST0001:alice", "198.51.100.7");
    let before = flags(&world.client, &world.bucket).await;
    let mut wrong = Vec::new();
    let first = by_the_clock(&world, &finding).await;
    if !first.fails_the_invocation() && !is_contained(&world).await {
        wrong.push(format!("success is reported: {first:?}"));
    }
    for lease in leases(&world) {
        if lease["released"] == false {
            wrong.push(format!("a lease is left: {lease}"));
        }
    }
    let second = world.respond(&finding).await;
    if !matches!(
        second.summary.outcome,
        Outcome::Contained | Outcome::AlreadyContained
    ) {
        wrong.push(format!("the second delivery fails: {second:?}"));
    }
    if !is_contained(&world).await {
        wrong.push("it is not contained in the end".to_owned());
    }
    let mut done = [&first, &second]
        .into_iter()
        .filter(|report| report.result.is_some());
    match done.next_back() {
        None => wrong.push("no record tells of the changes".to_owned()),
        Some(report) => {
            let undone = world.roll_back(report).await;
            if undone.summary.outcome != Outcome::RolledBack {
                wrong.push(format!("the rollback: {undone:?}"));
            }
        }
    }
    let policy = policy_text(&world.client, &world.bucket).await;
    if policy != Some(public_policy(&world.bucket))
        || flags(&world.client, &world.bucket).await != before
    {
        wrong.push(format!("rolled back to {policy:?}"));
    }
    jumps.tried += 1;
    let (at, by) = (AT.load(Ordering::SeqCst), BY.load(Ordering::SeqCst));
    jumps.wrong.extend(
        wrong
            .into_iter()
            .map(|wrong| format!("{by} hours at reading {at}: {wrong}")),
    );
}

async fn by_the_clock(world: &World, finding: &Finding) -> Report {
    let engine = Engine {
        clock,
        ..world.engine(None, SignedDuration::from_secs(30))
    };
    engine.respond(finding).await.remove(0)
}

async fn is_contained(world: &World) -> bool {
    let policy = policy_text(&world.client, &world.bucket).await;
    policy.is_some_and(|policy| policy.contains("PortcullisDenyActor"))
        && flags(&world.client, &world.bucket).await == Some([true; 4])
}

fn leases(world: &World) -> Vec<Value> {
    let folder = std::fs::read_dir(world.root.join("leases").join(ACCOUNT));
    let files = folder
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    let texts = files
        .filter(|path| path.is_file())
        .map(|path| std::fs::read(path).unwrap());
    texts
        .map(|text| serde_json::from_slice(&text).unwrap())
        .collect()
}
