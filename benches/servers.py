"""The two servers that a function under test talks to: S3 over TLS, and the Runtime API of Lambda.

Both are as small as they can be, for their time is part of what is measured, for all candidates alike.
They speak to one client that is well-behaved, and fail loudly where it asks for something else.
"""

import hashlib
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

HOST = "127.0.0.1"
ACCOUNT = "111122223333"
STORE = "portcullis-store"
NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

# What S3 answers where a setting of a bucket was never made.
NOT_CONFIGURED = {
    "policy": "NoSuchBucketPolicy",
    "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
    "tagging": "NoSuchTagSet",
}
ACL = f"""<AccessControlPolicy {NAMESPACE}><Owner><ID>6bc3f2fc</ID></Owner><AccessControlList><Grant>
<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>6bc3f2fc</ID></Grantee>
<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>""".encode()


# Where the account's own flags are asked for; they were never made.
ACCOUNT_FLAGS = "/v20180820/configuration/publicAccessBlock"
# GuardDuty says that the account has no detector, and Macie that it is off. Neither keeps the function from containing.
SERVICES = {
    "GET /detector": (200, b'{"detectorIds":[]}', {}),
    "POST /datasources/s3": (403, b'{"message":"Macie is not enabled"}', {"x-amzn-errortype": "AccessDeniedException"}),
}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def bytes(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} X", *(f"{name}: {value}" for name, value in self.headers.items())]
        # These have no body, and a length would announce one.
        if self.status not in (204, 304):
            lines.append(f"content-length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True)
class Call:
    """One AWS call, as the server saw it. Times are those of time.perf_counter."""

    method: str
    what: str
    connection: int
    asked: float
    answered: float

    @property
    def contains(self) -> bool:
        """Whether it writes to something else than the store."""
        return self.method in ("PUT", "DELETE") and not self.what.startswith(f"{STORE}/")

    @property
    def verifies(self) -> bool:
        """Whether it reads a setting."""
        return self.method == "GET" and "?" in self.what

    def __str__(self) -> str:
        return f"{self.method} {self.what}"


class Listener:
    """Accepts connections, each in a thread of its own, until it is closed."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self._connections: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # A thread that blocks in accept() holds the socket; only a shutdown wakes it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        for number in range(1 << 30):
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            connection = self.prepare(connection, number)
            with connection, connection.makefile("rb") as stream:
                for request in requests(stream):
                    answer = self.answer(request, number)
                    connection.sendall(answer.bytes())
        except (OSError, ValueError):
            # The client was ended, which is how every run ends.
            return

    def prepare(self, connection: socket.socket, _: int) -> socket.socket:
        return connection

    def answer(self, request: Request, connection: int) -> Answer:
        raise NotImplementedError


class FakeS3(Listener):
    """One store bucket and one public bucket, over TLS, and what GuardDuty and Macie say where they are off.

    Knows what a containment needs and no more. Every other bucket is as the public one.
    """

    def __init__(self, certificate: Path, policy: bytes) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        self._policy = policy
        self._lock = threading.Lock()
        self.reset(0)
        super().__init__()

    def reset(self, latency: float) -> None:
        """Forgets what was written. From now on each call takes `latency` seconds."""
        with self._lock:
            self._latency = latency
            self._objects = {"policy.yaml": self._policy}
            # None where a setting was deleted.
            self._settings: dict[tuple[str, str], bytes | None] = {}
            self._calls: list[Call] = []
            # When each connection came, and when its handshake was done.
            self._shaken: dict[int, tuple[float, float]] = {}
            self.unexpected: list[str] = []

    def calls(self) -> list[Call]:
        """In the order in which they were asked."""
        with self._lock:
            return sorted(self._calls, key=lambda call: call.asked)

    def first_connection(self) -> tuple[float, float] | None:
        """When it came, and when its handshake was done; none where nobody connected."""
        with self._lock:
            return min(self._shaken.values(), default=None)

    def prepare(self, connection: socket.socket, number: int) -> socket.socket:
        came = time.perf_counter()
        secured = self._tls.wrap_socket(connection, server_side=True)
        with self._lock:
            self._shaken[number] = (came, time.perf_counter())
        return secured

    def answer(self, request: Request, connection: int) -> Answer:
        asked = time.perf_counter()
        if self._latency:
            time.sleep(self._latency)
        bucket, _, key = request.path.lstrip("/").partition("/")
        query = parse_qs(request.query, keep_blank_values=True)
        # SDKs say by it which operation they mean.
        query.pop("x-id", None)
        prefix = query.get("prefix", [""])[0]
        service = SERVICES.get(f"{request.method} {request.path}")
        with self._lock:
            if request.path == ACCOUNT_FLAGS:
                what = request.path
                answer = error(404, "NoSuchPublicAccessBlockConfiguration")
            elif service:
                what = request.path
                status, body, headers = service
                answer = Answer(status, body, {"content-type": "application/json", **headers})
            elif bucket == STORE and key:
                what = f"{bucket}/{key}"
                answer = self._object(key, request)
            elif bucket == STORE and "list-type" in query:
                what = f"{bucket}/{prefix}*"
                answer = self._list(prefix)
            elif query and not key:
                what = f"{bucket}?{next(iter(query))}"
                answer = self._setting(bucket, next(iter(query)), request)
            else:
                what = request.path
                answer = error(501, "NotImplemented")
            if answer.status == 501:
                self.unexpected.append(f"{request.method} {what}")
            self._calls.append(Call(request.method, what, connection, asked, time.perf_counter()))
        return answer

    def _object(self, key: str, request: Request) -> Answer:
        present = self._objects.get(key)
        if request.method == "GET":
            if present is None:
                return error(404, "NoSuchKey")
            if request.headers.get("if-none-match") == etag(present):
                return Answer(304, headers={"etag": etag(present)})
            return Answer(200, present, {"etag": etag(present), "content-type": "text/plain"})
        if request.method != "PUT" or "aws-chunked" in request.headers.get("content-encoding", ""):
            return error(501, "NotImplemented")
        wanted = request.headers.get("if-match")
        if request.headers.get("if-none-match") == "*" and present is not None:
            return error(412, "PreconditionFailed")
        if wanted is not None and (present is None or etag(present) != wanted):
            return error(412, "PreconditionFailed")
        self._objects[key] = request.body
        return Answer(200, headers={"etag": etag(request.body)})

    def _list(self, prefix: str) -> Answer:
        keys = [key for key in self._objects if key.startswith(prefix)]
        contents = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
        body = f"<ListBucketResult {NAMESPACE}><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        return Answer(200, body.encode(), {"content-type": "application/xml"})

    def _setting(self, bucket: str, name: str, request: Request) -> Answer:
        place = (bucket, name)
        match request.method:
            case "GET" if name == "acl":
                return Answer(200, ACL)
            case "GET" if name in NOT_CONFIGURED:
                unwritten = public_policy(bucket) if name == "policy" else None
                body = self._settings.get(place, unwritten)
                return error(404, NOT_CONFIGURED[name]) if body is None else Answer(200, body)
            case "PUT" if name in ("policy", "publicAccessBlock"):
                self._settings[place] = request.body
                return Answer(200)
            case "DELETE" if name in NOT_CONFIGURED:
                self._settings[place] = None
                return Answer(204)
        return error(501, "NotImplemented")


class RuntimeApi(Listener):
    """Hands one event after the other to the function, and takes its answers."""

    def __init__(self, events: Sequence[bytes]) -> None:
        self._events = events
        self._answers: queue.SimpleQueue[tuple[float, str, bytes]] = queue.SimpleQueue()
        # When each event was handed over; as time.perf_counter has it, as all times here.
        self.handed_over: list[float] = []
        super().__init__()

    def answered(self, timeout: float) -> float:
        """Waits for the next answer; when it came."""
        try:
            answered, path, body = self._answers.get(timeout=timeout)
        except queue.Empty:
            raise RuntimeError("it did not answer") from None
        if not path.endswith("/response"):
            raise RuntimeError(f"it answered with {path}: {body.decode(errors='replace')}")
        return answered

    def answer(self, request: Request, connection: int) -> Answer:
        now = time.perf_counter()
        if not request.path.endswith("/invocation/next"):
            self._answers.put((now, request.path, request.body))
            return Answer(202, b'{"status":"OK"}')
        if len(self.handed_over) == len(self._events):
            # There is no other event: the function waits, as it does on Lambda.
            threading.Event().wait()
        event = self._events[len(self.handed_over)]
        self.handed_over.append(now)
        headers = {
            "Lambda-Runtime-Aws-Request-Id": f"8476a536-e9f4-11e8-9739-{len(self.handed_over):012}",
            "Lambda-Runtime-Deadline-Ms": str(round((time.time() + 60) * 1000)),
            "Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793",
            "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:portcullis",
            "Content-Type": "application/json",
        }
        return Answer(200, event, headers)


def requests(stream: BufferedReader) -> Iterator[Request]:
    while line := stream.readline():
        method, target, _ = line.decode().split(" ")
        headers = {}
        while (line := stream.readline().rstrip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if "chunked" in headers.get("transfer-encoding", ""):
            body = b"".join(chunks(stream.readline, stream.read))
        else:
            body = stream.read(int(headers.get("content-length", "0")))
        url = urlsplit(target)
        yield Request(method, unquote(url.path), url.query, headers, body)


def chunks(line: Callable[[], bytes], read: Callable[[int], bytes]) -> Iterator[bytes]:
    while size := int(line(), 16):
        yield read(size)
        line()
    line()


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def error(status: int, code: str) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>{code}</Message><RequestId>1</RequestId></Error>"
    return Answer(status, body.encode(), {"content-type": "application/xml"})


def public_policy(bucket: str) -> bytes:
    return (
        '{"Version":"2012-10-17","Statement":[{"Sid":"World","Effect":"Allow","Principal":"*",'
        f'"Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}}]}}'
    ).encode()
