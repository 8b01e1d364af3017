//! An account of its own for each trial: buckets with something in every setting, a store, and the function behind a proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use portcullis::finding::{Event, Target, read};
use portcullis::record::target_digest;
use serde_json::{Value, json};

use crate::lambda::{Function, Process};
use crate::stand_in::{Logged, Proxy, Verdict, endpoint, unique_name};

/// The account and the buckets' prefix that the events of `events/` have.
pub(super) const ACCOUNT: &str = "111122223333";
const PREFIX: &str = "amzn-s3-demo-bucket";
const NS: &str = r#"xmlns="http://s3.amazonaws.com/doc/2006-03-01/""#;

/// What is read of a bucket to compare it.
const QUERIES: [&str; 11] = [
    "policy",
    "publicAccessBlock",
    "acl",
    "ownershipControls",
    "cors",
    "logging",
    "versioning",
    "lifecycle",
    "replication",
    "encryption",
    "tagging",
];

/// Every measure that goes together with the others, a follow-up and notices.
pub(super) const ALL: &str = "\
version: 1
mode: enforce
break-glass: [\"arn:aws:iam::*:role/SecurityBreakGlass\"]
limits: { buckets-per-hour: 1000 }
rules:
  - id: account
    when: { finding: [\"Policy:S3/Account*\"] }
    measures: [block-account-public-access]
  - id: all
    measures:
      - { preserve-data: { for: actor } }
      - block-customer-keys
      - deny-actor
      - deny-source-ip
      - freeze-configuration
      - quarantine-object
      - remove-public-grants
      - lock-access-points
      - disable-acls
      - remove-cors
      - { restore-logging: { target-bucket: amzn-s3-demo-bucket-logs, prefix: a/ } }
      - pause-replication
      - block-public-access
      - mark-contained
    expires-after: 72h
    follow-up: discover-sensitive-data
";

/// What the built-in policy would do, if it did not only observe.
pub(super) fn built_in() -> String {
    let text = include_str!("../../../src/policy/default.yaml");
    let enforcing = text.replace("mode: observe", "mode: enforce");
    assert_ne!(enforcing, text);
    enforcing
}

/// The names of the events of `events/`, sorted.
pub(super) fn events() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let names = std::fs::read_dir(folder).unwrap().filter_map(|entry| {
        let path: PathBuf = entry.unwrap().path();
        let is_event = path.extension().is_some_and(|ending| ending == "json");
        is_event.then(|| path.file_stem().unwrap().to_str().unwrap().to_owned())
    });
    let names: BTreeSet<String> = names.collect();
    names.into_iter().collect()
}

/// What the requests of a trial are called, whatever the names in them.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) account: String,
    /// The account's canonical id.
    owner: String,
    pub(super) prefix: String,
    /// The digests of the targets, which are parts of the ids of records.
    digests: Vec<String>,
}

impl Names {
    /// The text as it would be in every other scene of the same event.
    pub(super) fn plain(&self, text: &str) -> String {
        let text = text
            .replace(&self.prefix, PREFIX)
            .replace(&self.owner, "owner")
            .replace(&self.account, ACCOUNT);
        let digests = self.digests.iter().enumerate();
        digests.fold(text, |text, (index, digest)| {
            text.replace(digest, &format!("target-{index}"))
        })
    }

    /// A request under the names that all scenes share.
    pub(super) fn of(&self, request: &str) -> String {
        let plain = self.plain(request);
        let plain = plain.split("?x-id=").next().unwrap_or_default();
        plain.to_owned()
    }
}

/// One trial's world.
pub(super) struct Scene {
    pub(super) event: Value,
    pub(super) buckets: Vec<String>,
    pub(super) names: Names,
    pub(super) store: String,
    /// What the function reaches AWS through.
    pub(super) proxy: Proxy,
    pub(super) function: Function,
    pub(super) site: Site,
    victim: Victim,
}

/// The process that a judge may have to end, once there is one.
pub(super) type Victim = Arc<Mutex<Option<Process>>>;

impl Scene {
    /// The scene of an event under a policy, before anything has happened. `judge` is asked about each request of the
    /// function, whose process is put into `victim`.
    pub(super) fn new(
        event: &str,
        policy: &str,
        victim: Victim,
        judge: impl Fn(&Names, &str) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // MiniStack knows every account, and none is used twice.
        let account = format!("3{:05}{number:06}", std::process::id() % 100_000);
        let prefix = unique_name("pc");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("events/{event}.json"));
        let mut text = std::fs::read_to_string(&file)
            .unwrap()
            .replace(PREFIX, &prefix)
            .replace(ACCOUNT, &account);
        for region in ["us-west-2", "eu-west-1"] {
            text = text.replace(region, "us-east-1");
        }
        let (buckets, digests) = targets(&text, &account, &prefix);
        let upstream = endpoint("ministack");
        let site = Site {
            host: upstream.strip_prefix("http://").unwrap().to_owned(),
            account: account.clone(),
        };
        let store = format!("{prefix}-store");
        site.seed_store(&store, &policy.replace(PREFIX, &prefix));
        let names = Names {
            owner: site.owner(&store),
            account,
            prefix,
            digests,
        };
        let logs = format!("/{}-logs", names.prefix);
        site.put(&logs, "");
        // As the target of a replication has to have it.
        site.put(&format!("{logs}?versioning"), &versioning("Enabled"));
        for bucket in &buckets {
            site.seed(bucket, &names.prefix);
        }
        let known = names.clone();
        let proxy = Proxy::start(&upstream, move |request| judge(&known, request));
        let scene = Self {
            function: start(&proxy, &store, &site),
            event: serde_json::from_str(&text).unwrap(),
            buckets,
            names,
            store,
            proxy,
            site,
            victim,
        };
        *scene.victim.lock().unwrap() = Some(scene.function.process());
        scene
    }

    /// Another process of the function, where the one before has ended.
    pub(super) fn revive(&mut self) {
        if self.function.process().has_ended() {
            self.function = start(&self.proxy, &self.store, &self.site);
            *self.victim.lock().unwrap() = Some(self.function.process());
        }
    }

    /// Every setting of every bucket and of the account, as text, under the names that all scenes share.
    pub(super) fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        for bucket in &self.buckets {
            for query in QUERIES {
                let (status, body) = self.site.ask("GET", &format!("/{bucket}?{query}"), "");
                // An error's text has the id of the request in it.
                let body = match status {
                    200 => body,
                    _ => status.to_string(),
                };
                settings.insert(
                    format!("{} {query}", self.names.plain(bucket)),
                    self.names.plain(&body),
                );
            }
            let (status, body) = self.site.ask("GET", &point_policy(bucket), "");
            settings.insert(
                format!("{} access point", self.names.plain(bucket)),
                match status {
                    200 => self.names.plain(&body),
                    _ => status.to_string(),
                },
            );
        }
        let (status, body) = self
            .site
            .ask("GET", "/v20180820/configuration/publicAccessBlock", "");
        let flags = match status {
            200 => body,
            _ => status.to_string(),
        };
        settings.insert("account".to_owned(), flags);
        settings
    }

    /// The objects of the store below a prefix, by key.
    pub(super) fn stored(&self, prefix: &str) -> BTreeMap<String, Value> {
        let listing = format!("/{}?list-type=2&prefix={prefix}", self.store);
        let (status, body) = self.site.ask("GET", &listing, "");
        assert_eq!(status, 200, "{body}");
        let keys = body.split("<Key>").skip(1);
        let keys = keys.map(|rest| rest.split("</Key>").next().unwrap().to_owned());
        keys.map(|key| {
            let (_, text) = self.site.ask("GET", &format!("/{}/{key}", self.store), "");
            (key, serde_json::from_str(&text).unwrap_or(Value::Null))
        })
        .collect()
    }

    /// Lets the time pass after which a lease has ended that nobody gave back. Returns the leases that were left so.
    pub(super) fn age_leases(&self) -> Vec<Value> {
        let mut left = Vec::new();
        for (key, lease) in self.stored("leases/") {
            if lease["released"] == false {
                let mut old = lease.clone();
                old["acquired"] = json!("2020-01-01T00:00:00Z");
                old["expires"] = json!("2020-01-01T00:01:00Z");
                self.site
                    .put(&format!("/{}/{key}", self.store), &old.to_string());
                left.push(lease);
            }
        }
        left
    }

    /// The notices that SNS took, by what they say of the outcome.
    pub(super) fn notices(&self) -> Vec<String> {
        let published = self.proxy.log().into_iter().filter_map(|logged| {
            let body = String::from_utf8_lossy(&logged.body).into_owned();
            let is_taken = logged.answer.starts_with(b"HTTP/1.1 200")
                && String::from_utf8_lossy(&logged.answer).contains("MessageId");
            let subject = body
                .split('&')
                .find_map(|pair| pair.strip_prefix("Subject="));
            // "Portcullis: Contained: bucket x (...)", as a form has it.
            let outcome = subject.unwrap_or_default().split("%3A%20").nth(1);
            (is_taken && body.contains("Action=Publish"))
                .then(|| outcome.unwrap_or_default().to_owned())
        });
        published.collect()
    }

    /// Writes to the settings of a bucket that no record, stored before them, tells of.
    pub(super) fn unrecorded(&self) -> Vec<String> {
        let log = self.proxy.log();
        let is_evidence = |logged: &&Logged| {
            let request = &logged.request;
            request.starts_with("PUT ")
                && request.contains("/records/")
                && !request.contains(".result")
                && logged.answer.starts_with(b"HTTP/1.1 200")
        };
        let evidence: Vec<&Logged> = log.iter().filter(is_evidence).collect();
        let writes = log
            .iter()
            .filter(|logged| is_write_to_settings(&logged.request));
        let bare = writes.filter(|write| {
            !evidence
                .iter()
                .any(|record| record.ended.is_some_and(|ended| ended < write.began))
        });
        bare.map(|write| self.names.of(&write.request)).collect()
    }
}

