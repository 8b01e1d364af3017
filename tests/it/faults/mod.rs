//! Proof under faults: what is to be true after a crash, an error, a race or a delivery out of order.
//!
//! A part of it runs with all other tests. `make reliability` runs all of it and writes the figures to `docs/reliability.md`.

mod clock;
mod order;
mod outside;
mod page;
mod races;
mod scene;
mod trial;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::stand_in::{endpoint, send};
use page::{Count, Figures};
use scene::{ALL, built_in, events};
use trial::{Call, ERRORS, Fault, STOPS, Trial, disturbed, undisturbed};

/// The event whose plan has a change in every setting.
const RICH: &str = "exfiltration-malicious-ip";
/// An event that is at the same time a common one.
const COMMON: &str = "anonymous-access-granted";

/// Trials at once, beside the other tests and where there is nothing else to do.
const BESIDE_OTHERS: usize = 6;
const ALONE: usize = 22;

/// A fault at a call.
type Point = (Fault, Call);

#[test]
fn a_function_that_is_stopped_comes_to_the_same_end() {
    let undisturbed = undisturbed(RICH, ALL);
    let mut points = Vec::new();
    for (index, call) in undisturbed.calls.iter().enumerate() {
        let is_write = !call.0.starts_with("GET ") && !call.0.starts_with("HEAD ");
        // Reads leave nothing behind that the time of the stop could make different.
        match is_write {
            true => points.extend(STOPS.map(|stop| (stop, call.clone()))),
            false if index % 4 == 0 => points.push((STOPS[index / 4 % 2], call.clone())),
            false => {}
        }
    }
    let tried = try_all(RICH, ALL, &undisturbed, &points, BESIDE_OTHERS);
    assert!(tried.tried > 40, "{tried:?}");
    assert_eq!(tried.wrong, Vec::<String>::new());
}

#[test]
fn whatever_aws_answers_the_next_delivery_comes_to_the_same_end() {
    let policy = built_in();
    let undisturbed = undisturbed(COMMON, &policy);
    let calls = undisturbed.calls.len();
    // Each error at some calls, and each call with some error. Silence takes as long as the function's patience.
    let quick = ERRORS.iter().filter(|error| **error != Fault::Stalled);
    let points = quick.enumerate().flat_map(|(index, error)| {
        [3 * index, 3 * index + 14].map(|n| {
            let mut next = undisturbed.calls.iter().cycle().skip(n % calls);
            let call = next.find(|call| error.befalls(call)).unwrap();
            (*error, call.clone())
        })
    });
    let points: Vec<Point> = points.collect();
    let tried = try_all(COMMON, &policy, &undisturbed, &points, BESIDE_OTHERS);
    assert!(tried.tried > 10, "{tried:?}");
    assert_eq!(tried.wrong, Vec::<String>::new());
}

#[test]
fn an_invocation_with_too_little_time_fails_and_the_next_one_makes_it_good() {
    let undisturbed = undisturbed(RICH, ALL);
    for seconds in [1, 4, 6] {
        assert_eq!(
            trial::hurried(RICH, ALL, &undisturbed, seconds),
            Vec::<String>::new(),
            "{seconds}"
        );
    }
}

/// Everything, for most of an hour. PORTCULLIS_RELIABILITY is the share of the points with an error that are tried: 1 for all, 10 for
/// every tenth. With PORTCULLIS_RELIABILITY_EVENT only the scenarios of that event are run, and no page is written.
#[test]
#[ignore = "make reliability"]
#[expect(clippy::print_stdout, reason = "somebody waits for it")]
fn the_long_form() {
    let share = std::env::var("PORTCULLIS_RELIABILITY").unwrap_or_default();
    let share: usize = share.parse().unwrap_or(1);
    let only = std::env::var("PORTCULLIS_RELIABILITY_EVENT").unwrap_or_default();
    let mut figures = Figures::new(share);
    let scenarios = events()
        .into_iter()
        .map(|event| (event, built_in(), "built-in"));
    let rich = (RICH.to_owned(), ALL.to_owned(), "all measures");
    let is_asked_for = |event: &str| only.is_empty() || only == event;
    for (event, policy, title) in scenarios.chain([rich]) {
        if !is_asked_for(&event) {
            continue;
        }
        forget_all_accounts();
        let undisturbed = undisturbed(&event, &policy);
        let at_every_call = |faults: &[Fault]| -> Vec<Point> {
            let faults = faults.iter();
            let all = faults.flat_map(|fault| {
                let calls = undisturbed.calls.iter();
                calls.map(|call| (*fault, call.clone()))
            });
            all.filter(|(fault, call)| fault.befalls(call)).collect()
        };
        let errors = at_every_call(&ERRORS).into_iter();
        // An odd start in each scenario, so that the share is not always of the same calls.
        let errors: Vec<Point> = errors
            .skip(figures.scenarios() % share)
            .step_by(share)
            .collect();
        let stops = at_every_call(&STOPS);
        let stops = try_all(&event, &policy, &undisturbed, &stops, ALONE);
        let errors = try_all(&event, &policy, &undisturbed, &errors, ALONE);
        figures.add(&event, title, undisturbed.calls.len(), &stops, &errors);
        println!("{event} under {title}: {stops:?} {errors:?}");
    }
    if !only.is_empty() {
        assert_ne!(figures.scenarios(), 0, "there is no event {only:?}");
        figures.assert_that_all_holds();
        return;
    }
    forget_all_accounts();
    for seconds in 1..=12 {
        let common = undisturbed(COMMON, &built_in());
        figures.hurried(&trial::hurried(COMMON, &built_in(), &common, seconds));
    }
    figures.jumps(&clock::jumps(1));
    figures.outside(&outside::at_every_call());
    figures.races(&races::rounds((600 / share).max(60), 4));
    figures.orders(&order::orders((400 / share).max(20), ALONE));
    figures.write();
}

/// Each trial has an account of its own, and the more of them MiniStack knows, the longer it takes for a call.
fn forget_all_accounts() {
    let url = format!("{}/_ministack/reset", endpoint("ministack"));
    assert_eq!(send("POST", &url, &[], ""), 200);
}

/// What became of some points.
#[derive(Debug, Default)]
pub(super) struct Tried {
    tried: usize,
    wrong: Vec<String>,
    by_fault: BTreeMap<Fault, Count>,
}

fn try_all(
    event: &str,
    policy: &str,
    undisturbed: &trial::Undisturbed,
    points: &[Point],
    at_once: usize,
) -> Tried {
    let tried = Mutex::new(Tried::default());
    side_by_side(points.len(), at_once, |index| {
        let (fault, call) = &points[index];
        let wrong = match disturbed(event, policy, undisturbed, *fault, call) {
            Trial::NotReached => return,
            Trial::Converged => None,
            Trial::Diverged(wrong) => Some(wrong.join("\n  ")),
        };
        let mut tried = tried.lock().unwrap();
        tried.tried += 1;
        let count = tried.by_fault.entry(*fault).or_default();
        count.add(wrong.is_none());
        let told = wrong.map(|wrong| format!("{} at {call:?}:\n  {wrong}", fault.title()));
        tried.wrong.extend(told);
    });
    tried.into_inner().unwrap()
}

/// Does one thing for each number below `number`, so many at once: most of a trial is waiting.
fn side_by_side(number: usize, at_once: usize, one: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    match next.fetch_add(1, Ordering::Relaxed) {
                        index if index < number => one(index),
                        _ => return,
                    }
                }
            });
        }
    });
}
