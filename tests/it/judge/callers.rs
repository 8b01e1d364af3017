//! Who tries what: each kind of caller with the condition keys that AWS documents for it.

use serde_json::{Map, Value, json};

use crate::evaluator::Request;

pub(super) const ACCOUNT: &str = "111122223333";
pub(super) const PARTNER: &str = "444455556666";
pub(super) const SIBLING: &str = "777788889999";
pub(super) const ORGANIZATION: &str = "o-exampleorg1";
pub(super) const BUCKET: &str = "arn:aws:s3:::amzn-s3-demo-bucket";
pub(super) const OBJECT: &str = "report.csv";
pub(super) const MALWARE: &str = "invoice.exe";
pub(super) const OWN_ROLE: &str = "arn:aws:iam::111122223333:role/portcullis/function";
pub(super) const ACTOR_ROLE: &str = "AROAACTORROLEEXAMPLE1";
pub(super) const PARTNER_ROLE: &str = "AROAPARTNERROLEEXAMPL";
/// The finding's address, and those of the other callers.
pub(super) const FINDING_ADDRESS: &str = "198.51.100.7";
pub(super) const INTERNET: &str = "192.0.2.44";
pub(super) const OFFICE: &str = "203.0.113.10";
pub(super) const ENDPOINT: &str = "vpce-0123456789abcdef0";
pub(super) const DISTRIBUTION: &str =
    "arn:aws:cloudfront::111122223333:distribution/EDFDVBD6EXAMPLE";
pub(super) const LOGGED: &str = "arn:aws:s3:::amzn-s3-demo-source";
pub(super) const IDENTITY: &str =
    "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1IDENTITYEXAMPLE";
/// The account by which load balancers of us-east-1 deliver their logs.
pub(super) const BALANCERS: &str = "127311923021";
pub(super) const TRAIL: &str = "arn:aws:cloudtrail:us-east-1:111122223333:trail/management";

pub(super) const MALWARE_READ: &str = "finding's object";
pub(super) const SETTINGS: &str = "changing settings";

/// What a request asks for. Acts of one group are lost and kept under one name where they share their fate.
pub(super) struct Act {
    pub(super) group: &'static str,
    /// What to call it where the rest of its group has another fate.
    pub(super) alone: &'static str,
    pub(super) action: &'static str,
    pub(super) key: Option<&'static str>,
}

pub(super) const fn act(
    group: &'static str,
    alone: &'static str,
    action: &'static str,
    key: Option<&'static str>,
) -> Act {
    Act {
        group,
        alone,
        action,
        key,
    }
}

/// As many of [`ACTS`] as everybody tries; the rest are those of single callers.
pub(super) const COMMON: usize = 10;

pub(super) const ACTS: [Act; 14] = [
    act("reads", "current versions", "s3:GetObject", Some(OBJECT)),
    act(
        "reads",
        "older versions",
        "s3:GetObjectVersion",
        Some(OBJECT),
    ),
    act(
        MALWARE_READ,
        "its current version",
        "s3:GetObject",
        Some(MALWARE),
    ),
    act(
        MALWARE_READ,
        "its older versions",
        "s3:GetObjectVersion",
        Some(MALWARE),
    ),
    act("lists", "lists", "s3:ListBucket", None),
    act("writes", "writes", "s3:PutObject", Some(OBJECT)),
    act("deletes", "deletes", "s3:DeleteObjectVersion", Some(OBJECT)),
    act("reading settings", "policy", "s3:GetBucketPolicy", None),
    act(SETTINGS, "changing the policy", "s3:PutBucketPolicy", None),
    act(
        SETTINGS,
        "changing Block Public Access",
        "s3:PutBucketPublicAccessBlock",
        None,
    ),
    act(
        "copies to other buckets",
        "copies to other buckets",
        "s3:GetObjectVersionForReplication",
        Some(OBJECT),
    ),
    act(
        "copies to other buckets",
        "copies of the finding's object",
        "s3:GetObjectVersionForReplication",
        Some(MALWARE),
    ),
    act(
        "copies from other buckets",
        "copies from other buckets",
        "s3:ReplicateObject",
        Some(OBJECT),
    ),
    act("tags", "tags", "s3:PutObjectTagging", Some(OBJECT)),
];

