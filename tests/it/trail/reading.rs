//! Events of CloudTrail, read.

use portcullis::finding::{Event, EventError, Target};
use serde_json::json;

use super::{one, sample, trail};

#[test]
fn an_event_of_cloudtrail_is_read() {
    let event = trail(&sample());
    assert_eq!(
        (
            event.name.as_str(),
            event.by.as_str(),
            event.role.as_deref()
        ),
        (
            "PutBucketPolicy",
            "arn:aws:sts::111122223333:assumed-role/deploy/pipeline-4711",
            Some("arn:aws:iam::111122223333:role/ci/deploy"),
        )
    );
    let Target::Bucket(bucket) = &event.target else {
        panic!("{event:?}")
    };
    assert_eq!(
        (bucket.name.as_str(), bucket.account.as_str()),
        ("amzn-s3-demo-bucket-orders", "111122223333")
    );
    // The keys of a policy are not those of an event, whose casing has no meaning.
    let policy = event.policy.as_ref().unwrap();
    assert_eq!(policy.statements()[0].sid(), Some("Reports"));
    assert_eq!(
        policy.statements()[0].value()["Condition"],
        json!({"Bool": {"aws:SecureTransport": "true"}})
    );
    // As an entry for PutEvents has it, whose detail is text.
    let mut text = sample();
    text["detail"] = json!(text["detail"].to_string());
    assert_eq!(trail(&text), event);
    // A list of hosts and the policy as text, as older events have them.
    let mut older = sample();
    let text = older["detail"]["requestParameters"]["bucketPolicy"].to_string();
    older["detail"]["requestParameters"]["bucketPolicy"] = json!(text);
    older["detail"]["requestParameters"]["policy"] = json!([""]);
    assert_eq!(trail(&older).policy.as_ref(), Some(policy));
}

#[test]
fn the_owner_of_the_bucket_counts_and_not_whose_trail_it_is() {
    let mut event = sample();
    event["detail"]["recipientAccountId"] = json!("444455556666");
    let Target::Bucket(bucket) = trail(&event).target else {
        panic!("a bucket")
    };
    assert_eq!(bucket.account, "111122223333");
    event["detail"]["resources"] = json!([]);
    let Target::Bucket(bucket) = trail(&event).target else {
        panic!("a bucket")
    };
    assert_eq!(bucket.account, "444455556666");
    event["detail"]["eventName"] = json!("PutAccountPublicAccessBlock");
    event["detail"]["requestParameters"] = json!({"PublicAccessBlockConfiguration": {}});
    assert_eq!(trail(&event).target, Target::Account("444455556666".into()));
}

#[test]
fn what_is_no_write_to_a_setting_is_left_alone_and_what_is_broken_is_told() {
    for name in [
        "GetBucketPolicy",
        "PutObject",
        "CreateBucket",
        "PutBucket\n",
    ] {
        let mut event = sample();
        event["detail"]["eventName"] = json!(name);
        let Ok(Event::Ignored(ignored)) = one(&event) else {
            panic!("{name}")
        };
        assert!(ignored.what.contains("changes no setting"), "{ignored:?}");
    }
    for (key, value, told) in [
        ("eventID", json!(null), "detail.eventID is missing"),
        (
            "eventTime",
            json!("yesterday"),
            "detail.eventTime is missing",
        ),
        (
            "awsRegion",
            json!("us east"),
            "detail.awsRegion is \"us east\", which is not a Region",
        ),
        (
            "eventID",
            json!("../../x"),
            "detail.eventID is \"../../x\", which is not an id of CloudTrail",
        ),
        (
            "requestParameters",
            json!({"bucketName": "a/b"}),
            "detail.requestParameters.bucketName is \"a/b\", which is not the name of an S3 bucket",
        ),
    ] {
        let mut event = sample();
        event["detail"][key] = value;
        let error = one(&event).unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
    }
    // CloudTrail leaves out what is too long. The resources name the bucket all the same, mostly.
    let mut event = sample();
    event["detail"]["requestParameters"] = json!(null);
    let Target::Bucket(bucket) = trail(&event).target else {
        panic!("a bucket")
    };
    assert_eq!(bucket.name, "amzn-s3-demo-bucket-orders");
    assert_eq!(trail(&event).policy, None);
    event["detail"]["resources"] = json!([]);
    let Ok(Event::Ignored(ignored)) = one(&event) else {
        panic!("{event}")
    };
    assert!(
        ignored.what.contains("does not name the bucket"),
        "{ignored:?}"
    );
    let mut event = sample();
    event["detail"] = json!("{}");
    let error = one(&event).unwrap_err();
    assert!(matches!(error, EventError::EmptyDetail { .. }), "{error}");
}
