//! What people read: plans, incidents and rollbacks as text.
//!
//! Every function here is pure and takes the very value that `--output json` prints, so that the two can never say
//! different things. Symbols always go with color, because color is not always there and not everybody sees it.

mod backtest;
mod changes;
mod difference;
mod header;
mod incident;
mod investigation;
mod meaning;
mod now;
mod plan;
mod policy_test;
mod push;
mod rollback;
mod rows;
mod said;
mod sweep;
mod untrusted;
mod xml;

use anstyle::{AnsiColor, Color, Effects};

pub use backtest::backtest;
pub use changes::{changes, follow_ups};
pub(crate) use changes::{ended, error, followed_up};
pub(crate) use difference::{Line, state};
pub(crate) use header::{bucket_arn, severity, target_name};
pub use incident::{Account, Explanation, account, explanation};
pub(crate) use incident::{findings, heading, planned, ruling, subject};
pub use investigation::{Investigation, brief, investigation};
pub(crate) use now::now;
pub(crate) use plan::{Changed, attention, changed, followed, held};
pub use plan::{Planned, plan};
pub use policy_test::policy_tests;
pub use push::{Proposal, Records, Serving, proposal};
pub use rollback::{Undo, undo};
pub(crate) use rows::{Row, Text, Tone};
pub use sweep::sweep;
pub(crate) use untrusted::is_seen;
pub use untrusted::{LINE, quoted, shown, written_out};

/// How text is dressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether escape sequences for color may be written.
    pub color: bool,
}

/// What happens to a thing, as its symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Symbol {
    Add,
    Remove,
    Change,
    Attention,
}

impl Style {
    /// Text that a reader looks for first.
    pub fn strong(self, text: &str) -> String {
        self.paint(anstyle::Style::new().bold(), text)
    }

    /// Text that explains and can be passed over.
    pub fn faint(self, text: &str) -> String {
        self.paint(anstyle::Style::new().effects(Effects::DIMMED), text)
    }

    /// Text about something that went as it should.
    pub fn good(self, text: &str) -> String {
        self.colored(AnsiColor::Green, text)
    }

    /// Text about something that did not happen, or should be looked at.
    pub fn doubtful(self, text: &str) -> String {
        self.colored(AnsiColor::Yellow, text)
    }

    /// Text about something that went wrong.
    pub fn bad(self, text: &str) -> String {
        self.colored(AnsiColor::Red, text)
    }

    pub(crate) fn symbol(self, symbol: Symbol) -> String {
        match symbol {
            Symbol::Add => self.good("+"),
            Symbol::Remove => self.bad("-"),
            Symbol::Change => self.doubtful("~"),
            Symbol::Attention => self.doubtful("!"),
        }
    }

    pub(crate) fn dress(self, tone: Tone, text: &str) -> String {
        match tone {
            Tone::Plain => text.to_owned(),
            Tone::Strong => self.strong(text),
            Tone::Faint => self.faint(text),
            Tone::Good => self.good(text),
            Tone::Doubtful => self.doubtful(text),
            Tone::Bad => self.bad(text),
        }
    }

    fn colored(self, color: AnsiColor, text: &str) -> String {
        self.paint(
            anstyle::Style::new().fg_color(Some(Color::Ansi(color))),
            text,
        )
    }

    fn paint(self, style: anstyle::Style, text: &str) -> String {
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// `one change`, `2 changes`.
pub fn count(number: usize, thing: &str) -> String {
    match number {
        1 => format!("one {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// The longest of some texts, in characters, for columns.
pub(crate) fn widest<'a>(texts: impl IntoIterator<Item = &'a str>) -> usize {
    texts
        .into_iter()
        .map(|text| text.chars().count())
        .max()
        .unwrap_or(0)
}

/// Text with spaces behind, so that the next column lines up. Escape sequences come after, for they have no width.
pub(crate) fn padded(text: &str, width: usize) -> String {
    format!("{text:width$}")
}
