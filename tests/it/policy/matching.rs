//! Which conditions match, which rule decides, which exceptions hold, and what must be read to know.

use std::collections::BTreeMap;

use jiff::Timestamp;
use portcullis::classification::{BucketUse, Exposure, Sensitivity};
use portcullis::policy::{Conditions, Fact, Match, Subject, Withhold};

use super::{a_subject, load, uses, with_rules};

#[test]
fn conditions_match_what_they_name() {
    // The subject is an exfiltration of severity 8 by an assumed role from Tor, seen three times; see `a_subject`.
    let tags = BTreeMap::from([
        ("exposure".to_owned(), "public".to_owned()),
        ("empty".to_owned(), String::new()),
    ]);
    let uses = uses(&[BucketUse::Website, BucketUse::LogTarget]);
    let subject = Subject {
        tags: Some(&tags),
        exposure: Some(Exposure::Private),
        bucket_use: Some(&uses),
        sensitivity: Some(Sensitivity::NotSensitive),
        ..a_subject()
    };
    for row in CONDITIONS.lines() {
        let (answer, conditions) = row.split_once(' ').unwrap();
        let expected = match answer {
            "yes" => Match::Yes,
            "no" => Match::No,
            other => panic!("{other}"),
        };
        assert_eq!(parse(conditions).check(&subject), expected, "{conditions}");
    }
}

/// What each condition answers about the subject of `conditions_match_what_they_name`.
const CONDITIONS: &str = r#"yes {}
yes { finding: "Exfiltration:S3/*" }
yes { finding: "*:S3/AnomalousBehavio?" }
no  { finding: "exfiltration:S3/*" }
no  { finding: "Exfiltration:S3" }
yes { finding: ["Impact:S3/*", "Exfiltration:S3/*"] }
yes { min-severity: 8 }
no  { min-severity: 8.1 }
yes { max-severity: 8 }
no  { max-severity: 7.9 }
yes { min-count: 3 }
no  { min-count: 4 }
yes { actor: assumed-role }
no  { actor: [root, iam-user] }
yes { authorization: [unauthorized, undetermined] }
no  { authorization: authorized }
yes { access-path: compromised-identity }
no  { access-path: cors }
yes { api: "Get*" }
no  { api: PutObject }
yes { api-outcome: succeeded }
no  { api-outcome: denied }
yes { network: [tor, threat-list] }
no  { network: other }
yes { credentials: temporary }
no  { credentials: long-term }
yes { bucket: "acme-orders-*" }
no  { bucket: acme }
yes { account: "111122223333" }
no  { account: ["222233334444"] }
yes { region: "eu-*" }
no  { region: us-east-1 }
yes { tag: { exposure: public } }
yes { tag: { exposure: [private, "pub*"] } }
no  { tag: { exposure: private } }
yes { tag: { exposure: public, empty: "" } }
no  { tag: { exposure: public, absent: "*" } }
yes { exposure: [private, cross-account] }
no  { exposure: public }
yes { bucket-use: log-target }
no  { bucket-use: ordinary }
yes { sensitivity: not-sensitive }
no  { sensitivity: sensitive }
yes { finding: "Exfiltration:S3/*", actor: assumed-role, min-severity: 7 }
no  { finding: "Exfiltration:S3/*", actor: root, min-severity: 7 }"#;

#[test]
fn what_the_finding_leaves_out_is_no_match() {
    let silent = Subject {
        actors: &[],
        apis: vec![],
        api_outcome: None,
        networks: &[],
        credentials: &[],
        ..a_subject()
    };
    for conditions in [
        "{ actor: unknown }",
        "{ api: \"*\" }",
        "{ api-outcome: denied }",
        "{ network: other }",
        "{ credentials: none }",
    ] {
        assert_eq!(parse(conditions).check(&silent), Match::No, "{conditions}");
    }
}

