//! `deny-actor`: the actor's unique id, account or anonymity, denied everything on the bucket.

use super::directory::every_action;
use super::document::{add_deny, principal_info};
use super::who::actors;
use super::{Context, Disposition, Info, Scope, Stop, Tactic};
use crate::settings::Settings;
use crate::statements::Deny;

pub(super) const INFO: Info = principal_info(
    "deny-actor",
    Tactic::Evict,
    Disposition::Safe,
    "denies the finding's actor every S3 action on the bucket, by unique id (session, identity) or account",
);

pub(super) fn amend(
    scope: Scope,
    context: &Context,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    let bucket_arn = context.bucket_arn()?;
    let named = actors(scope, context)?;
    let mut amended = desired.clone();
    for (suffix, hits) in named.hits {
        let deny = Deny {
            sid: format!("PortcullisDenyActor{suffix}"),
            actions: every_action(context),
            hits: Some(hits),
            only: Vec::new(),
            spare_services: false,
            spared: context.spared.clone(),
        };
        add_deny(&deny, &bucket_arn, context, &mut amended)?;
    }
    *desired = amended;
    Ok(named.notes)
}
