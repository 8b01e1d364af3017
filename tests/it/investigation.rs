//! What GuardDuty and Macie say while a bucket is contained: the engine over HTTP, with the bucket in a stand-in that
//! enforces policies, and both services in ours.

use std::sync::{Arc, Mutex};

use aws_sdk_s3::types::CreateBucketConfiguration;
use jiff::SignedDuration;
use portcullis::aws::AwsOptions;
use portcullis::classification::{Authorization, Sensitivity};
use portcullis::engine::Report;
use portcullis::enrichment::Membership;
use portcullis::finding::{Bucket, Finding, Target};
use portcullis::guard::Guard;
use portcullis::policy::{self, FollowUp, Mode};
use portcullis::record::{FollowUpStatus, Outcome};
use portcullis::settings::Settings;
use portcullis::sweep::JobState;
use portcullis::yaml;
use serde_json::{Value, json};

use crate::services::{Scenario, denied};
use crate::stand_in::{ACCOUNT, Verdict, config, endpoint, policy_text, unique_name};
use crate::world::{World, guards};

const DETECTOR: &str = "12abc34d567e8fa901bc2d34e56789f0";
const ACTOR: &str = "AROAEXAMPLEFIRST0001:alice";
const ADDRESS: &str = "198.51.100.7";

#[tokio::test]
async fn a_finding_that_guardduty_has_is_acted_on() {
    let world = Told::new("told", DENY, |finding, _| having(vec![finding])).await;
    let report = world.respond().await;
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    assert_eq!(standing(&report), "confirmed");
    assert_eq!(report.summary.alerts, Vec::<String>::new());
    assert_eq!(world.scenario.inputs("GetFindings").len(), 1);
}

/// A forged event, by whoever may invoke the function.
#[tokio::test]
async fn a_finding_that_guardduty_does_not_have_changes_nothing() {
    let world = Told::new("forged", DENY, |_, _| having(Vec::new())).await;
    let before = world.policy().await;
    let report = world.respond().await;
    assert_eq!(
        (report.summary.outcome, guards(&report)),
        (Outcome::Withheld, vec![Guard::UnverifiedFinding])
    );
    let why = report.summary.reason.unwrap();
    assert!(why.contains("does not have the finding"), "{why}");
    assert_eq!(world.policy().await, before);
    // An event may be faster than GuardDuty's index, so that it was asked twice.
    assert_eq!(world.scenario.inputs("GetFindings").len(), 2);
}

/// Another account's finding may be in a detector that we do not have; only a detector that somebody named is known to be
/// the administrator's.
#[tokio::test]
async fn a_detector_that_may_not_be_the_administrators_proves_nothing() {
    for (detector, outcome) in [
        (None, Outcome::Contained),
        (Some(DETECTOR.to_owned()), Outcome::Withheld),
    ] {
        let mut world = Told::new("member", DENY, |_, _| having(Vec::new())).await;
        world.finding.account = "222222222222".to_owned();
        let options = AwsOptions {
            detector,
            ..options()
        };
        let endpoint = world.world.proxy.url.clone();
        world.world.aws = world.scenario.aws_beside(&endpoint, options).await;
        let report = world.respond().await;
        assert_eq!(report.summary.outcome, outcome, "{report:?}");
        if outcome == Outcome::Contained {
            let [alert] = report.summary.alerts.as_slice() else {
                panic!("{:?}", report.summary.alerts)
            };
            assert!(alert.contains("administrator"), "{alert}");
        }
    }
}

/// An update that has not reached us yet names another actor: it is that one who is denied.
#[tokio::test]
async fn the_newest_state_of_a_finding_counts() {
    let world = Told::new("newer", DENY, |mut finding, _| {
        finding["updatedAt"] = json!("2026-12-01T00:00:00Z");
        finding["resource"]["accessKeyDetails"]["principalId"] =
            json!("AROAEXAMPLESECOND002:mallory");
        having(vec![finding])
    })
    .await;
    let report = world.respond().await;
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    let policy = world.policy().await;
    assert!(policy.contains("AROAEXAMPLESECOND002:*"), "{policy}");
    assert!(!policy.contains("AROAEXAMPLEFIRST0001"), "{policy}");
    let record = report.record.unwrap();
    assert_eq!(
        record.finding.updated_at,
        Some("2026-12-01T00:00:00Z".parse().unwrap())
    );
}

