//! Metrics: the documents that an invocation ends with, and the rules of the embedded metric format on all of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use portcullis::classification::Own;
use portcullis::decision::{Situation, decide};
use portcullis::engine::{Report, Summary};
use portcullis::enrichment::{Enrichment, FindingCheck, Standing};
use portcullis::finding::{Event, Finding, read};
use portcullis::metrics::{
    BY_OUTCOME, DIMENSIONS, Invocation, Metric, NAMESPACE, Origin, Tally, Took,
};
use portcullis::policy::{self, FollowUp, Mode};
use portcullis::record::{
    ChangeResult, ChangeStatus, FollowUpResult, FollowUpStatus, Outcome, PolicyRef, Record,
    RunResult, VERSION,
};
use portcullis::settings::Settings;
use serde_json::Value;

use crate::world::POLICY;

/// When the function had its event.
const RECEIVED: &str = "2026-03-01T10:15:30Z";

#[test]
fn a_contained_finding() {
    let report = acted(&[ChangeStatus::Verified, ChangeStatus::Verified]);
    golden("contained", &document(&tally(&[report]), 1_900));
}

#[test]
fn a_withheld_finding() {
    golden(
        "withheld",
        &document(&tally(&[observed(Enrichment::default())]), 900),
    );
}

#[test]
fn a_finding_whose_changes_failed() {
    let report = acted(&[ChangeStatus::Failed, ChangeStatus::Failed]);
    golden("failed", &document(&tally(&[report]), 9_000));
}

#[test]
fn an_event_that_is_none_of_ours() {
    let mut tally = Tally::of(invocation());
    tally.ignored(Origin::Event);
    golden("ignored", &document(&tally, 3));
}

/// Everything that can be told, so that every metric is in some golden.
#[test]
fn all_that_can_be_told() {
    let forged = Enrichment {
        guardduty: Some(FindingCheck {
            is: Standing::Missing,
            because: "GetFindings returned nothing".into(),
        }),
        ..Enrichment::default()
    };
    let mut partial = acted(&[ChangeStatus::Verified, ChangeStatus::Unverified]);
    partial.summary.followed_up = vec![FollowUpResult {
        follow_up: FollowUp::ArchiveFinding,
        status: FollowUpStatus::Failed,
        detail: "guardduty:ArchiveFindings answered AccessDenied".into(),
    }];
    let mut tally = tally(&[observed(forged), partial]);
    tally.policy_invalid = true;
    tally.notices_failed = Some(1);
    tally.drift_found = Some(2);
    golden("everything", &document(&tally, 2_000));
}

