//! From an event to the response that is the account of it.
//!
//! Whatever is not settled (an event that cannot be read, a lease that could not be had, a change that may succeed later)
//! fails the invocation, so that Lambda delivers the event again and, in the end, puts it on the dead-letter queue.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Diagnostic, LambdaEvent};
use portcullis::aws::{self, Aws};
use portcullis::classification::Own;
use portcullis::deployment::{Options, PolicySource, Serving};
use portcullis::engine::{Engine, EngineError, Followed, Report, RollbackRequest, Summary};
use portcullis::finding::{Event, EventError, Finding, Request, TrailEvent, read};
use portcullis::metrics::{Invocation, Origin, Tally};
use portcullis::notice::{self, Notice};
use portcullis::policy::{Mode, Policy};
use portcullis::record::Outcome;
use portcullis::store::Store;
use portcullis::sweep::Sweep;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::task::yield_now;

use crate::logs::{self, Line};
use crate::notices::{self, Noticed};
use crate::rehearsal;

/// What is kept of an invocation's time for answering.
const MARGIN: SignedDuration = SignedDuration::from_secs(3);

/// What initialization fetched need not be asked for again by the invocation that it was made for. By the wall clock: Lambda
/// may freeze the process in between.
const FRESH: SignedDuration = SignedDuration::from_secs(5);

/// Turns of the runtime in which the connection to Lambda is made and the first event asked for, and a few more.
const TURNS_TO_ASK: usize = 8;

/// Everything that outlives an invocation. Nothing of a bucket does.
pub(crate) struct Function {
    options: Options,
    config: SdkConfig,
    aws: Aws,
    own: Own,
    store: Store,
    policy: PolicySource,
    warm: AtomicBool,
}

/// The response, version 1.
#[derive(Debug, Serialize)]
pub(crate) struct Response {
    version: u32,
    records: Vec<Summary>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<Sweep>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notices: Vec<Noticed>,
}

/// What was done about one finding, and by which policy.
struct Work {
    finding: Finding,
    policy: Arc<Policy>,
    reports: Vec<Report>,
}

/// What became of an event.
enum Done {
    /// It is none of ours, and why.
    Ignored(String),
    /// Each of its targets has been worked on.
    Settled(Box<Work>),
    /// What stands was looked after.
    Swept(Arc<Policy>, Box<Sweep>),
}

impl Done {
    fn settled(work: Work) -> Self {
        Self::Settled(Box::new(work))
    }
}

/// Why an invocation failed.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: &'static str,
    message: String,
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self {
            error_type: failure.kind.to_owned(),
            error_message: failure.message,
        }
    }
}

impl Function {
    /// Reads the environment, and who we are only where it doesn't say. The first policy is fetched while Lambda still
    /// gives initialization its full processor, and parsed while the first event is asked for.
    pub(crate) async fn new() -> Result<Self, lambda_runtime::Error> {
        let options = Options::from_env(|name| std::env::var(name).ok(), None)?;
        let config = aws::load_config().await;
        let own = match options.own() {
            Some(own) => own,
            None => aws::identity(&config).await?,
        };
        let store = options.open_store(&config);
        let function = Self {
            aws: options.aws(config.clone(), &own),
            options,
            config,
            own,
            store,
            policy: PolicySource::default(),
            warm: AtomicBool::new(false),
        };
        let begun = function.policy.begin(
            &function.options,
            &function.store,
            &function.config,
            Timestamp::now(),
        );
        let begun = match select(pin!(begun), pin!(rehearsal::run())).await {
            Either::Left((begun, _)) => begun,
            Either::Right(((), begun)) => begun.await,
        };
        // A failure here is not the last word: each invocation asks again, and fails by itself if it must.
        if let Err(error) = begun {
            tracing::warn!(%error, "no policy yet");
        }
        Ok(function)
    }

