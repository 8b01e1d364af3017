//! Where a bucket is.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{Aws, AwsError, Meaning, Place};

const HEADER: &str = "x-amz-bucket-region";

/// The Region of the bucket `name`, asked as the owner of `place`. S3 says it even to who may not see the bucket, so that
/// nothing need be permitted for this.
pub async fn bucket_region(aws: &Aws, place: &Place, name: &str) -> Result<String, AwsError> {
    let resource = format!("bucket {name}");
    let unsaid = |code: &str| AwsError {
        operation: "HeadBucket",
        resource: resource.clone(),
        code: code.to_owned(),
        message: Some("the answer names no Region".to_owned()),
        meaning: Meaning::Other,
    };
    let answer = aws.s3(place).head_bucket().bucket(name).send().await;
    match answer {
        Ok(answer) => answer
            .bucket_region()
            .map(str::to_owned)
            .ok_or_else(|| unsaid("no Region")),
        Err(error) => {
            let response = error.raw_response();
            let gone = response.is_some_and(|response| response.status().as_u16() == 404);
            match response.and_then(named).filter(|_| !gone) {
                Some(region) => Ok(region),
                None => Err(AwsError::new("HeadBucket", &resource, &error)),
            }
        }
    }
}

/// The Region that an answer of S3 names. Of a signature for another Region S3 may say so in the body alone.
pub(super) fn named(response: &HttpResponse) -> Option<String> {
    let header = response.headers().get(HEADER).map(str::to_owned);
    let is_region = |text: &String| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    header.or_else(|| in_body(response)).filter(is_region)
}

fn in_body(response: &HttpResponse) -> Option<String> {
    let body = std::str::from_utf8(response.body().bytes()?).ok()?;
    let document = roxmltree::Document::parse(body).ok()?;
    let error = document
        .root_element()
        .children()
        .find(|node| node.has_tag_name("Region"))?;
    error.text().map(str::to_owned)
}