#[test]
fn the_gravest_outcome_of_its_targets_is_the_findings() {
    let contained = || acted(&[ChangeStatus::Verified, ChangeStatus::Verified]);
    let failed = || acted(&[ChangeStatus::Failed, ChangeStatus::Failed]);
    for reports in [[contained(), failed()], [failed(), contained()]] {
        let document = document(&tally(&reports), 1);
        assert_eq!(document["Outcome"], "failed");
        assert_eq!(document["FindingsReceived"], 1);
        assert_eq!(document["ChangesApplied"], 2);
        assert_eq!(document["ChangesFailed"], 2);
        // One record's id for both, for it is the same bucket.
        assert_eq!(document["Records"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_request_is_no_finding_and_its_time_is_the_operators() {
    let mut tally = Tally::of(invocation());
    let report = acted(&[ChangeStatus::Verified, ChangeStatus::Verified]);
    tally.settled(Origin::Request, &[report]);
    let document = document(&tally, 1);
    assert_eq!(document["FindingsReceived"], 0);
    assert_eq!(document["ChangesApplied"], 2);
    assert_eq!(document.get("TimeToContain"), None);
}

#[test]
fn what_was_not_contained_took_no_time() {
    let received_at = RECEIVED.parse().unwrap();
    let partial = acted(&[ChangeStatus::Verified, ChangeStatus::Failed]);
    assert_eq!(Took::of(&partial, received_at), None);
    assert_eq!(
        Took::of(&observed(Enrichment::default()), received_at),
        None
    );

    // GuardDuty's clock is not ours, and a finding need not say when it was updated.
    let mut early = acted(&[ChangeStatus::Verified]);
    updated_at(&mut early, Some(after(60_000)));
    let took = Took::of(&early, received_at).unwrap();
    assert_eq!(took.since_finding, Some(0));
    updated_at(&mut early, None);
    let took = Took::of(&early, received_at).unwrap();
    assert_eq!((took.since_finding, took.since_receipt), (None, 1_800));
}

/// A finding may name hundreds of buckets, and an input may hold hundreds of findings.
#[test]
fn an_invocation_of_any_size_fits_a_document() {
    let reports: Vec<Report> = (0..400)
        .map(|number| {
            let mut report = acted(&[ChangeStatus::Verified, ChangeStatus::Verified]);
            report.summary.bucket = Some(format!("{}-{number}", "b".repeat(58)));
            report.record.as_mut().unwrap().id = format!("r-20260301T101500Z-{number}");
            report.result.as_mut().unwrap().at = after(number);
            report
        })
        .collect();
    let document = document(&tally(&reports), 400);
    check(&document);
    assert_eq!(document["RecordsWritten"], 400);
    assert_eq!(document["Outcome"], "contained");
    let times = document["ReceivedToContained"].as_array().unwrap();
    assert_eq!(times.first().unwrap(), 399, "the slowest are told");
    assert_eq!(times.last().unwrap(), 300);
}

/// The goldens together hold every metric, so that none is defined and never emitted.
#[test]
fn every_metric_is_in_a_golden() {
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        seen.extend(check(&document));
    }
    let defined: BTreeSet<String> = Metric::WORDS.iter().map(|&word| word.to_owned()).collect();
    assert_eq!(seen, defined);
}

/// What the specification of the embedded metric format asks of a document, and what we ask besides; gives its metrics.
pub(crate) fn check(document: &Value) -> BTreeSet<String> {
    assert!(
        document.to_string().len() < 256 * 1024,
        "CloudWatch takes 1 MB"
    );
    let root = document.as_object().unwrap();
    let aws = root["_aws"].as_object().unwrap();
    assert_eq!(
        aws.keys().collect::<Vec<_>>(),
        ["Timestamp", "CloudWatchMetrics"]
    );
    let year_2020 = 1_577_836_800_000;
    assert!(
        aws["Timestamp"].as_i64().unwrap() > year_2020,
        "milliseconds"
    );
    let mut names = BTreeSet::new();
    for directive in aws["CloudWatchMetrics"].as_array().unwrap() {
        let directive = directive.as_object().unwrap();
        assert_eq!(
            directive.keys().collect::<Vec<_>>(),
            ["Namespace", "Dimensions", "Metrics"]
        );
        assert_eq!(directive["Namespace"], NAMESPACE);
        for set in directive["Dimensions"].as_array().unwrap() {
            let set: Vec<&str> = set
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap())
                .collect();
            assert!(set == DIMENSIONS || set == BY_OUTCOME, "{set:?}");
            for name in set {
                let value = root[name].as_str().unwrap();
                assert!(Outcome::from_word(value).is_some() || Mode::from_word(value).is_some());
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        let mut own = BTreeSet::new();
        for metric in metrics {
            let metric = metric.as_object().unwrap();
            assert_eq!(metric.keys().collect::<Vec<_>>(), ["Name", "Unit"]);
            let name = metric["Name"].as_str().unwrap();
            let defined = Metric::from_word(name).unwrap_or_else(|| panic!("{name} is no metric"));
            assert_eq!(metric["Unit"], defined.unit());
            assert!(["Count", "Milliseconds"].contains(&defined.unit()));
            match &root[name] {
                Value::Array(values) => {
                    assert!((1..=100).contains(&values.len()), "{name}");
                    assert!(values.iter().all(Value::is_u64), "{name}");
                }
                value => assert!(value.is_u64(), "{name}"),
            }
            assert!(own.insert(name.to_owned()), "{name} twice");
        }
        names.extend(own);
    }
    for name in root.keys().filter(|name| Metric::from_word(name).is_some()) {
        assert!(names.contains(name), "{name} is told and not declared");
    }
    names
}

fn golden(name: &str, document: &Value) {
    check(document);
    let path = folder().join(format!("{name}.json"));
    let text = format!("{}\n", serde_json::to_string_pretty(document).unwrap());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == text,
        "{} is not as written:\n{text}",
        path.display()
    );
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/metrics")
}

fn invocation() -> Invocation<'static> {
    Invocation {
        request_id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        cold_start: true,
        mode: Mode::Enforce,
        received_at: RECEIVED.parse().unwrap(),
    }
}

fn tally(reports: &[Report]) -> Tally<'static> {
    let mut tally = Tally::of(invocation());
    tally.settled(Origin::Event, reports);
    tally
}

/// The document of a moment so many milliseconds after the event.
fn document(tally: &Tally, milliseconds: i64) -> Value {
    serde_json::to_value(tally.document(after(milliseconds))).unwrap()
}

fn after(milliseconds: i64) -> Timestamp {
    let received: Timestamp = RECEIVED.parse().unwrap();
    received + SignedDuration::from_millis(milliseconds)
}

fn updated_at(report: &mut Report, at: Option<Timestamp>) {
    let record = report.record.as_mut().unwrap();
    Arc::make_mut(&mut record.finding).updated_at = at;
}

/// A public bucket, whose plan was carried out with these results, the last after 1.8 seconds.
fn acted(statuses: &[ChangeStatus]) -> Report {
    let mut report = decided(Mode::Enforce, Enrichment::default());
    let record = report.record.as_ref().unwrap();
    let planned = record.decision.plan.changes.iter();
    let changes: Vec<ChangeResult> = planned
        .zip(statuses)
        .map(|(change, &status)| ChangeResult {
            setting: change.setting,
            status,
            detail: None,
            may_succeed_later: false,
        })
        .collect();
    let all = |status| changes.iter().all(|change| change.status == status);
    let outcome = match (all(ChangeStatus::Verified), all(ChangeStatus::Failed)) {
        (true, _) => Outcome::Contained,
        (_, true) => Outcome::Failed,
        _ => Outcome::Partial,
    };
    report.result = Some(RunResult {
        version: VERSION,
        record: record.id.clone(),
        run: String::new(),
        at: after(1_800),
        outcome,
        changes: changes.clone(),
        followed_up: Vec::new(),
        sensitivity: None,
    });
    report.summary.outcome = outcome;
    report.summary.changes = changes;
    report
}

/// A public bucket in observe mode, with what other services say.
fn observed(enrichment: Enrichment) -> Report {
    let mut report = decided(Mode::Observe, enrichment);
    report.summary.outcome = Outcome::Withheld;
    report
}

fn decided(mode: Mode, enrichment: Enrichment) -> Report {
    let finding = finding();
    let target = finding.targets[0].clone();
    let policy = policy::load("policy.yaml", POLICY, jiff::civil::date(2026, 3, 1))
        .policy
        .unwrap();
    let own = Own {
        principals: Vec::new(),
        account: Some(finding.account.clone()),
    };
    let facts = include_bytes!("../cases/decide/observe-mode-plans-and-withholds/facts.json");
    let before: Settings = serde_json::from_slice(facts).unwrap();
    let (classification, decision) = decide(&Situation {
        finding: &finding,
        target: &target,
        policy: &policy,
        stack_mode: mode,
        own: &own,
        operator: None,
        observed: &before,
        enrichment: &enrichment,
        stops: &[],
        policy_refused: false,
        now: RECEIVED.parse().unwrap(),
    });
    let withheld = decision.withheld.iter();
    let summary = Summary {
        id: Some("r-20260301T101500Z-0a1b2c3d-4e5f6071".into()),
        outcome: Outcome::Planned,
        reason: None,
        finding: finding.id.clone(),
        kind: finding.kind.clone(),
        account: finding.account.clone(),
        region: finding.region.clone(),
        bucket: Some("amzn-s3-demo-bucket-orders".into()),
        rule: Some(decision.rule.clone()),
        mode: Some(decision.mode.to_string()),
        taken: Vec::new(),
        withheld: withheld
            .map(|withheld| format!("{}: {}", withheld.measure, withheld.guard))
            .collect(),
        changes: Vec::new(),
        sensitivity: None,
        followed_up: Vec::new(),
        alerts: Vec::new(),
    };
    let record = Record {
        version: VERSION,
        id: "r-20260301T101500Z-0a1b2c3d-4e5f6071".into(),
        run: String::new(),
        at: RECEIVED.parse().unwrap(),
        program: String::new(),
        asked_by: "event".into(),
        target,
        classification,
        policy: PolicyRef {
            name: policy.name.clone(),
            digest: policy.digest.clone(),
        },
        before,
        enrichment,
        decision,
        rollback: None,
        outcome: None,
        followed_up: Vec::new(),
        finding: finding.into(),
    };
    Report {
        record: Some(record),
        result: None,
        summary,
        earlier: None,
        error: None,
    }
}

fn finding() -> Finding {
    let event = include_bytes!("../../events/anonymous-access-granted.json");
    let Ok(Event::Finding(finding)) = read(event).remove(0) else {
        panic!("the event is a finding")
    };
    let updated: Timestamp = RECEIVED.parse().unwrap();
    Finding {
        // GuardDuty took some minutes, as it does.
        updated_at: Some(updated - SignedDuration::from_mins(4)),
        ..*finding
    }
}
