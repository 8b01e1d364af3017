//! What Macie says of a bucket, and the job that it is asked for.

use std::process::Command;
use std::time::{Duration, Instant};

use portcullis::aws::discovery::{Discovery, discover};
use portcullis::aws::macie::describe;
use portcullis::aws::{Aws, AwsOptions, Place};
use portcullis::enrichment::{Detection, MacieAnswer, MacieBucket, Unanswered};
use serde_json::{Value, json};

use super::{ACCOUNT, REGION, Scenario, denied};
use crate::stand_in::{endpoint, unique_name};

const BUCKET: &str = "amzn-s3-demo-bucket-orders";
const MEMBER: &str = "222222222222";

#[tokio::test]
async fn a_bucket_is_told_as_macie_has_it() {
    let scenario = Scenario::of(json!({"macie": {
        "buckets": [
            bucket(&json!({"bucketName": "amzn-s3-demo-bucket-other", "sensitivityScore": 99})),
            bucket(&json!({
                "sensitivityScore": 87,
                "automatedDiscoveryMonitoringStatus": "MONITORED",
                "lastAutomatedDiscoveryTime": "2026-02-28T23:59:59.5Z",
                "jobDetails": {"isDefinedInJob": "TRUE", "lastJobId": "0123456789abcdef"},
                "classifiableObjectCount": 12,
                "classifiableSizeInBytes": 3_000_000_000_i64,
                "errorMessage": null,
            })),
        ],
        "detections": {BUCKET: [
            {"id": "CREDIT_CARD_NUMBER", "name": "CREDIT_CARD_NUMBER", "type": "MANAGED", "count": 310, "suppressed": false},
            {"id": "x1", "name": "order\u{1b}[2J ids", "type": "CUSTOM", "count": 7, "arn": "arn:aws:macie2:us-east-1:000000000000:custom-data-identifier/x1"},
            {"id": "only-an-id", "type": "CUSTOM"},
        ]},
    }}));
    let detections = [
        ("CREDIT_CARD_NUMBER", 310),
        ("order\u{1b}[2J ids", 7),
        ("only-an-id", 0),
    ];
    assert_eq!(
        describe(&scenario.aws(), &place(ACCOUNT)).await,
        MacieAnswer::Bucket(MacieBucket {
            score: Some(87),
            monitored: Some(true),
            error: None,
            analyzed_at: Some("2026-02-28T23:59:59.5Z".parse().unwrap()),
            last_job: Some("0123456789abcdef".to_owned()),
            classifiable_objects: Some(12),
            classifiable_bytes: Some(3_000_000_000),
            detections: detections
                .map(|(name, count)| Detection {
                    name: name.to_owned(),
                    count
                })
                .to_vec(),
            detections_unread: None,
        })
    );
    let log = scenario.log();
    assert_eq!(log[0]["region"], REGION);
    assert_eq!(
        log[0]["input"],
        json!({"criteria": {"bucketName": {"eq": [BUCKET]}}})
    );
}

#[tokio::test]
async fn detections_are_asked_for_only_where_the_score_says_sensitive() {
    for (score, asks) in [
        (Some(-1), false),
        (None, false),
        (Some(1), false),
        (Some(49), false),
        (Some(50), false),
        (Some(51), true),
        (Some(100), true),
    ] {
        let mut entry = bucket(&json!({}));
        if let Some(score) = score {
            entry["sensitivityScore"] = json!(score);
        }
        let scenario = Scenario::of(
            json!({"macie": {"buckets": [entry], "detections": {BUCKET: [{"id": "NAME", "name": "NAME", "count": 1}]}}}),
        );
        let found = listed(describe(&scenario.aws(), &place(ACCOUNT)).await);
        assert_eq!(found.score, score);
        assert_eq!(found.detections.len(), usize::from(asks), "{score:?}");
        assert_eq!(scenario.operations().len(), 1 + usize::from(asks));
    }
}

#[tokio::test]
async fn every_page_of_detections_is_read_up_to_a_bound() {
    for (kinds, read, calls) in [(25, 25, 1), (26, 26, 2), (250, 250, 10), (251, 250, 10)] {
        let detections: Vec<Value> = (0..kinds)
            .map(|number| json!({"id": format!("ID_{number}"), "name": format!("KIND_{number}"), "count": number}))
            .collect();
        let scenario = Scenario::of(json!({"macie": {
            "buckets": [bucket(&json!({"sensitivityScore": 51}))],
            "detections": {BUCKET: detections},
        }}));
        let found = listed(describe(&scenario.aws(), &place(ACCOUNT)).await);
        let names: std::collections::BTreeSet<&str> = found
            .detections
            .iter()
            .map(|found| found.name.as_str())
            .collect();
        assert_eq!(names.len(), read);
        assert_eq!(
            scenario.inputs("ListResourceProfileDetections").len(),
            calls
        );
        assert_eq!(found.detections_unread.is_some(), kinds > read);
    }
}

