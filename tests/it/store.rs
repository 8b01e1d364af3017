//! The store: one contract that a folder and a bucket must both keep, and what only one of them can
//! get wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contract;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Credentials, Region};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use futures_util::StreamExt;
use jiff::Timestamp;
use portcullis::store::{
    Created, Folder, POLICY_KEY, S3Store, Store, StoreLocation, lease_key, record_key, release_key,
    result_key,
};

use contract::{create, keep_the_contract, run};

const ACCOUNT: &str = "111122223333";

#[test]
fn a_folder_keeps_the_contract() {
    let folder = Scratch::new();
    keep_the_contract(&|| folder.store());
}

#[test]
fn a_bucket_keeps_the_contract_on_ministack() {
    bucket_keeps_the_contract("ministack");
}

#[test]
fn a_bucket_keeps_the_contract_on_moto() {
    bucket_keeps_the_contract("moto");
}

fn bucket_keeps_the_contract(stand_in: &str) {
    let endpoint = endpoint(stand_in);
    // The stand-ins outlive the run, so each run has a bucket of its own.
    let name = format!("portcullis-store-{}", Timestamp::now().as_nanosecond());
    let create = client(&endpoint).create_bucket().bucket(&name).send();
    run(create).unwrap();
    run(keep_versions(&client(&endpoint), &name));
    keep_the_contract(&|| Store::S3(S3Store::new(client(&endpoint), &name, "prefix")));
    let whole = Store::S3(S3Store::new(client(&endpoint), &name, ""));
    let outside = run(whole.list("")).unwrap();
    assert!(outside.iter().all(|key| key.starts_with("prefix/")));
    run(lists_all_pages(&whole));
}

/// As the deployed store does: a deleted object is then a marker over its versions.
async fn keep_versions(client: &Client, bucket: &str) {
    let versioning = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    let put = client.put_bucket_versioning().bucket(bucket);
    put.versioning_configuration(versioning)
        .send()
        .await
        .unwrap();
}

/// S3 lists a thousand keys a page.
async fn lists_all_pages(store: &Store) {
    let keys: Vec<String> = (0..1001).map(|n| format!("pages/{n:04}.json")).collect();
    let created = futures_util::stream::iter(&keys).map(|key| create(store, key, b"{}"));
    created.buffer_unordered(16).collect::<Vec<_>>().await;
    assert_eq!(store.list("pages/").await.unwrap(), keys);
}

#[test]
fn leftovers_of_a_crash_are_no_objects_and_in_nobodys_way() {
    let folder = Scratch::new();
    let store = folder.store();
    let key = record_key("a").unwrap();
    fs::create_dir_all(folder.0.join("records")).unwrap();
    for n in 0..64 {
        let name = format!("records/.tmp-{}-{n}", std::process::id());
        fs::write(folder.0.join(name), b"{\"half\":").unwrap();
    }
    run(create(&store, &key, b"{}"));
    let etag = run(store.get(&key)).unwrap().unwrap().etag;
    run(store.replace(&key, b"{1}", &etag)).unwrap();
    assert_eq!(run(store.list("")).unwrap(), std::slice::from_ref(&key));

    let mode = |path: &str| {
        fs::metadata(folder.0.join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode(&key), mode(".lock")), (0o600, 0o600));
    let left = fs::read_dir(folder.0.join("records")).unwrap().count();
    assert_eq!(left, 65, "nothing of ours is left behind");
}

#[test]
fn a_store_that_is_not_there_is_an_error_and_not_an_empty_one() {
    let folder = Scratch::new();
    fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("file");
    fs::write(&file, b"").unwrap();
    let store = Store::Folder(Folder::new(&file));
    let key = record_key("a").unwrap();
    let place = file.join("records/a.json").display().to_string();
    for (error, verb) in [
        (run(store.get(&key)).unwrap_err(), "read"),
        (run(store.create(&key, b"{}")).unwrap_err(), "create"),
    ] {
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("cannot {verb} {place}: ")),
            "{text}"
        );
        assert!(text.ends_with("a part of the path is a file: name another folder for the store"));
    }
    assert!(run(store.list("records/")).is_err());
}

#[test]
fn keys_have_one_layout_and_never_meet() {
    let id = "3ab1c2-acme.data_1";
    assert_eq!(record_key(id).unwrap(), format!("records/{id}.json"));
    assert_eq!(result_key(id).unwrap(), format!("records/{id}.result.json"));
    let lease = |bucket| lease_key(ACCOUNT, bucket).unwrap();
    assert_eq!(
        lease(Some("account")),
        format!("leases/{ACCOUNT}/account.json")
    );
    assert_eq!(lease(None), format!("leases/{ACCOUNT}/@account.json"));
    assert!(lease_key(ACCOUNT, Some("@account")).is_err());
    let release = release_key(id, ACCOUNT, Some("b")).unwrap();
    assert_eq!(release, format!("releases/{id}/{ACCOUNT}/b.json"));
    // It would be the key of the result of record `x`.
    assert!(record_key("x.result").is_err() && result_key("x.Result").is_err());
}

