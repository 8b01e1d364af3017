//! A folder as a store.
//!
//! A file gets its name only when it is whole and on disk: it is written under a temporary name in
//! the same directory, then linked (which fails where the name is taken) or renamed. Comparing and
//! replacing is two steps, so those run under an exclusive lock that the operating system drops
//! with the process. Needs a Unix file system with hard links.
//!
//! The calls block. That is the simple choice: this store serves a person's command line, and no
//! lock is ever held across an await.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{Created, Deleted, Fetched, Object, Operation, Replaced, StoreError};

/// Begins with a dot, as no key does, so that neither it nor the lock is ever taken for an object.
const TEMPORARY: &str = ".tmp-";
const LOCK: &str = ".lock";

/// A folder as a store; made when first written to.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder at a path, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder's path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn get(&self, key: &str, etag: Option<&str>) -> Result<Fetched, StoreError> {
        let path = self.path(key);
        let object = read(&path).map_err(|e| StoreError::folder(Operation::Read, &path, e))?;
        Ok(match object {
            None => Fetched::Absent,
            Some(object) if etag == Some(object.etag.as_str()) => Fetched::Unchanged,
            Some(object) => Fetched::New(object),
        })
    }

    pub(super) fn create(&self, key: &str, bytes: &[u8]) -> Result<Created, StoreError> {
        let path = self.path(key);
        let fail = |e| StoreError::folder(Operation::Create, &path, e);
        let temporary = self.write_temporary(&path, bytes).map_err(fail)?;
        match fs::hard_link(&temporary.path, &path) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(Created::Exists),
            // Linux says EPERM where the file system has no hard links; a lack of permission would
            // have kept us from writing the temporary file.
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                return Err(fail(io::Error::new(ErrorKind::Unsupported, e)));
            }
            Err(e) => return Err(fail(e)),
        }
        self.sync_directories(&path).map_err(fail)?;
        Ok(Created::Done { etag: etag(bytes) })
    }

    pub(super) fn replace(
        &self,
        key: &str,
        bytes: &[u8],
        expected: &str,
    ) -> Result<Replaced, StoreError> {
        let path = self.path(key);
        let fail = |e| StoreError::folder(Operation::Replace, &path, e);
        let _lock = self.lock().map_err(fail)?;
        match read(&path).map_err(fail)? {
            Some(object) if object.etag == expected => {}
            _ => return Ok(Replaced::Changed),
        }
        let temporary = self.write_temporary(&path, bytes).map_err(fail)?;
        fs::rename(&temporary.path, &path).map_err(fail)?;
        self.sync_directories(&path).map_err(fail)?;
        Ok(Replaced::Done { etag: etag(bytes) })
    }

    pub(super) fn delete(&self, key: &str, expected: &str) -> Result<Deleted, StoreError> {
        let path = self.path(key);
        let fail = |e| StoreError::folder(Operation::Delete, &path, e);
        let _lock = self.lock().map_err(fail)?;
        match read(&path).map_err(fail)? {
            None => return Ok(Deleted::Absent),
            Some(object) if object.etag != expected => return Ok(Deleted::Changed),
            Some(_) => {}
        }
        fs::remove_file(&path).map_err(fail)?;
        self.sync_directories(&path).map_err(fail)?;
        Ok(Deleted::Done)
    }

    /// Looks only into the directory that the prefix names, so that a store inside a large folder
    /// does not cost a walk through all of it.
    pub(super) fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut keys = Vec::new();
        let mut pending = vec![
            prefix
                .rsplit_once('/')
                .map_or("", |(dir, _)| dir)
                .to_owned(),
        ];
        while let Some(directory) = pending.pop() {
            let path = self.path(&directory);
            let entries =
                read_directory(&path).map_err(|e| StoreError::folder(Operation::List, &path, e))?;
            for (name, is_directory) in entries {
                let key = match directory.as_str() {
                    "" => name,
                    directory => format!("{directory}/{name}"),
                };
                if is_directory {
                    pending.push(key);
                } else if key.starts_with(prefix) {
                    keys.push(key);
                }
            }
        }
        Ok(keys)
    }

    /// The path of a key that was checked: no part of it can lead out of the folder.
    pub(super) fn path(&self, key: &str) -> PathBuf {
        let mut path = self.root.clone();
        path.extend(key.split('/').filter(|part| !part.is_empty()));
        path
    }

    /// Writes the bytes to disk beside `path`, under a name that nobody reads.
    fn write_temporary(&self, path: &Path, bytes: &[u8]) -> io::Result<Temporary> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let directory = path.parent().unwrap_or(&self.root);
        make_directory(directory)?;
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = directory.join(format!("{TEMPORARY}{}-{number}", process::id()));
            let opened = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            let mut file = match opened {
                Ok(file) => file,
                // Left by a process that crashed and had our id.
                Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(e),
            };
            let temporary = Temporary { path };
            file.write_all(bytes)?;
            file.sync_all()?;
            return Ok(temporary);
        }
    }

    /// Waits for the lock of the whole folder. Others hold it for as long as it takes to write one
    /// file.
    fn lock(&self) -> io::Result<File> {
        make_directory(&self.root)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.root.join(LOCK))?;
        file.lock()?;
        Ok(file)
    }

    /// A name survives a power cut only when the directory that holds it was synced, and evidence
    /// must.
    fn sync_directories(&self, path: &Path) -> io::Result<()> {
        for directory in path.ancestors().skip(1) {
            if !directory.as_os_str().is_empty() {
                File::open(directory)?.sync_all()?;
            }
            if directory == self.root {
                break;
            }
        }
        Ok(())
    }
}

/// A file without a name of its own, removed when it is dropped. After a rename there is nothing to
/// remove.
struct Temporary {
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left behind is never listed or read.
        let _ = fs::remove_file(&self.path);
    }
}

/// None only when there is no such file. A path below a regular file is an error: the store is then
/// not where it is thought to be.
fn read(path: &Path) -> io::Result<Option<Object>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let modified = file.metadata()?.modified()?;
    Ok(Some(Object {
        etag: etag(&bytes),
        bytes,
        modified: Timestamp::try_from(modified).ok(),
    }))
}

/// The names in a directory, each with whether it is a directory; hidden ones are left out, and so
/// are names that are not UTF-8, which no key is.
fn read_directory(path: &Path) -> io::Result<Vec<(String, bool)>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && !name.starts_with('.')
        {
            found.push((name, entry.file_type()?.is_dir()));
        }
    }
    Ok(found)
}

/// Records tell of an incident: nobody but their owner reads them.
fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn etag(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
