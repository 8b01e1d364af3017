//! The measures as rules ask for them, and the bucket that they are taken on.

use portcullis::classification::Own;
use portcullis::decision::{Situation, decide};
use portcullis::enrichment::Enrichment;
use portcullis::finding::{Actor, Bucket, Event, Finding, Object, Remote, Target, UserType, read};
use portcullis::policy::{self, Mode};
use portcullis::settings::{
    Acl, Document, Grant, PolicyDocument, PublicAccessBlock, SettingKind, Settings,
};
use portcullis::yaml;
use serde_json::json;

use super::callers::{
    ACCOUNT, ACTOR_ROLE, BALANCERS, BUCKET, DISTRIBUTION, FINDING_ADDRESS, IDENTITY, MALWARE,
    ORGANIZATION, OWN_ROLE, PARTNER, PARTNER_ROLE, TRAIL,
};

/// A measure as a rule asks for it.
pub(super) struct Variant {
    pub(super) table: usize,
    pub(super) heading: &'static str,
    pub(super) yaml: &'static str,
    pub(super) actor: Who,
}

/// Whom the finding names.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Who {
    Session,
    Partner,
    Anonymous,
}

pub(super) const TABLES: [&str; 4] = [
    "Against the actor",
    "Against public access",
    "Against everybody",
    "Against everybody but some",
];

pub(super) const fn variant(
    table: usize,
    heading: &'static str,
    yaml: &'static str,
    actor: Who,
) -> Variant {
    Variant {
        table,
        heading,
        yaml,
        actor,
    }
}

pub(super) const VARIANTS: [Variant; 26] = [
    variant(
        0,
        "`deny-actor` `scope: session`",
        "{ deny-actor: { scope: session } }",
        Who::Session,
    ),
    variant(0, "`deny-actor`", "deny-actor", Who::Session),
    variant(
        0,
        "`deny-actor`, the actor anonymous",
        "deny-actor",
        Who::Anonymous,
    ),
    variant(
        0,
        "`deny-actor`, the actor of the partner",
        "deny-actor",
        Who::Partner,
    ),
    variant(
        0,
        "`deny-actor` `scope: account`, the actor of the partner",
        "{ deny-actor: { scope: account } }",
        Who::Partner,
    ),
    variant(0, "`deny-source-ip`", "deny-source-ip", Who::Session),
    variant(
        0,
        "`freeze-configuration`",
        "freeze-configuration",
        Who::Session,
    ),
    variant(
        0,
        "`preserve-data` `for: actor`",
        "{ preserve-data: { for: actor } }",
        Who::Session,
    ),
    variant(
        1,
        "`remove-public-grants`",
        "remove-public-grants",
        Who::Session,
    ),
    variant(
        1,
        "`block-public-access` alone",
        "block-public-access",
        Who::Session,
    ),
    variant(
        1,
        "`block-account-public-access` alone",
        "block-account-public-access",
        Who::Session,
    ),
    variant(
        1,
        "`remove-public-grants` and `block-public-access`",
        "remove-public-grants, block-public-access",
        Who::Session,
    ),
    variant(2, "`quarantine-object`", "quarantine-object", Who::Session),
    variant(
        2,
        "`freeze-configuration` `for: everyone`",
        "{ freeze-configuration: { for: everyone } }",
        Who::Session,
    ),
    variant(2, "`preserve-data`", "preserve-data", Who::Session),
    variant(
        2,
        "`isolate` `access: writes`",
        "{ isolate: { access: writes } }",
        Who::Session,
    ),
    variant(2, "`isolate`", "isolate", Who::Session),
    variant(
        2,
        "`isolate` `access: all`",
        "{ isolate: { access: all } }",
        Who::Session,
    ),
    variant(3, "`deny-outside`", "deny-outside", Who::Session),
    variant(
        3,
        "`deny-outside`, the organization named",
        "{ deny-outside: { organizations: [o-exampleorg1] } }",
        Who::Session,
    ),
    variant(
        3,
        "`deny-outside`, the partner's account named",
        "{ deny-outside: { accounts: [\"444455556666\"] } }",
        Who::Session,
    ),
    variant(
        3,
        "`restrict-network` to `cidrs`",
        "{ restrict-network: { cidrs: [203.0.113.0/24] } }",
        Who::Session,
    ),
    variant(
        3,
        "`restrict-network` to `vpc-endpoints`",
        "{ restrict-network: { vpc-endpoints: [vpce-0123456789abcdef0] } }",
        Who::Session,
    ),
    variant(
        3,
        "`restrict-network` to both",
        "{ restrict-network: { vpc-endpoints: [vpce-0123456789abcdef0], cidrs: [203.0.113.0/24] } }",
        Who::Session,
    ),
    variant(
        3,
        "`deny-presigned-urls`",
        "deny-presigned-urls",
        Who::Session,
    ),
    variant(
        3,
        "`deny-presigned-urls` `older-than: 10m`",
        "{ deny-presigned-urls: { older-than: 10m } }",
        Who::Session,
    ),
];

