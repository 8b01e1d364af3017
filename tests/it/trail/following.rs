//! What others do to a containment, followed: told, held, or left alone.

use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use jiff::{SignedDuration, Timestamp};
use portcullis::drift::Undone;
use portcullis::engine::{Engine, Followed};
use portcullis::finding::{Target, TrailEvent};
use portcullis::policy::Mode;
use portcullis::record::Outcome;
use portcullis::store::{LeaseRequest, acquire, lease_key};
use portcullis::sweep::SweptState;
use serde_json::{Value, json};

use super::{contained, follow, loaded, policy, put, sample, states, written};
use crate::stand_in::{ACCOUNT, policy_text};
use crate::world::public_policy;

/// The undoing of a containment is told at once, with who wrote last.
#[tokio::test]
async fn what_somebody_undoes_is_told_at_once() {
    let world = contained("undone", "deny-actor", "").await;
    put(&world, &public_policy(&world.bucket)).await;
    let theirs = serde_json::from_str(&public_policy(&world.bucket)).unwrap();
    let later = Timestamp::now() + SignedDuration::from_secs(30);
    let looked = follow(&world, &written(&world, Some(&theirs), later), true).await;
    assert_eq!(states(&looked), [SweptState::Drift], "{looked:?}");
    assert_eq!(looked.drifted(), 1);
    let swept = &looked.found[0];
    let undone: Vec<String> = swept.undone.iter().map(Undone::in_full).collect();
    assert_eq!(
        undone,
        ["bucket policy: statement PortcullisDenyActor is gone or was changed"]
    );
    assert!(
        swept.detail[0].starts_with("seen after PutBucketPolicy by arn:aws:sts::"),
        "{swept:?}"
    );
}

/// Where it is to be held it is put back at once, and once: two programs that undo each other would never end.
#[tokio::test]
async fn what_is_to_be_held_is_put_back_at_once_and_not_over_and_over() {
    let world = contained("held", "deny-actor", "    hold: true\n").await;
    let theirs = serde_json::from_str(&public_policy(&world.bucket)).unwrap();
    let later = Timestamp::now() + SignedDuration::from_secs(30);
    let event = written(&world, Some(&theirs), later);
    put(&world, &public_policy(&world.bucket)).await;
    // A look that may not act puts nothing back.
    assert_eq!(
        states(&follow(&world, &event, false).await),
        [SweptState::Drift]
    );
    let looked = follow(&world, &event, true).await;
    assert_eq!(states(&looked), [SweptState::Held], "{looked:?}");
    assert!(policy(&world).await.contains("PortcullisDenyActor"));

    put(&world, &public_policy(&world.bucket)).await;
    let looked = follow(&world, &event, true).await;
    assert_eq!(states(&looked), [SweptState::Drift], "{looked:?}");
    let told = looked.found[0].detail.join("; ");
    assert!(told.contains("the next sweep does it again"), "{told}");
    let engine = world.engine(None, SignedDuration::from_secs(45));
    assert_eq!(
        states(&engine.sweep(true).await.unwrap()),
        [SweptState::Held]
    );
}

/// Held is what is in place again: what today's policy file does not ask for any more is not, whatever else was done.
#[tokio::test]
async fn what_today_s_policy_does_not_ask_for_is_not_said_to_be_held() {
    let mut world = contained("less", "deny-actor", "    hold: true\n").await;
    put(&world, &public_policy(&world.bucket)).await;
    let theirs = serde_json::from_str(&public_policy(&world.bucket)).unwrap();
    let later = Timestamp::now() + SignedDuration::from_secs(30);
    let event = written(&world, Some(&theirs), later);
    world.policy = loaded("block-public-access", "    hold: true\n");
    for outcome in [Outcome::Contained, Outcome::AlreadyContained] {
        let looked = world.engine(None, SignedDuration::from_secs(45));
        let looked = match outcome {
            Outcome::Contained => follow(&world, &event, true).await,
            _ => looked.sweep(true).await.unwrap(),
        };
        assert_eq!(states(&looked), [SweptState::Drift], "{looked:?}");
        assert_eq!(looked.found[0].outcome, Some(outcome), "{looked:?}");
        let told = looked.found[0].detail.join("; ");
        assert!(told.contains("does not ask for all of it"), "{told}");
    }
}

/// Flags of Block Public Access that somebody turns off, told by the call that did.
#[tokio::test]
async fn flags_that_are_turned_off_are_told_at_once() {
    let world = contained("flags", "block-public-access", "").await;
    let off = PublicAccessBlockConfiguration::builder().build();
    let request = world.client.put_public_access_block().bucket(&world.bucket);
    let request = request.public_access_block_configuration(off);
    request.send().await.unwrap();
    let mut event = written(&world, None, Timestamp::now());
    event.name = "PutBucketPublicAccessBlock".to_owned();
    let looked = follow(&world, &event, true).await;
    assert_eq!(states(&looked), [SweptState::Drift], "{looked:?}");
    assert_eq!(looked.found[0].undone.len(), 4, "{looked:?}");
}

