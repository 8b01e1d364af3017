//! What follows from a finding, each conclusion with what it rests on, the most telling first; and what is not known.

use super::rows::{Row, Text, Tone};
use super::{Investigation, LINE, shown};
use crate::classification::{
    Authorization, BucketUse, Classification, Exposure, Reasoned, Sensitivity,
};

pub(super) fn meaning(classification: &Classification, investigation: &Investigation) -> Vec<Row> {
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
    let reasoned = |tone, word: &str, because: &str| {
        Text::new(tone, word).plain(format!(" ({})", shown(because, 3 * LINE)))
    };
    let strong = |word: &str, because: &str| reasoned(Tone::Strong, word, because);
    let tone = match authorization.is {
        Authorization::Authorized => Tone::Good,
        Authorization::Unauthorized => Tone::Bad,
        Authorization::Undetermined => Tone::Doubtful,
    };
    let mut verdict = vec![reasoned(
        tone,
        authorization.is.word(),
        &authorization.because,
    )];
    verdict.extend(actors.iter().filter_map(|actor| {
        let pattern = shown(actor.break_glass.as_ref()?, LINE);
        let told = format!("{} is break-glass ({pattern})", shown(&actor.label(), LINE));
        Some(told.into())
    }));
    let data = (sensitivity.is != Sensitivity::Unknown)
        .then(|| strong(sensitivity.is.word(), &sensitivity.because));
    let exposed = (exposure.is != Exposure::Unknown).then(|| {
        let openings = openings.iter().zip(&investigation.openings);
        // What the verdict rests on has been said.
        let others = openings.filter(|(opening, _)| !exposure.because.contains(&opening.how));
        let others = others.map(|(_, told)| told.clone().into());
        [strong(exposure.is.word(), &exposure.because)]
            .into_iter()
            .chain(others)
            .collect::<Vec<Text>>()
    });
    let use_of = |found: &Reasoned<BucketUse>| strong(found.is.word(), &found.because);
    let words = |words: Vec<&str>| match words.is_empty() {
        true => "unknown".to_owned(),
        false => words.join(", "),
    };
    let evidence = evidence.iter().map(|item| shown(item, 3 * LINE));
    let unknown = investigation.unknown.iter();
    let unknown = unknown.map(|item| Text::new(Tone::Doubtful, item));
    let rows = [
        Row::some("Verdict", verdict),
        Row::some("Evidence", evidence),
        Row::some("Data", data),
        Row::some("Exposure", exposed.into_iter().flatten()),
        Some(Row::one(
            "Way in",
            strong(access_path.is.word(), &access_path.because),
        )),
        Row::some("Use", uses.are.iter().map(use_of)),
        Some(Row::one(
            "Network",
            words(networks.iter().map(|word| word.word()).collect()),
        )),
        Some(Row::one(
            "Keys",
            words(credentials.iter().map(|word| word.word()).collect()),
        )),
        Some(Row::one(
            "Calls",
            api_outcome.map_or("unknown", |outcome| outcome.word()),
        )),
        Row::some("Unknown", unknown),
    ];
    rows.into_iter().flatten().collect()
}
