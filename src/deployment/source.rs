//! The policy that serves: fetched, parsed when there is time for it, and kept for as long as the store says that it is the same.

use std::sync::Arc;

use aws_config::SdkConfig;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::{Mutex, MutexGuard};

use super::Options;
use crate::aws;
use crate::policy::{self, Policy};
use crate::store::{Fetched, Object, POLICY_KEY, Store, StoreError, StoreLocation};
use crate::yaml::{Diagnostic, Severity};

/// The policy that serves now. A warm process asks the store only whether it has changed, and a policy that is not valid
/// never takes effect.
#[derive(Debug, Default)]
pub struct PolicySource {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Last>,
    /// What was fetched and not yet parsed.
    fetched: Option<Unparsed>,
}

#[derive(Debug)]
struct Unparsed {
    at: Timestamp,
    name: String,
    place: String,
    object: Object,
}

#[derive(Debug, Clone)]
struct Last {
    at: Timestamp,
    etag: Option<String>,
    policy: Arc<Policy>,
    invalid: Option<Invalid>,
}

/// The policy that serves, and what is wrong with the one that should.
#[derive(Debug, Clone)]
pub struct Serving {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Set while a policy file is there that is not valid.
    pub invalid: Option<Invalid>,
}

/// A policy file that cannot take effect.
#[derive(Debug, Clone)]
pub struct Invalid {
    /// Where it is.
    pub place: String,
    /// Its errors.
    pub errors: Vec<String>,
}

/// Why there is no policy to work by.
#[derive(Debug, thiserror::Error)]
pub enum PolicySourceError {
    /// The store, or the bucket of `PORTCULLIS_POLICY`, could not be read.
    #[error("the policy could not be read: {0}")]
    Store(#[from] StoreError),
    /// The file of `PORTCULLIS_POLICY` could not be read.
    #[error("the policy {path} could not be read: {error}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is named, and is not there.
    #[error("there is no policy at {0}; upload one, or unset PORTCULLIS_POLICY")]
    Missing(String),
}

impl PolicySource {
    /// The policy that served last, and when the store was asked for it; none before the first time.
    pub async fn last(&self) -> Option<(Arc<Policy>, Timestamp)> {
        let state = self.settled().await;
        let last = state.last.as_ref();
        last.map(|last| (last.policy.clone(), last.at))
    }

    /// The same, with what is wrong with the one that should serve.
    pub async fn last_serving(&self) -> Option<Serving> {
        let state = self.settled().await;
        state.last.as_ref().map(Last::serving)
    }

    /// The policy that serves now.
    ///
    /// No file at all means the built-in policy. A file that is not valid leaves the last valid one serving; where this
    /// process has seen none, the built-in serves in observe mode, for a containment that nobody configured is no
    /// containment that anybody wants.
    pub async fn current(
        &self,
        options: &Options,
        store: &Store,
        config: &SdkConfig,
        now: Timestamp,
    ) -> Result<Serving, PolicySourceError> {
        let mut state = self.settled().await;
        state.ask(options, store, config, now).await?;
        state.settle();
        let last = state.last.get_or_insert_with(|| Last::built_in(now));
        Ok(last.serving())
    }

    /// Fetches the policy, and leaves it to whoever asks for it next to parse it.
    pub async fn begin(
        &self,
        options: &Options,
        store: &Store,
        config: &SdkConfig,
        now: Timestamp,
    ) -> Result<(), PolicySourceError> {
        let mut state = self.settled().await;
        state.ask(options, store, config, now).await
    }

    async fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().await;
        state.settle();
        state
    }
}

impl State {
    async fn ask(
        &mut self,
        options: &Options,
        store: &Store,
        config: &SdkConfig,
        now: Timestamp,
    ) -> Result<(), PolicySourceError> {
        let known = self.last.as_ref().and_then(|last| last.etag.clone());
        let (name, place, fetched) = fetch(options, store, config, known.as_deref()).await?;
        match (fetched, &mut self.last) {
            (Fetched::Unchanged, Some(last)) => last.at = now,
            (Fetched::Unchanged | Fetched::Absent, last) => *last = Some(Last::built_in(now)),
            (Fetched::New(object), _) => {
                self.fetched = Some(Unparsed {
                    at: now,
                    name,
                    place,
                    object,
                });
            }
        }
        Ok(())
    }

    /// Parses what was fetched, if anything was.
    fn settle(&mut self) {
        let Some(fetched) = self.fetched.take() else {
            return;
        };
        let Unparsed {
            at,
            name,
            place,
            object,
        } = fetched;
        let (policy, errors) = parse(&name, &object.bytes, at);
        let (policy, invalid) = match (policy, self.last.take()) {
            (Some(policy), _) => (Arc::new(policy), None),
            (None, Some(last)) => (last.policy, Some(Invalid { place, errors })),
            (None, None) => {
                let built_in = Arc::new(Policy::built_in());
                (built_in, Some(Invalid { place, errors }))
            }
        };
        self.last = Some(Last {
            at,
            etag: Some(object.etag),
            policy,
            invalid,
        });
    }
}

impl Last {
    fn built_in(at: Timestamp) -> Self {
        Self {
            at,
            etag: None,
            policy: Arc::new(Policy::built_in()),
            invalid: None,
        }
    }

    fn serving(&self) -> Serving {
        Serving {
            policy: self.policy.clone(),
            invalid: self.invalid.clone(),
        }
    }
}

/// Loads a policy and gives its errors as text, warnings left out.
fn parse(name: &str, bytes: &[u8], now: Timestamp) -> (Option<Policy>, Vec<String>) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return (None, vec!["the file is not UTF-8 text".to_owned()]);
    };
    let loaded = policy::load(name, text, TimeZone::UTC.to_datetime(now).date());
    let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
    let errors = loaded
        .diagnostics
        .iter()
        .filter(is_error)
        .map(|diagnostic| {
            format!(
                "{name}:{}:{}: {}",
                diagnostic.line, diagnostic.column, diagnostic.message
            )
        });
    (loaded.policy, errors.collect())
}

async fn fetch(
    options: &Options,
    store: &Store,
    config: &SdkConfig,
    etag: Option<&str>,
) -> Result<(String, String, Fetched), PolicySourceError> {
    let named = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    match options.policy.as_deref() {
        None => Ok((
            POLICY_KEY.to_owned(),
            store.place(POLICY_KEY),
            store.get_if_changed(POLICY_KEY, etag).await?,
        )),
        Some("built-in") => Ok((
            "built-in".to_owned(),
            "built-in".to_owned(),
            Fetched::Absent,
        )),
        Some(url) if url.starts_with("s3://") => {
            let missing = || PolicySourceError::Missing(url.to_owned());
            let (root, key) = url
                .rsplit_once('/')
                .filter(|(root, _)| root.len() > "s3://".len())
                .ok_or_else(missing)?;
            let location = StoreLocation::parse(root).map_err(|_| missing())?;
            match location
                .open(|| aws::store_client(config))
                .get_if_changed(key, etag)
                .await?
            {
                Fetched::Absent => Err(missing()),
                fetched => Ok((named(url), url.to_owned(), fetched)),
            }
        }
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|error| PolicySourceError::File {
                path: path.to_owned(),
                error,
            })?;
            let object = Object {
                bytes,
                etag: String::new(),
                modified: None,
            };
            Ok((named(path), path.to_owned(), Fetched::New(object)))
        }
    }
}
