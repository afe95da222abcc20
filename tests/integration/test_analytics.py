"""Analytics over real Kafka and MongoDB: whatever happens to workers and broker, the KPIs equal the pure fold."""

import signal
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

from deploy.local.processes import wait_until
from deploy.local.stack import Stack
from services.analytics.domain import dump
from services.analytics.parity import totals_of
from services.analytics.topics import CHANGELOG
from shared.contracts.envelope import Message
from shared.web.serve import EXIT_BROKER_REPLACED
from tests.integration.analytics_town import BASE_PORT, SECONDS, WORKER, Town, second_worker
from tests.unit.analytics_samples import message


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A database, a genuine broker and both roles of analytics; a dead worker is noticed after 6 s.

    The overlap is small, so that a wrongly committed offset would show.
    """
    quick = {"KAFKA_SESSION_TIMEOUT_MS": "6000", "KPI_OVERLAP": "20", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    running = Stack(tmp_path_factory.mktemp("analytics"), BASE_PORT, broker="kafka", environment=quick)
    try:
        running.start_infrastructure()
        running.start_role("analytics-api")
        running.start_role(WORKER)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def town(stack: Stack) -> Town:
    """The town of this module: it only grows."""
    return Town(stack)


def test_events_and_their_repeats_count_once(town: Town) -> None:
    """The KPIs equal the fold of what was published; publishing everything again changes nothing."""
    events = town.more(100)
    town.publish(events)
    town.expect_exact()
    repeated = town.more(5)
    town.publish([*events, *repeated, *events])
    town.expect_exact()


def test_a_worker_killed_in_mid_stream_loses_and_doubles_nothing(town: Town) -> None:
    """After kill -9 while events arrive, twice, the restarted worker tells exact KPIs."""
    for _ in range(2):
        events = town.more(160)
        half = len(events) // 2
        town.publish(events[:half])
        town.stack.kill(WORKER)
        town.publish(events[half:])
        town.stack.restart(WORKER)
        town.expect_exact()


def test_a_second_worker_takes_over_partitions_and_gives_them_back(town: Town) -> None:
    """Joining, counting side by side and dying of a second worker leave the KPIs exact."""
    events = town.more(240)
    third = len(events) // 3
    town.publish(events[:third])
    with second_worker(town.stack) as second:
        town.publish(events[third : 2 * third])
        wait_until(lambda: len(town.workers()) == 2, SECONDS, "the second worker got no partition")
        second.kill(signal.SIGKILL)
        town.publish(events[2 * third :])
    town.expect_exact()


def test_a_worker_that_was_asleep_does_not_overwrite_its_successor(town: Town) -> None:
    """A worker stopped until its partitions went to another, then woken, changes no KPI."""
    events = town.more(120)
    half = len(events) // 2
    with second_worker(town.stack):
        wait_until(lambda: len(town.workers()) == 2, SECONDS, "the second worker got no partition")
        town.publish(events[:half])
        town.stack.kill(WORKER, signal.SIGSTOP)
        town.publish(events[half:])
        town.expect_exact()
        town.stack.kill(WORKER, signal.SIGCONT)
        town.publish(town.more(20))
        town.expect_exact()
    town.publish(town.more(20))
    town.stack.restart(WORKER)
    town.expect_exact()


def test_a_recount_mends_wrong_records_while_workers_come_and_go(town: Town) -> None:
    """Records planted in the changelog count after a restart; a recount asked for then ends although events arrive and
    a second worker joins and is killed; the KPIs are exact, also when later tests start the worker anew."""
    first = town.more(20)
    town.publish(first)
    town.expect_exact()
    wrong = [first[0].envelope.dossier, "nobody"]
    record = {"": {"k": "d", "n": 900_000, "service": "nowhere", "status": "received", "submitted": 1}}
    town.send([Message(CHANGELOG.name, one.encode(), dump(record), []) for one in wrong])
    town.stack.restart(WORKER)
    wait_until(lambda: "nowhere" in town.told()["dossiers"]["byService"], SECONDS, "the planted records did not count")
    events = town.more(120)
    asked = town.operate("kpis", "recount", "--no-wait")
    with second_worker(town.stack) as second:
        town.publish(events[: len(events) // 2])
        wait_until(lambda: len(town.workers()) == 2, SECONDS, "the second worker got no partition")
        second.kill(signal.SIGKILL)
        town.publish(events[len(events) // 2 :])
    assert "recount 1 is asked for" in asked
    assert "6 of 6 partitions recounted" in town.operate("kpis", "recount")
    town.expect_exact()
    assert town.operate("parity", "--service", "analytics") == "analytics: no drift\n"


def test_what_cannot_be_read_is_set_aside_and_the_rest_is_counted(town: Town) -> None:
    """A broken value, a missing value and a stranger's record end in `analytics.dlq`; counting goes on."""
    good = town.more(10)
    first = message(good[0])
    broken = [
        Message(first.topic, first.key, b"\xff\xfe", first.headers),
        Message(first.topic, first.key, None, first.headers),
        Message(first.topic, b"stranger", b"{}", []),
    ]
    town.send(broken)
    town.publish(good)
    town.expect_exact()
    assert town.count("analytics.dlq", len(broken)) == len(broken)


def test_a_worker_asked_to_stop_ends_cleanly(town: Town) -> None:
    """SIGTERM ends the worker with code 0 within its grace."""
    town.stack.stop_role(WORKER)
    assert town.stack.process(WORKER).exit_code == 0
    town.stack.restart(WORKER)
    town.expect_exact()


def test_the_figures_are_gauges_for_prometheus(town: Town) -> None:
    """/metrics tells the same figures, as gauges only."""
    with urlopen(town.stack.url("analytics-api") + "/metrics", timeout=5) as answer:  # noqa: S310 - loopback
        text = answer.read().decode()
    assert f"dossierbus_kpi_submitted_dossiers {float(totals_of(town.events)['submitted'])}" in text
    kinds = {line.split()[3] for line in text.splitlines() if line.startswith("# TYPE dossierbus_kpi_")}
    assert kinds == {"gauge"}


def test_a_broker_that_came_back_empty_is_counted_anew(town: Town) -> None:
    """Both roles end with code 75; started anew they count what the journals publish again, and nothing of before."""
    roles = (WORKER, "analytics-api")
    town.stack.wipe_broker()
    ended = [town.stack.process(role) for role in roles]
    wait_until(lambda: all(role.exit_code is not None for role in ended), SECONDS, "the roles stayed")
    assert [role.exit_code for role in ended] == [EXIT_BROKER_REPLACED] * 2
    for role in roles:
        town.stack.restart(role)
    town.publish(town.events)
    town.expect_exact()


def test_topics_that_came_back_empty_are_counted_anew(town: Town) -> None:
    """The same cluster with new, empty event topics: the worker starts anew and soon tells exact KPIs again."""
    worker = town.stack.process(WORKER)
    town.delete_topics()
    town.publish(town.events[: len(town.events) // 2])
    wait_until(lambda: worker.exit_code == EXIT_BROKER_REPLACED, SECONDS, "the worker stayed")
    town.stack.restart(WORKER)
    town.publish([*town.events[len(town.events) // 2 :], *town.more(20)])
    town.expect_exact()
