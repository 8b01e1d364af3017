//! What a policy would have done with past findings, as text.

use super::header::line;
use super::{LINE, Style, Symbol, padded, shown, widest};
use crate::backtest::{
    Backtest, Broken, Cause, ChangeGroup, Count, Instance, PolicyPart, RuleHits, Side,
};
use crate::verdict::{Effect, Verdict};

/// Rows of a list that are written out before the rest is counted.
const LISTED: usize = 10;
/// Groups of changes that are written out.
const GROUPS: usize = 30;

/// The backtest as text.
pub fn backtest(backtest: &Backtest, style: Style) -> String {
    let mut text = head(backtest, style);
    if backtest.read.targets > 0 {
        text += &effects(backtest, style);
        text += &rules(backtest, style);
        text += &exceptions(backtest, style);
        text += &withheld(backtest, style);
        text += &missed(backtest, style);
        text += &contained(backtest, style);
    }
    text += &changes(backtest, style);
    let (facts, read) = (&backtest.facts, &backtest.read);
    let title = "Decided without facts that are there and could not be read";
    text += &unread(title, facts.unread, &facts.first_unread, style);
    text + &unread(
        "Broken, and left out",
        read.broken,
        &read.first_broken,
        style,
    )
}

fn head(backtest: &Backtest, style: Style) -> String {
    let read = &backtest.read;
    let reference = |name: &str, digest: &str| {
        let digest: String = digest.chars().take(12).collect();
        format!(
            "{} {}",
            style.strong(&shown(name, LINE)),
            style.faint(&format!("(sha256 {}…)", shown(&digest, 12)))
        )
    };
    let mut text = line(
        "Policy",
        &reference(&backtest.policy.name, &backtest.policy.digest),
        style,
    );
    if let Some(against) = &backtest.against {
        text += &line("Against", &reference(&against.name, &against.digest), style);
    }
    text += &line("Findings", &shown(&backtest.source, 2 * LINE), style);
    text += &line("As of", &format!("{:.0}", backtest.as_of), style);
    if backtest.partial {
        text += &line(
            "Note",
            &style.bad("partial: it was interrupted, and only what was read until then is in here"),
            style,
        );
    }
    text += &format!(
        "\n{} decided about, with {}",
        many(read.findings, "finding"),
        style.strong(&many(read.targets, "target"))
    );
    let beside = [
        (read.samples, "of them samples"),
        (read.archived, "of them archived"),
        (read.without_target, "more without a bucket"),
        (read.ignored, "ignored"),
    ];
    for (count, what) in beside.iter().filter(|(count, _)| *count > 0) {
        text += &format!("; {} {what}", thousands(*count));
    }
    if read.broken > 0 {
        let broken = format!("; {} broken", thousands(read.broken));
        text += &style.bad(&broken);
    }
    text.push('\n');
    let facts = &backtest.facts;
    if read.targets > 0 {
        let known = [
            (facts.recorded, "with the facts of their records"),
            (facts.live, "with facts read just now"),
            (facts.unknown, "without facts"),
        ];
        let known = known.iter().filter(|(count, _)| *count > 0);
        let known: Vec<String> = known
            .map(|(count, what)| format!("{} {what}", thousands(*count)))
            .collect();
        text += &format!("Targets: {}\n", known.join(", "));
    }
    text
}

fn effects(backtest: &Backtest, style: Style) -> String {
    let total = backtest.read.targets;
    let mut text = format!("\n{}\n", style.strong("What would have come of them"));
    let width = backtest
        .effects
        .iter()
        .map(|one| thousands(one.count).len());
    let width = width.max().unwrap_or(0);
    for Count { is, count } in &backtest.effects {
        text += &format!(
            "  {:>width$} {:>6}  {}  {}\n",
            thousands(*count),
            percent(*count, total),
            dressed(*is, &padded(is.word(), 17), style),
            style.faint(meaning(*is))
        );
    }
    text
}

fn rules(backtest: &Backtest, style: Style) -> String {
    let (hit, idle): (Vec<&RuleHits>, Vec<&RuleHits>) =
        backtest.rules.iter().partition(|rule| rule.count > 0);
    let mut text = format!("\n{}\n", style.strong("Rules"));
    let width = widest(hit.iter().map(|rule| rule.rule.as_str()));
    let digits = hit.iter().map(|rule| thousands(rule.count).len());
    let digits = digits.max().unwrap_or(0);
    for rule in hit {
        let effects = rule.effects.iter().map(|Count { is, count }| {
            format!("{} {}", thousands(*count), dressed(*is, is.word(), style))
        });
        text += &format!(
            "  {:>digits$}  {}  {}  {}\n",
            thousands(rule.count),
            padded(&shown(&rule.rule, LINE), width),
            effects.collect::<Vec<_>>().join(", "),
            style.faint(&shown(&rule.place, LINE))
        );
    }
    if !idle.is_empty() {
        let names = idle.iter().take(LISTED).map(|rule| shown(&rule.rule, LINE));
        let names: Vec<String> = names.collect();
        text += &format!(
            "  decided nothing: {}{}\n",
            names.join(", "),
            more(idle.len(), LISTED)
        );
    }
    text
}

