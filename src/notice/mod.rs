//! Notices: what a person is told of a finding, once for all of its targets.
//!
//! One value, [`Notice`], has two forms: the custom notification of Amazon Q Developer for chat, and plain text for e-mail.
//! Everything in it that a finding, a bucket or an error said is untrusted and made inert. Object keys, policies, access key
//! ids and what Macie detected in objects stay out: the record has them, and its readers are fewer.

mod account;
mod chat;
mod inert;
mod message;
mod sweep;
mod text;

use sha2::{Digest, Sha256};

use crate::finding::Finding;
use crate::guard::Guard;
use crate::policy::{Mode, Notify};
use crate::record::{Outcome, Record, RunResult};
use crate::report::{LINE, severity, shown};

use inert::inert;
pub use message::{Attribute, LARGEST, Message};
pub use sweep::sweep;

/// What became of one target, as far as a notice tells it.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The account of the target.
    pub account: &'a str,
    /// The bucket; none where the target is the account.
    pub bucket: Option<&'a str>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where the outcome alone does not say it.
    pub reason: Option<&'a str>,
    /// What was decided; none where it did not come to a decision.
    pub record: Option<&'a Record>,
    /// What became of the changes; none where there were none to make.
    pub result: Option<&'a RunResult>,
    /// What the rule says about notices; always, where no rule had decided.
    pub notify: Notify,
}

/// A notice: clean texts, not yet in the form of a protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Names the thread of the finding.
    pub thread: String,
    /// The same for every delivery that has the same to tell; none where that is always told.
    pub once: Option<String>,
    /// One line that says it.
    pub title: String,
    /// The finding's type and severity.
    finding: String,
    /// GuardDuty's severity, 0 where it is not known.
    severity: f64,
    /// What happened.
    happened: String,
    /// The targets, the most telling first.
    targets: Vec<account::Account>,
    /// How it ended, or how it stands: words, the most telling first, each once.
    outcomes: Vec<&'static str>,
    /// What a chat calls the event.
    event: &'static str,
    /// The effective modes, each once.
    modes: Vec<Mode>,
}

/// The notice of a finding, or none where the rules want none or there is nothing to tell.
pub fn notice(finding: &Finding, told: &[Told]) -> Option<Notice> {
    let mut told: Vec<&Told> = told.iter().filter(|told| is_wanted(told)).collect();
    told.sort_by_key(|told| rank(told));
    let first = told.first()?;
    let happened = match told.iter().find_map(|told| told.record) {
        Some(record) => crate::report::brief(finding, &record.target, &record.classification),
        None => "The finding was not looked into: see why below.".to_owned(),
    };
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut modes: Vec<Mode> = Vec::new();
    for told in &told {
        push_new(&mut outcomes, told.outcome);
        modes = told.record.iter().fold(modes, |mut modes, record| {
            push_new(&mut modes, record.decision.mode);
            modes
        });
    }
    Some(Notice {
        thread: thread(&finding.id),
        once: Some(once(finding, &told)),
        title: title(first, &told),
        finding: format!(
            "{}, {}",
            inert(&shown(&finding.kind, LINE)),
            severity(finding.severity)
        ),
        severity: finding.severity,
        happened: inert(&happened),
        targets: account::accounts(finding, &told),
        event: event(first.outcome),
        outcomes: outcomes.iter().map(|outcome| outcome.word()).collect(),
        modes,
    })
}

/// The notice that an invocation failed before any target was worked on. `delivery` is the same for each of Lambda's attempts,
/// such as the request's id.
pub fn failure(finding: Option<&Finding>, delivery: &str, why: &str) -> Notice {
    let identity = match finding {
        Some(finding) => delivered(finding),
        None => delivery.to_owned(),
    };
    let known = finding.map(|finding| {
        format!(
            "{}, {}",
            inert(&shown(&finding.kind, LINE)),
            severity(finding.severity)
        )
    });
    let accounts = finding.map(account::untouched);
    Notice {
        thread: thread(finding.map_or(delivery, |finding| &finding.id)),
        once: Some(digest(&format!("{identity}\nfailure"))),
        title: "Failed: nothing was looked at or changed".to_owned(),
        finding: known.unwrap_or_else(|| "not known: the event could not be read".to_owned()),
        severity: finding.map_or(0.0, |finding| finding.severity),
        happened: inert(&shown(why, 4 * LINE)),
        targets: accounts.unwrap_or_default(),
        outcomes: vec![Outcome::Failed.word()],
        event: event(Outcome::Failed),
        modes: Vec::new(),
    }
}

impl Notice {
    /// What goes to SNS.
    pub fn message(&self) -> Message {
        message::message(self)
    }

    /// The custom notification of Amazon Q Developer in chat applications.
    pub fn chat(&self) -> serde_json::Value {
        chat::chat(self)
    }

    /// Plain text, for e-mail.
    pub fn text(&self) -> String {
        text::text(self)
    }
}

fn is_wanted(told: &Told) -> bool {
    if told.outcome == Outcome::AlreadyContained {
        return false;
    }
    match told.notify {
        Notify::Always => true,
        Notify::Never => false,
        Notify::Changes => match told.outcome {
            Outcome::Contained | Outcome::Partial | Outcome::Failed | Outcome::RolledBack => true,
            _ => told.record.is_some_and(could_not),
        },
    }
}

