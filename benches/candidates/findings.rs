//! Writes any number of findings to standard output, one a line as an export has them: `bench-findings COUNT [SEED]`.
//!
//! They have the shapes of `events/`, and ids, accounts, buckets, callers, addresses, severities and times of their own. The
//! same seed writes the same findings. A few buckets have most of them, as it is in life, and a few are archived.

use std::error::Error;
use std::io::{BufWriter, Write, stdout};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ACCOUNTS: u64 = 40;
const BUCKETS: u64 = 5_000;
const CALLERS: u64 = 800;
const REGIONS: [&str; 4] = ["us-east-1", "eu-central-1", "ap-southeast-2", "us-west-2"];
/// The findings are spread over so many days.
const DAYS: u64 = 90;
/// Of these nothing is decided.
const LEFT_OUT: [&str; 3] = [
    "ignored-malware-scan-result.json",
    "policy-written.json",
    "recovery-point.json",
];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments
        .next()
        .ok_or("usage: bench-findings COUNT [SEED]")?
        .parse()?;
    let seed = arguments.next().map_or(Ok(1), |seed| seed.parse())?;
    let shapes = shapes()?;
    let mut chance = Chance(seed);
    let mut out = BufWriter::with_capacity(1 << 20, stdout().lock());
    let start: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    for number in 0..count {
        let mut finding = shapes
            .get(chance.below(shapes.len() as u64) as usize)
            .ok_or("there are no events")?
            .clone();
        let second = number * DAYS * 86_400 / count;
        let at = start + SignedDuration::from_secs(second as i64);
        vary(&mut finding, &mut chance, at);
        serde_json::to_writer(&mut out, &finding)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// The findings of `events/`, in the order of their names.
fn shapes() -> Result<Vec<Value>> {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut paths: Vec<_> = std::fs::read_dir(events)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    paths.sort();
    let mut shapes = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.ends_with(".json") || LEFT_OUT.contains(&&*name) {
            continue;
        }
        let mut event: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        let detail = event.get_mut("detail").map(Value::take);
        shapes.extend(detail);
    }
    Ok(shapes)
}

fn vary(finding: &mut Value, chance: &mut Chance, at: Timestamp) {
    let id = format!("{:016x}{:016x}", chance.next(), chance.next());
    let account = format!("{:012}", 111_122_223_333 + chance.below(ACCOUNTS));
    let region = REGIONS[chance.below(REGIONS.len() as u64) as usize];
    let bucket = format!("amzn-s3-demo-bucket-{}", chance.skewed(BUCKETS));
    let caller = chance.below(CALLERS);
    let address = format!("198.51.{}.{}", chance.below(256), chance.below(256));
    set(finding, "/id", json!(id));
    set(finding, "/accountId", json!(account));
    set(finding, "/region", json!(region));
    let arn = format!(
        "arn:aws:guardduty:{region}:{account}:detector/2de88473a4af6ec8c63aba2cd67944ef/finding/{id}"
    );
    set(finding, "/arn", json!(arn));
    set(
        finding,
        "/severity",
        json!([2, 5, 8][chance.below(3) as usize]),
    );
    let at = at.to_string();
    for path in [
        "/createdAt",
        "/updatedAt",
        "/service/eventFirstSeen",
        "/service/eventLastSeen",
    ] {
        set(finding, path, json!(at));
    }
    set(finding, "/service/count", json!(1 + chance.below(9)));
    if chance.below(20) == 0 {
        set(finding, "/service/archived", json!(true));
    }
    set(finding, "/resource/s3BucketDetails/0/name", json!(bucket));
    set(
        finding,
        "/resource/s3BucketDetails/0/arn",
        json!(format!("arn:aws:s3:::{bucket}")),
    );
    for (key, value) in [
        ("accessKeyId", format!("AKIAIOSFODNN{caller:04}PLE")),
        ("principalId", format!("AIDACKCEVSQ6{caller:04}PLE")),
        ("userName", format!("user-{caller}")),
    ] {
        set(
            finding,
            &format!("/resource/accessKeyDetails/{key}"),
            json!(value),
        );
    }
    let remote = "/service/action/awsApiCallAction/remoteIpDetails/ipAddressV4";
    set(finding, remote, json!(address));
}

/// Replaces what is there. What is not there stays away, so that a shape keeps its shape.
fn set(finding: &mut Value, path: &str, value: Value) {
    if let Some(there) = finding.pointer_mut(path) {
        *there = value;
    }
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Small numbers more often than large ones.
    fn skewed(&mut self, end: u64) -> u64 {
        let unit = self.next() as f64 / u64::MAX as f64;
        (unit.powi(4) * end as f64) as u64
    }
}
