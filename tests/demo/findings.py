"""The project's example events, aimed at the bucket and the people of the demo."""

import json
from pathlib import Path
from typing import Any

from scene import ACCOUNT, REGION, Session

EVENTS = Path(__file__).resolve().parents[2] / "events"


def aimed(file: str, bucket: str, actor: Session) -> dict[str, Any]:
    """An event of events/, about this bucket, this actor and the stand-in's account.

    Names are replaced wherever they occur, titles and descriptions included. An event that names
    several buckets is left with one, because the demo has one.
    """
    event = json.loads((EVENTS / file).read_text())
    detail = event["detail"]
    identity = detail["resource"]["accessKeyDetails"]
    buckets = detail["resource"]["s3BucketDetails"]
    names = {detail["accountId"]: ACCOUNT, detail["region"]: REGION, **{entry["name"]: bucket for entry in buckets}}
    detail["resource"]["s3BucketDetails"] = buckets[:1]
    # Only the session of a role becomes the demo's actor: an anonymous caller stays one.
    if identity["principalId"].startswith("AROA"):
        names |= {identity["principalId"]: actor.principal_id, identity["accessKeyId"]: actor.access_key_id}
        identity["userName"] = actor.role
    # An undocumented part of some findings; the caller's ARNs in it would have to be the actor's, too.
    identity.pop("userIdentity", None)
    return replaced(event, names)


def replaced(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: replaced(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, names) for item in value]
    if isinstance(value, str):
        # The longest first: one bucket's name can begin another's.
        for old in sorted(names, key=len, reverse=True):
            value = value.replace(old, names[old])
    return value
