//! The invariants of the core, over bucket policies, settings, findings and rules that nobody wrote by hand.
//!
//! Who has access is judged by `iam-rs`, which is not our code. Its faults are made up for here: it takes neither an
//! account for its members nor a role for its sessions, and a principal of two kinds it cannot read, so that [`judged`]
//! spells all that out; and it has no anonymous caller, so that one is a made-up ARN. It shares our reading of what makes
//! a policy public, which decides whether RestrictPublicBuckets and BlockPublicPolicy bite.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use iam_rs::{Arn, Context, Decision as Verdict, IAMPolicy, IAMRequest, Principal, PrincipalId};
use jiff::Timestamp;
use portcullis::classification::Own;
use portcullis::decision::{Decision, Situation, decide};
use portcullis::enrichment::Enrichment;
use portcullis::finding::{Actor, Bucket, Finding, Object, Remote, Target, UserType};
use portcullis::guard::Guard;
use portcullis::plan::{Change, Plan};
use portcullis::policy::{self, Mode, Policy};
use portcullis::rollback::inverse;
use portcullis::settings::{
    AccessPoint, AccessPoints, Acl, Document, Grant, MAX_POLICY_BYTES, PolicyDocument,
    PublicAccessBlock, Setting, SettingKind, Settings, XmlDocument,
};
use portcullis::statements::{By, Deny, Hits};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

const BUCKET: &str = "arn:aws:s3:::amzn-s3-demo-bucket";
const ACCOUNT: &str = "111122223333";
const PARTNER: &str = "444455556666";
const ORPHAN: &str = "AROADELETEDEXAMPLE123";
const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const CUSTOMERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const BLOCKS_POLICIES: &str = "BlockPublicPolicy is on";
const ACTIONS: [&str; 5] = [
    "s3:GetObject",
    "s3:PutObject",
    "s3:ListBucket",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
];

#[test]
fn no_measure_widens_access() {
    let (judged, excluded, narrowed) = (Cell::new(0_u32), Cell::new(0_u32), Cell::new(0_u32));
    check(600, |case| {
        let mut s3 = case.s3();
        let decision = case.decide(&s3.observe(false));
        let before = s3.clone();
        s3.apply(&decision.plan);
        let (Some(was), Some(is)) = (before.judge(), s3.judge()) else {
            excluded.set(excluded.get() + 1);
            return;
        };
        judged.set(judged.get() + 1);
        for caller in callers() {
            for action in ACTIONS {
                for identity in [true, false] {
                    let was = before.allows(&was, &caller, action, identity);
                    let is = s3.allows(&is, &caller, action, identity);
                    let who = &caller.arn;
                    // A merged statement spares break-glass as the policy file has it now.
                    let renewed = caller.must_stay && case.holds_ours();
                    // A public policy is worse than what flags that nobody could read may keep closed besides.
                    let unseen = caller.account == PARTNER && before.hides_flags();
                    assert!(
                        was || !is || renewed || unseen,
                        "{action} was opened to {who}: {}",
                        json!(decision.plan)
                    );
                    narrowed.set(narrowed.get() + u32::from(was && !is));
                }
            }
        }
    });
    assert!(
        narrowed.get() > 1000,
        "only {} requests closed",
        narrowed.get()
    );
    let (judged, excluded) = (judged.get(), excluded.get());
    assert!(
        excluded * 50 < judged,
        "{excluded} beside {judged} could not be judged"
    );
}

/// Whatever we write, break-glass and Portcullis's own role are denied nothing that was not denied them before.
#[test]
fn nobody_who_must_put_things_right_is_locked_out() {
    let written = Cell::new(0_u32);
    check(400, |case| {
        let mut s3 = case.s3();
        let before = s3.clone();
        let decision = case.decide(&s3.observe(false));
        if !decision
            .plan
            .changes
            .iter()
            .any(|c| c.setting == SettingKind::BucketPolicy)
        {
            return;
        }
        s3.apply(&decision.plan);
        let (Some(was), Some(is)) = (before.judge(), s3.judge()) else {
            return;
        };
        for caller in callers().iter().filter(|caller| caller.must_stay) {
            for action in ACTIONS {
                let is = verdict(&is, caller, action);
                let was = verdict(&was, caller, action);
                assert!(
                    is != Verdict::Deny || was == Verdict::Deny,
                    "{action} is denied to {}: {}",
                    caller.arn,
                    json!(decision.plan)
                );
                written.set(written.get() + 1);
            }
        }
    });
    assert!(written.get() > 500, "only {} verdicts", written.get());
}

