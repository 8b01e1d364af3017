//! What the function tells of itself, and what template and runbook make of it: names that are spelled in two places would
//! else drift apart, and an alarm on a metric that nobody emits is silent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use portcullis::finding::{Event, read};
use portcullis::metrics::{BY_OUTCOME, DIMENSIONS, Metric, NAMESPACE};
use portcullis::record::Outcome;
use serde_json::{Value, json};

use crate::lambda::{Function, World};
use crate::metrics::check;

/// What AWS emits and we rely on, by its documentation: namespace, metric, dimension.
const AWS: [(&str, &str, &str); 6] = [
    ("AWS/Events", "FailedInvocations", "RuleName"),
    ("AWS/Lambda", "DestinationDeliveryFailures", "FunctionName"),
    ("AWS/Lambda", "Duration", "FunctionName"),
    ("AWS/Lambda", "Errors", "FunctionName"),
    ("AWS/Lambda", "Throttles", "FunctionName"),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName"),
];

#[tokio::test]
async fn every_invocation_has_one_line_of_metrics_and_a_decision_for_each_event() {
    let world = World::new("lambda-metrics", "enforce").await;

    world.function.invoke(&world.event());
    let (metrics, decision) = said(&world.function);
    for (name, expected) in [
        ("Mode", json!("enforce")),
        ("Outcome", json!("contained")),
        ("FindingsReceived", json!(1)),
        ("ChangesApplied", json!(2)),
        ("ChangesFailed", json!(0)),
        ("PolicyInvalid", json!(0)),
        ("ColdStart", json!(true)),
        ("Buckets", json!([world.bucket])),
    ] {
        assert_eq!(metrics[name], expected, "{name}");
    }
    assert_eq!(decision["cold_start"], true);
    assert_eq!(decision["region"], "us-east-1");
    // Both are of the same containment, by the same clock.
    for (metric, field) in [
        ("TimeToContain", "time_to_contain_ms"),
        ("ReceivedToContained", "received_to_contained_ms"),
    ] {
        assert_eq!(metrics[metric], json!([decision[field]]), "{metric}");
    }
    assert!(decision["duration_ms"].as_u64() >= decision["received_to_contained_ms"].as_u64());
    for field in query_fields() {
        assert!(
            decision.get(&field).is_some(),
            "{field} is in no {decision}"
        );
    }
    for field in [
        "finding_id",
        "outcome",
        "rule",
        "mode",
        "guards",
        "record_id",
        "account",
        "bucket",
        "region",
        "duration_ms",
        "cold_start",
        "request_id",
    ] {
        assert!(query_fields().contains(field), "{field}");
    }

    world.function.invoke(&world.event());
    let (metrics, decision) = said(&world.function);
    assert_eq!(metrics["Outcome"], "already-contained");
    assert_eq!(metrics["RecordsWritten"], 0);
    assert_eq!(metrics["ColdStart"], false);
    assert_eq!(decision["cold_start"], false);

    world.function.invoke(&json!({"detail-type": "GuardDuty Runtime Protection Healthy", "source": "aws.guardduty", "detail": {"a": 1}}));
    let (metrics, decision) = said(&world.function);
    assert_eq!(metrics["FindingsIgnored"], 1);
    assert_eq!(decision["outcome"], "ignored");

    for failing in [
        json!({"hello": "world"}),
        json!({"portcullis": {"rollback": {"record": "r-none"}}}),
    ] {
        world.function.invoke(&failing);
        let (metrics, decision) = said(&world.function);
        assert_eq!(metrics["Outcome"], "failed");
        assert_eq!(
            (&decision["outcome"], &decision["level"]),
            (&json!("failed"), &json!("ERROR"))
        );
        assert_ne!(decision["reason"], "");
    }
}