/// Where we are not let in, the newest state is no reason to try again.
#[tokio::test]
async fn the_newest_state_of_a_finding_opens_no_account() {
    let mut world = Told::new("newer-elsewhere", DENY, |mut finding, _| {
        finding["updatedAt"] = json!("2026-12-01T00:00:00Z");
        having(vec![finding])
    })
    .await;
    let options = AwsOptions {
        member_role: Some("NobodyHasIt".to_owned()),
        ..options()
    };
    let endpoint = world.world.proxy.url.clone();
    world.world.aws = world.scenario.aws_beside(&endpoint, options).await;
    for target in &mut world.finding.targets {
        if let Target::Bucket(bucket) = target {
            bucket.account = "222222222222".to_owned();
        }
    }
    let report = world.respond().await;
    assert_eq!(
        (report.summary.outcome, guards(&report)),
        (Outcome::Withheld, vec![Guard::OtherAccount])
    );
    assert_eq!(report.record.unwrap().before, Settings::default());
}

#[tokio::test]
async fn a_finding_that_was_archived_since_is_left_alone() {
    let world = Told::new("archived", DENY, |mut finding, _| {
        finding["service"]["archived"] = json!(true);
        having(vec![finding])
    })
    .await;
    let before = world.policy().await;
    let report = world.respond().await;
    assert_eq!(
        (report.summary.outcome, guards(&report)),
        (Outcome::Withheld, vec![Guard::ArchivedFinding])
    );
    assert_eq!(world.policy().await, before);
}

/// Whatever keeps GuardDuty from answering must not keep a bucket open.
#[tokio::test]
async fn a_guardduty_that_does_not_answer_fails_no_containment() {
    let refusals = [
        (
            "a foreign detector",
            json!({
                "status": 400,
                "code": "BadRequestException",
                "message": "The request is rejected because the input detectorId is not owned by the current account.",
            }),
        ),
        ("denied", denied("guardduty:GetFindings")),
        (
            "throttled",
            json!({"status": 429, "code": "ThrottlingException", "message": "Rate exceeded"}),
        ),
        (
            "broken",
            json!({"status": 500, "code": "InternalServerErrorException", "message": "Internal"}),
        ),
        ("too late", json!({"stall": 30})),
    ];
    for (name, refusal) in refusals {
        let world = Told::new("silent", DENY, |_, _| {
            json!({"guardduty": {"detector": DETECTOR, "findings": []}, "errors": {"GetFindings": refusal}})
        })
        .await;
        let report = world.respond().await;
        assert_eq!(report.summary.outcome, Outcome::Contained, "{name}");
        assert_eq!(standing(&report), "unknown", "{name}");
        let alert = report.summary.alerts.join("; ");
        assert!(alert.contains("GetFindings"), "{name}: {alert}");
    }
}

#[tokio::test]
async fn a_rule_decides_by_what_macie_says() {
    let rules = r"  - id: sensitive
    when: { sensitivity: sensitive }
    measures: [isolate]
  - id: unknown
    when: { sensitivity: unknown }
    measures: [deny-actor]
  - id: others
    measures: []
";
    for (score, rule, sensitivity) in [
        (json!(93), "sensitive", Sensitivity::Sensitive),
        (json!(12), "others", Sensitivity::NotSensitive),
        (json!(50), "unknown", Sensitivity::Unknown),
        (Value::Null, "unknown", Sensitivity::Unknown),
    ] {
        let world = Told::new("macie", rules, |finding, bucket| {
            json!({
                "guardduty": {"detector": DETECTOR, "findings": [finding]},
                "macie": {
                    "buckets": [{"bucketName": bucket, "accountId": ACCOUNT, "sensitivityScore": score}],
                    "detections": {bucket: [{"name": "NAME", "type": "MANAGED", "count": 4}]},
                },
            })
        })
        .await;
        let report = world.respond().await;
        assert_eq!(report.summary.rule.as_deref(), Some(rule), "{score}");
        assert_eq!(
            report.summary.sensitivity.unwrap().is,
            sensitivity,
            "{score}"
        );
    }
}

