"""Our own stand-in for Macie and GuardDuty's findings, built from the models that AWS publishes of them.

    services.py --host HOST --port PORT

No stand-in of others has Macie's buckets or GuardDuty's findings with a bucket in them. This one routes a request by
the published model, validates it by the model (wire.py) and answers by it; what the operations do is in behaviour.py.
It is no proof of what AWS does: only that our requests are such as the model allows, and that we understand what it
can answer.

A scenario is what one test sees, so that tests can run at the same time. A test puts it, and uses ENDPOINT/NAME as its
endpoint:

    PUT /_scenario/NAME     {"accounts": [{...}, ...]}
    GET /_scenario/NAME     what came in, in order: operation, caller, region, input, status, refused, impossible

An account is what a caller sees: {"caller": ACCESS KEY ID, "region": REGION, "macie": {"buckets": [], "detections":
{NAME: []}, "jobs": []}, "guardduty": {"detector": ID, "findings": [], "filters": []}, "errors": {OPERATION: ERROR}}.
The first one counts whose caller and region, where it names them, are the request's; a caller may end in an asterisk.
An error is {"status", "code", "message"}, or {"stall": SECONDS}; a list of them is used up one by one. Everything in it
must be something that the model allows, unless the account says "unmodelled": true.
"""

import argparse
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from behaviour import OPERATIONS, Failed, create_filter
from botocore.model import OperationModel
from wire import Impossible, Refused, Service

SERVICES = {name: Service(name) for name in ("macie2", "guardduty")}
CREDENTIAL = re.compile(r"Credential=([^/]+)/\d{8}/([a-z0-9-]+)/([a-z0-9]+)/aws4_request")
# What a request that the model does not allow is answered with.
REFUSAL = {"macie2": "ValidationException", "guardduty": "BadRequestException"}
# Errors that any service of AWS can give, modelled or not.
COMMON = {
    "AccessDeniedException": {403},
    "ExpiredTokenException": {403},
    "InternalFailure": {500},
    "ServiceUnavailable": {503},
    "ThrottlingException": {400, 429},
    "UnrecognizedClientException": {403},
}
# Against the model, and seen: https://github.com/mondoohq/mql/pull/5988
SEEN = {("AccessDeniedException", 401)}


class Scenario:
    """What one test put, and what came in since."""

    def __init__(self, accounts: list[dict[str, Any]]) -> None:
        self.accounts = accounts
        self.log: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        for account in accounts:
            check(account)

    def account(self, caller: str, region: str) -> dict[str, Any]:
        for account in self.accounts:
            named = account.get("caller", "*")
            is_caller = caller.startswith(named[:-1]) if named.endswith("*") else caller == named
            if is_caller and account.get("region", region) == region:
                return account
        raise Impossible(f"the scenario has no account for {caller} in {region}")


def check(account: dict[str, Any]) -> None:
    """A scenario must not hold what the services could never say."""
    known = {"caller", "region", "macie", "guardduty", "errors", "unmodelled"}
    if unknown := account.keys() - known:
        raise Impossible(f"an account has no {sorted(unknown)}")
    for name, errors in account.get("errors", {}).items():
        for error in errors if isinstance(errors, list) else [errors]:
            # Nothing in a list stands for a call that goes well.
            if error is not None:
                check_error(name, error)
    if account.get("unmodelled"):
        return
    macie, guardduty = account.get("macie") or {}, account.get("guardduty") or {}
    for bucket in macie.get("buckets", []) + macie.get("misnamed", []):
        SERVICES["macie2"].check("BucketMetadata", bucket, "bucket")
    for name, detections in macie.get("detections", {}).items():
        for detection in detections:
            SERVICES["macie2"].check("Detection", detection, f"detections of {name}")
    for job in macie.get("jobs", []):
        SERVICES["macie2"].check("JobSummary", job, "job")
    for finding in guardduty.get("findings", []):
        SERVICES["guardduty"].check("Finding", finding, "finding")
    for name in guardduty.get("filters", []):
        SERVICES["guardduty"].check("FilterName", name, "filter")


