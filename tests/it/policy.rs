//! The policy file: what is accepted, what is said about the rest, and which rule decides.

mod built_in;
mod matching;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, civil::Date, civil::date};
use portcullis::classification::{
    AccessPath, ActorKind, ApiOutcome, Authorization, BucketUse, Credentials, Network, Reasoned,
    Uses,
};
use portcullis::measures::Measure;
use portcullis::policy::{
    self, BUILT_IN, FollowUp, Loaded, Mode, Notify, Policy, Subject, Withhold,
};
use portcullis::yaml::{self, Code, Diagnostic, Severity};

use crate::policy_tests;

const TODAY: Date = date(2026, 9, 1);

/// Every file of `tests/cases/policy` is loaded, and what is said about it compared with the text beside it. `BLESS=1`
/// writes the text anew.
#[test]
fn diagnostics_are_as_written() {
    said_as_written("policy", |text| {
        let loaded = policy::load("policy.yaml", text, TODAY);
        let diagnostics = loaded.diagnostics;
        let refused = diagnostics.iter().any(|d| d.severity == Severity::Error);
        assert_eq!(loaded.policy.is_none(), refused, "{text}");
        diagnostics
    });
}

/// Compares what is said of each file of a folder of `tests/cases` with the text beside it.
pub(crate) fn said_as_written(folder: &str, load: impl Fn(&str) -> Vec<Diagnostic>) {
    let mut differing = Vec::new();
    for path in cases(folder) {
        let text = std::fs::read_to_string(&path).unwrap();
        let rendered = yaml::render(&load(&text), &text, false);
        let golden = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &rendered).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != rendered {
            differing.push(format!("{}:\n{rendered}", golden.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn every_code_has_a_case() {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let of_policies = cases("policy")
        .into_iter()
        .flat_map(|path| policy::load("policy.yaml", &read(path), TODAY).diagnostics);
    let of_tests = cases("policy-tests")
        .into_iter()
        .flat_map(|path| policy_tests::load(&read(path)).diagnostics);
    let shown: BTreeSet<Code> = of_policies
        .chain(of_tests)
        .map(|diagnostic| diagnostic.code)
        .collect();
    // No measure has a parameter yet whose value its words and types do not decide.
    let unseen: Vec<&str> = Code::WORDS
        .iter()
        .copied()
        .filter(|word| Code::from_word(word).is_none_or(|c| !shown.contains(&c)))
        .collect();
    assert_eq!(unseen, [Code::BadParameter.word()]);
}

#[test]
fn every_word_of_a_code_is_unique_and_kebab_case() {
    let unique: BTreeSet<&&str> = Code::WORDS.iter().collect();
    assert_eq!(unique.len(), Code::WORDS.len());
    assert!(
        Code::WORDS
            .iter()
            .all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
    );
}

#[test]
fn three_mistakes_give_three_carets() {
    let text =
        std::fs::read_to_string(folder("policy").join("three-mistakes-give-three-carets.yaml"))
            .unwrap();
    let diagnostics = policy::load("policy.yaml", &text, TODAY).diagnostics;
    let rendered = yaml::render(&diagnostics, &text, false);
    assert_eq!(diagnostics.len(), 3);
    assert_eq!(
        rendered.lines().filter(|line| line.contains('^')).count(),
        3,
        "{rendered}"
    );
}

#[test]
fn diagnostics_are_json_too() {
    let text = "version: 1\nmode: enforced\nbreak-glass: [\"arn:aws:iam::*:role/Emergency\"]\nrules:\n  - { id: all, measures: [] }\n";
    let diagnostics = policy::load("policy.yaml", text, TODAY).diagnostics;
    let expected = serde_json::json!([{
        "code": "unknown-word",
        "severity": "error",
        "message": "\"enforced\" is not a word of \"mode\"",
        "file": "policy.yaml",
        "line": 2,
        "column": 7,
        "length": 8,
        "help": "did you mean \"enforce\"?",
    }]);
    assert_eq!(serde_json::to_value(&diagnostics).unwrap(), expected);
}

#[test]
fn colored_rendering_says_the_same() {
    let text = "version: 2\n";
    let diagnostics = policy::load("policy.yaml", text, TODAY).diagnostics;
    let colored = yaml::render(&diagnostics, text, true);
    assert!(colored.contains("\u{1b}["));
    assert!(colored.contains("unsupported-version"));
    // An excerpt of another text is odd, and no panic.
    yaml::render(&diagnostics, "", false);
    yaml::render(&diagnostics, "é", false);
}

#[test]
fn odd_texts_are_refused_without_a_panic() {
    for text in [
        "\u{feff}version: 1\r\n",
        "\0",
        "a: &a [*a]",
        "? [a]\n: b",
        "{{{{",
        "- - -\t-",
        "!!binary x",
        "%YAML 9",
    ] {
        assert!(
            policy::load("policy.yaml", text, TODAY).policy.is_none(),
            "{text:?}"
        );
    }
    for deep in [
        "a: &a [".to_owned() + &"[".repeat(200) + &"]".repeat(200) + "]",
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
    ] {
        assert!(policy::load("policy.yaml", &deep, TODAY).policy.is_none());
    }
}

#[test]
fn windows_line_ends_make_no_difference() {
    let text = BUILT_IN.replace('\n', "\r\n");
    let loaded = policy::load("policy.yaml", &text, TODAY);
    assert_eq!(loaded.diagnostics, []);
    assert_eq!(loaded.policy.unwrap().rules, Policy::built_in().rules);
}

#[test]
fn the_example_is_read_as_it_is_written() {
    let text =
        std::fs::read_to_string(folder("policy").join("the-example-of-the-design.yaml")).unwrap();
    let policy = load(&text);
    assert_eq!(policy.name, "policy.yaml");
    assert_eq!(policy.digest.len(), 64);
    assert_eq!((policy.mode, policy.mode_line), (Mode::Enforce, 3));
    assert_eq!(
        policy.break_glass,
        ["arn:aws:iam::*:role/SecurityBreakGlass"]
    );
    assert_eq!(policy.trusted.accounts, ["222233334444"]);
    let networks: Vec<String> = policy
        .trusted
        .networks
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        networks,
        ["203.0.113.0/24", "2001:db8::/32", "198.51.100.7/32"]
    );

    let [exception] = policy.exceptions.as_slice() else {
        panic!("{:?}", policy.exceptions)
    };
    assert_eq!(
        (exception.id.as_str(), exception.line),
        ("public-website", 14)
    );
    let withheld = [
        "block-public-access".to_owned(),
        "remove-public-grants".to_owned(),
    ];
    assert_eq!(exception.withhold, Withhold::Only(withheld.to_vec()));
    assert_eq!(exception.expires, date(2027, 3, 31));

    let [stolen, opened, rest] = policy.rules.as_slice() else {
        panic!("{:?}", policy.rules)
    };
    assert_eq!(
        (stolen.line, stolen.mode, stolen.mode_line),
        (20, Some(Mode::Enforce), Some(24))
    );
    assert_eq!(stolen.expires_after, Some(SignedDuration::from_hours(72)));
    assert_eq!(stolen.when.min_severity, Some(7.0));
    assert_eq!(
        stolen.when.actor,
        [ActorKind::AssumedRole, ActorKind::IamUser]
    );
    let lines: Vec<u32> = opened.measures.iter().map(|asked| asked.line).collect();
    assert_eq!(lines, [29, 30]);
    assert!(
        matches!(&opened.measures[1].measure, Measure::BlockPublicAccess { flags } if flags.len() == 2)
    );
    assert!(opened.hold);
    assert_eq!(
        (opened.notify, rest.notify),
        (Notify::Changes, Notify::Always)
    );
    assert!(rest.when.is_empty() && rest.unless.is_none() && rest.measures.is_empty());
    assert_eq!(policy.place(stolen.line), "policy.yaml:20");
}

#[test]
fn durations_and_follow_ups_are_read() {
    for (written, hours) in [("\"90m\"", 1.5), ("72h", 72.0), ("7d", 168.0)] {
        let policy = with_rules(&format!(
            "  - {{ id: one, when: {{ min-count: 2 }}, measures: [], expires-after: {written}, follow-up: mark-useful }}\n  \
               - {{ id: rest, measures: [] }}\n"
        ));
        assert_eq!(
            policy.rules[0].expires_after.unwrap().as_secs_f64(),
            hours * 3600.0
        );
        assert_eq!(policy.rules[0].follow_up, [FollowUp::MarkUseful]);
    }
}

#[test]
fn the_least_mode_takes_effect_and_says_why() {
    let policy = load(
        "version: 1\nmode: enforce\nbreak-glass: [\"arn:aws:iam::*:role/Emergency\"]\nrules:\n  \
           - { id: held-back, when: { min-count: 2 }, mode: observe, measures: [] }\n  \
           - { id: rest, measures: [] }\n",
    );
    let [held_back, rest] = policy.rules.as_slice() else {
        panic!("{:?}", policy.rules)
    };
    for (stack, rule, mode, why) in [
        (
            Mode::Enforce,
            rest,
            Mode::Enforce,
            "mode: enforce at policy.yaml:2",
        ),
        (
            Mode::Observe,
            rest,
            Mode::Observe,
            "the deployment's mode is observe",
        ),
        (
            Mode::Enforce,
            held_back,
            Mode::Observe,
            "mode: observe of rule \"held-back\" at policy.yaml:5",
        ),
        (
            Mode::Observe,
            held_back,
            Mode::Observe,
            "the deployment's mode is observe, and mode: observe of rule \"held-back\" at policy.yaml:5",
        ),
    ] {
        assert_eq!(policy.effective_mode(stack, rule), (mode, why.to_owned()));
    }
    let built_in = Policy::built_in();
    let (mode, why) = built_in.effective_mode(Mode::Enforce, &built_in.rules[0]);
    assert_eq!(
        (mode, why),
        (
            Mode::Observe,
            format!("mode: observe at built-in:{}", built_in.mode_line)
        )
    );
}

#[test]
fn the_schema_is_draft_07_and_knows_measures_both_ways() {
    let schema = policy::schema();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(
        schema["required"],
        serde_json::json!(["version", "mode", "break-glass", "rules"])
    );
    assert!(
        !schema.to_string().contains("null"),
        "nothing in the file may be null"
    );
    let forms = schema["definitions"]["MeasureAsWritten"]["anyOf"]
        .as_array()
        .unwrap();
    assert!(forms.iter().any(|form| form["const"] == "deny-actor"));
    let names = &schema["definitions"]["MeasureName"]["enum"];
    let names: BTreeSet<&str> = names
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|n| n.as_str())
        .collect();
    let catalogue = Measure::catalogue();
    assert_eq!(names, catalogue.iter().map(Measure::name).collect());
}

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name)
}

