//! `explain`: what a finding means and what the policy says to it, without AWS.

use std::path::Path;

use jiff::Timestamp;
use portcullis::classification::Own;
use portcullis::decision::Decision;
use portcullis::finding::{Finding, Target};
use portcullis::guard::Guard;
use portcullis::policy::Policy;
use portcullis::report::Explanation;
use portcullis::verdict::{Case, Facts};

use crate::args::Explain;
use crate::entry::{self, Entry};
use crate::exit::{Exit, Failure};
use crate::out::Out;
use crate::{input, session};

pub(crate) async fn run(args: &Explain, out: &mut Out) -> Result<Exit, Failure> {
    let from_stdin = [
        Some(args.event.as_path()),
        args.facts.as_deref(),
        args.policy.policy.as_deref().map(Path::new),
    ];
    if from_stdin
        .into_iter()
        .flatten()
        .filter(|path| input::is_stdin(path))
        .count()
        > 1
    {
        return Err(Failure::usage(
            "standard input can be only one of event, facts and policy; name files for the others",
        ));
    }
    let bytes = input::read(&args.event, "event")?;
    let facts = args.facts.as_deref().map(facts).transpose()?;
    let policy = session::open_policy(&args.store, &args.policy).await?;
    session::tell_built_in(&policy, &args.policy, out);
    let mut entries = Vec::new();
    let (findings, mut exit) =
        input::findings(&bytes, &input::name(&args.event), &mut entries, out);
    let event = match input::is_stdin(&args.event) {
        true => "EVENT".to_owned(),
        false => session::quoted(&args.event.display().to_string()),
    };
    let now = Timestamp::now();
    for finding in &findings {
        for target in &finding.targets {
            let explanation = explain(finding, target, &policy, facts.as_ref(), &event, now);
            exit = exit.max(weight(&explanation));
            entries.push(Entry::Explanation(Box::new(explanation)));
        }
    }
    entry::print(&entries, out)?;
    Ok(exit)
}

fn explain(
    finding: &Finding,
    target: &Target,
    policy: &Policy,
    facts: Option<&Facts>,
    event: &str,
    now: Timestamp,
) -> Explanation {
    let (nothing, own) = (Facts::default(), Own::default());
    let seen = facts.unwrap_or(&nothing);
    let case = Case {
        finding,
        target,
        own: &own,
        observed: &seen.settings,
        enrichment: &seen.enrichment,
        stops: &[],
        now,
    };
    let next = format!("portcullis plan {event}");
    let weighed = case.under(policy);
    Explanation::of(&case, weighed, policy, facts.is_some(), Some(next))
}

/// Observe mode withholds everything and is nothing to be told of by an exit code; nor is a setting that was not given.
fn weight(explanation: &Explanation) -> Exit {
    let Explanation {
        decision: Decision { withheld, .. },
        settings_known,
        ..
    } = explanation;
    let counts = |guard: Guard| match guard {
        Guard::ObserveMode => false,
        Guard::Unreadable => *settings_known,
        _ => true,
    };
    if withheld.iter().any(|withheld| counts(withheld.guard)) {
        Exit::Partly
    } else {
        Exit::Done
    }
}

/// A record, as it is stored or as `show` prints it, or the settings alone as it holds them under `before`.
fn facts(path: &Path) -> Result<Facts, Failure> {
    let bytes = input::read(path, "facts file")?;
    let facts = serde_json::from_slice(&bytes).and_then(Facts::from_json);
    facts.map_err(|error| {
        Failure::invalid(format!(
            "the facts {} are no settings: {error}; give a record, or what it holds under \"before\"",
            input::name(path)
        ))
    })
}
