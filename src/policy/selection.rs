//! Which rule decides, which exceptions hold, and which facts must be read before either can be told.

use jiff::{Timestamp, tz::TimeZone};

use super::{Exception, Fact, Match, Policy, Rule, Subject};

/// The rule that decides, and those that might have.
#[derive(Debug, Clone, PartialEq)]
pub struct Selected<'p> {
    /// The first rule that matches. A policy that was loaded always has one, because its last rule matches everything.
    pub rule: Option<&'p Rule>,
    /// Earlier rules that were passed over because a fact which they ask for was not read.
    pub skipped: Vec<Skipped<'p>>,
}

/// A rule that was passed over.
#[derive(Debug, Clone, PartialEq)]
pub struct Skipped<'p> {
    /// The rule.
    pub rule: &'p Rule,
    /// The key that asks for the unread fact.
    pub unread: &'static str,
}

/// An exception that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Held<'p> {
    /// The exception.
    pub exception: &'p Exception,
    /// The key of the fact that was not read, where the exception holds only because it might apply.
    pub unproven: Option<&'static str>,
}

impl Policy {
    /// The rule that decides about a subject.
    pub fn first_match<'p>(&'p self, s: &Subject<'_>) -> Selected<'p> {
        let mut skipped = Vec::new();
        for rule in &self.rules {
            match rule.check(s) {
                Match::Yes => {
                    return Selected {
                        rule: Some(rule),
                        skipped,
                    };
                }
                Match::No => {}
                Match::Unread(unread) => skipped.push(Skipped { rule, unread }),
            }
        }
        Selected {
            rule: None,
            skipped,
        }
    }

    /// The exceptions that hold for a subject. One that asks for an unread fact protects, and says that it is unproven.
    pub fn holding_exceptions(&self, s: &Subject<'_>, now: Timestamp) -> Vec<Held<'_>> {
        self.live_exceptions(now)
            .filter_map(|exception| match exception.matches.check(s) {
                Match::Yes => Some(Held {
                    exception,
                    unproven: None,
                }),
                Match::Unread(key) => Some(Held {
                    exception,
                    unproven: Some(key),
                }),
                Match::No => None,
            })
            .collect()
    }

    /// The rules that may turn out to decide: those that match or might, up to the first that surely does.
    pub fn possible_rules(&self, s: &Subject<'_>) -> Vec<&Rule> {
        let mut possible = Vec::new();
        for rule in &self.rules {
            let answer = rule.check(s);
            if answer != Match::No {
                possible.push(rule);
            }
            if answer == Match::Yes {
                break;
            }
        }
        possible
    }

    /// The facts to read before this policy can decide about a subject whose observed facts are still unread.
    pub fn facts_wanted(&self, s: &Subject<'_>, now: Timestamp) -> Vec<Fact> {
        let rules = self
            .possible_rules(s)
            .into_iter()
            .flat_map(|rule| rule.unread(s));
        let exceptions = self
            .live_exceptions(now)
            .flat_map(|exception| exception.matches.unread(s));
        let mut wanted: Vec<Fact> = rules.chain(exceptions).collect();
        wanted.sort();
        wanted.dedup();
        wanted
    }

    fn live_exceptions(&self, now: Timestamp) -> impl Iterator<Item = &Exception> {
        let today = TimeZone::UTC.to_datetime(now).date();
        self.exceptions
            .iter()
            .filter(move |exception| today <= exception.expires)
    }
}

impl Rule {
    /// Whether the rule matches: `when` does and `unless` does not.
    pub fn check(&self, s: &Subject<'_>) -> Match {
        let unless = self
            .unless
            .as_ref()
            .map_or(Match::No, |unless| unless.check(s));
        match (self.when.check(s), unless) {
            (Match::No, _) | (_, Match::Yes) => Match::No,
            (Match::Unread(key), _) | (Match::Yes, Match::Unread(key)) => Match::Unread(key),
            (Match::Yes, Match::No) => Match::Yes,
        }
    }

    fn unread(&self, s: &Subject<'_>) -> Vec<Fact> {
        let unless = self.unless.iter().flat_map(|unless| unless.unread(s));
        self.when.unread(s).into_iter().chain(unless).collect()
    }
}
