//! The Deny statements that Portcullis writes, and how a later finding merges into them.
//!
//! One shape serves every measure: Principal is always `"*"` (a principal that is deleted later would make the whole policy
//! unwritable), the bucket or access point and its objects are both named (or single objects), conditions say what it hits,
//! and every statement spares break-glass and Portcullis's own role. A statement with our Sid that is not of this shape was
//! changed by somebody else: it counts as foreign and is left alone.

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
    /// What the finding adds; none hits everybody who is not spared.
    pub hits: Option<Hits>,
    /// What must hold besides, as the measure's parameters have it. Statements that differ in it stand side by side, so that
    /// a request passes only if it passes each.
    pub only: Vec<Test>,
    /// Whether AWS services acting for themselves (log delivery, CloudTrail, CloudFront) are spared.
    pub spare_services: bool,
    /// Patterns of `aws:PrincipalArn` that it never hits: break-glass and Portcullis itself.
    pub spared: BTreeSet<String>,
}

/// Values that a later finding adds to: of a condition key, or keys of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hits {
    /// What the values are compared with.
    pub by: By,
    /// The values.
    pub values: BTreeSet<String>,
}

/// What the values of a statement are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A condition: operator and key.
    Condition(&'static str, &'static str),
    /// The object asked for, by its key.
    Object,
}

/// A condition with fixed values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// The condition operator.
    pub operator: &'static str,
    /// The condition key.
    pub key: &'static str,
    /// The values.
    pub values: BTreeSet<String>,
}

/// The conditions whose values accumulate.
const HITS: [(&str, &str); 5] = [
    ("StringLike", "aws:userid"),
    ("StringEquals", "aws:PrincipalAccount"),
    ("StringEquals", "aws:PrincipalType"),
    ("IpAddress", "aws:SourceIp"),
    (
        "StringEquals",
        "s3:ExistingObjectTag/GuardDutyMalwareScanStatus",
    ),
];

/// The conditions that parameters set.
const TESTS: [(&str, &str); 9] = [
    ("StringNotEquals", "aws:PrincipalOrgID"),
    ("StringNotEquals", "aws:PrincipalAccount"),
    ("NotIpAddress", "aws:SourceIp"),
    ("StringNotEquals", "aws:SourceVpce"),
    ("StringNotEquals", "aws:SourceVpc"),
    ("BoolIfExists", "aws:ViaAWSService"),
    ("StringEqualsIgnoreCase", "s3:authType"),
    ("NumericGreaterThan", "s3:signatureAge"),
    ("StringNotEquals", "s3express:SessionMode"),
];

const SPARED: (&str, &str) = ("ArnNotLike", "aws:PrincipalArn");
const SERVICES: (&str, &str) = ("BoolIfExists", "aws:PrincipalIsAWSService");

/// What a policy is attached to, by its ARN: a bucket or an access point.
#[derive(Debug, Clone, Copy)]
struct Resource<'a>(&'a str);

impl Resource<'_> {
    /// The bucket or access point with all that is in it. A directory bucket stands for its objects itself.
    fn all(self) -> Value {
        match self.0.split(':').nth(2) {
            Some("s3express") => json!([self.0]),
            _ => json!([self.0, self.object("*")]),
        }
    }

    /// `arn:aws:s3:::bucket/key`, but `arn:aws:s3:region:account:accesspoint/name/object/key`.
    fn object(self, key: &str) -> String {
        format!("{}{}{key}", self.0, self.infix())
    }

    fn key(self, arn: &str) -> Option<&str> {
        arn.strip_prefix(self.0)?.strip_prefix(self.infix())
    }

    fn infix(self) -> &'static str {
        let name = self.0.splitn(6, ':').nth(5).unwrap_or_default();
        match name.starts_with("accesspoint/") {
            true => "/object/",
            false => "/",
        }
    }
}

