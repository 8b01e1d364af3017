//! What a verb has to say of each finding and target.

use portcullis::engine::{Report, Summary};
use portcullis::finding::{Finding, Ignored};
use portcullis::report::{self, Explanation, Planned, Style, Undo, shown};
use serde::Serialize;

use crate::exit::Failure;
use crate::out::Out;
use crate::outcome::outcome;

/// One result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Entry {
    /// What a finding means.
    Explanation(Box<Explanation>),
    /// What would be done.
    Plan(Box<Planned>),
    /// What a rollback would do.
    Rollback(Box<Undo>),
    /// What was done, or why it came to no decision.
    Outcome(Box<Summary>),
    /// An event that is none of ours.
    Ignored(Ignored),
    /// A finding that names no bucket.
    NoTarget(Box<Finding>),
    /// An input that is no event; told on standard error.
    Invalid(String),
}

/// The whole of a verb's results.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    version: u32,
    results: &'a [Entry],
}

/// Prints results, as text or as one JSON document.
pub(crate) fn print(entries: &[Entry], out: &mut Out) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(&Document {
            version: 1,
            results: entries,
        });
    }
    let style = out.style();
    let mut texts: Vec<String> = Vec::new();
    let mut last: Option<&str> = None;
    for entry in entries {
        let text = match entry {
            Entry::Explanation(explanation) => {
                let id = explanation.finding.id.as_str();
                report::explanation(explanation, last.replace(id) == Some(id), style)
            }
            other => other.text(style),
        };
        if !text.is_empty() {
            texts.push(text);
        }
    }
    out.print(&texts.join("\n"))
}

impl Entry {
    /// What the engine says of a target, and the error that kept it from its end.
    pub(crate) fn outcome(report: &Report, out: &mut Out) -> Self {
        if let Some(error) = &report.error {
            out.error(&shown(&error.to_string(), 8 * report::LINE));
        }
        Self::Outcome(Box::new(report.summary.clone()))
    }

    /// The result as text; nothing for what standard error has told.
    pub(crate) fn text(&self, style: Style) -> String {
        match self {
            Self::Explanation(explanation) => report::explanation(explanation, false, style),
            Self::Plan(planned) => report::plan(planned, style),
            Self::Rollback(undo) => report::undo(undo, style),
            Self::Outcome(summary) => outcome(summary, style),
            Self::Ignored(ignored) => {
                format!("Ignored: {}.\n", shown(&ignored.what, 2 * report::LINE))
            }
            Self::NoTarget(finding) => {
                let (kind, id) = (
                    shown(&finding.kind, report::LINE),
                    shown(&finding.id, report::LINE),
                );
                format!("Nothing to contain: finding {id} ({kind}) names no bucket.\n")
            }
            Self::Invalid(_) => String::new(),
        }
    }
}
