//! The page of one incident.

use portcullis::decision::Decision;
use portcullis::plan::{Change, Plan};
use portcullis::record::{Record, RollbackOf, RunResult};
use portcullis::rollback::{Drift, Inverse};
use portcullis::settings::Setting;
use serde_json::{Value, json};

use super::{MARKUP, UNSEEN, ask, poisoned, press, public_bucket, reads_well, shown};
use crate::browser::{visit, visit_without_scripts};
use crate::cli::{Folder, ends, json_of, stderr, stdout};
use crate::push::decided;

const POLICY: &str = "\
version: 1
mode: enforce
break-glass: [arn:aws:iam::*:role/SecurityBreakGlass]
exceptions:
  - id: reporting
    match: { bucket: [\"amzn-s3-demo-bucket-*\"] }
    withhold: [deny-actor, isolate]
    reason: The reports of the quarter are made (SEC-412)
    expires: 2099-12-31
rules:
  - id: public
    when: { min-severity: 7 }
    measures: [isolate, deny-actor, remove-public-grants, block-public-access, mark-contained]
    follow-up: [discover-sensitive-data]
    expires-after: 7d
  - id: everything-else
    measures: []
";

#[test]
fn the_page_says_what_the_text_says() {
    let folder = Folder::new();
    let record = contained(&folder);
    let page = shown(&folder, &record.id);
    let answers = visit(&page, &[ask("document.body.textContent")]);
    let page = squeezed(answers[0].as_str().unwrap());
    let text = stdout(&ends(folder.run(&["show", &record.id]), 0));
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.len() > 40, "{text}");
    for line in lines {
        let line = line.trim_start_matches([' ', '+', '-', '~', '!']);
        let said = squeezed(line.strip_prefix("Undo:").unwrap_or(line));
        assert!(page.contains(&said), "{line}\nis not in\n{page}");
    }
}

#[test]
fn the_page_reads_well_in_light_and_dark_on_wide_and_narrow_screens() {
    let folder = Folder::new();
    let record = contained(&folder);
    reads_well(&shown(&folder, &record.id));
}

#[test]
fn everything_is_reached_and_opened_from_the_keyboard() {
    let folder = Folder::new();
    let record = contained(&folder);
    let focused = ask("document.activeElement.textContent.trim()");
    let opened = ask("document.querySelectorAll('details[open]').length");
    let page = shown(&folder, &record.id);
    let mut steps = vec![
        press("Tab"),
        focused.clone(),
        press("Enter"),
        ask("document.activeElement.tagName"),
    ];
    // As often as there are places to stop at.
    let stop = ask(
        "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]",
    );
    for _ in 0..20 {
        steps.extend([press("Tab"), stop.clone()]);
    }
    let focus_row = ask("document.querySelector('summary').focus()");
    steps.extend([focus_row, press("Enter"), opened.clone()]);
    steps.extend([press("Space"), opened.clone(), press("Space"), opened]);
    let answers = visit(&page, &steps);
    assert_eq!(answers[0], "Skip to the content");
    assert_eq!(answers[1], "MAIN");
    let stops = &answers[2..22];
    let summaries = stops.iter().filter(|stop| stop[0] == "SUMMARY").count();
    assert_eq!(summaries, 2, "{stops:?}");
    for stop in stops.iter().filter(|stop| stop[0] != "BODY") {
        assert_ne!(stop[1], "none", "no outline: {stops:?}");
    }
    assert_eq!(answers[23..], [json!(1), json!(0), json!(1)]);
}

/// With scripts and without, for a ticket is often printed.
#[test]
fn on_paper_every_row_is_open_and_nothing_is_dark() {
    let folder = Folder::new();
    let record = contained(&folder);
    let page = shown(&folder, &record.id);
    let steps = [
        json!({ "media": { "media": "print", "colorScheme": "dark" } }),
        ask(
            "[...document.querySelectorAll('details pre')].map((e) => e.getBoundingClientRect().height > 100)",
        ),
        ask("getComputedStyle(document.body).backgroundColor"),
        ask("getComputedStyle(document.querySelector('nav')).display"),
    ];
    for answers in [visit(&page, &steps), visit_without_scripts(&page, &steps)] {
        assert_eq!(
            answers,
            [
                json!([true, true]),
                json!("rgb(255, 255, 255)"),
                json!("none")
            ]
        );
    }
}

#[test]
fn what_others_chose_stays_text() {
    let folder = Folder::new();
    let record = contained(&folder);
    let plain = visit(&shown(&folder, &record.id), &[ask(MARKUP)]).remove(0);
    assert_eq!(plain["acting"], json!([]));

    let result = format!(".portcullis/records/{}.result.json", record.id);
    let is_record = |value: &Value| serde_json::from_value::<Record>(value.clone()).is_ok();
    let is_result = |value: &Value| serde_json::from_value::<RunResult>(value.clone()).is_ok();
    let hostile = poisoned(&json!(record), 50, &is_record);
    let place = format!(".portcullis/records/{}.json", record.id);
    // A policy is a text in a text, and is still one only if its quotes are.
    let sid = "Public<img src=x onerror=alert(1)>\u{202e}";
    folder.write(&place, &hostile.to_string().replace("PublicRead", sid));
    let hostile = poisoned(
        &serde_json::from_str(&folder.read(&result)).unwrap(),
        3,
        &is_result,
    );
    folder.write(&result, &hostile.to_string());
    let page = shown(&folder, &record.id);
    let answers = visit(
        &page,
        &[
            ask(MARKUP),
            ask(UNSEEN),
            ask("document.body.textContent"),
            ask("document.title"),
            ask("document.querySelector('#undo ~ ol code').textContent"),
        ],
    );
    assert_eq!(answers[0]["acting"], json!([]));
    // Lists are longer or shorter, and documents differ more; elements of another kind are somebody's.
    let known = plain["names"].as_object().unwrap();
    for name in answers[0]["names"].as_object().unwrap().keys() {
        assert!(known.contains_key(name) || name == "INS", "{name}");
    }
    for once in ["SCRIPT", "STYLE", "TITLE", "HEAD", "BODY", "H1", "MAIN"] {
        assert_eq!(answers[0]["names"][once], 1, "{once}");
    }
    assert_eq!(answers[1], 0);
    let text = answers[2].as_str().unwrap();
    for payload in [
        "\"><script>alert(1)</script>",
        "javascript:alert(1)",
        "{{7*7}}",
        "<!--",
        "statement Public<img src=x onerror=alert(1)>",
        "\"Public<img src=x onerror=alert(1)>[U+202E]\"",
    ] {
        assert!(text.contains(payload), "{payload} is not in\n{text}");
    }
    // What is copied into a shell is one word of it, or there would be other commands behind it.
    let undo = answers[4].as_str().unwrap();
    let id = undo.strip_prefix("portcullis rollback ").unwrap();
    let script = format!("set -- {id}; echo $#");
    let words = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    assert_eq!(words.stdout, b"1\n", "{undo}");
    reads_well(&page);
}

#[test]
fn a_rollback_and_what_became_of_a_record_are_told() {
    let folder = Folder::new();
    let record = contained(&folder);
    let undone = rolled_back(&folder, &record);
    let text = stdout(&ends(folder.run(&["show", &record.id]), 0));
    for said in [
        "Now       no longer contained: a person rolled it back, at 2026-03-02T08:00:01Z",
        &format!("rollback {undone} at 2026-03-02T08:00:00Z by jane: rolled-back"),
        "released at 2026-03-02T08:00:00Z by jane: updates of this finding leave the bucket alone",
    ] {
        assert!(text.contains(said), "{said} is not in\n{text}");
    }
    assert!(!text.contains("Undo:"), "{text}");
    let json = json_of(&ends(
        folder.run(&["show", &record.id, "--output", "json"]),
        0,
    ));
    assert_eq!(json["since"]["rollbacks"][0]["record"], undone);

    let timeline =
        ask("[...document.querySelectorAll('#timeline ~ div tbody td')].map((e) => e.textContent)");
    let answers = visit(
        &shown(&folder, &record.id),
        &[timeline, ask("document.body.textContent")],
    );
    let events = answers[0].as_array().unwrap();
    let told = |event: &str| {
        events
            .iter()
            .any(|told| told.as_str().unwrap().contains(event))
    };
    assert!(told("Rolled back by jane: rolled-back"), "{events:?}");
    assert!(
        told("The containment ended: a person rolled it back"),
        "{events:?}"
    );
    assert!(told("Released by jane"), "{events:?}");
    assert!(
        answers[1]
            .as_str()
            .unwrap()
            .contains("There is nothing to undo.")
    );

    let answers = visit(
        &shown(&folder, &undone),
        &[ask("document.body.textContent")],
    );
    let text = answers[0].as_str().unwrap();
    assert!(text.contains(&format!("This is the rollback of record {}.", record.id)));
    assert!(text.contains("left alone"), "{text}");
    reads_well(&folder.path("page.html"));
}

/// The mark of a containment is made before the first write, and says nothing of what became of it.
#[test]
fn a_record_that_changed_nothing_is_not_told_as_contained() {
    let folder = Folder::new();
    let record = contained(&folder);
    let text = stdout(&ends(folder.run(&["show", &record.id]), 0));
    assert!(text.contains("Now       contained"), "{text}");
    let path = folder.path(&format!(".portcullis/records/{}.result.json", record.id));
    let mut result: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    result["outcome"] = json!("failed");
    for change in result["changes"].as_array_mut().unwrap() {
        change["status"] = json!("failed");
    }
    std::fs::write(&path, result.to_string()).unwrap();
    let text = stdout(&ends(folder.run(&["show", &record.id]), 0));
    assert!(
        text.contains("Now       perhaps contained, by another attempt"),
        "{text}"
    );
}

#[test]
fn a_page_is_written_whole_or_not_at_all() {
    let folder = Folder::new();
    let record = contained(&folder);
    let id = record.id.as_str();
    folder.write("page.html", "mine");
    let output = ends(folder.run(&["show", id, "--html", "page.html"]), 0);
    assert!(
        stdout(&output).starts_with("Record "),
        "the text is there, too"
    );
    assert!(stderr(&output).contains("Wrote page.html"));
    let page = folder.read("page.html");
    let output = ends(folder.run(&["show", id, "--html", "-"]), 0);
    assert_eq!(stdout(&output), page);
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));

    let output = ends(folder.run(&["show", id, "--html", "nowhere/page.html"]), 1);
    assert!(stderr(&output).contains("its folder does not exist; make it first"));
    let output = ends(folder.run(&["show", "r-1", "--html", "page.html"]), 3);
    assert_eq!(stdout(&output), "");
    assert_eq!(folder.read("page.html"), page);
    ends(
        folder.run(&["show", id, "--html", "-", "--output", "json"]),
        2,
    );
    let entries = std::fs::read_dir(folder.path(".")).unwrap();
    let left: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// A containment that went through, with its result and what became of it since.
