//! A client made by hand: sockets of the standard library, the same TLS as the program has, a signature, and nothing that is
//! not needed for setting the four flags of one bucket.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;

use jiff::Timestamp;
use ring::{digest, hmac};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const FLAGS: &str = "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
    <BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
    <BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>\
    </PublicAccessBlockConfiguration>";
const SIGNED_HEADERS: &str = "host;x-amz-content-sha256;x-amz-date";

pub(crate) fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}").into())
}

/// Trusts the roots of a PEM file.
pub(crate) fn trust(roots: &str) -> Result<ClientConfig> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(CertificateDer::pem_file_iter(roots)?.flatten());
    let provider = Arc::new(crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth())
}

/// PutPublicAccessBlock on the bucket of a classic finding.
pub(crate) fn contain(event: &[u8], tls: &Arc<ClientConfig>) -> Result<()> {
    let event: serde_json::Value = serde_json::from_slice(event)?;
    let bucket = event["detail"]["resource"]["s3BucketDetails"][0]["name"]
        .as_str()
        .ok_or("no bucket")?;
    let endpoint = variable("AWS_ENDPOINT_URL")?;
    let host = endpoint.strip_prefix("https://").ok_or("not https")?;
    let name = ServerName::try_from(host.split(':').next().unwrap_or(host))?.to_owned();
    let socket = TcpStream::connect(host)?;
    socket.set_nodelay(true)?;
    let stream = StreamOwned::new(ClientConnection::new(tls.clone(), name)?, socket);
    let mut stream = BufReader::new(stream);
    let request = signed(host, bucket)?;
    stream.get_mut().write_all(request.as_bytes())?;
    let answer = Answer::read(&mut stream)?;
    match answer.status.as_str() {
        "200" => Ok(()),
        status => Err(format!("PutPublicAccessBlock answered {status}").into()),
    }
}

fn signed(host: &str, bucket: &str) -> Result<String> {
    let region = variable("AWS_REGION")?;
    let key = variable("AWS_ACCESS_KEY_ID")?;
    let secret = variable("AWS_SECRET_ACCESS_KEY")?;
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = &time[..8];
    let scope = format!("{day}/{region}/s3/aws4_request");
    let hash = sha256(FLAGS.as_bytes());
    let canonical = format!(
        "PUT\n/{bucket}\npublicAccessBlock=\nhost:{host}\nx-amz-content-sha256:{hash}\nx-amz-date:{time}\n\n{SIGNED_HEADERS}\n{hash}"
    );
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        sha256(canonical.as_bytes())
    );
    let parts = [day, &region, "s3", "aws4_request", &text];
    let first = format!("AWS4{secret}").into_bytes();
    let signature = parts.iter().fold(first, |key, part| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        hmac::sign(&key, part.as_bytes()).as_ref().to_vec()
    });
    Ok(format!(
        "PUT /{bucket}?publicAccessBlock HTTP/1.1\r\nhost: {host}\r\nx-amz-content-sha256: {hash}\r\nx-amz-date: {time}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={SIGNED_HEADERS}, Signature={}\r\n\
         content-length: {}\r\n\r\n{FLAGS}",
        hex(&signature),
        FLAGS.len()
    ))
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An HTTP answer with a content-length, which both servers of the bench always send.
pub(crate) struct Answer {
    status: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn read(stream: &mut impl BufRead) -> Result<Self> {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).ok_or("no answer")?.to_owned();
        let mut headers = Vec::new();
        loop {
            line.clear();
            stream.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => {
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                None => break,
            }
        }
        let mut answer = Self {
            status,
            headers,
            body: Vec::new(),
        };
        let length = answer
            .header("content-length")
            .ok_or("no length")?
            .parse::<usize>()?;
        answer.body = vec![0; length];
        stream.read_exact(&mut answer.body)?;
        Ok(answer)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}
