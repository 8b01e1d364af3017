//! Proof by requests: who still gets what, before, after and after rollback, for each measure that denies.
//!
//! The stand-in enforces policies; its `aws:PrincipalArn` is corrected by our shim, which also adds `s3:authType` and
//! `s3:signatureAge`, so that this proves our statements under that reading of AWS's documentation. What it does not know (AWS
//! services) is judged by the table.
//!
//! Whoever reads, writes or deletes does so three times: signed in a header, by a link, and by a link that was signed a while
//! ago. A measure that takes the one must take the others. Upload forms the stand-in judges by no policy, and
//! everybody comes from 127.0.0.1, which `deny-source-ip` spares: those two are in the table.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use portcullis::aws::{Aws, AwsOptions};
use portcullis::classification::Own;
use portcullis::engine::{Engine, RollbackRequest};
use portcullis::finding::{Actor, Bucket, Event, Finding, Object, Target, UserType, read};
use portcullis::policy;
use portcullis::record::Outcome;
use portcullis::store::{Folder, Store};
use portcullis::yaml;
use serde::Deserialize;

use crate::stand_in::{
    ACCOUNT, client, config, endpoint, policy_text, seed_bucket, send, stranger_gets, unique_name,
};
use crate::world::engine_of;

const PARTNER: &str = "222222222222";
/// What is added to a caller's name for requests by link, and how long ago those were signed.
const LINKS: [(&str, Duration); 2] = [
    ("'s link", Duration::ZERO),
    ("'s old link", Duration::from_secs(20 * 60)),
];

#[tokio::test]
async fn deny_actor_hits_the_identity_and_nobody_else() {
    let proof = Proof::new("actor", "deny-actor").await;
    proof
        .shows(
            "read report.csv",
            &[("actor", Fate::Lost), ("actor-again", Fate::Lost)],
        )
        .await;
}

#[tokio::test]
async fn deny_actor_by_session_leaves_the_role_s_other_sessions() {
    let proof = Proof::new("session", "{ deny-actor: { scope: session } }").await;
    proof
        .shows("read report.csv", &[("actor", Fate::Lost)])
        .await;
}

#[tokio::test]
async fn isolate_leaves_break_glass_alone() {
    let proof = Proof::new("isolate", "isolate").await;
    let everybody =
        ["stranger", "actor", "actor-again", "app", "partner"].map(|caller| (caller, Fate::Lost));
    proof.shows("read report.csv", &everybody).await;
}

#[tokio::test]
async fn isolate_of_writes_leaves_the_reading() {
    let proof = Proof::new("writes", "{ isolate: { access: writes } }").await;
    proof.shows("read report.csv", &[]).await;
}

#[tokio::test]
async fn isolate_of_writes_stops_the_writing() {
    let proof = Proof::new("writes2", "{ isolate: { access: writes } }").await;
    proof
        .shows(
            "write",
            &["actor", "actor-again", "app"].map(|caller| (caller, Fate::Lost)),
        )
        .await;
}

#[tokio::test]
async fn isolate_of_data_leaves_the_settings_to_the_administrators() {
    let proof = Proof::new("admin", "isolate").await;
    proof.shows("read the policy", &[]).await;
}

#[tokio::test]
async fn deny_outside_hits_strangers_and_partners() {
    let proof = Proof::new("outside", "deny-outside").await;
    proof
        .shows(
            "read report.csv",
            &[("stranger", Fate::Lost), ("partner", Fate::Lost)],
        )
        .await;
}

#[tokio::test]
async fn deny_outside_spares_the_accounts_that_it_names() {
    let proof = Proof::new(
        "inside",
        "{ deny-outside: { accounts: [\"222222222222\"] } }",
    )
    .await;
    proof
        .shows("read report.csv", &[("stranger", Fate::Lost)])
        .await;
}

#[tokio::test]
async fn restrict_network_hits_who_comes_from_elsewhere() {
    let proof = Proof::new(
        "network",
        "{ restrict-network: { cidrs: [203.0.113.0/24] } }",
    )
    .await;
    let everybody =
        ["stranger", "actor", "actor-again", "app", "partner"].map(|caller| (caller, Fate::Lost));
    proof.shows("read report.csv", &everybody).await;
}

#[tokio::test]
async fn restrict_network_spares_who_comes_from_there() {
    let proof = Proof::new("near", "{ restrict-network: { cidrs: [127.0.0.0/8] } }").await;
    proof.shows("read report.csv", &[]).await;
}

