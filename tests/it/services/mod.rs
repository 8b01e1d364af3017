//! Macie and GuardDuty: the real SDK over HTTP to our own stand-in, which knows their published models.

mod backtest;
mod drill;
mod guardduty;
mod macie;
mod model;
mod suppress;

use std::io::{Read, Write};
use std::net::TcpStream;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use portcullis::aws::{Aws, AwsOptions};
use serde_json::{Value, json};

use crate::stand_in::{self, unique_name};

pub(crate) const ACCOUNT: &str = stand_in::ACCOUNT;
pub(crate) const REGION: &str = "us-east-1";

/// What one test has in Macie and GuardDuty.
pub(crate) struct Scenario {
    name: String,
    host: String,
    may_be_refused: bool,
}

impl Scenario {
    /// Puts a scenario with one account, as everybody sees it.
    pub(crate) fn of(account: Value) -> Self {
        Self::with(&[account])
    }

    /// Puts a scenario.
    pub(crate) fn with(accounts: &[Value]) -> Self {
        let scenario = Self {
            name: unique_name("scenario"),
            host: stand_in::endpoint("services")
                .strip_prefix("http://")
                .unwrap()
                .to_owned(),
            may_be_refused: false,
        };
        let (status, answer) = scenario.put(accounts);
        assert_eq!(status, 200, "{answer}");
        scenario
    }

    /// Replaces the scenario.
    pub(crate) fn put(&self, accounts: &[Value]) -> (u16, String) {
        self.request(
            "PUT",
            &format!("/_scenario/{}", self.name),
            &json!({"accounts": accounts}).to_string(),
        )
    }

    /// The endpoint that only this scenario answers at.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/{}", self.host, self.name)
    }

    /// The requests so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        let (status, answer) = self.request("GET", &format!("/_scenario/{}", self.name), "");
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// The operations so far, in order.
    pub(crate) fn operations(&self) -> Vec<String> {
        let name = |entry: &Value| entry["operation"].as_str().unwrap_or("?").to_owned();
        self.log().iter().map(name).collect()
    }

    /// What came in with the requests of an operation.
    pub(crate) fn inputs(&self, operation: &str) -> Vec<Value> {
        let log = self.log().into_iter();
        log.filter(|entry| entry["operation"] == operation)
            .map(|entry| entry["input"].clone())
            .collect()
    }

    /// AWS, whose Macie and GuardDuty are this scenario.
    pub(crate) fn aws(&self) -> Aws {
        self.aws_with(AwsOptions {
            own_account: Some(ACCOUNT.to_owned()),
            ..AwsOptions::default()
        })
    }

    pub(crate) fn aws_with(&self, options: AwsOptions) -> Aws {
        Aws::new(stand_in::config(&self.url()), options)
    }

    /// The same with STS at MiniStack, which lets nobody assume a role that does not trust them.
    async fn aws_with_sts(&self, options: AwsOptions) -> Aws {
        let sts = stand_in::endpoint("ministack");
        let profile = format!(
            "endpoint_url = {}\nservices = ours\n[services ours]\nsts =\n  endpoint_url = {sts}\n",
            self.url()
        );
        aws_of(profile, options).await
    }

    /// The same for a bucket that is elsewhere: Macie and GuardDuty are this scenario,
    /// Organizations is moto's, and all else is at `endpoint`.
    pub(crate) async fn aws_beside(&self, endpoint: &str, options: AwsOptions) -> Aws {
        let url = self.url();
        let profile = format!(
            "endpoint_url = {endpoint}\nservices = ours\n[services ours]\n\
             guardduty =\n  endpoint_url = {url}\nmacie2 =\n  endpoint_url = {url}\n\
             organizations =\n  endpoint_url = {}\n",
            stand_in::endpoint("moto")
        );
        aws_of(profile, options).await
    }

    /// One request without the SDK, signed as far as the stand-in looks.
    fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let service = if path.ends_with("/datasources/s3") {
            "macie2"
        } else {
            "guardduty"
        };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260301/{REGION}/{service}/aws4_request\r\n\r\n{body}",
            self.host,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// The requests that were refused, which are then no fault of the test's.
    fn take_refused(mut self) -> Vec<String> {
        self.may_be_refused = true;
        let refused = |entry: &Value| entry["refused"].as_str().map(str::to_owned);
        self.log().iter().filter_map(refused).collect()
    }
}

impl Drop for Scenario {
    /// What the model does not allow must fail the test, whichever side sent it.
    fn drop(&mut self) {
        if std::thread::panicking() || self.may_be_refused {
            return;
        }
        for entry in self.log() {
            assert_eq!(entry["impossible"], Value::Null, "{entry:#}");
            assert_eq!(entry["refused"], Value::Null, "{entry:#}");
            assert_ne!(entry["operation"], Value::Null, "{entry:#}");
        }
    }
}

/// AWS by a profile, which alone can give each service an endpoint of its own.
#[expect(
    deprecated,
    reason = "the new home of these types is a crate of the SDK's own"
)]
async fn aws_of(profile: String, options: AwsOptions) -> Aws {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    let files = ProfileFiles::builder()
        .with_contents(ProfileFileKind::Config, format!("[default]\n{profile}"))
        .build();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .profile_files(files)
        .region(Region::from_static(REGION))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "test",
        )))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .load()
        .await;
    Aws::new(config, options)
}

/// An answer that any service gives to a role without the permission.
pub(crate) fn denied(action: &str) -> Value {
    json!({
        "status": 403,
        "code": "AccessDeniedException",
        "message": format!("User: arn:aws:sts::{ACCOUNT}:assumed-role/portcullis/function is not authorized to perform: {action}"),
    })
}
