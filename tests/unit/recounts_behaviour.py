"""What is kept of recounts. Subclasses give the fixture `recounts`; memory and MongoDB pass the same truths."""

from typing import Protocol

from services.analytics.compare import Store as Asked
from services.analytics.recount import Store as Done


class BothSides(Asked, Done, Protocol):
    """Recounts as operators and as workers see them."""


class RecountsBehaviour:
    """The behaviour suite."""

    async def test_nothing_is_wanted_at_first(self, recounts: BothSides) -> None:
        """Number 0, nothing done, which is done."""
        state = await recounts.state()
        assert (state.wanted, dict(state.done), state.is_done(0, 3)) == (0, {}, True)

    async def test_each_request_has_the_next_number(self, recounts: BothSides) -> None:
        """1, 2; done only when every partition is."""
        assert [await recounts.ask(), await recounts.ask()] == [1, 2]
        await recounts.take([0, 1], "me")
        assert await recounts.finish(0, 2, "me")
        assert not (await recounts.state()).is_done(2, 2)
        assert await recounts.finish(1, 2, "me")
        assert (await recounts.state()).is_done(2, 2)

    async def test_only_who_took_a_partition_last_may_finish(self, recounts: BothSides) -> None:
        """A predecessor is told so and changes nothing; other partitions stay as they are."""
        await recounts.take([0, 1], "predecessor")
        await recounts.take([0], "successor")
        assert not await recounts.finish(0, 1, "predecessor")
        assert await recounts.finish(1, 1, "predecessor")
        assert dict((await recounts.state()).done) == {1: 1}

    async def test_what_is_done_stays_done(self, recounts: BothSides) -> None:
        """An earlier recount that ends late lowers nothing; taking over tells what is done."""
        await recounts.take([0], "me")
        await recounts.finish(0, 3, "me")
        await recounts.finish(0, 2, "me")
        assert dict((await recounts.take([], "other")).done) == {0: 3}

    async def test_what_is_asked_for_is_later_than_what_is_done(self, recounts: BothSides) -> None:
        """A worker that had to take a higher number raises what is wanted."""
        await recounts.take([0], "me")
        assert await recounts.ask() == 1
        await recounts.finish(0, 4, "me")
        assert await recounts.ask() == 5
