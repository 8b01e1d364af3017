//! The engine over HTTP: the real SDK, against a stand-in that enforces policies.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use portcullis::aws::{Aws, AwsOptions};
use portcullis::classification::Own;
use portcullis::engine::{Engine, EngineError, Report, RollbackError, RollbackRequest};
use portcullis::finding::{Bucket, Event, Finding, Target, read};
use portcullis::guard::Guard;
use portcullis::plan::Change;
use portcullis::policy::{self, Mode};
use portcullis::record::{ChangeStatus, Outcome};
use portcullis::settings::{Document, PublicAccessBlock, Setting, SettingKind};
use portcullis::store::{Folder, LeaseRequest, Store, acquire, lease_key, release_key};

use crate::stand_in::{
    ACCOUNT, Verdict, client, config, delete_bucket, endpoint, flags, policy_text, seed_bucket,
    send, stranger_gets, unique_name,
};
use crate::world::{POLICY, World, engine_of, guards, public_policy};

#[tokio::test]
async fn a_public_bucket_is_contained_and_every_byte_comes_back() {
    let world = World::new("contained", |_| Verdict::Pass).await;
    let before = policy_text(&world.client, &world.bucket).await.unwrap();
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        200
    );

    let report = world.respond(&world.public()).await;
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        403
    );
    assert_eq!(flags(&world.client, &world.bucket).await, Some([true; 4]));
    let contained = policy_text(&world.client, &world.bucket).await.unwrap();
    assert!(
        contained.contains("Partner") && !contained.contains("World"),
        "{contained}"
    );

    let undone = world.roll_back(&report).await;
    assert_eq!(
        undone.summary.outcome,
        Outcome::RolledBack,
        "{:?}",
        undone.summary
    );
    assert_eq!(
        policy_text(&world.client, &world.bucket).await.unwrap(),
        before
    );
    assert_eq!(flags(&world.client, &world.bucket).await, Some([false; 4]));
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        200
    );

    // The person who rolled back is not overruled by the next update of the same finding.
    let again = world.respond(&world.public()).await;
    assert_eq!(again.summary.outcome, Outcome::Withheld);
    assert_eq!(guards(&again), [Guard::Released; 2]);
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        200
    );
}

#[tokio::test]
async fn a_second_delivery_writes_nothing_but_the_lease() {
    let world = World::new("twice", |_| Verdict::Pass).await;
    assert_eq!(
        world.respond(&world.public()).await.summary.outcome,
        Outcome::Contained
    );
    let (files, writes) = (world.files(), world.proxy.writes().len());
    let second = world.respond(&world.public()).await;
    assert_eq!(second.summary.outcome, Outcome::AlreadyContained);
    assert_eq!(world.proxy.writes().len(), writes);
    assert_eq!(world.files(), files);
}

#[tokio::test]
async fn two_round_trips_come_before_the_first_containing_write() {
    // Lease, release, limits and observation; evidence and a second look; then the write. On a machine that is busy the
    // evidence may take longer than that look is good for: then there must be a third one, and nothing else is different.
    let mut rounds = Vec::new();
    for _ in 0..5 {
        rounds = rounds_of_a_containment().await;
        let write = round_of(&rounds, "?policy");
        let looks = rounds.iter().filter(|(request, round)| {
            request.starts_with("GET") && request.contains("?policy") && *round < write
        });
        let looks: Vec<usize> = looks.map(|(_, round)| *round).collect();
        let evidence = (
            round_of(&rounds, "/leases/"),
            round_of(&rounds, "/records/"),
        );
        assert_eq!(evidence, (1, 2), "{rounds:#?}");
        assert!(
            [&[1, 2][..], &[1, 2, 3]].contains(&&looks[..]),
            "{rounds:#?}"
        );
        assert_eq!(write, looks.len() + 1, "{rounds:#?}");
        if write == 3 {
            break;
        }
    }
    assert_eq!(round_of(&rounds, "?policy"), 3, "{rounds:#?}");
    let of_first_round = rounds.iter().filter(|(_, round)| *round == 1).count();
    assert!(
        of_first_round <= 8,
        "lease, release, two lists, policy, ACL, flags, and Macie beside: {rounds:#?}"
    );
}

/// The requests that contain a bucket, each with the round trip that it is part of.
async fn rounds_of_a_containment() -> Vec<(String, usize)> {
    // The pause makes what is sent together overlap, however fast the stand-in is.
    let world = World::with_store("trips", true, |_| {
        std::thread::sleep(std::time::Duration::from_millis(60));
        Verdict::Pass
    })
    .await;
    world.proxy.forget();
    assert_eq!(
        world.respond(&world.public()).await.summary.outcome,
        Outcome::Contained
    );
    world.proxy.rounds()
}

