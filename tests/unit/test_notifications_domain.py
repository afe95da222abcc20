"""Messages: queued once for each status, ended once, never sent too late."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from services.notifications.domain import MESSAGE, SEND_MAIL, Message, fail, queue_message, sent, suppress
from services.notifications.settings import NotificationsSettings
from shared.contracts.dossier import DossierStatusChanged
from shared.contracts.event import Event
from shared.environment import timestamp
from shared.journal import Decide, Recorded, Work
from shared.testing.environment import START

SUBJECT = "d1:3"
USEFUL = timedelta(hours=48)
CHANGED = DossierStatusChanged(
    code="payment_due",
    waiting_for="applicant",
    next_action="pay",
    expected_by="2026-12-05T11:00:00.000Z",
    service="dog",
    language="it",
    contact="sealed:v1:contact:AAAA",
)
FACTS: dict[str, Decide[Message]] = {
    "queued": queue_message(CHANGED, timestamp(START), USEFUL),
    "sent": sent(1),
    "failed": fail("smtp_550"),
    "suppressed": suppress("erased"),
}


def played(decides: Sequence[Decide[Message]]) -> tuple[Message | None, list[Event], list[Work]]:
    """State, events and planned work after these decisions, one after the other."""
    state, events, work = None, list[Event](), list[Work]()
    for decide in decides:
        for event in decide(state, START):
            recorded = Recorded(SUBJECT, len(events) + 1, timestamp(START), event)
            state = MESSAGE.evolve(state, recorded)
            events.append(event)
            work.extend(MESSAGE.plan(state, recorded))
    return state, events, work


def words(events: Sequence[Event]) -> list[str]:
    """The events by their words."""
    return [event.word for event in events]


def test_a_status_queues_one_message() -> None:
    """A status queues a mail that is due at once and of use for 48 hours; a repeat queues nothing."""
    state, events, work = played([FACTS["queued"], FACTS["queued"]])
    assert words(events) == ["message_queued"]
    assert work == [Work(SEND_MAIL, due_at=timestamp(START), not_after=timestamp(START + USEFUL))]
    assert state is not None
    assert (state.phase, state.status, state.language, state.next_action) == ("queued", "payment_due", "it", "pay")


@pytest.mark.parametrize(("age", "phase"), [(USEFUL, "queued"), (USEFUL + timedelta(milliseconds=1), "suppressed")])
def test_an_old_status_sends_nothing(age: timedelta, phase: str) -> None:
    """A status older than 48 hours is suppressed at once and wants no work: a refill mails nobody's history."""
    state, events, work = played([queue_message(CHANGED, timestamp(START - age), USEFUL)])
    assert state is not None
    assert state.phase == phase
    assert len(work) == (1 if phase == "queued" else 0)
    assert words(events)[0] == "message_queued"


def test_status_time_is_kept_in_utc() -> None:
    """A time with an offset means the same moment."""
    state, _, _ = played([queue_message(CHANGED, "2026-11-02T08:30:00.5+01:00", USEFUL)])
    assert state is not None
    assert (state.status_since, state.send_by) == ("2026-11-02T07:30:00.500Z", "2026-11-04T07:30:00.500Z")


@settings(deadline=None)
@given(names=st.lists(st.sampled_from(sorted(FACTS)), max_size=10))
def test_any_order_of_facts_ends_at_most_once(names: list[str]) -> None:
    """Whatever comes how often in which order: nothing raises, the first ending after queueing stays."""
    state, events, _ = played([FACTS[name] for name in names])
    after = names[names.index("queued") :] if "queued" in names else []
    endings = [name for name in after if name != "queued"]
    assert (state is None) == ("queued" not in names)
    assert state is None or state.phase == (endings[0] if endings else "queued")
    assert len(events) == bool(after) + bool(endings)
    refolded = None
    for number, event in enumerate(events, start=1):
        refolded = MESSAGE.evolve(refolded, Recorded(SUBJECT, number, timestamp(START), event))
    assert refolded == state


def _settings(**more: Any) -> NotificationsSettings:
    good = {
        "mongodb_uri": SecretStr("mongodb://127.0.0.1/notifications"),
        "journal_key": b"j" * 32,
        "hash_key": b"h" * 32,
        "oidc_issuer": "https://login.emmen.example",
        "smtp_host": "mail.example",
        "mail_from": "counter@emmen.example",
        "mail_domain": "emmen.example",
    }
    return NotificationsSettings.model_validate(good | more)


@pytest.mark.parametrize(
    "wrong",
    [
        {"smtp_username": "counter"},
        {"smtp_password": "secret"},
        {"environment": "production", "smtp_username": "counter", "smtp_password": "secret"},
        {"mail_from": "counter@emmen.example\r\nBcc: all@example.ch"},
        {"mail_domain": "emmen.example>\r\n"},
    ],
)
def test_settings_refuse_half_a_login_and_open_passwords(wrong: dict[str, Any]) -> None:
    """A login is whole and, in production, encrypted; sender names cannot carry headers."""
    assert _settings(smtp_username="counter", smtp_password="secret", environment="production", smtp_starttls=True)
    with pytest.raises(ValidationError):
        _settings(**wrong)
