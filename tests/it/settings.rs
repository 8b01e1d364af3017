//! Settings that S3 keeps as XML: their exact text on the way in and out, what measures make of them, and the way back.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use portcullis::aws::{self, Aws, AwsOptions, Place};
use portcullis::classification::Own;
use portcullis::decision::{Decision, Situation, decide};
use portcullis::engine::{Engine, Report, RollbackRequest};
use portcullis::enrichment::Enrichment;
use portcullis::finding::{Bucket, Event, Finding, Target, read};
use portcullis::guard::Guard;
use portcullis::plan::{Change, Plan};
use portcullis::policy::{self, Mode, Policy};
use portcullis::record::Outcome;
use portcullis::report::{self, Planned, Style};
use portcullis::rollback::{Inverse, inverse};
use portcullis::settings::{
    Acl, Document, Grant, Setting, SettingKind, Settings, XmlDocument, escaped,
};
use portcullis::store::{Folder, Store};
use portcullis::yaml;

use crate::stand_in::{ACCOUNT, client, config, endpoint, seed_bucket, unique_name};
use crate::world::engine_of;

const NS: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

// ---- Documents

#[test]
fn documents_compare_by_meaning() {
    let same = [
        ("<A/>", "<A></A>"),
        (
            "<A xmlns=\"http://x/\"/>",
            "<?xml version=\"1.0\"?>\n<A>\n</A>\n",
        ),
        (
            "<A><B>1</B><C>2</C></A>",
            "<n:A xmlns:n=\"u\">\n <n:C>2</n:C>\n <n:B>1</n:B>\n</n:A>",
        ),
        ("<A><B>1</B><B>2</B></A>", "<A><B>2</B><B>1</B></A>"),
        ("<A><B>&amp;&#34;</B></A>", "<A><B><![CDATA[&\"]]></B></A>"),
    ];
    for (one, other) in same {
        assert_eq!(parse(one), parse(other));
    }
    let different = [
        ("<A/>", "<B/>"),
        ("<A><B>1</B></A>", "<A><B>1</B><B>1</B></A>"),
        ("<A><B> </B></A>", "<A><B/></A>"),
        ("<A><B t=\"1\"/></A>", "<A><B t=\"2\"/></A>"),
        ("<A><B/><C/></A>", "<A><B><C/></B></A>"),
        ("<A><B>x</B></A>", "<A><B>X</B></A>"),
        (
            "<A><CORSRule><B>1</B></CORSRule><CORSRule><B>2</B></CORSRule></A>",
            "<A><CORSRule><B>2</B></CORSRule><CORSRule><B>1</B></CORSRule></A>",
        ),
    ];
    for (one, other) in different {
        assert_ne!(parse(one), parse(other));
    }
    let header = BTreeMap::from([("x-amz-a".to_owned(), "1".to_owned())]);
    assert_ne!(parse("<A/>").with_headers(header), parse("<A/>"));
}

#[test]
fn an_edit_leaves_every_other_byte() {
    let document = parse(
        "<?xml version=\"1.0\"?>\n<R>\n  <n:S xmlns:n=\"a>b\" x='>'>old</n:S ><!-- </S> --><S/>\n <New>é</New></R>",
    );
    let [first, second] = [0, 1].map(|index| &document.root().children[index]);
    let edits = vec![document.fill(first, "new"), document.append(second, "<T/>")];
    assert_eq!(
        document.with(edits).unwrap().text(),
        "<?xml version=\"1.0\"?>\n<R>\n  <n:S xmlns:n=\"a>b\" x='>'>new</n:S><!-- </S> --><S><T/></S>\n <New>é</New></R>"
    );
    let grown = document.with(vec![document.append(first, "<T/>")]).unwrap();
    assert!(grown.text().contains(">old<T/></n:S>"), "{}", grown.text());
}

