//! The policy: what the security team allows Portcullis to do, and for which findings.
//!
//! [`load`] reads a policy file and reports every mistake in it, each with its place. Only a policy without errors comes
//! out, so that the rest of the program never sees one that was not checked. The types here are also what the JSON Schema
//! is made of: their descriptions are the ones that an editor shows.
//!
//! Pure: the text and today's date are arguments.

mod compare;
mod conditions;
mod file;
mod finding_types;
mod lint;
mod schema;
mod selection;

pub use compare::{Change, Difference, Line, Part, Side, Written, compare};
pub use conditions::{Conditions, Fact, Glob, Match, Subject};
pub(crate) use file::measures::measure_name;
pub use finding_types::S3_FINDING_TYPES;
pub(crate) use schema::MeasureName;
pub use schema::schema;
pub use selection::{Held, Selected, Skipped};

use std::fmt::Write as _;

use ipnet::IpNet;
use jiff::{SignedDuration, civil::Date};
use schemars::JsonSchema;
use sha2::{Digest as _, Sha256};

use crate::classification::words;
use crate::measures::Measure;
use crate::yaml::{self, Diagnostic, Report, Severity};

/// The built-in policy as `init` writes it: commented, so that it is also the reference.
pub const BUILT_IN: &str = include_str!("default.yaml");

/// How many levels a policy file may have. It has seven.
const DEEPEST: usize = 16;

/// Reads a policy file. `name` is what diagnostics and records call it; `today` decides which exceptions have expired.
pub fn load(name: &str, text: &str, today: Date) -> Loaded {
    let mut report = Report::new(name, text);
    let policy =
        yaml::parse(&mut report, DEEPEST).and_then(|root| file::policy(&mut report, &root, today));
    let diagnostics = report.finish();
    let sound = diagnostics.iter().all(|d| d.severity != Severity::Error);
    Loaded {
        policy: policy.filter(|_| sound),
        diagnostics,
    }
}

/// What became of a policy file.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The policy; there is one exactly when no diagnostic is an error.
    pub policy: Option<Policy>,
    /// Every mistake and every doubt, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// What Portcullis may do about a compromised bucket, and when.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Policy {
    /// What the policy is called where it is cited: the file, or `built-in`.
    #[schemars(skip)]
    pub name: String,
    /// The SHA-256 of the text, in hexadecimal.
    #[schemars(skip)]
    pub digest: String,
    /// Whether anything is changed. What takes effect is the least of the deployment's mode, this one and the rule's.
    pub mode: Mode,
    /// The line of `mode`.
    #[schemars(skip)]
    pub mode_line: u32,
    /// ARNs of the IAM roles and users that nothing Portcullis writes may lock out. `*` and `?` are wildcards.
    #[schemars(length(min = 1))]
    pub break_glass: Vec<String>,
    /// Who and where from activity is authorized.
    #[schemars(default)]
    pub trusted: Trusted,
    /// How far one hour and one finding may reach.
    #[schemars(default)]
    pub limits: Limits,
    /// What the policy spares, why and until when.
    #[schemars(default)]
    pub exceptions: Vec<Exception>,
    /// What is done; the first rule that matches decides, and the last one must match everything.
    #[schemars(length(min = 1))]
    pub rules: Vec<Rule>,
}

words! {
    /// Whether containment is only planned and recorded, or carried out.
    Mode {
        /// Plan and record; change nothing.
        Observe = "observe",
        /// Carry the plan out.
        Enforce = "enforce",
    }
}

/// What is authorized. Activity that matches any entry is.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Trusted {
    /// Account ids, of twelve digits, in quotes.
    #[schemars(default, inner(regex(pattern = "^[0-9]{12}$")))]
    pub accounts: Vec<String>,
    /// Ids of AWS Organizations. What other accounts of them do is authorized; the bucket's own account is not meant. Needs
    /// the organization's management account or a delegated administrator.
    #[schemars(default, inner(regex(pattern = "^o-[a-z0-9]{10,32}$")))]
    pub organizations: Vec<String>,
    /// ARNs of principals. `*` and `?` are wildcards.
    #[schemars(default)]
    pub principals: Vec<String>,
    /// Networks in CIDR notation, or single addresses.
    #[schemars(default, with = "Vec<String>")]
    pub networks: Vec<IpNet>,
}

/// The blast radius. Beyond it plans are made and recorded, and withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// How many buckets may be changed in an hour.
    #[schemars(default = "Limits::per_hour", range(min = 1))]
    pub buckets_per_hour: u32,
    /// How many buckets of one finding may be changed.
    #[schemars(default = "Limits::per_finding", range(min = 1))]
    pub buckets_per_finding: u32,
}

impl Limits {
    fn per_hour() -> u32 {
        10
    }

    fn per_finding() -> u32 {
        50
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            buckets_per_hour: Self::per_hour(),
            buckets_per_finding: Self::per_finding(),
        }
    }
}

