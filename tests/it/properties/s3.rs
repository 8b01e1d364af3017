//! A model of S3: what it answers, what it refuses, and how it writes down what it stores.

use std::collections::BTreeSet;

use portcullis::plan::Plan;
use portcullis::settings::{
    Acl, Document, Element, MAX_POLICY_BYTES, PolicyDocument, PublicAccessBlock, Setting,
    SettingKind, Settings, XmlDocument, escaped,
};
use serde_json::{Value, json};

use super::callers::Caller;
use super::{ACCOUNT, CUSTOMERS, EVERYBODY, ORPHAN, PARTNER, present};
use crate::evaluator::{Judged, Verdict};

const BLOCKS_POLICIES: &str = "BlockPublicPolicy is on";
const GRANTS_TO_OTHERS: &str = "the ACL grants something to others";
/// AWS's own tags are beside this.
const MAX_TAGS: usize = 50;

#[derive(Debug, Clone)]
pub(super) struct S3 {
    pub(super) settings: Settings,
    pub(super) unreadable: Vec<SettingKind>,
}

impl S3 {
    /// What GetBucketPolicy and its like answer.
    pub(super) fn observe(&self, rewritten: bool) -> Settings {
        let mut observed = self.settings.clone();
        if let (true, Ok(acl)) = (self.hides_grants(), self.settings.acl()) {
            observed.set(SettingKind::Acl, Document::Acl(acl.without_public_grants()));
        }
        if rewritten {
            for setting in observed.0.values_mut() {
                match setting {
                    Setting::Present(Document::BucketPolicy(policy)) => {
                        let policy = rewrite(serde_json::from_str(policy.text()).unwrap());
                        *setting = present(&policy.to_string());
                    }
                    Setting::Present(Document::Xml(document)) => {
                        *document = XmlDocument::parse(&rewrite_xml(document.root())).unwrap();
                    }
                    _ => {}
                }
            }
        }
        for kind in &self.unreadable {
            let code = "AccessDenied".to_owned();
            observed.0.insert(
                *kind,
                Setting::Unreadable {
                    operation: "Get".to_owned(),
                    code,
                },
            );
        }
        observed
    }

    /// Makes the changes one after the other, and refuses what S3 refuses. Says whether all of them were made.
    #[track_caller]
    pub(super) fn apply(&mut self, plan: &Plan) -> bool {
        let mut all = true;
        for change in &plan.changes {
            match self.accepts(change.setting, &change.after) {
                Ok(()) => drop(self.settings.0.insert(change.setting, change.after.clone())),
                // Nobody could see it coming: the write fails, and the rest of the plan goes on.
                Err(BLOCKS_POLICIES) if self.hides_flags() => all = false,
                Err(GRANTS_TO_OTHERS) if self.hides_grants() => all = false,
                Err(refusal) => panic!(
                    "S3 refuses the {}: {refusal}: {}",
                    change.setting,
                    json!(plan)
                ),
            }
        }
        all
    }

    /// Whether S3 would take today what the bucket holds.
    pub(super) fn accepts_itself(&self) -> bool {
        let settings = &self.settings.0;
        settings
            .iter()
            .all(|(kind, setting)| self.accepts(*kind, setting).is_ok())
    }

    pub(super) fn hides_flags(&self) -> bool {
        self.unreadable
            .iter()
            .any(|kind| kind.word().ends_with("public-access-block"))
    }

    /// While IgnorePublicAcls is on, S3 does not show the public grants.
    pub(super) fn hides_grants(&self) -> bool {
        self.flag(|flags| flags.ignore_public_acls)
    }

    /// Whether a request goes through on which the evaluator has this verdict; it knows no access control lists.
    pub(super) fn lets(&self, verdict: Verdict, caller: &Caller, action: &str) -> bool {
        let permission = match action {
            "s3:ListBucket" => "READ",
            "s3:PutObject" | "s3:DeleteObject" => "WRITE",
            _ => "",
        };
        let grants = self.settings.acl().unwrap().grants.iter().any(|grant| {
            let group = grant.grantee == EVERYBODY
                || (grant.grantee == CUSTOMERS && caller.principal.is_some());
            group && grant.permission == permission
        });
        let counts = !self.is_enforced() && !self.hides_grants();
        verdict == Verdict::Allowed || (verdict != Verdict::Denied && grants && counts)
    }

