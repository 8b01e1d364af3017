//! Questions beside the way: a containment asks them, and does not wait long for the answer.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;

/// What one question may take, with all the calls that it needs.
pub(super) const BUDGET: Duration = Duration::from_millis(1500);
const ATTEMPT: Duration = Duration::from_millis(900);
const CONNECT: Duration = Duration::from_millis(500);
/// The SDK's own, up to a second, would use up what is left after a throttled attempt.
const BACKOFF: Duration = Duration::from_millis(100);

/// The configuration with one retry, and no patience.
pub(super) fn config(config: &SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(ATTEMPT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(BUDGET)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(2)
        .with_initial_backoff(BACKOFF);
    config
        .clone()
        .into_builder()
        .timeout_config(timeouts)
        .retry_config(retries)
        .build()
}
