//! Whoever might ask, and for what.

use serde_json::{Map, Value, json};

use super::{ACCOUNT, BUCKET};
use crate::evaluator::Request;

pub(super) const MALWARE: &str = "reports/a.exe";

/// What is asked for: an action, and the object.
pub(super) const ACTS: [(&str, Option<&str>); 8] = [
    ("s3:GetObject", Some("public/key")),
    ("s3:GetObject", Some(MALWARE)),
    ("s3:PutObject", Some("public/key")),
    ("s3:DeleteObject", Some("Größe/1")),
    ("s3:ListBucket", None),
    ("s3:PutBucketPolicy", None),
    ("s3:DeleteBucketPolicy", None),
    ("s3:PutBucketPublicAccessBlock", None),
];

/// Whoever might ask, with the condition keys that AWS documents for such a request.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) name: &'static str,
    /// None for unsigned requests.
    pub(super) principal: Option<&'static str>,
    context: Map<String, Value>,
    pub(super) userid: &'static str,
    pub(super) account: &'static str,
    /// Break-glass, Portcullis itself, a service-linked role, or an AWS service that acts for itself.
    pub(super) must_stay: bool,
    /// An AWS service that acts for itself.
    pub(super) service: bool,
}

impl Caller {
    fn signed(
        name: &'static str,
        principal: &'static str,
        arn: &str,
        userid: &'static str,
    ) -> Self {
        let account = principal.split(':').nth(4).unwrap();
        let kind = match userid.contains(':') {
            true => "AssumedRole",
            false => "User",
        };
        let context = json!({
            "aws:PrincipalArn": arn,
            "aws:PrincipalAccount": account,
            "aws:PrincipalType": kind,
            "aws:PrincipalIsAWSService": "false",
            "aws:ViaAWSService": "false",
            "aws:userid": userid,
            "aws:SourceIp": "198.18.0.1",
            "aws:SecureTransport": "true",
            "s3:authType": "REST-HEADER",
            "s3:signatureAge": "1000",
        });
        let caller = Self {
            name,
            principal: Some(principal),
            context: object(context),
            userid,
            account,
            must_stay: false,
            service: false,
        };
        match account {
            ACCOUNT => caller.by("aws:PrincipalOrgID", "o-exampleorgid"),
            _ => caller,
        }
    }

    fn by(mut self, key: &str, value: &str) -> Self {
        self.context.insert(key.to_owned(), json!(value));
        self
    }

    fn staying(self) -> Self {
        Self {
            must_stay: true,
            ..self
        }
    }

    pub(super) fn request(&self, action: &str, key: Option<&str>, identity: bool) -> Request {
        Request {
            principal: self.principal.map(str::to_owned),
            action: action.to_owned(),
            resource: match key {
                Some(key) => format!("{BUCKET}/{key}"),
                None => BUCKET.to_owned(),
            },
            account: ACCOUNT.to_owned(),
            context: self.context.clone(),
            identity,
        }
    }
}

/// A request: who, what, and whether the caller's own policies allow it.
pub(super) struct Asked {
    pub(super) caller: usize,
    pub(super) act: usize,
    pub(super) identity: bool,
}

/// In the bucket's account, what the caller's own policies allow decides as much as the bucket policy does, so that both
/// cases are asked. Elsewhere both must allow it; and who must stay has such policies.
pub(super) fn asked(callers: &[Caller]) -> Vec<Asked> {
    let mut all = Vec::new();
    for (index, caller) in callers.iter().enumerate() {
        let signed = caller.principal.is_some() && !caller.service;
        let identities = match (signed, caller.account == ACCOUNT && !caller.must_stay) {
            (true, true) => vec![true, false],
            (signed, _) => vec![signed],
        };
        for act in 0..ACTS.len() {
            all.extend(identities.iter().map(|identity| Asked {
                caller: index,
                act,
                identity: *identity,
            }));
        }
    }
    all
}

pub(super) fn callers() -> Vec<Caller> {
    let application = |name| {
        Caller::signed(
            name,
            "arn:aws:sts::111122223333:assumed-role/app/i-1",
            "arn:aws:iam::111122223333:role/app",
            "AROAAPPLICATIONEXAMPL:i-1",
        )
    };
    vec![
        Caller {
            name: "anonymous",
            principal: None,
            context: object(json!({
                "aws:PrincipalAccount": "anonymous",
                "aws:PrincipalType": "Anonymous",
                "aws:userid": "anonymous",
                "aws:ViaAWSService": "false",
                "aws:SourceIp": "198.18.0.1",
                "aws:SecureTransport": "true",
            })),
            userid: "anonymous",
            account: "anonymous",
            must_stay: false,
            service: false,
        },
        application("application"),
        application("application's link")
            .by("s3:authType", "REST-QUERY-STRING")
            .by("s3:signatureAge", "7200000"),
        Caller::signed(
            "actor's session",
            "arn:aws:sts::111122223333:assumed-role/reporting/ana.carolina",
            "arn:aws:iam::111122223333:role/analytics/reporting",
            "AROACKCEVSQ6C2EXAMPLE:ana.carolina",
        ),
        Caller::signed(
            "another session of the actor's role",
            "arn:aws:sts::111122223333:assumed-role/reporting/another",
            "arn:aws:iam::111122223333:role/analytics/reporting",
            "AROACKCEVSQ6C2EXAMPLE:another",
        ),
        Caller::signed(
            "user",
            "arn:aws:iam::111122223333:user/nikki.wolf",
            "arn:aws:iam::111122223333:user/nikki.wolf",
            "AIDACKCEVSQ6C2EXAMPLE",
        )
        .by("aws:username", "nikki.wolf"),
        Caller::signed(
            "partner",
            "arn:aws:sts::444455556666:assumed-role/loader/loader",
            "arn:aws:iam::444455556666:role/loader",
            "AROAI44QH8DHBEXAMPLE:loader",
        ),
        Caller::signed(
            "stranger from the finding's address",
            "arn:aws:sts::123456789012:assumed-role/anyone/session",
            "arn:aws:iam::123456789012:role/anyone",
            "AROASTRANGEREXAMPLE12:session",
        )
        .by("aws:SourceIp", "203.0.113.7"),
        Caller {
            name: "log delivery",
            principal: Some("logging.s3.amazonaws.com"),
            context: object(json!({
                "aws:PrincipalIsAWSService": "true",
                "aws:PrincipalServiceName": "logging.s3.amazonaws.com",
                "aws:SourceAccount": ACCOUNT,
                "aws:SecureTransport": "true",
            })),
            userid: "",
            account: "",
            must_stay: true,
            service: true,
        },
        Caller::signed(
            "service-linked role",
            "arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForAmazonMacie/macie",
            "arn:aws:iam::111122223333:role/aws-service-role/macie.amazonaws.com/AWSServiceRoleForAmazonMacie",
            "AROAMACIEEXAMPLE12345:macie",
        )
        .staying(),
        Caller::signed(
            "break-glass",
            "arn:aws:sts::111122223333:assumed-role/SecurityBreakGlass/ana",
            "arn:aws:iam::111122223333:role/SecurityBreakGlass",
            "AROABREAKGLASSEXAMPLE:ana",
        )
        .staying(),
        Caller::signed(
            "Portcullis's own role",
            "arn:aws:sts::111122223333:assumed-role/function/run",
            "arn:aws:iam::111122223333:role/portcullis/function",
            "AROAPORTCULLISEXAMPLE:run",
        )
        .staying(),
    ]
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}
