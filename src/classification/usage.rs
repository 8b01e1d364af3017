//! What a bucket is for, as far as its settings tell: these are the buckets that a blind block breaks.

use serde::{Deserialize, Serialize};

use super::{BucketUse, Reasoned};
use crate::finding::Bucket;
use crate::settings::{SettingKind, Settings, Statement};

/// What a bucket is for, and what could not be read to tell.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Uses {
    /// Every use that shows; `ordinary` alone where all was read and none does.
    pub are: Vec<Reasoned<BucketUse>>,
    /// What was not read, in words: more uses may be there.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unread: Vec<String>,
}

impl Uses {
    /// The uses that show.
    pub fn words(&self) -> Vec<BucketUse> {
        self.are.iter().map(|found| found.is).collect()
    }

    /// Whether the bucket is seen to be of this use.
    pub fn has(&self, word: BucketUse) -> bool {
        self.are.iter().any(|found| found.is == word)
    }
}

/// The settings that tell what a bucket is for.
pub(crate) const TELLING: [SettingKind; 4] = [
    SettingKind::BucketPolicy,
    SettingKind::Acl,
    SettingKind::Replication,
    SettingKind::Website,
];

/// The group by whose grants S3 delivers server access logs to a bucket with ACLs.
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
/// The canonical user by whose grant CloudFront delivers standard logs to a bucket with ACLs.
const CLOUDFRONT_LOGS: &str = "c4c1ede66af53448b93c283ce9448c4ba468c9432aa01d700d3878632f77d2d0";
/// How the ARN of a CloudFront origin access identity begins, after its partition.
const ACCESS_IDENTITY: &str = ":iam::cloudfront:user/CloudFront Origin Access Identity ";

/// The services that deliver logs as themselves.
const LOG_SERVICES: [&str; 7] = [
    "cloudtrail.amazonaws.com",
    "config.amazonaws.com",
    "delivery.logs.amazonaws.com",
    "logdelivery.elasticloadbalancing.amazonaws.com",
    "logdelivery.elb.amazonaws.com",
    "logging.s3.amazonaws.com",
    "redshift.amazonaws.com",
];

/// The accounts as which load balancers deliver access logs in Regions from before August 2022, and not as a service.
const LOAD_BALANCERS: [&str; 26] = [
    "009996457667",
    "027434742980",
    "033677994240",
    "037604701340",
    "048591011584",
    "054676820928",
    "076674570225",
    "098369216593",
    "114774131450",
    "127311923021",
    "156460612806",
    "190560391635",
    "383597477331",
    "507241528517",
    "582318560864",
    "589379963580",
    "600734575887",
    "635631232127",
    "638102146993",
    "652711504416",
    "718504428378",
    "754344448648",
    "783225319266",
    "797873946194",
    "897822967062",
    "985666609251",
];

/// What the settings tell. `bucket` is none where the target is the account, which has no use.
pub(super) fn uses(observed: &Settings, bucket: Option<&Bucket>) -> Uses {
    let Some(bucket) = bucket else {
        return Uses::default();
    };
    let mut uses = Uses::default();
    match observed.xml(SettingKind::Website) {
        Ok(None) => {}
        Ok(Some(_)) => uses.add(BucketUse::Website, "it has a website configuration"),
        Err(unknown) => uses.unread.push(unknown.told()),
    }
    match observed.bucket_policy() {
        Ok(policy) => {
            let statements = policy.into_iter().flat_map(|policy| policy.statements());
            for statement in statements.filter(|statement| statement.effect() == "Allow") {
                by_statement(statement, &bucket.account, &mut uses);
            }
        }
        Err(unknown) => uses.unread.push(unknown.told()),
    }
    match observed.acl() {
        Ok(_) => {
            if let Some(deliverer) = delivery_by_acl(observed) {
                let why = format!("its access control list lets {deliverer} write");
                uses.add(BucketUse::LogTarget, why);
            }
        }
        Err(unknown) => uses.unread.push(unknown.told()),
    }
    match observed.xml(SettingKind::Replication) {
        Ok(configuration) => {
            let rules = configuration.map_or(0, |document| {
                let rules = document.root().all("Rule");
                rules
                    .filter(|rule| rule.value("Status") == "Enabled")
                    .count()
            });
            if rules > 0 {
                let why = format!("{rules} of its replication rules are on");
                uses.add(BucketUse::ReplicationSource, why);
            }
        }
        Err(unknown) => uses.unread.push(unknown.told()),
    }
    uses.unread.sort();
    uses.unread.dedup();
    if uses.are.is_empty() && uses.unread.is_empty() {
        uses.add(
            BucketUse::Ordinary,
            "none of its settings shows another use",
        );
    }
    uses
}