fn contained(folder: &Folder) -> Record {
    let event = include_bytes!("../../../events/anonymous-access-granted.json");
    let record = decided(event, POLICY, public_bucket("amzn-s3-demo-bucket-reports"));
    let changes = record.decision.plan.changes.iter().enumerate();
    let changes: Vec<Value> = changes
        .map(|(index, change)| match index {
            0 => json!({ "setting": change.setting, "status": "failed", "detail": "PutBucketPolicy answered SlowDown", "may-succeed-later": true }),
            _ => json!({ "setting": change.setting, "status": "verified" }),
        })
        .collect();
    assert!(changes.len() >= 3, "{changes:?}");
    let result = json!({
        "version": 1, "record": record.id, "run": record.run, "at": "2026-03-01T10:15:02Z", "outcome": "partial",
        "changes": changes,
        "followed-up": [{ "follow-up": "discover-sensitive-data", "status": "done", "detail": "job 1 was made" }],
    });
    let standing = json!({
        "version": 1, "record": record.id, "at": record.at, "rule": "public", "expires": "2026-03-08T10:15:00Z", "hold": true,
    });
    let place = |kind: &str, end: &str| format!(".portcullis/{kind}/{}{end}.json", record.id);
    folder.write(&place("records", ""), &json!(record).to_string());
    folder.write(&place("records", ".result"), &result.to_string());
    folder.write(&place("standing", ""), &standing.to_string());
    record
}

