//! The real Lambda binary, driven through the Runtime API as Lambda drives it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::port::Port;
use crate::stand_in::{
    ACCOUNT, client, endpoint, policy_text, seed_bucket, stranger_gets, unique_name,
};

#[tokio::test]
async fn a_finding_is_contained_and_a_request_rolls_it_back() {
    let world = World::new("lambda", "enforce").await;
    let before = policy_text(&client(&world.endpoint), &world.bucket)
        .await
        .unwrap();
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        200
    );

    let answer = world.function.invoke(&world.event());
    let record = answer.response()["records"][0].clone();
    assert_eq!(record["outcome"], "contained", "{record:#}");
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        403
    );

    let answer = world.function.invoke(&world.event());
    assert_eq!(
        answer.response()["records"][0]["outcome"],
        "already-contained"
    );

    let sweep = json!({"portcullis": {"sweep": {}}});
    let swept = world.function.invoke(&sweep).response()["sweep"].clone();
    assert_eq!(
        (&swept["standing"], &swept["found"]),
        (&json!(1), &json!([]))
    );

    let answer = world.function.invoke(
        &json!({"portcullis": {"rollback": {"record": record["id"], "by": "jane@example.com"}}}),
    );
    let undo = &answer.response()["records"][0];
    assert_eq!(undo["outcome"], "rolled-back", "{answer:?}");
    // Who asked is on the record: the request's word for it, and the invocation, of which CloudTrail can be asked.
    assert_eq!(
        world.stored(undo["id"].as_str().unwrap()).await["asked-by"],
        "direct invocation 8476a536-e9f4-11e8-9739-2dfe598c3fcd, said to be by jane@example.com"
    );
    let swept = world.function.invoke(&sweep).response()["sweep"].clone();
    assert_eq!(swept["standing"], 0, "{swept:#}");
    assert_eq!(
        policy_text(&client(&world.endpoint), &world.bucket)
            .await
            .unwrap(),
        before
    );
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        200
    );
}

#[tokio::test]
async fn observe_mode_changes_nothing_and_says_so() {
    let world = World::new("lambda-observe", "observe").await;
    let answer = world.function.invoke(&world.event());
    let record = &answer.response()["records"][0];
    assert_eq!(record["outcome"], "withheld", "{record:#}");
    assert_eq!(
        record["withheld"],
        json!([
            "remove-public-grants: observe-mode",
            "block-public-access: observe-mode"
        ])
    );
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        200
    );

    let id = record["id"].clone();
    let answer = world
        .function
        .invoke(&json!({"portcullis": {"rollback": {"record": id}}}));
    let (kind, message) = answer.error();
    assert_eq!(kind, "ObserveMode");
    assert!(message.contains("Mode=enforce"), "{message}");
}

#[tokio::test]
async fn what_is_no_event_fails_the_invocation_and_the_function_goes_on() {
    let world = World::new("lambda-strange", "enforce").await;
    for (event, expected) in [
        (
            json!({"detail-type": "GuardDuty Finding", "source": "aws.guardduty", "detail": {}}),
            "detail",
        ),
        (json!({"hello": "world"}), "neither"),
        (json!([]), "empty"),
        (json!({"portcullis": {"explode": {}}}), "rollback"),
        (
            json!({"portcullis": {"rollback": {"record": "r-none"}}}),
            "r-none",
        ),
        (
            json!({"portcullis": {"rollback": {"record": "../policy"}}}),
            "../policy",
        ),
    ] {
        let answer = world.function.invoke(&event);
        let (_, message) = answer.error();
        assert!(message.contains(expected), "{event}: {message}");
    }
    let ignored = json!({"detail-type": "GuardDuty Malware Protection Object Scan Result", "source": "aws.guardduty", "detail": {"scanStatus": "COMPLETED"}});
    let answer = world.function.invoke(&ignored);
    assert_eq!(answer.response()["records"], json!([]));
    assert_eq!(answer.response()["ignored"].as_array().unwrap().len(), 1);
    assert_eq!(
        world.function.invoke(&world.event()).response()["records"][0]["outcome"],
        "contained"
    );
}

