//! From one `detail` to one [`Finding`], or to the reason why it is left alone.

use std::mem::take;
use std::net::IpAddr;

use super::buckets::{Buckets, Reference, is_account, is_region, unique};
use super::error::{EventError, Place, quoted};
use super::read::{Event, Ignored, IgnoredReason};
use super::wire::{ApiCallAction, Detail, Resource, S3Bucket, Service};
use super::{Call, Finding, Object, Remote, Target, actor, sequence};

/// The one classic type that names no bucket: what it reports belongs to the account.
const ACCOUNT_BLOCK_DISABLED: &str = "Policy:S3/AccountBlockPublicAccessDisabled";

/// Reads one finding, whose keys have their wire names. The first result is the event; others are buckets of it that
/// cannot be named. Where no bucket can be named, these errors are all there is.
pub(super) fn read(mut detail: Box<Detail>, place: &Place) -> Vec<Result<Event, EventError>> {
    match Required::of(&mut detail, place) {
        Ok(required) => read_whole(detail, required, place),
        Err(error) => vec![Err(error)],
    }
}

/// The same for one that is known to have what it must have.
pub(super) fn read_whole(
    detail: Box<Detail>,
    required: Required,
    place: &Place,
) -> Vec<Result<Event, EventError>> {
    if !concerns_s3(&detail, &required.kind) {
        return vec![Ok(Event::Ignored(Ignored {
            reason: IgnoredReason::NoS3,
            what: format!(
                "{} finding {} names no S3 bucket",
                quoted(&required.kind),
                required.id
            ),
            finding: Some(required.id),
        }))];
    }
    let mut problems = Vec::new();
    let finding = finding(detail, required, place, &mut problems);
    let unreadable = finding.targets.is_empty() && !problems.is_empty();
    (!unreadable)
        .then(|| Ok(Event::Finding(Box::new(finding))))
        .into_iter()
        .chain(problems.into_iter().map(Err))
        .collect()
}

/// What no finding is without. The envelope's account and Region are no substitute: an administrator's account receives
/// its members' findings.
pub(super) struct Required {
    id: String,
    kind: String,
    account: String,
    region: String,
}

impl Required {
    /// Takes them out of a finding.
    pub(super) fn of(detail: &mut Detail, place: &Place) -> Result<Self, EventError> {
        Ok(Self {
            id: place.required("id", detail.id.take(), is_id, "a finding id")?,
            kind: place.required("type", detail.kind.take(), |_| true, "a finding type")?,
            account: place.required(
                "accountId",
                detail.account_id.take(),
                is_account,
                "an account id (digits only)",
            )?,
            region: place.required("region", detail.region.take(), is_region, "a Region")?,
        })
    }
}

/// GuardDuty's ids are 32 hexadecimal digits. Any id becomes part of object keys and file names here, so that others are
/// read too, but no separators.
fn is_id(text: &str) -> bool {
    text.len() <= 300
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
        && text.bytes().any(|b| b.is_ascii_alphanumeric())
}

/// `resourceType` says nothing about it: findings from CloudTrail management events, which are all of `Policy:S3/…` and
/// `Stealth:S3/…`, have `AccessKey` there.
fn concerns_s3(detail: &Detail, kind: &str) -> bool {
    kind.contains(":S3/")
        || detail
            .resource
            .s3_bucket_details
            .iter()
            .any(|bucket| bucket.name.is_some() || bucket.arn.is_some())
        || sequence::concerns_s3(&detail.service.detection.sequence)
        || (kind.contains(":IAMUser/") && !affected(detail).is_empty() && !is_sample(detail))
}

fn affected(detail: &Detail) -> &[String] {
    let action = &detail.service.action.aws_api_call_action;
    &action.affected_resources.buckets
}

/// Samples say so in `additionalInfo`. Those that lost it still have generated ids, which no real principal can have.
fn is_sample(detail: &Detail) -> bool {
    let key = &detail.resource.access_key_details;
    let generated = |id: &Option<String>| {
        id.as_ref()
            .is_some_and(|id| id.starts_with("GeneratedFinding"))
    };
    let info = &detail.service.additional_info;
    info.sample == Some(true)
        || info.value.sample == Some(true)
        || generated(&key.access_key_id)
        || generated(&key.principal_id)
}

