//! Files and standard input.

use std::io::Read;
use std::path::Path;

use portcullis::finding::{self, Event, Finding};

use crate::entry::Entry;
use crate::exit::{Exit, Failure};
use crate::out::Out;

/// More than any event or policy has; a wrong file should not fill the memory.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Whether the path stands for standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What messages call the file.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// The bytes of a file or of standard input.
pub(crate) fn read(path: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    let refused = |error: std::io::Error| {
        let name = name(path);
        Failure::invalid(format!(
            "the {what} {name} cannot be read: {error}; give the path of a file, or - for standard input"
        ))
    };
    let mut bytes = Vec::new();
    if is_stdin(path) {
        std::io::stdin()
            .lock()
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(refused)?;
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
            .map_err(refused)?;
    }
    match bytes.len() as u64 > LARGEST {
        true => Err(Failure::invalid(format!(
            "the {what} {} is larger than 64 MiB, so it is none",
            name(path)
        ))),
        false => Ok(bytes),
    }
}

/// The findings of an event file. What is none of ours, or no event at all, is told at once and goes into `entries`;
/// the others are still handled.
pub(crate) fn findings(
    bytes: &[u8],
    from: &str,
    entries: &mut Vec<Entry>,
    out: &mut Out,
) -> (Vec<Finding>, Exit) {
    let mut findings = Vec::new();
    let mut exit = Exit::Done;
    let mut invalid = |message: String, entries: &mut Vec<Entry>| {
        out.error(&message);
        entries.push(Entry::Invalid(message));
        exit = exit.max(Exit::Invalid);
    };
    for event in finding::read(bytes) {
        match event {
            Ok(Event::Finding(finding)) if finding.targets.is_empty() => {
                entries.push(Entry::NoTarget(finding))
            }
            Ok(Event::Finding(finding)) => findings.push(*finding),
            Ok(Event::Ignored(ignored)) => entries.push(Entry::Ignored(ignored)),
            Ok(Event::Request(_)) => invalid(
                format!(
                    "{from} holds a request to the deployed function; invoke it with that, or use the verb of the same name here"
                ),
                entries,
            ),
            Err(error) => invalid(format!("{from}: {error}"), entries),
        }
    }
    (findings, exit)
}
