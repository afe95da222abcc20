"""What is done outside: sending mails. The contact is opened here, for one mail, and never kept or logged."""

import logging
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict

from services.notifications.domain import Message, fail, sent, suppress
from services.notifications.mail import AddressInvalid, Sender, compose
from services.notifications.settings import NotificationsSettings
from services.notifications.smtp import Mailer, MailRefused, RecipientDeferred
from services.notifications.wording import write
from shared.environment import parse_timestamp
from shared.journal import Decide, Task
from shared.relay import dossier_of
from shared.vault import ErasedType, Vault
from shared.work import Again, Done, Perform, Performer

log = logging.getLogger(__name__)

PLACES: Final = 8


class Contact(BaseModel):
    """The sealed contact of a dossier, opened."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    email: str
    name: str = ""


@dataclass(frozen=True)
class Letterhead:
    """What is the same in every mail: who writes, where the portal is, which municipality signs."""

    sender: Sender
    public_url: str
    municipality: str


def letterhead_of(settings: NotificationsSettings) -> Letterhead:
    """The letterhead that the settings name."""
    return Letterhead(Sender(settings.mail_from, settings.mail_domain), settings.public_url, settings.municipality)


def mail_sender(vault: Vault, mailer: Mailer, letterhead: Letterhead) -> Performer[Message]:
    """How the work `send_mail` is done."""
    return Performer(perform=_send(vault, mailer, letterhead), give_up=_give_up, provider="smtp", places=PLACES)


def _give_up(_task: Task[Message], reason: str) -> Decide[Message]:
    return suppress("too_old") if reason == "too_old" else fail(reason)


def _send(vault: Vault, mailer: Mailer, letterhead: Letterhead) -> Perform[Message]:
    async def perform(task: Task[Message]) -> Done[Message] | Again[Message]:
        message, dossier = task.state, dossier_of(task.subject)
        if message.phase != "queued":
            return Done()
        opened = (await vault.open(dossier)).unseal("contact", message.contact)
        if isinstance(opened, ErasedType):
            return Done(suppress("erased"))
        contact = Contact.model_validate(opened)
        letter = write(
            message, dossier, contact.name, public_url=letterhead.public_url, municipality=letterhead.municipality
        )
        since = parse_timestamp(message.status_since)
        try:
            await mailer.send(compose(letter, task.subject, contact.email, letterhead.sender, since))
        except AddressInvalid:
            return Done(fail("address_invalid"))
        except MailRefused as refusal:
            log.warning("mail_refused", extra={"work_id": task.id, "status": refusal.code})
            return Done(fail(f"smtp_{refusal.code}"))
        except RecipientDeferred:
            # One busy mailbox must not hold back everybody else's mail: the server is well.
            return Again()
        return Done(sent(task.attempts))

    return perform
