//! What one policy file changes of another: key by key, exception by exception, rule by rule.
//!
//! Two parts are compared by what they mean, so that a comment or another layout is no difference; where they differ, their
//! lines are shown.

use std::collections::BTreeMap;

use serde::Serialize;
use similar::{Algorithm, ChangeTag, DiffOp, TextDiff, capture_diff_slices};

use super::{Exception, Policy, Rule};

/// A policy and the text that it was read from.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Its text.
    pub text: &'a str,
}

/// One part that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// Which part.
    pub part: Part,
    /// What becomes of it.
    pub change: Change,
    /// Its lines, those that stay among them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
}

/// A part of a policy file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// A key of the file itself, such as `mode`.
    Key(String),
    /// The exception of an id.
    Exception(String),
    /// The rule of an id.
    Rule(String),
}

/// What becomes of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It says something else.
    Changed,
    /// It stands elsewhere among the rules, of which the first that matches decides.
    Moved {
        /// The rule that follows it now; none where it is the last.
        before: Option<String>,
    },
}

/// One line of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Line {
    /// Where it is.
    pub side: Side,
    /// The line, without its end.
    pub text: String,
}

/// Where a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// In both files.
    Both,
    /// In the old one only.
    Old,
    /// In the new one only.
    New,
}

/// What `new` changes of `old`, in the order of the file: keys, exceptions, rules.
pub fn compare(old: Written, new: Written) -> Vec<Difference> {
    let (before, after) = (blocks(old), blocks(new));
    let (keys_before, keys_after) = (keys(old.policy), keys(new.policy));
    let (exceptions_before, exceptions_after) = (exceptions(old.policy), exceptions(new.policy));
    let (rules_before, rules_after) = (rules(old.policy), rules(new.policy));
    let mut differences = Vec::new();
    let mut note = |part: Part, is_before: bool, is_after: bool, same: bool| {
        let change = match (is_before, is_after) {
            (false, _) => Change::Added,
            (true, false) => Change::Removed,
            (true, true) if same => return,
            (true, true) => Change::Changed,
        };
        let block = |blocks: &BTreeMap<Part, String>| blocks.get(&part).cloned();
        let lines = lines(
            &block(&before).unwrap_or_default(),
            &block(&after).unwrap_or_default(),
        );
        differences.push(Difference {
            part,
            change,
            lines,
        });
    };
    for ((key, said_before), (_, said_after)) in keys_before.iter().zip(&keys_after) {
        note(
            Part::Key((*key).to_owned()),
            true,
            true,
            said_before == said_after,
        );
    }
    for id in union(&exceptions_before, &exceptions_after) {
        let (old, new) = (find(&exceptions_before, id), find(&exceptions_after, id));
        note(
            Part::Exception(id.to_owned()),
            old.is_some(),
            new.is_some(),
            old == new,
        );
    }
    for id in union(&rules_before, &rules_after) {
        let (old, new) = (find(&rules_before, id), find(&rules_after, id));
        note(
            Part::Rule(id.to_owned()),
            old.is_some(),
            new.is_some(),
            old == new,
        );
    }
    differences.extend(moved(old.policy, new.policy));
    differences
}

type Named<T> = Vec<(String, T)>;

/// The keys that are no lists of parts, each with what it says.
fn keys(policy: &Policy) -> [(&'static str, String); 4] {
    [
        ("mode", policy.mode.word().to_owned()),
        ("break-glass", format!("{:?}", policy.break_glass)),
        ("trusted", format!("{:?}", policy.trusted)),
        ("limits", format!("{:?}", policy.limits)),
    ]
}

/// The exceptions by id, without where they stand.
fn exceptions(policy: &Policy) -> Named<Exception> {
    let placeless = policy.exceptions.iter().cloned().map(|mut exception| {
        exception.line = 0;
        (exception.id.clone(), exception)
    });
    placeless.collect()
}

/// The rules by id, without where they stand.
fn rules(policy: &Policy) -> Named<Rule> {
    let placeless = policy.rules.iter().cloned().map(|mut rule| {
        rule.line = 0;
        rule.mode_line = None;
        for asked in &mut rule.measures {
            asked.line = 0;
        }
        (rule.id.clone(), rule)
    });
    placeless.collect()
}

fn find<'a, T>(named: &'a Named<T>, id: &str) -> Option<&'a T> {
    let found = named.iter().find(|(other, _)| other == id);
    found.map(|(_, value)| value)
}