/// The Deny could cost Macie its view, and nobody waits for Macie: its answer is in the result.
#[tokio::test]
async fn macie_is_asked_before_the_deny_and_not_waited_for() {
    let denied_at = Arc::new(Mutex::new(None));
    let at = Arc::clone(&denied_at);
    let judge = move |request: &str| {
        if request.starts_with("PUT") && request.ends_with("?policy") {
            let now = jiff::Timestamp::now().as_millisecond();
            at.lock().unwrap().get_or_insert(now);
        }
        Verdict::Pass
    };
    let world = Told::judged("beside", DENY, judge, |finding, bucket| {
        json!({
            "guardduty": {"detector": DETECTOR, "findings": [finding]},
            "macie": {"buckets": [{"bucketName": bucket, "accountId": ACCOUNT, "sensitivityScore": 77}], "detections": {}},
            "errors": {"DescribeBuckets": {"stall": 0.4}},
        })
    })
    .await;
    let report = world.respond().await;
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    assert_eq!(report.record.as_ref().unwrap().enrichment.macie, None);
    let told = report.result.unwrap().sensitivity.unwrap();
    assert_eq!(told.is, Sensitivity::Sensitive, "{}", told.because);
    let log = world.scenario.log();
    let asked = log
        .iter()
        .find(|entry| entry["operation"] == "DescribeBuckets");
    let asked_at = asked.unwrap()["at"].as_f64().unwrap() * 1000.0;
    let denied_at = denied_at.lock().unwrap().unwrap();
    assert!(asked_at < denied_at as f64, "{asked_at} {denied_at}");
}

#[tokio::test]
async fn a_macie_that_does_not_answer_fails_no_containment() {
    for (name, refusal, says) in [
        (
            "off",
            json!({"status": 403, "code": "AccessDeniedException", "message": "Macie is not enabled."}),
            "enable-macie",
        ),
        (
            "off, as seen",
            json!({"status": 401, "code": "AccessDeniedException", "message": "Macie is not enabled."}),
            "enable-macie",
        ),
        ("denied", denied("macie2:DescribeBuckets"), "check the role"),
        (
            "throttled",
            json!({"status": 429, "code": "ThrottlingException", "message": "Rate exceeded"}),
            // The retry may come too late, too.
            "DescribeBuckets",
        ),
        ("too late", json!({"stall": 30}), "in time"),
    ] {
        let world = Told::new("quiet", DENY, |finding, _| {
            json!({
                "guardduty": {"detector": DETECTOR, "findings": [finding]},
                "macie": {"buckets": [], "detections": {}},
                "errors": {"DescribeBuckets": refusal},
            })
        })
        .await;
        let report = world.respond().await;
        assert_eq!(report.summary.outcome, Outcome::Contained, "{name}");
        let told = report.summary.sensitivity.unwrap();
        assert_eq!(told.is, Sensitivity::Unknown, "{name}");
        assert!(told.because.contains(says), "{name}: {}", told.because);
    }
}

