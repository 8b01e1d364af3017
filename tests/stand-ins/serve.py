"""Runs a command while local stand-ins for AWS are up.

    serve.py --write FILE [--only ministack|moto|services] [-- COMMAND [ARGUMENT...]]

Starts MiniStack (with our shim, see ministack_shim.py, and with IAM enforced), moto, and our own stand-in for Macie and
GuardDuty (services.py) on free ports of 127.0.0.1, waits until all answer, and writes FILE, a JSON object with the URL
of each:

    {"ministack": "http://127.0.0.1:41234", "moto": "http://127.0.0.1:41235", "services": "http://127.0.0.1:41236"}

Then it runs COMMAND with PORTCULLIS_TEST_ENDPOINTS set to the absolute path of FILE, stops the
servers and exits with the command's code. Without a command it serves until SIGINT or SIGTERM.
With --only the other servers are neither started nor in FILE.

The servers keep nothing from one run to the next. Their logs are beside FILE, as ministack.log and
so on. In MiniStack the key test, secret test, is the root user of account 000000000000, and a
key that is an account id (222222222222, secret test) is the root user of that account.

Needs nothing but Python 3.11 itself; `make tools` installs the servers into .tools/.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
HOST = "127.0.0.1"
START_TIMEOUT = 60.0
STOP_TIMEOUT = 5.0
# Another program can take a free port between our asking for it and the server's binding it.
START_ATTEMPTS = 3


@dataclass(frozen=True)
class StandIn:
    """How to start one of the servers, and what it answers once it is up."""

    name: str
    program: Path
    arguments: tuple[str, ...]
    health: str

    def command(self, port: int) -> list[str]:
        return [str(self.program), *(argument.format(host=HOST, port=port) for argument in self.arguments)]


STAND_INS = (
    StandIn(
        "ministack",
        ROOT / ".tools/ministack/bin/python",
        (str(HERE / "ministack_shim.py"),),
        "/_ministack/health",
    ),
    StandIn(
        "moto",
        ROOT / ".tools/moto/bin/python",
        ("-m", "moto.server", "-H", "{host}", "-p", "{port}"),
        "/moto-api/data.json",
    ),
    StandIn(
        "services",
        # For botocore, whose models of the two services are newest there.
        ROOT / ".tools/moto/bin/python",
        (str(HERE / "services.py"), "--host", "{host}", "--port", "{port}"),
        "/_health",
    ),
)


class Stopped(Exception):
    """SIGTERM, as an exception, so that everything that was started is also stopped."""


def main() -> int:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, stop)
    chosen = [s for s in STAND_INS if arguments.only in (None, s.name)]
    with contextlib.ExitStack() as stack:
        try:
            return serve(chosen, arguments.write.resolve(), arguments.command, stack)
        except (Stopped, KeyboardInterrupt):
            return 128 + signal.SIGTERM


def parse_arguments() -> argparse.Namespace:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--write", type=Path, required=True, metavar="FILE", help="where to write the URLs")
    parser.add_argument("--only", choices=[s.name for s in STAND_INS], help="start this server alone")
    parser.add_argument("command", nargs="*", help="what to run, after --")
    return parser.parse_args()


def stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


def serve(chosen: list[StandIn], file: Path, command: list[str], stack: contextlib.ExitStack) -> int:
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="stand-ins-", dir=file.parent))
    # Lambda workers of a stopped MiniStack may still be writing there for a moment.
    stack.callback(shutil.rmtree, scratch, ignore_errors=True)
    urls = {s.name: stack.enter_context(running(s, scratch, file.with_name(f"{s.name}.log"))) for s in chosen}
    # A reader never sees half a file.
    partial = scratch / "endpoints.json"
    partial.write_text(json.dumps(urls) + "\n")
    partial.replace(file)
    stack.callback(file.unlink, missing_ok=True)
    if not command:
        print(json.dumps(urls), flush=True)
        while True:
            signal.pause()
    with subprocess.Popen(command, env={**os.environ, "PORTCULLIS_TEST_ENDPOINTS": str(file)}) as process:
        try:
            return exit_code(process.wait())
        except BaseException:
            process.terminate()
            raise


def exit_code(code: int) -> int:
    """The code of a shell: 128 and the signal, where a signal ended the command."""
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def running(stand_in: StandIn, scratch: Path, log: Path) -> Iterator[str]:
    """A server that answers, for as long as the context lasts; its URL."""
    if not stand_in.program.exists():
        raise SystemExit(f"serve.py: {stand_in.program} is not there; run `make tools`")
    for _ in range(START_ATTEMPTS):
        port = free_port()
        process = start(stand_in, port, scratch, log)
        try:
            url = f"http://{HOST}:{port}"
            if answers(process, url + stand_in.health):
                yield url
                return
        finally:
            end(process)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise SystemExit(f"serve.py: {stand_in.name} does not start. The end of {log}:\n{tail}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


def start(stand_in: StandIn, port: int, scratch: Path, log: Path) -> subprocess.Popen[bytes]:
    # MiniStack hands its own environment to the functions that it runs, so it gets no more than this.
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PYTHONDONTWRITEBYTECODE": "1",
        # MiniStack would otherwise listen to the network.
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "AUTH": "true",
    }
    with log.open("wb") as output:
        # A session of its own, so that Ctrl-C ends the command first, and so that the server's own
        # children can be ended with it.
        return subprocess.Popen(
            stand_in.command(port),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def answers(process: subprocess.Popen[bytes], url: str) -> bool:
    """Waits until the server answers; False when it has ended instead."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(url, timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    return False


def end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)


if __name__ == "__main__":
    sys.exit(main())
