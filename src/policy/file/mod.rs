//! The policy file: from the tree to the policy, reporting everything that is wrong on the way.
//!
//! Every reader takes the node, reports what it finds, and hands back what it could make of it. Whether the policy is used
//! is decided once, at the end, by whether an error was reported.

pub(super) mod conditions;
pub(super) mod measures;
mod principals;
mod scalars;

use jiff::civil::Date;

use self::conditions::{conditions, narrow};
use self::measures::{measures, withhold};
use self::scalars::{account, count, duration, network, organization};
use super::lint;
use super::{Exception, FollowUp, Limits, Mode, Notify, Policy, Rule, Trusted, digest};
use crate::yaml::{
    Code, Fields, Node, Placed, Report, Value, all, boolean, date, each, fields, filled, id, list,
    once, version, word,
};

/// The keys of the file itself.
pub(super) const POLICY: &[&str] = &[
    "version",
    "mode",
    "break-glass",
    "trusted",
    "limits",
    "exceptions",
    "rules",
];
/// The keys of `trusted`.
pub(super) const TRUSTED: &[&str] = &["accounts", "organizations", "principals", "networks"];
/// The keys of `limits`.
pub(super) const LIMITS: &[&str] = &["buckets-per-hour", "buckets-per-finding"];
/// The keys of an exception.
pub(super) const EXCEPTION: &[&str] = &["id", "match", "withhold", "reason", "expires"];
/// The keys of a rule.
pub(super) const RULE: &[&str] = &[
    "id",
    "when",
    "unless",
    "measures",
    "mode",
    "expires-after",
    "hold",
    "follow-up",
    "notify",
];

/// Reads a policy. What comes out is whole only if no error was reported.
pub(super) fn policy(report: &mut Report<'_>, root: &Node, today: Date) -> Option<Policy> {
    if let Value::Null = root.value {
        report
            .add(Code::EmptyText, root.at, "the policy is empty")
            .help("run \"portcullis init\" for one to begin with");
        return None;
    }
    let fields = fields(report, root, "the policy", POLICY)?;
    version(report, &fields, "the policy file");
    let mode = fields
        .require(
            report,
            "mode",
            "write `mode: observe` to plan and record without changing anything",
        )
        .and_then(|node| mode(report, node));
    let break_glass = break_glass(report, &fields);
    let trusted = fields
        .get("trusted")
        .and_then(|node| trusted(report, node))
        .unwrap_or_default();
    let limits = fields
        .get("limits")
        .and_then(|node| limits(report, node))
        .unwrap_or_default();
    let exceptions = exceptions(report, &fields, today);
    let rules = rules(report, &fields, mode.as_ref());
    let mode = mode?;
    Some(Policy {
        name: report.name.to_owned(),
        digest: digest(report.text),
        mode: mode.value,
        mode_line: mode.at.line,
        break_glass,
        trusted,
        limits,
        exceptions,
        rules,
    })
}

fn mode(report: &mut Report<'_>, node: &Node) -> Option<Placed<Mode>> {
    word(report, node, "mode", Mode::WORDS, Mode::from_word)
        .map(|value| Placed { value, at: node.at })
}

fn break_glass(report: &mut Report<'_>, fields: &Fields<'_>) -> Vec<String> {
    let help =
        "name the role that nothing may lock out: `- arn:aws:iam::*:role/SecurityBreakGlass`";
    let Some(node) = fields.require(report, "break-glass", help) else {
        return Vec::new();
    };
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        report
            .add(Code::EmptyList, node.at, "\"break-glass\" names nobody")
            .help(help);
    }
    all(
        report,
        Some(node),
        "a list of ARNs",
        principals::break_glass,
    )
}

fn trusted(report: &mut Report<'_>, node: &Node) -> Option<Trusted> {
    let fields = fields(report, node, "\"trusted\"", TRUSTED)?;
    Some(Trusted {
        accounts: all(
            report,
            fields.get("accounts"),
            "a list of account ids",
            account,
        ),
        organizations: organizations(report, &fields),
        principals: all(
            report,
            fields.get("principals"),
            "a list of ARNs",
            principals::trusted,
        ),
        networks: all(
            report,
            fields.get("networks"),
            "a list of networks",
            network,
        ),
    })
}

fn organizations(report: &mut Report<'_>, fields: &Fields<'_>) -> Vec<String> {
    let node = fields.get("organizations");
    all(report, node, "a list of organizations", organization)
}

fn limits(report: &mut Report<'_>, node: &Node) -> Option<Limits> {
    let fields = fields(report, node, "\"limits\"", LIMITS)?;
    let mut limit = |key: &str, default: u32| {
        fields
            .get(key)
            .map_or(Some(default), |node| count(report, node, key))
    };
    let default = Limits::default();
    let buckets_per_hour = limit("buckets-per-hour", default.buckets_per_hour);
    let buckets_per_finding = limit("buckets-per-finding", default.buckets_per_finding);
    Some(Limits {
        buckets_per_hour: buckets_per_hour?,
        buckets_per_finding: buckets_per_finding?,
    })
}

fn exceptions(report: &mut Report<'_>, fields: &Fields<'_>, today: Date) -> Vec<Exception> {
    let nodes = fields
        .get("exceptions")
        .and_then(|node| list(report, node, "a list of exceptions"))
        .unwrap_or_default();
    let mut ids = Vec::new();
    nodes
        .iter()
        .filter_map(|node| exception(report, node, today, &mut ids))
        .collect()
}

