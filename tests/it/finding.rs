//! What comes in, at the boundary: bytes in, events or errors out.

#![allow(
    clippy::expect_used,
    reason = "a test that cannot go on should say why"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use portcullis::finding::{
    Bucket, Event, EventError, Finding, IgnoredReason, Request, Target, UserType, read,
};
use serde_json::{Value, json};

fn events_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("events")
}

fn event_file(name: &str) -> Vec<u8> {
    fs::read(events_dir().join(name)).unwrap_or_else(|error| panic!("events/{name}: {error}"))
}

/// The one event of an input.
fn one(input: &[u8]) -> Result<Event, EventError> {
    let mut events = read(input);
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

fn finding_in(input: &[u8]) -> Finding {
    match one(input) {
        Ok(Event::Finding(finding)) => *finding,
        other => panic!("no finding: {other:?}"),
    }
}

fn finding(detail: &Value) -> Finding {
    finding_in(detail.to_string().as_bytes())
}

fn buckets(finding: &Finding) -> Vec<&Bucket> {
    finding
        .targets
        .iter()
        .filter_map(|target| match target {
            Target::Bucket(bucket) => Some(bucket),
            Target::Account(_) => None,
        })
        .collect()
}

/// The smallest finding that names a bucket.
fn detail() -> Value {
    json!({
        "id": "0123456789abcdef0123456789abcdef",
        "type": "Exfiltration:S3/AnomalousBehavior",
        "accountId": "111122223333",
        "region": "us-east-1",
        "resource": {"s3BucketDetails": [{"name": "amzn-s3-demo-bucket"}]},
    })
}

fn envelope(detail: &Value) -> Value {
    json!({"detail-type": "GuardDuty Finding", "source": "aws.guardduty", "detail": detail})
}

/// `detail` with the value at `pointer` replaced; objects on the way are made.
fn with(mut detail: Value, path: &str, value: Value) -> Value {
    let mut at = &mut detail;
    for key in path.split('.') {
        if !at[key].is_object() && !at[key].is_array() {
            at[key] = json!({});
        }
        at = &mut at[key];
    }
    *at = value;
    detail
}

/// One line for a finding: who did what to which, from where.
fn summary(finding: &Finding) -> String {
    let targets: Vec<String> = finding
        .targets
        .iter()
        .map(|target| match target {
            Target::Account(id) => format!("account {id}"),
            Target::Bucket(bucket) => {
                let region = bucket.region.as_deref().unwrap_or("?");
                format!("{} {} {region}", bucket.name, bucket.account)
            }
        })
        .collect();
    let actors: Vec<String> = finding
        .actors
        .iter()
        .map(|actor| {
            format!(
                "{:?} {} {}",
                actor.user_type,
                actor.name.as_deref().unwrap_or("-"),
                actor.account.as_deref().unwrap_or("-"),
            )
        })
        .collect();
    let calls: Vec<String> = finding
        .calls
        .iter()
        .map(|call| match &call.error {
            Some(error) => format!("{} ({error})", call.api),
            None => call.api.clone(),
        })
        .collect();
    let remotes: Vec<String> = finding
        .remotes
        .iter()
        .filter_map(|remote| Some(remote.address?.to_string()))
        .collect();
    format!(
        "{} | {} | {} | {} | {}",
        targets.join(", "),
        actors.join(", "),
        calls.join(", "),
        remotes.join(", "),
        finding.threats.join(", "),
    )
}

/// File, finding type, and what it says: targets, actors, calls, addresses, threats.
const EVENTS: &[(&str, &str, &str)] = &[
    (
        "account-block-public-access-disabled.json",
        "Policy:S3/AccountBlockPublicAccessDisabled",
        "account 111122223333 | Root Root 111122223333 | PutAccountPublicAccessBlock | 198.51.100.23 | ",
    ),
    (
        "anonymous-access-granted.json",
        "Policy:S3/BucketAnonymousAccessGranted",
        "amzn-s3-demo-bucket-reports 111122223333 ? | AssumedRole reporting - | PutBucketPolicy | 198.51.100.23 | ",
    ),
    (
        "archived.json",
        "Exfiltration:S3/MaliciousIPCaller",
        "amzn-s3-demo-bucket-customers 111122223333 ? | IamUser nikki.wolf - | GetObject | 203.0.113.77 | ProofPoint",
    ),
    (
        "attack-sequence-s3.json",
        "AttackSequence:S3/CompromisedData",
        "amzn-s3-demo-bucket-orders 111122223333 us-east-1, amzn-s3-demo-bucket-ledger 111122223333 eu-west-1, \
         amzn-s3-demo-bucket-partner 444455556666 us-west-2 | AssumedRole reporting 111122223333, IamUser nikki.wolf - | \
         ListObjects, GetObject, DeleteObject (AccessDenied) | 198.51.100.23, 192.0.2.44 | ",
    ),
    (
        "bucket-block-public-access-disabled.json",
        "Policy:S3/BucketBlockPublicAccessDisabled",
        "amzn-s3-demo-bucket-website 111122223333 ? | AssumedRole reporting - | DeletePublicAccessBlock | 198.51.100.23 | ",
    ),
    (
        "cors-preflight.json",
        "Discovery:S3/MaliciousIPCaller",
        "amzn-s3-demo-bucket-assets 111122223333 ? | Anonymous - - | PreflightRequest | 203.0.113.79 | ProofPoint",
    ),
    (
        "cross-account.json",
        "Exfiltration:S3/AnomalousBehavior",
        "amzn-s3-demo-bucket-shared 111122223333 ? | AwsAccount loader 444455556666 | GetObject | 198.51.100.23 | ",
    ),
    (
        "custom-rule-external-access.json",
        "Exfiltration:S3/TransferDataToCloudAccount",
        "amzn-s3-demo-bucket-research 111122223333 us-east-1 | AssumedRole reporting - | PutBucketPolicy | 198.51.100.23 | ",
    ),
    (
        "discovery-tor.json",
        "Discovery:S3/TorIPCaller",
        "amzn-s3-demo-bucket-orders 111122223333 ? | IamUser nikki.wolf - | ListObjects (AccessDenied) | 192.0.2.44 | Tor",
    ),
    (
        "exfiltration-anomalous.json",
        "Exfiltration:S3/AnomalousBehavior",
        "amzn-s3-demo-bucket-orders 111122223333 ?, amzn-s3-demo-bucket-staging 111122223333 ? | \
         AssumedRole reporting 111122223333 | CopyObject | 198.51.100.23 | ",
    ),
    (
        "exfiltration-anonymous.json",
        "Exfiltration:S3/MaliciousIPCaller",
        "amzn-s3-demo-bucket-catalog 111122223333 ? | Anonymous - - | GetObject | 203.0.113.78 | ProofPoint",
    ),
    (
        "exfiltration-malicious-ip.json",
        "Exfiltration:S3/MaliciousIPCaller",
        "amzn-s3-demo-bucket-customers 111122223333 ? | IamUser nikki.wolf - | GetObject | 203.0.113.77 | \
         ProofPoint, ExampleBotnet",
    ),
    (
        "finding-pascal-case.json",
        "UnauthorizedAccess:S3/TorIPCaller",
        "amzn-s3-demo-bucket-uploads 111122223333 ? | IamUser nikki.wolf - | PutObject | 192.0.2.44 | Tor",
    ),
    (
        "impact-delete.json",
        "Impact:S3/AnomalousBehavior.Delete",
        "amzn-s3-demo-bucket-orders 111122223333 ? | AssumedRole reporting - | DeleteObjects | 198.51.100.23 | ",
    ),
    (
        "impact-permission.json",
        "Impact:S3/AnomalousBehavior.Permission",
        "amzn-s3-demo-bucket-orders 111122223333 ? | FederatedUser marta 111122223333 | PutBucketPolicy | 198.51.100.23 | ",
    ),
    (
        "impact-write.json",
        "Impact:S3/AnomalousBehavior.Write",
        "amzn-s3-demo-bucket-scratch--use1-az4--x-s3 111122223333 us-east-1 | IamUser nikki.wolf - | PutObject | \
         198.51.100.23 | ",
    ),
    (
        "instance-credentials.json",
        "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS",
        "amzn-s3-demo-bucket-config 111122223333 ? | AssumedRole web-server - | GetObject | 203.0.113.200 | ",
    ),
    (
        "malicious-object.json",
        "Object:S3/MaliciousFile",
        "amzn-s3-demo-bucket-uploads 111122223333 ? |  |  |  | EICAR-Test-File (not a virus)",
    ),
    (
        "pentest-kali.json",
        "PenTest:S3/KaliLinux",
        "amzn-s3-demo-bucket-orders 111122223333 ? | AssumedRole reporting - | GetObject | 198.51.100.90 | ",
    ),
    (
        "public-access-granted.json",
        "Policy:S3/BucketPublicAccessGranted",
        "amzn-s3-demo-bucket-exports 111122223333 ? | IamUser nikki.wolf 111122223333 | PutBucketAcl | 198.51.100.23 | ",
    ),
    (
        "recovery-point.json",
        "Execution:S3/MaliciousFile!RecoveryPoint",
        " |  |  |  | EICAR-Test-File (not a virus)",
    ),
    (
        "retired-object-read.json",
        "Exfiltration:S3/ObjectRead.Unusual",
        "amzn-s3-demo-bucket-orders 111122223333 ? | AssumedRole reporting - | GetObject | 198.51.100.23 | ",
    ),
    (
        "sample.json",
        "Impact:S3/MaliciousIPCaller",
        "bucketName 111122223333 ? | IamUser GeneratedFindingUserName - | GeneratedFindingAPIName | 198.51.100.0 | ",
    ),
    (
        "server-access-logging-disabled.json",
        "Stealth:S3/ServerAccessLoggingDisabled",
        "amzn-s3-demo-bucket-ledger 111122223333 ? | IamUser nikki.wolf - | PutBucketLogging | \
         2001:db8:85a3::8a2e:370:7334 | ",
    ),
    (
        "unauthorized-malicious-ip-custom.json",
        "UnauthorizedAccess:S3/MaliciousIPCaller.Custom",
        "amzn-s3-demo-bucket-uploads 111122223333 ? | IamUser nikki.wolf - | PutObject | 203.0.113.12 | partners-blocklist",
    ),
];

#[test]
fn every_event_says_what_its_family_says() {
    let mut files: BTreeSet<String> = fs::read_dir(events_dir())
        .expect("events/ is there")
        .map(|entry| {
            entry
                .expect("it lists")
                .file_name()
                .into_string()
                .expect("its names are text")
        })
        .filter(|name| name.ends_with(".json"))
        .collect();
    for (file, kind, expected) in EVENTS {
        let finding = finding_in(&event_file(file));
        assert_eq!(finding.kind, *kind, "{file}");
        assert_eq!(summary(&finding), *expected, "{file}");
        assert_eq!(finding.sample, *file == "sample.json", "{file}");
        assert_eq!(finding.archived, *file == "archived.json", "{file}");
        assert!(
            finding.updated_at.is_some() && finding.last_seen.is_some(),
            "{file}"
        );
        files.remove(*file);
    }
    let ignored = match one(&event_file("ignored-malware-scan-result.json")) {
        Ok(Event::Ignored(ignored)) => ignored,
        other => panic!("{other:?}"),
    };
    assert_eq!(ignored.reason, IgnoredReason::OtherDetailType);
    files.remove("ignored-malware-scan-result.json");
    let trail = one(&event_file("policy-written.json"));
    assert!(matches!(trail, Ok(Event::Trail(_))), "{trail:?}");
    files.remove("policy-written.json");
    assert!(files.is_empty(), "no test reads {files:?}");
}

#[test]
fn a_finding_survives_being_recorded() {
    for (file, ..) in EVENTS {
        let finding = finding_in(&event_file(file));
        let text = serde_json::to_string(&finding).expect("a finding is JSON");
        let again: Finding = serde_json::from_str(&text).expect("and is read back");
        assert_eq!(again, finding, "{file}");
    }
}

#[test]
fn the_cli_s_casing_reads_like_the_wire_s() {
    fn pascal(value: Value) -> Value {
        match value {
            Value::Object(map) => Value::Object(
                map.into_iter()
                    .map(|(key, value)| {
                        let first = key.get(..1).unwrap_or_default().to_uppercase();
                        let rest = key.get(1..).unwrap_or_default();
                        (format!("{first}{rest}"), pascal(value))
                    })
                    .collect(),
            ),
            Value::Array(items) => Value::Array(items.into_iter().map(pascal).collect()),
            other => other,
        }
    }
    for (file, ..) in EVENTS
        .iter()
        .filter(|(file, ..)| *file != "finding-pascal-case.json")
    {
        let event: Value = serde_json::from_slice(&event_file(file)).expect("JSON");
        let detail = event["detail"].clone();
        let list = json!({"Findings": [pascal(detail.clone())]});
        assert_eq!(finding(&list), finding(&detail), "{file}");
    }
}

#[test]
fn every_wrapping_comes_off() {
    let plain = finding(&detail());
    let event = envelope(&detail());
    let text = event.to_string();
    let notification = json!({"Type": "Notification", "TopicArn": "arn", "Message": text});
    let wrappings = [
        ("an envelope", event.clone()),
        (
            "without a source",
            json!({"detail-type": "GuardDuty Finding", "detail": detail()}),
        ),
        (
            "with a time that is none",
            with(event.clone(), "time", json!("yesterday")),
        ),
        (
            "an entry for PutEvents",
            json!([{"Source": "aws.guardduty", "DetailType": "GuardDuty Finding", "Detail": detail().to_string()}]),
        ),
        ("a list", json!([detail()])),
        ("GetFindings", json!({"findings": [detail()]})),
        (
            "SNS",
            json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text}}]}),
        ),
        (
            "SQS",
            json!({"Records": [{"eventSource": "aws:sqs", "body": text}]}),
        ),
        (
            "SNS in SQS",
            json!({"Records": [{"body": notification.to_string()}]}),
        ),
        ("SNS by hand", notification),
        (
            "SQS through a pipe",
            json!([{"messageId": "1", "body": text}]),
        ),
        (
            "a failed invocation",
            json!({"version": "1.0", "requestContext": {}, "requestPayload": event}),
        ),
        (
            "a failed invocation, by SQS",
            json!({"Records": [{"body": json!({"requestPayload": event}).to_string()}]}),
        ),
        (
            "a finding as a message",
            json!({"Records": [{"body": detail().to_string()}]}),
        ),
    ];
    for (what, wrapped) in wrappings {
        assert_eq!(finding(&wrapped), plain, "{what}");
    }
}

