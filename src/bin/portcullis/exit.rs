//! How a command ends.

use std::fmt::Display;
use std::process::{ExitCode, Termination};

/// The exit codes, in the order of their weight: of several findings the worst one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done, or nothing to do.
    Done,
    /// Changes are pending, and the caller asked to be told so.
    Pending,
    /// Finished, but a change failed or was not verified, or a guard withheld a measure.
    Partly,
    /// A test of the policy failed.
    TestFailed,
    /// The policy, event, record, facts or tests are not valid.
    Invalid,
    /// The command line is not one that can be carried out.
    Usage,
    /// It could not be finished.
    Failed,
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What is wrong, where, and what to do; untrusted text in it is quoted already.
    pub(crate) message: String,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Invalid => 3,
            Self::Pending => 4,
            Self::Partly => 5,
            Self::TestFailed => 6,
        })
    }
}

impl Failure {
    /// It could not be finished.
    pub(crate) fn failed(message: impl Display) -> Self {
        Self {
            exit: Exit::Failed,
            message: message.to_string(),
        }
    }

    /// An input is not valid.
    pub(crate) fn invalid(message: impl Display) -> Self {
        Self {
            exit: Exit::Invalid,
            message: message.to_string(),
        }
    }

    /// The command line cannot be carried out as it stands.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.to_string(),
        }
    }
}
