"""Identity checks and evidence fetches: facts that come late, twice or in another order."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.identity.domain import (
    CHECK,
    CHECK_IDENTITY,
    EVIDENCE,
    FETCH_EVIDENCE,
    cancel_check,
    cancel_fetch,
    confirm_identity,
    delay_check,
    delay_fetch,
    deliver_evidence,
    fail_check,
    mismatch_identity,
    miss_evidence,
    open_check,
    open_fetch,
)
from services.identity.work import leaves
from shared.contracts.dossier import EvidenceRequested, IdentityCheckRequested
from shared.contracts.event import Event
from shared.environment import timestamp
from shared.journal import Aggregate, Decide, Recorded, Work
from shared.testing.environment import START

SEALED = "sealed:v1:person:AAAA"
EVIDENCE_SEALED = "sealed:v1:evidence:AAAA"
DAY = timedelta(hours=24)
SUBJECT = "d1:2"
CHECK_REQUEST = IdentityCheckRequested(step="identity", register_name="residents", person=SEALED)
FETCH_REQUEST = EvidenceRequested(
    step="residence",
    claim="residence_record",
    purpose="residence-certificate",
    legal_basis="SRL 6",
    consent="d1:1",
    register_id=SEALED,
)

CHECK_FACTS: dict[str, Decide[Any]] = {
    "opened": open_check(CHECK_REQUEST, DAY),
    "delayed": delay_check(2),
    "confirmed": confirm_identity(SEALED),
    "mismatched": mismatch_identity(("not_found",)),
    "failed": fail_check("register_unavailable"),
    "cancelled": cancel_check("identity"),
}
FETCH_FACTS: dict[str, Decide[Any]] = {
    "opened": open_fetch(FETCH_REQUEST, DAY),
    "delayed": delay_fetch(2),
    "fetched": deliver_evidence("residents_register", 9, EVIDENCE_SEALED),
    "unavailable": miss_evidence("not_found"),
    "cancelled": cancel_fetch("residence"),
}
BOTH = [(CHECK, CHECK_FACTS), (EVIDENCE, FETCH_FACTS)]


def played(aggregate: Aggregate[Any], decides: Sequence[Decide[Any]]) -> tuple[Any, list[Event], list[Work]]:
    """State, events and planned work after these decisions, one after the other."""
    state, events, work = None, list[Event](), list[Work]()
    for decide in decides:
        for event in decide(state, START):
            recorded = Recorded(SUBJECT, len(events) + 1, timestamp(START), event)
            state = aggregate.evolve(state, recorded)
            events.append(event)
            work.extend(aggregate.plan(state, recorded))
    return state, events, work


def words(events: Sequence[Event]) -> list[str]:
    """The events by their words."""
    return [event.word for event in events]


def test_opened_check_asks_the_register_for_a_day() -> None:
    """A request opens the check once, and its work is due at once and given up after the patience given."""
    state, events, work = played(CHECK, [CHECK_FACTS["opened"], CHECK_FACTS["opened"]])
    assert words(events) == ["identity_check_opened"]
    assert (state.open, state.outcome, state.person) == (True, "open", SEALED)
    assert work == [Work(CHECK_IDENTITY, due_at=timestamp(START), not_after=timestamp(START + DAY))]


def test_opened_fetch_asks_the_source_for_a_day() -> None:
    """A request opens the fetch once, with the same patience."""
    state, events, work = played(EVIDENCE, [FETCH_FACTS["opened"], FETCH_FACTS["opened"]])
    assert words(events) == ["evidence_fetch_opened"]
    assert (state.open, state.claim, state.register_id) == (True, "residence_record", SEALED)
    assert work == [Work(FETCH_EVIDENCE, due_at=timestamp(START), not_after=timestamp(START + DAY))]


def test_delay_is_told_once() -> None:
    """However often the register fails, the dossier hears of it once."""
    _, events, _ = played(CHECK, [CHECK_FACTS["opened"], delay_check(2), delay_check(3), delay_check(9)])
    assert words(events) == ["identity_check_opened", "identity_check_delayed"]
    assert events[1].model_dump() == {"step": "identity", "attempts": 2}


@pytest.mark.parametrize(("aggregate", "facts"), BOTH, ids=["check", "evidence"])
def test_cancelled_before_it_was_requested(aggregate: Aggregate[Any], facts: dict[str, Decide[Any]]) -> None:
    """A cancellation and its request lead to a cancelled aggregate in both orders; too late, it asks nobody."""
    state, events, work = played(aggregate, [facts["cancelled"], facts["opened"]])
    assert (state.open, state.outcome, len(events), work) == (False, "cancelled", 1, [])
    state, events, _ = played(aggregate, [facts["opened"], facts["cancelled"]])
    assert (state.open, state.outcome, len(events)) == (False, "cancelled", 2)


@pytest.mark.parametrize(("aggregate", "facts"), BOTH, ids=["check", "evidence"])
@settings(deadline=None)
@given(data=st.data())
def test_any_order_of_facts_ends_at_most_once(
    aggregate: Aggregate[Any], facts: dict[str, Decide[Any]], data: st.DataObject
) -> None:
    """Whatever comes how often in which order: nothing raises, the first ending stays, and the fold is the state."""
    names = data.draw(st.lists(st.sampled_from(sorted(facts)), min_size=1, max_size=12))
    state, events, work = played(aggregate, [facts[name] for name in names])
    endings = [name for name in names if name not in {"opened", "delayed"}]
    ended = [word for word in words(events) if not word.endswith(("opened", "delayed"))]
    assert len(ended) <= 1
    assert len(work) <= 1
    assert words(events).count("identity_check_opened") + words(events).count("evidence_fetch_opened") <= 1
    if "opened" in names and endings and "cancelled" not in names[: names.index("opened")]:
        after = [name for name in names[names.index("opened") :] if name in endings]
        assert state.outcome == (after[0] if after else "open")
    assert (state is None) == (not events)
    refolded = None
    for number, event in enumerate(events, start=1):
        refolded = aggregate.evolve(refolded, Recorded(SUBJECT, number, timestamp(START), event))
    assert refolded == state


def test_outcome_carries_what_intake_needs() -> None:
    """A confirmation names the register asked and the sealed id; a mismatch names attributes only."""
    _, events, _ = played(CHECK, [CHECK_FACTS["opened"], CHECK_FACTS["confirmed"]])
    assert events[1].model_dump() == {"step": "identity", "register_id": SEALED, "register_name": "residents"}
    state, events, _ = played(CHECK, [CHECK_FACTS["opened"], CHECK_FACTS["mismatched"]])
    assert events[1].model_dump() == {"step": "identity", "reasons": ("not_found",)}
    assert state.reasons == ("not_found",)


def test_leaves_are_the_filled_values() -> None:
    """Each filled value counts as one field; null and containers do not, zero and false do."""
    assert leaves({"a": 1, "b": None, "c": {"d": "x", "e": [0, False, None]}, "f": []}) == 4