    /// Parses what was fetched, once the first event is asked for. Whoever needs it before does so itself.
    pub(crate) async fn get_ready(&self) {
        for _ in 0..TURNS_TO_ASK {
            yield_now().await;
        }
        self.policy.last().await;
    }

    pub(crate) async fn handle(
        &self,
        event: LambdaEvent<Box<RawValue>>,
    ) -> Result<Response, Failure> {
        let invocation = Invocation {
            request_id: &event.context.request_id,
            cold_start: !self.warm.swap(true, Ordering::Relaxed),
            mode: self.options.mode,
            received_at: Timestamp::now(),
        };
        let ends = ends(event.context.deadline);
        let deadline = ends.saturating_sub(MARGIN).unwrap_or(ends);
        let events = read(event.payload.get().as_bytes());
        let mut tally = Tally::of(invocation);
        let mut response = Response {
            version: 1,
            records: Vec::new(),
            ignored: Vec::new(),
            sweep: None,
            notices: Vec::new(),
        };
        let mut failures: Vec<Failure> = Vec::new();
        let mut notices: Vec<Notice> = Vec::new();
        for event in events {
            let line = Line::of(&event);
            let origin = match &event {
                Ok(Event::Request(_) | Event::Trail(_)) => Origin::Request,
                _ => Origin::Event,
            };
            let done = match event {
                Ok(Event::Finding(finding)) if finding.targets.is_empty() => {
                    Ok(Done::Ignored(nothing_named(&finding)))
                }
                Ok(Event::Finding(finding)) => {
                    let done = self.respond(&finding, deadline).await;
                    let failed = |failure: &Failure| {
                        let (id, why) = (invocation.request_id, &failure.message);
                        notice::failure(Some(&finding), id, why)
                    };
                    notices.extend(done.as_ref().err().map(failed));
                    done.map(Done::settled)
                }
                Ok(Event::Ignored(ignored)) => Ok(Done::Ignored(ignored.what)),
                Ok(Event::Request(Request::Sweep)) => self.sweep(deadline).await,
                Ok(Event::Trail(event)) => self.follow(&event, deadline).await,
                // Whoever asks by hand is told by the answer that a request could not be begun.
                Ok(Event::Request(Request::Apply { record, by })) => {
                    let by = operator(by.as_deref(), invocation.request_id);
                    let done = self.operate(&record, true, &by, deadline).await;
                    done.map(Done::settled)
                }
                Ok(Event::Request(Request::Rollback { record, by })) => {
                    let by = operator(by.as_deref(), invocation.request_id);
                    let done = self.operate(&record, false, &by, deadline).await;
                    done.map(Done::settled)
                }
                Err(error) => {
                    let failure = unreadable(&error);
                    let (id, why) = (invocation.request_id, &failure.message);
                    notices.push(notice::failure(None, id, why));
                    Err(failure)
                }
            };
            match done {
                Ok(Done::Settled(work)) => {
                    notices.extend(notices::of(&work.finding, &work.policy, &work.reports));
                    tally.settled(origin, &work.reports);
                    for report in work.reports {
                        Line::settled(&report, invocation.received_at)
                            .write(report.summary.outcome, &invocation);
                        failures.extend(report.fails_the_invocation().then(|| unsettled(&report)));
                        response.records.push(report.summary);
                    }
                }
                Ok(Done::Swept(policy, sweep)) => {
                    logs::sweep(&sweep, invocation.request_id);
                    notices.extend(notice::sweep(&sweep, &policy, Timestamp::now()));
                    tally.drift_found = Some(sweep.drifted());
                    response.sweep = Some(*sweep);
                }
                Ok(Done::Ignored(reason)) => {
                    tally.ignored(origin);
                    line.because(&reason).write(Outcome::Ignored, &invocation);
                    response.ignored.push(reason);
                }
                Err(failure) => {
                    tally.failed(origin);
                    line.because(&failure.message)
                        .write(Outcome::Failed, &invocation);
                    failures.push(failure);
                }
            }
        }
        if let Some(topic) = &self.options.topic {
            response.notices =
                notices::send(&self.config, &self.store, topic, &notices, ends).await;
        }
        tally.notices_failed = self.options.topic.is_some().then(|| {
            let unsent = response.notices.iter().filter_map(Noticed::unsent);
            unsent.count() as u64
        });
        let serving = self.policy.last_serving().await;
        tally.policy_invalid = serving.is_some_and(|serving| tell_of(&serving, self.options.mode));
        logs::metrics(&tally.document(Timestamp::now()));
        match failures.is_empty() {
            true => Ok(response),
            false => Err(Failure {
                kind: failures.first().map_or("Failed", |failure| failure.kind),
                message: failures
                    .into_iter()
                    .map(|failure| failure.message)
                    .chain(response.notices.iter().filter_map(Noticed::unsent))
                    .collect::<Vec<_>>()
                    .join("\n"),
            }),
        }
    }

