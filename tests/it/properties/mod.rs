//! The invariants of the core, over bucket policies, settings, findings and rules that nobody wrote by hand.

mod access;
mod callers;
mod cases;
mod policies;
mod s3;
mod settings;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use portcullis::guard::Guard;
use portcullis::measures::Measure;
use portcullis::plan::Change;
use portcullis::policy::Mode;
use portcullis::rollback::inverse;
use portcullis::settings::{Document, PolicyDocument, Setting, SettingKind};
use portcullis::statements::Deny;
use serde_json::json;

use self::cases::check;

const BUCKET: &str = "arn:aws:s3:::amzn-s3-demo-bucket";
const ACCOUNT: &str = "111122223333";
const PARTNER: &str = "444455556666";
const ORPHAN: &str = "AROADELETEDEXAMPLE123";
const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const CUSTOMERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

#[test]
fn foreign_statements_survive_byte_for_byte() {
    let kept = Cell::new(0_u32);
    check(800, |case| {
        let observed = case.s3().observe(false);
        let decision = case.decide(&observed);
        let change = decision
            .plan
            .changes
            .iter()
            .find(|c| c.setting == SettingKind::BucketPolicy);
        let Some((before, after)) = change.map(|c| (document(&c.before), document(&c.after)))
        else {
            return;
        };
        let removes = change
            .unwrap()
            .measures
            .iter()
            .any(|m| m == "remove-public-grants");
        let foreign = before
            .iter()
            .flat_map(|policy| policy.statements())
            .filter(|statement| {
                Deny::parse(statement, BUCKET).is_none() && !(removes && statement.is_public())
            });
        let mut rest = after.map(PolicyDocument::text).unwrap_or_default();
        for statement in foreign {
            let at = rest.find(statement.text());
            let at = at.unwrap_or_else(|| panic!("{} is lost or moved", statement.text()));
            rest = &rest[at + statement.text().len()..];
            kept.set(kept.get() + 1);
        }
        // Nothing foreign comes in either.
        let known: Vec<&str> = before
            .iter()
            .flat_map(|policy| policy.statements())
            .map(|s| s.text())
            .collect();
        for statement in after.iter().flat_map(|policy| policy.statements()) {
            let ours = Deny::parse(statement, BUCKET).is_some();
            assert!(
                ours || known.contains(&statement.text()),
                "{}",
                statement.text()
            );
        }
    });
    assert!(kept.get() > 300, "only {} statements", kept.get());
}

/// Nothing is refused by S3, and a second delivery finds nothing to do, however S3 rewrites what it stores.
#[test]
fn the_second_plan_is_empty() {
    let (changes, by) = (Cell::new(0_usize), Exercised::default());
    check(1500, |case| {
        let mut s3 = case.s3();
        let first = case.decide(&s3.observe(false));
        // S3 may make a policy shorter, so that what had no room in it has room the next time.
        let no_room = first
            .withheld
            .iter()
            .any(|w| w.guard == Guard::PolicyTooLarge);
        if !s3.apply(&first.plan) || first.taken.is_empty() || no_room {
            return;
        }
        changes.set(changes.get() + first.plan.changes.len());
        by.add(&first.plan.changes);
        for rewritten in [false, true] {
            let observed = s3.observe(rewritten);
            let again = case.decide(&observed);
            // What cannot be read cannot be seen to be done: flags are then turned on again.
            let seen = |change: &&Change| {
                !matches!(
                    observed.get(change.setting),
                    Some(Setting::Unreadable { .. })
                )
            };
            let planned: Vec<&Change> = again.plan.changes.iter().filter(seen).collect();
            assert!(
                planned.is_empty(),
                "{}\nafter {}",
                json!(planned),
                json!(first.plan)
            );
        }
    });
    assert!(changes.get() > 300, "only {} changes", changes.get());
    by.covers_every_measure();
}

