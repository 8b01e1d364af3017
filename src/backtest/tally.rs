//! Counting: one target after the other, in bounded memory, on as many threads as there are.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::days::Calendar;
use super::difference::{Differences, Ruling};
use super::examples::Firsts;
use super::frequent::Counter;
use super::{
    Backtest, Broken, Count, Example, ExceptionHits, Facts, Instance, MeasureHits, Missed,
    PolicyPart, Read, RuleHits, WithheldHits,
};
use crate::classification::Own;
use crate::decision::{Decision, Weighed};
use crate::finding::{Finding, Target};
use crate::guard::Guard;
use crate::measures::Stop;
use crate::policy::{Exception, Policy};
use crate::record::{PolicyRef, Record};
use crate::report::{Explanation, Style, explanation};
use crate::verdict::{self, Case, Effect, Verdict, lasting_stops};

/// How many broken parts are named.
const NAMED: usize = 10;

/// What is tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Where the findings come from, for a person.
    pub source: String,
    /// The policy that is tried.
    pub policy: Arc<Policy>,
    /// The policy that it is compared with.
    pub against: Option<Arc<Policy>>,
    /// Who we are.
    pub own: Own,
    /// The time as of which is decided.
    pub now: Timestamp,
    /// Whether archived findings are taken as they were before a person archived them.
    pub as_new: bool,
}

/// Where in the source something stands.
#[derive(Debug, Clone, Copy)]
pub struct Spot<'a> {
    /// Its number: the order in which the source has it, whichever thread comes first.
    pub ordinal: u64,
    /// The file's or the record's name.
    pub name: &'a str,
    /// The line, from 1; none in what has no lines.
    pub line: Option<usize>,
}

/// What is known of a target.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What was observed.
    pub facts: verdict::Facts,
    /// What stops every measure under any policy.
    pub stops: Vec<Stop>,
    /// Whether it was observed just now, and not when the finding was new.
    pub live: bool,
}

/// What was counted so far.
#[derive(Debug)]
pub struct Tally {
    trial: Arc<Trial>,
    read: Read,
    facts: Facts,
    broken: Firsts<Broken>,
    unread: Firsts<Broken>,
    /// By the line of the rule.
    rules: HashMap<u32, Effects>,
    /// By the line of the exception: targets, and those for which it held unproven.
    exceptions: HashMap<u32, (u64, u64)>,
    missed: HashMap<(u32, &'static str), u64>,
    measures: Vec<MeasureHits>,
    withheld: HashMap<String, Vec<(WithheldHits, u64)>>,
    days: Calendar,
    contained: Counter,
    differences: Differences,
    examples: HashMap<(u32, Effect), Firsts<Example>>,
}

/// How often each effect occurred.
type Effects = [u64; Effect::WORDS.len()];

impl Tally {
    /// Nothing yet.
    pub fn new(trial: Arc<Trial>) -> Self {
        Self {
            trial,
            read: Read::default(),
            facts: Facts::default(),
            broken: Firsts::of(NAMED),
            unread: Firsts::of(NAMED),
            rules: HashMap::new(),
            exceptions: HashMap::new(),
            missed: HashMap::new(),
            measures: Vec::new(),
            withheld: HashMap::new(),
            days: Calendar::default(),
            contained: Counter::default(),
            differences: Differences::default(),
            examples: HashMap::new(),
        }
    }

    /// Findings that were decided about so far.
    pub fn findings(&self) -> u64 {
        self.read.findings
    }

    /// An event that is none of ours.
    pub fn ignore(&mut self) {
        self.read.ignored += 1;
    }

    /// A part of the source that is no event.
    pub fn broken(&mut self, spot: &Spot, why: impl FnOnce() -> String) {
        self.read.broken += 1;
        self.broken.offer(spot.ordinal, || Broken {
            place: spot.place(),
            why: why(),
        });
    }

    /// Facts that are there and could not be read.
    pub fn unread(&mut self, spot: &Spot, why: impl FnOnce() -> String) {
        self.facts.unread += 1;
        self.unread.offer(spot.ordinal, || Broken {
            place: spot.place(),
            why: why(),
        });
    }

    /// A finding. `known` is what is known of its targets, in their order; what is missing there is not known.
    pub fn finding(&mut self, spot: &Spot, mut finding: Finding, known: &[Option<Known>]) {
        if finding.targets.is_empty() {
            self.read.without_target += 1;
            return;
        }
        self.count_finding(&mut finding);
        for (index, target) in finding.targets.iter().enumerate() {
            let known = known.get(index).and_then(Option::as_ref);
            self.judge(spot, &finding, target, known);
        }
    }