/// The other half of the two above: a Deny that hits nobody would pass them.
#[test]
fn the_actor_is_denied_and_nobody_else() {
    let (contained, spared) = (Cell::new(0_u32), Cell::new(0_u32));
    // No other measure that denies: whose Deny it was could not be told.
    let among = &[
        "remove-public-grants",
        "deny-actor",
        "block-public-access",
        "block-account-public-access",
    ];
    check_among(900, among, |case| {
        let asked = case.asked("deny-actor");
        let mut s3 = case.s3();
        let before = s3.clone();
        let decision = case.decide(&s3.observe(false));
        if !decision.taken.iter().any(|t| t.measure == "deny-actor") {
            return;
        }
        if !s3.apply(&decision.plan) {
            return;
        }
        let (Some(was), Some(is)) = (before.judge(), s3.judge()) else {
            return;
        };
        let sessions = asked.contains("scope: session");
        let account = asked.contains("scope: account");
        for caller in callers().iter().filter(|caller| !caller.must_stay) {
            let hit = case
                .finding
                .actors
                .iter()
                .any(|actor| match &actor.principal_id {
                    _ if actor.user_type == UserType::Anonymous => caller.kind == "Anonymous",
                    Some(_) if account => {
                        actor.account.as_deref() == Some(PARTNER) && caller.account == PARTNER
                    }
                    Some(id) if sessions => caller.userid == *id,
                    Some(id) => {
                        let role = id.split(':').next().unwrap_or_default();
                        caller.userid.split(':').next() == Some(role)
                    }
                    None => false,
                });
            let trusted = caller.account == PARTNER && case.trusts_partner;
            for action in ACTIONS {
                let is = verdict(&is, caller, action);
                let was = verdict(&was, caller, action);
                if hit && !trusted {
                    assert_eq!(
                        is,
                        Verdict::Deny,
                        "{action} by {}: {}",
                        caller.arn,
                        json!(decision.plan)
                    );
                    contained.set(contained.get() + 1);
                } else if was != Verdict::Deny {
                    let earlier = case.denied_earlier(caller);
                    assert!(is != Verdict::Deny || earlier, "{action} by {}", caller.arn);
                    spared.set(spared.get() + 1);
                }
            }
        }
    });
    assert!(contained.get() > 100, "only {} denials", contained.get());
    assert!(spared.get() > 500, "only {} others", spared.get());
}

#[test]
fn foreign_statements_survive_byte_for_byte() {
    let kept = Cell::new(0_u32);
    check(500, |case| {
        let observed = case.s3().observe(false);
        let decision = case.decide(&observed);
        let change = decision
            .plan
            .changes
            .iter()
            .find(|c| c.setting == SettingKind::BucketPolicy);
        let Some((before, after)) = change.map(|c| (document(&c.before), document(&c.after)))
        else {
            return;
        };
        let removes = change
            .unwrap()
            .measures
            .iter()
            .any(|m| m == "remove-public-grants");
        let foreign = before
            .iter()
            .flat_map(|policy| policy.statements())
            .filter(|statement| {
                Deny::parse(statement, BUCKET).is_none() && !(removes && statement.is_public())
            });
        let mut rest = after.map(PolicyDocument::text).unwrap_or_default();
        for statement in foreign {
            let at = rest.find(statement.text());
            let at = at.unwrap_or_else(|| panic!("{} is lost or moved", statement.text()));
            rest = &rest[at + statement.text().len()..];
            kept.set(kept.get() + 1);
        }
        // Nothing foreign comes in either.
        let known: Vec<&str> = before
            .iter()
            .flat_map(|policy| policy.statements())
            .map(|s| s.text())
            .collect();
        for statement in after.iter().flat_map(|policy| policy.statements()) {
            let ours = Deny::parse(statement, BUCKET).is_some();
            assert!(
                ours || known.contains(&statement.text()),
                "{}",
                statement.text()
            );
        }
    });
    assert!(kept.get() > 300, "only {} statements", kept.get());
}

/// Nothing is refused by S3, and a second delivery finds nothing to do, however S3 rewrites what it stores.
#[test]
fn the_second_plan_is_empty() {
    let changes = Cell::new(0_usize);
    check(600, |case| {
        let mut s3 = case.s3();
        let first = case.decide(&s3.observe(false));
        // S3 may make a policy shorter, so that what had no room in it has room the next time.
        let no_room = first
            .withheld
            .iter()
            .any(|w| w.guard == Guard::PolicyTooLarge);
        if !s3.apply(&first.plan) || first.taken.is_empty() || no_room {
            return;
        }
        changes.set(changes.get() + first.plan.changes.len());
        for rewritten in [false, true] {
            let observed = s3.observe(rewritten);
            let again = case.decide(&observed);
            // What cannot be read cannot be seen to be done: flags are then turned on again.
            let seen = |change: &&Change| {
                !matches!(
                    observed.get(change.setting),
                    Some(Setting::Unreadable { .. })
                )
            };
            let planned: Vec<&Change> = again.plan.changes.iter().filter(seen).collect();
            assert!(
                planned.is_empty(),
                "{}\nafter {}",
                json!(planned),
                json!(first.plan)
            );
        }
    });
    assert!(changes.get() > 300, "only {} changes", changes.get());
}

