//! Where the findings come from: files, an export in S3, the store's records, or GuardDuty.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::{fs, thread};

use aws_config::SdkConfig;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use portcullis::aws::guardduty::Past;
use portcullis::aws::{Aws, AwsError, Objects};
use portcullis::report::{LINE, shown};
use portcullis::store::{RECORDS, Store};
use tokio::sync::mpsc::{self, Sender};

use super::files;
use super::parts::Part;
use super::work::{Job, Progress};
use crate::exit::Failure;
use crate::input;
use crate::records::{self, AT_ONCE};

/// Pieces of an object that wait to be cut.
const PIECES: usize = 8;

/// Findings to come.
pub(super) enum Supply {
    /// Of files; in order.
    Files(Vec<PathBuf>),
    /// Of the objects below a prefix.
    Export(Objects),
    /// Of the records of a store.
    Records(Store),
    /// Of GuardDuty in a Region, since a time.
    GuardDuty {
        aws: Box<Aws>,
        region: String,
        since: Timestamp,
    },
}

impl Supply {
    /// Hands everything on, until nobody takes it.
    pub(super) async fn run(
        self,
        jobs: Sender<Job>,
        progress: Arc<Progress>,
    ) -> Result<(), Failure> {
        match self {
            Self::Files(files) => {
                progress.total.store(size(&files), Relaxed);
                // It may wait for standard input for ever, and is then left behind.
                thread::spawn(move || files::read(&files, &jobs, &progress));
                Ok(())
            }
            Self::Export(objects) => export(&objects, jobs, &progress).await,
            Self::Records(store) => of_records(&store, jobs, &progress).await,
            Self::GuardDuty { aws, region, since } => {
                of_guardduty(&aws, &region, since, jobs).await
            }
        }
    }
}

/// An export below `s3://bucket/prefix`.
pub(super) fn in_s3(config: &SdkConfig, place: &str) -> Option<Objects> {
    let rest = place.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    Some(Objects::new(config, bucket, prefix))
}

/// The size of all files together; 0 where one has none.
fn size(files: &[PathBuf]) -> u64 {
    let sizes = files.iter().map(|path| match input::is_stdin(path) {
        true => None,
        false => fs::metadata(path).ok().filter(fs::Metadata::is_file),
    });
    let sizes = sizes.map(|metadata| Some(metadata?.len()));
    sizes.sum::<Option<u64>>().unwrap_or(0)
}

async fn export(objects: &Objects, jobs: Sender<Job>, progress: &Progress) -> Result<(), Failure> {
    let (opened, mut waiting) = mpsc::channel::<(Arc<str>, Pieces)>(1);
    let cutter = thread::spawn(move || {
        let mut number = 0;
        while let Some((name, pieces)) = waiting.blocking_recv() {
            if !files::cut(&name, pieces, &mut number, &jobs) {
                return;
            }
        }
    });
    let mut last = None;
    loop {
        let page = objects.after(last.as_deref()).await.map_err(refused)?;
        let Some(end) = page.last() else { break };
        last = Some(end.key.clone());
        for object in page
            .iter()
            .filter(|object| files::holds_findings(&object.key))
        {
            progress.total.fetch_add(object.size, Relaxed);
            let mut content = objects.open(&object.key).await.map_err(refused)?;
            let (pieces, come) = mpsc::channel(PIECES);
            let name: Arc<str> = objects.place(&object.key).into();
            if opened.send((name, Pieces::of(come))).await.is_err() {
                return Ok(());
            }
            while let Some(piece) = content.next().await {
                let length = piece.as_ref().map_or(0, Vec::len);
                progress.done.fetch_add(length as u64, Relaxed);
                if pieces.send(piece).await.is_err() {
                    break;
                }
            }
        }
    }
    drop(opened);
    match tokio::task::spawn_blocking(|| cutter.join()).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Failure::failed("a thread ended before its work was done")),
    }
}

/// The content of an object, piece by piece, for a thread that reads.
struct Pieces {
    come: mpsc::Receiver<Result<Vec<u8>, String>>,
    piece: io::Cursor<Vec<u8>>,
}

impl Pieces {
    fn of(come: mpsc::Receiver<Result<Vec<u8>, String>>) -> Self {
        Self {
            come,
            piece: io::Cursor::default(),
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            match self.come.blocking_recv() {
                Some(Ok(piece)) => self.piece = io::Cursor::new(piece),
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
    }
}

async fn of_records(store: &Store, jobs: Sender<Job>, progress: &Progress) -> Result<(), Failure> {
    let keys = store.list(RECORDS).await.map_err(Failure::failed)?;
    let keys: Vec<String> = keys
        .into_iter()
        .filter(|key| records::id(key).is_some())
        .collect();
    progress.total.store(keys.len() as u64, Relaxed);
    let read = stream::iter(keys.iter().enumerate())
        .map(|(number, key)| async move { (number as u64, key, store.get(key).await) })
        .buffered(AT_ONCE);
    let mut read = std::pin::pin!(read);
    while let Some((number, key, object)) = read.next().await {
        progress.done.fetch_add(1, Relaxed);
        let name = records::id(key).unwrap_or(key).to_owned();
        let job = match object {
            Ok(Some(object)) => Job::Record {
                name,
                number,
                bytes: object.bytes,
            },
            // Deleted since it was listed.
            Ok(None) => continue,
            Err(error) => Job::Part {
                name: name.into(),
                number,
                part: Part::Broken {
                    line: None,
                    why: shown(&error.to_string(), 4 * LINE),
                },
            },
        };
        if jobs.send(job).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn of_guardduty(
    aws: &Aws,
    region: &str,
    since: Timestamp,
    jobs: Sender<Job>,
) -> Result<(), Failure> {
    let mut past = Past::new(aws, region, since).await.map_err(refused)?;
    let name: Arc<str> = format!("GuardDuty in {region}").into();
    let mut number = 0;
    while let Some(bytes) = past.next().await.map_err(refused)? {
        let job = Job::Part {
            name: name.clone(),
            number,
            part: Part::Documents {
                bytes,
                line: None,
                listed: false,
            },
        };
        number += 1;
        if jobs.send(job).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn refused(error: AwsError) -> Failure {
    Failure::failed(shown(&error.to_string(), 8 * LINE))
}