/// Whether something was to be done that could not be, or that a person should look at. Where nothing is to be done, nothing is
/// missing.
fn could_not(record: &Record) -> bool {
    let decision = &record.decision;
    let drifted = record
        .rollback
        .as_ref()
        .is_some_and(|rollback| !rollback.inverse.drift.is_empty());
    let hindered = decision
        .withheld
        .iter()
        .any(|withheld| !is_deliberate(withheld.guard));
    drifted || decision.mode == Mode::Enforce && (hindered || !decision.alerts.is_empty())
}

/// Whether a guard is somebody's decision, and no obstacle.
fn is_deliberate(guard: Guard) -> bool {
    match guard {
        Guard::ObserveMode
        | Guard::Exception
        | Guard::BreakGlass
        | Guard::AwsServiceActor
        | Guard::OwnActivity
        | Guard::SampleFinding
        | Guard::ArchivedFinding
        | Guard::Authorized
        | Guard::Released => true,
        Guard::NoActor
        | Guard::NoAddress
        | Guard::NoObject
        | Guard::BlastRadius
        | Guard::Unreadable
        | Guard::SelfLockout
        | Guard::PolicyTooLarge
        | Guard::DirtyPolicy
        | Guard::PublicPolicyRefused
        | Guard::DirectoryBucket
        | Guard::WrongTarget
        | Guard::LogTarget
        | Guard::UnverifiedFinding
        | Guard::BucketGone
        | Guard::OtherAccount => false,
    }
}

/// The most telling first: what needs a person, then what was changed, then the rest.
fn rank(told: &Told) -> u8 {
    match told.outcome {
        Outcome::Failed => 0,
        Outcome::Partial => 1,
        Outcome::Withheld if told.record.is_some_and(could_not) => 2,
        Outcome::Contained => 3,
        Outcome::RolledBack => 4,
        Outcome::Withheld => 5,
        Outcome::Planned => 6,
        Outcome::AlreadyContained => 7,
        Outcome::Ignored => 8,
    }
}

fn title(first: &Told, told: &[&Told]) -> String {
    let mut outcomes = Vec::new();
    told.iter()
        .for_each(|told| push_new(&mut outcomes, told.outcome));
    if outcomes.len() > 1 {
        let count = |outcome| told.iter().filter(|told| told.outcome == outcome).count();
        let counted: Vec<String> = outcomes
            .into_iter()
            .map(|outcome| format!("{} {outcome}", count(outcome)))
            .collect();
        return format!("Of {} targets: {}", told.len(), counted.join(", "));
    }
    let name = match (told.len(), first.bucket) {
        (1, Some(bucket)) => format!("bucket {}", inert(&shown(bucket, LINE))),
        (1, None) => format!("account {}", inert(&shown(first.account, LINE))),
        (number, _) => format!("{number} targets"),
    };
    let ended = match first.outcome {
        Outcome::Contained => "Contained",
        Outcome::Partial => "Contained in part",
        Outcome::Failed => "Failed",
        Outcome::RolledBack => "Rolled back",
        Outcome::Withheld => "Withheld",
        Outcome::Planned => "Planned",
        Outcome::AlreadyContained => "Contained already",
        Outcome::Ignored => "No measure asked for",
    };
    format!("{ended}: {name}")
}

/// Lambda delivers a failed event again, EventBridge now and then any, and neither says so. What nothing came of is the same
/// news each time; what was changed is news by itself, once for each record.
fn once(finding: &Finding, told: &[&Told]) -> String {
    let mut identity = delivered(finding);
    for told in told {
        let changed = matches!(told.outcome, Outcome::Contained | Outcome::RolledBack);
        let record = told
            .record
            .filter(|record| changed || record.rollback.is_some());
        let id = record.map_or("", |record| &record.id);
        let bucket = told.bucket.unwrap_or_default();
        identity += &format!("\n{}\n{bucket}\n{}\n{id}", told.account, told.outcome);
    }
    digest(&identity)
}

fn delivered(finding: &Finding) -> String {
    let updated = finding.updated_at.or(finding.last_seen);
    let updated = updated.map(|at| at.to_string()).unwrap_or_default();
    format!("{}\n{}\n{updated}", finding.account, finding.id)
}

/// What a chat takes for the name of a thread. Ids of GuardDuty are kept; others may not be, and are told apart all the same.
fn thread(id: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match id.len() <= 64 && id.chars().all(is_plain) {
        true => format!("finding-{id}"),
        false => format!("finding-{}", digest(id)),
    }
}

fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn event(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Contained => "BucketContained",
        Outcome::Partial => "BucketContainedInPart",
        Outcome::RolledBack => "ContainmentRolledBack",
        Outcome::Withheld => "ContainmentWithheld",
        Outcome::Ignored => "FindingIgnored",
        Outcome::Planned => "ContainmentPlanned",
        Outcome::AlreadyContained => "BucketContainedAlready",
        Outcome::Failed => "ContainmentFailed",
    }
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}
