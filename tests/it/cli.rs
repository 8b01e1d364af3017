//! The command line, driven as a process: what it prints, where, and how it ends.
//!
//! The texts are in tests/cases/cli; `BLESS=1` writes them anew.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::stand_in;

const VERBS: [&str; 17] = [
    "init",
    "validate",
    "test",
    "push",
    "explain",
    "backtest",
    "plan",
    "apply",
    "rollback",
    "sweep",
    "records",
    "show",
    "suppress",
    "drill",
    "measures",
    "schema",
    "completions",
];

#[test]
fn help_is_as_it_was() {
    golden("help", &stdout(&ends(run(&["--help"]), 0)));
    for verb in VERBS {
        golden(
            &format!("help-{verb}"),
            &stdout(&ends(run(&[verb, "--help"]), 0)),
        );
    }
}

#[test]
fn the_help_names_every_verb() {
    let help = stdout(&run(&["--help"]));
    let listed: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|word| !word.is_empty() && *word != "help")
        .collect();
    assert_eq!(listed, VERBS);
}

#[test]
fn what_the_command_line_does_not_know_is_a_usage_error() {
    for args in [
        &["plan", "--unknown"][..],
        &["plan"],
        &["unknown"],
        &["rollback", "r-1", "--force-setting", "nonsense"],
        &["measures", "--output", "xml"],
    ] {
        let output = ends(run(args), 2);
        assert_eq!(stdout(&output), "", "{args:?}");
        assert!(stderr(&output).starts_with("error: "), "{args:?}");
    }
}

#[test]
fn init_writes_a_valid_policy_its_tests_and_their_schemas_once() {
    let folder = Folder::new();
    let output = ends(folder.run(&["init"]), 0);
    assert!(stdout(&output).contains("policy.yaml"));
    let next = stderr(&output);
    assert!(next.contains("portcullis validate policy.yaml"), "{next}");
    assert!(
        next.contains("portcullis test tests --policy policy.yaml"),
        "{next}"
    );
    let valid = ends(folder.run(&["validate", "policy.yaml"]), 0);
    assert!(stdout(&valid).contains("policy.yaml is valid"));
    let schema: Value = serde_json::from_str(&folder.read("policy.schema.json")).unwrap();
    assert_eq!(schema["title"], "Portcullis policy");
    let schema: Value = serde_json::from_str(&folder.read("policy-test.schema.json")).unwrap();
    assert_eq!(schema["title"], "Portcullis policy tests");
    let tested = ends(folder.run(&["test", "tests", "--policy", "policy.yaml"]), 0);
    assert!(stdout(&tested).contains("5 passed"), "{tested:?}");

    folder.write("policy.yaml", "mine");
    let again = ends(folder.run(&["init"]), 1);
    assert!(stderr(&again).contains("policy.yaml exists and is not overwritten"));
    assert_eq!(folder.read("policy.yaml"), "mine");
}

#[test]
fn init_leaves_nothing_behind_where_something_else_is() {
    for (there, text) in [
        ("policy.schema.json", "{}"),
        ("policy-test.schema.json", "{}"),
        ("policy.yaml", "mine"),
    ] {
        let folder = Folder::new();
        folder.write(there, text);
        let before = tree(&folder.path(""));
        let output = ends(folder.run(&["init"]), 1);
        assert!(stderr(&output).contains(there), "{output:?}");
        assert_eq!(tree(&folder.path("")), before, "{there}");
        assert_eq!(folder.read(there), text);
    }
}

/// A team's own tests are not init's to write, and no reason not to write a policy.
#[test]
fn init_leaves_tests_that_are_there_as_they_are() {
    let folder = Folder::new();
    folder.write("tests/website.yaml", "mine");
    let output = ends(folder.run(&["init", "second.yaml"]), 0);
    assert!(
        stdout(&output).contains("Left tests as it is"),
        "{output:?}"
    );
    assert_eq!(folder.read("tests/website.yaml"), "mine");
    assert!(!folder.path("tests/public-bucket.yaml").exists());
    ends(folder.run(&["validate", "second.yaml"]), 0);
}

