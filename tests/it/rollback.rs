//! The inverse of a plan: what is as we left it goes back to the byte, what others changed since stays, the rest is drift.

use std::collections::BTreeSet;

use portcullis::plan::{Change, Plan};
use portcullis::rollback::{Inverse, inverse};
use portcullis::settings::{
    Acl, Document, Grant, PolicyDocument, PublicAccessBlock, Setting, SettingKind, Settings,
};
use portcullis::statements::{By, Deny, Hits};

const ARN: &str = "arn:aws:s3:::amzn-s3-demo-bucket";
const APPLICATION: &str = r#"{"Sid":"Application","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/app"},"Action":"s3:*","Resource":"arn:aws:s3:::amzn-s3-demo-bucket/*"}"#;
const PUBLIC: &str = r#"{ "Sid": "PublicRead", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::amzn-s3-demo-bucket/*" }"#;
const PARTNER: &str = r#"{"Sid":"Partner","Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::amzn-s3-demo-bucket/*"}"#;
const ANA: &str = "AROACKCEVSQ6C2EXAMPLE:*";
const NIKKI: &str = "AIDACKCEVSQ6C2EXAMPLE";

/// What a rollback is expected to do with the bucket policy.
enum Expected<'a> {
    /// It becomes exactly this text.
    Text(&'a str),
    Deleted,
    Nothing,
    /// It is refused, with this in the reason.
    Drift(&'a str),
}

#[track_caller]
fn check(before: &Setting, after: &Setting, now: &Setting, expected: Expected) {
    let plan = plan(SettingKind::BucketPolicy, before, after);
    let done = inverse(
        &[&plan],
        &observed(SettingKind::BucketPolicy, now),
        ARN,
        &[],
    );
    check_policy(&done, expected);
}

#[track_caller]
fn check_policy(done: &Inverse, expected: Expected) {
    let becomes = done.plan.changes.first().map(|change| &change.after);
    match expected {
        Expected::Text(text) => {
            assert_eq!(done.drift, []);
            assert_eq!(becomes.map(text_of), Some(text.to_owned()));
        }
        Expected::Deleted => {
            assert_eq!(done.drift, []);
            assert_eq!(becomes, Some(&Setting::Absent));
        }
        Expected::Nothing => {
            assert_eq!(done.drift, []);
            assert_eq!(becomes, None);
        }
        Expected::Drift(why) => {
            assert_eq!(becomes, None);
            assert_eq!(done.drift.len(), 1);
            assert!(done.drift[0].why.contains(why), "{}", done.drift[0].why);
        }
    }
}

#[test]
fn untouched_policy_gets_its_very_bytes_back() {
    let text = format!("{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": {APPLICATION}\n}}");
    let before = policy(&text);
    let after = denied(&before, &[ANA]);
    check(&before, &after, &after, Expected::Text(&text));
    // S3 gives a one-element list back as a scalar; that is no change by anybody.
    let rewritten = policy(&text_of(&after).replace(r#"["s3:*"]"#, r#""s3:*""#));
    assert_ne!(text_of(&rewritten), text_of(&after));
    check(&before, &after, &rewritten, Expected::Text(&text));
}

#[test]
fn policy_that_was_absent_is_deleted() {
    let after = denied(&Setting::Absent, &[ANA]);
    check(&Setting::Absent, &after, &after, Expected::Deleted);
}

#[test]
fn policy_that_was_deleted_is_written_again() {
    let text = document(&[PUBLIC]);
    let before = policy(&text);
    check(
        &before,
        &Setting::Absent,
        &Setting::Absent,
        Expected::Text(&text),
    );
}

#[test]
fn statement_that_others_added_since_is_kept() {
    let before = policy(&document(&[APPLICATION]));
    let after = denied(&before, &[ANA]);
    let now = policy(&with(&text_of(&after), PARTNER));
    let expected = document(&[APPLICATION, PARTNER]);
    check(&before, &after, &now, Expected::Text(&expected));
}

#[test]
fn statement_that_others_took_away_since_stays_away() {
    let before = policy(&document(&[APPLICATION, PARTNER]));
    let after = denied(&before, &[ANA]);
    let now = denied(&policy(&document(&[PARTNER])), &[ANA]);
    let expected = document(&[PARTNER]);
    check(&before, &after, &now, Expected::Text(&expected));
}

#[test]
fn removed_public_statement_comes_back_in_its_place() {
    let before = policy(&document(&[PUBLIC, APPLICATION]));
    let after = policy(&document(&[APPLICATION]));
    let now = policy(&document(&[APPLICATION, PARTNER]));
    let expected = document(&[PUBLIC, APPLICATION, PARTNER]);
    check(&before, &after, &now, Expected::Text(&expected));
}

/// Two statements of one Sid would be refused by S3, and the owner may have narrowed it on purpose.
#[test]
fn removed_public_statement_that_somebody_wrote_anew_is_drift() {
    let before = policy(&document(&[PUBLIC, APPLICATION]));
    let after = policy(&document(&[APPLICATION]));
    let narrowed = PUBLIC.replace(r#""*","#, r#"{"AWS":"444455556666"},"#);
    let now = policy(&document(&[&narrowed, APPLICATION]));
    let expected = Expected::Drift("statement PublicRead was removed and somebody has written");
    check(&before, &after, &now, expected);
}

#[test]
fn statement_of_ours_that_others_removed_leaves_nothing_to_do() {
    let before = policy(&document(&[APPLICATION]));
    let after = denied(&before, &[ANA]);
    check(&before, &after, &before, Expected::Nothing);
    // Not even where they changed something else besides.
    let now = policy(&document(&[APPLICATION, PARTNER]));
    check(&before, &after, &now, Expected::Nothing);
}

#[test]
fn edited_statement_of_ours_is_drift_until_it_is_forced() {
    let before = policy(&document(&[APPLICATION]));
    let after = denied(&before, &[ANA]);
    let edited = text_of(&after).replace(r#"["s3:*"]"#, r#""s3:*","Comment":"kept on purpose""#);
    let now = policy(&edited);
    let refused = Expected::Drift("statement PortcullisDenyActor was changed by somebody");
    check(&before, &after, &now, refused);

    let plan = plan(SettingKind::BucketPolicy, &before, &after);
    let now = observed(SettingKind::BucketPolicy, &now);
    let forced = inverse(&[&plan], &now, ARN, &[SettingKind::BucketPolicy]);
    check_policy(&forced, Expected::Text(&document(&[APPLICATION])));
    // Forcing another setting forces nothing here.
    let other = inverse(&[&plan], &now, ARN, &[SettingKind::Acl]);
    check_policy(&other, Expected::Drift("was changed by somebody"));
}

#[test]
fn two_containments_in_one_statement_are_undone_in_either_order() {
    let original = document(&[APPLICATION]);
    let start = policy(&original);
    let first = denied(&start, &[ANA]);
    let second = denied(&first, &[NIKKI]);
    let statements = statements_of(&second);
    assert_eq!(statements.len(), 2, "merged into one statement");

    // Last in, first out.
    check(&first, &second, &second, Expected::Text(&text_of(&first)));
    check(&start, &first, &first, Expected::Text(&original));

    // First in, first out: what the second hits stays until it is undone itself.
    let only_second = denied(&start, &[NIKKI]);
    check(
        &start,
        &first,
        &second,
        Expected::Text(&text_of(&only_second)),
    );
    check(&first, &second, &only_second, Expected::Text(&original));
}

#[test]
fn two_containments_of_a_bucket_without_a_policy_leave_none() {
    let first = denied(&Setting::Absent, &[ANA]);
    let second = denied(&first, &[NIKKI]);
    let only_second = denied(&Setting::Absent, &[NIKKI]);
    let expected = text_of(&only_second);
    check(&Setting::Absent, &first, &second, Expected::Text(&expected));
    check(&first, &second, &only_second, Expected::Deleted);
}

/// Only the list of those who are spared was renewed by the second containment, so the isolation is not its to lift.
#[test]
fn isolation_that_was_only_renewed_is_kept() {
    let start = policy(&document(&[APPLICATION]));
    let first = isolated(&start, &["arn:aws:iam::*:role/BreakGlass"]);
    let spared = [
        "arn:aws:iam::*:role/BreakGlass",
        "arn:aws:iam::*:role/Second",
    ];
    let second = isolated(&first, &spared);
    let now = policy(&with(&text_of(&second), PARTNER));
    check(&first, &second, &now, Expected::Nothing);
    // The first containment is what isolated, and it lifts it.
    let expected = document(&[APPLICATION, PARTNER]);
    check(&start, &first, &now, Expected::Text(&expected));
}

#[test]
fn policy_that_cannot_be_read_now_is_drift() {
    let before = policy(&document(&[APPLICATION]));
    let after = denied(&before, &[ANA]);
    let now = unreadable("GetBucketPolicy");
    let expected = Expected::Drift("cannot be read now: GetBucketPolicy answered AccessDenied");
    check(&before, &after, &now, expected);
    // Nor is one that nobody looked at.
    let plan = plan(SettingKind::BucketPolicy, &before, &after);
    let unseen = inverse(&[&plan], &Settings::default(), ARN, &[]);
    check_policy(&unseen, Expected::Drift("cannot be read now"));
}

#[test]
fn flags_go_back_only_from_where_we_left_them() {
    let kind = SettingKind::PublicAccessBlock;
    let one = PublicAccessBlock {
        block_public_acls: true,
        ..PublicAccessBlock::default()
    };
    let all = flags(PublicAccessBlock::ALL);
    for before in [Setting::Absent, flags(one)] {
        let plan = plan(kind, &before, &all);
        let back = inverse(&[&plan], &observed(kind, &all), ARN, &[]);
        assert_eq!(back.plan.changes[0].before, all);
        assert_eq!(back.plan.changes[0].after, before);

        let already = inverse(&[&plan], &observed(kind, &before), ARN, &[]);
        assert_eq!((already.plan, already.drift.len()), (Plan::default(), 0));
        assert_eq!(already.notes.len(), 1);

        let changed = PublicAccessBlock {
            restrict_public_buckets: false,
            ..PublicAccessBlock::ALL
        };
        let now = observed(kind, &flags(changed));
        let drifted = inverse(&[&plan], &now, ARN, &[]);
        assert!(drifted.plan.is_empty());
        let drift = &drifted.drift[0];
        assert_eq!(
            (&drift.was, &drift.left, &drift.now),
            (&before, &all, &flags(changed))
        );
        let forced = inverse(&[&plan], &now, ARN, &[kind]);
        assert_eq!(forced.plan.changes[0].after, before);
        assert_eq!(forced.drift, []);
    }
}

/// The state before is not known, so even force cannot tell what to put back.
#[test]
fn flags_that_could_not_be_read_before_are_left_to_a_person() {
    let kind = SettingKind::PublicAccessBlock;
    let all = flags(PublicAccessBlock::ALL);
    let plan = plan(kind, &unreadable("GetPublicAccessBlock"), &all);
    for forced in [&[][..], &[kind]] {
        let done = inverse(&[&plan], &observed(kind, &all), ARN, forced);
        assert!(done.plan.is_empty());
        assert!(done.drift[0].why.contains("only a person can say"));
    }
}

/// S3 refuses a public ACL or policy while the flags are on, so they come off first.
#[test]
fn changes_are_undone_in_reverse_order() {
    let (before, after) = (policy(&document(&[PUBLIC])), Setting::Absent);
    let all = flags(PublicAccessBlock::ALL);
    let everybody = Grant {
        grantee_type: "Group".to_owned(),
        grantee: "http://acs.amazonaws.com/groups/global/AllUsers".to_owned(),
        permission: "READ".to_owned(),
    };
    let open = Acl {
        owner: "owner".to_owned(),
        grants: vec![everybody],
    };
    let closed = Setting::Present(Document::Acl(open.without_public_grants()));
    let open = Setting::Present(Document::Acl(open));
    let contained = [
        (SettingKind::BucketPolicy, &before, &after),
        (SettingKind::Acl, &open, &closed),
        (SettingKind::PublicAccessBlock, &Setting::Absent, &all),
    ];
    let changes = contained
        .iter()
        .flat_map(|(k, b, a)| plan(*k, b, a).changes);
    let plan = Plan {
        changes: changes.collect(),
    };
    let now = contained
        .iter()
        .map(|(kind, _, after)| (*kind, (*after).clone()));
    let done = inverse(&[&plan], &Settings(now.collect()), ARN, &[]);
    let order: Vec<SettingKind> = done.plan.changes.iter().map(|c| c.setting).collect();
    let reversed: Vec<SettingKind> = contained.iter().rev().map(|(kind, ..)| *kind).collect();
    assert_eq!(order, reversed);
    assert_eq!(done.plan.changes[1].after, open);
}

/// One attempt turned the flags on and failed to change the policy, which the next one did: the flags must go first, or S3
/// refuses the policy.
#[test]
fn the_attempts_at_one_delivery_are_undone_together() {
    let before = policy(&document(&[PUBLIC, PARTNER]));
    let after = policy(&document(&[PARTNER]));
    let flags = flags(PublicAccessBlock::ALL);
    let both = [
        plan(SettingKind::BucketPolicy, &before, &after),
        plan(SettingKind::PublicAccessBlock, &Setting::Absent, &flags),
    ];
    let first = Plan {
        changes: both.into_iter().flat_map(|plan| plan.changes).collect(),
    };
    let second = plan(SettingKind::BucketPolicy, &before, &after);
    let now = Settings(
        first
            .changes
            .iter()
            .map(|c| (c.setting, c.after.clone()))
            .collect(),
    );
    let undone = inverse(&[&second, &first], &now, ARN, &[]);
    let changes: Vec<_> = undone
        .plan
        .changes
        .iter()
        .map(|c| (c.setting, &c.after))
        .collect();
    assert_eq!(
        changes,
        [
            (SettingKind::PublicAccessBlock, &Setting::Absent),
            (SettingKind::BucketPolicy, &before)
        ]
    );
    assert_eq!((undone.drift, undone.notes), (Vec::new(), Vec::new()));

    // A setting of which one attempt cannot be undone is left alone as a whole.
    let third = plan(
        SettingKind::PublicAccessBlock,
        &unreadable("GetPublicAccessBlock"),
        &flags,
    );
    let undone = inverse(&[&third, &first], &now, ARN, &[]);
    assert_eq!(undone.drift.len(), 1);
    assert_eq!(undone.plan.changes.len(), 1);
}

fn plan(setting: SettingKind, before: &Setting, after: &Setting) -> Plan {
    let (before, after) = (before.clone(), after.clone());
    let measures = vec!["deny-actor".to_owned()];
    Plan {
        changes: vec![Change {
            setting,
            before,
            after,
            measures,
        }],
    }
}

fn observed(kind: SettingKind, now: &Setting) -> Settings {
    Settings([(kind, now.clone())].into())
}

fn unreadable(operation: &str) -> Setting {
    Setting::Unreadable {
        operation: operation.to_owned(),
        code: "AccessDenied".to_owned(),
    }
}

fn flags(flags: PublicAccessBlock) -> Setting {
    Setting::Present(Document::PublicAccessBlock(flags))
}

fn policy(text: &str) -> Setting {
    Setting::Present(Document::BucketPolicy(PolicyDocument::parse(text).unwrap()))
}

fn document(statements: &[&str]) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
        statements.join(",")
    )
}

/// The same document with one more statement at its end.
fn with(document: &str, statement: &str) -> String {
    format!("{},{statement}]}}", document.strip_suffix("]}").unwrap())
}

fn policy_of(setting: &Setting) -> Option<&PolicyDocument> {
    match setting {
        Setting::Present(Document::BucketPolicy(policy)) => Some(policy),
        _ => None,
    }
}

fn text_of(setting: &Setting) -> String {
    policy_of(setting).unwrap().text().to_owned()
}

fn statements_of(setting: &Setting) -> Vec<String> {
    let statements = policy_of(setting).unwrap().statements().iter();
    statements
        .map(|statement| statement.text().to_owned())
        .collect()
}

fn denied(before: &Setting, ids: &[&str]) -> Setting {
    let hits = Hits {
        by: By::Condition("StringLike", "aws:userid"),
        values: set(ids),
    };
    amended(
        before,
        "PortcullisDenyActor",
        Some(hits),
        &["arn:aws:iam::*:role/BreakGlass"],
    )
}

fn isolated(before: &Setting, spared: &[&str]) -> Setting {
    amended(before, "PortcullisIsolateAll", None, spared)
}

fn amended(before: &Setting, sid: &str, hits: Option<Hits>, spared: &[&str]) -> Setting {
    let deny = Deny {
        sid: sid.to_owned(),
        actions: set(&["s3:*"]),
        spare_services: hits.is_none(),
        only: Vec::new(),
        hits,
        spared: set(spared),
    };
    Setting::Present(Document::BucketPolicy(deny.amend(policy_of(before), ARN)))
}

fn set(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}