/// The round trip of the first such write.
fn round_of(rounds: &[(String, usize)], part: &str) -> usize {
    let found = rounds
        .iter()
        .find(|(request, _)| request.starts_with("PUT") && request.contains(part));
    found
        .unwrap_or_else(|| panic!("no {part} in {rounds:#?}"))
        .1
}

#[tokio::test]
async fn the_actor_is_denied_and_a_second_one_joins_him() {
    let world = World::new("actor", |_| Verdict::Pass).await;
    let report = world
        .respond(&world.stolen("AROAEXAMPLEFIRST0001:alice", "198.51.100.7"))
        .await;
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
    let second = Finding {
        id: "f".repeat(32),
        ..world.stolen("AROAEXAMPLESECOND002:bob", "198.51.100.9")
    };
    let second = world.respond(&second).await;
    assert_eq!(
        second.summary.outcome,
        Outcome::Contained,
        "{:?}",
        second.summary
    );
    let policy: serde_json::Value =
        serde_json::from_str(&policy_text(&world.client, &world.bucket).await.unwrap()).unwrap();
    let ours: Vec<_> = policy["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| s["Sid"].as_str().unwrap().starts_with("Portcullis"))
        .collect();
    assert_eq!(ours.len(), 2, "{policy:#}");
    assert_eq!(
        ours[0]["Condition"]["StringLike"]["aws:userid"],
        serde_json::json!(["AROAEXAMPLEFIRST0001:*", "AROAEXAMPLESECOND002:*"])
    );

    // Undone one after the other, the first first: his entries go, the second's stay.
    assert_eq!(
        world.roll_back(&report).await.summary.outcome,
        Outcome::RolledBack
    );
    let text = policy_text(&world.client, &world.bucket).await.unwrap();
    assert!(!text.contains("FIRST") && text.contains("SECOND"), "{text}");
    assert_eq!(
        world.roll_back(&second).await.summary.outcome,
        Outcome::RolledBack
    );
    // Only the white space between the statements is not the owner's any more: a merged policy was read back between.
    let left: serde_json::Value =
        serde_json::from_str(&policy_text(&world.client, &world.bucket).await.unwrap()).unwrap();
    assert_eq!(
        left,
        serde_json::from_str::<serde_json::Value>(&public_policy(&world.bucket)).unwrap()
    );
}

#[tokio::test]
async fn what_others_write_while_the_evidence_is_stored_is_kept() {
    static READS: AtomicU32 = AtomicU32::new(0);
    static BUCKET: Mutex<String> = Mutex::new(String::new());
    let direct = endpoint("ministack");
    let world = World::with_store("race", true, move |request| {
        // The second look at the policy is the one beside the evidence.
        let looks = request.starts_with("GET") && request.contains("?policy");
        if looks && READS.fetch_add(1, Ordering::SeqCst) == 1 {
            let (endpoint, bucket) = (direct.clone(), BUCKET.lock().unwrap().clone());
            let added = public_policy(&bucket).replace("Partner", "SomebodyElse");
            let write = async move {
                client(&endpoint)
                    .put_bucket_policy()
                    .bucket(&bucket)
                    .policy(added)
                    .send()
                    .await
                    .unwrap();
            };
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(write);
        }
        Verdict::Pass
    })
    .await;
    *BUCKET.lock().unwrap() = world.bucket.clone();
    let report = world.respond(&world.public()).await;
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
    let text = policy_text(&world.client, &world.bucket).await.unwrap();
    assert!(
        text.contains("SomebodyElse") && !text.contains("World"),
        "{text}"
    );
}

#[tokio::test]
async fn what_others_turn_on_while_the_evidence_is_stored_stays_on_after_rollback() {
    static READS: AtomicU32 = AtomicU32::new(0);
    static BUCKET: Mutex<String> = Mutex::new(String::new());
    let direct = endpoint("ministack");
    let world = World::new("flags", move |request| {
        // The second look at the flags is the one beside the evidence.
        let looks = request.starts_with("GET") && request.contains("?publicAccessBlock");
        if looks && READS.fetch_add(1, Ordering::SeqCst) == 1 {
            let (endpoint, bucket) = (direct.clone(), BUCKET.lock().unwrap().clone());
            let some = aws_sdk_s3::types::PublicAccessBlockConfiguration::builder()
                .ignore_public_acls(true)
                .build();
            let write = async move {
                let put = client(&endpoint).put_public_access_block().bucket(&bucket);
                put.public_access_block_configuration(some)
                    .send()
                    .await
                    .unwrap();
            };
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(write);
        }
        Verdict::Pass
    })
    .await;
    *BUCKET.lock().unwrap() = world.bucket.clone();
    let report = world.respond(&world.public()).await;
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
    assert_eq!(flags(&world.client, &world.bucket).await, Some([true; 4]));
    // The plan that was given up has a record, too, with flags that are out of date.
    let given_up = report
        .summary
        .id
        .as_ref()
        .unwrap()
        .strip_suffix("-2")
        .unwrap();
    let record = Engine::load(&world.store, given_up).await.unwrap();
    let engine = world.engine(Some("operator"), SignedDuration::from_secs(30));
    let refused = engine
        .rollback(&record, &RollbackRequest::default())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, RollbackError::NothingDone { .. }),
        "{refused}"
    );
    assert_eq!(
        world.roll_back(&report).await.summary.outcome,
        Outcome::RolledBack
    );
    assert_eq!(
        flags(&world.client, &world.bucket).await,
        Some([false, true, false, false])
    );
}

