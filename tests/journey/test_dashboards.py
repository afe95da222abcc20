"""Every board on a real Prometheus that scrapes the running roles: each panel has data, and nothing counts twice."""

import asyncio
import math
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from deploy.grafana.generate import BOARDS
from deploy.grafana.model import panels
from deploy.local.errors import LocalError
from deploy.local.health import is_ready
from deploy.local.journeys import books
from deploy.local.journeys.crowd import Crowd, mixed, residents
from deploy.local.journeys.endings import RESIDENCE
from deploy.local.journeys.town import Citizen, Town
from deploy.local.processes import Launch, ManagedProcess, wait_until
from deploy.local.prometheus import Plan, Prometheus, Target, installed, targets_of
from deploy.local.stack import CHECKOUT, Stack

pytestmark = pytest.mark.skipif(not installed(), reason="Prometheus is not installed (apt-get install prometheus)")

PORT_OFFSET, REPLICA_OFFSET = 300, 310
STEP_SECONDS, RATE_INTERVAL = 1.0, "15s"
HOURLY = {"Books that differ": "told after the first comparison of the books, an hour after the start"}
"""Panels that have nothing to show yet, each with the reason."""

SECOND_REPLICAS = ("intake-worker", "identity-worker")
APIS = ("intake-api", "identity-api", "payments-api", "notifications-api", "analytics-api")
OPEN = 'sum(max by (service, waiting_for) (dossierbus_open_dossiers{service=~".*"}))'
SUBMITTED = "max(dossierbus_kpi_submitted_dossiers)"
COUNTED = 'sum by (service) (max by (service, status) (dossierbus_kpi_dossiers{service="residence-certificate"}))'
HELD = 'max by (group, topic, partition) (dossierbus_consumer_lag_events{group="intake"})'