/// Who delivers logs to the bucket by a grant that no Deny can be seen to spare: an ACL grant, or an account of AWS's. None
/// where nobody is seen to, or the settings were not read.
pub(crate) fn delivery_not_by_service(observed: &Settings) -> Option<String> {
    let by_account = || {
        let policy = observed.bucket_policy().ok()??;
        let admitted = policy
            .statements()
            .iter()
            .filter(|statement| statement.effect() == "Allow")
            .find_map(load_balancers);
        admitted.map(|account| format!("load balancers, as account {account}"))
    };
    delivery_by_acl(observed)
        .map(str::to_owned)
        .or_else(by_account)
}

/// Who delivers logs by a grant of the access control list; none where nobody is seen to.
pub(crate) fn delivery_by_acl(observed: &Settings) -> Option<&'static str> {
    let acl = observed.acl().ok()?;
    let grants = acl
        .grants
        .iter()
        .filter(|grant| ["WRITE", "FULL_CONTROL"].contains(&grant.permission.as_str()));
    grants
        .into_iter()
        .find_map(|grant| match grant.grantee.as_str() {
            LOG_DELIVERY => Some("S3's log delivery group"),
            CLOUDFRONT_LOGS => Some("CloudFront's log delivery"),
            _ => None,
        })
}

fn by_statement(statement: &Statement, account: &str, uses: &mut Uses) {
    let sid = statement.sid().unwrap_or("without a Sid");
    let services = statement.services();
    let principals = statement.aws_principals();
    if services.contains(&"cloudfront.amazonaws.com") {
        let why =
            format!("statement {sid} of its policy admits CloudFront by origin access control");
        uses.add(BucketUse::CloudfrontOrigin, why);
    }
    if principals.iter().any(|arn| arn.contains(ACCESS_IDENTITY)) {
        let why =
            format!("statement {sid} of its policy admits a CloudFront origin access identity");
        uses.add(BucketUse::CloudfrontOrigin, why);
    }
    let writes = statement.may_do("s3:PutObject");
    let is_log_service = |service: &&&str| {
        // CloudWatch Logs exports as logs.REGION.amazonaws.com.
        LOG_SERVICES.contains(*service)
            || (service.starts_with("logs.") && service.contains(".amazonaws.com"))
    };
    if let Some(service) = services.iter().find(is_log_service).filter(|_| writes) {
        let why = format!("statement {sid} of its policy lets {service} write");
        uses.add(BucketUse::LogTarget, why);
    }
    if let Some(id) = load_balancers(statement) {
        let why =
            format!("statement {sid} of its policy lets load balancers write, as account {id}");
        uses.add(BucketUse::LogTarget, why);
    }
    let elsewhere = principals
        .iter()
        .any(|principal| *principal != account && principal.split(':').nth(4) != Some(account));
    // Within one account replication needs no statement in the target's policy, and does not show there.
    let replicates = statement
        .list("Action")
        .iter()
        .any(|action| action.to_ascii_lowercase().starts_with("s3:replicate"));
    if elsewhere && replicates {
        let why = format!("statement {sid} of its policy lets another account replicate to it");
        uses.add(BucketUse::ReplicationTarget, why);
    }
}

/// Whether a principal is AWS's own and no other customer's: an origin access identity, or load balancers.
pub(super) fn is_of_aws(principal: &str) -> bool {
    let account = principal.split(':').nth(4).unwrap_or(principal);
    principal.contains(ACCESS_IDENTITY) || LOAD_BALANCERS.contains(&account)
}

fn load_balancers(statement: &Statement) -> Option<&'static str> {
    let principals = statement.aws_principals();
    LOAD_BALANCERS.into_iter().find(|account| {
        statement.may_do("s3:PutObject")
            && principals.iter().any(|principal| {
                principal == account || principal.split(':').nth(4) == Some(account)
            })
    })
}

impl Uses {
    fn add(&mut self, is: BucketUse, because: impl Into<String>) {
        match self.are.iter_mut().find(|known| known.is == is) {
            Some(known) => {
                known.because += "; ";
                known.because += &because.into();
            }
            None => self.are.push(Reasoned::new(is, because)),
        }
    }
}
