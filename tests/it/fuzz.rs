//! Untrusted text, mutated: examples that somebody wrote, with a few things wrong with them. `PROPTEST_CASES` raises the
//! number of cases of each target; `make fuzz` runs the same targets with libFuzzer.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;

use portcullis::finding::{Event, read};
use portcullis::policy::Policy;
use portcullis::settings::{Setting, SettingKind, Settings};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

#[test]
fn events() {
    fuzz(
        800,
        json_of(&documents("events", "json")),
        targets::target("event"),
    );
}

#[test]
fn policy_files() {
    let mut corpus = documents("tests/cases/policy", "yaml");
    corpus.push(std::fs::read(root().join("src/policy/default.yaml")).unwrap());
    fuzz(800, texts_of(corpus), targets::target("policy_file"));
}

#[test]
fn policy_test_files() {
    let mut corpus = documents("tests/cases/policy-tests", "yaml");
    corpus.extend(documents("src/policy_test/examples", "yaml"));
    fuzz(400, texts_of(corpus), targets::target("policy_test"));
}

#[test]
fn bucket_policies() {
    fuzz(
        400,
        json_of(&bucket_policy_corpus()),
        targets::target("bucket_policy"),
    );
}

#[test]
fn xml_settings() {
    let corpus = XML.iter().enumerate().map(|(kind, text)| {
        let kind = u8::try_from(kind).unwrap();
        [&[kind], text.as_bytes()].concat()
    });
    fuzz(
        800,
        texts_of(corpus.collect()),
        targets::target("xml_setting"),
    );
}

#[test]
fn stored_records() {
    fuzz(
        2_000,
        json_of(&record_corpus()),
        targets::target("stored_record"),
    );
}

