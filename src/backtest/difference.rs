//! What two policies decide differently, and which lines make the difference.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::examples::Firsts;
use super::{Cause, ChangeGroup, Changes, Instance, PolicyPart, Side};
use crate::decision::{Decision, Weighed, Withheld};
use crate::guard::Guard;
use crate::policy::{Mode, Policy, Rule};
use crate::verdict::Verdict;

/// How many groups are told apart. Policies make a few dozen; what is beyond is counted.
const MOST_GROUPS: usize = 1_000;
/// Lines that are named for one group.
const MOST_CAUSES: usize = 8;

/// One of the policies, and what it decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ruling<'a> {
    pub(super) policy: &'a Policy,
    pub(super) weighed: &'a Weighed<'a>,
    pub(super) verdict: &'a Verdict,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Differences {
    same: u64,
    groups: HashMap<(Verdict, Verdict, Vec<Cause>), Group>,
    ungrouped: u64,
}

#[derive(Debug, Clone, Default)]
struct Group {
    count: u64,
    examples: Firsts<Instance>,
}

impl Differences {
    /// Counts one target. `instance` is asked for only where it is kept.
    pub(super) fn add(
        &mut self,
        old: Ruling,
        new: Ruling,
        ordinal: u64,
        instance: impl FnOnce() -> Instance,
    ) {
        if old.verdict.is_alike(new.verdict) {
            self.same += 1;
            return;
        }
        let key = (old.verdict.clone(), new.verdict.clone(), causes(&old, &new));
        let is_full = self.groups.len() >= MOST_GROUPS;
        if is_full && !self.groups.contains_key(&key) {
            self.ungrouped += 1;
            return;
        }
        let group = self.groups.entry(key).or_default();
        group.count += 1;
        group.examples.offer(ordinal, instance);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.same += other.same;
        self.ungrouped += other.ungrouped;
        for (key, theirs) in other.groups {
            let is_full = self.groups.len() >= MOST_GROUPS;
            if is_full && !self.groups.contains_key(&key) {
                self.ungrouped += theirs.count;
                continue;
            }
            let group = self.groups.entry(key).or_default();
            group.count += theirs.count;
            group.examples.merge(theirs.examples);
        }
    }

    pub(super) fn told(self) -> Changes {
        let groups = self.groups.into_iter();
        let mut groups: Vec<(Option<u64>, ChangeGroup)> = groups
            .map(|((old, new, because), group)| {
                let first = group.examples.first();
                let told = ChangeGroup {
                    count: group.count,
                    old,
                    new,
                    because,
                    examples: group.examples.told(),
                };
                (first, told)
            })
            .collect();
        groups.sort_by_key(|(first, group)| (Reverse(group.count), *first));
        let grouped: u64 = groups.iter().map(|(_, group)| group.count).sum();
        Changes {
            same: self.same,
            differ: grouped + self.ungrouped,
            groups: groups.into_iter().map(|(_, group)| group).collect(),
            ungrouped: self.ungrouped,
        }
    }
}

/// The lines that make two decisions about one target differ.
fn causes(old: &Ruling, new: &Ruling) -> Vec<Cause> {
    let mut causes = Vec::new();
    let rules = (old.rule(), new.rule());
    let is_same_rule = old.verdict.rule == new.verdict.rule;
    if !is_same_rule {
        causes.extend(new.cause_rule(Side::New));
        causes.extend(old.cause_rule(Side::Old));
    } else if let (Some(before), Some(after)) = rules {
        if old.verdict.mode != new.verdict.mode {
            causes.push(new.cause(Side::New, PolicyPart::Mode, mode_line(new.policy, after)));
            // A line of the rule's own that held it back, and is gone.
            if let (Some(Mode::Observe), Some(line), None) =
                (before.mode, before.mode_line, after.mode_line)
            {
                causes.push(old.cause(Side::Old, PolicyPart::Mode, line));
            }
        }
        causes.extend(asked_for_anew(before, after, new, Side::New));
        causes.extend(asked_for_anew(after, before, old, Side::Old));
        if before.follow_up != after.follow_up {
            causes.extend(new.cause_rule(Side::New));
        }
    }
    causes.extend(spared_anew(old, new, Side::New));
    causes.extend(spared_anew(new, old, Side::Old));
    if causes.is_empty() {
        // The same rule asks for the same: it is the facts that count differently, as with what is trusted.
        causes.extend(new.cause_rule(Side::New));
    }
    let mut unique = Vec::new();
    for cause in causes {
        if unique.len() < MOST_CAUSES && !unique.contains(&cause) {
            unique.push(cause);
        }
    }
    unique
}

impl<'a> Ruling<'a> {
    fn rule(&self) -> Option<&'a Rule> {
        self.weighed.selected.rule
    }

    fn decision(&self) -> &'a Decision {
        &self.weighed.decision
    }

    fn cause(&self, side: Side, part: PolicyPart, line: u32) -> Cause {
        Cause {
            side,
            part,
            place: self.policy.place(line),
        }
    }

    fn cause_rule(&self, side: Side) -> Option<Cause> {
        let rule = self.rule()?;
        Some(self.cause(side, PolicyPart::Rule(rule.id.clone()), rule.line))
    }

    /// What exceptions withhold.
    fn spared(&self) -> impl Iterator<Item = &'a Withheld> {
        let withheld = self.decision().withheld.iter();
        withheld.filter(|withheld| withheld.guard == Guard::Exception)
    }

    /// The id of the exception at a place.
    fn exception_at(&self, place: &str) -> Option<&'a str> {
        let held = self.weighed.exceptions.iter();
        held.map(|held| held.exception)
            .find(|exception| self.policy.place(exception.line) == place)
            .map(|exception| exception.id.as_str())
    }
}

/// The line that makes a rule's mode what it is.
fn mode_line(policy: &Policy, rule: &Rule) -> u32 {
    let held_back = policy.mode == Mode::Observe;
    match rule.mode_line {
        Some(line) if !held_back => line,
        _ => policy.mode_line,
    }
}

/// The measures that `after` asks for and `before` does not, or otherwise; `ruling` is of the policy that `after` is in.
fn asked_for_anew(before: &Rule, after: &Rule, ruling: &Ruling, side: Side) -> Vec<Cause> {
    let is_known = |measure: &crate::measures::Measure| {
        before
            .measures
            .iter()
            .any(|asked| asked.measure == *measure)
    };
    let anew = after
        .measures
        .iter()
        .filter(|asked| !is_known(&asked.measure));
    anew.map(|asked| {
        let part = PolicyPart::Measure(asked.measure.name().to_owned());
        ruling.cause(side, part, asked.line)
    })
    .collect()
}

/// The exceptions by which `after` withholds what `before` does not withhold by an exception.
fn spared_anew(before: &Ruling, after: &Ruling, side: Side) -> Vec<Cause> {
    let is_known = |one: &&Withheld| {
        before.spared().any(|other| {
            other.measure == one.measure
                && before.exception_at(&other.place) == after.exception_at(&one.place)
        })
    };
    let anew = after.spared().filter(|one| !is_known(one));
    anew.filter_map(|one| {
        Some(Cause {
            side,
            part: PolicyPart::Exception(after.exception_at(&one.place)?.to_owned()),
            place: one.place.clone(),
        })
    })
    .collect()
}
