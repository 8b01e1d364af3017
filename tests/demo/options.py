"""The templates with every option set, deployed to the stand-in as far as it goes.

`make options` builds the function, starts MiniStack and runs this in it. The demo deploys the defaults; here
what the parameters ask for is read back from the resources, and a failed invocation goes where it should.

MiniStack encrypts no store by a template, hands no event to another Region, knows no AWS::Events::EventBusPolicy (OrganizationId) and verifies no
signature (CodeSigningConfigArn), and sends no record of a success: what concerns other Regions and successes is
looked at and not tried, and the two parameters are left out.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from deployment import ARTIFACTS, BUILT, REPOSITORY, deploy, outputs_of
from scene import ACCOUNT, REGION, Aws

STACK = "portcullis-options"
ELSEWHERE = "eu-west-1"
DETECTOR = "12abc34d567e8fa901bc2d34e56789f0"
PATIENCE = 60.0


class Options:
    """What the stack is given, and what became of it."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.failures: list[str] = []
        sns, sqs, kms = aws.client("sns"), aws.client("sqs"), aws.client("kms")
        self.key: str = kms.create_key()["KeyMetadata"]["Arn"]
        self.alarms: str = sns.create_topic(Name="alarms")["TopicArn"]
        self.successes_url: str = sqs.create_queue(QueueName="successes")["QueueUrl"]
        self.successes = attributes(sqs, self.successes_url, "QueueArn")["QueueArn"]

    def run(self) -> None:
        self.deploy()
        self.look_at_the_data()
        self.look_at_the_function()
        self.look_at_the_alarms()
        self.look_at_the_destinations()
        self.look_at_the_rules()
        self.fail_an_invocation()
        self.deploy_elsewhere()

    def deploy(self) -> None:
        self.aws.client("s3").create_bucket(Bucket=ARTIFACTS)
        parameters = {
            "Mode": "enforce",
            "MemberRoleName": "portcullis-member",
            "ExternalId": "options",
            "DetectorId": DETECTOR,
            "SweepSchedule": "rate(2 hours)",
            "NoticeEmail": "security@example.com",
            "SuccessDestinationArn": self.successes,
            "LogRetentionDays": "30",
            "AlarmTopicArn": self.alarms,
            "RunbookUrl": "https://example.com/runbook",
            "KmsKeyArn": self.key,
            "Tracing": "Active",
            "EndpointUrl": self.aws.endpoint,
        }
        deploy(self.aws.endpoint, BUILT, STACK, parameters)
        self.outputs = outputs_of(self.aws, STACK)
        resources = self.aws.client("cloudformation").describe_stack_resources(StackName=STACK)
        self.resources = {r["LogicalResourceId"]: r for r in resources["StackResources"]}
        for name, resource in self.resources.items():
            self.expect(f"the status of {name}", resource["ResourceStatus"], "CREATE_COMPLETE")

    def look_at_the_data(self) -> None:
        s3, sqs, logs = (self.aws.client(name) for name in ("s3", "sqs", "logs"))
        store = self.outputs["StoreBucket"]
        versioning = s3.get_bucket_versioning(Bucket=store)
        self.expect("the store's versioning", versioning.get("Status"), "Enabled")
        block = s3.get_public_access_block(Bucket=store)["PublicAccessBlockConfiguration"]
        self.expect("the store's Block Public Access", all(block.values()) and len(block) == 4, True)
        for queue in ("FailedFindings", "UndeliveredFindings"):
            url = self.resources[queue]["PhysicalResourceId"]
            self.expect(f"the key of {queue}", attributes(sqs, url, "KmsMasterKeyId"), {"KmsMasterKeyId": self.key})
        name = f"/aws/lambda/{STACK}"
        (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        self.expect("the log's retention", group["retentionInDays"], 30)

    def look_at_the_function(self) -> None:
        function, events = self.aws.client("lambda"), self.aws.client("events")
        configuration = function.get_function_configuration(FunctionName=self.outputs["FunctionName"])
        self.expect("tracing", configuration["TracingConfig"]["Mode"], "Active")
        variables = configuration["Environment"]["Variables"]
        wanted = {
            "PORTCULLIS_MODE": "enforce",
            "PORTCULLIS_MEMBER_ROLE": "portcullis-member",
            "PORTCULLIS_EXTERNAL_ID": "options",
            "PORTCULLIS_DETECTOR_ID": DETECTOR,
            "PORTCULLIS_STORE": f"s3://{self.outputs['StoreBucket']}",
        }
        self.expect("the environment", {name: variables.get(name) for name in wanted}, wanted)
        role = self.outputs["RoleArn"].rpartition("/")[2]
        iam = self.aws.client("iam")
        (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        sids = {statement["Sid"]: statement for statement in document["Statement"]}
        self.expect("what the key is for", sids["UseTheKey"]["Resource"], self.key)
        reach = "arn:aws:iam::*:role/portcullis-member"
        self.expect("what other accounts' roles may be assumed", sids["ReachMemberAccounts"]["Resource"], reach)
        self.expect("tracing's permission", "SendTraces" in sids, True)
        rule = self.resources["SweepRule"]["PhysicalResourceId"].rpartition("/")[2]
        self.expect("the sweep's schedule", events.describe_rule(Name=rule)["ScheduleExpression"], "rate(2 hours)")

    def look_at_the_alarms(self) -> None:
        cloudwatch = self.aws.client("cloudwatch")
        alarms = [name for name, r in self.resources.items() if r["ResourceType"] == "AWS::CloudWatch::Alarm"]
        described = cloudwatch.describe_alarms()["MetricAlarms"]
        self.expect("the number of alarms", len(described), len(alarms))
        deaf = [alarm["AlarmName"] for alarm in described if alarm.get("AlarmActions") != [self.alarms]]
        self.expect("alarms that nobody hears of", deaf, [])
        (dashboard,) = cloudwatch.list_dashboards()["DashboardEntries"]
        body = cloudwatch.get_dashboard(DashboardName=dashboard["DashboardName"])["DashboardBody"]
        self.expect("links to the runbook", "https://example.com/runbook#" in body, True)

    def look_at_the_destinations(self) -> None:
        function = self.aws.client("lambda")
        name = self.outputs["FunctionName"]
        destinations = function.get_function_event_invoke_config(FunctionName=name, Qualifier="$LATEST")["DestinationConfig"]
        failed = attributes(self.aws.client("sqs"), self.outputs["FailedFindingsUrl"], "QueueArn")["QueueArn"]
        wanted = {"OnSuccess": {"Destination": self.successes}, "OnFailure": {"Destination": failed}}
        self.expect("the destinations", destinations, wanted)

    def look_at_the_rules(self) -> None:
        """Which events come, by the stand-in's own matcher, and that the function takes what its rule hands it."""
        events = self.aws.client("events")
        rule = events.describe_rule(Name=self.resources["SettingsRule"]["PhysicalResourceId"].rpartition("/")[2])
        written = json.loads((REPOSITORY / "events/policy-written.json").read_text())
        finding = json.loads((REPOSITORY / "events/discovery-tor.json").read_text())
        of_account = changed(written, eventName="PutAccountPublicAccessBlock")
        for what, event, wanted in (
            ("a policy that somebody writes", written, True),
            ("flags of the account", of_account, True),
            ("what S3 refused", changed(written, errorCode="AccessDenied"), False),
            ("what somebody reads", changed(written, eventName="GetBucketPolicy"), False),
            ("an object", changed(written, eventName="PutObject"), False),
            ("a finding", finding, False),
        ):
            matched = events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(event))
            self.expect(f"whether the rule takes {what}", matched["Result"], wanted)
        answer = self.aws.client("lambda").invoke(
            FunctionName=self.outputs["FunctionName"], Payload=json.dumps(written)
        )
        ignored = json.loads(answer["Payload"].read()).get("ignored")
        told = "nothing was ever contained on bucket amzn-s3-demo-bucket-orders of account 111122223333"
        self.expect("what the function says of it", ignored, [told])

    def fail_an_invocation(self) -> None:
        """What is no event ends in the queue, once Lambda has given it up."""
        function, sqs = self.aws.client("lambda"), self.aws.client("sqs")
        event = {"hello": "world"}
        function.invoke(FunctionName=self.outputs["FunctionName"], InvocationType="Event", Payload=json.dumps(event))
        failure = message(sqs, self.outputs["FailedFindingsUrl"])
        self.expect("the failed event", failure.get("requestPayload", failure), event)

    def deploy_elsewhere(self) -> None:
        """The rule of another Region, whose target is the bus of this one."""
        bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
        self.expect("the bus that other Regions send to", self.outputs["EventBusArn"], bus)
        template = REPOSITORY / "stacksets/region.yaml"
        parameters = {"HomeBusArn": bus}
        deploy(self.aws.endpoint, template, "portcullis-region", parameters, ELSEWHERE)
        there = Aws(self.aws.endpoint, ELSEWHERE)
        rule_arn = outputs_of(there, "portcullis-region")["RuleArn"]
        self.expect("the rule's Region", rule_arn.split(":")[3], ELSEWHERE)
        rules = [rule_arn, outputs_of(there, "portcullis-region")["SettingsRuleArn"]]
        for arn, what in zip(rules, ("findings", "writes"), strict=True):
            (target,) = there.client("events").list_targets_by_rule(Rule=arn.rpartition("/")[2])["Targets"]
            self.expect(f"where {what} of that Region go", target["Arn"], bus)

    def expect(self, what: str, seen: Any, wanted: Any) -> None:
        if seen == wanted:
            print(f"  ok: {what}")
        else:
            self.failures.append(f"{what} should be {wanted!r} and is {seen!r}")


def changed(event: dict[str, Any], **detail: str) -> dict[str, Any]:
    return {**event, "detail": {**event["detail"], **detail}}


def attributes(sqs: Any, url: str, *names: str) -> dict[str, str]:
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names)).get("Attributes", {})


def message(sqs: Any, url: str) -> dict[str, Any]:
    """The next message of a queue. Lambda tries a failed event again before it gives it up."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for found in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
            return json.loads(found["Body"])
    raise SystemExit(f"nothing came to {url} within {PATIENCE:.0f} s")


def main() -> int:
    endpoints = json.loads(Path(os.environ["PORTCULLIS_TEST_ENDPOINTS"]).read_text())
    options = Options(Aws(endpoints["ministack"]))
    options.run()
    for failure in options.failures:
        print(f"NOT AS ASKED: {failure}")
    return 1 if options.failures else 0


if __name__ == "__main__":
    sys.exit(main())
