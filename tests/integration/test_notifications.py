"""Notifications against the sandbox mail server over SMTP: mails arrive once, and a server that misbehaves."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from deploy.local.sandbox.mail import MailSettings, create_app
from deploy.local.sandbox.testing import free_port, serving
from services.notifications.api import routes
from services.notifications.domain import MESSAGE, SEND_MAIL, Message
from services.notifications.handlers import on_dossier_status_changed
from services.notifications.mail import Sender, message_id
from services.notifications.smtp import SmtpMailer
from services.notifications.work import Letterhead, mail_sender
from shared.contracts.dossier import DossierStatusChanged
from shared.contracts.envelope import Envelope, Received
from shared.contracts.event import Event
from shared.environment import timestamp
from shared.journal import Journal
from shared.testing.environment import FakeEnvironment
from shared.testing.issuer import FakeIssuer
from shared.testing.store import MemoryJournalStore
from shared.testing.telemetry import recorded_logs
from shared.testing.web import KEY, connected, settings
from shared.vault import MemoryKeyStore, Vault
from shared.web.app import create_app as create_web_app
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


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One mail server for all tests of the module."""
    port, smtp_port = free_port(), free_port()
    mail = MailSettings(data_dir=tmp_path_factory.mktemp("mail"), http_port=port, smtp_port=smtp_port)
    with serving(create_app(mail), port) as url:
        yield Sandbox(url, smtp_port)


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """The mail server, empty and well behaved before each test and well behaved after it."""
    running.reset()
    yield running
    running.recover()


@pytest.fixture
def town(sandbox: Sandbox) -> Town:
    """The service with the sandbox as its mail server."""
    return Town(sandbox.smtp_port)


async def test_each_status_is_mailed_once(town: Town, sandbox: Sandbox) -> None:
    """A status reaches the applicant's mailbox once, in the dossier's language, with link and stable Message-ID."""
    message = await town.tell(language="fr")
    await town.tell(language="fr")
    await town.work()
    (mail,) = sandbox.mails()
    assert (mail["sender"], mail["language"]) == ("counter@emmen.example", "fr")
    assert mail["message_id"] == message_id(message, "emmen.example")
    assert mail["text"].startswith("Bonjour Lea Muster,")
    assert "http://127.0.0.1:8100/?dossier=d1" in mail["text"]
    assert await town.told(message) == [("message_sent", 1)]
    assert await town.work(timedelta(days=3)) == 0


async def test_server_that_defers_gets_the_mail_later(town: Town, sandbox: Sandbox) -> None:
    """A 4xx after DATA loses nothing: the mail arrives once the server is well."""
    sandbox.break_down(error_rate=1, status=451)
    message = await town.tell()
    await town.work()
    assert await town.told(message) == []
    sandbox.recover()
    await town.work(timedelta(minutes=1))
    assert await town.told(message) == [("message_sent", 2)]
    assert len(sandbox.mails()) == 1


async def test_refusal_for_good_fails_visibly(town: Town, sandbox: Sandbox) -> None:
    """A 5xx at RCPT or after DATA ends the message with its code; it is not tried again."""
    sandbox.break_down(reject_recipients="gone@*")
    gone = await town.tell("d1", email="gone@example.ch")
    await town.work()
    sandbox.break_down(error_rate=1, status=554)
    refused = await town.tell("d2")
    await town.work()
    assert await town.told(gone) == [("message_failed", "smtp_550")]
    assert await town.told(refused) == [("message_failed", "smtp_554")]
    assert await town.work(timedelta(days=1)) == 0


async def test_lost_answer_repeats_the_same_mail(town: Town, sandbox: Sandbox) -> None:
    """When the line dies after the text was taken, the second copy carries the same Message-ID."""
    sandbox.break_down(drop_after_data=1)
    message = await town.tell()
    await town.work()
    await town.work(timedelta(minutes=1))
    first, second = sandbox.mails()
    assert first["message_id"] == second["message_id"]
    assert await town.told(message) == [("message_sent", 2)]


async def test_busy_mailbox_holds_up_nobody_else(town: Town, sandbox: Sandbox) -> None:
    """However many mailboxes are busy, mails to others go out at once: the server counts as well."""
    sandbox.break_down(defer_recipients="busy*")
    busy = [await town.tell(f"b{number}", email=f"busy{number}@example.ch") for number in range(8)]
    await town.work()
    other = await town.tell("d9")
    await town.work()
    assert await town.told(other) == [("message_sent", 1)]
    sandbox.recover()
    await town.work(timedelta(minutes=1))
    assert [await town.told(message) for message in busy] == [[("message_sent", 2)]] * 8


async def test_hanging_server_is_given_up_in_time(sandbox: Sandbox) -> None:
    """A server that never answers costs each mail a bounded time, and the mail is tried again."""
    town = Town(sandbox.smtp_port, total_seconds=0.2)
    sandbox.break_down(hang_seconds=0.6)
    message = await town.tell()
    async with asyncio.timeout(5):
        await town.work()
    assert await town.told(message) == []
    sandbox.recover()
    await town.work(timedelta(minutes=1))
    assert await town.told(message) == [("message_sent", 2)]


