//! The finding as GuardDuty has it, and what it is told.

use std::time::{Duration, Instant};

use portcullis::aws::guardduty::{archive, feedback, filters, reread, sample_findings};
use portcullis::aws::{Aws, AwsOptions};
use portcullis::enrichment::Reread;
use portcullis::finding::{self, Event, Finding};
use serde_json::{Value, json};

use super::{ACCOUNT, REGION, Scenario, denied};

const ID: &str = "6eb1a2b3c4d5e6f70819202122232425";
const DETECTOR: &str = "12abc34d567e8fa901bc2d34e56789f0";
const MEMBERS_DETECTOR: &str = "ffffffffffffffffffffffffffffffff";
const MEMBER: &str = "222222222222";

#[tokio::test]
async fn a_finding_is_read_again_through_our_own_detector() {
    let scenario = having(detail());
    let event = event(&detail());
    let aws = scenario.aws();
    let Reread::Found(found) = reread(&aws, &event).await else {
        panic!("GuardDuty has it");
    };
    assert_eq!(*found, event, "as the event has it");
    assert_eq!(
        scenario.inputs("GetFindings"),
        [json!({"DetectorId": DETECTOR, "FindingIds": [ID]})]
    );
    assert_ne!(event.detector.as_deref(), Some(DETECTOR));

    // The detector is looked up once.
    reread(&aws, &event).await;
    assert_eq!(
        scenario.operations(),
        ["ListDetectors", "GetFindings", "GetFindings"]
    );
}

#[tokio::test]
async fn what_changed_since_the_event_is_told() {
    let mut now = detail();
    now["updatedAt"] = json!("2026-03-01T11:15:00.000Z");
    now["service"]["count"] = json!(12);
    now["service"]["archived"] = json!(true);
    now["service"]["action"]["awsApiCallAction"]["remoteIpDetails"]["ipAddressV4"] =
        json!("203.0.113.9");
    let scenario = having(now);
    let Reread::Found(found) = reread(&scenario.aws(), &event(&detail())).await else {
        panic!("GuardDuty has it");
    };
    assert_eq!(
        found.updated_at,
        Some("2026-03-01T11:15:00Z".parse().unwrap())
    );
    assert_eq!(found.count, 12);
    assert!(found.archived);
    assert_eq!(
        found.remotes[0].address,
        Some("203.0.113.9".parse().unwrap())
    );
}

#[tokio::test]
async fn what_the_sdk_does_not_know_is_read_all_the_same() {
    let mut now = detail();
    now["type"] = json!("Exfiltration:S3/SomethingOf2031");
    now["severity"] = json!("8.5");
    now["service"]["count"] = json!("3");
    now["service"]["somethingNew"] = json!({"deep": [1, null]});
    now["resource"]["s3BucketDetails"][0]["createdAt"] = json!("2026-01-01T00:00:00Z");
    let scenario = Scenario::of(json!({
        "unmodelled": true,
        "guardduty": {"detector": DETECTOR, "findings": [now]},
    }));
    let Reread::Found(found) = reread(&scenario.aws(), &event(&detail())).await else {
        panic!("our own reader reads it");
    };
    assert_eq!(found.kind, "Exfiltration:S3/SomethingOf2031");
    assert_eq!((found.severity, found.count), (8.5, 3));
}

#[tokio::test]
async fn a_finding_that_guardduty_does_not_have_is_missing() {
    let scenario = Scenario::of(json!({"guardduty": {"detector": DETECTOR, "findings": []}}));
    let Reread::Missing(why) = reread(&scenario.aws(), &event(&detail())).await else {
        panic!("GuardDuty does not have it");
    };
    assert_eq!(
        why,
        format!(
            "GuardDuty in {REGION} does not have the finding {ID} of account {MEMBER}; \
             other accounts' findings are only in the detector of their GuardDuty administrator"
        )
    );
    let mut own = event(&detail());
    own.account = ACCOUNT.to_owned();
    let Reread::Missing(why) = reread(&scenario.aws(), &own).await else {
        panic!("GuardDuty does not have it");
    };
    assert!(why.ends_with(ACCOUNT), "{why}");

    // The id of a finding that has nothing to do with S3, in an event that says otherwise.
    let mut other = detail();
    other["type"] = json!("Recon:EC2/Portscan");
    other["resource"] = json!({"resourceType": "Instance"});
    other["service"]["action"] = json!({"actionType": "PORT_PROBE"});
    let scenario = having(other);
    let Reread::Missing(why) = reread(&scenario.aws(), &event(&detail())).await else {
        panic!("GuardDuty's finding is another one");
    };
    assert!(why.contains("names no S3 bucket in the finding"), "{why}");
}

