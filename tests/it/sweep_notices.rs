//! What the sweep tells people, at the boundary of the core.
//!
//! The texts are in tests/cases/notice; `BLESS=1` writes them anew.

use jiff::Timestamp;
use portcullis::drift::Undone;
use portcullis::finding::{Object, Target};
use portcullis::notice::{self, Notice};
use portcullis::policy::{Notify, Policy};
use portcullis::record::{Outcome, Record};
use portcullis::settings::SettingKind;
use portcullis::sweep::{Ending, JobSeen, JobState, Sweep, Swept, SweptState};

use crate::notice::{Case, POLICY, golden, load};

#[test]
fn drift() {
    golden("sweep-drift", &of(undone(SweptState::Drift)));
}

#[test]
fn held() {
    let held = Swept {
        outcome: Some(Outcome::Contained),
        ..undone(SweptState::Held)
    };
    golden("sweep-held", &of(held));
}

#[test]
fn what_a_containment_wrote_over() {
    let lines = [
        "PutBucketPolicy by arn:aws:sts::111122223333:assumed-role/deploy/<!channel> at 2026-10-05T14:20:31Z, in the moment in which Portcullis wrote the policy, too; S3 kept what came last",
        "missing: statement Reports (Allow s3:GetObject, s3:ListBucket)",
        "whoever writes it again begins with the policy as it is now, and keeps the statements of Portcullis",
    ];
    let place = "s3://portcullis-store/overwritten/85da6631-a4b5-47dc-b296-0123456789ab.json";
    let notice = of(Swept {
        kept: Some(place.to_owned()),
        ..swept(SweptState::Overwritten, &lines)
    });
    golden("sweep-overwritten", &notice);
    // The same event tells the same, and another one of that day is news.
    let again = of(swept(SweptState::Overwritten, &lines));
    assert_eq!(again.once, notice.once);
    assert_ne!(
        of(swept(SweptState::Overwritten, &lines[..2])).once,
        notice.once
    );
}

#[test]
fn expired() {
    golden("sweep-expired", &of(swept(SweptState::Expired, &[])));
}

#[test]
fn due_with_what_somebody_changed() {
    let detail = "somebody changed the public access block since; it is left as it is";
    golden("sweep-due", &of(swept(SweptState::Due, &[detail])));
}

#[test]
fn unfinished() {
    let detail = "the run was cut off; apply the record again to bring it to its end";
    golden(
        "sweep-unfinished",
        &of(swept(SweptState::Unfinished, &[detail])),
    );
}

#[test]
fn a_record_that_cannot_be_read() {
    let detail =
        "nothing was changed: records/r-1.json in the store cannot be read: EOF <!channel>";
    let failed = Swept {
        record: "r-1".to_owned(),
        target: String::new(),
        of: None,
        ..swept(SweptState::Failed, &[detail])
    };
    golden("sweep-failed", &of(failed));
}

#[test]
fn a_macie_job_that_came_to_its_end() {
    golden("sweep-job", &only(&with_job(JobState::Complete)));
    // One that goes on is no news.
    assert!(all(&with_job(JobState::Pending), POLICY).is_empty());
}

#[test]
fn an_exception_that_ends_and_one_that_has() {
    let ending = |ended| Sweep {
        exceptions: vec![Ending {
            id: "public-website".to_owned(),
            expires: jiff::civil::date(2026, 10, 12),
            ended,
            what: "exception public-website (policy.yaml:12) holds until 2026-10-12: static site"
                .to_owned(),
        }],
        ..Sweep::default()
    };
    golden("sweep-exception", &only(&ending(false)));
    // It is told before, and once more when it is over.
    let (before, after) = (only(&ending(false)), only(&ending(true)));
    assert_eq!(before.thread, after.thread);
    assert_ne!(before.once, after.once);
    assert_eq!(before.once, only(&ending(false)).once);
}

