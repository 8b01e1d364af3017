//! A team's own tests of its policy: what is said of a test file, what a run of them tells, and that the examples hold.

use std::path::Path;

use portcullis::policy_test::{self, EXAMPLES, Loaded};
use serde_json::{Value, json};

use crate::cli::{Folder, ends, event, golden, json_of, run, stderr, stdout};
use crate::policy::{folder, said_as_written};

/// Reads a test file as if it were in `tests/cases/policy-tests`.
pub(crate) fn load(text: &str) -> Loaded {
    let beside = |path: &str| {
        let read = std::fs::read(folder("policy-tests").join(path));
        // What the system says of it is not the same everywhere.
        read.map_err(|_| "there is no such file".to_owned())
    };
    policy_test::load("tests.yaml", text, &beside)
}

#[test]
fn every_mistake_in_a_test_file_has_its_place() {
    said_as_written("policy-tests", |text| load(text).diagnostics);
}

#[test]
fn a_test_with_a_mistake_is_not_run_and_the_others_are() {
    let text =
        std::fs::read_to_string(folder("policy-tests").join("nothing-is-wrong.yaml")).unwrap();
    assert_eq!(load(&text).tests.len(), 2);
    let broken = text.replace("exposure: unknown", "exposure: unkown");
    let loaded = load(&broken);
    let names: Vec<&str> = loaded.tests.iter().map(|test| test.name.as_str()).collect();
    assert_eq!(names, ["Whatever else a time can be"]);
    assert_eq!(loaded.diagnostics.len(), 1);
}

#[test]
fn a_test_file_is_as_deep_as_a_finding_and_no_deeper() {
    let deep = |levels: usize| {
        let (open, close) = ("{ a: ".repeat(levels), " }".repeat(levels));
        format!(
            "version: 1\ntests:\n  - {{ name: deep, finding: {open}1{close}, expect: {{ rule: all }} }}\n"
        )
    };
    let codes = |text: &str| {
        let diagnostics = load(text).diagnostics.into_iter();
        diagnostics
            .map(|diagnostic| diagnostic.code.word())
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(&deep(20)), ["bad-finding"]);
    assert_eq!(codes(&deep(100_000)), ["yaml-syntax"]);
}

const POLICY: &str = "\
version: 1
mode: enforce
break-glass: [arn:aws:iam::*:role/SecurityBreakGlass]
exceptions:
  - id: public-catalog
    match: { bucket: amzn-s3-demo-bucket-catalog, tag: { exposure: public } }
    withhold: [block-public-access, remove-public-grants]
    reason: The catalog is public by design (SEC-412)
    expires: 2026-12-31
  - id: nobody-needs-it
    match: { bucket: amzn-s3-demo-bucket-gone }
    withhold: all
    reason: The bucket was deleted (SEC-7)
    expires: 2099-12-31
