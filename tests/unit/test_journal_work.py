"""Leased work of a journal: who holds it, what its outcome does, and what a late holder does not."""

from datetime import timedelta

import pytest

from shared.journal import Cause, Journal
from tests.unit.sample_journal import LATER, OPENED, QuickEnvironment, Tally, add, command, journal_of, noted, once

LEASE = timedelta(minutes=1)
WORK = "d1:1/call"


@pytest.fixture
def environment() -> QuickEnvironment:
    """A clock that the tests move."""
    return QuickEnvironment()


@pytest.fixture
async def journal(environment: QuickEnvironment) -> Journal[Tally]:
    """A journal in which d1 wants a call."""
    journal = journal_of(environment=environment)
    await journal.record("d1", once(OPENED), command("open"), creates=True)
    return journal


async def test_a_claim_excludes_others_until_its_lease_ends(
    journal: Journal[Tally], environment: QuickEnvironment
) -> None:
    """One holder at a time; when the lease ends another may take it, counted as a new attempt."""
    task = await journal.claim("d1", WORK, LEASE)
    assert task is not None
    assert (task.id, task.kind, task.attempts, task.not_after, task.state.words) == (
        WORK,
        "call",
        1,
        LATER,
        ("identity_check_opened",),
    )
    assert await journal.claim("d1", WORK, LEASE) is None
    environment.advance(LEASE)
    again = await journal.claim("d1", WORK, LEASE)
    assert again is not None
    assert again.attempts == 2


async def test_unknown_work_cannot_be_claimed(journal: Journal[Tally]) -> None:
    """Work that is gone, or was never there, is nobody's."""
    assert await journal.claim("d1", "d1:9/call", LEASE) is None
    assert await journal.claim("d9", WORK, LEASE) is None


async def test_finished_work_is_gone_and_recorded_once(journal: Journal[Tally]) -> None:
    """The outcome and the end of the work are one write; a second outcome of the same task changes nothing."""
    task = await journal.claim("d1", WORK, LEASE)
    assert task is not None
    await journal.record("d1", add(noted(1)), Cause.performed(task))
    again = await journal.record("d1", add(noted(1)), Cause.performed(task))
    assert again.repeated
    assert again.state.total == 1
    assert await journal.claim("d1", WORK, LEASE) is None


async def test_the_slower_of_two_holders_changes_nothing(
    journal: Journal[Tally], environment: QuickEnvironment
) -> None:
    """A holder whose lease had ended finds the work done by another, and its own outcome is dropped."""
    slow = await journal.claim("d1", WORK, LEASE)
    environment.advance(LEASE)
    quick = await journal.claim("d1", WORK, LEASE)
    assert slow is not None
    assert quick is not None
    await journal.record("d1", add(noted(1)), Cause.performed(quick))
    late = await journal.record("d1", add(noted(10)), Cause.performed(slow))
    assert late.repeated
    assert late.state.total == 1


async def test_a_late_holder_does_not_postpone_anothers_lease(
    journal: Journal[Tally], environment: QuickEnvironment
) -> None:
    """Otherwise a third would begin while the second is still at it."""
    slow = await journal.claim("d1", WORK, LEASE)
    environment.advance(LEASE)
    assert await journal.claim("d1", WORK, LEASE) is not None
    assert slow is not None
    await journal.postpone(slow, environment.now())
    assert await journal.claim("d1", WORK, LEASE) is None


async def test_postponing_records_and_keeps_the_work(journal: Journal[Tally], environment: QuickEnvironment) -> None:
    """The decision is saved, the work stays, due later."""
    task = await journal.claim("d1", WORK, LEASE)
    assert task is not None
    await journal.postpone(task, environment.now() + timedelta(seconds=5), add(noted(2)))
    current = await journal.state("d1")
    assert current is not None
    assert current.state.total == 2
    assert await journal.claim("d1", WORK, LEASE) is None
    environment.advance(timedelta(seconds=5))
    assert await journal.claim("d1", WORK, LEASE) is not None


async def test_postponing_work_that_is_gone(journal: Journal[Tally], environment: QuickEnvironment) -> None:
    """Work that was finished meanwhile stays finished."""
    task = await journal.claim("d1", WORK, LEASE)
    assert task is not None
    await journal.record("d1", add(), Cause.performed(task))
    await journal.postpone(task, environment.now())
    assert await journal.store.due(LATER, ["call"], 10) == []
