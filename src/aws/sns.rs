//! SNS: a notice is published. It comes after everything else, and nothing waits for it long.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_sns::Client;
use aws_sdk_sns::error::BuildError;
use aws_sdk_sns::types::MessageAttributeValue;

use super::AwsError;
use crate::notice::{Attribute, Message};

/// The IAM actions of [`publish`].
pub const WRITES: [&str; 1] = ["sns:Publish"];

/// A notice is said once and not again by anybody, so that it gets one try more than a question does.
const ATTEMPTS: u32 = 3;
const ATTEMPT: Duration = Duration::from_millis(900);
const CONNECT: Duration = Duration::from_millis(500);
const OPERATION: Duration = Duration::from_millis(2500);
/// The SDK's own, up to a second, would leave no time for the last attempt.
const BACKOFF: Duration = Duration::from_millis(100);

/// Publishes to a topic, in the topic's own Region. An answer that was lost makes a second try, and perhaps a second message.
pub async fn publish(config: &SdkConfig, topic: &str, message: &Message) -> Result<(), AwsError> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(ATTEMPT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(BACKOFF);
    let region = topic.split(':').nth(3).unwrap_or_default().to_owned();
    let builder = aws_sdk_sns::config::Builder::from(config)
        .region(Region::new(region))
        .timeout_config(timeouts)
        .retry_config(retries);
    let mut publish = Client::from_conf(builder.build())
        .publish()
        .topic_arn(topic)
        .subject(&message.subject)
        .message(&message.body)
        .message_structure("json");
    for (name, attribute) in &message.attributes {
        // A value without a type is refused by the builder, and ours have one.
        if let Ok(value) = value(attribute) {
            publish = publish.message_attributes(*name, value);
        }
    }
    match publish.send().await {
        Ok(_) => Ok(()),
        Err(error) => Err(AwsError::new("Publish", topic, &error)),
    }
}

fn value(attribute: &Attribute) -> Result<MessageAttributeValue, BuildError> {
    let (kind, text) = match attribute {
        Attribute::Words(words) => ("String.Array", serde_json::json!(words).to_string()),
        Attribute::Number(number) => ("Number", number.to_string()),
    };
    MessageAttributeValue::builder()
        .data_type(kind)
        .string_value(text)
        .build()
}
