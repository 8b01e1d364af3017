//! `restore-logging`: server access logs, where they are off. Logs that are on stay as they are, wherever they go.

use super::setting::{general_purpose, set_xml, xml};
use super::{Context, Disposition, Info, Stop, Tactic};
use crate::enrichment::LogTarget;
use crate::guard::Guard;
use crate::settings::{SettingKind, Settings, XmlDocument, escaped};

pub(super) const INFO: Info = Info {
    name: "restore-logging",
    tactic: Tactic::Restore,
    disposition: Disposition::Safe,
    reads: &[SettingKind::Logging],
    amends: &[SettingKind::Logging],
    actions: &["s3:GetBucketLogging", "s3:PutBucketLogging"],
    summary: "turns server access logs on, to the bucket that the policy file names, where they are off",
};

const KIND: SettingKind = SettingKind::Logging;

pub(super) fn amend(
    target: &str,
    prefix: &str,
    context: &Context,
    desired: &mut Settings,
) -> Result<Vec<String>, Stop> {
    let bucket = general_purpose(context, KIND)?;
    let current = match xml(KIND, desired)? {
        Some(current) => Ok(current),
        None => XmlDocument::new("BucketLoggingStatus", ""),
    };
    if let Ok(Some(on)) = current
        .as_ref()
        .map(|current| current.root().child("LoggingEnabled"))
    {
        let there = on.value("TargetBucket");
        let note =
            (there != target).then(|| format!("logs go to {there} already, and are left so"));
        return Ok(note.into_iter().collect());
    }
    if bucket.name == target {
        let why =
            "the bucket is the target of the logs itself, and each log would be logged in turn";
        return Err(Stop::new(Guard::WrongTarget, why));
    }
    let mut notes = Vec::new();
    match context.enrichment.log_targets.get(target) {
        Some(LogTarget::OtherRegion(region)) => {
            let why = format!(
                "bucket {target} is in {region}, and S3 delivers logs only to a bucket in the same Region"
            );
            return Err(Stop::new(Guard::WrongTarget, why));
        }
        Some(LogTarget::Unknown(why)) => notes.push(format!(
            "whether bucket {target} is in the same Region is not known: {why}"
        )),
        Some(LogTarget::SameRegion) | None => {}
    }
    let (target, prefix) = (escaped(target), escaped(prefix));
    let on = format!(
        "<LoggingEnabled><TargetBucket>{target}</TargetBucket><TargetPrefix>{prefix}</TargetPrefix></LoggingEnabled>"
    );
    let on = current.and_then(|current| current.with(vec![current.append(current.root(), &on)]));
    set_xml(KIND, on, desired)?;
    Ok(notes)
}