#[test]
fn the_inverse_restores_every_setting() {
    let restored = Cell::new(0_usize);
    check(600, |case| {
        for rewritten in [false, true] {
            let mut s3 = case.s3();
            let before = s3.clone();
            let plan = case.decide(&s3.observe(false)).plan;
            if !s3.apply(&plan) {
                continue;
            }
            let undo = inverse(&plan, &s3.observe(rewritten), BUCKET, &[]);
            let unknown = |change: &&Change| matches!(change.before, Setting::Unreadable { .. });
            let (left, back): (Vec<&Change>, Vec<&Change>) = plan.changes.iter().partition(unknown);
            assert_eq!(undo.drift.len(), left.len(), "{}", json!(undo.drift));
            assert_eq!(undo.plan.changes.len(), back.len(), "{}", json!(undo.plan));
            for change in &undo.plan.changes {
                let was = before.settings.get(change.setting);
                assert_eq!(text(Some(&change.after)), text(was), "{}", change.setting);
                restored.set(restored.get() + 1);
            }
            // A state that S3 would not take today cannot be put back; it is told to whoever asked.
            if left.is_empty() && before.accepts_itself() {
                assert!(s3.apply(&undo.plan));
                assert_eq!(s3.settings, before.settings);
            }
        }
    });
    assert!(restored.get() > 600, "only {} settings", restored.get());
}

#[test]
fn plans_are_ordered_and_every_measure_is_answered() {
    check(600, |case| {
        let observed = case.s3().observe(false);
        let decision = case.decide(&observed);
        let order: Vec<SettingKind> = decision.plan.changes.iter().map(|c| c.setting).collect();
        let once: BTreeSet<SettingKind> = order.iter().copied().collect();
        // As a set is sorted, this is one change a setting, and the order in which S3 takes them.
        assert_eq!(order, once.into_iter().collect::<Vec<_>>());

        let rule = &case.policy.rules[0];
        let mut asked: Vec<&str> = rule
            .measures
            .iter()
            .map(|asked| asked.measure.name())
            .collect();
        let taken = decision.taken.iter().map(|taken| taken.measure.as_str());
        let withheld = decision
            .withheld
            .iter()
            .map(|withheld| withheld.measure.as_str());
        let mut answered: Vec<&str> = taken.chain(withheld).collect();
        asked.sort_unstable();
        answered.sort_unstable();
        assert_eq!(asked, answered);

        for change in &decision.plan.changes {
            assert_eq!(
                text(Some(&change.before)),
                text(observed.get(change.setting))
            );
            assert_ne!(change.before, change.after);
            assert!(!change.measures.is_empty());
            let unreadable = matches!(change.before, Setting::Unreadable { .. });
            let flags = matches!(
                &change.after,
                Setting::Present(Document::PublicAccessBlock(_))
            );
            assert!(
                flags || !unreadable,
                "{} was overwritten unseen",
                change.setting
            );
        }
        if case.finding.sample || case.finding.archived || case.policy.mode == Mode::Observe {
            assert!(decision.taken.is_empty());
            assert!(!decision.acts());
        }
        for withheld in &decision.withheld {
            assert!(!withheld.why.is_empty());
            assert!(withheld.place.starts_with("policy.yaml:"));
            assert_ne!(withheld.guard, Guard::SelfLockout, "{}", withheld.why);
        }
    });
}

// ---- What is decided about

/// One finding, policy file and bucket.
#[derive(Debug, Clone)]
struct Case {
    finding: Finding,
    yaml: String,
    policy: Policy,
    trusts_partner: bool,
    settings: Settings,
    unreadable: Vec<SettingKind>,
}

impl Case {
    fn s3(&self) -> S3 {
        S3 {
            settings: self.settings.clone(),
            unreadable: self.unreadable.clone(),
        }
    }

