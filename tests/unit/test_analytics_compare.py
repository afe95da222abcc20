"""Comparing KPIs with topics that keep events for a time only, while events are published, counted and repeated."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.analytics.aggregate import decode, encode
from services.analytics.compare import KEPT
from services.analytics.domain import Record, load
from services.analytics.topics import CHANGELOG
from shared.contracts.envelope import Message, Received
from shared.contracts.topics import KPIS
from shared.environment import timestamp
from shared.kafka.topics import Place, Span
from tests.unit.analytics_office import PARTITIONS, Logs, Office, counted, events
from tests.unit.analytics_samples import message

HOURS = timedelta(hours=2, minutes=10)
"""How far the hourly comparison goes back."""


@pytest.fixture
async def office() -> Office:
    """A worker that has counted twelve dossiers, long ago."""
    opened = await counted()
    opened.environment.advance(3 * KEPT)
    return opened


def today(office: Office, story: Sequence[Received]) -> list[Received]:
    """The same events, happening now."""
    now = timestamp(office.environment.now())
    return [Received(replace(one.envelope, time=now), one.event) for one in story]


class Moving(Logs):
    """Topics on which others publish, and the worker counts and tells, between any two questions."""

    def __init__(self, office: Office, waiting: list[list[Received]]) -> None:
        self.__dict__ = office.logs.__dict__
        self._office, self._waiting = office, waiting

    async def spans(self, topics: Sequence[str], since: datetime | None) -> dict[Place, Span]:
        """What there is."""
        found = await super().spans(topics, since)
        await self._move()
        return found

    async def committed(self, group: str, topics: Sequence[str]) -> dict[Place, int]:
        """What the worker has committed."""
        found = await super().committed(group, topics)
        await self._move()
        return found

    async def read(self, spans: Mapping[Place, Span]) -> AsyncIterator[Message]:
        """Records in order."""
        async for record in super().read(spans):
            yield record
        await self._move()

    async def _move(self) -> None:
        if self._waiting:
            story = self._waiting.pop()
            self._office.publish(story[:5])
            await self._office.count()
            self._office.publish(story[5:])


@pytest.mark.parametrize("forgotten", [False, True])
async def test_counting_under_way_is_no_drift(office: Office, *, forgotten: bool) -> None:
    """Whatever is published, counted and told between any two questions, it finds nothing; also of an installation
    whose first events have left the topics."""
    if forgotten:
        office.logs.forget()
    waiting = [today(office, story) for story in events(20, seed=7)]
    assert await replace(office.parity, topics=Moving(office, waiting))._look(None) == []
    assert len(waiting) < 12


async def test_news_of_a_forgotten_dossier_is_no_drift(office: Office) -> None:
    """The last events of dossiers whose first ones are gone are counted while the books are compared."""
    known = events(20, seed=8)
    for story in known:
        office.publish(story[:-3])
    await office.count()
    office.logs.forget()
    waiting = [today(office, story[-3:]) for story in known]
    assert await replace(office.parity, topics=Moving(office, waiting))._look(None) == []
    assert len(waiting) < 12
    await office.count()
    assert await office.parity.find(None) == []


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("since", [None, HOURS])
async def test_events_published_again_are_no_drift(office: Office, since: timedelta | None, *, counted: bool) -> None:
    """A replay of dossiers that have left the topics, at each of its steps: their records know it all already."""
    office.logs.forget()
    again = [received for story in events(12) for received in story]
    started = office.environment.now() - since if since else None
    for place, received in enumerate(again):
        office.publish([received])
        if counted:
            await office.count()
        if place % 7 == 0:
            assert await office.parity._look(started) == []
    assert await office.parity.find(started) == []


async def test_wrong_totals_of_a_forgotten_installation_are_found(office: Office) -> None:
    """What is told differs from the records, and nothing came since: each partition is named."""
    office.logs.forget()
    story = today(office, events(1, seed=9)[0])
    office.publish(story)
    await office.count()
    for number in range(PARTITIONS):
        told = decode(office.logs.logs[KPIS, number][-1].value)
        assert told is not None
        office.logs.append(encode(replace(told, totals={**told.totals, "submitted": 90})))
    assert [drift.subject for drift in await office.parity._look(None)] == ["partition 0", "partition 1"]


def spoiled(office: Office, dossier: str, position: int) -> Record:
    """A dossier's record, refused instead of whatever it is, that says to stand there."""
    place = next(
        p for p in range(PARTITIONS) if any(r.key == dossier.encode() for r in office.logs.logs[CHANGELOG.name, p])
    )
    found = [load(r.value) for r in office.logs.logs[CHANGELOG.name, place] if r.key == dossier.encode()][-1]
    own = found[""]
    return {**found, "": {**own, "status": "lost", "n": own["n"] + position}}


@pytest.mark.parametrize("beyond", [0, 900])
async def test_wrong_records_of_what_began_lately_are_found(office: Office, beyond: int) -> None:
    """By the hourly comparison, also if a record says that it knows more than was ever published."""
    office.logs.forget()
    story = today(office, next(story for story in events(9, seed=3) if not story[-1].envelope.subject.count(":")))
    office.publish(story)
    await office.count()
    dossier = story[0].envelope.dossier
    log = office.logs.logs
    wrong = spoiled(office, dossier, beyond)
    for number in range(PARTITIONS):
        log[CHANGELOG.name, number][:] = [one for one in log[CHANGELOG.name, number] if one.key != dossier.encode()]
    office.plant(dossier, wrong)
    since = office.environment.now() - HOURS
    assert [drift.subject for drift in await office.parity.find(since)] == [dossier]


async def test_wrong_records_of_what_was_published_again_are_found(office: Office) -> None:
    """By the hourly comparison after a replay: a record that stands where the topics end, and tells otherwise."""
    office.logs.forget()
    story = events(12)[0]
    dossier = story[0].envelope.dossier
    log, wrong = office.logs.logs, spoiled(office, dossier, 0)
    for number in range(PARTITIONS):
        log[CHANGELOG.name, number][:] = [one for one in log[CHANGELOG.name, number] if one.key != dossier.encode()]
    office.plant(dossier, wrong)
    office.environment.advance(HOURS)
    since = office.environment.now()
    for received in story:
        office.logs.append(message(received))
    assert [drift.subject for drift in await office.parity.find(since)] == [dossier]
