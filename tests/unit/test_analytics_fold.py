"""A partition's records as its topics tell them: in whatever state the topics are, no subject is told wrong."""

from dataclasses import replace
from typing import Any

import pytest

from services.analytics import fold as folding
from services.analytics.domain import Record, apply
from services.analytics.fold import Fold
from shared.contracts.envelope import Received
from tests.unit.analytics_samples import message, stories


def events(count: int, seed: int = 1) -> list[list[Received]]:
    """So many dossiers' events."""
    return [list(story) for story in stories(count, seed)]


def test_a_discarded_event_is_not_counted_anew() -> None:
    """What operators dropped stays dropped, and what follows it counts."""
    story = next(one for one in events(9, seed=6) if len(one) > 9)
    first = story[0]
    fold = Fold(0, 1, frozenset({first.envelope.id}))
    for received in story:
        fold.take(message(received))
    assert fold.mended(first.envelope.dossier, {}, everything=True) == _folded(story[1:])


def _folded(story: list[Received]) -> Record:
    record: Record = {}
    for received in story:
        record = apply(record, received.envelope, received.event)
    return record


def test_after_a_restore_numbers_go_on_from_what_was_restored() -> None:
    """Lost events of the old epoch, then those of the new one under the same numbers: all count, in their order."""
    story = [received for received in events(1)[0] if received.envelope.subject == received.envelope.dossier][:4]
    again = [Received(replace(one.envelope, epoch=1), one.event) for one in story[2:]]
    fold = Fold(0, 1)
    for received in [*story, *story[:2], *again]:
        fold.take(message(received))
    dossier = story[0].envelope.dossier
    assert fold.is_whole((dossier, ""))
    assert fold.records[dossier] == _folded([*story, *again])


def test_what_cannot_be_folded_leaves_the_live_record_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that the fold raises at is a gap for its subject, and for no other."""

    def fails(record: Record, envelope: Any, event: Any) -> Record:
        if envelope.sequence == 2 and envelope.subject == envelope.dossier:
            raise KeyError("x")
        return apply(record, envelope, event)

    story = next(one for one in events(9, seed=6) if type(one[1].event) in folding._RELEVANT)
    monkeypatch.setattr(folding, "apply", fails)
    fold, dossier = Fold(0, 1), story[0].envelope.dossier
    for received in story:
        fold.take(message(received))
    live = {"": {"k": "d", "n": 7, "status": "completed"}}
    assert fold.mended(dossier, live, everything=True)[""] == live[""]
