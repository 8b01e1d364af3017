//! The threads that read and judge, one for each processor, each with a tally of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;

use memchr::memchr_iter;
use portcullis::backtest::{Known, Spot, Tally, Trial};
use portcullis::finding::{Event, EventError, Finding, read_part};
use portcullis::record::Record;
use portcullis::report::{LINE, shown};
use tokio::sync::mpsc;

use super::parts::{BETWEEN, Part};

/// Parts that wait to be judged.
const WAITING: usize = 4;
/// More documents than a part can hold.
const IN_PART: u64 = 1 << 24;
/// Findings after which the progress is told.
const TELL_AFTER: u64 = 512;

/// Something to judge.
pub(super) enum Job {
    /// A part of a file.
    Part {
        name: Arc<str>,
        number: u64,
        part: Part,
    },
    /// A record's text.
    Record {
        name: String,
        number: u64,
        bytes: Vec<u8>,
    },
    /// A document that was read already, to look up what is known of its targets.
    Said {
        name: Arc<str>,
        line: Option<usize>,
        number: u64,
        said: Said,
        known: Vec<Lookup>,
    },
    /// Nothing: whoever waits shall look whether it is to stop.
    Wake,
}

/// What is known of a target, or why it cannot be told.
pub(super) type Lookup = Result<Option<Known>, String>;

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Findings that were judged.
    pub(super) findings: AtomicU64,
    /// Of what is counted in `total`: bytes read, records or findings fetched.
    pub(super) done: AtomicU64,
    /// How much there is; 0 where that is not known.
    pub(super) total: AtomicU64,
    /// Whether to stop early.
    pub(super) stop: AtomicBool,
}

/// The threads at work.
pub(super) struct Workers {
    pub(super) count: usize,
    /// One tally from each at its end.
    pub(super) tallies: mpsc::UnboundedReceiver<Tally>,
    waker: mpsc::WeakSender<Job>,
}

impl Workers {
    /// Starts them. They end when the sender is gone, or when they are stopped.
    pub(super) fn start(trial: &Arc<Trial>, progress: &Arc<Progress>) -> (Self, mpsc::Sender<Job>) {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let (jobs, queue) = mpsc::channel(WAITING);
        let queue = Arc::new(Mutex::new(queue));
        let (done, tallies) = mpsc::unbounded_channel();
        for _ in 0..count {
            let (queue, done) = (queue.clone(), done.clone());
            let (trial, progress) = (trial.clone(), progress.clone());
            thread::spawn(move || {
                let mut worker = Worker {
                    tally: Tally::new(trial),
                    progress,
                    told: 0,
                };
                worker.run(&queue);
                // Nobody waits for it only where the whole command ends.
                let _ = done.send(worker.tally);
            });
        }
        let waker = jobs.downgrade();
        let workers = Self {
            count,
            tallies,
            waker,
        };
        (workers, jobs)
    }

    /// Has them stop after what each has in hand.
    pub(super) fn stop(&self, progress: &Progress) {
        progress.stop.store(true, Relaxed);
        if let Some(jobs) = self.waker.upgrade() {
            for _ in 0..self.count {
                // Where the queue is full, nobody waits.
                let _ = jobs.try_send(Job::Wake);
            }
        }
    }
}

struct Worker {
    tally: Tally,
    progress: Arc<Progress>,
    told: u64,
}