#[tokio::test]
async fn guards_and_an_invalid_policy_are_told() {
    let world = World::new("lambda-guards", "enforce").await;
    world.put_policy("version: 1\nmode: enforce\n").await;
    let function = Function::start(&world.endpoint, &world.store, "enforce", &[]);
    function.invoke(&world.event());
    let (metrics, decision) = said(&function);
    assert_eq!(metrics["PolicyInvalid"], 1, "the built-in policy serves");
    assert_eq!(metrics["Outcome"], "withheld");
    assert_ne!(metrics["MeasuresWithheld"], 0);
    assert_eq!(decision["guards"], "observe-mode");
    assert_eq!(decision.get("time_to_contain_ms"), None);
}

#[tokio::test]
async fn the_log_has_the_level_that_is_asked_for_and_no_level_silences_a_failure() {
    let world = World::new("lambda-levels", "enforce").await;
    let ignored = json!({"detail-type": "GuardDuty Runtime Protection Healthy", "source": "aws.guardduty", "detail": {}});
    let lines = |variable: (&str, &str)| -> Vec<String> {
        let function = Function::start(&world.endpoint, &world.store, "enforce", &[variable]);
        function.invoke(&ignored);
        function.invoke(&json!({"hello": "world"}));
        let logs = function.logs();
        let lines = logs
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        // The runtime's own line about a failure is none of ours.
        let told = lines.filter(|line| line["message"] == "decision" || line["level"] == "WARN");
        told.map(|line| format!("{} {}", line["level"], line["message"]))
            .collect()
    };
    let both = [r#""INFO" "decision""#, r#""ERROR" "decision""#];
    assert_eq!(lines(("PORTCULLIS_LOG", "")), both);
    assert_eq!(lines(("AWS_LAMBDA_LOG_LEVEL", "FATAL")), both[1..]);
    assert_eq!(
        lines(("PORTCULLIS_LOG", "loud")),
        [r#""WARN" "logging at info""#, both[0], both[1]]
    );
}

/// The metrics and the one decision of the last invocation. Whatever else is logged is no metric.
#[track_caller]
fn said(function: &Function) -> (Value, Value) {
    let logs = function.logs();
    let lines: Vec<Value> = logs
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |is: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        lines.iter().filter(|line| is(line)).cloned().collect()
    };
    let metrics = of(&|line| line.get("_aws").is_some());
    let decisions = of(&|line| line["message"] == "decision");
    assert_eq!((metrics.len(), decisions.len()), (1, 1), "{logs}");
    check(&metrics[0]);
    (metrics[0].clone(), decisions[0].clone())
}

#[test]
fn alarms_watch_what_is_emitted() {
    let template = template();
    let alarms = of_type(&template, "AWS::CloudWatch::Alarm");
    assert!(alarms.len() >= 10);
    for (name, alarm) in &alarms {
        let [dimension] = alarm["Dimensions"].as_array().unwrap().as_slice() else {
            panic!("{name} has not one dimension")
        };
        let dimension = dimension["Name"].as_str().unwrap();
        let (namespace, metric) = (text(alarm, "Namespace"), text(alarm, "MetricName"));
        if namespace == NAMESPACE {
            assert!(Metric::from_word(metric).is_some(), "{name}: {metric}");
            assert_eq!(DIMENSIONS, [dimension], "{name}");
            // They come out of the log and can be late.
            assert_eq!(
                (&alarm["EvaluationPeriods"], &alarm["DatapointsToAlarm"]),
                (&json!(5), &json!(1))
            );
        } else {
            assert!(
                AWS.contains(&(namespace, metric, dimension)),
                "{name}: {metric}"
            );
        }
        assert_eq!(alarm["Threshold"], 1, "{name}");
        assert_eq!(alarm["ComparisonOperator"], "GreaterThanOrEqualToThreshold");
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{name}");
        assert_eq!(alarm["AlarmActions"][0], "HasAlarmTopic", "{name}");
    }
    let watched: BTreeSet<&str> = alarms
        .values()
        .map(|alarm| text(alarm, "MetricName"))
        .collect();
    for metric in [
        Metric::ChangesFailed,
        Metric::PolicyInvalid,
        Metric::UnverifiedFindings,
        Metric::DriftFound,
    ] {
        assert!(watched.contains(metric.word()), "{metric}");
    }
    for queue in of_type(&template, "AWS::SQS::Queue").keys() {
        let name = format!("{queue}.QueueName");
        let mut watched = alarms
            .values()
            .map(|alarm| &alarm["Dimensions"][0]["Value"]);
        assert!(
            watched.any(|value| *value == name),
            "nobody hears of {queue}"
        );
    }
}

/// An alarm that went off must see that all is well again, and an environment without invocations is no reason for one.
#[test]
fn what_alarms_watch_is_told_where_it_is_nothing() {
    let golden = root().join("tests/cases/metrics/ignored.json");
    let quiet: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    for alarm in of_type(&template(), "AWS::CloudWatch::Alarm").values() {
        let metric = text(alarm, "MetricName");
        // Drift is nothing that an event could tell.
        if text(alarm, "Namespace") == NAMESPACE && metric != Metric::DriftFound.word() {
            assert_eq!(quiet[metric], 0, "{metric}");
        }
    }
}

#[test]
fn the_dashboard_shows_every_metric_and_every_alarm() {
    let template = template();
    let alarms = of_type(&template, "AWS::CloudWatch::Alarm");
    let dashboards = of_type(&template, "AWS::CloudWatch::Dashboard");
    let body = &dashboards["Dashboard"]["DashboardBody"];
    let runbook = &body[1]["Runbook"];
    for markdown in [&runbook[1], &runbook[2]] {
        let text = body[0].as_str().unwrap();
        let text = text.replace("${Runbook}", markdown.as_str().unwrap());
        let body: Value = serde_json::from_str(&text).unwrap();
        let widgets = body["widgets"].as_array().unwrap();
        let mut shown = BTreeSet::new();
        let mut outcomes = BTreeSet::new();
        let metrics = widgets
            .iter()
            .filter_map(|widget| widget["properties"]["metrics"].as_array());
        for metric in metrics.flatten() {
            let words: Vec<&str> = metric
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            match words.as_slice() {
                [NAMESPACE, name, dimension, _] => {
                    assert_eq!(DIMENSIONS, [*dimension]);
                    shown.insert(*name);
                }
                [NAMESPACE, name, first, _, second, outcome] => {
                    assert_eq!(
                        (*name, [*first, *second]),
                        (Metric::FindingsReceived.word(), BY_OUTCOME)
                    );
                    assert!(Outcome::from_word(outcome).is_some(), "{outcome}");
                    outcomes.insert(*outcome);
                    shown.insert(*name);
                }
                [namespace, name, dimension, _] => {
                    assert!(AWS.contains(&(namespace, name, dimension)), "{name}");
                }
                other => panic!("{other:?}"),
            }
            assert!(metric.as_array().unwrap().last().unwrap()["stat"].is_string());
        }
        assert_eq!(shown, Metric::WORDS.iter().copied().collect());
        // A rollback is no finding, and the function does not stop at a plan.
        let possible = Outcome::WORDS.iter().copied();
        let possible = possible.filter(|word| !["planned", "rolled-back"].contains(word));
        assert_eq!(outcomes, possible.collect());

        let of = |kind: &str| {
            widgets
                .iter()
                .find(|widget| widget["type"] == kind)
                .unwrap()
        };
        let listed: BTreeSet<&str> = of("alarm")["properties"]["alarms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arn| arn.as_str().unwrap())
            .collect();
        let arns: Vec<String> = alarms
            .keys()
            .map(|name| format!("${{{name}.Arn}}"))
            .collect();
        assert_eq!(listed, arns.iter().map(String::as_str).collect());
        let query = of("log")["properties"]["query"].as_str().unwrap();
        assert_eq!(query, format!("SOURCE '${{LogGroup}}' | {}", query_line()));
    }
    // Where there is an address, every alarm is linked, and every link has its heading.
    let links: BTreeSet<&str> = runbook[1]
        .as_str()
        .unwrap()
        .split("${RunbookUrl}#")
        .skip(1)
        .map(|rest| rest.split_once(')').unwrap().0)
        .collect();
    let anchors = anchors();
    for link in &links {
        assert!(anchors.contains(*link), "no heading for {link}");
    }
    for name in alarms.keys() {
        assert!(links.contains(name.to_lowercase().as_str()), "{name}");
    }
}

#[test]
fn the_runbook_has_each_alarm_and_each_metric() {
    let text = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let headings = text.lines().filter_map(|line| line.strip_prefix("### "));
    let alarms = of_type(&template(), "AWS::CloudWatch::Alarm");
    assert_eq!(
        headings.collect::<BTreeSet<_>>(),
        alarms.keys().map(String::as_str).collect()
    );
    let row = |metric: Metric| format!("| `{metric}` | {} | {} |", metric.unit(), metric.meaning());
    let metrics = Metric::WORDS
        .iter()
        .filter_map(|word| Metric::from_word(word));
    let table: Vec<String> = metrics.map(row).collect();
    let table = table.join("\n");
    assert!(
        text.contains(&table),
        "the runbook's table should be\n{table}"
    );
    // Outcomes of a finding, in its first table.
    for word in Outcome::WORDS {
        let is_told = text.contains(&format!("\n| `{word}` |"));
        assert_eq!(
            is_told,
            !["planned", "rolled-back"].contains(word),
            "{word}"
        );
    }
    let anchors = anchors();
    for (at, _) in text.match_indices("](#") {
        let link = text[at + 3..].split_once(')').unwrap().0;
        assert!(anchors.contains(link), "no heading for {link}");
    }
}

/// As `aws sqs receive-message --query 'Messages[0]'` prints it.
#[test]
fn what_waits_in_a_queue_can_be_handed_in_as_it_is() {
    let event =
        std::fs::read_to_string(root().join("events/anonymous-access-granted.json")).unwrap();
    let failed = json!({"version": "1.0", "requestContext": {}, "requestPayload": serde_json::from_str::<Value>(&event).unwrap()});
    for body in [event, failed.to_string()] {
        let message =
            json!({"MessageId": "1", "ReceiptHandle": "AQEB", "MD5OfBody": "0", "Body": body});
        let events = read(message.to_string().as_bytes());
        assert!(
            matches!(events.as_slice(), [Ok(Event::Finding(_))]),
            "{events:?}"
        );
    }
}

/// The anchors of the runbook's headings, as they are made of them.
fn anchors() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let headings = text.lines().filter_map(|line| {
        line.trim_start_matches('#')
            .strip_prefix(' ')
            .filter(|_| line.starts_with('#'))
    });
    headings
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect()
}

/// The runbook's query, on one line.
fn query_line() -> String {
    let text = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let (_, rest) = text.split_once("```text\n").unwrap();
    let query = rest.split_once("\n```").unwrap().0;
    query.lines().collect::<Vec<_>>().join(" ")
}

/// The fields of the log that the query asks for.
fn query_fields() -> BTreeSet<String> {
    let line = query_line();
    let fields = line
        .split(" | ")
        .find_map(|part| part.strip_prefix("fields "))
        .unwrap();
    fields
        .split(", ")
        .filter(|field| !field.starts_with('@'))
        .map(str::to_owned)
        .collect()
}

/// The template as YAML without CloudFormation's tags: `!GetAtt A.B` is the text `A.B`.
fn template() -> Value {
    let text = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// The properties of the resources of a type, by logical id.
fn of_type(template: &Value, kind: &str) -> BTreeMap<String, Value> {
    let resources = template["Resources"].as_object().unwrap().iter();
    let of_type = resources.filter(|(_, resource)| resource["Type"] == kind);
    of_type
        .map(|(name, resource)| (name.clone(), resource["Properties"].clone()))
        .collect()
}

#[track_caller]
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
