//! The layout of the store: the only place that builds keys.
//!
//! Finding ids, accounts and bucket names come from an event that anybody may have written, and in
//! a folder a key becomes a path. What is not plainly a name is refused, not escaped: no finding
//! id, account or bucket of AWS needs another character, and two names can never become one key.

use jiff::Timestamp;
use thiserror::Error;

/// The policy file.
pub const POLICY_KEY: &str = "policy.yaml";
/// The prefix of all records and their results.
pub const RECORDS: &str = "records/";
/// The prefix of all leases.
pub const LEASES: &str = "leases/";
/// The prefix of what containments are counted by.
pub const ACTIVITY: &str = "activity/";
/// The targets that were contained in the last hour.
pub const ACTIVITY_KEY: &str = "activity/last-hour.json";
/// The prefix of the marks of containments that may stand.
pub const STANDING: &str = "standing/";
/// The prefix of the marks of those that have ended.
pub const ENDED: &str = "ended/";
/// The prefix of the marks of notices that were sent.
pub const NOTICES: &str = "notices/";
/// The prefix of the marks of Macie jobs whose end is awaited.
pub const JOBS: &str = "jobs/";
/// The prefix of what others wrote and a write of ours hid.
pub const OVERWRITTEN: &str = "overwritten/";
/// The prefix of all releases.
pub const RELEASES: &str = "releases/";

/// The prefix of the copies of policy files that were pushed, and of the notes on who did.
pub const POLICIES: &str = "policies/";

/// What follows the id in the key of a record's result.
const RESULT: &str = ".result";
/// What stands for the account itself where a bucket's name would; `@` is refused in names, so no
/// bucket can be called that (`account` alone is a valid bucket name).
const ACCOUNT_ITSELF: &str = "@account";
/// Room for a finding id, a bucket and a time in one file name of at most 255 bytes.
const LONGEST_PART: usize = 200;
/// S3's own limit.
const LONGEST_KEY: usize = 1024;
/// How much of a digest names a policy file among those of one store.
const SHORT_DIGEST: usize = 12;
/// How much of a refused value is repeated in the message.
const SHOWN: usize = 80;

