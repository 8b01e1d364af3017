//! The decision: which rule holds, which of its measures are taken, which are withheld and why.
//!
//! Pure. Taken and withheld together are always what the rule asks for: nothing is dropped in silence.

mod wanted;

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wanted::{actor_kinds, subject};

pub use wanted::{Wanted, accounts_to_ask_about, may_act, wanted};

use crate::classification::{BucketUse, Classification, Own, break_glass, classify};
use crate::enrichment::{Enrichment, Standing};
use crate::finding::{Bucket, Finding, Target};
use crate::guard::Guard;
use crate::measures::{Context, Stop};
use crate::plan::Plan;
use crate::policy::{Asked, FollowUp, Held, Mode, Policy, Rule, Selected, Skipped, Withhold};
use crate::settings::{SettingKind, Settings};

/// Everything that a decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// The target.
    pub target: &'a Target,
    /// The team's policy.
    pub policy: &'a Policy,
    /// The mode of the deployment.
    pub stack_mode: Mode,
    /// Who we are.
    pub own: &'a Own,
    /// The operator who asks for this: an order by hand overrides the modes of the policy file, never that of the deployment.
    pub operator: Option<&'a str>,
    /// What was read of the target; nothing at all where it may or can not be read.
    pub observed: &'a Settings,
    /// What other services said of it.
    pub enrichment: &'a Enrichment,
    /// Reasons outside the policy file that stop every measure, most telling first.
    pub stops: &'a [Stop],
    /// Whether S3 has just not taken a policy that a plan of this delivery writes.
    pub policy_refused: bool,
    /// The time.
    pub now: Timestamp,
}

/// What is done, what is not, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Decision {
    /// The rule that holds.
    pub rule: String,
    /// Its place in the policy file, as `file:line`.
    pub place: String,
    /// The effective mode.
    pub mode: Mode,
    /// What makes it so.
    pub mode_because: String,
    /// Measures that are carried out.
    pub taken: Vec<Taken>,
    /// Measures that are not.
    pub withheld: Vec<Withheld>,
    /// What the rule asks for besides, and whether it is run once the measures are settled.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub follow_up: Vec<AskedFollowUp>,
    /// What a person should look at: exceptions that hold unproven, rules passed over for want of a fact.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub alerts: Vec<String>,
    /// When the containment is to end by itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<Timestamp>,
    /// Whether what somebody undoes by other means is put back.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub hold: bool,
    /// The changes: to be made when measures are taken, otherwise what would have been made.
    pub plan: Plan,
}

/// A measure that is carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Taken {
    /// The measure.
    pub measure: String,
    /// What is worth telling of it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
}

/// A measure that is not carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Withheld {
    /// The measure.
    pub measure: String,
    /// The reason.
    pub guard: Guard,
    /// The facts.
    pub why: String,
    /// The line of the policy file that would change it, as `file:line`.
    pub place: String,
}

/// A follow-up that the rule asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AskedFollowUp {
    /// Which.
    pub follow_up: FollowUp,
    /// Why it is not run; none where it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub withheld: Option<Withholding>,
}

/// A guard, and the facts behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Withholding {
    /// The reason.
    pub guard: Guard,
    /// The facts.
    pub why: String,
}

impl Decision {
    /// Whether there is something to write.
    pub fn acts(&self) -> bool {
        !self.taken.is_empty() && !self.plan.is_empty()
    }
}

/// A decision, and which parts of the policy it came of.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighed<'p> {
    /// What the finding means.
    pub classification: Classification,
    /// The decision.
    pub decision: Decision,
    /// The rule that holds, and those that were passed over.
    pub selected: Selected<'p>,
    /// The exceptions that hold, whether or not they spare a measure that was asked for.
    pub exceptions: Vec<Held<'p>>,
}

/// Decides. The classification is part of the answer because both rest on the same facts.
pub fn decide(situation: &Situation) -> (Classification, Decision) {
    let weighed = weigh(situation);
    (weighed.classification, weighed.decision)
}

