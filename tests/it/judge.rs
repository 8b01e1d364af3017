//! Who loses what under each measure, judged by an evaluator that is not our builder and knows AWS services, accounts,
//! organizations and RestrictPublicBuckets; and the page of the documentation that says so.
//!
//! `@cloud-copilot/iam-simulate` is AGPL: it runs as a process of its own and is no part of the product.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use portcullis::classification::Own;
use portcullis::decision::{Situation, decide};
use portcullis::enrichment::Enrichment;
use portcullis::finding::{Actor, Bucket, Event, Finding, Object, Remote, Target, UserType, read};
use portcullis::measures::Measure;
use portcullis::policy::{self, Mode};
use portcullis::settings::{
    Acl, Document, Grant, PolicyDocument, PublicAccessBlock, Setting, SettingKind, Settings,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const ACCOUNT: &str = "111122223333";
const PARTNER: &str = "444455556666";
const SIBLING: &str = "777788889999";
const ORGANIZATION: &str = "o-exampleorg1";
const BUCKET: &str = "arn:aws:s3:::amzn-s3-demo-bucket";
const OBJECT: &str = "report.csv";
const MALWARE: &str = "invoice.exe";
const OWN_ROLE: &str = "arn:aws:iam::111122223333:role/portcullis/function";
const ACTOR_ROLE: &str = "AROAACTORROLEEXAMPLE1";
const PARTNER_ROLE: &str = "AROAPARTNERROLEEXAMPL";
/// The finding's address, and those of the other callers.
const FINDING_ADDRESS: &str = "198.51.100.7";
const INTERNET: &str = "192.0.2.44";
const OFFICE: &str = "203.0.113.10";
const ENDPOINT: &str = "vpce-0123456789abcdef0";
const DISTRIBUTION: &str = "arn:aws:cloudfront::111122223333:distribution/EDFDVBD6EXAMPLE";
const LOGGED: &str = "arn:aws:s3:::amzn-s3-demo-source";
const TRAIL: &str = "arn:aws:cloudtrail:us-east-1:111122223333:trail/management";

/// One test, because judging takes seconds.
#[test]
fn who_loses_what() {
    let judged = Table::judge();
    everybody_has_something_to_lose(&judged);
    every_measure_takes_something_from_somebody(&judged);
    nobody_gains_anything(&judged);
    break_glass_and_our_own_role_keep_everything(&judged);
    aws_services_keep_what_they_had(&judged);
    the_actor_loses_everything_and_nobody_else_anything(&judged);
    a_name_like_break_glass_is_worth_nothing(&judged);
    the_page_says_so(&judged);
}

/// The page is generated; `BLESS=1` writes it anew.
fn the_page_says_so(judged: &Table) {
    let page = judged.page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/who-loses-what.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "{} is out of date; `make bless` writes it anew:\n{page}",
        path.display()
    );
}

/// Otherwise "denied" could be the verdict on a request that the bucket never allowed.
fn everybody_has_something_to_lose(judged: &Table) {
    for (caller, had) in judged.callers.iter().zip(&judged.before) {
        assert!(!had.is_empty(), "{}", caller.name);
        if matches!(caller.kind, Kind::MustStay | Kind::Actor | Kind::ActorAgain) {
            assert_eq!(had.len(), ACTS.len(), "{}", caller.name);
        }
    }
}

/// A statement that hits nobody would pass the rest.
fn every_measure_takes_something_from_somebody(judged: &Table) {
    for (variant, after) in VARIANTS.iter().zip(&judged.after) {
        assert_ne!(*after, judged.before, "{}", variant.heading);
    }
}

fn nobody_gains_anything(judged: &Table) {
    judged.each(|variant, caller, had, has| {
        assert!(has.is_subset(had), "{}: {}", variant.heading, caller.name);
    });
}

fn break_glass_and_our_own_role_keep_everything(judged: &Table) {
    let mut kept = 0;
    judged.each(|variant, caller, had, has| {
        if caller.kind == Kind::MustStay {
            assert_eq!(had, has, "{}: {}", variant.heading, caller.name);
            kept += has.len();
        }
    });
    assert_eq!(kept, 2 * ACTS.len() * VARIANTS.len());
}

