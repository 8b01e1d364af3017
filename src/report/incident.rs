//! The account of one finding and one target: who did what, from where, what it means, what was decided and done.
//!
//! What is not known is said to be unknown; a blank would read as "none".

use serde::Serialize;

use super::changes::changes as results;
use super::header::{self, line};
use super::{LINE, Style, plan, rollback, shown};
use crate::classification::{Authorization, Classification, Exposure};
use crate::decision::Decision;
use crate::finding::{Actor, Call, Finding, Object, Remote, Target};
use crate::guard::Guard;
use crate::record::{Outcome, PolicyRef, Record, RunResult};

/// Items of a list that are written out before the rest is counted.
const LISTED: usize = 5;

/// What a finding means and what the policy says to it, as far as the finding and given facts tell.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// The finding.
    pub finding: Finding,
    /// The target.
    pub target: Target,
    /// What the finding means.
    pub classification: Classification,
    /// The policy file that decides.
    pub policy: PolicyRef,
    /// Whether the target's settings were given. Without them no measure can say what it would change.
    pub settings_known: bool,
    /// What would be decided.
    pub decision: Decision,
    /// The command that comes next.
    pub next: String,
}

/// A record and what became of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Account {
    /// The record.
    pub record: Record,
    /// What became of its changes; none where there were none to make, or where the run has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
}

impl Account {
    /// How it ended; none while a run goes on, and for one that was cut off.
    pub fn outcome(&self) -> Option<Outcome> {
        self.result
            .as_ref()
            .map(|result| result.outcome)
            .or(self.record.outcome)
    }
}

/// An explanation as text. After one of the same finding (`is_next`) the incident is not told again: an attack sequence can
/// have hundreds of targets.
pub fn explanation(explanation: &Explanation, is_next: bool, style: Style) -> String {
    let Explanation {
        finding,
        target,
        classification,
        settings_known,
        decision,
        next,
        ..
    } = explanation;
    let mut text = match is_next {
        true => {
            header::finding(finding, style)
                + &header::target(finding, target, style)
                + &objects(target, style)
        }
        false => incident(finding, target, style),
    };
    text += &format!("\n{}", meaning(classification, *settings_known, style));
    text += &format!("\n{}", decided(decision, style));
    let arn = header::bucket_arn(finding, target);
    let body = match settings_known {
        true => {
            plan::changes(decision, &arn, style)
                + &plan::notes(decision, style)
                + &plan::withheld(decision, style)
        }
        false => unread(decision, style),
    };
    let body = body + &plan::alerts(decision, style);
    text += &body;
    if decision.taken.is_empty() && decision.withheld.is_empty() {
        text += "  The rule asks for no measure.\n";
    }
    text + &format!("\nNext: {}\n", style.strong(&shown(next, 3 * LINE)))
}

/// A past containment, or a rollback, as text.
pub fn account(account: &Account, style: Style) -> String {
    let Record {
        id,
        at,
        asked_by,
        program,
        finding,
        target,
        classification,
        policy,
        before,
        decision,
        rollback,
        ..
    } = &account.record;
    let outcome = match account.outcome() {
        Some(outcome) => style.strong(outcome.word()),
        None => style.doubtful(
            "unknown: the run has not ended, or was cut off before it could say how it ended",
        ),
    };
    let mut text = line(
        "Record",
        &format!("{} of {at:.0}", style.strong(&shown(id, LINE))),
        style,
    );
    text += &line("Outcome", &outcome, style);
    let asked_by = if asked_by == "event" {
        "the finding's event".to_owned()
    } else {
        shown(asked_by, LINE)
    };
    text += &line(
        "Asked by",
        &format!("{asked_by} (portcullis {})", shown(program, 32)),
        style,
    );
    text += &incident(finding, target, style);
    text += &format!("\n{}", meaning(classification, !before.0.is_empty(), style));

    if let Some(rollback) = rollback {
        text += &format!(
            "\nThis is the rollback of record {}.\n",
            style.strong(&shown(&rollback.record, LINE))
        );
        text += &rollback::inverse(&rollback.inverse, finding, target, style);
        return text + &done(account, style);
    }
    text += &format!("\n{}", decided(decision, style));
    let digest: String = policy.digest.chars().take(12).collect();
    text += &line(
        "Policy",
        &format!(
            "{}, sha256 {}…",
            shown(&policy.name, LINE),
            shown(&digest, 12)
        ),
        style,
    );
    let arn = header::bucket_arn(finding, target);
    if !decision.plan.is_empty() {
        let title = if decision.taken.is_empty() {
            "Would have changed"
        } else {
            "Planned"
        };
        text += &format!("{title}\n{}", plan::changes(decision, &arn, style));
    }
    text += &plan::notes(decision, style);
    text += &plan::withheld(decision, style);
    text += &plan::alerts(decision, style);
    text + &done(account, style)
}