#[tokio::test]
async fn an_invalid_policy_never_takes_effect_and_the_last_valid_one_serves() {
    let world = World::new("lambda-policy", "enforce").await;
    // The function has its first policy by the time it answers at all.
    world.function.invoke(&json!({"detail-type": "GuardDuty Runtime Protection Healthy", "source": "aws.guardduty", "detail": {"a": 1}}));
    tokio::time::sleep(Duration::from_secs(6)).await;
    world.put_policy("version: 1\nmode: enforce\n").await;
    let answer = world.function.invoke(&world.event());
    assert_eq!(
        answer.response()["records"][0]["outcome"],
        "contained",
        "the policy before still serves"
    );
    assert!(
        world
            .function
            .logs()
            .contains("the policy file is not valid and does not take effect")
    );

    // A function that has seen no valid policy has the built-in one, which only observes.
    let fresh = World {
        function: Function::start(&world.endpoint, &world.store, "enforce", &[]),
        ..world
    };
    let answer = fresh.function.invoke(&fresh.event());
    assert_eq!(answer.response()["records"][0]["mode"], "observe");
}

#[tokio::test]
async fn a_new_policy_serves_the_next_event_and_the_old_one_writes_nothing_more() {
    let world = World::new("lambda-new-policy", "enforce").await;
    let healthy = json!({"detail-type": "GuardDuty Runtime Protection Healthy", "source": "aws.guardduty", "detail": {"a": 1}});
    world.function.invoke(&healthy);
    // Longer than what initialization fetched counts as fresh.
    tokio::time::sleep(Duration::from_secs(6)).await;
    world
        .put_policy(&POLICY.replace("mode: enforce", "mode: observe"))
        .await;
    let answer = world.function.invoke(&world.event());
    assert_eq!(
        answer.response()["records"][0]["outcome"],
        "withheld",
        "{answer:?}"
    );
    assert_eq!(
        stranger_gets(&world.endpoint, &world.bucket, "report.csv"),
        200
    );

    tokio::time::sleep(Duration::from_secs(6)).await;
    world.put_policy(POLICY).await;
    let answer = world.function.invoke(&world.event());
    assert_eq!(
        answer.response()["records"][0]["outcome"],
        "contained",
        "{answer:?}"
    );
}

#[tokio::test]
async fn each_target_has_one_line_in_the_log_that_tells_it_all() {
    let world = World::new("lambda-log", "enforce").await;
    world.function.invoke(&world.event());
    let logs = world.function.logs();
    let lines: Vec<Value> = logs
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let decisions: Vec<&Value> = lines
        .iter()
        .filter(|line| line["message"] == "decision")
        .collect();
    assert_eq!(decisions.len(), 1, "{logs}");
    for (key, expected) in [
        ("bucket", world.bucket.as_str()),
        ("outcome", "contained"),
        ("rule", "public"),
        ("mode", "enforce"),
        ("finding_type", "Policy:S3/BucketAnonymousAccessGranted"),
        ("taken", "remove-public-grants,block-public-access"),
    ] {
        assert_eq!(decisions[0][key], expected, "{key} of {}", decisions[0]);
    }
    assert!(
        !logs.contains("\"Principal\"") && !logs.contains("Statement"),
        "no policy in the log: {logs}"
    );
}

/// What somebody can name or say never makes a line of its own in the log, and nothing in it that a reader does not see.
#[tokio::test]
async fn hostile_strings_stay_on_their_line_of_the_log() {
    let world = World::new("lambda-hostile", "enforce").await;
    let hostile = "\n{\"message\":\"decision\",\"outcome\":\"contained\"}\r\u{1b}[2J\u{202e}detsurt\u{2066}\u{200b}\u{7f}\u{85}\u{2028}";
    let mut event = world.event();
    event["detail"]["type"] = format!("Policy:S3/{hostile}").into();
    event["detail"]["title"] = hostile.into();
    event["detail"]["service"]["action"]["awsApiCallAction"]["userAgent"] = hostile.into();
    world.function.invoke(&event);
    // What is refused is told, with what was refused.
    event["detail"]["accountId"] = hostile.into();
    world.function.invoke(&event).error();
    world
        .function
        .invoke(&json!({"portcullis": {"rollback": {"record": hostile}}}))
        .error();
    let logs = world.function.logs();
    let lines = logs
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let decisions = lines.iter().filter(|line| line["message"] == "decision");
    let types: Vec<&Value> = decisions.map(|line| &line["finding_type"]).collect();
    assert_eq!(types[0], &format!("Policy:S3/{hostile}"), "{logs}");
    assert_eq!(types.len(), 3, "{logs}");
    let unseen = |c: &char| {
        *c != '\n' && (c.is_control() || "\u{202e}\u{2066}\u{200b}\u{2028}".contains(*c))
    };
    assert_eq!(logs.chars().find(unseen), None, "{logs}");
}