/// What another account of the team's organization does is trusted; what stolen credentials of the bucket's own account do
/// is not, though that account is of the organization, too.
#[tokio::test]
async fn a_trusted_organization_is_one_that_organizations_names() {
    let moto = aws_sdk_organizations::Client::new(&config(&endpoint("moto")));
    let made = moto.create_organization().send().await.unwrap();
    let organization = made.organization().unwrap().id().unwrap().to_owned();
    let account = moto
        .create_account()
        .email("a@example.com")
        .account_name("sibling");
    let made = account.send().await.unwrap();
    let sibling = made.create_account_status().unwrap().account_id().unwrap();

    let stranger = "999988887777";
    let cases = [
        (sibling, organization.as_str(), Authorization::Authorized),
        (sibling, "o-anotherorgid", Authorization::Undetermined),
        (stranger, &organization, Authorization::Undetermined),
        (ACCOUNT, &organization, Authorization::Undetermined),
    ];
    for (account, trusted, expected) in cases {
        let mut world = Told::new("organization", DENY, |finding, _| having(vec![finding])).await;
        world.world.policy.trusted.organizations = vec![trusted.to_owned()];
        // GuardDuty's own state of it does not name the account.
        world.world.aws = world.aws_without_guardduty().await;
        world.finding.actors[0].account = Some(account.to_owned());
        let report = world.respond().await;
        let record = report.record.unwrap();
        let authorization = &record.classification.authorization;
        assert_eq!(authorization.is, expected, "{account}: {authorization:?}");
        assert_eq!(
            record.enrichment.memberships.is_empty(),
            account == ACCOUNT,
            "nobody asks about the bucket's own account"
        );
        if account == stranger {
            assert_eq!(record.enrichment.memberships[stranger], Membership::Outside);
        }
    }
}

/// Whoever may not ask is told so, and contains.
#[tokio::test]
async fn an_organization_that_may_not_be_asked_trusts_nobody() {
    // Every other service has paths of its own.
    let judge = |request: &str| match request.starts_with("POST / ") || request == "POST /" {
        true => Verdict::Refuse(403, "AccessDeniedException"),
        false => Verdict::Pass,
    };
    let having = |finding, _: &str| having(vec![finding]);
    let mut world = Told::judged("silent-organization", DENY, judge, having).await;
    world.world.policy.trusted.organizations = vec!["o-exampleorgid".to_owned()];
    let options = AwsOptions {
        verify_findings: false,
        ..options()
    };
    world.world.aws = portcullis::aws::Aws::new(config(&world.world.proxy.url), options);
    world.finding.actors[0].account = Some("444455556666".to_owned());
    let report = world.respond().await;
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    let record = report.record.unwrap();
    let evidence = record.classification.evidence.join("; ");
    assert!(
        evidence.contains("is not known: DescribeAccount"),
        "{evidence}"
    );
}

/// S3 would refuse it when all else is done; it is told before.
#[tokio::test]
async fn logs_are_restored_only_to_a_bucket_of_the_same_region() {
    for (region, outcome) in [
        (None, Outcome::Contained),
        (Some("eu-west-1"), Outcome::Withheld),
    ] {
        let logs = unique_name("portcullis-logs");
        let rules = format!(
            "  - id: contain\n    measures: [{{ restore-logging: {{ target-bucket: {logs} }} }}]\n"
        );
        let world = Told::new("logs", &rules, |finding, _| having(vec![finding])).await;
        let mut request = world.world.client.create_bucket().bucket(&logs);
        if let Some(region) = region {
            let configuration = CreateBucketConfiguration::builder()
                .location_constraint(region.into())
                .build();
            request = request.create_bucket_configuration(configuration);
        }
        request.send().await.unwrap();
        let report = world.respond().await;
        assert_eq!(report.summary.outcome, outcome, "{report:?}");
        if outcome == Outcome::Withheld {
            assert_eq!(guards(&report), [Guard::WrongTarget]);
            let why = report.summary.reason.unwrap();
            assert!(why.contains("is in eu-west-1"), "{why}");
        }
    }
}

const FOLLOW_UPS: &str = r"  - id: contain
    measures: [deny-actor]
    follow-up: [discover-sensitive-data, archive-finding, mark-useful]
";