/// Whether a request changes a setting of a bucket, of an access point or of the account.
pub(super) fn is_write_to_settings(request: &str) -> bool {
    let (method, path) = request.split_once(' ').unwrap_or_default();
    let of_bucket = QUERIES
        .iter()
        .any(|query| path.contains(&format!("?{query}")));
    matches!(method, "PUT" | "DELETE") && (of_bucket || path.starts_with("/v20180820/"))
}

/// MiniStack, as an account's root reaches it without the SDK, which would cost more than all else in a trial.
pub(super) struct Site {
    pub(super) host: String,
    pub(super) account: String,
}

impl Site {
    /// The status and the body of an answer.
    pub(super) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let service = if path == "/" { "sns" } else { "s3" };
        let kind = match service {
            "sns" => "application/x-www-form-urlencoded",
            _ => "application/xml",
        };
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             x-amz-account-id: {}\r\nContent-Length: {}\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential={}/20260301/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n",
            self.host,
            self.account,
            body.len(),
            self.account,
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    #[track_caller]
    pub(super) fn put(&self, path: &str, body: &str) {
        let (status, answer) = self.ask("PUT", path, body);
        assert!(
            (200..300).contains(&status),
            "PUT {path}: {status} {answer}"
        );
    }

    /// The canonical id of the account.
    fn owner(&self, bucket: &str) -> String {
        let (_, acl) = self.ask("GET", &format!("/{bucket}?acl"), "");
        let id = acl.split("<ID>").nth(1).unwrap();
        id.split('<').next().unwrap().to_owned()
    }

