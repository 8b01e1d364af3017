//! Notices, at the boundary of the core: decisions and results in, what a chat and a mail reader get out.
//!
//! The texts are in tests/cases/notice; `BLESS=1` writes them anew.

use std::path::Path;

use jiff::Timestamp;
use portcullis::classification::Own;
use portcullis::decision::{Situation, decide};
use portcullis::enrichment::{Enrichment, MacieAnswer, Unanswered};
use portcullis::finding::{Bucket, Event, Finding, Object, Target, read};
use portcullis::guard::Guard;
use portcullis::measures::Stop;
use portcullis::notice::{Attribute, LARGEST, Notice, Told, failure, notice};
use portcullis::policy::{self, Mode, Notify, Policy};
use portcullis::record::{
    ChangeResult, ChangeStatus, Outcome, PolicyRef, Record, RollbackOf, RunResult, VERSION,
    record_id,
};
use portcullis::rollback::inverse;
use portcullis::settings::Settings;
use portcullis::yaml;
use serde_json::{Value, json};

pub(crate) const POLICY: &str = r#"version: 1
mode: enforce
break-glass: ["arn:aws:iam::*:role/SecurityBreakGlass"]
rules:
  - id: stolen
    when: { finding: ["Exfiltration:S3/*", "AttackSequence:*"] }
    measures: [deny-actor, deny-source-ip, block-public-access]
  - id: malware
    when: { finding: ["Object:S3/*"] }
    measures: [quarantine-object]
  - id: everything-else
    measures: []
"#;

#[test]
fn contained() {
    let case = Case::new("exfiltration-anomalous").with_buckets(1);
    golden("contained", &case.with_macie_off().done().notice());
}

#[test]
fn withheld_by_observe_mode() {
    let observing = POLICY.replace("mode: enforce", "mode: observe");
    let case = Case::new("exfiltration-anomalous").with_policy(&observing);
    golden("withheld-by-observe-mode", &case.withheld().notice());
}

#[test]
fn contained_in_part() {
    let mut case = Case::new("exfiltration-anomalous").done();
    let result = case.all[0].result.as_mut().unwrap();
    result.outcome = Outcome::Partial;
    result.changes[0] = ChangeResult {
        status: ChangeStatus::Failed,
        detail: Some("PutBucketPolicy on amzn-s3-demo-bucket-orders answered AccessDenied; check the role's permissions".to_owned()),
        may_succeed_later: true,
        ..result.changes[0].clone()
    };
    case.all[0].outcome = Outcome::Partial;
    golden("contained-in-part", &case.notice());
}

#[test]
fn failed() {
    let mut case = Case::new("exfiltration-anomalous");
    case.all = vec![Kept {
        target: case.finding.targets[0].clone(),
        outcome: Outcome::Failed,
        reason: Some("no evidence, so nothing was changed: PutObject on s3://records/r-1.json answered AccessDenied".to_owned()),
        record: None,
        result: None,
    }];
    golden("failed", &case.notice());
}

#[test]
fn an_event_that_cannot_be_read() {
    let notice = failure(
        None,
        "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        "the event is empty: <!channel> AKIAIOSFODNN7EXAMPLE",
    );
    golden("unreadable-event", &notice);
}

#[test]
fn a_finding_that_was_not_worked_on() {
    let case = Case::new("exfiltration-anomalous");
    let notice = failure(
        Some(&case.finding),
        "8476a536",
        "the policy could not be read: GetObject on s3://store answered AccessDenied",
    );
    golden("policy-unavailable", &notice);
}

/// All that the limit held back is in one notice, with the command that carries each plan out.
#[test]
fn sixty_buckets_of_which_ten_are_beyond_the_limit() {
    let case = Case::new("exfiltration-anomalous").with_buckets(60);
    let case = case.done_but_for(|index| {
        let why = "the finding names 60 buckets and limits.buckets-per-finding is 50";
        (index >= 50).then(|| stop(Guard::BlastRadius, why))
    });
    let notice = case.notice();
    golden("sixty-buckets", &notice);
    let (text, chat) = (notice.text(), notice.chat().to_string());
    assert_eq!(text.matches("portcullis apply r-").count(), 10, "{text}");
    assert_eq!(chat.matches("portcullis apply r-").count(), 10, "{chat}");
}

#[test]
fn an_attack_sequence_with_four_hundred_targets() {
    let case = Case::new("attack-sequence-s3").with_buckets(400).done();
    golden("four-hundred-targets", &case.notice());
}

