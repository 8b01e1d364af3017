//! What untrusted text is put through, and what must hold of it. `tests/it/fuzz.rs` does so with mutated examples in every
//! test run; the targets beside this file do so with libFuzzer, for as long as one likes.

use jiff::Timestamp;
use jiff::civil::date;
use portcullis::classification::Own;
use portcullis::decision::{Decision, Situation, decide};
use portcullis::drift::undone;
use portcullis::enrichment::Enrichment;
use portcullis::finding::{Bucket, Event, Finding, Target, read};
use portcullis::notice::{self, Told};
use portcullis::policy::{self, Mode, Notify, Policy};
use portcullis::policy_test;
use portcullis::record::{Outcome, PolicyRef, Record, VERSION, record_id};
use portcullis::report::{self, Explanation, Style, investigation};
use portcullis::rollback::inverse;
use portcullis::settings::{Document, PolicyDocument, Setting, SettingKind, Settings, XmlDocument};
use portcullis::store::{lease_key, record_key};
use portcullis::suppression::{Sessions, suppression};
use portcullis::yaml;

/// What takes untrusted text.
pub(crate) type Fuzzed = fn(&[u8]);

/// Every target, by its name.
const TARGETS: [(&str, Fuzzed); 6] = [
    ("event", event),
    ("policy_file", policy_file),
    ("policy_test", policy_test),
    ("bucket_policy", bucket_policy),
    ("xml_setting", xml_setting),
    ("stored_record", stored_record),
];

/// The target of a name.
pub(crate) fn target(name: &str) -> Fuzzed {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.expect("a target of this name").1
}

/// Lambda takes no larger event.
const LARGEST_EVENT: usize = 262_144;

/// Every measure that needs no more than a name.
const EVERYTHING: &str = r#"version: 1
mode: enforce
break-glass: ["arn:aws:iam::111122223333:role/SecurityBreakGlass"]
trusted: { accounts: ["222233334444"] }
rules:
  - id: everything
    measures: [block-public-access, block-account-public-access, remove-public-grants, disable-acls, deny-actor, deny-source-ip,
      deny-outside, deny-presigned-urls, isolate, freeze-configuration, preserve-data, pause-replication, remove-cors,
      block-customer-keys, quarantine-object, lock-access-points, mark-contained]
    follow-up: [discover-sensitive-data]
"#;

/// An event: it is read, decided about under two policies, explained, told, and becomes no key that it should not.
fn event(data: &[u8]) {
    if data.len() > LARGEST_EVENT {
        return;
    }
    for event in read(data) {
        match event {
            Ok(Event::Finding(finding)) => of_finding(&finding),
            Ok(Event::Ignored(ignored)) => is_a_line(&ignored.what),
            Ok(Event::Trail(event)) => {
                is_a_line(&event.ignored().what);
                assert!(!event.id.is_empty());
            }
            Ok(Event::Request(_)) => {}
            Err(error) => is_a_line(&error.to_string()),
        }
    }
}

fn of_finding(finding: &Finding) {
    let text = serde_json::to_string(finding).expect("a finding is JSON");
    let again: Finding = serde_json::from_str(&text).expect("and is read again");
    assert_eq!(*finding, again);
    for sessions in [Sessions::This, Sessions::Any] {
        let _ = suppression(finding, sessions);
    }
    for target in finding.targets.iter().take(20) {
        for policy in [&Policy::built_in(), &everything()] {
            let observed = Settings([(SettingKind::BucketPolicy, Setting::Absent)].into());
            let record = record(finding, target, policy, &observed);
            if let Ok(key) = record_key(&record.id) {
                assert!(
                    !key.contains("..") && key.matches('/').count() == 1,
                    "{key}"
                );
            }
            let (account, bucket) = match target {
                Target::Bucket(bucket) => (&bucket.account, Some(bucket.name.as_str())),
                Target::Account(account) => (account, None),
            };
            if let Ok(key) = lease_key(account, bucket) {
                assert!(
                    !key.contains("..") && key.matches('/').count() == 2,
                    "{key}"
                );
            }
            told(&record, account, bucket);
        }
    }
}

