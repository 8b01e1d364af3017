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
/// guess is wrong.
pub(super) async fn observe_at_home(
    aws: &Aws,
    guess: &Place,
    kinds: &[SettingKind],
) -> Result<(Settings, Place), AwsError> {
    match observe(aws, guess, kinds).await {
        Err(AwsError {
            meaning: Meaning::OtherRegion(Some(region)),
            ..
        }) => {
            let place = Place {
                region,
                ..guess.clone()
            };
            Ok((observe(aws, &place, kinds).await?, place))
        }
        other => Ok((other?, guess.clone())),
    }
}
