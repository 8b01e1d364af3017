//! The stand-ins, and a proxy in front of them that counts, delays and breaks what no stand-in breaks.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Credentials, Region, SharedCredentialsProvider};
use aws_sdk_s3::types::{Delete, ObjectIdentifier, PublicAccessBlockConfiguration};

use crate::port::Port;

/// MiniStack's own account: its root user's key is `test`.
pub(crate) const ACCOUNT: &str = "000000000000";

/// The URL of a stand-in that `make test` started.
pub(crate) fn endpoint(stand_in: &str) -> String {
    let path = std::env::var_os("PORTCULLIS_TEST_ENDPOINTS").expect(
        "PORTCULLIS_TEST_ENDPOINTS is not set: run `make test`, which starts the stand-ins",
    );
    let endpoints: BTreeMap<String, String> =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    endpoints
        .get(stand_in)
        .expect("an endpoint of each stand-in")
        .clone()
}

/// A configuration of root's, for an endpoint.
pub(crate) fn config(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "test",
        )))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(endpoint)
        .build()
}

/// The same for other credentials.
pub(crate) fn config_of(endpoint: &str, credentials: Credentials) -> SdkConfig {
    config(endpoint)
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// An S3 client of root's.
pub(crate) fn client(endpoint: &str) -> Client {
    client_of(&config(endpoint))
}

/// An S3 client for a configuration.
pub(crate) fn client_of(config: &SdkConfig) -> Client {
    Client::from_conf(
        aws_sdk_s3::config::Builder::from(config)
            .force_path_style(true)
            .disable_s3_express_session_auth(true)
            .build(),
    )
}

/// A name that no other test of this run or of an earlier one has.
pub(crate) fn unique_name(base: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let time = jiff::Timestamp::now().as_millisecond();
    format!(
        "{base}-{time}-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A bucket with one object, whose policy is `policy` where there is one, and whose four flags are off.
pub(crate) async fn seed_bucket(client: &Client, name: &str, policy: Option<&str>) {
    client.create_bucket().bucket(name).send().await.unwrap();
    let off = PublicAccessBlockConfiguration::builder()
        .block_public_policy(false)
        .build();
    client
        .put_public_access_block()
        .bucket(name)
        .public_access_block_configuration(off)
        .send()
        .await
        .unwrap();
    client
        .put_object()
        .bucket(name)
        .key("report.csv")
        .body(b"a,b\n".to_vec().into())
        .send()
        .await
        .unwrap();
    if let Some(policy) = policy {
        client
            .put_bucket_policy()
            .bucket(name)
            .policy(policy)
            .send()
            .await
            .unwrap();
    }
}

/// Deletes a bucket and what is in it.
pub(crate) async fn delete_bucket(client: &Client, name: &str) {
    let listed = client.list_objects_v2().bucket(name).send().await.unwrap();
    let keys = listed.contents().iter().filter_map(|object| object.key());
    let keys = keys.map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder()
        .set_objects(Some(keys.collect()))
        .build()
        .unwrap();
    client
        .delete_objects()
        .bucket(name)
        .delete(delete)
        .send()
        .await
        .unwrap();
    client.delete_bucket().bucket(name).send().await.unwrap();
}

/// The text of a bucket's policy, or none.
pub(crate) async fn policy_text(client: &Client, name: &str) -> Option<String> {
    let answer = client.get_bucket_policy().bucket(name).send().await.ok()?;
    answer.policy().map(str::to_owned)
}

/// The four flags, or none where there is no configuration.
pub(crate) async fn flags(client: &Client, name: &str) -> Option<[bool; 4]> {
    let answer = client
        .get_public_access_block()
        .bucket(name)
        .send()
        .await
        .ok()?;
    let flags = answer.public_access_block_configuration()?;
    let flag = |flag: Option<bool>| flag.unwrap_or_default();
    Some([
        flag(flags.block_public_acls()),
        flag(flags.ignore_public_acls()),
        flag(flags.block_public_policy()),
        flag(flags.restrict_public_buckets()),
    ])
}

/// The status of an unsigned GET, as a stranger would send it.
pub(crate) fn stranger_gets(endpoint: &str, bucket: &str, key: &str) -> u16 {
    send("GET", &format!("{endpoint}/{bucket}/{key}"), &[], "")
}

/// The status of a request that is sent as it is: what is in its headers, URL and body is all that S3 learns.
pub(crate) fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> u16 {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let mut stream = TcpStream::connect(host).unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers.iter().filter(|(name, _)| *name != "host") {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    write!(stream, "{request}\r\n{body}").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer)
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// What the proxy does with a request.
pub(crate) enum Verdict {
    /// Hand it on.
    Pass,
    /// Answer with this status and S3 error code instead.
    Refuse(u16, &'static str),
    /// Answer this instead.
    Answer(Answer),
    /// Do as S3 in this Region: answer this to what is signed for another one, and hand the rest on.
    NotIn(&'static str, Answer),
    /// Hand it on, and break the connection before the answer is through.
    LoseAnswer,
    /// Break the connection without handing it on.
    Break,
    /// Hand it on, and fall silent in the middle of the answer.
    Stall,
    /// Answer what was answered when this was first asked.
    AsAtFirst,
    /// Hand it on while nobody else holds this.
    Under(Arc<Mutex<()>>),
}

/// An answer that no stand-in gives.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Lines, each with its end.
    pub(crate) headers: String,
    pub(crate) body: String,
}

/// A proxy in front of a stand-in, until it is dropped.
pub(crate) struct Proxy {
    pub(crate) url: String,
    log: Arc<Mutex<Log>>,
    _port: Port,
}

/// What came through, in order. Moments are counted in beginnings and ends.
#[derive(Default)]
struct Log {
    moments: usize,
    requests: Vec<Logged>,
}

/// A request that came through.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    /// `METHOD /path?query`.
    pub(crate) request: String,
    pub(crate) body: Vec<u8>,
    /// The moment at which it came.
    pub(crate) began: usize,
    /// The moment at which its answer was there; none where it is still under way.
    pub(crate) ended: Option<usize>,
    /// What it was answered, though the answer may have been lost; empty where it was not.
    pub(crate) answer: Vec<u8>,
}

impl Log {
    fn begin(&mut self, request: &str, body: &[u8]) -> usize {
        self.moments += 1;
        self.requests.push(Logged {
            request: request.to_owned(),
            body: body.to_vec(),
            began: self.moments,
            ended: None,
            answer: Vec::new(),
        });
        self.moments
    }

    fn end(&mut self, began: usize, answer: &[u8]) {
        self.moments += 1;
        let ended = self.moments;
        let logged = self.requests.iter_mut();
        for logged in logged.filter(|logged| logged.began == began) {
            logged.ended = Some(ended);
            logged.answer = answer.to_vec();
        }
    }
}

impl Proxy {
    /// Starts a proxy that asks `judge` about each request, given as `METHOD /path?query`.
    pub(crate) fn start(
        upstream: &str,
        judge: impl Fn(&str) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let log = Arc::new(Mutex::new(Log::default()));
        let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
        let (judge, kept) = (Arc::new(judge), log.clone());
        let port = Port::open(move |stream| {
            let (judge, kept, upstream) = (judge.clone(), kept.clone(), upstream.clone());
            std::thread::spawn(move || serve(stream, &upstream, &*judge, &kept));
        });
        Self {
            url: format!("http://{}", port.address),
            log,
            _port: port,
        }
    }

    /// The requests so far, in the order in which they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.rounds()
            .into_iter()
            .map(|(request, _)| request)
            .collect()
    }

    /// The requests so far, each with its place in the longest chain of requests of which every one began after the one
    /// before it had ended: what was sent together is of one round.
    pub(crate) fn rounds(&self) -> Vec<(String, usize)> {
        let log = self.log.lock().unwrap();
        let mut rounds: Vec<usize> = Vec::new();
        for logged in &log.requests {
            let earlier = log.requests.iter().zip(&rounds);
            let earlier =
                earlier.filter(|(other, _)| other.ended.is_some_and(|end| end < logged.began));
            rounds.push(1 + earlier.map(|(_, round)| *round).max().unwrap_or(0));
        }
        log.requests
            .iter()
            .map(|logged| logged.request.clone())
            .zip(rounds)
            .collect()
    }

    /// The writes so far: all that is neither GET nor HEAD, nor a question of Macie.
    pub(crate) fn writes(&self) -> Vec<String> {
        let is_read = |request: &String| {
            request.starts_with("GET ")
                || request.starts_with("HEAD ")
                || request.starts_with("POST /datasources/s3")
        };
        self.requests()
            .into_iter()
            .filter(|request| !is_read(request))
            .collect()
    }

    /// The requests so far, with what was in them.
    pub(crate) fn log(&self) -> Vec<Logged> {
        self.log.lock().unwrap().requests.clone()
    }

    /// Forgets the requests so far.
    pub(crate) fn forget(&self) {
        self.log.lock().unwrap().requests.clear();
    }
}

/// One request a connection: the SDK opens another one for the next.
fn serve(mut client: TcpStream, upstream: &str, judge: &dyn Fn(&str) -> Verdict, log: &Mutex<Log>) {
    let Some((head, body)) = read_request(&mut client) else {
        return;
    };
    let line = head.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let request = format!(
        "{} {}",
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default()
    );
    let began = log.lock().unwrap().begin(&request, &body);
    let mut given = Vec::new();
    let answer = match judge(&request) {
        Verdict::Break => None,
        Verdict::Refuse(status, code) => Some(refusal(&request, status, code)),
        Verdict::Answer(answer) => Some(written(&request, &answer)),
        Verdict::NotIn(region, answer) if !head.contains(&format!("/{region}/")) => {
            Some(written(&request, &answer))
        }
        Verdict::AsAtFirst => Some(first_answer(log, &request)),
        Verdict::Pass | Verdict::NotIn(..) => Some(hand_on(upstream, &head, &body)),
        Verdict::LoseAnswer => {
            given = hand_on(upstream, &head, &body);
            None
        }
        Verdict::Under(lock) => {
            let _held = lock.lock().unwrap();
            Some(hand_on(upstream, &head, &body))
        }
        Verdict::Stall => {
            given = hand_on(upstream, &head, &body);
            let _ = client.write_all(&given[..given.len() / 2]);
            // Until whoever asked hangs up.
            let _ = client.read(&mut [0]);
            None
        }
    };
    // Before the answer goes out: whoever has it may already be asking the next thing.
    let whole = answer.as_ref().unwrap_or(&given);
    log.lock().unwrap().end(began, whole);
    let _ = client.write_all(&answer.unwrap_or_default());
}

fn first_answer(log: &Mutex<Log>, request: &str) -> Vec<u8> {
    let log = log.lock().unwrap();
    let mut same = log
        .requests
        .iter()
        .filter(|logged| logged.request == request);
    let answered = same.find(|logged| !logged.answer.is_empty());
    answered
        .map(|logged| logged.answer.clone())
        .unwrap_or_default()
}

fn refusal(request: &str, status: u16, code: &str) -> Vec<u8> {
    let error =
        format!("<Error><Code>{code}</Code><Message>refused by the test's proxy</Message></Error>");
    // s3control and SNS wrap what S3 does not.
    let body = match request.contains(" /v20180820/") || request == "POST /" {
        true => format!("<ErrorResponse>{error}</ErrorResponse>"),
        false => error,
    };
    written(
        request,
        &Answer {
            status,
            headers: String::new(),
            body,
        },
    )
}

fn written(request: &str, answer: &Answer) -> Vec<u8> {
    let Answer {
        status,
        headers,
        body,
    } = answer;
    // What answers a HEAD has no body, whatever would be in it.
    let body = if request.starts_with("HEAD ") {
        ""
    } else {
        body
    };
    let head = format!(
        "HTTP/1.1 {status} Refused\r\nContent-Type: application/xml\r\nConnection: close\r\n{headers}"
    );
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn hand_on(upstream: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let mut server = TcpStream::connect(upstream).unwrap();
    // The answer then ends where the connection does, and needs no reading here.
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(head.as_bytes()).unwrap();
    server.write_all(body).unwrap();
    let mut answer = Vec::new();
    let _ = server.read_to_end(&mut answer);
    answer
}

fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16_384];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let lower = head.to_ascii_lowercase();
    assert!(
        !lower.contains("transfer-encoding"),
        "the proxy knows no chunked requests"
    );
    let length = lower.lines().find_map(|line| {
        line.strip_prefix("content-length:")?
            .trim()
            .parse::<usize>()
            .ok()
    });
    if lower.contains("expect: 100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let mut body = bytes.split_off(end);
    while body.len() < length.unwrap_or(0) {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(count) => body.extend_from_slice(&chunk[..count]),
        }
    }
    let head = head
        .replace("Expect: 100-continue\r\n", "")
        .replace("expect: 100-continue\r\n", "");
    Some((head, body))
}