fn told(record: &Record, account: &str, bucket: Option<&str>) {
    let is_a_page = |text: &str| {
        let clean = |c: char| c == '\n' || !c.is_control();
        assert!(text.chars().all(clean), "{text:?}");
    };
    let explanation = Explanation {
        finding: (*record.finding).clone(),
        target: record.target.clone(),
        investigation: investigation(
            &record.finding,
            &record.target,
            &record.classification,
            &record.enrichment,
            true,
        ),
        classification: record.classification.clone(),
        policy: record.policy.clone(),
        settings_known: true,
        decision: record.decision.clone(),
        next: Some("portcullis plan EVENT".to_owned()),
    };
    is_a_page(&report::explanation(&explanation, true, Style::default()));
    let told = Told {
        account,
        bucket,
        outcome: Outcome::Withheld,
        reason: None,
        record: Some(record),
        result: None,
        notify: Notify::Always,
    };
    let notice = notice::notice(&record.finding, &[told]).expect("it is always told");
    is_a_page(&notice.text());
    let message = notice.message();
    assert!(message.body.len() <= notice::LARGEST);
    assert!(message.subject.len() < 100 && message.subject.is_ascii());
}

/// A policy file: it is valid or says why, and saying so breaks nothing.
fn policy_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let loaded = policy::load("policy.yaml", text, date(2026, 3, 1));
    let said = yaml::render(&loaded.diagnostics, text, false);
    assert!(
        loaded.policy.is_some() || !said.is_empty(),
        "refused without a word"
    );
    if let Some(policy) = &loaded.policy {
        assert!(!policy.rules.is_empty());
        let finding = finding();
        let decision = decision(&finding, &finding.targets[0], policy, &Settings::default());
        assert!(policy.rules.iter().any(|rule| rule.id == decision.rule));
    }
}

/// A file with tests of a policy: what is wrong is said, and what is not is tried.
fn policy_test(data: &[u8]) {
    let Some(text) = utf8(data) else {
        return;
    };
    let loaded = policy_test::load("tests.yaml", text, &|path| {
        Err(format!("{path} is not there"))
    });
    let said = yaml::render(&loaded.diagnostics, text, false);
    assert!(
        !loaded.tests.is_empty() || !said.is_empty(),
        "refused without a word"
    );
    let now = Timestamp::UNIX_EPOCH;
    let outcome = policy_test::run(
        &loaded.tests,
        &Policy::built_in(),
        now,
        1,
        loaded.diagnostics,
    );
    assert_eq!(outcome.passed + outcome.failed, loaded.tests.len());
    let _ = report::policy_tests(&outcome, Style::default());
}

/// A bucket policy that somebody wrote: every measure amends it, a second look plans nothing, and rollback gives every byte back.
fn bucket_policy(data: &[u8]) {
    let Some(document) = utf8(data).and_then(|text| PolicyDocument::parse(text).ok()) else {
        return;
    };
    assert_eq!(document.text().as_bytes(), data);
    comes_back(SettingKind::BucketPolicy, Document::BucketPolicy(document));
}

/// A setting that S3 keeps as XML, likewise. The first byte says which.
fn xml_setting(data: &[u8]) {
    const KINDS: [SettingKind; 5] = [
        SettingKind::Lifecycle,
        SettingKind::Replication,
        SettingKind::Cors,
        SettingKind::Encryption,
        SettingKind::Versioning,
    ];
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let kind = KINDS[usize::from(*first) % KINDS.len()];
    let Some(document) = utf8(rest).and_then(|text| XmlDocument::parse(text).ok()) else {
        return;
    };
    assert_eq!(document.text().as_bytes(), rest);
    comes_back(kind, Document::Xml(document));
}

fn comes_back(kind: SettingKind, document: Document) {
    let finding = finding();
    let target = &finding.targets[0];
    let mut observed = settings();
    observed.set(kind, document);
    let decision = decision(&finding, target, &everything(), &observed);
    let mut after = observed.clone();
    for change in &decision.plan.changes {
        after.0.insert(change.setting, change.after.clone());
    }
    let again = self::decision(&finding, target, &everything(), &after);
    assert!(again.plan.is_empty(), "planned again: {:?}", again.plan);
    let arn = "arn:aws:s3:::amzn-s3-demo-bucket";
    assert!(undone(&decision.plan, &after, arn).is_empty());
    let inverse = inverse(&[&decision.plan], &after, arn, &[]);
    assert!(inverse.drift.is_empty(), "{:?}", inverse.drift);
    for change in inverse.plan.changes {
        after.0.insert(change.setting, change.after);
    }
    // What was never versioned can only be suspended again.
    if kind != SettingKind::Versioning {
        let text = |settings: &Settings| serde_json::to_string(&settings.get(kind)).expect("JSON");
        assert_eq!(text(&observed), text(&after));
    }
}

