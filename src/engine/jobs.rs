//! What outlasts a run beside its containment: Macie's jobs, whose end is told once, and leases that nobody gave back.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::stored::read;
use super::sweep::RESERVE;
use super::{Engine, EngineError};
use crate::aws::{Place, discovery, macie};
use crate::classification::sensitivity;
use crate::record::{Record, VERSION};
use crate::store::{JOBS, Released, Store, StoreError, job_ended_key, job_key, left_over};
use crate::sweep::{JobSeen, JobState, LeaseLeft};

/// Leases and jobs that are looked at at the same time.
const AT_ONCE: usize = 8;
/// Macie keeps what it found for 90 days; a job that cannot be asked about for longer is not waited for.
const PATIENCE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A Macie job whose end is awaited.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Awaited {
    version: u32,
    job: String,
    at: Timestamp,
    record: String,
    finding: String,
    partition: String,
    account: String,
    region: String,
    bucket: String,
}

/// That it has ended, and how.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Ended {
    version: u32,
    job: String,
    at: Timestamp,
    state: JobState,
}

/// Marks that the end of a job is awaited. A job that two findings asked for is awaited once.
pub(super) async fn mark(
    store: &Store,
    job: &str,
    record: &Record,
    place: &Place,
) -> Result<(), EngineError> {
    let awaited = Awaited {
        version: VERSION,
        job: job.to_owned(),
        at: record.at,
        record: record.id.clone(),
        finding: record.finding.id.clone(),
        partition: place.partition.clone(),
        account: place.account.clone(),
        region: place.region.clone(),
        bucket: place.bucket().to_owned(),
    };
    let bytes = serde_json::to_vec_pretty(&awaited).unwrap_or_default();
    let created = store.create(&job_key(job)?, &bytes).await;
    created.map(drop).map_err(EngineError::Store)
}

/// The jobs whose end was not told yet.
pub(super) async fn list(store: &Store) -> Result<Vec<String>, StoreError> {
    let keys = store.list(JOBS).await?;
    let id = |key: &str| Some(key.strip_prefix(JOBS)?.strip_suffix(".json")?.to_owned());
    let (ended, begun): (BTreeSet<String>, BTreeSet<String>) = keys
        .iter()
        .filter_map(|key| id(key))
        .partition(|id| id.ends_with(".ended"));
    let is_open = |job: &String| !ended.contains(&format!("{job}.ended"));
    Ok(begun.into_iter().filter(is_open).collect())
}