/// But for malware, which CloudFront shall not hand out either.
fn aws_services_keep_what_they_had(judged: &Table) {
    let mut kept = 0;
    judged.each(|variant, caller, had, has| {
        if caller.kind != Kind::Service {
            return;
        }
        let quarantine = variant.yaml == "quarantine-object";
        let mut expected = had.clone();
        expected.retain(|act| !quarantine || ACTS[*act].key != Some(MALWARE));
        assert_eq!(*has, expected, "{}: {}", variant.heading, caller.name);
        kept += has.len();
    });
    // CloudFront two objects, log delivery and CloudTrail one each; the object in quarantine less.
    assert_eq!(kept, 4 * VARIANTS.len() - 1);
}

fn the_actor_loses_everything_and_nobody_else_anything(judged: &Table) {
    let mut hits = 0;
    judged.each(|variant, caller, had, has| {
        if !variant.yaml.contains("deny-actor") {
            return;
        }
        let hit = match variant.actor {
            Who::Session if variant.yaml.contains("session") => caller.kind == Kind::Actor,
            Who::Session => matches!(caller.kind, Kind::Actor | Kind::ActorAgain),
            Who::Anonymous => caller.principal.is_none(),
            Who::Partner if variant.yaml.contains("account") => caller.account() == PARTNER,
            Who::Partner => caller
                .principal
                .as_deref()
                .is_some_and(|principal| principal.contains("/loader/")),
        };
        let expected = if hit { BTreeSet::new() } else { had.clone() };
        assert_eq!(*has, expected, "{}: {}", variant.heading, caller.name);
        hits += usize::from(hit);
    });
    // The session from two addresses; with the role's other one, three; two anonymous; one role of the partner; both.
    assert_eq!(hits, 2 + 3 + 2 + 1 + 2);
}

/// A role of that name in an account that is none of ours is a stranger.
fn a_name_like_break_glass_is_worth_nothing(judged: &Table) {
    let at = |name: &str| {
        let position = judged.callers.iter().position(|c| c.name.contains(name));
        position.unwrap()
    };
    let (named, stranger) = (at("named like break-glass"), at("a stranger's account"));
    for (variant, after) in VARIANTS.iter().zip(&judged.after) {
        assert_eq!(after[named], after[stranger], "{}", variant.heading);
    }
}

#[test]
fn every_measure_that_decides_access_is_judged() {
    let decides = [
        SettingKind::BucketPolicy,
        SettingKind::PublicAccessBlock,
        SettingKind::AccountPublicAccessBlock,
    ];
    for measure in Measure::catalogue() {
        let info = measure.info();
        let judged = VARIANTS.iter().any(|variant| {
            let mut words = variant.yaml.split(['{', ':', ',', ' ']);
            words.any(|word| word == info.name)
        });
        let amends = info.amends.iter().any(|kind| decides.contains(kind));
        assert_eq!(judged, amends, "{}", info.name);
    }
}

/// The second judge of every document that the cases of `tests/cases/decide` end in.
#[test]
fn no_decision_locks_out_break_glass_or_our_own_role() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/decide");
    let (mut asked, mut names) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let json = |name: &str| -> Value {
            serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
        };
        let decided = match json("expected.json") {
            Value::Array(decided) => decided,
            one => vec![one],
        };
        let facts = json("facts.json");
        let parsed = |text: &Value| -> Option<Value> {
            let text = text.as_str()?;
            Some(serde_json::from_str(text).unwrap())
        };
        let policy = &facts["bucket-policy"]["present"]["bucket-policy"];
        let points = &facts["access-point-policies"]["present"]["access-point-policies"];
        let changes = decided
            .iter()
            .flat_map(|d| d["decision"]["plan"].as_array().unwrap());
        let documents = changes.flat_map(|change| match change["setting"].as_str().unwrap() {
            "bucket-policy" => vec![(parsed(policy), change["after"].clone())],
            "access-point-policies" => {
                let after = change["after"].as_object().unwrap().iter();
                after
                    .map(|(name, after)| (parsed(&points[name]["policy"]), after.clone()))
                    .collect()
            }
            _ => Vec::new(),
        });
        for (before, after) in documents {
            let after = Some(after).filter(Value::is_object);
            names.push(folder.display().to_string());
            for policy in [before, after.clone()] {
                asked.push(Judged {
                    requests: who_must_stay(after.as_ref()),
                    restricted: false,
                    policy,
                });
            }
        }
    }
    let verdicts = judge(&asked);
    let (mut allowed, mut of_sessions, mut through_points) = (0, 0, 0);
    for ((name, asked), verdicts) in names.iter().zip(asked.chunks(2)).zip(verdicts.chunks(2)) {
        for ((request, was), is) in asked[0].requests.iter().zip(&verdicts[0]).zip(&verdicts[1]) {
            let who = request.principal.as_ref().unwrap();
            assert!(is >= was, "{name}: {} is denied to {who}", request.action);
            allowed += usize::from(*is);
            of_sessions += usize::from(*is && request.resource.contains(":s3express:"));
            through_points += usize::from(*is && request.resource.contains(":accesspoint/"));
        }
    }
    assert!(allowed > 300, "only {allowed} requests were allowed");
    assert!(of_sessions > 20, "only {of_sessions} sessions");
    assert!(
        through_points > 20,
        "only {through_points} through access points"
    );
}

