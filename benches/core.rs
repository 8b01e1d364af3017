//! The pure core alone: what each step of a finding takes, in time and in memory that is allocated.
//!
//! `make bench` runs this. A finding is the unit: `item/s` are findings
//! a second, whatever the number of their targets, and times and allocations are those of all findings of an input.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use jiff::Timestamp;
use portcullis::classification::{self, Own};
use portcullis::decision::{Situation, weigh};
use portcullis::enrichment::Enrichment;
use portcullis::finding::{Event, Finding, Target, read};
use portcullis::plan::Plan;
use portcullis::policy::{self, Mode, Policy};
use portcullis::settings::{SettingKind, Settings};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// An attack sequence can name so many resources; three of four are buckets here.
const RESOURCES: usize = 400;
const BUCKETS: usize = 300;

fn main() {
    divan::main();
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
enum Input {
    /// The findings of `events/` under the built-in policy, nothing known of their buckets: what a backtest does.
    Events,
    /// The cases of `tests/cases/decide`, each with its own policy and settings: what the function does.
    Settings,
    /// One attack sequence of many resources, with the policy and the settings of its case.
    Sequence,
}

const INPUTS: [Input; 3] = [Input::Events, Input::Settings, Input::Sequence];

#[divan::bench(args = INPUTS)]
fn parse(bencher: Bencher, input: Input) {
    each(bencher, input.cases(), |case| {
        black_box(read(&case.event));
    });
}

#[divan::bench(args = INPUTS)]
fn classify(bencher: Bencher, input: Input) {
    each(bencher, input.cases(), |case| {
        for target in &case.finding.targets {
            let bucket = match target {
                Target::Bucket(bucket) => Some(bucket),
                Target::Account(_) => None,
            };
            black_box(classification::classify(
                &case.finding,
                bucket,
                &case.observed,
                &case.enrichment,
                &case.policy,
                &case.own,
            ));
        }
    });
}

/// The classification is part of it.
#[divan::bench(args = INPUTS)]
fn decide(bencher: Bencher, input: Input) {
    each(bencher, input.cases(), |case| case.decide(&case.finding));
}

/// Without settings there is nothing to compare.
#[divan::bench(args = [Input::Settings, Input::Sequence])]
fn diff(bencher: Bencher, input: Input) {
    let cases = input.cases();
    let ends: Vec<Vec<End>> = cases.iter().map(Case::ends).collect();
    bencher
        .counter(ItemsCount::new(cases.len()))
        .bench_local(|| {
            for (case, ends) in cases.iter().zip(&ends) {
                for (desired, wanted_by) in ends {
                    black_box(Plan::diff(&case.observed, desired, wanted_by));
                }
            }
        });
}

/// From the text of the event to the decision about each of its targets.
#[divan::bench(args = INPUTS)]
fn whole(bencher: Bencher, input: Input) {
    each(bencher, input.cases(), |case| {
        for event in read(&case.event) {
            if let Ok(Event::Finding(finding)) = event {
                case.decide(&finding);
            }
        }
    });
}

fn each(bencher: Bencher, cases: &[Case], work: impl Fn(&Case)) {
    bencher
        .counter(ItemsCount::new(cases.len()))
        .bench_local(|| cases.iter().for_each(&work));
}

struct Case {
    event: Vec<u8>,
    finding: Finding,
    policy: Policy,
    own: Own,
    observed: Settings,
    enrichment: Enrichment,
    now: Timestamp,
}

/// The settings in which a decision ends, and which measures want them.
type End = (Settings, BTreeMap<SettingKind, Vec<String>>);

impl Case {
    /// None of an event that is no finding.
    fn new(event: Vec<u8>, policy: Policy, observed: Settings) -> Option<Self> {
        let Ok(Event::Finding(finding)) = read(&event).remove(0) else {
            return None;
        };
        let own = Own {
            principals: vec!["arn:aws:iam::111122223333:role/portcullis/function".to_owned()],
            account: Some("111122223333".to_owned()),
        };
        Some(Self {
            event,
            finding: *finding,
            policy,
            own,
            observed,
            enrichment: Enrichment::default(),
            now: "2026-10-05T09:00:00Z".parse().unwrap(),
        })
    }

    fn situation<'a>(&'a self, finding: &'a Finding, target: &'a Target) -> Situation<'a> {
        Situation {
            finding,
            target,
            policy: &self.policy,
            stack_mode: Mode::Enforce,
            own: &self.own,
            operator: None,
            observed: &self.observed,
            enrichment: &self.enrichment,
            stops: &[],
            policy_refused: false,
            now: self.now,
        }
    }

    fn decide(&self, finding: &Finding) {
        for target in &finding.targets {
            black_box(weigh(&self.situation(finding, target)));
        }
    }

    fn ends(&self) -> Vec<End> {
        let targets = self.finding.targets.iter();
        let ends = targets.map(|target| {
            let plan = weigh(&self.situation(&self.finding, target)).decision.plan;
            let (mut desired, mut wanted_by) = (self.observed.clone(), BTreeMap::new());
            for change in plan.changes {
                desired.0.insert(change.setting, change.after);
                wanted_by.insert(change.setting, change.measures);
            }
            (desired, wanted_by)
        });
        ends.collect()
    }
}