#[test]
fn what_is_stored_is_the_exact_text() {
    let document =
        parse("<A>\n <B/> </A>").with_headers(BTreeMap::from([("h".into(), "v".into())]));
    let stored = serde_json::to_string(&document).unwrap();
    let read: XmlDocument = serde_json::from_str(&stored).unwrap();
    assert_eq!(read.text(), document.text());
    assert_eq!(read, document);
    assert!(serde_json::from_str::<XmlDocument>(r#"{"text":"<A>"}"#).is_err());
    assert!(XmlDocument::parse("<!DOCTYPE a [<!ENTITY b \"c\">]><A>&b;</A>").is_err());
}

#[test]
fn escaped_text_reads_back() {
    let text = "a<b>&\"'\r\n]]>é";
    assert_eq!(
        parse(&format!("<A>{}</A>", escaped(text))).root().text,
        text
    );
}

// ---- The wire

/// Every kind, written and read back over signed HTTP, in both stand-ins.
#[tokio::test]
async fn what_is_written_is_read_back() {
    for (stand_in, account) in [("ministack", ACCOUNT), ("moto", "123456789012")] {
        let url = endpoint(stand_in);
        let bucket = unique_name("portcullis-xml");
        seed_bucket(&client(&url), &bucket, None).await;
        let target = unique_name("portcullis-xml-target");
        let logs = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"logging.s3.amazonaws.com"}},"Action":"s3:PutObject","Resource":"arn:aws:s3:::{target}/*"}}]}}"#
        );
        seed_bucket(&client(&url), &target, Some(&logs)).await;
        let aws = Aws::new(config(&url), AwsOptions::default());
        version(&aws, &place(&target, account)).await;
        let place = place(&bucket, account);
        for (kind, written) in samples(&target) {
            aws::write(&aws, &place, &to(kind, &written))
                .await
                .unwrap_or_else(|error| panic!("{stand_in}: {error}"));
            if (stand_in, kind) == ("moto", SettingKind::Versioning) {
                // It names the outermost element after the call, which the SDK does not take.
                continue;
            }
            let seen = aws::read(&aws, &place, kind).await.unwrap();
            assert_eq!(without_headers(&seen), written, "{stand_in}: {kind}");
        }
        for kind in [SettingKind::Cors, SettingKind::OwnershipControls] {
            aws::write(&aws, &place, &to(kind, &Setting::Absent))
                .await
                .unwrap();
            let seen = aws::read(&aws, &place, kind).await.unwrap();
            assert_eq!(seen, Setting::Absent, "{stand_in}: {kind}");
        }
    }
}

/// A bucket without them says so by codes of their own, which are no failures.
#[tokio::test]
async fn what_is_not_configured_is_absent_or_empty() {
    for stand_in in ["ministack", "moto"] {
        let url = endpoint(stand_in);
        let bucket = unique_name("portcullis-none");
        seed_bucket(&client(&url), &bucket, None).await;
        let aws = Aws::new(config(&url), AwsOptions::default());
        let place = place(&bucket, ACCOUNT);
        for (kind, _) in samples("unused") {
            let seen = aws::read(&aws, &place, kind).await.unwrap();
            match (kind, stand_in) {
                (SettingKind::Versioning, "moto") => {}
                (SettingKind::Versioning | SettingKind::Logging, _) => {
                    let Setting::Present(Document::Xml(empty)) = &seen else {
                        panic!("{stand_in}: {kind}: {seen:?}")
                    };
                    assert!(empty.root().children.is_empty(), "{kind}: {seen:?}");
                }
                // Buckets are made with these since 2023, as this stand-in makes them.
                (SettingKind::Encryption | SettingKind::OwnershipControls, "ministack") => {
                    assert!(matches!(seen, Setting::Present(_)), "{kind}: {seen:?}");
                }
                _ => assert_eq!(seen, Setting::Absent, "{stand_in}: {kind}"),
            }
        }
    }
}

/// Replication is only between buckets that keep versions.
async fn version(aws: &Aws, place: &Place) {
    let enabled =
        present("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
    aws::write(aws, place, &to(SettingKind::Versioning, &enabled))
        .await
        .unwrap();
}

/// A change to `setting`, whatever was there.
fn to(kind: SettingKind, setting: &Setting) -> Change {
    Change {
        setting: kind,
        before: Setting::Absent,
        after: setting.clone(),
        measures: Vec::new(),
    }
}

/// Only S3 itself keeps what it is told in headers.
fn without_headers(setting: &Setting) -> Setting {
    match setting {
        Setting::Present(Document::Xml(document)) => present(document.text()),
        other => other.clone(),
    }
}

/// What the SDK does not know of comes in and goes out to the byte, with the checksum that S3 wants of it.
#[tokio::test]
async fn unknown_elements_and_headers_survive() {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LifecycleConfiguration {NS}><Rule><ID>é</ID><Status>Enabled</Status>\
         <Novelty kind='x'><Deep/></Novelty></Rule></LifecycleConfiguration>"
    );
    let header = "x-amz-transition-default-minimum-object-size";
    let server = Canned::start(&text, &[(header, "varies_by_storage_class")]);
    let aws = Aws::new(config(&server.url), AwsOptions::default());
    let place = place("amzn-s3-demo-bucket", ACCOUNT);
    let seen = aws::read(&aws, &place, SettingKind::Lifecycle)
        .await
        .unwrap();
    let Setting::Present(Document::Xml(document)) = &seen else {
        panic!("{seen:?}")
    };
    assert_eq!(document.text(), text);
    assert_eq!(document.headers()[header], "varies_by_storage_class");

    // As evidence, and back from it.
    let stored = serde_json::to_string(&seen).unwrap();
    let restored: Setting = serde_json::from_str(&stored).unwrap();
    aws::write(&aws, &place, &to(SettingKind::Lifecycle, &restored))
        .await
        .unwrap();
    let sent = server.requests().pop().unwrap();
    assert!(sent.head.starts_with("PUT "), "{}", sent.head);
    assert_eq!(String::from_utf8(sent.body.clone()).unwrap(), text);
    assert_eq!(sent.header("content-length"), text.len().to_string());
    assert_eq!(sent.header(header), "varies_by_storage_class");
    assert_eq!(sent.header("x-amz-expected-bucket-owner"), ACCOUNT);
    assert_eq!(sent.header("x-amz-checksum-crc32"), crc32(&sent.body));
    let signed = sent.header("authorization");
    assert!(signed.contains("x-amz-checksum-crc32"), "{signed}");
}

