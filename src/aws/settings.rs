//! Reads and writes of each setting. The reads say "absent" only where S3 says so.

use std::collections::BTreeMap;

use aws_sdk_s3::types as s3;
use aws_sdk_s3control::types as s3control;

use super::{Aws, AwsError, Meaning, access_points, xml};
use crate::finding::{Finding, Target};
use crate::plan::Change;
use crate::settings::{
    Acl, Document, Grant, PolicyDocument, PublicAccessBlock, Setting, SettingKind,
};

/// Where a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The bucket; none for the account itself.
    pub bucket: Option<String>,
    /// The owner. S3 calls name it, so that a bucket of the same name in other hands is never touched.
    pub account: String,
    /// The Region.
    pub region: String,
    /// The partition.
    pub partition: String,
}

impl Place {
    /// Where the finding says that its target is.
    pub fn of(finding: &Finding, target: &Target) -> Self {
        Self::of_target(target, &finding.region, &finding.partition)
    }

    /// Where a target is. `region` counts where its own is not known.
    pub fn of_target(target: &Target, region: &str, partition: &str) -> Self {
        let (bucket, account, own_region) = match target {
            Target::Bucket(bucket) => (
                Some(bucket.name.clone()),
                bucket.account.clone(),
                bucket.region.clone(),
            ),
            Target::Account(account) => (None, account.clone(), None),
        };
        Self {
            bucket,
            account,
            region: own_region.unwrap_or_else(|| region.to_owned()),
            partition: partition.to_owned(),
        }
    }

    /// The target in words.
    pub(crate) fn name(&self) -> String {
        match &self.bucket {
            Some(bucket) => format!("bucket {bucket} of account {}", self.account),
            None => format!("account {}", self.account),
        }
    }

    /// The owner as a call about the bucket policy names it. To calls about directory buckets S3 answers 501 where they do;
    /// whoever is not of the owner's account gets 405 there.
    fn owner(&self) -> Option<String> {
        (!self.bucket().ends_with("--x-s3")).then(|| self.account.clone())
    }

    pub(crate) fn bucket(&self) -> &str {
        self.bucket.as_deref().unwrap_or_default()
    }
}

/// Reads one setting. `Err` is only for what makes every read pointless (the bucket is gone, or in another Region) or
/// leaves all unknown (no answer); a refused read is an unreadable setting.
pub async fn read(aws: &Aws, place: &Place, kind: SettingKind) -> Result<Setting, AwsError> {
    let answer = match kind {
        SettingKind::BucketPolicy => read_policy(aws, place).await,
        SettingKind::AccessPointPolicies => access_points::read(aws, place).await,
        SettingKind::Acl => read_acl(aws, place).await,
        SettingKind::PublicAccessBlock => read_public_access_block(aws, place).await,
        SettingKind::AccountPublicAccessBlock => read_account_public_access_block(aws, place).await,
        SettingKind::Tags => read_tags(aws, place).await,
        SettingKind::Versioning
        | SettingKind::Lifecycle
        | SettingKind::Encryption
        | SettingKind::OwnershipControls
        | SettingKind::Cors
        | SettingKind::Logging
        | SettingKind::Replication
        | SettingKind::Website
        | SettingKind::PolicyStatus => xml::read(aws, place, kind).await,
    };
    match answer {
        Ok(document) => Ok(Setting::Present(document)),
        Err(error) => match error.meaning {
            Meaning::NotConfigured => Ok(Setting::Absent),
            Meaning::BucketGone | Meaning::OtherRegion(_) => Err(error),
            _ => Ok(Setting::Unreadable {
                operation: error.operation.to_owned(),
                code: error.code,
            }),
        },
    }
}

