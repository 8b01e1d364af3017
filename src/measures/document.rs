//! The policies of buckets and access points as measures change them: every new document goes through here, so that none is
//! planned that S3 would refuse or that would lock out those who must stay in.

use super::{
    Context, Disposition, Info, Scope, Stop, Tactic, deny_actor, deny_source_ip, directory,
};
use crate::guard::Guard;
use crate::settings::{
    AccessPoint, Document, MAX_POLICY_BYTES, PolicyDocument, Setting, SettingKind, Settings,
};
use crate::statements::Deny;

/// What every measure is and needs that only adds statements.
pub(super) const fn statement_info(
    name: &'static str,
    tactic: Tactic,
    disposition: Disposition,
    summary: &'static str,
) -> Info {
    Info {
        name,
        tactic,
        disposition,
        // With BlockPublicPolicy on, S3 refuses a document that would still be public.
        reads: &[SettingKind::BucketPolicy, SettingKind::PublicAccessBlock],
        amends: &[SettingKind::BucketPolicy],
        actions: &[
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:PutBucketPolicy",
        ],
        summary,
    }
}

/// The same for those that deny principals whatever there is, which directory buckets know too.
pub(super) const fn principal_info(
    name: &'static str,
    tactic: Tactic,
    disposition: Disposition,
    summary: &'static str,
) -> Info {
    Info {
        actions: &[
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:PutBucketPolicy",
            "s3express:DeleteBucketPolicy",
            "s3express:GetBucketPolicy",
            "s3express:PutBucketPolicy",
        ],
        ..statement_info(name, tactic, disposition, summary)
    }
}

/// The same for those whose statement hits everybody: also who delivers logs by a grant of the access control list.
pub(super) const fn everyone_info(
    name: &'static str,
    tactic: Tactic,
    summary: &'static str,
) -> Info {
    Info {
        reads: &[
            SettingKind::BucketPolicy,
            SettingKind::PublicAccessBlock,
            SettingKind::Acl,
        ],
        actions: &[
            "s3:GetBucketAcl",
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:PutBucketPolicy",
            "s3express:DeleteBucketPolicy",
            "s3express:GetBucketPolicy",
            "s3express:PutBucketPolicy",
        ],
        ..principal_info(name, tactic, Disposition::Disruptive, summary)
    }
}

/// Puts a statement of ours into the desired bucket policy.
pub(super) fn add_deny(
    deny: &Deny,
    bucket_arn: &str,
    context: &Context,
    desired: &mut Settings,
) -> Result<(), Stop> {
    directory::knows(deny, context)?;
    spares_who_must_stay(deny, context)?;
    let policy = desired
        .bucket_policy()
        .map_err(|unknown| Stop::new(Guard::Unreadable, unknown.to_string()))?;
    let amended = deny.amend(policy, bucket_arn);
    if policy.is_some_and(|policy| *policy == amended) {
        return Ok(());
    }
    replace_policy(amended, desired).map_err(|mut stop| {
        if stop.guard == Guard::PolicyTooLarge {
            let smaller = smaller(deny, context, desired);
            stop.why
                .extend(smaller.map(|name| format!("; {name} would fit")));
        }
        stop
    })
}

/// Stops a statement that would lock out whom nothing may lock out.
pub(super) fn spares_who_must_stay(deny: &Deny, context: &Context) -> Result<(), Stop> {
    match context.spared.is_empty() || !deny.spares(context.spared) {
        true => {
            let why = "the statement would not spare every break-glass principal and Portcullis's own role";
            Err(Stop::new(Guard::SelfLockout, why))
        }
        false => Ok(()),
    }
}

/// Makes `amended` the desired bucket policy, unless S3 would refuse it. A document without statements is no document.
pub(super) fn replace_policy(amended: PolicyDocument, desired: &mut Settings) -> Result<(), Stop> {
    if amended.statements().is_empty() {
        desired.0.insert(SettingKind::BucketPolicy, Setting::Absent);
        return Ok(());
    }
    acceptable(&amended, Holder::Bucket, desired)?;
    desired.set(SettingKind::BucketPolicy, Document::BucketPolicy(amended));
    Ok(())
}

/// What a policy is attached to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holder<'a> {
    /// The bucket.
    Bucket,
    /// One of its access points, by its name.
    AccessPoint(&'a str, &'a AccessPoint),
}

/// Stops a document that S3 would refuse, in view of the settings that are desired besides.
pub(super) fn acceptable(
    document: &PolicyDocument,
    holder: Holder,
    desired: &Settings,
) -> Result<(), Stop> {
    let (title, less, closed) = match holder {
        Holder::Bucket => (
            "the bucket policy".to_owned(),
            format!("block-public-access needs no room in it{}", room(document)),
            "add remove-public-grants to the rule, or take the public statements out by hand",
        ),
        Holder::AccessPoint(name, _) => (
            format!("the policy of access point {name}"),
            "take statements out by hand".to_owned(),
            "take the public statements out by hand",
        ),
    };
    let deleted = document.statements().iter().find_map(|statement| {
        statement
            .deleted_principal()
            .map(|id| (statement.sid().unwrap_or("without a Sid"), id))
    });
    if let Some((sid, id)) = deleted {
        let why = format!(
            "statement {sid} of {title} names {id}, a user or role that was deleted, so S3 would refuse the \
             whole document; remove that principal, then apply again"
        );
        return Err(Stop::new(Guard::DirtyPolicy, why));
    }
    let size = document.size();
    if size > MAX_POLICY_BYTES {
        let why =
            format!("{title} would have {size} bytes and S3 takes {MAX_POLICY_BYTES}; {less}");
        return Err(Stop::new(Guard::PolicyTooLarge, why));
    }
    let kinds = [
        SettingKind::PublicAccessBlock,
        SettingKind::AccountPublicAccessBlock,
    ];
    let refuses = |kind: &SettingKind| {
        desired
            .public_access_block(*kind)
            .is_ok_and(|flags| flags.block_public_policy)
    };
    let in_vpc = matches!(holder, Holder::AccessPoint(_, point) if point.vpc.is_some());
    if document.is_public() && !in_vpc && kinds.iter().any(refuses) {
        let why = format!(
            "BlockPublicPolicy is on and {title} would still admit everybody, so S3 would refuse it; {closed}"
        );
        return Err(Stop::new(Guard::PublicPolicyRefused, why));
    }
    Ok(())
}

/// What remove-public-grants would do about a document that is too large.
fn room(amended: &PolicyDocument) -> &'static str {
    let kept = amended.statements().iter();
    let kept = kept.filter(|statement| !statement.is_public()).cloned();
    let rest = amended.with_statements(kept.collect());
    match amended.is_public() {
        true if rest.size() <= MAX_POLICY_BYTES => ", and remove-public-grants makes room",
        true => ", and remove-public-grants does not make enough",
        false => "",
    }
}

/// A measure with a shorter statement than `deny` that there is room for, and that changes something.
fn smaller(deny: &Deny, context: &Context, desired: &Settings) -> Option<&'static str> {
    // As short as theirs: what has no room leaves them none.
    if deny.hits.is_some() && deny.actions.contains("s3:*") {
        return None;
    }
    let changes = |amend: &dyn Fn(&mut Settings) -> Result<Vec<String>, Stop>| {
        let mut amended = desired.clone();
        amend(&mut amended).is_ok() && amended != *desired
    };
    if changes(&|settings| deny_actor::amend(Scope::Identity, context, settings)) {
        return Some(deny_actor::INFO.name);
    }
    changes(&|settings| deny_source_ip::amend(context, settings))
        .then_some(deny_source_ip::INFO.name)
}
