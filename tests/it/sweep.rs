//! The sweep over HTTP: what is due, what somebody has undone, and what a run left behind.

use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use jiff::{SignedDuration, Timestamp};
use portcullis::drift::{Undone, undone};
use portcullis::engine::Engine;
use portcullis::plan::{Change, Plan};
use portcullis::policy::{self, Mode};
use portcullis::record::Outcome;
use portcullis::settings::{Document, PolicyDocument, Setting, SettingKind, Settings};
use portcullis::store::{LeaseRequest, Released, acquire, lease_key};
use portcullis::sweep::{Sweep, SweptState};
use portcullis::yaml;

use crate::stand_in::{ACCOUNT, Verdict, delete_bucket, flags, policy_text};
use crate::world::World;

const ACTOR: &str = "AROAEXAMPLEFIRST0001:alice";
const ADDRESS: &str = "198.51.100.7";

#[tokio::test]
async fn what_is_due_is_rolled_back_and_may_be_contained_again() {
    let world = contained("due", "deny-actor", "    expires-after: 1h\n").await;
    let before = original(&world);
    assert!(policy(&world).await.contains("PortcullisDenyActor"));

    // Before its time nothing is found.
    let sweep = sweep(&world, now, true).await;
    assert_eq!((sweep.standing, states(&sweep)), (1, vec![]));

    // A look writes nothing.
    world.proxy.forget();
    assert_eq!(
        states(&self::sweep(&world, later, false).await),
        [SweptState::Due]
    );
    assert_eq!(world.proxy.writes(), Vec::<String>::new());

    let sweep = self::sweep(&world, later, true).await;
    assert_eq!(states(&sweep), [SweptState::Expired], "{sweep:?}");
    assert_eq!(sweep.found[0].outcome, Some(Outcome::RolledBack));
    assert_eq!(policy(&world).await, before);
    let undo = world
        .files()
        .into_iter()
        .find(|file| file.starts_with("records/u-") && !file.contains("result"));
    let undo = std::fs::read_to_string(world.root.join(undo.unwrap())).unwrap();
    assert!(undo.contains(r#""asked-by": "expiry""#), "{undo}");

    // It is over, and told once.
    let again = self::sweep(&world, later, true).await;
    assert_eq!((again.standing, states(&again)), (0, vec![]));
    // Nobody released the finding: an actor who comes back is met again.
    let finding = world.stolen(ACTOR, ADDRESS);
    let report = engine(&world, later).respond(&finding).await.remove(0);
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    // That containment has its time, too.
    assert_eq!(self::sweep(&world, later, false).await.standing, 1);
    let sweep = self::sweep(&world, much_later, true).await;
    assert_eq!(states(&sweep), [SweptState::Expired], "{sweep:?}");
    assert_eq!(policy(&world).await, before);
    assert_eq!(self::sweep(&world, much_later, true).await.standing, 0);
}

/// A run that failed is delivered again, and one that has just begun has stored no record yet.
#[tokio::test]
async fn a_containment_that_may_yet_be_made_is_not_given_up() {
    let world = contained("yet", "deny-actor", "    expires-after: 1h\n").await;
    for file in world
        .files()
        .iter()
        .filter(|file| file.starts_with("records/"))
    {
        std::fs::remove_file(world.root.join(file)).unwrap();
    }
    let found = sweep(&world, later, true).await;
    assert_eq!((found.standing, states(&found)), (1, vec![]));
    assert_eq!(sweep(&world, later, true).await.standing, 1);
    sweep(&world, much_later, true).await;
    assert_eq!(sweep(&world, later, true).await.standing, 0);
}

#[tokio::test]
async fn a_mark_that_cannot_be_read_is_told() {
    let world = contained("mark", "deny-actor", "    expires-after: 1h\n").await;
    let mark = world
        .files()
        .into_iter()
        .find(|file| file.starts_with("standing/"));
    std::fs::write(world.root.join(mark.unwrap()), "{").unwrap();
    for _ in 0..2 {
        let found = sweep(&world, later, true).await;
        assert_eq!(states(&found), [SweptState::Failed], "{found:?}");
        assert!(
            found.found[0].detail[0].contains("cannot be read"),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn what_somebody_has_undone_is_told_and_left() {
    let world = contained("drift", "block-public-access", "").await;
    let off = PublicAccessBlockConfiguration::builder()
        .block_public_policy(true)
        .build();
    world
        .client
        .put_public_access_block()
        .bucket(&world.bucket)
        .public_access_block_configuration(off)
        .send()
        .await
        .unwrap();
    world.proxy.forget();
    let sweep = sweep(&world, now, true).await;
    assert_eq!(states(&sweep), [SweptState::Drift], "{sweep:?}");
    let detail = undone_of(&sweep);
    for flag in [
        "block-public-acls",
        "ignore-public-acls",
        "restrict-public-buckets",
    ] {
        assert!(detail.contains(&format!("{flag} is off again")), "{detail}");
    }
    assert!(!detail.contains("block-public-policy"), "{detail}");
    assert!(sweep.needs_a_person());
    assert_eq!(world.proxy.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_to_be_held_is_put_back_until_a_person_rolls_it_back() {
    let world = contained("hold", "deny-actor", "    hold: true\n").await;
    let before = original(&world);
    let put_before = || {
        let request = world.client.put_bucket_policy().bucket(&world.bucket);
        request.policy(&before).send()
    };
    put_before().await.unwrap();
    let sweep = sweep(&world, now, true).await;
    assert_eq!(states(&sweep), [SweptState::Held], "{sweep:?}");
    assert!(policy(&world).await.contains("PortcullisDenyActor"));

    let newest = world
        .files()
        .into_iter()
        .filter(|file| file.starts_with("records/r-") && !file.contains(".result"));
    let newest = newest.max().unwrap();
    let id = newest
        .strip_prefix("records/")
        .unwrap()
        .strip_suffix(".json")
        .unwrap();
    let record = Engine::load(&world.store, id).await.unwrap();
    let engine = world.engine(Some("operator"), SignedDuration::from_secs(30));
    let request = portcullis::engine::RollbackRequest::default();
    let report = engine.rollback(&record, &request).await.unwrap();
    assert_eq!(report.summary.outcome, Outcome::RolledBack, "{report:?}");
    assert_eq!(policy(&world).await, before);
    let sweep = self::sweep(&world, now, true).await;
    assert_eq!((sweep.standing, states(&sweep)), (0, vec![]));
    assert_eq!(policy(&world).await, before);
}

/// What somebody changed since is theirs to decide about; it is told once, and the rest is rolled back.
#[tokio::test]
async fn what_is_due_and_changed_since_is_left_to_a_person() {
    let rule = "    expires-after: 1h\n";
    let world = contained("changed", "deny-actor, block-public-access", rule).await;
    let before = original(&world);
    let off = PublicAccessBlockConfiguration::builder()
        .ignore_public_acls(true)
        .build();
    world
        .client
        .put_public_access_block()
        .bucket(&world.bucket)
        .public_access_block_configuration(off)
        .send()
        .await
        .unwrap();
    let sweep = sweep(&world, later, true).await;
    assert_eq!(states(&sweep), [SweptState::Due], "{sweep:?}");
    let detail = undone_of(&sweep);
    assert!(
        detail.contains("somebody changed the public access block"),
        "{detail}"
    );
    assert_eq!(policy(&world).await, before);
    assert_eq!(
        flags(&world.client, &world.bucket).await,
        Some([false, true, false, false])
    );
    assert_eq!(self::sweep(&world, later, true).await.standing, 0);
}

#[tokio::test]
async fn two_sweeps_at_once_do_it_once() {
    let world = contained("twice", "deny-actor", "    expires-after: 1h\n").await;
    let before = original(&world);
    world.proxy.forget();
    let (first, second) =
        futures_util::join!(sweep(&world, later, true), sweep(&world, later, true));
    for sweep in [first, second] {
        assert!(!sweep.needs_a_person(), "{sweep:?}");
    }
    assert_eq!(policy(&world).await, before);
    let writes = world.proxy.writes();
    let of_policy: Vec<&String> = writes.iter().filter(|w| w.contains("?policy")).collect();
    assert_eq!(of_policy.len(), 1, "{writes:?}");
}

#[tokio::test]
async fn a_bucket_that_is_gone_takes_its_containment_with_it() {
    let world = contained("gone", "block-public-access", "    hold: true\n").await;
    delete_bucket(&world.client, &world.bucket).await;
    assert_eq!(states(&sweep(&world, now, true).await), [SweptState::Gone]);
    assert_eq!(sweep(&world, now, true).await.standing, 0);
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_named() {
    let world = contained("cut", "deny-actor", "").await;
    for file in world.files().iter().filter(|file| file.contains(".result")) {
        std::fs::remove_file(world.root.join(file)).unwrap();
    }
    // For as long as a run may last, it may still be at work.
    assert_eq!(states(&sweep(&world, now, true).await), []);
    let found = sweep(&world, later, true).await;
    assert_eq!(states(&found), [SweptState::Unfinished], "{found:?}");
}

#[tokio::test]
async fn an_observing_deployment_tells_and_writes_nothing() {
    let mut world = contained("observes", "deny-actor", "    expires-after: 1h\n").await;
    world.stack_mode = Mode::Observe;
    world.proxy.forget();
    let found = sweep(&world, later, true).await;
    assert_eq!(states(&found), [SweptState::Due], "{found:?}");
    assert_eq!(world.proxy.writes(), Vec::<String>::new());
}

/// A run that is killed gives nothing back. Its lease expires by itself, and is told once.
#[tokio::test]
async fn a_lease_that_a_run_left_behind_is_given_back() {
    let world = World::new("left", |_| Verdict::Pass).await;
    let request = LeaseRequest {
        key: lease_key(ACCOUNT, Some(&world.bucket)).unwrap(),
        holder: "a run that was killed",
        finding: "f-1",
        ttl: SignedDuration::from_secs(60),
        wait_until: now(),
    };
    let lease = acquire(&world.store, request, &now).await.unwrap();
    // While it lasts, a run may be at work.
    assert!(sweep(&world, now, true).await.leases.is_empty());
    for acts in [false, true] {
        let left = sweep(&world, later, acts).await.leases;
        let [left] = &left[..] else {
            panic!("{left:?}")
        };
        assert_eq!((&left.key, left.released), (&lease.key, acts));
        assert_eq!(
            (left.finding.as_str(), left.expired),
            ("f-1", lease.expires)
        );
    }
    assert!(sweep(&world, later, true).await.leases.is_empty());
    let report = world.respond(&world.stolen(ACTOR, ADDRESS)).await;
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    assert!(sweep(&world, now, true).await.leases.is_empty());
    assert_eq!(lease.release(&world.store).await.unwrap(), Released::Lost);
}

#[tokio::test]
async fn exceptions_that_end_are_named() {
    let mut world = World::new("exceptions", |_| Verdict::Pass).await;
    let day = |days: i64| {
        let at = Timestamp::now() + SignedDuration::from_hours(24 * days);
        jiff::tz::TimeZone::UTC.to_datetime(at).date()
    };
    let exceptions: String = [("over", -1), ("soon", 3), ("later", 40)]
        .map(|(id, days)| {
            format!("  - {{ id: {id}, match: {{ bucket: x }}, withhold: all, reason: Because, expires: {} }}\n", day(days))
        })
        .concat();
    let text = format!(
        "version: 1\nmode: enforce\nbreak-glass: [\"arn:aws:iam::*:role/B\"]\nexceptions:\n{exceptions}rules:\n  - {{ id: all, measures: [] }}\n"
    );
    world.policy = policy::load("policy.yaml", &text, day(0)).policy.unwrap();
    let told = sweep(&world, now, true).await.exceptions;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0]
            .what
            .starts_with("exception over (policy.yaml:5) ended on"),
        "{told:?}"
    );
    assert!(
        told[1]
            .what
            .starts_with("exception soon (policy.yaml:6) holds until"),
        "{told:?}"
    );
}

/// A later containment adds to our statements, and an owner may close what is open: that undoes nothing.
#[test]
fn more_than_we_left_is_no_drift() {
    const ARN: &str = "arn:aws:s3:::amzn-s3-demo-bucket";
    let deny = |ids: &str| {
        format!(
            r#"{{"Sid":"PortcullisDenyActor","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["{ARN}","{ARN}/*"],"Condition":{{"StringLike":{{"aws:userid":[{ids}]}},"ArnNotLike":{{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/B"}}}}}}"#
        )
    };
    let public = format!(
        r#"{{"Sid":"World","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"{ARN}/*"}}"#
    );
    let foreign = format!(
        r#"{{"Sid":"App","Effect":"Allow","Principal":{{"AWS":"111122223333"}},"Action":"s3:*","Resource":"{ARN}"}}"#
    );
    let document = |statements: &[&str]| {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
            statements.join(",")
        );
        Setting::Present(Document::BucketPolicy(
            PolicyDocument::parse(&text).unwrap(),
        ))
    };
    let ours = deny(r#""AROAEXAMPLEFIRST0001:*""#);
    let plan = Plan {
        changes: vec![Change {
            setting: SettingKind::BucketPolicy,
            before: document(&[&public]),
            after: document(&[&ours]),
            measures: vec!["deny-actor".to_owned()],
        }],
    };
    let told = |now: Setting| -> Vec<String> {
        let now = Settings([(SettingKind::BucketPolicy, now)].into());
        let found = undone(&plan, &now, ARN).into_iter();
        found
            .map(|undone| undone.in_full().replace("bucket policy: ", ""))
            .collect()
    };
    let more = deny(r#""AROAEXAMPLEFIRST0001:*","AROAEXAMPLESECOND002:*""#);
    let other = deny(r#""AROAEXAMPLESECOND002:*""#);
    assert_eq!(told(document(&[&ours])), Vec::<String>::new());
    assert_eq!(told(document(&[&foreign, &more])), Vec::<String>::new());
    assert_eq!(
        told(document(&[&other, &public])),
        [
            "statement PortcullisDenyActor lacks AROAEXAMPLEFIRST0001:*",
            "statement World is back",
        ]
    );
    assert_eq!(
        told(Setting::Absent),
        ["statement PortcullisDenyActor is gone or was changed"]
    );
    let unreadable = Setting::Unreadable {
        operation: "GetBucketPolicy".to_owned(),
        code: "AccessDenied".to_owned(),
    };
    assert_eq!(
        told(unreadable),
        ["it cannot be read: GetBucketPolicy answered AccessDenied"]
    );
}

/// A world in which a stolen role's bucket is contained by a rule with these measures.
async fn contained(name: &str, measures: &str, more: &str) -> World {
    let mut world = World::new(name, |_| Verdict::Pass).await;
    let text = format!(
        "version: 1\nmode: enforce\nbreak-glass: [\"arn:aws:iam::*:role/SecurityBreakGlass\"]\nrules:\n  - id: contain\n    measures: [{measures}]\n{more}"
    );
    let loaded = policy::load("policy.yaml", &text, jiff::civil::date(2026, 3, 1));
    world.policy = loaded
        .policy
        .unwrap_or_else(|| panic!("{}", yaml::render(&loaded.diagnostics, &text, false)));
    let report = world.respond(&world.stolen(ACTOR, ADDRESS)).await;
    assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
    world
}

fn original(world: &World) -> String {
    crate::world::public_policy(&world.bucket)
}

async fn policy(world: &World) -> String {
    policy_text(&world.client, &world.bucket)
        .await
        .unwrap_or_default()
}

async fn sweep(world: &World, clock: fn() -> Timestamp, acts: bool) -> Sweep {
    engine(world, clock).sweep(acts).await.unwrap()
}

fn engine(world: &World, clock: fn() -> Timestamp) -> Engine<'_> {
    Engine {
        clock,
        deadline: clock() + SignedDuration::from_secs(45),
        ..world.engine(None, SignedDuration::from_secs(30))
    }
}

fn states(sweep: &Sweep) -> Vec<SweptState> {
    sweep.found.iter().map(|swept| swept.state).collect()
}

fn undone_of(sweep: &Sweep) -> String {
    let undone = sweep.found[0].undone.iter().map(Undone::in_full);
    let detail = sweep.found[0].detail.iter().cloned();
    undone.chain(detail).collect::<Vec<_>>().join("; ")
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn later() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(2)
}

fn much_later() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(50)
}
