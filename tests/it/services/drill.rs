//! The drill: sample findings on one side, the records of the deployed function on the other.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ACCOUNT, REGION, Scenario};
use crate::cli::{Folder, ends, event, json_of, portcullis, run, stderr, stdout};
use crate::lambda::World;
use crate::stand_in::endpoint;

const DETECTOR: &str = "12abc34d567e8fa901bc2d34e56789f0";
const IMPACT: &str = "Impact:S3/MaliciousIPCaller";
const GRANT: &str = "Policy:S3/BucketAnonymousAccessGranted";

#[tokio::test]
async fn what_the_function_did_with_each_sample_is_told() {
    let world = World::new("drill", "enforce").await;
    // A record of an earlier drill, and one of no sample, are not of this one.
    let earlier = world.function.invoke(&sample(IMPACT, "earlier", REGION));
    let earlier = earlier.response()["records"][0]["id"].clone();

    let scenario = Scenario::of(json!({"guardduty": {"detector": DETECTOR}}));
    let store = format!("s3://{}", world.store);
    let args = [
        "--finding",
        IMPACT,
        "--finding",
        GRANT,
        "--finding",
        IMPACT,
        "--wait",
        "20s",
        "--yes",
    ];
    let drill = start(&scenario, &store, &args);
    wait_for_samples(&scenario);
    world
        .function
        .invoke(&sample(GRANT, "elsewhere", "eu-west-1"));
    let mut real = sample(GRANT, "real", REGION);
    real["detail"]["service"]["additionalInfo"] = json!({});
    real["detail"]["resource"]["accessKeyDetails"] = json!({});
    world.function.invoke(&real);
    let first = world.function.invoke(&sample(IMPACT, "one", REGION));
    let second = world.function.invoke(&sample(GRANT, "two", REGION));

    let output = ends(drill.wait_with_output().unwrap(), 0);
    let text = stdout(&output);
    let id = |answer: &Value| answer["records"][0]["id"].as_str().unwrap().to_owned();
    let expected = format!(
        "{IMPACT}\n  rule \"everything-else\" (policy.yaml:9), mode enforce; ignored  {}\n    the rule asks for no measure\n\
         {GRANT}\n  rule \"public\" (policy.yaml:6), mode enforce; withheld  {}\n    \
         withheld by sample-finding: remove-public-grants, block-public-access\n\n\
         Drill: 2 of 2 arrived.\n",
        id(first.response()),
        id(second.response()),
    );
    assert!(text.starts_with(&expected), "{text}\n---\n{expected}");
    assert!(!text.contains(earlier.as_str().unwrap()), "{text}");
    assert_eq!(
        scenario.inputs("CreateSampleFindings"),
        [json!({"DetectorId": DETECTOR, "FindingTypes": [IMPACT, GRANT]})]
    );
    let said = stderr(&output);
    assert!(
        said.contains(&format!(
            "make 2 sample findings in account {ACCOUNT}: {IMPACT}, {GRANT}"
        )),
        "{said}"
    );
    assert!(said.contains("Everything that listens"), "{said}");
    assert!(
        said.contains("0 of 2 arrived; waiting 20 s at most"),
        "{said}"
    );
}

#[tokio::test]
async fn what_did_not_arrive_is_told_with_where_to_look() {
    let world = World::new("drill-lost", "observe").await;
    let scenario = Scenario::of(json!({"guardduty": {"detector": DETECTOR}}));
    let store = format!("s3://{}", world.store);
    let args = [
        "--finding",
        IMPACT,
        "--finding",
        GRANT,
        "--wait",
        "4s",
        "--yes",
        "--output",
        "json",
    ];
    let drill = start(&scenario, &store, &args);
    wait_for_samples(&scenario);
    world.function.invoke(&sample(GRANT, "one", REGION));
    let document = json_of(&ends(drill.wait_with_output().unwrap(), 5));
    assert_eq!(document["version"], 1);
    assert_eq!(document["region"], REGION);
    assert_eq!(document["account"], ACCOUNT);
    let results = document["results"].as_array().unwrap();
    assert_eq!(results[0], json!({"type": IMPACT, "records": []}));
    assert_eq!(results[1]["records"][0]["rule"], "public");
    assert_eq!(results[1]["records"][0]["outcome"], "withheld");
    assert_eq!(
        results[1]["records"][0]["withheld"][0]["guard"],
        "sample-finding"
    );

    // Nothing at all, for every type that is asked for by itself.
    let folder = Folder::new();
    let store = folder.path("store");
    let drill = start(
        &scenario,
        store.to_str().unwrap(),
        &["--wait", "1s", "--yes"],
    );
    let begun = Instant::now();
    let output = ends(drill.wait_with_output().unwrap(), 1);
    assert!(begun.elapsed() < Duration::from_secs(10));
    let asked = scenario.inputs("CreateSampleFindings").pop().unwrap();
    let types = asked["FindingTypes"].as_array().unwrap();
    assert_eq!(types.len(), 22);
    let text = stdout(&output);
    for kind in types {
        assert!(text.contains(kind.as_str().unwrap()), "{kind}");
    }
    assert!(text.contains("Drill: 0 of 22 arrived."), "{text}");
    for place in [
        "StoreBucket",
        REGION,
        "RuleArn",
        "FailedFindingsUrl",
        "UndeliveredFindingsUrl",
        "suppression rule",
    ] {
        assert!(text.contains(place), "{place}: {text}");
    }
}