    fn decide(&self, observed: &Settings) -> Decision {
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
            now: Timestamp::UNIX_EPOCH,
        };
        decide(&situation).1
    }

    /// A measure as the policy file asks for it, or nothing.
    fn asked(&self, measure: &str) -> &str {
        let line = self.yaml.lines().find(|line| line.contains(measure));
        line.unwrap_or_default()
    }

    fn holds_ours(&self) -> bool {
        let policy = self
            .settings
            .get(SettingKind::BucketPolicy)
            .and_then(document);
        let mut statements = policy.into_iter().flat_map(|policy| policy.statements());
        statements.any(|statement| Deny::parse(statement, BUCKET).is_some())
    }

    /// Whether a statement of ours that was there before hits the caller: merging renews who is spared, and an earlier
    /// statement that spared the wrong ones hits them from then on.
    fn denied_earlier(&self, caller: &Caller) -> bool {
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

#[track_caller]
fn check(cases: u32, test: impl Fn(&Case)) {
    check_among(cases, &[], test);
}

/// Checks rules that ask for no measure but those named; for any measure where none is.
#[track_caller]
fn check_among(cases: u32, measures: &'static [&'static str], test: impl Fn(&Case)) {
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
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&case(measures), |case| {
        test(&case);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
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

const KINDS: [SettingKind; 7] = [
    SettingKind::BucketPolicy,
    SettingKind::Acl,
    SettingKind::PublicAccessBlock,
    SettingKind::AccountPublicAccessBlock,
    SettingKind::Versioning,
    SettingKind::Lifecycle,
    SettingKind::AccessPointPolicies,
];

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
        ];
        let name = |measure: &str| measure.split(':').next().unwrap_or_default().to_owned();
        all.retain(|measure| among.is_empty() || among.contains(&name(measure).as_str()));
        let (few, many) = (all.len().min(3), all.len().min(8));
        let most = prop_oneof![1 => 1..=1_usize, 2 => 1..=few, 1 => few..=many];
        most.prop_flat_map(move |count| subsequence(all.clone(), count).prop_shuffle())
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

fn settings() -> impl Strategy<Value = Settings> {
    let policy = prop_oneof![1 => Just(Setting::Absent), 6 => bucket_policy()];
    let points = access_points();
    let all = (
        policy,
        acl(),
        flags(),
        flags(),
        versioning(),
        lifecycle(),
        points,
    );
    all.prop_map(
        |(policy, acl, bucket, account, versioning, lifecycle, points)| {
            let settings = [policy, acl, bucket, account, versioning, lifecycle, points];
            Settings(KINDS.into_iter().zip(settings).collect())
        },
    )
}

fn access_points() -> impl Strategy<Value = Setting> {
    let principals = [
        "",
        r#""*""#,
        r#"{"AWS":"444455556666"}"#,
        r#"{"AWS":"111122223333"}"#,
    ];
    let some = subsequence(principals.to_vec(), 0..=4);
    some.prop_map(|principals| {
        let points = principals.into_iter().enumerate().map(|(index, principal)| {
            let policy = format!(
                r#"{{"Version": "2012-10-17", "Statement": {{"Effect":"Allow","Principal":{principal},"Action":"s3:GetObject","Resource":"*"}}}}"#
            );
            let point = AccessPoint {
                arn: format!("arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint/point-{index}"),
                vpc: None,
                policy: PolicyDocument::parse(&policy).ok(),
            };
            (format!("point-{index}"), point)
        });
        Setting::Present(Document::AccessPointPolicies(AccessPoints(points.collect())))
    })
}

/// A bucket that was never versioned cannot be so again, which is tested elsewhere.
fn versioning() -> impl Strategy<Value = Setting> {
    let forms = [
        "<V><Status>Enabled</Status></V>",
        "<V>\n<Status>Suspended</Status></V>",
        "<V><Status>Suspended</Status><MfaDelete>Enabled</MfaDelete></V>",
    ];
    select(forms.map(xml).to_vec())
}

fn lifecycle() -> impl Strategy<Value = Setting> {
    let rules = vec![
        "<Rule><ID>a</ID><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>",
        "<Rule><Status>Enabled</Status><NoncurrentVersionExpiration/><Transition/></Rule>",
        "<Rule><Status>Disabled</Status><Expiration/></Rule>",
        "<Rule><Status>Enabled</Status><Transition/><New>Enabled</New></Rule>",
    ];
    let some = subsequence(rules, 1..=4).prop_shuffle();
    let some = some.prop_map(|rules| xml(&format!("<L>{}</L>", rules.join("\n"))));
    prop_oneof![1 => Just(Setting::Absent), 3 => some]
}

fn xml(text: &str) -> Setting {
    Setting::Present(Document::Xml(XmlDocument::parse(text).unwrap()))
}

fn flags() -> impl Strategy<Value = Setting> {
    let some = any::<[bool; 4]>().prop_map(|[a, b, c, d]| PublicAccessBlock {
        block_public_acls: a,
        ignore_public_acls: b,
        block_public_policy: c,
        restrict_public_buckets: d,
    });
    let present = |flags| Setting::Present(Document::PublicAccessBlock(flags));
    prop_oneof![
        4 => Just(Setting::Absent),
        2 => Just(present(PublicAccessBlock::default())),
        2 => some.prop_map(present),
        1 => Just(present(PublicAccessBlock::ALL)),
    ]
}

fn acl() -> impl Strategy<Value = Setting> {
    let groups = [
        EVERYBODY,
        CUSTOMERS,
        "http://acs.amazonaws.com/groups/s3/LogDelivery",
    ];
    let grants: Vec<(&str, &str)> = groups
        .into_iter()
        .flat_map(|group| ["READ", "WRITE"].map(|permission| (group, permission)))
        .collect();
    subsequence(grants, 0..=3).prop_map(|grants| {
        let grant = |kind: &str, grantee: &str, permission: &str| Grant {
            grantee_type: kind.to_owned(),
            grantee: grantee.to_owned(),
            permission: permission.to_owned(),
        };
        let groups = grants
            .into_iter()
            .map(|(group, permission)| grant("Group", group, permission));
        let owner = std::iter::once(grant("CanonicalUser", "owner", "FULL_CONTROL"));
        let acl = Acl {
            owner: "owner".to_owned(),
            grants: owner.chain(groups).collect(),
        };
        Setting::Present(Document::Acl(acl))
    })
}

fn bucket_policy() -> impl Strategy<Value = Setting> {
    let statement = prop_oneof![8 => foreign(), 1 => ours(), 1 => nearly_ours()];
    let count = prop_oneof![3 => 1..=1_usize, 6 => 2..=5_usize];
    let statements =
        count.prop_flat_map(move |count| proptest::collection::vec(statement.clone(), count));
    // Now and then there is hardly room for another statement.
    let filler = prop_oneof![9 => Just(0), 1 => 14_000..20_000_usize];
    let form = (
        any::<bool>(),
        any::<bool>(),
        select(vec!["", "Ablage-ü", "a\"b"]),
    );
    (statements, filler, form).prop_map(|(mut statements, filler, (pretty, object, id))| {
        if filler > 0 {
            statements.push(json!({
                "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
                "Resource": format!("arn:aws:s3:::other/{}", "x".repeat(filler)),
            }));
        }
        let mut taken = BTreeSet::new();
        for (index, statement) in statements.iter_mut().enumerate() {
            // S3 wants the Sids of a policy to differ.
            let sid = statement
                .get("Sid")
                .and_then(Value::as_str)
                .map(str::to_owned);
            if let Some(sid) = sid.filter(|sid| !taken.insert(sid.clone())) {
                statement["Sid"] = json!(format!("{sid}x{index}"));
            }
        }
        let mut document = Map::new();
        if !id.is_empty() {
            document.insert("Id".to_owned(), json!(id));
        }
        document.insert("Version".to_owned(), json!("2012-10-17"));
        let list = match (object, statements.len()) {
            (true, 1) => statements.remove(0),
            _ => Value::from(statements),
        };
        document.insert("Statement".to_owned(), list);
        let text = match pretty {
            true => serde_json::to_string_pretty(&document),
            false => serde_json::to_string(&document),
        };
        present(&text.unwrap())
    })
}

fn ours() -> impl Strategy<Value = Value> + Clone {
    let spared = vec![
        "arn:aws:iam::*:role/SecurityBreakGlass",
        "arn:aws:iam::111122223333:role/portcullis/function",
        "arn:aws:iam::111122223333:role/aws-service-role/*",
        "arn:aws:iam::*:role/OldBreakGlass",
    ];
    let earlier = prop_oneof![
        Just((
            "PortcullisDenyActor",
            "StringLike",
            "aws:userid",
            "AROAEARLIEREXAMPLE01:*"
        )),
        Just((
            "PortcullisDenyActor",
            "StringLike",
            "aws:userid",
            "AIDACKCEVSQ6C2EXAMPLE"
        )),
        Just((
            "PortcullisDenyActorAccount",
            "StringEquals",
            "aws:PrincipalAccount",
            "999988887777"
        )),
        Just((
            "PortcullisDenySourceIp",
            "IpAddress",
            "aws:SourceIp",
            "198.51.100.23/32"
        )),
        Just(("PortcullisIsolateAll", "", "", "")),
    ];
    (earlier, subsequence(spared, 2..=4)).prop_map(|((sid, operator, key, value), spared)| {
        let hits = (!key.is_empty()).then(|| Hits {
            by: By::Condition(operator, key),
            values: [value.to_owned()].into(),
        });
        let deny = Deny {
            sid: sid.to_owned(),
            actions: ["s3:*".to_owned()].into(),
            spare_services: hits.is_none(),
            only: Vec::new(),
            hits,
            spared: spared.into_iter().map(str::to_owned).collect(),
        };
        deny.statement(BUCKET).value().clone()
    })
}

/// A statement of ours that somebody has changed.
fn nearly_ours() -> impl Strategy<Value = Value> + Clone {
    ours().prop_map(|mut statement| {
        statement["Resource"] = json!(format!("{BUCKET}/*"));
        statement
    })
}

fn foreign() -> impl Strategy<Value = Value> + Clone {
    let principal = prop_oneof![
        3 => Just(("Principal", json!("*"))),
        2 => Just(("Principal", json!({ "AWS": "*" }))),
        2 => Just(("Principal", json!({ "AWS": ACCOUNT }))),
        2 => Just(("Principal", json!({ "AWS": "arn:aws:iam::444455556666:root" }))),
        2 => Just(("Principal", json!({ "AWS": ["arn:aws:iam::111122223333:role/app"] }))),
        1 => Just(("Principal", json!({ "AWS": ["*", "arn:aws:iam::111122223333:role/app"] }))),
        1 => Just(("Principal", json!({ "AWS": [ORPHAN, "arn:aws:iam::111122223333:role/app"] }))),
        1 => Just(("Principal", json!({ "Service": "logging.s3.amazonaws.com" }))),
        1 => Just(("Principal", json!({ "Service": ["cloudtrail.amazonaws.com"], "AWS": PARTNER }))),
        1 => Just(("Principal", json!({ "CanonicalUser": "a".repeat(64) }))),
        2 => Just(("NotPrincipal", json!({ "AWS": ["111122223333", PARTNER] }))),
        1 => Just(("NotPrincipal", json!({ "AWS": "arn:aws:iam::111122223333:role/app" }))),
    ];
    let action = vec![
        "s3:GetObject",
        "s3:Get*",
        "s3:PutObject",
        "S3:LISTBUCKET",
        "s3:PutBucketPolicy",
        "s3:*",
    ];
    let resource = vec![
        BUCKET,
        "arn:aws:s3:::amzn-s3-demo-bucket/*",
        "arn:aws:s3:::amzn-s3-demo-bucket/public/*",
        "arn:aws:s3:::other/*",
    ];
    let sid = select(vec![
        "",
        "",
        "Team",
        "Öffentlich lesen",
        "PortcullisDenyActor",
        "PortcullisIsolateAll",
        "AllowAll2",
    ]);
    let effect = prop_oneof![3 => Just("Allow"), 1 => Just("Deny")];
    let odd = prop::bool::weighted(0.15);
    let actions = (odd, scalar_or_list(action));
    let resources = (odd, scalar_or_list(resource));
    (sid, effect, principal, actions, resources, condition()).prop_map(
        |(sid, effect, (element, principal), actions, resources, condition)| {
            let mut statement = Map::new();
            if !sid.is_empty() {
                statement.insert("Sid".to_owned(), json!(sid));
            }
            statement.insert("Effect".to_owned(), json!(effect));
            statement.insert(element.to_owned(), principal);
            let name = |odd, not: &str, plain: &str| (if odd { not } else { plain }).to_owned();
            statement.insert(name(actions.0, "NotAction", "Action"), actions.1);
            statement.insert(name(resources.0, "NotResource", "Resource"), resources.1);
            if let Some(condition) = condition {
                statement.insert("Condition".to_owned(), condition);
            }
            Value::Object(statement)
        },
    )
}

fn scalar_or_list(items: Vec<&'static str>) -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        select(items.clone()).prop_map(|item| json!(item)),
        subsequence(items, 1..=3)
            .prop_shuffle()
            .prop_map(|items| json!(items)),
    ]
}

