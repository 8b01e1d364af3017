//! The S3 configuration documents that Portcullis reads and writes, each replaced whole by S3.
//!
//! A measure amends a desired copy of [`Settings`]; everything else (plan, evidence, rollback, drift) is comparison.
//! A setting that could not be read is [`Setting::Unreadable`], never [`Setting::Absent`].

mod access_points;
mod acl;
mod bucket_policy;
mod public;
mod unread;
mod xml;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use access_points::{AccessPoint, AccessPoints};
pub use acl::{Acl, Grant};
pub use bucket_policy::{MAX_POLICY_BYTES, PolicyDocument, PolicyError, Statement};
pub use unread::{BUSY, NO_CONNECTION, STATUS, TOO_LATE, is_busy, passes};
pub use xml::{Edit, Element, XmlDocument, XmlError, escaped};

use crate::classification::words;

words! {
    /// A setting, in the order in which changes are applied.
    ///
    /// The policies of the bucket and of its access points go before the public access block because S3 refuses one that is
    /// still public once BlockPublicPolicy is on; the ACL before the ownership controls because S3 takes BucketOwnerEnforced
    /// only once the ACL grants nothing to others, and no ACL afterwards. Rollback runs in the reverse order.
    SettingKind {
        /// Whether versions of objects are kept.
        Versioning = "versioning",
        /// The rules by which objects expire or move.
        Lifecycle = "lifecycle",
        /// The default encryption, and the kinds of encryption that are refused.
        Encryption = "encryption",
        /// The bucket policy.
        BucketPolicy = "bucket-policy",
        /// The policies of the bucket's access points.
        AccessPointPolicies = "access-point-policies",
        /// The bucket's access control list.
        Acl = "acl",
        /// Who owns the objects, and with it whether access control lists count.
        OwnershipControls = "ownership-controls",
        /// Which web pages may use the bucket from a browser.
        Cors = "cors",
        /// Where server access logs go.
        Logging = "logging",
        /// The rules by which objects are copied to other buckets.
        Replication = "replication",
        /// The bucket's Block Public Access flags.
        PublicAccessBlock = "public-access-block",
        /// The account's Block Public Access flags.
        AccountPublicAccessBlock = "account-public-access-block",
        /// The bucket's tags.
        Tags = "tags",
        /// The website configuration; only read.
        Website = "website",
        /// S3's own word on whether the bucket policy is public; only read.
        PolicyStatus = "policy-status",
    }
}

impl SettingKind {
    /// The setting's name in a sentence.
    pub fn title(self) -> &'static str {
        match self {
            Self::Versioning => "versioning",
            Self::Lifecycle => "lifecycle configuration",
            Self::Encryption => "default encryption",
            Self::BucketPolicy => "bucket policy",
            Self::AccessPointPolicies => "access point policies",
            Self::Acl => "access control list",
            Self::OwnershipControls => "ownership controls",
            Self::Cors => "CORS configuration",
            Self::Logging => "server access logging",
            Self::Replication => "replication configuration",
            Self::PublicAccessBlock => "public access block",
            Self::AccountPublicAccessBlock => "account public access block",
            Self::Tags => "tags",
            Self::Website => "website configuration",
            Self::PolicyStatus => "policy status",
        }
    }

    /// Whether a measure can change it; the others only tell what a bucket is like.
    pub fn is_amendable(self) -> bool {
        !matches!(self, Self::Website | Self::PolicyStatus)
    }
}

/// What was observed of one setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// The document is there.
    Present(Document),
    /// S3 says that it is not configured.
    Absent,
    /// It could not be read; what it holds is unknown.
    Unreadable {
        /// The API that failed.
        operation: String,
        /// The error code it gave.
        code: String,
    },
}

impl Setting {
    /// The policy; none where it is another setting, or there is none to see.
    pub fn policy(&self) -> Option<&PolicyDocument> {
        match self {
            Self::Present(Document::BucketPolicy(policy)) => Some(policy),
            _ => None,
        }
    }

    /// The access points; none where it is another setting, or they cannot be seen.
    pub fn access_points(&self) -> Option<&AccessPoints> {
        match self {
            Self::Present(Document::AccessPointPolicies(points)) => Some(points),
            _ => None,
        }
    }

    /// The grants of the ACL; none where it is another setting, or cannot be seen.
    pub fn grants(&self) -> &[Grant] {
        match self {
            Self::Present(Document::Acl(acl)) => &acl.grants,
            _ => &[],
        }
    }
}

/// A setting's document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Document {
    /// Of [`SettingKind::BucketPolicy`]. Serialized as the exact text that S3 returned.
    BucketPolicy(PolicyDocument),
    /// Of [`SettingKind::AccessPointPolicies`]. Always there: a bucket without access points has an empty one.
    AccessPointPolicies(AccessPoints),
    /// Of [`SettingKind::Acl`].
    Acl(Acl),
    /// Of [`SettingKind::PublicAccessBlock`] and [`SettingKind::AccountPublicAccessBlock`].
    PublicAccessBlock(PublicAccessBlock),
    /// Of [`SettingKind::Tags`].
    Tags(BTreeMap<String, String>),
    /// Of every other setting: the exact text that S3 returned.
    Xml(XmlDocument),
}

