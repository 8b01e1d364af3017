//! The engine: one finding in, its targets contained, each on the record.
//!
//! This is where the pure core meets AWS, the store and the clock. The order of the calls is the point of it:
//! lease and observation side by side; then the evidence, while the settings that are to change are read once more; then
//! the only writes.

mod apply;
mod error;
mod evidence;
mod follow_up;
mod jobs;
mod limits;
mod look;
mod observe;
mod questions;
mod report;
mod since;
mod standing;
mod stored;
mod sweep;
mod trail;
mod undo;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, Shared};
use jiff::Timestamp;
use tokio::time::Instant;

use apply::{Anew, Terms};
pub use error::EngineError;
use limits::Hour;
use look::Look;
use questions::{Memberships, Verification, beside};
pub use report::{Report, Summary};
pub use since::since;
pub use trail::Followed;
pub use undo::{OPERATOR_TIME, RollbackError, RollbackRequest};

use crate::aws::{Aws, Place};
use crate::classification::{Classification, Own, classify, sensitivity};
use crate::decision::{Decision, Situation, decide, may_act};
use crate::enrichment::Enrichment;
use crate::finding::{Finding, Target};
use crate::guard::Guard;
use crate::measures::Stop;
use crate::policy::{Mode, Policy};
use crate::record::{Outcome, PolicyRef, Record, RunResult, VERSION, record_id, target_digest};
use crate::settings::Settings;
use crate::store::{Lease, Store};

/// Targets of one finding that are worked on at the same time.
const AT_ONCE: usize = 8;
/// How often a plan is made anew because somebody changes the target meanwhile, or S3 does not take a policy.
const ROUNDS: usize = 5;

/// What the engine works with.
#[derive(Debug)]
pub struct Engine<'a> {
    /// AWS.
    pub aws: &'a Aws,
    /// The store.
    pub store: &'a Store,
    /// The team's policy.
    pub policy: &'a Policy,
    /// The mode of the deployment.
    pub stack_mode: Mode,
    /// Who we are.
    pub own: &'a Own,
    /// The principal of an operator who asks for this, or none for an event. An operator's request overrides the modes of
    /// the policy file and a release, and never the mode of the deployment.
    pub operator: Option<&'a str>,
    /// The plans that an operator was shown and confirmed: no other is carried out. None where nobody was asked.
    pub confirmed: Option<&'a [&'a Record]>,
    /// Whether `policy` is still the one that serves, where that is being asked at the same time. Nothing is written
    /// before it is answered.
    pub policy_stands: Option<PolicyStands<'a>>,
    /// The clock.
    pub clock: fn() -> Timestamp,
    /// When the work must be done; leases end with it.
    pub deadline: Timestamp,
}

/// The answer to whether the policy still serves, asked once for all targets.
pub type PolicyStands<'a> = Shared<BoxFuture<'a, bool>>;

