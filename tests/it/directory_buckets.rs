//! Directory buckets: what is asked of them, and the way there and back.
//!
//! The stand-in knows no directory buckets and takes one for a bucket with an odd name: this shows that the policy comes and
//! goes, and proves nothing about sessions.

use jiff::Timestamp;
use portcullis::aws::{Aws, AwsOptions};
use portcullis::classification::Own;
use portcullis::decision::wanted;
use portcullis::engine::{Engine, RollbackRequest};
use portcullis::finding::{Bucket, Event, Finding, Target, read};
use portcullis::policy::{self, Policy};
use portcullis::record::Outcome;
use portcullis::settings::SettingKind;
use portcullis::store::{Folder, Store};

use crate::stand_in::{ACCOUNT, Proxy, Verdict, client, config, endpoint, unique_name};
use crate::world::engine_of;

#[test]
fn nothing_but_the_policy_is_read() {
    for measures in [
        "deny-actor, remove-public-grants, preserve-data, mark-contained",
        "block-public-access, mark-contained",
    ] {
        let finding = finding("amzn-s3-demo-bucket--use1-az4--x-s3");
        let policy = policy_of(measures);
        let now = Timestamp::UNIX_EPOCH;
        let own = Own::default();
        let wanted = wanted(&finding, &finding.targets[0], &policy, &own, false, now);
        let expected: &[SettingKind] = match measures.contains("deny-actor") {
            true => &[SettingKind::BucketPolicy],
            false => &[],
        };
        assert!(
            wanted.settings.iter().eq(expected),
            "{measures}: {wanted:?}"
        );
        assert!(!wanted.sensitivity);
    }
}

#[tokio::test]
async fn a_session_is_denied_and_the_policy_comes_back() {
    let url = endpoint("ministack");
    let proxy = Proxy::start(&url, |_| Verdict::Pass);
    let root = client(&url);
    let name = unique_name("dir");
    let bucket = format!("{name}--use1-az4--x-s3");
    root.create_bucket().bucket(&bucket).send().await.unwrap();
    let arn = format!("arn:aws:s3express:us-east-1:{ACCOUNT}:bucket/{bucket}");
    let before = format!(
        r#"{{ "Version": "2012-10-17", "Statement": [ {{ "Sid": "Partner", "Effect": "Allow", "Principal": {{ "AWS": "arn:aws:iam::222222222222:root" }}, "Action": "s3express:CreateSession", "Resource": "{arn}" }} ] }}"#
    );
    let put = root.put_bucket_policy().bucket(&bucket).policy(&before);
    put.send().await.unwrap();

    let aws = Aws::new(config(&proxy.url), AwsOptions::default());
    let store = Store::Folder(Folder::new(
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(&bucket),
    ));
    let own = Own {
        principals: vec![format!("arn:aws:iam::{ACCOUNT}:role/function")],
        account: Some(ACCOUNT.to_owned()),
    };
    let policy = policy_of("deny-actor, block-public-access");
    let engine = Engine {
        operator: Some("operator"),
        ..engine_of(&aws, &store, &policy, &own)
    };
    let report = engine.respond(&finding(&bucket)).await.remove(0);
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
    let text = || async {
        let answer = root.get_bucket_policy().bucket(&bucket).send().await;
        answer.unwrap().policy.unwrap()
    };
    let contained = text().await;
    let ours = format!(r#""Action":["s3express:CreateSession"],"Resource":["{arn}"]"#);
    assert!(contained.contains(&ours), "{contained}");
    let asked = proxy.requests();
    assert!(
        asked.iter().all(|request| request.contains("policy")),
        "{asked:?}"
    );

    let record = Engine::load(&store, report.summary.id.as_ref().unwrap())
        .await
        .unwrap();
    let request = RollbackRequest::default();
    let undone = engine.rollback(&record, &request).await.unwrap();
    assert_eq!(undone.summary.outcome, Outcome::RolledBack);
    assert_eq!(text().await, before);
}

fn policy_of(measures: &str) -> Policy {
    let text = format!(
        "version: 1\nmode: enforce\nbreak-glass: [\"arn:aws:iam::*:role/SecurityBreakGlass\"]\n\
         rules:\n  - id: contain\n    measures: [{measures}]\n"
    );
    let loaded = policy::load("policy.yaml", &text, jiff::civil::date(2026, 3, 1));
    loaded.policy.unwrap()
}

fn finding(bucket: &str) -> Finding {
    let event = include_bytes!("../../events/impact-write.json");
    let Ok(Event::Finding(finding)) = read(event).remove(0) else {
        panic!("the event is a finding")
    };
    let bucket = Bucket {
        name: bucket.to_owned(),
        account: ACCOUNT.to_owned(),
        directory: true,
        ..Bucket::default()
    };
    Finding {
        account: ACCOUNT.to_owned(),
        targets: vec![Target::Bucket(bucket)],
        ..*finding
    }
}