#[test]
fn a_rule_that_wants_no_notice_gets_none_from_the_sweep() {
    let sweep = Sweep {
        found: vec![undone(SweptState::Drift)],
        ..Sweep::default()
    };
    let never = POLICY.replace("- id: stolen\n", "- id: stolen\n    notify: never\n");
    assert_ne!(never, POLICY);
    assert!(
        load(&never)
            .rules
            .iter()
            .any(|rule| rule.notify == Notify::Never)
    );
    assert!(all(&sweep, &never).is_empty());
    assert_eq!(all(&sweep, POLICY).len(), 1);
}

#[test]
fn what_waits_for_a_person_is_told_again_the_next_day() {
    let sweep = Sweep {
        found: vec![undone(SweptState::Drift)],
        ..Sweep::default()
    };
    let policy = load(POLICY);
    let once = |at: &str| {
        notice::sweep(&sweep, &policy, at.parse().unwrap())
            .remove(0)
            .once
    };
    assert!(once("2026-10-06T00:10:00Z").is_some());
    assert_eq!(once("2026-10-06T00:10:00Z"), once("2026-10-06T23:10:00Z"));
    assert_ne!(once("2026-10-06T23:10:00Z"), once("2026-10-07T00:10:00Z"));
    // Somebody may undo today's work more than once.
    assert_eq!(of(undone(SweptState::Held)).once, None);
}

/// A record of a quarantined object, whose key stays out of the notice.
fn record() -> Record {
    let mut case = Case::new("exfiltration-anomalous");
    if let Target::Bucket(bucket) = &mut case.finding.targets[0] {
        bucket.objects = vec![Object {
            key: "salaries.csv".to_owned(),
            version: None,
        }];
    }
    case.done().all[0].record.clone().unwrap()
}

fn swept(state: SweptState, detail: &[&str]) -> Swept {
    let record = record();
    Swept {
        record: record.id.clone(),
        target: record.target_name().to_owned(),
        state,
        detail: detail.iter().map(|&line| line.to_owned()).collect(),
        undone: Vec::new(),
        kept: None,
        outcome: None,
        of: Some(Box::new(record)),
    }
}

fn undone(state: SweptState) -> Swept {
    let one = |setting, what: &str, lacks: &[&str]| Undone {
        setting,
        what: what.to_owned(),
        lacks: lacks.iter().map(|&value| value.to_owned()).collect(),
    };
    Swept {
        undone: vec![
            one(
                SettingKind::BucketPolicy,
                "statement PortcullisQuarantineObject lacks",
                &["arn:aws:s3:::amzn-s3-demo-bucket-orders/salaries.csv"],
            ),
            one(
                SettingKind::PublicAccessBlock,
                "block-public-policy is off again",
                &[],
            ),
        ],
        ..swept(state, &[])
    }
}

fn with_job(state: JobState) -> Sweep {
    Sweep {
        jobs: vec![JobSeen {
            job: "0123456789abcdef0123456789abcdef".to_owned(),
            bucket: "amzn-s3-demo-bucket-orders".to_owned(),
            account: "111122223333".to_owned(),
            record: record().id,
            finding: record().finding.id.clone(),
            state,
            detail: "the bucket's data now counts as sensitive: score 90 of 100".to_owned(),
            findings: Some("aws macie2 list-findings --region us-east-1".to_owned()),
        }],
        ..Sweep::default()
    }
}

fn of(swept: Swept) -> Notice {
    let notice = only(&Sweep {
        found: vec![swept],
        ..Sweep::default()
    });
    assert!(
        !notice.message().body.contains("salaries"),
        "the key of an object"
    );
    notice
}

#[track_caller]
fn only(sweep: &Sweep) -> Notice {
    let mut notices = all(sweep, POLICY);
    assert_eq!(notices.len(), 1);
    notices.remove(0)
}

fn all(sweep: &Sweep, policy: &str) -> Vec<Notice> {
    let policy: Policy = load(policy);
    let now: Timestamp = "2026-10-06T09:00:00Z".parse().unwrap();
    notice::sweep(sweep, &policy, now)
}
