"""The demo: the deployed Portcullis contains a public bucket, and puts everything back.

`make demo` builds the function, starts MiniStack and runs this in it. What is deployed is the real
template.yaml with the real function; each step checks what it shows, and a step that does not show
it makes the demo fail.
"""

import json
import os
import sys
import time
from pathlib import Path

from deployment import EVENT_SOURCE, Deployment, InvocationFailed
from findings import aimed
from scene import PARTNER_STATEMENT, Aws, BucketState, Scene

POLICY = Path(__file__).with_name("policy.yaml")
BUCKET = "amzn-s3-demo-bucket-reports"
EVERYBODY = {"anonymous": 200, "application": 200, "actor": 200, "break-glass": 200}
PUBLIC_CLOSED = {**EVERYBODY, "anonymous": 403}
ACTOR_DENIED = {**PUBLIC_CLOSED, "actor": 403}
ISOLATED = {**ACTOR_DENIED, "application": 403}
ALL_FLAGS = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
# A cold start and a handful of calls take about a second; the machine may be busy with a build.
RULE_PATIENCE = 60.0
INTRODUCTION = """\
Portcullis in a local stand-in for AWS: MiniStack, with IAM and bucket policies enforced. It runs the
real function binary, with the rights that template.yaml gives it.

One thing is ours: a shim corrects MiniStack's aws:PrincipalArn to what AWS documents (a role session
has its role's ARN, an anonymous caller has none). That break-glass can still read the isolated bucket
rests on the shim, so it shows what AWS documents, not what AWS does: tests/stand-ins/ministack_shim.py."""


