//! The blast radius: which targets were contained in the last hour, kept in one object of the store.
//!
//! Every run changes that object by compare-and-swap, before its first write: two that begin in the same instant cannot both
//! take the last place.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Mutex, oneshot};

use super::EngineError;
use crate::guard::Guard;
use crate::measures::Stop;
use crate::record::VERSION;
use crate::store::{ACTIVITY_KEY, Created, Replaced, Store, pause};

const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// Each lost race is another run's place, so that a run loses some, and not for long.
const ATTEMPTS: u32 = 40;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The last hour, as one invocation knows it. Its targets take their places together, as many as wait: they do not race each
/// other, and hundreds of them need no hundreds of writes.
#[derive(Debug)]
pub(super) struct Hour<'a> {
    store: &'a Store,
    waiting: Mutex<Vec<Wish>>,
    seen: Mutex<Option<Seen>>,
}

/// A target that is about to be contained, and waits for its place.
#[derive(Debug)]
struct Wish {
    target: String,
    run: String,
    at: Timestamp,
    answer: oneshot::Sender<Option<Stop>>,
}

/// What was read or written last; no ETag where there is no object yet.
#[derive(Debug, Clone, Default)]
struct Seen {
    etag: Option<String>,
    contained: Contained,
}

/// The object as it is stored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Contained {
    version: u32,
    contained: Vec<Taken>,
}

/// A place of the hour, and the target that took it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Taken {
    at: Timestamp,
    target: String,
    run: String,
}

impl<'a> Hour<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self {
            store,
            waiting: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// The reason to hold a target back, where others have used up the limit within the last hour. A target that is among
    /// them does not count twice: a retry must be able to finish what was begun.
    pub(super) async fn exceeded(
        &self,
        target: &str,
        limit: u32,
        now: Timestamp,
    ) -> Result<Option<Stop>, EngineError> {
        let mut seen = self.seen.lock().await;
        let known = self.known(&mut seen).await?;
        Ok(known.contained.exceeded(target, limit, now))
    }

    /// Takes a place for a target that is about to be contained, or says why there is none. It goes with the evidence, before
    /// the first write: what is cut off after it counts. Without a limit there always is one.
    pub(super) async fn claim(
        &self,
        target: &str,
        run: &str,
        limit: Option<u32>,
        now: Timestamp,
    ) -> Result<Option<Stop>, EngineError> {
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.waiting.lock().await.push(Wish {
                target: target.to_owned(),
                run: run.to_owned(),
                at: now,
                answer,
            });
            let mut seen = self.seen.lock().await;
            // Whoever was here before took along all that waited, if nothing went wrong.
            let mut answer = answered.try_recv();
            if answer == Err(TryRecvError::Empty) {
                self.settle(&mut seen, limit).await?;
                answer = answered.try_recv();
            }
            if let Ok(stop) = answer {
                return Ok(stop);
            }
        }
    }

    /// Takes places for all that wait, with one write.
    async fn settle(&self, seen: &mut Option<Seen>, limit: Option<u32>) -> Result<(), EngineError> {
        let mut wishes: Vec<Wish> = Vec::new();
        for attempt in 0..ATTEMPTS {
            let known = self.known(seen).await?;
            wishes.append(&mut *self.waiting.lock().await);
            // Who has given up takes no place.
            wishes.retain(|wish| !wish.answer.is_closed());
            let mut contained = known.contained.clone();
            let mut stops = Vec::new();
            for wish in &wishes {
                let stop = limit.and_then(|limit| contained.exceeded(&wish.target, limit, wish.at));
                if stop.is_none() {
                    contained = contained.with(&wish.target, &wish.run, wish.at);
                }
                stops.push(stop);
            }
            if stops.iter().any(Option::is_none) {
                let bytes = serde_json::to_vec_pretty(&contained).unwrap_or_default();
                let written = match &known.etag {
                    None => match self.store.create(ACTIVITY_KEY, &bytes).await {
                        Ok(Created::Done { etag }) => Ok(Some(etag)),
                        Ok(Created::Exists) => Ok(None),
                        Err(error) => Err(error),
                    },
                    Some(etag) => match self.store.replace(ACTIVITY_KEY, &bytes, etag).await {
                        Ok(Replaced::Done { etag }) => Ok(Some(etag)),
                        Ok(Replaced::Changed) => Ok(None),
                        Err(error) => Err(error),
                    },
                };
                *seen = None;
                let Some(etag) = written.map_err(EngineError::Evidence)? else {
                    tokio::time::sleep(pause(attempt, FIRST_PAUSE, LONGEST_PAUSE)).await;
                    continue;
                };
                let etag = Some(etag);
                *seen = Some(Seen { etag, contained });
            }
            for (wish, stop) in wishes.into_iter().zip(stops) {
                // Who does not wait any more needs no answer; the place counts all the same.
                let _ = wish.answer.send(stop);
            }
            return Ok(());
        }
        Err(EngineError::Unstable)
    }

    async fn known(&self, seen: &mut Option<Seen>) -> Result<Seen, EngineError> {
        if let Some(known) = seen {
            return Ok(known.clone());
        }
        let object = self.store.get(ACTIVITY_KEY).await;
        let known = match object.map_err(EngineError::Store)? {
            None => Seen::default(),
            Some(object) => Seen {
                contained: serde_json::from_slice(&object.bytes).map_err(|error| {
                    EngineError::Unreadable {
                        key: ACTIVITY_KEY.to_owned(),
                        why: error.to_string(),
                    }
                })?,
                etag: Some(object.etag),
            },
        };
        *seen = Some(known.clone());
        Ok(known)
    }
}

impl Contained {
    fn exceeded(&self, target: &str, limit: u32, now: Timestamp) -> Option<Stop> {
        let others = self.within(now).filter(|place| place.target != target);
        let others = others.count();
        (others >= limit as usize).then(|| {
            let why = format!(
                "{others} targets were contained within the last hour and limits.buckets-per-hour is {limit}; if this is right \
                 too, carry it out by hand: portcullis apply"
            );
            Stop::new(Guard::BlastRadius, why)
        })
    }

    /// The same with the target, and without those that count no more.
    fn with(&self, target: &str, run: &str, now: Timestamp) -> Self {
        let others = self.within(now).filter(|place| place.target != target);
        let own = Taken {
            at: now,
            target: target.to_owned(),
            run: run.to_owned(),
        };
        Self {
            version: VERSION,
            contained: others.cloned().chain([own]).collect(),
        }
    }

    fn within(&self, now: Timestamp) -> impl Iterator<Item = &Taken> {
        let since = now.saturating_sub(WINDOW).unwrap_or(now);
        self.contained.iter().filter(move |place| place.at > since)
    }
}