fn done(account: &Account, style: Style) -> String {
    let Some(result) = &account.result else {
        let unfinished = account.record.outcome.is_none();
        let text = match unfinished {
            true => {
                "\nThere is no result yet: compare the bucket with this record, and apply the record again to bring it to its end.\n"
            }
            false => "\nNothing was changed.\n",
        };
        let undo = unfinished && account.record.rollback.is_none();
        return text.to_owned()
            + &if undo {
                undo_line(&account.record, style)
            } else {
                String::new()
            };
    };
    let mut text = format!(
        "\nDone at {:.0}\n{}",
        result.at,
        results(&result.changes, style)
    );
    let undoable = account.record.rollback.is_none() && result.outcome != Outcome::Failed;
    if undoable {
        text += &undo_line(&account.record, style);
    }
    text
}

fn undo_line(record: &Record, style: Style) -> String {
    format!(
        "Undo: {}\n",
        style.strong(&format!("portcullis rollback {}", shown(&record.id, LINE)))
    )
}

/// What GuardDuty says: the target, who, what, from where and when.
fn incident(finding: &Finding, target: &Target, style: Style) -> String {
    let mut text = header::finding(finding, style) + &header::target(finding, target, style);
    if let Some(title) = &finding.title {
        text += &line("Title", &shown(title, 2 * LINE), style);
    }
    for (name, holds) in [
        (
            "a sample finding: its bucket is nobody's or somebody else's",
            finding.sample,
        ),
        ("archived by a person", finding.archived),
    ] {
        if holds {
            text += &line("Note", &style.doubtful(name), style);
        }
    }
    text += &lines(
        "Who",
        finding.actors.iter().map(who),
        "unknown: the finding names nobody",
        style,
    );
    text += &lines(
        "What",
        finding.calls.iter().map(what),
        "unknown: the finding names no call",
        style,
    );
    text += &lines(
        "From",
        finding.remotes.iter().map(from),
        "unknown: the finding gives no address",
        style,
    );
    text += &line("When", &when(finding), style);
    text += &objects(target, style);
    if !finding.threats.is_empty() {
        let threats = finding
            .threats
            .iter()
            .take(LISTED)
            .map(|threat| shown(threat, 64))
            .collect::<Vec<_>>()
            .join(", ");
        text += &line("Threats", &threats, style);
    }
    if !finding.indicators.is_empty() {
        let names = finding
            .indicators
            .keys()
            .map(|name| shown(name, 64))
            .collect::<Vec<_>>()
            .join(", ");
        text += &line("Signs", &names, style);
    }
    text
}

/// What follows from it, each conclusion with what it rests on.
fn meaning(classification: &Classification, settings_known: bool, style: Style) -> String {
    let reasoned =
        |is: &str, because: &str| format!("{} ({})", style.strong(is), shown(because, 2 * LINE));
    let Classification {
        authorization,
        access_path,
        networks,
        credentials,
        api_outcome,
        exposure,
        ..
    } = classification;
    let word = match authorization.is {
        Authorization::Authorized => style.good(authorization.is.word()),
        Authorization::Unauthorized => style.bad(authorization.is.word()),
        Authorization::Undetermined => style.doubtful(authorization.is.word()),
    };
    let mut text = line(
        "Verdict",
        &format!("{word} ({})", shown(&authorization.because, 2 * LINE)),
        style,
    );
    for actor in classification
        .actors
        .iter()
        .filter_map(|actor| actor.break_glass.as_ref().map(|arn| (actor.label(), arn)))
    {
        text += &line(
            "",
            &format!(
                "{} is break-glass ({})",
                shown(&actor.0, LINE),
                shown(actor.1, LINE)
            ),
            style,
        );
    }
    text += &line(
        "Way in",
        &reasoned(access_path.is.word(), &access_path.because),
        style,
    );
    let exposed = match (exposure.is, settings_known) {
        (Exposure::Unknown, false) => "unknown (the target's settings were not read)".to_owned(),
        _ => reasoned(exposure.is.word(), &exposure.because),
    };
    text += &line("Exposure", &exposed, style);
    let words = |words: Vec<&str>, unknown: &str| {
        if words.is_empty() {
            unknown.to_owned()
        } else {
            words.join(", ")
        }
    };
    text += &line(
        "Network",
        &words(networks.iter().map(|word| word.word()).collect(), "unknown"),
        style,
    );
    text += &line(
        "Keys",
        &words(
            credentials.iter().map(|word| word.word()).collect(),
            "unknown",
        ),
        style,
    );
    let outcome = api_outcome.map_or("unknown", |outcome| outcome.word());
    text + &line("Calls", outcome, style)
}

fn decided(decision: &Decision, style: Style) -> String {
    line("Rule", &header::rule(decision, style), style) + &header::mode(decision, style)
}