#[test]
fn several_documents_are_several_events() {
    let event = envelope(&detail()).to_string();
    let pretty = serde_json::to_string_pretty(&envelope(&detail())).expect("JSON");
    for input in [
        format!("{event}\n{event}\n"),
        format!("{event}{event}"),
        format!("\u{feff}{pretty}\r\n{pretty}"),
        format!("[{event}, {event}]"),
    ] {
        let events = read(input.as_bytes());
        assert_eq!(events.len(), 2, "{input}");
        assert!(
            events
                .iter()
                .all(|event| matches!(event, Ok(Event::Finding(_)))),
            "{events:?}"
        );
    }
}

#[test]
fn one_bad_line_hides_no_other() {
    let event = envelope(&detail()).to_string();
    let input = format!("{event}\n{{\"detail\": nonsense}}\n{event}\n{{\"detail\": {{}}}}\n");
    let events = read(input.as_bytes());
    assert_eq!(events.len(), 4);
    assert!(events[0].is_ok() && events[2].is_ok());
    let messages: Vec<String> = events
        .iter()
        .filter_map(|event| Some(event.as_ref().err()?.to_string()))
        .collect();
    assert_eq!(
        messages,
        [
            "the input is not JSON at line 2, column 13: expected ident; check that the event was copied whole",
            "line 4: detail is empty: the event carries nothing, so look at the rule's input settings",
        ]
    );
}

