//! Somebody else changes the bucket policy, in one step: while the evidence takes long, and just before each call in turn.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{ALL, Scene, Site, Victim, built_in};
use super::side_by_side;
use super::trial::{Call, Undisturbed, undisturbed};
use crate::stand_in::{Verdict, endpoint};

const EVENT: &str = super::RICH;
const TIME: Duration = Duration::from_secs(60);

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outside {
    pub(super) tried: usize,
    /// The calls before which the change was lost.
    pub(super) lost: Vec<String>,
    pub(super) wrong: Vec<String>,
}

/// A look beside the evidence is no good any more when that took long, though nothing was written yet.
#[test]
fn what_somebody_else_writes_while_the_evidence_takes_long_is_kept() {
    // Longer than the look takes, and together longer than it is good for.
    let long = Duration::from_millis(400);
    let is_first = AtomicBool::new(true);
    let scene = Scene::new(
        EVENT,
        &built_in(),
        Victim::default(),
        move |names, request| {
            let is_evidence = request.starts_with("PUT ") && request.contains("/records/");
            if is_evidence && is_first.swap(false, Ordering::SeqCst) {
                std::thread::sleep(long);
                add_statement(&names.site(), &names.bucket("customers"), "Outside");
                std::thread::sleep(long);
            }
            Verdict::Pass
        },
    );
    let answer = scene.function.invoke_within(&scene.event, TIME).unwrap();
    assert!(answer.is_success(), "{answer:?}");
    let (kept, rest) = without(&scene, "Outside");
    assert!(kept, "{rest:#?}");
    assert!(rest.iter().any(|statement| statement["Effect"] == "Deny"));
    assert_eq!(super::trial::rolled_back(&scene), Vec::<String>::new());
    assert!(without(&scene, "Outside").0);
}

/// Only what falls between the last look and the write is lost, and that is one place.
#[test]
fn what_somebody_else_writes_is_lost_at_one_place_only() {
    let undisturbed = undisturbed(EVENT, ALL);
    let near = |call: &&Call| call.0.contains("?policy") || call.0.contains("?encryption");
    let calls: Vec<Call> = undisturbed.calls.iter().filter(near).cloned().collect();
    assert_all(&at(&calls, &undisturbed));
}

/// The same at every call.
pub(super) fn at_every_call() -> Outside {
    let undisturbed = undisturbed(EVENT, ALL);
    at(&undisturbed.calls, &undisturbed)
}

fn assert_all(outside: &Outside) {
    assert_eq!(outside.wrong, Vec::<String>::new());
    assert_eq!(outside.lost, ["PUT /amzn-s3-demo-bucket-customers/?policy"]);
}

fn at(calls: &[Call], undisturbed: &Undisturbed) -> Outside {
    let outside = Mutex::new(Outside::default());
    side_by_side(calls.len(), 4, |index| {
        one(&calls[index], undisturbed, &outside)
    });
    outside.into_inner().unwrap()
}

fn one(call: &Call, undisturbed: &Undisturbed, outside: &Mutex<Outside>) {
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, awaited) = (count.clone(), call.clone());
    let scene = Scene::new(EVENT, ALL, Victim::default(), move |names, request| {
        let is_it = names.of(request) == awaited.0;
        if is_it && counted.fetch_add(1, Ordering::SeqCst) == awaited.1 {
            add_statement(&names.site(), &names.bucket("customers"), "Outside");
        }
        Verdict::Pass
    });
    let first = scene.function.invoke_within(&scene.event, TIME).unwrap();
    if count.load(Ordering::SeqCst) <= call.1 {
        return;
    }
    let mut wrong = Vec::new();
    if !first.is_success() {
        let second = scene.function.invoke_within(&scene.event, TIME);
        if !second.as_ref().is_some_and(|second| second.is_success()) {
            wrong.push(format!("the second delivery fails: {second:?}"));
        }
    }
    let (kept, rest) = without(&scene, "Outside");
    if rest != statements(&undisturbed.policy()) {
        wrong.push(format!("contained otherwise: {rest:#?}"));
    }
    wrong.extend(super::trial::rolled_back(&scene));
    let (after, rest) = without(&scene, "Outside");
    if rest != statements(&undisturbed.policy_before()) || after != kept {
        wrong.push(format!("rolled back to {rest:#?}, and kept: {after}"));
    }
    let mut outside = outside.lock().unwrap();
    outside.tried += 1;
    outside.lost.extend((!kept).then(|| call.0.clone()));
    outside
        .wrong
        .extend(wrong.into_iter().map(|wrong| format!("{call:?}: {wrong}")));
}

/// Adds a statement to a bucket's policy as somebody would who reads it first, and returns the policy.
pub(super) fn add_statement(site: &Site, bucket: &str, sid: &str) -> Value {
    let path = format!("/{bucket}?policy");
    let (status, text) = site.ask("GET", &path, "");
    let mut policy = match status {
        200 => serde_json::from_str(&text).unwrap(),
        _ => json!({"Version": "2012-10-17", "Statement": []}),
    };
    let statement = json!({"Sid": sid, "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", site.account)},
        "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/*")});
    policy["Statement"].as_array_mut().unwrap().push(statement);
    site.put(&path, &policy.to_string());
    policy
}

/// Whether the policy has that statement, and the others.
fn without(scene: &Scene, sid: &str) -> (bool, Vec<Value>) {
    let (_, text) = scene
        .site
        .ask("GET", &format!("/{}?policy", scene.buckets[0]), "");
    let all = statements(&scene.names.plain(&text));
    let rest: Vec<Value> = all.iter().filter(|s| s["Sid"] != sid).cloned().collect();
    (rest.len() < all.len(), rest)
}

fn statements(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    policy["Statement"].as_array().cloned().unwrap_or_default()
}

impl super::scene::Names {
    /// MiniStack for the account of the scene.
    fn site(&self) -> Site {
        Site {
            host: endpoint("ministack")
                .strip_prefix("http://")
                .unwrap()
                .to_owned(),
            account: self.account.clone(),
        }
    }

    fn bucket(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }
}
