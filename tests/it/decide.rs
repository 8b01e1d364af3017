//! Decisions, at the boundary of the core: an event, a policy file and what was read of the bucket in; classification,
//! decision and plan out.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use portcullis::classification::{Classification, Own};
use portcullis::decision::{Decision, Situation, decide};
use portcullis::enrichment::Enrichment;
use portcullis::finding::{Event, Finding, Target, read};
use portcullis::policy::{self, Mode, Policy};
use portcullis::settings::{Document, PolicyDocument, Setting, SettingKind, Settings};
use portcullis::statements::Deny;
use portcullis::yaml;
use serde_json::{Value, json};

/// Every folder of `tests/cases/decide` is decided, and the outcome compared with its `expected.json`. `BLESS=1` writes
/// that anew.
#[test]
fn decisions_are_as_written() {
    let mut differing = Vec::new();
    for case in cases() {
        let mut decided: Vec<Value> = case.decide(&case.facts).iter().map(shown).collect();
        let decided = match decided.len() {
            1 => decided.remove(0),
            _ => Value::from(decided),
        };
        let text = format!("{}\n", serde_json::to_string_pretty(&decided).unwrap());
        let golden = case.folder.join("expected.json");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &text).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != text {
            differing.push(format!("{}:\n{text}", golden.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn what_is_asked_is_taken_or_withheld() {
    for case in cases() {
        for (_, _, decision) in case.decide(&case.facts) {
            let rule = case.policy.rules.iter().find(|r| r.id == decision.rule);
            let mut asked: Vec<&str> = rule
                .iter()
                .flat_map(|rule| &rule.measures)
                .map(|asked| asked.measure.name())
                .collect();
            let taken = decision.taken.iter().map(|t| t.measure.as_str());
            let withheld = decision.withheld.iter().map(|w| w.measure.as_str());
            let mut answered: Vec<&str> = taken.chain(withheld).collect();
            asked.sort_unstable();
            answered.sort_unstable();
            assert_eq!(asked, answered, "{}", case.folder.display());
        }
    }
}

#[test]
fn a_second_delivery_plans_nothing() {
    let mut acted = 0;
    for case in cases() {
        for (target, _, decision) in case.decide(&case.facts) {
            if !decision.acts() {
                continue;
            }
            acted += 1;
            let mut after = case.facts.clone();
            for change in &decision.plan.changes {
                after.0.insert(change.setting, change.after.clone());
            }
            let again = case.decide_for(&after, &target).1;
            let name = case.folder.display();
            assert!(again.plan.is_empty(), "{name}: {:#?}", again.plan);
            assert_eq!(again.taken.len(), decision.taken.len(), "{name}");
            assert_eq!(again.withheld, decision.withheld, "{name}");
        }
    }
    assert!(acted > 20, "only {acted} decisions acted");
}

#[test]
fn evidence_is_what_was_observed() {
    for case in cases() {
        for (_, _, decision) in case.decide(&case.facts) {
            for change in &decision.plan.changes {
                let observed = serde_json::to_string(&case.facts.0[&change.setting]).unwrap();
                assert_eq!(serde_json::to_string(&change.before).unwrap(), observed);
            }
        }
    }
}

#[test]
fn foreign_statements_keep_their_bytes() {
    let mut kept = 0;
    for case in cases() {
        for (target, _, decision) in case.decide(&case.facts) {
            let Target::Bucket(bucket) = &target else {
                continue;
            };
            let arn = bucket.arn(&case.finding.partition, &case.finding.region);
            let after = decision.plan.changes.iter().find_map(|c| policy(&c.after));
            let before = policy_of(&case.facts);
            if let (Some(before), Some(after)) = (before, after) {
                let foreign = before.statements().iter().filter(|statement| {
                    Deny::parse(statement, &arn).is_none() && !statement.is_public()
                });
                for statement in foreign {
                    kept += 1;
                    assert!(
                        after.text().contains(statement.text()),
                        "{}: {} is not in {}",
                        case.folder.display(),
                        statement.text(),
                        after.text()
                    );
                }
            }
        }
    }
    assert!(kept > 10, "only {kept} statements were compared");
}

/// The mode of the deployment holds back whatever the policy file says, and an operator cannot raise it.
#[test]
fn an_observing_deployment_withholds_everything() {
    for operator in [None, Some("arn:aws:iam::111122223333:user/operator")] {
        for case in cases() {
            for target in &case.finding.targets {
                let situation = Situation {
                    stack_mode: Mode::Observe,
                    operator,
                    ..case.situation(&case.facts, target)
                };
                let decision = decide(&situation).1;
                assert!(decision.taken.is_empty(), "{}", case.folder.display());
                assert!(!decision.acts());
            }
        }
    }
}

/// An order by hand overrides the policy file's mode and an archived finding, and never a sample.
#[test]
fn an_operator_overrides_the_modes_of_the_policy_file() {
    let taken = |name: &str| {
        let case = Case::load(&folder().join(name));
        let situation = Situation {
            operator: Some("arn:aws:iam::111122223333:user/operator"),
            ..case.situation(&case.facts, &case.finding.targets[0])
        };
        !decide(&situation).1.taken.is_empty()
    };
    assert!(taken("observe-mode-plans-and-withholds"));
    assert!(taken("archived-finding-changes-nothing"));
    assert!(!taken("sample-changes-nothing"));
}

struct Case {
    folder: PathBuf,
    finding: Finding,
    facts: Settings,
    enrichment: Enrichment,
    policy: Policy,
    own: Own,
    now: Timestamp,
}

type Decided = (Target, Classification, Decision);

impl Case {
    fn load(folder: &Path) -> Self {
        let name = folder.display();
        let now: Timestamp = "2026-10-05T09:00:00Z".parse().unwrap();
        let event = match std::fs::read_to_string(folder.join("event")) {
            Ok(name) => root().join("events").join(name.trim()),
            Err(_) => folder.join("event.json"),
        };
        let mut events = read(&std::fs::read(&event).unwrap());
        assert_eq!(events.len(), 1, "{name}");
        let Ok(Event::Finding(finding)) = events.remove(0) else {
            panic!("{} holds no finding", event.display());
        };
        let facts = std::fs::read_to_string(folder.join("facts.json")).unwrap();
        let facts = serde_json::from_str(&facts).unwrap_or_else(|e| panic!("{name}: {e}"));
        let enrichment = match std::fs::read_to_string(folder.join("enrichment.json")) {
            Ok(text) => serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}")),
            Err(_) => Enrichment::default(),
        };
        let text = std::fs::read_to_string(folder.join("policy.yaml")).unwrap();
        let today = jiff::civil::date(2026, 10, 5);
        let loaded = policy::load("policy.yaml", &text, today);
        let diagnostics = yaml::render(&loaded.diagnostics, &text, false);
        let policy = loaded
            .policy
            .unwrap_or_else(|| panic!("{name}: {diagnostics}"));
        // The function runs in account 111122223333 of the finding's partition, as it is deployed there.
        let own = Own {
            principals: vec![format!(
                "arn:{}:iam::111122223333:role/portcullis/function",
                finding.partition
            )],
            account: Some("111122223333".to_owned()),
        };
        Self {
            folder: folder.to_owned(),
            finding: *finding,
            facts,
            enrichment,
            policy,
            own,
            now,
        }
    }

    fn situation<'a>(&'a self, observed: &'a Settings, target: &'a Target) -> Situation<'a> {
        Situation {
            finding: &self.finding,
            target,
            policy: &self.policy,
            stack_mode: Mode::Enforce,
            own: &self.own,
            operator: None,
            observed,
            enrichment: &self.enrichment,
            stops: &[],
            policy_refused: false,
            now: self.now,
        }
    }

    fn decide_for(&self, observed: &Settings, target: &Target) -> (Classification, Decision) {
        decide(&self.situation(observed, target))
    }

    fn decide(&self, observed: &Settings) -> Vec<Decided> {
        let targets = self.finding.targets.iter();
        targets
            .map(|target| {
                let (classification, decision) = self.decide_for(observed, target);
                (target.clone(), classification, decision)
            })
            .collect()
    }
}

fn cases() -> Vec<Case> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 20);
    folders.iter().map(|folder| Case::load(folder)).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folder() -> PathBuf {
    root().join("tests/cases/decide")
}