async def test_silent_server_does_not_stall_the_consumer() -> None:
    """While a server accepts connections and says nothing, further events are still taken, eight mails at a time."""
    held = asyncio.Event()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    town = Town(server.sockets[0].getsockname()[1], total_seconds=0.3)
    for number in range(20):
        await town.tell(f"d{number}")
    assert await town.loop.start_due() == 8
    late = await town.tell("late")
    assert await town.told(late) == []
    await town.loop.settle()
    assert await town.told("d0:2") == []
    held.set()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("greeting", [b"554 no service here\r\n", b"421 busy\r\n", b"what?\r\n"])
async def test_server_that_refuses_us_costs_no_mail(greeting: bytes) -> None:
    """A 5xx in the greeting is about the server, not about the mail: it waits, and an operator is told of a refusal."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    town = Town(server.sockets[0].getsockname()[1])
    message = await town.tell()
    await town.work()
    assert await town.told(message) == []
    server.close()
    await server.wait_closed()


async def test_refused_login_alarms_without_names(sandbox: Sandbox) -> None:
    """Asking for encryption or a login that the server does not have waits and alarms; no address is logged."""
    with recorded_logs() as lines:
        for wrong in ({"starttls": True}, {"username": "counter", "password": "secret"}):
            town = Town(sandbox.smtp_port, **wrong)
            message = await town.tell()
            await town.work()
            assert await town.told(message) == []
    assert [line["event"] for line in lines if line["level"] == "ERROR"] == ["mail_server_refuses_us"] * 2
    assert not [word for word in ("muster", "secret", "Muster") if word in str(lines)]


async def test_too_old_is_suppressed(town: Town, sandbox: Sandbox) -> None:
    """After 48 hours without a mail server the message is suppressed, and stays so when the server is back."""
    sandbox.break_down(error_rate=1, status=421)
    message = await town.tell()
    await town.work()
    sandbox.recover()
    await town.work(USEFUL + timedelta(minutes=6))
    assert await town.told(message) == [("message_suppressed", "too_old")]
    assert sandbox.mails() == []


async def test_history_is_not_mailed(town: Town, sandbox: Sandbox) -> None:
    """A status read for the first time days later, by a new group or after a refill, is suppressed at once."""
    contact = (await town.vault.create("d1", ["contact"])).seal("contact", "contact", {"email": LEA, "name": "Lea"})
    event = DossierStatusChanged(code="completed", waiting_for="nobody", service="dog", language="de", contact=contact)
    old = town.received(event, "d1", 2)
    town.environment.advance(timedelta(days=3))
    await on_dossier_status_changed(town.messages, USEFUL)(old)
    assert await town.work() == 0
    assert await town.told("d1:2") == [("message_suppressed", "too_old")]
    assert sandbox.mails() == []


async def test_erased_applicant_gets_no_mail(town: Town, sandbox: Sandbox) -> None:
    """A person erased before the mail was sent is not written to."""
    message = await town.tell()
    await town.vault.erase("d1")
    await town.work()
    assert await town.told(message) == [("message_suppressed", "erased")]
    assert sandbox.mails() == []


@pytest.mark.parametrize("address", ["lea", "lea@example.ch\r\nBcc: noah.beispiel@example.ch"])
async def test_what_is_no_address_fails_visibly(town: Town, sandbox: Sandbox, address: str) -> None:
    """No mail goes anywhere for an address that is none, and the address is not logged."""
    with recorded_logs() as lines:
        message = await town.tell(email=address)
        await town.work()
    assert await town.told(message) == [("message_failed", "address_invalid")]
    assert sandbox.count() == 0
    assert "noah" not in str(lines)


async def test_staff_see_messages_without_addresses(town: Town) -> None:
    """Staff list a dossier's messages in order, page by page, without address, name, text or sealed value."""
    for sequence in (2, 10, 11):
        await town.tell(sequence=sequence)
    await town.tell("d10")
    await town.work()
    issuer = FakeIssuer(town.environment)
    app = create_web_app("Notifications api", "notifications", settings=settings(), verifier=issuer.verifier())
    app.include_router(routes(town.messages, KEY))
    async with connected(app) as http:
        http.headers["Authorization"] = f"Bearer {issuer.token('k1', ['operator'])}"
        first = await http.get("/v1/messages", params={"dossier": "d1", "limit": 2})
        cursor = first.json()["next"]
        second = await http.get("/v1/messages", params={"dossier": "d1", "limit": 2, "cursor": cursor})
        foreign = await http.get("/v1/messages", params={"dossier": "d10", "cursor": cursor})
        one, none = await http.get("/v1/messages/d1:10"), await http.get("/v1/messages/d1:99")
        citizen = {"Authorization": f"Bearer {issuer.token('lea', ['citizen'])}"}
        refused = [await http.get(path, headers=citizen) for path in ("/v1/messages?dossier=d1", "/v1/messages/d1:2")]
    assert [item["id"] for item in first.json()["items"]] == ["d1:2", "d1:10"]
    assert ([item["id"] for item in second.json()["items"]], second.json()["next"]) == (["d1:11"], None)
    assert (one.json()["state"], one.json()["attempts"], one.json()["dossier"]) == ("sent", 1, "d1")
    assert [response.status_code for response in (foreign, none, *refused)] == [400, 404, 403, 403]
    assert not [word for word in ("sealed", "example.ch", "Muster") if word in first.text + one.text]