#[test]
fn nothing_is_made_without_consent_or_a_store_to_look_at() {
    let scenario = Scenario::of(json!({"guardduty": {"detector": DETECTOR}}));
    let folder = Folder::new();
    let store = folder.path("store");
    let output = start(&scenario, store.to_str().unwrap(), &[]);
    let output = ends(output.wait_with_output().unwrap(), 2);
    assert!(stderr(&output).contains("add --yes"), "{}", stderr(&output));
    assert!(stderr(&output).contains("Everything that listens"));

    let output = ends(run(&["drill", "--yes"]), 2);
    assert!(
        stderr(&output).contains("output StoreBucket"),
        "{}",
        stderr(&output)
    );

    // A store that cannot be read.
    let missing = start(
        &scenario,
        "s3://portcullis-there-is-no-such-store",
        &["--yes"],
    );
    let output = ends(missing.wait_with_output().unwrap(), 1);
    assert!(
        stderr(&output).contains("portcullis-there-is-no-such-store"),
        "{}",
        stderr(&output)
    );
    assert_eq!(scenario.operations(), Vec::<String>::new());
}

#[test]
fn what_cannot_be_waited_for_or_made_is_a_usage_error() {
    for args in [
        ["--wait", "0s"],
        ["--wait=-5m", "--yes"],
        ["--wait", "10"],
        ["--wait", "25h"],
        ["--wait", "soon"],
        ["--finding", " "],
        ["--finding", &"x".repeat(101)],
    ] {
        let output = ends(run(&[&["drill"], &args[..]].concat()), 2);
        assert!(
            stderr(&output).starts_with("error: invalid value"),
            "{args:?}"
        );
    }
}

#[test]
fn a_refusal_of_guardduty_is_told() {
    let scenario = Scenario::of(json!({
        "guardduty": {"detector": DETECTOR},
        "errors": {"CreateSampleFindings": {"status": 400, "code": "BadRequestException", "message": "The request is rejected."}},
    }));
    let folder = Folder::new();
    let store = folder.path("store");
    let drill = start(&scenario, store.to_str().unwrap(), &["--yes"]);
    let output = ends(drill.wait_with_output().unwrap(), 1);
    assert!(
        stderr(&output).contains(
            "CreateSampleFindings on the detector in us-east-1 answered BadRequestException"
        ),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains("name others with --finding"));
}

fn start(scenario: &Scenario, store: &str, args: &[&str]) -> Child {
    let mut command: Command = portcullis(&[&["drill", "--store", store], args].concat());
    command
        .env("AWS_ENDPOINT_URL", endpoint("ministack"))
        .env("AWS_ENDPOINT_URL_GUARDDUTY", scenario.url())
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    command.spawn().unwrap()
}

/// Until the drill has seen what was in the store before, and has asked for its samples.
fn wait_for_samples(scenario: &Scenario) {
    let until = Instant::now() + Duration::from_secs(30);
    while scenario.inputs("CreateSampleFindings").is_empty() {
        assert!(Instant::now() < until, "the drill asks for no samples");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// An event as GuardDuty sends it of a sample.
fn sample(kind: &str, id: &str, region: &str) -> Value {
    let mut event: Value =
        serde_json::from_slice(&std::fs::read(event("sample")).unwrap()).unwrap();
    let detail = &mut event["detail"];
    detail["type"] = json!(kind);
    detail["id"] = json!(id);
    detail["accountId"] = json!(ACCOUNT);
    detail["region"] = json!(region);
    event
}
