"""`kpi`: the stream processor counting events, beside Faust with one table and Faust with three naive counters.

Every round publishes new dossiers' events; one worker after the other, each in its own group, counts them all.
Measured is the time between a fifth and the last of them, so that joining and recovering are left out.
"""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median
from urllib.request import urlopen

from shared.contracts.topics import EVENT_TOPICS
from shared.kafka.client import KafkaPublisher, ensure_topics
from tests.bench.ground import Ground, fresh, megabytes, pid_of
from tests.bench.measure import Result, rounded
from tests.unit.analytics_samples import message, stories

DOSSIERS = 1_200
LONGEST_SECONDS = 180
_HANDLED = re.compile(r'dossierbus_events_handled_total\{group="analytics",outcome="\w+"\} ([0-9.e+]+)')

memory: dict[str, list[int]] = defaultdict(list)


def measure(ground: Ground) -> list[Result]:
    """Return events a second beside both limits."""
    asyncio.run(ensure_topics(ground.settings(), EVENT_TOPICS))
    found: dict[str, list[float]] = {"ours": [], "record": [], "counters": []}
    for number in range(ground.rounds):
        count = asyncio.run(_publish(ground, number))
        found["ours"].append(_ours(ground, count))
        for kind in ("record", "counters"):
            found[kind].append(_bare(ground, kind, count))
    notes = {"megabytes": {name: rounded(median(found)) for name, found in memory.items()}}
    return [
        Result("kpi", "events/s", found["ours"], found["record"], notes=notes),
        Result("kpi-naive", "events/s", found["ours"], found["counters"]),
    ]


async def _publish(ground: Ground, number: int) -> int:
    messages = [message(event) for story in stories(DOSSIERS, number + 1) for event in story]
    publisher = KafkaPublisher(ground.settings())
    await publisher.connect()
    if not all(await publisher.publish(messages)):
        raise RuntimeError("not every event was published")
    await publisher.close()
    return len(messages)


def _ours(ground: Ground, count: int) -> float:
    """The product's own role; what it rereads for safety counts for nobody."""
    ground.stack.start_role("analytics-worker", {"KPI_OVERLAP": "0"})
    url = f"{ground.stack.url('analytics-worker')}/metrics"

    def handled() -> int:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
            return int(sum(float(value) for value in _HANDLED.findall(answer.read().decode())))

    try:
        rate = _rate(handled, count)
        memory["ours"].append(megabytes(pid_of(ground.stack.process("analytics-worker"))))
    finally:
        ground.stack.stop_role("analytics-worker")
    return rate


def _bare(ground: Ground, kind: str, count: int) -> float:
    progress = ground.stack.root / fresh("progress")

    def handled() -> int:
        return int(progress.read_text() or 0) if progress.exists() else 0

    with ground.program("tests.bench.bare_agents", kind, PROGRESS=str(progress)) as process:
        rate = _rate(handled, count - count % 100)
        memory[kind].append(megabytes(pid_of(process)))
    return rate


def _rate(handled: Callable[[], int], count: int) -> float:
    """Look every 50 ms; return the slope from the first look past a fifth to the one that sees the last event."""
    looks: list[tuple[float, int]] = []
    until = time.monotonic() + LONGEST_SECONDS
    while not looks or looks[-1][1] < count:
        if time.monotonic() > until:
            raise RuntimeError(f"counted {looks[-1][1]} of {count} events within {LONGEST_SECONDS} s")
        time.sleep(0.05)
        looks.append((time.monotonic(), handled()))
    return _slope([look for look in looks if look[1] >= count / 5], count)


def _slope(looks: Sequence[tuple[float, int]], count: int) -> float:
    (began, first), (ended, _) = looks[0], looks[-1]
    if first >= count:
        raise RuntimeError("too few events to measure: all were counted between two looks")
    return (count - first) / (ended - began)
