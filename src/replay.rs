//! A decision that was taken, taken again under another policy from the same facts: a record holds all that it rested on.

use jiff::Timestamp;
use serde::Serialize;

use crate::classification::Own;
use crate::decision::wanted;
use crate::policy::Policy;
use crate::record::Record;
use crate::settings::SettingKind;
use crate::verdict::{Case, Verdict, lasting_stops};

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
    let stops = lasting_stops(record);
    let case = Case {
        finding: &record.finding,
        target: &record.target,
        own,
        observed: &record.before,
        enrichment: &record.enrichment,
        stops: &stops,
        now,
    };
    let under = |policy: &Policy| Verdict::of(&case.under(policy).decision, &record.before);
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