/// Makes one change: writes a setting whole, and of access points the policies that the change is about. The caller reads
/// it back.
pub async fn write(aws: &Aws, place: &Place, change: &Change) -> Result<(), AwsError> {
    match (change.setting, &change.after) {
        (SettingKind::BucketPolicy, Setting::Present(Document::BucketPolicy(policy))) => {
            let request = aws.s3(place).put_bucket_policy().bucket(place.bucket());
            let request = request
                .set_expected_bucket_owner(place.owner())
                .policy(policy.text());
            request
                .send()
                .await
                .map(drop)
                .map_err(|error| AwsError::new("PutBucketPolicy", &place.name(), &error))
        }
        (SettingKind::BucketPolicy, Setting::Absent) => {
            let request = aws.s3(place).delete_bucket_policy().bucket(place.bucket());
            let request = request.set_expected_bucket_owner(place.owner());
            let answer = request.send().await;
            answer
                .map(drop)
                .map_err(|error| AwsError::new("DeleteBucketPolicy", &place.name(), &error))
        }
        (
            SettingKind::AccessPointPolicies,
            Setting::Present(Document::AccessPointPolicies(after)),
        ) => match &change.before {
            Setting::Present(Document::AccessPointPolicies(before)) => {
                access_points::write(aws, place, before, after).await
            }
            _ => Err(not_writable(place, change.setting)),
        },
        (SettingKind::Acl, Setting::Present(Document::Acl(acl))) => {
            write_acl(aws, place, acl).await
        }
        (SettingKind::PublicAccessBlock, Setting::Present(Document::PublicAccessBlock(flags))) => {
            let configuration = s3::PublicAccessBlockConfiguration::builder()
                .block_public_acls(flags.block_public_acls)
                .ignore_public_acls(flags.ignore_public_acls)
                .block_public_policy(flags.block_public_policy)
                .restrict_public_buckets(flags.restrict_public_buckets)
                .build();
            let request = aws
                .s3(place)
                .put_public_access_block()
                .bucket(place.bucket());
            let request = request
                .expected_bucket_owner(&place.account)
                .public_access_block_configuration(configuration);
            request
                .send()
                .await
                .map(drop)
                .map_err(|error| AwsError::new("PutPublicAccessBlock", &place.name(), &error))
        }
        (SettingKind::PublicAccessBlock, Setting::Absent) => {
            let request = aws
                .s3(place)
                .delete_public_access_block()
                .bucket(place.bucket());
            let answer = request.expected_bucket_owner(&place.account).send().await;
            answer
                .map(drop)
                .map_err(|error| AwsError::new("DeletePublicAccessBlock", &place.name(), &error))
        }
        (
            SettingKind::AccountPublicAccessBlock,
            Setting::Present(Document::PublicAccessBlock(flags)),
        ) => {
            let configuration = s3control::PublicAccessBlockConfiguration::builder()
                .block_public_acls(flags.block_public_acls)
                .ignore_public_acls(flags.ignore_public_acls)
                .block_public_policy(flags.block_public_policy)
                .restrict_public_buckets(flags.restrict_public_buckets)
                .build();
            let request = aws
                .s3control(place)
                .put_public_access_block()
                .account_id(&place.account);
            let answer = request
                .public_access_block_configuration(configuration)
                .send()
                .await;
            answer
                .map(drop)
                .map_err(|error| AwsError::new("PutPublicAccessBlock", &place.name(), &error))
        }
        (SettingKind::AccountPublicAccessBlock, Setting::Absent) => {
            let answer = aws
                .s3control(place)
                .delete_public_access_block()
                .account_id(&place.account)
                .send()
                .await;
            answer
                .map(drop)
                .map_err(|error| AwsError::new("DeletePublicAccessBlock", &place.name(), &error))
        }
        (SettingKind::Tags, Setting::Present(Document::Tags(tags))) => {
            write_tags(aws, place, tags).await
        }
        (SettingKind::Tags, Setting::Absent) => {
            let request = aws.s3(place).delete_bucket_tagging();
            let request = request.bucket(place.bucket());
            let answer = request.expected_bucket_owner(&place.account).send().await;
            answer
                .map(drop)
                .map_err(|error| AwsError::new("DeleteBucketTagging", &place.name(), &error))
        }
        (kind, setting) => xml::write(aws, place, kind, setting).await,
    }
}

async fn read_policy(aws: &Aws, place: &Place) -> Result<Document, AwsError> {
    let request = aws.s3(place).get_bucket_policy().bucket(place.bucket());
    let request = request.set_expected_bucket_owner(place.owner());
    let answer = request.send().await;
    let answer = answer.map_err(|error| AwsError::new("GetBucketPolicy", &place.name(), &error))?;
    let text = answer.policy().unwrap_or_default();
    let policy = parse_policy(text, "GetBucketPolicy", &place.name())?;
    Ok(Document::BucketPolicy(policy))
}

/// A policy as S3 returned it to `operation`.
pub(super) fn parse_policy(
    text: &str,
    operation: &'static str,
    resource: &str,
) -> Result<PolicyDocument, AwsError> {
    PolicyDocument::parse(text).map_err(|error| AwsError {
        operation,
        resource: resource.to_owned(),
        code: "MalformedPolicy".to_owned(),
        message: Some(error.to_string()),
        meaning: Meaning::Other,
    })
}

/// What a plan of this version never asks for, and a record of another one may.
pub(super) fn not_writable(place: &Place, kind: SettingKind) -> AwsError {
    AwsError {
        operation: "write",
        resource: place.name(),
        code: "NotWritable".to_owned(),
        message: Some(format!(
            "the {} is not of a form that this version writes",
            kind.title()
        )),
        meaning: Meaning::Other,
    }
}