impl Engine<'_> {
    /// How each job stands. With `acts` the end of one is marked, and is told no more.
    pub(super) async fn jobs_seen(&self, jobs: &[String], acts: bool) -> Vec<JobSeen> {
        let looks = jobs.iter().map(|job| async move {
            let left = self.deadline.duration_since((self.clock)());
            match left < RESERVE {
                true => None,
                false => Some(self.job_seen(job, acts).await),
            }
        });
        let seen: Vec<Option<JobSeen>> = futures_util::stream::iter(looks)
            .buffered(AT_ONCE)
            .collect()
            .await;
        seen.into_iter().flatten().collect()
    }

    async fn job_seen(&self, job: &str, acts: bool) -> JobSeen {
        match self.awaited(job).await {
            Ok(awaited) => self.look_at(awaited, acts).await,
            Err(error) => JobSeen {
                job: job.to_owned(),
                bucket: String::new(),
                account: String::new(),
                record: String::new(),
                finding: String::new(),
                state: JobState::Unknown,
                detail: error.to_string(),
                findings: None,
            },
        }
    }

    async fn look_at(&self, awaited: Awaited, acts: bool) -> JobSeen {
        let place = Place {
            partition: awaited.partition.clone(),
            account: awaited.account.clone(),
            region: awaited.region.clone(),
            bucket: Some(awaited.bucket.clone()),
        };
        let now = (self.clock)();
        // Only the session that another account's role gives can ask there.
        let state = match self.aws.enter(&place).await {
            Ok(()) => discovery::state(self.aws, &place, &awaited.job).await,
            Err(error) => Err(error),
        };
        let old = now.duration_since(awaited.at) > PATIENCE;
        let (state, mut detail) = match state {
            Ok(state) => (state, self.consequence(state, &place).await),
            Err(error) if old => (
                JobState::Unknown,
                format!("{error}; it is not waited for any longer"),
            ),
            Err(error) => (JobState::Unknown, error.to_string()),
        };
        let over = matches!(state, JobState::Complete | JobState::Cancelled) || old;
        if over && acts {
            let ended = Ended {
                version: VERSION,
                job: awaited.job.clone(),
                at: now,
                state,
            };
            let bytes = serde_json::to_vec_pretty(&ended).unwrap_or_default();
            let marked = match job_ended_key(&awaited.job) {
                Ok(key) => self
                    .store
                    .create(&key, &bytes)
                    .await
                    .map_err(EngineError::Store),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = marked {
                detail +=
                    &format!("; it will be told again, because that could not be noted: {error}");
            }
        }
        let findings = (state == JobState::Complete).then(|| {
            format!(
                "aws macie2 list-findings --region {} --finding-criteria \
                 '{{\"criterion\":{{\"classificationDetails.jobId\":{{\"eq\":[\"{}\"]}}}}}}'",
                awaited.region, awaited.job
            )
        });
        JobSeen {
            job: awaited.job,
            bucket: awaited.bucket,
            account: awaited.account,
            record: awaited.record,
            finding: awaited.finding,
            state,
            detail,
            findings,
        }
    }

    async fn consequence(&self, state: JobState, place: &Place) -> String {
        match state {
            JobState::Complete => {
                let said = sensitivity(Some(&macie::describe(self.aws, place).await));
                format!(
                    "the bucket's data now counts as {}: {}",
                    said.is, said.because
                )
            }
            JobState::Pending => "Macie is at work on it".to_owned(),
            JobState::Paused => {
                "somebody paused it; Macie cancels it after 30 days unless it is resumed".to_owned()
            }
            JobState::Cancelled => "it was cancelled before it had seen everything".to_owned(),
            JobState::Unknown => String::new(),
        }
    }

    async fn awaited(&self, job: &str) -> Result<Awaited, EngineError> {
        let key = job_key(job)?;
        let awaited = read(self.store, &key).await?;
        awaited.ok_or_else(|| EngineError::Unreadable {
            key,
            why: "it is gone".to_owned(),
        })
    }

    /// Leases that nobody gave back. With `acts` they are given back, and are told no more.
    pub(super) async fn leases_left(&self, keys: &[String], acts: bool) -> Vec<LeaseLeft> {
        let looks = keys.iter().map(|key| async move {
            let now = (self.clock)();
            match self.deadline.duration_since(now) < RESERVE {
                true => None,
                false => self.lease_left(key, acts, now).await,
            }
        });
        let left: Vec<Option<LeaseLeft>> = futures_util::stream::iter(looks)
            .buffered(AT_ONCE)
            .collect()
            .await;
        left.into_iter().flatten().collect()
    }

    /// They expire by themselves: one that cannot be read or given back now is for the next sweep.
    async fn lease_left(&self, key: &str, acts: bool, now: Timestamp) -> Option<LeaseLeft> {
        let lease = match left_over(self.store, key, now).await {
            Ok(lease) => lease?,
            Err(error) => {
                tracing::warn!(%error, "a lease could not be looked at");
                return None;
            }
        };
        let left = LeaseLeft {
            key: lease.key.clone(),
            finding: lease.finding.clone(),
            since: lease.since,
            expired: lease.expired,
            released: false,
        };
        let released = match acts {
            true => lease.release(self.store).await,
            false => return Some(left),
        };
        match released {
            Ok(Released::Done) => Some(LeaseLeft {
                released: true,
                ..left
            }),
            // Somebody has it again.
            Ok(Released::Lost) => None,
            Err(error) => {
                tracing::warn!(%error, "a lease could not be given back");
                Some(left)
            }
        }
    }
}