impl Deny {
    /// The statement for the policy of a bucket or an access point, as it is written.
    pub fn statement(&self, arn: &str) -> Statement {
        let mut condition: Map<String, Value> = Map::new();
        let mut test = |operator: &str, key: &str, values: Value| {
            let keys = condition.entry(operator).or_insert_with(|| json!({}));
            if let Value::Object(keys) = keys {
                keys.insert(key.to_owned(), values);
            }
        };
        let mut resource = Resource(arn).all();
        match &self.hits {
            Some(Hits {
                by: By::Condition(operator, key),
                values,
            }) => test(operator, key, json!(values)),
            Some(Hits {
                by: By::Object,
                values,
            }) => {
                let arns = values.iter().map(|key| Resource(arn).object(key));
                resource = arns.collect();
            }
            None => {}
        }
        for only in &self.only {
            test(only.operator, only.key, json!(only.values));
        }
        test(SPARED.0, SPARED.1, json!(self.spared));
        if self.spare_services {
            // `Bool` alone would spare anonymous callers, for whom the key is absent.
            test(SERVICES.0, SERVICES.1, json!("false"));
        }
        Statement::new(json!({
            "Sid": self.sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": self.actions,
            "Resource": resource,
            "Condition": condition,
        }))
    }

    /// Reads a statement that is exactly of our shape for this bucket or access point; anything else is foreign.
    pub fn parse(statement: &Statement, arn: &str) -> Option<Self> {
        let sid = statement.sid().filter(|sid| sid.starts_with(SID_PREFIX))?;
        let condition = statement.value().get("Condition")?.as_object()?;
        // The case of a condition key has no meaning.
        let values = |operator: &str, key: &str| {
            let keys = condition.get(operator)?.as_object()?;
            keys.iter()
                .find(|(other, _)| other.eq_ignore_ascii_case(key))
                .map(|(_, values)| set(values))
        };
        let objects = statement.list("Resource");
        let hits = match objects.contains(&arn) {
            true => HITS.iter().find_map(|&(operator, key)| {
                Some(Hits {
                    by: By::Condition(operator, key),
                    values: values(operator, key)?,
                })
            }),
            false => {
                let keys = objects
                    .into_iter()
                    .filter_map(|object| Resource(arn).key(object))
                    .filter(|key| !key.contains('*'));
                Some(Hits {
                    by: By::Object,
                    values: keys.map(str::to_owned).collect(),
                })
            }
        };
        let tests = TESTS.iter().filter_map(|&(operator, key)| {
            Some(Test {
                operator,
                key,
                values: values(operator, key)?,
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
            only: tests.collect(),
            spare_services: values(SERVICES.0, SERVICES.1).is_some(),
            spared: values(SPARED.0, SPARED.1)?,
        };
        (deny.statement(arn) == *statement).then_some(deny)
    }

    /// Puts the statement into `policy`: merged into ours of the same Sid, in its place, or appended. Foreign statements
    /// keep their text and order. Who is spared is renewed, so that break-glass always holds as the policy file has it now.
    pub fn amend(&self, policy: Option<&PolicyDocument>, arn: &str) -> PolicyDocument {
        let mut statements = policy
            .map(|policy| policy.statements().to_vec())
            .unwrap_or_default();
        let mine = statements.iter().position(|statement| {
            Self::parse(statement, arn).is_some_and(|other| other.is_mergeable(self))
        });
        match mine {
            Some(index) => {
                let merged = Self::parse(&statements[index], arn).map(|other| self.merged(&other));
                let merged = merged.unwrap_or_else(|| self.clone()).statement(arn);
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
                    .statement(arn),
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
                by: hits.by,
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
        let by = |deny: &Self| deny.hits.as_ref().map(|hits| hits.by);
        self.base_sid() == other.base_sid()
            && self.actions == other.actions
            && self.spare_services == other.spare_services
            && self.only == other.only
            && by(self) == by(other)
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