fn condition() -> impl Strategy<Value = Option<Value>> + Clone {
    select(vec![
        Value::Null,
        Value::Null,
        Value::Null,
        json!({ "IpAddress": { "AWS:SourceIP": "203.0.113.0/24" } }),
        json!({ "IpAddress": { "aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"] } }),
        json!({ "NotIpAddress": { "aws:sourceip": ["203.0.113.0/24"] } }),
        json!({ "StringEquals": { "aws:PrincipalOrgID": ["o-exampleorgid"] } }),
        json!({ "StringNotEquals": { "aws:principalorgid": "o-exampleorgid" } }),
        json!({ "Bool": { "aws:SecureTransport": false } }),
        json!({ "Bool": { "AWS:securetransport": "true" }, "StringLike": { "aws:userid": ["AROAAPPLICATIONEXAMPL:*"] } }),
        json!({ "ArnNotLike": { "aws:PrincipalArn": "arn:aws:iam::111122223333:role/*" } }),
        json!({ "StringEquals": { "aws:PrincipalAccount": PARTNER } }),
        json!({ "Null": { "aws:PrincipalArn": "true" } }),
        json!({ "BoolIfExists": { "aws:PrincipalIsAWSService": ["false"] } }),
    ])
    .prop_map(|condition| Some(condition).filter(|condition| !condition.is_null()))
}

