//! A deployment: what the environment says of mode, store, policy and roles, made into what the engine works with.
//!
//! Both binaries come through here, so that a flag and a variable of the same name mean the same.

use std::sync::Arc;

use aws_config::SdkConfig;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::Mutex;
use tracing::level_filters::LevelFilter;

use crate::aws::{self, Aws, AwsOptions};
use crate::classification::Own;
use crate::policy::{self, Mode, Policy};
use crate::store::{Fetched, POLICY_KEY, Store, StoreError, StoreLocation};
use crate::yaml::{Diagnostic, Severity};

/// What a deployment is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// `PORTCULLIS_MODE`: observe unless it says otherwise.
    pub mode: Mode,
    /// `PORTCULLIS_STORE`.
    pub store: StoreLocation,
    /// `PORTCULLIS_POLICY`: a path, `s3://bucket/key` or `built-in`; otherwise `policy.yaml` in the store, else the built-in.
    pub policy: Option<String>,
    /// `PORTCULLIS_MEMBER_ROLE`: name of the role to assume in other accounts.
    pub member_role: Option<String>,
    /// `PORTCULLIS_EXTERNAL_ID`: what that role's trust asks for.
    pub external_id: Option<String>,
    /// `PORTCULLIS_ROLE_ARN`: the function's role, which every Deny spares.
    pub role_arn: Option<String>,
    /// `PORTCULLIS_DETECTOR_ID`: the detector of the stack's account and Region, through which findings are read again.
    /// Unset, GuardDuty is asked for it; `none` asks nothing, for drills with findings that GuardDuty does not have.
    pub detector: Detector,
    /// `PORTCULLIS_TOPIC_ARN`: the SNS topic for notices; unset, none are sent. The command line sends none.
    pub topic: Option<String>,
    /// `AWS_ENDPOINT_URL_S3_CONTROL`, else `AWS_ENDPOINT_URL`.
    pub s3control_endpoint: Option<String>,
}

/// The detector through which findings are read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detector {
    /// The one that GuardDuty lists.
    Listed,
    /// This one.
    Named(String),
    /// None: findings are taken as they come.
    None,
}

/// A variable of the environment that says something impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct OptionError {
    variable: &'static str,
    problem: String,
}

impl Options {
    /// Reads the environment through `variable`; empty is the same as unset. `default_store` is for the command line.
    pub fn from_env(
        variable: impl Fn(&str) -> Option<String>,
        default_store: Option<&str>,
    ) -> Result<Self, OptionError> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let refuse = |variable, problem: String| Err(OptionError { variable, problem });
        let mode = match set("PORTCULLIS_MODE").as_deref() {
            None => Mode::Observe,
            Some(word) => match Mode::from_word(word) {
                Some(mode) => mode,
                None => {
                    return refuse(
                        "PORTCULLIS_MODE",
                        format!("{word:?} is neither observe nor enforce"),
                    );
                }
            },
        };
        let Some(store) = set("PORTCULLIS_STORE").or(default_store.map(str::to_owned)) else {
            return refuse(
                "PORTCULLIS_STORE",
                "it is not set; set it to s3://bucket or a folder".to_owned(),
            );
        };
        let store = match StoreLocation::parse(&store) {
            Ok(store) => store,
            Err(error) => return refuse("PORTCULLIS_STORE", error.to_string()),
        };
        let member_role = set("PORTCULLIS_MEMBER_ROLE");
        if let Some(role) = member_role.as_ref().filter(|role| role.contains(':')) {
            return refuse(
                "PORTCULLIS_MEMBER_ROLE",
                format!(
                    "{role:?} is an ARN; the name (with its path) is wanted, for it is the same in every account"
                ),
            );
        }
        let external_id = set("PORTCULLIS_EXTERNAL_ID");
        if external_id.as_ref().is_some_and(|id| !is_external_id(id)) {
            return refuse(
                "PORTCULLIS_EXTERNAL_ID",
                "STS takes 2 to 1224 letters, digits and characters of _+=,.@:/- only".to_owned(),
            );
        }
        let role_arn = set("PORTCULLIS_ROLE_ARN");
        if let Some(arn) = role_arn
            .as_ref()
            .filter(|arn| !arn.starts_with("arn:") || !arn.contains(":role/"))
        {
            return refuse(
                "PORTCULLIS_ROLE_ARN",
                format!("{arn:?} is not the ARN of a role"),
            );
        }
        let topic = set("PORTCULLIS_TOPIC_ARN");
        if let Some(arn) = topic.as_ref().filter(|arn| !is_topic(arn)) {
            return refuse(
                "PORTCULLIS_TOPIC_ARN",
                format!("{arn:?} is not the ARN of a standard SNS topic"),
            );
        }
        let s3control_endpoint =
            set("AWS_ENDPOINT_URL_S3_CONTROL").or_else(|| set("AWS_ENDPOINT_URL"));
        Ok(Self {
            mode,
            store,
            policy: set("PORTCULLIS_POLICY"),
            member_role,
            external_id,
            role_arn,
            detector: match set("PORTCULLIS_DETECTOR_ID") {
                None => Detector::Listed,
                Some(word) if word == "none" => Detector::None,
                Some(id) => Detector::Named(id),
            },
            topic,
            s3control_endpoint,
        })
    }

    /// Who we are as far as the options say, without a call; none where they don't.
    pub fn own(&self) -> Option<Own> {
        let arn = self.role_arn.as_ref()?;
        Some(Own {
            principals: vec![arn.clone()],
            account: arn.split(':').nth(4).map(str::to_owned),
        })
    }

    /// AWS, as `own` reaches it.
    pub fn aws(&self, config: SdkConfig, own: &Own) -> Aws {
        let options = AwsOptions {
            member_role: self.member_role.clone(),
            external_id: self.external_id.clone(),
            own_account: own.account.clone(),
            verify_findings: self.detector != Detector::None,
            detector: match &self.detector {
                Detector::Named(id) => Some(id.clone()),
                Detector::Listed | Detector::None => None,
            },
            s3control_endpoint: self.s3control_endpoint.clone(),
        };
        Aws::new(config, options)
    }

    /// The store.
    pub fn open_store(&self, config: &SdkConfig) -> Store {
        self.store.open(|| aws::store_client(config))
    }
}