/// Decides, and keeps the parts of the policy that it came of.
pub fn weigh<'p>(situation: &Situation<'p>) -> Weighed<'p> {
    let Situation {
        finding,
        policy,
        own,
        observed,
        enrichment,
        ..
    } = *situation;
    let bucket = bucket(situation.target);
    let classification = classify(finding, bucket, observed, enrichment, policy, own);
    let tags = observed.tags().ok();
    let actors = actor_kinds(&classification);
    let mut subject = subject(finding, bucket, &classification, &actors, tags.as_ref());
    // Whatever could be read has been: from here on, a rule that asks for an `unknown` has its answer.
    subject.exposure = Some(classification.exposure.is);
    subject.sensitivity = Some(classification.sensitivity.is);
    let selected = policy.first_match(&subject);
    let exceptions = policy.holding_exceptions(&subject, situation.now);
    let (rule, measures, (mode, mode_because)) = match selected.rule {
        Some(rule) => (
            rule.id.clone(),
            rule.measures.as_slice(),
            effective_mode(situation, rule),
        ),
        None => (
            "none".to_owned(),
            [].as_slice(),
            (Mode::Observe, "no rule matches".to_owned()),
        ),
    };

    let mut decision = Decision {
        rule,
        place: policy.place(selected.rule.map_or(1, |rule| rule.line)),
        mode,
        mode_because,
        taken: Vec::new(),
        withheld: Vec::new(),
        follow_up: Vec::new(),
        alerts: alerts(situation, &selected.skipped, &exceptions),
        expires: None,
        hold: selected.rule.is_some_and(|rule| rule.hold),
        plan: Plan::default(),
    };
    let account = bucket.map_or(&finding.account, |bucket| &bucket.account);
    let spared: LazyCell<BTreeSet<String>, _> = LazyCell::new(|| {
        break_glass(policy, own, account)
            .into_iter()
            .chain(own.principals.iter().cloned())
            .collect()
    });
    // Only what amends something needs it.
    let context = LazyCell::new(|| Context {
        finding,
        bucket,
        classification: &classification,
        enrichment,
        policy,
        observed,
        policy_refused: situation.policy_refused,
        spared: &spared,
        writes_policy: measures.iter().any(|asked| {
            asked
                .measure
                .info()
                .amends
                .contains(&SettingKind::BucketPolicy)
        }),
        means_log_targets: selected
            .rule
            .is_some_and(|rule| rule.when.bucket_use.contains(&BucketUse::LogTarget)),
    });
    let mode_line = selected
        .rule
        .and_then(|rule| rule.mode_line)
        .unwrap_or(policy.mode_line);
    let gate = gate(situation, mode, &decision.mode_because, mode_line);
    let follow_ups = selected.rule.iter().flat_map(|rule| &rule.follow_up);
    decision.follow_up = follow_ups
        .map(|follow_up| AskedFollowUp {
            follow_up: *follow_up,
            withheld: gate.as_ref().map(|(stop, _)| Withholding {
                guard: stop.guard,
                why: stop.why.clone(),
            }),
        })
        .collect();

    let mut asked: Vec<&Asked> = measures.iter().collect();
    asked.sort_by_key(|asked| asked.measure.rank());
    let mut desired = observed.clone();
    let mut wanted_by: BTreeMap<SettingKind, Vec<String>> = BTreeMap::new();
    for asked in asked {
        let name = asked.measure.name();
        let withheld = |stop: Stop, line: u32| Withheld {
            measure: name.to_owned(),
            guard: stop.guard,
            why: stop.why,
            place: policy.place(line),
        };
        if let Some((stop, line)) = exception_stop(&exceptions, name) {
            decision.withheld.push(withheld(stop, line));
            continue;
        }
        let unseen = observed.0.is_empty()
            && (!is_directory(situation.target)
                || asked
                    .measure
                    .info()
                    .reads
                    .contains(&SettingKind::BucketPolicy));
        if let (Some((stop, line)), true) = (&gate, unseen) {
            decision
                .withheld
                .push(withheld(stop.clone(), line.unwrap_or(asked.line)));
            continue;
        }
        let mut amended = desired.clone();
        match asked.measure.amend(&context, &mut amended) {
            Err(stop) => decision.withheld.push(withheld(stop, asked.line)),
            Ok(notes) => {
                for kind in asked.measure.info().amends {
                    if amended.get(*kind) != desired.get(*kind) {
                        wanted_by.entry(*kind).or_default().push(name.to_owned());
                    }
                }
                desired = amended;
                match &gate {
                    Some((stop, line)) => decision
                        .withheld
                        .push(withheld(stop.clone(), line.unwrap_or(asked.line))),
                    None => decision.taken.push(Taken {
                        measure: name.to_owned(),
                        notes,
                    }),
                }
            }
        }
    }
    decision.plan = Plan::diff(observed, &desired, &wanted_by);
    if decision.acts() {
        let after = selected.rule.and_then(|rule| rule.expires_after);
        decision.expires = after.and_then(|after| situation.now.checked_add(after).ok());
    }
    Weighed {
        classification,
        decision,
        selected,
        exceptions,
    }
}