def check_error(name: str, error: dict[str, Any]) -> None:
    if error.keys() == {"stall"}:
        return
    service = next(service for service, operations in OPERATIONS.items() if name in operations)
    operation = SERVICES[service].model.operation_model(name)
    modelled = {shape.name: {shape.metadata["error"]["httpStatusCode"]} for shape in operation.error_shapes}
    code, status = error["code"], error["status"]
    allowed = modelled.get(code, set()) | COMMON.get(code, set())
    if status not in allowed and (code, status) not in SEEN:
        raise Impossible(f"{name} does not answer {status} {code}")


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    # Head and body in one packet: in two they would wait for each other.
    wbufsize = 1 << 16
    scenarios: dict[str, Scenario] = {}

    def do_GET(self) -> None:
        self.handle_request()

    def do_PUT(self) -> None:
        self.handle_request()

    def do_POST(self) -> None:
        self.handle_request()

    def do_DELETE(self) -> None:
        self.handle_request()

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, query = self.path.partition("?")
        name, _, rest = path.lstrip("/").partition("/")
        if name == "_health":
            self.answer(200, {})
        elif name == "_scenario":
            self.administer(rest, body)
        elif name in self.scenarios:
            self.serve(self.scenarios[name], f"/{rest}", query, body)
        else:
            self.answer(404, {"message": f"there is no scenario {name}"})

    def administer(self, name: str, body: bytes) -> None:
        if self.command == "GET" and name in self.scenarios:
            self.answer(200, self.scenarios[name].log)
            return
        try:
            self.scenarios[name] = Scenario(json.loads(body)["accounts"])
            self.answer(200, {})
        except (Impossible, KeyError, ValueError, StopIteration) as error:
            self.answer(400, {"message": f"the scenario is impossible: {error!r}"})

    def serve(self, scenario: Scenario, path: str, query: str, body: bytes) -> None:
        entry: dict[str, Any] = {"request": f"{self.command} {path}", "at": time.time()}
        stalled = 0.0
        with scenario.lock:
            scenario.log.append(entry)
            try:
                status, code, answer, stalled = self.operate(scenario, path, query, body, entry)
            except Failed as error:
                status, code, answer = error.status, error.code, {"message": error.message}
            except (Impossible, KeyError, TypeError, ValueError) as error:
                entry["impossible"] = repr(error)
                status, code, answer = 500, "StandInException", {"message": repr(error)}
            entry["status"] = status
        # Outside of the lock, so that whoever gave up can look at what came in.
        time.sleep(stalled)
        self.answer(status, answer, code)

    def operate(
        self, scenario: Scenario, path: str, query: str, body: bytes, entry: dict[str, Any]
    ) -> tuple[int, str | None, Any, float]:
        credential = CREDENTIAL.search(self.headers.get("authorization", ""))
        if credential is None:
            raise Failed(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        caller, region, name = credential.groups()
        service = SERVICES[name]
        route = service.route(self.command, path)
        if route is None:
            raise Failed(404, "UnknownOperationException", f"{name} has no {self.command} {path}")
        operation, uri = route
        entry |= {"operation": operation.name, "caller": caller, "region": region}
        account = scenario.account(caller, region)
        try:
            request = service.read(operation, uri, query, json.loads(body) if body else {})
            entry["input"] = request
            error = next_error(account, operation.name)
            if error and "code" in error:
                raise Failed(error["status"], error["code"], error["message"])
            answer = perform(service, operation, account, request)
        except Refused as error:
            entry["refused"] = str(error)
            raise Failed(400, REFUSAL[name], f"The request is rejected: {error}") from error
        if not account.get("unmodelled"):
            answer = service.write(operation, answer)
        return operation.http.get("responseCode", 200), None, answer, (error or {}).get("stall", 0.0)

    def answer(self, status: int, answer: Any, code: str | None = None) -> None:
        body = json.dumps(answer).encode()
        try:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            if code:
                self.send_header("x-amzn-errortype", code)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            # Whoever waits for a stalled answer gives up.
            self.close_connection = True


def perform(service: Service, operation: OperationModel, account: dict[str, Any], request: dict[str, Any]) -> Any:
    function = OPERATIONS[service.name].get(operation.name)
    if function is None:
        raise Impossible(f"this stand-in does not know what {operation.name} does")
    if function is create_filter:
        return create_filter(account, request, service.model)
    return function(account, request)


def next_error(account: dict[str, Any], operation: str) -> dict[str, Any] | None:
    errors = account.get("errors", {}).get(operation)
    if isinstance(errors, list):
        return errors.pop(0) if errors else None
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    server = ThreadingHTTPServer((arguments.host, arguments.port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
