//! Files and folders of findings, compressed or not, read on a thread of their own.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use flate2::bufread::MultiGzDecoder;
use tokio::sync::mpsc::Sender;

use super::parts::{Part, Parts};
use super::work::{Job, Progress};
use crate::exit::Failure;
use crate::input;

/// How the files of a folder end that hold findings.
const ENDINGS: [&str; 6] = [
    ".jsonl.gz",
    ".json.gz",
    ".ndjson.gz",
    ".jsonl",
    ".json",
    ".ndjson",
];
/// How much is read at once from a file that is compressed.
const READ: usize = 64 << 10;

/// Whether a name is one of a file that holds findings.
pub(super) fn holds_findings(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The files that were named, and those of the folders that were named, folders within them included, in order.
pub(super) fn found(sources: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for source in sources {
        if input::is_stdin(source) {
            files.push(source.clone());
            continue;
        }
        let refused = |error: io::Error| {
            Failure::invalid(format!(
                "the findings {} cannot be read: {error}; give a file, a folder, s3://bucket/prefix, or - for standard input",
                source.display()
            ))
        };
        files.extend(input::files(source, holds_findings).map_err(refused)?);
    }
    Ok(files)
}

/// Cuts all files into parts and hands them on, until nobody takes them.
pub(super) fn read(files: &[PathBuf], jobs: &Sender<Job>, progress: &Arc<Progress>) {
    let mut number = 0;
    for path in files {
        let name: Arc<str> = input::name(path).into();
        let opened: io::Result<Box<dyn Read>> = match input::is_stdin(path) {
            true => Ok(Box::new(io::stdin())),
            false => File::open(path).map(|file| Box::new(file) as _),
        };
        let goes_on = match opened {
            Ok(input) => {
                let input = Counted {
                    input,
                    progress: progress.clone(),
                };
                cut(&name, input, &mut number, jobs)
            }
            Err(error) => {
                let part = Part::Broken {
                    line: None,
                    why: format!("the file cannot be read: {error}"),
                };
                hand_on(&name, part, &mut number, jobs)
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// Cuts one input, decompressed where it is compressed. Says whether somebody still takes the parts.
pub(super) fn cut(name: &Arc<str>, input: impl Read, number: &mut u64, jobs: &Sender<Job>) -> bool {
    let mut input = BufReader::with_capacity(READ, input);
    let mut goes_on = |part| hand_on(name, part, number, jobs);
    match is_compressed(&mut input) {
        Ok(true) => Parts::new(MultiGzDecoder::new(input)).all(goes_on),
        Ok(false) => {
            // From here on without a buffer between, which large reads only pass through.
            let begin = Cursor::new(input.buffer().to_vec());
            Parts::new(begin.chain(input.into_inner())).all(goes_on)
        }
        Err(error) => goes_on(Part::Broken {
            line: None,
            why: format!("it cannot be read: {error}"),
        }),
    }
}

fn hand_on(name: &Arc<str>, part: Part, number: &mut u64, jobs: &Sender<Job>) -> bool {
    let job = Job::Part {
        name: name.clone(),
        number: *number,
        part,
    };
    *number += 1;
    jobs.blocking_send(job).is_ok()
}

/// By the first two bytes, whatever the name says.
fn is_compressed(input: &mut impl io::BufRead) -> io::Result<bool> {
    Ok(input.fill_buf()?.starts_with(&[0x1f, 0x8b]))
}

/// Tells how many bytes were read.
struct Counted<R> {
    input: R,
    progress: Arc<Progress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.progress.done.fetch_add(read as u64, Relaxed);
        Ok(read)
    }
}
