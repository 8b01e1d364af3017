//! What a verb works with: the options, the store, the policy, and AWS where it is needed.

use std::sync::Arc;

use aws_config::SdkConfig;
use jiff::Timestamp;
use portcullis::aws::{self, Aws, AwsError, Caller, Meaning};
use portcullis::classification::Own;
use portcullis::deployment::{Options, PolicySource, log_level};
use portcullis::engine::{Engine, EngineError, OPERATOR_TIME, RollbackError};
use portcullis::policy::{Mode, Policy};
use portcullis::record::{Record, RunResult};
pub(crate) use portcullis::report::quoted;
use portcullis::report::{Account, LINE, shown};
use portcullis::store::{Store, StoreLocation, result_key};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::{Deployment, PolicyArgs, RoleArgs, StoreArgs};
use crate::exit::Failure;
use crate::out::Out;

/// Where records are kept unless the command line or the environment says otherwise.
pub(crate) const DEFAULT_STORE: &str = ".portcullis";

/// What the verbs that reach AWS work with.
pub(crate) struct Session {
    pub(crate) aws: Aws,
    pub(crate) caller: Caller,
    pub(crate) store: Store,
    pub(crate) policy: Arc<Policy>,
}

impl Session {
    /// Loads credentials, asks whose they are, opens the store and reads the policy.
    pub(crate) async fn open(args: &Deployment) -> Result<Self, Failure> {
        let options = options(&args.store, Some(&args.policy), Some(&args.roles))?;
        let (config, caller) = connect(&options).await?;
        let store = options.open_store(&config);
        let policy = policy(&options, &store, &config).await?;
        let aws = options.aws(config, &caller.own);
        Ok(Self {
            aws,
            caller,
            store,
            policy,
        })
    }

    /// The same where no policy decides: for a rollback, which rests on the record alone, and must not be stopped by a
    /// policy file that is not valid.
    pub(crate) async fn open_without_policy(
        store: &StoreArgs,
        roles: Option<&RoleArgs>,
    ) -> Result<Self, Failure> {
        let options = options(store, None, roles)?;
        let (config, caller) = connect(&options).await?;
        let store = options.open_store(&config);
        let aws = options.aws(config, &caller.own);
        Ok(Self {
            aws,
            caller,
            store,
            policy: Arc::new(Policy::built_in()),
        })
    }

    /// The engine as an operator's command uses it: an order by hand overrides the modes of the policy file.
    pub(crate) fn engine(&self) -> Engine<'_> {
        let now = Timestamp::now();
        Engine {
            aws: &self.aws,
            store: &self.store,
            policy: &self.policy,
            stack_mode: Mode::Enforce,
            own: &self.caller.own,
            operator: Some(&self.caller.arn),
            confirmed: None,
            policy_stands: None,
            clock: Timestamp::now,
            deadline: now.saturating_add(OPERATOR_TIME).unwrap_or(now),
        }
    }
}

/// AWS as the credentials have it, for what needs neither store nor policy.
pub(crate) async fn open_aws() -> Result<Aws, Failure> {
    let variable = |name: &str| match name {
        name if name.starts_with("AWS_") || name == "PORTCULLIS_DETECTOR_ID" => {
            std::env::var(name).ok()
        }
        _ => None,
    };
    let options = Options::from_env(variable, Some(DEFAULT_STORE)).map_err(Failure::usage)?;
    let (config, caller) = connect(&options).await?;
    Ok(options.aws(config, &caller.own))
}

/// The options, from flags where there are flags and from the environment otherwise.
pub(crate) fn options(
    store: &StoreArgs,
    policy: Option<&PolicyArgs>,
    roles: Option<&RoleArgs>,
) -> Result<Options, Failure> {
    let variable = |name: &str| match name {
        "PORTCULLIS_STORE" => Some(store.store.clone()),
        "PORTCULLIS_POLICY" => policy
            .and_then(|policy| policy.policy.clone())
            .map(stdin_as_file),
        "PORTCULLIS_MEMBER_ROLE" => roles.and_then(|roles| roles.member_role.clone()),
        "PORTCULLIS_EXTERNAL_ID" => roles.and_then(|roles| roles.external_id.clone()),
        "PORTCULLIS_ROLE_ARN" => roles.and_then(|roles| roles.role_arn.clone()),
        // An operator's command has no mode of its own.
        "PORTCULLIS_MODE" => None,
        _ => std::env::var(name).ok(),
    };
    Options::from_env(variable, Some(DEFAULT_STORE)).map_err(Failure::usage)
}

