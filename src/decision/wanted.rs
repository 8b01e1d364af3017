//! What has to be asked before a decision: the settings and facts that could count, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{bucket, is_directory};
use crate::classification::{
    AccessPath, ActorKind, Authorization, Classification, Exposure, Own, Sensitivity,
    TELL_EXPOSURE, TELL_USE, classify,
};
use crate::enrichment::Enrichment;
use crate::finding::{Bucket, Finding, Target, UserType};
use crate::measures::Measure;
use crate::policy::{Asked, Fact, Mode, Policy, Rule, Subject};
use crate::settings::{SettingKind, Settings};

/// What has to be asked before a decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The settings to read.
    pub settings: BTreeSet<SettingKind>,
    /// Whether the decision waits for what Macie says.
    pub sensitivity: bool,
    /// Buckets whose Region is to be found out, for they are to take logs.
    pub log_targets: BTreeSet<String>,
}

/// What a decision about this target can rest on or change, and nothing else; for a person who `investigates`, also what
/// they would look up next.
pub fn wanted(
    finding: &Finding,
    target: &Target,
    policy: &Policy,
    own: &Own,
    investigates: bool,
    now: Timestamp,
) -> Wanted {
    let (mut kinds, mut log_targets) = (BTreeSet::new(), BTreeSet::new());
    let mut sensitivity = investigates;
    if investigates || may_be_visit(finding) {
        kinds.extend(TELL_USE);
    }
    if investigates {
        kinds.extend(TELL_EXPOSURE);
        kinds.insert(SettingKind::Tags);
    }
    for_possible_subjects(finding, target, policy, own, |subject| {
        for rule in policy.possible_rules(subject) {
            for Asked { measure, .. } in &rule.measures {
                kinds.extend(measure.info().reads);
                if let Measure::RestoreLogging { target_bucket, .. } = measure {
                    log_targets.insert(target_bucket.clone());
                }
            }
        }
        for fact in policy.facts_wanted(subject, now) {
            match fact {
                Fact::Tags => drop(kinds.insert(SettingKind::Tags)),
                Fact::Exposure => kinds.extend(TELL_EXPOSURE),
                Fact::BucketUse => kinds.extend(TELL_USE),
                Fact::Sensitivity => sensitivity = true,
            }
        }
    });
    if is_directory(target) {
        // They have none of the others.
        kinds.retain(|kind| *kind == SettingKind::BucketPolicy);
    }
    if bucket(target).is_none_or(|bucket| bucket.directory) {
        log_targets.clear();
    }
    if bucket(target).is_none() {
        kinds.retain(|kind| *kind == SettingKind::AccountPublicAccessBlock);
    }
    Wanted {
        settings: kinds,
        // Macie looks into general purpose buckets only.
        sensitivity: sensitivity && bucket(target).is_some_and(|bucket| !bucket.directory),
        log_targets,
    }
}

/// The accounts whose organization decides whether an actor is trusted: those that a bucket of the finding is not of. That an
/// organization is trusted must not excuse what stolen credentials of the bucket's own account do.
pub fn accounts_to_ask_about<'a>(finding: &'a Finding, policy: &Policy) -> BTreeSet<&'a str> {
    let trusted = &policy.trusted;
    let is_foreign = |account: &&str| {
        finding.targets.iter().any(|target| match target {
            Target::Bucket(bucket) => bucket.account != **account,
            Target::Account(target) => target != *account,
        })
    };
    let asks = !trusted.organizations.is_empty() && !finding.sample;
    let accounts = finding
        .actors
        .iter()
        .filter_map(|actor| actor.account.as_deref());
    accounts
        .filter(|account| asks && is_foreign(account))
        .filter(|account| !trusted.accounts.iter().any(|known| known == account))
        .collect()
}

