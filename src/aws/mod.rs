//! AWS, in one place: clients, the reads and writes of settings, and what errors mean.
//!
//! Nothing outside this module and `store` knows the SDK. Clients are built when they are first needed and share one HTTP
//! client, so that a finding costs no more connections than the services it touches.

mod access_points;
mod body;
pub mod discovery;
mod error;
pub mod guardduty;
pub mod macie;
mod member;
mod objects;
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

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls;

use crate::classification::Own;
use crate::enrichment::Membership;

use member::Members;

pub use error::{AwsError, Meaning};
pub use objects::{Content, Listed, Objects};
pub use region::bucket_region;
pub use session::{Caller, caller, identity};
pub use settings::{Place, read, write};

/// Clients for every account and Region that a finding may name.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    members: Members,
    verify_findings: bool,
    detector: Option<String>,
    /// What Organizations said of accounts.
    memberships: Mutex<HashMap<String, Membership>>,
    /// Our own detectors by Region, as GuardDuty listed them.
    detectors: Mutex<HashMap<String, String>>,
    s3control_endpoint: Option<String>,
    s3: Clients<aws_sdk_s3::Client>,
    s3control: Clients<aws_sdk_s3control::Client>,
}

/// Clients by account and Region, made once.
type Clients<C> = Mutex<HashMap<(String, String), C>>;

/// How the program reaches AWS.
#[derive(Debug, Clone, Default)]
pub struct AwsOptions {
    /// Name of the role to assume in other accounts.
    pub member_role: Option<String>,
    /// What that role's trust asks for, if it does.
    pub external_id: Option<String>,
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
    // The default chains build clients for STS and for an instance's metadata before they ask the environment, which on
    // Lambda always has the answer.
    match std::env::var_os("AWS_LAMBDA_RUNTIME_API") {
        Some(_) => {
            loader
                .credentials_provider(EnvironmentVariableCredentialsProvider::new())
                .region(EnvironmentVariableRegionProvider::new())
                .load()
                .await
        }
        None => loader.load().await,
    }
}

impl Aws {
    /// Takes a loaded configuration; makes no call and builds no client.
    pub fn new(config: SdkConfig, options: AwsOptions) -> Self {
        let members = Members::new(
            config.clone(),
            options.own_account,
            options.member_role,
            options.external_id,
        );
        Self {
            config,
            members,
            verify_findings: options.verify_findings,
            detector: options.detector,
            memberships: Mutex::default(),
            detectors: Mutex::default(),
            s3control_endpoint: options.s3control_endpoint,
            s3: Mutex::default(),
            s3control: Mutex::default(),
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

    /// Whether buckets of `account` are within reach, as far as can be told without a call.
    pub fn reaches(&self, account: &str) -> bool {
        self.members.covers(account)
    }

    /// Assumes the role of the account that `place` is in, unless it is our own or a session lasts.
    pub async fn enter(&self, place: &Place) -> Result<(), AwsError> {
        self.members.enter(place).await
    }

    /// Who we are where `place` is: in another account, also the role that we assume there.
    pub fn acting_as(&self, own: &Own, place: &Place) -> Own {
        let arn = self.members.role_in(place);
        Own {
            principals: own.principals.iter().cloned().chain(arn).collect(),
            account: own.account.clone(),
        }
    }

    /// An S3 client for an account and Region.
    pub fn s3(&self, place: &Place) -> aws_sdk_s3::Client {
        once(&self.s3, place, || {
            let config = self.members.config(place);
            let builder = aws_sdk_s3::config::Builder::from(&config)
                .region(Region::new(place.region.clone()));
            // What is asked of directory buckets is asked of the Region, which knows no sessions; with a fixed endpoint the
            // SDK would create one first.
            let builder = builder.disable_s3_express_session_auth(true);
            // Stand-ins have no host name for each bucket.
            aws_sdk_s3::Client::from_conf(builder.force_path_style(has_endpoint(&config)).build())
        })
    }

    /// An s3control client for an account and Region.
    pub fn s3control(&self, place: &Place) -> aws_sdk_s3control::Client {
        once(&self.s3control, place, || {
            let config = self.members.config(place);
            let mut builder = aws_sdk_s3control::config::Builder::from(&config)
                .region(Region::new(place.region.clone()));
            if let Some(url) = &self.s3control_endpoint {
                builder = builder.endpoint_resolver(session::FixedEndpoint(url.clone()));
            }
            aws_sdk_s3control::Client::from_conf(builder.build())
        })
    }
}

fn once<C: Clone>(clients: &Clients<C>, place: &Place, new: impl FnOnce() -> C) -> C {
    let Ok(mut clients) = clients.lock() else {
        return new();
    };
    let key = (place.account.clone(), place.region.clone());
    clients.entry(key).or_insert_with(new).clone()
}

/// An S3 client of our own account, for the store.
pub fn store_client(config: &SdkConfig) -> aws_sdk_s3::Client {
    let builder = aws_sdk_s3::config::Builder::from(config).force_path_style(has_endpoint(config));
    aws_sdk_s3::Client::from_conf(builder.build())
}

fn has_endpoint(config: &SdkConfig) -> bool {
    config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some()
}
