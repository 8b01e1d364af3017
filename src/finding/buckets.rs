//! Which buckets a finding names: names and ARNs checked, and several mentions of one bucket made one.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bucket, Object, Target};

/// What a name or an ARN says about a bucket, and perhaps an object in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) key: Option<String>,
}

impl Reference {
    /// A bucket by its name or its ARN, or the bucket of an object's ARN.
    pub(super) fn bucket(text: &str) -> Option<Self> {
        if text.starts_with("arn:") {
            return Self::arn(text);
        }
        is_bucket_name(text).then(|| Self {
            name: text.to_owned(),
            account: None,
            region: None,
            key: None,
        })
    }

    /// An object by its ARN or as `bucket/key`.
    pub(super) fn object(text: &str) -> Option<Self> {
        let reference = if text.starts_with("arn:") {
            Self::arn(text)?
        } else {
            let (name, key) = text.split_once('/')?;
            Self {
                key: Some(key.to_owned()),
                ..Self::bucket(name)?
            }
        };
        reference.key.as_ref().filter(|key| !key.is_empty())?;
        Some(reference)
    }

    /// `arn:aws:s3:::bucket/key` or `arn:aws:s3express:region:account:bucket/name/key`, in any partition.
    ///
    /// An S3 ARN with an account in it names an access point, a job or a lens, and those name no bucket.
    fn arn(text: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        parts.next().filter(|arn| *arn == "arn")?;
        parts
            .next()
            .filter(|partition| partition.starts_with("aws"))?;
        let service = parts.next()?;
        let region = parts.next()?;
        let account = parts.next()?;
        let resource = parts.next()?;
        let path = match service {
            "s3" if account.is_empty() => resource,
            "s3express" => resource.strip_prefix("bucket/")?,
            _ => return None,
        };
        let (name, key) = match path.split_once('/') {
            Some((name, key)) => (name, Some(key.to_owned())),
            None => (path, None),
        };
        is_bucket_name(name).then(|| Self {
            name: name.to_owned(),
            account: is_account(account).then(|| account.to_owned()),
            region: is_region(region).then(|| region.to_owned()),
            key,
        })
    }

    /// The bucket with what the reference says of it, and the account for [`Buckets::add`].
    pub(super) fn into_bucket(self) -> (Option<String>, Bucket) {
        let bucket = Bucket {
            directory: self.name.ends_with("--x-s3"),
            name: self.name,
            region: self.region,
            ..Bucket::default()
        };
        (self.account, bucket)
    }
}

/// Three to 63 lower-case letters, digits, dots and hyphens; buckets made in us-east-1 before 2018 may also have upper-case
/// letters, underscores and up to 255 characters. A name becomes part of URLs and ARNs, so nothing else is let through.
pub(super) fn is_bucket_name(text: &str) -> bool {
    (3..=255).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
        && text.bytes().any(|b| b.is_ascii_alphanumeric())
}

/// Account ids are 12 digits. Events with other lengths exist; no such account can be acted upon, so they are let through
/// as what they are.
pub(super) fn is_account(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// A Region becomes part of host names, so nothing but its alphabet is let through.
pub(super) fn is_region(text: &str) -> bool {
    (2..=40).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
}

/// The buckets of one finding, each once, in the order of their first mention.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    found: Vec<(Option<String>, Bucket)>,
    /// Where they are in `found`; empty while they are few enough to be looked through.
    first_by_name: BTreeMap<String, usize>,
    by_owner: BTreeMap<(String, String), usize>,
}

/// So many are looked through. Most findings name one.
const FEW: usize = 8;

impl Buckets {
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Adds a mention of a bucket. Without an `account` it is taken to be the bucket of that name already mentioned.
    pub(super) fn add(&mut self, account: Option<String>, bucket: Bucket) {
        let position = self.position(&bucket.name, account.as_deref());
        let Some(position) = position else {
            self.found.push((account, bucket));
            match self.found.len() {
                0..=FEW => {}
                // The first of too many: from now on all of them are looked up.
                length if length == FEW + 1 => (0..length).for_each(|at| self.index(at)),
                length => self.index(length - 1),
            }
            return;
        };
        let Some((owner, known)) = self.found.get_mut(position) else {
            return;
        };
        merge(known, bucket);
        if owner.is_none() && account.is_some() {
            *owner = account;
            if self.found.len() > FEW {
                self.index(position);
            }
        }
    }

    fn index(&mut self, position: usize) {
        let Some((owner, bucket)) = self.found.get(position) else {
            return;
        };
        let first = self.first_by_name.entry(bucket.name.clone());
        first.or_insert(position);
        if let Some(owner) = owner {
            let key = (bucket.name.clone(), owner.clone());
            self.by_owner.insert(key, position);
        }
    }

    fn position(&self, name: &str, account: Option<&str>) -> Option<usize> {
        let few = self.found.len() <= FEW;
        let first = match few {
            true => self.found.iter().position(|(_, known)| known.name == name),
            false => self.first_by_name.get(name).copied(),
        };
        let Some(account) = account else {
            return first;
        };
        let owned = match few {
            true => self
                .found
                .iter()
                .position(|(owner, known)| known.name == name && owner.as_deref() == Some(account)),
            false => {
                let key = (name.to_owned(), account.to_owned());
                self.by_owner.get(&key).copied()
            }
        };
        owned.or_else(|| {
            first.filter(|position| {
                let found = self.found.get(*position);
                found.is_some_and(|(owner, _)| owner.is_none())
            })
        })
    }

    /// The targets; a bucket whose owner is not said is the finding's account's.
    pub(super) fn into_targets(self, account: &str) -> Vec<Target> {
        self.found
            .into_iter()
            .map(|(owner, mut bucket)| {
                bucket.account = owner.unwrap_or_else(|| account.to_owned());
                bucket.objects = unique(bucket.objects, |object: &Object| {
                    (object.key.clone(), object.version.clone())
                });
                Target::Bucket(bucket)
            })
            .collect()
    }
}

fn merge(known: &mut Bucket, other: Bucket) {
    known.region = known.region.take().or(other.region);
    known.role = known.role.take().or(other.role);
    known.reported_permission = known
        .reported_permission
        .take()
        .or(other.reported_permission);
    for (key, value) in other.tags {
        known.tags.entry(key).or_insert(value);
    }
    known.objects.extend(other.objects);
}

/// The items without repetitions, in the order of their first mention.
pub(super) fn unique<T, K: Ord>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> Vec<T> {
    let mut seen = BTreeSet::new();
    items
        .into_iter()
        .filter(|item| seen.insert(key(item)))
        .collect()
}
