//! Buckets of other accounts: two accounts in MiniStack, which holds the trust, the external id and the permissions of the
//! real stacksets/member.yaml against us. That the trust names one role rests on our shim's aws:PrincipalArn.

use std::process::Command;
use std::thread;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::error::ProvideErrorMetadata;
use jiff::{SignedDuration, Timestamp};
use portcullis::aws::{Aws, AwsOptions, Place};
use portcullis::classification::Own;
use portcullis::deployment::Options;
use portcullis::engine::{Engine, Report, RollbackRequest};
use portcullis::finding::{Bucket, Event, Finding, Target, read};
use portcullis::guard::Guard;
use portcullis::policy::{self, Policy};
use portcullis::record::Outcome;
use portcullis::store::{Folder, Store};
use serde_json::Value;

use crate::lambda::{self, Function};
use crate::stand_in::{
    ACCOUNT, Answer, Proxy, Verdict, client, client_of, config_of, endpoint, flags, policy_text,
    seed_bucket, stranger_gets, unique_name,
};
use crate::world::{engine_of, guards, public_policy};

const MEMBER: &str = "222222222222";
const EXTERNAL_ID: &str = "q7Zk:portcullis/2026";
/// What denies everybody who is not spared.
const POLICY: &str = r#"
version: 1
mode: enforce
break-glass: ["arn:aws:iam::*:role/SecurityBreakGlass"]
rules:
  - id: public
    when: { finding: ["Policy:S3/*"] }
    measures: [isolate: { access: all }]
  - id: everything-else
    measures: []
"#;

#[tokio::test]
async fn a_members_bucket_is_contained_with_one_session_and_put_back() {
    let organization = Organization::new("enforce", |_| Verdict::Pass);
    let first = organization.bucket().await;
    let before = policy_text(&organization.owner, &first).await.unwrap();

    let report = organization
        .respond(&first, &organization.aws(EXTERNAL_ID))
        .await;
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
    assert_eq!(
        stranger_gets(&organization.endpoint, &first, "report.csv"),
        403
    );
    // Nobody but who is spared may touch the bucket's policy now.
    let policy = policy_text(&organization.owner, &first).await.unwrap();
    for spared in [&organization.own.principals[0], &organization.member] {
        assert!(
            policy.contains(spared),
            "{spared} is not spared by {policy}"
        );
    }

    let aws = organization.aws(EXTERNAL_ID);
    let again = organization.respond(&first, &aws).await;
    assert_eq!(again.summary.outcome, Outcome::AlreadyContained);
    let (engine, record) = (organization.engine(&aws), report.record.unwrap());
    let undone = engine.rollback(&record, &RollbackRequest::default()).await;
    assert_eq!(undone.unwrap().summary.outcome, Outcome::RolledBack);
    assert_eq!(
        policy_text(&organization.owner, &first).await.unwrap(),
        before
    );
}

#[tokio::test]
async fn a_session_is_kept_between_invocations_and_regions() {
    let organization = Organization::new("enforce", |_| Verdict::Pass);
    let aws = organization.aws(EXTERNAL_ID);
    for region in ["us-east-1", "eu-west-1", "us-east-1"] {
        let bucket = organization.bucket().await;
        let finding = Finding {
            region: region.to_owned(),
            ..organization.finding(&bucket)
        };
        let report = organization.engine(&aws).respond(&finding).await.remove(0);
        assert_eq!(
            report.summary.outcome,
            Outcome::Contained,
            "{:?}",
            report.summary
        );
    }
    assert_eq!(organization.assumed(), 1);
}

/// With an answer of STS's that is made up, for a stand-in's sessions would have to be waited for.
#[tokio::test]
async fn a_session_that_is_about_to_end_is_renewed_before_it_is_used() {
    for (left, assumed) in [(60, 3), (3600, 1)] {
        let session = move || {
            let end = Timestamp::now() + SignedDuration::from_secs(left);
            let body = format!(
                "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>\
                 <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{end}</Expiration>\
                 </Credentials></AssumeRoleResult></AssumeRoleResponse>"
            );
            Verdict::Answer(Answer {
                status: 200,
                headers: String::new(),
                body,
            })
        };
        let proxy = Proxy::start(&endpoint("ministack"), move |_| session());
        let aws = Aws::new(
            crate::stand_in::config(&proxy.url),
            options("Member", EXTERNAL_ID),
        );
        for _ in 0..3 {
            aws.enter(&place("amzn-s3-demo-bucket")).await.unwrap();
        }
        assert_eq!(proxy.requests().len(), assumed, "{left} s are left");
    }
}

