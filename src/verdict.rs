//! What a policy says of a finding and one of its targets, from facts at hand: the one way to judge without a deployment.
//!
//! Pure. What depends on the moment and not on the policy is left out: the blast radius and releases; and the deployment is
//! taken to be in enforce mode, so that the policy's own mode shows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::classification::{Own, words};
use crate::decision::{Decision, Situation, Weighed, Withheld, weigh};
use crate::enrichment::Enrichment;
use crate::finding::{Finding, Target};
use crate::guard::Guard;
use crate::measures::{Measure, Stop};
use crate::policy::{FollowUp, Mode, Policy};
use crate::record::Record;
use crate::settings::Settings;

/// What was observed of a target, as a record holds it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The target's settings; nothing at all where they were not looked at.
    pub settings: Settings,
    /// What other services said.
    pub enrichment: Enrichment,
}

impl Facts {
    /// Reads facts: a record, as it is stored or as `show` prints it, or the settings alone as it holds them under `before`.
    pub fn from_json(mut value: Value) -> Result<Self, serde_json::Error> {
        if let Some(record) = value.get_mut("record").map(Value::take) {
            value = record;
        }
        let Some(before) = value.get_mut("before").map(Value::take) else {
            return Ok(Self {
                settings: serde_json::from_value(value)?,
                enrichment: Enrichment::default(),
            });
        };
        let enrichment = value.get_mut("enrichment").map(Value::take);
        Ok(Self {
            settings: serde_json::from_value(before)?,
            enrichment: enrichment.map_or(Ok(Enrichment::default()), serde_json::from_value)?,
        })
    }
}

/// A finding and one of its targets, with all that a decision about it rests on but for the policy.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// The target.
    pub target: &'a Target,
    /// Who we are.
    pub own: &'a Own,
    /// The target's settings; nothing at all where they were not looked at.
    pub observed: &'a Settings,
    /// What other services said.
    pub enrichment: &'a Enrichment,
    /// What stops every measure under any policy.
    pub stops: &'a [Stop],
    /// The time.
    pub now: Timestamp,
}

impl<'a> Case<'a> {
    /// What this policy decides.
    pub fn under<'p>(&self, policy: &'p Policy) -> Weighed<'p>
    where
        'a: 'p,
    {
        weigh(&Situation {
            finding: self.finding,
            target: self.target,
            policy,
            stack_mode: Mode::Enforce,
            own: self.own,
            operator: None,
            observed: self.observed,
            enrichment: self.enrichment,
            stops: self.stops,
            policy_refused: false,
            now: self.now,
        })
    }
}

words! {
    /// What comes of a finding for one target.
    Effect {
        /// Measures are carried out, none is withheld. Without the target's settings: as far as can be told.
        Contained = "contained",
        /// Some measures are carried out, others are withheld.
        Partly = "partly",
        /// The target is as the measures want it.
        AlreadyContained = "already-contained",
        /// Nothing is carried out, and some of it only because of observe mode.
        Observed = "observed",
        /// Every measure is withheld, for other reasons.
        Withheld = "withheld",
        /// The rule asks for no measure.
        Nothing = "nothing",
    }
}

/// What matters of a decision when two are compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// The rule that holds.
    pub rule: String,
    /// Its place in the policy file, as `file:line`.
    pub place: String,
    /// The mode that the policy gives it.
    pub mode: Mode,
    /// What comes of it.
    pub effect: Effect,
    /// Measures that are carried out.
    pub taken: Vec<String>,
    /// Measures that are carried out as far as can be told: what they change depends on settings that were not looked at.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub open: Vec<String>,
    /// Measures that are not, each with its guard.
    pub withheld: Vec<String>,
    /// Follow-ups that are run.
    pub follow_up: Vec<FollowUp>,
}

impl Verdict {
    /// The verdict of a decision. `observed` is what it rests on.
    pub fn of(decision: &Decision, observed: &Settings) -> Self {
        let (mut open, mut withheld) = (Vec::new(), Vec::new());
        for one in &decision.withheld {
            match is_open(one, observed) {
                true => open.push(one.measure.clone()),
                false => withheld.push(format!("{}: {}", one.measure, one.guard)),
            }
        }
        let run = decision.follow_up.iter();
        Self {
            rule: decision.rule.clone(),
            place: decision.place.clone(),
            mode: decision.mode,
            effect: Effect::of(decision, observed),
            taken: decision
                .taken
                .iter()
                .map(|taken| taken.measure.clone())
                .collect(),
            open,
            withheld,
            follow_up: run
                .filter(|asked| asked.withheld.is_none())
                .map(|asked| asked.follow_up)
                .collect(),
        }
    }

    /// Whether the same comes of both, wherever the rule stands. The mode of a rule that asks for nothing changes nothing.
    pub fn is_alike(&self, other: &Self) -> bool {
        let asks = [&self.taken, &self.open, &self.withheld];
        let is_idle = asks.iter().all(|asked| asked.is_empty()) && self.follow_up.is_empty();
        (self.mode == other.mode || is_idle)
            && self.rule == other.rule
            && self.taken == other.taken
            && self.open == other.open
            && self.withheld == other.withheld
            && self.follow_up == other.follow_up
    }
}

impl Effect {
    /// What comes of a decision. `observed` is what it rests on.
    pub fn of(decision: &Decision, observed: &Settings) -> Self {
        let (mut open, mut held, mut observes) = (false, false, false);
        for withheld in &decision.withheld {
            match is_open(withheld, observed) {
                true => open = true,
                false => held = true,
            }
            observes |= withheld.guard == Guard::ObserveMode;
        }
        match (open || !decision.taken.is_empty(), held) {
            (true, false) if !open && decision.plan.is_empty() && !observed.0.is_empty() => {
                Self::AlreadyContained
            }
            (true, false) => Self::Contained,
            (true, true) => Self::Partly,
            (false, true) if observes => Self::Observed,
            (false, true) => Self::Withheld,
            (false, false) => Self::Nothing,
        }
    }
}

/// Whether a measure is withheld only because a setting that it reads was not looked at. One that was, and could not be
/// read, is a reason of its own.
pub fn is_open(withheld: &Withheld, observed: &Settings) -> bool {
    if withheld.guard != Guard::Unreadable {
        return false;
    }
    let catalogue = Measure::catalogue();
    let measure = catalogue
        .iter()
        .find(|measure| measure.name() == withheld.measure);
    let mut reads = measure.iter().flat_map(|measure| measure.info().reads);
    observed.0.is_empty() || reads.any(|kind| observed.get(*kind).is_none())
}

/// What stopped the measures of a record and would stop any policy's: the target is gone or out of reach.
pub fn lasting_stops(record: &Record) -> Vec<Stop> {
    let lasting = record
        .decision
        .withheld
        .iter()
        .find(|withheld| [Guard::OtherAccount, Guard::BucketGone].contains(&withheld.guard));
    let stop = lasting.map(|withheld| Stop::new(withheld.guard, withheld.why.clone()));
    stop.into_iter().collect()
}