#[tokio::test]
async fn detections_that_cannot_be_listed_leave_the_score() {
    let error = denied("macie2:ListResourceProfileDetections");
    let scenario = Scenario::of(json!({
        "macie": {"buckets": [bucket(&json!({"sensitivityScore": 51}))]},
        "errors": {"ListResourceProfileDetections": error},
    }));
    let found = listed(describe(&scenario.aws(), &place(ACCOUNT)).await);
    assert_eq!(found.score, Some(51));
    let why = found.detections_unread.unwrap();
    assert!(
        why.starts_with("ListResourceProfileDetections answered AccessDeniedException (User: "),
        "{why}"
    );

    let scenario = Scenario::of(json!({
        "macie": {"buckets": [bucket(&json!({"sensitivityScore": 51}))], "detections": {BUCKET: []}},
        "errors": {"ListResourceProfileDetections": {"stall": 4.0}},
    }));
    let begun = Instant::now();
    let found = listed(describe(&scenario.aws(), &place(ACCOUNT)).await);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(found.score, Some(51));
    assert!(
        found
            .detections_unread
            .unwrap()
            .contains("no answer in time")
    );
}

#[tokio::test]
async fn a_bucket_that_macie_cannot_read_says_so() {
    for code in ["ACCESS_DENIED", "BUCKET_COUNT_EXCEEDS_QUOTA"] {
        let entry = json!({"bucketName": BUCKET, "accountId": ACCOUNT, "errorCode": code, "errorMessage": "Macie is not allowed"});
        let scenario = Scenario::of(json!({"macie": {"buckets": [entry]}}));
        let found = listed(describe(&scenario.aws(), &place(ACCOUNT)).await);
        assert_eq!(
            found,
            MacieBucket {
                error: Some(code.to_owned()),
                ..MacieBucket::default()
            }
        );
    }
}

#[tokio::test]
async fn a_bucket_of_that_name_in_another_account_is_another_bucket() {
    let stranger =
        bucket(&json!({"accountId": "999999999999", "sensitivityScore": 1, "region": REGION}));
    let scenario = Scenario::of(json!({"macie": {"buckets": [stranger]}}));
    let (reason, detail) = silence(describe(&scenario.aws(), &place(ACCOUNT)).await);
    assert_eq!(reason, Unanswered::NotListed);
    assert!(
        detail.contains(ACCOUNT) && detail.contains("another bucket"),
        "{detail}"
    );

    let other = bucket(&json!({"bucketName": format!("{BUCKET}-2"), "sensitivityScore": 100}));
    let scenario = Scenario::of(json!({"macie": {"misnamed": [other]}}));
    let (reason, _) = silence(describe(&scenario.aws(), &place(ACCOUNT)).await);
    assert_eq!(reason, Unanswered::NotListed);
}

#[tokio::test]
async fn macie_that_is_off_and_a_denial_are_told_apart() {
    let off = |status: u16| json!({"status": status, "code": "AccessDeniedException", "message": "Macie is not enabled."});
    let throttled =
        json!({"status": 429, "code": "ThrottlingException", "message": "Rate exceeded"});
    let broken =
        json!({"status": 500, "code": "InternalServerException", "message": "Internal error"});
    for (error, reason, says) in [
        (
            off(403),
            Unanswered::NotEnabled,
            "AccessDeniedException (Macie is not enabled.)",
        ),
        (
            off(401),
            Unanswered::NotEnabled,
            "AccessDeniedException (Macie is not enabled.)",
        ),
        (
            denied("macie2:DescribeBuckets"),
            Unanswered::Denied,
            "not authorized to perform: macie2:DescribeBuckets",
        ),
        (
            throttled.clone(),
            Unanswered::Failed,
            "ThrottlingException (Rate exceeded)",
        ),
        (
            broken,
            Unanswered::Failed,
            "InternalServerException (Internal error)",
        ),
    ] {
        let scenario =
            Scenario::of(json!({"macie": {}, "errors": {"DescribeBuckets": error.clone()}}));
        let begun = Instant::now();
        let (found, detail) = silence(describe(&scenario.aws(), &place(ACCOUNT)).await);
        assert_eq!(found, reason, "{error}");
        assert!(detail.starts_with("DescribeBuckets answered "), "{detail}");
        assert!(detail.contains(says), "{detail}");
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert!(scenario.operations().len() <= 2, "at most one retry");
    }
    // Macie off as the stand-in has it by itself, and one retry that helps.
    let scenario = Scenario::of(json!({}));
    let (reason, _) = silence(describe(&scenario.aws(), &place(ACCOUNT)).await);
    assert_eq!(reason, Unanswered::NotEnabled);
    let scenario = Scenario::of(
        json!({"macie": {"buckets": [bucket(&json!({"sensitivityScore": 3}))]}, "errors": {"DescribeBuckets": [throttled]}}),
    );
    assert_eq!(
        listed(describe(&scenario.aws(), &place(ACCOUNT)).await).score,
        Some(3)
    );
}

