//! A large input in parts, each of whole documents, in bounded memory.
//!
//! A part is cut where one document ends and the next begins. Where a line ends with a brace and the next begins with one,
//! that is between two documents, whatever is in them: inside of JSON a comma would stand there, and no text holds a line's
//! end. Only where there is no such place are brackets counted: in lists, whose items become documents of their own, and in
//! documents that follow each other on one line.

use std::io::{self, ErrorKind, Read};

use memchr::{memchr_iter, memchr2, memrchr_iter};

/// How much is cut off at a time.
const PART: usize = 1 << 20;
/// No document may be longer. GuardDuty's findings have at most 256 KiB on the event bus.
const LONGEST: usize = 16 << 20;
/// Stands in a part between the items of a list. JSON knows no such character.
pub(super) const BETWEEN: u8 = 0x1e;

/// What was cut off.
#[derive(Debug)]
pub(super) enum Part {
    /// Whole documents, one after the other; items of a list with [`BETWEEN`] between them.
    Documents {
        /// The text.
        bytes: Vec<u8>,
        /// The line of the input on which it begins, from 1; none where the input has no lines.
        line: Option<usize>,
        /// Whether it is of a list.
        listed: bool,
    },
    /// Something that is no document.
    Broken {
        /// On which line of the input.
        line: Option<usize>,
        /// What is wrong.
        why: String,
    },
}

/// Cuts an input.
pub(super) struct Parts<R> {
    input: R,
    buffer: Vec<u8>,
    /// Everything was read.
    ended: bool,
    /// The line on which the buffer begins.
    line: usize,
    within: Within,
    failed: bool,
}

/// Where the buffer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Between documents, at the very beginning or later.
    Start,
    /// In a list that began on this line.
    List { line: usize, wrapped: bool },
    /// In what follows the list in its object.
    Tail { line: usize },
    /// In what is no document, or too long: the next one that begins on a line of its own is looked for.
    Lost,
}

impl<R: Read> Parts<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            ended: false,
            line: 1,
            within: Within::Start,
            failed: false,
        }
    }

    /// Reads until there is so much, or nothing more.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        while self.buffer.len() < wanted && !self.ended {
            let missing = (wanted - self.buffer.len()) as u64;
            let before = self.buffer.len();
            self.buffer.reserve(missing as usize);
            match self
                .input
                .by_ref()
                .take(missing)
                .read_to_end(&mut self.buffer)
            {
                Ok(_) => self.ended = self.buffer.len() - before < missing as usize,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes bytes from the beginning of the buffer.
    fn cut(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length);
        let cut = std::mem::replace(&mut self.buffer, rest);
        self.line += lines(&cut);
        cut
    }

    fn drop_front(&mut self, length: usize) {
        self.line += lines(self.buffer.get(..length).unwrap_or_default());
        self.buffer.drain(..length);
    }

    fn step(&mut self) -> io::Result<Option<Part>> {
        loop {
            match self.within {
                Within::Start => {
                    self.fill(PART)?;
                    let blank = blank(&self.buffer);
                    self.drop_front(blank);
                    if self.buffer.is_empty() && self.ended {
                        return Ok(None);
                    }
                    if blank > 0 {
                        continue;
                    }
                    if let Some((opens, wrapped)) = opens_list(&self.buffer) {
                        let line = self.line;
                        self.drop_front(opens);
                        self.within = Within::List { line, wrapped };
                        continue;
                    }
                    if let Some(part) = self.documents()? {
                        return Ok(Some(part));
                    }
                }
                Within::List { line, wrapped } => return self.items(line, wrapped).map(Some),
                Within::Tail { line } => {
                    if let Some(part) = self.tail(line)? {
                        return Ok(Some(part));
                    }
                }
                Within::Lost => {
                    self.fill(PART)?;
                    match first_boundary(&self.buffer) {
                        Some(at) => {
                            self.drop_front(at);
                            self.within = Within::Start;
                        }
                        None if self.ended => {
                            self.drop_front(self.buffer.len());
                            self.within = Within::Start;
                        }
                        // The last byte may be the first half of a boundary.
                        None => self.drop_front(self.buffer.len() - 1),
                    }
                }
            }
        }
    }

    /// Documents that stand on their own.
    fn documents(&mut self) -> io::Result<Option<Part>> {
        let line = self.line;
        let mut wanted = PART;
        loop {
            self.fill(wanted)?;
            let end = match self.ended {
                true => Some(self.buffer.len()),
                false => last_boundary(&self.buffer).or_else(|| last_end(&self.buffer)),
            };
            if let Some(end) = end {
                return Ok(Some(Part::Documents {
                    bytes: self.cut(end),
                    line: Some(line),
                    listed: false,
                }));
            }
            if wanted >= LONGEST {
                self.within = Within::Lost;
                return Ok(Some(too_long(line)));
            }
            wanted *= 2;
        }
    }

    /// Items of a list.
    fn items(&mut self, began: usize, wrapped: bool) -> io::Result<Part> {
        let line = self.line;
        let mut wanted = PART;
        let mut scan = Scan::default();
        let mut last_end = None;
        loop {
            self.fill(wanted)?;
            while let Some((at, byte)) = scan.next(&self.buffer) {
                match byte {
                    b',' if scan.depth == 0 => {
                        if let Some(comma) = self.buffer.get_mut(at) {
                            *comma = BETWEEN;
                        }
                        last_end = Some(at);
                    }
                    b']' if scan.depth < 0 => {
                        let bytes = self.cut(at);
                        self.drop_front(1);
                        self.within = match wrapped {
                            true => Within::Tail { line: began },
                            false => Within::Start,
                        };
                        return Ok(Part::Documents {
                            bytes,
                            line: Some(line),
                            listed: true,
                        });
                    }
                    _ if scan.depth < 0 => {
                        self.within = Within::Lost;
                        return Ok(unended(began));
                    }
                    _ => {}
                }
            }
            if let Some(end) = last_end {
                let bytes = self.cut(end);
                self.drop_front(1);
                return Ok(Part::Documents {
                    bytes,
                    line: Some(line),
                    listed: true,
                });
            }
            if self.ended {
                self.within = Within::Lost;
                return Ok(unended(began));
            }
            if wanted >= LONGEST {
                self.within = Within::Lost;
                return Ok(too_long(line));
            }
            wanted *= 2;
        }
    }

    /// What stands behind a list in its object: nothing that counts, such as a token for the next page.
    fn tail(&mut self, began: usize) -> io::Result<Option<Part>> {
        self.fill(PART)?;
        let mut scan = Scan::default();
        while let Some((at, _)) = scan.next(&self.buffer) {
            if scan.depth < 0 {
                self.drop_front(at + 1);
                self.within = Within::Start;
                return Ok(None);
            }
        }
        self.within = Within::Lost;
        Ok(Some(unended(began)))
    }
}