#[tokio::test]
async fn a_conflict_is_waited_out_and_a_lost_answer_is_looked_up() {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    let world = World::new("conflict", |request| {
        let is_write = request.starts_with("PUT") && request.contains("?p");
        match (
            is_write,
            is_write.then(|| SEEN.fetch_add(1, Ordering::SeqCst)),
        ) {
            (true, Some(0)) => Verdict::Refuse(409, "OperationAborted"),
            (true, Some(2)) => Verdict::LoseAnswer,
            _ => Verdict::Pass,
        }
    })
    .await;
    let report = world.respond(&world.public()).await;
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
    assert!(SEEN.load(Ordering::SeqCst) >= 3);
}

/// With BlockPublicPolicy on, S3 would refuse the Deny that the next delivery brings, as long as the policy is public.
#[tokio::test]
async fn a_policy_that_is_not_read_now_can_still_be_written_by_the_next_delivery() {
    static FAILS: AtomicBool = AtomicBool::new(true);
    let world = World::new("later", |request| {
        let reads = request.starts_with("GET") && request.contains("?policy");
        match reads && FAILS.load(Ordering::SeqCst) {
            true => Verdict::Refuse(500, "InternalError"),
            false => Verdict::Pass,
        }
    })
    .await;
    let world = world.under("[deny-actor, block-public-access]");
    let finding = world.stolen("AROAEXAMPLEFIRST0001:alice", "198.51.100.7");
    let before = flags(&world.client, &world.bucket).await;

    let report = world.respond(&finding).await;
    assert!(report.fails_the_invocation(), "{report:?}");
    assert_eq!(guards(&report), [Guard::Unreadable]);
    // What was open is closed all the same.
    assert_eq!(
        flags(&world.client, &world.bucket).await,
        Some([true, true, false, true])
    );
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        403
    );

    FAILS.store(false, Ordering::SeqCst);
    let report = world.respond(&finding).await;
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    let policy = policy_text(&world.client, &world.bucket).await.unwrap();
    assert!(policy.contains("PortcullisDenyActor"), "{policy}");
    assert_eq!(flags(&world.client, &world.bucket).await, Some([true; 4]));
    let undone = world.roll_back(&report).await;
    assert_eq!(undone.summary.outcome, Outcome::RolledBack, "{undone:?}");
    assert_eq!(
        policy_text(&world.client, &world.bucket).await.unwrap(),
        public_policy(&world.bucket)
    );
    assert_eq!(flags(&world.client, &world.bucket).await, before);
}

#[tokio::test]
async fn a_refused_write_is_told_and_the_other_is_made() {
    let world = World::new("refused", |request| {
        match request.starts_with("PUT") && request.contains("?policy") {
            true => Verdict::Refuse(403, "AccessDenied"),
            false => Verdict::Pass,
        }
    })
    .await;
    let report = world.respond(&world.public()).await;
    assert_eq!(report.summary.outcome, Outcome::Partial);
    let status: Vec<_> = report
        .summary
        .changes
        .iter()
        .map(|change| (change.setting, change.status))
        .collect();
    assert_eq!(
        status,
        [
            (SettingKind::BucketPolicy, ChangeStatus::Failed),
            (SettingKind::PublicAccessBlock, ChangeStatus::Verified)
        ]
    );
    let why = report.summary.changes[0].detail.as_deref().unwrap();
    assert!(
        why.starts_with("PutBucketPolicy on bucket ") && why.contains("AccessDenied"),
        "{why}"
    );
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        403
    );
}