/// A record that somebody may have written into the store: it is refused, or shown and undone without harm.
fn stored_record(data: &[u8]) {
    let Ok(record) = serde_json::from_slice::<Record>(data) else {
        return;
    };
    let arn = "arn:aws:s3:::amzn-s3-demo-bucket";
    let _ = inverse(&[&record.decision.plan], &record.before, arn, &[]);
    let _ = undone(&record.decision.plan, &record.before, arn);
    let text = serde_json::to_string(&record).expect("a record is JSON");
    let again: Record = serde_json::from_str(&text).expect("and is read again");
    assert_eq!(record, again);
    let text = report::account(&report::Account::new(record, None), Style::default());
    let clean = |c: char| c == '\n' || !c.is_control();
    assert!(text.chars().all(clean), "{text:?}");
}

/// A record as the engine would write it, for a finding of a bucket.
pub(crate) fn record(
    finding: &Finding,
    target: &Target,
    policy: &Policy,
    observed: &Settings,
) -> Record {
    let (classification, decision) = decide(&situation(finding, target, policy, observed));
    Record {
        version: VERSION,
        id: record_id(finding, target, Timestamp::UNIX_EPOCH),
        run: "0123456789abcdef".to_owned(),
        at: Timestamp::UNIX_EPOCH,
        program: "fuzz".to_owned(),
        asked_by: "event".to_owned(),
        finding: finding.clone().into(),
        target: target.clone(),
        classification,
        policy: PolicyRef {
            name: policy.name.clone(),
            digest: policy.digest.clone(),
        },
        before: observed.clone(),
        enrichment: Enrichment::default(),
        decision,
        rollback: None,
        outcome: None,
        followed_up: Vec::new(),
    }
}

fn decision(finding: &Finding, target: &Target, policy: &Policy, observed: &Settings) -> Decision {
    let decision = decide(&situation(finding, target, policy, observed)).1;
    let rule = policy.rules.iter().find(|rule| rule.id == decision.rule);
    let asked = rule.map_or(0, |rule| rule.measures.len());
    assert_eq!(decision.taken.len() + decision.withheld.len(), asked);
    decision
}

fn situation<'a>(
    finding: &'a Finding,
    target: &'a Target,
    policy: &'a Policy,
    observed: &'a Settings,
) -> Situation<'a> {
    static OWN: std::sync::LazyLock<Own> = std::sync::LazyLock::new(|| Own {
        principals: vec!["arn:aws:iam::111122223333:role/portcullis/function".to_owned()],
        account: Some("111122223333".to_owned()),
    });
    static NOTHING: std::sync::LazyLock<Enrichment> = std::sync::LazyLock::new(Enrichment::default);
    Situation {
        finding,
        target,
        policy,
        stack_mode: Mode::Enforce,
        own: &OWN,
        operator: None,
        observed,
        enrichment: &NOTHING,
        stops: &[],
        policy_refused: false,
        now: Timestamp::UNIX_EPOCH,
    }
}

/// A bucket of which nothing is configured.
fn settings() -> Settings {
    let kinds = SettingKind::WORDS
        .iter()
        .filter_map(|word| SettingKind::from_word(word));
    Settings(kinds.map(|kind| (kind, Setting::Absent)).collect())
}

/// The policy whose one rule asks for every measure.
pub(crate) fn everything() -> Policy {
    let loaded = policy::load("policy.yaml", EVERYTHING, date(2026, 3, 1));
    loaded.policy.expect("the policy of this file is valid")
}

fn finding() -> Finding {
    let event = include_bytes!("../../events/exfiltration-anomalous.json");
    let Some(Ok(Event::Finding(finding))) = read(event).into_iter().next() else {
        unreachable!("the event is a finding")
    };
    let bucket = Bucket {
        name: "amzn-s3-demo-bucket".to_owned(),
        account: "111122223333".to_owned(),
        ..Bucket::default()
    };
    Finding {
        targets: vec![Target::Bucket(bucket)],
        ..*finding
    }
}

fn utf8(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// What is said of an event goes into a log line.
fn is_a_line(text: &str) {
    assert!(
        !text.chars().any(|c| c == '\u{1b}' || c == '\r'),
        "{text:?}"
    );
}