/// Something that the policy spares.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exception {
    /// The name by which outcomes cite the exception.
    #[schemars(regex(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub id: String,
    /// What it spares. Where a fact that it asks for cannot be read, the exception holds, and the outcome says so.
    #[schemars(rename = "match", extend("minProperties" = 1))]
    pub matches: Conditions,
    /// Which measures are withheld: `all`, or their names.
    #[schemars(with = "schema::WithholdAsWritten")]
    pub withhold: Withhold,
    /// Why, for whoever reads it next: name the ticket.
    #[schemars(length(min = 1))]
    pub reason: String,
    /// The last day, in UTC, on which the exception holds.
    #[schemars(with = "String", extend("format" = "date"))]
    pub expires: Date,
    /// The line on which the exception begins.
    #[schemars(skip)]
    pub line: u32,
}

/// What an exception withholds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withhold {
    /// Every measure.
    All,
    /// The measures of these names.
    Only(Vec<String>),
}

/// One rule: for these findings, do this.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// The name by which outcomes cite the rule.
    #[schemars(regex(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub id: String,
    /// What must hold. Without it the rule matches everything.
    #[schemars(with = "Option<Conditions>")]
    pub when: Conditions,
    /// What must not hold.
    #[schemars(extend("minProperties" = 1))]
    pub unless: Option<Conditions>,
    /// What is done, in no particular order. `[]` does nothing.
    #[schemars(with = "Vec<schema::MeasureAsWritten>")]
    pub measures: Vec<Asked>,
    /// This rule's own mode. It can hold the policy's mode back, not raise it.
    pub mode: Option<Mode>,
    /// The line of `mode`, where the rule has one.
    #[schemars(skip)]
    pub mode_line: Option<u32>,
    /// After how long the containment is rolled back by itself: a number and `m`, `h` or `d`.
    #[schemars(with = "Option<String>", regex(pattern = "^[1-9][0-9]*[mhd]$"))]
    pub expires_after: Option<SignedDuration>,
    /// Whether the containment is put back where somebody has undone it by other means, by the sweep or when CloudTrail tells.
    #[schemars(default)]
    pub hold: bool,
    /// What is done besides, that changes no setting and cannot be undone.
    #[schemars(with = "Option<yaml::OneOrMany<FollowUp>>")]
    pub follow_up: Vec<FollowUp>,
    /// When a notice is sent.
    #[schemars(default)]
    pub notify: Notify,
    /// The line on which the rule begins.
    #[schemars(skip)]
    pub line: u32,
}

/// A measure that a rule asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The measure, with its parameters.
    pub measure: Measure,
    /// The line on which it is asked for.
    pub line: u32,
}

words! {
    /// Something that follows containment, changes no setting and cannot be undone.
    FollowUp {
        /// Starts a one-time Macie job for the bucket.
        DiscoverSensitiveData = "discover-sensitive-data",
        /// Archives the finding.
        ArchiveFinding = "archive-finding",
        /// Tells GuardDuty that the finding was useful.
        MarkUseful = "mark-useful",
        /// Tells GuardDuty that the finding was not useful.
        MarkNotUseful = "mark-not-useful",
    }
}

words! {
    /// When a notice is sent.
    #[derive(Default)]
    Notify {
        /// For every finding that the rule decides.
        #[default]
        Always = "always",
        /// Only where something was changed, or could not be.
        Changes = "changes",
        /// Never; the record is still written.
        Never = "never",
    }
}

impl Policy {
    /// The policy that serves where no file is given.
    #[expect(
        clippy::expect_used,
        reason = "the text is compiled in, and a test loads it and finds no diagnostic"
    )]
    pub fn built_in() -> Policy {
        // The built-in policy has no exceptions, so that the day does not matter.
        load("built-in", BUILT_IN, Date::ZERO)
            .policy
            .expect("the built-in policy is valid")
    }

    /// Where a line of this policy is, as outcomes cite it: `policy.yaml:31`.
    pub fn place(&self, line: u32) -> String {
        [self.name.as_str(), ":", &line.to_string()].concat()
    }

    /// The mode that takes effect for a rule, and what makes it so: every setting that would have to change for a
    /// higher one, or the line that grants `enforce`.
    pub fn effective_mode(&self, stack: Mode, rule: &Rule) -> (Mode, String) {
        let asked = rule.mode.unwrap_or(self.mode);
        let mode = stack.min(self.mode).min(asked);
        if mode == Mode::Enforce {
            let line = rule.mode_line.unwrap_or(self.mode_line);
            return (mode, format!("mode: enforce at {}", self.place(line)));
        }
        let mut limits = Vec::new();
        if stack == mode {
            limits.push(format!("the deployment's mode is {mode}"));
        }
        if self.mode == mode {
            let place = self.place(self.mode_line);
            limits.push(["mode: ", mode.word(), " at ", &place].concat());
        }
        if let (Some(own), Some(line)) = (rule.mode, rule.mode_line)
            && own == mode
        {
            limits.push(format!(
                "mode: {mode} of rule \"{}\" at {}",
                rule.id,
                self.place(line)
            ));
        }
        (mode, limits.join(", and "))
    }
}

/// The digest by which records say which text decided.
fn digest(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
