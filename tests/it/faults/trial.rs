//! One trial: a fault at one call, the event once more, and what must hold then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{ACCOUNT, Names, Scene, Victim};
use crate::lambda::Answer;
use crate::stand_in::{self, Verdict};

/// What the disturbed invocation may take. Lambda ends it then.
const DISTURBED: Duration = Duration::from_secs(25);
const UNDISTURBED: Duration = Duration::from_secs(60);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The process ends before the call is made.
    StoppedBefore,
    /// The process ends when the call was made and before its answer is there.
    StoppedAfter,
    /// This answer, from the call on until the invocation is over.
    Refused(u16, &'static str),
    /// The same for an answer that is not what it should be.
    Malformed,
    /// The same for half an answer, and then nothing.
    Stalled,
    /// The same for a connection that breaks.
    Broken,
    /// The answer is lost, once.
    Lost,
    /// From the call on, the store takes no write until the invocation is over.
    Shut,
    /// From the call on, what is read is as it was at first until the invocation is over: S3's settings become visible in their
    /// own time.
    Stale,
}

pub(super) const STOPS: [Fault; 2] = [Fault::StoppedBefore, Fault::StoppedAfter];

pub(super) const ERRORS: [Fault; 13] = [
    Fault::Refused(403, "AccessDenied"),
    Fault::Refused(404, "NoSuch"),
    Fault::Refused(409, "OperationAborted"),
    Fault::Refused(412, "PreconditionFailed"),
    Fault::Refused(500, "InternalError"),
    Fault::Refused(503, "SlowDown"),
    Fault::Refused(301, "PermanentRedirect"),
    Fault::Malformed,
    Fault::Stalled,
    Fault::Broken,
    Fault::Lost,
    Fault::Shut,
    Fault::Stale,
];

impl Fault {
    pub(super) fn title(self) -> String {
        match self {
            Self::StoppedBefore => "the process ends before the call".to_owned(),
            Self::StoppedAfter => "the process ends after the call, before its answer".to_owned(),
            Self::Refused(404, _) => {
                "404 NoSuchBucket, of the store's objects NoSuchKey".to_owned()
            }
            Self::Refused(status, code) => format!("{status} {code}"),
            Self::Malformed => "200 with a body that is no XML and no JSON".to_owned(),
            Self::Stalled => "half of an answer, then silence".to_owned(),
            Self::Broken => "the connection breaks before the call".to_owned(),
            Self::Lost => "the connection breaks after the call, once".to_owned(),
            Self::Shut => "the store takes no write from the call on".to_owned(),
            Self::Stale => "a setting is read as it was before it was written".to_owned(),
        }
    }

    /// Whether it can befall this call.
    pub(super) fn befalls(self, call: &Call) -> bool {
        let is_read = call.0.starts_with("GET ");
        match self {
            Self::Shut => is_write_to_store(&call.0),
            // What the store says is never old.
            Self::Stale => is_read && call.1 > 0 && !call.0.contains("bucket-store"),
            _ => true,
        }
    }

    /// Whether it goes over by itself, so that the invocation must fail if it kept something from being done.
    fn passes(self, call: &Call) -> bool {
        match self {
            // A policy is text, and what cannot be parsed in it may be there to stay.
            Self::Malformed => !call.0.starts_with("GET ") || !call.0.contains("policy"),
            Self::Refused(status, _) => matches!(status, 409 | 500 | 503),
            Self::StoppedBefore | Self::StoppedAfter => false,
            Self::Stalled | Self::Broken | Self::Lost | Self::Shut | Self::Stale => true,
        }
    }

    fn verdict(self, request: &str, names: &Names) -> Verdict {
        match self {
            Self::StoppedBefore | Self::Broken => Verdict::Break,
            Self::StoppedAfter | Self::Lost => Verdict::LoseAnswer,
            Self::Refused(404, _) => match names.of(request).contains("bucket-store/") {
                true => Verdict::Refuse(404, "NoSuchKey"),
                false => Verdict::Refuse(404, "NoSuchBucket"),
            },
            Self::Refused(status, code) => Verdict::Refuse(status, code),
            Self::Malformed => Verdict::Answer(stand_in::Answer {
                status: 200,
                headers: String::new(),
                body: "<<{".to_owned(),
            }),
            Self::Stalled => Verdict::Stall,
            Self::Shut => Verdict::Refuse(403, "AccessDenied"),
            Self::Stale => Verdict::AsAtFirst,
        }
    }
}

