//! What follows from a finding, each conclusion with what it rests on, the most telling first; and what is not known.

use super::header::line;
use super::said::lines;
use super::{Investigation, LINE, Style, shown};
use crate::classification::{
    Authorization, BucketUse, Classification, Exposure, Reasoned, Sensitivity,
};

pub(super) fn meaning(
    classification: &Classification,
    investigation: &Investigation,
    style: Style,
) -> String {
    let Classification {
        actors,
        authorization,
        access_path,
        networks,
        credentials,
        api_outcome,
        evidence,
        uses,
        exposure,
        openings,
        sensitivity,
    } = classification;
    let reasoned = |word: String, because: &str| format!("{word} ({})", shown(because, 3 * LINE));
    let strong = |word: &str, because: &str| reasoned(style.strong(word), because);
    let verdict = match authorization.is {
        Authorization::Authorized => style.good(authorization.is.word()),
        Authorization::Unauthorized => style.bad(authorization.is.word()),
        Authorization::Undetermined => style.doubtful(authorization.is.word()),
    };
    let mut text = line("Verdict", &reasoned(verdict, &authorization.because), style);
    for (actor, pattern) in actors
        .iter()
        .filter_map(|actor| Some((actor, actor.break_glass.as_ref()?)))
    {
        let told = format!(
            "{} is break-glass ({})",
            shown(&actor.label(), LINE),
            shown(pattern, LINE)
        );
        text += &line("", &told, style);
    }
    text += &some(
        "Evidence",
        evidence.iter().map(|item| shown(item, 3 * LINE)),
        style,
    );
    if sensitivity.is != Sensitivity::Unknown {
        text += &line(
            "Data",
            &strong(sensitivity.is.word(), &sensitivity.because),
            style,
        );
    }
    if exposure.is != Exposure::Unknown {
        text += &line(
            "Exposure",
            &strong(exposure.is.word(), &exposure.because),
            style,
        );
        // What the verdict rests on has been said.
        let others = openings
            .iter()
            .zip(&investigation.openings)
            .filter(|(opening, _)| !exposure.because.contains(&opening.how));
        text += &some("", others.map(|(_, told)| told.clone()), style);
    }
    text += &line(
        "Way in",
        &strong(access_path.is.word(), &access_path.because),
        style,
    );
    let use_of = |found: &Reasoned<BucketUse>| strong(found.is.word(), &found.because);
    text += &some("Use", uses.are.iter().map(use_of), style);
    let words = |words: Vec<&str>| match words.is_empty() {
        true => "unknown".to_owned(),
        false => words.join(", "),
    };
    text += &line(
        "Network",
        &words(networks.iter().map(|word| word.word()).collect()),
        style,
    );
    text += &line(
        "Keys",
        &words(credentials.iter().map(|word| word.word()).collect()),
        style,
    );
    text += &line(
        "Calls",
        api_outcome.map_or("unknown", |outcome| outcome.word()),
        style,
    );
    text + &some(
        "Unknown",
        investigation
            .unknown
            .iter()
            .map(|item| style.doubtful(item)),
        style,
    )
}

/// Named lines, or nothing where there are no items.
fn some(name: &str, items: impl Iterator<Item = String>, style: Style) -> String {
    let items: Vec<String> = items.collect();
    match items.is_empty() {
        true => String::new(),
        false => lines(name, items.into_iter(), "", style),
    }
}
