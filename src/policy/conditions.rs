//! Conditions: what a rule or an exception asks of a finding and its bucket, answered yes, no, or unread.
//!
//! The third answer is the point. A tag that could not be read is not a tag that is not there: whoever asks must be told,
//! so that a rule holds back and an exception protects.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use wildmatch::WildMatch;

use crate::classification::{
    AccessPath, ActorKind, ApiOutcome, Authorization, BucketUse, Credentials, Exposure, Network,
    Sensitivity, Uses, words,
};
use crate::yaml::OneOrMany;

/// What must hold. All keys that are given are required; the values of a list are alternatives.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Conditions {
    /// Types of finding. `*` and `?` are wildcards.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub finding: Vec<Glob>,
    /// The least severity: 1.0 is low, 4.0 medium, 7.0 high, 9.0 critical.
    #[schemars(range(min = 0, max = 10))]
    pub min_severity: Option<f64>,
    /// The greatest severity.
    #[schemars(range(min = 0, max = 10))]
    pub max_severity: Option<f64>,
    /// Who acted.
    #[schemars(with = "Option<OneOrMany<ActorKind>>")]
    pub actor: Vec<ActorKind>,
    /// Whether the activity was authorized, by the policy's `trusted` and by what the finding itself says.
    #[schemars(with = "Option<OneOrMany<Authorization>>")]
    pub authorization: Vec<Authorization>,
    /// By which way the actor got in.
    #[schemars(with = "Option<OneOrMany<AccessPath>>")]
    pub access_path: Vec<AccessPath>,
    /// The APIs called, such as `GetObject`. `*` and `?` are wildcards.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub api: Vec<Glob>,
    /// Whether the call went through.
    #[schemars(with = "Option<OneOrMany<ApiOutcome>>")]
    pub api_outcome: Vec<ApiOutcome>,
    /// What is known of the remote address.
    #[schemars(with = "Option<OneOrMany<Network>>")]
    pub network: Vec<Network>,
    /// The kind of credentials used.
    #[schemars(with = "Option<OneOrMany<Credentials>>")]
    pub credentials: Vec<Credentials>,
    /// Names of buckets. `*` and `?` are wildcards. A finding about the account matches none.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub bucket: Vec<Glob>,
    /// What the bucket is for.
    #[schemars(with = "Option<OneOrMany<BucketUse>>")]
    pub bucket_use: Vec<BucketUse>,
    /// Ids of the accounts that own the bucket, of twelve digits, in quotes.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub account: Vec<String>,
    /// Regions of the bucket. `*` and `?` are wildcards.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub region: Vec<Glob>,
    /// Tags of the bucket, all required. `*` and `?` are wildcards in values.
    #[schemars(with = "Option<BTreeMap<String, OneOrMany<String>>>", extend("minProperties" = 1))]
    pub tag: BTreeMap<String, Vec<Glob>>,
    /// How exposed the bucket is now.
    #[schemars(with = "Option<OneOrMany<Exposure>>")]
    pub exposure: Vec<Exposure>,
    /// How sensitive the data is.
    #[schemars(with = "Option<OneOrMany<Sensitivity>>")]
    pub sensitivity: Vec<Sensitivity>,
    /// The least number of times that GuardDuty has seen the activity.
    #[schemars(range(min = 1))]
    pub min_count: Option<u64>,
}

/// What conditions are asked of: one finding and one of its targets.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The type of the finding.
    pub finding: &'a str,
    /// Its severity.
    pub severity: f64,
    /// How many times the activity was seen.
    pub count: u64,
    /// Who acted.
    pub actors: &'a [ActorKind],
    /// Whether they were authorized.
    pub authorization: Authorization,
    /// By which way they got in.
    pub access_path: AccessPath,
    /// The APIs called.
    pub apis: Vec<&'a str>,
    /// Whether the call went through, where the finding says so.
    pub api_outcome: Option<ApiOutcome>,
    /// What is known of the remote addresses.
    pub networks: &'a [Network],
    /// The kinds of credentials used.
    pub credentials: &'a [Credentials],
    /// The bucket's name; none where the target is the account.
    pub bucket: Option<&'a str>,
    /// What the bucket is for; none where nothing was read that tells.
    pub bucket_use: Option<&'a Uses>,
    /// The account of the target.
    pub account: &'a str,
    /// The Region of the target.
    pub region: &'a str,
    /// The bucket's tags; none where they were not read or could not be.
    pub tags: Option<&'a BTreeMap<String, String>>,
    /// How exposed the bucket is; none where it was not read.
    pub exposure: Option<Exposure>,
    /// How sensitive the data is; none where it was not read.
    pub sensitivity: Option<Sensitivity>,
}

