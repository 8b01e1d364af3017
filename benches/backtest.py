"""Measures how fast the backtest is, what memory it takes, and how both grow.

`make bench` runs this. The findings are made by `bench-findings` from a seed, in the shapes of events/. A rate is
findings for each second of processor time, which another process on the machine changes less than the time on the
clock. Nothing here fails on a time: the aims are printed beside what was measured, and target/backtest.json has all.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench import ROOT, table

BUILT_IN = ROOT / "src/policy/default.yaml"
SEED = "20260301"
# How many rules and exceptions are added to the built-in policy.
ADDED = (0, 100, 1_000)

RULE = """
  - id: added-{number}
    when: {{ finding: ["Discovery:S3/*"], bucket: ["acme-{number}-*"], account: ["999988887777"] }}
    measures: [block-public-access]
"""
EXCEPTION = """
  - id: added-{number}
    match: {{ bucket: ["acme-{number}-*"], account: ["999988887777"] }}
    withhold: all
    reason: One that never holds
    expires: 2099-12-31
"""


@dataclass(frozen=True)
class Run:
    """One process. Times in seconds."""

    clock: float
    cpu: float
    peak_mib: float
    findings: int

    @property
    def rate(self) -> float:
        return self.findings / self.cpu


class Bench:
    def __init__(self, program: Path, generator: Path, scratch: Path, rounds: int) -> None:
        self.program, self.generator, self.scratch, self.rounds = program, generator, scratch, rounds

    def findings(self, count: int) -> Path:
        path = self.scratch / f"{count}.jsonl"
        if not path.exists():
            with path.open("wb") as file:
                subprocess.run([self.generator, str(count), SEED], stdout=file, check=True)
        return path

    def policy(self, name: str, rules: int = 0, exceptions: int = 0) -> Path:
        """The built-in policy with rules in front of its own, and exceptions, none of which ever matches."""
        text = BUILT_IN.read_text()
        added = "".join(RULE.format(number=number) for number in range(rules))
        text = text.replace("\nrules:\n", f"\nrules:{added}\n", 1)
        if exceptions:
            added = "".join(EXCEPTION.format(number=number) for number in range(exceptions))
            text = text.replace("\nexceptions: []\n", f"\nexceptions:{added}\n", 1)
        path = self.scratch / f"{name}.yaml"
        path.write_text(text)
        return path

    def run(self, count: int, policy: Path, *more: str) -> Run:
        """The median of some runs, by processor time."""
        findings = self.findings(count)
        runs = [self._run(findings, policy, *more) for _ in range(self.rounds)]
        middle = statistics.median_low(run.cpu for run in runs)
        return next(run for run in runs if run.cpu == middle)

    def _run(self, findings: Path, policy: Path, *more: str) -> Run:
        arguments = ["backtest", findings, "--policy", policy, "--facts", "none", "--output", "json", *more]
        start = time.perf_counter()
        with subprocess.Popen([self.program, *arguments], stdout=subprocess.PIPE, env={}) as process:
            answer = process.stdout.read() if process.stdout else b""
            # Not `wait`, which leaves out what it took. The memory begins with ours, before exec, which is less.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        clock = time.perf_counter() - start
        if process.returncode != 0:
            raise SystemExit(f"backtest.py: {self.program} ended with {process.returncode}")
        read = json.loads(answer)["read"]
        return Run(clock, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, read["findings"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--built", type=Path, default=ROOT / "target/cli", help="where the programs are")
    parser.add_argument("--findings", type=int, default=200_000, help="how many at most (default: 200000)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--write", type=Path, default=ROOT / "target/backtest.json", metavar="FILE")
    arguments = parser.parse_args()
    most = arguments.findings
    with tempfile.TemporaryDirectory(prefix="portcullis-backtest-") as folder:
        programs = arguments.built / "portcullis", arguments.built / "examples/bench-findings"
        bench = Bench(*programs, Path(folder), arguments.rounds)
        report = {
            "machine": {"cpus": os.cpu_count(), "architecture": platform.machine(), "load": os.getloadavg()},
            "bytes_each": round(bench.findings(most).stat().st_size / most),
            "rows": rows(bench, most),
        }
    report["aims"] = aims(report["rows"], most)
    show(report)
    arguments.write.parent.mkdir(parents=True, exist_ok=True)
    arguments.write.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def rows(bench: Bench, most: int) -> list[dict[str, object]]:
    plain, half = bench.policy("plain"), most // 2
    # The first run reads the program and the findings from the disk.
    bench._run(bench.findings(most), plain)
    runs = {f"{count} findings": bench.run(count, plain) for count in (most // 4, half, most)}
    runs[f"{most} findings, against another policy"] = bench.run(most, plain, "--against", "built-in")
    for number in ADDED[1:]:
        policy = bench.policy(f"rules-{number}", rules=number)
        runs[f"{half} findings, {number} more rules"] = bench.run(half, policy)
    for number in ADDED[1:]:
        policy = bench.policy(f"exceptions-{number}", exceptions=number)
        runs[f"{half} findings, {number} more exceptions"] = bench.run(half, policy)
    return [
        {
            "what": what,
            "findings": run.findings,
            "clock_s": round(run.clock, 2),
            "cpu_s": round(run.cpu, 2),
            "rate": round(run.rate),
            "us_each": round(run.cpu / run.findings * 1e6, 1),
            "peak_mib": round(run.peak_mib, 1),
        }
        for what, run in runs.items()
    ]


def aims(rows: list[dict], most: int) -> list[dict[str, object]]:
    by = {row["what"]: row for row in rows}
    quarter, all_ = by[f"{most // 4} findings"], by[f"{most} findings"]
    growth = all_["cpu_s"] / max(quarter["cpu_s"], 0.01)
    peak = max(row["peak_mib"] for row in rows)
    memory = all_["peak_mib"] / quarter["peak_mib"]
    return [
        {"what": "findings a second and core", "measured": all_["rate"], "aim": 100_000, "met": all_["rate"] >= 1e5},
        {"what": "peak memory, MiB", "measured": peak, "aim": 100, "met": peak < 100},
        {"what": "time of four times as many findings", "measured": round(growth, 2), "aim": 4, "met": growth < 4.4},
        {"what": "memory of four times as many", "measured": round(memory, 2), "aim": 1, "met": memory < 1.2},
    ]


def show(report: dict) -> None:
    print(f"Backtest: findings of {report['bytes_each']} bytes; the built-in policy\n")
    cells = [
        [row["what"], *(str(row[key]) for key in ("clock_s", "cpu_s", "rate", "us_each", "peak_mib"))]
        for row in report["rows"]
    ]
    table(("", "clock s", "cpu s", "a second and core", "us each", "peak MiB"), cells)
    print()
    verdicts = {True: "met", False: "missed"}
    table(
        ("", "measured", "aim", ""),
        [[aim["what"], str(aim["measured"]), str(aim["aim"]), verdicts[aim["met"]]] for aim in report["aims"]],
    )


if __name__ == "__main__":
    sys.exit(main())
