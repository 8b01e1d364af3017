//! How exposed a bucket is, from what was read of it. What was not read is said to be unknown, never taken for closed.

use super::{Exposure, Reasoned};
use crate::finding::Bucket;
use crate::settings::{PublicAccessBlock, SettingKind, Settings, Statement};

pub(super) fn exposure(observed: &Settings, bucket: Option<&Bucket>) -> Reasoned<Exposure> {
    let Some(bucket) = bucket else {
        return Reasoned::new(Exposure::Unknown, "the target is the account");
    };
    let flags = observed.public_access_block(SettingKind::PublicAccessBlock);
    let account_flags = observed.public_access_block(SettingKind::AccountPublicAccessBlock);
    let any = |flag: fn(&PublicAccessBlock) -> bool| {
        // Directory buckets always have all flags on, and no access control lists.
        bucket.directory
            || [&flags, &account_flags]
                .iter()
                .any(|flags| flags.as_ref().is_ok_and(flag))
    };
    let restricts = any(|flags| flags.restrict_public_buckets);
    let ignores = any(|flags| flags.ignore_public_acls);
    // Account flags are read only for rules that need them; off is then the careful assumption, so that a bucket is never
    // called closed on the strength of a flag that nobody saw.
    let policy = match observed.bucket_policy() {
        Ok(policy) => policy,
        Err(unknown) => return Reasoned::new(Exposure::Unknown, unknown.to_string()),
    };
    let public: Option<&Statement> =
        policy.and_then(|policy| policy.statements().iter().find(|s| s.is_public()));
    if let (Some(statement), false) = (public, restricts) {
        if let Err(unknown) = flags {
            return Reasoned::new(
                Exposure::Unknown,
                format!("the policy admits everybody, but {unknown}"),
            );
        }
        let sid = statement.sid().unwrap_or("without a Sid");
        return Reasoned::new(
            Exposure::Public,
            format!("statement {sid} of the bucket policy admits everybody"),
        );
    }
    if !ignores {
        match observed.acl() {
            Ok(acl) => {
                if let Some(admitted) = acl.grants.iter().find_map(|grant| grant.public()) {
                    return Reasoned::new(
                        Exposure::Public,
                        format!("the access control list admits {admitted}"),
                    );
                }
            }
            Err(unknown) => return Reasoned::new(Exposure::Unknown, unknown.to_string()),
        }
    }
    let foreign = policy
        .into_iter()
        .flat_map(|policy| policy.statements())
        .find_map(|statement| {
            let admits = statement.effect() == "Allow" && !statement.is_public();
            let others = statement
                .aws_principals()
                .into_iter()
                .find(|principal| !is_of(principal, &bucket.account));
            others.filter(|_| admits)
        });
    match foreign {
        Some(principal) => Reasoned::new(
            Exposure::CrossAccount,
            format!("the bucket policy admits {principal}"),
        ),
        None => Reasoned::new(
            Exposure::Private,
            "neither policy nor access control list admits anybody outside the account",
        ),
    }
}

fn is_of(principal: &str, account: &str) -> bool {
    principal == account || principal.split(':').nth(4) == Some(account)
}
