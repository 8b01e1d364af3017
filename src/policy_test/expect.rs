//! What a test expects, what was found instead, and how the two differ.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::classification::{AccessPath, ActorKind, Authorization, Exposure, Sensitivity, words};
use crate::decision::Weighed;
use crate::guard::Guard;
use crate::policy::{FollowUp, Mode, measure_name};
use crate::settings::Settings;
use crate::verdict::{Effect, Verdict};
use crate::yaml::{
    Code, Fields, Node, Place, Placed, Report, Value, entries, fields, id, once, word, wrong_type,
};

words! {
    /// What a test can expect something of.
    Aspect {
        /// The rule that holds.
        Rule = "rule",
        /// The effective mode, with a deployment in enforce mode.
        Mode = "mode",
        /// What comes of it.
        Effect = "effect",
        /// The measures that the rule asks for, taken or withheld.
        Asked = "asked",
        /// The measures that are taken. Without facts: as far as can be told.
        Measures = "measures",
        /// The measures that are withheld, each with its guard.
        Withheld = "withheld",
        /// The exceptions that hold.
        Exceptions = "exceptions",
        /// The follow-ups that are run.
        FollowUp = "follow-up",
        /// Who acted.
        Actor = "actor",
        /// Whether the activity was authorized.
        Authorization = "authorization",
        /// By which way the actor got in.
        AccessPath = "access-path",
        /// How exposed the target is.
        Exposure = "exposure",
        /// How sensitive its data is.
        Sensitivity = "sensitivity",
    }
}

/// What a test expects: of each aspect that it names all that shall be found, in the order of the words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expected(pub BTreeMap<Aspect, Vec<String>>);

/// An aspect in which a test and what was found differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mismatch {
    /// Which.
    pub aspect: Aspect,
    /// What the test expects.
    pub expected: Vec<String>,
    /// What was found.
    pub found: Vec<String>,
    /// What explains it, where something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Expected {
    /// The aspects in which it differs from what was found. `observed` is what the decision rests on.
    pub(super) fn differences(&self, weighed: &Weighed, observed: &Settings) -> Vec<Mismatch> {
        let verdict = Verdict::of(&weighed.decision, observed);
        let of = |(aspect, expected): (&Aspect, &Vec<String>)| {
            let found = sorted(found(*aspect, weighed, &verdict));
            (found != *expected).then(|| Mismatch {
                aspect: *aspect,
                expected: expected.clone(),
                found,
                note: None,
            })
        };
        self.0.iter().filter_map(of).collect()
    }
}

/// What was found of an aspect.
fn found(aspect: Aspect, weighed: &Weighed, verdict: &Verdict) -> Vec<String> {
    let Weighed {
        classification,
        decision,
        exceptions,
        ..
    } = weighed;
    let one = |word: &str| vec![word.to_owned()];
    match aspect {
        Aspect::Rule => one(&verdict.rule),
        Aspect::Mode => one(verdict.mode.word()),
        Aspect::Effect => one(verdict.effect.word()),
        Aspect::Asked => {
            let taken = decision.taken.iter().map(|taken| &taken.measure);
            let withheld = decision.withheld.iter().map(|withheld| &withheld.measure);
            taken.chain(withheld).cloned().collect()
        }
        Aspect::Measures => verdict.taken.iter().chain(&verdict.open).cloned().collect(),
        Aspect::Withheld => verdict.withheld.clone(),
        Aspect::Exceptions => exceptions
            .iter()
            .map(|held| held.exception.id.clone())
            .collect(),
        Aspect::FollowUp => {
            let run = verdict.follow_up.iter();
            run.map(ToString::to_string).collect()
        }
        Aspect::Actor => {
            let actors = classification.actors.iter();
            actors.map(|actor| actor.kind.to_string()).collect()
        }
        Aspect::Authorization => one(classification.authorization.is.word()),
        Aspect::AccessPath => one(classification.access_path.is.word()),
        Aspect::Exposure => one(classification.exposure.is.word()),
        Aspect::Sensitivity => one(classification.sensitivity.is.word()),
    }
}

