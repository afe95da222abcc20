"""The notifications service on memory journals and a hand-moved clock, with the sandbox mail server: for its tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from deploy.local.sandbox.mail import MailSettings, create_app
from deploy.local.sandbox.testing import free_port, serving
from services.notifications.domain import MESSAGE, SEND_MAIL, Message
from services.notifications.handlers import on_dossier_status_changed
from services.notifications.mail import Sender
from services.notifications.smtp import SmtpMailer
from services.notifications.work import Letterhead, mail_sender
from shared.contracts.dossier import DossierStatusChanged
from shared.contracts.envelope import Envelope, Received
from shared.contracts.event import Event
from shared.environment import timestamp
from shared.journal import Journal
from shared.testing.environment import FakeEnvironment
from shared.testing.store import MemoryJournalStore
from shared.vault import MemoryKeyStore, Vault
from shared.work import WorkLoop

LETTERHEAD = Letterhead(Sender("counter@emmen.example", "emmen.example"), "http://127.0.0.1:8100", "Emmen")
USEFUL = timedelta(hours=48)
LEA = "lea.muster@example.ch"


@dataclass
class Sandbox:
    """A running mail server: what it received, and its faults."""

    url: str
    smtp_port: int

    def break_down(self, **faults: Any) -> None:
        """Misbehave from now on."""
        httpx.put(f"{self.url}/sandbox/faults", json=faults).raise_for_status()

    def reset(self) -> None:
        """Behave well again and forget all mails."""
        httpx.delete(f"{self.url}/sandbox/faults").raise_for_status()
        httpx.delete(f"{self.url}/sandbox/messages").raise_for_status()

    def recover(self) -> None:
        """Behave well again."""
        httpx.delete(f"{self.url}/sandbox/faults").raise_for_status()

    def count(self) -> int:
        """How many mails came, to whomever."""
        return int(httpx.get(f"{self.url}/sandbox/messages/count").json()["messages"])

    def mails(self, recipient: str = LEA) -> list[dict[str, Any]]:
        """Mails to a recipient, newest first."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/sandbox/messages", params={"recipient": recipient}).json()[
            "messages"
        ]
        return found


class Town:
    """The service as it runs, on memory journals and a hand-moved clock, with the mail server given."""

    def __init__(self, port: int, **mailer: Any) -> None:
        self.environment = FakeEnvironment()
        self.vault = Vault(MemoryKeyStore(), {"contact": b"c" * 32}, self.environment)
        self.messages: Journal[Message] = Journal(
            MESSAGE, MemoryJournalStore(), self.environment, tenant="emmen", key=b"j" * 32
        )
        smtp = SmtpMailer(**{"host": "127.0.0.1", "port": port, "client_name": "emmen.example", **mailer})
        self.performer = mail_sender(self.vault, smtp, LETTERHEAD)
        self.loop = WorkLoop(self.messages, {SEND_MAIL: self.performer}, self.environment)

    async def tell(self, dossier: str = "d1", sequence: int = 2, *, email: str = LEA, **changes: Any) -> str:
        """A dossier's status changed; returns the message's id."""
        contact = (await self.vault.create(dossier, ["contact"])).seal(
            "contact", "contact", {"email": email, "name": "Lea Muster"}
        )
        status = {"code": "in_progress", "waiting_for": "authority", "service": "dog", "language": "de"} | changes
        event = DossierStatusChanged.model_validate({**status, "contact": contact})
        received = self.received(event, dossier, sequence)
        await on_dossier_status_changed(self.messages, USEFUL)(received)
        return received.envelope.id

    def received(self, event: Event, dossier: str, sequence: int) -> Received:
        """An event of a dossier as the consumer hands it over."""
        now = timestamp(self.environment.now())
        source, event_id = "//dossierbus/emmen/intake", f"{dossier}:{sequence}"
        return Received(Envelope(event_id, source, event.type, dossier, sequence, now, "emmen", dossier, "", ""), event)

    async def work(self, after: timedelta = timedelta()) -> int:
        """Let time pass, do what is due, and return how much it was."""
        self.environment.advance(after)
        started = await self.loop.start_due()
        await self.loop.settle()
        return started

    async def told(self, message: str) -> list[tuple[str, Any]]:
        """What became of a message: the words of its events after the first, with reason or attempts."""
        events = [recorded.event for recorded in await self.messages.recorded(message)]
        assert events[0].word == "message_queued"
        found = [(event.word, event.model_dump()) for event in events[1:]]
        return [(word, data.get("reason", data.get("attempts"))) for word, data in found]


@contextmanager
def running_mail_server(data_dir: Path) -> Iterator[Sandbox]:
    """A mail server on free ports."""
    port, smtp_port = free_port(), free_port()
    with serving(create_app(MailSettings(data_dir=data_dir, http_port=port, smtp_port=smtp_port)), port) as url:
        yield Sandbox(url, smtp_port)
