//! Reading of conditions.

use std::collections::BTreeMap;

use super::scalars::{account, count, glob, severity};
use crate::classification::{
    AccessPath, ActorKind, ApiOutcome, Authorization, BucketUse, Credentials, Exposure, Network,
    Sensitivity,
};
use crate::policy::conditions::{Conditions, Glob};
use crate::policy::lint;
use crate::yaml::{Code, Node, Place, Report, each, entries, fields, text, word};

/// The keys of conditions.
pub(in crate::policy) const KEYS: &[&str] = &[
    "finding",
    "min-severity",
    "max-severity",
    "actor",
    "authorization",
    "access-path",
    "api",
    "api-outcome",
    "network",
    "credentials",
    "bucket",
    "bucket-use",
    "account",
    "region",
    "tag",
    "exposure",
    "sensitivity",
    "min-count",
];

/// Reads conditions; none if anything in them is wrong, because part of a condition matches more than its whole.
pub(super) fn conditions(
    report: &mut Report<'_>,
    node: &Node,
    what: &'static str,
) -> Option<Conditions> {
    let errors = report.errors();
    let fields = fields(report, node, what, KEYS)?;
    /// Reads a list of words of the type that the field has.
    macro_rules! words {
        ($key:literal, $words:ident) => {
            each(report, fields.get($key), $key, |report, item| {
                word(report, item, $key, $words::WORDS, $words::from_word)
            })
        };
    }
    let globs = |report: &mut Report<'_>, key: &str| {
        each(report, fields.get(key), key, |report, item| {
            glob(report, item, &format!("a pattern of \"{key}\""))
        })
    };
    let conditions = Conditions {
        finding: findings(report, fields.get("finding")),
        min_severity: fields
            .get("min-severity")
            .and_then(|node| severity(report, node, "min-severity")),
        max_severity: fields
            .get("max-severity")
            .and_then(|node| severity(report, node, "max-severity")),
        actor: words!("actor", ActorKind),
        authorization: words!("authorization", Authorization),
        access_path: words!("access-path", AccessPath),
        api: globs(report, "api"),
        api_outcome: words!("api-outcome", ApiOutcome),
        network: words!("network", Network),
        credentials: words!("credentials", Credentials),
        bucket: globs(report, "bucket"),
        bucket_use: words!("bucket-use", BucketUse),
        account: each(report, fields.get("account"), "account", account),
        region: globs(report, "region"),
        tag: fields
            .get("tag")
            .map(|node| tags(report, node))
            .unwrap_or_default(),
        exposure: words!("exposure", Exposure),
        sensitivity: words!("sensitivity", Sensitivity),
        min_count: fields
            .get("min-count")
            .and_then(|node| count(report, node, "min-count"))
            .map(u64::from),
    };
    if let (Some(least), Some(most)) = (conditions.min_severity, conditions.max_severity)
        && least > most
    {
        report
            .add(
                Code::BadNumber,
                fields.place("max-severity"),
                "\"max-severity\" is less than \"min-severity\"",
            )
            .related(
                fields.place("min-severity"),
                "no severity is above this and below that",
            );
    }
    (report.errors() == errors).then_some(conditions)
}

/// Reads conditions that would make no sense if they matched everything.
pub(super) fn narrow(
    report: &mut Report<'_>,
    node: &Node,
    what: &'static str,
    at: Place,
    help: &str,
) -> Option<Conditions> {
    let conditions = conditions(report, node, what)?;
    if conditions.is_empty() {
        report
            .add(
                Code::MatchesEverything,
                at,
                format!("{what} without keys matches everything"),
            )
            .help(help);
        return None;
    }
    Some(conditions)
}

fn findings(report: &mut Report<'_>, node: Option<&Node>) -> Vec<Glob> {
    each(report, node, "finding", |report, item| {
        let glob = glob(report, item, "a type of finding")?;
        lint::unknown_finding_type(report, &glob, item.at);
        Some(glob)
    })
}

fn tags(report: &mut Report<'_>, node: &Node) -> BTreeMap<String, Vec<Glob>> {
    let Some(entries) = entries(report, node, "\"tag\"") else {
        return BTreeMap::new();
    };
    if entries.is_empty() {
        report
            .add(Code::EmptyList, node.at, "\"tag\" names no tag")
            .help("write `tag: { exposure: public }`");
    }
    entries
        .into_iter()
        .map(|(key, _, value)| {
            // An empty value is a tag of its own, so that the patterns of a tag may be empty.
            let read = |report: &mut Report<'_>, item: &Node| {
                text(report, item, "a pattern for the tag's value").map(Glob::new)
            };
            (key.to_owned(), each(report, Some(value), key, read))
        })
        .collect()
}
