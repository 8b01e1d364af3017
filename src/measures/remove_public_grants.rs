//! `remove-public-grants`: the Allow statements and ACL grants that admit everybody.

use super::document::replace_policy;
use super::setting::{general_purpose, unreadable};
use super::{Context, Disposition, Info, Stop, Tactic};
use crate::settings::{Document, SettingKind, Settings, Statement};

pub(super) const INFO: Info = Info {
    name: "remove-public-grants",
    tactic: Tactic::Harden,
    disposition: Disposition::Safe,
    reads: &[
        SettingKind::BucketPolicy,
        SettingKind::Acl,
        SettingKind::PublicAccessBlock,
    ],
    amends: &[SettingKind::BucketPolicy, SettingKind::Acl],
    actions: &[
        "s3:DeleteBucketPolicy",
        "s3:GetBucketAcl",
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:PutBucketAcl",
        "s3:PutBucketPolicy",
    ],
    summary: "removes the statements of the bucket policy and the grants of the access control list that admit everybody",
};

pub(super) fn amend(context: &Context, desired: &mut Settings) -> Result<Vec<String>, Stop> {
    general_purpose(context, SettingKind::Acl)?;
    let policy = desired.bucket_policy().map_err(unreadable)?.cloned();
    let acl = desired.acl().map_err(unreadable)?.clone();

    let mut notes = Vec::new();
    if let Some(policy) = policy.filter(|policy| policy.is_public()) {
        let (public, kept): (Vec<Statement>, Vec<Statement>) = policy
            .statements()
            .iter()
            .cloned()
            .partition(Statement::is_public);
        match let_back_in(&kept, context, desired) {
            Some(note) => notes.push(note),
            None => {
                replace_policy(policy.with_statements(kept), desired)?;
                notes.extend(public.iter().filter_map(also_admits));
            }
        }
    }
    if acl.is_public() {
        desired.set(SettingKind::Acl, Document::Acl(acl.without_public_grants()));
    }
    Ok(notes)
}

/// RestrictPublicBuckets shuts out everybody but the owner's account for as long as the policy is public, so that taking the
/// public statements away would let in whom the others name: a containment must not open anything.
fn let_back_in(kept: &[Statement], context: &Context, observed: &Settings) -> Option<String> {
    let kinds = [
        SettingKind::PublicAccessBlock,
        SettingKind::AccountPublicAccessBlock,
    ];
    let restricted = kinds.iter().any(|kind| {
        observed
            .public_access_block(*kind)
            .is_ok_and(|b| b.restrict_public_buckets)
    });
    let account = &context.bucket?.account;
    let statement = kept
        .iter()
        .filter(|_| restricted)
        .find(|statement| statement.admits_outside(account))?;
    let sid = statement.sid().unwrap_or("without a Sid");
    Some(format!(
        "the public statements stay: RestrictPublicBuckets already shuts everybody outside the account out, and without \
         them it would let in whom statement {sid} admits"
    ))
}

/// Whoever a public statement names besides everybody loses that grant too, and should be told.
fn also_admits(statement: &Statement) -> Option<String> {
    let others: Vec<&str> = statement
        .aws_principals()
        .into_iter()
        .filter(|principal| *principal != "*")
        .collect();
    let sid = statement.sid().unwrap_or("without a Sid");
    (!others.is_empty()).then(|| {
        format!(
            "statement {sid} also admitted {}, who lose it",
            others.join(", ")
        )
    })
}
