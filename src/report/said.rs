//! What GuardDuty says: who, what, from where and when, row by row.
//!
//! What is not known is said to be unknown; a blank would read as "none".

use super::rows::{Row, Text, Tone};
use super::{LINE, shown};
use crate::finding::{Actor, Call, Finding, Object, Remote, Target};

/// Threats that are named, of the many that a list can give.
const LISTED: usize = 5;

/// What GuardDuty says: who, what, from where and when.
pub(super) fn incident(finding: &Finding, target: &Target) -> Vec<Row> {
    let title = finding.title.as_ref();
    let notes = [
        (
            "a sample finding: its bucket is nobody's or somebody else's",
            finding.sample,
        ),
        ("archived by a person", finding.archived),
    ];
    let notes = notes.into_iter().filter(|(_, holds)| *holds);
    let listed = |names: &mut dyn Iterator<Item = &String>| {
        let names: Vec<String> = names.map(|name| shown(name, 64)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let threats = listed(&mut finding.threats.iter().take(LISTED));
    let signs = listed(&mut finding.indicators.keys());
    title
        .map(|title| Row::one("Title", shown(title, 2 * LINE)))
        .into_iter()
        .chain(Row::some(
            "Note",
            notes.map(|(note, _)| Text::new(Tone::Doubtful, note)),
        ))
        .chain([
            Row::some_or(
                "Who",
                finding.actors.iter().map(who),
                "unknown: the finding names nobody",
            ),
            Row::some_or(
                "What",
                finding.calls.iter().map(what),
                "unknown: the finding names no call",
            ),
            Row::some_or(
                "From",
                finding.remotes.iter().map(from),
                "unknown: the finding gives no address",
            ),
            Row::one("When", when(finding)),
        ])
        .chain(objects(target))
        .chain(threats.map(|threats| Row::one("Threats", threats)))
        .chain(signs.map(|signs| Row::one("Signs", signs)))
        .collect()
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

/// The objects that the finding names.
pub(super) fn objects(target: &Target) -> Option<Row> {
    let Target::Bucket(bucket) = target else {
        return None;
    };
    let of = |object: &Object| match &object.version {
        Some(version) => format!(
            "{} (version {})",
            shown(&object.key, LINE),
            shown(version, 64)
        ),
        None => shown(&object.key, LINE),
    };
    Row::some("Objects", bucket.objects.iter().map(of))
}