#[tokio::test]
async fn no_answer_of_guardduty_is_no_verdict() {
    let error = |status: u16, code: &str, message: &str| json!({"status": status, "code": code, "message": message});
    let stall = json!({"stall": 4.0});
    for (operation, error, says) in [
        (
            "GetFindings",
            denied("guardduty:GetFindings"),
            "not authorized to perform: guardduty:GetFindings); check the role's permissions",
        ),
        (
            "ListDetectors",
            denied("guardduty:ListDetectors"),
            "ListDetectors answered AccessDeniedException",
        ),
        (
            "GetFindings",
            error(429, "ThrottlingException", "Rate exceeded"),
            "ThrottlingException (Rate exceeded)",
        ),
        (
            "GetFindings",
            error(500, "InternalServerErrorException", "Internal error"),
            "InternalServerErrorException (Internal error)",
        ),
        (
            "GetFindings",
            stall.clone(),
            "GetFindings: no answer in time",
        ),
        ("ListDetectors", stall, "no answer in time"),
    ] {
        let scenario = Scenario::of(json!({
            "guardduty": {"detector": DETECTOR, "findings": [detail()]},
            "errors": {operation: error.clone()},
        }));
        let begun = Instant::now();
        let why = unknown(reread(&scenario.aws(), &event(&detail())).await);
        assert!(why.contains(says), "{error}: {why}");
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{error}: {:?}",
            begun.elapsed()
        );
        assert!(scenario.inputs("GetFindings").len() <= 2);
    }
    // One retry helps where the trouble is over by then.
    let scenario = Scenario::of(json!({
        "guardduty": {"detector": DETECTOR, "findings": [detail()]},
        "errors": {"GetFindings": [error(429, "ThrottlingException", "Rate exceeded")]},
    }));
    let again = reread(&scenario.aws(), &event(&detail())).await;
    assert!(matches!(again, Reread::Found(_)), "{again:?}");
}

#[tokio::test]
async fn a_detector_of_another_account_is_named_as_the_mistake() {
    let scenario = having(detail());
    let aws = with_detector(&scenario, MEMBERS_DETECTOR);
    let why = unknown(reread(&aws, &event(&detail())).await);
    assert!(
        why.contains("the input detectorId is not owned by the current account"),
        "{why}"
    );
    assert!(
        why.ends_with(
            "PORTCULLIS_DETECTOR_ID must be the detector of this account and Region, or unset"
        ),
        "{why}"
    );
}

#[tokio::test]
async fn a_region_without_a_detector_is_unknown() {
    let scenario = Scenario::of(json!({}));
    let why = unknown(reread(&scenario.aws(), &event(&detail())).await);
    assert!(why.contains("GuardDuty is not enabled there"), "{why}");
}

#[tokio::test]
async fn the_configured_detector_is_that_of_our_region_and_no_other() {
    let elsewhere = "eu-west-1";
    let scenario = Scenario::with(&[
        json!({"region": REGION, "guardduty": {"detector": DETECTOR, "findings": [detail()]}}),
        json!({"region": elsewhere, "guardduty": {"detector": "elsewhere", "findings": [in_region(elsewhere)]}}),
    ]);
    let aws = with_detector(&scenario, DETECTOR);
    let here = reread(&aws, &event(&detail())).await;
    assert!(matches!(here, Reread::Found(_)), "{here:?}");
    assert_eq!(scenario.operations(), ["GetFindings"]);

    let there = reread(&aws, &event(&in_region(elsewhere))).await;
    assert!(matches!(there, Reread::Found(_)), "{there:?}");
    let log = scenario.log();
    assert_eq!(
        scenario.operations(),
        ["GetFindings", "ListDetectors", "GetFindings"]
    );
    assert_eq!(log[2]["region"], elsewhere);
    assert_eq!(log[2]["input"]["DetectorId"], "elsewhere");
}

#[tokio::test]
async fn the_region_is_that_of_the_arn_where_it_can_be_one() {
    let scenario = having(detail());
    // Findings of a global service's events can name another Region than the detector's.
    let mut global = event(&detail());
    global.region = "us-west-2".to_owned();
    let found = reread(&scenario.aws(), &global).await;
    assert!(matches!(found, Reread::Found(_)), "{found:?}");
    assert_eq!(scenario.log()[0]["region"], REGION);

    let mut forged = event(&detail());
    forged.arn = Some("arn:aws:guardduty:evil.example/#:1:detector/x/finding/y".to_owned());
    let found = reread(&scenario.aws(), &forged).await;
    assert!(matches!(found, Reread::Found(_)), "{found:?}");
    for entry in scenario.log() {
        assert_eq!(entry["region"], REGION);
    }
}

#[tokio::test]
async fn a_finding_is_archived_and_marked() {
    let scenario = having(detail());
    let (aws, event) = (scenario.aws(), event(&detail()));
    archive(&aws, &event).await.unwrap();
    let Reread::Found(found) = reread(&aws, &event).await else {
        panic!("archived findings are there");
    };
    assert!(found.archived);

    for (useful, word) in [(true, "USEFUL"), (false, "NOT_USEFUL")] {
        feedback(&aws, &event, useful, "by record r-1")
            .await
            .unwrap();
        let told = scenario.inputs("UpdateFindingsFeedback").pop().unwrap();
        assert_eq!(
            told,
            json!({"DetectorId": DETECTOR, "FindingIds": [ID], "Feedback": word, "Comments": "by record r-1"})
        );
    }
}