/// What is as large or as deep as it can get: it is answered, and at once.
#[test]
fn sizes_and_depths() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}{}", open.repeat(depth), close.repeat(depth))
    };
    let event = String::from_utf8(documents("events", "json").remove(0)).unwrap();
    let field =
        |value: &str| event.replacen("\"title\":", &format!("\"x\": {value}, \"title\":"), 1);
    assert_ne!(field("1"), event);
    let many: Vec<Value> = (0..400)
        .map(|n| json!({"uid": format!("arn:aws:s3:::amzn-s3-demo-bucket-{n}"), "resourceType": "S3_BUCKET", "name": format!("amzn-s3-demo-bucket-{n}"), "accountId": "111122223333", "region": "us-east-1"}))
        .collect();
    let sequence = std::fs::read(root().join("events/attack-sequence-s3.json")).unwrap();
    let mut sequence: Value = serde_json::from_slice(&sequence).unwrap();
    sequence["detail"]["service"]["detection"]["sequence"]["resources"] = json!(many);
    for text in [
        nested("[", "]", 100_000),
        nested("{\"a\":", "}", 40_000),
        field(&nested("[", "]", 100)),
        field(&nested("[", "]", 50_000)),
        field("1e999"),
        field(&"9".repeat(100_000)),
        field(&format!("\"{}\"", "\\u202e".repeat(40_000))),
        field(&format!("\"{}\"", "x".repeat(250_000))),
        sequence.to_string(),
    ] {
        targets::target("event")(text.as_bytes());
    }
    targets::target("event")(&[0xff; 1_000]);
    for text in [
        nested("[", "]", 20_000),
        format!("version: {}", "9".repeat(10_000)),
        format!("a: &a [{}]\nb: [{}]", "x,".repeat(100), "*a,".repeat(5_000)),
        (0..9).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
            format!(
                "{text}a{}: &a{} [{}]\n",
                n + 1,
                n + 1,
                format!("*a{n},").repeat(10)
            )
        }),
        format!("rules:\n{}", "  - measures: []\n".repeat(5_000)),
        " ".repeat(100_000),
    ] {
        targets::target("policy_file")(text.as_bytes());
        targets::target("policy_test")(text.as_bytes());
    }
    let statement = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::amzn-s3-demo-bucket/*"}"#;
    let policy = |statements: &[&str]| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
            statements.join(",")
        )
    };
    targets::target("bucket_policy")(policy(&vec![statement; 170]).as_bytes());
    targets::target("bucket_policy")(policy(&[&nested("[", "]", 60)]).as_bytes());
    targets::target("xml_setting")(format!("\0{}", "<a>".repeat(50_000)).as_bytes());
    targets::target("xml_setting")(
        format!("\0{}{}", "<a>".repeat(900), "</a>".repeat(900)).as_bytes(),
    );
}

/// Shown as text where a case fails.
struct Text(Vec<u8>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// One thing that is wrong with a text.
#[derive(Debug, Clone)]
enum Mutation {
    Byte(Index, u8),
    Token(Index, &'static str),
    Cut(Index, u8),
    Repeat(Index, u8, u8),
    /// Another example's rest instead of its own.
    Splice(Index, Index, Index),
}

const TOKENS: [&str; 24] = [
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "-1",
    "1e999",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "\u{202e}",
    "\u{feff}",
    "\u{1b}[2J",
    "..",
    "/../",
    "*",
    "${aws:username}",
    "<!channel>",
    "&lt;",
    "<![CDATA[",
    "arn:aws:iam::*:root",
    "\r\n",
    "- ",
    "&a *a",
];

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        (at(), select(&TOKENS[..])).prop_map(|(at, token)| Mutation::Token(at, token)),
        (at(), any::<u8>()).prop_map(|(at, length)| Mutation::Cut(at, length)),
        (at(), any::<u8>(), 1..40_u8)
            .prop_map(|(at, length, times)| Mutation::Repeat(at, length, times)),
        (at(), at(), at()).prop_map(|(other, from, to)| Mutation::Splice(other, from, to)),
    ]
}

fn mutated(mut text: Vec<u8>, mutations: &[Mutation], corpus: &[Vec<u8>]) -> Vec<u8> {
    for mutation in mutations {
        let length = text.len() + 1;
        match mutation {
            Mutation::Byte(at, byte) => {
                let at = at.index(length);
                text.splice(at..(at + 1).min(text.len()), [*byte]);
            }
            Mutation::Token(at, token) => {
                let at = at.index(length);
                text.splice(at..at, token.bytes());
            }
            Mutation::Cut(at, cut) => {
                let at = at.index(length);
                text.drain(at..(at + usize::from(*cut)).min(text.len()));
            }
            Mutation::Repeat(at, cut, times) => {
                let at = at.index(length);
                let part = text[at..(at + usize::from(*cut)).min(text.len())].to_vec();
                text.splice(at..at, part.repeat(usize::from(*times)));
            }
            Mutation::Splice(other, from, to) => {
                let other = other.get(corpus);
                text.truncate(to.index(length));
                text.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
        }
    }
    text
}

fn texts_of(corpus: Vec<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    (
        select(corpus.clone()),
        prop::collection::vec(mutation(), 0..6),
    )
        .prop_map(move |(text, mutations)| mutated(text, &mutations, &corpus))
        .boxed()
}

/// JSON documents: as text, or with values of another kind, so that they still are JSON.
fn json_of(corpus: &[Vec<u8>]) -> BoxedStrategy<Vec<u8>> {
    let values: Vec<Value> = corpus
        .iter()
        .map(|text| serde_json::from_slice(text).unwrap())
        .collect();
    let odd = prop_oneof![
        select(&ODD[..]).prop_map(|odd| serde_json::from_str(odd).unwrap()),
        select(values.clone()),
        "\\PC{0,40}".prop_map(Value::String),
        any::<f64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(|number| json!(number)),
    ];
    let changes = prop::collection::vec((any::<Index>(), odd, any::<bool>()), 1..5);
    let as_json = (select(values), changes).prop_map(|(mut value, changes)| {
        for (at, odd, in_list) in changes {
            let mut places = 0;
            each(&mut value, &mut |_| places += 1);
            let (chosen, mut seen) = (at.index(places), 0);
            each(&mut value, &mut |place| {
                if seen == chosen {
                    *place = if in_list {
                        json!([odd, place.take()])
                    } else {
                        odd.clone()
                    };
                }
                seen += 1;
            });
        }
        value.to_string().into_bytes()
    });
    prop_oneof![texts_of(corpus.to_vec()), as_json].boxed()
}

const ODD: [&str; 12] = [
    "null",
    "true",
    "0",
    "-1",
    "\"\"",
    "[]",
    "{}",
    "[[]]",
    "{\"\":null}",
    "\"*\"",
    "\"../../x\"",
    "\"\\u001b[2J\\n\\u202e\"",
];

fn each(value: &mut Value, visit: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, visit)),
        Value::Object(map) => map.values_mut().for_each(|item| each(item, visit)),
        _ => {}
    }
    visit(value);
}

#[track_caller]
fn fuzz(cases: u32, texts: BoxedStrategy<Vec<u8>>, target: targets::Fuzzed) {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(cases);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let seed = std::env::var("PROPTEST_RNG_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(7_u8);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let outcome = TestRunner::new_with_rng(config, rng).run(&texts.prop_map(Text), |text| {
        target(&text.0);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Every file of a folder, and of the folders in it, that ends so.
fn documents(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == ending)
            {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn bucket_policy_corpus() -> Vec<Vec<u8>> {
    let observed = documents("tests/cases/decide", "json")
        .into_iter()
        .filter_map(|text| {
            let value: Value = serde_json::from_slice(&text).ok()?;
            let settings: Settings = serde_json::from_value(value).ok()?;
            let policy = settings
                .get(SettingKind::BucketPolicy)
                .and_then(Setting::policy)?;
            Some(policy.text().as_bytes().to_vec())
        });
    let observed: Vec<Vec<u8>> = observed.collect();
    assert!(observed.len() > 20, "{}", observed.len());
    observed
}

fn record_corpus() -> Vec<Vec<u8>> {
    let everything = targets::everything();
    let observed = Settings([(SettingKind::BucketPolicy, Setting::Absent)].into());
    let events = documents("events", "json");
    let findings = events
        .iter()
        .flat_map(|event| read(event))
        .filter_map(|event| match event {
            Ok(Event::Finding(finding)) => Some(finding),
            _ => None,
        });
    let records = findings.flat_map(|finding| {
        let targets = finding.targets.iter().take(1);
        let records = targets.flat_map(|target| {
            [&everything, &Policy::built_in()]
                .map(|policy| targets::record(&finding, target, policy, &observed))
        });
        records.collect::<Vec<_>>()
    });
    records
        .map(|record| serde_json::to_vec(&record).unwrap())
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One of each kind, in the order of the target's.
const XML: [&str; 5] = [
    r#"<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ID>old</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule><Rule><ID>parts</ID><Filter/><Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>"#,
    r#"<ReplicationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Role>arn:aws:iam::111122223333:role/replication</Role><Rule><ID>out</ID><Status>Enabled</Status><Priority>1</Priority><Filter><Prefix/></Filter><Destination><Bucket>arn:aws:s3:::amzn-s3-demo-bucket-2</Bucket></Destination></Rule></ReplicationConfiguration>"#,
    r#"<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule><CORSRule><AllowedOrigin>https://example.com</AllowedOrigin><AllowedMethod>PUT</AllowedMethod></CORSRule></CORSConfiguration>"#,
    r#"<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"#,
    r#"<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Suspended</Status></VersioningConfiguration>"#,
];
