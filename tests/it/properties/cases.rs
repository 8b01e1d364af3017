//! What is decided about: findings, the team's policy files, buckets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use portcullis::classification::Own;
use portcullis::decision::{Decision, Situation, decide};
use portcullis::enrichment::Enrichment;
use portcullis::finding::{Actor, Bucket, Finding, Object, Remote, Target, UserType};
use portcullis::policy::{self, Mode, Policy};
use portcullis::settings::{SettingKind, Settings};
use portcullis::statements::Deny;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::callers::Caller;
use super::s3::S3;
use super::settings::{KINDS, settings};
use super::{ACCOUNT, BUCKET, PARTNER, document};

/// One finding, policy file and bucket.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) finding: Finding,
    pub(super) yaml: String,
    pub(super) policy: Policy,
    pub(super) trusts_partner: bool,
    pub(super) settings: Settings,
    pub(super) unreadable: Vec<SettingKind>,
}

impl Case {
    pub(super) fn s3(&self) -> S3 {
        S3 {
            settings: self.settings.clone(),
            unreadable: self.unreadable.clone(),
        }
    }

    pub(super) fn decide(&self, observed: &Settings) -> Decision {
        let own = Own {
            principals: vec!["arn:aws:iam::111122223333:role/portcullis/function".to_owned()],
            account: Some(ACCOUNT.to_owned()),
        };
        let situation = Situation {
            finding: &self.finding,
            target: &self.finding.targets[0],
            policy: &self.policy,
            stack_mode: Mode::Enforce,
            own: &own,
            operator: None,
            observed,
            enrichment: &Enrichment::default(),
            stops: &[],
            policy_refused: false,
            now: Timestamp::UNIX_EPOCH,
        };
        decide(&situation).1
    }

    /// A measure as the policy file asks for it, or nothing.
    pub(super) fn asked(&self, measure: &str) -> &str {
        let line = self.yaml.lines().find(|line| line.contains(measure));
        line.unwrap_or_default()
    }

    pub(super) fn holds_ours(&self) -> bool {
        let policy = self
            .settings
            .get(SettingKind::BucketPolicy)
            .and_then(document);
        let mut statements = policy.into_iter().flat_map(|policy| policy.statements());
        statements.any(|statement| Deny::parse(statement, BUCKET).is_some())
    }

    /// Whether a statement of ours that was there before hits the caller: merging renews who is spared, and an earlier
    /// statement that spared the wrong ones hits them from then on.
    pub(super) fn denied_earlier(&self, caller: &Caller) -> bool {
        let policy = self
            .settings
            .get(SettingKind::BucketPolicy)
            .and_then(document);
        let mut earlier = policy.into_iter().flat_map(|policy| policy.statements());
        earlier.any(|statement| {
            Deny::parse(statement, BUCKET).is_some_and(|deny| {
                deny.values()
                    .iter()
                    .any(|value| value.split(':').next() == caller.userid.split(':').next())
            })
        })
    }
}

