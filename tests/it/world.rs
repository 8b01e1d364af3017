//! A public bucket, a store and an engine for the tests that go over HTTP.

use aws_sdk_s3::Client;
use jiff::{SignedDuration, Timestamp};
use portcullis::aws::{Aws, AwsOptions};
use portcullis::classification::Own;
use portcullis::engine::{Engine, Report, RollbackRequest};
use portcullis::finding::{Bucket, Event, Finding, Target, read};
use portcullis::guard::Guard;
use portcullis::policy::{self, Mode, Policy};
use portcullis::settings::SettingKind;
use portcullis::store::{Folder, Store};

use crate::stand_in::{
    ACCOUNT, Proxy, Verdict, client, config, endpoint, seed_bucket, unique_name,
};

pub(crate) const POLICY: &str = r#"
version: 1
mode: enforce
break-glass: ["arn:aws:iam::*:role/SecurityBreakGlass"]
rules:
  - id: public
    when: { finding: ["Policy:S3/*"] }
    measures: [remove-public-grants, block-public-access]
  - id: stolen
    when: { finding: ["Exfiltration:S3/*"] }
    measures: [deny-actor, deny-source-ip]
  - id: everything-else
    measures: []
"#;

/// A public bucket, a store, and a proxy between the engine and the stand-in.
pub(crate) struct World {
    pub(crate) endpoint: String,
    pub(crate) client: Client,
    pub(crate) bucket: String,
    pub(crate) proxy: Proxy,
    pub(crate) aws: Aws,
    pub(crate) own: Own,
    pub(crate) store: Store,
    pub(crate) root: std::path::PathBuf,
    pub(crate) policy: Policy,
    pub(crate) stack_mode: Mode,
}

impl World {
    pub(crate) async fn new(
        name: &str,
        judge: impl Fn(&str) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self::with_store(name, false, judge).await
    }