#[test]
fn rolled_back_but_for_what_somebody_changed() {
    let mut case = Case::new("exfiltration-anomalous").with_buckets(1).done();
    let record = case.all[0].record.clone().unwrap();
    let mut now = record.before.clone();
    let arn = "arn:aws:s3:::amzn-s3-demo-bucket-001";
    for change in &record.decision.plan.changes {
        now.0.insert(change.setting, change.after.clone());
    }
    // Somebody else took the flags off since.
    let flags = record.decision.plan.changes.last().unwrap();
    let one = json!({"block-public-acls": true, "ignore-public-acls": false, "block-public-policy": false, "restrict-public-buckets": false});
    let now_flags = json!({"present": {"public-access-block": one}});
    now.0.insert(flags.setting, json_as(now_flags));
    let undo = inverse(&[&record.decision.plan], &now, arn, &[]);
    assert_eq!((undo.plan.changes.len(), undo.drift.len()), (1, 1));
    let result = result_of(
        &Record {
            decision: portcullis::decision::Decision {
                plan: undo.plan.clone(),
                ..record.decision.clone()
            },
            ..record.clone()
        },
        Outcome::RolledBack,
    );
    case.all[0] = Kept {
        outcome: Outcome::RolledBack,
        record: Some(Record {
            id: "u-20261005T091500Z-0123abcd-3d1a5c52".to_owned(),
            rollback: Some(RollbackOf {
                record: record.id.clone(),
                inverse: undo,
            }),
            ..record
        }),
        result: Some(result),
        ..case.all[0].clone()
    };
    golden("rolled-back", &case.notice());
}

/// The changes were made; that their result is not on the record must not be lost among them.
#[test]
fn a_result_that_could_not_be_stored_is_said() {
    let mut case = Case::new("exfiltration-anomalous").with_buckets(1).done();
    let why = "the result could not be stored: PutObject answered SlowDown";
    case.all[0].reason = Some(why.to_owned());
    let text = case.notice().text();
    assert!(text.contains(&format!("  Note: {why}\n")), "{text}");
    assert!(text.contains("  Done: bucket policy"), "{text}");
}

/// Whatever somebody can name or say is text, in every form of the notice, and nothing that a chat or a mail reader acts on.
#[test]
fn hostile_strings_are_text() {
    let hostile = "<!channel> <@U012AB3CD> [free](https://evil.example/x) # *b* `c` www.evil.com a@evil.com \u{202e}\n# heading AKIAIOSFODNN7EXAMPLE";
    let mut case = Case::new("exfiltration-anomalous");
    case.finding.kind = format!("Exfiltration:S3/{hostile}");
    case.finding.actors[0].name = Some(hostile.to_owned());
    case.finding.actors[0].user_type = portcullis::finding::UserType::AssumedRole;
    case.finding.remotes[0].organization = Some(hostile.to_owned());
    case.finding.remotes[0].country = Some(hostile.to_owned());
    case.finding.title = Some(hostile.to_owned());
    case.finding.calls[0].user_agent = Some(hostile.to_owned());
    case.finding.calls[0].api = hostile.to_owned();
    // The reader refuses such a name; nothing here may rest on that.
    let mut bucket = Bucket {
        name: hostile.to_owned(),
        account: hostile.to_owned(),
        ..Bucket::default()
    };
    bucket.objects = vec![Object {
        key: "salaries.csv".to_owned(),
        version: None,
    }];
    case.finding.targets = vec![Target::Bucket(bucket)];
    let mut case = case.done();
    let result = case.all[0].result.as_mut().unwrap();
    result.outcome = Outcome::Partial;
    result.changes[0].status = ChangeStatus::Failed;
    result.changes[0].detail = Some(hostile.to_owned());
    case.all[0].outcome = Outcome::Partial;
    let notice = case.notice();
    golden("hostile-strings", &notice);

    let chat = notice.chat();
    let read = [
        &chat["content"]["title"],
        &chat["content"]["description"],
        &chat["metadata"]["summary"],
    ];
    let steps = chat["content"]["nextSteps"].as_array().unwrap();
    let texts = read
        .into_iter()
        .chain(steps)
        .map(|text| without_code(text.as_str().unwrap()));
    for text in texts.chain([notice.text(), notice.title.clone()]) {
        for mark in ["<", ">", "[", "]", "://", "evil.", "a@", "\n#", "AKIA"] {
            assert!(!text.contains(mark), "{mark:?} in {text}");
        }
    }
    assert!(
        !notice.message().body.contains("AKIAIOSFODNN7EXAMPLE"),
        "an access key id"
    );
}

