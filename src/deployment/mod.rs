//! A deployment: what the environment says of mode, store, policy and roles, made into what the engine works with.
//!
//! Both binaries come through here, so that a flag and a variable of the same name mean the same.

mod source;

use aws_config::SdkConfig;
use tracing::level_filters::LevelFilter;

pub use source::{Invalid, PolicySource, PolicySourceError, Serving};

use crate::aws::{self, Aws, AwsOptions};
use crate::classification::Own;
use crate::policy::Mode;
use crate::store::{Store, StoreLocation};

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
