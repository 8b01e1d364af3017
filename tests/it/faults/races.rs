//! Several findings on one bucket at the same time, while somebody else changes its policy.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::config::Credentials;
use jiff::{SignedDuration, Timestamp};
use portcullis::aws::{Aws, AwsOptions};
use portcullis::classification::Own;
use portcullis::engine::{Engine, Followed};
use portcullis::finding::{Bucket, Event, Finding, Target, TrailEvent, read};
use portcullis::policy::{self, Policy};
use portcullis::store::{S3Store, Store};
use serde_json::{Value, json};

use super::outside::add_statement;
use super::scene::{Site, is_write_to_settings};
use super::side_by_side;
use crate::stand_in::{Proxy, Verdict, client_of, config_of, endpoint, unique_name};
use crate::world::{POLICY, engine_of};

/// What Lambda does with an event that fails, before it gives up.
const DELIVERIES: usize = 3;

/// What came of the rounds.
#[derive(Debug, Default)]
pub(super) struct Races {
    pub(super) rounds: usize,
    pub(super) invocations: usize,
    pub(super) outside: usize,
    pub(super) ours_lost: usize,
    pub(super) theirs_lost: usize,
    /// Of these, the ones that were told once CloudTrail had told of them, with the whole policy kept.
    pub(super) told: usize,
    pub(super) leases: usize,
    pub(super) bare: usize,
    /// What S3 cannot be blamed for.
    pub(super) wrong: Vec<String>,
}

#[test]
fn findings_that_race_for_a_bucket_lose_nothing_of_each_other() {
    let races = rounds(6, 1);
    assert_eq!(races.wrong, Vec::<String>::new());
    assert!(races.invocations > 12, "{races:?}");
}

/// Rounds of 2 to 16 findings each, so many at once.
pub(super) fn rounds(number: usize, at_once: usize) -> Races {
    let races = Mutex::new(Races::default());
    side_by_side(number, at_once, |round| {
        let one = one(2 + round * 5 % 15);
        races.lock().unwrap().add(one);
    });
    races.into_inner().unwrap()
}

impl Races {
    fn add(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.invocations += other.invocations;
        self.outside += other.outside;
        self.ours_lost += other.ours_lost;
        self.theirs_lost += other.theirs_lost;
        self.told += other.told;
        self.leases += other.leases;
        self.bare += other.bare;
        self.wrong.extend(other.wrong);
    }
}

/// A round on a bucket of its own.
fn one(findings: usize) -> Races {
    let upstream = endpoint("ministack");
    let bucket = unique_name("race");
    let account = format!(
        "4{:011}",
        Timestamp::now().as_microsecond() % 100_000_000_000
    );
    let site = Arc::new(Site {
        host: upstream.strip_prefix("http://").unwrap().to_owned(),
        account: account.clone(),
    });
    site.put(&format!("/{bucket}"), "");
    site.put(&format!("/{bucket}-store"), "");
    add_statement(&site, &bucket, "Before");
    // What somebody else reads and writes is one step here, so that only our own writes can lose it.
    let lock = Arc::new(Mutex::new(()));
    let shared = lock.clone();
    let proxy = Proxy::start(&upstream, move |request| {
        match request.starts_with("PUT ") && request.contains("?policy") {
            true => Verdict::Under(shared.clone()),
            false => Verdict::Pass,
        }
    });
    let writes = findings / 2;
    let (failures, written): (Vec<String>, _) = std::thread::scope(|scope| {
        let outsider = scope.spawn(|| {
            let written = (0..writes).map(|write| {
                std::thread::sleep(Duration::from_millis(40 + 37 * write as u64 % 90));
                let _held = lock.lock().unwrap();
                let policy = add_statement(&site, &bucket, &format!("Outside{write}"));
                of_cloudtrail(&site, &bucket, write, &policy)
            });
            written.collect::<Vec<TrailEvent>>()
        });
        let runs: Vec<_> = (0..findings)
            .map(|number| {
                let (url, bucket, account) = (&proxy.url, &bucket, &account);
                scope.spawn(move || deliver(url, bucket, account, number))
            })
            .collect();
        let failures = runs.into_iter().flat_map(|run| run.join().unwrap());
        let failures = failures.collect();
        (failures, outsider.join().unwrap())
    });
    let mut races = Races {
        rounds: 1,
        invocations: findings,
        outside: writes,
        wrong: failures,
        ..Races::default()
    };

    let (_, policy) = site.ask("GET", &format!("/{bucket}?policy"), "");
    let theirs = (0..writes).map(|write| format!("\"Outside{write}\""));
    let theirs: Vec<String> = theirs.chain(["\"Before\"".to_owned()]).collect();
    let lost: BTreeSet<String> = theirs
        .into_iter()
        .filter(|sid| !policy.contains(sid))
        .collect();
    let told = told(&proxy.url, &bucket, &account, &written);
    races.theirs_lost += lost.len();
    races.told += lost.intersection(&told).count();
    if told != lost {
        let wrong = format!("lost are {lost:?} and told {told:?}");
        races.wrong.push(wrong);
    }
    for number in 0..findings {
        for ours in [actor(number), address(number)] {
            if !policy.contains(&ours) {
                races.ours_lost += 1;
                races
                    .wrong
                    .push(format!("{ours} of {findings} is not in {policy}"));
            }
        }
    }
    let lease = format!("/{bucket}-store/leases/{account}/{bucket}.json");
    let (_, lease) = site.ask("GET", &lease, "");
    let lease: Value = serde_json::from_str(&lease).unwrap();
    if lease["released"] != true {
        races.leases += 1;
        races.wrong.push(format!("a lease is left: {lease}"));
    }
    let log = proxy.log();
    let evidence = |before: usize| {
        let records = log.iter().filter(|logged| {
            logged.request.starts_with("PUT ") && logged.request.contains("/records/")
        });
        let records = records.filter(|logged| !logged.request.contains(".result"));
        records
            .filter(|logged| logged.ended.is_some_and(|ended| ended < before))
            .count()
    };
    let mut written = 0;
    for write in log
        .iter()
        .filter(|logged| is_write_to_settings(&logged.request))
    {
        written += 1;
        // Each run writes once, under a record of its own.
        if evidence(write.began) < written {
            races.bare += 1;
            races
                .wrong
                .push(format!("no evidence before {}", write.request));
        }
    }
    races
}

