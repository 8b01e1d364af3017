//! Who has access before and after, judged by iam-simulate, which is not our code and shares no reading of ours: not of what
//! a statement says, nor of what makes a policy public, which decides whether RestrictPublicBuckets bites.
//!
//! An earlier judge, iam-rs, is gone: it takes neither an account for its members nor a role for its sessions, reads no
//! principal of two kinds and knows no anonymous caller and no RestrictPublicBuckets. What the test had to do in its place
//! was our own reading again.
//!
//! Two kinds of documents are not put to iam-simulate, and are counted. A `NotPrincipal` that lists an account spares all
//! its members, as it sees it, where AWS documents that members have to be named besides. And elements that are misspelt, in
//! case or otherwise, it refuses to read: IAM's grammar has their names, and the values of `Effect`, as literals. The names of
//! condition keys are in any case, by AWS's documentation and for it; those of operators are so for it and for us, and AWS's
//! documentation is silent.

use std::collections::{BTreeMap, HashMap};

use portcullis::decision::Decision;
use portcullis::finding::UserType;
use serde_json::{Value, json};

use super::callers::{ACTS, Asked, Caller, MALWARE, asked, callers};
use super::cases::{Case, many};
use super::s3::S3;
use super::{ACCOUNT, PARTNER};
use crate::evaluator::{Judged, Request, Verdict, judge_many};

/// One test, because judging takes seconds.
#[test]
fn containment_takes_access_and_gives_none() {
    let judgement = Judgement::of(many(3000, &[]), |_| true);
    judgement.is_of_most_cases();
    no_access_is_widened(&judgement);
    nobody_who_must_put_things_right_is_locked_out(&judgement);
}

fn no_access_is_widened(judgement: &Judgement) {
    let (mut narrowed, mut unseen) = (0_usize, 0_usize);
    judgement.each(|contained, asked, was, is| {
        let (caller, act) = (&judgement.callers[asked.caller], &ACTS[asked.act]);
        let was = contained.before.lets(was, caller, act.0);
        let is = contained.after.lets(is, caller, act.0);
        narrowed += usize::from(was && !is);
        if was || !is {
            return;
        }
        // A merged statement spares break-glass and service-linked roles as the policy file has it now.
        let renewed = caller.must_stay && contained.case.holds_ours();
        // A public policy is worse than what flags that nobody could read may keep closed besides.
        let hidden = caller.account != ACCOUNT && contained.before.hides_flags();
        unseen += usize::from(hidden);
        assert!(
            renewed || hidden,
            "{act:?} was opened to {}: {contained}",
            caller.name
        );
    });
    assert!(
        narrowed > 5 * judgement.cases(),
        "only {narrowed} requests closed"
    );
    assert!(
        unseen * 100 < narrowed,
        "{unseen} opened beside {narrowed} closed"
    );
}

/// Whatever we write, break-glass and Portcullis's own role keep what they had, and AWS services and service-linked roles are
/// not denied what they were not denied before.
fn nobody_who_must_put_things_right_is_locked_out(judgement: &Judgement) {
    let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
    judgement.each(|contained, asked, was, is| {
        let caller = &judgement.callers[asked.caller];
        let [before, after] = contained.documents;
        if !caller.must_stay || before == after || was == Verdict::Denied {
            return;
        }
        // But for malware, which AWS services shall not hand out either.
        let malware = ACTS[asked.act].1 == Some(MALWARE) && caller.service;
        let keeps = is != Verdict::Denied || malware;
        let keeps = keeps && (is == Verdict::Allowed || was != Verdict::Allowed || caller.service);
        assert!(
            keeps,
            "{:?} is lost to {}: {contained}",
            ACTS[asked.act], caller.name
        );
        *kept.entry(caller.name).or_insert(0) += 1;
    });
    assert_eq!(kept.len(), 4, "{kept:?}");
    assert!(
        kept.values().all(|kept| *kept > judgement.cases()),
        "{kept:?}"
    );
}

/// The other half of the two above: a Deny that hits nobody would pass them.
#[test]
fn the_actor_is_denied_and_nobody_else() {
    // No other measure that denies: whose Deny it was could not be told.
    let among = &[
        "deny-actor",
        "remove-public-grants",
        "block-public-access",
        "block-account-public-access",
        "disable-acls",
        "mark-contained",
    ];
    let takes = |decision: &Decision| decision.taken.iter().any(|t| t.measure == "deny-actor");
    let judgement = Judgement::of(many(2500, among), takes);
    let (mut contained_requests, mut spared) = (0_usize, 0_usize);
    judgement.each(|contained, asked, was, is| {
        let caller = &judgement.callers[asked.caller];
        let act = &ACTS[asked.act];
        // Where S3 refused the policy, nobody is denied.
        if caller.must_stay || !contained.whole {
            return;
        }
        if contained.case.names(caller) {
            assert_eq!(
                is,
                Verdict::Denied,
                "{act:?} by {}: {contained}",
                caller.name
            );
            contained_requests += 1;
        } else if was != Verdict::Denied {
            assert!(
                is != Verdict::Denied || contained.case.denied_earlier(caller),
                "{act:?} by {}: {contained}",
                caller.name
            );
            spared += 1;
        }
    });
    let cases = judgement.cases();
    assert!(
        contained_requests > 4 * cases,
        "only {contained_requests}, {cases} cases"
    );
    assert!(spared > 20 * cases, "only {spared} others, {cases} cases");
}

