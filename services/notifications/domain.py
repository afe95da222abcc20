"""A message about one status: queued, then sent, failed or suppressed. Pure; knows no address and no text."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from shared.contracts.dossier import DossierStatusChanged
from shared.contracts.event import Event
from shared.contracts.notifications import MessageFailed, MessageQueued, MessageSent, MessageSuppressed
from shared.contracts.status import Language, NextAction, StatusCode
from shared.contracts.topics import NOTIFICATIONS_EVENTS
from shared.environment import parse_timestamp, timestamp
from shared.journal import Aggregate, Decide, Recorded, State, Work

USEFUL: Final = timedelta(hours=48)
"""How old a status may be for a mail about it to be of use."""

SEND_MAIL: Final = "send_mail"


class Message(State):
    """A message; `contact` is sealed. `status_since`, `expected_by` and `send_by` are RFC 3339."""

    phase: Literal["queued", "sent", "failed", "suppressed"] = "queued"
    status: StatusCode
    language: Language
    contact: str
    next_action: NextAction | None
    expected_by: str | None
    status_since: str
    send_by: str
    attempts: int = 0
    reason: str | None = None
    changed_at: str


def queue_message(event: DossierStatusChanged, status_since: str, useful: timedelta) -> Decide[Message]:
    """Queue the message about a status that began at `status_since` (RFC 3339); suppress it at once if too old."""
    since = parse_timestamp(status_since)
    queued = MessageQueued(
        status=event.code,
        channel="email",
        language=event.language,
        contact=event.contact,
        next_action=event.next_action,
        expected_by=event.expected_by,
        status_since=timestamp(since),
        send_by=timestamp(since + useful),
    )

    def decide(state: Message | None, now: datetime) -> Sequence[Event]:
        if state is not None:
            return ()
        if now > since + useful:
            return (queued, MessageSuppressed(channel="email", reason="too_old"))
        return (queued,)

    return decide


def sent(attempts: int) -> Decide[Message]:
    """The mail server took the message."""
    return _while_queued(lambda: MessageSent(channel="email", attempts=attempts))


def fail(reason: str) -> Decide[Message]:
    """The message cannot be delivered, ever."""
    return _while_queued(lambda: MessageFailed(channel="email", reason=reason))


def suppress(reason: Literal["too_old", "erased"]) -> Decide[Message]:
    """The message shall not be sent any more."""
    return _while_queued(lambda: MessageSuppressed(channel="email", reason=reason))


def evolve(state: Message | None, recorded: Recorded) -> Message:
    """Return the message after an event; the first is always `MessageQueued`."""
    before = state.model_dump() if state is not None else {}
    return Message.model_validate({**before, **_changes(recorded.event), "changed_at": recorded.time})


def plan(_state: Message, recorded: Recorded) -> Sequence[Work]:
    """A queued message wants to be sent, unless it was too old from the start."""
    event = recorded.event
    if not isinstance(event, MessageQueued) or recorded.time > event.send_by:
        return ()
    return (Work(SEND_MAIL, due_at=recorded.time, not_after=event.send_by),)


def _while_queued(event: Callable[[], Event]) -> Decide[Message]:
    return lambda state, _now: (event(),) if state is not None and state.phase == "queued" else ()


def _changes(event: Event) -> dict[str, Any]:
    match event:
        case MessageQueued():
            return event.model_dump(exclude={"channel"})
        case MessageSent(attempts=attempts):
            return {"phase": "sent", "attempts": attempts}
        case MessageFailed(reason=reason):
            return {"phase": "failed", "reason": reason}
        case MessageSuppressed(reason=reason):
            return {"phase": "suppressed", "reason": reason}
    return {}


MESSAGE: Final = Aggregate(
    service="notifications",
    name="message",
    topic=NOTIFICATIONS_EVENTS,
    schema=1,
    state=Message,
    evolve=evolve,
    plan=plan,
)
