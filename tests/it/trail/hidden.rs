//! What a write of ours hid of somebody else's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use portcullis::engine::Followed;
use portcullis::record::Outcome;
use portcullis::sweep::{Sweep, SweptState};
use serde_json::{Value, json};

use super::{
    ACTOR, ADDRESS, contained, contained_by, follow, loaded, policy, put, states, written,
};
use crate::stand_in::{ACCOUNT, Verdict};
use crate::world::{World, public_policy};

/// What somebody wrote between our look and our write is told, with all of it kept; what they had seen is not.
#[tokio::test]
async fn what_a_containment_wrote_over_is_told_and_kept() {
    let world = contained("over", "deny-actor", "").await;
    let before: Value = serde_json::from_str(&public_policy(&world.bucket)).unwrap();
    let ours = policy(&world).await;
    let mut theirs = before.clone();
    let statements = theirs["Statement"].as_array_mut().unwrap();
    // They had taken a statement out and added another one.
    statements.retain(|statement| statement["Sid"] != "World");
    statements.push(
        json!({"Sid": "Outside", "Effect": "Allow", "Principal": {"AWS": ACCOUNT},
        "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{}/*", world.bucket)}),
    );
    let event = written(&world, Some(&theirs), Timestamp::now());

    world.proxy.forget();
    let mut kept = Vec::new();
    // The second delivery says the same, and keeps nothing else.
    for _ in 0..2 {
        let looked = follow(&world, &event, true).await;
        let [swept] = &looked.found[..] else {
            panic!("{looked:?}")
        };
        assert_eq!(swept.state, SweptState::Overwritten);
        assert!(looked.needs_a_person());
        let told = swept.detail.join("\n");
        assert!(
            told.starts_with("PutBucketPolicy by arn:aws:sts::"),
            "{told}"
        );
        for line in [
            "missing: statement Outside (Allow s3:GetObject)",
            "back again: statement World (Allow s3:GetObject)",
        ] {
            assert!(told.contains(line), "{told}");
        }
        assert!(!told.contains("Partner"), "{told}");
        let files = world.files().into_iter();
        kept = files
            .filter(|file| file.starts_with("overwritten/"))
            .collect();
        assert_eq!(kept, [format!("overwritten/{}.json", event.id)]);
        let place = world.root.join(&kept[0]).display().to_string();
        assert_eq!(swept.kept.as_ref(), Some(&place));
    }
    let kept = std::fs::read_to_string(world.root.join(&kept[0])).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let policy_kept: Value = serde_json::from_str(kept["policy"].as_str().unwrap()).unwrap();
    assert_eq!(policy_kept, theirs);
    assert_eq!(kept["lost"]["missing"].as_array().unwrap().len(), 1);
    assert_eq!(world.proxy.writes(), Vec::<String>::new());
    assert_eq!(policy(&world).await, ours);
}

#[tokio::test]
async fn what_was_seen_or_came_before_or_is_there_is_not_told() {
    let world = contained("seen", "deny-actor", "").await;
    let seen: Value = serde_json::from_str(&public_policy(&world.bucket)).unwrap();
    let now: Value = serde_json::from_str(&policy(&world).await).unwrap();
    let other = json!({"Version": "2012-10-17", "Statement": []});
    let early = Timestamp::now() - SignedDuration::from_mins(5);
    for (theirs, at) in [
        (&seen, Timestamp::now()),
        (&now, Timestamp::now()),
        (&other, early),
    ] {
        let looked = follow(&world, &written(&world, Some(theirs), at), true).await;
        assert_eq!(states(&looked), [], "{looked:?}");
    }
    // Whoever deleted the policy in that moment had all of it written back.
    let mut event = written(&world, None, Timestamp::now());
    event.name = "DeleteBucketPolicy".to_owned();
    let looked = follow(&world, &event, true).await;
    assert_eq!(states(&looked), [SweptState::Overwritten]);
    let told = looked.found[0].detail.join("\n");
    assert!(
        told.contains("back again: statement World") && told.contains("Partner"),
        "{told}"
    );
    assert!(!told.contains("PortcullisDenyActor"), "{told}");
    // A policy that CloudTrail does not have proves nothing, and is not taken for none.
    let mut event = written(&world, None, Timestamp::now());
    event.name = "PutBucketPolicy".to_owned();
    let looked = follow(&world, &event, true).await;
    let told = looked.found[0].detail.join("\n");
    assert!(told.contains("without the policy"), "{told}");
}