#[tokio::test]
async fn follow_ups_are_run_once_the_bucket_is_contained() {
    let world = Told::new("follow", FOLLOW_UPS, |finding, bucket| {
        json!({
            "guardduty": {"detector": DETECTOR, "findings": [finding]},
            "macie": {"buckets": [{"bucketName": bucket, "accountId": ACCOUNT}], "detections": {}},
        })
    })
    .await;
    let report = world.respond().await;
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    assert_eq!(
        followed(&report),
        [
            (FollowUp::DiscoverSensitiveData, FollowUpStatus::Done),
            (FollowUp::ArchiveFinding, FollowUpStatus::Done),
            (FollowUp::MarkUseful, FollowUpStatus::Done),
        ]
    );
    let log = world.scenario.operations();
    assert!(
        log.contains(&"CreateClassificationJob".to_owned()),
        "{log:?}"
    );
    let archived = world.scenario.inputs("ArchiveFindings");
    assert_eq!(archived[0]["FindingIds"], json!([world.finding.id]));
    let told = world.scenario.inputs("UpdateFindingsFeedback");
    assert_eq!(told[0]["Feedback"], "USEFUL");

    // A second delivery, as the event was: the job is not started again.
    let again = world.respond().await;
    assert_eq!(
        again.summary.outcome,
        Outcome::Withheld,
        "it is archived now"
    );
    assert_eq!(world.scenario.inputs("CreateClassificationJob").len(), 1);
}

/// Its other bucket may need another delivery, which leaves alone what is archived.
#[tokio::test]
async fn a_finding_about_two_buckets_is_not_archived_for_one_of_them() {
    const ARCHIVE: &str =
        "  - id: contain\n    measures: [deny-actor]\n    follow-up: [archive-finding]\n";
    let both = |mut finding: Value, bucket: &str| {
        let buckets = &mut finding["resource"]["s3BucketDetails"];
        let mut other = buckets[0].clone();
        other["name"] = json!(format!("{bucket}-gone"));
        other["arn"] = json!(format!("arn:aws:s3:::{bucket}-gone"));
        *buckets = json!([buckets[0], other]);
        having(vec![finding])
    };
    let world = Told::new("follow-two", ARCHIVE, both).await;
    let mut finding = world.finding.clone();
    let Target::Bucket(bucket) = &finding.targets[0] else {
        panic!("the target is a bucket")
    };
    let gone = Bucket {
        name: format!("{}-gone", bucket.name),
        ..bucket.clone()
    };
    finding.targets.push(Target::Bucket(gone));
    let engine = world.world.engine(None, SignedDuration::from_secs(30));
    let reports = engine.respond(&finding).await;
    let contained = reports
        .iter()
        .find(|report| report.summary.outcome == Outcome::Contained);
    let followed = &contained.unwrap().summary.followed_up;
    assert!(
        followed[0].detail.contains("more than this target"),
        "{followed:?}"
    );
    let archived = world.scenario.inputs("ArchiveFindings");
    assert!(archived.is_empty(), "{archived:?}");
}

