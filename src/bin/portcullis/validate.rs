//! `validate`: every mistake of a policy file, each with its place.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use portcullis::policy;
use portcullis::report::count;
use portcullis::yaml::{self, Diagnostic, Severity};
use serde::Serialize;

use crate::args::Validate;
use crate::exit::{Exit, Failure};
use crate::input;
use crate::out::Out;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    version: u32,
    file: &'a str,
    valid: bool,
    diagnostics: &'a [Diagnostic],
}

pub(crate) fn run(args: &Validate, out: &mut Out) -> Result<Exit, Failure> {
    let bytes = input::read(&args.policy, "policy")?;
    let name = input::name(&args.policy);
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::invalid(format!(
            "the policy {name} is not UTF-8 text; save it as UTF-8"
        ))
    })?;
    let today = TimeZone::UTC.to_datetime(Timestamp::now()).date();
    let loaded = policy::load(&name, &text, today);
    let valid = loaded.policy.is_some();
    if out.is_json() {
        out.json(&Document {
            version: 1,
            file: &name,
            valid,
            diagnostics: &loaded.diagnostics,
        })?;
    } else {
        let mut report = yaml::render(&loaded.diagnostics, &text, out.style().color);
        if !report.is_empty() {
            report.push('\n');
        }
        let of = |severity| {
            loaded
                .diagnostics
                .iter()
                .filter(|d| d.severity == severity)
                .count()
        };
        let warnings = count(of(Severity::Warning), "warning");
        report += &match &loaded.policy {
            Some(policy) => {
                let (rules, exceptions) = (policy.rules.len(), policy.exceptions.len());
                let verdict = out.style().good(&format!("{name} is valid"));
                format!(
                    "{verdict}: {}, {}, mode {}, {warnings}.\n",
                    count(rules, "rule"),
                    count(exceptions, "exception"),
                    policy.mode
                )
            }
            None => {
                let verdict = out.style().bad(&format!("{name} is not valid"));
                format!(
                    "{verdict}: {}, {warnings}.\n",
                    count(of(Severity::Error), "error")
                )
            }
        };
        out.print(&report)?;
    }
    Ok(if valid { Exit::Done } else { Exit::Invalid })
}