#[tokio::test]
async fn who_is_not_let_in_says_so_once_and_is_not_tried_again() {
    let organization = Organization::new("enforce", |_| Verdict::Pass);
    let bucket = organization.bucket().await;
    let nobody = AwsOptions {
        member_role: Some("NobodyHasIt".to_owned()),
        ..options("", EXTERNAL_ID)
    };
    let config = |key| {
        config_of(
            &organization.proxy.url,
            credentials(&organization.said[key]),
        )
    };
    for (what, aws) in [
        (
            "another external id",
            organization.aws("q7Zk:portcullis/2025"),
        ),
        (
            "another caller",
            Aws::new(config("other"), organization.options(EXTERNAL_ID)),
        ),
        ("no such role", Aws::new(config("function"), nobody)),
    ] {
        organization.proxy.forget();
        let report = organization.respond(&bucket, &aws).await;
        let summary = &report.summary;
        assert_eq!(summary.outcome, Outcome::Withheld, "{what}: {summary:?}");
        assert_eq!(guards(&report), vec![Guard::OtherAccount], "{what}");
        assert!(!report.fails_the_invocation(), "{what}");
        assert!(summary.id.is_some(), "{what} is not on the record");
        assert_eq!(summary.alerts.len(), 1, "{what}: {:?}", summary.alerts);
        for part in [
            MEMBER,
            "AssumeRole on role arn:aws:iam::222222222222:role/",
            "AccessDenied",
            "external id",
            "stacksets/member.yaml",
        ] {
            let reason = summary.reason.as_ref().unwrap();
            assert!(reason.contains(part), "{what}: {part} is not in {reason}");
        }
        assert_eq!(
            stranger_gets(&organization.endpoint, &bucket, "report.csv"),
            200
        );
        let s3 = organization.proxy.requests().into_iter();
        let s3: Vec<_> = s3.filter(|request| request.contains(&bucket)).collect();
        assert_eq!(s3, Vec::<String>::new(), "{what}");
    }
}

#[tokio::test]
async fn an_sts_that_does_not_answer_has_the_event_come_again() {
    let organization = Organization::new("enforce", |request| match request == STS {
        true => Verdict::Refuse(503, "ServiceUnavailable"),
        false => Verdict::Pass,
    });
    let bucket = organization.bucket().await;
    let report = organization
        .respond(&bucket, &organization.aws(EXTERNAL_ID))
        .await;
    assert_eq!(report.summary.outcome, Outcome::Failed);
    assert!(report.fails_the_invocation());
    assert!(report.summary.reason.unwrap().contains("AssumeRole"));
}

#[tokio::test]
async fn the_member_role_reads_no_data_and_writes_nothing_in_observe_mode() {
    let organization = Organization::new("observe", |_| Verdict::Pass);
    let bucket = organization.bucket().await;
    let aws = organization.aws(EXTERNAL_ID);
    let report = organization.respond(&bucket, &aws).await;
    assert_eq!(
        report.summary.outcome,
        Outcome::Failed,
        "{:?}",
        report.summary
    );
    assert!(report.summary.reason.unwrap().contains("AccessDenied"));
    assert!(
        report.record.unwrap().before.0.len() > 1,
        "what it may, it reads"
    );

    // The bucket's own policy lets everybody read, and the role is nobody for that.
    assert_eq!(
        stranger_gets(&organization.endpoint, &bucket, "report.csv"),
        200
    );
    let s3 = aws.s3(&place(&bucket));
    let data = s3
        .get_object()
        .bucket(&bucket)
        .key("report.csv")
        .send()
        .await;
    assert_eq!(data.unwrap_err().code(), Some("AccessDenied"));
}

#[tokio::test]
async fn the_function_contains_a_members_bucket() {
    let organization = Organization::new("enforce", |_| Verdict::Pass);
    let bucket = organization.bucket().await;
    let store = format!("{bucket}-store");
    let own = client(&organization.endpoint);
    own.create_bucket().bucket(&store).send().await.unwrap();
    lambda::put_policy(&organization.endpoint, &store, lambda::POLICY).await;
    let said = |key: &str| organization.said["function"][key].as_str().unwrap();
    let mut variables = vec![
        ("AWS_ACCESS_KEY_ID", said("key")),
        ("AWS_SECRET_ACCESS_KEY", said("secret")),
        ("AWS_SESSION_TOKEN", said("token")),
        (
            "PORTCULLIS_MEMBER_ROLE",
            organization.member.rsplit('/').next().unwrap(),
        ),
        ("PORTCULLIS_EXTERNAL_ID", "some:other"),
    ];
    let finding = event(MEMBER, &bucket);
    let function = Function::start(&organization.endpoint, &store, "enforce", &variables);
    let withheld = function.invoke(&finding).response()["records"][0].clone();
    assert_eq!(withheld["outcome"], "withheld", "{withheld:#}");

    variables[4].1 = EXTERNAL_ID;
    let function = Function::start(&organization.endpoint, &store, "enforce", &variables);
    let contained = function.invoke(&finding).response()["records"][0].clone();
    assert_eq!(contained["outcome"], "contained", "{contained:#}");
    assert_eq!(
        stranger_gets(&organization.endpoint, &bucket, "report.csv"),
        403
    );
    assert_eq!(flags(&organization.owner, &bucket).await, Some([true; 4]));
}

