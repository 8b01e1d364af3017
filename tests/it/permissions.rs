//! The page of permissions, made from what the measures declare and from the statements of the template. `BLESS=1` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use portcullis::aws::{discovery, guardduty, macie, organizations};
use portcullis::measures::Measure;

use crate::template::{Statement, section, statements, template};

#[test]
fn the_page_of_permissions_is_what_is_declared_and_granted() {
    let page = format!(
        "{HEAD}\n{MEASURES}{}\n{OTHERS}{}\n{ROLE}{}",
        measures(),
        others(),
        role()
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/permissions.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, page,
        "look at docs/permissions.md, then run with BLESS=1"
    );
}

const HEAD: &str = "\
# Permissions

What Portcullis may do, and what for. This page is written by a test from what the measures declare and from `template.yaml`; other
tests compare the two in both directions, so that no measure lacks a permission and no permission is without a use. No action is a
wildcard. `Mode=observe` grants nothing that changes a bucket.
";
const MEASURES: &str = "\
## By measure

Reads are granted in both modes, writes with `Mode=enforce` only. Writes of measures that no rule of yours asks for can be taken out of
the role; a rule that asks for them all the same fails and says which permission is missing. Leave `s3:DeleteBucketPolicy` in: rolling
back the only statement of a bucket policy deletes the policy.

| measure | reads | writes |
|---|---|---|
";
const OTHERS: &str = "\
## Facts and follow-ups

| what for | when | actions |
|---|---|---|
";
const ROLE: &str = "\
## The function's role, statement by statement

| statement | effect | when | actions |
|---|---|---|---|
";

fn measures() -> String {
    let mut text = String::new();
    for measure in Measure::catalogue() {
        let info = measure.info();
        let is_read = |action: &&&str| action.contains(":Get") || action.contains(":List");
        let list = |reads: bool| {
            let actions = info
                .actions
                .iter()
                .filter(|action| is_read(action) == reads);
            coded(actions.copied())
        };
        writeln!(
            text,
            "| `{}` | {} | {} |",
            info.name,
            list(true),
            list(false)
        )
        .unwrap();
    }
    text
}

fn others() -> String {
    let rows = [
        (
            "whether GuardDuty has the finding",
            "for every finding that is no sample",
            guardduty::READS.as_slice(),
        ),
        (
            "how sensitive the data is",
            "for every bucket",
            &macie::READS,
        ),
        (
            "to which organization an actor belongs",
            "where the policy trusts organizations",
            &organizations::READS,
        ),
        (
            "follow-ups `archive-finding`, `mark-useful`, `mark-not-useful`",
            "`Mode=enforce`",
            &guardduty::WRITES,
        ),
        (
            "follow-up `discover-sensitive-data`",
            "`Mode=enforce`",
            &discovery::WRITES,
        ),
    ];
    let mut text = format!(
        "| what the bucket is for, and how exposed it is | where a rule or a guard asks, besides what measures read | {} |\n",
        coded(facts_alone().iter().map(String::as_str))
    );
    for (what, when, actions) in rows {
        writeln!(
            text,
            "| {what} | {when} | {} |",
            coded(actions.iter().copied())
        )
        .unwrap();
    }
    text
}

/// What is read of a bucket and no measure declares.
fn facts_alone() -> BTreeSet<String> {
    let measures = Measure::catalogue();
    let declared = measures.iter().flat_map(|measure| measure.info().actions);
    let declared: BTreeSet<&str> = declared.copied().collect();
    let observing = statements(&template())
        .into_iter()
        .filter(|statement| statement.sid.starts_with("Observe"));
    observing
        .flat_map(|statement| statement.actions)
        .filter(|action| !declared.contains(action.as_str()))
        .collect()
}

fn role() -> String {
    let template = template();
    let resources = section(&template, "Resources");
    let (_, role) = resources
        .iter()
        .find(|(name, _)| name == "FunctionRole")
        .unwrap();
    let mut text = String::new();
    for Statement {
        sid,
        allows,
        condition,
        actions,
        ..
    } in statements(role)
    {
        if sid == "RunAsTheFunction" {
            continue;
        }
        let effect = if allows { "allow" } else { "**deny**" };
        let when = match condition.as_deref() {
            None => "always",
            Some("Enforcing") => "`Mode=enforce`",
            Some("HasMemberRole") => "`MemberRoleName`",
            Some("HasKmsKey") => "`KmsKeyArn`",
            Some("Traced") => "`Tracing=Active`",
            Some("HasNoticeKey") => "`NoticeKeyArn`",
            Some("HasSuccessDestination") => "`SuccessDestinationArn`",
            Some(other) => panic!("what is {other} to a reader?"),
        };
        let actions = coded(actions.iter().map(String::as_str));
        writeln!(text, "| {sid} | {effect} | {when} | {actions} |").unwrap();
    }
    text
}

fn coded<'a>(actions: impl Iterator<Item = &'a str>) -> String {
    let coded: Vec<String> = actions.map(|action| format!("`{action}`")).collect();
    match coded.is_empty() {
        true => "nothing".to_owned(),
        false => coded.join(", "),
    }
}