impl<R: Read> Iterator for Parts<R> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        if self.failed {
            return None;
        }
        match self.step() {
            Ok(part) => part,
            Err(error) => {
                self.failed = true;
                Some(Part::Broken {
                    line: Some(self.line + lines(&self.buffer)),
                    why: format!("it cannot be read any further: {error}"),
                })
            }
        }
    }
}

fn too_long(line: usize) -> Part {
    Part::Broken {
        line: Some(line),
        why: format!(
            "a document or an item that begins here is longer than {} MiB and is left out",
            LONGEST >> 20
        ),
    }
}

fn unended(line: usize) -> Part {
    Part::Broken {
        line: Some(line),
        why: "the list that begins here does not end as a list does; what is in it after the last whole item is left out"
            .to_owned(),
    }
}

/// Brackets outside of text, one after the other.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    /// How many brackets are open, beyond those at the beginning.
    depth: i64,
    in_text: bool,
}

impl Scan {
    /// The next bracket or comma and its place, with `depth` as it is behind it.
    fn next(&mut self, buffer: &[u8]) -> Option<(usize, u8)> {
        while let Some(rest) = buffer.get(self.at..).filter(|rest| !rest.is_empty()) {
            if self.in_text {
                let Some(found) = memchr2(b'"', b'\\', rest) else {
                    self.at = buffer.len();
                    return None;
                };
                if rest.get(found) == Some(&b'\\') {
                    if found + 1 >= rest.len() {
                        // What is escaped is not there yet.
                        self.at += found;
                        return None;
                    }
                    self.at += found + 2;
                    continue;
                }
                self.in_text = false;
                self.at += found + 1;
                continue;
            }
            let at = self.at;
            let byte = rest.first().copied().unwrap_or_default();
            self.at += 1;
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    return Some((at, byte));
                }
                b'}' | b']' => {
                    self.depth -= 1;
                    return Some((at, byte));
                }
                b',' => return Some((at, byte)),
                _ => {}
            }
        }
        None
    }
}

/// The length of the white space (and byte order mark) at the beginning.
fn blank(buffer: &[u8]) -> usize {
    let mark = b"\xef\xbb\xbf";
    let skipped = if buffer.starts_with(mark) {
        mark.len()
    } else {
        0
    };
    let rest = buffer.get(skipped..).unwrap_or_default();
    skipped + rest.iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// Whether a list begins here, alone or as the first thing in an object that is there for it: up to where, and which.
fn opens_list(buffer: &[u8]) -> Option<(usize, bool)> {
    if buffer.first() == Some(&b'[') {
        return Some((1, false));
    }
    let mut at = 0;
    let mut take = |expected: &[&[u8]]| {
        at += blank(buffer.get(at..).unwrap_or_default());
        let rest = buffer.get(at..).unwrap_or_default();
        let found = expected.iter().find(|word| rest.starts_with(word))?;
        at += found.len();
        Some(at)
    };
    take(&[b"{"])?;
    take(&[
        b"\"Findings\"",
        b"\"findings\"",
        b"\"Records\"",
        b"\"records\"",
    ])?;
    take(&[b":"])?;
    take(&[b"["]).map(|at| (at, true))
}

/// The place of the last document that begins on a line of its own behind another one.
fn last_boundary(buffer: &[u8]) -> Option<usize> {
    memrchr_iter(b'{', buffer).find(|at| is_boundary(buffer, *at))
}

fn first_boundary(buffer: &[u8]) -> Option<usize> {
    memchr_iter(b'{', buffer).find(|at| is_boundary(buffer, *at))
}

/// Whether a closing brace and the end of a line are all that stands before this place.
fn is_boundary(buffer: &[u8], at: usize) -> bool {
    let before = buffer.get(..at).unwrap_or_default();
    let solid = before.trim_ascii_end();
    solid.last() == Some(&b'}')
        && before
            .get(solid.len()..)
            .is_some_and(|gap| gap.contains(&b'\n'))
}

/// The end of the last whole document, by counting brackets.
fn last_end(buffer: &[u8]) -> Option<usize> {
    let mut scan = Scan::default();
    let mut end = None;
    while let Some((at, byte)) = scan.next(buffer) {
        if scan.depth == 0 && byte == b'}' {
            end = Some(at + 1);
        }
    }
    end
}

fn lines(bytes: &[u8]) -> usize {
    memchr_iter(b'\n', bytes).count()
}
