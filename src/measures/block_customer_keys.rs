//! `block-customer-keys`: no new object under a key that only its writer has, the way in which ransomware takes a bucket.

use super::setting::{general_purpose, set_xml, xml};
use super::{Context, Disposition, Info, Stop, Tactic};
use crate::settings::{Edit, Element, SettingKind, Settings, XmlDocument, escaped};

pub(super) const INFO: Info = Info {
    name: "block-customer-keys",
    tactic: Tactic::Harden,
    disposition: Disposition::Safe,
    reads: &[SettingKind::Encryption],
    amends: &[SettingKind::Encryption],
    actions: &[
        "s3:GetEncryptionConfiguration",
        "s3:PutEncryptionConfiguration",
    ],
    summary: "refuses new objects encrypted with customer-provided keys (SSE-C), as ransomware writes them",
};

const KIND: SettingKind = SettingKind::Encryption;
const CUSTOMER_KEYS: &str = "SSE-C";
/// In the place of a list of types it says that none is blocked.
const NOTHING_BLOCKED: &str = "NONE";
/// What S3 does where nothing is configured.
const DEFAULT: &str = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
                       </ApplyServerSideEncryptionByDefault>";

pub(super) fn amend(context: &Context, desired: &mut Settings) -> Result<Vec<String>, Stop> {
    general_purpose(context, KIND)?;
    let document = match xml(KIND, desired)? {
        Some(document) => Ok(document),
        None => XmlDocument::new(
            "ServerSideEncryptionConfiguration",
            &format!("<Rule>{DEFAULT}</Rule>"),
        ),
    };
    let blocked = document.and_then(|document| {
        let rules = document.root().all("Rule");
        let edits = rules.filter_map(|rule| block(&document, rule)).collect();
        document.with(edits)
    });
    set_xml(KIND, blocked, desired)?;
    Ok(Vec::new())
}

fn block(document: &XmlDocument, rule: &Element) -> Option<Edit> {
    let types = |types: &[&str]| -> String {
        let listed = types.iter().map(|kind| escaped(kind));
        listed
            .map(|kind| format!("<EncryptionType>{kind}</EncryptionType>"))
            .collect()
    };
    let Some(blocked) = rule.child("BlockedEncryptionTypes") else {
        let ours = types(&[CUSTOMER_KEYS]);
        let ours = format!("<BlockedEncryptionTypes>{ours}</BlockedEncryptionTypes>");
        return Some(document.append(rule, &ours));
    };
    let mut all: Vec<&str> = blocked
        .all("EncryptionType")
        .map(|kind| kind.text.as_str())
        .filter(|kind| *kind != NOTHING_BLOCKED)
        .collect();
    if all.contains(&CUSTOMER_KEYS) {
        return None;
    }
    all.push(CUSTOMER_KEYS);
    Some(document.fill(blocked, &types(&all)))
}
