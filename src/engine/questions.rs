//! What is asked of other services while a target is looked at, so that no containment waits longer than it must.
//!
//! GuardDuty is asked once for a finding, whether it has it, and its answer is waited for: what it does not have is not acted
//! on. Macie is asked for each bucket before anything is denied, because a Deny could cost Macie its view; its answer is
//! waited for only where the policy asks for it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, Shared, join_all, select};

use super::Engine;
use crate::aws::{Place, guardduty, macie, organizations};
use crate::decision::accounts_to_ask_about;
use crate::enrichment::{FindingCheck, MacieAnswer, Membership, Reread, Standing};
use crate::finding::Finding;

/// GuardDuty's answer about a finding, asked once for all of its targets; none where it is not to be asked.
pub(super) type Verification<'a> = Shared<BoxFuture<'a, Option<Reread>>>;
/// Organizations' answers about the accounts of a finding's actors.
pub(super) type Memberships<'a> = Shared<BoxFuture<'a, BTreeMap<String, Membership>>>;
/// Macie's answer about a bucket.
pub(super) type MaciesWord<'a> = Shared<BoxFuture<'a, MacieAnswer>>;

/// An event may be faster than GuardDuty's own index.
const SECOND_LOOK: Duration = Duration::from_secs(1);

impl Engine<'_> {
    /// Asks GuardDuty for the finding as it has it now. Samples are not worth a question: nothing is done about them.
    pub(super) fn verification<'a>(&'a self, finding: &'a Finding) -> Verification<'a> {
        let asks = self.aws.verifies_findings() && !finding.sample;
        let question = async move {
            if !asks {
                return None;
            }
            let first = guardduty::reread(self.aws, finding).await;
            let answer = match first {
                Reread::Missing(_) => {
                    tokio::time::sleep(SECOND_LOOK).await;
                    guardduty::reread(self.aws, finding).await
                }
                answer => answer,
            };
            Some(answer)
        };
        question.boxed().shared()
    }

    /// Asks Organizations where the actors' accounts belong, if the policy trusts organizations.
    pub(super) fn memberships<'a>(&'a self, finding: &'a Finding) -> Memberships<'a> {
        let question = async move {
            let accounts = accounts_to_ask_about(finding, self.policy);
            let asked = accounts.into_iter().map(|account| async move {
                let answer = organizations::membership(self.aws, account).await;
                (account.to_owned(), answer)
            });
            // A sequence names few actors of other accounts.
            join_all(asked).await.into_iter().collect()
        };
        question.boxed().shared()
    }

    /// Asks Macie about the bucket.
    pub(super) fn macies_word<'a>(&'a self, place: &Place) -> MaciesWord<'a> {
        let place = place.clone();
        async move { macie::describe(self.aws, &place).await }
            .boxed()
            .shared()
    }

    /// What follows from GuardDuty's answer: the finding that counts, and how it stands.
    pub(super) fn verified(
        &self,
        finding: &Arc<Finding>,
        answer: Option<Reread>,
    ) -> (Arc<Finding>, Option<FindingCheck>) {
        let check = |is, because: String| Some(FindingCheck { is, because });
        match answer {
            None => (finding.clone(), None),
            Some(Reread::Unknown(why)) => (finding.clone(), check(Standing::Unknown, why)),
            Some(Reread::Missing(why)) => {
                // Only an administrator's detector has the findings of other accounts, and whether ours is one is known
                // only where somebody named it.
                let knows = self.aws.has_named_detector()
                    || self.own.account.as_ref() == Some(&finding.account);
                let is = if knows {
                    Standing::Missing
                } else {
                    Standing::Unknown
                };
                (finding.clone(), check(is, why))
            }
            Some(Reread::Found(found)) => {
                let newer =
                    found.updated_at > finding.updated_at || found.archived != finding.archived;
                match newer {
                    false => {
                        let because = "GuardDuty has the finding as the event tells it".to_owned();
                        (finding.clone(), check(Standing::Confirmed, because))
                    }
                    true => {
                        let at = found
                            .updated_at
                            .map_or_else(String::new, |at| format!(" (updated {at})"));
                        let because =
                            format!("GuardDuty has the finding in a newer state{at}, which counts");
                        (found, check(Standing::Confirmed, because))
                    }
                }
            }
        }
    }
}

/// Lets a question make progress beside the work, which does not wait for it.
pub(super) async fn beside<T, Q: Clone>(
    question: Option<Shared<BoxFuture<'_, Q>>>,
    work: impl Future<Output = T>,
) -> T {
    let Some(question) = question else {
        return work.await;
    };
    match select(pin!(work), question).await {
        Either::Left((done, _)) => done,
        Either::Right((_, work)) => work.await,
    }
}