#[tokio::test]
async fn macie_that_does_not_answer_is_not_waited_for() {
    let scenario =
        Scenario::of(json!({"macie": {}, "errors": {"DescribeBuckets": {"stall": 4.0}}}));
    let begun = Instant::now();
    let (reason, detail) = silence(describe(&scenario.aws(), &place(ACCOUNT)).await);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(reason, Unanswered::TimedOut);
    assert_eq!(detail, "DescribeBuckets: no answer in time");

    // Nobody there at all.
    let aws = Aws::new(
        crate::stand_in::config("http://127.0.0.1:9"),
        AwsOptions::default(),
    );
    let (reason, detail) = silence(describe(&aws, &place(ACCOUNT)).await);
    assert_eq!(reason, Unanswered::Failed);
    assert!(
        detail.starts_with("DescribeBuckets: no connection"),
        "{detail}"
    );
}

#[tokio::test]
async fn an_account_is_no_bucket() {
    let scenario = Scenario::of(json!({"macie": {}}));
    let account = Place {
        bucket: None,
        ..place(ACCOUNT)
    };
    let (reason, _) = silence(describe(&scenario.aws(), &account).await);
    assert_eq!(reason, Unanswered::NotListed);
    assert_eq!(scenario.operations(), Vec::<String>::new());
}

#[tokio::test]
async fn an_administrator_sees_its_members_buckets_and_needs_no_role() {
    let entry = bucket(&json!({"accountId": MEMBER, "sensitivityScore": 60}));
    let scenario = Scenario::of(json!({"macie": {"buckets": [entry], "detections": {BUCKET: []}}}));
    let aws = scenario.aws_with(AwsOptions {
        own_account: Some(ACCOUNT.to_owned()),
        member_role: Some("nobody-has-it".to_owned()),
        ..AwsOptions::default()
    });
    assert_eq!(listed(describe(&aws, &place(MEMBER)).await).score, Some(60));
}

#[tokio::test]
async fn the_member_is_asked_where_its_bucket_is_not_seen_from_here() {
    let role = member_role();
    let entry = bucket(&json!({"accountId": MEMBER, "sensitivityScore": 60}));
    let member = json!({"macie": {"buckets": [entry], "detections": {BUCKET: []}}});
    let not_listing = json!({"caller": "test", "macie": {"buckets": []}});
    let off = json!({"caller": "test"});
    let options = || AwsOptions {
        own_account: Some(ACCOUNT.to_owned()),
        member_role: Some(role.clone()),
        ..AwsOptions::default()
    };
    for own in [&not_listing, &off] {
        let scenario = Scenario::with(&[own.clone(), member.clone()]);
        let aws = scenario.aws_with_sts(options()).await;
        assert_eq!(listed(describe(&aws, &place(MEMBER)).await).score, Some(60));
        let callers: Vec<Value> = scenario
            .log()
            .iter()
            .map(|entry| entry["caller"].clone())
            .collect();
        assert_eq!(callers[0], "test");
        assert_eq!(callers[1], callers[2], "detections from whom lists it");
        assert_ne!(callers[1], "test");
    }

    // The member's word is the last one, and both are told.
    let scenario = Scenario::with(&[not_listing.clone(), json!({})]);
    let aws = scenario.aws_with_sts(options()).await;
    let (reason, detail) = silence(describe(&aws, &place(MEMBER)).await);
    assert_eq!(reason, Unanswered::NotEnabled);
    assert!(
        detail.contains("; with the member role: DescribeBuckets answered"),
        "{detail}"
    );

    // Neither a real denial here, nor a bucket of our own, is a reason to go there.
    let scenario = Scenario::with(&[
        json!({"caller": "test", "macie": {}, "errors": {"DescribeBuckets": denied("macie2:DescribeBuckets")}}),
        member.clone(),
    ]);
    let aws = scenario.aws_with_sts(options()).await;
    assert_eq!(
        silence(describe(&aws, &place(MEMBER)).await).0,
        Unanswered::Denied
    );
    let scenario = Scenario::with(&[not_listing.clone(), member.clone()]);
    let aws = scenario.aws_with_sts(options()).await;
    assert_eq!(
        silence(describe(&aws, &place(ACCOUNT)).await).0,
        Unanswered::NotListed
    );

    // A role that does not let us in.
    let scenario = Scenario::with(&[not_listing, member]);
    let aws = scenario
        .aws_with_sts(AwsOptions {
            member_role: Some("nobody-has-it".to_owned()),
            ..options()
        })
        .await;
    let (reason, detail) = silence(describe(&aws, &place(MEMBER)).await);
    assert_eq!(reason, Unanswered::Denied, "{detail}");
    assert!(detail.contains("nobody-has-it"), "{detail}");
}

