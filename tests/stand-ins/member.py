"""Makes the role of a member account that an administrator's account may assume, in MiniStack.

    member.py ENDPOINT ACCOUNT TRUSTED-ACCOUNT NAME
"""

import json
import sys

import boto3


def main(endpoint: str, account: str, trusted: str, name: str) -> None:
    # In MiniStack a key that is an account id is the root user of that account.
    iam = boto3.client(
        "iam",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=account,
        aws_secret_access_key="test",
    )
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{trusted}:root"}}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)


if __name__ == "__main__":
    main(*sys.argv[1:])
