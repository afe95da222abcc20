"""What dead-letter markers do. Subclasses give the fixture `markers`; memory and MongoDB pass the same truths."""

from typing import Protocol

from shared.consumer import Markers
from shared.redrive import Redrivable
from tests.unit.sample_journal import LATER, NOW


class BothMarkers(Markers, Redrivable, Protocol):
    """Markers as the consumer and as a redrive sees them."""

    async def clear(self, group: str, key: str) -> None:
        """Forget a marker."""
        ...

    async def discard(self, group: str, key: str, event: str, reason: str, who: str, now: str) -> None:
        """Discard an event."""
        ...


class MarkersBehaviour:
    """The behaviour suite."""

    async def mark(self, markers: BothMarkers, key: str = "d1", letters: int = 0, group: str = "g") -> None:
        """Mark a dossier."""
        await markers.mark(group, key, "reason", f"{key}:1", NOW, letters=letters)

    async def test_nothing_is_marked_at_first(self, markers: BothMarkers) -> None:
        """No marker, no keys, nothing to redrive."""
        assert not await markers.marked("g", "d1")
        assert await markers.keys("g") == set()
        assert await markers.find("g", "d1") is None
        assert await markers.start_redrive("g", "d1", "t") is None
        assert not await markers.finish_redrive("g", "d1", "t", 0)
        await markers.stop_redrive("g", "d1", "t", "again", "d1:2", LATER)
        assert not await markers.marked("g", "d1")

    async def test_the_first_mark_says_why_and_letters_are_counted(self, markers: BothMarkers) -> None:
        """Later marks add letters and change nothing else."""
        await self.mark(markers)
        await markers.mark("g", "d1", "other", "d1:9", LATER, letters=2)
        marker = await markers.find("g", "d1")
        assert marker is not None
        assert {name: value for name, value in marker.items() if name != "_id"} == {
            "group": "g",
            "key": "d1",
            "reason": "reason",
            "event": "d1:1",
            "since": NOW,
            "last": NOW,
            "attempts": 1,
            "waiting": 2,
        }

    async def test_groups_and_dossiers_are_kept_apart(self, markers: BothMarkers) -> None:
        """A marker belongs to one group and one dossier, also when names begin alike."""
        await self.mark(markers, "d1")
        await self.mark(markers, "d10", group="g2")
        assert await markers.keys("g") == {"d1"}
        assert not await markers.marked("g", "d10")
        await markers.clear("g2", "d10")
        assert await markers.keys("g2") == set()
        assert await markers.marked("g", "d1")

    async def test_only_the_redrive_under_way_is_let_through(self, markers: BothMarkers) -> None:
        """Its letters are not set aside; those without, or of an older redrive, are; after a stop all are."""
        await self.mark(markers)
        await markers.start_redrive("g", "d1", "t1")
        await markers.start_redrive("g", "d1", "t2")
        assert [await markers.marked("g", "d1", token) for token in ("", "t1", "t2")] == [True, True, False]
        await markers.stop_redrive("g", "d1", "t2", "again", "d1:2", LATER)
        assert await markers.marked("g", "d1", "t2")

    async def test_a_failed_redrive_says_what_failed_now(self, markers: BothMarkers) -> None:
        """The marker names the newest failure and how many there were; another redrive's failure changes nothing."""
        await self.mark(markers)
        await markers.start_redrive("g", "d1", "t2")
        await markers.stop_redrive("g", "d1", "t1", "late", "d1:9", LATER)
        assert not await markers.marked("g", "d1", "t2")
        await markers.stop_redrive("g", "d1", "t2", "again", "d1:2", LATER)
        await markers.stop_redrive("g", "d1", "t2", "an earlier one waits", "d1:3", LATER)
        marker = await markers.find("g", "d1")
        assert marker is not None
        assert {name: marker[name] for name in ("reason", "event", "since", "last", "attempts")} == {
            "reason": "again",
            "event": "d1:2",
            "since": NOW,
            "last": LATER,
            "attempts": 2,
        }

    async def test_discarded_events_are_remembered_per_group(self, markers: BothMarkers) -> None:
        """Discarding twice is discarding once; another group handles the event all the same."""
        assert await markers.discarded("g") == set()
        for _ in range(2):
            await markers.discard("g", "d1", "d1:1", "forged", "operator", NOW)
        assert await markers.discarded("g") == {"d1:1"}
        assert await markers.is_discarded("g", "d1:1")
        assert not await markers.is_discarded("g2", "d1:1")
        assert not await markers.is_discarded("g", "d1:2")

    async def test_a_redrive_ends_only_if_nothing_came_meanwhile(self, markers: BothMarkers) -> None:
        """Another number of letters, another redrive or a stop keeps the marker."""
        await self.mark(markers, letters=2)
        await markers.start_redrive("g", "d1", "t1")
        assert not await markers.finish_redrive("g", "d1", "t1", 1)
        assert not await markers.finish_redrive("g", "d1", "t0", 2)
        assert await markers.marked("g", "d1")
        assert await markers.finish_redrive("g", "d1", "t1", 2)
        assert not await markers.marked("g", "d1")