#[test]
fn the_inverse_restores_every_setting() {
    let (restored, by) = (Cell::new(0_usize), Exercised::default());
    let hidden_lost = Cell::new(0_u32);
    check(1500, |case| {
        for rewritten in [false, true] {
            let mut s3 = case.s3();
            let before = s3.clone();
            let observed = s3.observe(false);
            let decision = case.decide(&observed);
            let plan = &decision.plan;
            if !s3.apply(plan) {
                continue;
            }
            let undo = inverse(&[plan], &s3.observe(rewritten), BUCKET, &[]);
            let unknown = |change: &&Change| matches!(change.before, Setting::Unreadable { .. });
            let (left, back): (Vec<&Change>, Vec<&Change>) = plan.changes.iter().partition(unknown);
            assert_eq!(undo.drift.len(), left.len(), "{}", json!(undo.drift));
            assert_eq!(undo.plan.changes.len(), back.len(), "{}", json!(undo.plan));
            for change in &undo.plan.changes {
                // Byte for byte what was read.
                let was = observed.get(change.setting);
                assert_eq!(text(Some(&change.after)), text(was), "{}", change.setting);
                restored.set(restored.get() + 1);
            }
            by.add(&undo.plan.changes);
            // A state that S3 would not take today cannot be put back; it is told to whoever asked.
            if left.is_empty() && before.accepts_itself() {
                assert!(s3.apply(&undo.plan));
                let mut expected = before.settings.clone();
                // What S3 hid is lost with the list in which it was, and that has been said.
                let rewrote_acl = back.iter().any(|change| change.setting == SettingKind::Acl);
                if before.hides_grants() && rewrote_acl {
                    hidden_lost.set(hidden_lost.get() + 1);
                    let mut notes = decision.taken.iter().flat_map(|taken| &taken.notes);
                    let said = notes.any(|note| note.contains("no rollback brings them back"));
                    assert!(said || decision.taken.is_empty());
                    let seen = observed.0[&SettingKind::Acl].clone();
                    expected.0.insert(SettingKind::Acl, seen);
                }
                assert_eq!(s3.settings, expected);
            }
        }
    });
    assert!(hidden_lost.get() > 3, "only {}", hidden_lost.get());
    by.covers_every_measure();
    assert!(restored.get() > 600, "only {} settings", restored.get());
}

#[test]
fn plans_are_ordered_and_every_measure_is_answered() {
    check(800, |case| {
        let observed = case.s3().observe(false);
        let decision = case.decide(&observed);
        let order: Vec<SettingKind> = decision.plan.changes.iter().map(|c| c.setting).collect();
        let once: BTreeSet<SettingKind> = order.iter().copied().collect();
        // As a set is sorted, this is one change a setting, and the order in which S3 takes them.
        assert_eq!(order, once.into_iter().collect::<Vec<_>>());

        let rule = &case.policy.rules[0];
        let mut asked: Vec<&str> = rule
            .measures
            .iter()
            .map(|asked| asked.measure.name())
            .collect();
        let taken = decision.taken.iter().map(|taken| taken.measure.as_str());
        let withheld = decision
            .withheld
            .iter()
            .map(|withheld| withheld.measure.as_str());
        let mut answered: Vec<&str> = taken.chain(withheld).collect();
        asked.sort_unstable();
        answered.sort_unstable();
        assert_eq!(asked, answered);

        for change in &decision.plan.changes {
            assert_eq!(
                text(Some(&change.before)),
                text(observed.get(change.setting))
            );
            assert_ne!(change.before, change.after);
            assert!(!change.measures.is_empty());
            let unreadable = matches!(change.before, Setting::Unreadable { .. });
            let flags = matches!(
                &change.after,
                Setting::Present(Document::PublicAccessBlock(_))
            );
            assert!(
                flags || !unreadable,
                "{} was overwritten unseen",
                change.setting
            );
        }
        if case.finding.sample || case.finding.archived || case.policy.mode == Mode::Observe {
            assert!(decision.taken.is_empty());
            assert!(!decision.acts());
        }
        for withheld in &decision.withheld {
            assert!(!withheld.why.is_empty());
            assert!(withheld.place.starts_with("policy.yaml:"));
            assert_ne!(withheld.guard, Guard::SelfLockout, "{}", withheld.why);
        }
    });
}

/// How often each measure has changed something: a property proves nothing of a measure that did nothing.
#[derive(Default)]
struct Exercised(RefCell<BTreeMap<String, u32>>);

impl Exercised {
    fn add(&self, changes: &[Change]) {
        for measure in changes.iter().flat_map(|change| &change.measures) {
            *self.0.borrow_mut().entry(measure.clone()).or_default() += 1;
        }
    }

    fn covers_every_measure(&self) {
        let counts = self.0.borrow();
        for measure in Measure::catalogue() {
            let count = counts.get(measure.name()).copied().unwrap_or_default();
            assert!(count >= 20, "{} only {count} times", measure.name());
        }
    }
}

fn present(text: &str) -> Setting {
    Setting::Present(Document::BucketPolicy(PolicyDocument::parse(text).unwrap()))
}

fn document(setting: &Setting) -> Option<&PolicyDocument> {
    match setting {
        Setting::Present(Document::BucketPolicy(policy)) => Some(policy),
        _ => None,
    }
}

/// Settings compare by meaning; this compares their text.
fn text(setting: Option<&Setting>) -> String {
    serde_json::to_string(&setting).unwrap()
}
