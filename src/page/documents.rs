//! A document before and after a change, line by line.

use maud::{Markup, html};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::plan::Change;
use crate::settings::{Document, Setting};

/// Both documents in one, with what goes and what comes; nothing where the lines of the difference say it all.
pub(super) fn documents(change: &Change) -> Markup {
    let Some((before, after)) = text(&change.before).zip(text(&change.after)) else {
        return html! {};
    };
    let compared = TextDiff::from_lines(&before, &after);
    html! {
        details {
            summary { "The " (change.setting.title()) " line by line" }
            pre tabindex="0" role="group" aria-label={ "The " (change.setting.title()) ", before and after" } {
                @for line in compared.iter_all_changes() {
                    @let text = line.value().trim_end_matches('\n');
                    @match line.tag() {
                        ChangeTag::Delete => del { "- " (text) "\n" },
                        ChangeTag::Insert => ins { "+ " (text) "\n" },
                        ChangeTag::Equal => { "  " (text) "\n" },
                    }
                }
            }
        }
    }
}

/// The document as people read it. Flags and tags are in the lines of the difference, every one of them.
fn text(setting: &Setting) -> Option<String> {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).ok();
    let policy = |text: &str| serde_json::from_str::<Value>(text).ok();
    match setting {
        Setting::Absent => Some(String::new()),
        Setting::Unreadable { .. } => None,
        Setting::Present(document) => match document {
            Document::BucketPolicy(document) => pretty(&policy(document.text())?),
            Document::AccessPointPolicies(points) => {
                let policies = points.0.iter().map(|(name, point)| {
                    let document = point.policy.as_ref();
                    let document = document.and_then(|document| policy(document.text()));
                    (name.clone(), document.unwrap_or_default())
                });
                pretty(&Value::Object(policies.collect()))
            }
            Document::Acl(acl) => pretty(&serde_json::to_value(acl).ok()?),
            // S3 writes it all on one line.
            Document::Xml(document) => Some(document.text().replace("><", ">\n<")),
            Document::PublicAccessBlock(_) | Document::Tags(_) => None,
        },
    }
}
