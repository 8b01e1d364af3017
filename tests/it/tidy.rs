//! The rules of the repository that no compiler checks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portcullis::aws::{guardduty, macie, organizations, sns};
use portcullis::measures::Measure;
use portcullis::settings::SettingKind;

/// What is pure: no IO, no clock, no environment.
const CORE: [&str; 15] = [
    "src/classification",
    "src/decision.rs",
    "src/enrichment.rs",
    "src/finding",
    "src/guard.rs",
    "src/measures",
    "src/notice",
    "src/plan.rs",
    "src/policy",
    "src/record.rs",
    "src/report",
    "src/rollback.rs",
    "src/settings",
    "src/statements.rs",
    "src/suppression.rs",
];

const IMPURE: [&str; 19] = [
    "async fn",
    "crate::aws",
    "crate::deployment",
    "crate::engine",
    "crate::store",
    "eprint!",
    "eprintln!",
    "Instant::now",
    "print!",
    "println!",
    "std::env",
    "std::fs",
    "std::io",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "SystemTime",
    "Timestamp::now",
    "tokio",
];

#[test]
fn the_core_does_no_io_and_reads_no_clock() {
    let mut impure = Vec::new();
    let files = files();
    for part in CORE {
        let mut found = false;
        for (path, text) in files.iter().filter(|(path, _)| path.starts_with(part)) {
            found = true;
            for (number, line) in code(text) {
                // The report puts the engine's data into words, and that is all it knows of it.
                let words = IMPURE.iter().filter(|word| names(line, word));
                let words = words.filter(|word| **word != "crate::engine" || part != "src/report");
                impure.extend(words.map(|word| format!("{}:{number}: {word}", path.display())));
                let crates = aws_crates(line)
                    .into_iter()
                    .filter(|name| *name != "aws_lambda_events" || part != "src/finding");
                impure.extend(crates.map(|name| format!("{}:{number}: {name}", path.display())));
            }
        }
        assert!(found, "{part} is not there");
    }
    assert!(impure.is_empty(), "{}", impure.join("\n"));
}

#[test]
fn no_source_file_is_too_long_to_read() {
    for (path, text) in files().iter().filter(|(path, _)| path.starts_with("src")) {
        let lines = text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
    }
}