fn cases(name: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

#[track_caller]
fn load(text: &str) -> Policy {
    let Loaded {
        policy,
        diagnostics,
    } = policy::load("policy.yaml", text, TODAY);
    policy.unwrap_or_else(|| panic!("{}", yaml::render(&diagnostics, text, false)))
}

#[track_caller]
fn with_rules(rules: &str) -> Policy {
    load(&format!(
        "version: 1\nmode: observe\nbreak-glass: [\"arn:aws:iam::*:role/Emergency\"]\nrules:\n{rules}"
    ))
}

fn a_subject() -> Subject<'static> {
    Subject {
        finding: "Exfiltration:S3/AnomalousBehavior",
        severity: 8.0,
        count: 3,
        actors: &[ActorKind::AssumedRole],
        authorization: Authorization::Undetermined,
        access_path: AccessPath::CompromisedIdentity,
        apis: vec!["GetObject"],
        api_outcome: Some(ApiOutcome::Succeeded),
        networks: &[Network::Tor],
        credentials: &[Credentials::Temporary],
        bucket: Some("acme-orders-prod"),
        bucket_use: None,
        account: "111122223333",
        region: "eu-west-1",
        tags: None,
        exposure: None,
        sensitivity: None,
    }
}

/// These uses, everything read.
fn uses(are: &[BucketUse]) -> Uses {
    let found = |is: &BucketUse| Reasoned {
        is: *is,
        because: String::new(),
    };
    Uses {
        are: are.iter().map(found).collect(),
        unread: Vec::new(),
    }
}