/// To a directory bucket S3 answers 501 where its owner is named; every other bucket's is.
#[tokio::test]
async fn a_directory_bucket_is_asked_without_its_owner() {
    let text = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let policy = serde_json::from_value(serde_json::json!({ "bucket-policy": text })).unwrap();
    let policy = Setting::Present(policy);
    for (bucket, owner, service) in [
        ("amzn-s3-demo-bucket--use1-az4--x-s3", "", "s3express"),
        ("amzn-s3-demo-bucket", ACCOUNT, "s3"),
    ] {
        let server = Canned::start(text, &[]);
        let aws = Aws::new(config(&server.url), AwsOptions::default());
        let place = place(bucket, ACCOUNT);
        let kind = SettingKind::BucketPolicy;
        let seen = aws::read(&aws, &place, kind).await.unwrap();
        assert_eq!(seen, policy);
        for setting in [&policy, &Setting::Absent] {
            aws::write(&aws, &place, &to(kind, setting)).await.unwrap();
        }
        let requests = server.requests();
        let methods: Vec<&str> = requests
            .iter()
            .map(|request| request.head.split(' ').next().unwrap())
            .collect();
        assert_eq!(methods, ["GET", "PUT", "DELETE"]);
        for request in requests {
            let line = request.head.lines().next().unwrap();
            assert!(line.contains(&format!(" /{bucket}")), "{line}");
            assert_eq!(
                request.header("x-amz-expected-bucket-owner"),
                owner,
                "{line}"
            );
            let signed = request.header("authorization");
            assert!(
                signed.contains(&format!("/us-east-1/{service}/")),
                "{signed}"
            );
        }
    }
}

/// An answer that is no XML leaves the setting unknown.
#[tokio::test]
async fn an_answer_that_is_no_xml_is_unreadable() {
    for text in ["", "not XML", "<VersioningConfiguration>"] {
        let server = Canned::start(text, &[]);
        let aws = Aws::new(config(&server.url), AwsOptions::default());
        let place = place("amzn-s3-demo-bucket", ACCOUNT);
        let seen = aws::read(&aws, &place, SettingKind::Versioning)
            .await
            .unwrap();
        assert!(
            matches!(seen, Setting::Unreadable { .. }),
            "{text:?}: {seen:?}"
        );
    }
}

// ---- Measures

/// Each measure, on what it is about: what it makes of the setting, nothing the second time, and the way back.
#[test]
fn settings_change_as_asked_and_come_back() {
    for Row {
        measure,
        kind,
        before,
        after,
    } in rows()
    {
        let observed = observed(kind, &before);
        let decision = decision(measure, &observed, &finding());
        assert!(
            decision.withheld.is_empty(),
            "{measure}: {:?}",
            decision.withheld
        );
        let mut changed = observed.clone();
        for change in &decision.plan.changes {
            changed.0.insert(change.setting, change.after.clone());
        }
        assert_eq!(text(changed.get(kind)), text(Some(&after)), "{measure}");
        let again = self::decision(measure, &changed, &finding()).plan;
        assert!(again.is_empty(), "{measure}: {again:#?}");

        let undone = inverse(&[&decision.plan], &changed, "", &[]);
        for change in &undone.plan.changes {
            changed.0.insert(change.setting, change.after.clone());
        }
        assert_eq!(
            text(changed.get(kind)),
            text(observed.get(kind)),
            "{measure}"
        );
        assert!(undone.drift.is_empty(), "{measure}");
    }
}

/// What is as it should be stays as it is.
#[test]
fn what_is_well_is_left_alone() {
    let on = "<BucketLoggingStatus><LoggingEnabled><TargetBucket>elsewhere</TargetBucket><TargetPrefix/></LoggingEnabled></BucketLoggingStatus>";
    let enforced = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";
    let blocked = "<E><Rule><BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule></E>";
    let paused =
        "<R><Rule><Status>Disabled</Status><Metrics><Status>Enabled</Status></Metrics></Rule></R>";
    let well = [
        (LOGGING, SettingKind::Logging, present(on)),
        (
            "disable-acls",
            SettingKind::OwnershipControls,
            present(enforced),
        ),
        (
            "block-customer-keys",
            SettingKind::Encryption,
            present(blocked),
        ),
        (
            "pause-replication",
            SettingKind::Replication,
            present(paused),
        ),
        (
            "pause-replication",
            SettingKind::Replication,
            Setting::Absent,
        ),
        ("remove-cors", SettingKind::Cors, Setting::Absent),
    ];
    for (measure, kind, setting) in well {
        let decision = decision(measure, &observed(kind, &setting), &finding());
        assert!(decision.plan.is_empty(), "{measure}: {:#?}", decision.plan);
        assert_eq!(
            decision.taken.len(),
            1,
            "{measure}: {:?}",
            decision.withheld
        );
        assert_eq!(
            decision.taken[0].notes.len(),
            usize::from(measure == LOGGING)
        );
    }
}