#[tokio::test]
async fn what_changes_nothing_of_ours_is_left_alone_without_a_look() {
    let world = contained("alone", "deny-actor", "").await;
    let theirs = json!({"Version": "2012-10-17", "Statement": []});
    let event = || written(&world, Some(&theirs), Timestamp::now());
    let refused = TrailEvent {
        error: Some("AccessDenied".to_owned()),
        ..event()
    };
    let own = TrailEvent {
        role: Some(format!("arn:aws:iam::{ACCOUNT}:role/function")),
        ..event()
    };
    let mut elsewhere = event();
    if let Target::Bucket(bucket) = &mut elsewhere.target {
        bucket.name += "-other";
    }
    let account = TrailEvent {
        name: "PutAccountPublicAccessBlock".to_owned(),
        target: Target::Account(ACCOUNT.to_owned()),
        ..event()
    };
    world.proxy.forget();
    for (event, told) in [
        (account, "nothing was ever contained on account"),
        (refused, "was refused with AccessDenied"),
        (own, "own-activity: "),
        (elsewhere, "nothing was ever contained on bucket"),
    ] {
        let engine = world.engine(None, SignedDuration::from_secs(30));
        let Followed::LeftAlone(why) = engine.follow(&event, true).await.unwrap() else {
            panic!("{told}")
        };
        assert!(why.contains(told), "{why}");
    }
    assert_eq!(world.proxy.requests(), Vec::<String>::new());
}

/// A run that is at work has not yet done what it is about to do, and nobody has undone it.
#[tokio::test]
async fn whoever_is_at_work_is_waited_for() {
    let world = contained("waits", "deny-actor", "").await;
    let request = |seconds: i64| LeaseRequest {
        key: lease_key(ACCOUNT, Some(&world.bucket)).unwrap(),
        holder: "a run that is at work",
        finding: "f-1",
        ttl: SignedDuration::from_secs(seconds),
        wait_until: Timestamp::now(),
    };
    let clock = || Timestamp::now();
    let lease = acquire(&world.store, request(60), &clock).await.unwrap();
    let ours = policy(&world).await;
    put(&world, &public_policy(&world.bucket)).await;
    let theirs = json!({"Version": "2012-10-17", "Statement": []});
    let event = written(
        &world,
        Some(&theirs),
        Timestamp::now() + SignedDuration::from_secs(30),
    );
    let engine = Engine {
        deadline: Timestamp::now() + SignedDuration::from_secs(4),
        ..world.engine(None, SignedDuration::from_secs(30))
    };
    let began = Timestamp::now();
    let error = engine.follow(&event, true).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(Timestamp::now().duration_since(began) > SignedDuration::from_secs(1));
    // What looks undone while they work is what they are about to do.
    let work = async {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        put(&world, &ours).await;
        lease.release(&world.store).await.unwrap();
    };
    let (looked, ()) = futures_util::join!(follow(&world, &event, true), work);
    assert_eq!(states(&looked), [], "{looked:?}");
}

#[tokio::test]
async fn an_observing_deployment_writes_nothing_but_what_it_keeps() {
    let mut world = contained("observes", "deny-actor", "    hold: true\n").await;
    world.stack_mode = Mode::Observe;
    put(&world, &public_policy(&world.bucket)).await;
    world.proxy.forget();
    let theirs = serde_json::from_str(&public_policy(&world.bucket)).unwrap();
    let later = Timestamp::now() + SignedDuration::from_secs(30);
    let looked = follow(&world, &written(&world, Some(&theirs), later), false).await;
    assert_eq!(states(&looked), [SweptState::Drift]);
    assert_eq!(world.proxy.writes(), Vec::<String>::new());
}

/// The deployed function: what it answers, logs, counts and sends.
#[tokio::test]
async fn the_function_follows_what_cloudtrail_tells() {
    let world = crate::lambda::World::new("lambda-trail", "enforce").await;
    let mut event = sample();
    event["detail"]["eventTime"] = json!("2026-10-05T14:20:31Z");
    event["detail"]["resources"][0]["accountId"] = json!(ACCOUNT);
    event["detail"]["requestParameters"]["bucketName"] = json!(world.bucket);
    let answer = world.function.invoke(&event);
    assert_eq!(
        answer.response()["ignored"],
        json!([format!(
            "nothing was ever contained on bucket {} of account {ACCOUNT}",
            world.bucket
        )])
    );

    let before = policy_text(&crate::stand_in::client(&world.endpoint), &world.bucket).await;
    world.function.invoke(&world.event());
    let client = crate::stand_in::client(&world.endpoint);
    let off = client.delete_public_access_block().bucket(&world.bucket);
    off.send().await.unwrap();
    let put = client.put_bucket_policy().bucket(&world.bucket);
    put.policy(before.unwrap()).send().await.unwrap();
    let answer = world.function.invoke(&event);
    let found = &answer.response()["sweep"]["found"];
    assert_eq!(found[0]["state"], "drift", "{answer:?}");
    assert_eq!(found.as_array().unwrap().len(), 1, "{answer:?}");

    let logs = world.function.logs();
    let lines = logs
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let metrics: Vec<Value> = lines.filter(|line| line["_aws"].is_object()).collect();
    let count = |name: &str| metrics.iter().map(|m| m[name].as_u64()).collect::<Vec<_>>();
    // Calls are no findings, whether or not there was something to look at.
    assert_eq!(count("FindingsReceived"), [Some(0), Some(1), Some(0)]);
    assert_eq!(count("FindingsIgnored"), [Some(0), Some(0), Some(0)]);
    assert_eq!(count("DriftFound"), [None, None, Some(1)]);
    assert!(logs.contains("\"swept\""), "{logs}");
}
