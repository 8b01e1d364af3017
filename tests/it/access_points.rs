//! The policies of access points: over the wire, in a stand-in that enforces them, and what a rollback makes of them after
//! others were at work.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_s3control::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use portcullis::aws::{self, Aws, AwsOptions, Place};
use portcullis::classification::Own;
use portcullis::engine::{Engine, Report, RollbackRequest};
use portcullis::finding::{Actor, Bucket, Event, Finding, Target, UserType, read};
use portcullis::plan::{Change, Plan};
use portcullis::policy::{self, Policy};
use portcullis::record::{ChangeStatus, Outcome};
use portcullis::report::{self, Planned, Style};
use portcullis::rollback::{Inverse, inverse};
use portcullis::settings::{
    AccessPoint, AccessPoints, Document, PolicyDocument, Setting, SettingKind, Settings,
};
use portcullis::statements::{By, Deny, Hits};
use portcullis::store::{Folder, Store};
use portcullis::yaml;

use crate::proof::{Caller, callers, status};
use crate::stand_in::{
    ACCOUNT, Proxy, Verdict, client, config, endpoint, seed_bucket, unique_name,
};
use crate::world::engine_of;

const KIND: SettingKind = SettingKind::AccessPointPolicies;

/// What the copies are for: somebody takes the bucket policy away, and the access point denies the actor still.
#[tokio::test]
async fn a_locked_access_point_denies_the_actor_without_the_bucket_policy() {
    let world = World::new("locked", |_| Verdict::Pass).await;
    let before = world.policies().await;
    let statuses = world.statuses().await;
    assert!(statuses.values().all(|s| *s == 200), "{statuses:?}");

    let plan = world.plan().await;
    let shown = format!("+ {}: statement PortcullisDenyActor", world.point("shared"));
    assert!(plan.contains(&shown), "{plan}");
    let report = world.respond().await;
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
    let locked = world.policies().await;
    let ours = locked["shared"].as_deref().unwrap();
    let foreign = before["shared"].as_deref().unwrap();
    let statement = &foreign[foreign.find("{ \"Sid\"").unwrap()..foreign.rfind(']').unwrap()];
    assert!(ours.contains(statement.trim()), "{ours}");
    for name in ["internal", "private"] {
        assert_eq!(locked[name], before[name], "{name}");
    }

    let deleted = world.root.delete_bucket_policy().bucket(&world.bucket);
    deleted.send().await.unwrap();
    let statuses = world.statuses().await;
    for (caller, status) in &statuses {
        let expected = if caller.starts_with("actor") {
            403
        } else {
            200
        };
        assert_eq!(*status, expected, "{caller}: {statuses:?}");
    }

    // Nothing of the bucket policy is left to be undone; the access point gets its very bytes back.
    let undone = world.roll_back(&report).await;
    assert_eq!(
        undone.summary.outcome,
        Outcome::RolledBack,
        "{:?}",
        undone.summary
    );
    assert_eq!(world.policies().await, before);
    let statuses = world.statuses().await;
    assert!(statuses.values().all(|s| *s == 200), "{statuses:?}");
}

#[tokio::test]
async fn only_what_changes_is_written_and_the_second_time_nothing() {
    let world = World::new("twice", |_| Verdict::Pass).await;
    assert_eq!(world.respond().await.summary.outcome, Outcome::Contained);
    let writes = world.proxy.writes();
    let of_points: Vec<&String> = writes
        .iter()
        .filter(|w| w.contains("accesspoint"))
        .collect();
    assert_eq!(of_points.len(), 1, "{writes:?}");
    assert!(of_points[0].contains(&world.point("shared")), "{writes:?}");
    assert_eq!(
        world.respond().await.summary.outcome,
        Outcome::AlreadyContained
    );
    assert_eq!(world.proxy.writes().len(), writes.len());
}

/// One policy that may not be read leaves the whole setting unknown: it could be the one that is open.
#[tokio::test]
async fn a_policy_that_may_not_be_read_leaves_all_alone() {
    let world = World::new("unread", |request| {
        match request.starts_with("GET ") && request.contains("internal") {
            true => Verdict::Refuse(403, "AccessDenied"),
            false => Verdict::Pass,
        }
    })
    .await;
    let seen = aws::read(&world.aws, &world.place(), KIND).await.unwrap();
    let unreadable = Setting::Unreadable {
        operation: "GetAccessPointPolicy".to_owned(),
        code: "AccessDenied".to_owned(),
    };
    assert_eq!(seen, unreadable);
    let report = world.respond().await;
    let decision = report.record.unwrap().decision;
    assert_eq!(decision.taken.len(), 1, "{:?}", decision.taken);
    let [withheld] = &decision.withheld[..] else {
        panic!("{:?}", decision.withheld)
    };
    assert_eq!(withheld.measure, "lock-access-points");
}

