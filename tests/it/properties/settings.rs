//! Settings of all kinds but the bucket policy, each in several shapes.

use std::collections::BTreeMap;

use portcullis::settings::{
    AccessPoint, AccessPoints, Acl, Document, Grant, PolicyDocument, PublicAccessBlock, Setting,
    SettingKind, Settings, XmlDocument,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::policies::bucket_policy;
use super::s3::is_enforced;
use super::{ACCOUNT, CUSTOMERS, EVERYBODY};

pub(super) const KINDS: [SettingKind; 13] = [
    SettingKind::Versioning,
    SettingKind::Lifecycle,
    SettingKind::Encryption,
    SettingKind::BucketPolicy,
    SettingKind::AccessPointPolicies,
    SettingKind::Acl,
    SettingKind::OwnershipControls,
    SettingKind::Cors,
    SettingKind::Logging,
    SettingKind::Replication,
    SettingKind::PublicAccessBlock,
    SettingKind::AccountPublicAccessBlock,
    SettingKind::Tags,
];

/// A bucket as S3 lets one be.
pub(super) fn settings() -> impl Strategy<Value = Settings> {
    let policy = prop_oneof![1 => Just(Setting::Absent), 6 => bucket_policy()];
    let policies = (policy, access_points());
    let xml = (
        versioning(),
        lifecycle(),
        encryption(),
        ownership_controls(),
        cors(),
        logging(),
        replication(),
    );
    (policies, acl(), flags(), flags(), tags(), xml).prop_map(
        |((policy, points), acl, bucket, account, tags, xml)| {
            let (versioning, lifecycle, encryption, controls, cors, logging, replication) = xml;
            // What is replicated is versioned, and where ACLs are disabled they grant nothing.
            let versioning = match replication {
                Setting::Absent => versioning,
                _ => present("<V><Status>Enabled</Status></V>"),
            };
            let acl = match &controls {
                Setting::Present(Document::Xml(controls)) if is_enforced(controls.root()) => {
                    acl.private()
                }
                _ => acl,
            };
            let settings = [
                versioning,
                lifecycle,
                encryption,
                policy,
                points,
                Setting::Present(Document::Acl(acl)),
                controls,
                cors,
                logging,
                replication,
                bucket,
                account,
                tags,
            ];
            Settings(KINDS.into_iter().zip(settings).collect())
        },
    )
}

fn access_points() -> impl Strategy<Value = Setting> {
    let principals = [
        "",
        r#""*""#,
        r#"{"AWS":"444455556666"}"#,
        r#"{"AWS":"111122223333"}"#,
    ];
    let some = subsequence(principals.to_vec(), 0..=4);
    some.prop_map(|principals| {
        let points = principals.into_iter().enumerate().map(|(index, principal)| {
            let policy = format!(
                r#"{{"Version": "2012-10-17", "Statement": {{"Effect":"Allow","Principal":{principal},"Action":"s3:GetObject","Resource":"*"}}}}"#
            );
            let point = AccessPoint {
                arn: format!("arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint/point-{index}"),
                vpc: None,
                policy: PolicyDocument::parse(&policy).ok(),
            };
            (format!("point-{index}"), point)
        });
        Setting::Present(Document::AccessPointPolicies(AccessPoints(points.collect())))
    })
}

/// A bucket that was never versioned cannot be so again, which is tested elsewhere.
fn versioning() -> impl Strategy<Value = Setting> {
    one_of(&[
        "<V><Status>Enabled</Status></V>",
        "<V>\n<Status>Suspended</Status></V>",
        "<V><Status>Suspended</Status><MfaDelete>Enabled</MfaDelete></V>",
        "<V><MfaDelete>Disabled</MfaDelete><Status>Suspended</Status></V>",
    ])
}

fn lifecycle() -> impl Strategy<Value = Setting> {
    let rules = vec![
        "<Rule><ID>a</ID><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>",
        "<Rule><Status>Enabled</Status><NoncurrentVersionExpiration/><Transition/></Rule>",
        "<Rule><Status>Disabled</Status><Expiration/></Rule>",
        "<Rule><Status>Enabled</Status><Transition/><New>Enabled</New></Rule>",
    ];
    let some = subsequence(rules, 1..=4).prop_shuffle();
    let some = some.prop_map(|rules| present(&format!("<L>{}</L>", rules.join("\n"))));
    prop_oneof![1 => Just(Setting::Absent), 3 => some]
}

fn encryption() -> impl Strategy<Value = Setting> {
    let default = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>";
    let some = select(vec![
        "",
        "<BucketKeyEnabled>true</BucketKeyEnabled>",
        "<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes>",
        "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>",
        "<BlockedEncryptionTypes><EncryptionType>SSE-NEW</EncryptionType></BlockedEncryptionTypes><New/>",
    ]);
    let some =
        some.prop_map(move |more| present(&format!("<E>\n<Rule>{default}{more}</Rule></E>")));
    prop_oneof![1 => Just(Setting::Absent), 4 => some]
}

fn ownership_controls() -> impl Strategy<Value = Setting> {
    let some = one_of(&[
        "<O><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></O>",
        "<O>\n <Rule>\n  <ObjectOwnership>BucketOwnerPreferred</ObjectOwnership>\n </Rule>\n</O>",
        "<O><Rule><New>1</New><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></O>",
        "<O><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></O>",
    ]);
    prop_oneof![1 => Just(Setting::Absent), 3 => some]
}

fn cors() -> impl Strategy<Value = Setting> {
    let some = one_of(&[
        "<C><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></C>",
        "<C><CORSRule><AllowedOrigin>https://a</AllowedOrigin></CORSRule><CORSRule><New/></CORSRule></C>",
    ]);
    prop_oneof![1 => Just(Setting::Absent), 2 => some]
}

/// S3 never says that it is not configured.
fn logging() -> impl Strategy<Value = Setting> {
    let on = |target: &str| {
        format!(
            "<B><LoggingEnabled><TargetBucket>{target}</TargetBucket><TargetPrefix/><New/></LoggingEnabled></B>"
        )
    };
    one_of(&[
        "<B xmlns=\"http://doc.s3.amazonaws.com/2006-03-01\"/>",
        "<B>\n</B>",
        &on("elsewhere"),
        &on("amzn-s3-demo-logs"),
    ])
}

fn replication() -> impl Strategy<Value = Setting> {
    let rules = vec![
        "<Rule><ID>old</ID><Prefix/><Status>Enabled</Status><Destination/></Rule>",
        "<Rule><Filter><Prefix>a</Prefix></Filter><Status>Enabled</Status><Priority>1</Priority></Rule>",
        "<Rule><Status>Disabled</Status></Rule>",
        "<Rule><Status>Enabled</Status><DeleteMarkerReplication><Status>Enabled</Status></DeleteMarkerReplication></Rule>",
    ];
    let some = subsequence(rules, 1..=4).prop_shuffle().prop_map(|rules| {
        let role = "<Role>arn:aws:iam::111122223333:role/replication</Role>";
        present(&format!("<R>{role}{}</R>", rules.join("\n")))
    });
    prop_oneof![2 => Just(Setting::Absent), 2 => some]
}

fn one_of(texts: &[&str]) -> impl Strategy<Value = Setting> + use<> {
    select(texts.iter().map(|text| present(text)).collect::<Vec<_>>())
}

fn present(text: &str) -> Setting {
    Setting::Present(Document::Xml(XmlDocument::parse(text).unwrap()))
}

fn tags() -> impl Strategy<Value = Setting> {
    let some = subsequence(
        vec![
            ("team", "data"),
            ("Größe", "überall"),
            ("aws:cloudformation:stack-name", "catalog"),
            ("portcullis:contained", "earlier"),
            ("empty", ""),
        ],
        1..=4,
    );
    // S3 takes no more than 50 of them.
    let others = prop_oneof![6 => Just(0), 1 => Just(49), 1 => Just(50)];
    let some = (some, others).prop_map(|(some, others)| {
        let some = some
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let of_aws = |(key, _): &(String, String)| key.starts_with("aws:");
        let others = (0..others).map(|number| (format!("tag-{number}"), String::new()));
        let tags: BTreeMap<String, String> = match others.len() {
            0 => some.collect(),
            _ => some.filter(of_aws).chain(others).collect(),
        };
        Setting::Present(Document::Tags(tags))
    });
    prop_oneof![1 => Just(Setting::Absent), 3 => some]
}

fn flags() -> impl Strategy<Value = Setting> {
    let some = any::<[bool; 4]>().prop_map(|[a, b, c, d]| PublicAccessBlock {
        block_public_acls: a,
        ignore_public_acls: b,
        block_public_policy: c,
        restrict_public_buckets: d,
    });
    let present = |flags| Setting::Present(Document::PublicAccessBlock(flags));
    prop_oneof![
        4 => Just(Setting::Absent),
        2 => Just(present(PublicAccessBlock::default())),
        2 => some.prop_map(present),
        1 => Just(present(PublicAccessBlock::ALL)),
    ]
}

fn acl() -> impl Strategy<Value = Acl> {
    let groups = [
        EVERYBODY,
        CUSTOMERS,
        "http://acs.amazonaws.com/groups/s3/LogDelivery",
    ];
    let groups = groups
        .into_iter()
        .flat_map(|group| ["READ", "WRITE"].map(|permission| ("Group", group, permission)));
    let partner = [("CanonicalUser", "partner", "READ")];
    let grants: Vec<_> = groups.chain(partner).collect();
    subsequence(grants, 0..=3).prop_map(|grants| {
        let owner = ("CanonicalUser", "owner", "FULL_CONTROL");
        let grants = std::iter::once(owner).chain(grants);
        let grants = grants.map(|(kind, grantee, permission)| Grant {
            grantee_type: kind.to_owned(),
            grantee: grantee.to_owned(),
            permission: permission.to_owned(),
        });
        Acl {
            owner: "owner".to_owned(),
            grants: grants.collect(),
        }
    })
}