// ---- A model of S3

#[derive(Debug, Clone)]
struct S3 {
    settings: Settings,
    unreadable: Vec<SettingKind>,
}

impl S3 {
    /// What GetBucketPolicy and its like answer.
    fn observe(&self, rewritten: bool) -> Settings {
        let mut observed = self.settings.clone();
        if self.flag(|flags| flags.ignore_public_acls) {
            // S3 then hides the public grants.
            if let Ok(acl) = self.settings.acl() {
                observed.set(SettingKind::Acl, Document::Acl(acl.without_public_grants()));
            }
        }
        if let (true, Some(policy)) = (rewritten, self.policy()) {
            let policy = rewrite(serde_json::from_str(policy.text()).unwrap());
            observed
                .0
                .insert(SettingKind::BucketPolicy, present(&policy.to_string()));
        }
        for kind in &self.unreadable {
            let code = "AccessDenied".to_owned();
            observed.0.insert(
                *kind,
                Setting::Unreadable {
                    operation: "Get".to_owned(),
                    code,
                },
            );
        }
        observed
    }

    /// Makes the changes one after the other, and refuses what S3 refuses. Says whether all of them were made.
    #[track_caller]
    fn apply(&mut self, plan: &Plan) -> bool {
        let mut all = true;
        for change in &plan.changes {
            match self.accepts(change.setting, &change.after) {
                Ok(()) => drop(self.settings.0.insert(change.setting, change.after.clone())),
                // Nobody could see it coming: the write fails, and the rest of the plan goes on.
                Err(BLOCKS_POLICIES) if self.hides_flags() => all = false,
                Err(refusal) => panic!(
                    "S3 refuses the {}: {refusal}: {}",
                    change.setting,
                    json!(plan)
                ),
            }
        }
        all
    }

