"""One look at a running stack: memory and CPU from /proc, waiting from the roles' metrics, bytes from the stores."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient

from deploy.local.errors import LocalError
from deploy.local.journeys.books import COLLECTIONS
from deploy.local.soak.samples import Look
from deploy.local.stack import Stack
from deploy.local.tools.measure import cpu_seconds, resident, stored

LAG: Final = "dossierbus_consumer_lag_seconds"
DUE: Final = "dossierbus_work_oldest_due_seconds"
BACKLOG: Final = "dossierbus_relay_backlog"
SILENT_SECONDS: Final = 5.0
CITIZENS: Final = "citizens"
"""The name of this process: it plays the citizens and measures."""


@dataclass(frozen=True)
class Probe:
    """Looks at a stack by way of these connections."""

    stack: Stack
    http: httpx.AsyncClient
    mongo: MongoClient[dict[str, Any]]

    async def look(self) -> Look:
        """Return what is to be seen now. Raises LocalError when a process has ended."""
        pids = _pids(self.stack)
        waiting, stores = await asyncio.gather(self._waiting(), asyncio.to_thread(self._stores))
        rss = {name: resident(pid) for name, pid in pids.items()}
        cpu = {name: cpu_seconds(pid) for name, pid in pids.items()}
        return Look(rss, cpu, *waiting, *stores)

    async def _waiting(self) -> tuple[float, float, int, tuple[str, ...]]:
        workers = [name for name in self.stack.roles if not name.endswith("-api")]
        pages = dict(zip(workers, await asyncio.gather(*map(self._metrics, workers)), strict=True))
        silent = [f"{name} ({type(why).__name__})" for name, why in pages.items() if isinstance(why, httpx.HTTPError)]
        return (*summed([page for page in pages.values() if isinstance(page, str)]), tuple(silent))

    async def _metrics(self, role: str) -> str | httpx.HTTPError:
        try:
            answer = await self.http.get(f"{self.stack.url(role)}/metrics", timeout=SILENT_SECONDS)
            return answer.raise_for_status().text
        except httpx.HTTPError as error:
            return error

    def _stores(self) -> tuple[int, int, int]:
        sizes = [
            self.mongo[service].command("collStats", name)["size"]
            for service, names in COLLECTIONS.items()
            for name in names
        ]
        disk = stored(self.mongo, self.stack.root)
        return int(sum(sizes)), disk.mongo_data, disk.topics


def summed(pages: Sequence[str]) -> tuple[float, float, int]:
    """Return from pages of metrics the oldest event and the oldest due work in seconds, and the unpublished aggregates.

    Every role of a service tells the same backlog, so of each kind the largest counts.
    """
    lag, due, backlog = 0.0, 0.0, dict[str, float]()
    for name, labels, value in (sample for page in pages for sample in _wanted(page)):
        if name == LAG:
            lag = max(lag, value)
        elif name == DUE:
            due = max(due, value)
        elif name == BACKLOG:
            backlog[labels["kind"]] = max(backlog.get(labels["kind"], 0.0), value)
    return lag, due, int(sum(backlog.values()))


def _wanted(page: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    # Only ours: parsing all of a page takes a hundred times longer.
    lines = [line for line in page.splitlines() if line.startswith((LAG, DUE, BACKLOG))]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        yield from ((sample.name, sample.labels, sample.value) for sample in family.samples)


def _pids(stack: Stack) -> dict[str, int]:
    found = {name: stack.process(name).pid for name in stack.names()}
    gone = [name for name, pid in found.items() if pid is None]
    if gone:
        raise LocalError(f"{', '.join(gone)} ended by itself: see {stack.root / 'log'}.")
    return {CITIZENS: os.getpid(), **{name: pid for name, pid in found.items() if pid is not None}}
