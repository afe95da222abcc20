"""The pure heart of the journal: deciding, following, planning, sharing, and the mac chain."""

import hmac
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.event import Event, events
from shared.errors import Permanent
from shared.journal import Cause, Decide, Recorded, Work
from shared.journal.fold import Context, Decided, canonical, chain, decided, fold
from shared.journal.model import LARGEST_EVENT_BYTES, NOTHING_PUBLISHED, Aggregate, Head, TooLarge
from shared.testing.environment import START
from tests.unit.sample_journal import (
    AGENCIES,
    CALL,
    CANCELLED,
    CONFIRMED,
    FAILED,
    KEY,
    LATER,
    MISMATCHED,
    NOW,
    OPENED,
    RING,
    TALLY,
    Tally,
    add,
    command,
    noted,
)

CONTEXT = Context(subject="d1:2", tenant="emmen", now=START, key=KEY, traceparent="00-1-2-01")


def first(decide: Decide[Tally], cause: Cause | None = None, aggregate: Aggregate[Tally] = TALLY) -> Decided[Tally]:
    """A decision on nothing."""
    result = decided(aggregate, None, None, decide, cause or command("k1"), CONTEXT)
    assert result is not None
    return result


def head_after(result: Decided[Tally]) -> Head:
    """The head that a change leaves in the store."""
    change = result.change
    seen = dict([change.seen]) if change.seen else {}
    return Head(
        change.subject,
        change.version + 1,
        change.sequence,
        change.schema,
        change.state,
        NOTHING_PUBLISHED,
        seen,
        change.shared,
        change.work,
        change.mac,
    )


def then(before: Decided[Tally], decide: Decide[Tally], cause: Cause) -> Decided[Tally] | None:
    """The next decision on the same aggregate."""
    state = Tally.model_validate(before.change.state)
    return decided(TALLY, head_after(before), state, decide, cause, CONTEXT)


def test_events_are_numbered_dated_and_named() -> None:
    """Each event gets the next sequence, the decision's time, its cause, and an id of subject and sequence."""
    change = first(add(noted(1), noted(2))).change
    assert [(e["seq"], e["id"], e["time"], e["cause"], e["body"]) for e in change.events] == [
        (1, "d1:2:1", NOW, "cmd:caller:k1", "body"),
        (2, "d1:2:2", NOW, "cmd:caller:k1", "body"),
    ]
    assert (change.version, change.sequence, change.schema, change.tenant) == (0, 2, 1, "emmen")
    assert change.state == {"words": ["identity_check_delayed"] * 2, "total": 3}


def test_what_follows_is_saved_with_its_cause() -> None:
    """Reactions are asked until nothing follows, and belong to the same cause and write."""
    change = first(add(MISMATCHED)).change
    assert [e["type"] for e in change.events] == [MISMATCHED.type, FAILED.type]
    assert {e["cause"] for e in change.events} == {"cmd:caller:k1"}


def test_a_reaction_that_never_rests_is_an_error() -> None:
    """An aggregate that reacts to its own reaction for ever is stopped."""
    restless = replace(TALLY, react=lambda _state, _now: (noted(1),))
    with pytest.raises(RuntimeError, match="never comes to rest"):
        first(add(noted(1)), aggregate=restless)


def test_reactions_are_not_asked_when_nothing_was_decided() -> None:
    """A cause that changes nothing sets nothing else off."""

    def react(_state: Tally, _now: datetime) -> Sequence[Event]:
        raise AssertionError("asked")

    state = Tally(words=("x",))
    head = head_after(first(add(noted(1))))
    assert decided(replace(TALLY, react=react), head, state, add(), command("k2"), CONTEXT) is None


def test_nothing_decided_saves_nothing() -> None:
    """A command without events is no write; an event without events still moves the inbox; done work still goes."""
    before = first(add(OPENED))
    assert then(before, add(), command("k2")) is None
    moved = then(before, add(), Cause("x:3", subject="x", sequence=3))
    assert moved is not None
    assert (moved.change.seen, moved.change.events, moved.change.sequence) == (("x", 3), (), 1)
    done = then(before, add(), Cause("work:1", work="d1:2:1/call"))
    assert done is not None
    assert done.change.work == ()
    assert then(before, add(), Cause("work:1", work="d1:2:9/call")) is None
    assert decided(TALLY, None, None, add(), Cause("x:3", subject="x", sequence=3), CONTEXT) is None


