//! The look at a target: lease, release, limits and settings, all asked at once, and the decision that follows.

use futures_util::future::OptionFuture;
use jiff::SignedDuration;

use super::{Engine, EngineError, limits, observe, unique};
use crate::aws::{Meaning, Place};
use crate::decision::{Wanted, wanted};
use crate::enrichment::Enrichment;
use crate::finding::{Finding, Target};
use crate::guard::Guard;
use crate::measures::Stop;
use crate::record::{Record, target_digest};
use crate::settings::Settings;
use crate::store::{self, Lease, LeaseRequest};

/// What was seen of a target, and decided about it.
pub(super) struct Look {
    pub(super) record: Record,
    pub(super) observed: Settings,
    pub(super) enrichment: Enrichment,
    pub(super) stops: Vec<Stop>,
    pub(super) place: Place,
    pub(super) lease: Option<Lease>,
}

impl Engine<'_> {
    /// Reads what the policy needs, with lease and release side by side, and decides.
    pub(super) async fn look(
        &self,
        finding: &Finding,
        target: &Target,
        lease: bool,
        stop: Option<Stop>,
    ) -> Result<Look, EngineError> {
        let now = (self.clock)();
        let guess = Place::of(finding, target);
        let mut stops: Vec<Stop> = stop.into_iter().collect();
        if !self.aws.reaches(&guess.account) {
            let why = format!(
                "the target belongs to account {} and Portcullis has no role there; set PORTCULLIS_MEMBER_ROLE to the name of one",
                guess.account
            );
            stops.insert(0, Stop::new(Guard::OtherAccount, why));
        }
        // The bucket of a sample is nobody's or somebody else's: it is never asked for.
        let blind = finding.sample || stops.iter().any(|stop| stop.guard == Guard::OtherAccount);
        let wanted = match blind {
            true => Wanted::default(),
            false => {
                let own = self.own_at(finding, target);
                let investigates = self.operator.is_some();
                wanted(finding, target, self.policy, &own, investigates, now)
            }
        };
        let kinds: Vec<_> = wanted.settings.into_iter().collect();
        let (held, released, exceeded, stands, observed) = futures_util::join!(
            self.lease(finding, &guess, lease && !blind),
            self.released(finding, &guess, lease),
            self.exceeded(finding, target, lease),
            OptionFuture::from(self.policy_stands.clone()),
            observe::observe_at_home(self.aws, &guess, &kinds)
        );
        let lease = held?;
        let look = async {
            if stands == Some(false) {
                return Err(EngineError::PolicyReplaced);
            }
            if self.operator.is_none() {
                stops.extend(released?);
                stops.extend(exceeded?);
            }
            let (observed, place) = match observed {
                Ok(seen) => seen,
                Err(error) if error.meaning == Meaning::BucketGone => {
                    let why = format!(
                        "{error}; there is nothing left to contain, and the deletion may be part of the attack"
                    );
                    stops.insert(0, Stop::new(Guard::BucketGone, why));
                    (Settings::default(), guess)
                }
                Err(error) => return Err(EngineError::Observe(error)),
            };
            let enrichment = Enrichment::default();
            let decided = self.decide(finding, target, &observed, &enrichment, &stops);
            let record = self.record(finding, target, &observed, &enrichment, decided);
            Ok((record, observed, enrichment, stops, place))
        };
        match look.await {
            Ok((record, observed, enrichment, stops, place)) => Ok(Look {
                record,
                observed,
                enrichment,
                stops,
                place,
                lease,
            }),
            Err(error) => {
                if let Some(Err(lost)) =
                    OptionFuture::from(lease.map(|lease| lease.release(self.store))).await
                {
                    tracing::warn!(error = %lost, "the lease could not be released and will expire");
                }
                Err(error)
            }
        }
    }

    pub(super) async fn lease(
        &self,
        finding: &Finding,
        place: &Place,
        wanted: bool,
    ) -> Result<Option<Lease>, EngineError> {
        if !wanted {
            return Ok(None);
        }
        let now = (self.clock)();
        let left = self.deadline.duration_since(now);
        let holder = unique();
        let request = LeaseRequest {
            key: store::lease_key(&place.account, place.bucket.as_deref())?,
            holder: &holder,
            finding: &finding.id,
            ttl: left.max(SignedDuration::from_secs(1)),
            // Half of the time is for waiting, so that half is left for the work.
            wait_until: now.saturating_add(left / 2).unwrap_or(now),
        };
        Ok(Some(
            store::acquire(self.store, request, &self.clock).await?,
        ))
    }

    async fn released(
        &self,
        finding: &Finding,
        place: &Place,
        wanted: bool,
    ) -> Result<Option<Stop>, EngineError> {
        if !wanted {
            return Ok(None);
        }
        let key = store::release_key(&finding.id, &place.account, place.bucket.as_deref())?;
        let found = self.store.get(&key).await.map_err(EngineError::Store)?;
        Ok(found.map(|_| {
            let why = format!(
                "a person rolled this finding back for this target, and updates of it are left alone since; delete {} to end that",
                self.store.place(&key)
            );
            Stop::new(Guard::Released, why)
        }))
    }

    async fn exceeded(
        &self,
        finding: &Finding,
        target: &Target,
        wanted: bool,
    ) -> Result<Option<Stop>, EngineError> {
        if !wanted || self.operator.is_some() {
            return Ok(None);
        }
        let limit = self.policy.limits.buckets_per_hour;
        let counted = target_digest(finding, target);
        let exceeded = limits::exceeded(self.store, &counted, limit, (self.clock)()).await;
        exceeded.map_err(EngineError::Store)
    }
}