impl Worker {
    fn run(&mut self, queue: &Mutex<mpsc::Receiver<Job>>) {
        while !self.progress.stop.load(Relaxed) {
            let job = match queue.lock() {
                Ok(mut queue) => queue.blocking_recv(),
                // Another thread panicked while it waited, which it cannot.
                Err(_) => None,
            };
            let Some(job) = job else { break };
            self.take(job);
            self.tell();
        }
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Wake => {}
            Job::Part { name, number, part } => match part {
                Part::Broken { line, why } => {
                    let spot = spot(number * IN_PART, &name, line);
                    self.tally.broken(&spot, || why);
                }
                Part::Documents {
                    bytes,
                    line,
                    listed,
                } => self.documents(&name, number, &bytes, line, listed),
            },
            Job::Record {
                name,
                number,
                bytes,
            } => {
                let spot = spot(number, &name, None);
                match serde_json::from_slice::<Record>(&bytes) {
                    Ok(record) => self.tally.record(&spot, record),
                    Err(error) => self
                        .tally
                        .broken(&spot, || format!("it is no record: {error}")),
                }
            }
            Job::Said {
                name,
                line,
                number,
                said,
                known,
            } => {
                let spot = spot(number, &name, line);
                let known: Vec<Option<Known>> = known
                    .into_iter()
                    .map(|found| {
                        found.unwrap_or_else(|why| {
                            self.tally.unread(&spot, || why);
                            None
                        })
                    })
                    .collect();
                count(&mut self.tally, &spot, said, &known);
            }
        }
    }

    fn documents(
        &mut self,
        name: &str,
        number: u64,
        bytes: &[u8],
        line: Option<usize>,
        listed: bool,
    ) {
        let mut ordinal = number * IN_PART;
        for_each_event(bytes, line.unwrap_or(1), listed, |at, event| {
            let spot = spot(ordinal, name, line.map(|_| at));
            ordinal += 1;
            let stop = self.progress.stop.load(Relaxed);
            if !stop {
                count(&mut self.tally, &spot, Said::of(event), &[]);
                self.tell_now_and_then();
            }
            !stop
        });
    }

    fn tell_now_and_then(&mut self) {
        if self.tally.findings() - self.told >= TELL_AFTER {
            self.tell();
        }
    }

    fn tell(&mut self) {
        let findings = self.tally.findings();
        self.progress
            .findings
            .fetch_add(findings - self.told, Relaxed);
        self.told = findings;
    }
}

/// What the reader says of a document.
pub(super) enum Said {
    Finding(Box<Finding>),
    Ignored,
    Broken(String),
}

impl Said {
    pub(super) fn of(event: Result<Event, EventError>) -> Self {
        match event {
            Ok(Event::Finding(finding)) => Self::Finding(finding),
            Ok(Event::Ignored(_) | Event::Trail(_)) => Self::Ignored,
            Ok(Event::Request(_)) => {
                Self::Broken("it is a request to the deployed function, and no finding".to_owned())
            }
            // The answer of a quiet day.
            Err(EventError::EmptyList { .. }) => Self::Ignored,
            Err(error) => Self::Broken(shown(&error.to_string(), 4 * LINE)),
        }
    }
}

fn count(tally: &mut Tally, spot: &Spot, said: Said, known: &[Option<Known>]) {
    match said {
        Said::Finding(finding) => tally.finding(spot, *finding, known),
        Said::Ignored => tally.ignore(),
        Said::Broken(why) => tally.broken(spot, || why),
    }
}

/// Reads the documents of a part one after the other, until `then` says that it is enough. Text that is not UTF-8 costs the
/// lines that it is on, and no other.
pub(super) fn for_each_event(
    bytes: &[u8],
    line: usize,
    listed: bool,
    mut then: impl FnMut(usize, Result<Event, EventError>) -> bool,
) {
    let mut line = line;
    let mut go_on = true;
    let pieces: Vec<&[u8]> = match listed {
        true => bytes.split(|byte| *byte == BETWEEN).collect(),
        false => vec![bytes],
    };
    for piece in pieces {
        let mut rest = piece;
        while go_on && !rest.is_empty() {
            let (text, bad) = match std::str::from_utf8(rest) {
                Ok(text) => (text, None),
                Err(error) => {
                    let valid = rest.get(..error.valid_up_to()).unwrap_or_default();
                    let begins = valid.iter().rposition(|byte| *byte == b'\n');
                    let begins = begins.map_or(0, |at| at + 1);
                    let ends = rest.iter().skip(begins).position(|byte| *byte == b'\n');
                    let ends = ends.map_or(rest.len(), |length| begins + length + 1);
                    let text = std::str::from_utf8(rest.get(..begins).unwrap_or_default());
                    (text.unwrap_or_default(), Some((error.valid_up_to(), ends)))
                }
            };
            read_part(text, line, |line, event| {
                go_on = go_on && then(line, event);
            });
            line += memchr_iter(b'\n', text.as_bytes()).count();
            let Some((byte, ends)) = bad else { break };
            let error = EventError::NotUtf8 { byte, line };
            go_on = go_on && then(line, Err(error));
            let bad = rest.get(text.len()..ends).unwrap_or_default();
            line += memchr_iter(b'\n', bad).count();
            rest = rest.get(ends..).unwrap_or_default();
        }
    }
}

fn spot(ordinal: u64, name: &str, line: Option<usize>) -> Spot<'_> {
    Spot {
        ordinal,
        name,
        line,
    }
}
