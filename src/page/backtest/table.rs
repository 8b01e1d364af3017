//! Tables that can be filtered.

use maud::{Markup, html};

/// The head of a column.
pub(super) enum Head<'a> {
    Text(&'a str),
    Number(&'a str),
    /// The number beside it once more, for the eye.
    Bar,
}

/// A table whose rows can be filtered by `facets`. Each row is a `tr` with `data-row`.
pub(super) fn table(facets: &str, caption: &Markup, heads: &[Head], rows: &Markup) -> Markup {
    html! {
        table data-facets=(facets) {
            (caption)
            thead {
                tr {
                    @for head in heads {
                        @match head {
                            Head::Text(text) => th scope="col" { (text) },
                            Head::Number(text) => th.number scope="col" { (text) },
                            Head::Bar => th { span.unseen { "As a bar" } },
                        }
                    }
                }
            }
            tbody { (rows) }
        }
    }
}

/// What may be wider than the page, and is moved by itself.
pub(super) fn wide(label: &str, content: &Markup) -> Markup {
    html! { div.wide tabindex="0" role="group" aria-label=(label) { (content) } }
}

/// A caption for those who do not see the heading above.
pub(super) fn unseen(caption: &str) -> Markup {
    html! { caption.unseen { (caption) } }
}