impl Input {
    fn cases(self) -> &'static [Case] {
        static EVENTS: LazyLock<Vec<Case>> = LazyLock::new(events);
        static SETTINGS: LazyLock<Vec<Case>> = LazyLock::new(settings);
        static SEQUENCE: LazyLock<Vec<Case>> = LazyLock::new(sequence);
        match self {
            Self::Events => &EVENTS,
            Self::Settings => &SETTINGS,
            Self::Sequence => &SEQUENCE,
        }
    }
}

fn events() -> Vec<Case> {
    let paths = sorted("events").into_iter();
    let events = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    events
        .filter_map(|path| {
            let event = std::fs::read(path).unwrap();
            Case::new(event, Policy::built_in(), Settings::default())
        })
        .collect()
}

fn settings() -> Vec<Case> {
    let folders = sorted("tests/cases/decide").into_iter();
    folders
        .filter_map(|folder| {
            let event = match std::fs::read_to_string(folder.join("event")) {
                Ok(name) => root().join("events").join(name.trim()),
                Err(_) => folder.join("event.json"),
            };
            let (policy, observed) = situation(&folder);
            Case::new(std::fs::read(event).unwrap(), policy, observed)
        })
        .collect()
}

fn sequence() -> Vec<Case> {
    let text = std::fs::read(root().join("events/attack-sequence-s3.json")).unwrap();
    let mut event: Value = serde_json::from_slice(&text).unwrap();
    let resources = "/detail/service/detection/sequence/resources";
    let resources = event.pointer_mut(resources).and_then(Value::as_array_mut);
    let resources = resources.unwrap();
    let of_type = |kind: &str| {
        let found = resources.iter().find(|one| one["resourceType"] == kind);
        found.unwrap().clone()
    };
    let (bucket, object) = (of_type("S3_BUCKET"), of_type("S3_OBJECT"));
    *resources = (0..RESOURCES)
        .map(|number| {
            let arn = format!("arn:aws:s3:::amzn-s3-demo-bucket-{}", number % BUCKETS);
            let (mut resource, uid) = match number < BUCKETS {
                true => (bucket.clone(), arn),
                false => (object.clone(), format!("{arn}/2026/10/orders.parquet")),
            };
            resource["name"] = json!(uid.trim_start_matches("arn:aws:s3:::"));
            resource["uid"] = json!(uid);
            resource
        })
        .collect();
    let (policy, observed) =
        situation(&root().join("tests/cases/decide/sequence-contains-every-bucket"));
    let event = serde_json::to_vec(&event).unwrap();
    Case::new(event, policy, observed).into_iter().collect()
}

/// The policy and the settings of a case.
fn situation(folder: &Path) -> (Policy, Settings) {
    let policy = std::fs::read_to_string(folder.join("policy.yaml")).unwrap();
    let loaded = policy::load("policy.yaml", &policy, jiff::civil::date(2026, 10, 5));
    let observed = std::fs::read(folder.join("facts.json")).unwrap();
    let observed = serde_json::from_slice(&observed).unwrap();
    (loaded.policy.unwrap(), observed)
}

fn sorted(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
