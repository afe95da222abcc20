"""Running totals, which aggregate is the newer, and the figures made of them."""

from functools import partial

import pytest
from faust.types import TP

from services.analytics.aggregate import REPEAT, Aggregate, decode, encode, newer
from services.analytics.domain import BUCKET_SECONDS
from services.analytics.handlers import Running, on_event
from services.analytics.parity import totals_of
from services.analytics.view import Targets, percentile, view
from shared.errors import Permanent
from shared.kafka.client import partition_of
from shared.testing.environment import FakeEnvironment
from tests.unit.analytics_samples import Story, stories

TARGETS = Targets(p50_seconds=300, p90_seconds=1000)


START = "2026-11-21T20:00:00.000Z"


def aggregate(covered: int, **more: object) -> Aggregate:
    """An aggregate of partition 0 that covers so many events."""
    known = {
        "partition": 0,
        "worker": "one",
        "generation": 1,
        "covered": {"intake.events": covered},
        "at": START,
        "totals": {},
    }
    return Aggregate(**{**known, **more})  # type: ignore[arg-type]


def test_who_covers_more_is_newer() -> None:
    """A late worker's older aggregate never replaces its successor's; an equal one may, it says the same."""
    assert newer(None, aggregate(5))
    assert newer(aggregate(5), aggregate(6))
    assert newer(aggregate(5), aggregate(5))
    assert not newer(aggregate(6), aggregate(5))


def test_after_a_silence_counting_may_begin_anew() -> None:
    """A worker that repeats itself keeps its place; once it is silent, a smaller aggregate counts."""
    present = aggregate(9, at=START)
    assert not newer(present, aggregate(2, at="2026-11-21T20:00:05.500Z"))
    assert newer(present, aggregate(2, at="2026-11-21T20:00:21.000Z"))


def test_an_aggregate_survives_the_topic() -> None:
    """What is published is read back; another record's shape is refused, not raised."""
    sent = aggregate(5, totals={"submitted": 2})
    assert decode(encode(sent).value) == sent
    assert encode(sent).key == b"0"
    assert decode(b"{}") is None
    assert decode(None) is None


async def running_over(events_of: int, partitions: int = 1) -> tuple[Running, dict[bytes, bytes], FakeEnvironment]:
    """Totals and records of so many dossiers, counted event by event on a worker that owns all partitions."""
    environment = FakeEnvironment()
    running, table = Running(partitions, "one", environment), dict[bytes, bytes]()
    running.rebuild([])
    running.start_from({number: {} for number in range(partitions)}, 1)
    for story in stories(events_of):
        partition = partition_of(story[0].envelope.dossier.encode(), partitions)
        for received in story:
            await on_event(table, running, partial(int, partition))(received)
        running.cover(partition, "intake.events", 7)
    return running, table, environment


async def test_kept_totals_equal_recounted_ones() -> None:
    """After a recovery a worker tells exactly what it told before."""
    running, table, _ = await running_over(30, partitions=3)
    before = {one.partition: one.totals for one in running.due()}
    again = Running(3, "two", FakeEnvironment())
    again.rebuild(table.items())
    again.start_from({number: {} for number in range(3)}, 2)
    assert {one.partition: one.totals for one in again.due()} == before
    assert sum(totals["submitted"] for totals in before.values()) == 30


async def test_nothing_is_told_between_losing_partitions_and_standing_again() -> None:
    """Neither a cleared nor a half recovered worker publishes."""
    running, table, _ = await running_over(3)
    running.clear()
    assert running.due() == []
    running.start_from({0: {"intake.events": 9}}, 2)
    assert running.due() == []
    running.rebuild(table.items())
    assert running.due() == []
    running.start_from({0: {"intake.events": 9}}, 2)
    assert [one.covered for one in running.due()] == [{"intake.events": 9}]


async def test_only_changes_are_told_and_all_of_it_now_and_then() -> None:
    """An acknowledged aggregate is told again after a change or after some seconds, so that a late record is healed."""
    running, _, environment = await running_over(3)
    running.published(running.due())
    assert running.due() == []
    running.cover(0, "payments.events", 4)
    told = running.due()
    running.cover(0, "payments.events", 5)
    running.published(told)
    assert [one.covered["payments.events"] for one in running.due()] == [5]
    running.published(running.due())
    environment.advance(REPEAT)
    assert len(running.due()) == 1


async def test_a_replayed_offset_lowers_nothing() -> None:
    """Reading the overlap again does not make a worker look older than it is."""
    running, _, _ = await running_over(3)
    running.cover(0, "intake.events", 2)
    assert running.covered()[TP("intake.events", 0)] == 7


async def test_an_event_on_a_foreign_partition_is_refused() -> None:
    """Two records of one dossier would count it twice."""
    received = Story(1).happen()[0]
    running, table = Running(4, "one", FakeEnvironment()), dict[bytes, bytes]()
    foreign = (partition_of(received.envelope.dossier.encode(), 4) + 1) % 4
    with pytest.raises(Permanent):
        await on_event(table, running, lambda: foreign)(received)
    assert table == {}


def test_figures_add_up_over_partitions() -> None:
    """Sums over partitions are the figures of all dossiers; every dossier is in one service and status."""
    events = [list(story) for story in stories(40)]
    halves = [totals_of(*events[:20]), totals_of(*events[20:])]
    told = view(
        [aggregate(1, partition=n, totals=half, at=f"2026-11-0{n + 1}") for n, half in enumerate(halves)], 2, TARGETS
    )
    assert told.dossiers.total == told.dossiers.submitted == 40
    assert told.decisions.total == told.decisions.automatic + told.decisions.by_hand == told.decision_time.all.count
    assert told.complete
    assert told.as_of == "2026-11-01"
    assert told.model_dump(exclude={"as_of", "complete", "partitions"}) == view(
        [aggregate(1, totals=totals_of(*events))], 1, TARGETS
    ).model_dump(exclude={"as_of", "complete", "partitions"})


def test_without_data_nothing_is_invented() -> None:
    """No share and no percentile before the first decision; consultations are reserved."""
    told = view([], 2, TARGETS)
    assert told.decisions.automatic_share is None
    assert told.decision_time.all.p90_seconds is None
    assert told.consultations.model_dump() == {"status": "reserved"}
    assert not told.complete


@pytest.mark.parametrize(
    ("counts", "percent", "expected"),
    [([10], 50, 5), ([0, 4], 50, 35), ([1, 1, 2], 90, 252), ([0] * 11 + [3], 50, BUCKET_SECONDS[-1]), ([], 50, None)],
)
def test_percentiles_are_linear_within_their_bucket(counts: list[int], percent: int, expected: int | None) -> None:
    """As Prometheus estimates them; in the open bucket its lower bound."""
    padded = counts + [0] * (len(BUCKET_SECONDS) + 1 - len(counts))
    assert percentile(padded, percent) == expected