/// The measures of a decision that was made without the target's settings: what they would do only the settings tell.
fn unread(decision: &Decision, style: Style) -> String {
    let (open, held): (Vec<_>, Vec<_>) = decision
        .withheld
        .iter()
        .cloned()
        .partition(|withheld| matches!(withheld.guard, Guard::Unreadable));
    let taken = decision.taken.iter().map(|taken| taken.measure.as_str());
    let asked: Vec<&str> = taken
        .chain(open.iter().map(|withheld| withheld.measure.as_str()))
        .collect();
    let mut text = String::new();
    if !asked.is_empty() {
        let depends = style.faint("what they change depends on the target's settings");
        text += &format!(
            "  asks for {}; {depends}\n",
            style.strong(&shown(&asked.join(", "), LINE))
        );
    }
    text + &plan::withheld(
        &Decision {
            withheld: held,
            ..decision.clone()
        },
        style,
    )
}

fn who(actor: &Actor) -> String {
    let kind = serde_json::to_value(actor.user_type).ok();
    let kind = kind
        .as_ref()
        .and_then(|kind| kind.as_str())
        .unwrap_or("unknown")
        .to_owned();
    let mut parts = vec![kind];
    parts.extend(actor.name.as_ref().map(|name| shown(name, 64)));
    parts.extend(
        actor
            .principal_id
            .as_ref()
            .map(|id| format!("id {}", shown(id, LINE))),
    );
    parts.extend(
        actor
            .account
            .as_ref()
            .map(|account| format!("of account {}", shown(account, 32))),
    );
    parts.extend(
        actor
            .access_key
            .as_ref()
            .map(|key| format!("with access key {}", shown(key, 64))),
    );
    parts.extend(
        actor
            .instance
            .as_ref()
            .map(|instance| format!("credentials of instance {}", shown(instance, 64))),
    );
    parts.join(", ")
}

fn what(call: &Call) -> String {
    let mut text = shown(&call.api, 64);
    if let Some(service) = &call.service {
        text += &format!(" on {}", shown(service, 64));
    }
    text += &match &call.error {
        Some(error) => format!(", refused with {}", shown(error, 64)),
        None => ", no error given".to_owned(),
    };
    if let Some(agent) = &call.user_agent {
        text += &format!(", by {}", shown(agent, 80));
    }
    text
}

fn from(remote: &Remote) -> String {
    let address = remote.address.map(|address| address.to_string());
    let domain = remote
        .domain
        .as_ref()
        .map(|domain| format!("AWS service {}", shown(domain, 64)));
    let mut parts = vec![
        address
            .or(domain)
            .unwrap_or_else(|| "unknown address".to_owned()),
    ];
    parts.extend(remote.country.as_ref().map(|country| shown(country, 64)));
    let asn = remote
        .asn
        .as_ref()
        .map(|asn| format!("AS{}", shown(asn, 16)));
    let network = [
        asn,
        remote.organization.as_ref().map(|name| shown(name, 64)),
    ]
    .into_iter()
    .flatten();
    let network = network.collect::<Vec<_>>().join(" ");
    parts.extend((!network.is_empty()).then_some(network));
    if let Some(account) = &remote.account {
        let known = match remote.affiliated {
            Some(true) => " (of this organization's GuardDuty)",
            Some(false) => " (outside this organization's GuardDuty)",
            None => "",
        };
        parts.push(format!("account {}{known}", shown(account, 32)));
    }
    parts.join(", ")
}

fn when(finding: &Finding) -> String {
    let times = match finding.count {
        1 => "seen once".to_owned(),
        count => format!("seen {count} times"),
    };
    let said =
        |at: &Option<jiff::Timestamp>| at.map_or_else(|| "unknown".to_owned(), |at| at.to_string());
    let (first, last) = (said(&finding.first_seen), said(&finding.last_seen));
    if first == last {
        return format!("{times}, at {first}; updated {}", said(&finding.updated_at));
    }
    format!(
        "{times}, first {first}, last {last}; updated {}",
        said(&finding.updated_at)
    )
}

fn objects(target: &Target, style: Style) -> String {
    let Target::Bucket(bucket) = target else {
        return String::new();
    };
    let of = |object: &Object| match &object.version {
        Some(version) => format!(
            "{} (version {})",
            shown(&object.key, LINE),
            shown(version, 64)
        ),
        None => shown(&object.key, LINE),
    };
    match bucket.objects.is_empty() {
        true => String::new(),
        false => lines("Objects", bucket.objects.iter().map(of), "", style),
    }
}

/// A named line, and one more for each further item.
fn lines(
    name: &str,
    items: impl ExactSizeIterator<Item = String>,
    none: &str,
    style: Style,
) -> String {
    let more = items.len().saturating_sub(LISTED);
    let mut text = String::new();
    for (index, item) in items.take(LISTED).enumerate() {
        text += &line(if index == 0 { name } else { "" }, &item, style);
    }
    if more > 0 {
        text += &line("", &style.faint(&format!("and {more} more")), style);
    }
    if text.is_empty() {
        line(name, none, style)
    } else {
        text
    }
}