#[tokio::test]
async fn a_member_that_archives_is_told_who_can() {
    let scenario = Scenario::of(
        json!({"guardduty": {"detector": DETECTOR, "member": true, "findings": [detail()]}}),
    );
    let error = archive(&scenario.aws(), &event(&detail()))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!(
            "ArchiveFindings on finding {ID} of account {MEMBER} answered "
        )),
        "{text}"
    );
    assert!(
        text.ends_with("only the GuardDuty administrator can archive, and members cannot: do it in the administrator's account"),
        "{text}"
    );
}

#[tokio::test]
async fn a_role_that_may_not_archive_is_told_of_its_permissions() {
    let scenario = Scenario::of(json!({
        "guardduty": {"detector": DETECTOR, "findings": [detail()]},
        "errors": {"ArchiveFindings": denied("guardduty:ArchiveFindings")},
    }));
    let error = archive(&scenario.aws(), &event(&detail()))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with("check the role's permissions and control policies that hit it"),
        "{text}"
    );
}

#[tokio::test]
async fn every_page_of_filters_counts() {
    let names: Vec<String> = (0..100).map(|number| format!("filter-{number}")).collect();
    let scenario = Scenario::of(json!({"guardduty": {"detector": DETECTOR, "filters": names}}));
    assert_eq!(filters(&scenario.aws(), REGION).await.unwrap(), names);
    assert_eq!(scenario.inputs("ListFilters").len(), 2);
}

#[tokio::test]
async fn samples_are_asked_for_fifty_types_at_a_time() {
    let types: Vec<String> = (0..51)
        .map(|number| format!("Impact:S3/Number{number}"))
        .collect();
    let scenario = Scenario::of(json!({"guardduty": {"detector": DETECTOR}}));
    sample_findings(&scenario.aws(), REGION, &types)
        .await
        .unwrap();
    let asked: Vec<usize> = scenario
        .inputs("CreateSampleFindings")
        .iter()
        .map(|input| input["FindingTypes"].as_array().unwrap().len())
        .collect();
    assert_eq!(asked, [50, 1]);
}

/// A member's finding, as the administrator's GuardDuty has it.
pub(super) fn detail() -> Value {
    in_region(REGION)
}

fn in_region(region: &str) -> Value {
    json!({
        "schemaVersion": "2.0",
        "accountId": MEMBER,
        "region": region,
        "partition": "aws",
        "id": ID,
        "arn": format!("arn:aws:guardduty:{region}:{MEMBER}:detector/{MEMBERS_DETECTOR}/finding/{ID}"),
        "type": "Exfiltration:S3/MaliciousIPCaller",
        "severity": 8,
        "createdAt": "2026-03-01T10:00:00.000Z",
        "updatedAt": "2026-03-01T10:15:00.000Z",
        "title": "API GetObject was invoked from a known malicious IP address.",
        "resource": {
            "resourceType": "S3Bucket",
            "s3BucketDetails": [{
                "name": "amzn-s3-demo-bucket-orders",
                "arn": "arn:aws:s3:::amzn-s3-demo-bucket-orders",
                "type": "Destination",
                "owner": {"id": "canonical"},
                "createdAt": 1_513_612_692,
            }],
            "accessKeyDetails": {
                "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
                "principalId": "AROAEXAMPLE:session",
                "userType": "AssumedRole",
                "userName": "reporting",
            },
        },
        "service": {
            "serviceName": "guardduty",
            "detectorId": MEMBERS_DETECTOR,
            "archived": false,
            "count": 3,
            "eventFirstSeen": "2026-03-01T09:55:00.000Z",
            "eventLastSeen": "2026-03-01T10:12:00.000Z",
            "action": {
                "actionType": "AWS_API_CALL",
                "awsApiCallAction": {
                    "api": "GetObject",
                    "serviceName": "s3.amazonaws.com",
                    "callerType": "Remote IP",
                    "remoteIpDetails": {"ipAddressV4": "198.51.100.23"},
                },
            },
        },
    })
}

fn event(detail: &Value) -> Finding {
    let event =
        json!({"detail-type": "GuardDuty Finding", "source": "aws.guardduty", "detail": detail});
    match finding::read(event.to_string().as_bytes()).pop() {
        Some(Ok(Event::Finding(finding))) => *finding,
        other => panic!("{other:?}"),
    }
}

fn having(finding: Value) -> Scenario {
    Scenario::of(json!({"guardduty": {"detector": DETECTOR, "findings": [finding]}}))
}

fn with_detector(scenario: &Scenario, detector: &str) -> Aws {
    scenario.aws_with(AwsOptions {
        own_account: Some(ACCOUNT.to_owned()),
        detector: Some(detector.to_owned()),
        ..AwsOptions::default()
    })
}

fn unknown(reread: Reread) -> String {
    match reread {
        Reread::Unknown(why) => why,
        other => panic!("{other:?}"),
    }
}
