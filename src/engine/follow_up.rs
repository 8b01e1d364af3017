//! What a rule asks for beside containment. It changes no setting, cannot be undone, and never fails a containment.

use std::time::Duration;

use tokio::time::timeout;

use super::{Engine, jobs};
use crate::aws::discovery::{Discovery, discover};
use crate::aws::{AwsError, Place, guardduty};
use crate::finding::Finding;
use crate::policy::FollowUp;
use crate::record::{FollowUpResult, FollowUpStatus, Outcome, Record, target_digest};

/// What one follow-up may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is kept of the run's time for storing its result.
const RESERVE: Duration = Duration::from_secs(3);

impl Engine<'_> {
    /// Runs what the decision lets run, and says what became of each.
    pub(super) async fn follow_up(
        &self,
        record: &Record,
        place: &Place,
        outcome: Outcome,
    ) -> Vec<FollowUpResult> {
        let mut results = Vec::new();
        for asked in &record.decision.follow_up {
            let result = |status, detail: String| FollowUpResult {
                follow_up: asked.follow_up,
                status,
                detail,
            };
            results.push(
                match (&asked.withheld, hindrance(asked.follow_up, record, outcome)) {
                    (Some(withheld), _) => result(
                        FollowUpStatus::Withheld,
                        format!("{}: {}", withheld.guard, withheld.why),
                    ),
                    (None, Some(why)) => result(FollowUpStatus::Withheld, why.to_owned()),
                    (None, None) => {
                        let work = self.run(asked.follow_up, record, place);
                        let error = match timeout(self.patience(), work).await {
                            Ok(Ok(detail)) => {
                                results.push(result(FollowUpStatus::Done, detail));
                                continue;
                            }
                            Ok(Err(error)) => error.to_string(),
                            Err(_) => "there was no time left for it in this run".to_owned(),
                        };
                        tracing::warn!(
                            follow_up = asked.follow_up.word(),
                            error,
                            "a follow-up failed"
                        );
                        result(FollowUpStatus::Failed, error)
                    }
                },
            );
        }
        results
    }

    /// The result must still be stored after it.
    fn patience(&self) -> Duration {
        let left = self.deadline.duration_since((self.clock)());
        let left = Duration::try_from(left).unwrap_or_default();
        left.saturating_sub(RESERVE).min(PATIENCE)
    }

    async fn run(
        &self,
        follow_up: FollowUp,
        record: &Record,
        place: &Place,
    ) -> Result<String, AwsError> {
        let finding: &Finding = &record.finding;
        match follow_up {
            FollowUp::DiscoverSensitiveData => {
                let token = format!("{}-{}", finding.id, target_digest(finding, &record.target));
                let why = format!("Portcullis, for GuardDuty finding {}", finding.id);
                let (job, what) = match discover(self.aws, place, &token, &why).await? {
                    Discovery::Started { job } => (job, "was started"),
                    Discovery::AlreadyRunning { job } => (job, "is running already"),
                };
                let marked = jobs::mark(self.store, &job, record, place).await;
                let unwatched = marked.err().map(|error| {
                    format!(
                        ", and its end will not be told, because it could not be noted: {error}"
                    )
                });
                Ok(format!(
                    "Macie job {job} {what}{}",
                    unwatched.unwrap_or_default()
                ))
            }
            FollowUp::ArchiveFinding => guardduty::archive(self.aws, finding)
                .await
                .map(|()| "the finding is archived in GuardDuty".to_owned()),
            FollowUp::MarkUseful | FollowUp::MarkNotUseful => {
                let useful = follow_up == FollowUp::MarkUseful;
                let comment = format!("Portcullis, record {}", record.id);
                guardduty::feedback(self.aws, finding, useful, &comment)
                    .await
                    .map(|()| "GuardDuty was told".to_owned())
            }
        }
    }
}

/// Why a follow-up makes no sense after this outcome; none where it does.
fn hindrance(follow_up: FollowUp, record: &Record, outcome: Outcome) -> Option<&'static str> {
    let settled = matches!(
        outcome,
        Outcome::Contained | Outcome::AlreadyContained | Outcome::Ignored
    );
    match follow_up {
        FollowUp::ArchiveFinding if !settled => {
            Some("the finding stays open, because not all was done that the rule asks for")
        }
        // Whoever meets it archived, leaves alone what is left of it: its other targets may need another delivery.
        FollowUp::ArchiveFinding if record.finding.targets.len() > 1 => {
            Some("the finding stays open, because it is about more than this target")
        }
        _ => None,
    }
}
