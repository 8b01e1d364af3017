//! What became of tests, and which parts of the policy they reached.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::{Aspect, Mismatch, Test};
use crate::classification::Own;
use crate::decision::Weighed;
use crate::policy::Policy;
use crate::record::PolicyRef;
use crate::report::Explanation;
use crate::verdict::{Case, Facts};
use crate::yaml::{Diagnostic, nearest};

/// What became of all tests.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// The policy that was tested.
    pub policy: PolicyRef,
    /// How many files there are.
    pub files: usize,
    /// How many tests passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// The tests that were run.
    pub tests: Vec<Tested>,
    /// The mistakes in the files; a test with one is not run.
    pub mistakes: Vec<Diagnostic>,
    /// Which parts of the policy they reached.
    pub coverage: Coverage,
}

/// What became of a test.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tested {
    /// What it is called.
    pub name: String,
    /// Where it is, as `file:line`.
    pub at: String,
    /// Whether all is as expected.
    pub passed: bool,
    /// The rule that held.
    pub rule: String,
    /// Its place in the policy file, as `file:line`.
    pub place: String,
    /// What is not as expected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mismatches: Vec<Mismatch>,
    /// Why it came out so, of a test that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<Explanation>>,
}

/// Which parts of a policy some test reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Coverage {
    /// The rules that held.
    pub rules: Reached,
    /// The exceptions that held.
    pub exceptions: Reached,
}

/// How many of the rules or exceptions held in some test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reached {
    /// How many there are.
    pub all: usize,
    /// How many held.
    pub reached: usize,
    /// Those that did not.
    pub missed: Vec<Missed>,
}

/// A rule or an exception that held in no test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Missed {
    /// Its id.
    pub id: String,
    /// Its place in the policy file, as `file:line`.
    pub place: String,
}

/// Runs tests. `files` is how many files they are of, `mistakes` what was wrong in them.
pub fn run(
    tests: &[Test],
    policy: &Policy,
    now: Timestamp,
    files: usize,
    mistakes: Vec<Diagnostic>,
) -> Outcome {
    let own = Own::default();
    let (mut rules, mut exceptions) = (BTreeSet::new(), BTreeSet::new());
    let tests: Vec<Tested> = tests
        .iter()
        .map(|test| {
            let case = Case {
                finding: &test.finding,
                target: &test.target,
                own: &own,
                observed: &test.facts.settings,
                enrichment: &test.facts.enrichment,
                stops: &[],
                now: test.now.unwrap_or(now),
            };
            let weighed = case.under(policy);
            rules.extend(weighed.selected.rule.map(|rule| &rule.id));
            exceptions.extend(weighed.exceptions.iter().map(|held| &held.exception.id));
            tested(test, &case, weighed, policy)
        })
        .collect();
    let passed = tests.iter().filter(|test| test.passed).count();
    let all_rules = policy.rules.iter().map(|rule| (&rule.id, rule.line));
    let all_exceptions = policy.exceptions.iter();
    let all_exceptions = all_exceptions.map(|exception| (&exception.id, exception.line));
    Outcome {
        policy: PolicyRef {
            name: policy.name.clone(),
            digest: policy.digest.clone(),
        },
        files,
        passed,
        failed: tests.len() - passed,
        tests,
        mistakes,
        coverage: Coverage {
            rules: reached(all_rules, &rules, policy),
            exceptions: reached(all_exceptions, &exceptions, policy),
        },
    }
}

fn tested(test: &Test, case: &Case, weighed: Weighed, policy: &Policy) -> Tested {
    let mut mismatches = test.expected.differences(&weighed, case.observed);
    for mismatch in &mut mismatches {
        mismatch.note = note(mismatch, policy, case.now);
    }
    let passed = mismatches.is_empty();
    let decision = &weighed.decision;
    let (rule, place) = (decision.rule.clone(), decision.place.clone());
    let known = test.facts != Facts::default();
    let explain = || Box::new(Explanation::of(case, weighed, policy, known, None));
    Tested {
        name: test.name.clone(),
        at: format!("{}:{}", test.file, test.line),
        passed,
        rule,
        place,
        mismatches,
        explanation: (!passed).then(explain),
    }
}

fn reached<'p>(
    parts: impl Iterator<Item = (&'p String, u32)>,
    held: &BTreeSet<&String>,
    policy: &Policy,
) -> Reached {
    let (reached, missed): (Vec<_>, Vec<_>) = parts.partition(|(id, _)| held.contains(id));
    Reached {
        all: reached.len() + missed.len(),
        reached: reached.len(),
        missed: missed
            .into_iter()
            .map(|(id, line)| Missed {
                id: id.to_owned(),
                place: policy.place(line),
            })
            .collect(),
    }
}

/// What the policy says of a rule or an exception that was expected and did not hold.
fn note(mismatch: &Mismatch, policy: &Policy, now: Timestamp) -> Option<String> {
    let missing = |id: &&String| !mismatch.found.contains(id);
    let id = mismatch.expected.iter().find(missing)?;
    match mismatch.aspect {
        Aspect::Rule => {
            let index = |id: &str| policy.rules.iter().position(|rule| rule.id == id);
            let Some(expected) = index(id) else {
                let ids = policy.rules.iter().map(|rule| rule.id.as_str());
                return Some(no_such("rule", id, ids));
            };
            let place = policy.place(policy.rules[expected].line);
            let held = mismatch.found.first().and_then(|found| index(found));
            Some(match held.is_some_and(|held| held < expected) {
                true => format!("\"{id}\" ({place}) comes after the rule that held"),
                false => format!("\"{id}\" ({place}) comes first, and does not match"),
            })
        }
        Aspect::Exceptions => {
            let Some(exception) = policy.exceptions.iter().find(|one| one.id == *id) else {
                let ids = policy.exceptions.iter().map(|one| one.id.as_str());
                return Some(no_such("exception", id, ids));
            };
            let place = policy.place(exception.line);
            Some(
                match exception.expires < TimeZone::UTC.to_datetime(now).date() {
                    true => format!(
                        "\"{id}\" ({place}) holds until {}, and the test's time is {now:.0}",
                        exception.expires
                    ),
                    false => format!("\"{id}\" ({place}) does not match"),
                },
            )
        }
        _ => None,
    }
}

fn no_such<'p>(what: &str, id: &str, ids: impl Iterator<Item = &'p str>) -> String {
    let help = nearest(id, ids).map(|meant| format!("; did you mean \"{meant}\"?"));
    format!(
        "the policy has no {what} \"{id}\"{}",
        help.unwrap_or_default()
    )
}