/// The least level that is logged, by the first of the variables that is set; none where none is. The words are those of Lambda's
/// `AWS_LAMBDA_LOG_LEVEL`, in any case.
pub fn log_level(
    names: &[&'static str],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<LevelFilter>, OptionError> {
    let set = |name: &&'static str| {
        let value = variable(name).filter(|value| !value.trim().is_empty())?;
        Some((*name, value))
    };
    let Some((variable, word)) = names.iter().find_map(set) else {
        return Ok(None);
    };
    let level = match word.trim().to_ascii_lowercase().as_str() {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warn" => LevelFilter::WARN,
        "error" | "fatal" => LevelFilter::ERROR,
        _ => {
            let problem = format!("{word:?} is none of trace, debug, info, warn, error and fatal");
            return Err(OptionError { variable, problem });
        }
    };
    Ok(Some(level))
}

/// What STS takes as an external id.
fn is_external_id(text: &str) -> bool {
    let taken = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
    (2..=1224).contains(&text.len()) && text.chars().all(taken)
}

/// `arn:aws:sns:us-east-1:111122223333:notices`. A FIFO topic's name has a dot; no chat and no e-mail can subscribe to it.
fn is_topic(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", _, "sns", region, account, name] = parts[..] else {
        return false;
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !region.is_empty()
        && account.len() == 12
        && account.chars().all(|c| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(is_name)
}

/// The policy that serves now. A warm process asks the store only whether it has changed, and a policy that is not valid
/// never takes effect.
#[derive(Debug, Default)]
pub struct PolicySource {
    last: Mutex<Option<Last>>,
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
    /// The only policy there is, is not valid.
    #[error("the policy is not valid: {0}")]
    Invalid(String),
}

impl PolicySource {
    /// The policy that served last, and when the store was asked for it; none before the first time.
    pub async fn last(&self) -> Option<(Arc<Policy>, Timestamp)> {
        let last = self.last.lock().await;
        last.as_ref().map(|last| (last.policy.clone(), last.at))
    }

    /// Whether the policy file was not valid when it was last asked for, and another policy serves instead.
    pub async fn is_invalid(&self) -> bool {
        let last = self.last.lock().await;
        last.as_ref().is_some_and(|last| last.invalid.is_some())
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
        let mut last = self.last.lock().await;
        let known = last.as_ref().and_then(|last| last.etag.clone());
        let (name, place, fetched) = fetch(options, store, config, known.as_deref()).await?;
        let next = match (fetched, last.take()) {
            (Fetched::Unchanged, Some(last)) => Last { at: now, ..last },
            (Fetched::Unchanged | Fetched::Absent, _) => Last {
                at: now,
                etag: None,
                policy: Arc::new(Policy::built_in()),
                invalid: None,
            },
            (Fetched::New(object), last) => {
                let (policy, errors) = parse(&name, &object.bytes, now);
                match (policy, last) {
                    (Some(policy), _) => Last {
                        at: now,
                        etag: Some(object.etag),
                        policy: Arc::new(policy),
                        invalid: None,
                    },
                    (None, last) => Last {
                        at: now,
                        etag: Some(object.etag),
                        policy: last
                            .map_or_else(|| Arc::new(Policy::built_in()), |last| last.policy),
                        invalid: Some(Invalid { place, errors }),
                    },
                }
            }
        };
        let serving = Serving {
            policy: next.policy.clone(),
            invalid: next.invalid.clone(),
        };
        *last = Some(next);
        Ok(serving)
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
            let object = crate::store::Object {
                bytes,
                etag: String::new(),
                modified: None,
            };
            Ok((named(path), path.to_owned(), Fetched::New(object)))
        }
    }
}
