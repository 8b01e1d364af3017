//! The look at a target: lease, release, limits and settings, all asked at once, and the decision that follows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::{OptionFuture, join_all};
use jiff::{SignedDuration, Timestamp};

use super::questions::{MaciesWord, beside};
use super::{Engine, EngineError, Event, observe, unique};
use crate::aws::{self, AwsError, Meaning, Place};
use crate::decision::{Wanted, wanted};
use crate::enrichment::{Enrichment, LogTarget};
use crate::finding::{Finding, Target};
use crate::guard::Guard;
use crate::measures::Stop;
use crate::record::{Record, target_digest};
use crate::settings::{SettingKind, Settings};
use crate::store::{self, Lease, LeaseRequest};

/// What was seen of a target, and decided about it.
pub(super) struct Look<'a> {
    pub(super) record: Record,
    pub(super) observed: Settings,
    pub(super) enrichment: Enrichment,
    pub(super) stops: Vec<Stop>,
    /// Whether S3 has not taken a policy of a plan before this one.
    pub(super) policy_refused: bool,
    pub(super) place: Place,
    pub(super) lease: Option<Lease>,
    /// The finding that counts: GuardDuty may have a newer state of it than the event.
    pub(super) finding: Arc<Finding>,
    /// Macie's answer, where nothing waited for it.
    pub(super) later: Option<MaciesWord<'a>>,
}

/// A bucket's name, and where it is.
type RegionOf = (String, Result<String, AwsError>);