/// The ids of both, those of the new file in its order, then those that are gone.
fn union<'a, T>(old: &'a Named<T>, new: &'a Named<T>) -> Vec<&'a str> {
    let gone = old.iter().filter(|(id, _)| find(new, id).is_none());
    new.iter().chain(gone).map(|(id, _)| id.as_str()).collect()
}

/// The fewest rules that can be said to have moved, of those that both files have.
fn moved(old: &Policy, new: &Policy) -> Vec<Difference> {
    let ids = |of: &Policy, other: &Policy| -> Vec<String> {
        let ids = of.rules.iter().map(|rule| rule.id.clone());
        ids.filter(|id| other.rules.iter().any(|rule| rule.id == *id))
            .collect()
    };
    let (before, after) = (ids(old, new), ids(new, old));
    let mut moved = Vec::new();
    for operation in capture_diff_slices(Algorithm::Myers, &before, &after) {
        let (DiffOp::Insert {
            new_index, new_len, ..
        }
        | DiffOp::Replace {
            new_index, new_len, ..
        }) = operation
        else {
            continue;
        };
        for id in after.iter().skip(new_index).take(new_len) {
            let at = new.rules.iter().position(|rule| rule.id == *id);
            let follows = at.and_then(|at| new.rules.get(at + 1));
            moved.push(Difference {
                part: Part::Rule(id.clone()),
                change: Change::Moved {
                    before: follows.map(|rule| rule.id.clone()),
                },
                lines: Vec::new(),
            });
        }
    }
    moved
}

/// The lines of each part. A part ends where the next one, or the next key of the file, begins.
fn blocks(written: Written) -> BTreeMap<Part, String> {
    let lines: Vec<&str> = written.text.lines().collect();
    let top = |line: &&str| {
        let (key, _) = line.split_once(':')?;
        let is_key = key.starts_with(|c: char| c.is_ascii_lowercase());
        is_key.then(|| key.trim_end().to_owned())
    };
    let keys = lines
        .iter()
        .enumerate()
        .filter_map(|(index, line)| Some((index, Part::Key(top(line)?))));
    let index = |line: u32| (line as usize).saturating_sub(1);
    let exceptions = written.policy.exceptions.iter();
    let exceptions = exceptions.map(|e| (index(e.line), Part::Exception(e.id.clone())));
    let rules = written.policy.rules.iter();
    let rules = rules.map(|r| (index(r.line), Part::Rule(r.id.clone())));
    let starts: Vec<(usize, Part)> = keys.chain(exceptions).chain(rules).collect();
    let blocks = starts.iter().map(|(start, part)| {
        let next = starts.iter().map(|(other, _)| *other);
        let end = next.filter(|other| other > start).min();
        let mut block: Vec<&str> = lines
            .get(*start..end.unwrap_or(lines.len()))
            .unwrap_or_default()
            .to_vec();
        // What stands above a part is about that part.
        while block.last().is_some_and(|line| {
            let line = line.trim_start();
            line.is_empty() || line.starts_with('#')
        }) {
            block.pop();
        }
        let text = block.iter().map(|line| format!("{line}\n")).collect();
        (part.clone(), text)
    });
    blocks.collect()
}