/// What cannot be read is neither there nor gone.
#[tokio::test]
async fn a_policy_that_cannot_be_read_is_told_as_that() {
    let refuses = Arc::new(AtomicBool::new(false));
    let shared = refuses.clone();
    let world = contained_by("unread", "deny-actor", "", move |request| {
        let is_it = request.starts_with("GET ") && request.contains("?policy");
        match is_it && shared.load(Ordering::SeqCst) {
            true => Verdict::Refuse(403, "AccessDenied"),
            false => Verdict::Pass,
        }
    })
    .await;
    refuses.store(true, Ordering::SeqCst);
    let theirs = json!({"Version": "2012-10-17", "Statement": []});
    let looked = follow(
        &world,
        &written(&world, Some(&theirs), Timestamp::now()),
        true,
    )
    .await;
    let told = looked.found.iter().flat_map(|swept| &swept.detail);
    let told = told.cloned().collect::<Vec<_>>().join("; ");
    assert!(
        told.contains(
            "whether theirs was lost is not known: GetBucketPolicy answered AccessDenied"
        ),
        "{told}"
    );
    assert!(!told.contains("missing"), "{told}");
}

/// What we write to undo a containment can hide what somebody wrote, too; of a run that was cut off nobody knows when it wrote.
#[tokio::test]
async fn a_rollback_hides_as_a_containment_does_and_so_does_a_run_that_was_cut_off() {
    let mut world = World::new("trail-back", |_| Verdict::Pass).await;
    world.policy = loaded("deny-actor", "");
    let report = world.respond(&world.stolen(ACTOR, ADDRESS)).await;
    let mut theirs: Value = serde_json::from_str(&policy(&world).await).unwrap();
    let report = world.roll_back(&report).await;
    assert_eq!(report.summary.outcome, Outcome::RolledBack, "{report:?}");
    let outside = json!({"Sid": "Outside", "Effect": "Allow", "Principal": {"AWS": ACCOUNT},
        "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{}/*", world.bucket)});
    theirs["Statement"].as_array_mut().unwrap().push(outside);
    let now = Timestamp::now();
    let looked = follow(&world, &written(&world, Some(&theirs), now), true).await;
    let [swept] = &looked.found[..] else {
        panic!("{looked:?}")
    };
    assert!(swept.record.starts_with("u-"), "{swept:?}");
    assert!(
        swept.detail[1].starts_with("missing: statement Outside"),
        "{swept:?}"
    );
    assert_eq!(looked.standing, 0);

    // A minute later both had come to their end.
    let minute = now + SignedDuration::from_mins(1);
    let late = written(&world, Some(&theirs), minute);
    assert_eq!(states(&follow(&world, &late, true).await), []);
    for file in world.files().iter().filter(|file| file.contains(".result")) {
        std::fs::remove_file(world.root.join(file)).unwrap();
    }
    let looked = follow(&world, &late, true).await;
    assert_eq!(states(&looked), [SweptState::Overwritten], "{looked:?}");
    let much_later = written(&world, Some(&theirs), now + SignedDuration::from_mins(5));
    assert_eq!(states(&follow(&world, &much_later, true).await), []);
}