#[test]
fn untrusted_names_never_become_keys() {
    let long = "a".repeat(201);
    let names = [
        "", ".", "..", "a/b", "../a", "a..b", "a\\b", "a\0", "a\n", "ä", "a b", ".hidden", "%2e",
        "*", "a:b", &long,
    ];
    for name in names {
        let refused = [
            record_key(name),
            result_key(name),
            lease_key(name, None),
            lease_key(ACCOUNT, Some(name)),
            release_key(name, ACCOUNT, None),
            release_key("f", name, None),
            release_key("f", ACCOUNT, Some(name)),
        ];
        assert!(refused.iter().all(Result::is_err), "{name:?}: {refused:?}");
    }
    let text = lease_key(ACCOUNT, Some("a\n/../b"))
        .unwrap_err()
        .to_string();
    let expected = r#"the bucket "a\n/../b" cannot name an object of the store: only letters, digits, dots, underscores and hyphens are accepted"#;
    assert_eq!(text, expected);

    let folder = Scratch::new();
    let store = folder.store();
    for key in [
        "../a",
        "a/../b",
        "/etc/passwd",
        "a//b",
        "",
        ".lock",
        "a/.tmp-1",
        "a\0",
    ] {
        assert!(run(store.get(key)).is_err(), "{key:?}");
        assert!(run(store.create(key, b"")).is_err(), "{key:?}");
    }
    assert!(run(store.list("../")).is_err());
    assert!(!folder.0.exists());
}

#[test]
fn locations_are_buckets_or_folders() {
    let bucket = StoreLocation::parse("s3://acme-portcullis/team/a/").unwrap();
    assert_eq!(bucket.to_string(), "s3://acme-portcullis/team/a");
    let store = bucket.open(|| client("http://127.0.0.1:9"));
    assert_eq!(store.describe(), "s3://acme-portcullis/team/a");
    assert_eq!(
        store.place(POLICY_KEY),
        "s3://acme-portcullis/team/a/policy.yaml"
    );
    let folder = StoreLocation::parse("./x").unwrap();
    let store = folder.open(|| panic!("a folder needs no client"));
    assert_eq!(store.describe(), "folder ./x");
    for text in [
        "",
        " ",
        "s3://",
        "s3:///a",
        "s3://b/../c",
        "S3://bucket",
        "https://b",
        "s3://a b/c",
    ] {
        let error = StoreLocation::parse(text).unwrap_err().to_string();
        assert!(
            error.ends_with("write s3://bucket, s3://bucket/prefix or a folder"),
            "{error}"
        );
    }
}

#[test]
fn a_refused_read_is_an_error_and_says_what_to_do() {
    let denied = error_answer("403 Forbidden", "AccessDenied");
    let store = canned(vec![denied.clone(), denied.clone(), denied]);
    let error = run(store.get(POLICY_KEY)).unwrap_err();
    assert_eq!(
        (error.code(), error.is_transient()),
        (Some("AccessDenied"), false)
    );
    let text = error.to_string();
    let start = "cannot read s3://bucket/policy.yaml: AccessDenied (status 403: canned); the store \
                 refuses reads: check that the caller has s3:GetObject";
    assert!(text.starts_with(start), "{text}");
    let text = run(store.create(POLICY_KEY, b"x")).unwrap_err().to_string();
    assert!(
        text.contains("the store refuses writes: check that the caller has s3:PutObject"),
        "{text}"
    );
    assert!(run(store.list("")).is_err());

    let store = canned(vec![error_answer("404 Not Found", "NoSuchBucket")]);
    let text = run(store.get(POLICY_KEY)).unwrap_err().to_string();
    assert!(
        text.ends_with("the store's bucket does not exist: check the name of the store"),
        "{text}"
    );
}

#[test]
fn a_conflict_is_tried_again_and_not_for_ever() {
    let conflict = error_answer("409 Conflict", "ConditionalRequestConflict");
    let done = answer("200 OK", "ETag: \"1\"\r\n", "");
    let store = canned(vec![conflict.clone(), conflict.clone(), done]);
    let created = run(store.create(POLICY_KEY, b"x")).unwrap();
    assert_eq!(
        created,
        Created::Done {
            etag: "\"1\"".into()
        }
    );

    let store = canned(vec![conflict; 6]);
    let error = run(store.create(POLICY_KEY, b"x")).unwrap_err();
    assert_eq!(
        (error.code(), error.is_transient()),
        (Some("ConditionalRequestConflict"), true)
    );
}

#[test]
fn our_own_write_is_known_again_after_a_lost_response() {
    let refused = error_answer("412 Precondition Failed", "PreconditionFailed");
    let ours = answer("200 OK", "ETag: \"1\"\r\n", "ours");
    // The first answer never comes; the SDK sends the request again by itself.
    let store = canned(vec![String::new(), refused.clone(), ours.clone()]);
    let created = run(store.create(POLICY_KEY, b"ours")).unwrap();
    assert_eq!(
        created,
        Created::Done {
            etag: "\"1\"".into()
        }
    );

    let store = canned(vec![refused, ours]);
    let created = run(store.create(POLICY_KEY, b"theirs")).unwrap();
    assert_eq!(created, Created::Exists);
}

fn endpoint(stand_in: &str) -> String {
    let path = std::env::var_os("PORTCULLIS_TEST_ENDPOINTS").expect(
        "PORTCULLIS_TEST_ENDPOINTS is not set: run `make test`, which starts the stand-ins",
    );
    let endpoints: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    endpoints[stand_in]
        .as_str()
        .expect("an endpoint of each stand-in")
        .to_owned()
}

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(endpoint)
        .force_path_style(true)
        .build();
    Client::from_conf(config)
}

/// A bucket that gives these answers, one a request; an empty one is a connection that breaks.
fn canned(answers: Vec<String>) -> Store {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    Store::S3(S3Store::new(client(&endpoint), "bucket", ""))
}

fn error_answer(status: &str, code: &str) -> String {
    let body = format!("<Error><Code>{code}</Code><Message>canned</Message></Error>");
    answer(status, "Content-Type: application/xml\r\n", &body)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// A folder of this test's own that is not there yet, and goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("portcullis-store-{}-{n}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn store(&self) -> Store {
        Store::Folder(Folder::new(&self.0))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
