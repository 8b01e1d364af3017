"""Measures what the function costs, beside candidates that do less, and one that does as AWS's sample does.

`make bench` runs this. Every candidate is the same to the bench: a program that gets one event from a Runtime
API and makes its AWS calls over TLS to a small server, both of them in this process. The candidates take
turns, in another order each time, so that whatever else the machine does hits all of them. Only ratios mean
something, and so nothing here fails on a time: the aims are printed beside what was measured, and
target/bench.json has it all. What does not vary, the size of the package and the number of calls, fails where it
is beyond its aim.
"""

import argparse
import json
import os
import platform
import random
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from servers import ACCOUNT, HOST, STORE, Call, FakeS3, RuntimeApi

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILT = ROOT / "target/lambda"
PYTHON = ROOT / ".tools/moto/bin/python"
POLICY = HERE / "policy.yaml"
EVENTS = ROOT / "events"

TIMEOUT = 60.0
LATENCIES_MS = (0, 20, 50)
# Of a containment, those that are asked side by side included, and each once: a busy machine may have one asked again.
CALLS_BEFORE = 12
# GuardDuty names no more resources in one attack sequence.
BUCKETS = 400
# The event that costs the function least.
IGNORED = "ignored-malware-scan-result.json"
BUNDLES = ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem")
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Candidate:
    name: str
    what: str
    command: tuple[str, ...]
    event: str
    variables: tuple[tuple[str, str], ...] = ()
    # What takes long is run in one round out of so many.
    every: int = 1


@dataclass(frozen=True)
class Run:
    """One process, from its start to its answers. Times in milliseconds."""

    cold: float
    init: float
    # Processor time, its end included. A busy machine changes it less than the times above.
    cpu: float
    peak_kib: int
    calls: list[Call]
    # From the process's start, and from the last event, to the answer to the first containing write.
    contained_after_start: float | None
    contained_after_event: float | None
    # From the last event to the answer to the last reading back of what was written, and to the function's own answer.
    verified_after_event: float | None
    answered_after_event: float
    # What was seen of it, each after its start.
    marks: dict[str, float]


