//! The floor's client within a function of `lambda_runtime`: what is over the floor here is the runtime's, and not the SDK's.

use std::sync::Arc;

use client::{contain, trust, variable};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use rustls::ClientConfig;
use serde_json::value::RawValue;
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let tls = Arc::new(trust(&variable("SSL_CERT_FILE")?)?);
    run(service_fn(|event| answer(event, &tls))).await
}

/// Blocks the runtime, which has nothing else to do.
async fn answer(
    event: LambdaEvent<Box<RawValue>>,
    tls: &Arc<ClientConfig>,
) -> Result<Value, Error> {
    contain(event.payload.get().as_bytes(), tls)?;
    Ok(json!({"version": 1}))
}

mod client;