/// The bucket of the page: public, with grants to all who may have one.
pub(super) fn observed() -> Settings {
    let objects = format!("{BUCKET}/*");
    let everything = [BUCKET, &objects];
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        {
            "Sid": "World", "Effect": "Allow", "Principal": "*",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": objects,
        },
        {
            "Sid": "Partner", "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{PARTNER}:root") },
            "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:PutObject"],
            "Resource": everything,
        },
        {
            "Sid": "Organization", "Effect": "Allow", "Principal": "*",
            "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"],
            "Resource": everything,
            "Condition": { "StringEquals": { "aws:PrincipalOrgID": ORGANIZATION } },
        },
        {
            "Sid": "CloudFront", "Effect": "Allow",
            "Principal": { "Service": "cloudfront.amazonaws.com" },
            "Action": "s3:GetObject", "Resource": objects,
            "Condition": { "StringEquals": { "aws:SourceArn": DISTRIBUTION } },
        },
        {
            "Sid": "CloudFrontIdentity", "Effect": "Allow", "Principal": { "AWS": IDENTITY },
            "Action": "s3:GetObject", "Resource": objects,
        },
        {
            "Sid": "LoadBalancers", "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{BALANCERS}:root") },
            "Action": "s3:PutObject", "Resource": format!("{BUCKET}/AWSLogs/{ACCOUNT}/*"),
        },
        {
            "Sid": "LogDelivery", "Effect": "Allow",
            "Principal": { "Service": "logging.s3.amazonaws.com" },
            "Action": "s3:PutObject", "Resource": format!("{BUCKET}/logs/*"),
            "Condition": { "StringEquals": { "aws:SourceAccount": ACCOUNT } },
        },
        {
            "Sid": "CloudTrail", "Effect": "Allow",
            "Principal": { "Service": "cloudtrail.amazonaws.com" },
            "Action": "s3:PutObject", "Resource": format!("{BUCKET}/AWSLogs/{ACCOUNT}/*"),
            "Condition": { "StringEquals": { "aws:SourceArn": TRAIL } },
        },
    ] });
    let policy = PolicyDocument::parse(&policy.to_string()).unwrap();
    let acl = Acl {
        owner: "owner".to_owned(),
        grants: vec![Grant {
            grantee_type: "CanonicalUser".to_owned(),
            grantee: "owner".to_owned(),
            permission: "FULL_CONTROL".to_owned(),
        }],
    };
    let flags = || Document::PublicAccessBlock(PublicAccessBlock::default());
    let mut settings = Settings::default();
    settings.set(SettingKind::BucketPolicy, Document::BucketPolicy(policy));
    settings.set(SettingKind::Acl, Document::Acl(acl));
    settings.set(SettingKind::PublicAccessBlock, flags());
    settings.set(SettingKind::AccountPublicAccessBlock, flags());
    for (kind, text) in [
        (SettingKind::Versioning, "<VersioningConfiguration/>"),
        (SettingKind::Lifecycle, "<LifecycleConfiguration/>"),
    ] {
        let document = serde_json::from_value(json!({ "xml": { "text": text } })).unwrap();
        settings.set(kind, document);
    }
    settings
}

impl Variant {
    /// The settings as the core would leave them.
    pub(super) fn contained(&self, observed: &Settings) -> Settings {
        let text = format!(
            "version: 1\nmode: enforce\nbreak-glass: [\"arn:aws:iam::*:role/SecurityBreakGlass\"]\n\
             rules:\n  - id: contain\n    when: {{ bucket-use: log-target }}\n    measures: [{}]\n  - id: others\n    measures: []\n",
            self.yaml
        );
        let loaded = policy::load("policy.yaml", &text, jiff::civil::date(2026, 10, 5));
        let policy = loaded
            .policy
            .unwrap_or_else(|| panic!("{}", yaml::render(&loaded.diagnostics, &text, false)));
        let own = Own {
            principals: vec![OWN_ROLE.to_owned()],
            account: Some(ACCOUNT.to_owned()),
        };
        let finding = self.finding();
        let situation = Situation {
            finding: &finding,
            target: &finding.targets[0],
            policy: &policy,
            stack_mode: Mode::Enforce,
            own: &own,
            operator: None,
            observed,
            enrichment: &Enrichment::default(),
            stops: &[],
            policy_refused: false,
            now: "2026-10-05T09:00:00Z".parse().unwrap(),
        };
        let decision = decide(&situation).1;
        assert!(
            decision.withheld.is_empty() && decision.acts(),
            "{}: {:?}",
            self.heading,
            decision.withheld
        );
        let mut after = observed.clone();
        for change in decision.plan.changes {
            after.0.insert(change.setting, change.after);
        }
        after
    }

    fn finding(&self) -> Finding {
        let event = include_bytes!("../../../events/exfiltration-anomalous.json");
        let Ok(Event::Finding(finding)) = read(event).remove(0) else {
            panic!("the event is a finding")
        };
        let actor = |user_type, id: Option<String>, account: Option<&str>| Actor {
            user_type,
            principal_id: id,
            account: account.map(str::to_owned),
            ..Actor::default()
        };
        let actor = match self.actor {
            Who::Session => actor(
                UserType::AssumedRole,
                Some(format!("{ACTOR_ROLE}:stolen")),
                Some(ACCOUNT),
            ),
            Who::Partner => actor(
                UserType::AwsAccount,
                Some(format!("{PARTNER_ROLE}:session")),
                Some(PARTNER),
            ),
            Who::Anonymous => actor(UserType::Anonymous, None, None),
        };
        let bucket = Bucket {
            name: BUCKET.rsplit(':').next().unwrap().to_owned(),
            account: ACCOUNT.to_owned(),
            objects: vec![Object {
                key: MALWARE.to_owned(),
                version: None,
            }],
            ..Bucket::default()
        };
        Finding {
            targets: vec![Target::Bucket(bucket)],
            actors: vec![actor],
            remotes: vec![Remote {
                address: Some(FINDING_ADDRESS.parse().unwrap()),
                ..Remote::default()
            }],
            ..*finding
        }
    }
}