/// What was written before a file that cannot be is taken back.
#[test]
fn init_takes_back_what_it_wrote_where_it_cannot_go_on() {
    let folder = Folder::new();
    // It is not there to be read, and still in the way of what is written.
    let nowhere = folder.path("policy-test.schema.json");
    std::os::unix::fs::symlink("nowhere", &nowhere).unwrap();
    let output = ends(folder.run(&["init"]), 1);
    assert!(stderr(&output).contains("policy-test.schema.json exists and is not overwritten"));
    assert_eq!(tree(&folder.path("")), [nowhere]);
}

/// Every file and folder below a folder.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

const THREE_MISTAKES: &str = "\
version: 1
mode: watch
break-glass: [arn:aws:iam::*:role/SecurityBreakGlass]
rules:
  - id: everything
    measures: [deny-acter]
    unles: { actor: root }
";

#[test]
fn validate_shows_every_mistake_in_its_place() {
    let folder = Folder::new();
    folder.write("policy.yaml", THREE_MISTAKES);
    let output = ends(folder.run(&["validate", "policy.yaml"]), 3);
    let text = stdout(&output);
    golden("validate-three-mistakes", &text);
    let carets = text.lines().filter(|line| line.contains('^')).count();
    assert_eq!(carets, 3, "{text}");
    for place in ["policy.yaml:2:7", "policy.yaml:6:16", "policy.yaml:7:5"] {
        assert!(text.contains(place), "{place} is not in\n{text}");
    }
}

#[test]
fn validate_reads_standard_input_and_speaks_json() {
    let args = ["validate", "-", "--output", "json"];
    let output = ends(run_with(&args, THREE_MISTAKES.as_bytes()), 3);
    let document = json_of(&output);
    assert_eq!(document["version"], 1);
    assert_eq!(document["valid"], false);
    let codes: Vec<&str> = document["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|diagnostic| diagnostic["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["unknown-word", "unknown-measure", "unknown-key"]);
}

#[test]
fn explain_reads_every_event_without_aws() {
    for path in events() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let output = run(&["explain", path.to_str().unwrap()]);
        // Whatever the mode, a guard holds these back.
        let guarded = ["archived.json", "sample.json"].contains(&name.as_str());
        let output = ends(output, if guarded { 5 } else { 0 });
        assert_ne!(stdout(&output), "", "{name}");
        assert!(!stderr(&output).contains("error"), "{name}: {output:?}");
    }
}

#[test]
fn explain_tells_the_story_of_an_event() {
    for name in [
        "exfiltration-anomalous",
        "attack-sequence-s3",
        "malicious-object",
        "account-block-public-access-disabled",
    ] {
        let output = ends(run(&["explain", &event(name)]), 0);
        golden(&format!("explain-{name}"), &stdout(&output));
    }
}

#[test]
fn explain_with_facts_shows_what_would_change() {
    let folder = Folder::new();
    folder.write("policy.yaml", CONTAINING);
    folder.write("facts.json", &public_bucket().to_string());
    let args = [
        "explain",
        &event("exfiltration-anonymous"),
        "--policy",
        "policy.yaml",
        "--facts",
        "facts.json",
    ];
    let text = stdout(&ends(folder.run(&args), 0));
    golden("explain-with-facts", &text);
    assert!(text.contains("- statement PublicRead"), "{text}");
    assert!(
        text.contains("block-public-policy      off -> on"),
        "{text}"
    );

    // The same settings inside of a record, as `before`, and of what `show` prints.
    let record = json!({ "before": public_bucket() });
    for facts in [record.clone(), json!({ "version": 1, "record": record })] {
        folder.write("facts.json", &facts.to_string());
        assert_eq!(stdout(&ends(folder.run(&args), 0)), text);
    }
}