    /// A warm function begins with the policy that it has, and asks beside the first calls whether that still serves. If it
    /// does not, nothing has been written yet, and the work is done over with the one that does.
    async fn respond(&self, finding: &Finding, deadline: Timestamp) -> Result<Work, Failure> {
        let work = |policy: Arc<Policy>, reports| Work {
            finding: finding.clone(),
            policy,
            reports,
        };
        if let Some((policy, at)) = self.policy.last().await {
            let is_fresh = Timestamp::now().duration_since(at) < FRESH;
            let stands: BoxFuture<'_, bool> = match is_fresh {
                true => std::future::ready(true).boxed(),
                false => self.still_serves(policy.clone()).boxed(),
            };
            let engine = Engine {
                policy_stands: Some(stands.shared()),
                ..self.engine(&policy, None, deadline)
            };
            let reports = engine.respond(finding).await;
            if !reports
                .iter()
                .any(|report| matches!(report.error, Some(EngineError::PolicyReplaced)))
            {
                return Ok(work(policy.clone(), reports));
            }
        }
        let policy = self.serving().await?;
        let reports = self.engine(&policy, None, deadline).respond(finding).await;
        Ok(work(policy, reports))
    }

    async fn still_serves(&self, policy: Arc<Policy>) -> bool {
        self.serving()
            .await
            .is_ok_and(|serving| Arc::ptr_eq(&serving, &policy))
    }

    /// In observe mode the sweep tells, and writes nothing: the function may not.
    async fn sweep(&self, deadline: Timestamp) -> Result<Done, Failure> {
        let policy = self.serving().await?;
        let engine = self.engine(&policy, None, deadline);
        let swept = engine.sweep(self.options.mode == Mode::Enforce).await;
        let swept = swept.map_err(|error| Failure {
            kind: "SweepFailed",
            message: error.to_string(),
        })?;
        Ok(Done::Swept(policy.clone(), Box::new(swept)))
    }

    /// Somebody wrote to a bucket. As with the sweep, nothing is written in observe mode.
    async fn follow(&self, event: &TrailEvent, deadline: Timestamp) -> Result<Done, Failure> {
        let policy = self.serving().await?;
        let engine = self.engine(&policy, None, deadline);
        let followed = engine.follow(event, self.options.mode == Mode::Enforce);
        match followed.await {
            Ok(Followed::LeftAlone(why)) => Ok(Done::Ignored(why)),
            Ok(Followed::Looked(looked)) => Ok(Done::Swept(policy.clone(), Box::new(looked))),
            Err(error) => Err(Failure {
                kind: "LookFailed",
                message: error.to_string(),
            }),
        }
    }

    async fn operate(
        &self,
        id: &str,
        apply: bool,
        operator: &str,
        deadline: Timestamp,
    ) -> Result<Work, Failure> {
        let refuse = |kind, message: String| Err(Failure { kind, message });
        if self.options.mode == Mode::Observe {
            let message = "this deployment is in observe mode and may not change a bucket; deploy it with Mode=enforce, or use the command line".to_owned();
            return refuse("ObserveMode", message);
        }
        let policy = self.serving().await?;
        let loaded = Engine::load(&self.store, id).await;
        let record = loaded.map_err(|error| Failure {
            kind: "NoRecord",
            message: error.to_string(),
        })?;
        let engine = self.engine(&policy, Some(operator), deadline);
        let reports = if apply {
            let finding = Finding {
                targets: vec![record.target.clone()],
                ..(*record.finding).clone()
            };
            engine.respond(&finding).await
        } else {
            let rolled_back = engine.rollback(&record, &RollbackRequest::default()).await;
            vec![rolled_back.map_err(|error| Failure {
                kind: "RollbackFailed",
                message: error.to_string(),
            })?]
        };
        Ok(Work {
            finding: Arc::unwrap_or_clone(record.finding),
            policy: policy.clone(),
            reports,
        })
    }

    fn engine<'a>(
        &'a self,
        policy: &'a Policy,
        operator: Option<&'a str>,
        deadline: Timestamp,
    ) -> Engine<'a> {
        Engine {
            aws: &self.aws,
            store: &self.store,
            policy,
            stack_mode: self.options.mode,
            own: &self.own,
            operator,
            confirmed: None,
            policy_stands: None,
            clock: Timestamp::now,
            deadline,
        }
    }

    async fn serving(&self) -> Result<Arc<Policy>, Failure> {
        let serving = self
            .policy
            .current(&self.options, &self.store, &self.config, Timestamp::now())
            .await;
        let serving = serving.map_err(|error| Failure {
            kind: "PolicyUnavailable",
            message: error.to_string(),
        })?;
        Ok(serving.policy)
    }
}

