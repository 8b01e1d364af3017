//! What somebody else wrote to a target on which something was contained: looked at as soon as CloudTrail tells of it, so
//! that nobody waits for the next sweep.

use std::collections::BTreeSet;

use futures_util::{FutureExt, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::Serialize;

use super::since::UNDO;
use super::stored::read;
use super::sweep::Occasion;
use super::{AT_ONCE, Engine, EngineError, evidence, observe, standing};
use crate::aws::{Meaning, Place};
use crate::finding::{Target, TrailEvent};
use crate::overwritten::{Overwritten, Write, overwritten};
use crate::record::{Record, RunResult, VERSION, digest_of, first_id};
use crate::settings::{Setting, SettingKind, passes};
use crate::store::{self, RECORDS, STANDING};
use crate::sweep::{Sweep, Swept, SweptState};

/// How often a target is looked at that somebody goes on working on.
const LOOKS: usize = 3;

/// What became of an event of CloudTrail.
#[derive(Debug)]
pub enum Followed {
    /// There was nothing to look at, and why.
    LeftAlone(String),
    /// What was contained there was looked after, as a sweep does.
    Looked(Sweep),
}

/// What somebody wrote and we wrote over, kept whole.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Kept<'a> {
    version: u32,
    /// CloudTrail's id of their call.
    event: &'a str,
    call: &'a str,
    by: &'a str,
    at: Timestamp,
    account: &'a str,
    bucket: &'a str,
    /// The record whose write it fell into.
    record: &'a str,
    /// None where the policy could not be read.
    lost: Option<Overwritten>,
    /// Their policy, whole; none where they had deleted it.
    policy: Option<&'a str>,
}