/// Whether any rule that could hold would act at all, so that a lease is worth taking.
pub fn may_act(
    finding: &Finding,
    target: &Target,
    policy: &Policy,
    stack_mode: Mode,
    own: &Own,
) -> bool {
    let mut acts = false;
    for_possible_subjects(finding, target, policy, own, |subject| {
        let enforced = |rule: &&Rule| {
            !rule.measures.is_empty() && policy.effective_mode(stack_mode, rule).0 == Mode::Enforce
        };
        acts |= policy.possible_rules(subject).iter().any(enforced);
    });
    acts && !finding.sample && !finding.archived
}

/// Whether what the bucket is for can decide whether the call was authorized: anonymous calls are, on a website.
fn may_be_visit(finding: &Finding) -> bool {
    finding
        .actors
        .iter()
        .any(|actor| actor.user_type == UserType::Anonymous)
}

/// Calls `f` with every subject that this finding could turn out to be. Only of an anonymous call the way in and whether it
/// was authorized depend on what has not been read yet.
fn for_possible_subjects(
    finding: &Finding,
    target: &Target,
    policy: &Policy,
    own: &Own,
    mut f: impl FnMut(&Subject),
) {
    let bucket = bucket(target);
    let (nothing, untold) = (Settings::default(), Enrichment::default());
    let mut classification = classify(finding, bucket, &nothing, &untold, policy, own);
    let anonymous = classification
        .actors
        .iter()
        .any(|actor| actor.kind == ActorKind::Anonymous);
    let actors = actor_kinds(&classification);
    f(&subject(finding, bucket, &classification, &actors, None));
    if !accounts_to_ask_about(finding, policy).is_empty() {
        let said = std::mem::replace(
            &mut classification.authorization.is,
            Authorization::Authorized,
        );
        f(&subject(finding, bucket, &classification, &actors, None));
        classification.authorization.is = said;
    }
    if !anonymous || classification.access_path.is != AccessPath::Unknown {
        return;
    }
    let said = classification.authorization.is;
    let mut authorizations = vec![said];
    if said == Authorization::Unauthorized {
        authorizations.push(Authorization::Undetermined);
    }
    let paths = [
        AccessPath::Unknown,
        AccessPath::PublicPolicy,
        AccessPath::PublicAcl,
    ];
    for path in paths {
        for authorization in &authorizations {
            classification.access_path.is = path;
            classification.authorization.is = *authorization;
            f(&subject(finding, bucket, &classification, &actors, None));
        }
    }
}

/// The kinds of a finding's actors.
pub(super) fn actor_kinds(classification: &Classification) -> Vec<ActorKind> {
    classification
        .actors
        .iter()
        .map(|actor| actor.kind)
        .collect()
}

/// What conditions are asked of.
pub(super) fn subject<'a>(
    finding: &'a Finding,
    bucket: Option<&'a Bucket>,
    classification: &'a Classification,
    actors: &'a [ActorKind],
    tags: Option<&'a BTreeMap<String, String>>,
) -> Subject<'a> {
    Subject {
        finding: &finding.kind,
        severity: finding.severity,
        count: finding.count,
        actors,
        authorization: classification.authorization.is,
        access_path: classification.access_path.is,
        apis: finding.calls.iter().map(|call| call.api.as_str()).collect(),
        api_outcome: classification.api_outcome,
        networks: &classification.networks,
        credentials: &classification.credentials,
        bucket: bucket.map(|bucket| bucket.name.as_str()),
        bucket_use: bucket.map(|_| &classification.uses),
        account: bucket.map_or(&finding.account, |bucket| &bucket.account),
        region: bucket
            .and_then(|bucket| bucket.region.as_deref())
            .unwrap_or(&finding.region),
        tags,
        exposure: Some(classification.exposure.is)
            .filter(|exposure| *exposure != Exposure::Unknown),
        sensitivity: Some(classification.sensitivity.is)
            .filter(|sensitivity| *sensitivity != Sensitivity::Unknown),
    }
}
