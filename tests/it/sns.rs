//! The function's notices, from the real binary through SNS to a queue that is subscribed to the topic.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_sqs::types::QueueAttributeName;
use portcullis::deployment::Options;
use serde_json::{Value, json};

use crate::lambda::{POLICY, World};
use crate::notice::assert_is_custom_notification;
use crate::stand_in::{
    ACCOUNT, Proxy, Verdict, client, config, endpoint, stranger_gets, unique_name,
};

#[tokio::test]
async fn a_containment_and_its_rollback_are_told_in_one_thread() {
    let topic = Topic::new("notices-told").await;
    let world = World::with("notices-told", "enforce", &[topic.variable()]).await;
    let answer = world.function.invoke(&world.event());
    let record = answer.response()["records"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        answer.response()["notices"][0]["notice"],
        "sent",
        "{answer:?}"
    );

    let contained = topic.next().await.expect("a notice");
    let chat: Value = serde_json::from_str(contained["Message"].as_str().unwrap()).unwrap();
    assert_is_custom_notification(&chat);
    assert_eq!(
        chat["metadata"]["additionalContext"]["record"],
        record.as_str()
    );
    assert_eq!(
        chat["metadata"]["additionalContext"]["bucket"],
        world.bucket.as_str()
    );
    let steps = chat["content"]["nextSteps"].to_string();
    assert!(
        steps.contains(&format!("portcullis rollback {record}")),
        "{steps}"
    );
    let subject = contained["Subject"].as_str().unwrap();
    assert!(
        subject.starts_with("Portcullis: Contained: bucket "),
        "{subject}"
    );
    let attributes = &contained["MessageAttributes"];
    for (name, kind, value) in [
        ("outcome", "String.Array", r#"["contained"]"#),
        ("mode", "String.Array", r#"["enforce"]"#),
        ("account", "String.Array", r#"["000000000000"]"#),
        ("severity", "Number", "8"),
    ] {
        assert_eq!(
            attributes[name],
            json!({"Type": kind, "Value": value}),
            "{name}"
        );
    }

    // There is nothing left to do, and nothing new to tell.
    let answer = world.function.invoke(&world.event());
    assert_eq!(
        answer.response()["records"][0]["outcome"],
        "already-contained"
    );
    assert_eq!(
        answer.response()["notices"][0]["notice"],
        "sent-before",
        "{answer:?}"
    );

    let rollback = json!({"portcullis": {"rollback": {"record": record}}});
    let answer = world.function.invoke(&rollback);
    assert_eq!(
        answer.response()["notices"][0]["notice"],
        "sent",
        "{answer:?}"
    );
    let undone = topic.next().await.expect("a notice");
    let undone: Value = serde_json::from_str(undone["Message"].as_str().unwrap()).unwrap();
    assert_eq!(undone["metadata"]["eventType"], "ContainmentRolledBack");
    assert_eq!(undone["metadata"]["threadId"], chat["metadata"]["threadId"]);
    assert!(topic.next().await.is_none(), "no third notice");
}

#[tokio::test]
async fn what_lambda_tries_again_is_told_once() {
    let topic = Topic::new("notices-once").await;
    let world = World::with("notices-once", "enforce", &[topic.variable()]).await;
    for expected in ["sent", "sent-before", "sent-before"] {
        world.function.invoke(&json!({"hello": "world"})).error();
        let logs = world.function.logs();
        assert!(
            logs.contains(&format!("\"notice\":\"{expected}\"")),
            "{expected}: {logs}"
        );
    }
    assert!(topic.next().await.is_some());
    assert!(topic.next().await.is_none());

    // A decision that changes nothing, delivered twice.
    let observing = World::with("notices-once", "observe", &[topic.variable()]).await;
    for expected in ["sent", "sent-before"] {
        let answer = observing.function.invoke(&observing.event());
        assert_eq!(answer.response()["records"][0]["outcome"], "withheld");
        assert_eq!(answer.response()["notices"][0]["notice"], expected);
    }
    assert!(topic.next().await.is_some());
    assert!(topic.next().await.is_none());
}

/// The sweep comes every hour; what waits for a person is told once a day.
#[tokio::test]
async fn drift_is_told_in_the_thread_of_its_finding_and_not_every_hour() {
    let topic = Topic::new("notices-drift").await;
    let world = World::with("notices-drift", "enforce", &[topic.variable()]).await;
    world.function.invoke(&world.event());
    let thread = |notice: &Value| {
        let chat: Value = serde_json::from_str(notice["Message"].as_str().unwrap()).unwrap();
        assert_is_custom_notification(&chat);
        chat["metadata"].clone()
    };
    let contained = thread(&topic.next().await.expect("a notice"));
    let client = client(&world.endpoint);
    let deleted = client.delete_public_access_block().bucket(&world.bucket);
    deleted.send().await.unwrap();
    for expected in ["sent", "sent-before"] {
        let answer = world.function.invoke(&json!({"portcullis": {"sweep": {}}}));
        assert_eq!(
            answer.response()["sweep"]["found"][0]["state"],
            "drift",
            "{answer:?}"
        );
        assert_eq!(
            answer.response()["notices"][0]["notice"],
            expected,
            "{answer:?}"
        );
    }
    let drift = thread(&topic.next().await.expect("a notice"));
    assert_eq!(drift["eventType"], "ContainmentDrifted");
    assert_eq!(drift["threadId"], contained["threadId"]);
    assert!(topic.next().await.is_none(), "no third notice");
}

#[tokio::test]
async fn a_rule_that_wants_no_notice_gets_none() {
    let topic = Topic::new("notices-never").await;
    let world = World::with("notices-never", "enforce", &[topic.variable()]).await;
    let public = "when: { finding: [\"Policy:S3/*\"] }";
    let never = POLICY.replace(public, &format!("{public}\n    notify: never"));
    assert_ne!(never, POLICY);
    world.put_policy(&never).await;
    // The function that is running has the policy of before.
    let world = World {
        function: world.restart("enforce", &[topic.variable()]),
        ..world
    };
    let answer = world.function.invoke(&world.event());
    assert_eq!(answer.response()["records"][0]["outcome"], "contained");
    assert!(answer.response().get("notices").is_none(), "{answer:?}");
    assert!(topic.next().await.is_none());
}

/// Containment does not hang on a notice, and neither the answer nor the log keeps it quiet.
#[tokio::test]
async fn a_notice_that_sns_refuses_fails_nothing_and_is_said() {
    let proxy = Proxy::start(&endpoint("ministack"), |_| {
        Verdict::Refuse(403, "AuthorizationError")
    });
    let topic = format!("arn:aws:sns:us-east-1:{ACCOUNT}:refused");
    let variables = [
        ("PORTCULLIS_TOPIC_ARN", &*topic),
        ("AWS_ENDPOINT_URL_SNS", &*proxy.url),
    ];
    let world = World::with("notices-refused", "enforce", &variables).await;
    let answer = world.function.invoke(&world.event());
    assert_eq!(answer.response()["records"][0]["outcome"], "contained");
    let notice = &answer.response()["notices"][0];
    assert_eq!(notice["notice"], "failed", "{notice}");
    let reason = notice["reason"].as_str().unwrap();
    for part in [
        "Publish",
        topic.as_str(),
        "AuthorizationError",
        "check sns:Publish",
    ] {
        assert!(reason.contains(part), "{part} in {reason}");
    }
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        403
    );
    assert!(world.function.logs().contains("\"notice\":\"failed\""));
    // It was not sent, so that no mark may keep the retry from sending it.
    let answer = world.function.invoke(&json!([]));
    let (_, message) = answer.error();
    assert!(
        message.contains("the notice could not be sent: Publish on"),
        "{message}"
    );
    let before = proxy.requests().len();
    world.function.invoke(&json!([]));
    assert!(proxy.requests().len() > before, "the retry tried again");
}

#[tokio::test]
async fn a_topic_that_is_busy_is_asked_again() {
    let topic = Topic::new("notices-busy").await;
    let asked = AtomicUsize::new(0);
    let proxy = Proxy::start(&endpoint("ministack"), move |_| {
        match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Verdict::Refuse(503, "ServiceUnavailable"),
            1 => Verdict::Break,
            _ => Verdict::Pass,
        }
    });
    let variables = [topic.variable(), ("AWS_ENDPOINT_URL_SNS", &*proxy.url)];
    let world = World::with("notices-busy", "enforce", &variables).await;
    let answer = world.function.invoke(&world.event());
    assert_eq!(
        answer.response()["notices"][0]["notice"],
        "sent",
        "{answer:?}"
    );
    assert_eq!(proxy.requests().len(), 3);
    assert!(topic.next().await.is_some());
}

#[test]
fn what_is_no_standard_topic_is_refused_at_the_start() {
    let options = |arn: &str| {
        let variable = |name: &str| match name {
            "PORTCULLIS_TOPIC_ARN" => Some(arn.to_owned()),
            _ => None,
        };
        Options::from_env(variable, Some("records"))
    };
    let good = "arn:aws-us-gov:sns:us-gov-west-1:111122223333:portcullis-Notice_1";
    assert_eq!(options(good).unwrap().topic.as_deref(), Some(good));
    assert_eq!(options(" ").unwrap().topic, None);
    for bad in [
        "portcullis",
        "arn:aws:sqs:us-east-1:111122223333:queue",
        "arn:aws:sns:us-east-1:111122223333:orders.fifo",
        "arn:aws:sns:us-east-1:111122223333:",
        "arn:aws:sns::111122223333:topic",
        "arn:aws:sns:us-east-1:1111:topic",
        "arn:aws:sns:us-east-1:111122223333:topic:subscription",
    ] {
        let error = options(bad).unwrap_err().to_string();
        assert!(error.starts_with("PORTCULLIS_TOPIC_ARN: "), "{error}");
    }
}

/// A topic, and a queue that is subscribed to it.
struct Topic {
    arn: String,
    queue: String,
    sqs: aws_sdk_sqs::Client,
}

impl Topic {
    async fn new(name: &str) -> Self {
        let name = unique_name(name);
        let config = config(&endpoint("ministack"));
        let (sns, sqs) = (
            aws_sdk_sns::Client::new(&config),
            aws_sdk_sqs::Client::new(&config),
        );
        let topic = sns.create_topic().name(&name).send().await.unwrap();
        let arn = topic.topic_arn().unwrap().to_owned();
        let queue_arn = format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{name}");
        let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage", "Resource": queue_arn, "Condition": {"ArnEquals": {"aws:SourceArn": arn}}}]});
        let queue = sqs.create_queue().queue_name(&name);
        let queue = queue.attributes(QueueAttributeName::Policy, policy.to_string());
        let queue = queue.send().await.unwrap().queue_url().unwrap().to_owned();
        let subscribe = sns.subscribe().topic_arn(&arn).protocol("sqs");
        subscribe.endpoint(&queue_arn).send().await.unwrap();
        Self { arn, queue, sqs }
    }

    fn variable(&self) -> (&str, &str) {
        ("PORTCULLIS_TOPIC_ARN", &self.arn)
    }

    /// The next notification as SNS handed it to the queue; none where none comes.
    async fn next(&self) -> Option<Value> {
        let receive = self.sqs.receive_message().queue_url(&self.queue);
        let received = receive.wait_time_seconds(1).send().await.unwrap();
        let message = received.messages().first()?;
        let handle = message.receipt_handle().unwrap();
        let delete = self.sqs.delete_message().queue_url(&self.queue);
        delete.receipt_handle(handle).send().await.unwrap();
        Some(serde_json::from_str(message.body().unwrap()).unwrap())
    }
}
