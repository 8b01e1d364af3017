//! The findings of GuardDuty, page by page.

use std::process::Output;

use serde_json::{Value, json};

use super::{REGION, Scenario, denied};
use crate::cli::{ends, json_of, portcullis, stderr};
use crate::stand_in::endpoint;

const DETECTOR: &str = "12abc34d567e8fa901bc2d34e56789f0";

#[test]
fn guardduty_is_read_page_by_page_since_a_time() {
    let now = jiff::Timestamp::now();
    let days_ago = |days: i64| (now - jiff::SignedDuration::from_hours(24 * days)).to_string();
    let mut findings: Vec<Value> = (0..120)
        .map(|number| finding(number, &days_ago(5)))
        .collect();
    findings.push(finding(120, &days_ago(40)));
    let mut other = finding(121, &days_ago(1));
    other["type"] = json!("Recon:EC2/Portscan");
    other["resource"] = json!({"resourceType": "Instance"});
    other["service"].as_object_mut().unwrap().remove("action");
    findings.push(other);
    let scenario = Scenario::of(json!({"guardduty": {"detector": DETECTOR, "findings": findings}}));
    let document = json_of(&ends(backtest(&scenario, &[]), 0));
    assert_eq!(document["read"]["findings"], 120);
    assert_eq!(document["read"]["ignored"], 1);
    assert_eq!(document["facts"]["unknown"], 120);
    let source = document["source"].as_str().unwrap();
    assert!(
        source.starts_with("GuardDuty in us-east-1, updated since"),
        "{source}"
    );
    assert_eq!(document["examples"][0]["place"], "GuardDuty in us-east-1");
    let pages: Vec<usize> = scenario
        .inputs("GetFindings")
        .iter()
        .map(|input| input["FindingIds"].as_array().unwrap().len())
        .collect();
    assert_eq!(pages, [50, 50, 21]);
    assert_eq!(scenario.inputs("ListDetectors").len(), 1);

    // The detector may be named.
    let scenario = Scenario::of(json!({"guardduty": {"detector": DETECTOR, "findings": []}}));
    let document = json_of(&ends(
        backtest(&scenario, &[("PORTCULLIS_DETECTOR_ID", DETECTOR)]),
        0,
    ));
    assert_eq!(document["read"]["findings"], 0);
    assert_eq!(scenario.operations(), ["ListFindings"]);
}

#[test]
fn what_was_read_before_guardduty_failed_is_told_as_a_part() {
    let now = jiff::Timestamp::now().to_string();
    let findings: Vec<Value> = (0..60).map(|number| finding(number, &now)).collect();
    let scenario = Scenario::of(json!({
        "guardduty": {"detector": DETECTOR, "findings": findings},
        "errors": {"GetFindings": [null, denied("guardduty:GetFindings")]},
    }));
    let output = ends(backtest(&scenario, &[]), 1);
    let document = json_of(&output);
    assert_eq!(document["partial"], true);
    assert_eq!(document["read"]["findings"], 50);
    assert!(
        stderr(&output).contains("guardduty:GetFindings"),
        "{}",
        stderr(&output)
    );
}

fn backtest(scenario: &Scenario, variables: &[(&str, &str)]) -> Output {
    let args = [
        "backtest", "--since", "30d", "--policy", "built-in", "--facts", "none", "--output", "json",
    ];
    let mut command = portcullis(&args);
    command
        .env("AWS_ENDPOINT_URL", endpoint("ministack"))
        .env("AWS_ENDPOINT_URL_GUARDDUTY", scenario.url())
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .envs(variables.iter().copied());
    command.output().unwrap()
}

fn finding(number: usize, updated: &str) -> Value {
    let mut detail = super::guardduty::detail();
    detail["id"] = json!(format!("{number:032x}"));
    detail["updatedAt"] = json!(updated);
    detail
}
