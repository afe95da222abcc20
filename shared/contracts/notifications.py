"""Events of a message to an applicant, written by notifications alone, on the topic `notifications.events`.

The subject is the id of the `DossierStatusChanged` event it tells of, the Kafka key the dossier's id.
"""

from typing import Literal

from pydantic import Field

from shared.contracts.event import Code, Event, Sealed
from shared.contracts.status import Language, NextAction, StatusCode

Channel = Literal["email"]


class MessageQueued(Event, aggregate="message"):
    """A message will be sent, unless that takes until after `send_by` (RFC 3339, as are the other times)."""

    status: StatusCode
    channel: Channel
    language: Language
    contact: Sealed
    next_action: NextAction | None = None
    expected_by: str | None = None
    status_since: str
    send_by: str


class MessageSent(Event, aggregate="message"):
    """The mail server took the message. Its Message-ID is stable, so a second copy is recognised by mailboxes."""

    channel: Channel
    attempts: int = Field(ge=1)


class MessageFailed(Event, aggregate="message"):
    """The mail server refused the message for good."""

    channel: Channel
    reason: Code


class MessageSuppressed(Event, aggregate="message"):
    """The message was not sent: too old to be of use, or the person's data were erased."""

    channel: Channel
    reason: Literal["too_old", "erased"]