#[test]
fn what_cannot_be_read_is_not_written() {
    for Row { measure, kind, .. } in rows() {
        let unreadable = Setting::Unreadable {
            operation: "Get".to_owned(),
            code: "AccessDenied".to_owned(),
        };
        let decision = decision(measure, &observed(kind, &unreadable), &finding());
        assert_eq!(guards(&decision), [Guard::Unreadable], "{measure}");
        assert!(decision.plan.is_empty(), "{measure}");
        let unseen = self::decision(measure, &Settings::default(), &finding());
        assert_eq!(guards(&unseen), [Guard::Unreadable], "{measure}");
    }
}

#[test]
fn directory_buckets_and_accounts_have_none_of_them() {
    for Row {
        measure,
        kind,
        before,
        ..
    } in rows()
    {
        let mut finding = finding();
        let Target::Bucket(bucket) = &mut finding.targets[0] else {
            unreachable!()
        };
        bucket.directory = true;
        let decision = decision(measure, &observed(kind, &before), &finding);
        assert_eq!(guards(&decision), [Guard::DirectoryBucket], "{measure}");
        finding.targets = vec![Target::Account(finding.account.clone())];
        let decision = self::decision(measure, &observed(kind, &before), &finding);
        assert_eq!(guards(&decision), [Guard::WrongTarget], "{measure}");
    }
}

#[test]
fn a_bucket_never_logs_into_itself() {
    let off = observed(SettingKind::Logging, &present("<BucketLoggingStatus/>"));
    let measure = "{ restore-logging: { target-bucket: amzn-s3-demo-bucket } }";
    assert_eq!(
        guards(&decision(measure, &off, &finding())),
        [Guard::WrongTarget]
    );
}

/// S3 takes BucketOwnerEnforced only after the ACL is private, and the ACL back only after the ownership is.
#[test]
fn the_acl_goes_before_the_ownership_and_comes_back_after_it() {
    let observed = acl_with_partner();
    let decision = decision("disable-acls", &observed, &finding());
    assert_eq!(
        kinds(&decision.plan),
        [SettingKind::Acl, SettingKind::OwnershipControls]
    );
    assert_eq!(decision.taken[0].notes, ["partner loses READ"]);
    let now = apply(&observed, &decision.plan);
    assert_eq!(now.acl().unwrap().grants.len(), 1);
    let undone = inverse(&[&decision.plan], &now, "", &[]).plan;
    assert_eq!(
        kinds(&undone),
        [SettingKind::OwnershipControls, SettingKind::Acl]
    );
    assert_eq!(apply(&now, &undone), observed);
}

/// Settings go in the order in which S3 takes them: who may do what first, the tags last;
/// then those that are only read.
#[test]
fn settings_are_in_the_order_of_their_application() {
    use SettingKind::*;
    let order = [
        Versioning,
        Lifecycle,
        Encryption,
        BucketPolicy,
        AccessPointPolicies,
        Acl,
        OwnershipControls,
        Cors,
        Logging,
        Replication,
        PublicAccessBlock,
        AccountPublicAccessBlock,
        Tags,
        Website,
        PolicyStatus,
    ];
    assert!(order.is_sorted());
    let words: Vec<&str> = order.iter().map(|kind| kind.word()).collect();
    assert_eq!(words, SettingKind::WORDS);
}

// ---- Rollback

#[test]
fn a_bucket_that_was_never_versioned_is_suspended() {
    let never = present(&format!("<VersioningConfiguration {NS}/>"));
    let enabled =
        present("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
    let suspended =
        present("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>");
    let kind = SettingKind::Versioning;
    let undone = undo(kind, &never, &enabled, &enabled);
    assert_eq!(undone.plan.changes[0].after, suspended);
    assert!(
        undone.notes[0].contains("never been versioned"),
        "{:?}",
        undone.notes
    );
    // The second time there is nothing left to do.
    let again = undo(kind, &never, &enabled, &suspended);
    assert!(again.plan.is_empty() && again.drift.is_empty(), "{again:?}");
    assert!(
        again.notes[0].contains("never been versioned"),
        "{:?}",
        again.notes
    );

    let undone = undo(kind, &suspended, &enabled, &enabled);
    assert_eq!(undone.plan.changes[0].after, suspended);
    assert!(undone.notes.is_empty(), "{:?}", undone.notes);
}

#[test]
fn tags_that_others_added_since_stay() {
    let tags = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Setting::Present(Document::Tags(pairs.collect()))
    };
    let (before, after) = (tags(&[("a", "1")]), tags(&[("a", "1"), ("ours", "x")]));
    let now = tags(&[("a", "2"), ("b", "3"), ("ours", "x")]);
    let undone = undo(SettingKind::Tags, &before, &after, &now);
    assert_eq!(
        undone.plan.changes[0].after,
        tags(&[("a", "2"), ("b", "3")])
    );
    let taken_over = tags(&[("a", "1"), ("b", "3"), ("ours", "y")]);
    let undone = undo(SettingKind::Tags, &before, &after, &taken_over);
    assert!(
        undone.plan.is_empty() && undone.drift.is_empty(),
        "{undone:?}"
    );
    let undone = undo(
        SettingKind::Tags,
        &Setting::Absent,
        &tags(&[("ours", "x")]),
        &tags(&[("ours", "x")]),
    );
    assert_eq!(undone.plan.changes[0].after, Setting::Absent);
    let undone = undo(
        SettingKind::Tags,
        &Setting::Absent,
        &tags(&[("ours", "x")]),
        &tags(&[("b", "1"), ("ours", "x")]),
    );
    assert_eq!(undone.plan.changes[0].after, tags(&[("b", "1")]));
}

