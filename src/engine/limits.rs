//! The blast radius: how many targets were contained in the last hour, counted in the store, so that it holds across
//! invocations that run side by side.

use std::collections::BTreeSet;

use futures_util::future::try_join;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::EngineError;
use crate::guard::Guard;
use crate::measures::Stop;
use crate::record::compact;
use crate::store::{ACTIVITY, Store, StoreError, activity_key};

const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// The part of a mark's time that names its hour: `20260301T10`.
const HOUR: usize = 11;

/// Marks that a target is about to be contained. The mark goes with the evidence, before the first write: what is cut off
/// after it counts.
pub(super) async fn mark(
    store: &Store,
    target: &str,
    run: &str,
    now: Timestamp,
) -> Result<(), EngineError> {
    let key = activity_key(&compact(now), target)?;
    let mark = format!("{{\"version\": 1, \"run\": \"{run}\"}}\n");
    // A mark that is there already says the same.
    store
        .create(&key, mark.as_bytes())
        .await
        .map(drop)
        .map_err(EngineError::Evidence)
}

/// The reason to hold a target back, where others have used up the limit within the last hour. A target that is among them
/// does not count twice: a retry must be able to finish what was begun.
pub(super) async fn exceeded(
    store: &Store,
    target: &str,
    limit: u32,
    now: Timestamp,
) -> Result<Option<Stop>, StoreError> {
    let since = now.saturating_sub(WINDOW).unwrap_or(now);
    let hour = |at: Timestamp| format!("{ACTIVITY}{}", &compact(at)[..HOUR]);
    let (earlier, later) = try_join(store.list(&hour(since)), store.list(&hour(now))).await?;
    let others: BTreeSet<&str> = earlier
        .iter()
        .chain(&later)
        .filter_map(|key| parse(key))
        .filter(|(at, other)| *at > since && *other != target)
        .map(|(_, other)| other)
        .collect();
    Ok((others.len() >= limit as usize).then(|| {
        let why = format!(
            "{} targets were contained within the last hour and limits.buckets-per-hour is {limit}; if this is right too, \
             carry it out by hand: portcullis apply",
            others.len()
        );
        Stop::new(Guard::BlastRadius, why)
    }))
}

fn parse(key: &str) -> Option<(Timestamp, &str)> {
    let (time, target) = key
        .strip_prefix(ACTIVITY)?
        .strip_suffix(".json")?
        .split_once('-')?;
    let civil = DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
    Some((TimeZone::UTC.to_timestamp(civil).ok()?, target))
}
