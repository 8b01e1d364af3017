//! The rules of the repository that no compiler checks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portcullis::aws::{discovery, guardduty, macie, organizations, sns};
use portcullis::measures::Measure;
use portcullis::settings::SettingKind;
use portcullis::store::{
    ACTIVITY, ENDED, JOBS, LEASES, NOTICES, OVERWRITTEN, RECORDS, RELEASES, STANDING,
};

use crate::template::{Statement, statements, template};

/// What is pure: no IO, no clock, no environment.
const CORE: [&str; 25] = [
    "src/backtest",
    "src/classification",
    "src/decision",
    "src/drift.rs",
    "src/enrichment.rs",
    "src/finding",
    "src/guard.rs",
    "src/measures",
    "src/metrics.rs",
    "src/notice",
    "src/overwritten.rs",
    "src/page",
    "src/plan.rs",
    "src/policy",
    "src/policy_test",
    "src/record.rs",
    "src/replay.rs",
    "src/report",
    "src/rollback.rs",
    "src/settings",
    "src/statements.rs",
    "src/sweep.rs",
    "src/suppression.rs",
    "src/verdict.rs",
    "src/yaml",
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
                // These put the engine's data into words and numbers, and that is all they know of it.
                let tells = ["src/metrics.rs", "src/report"].contains(&part);
                let words = IMPURE.iter().filter(|word| names(line, word));
                let words = words.filter(|word| **word != "crate::engine" || !tells);
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

const OBSERVING: [&str; 4] = [
    "ObserveBuckets",
    "ObserveDirectoryBuckets",
    "ObserveAccessPoints",
    "ObserveTheAccount",
];

const CONTAINING: [&str; 5] = [
    "ContainBuckets",
    "ContainDirectoryBuckets",
    "ContainAccessPoints",
    "ContainTheAccount",
    "HandOverReplicationRoles",
];

/// In both directions: a measure without its permission fails in production, and a permission without a measure is one that
/// an attacker could use.
#[test]
fn the_template_grants_what_measures_and_facts_need() {
    let statements = of_buckets(&template());
    grants_what_settings_need(&statements);
    assert_eq!(
        granted(&statements, &["AskOtherServices"]),
        actions(&[&guardduty::READS, &macie::READS, &organizations::READS])
    );
    assert_eq!(
        granted(&statements, &["FollowUpInMacieAndGuardDuty"]),
        actions(&[&guardduty::WRITES, &discovery::WRITES])
    );

    for statement in &statements {
        let sid = statement.sid.as_str();
        match sid {
            "AskOtherServices" => {}
            _ if OBSERVING.contains(&sid) => {}
            _ if CONTAINING.contains(&sid) || sid == "FollowUpInMacieAndGuardDuty" => {
                assert!(
                    is_enforcing(statement),
                    "{sid} is granted in observe mode too"
                );
            }
            // Whatever else is granted of these services is about the store.
            _ if statement.actions.is_empty() => {}
            _ => assert!(statement.text.contains("Store"), "what is {sid} for?"),
        }
    }
}

/// The same of the role in other accounts, where GuardDuty and Organizations are not asked and nothing else is to be had.
#[test]
fn the_member_role_grants_what_settings_and_macie_need_and_nothing_else() {
    let template = std::fs::read_to_string(root().join("stacksets/member.yaml")).unwrap();
    let statements = of_buckets(&template);
    grants_what_settings_need(&statements);
    assert_eq!(
        granted(&statements, &["AskMacie"]),
        actions(&[&macie::READS])
    );
    assert_eq!(
        granted(&statements, &["FollowUpInMacie"]),
        actions(&[&discovery::WRITES])
    );
    for statement in &statements {
        let sid = statement.sid.as_str();
        let denies = statement.text.contains("Effect: Deny");
        match sid {
            "AskMacie" => {}
            _ if OBSERVING.contains(&sid) => {}
            _ if CONTAINING.contains(&sid) || sid == "FollowUpInMacie" => {
                assert!(
                    is_enforcing(statement),
                    "{sid} is granted in observe mode too"
                );
            }
            "LetTheFunctionIn" => assert!(
                ["aws:PrincipalArn", "sts:ExternalId"]
                    .iter()
                    .all(|key| statement.text.contains(key)),
                "anybody may assume the role"
            ),
            _ => assert!(denies, "what is {sid} for?"),
        }
        assert_eq!(denies, sid == "NeverTouchData", "{sid}");
    }
    // A Deny goes before every Allow, so that it must not take back what is granted.
    let never = granted(&statements, &["NeverTouchData"]);
    let allowed = statements
        .iter()
        .filter(|statement| statement.sid != "NeverTouchData");
    for action in allowed.flat_map(|statement| &statement.actions) {
        let denied = never
            .iter()
            .any(|pattern| wildmatch::WildMatch::new(pattern).matches(action));
        assert!(!denied, "{action} is granted and denied");
    }
    for action in [
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:ListBucket",
    ] {
        let denied = never
            .iter()
            .any(|pattern| wildmatch::WildMatch::new(pattern).matches(action));
        assert!(denied, "{action} is not denied");
    }
}

/// What the rule of another Region keeps back, the function's never sees.
#[test]
fn the_rules_of_all_regions_take_the_same_findings() {
    let pattern = |path: &str| {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        let begins = text.find("      EventPattern:\n").unwrap();
        let ends = begins + text[begins..].find("      Targets:\n").unwrap();
        let code = text[begins..ends].lines();
        let code = code.filter(|line| !line.trim_start().starts_with('#'));
        code.map(str::to_owned).collect::<Vec<_>>()
    };
    let home = pattern("template.yaml");
    assert!(home.len() > 10, "{home:?}");
    assert_eq!(pattern("stacksets/region.yaml"), home);
}

/// In China and GovCloud the partition is another one.
#[test]
fn no_arn_names_the_partition_where_one_is_made() {
    // What the policy's diagnostics hold up as an example, and the buckets of the tests that `init` writes.
    let examples = [
        "role/SecurityBreakGlass",
        "role/nightly-export",
        ":::amzn-s3-demo-bucket-",
    ];
    let mut found = Vec::new();
    let mut searched = 0;
    for (path, text) in files() {
        let templates = path.starts_with("template.yaml") || path.starts_with("stacksets");
        if !templates && !path.starts_with("src") {
            continue;
        }
        searched += 1;
        let comment = if templates { "#" } else { "//" };
        for (index, line) in text.lines().enumerate() {
            let is_example = examples.iter().any(|example| line.contains(example));
            if line.contains("arn:aws") && !is_example && !line.trim_start().starts_with(comment) {
                found.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
            }
        }
    }
    assert!(searched > 100, "{searched} files");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Reads of every setting in either mode, and writes of each that a measure amends.
fn grants_what_settings_need(statements: &[Statement]) {
    let needed: BTreeSet<String> = Measure::catalogue()
        .iter()
        .flat_map(|measure| measure.info().actions)
        .copied()
        .chain(SettingKind::WORDS.iter().map(|word| reading(word)))
        .map(str::to_owned)
        .collect();
    let (reads, writes): (BTreeSet<String>, BTreeSet<String>) = needed
        .into_iter()
        .partition(|action| action.contains(":Get") || action.contains(":List"));
    assert_eq!(granted(statements, &OBSERVING), reads);
    assert_eq!(granted(statements, &CONTAINING), writes);
}

/// The statements of a template, with those of their actions that are about buckets.
fn of_buckets(template: &str) -> Vec<Statement> {
    let mut statements = statements(template);
    for statement in &mut statements {
        statement.actions.retain(|action| concerns_buckets(action));
    }
    statements
}

fn is_enforcing(statement: &Statement) -> bool {
    statement.condition.as_deref() == Some("Enforcing")
}

fn granted(statements: &[Statement], sids: &[&str]) -> BTreeSet<String> {
    let of = |sid: &&str| {
        let found = statements.iter().find(|statement| statement.sid == *sid);
        found
            .unwrap_or_else(|| panic!("no statement {sid}"))
            .actions
            .clone()
    };
    sids.iter().flat_map(of).collect()
}

fn actions(parts: &[&[&str]]) -> BTreeSet<String> {
    parts.concat().into_iter().map(str::to_owned).collect()
}

/// Notices go to just the topic.
#[test]
fn the_template_lets_the_function_send_notices() {
    let statements = statements(&template());
    let sends = statements.iter().find(|s| s.sid == "SendNotices").unwrap();
    assert_eq!(sends.actions, actions(&[&sns::WRITES]));
    assert!(sends.text.contains("NoticeTopic"), "{}", sends.text);
}

/// A prefix without its permission would fail every containment, for no evidence means no writes.
#[test]
fn the_template_lets_the_function_keep_all_that_it_keeps() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let statements = statements(&template);
    let keeps = statements.iter().find(|s| s.sid == "KeepRecords").unwrap();
    let granted: BTreeSet<&str> = keeps
        .text
        .lines()
        .filter_map(|line| line.split_once("${Store.Arn}/")?.1.strip_suffix('*'))
        .collect();
    let kept = [
        ACTIVITY,
        ENDED,
        JOBS,
        LEASES,
        NOTICES,
        OVERWRITTEN,
        RECORDS,
        RELEASES,
        STANDING,
    ];
    assert_eq!(granted, BTreeSet::from(kept));
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

/// Actions on buckets, and of the services that are asked or told about them.
fn concerns_buckets(action: &str) -> bool {
    let services = [
        "s3:",
        "s3express:",
        "macie2:",
        "guardduty:",
        "organizations:",
    ];
    services.iter().any(|service| action.starts_with(service)) || action == "iam:PassRole"
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
