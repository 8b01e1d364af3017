//! What is around every page: its policy, its look, its one script.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::report::is_seen;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A part of a page that its list of contents names.
pub(super) struct Section {
    /// Its place in the page, a word of ours.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) body: Markup,
}

impl Section {
    pub(super) fn new(id: &'static str, title: &'static str, body: Markup) -> Self {
        Self { id, title, body }
    }
}

/// A page as a file holds it. `top` goes between the title and the list of contents.
pub(super) fn page(title: &str, top: &Markup, sections: &[Section], program: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    h1 { (title) }
                    (top)
                }
                nav aria-label="Contents" {
                    ul { @for section in sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                }
                main #main tabindex="-1" {
                    @for section in sections {
                        section aria-labelledby=(section.id) {
                            h2 id=(section.id) tabindex="-1" { (section.title) }
                            (section.body)
                        }
                    }
                }
                footer { p { "Written by Portcullis " (program) ". Times are in UTC." } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    visible(&page.into_string())
}

/// No request, no form, no frame, no script and no style but the two that are here.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

/// Characters that are not seen, or turn the direction of writing around, are written out. None of them is part of the markup.
fn visible(page: &str) -> String {
    let mut visible = String::with_capacity(page.len());
    for c in page.chars() {
        match c {
            '\n' => visible.push(c),
            c if is_seen(c) => visible.push(c),
            c => visible += &format!("[U+{:04X}]", u32::from(c)),
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_is_not_seen_is_written_out() {
        assert_eq!(
            visible("a\u{202e}b\u{0}c\u{200b}\n<p>ä</p>"),
            "a[U+202E]b[U+0000]c[U+200B]\n<p>ä</p>"
        );
    }
}
