//! How exposed a bucket is, by which of its settings, and what closes it. What was not read is said to be unknown, never
//! taken for closed.

use serde::{Deserialize, Serialize};

use super::usage::is_of_aws;
use super::{Exposure, Reasoned};
use crate::finding::Bucket;
use crate::settings::{
    AccessPoints, Acl, PolicyDocument, PublicAccessBlock, SettingKind, Settings, Statement,
};

/// The settings that tell how exposed a bucket is.
pub(crate) const TELLING: [SettingKind; 6] = [
    SettingKind::BucketPolicy,
    SettingKind::PolicyStatus,
    SettingKind::Acl,
    SettingKind::PublicAccessBlock,
    SettingKind::AccountPublicAccessBlock,
    SettingKind::AccessPointPolicies,
];

/// One way by which somebody outside the account is admitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Opening {
    /// The setting that admits them.
    pub setting: SettingKind,
    /// `public` or `cross-account`.
    pub exposure: Exposure,
    /// Who is admitted, in words.
    pub how: String,
    /// What closes it all the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub closed_by: Option<String>,
}

/// The verdict, and each opening it rests on, the widest first.
pub(super) fn exposure(
    observed: &Settings,
    bucket: Option<&Bucket>,
) -> (Reasoned<Exposure>, Vec<Opening>) {
    let Some(bucket) = bucket else {
        let verdict = Reasoned::new(Exposure::Unknown, "the target is the account");
        return (verdict, Vec::new());
    };
    let mut openings = Vec::new();
    let mut unknown = Vec::new();
    let policy = observed.bucket_policy();
    match policy {
        Ok(policy) => by_policy(policy, observed, bucket, &mut openings),
        Err(error) => unknown.push(error.told()),
    }
    match observed.acl() {
        Ok(acl) => by_acl(acl, observed, &mut openings),
        Err(_) if bucket.directory => {}
        Err(error) => unknown.push(error.told()),
    }
    // Most buckets have none, and rules that ask only about the bucket do not have them read.
    if let Ok(points) = observed.access_points() {
        by_access_points(points, observed, bucket, &mut openings);
    }
    openings.sort_by_key(|opening| (opening.closed_by.is_some(), opening.exposure));
    let open = |exposure| {
        let open = openings
            .iter()
            .filter(|opening| opening.exposure == exposure && opening.closed_by.is_none());
        let how: Vec<&str> = open.map(|opening| opening.how.as_str()).collect();
        (!how.is_empty()).then(|| how.join("; "))
    };
    // What the bucket's own flags would close is not called open while nobody could read them. The account's are read only
    // for rules that ask; off is the careful assumption about them.
    let flags = observed.public_access_block(SettingKind::PublicAccessBlock);
    let verdict = match (open(Exposure::Public), flags) {
        (Some(how), Err(error)) if !bucket.directory => {
            Reasoned::new(Exposure::Unknown, format!("{how}, but {error}"))
        }
        (Some(how), _) => Reasoned::new(Exposure::Public, how),
        (None, _) if !unknown.is_empty() => Reasoned::new(Exposure::Unknown, unknown.join("; ")),
        (None, _) => match open(Exposure::CrossAccount) {
            Some(how) => Reasoned::new(Exposure::CrossAccount, how),
            None => Reasoned::new(Exposure::Private, private(&openings)),
        },
    };
    (verdict, openings)
}

fn private(openings: &[Opening]) -> String {
    let closed = openings
        .iter()
        .filter_map(|opening| Some((&opening.how, opening.closed_by.as_ref()?)));
    let closed: Vec<String> = closed
        .map(|(how, by)| format!("{how}, which {by} closes"))
        .collect();
    if closed.is_empty() {
        return "neither policy nor access control list admits anybody outside the account"
            .to_owned();
    }
    closed.join("; ")
}