#[tokio::test]
async fn freeze_configuration_keeps_the_actor_from_the_settings() {
    let proof = Proof::new("freeze", "freeze-configuration").await;
    proof
        .shows(
            "turn the flags off",
            &[("actor", Fate::Lost), ("actor-again", Fate::Lost)],
        )
        .await;
}

#[tokio::test]
async fn freeze_configuration_for_everyone_leaves_break_glass() {
    let proof = Proof::new("frozen", "{ freeze-configuration: { for: everyone } }").await;
    proof
        .shows(
            "turn the flags off",
            &["actor", "actor-again", "app"].map(|caller| (caller, Fate::Lost)),
        )
        .await;
}

#[tokio::test]
async fn freeze_configuration_leaves_the_data() {
    let proof = Proof::new("frozen2", "{ freeze-configuration: { for: everyone } }").await;
    proof.shows("read report.csv", &[]).await;
}

#[tokio::test]
async fn quarantine_object_hits_the_object_and_no_other() {
    let proof = Proof::new("quarantine", "quarantine-object").await;
    let everybody =
        ["stranger", "actor", "actor-again", "app", "partner"].map(|caller| (caller, Fate::Lost));
    proof.shows("read invoice.exe", &everybody).await;
}

#[tokio::test]
async fn quarantine_object_leaves_the_other_objects() {
    let proof = Proof::new("healthy", "quarantine-object").await;
    proof.shows("read report.csv", &[]).await;
}

#[tokio::test]
async fn preserve_data_keeps_everybody_from_deleting() {
    let proof = Proof::new("preserve", "preserve-data").await;
    let inside = ["actor", "actor-again", "app"].map(|caller| (caller, Fate::Lost));
    proof.shows("delete", &inside).await;
}

#[tokio::test]
async fn preserve_data_for_the_actor_leaves_the_others() {
    let proof = Proof::new("kept", "{ preserve-data: { for: actor } }").await;
    let actor = ["actor", "actor-again"].map(|caller| (caller, Fate::Lost));
    proof.shows("delete", &actor).await;
}

#[tokio::test]
async fn deny_presigned_urls_hits_every_link_and_nothing_else() {
    let proof = Proof::new("links", "deny-presigned-urls").await;
    let links = [
        "actor's link",
        "actor's old link",
        "actor-again's link",
        "actor-again's old link",
        "app's link",
        "app's old link",
        "partner's link",
        "partner's old link",
    ];
    let links = links.map(|caller| (caller, Fate::Lost));
    proof.shows("read report.csv", &links).await;
}

#[tokio::test]
async fn deny_presigned_urls_hits_uploads_by_link() {
    let proof = Proof::new("uploads", "deny-presigned-urls").await;
    let links = [
        "actor's link",
        "actor's old link",
        "actor-again's link",
        "actor-again's old link",
        "app's link",
        "app's old link",
    ];
    let links = links.map(|caller| (caller, Fate::Lost));
    proof.shows("write", &links).await;
}

#[tokio::test]
async fn deny_presigned_urls_by_age_leaves_new_links() {
    let measure = "{ deny-presigned-urls: { older-than: 10m } }";
    let proof = Proof::new("old-links", measure).await;
    let links = [
        "actor's old link",
        "actor-again's old link",
        "app's old link",
        "partner's old link",
    ];
    let links = links.map(|caller| (caller, Fate::Lost));
    proof.shows("read report.csv", &links).await;
}

#[tokio::test]
async fn deny_presigned_urls_by_age_leaves_links_that_are_young_enough() {
    let measure = "{ deny-presigned-urls: { older-than: 30m } }";
    let proof = Proof::new("young-links", measure).await;
    proof.shows("read report.csv", &[]).await;
}

/// What becomes of a caller who could do something before.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// Refused while contained.
    Lost,
    /// As before.
    Kept,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Caller {
    key: String,
    secret: String,
    token: String,
    pub(crate) userid: String,
    account: String,
}

impl Caller {
    /// A client that signs as the caller.
    pub(crate) fn client(&self, endpoint: &str) -> Client {
        let credentials = Credentials::new(
            &self.key,
            &self.secret,
            Some(self.token.clone()),
            None,
            "test",
        );
        let config = aws_sdk_s3::config::Builder::from(&config(endpoint));
        let config = config.credentials_provider(credentials);
        Client::from_conf(config.force_path_style(true).build())
    }
}