fn lines(old: &str, new: &str) -> Vec<Line> {
    let difference = TextDiff::from_lines(old, new);
    let lines = difference.iter_all_changes().map(|change| Line {
        side: match change.tag() {
            ChangeTag::Equal => Side::Both,
            ChangeTag::Delete => Side::Old,
            ChangeTag::Insert => Side::New,
        },
        text: change.value().trim_end_matches('\n').to_owned(),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::load;
    use jiff::civil::date;

    const OLD: &str = "\
version: 1
mode: observe
break-glass: [arn:aws:iam::*:role/SecurityBreakGlass]
rules:
  - id: first
    when: { finding: [\"Policy:S3/*\"] }
    measures: [block-public-access]

  # The thieves.
  - id: second
    when: { finding: [\"Exfiltration:S3/*\"] }
    measures: [deny-actor]
  - id: last
    measures: []
";

    #[track_caller]
    fn differences(new: &str) -> Vec<Difference> {
        let today = date(2026, 3, 1);
        let (Some(old), Some(new_policy)) = (
            load("old", OLD, today).policy,
            load("new", new, today).policy,
        ) else {
            panic!("both are valid")
        };
        compare(
            Written {
                policy: &old,
                text: OLD,
            },
            Written {
                policy: &new_policy,
                text: new,
            },
        )
    }

    fn summary(new: &str) -> Vec<(Part, Change)> {
        let differences = differences(new).into_iter();
        differences.map(|d| (d.part, d.change)).collect()
    }

    fn rule(id: &str) -> Part {
        Part::Rule(id.to_owned())
    }

    #[test]
    fn comments_and_layout_are_no_difference() {
        assert_eq!(summary(OLD), []);
        let new = OLD
            .replace("  # The thieves.\n", "\n\n# Others\n")
            .replace("[deny-actor]", "\n      - deny-actor # the actor");
        assert_eq!(summary(&new), []);
    }

    #[test]
    fn a_changed_rule_shows_the_lines_that_differ_and_no_others_comment() {
        let new = OLD.replace("[block-public-access]", "[remove-public-grants]");
        let [difference] = &differences(&new)[..] else {
            panic!("one rule changed")
        };
        assert_eq!(difference.part, rule("first"));
        assert_eq!(difference.change, Change::Changed);
        let sides: Vec<(Side, &str)> = difference
            .lines
            .iter()
            .map(|line| (line.side, line.text.trim()))
            .collect();
        assert_eq!(
            sides,
            [
                (Side::Both, "- id: first"),
                (Side::Both, "when: { finding: [\"Policy:S3/*\"] }"),
                (Side::Old, "measures: [block-public-access]"),
                (Side::New, "measures: [remove-public-grants]"),
            ]
        );
    }

    #[test]
    fn the_order_of_rules_is_a_difference() {
        let second = "  - id: second\n    when: { finding: [\"Exfiltration:S3/*\"] }\n    measures: [deny-actor]\n";
        let new = OLD
            .replace(second, "")
            .replace("rules:\n", &format!("rules:\n{second}"));
        let [(part, Change::Moved { before })] = &summary(&new)[..] else {
            panic!("one rule moved: {:?}", summary(&new))
        };
        // Either of the two can be said to have moved.
        match before.as_deref() {
            Some("first") => assert_eq!(*part, rule("second")),
            Some("last") => assert_eq!(*part, rule("first")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_exceptions_and_rules_come_and_go_by_name() {
        let exception = "exceptions:\n  - id: website\n    match: { bucket: [\"acme-www-*\"] }\n    withhold: all\n    reason: SEC-412\n    expires: 2027-03-31\n";
        let new = OLD
            .replace("mode: observe", "mode: enforce")
            .replace("rules:\n", &format!("{exception}rules:\n"))
            .replace("id: second", "id: thieves");
        assert_eq!(
            summary(&new),
            [
                (Part::Key("mode".to_owned()), Change::Changed),
                (Part::Exception("website".to_owned()), Change::Added),
                (rule("thieves"), Change::Added),
                (rule("second"), Change::Removed),
            ]
        );
    }
}
