"""Making the KPIs anew and comparing them with the topics: planted drift is found, mended and gone."""

from collections.abc import AsyncIterator, Mapping

import pytest

from services.analytics.domain import Record, dump, load, recount_of, stamped
from services.analytics.parity import totals_of
from services.analytics.topics import CHANGELOG, GROUP
from shared.contracts.envelope import Message
from shared.errors import RecountPending
from shared.kafka.topics import Place, Span
from tests.unit.analytics_office import PARTITIONS, Busy, Logs, Office, counted, events

FORGED: Record = {"": {"k": "d", "n": 900, "service": "parking-permit", "submitted": 1, "status": "received"}}


@pytest.fixture
async def office() -> Office:
    """A worker that has counted twelve dossiers."""
    return await counted()


async def restarted(office: Office) -> None:
    """The worker again, after a crash: what was planted in its changelog counts now."""
    office.running.clear()
    await office.start()
    await office.count()


async def test_kpis_that_are_right_show_no_drift(office: Office) -> None:
    """Also with events that are not counted yet, and with others counted since they were told."""
    assert await office.parity.find(None) == []
    office.publish(events(3, seed=2)[0])
    assert await office.parity.find(None) == []


async def test_planted_drift_is_found_mended_and_gone(office: Office) -> None:
    """A wrong record, one of nobody's dossier and a lost one: each is named, one recount mends all, a second repair
    finds nothing; the wrong records come back with no later recovery."""
    expected, known = office.totals(), events(12)
    wrong, lost = known[0][0].envelope.dossier, known[1][0].envelope.dossier
    office.plant(wrong, FORGED)
    office.plant("nobody", FORGED)
    place = next(
        p for p in range(PARTITIONS) if any(r.key == lost.encode() for r in office.logs.logs[CHANGELOG.name, p])
    )
    log = office.logs.logs[CHANGELOG.name, place]
    log[:] = [record for record in log if record.key != lost.encode()]
    await restarted(office)
    found = await office.parity.find(None)
    assert {drift.kind for drift in found} == {"kpi"}
    assert (
        {wrong, "nobody", lost}
        <= {drift.subject for drift in found}
        <= {wrong, "nobody", lost, "partition 0", "partition 1"}
    )
    assert "submitted is 1, must be 0" in next(drift.text for drift in found if drift.subject == "nobody")
    assert await office.recounts.ask() == 1
    await office.recount()
    await office.count()
    assert office.totals() == expected
    assert await office.parity.repair(await office.parity.find(None), None) == 0
    await restarted(office)
    assert office.totals() == expected
    assert (await office.parity.find(None), office.recounts.wanted) == ([], 1)


async def test_a_recount_of_right_kpis_changes_nothing(office: Office) -> None:
    """Twice, with events counted in between: the totals equal the fold of everything published."""
    later = events(4, seed=3)
    for story in later:
        await office.recounts.ask()
        await office.recount()
        office.publish(story)
        await office.count()
    assert office.totals() == totals_of(*events(12), *later)
    assert await office.parity.find(None) == []


async def test_what_is_counted_meanwhile_is_kept(office: Office) -> None:
    """Events that come while a partition is read are in its new records too."""
    later = events(6, seed=4)
    await office.recounts.ask()
    await office.recounter.look(lambda: office.table, Busy(office, list(later)))
    await office.count()
    published = [story for story in later if any(story[0].envelope.dossier.encode() == key for key in office.table)]
    assert len(published) >= PARTITIONS
    assert office.totals() == totals_of(*events(12), *published)
    assert all(recount_of(load(value)) == 1 for value in office.table.values())


async def test_what_left_the_topics_stays_as_it_is(office: Office) -> None:
    """Dossiers whose first events are gone keep their record; published again, they are made anew from it all."""
    expected, known = office.totals(), events(12)
    office.logs.forget()
    office.publish(known[0][-2:])
    await office.recounts.ask()
    await office.recount()
    assert office.totals() == expected
    assert await office.parity.find(None) == []
    office.plant(known[0][0].envelope.dossier, stamped(FORGED, 1))
    await restarted(office)
    assert office.totals() != expected
    for story in known:
        office.publish(story)
    await office.recounts.ask()
    await office.recount()
    await office.count()
    assert office.totals() == expected


