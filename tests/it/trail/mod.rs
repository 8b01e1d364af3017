//! What others write to a contained bucket, as CloudTrail tells it: read, and followed over HTTP.

mod following;
mod hidden;
mod reading;

use jiff::{SignedDuration, Timestamp};
use portcullis::engine::Followed;
use portcullis::finding::{Event, EventError, TrailEvent, read};
use portcullis::policy::{self, Policy};
use portcullis::record::Outcome;
use portcullis::sweep::{Sweep, Swept, SweptState};
use serde_json::{Value, json};

use crate::stand_in::{ACCOUNT, Verdict, policy_text};
use crate::world::World;

const ACTOR: &str = "AROAEXAMPLEFIRST0001:alice";
const ADDRESS: &str = "198.51.100.7";
const EVENT: &str = include_str!("../../../events/policy-written.json");

async fn contained(name: &str, measures: &str, more: &str) -> World {
    contained_by(name, measures, more, |_| Verdict::Pass).await
}

async fn contained_by(
    name: &str,
    measures: &str,
    more: &str,
    judge: impl Fn(&str) -> Verdict + Send + Sync + 'static,
) -> World {
    let mut world = World::new(&format!("trail-{name}"), judge).await;
    world.policy = loaded(measures, more);
    let report = world.respond(&world.stolen(ACTOR, ADDRESS)).await;
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    world
}

fn loaded(measures: &str, more: &str) -> Policy {
    let text = format!(
        "version: 1\nmode: enforce\nbreak-glass: [\"arn:aws:iam::*:role/SecurityBreakGlass\"]\nrules:\n  - id: contain\n    measures: [{measures}]\n{more}"
    );
    let loaded = policy::load("policy.yaml", &text, jiff::civil::date(2026, 3, 1));
    loaded.policy.unwrap()
}

async fn follow(world: &World, event: &TrailEvent, acts: bool) -> Sweep {
    let engine = world.engine(None, SignedDuration::from_secs(45));
    match engine.follow(event, acts).await.unwrap() {
        Followed::Looked(looked) => looked,
        Followed::LeftAlone(why) => panic!("{why}"),
    }
}

fn states(sweep: &Sweep) -> Vec<SweptState> {
    sweep
        .found
        .iter()
        .map(|swept: &Swept| swept.state)
        .collect()
}

/// The event of a policy that somebody wrote to the bucket of a world.
fn written(world: &World, policy: Option<&Value>, at: Timestamp) -> TrailEvent {
    let mut event = sample();
    let detail = &mut event["detail"];
    detail["eventTime"] = json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    detail["resources"][0]["accountId"] = json!(ACCOUNT);
    detail["requestParameters"]["bucketName"] = json!(world.bucket);
    match policy {
        Some(policy) => detail["requestParameters"]["bucketPolicy"] = policy.clone(),
        None => drop(
            detail["requestParameters"]
                .as_object_mut()
                .unwrap()
                .remove("bucketPolicy"),
        ),
    }
    trail(&event)
}

fn sample() -> Value {
    serde_json::from_str(EVENT).unwrap()
}

fn one(event: &Value) -> Result<Event, EventError> {
    read(event.to_string().as_bytes()).remove(0)
}

fn trail(event: &Value) -> TrailEvent {
    match one(event) {
        Ok(Event::Trail(event)) => *event,
        other => panic!("{other:?}"),
    }
}

async fn put(world: &World, policy: &str) {
    let request = world.client.put_bucket_policy().bucket(&world.bucket);
    request.policy(policy).send().await.unwrap();
}

async fn policy(world: &World) -> String {
    let policy = policy_text(&world.client, &world.bucket).await;
    policy.unwrap_or_default()
}
