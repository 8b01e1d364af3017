//! The Lambda: hands each event to the engine.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    logs::start();
    let function = handler::Function::new().await?;
    lambda_runtime::run(lambda_runtime::service_fn(|event| function.handle(event))).await
}

mod handler;
mod logs;
mod notices;
mod rehearsal;