fn by_policy(
    policy: Option<&PolicyDocument>,
    observed: &Settings,
    bucket: &Bucket,
    openings: &mut Vec<Opening>,
) {
    let statements = policy.map(PolicyDocument::statements).unwrap_or_default();
    let mut public: Vec<String> = statements
        .iter()
        .filter(|statement| statement.is_public())
        .map(|statement| {
            let sid = statement.sid().unwrap_or("without a Sid");
            let actions = statement.actions_in_short();
            format!("statement {sid} of the bucket policy admits everybody to {actions}")
        })
        .collect();
    // S3's own word counts where our reading of a statement is too kind.
    if public.is_empty() && observed.policy_status() == Some(true) {
        public.push("S3 calls the bucket policy public (GetBucketPolicyStatus)".to_owned());
    }
    // RestrictPublicBuckets bites only while the policy is public, and then shuts out named accounts, too.
    let restricted = match bucket.directory {
        true => Some("Block Public Access, which directory buckets always have on,".to_owned()),
        false => flag_on(observed, "RestrictPublicBuckets", |flags| {
            flags.restrict_public_buckets
        }),
    }
    .filter(|_| !public.is_empty());
    let named = named(statements, &bucket.account)
        .into_iter()
        .map(|(principal, actions)| {
            let how = format!("the bucket policy admits {principal} to {actions}");
            (Exposure::CrossAccount, how)
        });
    let public = public.into_iter().map(|how| (Exposure::Public, how));
    openings.extend(public.chain(named).map(|(exposure, how)| Opening {
        setting: SettingKind::BucketPolicy,
        exposure,
        how,
        closed_by: restricted.clone(),
    }));
}

fn by_acl(acl: &Acl, observed: &Settings, openings: &mut Vec<Opening>) {
    let ignored = flag_on(observed, "IgnorePublicAcls", |flags| {
        flags.ignore_public_acls
    });
    let disabled = observed
        .disables_acls()
        .then(|| "BucketOwnerEnforced".to_owned());
    for grant in &acl.grants {
        let (exposure, how, closed_by) = match grant.public() {
            Some(admitted) => (
                Exposure::Public,
                format!("the access control list admits {admitted}"),
                ignored.clone(),
            ),
            None if grant.is_of_another_account(&acl.owner) => (
                Exposure::CrossAccount,
                format!("the access control list admits {}", grant.grantee),
                None,
            ),
            None => continue,
        };
        let opening = Opening {
            setting: SettingKind::Acl,
            exposure,
            how,
            closed_by: disabled.clone().or(closed_by),
        };
        if !openings.contains(&opening) {
            openings.push(opening);
        }
    }
}

/// A request through an access point needs both policies to allow it, so that one that admits others matters where the
/// bucket policy delegates to it, which S3 does not count as public.
fn by_access_points(
    points: &AccessPoints,
    observed: &Settings,
    bucket: &Bucket,
    openings: &mut Vec<Opening>,
) {
    let restricted = flag_on(observed, "RestrictPublicBuckets", |flags| {
        flags.restrict_public_buckets
    });
    for (name, point) in &points.0 {
        let statements = point
            .policy
            .as_ref()
            .map(PolicyDocument::statements)
            .unwrap_or_default();
        let public = statements.iter().find(|statement| statement.is_public());
        let vpc = point
            .vpc
            .as_ref()
            .map(|vpc| format!("access from {vpc} alone"));
        let closed_by = vpc.or(restricted.clone().filter(|_| public.is_some()));
        let everybody = public.map(|statement| {
            let who = ("everybody".to_owned(), statement.actions_in_short());
            (Exposure::Public, who)
        });
        let named = named(statements, &bucket.account)
            .into_iter()
            .map(|who| (Exposure::CrossAccount, who));
        let admitted = everybody.into_iter().chain(named);
        openings.extend(admitted.map(|(exposure, (who, actions))| Opening {
            setting: SettingKind::AccessPointPolicies,
            exposure,
            how: format!("the policy of access point {name} admits {who} to {actions}"),
            closed_by: closed_by.clone(),
        }));
    }
}

/// The principals of other accounts that statements name, each once, and what the first statement lets them do. AWS's own
/// are not meant.
fn named(statements: &[Statement], account: &str) -> Vec<(String, String)> {
    let mut named: Vec<(String, String)> = Vec::new();
    let allows = statements
        .iter()
        .filter(|statement| statement.effect() == "Allow" && !statement.is_public());
    for statement in allows {
        for principal in statement.aws_principals() {
            let known = named.iter().any(|(other, _)| other == principal);
            if !known && !is_of(principal, account) && !is_of_aws(principal) {
                named.push((principal.to_owned(), statement.actions_in_short()));
            }
        }
    }
    named
}

/// Where a flag of Block Public Access is on, in words: S3 takes the strictest of bucket and account.
fn flag_on(
    observed: &Settings,
    name: &str,
    flag: impl Fn(&PublicAccessBlock) -> bool,
) -> Option<String> {
    let places = [
        (SettingKind::PublicAccessBlock, "the bucket"),
        (SettingKind::AccountPublicAccessBlock, "the account"),
    ];
    places.into_iter().find_map(|(kind, place)| {
        let flags = observed.public_access_block(kind).ok()?;
        flag(&flags).then(|| format!("{name} of {place}"))
    })
}

fn is_of(principal: &str, account: &str) -> bool {
    principal == account || principal.split(':').nth(4) == Some(account)
}