rules:
  - id: malware
    when: { finding: \"Object:S3/*\" }
    measures: [quarantine-object]
  - id: anonymous
    when: { actor: anonymous }
    measures: [remove-public-grants, block-public-access, deny-source-ip]
    follow-up: [mark-useful]
  - id: everything-else
    measures: []
";

/// An anonymous read of a bucket that an exception by tag spares until the end of 2026.
fn catalog(now: &str, expect: &str) -> String {
    let finding = event("exfiltration-anonymous");
    format!(
        "version: 1
tests:
  - name: The catalog stays open
    finding: {finding}
    facts:
      tags: {{ present: {{ tags: {{ exposure: public }} }} }}
      bucket-policy: absent
      acl: {{ present: {{ acl: {{ owner: owner, grants: [] }} }} }}
      public-access-block: absent
    now: {now}
    expect: {expect}
"
    )
}

fn tested(tests: &[(&str, &str)], more: &[&str]) -> std::process::Output {
    let folder = Folder::new();
    folder.write("policy.yaml", POLICY);
    for (name, text) in tests {
        folder.write(&format!("tests/{name}"), text);
    }
    folder.run(&[&["test", "tests", "--policy", "policy.yaml"], more].concat())
}

const SPARED: &str = "{ rule: anonymous, mode: enforce, effect: partly, measures: [deny-source-ip], follow-up: mark-useful, \
    withheld: { block-public-access: exception, remove-public-grants: exception }, exceptions: [public-catalog], actor: anonymous }";

#[test]
fn tests_that_pass_say_which_parts_of_the_policy_they_reach() {
    let output = ends(
        tested(&[("catalog.yaml", &catalog("2026-12-31", SPARED))], &[]),
        0,
    );
    golden("test-passed", &stdout(&output));
}

/// A day later the exception has expired: what the test says of it is shown against what is so, with lines and reasons.
#[test]
fn a_test_that_fails_shows_what_differs_and_why() {
    let wrong = "{ rule: malware, measures: [deny-actor], exceptions: [public-catalogue], authorization: unauthorized }";
    let files = [
        ("a-day-later.yaml", &*catalog("2027-01-01", SPARED)),
        ("quite-wrong.yml", &*catalog("2026-12-31", wrong)),
        ("right.yaml", &*catalog("2026-12-31", "{ rule: anonymous }")),
        ("README.md", "no test"),
    ];
    let output = ends(tested(&files, &[]), 6);
    let text =
        stdout(&output).replace(Path::new(env!("CARGO_MANIFEST_DIR")).to_str().unwrap(), "…");
    golden("test-failed", &text);
    assert_eq!(stderr(&output), "");

    let document = json_of(&ends(tested(&files, &["--output", "json"]), 6));
    assert_eq!(
        (
            &document["version"],
            &document["passed"],
            &document["failed"]
        ),
        (&json!(1), &json!(1), &json!(2))
    );
    let told = |value: &Value| {
        let told = value.as_str().unwrap();
        assert!(text.contains(told), "{told} is not in\n{text}");
    };
    for test in document["tests"].as_array().unwrap() {
        told(&test["name"]);
        told(&test["at"]);
        let Some(mismatches) = test["mismatches"].as_array() else {
            assert_eq!(test["passed"], true);
            continue;
        };
        assert_eq!(test["passed"], false);
        told(&test["place"]);
        for mismatch in mismatches {
            told(&mismatch["aspect"]);
            let sides = [&mismatch["expected"], &mismatch["found"]];
            let [expected, found] = sides.map(|side| side.as_array().unwrap());
            let only = |these: &[Value], those: &[Value]| {
                these
                    .iter()
                    .filter(|one| !those.contains(one))
                    .for_each(told);
            };
            only(expected, found);
            only(found, expected);
        }
    }
    let coverage = &document["coverage"];
    assert_eq!(
        coverage["rules"]["missed"][0],
        json!({ "id": "malware", "place": "policy.yaml:16" })
    );
    assert_eq!(coverage["exceptions"]["reached"], 1);
}

#[test]
fn a_mistake_counts_more_than_a_test_that_fails_and_hides_none() {
    let broken =
        "version: 1\ntests:\n  - { name: broken, finding: nowhere.json, expect: { rulle: all } }\n";
    let files = [
        ("a.yaml", broken),
        ("b.yaml", &*catalog("2026-12-31", "{ rule: malware }")),
    ];
    let output = ends(tested(&files, &[]), 3);
    let text = stdout(&output);
    for told in [
        "error[unreadable-file]",
        "error[unknown-key]",
        "tests/a.yaml:3:",
        "FAIL",
        "2 mistakes",
    ] {
        assert!(text.contains(told), "{told} is not in\n{text}");
    }
    let document = json_of(&ends(tested(&files, &["--output", "json"]), 3));
    assert_eq!(document["mistakes"].as_array().unwrap().len(), 2);
    assert_eq!(document["tests"][0]["passed"], false);
}

/// A record has finding, target and facts; as a test it holds the policy to what was decided then.
#[test]
fn a_record_is_a_test_of_what_it_tells() {
    let explained = ends(
        run(&["explain", &event("attack-sequence-s3"), "--output", "json"]),
        0,
    );
    let explained = &json_of(&explained)["results"][1]["explanation"];
    let record = json!({
        "finding": explained["finding"],
        "target": explained["target"],
        "before": { "public-access-block": "absent" },
        "enrichment": { "macie": { "bucket": { "score": 91 } } },
    });
    let bucket = "amzn-s3-demo-bucket-ledger";
    assert_eq!(explained["target"]["bucket"]["name"], bucket);
    let folder = Folder::new();
    folder.write(
        "tests/incident.yaml",
        "version: 1\ntests:\n  - { name: as it was, finding: incident.json, facts: incident.json, expect: { rule: attack-sequence, sensitivity: sensitive, mode: enforce } }\n",
    );
    // As the store has it, and as `show` prints it.
    for stored in [record.clone(), json!({ "version": 1, "record": record })] {
        folder.write("tests/incident.json", &stored.to_string());
        let args = ["test", "tests", "--policy", "built-in", "--output", "json"];
        let document = json_of(&ends(folder.run(&args), 6));
        let [mismatch] = &document["tests"][0]["mismatches"].as_array().unwrap()[..] else {
            panic!("{document}")
        };
        assert_eq!(mismatch["aspect"], "mode");
        let target = &document["tests"][0]["explanation"]["target"];
        assert_eq!(target["bucket"]["name"], bucket);
    }
}

/// A run that tests nothing must not pass for one that found nothing.
#[test]
fn where_there_are_no_tests_that_is_an_error() {
    let folder = Folder::new();
    folder.write("tests/README.md", "later");
    for (path, says) in [
        ("tests", "there are no tests in tests"),
        ("nowhere", "the tests nowhere cannot be read"),
        ("tests/README.md", "expected a mapping for the test file"),
    ] {
        let output = ends(folder.run(&["test", path]), 3);
        let told = stderr(&output) + &stdout(&output);
        assert!(told.contains(says), "{told}");
    }
    folder.write("tests/none.yaml", "version: 1\ntests: []\n");
    ends(folder.run(&["test", "tests"]), 3);
    folder.write("policy.yaml", "version: 1\n");
    let output = ends(folder.run(&["test", "tests", "--policy", "policy.yaml"]), 3);
    assert!(
        stderr(&output).contains("policy.yaml is not valid"),
        "{output:?}"
    );
}

#[test]
fn the_examples_pass_in_any_mode_and_begin_with_their_schema() {
    let folder = Folder::new();
    for (name, text) in EXAMPLES {
        assert!(text.starts_with("# yaml-language-server: $schema=../policy-test.schema.json\n"));
        folder.write(&format!("tests/{name}"), text);
    }
    folder.write(
        "enforcing.yaml",
        &portcullis::policy::BUILT_IN.replace("mode: observe", "mode: enforce"),
    );
    for policy in ["built-in", "enforcing.yaml"] {
        ends(folder.run(&["test", "tests", "--policy", policy]), 0);
        let one = ends(
            folder.run(&["test", "tests/website.yaml", "--policy", policy]),
            0,
        );
        assert!(
            stdout(&one).contains("2 tests in one file, 2 passed"),
            "{one:?}"
        );
    }
    // They say something: without its rule a policy does not pass.
    let without =
        portcullis::policy::BUILT_IN.replace("measures: [deny-source-ip]", "measures: []");
    folder.write("without.yaml", &without);
    ends(
        folder.run(&["test", "tests", "--policy", "without.yaml"]),
        6,
    );
}

/// What the documentation shows is run: each block is a test file beside the repository's events.
#[test]
fn the_tests_of_the_documentation_pass() {
    let page = include_str!("../../docs/policy-tests.md");
    let blocks: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(blocks.len() > 1);
    let folder = Folder::new();
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    for (index, block) in blocks.iter().enumerate() {
        let block = block.replace("../events/", &format!("{}/", events.display()));
        folder.write(&format!("tests/{index}.yaml"), &block);
    }
    ends(folder.run(&["test", "tests", "--policy", "built-in"]), 0);
}

#[test]
fn the_schema_in_the_repository_is_current() {
    let file = include_str!("../../docs/policy-test.schema.json");
    let schema: Value = serde_json::from_str(file).unwrap();
    assert_eq!(
        schema,
        policy_test::schema(),
        "docs/policy-test.schema.json is out of date: run `make schema`"
    );
    assert_eq!(stdout(&ends(run(&["schema", "--tests"]), 0)), file);
    assert!(!file.contains("null"), "nothing in the file may be null");
}
