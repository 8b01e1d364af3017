//! A target's lease: one containment or rollback at a time writes to a bucket, because S3's bucket
//! configuration has no conditional writes of its own and the last writer would win silently.
//!
//! A lease expires by itself, so that a crashed invocation blocks nobody for long. Releasing it
//! writes it back as released instead of deleting it: the program then needs no permission to
//! delete, and the store's versions tell who held what.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

use super::backoff::pause;
use super::{Claim, Object, Replaced, Store, StoreError};

const VERSION: u32 = 1;
/// How far two clocks may be apart. The holder stops at the expiry, others wait this much longer.
const GRACE: SignedDuration = SignedDuration::from_secs(5);
/// No lease is longer, so one that claims to be was not written by a sound program or clock.
const LONGEST_TTL: SignedDuration = SignedDuration::from_hours(1);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A lease that we hold, until it expires or is released.
#[derive(Debug)]
#[must_use = "a lease that is not released blocks its target until it expires"]
pub struct Lease {
    /// The key of the lease.
    pub key: String,
    /// When it ends by itself.
    pub expires: Timestamp,
    /// Who holds it: us.
    pub holder: String,
    /// Whether somebody else had it after it was asked for, or just before. What was seen of the target while it was being
    /// acquired may then be old.
    pub contended: bool,
    etag: String,
    content: Content,
}

/// What is asked of [`acquire`].
#[derive(Debug, Clone)]
pub struct LeaseRequest<'a> {
    /// From [`lease_key`](super::lease_key).
    pub key: String,
    /// Unique to this invocation: Lambda's request id is not, its retries keep it.
    pub holder: &'a str,
    /// The finding on whose account the lease is asked for, shown to whoever has to wait.
    pub finding: &'a str,
    /// How long the lease lasts; at most an hour.
    pub ttl: SignedDuration,
    /// When to stop waiting for another holder.
    pub wait_until: Timestamp,
}

/// A lease that has expired and that nobody gave back: its run was cut off.
#[derive(Debug)]
pub struct LeftOver {
    /// The key of the lease.
    pub key: String,
    /// The finding that it was held for.
    pub finding: String,
    /// Since when.
    pub since: Timestamp,
    /// When it expired.
    pub expired: Timestamp,
    etag: String,
    content: Content,
}

/// What became of a lease that was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// The next one may have it.
    Done,
    /// It had expired and somebody took it over: what we wrote since may have met their writes.
    Lost,
}

/// Why there is no lease.
#[derive(Debug, Error)]
pub enum LeaseError {
    /// Another invocation holds it.
    #[error(
        "the lease {place} is held for finding {finding:?} since {since} and expires at {expires}; \
         try again after that"
    )]
    Held {
        /// Where the lease is.
        place: String,
        /// The finding that it is held for.
        finding: String,
        /// Since when.
        since: Timestamp,
        /// When it expires.
        expires: Timestamp,
    },
    /// What is there is no lease of ours, and too young to be ignored, or of unknown age.
    #[error(
        "the lease {place} cannot be understood ({problem}), so it counts as held; look at it, and \
         delete it if nothing is at work on that target"
    )]
    Unreadable {
        /// Where the lease is.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes the lease of a target: creates it, or takes over one that was released or has expired, or
/// waits for its holder until `wait_until`.
pub async fn acquire(
    store: &Store,
    request: LeaseRequest<'_>,
    clock: &impl Fn() -> Timestamp,
) -> Result<Lease, LeaseError> {
    let mut waits = 0;
    let mut contended = false;
    let asked = clock();
    let mut found = None;
    loop {
        // The expiry counts from before the write, so that it can only be too early for us.
        let now = clock();
        let content = Content::new(&request, now);
        let bytes = content.bytes();
        // Creating comes first: most targets are contained once, and then it is the only call.
        let current = match found.take() {
            Some(object) => object,
            None => match store.create_or_read(&request.key, &bytes).await? {
                Claim::Done { etag } => return Ok(content.lease(request.key, etag, contended)),
                Claim::Taken(object) => object,
            },
        };
        contended |= current.modified.is_none_or(|at| later(at, GRACE) > asked);
        match obstacle(store, &request.key, request.ttl, &current, now) {
            None => match store.replace(&request.key, &bytes, &current.etag).await? {
                Replaced::Done { etag } => return Ok(content.lease(request.key, etag, contended)),
                // Another taker was faster. Each such round is somebody's success, so it ends.
                Replaced::Changed => {}
            },
            Some(obstacle) if now >= request.wait_until => return Err(obstacle),
            Some(_) => wait(&mut waits, now, request.wait_until).await,
        }
        contended = true;
        found = store.get(&request.key).await?;
    }
}

/// Waits until nobody holds the lease of a key, and takes it from nobody. What is returned is its ETag then, none where there
/// is no lease: as long as [`etag`] says the same, nobody has held it since.
pub async fn until_free(
    store: &Store,
    key: &str,
    wait_until: Timestamp,
    clock: &impl Fn() -> Timestamp,
) -> Result<Option<String>, LeaseError> {
    let mut waits = 0;
    loop {
        let now = clock();
        let Some(current) = store.get(key).await? else {
            return Ok(None);
        };
        match obstacle(store, key, LONGEST_TTL, &current, now) {
            None => return Ok(Some(current.etag)),
            Some(obstacle) if now >= wait_until => return Err(obstacle),
            Some(_) => wait(&mut waits, now, wait_until).await,
        }
    }
}

/// The ETag of the lease of a key; none where there is no lease.
pub async fn etag(store: &Store, key: &str) -> Result<Option<String>, StoreError> {
    let object = store.get(key).await?;
    Ok(object.map(|object| object.etag))
}

/// The lease of a key, if it is left over. One that cannot be understood is not ours to give back.
pub async fn left_over(
    store: &Store,
    key: &str,
    now: Timestamp,
) -> Result<Option<LeftOver>, StoreError> {
    let Some(object) = store.get(key).await? else {
        return Ok(None);
    };
    let content = Content::read(&object, now).ok();
    let content = content.filter(|lease| !lease.released && now >= later(lease.expires, GRACE));
    Ok(content.map(|content| LeftOver {
        key: key.to_owned(),
        finding: content.finding.clone(),
        since: content.acquired,
        expired: content.expires,
        etag: object.etag,
        content,
    }))
}

impl LeftOver {
    /// Gives the lease back in the name of the run that is no more.
    pub async fn release(self, store: &Store) -> Result<Released, StoreError> {
        give_back(store, &self.key, self.content, &self.etag).await
    }
}

impl Lease {
    /// Gives the lease back. One that was lost is not an error, but is worth a word in the record.
    pub async fn release(self, store: &Store) -> Result<Released, StoreError> {
        give_back(store, &self.key, self.content, &self.etag).await
    }

    /// Whether the lease is still ours at that time. Ask before every write to the target.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}

impl LeaseError {
    /// Whether the same call may well succeed later, with nothing changed by anybody.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Held { .. } => true,
            Self::Unreadable { .. } => false,
            Self::Store(error) => error.is_transient(),
        }
    }
}