/// A measure as a rule asks for it.
struct Variant {
    table: usize,
    heading: &'static str,
    yaml: &'static str,
    actor: Who,
}

/// Whom the finding names.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    Session,
    Partner,
    Anonymous,
}

const TABLES: [&str; 4] = [
    "Against the actor",
    "Against public access",
    "Against everybody",
    "Against everybody but some",
];

const fn variant(table: usize, heading: &'static str, yaml: &'static str, actor: Who) -> Variant {
    Variant {
        table,
        heading,
        yaml,
        actor,
    }
}

const VARIANTS: [Variant; 26] = [
    variant(
        0,
        "`deny-actor` `scope: session`",
        "{ deny-actor: { scope: session } }",
        Who::Session,
    ),
    variant(0, "`deny-actor`", "deny-actor", Who::Session),
    variant(
        0,
        "`deny-actor`, the actor anonymous",
        "deny-actor",
        Who::Anonymous,
    ),
    variant(
        0,
        "`deny-actor`, the actor of the partner",
        "deny-actor",
        Who::Partner,
    ),
    variant(
        0,
        "`deny-actor` `scope: account`, the actor of the partner",
        "{ deny-actor: { scope: account } }",
        Who::Partner,
    ),
    variant(0, "`deny-source-ip`", "deny-source-ip", Who::Session),
    variant(
        0,
        "`freeze-configuration`",
        "freeze-configuration",
        Who::Session,
    ),
    variant(
        0,
        "`preserve-data` `for: actor`",
        "{ preserve-data: { for: actor } }",
        Who::Session,
    ),
    variant(
        1,
        "`remove-public-grants`",
        "remove-public-grants",
        Who::Session,
    ),
    variant(
        1,
        "`block-public-access` alone",
        "block-public-access",
        Who::Session,
    ),
    variant(
        1,
        "`block-account-public-access` alone",
        "block-account-public-access",
        Who::Session,
    ),
    variant(
        1,
        "`remove-public-grants` and `block-public-access`",
        "remove-public-grants, block-public-access",
        Who::Session,
    ),
    variant(2, "`quarantine-object`", "quarantine-object", Who::Session),
    variant(
        2,
        "`freeze-configuration` `for: everyone`",
        "{ freeze-configuration: { for: everyone } }",
        Who::Session,
    ),
    variant(2, "`preserve-data`", "preserve-data", Who::Session),
    variant(
        2,
        "`isolate` `access: writes`",
        "{ isolate: { access: writes } }",
        Who::Session,
    ),
    variant(2, "`isolate`", "isolate", Who::Session),
    variant(
        2,
        "`isolate` `access: all`",
        "{ isolate: { access: all } }",
        Who::Session,
    ),
    variant(3, "`deny-outside`", "deny-outside", Who::Session),
    variant(
        3,
        "`deny-outside`, the organization named",
        "{ deny-outside: { organizations: [o-exampleorg1] } }",
        Who::Session,
    ),
    variant(
        3,
        "`deny-outside`, the partner's account named",
        "{ deny-outside: { accounts: [\"444455556666\"] } }",
        Who::Session,
    ),
    variant(
        3,
        "`restrict-network` to `cidrs`",
        "{ restrict-network: { cidrs: [203.0.113.0/24] } }",
        Who::Session,
    ),
    variant(
        3,
        "`restrict-network` to `vpc-endpoints`",
        "{ restrict-network: { vpc-endpoints: [vpce-0123456789abcdef0] } }",
        Who::Session,
    ),
    variant(
        3,
        "`restrict-network` to both",
        "{ restrict-network: { vpc-endpoints: [vpce-0123456789abcdef0], cidrs: [203.0.113.0/24] } }",
        Who::Session,
    ),
    variant(
        3,
        "`deny-presigned-urls`",
        "deny-presigned-urls",
        Who::Session,
    ),
    variant(
        3,
        "`deny-presigned-urls` `older-than: 10m`",
        "{ deny-presigned-urls: { older-than: 10m } }",
        Who::Session,
    ),
];