/// With all that can be read and asked, the write-up ends with what nobody can tell from here; and JSON carries the same.
#[test]
fn explain_with_everything_known_is_a_write_up() {
    let folder = Folder::new();
    folder.write("policy.yaml", CONTAINING);
    let xml = |text: &str| json!({ "present": { "xml": { "text": text } } });
    let partner = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "Partner", "Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::amzn-s3-demo-bucket-shared/*"},
        {"Sid": "Distribution", "Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::amzn-s3-demo-bucket-shared/*", "Condition": {"StringEquals": {"aws:SourceArn": "arn:aws:cloudfront::111122223333:distribution/EDFDVBD6EXAMPLE"}}},
    ]});
    let mut before = public_bucket();
    before["bucket-policy"] = json!({ "present": { "bucket-policy": partner.to_string() } });
    before["policy-status"] = xml("<PolicyStatus><IsPublic>FALSE</IsPublic></PolicyStatus>");
    before["public-access-block"] = json!({ "present": { "public-access-block": {
        "block-public-acls": false, "ignore-public-acls": true, "block-public-policy": false, "restrict-public-buckets": false,
    } } });
    before["account-public-access-block"] = json!("absent");
    before["replication"] = json!("absent");
    before["website"] = json!("absent");
    before["access-point-policies"] = json!({ "present": { "access-point-policies": {} } });
    let record = json!({ "before": before, "enrichment": {
        "macie": { "bucket": { "score": 91, "monitored": true, "detections": [
            { "name": "CREDIT_CARD_NUMBER", "count": 310 }, { "name": "NAME", "count": 42 },
        ] } },
        "guardduty": { "is": "confirmed", "because": "GuardDuty has the finding as the event tells it" },
    } });
    folder.write("record.json", &record.to_string());
    let event = event("cross-account");
    let args = [
        "explain",
        &event,
        "--policy",
        "policy.yaml",
        "--facts",
        "record.json",
    ];
    let text = stdout(&ends(folder.run(&args), 0));
    golden("explain-everything-known", &text);
    let json = stdout(&ends(
        folder.run(&[args.as_slice(), &["--output", "json"]].concat()),
        0,
    ));
    let json: Value = serde_json::from_str(&json).unwrap();
    let investigation = &json["results"][0]["explanation"]["investigation"];
    for told in ["summary", "openings", "unknown"] {
        let items = match &investigation[told] {
            Value::Array(items) => items.clone(),
            item => vec![item.clone()],
        };
        assert!(!items.is_empty(), "{told}");
        for item in items {
            let item = item.as_str().unwrap();
            let (how, _) = item.split_once(", closed by").unwrap_or((item, ""));
            let how = how
                .split_once(": ")
                .filter(|_| told == "openings")
                .map_or(how, |(_, how)| how);
            assert!(text.contains(how), "{item:?} is not in {text}");
        }
    }
}

#[test]
fn untrusted_text_cannot_move_the_cursor() {
    let raw = fs::read_to_string(event("exfiltration-anomalous")).unwrap();
    let mut value: Value = serde_json::from_str(&raw).unwrap();
    value["detail"]["title"] = json!("nice\u{1b}[2J\u{202e}title\nOutcome   contained");
    let output = ends(
        run_with(
            &["explain", "-", "--color", "always"],
            value.to_string().as_bytes(),
        ),
        0,
    );
    let text = stdout(&output);
    assert!(text.contains("nice[2Jtitle Outcome contained"), "{text}");
    assert!(!text.contains("\u{1b}[2J") && !text.contains('\u{202e}'));
}

#[test]
fn text_and_json_tell_the_same() {
    let path = event("attack-sequence-s3");
    let document = json_of(&ends(run(&["explain", &path, "--output", "json"]), 0));
    let text = stdout(&run(&["explain", &path]));
    assert_eq!(document["version"], 1);
    let results = document["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    for result in results {
        let explanation = &result["explanation"];
        let bucket = explanation["target"]["bucket"]["name"].as_str().unwrap();
        let rule = explanation["decision"]["rule"].as_str().unwrap();
        assert!(
            text.contains(bucket) && text.contains(rule),
            "{bucket} {rule}"
        );
        assert_eq!(explanation["settings-known"], false);
    }
}

