//! The page of a backtest.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use portcullis::backtest::{
    Backtest, Example, FamilyCount, Instance, Known, PolicyPart, Spot, Tally, Trial,
};
use portcullis::classification::Own;
use portcullis::finding::{Event, Finding, Target, read};
use portcullis::page;
use portcullis::policy::{self, Policy};
use portcullis::verdict::{Facts, Verdict};
use serde_json::{Value, json};

use super::{HOSTILE, MARKUP, UNSEEN, ask, press, public_bucket, reads_well};
use crate::browser::{visit, visit_without_scripts};
use crate::cli::{Folder, ends, events, stdout};
use crate::push::OLD;

const NEW: &str = "\
version: 1
mode: enforce
break-glass: [arn:aws:iam::*:role/SecurityBreakGlass]
exceptions:
  - id: catalog
    match: { bucket: [\"amzn-s3-demo-bucket-3\"] }
    withhold: all
    reason: Static site (SEC-412)
    expires: 2099-12-31
rules:
  - id: thieves
    when: { finding: [\"Exfiltration:S3/*\", \"UnauthorizedAccess:S3/*\"] }
    measures: [deny-actor, isolate]
  - id: public
    when: { finding: [\"Policy:S3/*\"] }
    measures: [block-public-access, remove-public-grants]
  - id: owned
    when: { tag: { owner: [\"data\"] } }
    measures: [deny-actor]
  - id: never
    when: { finding: [\"PenTest:S3/Nothing\"] }
    measures: [isolate]
  - id: watched
    when: { finding: [\"Discovery:S3/*\"] }
    measures: [deny-source-ip]
    mode: observe
  - id: everything-else
    measures: []
";

/// Every event of the repository, again and again over some weeks, on five buckets, under two policies.
fn tried() -> Backtest {
    let mut findings: Vec<Finding> = Vec::new();
    for path in events() {
        let read = read(&std::fs::read(path).unwrap()).into_iter();
        findings.extend(read.filter_map(|event| match event {
            Ok(Event::Finding(finding)) => Some(*finding),
            _ => None,
        }));
    }
    assert!(findings.len() > 15);
    let policy = |text: &str, name: &str| -> Arc<Policy> {
        let today = jiff::civil::date(2026, 3, 1);
        Arc::new(policy::load(name, text, today).policy.unwrap())
    };
    let trial = Arc::new(Trial {
        source: "findings/".to_owned(),
        policy: policy(NEW, "new.yaml"),
        against: Some(policy(OLD, "old.yaml")),
        own: Own::default(),
        now: "2026-10-30T00:00:00Z".parse().unwrap(),
        as_new: false,
    });
    let mut tally = Tally::new(trial);
    let start: Timestamp = "2026-09-01T06:00:00Z".parse().unwrap();
    for number in 0..120_u64 {
        let mut finding = findings[number as usize % findings.len()].clone();
        let hours = i64::try_from(number * number % 1000).unwrap();
        let at = start + SignedDuration::from_hours(hours);
        finding.id = format!("{number:032x}");
        (finding.last_seen, finding.updated_at) = (Some(at), Some(at));
        for target in &mut finding.targets {
            if let Target::Bucket(bucket) = target {
                bucket.name = format!("amzn-s3-demo-bucket-{}", number % 5);
            }
        }
        let known = finding.targets.iter().map(|target| {
            let Target::Bucket(bucket) = target else {
                return None;
            };
            (number % 3 > 0).then(|| Known {
                facts: Facts {
                    settings: public_bucket(&bucket.name),
                    ..Facts::default()
                },
                ..Known::default()
            })
        });
        let known: Vec<Option<Known>> = known.collect();
        let spot = spot(number, "findings/2026.json");
        tally.finding(&spot, finding, &known);
    }
    tally.broken(&spot(120, "findings/broken.json"), || {
        "it is no JSON".to_owned()
    });
    tally.ignore();
    tally.finish(false)
}

fn spot(ordinal: u64, name: &str) -> Spot<'_> {
    Spot {
        ordinal,
        name,
        line: Some(ordinal as usize + 1),
    }
}

/// The texts of the rows of a section that are seen, at its first level.
fn seen(section: &str) -> Value {
    ask(&format!(
        r#"[...document.querySelectorAll("section[aria-labelledby={section}] [data-row]")]
          .filter((row) => row.checkVisibility() && !row.parentElement.closest("[data-row]"))
          .map((row) => (row.querySelector(".name") ?? row.querySelector("th, summary")).textContent.trim())"#
    ))
}

fn written(folder: &Folder, backtest: &Backtest) -> PathBuf {
    folder.write("page.html", &page::backtest(backtest));
    folder.path("page.html")
}

#[test]
fn everything_is_told_without_scripts() {
    let folder = Folder::new();
    let backtest = tried();
    let page = written(&folder, &backtest);
    let bars = "[...document.querySelectorAll('svg.chart rect')].map((e) => Number(e.getAttribute('height'))).reduce((a, b) => a + b)";
    let steps = [
        ask("document.body.textContent"),
        ask("document.querySelector('form').checkVisibility()"),
        ask("document.querySelectorAll('[hidden]').length"),
        ask(bars),
        ask("document.querySelectorAll('section[aria-labelledby=days] details tbody tr').length"),
    ];
    let answers = visit_without_scripts(&page, &steps);
    let text = answers[0].as_str().unwrap();
    let rules = backtest.rules.iter().map(|rule| &rule.rule);
    let contained = backtest.contained.top.iter().map(|target| &target.target);
    let withheld = backtest.withheld.iter().map(|hits| &hits.example);
    let examples = backtest.examples.iter();
    let explained = examples.flat_map(|example| &example.explanation);
    let families = backtest.days.days.iter().flat_map(|day| &day.families);
    let families: Vec<&FamilyCount> = families.collect();
    for told in rules.chain(contained).chain(withheld).chain(explained) {
        assert!(text.contains(told.as_str()), "{told} is not in the page");
    }
    let changes = backtest.changes.as_ref().unwrap();
    assert!(changes.groups.len() > 3);
    for group in &changes.groups {
        for cause in &group.because {
            assert!(text.contains(&cause.place), "{cause:?}");
        }
    }
    // A filter that does nothing would only mislead; it is all that is hidden.
    assert_eq!(answers[1..3], [json!(false), json!(1)]);
    assert_eq!(answers[4], families.len());
    // Heights are shares of the highest day, which has 200.
    let all: u64 = families.iter().map(|count| count.count).sum();
    let days = backtest.days.days.iter();
    let most = days.map(|day| day.families.iter().map(|count| count.count).sum::<u64>());
    let expected = all as f64 / most.max().unwrap() as f64 * 200.0;
    assert!((answers[3].as_f64().unwrap() - expected).abs() < 1.0);
}

#[test]
fn the_command_line_writes_it() {
    let folder = Folder::new();
    folder.write("new.yaml", NEW);
    let events = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/events/anonymous-access-granted.json"
    );
    let args = ["backtest", events, "--policy", "new.yaml", "--html"];
    let with = |more: &[&str]| folder.run(&[&args, more].concat());
    let text = stdout(&ends(with(&["page.html"]), 0));
    assert!(!text.is_empty() && !text.contains("<html"), "{text}");
    let answers = visit(
        &folder.path("page.html"),
        &[seen("rules"), ask("document.title")],
    );
    assert_eq!(answers[0].as_array().unwrap().len(), 6);
    assert_eq!(answers[1], "new.yaml over one past finding");
    assert!(stdout(&ends(with(&["-"]), 0)).starts_with("<!DOCTYPE html>"));
    ends(with(&["-", "--output", "json"]), 2);
}

#[test]
fn a_backtest_reads_well_in_light_and_dark_on_wide_and_narrow_screens() {
    let folder = Folder::new();
    reads_well(&written(&folder, &tried()));
}

#[test]
fn filters_are_set_from_the_keyboard_and_say_what_they_leave() {
    let folder = Folder::new();
    let page = written(&folder, &tried());
    let output = ask("document.querySelector('output').textContent");
    let notes = ask(
        "[...document.querySelectorAll('section p.faint')].filter((e) => e.checkVisibility() && e.textContent.startsWith('Not')).map((e) => e.closest('section').getAttribute('aria-labelledby'))",
    );
    let chart = ask(
        "[...new Set([...document.querySelectorAll('svg.chart rect')].filter((e) => e.getAttribute('visibility') !== 'hidden').map((e) => e.getAttribute('class')))]",
    );
    let floating = ask(
        r#"[...document.querySelectorAll("svg.chart g")].filter((day) => {
          const seen = [...day.children].filter((e) => e.getAttribute("visibility") !== "hidden");
          const ends = seen.map((e) => Number(e.getAttribute("y")) + Number(e.getAttribute("height")));
          return seen.length > 0 && Math.abs(Math.max(...ends) - 200) > 0.1;
        }).length"#,
    );
    let where_now = ask("document.activeElement.name || document.activeElement.textContent");
    let mut steps = vec![press("Tab"), press("Tab"), where_now.clone()];
    // Outcome, by the keyboard: what begins with w.
    steps.extend([press("Tab"), where_now.clone(), json!({ "type": "w" })]);
    steps.extend([
        seen("effects"),
        seen("rules"),
        chart,
        floating,
        output.clone(),
        notes.clone(),
    ]);
    steps.extend([press("Tab"), where_now.clone(), json!({ "type": "th" })]);
    steps.extend([seen("rules"), seen("changes"), notes.clone()]);
    // What is typed is looked for in examples, too.
    steps.extend([
        press("Tab"),
        where_now.clone(),
        json!({ "type": "Demo-Bucket-2, exfiltration" }),
    ]);
    steps.extend([seen("rules"), ask("[...document.querySelectorAll('section[aria-labelledby=rules] li li[data-row]')].filter((e) => !e.hidden).map((e) => e.querySelector('.strong').textContent)")]);
    steps.extend([
        press("Tab"),
        where_now,
        press("Enter"),
        output,
        notes,
        seen("rules"),
    ]);
    let answers = visit(&page, &steps);
    let mut answers = answers.iter();
    let mut next = || answers.next().unwrap().clone();

    assert_eq!(next(), "family");
    assert_eq!(next(), "outcome");
    assert_eq!(next(), json!(["withheld"]));
    assert_eq!(next(), json!(["thieves", "public", "watched"]));
    assert_eq!(next(), json!(["withheld"]));
    assert_eq!(next(), 0, "what is left stands on the axis");
    assert!(next().as_str().unwrap().ends_with(" rows are shown."));
    assert_eq!(
        next(),
        json!(["days", "exceptions", "withheld", "measures", "contained"])
    );

    assert_eq!(next(), "rule");
    assert_eq!(next(), json!(["thieves"]));
    let groups = next();
    let groups = groups.as_array().unwrap();
    assert!(!groups.is_empty());
    let names = |group: &Value| group.as_str().unwrap().contains("thieves");
    assert!(groups.iter().all(names), "{groups:?}");
    next();

    assert_eq!(next(), "text");
    assert_eq!(next(), json!(["thieves"]));
    let examples = next();
    let examples = examples.as_array().unwrap();
    assert!(!examples.is_empty());
    assert!(
        examples.iter().all(|name| name == "amzn-s3-demo-bucket-2"),
        "{examples:?}"
    );

    assert_eq!(next(), "Show all");
    assert_eq!([next(), next()], [json!(""), json!([])]);
    let all = next();
    assert_eq!(all.as_array().unwrap().len(), 6);
}

#[test]
fn rows_open_to_the_explanation_from_the_keyboard() {
    let folder = Folder::new();
    let backtest = tried();
    let page = written(&folder, &backtest);
    let rows = "document.querySelectorAll('section[aria-labelledby=rules] summary')";
    let seen = "new Promise((tell) => requestAnimationFrame(() => setTimeout(() => tell(document.querySelector('section[aria-labelledby=rules] pre').checkVisibility()))))";
    let answers = visit(
        &page,
        &[
            ask(&format!("{rows}[0].focus()")),
            ask(seen),
            press("Enter"),
            press("Tab"),
            ask("document.activeElement.textContent"),
            press("Space"),
            ask(seen),
            press("Tab"),
            ask("document.activeElement.textContent"),
        ],
    );
    let first = &backtest.examples[0];
    assert_eq!(answers[1], false);
    assert!(
        answers[2]
            .as_str()
            .unwrap()
            .contains(&first.instance.finding)
    );
    assert_eq!(answers[3], true);
    assert_eq!(answers[4], first.explanation.join("\n") + "\n");
}

#[test]
fn what_others_chose_stays_text_in_a_backtest() {
    let folder = Folder::new();
    let mut backtest = tried();
    let plain = visit(&written(&folder, &backtest), &[ask(MARKUP)]).remove(0);
    assert_eq!(plain["acting"], json!([]));

    let texts = poison(&mut backtest);
    assert!(texts > 200, "only {texts} texts were poisoned");
    let page = written(&folder, &backtest);
    let steps = [
        ask(MARKUP),
        ask(UNSEEN),
        ask("document.body.textContent"),
        ask(
            "document.querySelector('select[name=rule]').selectedIndex = 1; document.querySelector('form').dispatchEvent(new Event('input'))",
        ),
        seen("rules"),
    ];
    let answers = visit(&page, &steps);
    // A finding of another type is another family to choose.
    let markup = |mut answer: Value| {
        answer["names"].as_object_mut().unwrap().remove("OPTION");
        answer
    };
    assert_eq!(markup(answers[0].clone()), markup(plain));
    assert_eq!(answers[1], 0);
    let text = answers[2].as_str().unwrap();
    for payload in HOSTILE
        .iter()
        .filter(|payload| !payload.contains(['\n', '\u{202e}']))
    {
        assert!(text.contains(payload), "{payload} is not in the page");
    }
    assert_eq!(answers[4].as_array().unwrap().len(), 1);
    reads_well(&page);
}

/// Puts a hostile text behind every text of it, one each in turn; how many there were.
fn poison(backtest: &mut Backtest) -> usize {
    let mut count = 0;
    let mut put = |text: &mut String| {
        *text += HOSTILE[count % HOSTILE.len()];
        count += 1;
    };
    fn verdict(verdict: &mut Verdict, put: &mut impl FnMut(&mut String)) {
        let lists = [&mut verdict.taken, &mut verdict.open, &mut verdict.withheld];
        lists.into_iter().flatten().for_each(&mut *put);
        put(&mut verdict.rule);
        put(&mut verdict.place);
    }
    let part = |part: &mut PolicyPart, put: &mut dyn FnMut(&mut String)| match part {
        PolicyPart::Rule(text) | PolicyPart::Exception(text) | PolicyPart::Measure(text) => {
            put(text);
        }
        PolicyPart::Mode => {}
    };
    let instance = |instance: &mut Instance, put: &mut dyn FnMut(&mut String)| {
        put(&mut instance.place);
        put(&mut instance.finding);
        put(&mut instance.kind);
        put(&mut instance.target);
    };
    put(&mut backtest.source);
    put(&mut backtest.policy.name);
    for hits in &mut backtest.rules {
        // An example is told with its rule by the rule's name.
        let examples = backtest.examples.iter_mut();
        let named = examples.filter(|example| example.rule == hits.rule);
        let named: Vec<&mut Example> = named.collect();
        put(&mut hits.rule);
        named
            .into_iter()
            .for_each(|example| example.rule.clone_from(&hits.rule));
        put(&mut hits.place);
    }
    for hits in &mut backtest.exceptions {
        put(&mut hits.exception);
        put(&mut hits.place);
    }
    backtest
        .measures
        .iter_mut()
        .for_each(|hits| put(&mut hits.measure));
    for hits in &mut backtest.withheld {
        put(&mut hits.place);
        put(&mut hits.example);
        put(&mut hits.measure);
        put(&mut hits.finding);
    }
    // The same family has the same name on each day.
    for count in backtest
        .days
        .days
        .iter_mut()
        .flat_map(|day| &mut day.families)
    {
        count.family += HOSTILE[count.family.len() % HOSTILE.len()];
    }
    for target in &mut backtest.contained.top {
        put(&mut target.target);
        put(&mut target.account);
    }
    for group in backtest
        .changes
        .iter_mut()
        .flat_map(|changes| &mut changes.groups)
    {
        verdict(&mut group.old, &mut put);
        verdict(&mut group.new, &mut put);
        for cause in &mut group.because {
            part(&mut cause.part, &mut put);
            put(&mut cause.place);
        }
        group
            .examples
            .iter_mut()
            .for_each(|example| instance(example, &mut put));
    }
    for example in &mut backtest.examples {
        instance(&mut example.instance, &mut put);
        verdict(&mut example.verdict, &mut put);
        example.explanation.iter_mut().for_each(&mut put);
    }
    for missed in &mut backtest.facts.missed {
        part(&mut missed.part, &mut put);
        put(&mut missed.place);
        put(&mut missed.fact);
    }
    for broken in &mut backtest.read.first_broken {
        put(&mut broken.place);
        put(&mut broken.why);
    }
    count
}