    pub(super) fn judged(&self) -> Judged {
        Judged::new(&self.settings)
    }

    fn accepts(&self, kind: SettingKind, setting: &Setting) -> Result<(), &'static str> {
        let document = match setting {
            Setting::Present(document) => document,
            Setting::Unreadable { .. } => return Err("it is unknown"),
            Setting::Absent => return accepts_absence(kind),
        };
        match document {
            Document::Acl(acl) => self.accepts_acl(acl),
            Document::BucketPolicy(policy) => self.accepts_policy(policy),
            Document::PublicAccessBlock(_) | Document::AccessPointPolicies(_) => Ok(()),
            Document::Tags(tags) => {
                let of_aws = |tags: &std::collections::BTreeMap<String, String>| -> BTreeSet<_> {
                    let tags = tags.clone().into_iter();
                    tags.filter(|(key, _)| key.starts_with("aws:")).collect()
                };
                if of_aws(tags) != of_aws(&self.settings.tags().unwrap()) {
                    Err("only AWS changes its own tags")
                } else if tags.len() - of_aws(tags).len() > MAX_TAGS {
                    Err("there are too many tags")
                } else if tags.values().any(|value| value.chars().count() > 256) {
                    Err("a tag is too long")
                } else {
                    Ok(())
                }
            }
            Document::Xml(document) => self.accepts_xml(kind, document),
        }
    }

    fn accepts_acl(&self, acl: &Acl) -> Result<(), &'static str> {
        let now = self.settings.acl().unwrap();
        if acl.owner != now.owner {
            Err("its owner is another")
        } else if self.is_enforced() && acl != now {
            Err("ACLs are disabled")
        } else if acl.is_public() && self.flag(|flags| flags.block_public_acls) {
            Err("BlockPublicAcls is on")
        } else {
            Ok(())
        }
    }

    fn accepts_policy(&self, policy: &PolicyDocument) -> Result<(), &'static str> {
        let sids: Vec<&str> = policy.statements().iter().filter_map(|s| s.sid()).collect();
        let unique: BTreeSet<&str> = sids.iter().copied().collect();
        if policy.statements().is_empty() {
            Err("it has no statement")
        } else if unique.len() < sids.len() {
            Err("two statements have the same Sid")
        } else if policy.text().contains(ORPHAN) {
            Err("it names a principal that does not exist")
        } else if compact(policy).len() > MAX_POLICY_BYTES {
            Err("it is too large")
        } else if policy.is_public() && self.flag(|flags| flags.block_public_policy) {
            Err(BLOCKS_POLICIES)
        } else {
            Ok(())
        }
    }

    fn accepts_xml(&self, kind: SettingKind, document: &XmlDocument) -> Result<(), &'static str> {
        let root = document.root();
        let now = self.settings.xml(kind).unwrap();
        let unchanged = now == Some(document);
        match kind {
            SettingKind::Versioning => {
                let status = root.value("Status");
                let needs_mfa = now.is_some_and(|now| now.root().value("MfaDelete") == "Enabled");
                let replicates = self.settings.xml(SettingKind::Replication).unwrap();
                if !["Enabled", "Suspended"].contains(&status) {
                    Err("a versioned bucket stays one")
                } else if needs_mfa && !unchanged {
                    Err("MFA delete is on")
                } else if replicates.is_some() && status != "Enabled" {
                    Err("replication needs versioning")
                } else {
                    Ok(())
                }
            }
            SettingKind::OwnershipControls => {
                let acl = self.settings.acl().unwrap();
                match root.all("Rule").next() {
                    None => Err("there is no rule"),
                    Some(_) if is_enforced(root) && *acl != acl.private() => Err(GRANTS_TO_OTHERS),
                    Some(_) => Ok(()),
                }
            }
            SettingKind::Replication => {
                let versioning = self.settings.xml(SettingKind::Versioning).unwrap();
                let versioned = versioning.is_some_and(|v| v.root().value("Status") == "Enabled");
                match (root.child("Role"), root.child("Rule"), versioned) {
                    (Some(_), Some(_), true) => Ok(()),
                    _ => Err("a role, a rule or versioning is missing"),
                }
            }
            SettingKind::Lifecycle | SettingKind::Encryption if root.child("Rule").is_none() => {
                Err("there is no rule")
            }
            SettingKind::Encryption => {
                let types = root
                    .all("Rule")
                    .filter_map(|rule| rule.child("BlockedEncryptionTypes"));
                let empty = |types: &Element| types.children.is_empty();
                let contradicts = |types: &Element| {
                    types.children.len() > 1
                        && types.all("EncryptionType").any(|kind| kind.text == "NONE")
                };
                match types
                    .into_iter()
                    .any(|types| empty(types) || contradicts(types))
                {
                    true => Err("the list of blocked types is empty or contradicts itself"),
                    false => Ok(()),
                }
            }
            SettingKind::Cors if root.child("CORSRule").is_none() => Err("there is no rule"),
            SettingKind::Logging => match root.child("LoggingEnabled") {
                Some(on) if on.child("TargetBucket").is_none() => Err("there is no target"),
                Some(on) if on.child("TargetPrefix").is_none() => Err("there is no prefix"),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn is_enforced(&self) -> bool {
        let controls = self.settings.xml(SettingKind::OwnershipControls).unwrap();
        controls.is_some_and(|controls| is_enforced(controls.root()))
    }

    fn flag(&self, flag: impl Fn(PublicAccessBlock) -> bool) -> bool {
        let kinds = [
            SettingKind::PublicAccessBlock,
            SettingKind::AccountPublicAccessBlock,
        ];
        kinds
            .into_iter()
            .any(|kind| self.settings.public_access_block(kind).is_ok_and(&flag))
    }
}

pub(super) fn is_enforced(controls: &Element) -> bool {
    let rule = controls.child("Rule");
    rule.is_some_and(|rule| rule.value("ObjectOwnership") == "BucketOwnerEnforced")
}

pub(super) fn compact(policy: &PolicyDocument) -> String {
    serde_json::from_str::<Value>(policy.text())
        .unwrap()
        .to_string()
}

fn accepts_absence(kind: SettingKind) -> Result<(), &'static str> {
    match kind {
        SettingKind::Acl => Err("a bucket always has one"),
        SettingKind::Versioning | SettingKind::Logging => Err("S3 has no call that deletes it"),
        // It has, and no measure may use it.
        SettingKind::Lifecycle | SettingKind::Replication => Err("rules are disabled, not deleted"),
        _ => Ok(()),
    }
}

