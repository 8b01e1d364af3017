//! A team's own tests of its policy: a finding, what is known of its target, and what shall come of it.
//!
//! [`load`] reads a test file and reports every mistake in it, each with its place; [`run`] decides each test as
//! [`crate::verdict`] does everywhere, and says which rules and exceptions no test reached.
//!
//! Pure: the text, what other files hold, and the time are arguments.

mod expect;
mod facts;
mod file;
mod finding;
mod outcome;
mod schema;

pub use expect::{Aspect, Expected, Mismatch};
pub use file::{Loaded, load};
pub use outcome::{Coverage, Missed, Outcome, Reached, Tested, run};
pub use schema::schema;

use jiff::Timestamp;

use crate::finding::{Finding, Target};
use crate::verdict::Facts;

/// The tests that `init` writes, by the names of their files: they pass with the built-in policy.
pub const EXAMPLES: [(&str, &str); 3] = [
    (
        "public-bucket.yaml",
        include_str!("examples/public-bucket.yaml"),
    ),
    (
        "stolen-credentials.yaml",
        include_str!("examples/stolen-credentials.yaml"),
    ),
    ("website.yaml", include_str!("examples/website.yaml")),
];

/// One test.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// What it is called; no other test of the file has the name.
    pub name: String,
    /// The name of its file.
    pub file: String,
    /// The line of its name.
    pub line: u32,
    /// The finding.
    pub finding: Finding,
    /// The target of the finding that the test is about.
    pub target: Target,
    /// What is known of the target.
    pub facts: Facts,
    /// The time at which the policy decides; none for the present.
    pub now: Option<Timestamp>,
    /// What shall come of it.
    pub expected: Expected,
}

/// What another file holds, by the path that a test gives it: its bytes, or why they cannot be read.
pub type ReadFile<'f> = dyn Fn(&str) -> Result<Vec<u8>, String> + 'f;
