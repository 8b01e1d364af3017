//! Attack sequences and the findings of custom detection rules: many actors, resources and calls in one finding, under
//! `service.detection.sequence`.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::actor::{is_access_key, is_instance, key_holder, member};
use super::buckets::{Buckets, Reference, is_account, is_region, unique};
use super::error::{EventError, Place, quoted};
use super::wire::{AccessKeyDetails, Endpoint, Indicator, Sequence, SequenceResource, Signal};
use super::{Actor, Call, Object, Remote};

/// What a sequence says, but for its buckets.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) actors: Vec<Actor>,
    pub(super) calls: Vec<Call>,
    pub(super) remotes: Vec<Remote>,
    pub(super) indicators: BTreeMap<String, Vec<String>>,
}

/// Whether a bucket or an object is among the sequence's resources.
pub(super) fn concerns_s3(sequence: &Sequence) -> bool {
    sequence
        .resources
        .iter()
        .any(|resource| matches!(kind_of(resource), Kind::Bucket | Kind::Object))
}

/// Reads the sequence, adding its buckets to `buckets` and those that cannot be named to `problems`.
pub(super) fn read(
    sequence: Sequence,
    place: impl Fn() -> Place,
    finding: &str,
    buckets: &mut Buckets,
    problems: &mut Vec<EventError>,
) -> Told {
    let instances = instances(&sequence.resources);
    let mut holders = Vec::new();
    let objects_in = buckets_of_objects(&sequence.resources);
    for (index, resource) in sequence.resources.into_iter().enumerate() {
        match kind_of(&resource) {
            Kind::Bucket | Kind::Object => {
                if let Err(found) = add(resource, &objects_in, buckets) {
                    let place = place().key("resources").index(index).key("uid");
                    problems.push(EventError::Bucket {
                        place: place.to_string(),
                        found,
                        finding: finding.to_owned(),
                    });
                }
            }
            Kind::AccessKey => holders.extend(holder(resource)),
            Kind::Instance | Kind::Other => {}
        }
    }
    let actors = sequence
        .actors
        .into_iter()
        .filter_map(|actor| member(actor, &instances));
    Told {
        actors: with_keys(actors.collect(), holders),
        calls: calls(&sequence.signals),
        remotes: unique(
            sequence.endpoints.into_iter().filter_map(remote),
            |remote| (remote.address, remote.domain.clone()),
        ),
        indicators: indicators(sequence.sequence_indicators, sequence.signals),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Bucket,
    Object,
    AccessKey,
    Instance,
    Other,
}

fn kind_of(resource: &SequenceResource) -> Kind {
    match resource.resource_type.as_deref() {
        Some("S3_BUCKET") => Kind::Bucket,
        Some("S3_OBJECT") => Kind::Object,
        Some("ACCESS_KEY") => Kind::AccessKey,
        Some("EC2_INSTANCE") => Kind::Instance,
        _ => Kind::Other,
    }
}

/// Which bucket lists which object, by `s3ObjectUids`: an object's own uid need not name its bucket.
fn buckets_of_objects(resources: &[SequenceResource]) -> HashMap<String, Reference> {
    let mut objects_in = HashMap::new();
    for resource in resources {
        if resource.data.s3_bucket.s3_object_uids.is_empty() || kind_of(resource) != Kind::Bucket {
            continue;
        }
        let Some(bucket) = bucket_of(resource) else {
            continue;
        };
        for uid in &resource.data.s3_bucket.s3_object_uids {
            objects_in.insert(uid.clone(), bucket.clone());
        }
    }
    objects_in
}

/// The form of `uid` is not documented: it may be an ARN or a bare name, so `name` is tried first.
fn bucket_of(resource: &SequenceResource) -> Option<Reference> {
    [&resource.name, &resource.uid]
        .into_iter()
        .flatten()
        .find_map(|text| Reference::bucket(text))
}

fn object_of(
    resource: &SequenceResource,
    objects_in: &HashMap<String, Reference>,
) -> Option<Reference> {
    let listed = || {
        let bucket = objects_in.get(resource.uid.as_ref()?)?;
        Some(bucket.clone())
    };
    [&resource.uid, &resource.name]
        .into_iter()
        .flatten()
        .filter(|text| text.starts_with("arn:"))
        .find_map(|text| Reference::object(text))
        .or_else(listed)
        .or_else(|| Reference::object(resource.uid.as_deref()?))
}

/// Adds the bucket of an `S3_BUCKET` or `S3_OBJECT` resource, or says what stands where its name should.
fn add(
    resource: SequenceResource,
    objects_in: &HashMap<String, Reference>,
    buckets: &mut Buckets,
) -> Result<(), String> {
    let is_object = kind_of(&resource) == Kind::Object;
    let reference = if is_object {
        object_of(&resource, objects_in)
    } else {
        bucket_of(&resource)
    };
    let Some(mut reference) = reference else {
        let found = resource.uid.as_deref().or(resource.name.as_deref());
        return Err(found.map_or_else(|| "absent".to_owned(), quoted));
    };
    let named_key = reference.key.take();
    let (owner, mut bucket) = reference.into_bucket();
    if is_object {
        let said = resource.data.s3_object;
        bucket.objects = said
            .key
            .or(named_key)
            .map(|key| Object {
                key,
                version: said.version_id,
            })
            .into_iter()
            .collect();
    } else {
        bucket.reported_permission = resource.data.s3_bucket.effective_permission;
        bucket.tags = resource.tags;
    }
    // The resource's own account and Region win over the finding's: a sequence may span several of both.
    bucket.region = resource
        .region
        .filter(|region| is_region(region))
        .or(bucket.region);
    let owner = resource.account_id.filter(|id| is_account(id)).or(owner);
    buckets.add(owner, bucket);
    Ok(())
}

fn instances(resources: &[SequenceResource]) -> Vec<String> {
    resources
        .iter()
        .filter(|resource| kind_of(resource) == Kind::Instance)
        .flat_map(|resource| [&resource.name, &resource.uid])
        .flatten()
        .filter_map(|text| text.rsplit('/').next())
        .filter(|id| is_instance(id))
        .map(str::to_owned)
        .collect()
}

fn holder(resource: SequenceResource) -> Option<Actor> {
    let access_key = [resource.name, resource.uid]
        .into_iter()
        .flatten()
        .find(|text| is_access_key(text));
    let details = AccessKeyDetails {
        access_key_id: None,
        ..resource.data.access_key
    };
    key_holder(details, access_key)
}

/// The actors, with the access keys that the resources add to them. The holders of the keys stand in when a sequence names
/// no actor at all.
fn with_keys(mut actors: Vec<Actor>, holders: Vec<Actor>) -> Vec<Actor> {
    if actors.is_empty() {
        actors = holders;
    } else {
        let keys: HashMap<String, String> = holders
            .into_iter()
            .filter_map(|holder| Some((holder.principal_id?, holder.access_key?)))
            .collect();
        for actor in &mut actors {
            if let (None, Some(principal)) = (&actor.access_key, &actor.principal_id) {
                actor.access_key = keys.get(principal).cloned();
            }
        }
    }
    unique(actors, |actor| {
        (
            actor.principal_id.clone(),
            actor.arn.clone(),
            actor.name.clone(),
            actor.access_key.clone(),
        )
    })
}

fn calls(signals: &[Signal]) -> Vec<Call> {
    let activities = signals.iter().flat_map(|signal| &signal.activities);
    let calls = activities.filter_map(|activity| {
        Some(Call {
            api: activity.api.operation.clone()?,
            service: activity.api.service.clone(),
            error: activity.api.error.clone(),
            user_agent: activity.api.user_agent.clone(),
        })
    });
    unique(calls, |call| {
        (
            call.api.clone(),
            call.service.clone(),
            call.error.clone(),
            call.user_agent.clone(),
        )
    })
}

/// An endpoint's domain may be an attacker's, unlike the one of a single finding; only an AWS service's is kept, because a
/// remote with a domain is spared.
fn remote(endpoint: Endpoint) -> Option<Remote> {
    let address: Option<IpAddr> = endpoint.ip.and_then(|ip| ip.trim().parse().ok());
    let domain = endpoint
        .domain
        .filter(|domain| address.is_none() && is_service(domain));
    (address.is_some() || domain.is_some()).then(|| Remote {
        address,
        domain,
        country: endpoint.location.country,
        asn: endpoint.autonomous_system.number.and_then(digits),
        organization: endpoint.autonomous_system.name,
        ..Remote::default()
    })
}

/// `s3.amazonaws.com`; a host name such as `ec2-198-51-100-7.compute-1.amazonaws.com` has more labels.
fn is_service(domain: &str) -> bool {
    domain
        .strip_suffix(".amazonaws.com")
        .is_some_and(|service| {
            !service.is_empty()
                && service
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

/// An autonomous system's number. Findings that do not know it say -1 or 0.
pub(super) fn digits(asn: String) -> Option<String> {
    let number: u32 = asn.trim().trim_start_matches("AS").parse().ok()?;
    (number > 0).then(|| number.to_string())
}

fn indicators(sequence: Vec<Indicator>, signals: Vec<Signal>) -> BTreeMap<String, Vec<String>> {
    let of_signals = signals
        .into_iter()
        .flat_map(|signal| signal.signal_indicators);
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for indicator in sequence.into_iter().chain(of_signals) {
        if let Some(key) = indicator.key {
            all.entry(key).or_default().extend(indicator.values);
        }
    }
    all.into_iter()
        .map(|(key, values)| (key, unique(values, String::clone)))
        .collect()
}