impl Engine<'_> {
    /// Looks whether what somebody wrote undid a containment, or was itself written over by one. With `acts` false no bucket
    /// is written to.
    pub async fn follow(&self, event: &TrailEvent, acts: bool) -> Result<Followed, EngineError> {
        let place = Place::of_target(&event.target, &event.region, &event.partition);
        let name = place.name();
        if let Some(code) = &event.error {
            let why = format!("{} on {name} was refused with {code}", event.name);
            return Ok(Followed::LeftAlone(why));
        }
        if self.is_our_own(event, &place) {
            let why = format!(
                "own-activity: {} on {name} was Portcullis's own",
                event.name
            );
            return Ok(Followed::LeftAlone(why));
        }
        let target = digest_of(&event.partition, &event.target);
        let undone = format!("{RECORDS}{UNDO}");
        let listed = futures_util::try_join!(self.store.list(STANDING), self.store.list(&undone));
        let (marks, undone) = listed.map_err(EngineError::Store)?;
        let is_of_target = |id: &str| first_id(id).ends_with(&format!("-{target}"));
        let ids = |keys: &[String], prefix: &str| -> BTreeSet<String> {
            let ids = keys.iter().filter_map(|key| {
                let id = key.strip_prefix(prefix)?.strip_suffix(".json")?;
                is_of_target(id).then(|| id.to_owned())
            });
            ids.collect()
        };
        let marks = ids(&marks, STANDING);
        let mut undone = ids(&undone, RECORDS);
        undone.retain(|id| !id.ends_with(".result"));
        if marks.is_empty() && undone.is_empty() {
            let why = format!("nothing was ever contained on {name}");
            return Ok(Followed::LeftAlone(why));
        }
        let lease = store::lease_key(&place.account, place.bucket.as_deref())?;
        let mut free = self.until_free(&lease).await?;
        // It comes first: what fails here comes again, and nothing of what the look does is then untold.
        let hidden = Box::pin(self.written_over(event, &place, &marks, &undone)).await?;
        let looks = Occasion {
            acts: false,
            event: Some(event),
        };
        let mut looked = None;
        for _ in 0..LOOKS {
            let mut stands = standing::list(self.store)
                .await
                .map_err(EngineError::Store)?;
            stands.retain(|id| is_of_target(id));
            let (found, left) = self.look_after_all(&stands, &looks).await;
            let now = store::lease_etag(self.store, &lease).await;
            if found.is_empty() || now.map_err(EngineError::Store)? == free {
                looked = Some((stands.len(), found, left));
                break;
            }
            // Whoever was at work meanwhile had perhaps not yet done what looked undone.
            free = self.until_free(&lease).await?;
        }
        let (standing, mut found, mut left) = looked.ok_or(EngineError::Unstable)?;
        if acts && !found.is_empty() {
            let ids: Vec<String> = found.into_iter().map(|(id, _)| id).collect();
            let occasion = Occasion { acts, ..looks };
            (found, left) = self.look_after_all(&ids, &occasion).await;
        }
        let found = found.into_iter().map(|(_, swept)| swept);
        Ok(Followed::Looked(Sweep {
            standing,
            found: hidden.into_iter().chain(found).collect(),
            left,
            ..Sweep::default()
        }))
    }

    /// Whoever is at work on the target is waited for, and not kept from it.
    async fn until_free(&self, lease: &str) -> Result<Option<String>, EngineError> {
        let now = (self.clock)();
        let left = self.deadline.duration_since(now);
        let wait_until = now.saturating_add(left / 3).unwrap_or(now);
        Ok(store::until_free(self.store, lease, wait_until, &self.clock).await?)
    }

    fn is_our_own(&self, event: &TrailEvent, place: &Place) -> bool {
        let own = self.aws.acting_as(self.own, place).principals;
        let is_own = |arn: &String| {
            let matches = |own: &String| wildmatch::WildMatch::new(own).matches(arn);
            own.iter().any(matches)
        };
        event.role.iter().chain([&event.by]).any(is_own)
    }

    /// What of theirs one of our writes hid, told and kept. Nothing of it is put back: whether a grant that somebody made in
    /// the middle of an incident should stand is for a person to say.
    async fn written_over(
        &self,
        event: &TrailEvent,
        guess: &Place,
        marks: &BTreeSet<String>,
        undone: &BTreeSet<String>,
    ) -> Result<Option<Swept>, EngineError> {
        let Target::Bucket(bucket) = &event.target else {
            return Ok(None);
        };
        if !event.is_of_policy() {
            return Ok(None);
        }
        let records = self.records_of(guess, marks, undone).await?;
        let writes = records
            .iter()
            .filter_map(|(record, result)| Write::of(record, result.as_ref()));
        let writes: Vec<Write> = writes.filter(|write| write.may_hide(event)).collect();
        let Some(last) = writes.last() else {
            return Ok(None);
        };
        let swept = |detail: Vec<String>| {
            let who = format!(
                "{} by {} at {}, in the moment in which Portcullis wrote the policy, too; S3 kept what came last",
                event.name, event.by, event.at
            );
            Swept {
                record: last.record.id.clone(),
                target: bucket.name.clone(),
                state: SweptState::Overwritten,
                detail: std::iter::once(who).chain(detail).collect(),
                undone: Vec::new(),
                kept: None,
                outcome: None,
                of: Some(Box::new(last.record.clone())),
            }
        };
        let kinds = [SettingKind::BucketPolicy];
        let now = match observe::observe_at_home(self.aws, guess, &kinds).await {
            Ok((now, _)) => now.get(SettingKind::BucketPolicy).cloned(),
            // The look at what stands there tells it.
            Err(error) if matches!(error.meaning, Meaning::BucketGone | Meaning::NotLetIn) => None,
            Err(error) => return Err(EngineError::Observe(error)),
        };
        let arn = bucket.arn(&event.partition, &event.region);
        let (what, lost) = match now {
            None => return Ok(None),
            _ if event.name == "PutBucketPolicy" && event.policy.is_none() => {
                let why = "CloudTrail's event is without the policy; compare what they meant to write with what is there";
                return Ok(Some(swept(vec![why.to_owned()])));
            }
            Some(Setting::Unreadable { operation, code }) if passes(&code) => {
                return Err(EngineError::Unanswered { operation, code });
            }
            Some(Setting::Unreadable { operation, code }) => {
                let why =
                    format!("whether theirs was lost is not known: {operation} answered {code}");
                (vec![why], None)
            }
            Some(now) => match overwritten(event, &writes, &now, &arn) {
                None => return Ok(None),
                Some(lost) => (lost.what.clone(), Some(lost)),
            },
        };
        let kept = Kept {
            version: VERSION,
            event: &event.id,
            call: &event.name,
            by: &event.by,
            at: event.at,
            account: &bucket.account,
            bucket: &bucket.name,
            record: &last.record.id,
            lost,
            policy: event.policy.as_ref().map(|policy| policy.text()),
        };
        let key = store::overwritten_key(&event.id)?;
        let mut bytes = serde_json::to_vec_pretty(&kept).unwrap_or_default();
        bytes.push(b'\n');
        let created = self.store.create(&key, &bytes).await;
        created.map_err(EngineError::Evidence)?;
        let how = "whoever writes it again begins with the policy as it is now, and keeps the statements of Portcullis";
        let detail = what.into_iter().chain([how.to_owned()]);
        Ok(Some(Swept {
            kept: Some(self.store.place(&key)),
            ..swept(detail.collect())
        }))
    }

    /// The records of what was contained and undone on a target, in the order of their writes, with what became of them.
    async fn records_of(
        &self,
        place: &Place,
        marks: &BTreeSet<String>,
        undone: &BTreeSet<String>,
    ) -> Result<Vec<(Record, Option<RunResult>)>, EngineError> {
        let firsts: BTreeSet<&str> = marks.iter().map(|id| first_id(id)).collect();
        let contained = firsts
            .into_iter()
            .map(|first| evidence::attempts(self.store, first).boxed());
        let undone = undone.iter().map(|id| self.undoing(id).boxed());
        let records: Vec<Vec<(Record, Option<RunResult>)>> =
            futures_util::stream::iter(contained.chain(undone))
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
        let mut records: Vec<(Record, Option<RunResult>)> = records.concat();
        // The digest in an id is a short one.
        records.retain(|(record, _)| {
            let of = Place::of(&record.finding, &record.target);
            (of.bucket, of.account) == (place.bucket.clone(), place.account.clone())
        });
        records.sort_by_key(|(record, _)| record.at);
        Ok(records)
    }

    async fn undoing(&self, id: &str) -> Result<Vec<(Record, Option<RunResult>)>, EngineError> {
        let record: Option<Record> = read(self.store, &store::record_key(id)?).await?;
        let result = read(self.store, &store::result_key(id)?).await?;
        Ok(record.map(|record| (record, result)).into_iter().collect())
    }
}