#[test]
fn the_key_of_an_object_is_not_in_a_notice() {
    let case = Case::new("malicious-object").done();
    let notice = case.notice();
    golden("malware", &notice);
    let Target::Bucket(bucket) = &case.finding.targets[0] else {
        panic!("a bucket")
    };
    assert_eq!(bucket.objects.len(), 1, "the sentence would name it");
    let key = bucket.objects[0].key.rsplit('/').next().unwrap();
    assert!(!notice.message().body.contains(key), "{key}");
}

#[test]
fn what_the_rules_ask_about_notices_is_kept() {
    use Outcome::{AlreadyContained, Contained, Failed, Ignored, Partial, RolledBack, Withheld};
    let case = Case::new("exfiltration-anomalous").done();
    let is_sent = |outcome, notify| {
        let told = Told {
            notify,
            ..case.told_as(outcome)
        };
        notice(&case.finding, &[told]).is_some()
    };
    for outcome in [
        AlreadyContained,
        Contained,
        Failed,
        Ignored,
        Partial,
        RolledBack,
        Withheld,
    ] {
        assert!(!is_sent(outcome, Notify::Never), "{outcome}");
        assert_eq!(
            is_sent(outcome, Notify::Always),
            outcome != AlreadyContained,
            "{outcome}"
        );
        let is_change = matches!(outcome, Contained | Failed | Partial | RolledBack);
        assert_eq!(is_sent(outcome, Notify::Changes), is_change, "{outcome}");
    }
}

/// What was to be done and could not be is told where only changes are; what the team decided against is not.
#[test]
fn what_could_not_be_done_is_news_and_an_exception_is_none() {
    let news = |guard| {
        let case = Case::new("exfiltration-anomalous");
        let case = case.done_but_for(|_| Some(stop(guard, "why")));
        let told = Told {
            notify: Notify::Changes,
            ..case.all[0].told()
        };
        notice(&case.finding, &[told]).is_some()
    };
    for guard in [Guard::BlastRadius, Guard::OtherAccount, Guard::BucketGone] {
        assert!(news(guard), "{guard}");
    }
    for guard in [Guard::Released, Guard::ObserveMode, Guard::Exception] {
        assert!(!news(guard), "{guard}");
    }
}

/// By this Lambda's retries are told apart from news.
#[test]
fn a_retry_has_the_same_to_tell_and_another_outcome_has_not() {
    let case = Case::new("exfiltration-anomalous");
    let failing = |reason: &str| {
        let told = Told {
            reason: Some(reason),
            record: None,
            result: None,
            ..case.told_as(Outcome::Failed)
        };
        notice(&case.finding, &[told]).unwrap().once
    };
    assert!(failing("held by run 1").is_some());
    assert_eq!(failing("held by run 1"), failing("held by run 2"));
    let other = Case::new("exfiltration-anomalous").withheld();
    assert_ne!(failing("x"), other.notice().once);
    let mut done = case.done();
    let once = done.notice().once;
    assert!(once.is_some());
    assert_eq!(once, done.notice().once);
    for kept in &mut done.all {
        kept.record.as_mut().unwrap().id += "-2";
    }
    assert_ne!(
        once,
        done.notice().once,
        "what was changed is told for each record"
    );
    let later = failure(None, "another request", "x").once;
    assert_ne!(failure(None, "a request", "x").once, later);
    assert_eq!(
        failure(None, "a request", "x").once,
        failure(None, "a request", "y").once
    );
}

#[test]
fn the_largest_notice_fits() {
    let mut case = Case::new("attack-sequence-s3").with_buckets(900).done();
    for kept in &mut case.all {
        let result = kept.result.as_mut().unwrap();
        for change in &mut result.changes {
            change.status = ChangeStatus::Failed;
            change.detail = Some("\"\\\u{1f600}".repeat(2000));
        }
        kept.outcome = Outcome::Failed;
    }
    let message = case.notice().message();
    let attributes: usize = message
        .attributes
        .iter()
        .map(|(name, value)| name.len() + format!("{value:?}").len() + 16)
        .sum();
    let size = message.body.len() + message.subject.len() + attributes;
    assert!(size < LARGEST, "{size}");
    assert!(case.notice().text().contains("(cut here; "));
    assert!(
        case.notice().chat()["content"]["description"]
            .as_str()
            .unwrap()
            .contains("(cut here; ")
    );
}

/// A finding, a policy, and what became of each target.
pub(crate) struct Case {
    pub(crate) finding: Finding,
    policy: Policy,
    enrichment: Enrichment,
    pub(crate) all: Vec<Kept>,
}