#[test]
fn an_unread_fact_is_neither_yes_nor_no() {
    let tags = BTreeMap::new();
    let unread = a_subject();
    let read = Subject {
        tags: Some(&tags),
        ..a_subject()
    };
    let unknown = Subject {
        exposure: Some(Exposure::Unknown),
        sensitivity: Some(Sensitivity::Unknown),
        ..a_subject()
    };
    let account = Subject {
        bucket: None,
        ..a_subject()
    };
    for (subject, conditions, expected) in [
        (&unread, "{ tag: { a: b } }", Match::Unread("tag")),
        (&unread, "{ exposure: public }", Match::Unread("exposure")),
        (
            &unread,
            "{ bucket-use: website }",
            Match::Unread("bucket-use"),
        ),
        (
            &unread,
            "{ sensitivity: sensitive }",
            Match::Unread("sensitivity"),
        ),
        // A key that says no decides, whether the finding or another fact says it.
        (&unread, "{ tag: { a: b }, actor: root }", Match::No),
        (&read, "{ tag: { a: b }, exposure: public }", Match::No),
        (
            &unread,
            "{ tag: { a: b }, actor: assumed-role }",
            Match::Unread("tag"),
        ),
        (&read, "{ tag: { a: b } }", Match::No),
        // What could not be found out is not a no, and can be asked for by its name.
        (&unknown, "{ exposure: public }", Match::Unread("exposure")),
        (&unknown, "{ exposure: [public, unknown] }", Match::Yes),
        (
            &unknown,
            "{ sensitivity: sensitive }",
            Match::Unread("sensitivity"),
        ),
        // An account has no bucket's facts, and none of them is left unread.
        (&account, "{ tag: { a: b } }", Match::No),
        (&account, "{ bucket: \"*\" }", Match::No),
        (&account, "{ exposure: public }", Match::No),
        (&account, "{ actor: assumed-role }", Match::Yes),
    ] {
        assert_eq!(parse(conditions).check(subject), expected, "{conditions}");
    }
}

#[test]
fn a_rule_that_depends_on_an_unread_fact_is_passed_over() {
    let policy = with_rules(
        "  - { id: by-tag, when: { tag: { team: red } }, measures: [] }\n  \
           - { id: unless-tag, unless: { tag: { team: red } }, measures: [] }\n  \
           - { id: unless-tag-of-roots, unless: { tag: { team: red }, actor: root }, measures: [] }\n  \
           - { id: rest, measures: [] }\n",
    );
    let selected = policy.first_match(&a_subject());
    assert_eq!(selected.rule.unwrap().id, "unless-tag-of-roots");
    let skipped: Vec<(&str, &str)> = selected
        .skipped
        .iter()
        .map(|s| (s.rule.id.as_str(), s.unread))
        .collect();
    assert_eq!(skipped, [("by-tag", "tag"), ("unless-tag", "tag")]);
    let possible: Vec<&str> = policy
        .possible_rules(&a_subject())
        .iter()
        .map(|rule| rule.id.as_str())
        .collect();
    assert_eq!(possible, ["by-tag", "unless-tag", "unless-tag-of-roots"]);

    let tags = BTreeMap::from([("team".to_owned(), "red".to_owned())]);
    let red = Subject {
        tags: Some(&tags),
        ..a_subject()
    };
    assert_eq!(policy.first_match(&red).rule.unwrap().id, "by-tag");
    let tags = BTreeMap::new();
    let untagged = Subject {
        tags: Some(&tags),
        ..a_subject()
    };
    assert_eq!(policy.first_match(&untagged).rule.unwrap().id, "unless-tag");
    assert_eq!(policy.first_match(&untagged).skipped, []);
}

