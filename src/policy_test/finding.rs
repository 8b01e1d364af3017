//! The finding that a test is about, and the one of its targets.

use serde::Deserialize;

use super::ReadFile;
use crate::finding::{Event, Finding, Target, read};
use crate::yaml::{Code, Node, Report, Value, filled, nearest, sound, wrong_type};

/// A finding as a record has it, with the target that the record is of.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) finding: Finding,
    /// None where the finding is no record's.
    pub(super) target: Option<Target>,
}

/// Reads a finding: the path of an event or of a record, or the finding itself.
pub(super) fn finding(report: &mut Report<'_>, node: &Node, files: &ReadFile<'_>) -> Option<Found> {
    let (bytes, from) = match &node.value {
        Value::Text(_) => {
            let path = filled(report, node, "the path of an event")?;
            (contents(report, node, &path, files)?, format!("\"{path}\""))
        }
        Value::Map(_) if !sound(report, node, "the finding") => return None,
        Value::Map(_) => (node.to_json().to_string().into_bytes(), "this".to_owned()),
        _ => {
            wrong_type(report, node, "the path of an event, or a finding");
            return None;
        }
    };
    if let Some(found) = of_record(&bytes) {
        return Some(found);
    }
    let mut findings = Vec::new();
    let mut wrong = Vec::new();
    for event in read(&bytes) {
        match event {
            Ok(Event::Finding(finding)) => findings.push(*finding),
            Ok(Event::Ignored(ignored)) => {
                wrong.push(format!("{from} is no finding about S3: {}", ignored.what))
            }
            Ok(Event::Trail(event)) => wrong.push(format!(
                "{from} is no finding about S3: {}",
                event.ignored().what
            )),
            Ok(Event::Request(_)) => {
                wrong.push(format!("{from} is a request to the deployed function"))
            }
            Err(error) => wrong.push(format!("{from} cannot be read as a finding: {error}")),
        }
    }
    if wrong.is_empty() && findings.len() > 1 {
        wrong.push(format!("{from} holds {} findings", findings.len()));
    }
    if wrong.is_empty() && findings.iter().all(|finding| finding.targets.is_empty()) {
        wrong.push(format!("{from} names no bucket"));
    }
    let sound = wrong.is_empty();
    for message in wrong {
        report
            .add(Code::BadFinding, node.pointer(), message)
            .help("give one finding, as `portcullis explain` takes it: an event of EventBridge, or what the AWS CLI prints");
    }
    let finding = findings.pop().filter(|_| sound)?;
    Some(Found {
        finding,
        target: None,
    })
}

/// The finding of a record, as it is stored or as `show` prints it; none where it is something else.
fn of_record(bytes: &[u8]) -> Option<Found> {
    #[derive(Deserialize)]
    struct Shown {
        record: Found,
    }
    let shown = serde_json::from_slice(bytes).map(|Shown { record }| record);
    let found: Option<Found> = shown.or_else(|_| serde_json::from_slice(bytes)).ok();
    found.filter(|found| found.target.is_some())
}

/// Picks the target that a test is about: that of the record, or the finding's only one, unless it is named.
pub(super) fn target(
    report: &mut Report<'_>,
    node: Option<&Node>,
    at: &Node,
    found: &Found,
) -> Option<Target> {
    let Found { finding, target } = found;
    let name = |target: &Target| match target {
        Target::Bucket(bucket) => bucket.name.clone(),
        Target::Account(account) => account.clone(),
    };
    let names: Vec<String> = finding.targets.iter().map(name).collect();
    let known = || names.join(", ");
    let Some(node) = node else {
        if let (_, Some(target)) | ([target], _) = (&finding.targets[..], target) {
            return Some(target.clone());
        }
        report
            .add(
                Code::MissingKey,
                at.pointer(),
                format!("the finding has {} targets", names.len()),
            )
            .help(format!(
                "say which one the test is about with the key \"target\": {}",
                known()
            ));
        return None;
    };
    let written = filled(report, node, "the name of a bucket")?;
    let found = finding
        .targets
        .iter()
        .find(|target| name(target) == written);
    if found.is_none() {
        let help = match nearest(&written, names.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("it names {}", known()),
        };
        report
            .add(
                Code::UnknownTarget,
                node.at,
                format!("the finding does not name \"{written}\""),
            )
            .help(help);
    }
    found.cloned()
}

/// What another file holds.
pub(super) fn contents(
    report: &mut Report<'_>,
    node: &Node,
    path: &str,
    files: &ReadFile<'_>,
) -> Option<Vec<u8>> {
    match files(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            report
                .add(
                    Code::UnreadableFile,
                    node.at,
                    format!("\"{path}\" cannot be read: {error}"),
                )
                .help("paths are seen from the folder of the test file");
            None
        }
    }
}