/// S3 hands some principals back in another form: a statement that is there is not missing.
#[tokio::test]
async fn a_principal_that_s3_rewrites_is_not_taken_for_another() {
    let world = contained("canonical", "deny-actor", "").await;
    let statement = |principal: Value| {
        json!({"Sid": "", "Effect": "Allow", "Principal": principal, "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::{}/*", world.bucket)})
    };
    let mut now: Value = serde_json::from_str(&policy(&world).await).unwrap();
    let mut theirs = now.clone();
    let rewritten = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E2EXAMPLE";
    let mut read = statement(json!({ "AWS": rewritten }));
    read.as_object_mut().unwrap().remove("Sid");
    now["Statement"].as_array_mut().unwrap().push(read);
    put(&world, &now.to_string()).await;
    let asked = statement(
        json!({"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}),
    );
    theirs["Statement"].as_array_mut().unwrap().push(asked);
    let event = written(&world, Some(&theirs), Timestamp::now());
    assert_eq!(states(&follow(&world, &event, true).await), []);
    // One that is not there in any form is.
    put(
        &world,
        &policy(&world).await.replace("cloudfront", "somebody"),
    )
    .await;
    theirs["Statement"]
        .as_array_mut()
        .unwrap()
        .last_mut()
        .unwrap()["Action"] = json!("s3:PutObject");
    let event = written(&world, Some(&theirs), Timestamp::now());
    assert_eq!(
        states(&follow(&world, &event, true).await),
        [SweptState::Overwritten]
    );
}

/// Whatever goes wrong at one call, the next delivery tells it: what was told is not kept half, and what was not is no success.
#[tokio::test]
async fn an_event_that_meets_an_error_is_told_by_the_next_delivery() {
    const ERRORS: [fn() -> Verdict; 3] = [
        || Verdict::Refuse(503, "SlowDown"),
        || Verdict::Refuse(403, "AccessDenied"),
        || Verdict::LoseAnswer,
    ];
    // The call at which it goes wrong, how it does, and how many calls there were.
    let at = Arc::new([const { AtomicUsize::new(usize::MAX) }; 3]);
    let shared = at.clone();
    let judge = move |_: &str| {
        let [wrong, error, calls] = &*shared;
        match calls.fetch_add(1, Ordering::SeqCst) >= wrong.load(Ordering::SeqCst) {
            true => ERRORS[error.load(Ordering::SeqCst)](),
            false => Verdict::Pass,
        }
    };
    let set = |wrong: usize, error: usize| {
        let [at_wrong, at_error, calls] = &*at;
        at_wrong.store(wrong, Ordering::SeqCst);
        at_error.store(error, Ordering::SeqCst);
        calls.store(0, Ordering::SeqCst);
    };
    set(usize::MAX, 0);
    let world = World::with_store("trail-faults", true, judge).await;
    let report = world.respond(&world.stolen(ACTOR, ADDRESS)).await;
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    let theirs = json!({"Version": "2012-10-17", "Statement": [{"Sid": "Outside", "Effect": "Allow",
        "Principal": {"AWS": ACCOUNT}, "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{}/*", world.bucket)}]});
    let mut event = written(&world, Some(&theirs), Timestamp::now());
    set(usize::MAX, 0);
    let told = |looked: &Sweep| {
        let found = looked.found.iter();
        let hidden = found.filter(|swept| swept.state == SweptState::Overwritten);
        let lines = hidden.flat_map(|swept| &swept.detail);
        lines.cloned().collect::<Vec<_>>()
    };
    let whole = told(&follow(&world, &event, true).await);
    let calls = at[2].load(Ordering::SeqCst);
    assert!(calls >= 10, "{calls}");
    let plain = |lines: &[String], id: &str| lines.join("\n").replace(id, "EVENT");
    let expected = plain(&whole, &event.id);
    let mut failed = 0;
    // Each error at every third call: those who are refused try again, which takes its time.
    for call in 0..calls {
        let error = call % ERRORS.len();
        event.id = format!("event-{call}");
        set(call, error);
        let engine = world.engine(None, SignedDuration::from_secs(5));
        match engine.follow(&event, true).await {
            Err(_) => failed += 1,
            // What goes over by itself fails the invocation, so that the event comes again. Whoever may not read is told so.
            Ok(Followed::Looked(looked)) => {
                let lines = plain(&told(&looked), &event.id);
                let is_refused = error == 1 && lines.contains("is not known");
                assert!(lines == expected || is_refused, "{call} {error}: {lines}");
            }
            Ok(Followed::LeftAlone(why)) => panic!("{call} {error}: {why}"),
        }
        set(usize::MAX, 0);
        let again = plain(&told(&follow(&world, &event, true).await), &event.id);
        assert_eq!(again, expected, "{call} {error}");
    }
    assert!(failed > calls / 3, "{failed} of {calls}");
}
