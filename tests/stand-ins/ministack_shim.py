"""MiniStack with condition keys of ours, as AWS documents them: `aws:PrincipalArn`, and two that it does not know.

MiniStack, like every emulator that we tried, gives the condition key `aws:PrincipalArn` the ARN of
the session (arn:aws:sts::111122223333:assumed-role/Reader/tom), and gives it to unsigned requests,
too. AWS documents the ARN of the role (arn:aws:iam::111122223333:role/Reader) for the sessions of a
role, and no such key for an anonymous request. The difference decides whether the exemption

    "Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/BreakGlass"}}

spares the sessions of that role. Uncorrected, MiniStack would call a correct policy broken, and a
program that passed there would carry statements that AWS does not need.

`s3:authType` and `s3:signatureAge` are added. By AWS's table of "Signature Version 4 Authentication
Specific Policy Keys", the first is REST-HEADER, REST-QUERY-STRING or POST, by the place of the
signature; the second is the age of the signature, in milliseconds, for links and upload forms, and
always 0 for Signature Version 2. An unsigned request has neither. Where the table is silent, on the
age of a signature in a header, the key is left out. Upload forms are left out, too: MiniStack looks
for a signature in the header and the query and judges a form by no policy, so that it asks for no key.

So this module, the shim, is our own reading of AWS's documentation, not MiniStack's and not AWS: any
proof that rests on one of the three keys has to say so.
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack import app
from ministack.core import iam_evaluator

SESSION = re.compile(r"arn:(?P<partition>[^:]+):sts::(?P<account>\d*):assumed-role/(?P<role>[^/]+)/.+")


@dataclass(frozen=True)
class Signature:
    """Where a request carries its signature, and of when it is: X-Amz-Date, and none in version 2."""

    place: str
    date: str | None


_signature: ContextVar[Signature | None] = ContextVar("shim_signature", default=None)

# MiniStack's names for these are private or may change: then these lines fail at once, which is better
# than an uncorrected stand-in. MiniStack's version is pinned for the same reason.
_resolve_uncorrected = iam_evaluator._resolve_condition_key
_pin_request = app.pin_signed_request


def resolve_condition_key(key: str, context: iam_evaluator.EvalContext) -> Any:
    """Answers a condition key as MiniStack does, except for three."""
    anonymous = context.principal_type == "Anonymous" or context.principal_arn in ("", "*")
    match key.lower():
        case "aws:principalarn":
            return None if anonymous else principal_arn(context.principal_arn)
        case "s3:authtype":
            signature = _signature.get()
            return None if anonymous or signature is None else signature.place
        case "s3:signatureage":
            signature = _signature.get()
            return None if anonymous or signature is None else age(signature)
        case _:
            return _resolve_uncorrected(key, context)


def principal_arn(arn: str) -> str:
    """The ARN of the principal, which is the role's where it is a session of one."""
    session = SESSION.fullmatch(arn)
    return arn if session is None else role_arn(session["partition"], session["account"], session["role"])


def role_arn(partition: str, account: str, name: str) -> str:
    """The ARN of a role, with its path, which the ARN of a session lacks."""
    from ministack.services import iam

    role = iam._roles.get_scoped(account, None, name)
    return role["Arn"] if role else f"arn:{partition}:iam::{account}:role/{name}"


def age(signature: Signature) -> str | None:
    """The age of a signature in milliseconds, where AWS documents one."""
    if signature.place == "REST-HEADER":
        return None
    if signature.date is None:
        return "0"
    signed = datetime.strptime(signature.date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return str(int((datetime.now(UTC) - signed).total_seconds() * 1000))


def pin_signed_request(
    method: str, raw_path: str, query_params: dict[str, list[str]], raw_headers: list[tuple[bytes, bytes]]
) -> None:
    """Called by MiniStack for each request, before it judges it."""
    headers = {name.lower() for name, _ in raw_headers}
    query = {name.lower(): values[0] for name, values in query_params.items() if values}
    signature = None
    if b"authorization" in headers:
        signature = Signature("REST-HEADER", None)
    elif "x-amz-signature" in query:
        signature = Signature("REST-QUERY-STRING", query.get("x-amz-date"))
    elif "awsaccesskeyid" in query and "signature" in query:
        signature = Signature("REST-QUERY-STRING", None)
    _signature.set(signature)
    _pin_request(method, raw_path, query_params, raw_headers)


iam_evaluator._resolve_condition_key = resolve_condition_key
app.pin_signed_request = pin_signed_request

if __name__ == "__main__":
    app.main()