class Demo:
    """The steps, and what they have shown so far."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.columns: dict[str, dict[str, int]] = {}
        self.failures: list[str] = []
        self.records: list[str] = []
        self.by_rule = True

    def run(self) -> None:
        print(INTRODUCTION)
        deployment = self.deploy()
        scene = self.open_bucket()
        before = scene.state()
        self.show("before", scene, EVERYBODY)

        step("GuardDuty reports that the bucket was opened to everybody")
        self.contain(deployment, "anonymous-access-granted.json", scene)
        self.show("public closed", scene, PUBLIC_CLOSED)
        self.check_closed(scene.state())

        step("The same finding comes again, as EventBridge may deliver it")
        self.deliver_again(deployment, "anonymous-access-granted.json", scene)

        step("GuardDuty reports that the same session reads unusually much")
        self.contain(deployment, "exfiltration-anomalous.json", scene)
        self.show("actor denied", scene, ACTOR_DENIED)

        step("GuardDuty reports unusual deletions, which the policy answers by isolating the bucket")
        self.contain(deployment, "impact-delete.json", scene)
        self.show("isolated", scene, ISOLATED)

        step("An operator rolls everything back, the newest first")
        self.roll_back(deployment)
        self.show("rolled back", scene, EVERYBODY)
        self.check_restored(before, scene.state())
        if self.failures:
            tell("the function's log:", *deployment.logs()[-40:])

    def deploy(self) -> Deployment:
        step("Deploy template.yaml with SAM, in enforce mode, and upload a policy")
        started = time.monotonic()
        deployment = Deployment(self.aws)
        deployment.upload_policy(POLICY)
        tell(f"deployed in {time.monotonic() - started:.1f} s; the records go to s3://{deployment.store}")
        return deployment

    def open_bucket(self) -> Scene:
        step("A session of the role reporting makes a bucket public")
        scene = Scene(self.aws, BUCKET)
        scene.make_public()
        tell(
            f"s3://{BUCKET} now has no Block Public Access, and a policy of two",
            "statements: one lets a partner's account read, the other everybody. The roles of the table may",
            "read by their own IAM policies.",
        )
        return scene

    def contain(self, deployment: Deployment, file: str, scene: Scene) -> None:
        """Sends an event the way GuardDuty's come, and waits for the record of it."""
        event = aimed(file, scene.bucket, scene.actor)
        tell(f"events/{file}: {event['detail']['type']}")
        known = set(deployment.records())
        started = time.monotonic()
        if self.by_rule:
            deployment.put_event(event)
        record = deployment.new_record(known, RULE_PATIENCE) if self.by_rule else None
        if record is None:
            record = self.invoke(deployment, event)
        else:
            tell(f"PutEvents (source {EVENT_SOURCE}) -> rule -> function, {time.monotonic() - started:.1f} s")
        if record is None:
            return
        name, outcome = record
        self.records.append(name)
        tell(f"record {name}")
        self.expect("the outcome", outcome, "contained")

    def deliver_again(self, deployment: Deployment, file: str, scene: Scene) -> None:
        """Hands the function a whole event, as GuardDuty's own come, and expects it to write nothing."""
        before = scene.state()
        answer = deployment.invoke(aimed(file, scene.bucket, scene.actor))
        outcomes = [record["outcome"] for record in answer["records"]]
        self.expect("the outcome", outcomes, ["already-contained"], "already-contained")
        self.expect("the bucket", scene.state(), before, "unchanged")

    def invoke(self, deployment: Deployment, event: dict) -> tuple[str, str] | None:
        """The second-best way, which leaves the rule unproven."""
        if self.by_rule:
            tell("no record through the rule, so that the function is invoked directly from here on")
            self.failures.append("the rule did not bring the event to the function")
        self.by_rule = False
        try:
            records = deployment.invoke(event)["records"]
        except InvocationFailed as error:
            self.failures.append(f"the function failed: {error}")
            return None
        tell(f"response: {json.dumps(records)}")
        return (records[0]["id"], records[0]["outcome"]) if records else None

    def roll_back(self, deployment: Deployment) -> None:
        for name in reversed(self.records):
            try:
                answer = deployment.invoke({"portcullis": {"rollback": {"record": name}}})
            except InvocationFailed as error:
                self.failures.append(f"rollback of {name} failed: {error}")
                continue
            outcomes = [record["outcome"] for record in answer["records"]]
            self.expect(f"rollback of {name}", outcomes, ["rolled-back"], "rolled-back")

    def check_closed(self, state: BucketState) -> None:
        partner = PARTNER_STATEMENT.replace("BUCKET", BUCKET)
        policy = state.policy or ""
        self.expect("Block Public Access", state.public_access_block, ALL_FLAGS, "all four flags on")
        self.expect("the partner's statement", partner in policy, True, "there, byte for byte")
        self.expect("the public statement", "oops" in policy, False, "gone")

    def check_restored(self, before: BucketState, after: BucketState) -> None:
        self.expect("the bucket policy", after.policy, before.policy, "as it was, byte for byte")
        block = after.public_access_block
        self.expect("Block Public Access", block, before.public_access_block, "not configured, as it was")

    def show(self, column: str, scene: Scene, expected: dict[str, int]) -> None:
        """Lets everybody read the object, and prints all answers so far."""
        self.columns[column] = scene.requests()
        print(f"\n    {'GET object':14}" + "".join(f"{name:>15}" for name in self.columns))
        for caller in EVERYBODY:
            answers = "".join(f"{answers[caller]:>15}" for answers in self.columns.values())
            print(f"    {caller:14}{answers}", flush=True)
        for caller, status in expected.items():
            if self.columns[column][caller] != status:
                self.expect(f"{caller}, {column}", self.columns[column][caller], status)

    def expect(self, what: str, actual: object, expected: object, in_words: str = "") -> None:
        """Checks one thing, and says what it is."""
        if actual == expected:
            tell(f"{what}: {in_words or expected}")
            return
        tell(f"{what}: NOT AS EXPECTED", f"  expected {expected!r}", f"  got      {actual!r}")
        self.failures.append(what)


def step(title: str) -> None:
    print(f"\n== {title}", flush=True)


def tell(*lines: str) -> None:
    for line in lines:
        print(f"   {line}", flush=True)


def main() -> int:
    endpoints = json.loads(Path(os.environ["PORTCULLIS_TEST_ENDPOINTS"]).read_text())
    demo = Demo(Aws(endpoints["ministack"]))
    demo.run()
    step("Done" if not demo.failures else "The demo FAILED")
    for failure in demo.failures:
        tell(failure)
    if not demo.failures:
        tell(
            "a stranger's read that had worked was refused, then the actor's, and everybody's but break-glass's",
            "when the bucket was isolated; and the rollback put every byte back.",
        )
    return 1 if demo.failures else 0


if __name__ == "__main__":
    sys.exit(main())
