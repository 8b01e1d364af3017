//! What became of the tests of a policy, and which parts of it they did not reach.

use super::rows;
use super::{LINE, Style, Symbol, count, header, padded, plan, shown, widest};
use crate::policy_test::{Coverage, Mismatch, Missed, Outcome, Reached, Tested};

/// The outcome as text.
pub fn policy_tests(outcome: &Outcome, style: Style) -> String {
    let mut text = String::new();
    let mut stands_apart = false;
    for test in &outcome.tests {
        if !text.is_empty() && (stands_apart || !test.passed) {
            text.push('\n');
        }
        text += &tested(test, style);
        stands_apart = !test.passed;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text + &summary(outcome, style) + &coverage(&outcome.coverage, style)
}

fn tested(test: &Tested, style: Style) -> String {
    let (name, at) = (shown(&test.name, LINE), style.faint(&shown(&test.at, LINE)));
    let Some(explanation) = &test.explanation else {
        return format!("{}    {name}  {at}\n", style.good("ok"));
    };
    let legend = style.faint("(- expected, + found)");
    let mut text = format!(
        "{}  {}  {at}  {legend}\n",
        style.bad("FAIL"),
        style.strong(&name)
    );
    let words = test
        .mismatches
        .iter()
        .map(|mismatch| mismatch.aspect.word());
    let width = widest(words);
    for mismatch in &test.mismatches {
        text += &mismatched(mismatch, width, style);
    }
    let decision = &explanation.decision;
    let because = plan::because(decision, &explanation.classification, style);
    text += &rows::write(&[because, header::mode(decision)], style);
    text + &plan::withheld(decision, style) + &plan::alerts(decision, style)
}

/// What is expected and was not found, and what was found and is not expected.
fn mismatched(mismatch: &Mismatch, width: usize, style: Style) -> String {
    let Mismatch {
        aspect,
        expected,
        found,
        note,
    } = mismatch;
    let only = |these: &[String], those: &[String], symbol| -> Vec<String> {
        let only = these.iter().filter(|one| !those.contains(one));
        only.map(|one| format!("{} {}", style.symbol(symbol), shown(one, LINE)))
            .collect()
    };
    let lines = [
        only(expected, found, Symbol::Remove),
        only(found, expected, Symbol::Add),
        note.iter()
            .map(|note| style.faint(&shown(note, 3 * LINE)))
            .collect(),
    ];
    let mut name = aspect.word();
    let mut text = String::new();
    for line in lines.concat() {
        text += &format!("      {}  {line}\n", padded(name, width));
        name = "";
    }
    text
}

fn summary(outcome: &Outcome, style: Style) -> String {
    let Outcome {
        policy,
        files,
        passed,
        failed,
        mistakes,
        ..
    } = outcome;
    let of = format!(
        "Tested {}: {} in {}",
        shown(&policy.name, LINE),
        count(passed + failed, "test"),
        count(*files, "file")
    );
    let verdict = match failed {
        0 => style.good(&format!("{passed} passed")),
        _ => format!(
            "{passed} passed, {}",
            style.bad(&format!("{failed} failed"))
        ),
    };
    let broken = match mistakes.len() {
        0 => String::new(),
        number => format!(
            "; {}",
            style.bad(&format!("{} in the files", count(number, "mistake")))
        ),
    };
    format!("{of}, {verdict}{broken}.\n")
}

fn coverage(coverage: &Coverage, style: Style) -> String {
    let Coverage { rules, exceptions } = coverage;
    // Two numbers side by side: neither is spelled out.
    let of = |Reached { all, reached, .. }: &Reached, what: &str| {
        let plural = if *all == 1 { "" } else { "s" };
        format!("{reached} of {all} {what}{plural}")
    };
    let mut text = format!("Reached: {}", of(rules, "rule"));
    if exceptions.all > 0 {
        text += &format!(", {}", of(exceptions, "exception"));
    }
    let missed = |kind, missed: &'_ [Missed]| -> Vec<(&str, String, String)> {
        let of = |one: &Missed| (kind, shown(&one.id, LINE), shown(&one.place, LINE));
        missed.iter().map(of).collect()
    };
    let missed = [
        missed("rule", &rules.missed),
        missed("exception", &exceptions.missed),
    ]
    .concat();
    if missed.is_empty() {
        return text + ".\n";
    }
    text += ". No test reaches\n";
    let kinds = widest(missed.iter().map(|(kind, ..)| *kind));
    let ids = widest(missed.iter().map(|(_, id, _)| id.as_str()));
    for (kind, id, place) in &missed {
        let symbol = style.symbol(Symbol::Attention);
        text += &format!(
            "  {symbol} {}  {}  {}\n",
            padded(kind, kinds),
            padded(id, ids),
            style.faint(place)
        );
    }
    text
}
