//! `preserve-data`: nothing that is there gets lost while the incident lasts.

use super::Stop;
use super::setting::{disable_rules, set_xml, xml};
use crate::settings::{Element, SettingKind, Settings, XmlDocument};

/// Elements by which a lifecycle rule deletes objects, versions or what marks them as deleted.
const EXPIRING: [&str; 2] = ["Expiration", "NoncurrentVersionExpiration"];

/// Has S3 keep the versions of objects, and switches off the lifecycle rules that expire any.
pub(super) fn amend_settings(desired: &mut Settings) -> Result<Vec<String>, Stop> {
    let mut amended = desired.clone();
    let mut notes = keep_versions(&mut amended)?;
    let expires = |rule: &Element| EXPIRING.iter().any(|name| rule.child(name).is_some());
    let disabled = disable_rules(SettingKind::Lifecycle, expires, &mut amended)?;
    if !disabled.is_empty() {
        notes.push(format!(
            "lifecycle rules that expire objects are switched off with all that they do: {}",
            disabled.join(", ")
        ));
    }
    *desired = amended;
    Ok(notes)
}

fn keep_versions(desired: &mut Settings) -> Result<Vec<String>, Stop> {
    let kind = SettingKind::Versioning;
    let current = match xml(kind, desired)? {
        Some(current) => Ok(current),
        None => XmlDocument::new("VersioningConfiguration", ""),
    };
    let enabled = match current {
        Ok(current) if current.root().value("Status") == "Enabled" => return Ok(Vec::new()),
        Ok(current) if current.root().value("MfaDelete") == "Enabled" => {
            let note = "versioning stays suspended: MFA delete is on, so that only the root user can change it";
            return Ok(vec![note.to_owned()]);
        }
        Ok(current) => {
            let edit = match current.root().child("Status") {
                Some(status) => current.fill(status, "Enabled"),
                None => current.append(current.root(), "<Status>Enabled</Status>"),
            };
            current.with(vec![edit])
        }
        Err(error) => Err(error),
    };
    set_xml(kind, enabled, desired)?;
    Ok(Vec::new())
}
