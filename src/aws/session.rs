//! Who we are, and where s3control is.

use aws_config::SdkConfig;
use aws_sdk_s3control::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};

use super::AwsError;
use crate::classification::Own;

/// Asks STS who the credentials belong to.
pub async fn identity(config: &SdkConfig) -> Result<Own, AwsError> {
    caller(config).await.map(|caller| caller.own)
}

/// Whose credentials these are.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The ARN, with the session's name where it is a role's.
    pub arn: String,
    /// The same in terms of `aws:PrincipalArn`.
    pub own: Own,
}

/// Asks STS who the credentials belong to. A role's session does not tell the role's path, so the pattern covers the role
/// with and without one.
pub async fn caller(config: &SdkConfig) -> Result<Caller, AwsError> {
    let client = aws_sdk_sts::Client::new(config);
    let answer = client.get_caller_identity().send().await;
    let answer =
        answer.map_err(|error| AwsError::new("GetCallerIdentity", "the caller", &error))?;
    let arn = answer.arn().unwrap_or_default().to_owned();
    let own = Own {
        principals: principal_patterns(&arn),
        account: answer.account().map(str::to_owned),
    };
    Ok(Caller { arn, own })
}

/// The patterns of `aws:PrincipalArn` that stand for the identity with this ARN.
pub(super) fn principal_patterns(arn: &str) -> Vec<String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", partition, "sts", _, account, resource] => {
            match resource.split('/').collect::<Vec<_>>()[..] {
                ["assumed-role", role, ..] => vec![
                    format!("arn:{partition}:iam::{account}:role/{role}"),
                    format!("arn:{partition}:iam::{account}:role/*/{role}"),
                ],
                _ => vec![arn.to_owned()],
            }
        }
        _ if arn.is_empty() => Vec::new(),
        _ => vec![arn.to_owned()],
    }
}

/// s3control puts the account id in front of the host name, which no local server resolves.
#[derive(Debug)]
pub(super) struct FixedEndpoint(pub(super) String);

impl ResolveEndpoint for FixedEndpoint {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.0.clone()).build()))
    }
}
