"""Hands one event to the function in the stand-in, and prints its response and its log.

`make invoke EVENT=events/x.json` runs this. The stand-in is as in the demo: the bucket is public, and
the policy of the demo enforces. An event of events/ that names a bucket and a caller is aimed at
those of the demo; any other file is handed over as it is.
"""

import json
import os
import sys
from pathlib import Path

from deployment import Deployment, InvocationFailed
from findings import EVENTS, aimed
from scene import Aws, Scene

POLICY = Path(__file__).with_name("policy.yaml")


def main() -> int:
    file = Path(sys.argv[1]).resolve()
    event = json.loads(file.read_text())
    endpoints = json.loads(Path(os.environ["PORTCULLIS_TEST_ENDPOINTS"]).read_text())
    aws = Aws(endpoints["ministack"])
    deployment = Deployment(aws)
    deployment.upload_policy(POLICY)
    scene = Scene(aws, "amzn-s3-demo-bucket-reports")
    scene.make_public()
    if file.parent == EVENTS and names_both(event):
        event = aimed(file.name, scene.bucket, scene.actor)
        print(f"aimed at s3://{scene.bucket} and the role {scene.actor.role}", file=sys.stderr)
    try:
        print(json.dumps(deployment.invoke(event), indent=2))
        code = 0
    except InvocationFailed as error:
        print(f"the function failed: {error}", file=sys.stderr)
        code = 1
    print(*deployment.logs(), sep="\n", file=sys.stderr)
    return code


def names_both(event: object) -> bool:
    """Whether an event names buckets and a caller where classic findings do."""
    match event:
        case {"detail": {"resource": {"accessKeyDetails": {"principalId": _}, "s3BucketDetails": [_, *_]}}}:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