/// A kind of caller, with the condition keys that AWS documents for it.
pub(super) struct Caller {
    pub(super) name: &'static str,
    /// None for unsigned requests.
    pub(super) principal: Option<String>,
    pub(super) context: Map<String, Value>,
    /// What it tries, of [`ACTS`].
    pub(super) tries: Vec<usize>,
    /// Where it does so; for AWS services, which write to a place of their own.
    pub(super) key: Option<&'static str>,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Break-glass and Portcullis's own role.
    MustStay,
    Service,
    Root,
    /// Sessions of the actor's role: the finding's own, and another.
    Actor,
    ActorAgain,
    Other,
}

impl Caller {
    fn new(name: &'static str, principal: Option<&str>, context: Value) -> Self {
        let Value::Object(context) = context else {
            panic!("{name}: a context is an object")
        };
        Self {
            name,
            principal: principal.map(str::to_owned),
            context,
            tries: (0..COMMON).collect(),
            key: None,
            kind: Kind::Other,
        }
    }

    /// A session of a role; the identity policy of its account allows it everything.
    fn session(name: &'static str, role: &str, id: &str, session: &str) -> Self {
        let account = role.split(':').nth(4).unwrap();
        let role_name = role.rsplit('/').next().unwrap();
        let principal = format!("arn:aws:sts::{account}:assumed-role/{role_name}/{session}");
        let mut context = json!({
            "aws:PrincipalArn": role,
            "aws:PrincipalAccount": account,
            "aws:PrincipalType": "AssumedRole",
            "aws:PrincipalIsAWSService": "false",
            "aws:ViaAWSService": "false",
            "aws:userid": format!("{id}:{session}"),
            "aws:SourceIp": INTERNET,
            "s3:authType": "REST-HEADER",
            "s3:signatureAge": "1000",
        });
        match account {
            ACCOUNT | SIBLING => context["aws:PrincipalOrgID"] = json!(ORGANIZATION),
            PARTNER => context["aws:PrincipalOrgID"] = json!("o-partnerorg1"),
            _ => {}
        }
        Self::new(name, Some(&principal), context)
    }

    fn application(name: &'static str) -> Self {
        let role = "arn:aws:iam::111122223333:role/orders/application";
        Self::session(name, role, "AROAAPPLICATIONEXAMPL", "i-0abc")
    }

    fn anonymous(name: &'static str, address: &str) -> Self {
        let context = json!({
            "aws:PrincipalType": "Anonymous",
            "aws:PrincipalAccount": "anonymous",
            "aws:userid": "anonymous",
            "aws:ViaAWSService": "false",
            "aws:SourceIp": address,
        });
        Self::new(name, None, context)
    }

    fn service(name: &'static str, service: &str, source: &str) -> Self {
        let context = json!({
            "aws:PrincipalIsAWSService": "true",
            "aws:PrincipalServiceName": service,
            "aws:SourceArn": source,
            "aws:SourceAccount": ACCOUNT,
        });
        Self {
            kind: Kind::Service,
            ..Self::new(name, Some(service), context)
        }
    }

    fn by(mut self, key: &str, value: &str) -> Self {
        self.context.insert(key.to_owned(), json!(value));
        self
    }

    fn without(mut self, key: &str) -> Self {
        self.context.remove(key);
        self
    }

