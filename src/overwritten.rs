//! Whether a bucket policy that somebody else wrote was written over by ours, unseen.
//!
//! S3 has no conditional write for it. CloudTrail has what the other one wrote, and when; the record has what we had read and
//! what we wrote. What of the one is in neither the other nor the bucket was lost.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::finding::TrailEvent;
use crate::record::{Record, RunResult};
use crate::settings::{PolicyDocument, Setting, SettingKind, Statement};
use crate::statements::Deny;

/// CloudTrail tells whole seconds, and two clocks are never the same.
const SLACK: SignedDuration = SignedDuration::from_secs(2);
/// S3's settings become visible in their own time, so that a look may miss what was written before it.
const UNSEEN: SignedDuration = SignedDuration::from_secs(5);
/// A write follows its evidence at once; of a run that was cut off nobody knows when.
const LONGEST_RUN: SignedDuration = SignedDuration::from_mins(2);

/// A write of ours to a bucket policy.
#[derive(Debug)]
pub struct Write<'a> {
    /// The record that is its evidence.
    pub record: &'a Record,
    read: &'a Setting,
    wrote: &'a Setting,
    from: Timestamp,
    to: Timestamp,
}

impl<'a> Write<'a> {
    /// The one of a record; none where its plan leaves the policy alone. It was made between the look that the record holds
    /// and the end of the run.
    pub fn of(record: &'a Record, result: Option<&RunResult>) -> Option<Self> {
        let changes = &record.decision.plan.changes;
        let change = changes
            .iter()
            .find(|change| change.setting == SettingKind::BucketPolicy)?;
        let longest = record.at.saturating_add(LONGEST_RUN).ok()?;
        let ended = result.map_or(longest, |result| result.at.min(longest));
        Some(Self {
            record,
            read: &change.before,
            wrote: &change.after,
            from: record.at.saturating_sub(UNSEEN).ok()?,
            to: ended.saturating_add(SLACK).ok()?,
        })
    }

    /// Whether somebody else may have written while it was made.
    pub fn may_hide(&self, event: &TrailEvent) -> bool {
        event.is_of_policy() && (self.from..=self.to).contains(&event.at)
    }
}

/// What of a policy that somebody wrote is not in the bucket, though nobody there saw it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Overwritten {
    /// Statements that they had added.
    pub missing: Vec<String>,
    /// Statements that they had taken out.
    pub back: Vec<String>,
    /// The same in words.
    pub what: Vec<String>,
}

/// What was lost of `event` to the `writes` among which it fell, by what the policy is `now`; none where nothing was.
/// `bucket_arn` tells our statements from theirs.
pub fn overwritten(
    event: &TrailEvent,
    writes: &[Write],
    now: &Setting,
    bucket_arn: &str,
) -> Option<Overwritten> {
    let near: Vec<&Write> = writes
        .iter()
        .filter(|write| write.may_hide(event))
        .collect();
    let theirs = statements(event.policy.as_ref());
    let now = statements(now.policy());
    let read: Vec<&[Statement]> = near.iter().map(|w| statements(w.read.policy())).collect();
    // What a look had seen, we have written back, or taken out on purpose.
    let is_seen = |policy: &&[Statement]| {
        policy.len() == theirs.len() && theirs.iter().all(|statement| has(policy, statement))
    };
    if near.is_empty() || read.iter().any(is_seen) {
        return None;
    }
    let is_theirs = |statement: &&Statement| Deny::parse(statement, bucket_arn).is_none();
    let missing = theirs
        .iter()
        .filter(is_theirs)
        .filter(|statement| !has(now, statement) && read.iter().all(|read| !has(read, statement)));
    let missing: Vec<&Statement> = missing.collect();
    let wrote: Vec<&[Statement]> = near.iter().map(|w| statements(w.wrote.policy())).collect();
    let mut back: Vec<&Statement> = Vec::new();
    for (read, wrote) in read.iter().zip(wrote) {
        let found = read.iter().filter(is_theirs).filter(|statement| {
            has(wrote, statement) && !has(theirs, statement) && has(now, statement)
        });
        for statement in found {
            if !back.contains(&statement) {
                back.push(statement);
            }
        }
    }
    if missing.is_empty() && back.is_empty() {
        return None;
    }
    let lost = missing.iter().map(|s| format!("missing: {}", in_short(s)));
    let returned = back.iter().map(|s| format!("back again: {}", in_short(s)));
    Some(Overwritten {
        what: lost.chain(returned).collect(),
        missing: missing.iter().map(|s| s.text().to_owned()).collect(),
        back: back.iter().map(|s| s.text().to_owned()).collect(),
    })
}

fn statements(policy: Option<&PolicyDocument>) -> &[Statement] {
    policy.map(PolicyDocument::statements).unwrap_or_default()
}

/// Whether a policy has that statement. S3 puts an ARN in the place of a canonical user, so that such a principal is known by
/// the rest of its statement.
fn has(policy: &[Statement], statement: &Statement) -> bool {
    let is_canonical = |statement: &Statement| {
        let principal = statement.value().get("Principal");
        principal.is_some_and(|principal| principal.get("CanonicalUser").is_some())
    };
    let alike = |other: &Statement| {
        (is_canonical(statement) || is_canonical(other))
            && without_principal(statement) == without_principal(other)
    };
    policy
        .iter()
        .any(|other| other == statement || alike(other))
}

fn without_principal(statement: &Statement) -> Statement {
    let mut value = statement.value().clone();
    if let Some(statement) = value.as_object_mut() {
        statement.remove("Principal");
    }
    Statement::new(value)
}

fn in_short(statement: &Statement) -> String {
    let sid = statement.sid().unwrap_or("without a Sid");
    format!(
        "statement {sid} ({} {})",
        statement.effect(),
        statement.actions_in_short()
    )
}