    /// A record: its finding and the one target that it is about, with what was observed then. A rollback is none of ours,
    /// for no policy decides it.
    pub fn record(&mut self, spot: &Spot, record: Record) {
        if record.rollback.is_some() {
            self.read.ignored += 1;
            return;
        }
        let known = Known {
            stops: lasting_stops(&record),
            facts: verdict::Facts {
                settings: record.before,
                enrichment: record.enrichment,
            },
            live: false,
        };
        let mut finding = Arc::unwrap_or_clone(record.finding);
        self.count_finding(&mut finding);
        self.judge(spot, &finding, &record.target, Some(&known));
    }

    fn count_finding(&mut self, finding: &mut Finding) {
        self.read.findings += 1;
        self.read.samples += u64::from(finding.sample);
        self.read.archived += u64::from(finding.archived);
        if self.trial.as_new {
            finding.archived = false;
        }
    }

    fn judge(&mut self, spot: &Spot, finding: &Finding, target: &Target, known: Option<&Known>) {
        let trial = &self.trial.clone();
        let nothing = verdict::Facts::default();
        let facts = known.map_or(&nothing, |known| &known.facts);
        let case = Case {
            finding,
            target,
            own: &trial.own,
            observed: &facts.settings,
            enrichment: &facts.enrichment,
            stops: known.map_or(&[], |known| &known.stops),
            now: trial.now,
        };
        let weighed = case.under(&trial.policy);
        let effect = Effect::of(&weighed.decision, case.observed);
        self.read.targets += 1;
        match known {
            None => self.facts.unknown += 1,
            Some(known) if known.live => self.facts.live += 1,
            Some(_) => self.facts.recorded += 1,
        }
        let line = weighed.selected.rule.map_or(0, |rule| rule.line);
        self.rules.entry(line).or_default()[effect as usize] += 1;
        self.count_exceptions(&weighed);
        self.count_measures(&case, &weighed.decision, spot);
        let at = said_at(finding);
        self.days.add(at, &finding.kind, effect);
        if matches!(
            effect,
            Effect::Contained | Effect::Partly | Effect::Observed
        ) {
            let (account, name) = owner_and_name(target);
            self.contained.add(account, name);
        }
        let instance = || instance(spot, finding, target);
        if let Some(against) = &trial.against {
            let old = case.under(against);
            let verdicts = [
                Verdict::of(&old.decision, case.observed),
                Verdict::of(&weighed.decision, case.observed),
            ];
            let [old, new] = [
                (against, &old, &verdicts[0]),
                (&trial.policy, &weighed, &verdicts[1]),
            ]
            .map(|(policy, weighed, verdict)| Ruling {
                policy,
                weighed,
                verdict,
            });
            self.differences.add(old, new, spot.ordinal, instance);
        }
        let examples = self.examples.entry((line, effect)).or_default();
        examples.offer(spot.ordinal, || Example {
            rule: weighed.decision.rule.clone(),
            effect,
            instance: instance(),
            verdict: Verdict::of(&weighed.decision, case.observed),
            explanation: explained(&case, weighed, trial, known.is_some()),
        });
    }

    fn count_exceptions(&mut self, weighed: &Weighed) {
        for held in &weighed.exceptions {
            let place_of = |exception: &Exception| self.trial.policy.place(exception.line);
            let mut spared = weighed.decision.withheld.iter();
            if spared
                .any(|one| one.guard == Guard::Exception && one.place == place_of(held.exception))
            {
                let (count, unproven) = self.exceptions.entry(held.exception.line).or_default();
                *count += 1;
                *unproven += u64::from(held.unproven.is_some());
            }
            if let Some(fact) = held.unproven {
                *self.missed.entry((held.exception.line, fact)).or_default() += 1;
            }
        }
        for skipped in &weighed.selected.skipped {
            let key = (skipped.rule.line, skipped.unread);
            *self.missed.entry(key).or_default() += 1;
        }
    }

