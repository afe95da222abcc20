"""Saving decisions: repeats, conflicts, stale readers, refolding, and leased work."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from shared.contracts.event import Event
from shared.errors import StorageUnavailable
from shared.journal import (
    Cause,
    Contention,
    IdempotencyConflict,
    Journal,
    StaleSequence,
    UnknownSubject,
)
from shared.journal.fold import fold
from shared.journal.model import NOTHING_PUBLISHED, Change, Document, Head, Watermark, Work
from shared.testing.store import MemoryJournalStore
from tests.unit.sample_journal import (
    MISMATCHED,
    OPENED,
    TALLY,
    Tally,
    add,
    command,
    journal_of,
    noted,
    once,
    told,
)


class Overtaken(MemoryJournalStore):
    """A store in which others write just before each of the next `rivals` commits."""

    rivals: int = 0

    async def commit(self, change: Change) -> bool:
        """Let a rival go first."""
        if self.rivals and change.version:
            self.rivals -= 1
            journal = journal_of(self)
            self.rivals, left = 0, self.rivals
            await journal.record(change.subject, add(noted(100)), command(f"rival-{left}"))
            self.rivals = left
        return await super().commit(change)


async def opened(journal: Journal[Tally]) -> None:
    """Open d1, which wants a call."""
    await journal.record("d1", once(OPENED), command("open"), creates=True)


async def test_a_repeated_command_gets_its_first_answer() -> None:
    """The same key and body: nothing is decided again, and the answer is the state as it was then."""
    journal = journal_of()
    first = await journal.record("d1", add(noted(1), MISMATCHED), command("k1"), creates=True)
    await journal.record("d1", add(noted(5)), command("k2"))
    again = await journal.record("d1", add(noted(1), MISMATCHED), command("k1"), creates=True)
    assert again == replace(first, repeated=True)
    assert again.sequence == 3
    assert len(await journal.recorded("d1")) == 4


async def test_the_same_key_with_another_body_is_a_conflict() -> None:
    """Nothing is decided for a key that was used for something else."""
    journal = journal_of()
    await journal.record("d1", add(noted(1)), command("k1"), creates=True)
    with pytest.raises(IdempotencyConflict):
        await journal.record("d1", add(noted(2)), command("k1", "other"))
    assert len(await journal.recorded("d1")) == 1


async def test_a_command_is_recognised_after_sealing() -> None:
    """Sealed events still answer repeats and still show conflicts."""
    journal = journal_of()
    for number in range(5):
        await journal.record("d1", add(noted(number + 1)), command(f"k{number}"), creates=True)
    await journal.store.mark_published("d1", NOTHING_PUBLISHED, 5)
    assert await journal.store.seal("d1", 1) == 4
    again = await journal.record("d1", add(noted(9)), command("k1"))
    assert (again.repeated, again.sequence, again.state.total) == (True, 2, 3)
    with pytest.raises(IdempotencyConflict):
        await journal.record("d1", add(noted(9)), command("k1", "other"))


async def test_an_event_is_taken_in_once() -> None:
    """A consumed event and all older ones of its subject change nothing a second time, even without a decision."""
    journal = journal_of()
    await opened(journal)
    await journal.record("d1", add(), Cause.event(told("d1:7", 3).envelope))
    for sequence in (3, 2, 1):
        outcome = await journal.record("d1", add(noted(1)), Cause.event(told("d1:7", sequence).envelope))
        assert outcome.repeated
    fresh = await journal.record("d1", add(noted(1)), Cause.event(told("d1:7", 4).envelope))
    other = await journal.record("d1", add(noted(1)), Cause.event(told("d1:8", 1).envelope))
    assert (fresh.repeated, other.repeated, other.state.total) == (False, False, 2)


async def test_if_match_on_an_old_sequence_is_stale() -> None:
    """Who decided on an older state is refused and not decided again; who is up to date is taken."""
    journal = journal_of()
    await opened(journal)
    await journal.record("d1", add(noted(1)), command("k1"), expected=1)
    with pytest.raises(StaleSequence):
        await journal.record("d1", add(noted(1)), command("k2"), expected=1)
    repeated = await journal.record("d1", add(noted(1)), command("k1"), expected=1)
    assert repeated.repeated


async def test_if_match_is_stale_when_overtaken_while_saving() -> None:
    """Being overtaken between reading and writing is stale too, not decided on the new state."""
    store = Overtaken()
    journal = journal_of(store)
    await opened(journal)
    store.rivals = 1
    with pytest.raises(StaleSequence):
        await journal.record("d1", add(noted(1)), command("k1"), expected=1)
    assert [e["cause"] for e in await store.events("d1")][1:] == ["cmd:caller:rival-0"]


async def test_the_overtaken_decide_again() -> None:
    """Whoever loses the race decides on the new state."""
    store = Overtaken()
    journal = journal_of(store)
    await opened(journal)
    store.rivals = 3
    totals: list[int] = []

    def decide(state: Tally | None, _now: datetime) -> Sequence[Event]:
        totals.append(state.total if state else -1)
        return (noted(1),)

    outcome = await journal.record("d1", decide, command("k1"))
    assert totals == [0, 100, 200, 300]
    assert outcome.state.total == 301


async def test_endless_contention_is_transient() -> None:
    """After many lost races the caller is told to come back; nothing of it was saved."""
    store = Overtaken()
    journal = journal_of(store)
    await opened(journal)
    store.rivals = 1000
    with pytest.raises(Contention):
        await journal.record("d1", add(noted(1)), command("k1"))
    assert not any(e["cause"] == "cmd:caller:k1" for e in await store.events("d1"))


async def test_only_a_creator_creates() -> None:
    """A cause for something unknown is refused unless it may create, and creates nothing by deciding nothing."""
    journal = journal_of()
    with pytest.raises(UnknownSubject):
        await journal.record("d1", add(noted(1)), command("k1"))
    with pytest.raises(UnknownSubject):
        await journal.record("d1", add(), command("k1"), creates=True)
    assert await journal.state("d1") is None


async def test_a_refusal_saves_nothing() -> None:
    """What `decide` raises reaches the caller, and the key may be used again."""

    def refuse(_state: Tally | None, _now: datetime) -> Sequence[Event]:
        raise ValueError("not now")

    journal = journal_of()
    await opened(journal)
    with pytest.raises(ValueError, match="not now"):
        await journal.record("d1", refuse, command("k1"))
    outcome = await journal.record("d1", add(noted(1)), command("k1", "other"))
    assert not outcome.repeated


async def test_a_lost_answer_is_found_again() -> None:
    """The write happened, the answer was lost: asking again finds it and repeats nothing; so does a creation."""
    store = MemoryJournalStore()
    journal = journal_of(store)
    for creates in (True, False):
        store.lose_answers = 1
        key = f"k{creates}"
        with pytest.raises(StorageUnavailable):
            await journal.record("d1", add(noted(3)), command(key), creates=creates)
        again = await journal.record("d1", add(noted(3)), command(key), creates=creates)
        assert again.repeated
    assert [one.sequence for one in await journal.recorded("d1")] == [1, 2]


async def test_what_is_new_is_inserted_without_looking() -> None:
    """A new id costs one write and no read; a repeat, also after a lost answer, finds it and gets its answer."""
    store = Counting()
    journal = journal_of(store)
    first = await journal.record("d1", once(noted(3)), command("k1"), new=True)
    assert (first.repeated, store.loads) == (False, 0)
    again = await journal.record("d1", once(noted(3)), command("k1"), new=True)
    assert (again.repeated, again.events) == (True, first.events)
    with pytest.raises(IdempotencyConflict):
        await journal.record("d1", once(noted(3)), command("k1", "another"), new=True)
    store.lose_answers = 1
    with pytest.raises(StorageUnavailable):
        await journal.record("d2", once(noted(4)), command("k2"), new=True)
    assert (await journal.record("d2", once(noted(4)), command("k2"), new=True)).repeated
    assert [len(await journal.recorded(subject)) for subject in ("d1", "d2")] == [1, 1]


async def test_what_is_not_new_after_all_is_decided_on_as_it_stands() -> None:
    """Whoever takes an existing aggregate for a new one adds to it, and moves its inbox once."""
    journal = journal_of()
    await journal.record("d1", add(noted(1)), command("k1"), creates=True)
    for _ in range(2):
        await journal.record("d1", add(noted(2)), Cause.event(told("d9:4", 7).envelope), new=True)
    assert [one.sequence for one in await journal.recorded("d1")] == [1, 2]


class Counting(MemoryJournalStore):
    """A store that counts how often it is asked for a head."""

    loads = 0

    async def load(self, subject: str, cause: str | None = None) -> Head | None:
        """Count, and answer."""
        self.loads += 1
        return await super().load(subject, cause)


async def test_another_schema_refolds() -> None:
    """A state of another schema is not read but folded from the events, and saved in the new form."""
    store = MemoryJournalStore()
    await journal_of(store).record("d1", add(noted(3)), command("k1"), creates=True)
    store.documents["d1"]["state"] = {"words": "nonsense of an older release"}
    journal = journal_of(store, aggregate=replace(TALLY, schema=2))
    current = await journal.state("d1")
    assert current is not None
    assert current.state.total == 3
    await journal.record("d1", add(noted(4)), command("k2"))
    assert store.documents["d1"]["schema"] == 2
    assert store.documents["d1"]["state"] == {"words": ["identity_check_delayed"] * 2, "total": 7}
    state = fold(TALLY, "d1", await store.events("d1"))
    assert state is not None
    assert state.total == 7


async def test_refolding_reads_sealed_events_too() -> None:
    """Nothing that was sealed is missing from a new form."""
    store = MemoryJournalStore()
    journal = journal_of(store)
    for number in range(4):
        await journal.record("d1", add(noted(1)), command(f"k{number}"), creates=True)
    await store.mark_published("d1", NOTHING_PUBLISHED, 4)
    await store.seal("d1", 1)
    current = await journal_of(store, aggregate=replace(TALLY, schema=2)).state("d1")
    assert current is not None
    assert current.state.total == 4


async def test_listeners_hear_of_saved_changes_only() -> None:
    """The relay is told of what was committed, with the watermark it continues; not of repeats."""
    heard: list[tuple[str, tuple[int, int], list[int], list[str]]] = []

    class Ear:
        def saved(
            self, subject: str, published: Watermark, events: tuple[Document, ...], work: tuple[Work, ...]
        ) -> None:
            heard.append((subject, published, [e["seq"] for e in events], [w.kind for w in work]))

    journal = journal_of()
    journal.listen(Ear())
    await opened(journal)
    await journal.store.mark_published("d1", NOTHING_PUBLISHED, 1)
    await journal.record("d1", add(noted(1), noted(2)), command("k1"))
    await journal.record("d1", add(noted(1), noted(2)), command("k1"))
    assert heard == [("d1", (0, 0), [1], ["call"]), ("d1", (0, 1), [2, 3], ["call"])]


async def test_writers_at_once_are_all_recorded() -> None:
    """Many requests at the same time: each once, in some order, without a gap."""
    journal = journal_of()
    await opened(journal)
    await asyncio.gather(*(journal.record("d1", add(noted(1)), command(f"k{number}")) for number in range(20)))
    assert [one.sequence for one in await journal.recorded("d1")] == list(range(1, 22))