/// Tests many cases; the first that fails is made as small as it gets.
#[track_caller]
pub(super) fn check(cases: u32, test: impl Fn(&Case)) {
    let outcome = runner(cases).run(&case(&[]), |case| {
        test(&case);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Cases to be judged together. Their rules ask for no measure but those named, and always for the first of them; for any
/// measure where none is named.
pub(super) fn many(cases: u32, measures: &'static [&'static str]) -> Vec<Case> {
    let mut runner = runner(cases);
    let strategy = case(measures);
    (0..runner.config().cases)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

/// `PROPTEST_CASES` raises the number of cases.
fn runner(cases: u32) -> TestRunner {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(cases);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    // The same cases everywhere, unless more are asked for: a build that fails must fail again.
    let rng = match std::env::var_os("PROPTEST_RNG_SEED") {
        Some(_) => TestRng::from_seed(RngAlgorithm::ChaCha, &seed()),
        None => TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    };
    TestRunner::new_with_rng(config, rng)
}

fn seed() -> [u8; 32] {
    let text = std::env::var("PROPTEST_RNG_SEED").unwrap_or_default();
    let mut seed = [0; 32];
    seed.iter_mut()
        .zip(text.bytes())
        .for_each(|(to, from)| *to = from);
    seed
}

fn case(among: &'static [&'static str]) -> impl Strategy<Value = Case> {
    let unreadable = prop_oneof![
        6 => Just(Vec::new()),
        1 => subsequence(KINDS.to_vec(), 1..=4),
    ];
    (finding(), rules(among), settings(), unreadable).prop_map(
        |(finding, rules, settings, unreadable)| {
            let (yaml, trusts_partner) = rules;
            let loaded = policy::load("policy.yaml", &yaml, jiff::civil::date(2026, 10, 5));
            let policy = loaded
                .policy
                .unwrap_or_else(|| panic!("{yaml}\n{:?}", loaded.diagnostics));
            Case {
                finding,
                yaml,
                policy,
                trusts_partner,
                settings,
                unreadable,
            }
        },
    )
}

fn rules(among: &'static [&'static str]) -> impl Strategy<Value = (String, bool)> {
    let scope = select(vec!["session", "identity", "account"]);
    let access = select(vec!["data", "writes", "all"]);
    let flags = prop_oneof![
        3 => Just("block-public-access".to_owned()),
        1 => subsequence(vec!["block-public-acls", "block-public-policy", "restrict-public-buckets"], 1..=2)
            .prop_map(|flags| format!("block-public-access: {{ flags: [{}] }}", flags.join(", "))),
    ];
    let whom = select(vec!["actor", "everyone"]);
    let outside = select(vec![
        "deny-outside",
        "deny-outside: { organizations: [o-exampleorgid], accounts: [\"444455556666\"] }",
    ]);
    let presigned = select(vec![
        "deny-presigned-urls",
        "deny-presigned-urls: { older-than: 10m }",
    ]);
    let parameters = (scope, access, flags, whom, outside, presigned);
    let measures = parameters.prop_flat_map(|(scope, access, flags, whom, outside, presigned)| {
        let mut all = vec![
            "remove-public-grants".to_owned(),
            format!("deny-actor: {{ scope: {scope} }}"),
            "deny-source-ip".to_owned(),
            format!("isolate: {{ access: {access} }}"),
            flags,
            "block-account-public-access".to_owned(),
            outside.to_owned(),
            "restrict-network: { vpc-endpoints: [vpce-1a2b3c4d], cidrs: [203.0.113.0/24] }"
                .to_owned(),
            presigned.to_owned(),
            format!("freeze-configuration: {{ for: {whom} }}"),
            format!("preserve-data: {{ for: {whom} }}"),
            "quarantine-object".to_owned(),
            "lock-access-points".to_owned(),
            "disable-acls".to_owned(),
            "remove-cors".to_owned(),
            "pause-replication".to_owned(),
            "block-customer-keys".to_owned(),
            "restore-logging: { target-bucket: amzn-s3-demo-logs, prefix: 'a&b/' }".to_owned(),
            "mark-contained".to_owned(),
        ];
        let name = |measure: &str| measure.split(':').next().unwrap_or_default().to_owned();
        all.retain(|measure| among.is_empty() || among.contains(&name(measure).as_str()));
        let (few, many) = (all.len().min(3), all.len().min(12));
        let most = prop_oneof![1 => 1..=1_usize, 2 => 1..=few, 1 => few..=many];
        let always: Vec<String> = among
            .first()
            .and_then(|first| all.iter().find(|measure| name(measure) == *first))
            .cloned()
            .into_iter()
            .collect();
        all.retain(|measure| !always.contains(measure));
        most.prop_flat_map(move |count| {
            let always = always.clone();
            let others = subsequence(all.clone(), count.min(all.len()));
            others
                .prop_map(move |others| always.iter().cloned().chain(others).collect::<Vec<_>>())
                .prop_shuffle()
        })
    });
    let observes = prop_oneof![9 => Just("enforce"), 1 => Just("observe")];
    (measures, observes, prop::bool::weighted(0.2)).prop_map(|(measures, mode, trusts)| {
        let accounts = if trusts {
            format!("\"{PARTNER}\"")
        } else {
            String::new()
        };
        let measures: String = measures.iter().map(|m| format!("      - {m}\n")).collect();
        let yaml = format!(
            "version: 1\nmode: {mode}\n\
             break-glass: [\"arn:aws:iam::*:role/SecurityBreakGlass\"]\n\
             trusted: {{ accounts: [{accounts}], networks: [192.0.2.0/28] }}\n\
             rules:\n  - id: contain\n    measures:\n{measures}"
        );
        (yaml, trusts)
    })
}

fn finding() -> impl Strategy<Value = Finding> {
    let actors = proptest::collection::vec(select(actors()), 0..=3);
    let addresses = vec![
        "203.0.113.7",
        "198.51.100.23",
        "192.0.2.5",
        "10.1.2.3",
        "2001:db8:85a3::7334",
        "fe80::1",
    ];
    let remotes = subsequence(addresses, 0..=3);
    let state =
        prop_oneof![8 => Just((false, false)), 1 => Just((true, false)), 1 => Just((false, true))];
    // Directory buckets have a policy of one action, which is judged elsewhere.
    let directory = Just(false);
    let objects = subsequence(
        vec!["reports/a.exe", "w*ld$.bin", "\u{00e9}t\u{00e9}.zip"],
        0..=2,
    );
    (actors, remotes, state, directory, objects).prop_map(
        |(actors, remotes, (sample, archived), directory, objects)| Finding {
            id: "finding".to_owned(),
            arn: None,
            kind: "Exfiltration:S3/AnomalousBehavior".to_owned(),
            account: ACCOUNT.to_owned(),
            region: "us-east-1".to_owned(),
            partition: "aws".to_owned(),
            severity: 8.0,
            title: None,
            description: None,
            created_at: None,
            updated_at: None,
            first_seen: None,
            last_seen: None,
            count: 1,
            archived,
            sample,
            detector: None,
            detection_rule: None,
            attack_sequence: None,
            targets: vec![Target::Bucket(Bucket {
                name: "amzn-s3-demo-bucket".to_owned(),
                account: ACCOUNT.to_owned(),
                directory,
                objects: objects
                    .into_iter()
                    .map(|key| Object {
                        key: key.to_owned(),
                        version: None,
                    })
                    .collect(),
                ..Bucket::default()
            })],
            actors,
            calls: Vec::new(),
            remotes: remotes
                .into_iter()
                .map(|address| Remote {
                    address: Some(address.parse().unwrap()),
                    ..Remote::default()
                })
                .collect(),
            threats: Vec::new(),
            indicators: BTreeMap::new(),
        },
    )
}

fn actors() -> Vec<Actor> {
    let actor = |user_type, id: &str, name: &str, account: &str| Actor {
        user_type,
        principal_id: Some(id.to_owned()).filter(|id| !id.is_empty()),
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        account: Some(account.to_owned()).filter(|account| !account.is_empty()),
        ..Actor::default()
    };
    use UserType::*;
    vec![
        actor(
            AssumedRole,
            "AROACKCEVSQ6C2EXAMPLE:ana.carolina",
            "reporting",
            ACCOUNT,
        ),
        actor(
            AssumedRole,
            "AROACKCEVSQ6C2EXAMPLE:ana.carolina",
            "reporting",
            "",
        ),
        actor(IamUser, "AIDACKCEVSQ6C2EXAMPLE", "nikki.wolf", ACCOUNT),
        actor(AwsAccount, "AROAI44QH8DHBEXAMPLE:loader", "loader", PARTNER),
        actor(Anonymous, "", "", ""),
        actor(Root, ACCOUNT, "", ACCOUNT),
        actor(FederatedUser, "111122223333:marta", "marta", ACCOUNT),
        actor(AwsService, "", "macie.amazonaws.com", ""),
        actor(
            AssumedRole,
            "AROABREAKGLASSEXAMPLE:ana",
            "SecurityBreakGlass",
            ACCOUNT,
        ),
        actor(
            AssumedRole,
            "AROAPORTCULLISEXAMPLE:run",
            "function",
            ACCOUNT,
        ),
        actor(AssumedRole, "AROA*:*", "reporting", ACCOUNT),
        actor(Unknown, "*", "", ""),
    ]
}