/// The owner of what a [`Told`] borrows.
#[derive(Clone)]
pub(crate) struct Kept {
    target: Target,
    outcome: Outcome,
    reason: Option<String>,
    pub(crate) record: Option<Record>,
    result: Option<RunResult>,
}

impl Kept {
    fn told(&self) -> Told<'_> {
        let (account, bucket) = match &self.target {
            Target::Bucket(bucket) => (&bucket.account, Some(bucket.name.as_str())),
            Target::Account(account) => (account, None),
        };
        Told {
            account,
            bucket,
            outcome: self.outcome,
            reason: self.reason.as_deref(),
            record: self.record.as_ref(),
            result: self.result.as_ref(),
            notify: Notify::Always,
        }
    }
}

impl Case {
    pub(crate) fn new(event: &str) -> Self {
        let path = root().join("events").join(format!("{event}.json"));
        let Ok(Event::Finding(finding)) = read(&std::fs::read(path).unwrap()).remove(0) else {
            panic!("{event} holds no finding")
        };
        Self {
            finding: *finding,
            policy: load(POLICY),
            enrichment: Enrichment::default(),
            all: Vec::new(),
        }
    }

    fn with_policy(self, text: &str) -> Self {
        Self {
            policy: load(text),
            ..self
        }
    }

    fn with_macie_off(mut self) -> Self {
        self.enrichment.macie = Some(MacieAnswer::Unanswered {
            reason: Unanswered::NotEnabled,
            detail: "DescribeBuckets answered AccessDeniedException (Macie is not enabled)"
                .to_owned(),
        });
        self
    }

    fn with_buckets(mut self, number: usize) -> Self {
        let bucket = |index| {
            Target::Bucket(Bucket {
                name: format!("amzn-s3-demo-bucket-{index:03}"),
                account: "111122223333".to_owned(),
                ..Bucket::default()
            })
        };
        self.finding.targets = (1..=number).map(bucket).collect();
        self
    }

    pub(crate) fn done(self) -> Self {
        self.done_but_for(|_| None)
    }

    fn withheld(self) -> Self {
        self.done_but_for(|_| None)
    }

    /// Decides about each target, and carries out what is to be done.
    fn done_but_for(mut self, stop: impl Fn(usize) -> Option<Stop>) -> Self {
        let own = Own {
            principals: vec!["arn:aws:iam::111122223333:role/portcullis".to_owned()],
            account: Some("111122223333".to_owned()),
        };
        let observed: Settings =
            json_as(json!({ "bucket-policy": "absent", "public-access-block": "absent" }));
        let now: Timestamp = "2026-10-05T09:00:00Z".parse().unwrap();
        let targets = self.finding.targets.iter().enumerate();
        self.all = targets
            .map(|(index, target)| {
                let stops: Vec<Stop> = stop(index).into_iter().collect();
                let (classification, decision) = decide(&Situation {
                    finding: &self.finding,
                    target,
                    policy: &self.policy,
                    stack_mode: Mode::Enforce,
                    own: &own,
                    operator: None,
                    observed: &observed,
                    enrichment: &self.enrichment,
                    stops: &stops,
                    policy_refused: false,
                    now,
                });
                let acts = decision.acts();
                let outcome = match acts {
                    true => Outcome::Contained,
                    false => Outcome::Withheld,
                };
                let reason = decision
                    .withheld
                    .first()
                    .filter(|_| !acts)
                    .map(|withheld| withheld.why.clone());
                let record = Record {
                    version: VERSION,
                    id: record_id(&self.finding, target, now),
                    run: String::new(),
                    at: now,
                    program: String::new(),
                    asked_by: "event".to_owned(),
                    finding: self.finding.clone().into(),
                    target: target.clone(),
                    classification,
                    policy: PolicyRef {
                        name: "policy.yaml".to_owned(),
                        digest: String::new(),
                    },
                    before: observed.clone(),
                    enrichment: self.enrichment.clone(),
                    decision,
                    rollback: None,
                    outcome: (!acts).then_some(outcome),
                    followed_up: Vec::new(),
                };
                let result = acts.then(|| result_of(&record, outcome));
                Kept {
                    target: target.clone(),
                    outcome,
                    reason,
                    record: Some(record),
                    result,
                }
            })
            .collect();
        self
    }

    fn told_as(&self, outcome: Outcome) -> Told<'_> {
        match self.all.first() {
            Some(kept) => Told {
                outcome,
                ..kept.told()
            },
            None => Told {
                account: "111122223333",
                bucket: Some("amzn-s3-demo-bucket-orders"),
                outcome,
                reason: None,
                record: None,
                result: None,
                notify: Notify::Always,
            },
        }
    }

    #[track_caller]
    fn notice(&self) -> Notice {
        let told: Vec<Told> = self.all.iter().map(Kept::told).collect();
        notice(&self.finding, &told).expect("a notice")
    }
}

