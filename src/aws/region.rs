//! Where a bucket is that a setting is to name.

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
    let answer = aws.s3(place).await.head_bucket().bucket(name).send().await;
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

fn named(response: &HttpResponse) -> Option<String> {
    response.headers().get(HEADER).map(str::to_owned)
}
