//! `block-account-public-access`: the account's four flags. Every public bucket of the account closes.

use super::block_public_access::turn_on;
use super::directory::is_directory;
use super::{Context, Disposition, Flag, Info, Stop, Tactic};
use crate::guard::Guard;
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

pub(super) fn amend(context: &Context, desired: &mut Settings) -> Result<Vec<String>, Stop> {
    if is_directory(context) {
        let why =
            "a directory bucket always blocks public access, whatever the flags of the account are";
        return Err(Stop::new(Guard::DirectoryBucket, why));
    }
    turn_on(
        SettingKind::AccountPublicAccessBlock,
        &Flag::all(),
        context,
        desired,
    )
}