    fn seed_store(&self, store: &str, policy: &str) {
        self.put(&format!("/{store}"), "");
        self.put(&format!("/{store}/policy.yaml"), policy);
        let (status, _) = self.ask(
            "POST",
            "/",
            "Action=CreateTopic&Version=2010-03-31&Name=notices",
        );
        assert_eq!(status, 200);
    }

    /// Something in every setting, so that everything has to come back.
    fn seed(&self, bucket: &str, prefix: &str) {
        let at = |query: &str| format!("/{bucket}?{query}");
        let account = &self.account;
        self.put(&format!("/{bucket}"), "");
        self.put(&at("publicAccessBlock"), &format!("<PublicAccessBlockConfiguration {NS}><BlockPublicAcls>false</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls><BlockPublicPolicy>false</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets></PublicAccessBlockConfiguration>"));
        self.put(&at("policy"), &format!(
            r#"{{ "Version": "2012-10-17",  "Statement": [{{"Sid":"World","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}}, {{"Sid":"Partner", "Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{account}:root"}},"Action":["s3:ListBucket"],"Resource":"arn:aws:s3:::{bucket}"}}] }}"#
        ));
        if bucket.ends_with("--x-s3") {
            return;
        }
        self.put(&at("ownershipControls"), &format!("<OwnershipControls {NS}><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"));
        let owner = self.owner(bucket);
        let xsi = r#"xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type"#;
        // MiniStack keeps the text, so that it has to be the text that the SDK writes.
        self.put(&at("acl"), &format!("<AccessControlPolicy {NS}><AccessControlList><Grant><Grantee {xsi}=\"CanonicalUser\"><ID>{owner}</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant><Grant><Grantee {xsi}=\"Group\"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList><Owner><ID>{owner}</ID></Owner></AccessControlPolicy>"));
        self.put(&at("cors"), &format!("<CORSConfiguration {NS}><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>"));
        self.put(&at("lifecycle"), &format!("<LifecycleConfiguration {NS}><Rule><ID>old</ID><Filter><Prefix>tmp/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>"));
        self.put(&at("encryption"), &format!("<ServerSideEncryptionConfiguration {NS}><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"));
        self.put(&at("tagging"), &format!("<Tagging {NS}><TagSet><Tag><Key>team</Key><Value>data</Value></Tag></TagSet></Tagging>"));
        // S3 has no way back to a bucket that was never versioned.
        self.put(&at("versioning"), &versioning("Enabled"));
        self.put(&at("replication"), &format!("<ReplicationConfiguration {NS}><Role>arn:aws:iam::{account}:role/copy</Role><Rule><ID>all</ID><Priority>1</Priority><Filter><Prefix></Prefix></Filter><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::{prefix}-logs</Bucket></Destination><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule></ReplicationConfiguration>"));
        self.put(&at("versioning"), &versioning("Suspended"));
        let path = point_policy(bucket);
        let point = path.trim_end_matches("/policy");
        self.put(point, &format!("<CreateAccessPointRequest xmlns=\"http://awss3control.amazonaws.com/doc/2018-08-20/\"><Bucket>{bucket}</Bucket></CreateAccessPointRequest>"));
        let name = point.rsplit('/').next().unwrap();
        let policy = format!(
            r#"{{ "Version": "2012-10-17", "Statement": [ {{ "Sid": "Shared", "Effect": "Allow", "Principal": {{ "AWS": "444455556666" }}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:us-east-1:{account}:accesspoint/{name}/object/*" }} ] }}"#
        );
        let escaped = policy.replace('"', "&quot;");
        self.put(&path, &format!("<PutAccessPointPolicyRequest xmlns=\"http://awss3control.amazonaws.com/doc/2018-08-20/\"><Policy>{escaped}</Policy></PutAccessPointPolicyRequest>"));
    }
}

