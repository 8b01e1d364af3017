//! The pieces that pages are made of.

use maud::{Markup, Render, html};

use crate::report::{Line, Row, Symbol, Text, Tone};

impl Render for Text {
    fn render(&self) -> Markup {
        html! {
            @for (tone, text) in &self.0 {
                @match class(*tone) {
                    None => (text),
                    Some(class) => span class=(class) { (text) },
                }
            }
        }
    }
}

fn class(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Plain => None,
        Tone::Strong => Some("strong"),
        Tone::Faint => Some("faint"),
        Tone::Good => Some("good"),
        Tone::Doubtful => Some("doubtful"),
        Tone::Bad => Some("bad"),
    }
}

/// Names and what is said of each.
pub(super) fn rows(rows: &[Row]) -> Markup {
    html! {
        @if !rows.is_empty() {
            dl {
                @for row in rows {
                    div { dt { (row.name) } @for item in &row.items { dd { (item) } } }
                }
            }
        }
    }
}

/// A symbol and, for those who do not see it, its word.
pub(super) fn symbol(symbol: Symbol) -> Markup {
    let (sign, word, class) = match symbol {
        Symbol::Add => ("+", "added", "good"),
        Symbol::Remove => ("-", "removed", "bad"),
        Symbol::Change => ("~", "changed", "doubtful"),
        Symbol::Attention => ("!", "mind", "doubtful"),
    };
    html! { span class={ "sign " (class) } aria-hidden="true" { (sign) } span.unseen { (word) " " } }
}

/// The lines of a difference.
pub(super) fn lines(lines: &[Line]) -> Markup {
    html! {
        ul.lines {
            @for line in lines {
                li {
                    @if let Some(sign) = line.symbol { (symbol(sign)) " " }
                    span.strong { (line.name) } "  " (line.text)
                }
            }
        }
    }
}

/// Texts of which each wants attention.
pub(super) fn marked(texts: &[String]) -> Markup {
    html! {
        @if !texts.is_empty() {
            ul.lines { @for text in texts { li { (symbol(Symbol::Attention)) " " (text) } } }
        }
    }
}

/// A command to be copied, and what it is for.
pub(super) fn command(what: &str, command: &str) -> Markup {
    html! { li { p { (what) } pre tabindex="0" role="group" aria-label="Command" { code { (command) } } } }
}
