//! The body of an answer as it came, beside what the SDK makes of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;

/// Keeps the answer of the attempt that counts, also where the SDK cannot read it.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    headers: &'static [&'static str],
    answer: Arc<Mutex<Option<Answer>>>,
}

/// What came in.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// The headers that were asked for, as far as they were there.
    pub(super) headers: BTreeMap<String, String>,
}

impl Kept {
    /// Keeps some of the headers too.
    pub(super) fn with_headers(headers: &'static [&'static str]) -> Self {
        Self {
            headers,
            answer: Arc::default(),
        }
    }

    /// The answer, once.
    pub(super) fn take(&self) -> Option<Answer> {
        self.answer.lock().ok()?.take()
    }
}

impl Intercept for Kept {
    fn name(&self) -> &'static str {
        "KeepTheBody"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let header = |name: &&str| {
            let value = response.headers().get(*name)?;
            Some(((*name).to_owned(), value.to_owned()))
        };
        if let (Some(body), Ok(mut kept)) = (response.body().bytes(), self.answer.lock()) {
            *kept = Some(Answer {
                body: body.to_vec(),
                headers: self.headers.iter().filter_map(header).collect(),
            });
        }
        Ok(())
    }
}
