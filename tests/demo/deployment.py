"""The stack of template.yaml in the stand-in: deployed with SAM, and spoken to as an operator would."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from scene import REGION, ROOT, Aws

REPOSITORY = Path(__file__).resolve().parents[2]
BUILT = REPOSITORY / ".aws-sam/build/template.yaml"
SAM = REPOSITORY / ".tools/deploy/bin/sam"
STACK = "portcullis-demo"
ARTIFACTS = "portcullis-demo-artifacts"
# EventBridge refuses `aws.` from anybody but AWS, in the stand-in as well.
EVENT_SOURCE = "demo.guardduty"
POLL = 0.2


class InvocationFailed(Exception):
    """The function raised an error."""


class Deployment:
    """The deployed stack."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        aws.client("s3").create_bucket(Bucket=ARTIFACTS)
        parameters = {"Mode": "enforce", "EventSource": EVENT_SOURCE, "EndpointUrl": aws.endpoint}
        deploy(aws.endpoint, BUILT, STACK, parameters)
        outputs = outputs_of(aws, STACK)
        self.function: str = outputs["FunctionName"]
        self.role_arn: str = outputs["RoleArn"]
        self.store: str = outputs["StoreBucket"]
        self.failed_findings: str = outputs["FailedFindingsUrl"]

    def upload_policy(self, file: Path) -> None:
        self.aws.client("s3").put_object(Bucket=self.store, Key="policy.yaml", Body=file.read_bytes())

    def put_event(self, event: dict[str, Any]) -> None:
        """Sends an event to the default bus, for the rule to find."""
        entry = {
            "Source": EVENT_SOURCE,
            "DetailType": event["detail-type"],
            "Detail": json.dumps(event["detail"]),
            "Resources": event["resources"],
        }
        answer = self.aws.client("events").put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise InvocationFailed(f"PutEvents refused the event: {answer['Entries']}")

    def invoke(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Invokes the function and waits for its response."""
        answer = self.aws.client("lambda").invoke(FunctionName=self.function, Payload=json.dumps(payload))
        body = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise InvocationFailed(json.dumps(body))
        return body

    def records(self) -> dict[str, str]:
        """The outcome of each finished record in the store, by its id.

        A record whose plan was carried out has a result beside it; one that needed no writes says
        its outcome itself.
        """
        listed = self.aws.client("s3").list_objects_v2(Bucket=self.store, Prefix="records/")
        keys = [entry["Key"] for entry in listed.get("Contents", [])]
        outcomes = {}
        for key in sorted(keys):
            body = json.loads(self.aws.client("s3").get_object(Bucket=self.store, Key=key)["Body"].read())
            name = key.removeprefix("records/").removesuffix(".json").removesuffix(".result")
            if "outcome" in body:
                outcomes[name] = body["outcome"]
        return outcomes

    def new_record(self, known: set[str], patience: float) -> tuple[str, str] | None:
        """Waits for a record that was not known before: its id and outcome."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for name, outcome in self.records().items():
                if name not in known:
                    return name, outcome
            time.sleep(POLL)
        return None

    def logs(self) -> list[str]:
        """What the function logged, for when it did not do what was expected."""
        logs = self.aws.client("logs")
        group = f"/aws/lambda/{STACK}"
        return [event["message"].rstrip() for event in logs.filter_log_events(logGroupName=group)["events"]]


def outputs_of(aws: Aws, stack: str) -> dict[str, str]:
    described = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}


def deploy(endpoint: str, template: Path, stack: str, parameters: dict[str, str], region: str = REGION) -> None:
    """Has SAM deploy a template, which it uploads to the bucket ARTIFACTS."""
    command = [
        str(SAM),
        "deploy",
        *("--template-file", str(template), "--stack-name", stack, "--s3-bucket", ARTIFACTS, "--region", region),
        *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar"),
        *("--parameter-overrides", *(f'{name}="{value}"' for name, value in parameters.items())),
    ]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ROOT["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": ROOT["aws_secret_access_key"],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
        # SAM waits this many seconds between two looks at the stack.
        "SAM_CLI_POLL_DELAY": "1",
    }
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"sam deploy failed:\n{done.stdout}\n{done.stderr}")