// ---- The engine

/// The measures on one bucket at once, over HTTP: contained, and back to what it was.
#[tokio::test]
async fn a_bucket_s_settings_are_contained_and_come_back() {
    let url = endpoint("ministack");
    let bucket = unique_name("portcullis-settings");
    let logs = unique_name("portcullis-logs");
    let s3 = client(&url);
    seed_bucket(&s3, &bucket, None).await;
    seed_bucket(&s3, &logs, None).await;
    let aws = Aws::new(config(&url), AwsOptions::default());
    version(&aws, &place(&logs, ACCOUNT)).await;
    let place = place(&bucket, ACCOUNT);
    for (kind, setting) in samples(&logs) {
        if kind != SettingKind::Logging {
            aws::write(&aws, &place, &to(kind, &setting)).await.unwrap();
        }
    }
    let before = all(&aws, &place).await;

    let measures = format!(
        "disable-acls, remove-cors, block-customer-keys, mark-contained, pause-replication, \
         restore-logging: {{ target-bucket: {logs}, prefix: \"a&b/\" }}"
    );
    let measures: Vec<String> = measures.splitn(6, ", ").map(str::to_owned).collect();
    let world = World::new(aws, &bucket, &measures);
    let plan = world.plan().await;
    for shown in [
        "  ~ default encryption         harden  safe  block-customer-keys\n      + Rule BlockedEncryptionTypes.EncryptionType  SSE-C\n",
        "      ~ Rule ObjectOwnership  BucketOwnerPreferred -> BucketOwnerEnforced\n  - CORS configuration ",
        "      - CORSRule  AllowedMethod GET PUT, AllowedOrigin https://example.com\n",
        "      + LoggingEnabled  TargetBucket portcullis-logs-",
        "      ~ Rule all Status  Enabled -> Disabled\n",
        "      + portcullis:contained  ",
    ] {
        assert!(plan.contains(shown), "{shown}\n{plan}");
    }
    let report = world.respond().await;
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
    let contained = all(&world.aws, &place).await;
    let id = &world.finding.id;
    assert_eq!(contained.tags().unwrap()["portcullis:contained"], *id);
    assert_eq!(contained.get(SettingKind::Cors), Some(&Setting::Absent));
    for (kind, part) in [
        (SettingKind::OwnershipControls, "BucketOwnerEnforced"),
        (SettingKind::Replication, "<Status>Disabled</Status>"),
        (SettingKind::Encryption, "SSE-C"),
        (SettingKind::Logging, "a&amp;b/"),
    ] {
        let text = contained.xml(kind).unwrap().unwrap().text();
        assert!(text.contains(part), "{kind}: {text}");
    }
    let again = world.respond().await;
    assert_eq!(
        again.summary.outcome,
        Outcome::AlreadyContained,
        "{:?}",
        again.summary
    );

    let undone = world.roll_back(&report).await;
    assert_eq!(
        undone.summary.outcome,
        Outcome::RolledBack,
        "{:?}",
        undone.summary
    );
    assert_eq!(all(&world.aws, &place).await, before);
}

