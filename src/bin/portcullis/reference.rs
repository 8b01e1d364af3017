//! `measures`, `schema` and `completions`: what the program says about itself.

use clap::CommandFactory;
use portcullis::measures::{Disposition, Info, Measure};
use portcullis::policy;
use portcullis::policy_test;
use portcullis::report::Style;
use serde::Serialize;

use crate::args::{Args, Completions, Schema};
use crate::exit::{Exit, Failure};
use crate::init;
use crate::out::Out;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    version: u32,
    measures: Vec<&'static Info>,
}

/// The catalogue of measures.
pub(crate) fn measures(out: &mut Out) -> Result<Exit, Failure> {
    let measures: Vec<&Info> = Measure::catalogue().iter().map(Measure::info).collect();
    if out.is_json() {
        out.json(&Document {
            version: 1,
            measures,
        })?;
        return Ok(Exit::Done);
    }
    let style = out.style();
    let text: Vec<String> = measures
        .into_iter()
        .map(|info| measure(info, style))
        .collect();
    out.print(&text.join("\n"))?;
    Ok(Exit::Done)
}

/// The JSON Schema of the policy file or of its tests; it is JSON in either output.
pub(crate) fn schema(args: &Schema, out: &mut Out) -> Result<Exit, Failure> {
    let schema = match args.tests {
        true => policy_test::schema(),
        false => policy::schema(),
    };
    match out.is_json() {
        true => out.json(&serde_json::json!({ "version": 1, "schema": schema }))?,
        false => out.print(&init::schema_text(&schema)?)?,
    }
    Ok(Exit::Done)
}

/// A completion script, which is text in either output.
pub(crate) fn completions(args: &Completions, out: &mut Out) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "portcullis", &mut script);
    out.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

fn measure(info: &Info, style: Style) -> String {
    let words = |kinds: &[portcullis::settings::SettingKind]| {
        kinds
            .iter()
            .map(|kind| kind.word())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let disposition = match info.disposition {
        Disposition::Safe => style.good(info.disposition.word()),
        Disposition::Disruptive => style.doubtful(info.disposition.word()),
    };
    format!(
        "{}  {}  {disposition}\n  {}\n  reads    {}\n  amends   {}\n  needs    {}\n",
        style.strong(&format!("{:<28}", info.name)),
        format_args!("{:<8}", info.tactic.word()),
        info.summary,
        words(info.reads),
        words(info.amends),
        info.actions.join(", ")
    )
}
