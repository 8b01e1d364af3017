//! Files and standard input.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

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
    let bytes = match is_stdin(path) {
        true => {
            let mut bytes = Vec::new();
            let input = std::io::stdin().lock();
            let read = input.take(LARGEST + 1).read_to_end(&mut bytes);
            read.map(|_| bytes)
        }
        false => read_file(path),
    };
    let bytes = bytes.map_err(refused)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(Failure::invalid(format!(
            "the {what} {} is larger than 64 MiB, so it is none",
            name(path)
        ))),
        false => Ok(bytes),
    }
}

/// The bytes of a file, cut where it is larger than anything that is read here.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that was named, or the files of a folder that `wanted` says yes to by their names, folders within it included, in
/// order. Links to folders are not followed, so that the walk has an end.
pub(crate) fn files(path: &Path, wanted: fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    match fs::metadata(path)?.is_dir() {
        true => walk(path, wanted, &mut files)?,
        false => files.push(path.to_owned()),
    }
    Ok(files)
}

fn walk(folder: &Path, wanted: fn(&str) -> bool, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            walk(&path, wanted, files)?;
        } else if wanted(&entry.file_name().to_string_lossy()) {
            files.push(path);
        }
    }
    Ok(())
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
            Ok(Event::Trail(event)) => entries.push(Entry::Ignored(event.ignored())),
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
