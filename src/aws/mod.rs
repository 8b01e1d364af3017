//! AWS, in one place: clients, the reads and writes of settings, and what errors mean.
//!
//! Nothing outside this module and `store` knows the SDK. Clients are built when they are first needed and share one HTTP
//! client, so that a finding costs no more connections than the services it touches.

mod access_points;
mod body;
mod error;
pub mod guardduty;
pub mod macie;
pub mod organizations;
mod quick;
mod region;
mod session;
mod settings;
pub mod sns;
mod xml;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls;

use crate::classification::Own;
use crate::enrichment::Membership;

pub use error::{AwsError, Meaning};
pub use region::bucket_region;
pub use session::{Caller, caller, identity};
pub use settings::{Place, read, write};

/// Clients for every account and Region that a finding may name.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    own_account: Option<String>,
    member_role: Option<String>,
    verify_findings: bool,
    detector: Option<String>,
    /// What Organizations said of accounts.
    memberships: Mutex<HashMap<String, Membership>>,
    /// Our own detectors by Region, as GuardDuty listed them.
    detectors: Mutex<HashMap<String, String>>,
    s3control_endpoint: Option<String>,
    /// Configurations of other accounts: assumed credentials live in them and are reused until they expire.
    members: Mutex<HashMap<String, SdkConfig>>,
    /// Clients by account and Region, made once.
    s3: Mutex<HashMap<(String, String), aws_sdk_s3::Client>>,
}

/// How the program reaches AWS.
#[derive(Debug, Clone, Default)]
pub struct AwsOptions {
    /// Name of the role to assume in other accounts.
    pub member_role: Option<String>,
    /// The account that we run in; buckets of others need `member_role`.
    pub own_account: Option<String>,
    /// Whether GuardDuty is asked if it has a finding before anything is done about it.
    pub verify_findings: bool,
    /// The stack's own detector; a member's finding is read through it, never through the member's.
    pub detector: Option<String>,
    /// A fixed endpoint for s3control, whose own rules put the account id in front of the host name.
    pub s3control_endpoint: Option<String>,
}

/// No AWS call of ours takes longer, retries included. The SDK itself sets no limit on reads.
const OPERATION: Duration = Duration::from_secs(12);
const ATTEMPT: Duration = Duration::from_secs(4);
const CONNECT: Duration = Duration::from_secs(2);

/// Loads credentials, Region and endpoints the way every AWS tool does, without a single call.
pub async fn load_config() -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(ATTEMPT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts);
    // The default chain builds an STS client before it asks the environment, which on Lambda always has the answer.
    match std::env::var_os("AWS_LAMBDA_RUNTIME_API") {
        Some(_) => {
            loader
                .credentials_provider(EnvironmentVariableCredentialsProvider::new())
                .load()
                .await
        }
        None => loader.load().await,
    }
}

impl Aws {
    /// Takes a loaded configuration; makes no call and builds no client.
    pub fn new(config: SdkConfig, options: AwsOptions) -> Self {
        Self {
            config,
            own_account: options.own_account,
            member_role: options.member_role,
            verify_findings: options.verify_findings,
            detector: options.detector,
            memberships: Mutex::default(),
            detectors: Mutex::default(),
            s3control_endpoint: options.s3control_endpoint,
            members: Mutex::default(),
            s3: Mutex::default(),
        }
    }

    /// The configuration of our own account.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Whether GuardDuty is asked if it has a finding.
    pub fn verifies_findings(&self) -> bool {
        self.verify_findings
    }

    /// Whether somebody named the detector to ask, so that what it does not have is known not to be.
    pub fn has_named_detector(&self) -> bool {
        self.detector.is_some()
    }

    /// Whether buckets of `account` are within reach.
    pub fn reaches(&self, account: &str) -> bool {
        self.member_role.is_some() || self.own_account.as_deref().is_none_or(|own| own == account)
    }

    /// Who we are where `place` is: in another account, also the role that we assume there.
    pub fn acting_as(&self, own: &Own, place: &Place) -> Own {
        let arn = self.member_role_in(place);
        Own {
            principals: own.principals.iter().cloned().chain(arn).collect(),
            account: own.account.clone(),
        }
    }

    /// An S3 client for an account and Region.
    pub async fn s3(&self, place: &Place) -> aws_sdk_s3::Client {
        let key = (place.account.clone(), place.region.clone());
        if let Some(client) = self
            .s3
            .lock()
            .ok()
            .and_then(|clients| clients.get(&key).cloned())
        {
            return client;
        }
        let config = self.member(place).await;
        let builder =
            aws_sdk_s3::config::Builder::from(&config).region(Region::new(place.region.clone()));
        // What is asked of directory buckets is asked of the Region, which knows no sessions; with a fixed endpoint the SDK
        // would create one first.
        let builder = builder.disable_s3_express_session_auth(true);
        // Stand-ins have no host name for each bucket.
        let client =
            aws_sdk_s3::Client::from_conf(builder.force_path_style(has_endpoint(&config)).build());
        if let Ok(mut clients) = self.s3.lock() {
            clients.insert(key, client.clone());
        }
        client
    }

    /// An s3control client for an account and Region.
    pub async fn s3control(&self, place: &Place) -> aws_sdk_s3control::Client {
        let config = self.member(place).await;
        let mut builder = aws_sdk_s3control::config::Builder::from(&config)
            .region(Region::new(place.region.clone()));
        if let Some(url) = &self.s3control_endpoint {
            builder = builder.endpoint_resolver(session::FixedEndpoint(url.clone()));
        }
        aws_sdk_s3control::Client::from_conf(builder.build())
    }

    /// The role to assume where `place` is, if it is in another account.
    fn member_role_in(&self, place: &Place) -> Option<String> {
        let role = self.member_role.as_ref()?;
        let foreign = self.own_account.as_ref() != Some(&place.account);
        foreign.then(|| format!("arn:{}:iam::{}:role/{role}", place.partition, place.account))
    }

    async fn member(&self, place: &Place) -> SdkConfig {
        let Some(arn) = self.member_role_in(place) else {
            return self.config.clone();
        };
        if let Some(config) = self
            .members
            .lock()
            .ok()
            .and_then(|members| members.get(&place.account).cloned())
        {
            return config;
        }
        let credentials = AssumeRoleProvider::builder(arn)
            .session_name("portcullis")
            .configure(&self.config)
            .build()
            .await;
        let config = self
            .config
            .clone()
            .into_builder()
            .credentials_provider(aws_sdk_s3::config::SharedCredentialsProvider::new(
                credentials,
            ))
            .build();
        if let Ok(mut members) = self.members.lock() {
            members.insert(place.account.clone(), config.clone());
        }
        config
    }
}

/// An S3 client of our own account, for the store.
pub fn store_client(config: &SdkConfig) -> aws_sdk_s3::Client {
    let builder = aws_sdk_s3::config::Builder::from(config).force_path_style(has_endpoint(config));
    aws_sdk_s3::Client::from_conf(builder.build())
}

fn has_endpoint(config: &SdkConfig) -> bool {
    config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some()
}
