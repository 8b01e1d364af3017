//! The commands of the documentation: each is one that there is, and those of the tuning guide do what it says.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis::policy::BUILT_IN;
use serde_json::json;

use crate::cli::{Folder, ends, event, run, stderr, stdout};

#[test]
fn every_command_of_the_documentation_is_understood() {
    let (mut seen, mut unknown) = (0, Vec::new());
    for path in pages() {
        for command in commands(&fs::read_to_string(&path).unwrap()) {
            // Help is given once what stands before it is understood, whatever is still missing.
            let args: Vec<&str> = command
                .iter()
                .map(String::as_str)
                .chain(["--help"])
                .collect();
            let output = run(&args);
            if !output.status.success() {
                unknown.push(format!(
                    "{}: {}: {}",
                    path.display(),
                    command.join(" "),
                    stderr(&output)
                ));
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

/// What of the tuning guide needs no AWS, one command after the other, as its last part says to try it: the repository's
/// events in the place of GuardDuty's findings, and a folder in the place of the store.
#[test]
fn the_tuning_guide_can_be_followed() {
    let page = include_str!("../../docs/tuning.md");
    let folder = Folder::new();
    let held = held_back(BUILT_IN);
    folder.write("new.yaml", &held);
    let next = held.replacen(
        "measures: [deny-actor]\n    mode: observe",
        "measures: [deny-actor]\n    expires-after: 24h",
        1,
    );
    assert_ne!(next, held);
    folder.write("next.yaml", &next);
    let events = PathBuf::from(event("sample")).parent().unwrap().to_owned();
    folder.write(
        "event.json",
        &fs::read_to_string(event("exfiltration-anomalous")).unwrap(),
    );
    // The guide has it from a record, which needs a deployment.
    folder.write(
        "record.json",
        &json!({ "version": 1, "record": { "before": {
            "bucket-policy": "absent",
            "website": "absent",
        } } })
        .to_string(),
    );
    fs::create_dir(folder.path("events")).unwrap();
    for entry in fs::read_dir(&events).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path("events").join(path.file_name().unwrap())).unwrap();
    }

    let (mut followed, mut compared) = (Vec::new(), Vec::new());
    for command in commands_of_blocks(page) {
        let line = command.join(" ");
        let needs_aws = ["drill", "sweep", "show", "rollback"].contains(&command[0].as_str());
        if needs_aws {
            continue;
        }
        let line = line
            .replace("--since 30d", "events/")
            .replace("s3://STORE", "store");
        let more = if command[0] == "push" { " --yes" } else { "" };
        let line = line + more;
        let output = folder.run(&line.split(' ').collect::<Vec<_>>());
        let text = stdout(&ends(output, 0));
        let compares = |with: &str| line.contains(&format!("--against {with}"));
        if compares("policy.yaml") {
            assert!(text.contains("27 targets decided alike by both"), "{text}");
            compared.push("policy.yaml");
        } else if compares("new.yaml") {
            // One rule was let go, and nothing but it comes out otherwise.
            let differ: Vec<&str> = text
                .lines()
                .filter(|line| line.trim_start().starts_with("~ "))
                .collect();
            let is_it = |line: &&str| {
                line.contains("stolen-credentials observed -> stolen-credentials contained")
            };
            assert!(!differ.is_empty() && differ.iter().all(is_it), "{text}");
            compared.push("new.yaml");
        }
        followed.push(line);
    }
    assert!(followed.len() > 15, "{followed:#?}");
    assert_eq!(compared, ["policy.yaml", "new.yaml"]);
    assert_eq!(
        fs::read_to_string(folder.path("store/policy.yaml")).unwrap(),
        next
    );
}

/// A policy that enforces, each of whose rules observes.
fn held_back(policy: &str) -> String {
    let mut text = String::new();
    for line in policy.lines() {
        match line {
            "mode: observe" => text += "mode: enforce\n",
            _ => text += &format!("{line}\n"),
        }
        if line.starts_with("    measures: [") && !line.contains("[]") {
            text += "    mode: observe\n";
        }
    }
    text
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    pages
}

/// Every command of a page, in its blocks and in its sentences, without the program's name.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut commands = commands_of_blocks(page);
    let mut prose = String::new();
    for (index, part) in page.split("```").enumerate() {
        if index % 2 == 0 {
            prose += part;
        }
    }
    let code = prose.split('`').skip(1).step_by(2);
    commands.extend(code.filter_map(command));
    commands
}

/// Every command of a page's blocks, in their order.
fn commands_of_blocks(page: &str) -> Vec<Vec<String>> {
    let blocks = page.split("```").skip(1).step_by(2);
    let shell = blocks.filter(|block| block.starts_with("sh\n") || block.starts_with("console\n"));
    let lines = shell.flat_map(|block| block.lines().skip(1));
    let parts = lines.flat_map(|line| line.split(" | "));
    parts.filter_map(command).collect()
}

/// The words of a command, up to a comment or a redirection.
fn command(text: &str) -> Option<Vec<String>> {
    let text = text
        .trim()
        .trim_start_matches("$ ")
        .strip_prefix("portcullis ")?;
    let words = text.split_whitespace();
    let words = words.take_while(|word| !word.starts_with('#') && !word.starts_with('>'));
    let words: Vec<String> = words.map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}