fn is_write_to_store(plain: &str) -> bool {
    plain.starts_with("PUT ") && plain.contains("bucket-store/")
}

/// A call: what is asked for, and the how manieth time.
pub(super) type Call = (String, usize);

/// What a run comes to that nothing disturbs.
pub(super) struct Undisturbed {
    pub(super) calls: Vec<Call>,
    original: BTreeMap<String, String>,
    contained: BTreeMap<String, String>,
    outcomes: Vec<Value>,
    ended: BTreeSet<String>,
    standing: BTreeSet<String>,
    notices: BTreeSet<String>,
}

impl Undisturbed {
    /// The policy of the only bucket, contained.
    pub(super) fn policy(&self) -> String {
        policy_in(&self.contained)
    }

    /// The same before.
    pub(super) fn policy_before(&self) -> String {
        policy_in(&self.original)
    }
}

fn policy_in(settings: &BTreeMap<String, String>) -> String {
    let policy = settings.iter().find(|(key, _)| key.ends_with(" policy"));
    policy.unwrap().1.clone()
}

/// Rolls back what was done; what went wrong with that.
pub(super) fn rolled_back(scene: &Scene) -> Vec<String> {
    roll_back(scene).wrong
}

/// How a trial went.
#[derive(Debug)]
pub(super) enum Trial {
    /// The call was never made, so that nothing was tried.
    NotReached,
    /// Everything holds.
    Converged,
    /// What does not.
    Diverged(Vec<String>),
}

/// The changes of which a failed invocation says that there were none, by target.
fn denied(scene: &Scene, message: &str, original: &BTreeMap<String, String>) -> Vec<String> {
    let lines = message.lines().map(|line| scene.names.plain(line));
    let lines = lines.filter(|line| line.contains("nothing was changed"));
    // It says so of a second plan only.
    let lines = lines.filter(|line| !line.contains("of the plan that was left"));
    let found = scene.settings();
    let changed = lines.flat_map(|line| {
        let target = line.split(':').next().unwrap_or_default().to_owned();
        let of_target = original.iter().filter(|(key, _)| {
            let name = key.split(' ').next().unwrap_or_default();
            name == target || name == "account" && target == ACCOUNT
        });
        let of_target = of_target.map(|(key, text)| (key.clone(), text.clone()));
        difference(&of_target.collect(), &found, "though nothing was changed")
    });
    changed.collect()
}

/// Runs an event as nothing disturbs it, and puts everything back.
pub(super) fn undisturbed(event: &str, policy: &str) -> Undisturbed {
    let scene = Scene::new(event, policy, Victim::default(), |_, _| Verdict::Pass);
    let original = scene.settings();
    let answer = scene.function.invoke_within(&scene.event, UNDISTURBED);
    let answer = answer.expect("an answer");
    assert!(answer.is_success(), "{event}: {answer:?}");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let calls = scene.proxy.requests().into_iter().map(|request| {
        let name = scene.names.of(&request);
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        (name, *count - 1)
    });
    let calls = calls.collect();
    let undisturbed = Undisturbed {
        calls,
        contained: scene.settings(),
        outcomes: outcomes(&scene, &answer),
        ended: ended(&scene),
        standing: standing(&scene),
        notices: scene.notices().into_iter().collect(),
        original,
    };
    let wrong = roll_back(&scene).against(&undisturbed.original, &scene);
    assert!(wrong.is_empty(), "{event}: {wrong:#?}");
    undisturbed
}

/// Disturbs a run of an event at one call, and delivers the event again.
pub(super) fn disturbed(
    event: &str,
    policy: &str,
    undisturbed: &Undisturbed,
    fault: Fault,
    call: &Call,
) -> Trial {
    let armed = Arc::new(AtomicBool::new(true));
    let hit = Arc::new(AtomicBool::new(false));
    let victim = Victim::default();
    let judge = judge(
        fault,
        call.clone(),
        armed.clone(),
        hit.clone(),
        victim.clone(),
    );
    let mut scene = Scene::new(event, policy, victim, judge);
    let first = scene.function.invoke_within(&scene.event, DISTURBED);
    armed.store(false, Ordering::SeqCst);
    if !hit.load(Ordering::SeqCst) {
        return Trial::NotReached;
    }
    let mut wrong = Vec::new();
    if let Some(first) = first.as_ref().filter(|first| first.is_success()) {
        let unmade = difference(&undisturbed.contained, &scene.settings(), "at the success");
        let claims = outcomes(&scene, first) == undisturbed.outcomes;
        if !unmade.is_empty() && (claims || fault.passes(call)) {
            wrong.push(format!("success is reported: {first:?}"));
            wrong.extend(unmade);
        }
    }
    if let Some(first) = first.as_ref().filter(|first| !first.is_success()) {
        wrong.extend(denied(&scene, first.error().1, &undisturbed.original));
    }
    for lease in scene.age_leases() {
        let life = seconds(&lease["expires"]) - seconds(&lease["acquired"]);
        if life > DISTURBED.as_secs() as i64 {
            wrong.push(format!("a lease outlives its invocation: {lease}"));
        }
    }
    // A minute later nothing counts as fresh any more, which a new process comes to at once.
    if call.0.ends_with("policy.yaml") {
        scene.function.process().kill();
    }
    scene.revive();
    wrong.extend(again(&scene, undisturbed));
    match wrong.is_empty() {
        true => Trial::Converged,
        false => Trial::Diverged(wrong),
    }
}

