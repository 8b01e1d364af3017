//! The stand-in itself: what the published models do not allow, it neither takes nor says.

use serde_json::{Value, json};

use super::Scenario;

const DETECTOR: &str = "12abc34d567e8fa901bc2d34e56789f0";

#[test]
fn a_scenario_that_the_services_could_not_say_is_refused() {
    let bucket = |members: Value| json!({"macie": {"buckets": [members]}});
    let finding = json!({
        "accountId": "1", "arn": "a", "createdAt": "c", "id": "i", "region": "r", "resource": {}, "schemaVersion": "2.0",
        "severity": 8, "type": "t", "updatedAt": "u",
    });
    let with = |key: &str, value: Value| {
        let mut changed = finding.clone();
        changed[key] = value;
        json!({"guardduty": {"findings": [changed]}})
    };
    let mut lacking = finding.clone();
    lacking.as_object_mut().unwrap().remove("updatedAt");
    let error = |operation: &str, status: u16, code: &str| json!({"errors": {operation: {"status": status, "code": code, "message": "m"}}});
    for (account, says) in [
        (bucket(json!({"BucketName": "b"})), "no member BucketName"),
        (
            bucket(json!({"sensitivityScore": "50"})),
            "which is no integer",
        ),
        (
            bucket(json!({"errorCode": "NO_IDEA"})),
            "none of ACCESS_DENIED",
        ),
        (bucket(json!({"lastUpdated": "yesterday"})), "no time"),
        (
            json!({"macie": {"detections": {"b": [{"count": true}]}}}),
            "no long",
        ),
        (json!({"macie": {"jobs": [{"jobStatus": "DONE"}]}}), "DONE"),
        (with("severity", json!("8")), "which is no double"),
        (with("Id", json!("i")), "no member Id"),
        (
            json!({"guardduty": {"findings": [lacking]}}),
            "lacks UpdatedAt",
        ),
        (
            error("DescribeBuckets", 418, "AccessDeniedException"),
            "does not answer 418",
        ),
        (
            error("GetFindings", 404, "ResourceNotFoundException"),
            "does not answer 404",
        ),
        (json!({"maciee": {}}), "maciee"),
    ] {
        let scenario = Scenario::of(json!({}));
        let (status, answer) = scenario.put(std::slice::from_ref(&account));
        assert_eq!(status, 400, "{account}");
        assert!(answer.contains(says), "{account}: {answer}");
    }
    let scenario = Scenario::of(json!({"guardduty": {"findings": [finding]}}));
    assert_eq!(scenario.log(), Vec::<Value>::new());
}

#[test]
fn a_request_that_the_model_does_not_allow_is_refused() {
    for (method, path, body, status, says) in [
        (
            "POST",
            "/datasources/s3",
            r#"{"bucket": "b"}"#,
            400,
            "no member bucket",
        ),
        (
            "POST",
            "/datasources/s3",
            r#"{"criteria": {"bucketName": {"equals": ["b"]}}}"#,
            400,
            "no member equals",
        ),
        (
            "POST",
            "/datasources/s3",
            r#"{"maxResults": "5"}"#,
            400,
            "no integer",
        ),
        ("POST", "/datasources/s3", "[]", 400, "not an object"),
        (
            "GET",
            "/detector?maxResults=51",
            "",
            400,
            "not from 1 to 50",
        ),
        ("GET", "/detector?max=5", "", 400, "no query parameter max"),
        (
            "POST",
            "/detector/12abc34d567e8fa901bc2d34e56789f0/findings/get",
            "{}",
            400,
            "FindingIds is required",
        ),
        (
            "POST",
            "/detector/12abc34d567e8fa901bc2d34e56789f0/findings/feedback",
            r#"{"findingIds": ["i"], "feedback": "GREAT"}"#,
            400,
            "none of USEFUL, NOT_USEFUL",
        ),
        (
            "POST",
            "/detector/12abc34d567e8fa901bc2d34e56789f0/filter",
            r#"{"name": "no spaces", "findingCriteria": {"criterion": {"type": {"equals": ["t"]}}}}"#,
            400,
            "characters",
        ),
        (
            "POST",
            "/detector/12abc34d567e8fa901bc2d34e56789f0/filter",
            r#"{"name": "name", "findingCriteria": {"criterion": {"resource.bucket": {"equals": ["t"]}}}}"#,
            400,
            "resource.bucket",
        ),
    ] {
        let scenario = Scenario::of(json!({"macie": {}, "guardduty": {"detector": DETECTOR}}));
        let url = scenario.url();
        let prefix = url.rsplit('/').next().unwrap();
        let answer = scenario.request(method, &format!("/{prefix}{path}"), body);
        assert_eq!(answer.0, status, "{path} {body}");
        assert!(answer.1.contains(says), "{path} {body}: {}", answer.1);
        assert_eq!(scenario.take_refused().len(), 1, "{path} {body}");
    }
}
