//! The filter for authorized access: what it matches, when there is none, and the quota.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use portcullis::aws::guardduty::create_filter;
use portcullis::finding::{self, Event, Finding};
use portcullis::suppression::{NoSuppression, Sessions, Suppression, suppression};
use serde_json::{Value, json};

use super::{REGION, Scenario};
use crate::cli::{ends, event, events, golden, json_of, portcullis, run, run_with, stderr, stdout};
use crate::stand_in::endpoint;

const DETECTOR: &str = "12abc34d567e8fa901bc2d34e56789f0";

#[test]
fn a_filter_says_what_where_who_and_from_where() {
    assert_eq!(
        criteria(&of("exfiltration-malicious-ip")),
        [
            "type = Exfiltration:S3/MaliciousIPCaller",
            "service.action.awsApiCallAction.api = GetObject",
            "accountId = 111122223333",
            "resource.s3BucketDetails.name = amzn-s3-demo-bucket-customers",
            "resource.accessKeyDetails.principalId = AIDACKCEVSQ6C2EXAMPLE",
            "service.action.awsApiCallAction.remoteIpDetails.ipAddressV4 = 203.0.113.77",
        ]
    );
    // A role's id holds the session's name, so that other sessions stay visible unless they are asked for.
    let anomalous = read("exfiltration-anomalous");
    let who = |sessions| {
        let made = suppression(&anomalous, sessions).unwrap();
        criteria(&made).into_iter().nth(4).unwrap()
    };
    assert_eq!(
        who(Sessions::This),
        "resource.accessKeyDetails.principalId = AROACKCEVSQ6C2EXAMPLE:ana.carolina"
    );
    assert_eq!(
        who(Sessions::Any),
        "resource.accessKeyDetails.userName = reporting"
    );
    // An account has no bucket, and is named all the same.
    let account = criteria(&of("account-block-public-access-disabled"));
    assert!(
        account.contains(&"accountId = 111122223333".to_owned()),
        "{account:?}"
    );
    assert!(
        !account
            .iter()
            .any(|criterion| criterion.contains("s3BucketDetails")),
        "{account:?}"
    );
}

#[test]
fn callers_without_an_id_or_an_address_are_named_by_what_there_is() {
    let base = read("exfiltration-malicious-ip");
    let with = |change: &dyn Fn(&mut Finding)| {
        let mut finding = base.clone();
        change(&mut finding);
        criteria(&suppression(&finding, Sessions::This).unwrap()).split_off(4)
    };
    assert_eq!(
        with(&|finding| finding.remotes[0].address = Some("2001:db8::17".parse().unwrap()))[1],
        "service.action.awsApiCallAction.remoteIpDetails.ipAddressV6 = 2001:db8::17"
    );
    assert_eq!(
        with(&|finding| {
            finding.remotes[0].address = None;
            finding.remotes[0].domain = Some("config.amazonaws.com".to_owned());
        })[1],
        "service.action.awsApiCallAction.domainDetails.domain = config.amazonaws.com"
    );
    assert_eq!(
        with(&|finding| {
            finding.remotes[0].address = None;
            finding.remotes[0].account = Some("444455556666".to_owned());
        })[1],
        "service.action.awsApiCallAction.remoteAccountDetails.accountId = 444455556666"
    );
    assert_eq!(
        with(&|finding| {
            finding.actors[0].principal_id = None;
            finding.actors[0].name = Some("backup".to_owned());
        })[0],
        "resource.accessKeyDetails.userName = backup"
    );
}