impl Case {
    /// Whether `deny-actor` is to hit the caller.
    fn names(&self, caller: &Caller) -> bool {
        let asked = self.asked("deny-actor");
        let sessions = asked.contains("scope: session");
        let account = asked.contains("scope: account");
        let mut actors = self.finding.actors.iter();
        let named = actors.any(|actor| match &actor.principal_id {
            _ if actor.user_type == UserType::Anonymous => caller.principal.is_none(),
            Some(_) if account => {
                actor.account.as_deref() == Some(PARTNER) && caller.account == PARTNER
            }
            Some(id) if sessions => caller.userid == *id,
            Some(id) => id.split(':').next() == caller.userid.split(':').next(),
            None => false,
        });
        named && !(caller.account == PARTNER && self.trusts_partner)
    }
}

/// A case, and the bucket before and after its containment.
struct Contained {
    case: Case,
    decision: Decision,
    before: S3,
    after: S3,
    /// Whether S3 has made every change.
    whole: bool,
    /// Which of the documents, before and after.
    documents: [usize; 2],
}

impl std::fmt::Display for Contained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (plan, yaml) = (json!(self.decision.plan), &self.case.yaml);
        write!(f, "{plan}\nby {:?} and\n{yaml}", self.case.finding.actors)
    }
}

struct Judgement {
    callers: Vec<Caller>,
    asked: Vec<Asked>,
    contained: Vec<Contained>,
    verdicts: Vec<Vec<Verdict>>,
    /// Cases of which a document cannot be judged.
    excluded: usize,
}

impl Judgement {
    /// Judges the cases in which something changes, and of which `counts` says that they count.
    fn of(cases: Vec<Case>, counts: impl Fn(&Decision) -> bool) -> Self {
        let callers = callers();
        let asked = asked(&callers);
        let (mut contained, mut excluded) = (Vec::new(), 0);
        let mut documents = Documents::default();
        for case in cases {
            let before = case.s3();
            let decision = case.decide(&before.observe(false));
            if decision.plan.is_empty() || !counts(&decision) {
                continue;
            }
            let mut after = before.clone();
            let whole = after.apply(&decision.plan);
            let judged = [before.judged(), after.judged()];
            if !judged.iter().all(is_judgeable) {
                excluded += 1;
                continue;
            }
            contained.push(Contained {
                documents: judged.map(|judged| documents.index(judged)),
                case,
                decision,
                before,
                after,
                whole,
            });
        }
        let requests = asked.iter().map(|asked| {
            let (action, key) = ACTS[asked.act];
            callers[asked.caller].request(action, key, asked.identity)
        });
        let requests: Vec<Request> = requests.collect();
        Self {
            verdicts: judge_many(&requests, &documents.all),
            callers,
            asked,
            contained,
            excluded,
        }
    }

    /// Every request of every case: its verdict before and after.
    fn each(&self, mut check: impl FnMut(&Contained, &Asked, Verdict, Verdict)) {
        for contained in &self.contained {
            let [was, is] = contained.documents.map(|index| &self.verdicts[index]);
            for ((asked, was), is) in self.asked.iter().zip(was).zip(is) {
                check(contained, asked, *was, *is);
            }
        }
    }

    fn cases(&self) -> usize {
        self.contained.len()
    }

    /// How often something was seen is compared with the number of cases, which can be raised and lowered.
    fn is_of_most_cases(&self) {
        let (judged, excluded) = (self.cases(), self.excluded);
        assert!(
            excluded > 0 && excluded * 5 < judged,
            "{excluded} beside {judged} could not be judged"
        );
        let of_each: [usize; 4] = [
            Verdict::Allowed,
            Verdict::NotAllowed,
            Verdict::Denied,
            Verdict::Restricted,
        ]
        .map(|verdict| {
            let all = self.verdicts.iter().flatten();
            all.filter(|other| **other == verdict).count()
        });
        let few = self.cases() / 4;
        assert!(of_each.iter().all(|count| *count > few), "{of_each:?}");
    }
}

/// Documents to be judged, each once.
#[derive(Default)]
struct Documents {
    all: Vec<Judged>,
    known: HashMap<String, usize>,
}

impl Documents {
    fn index(&mut self, judged: Judged) -> usize {
        let all = &mut self.all;
        let text = serde_json::to_string(&judged).unwrap();
        *self.known.entry(text).or_insert_with(|| {
            all.push(judged);
            all.len() - 1
        })
    }
}

fn is_judgeable(judged: &Judged) -> bool {
    const ELEMENTS: [&str; 9] = [
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ];
    const PRINCIPALS: [&str; 4] = ["AWS", "Service", "Federated", "CanonicalUser"];
    let is_account = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        name.ends_with(":root") || name.chars().all(|c| c.is_ascii_digit())
    };
    let statement = |statement: &Value| {
        let elements = statement.as_object().unwrap();
        let spelt = elements.keys().all(|name| ELEMENTS.contains(&&**name))
            && ["Allow", "Deny"].contains(&statement["Effect"].as_str().unwrap_or_default());
        let spares_accounts = match &statement["NotPrincipal"]["AWS"] {
            Value::Array(names) => names.iter().any(is_account),
            Value::Null => false,
            name => is_account(name),
        };
        let mut kinds = statement["Principal"].as_object().into_iter().flatten();
        spelt && !spares_accounts && kinds.all(|(kind, _)| PRINCIPALS.contains(&&**kind))
    };
    match judged.policy.as_ref().map(|policy| &policy["Statement"]) {
        None => true,
        Some(Value::Array(statements)) => statements.iter().all(statement),
        Some(one) => statement(one),
    }
}