#[tokio::test]
async fn a_discovery_job_is_created_once() {
    let scenario = Scenario::of(json!({"macie": {"buckets": [bucket(&json!({}))]}}));
    let aws = scenario.aws();
    let why = "Asked for by Portcullis. ".repeat(20);
    let Discovery::Started { job } = discover(&aws, &place(ACCOUNT), "token-1", &why)
        .await
        .unwrap()
    else {
        panic!("nothing runs yet");
    };
    assert!(!job.is_empty());
    let created = scenario.inputs("CreateClassificationJob");
    let [created] = &created[..] else {
        panic!("{created:?}")
    };
    assert_eq!(created["jobType"], "ONE_TIME");
    assert_eq!(created["clientToken"], "token-1");
    assert_eq!(
        created["s3JobDefinition"],
        json!({"bucketDefinitions": [{"accountId": ACCOUNT, "buckets": [BUCKET]}]})
    );
    let name = created["name"].as_str().unwrap();
    assert!(name.starts_with(&format!("portcullis-{BUCKET}-")), "{name}");

    // Neither the same finding again nor another one starts a second job while this one runs.
    for token in ["token-1", "token-2"] {
        assert_eq!(
            discover(&aws, &place(ACCOUNT), token, "").await.unwrap(),
            Discovery::AlreadyRunning { job: job.clone() }
        );
    }
}

#[tokio::test]
async fn only_a_job_of_ours_for_this_bucket_that_goes_on_is_in_the_way() {
    let job = |name: &str, status: &str, account: &str, bucket: &str| {
        json!({
            "jobId": "theirs", "name": name, "jobStatus": status, "jobType": "ONE_TIME",
            "createdAt": "2026-03-01T10:15:00Z",
            "bucketDefinitions": [{"accountId": account, "buckets": ["amzn-s3-demo-bucket-other", bucket]}],
        })
    };
    let ours = format!("portcullis-{BUCKET}-0123");
    let longer = format!("{BUCKET}-2");
    for (job, in_the_way) in [
        (job(&ours, "RUNNING", ACCOUNT, BUCKET), true),
        (job(&ours, "PAUSED", ACCOUNT, BUCKET), true),
        (job(&ours, "USER_PAUSED", ACCOUNT, BUCKET), true),
        (job(&ours, "COMPLETE", ACCOUNT, BUCKET), false),
        (job(&ours, "CANCELLED", ACCOUNT, BUCKET), false),
        (job(&ours, "RUNNING", MEMBER, BUCKET), false),
        (
            job(
                &format!("portcullis-{longer}-0123"),
                "RUNNING",
                ACCOUNT,
                &longer,
            ),
            false,
        ),
        (job("nightly", "RUNNING", ACCOUNT, BUCKET), false),
    ] {
        let scenario = Scenario::of(json!({"macie": {"jobs": [job]}}));
        let discovery = discover(&scenario.aws(), &place(ACCOUNT), "token", "why")
            .await
            .unwrap();
        let is_running = discovery
            == Discovery::AlreadyRunning {
                job: "theirs".to_owned(),
            };
        assert_eq!(is_running, in_the_way, "{job}");
        assert_eq!(
            scenario.inputs("CreateClassificationJob").is_empty(),
            in_the_way
        );
    }
    // On a later page.
    let other = format!("{BUCKET}-2");
    let mut jobs: Vec<Value> = (0..30)
        .map(|number| {
            job(
                &format!("portcullis-{other}-{number}"),
                "RUNNING",
                ACCOUNT,
                &other,
            )
        })
        .collect();
    jobs.push(job(&ours, "RUNNING", ACCOUNT, BUCKET));
    let scenario = Scenario::of(json!({"macie": {"jobs": jobs}}));
    let discovery = discover(&scenario.aws(), &place(ACCOUNT), "token", "why").await;
    assert!(
        matches!(discovery, Ok(Discovery::AlreadyRunning { .. })),
        "{discovery:?}"
    );
}