/// Reads what a test expects.
pub(super) fn expected(report: &mut Report<'_>, node: &Node, at: Place) -> Option<Expected> {
    let fields = fields(report, node, "\"expect\"", Aspect::WORDS)?;
    if matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
        report
            .add(
                Code::EmptyList,
                at,
                "\"expect\" names nothing, so that the test would always pass",
            )
            .help("name the rule at least: `expect: { rule: stolen-credentials }`");
        return None;
    }
    let aspects = Aspect::WORDS
        .iter()
        .filter_map(|word| Aspect::from_word(word));
    let read = aspects.filter_map(|aspect| Some((aspect, aspect_of(report, &fields, aspect)?)));
    Some(Expected(read.collect()))
}

/// Reads what is expected of an aspect; none where nothing is, or what is there is wrong.
fn aspect_of(report: &mut Report<'_>, fields: &Fields<'_>, aspect: Aspect) -> Option<Vec<String>> {
    let key = aspect.word();
    let node = fields.get(key)?;
    /// Reads a word of a type.
    macro_rules! word {
        ($words:ident) => {
            |report: &mut Report<'_>, node: &Node| {
                let read = word(report, node, key, $words::WORDS, $words::from_word);
                read.map(|word| word.to_string())
            }
        };
    }
    let id = |report: &mut Report<'_>, node: &Node| id(report, node);
    let items = match aspect {
        Aspect::Rule => vec![id(report, node)?],
        Aspect::Mode => vec![word!(Mode)(report, node)?],
        Aspect::Effect => vec![word!(Effect)(report, node)?],
        Aspect::Asked | Aspect::Measures => each(report, node, key, |report, node| {
            measure_name(report, node).map(str::to_owned)
        }),
        Aspect::Withheld => withheld(report, node)?,
        Aspect::Exceptions => each(report, node, key, id),
        Aspect::FollowUp => each(report, node, key, word!(FollowUp)),
        Aspect::Actor => each(report, node, key, word!(ActorKind)),
        Aspect::Authorization => vec![word!(Authorization)(report, node)?],
        Aspect::AccessPath => vec![word!(AccessPath)(report, node)?],
        Aspect::Exposure => vec![word!(Exposure)(report, node)?],
        Aspect::Sensitivity => vec![word!(Sensitivity)(report, node)?],
    };
    Some(sorted(items))
}

/// Reads the items of a list, none of which may be there twice.
fn each(
    report: &mut Report<'_>,
    node: &Node,
    key: &str,
    read: impl Fn(&mut Report<'_>, &Node) -> Option<String>,
) -> Vec<String> {
    let mut items: Vec<Placed<String>> = Vec::new();
    for node in list(node) {
        if let Some(value) = read(report, node) {
            let item = Placed { value, at: node.at };
            once(report, &item, &mut items, |value| {
                format!("\"{key}\" names \"{value}\" twice")
            });
        }
    }
    items.into_iter().map(|item| item.value).collect()
}

/// The items of a list, which may be empty, or one value in the place of a list.
fn list(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

/// Reads the measures that are withheld, as decisions are compared: `deny-actor: observe-mode`.
fn withheld(report: &mut Report<'_>, node: &Node) -> Option<Vec<String>> {
    if matches!(&node.value, Value::List(_)) {
        wrong_type(report, node, "a mapping of measures to guards")
            .help("write `withheld: { deny-actor: observe-mode }`, or `withheld: {}` for none");
        return None;
    }
    let mut read = Vec::new();
    for (name, at, guard) in entries(report, node, "\"withheld\"")? {
        let name = Node {
            value: Value::Text(name.to_owned()),
            at,
        };
        let measure = measure_name(report, &name);
        let guard = word(report, guard, "withheld", Guard::WORDS, Guard::from_word);
        if let (Some(measure), Some(guard)) = (measure, guard) {
            read.push(format!("{measure}: {guard}"));
        }
    }
    Some(read)
}

/// In order, and each once: a finding can have two actors of a kind.
fn sorted(mut items: Vec<String>) -> Vec<String> {
    items.sort();
    items.dedup();
    items
}
