//! Notices of the sweep: what became of a containment later, in the thread of its finding.

use jiff::Timestamp;

use super::account::{Account, Step, arn, named};
use super::inert::inert;
use super::{Notice, digest, thread};
use crate::finding::Target;
use crate::policy::{Notify, Policy};
use crate::record::Record;
use crate::report::{LINE, brief, severity, shown};
use crate::sweep::{Ending, JobSeen, JobState, Sweep, Swept, SweptState};

/// The notices of a sweep. What was not changed and still waits for a person is told once a day.
pub fn sweep(sweep: &Sweep, policy: &Policy, now: Timestamp) -> Vec<Notice> {
    let is_wanted = |swept: &&Swept| {
        let rule = swept.of.as_ref().map(|record| &record.decision.rule);
        let rule = policy.rules.iter().find(|known| Some(&known.id) == rule);
        rule.is_none_or(|rule| rule.notify != Notify::Never)
    };
    let found = sweep.found.iter().filter(is_wanted);
    let jobs = sweep
        .jobs
        .iter()
        .filter(|job| job.state != JobState::Pending);
    found
        .map(|found| swept(found, now))
        .chain(jobs.map(job))
        .chain(sweep.exceptions.iter().map(ending))
        .collect()
}

fn swept(swept: &Swept, now: Timestamp) -> Notice {
    let record = swept.of.as_deref();
    let name = match (record.map(|record| &record.target), swept.target.as_str()) {
        (_, "") => format!("record {}", inert(&shown(&swept.record, LINE))),
        (Some(Target::Account(_)), account) => format!("account {}", inert(&shown(account, LINE))),
        (_, bucket) => format!("bucket {}", inert(&shown(bucket, LINE))),
    };
    let (title, event) = match swept.state {
        SweptState::Expired => (
            format!("Time is up: {name} was put back"),
            "ContainmentExpired",
        ),
        SweptState::Due => (
            format!("Time is up, and not all is put back: {name}"),
            "ContainmentDue",
        ),
        SweptState::Drift => (
            format!("No longer contained as it was: {name}"),
            "ContainmentDrifted",
        ),
        SweptState::Held => (
            format!("Contained again after somebody undid it: {name}"),
            "ContainmentHeld",
        ),
        SweptState::Unfinished => (format!("Cut off: {name}"), "ContainmentUnfinished"),
        SweptState::Overwritten => (
            format!("Somebody's policy was written over: {name}"),
            "PolicyOverwritten",
        ),
        SweptState::Gone => (format!("Gone, with its containment: {name}"), "BucketGone"),
        SweptState::Failed => (format!("Could not be looked after: {name}"), "SweepFailed"),
    };
    let day = now.strftime("%F");
    let undone = swept.undone.iter().map(|undone| undone.in_short());
    let undone: Vec<String> = undone.collect();
    let told = |of: &str| Some(digest(&format!("{}\n{}\n{of}", swept.record, swept.state)));
    let once = match swept.state {
        // It is told when it comes about, which is once by itself; somebody may undo again what was put back.
        state if state.is_settled() => None,
        // The same call may be told of twice, and another one on the same day is news.
        SweptState::Overwritten => told(&swept.detail.join("\n")),
        // So is more of it that is undone.
        SweptState::Drift => told(&format!("{day}\n{}", undone.join("\n"))),
        _ => told(&day.to_string()),
    };
    let known = record.map(about);
    let lines = lines(swept, undone);
    let target = record.map(|record| target(record, swept, lines.clone()));
    Notice {
        thread: thread(record.map_or(&swept.record, |record| &record.finding.id)),
        once,
        title,
        finding: known.unwrap_or_else(|| "not told here: see the record".to_owned()),
        severity: record.map_or(0.0, |record| record.finding.severity),
        happened: match record {
            Some(record) => inert(&brief(
                &record.finding,
                &record.target,
                &record.classification,
            )),
            None => lines
                .into_iter()
                .map(|(_, line)| line)
                .collect::<Vec<_>>()
                .join("; "),
        },
        targets: target.into_iter().collect(),
        outcomes: vec![swept.state.word()],
        event,
        modes: record
            .map(|record| record.decision.mode)
            .into_iter()
            .collect(),
    }
}

fn about(record: &Record) -> String {
    let kind = inert(&shown(&record.finding.kind, LINE));
    format!("{kind}, {}", severity(record.finding.severity))
}