#[test]
fn only_facts_that_can_decide_are_wanted() {
    let policy = load(
        "version: 1\nmode: observe\nbreak-glass: [\"arn:aws:iam::*:role/Emergency\"]\n\
         exceptions:\n  \
           - { id: tagged, match: { bucket: \"acme-*\", tag: { a: b } }, withhold: all, reason: x, expires: 2026-12-31 }\n\
         rules:\n  \
           - { id: root, when: { actor: root, sensitivity: sensitive }, measures: [] }\n  \
           - { id: open, when: { exposure: public }, measures: [] }\n  \
           - { id: exfiltration, when: { finding: \"Exfiltration:*\" }, measures: [] }\n  \
           - { id: logs, when: { bucket-use: log-target }, measures: [] }\n  \
           - { id: rest, measures: [] }\n",
    );
    let now = at("2026-09-01T00:00:00Z");
    assert_eq!(
        policy.facts_wanted(&a_subject(), now),
        [Fact::Tags, Fact::Exposure]
    );
    let elsewhere = Subject {
        bucket: Some("other"),
        ..a_subject()
    };
    assert_eq!(policy.facts_wanted(&elsewhere, now), [Fact::Exposure]);
    assert_eq!(
        policy.facts_wanted(&a_subject(), at("2027-01-01T00:00:00Z")),
        [Fact::Exposure]
    );
    let impact = Subject {
        finding: "Impact:S3/MaliciousIPCaller",
        ..a_subject()
    };
    assert_eq!(
        policy.facts_wanted(&impact, now),
        [Fact::Tags, Fact::Exposure, Fact::BucketUse]
    );
    let account = Subject {
        bucket: None,
        ..a_subject()
    };
    assert_eq!(policy.facts_wanted(&account, now), []);
}

#[test]
fn exceptions_hold_through_their_last_day_and_when_unproven() {
    let policy = load(
        "version: 1\nmode: observe\nbreak-glass: [\"arn:aws:iam::*:role/Emergency\"]\n\
         exceptions:\n  \
           - { id: by-name, match: { bucket: \"acme-*\" }, withhold: all, reason: x, expires: 2026-09-30 }\n  \
           - { id: by-tag, match: { tag: { a: b } }, withhold: deny-actor, reason: x, expires: 2026-12-31 }\n  \
           - { id: other, match: { bucket: other, tag: { a: b } }, withhold: all, reason: x, expires: 2026-12-31 }\n\
         rules:\n  - { id: rest, measures: [] }\n",
    );
    let held = |subject: &Subject<'_>, now: &str| -> Vec<(String, Option<&'static str>)> {
        let held = policy.holding_exceptions(subject, at(now));
        held.into_iter()
            .map(|held| (held.exception.id.clone(), held.unproven))
            .collect()
    };
    let by_name = ("by-name".to_owned(), None);
    let by_tag = |unproven| ("by-tag".to_owned(), unproven);
    assert_eq!(
        held(&a_subject(), "2026-09-30T23:59:59Z"),
        [by_name.clone(), by_tag(Some("tag"))]
    );
    assert_eq!(
        held(&a_subject(), "2026-10-01T00:00:00Z"),
        [by_tag(Some("tag"))]
    );
    let tags = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let tagged = Subject {
        tags: Some(&tags),
        ..a_subject()
    };
    assert_eq!(
        held(&tagged, "2026-09-01T00:00:00Z"),
        [by_name.clone(), by_tag(None)]
    );
    let tags = BTreeMap::new();
    let untagged = Subject {
        tags: Some(&tags),
        ..a_subject()
    };
    assert_eq!(held(&untagged, "2026-09-01T00:00:00Z"), [by_name]);
    assert_eq!(held(&untagged, "2027-01-01T00:00:00Z"), []);
    assert_eq!(
        policy.exceptions[1].withhold,
        Withhold::Only(vec!["deny-actor".to_owned()])
    );
}

#[track_caller]
fn parse(conditions: &str) -> Conditions {
    let rules = format!(
        "  - {{ id: one, when: {conditions}, measures: [] }}\n  - {{ id: rest, measures: [] }}\n"
    );
    with_rules(&rules).rules.swap_remove(0).when
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}
