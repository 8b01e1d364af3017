//! `--html FILE`: where a page goes.

use std::io::ErrorKind;
use std::path::Path;

use clap::Args as Group;

use crate::exit::Failure;
use crate::out::Out;
use crate::output::staged;

#[derive(Debug, Group)]
pub(crate) struct PageArgs {
    /// Write it as one HTML page, too; with - to standard output instead of the text
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<std::path::PathBuf>,
}

impl PageArgs {
    /// Whether the page is the result, and nothing else may go to standard output.
    pub(crate) fn is_stdout(&self) -> bool {
        self.html.as_deref() == Some(Path::new("-"))
    }

    /// Two results cannot both go to standard output.
    pub(crate) fn check(&self, out: &Out) -> Result<(), Failure> {
        match self.is_stdout() && out.is_json() {
            true => Err(Failure::usage(
                "--html - and --output json both want standard output; name a file for the page",
            )),
            false => Ok(()),
        }
    }

    /// Writes the page, if one was asked for.
    pub(crate) fn write(
        &self,
        page: impl FnOnce() -> String,
        out: &mut Out,
    ) -> Result<(), Failure> {
        let Some(path) = &self.html else {
            return Ok(());
        };
        if self.is_stdout() {
            return out.print(&page());
        }
        let name = path.display();
        // It is for its owner alone, as records are.
        let written =
            staged(path, page().as_bytes(), 0o600).and_then(|file| Ok(file.persist(path)?));
        written.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failure::failed(format!(
                "{name} cannot be written: its folder does not exist; make it first"
            )),
            _ => Failure::failed(format!("{name} cannot be written: {error}")),
        })?;
        out.say(&format!("Wrote {name}\n"));
        Ok(())
    }
}