/// Macie needs hours; the sweep waits for it, and tells the end once.
#[tokio::test]
async fn the_end_of_a_macie_job_is_told_once() {
    const DISCOVER: &str =
        "  - id: contain\n    measures: [deny-actor]\n    follow-up: [discover-sensitive-data]\n";
    let account = |jobs: Value, bucket: &str, finding: Value| {
        json!({
            "guardduty": {"detector": DETECTOR, "findings": [finding]},
            "macie": {
                "buckets": [{"bucketName": bucket, "accountId": ACCOUNT, "sensitivityScore": 90}],
                "detections": {bucket: [{"id": "NAME", "name": "NAME", "type": "MANAGED", "count": 3}]},
                "jobs": jobs,
            },
        })
    };
    let world = Told::new("job", DISCOVER, |finding, bucket| {
        account(json!([]), bucket, finding)
    })
    .await;
    let report = world.respond().await;
    assert_eq!(
        followed(&report),
        [(FollowUp::DiscoverSensitiveData, FollowUpStatus::Done)]
    );

    let sweep = async |acts| {
        let engine = world.world.engine(None, SignedDuration::from_secs(45));
        engine.sweep(acts).await.unwrap().jobs
    };
    let jobs = sweep(true).await;
    let [pending] = &jobs[..] else {
        panic!("{jobs:?}")
    };
    assert_eq!(
        (
            pending.state,
            pending.bucket.as_str(),
            Some(&pending.record)
        ),
        (
            JobState::Pending,
            world.world.bucket.as_str(),
            report.summary.id.as_ref()
        )
    );

    let status = |status: &str| {
        let finding = detail(&world.finding, &world.world.bucket);
        let job = json!({"jobId": pending.job, "name": "portcullis", "jobType": "ONE_TIME", "jobStatus": status});
        let (code, answer) =
            world
                .scenario
                .put(&[account(json!([job]), &world.world.bucket, finding)]);
        assert_eq!(code, 200, "{answer}");
    };
    status("USER_PAUSED");
    assert_eq!(sweep(true).await[0].state, JobState::Paused);
    status("COMPLETE");
    for acts in [false, true] {
        let jobs = sweep(acts).await;
        assert_eq!(jobs[0].state, JobState::Complete);
        let told = &jobs[0].detail;
        assert!(
            told.contains("counts as sensitive") && told.contains("NAME"),
            "{told}"
        );
        let command = jobs[0].findings.as_ref().unwrap();
        assert!(command.contains(&pending.job), "{command}");
    }
    assert!(sweep(true).await.is_empty());
}

/// A member may not archive, and Macie may be off: what was contained stays contained, and the account says what was not done.
#[tokio::test]
async fn a_follow_up_that_fails_is_told_and_fails_nothing() {
    let world = Told::new("fails", FOLLOW_UPS, |finding, _| {
        let off = json!({"status": 403, "code": "AccessDeniedException", "message": "Macie is not enabled."});
        json!({
            "guardduty": {"detector": DETECTOR, "findings": [finding]},
            "errors": {
                "DescribeBuckets": off,
                "ListClassificationJobs": off,
                "ArchiveFindings": denied("guardduty:ArchiveFindings"),
            },
        })
    })
    .await;
    let report = world.respond().await;
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    assert!(!report.fails_the_invocation());
    assert_eq!(
        followed(&report),
        [
            (FollowUp::DiscoverSensitiveData, FollowUpStatus::Failed),
            (FollowUp::ArchiveFinding, FollowUpStatus::Failed),
            (FollowUp::MarkUseful, FollowUpStatus::Done),
        ]
    );
    let why = &report.summary.followed_up[0].detail;
    assert!(why.contains("Macie is not enabled"), "{why}");
}

#[tokio::test]
async fn an_observing_deployment_follows_nothing_up() {
    let mut world = Told::new("observed", FOLLOW_UPS, |finding, _| having(vec![finding])).await;
    world.world.stack_mode = Mode::Observe;
    let report = world.respond().await;
    assert_eq!(report.summary.outcome, Outcome::Withheld);
    assert_eq!(
        followed(&report),
        [
            (FollowUp::DiscoverSensitiveData, FollowUpStatus::Withheld),
            (FollowUp::ArchiveFinding, FollowUpStatus::Withheld),
            (FollowUp::MarkUseful, FollowUpStatus::Withheld),
        ]
    );
    let log = world.scenario.operations();
    let asked = ["GetFindings", "DescribeBuckets", "ListDetectors"];
    assert!(
        log.iter().all(|name| asked.contains(&name.as_str())),
        "{log:?}"
    );
}

/// Nobody is asked about a sample: nothing is done about it.
#[tokio::test]
async fn a_sample_is_asked_about_nowhere() {
    let mut world = Told::new("sample", DENY, |finding, _| having(vec![finding])).await;
    world.finding.sample = true;
    let report = world.respond().await;
    assert_eq!(guards(&report), [Guard::SampleFinding]);
    assert_eq!(world.scenario.operations(), Vec::<String>::new());
}

