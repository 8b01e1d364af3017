//! Files that are written: whole, or not there.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::{Builder, NamedTempFile, TempDir};

/// A file beside `path` that holds `bytes`, and is yet to be put in its place. `mode` is its permissions, of which the umask
/// takes.
pub(crate) fn staged(path: &Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let mut file = unnamed(mode).tempfile_in(beside(path))?;
    file.write_all(bytes)?;
    Ok(file)
}

/// The same for a folder, which is empty.
pub(crate) fn staged_folder(path: &Path) -> io::Result<TempDir> {
    unnamed(0o777).tempdir_in(beside(path))
}

fn unnamed(mode: u32) -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder
        .prefix(".portcullis-")
        .permissions(Permissions::from_mode(mode));
    builder
}

fn beside(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}