    pub(crate) async fn with_store(
        name: &str,
        on_s3: bool,
        judge: impl Fn(&str) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let endpoint = endpoint("ministack");
        let client = client(&endpoint);
        let bucket = unique_name(&format!("portcullis-{name}"));
        seed_bucket(&client, &bucket, Some(&public_policy(&bucket))).await;
        let proxy = Proxy::start(&endpoint, judge);
        let own = Own {
            principals: vec![format!("arn:aws:iam::{ACCOUNT}:role/function")],
            account: Some(ACCOUNT.into()),
        };
        let options = AwsOptions {
            own_account: own.account.clone(),
            ..AwsOptions::default()
        };
        let aws = Aws::new(config(&proxy.url), options);
        let root = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&bucket);
        let store = match on_s3 {
            false => Store::Folder(Folder::new(&root)),
            true => {
                let name = format!("{bucket}-store");
                client.create_bucket().bucket(&name).send().await.unwrap();
                Store::S3(portcullis::store::S3Store::new(
                    crate::stand_in::client(&proxy.url),
                    &name,
                    "",
                ))
            }
        };
        let policy = policy::load("policy.yaml", POLICY, jiff::civil::date(2026, 3, 1))
            .policy
            .unwrap();
        Self {
            endpoint,
            client,
            bucket,
            proxy,
            aws,
            own,
            store,
            root,
            policy,
            stack_mode: Mode::Enforce,
        }
    }

    /// The same world where the rule for stolen data asks for these measures.
    pub(crate) fn under(self, measures: &str) -> Self {
        let text = POLICY.replace("[deny-actor, deny-source-ip]", measures);
        let loaded = policy::load("policy.yaml", &text, jiff::civil::date(2026, 3, 1));
        Self {
            policy: loaded.policy.unwrap(),
            ..self
        }
    }

    pub(crate) fn engine(
        &self,
        operator: Option<&'static str>,
        time: SignedDuration,
    ) -> Engine<'_> {
        Engine {
            stack_mode: self.stack_mode,
            operator,
            deadline: Timestamp::now().saturating_add(time).unwrap(),
            ..engine_of(&self.aws, &self.store, &self.policy, &self.own)
        }
    }

    pub(crate) async fn respond(&self, finding: &Finding) -> Report {
        self.respond_within(finding, SignedDuration::from_secs(30))
            .await
    }

    pub(crate) async fn respond_within(&self, finding: &Finding, time: SignedDuration) -> Report {
        let mut reports = self.engine(None, time).respond(finding).await;
        assert_eq!(reports.len(), 1);
        reports.remove(0)
    }

    pub(crate) async fn roll_back(&self, report: &Report) -> Report {
        let id = report.summary.id.as_ref().unwrap();
        let record = Engine::load(&self.store, id).await.unwrap();
        let engine = self.engine(Some("operator"), SignedDuration::from_secs(30));
        engine
            .rollback(&record, &RollbackRequest::default())
            .await
            .unwrap()
    }

    pub(crate) async fn roll_back_forced(
        &self,
        record: &portcullis::record::Record,
        setting: SettingKind,
    ) -> Report {
        let engine = self.engine(Some("operator"), SignedDuration::from_secs(30));
        engine
            .rollback(
                record,
                &RollbackRequest {
                    force: vec![setting],
                },
            )
            .await
            .unwrap()
    }

    /// A finding that the bucket was opened to everybody.
    pub(crate) fn public(&self) -> Finding {
        self.finding(include_bytes!("../../events/anonymous-access-granted.json"))
    }

    /// A finding that a role's session takes data out.
    pub(crate) fn stolen(&self, principal_id: &str, address: &str) -> Finding {
        let mut finding = self.finding(include_bytes!("../../events/exfiltration-anomalous.json"));
        finding.actors[0].principal_id = Some(principal_id.to_owned());
        finding.actors[0].arn = None;
        finding.actors[0].account = None;
        finding.remotes[0].address = Some(address.parse().unwrap());
        finding
    }

    pub(crate) fn finding(&self, event: &[u8]) -> Finding {
        let Ok(Event::Finding(finding)) = read(event).remove(0) else {
            panic!("the event is a finding")
        };
        let target = Bucket {
            name: self.bucket.clone(),
            account: ACCOUNT.into(),
            ..Bucket::default()
        };
        Finding {
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            targets: vec![Target::Bucket(target)],
            ..*finding
        }
    }

    /// The files of a folder store but its leases.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)
                .into_iter()
                .flatten()
                .map(Result::unwrap)
            {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => files.push(
                        entry
                            .path()
                            .strip_prefix(&self.root)
                            .unwrap()
                            .display()
                            .to_string(),
                    ),
                }
            }
        }
        files.retain(|file| {
            !file.starts_with("leases/") && !file.contains("/.") && !file.starts_with('.')
        });
        files.sort();
        files
    }
}

pub(crate) fn guards(report: &Report) -> Vec<Guard> {
    report
        .record
        .as_ref()
        .unwrap()
        .decision
        .withheld
        .iter()
        .map(|withheld| withheld.guard)
        .collect()
}

pub(crate) fn public_policy(bucket: &str) -> String {
    let world = format!(
        r#"{{"Sid":"World","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}}"#
    );
    let partner = format!(
        r#"{{"Sid":"Partner","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{ACCOUNT}:root"}},"Action":["s3:ListBucket"],"Resource":"arn:aws:s3:::{bucket}"}}"#
    );
    format!(r#"{{ "Version": "2012-10-17",  "Statement": [{world}, {partner}] }}"#)
}

/// An engine of an enforcing deployment, with a minute to work.
pub(crate) fn engine_of<'a>(
    aws: &'a Aws,
    store: &'a Store,
    policy: &'a Policy,
    own: &'a Own,
) -> Engine<'a> {
    Engine {
        aws,
        store,
        policy,
        stack_mode: Mode::Enforce,
        own,
        operator: None,
        confirmed: None,
        policy_stands: None,
        clock: Timestamp::now,
        deadline: Timestamp::now() + SignedDuration::from_mins(1),
    }
}
