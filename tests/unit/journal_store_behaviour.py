"""What every `JournalStore` does. Subclasses give the fixture `store`; memory and MongoDB pass the same truths."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.environment import timestamp
from shared.journal import Work
from shared.journal.model import KEPT_EVENTS, NOTHING_PUBLISHED, Change, JournalStore, Watermark
from shared.testing.environment import FakeEnvironment
from tests.unit.sample_journal import CALL, LATER, NOW, RING, Writer, with_work

MOMENT = timedelta(seconds=10)


class JournalStoreBehaviour:
    """The behaviour suite."""

    @pytest.fixture
    def environment(self) -> FakeEnvironment:
        """A hand-moved clock."""
        return FakeEnvironment()

    @pytest.fixture
    def writer(self, store: JournalStore, environment: FakeEnvironment) -> Writer:
        """Writes plain changes."""
        return Writer(store, environment)

    async def test_nothing_is_there_at_first(self, store: JournalStore) -> None:
        """An unknown subject has no head and no events, and is nowhere listed."""
        assert await store.load("d1", "c1") is None
        assert await store.events("d1") == []
        assert await store.subjects() == []
        assert await store.pending(LATER, 10) == []
        assert await store.due(LATER, [CALL], 10) == []
        assert await store.seal("d1", 1) == 0

    async def test_first_write_creates_and_second_appends(self, store: JournalStore, writer: Writer) -> None:
        """Events stay in order, and the head tells version, sequence, state and mac of the last write."""
        assert await writer.write("d1", "c1", "c1")
        assert await writer.write("d1", "c2")
        head = await store.load("d1")
        assert head is not None
        assert (head.version, head.sequence, head.mac, head.published) == (2, 3, "mac-3", NOTHING_PUBLISHED)
        assert head.state == {"count": 3}
        assert [(e["seq"], e["cause"]) for e in await store.events("d1")] == [(1, "c1"), (2, "c1"), (3, "c2")]
        assert [e["seq"] for e in await store.events("d1", after=2)] == [3]

    async def test_stale_version_changes_nothing(self, store: JournalStore, writer: Writer) -> None:
        """Whoever read an older version is refused, also as a second creator."""
        await writer.write("d1", "c1")
        await writer.write("d1", "c2")
        for version in (0, 1, 3):
            stale = replace_version(version)
            assert not await writer.write("d1", "late", change=stale)
        assert [e["cause"] for e in await store.events("d1")] == ["c1", "c2"]

    async def test_change_of_a_missing_document_creates_none(self, store: JournalStore, writer: Writer) -> None:
        """A change that expects a document never makes one by accident."""
        assert not await writer.write("gone", "c1", change=replace_version(4))
        assert await store.load("gone") is None
        assert await store.subjects() == []

    async def test_one_of_many_writers_wins_each_version(self, store: JournalStore, writer: Writer) -> None:
        """Of writers that read the same version exactly one is taken; the others hear so."""
        await writer.write("d1", "c0")
        for round_number in range(3):
            taken = await asyncio.gather(*(writer.write("d1", f"c{round_number}-{n}") for n in range(8)))
            assert taken.count(True) >= 1
        head = await store.load("d1")
        events = await store.events("d1")
        assert head is not None
        assert [e["seq"] for e in events] == list(range(1, head.sequence + 1))
        assert head.version == len(events)

    async def test_a_cause_finds_all_its_events(self, store: JournalStore, writer: Writer) -> None:
        """The head carries every event of the asked cause, none of another."""
        await writer.write("d1", "a", "a")
        await writer.write("d1", "b")
        for cause, expected in (("a", [1, 2]), ("b", [3]), ("c", [])):
            head = await store.load("d1", cause)
            assert head is not None
            assert [event["seq"] for event in head.matched] == expected

    async def test_inbox_never_goes_back(self, store: JournalStore, writer: Writer) -> None:
        """The last sequence per subject is kept, also by a change without events, and only rises."""
        await writer.write("d1", "c1", change=lambda c: replace(c, seen=("d1:7", 3)))
        await writer.write("d1", change=lambda c: replace(c, seen=("d1:7", 2)))
        await writer.write("d1", change=lambda c: replace(c, seen=("d1:9", 1)))
        head = await store.load("d1")
        assert head is not None
        assert dict(head.seen) == {"d1:7": 3, "d1:9": 1}
        assert head.sequence == 1

    async def test_watermark_rises_and_clears_the_pending_mark(
        self, store: JournalStore, writer: Writer, environment: FakeEnvironment
    ) -> None:
        """What is published wholly is no longer pending; what has newer events still is."""
        await writer.write("d1", "c1", "c1")
        environment.advance(MOMENT)
        soon = timestamp(environment.now())
        await store.mark_published("d1", NOTHING_PUBLISHED, 1)
        assert await store.pending(soon, 10) == ["d1"]
        await store.mark_published("d1", Watermark(0, 1), 2)
        assert await store.pending(soon, 10) == []
        await store.mark_published("d1", NOTHING_PUBLISHED, 1)
        head = await store.load("d1")
        assert head is not None
        assert head.published == Watermark(0, 2)
        assert await store.pending(soon, 10) == []
        await writer.write("d1", "c2")
        environment.advance(MOMENT)
        assert await store.pending(timestamp(environment.now()), 10) == ["d1"]

    async def test_watermark_leaves_no_gap(self, store: JournalStore, writer: Writer) -> None:
        """A relay that began behind the watermark's reach cannot declare the gap as published."""
        await writer.write("d1", "c1", "c1", "c1")
        await store.mark_published("d1", Watermark(0, 2), 3)
        assert await self._watermark(store) == NOTHING_PUBLISHED
        assert await store.pending(LATER, 10) == ["d1"]

    @pytest.mark.parametrize("after", [0, 1, 2])
    async def test_an_earlier_filling_marks_nothing(self, store: JournalStore, writer: Writer, after: int) -> None:
        """What the broker of before acknowledged is not on the present one, wherever the watermark stands."""
        await writer.write("d1", "c1", "c1", "c1")
        await store.mark_published("d1", NOTHING_PUBLISHED, 2)
        await store.republish(1)
        await store.mark_published("d1", Watermark(1, 0), 1)
        await store.mark_published("d1", Watermark(0, after), 3)
        assert await self._watermark(store) == Watermark(1, 1)
        assert await store.pending(LATER, 10) == ["d1"]

    async def test_new_aggregates_begin_in_the_present_filling(self, store: JournalStore, writer: Writer) -> None:
        """A store knows of a filling by being told or by having read an aggregate of it."""
        await writer.write("d1", "c1")
        assert store.fill == 0
        await store.republish(3)
        assert store.fill == 3
        await writer.write("d2", "c1")
        head = await store.load("d2")
        assert head is not None
        assert head.published == Watermark(3, 0)

    @staticmethod
    async def _watermark(store: JournalStore) -> Watermark:
        head = await store.load("d1")
        assert head is not None
        return head.published

    async def test_watermark_of_a_missing_document(self, store: JournalStore) -> None:
        """Nothing happens, and nothing is created."""
        await store.mark_published("gone", NOTHING_PUBLISHED, 1)
        assert await store.subjects() == []

    async def test_pending_comes_oldest_first_and_not_too_young(
        self, store: JournalStore, writer: Writer, environment: FakeEnvironment
    ) -> None:
        """The sweeper gets the oldest first, at most as many as asked, and none that a relay may just be sending."""
        for subject in ("c", "a", "b"):
            await writer.write(subject, "c1")
            environment.advance(MOMENT)
        youngest = timestamp(environment.now() - MOMENT)
        assert await store.pending(youngest, 10) == ["c", "a"]
        assert await store.pending(youngest, 1) == ["c"]

    async def test_work_does_not_make_events_younger(
        self, store: JournalStore, writer: Writer, environment: FakeEnvironment
    ) -> None:
        """A timer that is postponed again and again never hides unpublished events from the sweeper."""
        await writer.write("d1", "c1")
        environment.advance(MOMENT)
        soon = timestamp(environment.now())
        await writer.write("d1", change=with_work(Work(CALL, soon, id="d1:1/call")))
        assert await store.pending(soon, 10) == ["d1"]

    async def test_due_work_is_found_by_kind_and_time(self, store: JournalStore, writer: Writer) -> None:
        """Only due work of the asked kinds is returned; work that was removed is gone."""
        call, ring = Work(CALL, NOW, id="d1:1/call", traceparent="t"), Work(RING, LATER, LATER, id="d1:1/ring")
        await writer.write("d1", "c1", change=with_work(call, ring))
        await writer.write("d2", "c1", change=with_work(replace(ring, id="d2:1/ring")))
        assert await store.due(NOW, [CALL, RING], 10) == [("d1", "d1:1/call")]
        assert await store.due(NOW, [RING], 10) == []
        assert sorted(await store.due(LATER, [RING], 10)) == [("d1", "d1:1/ring"), ("d2", "d2:1/ring")]
        head = await store.load("d1")
        assert head is not None
        assert head.work == (call, ring)
        await writer.write("d1", change=with_work())
        assert await store.due(LATER, [CALL, RING], 10) == [("d2", "d2:1/ring")]

    async def test_republish_marks_all_that_was_published(self, store: JournalStore, writer: Writer) -> None:
        """Afterwards everything is pending from the first event on; a filling that has begun is not begun again."""
        for number in range(3):
            await writer.write(f"d{number}", "c1")
        await store.mark_published("d0", NOTHING_PUBLISHED, 1)
        await store.mark_published("d1", NOTHING_PUBLISHED, 1)
        assert await store.republish(1) == 3
        await store.mark_published("d1", Watermark(1, 0), 1)
        assert await store.republish(1) == 0
        assert sorted(await store.pending(LATER, 10)) == ["d0", "d2"]
        assert await self._watermark(store) == Watermark(1, 1)
        head = await store.load("d0")
        assert head is not None
        assert head.published == Watermark(1, 0)

    async def test_sealing_moves_only_old_published_events(self, store: JournalStore, writer: Writer) -> None:
        """The newest and all unpublished events stay; whoever reads gets all of them in order."""
        for number in range(1, 11):
            await writer.write("d1", f"c{number}")
        await store.mark_published("d1", NOTHING_PUBLISHED, 6)
        assert await store.seal("d1", keep=2) == 6
        assert await store.seal("d1", keep=2) == 0
        await store.mark_published("d1", Watermark(0, 6), 10)
        assert await store.seal("d1", keep=2) == 2
        assert [e["seq"] for e in await store.events("d1")] == list(range(1, 11))
        assert [e["seq"] for e in await store.events("d1", after=5)] == list(range(6, 11))
        assert [e["seq"] for e in await store.events("d1", after=8)] == [9, 10]

    async def test_causes_are_found_after_sealing(self, store: JournalStore, writer: Writer) -> None:
        """A repeated command is recognised however long ago it was, wherever its events lie now."""
        for cause in ("a", "a", "b", "b", "c"):
            await writer.write("d1", cause)
        await store.mark_published("d1", NOTHING_PUBLISHED, 5)
        await store.seal("d1", keep=4)
        await store.seal("d1", keep=2)
        for cause, expected in (("a", [1, 2]), ("b", [3, 4]), ("c", [5]), ("x", [])):
            head = await store.load("d1", cause)
            assert head is not None
            assert [event["seq"] for event in head.matched] == expected, cause

    async def test_writing_goes_on_after_sealing(self, store: JournalStore, writer: Writer) -> None:
        """Sealing is no new version: a writer that read before it is taken, and numbers go on."""
        for _ in range(4):
            await writer.write("d1", "c")
        await store.mark_published("d1", NOTHING_PUBLISHED, 4)
        head = await store.load("d1")
        await store.seal("d1", keep=1)
        assert head is not None
        assert await writer.write("d1", "n", change=replace_version(head.version))
        assert [e["seq"] for e in await store.events("d1")] == [1, 2, 3, 4, 5]

    async def test_long_journals_are_read_whole(self, store: JournalStore, writer: Writer) -> None:
        """Several segments and the document together are one journal."""
        total = 2 * KEPT_EVENTS + 50
        for start in range(0, total, 50):
            await writer.write("d1", *(["c"] * 50))
            await store.mark_published("d1", Watermark(0, start), start + 50)
        assert await store.seal("d1", keep=10) == total - 10
        assert [e["seq"] for e in await store.events("d1")] == list(range(1, total + 1))
        assert [e["seq"] for e in await store.events("d1", after=KEPT_EVENTS)] == list(
            range(KEPT_EVENTS + 1, total + 1)
        )

    async def test_subjects_are_paged(self, store: JournalStore, writer: Writer) -> None:
        """Pages in ascending order lead through everything."""
        for subject in ("b", "d", "a", "c"):
            await writer.write(subject, "c1")
        assert await store.subjects(limit=3) == ["a", "b", "c"]
        assert await store.subjects(after="c") == ["d"]
        assert await store.subjects(after="d") == []


def replace_version(version: int) -> Callable[[Change], Change]:
    """Let a change claim another version."""
    return lambda change: replace(change, version=version)
