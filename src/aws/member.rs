//! The role that we assume in the account of a bucket that is not our own.
//!
//! Assumed credentials are kept here and not in the SDK's cache, for whether the role lets us in has to be known before
//! anything is asked with it: afterwards an account that has no role looks like one that denies every read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::config::Credentials;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use super::{AwsError, Meaning, Place};

/// The shortest session that STS gives. What leaks from the function's memory is worth no more than this.
const SESSION: Duration = Duration::from_mins(15);
/// How long a session must last to be used, more than an invocation takes.
const LEFT: Duration = Duration::from_mins(2);
/// STS says the same of a role that does not exist as of one that does not trust us.
const REFUSALS: [&str; 2] = ["AccessDenied", "RegionDisabledException"];

/// The role in every other account, and our sessions of it.
#[derive(Debug)]
pub(super) struct Members {
    config: SdkConfig,
    own_account: Option<String>,
    role: Option<String>,
    external_id: Option<String>,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
}

impl Members {
    /// Makes no call.
    pub(super) fn new(
        config: SdkConfig,
        own_account: Option<String>,
        role: Option<String>,
        external_id: Option<String>,
    ) -> Self {
        Self {
            config,
            own_account,
            role,
            external_id,
            sessions: Mutex::default(),
        }
    }

    /// Whether there is a role to be assumed in `account`, or no need of one. The role itself may say otherwise.
    pub(super) fn covers(&self, account: &str) -> bool {
        self.role.is_some() || self.own_account.as_deref().is_none_or(|own| own == account)
    }

    /// Whether `account` is known to be our own.
    pub(super) fn is_own(&self, account: &str) -> bool {
        self.own_account.as_deref() == Some(account)
    }

    /// The role to assume where `place` is, if it is in another account.
    pub(super) fn role_in(&self, place: &Place) -> Option<String> {
        let role = self.role.as_ref()?;
        let foreign = !self.is_own(&place.account);
        foreign.then(|| format!("arn:{}:iam::{}:role/{role}", place.partition, place.account))
    }

    /// Assumes the role where `place` is, unless a session lasts. `Err` says who did not let us in.
    pub(super) async fn enter(&self, place: &Place) -> Result<(), AwsError> {
        match self.session(place) {
            Some(session) => session.credentials().await.map(drop),
            None => Ok(()),
        }
    }

    /// The configuration for where `place` is.
    pub(super) fn config(&self, place: &Place) -> SdkConfig {
        let Some(session) = self.session(place) else {
            return self.config.clone();
        };
        let session: Arc<dyn ProvideCredentials> = session;
        let config = self.config.clone().into_builder();
        config
            .credentials_provider(SharedCredentialsProvider::new(session))
            .identity_cache(IdentityCache::no_cache())
            .build()
    }

    fn session(&self, place: &Place) -> Option<Arc<Session>> {
        let role = self.role_in(place)?;
        let new = || {
            Arc::new(Session {
                sts: aws_sdk_sts::Client::new(&self.config),
                // Who looks at the member's CloudTrail sees from where we came.
                name: match &self.own_account {
                    Some(own) => format!("portcullis-{own}"),
                    None => "portcullis".to_owned(),
                },
                role: role.clone(),
                external_id: self.external_id.clone(),
                last: Mutex::default(),
            })
        };
        // A lock that a panic poisoned costs no more than a session that is not kept.
        let Ok(mut sessions) = self.sessions.lock() else {
            return Some(new());
        };
        let session = sessions.entry(role.clone()).or_insert_with(new);
        Some(session.clone())
    }
}

/// One account's role, and the session that we have of it.
#[derive(Debug)]
struct Session {
    sts: aws_sdk_sts::Client,
    role: String,
    name: String,
    external_id: Option<String>,
    last: Mutex<Option<Assumed>>,
}

/// A call that is on its way, or its answer. Whoever waits for it also drives it, so that nobody waits for a call that
/// somebody else has given up.
type Assumed = Shared<BoxFuture<'static, Result<Credentials, AwsError>>>;

impl Session {
    async fn credentials(&self) -> Result<Credentials, AwsError> {
        let assumed = match self.last.lock() {
            Ok(mut last) => match last.as_ref().filter(|assumed| serves(assumed)) {
                Some(assumed) => assumed.clone(),
                None => last.insert(self.assume()).clone(),
            },
            Err(_) => self.assume(),
        };
        assumed.await
    }

    fn assume(&self) -> Assumed {
        let resource = format!("role {}", self.role);
        let request = self.sts.assume_role().role_arn(&self.role);
        let request = request
            .role_session_name(&self.name)
            .set_external_id(self.external_id.clone())
            .duration_seconds(i32::try_from(SESSION.as_secs()).unwrap_or(i32::MAX));
        let answer = async move {
            let answer = request.send().await.map_err(|error| {
                let error = AwsError::new("AssumeRole", &resource, &error);
                match REFUSALS.contains(&error.code.as_str()) {
                    true => AwsError {
                        meaning: Meaning::NotLetIn,
                        ..error
                    },
                    false => error,
                }
            })?;
            let given = answer.credentials.ok_or_else(|| AwsError {
                operation: "AssumeRole",
                resource,
                code: "no credentials".to_owned(),
                message: None,
                meaning: Meaning::Other,
            })?;
            Ok(Credentials::new(
                given.access_key_id,
                given.secret_access_key,
                Some(given.session_token),
                SystemTime::try_from(given.expiration).ok(),
                "member role",
            ))
        };
        answer.boxed().shared()
    }
}

/// Whether a call need not be made again: it is on its way, or what it brought lasts for as long as an invocation.
fn serves(assumed: &Assumed) -> bool {
    let lasts = |credentials: &Credentials| {
        let soon = SystemTime::now().checked_add(LEFT);
        credentials.expiry().is_some_and(|end| Some(end) > soon)
    };
    match assumed.peek() {
        None => true,
        Some(answer) => answer.as_ref().is_ok_and(lasts),
    }
}

impl ProvideCredentials for Session {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let credentials = self.credentials();
        future::ProvideCredentials::new(async {
            credentials.await.map_err(CredentialsError::provider_error)
        })
    }
}
