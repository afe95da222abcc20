"""From events of a dossier to messages. Never sends anything: that is work, see `work`."""

from datetime import timedelta

from services.notifications.domain import Message, queue_message
from shared.consumer import Handler
from shared.contracts.dossier import DossierStatusChanged
from shared.contracts.envelope import Received
from shared.journal import Cause, Journal


def on_dossier_status_changed(messages: Journal[Message], useful: timedelta) -> Handler:
    """Return the handler that queues one message for each status; its id is the event's."""

    async def handle(received: Received) -> None:
        assert isinstance(received.event, DossierStatusChanged)  # noqa: S101  (by subscription; narrows the type)
        envelope = received.envelope
        decide = queue_message(received.event, envelope.time, useful)
        await messages.record(envelope.name, decide, Cause.event(envelope), new=True)

    return handle
