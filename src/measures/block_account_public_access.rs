//! `block-account-public-access`: the account's four flags. Every public bucket of the account closes.

use super::block_public_access::turn_on;
use super::{Context, Disposition, Flag, Info, Stop, Tactic};
use crate::settings::{SettingKind, Settings};

pub(super) const INFO: Info = Info {
    name: "block-account-public-access",
    tactic: Tactic::Harden,
    disposition: Disposition::Disruptive,
    reads: &[SettingKind::AccountPublicAccessBlock],
    amends: &[SettingKind::AccountPublicAccessBlock],
    actions: &[
        "s3:GetAccountPublicAccessBlock",
        "s3:PutAccountPublicAccessBlock",
    ],
    summary: "turns on all four Block Public Access flags of the account, which closes every public bucket in it",
};

pub(super) fn amend(_: &Context, desired: &mut Settings) -> Result<Vec<String>, Stop> {
    turn_on(SettingKind::AccountPublicAccessBlock, &Flag::all(), desired)
}
