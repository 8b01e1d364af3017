//! `restrict-network`: only by the endpoints, networks and addresses named.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::bystanders::bystanders;
use super::directory::every_action;
use super::document::{add_deny, everyone_info};
use super::{Context, Info, Stop, Tactic};
use crate::guard::Guard;
use crate::settings::Settings;
use crate::statements::{Deny, Test};

pub(super) const INFO: Info = everyone_info(
    "restrict-network",
    Tactic::Isolate,
    "denies every S3 action that comes by none of the VPC endpoints, VPCs and addresses named, AWS services spared",
);

pub(super) fn amend(
    endpoints: &[String],
    vpcs: &[String],
    cidrs: &[IpNet],
    context: &Context,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    let bucket_arn = context.bucket_arn()?;
    let cidrs: Vec<String> = cidrs.iter().map(IpNet::to_string).collect();
    // Negated conditions hold where the key is absent, and all must hold: whoever comes one of the ways passes.
    let ways = [
        ("NotIpAddress", "aws:SourceIp", cidrs.as_slice()),
        ("StringNotEquals", "aws:SourceVpce", endpoints),
        ("StringNotEquals", "aws:SourceVpc", vpcs),
    ];
    let mut only: Vec<Test> = ways
        .into_iter()
        .filter(|(_, _, values)| !values.is_empty())
        .map(|(operator, key, values)| Test {
            operator,
            key,
            values: values.iter().cloned().collect(),
        })
        .collect();
    if only.is_empty() {
        let why = "the rule names no network: give vpc-endpoints, vpcs or cidrs";
        return Err(Stop::new(Guard::NoAddress, why));
    }
    // A service that acts for a principal comes from an address of its own.
    only.push(Test {
        operator: "BoolIfExists",
        key: "aws:ViaAWSService",
        values: BTreeSet::from(["false".to_owned()]),
    });
    let deny = Deny {
        sid: "PortcullisRestrictNetwork".to_owned(),
        actions: every_action(context),
        hits: None,
        only,
        spare_services: true,
        spared: context.spared_with_service_linked(),
    };
    let notes = bystanders(context, desired)?;
    add_deny(&deny, &bucket_arn, context, desired)?;
    Ok(notes)
}
