"""`./dev measure`: memory and CPU of every process of a running stack, and what dossiers take on disk. Starts nothing.

Beside `./dev up --no-traffic` it tells what idling costs, beside `./dev up` or a test what work costs.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from deploy.local import processes
from deploy.local.errors import LocalError
from deploy.local.roles import DATABASES
from deploy.local.stack import Stack
from deploy.local.tools.down import DATA

_MB = 1_000_000
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Used:
    """One process over the measured time: resident memory in MB, and CPU in percent of one core."""

    rss_mb: float
    peak_mb: float
    cpu_percent: float


@dataclass(frozen=True)
class Disk:
    """What is stored, in bytes: MongoDB's data before compression, on disk, its indexes; records of event topics."""

    dossiers: int
    mongo_data: int
    mongo_disk: int
    mongo_indexes: int
    topics: int

    def per_10000(self) -> dict[str, float]:
        """Return MB per 10,000 dossiers of each."""
        parts = {name: value for name, value in asdict(self).items() if name != "dossiers"}
        return {name: round(value * 10_000 / max(1, self.dossiers) / _MB, 1) for name, value in parts.items()}


def main(arguments: Sequence[str]) -> int:
    """Measure and print. Raises LocalError when nothing runs."""
    parser = argparse.ArgumentParser(prog="./dev measure", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long (default %(default)s)")
    parser.add_argument("--root", type=Path, default=DATA, help="the stack's folder (default .local)")
    parser.add_argument("--base-port", type=int, help="the stack's base port, if it is another")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    pids = processes.running(options.root)
    if not pids:
        raise LocalError("Nothing runs: start it with `./dev up --no-traffic`.")
    stack = Stack(options.root, *([options.base_port] if options.base_port else []))
    used, stored = over(pids, options.seconds), disk(stack)
    found = {"used": {name: asdict(one) for name, one in used.items()}, "per_10000_mb": stored.per_10000()}
    print(json.dumps({**found, "disk": asdict(stored)}) if options.json else _table(used, stored))
    return 0


def over(pids: Mapping[str, int], seconds: float) -> dict[str, Used]:
    """Return what these processes use in so many seconds; one that ends meanwhile is left out."""
    started, before = time.monotonic(), {name: _ticks(pid) for name, pid in pids.items()}
    seen: dict[str, list[float]] = {name: [] for name in pids}
    while time.monotonic() < started + seconds:
        for name, pid in pids.items():
            seen[name].append(resident(pid))
        time.sleep(min(1.0, seconds))
    passed = time.monotonic() - started
    used = {}
    for name, pid in pids.items():
        if (now := _ticks(pid)) and (then := before[name]):
            share = 100 * (now - then) / _TICKS / passed
            used[name] = Used(round(seen[name][-1] / _MB, 1), round(max(seen[name]) / _MB, 1), round(share, 2))
    return used


def disk(stack: Stack) -> Disk:
    """Return what a stack has stored."""
    with MongoClient[dict[str, Any]](stack.root_mongo_uri) as client:
        # What was written lately is on disk only after a checkpoint.
        client.admin.command("fsync")
        return stored(client, stack.root)


def stored(client: MongoClient[dict[str, Any]], root: Path) -> Disk:
    """Return what the stack below `root` has stored, on disk as of the last checkpoint."""
    stats = [client[name].command("dbStats") for name in DATABASES]
    dossiers = client["intake"]["dossiers"].estimated_document_count()
    sums = {name: int(sum(one[name] for one in stats)) for name in ("dataSize", "storageSize", "indexSize")}
    logs = (file for file in root.glob("kafka/**/*.log") if ".events-" in file.parent.name)
    topics = sum(file.stat().st_size for file in logs)
    return Disk(dossiers, sums["dataSize"], sums["storageSize"], sums["indexSize"], topics)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, 0 if it is gone."""
    return _ticks(pid) / _TICKS


def _ticks(pid: int) -> int:
    """Return the CPU time of a process in clock ticks, or 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes, 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


def _table(used: Mapping[str, Used], stored: Disk) -> str:
    lines = ["| process | RSS MB | highest MB | CPU % of a core |", "| --- | --: | --: | --: |"]
    lines += [
        f"| {name} | {one.rss_mb:.0f} | {one.peak_mb:.0f} | {one.cpu_percent:.1f} |" for name, one in used.items()
    ]
    parts = ", ".join(f"{name} {value:.0f} MB" for name, value in stored.per_10000().items())
    return "\n".join([*lines, "", f"{stored.dossiers} dossiers stored; per 10,000: {parts}"])