impl Engine<'_> {
    /// Reads what the policy needs, with lease and release side by side, and decides.
    pub(super) async fn look<'a>(
        &'a self,
        event: &Event<'_>,
        target: &Target,
        lease: bool,
        stop: Option<Stop>,
    ) -> Result<Look<'a>, EngineError> {
        let finding = &*event.finding;
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
            false => self.wanted(finding, target, now),
        };
        let kinds: Vec<_> = wanted.settings.into_iter().collect();
        // Asked in any case, before a Deny can cost Macie its view. A run that only observes has time to wait for it.
        let about_data = !blind && matches!(target, Target::Bucket(bucket) if !bucket.directory);
        let word = about_data.then(|| self.macies_word(&guess));
        let (now_word, later) = match wanted.sensitivity || !lease {
            true => (word, None),
            false => (None, word),
        };
        let see = || async {
            futures_util::join!(
                self.released(finding, &guess, lease),
                self.exceeded(event, target, lease),
                observe::observe_at_home(self.aws, &guess, &kinds)
            )
        };
        let everything = async {
            futures_util::join!(
                self.regions(&guess, &wanted.log_targets),
                self.lease(finding, &guess, lease && !blind),
                see(),
                OptionFuture::from(self.policy_stands.clone()),
                event.verification.clone(),
                event.memberships.clone(),
                OptionFuture::from(now_word)
            )
        };
        let (regions, held, mut seen, stands, reread, memberships, macie) =
            beside(later.clone(), everything).await;
        let lease = held?;
        // Whoever held the target may have contained it since, or put it back.
        if lease.as_ref().is_some_and(|lease| lease.contended) {
            seen = beside(later.clone(), see()).await;
        }
        let (released, exceeded, observed) = seen;
        let (finding, guardduty) = self.verified(&event.finding, reread);
        let look = async {
            if stands == Some(false) {
                return Err(EngineError::PolicyReplaced);
            }
            if self.operator.is_none() {
                stops.extend(released?);
                stops.extend(exceeded?);
            }
            let mut out_of_sight = false;
            let (mut observed, place) = match observed {
                Ok(seen) => seen,
                Err(error) if error.meaning == Meaning::BucketGone => {
                    let why = format!(
                        "{error}; there is nothing left to contain, and the deletion may be part of the attack"
                    );
                    stops.insert(0, Stop::new(Guard::BucketGone, why));
                    out_of_sight = true;
                    (Settings::default(), guess)
                }
                // Nothing that happens by itself will let us in, so that a retry would tell nobody anything.
                Err(error) if error.meaning == Meaning::NotLetIn => {
                    let why = format!(
                        "the target belongs to account {}, and Portcullis cannot act there: {error}",
                        guess.account
                    );
                    tracing::error!(
                        account = guess.account,
                        finding_id = finding.id,
                        why,
                        "the member role could not be assumed"
                    );
                    stops.insert(0, Stop::new(Guard::OtherAccount, why));
                    out_of_sight = true;
                    (Settings::default(), guess)
                }
                Err(error) => return Err(EngineError::Observe(error)),
            };
            let is_newer = !Arc::ptr_eq(&finding, &event.finding);
            if is_newer && !blind && !out_of_sight {
                let kinds = self.wanted(&finding, target, (self.clock)()).settings;
                self.observe_more(kinds, &place, &mut observed).await?;
            }
            let enrichment = Enrichment {
                macie,
                guardduty,
                log_targets: seen_from(&place, regions),
                memberships,
            };
            let mut decided = self.decide(&finding, target, &observed, &enrichment, &stops);
            // The account's flags can have S3 refuse a policy that is still public. They are read only where that matters,
            // for they are another service's to tell.
            let kind = SettingKind::AccountPublicAccessBlock;
            if decided.1.plan.leaves_a_policy_public() && observed.get(kind).is_none() {
                self.observe_more(BTreeSet::from([kind]), &place, &mut observed)
                    .await?;
                decided = self.decide(&finding, target, &observed, &enrichment, &stops);
            }
            let record = self.record(&finding, target, &observed, &enrichment, decided);
            Ok((record, observed, enrichment, stops, place))
        };
        match look.await {
            Ok((record, observed, enrichment, stops, place)) => Ok(Look {
                record,
                observed,
                enrichment,
                stops,
                policy_refused: false,
                place,
                lease,
                finding,
                later,
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

    /// The Regions of buckets.
    async fn regions(&self, place: &Place, names: &BTreeSet<String>) -> Vec<RegionOf> {
        let asked = names.iter().map(|name| async move {
            let region = aws::bucket_region(self.aws, place, name).await;
            (name.clone(), region)
        });
        join_all(asked).await
    }

    fn wanted(&self, finding: &Finding, target: &Target, now: Timestamp) -> Wanted {
        let own = self.own_at(finding, target);
        wanted(
            finding,
            target,
            self.policy,
            &own,
            self.operator.is_some(),
            now,
        )
    }

    /// Reads those of `kinds` that were not read.
    async fn observe_more(
        &self,
        kinds: BTreeSet<SettingKind>,
        place: &Place,
        observed: &mut Settings,
    ) -> Result<(), EngineError> {
        let missing: Vec<_> = kinds
            .into_iter()
            .filter(|kind| observed.get(*kind).is_none())
            .collect();
        let more = observe::observe(self.aws, place, &missing).await;
        observed.0.extend(more.map_err(EngineError::Observe)?.0);
        Ok(())
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
        event: &Event<'_>,
        target: &Target,
        wanted: bool,
    ) -> Result<Option<Stop>, EngineError> {
        match self.hourly_limit().filter(|_| wanted) {
            None => Ok(None),
            Some(limit) => {
                let counted = target_digest(&event.finding, target);
                event.hour.exceeded(&counted, limit, (self.clock)()).await
            }
        }
    }
}

/// Where buckets are, seen from a bucket whose own Region may have been only guessed when it was asked.
fn seen_from(place: &Place, regions: Vec<RegionOf>) -> BTreeMap<String, LogTarget> {
    let seen = regions.into_iter().map(|(name, region)| {
        let target = match region {
            Ok(region) if region == place.region => LogTarget::SameRegion,
            Ok(region) => LogTarget::OtherRegion(region),
            Err(error) => LogTarget::Unknown(error.to_string()),
        };
        (name, target)
    });
    seen.collect()
}