/// The least of the deployment's, the policy's and the rule's mode, and what makes it so.
fn effective_mode(situation: &Situation, rule: &Rule) -> (Mode, String) {
    match situation.operator {
        Some(operator) if situation.stack_mode == Mode::Enforce => {
            (Mode::Enforce, format!("asked for by {operator}"))
        }
        _ => situation.policy.effective_mode(situation.stack_mode, rule),
    }
}

/// What stops every measure, whatever the rule: the most telling reason, and the line of the policy file behind it.
fn gate(
    situation: &Situation,
    mode: Mode,
    mode_because: &str,
    mode_line: u32,
) -> Option<(Stop, Option<u32>)> {
    if situation.finding.sample {
        let why = "the finding is a sample, and its bucket is nobody's or somebody else's";
        return Some((Stop::new(Guard::SampleFinding, why), None));
    }
    if situation.finding.archived && situation.operator.is_none() {
        return Some((
            Stop::new(
                Guard::ArchivedFinding,
                "a person archived the finding in GuardDuty",
            ),
            None,
        ));
    }
    if let Some(stop) = situation.stops.first() {
        return Some((stop.clone(), None));
    }
    if let Some(check) = &situation.enrichment.guardduty
        && check.is == Standing::Missing
        && situation.operator.is_none()
    {
        let why = check.because.clone();
        return Some((Stop::new(Guard::UnverifiedFinding, why), None));
    }
    (mode == Mode::Observe).then(|| (Stop::new(Guard::ObserveMode, mode_because), Some(mode_line)))
}

fn exception_stop(exceptions: &[Held], measure: &str) -> Option<(Stop, u32)> {
    let holding = exceptions
        .iter()
        .find(|held| match &held.exception.withhold {
            Withhold::All => true,
            Withhold::Only(names) => names.iter().any(|name| name == measure),
        })?;
    let exception = holding.exception;
    let unproven = match holding.unproven {
        Some(fact) => format!(" (it holds unproven: {fact} could not be read)"),
        None => String::new(),
    };
    let why = format!(
        "exception {} until {}: {}{unproven}",
        exception.id, exception.expires, exception.reason
    );
    Some((Stop::new(Guard::Exception, why), exception.line))
}

fn alerts(situation: &Situation, skipped: &[Skipped], exceptions: &[Held]) -> Vec<String> {
    let policy = situation.policy;
    let out_of_reach = situation.stops.iter();
    let out_of_reach = out_of_reach
        .filter(|stop| stop.guard == Guard::OtherAccount)
        .map(|stop| stop.why.clone());
    let unverified = situation.enrichment.guardduty.iter();
    let unverified = unverified
        .filter(|check| check.is == Standing::Unknown)
        .map(|check| {
            format!(
                "GuardDuty was not seen to have the finding: {}",
                check.because
            )
        });
    let unproven = exceptions.iter().filter_map(|held| {
        let place = policy.place(held.exception.line);
        held.unproven.map(|fact| {
            format!(
                "exception {} ({place}) holds unproven: {fact} could not be read",
                held.exception.id
            )
        })
    });
    let passed_over = skipped.iter().map(|skipped| {
        let place = policy.place(skipped.rule.line);
        format!(
            "rule {} ({place}) was passed over: {} is not known",
            skipped.rule.id, skipped.unread
        )
    });
    let doubts = unverified.chain(unproven).chain(passed_over);
    out_of_reach.chain(doubts).collect()
}

fn bucket(target: &Target) -> Option<&Bucket> {
    match target {
        Target::Bucket(bucket) => Some(bucket),
        Target::Account(_) => None,
    }
}

fn is_directory(target: &Target) -> bool {
    bucket(target).is_some_and(|bucket| bucket.directory)
}
