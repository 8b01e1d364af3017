//! Whether it was authorized.

use super::{ActorKind, Authorization, BucketUse, ClassifiedActor, Network, Reasoned, Uses};
use crate::finding::Finding;

/// What a visitor of a website calls.
const VISITS: [&str; 2] = ["GetObject", "HeadObject"];

/// Trust is asked first: a team's own penetration test from a threat-listed address is still its own. With several actors,
/// one that is not trusted is enough to deny it.
pub(super) fn authorization(
    finding: &Finding,
    actors: &[ClassifiedActor],
    networks: &[Network],
    uses: &Uses,
) -> Reasoned<Authorization> {
    let trusted: Vec<&str> = actors
        .iter()
        .filter(|actor| actor.authorization == Authorization::Authorized)
        .map(|actor| actor.because.as_str())
        .collect();
    if !actors.is_empty() && trusted.len() == actors.len() {
        return Reasoned::new(Authorization::Authorized, trusted.join("; "));
    }
    let addresses = finding
        .remotes
        .iter()
        .filter(|remote| remote.address.is_some())
        .count();
    if addresses > 0 && networks == [Network::Trusted] {
        return Reasoned::new(
            Authorization::Authorized,
            "every remote address is in trusted.networks",
        );
    }
    let listed = |network: Network| networks.contains(&network);
    let because = if finding.kind.starts_with("AttackSequence:") {
        "GuardDuty saw a sequence of steps of an attack"
    } else if finding.kind.contains("MaliciousFile") {
        "the object is malware"
    } else if listed(Network::Tor) {
        "the call came from a Tor exit"
    } else if listed(Network::ThreatList) {
        "the call came from an address on a threat list"
    } else if listed(Network::CustomList) {
        "the call came from an address on the team's own threat list"
    } else if actors
        .iter()
        .any(|actor| actor.kind == ActorKind::Anonymous)
    {
        return anonymous(finding, uses);
    } else {
        return Reasoned::new(
            Authorization::Undetermined,
            "nothing in trusted matches and the finding alone does not decide it",
        );
    };
    Reasoned::new(Authorization::Unauthorized, because)
}

/// An unsigned call was never authorized as such, but for two that are made without credentials by design.
fn anonymous(finding: &Finding, uses: &Uses) -> Reasoned<Authorization> {
    let calls = |apis: &[&str]| {
        !finding.calls.is_empty()
            && finding
                .calls
                .iter()
                .all(|call| apis.contains(&call.api.as_str()))
    };
    if calls(&["PreflightRequest"]) {
        return Reasoned::new(
            Authorization::Undetermined,
            "a browser sends preflight requests without credentials; the question is whether the bucket should have CORS rules",
        );
    }
    if calls(&VISITS) && uses.has(BucketUse::Website) {
        return Reasoned::new(
            Authorization::Undetermined,
            "the call was anonymous, as every visit of a website is; the question is whether the bucket should be one",
        );
    }
    Reasoned::new(Authorization::Unauthorized, "the call was anonymous")
}
