//! `init`: the commented default policy, tests of it, and the schemas by which editors check them.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use portcullis::policy::{self, BUILT_IN};
use portcullis::policy_test::{self, EXAMPLES};
use serde_json::Value;

use crate::args::Init;
use crate::exit::{Exit, Failure};
use crate::out::Out;
use crate::output::{staged, staged_folder};
use crate::session::quoted;

/// The names that the first lines of policy and tests give their schemas.
const SCHEMA: &str = "policy.schema.json";
const TEST_SCHEMA: &str = "policy-test.schema.json";
/// The folder of the tests.
const TESTS: &str = "tests";

pub(crate) fn run(args: &Init, out: &mut Out) -> Result<Exit, Failure> {
    let policy = args.file.as_path();
    let (schema, test_schema) = (
        policy.with_file_name(SCHEMA),
        policy.with_file_name(TEST_SCHEMA),
    );
    let tests = policy.with_file_name(TESTS);
    // All are looked at before any is written, so that a refusal leaves nothing behind. The policy goes last: as long as it is
    // not there, init can be run again.
    if policy.symlink_metadata().is_ok() {
        return Err(in_the_way(policy));
    }
    let mut files = Vec::new();
    let renewed = [
        (&schema, policy::schema(), "portcullis schema"),
        (
            &test_schema,
            policy_test::schema(),
            "portcullis schema --tests",
        ),
    ];
    for (path, value, command) in renewed {
        let name = quoted(&path.display().to_string());
        let help = format!(
            "is not this version's schema; renew it with `{command} > {name}`, then run init again"
        );
        files.extend(unless_there(path, schema_text(&value)?, &help)?);
    }
    files.push((policy.to_owned(), BUILT_IN.to_owned()));
    // Tests that are there are a team's own.
    let has_tests = tests.symlink_metadata().is_ok();
    let mut made = Vec::new();
    let written = match has_tests {
        true => Ok(()),
        false => examples(&tests, &mut made),
    };
    if let Err(failure) = written.and_then(|()| create(&files, &mut made)) {
        for path in made.iter().rev() {
            // What cannot be removed now is whole, and harms nobody.
            let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
        }
        return Err(failure);
    }
    if out.is_json() {
        out.json(&serde_json::json!({
            "version": 1, "policy": policy, "schema": schema, "tests": tests, "test-schema": test_schema,
        }))?;
    } else {
        let (tests, test_schema) = (tests.display(), test_schema.display());
        let of_tests = match has_tests {
            true => format!("Left {tests} as it is, and wrote {test_schema}."),
            false => format!("Wrote tests of it to {tests}, and {test_schema}."),
        };
        out.print(&format!(
            "Wrote {} and {}. It observes and changes nothing until you say so in it.\n{of_tests}\n",
            policy.display(),
            schema.display(),
        ))?;
    }
    let name = quoted(&policy.display().to_string());
    let tests = quoted(&tests.display().to_string());
    out.say(&format!(
        "Next: name your break-glass role in it, then portcullis validate {name}\n      \
         portcullis test {tests} --policy {name}\n"
    ));
    Ok(Exit::Done)
}

/// A schema as files hold it.
pub(crate) fn schema_text(schema: &Value) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(schema);
    let text = text.map_err(|error| {
        Failure::failed(format!("the schema cannot be written as JSON: {error}"))
    })?;
    Ok(text + "\n")
}

/// A file to write; none where it is there as it is to be. `help` goes on after the name of one that is something else.
fn unless_there(
    path: &Path,
    text: String,
    help: &str,
) -> Result<Option<(PathBuf, String)>, Failure> {
    let name = path.display();
    match fs::read_to_string(path) {
        Ok(there) if there == text => Ok(None),
        Ok(_) => Err(Failure::failed(format!("{name} exists and {help}"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some((path.to_owned(), text))),
        Err(error) => Err(Failure::failed(format!("{name} cannot be read: {error}"))),
    }
}

/// Writes the example tests into a folder of their own: all of them, or none.
fn examples(tests: &Path, made: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let written = staged_folder(tests).and_then(|folder| {
        for (name, text) in EXAMPLES {
            fs::write(folder.path().join(name), text)?;
        }
        fs::rename(folder.path(), tests)?;
        made.push(tests.to_owned());
        // It has another name now, under which nothing removes it.
        let _ = folder.keep();
        Ok(())
    });
    written.map_err(|error| not_written(tests, &error))
}

/// Writes the files, each whole and none over another. What was made is told in `made`.
fn create(files: &[(PathBuf, String)], made: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for (path, text) in files {
        let written =
            staged(path, text.as_bytes(), 0o666).and_then(|file| Ok(file.persist_noclobber(path)?));
        written.map_err(|error| not_written(path, &error))?;
        made.push(path.clone());
    }
    Ok(())
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    let name = path.display();
    match error.kind() {
        ErrorKind::AlreadyExists => in_the_way(path),
        ErrorKind::NotFound => Failure::failed(format!(
            "{name} cannot be written: its folder does not exist; make it first"
        )),
        _ => Failure::failed(format!("{name} cannot be written: {error}")),
    }
}

fn in_the_way(path: &Path) -> Failure {
    Failure::failed(format!(
        "{} exists and is not overwritten; name another file, or move it away",
        path.display()
    ))
}
