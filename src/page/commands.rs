//! What a person can type to see for themselves.

use crate::finding::Target;
use crate::record::Record;
use crate::report::{LINE, quoted, shown};
use crate::settings::SettingKind;

/// Commands that only read: what for, and the command.
pub(super) fn looks(record: &Record) -> Vec<(String, String)> {
    let word = |text: &str| quoted(&shown(text, LINE));
    let finding = &record.finding;
    let mut commands = vec![
        (
            "This record, as text or JSON".to_owned(),
            format!("portcullis show {}", word(&record.id)),
        ),
        (
            "The finding, as GuardDuty has it; DETECTOR is what aws guardduty list-detectors answers".to_owned(),
            format!(
                "aws guardduty get-findings --region {} --detector-id DETECTOR --finding-ids {}",
                word(finding.detector_region()),
                word(&finding.id)
            ),
        ),
    ];
    let changes = record.decision.plan.changes.iter();
    commands.extend(changes.map(|change| {
        (
            format!("The {} now", change.setting.title()),
            read(change.setting, &record.target),
        )
    }));
    commands
}

fn read(kind: SettingKind, target: &Target) -> String {
    let word = |text: &str| quoted(&shown(text, LINE));
    let (bucket, account) = match target {
        Target::Bucket(bucket) => (word(&bucket.name), word(&bucket.account)),
        Target::Account(id) => (String::new(), word(id)),
    };
    let verb = match kind {
        SettingKind::AccountPublicAccessBlock => {
            return format!("aws s3control get-public-access-block --account-id {account}");
        }
        SettingKind::AccessPointPolicies => {
            return format!(
                "aws s3control list-access-points --account-id {account} --bucket {bucket}"
            );
        }
        SettingKind::Versioning => "get-bucket-versioning",
        SettingKind::Lifecycle => "get-bucket-lifecycle-configuration",
        SettingKind::Encryption => "get-bucket-encryption",
        SettingKind::BucketPolicy => "get-bucket-policy",
        SettingKind::Acl => "get-bucket-acl",
        SettingKind::OwnershipControls => "get-bucket-ownership-controls",
        SettingKind::Cors => "get-bucket-cors",
        SettingKind::Logging => "get-bucket-logging",
        SettingKind::Replication => "get-bucket-replication",
        SettingKind::PublicAccessBlock => "get-public-access-block",
        SettingKind::Tags => "get-bucket-tagging",
        SettingKind::Website => "get-bucket-website",
        SettingKind::PolicyStatus => "get-bucket-policy-status",
    };
    format!("aws s3api {verb} --bucket {bucket}")
}
