//! The Deny statements that Portcullis writes, and how a later finding merges into them.
//!
//! One shape serves every measure: Principal is always `"*"` (a principal that is deleted later would make the whole policy
//! unwritable), the bucket and its objects are both named, conditions say whom it hits, and every statement spares
//! break-glass and Portcullis's own role. A statement with our Sid that is not of this shape was changed by somebody else:
//! it counts as foreign and is left alone.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::settings::{PolicyDocument, Statement};

/// Every Sid of ours begins with this.
pub const SID_PREFIX: &str = "Portcullis";

/// One Deny of ours, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deny {
    /// Alphanumeric; names the measure.
    pub sid: String,
    /// The actions denied.
    pub actions: BTreeSet<String>,
    /// Whom it hits; none hits everybody who is not spared.
    pub hits: Option<Hits>,
    /// Whether AWS services acting for themselves (log delivery, CloudTrail, CloudFront) are spared.
    pub spare_services: bool,
    /// Patterns of `aws:PrincipalArn` that it never hits: break-glass and Portcullis itself.
    pub spared: BTreeSet<String>,
}

/// A condition that a request must meet to be denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hits {
    /// The condition operator, such as `StringLike`.
    pub operator: &'static str,
    /// The condition key, such as `aws:userid`.
    pub key: &'static str,
    /// The values; a later finding adds to them.
    pub values: BTreeSet<String>,
}

/// The keys that our statements test, with the operator each is tested by.
const HITS: [(&str, &str); 4] = [
    ("StringLike", "aws:userid"),
    ("StringEquals", "aws:PrincipalAccount"),
    ("StringEquals", "aws:PrincipalType"),
    ("IpAddress", "aws:SourceIp"),
];

const SPARED: (&str, &str) = ("ArnNotLike", "aws:PrincipalArn");
const SERVICES: (&str, &str) = ("BoolIfExists", "aws:PrincipalIsAWSService");

impl Deny {
    /// The statement for a bucket, as it is written.
    pub fn statement(&self, bucket_arn: &str) -> Statement {
        let mut condition = Map::new();
        if let Some(hits) = &self.hits {
            condition.insert(hits.operator.into(), json!({ hits.key: hits.values }));
        }
        condition.insert(SPARED.0.into(), json!({ SPARED.1: self.spared }));
        if self.spare_services {
            // `Bool` alone would spare anonymous callers, for whom the key is absent.
            condition.insert(SERVICES.0.into(), json!({ SERVICES.1: "false" }));
        }
        Statement::new(json!({
            "Sid": self.sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": self.actions,
            "Resource": [bucket_arn, format!("{bucket_arn}/*")],
            "Condition": condition,
        }))
    }

    /// Reads a statement that is exactly of our shape for this bucket; anything else is foreign.
    pub fn parse(statement: &Statement, bucket_arn: &str) -> Option<Self> {
        let sid = statement.sid().filter(|sid| sid.starts_with(SID_PREFIX))?;
        let condition = statement.value().get("Condition")?.as_object()?;
        let hits = HITS.iter().find_map(|&(operator, key)| {
            let values = set(condition.get(operator)?.get(key)?);
            Some(Hits {
                operator,
                key,
                values,
            })
        });
        let deny = Self {
            sid: sid.to_owned(),
            actions: statement
                .list("Action")
                .into_iter()
                .map(str::to_owned)
                .collect(),
            hits,
            spare_services: condition.contains_key(SERVICES.0),
            spared: set(condition.get(SPARED.0)?.get(SPARED.1)?),
        };
        (deny.statement(bucket_arn) == *statement).then_some(deny)
    }

    /// Puts the statement into `policy`: merged into ours of the same Sid, in its place, or appended. Foreign statements
    /// keep their text and order. Who is spared is renewed, so that break-glass always holds as the policy file has it now.
    pub fn amend(&self, policy: Option<&PolicyDocument>, bucket_arn: &str) -> PolicyDocument {
        let mut statements = policy
            .map(|policy| policy.statements().to_vec())
            .unwrap_or_default();
        let mine = statements.iter().position(|statement| {
            Self::parse(statement, bucket_arn).is_some_and(|other| other.is_mergeable(self))
        });
        match mine {
            Some(index) => {
                let merged =
                    Self::parse(&statements[index], bucket_arn).map(|other| self.merged(&other));
                let merged = merged.unwrap_or_else(|| self.clone()).statement(bucket_arn);
                if merged != statements[index] {
                    statements[index] = merged;
                }
            }
            None => {
                let sid = free_sid(&self.sid, &statements);
                statements.push(
                    Self {
                        sid,
                        ..self.clone()
                    }
                    .statement(bucket_arn),
                );
            }
        }
        match policy {
            Some(policy) => policy.with_statements(statements),
            None => PolicyDocument::new(statements),
        }
    }

    /// What remains of `self` once everything that `added` hits is taken out; none when nothing remains.
    pub fn without(&self, added: &BTreeSet<String>) -> Option<Self> {
        let hits = self.hits.as_ref()?;
        let values: BTreeSet<String> = hits.values.difference(added).cloned().collect();
        (!values.is_empty()).then(|| Self {
            hits: Some(Hits {
                values,
                ..hits.clone()
            }),
            ..self.clone()
        })
    }

    /// The values that it hits; empty for a statement that hits everybody.
    pub fn values(&self) -> BTreeSet<String> {
        self.hits
            .as_ref()
            .map(|hits| hits.values.clone())
            .unwrap_or_default()
    }

    /// Whether every one of `principals` (patterns of `aws:PrincipalArn`) is surely spared.
    pub fn spares(&self, principals: &BTreeSet<String>) -> bool {
        principals.iter().all(|principal| {
            self.spared.iter().any(|spared| {
                spared == principal || wildmatch::WildMatch::new(spared).matches(principal)
            })
        })
    }

    /// The base of a Sid: without the number that tells it from a foreign statement of the same name.
    fn base_sid(&self) -> &str {
        self.sid.trim_end_matches(|c: char| c.is_ascii_digit())
    }

    fn is_mergeable(&self, other: &Self) -> bool {
        let key = |deny: &Self| deny.hits.as_ref().map(|hits| (hits.operator, hits.key));
        self.base_sid() == other.base_sid()
            && self.actions == other.actions
            && self.spare_services == other.spare_services
            && key(self) == key(other)
    }

    fn merged(&self, other: &Self) -> Self {
        let hits = self.hits.clone().map(|mut hits| {
            hits.values.extend(other.values());
            hits
        });
        Self {
            sid: other.sid.clone(),
            hits,
            ..self.clone()
        }
    }
}

/// S3 wants the Sids of one policy to differ.
fn free_sid(base: &str, statements: &[Statement]) -> String {
    let taken = |sid: &str| {
        statements
            .iter()
            .any(|statement| statement.sid() == Some(sid))
    };
    let numbered = (2..).map(|number| format!("{base}{number}"));
    std::iter::once(base.to_owned())
        .chain(numbered)
        .find(|sid| !taken(sid))
        .unwrap_or_else(|| base.to_owned())
}

fn set(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        Value::String(text) => BTreeSet::from([text.clone()]),
        _ => BTreeSet::new(),
    }
}
