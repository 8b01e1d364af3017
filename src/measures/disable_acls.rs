//! `disable-acls`: BucketOwnerEnforced, under which S3 ignores the ACLs of the bucket and of every object in it.

use super::bystanders::log_target;
use super::setting::{general_purpose, set_xml, unreadable, xml};
use super::{Context, Disposition, Info, Stop, Tactic};
use crate::classification::delivery_by_acl;
use crate::guard::Guard;
use crate::settings::{Document, Grant, SettingKind, Settings, XmlDocument};

pub(super) const INFO: Info = Info {
    name: "disable-acls",
    tactic: Tactic::Harden,
    disposition: Disposition::Disruptive,
    reads: &[
        SettingKind::Acl,
        SettingKind::OwnershipControls,
        SettingKind::PublicAccessBlock,
        SettingKind::AccountPublicAccessBlock,
    ],
    amends: &[SettingKind::Acl, SettingKind::OwnershipControls],
    actions: &[
        "s3:GetAccountPublicAccessBlock",
        "s3:GetBucketAcl",
        "s3:GetBucketOwnershipControls",
        "s3:GetBucketPublicAccessBlock",
        "s3:PutBucketAcl",
        "s3:PutBucketOwnershipControls",
    ],
    summary: "makes the access control list private and has S3 ignore those of all objects (BucketOwnerEnforced)",
};

const ENFORCED: &str = "BucketOwnerEnforced";

pub(super) fn amend(context: &Context, desired: &mut Settings) -> Result<Vec<String>, Stop> {
    general_purpose(context, SettingKind::OwnershipControls)?;
    let controls = xml(SettingKind::OwnershipControls, desired)?;
    let rule = controls
        .as_ref()
        .and_then(|controls| controls.root().child("Rule"));
    if rule.is_some_and(|rule| rule.value("ObjectOwnership") == ENFORCED) {
        // S3 refuses any change of the ACL from then on: 400 AccessControlListNotSupported.
        return Ok(Vec::new());
    }
    let acl = desired.acl().map_err(unreadable)?.clone();
    if acl.owner.is_empty() {
        let why = "the access control list names no owner";
        return Err(Stop::new(Guard::Unreadable, why));
    }
    if !context.means_log_targets
        && let Some(who) = delivery_by_acl(desired)
    {
        return Err(log_target(who));
    }
    let private = acl.private();
    // S3 refuses BucketOwnerEnforced while the ACL grants anything to others: 400 InvalidBucketAclWithObjectOwnership.
    let mut notes: Vec<String> = acl
        .grants
        .iter()
        .filter(|grant| !private.grants.contains(grant))
        .filter_map(loses)
        .collect();
    if let Some(hides) = hides_grants(desired) {
        let outcome = match acl == private {
            true => "S3 may refuse this (InvalidBucketAclWithObjectOwnership)",
            false => "no rollback brings them back",
        };
        notes.push(format!(
            "{hides}, and S3 shows no public grants while it is: if there are any, {outcome}"
        ));
    }
    let enforced = match (
        &controls,
        rule.and_then(|rule| rule.child("ObjectOwnership")),
    ) {
        (Some(controls), Some(ownership)) => {
            controls.with(vec![controls.fill(ownership, ENFORCED)])
        }
        _ => XmlDocument::new(
            "OwnershipControls",
            &format!("<Rule><ObjectOwnership>{ENFORCED}</ObjectOwnership></Rule>"),
        ),
    };
    set_xml(SettingKind::OwnershipControls, enforced, desired)?;
    if acl != private {
        desired.set(SettingKind::Acl, Document::Acl(private));
    }
    Ok(notes)
}

fn loses(grant: &Grant) -> Option<String> {
    match grant.public() {
        Some(_) => None,
        None => Some(format!("{} loses {}", grant.grantee, grant.permission)),
    }
}

/// Whether S3 may have left public grants out of the list, in words. It does so for the account's flag as for the bucket's.
fn hides_grants(observed: &Settings) -> Option<&'static str> {
    let kinds = [
        SettingKind::PublicAccessBlock,
        SettingKind::AccountPublicAccessBlock,
    ];
    let flags = kinds.map(|kind| observed.public_access_block(kind));
    if flags.iter().flatten().any(|flags| flags.ignore_public_acls) {
        return Some("IgnorePublicAcls is on");
    }
    let unread = flags.iter().any(Result::is_err);
    unread.then_some("IgnorePublicAcls may be on, for not all of its flags could be read")
}