/// What S3 may make of a policy that it stores: lists of one become scalars, booleans become text, lists and members change
/// their order, an account becomes its root.
fn rewrite(value: Value) -> Value {
    match value {
        Value::Array(mut items) if items.len() == 1 => rewrite(items.remove(0)),
        Value::Array(items) => items.into_iter().rev().map(rewrite).collect(),
        Value::Object(members) => {
            let members: Vec<(String, Value)> = members.into_iter().collect();
            let members = members
                .into_iter()
                .rev()
                .map(|(name, value)| match name.as_str() {
                    "Principal" | "NotPrincipal" => (name, rewrite(accounts_as_roots(value))),
                    _ => (name, rewrite(value)),
                });
            Value::Object(members.collect())
        }
        Value::Bool(value) => json!(value.to_string()),
        other => other,
    }
}

fn accounts_as_roots(value: Value) -> Value {
    match value {
        Value::String(id) if id == ACCOUNT || id == PARTNER => {
            json!(format!("arn:aws:iam::{id}:root"))
        }
        Value::Array(items) => items.into_iter().map(accounts_as_roots).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, accounts_as_roots(value)))
            .collect(),
        other => other,
    }
}

/// What S3 may make of a document that it stores: another prefix, white space between elements, and another order of them
/// where order means nothing.
fn rewrite_xml(element: &Element) -> String {
    let name = &element.name;
    let inner = match element.children.is_empty() {
        true => escaped(&element.text),
        false => {
            let mut children: Vec<String> = element.children.iter().map(rewrite_xml).collect();
            if element.child("CORSRule").is_none() {
                children.reverse();
            }
            format!("\n  {}\n", children.join("\n  "))
        }
    };
    format!("<s3:{name} xmlns:s3=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</s3:{name}>")
}