const MALWARE_READ: &str = "finding's object";
const SETTINGS: &str = "changing settings";

/// What a request asks for. Acts of one group are lost and kept under one name where they share their fate.
struct Act {
    group: &'static str,
    /// What to call it where the rest of its group has another fate.
    alone: &'static str,
    action: &'static str,
    key: Option<&'static str>,
}

const fn act(
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

const ACTS: [Act; 10] = [
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
];

/// A kind of caller, with the condition keys that AWS documents for it.
struct Caller {
    name: &'static str,
    /// None for unsigned requests.
    principal: Option<String>,
    context: Map<String, Value>,
    /// What it tries, of [`ACTS`].
    tries: Vec<usize>,
    /// Where it does so; for AWS services, which write to a place of their own.
    key: Option<&'static str>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
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
            tries: (0..ACTS.len()).collect(),
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

    fn account(&self) -> &str {
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

    fn requests(&self) -> Vec<Request> {
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

fn callers() -> Vec<Caller> {
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

/// The bucket of the page: public, with grants to all who may have one.
fn observed() -> Settings {
    let objects = format!("{BUCKET}/*");
    let everything = [BUCKET, &objects];
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        {
            "Sid": "World", "Effect": "Allow", "Principal": "*",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": objects,
        },
        {
            "Sid": "Partner", "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{PARTNER}:root") },
            "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:PutObject"],
            "Resource": everything,
        },
        {
            "Sid": "Organization", "Effect": "Allow", "Principal": "*",
            "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"],
            "Resource": everything,
            "Condition": { "StringEquals": { "aws:PrincipalOrgID": ORGANIZATION } },
        },
        {
            "Sid": "CloudFront", "Effect": "Allow",
            "Principal": { "Service": "cloudfront.amazonaws.com" },
            "Action": "s3:GetObject", "Resource": objects,
            "Condition": { "StringEquals": { "aws:SourceArn": DISTRIBUTION } },
        },
        {
            "Sid": "LogDelivery", "Effect": "Allow",
            "Principal": { "Service": "logging.s3.amazonaws.com" },
            "Action": "s3:PutObject", "Resource": format!("{BUCKET}/logs/*"),
            "Condition": { "StringEquals": { "aws:SourceAccount": ACCOUNT } },
        },
        {
            "Sid": "CloudTrail", "Effect": "Allow",
            "Principal": { "Service": "cloudtrail.amazonaws.com" },
            "Action": "s3:PutObject", "Resource": format!("{BUCKET}/AWSLogs/{ACCOUNT}/*"),
            "Condition": { "StringEquals": { "aws:SourceArn": TRAIL } },
        },
    ] });
    let policy = PolicyDocument::parse(&policy.to_string()).unwrap();
    let acl = Acl {
        owner: "owner".to_owned(),
        grants: vec![Grant {
            grantee_type: "CanonicalUser".to_owned(),
            grantee: "owner".to_owned(),
            permission: "FULL_CONTROL".to_owned(),
        }],
    };
    let flags = || Document::PublicAccessBlock(PublicAccessBlock::default());
    let mut settings = Settings::default();
    settings.set(SettingKind::BucketPolicy, Document::BucketPolicy(policy));
    settings.set(SettingKind::Acl, Document::Acl(acl));
    settings.set(SettingKind::PublicAccessBlock, flags());
    settings.set(SettingKind::AccountPublicAccessBlock, flags());
    for (kind, text) in [
        (SettingKind::Versioning, "<VersioningConfiguration/>"),
        (SettingKind::Lifecycle, "<LifecycleConfiguration/>"),
    ] {
        let document = serde_json::from_value(json!({ "xml": { "text": text } })).unwrap();
        settings.set(kind, document);
    }
    settings
}

