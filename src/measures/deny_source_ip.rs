//! `deny-source-ip`: the finding's remote addresses. Easily evaded; useful for the hour it takes to evict the actor.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::directory::every_action;
use super::document::{add_deny, principal_info};
use super::{Context, Disposition, Info, Stop, Tactic};
use crate::guard::Guard;
use crate::settings::Settings;
use crate::statements::{By, Deny, Hits};

pub(super) const INFO: Info = principal_info(
    "deny-source-ip",
    Tactic::Isolate,
    Disposition::Safe,
    "denies every S3 action on the bucket to the remote addresses of the finding",
);

/// Networks that an address on the internet is never in; a Deny of one would hit the team's own callers or nobody.
const NOT_PUBLIC: [&str; 14] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
    "::/128",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
    "::ffff:0:0/96",
];

pub(super) fn amend(context: &Context, desired: &mut Settings) -> Result<Vec<String>, Stop> {
    let bucket_arn = context.bucket_arn()?;
    let mut denied = BTreeSet::new();
    let mut skipped = Vec::new();
    for remote in &context.finding.remotes {
        match (remote.address, &remote.domain) {
            (_, Some(domain)) => skipped.push(format!("{domain} is an AWS service")),
            (Some(address), None) => match reason_to_spare(address, context) {
                Some(reason) => skipped.push(format!("{address} {reason}")),
                None => drop(denied.insert(IpNet::from(address).to_string())),
            },
            (None, None) => {}
        }
    }
    if denied.is_empty() {
        let why = match skipped.is_empty() {
            true => "the finding names no remote address".to_owned(),
            false => format!("no address to deny: {}", skipped.join("; ")),
        };
        return Err(Stop::new(Guard::NoAddress, why));
    }
    let deny = Deny {
        sid: "PortcullisDenySourceIp".to_owned(),
        actions: every_action(context),
        hits: Some(Hits {
            by: By::Condition("IpAddress", "aws:SourceIp"),
            values: denied,
        }),
        only: Vec::new(),
        spare_services: false,
        spared: context.spared.clone(),
    };
    add_deny(&deny, &bucket_arn, context, desired)?;
    Ok(skipped
        .into_iter()
        .map(|skipped| format!("not denied: {skipped}"))
        .collect())
}

fn reason_to_spare(address: IpAddr, context: &Context) -> Option<&'static str> {
    if context
        .policy
        .trusted
        .networks
        .iter()
        .any(|network| network.contains(&address))
    {
        return Some("is in trusted.networks");
    }
    let not_public = NOT_PUBLIC
        .iter()
        .filter_map(|network| network.parse::<IpNet>().ok());
    not_public
        .into_iter()
        .any(|network| network.contains(&address))
        .then_some("is not a public address")
}
