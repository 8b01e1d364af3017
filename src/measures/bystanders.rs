//! Who would lose by a Deny to everybody without being an AWS service that a condition can spare: deliveries of logs by an
//! ACL grant or by an account of AWS's, and CloudFront by the older origin access identity.

use super::directory::is_directory;
use super::{Context, Stop};
use crate::classification::delivery_not_by_service;
use crate::guard::Guard;
use crate::settings::{PolicyDocument, Settings};

/// How the ARN of an origin access identity begins, after its partition.
const ACCESS_IDENTITY: &str = ":iam::cloudfront:user/";

/// Stops where logs would no longer arrive, for what is not logged now is lost; otherwise what is worth telling.
pub(super) fn bystanders(context: &Context, desired: &Settings) -> Result<Vec<String>, Stop> {
    if !context.means_log_targets
        && let Some(who) = delivery_not_by_service(desired)
    {
        return Err(log_target(&who));
    }
    // A directory bucket has no access control list, takes no logs and is no origin.
    if is_directory(context) {
        return Ok(Vec::new());
    }
    let mut notes = Vec::new();
    if let Err(unknown) = desired.acl() {
        notes.push(format!(
            "logs that are delivered by a grant of the access control list would stop, and whether there are any is not known: {unknown}"
        ));
    }
    let statements = desired.bucket_policy().ok().flatten();
    let statements = statements
        .map(PolicyDocument::statements)
        .unwrap_or_default();
    let identity = statements.iter().find(|statement| {
        let principals = statement.aws_principals();
        statement.effect() == "Allow" && principals.iter().any(|arn| arn.contains(ACCESS_IDENTITY))
    });
    if let Some(statement) = identity {
        notes.push(format!(
            "CloudFront reads by an origin access identity (statement {}), which is no AWS service to a bucket policy: its \
             distribution loses the bucket",
            statement.sid().unwrap_or("without a Sid")
        ));
    }
    Ok(notes)
}

/// Why a measure is withheld from a bucket that takes logs.
pub(super) fn log_target(who: &str) -> Stop {
    let why = format!(
        "logs are delivered to the bucket by {who}, and what cannot be delivered is lost; a rule whose `when` has \
         `bucket-use: log-target` does it all the same"
    );
    Stop::new(Guard::LogTarget, why)
}