/// A write without an answer may have taken, whatever the next one is answered.
#[tokio::test]
async fn a_write_that_got_no_answer_before_it_was_refused_is_not_told_as_unwritten() {
    static WRITES: AtomicUsize = AtomicUsize::new(0);
    let world = World::new("no-answer-refused", |request| {
        match request.starts_with("PUT") && request.contains("?policy") {
            // The SDK's own attempts at the first write get no answer.
            true if WRITES.fetch_add(1, Ordering::SeqCst) < 3 => Verdict::Break,
            true => Verdict::Refuse(403, "AccessDenied"),
            false => Verdict::Pass,
        }
    })
    .await;
    let report = world
        .respond(&world.stolen("AROAEXAMPLEFIRST0001:alice", "198.51.100.7"))
        .await;
    let writes = WRITES.load(Ordering::SeqCst);
    assert!(writes > 3, "{writes}");
    let change = &report.summary.changes[0];
    assert_eq!(change.status, ChangeStatus::Unverified, "{change:?}");
    let why = change.detail.as_deref().unwrap();
    assert!(
        why.starts_with("what is read back is not what was written"),
        "{why}"
    );
}

/// Somebody turns flags on between the policy and the flags, so that the rest is planned anew: what was written before counts
/// still, whether S3 refuses the rest or nothing is left of it.
#[tokio::test]
async fn what_a_plan_before_has_written_counts_whatever_becomes_of_the_next() {
    let on = |names: &[&str]| {
        let flags = names.iter().map(|name| format!("<{name}>true</{name}>"));
        let flags: String = flags.collect();
        format!(
            "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{flags}</PublicAccessBlockConfiguration>"
        )
    };
    let three = [
        "BlockPublicAcls",
        "IgnorePublicAcls",
        "RestrictPublicBuckets",
    ];
    let all = [&three[..], &["BlockPublicPolicy"]].concat();
    for (name, then, outcome, count) in [
        ("refused", None, Outcome::Partial, 2),
        ("done", Some(on(&all)), Outcome::Contained, 1),
    ] {
        let first = on(&three);
        let statuses = Arc::new(Mutex::new(Vec::new()));
        let outsiders = statuses.clone();
        let (written, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
        let url = endpoint("ministack");
        let world = World::new(&format!("rounds-{name}"), move |request| {
            let bucket = request.split(['/', '?']).nth(1).unwrap_or_default();
            let outside = |flags: &str| {
                let url = format!("{url}/{bucket}?publicAccessBlock");
                let signed = "AWS4-HMAC-SHA256 Credential=test/20260301/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
                let status = send("PUT", &url, &[("authorization", signed)], flags);
                outsiders.lock().unwrap().push(status);
            };
            let is_of_flags = request.ends_with("?publicAccessBlock");
            if request.contains("?policy") && !request.starts_with("GET") {
                written.store(true, Ordering::SeqCst);
            } else if is_of_flags && request.starts_with("GET") && written.load(Ordering::SeqCst) {
                // The last look before the write, and then the one on which the next plan rests.
                match (looks.fetch_add(1, Ordering::SeqCst), &then) {
                    (0, _) => outside(&first),
                    (1, Some(then)) => outside(then),
                    _ => {}
                }
            } else if is_of_flags && request.starts_with("PUT") {
                return Verdict::Refuse(403, "AccessDenied");
            }
            Verdict::Pass
        })
        .await;
        let report = world.respond(&world.public()).await;
        let statuses = statuses.lock().unwrap().clone();
        assert_eq!(statuses, vec![200; 3 - count], "{name}");
        assert_eq!(report.summary.outcome, outcome, "{name}: {report:?}");
        let changes = &report.summary.changes;
        assert_eq!(changes.len(), count, "{name}: {changes:?}");
        assert_eq!(
            (changes[0].setting, changes[0].status),
            (SettingKind::BucketPolicy, ChangeStatus::Verified),
            "{name}"
        );
        assert!(report.result.is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_policy_that_may_not_be_read_is_never_taken_for_none() {
    let world = World::new("unreadable", |request| {
        match request.starts_with("GET") && request.contains("?policy") {
            true => Verdict::Refuse(403, "AccessDenied"),
            false => Verdict::Pass,
        }
    })
    .await;
    let before = policy_text(&world.client, &world.bucket).await;
    let report = world.respond(&world.public()).await;
    // The flags need no reading of the policy: they still close the bucket.
    assert_eq!(report.summary.outcome, Outcome::Contained);
    assert_eq!(guards(&report), [Guard::Unreadable]);
    assert_eq!(policy_text(&world.client, &world.bucket).await, before);
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        403
    );
}

#[tokio::test]
async fn without_evidence_nothing_is_written() {
    let world = World::with_store("evidence", true, |request| {
        match request.contains("/records/") {
            true => Verdict::Refuse(403, "AccessDenied"),
            false => Verdict::Pass,
        }
    })
    .await;
    let report = world.respond(&world.public()).await;
    assert_eq!(report.summary.outcome, Outcome::Failed);
    assert!(
        matches!(report.error, Some(EngineError::Evidence(_))),
        "{:?}",
        report.error
    );
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        200
    );
    assert_eq!(flags(&world.client, &world.bucket).await, Some([false; 4]));
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_taken_up_with_its_evidence() {
    static CUT: AtomicBool = AtomicBool::new(true);
    let world = World::new("cut", |request| {
        let second_write = request.starts_with("PUT") && request.contains("publicAccessBlock");
        match second_write && CUT.load(Ordering::SeqCst) {
            // Long enough for the test to drop the run in the middle of it.
            true => {
                std::thread::sleep(std::time::Duration::from_secs(3));
                Verdict::Break
            }
            false => Verdict::Pass,
        }
    })
    .await;
    let before = policy_text(&world.client, &world.bucket).await.unwrap();
    let cut = tokio::time::timeout(
        std::time::Duration::from_secs(2),
        world.respond(&world.public()),
    )
    .await;
    assert!(cut.is_err(), "the run was to be cut off");
    CUT.store(false, Ordering::SeqCst);
    let ids: Vec<String> = world
        .files()
        .into_iter()
        .filter(|file| file.starts_with("records/"))
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");

    // The lease of the lost run is still there; the next one waits for its end.
    std::fs::remove_file(
        world
            .root
            .join(lease_key(ACCOUNT, Some(&world.bucket)).unwrap()),
    )
    .unwrap();
    let report = world.respond(&world.public()).await;
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
    assert_eq!(
        ids,
        [format!(
            "records/{}.json",
            report.summary.id.as_ref().unwrap()
        )]
    );
    assert_eq!(
        world.roll_back(&report).await.summary.outcome,
        Outcome::RolledBack
    );
    assert_eq!(
        policy_text(&world.client, &world.bucket).await.unwrap(),
        before
    );
}

#[tokio::test]
async fn a_held_lease_stops_the_work() {
    let world = World::new("held", |_| Verdict::Pass).await;
    let file = world
        .root
        .join(lease_key(ACCOUNT, Some(&world.bucket)).unwrap());
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let (now, later) = (
        Timestamp::now(),
        Timestamp::now()
            .saturating_add(SignedDuration::from_mins(5))
            .unwrap(),
    );
    let lease = serde_json::json!({"version": 1, "holder": "another", "finding": "other", "acquired": now, "expires": later, "released": false});
    std::fs::write(&file, lease.to_string()).unwrap();
    let report = world
        .respond_within(&world.public(), SignedDuration::from_secs(2))
        .await;
    assert_eq!(report.summary.outcome, Outcome::Failed);
    assert!(
        report.error.as_ref().is_some_and(EngineError::is_transient),
        "{:?}",
        report.error
    );
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        200
    );
}

/// The update of a finding that waits while a person puts the bucket back must not contain it again.
#[tokio::test]
async fn who_waited_for_the_lease_looks_again() {
    let world = World::new("waited", |_| Verdict::Pass).await;
    let finding = world.public();
    let now = Timestamp::now();
    let person = LeaseRequest {
        key: lease_key(ACCOUNT, Some(&world.bucket)).unwrap(),
        holder: "a person",
        finding: &finding.id,
        ttl: SignedDuration::from_secs(30),
        wait_until: now,
    };
    let lease = acquire(&world.store, person, &Timestamp::now)
        .await
        .unwrap();
    let puts_back = async {
        // Until the update has seen that there is no release.
        while world.proxy.requests().len() < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let key = release_key(&finding.id, ACCOUNT, Some(&world.bucket)).unwrap();
        world.store.create(&key, b"{}").await.unwrap();
        lease.release(&world.store).await.unwrap();
    };
    let (report, ()) = futures_util::join!(world.respond(&finding), puts_back);
    assert_eq!(
        (report.summary.outcome, guards(&report)),
        (Outcome::Withheld, vec![Guard::Released; 2])
    );
    assert_eq!(world.proxy.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_bucket_that_is_gone_and_one_out_of_reach_are_withheld() {
    let world = World::new("gone", |_| Verdict::Pass).await;
    let foreign = Finding {
        targets: vec![Target::Bucket(Bucket {
            name: world.bucket.clone(),
            account: "444455556666".into(),
            ..Bucket::default()
        })],
        ..world.public()
    };
    let report = world.respond(&foreign).await;
    assert_eq!(
        (report.summary.outcome, guards(&report)),
        (Outcome::Withheld, vec![Guard::OtherAccount; 2])
    );
    assert!(
        report
            .summary
            .reason
            .as_ref()
            .unwrap()
            .contains("PORTCULLIS_MEMBER_ROLE")
    );

    delete_bucket(&world.client, &world.bucket).await;
    let report = world.respond(&world.public()).await;
    assert_eq!(
        (report.summary.outcome, guards(&report)),
        (Outcome::Withheld, vec![Guard::BucketGone; 2])
    );
}

#[tokio::test]
async fn a_sample_reaches_no_bucket() {
    let world = World::new("sample", |_| Verdict::Pass).await;
    world.proxy.forget();
    let report = world
        .respond(&Finding {
            sample: true,
            ..world.public()
        })
        .await;
    assert_eq!(
        (report.summary.outcome, guards(&report)),
        (Outcome::Withheld, vec![Guard::SampleFinding; 2])
    );
    assert_eq!(world.proxy.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn observe_mode_writes_the_record_and_nothing_else() {
    let world = World::new("observe", |_| Verdict::Pass).await;
    let world = World {
        stack_mode: Mode::Observe,
        ..world
    };
    world.proxy.forget();
    let report = world.respond(&world.public()).await;
    assert_eq!(
        (report.summary.outcome, guards(&report)),
        (Outcome::Withheld, vec![Guard::ObserveMode; 2])
    );
    assert_eq!(
        report.record.as_ref().unwrap().decision.plan.changes.len(),
        2
    );
    assert_eq!(world.proxy.writes(), Vec::<String>::new());
    assert_eq!(world.files().len(), 1);
}

#[tokio::test]
async fn the_hourly_limit_holds_back_the_next_bucket_and_not_the_one_at_work() {
    let world = World::new("limit", |_| Verdict::Pass).await;
    let mut policy = world.policy.clone();
    policy.limits.buckets_per_hour = 1;
    let world = World { policy, ..world };
    assert_eq!(
        world.respond(&world.public()).await.summary.outcome,
        Outcome::Contained
    );
    // A later finding about the same bucket is not held back by the bucket itself.
    let later = Finding {
        id: "e".repeat(32),
        ..world.stolen("AROAEXAMPLEFIRST0001:alice", "198.51.100.7")
    };
    assert_eq!(
        world.respond(&later).await.summary.outcome,
        Outcome::Contained
    );

    let other = unique_name("portcullis-limit-other");
    seed_bucket(&world.client, &other, Some(&public_policy(&other))).await;
    let target = Target::Bucket(Bucket {
        name: other.clone(),
        account: ACCOUNT.into(),
        ..Bucket::default()
    });
    let report = world
        .respond(&Finding {
            targets: vec![target],
            ..world.public()
        })
        .await;
    assert_eq!(
        (report.summary.outcome, guards(&report)),
        (Outcome::Withheld, vec![Guard::BlastRadius; 2])
    );
    assert_eq!(stranger_gets(&world.endpoint, &other, "report.csv"), 200);
}

#[tokio::test]
async fn the_hourly_limit_holds_across_runs_of_the_same_instant() {
    let world = World::new("instant", |_| Verdict::Pass).await;
    let mut policy = world.policy.clone();
    policy.limits.buckets_per_hour = 2;
    let world = World { policy, ..world };
    let mut findings = Vec::new();
    for number in 0..7 {
        findings.push(Finding {
            id: format!("{number}").repeat(32),
            targets: vec![another_bucket(&world, "instant").await],
            ..world.public()
        });
    }
    // Two of them are one finding's: targets of a run share the hour with each other as with other runs.
    let second = findings.pop().unwrap().targets;
    findings[0].targets.extend(second);
    let engine = || world.engine(None, SignedDuration::from_secs(30));
    let runs = findings
        .iter()
        .map(|finding| async move { engine().respond(finding).await });
    let reports = futures_util::future::join_all(runs).await;
    let reports: Vec<Report> = reports.into_iter().flatten().collect();
    let count = |outcome| {
        let ended = reports
            .iter()
            .filter(|report| report.summary.outcome == outcome);
        ended.count()
    };
    assert_eq!(
        (count(Outcome::Contained), count(Outcome::Withheld)),
        (2, 5)
    );
    let held = reports
        .iter()
        .filter(|report| report.summary.outcome == Outcome::Withheld);
    for report in held {
        assert_eq!(guards(report), [Guard::BlastRadius; 2]);
        assert_eq!(
            stranger_gets(
                &world.endpoint,
                report.summary.bucket.as_deref().unwrap(),
                "report.csv"
            ),
            200
        );
    }
}

/// One object counts the hour, and hundreds of targets that wrote it one after the other would wait for each other.
#[tokio::test]
async fn the_targets_of_a_finding_take_their_places_together() {
    let world = World::with_store("places", true, |_| Verdict::Pass).await;
    let mut targets = Vec::new();
    for _ in 0..16 {
        targets.push(another_bucket(&world, "places").await);
    }
    let finding = Finding {
        targets,
        ..world.public()
    };
    let mut policy = world.policy.clone();
    policy.limits.buckets_per_hour = 16;
    let world = World { policy, ..world };
    let engine = world.engine(None, SignedDuration::from_secs(30));
    let reports = engine.respond(&finding).await;
    let contained = |report: &&Report| report.summary.outcome == Outcome::Contained;
    assert_eq!(reports.iter().filter(contained).count(), 16, "{reports:?}");
    let writes = world.proxy.writes();
    let counted = writes.iter().filter(|write| write.contains("last-hour"));
    assert!((1..16).contains(&counted.count()), "{writes:?}");

    // Every one of them counts.
    let more = Finding {
        id: "0".repeat(32),
        targets: vec![another_bucket(&world, "places").await],
        ..finding
    };
    let report = world.respond(&more).await;
    assert_eq!(guards(&report), [Guard::BlastRadius; 2], "{report:?}");
}

async fn another_bucket(world: &World, name: &str) -> Target {
    let name = unique_name(&format!("portcullis-{name}"));
    seed_bucket(&world.client, &name, Some(&public_policy(&name))).await;
    Target::Bucket(Bucket {
        name,
        account: ACCOUNT.into(),
        ..Bucket::default()
    })
}

#[tokio::test]
async fn our_own_activity_is_ignored() {
    let world = World::new("own", |_| Verdict::Pass).await;
    let mut finding = world.stolen("AROAEXAMPLEPORTCULLIS:portcullis", "198.51.100.7");
    finding.actors[0].name = Some("function".to_owned());
    let report = world.respond(&finding).await;
    assert_eq!(report.summary.outcome, Outcome::Ignored);
    assert!(
        report
            .summary
            .reason
            .as_ref()
            .unwrap()
            .starts_with("own-activity")
    );
    assert!(world.files().is_empty());
}

#[tokio::test]
async fn drift_is_shown_and_refused_unless_forced() {
    let world = World::new("drift", |_| Verdict::Pass).await;
    let report = world.respond(&world.public()).await;
    let some = aws_sdk_s3::types::PublicAccessBlockConfiguration::builder()
        .ignore_public_acls(true)
        .build();
    let put = world.client.put_public_access_block().bucket(&world.bucket);
    put.public_access_block_configuration(some)
        .send()
        .await
        .unwrap();

    let undone = world.roll_back(&report).await;
    let drift = &undone
        .record
        .as_ref()
        .unwrap()
        .rollback
        .as_ref()
        .unwrap()
        .inverse
        .drift;
    assert_eq!(
        drift.iter().map(|drift| drift.setting).collect::<Vec<_>>(),
        [SettingKind::PublicAccessBlock]
    );
    assert_eq!(
        flags(&world.client, &world.bucket).await,
        Some([false, true, false, false])
    );
    assert_eq!(
        undone.summary.outcome,
        Outcome::Partial,
        "{:?}",
        undone.summary
    );

    let record = report.record.as_ref().unwrap();
    let forced = world
        .roll_back_forced(record, SettingKind::PublicAccessBlock)
        .await;
    assert_eq!(
        forced.summary.outcome,
        Outcome::RolledBack,
        "{:?}",
        forced.summary
    );
    assert_eq!(flags(&world.client, &world.bucket).await, Some([false; 4]));
}

/// The account's flags are read where a policy would still be public, and only there: what S3 would refuse is withheld.
#[tokio::test]
async fn a_policy_that_the_account_keeps_from_being_public_is_not_written() {
    let endpoint = endpoint("moto");
    // moto takes the account from the role that was assumed, so that no other test sees these flags.
    let account = "555566667777";
    let sts = aws_sdk_sts::Client::new(&config(&endpoint));
    let role = sts
        .assume_role()
        .role_arn(format!("arn:aws:iam::{account}:role/function"))
        .role_session_name("test");
    let assumed = role.send().await.unwrap();
    let assumed = assumed.credentials().unwrap();
    let credentials = aws_sdk_s3::config::Credentials::new(
        assumed.access_key_id(),
        assumed.secret_access_key(),
        Some(assumed.session_token().to_owned()),
        None,
        "test",
    );
    let provider = aws_sdk_s3::config::SharedCredentialsProvider::new(credentials);
    let config = config(&endpoint)
        .into_builder()
        .credentials_provider(provider)
        .build();
    let client = aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(true)
            .build(),
    );
    let bucket = unique_name("portcullis-account-flags");
    seed_bucket(&client, &bucket, Some(&public_policy(&bucket))).await;
    let before = policy_text(&client, &bucket).await;

    let options = AwsOptions {
        own_account: Some(account.into()),
        s3control_endpoint: Some(endpoint.clone()),
        ..AwsOptions::default()
    };
    let aws = Aws::new(config, options);
    let own = Own {
        principals: vec![format!("arn:aws:iam::{account}:role/function")],
        account: Some(account.into()),
    };
    let Ok(Event::Finding(finding)) =
        read(include_bytes!("../../events/exfiltration-anomalous.json")).remove(0)
    else {
        panic!("the event is a finding")
    };
    let target = Target::Bucket(Bucket {
        name: bucket.clone(),
        account: account.into(),
        ..Bucket::default()
    });
    let finding = Finding {
        targets: vec![target.clone()],
        ..*finding
    };
    let place = portcullis::aws::Place::of(&finding, &target);
    let setting = SettingKind::AccountPublicAccessBlock;
    let on = Change {
        setting,
        before: Setting::Absent,
        after: Setting::Present(Document::PublicAccessBlock(PublicAccessBlock {
            block_public_policy: true,
            ..PublicAccessBlock::default()
        })),
        measures: Vec::new(),
    };
    portcullis::aws::write(&aws, &place, &on).await.unwrap();
    let store = Store::Folder(Folder::new(
        std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&bucket),
    ));
    let policy = policy::load("policy.yaml", POLICY, jiff::civil::date(2026, 3, 1))
        .policy
        .unwrap();
    let engine = engine_of(&aws, &store, &policy, &own);
    let report = engine.respond(&finding).await.remove(0);
    assert_eq!(report.summary.outcome, Outcome::Withheld, "{report:?}");
    assert_eq!(guards(&report), [Guard::PublicPolicyRefused; 2]);
    assert_eq!(policy_text(&client, &bucket).await, before);
}

#[tokio::test]
async fn an_account_is_closed_and_opened_again() {
    // MiniStack has no Block Public Access for accounts; moto stores it, and enforces nothing.
    let endpoint = endpoint("moto");
    let account = "123456789012";
    let own = Own {
        principals: vec![format!("arn:aws:iam::{account}:role/function")],
        account: Some(account.into()),
    };
    let options = AwsOptions {
        own_account: own.account.clone(),
        s3control_endpoint: Some(endpoint.clone()),
        ..AwsOptions::default()
    };
    let aws = Aws::new(config(&endpoint), options);
    let store = Store::Folder(Folder::new(
        std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique_name("account")),
    ));
    let text = POLICY.replace(
        "[remove-public-grants, block-public-access]",
        "[block-account-public-access, remove-public-grants]",
    );
    let policy = policy::load("policy.yaml", &text, jiff::civil::date(2026, 3, 1))
        .policy
        .unwrap();
    let engine = engine_of(&aws, &store, &policy, &own);
    let Ok(Event::Finding(finding)) = read(include_bytes!(
        "../../events/account-block-public-access-disabled.json"
    ))
    .remove(0) else {
        panic!("the event is a finding")
    };
    let finding = Finding {
        account: account.into(),
        targets: vec![Target::Account(account.into())],
        ..*finding
    };
    let report = engine.respond(&finding).await.remove(0);
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
    assert_eq!(guards(&report), [Guard::WrongTarget]);
    let setting = SettingKind::AccountPublicAccessBlock;
    let place = portcullis::aws::Place::of(&finding, &finding.targets[0]);
    let now = portcullis::aws::read(&aws, &place, setting).await.unwrap();
    assert_eq!(
        now,
        report.record.as_ref().unwrap().decision.plan.changes[0].after
    );

    let record = Engine::load(&store, report.summary.id.as_ref().unwrap())
        .await
        .unwrap();
    let undone = engine
        .rollback(&record, &RollbackRequest::default())
        .await
        .unwrap();
    assert_eq!(
        undone.summary.outcome,
        Outcome::RolledBack,
        "{:?}",
        undone.summary
    );
    let now = portcullis::aws::read(&aws, &place, setting).await.unwrap();
    assert_eq!(now, portcullis::settings::Setting::Absent);
}

#[tokio::test]
async fn an_operator_gets_the_plan_that_was_confirmed_or_none() {
    let world = World::new("confirmed", |_| Verdict::Pass).await;
    let time = SignedDuration::from_secs(30);
    let shown = world
        .engine(Some("operator"), time)
        .preview(&world.public())
        .await
        .remove(0)
        .record
        .unwrap();
    let other = public_policy(&world.bucket).replace("Partner", "SomebodyElse");
    world
        .client
        .put_bucket_policy()
        .bucket(&world.bucket)
        .policy(&other)
        .send()
        .await
        .unwrap();

    let confirmed = [&shown];
    let engine = Engine {
        confirmed: Some(&confirmed),
        ..world.engine(Some("operator"), time)
    };
    let report = engine.respond(&world.public()).await.remove(0);
    assert!(
        matches!(report.error, Some(EngineError::NotAsShown)),
        "{:?}",
        report.summary
    );
    assert_eq!(
        policy_text(&world.client, &world.bucket).await.unwrap(),
        other
    );
    assert!(world.files().is_empty(), "{:?}", world.files());

    world
        .client
        .put_bucket_policy()
        .bucket(&world.bucket)
        .policy(public_policy(&world.bucket))
        .send()
        .await
        .unwrap();
    let report = engine.respond(&world.public()).await.remove(0);
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
}
