//! The page of figures: written by the long form, and checked for being whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Tried;
use super::clock::Jumps;
use super::order::Orders;
use super::outside::Outside;
use super::races::Races;
use super::scene::events;
use super::trial::Fault;

/// How many were tried, and how many of them converged.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Count {
    tried: usize,
    converged: usize,
}

impl Count {
    pub(super) fn add(&mut self, converged: bool) {
        self.tried += 1;
        self.converged += usize::from(converged);
    }

    fn cells(self) -> String {
        format!("{} | {}", self.tried, self.converged)
    }
}

/// The figures of one run.
pub(super) struct Figures {
    share: usize,
    scenarios: String,
    number: usize,
    by_fault: BTreeMap<Fault, Count>,
    hurried: Count,
    rest: String,
    wrong: Vec<String>,
}

impl Figures {
    pub(super) fn new(share: usize) -> Self {
        Self {
            share,
            scenarios: String::new(),
            number: 0,
            by_fault: BTreeMap::new(),
            hurried: Count::default(),
            rest: String::new(),
            wrong: Vec::new(),
        }
    }

    /// How many there are so far.
    pub(super) fn scenarios(&self) -> usize {
        self.number
    }

    pub(super) fn add(
        &mut self,
        event: &str,
        policy: &str,
        calls: usize,
        stops: &Tried,
        errors: &Tried,
    ) {
        self.number += 1;
        let of = |tried: &Tried| Count {
            tried: tried.tried,
            converged: tried.tried - tried.wrong.len(),
        };
        let (stopped, refused) = (of(stops).cells(), of(errors).cells());
        let row = format!("| `{event}` | {policy} | {calls} | {stopped} | {refused} |\n");
        self.scenarios += &row;
        for tried in [stops, errors] {
            self.wrong.extend(tried.wrong.iter().cloned());
            for (fault, count) in &tried.by_fault {
                let sum = self.by_fault.entry(*fault).or_default();
                sum.tried += count.tried;
                sum.converged += count.converged;
            }
        }
    }

    pub(super) fn hurried(&mut self, wrong: &[String]) {
        self.hurried.add(wrong.is_empty());
        self.wrong.extend(wrong.iter().cloned());
    }

    pub(super) fn jumps(&mut self, jumps: &Jumps) {
        let _ = writeln!(
            self.rest,
            "| the clock jumps by three hours, ahead or back, at every reading of it in turn | {} runs | another end: {} |",
            jumps.tried,
            jumps.wrong.len()
        );
        self.wrong.extend(jumps.wrong.iter().cloned());
    }

    pub(super) fn outside(&mut self, outside: &Outside) {
        let lost = outside.lost.len();
        let _ = writeln!(
            self.rest,
            "| somebody else adds a statement to the bucket policy just before a call, at every call in turn | {} places | kept at {}, lost at {lost} |",
            outside.tried,
            outside.tried - lost
        );
        self.wrong.extend(outside.wrong.iter().cloned());
    }

    pub(super) fn races(&mut self, races: &Races) {
        let _ = writeln!(
            self.rest,
            "| 2 to 16 findings on one bucket at once, while somebody else adds statements | {} rounds, {} invocations, {} statements of others | lost: {} of ours, {} of others, of which {} were told and kept; leases left: {}; writes without evidence: {} |",
            races.rounds,
            races.invocations,
            races.outside,
            races.ours_lost,
            races.theirs_lost,
            races.told,
            races.leases,
            races.bare
        );
        self.wrong.extend(races.wrong.iter().cloned());
    }

    pub(super) fn orders(&mut self, orders: &Orders) {
        let _ = writeln!(
            self.rest,
            "| the updates of one finding, with other actors, shuffled and repeated, then rolled back in another order | {} orders, {} deliveries | another end: {} |",
            orders.orders,
            orders.deliveries,
            orders.wrong.len()
        );
        self.wrong.extend(orders.wrong.iter().cloned());
    }

    /// Writes the page, where everything holds that must.
    pub(super) fn write(&self) {
        #[expect(clippy::print_stdout, reason = "somebody waits for it")]
        {
            println!("{}", self.page());
        }
        self.assert_that_all_holds();
        std::fs::write(path(), self.page()).unwrap();
    }

    pub(super) fn assert_that_all_holds(&self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }

    fn page(&self) -> String {
        let share = match self.share {
            1 => "every error at every call".to_owned(),
            n => format!("one in {n} of the pairs of error and call"),
        };
        let today = jiff::Timestamp::now().strftime("%Y-%m-%d");
        let mut by_fault = String::new();
        for (fault, count) in &self.by_fault {
            let _ = writeln!(by_fault, "| {} | {} |", fault.title(), count.cells());
        }
        let _ = writeln!(
            by_fault,
            "| 1 to 12 seconds for the invocation, which Lambda then ends | {} |",
            self.hurried.cells()
        );
        format!(
            "{HEAD}Run on {today}, with version {}: both stops at every call, and {share}.\n{FAULTS}{by_fault}{SCENARIOS}{}{RACES}{}{TAIL}",
            env!("CARGO_PKG_VERSION"),
            self.scenarios,
            self.rest
        )
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md")
}

const HEAD: &str = "\
# Reliability

What was tried to break a containment, and what came of it. `make reliability` makes these figures and writes this page; a part of it runs
with the tests. It takes most of an hour: `make reliability SHARE=20` tries one in twenty of the errors. AWS is a stand-in here (MiniStack), as everywhere
in these tests: [development](development.md#tests).

";
const FAULTS: &str = "
## Stops and errors

The function's own process runs behind a proxy. At one call something goes wrong: the process is killed, or that call gets an error for the rest of
the invocation. Then the event is delivered once more, as Lambda does. A point has converged if

- no invocation said that it succeeded before all was done, unless its answer says what is missing and waiting would not help;
- in the end every setting of every bucket and of the account is what it is without the fault, byte for byte;
- every write to a bucket came after a record that was stored; every record has a result; the containment stands on the list of the sweep;
- no lease lasts longer than its invocation may, and none is left in the end;
- a notice says that the bucket was contained;
- a rollback by the last record alone brings back every setting as it was before the first delivery, byte for byte. What could not be read before it was
  written is left to a person, and the rollback says so.

| what goes wrong | tried | converged |
|---|---|---|
";
const SCENARIOS: &str = "
By scenario, with the policy that decides: the built-in one in enforce mode, or one that asks for nearly every measure at once. Calls are those of one
invocation that nothing disturbs.

| event of `events/` | policy | calls | stops tried | converged | errors tried | converged |
|---|---|---|---|---|---|---|
";
const RACES: &str = "
## Clocks, races and disorder

| what | how often | what came of it |
|---|---|---|
";
const TAIL: &str = "
## What can be lost

S3 has no conditional write for a bucket policy. Portcullis reads the policy once more right before it writes it, and plans anew if it has changed. A
change that somebody else makes between this read and the write, a single round trip, is overwritten there, and nothing in S3 tells: that is the place
above at which a statement is lost. Where the policy is the first thing to be written, this read is made while the evidence is stored, so that the
write does not wait for it; only if that takes more than a quarter of a second, the policy is read again. In the races above the policy is all that
is written, as often and by as many as can be: the worst case.

CloudTrail has their write, and hands it to the function minutes later ([what others write](rollback.md#what-others-write)). The record holds the policy that was read and
the one that was written, so that the function knows what of theirs is missing: it tells it, and keeps their policy whole. In the races above the events of
all writes come in after the last one, to the second and in the wrong order: what is told to be missing must be what is, no statement more and none
less. Without a trail nobody tells.

The same holds the other way round: who writes a policy that was read before the containment takes the containment away. The function
sees it if it happens before it reads back what it wrote, otherwise when CloudTrail tells of the write, and at the latest in the sweep.

Where one fault hides both the flags of a bucket and its policy, all four flags are turned on, for that closes it. With BlockPublicPolicy on, S3 then refuses
the Deny of the next delivery as long as the policy is public (guard `public-policy-refused`): take the public statements out, or have the rule ask for
`remove-public-grants`. Where one of the two can be read, the next delivery does it all.
";

/// The page is of the events and of the words that there are, and nothing on it failed.
#[test]
fn the_page_of_figures_is_whole() {
    let page = std::fs::read_to_string(path()).unwrap();
    for part in [HEAD, FAULTS, SCENARIOS, RACES, TAIL] {
        assert!(page.contains(part), "run make reliability: {part}");
    }
    let mut shown = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let numbers: Vec<usize> = cells.iter().filter_map(|cell| cell.parse().ok()).collect();
        if let Some(event) = cells[0].strip_prefix('`') {
            shown.insert(event.trim_end_matches('`').to_owned());
            assert_eq!((numbers[1], numbers[3]), (numbers[2], numbers[4]), "{line}");
            assert!(numbers[1] > 0, "{line}");
        } else if let [tried, converged] = numbers[..] {
            assert_eq!(tried, converged, "{line}");
        }
    }
    assert_eq!(shown.into_iter().collect::<Vec<_>>(), events());
}