@pytest.fixture(scope="module")
def prometheus(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus beside the town, looking every second."""
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), stack.base_port + PORT_OFFSET, Plan(1.0, 1.0))
    server.start(targets_of(stack))
    server.wait_scraped(len(stack.roles), 60)
    yield server
    server.stop()


def _filled(expression: str) -> str:
    """A panel's query as Grafana sends it with all variables at `All`."""
    for variable, value in (("$__rate_interval", RATE_INTERVAL), ("$service", ".*"), ("$job", ".*")):
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


def _values(prometheus: Prometheus, expression: str, since: float) -> list[float]:
    """All values of all lines since then that a picture would show."""
    found = prometheus.query_range(_filled(expression), since, time.time(), STEP_SECONDS)
    return [value for line in found for _, value in line.values if math.isfinite(value)]


async def _play(town: Town, stack: Stack, seed: int) -> None:
    """One journey of every kind, and a request to each API."""
    crowd = Crowd(town, await residents(town))
    await crowd.play(mixed(12, seed))
    assert crowd.failures == []
    for name in APIS:
        (await town.http.get(f"{stack.url(name)}/openapi.json")).raise_for_status()


async def _leave_open(town: Town) -> None:
    """Submit a dossier that then waits for its applicant."""
    citizen = Citizen(town, (await town.people())[1])
    await citizen.submit(RESIDENCE, {"purpose": "bank", "content": "simple"})
    await citizen.until("consent_needed", "payment_due")


async def test_every_panel_has_data(stack: Stack, town: Town, prometheus: Prometheus) -> None:
    """Under a small traffic every query of every panel gives figures, but for exporters and what is told hourly."""
    started = time.time()
    queries = {
        f"{board.title}: {panel.title}: {query.expression}": query
        for board in BOARDS
        for row, panel in panels(board)
        for query in panel.queries
        if not row.exporter and panel.title not in HOURLY
    }
    for seed in (1, 2):
        await _play(town, stack, seed)
    missing = sorted(queries)
    until = time.monotonic() + 30
    while missing and time.monotonic() < until:
        missing = [name for name in missing if not _values(prometheus, queries[name].expression, started)]
        await asyncio.sleep(1)
    assert missing == []
    found = prometheus.exemplars('dossierbus_http_request_seconds_bucket{job="intake"}', started, time.time())
    traces = {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}
    assert traces
    assert any(books.spans(stack, trace_id) for trace_id in traces)


@asynccontextmanager
async def _second_replicas(stack: Stack, prometheus: Prometheus) -> AsyncIterator[None]:
    """Run each worker twice, so that its group rebalances, and again once when the second goes."""
    ports = {name: stack.base_port + REPLICA_OFFSET + index for index, name in enumerate(SECOND_REPLICAS)}
    running = [_replica(stack, name, port) for name, port in ports.items()]
    targets = [*targets_of(stack), *(Target(name, port) for name, port in ports.items())]
    try:
        for process in running:
            await asyncio.to_thread(process.start)
        for process in running:
            await asyncio.to_thread(process.wait_ready)
        prometheus.watch(targets)
        await asyncio.to_thread(prometheus.wait_scraped, len(targets), 60)
        yield
    finally:
        for process in running:
            await asyncio.to_thread(process.stop)
        prometheus.watch(targets_of(stack))


def _replica(stack: Stack, name: str, port: int) -> ManagedProcess:
    service, _, kind = name.partition("-")
    command = (sys.executable, "-m", f"services.{service}", kind)
    environment = {**stack.env_for(name), "HTTP_PORT": str(port)}
    launch = Launch(f"{name}-2", command, environment, CHECKOUT, lambda: is_ready(port), deadline_seconds=120)
    return ManagedProcess(launch, stack.root)


async def test_nothing_jumps_or_counts_twice(stack: Stack, town: Town, prometheus: Prometheus) -> None:
    """Through a rebalance with second workers and a restart of the first, totals stay those of the KPI API, always."""
    before = await _settled(stack, prometheus)
    for _ in range(2):
        await _leave_open(town)
    kpis = await _settled(stack, prometheus, before["dossiers"]["submitted"] + 2)
    known = kpis["dossiers"]["total"] - sum(kpis["dossiers"]["closed"].values())
    started = time.time()
    partitions = 3 * _partitions(prometheus)
    async with _second_replicas(stack, prometheus):
        doubled = f"sum(dossierbus_open_dossiers) == {2 * known}"
        await asyncio.to_thread(prometheus.wait_for, doubled, seconds=60)  # what a careless query would show
        members = 'count(count by (instance) (dossierbus_consumer_lag_events{group="intake"})) == 2'
        await asyncio.to_thread(prometheus.wait_for, members, seconds=90)
        once = f'count(dossierbus_consumer_lag_events{{group="intake"}}) == {partitions}'
        await asyncio.to_thread(prometheus.wait_for, once, seconds=60)
        await asyncio.to_thread(stack.restart, "intake-worker")
        await asyncio.to_thread(prometheus.wait_scraped, len(stack.roles) + len(SECOND_REPLICAS), 60)
    await asyncio.to_thread(prometheus.wait_for, once, seconds=90)
    assert set(_values(prometheus, OPEN, started)) == {float(known)}
    assert set(_values(prometheus, SUBMITTED, started)) == {float(kpis["dossiers"]["submitted"])}
    assert len(set(_values(prometheus, COUNTED, started))) == 1
    assert max(_values(prometheus, f"sum by (group) ({HELD})", started)) <= 5
    assert books.kpis(stack)["dossiers"] == kpis["dossiers"]


def _partitions(prometheus: Prometheus) -> int:
    """How many partitions a topic has here."""
    return round(
        prometheus.query('count(count by (partition) (dossierbus_consumer_lag_events{group="intake"}))')[0].value
    )


async def _settled(stack: Stack, prometheus: Prometheus, least: int = 0) -> dict[str, Any]:
    """Wait until the database's figures and the KPIs, of at least so many submissions, say the same."""
    found: dict[str, Any] = {}

    told: list[float | None] = []

    def same() -> bool:
        found.update(books.kpis(stack))
        live = found["dossiers"]["total"] - sum(found["dossiers"]["closed"].values())
        seen = [prometheus.query(query) for query in (OPEN, SUBMITTED)]
        told[:] = [one[0].value if one else None for one in seen]
        return found["dossiers"]["submitted"] >= least and told == [live, found["dossiers"]["submitted"]]

    try:
        await asyncio.to_thread(wait_until, same, 60, "boards and KPIs did not agree")
    except LocalError as error:
        raise AssertionError((told, found["dossiers"])) from error
    return found
