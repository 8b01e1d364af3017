"""What AWS's own sample does, as most teams write it: Python and boto3, the four flags of one bucket.

The loop stands for Lambda's Python runtime, which does more than this.
"""

import http.client
import json
import os
from typing import Any

import boto3

s3 = boto3.client("s3")


def handler(event: dict[str, Any]) -> dict[str, Any]:
    bucket = event["detail"]["resource"]["s3BucketDetails"][0]["name"]
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    return {"version": 1}


def main() -> None:
    runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        runtime.request("GET", "/2018-06-01/runtime/invocation/next")
        next_event = runtime.getresponse()
        event = json.loads(next_event.read())
        answer = json.dumps(handler(event))
        request_id = next_event.headers["Lambda-Runtime-Aws-Request-Id"]
        runtime.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", answer)
        runtime.getresponse().read()


if __name__ == "__main__":
    main()
