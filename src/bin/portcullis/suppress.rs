//! `suppress`: the GuardDuty filter for access that is authorized, shown and, if asked for, created.

use portcullis::aws::{Aws, AwsError, Meaning, guardduty};
use portcullis::finding::Finding;
use portcullis::report::{LINE, Style, shown};
use portcullis::suppression::{Sessions, Suppression, suppression};
use serde::Serialize;

use crate::args::Suppress;
use crate::ask::agreed;
use crate::exit::{Exit, Failure};
use crate::out::Out;
use crate::{entry, input, session};

/// GuardDuty's quota of filters for an account and Region, which AWS does not raise.
const QUOTA: usize = 100;
const NEARLY: usize = 90;

/// What filters do beside hiding findings; shown before anybody is asked.
const CONSEQUENCES: &str = "\
GuardDuty archives what matches from then on and no longer sends it to EventBridge, so that neither Portcullis
nor anything else that listens hears of it. Archived findings are not used to detect attack sequences.
";

/// One filter, and whether it is there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    finding: String,
    suppression: Suppression,
    status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    /// Only shown.
    Proposed,
    /// Created now.
    Created,
    /// Was there already.
    Existed,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    version: u32,
    results: &'a [Shown],
}

pub(crate) async fn run(args: &Suppress, out: &mut Out) -> Result<Exit, Failure> {
    let bytes = input::read(&args.event, "event")?;
    let mut others = Vec::new();
    let (findings, mut exit) = input::findings(&bytes, &input::name(&args.event), &mut others, out);
    let mut proposals = Vec::new();
    for finding in &findings {
        match propose(finding, args) {
            Ok(proposal) => proposals.push(proposal),
            Err(message) => {
                out.error(&message);
                exit = exit.max(Exit::Invalid);
            }
        }
    }
    if !out.is_json() {
        entry::print(&others, out)?;
        print(&proposals, args, out)?;
    }
    let created = match args.create && !proposals.is_empty() {
        true => create_all(&mut proposals, args, out).await,
        false => Ok(()),
    };
    // Also where one could not be created: others may be there.
    if out.is_json() {
        out.json(&Document {
            version: 1,
            results: &proposals,
        })?;
    }
    created.map(|()| exit)
}

fn propose(finding: &Finding, args: &Suppress) -> Result<Shown, String> {
    let sessions = match args.any_session {
        true => Sessions::Any,
        false => Sessions::This,
    };
    let suppression = suppression(finding, sessions).map_err(|why| {
        let message = format!(
            "finding {} ({}) is not suppressed: {why}",
            finding.id, finding.kind
        );
        shown(&message, 4 * LINE)
    })?;
    Ok(Shown {
        finding: finding.id.clone(),
        suppression,
        status: Status::Proposed,
    })
}

async fn create_all(
    proposals: &mut [Shown],
    args: &Suppress,
    out: &mut Out,
) -> Result<(), Failure> {
    let aws = session::open_aws().await?;
    for proposal in proposals {
        create(&aws, proposal, args, out).await?;
    }
    Ok(())
}

/// Counts before it asks: a filter that cannot be created needs no consent.
async fn create(
    aws: &Aws,
    proposal: &mut Shown,
    args: &Suppress,
    out: &mut Out,
) -> Result<(), Failure> {
    let suppression = &proposal.suppression;
    let name = &suppression.name;
    let uncreated = format!("the filter {name} was not created");
    let failed = |what: &str, error: &AwsError| {
        Failure::failed(format!("{what}: {}", shown(&error.to_string(), 8 * LINE)))
    };
    let region = suppression.region.as_str();
    let there = guardduty::filters(aws, region)
        .await
        .map_err(|error| failed(&uncreated, &error))?;
    if there.contains(name) {
        out.note(&format!("the filter {name} is there already in {region}"));
        proposal.status = Status::Existed;
        return Ok(());
    }
    if there.len() >= QUOTA {
        return Err(Failure::failed(format!(
            "there are {} filters in {region}, and GuardDuty allows {QUOTA} and no more; delete one, or give trusted actors and \
             networks in the policy file, which takes no filter",
            there.len()
        )));
    }
    if there.len() + 1 >= NEARLY {
        out.note(&format!(
            "this is filter {} of {QUOTA} in {region}, and the quota cannot be raised",
            there.len() + 1
        ));
    }
    if out.is_json() {
        let style = out.error_style();
        out.say(&format!("{}\n{CONSEQUENCES}", text(suppression, style)));
    }
    let question = format!("Create the filter {name} in {region}?");
    if !args.yes
        && !agreed(
            &question,
            !input::is_stdin(&args.event) && is_terminal(),
            out,
        )?
    {
        return Err(Failure::failed(format!(
            "{uncreated}: it was not confirmed"
        )));
    }
    guardduty::create_filter(aws, suppression)
        .await
        .map_err(|error| match error.meaning {
            Meaning::NoAnswer => {
                let unknown = format!("whether the filter {name} was created is not known");
                failed(&unknown, &error)
            }
            _ => failed(&uncreated, &error),
        })?;
    proposal.status = Status::Created;
    if !out.is_json() {
        let done = out.style().good("Created");
        out.print(&format!("\n{done} {} in {region}.\n", suppression.name))?;
    }
    Ok(())
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdin())
}

fn print(proposals: &[Shown], args: &Suppress, out: &mut Out) -> Result<(), Failure> {
    if proposals.is_empty() {
        return Ok(());
    }
    let style = out.style();
    let texts: Vec<String> = proposals
        .iter()
        .map(|proposal| text(&proposal.suppression, style))
        .collect();
    out.print(&format!("{}\n{CONSEQUENCES}", texts.join("\n")))?;
    if args.create {
        return Ok(());
    }
    let mut next = String::from("Next: portcullis suppress ");
    next += &match input::is_stdin(&args.event) {
        true => "EVENT".to_owned(),
        false => session::quoted(&args.event.display().to_string()),
    };
    if args.any_session {
        next += " --any-session";
    }
    out.print(&format!("{next} --create\n"))
}

fn text(suppression: &Suppression, style: Style) -> String {
    let name = style.strong(&shown(&suppression.name, LINE));
    let mut text = format!("Filter    {name}  ({}, ARCHIVE)\n", suppression.region);
    let width = suppression
        .criteria
        .iter()
        .map(|criterion| criterion.field.len())
        .max()
        .unwrap_or(0);
    for criterion in &suppression.criteria {
        let values: Vec<String> = criterion
            .equals
            .iter()
            .map(|value| shown(value, LINE))
            .collect();
        text += &format!(
            "  {:<8}{:<width$}  {}\n",
            criterion.is.word(),
            criterion.field,
            values.join(" or ")
        );
    }
    text
}