impl Variant {
    /// The settings as the core would leave them.
    fn contained(&self, observed: &Settings) -> Settings {
        let text = format!(
            "version: 1\nmode: enforce\nbreak-glass: [\"arn:aws:iam::*:role/SecurityBreakGlass\"]\n\
             rules:\n  - id: contain\n    measures: [{}]\n",
            self.yaml
        );
        let loaded = policy::load("policy.yaml", &text, jiff::civil::date(2026, 10, 5));
        let policy = loaded
            .policy
            .unwrap_or_else(|| panic!("{}", policy::render(&loaded.diagnostics, &text, false)));
        let own = Own {
            principals: vec![OWN_ROLE.to_owned()],
            account: Some(ACCOUNT.to_owned()),
        };
        let finding = self.finding();
        let situation = Situation {
            finding: &finding,
            target: &finding.targets[0],
            policy: &policy,
            stack_mode: Mode::Enforce,
            own: &own,
            operator: None,
            observed,
            enrichment: &Enrichment::default(),
            stops: &[],
            now: "2026-10-05T09:00:00Z".parse().unwrap(),
        };
        let decision = decide(&situation).1;
        assert!(
            decision.withheld.is_empty() && decision.acts(),
            "{}: {:?}",
            self.heading,
            decision.withheld
        );
        let mut after = observed.clone();
        for change in decision.plan.changes {
            after.0.insert(change.setting, change.after);
        }
        after
    }

    fn finding(&self) -> Finding {
        let event = include_bytes!("../../events/exfiltration-anomalous.json");
        let Ok(Event::Finding(finding)) = read(event).remove(0) else {
            panic!("the event is a finding")
        };
        let actor = |user_type, id: Option<String>, account: Option<&str>| Actor {
            user_type,
            principal_id: id,
            account: account.map(str::to_owned),
            ..Actor::default()
        };
        let actor = match self.actor {
            Who::Session => actor(
                UserType::AssumedRole,
                Some(format!("{ACTOR_ROLE}:stolen")),
                Some(ACCOUNT),
            ),
            Who::Partner => actor(
                UserType::AwsAccount,
                Some(format!("{PARTNER_ROLE}:session")),
                Some(PARTNER),
            ),
            Who::Anonymous => actor(UserType::Anonymous, None, None),
        };
        let bucket = Bucket {
            name: BUCKET.rsplit(':').next().unwrap().to_owned(),
            account: ACCOUNT.to_owned(),
            objects: vec![Object {
                key: MALWARE.to_owned(),
                version: None,
            }],
            ..Bucket::default()
        };
        Finding {
            targets: vec![Target::Bucket(bucket)],
            actors: vec![actor],
            remotes: vec![Remote {
                address: Some(FINDING_ADDRESS.parse().unwrap()),
                ..Remote::default()
            }],
            ..*finding
        }
    }
}

#[derive(Serialize)]
struct Judged {
    policy: Option<Value>,
    /// RestrictPublicBuckets, of the bucket or the account.
    restricted: bool,
    requests: Vec<Request>,
}

#[derive(Serialize)]
struct Request {
    principal: Option<String>,
    action: String,
    resource: String,
    account: String,
    context: Map<String, Value>,
    identity: bool,
}

#[derive(Deserialize)]
struct Answer {
    verdict: Option<String>,
    #[serde(default)]
    ignored: Vec<String>,
    error: Option<Value>,
}

impl Judged {
    fn new(settings: &Settings, requests: Vec<Request>) -> Self {
        let kinds = [
            SettingKind::PublicAccessBlock,
            SettingKind::AccountPublicAccessBlock,
        ];
        Self {
            policy: match settings.get(SettingKind::BucketPolicy) {
                Some(Setting::Present(Document::BucketPolicy(policy))) => {
                    Some(serde_json::from_str(policy.text()).unwrap())
                }
                _ => None,
            },
            restricted: kinds.iter().any(|kind| {
                let flags = settings.public_access_block(*kind).unwrap();
                flags.restrict_public_buckets
            }),
            requests,
        }
    }
}