/// It was there when it was listed, and is not when its policy is asked for or written.
#[tokio::test]
async fn an_access_point_that_goes_away_meanwhile_is_not_missed() {
    let world = World::new("gone", |request| {
        match request.contains("internal") || request.starts_with("PUT /v20180820/accesspoint") {
            true => Verdict::Refuse(404, "NoSuchAccessPoint"),
            false => Verdict::Pass,
        }
    })
    .await;
    let seen = aws::read(&world.aws, &world.place(), KIND).await.unwrap();
    let points = points(&seen);
    let names: Vec<&str> = points.0.keys().map(String::as_str).collect();
    assert_eq!(names, [world.point("private"), world.point("shared")]);
    let mut after = points.clone();
    let shared = after.0.get_mut(&world.point("shared")).unwrap();
    shared.policy = Some(PolicyDocument::new(Vec::new()));
    let change = change(points, &after);
    aws::write(&world.aws, &world.place(), &change)
        .await
        .unwrap();
}

/// Of two access points one was written: that is neither "not written" nor somebody else's doing.
#[tokio::test]
async fn access_points_that_were_written_in_part_are_told_as_that_and_finished_and_undone() {
    static REFUSED: AtomicBool = AtomicBool::new(true);
    let world = World::new("part", |request| {
        let is_refused = request.starts_with("PUT /v20180820/accesspoint")
            && request.contains("-shared/policy")
            && REFUSED.load(Ordering::SeqCst);
        match is_refused {
            true => Verdict::Refuse(403, "AccessDenied"),
            false => Verdict::Pass,
        }
    })
    .await;
    world
        .create("other", Some(r#"{"AWS":"arn:aws:iam::222222222222:root"}"#))
        .await;
    let before = world.policies().await;
    let report = world.respond().await;
    let changes = report.summary.changes.iter();
    let of_points = changes.clone().find(|change| change.setting == KIND);
    let of_points = of_points.unwrap();
    assert_eq!(of_points.status, ChangeStatus::Unverified, "{of_points:?}");
    let why = of_points.detail.as_deref().unwrap();
    assert!(why.starts_with("not all was written: "), "{why}");
    assert_eq!(report.summary.outcome, Outcome::Partial, "{report:?}");

    REFUSED.store(false, Ordering::SeqCst);
    let again = world.respond().await;
    assert_eq!(again.summary.outcome, Outcome::Contained, "{again:?}");
    assert_ne!(world.policies().await, before);
    let undone = world.roll_back(&again).await;
    assert_eq!(undone.summary.outcome, Outcome::RolledBack, "{undone:?}");
    assert_eq!(world.policies().await, before);
}

#[tokio::test]
async fn a_bucket_without_access_points_has_an_empty_setting() {
    let url = endpoint("ministack");
    let bucket = unique_name("portcullis-pointless");
    seed_bucket(&client(&url), &bucket, None).await;
    let seen = aws::read(&reached(&url), &place(&bucket), KIND).await;
    assert_eq!(*points(&seen.unwrap()), AccessPoints::default());
}

// ---- Rollback

/// Others deleted one, created one, and changed a third: none of it is undone, and what we wrote is.
#[test]
fn what_others_did_to_access_points_stays() {
    let before = some(&[("a", PARTNER), ("b", PARTNER), ("c", APPLICATION)]);
    let after = locked(&before, &["a", "b"]);
    let mut now = after.clone();
    now.0.remove("a");
    now.0.insert("d".to_owned(), one("d", Some(PARTNER)));
    now.0.insert("c".to_owned(), one("c", None));
    let theirs = with(now.0["b"].policy.as_ref().unwrap(), APPLICATION);
    now.0.get_mut("b").unwrap().policy = Some(theirs);

    let done = undo(&before, &after, &now, &[]);
    assert_eq!(done.drift, []);
    assert_eq!(done.notes, ["access point a was deleted since"]);
    let mut expected = now.clone();
    let kept = with(before.0["b"].policy.as_ref().unwrap(), APPLICATION);
    expected.0.get_mut("b").unwrap().policy = Some(kept);
    let [change] = &done.plan.changes[..] else {
        panic!("{:?}", done.plan)
    };
    assert_eq!(*points(&change.after), expected);
    // Of all that, one policy is written.
    let written: Vec<&str> = now.changed(&expected).map(|(name, _)| name).collect();
    assert_eq!(written, ["b"]);
}

#[test]
fn a_changed_statement_of_ours_is_drift_until_it_is_forced() {
    let before = some(&[("a", PARTNER), ("c", APPLICATION)]);
    let after = locked(&before, &["a"]);
    let mut now = after.clone();
    let edited = now.0["a"].policy.as_ref().unwrap().text();
    let edited = edited.replace("StringLike", "StringEquals");
    now.0.get_mut("a").unwrap().policy = Some(PolicyDocument::parse(&edited).unwrap());
    now.0.insert("c".to_owned(), one("c", None));

    let done = undo(&before, &after, &now, &[]);
    assert_eq!(done.plan, Plan::default());
    assert!(done.drift[0].why.contains("access point a: statement"));
    let forced = undo(&before, &after, &now, &[KIND]);
    let after = points(&forced.plan.changes[0].after).clone();
    assert_eq!(after.0["a"], before.0["a"]);
    // What was never changed by us is not put back either.
    assert_eq!(after.0["c"], now.0["c"]);
}

#[test]
fn a_change_counts_as_made_whatever_others_did_besides() {
    let before = some(&[("a", PARTNER), ("b", PARTNER)]);
    let after = locked(&before, &["a", "b"]);
    let change = change(&before, &after);
    let seen = |points: &AccessPoints| change.is_made(&present(points));
    assert!(seen(&after) && !seen(&before));
    let mut now = after.clone();
    now.0.insert("new".to_owned(), one("new", Some(PARTNER)));
    now.0.remove("b");
    assert!(seen(&now));
    now.0.insert("a".to_owned(), before.0["a"].clone());
    assert!(!seen(&now));
    // Of every other setting all counts.
    let tags = Change {
        setting: SettingKind::Tags,
        before: Setting::Absent,
        after: Setting::Present(Document::Tags([("a".to_owned(), "b".to_owned())].into())),
        measures: Vec::new(),
    };
    assert!(tags.is_made(&tags.after) && !tags.is_made(&tags.before));
}

/// Sids are other people's text.
#[tokio::test]
async fn changes_are_shown_by_access_point_and_statement() {
    let hostile =
        r#"{"Sid":"a\u001b[2Jb","Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}"#;
    let before = some(&[("a", PARTNER), ("b", hostile)]);
    let mut after = locked(&before, &["a"]);
    after.0.get_mut("b").unwrap().policy = None;
    let world = World::new("shown", |_| Verdict::Pass).await;
    let mut planned = world.preview().await;
    planned.record.decision.plan.changes = vec![change(&before, &after)];
    let text = report::plan(&planned, Style::default());
    for line in [
        "+ a: statement PortcullisDenyActor  Deny s3:* to AROACKCEVSQ6C2EXAMPLE:*  (not:",
        "- b: statement a[2Jb                Allow s3:* to *",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains('\u{1b}'));
}

const PARTNER: &str = r#"{ "Sid": "Partner", "Effect": "Allow", "Principal": { "AWS": "444455556666" }, "Action": "s3:GetObject", "Resource": "arn:aws:s3:us-east-1:111122223333:accesspoint/x/object/*" }"#;
const APPLICATION: &str = r#"{"Sid":"Application","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/app"},"Action":"s3:*","Resource":"arn:aws:s3:us-east-1:111122223333:accesspoint/x"}"#;

fn some(points: &[(&str, &str)]) -> AccessPoints {
    let points = points.iter();
    let points = points.map(|(name, statement)| ((*name).to_owned(), one(name, Some(statement))));
    AccessPoints(points.collect())
}

fn one(name: &str, statement: Option<&str>) -> AccessPoint {
    let text =
        |statement| format!("{{\n \"Version\": \"2012-10-17\", \"Statement\": [{statement}]}}");
    AccessPoint {
        arn: format!("arn:aws:s3:us-east-1:111122223333:accesspoint/{name}"),
        vpc: None,
        policy: statement.map(|statement| PolicyDocument::parse(&text(statement)).unwrap()),
    }
}

fn with(policy: &PolicyDocument, statement: &str) -> PolicyDocument {
    let other = PolicyDocument::parse(&format!("{{\"Statement\":[{statement}]}}")).unwrap();
    let statements = policy.statements().iter().chain(other.statements());
    policy.with_statements(statements.cloned().collect())
}

fn locked(points: &AccessPoints, names: &[&str]) -> AccessPoints {
    let deny = Deny {
        sid: "PortcullisDenyActor".to_owned(),
        actions: ["s3:*".to_owned()].into(),
        hits: Some(Hits {
            by: By::Condition("StringLike", "aws:userid"),
            values: ["AROACKCEVSQ6C2EXAMPLE:*".to_owned()].into(),
        }),
        only: Vec::new(),
        spare_services: false,
        spared: ["arn:aws:iam::111122223333:role/SecurityBreakGlass".to_owned()].into(),
    };
    let mut points = points.clone();
    for name in names {
        let point = points.0.get_mut(*name).unwrap();
        point.policy = Some(deny.amend(point.policy.as_ref(), &point.arn));
    }
    points
}

fn change(before: &AccessPoints, after: &AccessPoints) -> Change {
    Change {
        setting: KIND,
        before: present(before),
        after: present(after),
        measures: vec!["lock-access-points".to_owned()],
    }
}

fn present(points: &AccessPoints) -> Setting {
    Setting::Present(Document::AccessPointPolicies(points.clone()))
}

#[track_caller]
fn points(setting: &Setting) -> &AccessPoints {
    match setting {
        Setting::Present(Document::AccessPointPolicies(points)) => points,
        other => panic!("{other:?}"),
    }
}

fn undo(
    before: &AccessPoints,
    after: &AccessPoints,
    now: &AccessPoints,
    forced: &[SettingKind],
) -> Inverse {
    let plan = Plan {
        changes: vec![change(before, after)],
    };
    let now = Settings([(KIND, present(now))].into());
    inverse(&[&plan], &now, "arn:aws:s3:::amzn-s3-demo-bucket", forced)
}

// ---- A bucket with access points

/// A bucket whose policy leaves the decision to its access points: `shared` also admits another account, `internal` a role
/// of its own, `private` has no policy.
struct World {
    bucket: String,
    root: aws_sdk_s3::Client,
    proxy: Proxy,
    aws: Aws,
    own: Own,
    store: Store,
    policy: Policy,
    finding: Finding,
    callers: BTreeMap<String, Caller>,
    alias: String,
}

impl World {
    async fn new(name: &str, judge: impl Fn(&str) -> Verdict + Send + Sync + 'static) -> Self {
        let url = endpoint("ministack");
        let root = client(&url);
        let bucket = unique_name(&format!("portcullis-ap-{name}"));
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Application","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{ACCOUNT}:root"}},"Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}}]}}"#
        );
        seed_bucket(&root, &bucket, Some(&policy)).await;
        let proxy = Proxy::start(&url, judge);
        let callers = callers(&url, short(&bucket));
        let policy = policy_of(&format!("{}-SecurityBreakGlass", short(&bucket)));
        let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&bucket);
        let mut world = Self {
            aws: reached(&proxy.url),
            own: Own {
                principals: vec![format!("arn:aws:iam::{ACCOUNT}:role/function")],
                account: Some(ACCOUNT.to_owned()),
            },
            store: Store::Folder(Folder::new(&folder)),
            finding: finding(&bucket, &callers["actor"]),
            policy,
            alias: String::new(),
            bucket,
            root,
            proxy,
            callers,
        };
        world.create("private", None).await;
        let application = format!(r#"{{"AWS":"arn:aws:iam::{ACCOUNT}:root"}}"#);
        world.create("internal", Some(&application)).await;
        let partner = r#"{ "AWS": [ "arn:aws:iam::222222222222:root" ] }"#;
        world.alias = world.create("shared", Some(partner)).await;
        world
    }

    async fn create(&self, name: &str, admits: Option<&str>) -> String {
        let s3control = s3control();
        let point = self.point(name);
        let request = s3control.create_access_point().account_id(ACCOUNT);
        let made = request.name(&point).bucket(&self.bucket).send().await;
        if let Some(principal) = admits {
            let arn = format!("arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint/{point}/object/*");
            let policy = format!(
                r#"{{ "Version": "2012-10-17",  "Statement": [ {{ "Sid": "Shared", "Effect": "Allow", "Principal": {principal}, "Action": "s3:GetObject", "Resource": "{arn}" }} ] }}"#
            );
            let request = s3control.put_access_point_policy().account_id(ACCOUNT);
            let put = request.name(&point).policy(policy).send().await;
            put.unwrap();
        }
        made.unwrap().alias().unwrap().to_owned()
    }

    fn point(&self, name: &str) -> String {
        format!("{}-{name}", short(&self.bucket))
    }

    fn place(&self) -> Place {
        place(&self.bucket)
    }

    /// The text of each policy, as it is in S3.
    async fn policies(&self) -> BTreeMap<String, Option<String>> {
        let mut policies = BTreeMap::new();
        for name in ["private", "internal", "shared", "other"] {
            let request = s3control().get_access_point_policy().account_id(ACCOUNT);
            let answer = request.name(self.point(name)).send().await;
            let text = answer.ok().and_then(|answer| answer.policy);
            policies.insert(name.to_owned(), text);
        }
        policies
    }

    /// What each caller of the bucket's account gets who reads through the shared access point. The stand-in lets nobody of
    /// another account in.
    async fn statuses(&self) -> BTreeMap<String, u16> {
        let mut statuses = BTreeMap::new();
        for (name, caller) in self.callers.iter().filter(|(name, _)| *name != "partner") {
            let client = caller.client(&endpoint("ministack"));
            let request = client.get_object().bucket(&self.alias).key("report.csv");
            statuses.insert(name.clone(), status(request.send().await));
        }
        statuses
    }

    fn engine(&self) -> Engine<'_> {
        Engine {
            operator: Some("operator"),
            ..engine_of(&self.aws, &self.store, &self.policy, &self.own)
        }
    }

    async fn preview(&self) -> Planned {
        let report = self.engine().preview(&self.finding).await.remove(0);
        Planned {
            record: report.record.unwrap(),
            break_glass: Vec::new(),
            deployed: None,
            next: None,
        }
    }

    /// The plan as a person sees it.
    async fn plan(&self) -> String {
        report::plan(&self.preview().await, Style::default())
    }

    async fn respond(&self) -> Report {
        self.engine().respond(&self.finding).await.remove(0)
    }

    async fn roll_back(&self, report: &Report) -> Report {
        let id = report.summary.id.as_ref().unwrap();
        let record = Engine::load(&self.store, id).await.unwrap();
        let request = RollbackRequest::default();
        self.engine().rollback(&record, &request).await.unwrap()
    }
}