    fn count_measures(&mut self, case: &Case, decision: &Decision, spot: &Spot) {
        for taken in &decision.taken {
            hits(&mut self.measures, &taken.measure).taken += 1;
        }
        for withheld in &decision.withheld {
            let measure = hits(&mut self.measures, &withheld.measure);
            if verdict::is_open(withheld, case.observed) {
                measure.open += 1;
                continue;
            }
            measure.withheld += 1;
            let told = || WithheldHits {
                guard: withheld.guard,
                place: withheld.place.clone(),
                count: 1,
                example: withheld.why.clone(),
                measure: withheld.measure.clone(),
                finding: case.finding.id.clone(),
            };
            let Some(at_place) = self.withheld.get_mut(&withheld.place) else {
                let first = vec![(told(), spot.ordinal)];
                self.withheld.insert(withheld.place.clone(), first);
                continue;
            };
            let known = at_place
                .iter_mut()
                .find(|(known, _)| known.guard == withheld.guard);
            match known {
                None => at_place.push((told(), spot.ordinal)),
                Some((known, first)) if spot.ordinal < *first => {
                    *first = spot.ordinal;
                    *known = WithheldHits {
                        count: known.count + 1,
                        ..told()
                    };
                }
                Some((known, _)) => known.count += 1,
            }
        }
    }

    /// Takes over what another thread counted.
    pub fn merge(&mut self, other: Self) {
        let (ours, theirs) = (&mut self.read, other.read);
        ours.findings += theirs.findings;
        ours.targets += theirs.targets;
        ours.ignored += theirs.ignored;
        ours.without_target += theirs.without_target;
        ours.samples += theirs.samples;
        ours.archived += theirs.archived;
        ours.broken += theirs.broken;
        self.facts.recorded += other.facts.recorded;
        self.facts.live += other.facts.live;
        self.facts.unknown += other.facts.unknown;
        self.facts.unread += other.facts.unread;
        self.broken.merge(other.broken);
        self.unread.merge(other.unread);
        for (line, effects) in other.rules {
            let ours = self.rules.entry(line).or_default();
            for (our, their) in ours.iter_mut().zip(effects) {
                *our += their;
            }
        }
        for (line, (count, unproven)) in other.exceptions {
            let ours = self.exceptions.entry(line).or_default();
            ours.0 += count;
            ours.1 += unproven;
        }
        for (key, count) in other.missed {
            *self.missed.entry(key).or_default() += count;
        }
        for theirs in other.measures {
            let ours = hits(&mut self.measures, &theirs.measure);
            ours.taken += theirs.taken;
            ours.open += theirs.open;
            ours.withheld += theirs.withheld;
        }
        for (place, theirs) in other.withheld {
            let ours = self.withheld.entry(place).or_default();
            for (hits, first) in theirs {
                let known = ours.iter_mut().find(|(known, _)| known.guard == hits.guard);
                match known {
                    None => ours.push((hits, first)),
                    Some((known, earliest)) => {
                        let count = known.count + hits.count;
                        if first < *earliest {
                            (*known, *earliest) = (hits, first);
                        }
                        known.count = count;
                    }
                }
            }
        }
        self.days.merge(other.days);
        self.contained.merge(other.contained);
        self.differences.merge(other.differences);
        for (key, theirs) in other.examples {
            self.examples.entry(key).or_default().merge(theirs);
        }
    }