#[tokio::test]
async fn a_job_that_cannot_be_asked_for_says_why() {
    for (account, says) in [
        (
            json!({}),
            "ListClassificationJobs on bucket amzn-s3-demo-bucket-orders of account 000000000000 answered AccessDeniedException (Macie is not enabled.); enable Macie",
        ),
        (
            json!({"macie": {}, "errors": {"CreateClassificationJob": denied("macie2:CreateClassificationJob")}}),
            "not authorized to perform: macie2:CreateClassificationJob); check the role's permissions",
        ),
        (
            json!({"macie": {}, "errors": {"CreateClassificationJob":
                {"status": 402, "code": "ServiceQuotaExceededException", "message": "Too many jobs"}}}),
            "answered ServiceQuotaExceededException (Too many jobs)",
        ),
    ] {
        let scenario = Scenario::of(account);
        let error = discover(&scenario.aws(), &place(ACCOUNT), "token", "why")
            .await
            .unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_members_job_is_asked_for_where_its_bucket_is_seen() {
    let role = member_role();
    let entry = bucket(&json!({"accountId": MEMBER}));
    let listing = json!({"macie": {"buckets": [entry]}});
    let scenario = Scenario::with(&[json!({"caller": "test", "macie": {}}), listing.clone()]);
    let options = AwsOptions {
        own_account: Some(ACCOUNT.to_owned()),
        member_role: Some(role),
        ..AwsOptions::default()
    };
    let aws = scenario.aws_with_sts(options.clone()).await;
    let discovery = discover(&aws, &place(MEMBER), "token", "why")
        .await
        .unwrap();
    assert!(
        matches!(discovery, Discovery::Started { .. }),
        "{discovery:?}"
    );
    let last = scenario.log().pop().unwrap();
    assert_eq!(last["operation"], "CreateClassificationJob");
    assert_ne!(last["caller"], "test");

    let scenario = Scenario::of(json!({"macie": {}}));
    let aws = scenario.aws_with_sts(options).await;
    let error = discover(&aws, &place(MEMBER), "token", "why")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not-listed"), "{error}");
    assert_eq!(
        scenario.operations(),
        ["DescribeBuckets", "DescribeBuckets"]
    );
}

fn place(account: &str) -> Place {
    Place {
        bucket: Some(BUCKET.to_owned()),
        account: account.to_owned(),
        region: REGION.to_owned(),
        partition: "aws".to_owned(),
    }
}

/// The bucket as DescribeBuckets lists it, with these members.
fn bucket(members: &Value) -> Value {
    let mut bucket = json!({"bucketName": BUCKET, "accountId": ACCOUNT, "region": REGION});
    for (key, value) in members.as_object().unwrap() {
        bucket[key] = value.clone();
    }
    bucket
}

fn listed(answer: MacieAnswer) -> MacieBucket {
    match answer {
        MacieAnswer::Bucket(bucket) => bucket,
        MacieAnswer::Unanswered { .. } => panic!("{answer:?}"),
    }
}

fn silence(answer: MacieAnswer) -> (Unanswered, String) {
    match answer {
        MacieAnswer::Unanswered { reason, detail } => (reason, detail),
        MacieAnswer::Bucket(_) => panic!("{answer:?}"),
    }
}

/// The name of a role of the member's account that our own account may assume, in MiniStack.
fn member_role() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    let name = unique_name("member");
    let output = Command::new(format!("{root}/.tools/ministack/bin/python"))
        .arg(format!("{root}/tests/stand-ins/member.py"))
        .args([&endpoint("ministack"), MEMBER, ACCOUNT, &name])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    name
}
