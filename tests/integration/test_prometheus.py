"""The Prometheus that tests run: it scrapes what it is told to, labels it as in production, answers or refuses."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, start_http_server

from deploy.local.errors import LocalError
from deploy.local.prometheus import Plan, Prometheus, Target, installed

PORT, FIRST, SECOND = 31390, 31391, 31392

pytestmark = pytest.mark.skipif(not installed(), reason="Prometheus is not installed (apt-get install prometheus)")


@pytest.fixture(scope="module")
def counted() -> Iterator[Counter]:
    """A counter that two ports of this process expose."""
    registry = CollectorRegistry()
    seen = Counter("dossierbus_samples_total", "A sample.", registry=registry)
    servers = [start_http_server(port, "127.0.0.1", registry)[0] for port in (FIRST, SECOND)]
    yield seen
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A server with one rule that looks five times a second."""
    root = tmp_path_factory.mktemp("prometheus")
    rules = root / "rules.yml"
    rule = "{alert: ManySamples, expr: dossierbus_samples_total > 5}"
    rules.write_text(f"groups: [{{name: samples, rules: [{rule}]}}]")
    server = Prometheus(root, PORT, Plan(0.2, 0.2, [rules]))
    server.start([])
    yield server
    server.stop()


def test_replicas_come_with_job_and_role(prometheus: Prometheus, counted: Counter) -> None:
    """A replica that is added while Prometheus runs is found, under its service's job and its kind as role."""
    prometheus.watch([Target("intake-api", FIRST)])
    prometheus.wait_scraped(1)
    prometheus.watch([Target("intake-api", FIRST), Target("identity-reuse", SECOND)])
    found = prometheus.wait_for("sum by (job, role) (dossierbus_samples_total)", lambda samples: len(samples) == 2)
    assert {(one.labels["job"], one.labels["role"]) for one in found} == {("intake", "api"), ("identity", "reuse")}


def test_ranges_and_rules(prometheus: Prometheus, counted: Counter) -> None:
    """Values follow the process, also over a range of time, and rules are evaluated."""
    prometheus.watch([Target("intake-api", FIRST)])
    started = time.time()
    counted.inc(10)
    prometheus.wait_for("sum(dossierbus_samples_total)", lambda samples: bool(samples) and samples[0].value == 10)
    prometheus.wait_for('ALERTS{alertname="ManySamples", alertstate="firing"}')
    (line,) = prometheus.query_range("max(dossierbus_samples_total)", started - 1, time.time(), 0.2)
    assert line.value == line.values[-1][1] == 10


def test_wrong_queries_are_refused(prometheus: Prometheus) -> None:
    """A query with a mistake raises Prometheus's own explanation; waiting for nothing ends."""
    with pytest.raises(LocalError, match="parse error"):
        prometheus.query("sum by (")
    with pytest.raises(LocalError, match="no_such_metric"):
        prometheus.wait_for("no_such_metric", seconds=0.1)


def test_nothing_is_half_started(tmp_path: Path, prometheus: Prometheus) -> None:
    """A second server on a taken port is refused instead of being taken for the first."""
    with pytest.raises(LocalError, match=str(PORT)):
        Prometheus(tmp_path, PORT).start([])