/// The store without AWS, unless it is in S3.
pub(crate) async fn open_store(args: &StoreArgs) -> Result<Store, Failure> {
    let options = options(args, None, None)?;
    let config = config_if(matches!(options.store, StoreLocation::S3 { .. })).await;
    Ok(options.open_store(&config))
}

/// The store, and in whose name it is written to.
pub(crate) struct Operator {
    pub(crate) store: Store,
    /// The ARN of the credentials; where the store is a folder, the user of this machine, as the environment says.
    pub(crate) name: String,
    pub(crate) own: Own,
}

/// The store and who is at work: whose credentials they are, where the store is in S3.
pub(crate) async fn open_store_as(args: &StoreArgs) -> Result<Operator, Failure> {
    let options = options(args, None, None)?;
    if !matches!(options.store, StoreLocation::S3 { .. }) {
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
        return Ok(Operator {
            store: options.open_store(&SdkConfig::builder().build()),
            name: user.map_or_else(
                |_| "a local user".to_owned(),
                |user| format!("local user {user}"),
            ),
            own: Own::default(),
        });
    }
    let (config, caller) = connect(&options).await?;
    Ok(Operator {
        store: options.open_store(&config),
        name: caller.arn,
        own: Own {
            // The function decides about findings, not the person at work.
            principals: Vec::new(),
            account: caller.own.account,
        },
    })
}

/// The policy without AWS, unless it is in S3.
pub(crate) async fn open_policy(
    store: &StoreArgs,
    policy_args: &PolicyArgs,
) -> Result<Arc<Policy>, Failure> {
    let mut options = options(store, Some(policy_args), None)?;
    let in_s3 = match &options.policy {
        Some(policy) => policy.starts_with("s3://"),
        None => matches!(options.store, StoreLocation::S3 { .. }),
    };
    if !in_s3 && matches!(options.store, StoreLocation::S3 { .. }) {
        // A policy that is named is not looked for in the store, which then need not be reached.
        options.store = StoreLocation::Folder(DEFAULT_STORE.into());
    }
    let config = config_if(in_s3).await;
    let store = options.open_store(&config);
    policy(&options, &store, &config).await
}

/// A record and what became of it.
pub(crate) async fn load(store: &Store, id: &str) -> Result<Account, Failure> {
    let record: Record = Engine::load(store, id).await.map_err(record_failure)?;
    let key = result_key(id).map_err(Failure::invalid)?;
    let object = store.get(&key).await.map_err(Failure::failed)?;
    let result: Option<RunResult> = match object {
        None => None,
        Some(object) => Some(serde_json::from_slice(&object.bytes).map_err(|error| {
            Failure::invalid(format!("{} cannot be read: {error}", store.place(&key)))
        })?),
    };
    Ok(Account::new(record, result))
}

/// What a record's or a rollback's error means for the command.
pub(crate) fn record_failure(error: RollbackError) -> Failure {
    let message = match &error {
        // No key, no read: "nothing was changed" would puzzle whoever only wants to look.
        RollbackError::Engine(EngineError::Key(error)) => error.to_string(),
        RollbackError::Engine(error) => {
            return Failure::failed(shown(&error.to_string(), 8 * LINE));
        }
        _ => error.to_string(),
    };
    Failure::invalid(shown(&message, 8 * LINE))
}

