//! A policy that S3 does not take while the bucket is open to everybody: BlockPublicPolicy, turned on without it, would have S3
//! never take it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis::plan::Change;
use portcullis::record::{ChangeStatus, Outcome};
use portcullis::settings::{PublicAccessBlock, SettingKind};
use serde_json::{Value, json};

use crate::stand_in::{Verdict, flags, policy_text, stranger_gets};
use crate::world::{World, public_policy};

const MEASURES: &str =
    "[{ preserve-data: { for: actor } }, deny-actor, block-public-access, mark-contained]";
const CLOSED_BUT_FOR_POLICIES: Option<[bool; 4]> = Some([true, true, false, true]);

/// A bucket that everybody may read, and how often S3 does not take its policy, with which code.
async fn world(refusals: usize, status: u16, code: &'static str) -> (World, Arc<AtomicUsize>) {
    let left = Arc::new(AtomicUsize::new(refusals));
    let counted = left.clone();
    let world = World::new("refused", move |request| {
        let is_write = request.starts_with("PUT") && request.contains("?policy");
        let one_less = |left: usize| left.checked_sub(1);
        let refuses = || {
            counted
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                .is_ok()
        };
        match is_write && refuses() {
            true => Verdict::Refuse(status, code),
            false => Verdict::Pass,
        }
    });
    (world.await.under(MEASURES), left)
}

async fn is_denied(world: &World) -> bool {
    let policy = policy_text(&world.client, &world.bucket).await;
    policy.unwrap().contains("PortcullisDenyActor")
}

#[tokio::test]
async fn as_long_as_the_policy_is_refused_the_flag_waits_and_the_next_delivery_makes_it_good() {
    for (status, code, comes_again) in [
        (409, "OperationAborted", true),
        (403, "AccessDenied", false),
    ] {
        let (world, left) = world(usize::MAX, status, code).await;
        let finding = world.stolen("AROAEXAMPLEFIRST0001:alice", "198.51.100.7");
        let before = flags(&world.client, &world.bucket).await;

        let report = world.respond(&finding).await;
        assert_eq!(report.summary.outcome, Outcome::Partial, "{report:?}");
        assert_eq!(report.fails_the_invocation(), comes_again, "{report:?}");
        // What was open is closed all the same, and told as it is, with what the plan before this one did.
        assert_eq!(
            flags(&world.client, &world.bucket).await,
            CLOSED_BUT_FOR_POLICIES
        );
        assert_eq!(
            stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
            403
        );
        assert!(!is_denied(&world).await);
        let changes = report.summary.changes.iter();
        let changes: Vec<_> = changes
            .map(|change| (change.setting, change.status))
            .collect();
        assert_eq!(
            changes,
            [
                (SettingKind::Versioning, ChangeStatus::Verified),
                (SettingKind::BucketPolicy, ChangeStatus::Failed),
                (SettingKind::PublicAccessBlock, ChangeStatus::Verified),
                (SettingKind::Tags, ChangeStatus::Verified),
            ]
        );
        let taken = &report.record.as_ref().unwrap().decision.taken;
        let notes = taken.iter().flat_map(|taken| &taken.notes);
        let waits = notes.filter(|note| {
            note.starts_with("block-public-policy waits until the policy is written")
        });
        assert_eq!(waits.count(), 1, "{taken:?}");

        left.store(0, Ordering::SeqCst);
        let report = world.respond(&finding).await;
        assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
        assert!(is_denied(&world).await);
        assert_eq!(flags(&world.client, &world.bucket).await, Some([true; 4]));
        comes_back(&world, &report, before).await;
    }
}