    pub(super) fn account(&self) -> &str {
        self.context
            .get("aws:PrincipalAccount")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    fn trying(self, actions: &[&str]) -> Self {
        let tries = (0..ACTS.len()).filter(|act| actions.contains(&ACTS[*act].action));
        Self {
            tries: tries.collect(),
            ..self
        }
    }

    /// Writes to a place of its own.
    fn writing(self, key: &'static str) -> Self {
        Self {
            key: Some(key),
            ..self.trying(&["s3:PutObject"])
        }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        let acts = self.tries.iter().map(|act| &ACTS[*act]);
        acts.map(|act| self.request(act, self.key.or(act.key)))
            .collect()
    }

    fn request(&self, act: &Act, key: Option<&str>) -> Request {
        Request {
            principal: self.principal.clone(),
            action: act.action.to_owned(),
            resource: match key {
                Some(key) => format!("{BUCKET}/{key}"),
                None => BUCKET.to_owned(),
            },
            account: ACCOUNT.to_owned(),
            context: self.context.clone(),
            identity: self
                .principal
                .as_deref()
                .is_some_and(|principal| principal.starts_with("arn:")),
        }
    }
}

pub(super) fn callers() -> Vec<Caller> {
    let role =
        |name: &'static str, role: &str, id: &str| Caller::session(name, role, id, "session");
    let actor = |name, session| {
        let role = "arn:aws:iam::111122223333:role/analytics/reporting";
        Caller::session(name, role, ACTOR_ROLE, session)
    };
    let link = |name, age: &str| {
        Caller::application(name)
            .by("s3:authType", "REST-QUERY-STRING")
            .by("s3:signatureAge", age)
            .trying(&["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"])
    };
    vec![
        Caller::anonymous("anonymous", INTERNET),
        Caller::anonymous("anonymous, from the finding's address", FINDING_ADDRESS),
        role(
            "a stranger's account",
            "arn:aws:iam::999988887777:role/anyone",
            "AROASTRANGEREXAMPLE12",
        ),
        role(
            "a stranger's role, named like break-glass",
            "arn:aws:iam::999988887777:role/SecurityBreakGlass",
            "AROASTRANGEREXAMPLE34",
        ),
        actor("actor's session, from the finding's address", "stolen")
            .by("aws:SourceIp", FINDING_ADDRESS)
            .kind(Kind::Actor),
        actor("actor's session, from another address", "stolen").kind(Kind::Actor),
        actor("another session of the actor's role", "nightly").kind(Kind::ActorAgain),
        Caller::application("application"),
        Caller::application("application, from the network named").by("aws:SourceIp", OFFICE),
        Caller::application("application, by the VPC endpoint named")
            .without("aws:SourceIp")
            .by("aws:VpcSourceIp", "10.0.1.5")
            .by("aws:SourceVpc", "vpc-0123456789abcdef0")
            .by("aws:SourceVpce", ENDPOINT),
        Caller::application("application, through Athena")
            .by("aws:ViaAWSService", "true")
            .by("aws:CalledVia", "athena.amazonaws.com")
            .by("aws:SourceIp", "192.0.2.200"),
        link("application's link, signed 5 minutes ago", "300000"),
        link("application's link, signed 2 hours ago", "7200000"),
        Caller::application("application's upload form, signed 5 minutes ago")
            .by("s3:authType", "POST")
            .by("s3:signatureAge", "300000")
            .trying(&["s3:PutObject"]),
        role(
            "administrator of the account",
            "arn:aws:iam::111122223333:role/Administrator",
            "AROAADMINISTRATOREXAM",
        ),
        Caller::new(
            "root user of the account",
            Some("arn:aws:iam::111122223333:root"),
            json!({
                "aws:PrincipalArn": "arn:aws:iam::111122223333:root",
                "aws:PrincipalAccount": ACCOUNT,
                "aws:PrincipalOrgID": ORGANIZATION,
                "aws:PrincipalType": "Account",
                "aws:PrincipalIsAWSService": "false",
                "aws:ViaAWSService": "false",
                "aws:userid": ACCOUNT,
                "aws:SourceIp": INTERNET,
                "s3:authType": "REST-HEADER",
                "s3:signatureAge": "1000",
            }),
        )
        .trying(&[
            "s3:GetObject",
            "s3:GetObjectVersion",
            "s3:ListBucket",
            "s3:PutObject",
            "s3:DeleteObjectVersion",
            "s3:PutBucketPublicAccessBlock",
        ])
        .kind(Kind::Root),
        role(
            "partner's account",
            "arn:aws:iam::444455556666:role/loader",
            PARTNER_ROLE,
        ),
        role(
            "partner's account, another role",
            "arn:aws:iam::444455556666:role/reader",
            "AROAPARTNERREADEREXAM",
        ),
        role(
            "another account of the organization",
            "arn:aws:iam::777788889999:role/reporting",
            "AROASIBLINGEXAMPLE123",
        ),
        role(
            "Macie's service-linked role",
            "arn:aws:iam::111122223333:role/aws-service-role/macie.amazonaws.com/AWSServiceRoleForAmazonMacie",
            "AROAMACIEEXAMPLE12345",
        )
        .without("aws:SourceIp")
        .trying(&["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:GetBucketPolicy"]),
        role(
            "GuardDuty's service-linked role",
            "arn:aws:iam::111122223333:role/aws-service-role/guardduty.amazonaws.com/AWSServiceRoleForAmazonGuardDuty",
            "AROAGUARDDUTYEXAMPLE1",
        )
        .without("aws:SourceIp")
        .trying(&["s3:GetBucketPolicy"]),
        role(
            "GuardDuty's scans for malware, by a role of the account",
            "arn:aws:iam::111122223333:role/MalwareProtection",
            "AROAMALWARESCANEXAMPL",
        )
        .without("aws:SourceIp")
        .trying(&["s3:GetObject", "s3:GetObjectVersion", "s3:PutObjectTagging"]),
        role(
            "replication, by a role of the account",
            "arn:aws:iam::111122223333:role/service-role/s3crr_role",
            "AROAREPLICATIONEXAMPL",
        )
        .without("aws:SourceIp")
        .trying(&["s3:ListBucket", "s3:GetObjectVersionForReplication", "s3:ReplicateObject"]),
        // AWS documents none of its condition keys.
        Caller::new("CloudFront, by origin access identity", Some(IDENTITY), json!({}))
            .trying(&["s3:GetObject"]),
        Caller::new(
            "load balancers' logs, by an account of AWS",
            Some(&format!("arn:aws:iam::{BALANCERS}:root")),
            json!({ "aws:PrincipalAccount": BALANCERS, "aws:PrincipalIsAWSService": "false" }),
        )
        .writing("AWSLogs/111122223333/elasticloadbalancing/1"),
        Caller::service(
            "CloudFront, by origin access control",
            "cloudfront.amazonaws.com",
            DISTRIBUTION,
        )
        .trying(&["s3:GetObject"]),
        Caller::service(
            "a stranger's CloudFront distribution",
            "cloudfront.amazonaws.com",
            "arn:aws:cloudfront::999988887777:distribution/E1STRANGEREXAMPLE",
        )
        .by("aws:SourceAccount", "999988887777")
        .trying(&["s3:GetObject"])
        .kind(Kind::Other),
        Caller::service("S3 log delivery", "logging.s3.amazonaws.com", LOGGED)
            .writing("logs/1"),
        Caller::service("CloudTrail", "cloudtrail.amazonaws.com", TRAIL)
            .writing("AWSLogs/111122223333/1"),
        role(
            "break-glass",
            "arn:aws:iam::111122223333:role/SecurityBreakGlass",
            "AROABREAKGLASSEXAMPLE",
        )
        .kind(Kind::MustStay),
        Caller::session("Portcullis's own role", OWN_ROLE, "AROAPORTCULLISEXAMPLE", "run")
            .kind(Kind::MustStay),
    ]
}