/// Says what is wrong with the policy that serves, and returns whether its file is not valid.
fn tell_of(serving: &Serving, mode: Mode) -> bool {
    if let Some(invalid) = &serving.invalid {
        tracing::error!(
            place = invalid.place,
            errors = invalid.errors.join("; "),
            serving = serving.policy.name,
            "the policy file is not valid and does not take effect"
        );
    }
    if serving.policy.name == "built-in" && mode == Mode::Enforce {
        tracing::warn!(
            "there is no valid policy file, so the built-in policy serves, which only observes"
        );
    }
    serving.invalid.is_some()
}

/// Lambda tells a function nothing of who invoked it. The record holds what the request says, as said, and the id of the
/// invocation, by which CloudTrail, where it logs data events of Lambda, tells whose credentials it was.
fn operator(by: Option<&str>, request_id: &str) -> String {
    match by {
        Some(by) => format!("direct invocation {request_id}, said to be by {by}"),
        None => format!("direct invocation {request_id}"),
    }
}

/// A finding about S3 that names no bucket, such as an attack sequence whose resources are left out.
fn nothing_named(finding: &Finding) -> String {
    format!(
        "{} concerns S3 and names no bucket, so there is nothing to contain",
        finding.kind
    )
}

fn unreadable(error: &EventError) -> Failure {
    Failure {
        kind: "UnreadableEvent",
        message: error.to_string(),
    }
}

fn unsettled(report: &Report) -> Failure {
    let summary = &report.summary;
    let target = summary.bucket.as_deref().unwrap_or(&summary.account);
    let reason = summary.reason.as_deref().unwrap_or("no reason given");
    Failure {
        kind: "Unsettled",
        message: format!("{target}: {}: {reason}", summary.outcome),
    }
}

/// When Lambda ends the invocation.
fn ends(milliseconds: u64) -> Timestamp {
    let system = UNIX_EPOCH
        .checked_add(Duration::from_millis(milliseconds))
        .unwrap_or_else(SystemTime::now);
    Timestamp::try_from(system).unwrap_or_else(|_| Timestamp::now())
}