fn stop(guard: Guard, why: &str) -> Stop {
    Stop {
        guard,
        why: why.to_owned(),
    }
}

fn result_of(record: &Record, outcome: Outcome) -> RunResult {
    let changes = record.decision.plan.changes.iter();
    RunResult {
        version: VERSION,
        record: record.id.clone(),
        run: String::new(),
        at: record.at,
        outcome,
        changes: changes
            .map(|change| ChangeResult {
                setting: change.setting,
                status: ChangeStatus::Verified,
                detail: None,
                may_succeed_later: false,
            })
            .collect(),
        followed_up: Vec::new(),
        sensitivity: None,
    }
}

/// Compares all forms of a notice with what was written, and each with what its receiver takes.
#[track_caller]
pub(crate) fn golden(name: &str, notice: &Notice) {
    let message = notice.message();
    let body: Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 3, "default, email and sms");
    let chat: Value = serde_json::from_str(body["default"].as_str().unwrap()).unwrap();
    assert_is_custom_notification(&chat);
    assert_eq!(body["email"], notice.text());
    assert_is_subject(&message.subject);
    let attributes: Vec<String> = message
        .attributes
        .iter()
        .map(|(name, value)| match value {
            Attribute::Words(words) => format!("{name} {words:?}"),
            Attribute::Number(number) => format!("{name} {number}"),
        })
        .collect();
    let text = format!(
        "{}\n{}\n\n----- e-mail and SMS\n\nSubject: {}\n\n{}\n{}\n\n----- chat\n\n{}\n",
        attributes.join("\n"),
        match &notice.once {
            Some(_) => "once",
            None => "always",
        },
        message.subject,
        notice.text().trim_end(),
        body["sms"].as_str().unwrap(),
        serde_json::to_string_pretty(&chat).unwrap(),
    );
    let path = root()
        .join("tests/cases/notice")
        .join(format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|_| panic!("{} is missing; run with BLESS=1", path.display()));
    assert_eq!(text, expected, "{name}: look at it, then run with BLESS=1");
}

/// What Amazon Q Developer documents, and nothing besides: it drops what it does not know.
#[track_caller]
pub(crate) fn assert_is_custom_notification(value: &Value) {
    let keys = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    let is_words = |value: &Value| {
        value
            .as_array()
            .is_some_and(|list| list.iter().all(Value::is_string))
    };
    assert_eq!(keys(value), ["version", "source", "content", "metadata"]);
    assert_eq!(
        (&value["version"], &value["source"]),
        (&json!("1.0"), &json!("custom"))
    );
    let content = &value["content"];
    assert_eq!(
        keys(content),
        ["textType", "title", "description", "nextSteps", "keywords"]
    );
    assert_eq!(content["textType"], "client-markdown");
    assert!(content["title"].is_string() && content["description"].is_string());
    assert!(is_words(&content["nextSteps"]) && is_words(&content["keywords"]));
    let metadata = &value["metadata"];
    assert_eq!(
        keys(metadata),
        [
            "threadId",
            "summary",
            "eventType",
            "relatedResources",
            "additionalContext"
        ]
    );
    assert!(
        metadata["threadId"].is_string()
            && metadata["summary"].is_string()
            && metadata["eventType"].is_string()
    );
    assert!(is_words(&metadata["relatedResources"]));
    assert!(
        metadata["additionalContext"]
            .as_object()
            .unwrap()
            .values()
            .all(Value::is_string)
    );
}

/// What SNS takes for a subject.
#[track_caller]
fn assert_is_subject(subject: &str) {
    assert!((1..100).contains(&subject.len()), "{subject}");
    assert!(
        subject.chars().all(|c| c.is_ascii_graphic() || c == ' '),
        "{subject}"
    );
    assert!(
        subject.starts_with(|c: char| c.is_ascii_alphanumeric()),
        "{subject}"
    );
}

/// A text without what stands between back quotes, in which a chat makes nothing of anything.
fn without_code(text: &str) -> String {
    assert_eq!(text.matches('`').count() % 2, 0, "an open code in {text}");
    text.split('`').step_by(2).collect()
}

fn json_as<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub(crate) fn load(text: &str) -> Policy {
    let loaded = policy::load("policy.yaml", text, jiff::civil::date(2026, 10, 5));
    let diagnostics = yaml::render(&loaded.diagnostics, text, false);
    loaded.policy.unwrap_or_else(|| panic!("{diagnostics}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
