//! What a report says, row by row, before it is dressed: the one source of text and page.

use super::Style;
use super::header::line;

/// Items of a row that a text writes out before it counts the rest.
const LISTED: usize = 5;

/// How a piece of text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    /// What a reader looks for first.
    Strong,
    /// What explains and can be passed over.
    Faint,
    /// What went as it should.
    Good,
    /// What did not happen, or should be looked at.
    Doubtful,
    /// What went wrong.
    Bad,
}

/// A line of text in pieces. Untrusted text in it is clean already.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text(pub(crate) Vec<(Tone, String)>);

/// A name, and what is said of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) items: Vec<Text>,
}

impl Text {
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self::default().and(tone, text)
    }

    pub(crate) fn and(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.0.push((tone, text.into()));
        self
    }

    pub(crate) fn plain(self, text: impl Into<String>) -> Self {
        self.and(Tone::Plain, text)
    }

    /// As the terminal shows it.
    pub(crate) fn dressed(&self, style: Style) -> String {
        let pieces = self.0.iter();
        pieces
            .map(|(tone, text)| style.dress(*tone, text))
            .collect()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::default().plain(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Row {
    /// A row of one item.
    pub(crate) fn one(name: &'static str, text: impl Into<Text>) -> Self {
        Self {
            name,
            items: vec![text.into()],
        }
    }

    /// A row of several items, or nothing where there are none.
    pub(crate) fn some<T: Into<Text>>(
        name: &'static str,
        items: impl IntoIterator<Item = T>,
    ) -> Option<Self> {
        let items: Vec<Text> = items.into_iter().map(Into::into).collect();
        (!items.is_empty()).then_some(Self { name, items })
    }

    /// The same, with `none` where there are none: a blank would read as "none".
    pub(crate) fn some_or<T: Into<Text>>(
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        none: &str,
    ) -> Self {
        Self::some(name, items).unwrap_or_else(|| Self::one(name, none))
    }
}

/// The rows as text: names in one column, an item on each line.
pub(super) fn write<'a>(rows: impl IntoIterator<Item = &'a Row>, style: Style) -> String {
    let mut text = String::new();
    for row in rows {
        let more = row.items.len().saturating_sub(LISTED);
        for (index, item) in row.items.iter().take(LISTED).enumerate() {
            let name = if index == 0 { row.name } else { "" };
            text += &line(name, &item.dressed(style), style);
        }
        if more > 0 {
            text += &line("", &style.faint(&format!("and {more} more")), style);
        }
    }
    text
}
