//! What is wrong, or doubtful, in a file: a code, a sentence, a place and how to go on.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};
use serde::Serialize;

use super::tree::Place;
use crate::classification::words;

/// Writes diagnostics as people read them: the sentence, the line of the file, a caret, and help. `text` is the file.
pub fn render(diagnostics: &[Diagnostic], text: &str, color: bool) -> String {
    diagnostics
        .iter()
        .map(|diagnostic| diagnostic.render(text, color))
        .collect::<Vec<_>>()
        .join("\n")
}

/// One thing that is wrong or doubtful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Diagnostic {
    /// What kind of thing it is.
    pub code: Code,
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// What is wrong, as a sentence.
    pub message: String,
    /// The name of the file.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1 in characters.
    pub column: u32,
    /// How many characters it concerns, all on that line.
    pub length: u32,
    /// Another place that explains it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
    /// How to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    #[serde(skip)]
    span: Range<usize>,
}

/// Another place that explains a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Related {
    /// The line, counted from 1.
    pub line: u32,
    /// What is there.
    pub message: String,
    #[serde(skip)]
    span: Range<usize>,
}

words! {
    /// Whether a file is refused for a diagnostic.
    Severity {
        /// It does not take effect.
        Error = "error",
        /// It takes effect, and may not do what its author thinks.
        Warning = "warning",
    }
}

words! {
    /// The kinds of diagnostics.
    Code {
        /// The file is no YAML, or more than one document.
        YamlSyntax = "yaml-syntax",
        /// A list, a mapping, a text, a number or a boolean stands where something else is wanted.
        WrongType = "wrong-type",
        /// A key that does not exist there.
        UnknownKey = "unknown-key",
        /// The same key twice.
        DuplicateKey = "duplicate-key",
        /// A key that must be given.
        MissingKey = "missing-key",
        /// A word that is not among those possible.
        UnknownWord = "unknown-word",
        /// A list that must have an entry.
        EmptyList = "empty-list",
        /// A text that must not be empty.
        EmptyText = "empty-text",
        /// A number out of bounds.
        BadNumber = "bad-number",
        /// A duration that cannot be read.
        BadDuration = "bad-duration",
        /// A date or a time that cannot be read.
        BadDate = "bad-date",
        /// An id that is not kebab-case.
        BadId = "bad-id",
        /// The same id or name twice.
        DuplicateId = "duplicate-id",
        /// An account id that is not twelve digits.
        BadAccount = "bad-account",
        /// An id of an organization that cannot be one.
        BadOrganization = "bad-organization",
        /// An address or network that cannot be read.
        BadNetwork = "bad-network",
        /// An ARN that cannot be a principal's.
        BadArn = "bad-arn",
        /// A break-glass entry that exempts everybody or nearly so.
        BreakGlassTooBroad = "break-glass-too-broad",
        /// A break-glass entry that names a session, which no request carries in `aws:PrincipalArn`.
        BreakGlassSession = "break-glass-session",
        /// A trusted entry that authorizes everybody or nearly so.
        TrustedTooBroad = "trusted-too-broad",
        /// A version of the format that this program does not know.
        UnsupportedVersion = "unsupported-version",
        /// An exception or an `unless` that matches everything.
        MatchesEverything = "matches-everything",
        /// A measure that does not exist.
        UnknownMeasure = "unknown-measure",
        /// The same measure twice in a rule.
        DuplicateMeasure = "duplicate-measure",
        /// A parameter that the measure does not accept.
        BadParameter = "bad-parameter",
        /// The last rule does not match everything.
        NoCatchAll = "no-catch-all",
        /// A rule that can never match, because an earlier one takes all.
        UnreachableRule = "unreachable-rule",
        /// An exception past its last day.
        ExpiredException = "expired-exception",
        /// A disruptive measure in a rule that admits findings of low severity.
        DisruptiveOnLowSeverity = "disruptive-on-low-severity",
        /// A pattern that matches no type of finding known to this version.
        UnknownFindingType = "unknown-finding-type",
        /// A rule's mode that the policy's mode overrules.
        ModeHasNoEffect = "mode-has-no-effect",
        /// A rule that holds what it contained and archives the finding.
        HoldOfArchived = "hold-of-archived",
        /// A file that a test names and that cannot be read.
        UnreadableFile = "unreadable-file",
        /// Something that is not one finding about a bucket or an account.
        BadFinding = "bad-finding",
        /// A target that the finding does not name.
        UnknownTarget = "unknown-target",
        /// Facts that a record could not hold.
        BadFacts = "bad-facts",
    }
}

impl Code {
    /// Whether a file with such a diagnostic is refused.
    pub fn severity(self) -> Severity {
        match self {
            Code::UnreachableRule
            | Code::ExpiredException
            | Code::DisruptiveOnLowSeverity
            | Code::UnknownFindingType
            | Code::ModeHasNoEffect
            | Code::HoldOfArchived => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl Diagnostic {
    /// Writes the diagnostic as people read it. `text` is the file.
    pub fn render(&self, text: &str, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut snippet = Snippet::source(text)
            .path(&self.file)
            .annotation(AnnotationKind::Primary.span(within(text, &self.span)));
        if let Some(related) = &self.related {
            let span = within(text, &related.span);
            snippet =
                snippet.annotation(AnnotationKind::Context.span(span).label(&related.message));
        }
        let mut group: Group<'_> = level
            .primary_title(&self.message)
            .id(self.code.word())
            .element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
        }
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut rendered = renderer.render(&[group]);
        rendered.push('\n');
        rendered
    }

    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn related(&mut self, at: Place, message: impl Into<String>) -> &mut Self {
        self.related = Some(Related {
            line: at.line,
            message: message.into(),
            span: at.start..at.end,
        });
        self
    }
}

/// Where diagnostics are collected while a file is read.
#[derive(Debug)]
pub(crate) struct Report<'t> {
    /// The name of the file.
    pub(crate) name: &'t str,
    /// The file.
    pub(crate) text: &'t str,
    found: Vec<Diagnostic>,
}

impl<'t> Report<'t> {
    pub(crate) fn new(name: &'t str, text: &'t str) -> Self {
        Self {
            name,
            text,
            found: Vec::new(),
        }
    }

    /// Adds a diagnostic, to which help can then be added.
    pub(crate) fn add(
        &mut self,
        code: Code,
        at: Place,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        // A caret under the first line of something long is enough to find it by.
        let span = within(self.text, &(at.start..at.end));
        let marked = self.text[span.clone()].lines().next().unwrap_or_default();
        self.found.push(Diagnostic {
            code,
            severity: code.severity(),
            message: message.into(),
            file: self.name.to_owned(),
            line: at.line,
            column: at.column,
            length: u32::try_from(marked.chars().count()).unwrap_or(u32::MAX),
            related: None,
            help: None,
            span: span.start..span.start + marked.len(),
        });
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// How many errors were found so far, by which a reader knows whether its part is sound.
    pub(crate) fn errors(&self) -> usize {
        self.found
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count()
    }

    /// Everything found, in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|d| (d.line, d.column));
        self.found
    }
}

/// A span that surely lies within a text, so that an excerpt of the wrong file is odd but never a panic.
fn within(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    start..text.floor_char_boundary(span.end).max(start)
}
