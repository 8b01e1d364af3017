//! The updates of one finding out of order, more than once, and with other actors in them.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use portcullis::finding::Finding;
use portcullis::record::Outcome;
use serde_json::Value;

use super::side_by_side;
use crate::stand_in::{Verdict, policy_text};
use crate::world::{World, public_policy};

const UPDATES: usize = 4;
/// Of all updates, and of two of them once more.
const DELIVERIES: usize = UPDATES + 2;

/// What came of the orders.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) orders: usize,
    pub(super) deliveries: usize,
    pub(super) wrong: Vec<String>,
}

#[test]
fn the_order_of_updates_makes_no_difference() {
    assert_eq!(orders(3, 1).wrong, Vec::<String>::new());
}

/// Some orders, each of all updates and of some of them twice; so many at once.
pub(super) fn orders(number: usize, at_once: usize) -> Orders {
    let orders = Mutex::new(Orders::default());
    side_by_side(number, at_once, |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let wrong = runtime.unwrap().block_on(one(seed));
        let mut orders = orders.lock().unwrap();
        orders.orders += 1;
        orders.deliveries += DELIVERIES;
        orders.wrong.extend(wrong);
    });
    orders.into_inner().unwrap()
}

/// What is wrong with one order.
async fn one(seed: usize) -> Vec<String> {
    let world = World::new("order", |_| Verdict::Pass).await;
    let mut order: Vec<usize> = (0..UPDATES)
        .chain([seed % UPDATES, seed / 3 % UPDATES])
        .collect();
    shuffle(&mut order, seed);
    let mut wrong = Vec::new();
    let mut reports = Vec::new();
    for update in &order {
        let report = world.respond(&finding(&world, *update)).await;
        match report.summary.outcome {
            Outcome::Contained => reports.push(report),
            Outcome::AlreadyContained => {}
            _ => wrong.push(format!("{:?}", report.summary)),
        }
    }
    let policy = statements(&policy_text(&world.client, &world.bucket).await.unwrap());
    let ours: Vec<&Value> = policy
        .iter()
        .filter(|s| s["Sid"].as_str().unwrap().starts_with("Portcullis"))
        .collect();
    let actors: Vec<String> = (0..UPDATES).map(|n| format!("{}:*", actor(n))).collect();
    let denied = &ours[0]["Condition"]["StringLike"]["aws:userid"];
    if ours.len() != 2 || *denied != serde_json::json!(actors) {
        wrong.push(format!("{policy:#?}"));
    }
    shuffle(&mut reports, seed + 1);
    for report in &reports {
        let undone = world.roll_back(report).await;
        if undone.summary.outcome != Outcome::RolledBack {
            wrong.push(format!("{:?}", undone.summary));
        }
    }
    let left = statements(&policy_text(&world.client, &world.bucket).await.unwrap());
    if left != statements(&public_policy(&world.bucket)) {
        wrong.push(format!("after rollback: {left:#?}"));
    }
    // A person has rolled the finding back, and no update, old or new, is stronger than that.
    let stale = world.respond(&finding(&world, seed % UPDATES)).await;
    if stale.summary.outcome != Outcome::Withheld {
        wrong.push(format!("{:?}", stale.summary));
    }
    let told = wrong.into_iter().map(|wrong| format!("{order:?}: {wrong}"));
    told.collect()
}

fn finding(world: &World, update: usize) -> Finding {
    let address = format!("198.51.100.{}", update + 1);
    let first: Timestamp = "2026-10-05T08:46:30Z".parse().unwrap();
    Finding {
        updated_at: Some(first + SignedDuration::from_mins(5 * update as i64)),
        ..world.stolen(&format!("{}:session", actor(update)), &address)
    }
}

fn actor(update: usize) -> String {
    format!("AROAEXAMPLEUPDATE{update:04}")
}

fn statements(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).unwrap();
    policy["Statement"].as_array().unwrap().clone()
}

/// The same for the same seed.
fn shuffle<T>(items: &mut [T], seed: usize) {
    let mut state = seed as u64 * 2 + 1;
    for index in (1..items.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        items.swap(index, (state >> 33) as usize % (index + 1));
    }
}