/// A value that cannot be part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the {what} {value:?} cannot name an object of the store: {problem}")]
pub struct KeyError {
    /// What the value is: `record id`, `finding id`, `job id`, `event id`, `account`, `bucket` or `key`.
    pub what: &'static str,
    /// The value, cut short.
    pub value: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// The key of a record: `records/<id>.json`.
pub fn record_key(id: &str) -> Result<String, KeyError> {
    Ok(format!("{RECORDS}{}.json", record_id(id)?))
}

/// The key of a record's result: `records/<id>.result.json`.
pub fn result_key(id: &str) -> Result<String, KeyError> {
    Ok(format!("{RECORDS}{}{RESULT}.json", record_id(id)?))
}

/// The key of a target's lease: `leases/<account>/<bucket>.json`, or `leases/<account>/@account.json`
/// where the target is the account itself.
pub fn lease_key(account: &str, bucket: Option<&str>) -> Result<String, KeyError> {
    let account = part("account", account)?;
    Ok(format!("{LEASES}{account}/{}.json", target(bucket)?))
}

/// The key of a release, by which a person's rollback outlives later updates of the finding:
/// `releases/<finding>/<account>/<bucket>.json`, with `@account` for the account itself.
pub fn release_key(finding: &str, account: &str, bucket: Option<&str>) -> Result<String, KeyError> {
    let finding = part("finding id", finding)?;
    let account = part("account", account)?;
    let target = target(bucket)?;
    Ok(format!("{RELEASES}{finding}/{account}/{target}.json"))
}

/// The key of the mark that a record's containment may stand: `standing/<id>.json`.
pub fn standing_key(id: &str) -> Result<String, KeyError> {
    Ok(format!("{STANDING}{}.json", record_id(id)?))
}

/// The key of the mark that it has ended: `ended/<id>.json`.
pub fn ended_key(id: &str) -> Result<String, KeyError> {
    Ok(format!("{ENDED}{}.json", record_id(id)?))
}

/// The key of the mark that the end of a Macie job is awaited: `jobs/<job>.json`.
pub fn job_key(job: &str) -> Result<String, KeyError> {
    Ok(format!("{JOBS}{}.json", part("job id", job)?))
}

/// The key of the mark that it has ended: `jobs/<job>.ended.json`.
pub fn job_ended_key(job: &str) -> Result<String, KeyError> {
    job_key(&format!("{job}.ended"))
}

/// The key of what a call lost to a write of ours: `overwritten/<event>.json`. `event` is CloudTrail's id of it.
pub fn overwritten_key(event: &str) -> Result<String, KeyError> {
    Ok(format!("{OVERWRITTEN}{}.json", part("event id", event)?))
}

/// The key of a copy of a policy file: `policies/<time>-<digest>.yaml`. `digest` is SHA-256 in hex.
pub fn policy_copy_key(at: Timestamp, digest: &str) -> String {
    format!("{}.yaml", policy_version(at, digest))
}

/// The key of the note on who pushed that policy file: `policies/<time>-<digest>.json`.
pub fn policy_note_key(at: Timestamp, digest: &str) -> String {
    format!("{}.json", policy_version(at, digest))
}

fn policy_version(at: Timestamp, digest: &str) -> String {
    let short: String = digest.chars().take(SHORT_DIGEST).collect();
    format!("{POLICIES}{}-{short}", at.strftime("%Y%m%dT%H%M%SZ"))
}

/// The key of the mark that a notice was sent: `notices/<digest>.json`. `digest` is of our own making.
pub fn notice_key(digest: &str) -> Result<String, KeyError> {
    Ok(format!("{NOTICES}{}.json", part("notice", digest)?))
}

/// Refuses a key that could leave a folder, hide in it, or be read in two ways.
///
/// Looser than the rule for parts, because a policy file may have any ordinary name.
pub(super) fn check_key(key: &str) -> Result<(), KeyError> {
    let refuse = |problem| Err(error("key", key, problem));
    if key.len() > LONGEST_KEY {
        return refuse("it is longer than 1,024 bytes");
    }
    if key.chars().any(|c| c.is_control() || c == '\\') {
        return refuse("it holds a control character or a backslash");
    }
    if key.split('/').any(str::is_empty) {
        return refuse("a part of it is empty");
    }
    if key.split('/').any(|part| part.starts_with('.')) {
        return refuse("a part of it begins with a dot");
    }
    Ok(())
}

/// An id that is not another record's result: the key of record `x.result` would be that of the
/// result of record `x`. Letter case is ignored because some file systems ignore it.
fn record_id(id: &str) -> Result<&str, KeyError> {
    let id = part("record id", id)?;
    if id.to_ascii_lowercase().ends_with(RESULT) {
        return Err(error("record id", id, "it ends in .result"));
    }
    Ok(id)
}

fn target(bucket: Option<&str>) -> Result<&str, KeyError> {
    bucket.map_or(Ok(ACCOUNT_ITSELF), |bucket| part("bucket", bucket))
}

fn part<'a>(what: &'static str, value: &'a str) -> Result<&'a str, KeyError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let problem = if value.is_empty() {
        "it is empty"
    } else if value.len() > LONGEST_PART {
        "it is longer than 200 characters"
    } else if !value.bytes().all(plain) {
        "only letters, digits, dots, underscores and hyphens are accepted"
    } else if value.starts_with('.') || value.contains("..") {
        "it begins with a dot or has two in a row"
    } else {
        return Ok(value);
    };
    Err(error(what, value, problem))
}

fn error(what: &'static str, value: &str, problem: &'static str) -> KeyError {
    let value = value.chars().take(SHOWN).collect();
    KeyError {
        what,
        value,
        problem,
    }
}
