//! Results to standard output, everything else to standard error.

use std::io::{self, ErrorKind, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use portcullis::report::Style;
use serde::Serialize;

use crate::args::{Color, Output};
use crate::exit::Failure;

/// The two streams, and how they are dressed.
pub(crate) struct Out {
    output: Output,
    stdout: AutoStream<io::Stdout>,
    stderr: AutoStream<io::Stderr>,
    style: Style,
    error_style: Style,
    /// Whoever read standard output has seen enough: the work goes on, in silence.
    closed: bool,
}

impl Out {
    pub(crate) fn new(output: Output, color: Color) -> Self {
        let on_stdout = is_colored(color, io::stdout().is_terminal());
        let on_stderr = is_colored(color, io::stderr().is_terminal());
        // Where there is no color the streams also strip escape sequences that came in with somebody's data.
        let choice = |color| {
            if color {
                ColorChoice::AlwaysAnsi
            } else {
                ColorChoice::Never
            }
        };
        Self {
            output,
            stdout: AutoStream::new(io::stdout(), choice(on_stdout)),
            stderr: AutoStream::new(io::stderr(), choice(on_stderr)),
            style: Style { color: on_stdout },
            error_style: Style { color: on_stderr },
            closed: false,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// The style of what is printed as a result.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// The style of what is said beside the result.
    pub(crate) fn error_style(&self) -> Style {
        self.error_style
    }

    /// A result as text.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        match self
            .stdout
            .write_all(text.as_bytes())
            .and_then(|()| self.stdout.flush())
        {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::failed(format!(
                "standard output cannot be written: {error}"
            ))),
        }
    }

    /// A result as one JSON document.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value);
        let text = text.map_err(|error| {
            Failure::failed(format!("the result cannot be written as JSON: {error}"))
        })?;
        self.print(&format!("{text}\n"))
    }

    /// Something beside the result: progress, a hint, a question.
    pub(crate) fn say(&mut self, text: &str) {
        // Nobody is left to tell when standard error is gone.
        let _ = self
            .stderr
            .write_all(text.as_bytes())
            .and_then(|()| self.stderr.flush());
    }

    /// An error, which never stops the work for other findings by itself.
    pub(crate) fn error(&mut self, message: &str) {
        let label = self.error_style.bad("error:");
        self.say(&format!("{label} {message}\n"));
    }

    /// What the reader should know though nothing is wrong.
    pub(crate) fn note(&mut self, message: &str) {
        let label = self.error_style.strong("note:");
        self.say(&format!("{label} {message}\n"));
    }
}

/// The flag, then NO_COLOR, then FORCE_COLOR, then the terminal. An empty variable counts as unset.
fn is_colored(color: Color, is_terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let forced = |name| set(name) && std::env::var_os(name).is_some_and(|value| value != "0");
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR") => false,
        Color::Auto if forced("FORCE_COLOR") || forced("CLICOLOR_FORCE") => true,
        Color::Auto => is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
    }
}