fn exceptions(backtest: &Backtest, style: Style) -> String {
    if backtest.exceptions.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", style.strong("Exceptions"));
    let mut sorted: Vec<_> = backtest.exceptions.iter().collect();
    sorted.sort_by_key(|exception| std::cmp::Reverse(exception.count));
    for exception in sorted.iter().take(LISTED) {
        let expires = match exception.expired {
            true => style.doubtful(&format!("expired on {}", exception.expires)),
            false => format!("until {}", exception.expires),
        };
        let unproven = match exception.unproven {
            0 => String::new(),
            count => style.doubtful(&format!(", {} of them unproven", thousands(count))),
        };
        text += &format!(
            "  {}  spared {}{unproven}; {expires}  {}\n",
            shown(&exception.exception, LINE),
            many(exception.count, "target"),
            style.faint(&shown(&exception.place, LINE))
        );
    }
    text + &rest(sorted.len(), LISTED, style)
}

fn withheld(backtest: &Backtest, style: Style) -> String {
    if backtest.withheld.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", style.strong("Measures withheld"));
    let listed = backtest.withheld.iter().take(LISTED);
    let digits = listed.clone().map(|hits| thousands(hits.count).len());
    let digits = digits.max().unwrap_or(0);
    for hits in listed {
        text += &format!(
            "  {:>digits$}  {} {}\n",
            thousands(hits.count),
            style.doubtful(hits.guard.word()),
            style.faint(&format!("({})", shown(&hits.place, LINE)))
        );
        text += &format!(
            "  {:>digits$}  such as {} for finding {}: {}\n",
            "",
            shown(&hits.measure, LINE),
            shown(&hits.finding, 64),
            shown(&hits.example, 2 * LINE)
        );
    }
    text + &rest(backtest.withheld.len(), LISTED, style)
}

fn missed(backtest: &Backtest, style: Style) -> String {
    let missed = &backtest.facts.missed;
    if missed.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", style.strong("For want of a fact"));
    for missed in missed.iter().take(LISTED) {
        let (what, does) = match &missed.part {
            PolicyPart::Exception(_) => (part(&missed.part), "held unproven"),
            _ => (part(&missed.part), "was passed over"),
        };
        text += &format!(
            "  {what} {does} for {}: {} is not known  {}\n",
            many(missed.count, "target"),
            shown(&missed.fact, LINE),
            style.faint(&shown(&missed.place, LINE))
        );
    }
    text + &rest(missed.len(), LISTED, style)
}

fn contained(backtest: &Backtest, style: Style) -> String {
    let frequent = &backtest.contained;
    if frequent.top.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n{}\n",
        style.strong("Contained most often, observe mode aside")
    );
    let listed = frequent.top.iter().take(LISTED);
    let digits = listed.clone().map(|one| thousands(one.count).len());
    let digits = digits.max().unwrap_or(0);
    for one in listed {
        let over = match one.over {
            0 => String::new(),
            over => format!("  (perhaps {} less)", thousands(over)),
        };
        text += &format!(
            "  {:>digits$}  {} ({}){over}\n",
            thousands(one.count),
            shown(&one.target, LINE),
            shown(&one.account, 32)
        );
    }
    let note = match frequent.distinct {
        Some(distinct) if distinct > LISTED as u64 => {
            format!("  of {} in all\n", many(distinct, "target"))
        }
        Some(_) => String::new(),
        None => "  of more targets than were counted one by one\n".to_owned(),
    };
    text + &style.faint(&note)
}

fn changes(backtest: &Backtest, style: Style) -> String {
    let Some(changes) = &backtest.changes else {
        return String::new();
    };
    let mut text = format!("\n{}\n", style.strong("Against the other policy"));
    if changes.differ == 0 {
        return text + &format!("  {} decided alike by both\n", many(changes.same, "target"));
    }
    text += &format!(
        "  {} differently, {} alike\n",
        style.doubtful(&many(changes.differ, "target")),
        thousands(changes.same)
    );
    for group in changes.groups.iter().take(GROUPS) {
        text += &change(group, style);
    }
    let untold = changes.groups.iter().skip(GROUPS).map(|group| group.count);
    let untold = untold.sum::<u64>() + changes.ungrouped;
    if untold > 0 {
        text += &style.faint(&format!("  and {} in other ways\n", many(untold, "target")));
    }
    text
}