#[test]
fn a_broken_event_says_what_is_wrong_with_it() {
    for (input, says) in [
        ("{\"detail\"", "is not JSON at line 1"),
        ("", "the input is empty"),
        ("[]", "is an empty list"),
        (
            "{\"detail-type\":\"GuardDuty Finding\",\"source\":\"aws.guardduty\",\"detail\":{}}",
            "detail is empty",
        ),
        (
            "{\"portcullis\":{\"sweep\":{}}}",
            "request to the deployed function",
        ),
    ] {
        for verb in ["explain", "plan"] {
            let output = ends(run_with(&[verb, "-"], input.as_bytes()), 3);
            let message = stderr(&output);
            assert!(
                message.contains("error: standard input"),
                "{verb} {input}: {message}"
            );
            assert!(message.contains(says), "{verb} {input}: {message}");
        }
    }
}

#[test]
fn a_finding_as_the_aws_command_line_prints_it_is_read_likewise() {
    let text = stdout(&ends(run(&["explain", &event("finding-pascal-case")]), 0));
    assert!(text.contains("UnauthorizedAccess:S3/TorIPCaller"), "{text}");
    assert!(text.contains("credentials-from-bad-address"), "{text}");
}

#[test]
fn one_bad_line_does_not_hide_the_others_and_the_worst_counts() {
    let compact = |name: &str| {
        let value: Value = serde_json::from_slice(&fs::read(event(name)).unwrap()).unwrap();
        value.to_string()
    };
    let lines = [
        compact("exfiltration-malicious-ip"),
        "{ this is no event".to_owned(),
        compact("ignored-malware-scan-result"),
        compact("malicious-object"),
    ];
    let output = ends(run_with(&["explain", "-"], lines.join("\n").as_bytes()), 3);
    let text = stdout(&output);
    assert!(text.contains("Exfiltration:S3/MaliciousIPCaller"), "{text}");
    assert!(text.contains("Object:S3/MaliciousFile"), "{text}");
    assert!(text.contains("Ignored: "), "{text}");
    assert!(stderr(&output).contains("line 2"), "{}", stderr(&output));
}

#[test]
fn what_is_none_of_ours_needs_no_credentials() {
    let output = ends(run(&["plan", &event("ignored-malware-scan-result")]), 0);
    assert!(stdout(&output).starts_with("Ignored: "));
    let output = ends(run(&["plan", &event("recovery-point")]), 0);
    assert!(stdout(&output).contains("names no bucket"));
}