#[tokio::test]
async fn a_policy_that_is_taken_after_all_has_the_flag_turned_on_at_once() {
    let closed = PublicAccessBlock {
        block_public_policy: false,
        ..PublicAccessBlock::ALL
    };
    // Also where the flag is the only one that is missing, as after a delivery that had it wait.
    for start in [None, Some(closed)] {
        let (world, _) = world(1, 403, "AccessDenied").await;
        if start.is_some() {
            let flags = aws_sdk_s3::types::PublicAccessBlockConfiguration::builder()
                .block_public_acls(true)
                .ignore_public_acls(true)
                .restrict_public_buckets(true)
                .block_public_policy(false);
            let put = world.client.put_public_access_block().bucket(&world.bucket);
            put.public_access_block_configuration(flags.build())
                .send()
                .await
                .unwrap();
        }
        let before = flags(&world.client, &world.bucket).await;
        let finding = world.stolen("AROAEXAMPLEFIRST0001:alice", "198.51.100.7");
        let report = world.respond(&finding).await;
        assert_eq!(report.summary.outcome, Outcome::Contained, "{report:?}");
        assert!(!report.fails_the_invocation(), "{report:?}");
        assert!(is_denied(&world).await);
        assert_eq!(flags(&world.client, &world.bucket).await, Some([true; 4]));
        let told: Vec<_> = report
            .summary
            .changes
            .iter()
            .map(|change| change.setting)
            .collect();
        for kind in [
            SettingKind::Versioning,
            SettingKind::BucketPolicy,
            SettingKind::PublicAccessBlock,
        ] {
            assert!(told.contains(&kind), "{kind} is not in {told:?}");
        }
        comes_back(&world, &report, before).await;
    }
}

/// Somebody deletes the bucket while its policy is refused: what was done before is told, and not that nothing was.
#[tokio::test]
async fn what_was_done_before_is_told_where_the_next_plan_comes_to_nothing() {
    let gone = Arc::new(AtomicUsize::new(0));
    let seen = gone.clone();
    let world = World::new("interrupted", move |request| {
        let of_policy = request.contains("?policy");
        if of_policy && request.starts_with("PUT") {
            seen.store(1, Ordering::SeqCst);
            return Verdict::Refuse(403, "AccessDenied");
        }
        match of_policy && seen.load(Ordering::SeqCst) == 1 {
            true => Verdict::Refuse(404, "NoSuchBucket"),
            false => Verdict::Pass,
        }
    });
    let world = world.await.under(MEASURES);
    let report = world
        .respond(&world.stolen("AROAEXAMPLEFIRST0001:alice", "198.51.100.7"))
        .await;
    assert_eq!(gone.load(Ordering::SeqCst), 1);
    assert!(report.fails_the_invocation(), "{report:?}");
    assert_eq!(report.summary.outcome, Outcome::Partial, "{report:?}");
    let reason = report.summary.reason.as_deref().unwrap();
    assert!(
        reason.starts_with("not all was done; of the plan that was left, nothing was changed: ")
            && reason.contains("NoSuchBucket"),
        "{reason}"
    );
    let versioning = &report.summary.changes[0];
    assert_eq!(
        (versioning.setting, versioning.status),
        (SettingKind::Versioning, ChangeStatus::Verified)
    );
}

/// Access points have policies of their own, which the bucket's flag refuses likewise, but for those that a VPC alone can reach.
#[test]
fn the_policy_of_an_access_point_counts_likewise() {
    let point = |policy: &str, vpc: Option<&str>| -> Value {
        json!({"present": {"access-point-policies": {"reports": {
            "arn": "arn:aws:s3:us-east-1:111122223333:accesspoint/reports", "vpc": vpc, "policy": policy}}}})
    };
    let change = |before: Value, after: Value| -> Change {
        let change = json!({"setting": "access-point-policies", "before": before, "after": after, "measures": []});
        serde_json::from_value(change).unwrap()
    };
    let public = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}"#;
    let denying = public.replace(
        "[{",
        r#"[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"*"},{"#,
    );
    let closed = denying.replace(
        r#""Allow","Principal":"*""#,
        r#""Allow","Principal":{"AWS":"111122223333"}"#,
    );
    for (after, vpc, is_public) in [
        (&denying, None, true),
        (&denying, Some("vpc-1"), false),
        (&closed, None, false),
    ] {
        let change = change(point(public, vpc), point(after, vpc));
        assert_eq!(
            change.leaves_a_policy_public(),
            is_public,
            "{after} {vpc:?}"
        );
    }
    // One that is not written is none that could be refused.
    let same = change(point(public, None), point(public, None));
    assert!(!same.leaves_a_policy_public());
}

async fn comes_back(world: &World, report: &portcullis::engine::Report, before: Option<[bool; 4]>) {
    let undone = world.roll_back(report).await;
    assert_eq!(undone.summary.outcome, Outcome::RolledBack, "{undone:?}");
    let policy = policy_text(&world.client, &world.bucket).await.unwrap();
    assert_eq!(policy, public_policy(&world.bucket));
    assert_eq!(flags(&world.client, &world.bucket).await, before);
}