async def test_what_dead_letters_hold_back_stays_as_it_is(office: Office) -> None:
    """A held dossier is neither drift nor made anew: a redrive takes its events in, in order."""
    story = events(1, seed=5)[0]
    dossier = story[0].envelope.dossier
    expected = office.totals()
    await office.markers.mark(GROUP, dossier, "why", story[0].envelope.id, "2026-11-22T00:00:00.000Z")
    office.publish(story)
    for place in list(office.logs.logs):
        office.logs.offsets[place] = len(office.logs.logs[place])
    assert await office.parity.find(None) == []
    await office.recounts.ask()
    await office.recount()
    assert office.totals() == expected


async def test_a_worker_that_lost_its_partitions_changes_nothing(office: Office) -> None:
    """A recount that ends after a rebalance neither replaces records nor is noted as done; the next one is."""

    class Rebalanced(Logs):
        def __init__(self) -> None:
            self.__dict__ = office.logs.__dict__

        async def read(self, spans: Mapping[Place, Span]) -> AsyncIterator[Message]:
            async for record in super().read(spans):
                yield record
            await restarted(office)

    await office.recounts.ask()
    await office.recounter.look(lambda: office.table, Rebalanced())
    assert office.recounts.done == {}
    assert all(recount_of(load(value)) == 0 for value in office.table.values())
    await office.recount()
    assert office.recounts.done == dict.fromkeys(range(PARTITIONS), 1)


async def test_a_predecessor_cannot_note_a_recount_as_done(office: Office) -> None:
    """Another worker took the partitions over while this one told the changelog: it will begin again."""

    async def settled() -> None:
        await office.recounts.take(range(PARTITIONS), "successor")

    await office.recounts.ask()
    office.table.settled = settled  # type: ignore[method-assign]
    await office.recount()
    assert office.recounts.done == {}


async def test_records_of_before_are_made_anew_by_a_successor(office: Office) -> None:
    """A recount was done and some record is still of before, as when an older release counted for a while."""
    await office.recounts.ask()
    await office.recount()
    await office.start()
    assert office.recounter._is_behind(0, 1) is False
    old = next(iter(office.table))
    office.table.adopt({old: b"{}"})
    office.running.rebuild(office.table.items())
    await office.recounter.take_over(range(PARTITIONS))
    office.running.start_from({number: {} for number in range(PARTITIONS)}, 2)
    expected = totals_of(*events(12))
    office.logs.offsets.clear()
    await office.recount()
    await office.count()
    assert office.totals() == expected


async def test_a_recount_outnumbers_whatever_is_there(office: Office) -> None:
    """Numbers were lost with the database, and a wrong record bears one: the next recount mends it for good."""
    expected = office.totals()
    office.plant(events(12)[0][0].envelope.dossier, stamped(FORGED, 7))
    await restarted(office)
    assert office.totals() != expected
    await office.recounts.ask()
    await office.recount()
    await restarted(office)
    assert office.totals() == expected
    assert await office.recounts.ask() > 8


async def test_waiting_for_a_recount_has_an_end(office: Office) -> None:
    """Without a worker a repair says that it is asked for, and what to look at; it asks once only."""
    office.plant("nobody", FORGED)
    found = await office.parity.find(None)
    for _ in range(2):
        with pytest.raises(RecountPending, match="is analytics-worker running"):
            await office.parity.repair(found, None)
    assert office.recounts.wanted == 1


async def test_a_record_under_a_key_that_is_no_text_stops_no_recount(office: Office) -> None:
    """A forged record in the changelog: all partitions are done, and right figures told, also after a restart."""
    expected = office.totals()
    for end in range(9):
        office.logs.append(Message(CHANGELOG.name, b"\xff\xfe%d" % end, dump(FORGED), []))
    await restarted(office)
    assert office.totals() != expected
    await office.recounts.ask()
    await office.recount()
    assert office.recounts.done == dict.fromkeys(range(PARTITIONS), 1)
    assert office.totals() == expected
    await restarted(office)
    assert office.totals() == expected