def test_work_is_named_after_its_event() -> None:
    """Work carries the id of the event that wants it, its kind and trace; later events leave it alone."""
    before = first(add(OPENED))
    assert before.change.work == (Work(CALL, NOW, LATER, "d1:2:1/call", 0, "00-1-2-01"),)
    after = then(before, add(CANCELLED), command("k2"))
    assert after is not None
    assert [work.id for work in after.change.work] == ["d1:2:1/call", "d1:2:2/ring"]


def test_two_works_of_one_kind_for_one_event_are_refused() -> None:
    """They would have the same id, so that doing one would end both."""
    twice = replace(TALLY, plan=lambda _state, recorded: (Work(RING, recorded.time), Work(RING, LATER)))
    with pytest.raises(RuntimeError, match="twice"):
        first(add(noted(1)), aggregate=twice)


def test_each_agency_counts_for_itself() -> None:
    """Shares are stored with their event; each agency's sequence has no gap, whatever the other one gets."""
    change = first(add(noted(1), OPENED, CONFIRMED, CONFIRMED)).change
    shares = [[(s["agency"], s["seq"]) for s in e.get("shares", ())] for e in change.events]
    one, other = AGENCIES
    assert shares == [[], [(one, 1), (other, 1)], [(one, 2)], [(one, 3)]]
    assert change.shared == {one: 3, other: 1}


def test_an_event_larger_than_a_record_is_refused() -> None:
    """What could never be published is not saved; its text does not quote the data."""
    large = CONFIRMED.model_copy(update={"register_id": "s" * LARGEST_EVENT_BYTES})
    with pytest.raises(TooLarge, match="identity_confirmed is larger than"):
        first(add(large))


def test_the_chain_is_the_published_recipe() -> None:
    """The mac equals HMAC-SHA256 over RFC 8785 JSON and the mac before, computed independently."""
    before = first(add(OPENED, CONFIRMED), command("k1"))
    after = then(before, add(MISMATCHED), Cause("x:3", subject="x", sequence=3))
    assert after is not None
    previous = ""
    for event in (*before.change.events, *after.change.events):
        body = {name: value for name, value in event.items() if name != "mac"}
        expected = hmac.new(KEY, rfc8785.dumps(body) + previous.encode(), sha256).hexdigest()
        assert event["mac"] == expected
        previous = expected
    assert after.change.mac == previous


@pytest.mark.parametrize("name", ["seq", "id", "type", "time", "cause", "trace", "data", "body", "shares"])
def test_the_chain_covers_every_field(name: str) -> None:
    """A change of any stored field breaks the chain."""
    document = first(add(OPENED)).change.events[0]
    assert name in document
    altered = {**document, name: "altered"}
    assert chain(KEY, "", altered) != document["mac"] == chain(KEY, "", document)


def test_fold_leads_to_the_saved_state() -> None:
    """Folding the stored events gives exactly the stored state; no events give none."""
    change = first(add(OPENED, noted(4), MISMATCHED)).change
    state = fold(TALLY, "d1:2", change.events)
    assert state is not None
    assert state.model_dump(mode="json") == change.state
    assert fold(TALLY, "d1:2", ()) is None


def test_unknown_stored_types_are_an_error() -> None:
    """A journal of a newer release is not read wrongly by an older one."""
    with pytest.raises(Permanent, match=r"unknown type org\.dossierbus\.identity\.dreamt\.v1"):
        Recorded.load("d1", {"type": "org.dossierbus.identity.dreamt.v1", "seq": 1, "time": NOW, "data": {}})


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
NAMES = st.text("abz_09.-AZ", min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_canonical_is_rfc_8785(document: dict[str, Any]) -> None:
    """For what events hold (no floats, ASCII names, safe integers) our canonical form is RFC 8785's, byte by byte."""
    assert canonical(document) == rfc8785.dumps(document)


@pytest.mark.parametrize("kind", events().values(), ids=lambda kind: kind.__name__)
def test_event_shapes_are_canonical_ground(kind: type[Event]) -> None:
    """No event declares a float or a decimal, for which our canonical form would not be RFC 8785's."""
    schema = str(kind.model_json_schema())
    assert "'type': 'number'" not in schema
