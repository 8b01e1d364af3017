//! The test file: from the tree to the tests, reporting everything that is wrong on the way.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::expect::expected;
use super::facts::facts;
use super::finding::{finding, target};
use super::{ReadFile, Test};
use crate::verdict::Facts;
use crate::yaml::{
    self, Code, Diagnostic, Node, Placed, Report, Value, fields, filled, list, once, text, version,
};

/// How many levels a test file may have. A finding that is written in it has twelve below its test.
const DEEPEST: usize = 32;

/// The keys of the file itself.
pub(super) const FILE: &[&str] = &["version", "tests"];
/// The keys of a test.
pub(super) const TEST: &[&str] = &["name", "finding", "target", "facts", "now", "expect"];

/// What became of a test file.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The tests in which no mistake was found.
    pub tests: Vec<Test>,
    /// Every mistake, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a test file. `name` is what diagnostics call it; `files` says what the files hold that it names.
pub fn load(name: &str, text: &str, files: &ReadFile<'_>) -> Loaded {
    let mut report = Report::new(name, text);
    let tests = yaml::parse(&mut report, DEEPEST).and_then(|root| tests(&mut report, &root, files));
    Loaded {
        tests: tests.unwrap_or_default(),
        diagnostics: report.finish(),
    }
}

fn tests(report: &mut Report<'_>, root: &Node, files: &ReadFile<'_>) -> Option<Vec<Test>> {
    if let Value::Null = root.value {
        report
            .add(Code::EmptyText, root.at, "the test file is empty")
            .help("run \"portcullis init\" for tests to begin with");
        return None;
    }
    let fields = fields(report, root, "the test file", FILE)?;
    version(report, &fields, "the test file");
    let help = "write the tests as a list: `- { name: …, finding: …, expect: … }`";
    let node = fields.require(report, "tests", help)?;
    let nodes = list(report, node, "a list of tests")?;
    if nodes.is_empty() {
        report
            .add(Code::EmptyList, node.at, "the file has no test")
            .help(help);
    }
    let mut names = Vec::new();
    let tests = nodes
        .iter()
        .filter_map(|node| test(report, node, files, &mut names));
    Some(tests.collect())
}

/// Reads a test; none if anything in it is wrong, because half a test says something else than the whole.
fn test(
    report: &mut Report<'_>,
    node: &Node,
    files: &ReadFile<'_>,
    names: &mut Vec<Placed<String>>,
) -> Option<Test> {
    let errors = report.errors();
    let fields = fields(report, node, "a test", TEST)?;
    let name = fields
        .require(
            report,
            "name",
            "say in a few words what the policy shall do",
        )
        .and_then(|node| {
            let value = filled(report, node, "the name")?;
            Some(Placed { value, at: node.at })
        });
    if let Some(name) = &name {
        once(report, name, names, |name| {
            format!("another test has the name \"{name}\"")
        });
    }
    let given = fields.require(
        report,
        "finding",
        "give the path of an event, or the finding itself: `finding: events/exfiltration.json`",
    );
    let found = given.and_then(|node| finding(report, node, files));
    let target = given
        .zip(found.as_ref())
        .and_then(|(at, found)| target(report, fields.get("target"), at, found));
    let facts = fields
        .get("facts")
        .map_or_else(|| Some(Facts::default()), |node| facts(report, node, files));
    let now = fields.get("now").and_then(|node| moment(report, node));
    let at = fields.place("expect");
    let expected = fields
        .require(
            report,
            "expect",
            "say what shall come of it: `expect: { rule: stolen-credentials }`",
        )
        .and_then(|node| expected(report, node, at));
    let name = name?;
    let test = Test {
        name: name.value,
        file: report.name.to_owned(),
        line: name.at.line,
        finding: found?.finding,
        target: target?,
        facts: facts?,
        now,
        expected: expected?,
    };
    (report.errors() == errors).then_some(test)
}

/// Reads a time, or a date as its beginning in UTC.
fn moment(report: &mut Report<'_>, node: &Node) -> Option<Timestamp> {
    let written = text(report, node, "a time such as 2027-03-31T12:00:00Z")?;
    let day = || {
        let date: Date = Some(written).filter(|w| w.len() == 10)?.parse().ok()?;
        TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()
    };
    let moment = written.parse().ok().or_else(day);
    if moment.is_none() {
        report
            .add(Code::BadDate, node.at, format!("\"{written}\" is not a time"))
            .help("write a time with its zone, or a date for its beginning in UTC: 2027-03-31T12:00:00Z, 2027-03-31");
    }
    moment
}
