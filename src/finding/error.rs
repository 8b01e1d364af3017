//! Why an input is no event, in words for whoever finds it in the dead-letter queue at night.

/// An input that cannot be read as an event. It never becomes a silent success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// Nothing but white space.
    #[error("the input is empty: give one GuardDuty event as JSON")]
    Empty,
    /// JSON is UTF-8; some shells write UTF-16.
    #[error("byte {byte} of the input (line {line}) is not UTF-8: save the event as UTF-8")]
    NotUtf8 {
        /// Offset of the first bad byte, from 0.
        byte: usize,
        /// Its line, from 1.
        line: usize,
    },
    /// The input, or a string in it that should hold an event, is not JSON.
    #[error(
        "{place} is not JSON at line {line}, column {column}: {reason}; check that the event was copied whole"
    )]
    NotJson {
        /// Which text.
        place: String,
        /// Line in that text, from 1.
        line: usize,
        /// Column in that line, from 1.
        column: usize,
        /// What the parser met.
        reason: String,
    },
    /// A number, a string, `true` or `null` where an event belongs.
    #[error("{place} is {found}, not an event: give an EventBridge event or a GuardDuty finding")]
    NotAnObject {
        /// Where.
        place: String,
        /// What is there, such as `a number`.
        found: &'static str,
    },
    /// Valid JSON, and something else.
    #[error(
        "{place} is neither an EventBridge event nor a GuardDuty finding ({found}): send what GuardDuty wrote, unchanged"
    )]
    NotAnEvent {
        /// Where.
        place: String,
        /// What it is instead, or the keys that it has.
        found: String,
    },
    /// An empty list of findings or records.
    #[error("{place} is an empty list: there is no event in it")]
    EmptyList {
        /// Where.
        place: String,
    },
    /// An envelope that holds nothing.
    #[error("{place} is empty: the event carries nothing, so look at the rule's input settings")]
    EmptyDetail {
        /// Where.
        place: String,
    },
    /// A field that no finding is without.
    #[error("{place} is missing: without it nothing can be done, so send the event whole")]
    Missing {
        /// The field.
        place: String,
    },
    /// A required field whose text cannot be what it must be.
    #[error("{place} is {found}, which is not {expected}: send the event as AWS made it")]
    Unusable {
        /// The field.
        place: String,
        /// Its text, quoted and shortened.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A bucket by a name that S3 does not have. Other buckets of the same finding are still read.
    #[error(
        "{place} is {found}, which is not the name of an S3 bucket: look finding {finding} up in GuardDuty and contain that bucket by hand"
    )]
    Bucket {
        /// The field.
        place: String,
        /// Its text, quoted and shortened.
        found: String,
        /// The finding's id.
        finding: String,
    },
    /// An operator's request that does not exist.
    #[error(
        "{place} {problem}: the requests are {{\"sweep\": {{}}}}, {{\"apply\": {{\"record\": \"…\"}}}} and {{\"rollback\": {{\"record\": \"…\"}}}}"
    )]
    Request {
        /// Where.
        place: String,
        /// What is wrong there, as the rest of a sentence.
        problem: String,
    },
    /// An operator's request that came through a queue or a topic, whose publishers are not its operators.
    #[error(
        "{place} is a request inside a message: requests are only taken from whoever may invoke the function, so invoke it directly"
    )]
    RequestInMessage {
        /// Where.
        place: String,
    },
    /// Wrappings without end.
    #[error("{place} is wrapped {layers} times over: unwrap it and send the event itself")]
    TooDeep {
        /// Where.
        place: String,
        /// How many wrappings are followed.
        layers: usize,
    },
}

/// Untrusted text as a message shows it: quoted, escaped and not longer than a line.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Where in the input something is, as its sender would point at it: `Records[0].Sns.Message.detail.id`.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// `line 3: ` when the input holds several documents, or nothing.
    document: String,
    path: String,
    /// How many wrappings were taken off to get here.
    pub(super) layers: usize,
    /// Whether one of them was a message, which others than operators may publish.
    pub(super) in_message: bool,
}

impl Place {
    pub(super) fn document(document: String) -> Self {
        Self {
            document,
            path: String::new(),
            layers: 0,
            in_message: false,
        }
    }

    /// The member `key` of this object.
    pub(super) fn key(&self, key: &str) -> Self {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Self {
            path,
            ..self.clone()
        }
    }

    /// The text that must be at the member `key`, and be one that `is` says yes to.
    pub(super) fn required(
        &self,
        key: &str,
        value: Option<String>,
        is: fn(&str) -> bool,
        expected: &'static str,
    ) -> Result<String, EventError> {
        let place = || self.key(key).to_string();
        match value {
            None => Err(EventError::Missing { place: place() }),
            Some(text) if is(&text) => Ok(text),
            Some(text) => Err(EventError::Unusable {
                place: place(),
                found: quoted(&text),
                expected,
            }),
        }
    }

    /// The item `index` of this list.
    pub(super) fn index(&self, index: usize) -> Self {
        Self {
            path: format!("{}[{index}]", self.path),
            ..self.clone()
        }
    }

    /// The same place, with one more wrapping taken off.
    pub(super) fn unwrapped(self) -> Self {
        Self {
            layers: self.layers + 1,
            ..self
        }
    }

    /// The same place, known to be the content of a message.
    pub(super) fn message(self) -> Self {
        Self {
            in_message: true,
            ..self.unwrapped()
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = if self.path.is_empty() {
            "the input"
        } else {
            &self.path
        };
        write!(f, "{}{path}", self.document)
    }
}
