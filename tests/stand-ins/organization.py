"""Makes an organization of two accounts in MiniStack, with the role of stacksets/member.yaml in the second one.

    organization.py ENDPOINT NAME MODE EXTERNAL-ID

In MiniStack's own account: the roles NAME-function, which may assume the member role and may do anything in buckets
named *-store, and NAME-other, which may do the same. In account 222222222222: the real template as a stack, which lets
NAME-function in with the external id. Prints a JSON object: the credentials of a session of each of the two roles, as
callers.py prints them, and the ARN of the member role that the stack made.
"""

import json
import sys
from pathlib import Path

from callers import HOME, PARTNER, allow, client, session

TEMPLATE = Path(__file__).resolve().parents[2] / "stacksets/member.yaml"


def main(endpoint: str, name: str, mode: str, external_id: str) -> None:
    function, other = (caller(endpoint, f"{name}-{suffix}", f"{name}-member") for suffix in ("function", "other"))
    parameters = {
        "Mode": mode,
        "FunctionRoleArn": function,
        "ExternalId": external_id,
        "RoleName": f"{name}-member",
    }
    print(
        json.dumps(
            {
                "function": session(endpoint, HOME, function, "portcullis"),
                "other": session(endpoint, HOME, other, "somebody"),
                "member": deploy(endpoint, name, parameters),
            }
        )
    )


def caller(endpoint: str, name: str, member: str) -> str:
    iam = client("iam", endpoint, HOME)
    trust = allow("sts:AssumeRole", Principal={"AWS": "arn:aws:iam::000000000000:root"})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    reach = allow("sts:AssumeRole", Resource=f"arn:aws:iam::*:role/{member}")
    store = allow("s3:*", Resource=["arn:aws:s3:::*-store", "arn:aws:s3:::*-store/*"])
    iam.put_role_policy(RoleName=name, PolicyName="reach", PolicyDocument=reach)
    iam.put_role_policy(RoleName=name, PolicyName="store", PolicyDocument=store)
    return arn


def deploy(endpoint: str, name: str, parameters: dict[str, str]) -> str:
    """The template as CloudFormation takes it in the member account; the ARN of its role."""
    cloudformation = client("cloudformation", endpoint, PARTNER)
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=TEMPLATE.read_text(),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return outputs["MemberRoleArn"]


if __name__ == "__main__":
    main(*sys.argv[1:])