/// What the engine has to tell beside its results goes to standard error: warnings, or what `PORTCULLIS_LOG` asks for.
pub(crate) fn log_to_stderr() -> Result<(), Failure> {
    let level = log_level(&["PORTCULLIS_LOG"], |name| std::env::var(name).ok());
    let level = level.map_err(Failure::usage)?;
    let told = match level {
        Some(level) => Targets::new().with_default(level),
        // What the SDK warns of comes back as an error where it matters.
        None => Targets::new().with_target("portcullis", LevelFilter::WARN),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .with_ansi(false);
    // A second subscriber in one process would only be refused.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(told)
        .try_init();
    Ok(())
}

/// Where an operator stands with their flags, for the command that comes next.
pub(crate) fn flags(args: &Deployment) -> String {
    let mut text = String::new();
    let mut add = |flag: &str, variable: &str, value: Option<&str>| {
        let value = value.filter(|value| std::env::var(variable).as_deref() != Ok(value));
        if let Some(value) = value {
            text += &format!(" --{flag} {}", quoted(value));
        }
    };
    add(
        "store",
        "PORTCULLIS_STORE",
        Some(args.store.store.as_str()).filter(|store| *store != DEFAULT_STORE),
    );
    add("policy", "PORTCULLIS_POLICY", args.policy.policy.as_deref());
    add(
        "member-role",
        "PORTCULLIS_MEMBER_ROLE",
        args.roles.member_role.as_deref(),
    );
    add(
        "external-id",
        "PORTCULLIS_EXTERNAL_ID",
        args.roles.external_id.as_deref(),
    );
    add(
        "role-arn",
        "PORTCULLIS_ROLE_ARN",
        args.roles.role_arn.as_deref(),
    );
    text
}

/// Tells which policy decides where nobody named one.
pub(crate) fn tell_built_in(policy: &Policy, args: &PolicyArgs, out: &mut Out) {
    let is_named = args
        .policy
        .as_ref()
        .is_some_and(|policy| !policy.trim().is_empty());
    if policy.name == "built-in" && !is_named {
        out.note("there is no policy in the store, so the built-in one decides; name yours with --policy");
    }
}

async fn policy(
    options: &Options,
    store: &Store,
    config: &SdkConfig,
) -> Result<Arc<Policy>, Failure> {
    let serving = PolicySource::default()
        .current(options, store, config, Timestamp::now())
        .await;
    let serving = serving.map_err(|error| match error {
        portcullis::deployment::PolicySourceError::Store(_) => Failure::failed(error),
        _ => Failure::invalid(error),
    })?;
    // The deployed function goes on with the last valid policy; a person can put the file right first.
    if let Some(invalid) = serving.invalid {
        let first = invalid
            .errors
            .first()
            .map(|error| shown(error, 2 * LINE))
            .unwrap_or_default();
        let more = invalid.errors.len().saturating_sub(1);
        let more = if more > 0 {
            format!(" (and {more} more)")
        } else {
            String::new()
        };
        let message = format!(
            "the policy {} is not valid: {first}{more}\n       `portcullis validate` shows each mistake in its place",
            shown(&invalid.place, LINE)
        );
        return Err(Failure::invalid(message));
    }
    Ok(serving.policy)
}

/// Loads what AWS is reached with, and asks whose it is.
async fn connect(options: &Options) -> Result<(SdkConfig, Caller), Failure> {
    let config = aws::load_config().await;
    if config.region().is_none() {
        let message = "no AWS Region is set; set AWS_REGION, or a region in the profile that AWS_PROFILE names";
        return Err(Failure::failed(message));
    }
    let mut caller = aws::caller(&config)
        .await
        .map_err(|error| no_identity(&error))?;
    caller.own.principals.extend(options.role_arn.clone());
    Ok((config, caller))
}

async fn config_if(wanted: bool) -> SdkConfig {
    if wanted {
        aws::load_config().await
    } else {
        SdkConfig::builder().build()
    }
}

fn stdin_as_file(policy: String) -> String {
    if policy == "-" {
        "/dev/stdin".to_owned()
    } else {
        policy
    }
}

/// Credentials are what is missing most often, and the SDK says so in many words.
fn no_identity(error: &AwsError) -> Failure {
    let says = |word: &str| {
        error
            .message
            .as_ref()
            .is_some_and(|message| message.to_lowercase().contains(word))
    };
    if error.meaning == Meaning::NoAnswer && says("credential") {
        let message = "there are no AWS credentials, or they have expired; set AWS_PROFILE, or sign in with `aws sso login`";
        return Failure::failed(message);
    }
    Failure::failed(format!(
        "AWS does not say whose credentials these are: {}",
        shown(&error.to_string(), 4 * LINE)
    ))
}
