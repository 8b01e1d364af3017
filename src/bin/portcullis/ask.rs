//! Consent: a plan that changes something is carried out only when a person has said so.

use std::io::{BufRead, IsTerminal};

use portcullis::report::Planned;

use crate::exit::Failure;
use crate::out::Out;

/// What the command line says in advance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consent<'a> {
    /// `--yes`.
    pub(crate) yes: bool,
    /// `--confirm`, by bucket name or account id.
    pub(crate) confirmed: &'a [String],
    /// Whether standard input is free for answers.
    pub(crate) may_ask: bool,
}

/// Whether these plans may be carried out. A disruptive one needs the name of its target, whatever else was said.
pub(crate) fn consent(
    plans: &[&Planned],
    consent: Consent,
    out: &mut Out,
) -> Result<bool, Failure> {
    let names: Vec<&str> = plans
        .iter()
        .map(|planned| planned.record.target_name())
        .collect();
    // A confirmation of another bucket means that the caller expected another plan.
    if let Some(other) = consent
        .confirmed
        .iter()
        .find(|name| !names.contains(&name.as_str()))
    {
        let names = names.join(", ");
        return Err(Failure::usage(format!(
            "--confirm names {other:?}, and the plan is about {names}; look at the plan again"
        )));
    }
    let is_confirmed = |planned: &Planned| {
        consent
            .confirmed
            .iter()
            .any(|name| name == planned.record.target_name())
    };
    let can_ask = consent.may_ask && std::io::stdin().is_terminal();
    let mut open = false;
    for planned in plans.iter().filter(|planned| !is_confirmed(planned)) {
        let name = planned.record.target_name();
        match (planned.is_disruptive(), can_ask) {
            (true, true) => {
                if answer(
                    &format!("This plan can stop legitimate use. Type {name} to carry it out: "),
                    out,
                )? != name
                {
                    return Ok(false);
                }
            }
            (true, false) => {
                let message = format!(
                    "nothing was changed: the plan for {name} is disruptive and nobody can be asked; add --confirm {name}"
                );
                return Err(Failure::usage(message));
            }
            (false, _) => open = true,
        }
    }
    if !open || consent.yes {
        return Ok(true);
    }
    agreed("Carry this out?", can_ask, out)
}

/// Asks a question that is answered with yes or no.
pub(crate) fn agreed(question: &str, can_ask: bool, out: &mut Out) -> Result<bool, Failure> {
    if !can_ask {
        return Err(Failure::usage(
            "nothing was changed: nobody can be asked, as standard input is no terminal or holds the event; add --yes",
        ));
    }
    Ok(matches!(
        answer(&format!("{question} [y/N] "), out)?
            .to_ascii_lowercase()
            .as_str(),
        "y" | "yes"
    ))
}

fn answer(question: &str, out: &mut Out) -> Result<String, Failure> {
    out.say(question);
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| {
        Failure::failed(format!(
            "the answer cannot be read: {error}; nothing was changed"
        ))
    })?;
    Ok(line.trim().to_owned())
}
