"""MiniStack with one correction of ours: `aws:PrincipalArn` as AWS documents it.

MiniStack, like every emulator that we tried, gives the condition key `aws:PrincipalArn` the ARN of
the session (arn:aws:sts::111122223333:assumed-role/Reader/tom), and gives it to unsigned requests,
too. AWS documents the ARN of the role (arn:aws:iam::111122223333:role/Reader) for the sessions of a
role, and no such key for an anonymous request. The difference decides whether the exemption

    "Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/BreakGlass"}}

spares the sessions of that role. Uncorrected, MiniStack would call a correct policy broken, and a
program that passed there would carry statements that AWS does not need.

So this module, the shim, is our own reading of AWS's documentation, not MiniStack's and not AWS: any
proof that rests on it has to say so.
"""

import re
from typing import Any

from ministack import app
from ministack.core import iam_evaluator

SESSION = re.compile(r"arn:(?P<partition>[^:]+):sts::(?P<account>\d*):assumed-role/(?P<role>[^/]+)/.+")

# MiniStack's name for the resolver is private and may change: then this line fails at once, which is
# better than an uncorrected stand-in. MiniStack's version is pinned for the same reason.
_resolve_uncorrected = iam_evaluator._resolve_condition_key


def resolve_condition_key(key: str, context: iam_evaluator.EvalContext) -> Any:
    """Answers a condition key as MiniStack does, except for aws:PrincipalArn."""
    if key.lower() != "aws:principalarn":
        return _resolve_uncorrected(key, context)
    if context.principal_type == "Anonymous" or context.principal_arn in ("", "*"):
        return None
    session = SESSION.fullmatch(context.principal_arn)
    if session is None:
        return context.principal_arn
    return role_arn(session["partition"], session["account"], session["role"])


def role_arn(partition: str, account: str, name: str) -> str:
    """The ARN of a role, with its path, which the ARN of a session lacks."""
    from ministack.services import iam

    role = iam._roles.get_scoped(account, None, name)
    return role["Arn"] if role else f"arn:{partition}:iam::{account}:role/{name}"


iam_evaluator._resolve_condition_key = resolve_condition_key

if __name__ == "__main__":
    app.main()