fn versioning(status: &str) -> String {
    format!("<VersioningConfiguration {NS}><Status>{status}</Status></VersioningConfiguration>")
}

/// The path of the policy of a bucket's access point, of which it has one.
fn point_policy(bucket: &str) -> String {
    // S3 takes 50 characters.
    let name = &bucket[bucket.len().saturating_sub(48)..];
    format!(
        "/v20180820/accesspoint/p{}/policy",
        name.trim_start_matches('-')
    )
}

fn start(proxy: &Proxy, store: &str, site: &Site) -> Function {
    let account = &site.account;
    let topic = format!("arn:aws:sns:us-east-1:{account}:notices");
    let role = format!("arn:aws:iam::{account}:role/portcullis");
    let variables = [
        ("AWS_ACCESS_KEY_ID", account.as_str()),
        ("PORTCULLIS_ROLE_ARN", &role),
        ("PORTCULLIS_TOPIC_ARN", &topic),
    ];
    Function::start(&proxy.url, store, "enforce", &variables)
}

/// The buckets of the account that an event names, but for that of a sample, which nobody has, and the digests of all of its
/// targets.
fn targets(event: &str, account: &str, prefix: &str) -> (Vec<String>, Vec<String>) {
    let (mut buckets, mut digests) = (Vec::new(), Vec::new());
    for event in read(event.as_bytes()) {
        let Ok(Event::Finding(finding)) = event else {
            continue;
        };
        for target in &finding.targets {
            digests.push(target_digest(&finding, target));
            match target {
                Target::Bucket(bucket)
                    if bucket.account == account && bucket.name.starts_with(prefix) =>
                {
                    buckets.push(bucket.name.clone());
                }
                _ => {}
            }
        }
    }
    (buckets, digests)
}
