//! `init`: the commented default policy, and the schema by which editors check it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use portcullis::policy::{self, BUILT_IN};

use crate::args::Init;
use crate::exit::{Exit, Failure};
use crate::out::Out;

/// The name that the policy's first line gives its schema.
const SCHEMA: &str = "policy.schema.json";

pub(crate) fn run(args: &Init, out: &mut Out) -> Result<Exit, Failure> {
    let policy = args.file.as_path();
    let schema = policy.with_file_name(SCHEMA);
    let schema_text = schema_text()?;
    // Both are looked at before either is written, so that a refusal leaves nothing behind.
    let has_schema = match fs::read_to_string(&schema) {
        Ok(text) if text == schema_text => true,
        Ok(_) => {
            let name = schema.display();
            let message = format!(
                "{name} exists and is not this version's schema; renew it with `portcullis schema > {name}`, then run init again"
            );
            return Err(Failure::failed(message));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => {
            return Err(Failure::failed(format!(
                "{} cannot be read: {error}",
                schema.display()
            )));
        }
    };
    create(policy, BUILT_IN)?;
    if !has_schema {
        create(&schema, &schema_text)?;
    }
    let name = crate::session::quoted(&policy.display().to_string());
    if out.is_json() {
        out.json(&serde_json::json!({ "version": 1, "policy": policy, "schema": schema }))?;
    } else {
        out.print(&format!(
            "Wrote {} and {}. It observes and changes nothing until you say so in it.\n",
            policy.display(),
            schema.display()
        ))?;
    }
    out.say(&format!(
        "Next: name your break-glass role in it, then portcullis validate {name}\n"
    ));
    Ok(Exit::Done)
}

/// The schema as files hold it.
pub(crate) fn schema_text() -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(&policy::schema());
    let text = text.map_err(|error| {
        Failure::failed(format!("the schema cannot be written as JSON: {error}"))
    })?;
    Ok(text + "\n")
}

fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let name = path.display();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Failure::failed(format!(
                "{name} exists and is not overwritten; name another file, or move it away"
            )),
            ErrorKind::NotFound => Failure::failed(format!(
                "{name} cannot be written: its folder does not exist; make it first"
            )),
            _ => Failure::failed(format!("{name} cannot be written: {error}")),
        })?;
    file.write_all(text.as_bytes())
        .map_err(|error| Failure::failed(format!("{name} cannot be written: {error}")))
}
