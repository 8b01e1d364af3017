//! `mark-contained`: a tag for people and tools that come across the bucket.

use super::setting::{general_purpose, unreadable};
use super::{Context, Disposition, Info, Stop, Tactic};
use crate::settings::{Document, SettingKind, Settings};

pub(super) const INFO: Info = Info {
    name: "mark-contained",
    tactic: Tactic::Harden,
    disposition: Disposition::Safe,
    reads: &[SettingKind::Tags],
    amends: &[SettingKind::Tags],
    actions: &["s3:GetBucketTagging", "s3:PutBucketTagging"],
    summary: "adds the tag portcullis:contained with the finding's id and keeps all other tags",
};

const KEY: &str = "portcullis:contained";
/// S3's limit on the value of a tag, in characters.
const MAX_VALUE: usize = 256;
/// S3's limit on the tags of a bucket. Those that AWS itself sets do not count.
const MAX_TAGS: usize = 50;
const OF_AWS: &str = "aws:";

/// S3 replaces all tags at once, so that tags which cannot be read cannot be kept.
pub(super) fn amend(context: &Context, desired: &mut Settings) -> Result<Vec<String>, Stop> {
    general_purpose(context, SettingKind::Tags)?;
    let mut tags = desired.tags().map_err(unreadable)?;
    if let Some(earlier) = tags.get(KEY) {
        let note = format!("the bucket is marked already, with finding {earlier}");
        return Ok((*earlier != value(&context.finding.id))
            .then_some(note)
            .into_iter()
            .collect());
    }
    let counted = tags.keys().filter(|key| !key.starts_with(OF_AWS)).count();
    if counted >= MAX_TAGS {
        let note = format!(
            "the bucket is not marked: it has {counted} tags, and S3 takes no more than {MAX_TAGS}"
        );
        return Ok(vec![note]);
    }
    tags.insert(KEY.to_owned(), value(&context.finding.id));
    desired.set(SettingKind::Tags, Document::Tags(tags));
    Ok(Vec::new())
}

/// S3 takes letters, digits, spaces and `+-=._:/@`.
fn value(id: &str) -> String {
    id.chars()
        .filter(|c| c.is_ascii_alphanumeric() || "+-=._:/@".contains(*c))
        .take(MAX_VALUE)
        .collect()
}