fn finding(
    mut detail: Box<Detail>,
    required: Required,
    place: &Place,
    problems: &mut Vec<EventError>,
) -> Finding {
    let Required {
        id,
        kind,
        account,
        region,
    } = required;
    let sample = is_sample(&detail);
    let partition = partition(&detail, &region);
    let Resource {
        access_key_details,
        s3_bucket_details,
        instance_details,
    } = detail.resource;
    let service = &mut detail.service;
    let action = &mut service.action.aws_api_call_action;
    let affected = match sample {
        true => Vec::new(),
        false => take(&mut action.affected_resources.buckets),
    };

    let mut buckets = Buckets::default();
    let details_place = || place.key("resource").key("s3BucketDetails");
    add_details(
        s3_bucket_details,
        details_place,
        &id,
        &mut buckets,
        problems,
    );
    let said = take(&mut service.detection.sequence);
    let sequence_place = || place.key("service").key("detection").key("sequence");
    let told = sequence::read(said, sequence_place, &id, &mut buckets, problems);
    if buckets.is_empty() && problems.is_empty() {
        let place = place
            .key("service.action.awsApiCallAction.affectedResources")
            .key("AWS::S3::Bucket");
        add_affected(&affected, &place, &id, &mut buckets, problems);
    }
    let targets = if kind == ACCOUNT_BLOCK_DISABLED {
        problems.clear();
        vec![Target::Account(account.clone())]
    } else {
        buckets.into_targets(&account)
    };

    let caller = actor::caller(
        &kind,
        access_key_details,
        &action.remote_account_details,
        instance_details.instance_id.as_deref(),
    );
    let remote = remote(action);
    Finding {
        partition,
        severity: detail.severity.unwrap_or_default(),
        created_at: detail.created_at,
        updated_at: detail.updated_at,
        first_seen: service.event_first_seen,
        last_seen: service.event_last_seen,
        count: service.count.map_or(1, |count| (count as u64).max(1)),
        archived: service.archived.unwrap_or_default(),
        sample,
        targets,
        actors: caller.into_iter().chain(told.actors).collect(),
        calls: call(service).into_iter().chain(told.calls).collect(),
        remotes: remote.into_iter().chain(told.remotes).collect(),
        threats: threats(service),
        indicators: told.indicators,
        id,
        kind,
        account,
        region,
        arn: detail.arn,
        title: detail.title,
        description: detail.description,
        detector: service.detector_id.take(),
        detection_rule: detail.custom_detection_rule_name,
        attack_sequence: detail.associated_attack_sequence_arn,
    }
}

fn add_details(
    details: Vec<S3Bucket>,
    place: impl Fn() -> Place,
    finding: &str,
    buckets: &mut Buckets,
    problems: &mut Vec<EventError>,
) {
    for (index, said) in details.into_iter().enumerate() {
        let (key, text) = match (&said.name, &said.arn) {
            (Some(name), _) => ("name", name),
            (None, Some(arn)) => ("arn", arn),
            (None, None) => continue,
        };
        let Some(named) = Reference::bucket(text) else {
            problems.push(EventError::Bucket {
                place: place().index(index).key(key).to_string(),
                found: quoted(text),
                finding: finding.to_owned(),
            });
            continue;
        };
        // The ARN of a directory bucket has its Region and account; it counts when it is the same bucket's.
        let reference = said
            .arn
            .as_deref()
            .and_then(Reference::bucket)
            .filter(|of_arn| of_arn.name == named.name)
            .unwrap_or(named);
        let (owner, mut bucket) = reference.into_bucket();
        bucket.role = said.role;
        bucket.tags = said.tags;
        bucket.reported_permission = said.public_access.effective_permission;
        bucket.objects = said
            .s3_object_details
            .into_iter()
            .filter_map(|object| {
                let of_arn = || Reference::object(object.object_arn.as_deref()?)?.key;
                Some(Object {
                    key: object.key.or_else(of_arn)?,
                    version: object.version_id,
                })
            })
            .collect();
        buckets.add(owner, bucket);
    }
}