words! {
    /// A fact that is not in the finding and must be read from AWS.
    Fact {
        /// The bucket's tags.
        Tags = "tags",
        /// How exposed it is.
        Exposure = "exposure",
        /// What it is for.
        BucketUse = "bucket-use",
        /// How sensitive its data is.
        Sensitivity = "sensitivity",
    }
}

impl Fact {
    /// The key of the policy file that asks for the fact.
    pub fn key(self) -> &'static str {
        match self {
            Fact::Tags => "tag",
            Fact::Exposure => "exposure",
            Fact::BucketUse => "bucket-use",
            Fact::Sensitivity => "sensitivity",
        }
    }
}

/// The answer to conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Every key holds.
    Yes,
    /// A key does not hold, whatever the unread facts may be.
    No,
    /// It depends on a fact that was not read: the key that asks for it.
    Unread(&'static str),
}

impl Match {
    fn known(holds: bool) -> Match {
        if holds { Match::Yes } else { Match::No }
    }
}

/// A pattern in which `*` stands for any text and `?` for one character. Case matters.
#[derive(Debug, Clone, PartialEq)]
pub struct Glob {
    text: String,
    pattern: WildMatch,
    /// Where its first wildcard is, in bytes.
    fixed: usize,
}

impl Glob {
    /// Makes a pattern; every text is one.
    pub fn new(text: &str) -> Glob {
        Glob {
            text: text.to_owned(),
            pattern: WildMatch::new(text),
            fixed: text.find(['*', '?']).unwrap_or(text.len()),
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of a text matches.
    pub fn matches(&self, text: &str) -> bool {
        // Most patterns have no wildcard, or one at their end.
        let (fixed, rest) = self.text.split_at(self.fixed);
        text.strip_prefix(fixed).is_some_and(|end| match rest {
            "" => end.is_empty(),
            "*" => true,
            _ => self.pattern.matches(text),
        })
    }

    /// Whether everything that `other` matches is surely matched by this one too.
    fn covers(&self, other: &Glob) -> bool {
        // Read as plain text, the other's wildcards can only have been taken up by ours. That proves the point unless
        // our `?`, which stands for one character, took up their `*`, which stands for many.
        let provable = !(self.text.contains('?') && other.text.contains('*'));
        self.text == other.text || (provable && self.matches(&other.text))
    }
}

impl Conditions {
    /// Whether nothing is asked, so that everything matches.
    pub fn is_empty(&self) -> bool {
        *self == Conditions::default()
    }

    /// Asks a subject. A key that says no decides, even beside a fact that was not read.
    pub fn check(&self, s: &Subject<'_>) -> Match {
        if !self.finding_agrees(s) {
            return Match::No;
        }
        let answers = self.facts().map(|fact| self.check_fact(fact, s));
        if answers.contains(&Match::No) {
            return Match::No;
        }
        answers
            .into_iter()
            .find(|answer| *answer != Match::Yes)
            .unwrap_or(Match::Yes)
    }

    /// The facts on which the answer still depends.
    pub fn unread(&self, s: &Subject<'_>) -> Vec<Fact> {
        if self.check(s) == Match::No {
            return Vec::new();
        }
        self.facts()
            .into_iter()
            .filter(|fact| matches!(self.check_fact(*fact, s), Match::Unread(_)))
            .collect()
    }

    /// Whether every subject that `other` matches is surely matched by these too.
    pub(super) fn covers(&self, other: &Conditions) -> bool {
        covers_globs(&self.finding, &other.finding)
            && self
                .min_severity
                .is_none_or(|ours| other.min_severity.is_some_and(|theirs| ours <= theirs))
            && self
                .max_severity
                .is_none_or(|ours| other.max_severity.is_some_and(|theirs| ours >= theirs))
            && covers_words(&self.actor, &other.actor)
            && covers_words(&self.authorization, &other.authorization)
            && covers_words(&self.access_path, &other.access_path)
            && covers_globs(&self.api, &other.api)
            && covers_words(&self.api_outcome, &other.api_outcome)
            && covers_words(&self.network, &other.network)
            && covers_words(&self.credentials, &other.credentials)
            && covers_globs(&self.bucket, &other.bucket)
            && covers_words(&self.bucket_use, &other.bucket_use)
            && covers_words(&self.account, &other.account)
            && covers_globs(&self.region, &other.region)
            && self.tag.iter().all(|(key, ours)| {
                other
                    .tag
                    .get(key)
                    .is_some_and(|theirs| covers_globs(ours, theirs))
            })
            && covers_words(&self.exposure, &other.exposure)
            && covers_words(&self.sensitivity, &other.sensitivity)
            && self
                .min_count
                .is_none_or(|ours| other.min_count.is_some_and(|theirs| ours <= theirs))
    }

    /// The keys that the finding alone answers.
    fn finding_agrees(&self, s: &Subject<'_>) -> bool {
        any_glob(&self.finding, &[s.finding])
            && self.min_severity.is_none_or(|least| s.severity >= least)
            && self.max_severity.is_none_or(|most| s.severity <= most)
            && any_word(&self.actor, s.actors)
            && any_word(&self.authorization, &[s.authorization])
            && any_word(&self.access_path, &[s.access_path])
            && any_glob(&self.api, &s.apis)
            && any_word(&self.api_outcome, s.api_outcome.as_slice())
            && any_word(&self.network, s.networks)
            && any_word(&self.credentials, s.credentials)
            && any_glob(&self.bucket, s.bucket.as_slice())
            && (self.account.is_empty() || self.account.iter().any(|account| account == s.account))
            && any_glob(&self.region, &[s.region])
            && self.min_count.is_none_or(|least| s.count >= least)
    }

    /// Every fact, in the order in which an unread one is named.
    fn facts(&self) -> [Fact; 4] {
        [
            Fact::Tags,
            Fact::Exposure,
            Fact::BucketUse,
            Fact::Sensitivity,
        ]
    }

    fn check_fact(&self, fact: Fact, s: &Subject<'_>) -> Match {
        let unread = match s.bucket {
            Some(_) => Match::Unread(fact.key()),
            // These are facts of a bucket: an account has none, and nothing was left unread.
            None => Match::No,
        };
        match fact {
            Fact::Tags if self.tag.is_empty() => Match::Yes,
            Fact::Tags => s.tags.map_or(unread, |tags| {
                Match::known(self.tag.iter().all(|(key, globs)| {
                    tags.get(key).is_some_and(|value| any_glob(globs, &[value]))
                }))
            }),
            Fact::Exposure if self.exposure.is_empty() => Match::Yes,
            Fact::Exposure => s.exposure.map_or(unread, |found| match found {
                found if self.exposure.contains(&found) => Match::Yes,
                Exposure::Unknown => unread,
                _ => Match::No,
            }),
            Fact::BucketUse if self.bucket_use.is_empty() => Match::Yes,
            Fact::BucketUse => s.bucket_use.map_or(unread, |found| {
                match any_word(&self.bucket_use, &found.words()) {
                    true => Match::Yes,
                    false if found.unread.is_empty() => Match::No,
                    // Another use may be in what was not read.
                    false => unread,
                }
            }),
            Fact::Sensitivity if self.sensitivity.is_empty() => Match::Yes,
            Fact::Sensitivity => s.sensitivity.map_or(unread, |found| match found {
                found if self.sensitivity.contains(&found) => Match::Yes,
                Sensitivity::Unknown => unread,
                _ => Match::No,
            }),
        }
    }
}

/// Whether a key holds: it is not given, or one of its globs matches one of the values.
fn any_glob(globs: &[Glob], values: &[&str]) -> bool {
    globs.is_empty()
        || values
            .iter()
            .any(|value| globs.iter().any(|glob| glob.matches(value)))
}

/// Whether a key holds: it is not given, or one of its words is among the values.
fn any_word<W: PartialEq>(words: &[W], values: &[W]) -> bool {
    words.is_empty() || values.iter().any(|value| words.contains(value))
}

fn covers_globs(ours: &[Glob], theirs: &[Glob]) -> bool {
    ours.is_empty()
        || (!theirs.is_empty()
            && theirs
                .iter()
                .all(|their| ours.iter().any(|our| our.covers(their))))
}

fn covers_words<W: PartialEq>(ours: &[W], theirs: &[W]) -> bool {
    ours.is_empty() || (!theirs.is_empty() && theirs.iter().all(|their| ours.contains(their)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text of four of these, of which one is nothing.
    fn texts(letters: &[&str]) -> Vec<String> {
        (0..4).fold(vec![String::new()], |texts, _| {
            let longer = |text| letters.iter().map(move |letter| format!("{text}{letter}"));
            texts.iter().flat_map(longer).collect()
        })
    }

    #[test]
    fn the_short_way_of_a_glob_ends_where_the_long_one_does() {
        for pattern in texts(&["", "a", "\u{fc}", "*", "?"]) {
            let glob = Glob::new(&pattern);
            for text in texts(&["", "a", "\u{fc}", "*"]) {
                let long = glob.pattern.matches(&text);
                assert_eq!(glob.matches(&text), long, "{pattern} {text}");
            }
        }
    }
}
