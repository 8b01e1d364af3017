//! `deny-outside`: everybody out who is not of the organizations and accounts named.

use super::bystanders::bystanders;
use super::directory::every_action;
use super::document::{add_deny, everyone_info};
use super::{Context, Info, Stop, Tactic};
use crate::settings::Settings;
use crate::statements::{Deny, Test};

pub(super) const INFO: Info = everyone_info(
    "deny-outside",
    Tactic::Isolate,
    "denies every S3 action to principals outside the organizations and accounts named, AWS services spared",
);

/// Without parameters, what the policy file trusts. The bucket's own account is always inside.
pub(super) fn amend(
    organizations: &[String],
    accounts: &[String],
    context: &Context,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    let bucket_arn = context.bucket_arn()?;
    let trusted = &context.policy.trusted;
    let (organizations, accounts) = match organizations.is_empty() && accounts.is_empty() {
        true => (
            trusted.organizations.as_slice(),
            trusted.accounts.as_slice(),
        ),
        false => (organizations, accounts),
    };
    let owner = context.bucket.map(|bucket| bucket.account.clone());
    // Both negated conditions must hold, so that whoever is inside one of them passes. An anonymous caller has no
    // organization, and the account "anonymous".
    let mut only = vec![Test {
        operator: "StringNotEquals",
        key: "aws:PrincipalAccount",
        values: accounts.iter().cloned().chain(owner).collect(),
    }];
    if !organizations.is_empty() {
        let values = organizations.iter().cloned().collect();
        only.insert(
            0,
            Test {
                operator: "StringNotEquals",
                key: "aws:PrincipalOrgID",
                values,
            },
        );
    }
    let deny = Deny {
        sid: "PortcullisDenyOutside".to_owned(),
        actions: every_action(context),
        hits: None,
        only,
        // They have no organization: CloudTrail and log delivery would be shut out.
        spare_services: true,
        spared: context.spared.clone(),
    };
    let notes = bystanders(context, desired)?;
    add_deny(&deny, &bucket_arn, context, desired)?;
    Ok(notes)
}