#[test]
fn words_are_the_ones_that_the_project_uses() {
    // AWS's own title of the page whose steps the classification follows.
    let title = "Remediating a potentially compromised S3 bucket";
    let mut found = Vec::new();
    for (path, text) in files() {
        let is_ours = ["src", "docs", "README.md"]
            .iter()
            .any(|part| path.starts_with(part));
        let text = text.replace(title, "").to_lowercase();
        for word in ["whitelist", "blacklist", "remediat"] {
            if is_ours && text.contains(word) {
                found.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// In both directions: a measure without its permission fails in production, and a permission without a measure is one that
/// an attacker could use.
#[test]
fn the_template_grants_what_measures_and_facts_need() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let statements = statements(&template);
    let of = |sids: &[&str]| -> BTreeSet<String> {
        sids.iter()
            .flat_map(|sid| {
                let found = statements.iter().find(|statement| statement.sid == *sid);
                found
                    .unwrap_or_else(|| panic!("no statement {sid}"))
                    .actions
                    .clone()
            })
            .collect()
    };
    let measures = Measure::catalogue();
    let needed: BTreeSet<String> = measures
        .iter()
        .flat_map(|measure| measure.info().actions)
        .copied()
        .chain(SettingKind::WORDS.iter().map(|word| reading(word)))
        .map(str::to_owned)
        .collect();
    let (reads, writes): (BTreeSet<String>, BTreeSet<String>) = needed
        .into_iter()
        .partition(|action| action.contains(":Get") || action.contains(":List"));
    let observing = [
        "ObserveBuckets",
        "ObserveDirectoryBuckets",
        "ObserveAccessPoints",
        "ObserveTheAccount",
    ];
    assert_eq!(of(&observing), reads);
    let containing = [
        "ContainBuckets",
        "ContainDirectoryBuckets",
        "ContainAccessPoints",
        "ContainTheAccount",
        "HandOverReplicationRoles",
    ];
    assert_eq!(of(&containing), writes);
    let actions = |parts: &[&[&str]]| -> BTreeSet<String> {
        parts.concat().into_iter().map(str::to_owned).collect()
    };
    assert_eq!(
        of(&["AskOtherServices"]),
        actions(&[&guardduty::READS, &macie::READS, &organizations::READS])
    );
    assert_eq!(
        of(&["FollowUpInMacieAndGuardDuty"]),
        actions(&[&guardduty::WRITES, &macie::WRITES])
    );
    assert_eq!(of(&["SendNotices"]), actions(&[&sns::WRITES]));

    for statement in &statements {
        let sid = statement.sid.as_str();
        match sid {
            "AskOtherServices" => {}
            // On just the topic, and on what the team named.
            _ if statement.text.contains("NoticeTopic") => {}
            "ReportSuccesses" => assert!(statement.text.contains("!Ref SuccessDestinationArn")),
            _ if observing.contains(&sid) => {}
            _ if containing.contains(&sid) || sid == "FollowUpInMacieAndGuardDuty" => {
                assert!(statement.enforcing, "{sid} is granted in observe mode too");
            }
            // Whatever else is granted of these services is about the store.
            _ if statement.actions.is_empty() => {}
            _ => assert!(statement.text.contains("Store"), "what is {sid} for?"),
        }
    }
}

/// What a measure reads, it may read; and it says so.
#[test]
fn measures_name_the_actions_of_their_settings() {
    for measure in Measure::catalogue() {
        let info = measure.info();
        for kind in info.reads.iter().chain(info.amends) {
            let action = reading(kind.word());
            assert!(
                info.actions.contains(&action),
                "{} lacks {action}",
                info.name
            );
        }
        for kind in info.amends {
            let action = writing(*kind);
            assert!(
                info.actions.contains(&action),
                "{} lacks {action}",
                info.name
            );
            assert!(info.reads.contains(kind), "{} amends unseen", info.name);
        }
        assert!(info.actions.is_sorted(), "{}", info.name);
    }
}

#[test]
fn measures_have_names_of_their_own() {
    let catalogue = Measure::catalogue();
    let names: BTreeSet<&str> = catalogue.iter().map(Measure::name).collect();
    assert_eq!(names.len(), catalogue.len());
    for name in names {
        let parts: Vec<&str> = name.split('-').collect();
        let is_word =
            |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
        assert!(parts.iter().all(is_word), "{name}");
    }
}

#[test]
fn text_is_tidy() {
    // Put together here, so that this file does not hold them.
    let private = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat()];
    let unmerged = ["<".repeat(7), ">".repeat(7)];
    let mut untidy = Vec::new();
    for (path, text) in files() {
        for (index, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), index + 1);
            if unmerged.iter().any(|marker| line.starts_with(marker)) {
                untidy.push(format!(
                    "{place}: the mark of a merge that was not finished"
                ));
            }
            if private.iter().any(|private| line.contains(private)) {
                untidy.push(format!("{place}: a path of somebody's machine"));
            }
            if line.trim_end() != line {
                untidy.push(format!("{place}: white space at the end"));
            }
        }
    }
    assert!(untidy.is_empty(), "{}", untidy.join("\n"));
}

/// The action that reads a setting.
fn reading(word: &str) -> &'static str {
    match SettingKind::from_word(word).unwrap() {
        SettingKind::Versioning => "s3:GetBucketVersioning",
        SettingKind::Lifecycle => "s3:GetLifecycleConfiguration",
        SettingKind::Encryption => "s3:GetEncryptionConfiguration",
        SettingKind::BucketPolicy => "s3:GetBucketPolicy",
        SettingKind::AccessPointPolicies => "s3:GetAccessPointPolicy",
        SettingKind::Acl => "s3:GetBucketAcl",
        SettingKind::OwnershipControls => "s3:GetBucketOwnershipControls",
        SettingKind::Cors => "s3:GetBucketCORS",
        SettingKind::Logging => "s3:GetBucketLogging",
        SettingKind::Replication => "s3:GetReplicationConfiguration",
        SettingKind::PublicAccessBlock => "s3:GetBucketPublicAccessBlock",
        SettingKind::AccountPublicAccessBlock => "s3:GetAccountPublicAccessBlock",
        SettingKind::Tags => "s3:GetBucketTagging",
        SettingKind::Website => "s3:GetBucketWebsite",
        SettingKind::PolicyStatus => "s3:GetBucketPolicyStatus",
    }
}

