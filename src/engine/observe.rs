//! Reads of a target, all at once.

use futures_util::FutureExt;
use futures_util::future::try_join_all;

use crate::aws::{self, Aws, AwsError, Meaning, Place};
use crate::settings::{SettingKind, Settings};

/// Reads the settings of a target.
pub(super) async fn observe(
    aws: &Aws,
    place: &Place,
    kinds: &[SettingKind],
) -> Result<Settings, AwsError> {
    let reads = kinds
        .iter()
        .map(|kind| async move { Ok((*kind, aws::read(aws, place, *kind).await?)) }.boxed());
    Ok(Settings(try_join_all(reads).await?.into_iter().collect()))
}

/// Reads the settings of a target whose Region is only guessed, and returns where it is: S3 names the right Region when the
/// guess is wrong, if not in the refusal, then to a HEAD. The role of another account is assumed first, for what follows
/// if it cannot be.
pub(super) async fn observe_at_home(
    aws: &Aws,
    guess: &Place,
    kinds: &[SettingKind],
) -> Result<(Settings, Place), AwsError> {
    if !kinds.is_empty() {
        aws.enter(guess).await?;
    }
    let refused = match observe(aws, guess, kinds).await {
        Ok(settings) => return Ok((settings, guess.clone())),
        Err(error) => error,
    };
    let named = match (&refused.meaning, &guess.bucket) {
        (Meaning::OtherRegion(Some(region)), _) => region.clone(),
        (Meaning::OtherRegion(None), Some(bucket)) => aws::bucket_region(aws, guess, bucket)
            .await
            .map_err(|_| refused.clone())?,
        _ => return Err(refused),
    };
    if named == guess.region {
        return Err(refused);
    }
    let place = Place {
        region: named,
        ..guess.clone()
    };
    Ok((observe(aws, &place, kinds).await?, place))
}
