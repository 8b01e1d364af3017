//! The Lambda: hands each event to the engine.

use std::pin::pin;

use futures_util::future::{Either, select};
use lambda_runtime::service_fn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    logs::start();
    let function = handler::Function::new().await?;
    let events = lambda_runtime::run(service_fn(|event| function.handle(event)));
    match select(pin!(events), pin!(function.get_ready())).await {
        Either::Left((ended, _)) => ended,
        Either::Right(((), events)) => events.await,
    }
}

mod handler;
mod logs;
mod notices;
mod rehearsal;
