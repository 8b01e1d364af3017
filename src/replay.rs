//! A decision that was taken, taken again under another policy from the same facts.
//!
//! Pure: a record holds all that its decision rested on. What depends on the moment and not on the policy is left out: the
//! blast radius and releases; and the deployment is taken to be in enforce mode, so that the policy's own mode shows.

use jiff::Timestamp;
use serde::Serialize;

use crate::classification::Own;
use crate::decision::{Decision, Situation, decide, wanted};
use crate::guard::Guard;
use crate::measures::Stop;
use crate::policy::{FollowUp, Mode, Policy};
use crate::record::Record;
use crate::settings::SettingKind;

/// A record that two policies decide differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Replay {
    /// The record's id.
    pub id: String,
    /// The type of its finding.
    #[serde(rename = "type")]
    pub kind: String,
    /// The bucket's name, or the account's id.
    pub target: String,
    /// What the policy that serves decides.
    pub serving: Verdict,
    /// What the new policy decides.
    pub proposed: Verdict,
    /// Settings that the new policy would read and the record does not hold: measures that need them show as withheld.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<SettingKind>,
}

/// What matters of a decision when two are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// The rule that holds.
    pub rule: String,
    /// The mode that the policy gives it.
    pub mode: Mode,
    /// Measures that are carried out.
    pub taken: Vec<String>,
    /// Measures that are not, each with its guard.
    pub withheld: Vec<String>,
    /// Follow-ups that are run.
    pub follow_up: Vec<FollowUp>,
}

/// The record under both policies, where they differ about it; none for a rollback, which no policy decides.
pub fn replay(
    record: &Record,
    serving: &Policy,
    proposed: &Policy,
    own: &Own,
    now: Timestamp,
) -> Option<Replay> {
    if record.rollback.is_some() {
        return None;
    }
    let stops = stops(&record.decision);
    let under = |policy: &Policy| {
        let (_, decision) = decide(&Situation {
            finding: &record.finding,
            target: &record.target,
            policy,
            stack_mode: Mode::Enforce,
            own,
            operator: None,
            observed: &record.before,
            enrichment: &record.enrichment,
            stops: &stops,
            now,
        });
        Verdict::of(&decision)
    };
    let (serving, verdict) = (under(serving), under(proposed));
    if serving.is_alike(&verdict) {
        return None;
    }
    let would_read = match record.finding.sample || !stops.is_empty() {
        true => Vec::new(),
        false => wanted(&record.finding, &record.target, proposed, own, false, now)
            .settings
            .into_iter()
            .collect(),
    };
    let unread = would_read
        .into_iter()
        .filter(|kind| record.before.get(*kind).is_none());
    Some(Replay {
        id: record.id.clone(),
        kind: record.finding.kind.clone(),
        target: record.target_name().to_owned(),
        serving,
        proposed: verdict,
        unread: unread.collect(),
    })
}

impl Verdict {
    /// Whether the same comes of both. The mode of a rule that asks for nothing changes nothing.
    fn is_alike(&self, other: &Self) -> bool {
        let is_idle = [self.taken.len(), self.withheld.len(), self.follow_up.len()] == [0; 3];
        let in_other_mode = Self {
            mode: other.mode,
            ..self.clone()
        };
        self == other || (is_idle && in_other_mode == *other)
    }

    fn of(decision: &Decision) -> Self {
        let withheld = decision.withheld.iter();
        let run = decision.follow_up.iter();
        Self {
            rule: decision.rule.clone(),
            mode: decision.mode,
            taken: decision
                .taken
                .iter()
                .map(|taken| taken.measure.clone())
                .collect(),
            withheld: withheld
                .map(|withheld| format!("{}: {}", withheld.measure, withheld.guard))
                .collect(),
            follow_up: run
                .filter(|asked| asked.withheld.is_none())
                .map(|asked| asked.follow_up)
                .collect(),
        }
    }
}

/// What stopped the measures of the record and would stop any policy's: the target is gone or out of reach.
fn stops(decision: &Decision) -> Vec<Stop> {
    let lasting = decision
        .withheld
        .iter()
        .find(|withheld| [Guard::OtherAccount, Guard::BucketGone].contains(&withheld.guard));
    let stop = lasting.map(|withheld| Stop::new(withheld.guard, withheld.why.clone()));
    stop.into_iter().collect()
}
