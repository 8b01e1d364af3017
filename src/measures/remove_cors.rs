//! `remove-cors`: the rules by which web pages of other origins use the bucket. It stops browsers, and nobody else.

use super::setting::{general_purpose, xml};
use super::{Context, Disposition, Info, Stop, Tactic};
use crate::settings::{Setting, SettingKind, Settings};

pub(super) const INFO: Info = Info {
    name: "remove-cors",
    tactic: Tactic::Harden,
    disposition: Disposition::Disruptive,
    reads: &[SettingKind::Cors],
    amends: &[SettingKind::Cors],
    // DeleteBucketCors has no action of its own.
    actions: &["s3:GetBucketCORS", "s3:PutBucketCORS"],
    summary: "removes the CORS rules, so that browsers no longer let web pages of other origins use the bucket",
};

pub(super) fn amend(context: &Context, desired: &mut Settings) -> Result<Vec<String>, Stop> {
    general_purpose(context, SettingKind::Cors)?;
    xml(SettingKind::Cors, desired)?;
    desired.0.insert(SettingKind::Cors, Setting::Absent);
    Ok(Vec::new())
}
