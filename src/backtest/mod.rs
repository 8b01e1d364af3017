//! A policy over past findings: what it would have done, as one value of which text, JSON and the page are made.
//!
//! Pure, and of bounded size whatever the number of findings: everything counted is counted per rule, guard, day or family,
//! of buckets only the most frequent are kept, and of findings a few examples.
//!
//! One finding can name several targets, and each delivery of an update is a finding of its own here, as it is for the
//! deployed function. What is counted is targets, unless a field says otherwise.

mod days;
mod difference;
mod examples;
mod frequent;
mod tally;

pub use tally::{Known, Spot, Tally, Trial};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::guard::Guard;
use crate::record::PolicyRef;
use crate::verdict::{Effect, Verdict};

/// What a policy would have done with past findings, in a deployment that enforces.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Backtest {
    /// Where the findings came from, for a person.
    pub source: String,
    /// The policy that was tried.
    pub policy: PolicyRef,
    /// The policy that it was compared with; none where there was none.
    pub against: Option<PolicyRef>,
    /// The time as of which was decided: exceptions that have expired by then hold no more, also for older findings.
    pub as_of: Timestamp,
    /// Whether it was interrupted, so that only a part of the findings is in here.
    pub partial: bool,
    /// What was read.
    pub read: Read,
    /// On what facts the decisions rest.
    pub facts: Facts,
    /// Targets by effect; effects that did not occur are left out.
    pub effects: Vec<Count<Effect>>,
    /// Every rule of the policy in its order, those that decided nothing among them.
    pub rules: Vec<RuleHits>,
    /// Every exception of the policy in its order, those that spared nothing among them.
    pub exceptions: Vec<ExceptionHits>,
    /// Every measure that was asked for, most often asked for first.
    pub measures: Vec<MeasureHits>,
    /// Why measures were withheld, most frequent first; without those that only wait for settings that were not looked at.
    pub withheld: Vec<WithheldHits>,
    /// Findings over time.
    pub days: Days,
    /// The buckets (and accounts) that would be contained most often, observe mode aside.
    pub contained: Frequent,
    /// What differs from the other policy; none where there was none.
    pub changes: Option<Changes>,
    /// Example findings, a few for each rule and effect, in the order of `rules`.
    pub examples: Vec<Example>,
}

/// What was read from the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Read {
    /// Findings that were decided about.
    pub findings: u64,
    /// Their targets, which is what everything else counts.
    pub targets: u64,
    /// Events that are none of ours: other sources, or no S3 in them.
    pub ignored: u64,
    /// Findings that concern S3 and name no bucket.
    pub without_target: u64,
    /// Samples among the findings; nothing is ever done about them.
    pub samples: u64,
    /// Findings that a person has archived, which is why measures are withheld unless it was asked to take them as new.
    pub archived: u64,
    /// Parts of the source that are no event, or cannot be read.
    pub broken: u64,
    /// The first of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_broken: Vec<Broken>,
}

/// A part of the source that is no event, or facts that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Broken {
    /// Where, as `file:line` or the name of a record; untrusted text.
    pub place: String,
    /// What is wrong; untrusted text.
    pub why: String,
}

/// On what facts the decisions rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Facts {
    /// Targets whose facts came from the record that was made of them.
    pub recorded: u64,
    /// Targets whose facts were read from AWS now.
    pub live: u64,
    /// Targets that were decided about without facts.
    pub unknown: u64,
    /// Those among them whose record or settings are there and could not be read.
    #[serde(skip_serializing_if = "is_none")]
    pub unread: u64,
    /// The first of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_unread: Vec<Broken>,
    /// Rules that were passed over for want of a fact, and exceptions that hold unproven for it; most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<Missed>,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A line of the policy whose fact was not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Missed {
    /// The rule or exception.
    pub part: PolicyPart,
    /// Its place, as `file:line`.
    pub place: String,
    /// The key that asks for the fact, such as `tag`.
    pub fact: String,
    /// For how many targets.
    pub count: u64,
}

/// A part of a policy file that something comes of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyPart {
    /// The rule of an id.
    Rule(String),
    /// The exception of an id.
    Exception(String),
    /// The measure of this name, as a rule asks for it.
    Measure(String),
    /// A mode: the policy's, or the rule's own.
    Mode,
}

/// How often something occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Count<T> {
    /// What.
    pub is: T,
    /// How often.
    pub count: u64,
}

/// What one rule decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RuleHits {
    /// The rule's id.
    pub rule: String,
    /// Its place, as `file:line`.
    pub place: String,
    /// For how many targets it decided.
    pub count: u64,
    /// What came of it; effects that did not occur are left out.
    pub effects: Vec<Count<Effect>>,
}