pub(crate) const POLICY: &str = r#"
version: 1
mode: enforce
break-glass: ["arn:aws:iam::*:role/SecurityBreakGlass"]
rules:
  - id: public
    when: { finding: ["Policy:S3/*"] }
    measures: [remove-public-grants, block-public-access]
  - id: everything-else
    measures: []
"#;

/// A public bucket, a store bucket with a policy file, and the function.
pub(crate) struct World {
    pub(crate) endpoint: String,
    pub(crate) bucket: String,
    pub(crate) store: String,
    pub(crate) function: Function,
}

impl World {
    pub(crate) async fn new(name: &str, mode: &str) -> Self {
        Self::with(name, mode, &[]).await
    }

    /// With more variables in the function's environment.
    pub(crate) async fn with(name: &str, mode: &str, variables: &[(&str, &str)]) -> Self {
        let endpoint = endpoint("ministack");
        let client = client(&endpoint);
        let bucket = unique_name(&format!("portcullis-{name}"));
        let policy = json!({"Version": "2012-10-17", "Statement": [{"Sid": "World", "Effect": "Allow", "Principal": "*",
            "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/*")}]});
        seed_bucket(&client, &bucket, Some(&policy.to_string())).await;
        let store = format!("{bucket}-store");
        client.create_bucket().bucket(&store).send().await.unwrap();
        put_policy(&endpoint, &store, POLICY).await;
        Self {
            function: Function::start(&endpoint, &store, mode, variables),
            endpoint,
            bucket,
            store,
        }
    }

    /// Another function of the same store, which has seen no policy yet.
    pub(crate) fn restart(&self, mode: &str, variables: &[(&str, &str)]) -> Function {
        Function::start(&self.endpoint, &self.store, mode, variables)
    }

    pub(crate) async fn put_policy(&self, text: &str) {
        put_policy(&self.endpoint, &self.store, text).await;
    }

    async fn stored(&self, id: &str) -> Value {
        let get = client(&self.endpoint).get_object().bucket(&self.store);
        let object = get.key(format!("records/{id}.json")).send().await.unwrap();
        let bytes = object.body.collect().await.unwrap().to_vec();
        serde_json::from_slice(&bytes).unwrap()
    }

    pub(crate) fn event(&self) -> Value {
        let mut event: Value =
            serde_json::from_slice(include_bytes!("../../events/anonymous-access-granted.json"))
                .unwrap();
        let detail = &mut event["detail"];
        detail["accountId"] = ACCOUNT.into();
        detail["region"] = "us-east-1".into();
        let bucket = &mut detail["resource"]["s3BucketDetails"][0];
        bucket["name"] = self.bucket.as_str().into();
        bucket["arn"] = format!("arn:aws:s3:::{}", self.bucket).into();
        event
    }
}

pub(crate) async fn put_policy(endpoint: &str, store: &str, text: &str) {
    let put = client(endpoint)
        .put_object()
        .bucket(store)
        .key("policy.yaml");
    put.body(text.as_bytes().to_vec().into())
        .send()
        .await
        .unwrap();
}

/// A running function, and the Runtime API that it polls.
pub(crate) struct Function {
    process: Process,
    events: Sender<(String, Duration)>,
    answers: Receiver<Answer>,
    logs: Receiver<String>,
    _runtime: Port,
}

/// The process of a function, which whoever has a clone of it may kill.
#[derive(Clone)]
pub(crate) struct Process(Arc<Mutex<Child>>);

impl Process {
    /// Ends the process at once, wherever it is.
    pub(crate) fn kill(&self) {
        let mut process = self.0.lock().unwrap();
        let _ = process.kill();
        let _ = process.wait();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.lock().unwrap().try_wait().unwrap().is_some()
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    path: String,
    body: Value,
}

impl Answer {
    /// Whether the invocation succeeded, so that Lambda does not deliver the event again.
    pub(crate) fn is_success(&self) -> bool {
        self.path.ends_with("/response")
    }