/// The four Block Public Access flags. S3 replaces all four at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PublicAccessBlock {
    /// New public ACLs are refused.
    pub block_public_acls: bool,
    /// Public ACLs are ignored.
    pub ignore_public_acls: bool,
    /// New public policies are refused.
    pub block_public_policy: bool,
    /// A public policy admits only the owner's account and AWS services.
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// All four flags on.
    pub const ALL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };

    /// The flags with the names that S3 gives them.
    pub fn flags(&self) -> [(&'static str, bool); 4] {
        let Self {
            block_public_acls,
            ignore_public_acls,
            block_public_policy,
            restrict_public_buckets,
        } = *self;
        [
            ("block-public-acls", block_public_acls),
            ("ignore-public-acls", ignore_public_acls),
            ("block-public-policy", block_public_policy),
            ("restrict-public-buckets", restrict_public_buckets),
        ]
    }
}

/// The settings that were read, or that are desired. A kind that is missing was not asked for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(pub BTreeMap<SettingKind, Setting>);

impl Settings {
    /// The setting, or none where it was not read.
    pub fn get(&self, kind: SettingKind) -> Option<&Setting> {
        self.0.get(&kind)
    }

    /// Puts `document` in place.
    pub fn set(&mut self, kind: SettingKind, document: Document) {
        self.0.insert(kind, Setting::Present(document));
    }

    /// The bucket policy: `Ok(None)` where there is none, the setting itself where it is unknown.
    pub fn bucket_policy(&self) -> Result<Option<&PolicyDocument>, Unknown<'_>> {
        match self.get(SettingKind::BucketPolicy) {
            Some(Setting::Present(Document::BucketPolicy(policy))) => Ok(Some(policy)),
            Some(Setting::Absent) => Ok(None),
            other => Err(Unknown {
                kind: SettingKind::BucketPolicy,
                setting: other,
            }),
        }
    }

    /// The bucket's access points, none where it has none.
    pub fn access_points(&self) -> Result<&AccessPoints, Unknown<'_>> {
        match self.get(SettingKind::AccessPointPolicies) {
            Some(Setting::Present(Document::AccessPointPolicies(points))) => Ok(points),
            other => Err(Unknown {
                kind: SettingKind::AccessPointPolicies,
                setting: other,
            }),
        }
    }

    /// The ACL, which every readable bucket has.
    pub fn acl(&self) -> Result<&Acl, Unknown<'_>> {
        match self.get(SettingKind::Acl) {
            Some(Setting::Present(Document::Acl(acl))) => Ok(acl),
            other => Err(Unknown {
                kind: SettingKind::Acl,
                setting: other,
            }),
        }
    }

    /// The bucket's or the account's flags, all off where none are configured.
    pub fn public_access_block(&self, kind: SettingKind) -> Result<PublicAccessBlock, Unknown<'_>> {
        match self.get(kind) {
            Some(Setting::Present(Document::PublicAccessBlock(flags))) => Ok(*flags),
            Some(Setting::Absent) => Ok(PublicAccessBlock::default()),
            other => Err(Unknown {
                kind,
                setting: other,
            }),
        }
    }

    /// A setting that is kept as XML: `Ok(None)` where there is none, the setting itself where it is unknown.
    pub fn xml(&self, kind: SettingKind) -> Result<Option<&XmlDocument>, Unknown<'_>> {
        match self.get(kind) {
            Some(Setting::Present(Document::Xml(document))) => Ok(Some(document)),
            Some(Setting::Absent) => Ok(None),
            other => Err(Unknown {
                kind,
                setting: other,
            }),
        }
    }

    /// Whether S3 itself calls the bucket policy public; none where it was not asked or did not say.
    pub fn policy_status(&self) -> Option<bool> {
        match self.xml(SettingKind::PolicyStatus).ok()? {
            None => Some(false),
            Some(document) => match document.root().value("IsPublic") {
                "TRUE" | "true" => Some(true),
                "FALSE" | "false" => Some(false),
                _ => None,
            },
        }
    }

    /// Whether the ownership controls were read and have S3 ignore every access control list.
    pub fn disables_acls(&self) -> bool {
        let controls = self.xml(SettingKind::OwnershipControls).ok().flatten();
        controls
            .and_then(|document| document.root().child("Rule"))
            .is_some_and(|rule| rule.value("ObjectOwnership") == "BucketOwnerEnforced")
    }

    /// The tags, empty where there are none.
    pub fn tags(&self) -> Result<BTreeMap<String, String>, Unknown<'_>> {
        match self.get(SettingKind::Tags) {
            Some(Setting::Present(Document::Tags(tags))) => Ok(tags.clone()),
            Some(Setting::Absent) => Ok(BTreeMap::new()),
            other => Err(Unknown {
                kind: SettingKind::Tags,
                setting: other,
            }),
        }
    }
}

/// A setting whose content is not known, and why.
#[derive(Debug, Clone, Copy)]
pub struct Unknown<'a> {
    kind: SettingKind,
    setting: Option<&'a Setting>,
}

impl Unknown<'_> {
    /// The same as it is shown. A backtest asks for several of each finding, and joining the words costs less than writing
    /// them one after the other.
    pub fn told(&self) -> String {
        self.words().concat()
    }

    fn words(&self) -> [&str; 6] {
        let (what, operation, answered, code) = match self.setting {
            Some(Setting::Unreadable { operation, code }) => (
                " could not be read: ",
                operation.as_str(),
                " answered ",
                code.as_str(),
            ),
            _ => (" was not read", "", "", ""),
        };
        ["the ", self.kind.title(), what, operation, answered, code]
    }
}

impl std::fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.words().iter().try_for_each(|word| f.write_str(word))
    }
}
