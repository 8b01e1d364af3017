//! What the code of a read that failed says about the next one.

/// Codes of a service that is busy, or at work on the very setting.
pub const BUSY: [&str; 7] = [
    "ConditionalRequestConflict",
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottlingException",
];
/// The code of a call that was given up.
pub const TOO_LATE: &str = "no answer in time";
/// The code of a call that reached nobody.
pub const NO_CONNECTION: &str = "no connection";
/// What stands before the status of an answer without a code.
pub const STATUS: &str = "HTTP ";

/// Whether a read that failed with this code may well succeed soon, with nothing changed by anybody. A success that could not
/// be understood is such a failure, too.
pub fn passes(code: &str) -> bool {
    let status = code.strip_prefix(STATUS).and_then(|n| n.parse().ok());
    BUSY.contains(&code)
        || [TOO_LATE, NO_CONNECTION].contains(&code)
        || status.is_some_and(|status: u16| is_busy(status) || (200..=299).contains(&status))
}

/// Whether the status of an answer says that the service is busy.
pub fn is_busy(status: u16) -> bool {
    matches!(status, 409 | 429 | 500 | 502 | 503 | 504)
}