fn change(group: &ChangeGroup, style: Style) -> String {
    let side = |verdict: &Verdict| {
        format!(
            "{} {}",
            shown(&verdict.rule, LINE),
            dressed(verdict.effect, verdict.effect.word(), style)
        )
    };
    let mut text = format!(
        "  {} {}  {} -> {}\n",
        style.symbol(Symbol::Change),
        style.strong(&thousands(group.count)),
        side(&group.old),
        side(&group.new)
    );
    for (name, before, after) in rows(&group.old, &group.new) {
        text += &format!(
            "      {name:<9}  {} -> {}\n",
            shown(&before, 2 * LINE),
            shown(&after, 2 * LINE)
        );
    }
    for cause in &group.because {
        text += &format!("      because    {}\n", because(cause, style));
    }
    for instance in &group.examples {
        text += &format!("      {}\n", style.faint(&example(instance)));
    }
    text
}

/// What differs of two verdicts beside rule and effect.
fn rows(old: &Verdict, new: &Verdict) -> Vec<(&'static str, String, String)> {
    let list = |items: &[String]| match items.is_empty() {
        true => "nothing".to_owned(),
        false => items.join(", "),
    };
    let acts = |verdict: &Verdict| list(&[&verdict.taken[..], &verdict.open[..]].concat());
    let follow_up = |verdict: &Verdict| {
        let words = verdict.follow_up.iter().map(ToString::to_string);
        list(&words.collect::<Vec<_>>())
    };
    let rows = [
        ("mode", old.mode.to_string(), new.mode.to_string()),
        ("measures", acts(old), acts(new)),
        ("withheld", list(&old.withheld), list(&new.withheld)),
        ("follow-up", follow_up(old), follow_up(new)),
    ];
    let differ = rows
        .into_iter()
        .filter(|(_, before, after)| before != after);
    differ.collect()
}

fn because(cause: &Cause, style: Style) -> String {
    let side = match cause.side {
        Side::Old => "the other policy's ",
        Side::New => "",
    };
    format!(
        "{side}{} {}",
        part(&cause.part),
        style.faint(&format!("({})", shown(&cause.place, LINE)))
    )
}

fn part(part: &PolicyPart) -> String {
    let (what, name) = match part {
        PolicyPart::Rule(id) => ("rule", id.as_str()),
        PolicyPart::Exception(id) => ("exception", id.as_str()),
        PolicyPart::Measure(name) => ("measure", name.as_str()),
        PolicyPart::Mode => return "mode".to_owned(),
    };
    format!("{what} {}", shown(name, LINE))
}

fn example(instance: &Instance) -> String {
    format!(
        "{}  {}  {}  {}",
        shown(&instance.place, LINE),
        shown(&instance.kind, LINE),
        shown(&instance.target, LINE),
        shown(&instance.finding, 64)
    )
}

/// What could not be read, the first of it by name.
fn unread(title: &str, count: u64, first: &[Broken], style: Style) -> String {
    if count == 0 {
        return String::new();
    }
    let title = format!("{title}: {}", thousands(count));
    let mut text = format!("\n{}\n", style.bad(&title));
    for broken in first {
        text += &format!(
            "  {}  {}\n",
            shown(&broken.place, LINE),
            shown(&broken.why, 3 * LINE)
        );
    }
    let more = count - first.len() as u64;
    if more > 0 {
        text += &style.faint(&format!("  and {} more\n", thousands(more)));
    }
    text
}

fn dressed(effect: Effect, text: &str, style: Style) -> String {
    match effect {
        Effect::Contained | Effect::AlreadyContained => style.good(text),
        Effect::Partly | Effect::Observed | Effect::Withheld => style.doubtful(text),
        Effect::Nothing => style.faint(text),
    }
}

fn meaning(effect: Effect) -> &'static str {
    match effect {
        Effect::Contained => "measures would be carried out, none withheld",
        Effect::Partly => "some measures would be carried out, others are withheld",
        Effect::AlreadyContained => "the target was as the measures want it",
        Effect::Observed => "observe mode holds the measures back",
        Effect::Withheld => "guards hold every measure back",
        Effect::Nothing => "the rule asks for no measure",
    }
}

fn rest(all: usize, listed: usize, style: Style) -> String {
    match all.saturating_sub(listed) {
        0 => String::new(),
        more => style.faint(&format!("  and {more} more\n")),
    }
}

fn more(all: usize, listed: usize) -> String {
    match all.saturating_sub(listed) {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}

fn many(number: u64, thing: &str) -> String {
    match number {
        1 => format!("one {thing}"),
        _ => format!("{} {thing}s", thousands(number)),
    }
}

/// `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => String::new(),
        whole => format!("{:.1}%", part as f64 * 100.0 / whole as f64),
    }
}