/// The lease as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Content {
    version: u32,
    holder: String,
    finding: String,
    acquired: Timestamp,
    expires: Timestamp,
    released: bool,
}

impl Content {
    fn new(request: &LeaseRequest<'_>, now: Timestamp) -> Self {
        let ttl = request.ttl.clamp(SignedDuration::ZERO, LONGEST_TTL);
        Self {
            version: VERSION,
            holder: request.holder.to_owned(),
            finding: request.finding.to_owned(),
            acquired: now,
            expires: later(now, ttl),
            released: false,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        json!(self).to_string().into_bytes()
    }

    fn lease(self, key: String, etag: String, contended: bool) -> Lease {
        Lease {
            key,
            expires: self.expires,
            holder: self.holder.clone(),
            contended,
            etag,
            content: self,
        }
    }

    /// The content of a lease file, or why it is none that a sound program wrote.
    fn read(object: &Object, now: Timestamp) -> Result<Self, String> {
        // The version comes first: what another one holds may have another shape.
        let value: serde_json::Value =
            serde_json::from_slice(&object.bytes).map_err(|e| format!("it is no JSON: {e}"))?;
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        if version != Some(u64::from(VERSION)) {
            return Err(format!("it is not of version {VERSION}"));
        }
        let content: Self = serde_json::from_value(value).map_err(|e| e.to_string())?;
        // One that was given back is over, whatever its holder's clock said.
        if !content.released && content.expires > later(later(now, LONGEST_TTL), GRACE) {
            return Err(format!("it claims to last until {}", content.expires));
        }
        Ok(content)
    }
}

/// A pause before the next look at a lease that somebody holds, and none that goes on after `until`.
async fn wait(waits: &mut u32, now: Timestamp, until: Timestamp) {
    let left = until.duration_since(now).unsigned_abs();
    tokio::time::sleep(pause(*waits, FIRST_PAUSE, LONGEST_PAUSE).min(left)).await;
    *waits = waits.saturating_add(1);
}

/// What keeps us from taking over a lease, or nothing.
///
/// A file that cannot be understood may be the live lease of a newer program, or rubbish. It counts
/// as held for as long as a lease of ours would last, by the store's own record of its age, and not
/// for ever: a broken file must not keep a bucket from being contained. Where the age is unknown, a
/// person has to look.
fn obstacle(
    store: &Store,
    key: &str,
    ttl: SignedDuration,
    current: &Object,
    now: Timestamp,
) -> Option<LeaseError> {
    let place = || store.place(key);
    match Content::read(current, now) {
        Ok(lease) if lease.released || now >= later(lease.expires, GRACE) => None,
        Ok(lease) => Some(LeaseError::Held {
            place: place(),
            finding: lease.finding,
            since: lease.acquired,
            expires: lease.expires,
        }),
        Err(problem) => {
            let ttl = ttl.clamp(SignedDuration::ZERO, LONGEST_TTL);
            let over = |modified| now >= later(later(modified, ttl), GRACE);
            if current.modified.is_some_and(over) {
                return None;
            }
            Some(LeaseError::Unreadable {
                place: place(),
                problem,
            })
        }
    }
}

async fn give_back(
    store: &Store,
    key: &str,
    content: Content,
    etag: &str,
) -> Result<Released, StoreError> {
    let bytes = Content {
        released: true,
        ..content
    }
    .bytes();
    Ok(match store.replace(key, &bytes, etag).await? {
        Replaced::Done { .. } => Released::Done,
        Replaced::Changed => Released::Lost,
    })
}

fn later(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}