#[test]
fn missing_region_and_credentials_are_named() {
    let path = event("exfiltration-anomalous");
    for verb in ["plan", "apply"] {
        let output = ends(run(&[verb, &path]), 1);
        assert!(
            stderr(&output).contains("AWS_REGION"),
            "{}",
            stderr(&output)
        );
        let mut command = portcullis(&[verb, &path]);
        command.env("AWS_REGION", "us-east-1");
        let output = ends(command.output().unwrap(), 1);
        assert!(
            stderr(&output).contains("there are no AWS credentials"),
            "{}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn an_invalid_policy_decides_nothing() {
    let folder = Folder::new();
    folder.write("policy.yaml", THREE_MISTAKES);
    let args = ["explain", &event("sample"), "--policy", "policy.yaml"];
    let output = ends(folder.run(&args), 3);
    assert_eq!(stdout(&output), "");
    let message = stderr(&output);
    assert!(message.contains("policy.yaml:2:7"), "{message}");
    assert!(message.contains("(and 2 more)"), "{message}");
}

#[test]
fn records_are_empty_before_the_first_and_an_unknown_one_is_named() {
    let folder = Folder::new();
    let output = ends(folder.run(&["records"]), 0);
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains("there are no records"));
    let list = json_of(&folder.run(&["records", "--output", "json"]));
    assert_eq!(list, json!({ "version": 1, "records": [], "more": 0 }));
    let output = ends(folder.run(&["show", "r-20260101T000000Z-1-2"]), 3);
    assert!(stderr(&output).contains("there is no record r-20260101T000000Z-1-2"));
    let output = ends(folder.run(&["show", "../policy"]), 3);
    assert!(
        stderr(&output).contains("\"../policy\""),
        "{}",
        stderr(&output)
    );
    assert!(
        !folder.path(".portcullis").exists(),
        "looking must not make a store"
    );
}

#[test]
fn a_store_or_role_that_cannot_be_one_is_a_usage_error() {
    let output = ends(run(&["records", "--store", "http://x"]), 2);
    assert!(
        stderr(&output).contains("is no store"),
        "{}",
        stderr(&output)
    );
    let path = event("sample");
    let output = ends(run(&["plan", &path, "--role-arn", "Role"]), 2);
    assert!(
        stderr(&output).contains("is not the ARN of a role"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn measures_are_listed_in_both_outputs() {
    let document = json_of(&ends(run(&["measures", "--output", "json"]), 0));
    let text = stdout(&ends(run(&["measures"]), 0));
    let measures = document["measures"].as_array().unwrap();
    assert!(measures.len() >= 6);
    for measure in measures {
        let name = measure["name"].as_str().unwrap();
        assert!(text.contains(name), "{name}");
        let actions = measure["actions"].as_array().unwrap();
        assert!(
            actions
                .iter()
                .all(|action| text.contains(action.as_str().unwrap()))
        );
    }
}

#[test]
fn the_schema_is_draft_07() {
    for args in [&["schema"][..], &["schema", "--tests"]] {
        let schema = json_of(&ends(run(args), 0));
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    }
}

#[test]
fn there_are_completions_for_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&ends(run(&["completions", shell]), 0));
        for verb in VERBS {
            assert!(script.contains(verb), "{shell} lacks {verb}");
        }
    }
}

#[test]
fn color_follows_flag_then_environment_then_terminal() {
    let colored = |flag: &str, variables: &[(&str, &str)]| {
        let mut command = portcullis(&["measures", "--color", flag]);
        command.envs(variables.iter().copied());
        stdout(&ends(command.output().unwrap(), 0)).contains('\u{1b}')
    };
    assert!(!colored("auto", &[]), "a pipe is no terminal");
    assert!(colored("auto", &[("FORCE_COLOR", "1")]));
    assert!(!colored("auto", &[("FORCE_COLOR", "1"), ("NO_COLOR", "1")]));
    assert!(colored("auto", &[("FORCE_COLOR", "1"), ("NO_COLOR", "")]));
    assert!(!colored("never", &[("FORCE_COLOR", "1")]));
    assert!(colored("always", &[("NO_COLOR", "1")]));
}

#[test]
fn a_level_of_the_log_that_is_none_is_a_usage_error() {
    let logging = |level: &str| {
        let mut command = portcullis(&[
            "explain",
            &event("exfiltration-anonymous"),
            "--policy",
            "built-in",
        ]);
        command.env("PORTCULLIS_LOG", level).output().unwrap()
    };
    let refused = ends(logging("loud"), 2);
    assert_eq!(
        stderr(&refused),
        "error: PORTCULLIS_LOG: \"loud\" is none of trace, debug, info, warn, error and fatal\n"
    );
    assert_eq!(stdout(&refused), "");
    for level in ["", "Warn", "FATAL", "trace"] {
        assert_eq!(stderr(&ends(logging(level), 0)), "", "{level}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let mut child = portcullis(&["schema"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_containment_is_planned_confirmed_applied_told_and_undone() {
    let endpoint = stand_in::endpoint("ministack");
    let client = stand_in::client(&endpoint);
    let bucket = stand_in::unique_name("cli");
    let public = json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "PublicRead",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{bucket}/*"),
    }] });
    stand_in::seed_bucket(&client, &bucket, Some(&public.to_string())).await;
    let folder = Folder::new();
    folder.write("policy.yaml", ISOLATING);
    let event = fs::read_to_string(event("exfiltration-anonymous")).unwrap();
    let event = event.replace("amzn-s3-demo-bucket-catalog", &bucket);
    folder.write(
        "event.json",
        &event.replace("111122223333", stand_in::ACCOUNT),
    );
    let output = |mut command: Command| {
        command
            .current_dir(folder.path(""))
            .env("AWS_ENDPOINT_URL", &endpoint);
        command
            .env("AWS_REGION", "us-east-1")
            // MiniStack knows nothing of GuardDuty.
            .env("PORTCULLIS_DETECTOR_ID", "none")
            .env("PORTCULLIS_POLICY", "policy.yaml");
        command
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        command.output().unwrap()
    };
    let run = |args: &[&str]| output(portcullis(args));

    let plan = ends(run(&["plan", "event.json"]), 0);
    let text = stdout(&plan);
    assert!(text.contains("- statement PublicRead"), "{text}");
    assert!(text.contains("+ statement PortcullisIsolateData"), "{text}");
    let next = format!("Next: portcullis apply event.json --confirm {bucket}\n");
    assert!(text.contains(&next), "{text}");
    assert!(
        text.contains("deployed function would only record this"),
        "{text}"
    );
    ends(run(&["plan", "event.json", "--detailed-exitcode"]), 4);
    assert!(
        !folder.path(".portcullis").exists(),
        "a plan must store nothing"
    );

    for (flags, says) in [
        (&["--yes"][..], format!("add --confirm {bucket}")),
        (
            &["--confirm", "another"],
            "--confirm names \"another\"".to_owned(),
        ),
    ] {
        let refused = ends(run(&[&["apply", "event.json"], flags].concat()), 2);
        assert!(stderr(&refused).contains(&says), "{}", stderr(&refused));
    }
    let before = stand_in::policy_text(&client, &bucket).await.unwrap();
    assert!(
        before.contains("PublicRead") && !before.contains("Portcullis"),
        "{before}"
    );

    let apply = ["apply", "event.json", "--confirm", &bucket];
    let full = ends(output(portcullis_on_a_full_disk(&apply)), 1);
    let told = stdout(&full);
    assert!(
        told.contains("nothing was changed: ") && told.contains("File too large"),
        "{told}"
    );
    assert_eq!(
        stand_in::policy_text(&client, &bucket).await.unwrap(),
        before
    );
    let list = json_of(&ends(run(&["records", "--output", "json"]), 0));
    assert_eq!(list["records"], json!([]));

    let applied = ends(run(&apply), 0);
    assert!(stdout(&applied).contains(&format!("Contained {bucket}")));
    let during = stand_in::policy_text(&client, &bucket).await.unwrap();
    assert!(!during.contains("PublicRead") && during.contains("PortcullisIsolateData"));
    let again = ends(run(&["plan", "event.json", "--detailed-exitcode"]), 0);
    assert!(stdout(&again).contains("already contained as the policy asks"));

    let list = json_of(&ends(run(&["records", "--output", "json"]), 0));
    assert_eq!(list["records"][0]["outcome"], "contained");
    let id = list["records"][0]["id"].as_str().unwrap().to_owned();
    let shown = stdout(&ends(run(&["show", &id]), 0));
    assert!(
        shown.contains(&format!("Undo: portcullis rollback {id}")),
        "{shown}"
    );
    let json = json_of(&ends(run(&["show", &id, "--output", "json"]), 0));
    assert_eq!(json["result"]["outcome"], "contained");

    let swept = stdout(&ends(run(&["sweep"]), 0));
    assert_eq!(swept, "One containment stands, or may.\n");
    let request = client.put_bucket_policy().bucket(&bucket).policy(&before);
    request.send().await.unwrap();
    let swept = stdout(&ends(run(&["sweep", "--yes"]), 5));
    assert!(swept.contains("drift  "), "{swept}");
    assert!(
        swept.contains("statement PortcullisIsolateData is gone"),
        "{swept}"
    );
    let request = client.put_bucket_policy().bucket(&bucket).policy(&during);
    request.send().await.unwrap();

    let asked = ends(run(&["rollback", &id]), 2);
    assert!(stderr(&asked).contains("add --yes"), "{}", stderr(&asked));
    // A rollback does not ask the policy, so that a broken one does not stand in its way.
    folder.write("policy.yaml", THREE_MISTAKES);
    let undone = json_of(&ends(
        run(&["rollback", &id, "--yes", "--output", "json"]),
        0,
    ));
    assert_eq!(undone["results"][1]["outcome"]["outcome"], "rolled-back");
    let after = stand_in::policy_text(&client, &bucket).await.unwrap();
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(value(&after), value(&before));
    let undo = undone["results"][1]["outcome"]["id"].as_str().unwrap();
    let store = folder.path(".portcullis/ended");
    assert_eq!(fs::read_dir(store).unwrap().count(), 1);
    let refused = ends(run(&["rollback", undo, "--yes"]), 3);
    assert!(stderr(&refused).contains("is a rollback itself"));
    stand_in::delete_bucket(&client, &bucket).await;
}

const ISOLATING: &str = "\
version: 1
mode: observe
break-glass: [arn:aws:iam::*:role/SecurityBreakGlass]
rules:
  - id: everything
    measures: [remove-public-grants, isolate]
";

const CONTAINING: &str = "\
version: 1
mode: enforce
break-glass: [arn:aws:iam::*:role/SecurityBreakGlass]
rules:
  - id: everything
    measures: [remove-public-grants, block-public-access, deny-source-ip]
";

fn public_bucket() -> Value {
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "PublicRead",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::amzn-s3-demo-bucket-orders/*",
        }],
    });
    json!({
        "bucket-policy": { "present": { "bucket-policy": policy.to_string() } },
        "acl": { "present": { "acl": { "owner": "owner", "grants": [
            { "grantee-type": "CanonicalUser", "grantee": "owner", "permission": "FULL_CONTROL" },
            {
                "grantee-type": "Group",
                "grantee": "http://acs.amazonaws.com/groups/global/AllUsers",
                "permission": "READ",
            },
        ] } } },
        "public-access-block": "absent",
    })
}

/// The program, with nothing of the environment that it would listen to.
pub(crate) fn portcullis(args: &[&str]) -> Command {
    deaf(Command::new(PROGRAM), args)
}

/// The same where no file can be written any more.
fn portcullis_on_a_full_disk(args: &[&str]) -> Command {
    let limit = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";
    deaf(
        Command::new("bash"),
        &[&["-c", limit, "bash", PROGRAM], args].concat(),
    )
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");

fn deaf(mut command: Command, args: &[&str]) -> Command {
    let heard = |name: &str| {
        let listened = ["AWS_", "PORTCULLIS_", "CLICOLOR"];
        listened.iter().any(|prefix| name.starts_with(prefix))
            || ["NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"].contains(&name)
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(heard) {
            command.env_remove(name);
        }
    }
    // No profile, and no instance to ask for credentials.
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nowhere");
    command.args(args).current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.env("AWS_CONFIG_FILE", &nowhere);
    command.env("AWS_SHARED_CREDENTIALS_FILE", &nowhere);
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    portcullis(args).output().unwrap()
}

pub(crate) fn run_with(args: &[&str], input: &[u8]) -> Output {
    let mut child = portcullis(args).stdin(Stdio::piped()).spawn().unwrap();
    // A verb that refuses early never reads its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[track_caller]
pub(crate) fn ends(output: Output, code: i32) -> Output {
    assert_eq!(
        output.status.code(),
        Some(code),
        "stdout:\n{}\nstderr:\n{}",
        stdout(&output),
        stderr(&output)
    );
    output
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
pub(crate) fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON document")
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn event(name: &str) -> String {
    let path = repository().join("events").join(format!("{name}.json"));
    path.to_str().unwrap().to_owned()
}

pub(crate) fn events() -> Vec<PathBuf> {
    let files = fs::read_dir(repository().join("events")).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// Compares with tests/cases/cli/NAME.txt. Paths of this machine are written as `…`.
#[track_caller]
pub(crate) fn golden(name: &str, text: &str) {
    let text = text.replace(repository().to_str().unwrap(), "…");
    // Where the built-in policy says something is not what these texts are about.
    let mut parts = text.split("built-in:");
    let mut unplaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        unplaced += "built-in:N";
        unplaced += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    let text = unplaced;
    let path = repository()
        .join("tests/cases/cli")
        .join(format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(&path)
        .unwrap_or_else(|_| panic!("{} is missing; run with BLESS=1", path.display()));
    assert_eq!(text, expected, "{name}: look at it, then run with BLESS=1");
}

/// A folder of its own for one test, gone at the end of it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cli-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        portcullis(args).current_dir(&self.0).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