/// From the member's and from the administrator's event bus, at the same moment; then from another Region, where the
/// finding of a global service has another id.
#[tokio::test]
async fn a_finding_that_arrives_twice_is_handled_once() {
    let proxy = Proxy::start(&endpoint("ministack"), |_| Verdict::Pass);
    let world = lambda::World::new("twice", "enforce").await;
    let function = || Function::start(&proxy.url, &world.store, "enforce", &[]);
    let mut administrators = world.event();
    administrators["account"] = "999988887777".into();
    administrators["id"] = "0f6a2f4e-0000-4000-8000-000000000002".into();
    let deliveries = [(function(), world.event()), (function(), administrators)];
    let at_once = deliveries.map(|(function, event)| {
        thread::spawn(move || function.invoke(&event).response()["records"][0].clone())
    });
    let mut outcomes = at_once.map(|done| done.join().unwrap()["outcome"].to_string());
    outcomes.sort();
    assert_eq!(outcomes, [r#""already-contained""#, r#""contained""#]);

    let mut elsewhere = world.event();
    elsewhere["region"] = "eu-west-1".into();
    elsewhere["detail"]["id"] = "ffb1c2d3e4f5061728394a5b6c7d8e9f".into();
    let last = function().invoke(&elsewhere).response()["records"][0].clone();
    assert_eq!(last["outcome"], "already-contained", "{last:#}");

    let writes = proxy.writes().into_iter();
    let writes: Vec<_> = writes
        .filter(|request| request.contains(&format!("/{}/?", world.bucket)))
        .collect();
    assert_eq!(
        writes.len(),
        2,
        "one for the policy, one for the flags: {writes:?}"
    );
    let own = client(&world.endpoint);
    let records = own
        .list_objects_v2()
        .bucket(&world.store)
        .prefix("records/")
        .send()
        .await
        .unwrap();
    let keys: Vec<_> = records
        .contents()
        .iter()
        .filter_map(|object| object.key())
        .collect();
    assert_eq!(keys.len(), 2, "one record and its result: {keys:?}");
}

#[tokio::test]
async fn the_role_is_of_the_findings_partition() {
    let config = crate::stand_in::config(&endpoint("ministack"));
    let aws = Aws::new(config, options("NobodyHasIt", EXTERNAL_ID));
    for partition in ["aws-cn", "aws-us-gov"] {
        let place = Place {
            partition: partition.to_owned(),
            ..place("amzn-s3-demo-bucket")
        };
        let role = format!("arn:{partition}:iam::{MEMBER}:role/NobodyHasIt");
        let error = aws.enter(&place).await.unwrap_err();
        assert_eq!(error.resource, format!("role {role}"));
        let own = Own::default();
        assert_eq!(aws.acting_as(&own, &place).principals, [role]);
    }
}

#[test]
fn an_external_id_that_sts_would_refuse_is_refused_at_once() {
    let options = |id: String| {
        let variable = move |name: &str| match name {
            "PORTCULLIS_EXTERNAL_ID" => Some(id.clone()),
            _ => None,
        };
        Options::from_env(variable, Some("./store"))
    };
    for id in [EXTERNAL_ID.to_owned(), "ab".to_owned(), "x".repeat(1224)] {
        assert_eq!(options(id.clone()).unwrap().external_id, Some(id));
    }
    for id in ["a".to_owned(), "two words".to_owned(), "x".repeat(1225)] {
        let error = options(id).unwrap_err().to_string();
        assert!(error.starts_with("PORTCULLIS_EXTERNAL_ID: "), "{error}");
    }
}

/// AssumeRole, and nothing else that is asked here.
const STS: &str = "POST /";

/// Our own account, a member account with the role of the real template, and a proxy in front of them.
struct Organization {
    endpoint: String,
    proxy: Proxy,
    /// What organization.py said.
    said: Value,
    /// The ARN of the member role.
    member: String,
    /// The member account's own client.
    owner: Client,
    own: Own,
    policy: Policy,
    store: Store,
}

impl Organization {
    fn new(mode: &str, judge: impl Fn(&str) -> Verdict + Send + Sync + 'static) -> Self {
        let endpoint = endpoint("ministack");
        let root = env!("CARGO_MANIFEST_DIR");
        let name = unique_name("org");
        let output = Command::new(format!("{root}/.tools/ministack/bin/python"))
            .arg(format!("{root}/tests/stand-ins/organization.py"))
            .args([&endpoint, &name, mode, EXTERNAL_ID])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let said: Value = serde_json::from_str(&said).unwrap();
        let owner = Credentials::new(MEMBER, "test", None, None, "test");
        let today = jiff::civil::date(2026, 3, 1);
        Self {
            proxy: Proxy::start(&endpoint, judge),
            member: said["member"].as_str().unwrap().to_owned(),
            own: Own {
                principals: vec![format!("arn:aws:iam::{ACCOUNT}:role/{name}-function")],
                account: Some(ACCOUNT.to_owned()),
            },
            owner: client_of(&config_of(&endpoint, owner)),
            policy: policy::load("policy.yaml", POLICY, today).policy.unwrap(),
            store: Store::Folder(Folder::new(
                std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name),
            )),
            endpoint,
            said,
        }
    }

    /// A public bucket of the member's.
    async fn bucket(&self) -> String {
        let name = unique_name("portcullis-member");
        seed_bucket(&self.owner, &name, Some(&public_policy(&name))).await;
        assert_eq!(stranger_gets(&self.endpoint, &name, "report.csv"), 200);
        name
    }

    fn finding(&self, bucket: &str) -> Finding {
        let event = event(MEMBER, bucket).to_string();
        let Ok(Event::Finding(finding)) = read(event.as_bytes()).remove(0) else {
            panic!("the event is a finding")
        };
        let target = Bucket {
            name: bucket.to_owned(),
            account: MEMBER.to_owned(),
            ..Bucket::default()
        };
        Finding {
            targets: vec![Target::Bucket(target)],
            ..*finding
        }
    }

    fn options(&self, external_id: &str) -> AwsOptions {
        options(self.member.rsplit('/').next().unwrap(), external_id)
    }

    /// AWS as the function sees it.
    fn aws(&self, external_id: &str) -> Aws {
        let function = credentials(&self.said["function"]);
        Aws::new(
            config_of(&self.proxy.url, function),
            self.options(external_id),
        )
    }

    fn engine<'a>(&'a self, aws: &'a Aws) -> Engine<'a> {
        engine_of(aws, &self.store, &self.policy, &self.own)
    }

    async fn respond(&self, bucket: &str, aws: &Aws) -> Report {
        let mut reports = self.engine(aws).respond(&self.finding(bucket)).await;
        assert_eq!(reports.len(), 1);
        reports.remove(0)
    }

    /// How often a role was assumed.
    fn assumed(&self) -> usize {
        let requests = self.proxy.requests().into_iter();
        requests.filter(|request| request == STS).count()
    }
}

fn options(role: &str, external_id: &str) -> AwsOptions {
    AwsOptions {
        own_account: Some(ACCOUNT.to_owned()),
        member_role: Some(role.to_owned()),
        external_id: Some(external_id.to_owned()),
        ..AwsOptions::default()
    }
}

fn credentials(said: &Value) -> Credentials {
    let part = |key: &str| said[key].as_str().unwrap().to_owned();
    Credentials::new(
        part("key"),
        part("secret"),
        Some(part("token")),
        None,
        "test",
    )
}

fn place(bucket: &str) -> Place {
    Place {
        bucket: Some(bucket.to_owned()),
        account: MEMBER.to_owned(),
        region: "us-east-1".to_owned(),
        partition: "aws".to_owned(),
    }
}

/// The event that a bucket of `account` was opened to everybody.
fn event(account: &str, bucket: &str) -> Value {
    let text = include_bytes!("../../events/anonymous-access-granted.json");
    let mut event: Value = serde_json::from_slice(text).unwrap();
    let detail = &mut event["detail"];
    detail["accountId"] = account.into();
    detail["region"] = "us-east-1".into();
    let of = &mut detail["resource"]["s3BucketDetails"][0];
    of["name"] = bucket.into();
    of["arn"] = format!("arn:aws:s3:::{bucket}").into();
    event
}
