//! A rollback, a person's or the sweep's, that meets an error at any call: what it says of it is so, and the next one brings
//! it to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use portcullis::engine::{Engine, Report, RollbackRequest};
use portcullis::policy::{self, Policy};
use portcullis::record::{Outcome, Record, first_id};
use portcullis::store::{ENDED, LEASES, RECORDS};
use portcullis::sweep::SweptState;

use crate::stand_in::{Verdict, policy_text};
use crate::world::{POLICY, World};

const ACTOR: &str = "AROAEXAMPLEFIRST0001:alice";
const ADDRESS: &str = "198.51.100.7";

const ERRORS: [fn() -> Verdict; 3] = [
    || Verdict::Refuse(503, "SlowDown"),
    || Verdict::Refuse(403, "AccessDenied"),
    || Verdict::LoseAnswer,
];

/// The call from which on all go wrong, how they do, and how many calls there were.
#[derive(Clone)]
struct Faults(Arc<[AtomicUsize; 3]>);

impl Faults {
    fn none() -> Self {
        Self(Arc::new([usize::MAX, 0, 0].map(AtomicUsize::new)))
    }

    fn set(&self, from: usize, error: usize) {
        for (place, value) in self.0.iter().zip([from, error, 0]) {
            place.store(value, Ordering::SeqCst);
        }
    }

    fn verdict(&self) -> Verdict {
        let [from, error, calls] = &*self.0;
        match calls.fetch_add(1, Ordering::SeqCst) >= from.load(Ordering::SeqCst) {
            true => ERRORS[error.load(Ordering::SeqCst)](),
            false => Verdict::Pass,
        }
    }
}

/// Each call of a rollback is one of these worlds' to go wrong at: most of the time is spent on trying again.
const WORLDS: usize = 6;

/// Whose rollback it is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Whose {
    Person,
    Sweep,
}

/// What a rollback says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Claim {
    /// Nothing was changed.
    Nothing,
    /// The settings are as before, and the mark may not be ended.
    NotEnded,
    /// All is as before.
    Done,
    /// Something went wrong, and it says what.
    Part,
}

#[tokio::test]
async fn a_rollback_that_meets_an_error_is_ended_by_the_next_and_says_what_is_so() {
    in_all_worlds(Whose::Person).await;
}

#[tokio::test]
async fn a_sweep_that_meets_an_error_is_ended_by_the_next_and_says_what_is_so() {
    in_all_worlds(Whose::Sweep).await;
}