/// `affectedResources` is the only place where some findings about credentials name the bucket. In samples it names others
/// than the rest of the finding does, so that it is never read there.
fn add_affected(
    names: &[String],
    place: &Place,
    finding: &str,
    buckets: &mut Buckets,
    problems: &mut Vec<EventError>,
) {
    for name in names {
        match Reference::bucket(name) {
            Some(reference) => {
                let (owner, bucket) = reference.into_bucket();
                buckets.add(owner, bucket);
            }
            None => problems.push(EventError::Bucket {
                place: place.to_string(),
                found: quoted(name),
                finding: finding.to_owned(),
            }),
        }
    }
}

fn partition(detail: &Detail, region: &str) -> String {
    let said = detail.partition.as_deref().filter(is_partition);
    let otherwise = || partition_of(detail.arn.as_deref(), region);
    said.map_or_else(otherwise, str::to_owned)
}

/// The partition of an ARN; where it is none, of a Region.
pub(super) fn partition_of(arn: Option<&str>, region: &str) -> String {
    let of_arn = || arn?.strip_prefix("arn:")?.split(':').next();
    let of_region = || match region.split('-').next() {
        Some("cn") => "aws-cn",
        Some("eusc") => "aws-eusc",
        Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
        Some("us") if region.starts_with("us-isob-") => "aws-iso-b",
        Some("us") if region.starts_with("us-isof-") => "aws-iso-f",
        Some("us") if region.starts_with("us-iso-") => "aws-iso",
        _ => "aws",
    };
    of_arn()
        .filter(is_partition)
        .unwrap_or_else(of_region)
        .to_owned()
}

fn is_partition(text: &&str) -> bool {
    text.starts_with("aws")
        && text.len() <= 20
        && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

// From here on texts are taken out of the finding, and not copied: a backtest reads very many.

fn call(service: &mut Service) -> Option<Call> {
    let action = &mut service.action.aws_api_call_action;
    let info = &mut service.additional_info;
    let user_agents = [
        &mut action.user_agent,
        &mut info.user_agent.full_user_agent,
        &mut info.value.user_agent.full_user_agent,
    ];
    Some(Call {
        api: action.api.take()?,
        service: action.service_name.take(),
        error: action.error_code.take(),
        user_agent: user_agents.into_iter().find_map(Option::take),
    })
}

fn remote(action: &mut ApiCallAction) -> Option<Remote> {
    let said = &mut action.remote_ip_details;
    let account = &mut action.remote_account_details;
    let organization = &mut said.organization;
    let country = &mut said.country;
    let organizations = [
        &mut organization.asn_org,
        &mut organization.org,
        &mut organization.isp,
    ];
    let remote = Remote {
        address: [&said.ip_address_v4, &said.ip_address_v6]
            .into_iter()
            .flatten()
            .find_map(|text| text.trim().parse::<IpAddr>().ok()),
        domain: [
            &mut action.domain_details.domain,
            &mut account.aws_service_name,
        ]
        .into_iter()
        .find_map(Option::take),
        country: country
            .country_name
            .take()
            .or_else(|| country.country_code.take()),
        asn: organization.asn.take().and_then(sequence::digits),
        organization: organizations.into_iter().find_map(Option::take),
        account: account.account_id.take().filter(|id| is_account(id)),
        affiliated: account.affiliated,
    };
    (remote != Remote::default()).then_some(remote)
}

fn threats(service: &mut Service) -> Vec<String> {
    let mut names = Vec::new();
    for threat in take(&mut service.evidence.threat_intelligence_details) {
        names.extend(threat.threat_list_name);
        names.extend(threat.threat_names);
    }
    let info = &mut service.additional_info;
    let of_info = [
        &mut info.threat_list_name,
        &mut info.threat_name,
        &mut info.value.threat_list_name,
        &mut info.value.threat_name,
    ];
    names.extend(of_info.into_iter().flat_map(take));
    let malware = take(&mut service.malware_scan_details.threats);
    names.extend(malware.into_iter().filter_map(|threat| threat.name));
    unique(names, String::clone)
}