#[test]
fn a_finding_that_is_no_single_access_makes_no_filter() {
    let base = read("exfiltration-malicious-ip");
    let refused = |change: &dyn Fn(&mut Finding)| {
        let mut finding = base.clone();
        change(&mut finding);
        suppression(&finding, Sessions::This).unwrap_err()
    };
    assert_eq!(refused(&|f| f.sample = true), NoSuppression::Sample);
    assert_eq!(
        refused(&|f| f.remotes.push(f.remotes[0].clone())),
        NoSuppression::Sequence
    );
    let lacks = |change: &dyn Fn(&mut Finding)| match refused(change) {
        NoSuppression::TooBroad(missing) => missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(lacks(&|f| f.actors.clear()), ["who called"]);
    assert_eq!(
        lacks(&|f| {
            f.actors[0].principal_id = None;
            f.actors[0].name = None;
        }),
        ["who called"]
    );
    assert_eq!(lacks(&|f| f.remotes.clear()), ["from where"]);
    assert_eq!(lacks(&|f| f.remotes[0].address = None), ["from where"]);
    assert_eq!(lacks(&|f| f.calls.clear()), ["which API was called"]);
    assert_eq!(lacks(&|f| f.targets.clear()), ["which bucket it is about"]);
    assert_eq!(
        suppression(&read("attack-sequence-s3"), Sessions::This).unwrap_err(),
        NoSuppression::Sequence
    );
    assert!(matches!(
        suppression(&read("custom-rule-external-access"), Sessions::This).unwrap_err(),
        NoSuppression::CustomRule(_)
    ));
}

#[test]
fn the_name_stands_for_the_criteria() {
    let first = of("exfiltration-malicious-ip");
    assert_eq!(first.name, of("exfiltration-malicious-ip").name);
    let mut later = read("exfiltration-malicious-ip");
    later.id = "another".to_owned();
    later.count = 99;
    later.updated_at = None;
    let made = |finding: &Finding| suppression(finding, Sessions::This).unwrap().name;
    assert_eq!(made(&later), first.name, "the same access, later");
    for change in [
        (|f: &mut Finding| f.account = "999999999999".to_owned()) as fn(&mut Finding),
        |f| f.kind += "2",
        |f| f.calls[0].api = "PutObject".to_owned(),
        |f| f.remotes[0].address = Some("203.0.113.1".parse().unwrap()),
    ] {
        let mut other = read("exfiltration-malicious-ip");
        change(&mut other);
        assert_ne!(made(&other), first.name);
    }
}

/// What the model of CreateFilter and its documentation do not allow, the stand-in refuses.
#[tokio::test]
async fn guardduty_takes_every_filter_that_is_made() {
    let mut created = 0;
    for path in events() {
        let bytes = std::fs::read(&path).unwrap();
        for event in finding::read(&bytes) {
            let Ok(Event::Finding(finding)) = event else {
                continue;
            };
            let mut odd = (*finding).clone();
            odd.id = "id, with \"quotes\" & more".to_owned();
            odd.kind += &"/Very.Long!".repeat(20);
            for finding in [&*finding, &odd] {
                for sessions in [Sessions::This, Sessions::Any] {
                    let Ok(made) = suppression(finding, sessions) else {
                        continue;
                    };
                    assert_ne!(made.criteria.len(), 0);
                    let scenario = Scenario::of(json!({"guardduty": {"detector": DETECTOR}}));
                    create_filter(&scenario.aws(), &made).await.unwrap();
                    created += 1;
                    let input = &scenario.inputs("CreateFilter")[0];
                    assert_eq!(input["Action"], "ARCHIVE");
                    assert_eq!(input["Name"], made.name);
                }
            }
        }
    }
    assert!(created > 40, "{created}");
}

#[test]
fn a_filter_is_shown_and_aws_is_not_asked() {
    let path = event("exfiltration-anomalous");
    let text = stdout(&ends(run(&["suppress", &path]), 0));
    golden("suppress", &text);
    let any = stdout(&ends(run(&["suppress", &path, "--any-session"]), 0));
    assert!(any.contains("userName"), "{any}");
    assert!(any.ends_with("--any-session --create\n"), "{any}");

    let document = json_of(&ends(run(&["suppress", &path, "--output", "json"]), 0));
    assert_eq!(document["version"], 1);
    let result = &document["results"][0];
    assert_eq!(result["status"], "proposed");
    for criterion in result["suppression"]["criteria"].as_array().unwrap() {
        for value in criterion["equals"].as_array().unwrap() {
            assert!(text.contains(value.as_str().unwrap()), "{value}");
        }
        assert!(text.contains(criterion["field"].as_str().unwrap()));
    }
}

#[test]
fn what_is_not_suppressed_says_why_and_hides_nothing_else() {
    for (name, says) in [
        ("sample", "it is a sample"),
        ("attack-sequence-s3", "it is an attack sequence"),
        ("custom-rule-external-access", "change the rule"),
        (
            "malicious-object",
            "it does not say which API was called, nor who called, nor from where",
        ),
    ] {
        let output = ends(run(&["suppress", &event(name)]), 3);
        assert_eq!(stdout(&output), "", "{name}");
        assert!(
            stderr(&output).contains(says),
            "{name}: {}",
            stderr(&output)
        );
    }
    let compact = |name: &str| {
        let value: Value = serde_json::from_slice(&std::fs::read(event(name)).unwrap()).unwrap();
        value.to_string()
    };
    let both = [compact("sample"), compact("exfiltration-malicious-ip")].join("\n");
    let output = ends(run_with(&["suppress", "-"], both.as_bytes()), 3);
    assert!(stdout(&output).contains("Filter    portcullis-Exfiltration.S3.MaliciousIPCaller-"));
    assert!(stderr(&output).contains("it is a sample"));

    let output = ends(run(&["suppress", &event("sample"), "--yes"]), 2);
    assert!(stderr(&output).contains("--create"), "{}", stderr(&output));
}

#[test]
fn untrusted_names_stay_on_their_line() {
    let mut value: Value =
        serde_json::from_slice(&std::fs::read(event("exfiltration-malicious-ip")).unwrap())
            .unwrap();
    let odd = "nice\u{1b}[2J\u{202e}name\nCreated all";
    value["detail"]["resource"]["accessKeyDetails"]["principalId"] = json!(odd);
    let input = value.to_string();
    let output = ends(run_with(&["suppress", "-"], input.as_bytes()), 0);
    let text = stdout(&output);
    assert!(text.contains("nice[2Jname Created all"), "{text}");
    // The filter itself has the name as it is.
    let output = run_with(&["suppress", "-", "--output", "json"], input.as_bytes());
    let criteria = &json_of(&ends(output, 0))["results"][0]["suppression"]["criteria"];
    assert_eq!(criteria[4]["equals"], json!([odd]));
}

#[test]
fn a_filter_is_created_once_and_only_with_consent() {
    let scenario = with_filters(3);
    let path = event("exfiltration-malicious-ip");
    let output = ends(creating(&scenario, &path, &[]), 2);
    assert!(stderr(&output).contains("add --yes"), "{}", stderr(&output));
    assert_eq!(scenario.inputs("CreateFilter").len(), 0);

    let output = ends(creating(&scenario, &path, &["--yes"]), 0);
    let name = of("exfiltration-malicious-ip").name;
    assert!(
        stdout(&output).ends_with(&format!("\nCreated {name} in us-east-1.\n")),
        "{}",
        stdout(&output)
    );
    assert_eq!(stderr(&output), "");
    let created = scenario.inputs("CreateFilter");
    assert_eq!(created.len(), 1);
    assert_eq!(created[0]["Name"], name);
    assert_eq!(
        created[0]["FindingCriteria"]["criterion"]["resource.s3BucketDetails.name"],
        json!({"equals": ["amzn-s3-demo-bucket-customers"]})
    );

    let output = ends(
        creating(&scenario, &path, &["--yes", "--output", "json"]),
        0,
    );
    assert_eq!(json_of(&output)["results"][0]["status"], "existed");
    assert!(stderr(&output).contains("is there already"));
    assert_eq!(scenario.inputs("CreateFilter").len(), 1);
}

#[test]
fn the_quota_of_filters_is_counted_first() {
    let path = event("exfiltration-malicious-ip");
    for (there, exit, says) in [
        (88, 0, ""),
        (89, 0, "this is filter 90 of 100"),
        (99, 0, "this is filter 100 of 100"),
        (
            100,
            1,
            "there are 100 filters in us-east-1, and GuardDuty allows 100 and no more",
        ),
    ] {
        let scenario = with_filters(there);
        let output = ends(creating(&scenario, &path, &["--yes"]), exit);
        assert!(
            stderr(&output).contains(says),
            "{there}: {}",
            stderr(&output)
        );
        assert_eq!(stderr(&output).is_empty(), says.is_empty());
        let created = scenario.inputs("CreateFilter").len();
        assert_eq!(created, usize::from(exit == 0), "{there}");
    }
}

#[test]
fn a_refusal_of_guardduty_is_told() {
    let scenario = Scenario::of(json!({
        "guardduty": {"detector": DETECTOR},
        "errors": {"CreateFilter": {"status": 400, "code": "BadRequestException", "message": "The request is rejected."}},
    }));
    let path = event("exfiltration-malicious-ip");
    let output = ends(
        creating(&scenario, &path, &["--yes", "--output", "json"]),
        1,
    );
    let message = stderr(&output);
    assert!(
        message.contains("CreateFilter on the detector in us-east-1 answered BadRequestException"),
        "{message}"
    );
    assert!(
        message.contains("only the GuardDuty administrator can create"),
        "{message}"
    );
    assert!(message.contains("was not created: "), "{message}");
    assert_eq!(json_of(&output)["results"][0]["status"], "proposed");
}

fn creating(scenario: &Scenario, path: &str, more: &[&str]) -> Output {
    let mut command: Command = portcullis(&[&["suppress", path, "--create"], more].concat());
    command
        .env("AWS_ENDPOINT_URL", endpoint("ministack"))
        .env("AWS_ENDPOINT_URL_GUARDDUTY", scenario.url())
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    command.output().unwrap()
}

fn with_filters(count: usize) -> Scenario {
    let names: Vec<String> = (0..count)
        .map(|number| format!("filter-{number}"))
        .collect();
    Scenario::of(json!({"guardduty": {"detector": DETECTOR, "filters": names}}))
}

fn read(name: &str) -> Finding {
    let bytes = std::fs::read(event(name)).unwrap();
    match finding::read(&bytes).into_iter().next() {
        Some(Ok(Event::Finding(finding))) => *finding,
        other => panic!("{other:?}"),
    }
}

fn of(name: &str) -> Suppression {
    suppression(&read(name), Sessions::This).unwrap()
}

fn criteria(made: &Suppression) -> Vec<String> {
    let fields: BTreeMap<&str, ()> = made
        .criteria
        .iter()
        .map(|criterion| (criterion.field.as_str(), ()))
        .collect();
    assert_eq!(fields.len(), made.criteria.len(), "each field once");
    made.criteria
        .iter()
        .map(|criterion| format!("{} = {}", criterion.field, criterion.equals.join(", ")))
        .collect()
}