/// Rules that expire objects stop, versions are kept; and the way back ends where S3 allows.
#[tokio::test]
async fn data_is_preserved_and_let_go_again() {
    let url = endpoint("ministack");
    let bucket = unique_name("portcullis-preserve");
    seed_bucket(&client(&url), &bucket, None).await;
    let aws = Aws::new(config(&url), AwsOptions::default());
    let place = place(&bucket, ACCOUNT);
    let samples: BTreeMap<_, _> = samples("unused").into_iter().collect();
    let lifecycle = &samples[&SettingKind::Lifecycle];
    aws::write(&aws, &place, &to(SettingKind::Lifecycle, lifecycle))
        .await
        .unwrap();
    let mut before = all(&aws, &place).await;

    let mut world = World::new(aws, &bucket, &["preserve-data".to_owned()]);
    // The stand-in's administrator, who is the caller here, takes the place of our role.
    world
        .own
        .principals
        .push(format!("arn:aws:iam::{ACCOUNT}:root"));
    let report = world.respond().await;
    assert_eq!(
        report.summary.outcome,
        Outcome::Contained,
        "{:?}",
        report.summary
    );
    let kept = all(&world.aws, &place).await;
    let value = |settings: &Settings, kind| text(settings.get(kind));
    assert!(value(&kept, SettingKind::Versioning).contains("Enabled"));
    assert!(value(&kept, SettingKind::Lifecycle).contains("<Status>Disabled</Status>"));
    assert!(value(&kept, SettingKind::BucketPolicy).contains("PortcullisPreserveData"));

    let undone = world.roll_back(&report).await;
    assert_eq!(
        undone.summary.outcome,
        Outcome::RolledBack,
        "{:?}",
        undone.summary
    );
    let now = all(&world.aws, &place).await;
    let suspended = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    before.0.insert(SettingKind::Versioning, present(suspended));
    assert_eq!(now, before);
}

/// The engine with a policy of its own.
struct World {
    aws: Aws,
    own: Own,
    store: Store,
    policy: Policy,
    finding: Finding,
}

impl World {
    fn new(aws: Aws, bucket: &str, measures: &[String]) -> Self {
        let mut finding = finding();
        finding.account = ACCOUNT.to_owned();
        finding.region = "us-east-1".to_owned();
        finding.targets = vec![Target::Bucket(Bucket {
            name: bucket.to_owned(),
            account: ACCOUNT.to_owned(),
            ..Bucket::default()
        })];
        let own = Own {
            principals: vec![format!("arn:aws:iam::{ACCOUNT}:role/function")],
            account: Some(ACCOUNT.to_owned()),
        };
        let root = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(bucket);
        Self {
            aws,
            own,
            store: Store::Folder(Folder::new(&root)),
            policy: policy_of(&measures.iter().map(String::as_str).collect::<Vec<_>>()),
            finding,
        }
    }

