//! The policies of a bucket's access points: documents that are each written alone, of things that come and go by other hands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PolicyDocument;

/// The access points of a bucket in the account that owns it, by their names.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccessPoints(pub BTreeMap<String, AccessPoint>);

/// One access point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AccessPoint {
    /// Its ARN, which statements of its policy name.
    pub arn: String,
    /// The VPC that alone can reach it. S3 takes no policy of such an access point for public.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vpc: Option<String>,
    /// Its policy, if it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<PolicyDocument>,
}

impl AccessPoints {
    /// Those whose policy is another one in `after`, as they are there. What is only here or only there was deleted or
    /// created by somebody, and has no policy to be changed.
    pub fn changed<'a>(
        &'a self,
        after: &'a Self,
    ) -> impl Iterator<Item = (&'a str, &'a AccessPoint)> {
        after.0.iter().filter_map(|(name, after)| {
            let before = self.0.get(name)?;
            (before.policy != after.policy).then_some((name.as_str(), after))
        })
    }

    /// The same access points, with the policies that `from` has of those named.
    pub fn with_policies<'a>(&self, names: impl Iterator<Item = &'a str>, from: &Self) -> Self {
        let mut result = self.clone();
        for name in names {
            if let (Some(point), Some(from)) = (result.0.get_mut(name), from.0.get(name)) {
                point.policy = from.policy.clone();
            }
        }
        result
    }
}
