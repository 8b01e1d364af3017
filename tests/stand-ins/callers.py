"""Makes callers in MiniStack, and prints what a test needs to sign as them.

    callers.py ENDPOINT NAME

Creates, in MiniStack's own account, the roles NAME-actor and NAME-app, and NAME/SecurityBreakGlass under a path, each
with s3:* by its own policy; and in account 222222222222 the role NAME-partner. Prints a JSON object: for each caller the
credentials of a session, its aws:userid, and its account. The actor has two sessions, actor and actor-again.
"""

import json
import sys
from typing import Any

import boto3

HOME = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
PARTNER = {"aws_access_key_id": "222222222222", "aws_secret_access_key": "test"}


def main(endpoint: str, name: str) -> None:
    actor = role(endpoint, HOME, "000000000000", "/", f"{name}-actor")
    callers = {
        "actor": session(endpoint, HOME, actor, "mallory"),
        "actor-again": session(endpoint, HOME, actor, "nightly"),
        "app": session(endpoint, HOME, role(endpoint, HOME, "000000000000", "/", f"{name}-app"), "i-0abc"),
        "break-glass": session(
            endpoint, HOME, role(endpoint, HOME, "000000000000", f"/{name}/", f"{name}-SecurityBreakGlass"), "on-call"
        ),
        "partner": session(
            endpoint, PARTNER, role(endpoint, PARTNER, "222222222222", "/", f"{name}-partner"), "reader"
        ),
    }
    print(json.dumps(callers))


def role(endpoint: str, root: dict[str, str], account: str, path: str, name: str) -> str:
    """A role that may do anything in S3 and that its account's root may assume; its ARN."""
    iam = client("iam", endpoint, root)
    trust = allow("sts:AssumeRole", Principal={"AWS": f"arn:aws:iam::{account}:root"})
    iam.create_role(Path=path, RoleName=name, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName=name, PolicyName="s3", PolicyDocument=allow("s3:*", Resource="*"))
    return f"arn:aws:iam::{account}:role{path}{name}"


def session(endpoint: str, root: dict[str, str], arn: str, name: str) -> dict[str, str]:
    answer = client("sts", endpoint, root).assume_role(RoleArn=arn, RoleSessionName=name)
    credentials = answer["Credentials"]
    return {
        "key": credentials["AccessKeyId"],
        "secret": credentials["SecretAccessKey"],
        "token": credentials["SessionToken"],
        "userid": answer["AssumedRoleUser"]["AssumedRoleId"],
        "account": arn.split(":")[4],
    }


def client(service: str, endpoint: str, root: dict[str, str]) -> Any:
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", **root)


def allow(action: str, **element: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, **element}]})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