    fn engine(&self) -> Engine<'_> {
        Engine {
            operator: Some("operator"),
            ..engine_of(&self.aws, &self.store, &self.policy, &self.own)
        }
    }

    /// The plan as a person sees it.
    async fn plan(&self) -> String {
        let report = self.engine().preview(&self.finding).await.remove(0);
        let planned = Planned {
            record: report.record.unwrap(),
            break_glass: Vec::new(),
            deployed: None,
            next: None,
        };
        report::plan(&planned, Style::default())
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

async fn all(aws: &Aws, place: &Place) -> Settings {
    let mut settings = Settings::default();
    for kind in SettingKind::WORDS
        .iter()
        .filter_map(|word| SettingKind::from_word(word))
    {
        // These are of another API, which these tests do not reach.
        let elsewhere = [
            SettingKind::AccessPointPolicies,
            SettingKind::AccountPublicAccessBlock,
        ];
        if !elsewhere.contains(&kind) {
            settings
                .0
                .insert(kind, aws::read(aws, place, kind).await.unwrap());
        }
    }
    settings
}

// ---- What they are about

const LOGGING: &str = "{ restore-logging: { target-bucket: amzn-s3-demo-logs, prefix: \"a&b/\" } }";

struct Row {
    measure: &'static str,
    kind: SettingKind,
    before: Setting,
    after: Setting,
}

/// What each measure makes of a setting, to the byte.
fn rows() -> Vec<Row> {
    let row = |measure, kind, before: &str, after: &str| Row {
        measure,
        kind,
        before: present(before),
        after: present(after),
    };
    let cors = format!(
        "<CORSConfiguration {NS}><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>"
    );
    let algorithm = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>";
    let blocked =
        "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>";
    let on = "<LoggingEnabled><TargetBucket>amzn-s3-demo-logs</TargetBucket><TargetPrefix>a&amp;b/</TargetPrefix></LoggingEnabled>";
    vec![
        Row {
            measure: "remove-cors",
            kind: SettingKind::Cors,
            before: present(&cors),
            after: Setting::Absent,
        },
        row(
            "disable-acls",
            SettingKind::OwnershipControls,
            "<OwnershipControls>\n<Rule><New/><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>",
            "<OwnershipControls>\n<Rule><New/><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>",
        ),
        Row {
            measure: "disable-acls",
            kind: SettingKind::OwnershipControls,
            before: Setting::Absent,
            after: present(&format!(
                "<OwnershipControls {NS}><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>"
            )),
        },
        row(
            "pause-replication",
            SettingKind::Replication,
            "<R><Role>arn:r</Role><Rule><ID>a</ID><Status>Enabled</Status><New><Status>Enabled</Status></New></Rule><Rule><Status>Disabled</Status></Rule></R>",
            "<R><Role>arn:r</Role><Rule><ID>a</ID><Status>Disabled</Status><New><Status>Enabled</Status></New></Rule><Rule><Status>Disabled</Status></Rule></R>",
        ),
        row(
            "block-customer-keys",
            SettingKind::Encryption,
            &format!("<E><Rule>{algorithm}<BucketKeyEnabled>true</BucketKeyEnabled></Rule></E>"),
            &format!(
                "<E><Rule>{algorithm}<BucketKeyEnabled>true</BucketKeyEnabled>{blocked}</Rule></E>"
            ),
        ),
        row(
            "block-customer-keys",
            SettingKind::Encryption,
            "<E><Rule><BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes></Rule></E>",
            &format!("<E><Rule>{blocked}</Rule></E>"),
        ),
        row(
            "block-customer-keys",
            SettingKind::Encryption,
            "<E><Rule><BlockedEncryptionTypes><EncryptionType>NEW</EncryptionType></BlockedEncryptionTypes></Rule></E>",
            "<E><Rule><BlockedEncryptionTypes><EncryptionType>NEW</EncryptionType><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule></E>",
        ),
        Row {
            measure: "block-customer-keys",
            kind: SettingKind::Encryption,
            before: Setting::Absent,
            after: present(&format!(
                "<ServerSideEncryptionConfiguration {NS}><Rule>{algorithm}{blocked}</Rule></ServerSideEncryptionConfiguration>"
            )),
        },
        row(
            LOGGING,
            SettingKind::Logging,
            &format!("<?xml version=\"1.0\"?>\n<BucketLoggingStatus {NS} />"),
            &format!(
                "<?xml version=\"1.0\"?>\n<BucketLoggingStatus {NS} >{on}</BucketLoggingStatus>"
            ),
        ),
        row(
            "preserve-data",
            SettingKind::Versioning,
            "<V><Status>Suspended</Status><New/></V>",
            "<V><Status>Enabled</Status><New/></V>",
        ),
        row(
            "preserve-data",
            SettingKind::Lifecycle,
            "<L><Rule><Status>Enabled</Status><Expiration/></Rule><Rule><Status>Enabled</Status><Transition/></Rule></L>",
            "<L><Rule><Status>Disabled</Status><Expiration/></Rule><Rule><Status>Enabled</Status><Transition/></Rule></L>",
        ),
        Row {
            measure: "mark-contained",
            kind: SettingKind::Tags,
            before: Setting::Present(Document::Tags(BTreeMap::from([(
                "team".to_owned(),
                "data".to_owned(),
            )]))),
            after: Setting::Present(Document::Tags(BTreeMap::from([
                ("portcullis:contained".to_owned(), finding().id),
                ("team".to_owned(), "data".to_owned()),
            ]))),
        },
    ]
}

/// A document of each kind that stand-ins take.
fn samples(target: &str) -> Vec<(SettingKind, Setting)> {
    let destination = format!("<Destination><Bucket>arn:aws:s3:::{target}</Bucket></Destination>");
    let samples = vec![
        (
            SettingKind::Versioning,
            format!(
                "<VersioningConfiguration {NS}><Status>Enabled</Status></VersioningConfiguration>"
            ),
        ),
        (
            SettingKind::Lifecycle,
            format!(
                "<LifecycleConfiguration {NS}><Rule><ID>old</ID><Filter><Prefix>tmp/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>"
            ),
        ),
        (
            SettingKind::Encryption,
            format!(
                "<ServerSideEncryptionConfiguration {NS}><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"
            ),
        ),
        (
            SettingKind::OwnershipControls,
            format!(
                "<OwnershipControls {NS}><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>"
            ),
        ),
        (
            SettingKind::Cors,
            format!(
                "<CORSConfiguration {NS}><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedOrigin>https://example.com</AllowedOrigin></CORSRule></CORSConfiguration>"
            ),
        ),
        (
            SettingKind::Logging,
            format!(
                "<BucketLoggingStatus {NS}><LoggingEnabled><TargetBucket>{target}</TargetBucket><TargetPrefix>a/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>"
            ),
        ),
        (
            SettingKind::Replication,
            format!(
                "<ReplicationConfiguration {NS}><Role>arn:aws:iam::{ACCOUNT}:role/copy</Role><Rule><ID>all</ID><Priority>1</Priority><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>{destination}<DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule></ReplicationConfiguration>"
            ),
        ),
    ];
    samples
        .into_iter()
        .map(|(kind, text)| (kind, present(&text)))
        .collect()
}

/// A bucket of which everything is known, and one setting is as given.
fn observed(kind: SettingKind, setting: &Setting) -> Settings {
    let mut observed = Settings::default();
    for word in SettingKind::WORDS {
        let kind = SettingKind::from_word(word).unwrap();
        observed.0.insert(kind, Setting::Absent);
    }
    observed.set(SettingKind::Acl, Document::Acl(acl(&[])));
    observed.0.insert(kind, setting.clone());
    observed
}

fn acl_with_partner() -> Settings {
    let grant = Grant {
        grantee_type: "CanonicalUser".to_owned(),
        grantee: "partner".to_owned(),
        permission: "READ".to_owned(),
    };
    observed(
        SettingKind::Acl,
        &Setting::Present(Document::Acl(acl(&[grant]))),
    )
}

fn acl(others: &[Grant]) -> Acl {
    let owner = Acl {
        owner: "owner".to_owned(),
        grants: Vec::new(),
    };
    let mut acl = owner.private();
    acl.grants.extend_from_slice(others);
    acl
}

fn finding() -> Finding {
    let event = include_bytes!("../../events/exfiltration-anomalous.json");
    let Ok(Event::Finding(finding)) = read(event).remove(0) else {
        panic!("the event is a finding")
    };
    let bucket = Bucket {
        name: "amzn-s3-demo-bucket".to_owned(),
        account: finding.account.clone(),
        ..Bucket::default()
    };
    Finding {
        targets: vec![Target::Bucket(bucket)],
        ..*finding
    }
}

fn policy_of(measures: &[&str]) -> Policy {
    let measures: String = measures.iter().map(|m| format!("      - {m}\n")).collect();
    let yaml = format!(
        "version: 1\nmode: enforce\nbreak-glass: [\"arn:aws:iam::*:role/SecurityBreakGlass\"]\n\
         rules:\n  - id: contain\n    measures:\n{measures}"
    );
    let loaded = policy::load("policy.yaml", &yaml, jiff::civil::date(2026, 3, 1));
    let diagnostics = yaml::render(&loaded.diagnostics, &yaml, false);
    loaded.policy.unwrap_or_else(|| panic!("{diagnostics}"))
}

fn decision(measure: &str, observed: &Settings, finding: &Finding) -> Decision {
    let policy = policy_of(&[measure]);
    let own = Own {
        principals: vec!["arn:aws:iam::111122223333:role/function".to_owned()],
        account: Some(finding.account.clone()),
    };
    let situation = Situation {
        finding,
        target: &finding.targets[0],
        policy: &policy,
        stack_mode: Mode::Enforce,
        own: &own,
        operator: None,
        observed,
        enrichment: &Enrichment::default(),
        stops: &[],
        policy_refused: false,
        now: Timestamp::UNIX_EPOCH,
    };
    decide(&situation).1
}

fn undo(kind: SettingKind, before: &Setting, after: &Setting, now: &Setting) -> Inverse {
    let plan = Plan {
        changes: vec![Change {
            setting: kind,
            before: before.clone(),
            after: after.clone(),
            measures: vec!["measure".to_owned()],
        }],
    };
    inverse(
        &[&plan],
        &Settings(BTreeMap::from([(kind, now.clone())])),
        "",
        &[],
    )
}

fn apply(settings: &Settings, plan: &Plan) -> Settings {
    let mut settings = settings.clone();
    for change in &plan.changes {
        settings.0.insert(change.setting, change.after.clone());
    }
    settings
}

fn kinds(plan: &Plan) -> Vec<SettingKind> {
    plan.changes.iter().map(|change| change.setting).collect()
}

fn guards(decision: &Decision) -> Vec<Guard> {
    decision
        .withheld
        .iter()
        .map(|withheld| withheld.guard)
        .collect()
}

fn present(text: &str) -> Setting {
    Setting::Present(Document::Xml(parse(text)))
}

fn parse(text: &str) -> XmlDocument {
    XmlDocument::parse(text).unwrap()
}

/// Settings compare by meaning; this compares their text.
fn text(setting: Option<&Setting>) -> String {
    serde_json::to_string(&setting).unwrap()
}

fn place(bucket: &str, account: &str) -> Place {
    Place {
        bucket: Some(bucket.to_owned()),
        account: account.to_owned(),
        region: "us-east-1".to_owned(),
        partition: "aws".to_owned(),
    }
}

// ---- A server that answers one thing

struct Canned {
    url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone)]
struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> String {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(header, _)| header.eq_ignore_ascii_case(name));
        found
            .next()
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    }
}

impl Canned {
    fn start(text: &str, headers: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{text}",
            text.len()
        );
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut bytes = Vec::new();
                let mut chunk = [0; 4096];
                let request = loop {
                    let count = stream.read(&mut chunk).unwrap_or_default();
                    bytes.extend_from_slice(&chunk[..count]);
                    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
                    let head = end.map(|end| String::from_utf8_lossy(&bytes[..end]).into_owned());
                    let request = head.map(|head| Request {
                        body: bytes[end.unwrap() + 4..].to_vec(),
                        head,
                    });
                    match request {
                        Some(request)
                            if request.body.len()
                                >= request.header("content-length").parse().unwrap_or(0) =>
                        {
                            break Some(request);
                        }
                        _ if count == 0 => break None,
                        _ => {}
                    }
                };
                kept.lock().unwrap().extend(request);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, seen }
    }

    fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

/// The checksum as S3 defines it: CRC-32 of the body, big-endian, in base 64.
fn crc32(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 * (sum & 1))
        })
    });
    aws_smithy_types::base64::encode((!sum).to_be_bytes())
}