/// What CloudTrail tells of a policy that was written now.
fn of_cloudtrail(site: &Site, bucket: &str, number: usize, policy: &Value) -> TrailEvent {
    let event = include_str!("../../../events/policy-written.json");
    let mut event: Value = serde_json::from_str(event).unwrap();
    let detail = &mut event["detail"];
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    detail["eventID"] = json!(format!("event-{number}"));
    detail["eventTime"] = json!(now.to_string());
    detail["resources"][0]["accountId"] = json!(site.account);
    detail["requestParameters"]["bucketName"] = json!(bucket);
    detail["requestParameters"]["bucketPolicy"] = policy.clone();
    match read(event.to_string().as_bytes()).remove(0) {
        Ok(Event::Trail(event)) => *event,
        other => panic!("{other:?}"),
    }
}

/// The statements that are told to be missing when CloudTrail's events come in, the last one first.
fn told(url: &str, bucket: &str, account: &str, written: &[TrailEvent]) -> BTreeSet<String> {
    let deployment = Deployment::new(url, bucket, account);
    block_on(async {
        let mut told = BTreeSet::new();
        for event in written.iter().rev() {
            let looked = match deployment.engine().follow(event, true).await.unwrap() {
                Followed::Looked(looked) => looked,
                Followed::LeftAlone(why) => panic!("{why}"),
            };
            let lines = looked.found.iter().flat_map(|swept| &swept.detail);
            let missing = lines.filter_map(|line| line.strip_prefix("missing: statement "));
            told.extend(missing.map(|line| format!("\"{}\"", line.split(' ').next().unwrap())));
        }
        told
    })
}

/// One finding, as often as Lambda would deliver it; what kept it from its end.
fn deliver(url: &str, bucket: &str, account: &str, number: usize) -> Option<String> {
    let deployment = Deployment::new(url, bucket, account);
    let finding = finding(bucket, account, number);
    block_on(async {
        let mut reason = None;
        for _ in 0..DELIVERIES {
            let report = deployment.engine().respond(&finding).await.remove(0);
            if !report.fails_the_invocation() {
                return None;
            }
            reason = report.summary.reason;
        }
        Some(format!("finding {number} fails: {reason:?}"))
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

/// What an invocation works with.
struct Deployment {
    aws: Aws,
    store: Store,
    policy: Policy,
    own: Own,
}

impl Deployment {
    fn new(url: &str, bucket: &str, account: &str) -> Self {
        let config = config_of(url, Credentials::new(account, "test", None, None, "test"));
        let own = Own {
            principals: vec![format!("arn:aws:iam::{account}:role/function")],
            account: Some(account.to_owned()),
        };
        let store = S3Store::new(client_of(&config), &format!("{bucket}-store"), "");
        let options = AwsOptions {
            own_account: own.account.clone(),
            ..AwsOptions::default()
        };
        let policy = policy::load("policy.yaml", POLICY, jiff::civil::date(2026, 3, 1));
        Self {
            aws: Aws::new(config, options),
            store: Store::S3(store),
            policy: policy.policy.unwrap(),
            own,
        }
    }

    fn engine(&self) -> Engine<'_> {
        Engine {
            deadline: Timestamp::now() + SignedDuration::from_mins(2),
            ..engine_of(&self.aws, &self.store, &self.policy, &self.own)
        }
    }
}

fn finding(bucket: &str, account: &str, number: usize) -> Finding {
    let event = include_bytes!("../../../events/exfiltration-anomalous.json");
    let Ok(Event::Finding(mut finding)) = read(event).remove(0) else {
        panic!("the event is a finding")
    };
    finding.actors[0].principal_id = Some(format!("{}:session", actor(number)));
    finding.actors[0].arn = None;
    finding.actors[0].account = None;
    finding.remotes[0].address = Some(address(number).parse().unwrap());
    let target = Bucket {
        name: bucket.to_owned(),
        account: account.to_owned(),
        ..Bucket::default()
    };
    Finding {
        id: format!("{number:032x}"),
        account: account.to_owned(),
        region: "us-east-1".to_owned(),
        targets: vec![Target::Bucket(target)],
        ..*finding
    }
}

fn actor(number: usize) -> String {
    format!("AROAEXAMPLERACER{number:05}")
}

fn address(number: usize) -> String {
    format!("198.51.100.{}", number + 1)
}
