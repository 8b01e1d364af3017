//! `push`: a policy file into force, driven as a process against a folder and a bucket.

use std::sync::Mutex;

use jiff::Timestamp;
use portcullis::classification::Own;
use portcullis::decision::{Situation, decide};
use portcullis::enrichment::Enrichment;
use portcullis::finding::{Event, read};
use portcullis::policy::{self, Mode, Policy};
use portcullis::record::{PolicyRef, Record, VERSION, record_id};
use portcullis::replay::replay;
use portcullis::settings::{Setting, SettingKind, Settings};
use portcullis::store::{POLICY_KEY, Push, PushError, S3Store, Store};
use serde_json::{Value, json};

use crate::cli::{Folder, ends, golden, json_of, portcullis, run_with, stderr, stdout};
use crate::stand_in::{self, Proxy, Verdict, unique_name};

pub(crate) const OLD: &str = "\
version: 1
mode: observe
break-glass: [arn:aws:iam::*:role/SecurityBreakGlass]
rules:
  - id: public
    when: { finding: [\"Policy:S3/*\"] }
    measures: [block-public-access]
  - id: everything-else
    measures: []
";

const NEW: &str = "\
version: 1
mode: enforce
break-glass: [arn:aws:iam::*:role/SecurityBreakGlass]
exceptions:
  - id: catalog
    match: { bucket: [\"amzn-s3-demo-bucket-catalog\"] }
    withhold: all
    reason: Static site (SEC-412)
    expires: 2099-12-31
rules:
  - id: thieves
    when: { finding: [\"Exfiltration:S3/*\"] }
    measures: [deny-actor, preserve-data]
  - id: public
    when: { finding: [\"Policy:S3/*\"] }
    measures: [block-public-access, remove-public-grants]
  - id: everything-else
    measures: []
";

#[test]
fn a_push_shows_what_it_changes_asks_and_keeps_every_version() {
    let folder = Folder::new();
    folder.write(".portcullis/policy.yaml", OLD);
    record(
        &folder,
        include_bytes!("../../events/anonymous-access-granted.json"),
    );
    record(
        &folder,
        include_bytes!("../../events/exfiltration-anomalous.json"),
    );
    record(
        &folder,
        include_bytes!("../../events/exfiltration-anonymous.json"),
    );
    record(&folder, include_bytes!("../../events/discovery-tor.json"));
    folder.write(".portcullis/records/r-20200101T000000Z-0-0.json", "{}");
    folder.write("new.yaml", NEW);

    let asked = ends(folder.run(&["push", "new.yaml"]), 2);
    golden("push", &stdout(&asked));
    assert!(stderr(&asked).contains("add --yes"), "{}", stderr(&asked));
    assert_eq!(folder.read(".portcullis/policy.yaml"), OLD);
    assert!(!folder.path(".portcullis/policies").exists());

    let mut command = portcullis(&["push", "new.yaml", "--yes", "--output", "json"]);
    command.current_dir(folder.path("")).env("USER", "jane");
    let output = ends(command.output().unwrap(), 0);
    let document = json_of(&output);
    let pushed = &document["pushed"];
    assert_eq!(folder.read(".portcullis/policy.yaml"), NEW);
    let copy = pushed["copy"].as_str().unwrap();
    assert_eq!(folder.read(&format!(".portcullis/{copy}")), NEW);
    let note = folder.read(&format!(".portcullis/{}", copy.replace(".yaml", ".json")));
    assert_eq!(&serde_json::from_str::<Value>(&note).unwrap(), pushed);
    assert_eq!(pushed["by"], "local user jane");
    // What came by another way is kept, too.
    let kept: Vec<String> = std::fs::read_dir(folder.path(".portcullis/policies"))
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().any(|text| text == OLD));
    // Text and JSON come from one value.
    let text = stdout(&asked);
    let differ = document["proposal"]["records"]["differ"]
        .as_array()
        .unwrap();
    assert!(!differ.is_empty());
    for replay in differ {
        assert!(text.contains(replay["id"].as_str().unwrap()), "{replay}");
    }

    let again = ends(folder.run(&["push", "new.yaml"]), 0);
    assert!(stdout(&again).contains("it is in force already"));
    // The older one again: a copy of it is there, and another push of it is another version.
    folder.write("old.yaml", OLD);
    ends(
        folder.run(&["push", "old.yaml", "--yes", "--records", "0"]),
        0,
    );
    assert_eq!(folder.read(".portcullis/policy.yaml"), OLD);
}

#[test]
fn what_is_not_valid_is_not_pushed() {
    let folder = Folder::new();
    folder.write("policy.yaml", &NEW.replace("deny-actor", "deny-acter"));
    let output = ends(folder.run(&["push", "policy.yaml", "--yes"]), 3);
    assert_eq!(stdout(&output), "");
    let message = stderr(&output);
    assert!(message.contains("policy.yaml:13:16"), "{message}");
    assert!(
        message.contains("nothing was pushed: policy.yaml is not valid: one error"),
        "{message}"
    );
    assert!(!folder.path(".portcullis").exists());
    ends(run_with(&["push", "-"], b"version: 1\n"), 3);
}

#[test]
fn a_first_policy_and_one_after_an_invalid_one_are_compared_with_the_built_in() {
    let folder = Folder::new();
    folder.write("new.yaml", NEW);
    let document = |args: &[&str]| json_of(&folder.run(&[args, &["--output", "json"]].concat()));
    let proposed = document(&["push", "new.yaml"]);
    assert_eq!(proposed["proposal"]["serving"], "built-in");
    assert_eq!(proposed["pushed"], Value::Null);
    folder.write(".portcullis/policy.yaml", "mode: nonsense\n");
    let pushed = document(&["push", "new.yaml", "--yes"]);
    assert!(
        pushed["proposal"]["serving"]["invalid"].is_string(),
        "{pushed}"
    );
    assert_eq!(folder.read(".portcullis/policy.yaml"), NEW);
}

/// Somebody replaces the policy after it was shown and before it is written.
#[tokio::test]
async fn a_policy_that_somebody_replaced_meanwhile_is_never_overwritten() {
    let endpoint = stand_in::endpoint("ministack");
    let client = stand_in::client(&endpoint);
    let bucket = unique_name("portcullis-push");
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    let store = Store::S3(S3Store::new(client.clone(), &bucket, ""));
    let folder = Folder::new();
    folder.write("new.yaml", NEW);
    let push = |url: &str| {
        let place = format!("s3://{bucket}");
        let mut command = portcullis(&["push", "new.yaml", "--yes", "--store", &place]);
        command.current_dir(folder.path("")).envs([
            ("AWS_ENDPOINT_URL", url),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]);
        command.output().unwrap()
    };

    for first in [None, Some(OLD)] {
        if let Some(text) = first {
            put(&endpoint, &bucket, text);
        }
        let theirs = format!("{OLD}# theirs, over {}\n", first.is_some());
        let once = Mutex::new(Some((endpoint.clone(), bucket.clone(), theirs.clone())));
        let write = format!("PUT /{bucket}/{POLICY_KEY}");
        let proxy = Proxy::start(&endpoint, move |request| {
            if request.starts_with(&write)
                && let Some((endpoint, bucket, text)) = once.lock().unwrap().take()
            {
                put(&endpoint, &bucket, &text);
            }
            Verdict::Pass
        });
        let output = ends(push(&proxy.url), 5);
        assert!(
            stderr(&output).contains("somebody replaced it"),
            "{}",
            stderr(&output)
        );
        let there = store.get(POLICY_KEY).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(there.bytes).unwrap(), theirs);
        let mine = format!("-{}.", &policy_digest(NEW)[..12]);
        let kept = store.list("policies/").await.unwrap();
        assert!(
            !kept.iter().any(|key| key.contains(&mine)),
            "no copy of what never served: {kept:?}"
        );
        store_is_clear(&client, &bucket).await;
    }

    put(&endpoint, &bucket, OLD);
    ends(push(&endpoint), 0);
    let there = store.get(POLICY_KEY).await.unwrap().unwrap();
    assert_eq!(there.bytes, NEW.as_bytes());
    let kept = store.list("policies/").await.unwrap();
    let note = kept.iter().find(|key| key.ends_with(".json")).unwrap();
    let note: Value =
        serde_json::from_slice(&store.get(note).await.unwrap().unwrap().bytes).unwrap();
    assert_eq!(
        note["by"],
        format!("arn:aws:iam::{}:root", stand_in::ACCOUNT)
    );
    assert_eq!(note["digest"], policy_digest(NEW));
    assert_eq!(note["replaced"], policy_digest(OLD));
}

/// An answer that is lost is not taken for a no.
#[tokio::test]
async fn a_write_whose_answer_is_lost_is_looked_up() {
    let endpoint = stand_in::endpoint("ministack");
    let client = stand_in::client(&endpoint);
    let bucket = unique_name("portcullis-push-lost");
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    put(&endpoint, &bucket, OLD);
    let write = format!("PUT /{bucket}/{POLICY_KEY}");
    let lost = Mutex::new(false);
    let proxy = Proxy::start(&endpoint, move |request| {
        match request.starts_with(&write) && !std::mem::replace(&mut *lost.lock().unwrap(), true) {
            true => Verdict::LoseAnswer,
            false => Verdict::Pass,
        }
    });
    let store = Store::S3(S3Store::new(stand_in::client(&proxy.url), &bucket, ""));
    let there = store.get(POLICY_KEY).await.unwrap().unwrap();
    let push = Push {
        text: NEW,
        replaces: Some(&there),
        by: "jane",
        at: Timestamp::now(),
    };
    let pushed = store.push_policy(&push).await.unwrap();
    assert_eq!(pushed.digest, policy_digest(NEW));
    // The same push again is one over a version that is no longer there.
    let other = Push { text: OLD, ..push };
    assert!(matches!(
        store.push_policy(&other).await,
        Err(PushError::Replaced(_))
    ));
}

/// What a rule asks for besides its measures counts; the mode of a rule that asks for nothing does not.
#[test]
fn records_differ_by_what_would_be_done() {
    let record = record_of(include_bytes!("../../events/discovery-tor.json"));
    let under = |mode: &str, measures: &str| {
        let text = OLD
            .replace("mode: observe", &format!("mode: {mode}"))
            .replace("measures: []", measures);
        let today = jiff::civil::date(2026, 3, 1);
        policy::load("policy.yaml", &text, today).policy.unwrap()
    };
    let follow = "measures: []\n    follow-up: archive-finding";
    let own = Own::default();
    let differ = |serving: &Policy, proposed: &Policy| {
        replay(&record, serving, proposed, &own, record.at).is_some()
    };
    let (idle, other_mode) = (
        under("enforce", "measures: []"),
        under("observe", "measures: []"),
    );
    let (told, only_planned) = (under("enforce", follow), under("observe", follow));
    assert!(!differ(&idle, &idle) && !differ(&told, &told));
    assert!(!differ(&idle, &other_mode));
    assert!(differ(&idle, &told) && differ(&told, &idle));
    assert!(differ(&told, &only_planned));
}

fn policy_digest(text: &str) -> String {
    let today = jiff::civil::date(2026, 3, 1);
    policy::load("policy.yaml", text, today)
        .policy
        .unwrap()
        .digest
}

/// From a thread of its own, so that a proxy's judge can call it.
fn put(endpoint: &str, bucket: &str, text: &str) {
    let (endpoint, bucket, text) = (endpoint.to_owned(), bucket.to_owned(), text.to_owned());
    let write = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let client = stand_in::client(&endpoint);
        let put = client.put_object().bucket(bucket).key(POLICY_KEY);
        runtime
            .block_on(put.body(text.into_bytes().into()).send())
            .unwrap();
    });
    write.join().unwrap();
}

async fn store_is_clear(client: &aws_sdk_s3::Client, bucket: &str) {
    client
        .delete_object()
        .bucket(bucket)
        .key(POLICY_KEY)
        .send()
        .await
        .unwrap();
}

/// Stores what `OLD` decided about a bucket whose flags are off.
fn record(folder: &Folder, event: &[u8]) {
    let record = record_of(event);
    let text = json!(record).to_string();
    folder.write(&format!(".portcullis/records/{}.json", record.id), &text);
}

fn flags_off() -> Settings {
    let flags = (SettingKind::PublicAccessBlock, Setting::Absent);
    Settings([flags].into_iter().collect())
}

/// The record of what `OLD` decides about a bucket whose flags are off.
pub(crate) fn record_of(event: &[u8]) -> Record {
    decided(event, OLD, flags_off())
}

/// The record of what a policy decides about the first target of an event.
pub(crate) fn decided(event: &[u8], policy: &str, before: Settings) -> Record {
    let Ok(Event::Finding(finding)) = read(event).remove(0) else {
        panic!("the event is a finding")
    };
    let at: Timestamp = "2026-03-01T10:15:00Z".parse().unwrap();
    let policy = policy::load("policy.yaml", policy, jiff::civil::date(2026, 3, 1))
        .policy
        .unwrap();
    let told = Enrichment::default();
    let target = finding.targets[0].clone();
    let (classification, decision) = decide(&Situation {
        finding: &finding,
        target: &target,
        policy: &policy,
        stack_mode: Mode::Enforce,
        own: &Own::default(),
        operator: None,
        observed: &before,
        enrichment: &told,
        stops: &[],
        policy_refused: false,
        now: at,
    });
    Record {
        version: VERSION,
        id: record_id(&finding, &target, at),
        run: "0".repeat(16),
        at,
        program: "0.1.0".to_owned(),
        asked_by: "event".to_owned(),
        finding: finding.into(),
        target,
        classification,
        policy: PolicyRef {
            name: policy.name.clone(),
            digest: policy.digest.clone(),
        },
        before,
        enrichment: told,
        decision,
        rollback: None,
        outcome: None,
        followed_up: Vec::new(),
    }
}
