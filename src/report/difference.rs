//! What changes in one setting, line by line: statements by Sid, flags by name, grants one by one.

use std::collections::BTreeMap;

use super::{LINE, Style, Symbol, padded, shown, widest, xml};
use crate::settings::{
    AccessPoint, AccessPoints, Document, Grant, PolicyDocument, PublicAccessBlock, Setting,
    SettingKind, Statement,
};
use crate::statements::{By, Deny, Test};

/// How many items of a list are written out before the rest is counted.
const LISTED: usize = 3;

/// One line of a difference.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) symbol: Option<Symbol>,
    pub(crate) name: String,
    pub(crate) text: String,
}

/// What has to be done to `before` to get `after`. `bucket_arn` tells Portcullis's own statements from others.
pub(super) fn difference(
    kind: SettingKind,
    before: &Setting,
    after: &Setting,
    bucket_arn: &str,
) -> Vec<Line> {
    match kind {
        SettingKind::BucketPolicy => policies(statements(before), statements(after), bucket_arn),
        SettingKind::AccessPointPolicies => access_points(points(before), points(after)),
        SettingKind::Acl => grants(before.grants(), after.grants()),
        SettingKind::PublicAccessBlock | SettingKind::AccountPublicAccessBlock => {
            flags(before, after)
        }
        SettingKind::Tags => tags(before, after),
        // Only read: never in a plan.
        SettingKind::Website
        | SettingKind::PolicyStatus
        | SettingKind::Versioning
        | SettingKind::Lifecycle
        | SettingKind::Encryption
        | SettingKind::OwnershipControls
        | SettingKind::Cors
        | SettingKind::Logging
        | SettingKind::Replication => xml::difference(before, after),
    }
}