    /// The whole of it. `partial` says whether it was interrupted.
    pub fn finish(mut self, partial: bool) -> Backtest {
        let policy = &self.trial.policy;
        let mut effects = Effects::default();
        for counts in self.rules.values() {
            for (sum, count) in effects.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        let rules = policy.rules.iter().map(|rule| {
            let effects = self.rules.get(&rule.line).copied().unwrap_or_default();
            RuleHits {
                rule: rule.id.clone(),
                place: policy.place(rule.line),
                count: effects.iter().sum(),
                effects: counts(effects),
            }
        });
        let rules = rules.collect();
        let today = TimeZone::UTC.to_datetime(self.trial.now).date();
        let exceptions = policy.exceptions.iter().map(|exception| {
            let hits = self.exceptions.get(&exception.line).copied();
            let (count, unproven) = hits.unwrap_or_default();
            ExceptionHits {
                exception: exception.id.clone(),
                place: policy.place(exception.line),
                expires: exception.expires,
                expired: today > exception.expires,
                count,
                unproven,
            }
        });
        let exceptions = exceptions.collect();
        let mut measures = self.measures;
        measures.sort_by_key(|hits| {
            let asked = hits.taken + hits.open + hits.withheld;
            (Reverse(asked), hits.measure.clone())
        });
        let mut withheld: Vec<(WithheldHits, u64)> =
            self.withheld.into_values().flatten().collect();
        withheld.sort_by_key(|(hits, first)| (Reverse(hits.count), *first, hits.guard));
        let mut examples: Vec<((u32, Effect), Firsts<Example>)> =
            self.examples.into_iter().collect();
        examples.sort_by_key(|(key, _)| *key);
        self.facts.missed = missed(policy, self.missed);
        self.facts.first_unread = self.unread.told();
        self.read.first_broken = self.broken.told();
        Backtest {
            source: self.trial.source.clone(),
            policy: reference(policy),
            against: self.trial.against.as_deref().map(reference),
            as_of: self.trial.now,
            partial,
            read: self.read,
            facts: self.facts,
            effects: counts(effects),
            rules,
            exceptions,
            measures,
            withheld: withheld.into_iter().map(|(hits, _)| hits).collect(),
            days: self.days.told(),
            contained: self.contained.told(),
            changes: self
                .trial
                .against
                .is_some()
                .then(|| self.differences.told()),
            examples: examples
                .into_iter()
                .flat_map(|(_, firsts)| firsts.told())
                .collect(),
        }
    }
}

impl Spot<'_> {
    /// `file:line`, or the name alone.
    pub fn place(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.name),
            None => self.name.to_owned(),
        }
    }
}

fn hits<'m>(measures: &'m mut Vec<MeasureHits>, name: &str) -> &'m mut MeasureHits {
    let known = measures.iter().position(|known| known.measure == name);
    let at = known.unwrap_or_else(|| {
        measures.push(MeasureHits {
            measure: name.to_owned(),
            taken: 0,
            open: 0,
            withheld: 0,
        });
        measures.len() - 1
    });
    &mut measures[at]
}

fn counts(effects: Effects) -> Vec<Count<Effect>> {
    let words = Effect::WORDS.iter().copied().filter_map(Effect::from_word);
    let counts = words.zip(effects).filter(|(_, count)| *count > 0);
    counts.map(|(is, count)| Count { is, count }).collect()
}

fn missed(policy: &Policy, missed: HashMap<(u32, &'static str), u64>) -> Vec<Missed> {
    let part = |line: u32| {
        let rule = policy.rules.iter().find(|rule| rule.line == line);
        let rule = rule.map(|rule| PolicyPart::Rule(rule.id.clone()));
        rule.or_else(|| {
            let exceptions = &policy.exceptions;
            let exception = exceptions.iter().find(|exception| exception.line == line)?;
            Some(PolicyPart::Exception(exception.id.clone()))
        })
    };
    let mut missed: Vec<(u32, Missed)> = missed
        .into_iter()
        .filter_map(|((line, fact), count)| {
            let missed = Missed {
                part: part(line)?,
                place: policy.place(line),
                fact: fact.to_owned(),
                count,
            };
            Some((line, missed))
        })
        .collect();
    missed.sort_by(|(a, this), (b, that)| {
        (Reverse(this.count), a, &this.fact).cmp(&(Reverse(that.count), b, &that.fact))
    });
    missed.into_iter().map(|(_, missed)| missed).collect()
}

fn explained(case: &Case, weighed: Weighed, trial: &Trial, known: bool) -> Vec<String> {
    let told = Explanation::of(case, weighed, &trial.policy, known, None);
    let text = explanation(&told, false, Style::default());
    text.lines().map(str::to_owned).collect()
}

fn reference(policy: &Policy) -> PolicyRef {
    PolicyRef {
        name: policy.name.clone(),
        digest: policy.digest.clone(),
    }
}

fn instance(spot: &Spot, finding: &Finding, target: &Target) -> Instance {
    let (_, name) = owner_and_name(target);
    Instance {
        place: spot.place(),
        finding: finding.id.clone(),
        kind: finding.kind.clone(),
        target: match target {
            Target::Bucket(_) => name.to_owned(),
            Target::Account(_) => format!("account {name}"),
        },
        at: said_at(finding),
    }
}

fn owner_and_name(target: &Target) -> (&str, &str) {
    match target {
        Target::Bucket(bucket) => (&bucket.account, &bucket.name),
        Target::Account(account) => (account, account),
    }
}

/// When GuardDuty said it.
fn said_at(finding: &Finding) -> Option<Timestamp> {
    finding
        .updated_at
        .or(finding.last_seen)
        .or(finding.created_at)
}