    fn accepts(&self, kind: SettingKind, setting: &Setting) -> Result<(), &'static str> {
        match setting {
            Setting::Unreadable { .. } => Err("it is unknown"),
            Setting::Present(Document::Acl(acl)) if acl.is_public() => {
                match self.flag(|flags| flags.block_public_acls) {
                    true => Err("BlockPublicAcls is on"),
                    false => Ok(()),
                }
            }
            Setting::Present(Document::BucketPolicy(policy)) => {
                let sids: Vec<&str> = policy.statements().iter().filter_map(|s| s.sid()).collect();
                let unique: BTreeSet<&str> = sids.iter().copied().collect();
                if policy.statements().is_empty() {
                    Err("it has no statement")
                } else if unique.len() < sids.len() {
                    Err("two statements have the same Sid")
                } else if policy.text().contains(ORPHAN) {
                    Err("it names a principal that does not exist")
                } else if compact(policy).len() > MAX_POLICY_BYTES {
                    Err("it is too large")
                } else if policy.is_public() && self.flag(|flags| flags.block_public_policy) {
                    Err(BLOCKS_POLICIES)
                } else {
                    Ok(())
                }
            }
            Setting::Absent if kind == SettingKind::Acl => Err("a bucket always has one"),
            _ => Ok(()),
        }
    }

    /// Whether S3 would take today what the bucket holds.
    fn accepts_itself(&self) -> bool {
        self.settings
            .0
            .iter()
            .all(|(kind, setting)| self.accepts(*kind, setting).is_ok())
    }

    fn hides_flags(&self) -> bool {
        self.unreadable
            .iter()
            .any(|kind| kind.word().ends_with("public-access-block"))
    }

    fn flag(&self, flag: impl Fn(PublicAccessBlock) -> bool) -> bool {
        let kinds = [
            SettingKind::PublicAccessBlock,
            SettingKind::AccountPublicAccessBlock,
        ];
        kinds
            .into_iter()
            .any(|kind| self.settings.public_access_block(kind).is_ok_and(&flag))
    }

    fn policy(&self) -> Option<&PolicyDocument> {
        self.settings.bucket_policy().unwrap()
    }

    /// The policy for the judge; none where it cannot be judged.
    fn judge(&self) -> Option<IAMPolicy> {
        match self.policy() {
            Some(policy) => judged(serde_json::from_str(policy.text()).unwrap()),
            None => Some(IAMPolicy::new()),
        }
    }

    /// Whether a request goes through. `identity` is whether the caller's own policies allow it, which decides for
    /// callers of the bucket's account as much as the bucket policy does.
    fn allows(&self, policy: &IAMPolicy, caller: &Caller, action: &str, identity: bool) -> bool {
        let at_home = caller.account == ACCOUNT;
        let verdict = verdict(policy, caller, action);
        let public = self.policy().is_some_and(PolicyDocument::is_public);
        let spared = at_home || caller.kind == "Service";
        let shut = public && !spared && self.flag(|flags| flags.restrict_public_buckets);
        let by_policy = verdict == Verdict::Allow && !shut;
        let by_identity = identity && at_home;
        let permission = match action {
            "s3:ListBucket" => "READ",
            "s3:PutObject" => "WRITE",
            _ => "",
        };
        let grants = self.settings.acl().unwrap().grants.iter().any(|grant| {
            let group = grant.grantee == EVERYBODY
                || (grant.grantee == CUSTOMERS && caller.kind != "Anonymous");
            group && grant.permission == permission
        });
        let by_acl = grants && !self.flag(|flags| flags.ignore_public_acls);
        verdict != Verdict::Deny && (by_policy || by_identity || by_acl)
    }
}

/// What S3 may make of a policy that it stores: lists of one become scalars, booleans become text, lists and members change
/// their order, an account becomes its root.
fn rewrite(value: Value) -> Value {
    match value {
        Value::Array(mut items) if items.len() == 1 => rewrite(items.remove(0)),
        Value::Array(items) => items.into_iter().rev().map(rewrite).collect(),
        Value::Object(members) => {
            let members: Vec<(String, Value)> = members.into_iter().collect();
            let members = members
                .into_iter()
                .rev()
                .map(|(name, value)| match name.as_str() {
                    "Principal" | "NotPrincipal" => (name, rewrite(accounts_as_roots(value))),
                    _ => (name, rewrite(value)),
                });
            Value::Object(members.collect())
        }
        Value::Bool(value) => json!(value.to_string()),
        other => other,
    }
}

fn accounts_as_roots(value: Value) -> Value {
    match value {
        Value::String(id) if id == ACCOUNT || id == PARTNER => {
            json!(format!("arn:aws:iam::{id}:root"))
        }
        Value::Array(items) => items.into_iter().map(accounts_as_roots).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, accounts_as_roots(value)))
            .collect(),
        other => other,
    }
}

fn compact(policy: &PolicyDocument) -> String {
    serde_json::from_str::<Value>(policy.text())
        .unwrap()
        .to_string()
}

fn present(text: &str) -> Setting {
    Setting::Present(Document::BucketPolicy(PolicyDocument::parse(text).unwrap()))
}

fn document(setting: &Setting) -> Option<&PolicyDocument> {
    match setting {
        Setting::Present(Document::BucketPolicy(policy)) => Some(policy),
        _ => None,
    }
}

/// Settings compare by meaning; this compares their text.
fn text(setting: Option<&Setting>) -> String {
    serde_json::to_string(&setting).unwrap()
}

// ---- The judge

struct Caller {
    arn: &'static str,
    principal_arn: &'static str,
    userid: &'static str,
    account: &'static str,
    kind: &'static str,
    /// Break-glass, Portcullis itself, or an AWS service that acts for itself.
    must_stay: bool,
}