/// The lines as they are printed, indented, names in one column.
pub(super) fn write(lines: &[Line], indent: usize, style: Style) -> String {
    let width = widest(lines.iter().map(|line| line.name.as_str()));
    let mut text = String::new();
    for line in lines {
        let symbol = line
            .symbol
            .map_or_else(String::new, |symbol| format!("{} ", style.symbol(symbol)));
        let row = format!(
            "{:indent$}{symbol}{}  {}",
            "",
            padded(&line.name, width),
            line.text
        );
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// What a setting holds, in one line: for a comparison in which three states stand side by side.
pub(crate) fn state(kind: SettingKind, setting: &Setting, bucket_arn: &str) -> String {
    match setting {
        Setting::Unreadable { operation, code } => {
            format!(
                "unknown: {} answered {}",
                shown(operation, LINE),
                shown(code, LINE)
            )
        }
        Setting::Absent => "not configured".to_owned(),
        Setting::Present(Document::BucketPolicy(policy)) => held(policy, bucket_arn),
        Setting::Present(Document::AccessPointPolicies(points)) if points.0.is_empty() => {
            "no access points".to_owned()
        }
        Setting::Present(Document::AccessPointPolicies(points)) => {
            let of = |(name, point): (&String, &AccessPoint)| {
                let policy = point.policy.as_ref();
                let policy = policy.map(|policy| held(policy, &point.arn));
                let policy = policy.unwrap_or_else(|| "no policy".to_owned());
                format!("{}: {policy}", shown(name, 64))
            };
            listed(points.0.iter().map(of), "; ")
        }
        Setting::Present(Document::Acl(acl)) => listed(
            acl.grants
                .iter()
                .map(|grant| format!("{} to {}", shown(&grant.permission, LINE), grantee(grant))),
            "; ",
        ),
        Setting::Present(Document::PublicAccessBlock(block)) => {
            let on: Vec<_> = block
                .flags()
                .into_iter()
                .filter(|(_, on)| *on)
                .map(|(flag, _)| flag)
                .collect();
            match on.len() {
                0 => "all flags off".to_owned(),
                4 => "all flags on".to_owned(),
                _ => format!("on: {}", on.join(", ")),
            }
        }
        Setting::Present(Document::Xml(document)) => xml::state(document),
        Setting::Present(Document::Tags(tags)) => {
            let pairs = tags
                .iter()
                .map(|(key, value)| format!("{}={}", shown(key, LINE), shown(value, LINE)));
            let pairs = listed(pairs, ", ");
            if pairs.is_empty() {
                format!("no {}", kind.title())
            } else {
                pairs
            }
        }
    }
}

/// The policies that differ, statement by statement, and the access points that are only in one of the two.
fn access_points(before: &AccessPoints, after: &AccessPoints) -> Vec<Line> {
    let only = |these: &AccessPoints, those: &AccessPoints, symbol, text: &str| -> Vec<Line> {
        let only = these.0.keys().filter(|name| !those.0.contains_key(*name));
        only.map(|name| Line {
            symbol: Some(symbol),
            name: shown(name, 64),
            text: text.to_owned(),
        })
        .collect()
    };
    let statements = |point: Option<&AccessPoint>| {
        let policy = point.and_then(|point| point.policy.as_ref());
        policy.map(|policy| policy.statements().to_vec())
    };
    let mut lines = only(before, after, Symbol::Remove, "is gone");
    lines.extend(only(after, before, Symbol::Add, "is new"));
    for (name, point) in before.changed(after) {
        let was = statements(before.0.get(name)).unwrap_or_default();
        let is = statements(Some(point)).unwrap_or_default();
        let changed = policies(&was, &is, &point.arn).into_iter();
        lines.extend(changed.map(|line| Line {
            name: format!("{}: {}", shown(name, 64), line.name),
            ..line
        }));
    }
    lines
}

/// What a policy holds, in one line.
fn held(policy: &PolicyDocument, arn: &str) -> String {
    let of = |statement: &Statement| format!("{} ({})", name(statement), described(statement, arn));
    listed(policy.statements().iter().map(of), "; ")
}

fn policies(before: &[Statement], after: &[Statement], bucket_arn: &str) -> Vec<Line> {
    let is_new = |statement: &&Statement| !before.contains(statement);
    let is_gone = |statement: &&Statement| !after.contains(statement);
    let gone: Vec<&Statement> = before.iter().filter(is_gone).collect();
    let earlier = |statement: &Statement| {
        gone.iter()
            .copied()
            .find(|other| statement.sid().is_some() && other.sid() == statement.sid())
    };
    let mut lines = Vec::new();
    let mut merged = Vec::new();
    for statement in after.iter().filter(is_new) {
        let text = match earlier(statement) {
            Some(old) => {
                merged.push(old);
                format!(
                    "{}{}",
                    described(statement, bucket_arn),
                    added_values(old, statement, bucket_arn)
                )
            }
            None => described(statement, bucket_arn),
        };
        let symbol = if earlier(statement).is_some() {
            Symbol::Change
        } else {
            Symbol::Add
        };
        lines.push(Line {
            symbol: Some(symbol),
            name: name(statement),
            text,
        });
    }
    for statement in gone.iter().filter(|statement| !merged.contains(statement)) {
        lines.push(Line {
            symbol: Some(Symbol::Remove),
            name: name(statement),
            text: described(statement, bucket_arn),
        });
    }
    lines
}

fn name(statement: &Statement) -> String {
    match statement.sid().filter(|sid| !sid.is_empty()) {
        Some(sid) => format!("statement {}", shown(sid, 64)),
        None => "statement without a Sid".to_owned(),
    }
}

/// `Deny s3:* to AROA…:*  (not: arn:…)`.
fn described(statement: &Statement, bucket_arn: &str) -> String {
    let effect = shown(statement.effect(), 16);
    if let Some(deny) = Deny::parse(statement, bucket_arn) {
        let actions = listed(deny.actions.iter().map(|action| shown(action, LINE)), ", ");
        let whom = match &deny.hits {
            Some(hits) => listed(hits.values.iter().map(|value| shown(value, LINE)), ", "),
            None => "everybody".to_owned(),
        };
        let whom = match deny.hits.as_ref().map(|hits| hits.by) {
            Some(By::Object) => format!("everybody of {whom}"),
            _ => whom,
        };
        let only = listed(deny.only.iter().map(tested), " and ");
        let whom = if only.is_empty() {
            whom
        } else {
            format!("{whom} {only}")
        };
        let services = deny.spare_services.then(|| "AWS services".to_owned());
        let spared = listed(
            services
                .into_iter()
                .chain(deny.spared.iter().map(|spared| shown(spared, LINE))),
            ", ",
        );
        return format!("{effect} {actions} to {whom}  (not: {spared})");
    }
    let exempt = |element: &str, negated: &str| {
        let values = statement.list(element);
        match values.is_empty() {
            false => listed(values.into_iter().map(|value| shown(value, LINE)), ", "),
            true => format!(
                "all but {}",
                listed(
                    statement.list(negated).into_iter().map(|v| shown(v, LINE)),
                    ", "
                )
            ),
        }
    };
    let actions = exempt("Action", "NotAction");
    let conditions = conditions(statement);
    format!(
        "{effect} {actions} to {}{conditions}",
        principals(statement)
    )
}

/// A condition of ours in words.
fn tested(test: &Test) -> String {
    let values = listed(test.values.iter().map(|value| shown(value, LINE)), ", ");
    match (test.operator, test.key) {
        (_, "aws:PrincipalOrgID") => format!("outside organization {values}"),
        (_, "aws:PrincipalAccount") => format!("outside account {values}"),
        (_, "aws:SourceIp") => format!("not from {values}"),
        (_, "aws:SourceVpce" | "aws:SourceVpc") => format!("not by {values}"),
        (_, "aws:ViaAWSService") => "not through an AWS service".to_owned(),
        (_, "s3express:SessionMode") => format!("but for {values} sessions"),
        (_, "s3:authType") => format!("signed as {values}"),
        (_, "s3:signatureAge") => format!("signed more than {values} ms before"),
        (operator, key) => format!("where {key} {operator} {values}"),
    }
}

fn principals(statement: &Statement) -> String {
    let value = statement.value();
    let (negated, principal) = match (value.get("Principal"), value.get("NotPrincipal")) {
        (Some(principal), _) => ("", principal),
        (None, Some(principal)) => ("all but ", principal),
        (None, None) => return "nobody named".to_owned(),
    };
    let mut names = Vec::new();
    match principal {
        serde_json::Value::Object(kinds) => {
            for principals in kinds.values() {
                match principals {
                    serde_json::Value::Array(items) => {
                        names.extend(items.iter().filter_map(|item| item.as_str()))
                    }
                    other => names.extend(other.as_str()),
                }
            }
        }
        other => names.extend(other.as_str()),
    }
    format!(
        "{negated}{}",
        listed(names.into_iter().map(|name| shown(name, LINE)), ", ")
    )
}

fn conditions(statement: &Statement) -> String {
    let operators = statement
        .value()
        .get("Condition")
        .and_then(|condition| condition.as_object());
    let keys = operators
        .into_iter()
        .flat_map(|operators| operators.values())
        .filter_map(|keys| keys.as_object());
    let keys = listed(
        keys.flat_map(|keys| keys.keys()).map(|key| shown(key, 64)),
        ", ",
    );
    if keys.is_empty() {
        keys
    } else {
        format!("  (if {keys})")
    }
}

/// Whom a statement of ours hits now that it did not hit before.
fn added_values(before: &Statement, after: &Statement, bucket_arn: &str) -> String {
    let values = |statement| {
        Deny::parse(statement, bucket_arn)
            .map(|deny| deny.values())
            .unwrap_or_default()
    };
    let (before, after) = (values(before), values(after));
    let added = listed(
        after.difference(&before).map(|value| shown(value, LINE)),
        ", ",
    );
    let gone = listed(
        before.difference(&after).map(|value| shown(value, LINE)),
        ", ",
    );
    match (added.is_empty(), gone.is_empty()) {
        (false, true) => format!("; new: {added}"),
        (true, false) => format!("; no longer: {gone}"),
        (false, false) => format!("; new: {added}; no longer: {gone}"),
        (true, true) => String::new(),
    }
}

fn grants(before: &[Grant], after: &[Grant]) -> Vec<Line> {
    let line = |symbol, grant: &Grant| Line {
        symbol: Some(symbol),
        name: format!("grant {}", shown(&grant.permission, 32)),
        text: format!("to {}", grantee(grant)),
    };
    let added = after
        .iter()
        .filter(|grant| !before.contains(grant))
        .map(|grant| line(Symbol::Add, grant));
    let removed = before
        .iter()
        .filter(|grant| !after.contains(grant))
        .map(|grant| line(Symbol::Remove, grant));
    added.chain(removed).collect()
}

fn grantee(grant: &Grant) -> String {
    match grant.public() {
        Some(words) => words.to_owned(),
        None => shown(&grant.grantee, 32),
    }
}

fn flags(before: &Setting, after: &Setting) -> Vec<Line> {
    let of = |setting: &Setting| match setting {
        Setting::Present(Document::PublicAccessBlock(block)) => Some(*block),
        Setting::Absent => Some(PublicAccessBlock::default()),
        _ => None,
    };
    let word = |block: Option<PublicAccessBlock>, index: usize| match block
        .map(|block| block.flags()[index].1)
    {
        Some(true) => "on",
        Some(false) => "off",
        None => "unknown",
    };
    let (before, after) = (of(before), of(after));
    let names = PublicAccessBlock::default().flags();
    let rows = names
        .iter()
        .enumerate()
        .map(|(index, (name, _))| (*name, word(before, index), word(after, index)));
    rows.filter(|(_, before, after)| before != after)
        .map(|(name, before, after)| Line {
            symbol: None,
            name: name.to_owned(),
            text: format!("{before} -> {after}"),
        })
        .collect()
}

fn tags(before: &Setting, after: &Setting) -> Vec<Line> {
    let of = |setting: &Setting| match setting {
        Setting::Present(Document::Tags(tags)) => tags.clone(),
        _ => BTreeMap::new(),
    };
    let (before, after) = (of(before), of(after));
    let mut lines = Vec::new();
    for (key, value) in &after {
        let (symbol, text) = match before.get(key) {
            None => (Symbol::Add, shown(value, LINE)),
            Some(old) if old != value => (
                Symbol::Change,
                format!("{} -> {}", shown(old, LINE), shown(value, LINE)),
            ),
            Some(_) => continue,
        };
        lines.push(Line {
            symbol: Some(symbol),
            name: shown(key, 64),
            text,
        });
    }
    let gone = before.iter().filter(|(key, _)| !after.contains_key(*key));
    lines.extend(gone.map(|(key, value)| Line {
        symbol: Some(Symbol::Remove),
        name: shown(key, 64),
        text: shown(value, LINE),
    }));
    lines
}

fn statements(setting: &Setting) -> &[Statement] {
    setting.policy().map_or(&[], PolicyDocument::statements)
}

fn points(setting: &Setting) -> &AccessPoints {
    static NONE: AccessPoints = AccessPoints(BTreeMap::new());
    setting.access_points().unwrap_or(&NONE)
}

/// The first few items, and how many more there are.
pub(super) fn listed(items: impl Iterator<Item = String>, separator: &str) -> String {
    let items: Vec<String> = items.collect();
    let more = items.len().saturating_sub(LISTED);
    let first = items
        .into_iter()
        .take(LISTED)
        .collect::<Vec<_>>()
        .join(separator);
    if more > 0 {
        format!("{first} and {more} more")
    } else {
        first
    }
}
