//! What is known of the targets of a finding beside the finding: from the record that was made of it, or from AWS now.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;
use portcullis::backtest::Known;
use portcullis::engine::{Engine, Report};
use portcullis::finding::{Finding, Target};
use portcullis::record::{Record, record_id};
use portcullis::report::{LINE, shown};
use portcullis::store::{RECORDS, Store};
use portcullis::verdict::{Facts, lasting_stops};
use tokio::sync::mpsc::{Receiver, Sender};

use super::parts::Part;
use super::work::{Job, Lookup, Said, for_each_event};
use crate::exit::Failure;
use crate::records;
use crate::session::Session;

/// Targets whose live settings are remembered: findings about one bucket come in swarms.
const REMEMBERED: usize = 256;

/// Whom to ask.
pub(super) struct Informer {
    store: Store,
    /// Hashes of the ids of the records, which are long and may be many.
    recorded: HashSet<u64>,
    hasher: RandomState,
    session: Option<Session>,
    /// By type of finding and target, for what is looked at depends on both.
    remembered: HashMap<(String, String), Lookup>,
}

impl Informer {
    /// Lists what the store has, so that it is not asked for what it does not have. None where nobody could tell anything.
    pub(super) async fn new(
        store: Store,
        session: Option<Session>,
    ) -> Result<Option<Self>, Failure> {
        let keys = store.list(RECORDS).await.map_err(|error| {
            Failure::failed(format!("{error}; with --facts none the store is not asked"))
        })?;
        let hasher = RandomState::new();
        let ids = keys.iter().filter_map(|key| records::id(key));
        let recorded: HashSet<u64> = ids.map(|id| hasher.hash_one(id)).collect();
        let is_of_use = !recorded.is_empty() || session.is_some();
        Ok(is_of_use.then_some(Self {
            store,
            recorded,
            hasher,
            session,
            remembered: HashMap::new(),
        }))
    }

    /// Takes parts, and hands their findings on with what is known of them.
    pub(super) async fn run(mut self, mut parts: Receiver<Job>, jobs: Sender<Job>) {
        let mut number = 0;
        while let Some(job) = parts.recv().await {
            let Job::Part {
                name,
                part:
                    Part::Documents {
                        bytes,
                        line,
                        listed,
                    },
                ..
            } = job
            else {
                if jobs.send(job).await.is_err() {
                    return;
                }
                continue;
            };
            let mut said = Vec::new();
            for_each_event(&bytes, line.unwrap_or(1), listed, |at, event| {
                said.push((line.map(|_| at), Said::of(event)));
                true
            });
            for (line, said) in said {
                let known = match &said {
                    Said::Finding(finding) => self.known(finding).await,
                    _ => Vec::new(),
                };
                let job = Job::Said {
                    name: name.clone(),
                    line,
                    number,
                    said,
                    known,
                };
                number += 1;
                if jobs.send(job).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn known(&mut self, finding: &Finding) -> Vec<Lookup> {
        let mut known = Vec::new();
        for target in &finding.targets {
            let recorded = self.recorded(finding, target).await;
            known.push(match recorded {
                Ok(None) => self.look(finding, target).await,
                recorded => recorded,
            });
        }
        known
    }

    /// What the record of this very delivery holds.
    async fn recorded(&self, finding: &Finding, target: &Target) -> Lookup {
        if finding.updated_at.or(finding.last_seen).is_none() {
            return Ok(None);
        }
        let id = record_id(finding, target, Timestamp::UNIX_EPOCH);
        if !self.recorded.contains(&self.hasher.hash_one(&*id)) {
            return Ok(None);
        }
        match Engine::load(&self.store, &id).await {
            Ok(record) => Ok(Some(of_record(record, false))),
            Err(error) => Err(shown(&error.to_string(), 4 * LINE)),
        }
    }

    /// Looks at a target as `plan` does. Nobody looks at a sample's.
    async fn look(&mut self, finding: &Finding, target: &Target) -> Lookup {
        let Some(session) = self.session.as_ref().filter(|_| !finding.sample) else {
            return Ok(None);
        };
        let key = (finding.kind.clone(), format!("{target:?}"));
        if let Some(remembered) = self.remembered.get(&key) {
            return remembered.clone();
        }
        let alone = Finding {
            targets: vec![target.clone()],
            ..finding.clone()
        };
        let seen = session.engine().preview(&alone).await.into_iter().next();
        let looked = match seen {
            None => Ok(None),
            Some(Report {
                error: Some(error), ..
            }) => Err(shown(&error.to_string(), 4 * LINE)),
            // Our own activity is looked at by nobody.
            Some(report) => Ok(report.record.map(|record| of_record(record, true))),
        };
        if self.remembered.len() >= REMEMBERED {
            self.remembered.clear();
        }
        self.remembered.insert(key, looked.clone());
        looked
    }
}

fn of_record(record: Record, live: bool) -> Known {
    Known {
        stops: lasting_stops(&record),
        facts: Facts {
            settings: record.before,
            enrichment: record.enrichment,
        },
        live,
    }
}