#[test]
fn what_is_no_event_is_an_error_that_says_where() {
    let sqs = |body: &str| json!({"Records": [{"body": "{}"}, {"body": body}]});
    let missing = |key: &str| {
        let mut detail = detail();
        detail.as_object_mut().expect("an object").remove(key);
        envelope(&detail)
    };
    let nested = (0..10).fold(detail(), |inner, _| json!([inner]));
    let cases = [
        (
            json!(7),
            "the input is a number, not an event: give an EventBridge event or a GuardDuty finding",
        ),
        (
            json!([]),
            "the input is an empty list: there is no event in it",
        ),
        (
            json!({"Findings": []}),
            "Findings is an empty list: there is no event in it",
        ),
        (
            json!({"Records": []}),
            "Records is an empty list: there is no event in it",
        ),
        (
            json!([null]),
            "[0] is null, not an event: give an EventBridge event or a GuardDuty finding",
        ),
        (
            json!({}),
            "the input is neither an EventBridge event nor a GuardDuty finding (it is an empty object): \
             send what GuardDuty wrote, unchanged",
        ),
        (
            json!({"hello": "world", "id": 1}),
            "the input is neither an EventBridge event nor a GuardDuty finding (its keys begin with \"hello\", \"id\"): \
             send what GuardDuty wrote, unchanged",
        ),
        (
            json!({"Findings": [{"SchemaVersion": "2018-10-08", "Id": "x", "Region": "us-east-1", "ProductArn": "arn"}]}),
            "Findings[0] is neither an EventBridge event nor a GuardDuty finding (it is a Security Hub finding): \
             send what GuardDuty wrote, unchanged",
        ),
        (
            envelope(&json!({})),
            "detail is empty: the event carries nothing, so look at the rule's input settings",
        ),
        (
            json!({"detail-type": "GuardDuty Finding", "source": "aws.guardduty"}),
            "detail is empty: the event carries nothing, so look at the rule's input settings",
        ),
        (
            envelope(&json!([detail()])),
            "detail is a list, not an event: give an EventBridge event or a GuardDuty finding",
        ),
        (
            missing("id"),
            "detail.id is missing: without it nothing can be done, so send the event whole",
        ),
        (
            missing("type"),
            "detail.type is missing: without it nothing can be done, so send the event whole",
        ),
        (
            missing("accountId"),
            "detail.accountId is missing: without it nothing can be done, so send the event whole",
        ),
        (
            json!({"Records": [{"Sns": {"Message": missing("region").to_string()}}]}),
            "Records[0].Sns.Message.detail.region is missing: without it nothing can be done, so send the event whole",
        ),
        (
            with(detail(), "id", json!("../../etc/passwd")),
            "id is \"../../etc/passwd\", which is not a finding id: send the event as AWS made it",
        ),
        (
            with(detail(), "accountId", json!("my-account")),
            "accountId is \"my-account\", which is not an account id (digits only): send the event as AWS made it",
        ),
        (
            with(detail(), "region", json!("example.com/#")),
            "region is \"example.com/#\", which is not a Region: send the event as AWS made it",
        ),
        (
            nested,
            "[0][0][0][0][0][0][0][0][0] is wrapped 8 times over: unwrap it and send the event itself",
        ),
    ];
    for (input, expected) in cases {
        let error = one(input.to_string().as_bytes()).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
    let errors: Vec<String> = read(sqs("{\n  \"detail\": ").to_string().as_bytes())
        .into_iter()
        .map(|event| event.expect_err("no event").to_string())
        .collect();
    assert_eq!(
        errors,
        [
            "Records[0].body is neither an EventBridge event nor a GuardDuty finding (it is an empty object): \
             send what GuardDuty wrote, unchanged",
            "Records[1].body is not JSON at line 2, column 12: EOF while parsing a value; \
             check that the event was copied whole",
        ]
    );
}

#[test]
fn bytes_that_are_no_json_are_errors() {
    let deep = "[".repeat(100_000);
    let cases: [(&[u8], &str); 6] = [
        (b"", "the input is empty: give one GuardDuty event as JSON"),
        (
            b" \r\n\t",
            "the input is empty: give one GuardDuty event as JSON",
        ),
        (
            b"{\n \"detail\": \"\xff\"}",
            "byte 14 of the input (line 2) is not UTF-8: save the event as UTF-8",
        ),
        (
            b"\xff\xfe{\0}\0",
            "byte 0 of the input (line 1) is not UTF-8: save the event as UTF-8",
        ),
        (
            b"\n{\"detail\" 1}",
            "the input is not JSON at line 2, column 11: expected `:`; check that the event was copied whole",
        ),
        (
            deep.as_bytes(),
            "the input is not JSON at line 1, column 128: recursion limit exceeded; \
             check that the event was copied whole",
        ),
    ];
    for (input, expected) in cases {
        assert_eq!(one(input).expect_err(expected).to_string(), expected);
    }
    let events = read(b"7 {\"detail\" 1}");
    assert_eq!(
        events[1].as_ref().expect_err("no JSON").to_string(),
        "the input is not JSON at line 1, column 13: expected `:`; check that the event was copied whole"
    );
}

#[test]
fn other_events_are_ignored_with_the_reason() {
    let scan = json!({"detail-type": "GuardDuty Runtime Protection Unhealthy", "source": "aws.guardduty", "detail": {}});
    let hub = json!({"detail-type": "Security Hub Findings - Imported", "source": "aws.securityhub", "detail": {}});
    let mut other = with(detail(), "type", json!("Recon:EC2/Portscan"));
    other["resource"] = json!({"resourceType": "Instance"});
    let cases = [
        (
            scan,
            IgnoredReason::OtherDetailType,
            "the event's detail-type is \"GuardDuty Runtime Protection Unhealthy\", not a finding",
            None,
        ),
        (
            hub,
            IgnoredReason::NotGuardDuty,
            "the event's source is \"aws.securityhub\", not GuardDuty",
            None,
        ),
        (
            envelope(&other),
            IgnoredReason::NoS3,
            "\"Recon:EC2/Portscan\" finding 0123456789abcdef0123456789abcdef names no S3 bucket",
            Some("0123456789abcdef0123456789abcdef"),
        ),
    ];
    for (input, reason, what, id) in cases {
        match one(input.to_string().as_bytes()) {
            Ok(Event::Ignored(ignored)) => {
                assert_eq!(ignored.reason, reason);
                assert_eq!(ignored.what, what);
                assert_eq!(ignored.finding.as_deref(), id);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn odd_values_cost_no_finding() {
    let odd = json!({
        "id": 42, "type": "Future:S3/NeverSeen.Before!", "accountId": 111122223333_u64, "region": "us-gov-west-1",
        "severity": "8.5", "createdAt": 1791187200, "updatedAt": 1791187200551_u64, "title": null, "arn": {}, "unknown": [[]],
        "resource": {
            "accessKeyDetails": ["not", "a", "key"],
            "s3BucketDetails": {"name": "amzn-s3-demo-bucket", "createdAt": {}, "tags": {"key": "team", "value": 7}, "owner": null},
        },
        "service": {
            "count": "3", "archived": "TRUE", "eventFirstSeen": "2025-02-25 20:40:06.765", "eventLastSeen": "1791187200.551",
            "action": {}, "evidence": null, "additionalInfo": {"value": "not JSON", "type": "default"},
            "detection": {"sequence": {"actors": null, "resources": [1, "two", null]}},
        },
    });
    let finding = finding(&odd);
    assert_eq!(
        (finding.id.as_str(), finding.account.as_str()),
        ("42", "111122223333")
    );
    assert_eq!(
        (finding.severity, finding.count, finding.archived),
        (8.5, 3, true)
    );
    assert_eq!(finding.partition, "aws-us-gov");
    assert!(finding.actors.is_empty() && finding.title.is_none() && finding.arn.is_none());
    let times = [
        finding.created_at,
        finding.updated_at,
        finding.first_seen,
        finding.last_seen,
    ];
    assert_eq!(
        times.map(|time| time.map(|time| time.to_string())),
        [
            Some("2026-10-05T08:00:00Z".to_owned()),
            Some("2026-10-05T08:00:00.551Z".to_owned()),
            Some("2025-02-25T20:40:06.765Z".to_owned()),
            Some("2026-10-05T08:00:00.551Z".to_owned()),
        ]
    );
    assert_eq!(buckets(&finding)[0].tags["team"], "7");
}

#[test]
fn a_list_of_one_is_read_where_an_object_belongs() {
    let listed = with(detail(), "resource", json!([detail()["resource"]]));
    assert_eq!(finding(&listed), finding(&detail()));
    // A list of fields in their order is what serde would take for the object itself.
    let by_position = with(detail(), "service", json!(["d", true, 7, null, null]));
    assert_eq!(finding(&by_position), finding(&detail()));
}

#[test]
fn a_sample_is_known_by_any_sign() {
    for (path, value) in [
        ("service.additionalInfo", json!({"sample": true})),
        ("service.additionalInfo", json!({"sample": "true"})),
        (
            "service.additionalInfo",
            json!({"value": "{\"sample\":true}", "type": "default"}),
        ),
        (
            "Service",
            json!({"AdditionalInfo": {"Value": "{\"Sample\":true}"}}),
        ),
        (
            "resource.accessKeyDetails.accessKeyId",
            json!("GeneratedFindingAccessKeyId"),
        ),
        (
            "resource.accessKeyDetails.principalId",
            json!("GeneratedFindingPrincipalId"),
        ),
    ] {
        assert!(
            finding(&with(detail(), path, value.clone())).sample,
            "{path} {value}"
        );
    }
    for (path, value) in [
        ("service.additionalInfo", json!({"sample": false})),
        ("service.additionalInfo", json!({"value": "{}"})),
        // A name that an attacker may choose makes no sample.
        (
            "resource.accessKeyDetails.userName",
            json!("GeneratedFindingUserName"),
        ),
    ] {
        assert!(
            !finding(&with(detail(), path, value.clone())).sample,
            "{path} {value}"
        );
    }
}

#[test]
fn affected_resources_count_only_where_nothing_else_names_the_bucket() {
    let affected = "service.action.awsApiCallAction.affectedResources";
    let iam = || {
        let mut iam = with(
            detail(),
            "type",
            json!("Policy:IAMUser/RootCredentialUsage"),
        );
        iam["resource"] = json!({"resourceType": "AccessKey"});
        with(
            iam,
            affected,
            json!({"AWS::S3::Bucket": "amzn-s3-demo-bucket-named"}),
        )
    };
    assert_eq!(
        buckets(&finding(&iam()))[0].name,
        "amzn-s3-demo-bucket-named"
    );

    let sample = with(iam(), "service.additionalInfo", json!({"sample": true}));
    assert!(matches!(
        one(sample.to_string().as_bytes()),
        Ok(Event::Ignored(_))
    ));

    let both = with(
        detail(),
        affected,
        json!({"AWS::S3::Bucket": "amzn-s3-demo-bucket-named"}),
    );
    assert_eq!(
        summary(&finding(&both)),
        "amzn-s3-demo-bucket 111122223333 ? |  |  |  | "
    );

    let sample_without_details = with(iam(), "type", json!("Discovery:S3/TorIPCaller"));
    let sample_without_details = with(
        sample_without_details,
        "service.additionalInfo",
        json!({"sample": true}),
    );
    assert!(finding(&sample_without_details).targets.is_empty());
}

#[test]
fn one_bucket_is_one_target_however_often_it_is_named() {
    let named = |details: Value| with(detail(), "resource.s3BucketDetails", details);
    let twice = finding(&named(json!([
        {"name": "amzn-s3-demo-bucket-b", "type": "Source"},
        {"arn": "arn:aws-cn:s3:::amzn-s3-demo-bucket-a"},
        {"name": "amzn-s3-demo-bucket-b", "tags": [{"key": "team", "value": "x"}], "publicAccess": {"effectivePermission": "PUBLIC"}},
        {}, null,
    ])));
    let found = buckets(&twice);
    assert_eq!(
        found
            .iter()
            .map(|bucket| bucket.name.as_str())
            .collect::<Vec<_>>(),
        ["amzn-s3-demo-bucket-b", "amzn-s3-demo-bucket-a"]
    );
    assert_eq!(found[0].role.as_deref(), Some("Source"));
    assert_eq!(found[0].reported_permission.as_deref(), Some("PUBLIC"));
    assert_eq!(found[0].tags["team"], "x");
}

#[test]
fn a_bucket_that_cannot_be_one_is_an_error_and_hides_no_other() {
    let named = |name: &str| {
        with(
            detail(),
            "resource.s3BucketDetails",
            json!([{"name": name}]),
        )
    };
    for name in [
        "ab",
        "..",
        "...",
        "a/b",
        "bucket/../other",
        "bucket\n",
        "bücket",
        "bucket?x",
        " bucket",
        "arn:aws:s3:us-east-1:111122223333:accesspoint/point",
        "arn:aws:sqs:::bucket",
    ] {
        let error = one(named(name).to_string().as_bytes()).expect_err(name);
        assert_eq!(
            error.to_string(),
            format!(
                "resource.s3BucketDetails[0].name is {name:?}, which is not the name of an S3 bucket: look finding \
                 0123456789abcdef0123456789abcdef up in GuardDuty and contain that bucket by hand"
            )
        );
    }
    for name in [
        "abc",
        "Legacy_Bucket",
        "my.bucket.example.com",
        &"x".repeat(255),
    ] {
        assert_eq!(buckets(&finding(&named(name)))[0].name, name);
    }
    let mixed = with(
        detail(),
        "resource.s3BucketDetails",
        json!([{"name": "amzn-s3-demo-bucket"}, {"name": "no/bucket"}]),
    );
    let events = read(mixed.to_string().as_bytes());
    assert!(matches!(&events[0], Ok(Event::Finding(finding)) if finding.targets.len() == 1));
    assert!(
        matches!(&events[1], Err(EventError::Bucket { place, .. }) if place == "resource.s3BucketDetails[1].name")
    );
    assert_eq!(events.len(), 2);
}

#[test]
fn actors_are_who_the_finding_says() {
    let key = |details: Value| with(detail(), "resource.accessKeyDetails", details);
    let cases = [
        (
            json!({"userType": "ASSUMED_ROLE", "principalId": "AROAX:s"}),
            UserType::AssumedRole,
            None,
            None,
        ),
        (
            json!({"userType": "Role"}),
            UserType::AssumedRole,
            None,
            None,
        ),
        (
            json!({"principalId": "AIDAX"}),
            UserType::IamUser,
            None,
            None,
        ),
        (
            json!({"userType": "Surprise", "principalId": "AROAX:s"}),
            UserType::AssumedRole,
            None,
            None,
        ),
        (
            json!({"userType": "Root", "principalId": "111122223333"}),
            UserType::Root,
            None,
            Some("111122223333"),
        ),
        (
            json!({"userType": "FederatedUser", "principalId": "444455556666:marta"}),
            UserType::FederatedUser,
            None,
            Some("444455556666"),
        ),
        (
            json!({"userType": "AWSAccount", "userName": "ANONYMOUS_PRINCIPAL"}),
            UserType::Anonymous,
            None,
            None,
        ),
        (
            json!({"principalId": "anonymous"}),
            UserType::Anonymous,
            None,
            None,
        ),
        // The name is anybody's to choose.
        (
            json!({"userType": "IAMUser", "userName": "ANONYMOUS_PRINCIPAL"}),
            UserType::IamUser,
            Some("ANONYMOUS_PRINCIPAL"),
            None,
        ),
        (
            json!({"userType": "IAMUser", "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"}),
            UserType::IamUser,
            None,
            None,
        ),
        (
            json!({"userType": "AssumedRole", "userIdentity": {
                "arn": "arn:aws:sts::444455556666:assumed-role/loader/session"}}),
            UserType::AssumedRole,
            Some("loader"),
            Some("444455556666"),
        ),
        (
            json!({"userType": "IAMUser", "userIdentity": {"arn": "arn:aws:iam::444455556666:user/a/b/nikki"}}),
            UserType::IamUser,
            Some("nikki"),
            Some("444455556666"),
        ),
    ];
    for (details, user_type, name, account) in cases {
        let finding = finding(&key(details.clone()));
        let [actor] = finding.actors.as_slice() else {
            panic!("{details}: {:?}", finding.actors);
        };
        assert_eq!(actor.user_type, user_type, "{details}");
        assert_eq!(actor.name.as_deref(), name, "{details}");
        assert_eq!(actor.account.as_deref(), account, "{details}");
    }
    assert!(finding(&key(json!({}))).actors.is_empty());
}

#[test]
fn an_arn_keeps_the_path_of_the_role() {
    let anomalous = finding_in(&event_file("exfiltration-anomalous.json"));
    assert_eq!(
        anomalous.actors[0].arn.as_deref(),
        Some("arn:aws:iam::111122223333:role/analytics/reporting")
    );
    // The issuer of a federated user's session is the user who asked for it, not the federated user.
    let federated = with(
        detail(),
        "resource.accessKeyDetails",
        json!({"userType": "FederatedUser", "userName": "marta", "userIdentity": {
            "arn": "arn:aws:sts::111122223333:federated-user/marta",
            "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:user/broker"}}}}),
    );
    assert_eq!(
        finding(&federated).actors[0].arn.as_deref(),
        Some("arn:aws:sts::111122223333:federated-user/marta")
    );
}

#[test]
fn an_instance_is_named_only_when_the_credentials_may_be_its() {
    let stolen = finding_in(&event_file("instance-credentials.json"));
    assert_eq!(
        stolen.actors[0].instance.as_deref(),
        Some("i-0123456789abcdef0")
    );
    // The other account used the credentials; the role is not that account's.
    assert_eq!(stolen.actors[0].account, None);
    assert_eq!(stolen.actors[0].affiliated, None);
    assert_eq!(stolen.remotes[0].account.as_deref(), Some("444455556666"));
    assert_eq!(stolen.remotes[0].affiliated, Some(false));

    let caller = |session: &str| {
        let resource = json!({
            "s3BucketDetails": [{"name": "amzn-s3-demo-bucket"}],
            "instanceDetails": {"instanceId": "i-0123456789abcdef0"},
            "accessKeyDetails": {"userType": "AssumedRole", "principalId": format!("AROAX:{session}")},
        });
        finding(&with(detail(), "resource", resource)).actors[0]
            .instance
            .clone()
    };
    assert_eq!(
        caller("i-0123456789abcdef0").as_deref(),
        Some("i-0123456789abcdef0")
    );
    assert_eq!(caller("ana.carolina"), None);
    assert_eq!(caller("i-0fedcba9876543210"), None);
}

#[test]
fn a_foreign_caller_and_a_service_are_told_apart() {
    let remote = |account: Value| {
        let action = json!({"api": "GetObject", "domainDetails": {"domain": "cloudtrail.amazonaws.com"}, "remoteAccountDetails": account});
        with(detail(), "service.action.awsApiCallAction", action)
    };
    let foreign = finding(&remote(
        json!({"accountId": "444455556666", "affiliated": "false"}),
    ));
    assert_eq!(foreign.actors[0].account.as_deref(), Some("444455556666"));
    assert_eq!(foreign.actors[0].affiliated, Some(false));
    assert_eq!(
        foreign.remotes[0].domain.as_deref(),
        Some("cloudtrail.amazonaws.com")
    );

    let service = finding(&remote(
        json!({"accountId": "444455556666", "awsServiceName": "Amazon Example"}),
    ));
    assert_eq!(service.actors[0].user_type, UserType::AwsService);
    assert_eq!(service.actors[0].account, None);
}

/// A sequence finding with these members.
fn sequence(kind: &str, sequence: Value) -> Value {
    let mut detail = with(detail(), "type", json!(kind));
    detail["resource"] = json!({"resourceType": "AttackSequence"});
    with(detail, "service.detection.sequence", sequence)
}

#[test]
fn a_sequence_names_buckets_by_name_arn_or_object() {
    let found = finding(&sequence(
        "AttackSequence:IAM/CompromisedCredentials",
        json!({"resources": [
            {"resourceType": "EC2_VPC", "uid": "vpc-1"},
            {"resourceType": "S3_OBJECT", "uid": "arn:aws:s3:::amzn-s3-demo-bucket-a/k/1", "data": {"s3Object": {"versionId": "v"}}},
            {"resourceType": "S3_BUCKET", "uid": "opaque-1", "name": "amzn-s3-demo-bucket-a", "accountId": "444455556666",
             "region": "eu-west-1", "data": {"s3Bucket": {"s3ObjectUids": ["opaque/2"]}}},
            {"resourceType": "S3_BUCKET", "uid": "arn:aws-us-gov:s3:::amzn-s3-demo-bucket-b", "name": "not a name!"},
            {"resourceType": "S3_OBJECT", "uid": "opaque/2", "data": {"s3Object": {"key": "k/2"}}},
            {"resourceType": "S3_BUCKET", "uid": "amzn-s3-demo-bucket-b", "accountId": "123456789012", "region": "Nowhere!"},
            {"resourceType": "S3_BUCKET", "name": "amzn-s3-demo-bucket-b", "accountId": "444455556666"},
        ]}),
    ));
    assert_eq!(
        summary(&found),
        "amzn-s3-demo-bucket-a 444455556666 eu-west-1, amzn-s3-demo-bucket-b 123456789012 ?, \
         amzn-s3-demo-bucket-b 444455556666 ? |  |  |  | "
    );
    let objects: Vec<_> = buckets(&found)[0]
        .objects
        .iter()
        .map(|object| (object.key.as_str(), object.version.as_deref()))
        .collect();
    assert_eq!(objects, [("k/1", Some("v")), ("k/2", None)]);
}

#[test]
fn a_sequence_without_s3_is_ignored_and_an_s3_one_without_resources_is_not() {
    let iam = sequence(
        "AttackSequence:IAM/CompromisedCredentials",
        json!({"resources": []}),
    );
    assert!(matches!(
        one(iam.to_string().as_bytes()),
        Ok(Event::Ignored(ignored)) if ignored.reason == IgnoredReason::NoS3
    ));
    assert!(
        finding(&sequence("AttackSequence:S3/CompromisedData", json!(null)))
            .targets
            .is_empty()
    );
}

#[test]
fn a_sequence_of_400_buckets_is_400_targets_and_an_odd_one_is_an_error() {
    let mut resources: Vec<Value> = (0..400)
        .map(|n| json!({"resourceType": "S3_BUCKET", "name": format!("amzn-s3-demo-bucket-{n}")}))
        .collect();
    resources[3] = json!({"resourceType": "S3_BUCKET", "uid": "arn:aws:s3:us-east-1:111122223333:accesspoint/point"});
    let input = sequence(
        "AttackSequence:S3/CompromisedData",
        json!({"resources": resources}),
    );
    let events = read(input.to_string().as_bytes());
    assert!(matches!(&events[0], Ok(Event::Finding(finding)) if finding.targets.len() == 399));
    assert_eq!(
        events[1].as_ref().expect_err("no bucket").to_string(),
        "service.detection.sequence.resources[3].uid is \"arn:aws:s3:us-east-1:111122223333:accesspoint/point\", which \
         is not the name of an S3 bucket: look finding 0123456789abcdef0123456789abcdef up in GuardDuty and contain that \
         bucket by hand"
    );
}

#[test]
fn a_sequence_s_keys_endpoints_and_indicators_are_joined() {
    let found = finding_in(&event_file("attack-sequence-s3.json"));
    assert_eq!(
        found.actors[0].instance.as_deref(),
        Some("i-0123456789abcdef0")
    );
    assert_eq!(
        found.actors[1].access_key.as_deref(),
        Some("AKIAIOSFODNN7EXAMPLE")
    );
    assert_eq!(found.indicators["TOR_IP"], ["192.0.2.44"]);
    assert_eq!(found.remotes[0].asn.as_deref(), Some("64496"));
    // An endpoint's host name is the attacker's, and a remote with a domain would be spared.
    assert_eq!(found.remotes[1].domain, None);
    let rule = finding_in(&event_file("custom-rule-external-access.json"));
    assert_eq!(
        rule.detection_rule.as_deref(),
        Some("S3BucketPolicyExternalAccess")
    );
}

#[test]
fn a_hostile_size_is_read_in_good_time() {
    let details: Vec<Value> = (0..20_000)
        .map(|n| json!({"name": format!("amzn-s3-demo-bucket-{}", n % 10_000), "s3ObjectDetails": [{"key": n.to_string()}]}))
        .collect();
    let huge = finding(&with(detail(), "resource.s3BucketDetails", json!(details)));
    assert_eq!(huge.targets.len(), 10_000);
    assert_eq!(buckets(&huge)[0].objects.len(), 2);
}

#[test]
fn requests_are_read_and_unknown_ones_refused() {
    let valid = [
        (json!({"portcullis": {"sweep": {}}}), Request::Sweep),
        (
            json!({"portcullis": {"apply": {"record": "r-1"}}}),
            Request::Apply {
                record: "r-1".to_owned(),
                by: None,
            },
        ),
        (
            json!({"portcullis": {"apply": {"record": "r-1", "by": "jane@example.com"}}}),
            Request::Apply {
                record: "r-1".to_owned(),
                by: Some("jane@example.com".to_owned()),
            },
        ),
        (
            json!({"portcullis": {"rollback": {"record": "r-1"}}}),
            Request::Rollback {
                record: "r-1".to_owned(),
                by: None,
            },
        ),
    ];
    for (input, request) in valid {
        assert_eq!(
            one(input.to_string().as_bytes()),
            Ok(Event::Request(request))
        );
    }
    let invalid = [
        (
            json!({"portcullis": {"sweeep": {}}}),
            "portcullis asks for \"sweeep\"",
        ),
        (json!({"portcullis": {}}), "portcullis asks for nothing"),
        (
            json!({"portcullis": "sweep"}),
            "portcullis is not an object",
        ),
        (
            json!({"portcullis": {"sweep": {}, "apply": {"record": "r"}}}),
            "portcullis asks for \"sweep\" and \"apply\" at once",
        ),
        (
            json!({"portcullis": {"sweep": {}}, "detail": {}}),
            "the input has \"detail\" beside \"portcullis\"",
        ),
        (
            json!({"portcullis": {"sweep": {"force": true}}}),
            "portcullis.sweep has the unknown key \"force\"",
        ),
        (
            json!({"portcullis": {"apply": {"record": "r", "force": true}}}),
            "portcullis.apply has the unknown key \"force\"",
        ),
        (
            json!({"portcullis": {"apply": {}}}),
            "portcullis.apply names no record",
        ),
        (
            json!({"portcullis": {"rollback": {"record": " "}}}),
            "portcullis.rollback names no record",
        ),
        (
            json!({"portcullis": {"apply": {"record": "r", "by": ["jane"]}}}),
            "portcullis.apply has a \"by\" that is no text of 1 to 256 bytes",
        ),
        (
            json!({"portcullis": {"apply": {"record": "r", "by": "j".repeat(257)}}}),
            "portcullis.apply has a \"by\" that is no text of 1 to 256 bytes",
        ),
        (
            json!({"portcullis": {"sweep": {"by": "jane"}}}),
            "portcullis.sweep has the unknown key \"by\"",
        ),
        (
            json!({"portcullis": {"rollback": 7}}),
            "portcullis.rollback is a number, not an object",
        ),
    ];
    let valid = "the requests are {\"sweep\": {}}, {\"apply\": {\"record\": \"…\"}} and {\"rollback\": {\"record\": \"…\"}}";
    for (input, expected) in invalid {
        let error = one(input.to_string().as_bytes()).expect_err(expected);
        assert_eq!(error.to_string(), format!("{expected}: {valid}"));
    }
    let message = json!({"Records": [{"body": "{\"portcullis\": {\"sweep\": {}}}"}]});
    assert_eq!(
        one(message.to_string().as_bytes())
            .expect_err("a message")
            .to_string(),
        "Records[0].body is a request inside a message: requests are only taken from whoever may invoke the function, so \
         invoke it directly"
    );
}

/// The reader takes more than AWS sends; our own events are to be what AWS sends.
#[test]
fn our_events_are_of_the_published_type_of_the_envelope() {
    use aws_lambda_events::event::eventbridge::EventBridgeEvent;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let mut read = 0;
    for file in std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let is_event = file
            .extension()
            .is_some_and(|extension| extension == "json");
        if !is_event || file.file_name().unwrap() == "finding-pascal-case.json" {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let event: EventBridgeEvent<serde_json::Value> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let source = match file.file_name().unwrap() == "policy-written.json" {
            true => "aws.s3",
            false => "aws.guardduty",
        };
        assert_eq!(event.source, source, "{}", file.display());
        assert!(
            event.time.is_some() && event.resources.is_some(),
            "{}",
            file.display()
        );
        read += 1;
    }
    assert!(read >= 20, "{read} events");
}

/// A finding alone is read straight from its text; in a list it goes through a value first. Both must say the same.
#[test]
fn both_ways_of_reading_say_the_same() {
    let paths = || events_dir().read_dir().unwrap();
    let mut details: Vec<Value> = paths()
        .map(|entry| {
            serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap_or_default())
        })
        .filter_map(Result::ok)
        .map(|event: Value| match event.get("detail") {
            Some(detail) => detail.clone(),
            None => event,
        })
        .collect();
    details.push(detail());
    let odd = [
        json!(null),
        json!(true),
        json!(7),
        json!(-1.5e300),
        json!(1_735_689_600),
        json!(""),
        json!(" \u{1f512} \"quoted\" \n"),
        json!("2026-03-01T10:15:00"),
        json!("{\"sample\": true, \"ThreatName\": [\"a\", 1]}"),
        json!([]),
        json!({}),
        json!([[{"name": "amzn-s3-demo-bucket-a"}]]),
        json!([{"Name": "amzn-s3-demo-bucket-b", "key": "k"}, 3, null]),
        json!({"Name": "amzn-s3-demo-bucket-c", "Value": "v"}),
    ];
    let (mut compared, mut seen) = (0, BTreeSet::new());
    for detail in &details {
        same_both_ways(&detail.to_string());
        // What stands at the same place in many findings, or in many items of a list, is changed once.
        for path in pointers(detail)
            .into_iter()
            .filter(|path| seen.insert(path.clone()))
        {
            for value in &odd {
                let mut changed = detail.clone();
                *changed.pointer_mut(&path).unwrap() = value.clone();
                same_both_ways(&changed.to_string());
                compared += 1;
            }
        }
    }
    assert!(compared > 2_000, "{compared}");
    // Keys that occur twice, in both forms or in one, and keys that are escaped.
    let text = detail().to_string();
    for more in [
        "\"Id\": \"other\"",
        "\"id\": \"other\"",
        "\"Region\": \"eu-west-1\"",
        "\"\\u0052egion\": \"eu-west-1\"",
        "\"findings\": []",
        "\"Records\": {}",
        "\"Detail\": {}",
        "\"Type\": \"Notification\", \"message\": \"{}\"",
        "\"portcullis\": {\"sweep\": {}}",
        "\"body\": \"{}\"",
    ] {
        same_both_ways(&format!("{{{more}, {}", &text[1..]));
        same_both_ways(&format!("{}, {more}}}", &text[..text.len() - 1]));
    }
}

/// Alone and in a list, in an envelope and in one in a list: but for the place that an error names.
#[track_caller]
fn same_both_ways(text: &str) {
    let event = |text: &str| {
        format!(
            "{{\"detail-type\": \"GuardDuty Finding\", \"source\": \"aws.guardduty\", \"detail\": {text}}}"
        )
    };
    for text in [text.to_owned(), event(text)] {
        let alone = said(&text).replace("the input", "[0]");
        let listed = said(&format!("[{text}]"));
        let placeless = |said: &str| said.replace("[0].", "").replace("[0]", "");
        assert_eq!(placeless(&alone), placeless(&listed), "{text}");
    }
}

fn said(text: &str) -> String {
    let events = read(text.as_bytes());
    let said = events.iter().map(|event| match event {
        Ok(event) => format!("{event:?}\n"),
        Err(error) => format!("{error}\n"),
    });
    said.collect()
}

/// The places of all values in a value.
fn pointers(value: &Value) -> Vec<String> {
    let inside: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    let mut all = Vec::new();
    for (key, value) in inside {
        all.push(format!("/{key}"));
        let deeper = pointers(value).into_iter();
        all.extend(deeper.map(|path| format!("/{key}{path}")));
    }
    all
}