impl Engine<'_> {
    /// Works on every target of a finding, several at once. One that fails never stops the others.
    pub async fn respond(&self, finding: &Finding) -> Vec<Report> {
        let finding = &Arc::new(finding.clone());
        let event = &self.event(finding);
        let work = finding
            .targets
            .iter()
            .enumerate()
            .map(|(index, target)| async move {
                self.respond_to(event, target, self.beyond_limit(finding, index))
                    .await
            });
        futures_util::stream::iter(work)
            .buffered(AT_ONCE)
            .collect()
            .await
    }

    /// What [`Engine::respond`] would do now: reads, and writes nothing.
    pub async fn preview(&self, finding: &Finding) -> Vec<Report> {
        let finding = &Arc::new(finding.clone());
        let event = &self.event(finding);
        let work = finding
            .targets
            .iter()
            .enumerate()
            .map(|(index, target)| async move {
                if let Some(report) = self.own_activity(finding, target) {
                    return report;
                }
                match self
                    .look(event, target, false, self.beyond_limit(finding, index))
                    .await
                {
                    Ok(look) => Report::planned(look.record),
                    Err(error) => Report::failed(finding, target, error),
                }
            });
        futures_util::stream::iter(work)
            .buffered(AT_ONCE)
            .collect()
            .await
    }

    fn event<'a>(&'a self, finding: &'a Arc<Finding>) -> Event<'a> {
        Event {
            finding: finding.clone(),
            verification: self.verification(finding),
            memberships: self.memberships(finding),
            hour: Hour::new(self.store),
        }
    }

    fn beyond_limit(&self, finding: &Finding, index: usize) -> Option<Stop> {
        let limit = self.policy.limits.buckets_per_finding as usize;
        (index >= limit).then(|| {
            let why = format!(
                "the finding names {} buckets and limits.buckets-per-finding is {limit}",
                finding.targets.len()
            );
            Stop::new(Guard::BlastRadius, why)
        })
    }

    async fn respond_to(&self, event: &Event<'_>, target: &Target, stop: Option<Stop>) -> Report {
        let finding = &*event.finding;
        if let Some(report) = self.own_activity(finding, target) {
            return report;
        }
        match self.contain(event, target, stop).await {
            Ok(report) => report,
            Err(error) => Report::failed(finding, target, error),
        }
    }

    /// Our own writes show up in CloudTrail and can raise findings; acting on those would be a loop.
    fn own_activity(&self, finding: &Finding, target: &Target) -> Option<Report> {
        let bucket = match target {
            Target::Bucket(bucket) => Some(bucket),
            Target::Account(_) => None,
        };
        let own = self.own_at(finding, target);
        let (nothing, untold) = (Settings::default(), Enrichment::default());
        let classification = classify(finding, bucket, &nothing, &untold, self.policy, &own);
        let ours = !classification.actors.is_empty()
            && classification.actors.iter().all(|actor| actor.own);
        ours.then(|| {
            Report::ignored(
                finding,
                target,
                "own-activity: the actor is Portcullis's own role",
            )
        })
    }

    async fn contain(
        &self,
        event: &Event<'_>,
        target: &Target,
        stop: Option<Stop>,
    ) -> Result<Report, EngineError> {
        let acts = stop.is_none() && self.may_act(&event.finding, target);
        // The SDK's futures are large, and most of a run's stages hold several: each stage is kept off the stack.
        let mut look = Box::pin(self.look(event, target, acts, stop)).await?;
        let lease = look.lease.take();
        let later = look.later.clone();
        let work = Box::pin(self.carry_out(event, target, look, lease.as_ref()));
        let done = beside(later, work).await;
        if let Some(lease) = lease {
            // A lease that cannot be released ends by itself; the work is done either way.
            if let Err(error) = lease.release(self.store).await {
                tracing::warn!(%error, "the lease could not be released and will expire");
            }
        }
        done
    }

    async fn carry_out(
        &self,
        event: &Event<'_>,
        target: &Target,
        look: Look<'_>,
        lease: Option<&Lease>,
    ) -> Result<Report, EngineError> {
        let mut before = None;
        let done = self.carry_out_in_rounds(event, target, look, lease, &mut before);
        let done = Box::pin(done).await;
        match (done, before) {
            (Ok(report), Some((_, earlier))) => Ok(report.with_changes_of(&earlier)),
            (Err(error), Some((record, result))) => Ok(Report::interrupted(record, result, error)),
            (done, None) => done,
        }
    }

    /// Makes plans until one is carried out. `before` gets the last one that was so only in part.
    async fn carry_out_in_rounds(
        &self,
        event: &Event<'_>,
        target: &Target,
        mut look: Look<'_>,
        lease: Option<&Lease>,
        before: &mut Option<(Record, RunResult)>,
    ) -> Result<Report, EngineError> {
        for round in 1..=ROUNDS {
            if !look.record.decision.acts() {
                return Box::pin(self.nothing_to_write(target, look, lease.is_some())).await;
            }
            let lease = lease.ok_or(EngineError::Unleased)?;
            if !self.is_confirmed(target, &look.record.decision) {
                return Err(EngineError::NotAsShown);
            }
            // What waits is less than what was confirmed.
            if look.policy_refused {
                self.have_the_flag_wait(target, &mut look);
            }
            let waits = look.policy_refused && look.record.decision.plan.leaves_a_policy_public();
            let kinds: Vec<_> = look
                .record
                .decision
                .plan
                .changes
                .iter()
                .map(|change| change.setting)
                .collect();
            let counted = target_digest(&look.finding, target);
            let (run, now) = (&look.record.run, (self.clock)());
            let looked = Instant::now();
            let (stored, claimed, standing, again) = futures_util::join!(
                evidence::store(self.store, &look.record),
                event.hour.claim(&counted, run, self.hourly_limit(), now),
                standing::mark(self.store, &look.record),
                observe::observe(self.aws, &look.place, &kinds)
            );
            let evidence::Kept { id, inherited } = stored?;
            let held_back = claimed?;
            standing?;
            let again = again.map_err(EngineError::Observe)?;
            let unchanged = again
                .0
                .iter()
                .all(|(kind, setting)| look.observed.get(*kind) == Some(setting));
            if unchanged && held_back.is_none() {
                look.record.id.clone_from(&id);
                let (record, place) = (&look.record, &look.place);
                let terms = Terms {
                    looked,
                    waits,
                    is_last: round == ROUNDS,
                };
                let applied = Box::pin(self.apply(record, place, lease, terms)).await;
                let mut result = applied.result;
                if let Some(anew) = applied.anew
                    && !terms.is_last
                {
                    tracing::info!(record = id, "{}; planning anew", anew.why());
                    look.policy_refused |= anew == Anew::PolicyRefused;
                    let stored = evidence::store_result(self.store, &result).await;
                    if let Some((_, earlier)) = before.take() {
                        result.take_in(&earlier);
                    }
                    *before = Some((record.clone(), result));
                    stored.map_err(EngineError::Evidence)?;
                    let again = observe::observe(self.aws, place, &kinds).await;
                    self.decide_again(target, &mut look, again.map_err(EngineError::Observe)?);
                    continue;
                }
                let follow_up = self.follow_up(record, place, result.outcome);
                result.followed_up = Box::pin(follow_up).await;
                result.sensitivity = match look.later {
                    Some(word) => Some(sensitivity(Some(&word.await))),
                    None => None,
                };
                let stored = evidence::store_result(self.store, &result).await;
                return Ok(Report::done(look.record, result, stored.err()));
            }
            let why = match &held_back {
                None => "the target changed while the evidence was written; planning anew",
                Some(_) => "other targets took the last places of the hour meanwhile; held back",
            };
            tracing::info!(record = id, "{why}");
            look.stops.extend(held_back);
            self.decide_again(target, &mut look, again);
            let now = (self.clock)();
            match inherited {
                None => evidence::give_up(self.store, &id, now).await?,
                // Its run has written, or may have.
                Some(earlier) => {
                    evidence::close(self.store, &earlier, &look.observed, now).await?;
                }
            }
        }
        Err(EngineError::Unstable)
    }

    /// Decides anew, with the settings that were read again.
    fn decide_again(&self, target: &Target, look: &mut Look<'_>, again: Settings) {
        look.observed.0.extend(again.0);
        let (observed, enrichment) = (&look.observed, &look.enrichment);
        let decided = self.decide(&look.finding, target, observed, enrichment, &look.stops);
        look.record = self.record(&look.finding, target, observed, enrichment, decided);
    }

    /// Decides anew, with BlockPublicPolicy left until S3 takes the policy.
    fn have_the_flag_wait(&self, target: &Target, look: &mut Look<'_>) {
        let (finding, own) = (&look.finding, &self.own_at(&look.finding, target));
        let (observed, enrichment) = (&look.observed, &look.enrichment);
        let situation = self.situation(finding, target, own, observed, enrichment, &look.stops);
        look.record.decision = decide(&Situation {
            policy_refused: true,
            ..situation
        })
        .1;
    }

    async fn nothing_to_write(
        &self,
        target: &Target,
        mut look: Look<'_>,
        leased: bool,
    ) -> Result<Report, EngineError> {
        let mut record = look.record;
        if let Some(word) = look.later {
            // Nothing waited for the answer, and no rule asks for it: the decision stays as it is, and is told with it.
            look.enrichment.macie = Some(word.await);
            let (finding, observed, told) = (&look.finding, &look.observed, &look.enrichment);
            let decided = self.decide(finding, target, observed, told, &look.stops);
            record = self.record(finding, target, observed, told, decided);
        }
        let outcome = outcome_without_writes(&record.decision);
        record.outcome = Some(outcome);
        record.followed_up = Box::pin(self.follow_up(&record, &look.place, outcome)).await;
        if outcome != Outcome::AlreadyContained {
            record.id = evidence::store(self.store, &record).await?.id;
            return Ok(Report::planned(record));
        }
        Box::pin(self.already_contained(record, leased)).await
    }

    /// Brings the record of an earlier run of the same delivery to its end, where that run did not. Otherwise a second
    /// delivery finds the bucket as it should be, and telling the store so again would tell it nothing.
    async fn already_contained(
        &self,
        mut record: Record,
        leased: bool,
    ) -> Result<Report, EngineError> {
        let attempts = evidence::attempts(self.store, &record.id).await?;
        let Some((earlier, result)) = attempts.into_iter().next_back() else {
            return Ok(Report::planned(record));
        };
        let mut made = evidence::cut_off(&earlier, &record.before, (self.clock)());
        let all_made = made.outcome == Outcome::Contained;
        match result {
            Some(result) if result.outcome == Outcome::Contained => {
                return Ok(Report::planned(record).after(earlier, result));
            }
            None if leased => {
                made.followed_up.clone_from(&record.followed_up);
                let asked = record.enrichment.macie.as_ref();
                made.sensitivity = asked.map(|macie| sensitivity(Some(macie)));
                let stored = evidence::store_result(self.store, &made).await;
                if all_made {
                    return Ok(Report::done(earlier, made, stored.err()));
                }
                stored.map_err(EngineError::Evidence)?;
            }
            // Somebody may be at work on it.
            None => return Ok(Report::planned(record)),
            Some(_) => {}
        }
        // What that run left open has come about since.
        record.id = evidence::store(self.store, &record).await?.id;
        let report = Report::planned(record);
        Ok(match all_made {
            true => report.after(earlier, made),
            false => report,
        })
    }

    fn is_confirmed(&self, target: &Target, decision: &Decision) -> bool {
        self.confirmed.is_none_or(|shown| {
            let shown = shown.iter().filter(|record| record.target == *target);
            shown
                .into_iter()
                .any(|record| record.decision.plan.covers(&decision.plan))
        })
    }

    /// Targets in an hour; none for an operator, whose word overrides the limit.
    fn hourly_limit(&self) -> Option<u32> {
        let limit = self.policy.limits.buckets_per_hour;
        self.operator.is_none().then_some(limit)
    }

    fn own_at(&self, finding: &Finding, target: &Target) -> Own {
        self.aws.acting_as(self.own, &Place::of(finding, target))
    }

    fn may_act(&self, finding: &Finding, target: &Target) -> bool {
        match self.operator {
            Some(_) => self.stack_mode == Mode::Enforce && !finding.sample,
            None => {
                let own = self.own_at(finding, target);
                may_act(finding, target, self.policy, self.stack_mode, &own)
            }
        }
    }

    fn decide(
        &self,
        finding: &Finding,
        target: &Target,
        observed: &Settings,
        enrichment: &Enrichment,
        stops: &[Stop],
    ) -> (Classification, Decision) {
        let own = &self.own_at(finding, target);
        decide(&self.situation(finding, target, own, observed, enrichment, stops))
    }

    fn situation<'a>(
        &'a self,
        finding: &'a Finding,
        target: &'a Target,
        own: &'a Own,
        observed: &'a Settings,
        enrichment: &'a Enrichment,
        stops: &'a [Stop],
    ) -> Situation<'a> {
        Situation {
            finding,
            target,
            policy: self.policy,
            stack_mode: self.stack_mode,
            own,
            operator: self.operator,
            observed,
            enrichment,
            stops,
            policy_refused: false,
            now: (self.clock)(),
        }
    }

    fn record(
        &self,
        finding: &Arc<Finding>,
        target: &Target,
        observed: &Settings,
        enrichment: &Enrichment,
        decided: (Classification, Decision),
    ) -> Record {
        let now = (self.clock)();
        let (classification, decision) = decided;
        Record {
            version: VERSION,
            id: record_id(finding, target, now),
            run: unique(),
            at: now,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            asked_by: self.operator.unwrap_or("event").to_owned(),
            finding: finding.clone(),
            target: target.clone(),
            classification,
            policy: PolicyRef {
                name: self.policy.name.clone(),
                digest: self.policy.digest.clone(),
            },
            before: observed.clone(),
            enrichment: enrichment.clone(),
            decision,
            rollback: None,
            outcome: None,
            followed_up: Vec::new(),
        }
    }
}

/// A finding, and what is asked about it once for all of its targets.
pub(crate) struct Event<'a> {
    finding: Arc<Finding>,
    verification: Verification<'a>,
    memberships: Memberships<'a>,
    hour: Hour<'a>,
}

/// How a decision stands while nothing has been written.
pub(crate) fn outcome_without_writes(decision: &Decision) -> Outcome {
    match (decision.taken.is_empty(), decision.withheld.is_empty()) {
        (false, _) if decision.plan.is_empty() => Outcome::AlreadyContained,
        (false, _) => Outcome::Planned,
        (true, false) => Outcome::Withheld,
        (true, true) => Outcome::Ignored,
    }
}

/// 64 random bits in hex. A request id would not do: a retry keeps it.
fn unique() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
