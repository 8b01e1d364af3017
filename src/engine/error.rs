//! What keeps a target from being worked on, and whether the same event may succeed later.

use crate::aws::AwsError;
use crate::store::{KeyError, LeaseError, StoreError};

/// What kept a target from being worked on to its end.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another run holds the target, or the lease could not be written.
    #[error("no lease, so nothing was changed: {0}")]
    Lease(#[from] LeaseError),
    /// The evidence could not be stored.
    #[error("no evidence, so nothing was changed: {0}")]
    Evidence(StoreError),
    /// The result could not be stored, whatever became of the changes.
    #[error("the result could not be stored: {0}")]
    Result(StoreError),
    /// A rollback was made, and the mark of its containment could perhaps not be ended.
    #[error(
        "the containment may still count as standing: {0}; roll it back once more, or leave it to the next sweep"
    )]
    Ended(StoreError),
    /// The store could not be read.
    #[error("nothing was changed: {0}")]
    Store(StoreError),
    /// What the store holds under a key is not what belongs there.
    #[error("nothing was changed: {key} in the store cannot be read: {why}; look at its versions")]
    Unreadable {
        /// The key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// The target could not be observed.
    #[error("nothing was changed: {0}")]
    Observe(AwsError),
    /// A name in the event cannot be part of a key of the store.
    #[error("nothing was changed: {0}")]
    Key(#[from] KeyError),
    /// The policy in hand is not the one that serves any more.
    #[error("nothing was changed: the policy was replaced meanwhile; deliver the event again")]
    PolicyReplaced,
    /// An operator confirmed another plan.
    #[error(
        "nothing was changed: the target has changed since the plan was shown; look at it again, then apply"
    )]
    NotAsShown,
    /// A setting could not be read now, and may well be soon.
    #[error("nothing was changed: {operation} answered {code}; deliver the event again")]
    Unanswered {
        /// The API.
        operation: String,
        /// What it answered.
        code: String,
    },
    /// The decision acts where, before the target was seen, no rule could: a fault of ours.
    #[error(
        "nothing was changed: the plan came without a lease, which is a fault of Portcullis; please report it"
    )]
    Unleased,
    /// The target went on changing while plans were made.
    #[error(
        "nothing was changed: the target was changed by somebody each time that it was looked at; try again"
    )]
    Unstable,
    /// One of the above, after a plan before had been carried out in part.
    #[error("not all was done; of the plan that was left, {0}")]
    Interrupted(Box<EngineError>),
}

impl EngineError {
    /// Whether the same event, delivered again, may well succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Lease(error) => error.is_transient(),
            Self::Evidence(error)
            | Self::Result(error)
            | Self::Ended(error)
            | Self::Store(error) => error.is_transient(),
            Self::Observe(_) | Self::PolicyReplaced | Self::Unstable | Self::Unanswered { .. } => {
                true
            }
            Self::Interrupted(error) => error.is_transient(),
            Self::Key(_) | Self::Unreadable { .. } | Self::NotAsShown | Self::Unleased => false,
        }
    }

    /// The same where a rollback came before it.
    pub(super) fn after_undoing(self) -> Self {
        match self {
            Self::Evidence(error) | Self::Store(error) => Self::Ended(error),
            error => error,
        }
    }
}
