//! What a new policy file changes: of the file, and of what was decided lately.

use serde::Serialize;

use super::header::line;
use super::{LINE, Style, Symbol, count, shown};
use crate::policy::{Change, Difference, Part, Side};
use crate::replay::Replay;
use crate::verdict::Verdict;

/// A policy file that somebody wants in force.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proposal {
    /// The file.
    pub file: String,
    /// Where it would go.
    pub place: String,
    /// What serves until then.
    pub serving: Serving,
    /// Whether the file is in force already, byte for byte; nothing else is looked at then.
    pub in_force: bool,
    /// What it changes of the policy that serves.
    pub differences: Vec<Difference>,
    /// What it changes of what was decided lately.
    pub records: Records,
}

/// The policy that serves until a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Serving {
    /// There is no policy file, so that the built-in policy serves.
    BuiltIn,
    /// The policy file that is there, by the SHA-256 of its text in hex.
    File(String),
    /// The policy file that is there is not valid. What serves is the one before it, or the built-in policy, with which the
    /// new one is compared.
    Invalid(String),
}

/// What became of the last records under the new policy.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Records {
    /// How many were decided again.
    pub decided: usize,
    /// The ids of those that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// Those that come out differently.
    pub differ: Vec<Replay>,
}

/// The proposal as text.
pub fn proposal(proposal: &Proposal, style: Style) -> String {
    let mut text = line(
        "Policy",
        &format!(
            "{} -> {}",
            style.strong(&shown(&proposal.file, LINE)),
            shown(&proposal.place, LINE)
        ),
        style,
    );
    let serving = match &proposal.serving {
        Serving::BuiltIn => "the built-in policy, for there is no policy file".to_owned(),
        Serving::File(digest) => format!("the policy file of SHA-256 {}", shown(digest, 12)),
        Serving::Invalid(digest) => style.doubtful(&format!(
            "not the policy file that is there (SHA-256 {}), which is not valid; compared with the built-in policy",
            shown(digest, 12)
        )),
    };
    text += &line("Serves", &serving, style);
    if proposal.in_force {
        return text
            + &format!(
                "\n{}\n",
                style.good("Nothing to do: it is in force already.")
            );
    }
    text.push('\n');
    if proposal.differences.is_empty() {
        text += "  the same in meaning: only comments or layout differ\n";
    }
    for difference in &proposal.differences {
        text += &part(difference, style);
    }
    text.push('\n');
    text + &records(&proposal.records, style)
}

fn part(difference: &Difference, style: Style) -> String {
    let name = match &difference.part {
        Part::Key(key) => key.clone(),
        Part::Exception(id) => format!("exception {id}"),
        Part::Rule(id) => format!("rule {id}"),
    };
    let name = style.strong(&shown(&name, LINE));
    let (symbol, moved) = match &difference.change {
        Change::Added => (Symbol::Add, String::new()),
        Change::Removed => (Symbol::Remove, String::new()),
        Change::Changed => (Symbol::Change, String::new()),
        Change::Moved { before: None } => (Symbol::Attention, "  moved to the end".to_owned()),
        Change::Moved { before: Some(next) } => (
            Symbol::Attention,
            format!("  moved before rule {}", shown(next, LINE)),
        ),
    };
    let mut text = format!("  {} {name}{moved}\n", style.symbol(symbol));
    for line in &difference.lines {
        let (symbol, side) = match line.side {
            Side::Both => (" ".to_owned(), line.text.as_str()),
            Side::Old => (style.symbol(Symbol::Remove), line.text.as_str()),
            Side::New => (style.symbol(Symbol::Add), line.text.as_str()),
        };
        // The indentation is part of what YAML says; `shown` would take it for white space.
        let indent = side.len() - side.trim_start_matches(' ').len();
        let row = format!("      {symbol} {:indent$}{}", "", shown(side.trim(), LINE));
        text += &format!("{}\n", row.trim_end());
    }
    text
}

fn records(records: &Records, style: Style) -> String {
    let mut text = String::new();
    for replay in &records.differ {
        text += &format!(
            "  {} {}  {}  {}\n",
            style.symbol(Symbol::Change),
            style.strong(&shown(&replay.id, LINE)),
            shown(&replay.kind, LINE),
            shown(&replay.target, LINE)
        );
        let rows = rows(&replay.serving)
            .into_iter()
            .zip(rows(&replay.proposed));
        for ((name, before), (_, after)) in rows.filter(|(before, after)| before != after) {
            text += &format!(
                "      {name:<9}  {} -> {}\n",
                shown(&before, 2 * LINE),
                shown(&after, 2 * LINE)
            );
        }
        if !replay.unread.is_empty() {
            let unread: Vec<&str> = replay.unread.iter().map(|kind| kind.word()).collect();
            let note = format!("not read at the time: {}", unread.join(", "));
            text += &format!("      {}\n", style.faint(&note));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    if !records.unreadable.is_empty() {
        let note = format!(
            "Left out, for it cannot be read: {}.",
            count(records.unreadable.len(), "record")
        );
        text += &format!("{}\n", style.doubtful(&note));
    }
    text + &match (records.decided, records.differ.len()) {
        (0, _) => "There are no records yet to decide again.\n".to_owned(),
        (decided, 0) => format!(
            "Of the last {}, none would come out differently.\n",
            count(decided, "record")
        ),
        (decided, differ) => format!(
            "Of the last {}, {} would come out differently in a deployment that enforces.\n",
            count(decided, "record"),
            style.doubtful(&differ.to_string())
        ),
    }
}

/// What a verdict says, row by row.
fn rows(verdict: &Verdict) -> [(&'static str, String); 6] {
    let list = |items: &[String]| match items.is_empty() {
        true => "nothing".to_owned(),
        false => items.join(", "),
    };
    let follow_up: Vec<String> = verdict.follow_up.iter().map(ToString::to_string).collect();
    [
        ("rule", verdict.rule.clone()),
        ("mode", verdict.mode.to_string()),
        ("taken", list(&verdict.taken)),
        // What they change depends on settings that the record does not hold.
        ("undecided", list(&verdict.open)),
        ("withheld", list(&verdict.withheld)),
        ("follow-up", list(&follow_up)),
    ]
}
