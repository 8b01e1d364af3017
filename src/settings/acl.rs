//! The bucket's access control list.

use serde::{Deserialize, Serialize};

const GROUPS: [(&str, &str); 2] = [
    (
        "http://acs.amazonaws.com/groups/global/AllUsers",
        "everybody on the internet",
    ),
    (
        "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
        "everybody with an AWS account",
    ),
];

/// An ACL as GetBucketAcl returns it. With IgnorePublicAcls on, S3 hides the public grants from it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Acl {
    /// Canonical user id of the owner.
    pub owner: String,
    /// The grants, in S3's order.
    pub grants: Vec<Grant>,
}

/// One grant of an ACL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Grant {
    /// `CanonicalUser`, `Group` or `AmazonCustomerByEmail`.
    pub grantee_type: String,
    /// The canonical user id, the group's URI or the address.
    pub grantee: String,
    /// `READ`, `WRITE`, `READ_ACP`, `WRITE_ACP` or `FULL_CONTROL`.
    pub permission: String,
}

impl Grant {
    /// Whom a public grant admits, in words; none for a grant that is not public.
    pub fn public(&self) -> Option<&'static str> {
        GROUPS
            .iter()
            .find(|(uri, _)| *uri == self.grantee)
            .map(|(_, words)| *words)
    }
}

impl Grant {
    /// Whether it admits a single account other than the owner's. Groups are not meant: they are public or deliver logs.
    pub fn is_of_another_account(&self, owner: &str) -> bool {
        self.grantee_type != "Group" && self.grantee != owner
    }
}

impl Acl {
    /// Whether any grant is public.
    pub fn is_public(&self) -> bool {
        self.grants.iter().any(|grant| grant.public().is_some())
    }

    /// The ACL that grants nothing to anybody but the owner.
    pub fn private(&self) -> Self {
        let grant = Grant {
            grantee_type: "CanonicalUser".to_owned(),
            grantee: self.owner.clone(),
            permission: "FULL_CONTROL".to_owned(),
        };
        Self {
            owner: self.owner.clone(),
            grants: vec![grant],
        }
    }

    /// The same ACL without its public grants.
    pub fn without_public_grants(&self) -> Self {
        let grants = self
            .grants
            .iter()
            .filter(|grant| grant.public().is_none())
            .cloned()
            .collect();
        Self {
            owner: self.owner.clone(),
            grants,
        }
    }
}

impl PartialEq for Acl {
    /// The order of grants has no meaning.
    fn eq(&self, other: &Self) -> bool {
        let sorted = |acl: &Self| {
            let mut grants = acl.grants.clone();
            grants.sort();
            grants
        };
        self.owner == other.owner && sorted(self) == sorted(other)
    }
}
