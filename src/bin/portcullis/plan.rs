//! `plan`: what `apply` would do about each target, read from AWS, changing nothing.

use portcullis::classification::break_glass;
use portcullis::finding::{Finding, Target};
use portcullis::guard::Guard;
use portcullis::policy::{Mode, Policy};
use portcullis::record::Record;
use portcullis::report::Planned;

use crate::args::Plan;
use crate::entry::{self, Entry};
use crate::exit::{Exit, Failure};
use crate::input;
use crate::out::Out;
use crate::session::{self, Session};

pub(crate) async fn run(args: &Plan, out: &mut Out) -> Result<Exit, Failure> {
    let bytes = input::read(&args.event, "event")?;
    let mut entries = Vec::new();
    let (findings, mut exit) =
        input::findings(&bytes, &input::name(&args.event), &mut entries, out);
    if !findings.is_empty() {
        let session = Session::open(&args.deployment).await?;
        session::tell_built_in(&session.policy, &args.deployment.policy, out);
        let event = match input::is_stdin(&args.event) {
            true => "EVENT".to_owned(),
            false => session::quoted(&args.event.display().to_string()),
        };
        let command = format!(
            "portcullis apply {event}{}",
            session::flags(&args.deployment)
        );
        for finding in &findings {
            let (planned, worst) =
                preview(&session, finding, &command, args.detailed_exitcode, out).await;
            entries.extend(planned);
            exit = exit.max(worst);
        }
    }
    entry::print(&entries, out)?;
    Ok(exit)
}

/// The plans for a finding's targets, and what they mean for the exit code.
pub(crate) async fn preview(
    session: &Session,
    finding: &Finding,
    command: &str,
    detailed: bool,
    out: &mut Out,
) -> (Vec<Entry>, Exit) {
    let reports = session.engine().preview(finding).await;
    let mut exit = Exit::Done;
    let mut entries = Vec::new();
    for report in reports {
        let Some(record) = &report.record else {
            // Without a record it did not come to a decision, or there was none to take.
            exit = exit.max(if report.error.is_some() {
                Exit::Failed
            } else {
                Exit::Done
            });
            entries.push(Entry::outcome(&report, out));
            continue;
        };
        let planned = planned(record.clone(), session, command);
        exit = exit.max(weight(&planned, detailed));
        entries.push(Entry::Plan(Box::new(planned)));
    }
    (entries, exit)
}

fn planned(record: Record, session: &Session, command: &str) -> Planned {
    let policy = &session.policy;
    let deployed = deployed(&record, policy);
    let account = match &record.target {
        Target::Bucket(bucket) => &bucket.account,
        Target::Account(account) => account,
    };
    let break_glass = break_glass(policy, &session.caller.own, account);
    let mut planned = Planned {
        record,
        break_glass,
        deployed,
        next: None,
    };
    if planned.record.decision.acts() {
        let confirm = match planned.is_disruptive() {
            true => format!(
                " --confirm {}",
                session::quoted(planned.record.target_name())
            ),
            false => String::new(),
        };
        planned.next = Some(format!("{command}{confirm}"));
    }
    planned
}

/// What the deployed function would do with the same event, where that is not what an operator's order does.
fn deployed(record: &Record, policy: &Policy) -> Option<String> {
    if !record.decision.acts() {
        return None;
    }
    if record.finding.archived {
        return Some("The deployed function would only record this: a person archived the finding in GuardDuty.".to_owned());
    }
    let rule = policy
        .rules
        .iter()
        .find(|rule| rule.id == record.decision.rule)?;
    let (mode, because) = policy.effective_mode(Mode::Enforce, rule);
    (mode == Mode::Observe)
        .then(|| format!("The deployed function would only record this: {because}."))
}

fn weight(planned: &Planned, detailed: bool) -> Exit {
    let decision = &planned.record.decision;
    let withheld = decision
        .withheld
        .iter()
        .any(|withheld| withheld.guard != Guard::ObserveMode);
    match (withheld, decision.acts() && detailed) {
        (true, _) => Exit::Partly,
        (false, true) => Exit::Pending,
        (false, false) => Exit::Done,
    }
}
