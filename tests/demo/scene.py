"""Who and what is in the demo: a bucket, the people who read it, and how it came to be public."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# MiniStack's own account, and its root user's key.
ACCOUNT = "000000000000"
ROOT = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
REGION = "us-east-1"
KEY = "report-2026-09.csv"

PARTNER_STATEMENT = (
    '{"Sid": "Partner reads", "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::222222222222:root"]}, '
    '"Action": "s3:GetObject", "Resource": ["arn:aws:s3:::BUCKET/*"]}'
)
PUBLIC_STATEMENT = (
    '{"Sid":"oops","Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":"arn:aws:s3:::BUCKET/*"}'
)
# Unevenly written, as people's policies are: the demo compares it byte for byte in the end.
POLICY = f'{{"Version": "2012-10-17",\n "Statement": [{PARTNER_STATEMENT},\n  {PUBLIC_STATEMENT}]}}'


class Aws:
    """Clients of the stand-in."""

    def __init__(self, endpoint: str, region: str = REGION) -> None:
        self.endpoint = endpoint
        self.region = region

    def client(self, service: str, credentials: dict[str, str] = ROOT) -> Any:
        # The demo counts single answers; botocore would hide some behind a retry.
        config = Config(
            retries={"total_max_attempts": 1},
            connect_timeout=5,
            read_timeout=90,
            s3={"addressing_style": "path"},
        )
        return boto3.client(service, endpoint_url=self.endpoint, region_name=self.region, config=config, **credentials)


@dataclass(frozen=True)
class Session:
    """A session of a role: what CloudTrail, and so GuardDuty, knows of a caller."""

    role: str
    principal_id: str
    credentials: dict[str, str]

    @property
    def access_key_id(self) -> str:
        return self.credentials["aws_access_key_id"]


@dataclass(frozen=True)
class BucketState:
    """What containment may change of a bucket, raw. None stands for what is not configured."""

    policy: str | None
    public_access_block: dict[str, bool] | None


class Scene:
    """The bucket, and the three roles that may read its object by their own IAM policies."""

    def __init__(self, aws: Aws, bucket: str) -> None:
        self.aws = aws
        self.bucket = bucket
        s3 = aws.client("s3")
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"order,amount\n1,99\n")
        self.application = self._session("/apps/", "order-service", "i-0abc", ["s3:GetObject"])
        self.break_glass = self._session("/security/", "SecurityBreakGlass", "on-call", ["s3:*"])
        self.actor = self._session(
            "/analytics/",
            "reporting",
            "ana.carolina",
            ["s3:GetObject", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock"],
        )

    def make_public(self) -> None:
        """What the finding is about: the actor's session opens the bucket to everybody."""
        s3 = self.aws.client("s3", self.actor.credentials)
        s3.delete_public_access_block(Bucket=self.bucket)
        s3.put_bucket_policy(Bucket=self.bucket, Policy=POLICY.replace("BUCKET", self.bucket))

    def state(self) -> BucketState:
        s3 = self.aws.client("s3")
        policy = _unless("NoSuchBucketPolicy", lambda: s3.get_bucket_policy(Bucket=self.bucket)["Policy"])
        block = _unless(
            "NoSuchPublicAccessBlockConfiguration",
            lambda: s3.get_public_access_block(Bucket=self.bucket)["PublicAccessBlockConfiguration"],
        )
        return BucketState(policy, block)

    def requests(self) -> dict[str, int]:
        """Everybody reads the object; the HTTP status that each gets."""
        return {
            "anonymous": self._read_unsigned(),
            "application": self._read_as(self.application),
            "actor": self._read_as(self.actor),
            "break-glass": self._read_as(self.break_glass),
        }

    def _read_unsigned(self) -> int:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.aws.endpoint}/{self.bucket}/{KEY}", timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def _read_as(self, session: Session) -> int:
        s3 = self.aws.client("s3", session.credentials)
        try:
            answer = s3.get_object(Bucket=self.bucket, Key=KEY)
        except ClientError as error:
            answer = error.response
        return answer["ResponseMetadata"]["HTTPStatusCode"]

    def _session(self, path: str, role: str, name: str, actions: list[str]) -> Session:
        iam = self.aws.client("iam")
        trust = allow(["sts:AssumeRole"], Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
        iam.create_role(Path=path, RoleName=role, AssumeRolePolicyDocument=trust)
        resources = [f"arn:aws:s3:::{self.bucket}", f"arn:aws:s3:::{self.bucket}/*"]
        iam.put_role_policy(RoleName=role, PolicyName="bucket", PolicyDocument=allow(actions, Resource=resources))
        arn = f"arn:aws:iam::{ACCOUNT}:role{path}{role}"
        answer = self.aws.client("sts").assume_role(RoleArn=arn, RoleSessionName=name)
        credentials = {
            "aws_access_key_id": answer["Credentials"]["AccessKeyId"],
            "aws_secret_access_key": answer["Credentials"]["SecretAccessKey"],
            "aws_session_token": answer["Credentials"]["SessionToken"],
        }
        return Session(role, answer["AssumedRoleUser"]["AssumedRoleId"], credentials)


def allow(actions: list[str], **rest: Any) -> str:
    statement = {"Effect": "Allow", "Action": actions, **rest}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _unless(code: str, call: Any) -> Any:
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] == code:
            return None
        raise
