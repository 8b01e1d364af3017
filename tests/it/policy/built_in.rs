//! The built-in policy: that it is right, that it decides, and that as the reference it leaves nothing out.

use jiff::Timestamp;
use portcullis::classification::{
    AccessPath, ActorKind, Authorization, BucketUse, Credentials, Exposure, Network, Sensitivity,
};
use portcullis::policy::{self, BUILT_IN, Fact, FollowUp, Mode, Policy, Subject};
use portcullis::yaml;

use super::{TODAY, a_subject, load, uses};

#[test]
fn the_built_in_policy_has_nothing_to_report() {
    assert_eq!(policy::load("built-in", BUILT_IN, TODAY).diagnostics, []);
    let policy = Policy::built_in();
    assert_eq!(
        (policy.name.as_str(), policy.mode),
        ("built-in", Mode::Observe)
    );
    assert!(BUILT_IN.starts_with("# yaml-language-server: $schema=./policy.schema.json\n"));
}

/// What the comments of the built-in policy propose must be right when it is taken up.
#[test]
fn the_exception_in_the_comments_is_right() {
    let text = BUILT_IN
        .replace("exceptions: []", "exceptions:")
        .replace("\n# - id", "\n - id");
    let text: String = text
        .split_inclusive('\n')
        .map(|line| {
            line.strip_prefix("#   ")
                .map_or(line.to_owned(), |rest| format!("   {rest}"))
        })
        .collect();
    // The list of keys is a comment of the same form.
    let (before, after) = (
        text.split("#\n# The keys").next().unwrap(),
        text.split("\nrules:\n").nth(1).unwrap(),
    );
    let policy = load(&format!("{before}\nrules:\n{after}"));
    assert_eq!(policy.exceptions[0].id, "public-website");
    assert_eq!(policy.rules.len(), Policy::built_in().rules.len());
}

#[test]
fn the_reference_names_every_key_and_word() {
    let schema = policy::schema();
    let keys = |pointer: &str| {
        schema
            .pointer(pointer)
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    let mut unmentioned = Vec::new();
    for definition in ["Conditions", "Rule", "Exception", "Trusted", "Limits"] {
        unmentioned.extend(keys(&format!("/definitions/{definition}/properties")));
    }
    unmentioned.extend(keys("/properties"));
    for words in [
        ActorKind::WORDS,
        Authorization::WORDS,
        AccessPath::WORDS,
        Network::WORDS,
        Credentials::WORDS,
        Exposure::WORDS,
        BucketUse::WORDS,
        Sensitivity::WORDS,
        FollowUp::WORDS,
    ] {
        unmentioned.extend(words.iter().map(ToString::to_string));
    }
    unmentioned.retain(|word| !BUILT_IN.contains(word.as_str()));
    assert_eq!(unmentioned, Vec::<String>::new());
}

#[test]
fn every_family_of_findings_has_its_rule() {
    let policy = Policy::built_in();
    for row in FAMILIES.lines() {
        let columns: Vec<&str> = row.split_whitespace().collect();
        let [finding, severity, actor, rule] = columns.as_slice() else {
            panic!("{row}")
        };
        let actors: &[ActorKind] = match *actor {
            "anonymous" => &[ActorKind::Anonymous],
            "role" => &[ActorKind::AssumedRole],
            _ => &[],
        };
        let severity = severity.parse().unwrap();
        let ordinary = uses(&[BucketUse::Ordinary]);
        let subject = Subject {
            finding,
            severity,
            actors,
            bucket_use: Some(&ordinary),
            ..a_subject()
        };
        assert_eq!(
            policy.first_match(&subject).rule.unwrap().id,
            *rule,
            "{finding}"
        );
        assert_eq!(policy.first_match(&subject).skipped, [], "{finding}");
        // The built-in policy decides on the finding alone, but for whether an anonymous call was the visit of a website.
        let unseen = Subject {
            bucket_use: None,
            ..subject
        };
        let wanted: &[Fact] = match (*actor, finding.contains(":S3/")) {
            ("anonymous", true) => &[Fact::BucketUse],
            _ => &[],
        };
        assert_eq!(
            policy.facts_wanted(&unseen, Timestamp::UNIX_EPOCH),
            wanted,
            "{finding}"
        );
    }
    let preflight = Subject {
        actors: &[ActorKind::Anonymous],
        access_path: AccessPath::Cors,
        ..a_subject()
    };
    assert_eq!(
        policy.first_match(&preflight).rule.unwrap().id,
        "cross-origin-request"
    );
    let authorized = Subject {
        authorization: Authorization::Authorized,
        ..a_subject()
    };
    assert_eq!(
        policy.first_match(&authorized).rule.unwrap().id,
        "everything-else"
    );
}

/// Findings, their usual severity, who acted, and the rule that decides.
/// Whoever visits a website from a bad address does not get it closed.
#[test]
fn a_website_stays_open_to_visits() {
    let policy = Policy::built_in();
    let rule = |finding: &'static str, is: BucketUse| {
        let uses = uses(&[is]);
        let subject = Subject {
            finding,
            actors: &[ActorKind::Anonymous],
            bucket_use: Some(&uses),
            ..a_subject()
        };
        policy.first_match(&subject).rule.unwrap().id.clone()
    };
    let visit = "Exfiltration:S3/MaliciousIPCaller";
    assert_eq!(rule(visit, BucketUse::Website), "website-visit");
    assert_eq!(rule(visit, BucketUse::CloudfrontOrigin), "anonymous-access");
    let opened = "Policy:S3/BucketAnonymousAccessGranted";
    assert_eq!(rule(opened, BucketUse::Website), "public-grant");
}