class Bench:
    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        subprocess.run([PYTHON, HERE / "certificates.py", scratch], check=True)
        small = scratch / "ca.pem"
        self.roots = {"small": small}
        if bundle := system_bundle():
            self.roots["system"] = scratch / "system.pem"
            self.roots["system"].write_bytes(bundle.read_bytes() + b"\n" + small.read_bytes())
        self.s3 = FakeS3(scratch / "server.pem", POLICY.read_bytes())

    def run(self, candidate: Candidate, roots: str = "small", latency_ms: float = 0, before: str | None = None) -> Run:
        """Runs a candidate once, in a new process. `before` names an event that it gets before its own."""
        self.s3.reset(latency_ms / 1000)
        events = [name for name in (before, candidate.event) if name]
        api = RuntimeApi([(EVENTS / name).read_bytes() for name in events])
        log = self.scratch / "log"
        try:
            start, answers, peak, cpu = self._run(candidate, api, len(events), self.roots[roots], log)
        except RuntimeError as problem:
            tail = log.read_text(errors="replace")[-4000:]
            raise SystemExit(f"bench.py: {candidate.name}: {problem}\n{tail}") from None
        finally:
            api.close()
        if self.s3.unexpected:
            raise SystemExit(f"bench.py: {candidate.name}: servers.py does not know {sorted(set(self.s3.unexpected))}")
        calls = self.s3.calls()
        writes = [call.answered for call in calls if call.contains]
        written = next(iter(writes), None)
        read_back = [call.answered for call in calls if call.verifies and writes and call.asked > written]
        return Run(
            cold=(answers[0] - start) * 1000,
            init=(api.handed_over[0] - start) * 1000,
            cpu=cpu * 1000,
            peak_kib=peak,
            calls=calls,
            contained_after_start=written and (written - start) * 1000,
            contained_after_event=written and (written - api.handed_over[-1]) * 1000,
            verified_after_event=read_back and (max(read_back) - api.handed_over[-1]) * 1000 or None,
            answered_after_event=(answers[-1] - api.handed_over[-1]) * 1000,
            marks=marks(start, self.s3, api, answers[0]),
        )

    def _run(
        self, candidate: Candidate, api: RuntimeApi, events: int, roots: Path, log: Path
    ) -> tuple[float, list[float], int, float]:
        environment = {
            "AWS_LAMBDA_RUNTIME_API": f"{HOST}:{api.port}",
            "AWS_LAMBDA_FUNCTION_NAME": "portcullis",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_LOG_GROUP_NAME": "portcullis",
            "AWS_LAMBDA_LOG_STREAM_NAME": "1",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_ENDPOINT_URL": f"https://{HOST}:{self.s3.port}",
            "PORTCULLIS_STORE": f"s3://{STORE}",
            "PORTCULLIS_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/portcullis",
            "SSL_CERT_FILE": str(roots),
            # What boto3 reads in its stead.
            "AWS_CA_BUNDLE": str(roots),
            "PATH": os.defpath,
            **dict(candidate.variables),
        }
        output = (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        actions = [output, (os.POSIX_SPAWN_DUP2, 1, 2)]
        start = time.perf_counter()
        # subprocess.Popen would add its own time, more than that of the smallest candidate.
        process = os.posix_spawn(candidate.command[0], candidate.command, environment, file_actions=actions)
        try:
            answered = [api.answered(TIMEOUT) for _ in range(events)]
            peak = peak_kib(process)
        finally:
            os.kill(process, signal.SIGKILL)
            _, _, usage = os.wait4(process, 0)
        return start, answered, peak, usage.ru_utime + usage.ru_stime


def marks(start: float, s3: FakeS3, api: RuntimeApi, answered: float) -> dict[str, float]:
    """What the servers see of a process up to its first answer, in milliseconds after its start."""
    connection, calls = s3.first_connection(), s3.calls()
    seen = {"it asks for the event": api.handed_over[0], "it answers": answered}
    if connection and calls:
        came, shaken = connection
        seen |= {
            "it connects": came,
            "the TLS handshake is done": shaken,
            "its call is there": calls[0].asked,
            "the call is answered": calls[0].answered,
        }
    return {what: (moment - start) * 1000 for what, moment in seen.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20, help="runs of each candidate (default: 20)")
    parser.add_argument("--write", type=Path, default=ROOT / "target/bench.json", metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="portcullis-bench-") as folder:
        scratch = Path(folder)
        candidates = prepare(scratch)
        bench = Bench(scratch)
        contain = candidates["contain"]
        report = {
            "machine": {"cpus": os.cpu_count(), "architecture": platform.machine(), "load": os.getloadavg()},
            "rounds": arguments.rounds,
            "cold": cold_starts(bench, candidates.values(), arguments.rounds),
            "sizes": sizes(Path(contain.command[0]), scratch),
            "sequence": sequence(bench, contain, max(3, arguments.rounds // 4)),
            "many": many(bench, contain, scratch, max(1, arguments.rounds // 7)),
        }
    report["aims"] = aims(report)
    show(report)
    arguments.write.parent.mkdir(parents=True, exist_ok=True)
    arguments.write.write_text(json.dumps(report, indent=2) + "\n")
    beyond = [aim["what"] for aim in report["aims"] if aim["fixed"] and not aim["met"]]
    if beyond:
        print(f"bench.py: beyond the aim: {', '.join(beyond)}", file=sys.stderr)
    return 1 if beyond else 0


def prepare(scratch: Path) -> dict[str, Candidate]:
    """The candidates. Programs are copied, so that a build at the same time changes nothing."""

    def built(name: str) -> tuple[str, ...]:
        program = BUILT / name / "bootstrap"
        if not program.exists():
            raise SystemExit(f"bench.py: {program} is not there; run `make bench`")
        return (shutil.copy2(program, scratch / name),)

    if not PYTHON.exists():
        raise SystemExit(f"bench.py: {PYTHON} is not there; run `make tools`")
    names = ("bench-empty", "bench-floor", "bench-hosted", "portcullis-lambda")
    empty, floor, hosted, portcullis = (built(name) for name in names)
    boto3 = (str(PYTHON), str(HERE / "candidates/sample.py"))
    public, logging_off = "anonymous-access-granted.json", "server-access-logging-disabled.json"
    from_file = ("PORTCULLIS_POLICY", str(POLICY))
    enforce = ("PORTCULLIS_MODE", "enforce")
    candidates = [
        Candidate("empty", "lambda_runtime alone, no AWS call", empty, public),
        Candidate("floor", "bare TLS and SigV4: four flags, unseen", floor, public),
        Candidate("hosted", "the same within lambda_runtime", hosted, public),
        Candidate("ignore", "portcullis: policy from the store, event ignored", portcullis, IGNORED),
        Candidate("record", "portcullis: policy from a file, one record", portcullis, logging_off, (from_file,)),
        Candidate("contain", "portcullis: bucket contained, as deployed", portcullis, public, (enforce,)),
        Candidate("boto3", "Python, boto3: four flags, unseen", boto3, public, every=2),
    ]
    return {candidate.name: candidate for candidate in candidates}


def cold_starts(bench: Bench, candidates: Iterable[Candidate], rounds: int) -> list[dict[str, object]]:
    pairs = [(candidate, roots) for candidate in candidates for roots in bench.roots]
    # The first run reads the programs from the disk.
    runs: dict[tuple[str, str], list[Run]] = {(c.name, roots): [] for c, roots in pairs if bench.run(c, roots)}
    for number in range(rounds):
        # Each has its turn behind each of the others: what ran last is in the caches, and takes its time to go.
        for candidate, roots in random.Random(number).sample(pairs, len(pairs)):
            if number % candidate.every == 0:
                runs[candidate.name, roots].append(bench.run(candidate, roots))
    return [
        {
            "candidate": candidate.name,
            "what": candidate.what,
            "roots": roots,
            "runs": len(taken),
            "cold_ms": median(run.cold for run in taken),
            "lowest_ms": round(min(run.cold for run in taken), 2),
            "init_ms": median(run.init for run in taken),
            "cpu_ms": median(run.cpu for run in taken),
            "peak_mib": round(max(run.peak_kib for run in taken) / 1024, 1),
            "connections": len({call.connection for call in taken[-1].calls}),
            "marks_ms": {mark: median(run.marks[mark] for run in taken) for mark in taken[-1].marks},
            "calls": [str(call) for call in taken[-1].calls],
        }
        for candidate, roots in pairs
        for taken in [runs[candidate.name, roots]]
    ]


def sequence(bench: Bench, contain: Candidate, rounds: int) -> dict[str, object]:
    """How many round trips lie one after the other up to the first containing write, that one included.

    What each millisecond of latency adds to the time is the number of calls that wait for one another.
    """
    cold: dict[int, list[Run]] = {latency: [] for latency in LATENCIES_MS}
    warm: dict[int, list[Run]] = {latency: [] for latency in LATENCIES_MS}
    for _ in range(rounds):
        for latency in LATENCIES_MS:
            cold[latency].append(bench.run(contain, latency_ms=latency))
            warm[latency].append(bench.run(contain, latency_ms=latency, before=IGNORED))
    ways = [
        ("process start to first write", cold, "contained_after_start"),
        ("event to first write, new process", cold, "contained_after_event"),
        ("event to first write, warm process", warm, "contained_after_event"),
        ("event to verified, new process", cold, "verified_after_event"),
        ("event to verified, warm process", warm, "verified_after_event"),
        ("event to answer, warm process", warm, "answered_after_event"),
    ]
    calls = cold[LATENCIES_MS[-1]][-1].calls
    connections = list(dict.fromkeys(call.connection for call in calls))
    return {
        "latencies_ms": list(LATENCIES_MS),
        "ways": [
            {"what": what, "median_ms": list(times.values()), "round_trips": slope(times)}
            for what, runs, key in ways
            for times in [{latency: median(getattr(run, key) for run in taken) for latency, taken in runs.items()}]
        ],
        "calls_before_first_write": len({str(call) for call in takewhile(lambda call: not call.contains, calls)}),
        "timeline_ms": [
            {
                "call": str(call),
                "asked": round((call.asked - calls[0].asked) * 1000, 1),
                "connection": connections.index(call.connection) + 1,
            }
            for call in calls
        ],
    }


def many(bench: Bench, contain: Candidate, scratch: Path, rounds: int) -> dict[str, object]:
    """An attack sequence with as many buckets as there can be: all of it, and what one bucket adds."""
    event = scratch / "many.json"
    event.write_text(json.dumps(attack(BUCKETS)))
    contain = replace(contain, event=str(event))
    runs: dict[int, list[Run]] = {latency: [] for latency in LATENCIES_MS}
    for _ in range(rounds):
        for latency in LATENCIES_MS:
            runs[latency].append(bench.run(contain, latency_ms=latency))
    last = runs[LATENCIES_MS[-1]][-1]
    written = {call.what.partition("?")[0] for call in last.calls if call.contains}
    if len(written) != BUCKETS:
        raise SystemExit(f"bench.py: of {BUCKETS} buckets {len(written)} were contained")
    times = {latency: median(run.answered_after_event for run in taken) for latency, taken in runs.items()}
    return {
        "buckets": BUCKETS,
        "event_bytes": event.stat().st_size,
        "median_ms": list(times.values()),
        "round_trips": slope(times),
        "calls": len(last.calls),
        "peak_mib": round(max(run.peak_kib for taken in runs.values() for run in taken) / 1024, 1),
    }


def attack(buckets: int) -> dict:
    """The attack sequence of our events, with this many buckets instead of its own."""
    event = json.loads((EVENTS / "attack-sequence-s3.json").read_text())
    sequence = event["detail"]["service"]["detection"]["sequence"]
    one = next(resource for resource in sequence["resources"] if resource["resourceType"] == "S3_BUCKET")
    one["data"]["s3Bucket"]["s3ObjectUids"] = []
    names = [f"amzn-s3-demo-bucket-{number:03}" for number in range(buckets)]
    sequence["resources"] = [{**one, "name": name, "uid": f"arn:aws:s3:::{name}"} for name in names]
    return event


def slope(times: dict[int, float]) -> float:
    low, high = min(times), max(times)
    return round((times[high] - times[low]) / (high - low), 1)


def sizes(program: Path, scratch: Path) -> dict[str, int]:
    package = scratch / "package.zip"
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(program, "bootstrap")
    return {"binary_bytes": program.stat().st_size, "zip_bytes": package.stat().st_size}


def aims(report: dict) -> list[dict[str, object]]:
    """The aims of the project, each with what was measured and whether that is within it."""
    measured = {(row["candidate"], row["roots"]): row for row in report["cold"]}
    cold = {key: row["cold_ms"] for key, row in measured.items()}
    rows: list[dict[str, object]] = []

    def add(what: str, value: float, aim: float, met: bool, fixed: bool = False) -> None:
        rows.append({"what": what, "measured": round(value, 2), "aim": aim, "met": met, "fixed": fixed})

    for roots in dict.fromkeys(roots for _, roots in cold):
        one, floor, boto3 = (cold[name, roots] for name in ("ignore", "floor", "boto3"))
        add(f"cold start over the floor, one call, {roots} roots", one / floor, 1.5, one <= 1.5 * floor)
        add(f"boto3 over cold start, one call, {roots} roots", boto3 / one, 40, boto3 >= 40 * one)
    calls = max(len(row["calls"]) for (name, _), row in measured.items() if name == "ignore")
    add("calls of an event that is ignored", calls, 1, calls == 1, fixed=True)
    before = report["sequence"]["calls_before_first_write"]
    add("different calls before the first write", before, CALLS_BEFORE, before <= CALLS_BEFORE, fixed=True)
    zipped = report["sizes"]["zip_bytes"] / MEBIBYTE
    add("package, MiB", zipped, 6, zipped < 6, fixed=True)
    peak = max(row["peak_mib"] for (name, _), row in measured.items() if name == "contain")
    add("peak memory of a containment, MiB", peak, 40, peak < 40)
    many = report["many"]
    add(f"peak memory of {many['buckets']} containments, MiB", many["peak_mib"], 128, many["peak_mib"] < 128)
    for way in report["sequence"]["ways"]:
        if way["what"].startswith("event to first write"):
            # A machine at work adds a little to each round trip.
            trips = way["round_trips"]
            add(f"round trips, {way['what']}", trips, 3, round(trips) <= 3)
    return rows


def show(report: dict) -> None:
    floors = {row["roots"]: row["cold_ms"] for row in report["cold"] if row["candidate"] == "floor"}
    print(f"Cold start: process start to first answer; medians of {report['rounds']} runs, milliseconds\n")
    rows = [
        [
            row["what"],
            row["roots"],
            *(f"{row[key]:.1f}" for key in ("cold_ms", "lowest_ms", "init_ms", "cpu_ms")),
            f"{row['cold_ms'] / floors[row['roots']]:.2f}",
            str(len(row["calls"])),
            str(row["connections"]),
            f"{row['peak_mib']:.1f}",
        ]
        for row in report["cold"]
    ]
    columns = ("roots", "cold", "lowest", "init", "cpu", "/ floor", "calls", "connections", "peak MiB")
    table(("", *columns), rows)
    for name in ("floor", "hosted", "ignore", "record"):
        row = next(row for row in report["cold"] if row["candidate"] == name)
        print(f"\nWhere the cold start goes: {row['what']}, {row['roots']} roots; milliseconds\n")
        before = 0.0
        for mark, moment in sorted(row["marks_ms"].items(), key=lambda item: item[1]):
            print(f"  {moment - before:7.2f}  until {mark}")
            before = moment
    sequence = report["sequence"]
    print("\nA containment, by the latency of each AWS call; milliseconds\n")
    rows = [
        [way["what"], *(f"{value:.1f}" for value in way["median_ms"]), f"{way['round_trips']:.1f}"]
        for way in sequence["ways"]
    ]
    table(("", *(f"{latency} ms" for latency in sequence["latencies_ms"]), "round trips"), rows)
    print(f"\nIts calls at {sequence['latencies_ms'][-1]} ms, when they were asked, and the connection\n")
    for call in sequence["timeline_ms"]:
        print(f"  {call['asked']:7.1f}  {call['connection']:2}  {call['call']}")
    many = report["many"]
    print(
        f"\nAn attack sequence with {many['buckets']} buckets, {many['event_bytes']:,} bytes, from the event to the answer; "
        f"{many['calls']:,} calls, {many['peak_mib']} MiB; milliseconds\n"
    )
    rows = [["all of it", *(f"{value:,.0f}" for value in many["median_ms"]), f"{many['round_trips']:.0f}"]]
    table(("", *(f"{latency} ms" for latency in sequence["latencies_ms"]), "round trips"), rows)
    print(f"\nBinary {report['sizes']['binary_bytes']:,} bytes, zip {report['sizes']['zip_bytes']:,} bytes\n")
    verdicts = {True: "met", False: "missed"}
    rows = [[aim["what"], f"{aim['measured']:.2f}", str(aim["aim"]), verdicts[aim["met"]]] for aim in report["aims"]]
    table(("", "measured", "aim", ""), rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        print(" ", row[0].ljust(widths[0]), *cells, sep="  ")


def median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 2)


def peak_kib(process: int) -> int:
    """The most memory a living process has had resident. That of getrusage counts our own, from before exec."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("it has no VmHWM")


def system_bundle() -> Path | None:
    """The system's certificates in one file, where there is such a file."""
    places = [ssl.get_default_verify_paths().openssl_cafile, *BUNDLES]
    return next((Path(place) for place in places if place and Path(place).is_file()), None)


if __name__ == "__main__":
    sys.exit(main())