/// Whether each request is allowed. A request that the evaluator refuses, or of which it drops a condition key, fails.
fn judge(asked: &[Judged]) -> Vec<Vec<bool>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let node = root.join(".tools/judge/node/bin/node");
    let mut child = Command::new(&node)
        .arg(root.join("tests/judge/judge.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}; `make tools` installs it", node.display()));
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(&serde_json::to_vec(asked).unwrap())
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<Vec<Answer>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), asked.len());
    let allowed = |(request, answer): (&Request, &Answer)| {
        let Request { action, .. } = request;
        let who = request.principal.as_deref().unwrap_or("anonymous");
        assert!(
            answer.error.is_none(),
            "{action} by {who}: {:?}",
            answer.error
        );
        assert!(
            answer.ignored.is_empty(),
            "{action} by {who}: {:?}",
            answer.ignored
        );
        answer.verdict.as_deref() == Some("Allowed")
    };
    asked
        .iter()
        .zip(&answers)
        .map(|(judged, answers)| {
            assert_eq!(judged.requests.len(), answers.len());
            judged.requests.iter().zip(answers).map(allowed).collect()
        })
        .collect()
}

/// What every caller may do, act by act, under each of `settings`.
fn abilities(callers: &[Caller], settings: &[Settings]) -> Vec<Vec<BTreeSet<usize>>> {
    let requests = || callers.iter().flat_map(Caller::requests).collect();
    let asked: Vec<Judged> = settings
        .iter()
        .map(|settings| Judged::new(settings, requests()))
        .collect();
    let verdicts = judge(&asked);
    verdicts
        .into_iter()
        .map(|verdicts| {
            let mut verdicts = verdicts.into_iter();
            let able = callers.iter().map(|caller| {
                let tries = caller.tries.iter().copied();
                tries.filter(|_| verdicts.next().unwrap()).collect()
            });
            able.collect()
        })
        .collect()
}

/// Break-glass and our own role asking for everything that the page has, on the bucket or access point that `policy` is of,
/// as far as there are such requests.
fn who_must_stay(policy: Option<&Value>) -> Vec<Request> {
    let resource = |statement: &Value| match &statement["Resource"] {
        Value::Array(resources) => resources[0].as_str().map(str::to_owned),
        resource => resource.as_str().map(str::to_owned),
    };
    let ours = |statement: &&Value| {
        let sid = statement["Sid"].as_str();
        sid.is_some_and(|sid| sid.starts_with("Portcullis"))
    };
    let statements = policy.and_then(|policy| policy["Statement"].as_array());
    let ours = statements.and_then(|statements| statements.iter().find(ours).and_then(resource));
    let is = |part: &str| ours.as_deref().is_some_and(|arn| arn.contains(part));
    let (is_directory, is_point) = (is(":s3express:"), is(":accesspoint/"));
    let bucket = match ours.as_deref() {
        Some(arn) if is_directory => arn,
        Some(arn) if is_point => arn.split("/object/").next().unwrap(),
        Some(arn) => arn.split('/').next().unwrap(),
        None => BUCKET,
    };
    let of_settings = |request: &Request| {
        let endings = ["Policy", "PublicAccessBlock"];
        endings
            .iter()
            .any(|ending| request.action.ends_with(ending))
    };
    let partition = bucket.split(':').nth(1).unwrap();
    let stays = callers()
        .into_iter()
        .filter(|caller| caller.kind == Kind::MustStay);
    let requests = stays.flat_map(|caller| caller.requests());
    requests
        .filter(|request| !is_point || !of_settings(request))
        .map(|mut request| {
            let inside = format!("{bucket}{}", if is_point { "/object/" } else { "/" });
            let resource = request.resource.replace(&format!("{BUCKET}/"), &inside);
            request.resource = resource.replace(BUCKET, bucket);
            if is_directory {
                request.action = "s3express:CreateSession".to_owned();
                request.resource = bucket.to_owned();
                request.context.retain(|key, _| !key.starts_with("s3:"));
            }
            let local = |arn: &str| arn.replace("arn:aws:", &format!("arn:{partition}:"));
            request.principal = request.principal.as_deref().map(local);
            let arn = request.context["aws:PrincipalArn"].as_str().map(local);
            request.context["aws:PrincipalArn"] = json!(arn);
            request
        })
        .collect()
}

