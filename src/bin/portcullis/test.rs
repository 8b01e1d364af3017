//! `test`: a team's own tests of its policy, without AWS.

use std::path::Path;

use jiff::Timestamp;
use portcullis::policy_test::{self, Outcome};
use portcullis::{report, yaml};
use serde::Serialize;

use crate::args::Test;
use crate::exit::{Exit, Failure};
use crate::out::Out;
use crate::{input, session};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    version: u32,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

pub(crate) async fn run(args: &Test, out: &mut Out) -> Result<Exit, Failure> {
    let name = args.tests.display();
    let files = input::files(&args.tests, is_test).map_err(|error| {
        Failure::invalid(format!(
            "the tests {name} cannot be read: {error}; give a folder of test files, or one of them"
        ))
    })?;
    if files.is_empty() {
        return Err(Failure::invalid(format!(
            "there are no tests in {name}: no file in it ends in .yaml or .yml; `portcullis init` writes some to begin with"
        )));
    }
    let policy = session::open_policy(&args.store, &args.policy).await?;
    session::tell_built_in(&policy, &args.policy, out);
    let (mut tests, mut mistakes, mut shown) = (Vec::new(), Vec::new(), Vec::new());
    for path in &files {
        let text = text(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let beside =
            |path: &str| input::read_file(&folder.join(path)).map_err(|error| error.to_string());
        let loaded = policy_test::load(&input::name(path), &text, &beside);
        if !loaded.diagnostics.is_empty() {
            shown.push(yaml::render(&loaded.diagnostics, &text, out.style().color));
        }
        tests.extend(loaded.tests);
        mistakes.extend(loaded.diagnostics);
    }
    let outcome = policy_test::run(&tests, &policy, Timestamp::now(), files.len(), mistakes);
    if out.is_json() {
        out.json(&Document {
            version: 1,
            outcome: &outcome,
        })?;
    } else {
        shown.push(report::policy_tests(&outcome, out.style()));
        out.print(&shown.join("\n"))?;
    }
    Ok(match (outcome.mistakes.is_empty(), outcome.failed) {
        (false, _) => Exit::Invalid,
        (true, 0) => Exit::Done,
        (true, _) => Exit::TestFailed,
    })
}

/// Whether a name is one of a test file.
fn is_test(name: &str) -> bool {
    [".yaml", ".yml"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(input::read(path, "test file")?).map_err(|_| {
        Failure::invalid(format!(
            "the test file {} is not UTF-8 text; save it as UTF-8",
            input::name(path)
        ))
    })
}