/// Part of a bucket's name that no other bucket has: names of access points and roles have less room.
fn short(bucket: &str) -> &str {
    &bucket[bucket.len() - 20..]
}

fn place(bucket: &str) -> Place {
    Place {
        bucket: Some(bucket.to_owned()),
        account: ACCOUNT.to_owned(),
        region: "us-east-1".to_owned(),
        partition: "aws".to_owned(),
    }
}

fn reached(url: &str) -> Aws {
    let options = AwsOptions {
        own_account: Some(ACCOUNT.into()),
        s3control_endpoint: Some(url.to_owned()),
        ..AwsOptions::default()
    };
    Aws::new(config(url), options)
}

fn policy_of(break_glass: &str) -> Policy {
    let text = format!(
        "version: 1\nmode: enforce\nbreak-glass: [\"arn:aws:iam::*:role/*/{break_glass}\"]\n\
         rules:\n  - id: contain\n    measures: [deny-actor, lock-access-points]\n"
    );
    let loaded = policy::load("policy.yaml", &text, jiff::civil::date(2026, 3, 1));
    loaded
        .policy
        .unwrap_or_else(|| panic!("{}", yaml::render(&loaded.diagnostics, &text, false)))
}

fn finding(bucket: &str, actor: &Caller) -> Finding {
    let event = include_bytes!("../../events/exfiltration-anomalous.json");
    let Ok(Event::Finding(finding)) = read(event).remove(0) else {
        panic!("the event is a finding")
    };
    let bucket = Bucket {
        name: bucket.to_owned(),
        account: ACCOUNT.into(),
        ..Bucket::default()
    };
    let actor = Actor {
        user_type: UserType::AssumedRole,
        principal_id: Some(actor.userid.clone()),
        ..Actor::default()
    };
    Finding {
        account: ACCOUNT.into(),
        region: "us-east-1".into(),
        targets: vec![Target::Bucket(bucket)],
        actors: vec![actor],
        ..*finding
    }
}

/// s3control puts the account id in front of the host name, which no local server resolves.
#[derive(Debug)]
struct Fixed(String);

impl ResolveEndpoint for Fixed {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.0.clone()).build()))
    }
}

fn s3control() -> aws_sdk_s3control::Client {
    let url = endpoint("ministack");
    let builder = aws_sdk_s3control::config::Builder::from(&config(&url));
    aws_sdk_s3control::Client::from_conf(builder.endpoint_resolver(Fixed(url)).build())
}