/// Delivers an event with so little time that its invocation may not come to its end, and then again; what is wrong.
pub(super) fn hurried(
    event: &str,
    policy: &str,
    undisturbed: &Undisturbed,
    seconds: u64,
) -> Vec<String> {
    let mut scene = Scene::new(event, policy, Victim::default(), |_, _| Verdict::Pass);
    let time = Duration::from_secs(seconds);
    let first = scene.function.invoke_within(&scene.event, time);
    let mut wrong = Vec::new();
    if first.is_some_and(|first| first.is_success()) {
        wrong.extend(difference(
            &undisturbed.contained,
            &scene.settings(),
            "at the success",
        ));
    }
    scene.age_leases();
    scene.revive();
    wrong.extend(again(&scene, undisturbed));
    wrong
}

/// Delivers the event once more, and tells what does not hold then.
fn again(scene: &Scene, undisturbed: &Undisturbed) -> Vec<String> {
    let mut wrong = Vec::new();
    match scene.function.invoke_within(&scene.event, UNDISTURBED) {
        Some(second) if second.is_success() => {}
        second => wrong.push(format!("the second delivery fails: {second:?}")),
    }
    wrong.extend(difference(
        &undisturbed.contained,
        &scene.settings(),
        "at the end",
    ));
    let missing = |what: &str, expected: &BTreeSet<String>, found: &BTreeSet<String>| {
        let missing = expected.difference(found);
        let missing = missing.map(|missing| format!("{what}: {missing} is missing of {found:?}"));
        missing.collect::<Vec<_>>()
    };
    wrong.extend(missing("outcomes", &undisturbed.ended, &ended(scene)));
    wrong.extend(missing("standing", &undisturbed.standing, &standing(scene)));
    let notices = scene.notices().into_iter().collect();
    wrong.extend(missing("notices", &undisturbed.notices, &notices));
    wrong.extend(open(scene));
    let bare = scene.unrecorded();
    wrong.extend(
        bare.into_iter()
            .map(|write| format!("no evidence before {write}")),
    );
    let held = scene.age_leases();
    wrong.extend(
        held.into_iter()
            .map(|lease| format!("a lease is left: {lease}")),
    );
    wrong.extend(roll_back(scene).against(&undisturbed.original, scene));
    wrong
}