/// What everybody may do before, and under each of [`VARIANTS`].
struct Table {
    callers: Vec<Caller>,
    before: Vec<BTreeSet<usize>>,
    after: Vec<Vec<BTreeSet<usize>>>,
}

impl Table {
    fn judge() -> Self {
        let callers = callers();
        let observed = observed();
        let contained = VARIANTS.iter().map(|variant| variant.contained(&observed));
        let settings: Vec<Settings> = std::iter::once(observed.clone()).chain(contained).collect();
        let mut abilities = abilities(&callers, &settings).into_iter();
        Self {
            callers,
            before: abilities.next().unwrap(),
            after: abilities.collect(),
        }
    }

    /// Every variant with every caller: what it could do, and what it can do still.
    fn each(&self, mut check: impl FnMut(&Variant, &Caller, &BTreeSet<usize>, &BTreeSet<usize>)) {
        for (variant, after) in VARIANTS.iter().zip(&self.after) {
            for ((caller, had), has) in self.callers.iter().zip(&self.before).zip(after) {
                check(variant, caller, had, has);
            }
        }
    }

    fn page(&self) -> String {
        let mut before = "| caller | may |\n|---|---|\n".to_owned();
        for (caller, had) in self.callers.iter().zip(&self.before) {
            let may = words(caller, had, &BTreeSet::new());
            writeln!(before, "| {} | {may} |", caller.name).unwrap();
        }
        let tables: Vec<String> = (0..TABLES.len()).map(|table| self.table(table)).collect();
        include_str!("../judge/who-loses-what.md")
            .replace("@before@\n", &before)
            .replace("@tables@\n", &tables.join("\n"))
    }

    fn table(&self, table: usize) -> String {
        let columns: Vec<usize> = (0..VARIANTS.len())
            .filter(|column| VARIANTS[*column].table == table)
            .collect();
        let headings = columns.iter().map(|column| VARIANTS[*column].heading);
        let headings: Vec<&str> = headings.collect();
        let mut text = format!(
            "## {}\n\n| loses | {} |\n|---|{}\n",
            TABLES[table],
            headings.join(" | "),
            "---|".repeat(columns.len())
        );
        let mut untouched = Vec::new();
        for (row, caller) in self.callers.iter().enumerate() {
            let had = &self.before[row];
            let cells: Vec<String> = columns
                .iter()
                .map(|column| words(caller, had, &self.after[*column][row]))
                .collect();
            match cells.iter().all(String::is_empty) {
                true => untouched.push(caller.name),
                false => {
                    writeln!(text, "| {} | {} |", caller.name, cells.join(" | ")).unwrap();
                }
            }
        }
        writeln!(
            text,
            "\nLose nothing by any of these: {}.",
            untouched.join("; ")
        )
        .unwrap();
        text
    }
}

/// What is in `had` and not in `has`, as a reader would say it.
fn words(caller: &Caller, had: &BTreeSet<usize>, has: &BTreeSet<usize>) -> String {
    let lost: BTreeSet<usize> = had.difference(has).copied().collect();
    match caller.kind {
        Kind::Root if lost == *had => return "everything but the policy ¹".to_owned(),
        _ if lost.len() == ACTS.len() => return "everything".to_owned(),
        _ => {}
    }
    let mut words: Vec<&str> = Vec::new();
    for act in &lost {
        let group = ACTS[*act].group;
        let whole = had
            .iter()
            .filter(|other| ACTS[**other].group == group)
            .all(|other| lost.contains(other));
        // Of the settings, root was asked for Block Public Access only.
        let whole = whole && (caller.kind != Kind::Root || group != SETTINGS);
        let word = if whole { group } else { ACTS[*act].alone };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    // Reads are those of all objects.
    if words.contains(&"reads") {
        words.retain(|word| *word != MALWARE_READ);
    }
    words.join(", ")
}
