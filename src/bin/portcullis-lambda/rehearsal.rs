//! What initialization does while it waits for its first policy: what the first event would be the first to do.
//!
//! Code is read from the disk, and its memory asked for, when it is first run. Done while a request is under way, that
//! costs no time; done when the answer is there, it would.

use std::hint::black_box;

use jiff::civil::Date;
use portcullis::finding::read;
use portcullis::policy;
use tokio::task::yield_now;

/// The forms that policy files are written in, and no more: the answer may be there soon.
const POLICY: &str = r#"
# Nothing is done by it.
version: 1
mode: observe
break-glass:
  - arn:*:iam::*:role/break-glass
rules:
  - id: "rehearsal"
    when: { finding: ["Policy:S3/*"] }
    measures:
      - block-public-access
  - id: everything-else
    measures: []
"#;

/// An event of the usual shape.
const EVENT: &[u8] = include_bytes!("../../../events/exfiltration-anomalous.json");

/// Parses a policy and reads an event, and keeps nothing of it. Whoever has the answer drops this between two steps.
pub(crate) async fn run() {
    // The connection is made and the first words are said before the wait begins.
    yield_now().await;
    black_box(policy::load("rehearsal", POLICY, Date::ZERO));
    yield_now().await;
    black_box(read(EVENT));
}

#[cfg(test)]
mod tests {
    use portcullis::finding::Event;

    use super::*;

    /// What stops at its first error rehearses nothing.
    #[test]
    fn the_policy_and_the_event_are_read_to_their_ends() {
        let loaded = policy::load("rehearsal", POLICY, Date::ZERO);
        assert!(loaded.policy.is_some(), "{:?}", loaded.diagnostics);
        let events = read(EVENT);
        assert!(
            matches!(events.as_slice(), [Ok(Event::Finding(_))]),
            "{events:?}"
        );
    }
}
