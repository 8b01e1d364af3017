//! `backtest`: a policy over past findings, driven as a process against files, folders, a store and an export in S3.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use portcullis::record::{Record, RollbackOf};
use portcullis::rollback::Inverse;
use serde_json::{Value, json};

use crate::cli::{
    Folder, ends, events, golden, json_of, portcullis, run, run_with, stderr, stdout,
};
use crate::push::record_of;
use crate::stand_in::{self, Proxy, Verdict, unique_name};
use crate::world::public_policy;

const OLD: &str = "\
version: 1
mode: enforce
break-glass: [arn:aws:iam::*:role/SecurityBreakGlass]
exceptions:
  - id: reports
    match: { bucket: [\"amzn-s3-demo-bucket-reports\"] }
    withhold: [block-public-access]
    reason: Site of the reports (SEC-412)
    expires: 2099-12-31
rules:
  - id: public
    when: { finding: [\"Policy:S3/*\"] }
    measures: [block-public-access]
  - id: thieves
    when: { finding: [\"Exfiltration:S3/*\", \"Impact:S3/*\"] }
    measures: [deny-actor]
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
    reason: Static site (SEC-413)
    expires: 2099-12-31
  - id: over
    match: { bucket: [\"amzn-s3-demo-bucket-*\"] }
    withhold: all
    reason: The migration (SEC-1)
    expires: 2020-01-01
rules:
  - id: tagged
    when: { finding: [\"Policy:S3/*\"], tag: { exposure: public } }
    measures: []
  - id: public
    when: { finding: [\"Policy:S3/*\"] }
    measures: [block-public-access, remove-public-grants]
  - id: writers
    when: { finding: [\"Impact:S3/*\"] }
    measures: [deny-actor, preserve-data]
    mode: observe
  - id: thieves
    when: { finding: [\"Exfiltration:S3/*\"] }
    measures: [deny-actor]
  - id: everything-else
    measures: []
";

/// The findings of `events/`, one a line, in the order of their names.
fn lines() -> Vec<String> {
    let compact = events().into_iter().map(|path| {
        let event: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        event.to_string()
    });
    compact.collect()
}

/// So many findings with ids of their own.
fn many(count: usize) -> Vec<Value> {
    let shapes: Vec<Value> = lines()
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|mut event| event.get_mut("detail").map(Value::take))
        .filter(|detail| detail["resource"]["s3BucketDetails"].is_array())
        .collect();
    let findings = (0..count).map(|number| {
        let mut finding = shapes[number % shapes.len()].clone();
        finding["id"] = json!(format!("{number:032x}"));
        finding["resource"]["s3BucketDetails"][0]["name"] =
            json!(format!("amzn-s3-demo-bucket-{}", number % 40));
        finding
    });
    findings.collect()
}

fn policies() -> Folder {
    let folder = Folder::new();
    folder.write("old.yaml", OLD);
    folder.write("new.yaml", NEW);
    folder
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Without the time, which is now.
fn timeless(text: &str) -> String {
    let lines = text.lines().map(|line| match line.starts_with("As of ") {
        true => "As of     now\n".to_owned(),
        false => format!("{line}\n"),
    });
    lines.collect()
}

/// What `backtest` answers to these words, as JSON.
fn answer(folder: &Folder, words: &str, code: i32) -> Value {
    let words = words.split(' ');
    let args: Vec<&str> = ["backtest"]
        .into_iter()
        .chain(words)
        .chain(["--output", "json"])
        .collect();
    json_of(&ends(folder.run(&args), code))
}

#[test]
fn a_policy_is_tried_and_compared_with_another() {
    let folder = policies();
    folder.write("findings.jsonl", &lines().join("\n"));
    let args = [
        "backtest",
        "findings.jsonl",
        "--policy",
        "new.yaml",
        "--against",
        "old.yaml",
    ];
    let output = ends(folder.run(&args), 0);
    let text = stdout(&output);
    golden("backtest", &timeless(&text));
    assert_eq!(stderr(&output), "");

    let document = json_of(&ends(
        folder.run(&[&args[..], &["--output", "json"]].concat()),
        0,
    ));
    assert_eq!(document["version"], 1);
    assert_eq!(document["partial"], false);
    assert_eq!(document["policy"]["name"], "new.yaml");
    assert_eq!(document["against"]["name"], "old.yaml");
    let targets = document["read"]["targets"].as_u64().unwrap();
    let sum = |list: &Value| -> u64 {
        let counts = list.as_array().unwrap().iter();
        counts.map(|one| one["count"].as_u64().unwrap()).sum()
    };
    assert_eq!(sum(&document["effects"]), targets);
    assert_eq!(sum(&document["rules"]), targets);
    let days = document["days"]["days"].as_array().unwrap();
    let dated: u64 = days.iter().map(|day| sum(&day["families"])).sum();
    let undated = document["days"]["undated"].as_u64().unwrap();
    assert_eq!(dated + undated, targets);
    let changes = &document["changes"];
    let differ = changes["differ"].as_u64().unwrap();
    assert_eq!(sum(&changes["groups"]), differ);
    assert_eq!(changes["same"].as_u64().unwrap() + differ, targets);
    // Every group names a line of a policy, and every line is one of that policy.
    for group in changes["groups"].as_array().unwrap() {
        let causes = group["because"].as_array().unwrap();
        assert!(!causes.is_empty(), "{group}");
        for cause in causes {
            let (name, line) = cause["place"].as_str().unwrap().split_once(':').unwrap();
            let written = if cause["side"] == "new" {
                ("new.yaml", NEW)
            } else {
                ("old.yaml", OLD)
            };
            assert_eq!(name, written.0, "{cause}");
            assert!(
                line.parse::<usize>().unwrap() <= written.1.lines().count(),
                "{cause}"
            );
        }
        for example in group["examples"].as_array().unwrap() {
            assert!(
                text.contains(example["finding"].as_str().unwrap()),
                "{example}"
            );
        }
    }
    // One that has expired spares nothing.
    let exceptions = document["exceptions"].as_array().unwrap();
    let over = exceptions
        .iter()
        .find(|one| one["exception"] == "over")
        .unwrap();
    assert_eq!(
        (&over["expired"], &over["count"]),
        (&json!(true), &json!(0))
    );
    // The same policy makes no difference.
    let args = [
        "backtest",
        "findings.jsonl",
        "--policy",
        "new.yaml",
        "--against",
        "new.yaml",
    ];
    let text = stdout(&ends(folder.run(&args), 0));
    assert!(text.contains("decided alike by both"), "{text}");
}

/// The policy enforces all along; what makes the difference is the line that is there no more.
#[test]
fn what_held_a_rule_back_is_named() {
    let folder = policies();
    let held = OLD.replace("[deny-actor]\n", "[deny-actor]\n    mode: observe\n");
    folder.write("held.yaml", &held);
    folder.write("findings.jsonl", &lines().join("\n"));
    let words = "findings.jsonl --policy old.yaml --against held.yaml";
    let changes = answer(&folder, words, 0)["changes"].take();
    let groups = changes["groups"].as_array().unwrap();
    assert!(!groups.is_empty(), "{changes}");
    let line = 1 + held
        .lines()
        .position(|line| line == "    mode: observe")
        .unwrap();
    for group in groups {
        let causes = group["because"].as_array().unwrap();
        let places: Vec<&Value> = causes.iter().map(|cause| &cause["place"]).collect();
        assert_eq!(
            places,
            ["old.yaml:2", &format!("held.yaml:{line}")],
            "{group}"
        );
    }
}

/// One finding in the backtest is the finding that `explain` tells of, in the very words.
#[test]
fn of_one_finding_it_says_what_explain_says() {
    let folder = policies();
    let mut compared = 0;
    for policy in ["old.yaml", "new.yaml", "built-in"] {
        for path in events() {
            let path = path.to_str().unwrap();
            let explained = folder.run(&["explain", path, "--policy", policy, "--output", "json"]);
            let explained = json_of(&explained)["results"].as_array().unwrap().clone();
            let explanations: Vec<&Value> = explained
                .iter()
                .filter_map(|result| result.get("explanation"))
                .collect();
            let tried = folder.run(&["backtest", path, "--policy", policy, "--output", "json"]);
            let tried = json_of(&tried);
            assert_eq!(tried["read"]["targets"], explanations.len(), "{path}");
            let text = stdout(&folder.run(&["explain", path, "--policy", policy]));
            for explanation in explanations {
                let decision = &explanation["decision"];
                let examples = tried["examples"].as_array().unwrap().iter();
                let name = explanation["target"]["bucket"]["name"].as_str();
                let mut examples =
                    examples.filter(|example| name.is_none_or(|name| example["target"] == name));
                let Some(example) = examples.next() else {
                    // Of a finding with many targets only the first are kept.
                    assert!(explained.len() > 1, "{path}");
                    continue;
                };
                for key in ["rule", "place", "mode"] {
                    assert_eq!(example["verdict"][key], decision[key], "{path}");
                }
                let taken: Vec<&Value> = decision["taken"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|taken| &taken["measure"])
                    .collect();
                assert_eq!(example["verdict"]["taken"], json!(taken), "{path}");
                let asked =
                    |verdict: &Value, key: &str| verdict[key].as_array().map_or(0, Vec::len);
                assert_eq!(
                    asked(&example["verdict"], "open") + asked(&example["verdict"], "withheld"),
                    decision["withheld"].as_array().unwrap().len(),
                    "{path}"
                );
                if explained.len() == 1 {
                    let lines: Vec<&str> = example["explanation"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|line| line.as_str().unwrap())
                        .collect();
                    let (told, _) = text.split_once("\nNext: ").unwrap();
                    assert_eq!(lines.join("\n"), told.trim_end_matches('\n'), "{path}");
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 60, "{compared}");
}

#[test]
fn however_findings_are_written_they_are_the_same() {
    let folder = policies();
    let findings = many(1_500);
    let compact: Vec<String> = findings.iter().map(Value::to_string).collect();
    let pretty: Vec<String> = findings
        .iter()
        .map(|finding| serde_json::to_string_pretty(finding).unwrap())
        .collect();
    // As some tools write it: no line is indented, so that items begin with a brace at the start of a line.
    let flat = |text: &str| -> String {
        let lines = text.lines().map(|line| format!("{}\n", line.trim_start()));
        lines.collect()
    };
    let ndjson = compact.join("\n");
    let half = compact.len() / 2;
    for (name, text) in [
        ("lines.jsonl", ndjson.clone()),
        (
            "windows.jsonl",
            format!("\u{feff}{}\r\n", compact.join("\r\n")),
        ),
        ("joined.json", compact.concat()),
        ("pretty.json", pretty.join("\n")),
        ("flat.json", flat(&pretty.join("\n"))),
        ("list.json", format!("[{}]", compact.join(","))),
        (
            "pretty-list.json",
            serde_json::to_string_pretty(&findings).unwrap(),
        ),
        (
            "flat-list.json",
            flat(&serde_json::to_string_pretty(&findings).unwrap()),
        ),
        (
            "answer.json",
            json!({"Findings": findings, "NextToken": "]}"}).to_string(),
        ),
        (
            "flat-answer.json",
            flat(
                &serde_json::to_string_pretty(&json!({"NextToken": "", "findings": findings}))
                    .unwrap(),
            ),
        ),
        (
            "answers.json",
            [&findings[..half], &findings[half..]]
                .map(|findings| json!({"Findings": findings}).to_string())
                .join("\n"),
        ),
        (
            "wrapped.jsonl",
            compact
                .iter()
                .map(|finding| {
                    json!({"Message": finding, "Type": "Notification"}).to_string() + "\n"
                })
                .collect(),
        ),
    ] {
        folder.write(name, &text);
    }
    fs::write(folder.path("lines.jsonl.gz"), gzip(&ndjson)).unwrap();
    // Two members one after the other are one file.
    let halves = [&compact[..half], &compact[half..]].map(|half| gzip(&(half.join("\n") + "\n")));
    fs::write(folder.path("members.jsonl.gz"), halves.concat()).unwrap();
    for (index, part) in compact.chunks(400).enumerate() {
        let path = folder.path(&format!("export/2026/0{}", index + 1));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("findings.jsonl.gz"), gzip(&part.join("\n"))).unwrap();
        fs::write(path.join("README.txt"), "no findings").unwrap();
    }
    let tried = |source: &str| {
        let words = format!("{source} --policy new.yaml --against old.yaml");
        let mut document = answer(&folder, &words, 0);
        document["source"] = Value::Null;
        document["as-of"] = Value::Null;
        placeless(&mut document);
        document
    };
    let expected = tried("lines.jsonl");
    assert_eq!(expected["read"]["findings"], 1_500);
    assert_eq!(expected["read"]["broken"], 0);
    assert_eq!(expected["contained"]["exact"], true);
    for name in fs::read_dir(folder.path(".")).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        let holds = [".json", ".jsonl", ".gz"]
            .iter()
            .any(|ending| name.ends_with(ending));
        if holds || name == "export" {
            assert!(tried(&name) == expected, "{name}");
        }
    }
    let args = ["backtest", "-", "--policy", "new.yaml", "--output", "json"];
    let mut child = portcullis(&args)
        .current_dir(folder.path("."))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(ndjson.as_bytes())
        .unwrap();
    let document = json_of(&ends(child.wait_with_output().unwrap(), 0));
    assert_eq!(document["read"], expected["read"]);
    assert_eq!(document["rules"], expected["rules"]);
}

/// Where in a file something stands is what differs between files.
fn placeless(document: &mut Value) {
    let groups = document["changes"]["groups"].as_array_mut().unwrap();
    for group in groups {
        for example in group["examples"].as_array_mut().unwrap() {
            example["place"] = Value::Null;
        }
    }
    for example in document["examples"].as_array_mut().unwrap() {
        example["place"] = Value::Null;
    }
}

#[test]
fn a_broken_line_is_named_and_hides_no_other() {
    let folder = policies();
    let mut bytes = Vec::new();
    for (index, line) in many(20).iter().map(Value::to_string).enumerate() {
        match index {
            3 => bytes.extend_from_slice(&line.as_bytes()[..line.len() / 2]),
            5 => bytes.extend_from_slice(b"{\"id\": \"\xff\xfe\"}"),
            7 => bytes.extend_from_slice(b"{\"portcullis\": {\"sweep\": {}}}"),
            9 => bytes.extend_from_slice(
                b"{\"source\": \"aws.ec2\", \"detail\": {}, \"detail-type\": \"\\u001b[2J\"}",
            ),
            11 => bytes.extend_from_slice(b"{}"),
            _ => bytes.extend_from_slice(line.as_bytes()),
        }
        bytes.push(b'\n');
    }
    fs::write(folder.path("findings.jsonl"), &bytes).unwrap();
    let args = ["backtest", "findings.jsonl", "--policy", "new.yaml"];
    let text = stdout(&ends(folder.run(&args), 3));
    assert!(text.contains("Broken, and left out: 4"), "{text}");
    let document = json_of(&ends(
        folder.run(&[&args[..], &["--output", "json"]].concat()),
        3,
    ));
    let read = &document["read"];
    assert_eq!(read["findings"], 15);
    assert_eq!((&read["broken"], &read["ignored"]), (&json!(4), &json!(1)));
    let places: Vec<&str> = read["first-broken"]
        .as_array()
        .unwrap()
        .iter()
        .map(|broken| broken["place"].as_str().unwrap())
        .collect();
    assert_eq!(
        places,
        [4, 6, 8, 12].map(|line| format!("findings.jsonl:{line}"))
    );
    for place in places {
        assert!(text.contains(place), "{place}: {text}");
    }

    // Only the first few are named, and all are counted.
    let hostile = "[[[[\n".repeat(3) + &"{\"a\": \u{1b}[2J}\n".repeat(500);
    folder.write("hostile.jsonl", &hostile);
    let read = &answer(&folder, "hostile.jsonl --policy new.yaml", 3)["read"];
    assert!(read["broken"].as_u64().unwrap() >= 1, "{read}");
    assert!(read["first-broken"].as_array().unwrap().len() <= 10);

    // A list that does not end, and a compressed file that was cut off.
    let list = format!("[{},\n{}", many(1)[0], &many(2)[1].to_string()[..900]);
    folder.write("cut.json", &list);
    let whole = gzip(
        &many(900)
            .iter()
            .map(|finding| finding.to_string() + "\n")
            .collect::<String>(),
    );
    fs::write(folder.path("cut.jsonl.gz"), &whole[..whole.len() / 2]).unwrap();
    for (name, least, says) in [
        ("cut.json", 1, "the list that begins here does not end"),
        ("cut.jsonl.gz", 10, "cannot be read any further"),
    ] {
        let read = &answer(&folder, &format!("{name} --policy new.yaml"), 3)["read"];
        assert!(
            read["findings"].as_u64().unwrap() >= least,
            "{name}: {read}"
        );
        assert!(
            read["first-broken"].to_string().contains(says),
            "{name}: {read}"
        );
    }
}

#[test]
fn a_document_that_is_no_document_costs_itself_and_no_memory() {
    let folder = policies();
    let good = many(3).iter().map(Value::to_string).collect::<Vec<_>>();
    let endless = format!("{{\"a\": \"{}\"}}", "x".repeat(17 << 20));
    folder.write(
        "long.jsonl",
        &[&good[0], &endless, &good[1], &good[2]]
            .map(String::as_str)
            .join("\n"),
    );
    let read = &answer(&folder, "long.jsonl --policy new.yaml", 3)["read"];
    assert_eq!((&read["findings"], &read["broken"]), (&json!(3), &json!(1)));
    assert_eq!(read["first-broken"][0]["place"], "long.jsonl:2");
    assert!(
        read["first-broken"][0]["why"]
            .as_str()
            .unwrap()
            .contains("longer than 16 MiB")
    );
}

#[test]
fn an_archived_finding_can_be_taken_as_new() {
    let folder = policies();
    let archived = events()
        .into_iter()
        .find(|path| path.ends_with("archived.json"))
        .unwrap();
    let archived = archived.to_str().unwrap();
    let words = format!("{archived} --policy new.yaml");
    let document = answer(&folder, &words, 0);
    assert_eq!(document["effects"], json!([{"is": "withheld", "count": 1}]));
    assert_eq!(document["withheld"][0]["guard"], "archived-finding");
    let document = answer(&folder, &format!("{words} --as-new"), 0);
    assert_eq!(
        document["effects"],
        json!([{"is": "contained", "count": 1}])
    );
    assert_eq!(document["read"]["archived"], 1);
}

#[test]
fn the_facts_are_those_of_the_records() {
    let folder = policies();
    let event = fs::read(crate::cli::event("anonymous-access-granted")).unwrap();
    let record = record_of(&event);
    let put = |name: &str, record: &Value| {
        folder.write(&format!("store/records/{name}.json"), &record.to_string())
    };
    put(&record.id, &json!(record));
    put(&format!("{}.result", record.id), &json!({}));
    let document = answer(&folder, "--records --store store --policy old.yaml", 0);
    assert_eq!(
        document["facts"],
        json!({"recorded": 1, "live": 0, "unknown": 0})
    );
    assert_eq!(document["source"], "the records of folder store");
    assert_eq!(document["examples"][0]["place"], record.id);

    // Nothing spares the bucket in the other policy. The record has the flags, and not the bucket policy.
    let flags = |words: &str| {
        let document = answer(&folder, &format!("{words} --policy new.yaml"), 0);
        let told = document["examples"][0]["explanation"].to_string();
        let hits = document["measures"].as_array().unwrap().clone();
        let hits = hits
            .into_iter()
            .find(|hits| hits["measure"] == "block-public-access");
        let hits = hits.unwrap();
        let counts = [&hits["taken"], &hits["open"]].map(|count| count.as_u64().unwrap());
        (counts, told.contains("public access block"))
    };
    fs::write(folder.path("finding.json"), &event).unwrap();
    assert_eq!(flags("--records --store store"), ([1, 0], true));
    assert_eq!(flags("finding.json --store store"), ([1, 0], true));
    assert_eq!(
        flags("finding.json --store store --facts none"),
        ([0, 1], false)
    );
    let of_finding = |more: &str, code| {
        answer(
            &folder,
            &format!("finding.json --store store --policy old.yaml{more}"),
            code,
        )
    };
    let with = of_finding("", 0);
    assert_eq!(with["facts"]["recorded"], 1);
    assert_eq!(with["effects"], document["effects"]);
    assert_eq!(of_finding(" --facts none", 0)["facts"]["unknown"], 1);

    // A rollback is nothing to decide, and what is no record is named.
    let rollback = Record {
        id: "u-20260301T101500Z-1-2".to_owned(),
        rollback: Some(RollbackOf {
            record: record.id.clone(),
            inverse: Inverse::default(),
        }),
        ..record.clone()
    };
    put(&rollback.id, &json!(rollback));
    put("r-broken", &json!({"version": 1}));
    let document = answer(&folder, "--records --store store --policy old.yaml", 3);
    let read = &document["read"];
    assert_eq!(
        (&read["findings"], &read["ignored"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(read["first-broken"][0]["place"], "r-broken");

    // A record that is there and cannot be read is not one that is not there.
    put(&record.id, &json!({"version": 1}));
    let document = of_finding("", 5);
    assert_eq!(document["read"]["findings"], 1);
    let facts = &document["facts"];
    assert_eq!(
        (&facts["unknown"], &facts["unread"]),
        (&json!(1), &json!(1))
    );
    let first = &facts["first-unread"][0];
    assert!(first["why"].to_string().contains(&record.id), "{first}");
    let args = [
        "backtest",
        "finding.json",
        "--store",
        "store",
        "--policy",
        "old.yaml",
    ];
    let text = stdout(&ends(folder.run(&args), 5));
    assert!(
        text.contains("could not be read: 1\n  finding.json"),
        "{text}"
    );
}

/// The bucket as it is, looked at and not touched.
#[tokio::test]
async fn live_facts_are_read_and_nothing_is_written() {
    let proxy = Proxy::start(&stand_in::endpoint("ministack"), |request| {
        match request.contains("out-of-sight") {
            true => Verdict::Refuse(500, "InternalError"),
            false => Verdict::Pass,
        }
    });
    let client = stand_in::client(&proxy.url);
    let bucket = unique_name("portcullis-live");
    stand_in::seed_bucket(&client, &bucket, Some(&public_policy(&bucket))).await;
    let event = fs::read_to_string(crate::cli::event("anonymous-access-granted")).unwrap();
    let event = event.replace("111122223333", stand_in::ACCOUNT);
    let about = |name: &str| event.replace("amzn-s3-demo-bucket-reports", name);
    let folder = policies();
    folder.write("seen.json", &about(&bucket));
    folder.write("unseen.json", &about(&unique_name("out-of-sight")));
    proxy.forget();
    let live = |file: &str, code| {
        let args = [
            "backtest", file, "--facts", "live", "--policy", "new.yaml", "--output", "json",
        ];
        let mut command = portcullis(&args);
        command
            .current_dir(folder.path("."))
            .env("AWS_ENDPOINT_URL", &proxy.url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        json_of(&ends(command.output().unwrap(), code))
    };
    let document = live("seen.json", 0);
    assert_eq!(
        document["facts"],
        json!({"recorded": 0, "live": 1, "unknown": 0})
    );
    assert_eq!(
        document["effects"],
        json!([{"is": "contained", "count": 1}])
    );
    let told = document["examples"][0]["explanation"].to_string();
    assert!(told.contains("remove-public-grants"), "{told}");
    let open = document["measures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hits| &hits["open"]);
    assert!(
        open.into_iter().all(|open| open == 0),
        "{}",
        document["measures"]
    );

    // What was looked at and not seen is a reason of its own, and no gap of the backtest.
    let document = live("unseen.json", 0);
    assert_eq!(document["facts"]["live"], 1);
    let withheld = &document["withheld"][0];
    assert_eq!(withheld["guard"], "unreadable", "{withheld}");
    let why = withheld["example"].to_string();
    assert!(why.contains("InternalError"), "{why}");
    // STS is asked who we are by POST.
    let writes = proxy.writes();
    assert!(writes.iter().all(|write| write == "POST /"), "{writes:?}");
}

/// What an exception asks for and nobody knows, protects; what a rule asks for, does not match.
#[test]
fn what_is_not_known_is_told() {
    let folder = policies();
    folder.write("findings.jsonl", &lines().join("\n"));
    let tagged = NEW.replace(
        "match: { bucket: [\"amzn-s3-demo-bucket-catalog\"] }",
        "match: { tag: { exposure: public } }",
    );
    folder.write("tagged.yaml", &tagged);
    let document = answer(&folder, "findings.jsonl --policy tagged.yaml", 0);
    let missed = document["facts"]["missed"].as_array().unwrap();
    let parts: BTreeSet<String> = missed
        .iter()
        .map(|missed| missed["part"].to_string())
        .collect();
    assert!(parts.contains("{\"rule\":\"tagged\"}"), "{parts:?}");
    assert!(parts.contains("{\"exception\":\"catalog\"}"), "{parts:?}");
    let exception = &document["exceptions"][0];
    assert_eq!(exception["count"], exception["unproven"]);
    assert_ne!(exception["count"], 0);
}

#[test]
fn what_it_is_to_read_is_said_once() {
    for args in [
        &["backtest"][..],
        &["backtest", "a.json", "--records"],
        &["backtest", "--since", "30d", "--records"],
        &["backtest", "--since", "91d"],
        &["backtest", "--since", "yesterday"],
        &["backtest", "s3://bucket/a", "b.json"],
    ] {
        let output = ends(run(args), 2);
        assert_eq!(stdout(&output), "", "{args:?}");
    }
    let output = ends(run(&["backtest", "nowhere.json"]), 3);
    assert!(stderr(&output).contains("the findings nowhere.json cannot be read"));
    let output = ends(run_with(&["backtest", "-"], b""), 0);
    assert!(
        stdout(&output).contains("0 findings decided about"),
        "{}",
        stdout(&output)
    );
}

/// Whoever cannot wait gets what is known.
#[test]
fn an_interrupt_tells_what_is_known_so_far() {
    let folder = policies();
    let args = ["backtest", "-", "--policy", "new.yaml", "--output", "json"];
    let mut child = portcullis(&args)
        .current_dir(folder.path("."))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text: String = many(400)
        .iter()
        .map(|finding| finding.to_string() + "\n")
        .collect();
    // More than can wait to be judged, so that some of it has been once all of it is taken.
    let written = 24;
    for _ in 0..written {
        stdin.write_all(text.as_bytes()).unwrap();
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    // Standard input stays open: it is the interrupt that ends it.
    let begun = Instant::now();
    let output = ends(child.wait_with_output().unwrap(), 1);
    assert!(begun.elapsed() < Duration::from_secs(60));
    drop(stdin);
    let document = json_of(&output);
    assert_eq!(document["partial"], true);
    let findings = document["read"]["findings"].as_u64().unwrap();
    assert!(findings > 0 && findings < written * 400, "{findings}");
    assert!(
        stderr(&output).contains("interrupted"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test]
async fn an_export_in_s3_is_read_as_it_comes_in() {
    let endpoint = stand_in::endpoint("ministack");
    let bucket = unique_name("portcullis-export");
    let client = stand_in::client(&endpoint);
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    let findings = many(600);
    for (index, part) in findings.chunks(250).enumerate() {
        let text: String = part
            .iter()
            .map(|finding| finding.to_string() + "\n")
            .collect();
        let key = format!(
            "AWSLogs/111122223333/GuardDuty/us-east-1/2026/0{}/a.jsonl.gz",
            index + 1
        );
        let put = client.put_object().bucket(&bucket).key(key);
        put.body(gzip(&text).into()).send().await.unwrap();
    }
    let other = client
        .put_object()
        .bucket(&bucket)
        .key("AWSLogs/README.txt");
    other
        .body(b"no findings".to_vec().into())
        .send()
        .await
        .unwrap();
    let folder = policies();
    let place = format!("s3://{bucket}/AWSLogs/");
    let backtest = |place: &str| {
        let mut command = portcullis(&[
            "backtest", place, "--policy", "new.yaml", "--output", "json",
        ]);
        command
            .current_dir(folder.path("."))
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        command.output().unwrap()
    };
    let document = json_of(&ends(backtest(&place), 0));
    assert_eq!(document["read"]["findings"], 600);
    assert_eq!(document["source"], place);
    let example = document["examples"][0]["place"].as_str().unwrap();
    assert!(
        example.starts_with(&place) && example.contains("a.jsonl.gz:"),
        "{example}"
    );

    // What cannot be listed is no success.
    let output = ends(backtest(&format!("s3://{bucket}-not/there")), 1);
    assert!(
        stderr(&output).contains("ListObjectsV2"),
        "{}",
        stderr(&output)
    );
    assert_eq!(json_of(&output)["partial"], true);
}