const FAMILIES: &str = "\
AttackSequence:S3/CompromisedData                                     9.0  role       attack-sequence
AttackSequence:IAM/CompromisedCredentials                             9.0  role       attack-sequence
Object:S3/MaliciousFile                                               8.0  nobody     malicious-object
Execution:S3/MaliciousFile!RecoveryPoint                              8.0  nobody     malicious-object
DefenseImpairment:S3/DisableOrModifyTools                             8.0  role       custom-detection-rule
Exfiltration:S3/TransferDataToCloudAccount                            8.0  role       custom-detection-rule
Impact:S3/DataDestruction                                             5.0  role       custom-detection-rule
Policy:S3/BucketAnonymousAccessGranted                                8.0  role       public-grant
Policy:S3/BucketPublicAccessGranted                                   8.0  role       public-grant
Policy:S3/BucketBlockPublicAccessDisabled                             2.0  role       bucket-guard-lowered
Policy:S3/AccountBlockPublicAccessDisabled                            2.0  role       account-guard-lowered
Stealth:S3/ServerAccessLoggingDisabled                                2.0  role       logging-disabled
Exfiltration:S3/ObjectRead.Unusual                                    5.0  role       retired-type
Discovery:S3/MaliciousIPCaller                                        8.0  anonymous  anonymous-access
Impact:S3/AnomalousBehavior.Permission                                8.0  role       unusual-permission-change
Discovery:S3/MaliciousIPCaller.Custom                                 8.0  role       credentials-from-bad-address
Discovery:S3/TorIPCaller                                              5.0  role       credentials-from-bad-address
UnauthorizedAccess:S3/TorIPCaller                                     8.0  role       credentials-from-bad-address
Exfiltration:S3/AnomalousBehavior                                     8.0  role       stolen-credentials
Impact:S3/AnomalousBehavior.Delete                                    8.0  role       stolen-credentials
Impact:S3/AnomalousBehavior.Write                                     5.0  role       stolen-credentials
PenTest:S3/KaliLinux                                                  5.0  role       stolen-credentials
Discovery:S3/AnomalousBehavior                                        2.0  role       unusual-discovery
UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS  8.0  role       stolen-identity
Policy:IAMUser/RootCredentialUsage                                    2.0  role       other-identity
Impact:S3/SomethingNew                                                2.0  role       everything-else";

#[test]
fn the_schema_of_the_docs_is_the_one_of_the_program() {
    let file = include_str!("../../../docs/policy.schema.json");
    let kept: serde_json::Value = serde_json::from_str(file).unwrap();
    // The two are too long to be shown side by side.
    assert!(
        kept == policy::schema(),
        "docs/policy.schema.json is out of date: run `make schema`"
    );
}

/// Rules that the documentation shows are rules that load.
#[test]
fn every_rule_of_the_readme_loads() {
    let readme = include_str!("../../../README.md");
    let snippets: Vec<&str> = readme
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(!snippets.is_empty());
    for snippet in snippets {
        let rules: String = snippet.lines().map(|line| format!("  {line}\n")).collect();
        let head = "version: 1\nmode: enforce\nbreak-glass: [\"arn:aws:iam::*:role/SecurityBreakGlass\"]\nrules:\n";
        let text = format!("{head}{rules}  - id: everything-else\n    measures: []\n");
        let loaded = policy::load("README.md", &text, jiff::civil::date(2026, 3, 1));
        assert_eq!(
            loaded.diagnostics,
            [],
            "{}",
            yaml::render(&loaded.diagnostics, &text, false)
        );
    }
}
