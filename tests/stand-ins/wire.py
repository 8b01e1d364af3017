"""Requests and answers of a service, read and written by the model that AWS publishes of it.

The models come with botocore. What a model does not allow is refused: in a request as the service would, in an answer
loudly, because then a scenario or this stand-in is wrong and a test would prove nothing.
"""

import re
import urllib.parse
from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape


class Refused(Exception):
    """A request that the model, or the documentation beside it, does not allow."""


class Impossible(Exception):
    """An answer that the service cannot give."""


class Service:
    """One service's model, and the way from a request to its operation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.model = ServiceModel(Loader().load_service_model(name, "service-2"), name)
        self.routes = [self.route_to(operation) for operation in self.model.operation_names]

    def route_to(self, name: str) -> tuple[str, re.Pattern[str], OperationModel]:
        operation = self.model.operation_model(name)
        parts = re.split(r"(\{[A-Za-z]+\+?\})", operation.http["requestUri"])
        pattern = "".join(segment(part) for part in parts)
        return operation.http["method"], re.compile(pattern), operation

    def route(self, method: str, path: str) -> tuple[OperationModel, dict[str, str]] | None:
        """The operation of a request, and what its path says. Fixed paths go before those with a variable."""
        found = [
            (len(match.groups()), operation, match.groupdict())
            for wanted, pattern, operation in self.routes
            if wanted == method and (match := pattern.fullmatch(path))
        ]
        if not found:
            return None
        _, operation, values = min(found, key=lambda route: route[0])
        return operation, {name: urllib.parse.unquote(value) for name, value in values.items()}

    def read(self, operation: OperationModel, uri: dict[str, str], query: str, body: Any) -> dict[str, Any]:
        """The input of an operation by its members' names in the model."""
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
        read: dict[str, Any] = {}
        wire: dict[str, Any] = {}
        members = operation.input_shape.members if operation.input_shape else {}
        known = {"x-id"}
        for name, shape in members.items():
            location, wire_name = shape.serialization.get("location"), wire_name_of(name, shape)
            if location == "uri":
                read[name] = checked(shape, uri[wire_name], name, Refused)
            elif location == "querystring":
                known.add(wire_name)
                given = [value for key, value in pairs if key == wire_name]
                if given:
                    read[name] = checked(shape, from_text(shape, given, name), name, Refused)
            elif location is None:
                wire[wire_name] = name
        for key, _ in pairs:
            if key not in known:
                raise Refused(f"the operation has no query parameter {key}")
        if not isinstance(body, dict):
            raise Refused("the body is not an object")
        for key, value in body.items():
            if key not in wire:
                raise Refused(f"the operation has no member {key}")
            read[wire[key]] = checked(members[wire[key]], value, key, Refused)
        for name in operation.input_shape.required_members if operation.input_shape else ():
            if name not in read:
                raise Refused(f"{name} is required")
        return read

    def write(self, operation: OperationModel, answer: dict[str, Any]) -> dict[str, Any]:
        """The body of an answer, given by the wire's names."""
        if operation.output_shape is None:
            return {}
        return checked(operation.output_shape, answer, operation.name, Impossible)

    def check(self, shape: str, value: Any, place: str) -> None:
        """Whether the service could ever say this of a shape."""
        checked(self.model.shape_for(shape), value, place, Impossible)


def segment(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    name = part.strip("{}")
    return f"(?P<{name[:-1]}>.+)" if name.endswith("+") else f"(?P<{name}>[^/]+)"


def wire_name_of(name: str, shape: Shape) -> str:
    return shape.serialization.get("name", name)


def from_text(shape: Shape, given: list[str], place: str) -> Any:
    if shape.type_name == "list":
        return given
    if len(given) > 1:
        raise Refused(f"{place} is given more than once")
    if shape.type_name in ("integer", "long"):
        if not re.fullmatch(r"-?\d+", given[0]):
            raise Refused(f"{place} is not a number")
        return int(given[0])
    return given[0]


def checked(shape: Shape, value: Any, place: str, error: Callable[[str], Exception]) -> Any:
    """The value as it goes over the wire, or an error with its place."""
    if value is None and error is Impossible:
        # Members that are null instead of missing are a habit of both services.
        return None
    match shape.type_name:
        case "structure":
            return structure(shape, value, place, error)
        case "list":
            if not isinstance(value, list):
                raise error(f"{place} is not a list")
            within(shape, len(value), place, error)
            return [checked(shape.member, item, f"{place}[{index}]", error) for index, item in enumerate(value)]
        case "map":
            if not isinstance(value, dict):
                raise error(f"{place} is not a map")
            return {
                checked(shape.key, key, place, error): checked(shape.value, item, f"{place}.{key}", error)
                for key, item in value.items()
            }
        case "string":
            if not isinstance(value, str):
                raise error(f"{place} is not text")
            if shape.enum and value not in shape.enum:
                raise error(f"{place} is {value!r}, and none of {', '.join(shape.enum)}")
            within(shape, len(value), place, error)
            pattern = shape.metadata.get("pattern")
            if pattern and not re.search(pattern, value):
                raise error(f"{place} is {value!r}, which does not match {pattern}")
            return value
        case "integer" | "long" if isinstance(value, int) and not isinstance(value, bool):
            within(shape, value, place, error)
            return value
        case "float" | "double" if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        case "boolean" if isinstance(value, bool):
            return value
        case "timestamp":
            return timestamp(shape, value, place, error)
        case kind:
            raise error(f"{place} is {value!r}, which is no {kind}")


def structure(shape: Shape, value: Any, place: str, error: Callable[[str], Exception]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise error(f"{place} is not an object")
    members = {wire_name_of(name, member): (name, member) for name, member in shape.members.items()}
    written = {}
    for key, item in value.items():
        if key not in members:
            raise error(f"{place} has no member {key}")
        written[key] = checked(members[key][1], item, f"{place}.{key}", error)
    given = {members[key][0] for key in value}
    for name in shape.required_members:
        if name not in given:
            raise error(f"{place} lacks {name}")
    return written


def within(shape: Shape, size: int, place: str, error: Callable[[str], Exception]) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        raise error(f"{place} is {size}, and not from {least} to {most}")


def timestamp(shape: Shape, value: Any, place: str, error: Callable[[str], Exception]) -> Any:
    """Scenarios say times in ISO 8601; on the wire they are what the model says, seconds where it says nothing."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else datetime.fromtimestamp(value)
    except (TypeError, ValueError) as problem:
        raise error(f"{place} is {value!r}, which is no time") from problem
    iso = shape.serialization.get("timestampFormat") == "iso8601"
    if error is Refused and isinstance(value, str) is not iso:
        raise error(f"{place} is not a time of the form that the model wants")
    return value if iso or not isinstance(value, str) else moment.timestamp()
