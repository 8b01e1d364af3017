//! Objects below a prefix of a bucket, such as an export of findings: listed page by page, and read as they come in.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;

use super::{AwsError, store_client};

/// What is below a prefix.
#[derive(Debug)]
pub struct Objects {
    client: Client,
    bucket: String,
    prefix: String,
}

/// One of the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}

/// The content of an object, as it comes in.
#[derive(Debug)]
pub struct Content(ByteStream);

impl Objects {
    /// Takes the bucket and the prefix as they are; makes no call.
    pub fn new(config: &SdkConfig, bucket: &str, prefix: &str) -> Self {
        Self {
            client: store_client(config),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    /// The next objects in the order of their keys, after one of them; none at the end.
    pub async fn after(&self, key: Option<&str>) -> Result<Vec<Listed>, AwsError> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(&self.prefix)
            .set_start_after(key.map(str::to_owned));
        let page = request
            .send()
            .await
            .map_err(|error| AwsError::new("ListObjectsV2", &self.place(&self.prefix), &error))?;
        let listed = page.contents().iter().filter_map(|object| {
            Some(Listed {
                key: object.key()?.to_owned(),
                size: object.size().and_then(|size| size.try_into().ok())?,
            })
        });
        Ok(listed.collect())
    }

    /// Begins to read an object.
    pub async fn open(&self, key: &str) -> Result<Content, AwsError> {
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        let answer = request.send().await;
        let answer =
            answer.map_err(|error| AwsError::new("GetObject", &self.place(key), &error))?;
        Ok(Content(answer.body))
    }

    /// `s3://bucket/key`.
    pub fn place(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}

impl Content {
    /// The next bytes; none at the end, words where the connection broke.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, String>> {
        let next = self.0.next().await?;
        Some(match next {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(error) => Err(error.to_string()),
        })
    }
}