fn lines(swept: &Swept, undone: Vec<String>) -> Vec<(&'static str, String)> {
    let name = match swept.state {
        SweptState::Expired | SweptState::Due => "Left alone",
        SweptState::Gone | SweptState::Failed | SweptState::Unfinished => "Why",
        SweptState::Drift | SweptState::Held | SweptState::Overwritten => "Note",
    };
    let undone = undone.into_iter().map(|line| ("Undone", line));
    let details = swept.detail.iter().map(|line| (name, line.clone()));
    let inert = |(name, line): (&'static str, String)| (name, inert(&shown(&line, 3 * LINE)));
    undone.chain(details).map(inert).collect()
}

fn target(record: &Record, swept: &Swept, lines: Vec<(&'static str, String)>) -> Account {
    let (account, is_bucket) = match &record.target {
        Target::Bucket(bucket) => (&bucket.account, true),
        Target::Account(account) => (account, false),
    };
    let id = shown(&record.id, LINE);
    let step = |what, verb: &str| Step {
        what,
        command: format!("portcullis {verb} {id}"),
    };
    let mut steps = vec![step("Look", "show")];
    match swept.state {
        SweptState::Drift => {
            steps.push(step("Contain again", "apply"));
            steps.push(step("Undo", "rollback"));
        }
        SweptState::Unfinished => steps.push(step("Bring it to its end", "apply")),
        SweptState::Due | SweptState::Held => steps.push(step("Undo", "rollback")),
        SweptState::Expired | SweptState::Overwritten | SweptState::Gone | SweptState::Failed => {}
    }
    if let Some(kept) = &swept.kept {
        let kept = shown(kept, 3 * LINE);
        steps.push(Step {
            what: "What was lost",
            command: match kept.starts_with("s3://") {
                true => format!("aws s3 cp {kept} -"),
                false => format!("cat {kept}"),
            },
        });
    }
    Account {
        name: named(record.target_name()),
        is_bucket,
        account: named(account),
        arn: arn(&record.finding, &record.target),
        outcome: swept.state.word(),
        record: Some(id),
        rule: Some(shown(&record.decision.rule, LINE)),
        lines,
        steps,
    }
}

fn job(job: &JobSeen) -> Notice {
    let id = shown(&job.job, LINE);
    let bucket = inert(&shown(&job.bucket, LINE));
    let (title, event) = match job.state {
        JobState::Complete => (
            format!("Macie has looked through bucket {bucket}"),
            "MacieJobComplete",
        ),
        JobState::Cancelled => (
            format!("Macie did not look through all of bucket {bucket}"),
            "MacieJobCancelled",
        ),
        JobState::Paused => (
            format!("A Macie job is paused: bucket {bucket}"),
            "MacieJobPaused",
        ),
        JobState::Pending => (
            format!("Macie looks through bucket {bucket}"),
            "MacieJobPending",
        ),
        JobState::Unknown => (
            format!("How a Macie job stands is not known: {}", inert(&id)),
            "MacieJobUnknown",
        ),
    };
    let finding = match job.finding.is_empty() {
        true => job.job.as_str(),
        false => job.finding.as_str(),
    };
    let findings = job.findings.iter().map(|command| Step {
        what: "What it found",
        command: shown(command, 4 * LINE),
    });
    let record = (!job.record.is_empty()).then(|| shown(&job.record, LINE));
    let target = record.map(|record| Account {
        name: named(&job.bucket),
        is_bucket: true,
        account: named(&job.account),
        arn: None,
        outcome: job.state.word(),
        steps: findings
            .chain([Step {
                what: "Look",
                command: format!("portcullis show {record}"),
            }])
            .collect(),
        record: Some(record),
        rule: None,
        lines: vec![("Job", inert(&id))],
    });
    Notice {
        thread: thread(finding),
        once: Some(digest(&format!("{}\n{}", job.job, job.state))),
        title,
        finding: inert(&shown(finding, LINE)),
        severity: 0.0,
        happened: inert(&shown(&job.detail, 4 * LINE)),
        targets: target.into_iter().collect(),
        outcomes: vec![job.state.word()],
        event,
        modes: Vec::new(),
    }
}

fn ending(ending: &Ending) -> Notice {
    let id = inert(&shown(&ending.id, LINE));
    let (title, event, word) = match ending.ended {
        true => (
            format!("Exception {id} has ended"),
            "ExceptionEnded",
            "ended",
        ),
        false => (
            format!("Exception {id} ends after {}", ending.expires),
            "ExceptionEnds",
            "ends",
        ),
    };
    Notice {
        thread: thread(&format!("exception-{}", digest(&ending.id))),
        once: Some(digest(&format!(
            "{}\n{}\n{word}",
            ending.id, ending.expires
        ))),
        title,
        finding: "none: this is about the policy file".to_owned(),
        severity: 0.0,
        happened: format!(
            "{}. Renew it in the policy file, or take it out.",
            inert(&shown(&ending.what, 4 * LINE))
        ),
        targets: Vec::new(),
        outcomes: vec![word],
        event,
        modes: Vec::new(),
    }
}