fn exception(
    report: &mut Report<'_>,
    node: &Node,
    today: Date,
    ids: &mut Vec<Placed<String>>,
) -> Option<Exception> {
    let fields = fields(report, node, "an exception", EXCEPTION)?;
    let id = unique_id(report, &fields, "exception", ids);
    let at = fields.place("match");
    let matches = fields
        .require(
            report,
            "match",
            "say what the exception spares: `match: { bucket: my-website }`",
        )
        .and_then(|node| {
            narrow(
                report,
                node,
                "\"match\"",
                at,
                "an exception from everything is no policy: name a bucket",
            )
        });
    let withhold = fields
        .require(
            report,
            "withhold",
            "name the measures that must not be taken, or write `withhold: all`",
        )
        .and_then(|node| withhold(report, node));
    let reason = fields
        .require(
            report,
            "reason",
            "say why, for whoever reads it next, and name the ticket",
        )
        .and_then(|node| filled(report, node, "the reason"));
    let expires = fields
        .require(
            report,
            "expires",
            "give the last day on which it holds: `expires: 2027-03-31`",
        )
        .and_then(|node| date(report, node).map(|value| Placed { value, at: node.at }));
    if let Some(expires) = &expires {
        lint::expired(report, expires, today);
    }
    Some(Exception {
        id: id?.value,
        matches: matches?,
        withhold: withhold?,
        reason: reason?,
        expires: expires?.value,
        line: node.at.line,
    })
}

fn rules(report: &mut Report<'_>, fields: &Fields<'_>, mode: Option<&Placed<Mode>>) -> Vec<Rule> {
    let help = "the last rule must match everything: `- { id: everything-else, measures: [] }`";
    let Some(node) = fields.require(report, "rules", help) else {
        return Vec::new();
    };
    let Some(nodes) = list(report, node, "a list of rules") else {
        return Vec::new();
    };
    if nodes.is_empty() {
        report
            .add(Code::EmptyList, node.at, "the policy has no rule")
            .help(help);
    }
    let mut ids = Vec::new();
    let rules: Vec<Option<Placed<Rule>>> = nodes
        .iter()
        .map(|node| rule(report, node, mode, &mut ids))
        .collect();
    if let Some(Some(last)) = rules.last() {
        lint::catch_all(report, last);
    }
    let rules: Vec<Placed<Rule>> = rules.into_iter().flatten().collect();
    lint::unreachable(report, &rules);
    rules.into_iter().map(|rule| rule.value).collect()
}

/// Reads a rule. One whose conditions or id are wrong is left out, so that nothing is concluded from half of it.
fn rule(
    report: &mut Report<'_>,
    node: &Node,
    policy_mode: Option<&Placed<Mode>>,
    ids: &mut Vec<Placed<String>>,
) -> Option<Placed<Rule>> {
    let fields = fields(report, node, "a rule", RULE)?;
    let id = unique_id(report, &fields, "rule", ids);
    let when = fields.get("when").map_or(Some(Default::default()), |node| {
        conditions(report, node, "\"when\"")
    });
    let at = fields.place("unless");
    let unless = fields.get("unless").map(|node| {
        narrow(
            report,
            node,
            "\"unless\"",
            at,
            "the rule could never match: leave \"unless\" out",
        )
    });
    let asked = fields
        .require(
            report,
            "measures",
            "name what is done, or write `measures: []` to do nothing",
        )
        .and_then(|node| measures(report, node))
        .unwrap_or_default();
    let mode = fields.get("mode").and_then(|node| mode(report, node));
    let expires_after = fields
        .get("expires-after")
        .and_then(|node| duration(report, node));
    let hold = fields
        .get("hold")
        .and_then(|node| boolean(report, node))
        .unwrap_or_default();
    let follow_up = follow_ups(report, fields.get("follow-up"));
    let notify = fields
        .get("notify")
        .and_then(|node| word(report, node, "notify", Notify::WORDS, Notify::from_word));
    lint::mode(report, mode.as_ref(), policy_mode);
    if let (true, Some(held), Some(after)) = (hold, fields.get("hold"), fields.get("follow-up"))
        && follow_up.contains(&FollowUp::ArchiveFinding)
    {
        lint::hold_of_archived(report, held.at, after.at);
    }
    if let Some(when) = &when {
        lint::disruptive(report, when, &asked);
    }
    let id = id?;
    let at = id.at;
    let rule = Rule {
        id: id.value,
        when: when?,
        unless: match unless {
            Some(unless) => Some(unless?),
            None => None,
        },
        measures: asked.into_iter().map(|(asked, ..)| asked).collect(),
        mode: mode.as_ref().map(|mode| mode.value),
        mode_line: mode.as_ref().map(|mode| mode.at.line),
        expires_after,
        hold,
        follow_up,
        notify: notify.unwrap_or_default(),
        line: node.at.line,
    };
    Some(Placed { value: rule, at })
}

fn follow_ups(report: &mut Report<'_>, node: Option<&Node>) -> Vec<FollowUp> {
    each(report, node, "follow-up", |report, item| {
        let (words, from) = (FollowUp::WORDS, FollowUp::from_word);
        word(report, item, "follow-up", words, from)
    })
}

/// Reads an id, and reports one that another entry of the same list has.
fn unique_id(
    report: &mut Report<'_>,
    fields: &Fields<'_>,
    what: &str,
    ids: &mut Vec<Placed<String>>,
) -> Option<Placed<String>> {
    let node = fields.require(report, "id", "outcomes and records cite it by its id")?;
    let id = Placed {
        value: id(report, node)?,
        at: node.at,
    };
    once(report, &id, ids, |id| {
        format!("another {what} has the id \"{id}\"")
    });
    Some(id)
}