    #[track_caller]
    pub(crate) fn response(&self) -> &Value {
        assert!(self.path.ends_with("/response"), "{self:?}");
        assert_eq!(self.body["version"], 1);
        &self.body
    }

    #[track_caller]
    pub(crate) fn error(&self) -> (&str, &str) {
        assert!(self.path.ends_with("/error"), "{self:?}");
        (
            self.body["errorType"].as_str().unwrap(),
            self.body["errorMessage"].as_str().unwrap(),
        )
    }
}

impl Function {
    pub(crate) fn start(
        endpoint: &str,
        store: &str,
        mode: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let (events, waiting) = channel();
        let (answered, answers) = channel::<Answer>();
        let runtime = Port::open(move |stream| serve(stream, &waiting, &answered));
        let address = runtime.address.to_string();
        let mut process = Command::new(env!("CARGO_BIN_EXE_portcullis-lambda"))
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "portcullis"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "portcullis"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "1"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_ENDPOINT_URL", endpoint),
                ("PORTCULLIS_MODE", mode),
                // MiniStack knows nothing of GuardDuty; what is asked of it is tested with a stand-in that does.
                ("PORTCULLIS_DETECTOR_ID", "none"),
                ("PORTCULLIS_STORE", &format!("s3://{store}")),
                (
                    "PORTCULLIS_ROLE_ARN",
                    &format!("arn:aws:iam::{ACCOUNT}:role/portcullis"),
                ),
            ])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (written, logs) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = written.send(line);
            }
        });
        Self {
            process: Process(Arc::new(Mutex::new(process))),
            events,
            answers,
            logs,
            _runtime: runtime,
        }
    }

    pub(crate) fn process(&self) -> Process {
        self.process.clone()
    }

    pub(crate) fn invoke(&self, event: &Value) -> Answer {
        let answer = self.invoke_within(event, Duration::from_secs(60));
        answer.expect("an answer")
    }

    /// The answer; none where the process ended before it, or was ended because its time was up, as Lambda does.
    pub(crate) fn invoke_within(&self, event: &Value, time: Duration) -> Option<Answer> {
        let begun = Instant::now();
        self.events.send((event.to_string(), time)).unwrap();
        loop {
            match self.answers.recv_timeout(Duration::from_millis(20)) {
                Ok(answer) => return Some(answer),
                Err(_) if self.process.has_ended() => return None,
                Err(_) if begun.elapsed() > time => self.process.kill(),
                Err(_) => {}
            }
        }
    }

    /// What it has logged since this was last asked.
    pub(crate) fn logs(&self) -> String {
        // The log is written before the answer, and read by another thread.
        std::thread::sleep(Duration::from_millis(200));
        self.logs.try_iter().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// The Runtime API: `next` waits for an event, anything else is an answer to the last one.
fn serve(stream: TcpStream, events: &Receiver<(String, Duration)>, answers: &Sender<Answer>) {
    let mut reader = BufReader::new(stream);
    while let Some((path, body)) = read_request(&mut reader) {
        let (head, body) = match path.ends_with("/invocation/next") {
            true => {
                let Ok((event, time)) = events.recv() else {
                    return;
                };
                let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + time;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
                     Lambda-Runtime-Deadline-Ms: {}\r\nLambda-Runtime-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793\r\n\
                     Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:{ACCOUNT}:function:portcullis\r\n",
                    deadline.as_millis()
                );
                (head, event)
            }
            false => {
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let _ = answers.send(Answer { path, body });
                (
                    "HTTP/1.1 202 Accepted\r\n".to_owned(),
                    r#"{"status":"OK"}"#.to_owned(),
                )
            }
        };
        let answer = format!(
            "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|count| *count > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut chunked) = (0, false);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let lower = line.trim().to_ascii_lowercase();
        if lower.is_empty() {
            break;
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        chunked |= lower.starts_with("transfer-encoding:") && lower.contains("chunked");
    }
    let mut body = vec![0; length];
    if !chunked {
        reader.read_exact(&mut body).ok()?;
        return Some((path, body));
    }
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some((path, body));
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
