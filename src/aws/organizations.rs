//! Organizations: whether an account is in an organization that the team trusts.
//!
//! Only the organization's management account and its delegated administrators may ask about another account.

use std::collections::HashMap;
use std::sync::MutexGuard;

use aws_sdk_organizations::Client;
use aws_sdk_organizations::operation::describe_account::DescribeAccountError;
use tokio::time::{Instant, timeout_at};

use super::{Aws, AwsError, Meaning, quick};
use crate::enrichment::Membership;
use crate::settings::TOO_LATE;

/// The IAM actions of [`membership`].
pub const READS: [&str; 1] = ["organizations:DescribeAccount"];

/// Where an account belongs. Answers within two seconds, whatever Organizations does; what it said once is not asked again by
/// this process.
pub async fn membership(aws: &Aws, account: &str) -> Membership {
    let known = || lock(aws)?.get(account).cloned();
    if let Some(known) = known() {
        return known;
    }
    let until = Instant::now() + quick::BUDGET;
    let answer = match timeout_at(until, ask(aws, account)).await {
        Ok(answer) => answer,
        Err(_) => Membership::Unknown(format!("DescribeAccount: {TOO_LATE}")),
    };
    // What is not known may be known the next time.
    if let (false, Some(mut known)) = (matches!(answer, Membership::Unknown(_)), lock(aws)) {
        known.insert(account.to_owned(), answer.clone());
    }
    answer
}

async fn ask(aws: &Aws, account: &str) -> Membership {
    let client = Client::new(&quick::config(aws.config()));
    let error = match client.describe_account().account_id(account).send().await {
        Ok(answer) => {
            let arn = answer.account().and_then(|account| account.arn());
            return match arn.and_then(organization) {
                Some(id) => Membership::Member(id.to_owned()),
                None => Membership::Unknown("DescribeAccount names no organization".to_owned()),
            };
        }
        Err(error) => error,
    };
    if error
        .as_service_error()
        .is_some_and(DescribeAccountError::is_account_not_found_exception)
    {
        return Membership::Outside;
    }
    let error = AwsError::new("DescribeAccount", &format!("account {account}"), &error);
    let advice = match error.meaning {
        Meaning::Denied => {
            "; only the organization's management account and its delegated administrators may ask"
        }
        _ => "",
    };
    Membership::Unknown(format!("{}{advice}", error.in_short()))
}

/// The organization in `arn:aws:organizations::111122223333:account/o-exampleorgid/444455556666`.
fn organization(arn: &str) -> Option<&str> {
    let resource = arn.split(':').nth(5)?;
    let id = resource.strip_prefix("account/")?.split('/').next()?;
    id.starts_with("o-").then_some(id)
}

fn lock(aws: &Aws) -> Option<MutexGuard<'_, HashMap<String, Membership>>> {
    aws.memberships.lock().ok()
}