/// The action that writes it. Deleting the flags, as a rollback may, needs the same.
fn writing(kind: SettingKind) -> &'static str {
    match kind {
        SettingKind::Versioning => "s3:PutBucketVersioning",
        SettingKind::Lifecycle => "s3:PutLifecycleConfiguration",
        SettingKind::Encryption => "s3:PutEncryptionConfiguration",
        SettingKind::BucketPolicy => "s3:PutBucketPolicy",
        SettingKind::AccessPointPolicies => "s3:PutAccessPointPolicy",
        SettingKind::Acl => "s3:PutBucketAcl",
        SettingKind::OwnershipControls => "s3:PutBucketOwnershipControls",
        SettingKind::Cors => "s3:PutBucketCORS",
        SettingKind::Logging => "s3:PutBucketLogging",
        SettingKind::Replication => "s3:PutReplicationConfiguration",
        SettingKind::PublicAccessBlock => "s3:PutBucketPublicAccessBlock",
        SettingKind::AccountPublicAccessBlock => "s3:PutAccountPublicAccessBlock",
        SettingKind::Tags => "s3:PutBucketTagging",
        SettingKind::Website | SettingKind::PolicyStatus => panic!("{kind} is only read"),
    }
}

struct PolicyStatement {
    sid: String,
    actions: BTreeSet<String>,
    enforcing: bool,
    text: String,
}

/// The statements of every policy in the template, as text: CloudFormation's tags keep YAML readers out.
fn statements(template: &str) -> Vec<PolicyStatement> {
    let code: Vec<&str> = template
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty())
        .collect();
    let starts: Vec<(usize, &str)> = code
        .iter()
        .enumerate()
        .filter_map(|(index, line)| {
            let line = line.trim_start().trim_start_matches("- ");
            Some((index, line.strip_prefix("Sid:")?.trim()))
        })
        .collect();
    let statements = starts.iter().map(|&(start, sid)| {
        let indent = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
        let length = code[start + 1..]
            .iter()
            .take_while(|line| indent(line) >= indent(code[start]) && !line.contains("Sid:"))
            .count();
        let lines = &code[start..=start + length];
        let words = lines.iter().flat_map(|line| {
            line.split(|c: char| !(c.is_ascii_alphanumeric() || "*:-".contains(c)))
        });
        PolicyStatement {
            sid: sid.to_owned(),
            actions: words
                .filter(|w| {
                    let services = [
                        "s3:",
                        "s3express:",
                        "macie2:",
                        "guardduty:",
                        "organizations:",
                        "sns:",
                    ];
                    services.iter().any(|service| w.starts_with(service)) || *w == "iam:PassRole"
                })
                .map(str::to_owned)
                .collect(),
            enforcing: start >= 2
                && code[start - 1].trim() == "- Enforcing"
                && code[start - 2].trim() == "- !If",
            text: lines.join("\n"),
        }
    });
    statements.collect()
}

/// Lines of code with their numbers: comments may speak of what the code must not do.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    lines
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether a line names `word`, and not a longer word that ends in it.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })
}

/// The crates of the SDK that a line names; methods of ours may begin with `aws_` too.
fn aws_crates(line: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let named = line.match_indices("aws_").filter_map(|(at, _)| {
        let begins = line[..at].chars().next_back().is_none_or(|c| !is_name(c));
        let rest = &line[at..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let imported = line[..at].trim_end().ends_with("use");
        (begins && (imported || rest[end..].starts_with("::"))).then_some(&rest[..end])
    });
    named.collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the repository by its path in it; what is ignored by git is left out.
fn files() -> Vec<(PathBuf, String)> {
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let mut files = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let inside = path.strip_prefix(root()).unwrap().to_owned();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name == ".git" || ignored.iter().any(|i| *i == name || Path::new(i) == inside) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                files.push((inside, text));
            }
        }
    }
    files.sort();
    files
}