fn callers() -> [Caller; 9] {
    let caller = |arn, principal_arn, userid, account, kind| Caller {
        arn,
        principal_arn,
        userid,
        account,
        kind,
        must_stay: false,
    };
    let role = "AssumedRole";
    [
        caller(
            "arn:aws:iam::000000000000:user/anonymous",
            "",
            "anonymous",
            "anonymous",
            "Anonymous",
        ),
        caller(
            "arn:aws:sts::111122223333:assumed-role/app/i-1",
            "arn:aws:iam::111122223333:role/app",
            "AROAAPPLICATIONEXAMPL:i-1",
            ACCOUNT,
            role,
        ),
        caller(
            "arn:aws:sts::111122223333:assumed-role/reporting/ana.carolina",
            "arn:aws:iam::111122223333:role/analytics/reporting",
            "AROACKCEVSQ6C2EXAMPLE:ana.carolina",
            ACCOUNT,
            role,
        ),
        caller(
            "arn:aws:sts::111122223333:assumed-role/reporting/another",
            "arn:aws:iam::111122223333:role/analytics/reporting",
            "AROACKCEVSQ6C2EXAMPLE:another",
            ACCOUNT,
            role,
        ),
        caller(
            "arn:aws:iam::111122223333:user/nikki.wolf",
            "arn:aws:iam::111122223333:user/nikki.wolf",
            "AIDACKCEVSQ6C2EXAMPLE",
            ACCOUNT,
            "User",
        ),
        caller(
            "arn:aws:sts::444455556666:assumed-role/loader/loader",
            "arn:aws:iam::444455556666:role/loader",
            "AROAI44QH8DHBEXAMPLE:loader",
            PARTNER,
            role,
        ),
        Caller {
            must_stay: true,
            ..caller("logging.s3.amazonaws.com", "", "", "", "Service")
        },
        Caller {
            must_stay: true,
            ..caller(
                "arn:aws:sts::111122223333:assumed-role/SecurityBreakGlass/ana",
                "arn:aws:iam::111122223333:role/SecurityBreakGlass",
                "AROABREAKGLASSEXAMPLE:ana",
                ACCOUNT,
                role,
            )
        },
        Caller {
            must_stay: true,
            ..caller(
                "arn:aws:sts::111122223333:assumed-role/function/run",
                "arn:aws:iam::111122223333:role/portcullis/function",
                "AROAPORTCULLISEXAMPLE:run",
                ACCOUNT,
                role,
            )
        },
    ]
}

fn verdict(policy: &IAMPolicy, caller: &Caller, action: &str) -> Verdict {
    let mut context = Context::new()
        .with_string("aws:userid", caller.userid)
        .with_string("aws:PrincipalAccount", caller.account)
        .with_string("aws:PrincipalType", caller.kind)
        .with_string("aws:SourceIp", "198.18.0.1")
        .with_boolean("aws:SecureTransport", true);
    if !caller.principal_arn.is_empty() {
        context = context
            .with_string("aws:PrincipalArn", caller.principal_arn)
            .with_boolean("aws:PrincipalIsAWSService", false);
    }
    if caller.kind == "Service" {
        context = context.with_boolean("aws:PrincipalIsAWSService", true);
    }
    if caller.account == ACCOUNT {
        context = context.with_string("aws:PrincipalOrgID", "o-exampleorgid");
    }
    let resource = match action {
        "s3:GetObject" | "s3:PutObject" => format!("{BUCKET}/public/key"),
        _ => BUCKET.to_owned(),
    };
    let name = PrincipalId::String(caller.arn.to_owned());
    let principal = match caller.kind {
        "Service" => Principal::Service(name),
        _ => Principal::Aws(name),
    };
    let resource = Arn::parse(&resource).unwrap();
    let request = IAMRequest::new_with_context(principal, action, resource, context);
    iam_rs::evaluate_policy(policy, &request).unwrap()
}

/// A document as the judge reads it: each statement for one kind of principal, accounts and roles spelt out.
fn judged(document: Value) -> Option<IAMPolicy> {
    let mut statements = Vec::new();
    let list = match &document["Statement"] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    for statement in list {
        match statement.get("Principal") {
            Some(Value::Object(kinds)) => {
                for (kind, names) in kinds {
                    let mut alone = statement.clone();
                    alone["Principal"] = json!({ kind: spelt_out(names) });
                    statements.push(alone);
                }
            }
            _ => {
                let mut statement = statement.clone();
                if let Some(Value::Object(kinds)) = statement.get_mut("NotPrincipal") {
                    kinds
                        .values_mut()
                        .for_each(|names| *names = json!(spelt_out(names)));
                }
                statements.push(statement);
            }
        }
    }
    let document = json!({ "Version": "2012-10-17", "Statement": statements });
    serde_json::from_value(document).ok()
}

fn spelt_out(names: &Value) -> Vec<String> {
    let names: Vec<&str> = match names {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        name => name.as_str().into_iter().collect(),
    };
    let spelt = names.into_iter().flat_map(|name| {
        let account = name
            .strip_prefix("arn:aws:iam::")
            .and_then(|n| n.strip_suffix(":root"));
        let account = account.unwrap_or(name);
        let callers = callers();
        let members = callers
            .iter()
            .filter(|c| c.account == account || c.principal_arn == name);
        let members: Vec<String> = members.map(|caller| caller.arn.to_owned()).collect();
        std::iter::once(name.to_owned()).chain(members)
    });
    spelt.collect()
}