struct Proof {
    endpoint: String,
    bucket: String,
    measure: String,
    name: String,
    callers: BTreeMap<String, Caller>,
    root: Client,
}

impl Proof {
    /// A public bucket that a partner may read, too, and the callers.
    async fn new(name: &str, measure: &str) -> Self {
        let endpoint = endpoint("ministack");
        let root = client(&endpoint);
        let bucket = unique_name(&format!("portcullis-proof-{name}"));
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[
            {{"Sid":"World","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}},
            {{"Sid":"Partner","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{PARTNER}:root"}},"Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}}]}}"#
        );
        seed_bucket(&root, &bucket, Some(&policy)).await;
        root.put_object()
            .bucket(&bucket)
            .key("invoice.exe")
            .body(b"MZ".to_vec().into())
            .send()
            .await
            .unwrap();
        let callers = callers(&endpoint, &bucket[bucket.len() - 20..]);
        Self {
            name: bucket[bucket.len() - 20..].to_owned(),
            endpoint,
            bucket,
            measure: measure.to_owned(),
            callers,
            root,
        }
    }

    /// Contains the bucket, and asks everybody to do `act` before, after, and after rollback. Who is not named in `fates`
    /// must keep what they had, and links share the fate of their owner unless they are named; break-glass never is.
    #[track_caller]
    fn shows<'a>(
        &'a self,
        act: &'a str,
        fates: &'a [(&'a str, Fate)],
    ) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let before = self.statuses(act).await;
            let able = |caller: &str| before[caller] == 200;
            assert!(
                fates.iter().all(|(caller, _)| able(caller)) && able("break-glass"),
                "{place}: {before:?}"
            );
            // A link that never worked would not be missed.
            for (caller, status) in before.iter().filter(|(caller, _)| caller.contains("'s ")) {
                let by_header = before[owner(caller)];
                assert_eq!(*status, by_header, "{place}: {caller}: {before:?}");
            }
            let policy_before = policy_text(&self.root, &self.bucket).await;

            let aws = Aws::new(
                config(&self.endpoint),
                AwsOptions {
                    own_account: Some(ACCOUNT.into()),
                    ..AwsOptions::default()
                },
            );
            let own = Own {
                principals: vec![format!("arn:aws:iam::{ACCOUNT}:role/function")],
                account: Some(ACCOUNT.into()),
            };
            let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&self.bucket);
            let store = Store::Folder(Folder::new(folder));
            let text = format!(
                "version: 1\nmode: enforce\nbreak-glass: [\"arn:aws:iam::*:role/*/{}-SecurityBreakGlass\"]\n\
                 rules:\n  - id: contain\n    measures: [{}]\n",
                self.name, self.measure
            );
            let loaded = policy::load("policy.yaml", &text, jiff::civil::date(2026, 3, 1));
            let policy = loaded
                .policy
                .unwrap_or_else(|| panic!("{}", yaml::render(&loaded.diagnostics, &text, false)));
            let engine = engine_of(&aws, &store, &policy, &own);
            let report = engine.respond(&self.finding()).await.remove(0);
            assert_eq!(
                report.summary.outcome,
                Outcome::Contained,
                "{place}: {:?}",
                report.summary
            );
            let after = self.statuses(act).await;
            for (caller, before) in &before {
                let named = |name: &str| fates.iter().find(|(other, _)| *other == name);
                let fate = named(caller).or_else(|| named(owner(caller)));
                let fate = fate.map_or(Fate::Kept, |(_, fate)| *fate);
                let expected = if fate == Fate::Lost { 403 } else { *before };
                assert_eq!(
                    after[caller], expected,
                    "{place}: {caller}, {act}: {before} before"
                );
            }

            let record = Engine::load(&store, report.summary.id.as_ref().unwrap())
                .await
                .unwrap();
            let engine = Engine {
                operator: Some("operator"),
                ..engine
            };
            let undone = engine
                .rollback(&record, &RollbackRequest::default())
                .await
                .unwrap();
            assert_eq!(
                undone.summary.outcome,
                Outcome::RolledBack,
                "{place}: {:?}",
                undone.summary
            );
            assert_eq!(self.statuses(act).await, before, "{place}");
            assert_eq!(
                policy_text(&self.root, &self.bucket).await,
                policy_before,
                "{place}"
            );
        }
    }

    /// The HTTP status that everybody gets.
    async fn statuses(&self, act: &str) -> BTreeMap<String, u16> {
        let mut statuses = BTreeMap::new();
        if let Some(key) = act.strip_prefix("read ").filter(|key| !key.contains(' ')) {
            statuses.insert(
                "stranger".to_owned(),
                stranger_gets(&self.endpoint, &self.bucket, key),
            );
        }
        for (name, caller) in &self.callers {
            let client = caller.client(&self.endpoint);
            let status = match act {
                "write" => status(
                    client
                        .put_object()
                        .bucket(&self.bucket)
                        .key("new")
                        .body(b"x".to_vec().into())
                        .send()
                        .await,
                ),
                "delete" => status(
                    client
                        .delete_object()
                        .bucket(&self.bucket)
                        .key("old")
                        .send()
                        .await,
                ),
                "read the policy" => {
                    status(client.get_bucket_policy().bucket(&self.bucket).send().await)
                }
                "turn the flags off" => {
                    let off = aws_sdk_s3::types::PublicAccessBlockConfiguration::builder()
                        .block_public_acls(false)
                        .build();
                    let put = client.put_public_access_block().bucket(&self.bucket);
                    status(put.public_access_block_configuration(off).send().await)
                }
                act => {
                    let key = act.strip_prefix("read ").unwrap();
                    status(
                        client
                            .get_object()
                            .bucket(&self.bucket)
                            .key(key)
                            .send()
                            .await,
                    )
                }
            };
            statuses.insert(name.clone(), status);
            for (of, ago) in LINKS {
                if let Some(status) = self.by_link(&client, act, ago).await {
                    statuses.insert(format!("{name}{of}"), status);
                }
            }
        }
        statuses
    }

    /// The status of the same by a link that was signed `ago`; none for acts that nobody does by link.
    async fn by_link(&self, client: &Client, act: &str, ago: Duration) -> Option<u16> {
        let signing = PresigningConfig::builder()
            .start_time(SystemTime::now() - ago)
            .expires_in(Duration::from_secs(3600))
            .build()
            .unwrap();
        let key = act.strip_prefix("read ").filter(|key| !key.contains(' '));
        let (link, body): (PresignedRequest, &str) = match (act, key) {
            ("delete", _) => {
                let delete = client.delete_object().bucket(&self.bucket).key("old");
                (delete.presigned(signing).await.unwrap(), "")
            }
            ("write", _) => {
                let put = client.put_object().bucket(&self.bucket).key("new");
                (put.presigned(signing).await.unwrap(), "x")
            }
            (_, Some(key)) => {
                let get = client.get_object().bucket(&self.bucket).key(key);
                (get.presigned(signing).await.unwrap(), "")
            }
            _ => return None,
        };
        let headers: Vec<(&str, &str)> = link.headers().collect();
        Some(success(send(link.method(), link.uri(), &headers, body)))
    }

    fn finding(&self) -> Finding {
        let Ok(Event::Finding(finding)) =
            read(include_bytes!("../../events/exfiltration-anomalous.json")).remove(0)
        else {
            panic!("the event is a finding")
        };
        let actor = &self.callers["actor"];
        let bucket = Bucket {
            name: self.bucket.clone(),
            account: ACCOUNT.into(),
            objects: vec![Object {
                key: "invoice.exe".into(),
                version: None,
            }],
            ..Bucket::default()
        };
        Finding {
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            targets: vec![Target::Bucket(bucket)],
            actors: vec![Actor {
                user_type: UserType::AssumedRole,
                principal_id: Some(actor.userid.clone()),
                name: Some(format!("{}-actor", self.name)),
                account: Some(actor.account.clone()),
                ..Actor::default()
            }],
            ..*finding
        }
    }
}

/// S3 has several ways to say yes.
fn success(status: u16) -> u16 {
    match status {
        200..300 => 200,
        refusal => refusal,
    }
}

/// Whose a link is.
fn owner(caller: &str) -> &str {
    caller.split("'s ").next().unwrap_or(caller)
}

pub(crate) fn status<T, E>(answer: Result<T, aws_sdk_s3::error::SdkError<E>>) -> u16 {
    match answer {
        Ok(_) => 200,
        Err(error) => error
            .raw_response()
            .map_or(0, |response| response.status().as_u16()),
    }
}

pub(crate) fn callers(endpoint: &str, name: &str) -> BTreeMap<String, Caller> {
    let root = env!("CARGO_MANIFEST_DIR");
    let python = format!("{root}/.tools/ministack/bin/python");
    let script = format!("{root}/tests/stand-ins/callers.py");
    let output = Command::new(python)
        .args([&script, endpoint, name])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}
