"""What operators are told of waiting: ages that grow by themselves, lags of held partitions only, bounded reasons."""

import asyncio
from dataclasses import dataclass

import pytest
from prometheus_client import REGISTRY

from shared.errors import StorageUnavailable
from shared.kafka.lag import Ends, Lag
from shared.lookout import Lookout, by_reason
from shared.metrics import Age
from shared.store.figures import Letters
from tests.unit.sample_journal import QuickEnvironment


@dataclass(frozen=True)
class Part:
    """A partition."""

    topic: str
    partition: int


def _lag(name: str, partition: int) -> float | None:
    labels = {"group": "sampled", "topic": "samples", "partition": str(partition)}
    return REGISTRY.get_sample_value(f"dossierbus_consumer_lag_{name}", labels)


def test_age_grows_without_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """An age is reckoned at the scrape; nothing of age is 0, a removed one is not shown, a start is kept."""
    now = 1_000.0
    monkeypatch.setattr("shared.metrics.time.time", lambda: now)
    sample = Age("dossierbus_sampled_seconds", "A sample.", ["kind"])
    sample.set(["waiting"], 940.0)
    sample.set(["idle"], None)
    now = 1_030.0
    sample.start(["waiting"])
    assert REGISTRY.get_sample_value("dossierbus_sampled_seconds", {"kind": "waiting"}) == 90.0
    assert REGISTRY.get_sample_value("dossierbus_sampled_seconds", {"kind": "idle"}) == 0.0
    sample.remove(["idle"])
    assert REGISTRY.get_sample_value("dossierbus_sampled_seconds", {"kind": "idle"}) is None
    REGISTRY.unregister(sample)


def test_lag_leaves_with_its_partition() -> None:
    """What another member of the group reads after a rebalance is no longer shown here: nothing is counted twice."""
    lag = Lag("sampled")
    lag.taken({Part("samples", 1): 5.0})
    lag.tell(Part("samples", 2), 7, 5.0)
    assert (_lag("events", 1), _lag("events", 2)) == (1, 7)
    lag.keep_only([Part("samples", 2)])
    assert (_lag("events", 1), _lag("seconds", 1), _lag("events", 2)) == (None, None, 7)
    lag.tell(Part("samples", 2), 0, 5.0)
    assert (_lag("events", 2), _lag("seconds", 2)) == (0, 0)


def test_ends_tell_since_when() -> None:
    """The age of what is unread runs from when an end beyond the offset was first seen."""
    ends = Ends()
    assert ends.since(offset=10, end=10, now=100) is None
    assert ends.since(offset=10, end=12, now=103) == 103
    assert ends.since(offset=10, end=15, now=106) == 103
    assert ends.since(offset=12, end=15, now=109) == 106
    assert ends.since(offset=15, end=15, now=112) is None
    assert ends.since(offset=15, end=16, now=115) == 115


def test_reasons_are_a_closed_list() -> None:
    """Whatever texts the markers hold, the label knows two words, and both are always shown."""
    found = by_reason(
        [
            ("KeyError", Letters(1, 4, "2026-11-21T08:00:00.000Z")),
            ("an outcome for a request this dossier never made", Letters(2, 2, "2026-11-21T07:00:00.000Z")),
            ("AttributeError", Letters(1, 1, "2026-11-21T07:30:00.000Z")),
        ]
    )
    assert found == {
        "refused": Letters(2, 2, "2026-11-21T07:00:00.000Z"),
        "failed": Letters(2, 5, "2026-11-21T07:30:00.000Z"),
    }
    assert by_reason([]) == {"refused": Letters(), "failed": Letters()}


async def test_lookout_survives_its_questions() -> None:
    """An absent database or a broken question keeps neither the others nor the role from going on."""
    asked: list[str] = []

    async def away() -> None:
        asked.append("away")
        raise StorageUnavailable("no primary")

    async def broken() -> None:
        asked.append("broken")
        raise KeyError("count")

    async def good() -> None:
        asked.append("good")
        if len(asked) >= 6:
            twice.set()

    twice = asyncio.Event()
    task = asyncio.create_task(Lookout(QuickEnvironment(), [away, broken, good]).run())
    await twice.wait()
    task.cancel()
    assert asked[:6] == ["away", "broken", "good"] * 2


@pytest.mark.parametrize(("away", "pause"), [(True, 5.0), (False, 30.0)])
async def test_lookout_is_not_blind_after_an_outage(monkeypatch: pytest.MonkeyPatch, away: bool, pause: float) -> None:
    """A database that was away for a minute is asked again after 5 s; one that is slow is spared, at most for 30 s."""
    now, clock, moments = 0.0, QuickEnvironment(), []
    monkeypatch.setattr("shared.lookout.time.monotonic", lambda: now)

    async def ask() -> None:
        nonlocal now
        moments.append(clock.now())
        now += 60.0
        if len(moments) == 2:
            twice.set()
        if away:
            raise StorageUnavailable("no primary")

    twice = asyncio.Event()
    task = asyncio.create_task(Lookout(clock, [ask]).run())
    await twice.wait()
    task.cancel()
    assert (moments[1] - moments[0]).total_seconds() == pause