fn policy(setting: &Setting) -> Option<&PolicyDocument> {
    match setting {
        Setting::Present(Document::BucketPolicy(policy)) => Some(policy),
        _ => None,
    }
}

fn policy_of(settings: &Settings) -> Option<&PolicyDocument> {
    policy(settings.get(SettingKind::BucketPolicy)?)
}

/// What a golden shows. The state before each change is that of `facts.json`, and is compared with it elsewhere.
fn shown((target, classification, decision): &Decided) -> Value {
    let target = match target {
        Target::Bucket(bucket) => &bucket.name,
        Target::Account(account) => account,
    };
    let Classification {
        authorization,
        access_path,
        exposure,
        evidence,
        uses,
        sensitivity,
        ..
    } = classification;
    let uses = uses.are.iter();
    let uses: Vec<String> = uses
        .map(|found| format!("{}: {}", found.is, found.because))
        .collect();
    let changes = decision.plan.changes.iter().map(|change| {
        // As JSON, so that it can be read; its bytes are compared elsewhere.
        let json =
            |policy: &PolicyDocument| -> Value { serde_json::from_str(policy.text()).unwrap() };
        let after = match &change.after {
            Setting::Present(Document::BucketPolicy(policy)) => json(policy),
            Setting::Present(Document::AccessPointPolicies(points)) => {
                let policies = points.0.iter();
                policies
                    .map(|(name, point)| (name.clone(), point.policy.as_ref().map(json)))
                    .map(|(name, policy)| (name, policy.unwrap_or_default()))
                    .collect()
            }
            other => serde_json::to_value(other).unwrap(),
        };
        json!({ "setting": change.setting, "measures": change.measures, "after": after })
    });
    let changes: Vec<Value> = changes.collect();
    let mut decided = serde_json::to_value(decision).unwrap();
    decided["plan"] = Value::from(changes);
    json!({
        "target": target,
        "classification": {
            "actors": classification.actors,
            "authorization": format!("{}: {}", authorization.is, authorization.because),
            "access-path": format!("{}: {}", access_path.is, access_path.because),
            "evidence": evidence,
            "uses": uses,
            "exposure": format!("{}: {}", exposure.is, exposure.because),
            "sensitivity": format!("{}: {}", sensitivity.is, sensitivity.because),
            "networks": classification.networks,
            "credentials": classification.credentials,
            "api-outcome": classification.api_outcome,
        },
        "decision": decided,
    })
}