/// A person's rollback of it, which left the access control list alone; its record's id.
fn rolled_back(folder: &Folder, record: &Record) -> String {
    let at = "2026-03-02T08:00:00Z";
    let digest = record.id.rsplit('-').next().unwrap();
    let id = format!("u-20260302T080000Z-0a1b2c3d-{digest}");
    let mut changes = record.decision.plan.changes.clone();
    let acl = changes.remove(1);
    let back = changes.into_iter().rev().map(|change| Change {
        before: change.after,
        after: change.before,
        ..change
    });
    let inverse = Inverse {
        plan: Plan {
            changes: back.collect(),
        },
        drift: vec![Drift {
            setting: acl.setting,
            was: acl.before,
            left: acl.after,
            now: Setting::Absent,
            why: "somebody changed it since".to_owned(),
        }],
        notes: vec!["the tags are already as they were before".to_owned()],
    };
    let undo = Record {
        id: id.clone(),
        at: at.parse().unwrap(),
        asked_by: "jane".to_owned(),
        decision: Decision {
            plan: inverse.plan.clone(),
            ..record.decision.clone()
        },
        rollback: Some(RollbackOf {
            record: record.id.clone(),
            inverse,
        }),
        ..record.clone()
    };
    let result = json!({
        "version": 1, "record": id, "run": record.run, "at": "2026-03-02T08:00:01Z", "outcome": "rolled-back", "changes": [],
    });
    let ended = json!({
        "version": 1, "record": record.id, "at": "2026-03-02T08:00:01Z", "why": "a person rolled it back",
    });
    let release = json!({ "version": 1, "record": record.id, "at": at, "by": "jane" });
    let released = format!(
        "releases/{}/111122223333/{}.json",
        record.finding.id,
        record.target_name()
    );
    for (place, value) in [
        (format!("records/{id}.json"), json!(undo)),
        (format!("records/{id}.result.json"), result),
        (format!("ended/{}.json", record.id), ended),
        (released, release),
    ] {
        folder.write(&format!(".portcullis/{place}"), &value.to_string());
    }
    id
}