async fn in_all_worlds(whose: Whose) {
    let worlds = (0..WORLDS).map(|number| in_one_world(whose, number));
    let said = futures_util::future::join_all(worlds).await;
    let count = |claim: Claim| said.iter().flatten().filter(|said| **said == claim).count();
    let counts = [Claim::Nothing, Claim::NotEnded, Claim::Done].map(count);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

async fn in_one_world(whose: Whose, number: usize) -> Vec<Claim> {
    let faults = Faults::none();
    let judge = {
        let faults = faults.clone();
        move |_: &str| faults.verdict()
    };
    let name = format!("undoing-{whose:?}-{number}").to_lowercase();
    let world = World::with_store(&name, true, judge).await;
    let world = World {
        policy: expiring(),
        ..world
    };
    let before = policy_of(&world).await;

    let (record, _) = contain(&world, "undisturbed").await;
    faults.set(usize::MAX, 0);
    let done = undo(whose, &world, &record, soon).await;
    assert_eq!(done.0, Claim::Done, "{}", done.1);
    let calls = faults.0[2].load(Ordering::SeqCst);
    assert!(calls >= 15, "{calls}");

    let mut said = Vec::new();
    for call in (number..calls).step_by(WORLDS) {
        let error = (call / WORLDS + call) % ERRORS.len();
        let (record, contained) = contain(&world, &format!("finding-{call}")).await;
        faults.set(call, error);
        let (claim, answer) = undo(whose, &world, &record, soon).await;
        faults.set(usize::MAX, 0);

        let place = format!("call {call}, error {error}: {answer}");
        let left = policy_of(&world).await;
        match claim {
            Claim::Nothing => assert_eq!(left, contained, "{place}"),
            Claim::NotEnded => assert_eq!(left, before, "{place}"),
            Claim::Done => {
                assert_eq!(left, before, "{place}");
                assert!(is_ended(&world, &record).await, "{place}");
            }
            Claim::Part => assert_ne!(answer, "", "call {call}, error {error}"),
        }
        said.push(claim);

        let (again, answer) = undo(whose, &world, &record, later).await;
        // What the first one brought to its end is none of the second sweep's.
        let is_over = whose == Whose::Sweep && claim == Claim::Done;
        assert!(again == Claim::Done || is_over, "{place}, then {answer}");
        assert_eq!(policy_of(&world).await, before, "{place}, then {answer}");
        assert!(is_ended(&world, &record).await, "{place}, then {answer}");
    }
    said
}

/// What is said of the record's rollback, and all that is.
async fn undo(
    whose: Whose,
    world: &World,
    record: &Record,
    clock: fn() -> Timestamp,
) -> (Claim, String) {
    let engine = Engine {
        clock,
        deadline: clock() + SignedDuration::from_secs(20),
        ..world.engine(Some("operator"), SignedDuration::from_secs(20))
    };
    match whose {
        Whose::Person => {
            let request = RollbackRequest::default();
            match engine.rollback(record, &request).await {
                Err(error) => claim(&error.to_string(), false),
                Ok(Report { error, summary, .. }) => {
                    let is_done = error.is_none() && summary.outcome == Outcome::RolledBack;
                    claim(&summary.reason.unwrap_or_default(), is_done)
                }
            }
        }
        Whose::Sweep => match engine.sweep(true).await {
            Err(error) => claim(&error.to_string(), false),
            Ok(sweep) => {
                let mut found = sweep.found.iter();
                let of_record = found.find(|swept| first_id(&swept.record) == first_id(&record.id));
                let text = of_record.map(|swept| swept.detail.join("; "));
                let is_done = of_record.is_some_and(|swept| swept.state == SweptState::Expired);
                claim(&text.unwrap_or_default(), is_done)
            }
        },
    }
}

fn claim(text: &str, is_done: bool) -> (Claim, String) {
    let claim = match () {
        () if text.contains("nothing was changed") => Claim::Nothing,
        () if text.contains("may still count as standing") => Claim::NotEnded,
        () if is_done => Claim::Done,
        () => Claim::Part,
    };
    (claim, text.to_owned())
}

/// The world's policy, under which what is contained for stolen data is so for an hour.
fn expiring() -> Policy {
    let text = POLICY.replace(
        "measures: [deny-actor, deny-source-ip]",
        "measures: [deny-actor, deny-source-ip]\n    expires-after: 1h",
    );
    assert_ne!(text, POLICY);
    let loaded = policy::load("policy.yaml", &text, jiff::civil::date(2026, 3, 1));
    loaded.policy.unwrap()
}

/// Whoever finds the settings put back must not find the containment standing.
#[tokio::test]
async fn the_mark_is_ended_before_the_lease_is_given_back() {
    let world = World::with_store("undoing-order", true, |_: &str| Verdict::Pass).await;
    let (record, _) = contain(&world, "order").await;
    world.proxy.forget();
    let (done, said) = undo(Whose::Person, &world, &record, soon).await;
    assert_eq!(done, Claim::Done, "{said}");
    let undoing = world.store.list(&format!("{RECORDS}u-")).await.unwrap();
    let undoing = undoing.iter().find(|key| !key.contains(".result"));
    let id = undoing.and_then(|key| key.strip_prefix(RECORDS)?.strip_suffix(".json"));
    let undoing = Engine::load(&world.store, id.unwrap()).await.unwrap();
    let (_, said) = undo(Whose::Person, &world, &undoing, soon).await;
    assert!(said.contains("is a rollback itself"), "{said}");
    let writes = world.proxy.writes();
    let last = |part: &str| writes.iter().rposition(|write| write.contains(part));
    let (ended, lease) = (last(ENDED), last(LEASES));
    assert!(ended.is_some() && ended < lease, "{writes:#?}");
}

async fn contain(world: &World, id: &str) -> (Record, Option<String>) {
    let mut finding = world.stolen(ACTOR, ADDRESS);
    finding.id = id.to_owned();
    let report = world.respond(&finding).await;
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    (report.record.unwrap(), policy_of(world).await)
}

async fn is_ended(world: &World, record: &Record) -> bool {
    let ended = world.store.list(ENDED).await.unwrap();
    ended.iter().any(|key| key.contains(&record.id))
}

async fn policy_of(world: &World) -> Option<String> {
    policy_text(&world.client, &world.bucket).await
}

/// The hour of the rule is over.
fn soon() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(2)
}

/// No lease lasts so long.
fn later() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(4)
}