fn judge(
    fault: Fault,
    call: Call,
    armed: Arc<AtomicBool>,
    hit: Arc<AtomicBool>,
    victim: Victim,
) -> impl Fn(&Names, &str) -> Verdict + Send + Sync + 'static {
    let count = Mutex::new(0);
    move |names, request| {
        if !armed.load(Ordering::SeqCst) {
            return Verdict::Pass;
        }
        let name = names.of(request);
        if name != call.0 {
            let is_shut = fault == Fault::Shut && hit.load(Ordering::SeqCst);
            return match is_shut && is_write_to_store(&name) {
                true => fault.verdict(request, names),
                false => Verdict::Pass,
            };
        }
        let number = {
            let mut count = count.lock().unwrap();
            *count += 1;
            *count - 1
        };
        let once = matches!(
            fault,
            Fault::StoppedBefore | Fault::StoppedAfter | Fault::Lost
        );
        if number < call.1 || once && number > call.1 {
            return Verdict::Pass;
        }
        hit.store(true, Ordering::SeqCst);
        if matches!(fault, Fault::StoppedBefore | Fault::StoppedAfter) {
            // The first calls of a process can come before its starter knows it.
            loop {
                if let Some(process) = victim.lock().unwrap().as_ref() {
                    process.kill();
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        fault.verdict(request, names)
    }
}

/// What an answer says of each target.
fn outcomes(scene: &Scene, answer: &Answer) -> Vec<Value> {
    let records = answer.response()["records"].as_array().unwrap();
    let outcomes = records.iter().map(|record| {
        json!({
            "bucket": scene.names.plain(record["bucket"].as_str().unwrap_or_default()),
            "outcome": record["outcome"],
            "taken": record["taken"],
            "withheld": record["withheld"],
        })
    });
    outcomes.collect()
}

/// How the records ended, by target.
fn ended(scene: &Scene) -> BTreeSet<String> {
    let mut ended = BTreeSet::new();
    for (key, object) in scene.stored("records/") {
        // A target that is found as it should be is as good as contained.
        let outcome = match object["outcome"].as_str() {
            Some("already-contained") => "contained",
            Some(outcome) => outcome,
            None => continue,
        };
        ended.insert(format!("{} {outcome}", target_of(scene, &key)));
    }
    ended
}

/// The target's part of a record's key, without the number of the attempt.
fn target_of(scene: &Scene, key: &str) -> String {
    let plain = scene.names.plain(key);
    let plain = plain.trim_end_matches(".json").trim_end_matches(".result");
    let target = plain.find("target-").map_or(plain, |at| &plain[at..]);
    target.split('-').take(2).collect::<Vec<_>>().join("-")
}

/// Records whose plan has no end: whoever reads them cannot know whether somebody is still at it.
fn open(scene: &Scene) -> Vec<String> {
    let records = scene.stored("records/");
    let open = records.iter().filter(|(key, record)| {
        let result = key.replace(".json", ".result.json");
        !key.ends_with(".result.json")
            && record["outcome"].is_null()
            && !records.contains_key(&result)
    });
    open.map(|(key, _)| format!("{key} has no result"))
        .collect()
}

fn standing(scene: &Scene) -> BTreeSet<String> {
    let marks = scene.stored("standing/").into_keys();
    marks.map(|key| scene.names.plain(&key)).collect()
}

/// Rolls back what was done, by the last record of each target, as a person would who was told of that one only. What could not
/// be read before it was written is left to a person, and must be said to be.
fn roll_back(scene: &Scene) -> Undone {
    let records = scene.stored("records/");
    let mut last: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut unread = BTreeSet::new();
    for (key, record) in &records {
        let result = records.get(&key.replace(".json", ".result.json"));
        let given_up = result.is_some_and(|result| result["outcome"] == "planned");
        let changes = record["decision"]["plan"].as_array();
        if !record["outcome"].is_null() || given_up || changes.is_none_or(Vec::is_empty) {
            continue;
        }
        let is_unread = |change: &Value| change["before"]["unreadable"].is_object();
        let target = target_of(scene, key);
        if changes.is_some_and(|changes| changes.iter().any(is_unread)) {
            unread.insert(target.clone());
        }
        let id = record["id"].as_str().unwrap().to_owned();
        let newest = last.entry(target).or_default();
        *newest = newest.clone().max((id.len(), id));
    }
    let mut wrong = Vec::new();
    for (target, (_, id)) in last {
        let request = json!({"portcullis": {"rollback": {"record": id}}});
        let answer = scene.function.invoke_within(&request, UNDISTURBED);
        let undone = answer.as_ref().is_some_and(|answer| {
            answer.is_success() && answer.response()["records"][0]["outcome"] == "rolled-back"
        });
        if undone == unread.contains(&target) {
            wrong.push(format!("the rollback of {id}: {answer:?}"));
        }
    }
    let unread = !unread.is_empty();
    Undone { wrong, unread }
}

struct Undone {
    wrong: Vec<String>,
    /// Whether something could not be read before it was written.
    unread: bool,
}

impl Undone {
    /// What is wrong, with the settings that are not as before.
    fn against(self, original: &BTreeMap<String, String>, scene: &Scene) -> Vec<String> {
        let mut wrong = self.wrong;
        if !self.unread {
            wrong.extend(difference(original, &scene.settings(), "after rollback"));
        }
        wrong
    }
}

/// What is not as it should be.
fn difference(
    expected: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
    when: &str,
) -> Vec<String> {
    let other = expected
        .iter()
        .filter(|(key, text)| found.get(*key) != Some(text));
    other
        .map(|(key, text)| format!("{key} {when}: {:?} instead of {text:?}", found.get(key)))
        .collect()
}

fn seconds(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_second()
}