/// What one exception spared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExceptionHits {
    /// The exception's id.
    pub exception: String,
    /// Its place, as `file:line`.
    pub place: String,
    /// The last day on which it holds.
    pub expires: Date,
    /// Whether it has expired, so that it spares nothing.
    pub expired: bool,
    /// Targets that it spared a measure.
    pub count: u64,
    /// Those among them for which it held only because a fact was not known.
    pub unproven: u64,
}

/// What became of one measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MeasureHits {
    /// The measure.
    pub measure: String,
    /// Targets for which it would be carried out.
    pub taken: u64,
    /// Targets for which it would be carried out as far as can be told: what it changes depends on settings that were not
    /// looked at.
    pub open: u64,
    /// Targets for which a guard withholds it.
    pub withheld: u64,
}

/// Measures that were withheld for the same reason, by the same line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WithheldHits {
    /// The guard, as its word.
    pub guard: Guard,
    /// The line of the policy file that would change it, as `file:line`.
    pub place: String,
    /// Measures that were withheld, each for each target.
    pub count: u64,
    /// The facts of the first one; untrusted text.
    pub example: String,
    /// The measure of the first one.
    pub measure: String,
    /// The id of the first one's finding; untrusted text.
    pub finding: String,
}

/// Findings over time, by the day (UTC) on which GuardDuty last saw or updated them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Days {
    /// The days on which there were any, oldest first; at most [`MOST_DAYS`], the latest.
    pub days: Vec<Day>,
    /// Targets of days before these.
    pub earlier: u64,
    /// Targets of findings that say no time.
    pub undated: u64,
}

/// How many days are kept.
pub const MOST_DAYS: usize = 400;

/// One day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Day {
    /// Which, in UTC.
    pub day: Date,
    /// Targets by family and effect, by the family's name.
    pub families: Vec<FamilyCount>,
}

/// Targets of one family of findings and one effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FamilyCount {
    /// The part of the type before its slash, such as `Exfiltration:S3`, or [`OTHER_FAMILIES`]; untrusted text.
    pub family: String,
    /// What came of it.
    pub effect: Effect,
    /// How many.
    pub count: u64,
}

/// What stands for families beyond those that are told apart.
pub const OTHER_FAMILIES: &str = "other";

/// The most frequent of many things, counted in bounded memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Frequent {
    /// The most frequent first.
    pub top: Vec<FrequentTarget>,
    /// How many different ones there were; none where there were too many to count.
    pub distinct: Option<u64>,
    /// Whether every count is exact. Otherwise a count may be too high by its `over`, and one that is not here may have
    /// occurred as often as the last one that is.
    pub exact: bool,
}

/// A target and how often it occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FrequentTarget {
    /// The bucket's name, or the account's id.
    pub target: String,
    /// The account that it belongs to.
    pub account: String,
    /// How often.
    pub count: u64,
    /// By how much the count may be too high.
    pub over: u64,
}

/// What differs between two policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Changes {
    /// Targets that both decide alike.
    pub same: u64,
    /// Targets that they decide differently.
    pub differ: u64,
    /// The different ones, grouped by both verdicts, largest group first.
    pub groups: Vec<ChangeGroup>,
    /// Targets of further groups, where there were too many groups to tell.
    pub ungrouped: u64,
}

/// Targets that two policies decide differently in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChangeGroup {
    /// How many.
    pub count: u64,
    /// What the other policy decides.
    pub old: Verdict,
    /// What the policy that is tried decides.
    pub new: Verdict,
    /// The lines that make the difference.
    pub because: Vec<Cause>,
    /// The first few of them.
    pub examples: Vec<Instance>,
}

/// A line of one of two policies that makes them differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cause {
    /// In which policy.
    pub side: Side,
    /// What stands there.
    pub part: PolicyPart,
    /// Where, as `file:line`.
    pub place: String,
}

/// One of two policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The one that it was compared with.
    Old,
    /// The one that was tried.
    New,
}

/// A finding and one of its targets. All of it is untrusted text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Instance {
    /// Where in the source it stands, as `file:line` or the name of a record.
    pub place: String,
    /// The finding's id.
    pub finding: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The bucket's name, or `account ` and its id.
    pub target: String,
    /// When GuardDuty last saw or updated it.
    pub at: Option<Timestamp>,
}

/// One finding as an example of what a rule does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Example {
    /// The rule that decides.
    pub rule: String,
    /// What comes of it.
    pub effect: Effect,
    /// Which finding.
    #[serde(flatten)]
    pub instance: Instance,
    /// What it comes to.
    pub verdict: Verdict,
    /// Line by line what `portcullis explain` says of it, safe to be shown.
    pub explanation: Vec<String>,
}