const DENY: &str = "  - id: contain\n    measures: [deny-actor]\n";

/// A world in which Macie and GuardDuty have a say.
struct Told {
    world: World,
    scenario: Scenario,
    finding: Finding,
}

impl Told {
    /// `account` says what Macie and GuardDuty have, given the finding as GuardDuty would return it and the bucket's name.
    async fn new(name: &str, rules: &str, account: impl FnOnce(Value, &str) -> Value) -> Self {
        Self::judged(name, rules, |_| Verdict::Pass, account).await
    }

    async fn judged(
        name: &str,
        rules: &str,
        judge: impl Fn(&str) -> Verdict + Send + Sync + 'static,
        account: impl FnOnce(Value, &str) -> Value,
    ) -> Self {
        let mut world = World::new(name, judge).await;
        let text = format!(
            "version: 1\nmode: enforce\nbreak-glass: [\"arn:aws:iam::*:role/SecurityBreakGlass\"]\nrules:\n{rules}"
        );
        let loaded = policy::load("policy.yaml", &text, jiff::civil::date(2026, 3, 1));
        world.policy = loaded
            .policy
            .unwrap_or_else(|| panic!("{}", yaml::render(&loaded.diagnostics, &text, false)));
        let finding = world.stolen(ACTOR, ADDRESS);
        let scenario = Scenario::of(account(detail(&finding, &world.bucket), &world.bucket));
        world.aws = scenario.aws_beside(&world.proxy.url, options()).await;
        Self {
            world,
            scenario,
            finding,
        }
    }

    async fn aws_without_guardduty(&self) -> portcullis::aws::Aws {
        let options = AwsOptions {
            verify_findings: false,
            ..options()
        };
        self.scenario
            .aws_beside(&self.world.proxy.url, options)
            .await
    }

    async fn respond(&self) -> Report {
        self.world.respond(&self.finding).await
    }

    async fn policy(&self) -> String {
        let text = policy_text(&self.world.client, &self.world.bucket).await;
        text.unwrap_or_default()
    }
}

fn options() -> AwsOptions {
    AwsOptions {
        own_account: Some(ACCOUNT.to_owned()),
        verify_findings: true,
        ..AwsOptions::default()
    }
}

fn having(findings: Vec<Value>) -> Value {
    json!({
        "guardduty": {"detector": DETECTOR, "findings": findings},
        "macie": {"buckets": [], "detections": {}},
    })
}

/// The finding as GuardDuty returns it: the event's detail, for this account and bucket.
fn detail(finding: &Finding, bucket: &str) -> Value {
    let event = include_str!("../../events/exfiltration-anomalous.json");
    let mut event: Value = serde_json::from_str(event).unwrap();
    let mut detail = event["detail"].take();
    detail["id"] = json!(finding.id);
    detail["accountId"] = json!(finding.account);
    // What events carry and the published model does not know.
    let key = detail["resource"]["accessKeyDetails"].as_object_mut();
    key.unwrap().remove("userIdentity");
    detail["service"]["additionalInfo"] = json!({"type": "default", "value": "{}"});
    detail["resource"]["accessKeyDetails"]["principalId"] = json!(ACTOR);
    let mut details = detail["resource"]["s3BucketDetails"][0].take();
    details["name"] = json!(bucket);
    details["arn"] = json!(format!("arn:aws:s3:::{bucket}"));
    detail["resource"]["s3BucketDetails"] = json!([details]);
    detail
}

fn standing(report: &Report) -> &'static str {
    let record = report.record.as_ref().unwrap();
    let check = record.enrichment.guardduty.as_ref();
    check.map_or("not asked", |check| check.is.word())
}

fn followed(report: &Report) -> Vec<(FollowUp, FollowUpStatus)> {
    let results = report.summary.followed_up.iter();
    results
        .map(|result| (result.follow_up, result.status))
        .collect()
}
