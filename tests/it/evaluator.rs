//! `@cloud-copilot/iam-simulate`, asked whether requests pass bucket policies: the one place that talks to it.
//!
//! It is AGPL, and so it runs as a process of its own and is no part of the product.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use portcullis::settings::{Document, Setting, SettingKind, Settings};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Requests, and the documents under each of which they are judged.
#[derive(Serialize)]
pub(crate) struct Batch {
    pub(crate) requests: Vec<Request>,
    pub(crate) documents: Vec<Judged>,
}

/// What a bucket has that decides requests, as far as the evaluator knows it: no access control lists.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Judged {
    pub(crate) policy: Option<Value>,
    /// RestrictPublicBuckets, of the bucket or the account.
    pub(crate) restricted: bool,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Request {
    /// None for unsigned requests.
    pub(crate) principal: Option<String>,
    pub(crate) action: String,
    pub(crate) resource: String,
    /// The bucket's.
    pub(crate) account: String,
    pub(crate) context: Map<String, Value>,
    /// Whether the policies of the caller's own account allow it everything.
    pub(crate) identity: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Verdict {
    #[serde(rename = "A")]
    Allowed,
    /// No statement allows it.
    #[serde(rename = "N")]
    NotAllowed,
    /// A statement denies it.
    #[serde(rename = "D")]
    Denied,
    /// Allowed, but for RestrictPublicBuckets.
    #[serde(rename = "R")]
    Restricted,
}

impl Judged {
    pub(crate) fn new(settings: &Settings) -> Self {
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
        }
    }
}

/// The verdicts: for each batch and each of its documents, one on each request. A document or a request that the evaluator
/// does not take as it is meant fails the test.
pub(crate) fn judge(batches: &[Batch]) -> Vec<Vec<Vec<Verdict>>> {
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
        .write_all(&serde_json::to_vec(batches).unwrap())
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the evaluator gave up, see above");
    let verdicts: Vec<Vec<Vec<Verdict>>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdicts.len(), batches.len());
    for (verdicts, batch) in verdicts.iter().zip(batches) {
        assert_eq!(verdicts.len(), batch.documents.len());
        let one_each = |verdicts: &Vec<Verdict>| verdicts.len() == batch.requests.len();
        assert!(verdicts.iter().all(one_each));
    }
    verdicts
}

/// The same for many documents, by two processes side by side.
pub(crate) fn judge_many(requests: &[Request], documents: &[Judged]) -> Vec<Vec<Verdict>> {
    let halves = documents.split_at(documents.len() / 2);
    let half = |documents: &[Judged]| {
        let batch = Batch {
            requests: requests.to_vec(),
            documents: documents.to_vec(),
        };
        judge(&[batch]).remove(0)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(halves.1));
        let mut verdicts = half(halves.0);
        verdicts.extend(other.join().unwrap());
        verdicts
    })
}