async fn read_acl(aws: &Aws, place: &Place) -> Result<Document, AwsError> {
    let request = aws.s3(place).get_bucket_acl().bucket(place.bucket());
    let answer = request.expected_bucket_owner(&place.account).send().await;
    let answer = answer.map_err(|error| AwsError::new("GetBucketAcl", &place.name(), &error))?;
    let owner = answer
        .owner()
        .and_then(|owner| owner.id())
        .unwrap_or_default()
        .to_owned();
    let grants = answer.grants().iter().filter_map(|grant| {
        let grantee = grant.grantee()?;
        let name = grantee.id().or(grantee.uri()).or(grantee.email_address())?;
        Some(Grant {
            grantee_type: grantee.r#type().as_str().to_owned(),
            grantee: name.to_owned(),
            permission: grant.permission()?.as_str().to_owned(),
        })
    });
    Ok(Document::Acl(Acl {
        grants: grants.collect(),
        owner,
    }))
}

async fn write_acl(aws: &Aws, place: &Place, acl: &Acl) -> Result<(), AwsError> {
    let malformed = |error: aws_smithy_types::error::operation::BuildError| AwsError {
        operation: "PutBucketAcl",
        resource: place.name(),
        code: "MalformedAcl".to_owned(),
        message: Some(error.to_string()),
        meaning: Meaning::Other,
    };
    let mut policy =
        s3::AccessControlPolicy::builder().owner(s3::Owner::builder().id(&acl.owner).build());
    for grant in &acl.grants {
        let grantee = s3::Grantee::builder().r#type(grant.grantee_type.as_str().into());
        let grantee = match grant.grantee_type.as_str() {
            "Group" => grantee.uri(&grant.grantee),
            "AmazonCustomerByEmail" => grantee.email_address(&grant.grantee),
            _ => grantee.id(&grant.grantee),
        };
        let grantee = grantee.build().map_err(malformed)?;
        policy = policy.grants(
            s3::Grant::builder()
                .grantee(grantee)
                .permission(grant.permission.as_str().into())
                .build(),
        );
    }
    let request = aws.s3(place).put_bucket_acl().bucket(place.bucket());
    let request = request
        .expected_bucket_owner(&place.account)
        .access_control_policy(policy.build());
    request
        .send()
        .await
        .map(drop)
        .map_err(|error| AwsError::new("PutBucketAcl", &place.name(), &error))
}

/// S3 and s3control have types of their own for the same four flags.
macro_rules! flags {
    ($answer:expr) => {
        $answer.public_access_block_configuration().map_or_else(
            PublicAccessBlock::default,
            |flags| PublicAccessBlock {
                block_public_acls: flags.block_public_acls().unwrap_or_default(),
                ignore_public_acls: flags.ignore_public_acls().unwrap_or_default(),
                block_public_policy: flags.block_public_policy().unwrap_or_default(),
                restrict_public_buckets: flags.restrict_public_buckets().unwrap_or_default(),
            },
        )
    };
}

async fn read_public_access_block(aws: &Aws, place: &Place) -> Result<Document, AwsError> {
    let request = aws
        .s3(place)
        .get_public_access_block()
        .bucket(place.bucket());
    let answer = request.expected_bucket_owner(&place.account).send().await;
    let answer =
        answer.map_err(|error| AwsError::new("GetPublicAccessBlock", &place.name(), &error))?;
    Ok(Document::PublicAccessBlock(flags!(answer)))
}

async fn read_account_public_access_block(aws: &Aws, place: &Place) -> Result<Document, AwsError> {
    let request = aws.s3control(place).get_public_access_block();
    let answer = request.account_id(&place.account).send().await;
    let answer =
        answer.map_err(|error| AwsError::new("GetPublicAccessBlock", &place.name(), &error))?;
    Ok(Document::PublicAccessBlock(flags!(answer)))
}

async fn read_tags(aws: &Aws, place: &Place) -> Result<Document, AwsError> {
    let request = aws.s3(place).get_bucket_tagging().bucket(place.bucket());
    let answer = request.expected_bucket_owner(&place.account).send().await;
    let answer =
        answer.map_err(|error| AwsError::new("GetBucketTagging", &place.name(), &error))?;
    let tags = answer
        .tag_set()
        .iter()
        .map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
    Ok(Document::Tags(tags.collect::<BTreeMap<_, _>>()))
}

async fn write_tags(
    aws: &Aws,
    place: &Place,
    tags: &BTreeMap<String, String>,
) -> Result<(), AwsError> {
    let tags = tags
        .iter()
        .map(|(key, value)| s3::Tag::builder().key(key).value(value).build())
        .collect::<Result<Vec<_>, _>>();
    let tagging = tags.and_then(|tags| s3::Tagging::builder().set_tag_set(Some(tags)).build());
    let tagging = tagging.map_err(|error| AwsError {
        operation: "PutBucketTagging",
        resource: place.name(),
        code: "MalformedTags".to_owned(),
        message: Some(error.to_string()),
        meaning: Meaning::Other,
    })?;
    let request = aws.s3(place).put_bucket_tagging();
    let request = request.bucket(place.bucket()).tagging(tagging);
    let answer = request.expected_bucket_owner(&place.account).send().await;
    answer
        .map(drop)
        .map_err(|error| AwsError::new("PutBucketTagging", &place.name(), &error))
}
